package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"rehearsal/internal/lang"
	"rehearsal/internal/parity"
)

// Parity prints a ledger for people: by service, and what it comes to last.
func Parity(w io.Writer, l *parity.Ledger) {
	say(w, "", "The staging copy (%s) beside production (%s)", l.Staging, l.Production)
	service := ""
	for _, d := range l.Differences {
		if d.Service != service {
			service = d.Service
			fmt.Fprintf(w, "\n%s %s %s\n", lang.Pad(lang.Clean(service), 37), lang.Pad("staging", 20), "production")
		}
		row(w, d)
	}
	fmt.Fprintln(w)
	for _, x := range l.Expired {
		say(w, "", "EXPIRED on %s: the waiver of %q, of %s (%s): renew it with its reason, or mend the difference", x.Expires, x.What, x.Owner, x.Where())
	}
	stale(w, l)
	for _, n := range l.Notes {
		say(w, "", "not compared: %s", n)
	}
	fmt.Fprintf(w, "%s\n", counted(l))
	switch {
	case l.Broken():
		fmt.Fprintln(w, "NOT LIKE PRODUCTION: mend what is open, or waive it (reason, owner, expiry)")
	case len(l.Of(parity.Unknown)) > 0:
		fmt.Fprintln(w, "INCONCLUSIVE: some of it cannot be compared: describe it, or waive it")
	default:
		fmt.Fprintln(w, "LIKE PRODUCTION, but for what is waived and what is harmless")
	}
}

// row is a difference: both values side by side where they fit, and below what is to
// be said of it.
func row(w io.Writer, d parity.Difference) {
	standing := strings.ToLower(d.Standing.String())
	if d.Standing == parity.Open {
		standing = "OPEN"
	}
	left, right := lang.Clean(cmp.Or(d.Staging, "-")), lang.Clean(cmp.Or(d.Production, "-"))
	const value = 20
	head := fmt.Sprintf("  %-8s %s", standing, lang.Clean(d.Field))
	if lang.Columns(head) <= 37 && lang.Columns(left) <= value && lang.Columns(right) <= value+2 {
		fmt.Fprintf(w, "%s %s %s\n", lang.Pad(head, 37), lang.Pad(left, value), right)
	} else {
		const under = "           "
		fmt.Fprintln(w, head)
		say(w, under, "staging     %s", left)
		say(w, under, "production  %s", right)
	}
	about(w, "           ", d)
}

// about says why a difference stands as it does, and what it weakens.
func about(w io.Writer, indent string, d parity.Difference) {
	if d.Why != "" {
		say(w, indent, "%s", d.Why)
	}
	if d.Standing == parity.Waived && d.Waiver != nil {
		say(w, indent, "waived by %s until %s (%s)", d.Waiver.Owner, d.Waiver.Expires, d.Waiver.Where())
	}
	if text := weakens(d); text != "" {
		say(w, indent, "%s", text)
	}
}

// named is how many scenarios are named before the rest are counted.
const named = 3

func weakens(d parity.Difference) string {
	switch {
	case d.Standing == parity.Harmless:
		return ""
	case d.Everything:
		return "weakens every scenario"
	case len(d.Weakens) == 0:
		return "weakens no scenario that was selected"
	}
	text := "weakens: " + strings.Join(d.Weakens[:min(named, len(d.Weakens))], "; ")
	if more := len(d.Weakens) - named; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

func stale(w io.Writer, l *parity.Ledger) {
	for _, x := range l.Stale {
		if slices.ContainsFunc(l.Differences, func(d parity.Difference) bool { return d.What() == x.What && d.Standing != parity.Harmless }) {
			say(w, "", "WARNING: the waiver of %q (%s) is for other values than there are now: decide again", x.What, x.Where())
			continue
		}
		say(w, "", "WARNING: the waiver of %q (%s) matches no difference that needs it any more: delete it", x.What, x.Where())
	}
	for _, x := range l.Warnings {
		say(w, "", "WARNING: %s", x)
	}
}

// counted is a ledger in one line.
func counted(l *parity.Ledger) string {
	text := fmt.Sprintf("%d the same, %d harmless, %d waived, %d open, %d unknown", l.Same,
		len(l.Of(parity.Harmless)), len(l.Of(parity.Waived)), len(l.Of(parity.Open)), len(l.Of(parity.Unknown)))
	if n := len(l.Expired); n > 0 {
		text += fmt.Sprintf(", %d expired", n)
	}
	return text
}

// unlike is what a summary says of a ledger: what is open in full, what is waived by
// name.
func unlike(w io.Writer, l *parity.Ledger) {
	if l == nil {
		return
	}
	for _, d := range l.Of(parity.Open) {
		fmt.Fprintln(w)
		say(w, "", "NOT LIKE PRODUCTION: %s", d.What())
		say(w, "  ", "%s", d.Sides())
		about(w, "  ", d)
	}
	for _, x := range l.Expired {
		fmt.Fprintln(w)
		say(w, "", "EXPIRED on %s: the waiver of %q, of %s (%s)", x.Expires, x.What, x.Owner, x.Where())
	}
	for _, d := range l.Of(parity.Unknown) {
		fmt.Fprintln(w)
		say(w, "", "CANNOT BE COMPARED with production: %s", d.What())
		about(w, "  ", d)
	}
	if len(l.Stale)+len(l.Warnings) > 0 {
		fmt.Fprintln(w)
		stale(w, l)
	}
	var waived []string
	for _, d := range l.Of(parity.Waived) {
		how := fmt.Sprintf("%d scenarios", len(d.Weakens))
		if len(d.Weakens) == 1 {
			how = "1 scenario"
		}
		if d.Everything {
			how = "every scenario"
		}
		waived = append(waived, fmt.Sprintf("%s (%s)", d.What(), how))
	}
	if len(waived) > 0 {
		fmt.Fprintln(w)
		say(w, "", "Waived differences from production, and what they weaken (rehearse parity says more): %s", strings.Join(waived, ", "))
	}
}

// ParityJUnit writes a ledger as JUnit XML: a test for each difference and each expired
// waiver. What is open failed, what is unknown was skipped.
func ParityJUnit(w io.Writer, l *parity.Ledger) error {
	type message struct {
		Message string `xml:"message,attr"`
	}
	type test struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Failure *message `xml:"failure,omitempty"`
		Skipped *message `xml:"skipped,omitempty"`
		Out     string   `xml:"system-out,omitempty"`
	}
	type suite struct {
		XMLName  xml.Name `xml:"testsuite"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Cases    []test   `xml:"testcase"`
	}
	s := suite{Name: "The staging copy is like production"}
	for _, d := range l.Differences {
		t := test{Name: d.What(), Class: s.Name}
		said := lang.Clean(strings.TrimSuffix(d.Sides()+"; "+weakens(d), "; "))
		if d.Why != "" {
			said += " (" + lang.Clean(d.Why) + ")"
		}
		switch d.Standing {
		case parity.Open:
			t.Failure = &message{said}
			s.Failures++
		case parity.Unknown:
			t.Skipped = &message{said}
			s.Skipped++
		case parity.Waived, parity.Harmless:
			t.Out = d.Standing.String() + ": " + said
		}
		s.Cases = append(s.Cases, t)
	}
	for _, x := range l.Expired {
		s.Failures++
		s.Cases = append(s.Cases, test{Name: "waiver of " + x.What, Class: s.Name, Failure: &message{fmt.Sprintf("expired on %s (%s)", x.Expires, x.Where())}})
	}
	if len(s.Cases) == 0 { // a suite without a test is taken for one that did not run
		s.Cases = append(s.Cases, test{Name: fmt.Sprintf("%d fields are the same", l.Same), Class: s.Name})
	}
	s.Tests = len(s.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	return enc.Encode(s)
}

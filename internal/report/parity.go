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
func Parity(w io.Writer, speak lang.Lang, l *parity.Ledger) {
	p := printer{w, speak}
	p.say("", "The staging copy (%s) beside production (%s)", l.Staging, l.Production)
	service := ""
	for _, d := range l.Differences {
		if d.Service != service {
			service = d.Service
			fmt.Fprintf(w, "\n%s %s %s\n", lang.Pad(lang.Clean(service), 37), lang.Pad(p.Sprintf("staging"), 20), p.Sprintf("production"))
		}
		p.row(d)
	}
	fmt.Fprintln(w)
	for _, x := range l.Expired {
		p.say("", "EXPIRED on %s: the waiver of %q, of %s (%s): renew it with its reason, or mend the difference", x.Expires, x.What, x.Owner, x.Where())
	}
	p.stale(l)
	for _, n := range l.Notes {
		p.say("", "not compared: %s", p.Text(n))
	}
	fmt.Fprintln(w, p.counted(l))
	switch {
	case l.Broken():
		p.say("", "NOT LIKE PRODUCTION: mend what is open, or waive it (reason, owner, expiry)")
	case len(l.Of(parity.Unknown)) > 0:
		p.say("", "INCONCLUSIVE: some of it cannot be compared: describe it, or waive it")
	default:
		p.say("", "LIKE PRODUCTION, but for what is waived and what is harmless")
	}
}

// row is a difference: both values side by side where they fit, and below what is to
// be said of it.
func (p printer) row(d parity.Difference) {
	standing := p.Text(strings.ToLower(d.Standing.String()))
	if d.Standing == parity.Open {
		standing = p.Sprintf("OPEN")
	}
	left, right := lang.Clean(cmp.Or(d.Staging, "-")), lang.Clean(cmp.Or(d.Production, "-"))
	const value = 20
	head := "  " + lang.Pad(standing, 8) + " " + lang.Clean(d.Field)
	if lang.Columns(head) <= 37 && lang.Columns(left) <= value && lang.Columns(right) <= value+2 {
		fmt.Fprintf(p, "%s %s %s\n", lang.Pad(head, 37), lang.Pad(left, value), right)
	} else {
		const under = "           "
		fmt.Fprintln(p, head)
		p.say(under, "staging     %s", left)
		p.say(under, "production  %s", right)
	}
	p.about("           ", d)
}

// about says why a difference stands as it does, and what it weakens.
func (p printer) about(indent string, d parity.Difference) {
	if d.Why != "" {
		p.say(indent, "%s", p.Text(d.Why))
	}
	if d.Standing == parity.Waived && d.Waiver != nil {
		p.say(indent, "waived by %s until %s (%s)", d.Waiver.Owner, d.Waiver.Expires, d.Waiver.Where())
	}
	if text := p.weakens(d); text != "" {
		p.say(indent, "%s", text)
	}
}

// named is how many scenarios are named before the rest are counted.
const named = 3

func (p printer) weakens(d parity.Difference) string {
	switch {
	case d.Standing == parity.Harmless:
		return ""
	case d.Everything:
		return p.Sprintf("weakens every scenario")
	case len(d.Weakens) == 0:
		return p.Sprintf("weakens no scenario that was selected")
	}
	text := strings.Join(d.Weakens[:min(named, len(d.Weakens))], "; ")
	if more := len(d.Weakens) - named; more > 0 {
		return p.Sprintf("weakens: %s; and %d more", text, more)
	}
	return p.Sprintf("weakens: %s", text)
}

func (p printer) stale(l *parity.Ledger) {
	for _, x := range l.Stale {
		if slices.ContainsFunc(l.Differences, func(d parity.Difference) bool { return d.What() == x.What && d.Standing != parity.Harmless }) {
			p.say("", "WARNING: the waiver of %q (%s) is for other values than there are now: decide again", x.What, x.Where())
			continue
		}
		p.say("", "WARNING: the waiver of %q (%s) matches no difference that needs it any more: delete it", x.What, x.Where())
	}
	for _, x := range l.Warnings {
		p.say("", "WARNING: %s", p.Text(x))
	}
}

// counted is a ledger in one line.
func (p printer) counted(l *parity.Ledger) string {
	text := p.Sprintf("%d the same, %d harmless, %d waived, %d open, %d unknown", l.Same,
		len(l.Of(parity.Harmless)), len(l.Of(parity.Waived)), len(l.Of(parity.Open)), len(l.Of(parity.Unknown)))
	if n := len(l.Expired); n > 0 {
		text += p.Sprintf(", %d expired", n)
	}
	return text
}

// unlike is what a summary says of a ledger: what is open in full, what is waived by
// name.
func (p printer) unlike(l *parity.Ledger) {
	if l == nil {
		return
	}
	for _, d := range l.Of(parity.Open) {
		fmt.Fprintln(p)
		p.say("", "NOT LIKE PRODUCTION: %s", d.What())
		p.say("  ", "%s", p.Text(d.Sides()))
		p.about("  ", d)
	}
	for _, x := range l.Expired {
		fmt.Fprintln(p)
		p.say("", "EXPIRED on %s: the waiver of %q, of %s (%s)", x.Expires, x.What, x.Owner, x.Where())
	}
	for _, d := range l.Of(parity.Unknown) {
		fmt.Fprintln(p)
		p.say("", "CANNOT BE COMPARED with production: %s", d.What())
		p.about("  ", d)
	}
	if len(l.Stale)+len(l.Warnings) > 0 {
		fmt.Fprintln(p)
		p.stale(l)
	}
	var waived []string
	for _, d := range l.Of(parity.Waived) {
		switch {
		case d.Everything:
			waived = append(waived, p.Sprintf("%s (every scenario)", d.What()))
		case len(d.Weakens) == 1:
			waived = append(waived, p.Sprintf("%s (1 scenario)", d.What()))
		default:
			waived = append(waived, p.Sprintf("%s (%d scenarios)", d.What(), len(d.Weakens)))
		}
	}
	if len(waived) > 0 {
		fmt.Fprintln(p)
		p.say("", "Waived differences from production, and what they weaken (rehearse parity says more): %s", strings.Join(waived, ", "))
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
		said := lang.Clean(strings.TrimSuffix(d.Sides()+"; "+printer{}.weakens(d), "; "))
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

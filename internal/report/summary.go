package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/parity"
	"rehearsal/internal/stage"
)

// A Run is what came of a rehearsal, as a summary tells it.
type Run struct {
	Scenarios  []Scenario
	Compared   []Comparison
	Unverified []string
	Skipped    int // scenarios that were rehearsed on the simulated stage alone, as asked
	LeftOut    int // scenarios that push to a pipeline and were left out, as asked
	Outside    []Outside
	Took       time.Duration
	Seed       uint64
	Status     int       // the exit status
	Lang       lang.Lang // that it is told in; "" is English
	// Parity is what differs from production; nil where nothing describes it, and then
	// NotCompared says so.
	Parity      *parity.Ledger
	NotCompared string
}

// A Scenario is one scenario on one stage.
type Scenario struct {
	Stage, Where, Feature, Name string
	Verdict                     check.Verdict
	Input                       bool
	Err                         error
	Step, Outcome, File         string
	Findings                    []check.Finding
	Measures                    check.Measures
	Undetected                  bool
}

// Outside is a call to something outside of the staging copy, which was refused.
type Outside struct {
	Call     stage.Call
	Versions []string // of the released service, where it called
}

// String is the call and, in parentheses, who called.
func (o Outside) String() string {
	if len(o.Versions) == 0 {
		return o.Call.String()
	}
	return o.Call.String() + " (" + strings.Join(o.Versions, ", ") + ")"
}

// OutsideOf collects the calls of several histories, each once, in the order in which
// they came.
func OutsideOf(histories []*stage.History) []Outside {
	var all []Outside
	at := map[stage.Call]int{}
	for _, h := range histories {
		for e := range h.All(stage.CalledOut) {
			i, known := at[*e.Call]
			if !known {
				i = len(all)
				at[*e.Call], all = i, append(all, Outside{Call: *e.Call})
			}
			if v := e.Version; v != "" && !slices.Contains(all[i].Versions, v) {
				all[i].Versions = append(all[i].Versions, v)
			}
		}
	}
	return all
}

// A Comparison is a scenario on both stages.
type Comparison struct {
	Where, Name         string
	Predicted, Measured check.Measures
	Apart               []check.Finding
}

// Summary prints a run: what went wrong first, then predicted beside measured, then
// what was not verified, and the verdict last, where the eye is.
func Summary(w io.Writer, r Run) {
	p := printer{w, r.Lang}
	p.unlike(r.Parity)
	for _, s := range r.Scenarios {
		if s.Verdict != check.Passed {
			p.broken(s)
		}
	}
	p.compared(r.Compared)
	p.undetected(r.Scenarios)
	p.outside(r.Outside)
	for _, u := range r.Unverified {
		fmt.Fprintln(w)
		p.say("", "NOT VERIFIED: %s", p.Text(u))
	}
	if r.Skipped > 0 {
		fmt.Fprintln(w)
		p.say("", "%d scenarios were left to the simulated stage, as asked (make verify THOROUGH=1 rehearses all in containers)", r.Skipped)
	}
	if r.NotCompared != "" {
		fmt.Fprintln(w)
		p.say("", "%s", p.Text(r.NotCompared))
	}
	if r.LeftOut > 0 {
		fmt.Fprintln(w)
		p.say("", "%d scenarios that push to the team's pipeline were left out, as asked (make pipelines rehearses them)", r.LeftOut)
	}
	counts := map[string]map[check.Verdict]int{}
	var stages []string
	for _, s := range r.Scenarios {
		if counts[s.Stage] == nil {
			counts[s.Stage] = map[check.Verdict]int{}
			stages = append(stages, s.Stage)
		}
		counts[s.Stage][s.Verdict]++
	}
	fmt.Fprintln(w)
	for _, st := range stages {
		c := counts[st]
		fmt.Fprintln(w, lang.Pad(p.Text(st), 10)+"  "+p.Sprintf("%d passed, %d failed, %d inconclusive", c[check.Passed], c[check.Failed], c[check.Inconclusive]))
	}
	if r.Parity != nil {
		fmt.Fprintln(w, lang.Pad(p.Sprintf("parity"), 10)+"  "+p.counted(r.Parity))
	}
	took := r.Took.Round(100 * time.Millisecond)
	if r.Took < time.Second {
		took = r.Took.Round(time.Millisecond)
	}
	p.say("", "%s (%s, seed %d)", p.Text(Conclusion(r.Status)), took.String(), r.Seed)
}

// Conclusion is what an exit status says, in a sentence.
func Conclusion(status int) string {
	switch status {
	case 0:
		return "VERIFIED: every promise was kept"
	case 1:
		return "BROKEN: a promise was broken, do not release"
	case 2:
		return "WRONG INPUT: mend it and run again"
	}
	return "INCONCLUSIVE: nothing may be concluded, do not release on it"
}

func (p printer) broken(s Scenario) {
	verdict := s.Verdict.String()
	if s.Input {
		verdict = "wrong input"
	}
	fmt.Fprintln(p)
	p.say("", "%s on the %s stage: %s", strings.ToUpper(p.Text(verdict)), p.Text(s.Stage), s.Name)
	p.say("  ", "%s", s.Where)
	if s.Step != "" {
		p.say("  ", "at: %s", s.Step)
	}
	if s.Err != nil {
		for l := range strings.SplitSeq(p.Text(s.Err.Error()), "\n") {
			p.say("  ", "%s", l)
		}
	}
	if s.Outcome != "" {
		p.say("  ", "the release: %s", p.Text(s.Outcome))
	}
	if s.File != "" {
		p.say("  ", "history: %s", s.File)
	}
}

// wide is how many columns a summary has: what every terminal and mail shows.
const wide = 80

// A printer prints for people.
type printer struct {
	io.Writer
	lang.Lang
}

// Say prints a paragraph in a language, indented, in lines of at most 80 columns.
func Say(w io.Writer, l lang.Lang, indent, format string, args ...any) {
	for _, line := range lang.Wrap(indent+lang.Clean(l.Sprintf(format, args...)), indent+"  ", wide) {
		fmt.Fprintln(w, line)
	}
}

func (p printer) say(indent, format string, args ...any) { Say(p, p.Lang, indent, format, args...) }

// compared is a table.
func (p printer) compared(cs []Comparison) {
	if len(cs) == 0 {
		return
	}
	row := func(name, detected, restored, failed string) {
		fmt.Fprintln(p, lang.Pad(name, 36)+" "+lang.Pad(detected, 13)+" "+lang.Pad(restored, 13)+" "+failed)
	}
	fmt.Fprintln(p)
	p.say("", "Predicted by the simulation > measured in containers")
	row("", p.Sprintf("detected in"), p.Sprintf("restored in"), p.Sprintf("failed requests"))
	for _, c := range cs {
		row(lang.Clean(c.Name),
			seconds(c.Predicted.Detect)+" > "+seconds(c.Measured.Detect),
			seconds(c.Predicted.Restore)+" > "+seconds(c.Measured.Restore),
			fmt.Sprintf("%s > %s %%", percent(c.Predicted), percent(c.Measured)))
		for _, f := range c.Apart {
			p.say("  ", "APART: %s: %s (%s)", p.Text(f.Check), p.Text(f.Detail), c.Where)
		}
	}
}

func seconds(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	return fmt.Sprintf("%.0fs", d.Seconds())
}

// percent never rounds failed requests to none.
func percent(m check.Measures) string {
	if p := m.FailedShare(); p == 0 || p >= 0.05 {
		return fmt.Sprintf("%.1f", p)
	}
	return "<0.1"
}

// outside says who called something outside, since a rehearsal in which a call is
// refused that production answers is not quite production's.
func (p printer) outside(calls []Outside) {
	if len(calls) == 0 {
		return
	}
	fmt.Fprintln(p)
	p.say("", "REFUSED, since nothing outside of the staging copy is reached")
	for _, c := range calls {
		p.say("  ", "%s", c.String())
	}
	p.say("  ", "make what is called a service of the compose file: the real one, or a stub")
}

func (p printer) undetected(ss []Scenario) {
	for _, s := range ss {
		if s.Undetected && s.Verdict == check.Passed {
			fmt.Fprintln(p)
			p.say("", "UNDETECTED, as the scenario says: %s (%s)", s.Name, s.Where)
			p.say("  ", "%d of %d requests failed on the %s stage and no alarm saw it", s.Measures.Failed, s.Measures.Requests, p.Text(s.Stage))
		}
	}
}

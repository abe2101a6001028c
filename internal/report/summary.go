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
	Status     int // the exit status
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
	unlike(w, r.Parity)
	for _, s := range r.Scenarios {
		if s.Verdict != check.Passed {
			broken(w, s)
		}
	}
	compared(w, r.Compared)
	undetected(w, r.Scenarios)
	outside(w, r.Outside)
	for _, u := range r.Unverified {
		fmt.Fprintln(w)
		say(w, "", "NOT VERIFIED: %s", u)
	}
	if r.Skipped > 0 {
		fmt.Fprintf(w, "\n%d scenarios were left to the simulated stage, as asked (make verify THOROUGH=1\nrehearses all in containers)\n", r.Skipped)
	}
	if r.NotCompared != "" {
		fmt.Fprintln(w)
		say(w, "", "%s", r.NotCompared)
	}
	if r.LeftOut > 0 {
		fmt.Fprintf(w, "\n%d scenarios that push to the team's pipeline were left out, as asked\n(make pipelines rehearses them)\n", r.LeftOut)
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
		fmt.Fprintf(w, "%-10s  %d passed, %d failed, %d inconclusive\n", st, c[check.Passed], c[check.Failed], c[check.Inconclusive])
	}
	if r.Parity != nil {
		fmt.Fprintf(w, "%-10s  %s\n", "parity", counted(r.Parity))
	}
	took := r.Took.Round(100 * time.Millisecond)
	if r.Took < time.Second {
		took = r.Took.Round(time.Millisecond)
	}
	say(w, "", "%s (%s, seed %d)", Conclusion(r.Status), took, r.Seed)
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

func broken(w io.Writer, s Scenario) {
	verdict := s.Verdict.String()
	if s.Input {
		verdict = "wrong input"
	}
	fmt.Fprintln(w)
	say(w, "", "%s on the %s stage: %s", strings.ToUpper(verdict), s.Stage, s.Name)
	say(w, "  ", "%s", s.Where)
	if s.Step != "" {
		say(w, "  ", "at: %s", s.Step)
	}
	if s.Err != nil {
		for l := range strings.SplitSeq(s.Err.Error(), "\n") {
			say(w, "  ", "%s", l)
		}
	}
	if s.Outcome != "" {
		say(w, "  ", "the release: %s", s.Outcome)
	}
	if s.File != "" {
		say(w, "  ", "history: %s", s.File)
	}
}

// wide is how many columns a summary has: what every terminal and mail shows.
const wide = 80

// say prints a paragraph, indented.
func say(w io.Writer, indent, format string, args ...any) {
	for _, l := range lang.Wrap(indent+lang.Clean(fmt.Sprintf(format, args...)), indent+"  ", wide) {
		fmt.Fprintln(w, l)
	}
}

// compared is a table.
func compared(w io.Writer, cs []Comparison) {
	if len(cs) == 0 {
		return
	}
	const row = "%s %-13s %-13s %s\n"
	fmt.Fprintf(w, "\nPredicted by the simulation > measured in containers\n")
	fmt.Fprintf(w, row, lang.Pad("", 36), "detected in", "restored in", "failed")
	for _, c := range cs {
		fmt.Fprintf(w, row, lang.Pad(lang.Clean(c.Name), 36),
			seconds(c.Predicted.Detect)+" > "+seconds(c.Measured.Detect),
			seconds(c.Predicted.Restore)+" > "+seconds(c.Measured.Restore),
			fmt.Sprintf("%s > %s %%", percent(c.Predicted), percent(c.Measured)))
		for _, f := range c.Apart {
			say(w, "  ", "APART: %s: %s (%s)", f.Check, f.Detail, c.Where)
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
func outside(w io.Writer, calls []Outside) {
	if len(calls) == 0 {
		return
	}
	fmt.Fprintf(w, "\nREFUSED, since nothing outside of the staging copy is reached\n")
	for _, c := range calls {
		by := ""
		if len(c.Versions) > 0 {
			by = " (" + strings.Join(c.Versions, ", ") + ")"
		}
		say(w, "  ", "%s%s", c.Call, by)
	}
	say(w, "  ", "make what is called a service of the compose file: the real one, or a stub")
}

func undetected(w io.Writer, ss []Scenario) {
	for _, s := range ss {
		if s.Undetected && s.Verdict == check.Passed {
			fmt.Fprintln(w)
			say(w, "", "UNDETECTED, as the scenario says: %s (%s)", s.Name, s.Where)
			say(w, "  ", "%d of %d requests failed on the %s stage and no alarm saw it", s.Measures.Failed, s.Measures.Requests, s.Stage)
		}
	}
}

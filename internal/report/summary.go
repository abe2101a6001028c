package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"rehearsal/internal/check"
)

// A Run is what came of a rehearsal, as a summary tells it.
type Run struct {
	Scenarios  []Scenario
	Compared   []Comparison
	Unverified []string
	Took       time.Duration
	Seed       uint64
	Status     int // the exit status
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

// A Comparison is a scenario on both stages.
type Comparison struct {
	Where, Name         string
	Predicted, Measured check.Measures
	Apart               []check.Finding
}

// Summary prints a run: what went wrong first, then predicted beside measured, then
// what was not verified, and the verdict last, where the eye is.
func Summary(w io.Writer, r Run) {
	for _, s := range r.Scenarios {
		if s.Verdict != check.Passed {
			broken(w, s)
		}
	}
	compared(w, r.Compared)
	undetected(w, r.Scenarios)
	for _, u := range r.Unverified {
		fmt.Fprintf(w, "\nNOT VERIFIED: %s\n", u)
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
	fmt.Fprintf(w, "%s (%s, seed %d)\n", conclusion(r), r.Took.Round(100*time.Millisecond), r.Seed)
}

func conclusion(r Run) string {
	switch r.Status {
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
	fmt.Fprintf(w, "\n%s on the %s stage: %s\n  %s\n", strings.ToUpper(s.Verdict.String()), s.Stage, s.Name, s.Where)
	fmt.Fprintf(w, "  at: %s\n", s.Step)
	for _, l := range strings.Split(s.Err.Error(), "\n") {
		fmt.Fprintf(w, "  %s\n", l)
	}
	if s.Outcome != "" {
		fmt.Fprintf(w, "  the release: %s\n", s.Outcome)
	}
	if s.File != "" {
		fmt.Fprintf(w, "  history: %s\n", s.File)
	}
}

// compared is a table of at most 80 columns.
func compared(w io.Writer, cs []Comparison) {
	if len(cs) == 0 {
		return
	}
	fmt.Fprintf(w, "\nPredicted by the simulation > measured in containers\n")
	fmt.Fprintf(w, "%-36s %-14s %-14s %s\n", "", "detected in", "restored in", "failed")
	for _, c := range cs {
		fmt.Fprintf(w, "%s %-14s %-14s %s\n", pad(c.Name, 36),
			seconds(c.Predicted.Detect)+" > "+seconds(c.Measured.Detect),
			seconds(c.Predicted.Restore)+" > "+seconds(c.Measured.Restore),
			fmt.Sprintf("%.1f > %.1f %%", c.Predicted.FailedShare(), c.Measured.FailedShare()))
		for _, f := range c.Apart {
			fmt.Fprintf(w, "  APART: %s: %s (%s)\n", f.Check, f.Detail, c.Where)
		}
	}
}

func seconds(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	return fmt.Sprintf("%.0fs", d.Seconds())
}

// pad makes s exactly n columns wide.
func pad(s string, n int) string {
	s = cut(s, n)
	return s + strings.Repeat(" ", max(0, n-columns(s)))
}

func undetected(w io.Writer, ss []Scenario) {
	for _, s := range ss {
		if s.Undetected && s.Verdict == check.Passed {
			fmt.Fprintf(w, "\nUNDETECTED, as the scenario says: %s (%s)\n  %d of %d requests failed on the %s stage and no alarm saw it\n",
				s.Name, s.Where, s.Measures.Failed, s.Measures.Requests, s.Stage)
		}
	}
}

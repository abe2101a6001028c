package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/lang"
	"rehearsal/internal/runs"
)

// PastRuns is past runs for people to read.
type PastRuns struct {
	Out  io.Writer
	Lang lang.Lang
	Zone *time.Location // of the reader
}

func (p PastRuns) line(format string, args ...any) {
	Say(p.Out, p.Lang, "", format, args...)
}

// row prints cells of those widths, the last one as long as it is.
func (p PastRuns) row(widths []int, cells ...string) {
	var b strings.Builder
	for i, c := range cells {
		if c = lang.Clean(c); i < len(widths) {
			c = lang.Pad(c, widths[i]) + "  "
		}
		b.WriteString(c)
	}
	fmt.Fprintln(p.Out, strings.TrimRight(b.String(), " "))
}

// List prints runs, newest first, of all that are kept in the file.
func (p PastRuns) List(all []runs.Summary, of int, file string) {
	widths := []int{16, 8, 13, 9, 7, 8}
	p.row(widths, p.Lang.Sprintf("began"), p.Lang.Sprintf("commit"), p.Lang.Sprintf("verdict"), p.Lang.Sprintf("passed"), p.Lang.Sprintf("detect"), p.Lang.Sprintf("restore"), p.Lang.Sprintf("took"))
	for _, r := range all {
		took := "-"
		if r.Ended != nil {
			took = p.time(r.Ended.Sub(r.Began))
		}
		passed := fmt.Sprintf("%d/%d", r.Passed, r.Passed+r.Failed+r.Inconclusive)
		if r.Part {
			passed += "*"
		}
		p.row(widths, p.at(r.Began), commitOf(r.Commit, r.Dirty), p.status(r), passed, p.measured(r.Detect), p.measured(r.Restore), took)
	}
	fmt.Fprintln(p.Out)
	p.line("detect and restore are medians of the scenarios in which they came, measured in containers or, with ~, predicted by the simulation. + is a commit with changes that no commit has, * a run of some scenarios only.")
	if of > len(all) {
		p.line("These are the last %d of %d runs that are kept in %s (-n 0 shows all).", len(all), of, file)
	} else {
		p.line("%d runs are kept in %s.", of, file)
	}
}

// status is the verdict of a run in a word.
func (p PastRuns) status(r runs.Summary) string {
	if r.Status == nil {
		return p.Lang.Sprintf("not ended")
	}
	return p.Lang.Text(runs.VerdictOf(*r.Status))
}

func (p PastRuns) at(t time.Time) string { return t.In(p.Zone).Format("2006-01-02 15:04") }

func commitOf(id string, dirty bool) string {
	switch {
	case id == "":
		return "-"
	case dirty:
		return id[:min(7, len(id))] + "+"
	}
	return id[:min(7, len(id))]
}

// measured is the median of what was measured in containers, else of what the
// simulation predicted.
func (p PastRuns) measured(by map[string][]time.Duration) string {
	if t := by["containers"]; len(t) > 0 {
		return p.time(runs.Median(t))
	}
	if t := by["simulated"]; len(t) > 0 {
		return "~" + p.time(runs.Median(t))
	}
	return "-"
}

// time is a duration with no more digits than matter.
func (p PastRuns) time(d time.Duration) string {
	switch {
	case d < 0:
		return "-"
	case d < 10*time.Second:
		return p.Lang.Sprintf("%.1fs", d.Seconds())
	case d < 10*time.Minute:
		return p.Lang.Sprintf("%.0fs", d.Seconds())
	case d < 2*time.Hour:
		return p.Lang.Sprintf("%.0fmin", d.Minutes())
	case d < 48*time.Hour:
		return p.Lang.Sprintf("%.1fh", d.Hours())
	}
	return p.Lang.Sprintf("%.1fd", d.Hours()/24)
}

// Line prints the past of one scenario, newest first.
func (p PastRuns) Line(l runs.Line, past []runs.Past) {
	p.line("%s (%s, %s)", l.Scenario, l.Place, p.Lang.Text(l.Stage))
	widths := []int{16, 8, 12, 7, 7, 8}
	p.row(widths, p.Lang.Sprintf("began"), p.Lang.Sprintf("commit"), p.Lang.Sprintf("verdict"), p.Lang.Sprintf("detect"), p.Lang.Sprintf("restore"), p.Lang.Sprintf("errors"))
	longest := time.Duration(1)
	for _, r := range past {
		longest = max(longest, r.Restore)
	}
	for _, r := range past {
		failed, bar := "-", ""
		if r.Requests > 0 {
			failed = fmt.Sprintf("%.1f %%", 100*float64(r.Failed)/float64(r.Requests))
		}
		if r.Restore > 0 {
			bar = strings.Repeat("#", int((9*r.Restore+longest-1)/longest))
		}
		p.row(widths, p.at(r.At), commitOf(r.Commit, r.Dirty), p.Lang.Text(r.Verdict), p.time(r.Detect), p.time(r.Restore), failed, bar)
		if r.Step != "" {
			fmt.Fprint(p.Out, lang.Paragraph("    ", wide, lang.Clean(p.Lang.Sprintf("at \"%s\": %s", r.Step, firstLine(r.Why)))))
		}
	}
	if l.Gone {
		p.line("The newest run of all scenarios had none of that name: it was renamed or deleted. A renamed scenario begins a new line; nothing joins the two.")
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// Flaky prints the scenarios that came out differently at the same commit.
func (p PastRuns) Flaky(all []runs.Flaky) {
	if len(all) == 0 {
		p.line("No scenario came out differently at the same commit, by the same version of rehearse, with the same seed and pace. Runs with changes that no commit has do not count: nothing tells what ran.")
		return
	}
	letters := map[string]string{"passed": ".", "failed": "F", "inconclusive": "I"}
	for _, f := range all {
		p.line("%s (%s)", f.Scenario, p.Lang.Text(f.Stage))
		var marks []string
		for _, v := range f.Verdicts {
			marks = append(marks, letters[v])
		}
		fmt.Fprint(p.Out, lang.Paragraph("    ", wide, strings.Join(marks, " ")))
		say := func(format string, args ...any) {
			fmt.Fprint(p.Out, lang.Paragraph("    ", wide, lang.Clean(p.Lang.Sprintf(format, args...))))
		}
		if f.Failed > 0 {
			say("%d of %d runs at this commit failed", f.Failed, f.Runs)
		}
		if f.Inconclusive > 0 {
			say("%d of %d runs at this commit were inconclusive", f.Inconclusive, f.Runs)
		}
		say("commit %s, rehearse %s, seed %d, pace %g", commitOf(f.Commit, false), f.Version, f.Seed, f.Pace)
		if f.GreenAfterRed() {
			say("the last run passed, and nothing was mended before it: the earlier ones count as well")
		}
	}
	fmt.Fprintln(p.Out)
	p.line("Oldest first: . passed, F failed, I inconclusive. No verdict is ever replaced by a later one.")
}

// DORA prints the measures of rehearsals, each with how many runs it is from.
func (p PastRuns) DORA(d runs.DORA) {
	p.line("Asked of rehearsals as DORA asks of deployments (https://dora.dev/guides/dora-metrics/)")
	few := func(of, need int) string { return p.Lang.Sprintf("not enough runs: %d, and it takes %d", of, need) }
	times := func(t runs.Times) string {
		switch {
		case t.Median == nil:
			return few(t.Of, t.Need)
		case t.P90 == nil:
			return p.Lang.Sprintf("median %s (of %d)", p.time(*t.Median), t.Of)
		}
		return p.Lang.Sprintf("median %s, nine of ten within %s (of %d)", p.time(*t.Median), p.time(*t.P90), t.Of)
	}
	say := func(name, text string) {
		name = lang.Pad(p.Lang.Sprintf(name), 20)
		for i, l := range lang.Wrap(text, "", wide-24) {
			if i > 0 {
				name = strings.Repeat(" ", 20)
			}
			fmt.Fprintf(p.Out, "  %s  %s\n", name, l)
		}
	}
	if f := d.Frequency; f.PerWeek != nil {
		say("rehearsal frequency", p.Lang.Sprintf("%.1f per week (%d verified, of %d commits, in %s)", *f.PerWeek, f.Of, f.Commits, p.time(f.Span)))
	} else {
		say("rehearsal frequency", p.Lang.Sprintf("not enough runs: %d verified in %s, and it takes %s", f.Of, p.time(f.Span), p.time(f.Need)))
	}
	say("lead time", p.Lang.Sprintf("from commit to verified: %s", times(d.Lead)))
	if s := d.Failure; s.Percent != nil {
		say("change fail rate", p.Lang.Sprintf("%.0f %%: %d of %d commits were broken when first rehearsed", *s.Percent, s.Count, s.Of))
	} else {
		say("change fail rate", few(s.Of, s.Need))
	}
	for _, stage := range slices.Sorted(maps.Keys(d.Restore)) {
		if stage == "containers" {
			say("time to restore", p.Lang.Sprintf("measured in containers: %s", times(d.Restore[stage])))
		} else {
			say("time to restore", p.Lang.Sprintf("predicted by the simulation: %s", times(d.Restore[stage])))
		}
	}
	if len(d.Restore) == 0 {
		say("time to restore", few(0, d.Recovery.Need))
	}
	say("from red to green", times(d.Recovery))
	if d.Parts+d.Unfinished > 0 {
		p.line("  Not counted: %d runs of some scenarios only, %d that did not end.", d.Parts, d.Unfinished)
	}
}

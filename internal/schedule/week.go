package schedule

import (
	"fmt"
	"io"
	"strings"
	"time"

	"rehearsal/internal/lang"
)

// width is how many columns anything takes at most.
const width = 80

// Write prints the best openings, at most so many, and the heat map of the seven days
// from the first, in the reader's language.
func (p *Proposal) Write(w io.Writer, speak lang.Lang, most int) error {
	var b strings.Builder
	r := p.Rules
	wrapped(&b, "", speak.Sprintf("%s takes %s, and %s with its way back. Starts from %s to %s; times are of %s.",
		r.Plan.Name, brief(r.Bakes()), brief(r.Lasts()), r.words(p.From), r.words(p.To), r.Zone().String()))
	if r.Least > 0 {
		wrapped(&b, "", speak.Sprintf("The alarms need %s requests a second: %s.", rough(r.Least), speak.Text(r.LeastFor)))
	}
	if gaps := r.Profile.Missing(); gaps != "" {
		wrapped(&b, "", speak.Sprintf("%d hours of the profile were missing: %s.", len(r.Profile.Filled), speak.Text(gaps)))
	}
	b.WriteByte('\n')
	b.WriteString(row(speak.Sprintf("best start"), speak.Sprintf("open from"), speak.Sprintf("until"), speak.Sprintf("users exposed"), speak.Sprintf("over by")))
	for i := range p.Openings[:min(most, len(p.Openings))] {
		o := &p.Openings[i]
		at := func(t time.Time) string { return t.In(r.Zone()).Format("15:04 MST") }
		b.WriteString(row(clip(r.words(o.Best.At), 27), clip(at(o.First), 11), clip(r.day(o.First, o.Last), 11), thousands(o.Best.Users), clip(r.day(o.Best.At, o.Best.Over), 11)))
		wrapped(&b, "    ", speak.Text(p.Why(o)+"."))
	}
	if n := len(p.Openings) - most; n > 0 {
		b.WriteString(speak.Sprintf("and %d more", n) + "\n")
	}
	b.WriteByte('\n')
	p.week(&b, speak)
	b.WriteByte('\n')
	wrapped(&b, "", speak.Sprintf("Users exposed: those who meet the new version if what is wrong is noticed only at the end and the way back takes its %s; a visit is %g requests, each to whichever version the balancer chooses.",
		brief(r.Plan.Rollback.Within), r.Service.PerUser))
	_, err := io.WriteString(w, b.String())
	return err
}

// row is a line of the table of openings.
func row(best, from, until, users, over string) string {
	right := func(s string, n int) string { return strings.Repeat(" ", max(0, n-lang.Columns(s))) + s }
	return lang.Pad(best, 27) + " " + lang.Pad(from, 11) + " " + lang.Pad(until, 11) + " " + right(users, 13) + " " + right(over, 11) + "\n"
}

// day is a time, and its day where that is another than the first's.
func (r *Rules) day(first, t time.Time) string {
	a, b := first.In(r.Zone()), t.In(r.Zone())
	if a.YearDay() == b.YearDay() && a.Year() == b.Year() {
		return b.Format("15:04 MST")
	}
	return b.Format("Mon 15:04")
}

// week draws seven days: in each hour the traffic in tenths of the busiest, and whether
// a release may start.
func (p *Proposal) week(b *strings.Builder, speak lang.Lang) {
	r := p.Rules
	from := p.From.In(r.Zone())
	b.WriteString("      ")
	for h := range 24 {
		fmt.Fprintf(b, " %02d", h)
	}
	b.WriteString("\n")
	for d := range 7 {
		b.WriteString(time.Date(from.Year(), from.Month(), from.Day()+d, 12, 0, 0, 0, r.Zone()).Format("Mon 02"))
		line := ""
		for h := range 24 {
			line += p.cell(from.Year(), from.Month(), from.Day()+d, h)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	b.WriteString("\n")
	wrapped(b, "", speak.Sprintf("0 to 9: requests, in tenths of the busiest hour. [5] a release may start, <5> best; else not: w the plan's window, x frozen, z people leave before it is over, t too thin for the alarms; -- the hour that the clocks skip. An hour that comes twice is shown once."))
}

// cell is three columns for one hour of the clocks.
func (p *Proposal) cell(year int, month time.Month, day, hour int) string {
	r := p.Rules
	begins := time.Date(year, month, day, hour, 0, 0, 0, r.Zone())
	if begins.Hour() != hour {
		return " --"
	}
	// The hour may come twice: look at the one after too, where the clocks say the same.
	open, best, reason, past := false, false, Open, true
	for t := begins; t.Sub(begins) < 2*time.Hour; t = t.Add(step) {
		if t.In(r.Zone()).Hour() != hour || t.In(r.Zone()).Day() != begins.Day() {
			break
		}
		if t.Before(p.From) {
			continue
		}
		past = false
		why, _ := r.Closed(t)
		open = open || why == Open
		best = best || len(p.Openings) > 0 && !p.Openings[0].Best.At.Before(t) && p.Openings[0].Best.At.Before(t.Add(step))
		if reason == Open {
			reason = why
		}
	}
	level := 0
	if busiest := r.Profile.Busiest(); busiest > 0 {
		level = min(int(10*r.Profile.Rate(begins)/busiest), 9)
	}
	switch {
	case past:
		return fmt.Sprintf(" %d ", level)
	case best:
		return fmt.Sprintf("<%d>", level)
	case open:
		return fmt.Sprintf("[%d]", level)
	}
	return fmt.Sprintf(" %d%c", level, reason.Mark())
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// wrapped writes text in lines of at most 80 columns.
func wrapped(b *strings.Builder, indent, text string) {
	b.WriteString(lang.Paragraph(indent, width, text))
}

package chart

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/lang"
	"rehearsal/internal/live"
	"rehearsal/internal/release"
)

// Plan draws a plan of a service that has so many replicas (0: not known): the new
// version's share over the bakes, the checks around the shifts, the alarms watched and
// the way back. The start of replicas is not drawn: the plan does not say how long it takes.
func Plan(plan *release.Plan, replicas int, o Options) (svg string, err error) {
	if plan == nil || !slices.Contains(release.Strategies(), plan.Strategy) {
		return "", fmt.Errorf("there is no plan to draw: its strategy must be one of %q", release.Strategies())
	}
	steps := plan.Schedule(replicas)
	const most = 400 // of a linear plan by 0.25 %: more steps than that are not seen
	if len(steps) > most {
		return "", fmt.Errorf("plan %q: %d steps are too many to draw: at most %d", plan.Name, len(steps), most)
	}
	d := &planned{timeline: timeline{o: o}, plan: plan, steps: steps, length: plan.Length(replicas)}
	d.to = max(d.length, time.Second)
	d.to += d.to / 20 // everyone stays on the new version
	d.c, d.dc = newCanvas(width, tall)
	d.draw()
	title := o.Title
	if title == "" {
		title = o.Lang.Sprintf("The plan %s", plan.Name)
	}
	return d.c.svg("", title, strings.Join(PlanWords(plan, replicas, o.Lang), " "), d.y)
}

// A planned is the drawing of a plan, on the time axis of a timeline.
type planned struct {
	timeline
	plan   *release.Plan
	steps  []release.Step
	length time.Duration // of all bakes
}

func (d *planned) draw() {
	d.y = 0
	d.shares()
	d.lanes()
	d.back()
	d.times()
}

// shares is a stair: each step with its share and its bake.
func (d *planned) shares() {
	const height = 96
	l := d.o.Lang
	d.heading(l.Sprintf("share of the new version"))
	y := func(share float64) float64 { return d.y + height*(1-min(max(share, 0), 100)/100) }
	at, before := time.Duration(0), 0.0
	area := []float64{left, y(0)}
	stair := slices.Clone(area)
	type word struct {
		x, y float64
		text string
	}
	var words []word
	free := 0.0 // from where there is room
	for _, s := range d.steps {
		from := at
		at += s.Bake
		till := at
		if s.Share == 100 {
			till = d.to
		}
		stair = append(stair, d.x(from), y(before), d.x(from), y(s.Share), d.x(till), y(s.Share))
		before = s.Share
		text := percent(s.Share)
		if s.Bake > 0 {
			text = l.Sprintf("%s, bake %s", percent(s.Share), live.Duration(l, s.Bake))
		}
		short := percent(s.Share)
		x, top := d.x(from)+6, y(s.Share)-5
		if s.Share > 80 {
			top = y(s.Share) + 16
		}
		for _, s := range []string{text, short} {
			room := d.x(till)
			if till == d.to {
				room = width
			}
			if x >= free && x+wide(s) <= room {
				words = append(words, word{x, top, s})
				free = x + wide(s)
				break
			}
		}
	}
	area = append(stair, d.x(d.to), y(0))
	d.c.path(shadeNew, true, area...)
	d.c.path(lineNew, false, stair...)
	for _, w := range words {
		d.c.write(text, start, w.x, w.y, w.text)
	}
	d.frame(height, "100 %")
}

// lanes are what is asked and watched meanwhile.
func (d *planned) lanes() {
	l, c := d.o.Lang, d.plan.Checks
	if n := len(c.Before); n > 0 || c.Test || c.Shift || c.After {
		d.y += 26
		d.c.write(quiet, end, left-6, d.y-2, l.Sprintf("checks"))
		d.c.path(axis, false, left, d.y, right, d.y)
		at := time.Duration(0)
		for i, s := range d.steps {
			if c.Shift || i == 0 && (n > 0 || c.Test) {
				x := d.x(at)
				d.c.path(solid, true, x-4, d.y-8, x+4, d.y-8, x, d.y)
			}
			at += s.Bake
		}
		if c.After {
			x := d.x(at)
			d.c.path(solid, true, x-4, d.y-8, x+4, d.y-8, x, d.y)
		}
		var what []string
		if n > 0 {
			what = append(what, l.Sprintf("before: %d", n))
		}
		if c.Test {
			what = append(what, l.Sprintf("test: smoke"))
		}
		if c.Shift {
			what = append(what, l.Sprintf("each shift: smoke"))
		}
		if c.After {
			what = append(what, l.Sprintf("after: smoke"))
		}
		d.paragraph(strings.Join(what, l.Sprintf(", ")))
	}
	d.y += 24
	d.c.write(quiet, end, left-6, d.y-1, l.Sprintf("alarms"))
	watched := l.Sprintf("%d alarms watched", len(d.plan.Alarms))
	if len(d.plan.Alarms) == 0 {
		watched = l.Sprintf("no alarm is watched")
		d.c.path(unknown, false, left, d.y+4, right, d.y+4)
	} else {
		d.c.box(shade, true, d.x(0), d.y-13, d.x(d.length), d.y+4)
		d.c.path(axis, false, left, d.y+4, right, d.y+4)
	}
	d.c.write(text, start, left+6, d.y, watched)
	d.y += 8
}

// back is the way back, an arrow against the time.
func (d *planned) back() {
	l, b := d.o.Lang, d.plan.Rollback
	d.y += 20
	d.c.write(quiet, end, left-6, d.y+4, l.Sprintf("back"))
	if !b.ToLastGood {
		d.c.write(text, start, left+6, d.y+4, l.Sprintf("There is no way back."))
		d.y += 10
		return
	}
	d.c.path(predictedLine, false, right, d.y, left, d.y)
	d.c.path(solid, true, left, d.y, left+9, d.y-4, left+9, d.y+4)
	words := l.Sprintf("to the version that was last good")
	if b.Within > 0 {
		words = l.Sprintf("to the version that was last good, within %s", live.Duration(l, b.Within))
	}
	d.paragraph(words)
}

// paragraph is text below, as wide as the plot and what is beside it.
func (d *planned) paragraph(s string) {
	room := float64(width-left) / column
	for _, line := range lang.Wrap(s, "", int(room)) {
		d.y += 18
		d.c.write(text, start, left, d.y, line)
	}
}

func (d *planned) times() {
	d.y += 14
	d.c.path(axis, false, left, d.y, right, d.y)
	every := tickEvery(d.to)
	for at := time.Duration(0); at <= d.to; at += every {
		x := d.x(at)
		d.c.path(axis, false, x, d.y, x, d.y+4)
		d.c.write(quiet, middle, x, d.y+18, Clock(at))
	}
	d.y += 36
	d.c.write(quiet, start, left, d.y, d.o.Lang.Sprintf("minutes:seconds of baking, from the first shift"))
	d.y += 6
}

// PlanWords is a plan in sentences.
func PlanWords(plan *release.Plan, replicas int, l lang.Lang) (all []string) {
	say := func(format string, args ...any) { all = append(all, l.Sprintf(format, args...)) }
	list := func(n int, name func(int) string) string {
		names := make([]string, n)
		for i := range names {
			names[i] = name(i)
		}
		return strings.Join(names, l.Sprintf(", "))
	}
	c := plan.Checks
	if len(c.Before) > 0 {
		say("Nothing is deployed unless these pass: %s.", list(len(c.Before), func(i int) string { return before(c.Before[i], l) }))
	}
	if c.Test {
		say("Smoke requests are sent to the new version before users reach it.")
	}
	const most = 12
	steps := plan.Schedule(replicas)
	for i, s := range steps {
		if len(steps) > most && i >= most/2 && i < len(steps)-most/2 {
			if i == most/2 {
				say("%d more steps.", len(steps)-most)
			}
			continue
		}
		if s.Bake > 0 {
			say("Step %d: %s of the users get the new version, and it is watched for %s.", i+1, percent(s.Share), live.Duration(l, s.Bake))
		} else {
			say("Step %d: %s of the users get the new version.", i+1, percent(s.Share))
		}
	}
	if c.Shift {
		say("Smoke requests are sent before and after each shift.")
	}
	if c.After {
		say("Smoke requests are sent once it serves everyone.")
	}
	if n := len(plan.Alarms); n > 0 {
		say("Alarms watched: %s.", list(n, func(i int) string { return plan.Alarms[i] }))
	} else {
		say("No alarm is watched.")
	}
	if w := plan.Window; w != nil {
		say("It may begin: %s.", windowWords(w, l))
		for _, f := range w.Freeze {
			say("It may not begin from %s to %s: %s.", f.From.Format(time.DateOnly), f.To.Format(time.DateOnly), f.Why)
		}
	}
	b := plan.Rollback
	if !b.ToLastGood {
		say("There is no way back.")
		return all
	}
	if len(b.When) > 0 {
		say("All traffic goes back to the version that was last good on: %s.", list(len(b.When), func(i int) string { return l.Text(string(b.When[i])) }))
	} else {
		say("All traffic goes back to the version that was last good when somebody says so.")
	}
	if b.Within > 0 {
		say("That may take %s at most.", live.Duration(l, b.Within))
	}
	if b.Decides != "" {
		say("Who decides: %s.", b.Decides)
	}
	return all
}

// windowWords is when a release may begin, on ordinary days.
func windowWords(w *release.Window, l lang.Lang) string {
	days := l.Sprintf("every day")
	if w.Days != nil {
		names := make([]string, len(w.Days))
		for i, d := range w.Days {
			names[i] = l.Text(d.String())
		}
		days = strings.Join(names, l.Sprintf(", "))
	}
	hour := func(minutes int) string { return fmt.Sprintf("%d:%02d", minutes/60, minutes%60) }
	return fmt.Sprintf("%s %s–%s (%s)", days, hour(w.From), hour(w.To), w.Zone)
}

// before is a check as a plan says it, in the reader's language.
func before(b release.Before, l lang.Lang) string {
	switch b.Kind {
	case release.BeforeConnection:
		return l.Sprintf("connection to %s", b.Of)
	case release.BeforeContract:
		return l.Sprintf("contract of %s", b.Of)
	case release.BeforeMigrations, release.BeforeRollback, release.BeforeRoom, release.BeforeAlarms:
	}
	return l.Text(b.String())
}

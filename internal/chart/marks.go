package chart

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A label is a text at a place; of two the larger size is the better place.
type label struct {
	x, y, size float64
	text       string
}

// rows puts texts beside their marks, into the first row in which there is room.
type rows struct{ taken []float64 } // to where each row is taken

// at is the row and the anchor of the first of some texts that has room at x, of which
// each may be shorter than the one before; ok is false where none has in so many rows.
func (r *rows) at(x float64, most int, texts ...string) (s string, row int, anchor uint8, ok bool) {
	for _, s := range texts {
		from, to, anchor := x+8, x+8+wide(s), uint8(start)
		if to > width {
			from, to, anchor = x-8-wide(s), x+8, end
		}
		if from < 0 {
			continue
		}
		for row := range most {
			if row == len(r.taken) {
				r.taken = append(r.taken, 0)
			}
			if from >= r.taken[row] {
				r.taken[row] = to + 6
				return s, row, anchor, true
			}
		}
	}
	return "", 0, start, false
}

func beside(x float64, anchor uint8) float64 {
	if anchor == end {
		return x - 8
	}
	return x + 8
}

const rowHeight = 19

// momentLabels says at the top what happened to the users, and when.
func (t *timeline) momentLabels() {
	var r rows
	l := t.o.Lang
	top := t.y + 4
	for _, m := range []moment{exposed, detected, restored} {
		tr := t.main
		at, ok := tr.moments[m]
		if !ok {
			if at, ok = t.predicted.moments[m]; !ok {
				continue
			}
			tr = t.predicted
		}
		since := Clock(at - tr.moments[exposed])
		var s string
		switch m {
		case exposed:
			s = l.Sprintf("users exposed")
		case detected:
			s = l.Sprintf("detected after %s", since)
		case restored:
			s = l.Sprintf("restored after %s", since)
		}
		full := s
		switch p, predicted := t.predicted.moments[m]; {
		case tr == t.predicted && t.main != t.predicted:
			full = l.Sprintf("predicted only: %s", s)
			s = full
		case predicted && t.main != t.predicted && m != exposed:
			full = l.Sprintf("%s (predicted %s)", s, Clock(p-t.predicted.moments[exposed]))
		case t.main != t.predicted && !t.predicted.empty() && !predicted:
			full = l.Sprintf("%s (not predicted)", s)
		}
		told, row, anchor, _ := r.at(t.x(at), int(restored)+1, full, s)
		y := top + float64(row)*rowHeight
		t.glyph(m, t.x(at), y+9, tr == t.predicted)
		t.c.write(bold, anchor, beside(t.x(at), anchor), y+14, told)
	}
	if n := len(r.taken); n > 0 {
		t.y = top + float64(n)*rowHeight + 2
	}
}

// glyph is a sign whose shape says which moment it is: filled where it was measured.
func (t *timeline) glyph(m moment, x, y float64, hollow bool) {
	fill := map[moment]ink{exposed: solid, detected: solidBad, restored: solidGood}[m]
	if hollow {
		fill = outline
	}
	switch m {
	case exposed:
		t.c.path(fill, !hollow, x-5, y-4, x+5, y-4, x, y+5, x-5, y-4)
	case detected:
		t.c.path(fill, !hollow, x, y-6, x+5, y, x, y+6, x-5, y, x, y-6)
	case restored:
		t.c.path(fill, !hollow, x-4, y-4, x+4, y-4, x+4, y+4, x-4, y+4, x-4, y-4)
	}
}

// momentLines go through all panels, behind what they have.
func (t *timeline) momentLines(behind *canvas) {
	const foot = 42 // the times below the axis

	t.both(func(tr *track, predicted bool) {
		for _, m := range []moment{exposed, detected, restored} {
			if at, ok := tr.moments[m]; ok {
				behind.path(pick(predicted, predictedMark, measuredMark), false, t.x(at), t.top, t.x(at), t.y-foot)
			}
		}
	})
}

// step is a step of the plan in a word or two; "" for what is not told.
func (t *timeline) step(m mark) string {
	l := t.o.Lang
	switch m.what.Phase {
	case release.Starting:
		return l.Sprintf("start")
	case release.Testing:
		return l.Sprintf("test")
	case release.AtStep:
		return l.Sprintf("step %d", m.what.Step)
	case release.GoingBack:
		return l.Sprintf("back")
	case release.Over:
		how, _, _ := strings.Cut(m.text, ":")
		return l.Text(how)
	case release.NoPhase:
	}
	return ""
}

// planLane has the steps of the plan: measured above the line, predicted below it.
func (t *timeline) planLane() {
	if len(t.main.steps) == 0 && len(t.predicted.steps) == 0 {
		return
	}
	t.y += 8
	const most = 3
	var r rows
	tr := t.main
	if len(tr.steps) == 0 {
		tr = t.predicted
	}
	type placed struct {
		label
		anchor uint8
	}
	var all []placed
	for i, s := range tr.steps {
		word := t.step(s)
		if word == "" || i > 0 && t.step(tr.steps[i-1]) == word {
			continue
		}
		x := t.x(s.at)
		if s, row, anchor, ok := r.at(x-4, most, word); ok {
			all = append(all, placed{label{x: beside(x-4, anchor), y: t.y + float64(row)*rowHeight + 13, text: s}, anchor})
		}
	}
	line := t.y + float64(len(r.taken))*rowHeight + 4
	for _, p := range all {
		t.c.write(text, p.anchor, p.x, p.y, p.text)
	}
	t.c.write(quiet, end, left-6, line, t.o.Lang.Sprintf("plan"))
	t.c.path(axis, false, left, line, right, line)
	t.both(func(tr *track, predicted bool) {
		for _, s := range tr.steps {
			x := t.x(s.at)
			if predicted && t.main != t.predicted {
				t.c.path(predictedMinor, false, x, line, x, line+6)
			} else {
				t.c.path(measuredLine, false, x, line-6, x, line)
			}
		}
	})
	t.y = line + 6
}

// Kind is a kind of failure in words.
func Kind(l lang.Lang, k stage.FailureKind) string {
	if k == stage.Errors { // "errors" alone is the share of them
		return l.Sprintf("error answers")
	}
	return l.Text(string(k))
}

// failureText is a failure in a few words, as its kind says it.
func failureText(l lang.Lang, f stage.Failure) string {
	s := Kind(l, f.Kind)
	for _, what := range []string{f.Version, f.Dependency, f.Variable, f.Zone} {
		if what != "" {
			s += " " + what
		}
	}
	if f.Share > 0 {
		s += fmt.Sprintf(" %g %%", f.Share)
	}
	if f.Delay > 0 {
		s += " +" + f.Delay.String()
	}
	return plain(s, 48)
}

// failureLanes has a bar for each failure: thin from where it was injected, thick from
// where there is proof of it.
func (t *timeline) failureLanes() {
	all := t.main.failures
	if len(all) == 0 {
		all = t.predicted.failures
	}
	const most = 4
	for i, f := range all[:min(len(all), most)] {
		t.y += 24
		if i == 0 {
			t.c.write(quiet, end, left-6, t.y-2, t.o.Lang.Sprintf("failure"))
		}
		from, to := t.x(f.from), t.x(f.till)
		t.c.path(measuredLine, false, from, t.y, to, t.y)
		t.c.path(measuredLine, false, from, t.y-5, from, t.y)
		t.c.path(measuredLine, false, to, t.y-5, to, t.y)
		if f.landed {
			t.c.box(shadeBad, true, t.x(f.present), t.y-14, max(to, t.x(f.present)+1), t.y)
		}
		name := failureText(t.o.Lang, f.failure)
		x, anchor := from+6, uint8(start)
		if x+wide(name) > width {
			x, anchor = to-6, end
		}
		t.c.write(text, anchor, x, t.y-3, name)
		for _, p := range t.predicted.failures {
			if t.main != t.predicted && p.failure == f.failure {
				t.c.path(predictedMinor, false, t.x(p.from), t.y+4, t.x(p.till), t.y+4)
				break
			}
		}
	}
	if n := len(all) - most; n > 0 {
		t.y += 18
		t.c.write(quiet, start, left, t.y, t.o.Lang.Sprintf("and %d more failures", n))
	}
}

// wentOff is when an alarm was in ALARM: "2:50–5:00", "from 7:10".
func wentOff(l lang.Lang, states []stateAt) (when []string) {
	for i, s := range states {
		if s.state != alarm.InAlarm || i > 0 && states[i-1].state == alarm.InAlarm {
			continue
		}
		text := l.Sprintf("from %s on", Clock(s.at))
		for _, after := range states[i+1:] {
			if after.state != alarm.InAlarm {
				text = Clock(s.at) + "–" + Clock(after.at)
				break
			}
		}
		when = append(when, text)
	}
	return when
}

// alarmLanes has a lane for each alarm: ALARM is a block, OK a line, and no data is
// dotted; dashed around is predicted.
func (t *timeline) alarmLanes() {
	var names []string
	for _, tr := range []*track{t.main, t.predicted} {
		for _, n := range tr.names {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	const most, lane = 8, 12
	l := t.o.Lang
	t.heading(l.Sprintf("alarms (dots: insufficient data)"))
	t.y -= 6
	for _, name := range names[:min(len(names), most)] {
		t.y += 20
		states := t.main.alarms[name]
		words := "OK"
		if went := wentOff(l, states); len(went) > 0 {
			words = "ALARM " + strings.Join(went[:min(len(went), 2)], ", ")
			if len(went) > 2 {
				words += " …"
			}
		} else if n := len(states); n == 0 || states[n-1].state != alarm.OK {
			words = alarm.InsufficientData.String()
		}
		i := quiet
		if strings.HasPrefix(words, "ALARM") {
			i = text
		}
		t.c.write(i, end, right, t.y, words)
		t.c.write(i, start, left, t.y, plain(name, int((right-left-wide(words)-8)/column)))
		t.y += 5
		if slices.ContainsFunc(slices.Concat(states, t.predicted.alarms[name]), func(s stateAt) bool { return s.state == alarm.InAlarm }) {
			t.y += lane
		}
		t.both(func(tr *track, predicted bool) { t.lane(tr, tr.alarms[name], predicted, lane) })
	}
	if n := len(names) - most; n > 0 {
		t.y += 18
		t.c.write(quiet, start, left, t.y, l.Sprintf("and %d more alarms", n))
	}
}

// lane draws the states of one alarm.
func (t *timeline) lane(tr *track, states []stateAt, predicted bool, height float64) {
	second := predicted && t.main != t.predicted // what was measured has the lines
	draw := func(from, to time.Duration, s alarm.State) {
		a, b := t.x(from), t.x(to)
		switch {
		case to <= t.from:
		case s == alarm.InAlarm && predicted:
			t.c.box(predictedBad, false, a, t.y-height, max(b, a+2), t.y)
		case s == alarm.InAlarm:
			t.c.box(solidBad, true, a, t.y-height+3, max(b, a+2), t.y)
		case second:
		case s == alarm.OK:
			t.c.path(axis, false, a, t.y, b, t.y)
		default:
			t.c.path(unknown, false, a, t.y, b, t.y)
		}
	}
	at, state := tr.from, alarm.InsufficientData
	for _, s := range states {
		draw(at, s.at, state)
		at, state = s.at, s.state
	}
	draw(at, tr.to, state)
}

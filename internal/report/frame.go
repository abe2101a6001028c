package report

import (
	"regexp"
	"slices"
	"strings"

	"rehearsal/internal/lang"
	"rehearsal/internal/live"
)

// A frame is one drawing of a run, no wider than cols and no higher than rows.
//
// Bars and lines are drawn in Braille patterns: Unicode has them as narrow in every
// language, while blocks are wide in some East Asian terminals.
type frame struct {
	lang       lang.Lang
	colour     bool
	cols, rows int
}

// A style is how a part of a row looks where there is colour.
type style string

const (
	normal style = ""
	bold   style = "1"
	faint  style = "2"
	alert  style = "1;31"
	warn   style = "33"
)

type span struct {
	style style
	text  string
}

// A stripe is one row of a frame.
type stripe []span

// draw is the frame as lines.
func (f frame) draw(s live.State) []string {
	rows := []stripe{f.head(s)}
	for _, form := range []func(live.State, *live.Scenario) []stripe{f.whole, f.brief, f.line} {
		rows = rows[:1]
		for i := range s.Active {
			rows = append(rows, form(s, &s.Active[i])...)
		}
		if len(rows) <= f.rows {
			break
		}
	}
	if most := max(f.rows, 1); len(rows) > most { // a row each by now
		shown := max(most-2, 0)
		rows = append(rows[:1+shown], stripe{{faint, f.lang.Sprintf("  and %d more", len(s.Active)-shown)}})
		rows = rows[:min(len(rows), most)]
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = f.render(r)
	}
	return lines
}

func (f frame) head(s live.State) stripe {
	look := bold
	if s.Stopping {
		look = warn
	}
	return stripe{{look, f.fit(f.cols, s.Head(f.lang)...)}}
}

// narrow is below how many columns a frame gives up what is beside.
const narrow = 59

// whole is a scenario with all that is known.
func (f frame) whole(st live.State, s *live.Scenario) []stripe {
	l := f.lang
	rows := []stripe{f.name(s)}
	add := func(label string, spans ...span) {
		rows = append(rows, append(stripe{{faint, "    " + lang.Pad(label, f.label())}}, spans...))
	}
	if s.Step != "" {
		add(l.Sprintf("step"), span{normal, s.Step})
	}
	if s.Up {
		add(l.Sprintf("traffic"), f.traffic(s)...)
		add(l.Sprintf("errors"), f.errors(s)...)
		add(l.Sprintf("alarms"), f.alarms(s)...)
		if len(s.Failures) > 0 {
			add(l.Sprintf("failure"), span{normal, f.failures(s)})
		}
	}
	room := f.cols - 4 - f.label()
	doing, left := s.Doing(l, st.At), f.remaining(s)
	switch {
	case doing.Now == "":
	case f.cols < narrow && (doing.Then != "" || len(left) > 0):
		add(l.Sprintf("plan"), span{normal, f.fit(room, doing.Now, doing.Short)})
		add(l.Sprintf("next"), span{normal, f.fit(room, f.joined(doing.Then, left)...)})
	default:
		add(l.Sprintf("plan"), span{normal, f.fit(room, f.planned(doing, left)...)})
	}
	return rows
}

// brief is a scenario in four rows.
func (f frame) brief(st live.State, s *live.Scenario) []stripe {
	if !s.Up {
		return []stripe{f.name(s), {{normal, "    " + s.Doing(f.lang, st.At).Now}}}
	}
	rows := []stripe{f.name(s), {{normal, "    " + f.shares(s) + ", "}, {f.troubled(s), f.lang.Sprintf("%s errors", s.ErrorRate(f.lang))}}}
	third := append(stripe{{normal, "    "}}, f.alarms(s)...)
	if len(s.Failures) > 0 {
		third = append(third, span{normal, "; " + f.failures(s)})
	}
	rows = append(rows, third)
	if d := s.Doing(f.lang, st.At); d.Now != "" {
		rows = append(rows, stripe{{normal, "    " + f.fit(f.cols-4, f.planned(d, f.remaining(s))...)}})
	}
	return rows
}

// line is a scenario in one row.
func (f frame) line(_ live.State, s *live.Scenario) []stripe {
	r := stripe{{normal, "  " + Clock(s.Now) + " "}}
	if red := s.Red(); len(red) > 0 {
		r = append(r, span{alert, f.lang.Sprintf("ALARM %s", strings.Join(red, " ")) + " "})
	}
	return []stripe{append(r, span{normal, s.Name})}
}

// name is the scenario's name, and at the right end its stage and release time.
func (f frame) name(s *live.Scenario) stripe {
	right := ""
	if s.Up {
		right = Clock(s.Now)
		if f.cols >= narrow {
			right = f.lang.Text(s.Stage) + " " + right
		}
	}
	room := max(f.cols-2-lang.Columns(right)-2, 0)
	name := lang.Pad(oneLine(s.Name), max(room, 2))
	return stripe{{normal, "  "}, {bold, name}, {faint, "  " + right}}
}

// bar is how wide bars are.
func (f frame) bar() int {
	if f.cols < narrow {
		return live.Pieces / 2
	}
	return live.Pieces
}

// fills are the versions' in a bar, in the order of their names.
var fills = []string{"⣿", "⠶", "⠒", "⠐"}

func (f frame) traffic(s *live.Scenario) []span {
	names := s.Shares.Versions()
	if len(names) == 0 {
		return []span{{normal, f.lang.Sprintf("no version has any")}}
	}
	legend := ""
	for i, v := range names {
		legend += "  " + fills[min(i, len(fills)-1)] + " " + v + " " + live.Percent(s.Shares[v])
	}
	width := min(f.bar(), f.cols-4-f.label()-lang.Columns(legend))
	if width < 4 {
		return []span{{normal, f.shares(s)}}
	}
	cells, sum, drawn := "", 0.0, 0
	for i, v := range names {
		sum += s.Shares[v]
		n := int(sum/100*float64(width)+0.5) - drawn
		n = max(min(max(n, 1), width-drawn-(len(names)-1-i)), 0) // whoever has a share is seen
		drawn += n
		cells += strings.Repeat(fills[min(i, len(fills)-1)], n)
	}
	return []span{{normal, cells + legend}}
}

// shares is the traffic without a bar.
func (f frame) shares(s *live.Scenario) string {
	var parts []string
	for _, v := range s.Shares.Versions() {
		parts = append(parts, v+" "+live.Percent(s.Shares[v]))
	}
	if len(parts) == 0 {
		return f.lang.Sprintf("no version has any")
	}
	return strings.Join(parts, ", ")
}

// levels are how much failed: nothing, a little, more, most.
var levels = []string{"⣀", "⣤", "⣶", "⣿"}

func (f frame) errors(s *live.Scenario) []span {
	all := s.Levels(len(levels) - 1)
	cells := ""
	for _, n := range all[len(all)-f.bar():] {
		if n < 0 {
			cells += " "
			continue
		}
		cells += levels[n]
	}
	spans := []span{{normal, cells + "  "}, {f.troubled(s), s.ErrorRate(f.lang)}}
	if peak := s.Peak(f.lang); peak != "" && f.cols >= narrow {
		spans = append(spans, span{faint, f.lang.Sprintf(", %s", peak)})
	}
	return spans
}

func (f frame) troubled(s *live.Scenario) style {
	if p, _ := s.Rate.Percent(s.Now); p > 0 {
		return warn
	}
	return normal
}

func (f frame) alarms(s *live.Scenario) []span {
	calm := s.Calm(f.lang)
	red := s.Red()
	if len(red) == 0 {
		return []span{{normal, calm}}
	}
	spans := []span{{alert, f.lang.Sprintf("ALARM %s", strings.Join(red, " "))}}
	if calm != "" {
		spans = append(spans, span{normal, "; " + calm})
	}
	return spans
}

func (f frame) failures(s *live.Scenario) string {
	var parts []string
	for _, x := range s.Failures {
		parts = append(parts, x.Say(f.lang))
	}
	return strings.Join(parts, "; ")
}

// remaining is how long the plan still takes, the longest form first; none where that
// is not known.
func (f frame) remaining(s *live.Scenario) (forms []string) {
	left, wall := s.Remaining(f.lang)
	if wall != "" {
		forms = append(forms, f.lang.Sprintf("%s left (about %s)", left, wall), f.lang.Sprintf("%s left (~%s)", left, wall))
	}
	if left != "" {
		forms = append(forms, f.lang.Sprintf("%s left", left))
	}
	return forms
}

// planned is what goes on, what is next and how long still, the longest form first.
func (f frame) planned(d live.Doing, left []string) (forms []string) {
	then := func(now string) string {
		if d.Then == "" {
			return now
		}
		return f.lang.Sprintf("%s, then %s", now, d.Then)
	}
	long, short := f.joined(then(d.Now), left), f.joined(then(d.Short), left)
	for i := range long {
		forms = append(forms, long[i], short[i])
	}
	forms = append(forms, f.joined(d.Short, left)...)
	return append(forms, then(d.Now), then(d.Short), d.Short)
}

func (f frame) joined(what string, left []string) (forms []string) {
	for _, t := range left {
		if what == "" {
			forms = append(forms, t)
			continue
		}
		forms = append(forms, what+"; "+t)
	}
	if len(left) == 0 {
		forms = append(forms, what)
	}
	return forms
}

// label is how wide labels are.
func (f frame) label() (n int) {
	for _, t := range []string{f.lang.Sprintf("step"), f.lang.Sprintf("traffic"), f.lang.Sprintf("errors"), f.lang.Sprintf("alarms"), f.lang.Sprintf("failure"), f.lang.Sprintf("plan"), f.lang.Sprintf("next")} {
		n = max(n, lang.Columns(t))
	}
	return n + 2
}

// fit is the first form that fits, or else the last.
func (f frame) fit(cols int, forms ...string) string {
	i := slices.IndexFunc(forms, func(t string) bool { return lang.Columns(t) <= cols })
	if i < 0 {
		i = len(forms) - 1
	}
	return forms[i]
}

// render is the row as a line, cut to the columns that there are.
func (f frame) render(r stripe) string {
	var b strings.Builder
	room, last := f.cols, len(r)-1
	for i, s := range r {
		text := oneLine(s.text)
		if i == last {
			text = strings.TrimRight(text, " ")
		}
		switch n := lang.Columns(text); {
		case n > room && room >= 2:
			text = lang.Cut(text, room-2) + ".."
		case n > room:
			text = lang.Cut(text, room)
		}
		room -= lang.Columns(text)
		if text == "" {
			continue
		}
		if f.colour && s.style != normal {
			text = "\x1b[" + string(s.style) + "m" + text + "\x1b[0m"
		}
		b.WriteString(text)
	}
	return b.String()
}

var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// bare is a line without its colours.
func bare(line string) string { return colours.ReplaceAllString(line, "") }

// oneLine is text that moves no cursor.
func oneLine(text string) string { return strings.ReplaceAll(lang.Clean(text), "\n", " ") }

package watch

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
)

// A Kind is what an Event tells. It is a closed set.
type Kind string

const (
	Began  Kind = "began"  // what is watched, and by what prediction
	Looked Kind = "look"   // every measure beside its band
	Left   Kind = "left"   // a measure left its band
	Back   Kind = "back"   // it is back
	Rang   Kind = "alarm"  // an alarm changed its state
	Silent Kind = "silent" // an alarm should have gone off and did not
	Blind  Kind = "blind"  // something cannot be seen, or can again
	Logged Kind = "log"    // an error line that is new since the release
	Noted  Kind = "note"
	Ended  Kind = "ended"
)

// An Event is one thing that is told, as one line of JSON too.
type Event struct {
	At      time.Time     `json:"at"`
	Release time.Duration `json:"release"` // since the release began, nanoseconds
	Kind    Kind          `json:"kind"`
	Measure string        `json:"measure,omitempty"`
	Alarm   string        `json:"alarm,omitempty"`
	Text    string        `json:"text,omitempty"` // in the reader's language
	Seen    []Seen        `json:"seen,omitempty"`
	Status  *int          `json:"status,omitempty"` // the exit status, at the end

	sight *Sight
}

// Seen is one measure in an Event.
type Seen struct {
	Measure string    `json:"measure"`
	At      time.Time `json:"at,omitzero"`
	Value   *float64  `json:"value"` // null: there was no data yet
	Low     *float64  `json:"low"`   // null: nothing was predicted
	High    *float64  `json:"high"`
	Out     int       `json:"out,omitempty"` // 1 above the band, -1 below
}

func (s *Sight) seen() (all []Seen) {
	number := func(v float64) *float64 {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	for _, m := range s.Measures {
		one := Seen{Measure: m.Name, At: m.At, Out: m.Out}
		if !m.At.IsZero() {
			one.Value, one.Low, one.High = number(m.Value), number(m.Band.Low), number(m.Band.High)
		}
		all = append(all, one)
	}
	return all
}

// A teller puts what is seen into sentences.
type teller struct {
	lang.Lang
	judge *Judge
	alike []Alike
	liked string // what it looked like when that was said last
}

// left says that a measure left its band: what, by how much, since when, how likely that
// is, what it looks like, and what comes next.
func (t *teller) left(s *Sight, m *MeasureSight) string {
	format := "%s is out of the predicted band: %s, where %s at most was predicted, since %s."
	end := m.Band.High
	if m.Out < 0 {
		format, end = "%s is out of the predicted band: %s, where %s at least was predicted, since %s.", m.Band.Low
	}
	parts := []string{t.Sprintf(format, t.name(m.Measure), m.Unit.Format(m.Value), m.Unit.Format(max(end, 0)), moment(m.Since))}
	if m.AsFar == 0 {
		parts = append(parts, t.Sprintf("It was that far in none of %d predicted releases.", t.judge.Prediction.Releases))
	} else {
		parts = append(parts, t.Sprintf("It was that far in %d of %d predicted releases.", m.AsFar, t.judge.Prediction.Releases))
	}
	if a := t.judge.resemble(t.judge.asItLeft(s, m), m.Measure, t.alike); a != nil && a.Where != t.liked {
		t.liked = a.Where
		parts = append(parts, t.Sprintf("It looks like %q (%s): there %s.", a.Name, a.Where, a.ends(t.Lang, t.judge.Began)))
	}
	return t.sentences(append(parts, t.next(s, m)...))
}

// sentences puts them one after another; in Japanese no space is between them.
func (t *teller) sentences(all []string) string {
	if t.Lang == lang.Japanese {
		return strings.Join(all, "")
	}
	return strings.Join(all, " ")
}

// next is what the alarms that judge a measure do if it goes on.
func (t *teller) next(s *Sight, m *MeasureSight) (said []string) {
	if len(m.Alarms) == 0 {
		return []string{t.Sprintf("No alarm watches it.")}
	}
	for _, name := range m.Alarms {
		a := s.alarm(name)
		switch {
		case a == nil:
		case !a.Seen:
			said = append(said, t.Sprintf("The alarm %q is not there to see it.", name))
		case a.State == alarm.InAlarm:
			said = append(said, t.Sprintf("The alarm %q is on.", name))
		case a.Silent: // it is told by itself
		case !a.Due.IsZero():
			said = append(said, t.Sprintf("The alarm %q should go off now.", name))
		case !a.Next.IsZero():
			said = append(said, t.Sprintf("If it goes on like this, the alarm %q goes off at %s.", name, moment(a.Next)))
		default:
			said = append(said, t.Sprintf("If it goes on like this, the alarm %q does not go off.", name))
		}
	}
	return said
}

func (s *Sight) alarm(name string) *AlarmSight {
	i := slices.IndexFunc(s.Alarms, func(a AlarmSight) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Alarms[i]
}

func (t *teller) silent(s *Sight, a *AlarmSight) string {
	return t.Sprintf("The alarm %q is silent: by its own rules, and by the data that CloudWatch shows, it should have gone off at %s, %s ago, and it is %s. Look yourself: do not wait for it.",
		a.Name, moment(a.Due), brief(s.Now.Sub(a.Due)), a.State.String())
}

func (t *teller) rang(a *AlarmSight, at time.Time) string {
	return t.Sprintf("The alarm %q went off at %s; by now it had in %d of %d predicted releases.", a.Name, moment(at), a.Predicted, t.judge.Prediction.Releases)
}

// name is what a measure is called, in the language.
func (t *teller) name(m *Measure) string {
	if !m.general {
		return m.Name
	}
	if of, ok := strings.CutPrefix(m.Name, "requests to "); ok {
		return t.Sprintf("requests to %s", of)
	}
	if of, ok := strings.CutPrefix(m.Name, "healthy in "); ok {
		return t.Sprintf("healthy in %s", of)
	}
	return t.Text(m.Name)
}

// columns of the table; what is left is for the note.
const (
	nameColumns = 24
	bandColumns = 22
	nowColumns  = 12
	columns     = 80
)

// Table is a sight beside the prediction, in lines of at most 80 columns.
func (t *teller) table(s *Sight, version string) (lines []string) {
	head := t.Sprintf("%s  %s since the release began", moment(s.Now), brief(s.Release))
	if steps := t.judge.Prediction.Steps; s.Step > 0 {
		head += t.Sprintf("; step %d of %d: %s should have %s %%", s.Step, len(steps), version, short(steps[s.Step-1].Share))
	}
	lines = append(lines, lang.Wrap(head, "  ", columns)...)
	row := func(name, band, now, note string) {
		line := "  " + lang.Pad(name, nameColumns) + " " + lang.Pad(band, bandColumns) + " " + lang.Pad(now, nowColumns) + " " + note
		lines = append(lines, strings.TrimRight(lang.Cut(line, columns), " "))
	}
	row(t.Sprintf("measure"), t.Sprintf("predicted"), t.Sprintf("now"), "")
	for i := range s.Measures {
		m := &s.Measures[i]
		band, now, note := "", t.Sprintf("no data"), ""
		if !m.At.IsZero() {
			band, now = t.band(m), m.Unit.Format(m.Value)
		}
		switch {
		case m.blind():
			note = t.Sprintf("BLIND")
		case m.Out != 0:
			note = t.Sprintf("OUT %s", m.Since.UTC().Format("15:04"))
		}
		row(t.name(m.Measure), band, now, note)
	}
	var states []string
	for i := range s.Alarms {
		a := &s.Alarms[i]
		state := a.State.String()
		switch {
		case !a.Seen:
			state = t.Sprintf("not there")
		case a.Silent:
			state = t.Sprintf("SILENT")
		}
		states = append(states, a.Name+" "+state)
	}
	if len(states) > 0 {
		lines = append(lines, lang.Wrap("  "+t.Sprintf("alarms: %s", strings.Join(states, ", ")), "    ", columns)...)
	}
	return lines
}

func (t *teller) band(m *MeasureSight) string {
	low, high := max(m.Band.Low, 0), m.Band.High
	switch {
	case math.IsNaN(high):
		return t.Sprintf("not predicted")
	case m.Bad > 0:
		return t.Sprintf("up to %s", m.Unit.Format(high))
	case m.Bad < 0:
		return t.Sprintf("%s or more", m.Unit.Format(low))
	}
	return t.Sprintf("%s to %s", short(low), m.Unit.Format(high))
}

// cost is what watching costs in calls.
func (t *teller) cost(every time.Duration, m *Measures, alarms, filters int) string {
	looks := float64(time.Minute) / float64(every)
	calls := 1 + (len(m.Questions)-1)/questionsPerCall + filters
	if alarms > 0 {
		calls += 1 + (alarms-1)/alarmsPerCall
	}
	return t.Sprintf("Each look asks for %d metrics by GetMetricData and makes %d calls; that is %s metrics and %s calls a minute, which AWS bills.",
		len(m.Questions), calls, short(looks*float64(len(m.Questions))), short(looks*float64(calls)))
}

// differs is how an alarm of the account differs from the one that was rehearsed; "":
// it does not.
func differs(ours, there *alarm.Alarm) string {
	var all []string
	add := func(what, a, b string) {
		if a != b {
			all = append(all, fmt.Sprintf("%s %s, not %s", what, b, a))
		}
	}
	number := func(v float64) string { return short(v) }
	or := func(v, otherwise int) string {
		if v == 0 {
			v = otherwise
		}
		return number(float64(v))
	}
	word := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	add("Threshold", number(ours.Threshold), number(there.Threshold))
	add("ComparisonOperator", ours.ComparisonOperator, there.ComparisonOperator)
	add("EvaluationPeriods", number(float64(ours.EvaluationPeriods)), number(float64(there.EvaluationPeriods)))
	add("DatapointsToAlarm", or(ours.DatapointsToAlarm, ours.EvaluationPeriods), or(there.DatapointsToAlarm, there.EvaluationPeriods))
	add("TreatMissingData", word(ours.TreatMissingData, "missing"), word(there.TreatMissingData, "missing"))
	a, errA := ours.Compile()
	b, errB := there.Compile()
	if errA != nil || errB != nil { // of another kind, which is not judged here
		return strings.Join(append(all, "MetricName or Metrics"), "; ")
	}
	for i := range max(len(a.Inputs), len(b.Inputs)) {
		var one, other string
		if i < len(a.Inputs) {
			one = watches(Question{a.Inputs[i], a.Period})
		}
		if i < len(b.Inputs) {
			other = watches(Question{b.Inputs[i], b.Period})
		}
		add("it watches", one, other)
	}
	for i := range min(len(ours.Metrics), len(there.Metrics)) {
		add("Expression", ours.Metrics[i].Expression, there.Metrics[i].Expression)
	}
	return strings.Join(all, "; ")
}

// watches is a metric in words that are the same for the same metric.
func watches(q Question) string {
	var of []string
	for _, d := range q.Metric.Dimensions {
		of = append(of, d.Name+"="+d.Value)
	}
	slices.Sort(of)
	return strings.Join(append([]string{q.Metric.Namespace, q.Metric.MetricName, q.Statistic.String(), brief(q.Period)}, of...), " ")
}

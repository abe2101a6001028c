// Package watch follows a real release, read-only: it lays what CloudWatch shows beside
// what the rehearsal predicted, and says when something leaves the predicted band.
//
// A Measures (measure.go) says which numbers are watched: what the load balancer shows
// and what the team's alarms judge, made of CloudWatch's metrics by the same metric math.
// A Forecast (predict.go) carries the plan out many times on the simulated stage and asks
// its CloudWatch the very questions that the real one is asked; recorded.go makes a
// Prediction of rehearsals in containers instead. An Eye (eye.go) asks the real one; all
// that it sends goes through a guard (guard.go) that lets only operations pass that read.
// A Judge (judge.go) is the pure part: it lays a reading beside the prediction. Watch
// (this file) looks again and again, and tells what is new; say.go has the sentences.
package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// Exit statuses, as everywhere.
const (
	statusWithin = 0
	statusLeft   = 1
	statusUnseen = 3
)

// A Watch follows one release.
type Watch struct {
	Eye      *Eye
	Calendar Calendar
	Judge    *Judge
	Alike    []Alike
	Filters  []stage.MetricFilter
	// Redact takes secrets out of lines of a log.
	Redact  func(string) string
	Lang    lang.Lang
	Version string
	Every   time.Duration // between looks
	Once    bool
	// Tell hears of every event, in order.
	Tell func(Event)

	teller *teller
	logs   *logs
	read   *Reading
	last   *Sight
	known  map[string]bool // what was said once and is said only once
	failed int             // looks in a row that failed
	asked  time.Time       // of the alarms' history
	noLogs bool
}

// givesUpAfter is how many looks in a row may fail.
const givesUpAfter = 5

// Run follows the release until the plan is over, or looks once. It gives the exit
// status.
func (w *Watch) Run(ctx context.Context) int {
	w.teller = &teller{Lang: w.Lang, judge: w.Judge, alike: w.Alike}
	w.logs = &logs{eye: w.Eye, filters: w.Filters, redact: w.Redact}
	w.read = &Reading{}
	w.known, w.asked = map[string]bool{}, w.Judge.Began
	w.begin(ctx)
	for {
		now, err := w.Calendar.Now(ctx)
		if err == nil {
			err = w.look(ctx, now)
		}
		if status, over := w.gone(ctx, err); over {
			return status
		}
		if err == nil && (w.Once || w.last.Over) {
			return w.end()
		}
		if err := w.Calendar.Until(ctx, now.Add(w.Every)); err != nil {
			if status, over := w.gone(ctx, err); over {
				return status
			}
		}
	}
}

func (w *Watch) now() time.Time { return w.read.Now }

// tell tells an event of the present look.
func (w *Watch) tell(e Event) {
	e.At = w.now()
	e.Release = e.At.Sub(w.Judge.Began)
	w.Tell(e)
}

func (w *Watch) say(k Kind, text string) { w.tell(Event{Kind: k, Text: text}) }

// once says something the first time only.
func (w *Watch) once(k Kind, text string) {
	if !w.known[text] {
		w.known[text] = true
		w.say(k, text)
	}
}

// begin says what is watched, by what.
func (w *Watch) begin(ctx context.Context) {
	w.read.Now = w.Judge.Began
	if now, err := w.Calendar.Now(ctx); err == nil {
		w.read.Now = now
	}
	p, t := w.Judge.Prediction, w.teller
	w.say(Began, t.Sprintf("Watching the release of %s, which began at %s UTC, beside %s.", w.Version, w.Judge.Began.UTC().Format(time.DateTime), p.Of))
	w.say(Noted, t.Sprintf("The plan takes %s; a value is judged when its period has been over for %s.", brief(p.Length), brief(w.Judge.Late)))
	w.say(Noted, t.cost(w.Every, w.Judge.Measures, len(w.Judge.Names), len(w.Filters)))
	if n := p.Results[release.Released]; n < p.Releases {
		w.say(Noted, t.Sprintf("Only %d of %d predicted releases succeed: the prediction itself is of a release that goes wrong.", n, p.Releases))
	}
	if len(w.Filters) > 0 {
		if err := w.logs.before(ctx, w.Judge.Began); err != nil {
			w.unlogged(ctx, err)
		}
	}
}

// unlogged goes on without the logs.
func (w *Watch) unlogged(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	w.noLogs = true
	w.say(Blind, w.teller.Sprintf("The logs cannot be seen; --logs=false goes without them. %s", w.remedy(err)))
}

// look looks once and tells what is new.
func (w *Watch) look(ctx context.Context, now time.Time) error {
	if w.last != nil {
		switch gap := now.Sub(w.last.Now); {
		case gap < 0:
			w.once(Noted, w.teller.Sprintf("The clock went back, by %s: nothing is judged until it is where it was.", brief(-gap)))
			return nil
		case gap > 5*w.Every+time.Minute:
			w.read.Now = now
			w.say(Noted, w.teller.Sprintf("Nothing was looked at for %s; what came meanwhile is judged now.", brief(gap)))
		}
	}
	w.read.Now = now
	r := &Reading{Now: now, Changes: w.read.Changes}
	var err error
	if r.Alarms, err = w.Eye.Alarms(ctx, w.Judge.Names); err != nil {
		return fmt.Errorf("DescribeAlarms: %w", err)
	}
	if r.Answers, err = w.Eye.Ask(ctx, w.Judge.Measures.Questions, w.Judge.Began.Add(-w.Judge.lookback()), now); err != nil {
		return fmt.Errorf("GetMetricData: %w", err)
	}
	if err := w.changes(ctx, r); err != nil {
		return fmt.Errorf("DescribeAlarmHistory: %w", err)
	}
	w.read = r
	s := w.Judge.Look(r)
	w.news(s)
	if len(w.Filters) > 0 && !w.noLogs {
		if err := w.lines(ctx); err != nil {
			w.unlogged(ctx, err)
		}
	}
	w.tell(Event{Kind: Looked, Seen: s.seen(), sight: s})
	w.last, w.asked = s, now
	return ctx.Err()
}

// changes asks for the history of the alarms that changed since the last look: one that
// went off and came back between two looks is seen too.
func (w *Watch) changes(ctx context.Context, r *Reading) error {
	for _, name := range w.Judge.Names {
		a, there := r.Alarms[name]
		if !there || a.Since.Before(w.asked) {
			continue
		}
		all, err := w.Eye.Changes(ctx, name, w.asked, r.Now)
		if err != nil {
			return err
		}
		for _, c := range all {
			if !c.At.Before(w.Judge.Began) && !slices.ContainsFunc(r.Changes, func(o Change) bool { return o.Name == c.Name && o.At.Equal(c.At) }) {
				r.Changes = append(r.Changes, c)
			}
		}
	}
	return nil
}

// news tells what differs from the last look.
func (w *Watch) news(s *Sight) {
	t := w.teller
	first := w.last == nil
	if steps := w.Judge.Prediction.Steps; s.Step > 0 && (first || s.Step != w.last.Step) {
		w.say(Noted, t.Sprintf("Step %d of %d of the plan: by now %s should have %s %% of the traffic.", s.Step, len(steps), w.Version, short(steps[s.Step-1].Share)))
	}
	for i := range s.Measures {
		m := &s.Measures[i]
		was := MeasureSight{}
		if !first {
			was = w.last.Measures[i]
		}
		if first && m.Before == lead {
			w.say(Noted, t.Sprintf("%s was out of the predicted band before the release began already: the prediction does not fit this account; --baseline 1h has it start from the real traffic.", t.name(m.Measure)))
		}
		switch {
		case m.Out != 0 && m.Out != was.Out:
			w.tell(Event{Kind: Left, Measure: m.Name, Text: t.left(s, m)})
		case m.Out == 0 && was.Out != 0:
			w.tell(Event{Kind: Back, Measure: m.Name, Text: t.Sprintf("%s is back in the predicted band: %s.", t.name(m.Measure), m.Unit.Format(m.Value))})
		}
		switch {
		case m.blind() && !was.blind():
			w.tell(Event{Kind: Blind, Measure: m.Name, Text: t.Sprintf("%s cannot be seen: CloudWatch has had no data of it for %d periods, which is not 0. Are these its names? %s", t.name(m.Measure), m.Missed, t.names(m.Measure))})
		case !m.blind() && was.blind():
			w.tell(Event{Kind: Blind, Measure: m.Name, Text: t.Sprintf("%s can be seen again.", t.name(m.Measure))})
		}
	}
	w.alarms(s)
}

// names is the metrics of a measure, as one looks them up.
func (t *teller) names(m *Measure) string {
	var all []string
	for _, in := range m.Rule.Inputs {
		all = append(all, watches(Question{in, m.Rule.Period}))
	}
	return strings.Join(all, "; ")
}

func (w *Watch) alarms(s *Sight) {
	t := w.teller
	for i := range s.Alarms {
		a := &s.Alarms[i]
		was := AlarmSight{AlarmSeen: AlarmSeen{State: alarm.OK}}
		if w.last != nil {
			was = w.last.Alarms[i]
		} else {
			w.compare(a)
		}
		if !a.Off.IsZero() && !a.Off.Equal(was.Off) {
			w.tell(Event{Kind: Rang, Alarm: a.Name, Text: t.rang(a, a.Off)})
		} else if a.Seen && a.State == alarm.InAlarm && w.last == nil {
			w.tell(Event{Kind: Rang, Alarm: a.Name, Text: t.Sprintf("The alarm %q has been on since %s, before the release began: it cannot tell whether the version is bad.", a.Name, moment(a.Since))})
		}
		if w.last != nil && a.Seen && a.State == alarm.OK && (was.State == alarm.InAlarm || !a.Off.IsZero() && !a.Off.Equal(was.Off)) {
			w.tell(Event{Kind: Rang, Alarm: a.Name, Text: t.Sprintf("The alarm %q is OK again.", a.Name)})
		}
		switch {
		case a.Silent && !was.Silent:
			w.tell(Event{Kind: Silent, Alarm: a.Name, Text: t.silent(s, a)})
		case !a.Silent && was.Silent && a.State != alarm.InAlarm:
			w.tell(Event{Kind: Silent, Alarm: a.Name, Text: t.Sprintf("The alarm %q should no longer be on.", a.Name)})
		}
	}
}

// compare says how an alarm of the account is not the one that was rehearsed.
func (w *Watch) compare(a *AlarmSight) {
	t := w.teller
	if !a.Seen {
		w.tell(Event{Kind: Blind, Alarm: a.Name, Text: t.Sprintf("There is no alarm %q in this account and region: nobody is paged by it. Is this the right one? If the alarm was deleted, take it out of the alarms file too.", a.Name)})
		return
	}
	if !a.Actions {
		w.tell(Event{Kind: Noted, Alarm: a.Name, Text: t.Sprintf("The actions of the alarm %q are disabled: it pages nobody.", a.Name)})
	}
	if a.State == alarm.InsufficientData {
		w.tell(Event{Kind: Noted, Alarm: a.Name, Text: t.Sprintf("The alarm %q has too little data to judge anything.", a.Name)})
	}
	for _, c := range w.Judge.Measures.alarms {
		if c.Alarm.AlarmName == a.Name && a.Metric != nil {
			if text := differs(c.Alarm, a.Metric); text != "" {
				w.tell(Event{Kind: Noted, Alarm: a.Name, Text: t.Sprintf("The alarm %q is not the one that was rehearsed: %s. Fetch the alarms file again.", a.Name, text)})
			}
		}
	}
}

func (w *Watch) lines(ctx context.Context) error {
	fresh, left, err := w.logs.look(ctx, w.Judge.Began, w.now())
	for _, line := range fresh {
		text := w.teller.Sprintf("new in %s: %s", line.Group, line.Text)
		if line.Alike > 1 {
			text += w.teller.Sprintf(" (and %d alike)", line.Alike-1)
		}
		w.say(Logged, text)
	}
	if left > 0 {
		w.say(Logged, w.teller.Sprintf("and %d more that are new", left))
	}
	return err
}

// gone says whether a look's error ends the watch, and with what status.
func (w *Watch) gone(ctx context.Context, err error) (status int, over bool) {
	t := w.teller
	if err == nil {
		w.failed = 0
		return 0, false
	}
	if ctx.Err() != nil {
		w.ended(statusUnseen, t.Sprintf("interrupted: nothing may be concluded"))
		return statusUnseen, true
	}
	w.failed++
	if w.Once || w.failed >= givesUpAfter || denied(err) || isRefused(err) {
		w.ended(statusUnseen, t.Sprintf("Nothing can be seen: %s", w.remedy(err)))
		return statusUnseen, true
	}
	w.say(Blind, t.Sprintf("This look failed (%d of %d in a row): %s", w.failed, givesUpAfter, w.remedy(err)))
	return 0, false
}

func isRefused(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused)
}

// remedy is an error with what to do about it.
func (w *Watch) remedy(err error) string {
	text := oneLine(lang.Clean(err.Error()))
	switch {
	case denied(err):
		return w.teller.Sprintf("%s: it is not allowed. `rehearse watch --policy` prints all that it needs.", text)
	case throttled(err):
		return w.teller.Sprintf("%s: AWS was asked too much at once, by all who ask in this account. Look less often, by --every.", text)
	}
	return w.teller.Sprintf("%s: is the endpoint, the region and the network right?", text)
}

// end says how it went.
func (w *Watch) end() int {
	p, t, s := w.Judge.Prediction, w.teller, w.last
	left := s.left(p.Releases)
	if !w.Once {
		left = s.bad(p.Releases, w.Judge.lastBake())
	}
	switch {
	case left:
		w.ended(statusLeft, t.Sprintf("Out of the predicted band: %s.", w.culprits(s)))
		return statusLeft
	case s.dark() || w.noLogs:
		w.ended(statusUnseen, t.Sprintf("What could be seen is in the predicted band, and not all of it could be seen: nothing may be concluded."))
		return statusUnseen
	case w.Once:
		w.ended(statusWithin, t.Sprintf("All that is seen is in the predicted band."))
	default:
		w.ended(statusWithin, t.Sprintf("The plan is over, and all was in the predicted band in its last bake."))
	}
	return statusWithin
}

// culprits is what is out, or was in the last bake.
func (w *Watch) culprits(s *Sight) string {
	var all []string
	for i := range s.Measures {
		if m := &s.Measures[i]; m.Out != 0 || m.LastOut && !w.Once {
			all = append(all, w.teller.name(m.Measure))
		}
	}
	for i := range s.Alarms {
		if a := &s.Alarms[i]; a.Silent || a.unexpected(w.Judge.Prediction.Releases) || !w.Once && !a.Off.IsZero() && !a.Off.Before(w.Judge.lastBake()) && a.Predicted == 0 {
			all = append(all, w.teller.Sprintf("the alarm %q", a.Name))
		}
	}
	return strings.Join(all, w.teller.Sprintf(", "))
}

func (w *Watch) ended(status int, text string) {
	w.tell(Event{Kind: Ended, Text: text, Status: &status, sight: w.last})
}

// Lines is an event's table in lines of at most 80 columns; none where it has none.
func (w *Watch) Lines(e Event) []string {
	if e.sight == nil {
		return nil
	}
	return w.teller.table(e.sight, w.Version)
}

package cloudwatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
)

// Status is an alarm with the state it is in.
type Status struct {
	Alarm   *alarm.Alarm // must not be changed
	State   alarm.State
	Reason  string    // why it came into that state
	Since   time.Time // when it came into that state; zero before the first change
	Changed time.Time // when the alarm itself was put
}

// A Transition is a change of an alarm's state.
type Transition struct {
	Name      string
	Composite bool // a composite alarm's
	From, To  alarm.State
	Reason    string
	Time      time.Time // of the evaluation
	// Actions are what CloudWatch carries out at once: the ARNs for the new state;
	// none where the alarm's actions are disabled or held back.
	Actions []string
	// SuppressedBy is what holds the actions back, of a composite alarm with a
	// suppressor; when it ends there is an Action.
	SuppressedBy alarm.Suppressed
}

// An Action is that an alarm's actions are carried out.
type Action struct {
	Alarm     string
	Composite bool
	State     alarm.State // that the alarm is in
	Reason    string      // for that state
	ARNs      []string    // at least one
	Time      time.Time
}

// news is what came of a call, in order, to be told when the Store is free again.
type news struct {
	changes []Transition
	actions []Action
}

// A standing is the state that an alarm is in.
type standing struct {
	state   alarm.State
	reason  string
	data    string    // StateReasonData; empty: none
	since   time.Time // when it came into that state; zero before the first change
	updated time.Time // when the state was set last, be it to the same; zero before
	changed time.Time // when the alarm itself was put
}

func (s *standing) move(to alarm.State, reason, data string, at time.Time) {
	if s.state != to {
		s.since = at
	}
	s.state, s.reason, s.data, s.updated = to, reason, data, at
}

// A watch is an alarm on duty.
type watch struct {
	*alarm.Compiled
	standing
	every  int64 // seconds between evaluations
	due    int64 // Unix time of the next evaluation; 0 before the first
	inputs []input
	points [][]alarm.Point // of the inputs, for one evaluation
}

// An input is a metric that an alarm needs, with the points of the windows that
// are known already.
type input struct {
	series *Series // the metric's head
	unit   string  // that samples must have; empty: any
	stat   alarm.Statistic
	length int64  // of a window, seconds
	every  int64  // between the ends of windows, seconds
	known  []slot // the window that ends at t is at (t / every) % len
	newest int64  // end of the newest window that was ever known
}

type slot struct {
	end   int64 // Unix time; 0: not known
	point alarm.Point
}

// PutAlarms checks the alarms and puts them on duty, or none of them; the error
// has everything that is wrong with each. A new alarm begins as
// INSUFFICIENT_DATA; one whose name is known takes the place of the other and
// keeps its state, as in AWS.
func (s *Store) PutAlarms(alarms []alarm.Alarm) error {
	var wrong []error
	compiled := make([]*alarm.Compiled, 0, len(alarms))
	for i := range alarms {
		a := alarms[i]
		c, err := a.Compile()
		if err != nil {
			wrong = append(wrong, fmt.Errorf("alarm %q: %s", a.AlarmName, strings.ReplaceAll(err.Error(), "\n", "; ")))
			continue
		}
		compiled = append(compiled, c)
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	s.PutCompiled(compiled...)
	return nil
}

// PutCompiled puts alarms on duty that were checked already; many stores may
// share them. Their names must not be those of composite alarms.
func (s *Store) PutCompiled(alarms ...*alarm.Compiled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range alarms {
		s.put(c)
	}
}

func (s *Store) put(c *alarm.Compiled) {
	w := &watch{Compiled: c, standing: standing{changed: s.time(), reason: alarm.Reason{}.String()}, every: int64(c.Every / time.Second)}
	length := int64(c.Period / time.Second)
	w.inputs = make([]input, len(c.Inputs))
	w.points = make([][]alarm.Point, len(c.Inputs))
	points := make([]alarm.Point, len(c.Inputs)*c.Range)
	for i, in := range c.Inputs {
		h := s.find(in.Metric)
		w.inputs[i] = input{series: h, unit: in.Unit, stat: in.Statistic, length: length, every: w.every,
			known: make([]slot, int64(c.Range)*max(length/w.every, 1))}
		h.watched = append(h.watched, &w.inputs[i])
		w.points[i] = points[i*c.Range : (i+1)*c.Range]
	}
	s.retention = max(s.retention, int64(c.Range)*length+margin)
	old := s.alarm(c.Alarm.AlarmName)
	s.watches[c.Alarm.AlarmName] = w
	if old == nil {
		s.alarms = append(s.alarms, w)
		s.note(record{kind: configured, name: c.Alarm.AlarmName, at: w.changed, after: c.Alarm})
		return
	}
	changed := w.changed
	w.standing = old.standing
	w.changed = changed
	if old.every == w.every {
		w.due = old.due
	}
	s.unwatch(old)
	s.alarms[slices.Index(s.alarms, old)] = w
	s.note(record{kind: configured, name: c.Alarm.AlarmName, at: w.changed, before: old.Alarm, after: c.Alarm})
}

// unwatch takes w's inputs off their series.
func (s *Store) unwatch(w *watch) {
	for i := range w.inputs {
		h := w.inputs[i].series
		h.watched = slices.DeleteFunc(h.watched, func(in *input) bool { return in == &w.inputs[i] })
	}
}

func (s *Store) alarm(name string) *watch { return s.watches[name] }

// Limits of AWS's DeleteAlarms.
const (
	maxDeleted           = 100
	maxCompositesDeleted = 1
)

// DeleteAlarms takes alarms off duty. As in AWS, none is when a composite alarm that
// stays depends on one of them, and those that exist are when another does not, which
// is an error still.
func (s *Store) DeleteAlarms(names ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	composites := 0
	for _, name := range names {
		if s.family.named(name) != nil {
			composites++
		}
	}
	switch {
	case len(names) > maxDeleted:
		return validation("AlarmNames has %d members; at most %d are allowed", len(names), maxDeleted)
	case composites > maxCompositesDeleted:
		return validation("AlarmNames has %d composite alarms; at most %d is allowed in a call", composites, maxCompositesDeleted)
	}
	var needed []string
	for _, name := range names {
		if s.family.dependsOn(name, names) && !slices.Contains(needed, name) {
			needed = append(needed, name)
		}
	}
	if len(needed) > 0 {
		them := "it"
		if len(needed) > 1 {
			them = "them"
		}
		return validation("Cannot delete %s as there are composite alarm(s) depending on %s.", strings.Join(needed, ","), them)
	}
	var unknown error
	for _, name := range names {
		switch w, c := s.alarm(name), s.family.named(name); {
		case w != nil:
			s.unwatch(w)
			delete(s.watches, name)
			s.alarms = slices.DeleteFunc(s.alarms, func(other *watch) bool { return other == w })
			s.note(record{kind: configured, name: name, at: s.time(), before: w.Alarm})
		case c != nil:
			s.family.remove(c)
			s.note(record{kind: configured, name: name, composite: true, at: s.time(), before: c.Composite})
		case unknown == nil:
			unknown = s.unknown(name)
		}
	}
	return unknown
}

// unknown says that there is no such alarm.
func (s *Store) unknown(name string) error {
	const most = 20
	var names []string
	for _, w := range s.alarms[:min(most, len(s.alarms))] {
		names = append(names, w.Alarm.AlarmName)
	}
	for _, c := range s.family.sorted[:min(most, len(s.family.sorted))] {
		names = append(names, c.Composite.AlarmName)
	}
	return &apiError{code: "ResourceNotFound", status: 404,
		message: fmt.Sprintf("there is no alarm %q: the alarms are %q", short(name), names)}
}

// SetAlarmState puts an alarm into a state: a metric alarm until its next evaluation,
// a composite alarm until a child of it changes, or its rule.
func (s *Store) SetAlarmState(name string, to alarm.State, reason string) error {
	return s.setAlarmState(name, to, reason, "")
}

func (s *Store) setAlarmState(name string, to alarm.State, reason, data string) error {
	var n news
	s.mu.Lock()
	w, c := s.alarm(name), s.family.named(name)
	at := s.time()
	switch {
	case w != nil && w.state != to:
		s.change(&n, w, to, reason, data, at)
		s.settle(&n, at)
	case w != nil:
		w.move(to, reason, data, at)
	case c != nil && c.state != to:
		s.turn(c, to, reason, data, at)
		s.settle(&n, at)
	case c != nil:
		c.move(to, reason, data, at)
	default:
		defer s.mu.Unlock()
		return s.unknown(name)
	}
	s.mu.Unlock()
	s.tell(n)
	return nil
}

// SetActionsEnabled enables or disables the actions of alarms, metric or composite. A
// change of state goes on to be a change of state. Names that are not known are passed
// over, as by AWS, whose calls have no error for them.
func (s *Store) SetActionsEnabled(enabled bool, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.setActionsEnabled(name, enabled)
	}
}

func (s *Store) setActionsEnabled(name string, enabled bool) {
	w, c := s.alarm(name), s.family.named(name)
	switch {
	case w != nil && w.Alarm.ActionsEnabled != enabled: // what many stores share is not changed
		compiled, a := *w.Compiled, *w.Alarm
		a.ActionsEnabled, compiled.Alarm = enabled, &a
		w.changed = s.time()
		s.note(record{kind: configured, name: name, at: w.changed, before: w.Alarm, after: &a})
		w.Compiled = &compiled
	case c != nil && c.Composite.ActionsEnabled != enabled:
		compiled, a := *c.CompiledComposite, *c.Composite
		a.ActionsEnabled, compiled.Composite = enabled, &a
		c.changed = s.time()
		s.note(record{kind: configured, name: name, composite: true, at: c.changed, before: c.Composite, after: &a})
		c.CompiledComposite = &compiled
	}
}

// change moves w into another state, and carries out its actions.
func (s *Store) change(n *news, w *watch, to alarm.State, reason, data string, at time.Time) {
	t := Transition{Name: w.Alarm.AlarmName, From: w.state, To: to, Reason: reason, Time: at}
	if w.Alarm.ActionsEnabled {
		t.Actions = actionsFor(to, w.Alarm.OKActions, w.Alarm.AlarmActions, w.Alarm.InsufficientDataActions)
	}
	w.move(to, reason, data, at)
	s.report(n, t)
	s.notifyOf(w, t)
	s.family.turned(t.Name, w.Alarm.AlarmArn, to, at)
}

func actionsFor(state alarm.State, whenOK, whenInAlarm, whenInsufficientData []string) []string {
	switch state {
	case alarm.OK:
		return whenOK
	case alarm.InAlarm:
		return whenInAlarm
	case alarm.InsufficientData:
		return whenInsufficientData
	}
	panic(fmt.Sprintf("cloudwatch: unknown state of an alarm %d", state))
}

// report notes a transition and the actions that it carries out at once.
func (s *Store) report(n *news, t Transition) {
	n.changes = append(n.changes, t)
	s.note(record{kind: moved, name: t.Name, composite: t.Composite, at: t.Time, change: t})
	s.act(n, Action{t.Name, t.Composite, t.To, t.Reason, t.Actions, t.Time})
}

// act notes that actions are carried out, if there are any.
func (s *Store) act(n *news, a Action) {
	if len(a.ARNs) == 0 {
		return
	}
	n.actions = append(n.actions, a)
	for _, arn := range a.ARNs {
		s.note(record{kind: acted, name: a.Alarm, composite: a.Composite, at: a.Time, action: arn})
	}
}

func (s *Store) tell(n news) {
	if s.changed != nil {
		for _, t := range n.changes {
			s.changed(t)
		}
	}
	if s.acted != nil {
		for _, a := range n.actions {
			s.acted(a)
		}
	}
}

// State is the state of an alarm, and whether there is such an alarm.
func (s *Store) State(name string) (alarm.State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stateOf(name)
}

// stateOf is the state of a metric alarm or a composite alarm.
func (s *Store) stateOf(name string) (alarm.State, bool) {
	if w := s.alarm(name); w != nil {
		return w.state, true
	}
	if c := s.family.named(name); c != nil {
		return c.state, true
	}
	return alarm.InsufficientData, false
}

// Alarms is every metric alarm with its state, in the order they were put.
func (s *Store) Alarms() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, len(s.alarms))
	for i, w := range s.alarms {
		all[i] = Status{Alarm: w.Alarm, State: w.state, Reason: w.reason, Since: w.since, Changed: w.changed}
	}
	return all
}

// Fed says whether any metric of the alarm ever had data, of the unit that the alarm
// asks for. An alarm that is not fed can only ever see missing data.
func (s *Store) Fed(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.alarm(name)
	return w != nil && slices.ContainsFunc(w.inputs, func(in input) bool { return in.series.fedWith(in.unit) })
}

// Missing is the metrics of an alarm that never had data. Some of a fed alarm's
// may be among them: a balancer, for one, publishes no count of errors before
// the first error.
func (s *Store) Missing(name string) []alarm.Metric {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []alarm.Metric
	if w := s.alarm(name); w != nil {
		for i := range w.inputs {
			if in := &w.inputs[i]; !in.series.fedWith(in.unit) {
				missing = append(missing, w.Inputs[i].Metric)
			}
		}
	}
	return missing
}

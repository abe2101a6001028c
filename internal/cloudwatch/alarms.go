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
	Name     string
	From, To alarm.State
	Reason   string
	Time     time.Time // of the evaluation
	// Actions are what CloudWatch would carry out: the ARNs for the new state.
	// They are recorded here and never carried out.
	Actions []string
}

// maxHistory is how many transitions DescribeAlarmHistory knows at most.
const maxHistory = 1000

// A watch is an alarm on duty.
type watch struct {
	*alarm.Compiled
	state   alarm.State
	reason  string
	since   time.Time
	changed time.Time
	every   int64 // seconds between evaluations
	due     int64 // Unix time of the next evaluation; 0 before the first
	inputs  []input
	points  [][]alarm.Point // of the inputs, for one evaluation
}

// An input is a metric that an alarm needs, with the points of the windows that
// are known already.
type input struct {
	series *Series
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
// share them.
func (s *Store) PutCompiled(alarms ...*alarm.Compiled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range alarms {
		s.put(c)
	}
}

func (s *Store) put(c *alarm.Compiled) {
	w := &watch{Compiled: c, changed: s.time(), reason: alarm.Reason{}.String(), every: int64(c.Every / time.Second)}
	length := int64(c.Period / time.Second)
	w.inputs = make([]input, len(c.Inputs))
	w.points = make([][]alarm.Point, len(c.Inputs))
	points := make([]alarm.Point, len(c.Inputs)*c.Range)
	for i, in := range c.Inputs {
		h := s.find(in.Metric)
		w.inputs[i] = input{series: h, stat: in.Statistic, length: length, every: w.every,
			known: make([]slot, int64(c.Range)*max(length/w.every, 1))}
		h.watched = append(h.watched, &w.inputs[i])
		w.points[i] = points[i*c.Range : (i+1)*c.Range]
	}
	s.retention = max(s.retention, int64(c.Range)*length+margin)
	if old := s.alarm(c.Alarm.AlarmName); old != nil {
		w.state, w.reason, w.since = old.state, old.reason, old.since
		if old.every == w.every {
			w.due = old.due
		}
		s.unwatch(old)
		s.alarms[slices.Index(s.alarms, old)] = w
		return
	}
	s.alarms = append(s.alarms, w)
}

// unwatch takes w's inputs off their series.
func (s *Store) unwatch(w *watch) {
	for i := range w.inputs {
		h := w.inputs[i].series
		h.watched = slices.DeleteFunc(h.watched, func(in *input) bool { return in == &w.inputs[i] })
	}
}

func (s *Store) alarm(name string) *watch {
	for _, w := range s.alarms {
		if w.Alarm.AlarmName == name {
			return w
		}
	}
	return nil
}

// DeleteAlarms takes alarms off duty, or none when a name is not known.
func (s *Store) DeleteAlarms(names ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if s.alarm(name) == nil {
			return s.unknown(name)
		}
	}
	s.alarms = slices.DeleteFunc(s.alarms, func(w *watch) bool {
		gone := slices.Contains(names, w.Alarm.AlarmName)
		if gone {
			s.unwatch(w)
		}
		return gone
	})
	return nil
}

// unknown says that there is no such alarm.
func (s *Store) unknown(name string) error {
	names := make([]string, len(s.alarms))
	for i, w := range s.alarms {
		names[i] = w.Alarm.AlarmName
	}
	return &apiError{code: "ResourceNotFound", status: 404,
		message: fmt.Sprintf("there is no alarm %q: the alarms are %q", name, names)}
}

// SetAlarmState puts an alarm into a state until its next evaluation.
func (s *Store) SetAlarmState(name string, to alarm.State, reason string) error {
	s.mu.Lock()
	w := s.alarm(name)
	if w == nil {
		defer s.mu.Unlock()
		return s.unknown(name)
	}
	if w.state == to {
		w.reason = reason
		s.mu.Unlock()
		return nil
	}
	t := s.change(w, to, reason, s.time())
	s.mu.Unlock()
	s.tell(t)
	return nil
}

// change moves w into another state.
func (s *Store) change(w *watch, to alarm.State, reason string, at time.Time) Transition {
	t := Transition{Name: w.Alarm.AlarmName, From: w.state, To: to, Reason: reason, Time: at}
	if w.Alarm.ActionsEnabled {
		switch to {
		case alarm.OK:
			t.Actions = w.Alarm.OKActions
		case alarm.InAlarm:
			t.Actions = w.Alarm.AlarmActions
		case alarm.InsufficientData:
			t.Actions = w.Alarm.InsufficientDataActions
		}
	}
	w.state, w.reason, w.since = to, reason, at
	if len(s.history) == maxHistory {
		s.history = append(s.history[:0], s.history[1:]...)
	}
	s.history = append(s.history, t)
	s.notifyOf(w, t)
	return t
}

func (s *Store) tell(made ...Transition) {
	if s.changed == nil {
		return
	}
	for _, t := range made {
		s.changed(t)
	}
}

// State is the state of an alarm, and whether there is such an alarm.
func (s *Store) State(name string) (alarm.State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.alarm(name)
	if w == nil {
		return alarm.InsufficientData, false
	}
	return w.state, true
}

// Alarms is every alarm with its state, in the order they were put.
func (s *Store) Alarms() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, len(s.alarms))
	for i, w := range s.alarms {
		all[i] = Status{Alarm: w.Alarm, State: w.state, Reason: w.reason, Since: w.since, Changed: w.changed}
	}
	return all
}

// Transitions is the newest changes of state, oldest first: at most 1000.
func (s *Store) Transitions() []Transition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.history)
}

// Fed says whether any metric of the alarm ever had data. An alarm that is not
// fed can only ever see missing data.
func (s *Store) Fed(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.alarm(name)
	return w != nil && slices.ContainsFunc(w.inputs, func(in input) bool { return in.series.fed })
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
			if !w.inputs[i].series.fed {
				missing = append(missing, w.Inputs[i].Metric)
			}
		}
	}
	return missing
}

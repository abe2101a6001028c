package cloudwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
)

// maxParents is in how many composite alarms' rules AWS lets one alarm be.
const maxParents = 150

// A family is the composite alarms on duty.
type family struct {
	sorted  []*composite // each after those that its rule names
	byName  map[string]*composite
	parents map[string][]*composite // by the name of a child
	stale   bool                    // one of them is
}

// A composite is a composite alarm on duty.
type composite struct {
	*alarm.CompiledComposite
	standing
	held  alarm.Suppression
	stale bool        // to be judged: it is new, or a child changed
	cause trigger     // why it is judged
	from  alarm.State // before its last change
	moved bool        // it changed in the instant at hand, and that was not reported yet
}

// A trigger is what has a composite alarm judged.
type trigger struct {
	arn   string // of the child that changed; of the alarm itself, that was put
	put   string // "created" or "updated"; "": a child changed
	state alarm.State
	at    time.Time
}

func (f *family) named(name string) *composite { return f.byName[name] }

// index makes anew what is found by name.
func (f *family) index() {
	f.byName, f.parents = map[string]*composite{}, map[string][]*composite{}
	for _, c := range f.sorted {
		f.byName[c.Composite.AlarmName] = c
		for _, child := range c.Rule.Children() {
			f.parents[child] = append(f.parents[child], c)
		}
	}
}

func (f *family) remove(c *composite) {
	f.sorted = slices.DeleteFunc(f.sorted, func(other *composite) bool { return other == c })
	f.index()
}

// dependsOn says whether composite alarms other than those need an alarm, in their
// rules or to suppress their actions.
func (f *family) dependsOn(name string, but []string) bool {
	return slices.ContainsFunc(f.sorted, func(c *composite) bool {
		return (c.Suppressor == name || slices.Contains(c.Rule.Children(), name)) && !slices.Contains(but, c.Composite.AlarmName)
	})
}

// turned has the parents of an alarm that changed judged.
func (f *family) turned(name, amazonName string, to alarm.State, at time.Time) {
	for _, parent := range f.parents[name] {
		if !parent.stale {
			if amazonName == "" {
				amazonName = arn(name)
			}
			parent.stale, parent.cause = true, trigger{arn: amazonName, state: to, at: at}
		}
		f.stale = true
	}
}

// until is the Unix time at which the next wait or extension of a suppressor ends.
func (f *family) until() int64 {
	next := int64(math.MaxInt64)
	for _, c := range f.sorted {
		if until, ok := c.held.Until(); ok {
			next = min(next, until.Add(time.Second-1).Unix()) // instants are whole seconds
		}
	}
	return next
}

// PutComposites checks composite alarms and puts them on duty, or none of them; the
// error has everything that is wrong with each. Their children and suppressors must
// be on duty or among them. A new one begins as INSUFFICIENT_DATA and is judged at
// the next evaluation, as is one that takes the place of another; that keeps its
// state until then.
func (s *Store) PutComposites(composites []alarm.Composite) error {
	var wrong []error
	compiled := make([]*alarm.CompiledComposite, 0, len(composites))
	for i := range composites {
		one := composites[i]
		c, err := one.Compile()
		if err != nil {
			wrong = append(wrong, fmt.Errorf("alarm %q: %s", one.AlarmName, strings.ReplaceAll(err.Error(), "\n", "; ")))
			continue
		}
		compiled = append(compiled, c)
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putComposites(compiled)
}

func (s *Store) putComposites(compiled []*alarm.CompiledComposite) error {
	merged := make([]*alarm.CompiledComposite, 0, len(s.family.sorted)+len(compiled))
	names := map[string]bool{}
	for _, c := range compiled {
		if s.alarm(c.Composite.AlarmName) != nil {
			return validation("there is a metric alarm %q already: names are unique", c.Composite.AlarmName)
		}
		if names[c.Composite.AlarmName] {
			return validation("two composite alarms have the name %q: names are unique", c.Composite.AlarmName)
		}
		names[c.Composite.AlarmName] = true
		merged = append(merged, c)
	}
	for _, c := range s.family.sorted {
		if !names[c.Composite.AlarmName] {
			merged = append(merged, c.CompiledComposite)
		}
	}
	known := func(name string) bool { return s.alarm(name) != nil || s.family.named(name) != nil || names[name] }
	for _, c := range compiled {
		missing := slices.DeleteFunc(slices.Clone(c.Rule.Children()), known)
		if len(missing) > 0 { // in AWS's words
			return validation("Could not save the composite alarm as alarms [%s] in the alarm rule do not exist", short(strings.Join(missing, ", ")))
		}
		if c.Suppressor != "" && !known(c.Suppressor) {
			return validation("Could not save the composite alarm as the actions suppressor alarm %q does not exist", short(c.Suppressor))
		}
	}
	sorted, err := alarm.SortComposites(merged)
	if err != nil {
		return validation("AlarmRule: %v", err)
	}
	parents := map[string]int{}
	for _, c := range merged {
		for _, child := range c.Rule.Children() {
			if parents[child]++; parents[child] > maxParents {
				return &apiError{code: "LimitExceededFault", query: "LimitExceeded",
					message: fmt.Sprintf("the alarm %q would be in the rules of more than %d composite alarms", child, maxParents)}
			}
		}
	}
	all := make([]*composite, len(sorted))
	for i, c := range sorted {
		if all[i] = s.family.named(c.Composite.AlarmName); names[c.Composite.AlarmName] {
			all[i] = s.engage(c, all[i])
		}
	}
	s.family.sorted, s.family.stale = all, true
	s.family.index()
	return nil
}

// engage makes a composite alarm that is put, in place of old if there is one.
func (s *Store) engage(compiled *alarm.CompiledComposite, old *composite) *composite {
	a := compiled.Composite
	c := &composite{CompiledComposite: compiled, stale: true, held: alarm.Suppression{Wait: compiled.Wait, Extension: compiled.Extension},
		standing: standing{reason: alarm.Reason{}.String(), changed: s.time()}}
	c.cause = trigger{arn: arnOf(a), put: "created"}
	if old == nil {
		s.note(record{kind: configured, name: a.AlarmName, composite: true, at: c.changed, after: a})
		return c
	}
	changed := c.changed
	c.standing = old.standing
	c.changed, c.cause.put = changed, "updated"
	if old.Suppressor == c.Suppressor { // another one discards what the old one held back
		c.held = old.held
		c.held.Wait, c.held.Extension = compiled.Wait, compiled.Extension
	}
	s.note(record{kind: configured, name: a.AlarmName, composite: true, at: c.changed, before: old.Composite, after: a})
	return c
}

func arnOf(a *alarm.Composite) string {
	if a.AlarmArn != "" {
		return a.AlarmArn
	}
	return arn(a.AlarmName)
}

// turn moves c into another state in an instant that settle is still to end.
func (s *Store) turn(c *composite, to alarm.State, reason, data string, at time.Time) {
	c.from, c.moved = c.state, true
	c.move(to, reason, data, at)
	s.family.turned(c.Composite.AlarmName, c.Composite.AlarmArn, to, at)
}

// settle ends an instant: it judges the composite alarms that are stale, and then,
// with every state known, decides about their actions.
func (s *Store) settle(n *news, at time.Time) {
	f := &s.family
	if f.stale {
		state := func(name string) alarm.State {
			state, _ := s.stateOf(name)
			return state
		}
		for _, c := range f.sorted {
			if !c.stale {
				continue
			}
			c.stale = false
			if to := c.Evaluate(state); to != c.state {
				s.turn(c, to, c.cause.reason(to), c.cause.data(), at)
			}
		}
		f.stale = false
	}
	for _, c := range f.sorted {
		s.decide(n, c, at)
	}
}

// decide reports a composite alarm that changed, and carries out its actions unless
// they are held back; or those that were held back until now.
func (s *Store) decide(n *news, c *composite, at time.Time) {
	a, changed, act := c.Composite, c.moved, c.moved
	switch {
	case !a.ActionsEnabled:
		c.held.Drop()
		act = false
	case c.Suppressor != "":
		suppressor, _ := s.stateOf(c.Suppressor)
		act = c.held.See(at, changed, suppressor)
	}
	var arns []string
	if act {
		arns = actionsFor(c.state, a.OKActions, a.AlarmActions, a.InsufficientDataActions)
	}
	t := Transition{Name: a.AlarmName, Composite: true, From: c.from, To: c.state, Reason: c.reason, Time: at, Actions: arns, SuppressedBy: c.held.By()}
	switch {
	case changed:
		c.moved = false
		s.report(n, t)
	case act:
		s.act(n, Action{a.AlarmName, true, c.state, c.reason, arns, at})
	}
	if act {
		s.notifyOfComposite(c, t)
	}
}

// reason is in AWS's words.
func (t trigger) reason(to alarm.State) string {
	if t.put != "" {
		return fmt.Sprintf("%s was %s and its alarm rule evaluates to %s", t.arn, t.put, to)
	}
	return fmt.Sprintf("%s transitioned to %s at %s", t.arn, t.state, t.at.UTC().Format("Monday 02 January, 2006 15:04:05 MST"))
}

// data is StateReasonData, as AWS has it.
func (t trigger) data() string {
	type state struct {
		Value     string `json:"value"`
		Timestamp string `json:"timestamp"`
	}
	type triggering struct {
		ARN   string `json:"arn"`
		State state  `json:"state"`
	}
	if t.put != "" {
		return ""
	}
	data, err := json.Marshal(map[string][]triggering{"triggeringAlarms": {{t.arn, state{t.state.String(), alarmTime(t.at)}}}})
	if err != nil {
		panic(fmt.Sprintf("cloudwatch: texts cannot be written as JSON: %v", err))
	}
	return string(data)
}

// A CompositeStatus is a composite alarm with the state it is in.
type CompositeStatus struct {
	Alarm        *alarm.Composite // must not be changed
	State        alarm.State
	Reason       string           // why it came into that state
	Since        time.Time        // when it came into that state; zero before the first change
	Changed      time.Time        // when the alarm itself was put
	SuppressedBy alarm.Suppressed // what holds back the actions of that state
}

// Composites is every composite alarm with its state, each after those that its rule
// names.
func (s *Store) Composites() []CompositeStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]CompositeStatus, len(s.family.sorted))
	for i, c := range s.family.sorted {
		all[i] = CompositeStatus{Alarm: c.Composite, State: c.state, Reason: c.reason, Since: c.since, Changed: c.changed, SuppressedBy: c.held.By()}
	}
	return all
}

package live

import (
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A Scenario is one that is under way.
type Scenario struct {
	ID, Stage, Name string
	Step            string // of its specification
	Began           time.Time
	Up              bool          // its stage is there
	Steady          bool          // the steady state was confirmed
	Now             time.Duration // release time
	Shares          stage.Shares
	Rate            Rate
	Alarms          []Alarm   // those that changed their state, by name
	Failures        []Failure // present or prepared, in the order in which they came
	Release         *Release  // nil: none began

	replicas map[string]int
	seen     int // events of its history
}

// An Alarm is in a state.
type Alarm struct {
	Name  string
	State alarm.State
}

// A Failure was injected and not healed.
type Failure struct {
	stage.Failure
	Present bool // there is proof
}

// See folds the events that were recorded since it last saw some. Events must be all
// of the history.
func (s *Scenario) See(events []stage.Event) {
	s.Up = true
	s.own()
	for _, e := range events[min(s.seen, len(events)):] {
		s.see(e)
	}
	s.seen = len(events)
}

func (s *Scenario) see(e stage.Event) {
	s.Now = max(s.Now, e.At)
	switch e.Kind {
	case stage.Shifted:
		s.Shares = e.Shares
	case stage.Deployed:
		replicas := map[string]int{e.Version: e.Replicas} // a State that was handed out has the map of before
		for v, n := range s.replicas {
			if v != e.Version {
				replicas[v] = n
			}
		}
		s.replicas = replicas
	case stage.Confirmed:
		s.Steady = true
	case stage.Served:
		s.Rate.add(*e.Traffic)
	case stage.Changed:
		s.changed(*e.Alarm)
	case stage.Injected, stage.Landed, stage.Healed:
		s.failed(e)
	default:
	}
	if s.Release != nil {
		s.Release.see(e)
	}
}

// own makes the release one that no State which was handed out has.
func (s *Scenario) own() {
	if s.Release != nil {
		r := *s.Release
		s.Release = &r
	}
}

func (s *Scenario) changed(c stage.AlarmChange) {
	s.Alarms = slices.Clone(s.Alarms)
	i, known := slices.BinarySearchFunc(s.Alarms, c.Name, func(a Alarm, name string) int { return strings.Compare(a.Name, name) })
	if !known {
		s.Alarms = slices.Insert(s.Alarms, i, Alarm{Name: c.Name})
	}
	s.Alarms[i].State = c.To
}

func (s *Scenario) failed(e stage.Event) {
	s.Failures = slices.Clone(s.Failures)
	i := slices.IndexFunc(s.Failures, func(f Failure) bool { return f.Failure == *e.Failure })
	switch {
	case e.Kind == stage.Healed && i >= 0:
		s.Failures = slices.Delete(s.Failures, i, i+1)
	case e.Kind == stage.Healed:
	case i < 0:
		s.Failures = append(s.Failures, Failure{*e.Failure, e.Kind == stage.Landed})
	case e.Kind == stage.Landed:
		s.Failures[i].Present = true
	}
}

func (s *Scenario) release(plan *release.Plan, version string) {
	r := &Release{Plan: plan, Version: version}
	if on := s.Shares.Versions(); len(on) == 1 && on[0] != version {
		r.Stable = on[0]
	}
	r.Steps = plan.Schedule(s.replicas[r.Stable])
	s.Release = r
}

// tick says that it is now at the wall's and the release's time.
func (s *Scenario) tick(wall time.Time, now time.Duration) {
	s.Now = max(s.Now, now)
	if s.own(); s.Release != nil {
		s.Release.tick(wall, s.Now)
	}
}

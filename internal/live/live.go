// Package live is what is known of a run while it goes on, for people to watch: on a
// terminal (internal/report draws it) and in a browser (Server).
//
// State is a fold: it is told what happens, and holds what is the case now. It is pure;
// the wall clock is passed in. Scenario is the part of one scenario under way, folded
// from the events of its history. Run holds a State for those who watch, and reads the
// histories when somebody looks, so that a run never waits for who watches it. words.go
// says what is known in the reader's language, for the terminal and the browser alike.
package live

import (
	"slices"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/release"
)

// A State is what is known of a run at one moment.
type State struct {
	Service string
	Began   time.Time
	At      time.Time // the moment
	Turns   []Turn    // the stages, in their order
	Active  []Scenario
	Ended   []Ended
	Said    string // the last line that the run said besides
	// Stopping says that the run was interrupted and takes its stages down.
	Stopping bool
	Over     bool
	Status   int    // the exit status, once it is over
	Verdict  string // and the sentence that goes with it
}

// A Turn is a stage of the run, and how many of its scenarios have ended.
type Turn struct {
	Stage       string
	Total, Done int
	took        time.Duration // wall time of those that have ended, together
}

// An Ended is what came of a scenario.
type Ended struct {
	Stage, Name string
	Verdict     check.Verdict
	Why         string // it did not pass; "" where it did
	Took        time.Duration
}

// Plan says how many scenarios run on the stage.
func (s *State) Plan(stage string, scenarios int) { s.turn(stage).Total = scenarios }

// Begin says that a scenario is under way. It may be said again.
func (s *State) Begin(id, stage, name string, now time.Time) {
	s.At = now
	if s.find(id) == nil {
		s.Active = append(s.Active, Scenario{ID: id, Stage: stage, Name: name, Began: now})
	}
}

// Step says which step of the specification the scenario is at.
func (s *State) Step(id, text string) {
	if sc := s.find(id); sc != nil {
		sc.Step = text
	}
}

// Release says that the scenario releases the version by the plan from now on.
func (s *State) Release(id string, plan *release.Plan, version string) {
	if sc := s.find(id); sc != nil {
		sc.release(plan, version)
	}
}

// End says what came of a scenario.
func (s *State) End(id string, verdict check.Verdict, why string, now time.Time) {
	sc := s.find(id)
	if sc == nil {
		return
	}
	s.At = now
	e := Ended{Stage: sc.Stage, Name: sc.Name, Verdict: verdict, Why: why, Took: now.Sub(sc.Began)}
	s.Ended = append(s.Ended, e)
	t := s.turn(sc.Stage)
	t.Done, t.took = t.Done+1, t.took+e.Took
	s.Active = slices.DeleteFunc(s.Active, func(sc Scenario) bool { return sc.ID == id })
}

// Count is how many scenarios have ended so.
func (s *State) Count(v check.Verdict) (n int) {
	for _, e := range s.Ended {
		if e.Verdict == v {
			n++
		}
	}
	return n
}

// Total is how many scenarios there are on all stages; 0: not known yet.
func (s *State) Total() (n int) {
	for _, t := range s.Turns {
		n += t.Total
	}
	return n
}

func (s *State) turn(stage string) *Turn {
	i := slices.IndexFunc(s.Turns, func(t Turn) bool { return t.Stage == stage })
	if i < 0 {
		i, s.Turns = len(s.Turns), append(s.Turns, Turn{Stage: stage})
	}
	return &s.Turns[i]
}

func (s *State) find(id string) *Scenario {
	for i := range s.Active {
		if s.Active[i].ID == id {
			return &s.Active[i]
		}
	}
	return nil
}

// enough scenarios of a stage say how long its others take.
const enough = 3

// Left is how much wall time the run still takes, by how long the scenarios of each
// stage took so far; not known before enough of them have ended on each stage that
// still has some.
func (s *State) Left() (left time.Duration, known bool) {
	for _, t := range s.Turns {
		if t.Done >= t.Total {
			continue
		}
		if t.Done < enough {
			return 0, false
		}
		each := t.took / time.Duration(t.Done)
		work, at := each*time.Duration(t.Total-t.Done), 0
		for _, sc := range s.Active {
			if sc.Stage == t.Stage {
				work -= min(s.At.Sub(sc.Began), each)
				at++
			}
		}
		left += work / time.Duration(max(at, 1))
	}
	return left, s.Total() > 0 && !s.Over && !s.Stopping
}

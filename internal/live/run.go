package live

import (
	"slices"
	"sync"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/clock"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A Run is a State that is told what happens and looked at, by several goroutines.
type Run struct {
	mu        sync.Mutex
	state     State
	histories map[string]*stage.History // of the scenarios under way, by id
}

// NewRun is a run that begins now.
func NewRun(service string) *Run {
	now := clock.Wall()
	return &Run{state: State{Service: service, Began: now, At: now}, histories: map[string]*stage.History{}}
}

// Tell changes what is known.
func (r *Run) Tell(f func(s *State, now time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.state, clock.Wall())
}

// Stage says that the scenario's stage is up, and where its events are.
func (r *Run) Stage(id string, h *stage.History) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.find(id) != nil {
		r.histories[id] = h
	}
}

// Release is State.Release, with what is known when the release begins.
func (r *Run) Release(id string, plan *release.Plan, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read(clock.Wall())
	r.state.Release(id, plan, version)
}

// End says what came of a scenario.
func (r *Run) End(id string, verdict check.Verdict, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.histories, id)
	r.state.End(id, verdict, why, clock.Wall())
}

// Now is what is known. The caller may keep it, and must not change it.
func (r *Run) Now() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read(clock.Wall())
	s := r.state
	s.Turns, s.Active, s.Ended = slices.Clone(s.Turns), slices.Clone(s.Active), slices.Clip(s.Ended)
	return s
}

// read folds what the histories have by now. Reading them here and not as they are
// written costs a run nothing, however many events there are.
func (r *Run) read(now time.Time) {
	if !r.state.Over {
		r.state.At = now
	}
	for i := range r.state.Active {
		s := &r.state.Active[i]
		if h := r.histories[s.ID]; h != nil {
			s.See(h.Events())
			s.tick(now, h.Now())
		}
	}
}

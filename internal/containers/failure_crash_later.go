package containers

import (
	"context"
	"sync"

	"rehearsal/internal/clock"
)

// crashLater kills every replica once, After (release time) its version first got
// traffic; at once where it has got some already.
type crashLater struct {
	failureBase
	armed sync.Once
}

func (f *crashLater) inject(ctx context.Context) (bool, error) {
	running := f.s.replicasOf(f.Failure)
	if len(running) == 0 || f.s.history.Share(f.Version) == 0 {
		return false, nil
	}
	f.armed.Do(func() {})
	return true, each(running, func(r *replica) error { return r.kill(ctx) })
}

func (f *crashLater) served(string) {
	f.armed.Do(func() {
		s := f.s
		due := s.clock.Now() + f.After
		s.background.Go(func() {
			if clock.Poll(s.life, pauseStep, func() (bool, error) { return s.clock.Now() >= due || !f.present(), nil }) != nil || !f.present() {
				return
			}
			if each(s.replicasOf(f.Failure), func(r *replica) error { return r.kill(s.life) }) == nil { // a kill that fails leaves no proof
				f.land("the replicas of %s were killed", f.Version)
			}
		})
	})
}

func (f *crashLater) replicaExited(r *replica, how exit) { f.killed(r, how) }
func (f *crashLater) heal(context.Context) error         { f.hurryAll(); return nil }

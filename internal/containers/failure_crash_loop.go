package containers

import (
	"context"

	"rehearsal/internal/clock"
)

// loopingCrash kills every replica, and again each time it has started: at once, or
// After (release time) it began to take traffic.
type loopingCrash struct{ failureBase }

func (f *loopingCrash) inject(ctx context.Context) (bool, error) {
	running := f.s.replicasOf(f.Failure)
	return len(running) > 0 && f.After == 0, each(running, func(r *replica) error { return f.replicaStarted(ctx, r) })
}

func (f *loopingCrash) replicaStarted(ctx context.Context, r *replica) error {
	if f.After == 0 {
		return r.kill(ctx)
	}
	run := r.runs()
	f.s.background.Go(func() {
		over := func() bool { return !f.present() || r.is() == replicaEnding || r.runs() != run }
		due, served := f.After, false
		err := clock.Poll(f.s.life, pauseStep, func() (bool, error) {
			now := f.s.clock.Now()
			if !served && f.s.history.Share(r.version) > 0 {
				due, served = now+f.After, true
			}
			return over() || served && now >= due, nil
		})
		if err == nil && !over() {
			_ = r.kill(f.s.life) // a kill that fails leaves no proof
		}
	})
	return nil
}

func (f *loopingCrash) replicaExited(r *replica, how exit) { f.killed(r, how) }
func (f *loopingCrash) heal(context.Context) error         { f.hurryAll(); return nil }

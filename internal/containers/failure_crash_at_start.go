package containers

import "context"

// crashAtStart kills every replica as it starts. Those that run already are killed
// so that they start.
type crashAtStart struct{ failureBase }

func (f *crashAtStart) inject(ctx context.Context) (bool, error) {
	running := f.s.replicasOf(f.Failure)
	return len(running) > 0, each(running, func(r *replica) error { return r.kill(ctx) })
}

func (f *crashAtStart) replicaStarted(ctx context.Context, r *replica) error { return r.kill(ctx) }
func (f *crashAtStart) replicaExited(r *replica, how exit)                   { f.killed(r, how) }
func (f *crashAtStart) deployed(context.Context, string) error               { return f.mustHaveLanded() }
func (f *crashAtStart) heal(context.Context) error                           { f.hurryAll(); return nil }

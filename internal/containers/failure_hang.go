package containers

import (
	"context"
	"fmt"

	"github.com/moby/moby/client"
)

// hang freezes every replica: it answers no more, and its connections stay. A
// replica that starts is frozen as it starts.
type hang struct{ failureBase }

func (f *hang) inject(ctx context.Context) (bool, error) {
	running := f.s.replicasOf(f.Failure)
	return len(running) > 0, each(running, func(r *replica) error { return f.replicaStarted(ctx, r) })
}

func (f *hang) replicaStarted(ctx context.Context, r *replica) error {
	id := r.id()
	if _, err := f.s.docker.ContainerPause(ctx, id, client.ContainerPauseOptions{}); err != nil {
		if notRunning(err) {
			return nil // it has just exited by itself, and is met when it starts again
		}
		return fmt.Errorf("freeze %s: %w", r.name, err)
	}
	r.become(replicaFrozen)
	frozen, err := f.s.frozen(ctx, id)
	if err == nil && frozen {
		f.land("%s is frozen", r.name)
	}
	return err
}

func (f *hang) deployed(context.Context, string) error { return f.mustHaveLanded() }

func (f *hang) heal(ctx context.Context) error {
	return each(f.s.replicasOf(f.Failure), func(r *replica) error {
		if r.is() != replicaFrozen {
			return nil
		}
		if _, err := f.s.docker.ContainerUnpause(ctx, r.id(), client.ContainerUnpauseOptions{}); err != nil && !containsAny(err.Error(), "is not paused") {
			return fmt.Errorf("thaw %s: %w", r.name, err)
		}
		r.become(replicaRunning)
		return nil
	})
}

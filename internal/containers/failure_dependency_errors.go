package containers

import (
	"context"
	"fmt"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// dependencyErrors has a share of what the version asks of an API answered with 500: by
// the stub that stands in for it, else by a relay before it.
type dependencyErrors struct{ failureBase }

func (f *dependencyErrors) inject(ctx context.Context) (bool, error) {
	return f.s.onRoutes(f.Failure, func(r *route) error { return f.routeMade(ctx, r) })
}

func (f *dependencyErrors) routeMade(ctx context.Context, r *route) error {
	if err := f.s.settle(ctx, r); err != nil {
		return err
	}
	d, _ := f.s.setup.Dependency(f.Dependency)
	door, err := f.s.door(r, f.Dependency)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, landWithin, fmt.Errorf("%w: %s answered well for %s", stage.ErrNotLanded, f.Dependency, landWithin))
	defer cancel()
	err = clock.Poll(ctx, time.Millisecond, func() (bool, error) {
		failed := f.s.askDependency(ctx, d, door, f.s.releasedEnvironment(nil))
		is := failed != nil && ctx.Err() == nil
		if is {
			f.land("%s asked %s: %v", r.version, f.Dependency, failed)
		}
		return is, nil
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

func (f *dependencyErrors) heal(ctx context.Context) error {
	_, err := f.s.onRoutes(f.Failure, func(r *route) error { return f.s.settle(ctx, r) })
	return err
}

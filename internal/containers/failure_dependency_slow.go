package containers

import (
	"context"
	"fmt"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// dependencySlow lets the answers of a dependency through later.
type dependencySlow struct{ failureBase }

func (f *dependencySlow) inject(ctx context.Context) (bool, error) {
	return f.s.onRoutes(f.Failure, func(r *route) error { return f.routeMade(ctx, r) })
}

func (f *dependencySlow) routeMade(ctx context.Context, r *route) error {
	if err := f.s.settle(ctx, r); err != nil {
		return err
	}
	d, _ := f.s.setup.Dependency(f.Dependency)
	door, err := f.s.door(r, f.Dependency)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, landWithin+10*f.Delay)
	defer cancel()
	began := clock.Wall()
	// An error is an answer, too, for most: what counts is when. One over bare TCP that
	// says nothing may never say anything.
	asked := f.s.useDependency(ctx, d, door, f.s.releasedEnvironment(nil))
	took := clock.Since(began)
	if !isDelayed(took, f.Delay) || d.Kind == stage.TCP && asked != nil {
		return fmt.Errorf("%w: %s answered after %s (%s)", stage.ErrNotLanded, f.Dependency, took.Round(time.Millisecond), fmt.Sprint(asked))
	}
	f.land("%s got an answer of %s after %s", r.version, f.Dependency, took.Round(time.Millisecond))
	return nil
}

func (f *dependencySlow) heal(ctx context.Context) error {
	_, err := f.s.onRoutes(f.Failure, func(r *route) error { return f.s.settle(ctx, r) })
	return err
}

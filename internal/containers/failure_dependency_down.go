package containers

import (
	"context"
	"fmt"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// dependencyDown closes the version's door to a dependency: connections are refused,
// and those that are open are cut.
type dependencyDown struct{ failureBase }

func (f *dependencyDown) inject(ctx context.Context) (bool, error) {
	return f.s.onRoutes(f.Failure, func(r *route) error { return f.routeMade(ctx, r) })
}

func (f *dependencyDown) routeMade(ctx context.Context, r *route) error {
	if err := f.s.settle(ctx, r); err != nil {
		return err
	}
	door, err := f.s.door(r, f.Dependency)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, landWithin, fmt.Errorf("%w: %s still takes connections", stage.ErrNotLanded, f.Dependency))
	defer cancel()
	err = clock.Poll(ctx, 5*time.Millisecond, func() (bool, error) {
		refused := knock(ctx, door)
		is := refused != nil && ctx.Err() == nil
		if is {
			f.land("%s cannot connect to %s: %v", r.version, f.Dependency, refused)
		}
		return is, nil
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

func (f *dependencyDown) heal(ctx context.Context) error {
	_, err := f.s.onRoutes(f.Failure, func(r *route) error { return f.s.settle(ctx, r) })
	return err
}

// onRoutes calls do for the routes of the versions that f hits. It reports whether
// there are any.
func (s *Stage) onRoutes(f stage.Failure, do func(*route) error) (any bool, err error) {
	s.mu.Lock()
	var hit []*route
	for name, r := range s.routes {
		if f.Hits(name) {
			hit = append(hit, r)
		}
	}
	s.mu.Unlock()
	for _, r := range hit {
		if err := do(r); err != nil {
			return true, err
		}
	}
	return len(hit) > 0, nil
}

package containers

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// unevenBalance has the balancer give the version's first replica more requests than its
// share.
type unevenBalance struct{ failureBase }

func (f *unevenBalance) inject(ctx context.Context) (bool, error) {
	if f.s.first(f.Version) == nil || f.s.balancer.healthy(f.Version) == 0 {
		return false, nil
	}
	return len(f.s.replicasOf(f.Failure)) > 1, f.deployed(ctx, f.Version)
}

func (f *unevenBalance) deployed(ctx context.Context, version string) error {
	if f.s.setup.ReplicasOf(f.s.setup.Versions[version]) < 2 {
		return fmt.Errorf("%w: %s has one replica: there is nothing to balance", stage.ErrNotLanded, version)
	}
	if len(f.s.replicasOf(f.Failure)) < 2 {
		return nil // a rolling release begins with one
	}
	r := f.s.first(version)
	if err := f.s.balancer.weigh(ctx, version, r.name, f.Times); err != nil {
		return err
	}
	return f.prove(ctx, version, r.name)
}

// unevenRounds is how often the balancer must have gone round all weights for a proof.
const unevenRounds = 4

// prove sends requests to the version, past the shares, until it shows that the first
// replica gets more than half-way from its fair share to the one that is asked for.
func (f *unevenBalance) prove(ctx context.Context, version, first string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, landWithin, fmt.Errorf("%w within %s", stage.ErrNotLanded, landWithin))
	defer cancel()
	before, err := f.s.balancer.served(ctx, version)
	if err != nil {
		return err
	}
	err = clock.Poll(ctx, time.Millisecond, func() (bool, error) {
		if _, _, err := f.s.call(ctx, version, stage.Request{Method: http.MethodGet, Path: f.s.setup.Health.Path}); err != nil {
			return false, nil //nolint:nilerr // one that is lost proves nothing
		}
		now, err := f.s.balancer.served(ctx, version)
		all := 0
		for name := range now {
			all += now[name] - before[name]
		}
		fair, weights := 1/float64(len(now)), float64(f.Times+len(now)-1)
		its := now[first] - before[first]
		if err != nil || float64(all) < unevenRounds*weights || float64(its)/float64(all) < (fair+float64(f.Times)/weights)/2 {
			return false, err
		}
		f.land("%s got %d of %d requests to %s", first, its, all, version)
		return true, nil
	})
	if err != nil && context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	return err
}

func (f *unevenBalance) heal(ctx context.Context) error {
	r := f.s.first(f.Version)
	if r == nil {
		return nil
	}
	return f.s.balancer.weigh(ctx, f.Version, r.name, 1)
}

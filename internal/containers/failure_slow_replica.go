package containers

import (
	"context"
	"time"

	"rehearsal/internal/stage"
)

// slowReplica has the balancer hold back every answer of the version's first replica. Its
// health check passes in time: what is called a gray failure.
type slowReplica struct{ failureBase }

func (f *slowReplica) inject(ctx context.Context) (bool, error) {
	if f.s.first(f.Version) == nil || f.s.balancer.healthy(f.Version) == 0 {
		return false, nil
	}
	return true, f.deployed(ctx, f.Version)
}

func (f *slowReplica) deployed(ctx context.Context, version string) error {
	if err := f.s.settleSlow(ctx); err != nil {
		return err
	}
	return f.s.proveAtBalancer(ctx, version, f) // each replica is asked in turn
}

func (f *slowReplica) shows(a answered) bool {
	if !isDelayed(a.took, f.Delay) {
		return false
	}
	f.land("a replica of %s answered GET %s after %s", a.version, a.path, a.took.Round(time.Millisecond))
	return true
}

func (f *slowReplica) heal(ctx context.Context) error { return f.s.settleSlow(ctx) }

// settleSlow brings the balancer to what the failures that are present ask for.
func (s *Stage) settleSlow(ctx context.Context) error {
	by := map[string]time.Duration{}
	for name := range s.setup.Versions {
		for _, f := range s.failuresOf(name) {
			if is, r := f.what(), s.first(name); is.Kind == stage.SlowReplica && r != nil {
				by[name+"/"+r.name] += is.Delay
			}
		}
	}
	return s.balancer.slowDown(ctx, by)
}

// first is the first replica of a version, or nil.
func (s *Stage) first(version string) *replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.versions[version]; v != nil && len(v.replicas) > 0 {
		return v.replicas[0]
	}
	return nil
}

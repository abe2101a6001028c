package containers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// probeRollback shows that a rollback could start the version: its image can be had, and
// one more replica of it becomes healthy at the balancer, as a rollback's would. That
// replica is ended before it returns, after it has finished the users' requests that it
// got.
func (s *Stage) probeRollback(ctx context.Context, p stage.Probe) (said string, err error) {
	d := s.version(p.Version)
	if d == nil {
		return "", fmt.Errorf("%v: version %s is not deployed", p, p.Version)
	}
	if _, err := s.images.Ensure(ctx, s.setup.Versions[p.Version].Image); err != nil {
		return "", failed(p, "%w", err)
	}
	began, before := clock.Wall(), s.exitsOf(d)
	err = s.grow(ctx, d, 1)
	if err == nil {
		err = s.awaitReplicas(ctx, d, before)
	}
	took := clock.Since(began).Round(time.Millisecond)
	if endErr := s.shrink(ctx, d, 1); endErr != nil {
		return "", errors.Join(err, endErr)
	}
	if errors.Is(err, stage.ErrUnhealthy) {
		return "", failed(p, "%w", err)
	}
	return fmt.Sprintf("%s is there, and a replica of it was healthy after %s", d.Image, took), err
}

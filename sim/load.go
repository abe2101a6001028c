package sim

import (
	"context"
	"fmt"
	"math"
	"time"

	"rehearsal/internal/stage"
)

var _ stage.Loader = (*Stage)(nil)

// Load has the users send so many requests per second from now on.
func (s *Stage) Load(ctx context.Context, rate float64) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if !(rate > 0) || math.IsInf(rate, 1) {
		return fmt.Errorf("a load of %g requests per second: want more than 0", rate)
	}
	s.Traffic.Rate = rate // until now is accounted for
	return nil
}

// Serve lets d pass: here no time runs ahead of any other.
func (s *Stage) Serve(ctx context.Context, d time.Duration) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	return s.pass(ctx, d)
}

package containers

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// wrongAnswers has the balancer turn a share of the answers into 500.
type wrongAnswers struct{ failureBase }

func (f *wrongAnswers) inject(ctx context.Context) (bool, error) {
	return f.s.balance(ctx, f.Failure, f)
}

func (f *wrongAnswers) deployed(ctx context.Context, version string) error {
	return f.s.proveAtBalancer(ctx, version, f)
}

// shows says whether an answer proves the failure.
func (f *wrongAnswers) shows(a answered) bool {
	if a.status != http.StatusInternalServerError {
		return false
	}
	f.land("%s answered GET %s with %d", a.version, a.path, a.status)
	return true
}

func (f *wrongAnswers) heal(ctx context.Context) error { return f.s.settleBalancer(ctx, f.Failure) }

// A balancerFailure is one that the balancer brings about, and that answers show.
type balancerFailure interface {
	failure
	shows(a answered) bool
}

// answered is what came of one request that looks for a failure.
type answered struct {
	version, path string
	status        int
	took          time.Duration
}

// balance brings a failure of answers about, and proves it at a version that answers.
func (s *Stage) balance(ctx context.Context, is stage.Failure, f balancerFailure) (now bool, err error) {
	if err := s.settleBalancer(ctx, is); err != nil {
		return false, err
	}
	for name := range s.setup.Versions {
		if is.Hits(name) && s.balancer.healthy(name) > 0 {
			return true, s.proveAtBalancer(ctx, name, f)
		}
	}
	return false, nil
}

// settleBalancer brings the balancer to what the failures that are present ask for:
// of several for one version the largest share counts, and the longest delay.
func (s *Stage) settleBalancer(ctx context.Context, changed stage.Failure) error {
	for name := range s.setup.Versions {
		if !changed.Hits(name) {
			continue
		}
		var wrong, late float64
		var by time.Duration
		for _, f := range s.failuresOf(name) {
			if is := f.what(); is.Kind == stage.Errors {
				wrong = max(wrong, is.ShareOrAll())
			} else if is.Kind == stage.Latency {
				late, by = max(late, is.ShareOrAll()), max(by, is.Delay)
			}
		}
		var err error
		if changed.Kind == stage.Errors {
			err = s.balancer.failAnswers(ctx, name, wrong)
		} else {
			err = s.balancer.delayAnswers(ctx, name, late, by)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// proveAtBalancer sends requests to the version, past the shares, until one shows
// the failure.
func (s *Stage) proveAtBalancer(ctx context.Context, version string, f balancerFailure) error {
	ctx, cancel := context.WithTimeoutCause(ctx, landWithin, fmt.Errorf("%w within %s", stage.ErrNotLanded, landWithin))
	defer cancel()
	path := s.setup.Health.Path
	var last error
	err := clock.Poll(ctx, time.Millisecond, func() (bool, error) {
		began := clock.Wall()
		var status int
		status, _, last = s.call(ctx, version, stage.Request{Method: http.MethodGet, Path: path})
		return last == nil && f.shows(answered{version, path, status, clock.Since(began)}), nil
	})
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
		if last != nil {
			err = fmt.Errorf("%w: %w", err, last)
		}
	}
	return err
}

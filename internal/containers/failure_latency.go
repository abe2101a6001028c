package containers

import (
	"context"
	"time"
)

// lateAnswers has the balancer hold a share of the answers back.
type lateAnswers struct{ failureBase }

func (f *lateAnswers) inject(ctx context.Context) (bool, error) {
	return f.s.balance(ctx, f.Failure, f)
}

func (f *lateAnswers) deployed(ctx context.Context, version string) error {
	return f.s.proveAtBalancer(ctx, version, f)
}

func (f *lateAnswers) shows(a answered) bool {
	if !isDelayed(a.took, f.Delay) {
		return false
	}
	f.land("%s answered GET %s after %s", a.version, a.path, a.took.Round(time.Millisecond))
	return true
}

func (f *lateAnswers) heal(ctx context.Context) error { return f.s.settleBalancer(ctx, f.Failure) }

// isDelayed says whether what took so long shows a delay; timers are a little rough.
func isDelayed(took, by time.Duration) bool { return took >= by*9/10 }

package release

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"rehearsal/internal/stage"
)

// retryEvery is how long a rollback waits before it tries again to start the
// stable version.
const retryEvery = 10 * time.Second

// stop ends a release that cannot go on: it is refused, taken back, or stuck.
func (r *run) stop(why *reason) error {
	r.watch.stop()
	r.out.Cause, r.out.Alarm = why.cause, why.alarm
	automatic := func() bool {
		return why.cause == CauseByHand || slices.Contains(r.plan.Rollback.When, why.cause.trigger())
	}
	switch {
	case why.refuse:
		r.end(Refused, "refused: %s; nothing was deployed", why.detail)
	case r.stable == nil:
		r.end(Stuck, "stuck: %s; no version was ever good, so there is nothing to roll back to: %s is left as it is, %s",
			why.detail, r.new.Name, r.serves())
	case !r.plan.Rollback.ToLastGood:
		r.end(Stuck, "stuck: %s; the plan has no way back: %s is left as it is, %s", why.detail, r.new.Name, r.serves())
	case !automatic():
		r.end(Stuck, "stuck: %s; the plan does not roll back on %q by itself: %s is left as it is, %s",
			why.detail, why.cause.trigger(), r.new.Name, r.serves())
	default:
		return r.rollBack(why)
	}
	return nil
}

// rollBack returns everyone to the stable version: first the stable version is
// made whole, so that it can bear the traffic, then the traffic goes back, and
// only then the new version is retired.
func (r *run) rollBack(why *reason) error {
	r.out.RollbackBegan = r.h.Now()
	r.decide(false, "roll back to %s: %s", r.stable.Name, why.detail)
	failed, err := r.restore()
	if err != nil {
		return err
	}
	if r.kept > 0 && r.share > 0 {
		r.step("all traffic back to %s", r.stable.Name)
		if err := r.shift(0); err != nil {
			return err
		}
	}
	if failed != nil {
		left := fmt.Sprintf("%s is left as it is", r.new.Name)
		if r.kept > 0 {
			left = fmt.Sprintf("it has only %d of its %s, and %s runs on without traffic", r.kept, replicas(r.whole), r.new.Name)
		}
		r.end(Stuck, "stuck: %s; the rollback failed, %s did not become healthy: %s: %s, %s",
			why.detail, r.stable.Name, without(stage.ErrUnhealthy, failed), r.serves(), left)
		return nil
	}
	r.out.TrafficBack = r.h.Now()
	if r.deployed {
		if err := r.st.Retire(r.ctx, r.new); err != nil {
			return fmt.Errorf("rolling back: retiring %s: %w", r.new.Name, err)
		}
	}
	r.out.RollbackEnded = r.h.Now()
	took := r.out.TrafficBack - r.out.RollbackBegan
	if limit := r.plan.Rollback.Within; limit > 0 && took > limit {
		r.end(Stuck, "stuck: %s; the rollback took %s, longer than the %s that the plan allows: %s",
			why.detail, brief(took.Round(time.Millisecond)), brief(limit), r.serves())
		return nil
	}
	r.end(RolledBack, "rolled back: %s; %s again", why.detail, r.serves())
	return nil
}

// restore makes the stable version whole again, where the release reduced or
// retired it. A start that fails is tried again for as long as the plan allows;
// failed says why it did not come back.
func (r *run) restore() (failed, err error) {
	if r.kept == max(r.whole, 1) {
		return nil, nil
	}
	r.step("start %s again", r.stable.Name)
	v := *r.stable
	v.Replicas = r.whole
	until := r.h.Now() + r.plan.Rollback.Within
	for {
		err := r.st.Deploy(r.ctx, v)
		left := until - r.h.Now()
		switch {
		case err == nil:
			r.kept = max(r.whole, 1)
			return nil, nil
		case !errors.Is(err, stage.ErrUnhealthy) || r.ctx.Err() != nil:
			return nil, fmt.Errorf("rolling back: deploying %s: %w", v.Name, err)
		case left <= 0:
			return err, nil
		}
		if _, err := r.st.Wait(r.ctx, min(retryEvery, left), nil); err != nil {
			return nil, fmt.Errorf("rolling back: %w", err)
		}
	}
}

package release

import (
	"errors"
	"fmt"
)

// roll replaces the replicas of the stable version batch by batch. The shares
// follow the replicas, as a balancer that treats all replicas alike would have it.
//
// As many old replicas as minimum-healthy allows, up to a batch, make room before
// their replacements start; the others go once those are healthy. So a minimum of
// 100 % needs room for one more batch, and a lower one needs less. With the last
// batch the stable version is gone: a rollback has to start it again.
func (r *run) roll() error {
	wanted := r.new.Replicas
	if wanted == 0 {
		wanted = r.whole
	}
	if r.whole == 0 || wanted == 0 {
		return errors.New("a rolling release needs to know how many replicas the stable version has: " +
			"it has no Deployed event, and its Replicas is 0")
	}
	r.watch.expect(wanted)
	batches := r.plan.batches(r.whole, wanted)
	for i, b := range batches {
		n := b.reached
		r.step("batch %d of %d: %d of %d replicas are %s's", i+1, len(batches), n, wanted, r.new.Name)
		if b.room < r.kept {
			if err := r.spread(b.started, b.room); err != nil {
				return err
			}
		}
		if err := r.deployNew(n); err != nil {
			return err
		}
		if b.started == 0 {
			if err := r.test(); err != nil {
				return err
			}
		}
		if err := r.spread(n, b.left); err != nil {
			return err
		}
		bake := r.plan.Every
		if n == wanted {
			if err := r.after(); err != nil {
				return err
			}
			bake = r.plan.Bake
		}
		if err := r.bake(bake); err != nil {
			return err
		}
		if n < wanted {
			r.decide(true, "go on: nothing wrong with %s in %s", replicas(n), brief(bake))
		}
	}
	return nil
}

// spread has the traffic follow so many new and old replicas, and then scales the
// stable version down to that.
func (r *run) spread(n, old int) error {
	if share := 100 * float64(n) / float64(n+old); share != r.share {
		if err := r.advance(share); err != nil {
			return err
		}
	}
	return r.keep(old)
}

func replicas(n int) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}

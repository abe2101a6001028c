package release

import "rehearsal/internal/stage"

// beside starts the whole new version beside the stable one, which stays whole,
// and shifts the traffic by the plan's schedule: every strategy but rolling.
func (r *run) beside() error {
	steps := r.plan.Schedule(0)
	if r.stable == nil {
		steps = steps[len(steps)-1:]
		r.decide(true, "no version was ever good: %s gets all the traffic at once", r.new.Name)
	}
	r.step("start %s", r.new.Name)
	if err := r.deployNew(0); err != nil {
		return err
	}
	if err := r.test(); err != nil {
		return err
	}
	for i, s := range steps {
		r.step("step %d of %d: %s gets %s, bake %s", i+1, len(steps), r.new.Name, percent(s.Share), brief(s.Bake))
		if err := r.advance(s.Share); err != nil {
			return err
		}
		if r.plan.Strategy == AllAtOnce && r.stable != nil {
			if err := r.keep(0); err != nil {
				return err
			}
		}
		if i == len(steps)-1 {
			if err := r.after(); err != nil {
				return err
			}
		}
		if err := r.bake(s.Bake); err != nil {
			return err
		}
		if i < len(steps)-1 {
			r.decide(true, "go on: nothing wrong at %s in %s", percent(s.Share), brief(s.Bake))
		}
	}
	if r.stable != nil {
		return r.keep(0)
	}
	return nil
}

// test sends the smoke requests before users reach the new version.
func (r *run) test() error {
	if !r.plan.Checks.Test {
		return nil
	}
	r.step("test %s before users reach it", r.new.Name)
	return r.probe(stage.Probe{Kind: stage.ProbeSmoke, Version: r.new.Name}, CauseTest)
}

// after sends the smoke requests once everyone is on the new version.
func (r *run) after() error {
	if !r.plan.Checks.After {
		return nil
	}
	r.step("check %s now that it serves everyone", r.new.Name)
	return r.probe(stage.Probe{Kind: stage.ProbeSmoke, Version: r.new.Name}, CauseAfter)
}

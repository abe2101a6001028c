package containers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// A version is a version of the released service that is deployed.
type version struct {
	stage.Version
	named    int // how many names of replicas were given
	replicas []*replica
}

// version is the deployed version with that name, or nil.
func (s *Stage) version(name string) *version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions[name]
}

// replicasOf is the replicas of the deployed versions that f hits.
func (s *Stage) replicasOf(f stage.Failure) []*replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*replica
	for _, name := range slices.Sorted(maps.Keys(s.versions)) {
		if f.Hits(name) {
			all = append(all, s.versions[name].replicas...)
		}
	}
	return all
}

// each calls f for all replicas at once.
func each(replicas []*replica, f func(*replica) error) error {
	var all errgroup.Group
	for _, r := range replicas {
		all.Go(func() error { return f(r) })
	}
	return all.Wait()
}

// Deploy starts v, or brings it to its number of replicas, and returns when all of
// them pass the balancer's health check. stage.ErrUnhealthy says why they do not.
func (s *Stage) Deploy(ctx context.Context, v stage.Version) (err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	if _, known := s.setup.Versions[v.Name]; !known {
		return fmt.Errorf("there is no version %q: there are %s", v.Name, strings.Join(slices.Sorted(maps.Keys(s.setup.Versions)), ", "))
	}
	s.mu.Lock()
	d := s.versions[v.Name]
	if d == nil {
		d = &version{}
		s.versions[v.Name] = d
	}
	d.Version = v
	have := len(d.replicas)
	s.mu.Unlock()
	if _, err := s.images.Ensure(ctx, v.Image); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("version %s: %w: %w", v.Name, stage.ErrUnhealthy, err)
	}
	want, before := s.setup.ReplicasOf(v), s.exitsOf(d)
	s.monitor.register(v.Name)
	switch {
	case want > have:
		err = s.grow(ctx, d, want-have)
	case want < have:
		err = s.shrink(ctx, d, have-want)
	}
	if err == nil {
		err = s.awaitReplicas(ctx, d, before)
	}
	if err == nil {
		err = s.meet(ctx, v.Name, func(f failure) error { return f.deployed(ctx, v.Name) })
	}
	if err != nil {
		return fmt.Errorf("version %s: %w", v.Name, err)
	}
	s.history.Record(stage.Event{Kind: stage.Deployed, Version: v.Name, Replicas: want})
	return nil
}

// grow adds replicas. A container that an engine in good health cannot start is a
// version that cannot run.
func (s *Stage) grow(ctx context.Context, d *version, by int) error {
	way, err := s.routeOf(ctx, d.Name)
	if err != nil {
		return err
	}
	var added []*replica
	s.mu.Lock()
	for range by {
		d.named++
		added = append(added, &replica{s: s, version: d.Name, name: fmt.Sprintf("%s-%d", d.Name, d.named)})
	}
	d.replicas = append(d.replicas, added...)
	s.mu.Unlock()
	for _, r := range added {
		if r.address, err = s.inside.address(); err != nil {
			return err
		}
		r.log = newLogTail(s, r)
	}
	return each(added, func(r *replica) error {
		err := r.create(ctx, d.Version, way)
		if err == nil {
			err = r.start(ctx)
		}
		if err == nil {
			return r.register(ctx)
		}
		if ctx.Err() == nil && !errors.Is(err, stage.ErrNotLanded) && !s.engineGone(ctx) {
			err = fmt.Errorf("%w: %w", stage.ErrUnhealthy, err)
		}
		return err
	})
}

// shrink ends replicas: those that are not healthy first, then the newest.
func (s *Stage) shrink(ctx context.Context, d *version, by int) error {
	healthy := map[string]bool{}
	for _, t := range s.balancer.targets(d.Name) {
		healthy[t.Name] = t.State == targetHealthy
	}
	s.mu.Lock()
	slices.SortStableFunc(d.replicas, func(a, b *replica) int {
		switch {
		case healthy[a.name] == healthy[b.name]:
			return 0
		case healthy[a.name]:
			return -1
		}
		return 1
	})
	ending := slices.Clone(d.replicas[len(d.replicas)-by:])
	s.mu.Unlock()
	if err := each(ending, func(r *replica) error { return r.end(ctx) }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.replicas = slices.DeleteFunc(d.replicas, func(r *replica) bool { return slices.Contains(ending, r) })
	return nil
}

// Retire drains v, ends its replicas and removes them.
func (s *Stage) Retire(ctx context.Context, v stage.Version) (err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	d := s.version(v.Name)
	if d == nil {
		return fmt.Errorf("version %s is not deployed", v.Name)
	}
	if share := s.history.Share(v.Name); share > 0 {
		return fmt.Errorf("version %s still gets %g %% of the traffic: shift it away before", v.Name, share)
	}
	if err := s.shrink(ctx, d, len(d.replicas)); err != nil {
		return fmt.Errorf("retire version %s: %w", v.Name, err)
	}
	s.mu.Lock()
	delete(s.versions, v.Name)
	s.mu.Unlock()
	s.monitor.deregister(v.Name)
	s.history.Record(stage.Event{Kind: stage.Retired, Version: v.Name})
	return nil
}

const (
	healthStep = 5 * time.Millisecond // between two looks at the replicas' health
	// crashLoop is how often each replica that is not healthy has exited when it is
	// evident that it never will be.
	crashLoop = 3
	// healthDeadline is Health.Deadline where the setup has none.
	healthDeadline = time.Minute
)

// doomed says whether a failure is present that keeps the version's health check
// from passing, however long one waits.
func (s *Stage) doomed(version string) bool {
	for _, f := range s.failuresOf(version) {
		if is := f.what(); is.Kind == stage.DependencyDown {
			if d, ok := s.setup.Dependency(is.Dependency); ok && d.Readiness {
				return true
			}
		}
	}
	return false
}

// exitsOf is how often each replica has exited so far.
func (s *Stage) exitsOf(d *version) map[*replica]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[*replica]int{}
	for _, r := range d.replicas {
		all[r] = r.runs()
	}
	return all
}

// awaitReplicas waits until all replicas are healthy; before is their exits when the
// deployment began. Release time runs at 1, since what starts is at work, except
// while there is nothing to wait for but pauses to end and failures to be healed.
func (s *Stage) awaitReplicas(ctx context.Context, d *version, before map[*replica]int) error {
	deadline := s.setup.Health.Deadline
	if deadline <= 0 {
		deadline = healthDeadline
	}
	until := s.clock.Now() + deadline
	ahead := func() {}
	defer func() { ahead() }()
	var idle bool
	doomed := s.doomed(d.Name)
	return clock.Poll(ctx, healthStep, func() (bool, error) {
		if err := s.broken(); err != nil {
			return false, err
		}
		sick := s.sick(d)
		if len(sick) == 0 {
			return true, nil
		}
		hopeless, idleNow := true, true
		for _, r := range sick {
			r.mu.Lock()
			hopeless = hopeless && r.exits-before[r] >= crashLoop
			idleNow = idleNow && (r.state == replicaPausing || r.state == replicaFrozen || r.state == replicaRunning && doomed)
			r.mu.Unlock()
		}
		if hopeless {
			return false, s.unhealthy(d, sick, before, "keep exiting")
		}
		if s.clock.Now() >= until {
			return false, s.unhealthy(d, sick, before, fmt.Sprintf("are not ready after %s", deadline))
		}
		if idleNow != idle {
			idle = idleNow
			ahead()
			ahead = func() {}
			if idle {
				ahead = s.clock.RunAhead()
			}
		}
		return false, nil
	})
}

// sick is the replicas that do not run, or that the balancer does not find healthy.
func (s *Stage) sick(d *version) []*replica {
	healthy := map[string]bool{}
	for _, t := range s.balancer.targets(d.Name) {
		healthy[t.Name] = t.State == targetHealthy
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var sick []*replica
	for _, r := range d.replicas {
		if !healthy[r.name] || !r.runsWell() {
			sick = append(sick, r)
		}
	}
	return sick
}

// unhealthy says what is wrong with the replicas, as far as can be seen.
func (s *Stage) unhealthy(d *version, sick []*replica, before map[*replica]int, when string) error {
	checks := map[string]string{}
	for _, t := range s.balancer.targets(d.Name) {
		checks[t.Name] = t.Detail
	}
	var all []string
	for i, r := range sick {
		r.mu.Lock()
		why := r.last
		switch {
		case r.state == replicaFrozen:
			why = "does not answer"
		case why == "" && checks[r.name] != "":
			why = fmt.Sprintf("health check on port %d: %s", s.setup.Health.Port, checks[r.name])
		case why == "":
			why = "does not answer the health check"
		}
		if n := r.exits - before[r]; n > 1 {
			why += fmt.Sprintf(", %d times", n)
		}
		r.mu.Unlock()
		if i == 0 { // the others mostly say the same
			last := r.log.tail(3)
			why += last + s.foreignImage(d.Image, last)
		}
		all = append(all, r.name+" "+why)
	}
	return fmt.Errorf("%w: %d of %d replicas %s: %s", stage.ErrUnhealthy, len(sick), len(d.replicas), when, strings.Join(all, "; "))
}

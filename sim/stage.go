// Package sim is the simulated stage: a world for the release logic in which
// time is virtual. It needs no Docker, takes milliseconds, and replays the same
// history, byte for byte, from the same seed.
//
// A kernel (kernel.go) keeps the virtual time. Between two of its events nothing
// changes: each version then has a manner (manner.go), which follows from its
// failures (failure.go, crash.go) and decides with the state of its replicas
// (replica.go) how its users fare. How many were served how, is drawn once for such an
// interval (traffic.go, chance.go, latency.go), so that a release costs the same at
// any rate of requests. What a load balancer, ECS and the logs would publish goes to
// the embedded CloudWatch (monitor.go), whose alarms are those of the container
// stage.
//
// The stage observes and records; releasing, rolling back and judging are done by
// the same code as on the container stage. What it assumes is in model.go.
package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/stage"
)

// Options is what a simulated stage is made of.
type Options struct {
	stage.Setup
	Seed uint64    // the same seed gives the same history
	Sink io.Writer // gets the history as NDJSON, as it happens; may be nil
}

// A Stage is a simulated staging copy. Its traffic begins when a version first
// gets a share of it.
type Stage struct {
	*model
	*kernel
	history  *stage.History
	monitor  *monitor
	server   *cloudwatch.Server // nil until somebody asks for it
	versions []*version         // in the order of their deployment
	injected []*present
	turns    int // how many versions were deployed so far
	writes   stage.Writes
	flushed  time.Duration // traffic is accounted for until then
	closed   bool
	scratch  answers
}

var (
	_ stage.Stage   = (*Stage)(nil)
	_ stage.Prober  = (*Stage)(nil)
	_ stage.Auditor = (*Stage)(nil)
)

// New raises a stage with nothing deployed. Its error says everything that is
// wrong with the setup.
func New(ctx context.Context, o Options) (*Stage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, err := newModel(o.Setup)
	if err != nil {
		return nil, fmt.Errorf("the simulated stage cannot be raised:\n%w", err)
	}
	s := &Stage{model: m, kernel: newKernel(o.Seed)}
	if s.monitor, err = newMonitor(&m.Setup, s.now); err != nil {
		return nil, fmt.Errorf("the simulated stage cannot be raised:\n%w", err)
	}
	s.history = stage.NewHistory(s.now, o.Sink)
	s.history.Record(stage.Event{Kind: stage.Began, Detail: fmt.Sprintf("simulated, seed %d", o.Seed)})
	s.after(s.monitor.every, s.tick)
	return s, nil
}

// History is everything that was observed.
func (s *Stage) History() *stage.History { return s.history }

// Deploy starts v, or brings it to another number of replicas. It takes as long
// as they need to start and to pass their health check, or to drain.
func (s *Stage) Deploy(ctx context.Context, v stage.Version) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if _, known := s.Versions[v.Name]; v.Name != "" && len(s.Versions) > 0 && !known {
		return fmt.Errorf("cannot deploy: unknown version %q: known are %q", v.Name, slices.Sorted(maps.Keys(s.Versions)))
	}
	if err := checkVersion(&s.Setup, v); err != nil {
		return fmt.Errorf("cannot deploy: %w", err)
	}
	d := s.find(v.Name)
	if d == nil {
		d = &version{group: s.monitor.join(s.turns)}
		s.turns++
		s.versions = append(s.versions, d)
	}
	s.respecify(d, v)
	want, have := s.ReplicasOf(v), d.replicas()
	if want < have {
		s.end(d, have-want)
		if err := s.pass(ctx, s.Model.DrainTime); err != nil {
			return err
		}
	} else if want > have {
		s.begin(d, want-have)
	}
	s.settle()
	up, err := s.until(ctx, s.Health.Deadline, func() bool { return d.in(healthy) == want })
	if err != nil {
		return err
	}
	if !up {
		return fmt.Errorf("%w: %d of %d replicas of %s after %v: %s", stage.ErrUnhealthy, want-d.in(healthy), want, v.Name, s.Health.Deadline, d.ailment())
	}
	s.history.Record(stage.Event{Kind: stage.Deployed, Version: v.Name, Replicas: want})
	return nil
}

// respecify makes d what v says.
func (s *Stage) respecify(d *version, v stage.Version) {
	old := d.own
	d.spec, d.own = v, nil
	d.places, d.limited = s.CapacityOf(v).Places(s.CPUs, s.answers.mean())
	for _, f := range ownFailures(v) {
		p := &present{Failure: f}
		if i := slices.IndexFunc(old, func(o *present) bool { return o.Failure == f }); i >= 0 {
			p = old[i]
		}
		d.own = append(d.own, p)
	}
	s.refresh()
}

// ailment is why the first replica that is not healthy is not.
func (v *version) ailment() string {
	for _, b := range v.batches {
		switch {
		case b.standing == healthy:
		case v.manner.exits != "":
			return v.manner.exits
		default:
			return b.ailment()
		}
	}
	return "all are healthy"
}

// Retire drains v and ends it. It must have no share of the traffic.
func (s *Stage) Retire(ctx context.Context, v stage.Version) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	d := s.find(v.Name)
	if d == nil {
		return fmt.Errorf("cannot retire %q: it is not deployed; deployed are %q", v.Name, s.deployed())
	}
	if d.share > 0 {
		return fmt.Errorf("cannot retire %q: it has %g %% of the traffic; shift that away first", v.Name, d.share)
	}
	s.retire(d)
	if err := s.pass(ctx, s.Model.DrainTime); err != nil {
		return err
	}
	s.history.Record(stage.Event{Kind: stage.Retired, Version: v.Name})
	return nil
}

func (s *Stage) retire(d *version) {
	s.end(d, d.replicas())
	d.gone = true
	if d.group != nil {
		d.group.versions--
	}
	s.versions = slices.DeleteFunc(s.versions, func(o *version) bool { return o == d })
}

// Shift changes the shares; until it returns the old ones are in force.
func (s *Stage) Shift(ctx context.Context, shares stage.Shares) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := shares.Validate(); err != nil {
		return fmt.Errorf("cannot shift: %w", err)
	}
	for _, name := range shares.Versions() {
		if s.find(name) == nil {
			return fmt.Errorf("cannot shift traffic to %q: it is not deployed; deployed are %q", name, s.deployed())
		}
	}
	if err := s.pass(ctx, s.Model.ShiftTime); err != nil {
		return err
	}
	for _, v := range s.versions {
		v.share = shares[v.spec.Name]
	}
	s.history.Record(stage.Event{Kind: stage.Shifted, Shares: shares})
	for _, v := range s.versions {
		if v.share > 0 && !v.exposed {
			s.expose(v)
		}
	}
	s.settle()
	return nil
}

// Wait jumps from event to event until done holds, or d has passed.
func (s *Stage) Wait(ctx context.Context, d time.Duration, done func(*stage.History) bool) (bool, error) {
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	if done == nil {
		return false, s.pass(ctx, d)
	}
	return s.until(ctx, d, func() bool { return done(s.history) })
}

// Audit compares the acknowledged writes with the stored ones.
func (s *Stage) Audit(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	w := s.writes
	w.Keys = slices.Clone(w.Keys)
	s.history.Record(stage.Event{Kind: stage.Audited, Writes: &w, OK: w.Lost+w.Doubled == 0})
	return nil
}

// Close heals and ends everything, in no time.
func (s *Stage) Close(context.Context) error {
	if s.closed {
		return nil
	}
	for _, p := range slices.Clone(s.injected) {
		s.heal(p.Failure)
	}
	for _, v := range slices.Clone(s.versions) {
		s.retire(v)
		s.history.Record(stage.Event{Kind: stage.Retired, Version: v.spec.Name})
	}
	s.closed = true
	s.queue = nil
	s.monitor.store.Close()
	s.history.Record(stage.Event{Kind: stage.Ended})
	if s.server != nil {
		return errors.Join(s.history.Err(), s.server.Close())
	}
	return s.history.Err()
}

// usable says why nothing can be done any more, if so.
func (s *Stage) usable(ctx context.Context) error {
	if s.closed {
		return errors.New("the simulated stage is closed")
	}
	return ctx.Err()
}

func (s *Stage) find(name string) *version {
	for _, v := range s.versions {
		if v.spec.Name == name {
			return v
		}
	}
	return nil
}

func (s *Stage) deployed() []string {
	return namesOf(s.versions, func(v *version) string { return v.spec.Name })
}

// pass lets d pass.
func (s *Stage) pass(ctx context.Context, d time.Duration) error {
	_, err := s.until(ctx, d, func() bool { return false })
	return err
}

// until lets release time pass, event by event, until done holds or d has passed.
// It asks done first, then whenever something has happened, and at the end.
func (s *Stage) until(ctx context.Context, d time.Duration, done func() bool) (bool, error) {
	end := s.now() + max(d, 0)
	for {
		if done() {
			return true, nil
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		next, planned := s.next()
		if !planned || next > end {
			next = end
		}
		if next == s.now() {
			return false, s.history.Err()
		}
		s.advance(next)
		s.flush()
		s.settle()
	}
}

// settle lets everything happen that is due, and plans what follows from it.
func (s *Stage) settle() {
	s.happen()
	for _, v := range s.versions {
		s.planMemory(v)
	}
}

// tick ends an interval at every whole minute, or more often where an alarm is
// judged more often.
func (s *Stage) tick() {
	s.monitor.judge(s.history, s.now())
	s.after(s.monitor.every, s.tick)
}

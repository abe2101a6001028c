package release

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// Versions are what a release is about.
type Versions struct {
	// Stable serves everyone and was last good: it is what a rollback goes back to.
	// nil: no version was ever good.
	Stable *stage.Version
	New    stage.Version
}

// Options are what a release listens to besides the stage.
type Options struct {
	// RollBack is asked after every event while the plan waits: a person's order to
	// go back, with the reason. It must be quick.
	RollBack func(*stage.History) (reason string, now bool)
}

// Run carries the plan out on the stage, and rolls back by itself where the plan
// says so. Every step and every decision goes into the stage's history.
//
// That a release was refused, taken back or got stuck is an Outcome, not an
// error. An error says that nothing may be concluded: the stage broke, the context
// ended, or the plan's shares cannot be carried out. Run then returns at once and
// leaves the stage to its owner to close.
//
// It waits nowhere but in the stage's own calls. Whether the plan's window is
// open is not its question, since it runs in release time.
func Run(ctx context.Context, st stage.Stage, p *Plan, v Versions, o Options) (Outcome, error) {
	r := newRun(ctx, st, p, v, o)
	defer r.watch.stop()
	r.out.Began = r.h.Now()
	err := p.check()
	if err == nil {
		err = r.carryOut()
	}
	var why *reason
	switch {
	case err == nil:
		r.end(Released, "released: %s serves everyone", r.new.Name)
	case errors.As(err, &why):
		err = r.stop(why)
	}
	r.out.Ended = r.h.Now()
	if err != nil {
		r.out.Result, r.out.Detail = Inconclusive, err.Error()
		return r.out, fmt.Errorf("releasing %s: %w", v.New.Name, err)
	}
	r.out.Serving = r.serving()
	return r.out, nil
}

// A run is one release under way.
type run struct {
	ctx    context.Context
	st     stage.Stage
	h      *stage.History
	plan   *Plan
	o      Options
	watch  *watcher
	stable *stage.Version // nil: none
	new    stage.Version
	whole  int // replicas of the stable version before the release; 0: not known
	// What is the case now.
	deployed bool    // something of the new version runs
	share    float64 // percent of the traffic on the new version
	kept     int     // replicas of the stable version that run
	shares   stage.Shares
	out      Outcome
}

func newRun(ctx context.Context, st stage.Stage, p *Plan, v Versions, o Options) *run {
	r := &run{ctx: ctx, st: st, h: st.History(), plan: p, o: o, stable: v.Stable, new: v.New,
		watch: &watcher{version: v.New.Name, alarms: p.Alarms}, shares: stage.Shares{}}
	if v.Stable != nil {
		r.whole = v.Stable.Replicas
		for e := range r.h.All(stage.Deployed) {
			if e.Version == v.Stable.Name {
				r.whole = e.Replicas
			}
		}
		r.kept = max(r.whole, 1)
		r.shares = stage.Shares{v.Stable.Name: 100}
	}
	r.h.Watch(r.watch.see)
	return r
}

// carryOut brings the new version to everyone.
func (r *run) carryOut() error {
	if err := r.before(); err != nil {
		return err
	}
	if r.plan.Strategy == Rolling && r.stable != nil {
		return r.roll()
	}
	return r.beside()
}

// before asks what must hold before anything is deployed.
func (r *run) before() error {
	if r.stable != nil && r.stable.Name == r.new.Name {
		return &reason{detail: fmt.Sprintf("%s serves everyone already", r.new.Name), refuse: true}
	}
	for _, name := range r.plan.Alarms {
		if r.h.AlarmState(name) == alarm.InAlarm {
			return &reason{cause: CauseAlarm, alarm: name, refuse: true,
				detail: fmt.Sprintf("the alarm %q was red already: it could not tell whether %s is bad", name, r.new.Name)}
		}
	}
	for _, b := range r.plan.Checks.Before {
		if err := r.ask(b); err != nil {
			return refusal(err)
		}
	}
	return nil
}

// ask asks one of the questions before the release.
func (r *run) ask(b Before) error {
	if b.Kind == BeforeAlarms {
		if said, ok := alarmsOK(r.h, r.plan.Alarms, r.stable != nil); !ok {
			return &reason{cause: CauseBefore, detail: fmt.Sprintf("%s failed: %s: %s", CauseBefore, b, said)}
		}
		return nil
	}
	p, ok := b.probe(Versions{Stable: r.stable, New: r.new})
	if !ok {
		r.step("no version was ever good: there is no %s to check", b)
		return nil
	}
	return r.probe(p, CauseBefore)
}

// refusal is err where it is a reason to stop before anything is deployed.
func refusal(err error) error {
	var why *reason
	if errors.As(err, &why) {
		why.refuse = true
	}
	return err
}

// trouble is the reason to take the release back, if there is one by now.
func (r *run) trouble() error {
	if why := r.watch.seen(); why != nil {
		return why
	}
	return r.ctx.Err()
}

// interrupted says whether a bake is over before its time. The stage asks after
// every event.
func (r *run) interrupted(h *stage.History) bool {
	if r.watch.seen() != nil {
		return true
	}
	if r.o.RollBack == nil {
		return false
	}
	why, now := r.o.RollBack(h)
	if now {
		r.watch.order(why)
	}
	return now
}

// bake waits for d, unless there is trouble.
func (r *run) bake(d time.Duration) error {
	if d == 0 || r.interrupted(r.h) {
		return r.trouble()
	}
	held, err := r.st.Wait(r.ctx, d, r.interrupted)
	if err != nil {
		return fmt.Errorf("baking for %s: %w", brief(d), err)
	}
	if err := r.trouble(); err != nil {
		return err
	}
	if held {
		return fmt.Errorf("baking for %s: the stage said that the wait was over, and nothing had happened", brief(d))
	}
	return nil
}

// deployNew brings the new version to so many replicas; 0: as many as it says.
func (r *run) deployNew(replicas int) error {
	v := r.new
	if replicas > 0 {
		v.Replicas = replicas
	}
	r.deployed = true
	err := r.st.Deploy(r.ctx, v)
	if errors.Is(err, stage.ErrUnhealthy) && r.ctx.Err() == nil {
		return &reason{cause: CauseHealth, detail: fmt.Sprintf("%s did not become healthy: %s", v.Name, without(stage.ErrUnhealthy, err))}
	}
	if err != nil {
		return fmt.Errorf("deploying %s: %w", v.Name, err)
	}
	return r.trouble()
}

// keep scales the stable version to so many replicas, or retires it.
func (r *run) keep(replicas int) error {
	if replicas == r.kept {
		return nil
	}
	if replicas == 0 {
		if err := r.st.Retire(r.ctx, *r.stable); err != nil {
			return fmt.Errorf("retiring %s: %w", r.stable.Name, err)
		}
		r.kept = 0
		return nil
	}
	v := *r.stable
	v.Replicas = replicas
	if err := r.st.Deploy(r.ctx, v); err != nil {
		return fmt.Errorf("bringing %s to %d replicas: %w", v.Name, replicas, err)
	}
	r.kept = replicas
	return nil
}

// advance shifts to the new version, with smoke requests before and after where the
// plan says so. A rollback shifts without asking.
func (r *run) advance(share float64) error {
	if err := r.smokeAtShift("check %s before the shift"); err != nil {
		return err
	}
	if err := r.shift(share); err != nil {
		return err
	}
	return r.smokeAtShift("check %s after the shift")
}

func (r *run) smokeAtShift(doing string) error {
	if !r.plan.Checks.Shift {
		return nil
	}
	r.step(doing, r.new.Name)
	return r.probe(stage.Probe{Kind: stage.ProbeSmoke, Version: r.new.Name}, CauseShift)
}

// shift gives the new version this percentage of the traffic and the stable
// version the rest.
func (r *run) shift(share float64) error {
	shares := stage.Shares{}
	if share > 0 {
		shares[r.new.Name] = share
	}
	if share < 100 {
		shares[r.stable.Name] = 100 - share
	}
	if err := r.st.Shift(r.ctx, shares); err != nil {
		return fmt.Errorf("shifting to %s: %w", shares, err)
	}
	r.share, r.shares = share, shares
	return nil
}

// probe asks one question; that it is answered badly is the cause.
func (r *run) probe(p stage.Probe, c Cause) error {
	prober, ok := stage.As[stage.Prober](r.st)
	if !ok {
		return fmt.Errorf("%v: this stage answers no probes: %w", p, errors.ErrUnsupported)
	}
	err := prober.Probe(r.ctx, p)
	if errors.Is(err, stage.ErrProbe) && r.ctx.Err() == nil {
		what := without(stage.ErrProbe, err)
		if !strings.HasPrefix(what, p.String()) {
			what = p.String() + ": " + what
		}
		return &reason{cause: c, detail: fmt.Sprintf("%s failed: %s", c, what)}
	}
	if err != nil {
		return fmt.Errorf("%v: %w", p, err)
	}
	return r.trouble()
}

// without is err's text without the words of the kind of error that it wraps, which
// the sentence around it says already.
func without(kind, err error) string {
	return strings.TrimPrefix(err.Error(), kind.Error()+": ")
}

func (r *run) step(format string, args ...any) {
	r.h.Record(stage.Event{Kind: stage.Stepped, Version: r.new.Name, Detail: fmt.Sprintf(format, args...)})
}

// decide records a decision: for the new version (ok) or against it.
func (r *run) decide(ok bool, format string, args ...any) string {
	return r.h.Record(stage.Event{Kind: stage.Decided, Version: r.new.Name, OK: ok, Detail: fmt.Sprintf(format, args...)}).Detail
}

// end notes the result and the sentence that goes with it.
func (r *run) end(result Result, format string, args ...any) {
	r.out.Result = result
	r.out.Detail = r.decide(result == Released, format, args...)
}

// serving is the one version that everyone is on, or "".
func (r *run) serving() string {
	if on := r.shares.Versions(); len(on) == 1 {
		return on[0]
	}
	return ""
}

// serves is who the users are on, for people.
func (r *run) serves() string {
	switch on := r.shares.Versions(); len(on) {
	case 0:
		return "nobody is served"
	case 1:
		return on[0] + " serves everyone"
	}
	return "the users are on " + strings.ReplaceAll(r.shares.String(), ", ", " and ")
}

package steps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/capacity"
	"rehearsal/internal/check"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A World is one scenario on one stage. The Givens only write down what is wanted;
// the When raises the stage, confirms the steady state, and releases.
type World struct {
	suite *Suite
	spec  *Spec
	setup stage.Setup // this scenario's own copy

	stable string // the version that was last good; "" is none
	fails  []stage.Failure
	later  []later
	byHand *stage.Moment

	stage      *stage.Scheduled // nil until it is raised
	sink       io.Closer        // of its history; nil when that is not written down
	pushed     push
	released   string // the version of the When
	outcome    *release.Outcome
	before     []Checked      // of the When that checks a version
	asked      *asking        // of the last When that asks something
	prepared   bool           // what the Givens break is broken
	overtaken  *capacity.Step // of the When in which one version drains under a load
	undetected bool
	audited    bool
	over       bool // the scenario has ended
	findings   []check.Finding
}

type later struct {
	failure stage.Failure
	moment  stage.Moment
	lasts   time.Duration
}

// An InputError is a mistake in what the user wrote.
type InputError struct{ Text string }

func (e *InputError) Error() string { return e.Text }

// errUnsteady is a stage that was not well before anything was done to it.
var errUnsteady = errors.New("the steady state was not reached")

// fail has f present from the moment its version is deployed.
func (w *World) fail(f stage.Failure) error {
	if err := f.Validate(); err != nil {
		return &InputError{err.Error()}
	}
	w.fails = append(w.fails, f)
	return nil
}

// failAt has f injected at m and healed after lasts.
func (w *World) failAt(f stage.Failure, m stage.Moment, lasts time.Duration) error {
	if err := f.Validate(); err != nil {
		return &InputError{err.Error()}
	}
	w.later = append(w.later, later{f, m, lasts})
	return nil
}

// failUntilRed injects f at once and waits until the alarm has gone off.
func (w *World) failUntilRed(ctx context.Context, f stage.Failure, name string) error {
	if err := w.raise(ctx); err != nil {
		return err
	}
	if err := w.stage.Inject(ctx, f); err != nil {
		return fmt.Errorf("injecting %v: %w", f, err)
	}
	red, err := w.stage.Wait(ctx, redWithin, func(h *stage.History) bool { return h.AlarmState(name) == alarm.InAlarm })
	if err == nil && !red {
		err = fmt.Errorf("%w: the alarm %q did not go off within %v of %v", errUnsteady, name, redWithin, f)
	}
	return err
}

const redWithin = 15 * time.Minute

func (w *World) history() *stage.History {
	if w.stage == nil {
		return stage.NewHistory(func() time.Duration { return 0 }, nil)
	}
	return w.stage.History()
}

// find keeps a finding for the report and fails the step with it.
func (w *World) find(f check.Finding) error {
	w.findings = append(w.findings, f)
	return f.Err()
}

// raise brings the stage up with the stable version serving everyone, and
// confirms the steady state.
func (w *World) raise(ctx context.Context) error {
	if w.stage != nil {
		return nil
	}
	st, err := w.suite.raise(ctx, w)
	if err != nil {
		return err
	}
	w.stage = stage.NewScheduled(w.suite.Break.apply(st))
	w.suite.notify(Notice{Spec: w.spec, Stage: w.stage})
	if w.stable == "" {
		return nil
	}
	v, err := w.version(w.stable)
	if err != nil {
		return err
	}
	if err := w.stage.Deploy(ctx, v); err != nil {
		return fmt.Errorf("%w: deploying the stable version: %w", errUnsteady, err)
	}
	if err := w.stage.Shift(ctx, stage.Shares{v.Name: 100}); err != nil {
		return fmt.Errorf("%w: giving the traffic to the stable version: %w", errUnsteady, err)
	}
	return w.steady(ctx)
}

// steadyFor is how long users must be served without a failure before anything is
// done to a stage, and steadyWithin how long that may take to come about.
const (
	steadyFor    = time.Minute
	steadyWithin = 10 * time.Minute
)

// steady waits until every alarm of the stage that can be OK is, and no request has
// failed for a while.
func (w *World) steady(ctx context.Context) error {
	h := w.stage.History()
	from := h.Now()
	ok, err := w.stage.Wait(ctx, steadyWithin, func(h *stage.History) bool {
		if h.Now()-from < steadyFor || !w.quiet(h) {
			return false
		}
		_, lasted := check.Restored(h, from, steadyFor)
		return lasted
	})
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w within %v: %s", errUnsteady, steadyWithin, w.unrest(h, from))
	}
	h.Record(stage.Event{Kind: stage.Confirmed, Detail: fmt.Sprintf("no request failed for %v, no alarm is on", steadyFor)})
	return nil
}

// quiet says that every alarm is OK. An alarm that stays INSUFFICIENT_DATA would
// never detect anything.
func (w *World) quiet(h *stage.History) bool {
	return !slices.ContainsFunc(w.setup.AlarmNames(), func(name string) bool { return h.AlarmState(name) != alarm.OK })
}

func (w *World) unrest(h *stage.History, from time.Duration) string {
	var states []string
	for _, name := range w.setup.AlarmNames() {
		if s := h.AlarmState(name); s != alarm.OK {
			states = append(states, fmt.Sprintf("the alarm %q is %s", name, s))
		}
	}
	requests, bad := check.Counted(h, from, 0, "")
	return fmt.Sprintf("%d of %d requests failed; alarms that are not OK: %q", bad, requests, states)
}

func (w *World) version(name string) (stage.Version, error) {
	v, ok := w.setup.Versions[name]
	if !ok {
		return v, &InputError{fmt.Sprintf("there is no version %q: %s", name, nearestName(name, slices.Sorted(maps.Keys(w.setup.Versions))))}
	}
	return v, nil
}

// prepare raises the stage and breaks what the Givens say, once.
func (w *World) prepare(ctx context.Context) error {
	if err := w.raise(ctx); err != nil {
		return err
	}
	if w.prepared {
		return nil
	}
	w.prepared = true
	for _, f := range w.fails {
		if err := w.stage.Inject(ctx, f); err != nil {
			return fmt.Errorf("injecting %v: %w", f, err)
		}
	}
	return nil
}

// versions is what a release of the version with that name is about.
func (w *World) versions(name string) (vs release.Versions, err error) {
	if vs.New, err = w.version(name); err != nil {
		return vs, err
	}
	if w.stable != "" {
		s, err := w.version(w.stable)
		if err != nil {
			return vs, err
		}
		vs.Stable = &s
	}
	return vs, nil
}

// release carries out plan for version, on a stage whose failures are prepared,
// and then lets the users' service settle.
func (w *World) release(ctx context.Context, version string, plan *release.Plan) error {
	if w.outcome != nil {
		return &InputError{"the scenario releases twice: one When, one behaviour; write a second scenario"}
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	vs, err := w.versions(version)
	if err != nil {
		return err
	}
	w.released = version
	for _, l := range w.later {
		w.stage.Plan(l.failure, l.moment, l.lasts)
	}
	if w.byHand != nil {
		w.stage.Wake(*w.byHand)
	}
	w.suite.notify(Notice{Spec: w.spec, Plan: plan, Version: version})
	out, err := release.Run(ctx, w.stage, plan, vs, release.Options{RollBack: w.orders()})
	w.outcome = &out
	if err != nil {
		return fmt.Errorf("the release could not be carried out: %w", err)
	}
	if planned := w.stage.Planned(); len(planned) > 0 {
		return fmt.Errorf("%w: %v: its moment never came, the release was %s: %s", stage.ErrNotLanded, planned[0], out.Result, out.Detail)
	}
	return w.settle(ctx)
}

// orders is the person who rolls back by hand.
func (w *World) orders() func(*stage.History) (string, bool) {
	if w.byHand == nil {
		return nil
	}
	return func(h *stage.History) (string, bool) {
		due, _, _ := w.byHand.Due(h)
		return "the on-call engineer said so", due
	}
}

// settle waits, where requests failed, until users are served well again: what
// "restored" asks about. It gives up after settleWithin.
const settleWithin = 10 * time.Minute

func (w *World) settle(ctx context.Context) error {
	h := w.stage.History()
	if w.outcome.Result != release.RolledBack {
		return nil
	}
	from := h.Now()
	_, err := w.stage.Wait(ctx, settleWithin, func(h *stage.History) bool {
		_, ok := check.Restored(h, from, check.Lasting)
		return ok
	})
	return err
}

// audit compares the acknowledged writes with what is stored, once.
func (w *World) audit(ctx context.Context) error {
	if w.audited || w.stage == nil || w.setup.Traffic.Stored == "" {
		return nil
	}
	w.audited = true
	a, ok := stage.As[stage.Auditor](w.stage)
	if !ok {
		return fmt.Errorf("%w: this stage cannot compare writes with what is stored", errors.ErrUnsupported)
	}
	return a.Audit(ctx)
}

// end heals, audits, closes, and holds the invariants. stepErr is what the scenario
// ended with so far.
func (w *World) end(ctx context.Context, stepErr error) error {
	if w.stage == nil {
		return stepErr
	}
	var err error
	if stepErr == nil || isBroken(stepErr) {
		err = w.audit(ctx)
	}
	if closeErr := w.stage.Close(context.WithoutCancel(ctx)); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("closing the stage: %w", closeErr))
	}
	if w.sink != nil {
		err = errors.Join(err, w.sink.Close())
	}
	if sinkErr := w.history().Err(); sinkErr != nil {
		err = errors.Join(err, fmt.Errorf("writing the history: %w", sinkErr))
	}
	if err != nil || (stepErr != nil && !isBroken(stepErr)) {
		return err
	}
	broken := check.Invariants(w.history(), check.Expected{
		Alarms:     w.spec.Alarms,
		Stable:     w.stable,
		New:        w.released,
		RolledBack: w.outcome != nil && w.outcome.Result == release.RolledBack,
		Undetected: w.undetected,
	})
	for _, f := range broken {
		w.findings = append(w.findings, f)
		err = errors.Join(err, f.Err())
	}
	return err
}

func isBroken(err error) bool {
	var b *check.Broken
	return errors.As(err, &b)
}

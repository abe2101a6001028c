// Package capacity finds the highest load at which a release keeps its objective: the
// plan is carried out, with short bakes, under one load after the other, while the old
// version drains and the new one takes over, on whatever stage is raised for it.
//
// The load is doubled until the objective is broken (or halved until it is kept), and
// then the interval is halved. A load that the machine cannot make is no verdict: then
// the highest load that was kept is a lower bound.
package capacity

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// Options say what is looked for, and where.
type Options struct {
	// Raise raises a stage whose users send rate requests per second.
	Raise       func(ctx context.Context, rate float64) (stage.Stage, error)
	Plan        *release.Plan
	Stable, New stage.Version
	Objective   stage.Objective
	From        float64       // the first load, in requests per second
	Most        float64       // no load above it is tried
	Precision   float64       // the interval is halved until it is that share of its lower end: 0.1
	Hold        time.Duration // release time of each bake, and of the time before the release
	Tell        func(Step)    // gets each step as it has ended; may be nil
}

// A Step is one load.
type Step struct {
	Rate   float64 // requests per second
	Served check.Service
	Broke  string // what of the objective was not kept; "" is nothing
	// Lost says why nothing can be said of this load: the machine could not make it.
	Lost error
}

// A Result is what was found.
type Result struct {
	Steps []Step // in the order in which they were tried
	// Kept is the highest load that was kept, and Broke the lowest that was not; 0 is none.
	Kept, Broke float64
	// Bound says why the limit was not found: "" where it was.
	Bound string
}

// Find looks for the limit. An error is one of raising or of the plan, not of a load.
func Find(ctx context.Context, o Options) (*Result, error) {
	switch {
	case o.Objective.P99 <= 0 && o.Objective.Errors <= 0:
		return nil, errors.New("there is no objective: say in rehearsal.yaml, or by flags, within what time 99 % of the answers must come and how many may fail")
	case !(o.From > 0 && o.Most >= o.From):
		return nil, fmt.Errorf("a first load of %g and a highest of %g requests per second: want more than 0, and the first at most the highest", o.From, o.Most)
	case !(o.Precision >= 0.01 && o.Precision <= 1):
		return nil, fmt.Errorf("a precision of %g: want 0.01 to 1", o.Precision)
	case o.Hold <= 0:
		return nil, fmt.Errorf("each load is held for %v: want more than 0", o.Hold)
	}
	r := &Result{}
	for rate := o.From; rate > 0; rate = r.next(o) {
		step, err := o.try(ctx, rate)
		if err != nil {
			return r, err
		}
		r.Steps = append(r.Steps, step)
		if o.Tell != nil {
			o.Tell(step)
		}
		switch {
		case step.Lost != nil:
			r.Bound = fmt.Sprintf("%g requests per second could not be made on this machine: %v", rate, step.Lost)
			return r, nil //nolint:nilerr // it is no error: that this load cannot be made is what was found
		case step.Broke == "":
			r.Kept = max(r.Kept, rate)
		case r.Broke == 0 || rate < r.Broke:
			r.Broke = rate
		}
	}
	switch {
	case r.Kept == 0:
		r.Bound = fmt.Sprintf("even %g requests per second were not kept", r.Broke)
	case r.Broke == 0:
		r.Bound = fmt.Sprintf("%g requests per second, the highest load that was to be tried, are kept", r.Kept)
	}
	return r, nil
}

// lowest is where looking for a load that is kept ends, as a share of the first.
const lowest = 1.0 / 64

// next is the load to try next; 0 is none.
func (r *Result) next(o Options) float64 {
	tidy := func(rate float64) float64 { // two digits are enough, and are what people can read
		unit := math.Pow(10, math.Floor(math.Log10(rate))-1)
		return math.Round(rate/unit) * unit
	}
	next := 0.0
	switch {
	case r.Broke == 0:
		next = min(2*r.Kept, o.Most)
	case r.Kept == 0:
		if next = tidy(r.Broke / 2); next < lowest*o.From {
			return 0
		}
	case (r.Broke-r.Kept)/r.Kept > o.Precision:
		next = tidy((r.Kept + r.Broke) / 2)
	}
	if slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Rate == next }) {
		return 0
	}
	return next
}

// try carries the plan out under one load.
func (o *Options) try(ctx context.Context, rate float64) (step Step, err error) {
	step.Rate = rate
	st, err := o.Raise(ctx, rate)
	if err != nil {
		return step, fmt.Errorf("raising the stage for %g requests per second: %w", rate, err)
	}
	defer func() {
		if closed := st.Close(context.WithoutCancel(ctx)); closed != nil && step.Lost == nil {
			err = errors.Join(err, closed)
		}
	}()
	outcome, from, err := o.release(ctx, st)
	switch {
	case errors.Is(err, stage.ErrLost) && ctx.Err() == nil:
		step.Lost = err
		return step, nil
	case err != nil:
		return step, err
	}
	step.Served = check.Served(st.History(), from)
	step.Broke = step.Served.Breaks(o.Objective)
	if step.Broke == "" && outcome.Result != release.Released {
		step.Broke = "the release was not carried through: " + outcome.Detail
	}
	return step, nil
}

// release releases the new version. What counts is served from the moment that the stable
// version is warm.
func (o *Options) release(ctx context.Context, st stage.Stage) (out release.Outcome, from time.Duration, err error) {
	if err := st.Deploy(ctx, o.Stable); err != nil {
		return out, 0, err
	}
	if err := st.Shift(ctx, stage.Shares{o.Stable.Name: 100}); err != nil {
		return out, 0, err
	}
	if _, err := st.Wait(ctx, o.Hold/2, nil); err != nil { // pools fill, caches too
		return out, 0, err
	}
	from = st.History().Now()
	if _, err := st.Wait(ctx, o.Hold, nil); err != nil {
		return out, from, err
	}
	stable := o.Stable
	out, err = release.Run(ctx, st, Short(o.Plan, o.Hold), release.Versions{Stable: &stable, New: o.New}, release.Options{})
	return out, from, err
}

// Short is the plan with bakes of at most hold, and nothing but the load to take it back:
// alarms and checks are other questions. A version that stops passing its health check
// under the load is taken back all the same.
func Short(p *release.Plan, hold time.Duration) *release.Plan {
	short := *p
	short.Steps = slices.Clone(p.Steps)
	for i := range short.Steps {
		short.Steps[i].Bake = min(short.Steps[i].Bake, hold)
	}
	short.Every, short.Bake = min(p.Every, hold), min(p.Bake, hold)
	short.Alarms, short.Checks, short.Window = nil, release.Checks{}, nil
	short.Rollback.When = []release.Trigger{release.FailedHealth}
	return &short
}

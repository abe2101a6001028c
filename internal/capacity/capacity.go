// Package capacity finds the highest load at which a plan keeps its objective at the
// moment of a release when the fewest replicas serve: while one version drains and the
// other takes over, on whatever stage it is given.
//
// step.go holds that moment under one load and judges it (internal/check has the
// statistics). Here the load is doubled until the objective is broken, or halved until it
// is kept, and then the interval is halved. where.go says what was used up.
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
	Stage       stage.Stage // with nothing deployed; it must be a stage.Loader
	Setup       *stage.Setup
	Plan        *release.Plan
	Stable, New stage.Version
	Objective   stage.Objective
	From        float64       // the first load, in requests per second
	Most        float64       // no load above it is tried
	Precision   float64       // the interval is halved until it is that share of its lower end: 0.1
	Length      time.Duration // how long a load is held at least
	Tell        func(Step)    // gets each step as it has ended; may be nil
}

// A Result is what was found.
type Result struct {
	Steps []Step // in the order in which they were tried
	// Kept is the highest load that was kept each time, and Broke the lowest that was
	// not; 0 is none.
	Kept, Broke float64
	// Bound says why the limit was not found: "" where it was.
	Bound string
}

// confirmed is how often a load must be kept to be the highest: once may be chance, or a
// quiet moment of the machine.
const confirmed = 2

// mostSteps is where looking ends whatever was found.
const mostSteps = 40

// Find looks for the limit. An error is one of the stage or of the input, not of a load.
func Find(ctx context.Context, o Options) (*Result, error) {
	switch {
	case o.Objective.P99 <= 0 && o.Objective.Errors <= 0:
		return nil, errors.New("there is no objective: say in rehearsal.yaml, or by flags, within what time 99 % of the answers must come and how many may fail")
	case !(o.From > 0 && o.Most >= o.From) || math.IsInf(o.Most, 1):
		return nil, fmt.Errorf("a first load of %g and a highest of %g requests per second: want more than 0, and the first at most the highest", o.From, o.Most)
	case !(o.Precision >= 0.01 && o.Precision <= 1):
		return nil, fmt.Errorf("a precision of %g: want 0.01 to 1", o.Precision)
	case o.Length <= 0:
		return nil, fmt.Errorf("each load is held for %v: want more than 0", o.Length)
	}
	d, err := newDrill(ctx, o.Stage, o.Setup, o.Plan, o.Stable, o.New)
	if err != nil {
		return nil, err
	}
	r := &Result{}
	for rate := o.From; rate > 0 && len(r.Steps) < mostSteps; rate = r.next(o) {
		step, err := d.Step(ctx, rate, o.Length, o.Objective)
		if err != nil {
			return r, fmt.Errorf("at %s: %w", perSecond(rate), err)
		}
		r.take(step)
		if o.Tell != nil {
			o.Tell(step)
		}
		if step.Standing == check.Unmade {
			r.Bound = fmt.Sprintf("%s could not be made on this machine: %s", perSecond(rate), step.Why)
			return r, nil
		}
	}
	switch {
	case r.Kept == 0 && r.Broke > 0:
		r.Bound = fmt.Sprintf("even %s were not kept", perSecond(r.Broke))
	case r.Kept == 0:
		r.Bound = fmt.Sprintf("no load could be told to be kept: hold each for longer (%v were not enough), or want less", o.Length)
	case r.Broke == 0 && r.Kept >= o.Most:
		r.Bound = fmt.Sprintf("%s, the highest load that was to be tried, are kept", perSecond(r.Kept))
	case r.Broke == 0:
		r.Bound = "no load could be told to be too much"
	}
	return r, nil
}

// take adds a step to what is known.
func (r *Result) take(step Step) {
	r.Steps = append(r.Steps, step)
	r.Kept, r.Broke = 0, 0
	for _, s := range r.Steps {
		if s.Standing == check.Over && (r.Broke == 0 || s.Rate < r.Broke) {
			r.Broke = s.Rate
		}
	}
	for _, s := range r.Steps {
		kept := !slices.ContainsFunc(r.Steps, func(o Step) bool { return o.Rate == s.Rate && o.Standing != check.Kept })
		if kept && (r.Broke == 0 || s.Rate < r.Broke) {
			r.Kept = max(r.Kept, s.Rate)
		}
	}
}

// lowest is where looking for a load that is kept ends, as a share of the first.
const lowest = 1.0 / 64

// next is the load to try next; 0 is none.
func (r *Result) next(o Options) float64 {
	above := math.Inf(1) // the lowest load above that is not known to be kept
	for _, s := range r.Steps {
		if s.Standing != check.Kept && s.Rate > r.Kept {
			above = min(above, s.Rate)
		}
	}
	switch {
	case r.Kept == 0:
		if next := tidy(above / 2); next >= lowest*o.From {
			return next
		}
		return 0
	case math.IsInf(above, 1) && r.Kept < o.Most:
		return min(2*r.Kept, o.Most)
	case (above-r.Kept)/r.Kept > o.Precision && !math.IsInf(above, 1):
		if next := tidy(math.Sqrt(r.Kept * above)); next > r.Kept && next < above {
			return next
		}
	}
	times := 0
	for _, s := range r.Steps {
		if s.Rate == r.Kept {
			times++
		}
	}
	if times < confirmed {
		return r.Kept
	}
	return 0
}

// tidy is a load of three digits, which people can read.
func tidy(rate float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(rate))-2)
	return math.Round(rate/unit) * unit
}

func perSecond(rate float64) string { return fmt.Sprintf("%.3g requests per second", rate) }

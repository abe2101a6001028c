package capacity

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A Step is one load, held while one version drained and the other took over.
type Step struct {
	Rate     float64 // requests per second
	Served   check.Service
	Due      float64 // requests that were due meanwhile, at least
	Standing check.Standing
	Why      string // it stands so; "" where it is kept
	Uses     []Use  // what used how much CPU; none where the stage does not know
	// CPU is the CPU time that one request took of the new version; 0: not known.
	CPU time.Duration
}

const (
	// fewest is how many requests a step has at least, however low the load.
	fewest = 1000
	// longest is how many times as long a step may become until it can be told.
	longest = 4
	// calm is how long users must be served without a failure before the next step, and
	// calmWithin how long that may take to come about.
	calm       = time.Second
	calmWithin = time.Minute
)

// A Drill holds the moment of a plan at which the fewest replicas serve, under one load
// after the other.
type Drill struct {
	st          stage.Stage
	load        stage.Loader
	drain       release.Drain
	stable, new stage.Version
	rest        float64 // the load between two steps
}

// newDrill brings the stage to the moment before: the stable version serves.
func newDrill(ctx context.Context, st stage.Stage, setup *stage.Setup, p *release.Plan, stable, fresh stage.Version) (*Drill, error) {
	d := NewDrill(st, setup, p, stable, fresh)
	if d.load == nil {
		return nil, fmt.Errorf("%w: the load of this stage cannot be set", errors.ErrUnsupported)
	}
	if err := d.load.Load(ctx, d.rest); err != nil {
		return nil, err
	}
	if err := st.Deploy(ctx, stable); err != nil {
		return nil, fmt.Errorf("deploying %s, which should serve: %w", stable.Name, err)
	}
	if err := st.Deploy(ctx, fresh); err != nil { // nobody waits for an image at the first load
		return nil, fmt.Errorf("deploying %s: %w", fresh.Name, err)
	}
	if err := st.Shift(ctx, stage.Shares{stable.Name: 100}); err != nil {
		return nil, fmt.Errorf("giving the traffic to %s: %w", stable.Name, err)
	}
	return d, nil
}

// NewDrill is a drill on a stage on which the stable version serves everyone.
func NewDrill(st stage.Stage, setup *stage.Setup, p *release.Plan, stable, fresh stage.Version) *Drill {
	d := &Drill{st: st, stable: stable, new: fresh, rest: max(setup.Traffic.Rate/4, 1)}
	d.load, _ = stage.As[stage.Loader](st)
	d.drain = p.Drain(setup.ReplicasOf(stable), setup.ReplicasOf(fresh))
	return d
}

// Step has the one version drain and the other take over under a load, for at least
// length, and longer where it cannot be told yet how the objective stands.
func (d *Drill) Step(ctx context.Context, rate float64, length time.Duration, o stage.Objective) (step Step, err error) {
	if d.load == nil {
		return step, fmt.Errorf("%w: the load of this stage cannot be set", errors.ErrUnsupported)
	}
	h := d.st.History()
	if err := d.prepare(ctx); err != nil {
		return step, err
	}
	if err := d.load.Load(ctx, rate); err != nil {
		return step, err
	}
	if err := d.load.Serve(ctx, length/4); err != nil { // pools fill, caches too: left out
		return step, err
	}
	length = max(length, time.Duration(fewest/rate*float64(time.Second)))
	before := d.parts(ctx)
	from := h.Now()
	h.Record(stage.Event{Kind: stage.Stepped, Version: d.new.Name, Detail: fmt.Sprintf("%s drains and %s takes over at %s", d.stable.Name, d.new.Name, perSecond(rate))})
	sick := d.takeOver(ctx)
	if sick != nil && !errors.Is(sick, stage.ErrUnhealthy) {
		return step, sick
	}
	step.Rate = rate
	for n := 1; n <= longest; n++ {
		until := max(from+time.Duration(n)*length, h.Now()+calm)
		if err := d.load.Serve(ctx, until-h.Now()); err != nil {
			return step, err
		}
		step.Served = check.ServedBetween(h, from, until)
		step.Due = atLeast(rate * (until - from).Seconds())
		step.Standing, step.Why = step.Served.Stands(o, step.Due)
		if step.Standing == check.Kept || step.Standing == check.Over {
			break
		}
	}
	if sick != nil {
		step.Standing, step.Why = check.Over, sick.Error()
	}
	step.Uses, step.CPU = usesOf(before, d.parts(ctx), h, from, d.new.Name)
	return step, d.load.Load(ctx, min(rate, d.rest))
}

// prepare brings the stage to the moment before the drain, at a load that it bears, and
// waits until it does.
func (d *Drill) prepare(ctx context.Context) error {
	from := d.drain.From
	v := d.stable
	v.Replicas = from.Old
	if err := d.st.Deploy(ctx, v); err != nil {
		return fmt.Errorf("deploying %s: %w", v.Name, err)
	}
	if from.New > 0 {
		v := d.new
		v.Replicas = from.New
		if err := d.st.Deploy(ctx, v); err != nil {
			return fmt.Errorf("deploying %s: %w", v.Name, err)
		}
	}
	if err := d.st.Shift(ctx, d.shares(from)); err != nil {
		return err
	}
	h := d.st.History()
	for until := h.Now() + calmWithin; ; {
		began := h.Now()
		if err := d.load.Serve(ctx, calm); err != nil {
			return err
		}
		s := check.ServedBetween(h, began, began+calm)
		if s.Requests > 0 && s.Failed == 0 {
			return nil
		}
		if h.Now() >= until {
			return fmt.Errorf("the service does not come back to itself within %v, at %s: %d of %d requests failed", calmWithin, perSecond(d.rest), s.Failed, s.Requests)
		}
	}
}

// takeOver is the moment itself.
func (d *Drill) takeOver(ctx context.Context) error {
	to := d.drain.To
	if err := d.st.Shift(ctx, d.shares(to)); err != nil {
		return err
	}
	if to.Old == 0 {
		return d.st.Retire(ctx, d.stable)
	}
	v := d.stable
	v.Replicas = to.Old
	return d.st.Deploy(ctx, v)
}

func (d *Drill) shares(p release.Point) stage.Shares {
	shares := stage.Shares{}
	if p.Share > 0 {
		shares[d.new.Name] = p.Share
	}
	if p.Share < 100 {
		shares[d.stable.Name] = 100 - p.Share
	}
	return shares
}

// parts is what everything has used so far; none where the stage does not know.
func (d *Drill) parts(ctx context.Context) []stage.Part {
	m, ok := stage.As[stage.Meter](d.st)
	if !ok {
		return nil
	}
	parts, err := m.Parts(ctx)
	if err != nil {
		return nil // what is not known is not told
	}
	return parts
}

// Text is what was seen, in a line.
func (s Step) Text() string {
	_, errors, _ := s.Served.Errors()
	return fmt.Sprintf("p50 %v, p99 %v (95 %% between %v and %v), %.2f %% of %d requests failed", round(s.Served.P50), round(s.Served.P99), round(s.Served.Low), round(s.Served.Top), errors, s.Served.Requests)
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// atLeast is how many requests there must be of so many that are due on average: fewer
// than one in fifty less, whatever chance does and where a stretch of time begins.
func atLeast(due float64) float64 { return due - due/50 - 5*math.Sqrt(due) }

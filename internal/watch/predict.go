package watch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rehearsal/internal/alarm"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// A Forecast is what to carry out many times over, to know what to expect.
type Forecast struct {
	Setup    stage.Setup
	Plan     *release.Plan
	Stable   stage.Version
	New      stage.Version
	Releases int
	Seed     uint64
	// Before is minutes of real traffic; nil: the traffic is as the setup says.
	Before []Traffic
	// Troubles befall every release; none: the version is good.
	Troubles []Trouble
}

// A Trouble is a failure that befalls a release at a moment; none: from the start of its
// version, or where it has no version from before the release.
type Trouble struct {
	Failure stage.Failure
	Moment  *stage.Moment
	Lasts   time.Duration
}

// Traffic is what the load balancer showed of one minute of real traffic.
type Traffic struct {
	Rate     float64 // requests per second
	Errors   float64 // percent of the requests
	P50, P99 time.Duration
}

// A Prediction is what the releases that were carried out have shown. Times are since
// the release began; the n-th period of a measure is the one in which that lies, so that
// period 0 is the one in which the release begins.
type Prediction struct {
	Of       string // what it is made of, in words
	Releases int
	Steps    []Step        // as they come in the median
	Length   time.Duration // of the longest
	Results  map[release.Result]int
	// values are by measure, release and period since lead before 0; NaN is no data.
	values [][][]float64
	// off is when an alarm first went off, in those releases in which it did.
	off map[string][]time.Duration
}

// A Step is a shift of the plan.
type Step struct {
	Share float64 // percent, of the new version
	At    time.Duration
}

const (
	// lead is how many periods before the release are predicted, and tail for how long
	// after it.
	lead = 3
	tail = 3 * time.Minute
	// steadyWithin is how long the alarms may take to be OK before the release.
	steadyWithin = 30 * time.Minute
)

// Predict carries the releases out, on every processor.
func (f Forecast) Predict(ctx context.Context, m *Measures) (*Prediction, error) {
	f.Setup.Monitoring.Wanted = m.metrics()
	if f.Setup.Versions != nil { // the two are as this says
		f.Setup.Versions = map[string]stage.Version{f.Stable.Name: f.Stable, f.New.Name: f.New}
	}
	played := make([]*played, f.Releases)
	var mu sync.Mutex
	next := 0
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= len(played)
	}
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() (err error) {
			for i, more := take(); more; i, more = take() {
				if played[i], err = f.play(ctx, m, uint64(i)); err != nil {
					return fmt.Errorf("simulated release %d: %w", i+1, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return gather(m, played), nil
}

// played is what one release has shown.
type played struct {
	values [][]float64 // by measure and period
	off    map[string]time.Duration
	steps  []Step
	length time.Duration
	result release.Result
}

// play carries out one release.
func (f *Forecast) play(ctx context.Context, m *Measures, i uint64) (out *played, err error) {
	chance := rand.New(rand.NewPCG(f.Seed, i))
	setup := f.Setup
	phase := time.Duration(chance.IntN(60)) * time.Second // of the minute in which it begins
	var background float64
	if len(f.Before) > 0 {
		background = f.Before[chance.IntN(len(f.Before))].into(&setup)
	}
	st, err := sim.New(ctx, sim.Options{Setup: setup, Seed: chance.Uint64()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	h := st.History()
	if err := st.Deploy(ctx, f.Stable); err != nil {
		return nil, fmt.Errorf("deploying %s: %w", f.Stable.Name, err)
	}
	if err := st.Shift(ctx, stage.Shares{f.Stable.Name: 100}); err != nil {
		return nil, err
	}
	if background > 0 {
		if err := st.Inject(ctx, stage.Failure{Kind: stage.Errors, Share: background}); err != nil {
			return nil, err
		}
	}
	if err := steady(ctx, st, f.Plan.Alarms); err != nil {
		return nil, err
	}
	if _, err := st.Wait(ctx, lead*time.Minute+phase, nil); err != nil {
		return nil, err
	}
	scheduled := stage.NewScheduled(st)
	for _, t := range f.Troubles {
		if t.Moment != nil {
			scheduled.Plan(t.Failure, *t.Moment, t.Lasts)
		} else if err := st.Inject(ctx, t.Failure); err != nil {
			return nil, fmt.Errorf("injecting %v: %w", t.Failure, err)
		}
	}
	seq := len(h.Events())
	done, err := release.Run(ctx, scheduled, f.Plan, release.Versions{Stable: &f.Stable, New: f.New}, release.Options{})
	if err != nil {
		return nil, err
	}
	if _, err := scheduled.Wait(ctx, tail, nil); err != nil {
		return nil, err
	}
	source := func(q int, from time.Time, n int) []alarm.Point {
		return st.Points(m.Questions[q].Input, m.Questions[q].Period, from, n)
	}
	out = look(m, source, sim.Epoch().Add(done.Began), sim.Epoch().Add(h.Now()))
	out.events(h.Events()[seq:], done.Began, f.New.Name)
	out.length, out.result = done.Ended-done.Began, done.Result
	return out, nil
}

// look reads every measure of a release that began and was followed until a moment.
func look(m *Measures, of source, began, until time.Time) *played {
	out := &played{values: make([][]float64, len(m.All))}
	for j, one := range m.All {
		from := periodOf(began, one.Rule.Period).Add(-lead * one.Rule.Period)
		n := int(until.Sub(from) / one.Rule.Period) // whole ones
		values := make([]float64, n)
		for k, p := range one.points(of, from, n) {
			values[k] = math.NaN()
			if p.Present {
				values[k] = p.Value
			}
		}
		out.values[j] = values
	}
	return out
}

// periodOf is where the period begins in which a moment lies.
func periodOf(t time.Time, period time.Duration) time.Time {
	return time.Unix(t.Unix()-mod(t.Unix(), int64(period/time.Second)), 0).UTC()
}

func mod(a, b int64) int64 { return (a%b + b) % b }

// events notes the steps and the alarms of a release that began.
func (p *played) events(all []stage.Event, began time.Duration, fresh string) {
	p.off = map[string]time.Duration{}
	for _, e := range all {
		switch e.Kind {
		case stage.Shifted:
			p.steps = append(p.steps, Step{e.Shares[fresh], e.At - began})
		case stage.Changed:
			if _, before := p.off[e.Alarm.Name]; !before && e.Alarm.To == alarm.InAlarm {
				p.off[e.Alarm.Name] = e.At - began
			}
		default:
		}
	}
}

// gather puts releases together.
func gather(m *Measures, all []*played) *Prediction {
	p := &Prediction{Releases: len(all), Results: map[release.Result]int{}, values: make([][][]float64, len(m.All)), off: map[string][]time.Duration{}}
	shifts := 0
	for _, one := range all {
		for j := range m.All {
			p.values[j] = append(p.values[j], one.values[j])
		}
		for name, at := range one.off {
			p.off[name] = append(p.off[name], at)
		}
		p.Length = max(p.Length, one.length)
		p.Results[one.result]++
		shifts = max(shifts, len(one.steps))
	}
	for _, times := range p.off {
		slices.Sort(times)
	}
	for i := range shifts { // of those releases that came so far
		var at []time.Duration
		share := 0.0
		for _, one := range all {
			if i < len(one.steps) {
				at, share = append(at, one.steps[i].At), one.steps[i].Share
			}
		}
		slices.Sort(at)
		p.Steps = append(p.Steps, Step{share, at[len(at)/2]})
	}
	return p
}

// into has the setup's traffic be like that minute, and says how many percent of the
// requests fail by themselves.
func (t Traffic) into(s *stage.Setup) (errors float64) {
	s.Traffic.Rate = t.Rate
	if t.P50 > 0 && t.P99 >= t.P50 {
		s.Model.Median, s.Model.P99 = t.P50, t.P99
	}
	return t.Errors
}

// steady waits until the alarms are OK: one without data would never go off.
func steady(ctx context.Context, st *sim.Stage, alarms []string) error {
	h := st.History()
	var not []string
	ok, err := st.Wait(ctx, steadyWithin, func(h *stage.History) bool {
		not = not[:0]
		for _, name := range alarms {
			if s := h.AlarmState(name); s != alarm.OK {
				not = append(not, fmt.Sprintf("%q is %s", name, s))
			}
		}
		return len(not) == 0 && h.Now() >= time.Minute
	})
	if err == nil && !ok {
		err = fmt.Errorf("at %v the alarms are not OK in the simulation, before anything was released: %s: see what feeds them with rehearse plan", h.Now(), strings.Join(not, ", "))
	}
	return err
}

// A Band is what was predicted of a measure in a period: from Low to High in 98 of 100
// cases, both NaN where there was no data in any.
type Band struct {
	Low, High float64
	Always    bool // there was data in 99 of 100
}

const outside = 0.01 // of the predicted values are below the band, and as many above

// around are the values of a measure in a period and in those before and after it, since
// a real release is not in step to the second, by release. Beyond what was predicted it
// is as at the end.
func (p *Prediction) around(measure, period int, values func(release int, v []float64)) {
	for i, all := range p.values[measure] {
		n := len(all)
		if n == 0 {
			continue
		}
		k := min(max(period+lead, 1), n-1)
		values(i, all[max(k-1, 0):min(k+2, n)])
	}
}

// Band is what was predicted of a measure in the n-th period.
func (p *Prediction) Band(measure, period int) Band {
	var all []float64
	missing := 0
	p.around(measure, period, func(_ int, v []float64) {
		for _, x := range v {
			if math.IsNaN(x) {
				missing++
			} else {
				all = append(all, x)
			}
		}
	})
	if len(all) == 0 {
		return Band{Low: math.NaN(), High: math.NaN()}
	}
	slices.Sort(all)
	off := int(outside * float64(len(all)-1))
	return Band{all[off], all[len(all)-1-off], float64(missing) <= outside*float64(missing+len(all))}
}

// near is how near a measure came to v about the n-th period, in the median; NaN: there
// was no data.
func (p *Prediction) near(measure, period int, v float64) float64 {
	var all []float64
	p.around(measure, period, func(_ int, values []float64) {
		nearest := math.NaN()
		for _, x := range values {
			if math.IsNaN(nearest) || math.Abs(x-v) < math.Abs(nearest-v) {
				nearest = x
			}
		}
		if !math.IsNaN(nearest) {
			all = append(all, nearest)
		}
	})
	if len(all) == 0 {
		return math.NaN()
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// asFar is in how many of the releases a measure was as far out as v about then.
func (p *Prediction) asFar(measure, period int, v float64, above bool) (releases int) {
	p.around(measure, period, func(_ int, values []float64) {
		if slices.ContainsFunc(values, func(x float64) bool { return above && x >= v || !above && x <= v }) {
			releases++
		}
	})
	return releases
}

// offBy is in how many of the releases an alarm had gone off by then.
func (p *Prediction) offBy(name string, by time.Duration) (releases int) {
	for _, at := range p.off[name] {
		if at <= by {
			releases++
		}
	}
	return releases
}

// step is which step the plan is at by then, from 1; 0 before the first.
func (p *Prediction) step(at time.Duration) (n int) {
	for n < len(p.Steps) && p.Steps[n].At <= at {
		n++
	}
	return n
}

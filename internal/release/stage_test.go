package release_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A fake is a small stage with virtual time: every call takes the time it is told
// to and is noted, and what goes wrong happens when it is planned. It refuses what
// a real stage could not do, and notes in broken what a release must never do.
type fake struct {
	h        *stage.History
	now      time.Duration
	running  map[string]int
	replicas int // of a version that does not say its own
	calls    []string
	broken   []string

	deploy     map[string]time.Duration // how long a deployment takes
	unhealthy  map[string]int           // how many more deployments of a version fail
	probes     map[string]error         // by the probe's text
	fails      map[string]error         // by the first word of a call: "Shift"
	plans      []*planned
	leastAlive int // replicas of both versions that must run until a rollback begins; 0: not asked
	mostAlive  int // replicas of both versions that may run; 0: not asked
}

// planned is something that happens once the version has had at least share
// percent of the traffic for after; any version and share at once.
type planned struct {
	version string
	share   float64
	after   time.Duration
	do      func(*fake)
	at      time.Duration // when it is due, once known; -1: not yet
}

var (
	_ stage.Stage  = (*fake)(nil)
	_ stage.Prober = (*fake)(nil)
)

const (
	startTime = 5 * time.Second
	drainTime = 2 * time.Second
	shiftTime = 100 * time.Millisecond
)

// newFake is a stage on which v1 serves everyone with that many replicas, ten
// minutes after it began; with 0, on which nothing runs.
func newFake(replicas int) *fake {
	f := &fake{running: map[string]int{}, replicas: max(replicas, 2), deploy: map[string]time.Duration{},
		unhealthy: map[string]int{}, probes: map[string]error{}, fails: map[string]error{}}
	f.h = stage.NewHistory(func() time.Duration { return f.now }, nil)
	f.h.Record(stage.Event{Kind: stage.Began})
	if replicas > 0 {
		f.running["v1"] = replicas
		f.h.Record(stage.Event{Kind: stage.Deployed, Version: "v1", Replicas: replicas})
		f.h.Record(stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 100}})
	}
	f.now = 10 * time.Minute
	return f
}

// when plans that something happens.
func (f *fake) when(version string, share float64, after time.Duration, do func(*fake)) {
	f.plans = append(f.plans, &planned{version, share, after, do, -1})
}

func goesOff(name string) func(*fake) { return changes(name, alarm.OK, alarm.InAlarm) }

func changes(name string, from, to alarm.State) func(*fake) {
	return func(f *fake) {
		f.h.Record(stage.Event{Kind: stage.Changed, Alarm: &stage.AlarmChange{Name: name, From: from, To: to, Reason: "Threshold Crossed"}})
	}
}

func happens(kind stage.EventKind, version, detail string, times int) func(*fake) {
	return func(f *fake) {
		for range times {
			f.h.Record(stage.Event{Kind: kind, Version: version, Detail: detail})
		}
	}
}

func (f *fake) call(format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	f.calls = append(f.calls, call)
	return f.fails[strings.Fields(call)[0]]
}

func (f *fake) alive() int {
	n := 0
	for _, k := range f.running {
		n += k
	}
	return n
}

// check notes what must never be.
func (f *fake) check(doing string) {
	for _, v := range f.h.Shares().Versions() {
		if f.running[v] == 0 {
			f.broken = append(f.broken, fmt.Sprintf("%s: %s has traffic and no replica", doing, v))
		}
	}
	if f.alive() < f.leastAlive {
		f.broken = append(f.broken, fmt.Sprintf("%s: %d replicas run, at least %d must", doing, f.alive(), f.leastAlive))
	}
	if f.mostAlive > 0 && f.alive() > f.mostAlive {
		f.broken = append(f.broken, fmt.Sprintf("%s: %d replicas run, at most %d may", doing, f.alive(), f.mostAlive))
	}
}

func (f *fake) Deploy(ctx context.Context, v stage.Version) error {
	n := v.Replicas
	if n == 0 {
		n = f.replicas
	}
	if err := f.call("Deploy %s %d", v.Name, n); err != nil || ctx.Err() != nil {
		return first(err, ctx.Err())
	}
	took := startTime
	if d, ok := f.deploy[v.Name]; ok {
		took = d
	}
	if n < f.running[v.Name] {
		took = drainTime
	}
	f.now += took
	if f.unhealthy[v.Name] > 0 {
		f.unhealthy[v.Name]--
		return fmt.Errorf("%w: 1 of %d replicas of %s answers 503", stage.ErrUnhealthy, n, v.Name)
	}
	f.running[v.Name] = n
	f.h.Record(stage.Event{Kind: stage.Deployed, Version: v.Name, Replicas: n})
	f.check("after Deploy " + v.Name)
	return nil
}

func (f *fake) Retire(ctx context.Context, v stage.Version) error {
	if err := f.call("Retire %s", v.Name); err != nil || ctx.Err() != nil {
		return first(err, ctx.Err())
	}
	f.now += drainTime
	delete(f.running, v.Name)
	f.h.Record(stage.Event{Kind: stage.Retired, Version: v.Name})
	f.check("after Retire " + v.Name)
	return nil
}

func (f *fake) Shift(ctx context.Context, shares stage.Shares) error {
	var to []string
	for _, v := range slices.Sorted(maps.Keys(shares)) {
		to = append(to, fmt.Sprintf("%s %.4g%%", v, shares[v]))
	}
	if err := f.call("Shift %s", strings.Join(to, " ")); err != nil || ctx.Err() != nil {
		return first(err, ctx.Err())
	}
	if err := shares.Validate(); err != nil {
		f.broken = append(f.broken, err.Error())
	}
	f.now += shiftTime
	f.h.Record(stage.Event{Kind: stage.Shifted, Shares: shares})
	for _, p := range f.plans {
		if s := shares[p.version]; p.at < 0 && s > 0 && s >= p.share {
			p.at = f.now + p.after
		}
	}
	f.check("after Shift " + shares.String())
	return nil
}

func (f *fake) Inject(context.Context, stage.Failure) error { panic("a release injects nothing") }
func (f *fake) Heal(context.Context, stage.Failure) error   { panic("a release heals nothing") }

func (f *fake) Wait(ctx context.Context, d time.Duration, done func(*stage.History) bool) (bool, error) {
	if err := f.call("Wait %v", d); err != nil || ctx.Err() != nil {
		return false, first(err, ctx.Err())
	}
	end := f.now + d
	for {
		var next *planned
		for _, p := range f.plans {
			if p.at >= 0 && p.at <= end && p.do != nil && (next == nil || p.at < next.at) {
				next = p
			}
		}
		if next == nil {
			f.now = end
			return false, nil
		}
		f.now = max(f.now, next.at)
		do := next.do
		next.do = nil
		do(f)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if done != nil && done(f.h) {
			return true, nil
		}
	}
}

func (f *fake) Probe(ctx context.Context, p stage.Probe) error {
	if err := f.call("Probe %v", p); err != nil || ctx.Err() != nil {
		return first(err, ctx.Err())
	}
	f.now += 200 * time.Millisecond
	err := f.probes[p.String()]
	if p.Kind == stage.ProbeSmoke && f.running[p.Version] == 0 {
		err = fmt.Errorf("%w: %s does not run", stage.ErrProbe, p.Version)
	}
	f.h.Record(stage.Event{Kind: stage.Probed, Version: p.Version, Probe: &p, OK: err == nil})
	return err
}

func (f *fake) History() *stage.History     { return f.h }
func (f *fake) Close(context.Context) error { return nil }

func first(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// said is the details of one kind of event, in order.
func (f *fake) said(kind stage.EventKind) []string {
	var out []string
	for e := range f.h.All(kind) {
		out = append(out, e.Detail)
	}
	return out
}

// run carries the plan out from v1 to v2.
func (f *fake) run(p *release.Plan) (release.Outcome, error) {
	return release.Run(context.Background(), f, p, fromTo("v1", "v2"), release.Options{})
}

func fromTo(stable, next string) release.Versions {
	return release.Versions{Stable: &stage.Version{Name: stable}, New: stage.Version{Name: next}}
}

var back = release.Rollback{ToLastGood: true, When: release.Triggers(), Within: 2 * time.Minute, Decides: "on-call"}

// plans by strategy, all of which watch "errors" and check nothing.
func allAtOnce() *release.Plan {
	return &release.Plan{Name: "all-at-once", Strategy: release.AllAtOnce, Bake: 10 * time.Minute, Alarms: []string{"errors"}, Rollback: back}
}

func blueGreen() *release.Plan {
	return &release.Plan{Name: "blue-green", Strategy: release.BlueGreen, Bake: 10 * time.Minute, Alarms: []string{"errors"}, Rollback: back}
}

func canary() *release.Plan {
	return &release.Plan{Name: "canary", Strategy: release.Canary, Alarms: []string{"errors"}, Rollback: back,
		Steps: []release.Step{{Share: 10, Bake: 5 * time.Minute}, {Share: 50, Bake: 5 * time.Minute}, {Share: 100, Bake: 10 * time.Minute}}}
}

func linear() *release.Plan {
	return &release.Plan{Name: "linear", Strategy: release.Linear, Share: 30, Every: 5 * time.Minute, Bake: 10 * time.Minute, Alarms: []string{"errors"}, Rollback: back}
}

func rolling(batch release.Amount, healthy float64) *release.Plan {
	return &release.Plan{Name: "rolling", Strategy: release.Rolling, Batch: batch, MinimumHealthy: healthy,
		Every: 5 * time.Minute, Bake: 10 * time.Minute, Alarms: []string{"errors"}, Rollback: back}
}

func connections(names ...string) (all []release.Before) {
	for _, name := range names {
		all = append(all, release.Before{Kind: release.BeforeConnection, Of: name})
	}
	return all
}

package sim_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// names is the versions that a driver plays with.
var names = []string{"v1", "v2", "v3"}

// A driver does to a stage whatever comes to its mind, and knows what should come
// of it.
type driver struct {
	t        *rapid.T
	s        *sim.Stage
	expected map[string]float64 // requests by version
	since    time.Duration
	failures []stage.Failure
}

// act does one thing and has time pass by it.
func (d *driver) act() {
	ctx := context.Background()
	h := d.s.History()
	shares := h.Shares()
	version := rapid.SampledFrom(names).Draw(d.t, "version")
	switch rapid.SampledFrom([]string{"wait", "wait", "shift", "shift", "deploy", "retire", "inject", "heal", "audit"}).Draw(d.t, "act") {
	case "wait":
		_, err := d.s.Wait(ctx, time.Duration(rapid.IntRange(0, 400).Draw(d.t, "seconds"))*time.Second, nil)
		require.NoError(d.t, err)
	case "shift":
		share := rapid.Float64Range(0, 100).Draw(d.t, "share")
		shares := stage.Shares{"v1": 100 - share}
		shares[version] += share
		if err := d.s.Shift(ctx, shares); err != nil {
			require.ErrorContains(d.t, err, "is not deployed")
		}
	case "deploy":
		err := d.s.Deploy(ctx, stage.Version{Name: version, Replicas: rapid.IntRange(1, 5).Draw(d.t, "replicas")})
		require.True(d.t, err == nil || errors.Is(err, stage.ErrUnhealthy), "%v", err)
	case "retire":
		if err := d.s.Retire(ctx, stage.Version{Name: version}); err != nil {
			require.Regexp(d.t, "is not deployed|shift that away first", err.Error())
		}
	case "inject":
		f := stage.Failure{
			Kind: rapid.SampledFrom(stage.FailureKinds()).Draw(d.t, "kind"), Version: version,
			Share: rapid.Float64Range(0, 100).Draw(d.t, "share"), Delay: time.Duration(rapid.IntRange(1, 5000).Draw(d.t, "delay")) * time.Millisecond,
			After: time.Duration(rapid.IntRange(0, 100).Draw(d.t, "after")) * time.Second, Dependency: rapid.SampledFrom([]string{"database", "payments"}).Draw(d.t, "dependency"),
			Times: rapid.IntRange(2, 100).Draw(d.t, "times"), Zone: rapid.SampledFrom([]string{"a", "b"}).Draw(d.t, "zone"), Variable: "PORT", PerRequest: rapid.Int64Range(1, 1<<20).Draw(d.t, "perRequest"),
		}
		switch f.Kind {
		case stage.Hang:
			f.Dependency = ""
		case stage.ConnectionsExhausted:
			f.Dependency, f.Version = "database", ""
		case stage.DependencyErrors:
			f.Dependency = "payments" // of a database no share of requests can fail
		default:
		}
		if len(d.failures) < 4 && !slices.Contains(d.failures, f) { // the same twice is refused
			require.NoError(d.t, d.s.Inject(ctx, f))
			d.failures = append(d.failures, f)
		}
	case "heal":
		if n := len(d.failures); n > 0 {
			require.NoError(d.t, d.s.Heal(ctx, d.failures[n-1]))
			d.failures = d.failures[:n-1]
		}
	case "audit":
		require.NoError(d.t, d.s.Audit(ctx))
	}
	d.account(shares)
}

// account expects the requests of the time that has passed, by the shares in force.
func (d *driver) account(before stage.Shares) {
	h := d.s.History()
	require.GreaterOrEqual(d.t, h.Now(), d.since)
	passed := h.Now() - d.since // a shift is in force from its end
	for version, share := range before {
		d.expected[version] += rate * share / 100 * passed.Seconds()
	}
	d.since = h.Now()
}

const rate = 200.0

func TestWhateverHappensTheHistoryMakesSense(t *testing.T) {
	setup := shop(t)
	setup.Versions["v3"] = stage.Version{Name: "v3"}
	setup.Alarms = nil
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		s, err := sim.New(ctx, sim.Options{Setup: setup, Seed: rapid.Uint64().Draw(t, "seed")})
		require.NoError(t, err)
		require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v1"}))
		d := &driver{t: t, s: s, expected: map[string]float64{}}
		for range rapid.IntRange(1, 25).Draw(t, "acts") {
			d.act()
		}
		require.NoError(t, s.Close(ctx))
		d.expected[""] = d.expected["v1"] + d.expected["v2"] + d.expected["v3"] // all of them
		for version, want := range d.expected {
			got := served(s, version, 0)
			require.InDelta(t, want, got.Requests, 5*math.Sqrt(want)+1, "requests of %q", version)
			require.LessOrEqual(t, got.Acknowledged, got.Requests-got.Failed)
		}
		sane(t, s.History().Events())
	})
}

// sane requires of a history what is true of any.
func sane(t *rapid.T, events []stage.Event) {
	running, shares := map[string]bool{}, stage.Shares{}
	last := stage.Event{}
	until := map[string]time.Duration{}
	for i, e := range events {
		require.Equal(t, i, e.Seq)
		require.GreaterOrEqual(t, e.At, last.At)
		last = e
		switch e.Kind {
		default:
		case stage.Deployed:
			running[e.Version] = true
		case stage.Retired:
			if e.At < events[len(events)-1].At { // before Close
				require.Zero(t, shares[e.Version], "%s retired with traffic", e.Version)
			}
			delete(running, e.Version)
		case stage.Shifted:
			require.NoError(t, e.Shares.Validate())
			shares = e.Shares
		case stage.Served:
			require.Positive(t, shares[e.Version], "traffic to %s, which has no share", e.Version)
			sensible(t, e)
			require.GreaterOrEqual(t, e.Traffic.From, until[e.Version], "no time is accounted for twice")
			until[e.Version] = e.Traffic.To
		}
	}
	require.Equal(t, stage.Ended, last.Kind)
	require.Empty(t, running)
}

// sensible requires an interval of traffic to be one.
func sensible(t *rapid.T, e stage.Event) {
	i := e.Traffic
	require.Less(t, i.From, i.To)
	require.Equal(t, e.At, i.To)
	require.Equal(t, i.From/time.Minute, (i.To-1)/time.Minute, "it does not reach over a whole minute")
	require.Positive(t, i.Requests)
	require.True(t, i.Failed >= 0 && i.Failed <= i.Requests)
	require.True(t, i.Acknowledged >= 0 && i.Acknowledged <= i.Requests-i.Failed)
	require.True(t, i.P50 > 0 && i.P50 <= i.P99 && i.P99 <= 4*time.Second)
}

func TestCostDoesNotGrowWithTheRateOfRequests(t *testing.T) {
	allocations := func(rate float64) float64 {
		setup := shop(t)
		setup.Traffic.Rate = rate
		return testing.AllocsPerRun(5, func() {
			s := raise(t, sim.Options{Setup: setup})
			canary(t, s, stage.Version{Name: "v2"})
			wait(t, s, time.Hour)
		})
	}
	require.InEpsilon(t, allocations(1_000), allocations(10_000_000), 0.05)
}

package release_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// anyPlan is a plan by any strategy that can be carried out.
func anyPlan(t *rapid.T) *release.Plan {
	minutes := rapid.Map(rapid.IntRange(0, 15), func(m int) time.Duration { return time.Duration(m) * time.Minute })
	p := &release.Plan{
		Name: "any", Strategy: rapid.SampledFrom(release.Strategies()).Draw(t, "strategy"),
		Share: float64(rapid.IntRange(1, 100).Draw(t, "step")), Every: minutes.Draw(t, "every"), Bake: minutes.Draw(t, "bake"),
		Alarms: []string{"errors", "latency"}, Rollback: back,
	}
	p.MinimumHealthy = float64(rapid.IntRange(1, 100).Draw(t, "minimum healthy"))
	if rapid.Bool().Draw(t, "batch by count") {
		p.Batch.Count = rapid.IntRange(1, 12).Draw(t, "batch")
	} else {
		p.Batch.Percent = float64(rapid.IntRange(1, 100).Draw(t, "batch"))
	}
	for share := 0; p.Strategy == release.Canary && share < 100; {
		share = rapid.IntRange(share+1, 100).Draw(t, "share")
		p.Steps = append(p.Steps, release.Step{Share: float64(share), Bake: minutes.Draw(t, "bake of a step")})
	}
	p.Checks.Test = p.Strategy != release.AllAtOnce && rapid.Bool().Draw(t, "test")
	p.Checks.Shift = rapid.Bool().Draw(t, "shift")
	p.Checks.After = rapid.Bool().Draw(t, "after")
	if rapid.Bool().Draw(t, "before") {
		p.Checks.Before = connections("database")
	}
	return p
}

// Whatever is released by whatever plan, and whatever goes wrong whenever.
func TestWhateverHappensOneVersionServesEveryone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			p        = anyPlan(t)
			replicas = rapid.IntRange(1, 10).Draw(t, "replicas")
			f        = newFake(replicas)
			v        = fromTo("v1", "v2")
			o        release.Options
			trouble  = rapid.SampledFrom([]string{"none", "alarm", "unhealthy", "exits", "by hand", "start", "later start", "check", "red before"}).Draw(t, "trouble")
			share    = float64(rapid.IntRange(0, 100).Draw(t, "at a share of"))
			after    = time.Duration(rapid.IntRange(0, 1200).Draw(t, "seconds later")) * time.Second
			restarts = rapid.IntRange(0, 3).Draw(t, "failed starts of v1 when it is rolled back")
		)
		goodReplicas := replicas
		if rapid.Bool().Draw(t, "v2 has another number of replicas") {
			goodReplicas = rapid.IntRange(1, 10).Draw(t, "replicas of v2")
			v.New.Replicas = goodReplicas
		} else if p.Strategy == release.Rolling {
			// What an equal number promises: a minimum, and at most a batch more.
			f.leastAlive = max(1, int(float64(replicas)*p.MinimumHealthy/100))
			f.mostAlive = replicas + p.Batch.Of(replicas)
		}
		f.replicas = goodReplicas
		wrong := func(f *fake) {}
		switch trouble {
		case "alarm":
			wrong = goesOff("latency")
		case "unhealthy":
			wrong = happens(stage.Unhealthy, "v2", "503", 10)
		case "exits":
			wrong = happens(stage.Exited, "v2", "exit 1", 5)
		case "by hand":
			ordered := false
			wrong = func(f *fake) { ordered = true }
			o.RollBack = func(*stage.History) (string, bool) { return "customers complain", ordered }
		case "start":
			f.unhealthy["v2"] = 1
		case "later start":
			wrong = func(f *fake) { f.unhealthy["v2"] = 1 }
		case "check":
			kind := rapid.SampledFrom([]string{"connection to database", "smoke requests to v2"}).Draw(t, "check")
			f.probes[kind] = fmt.Errorf("%w: no", stage.ErrProbe)
		case "red before":
			goesOff("errors")(f)
		}
		f.when("v2", share, after, func(f *fake) { wrong(f); f.unhealthy["v1"] = 0 })
		f.h.Watch(func(e stage.Event) {
			if e.Kind == stage.Decided && len(e.Detail) > 9 && e.Detail[:9] == "roll back" {
				f.unhealthy["v1"] = restarts
				f.leastAlive, f.mostAlive = 0, 0
			}
		})

		out, err := release.Run(context.Background(), f, p, v, o)

		require.NoError(t, err)
		assert.Empty(t, f.broken, "%v", f.calls)
		assert.Equal(t, f.now, out.Ended)
		assert.Equal(t, stage.Shares{out.Serving: 100}, f.h.Shares(), "everyone is on one version")
		decided := f.said(stage.Decided)
		assert.Equal(t, out.Detail, decided[len(decided)-1])
		switch out.Result {
		case release.Released:
			assert.Equal(t, map[string]int{"v2": goodReplicas}, f.running)
			assert.Zero(t, out.RollbackBegan)
		case release.RolledBack:
			assert.Equal(t, map[string]int{"v1": replicas}, f.running)
			assert.LessOrEqual(t, out.RollbackBegan, out.TrafficBack)
			assert.LessOrEqual(t, out.TrafficBack, out.RollbackEnded)
			assert.LessOrEqual(t, out.TrafficBack-out.RollbackBegan, p.Rollback.Within)
			last := f.calls[len(f.calls)-1]
			assert.Equal(t, "Retire v2", last, "the new version goes last")
		case release.Refused:
			assert.Equal(t, map[string]int{"v1": replicas}, f.running)
			assert.Contains(t, []release.Cause{release.CauseAlarm, release.CauseBefore}, out.Cause)
		default:
			t.Fatalf("%s: %s", out.Result, out.Detail)
		}
		if trouble == "none" {
			assert.Equal(t, release.Released, out.Result, out.Detail)
		}
		if trouble == "start" {
			assert.Equal(t, release.RolledBack, out.Result, out.Detail)
			assert.Equal(t, release.CauseHealth, out.Cause)
		}
	})
}

// A broken stage at any call ends the release with an error, and nothing is done
// to it afterwards.
func TestNothingIsDoneToABrokenStage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, p := newFake(rapid.IntRange(1, 6).Draw(t, "replicas")), anyPlan(t)
		if rapid.Bool().Draw(t, "an alarm goes off") {
			f.when("v2", 1, time.Minute, goesOff("errors"))
		}
		at := rapid.IntRange(1, 12).Draw(t, "breaks at call")
		s := &breaking{fake: f, left: at}
		out, err := release.Run(context.Background(), s, p, fromTo("v1", "v2"), release.Options{})
		if len(f.calls) < at {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, stage.ErrLost)
		assert.Equal(t, release.Inconclusive, out.Result)
		assert.Len(t, f.calls, at)
	})
}

// A breaking stage is lost at one call.
type breaking struct {
	*fake
	left int
}

func (b *breaking) next() {
	if b.left--; b.left == 0 {
		for _, call := range []string{"Deploy", "Retire", "Shift", "Wait", "Probe"} {
			b.fails[call] = stage.ErrLost
		}
	}
}

func (b *breaking) Deploy(ctx context.Context, v stage.Version) error {
	b.next()
	return b.fake.Deploy(ctx, v)
}

func (b *breaking) Retire(ctx context.Context, v stage.Version) error {
	b.next()
	return b.fake.Retire(ctx, v)
}

func (b *breaking) Shift(ctx context.Context, s stage.Shares) error {
	b.next()
	return b.fake.Shift(ctx, s)
}

func (b *breaking) Probe(ctx context.Context, p stage.Probe) error {
	b.next()
	return b.fake.Probe(ctx, p)
}

func (b *breaking) Wait(ctx context.Context, d time.Duration, done func(*stage.History) bool) (bool, error) {
	b.next()
	return b.fake.Wait(ctx, d, done)
}

// BenchmarkRun is what carrying out a release costs besides the stage: an hour of
// ten steps, with five alarms that change every minute.
func BenchmarkRun(b *testing.B) {
	p := linear()
	p.Share, p.Every, p.Bake = 10, 6*time.Minute, 6*time.Minute
	p.Alarms = []string{"a", "b", "c", "d", "e"}
	b.ReportAllocs()
	for b.Loop() {
		f := newFake(100)
		f.plans = make([]*planned, 0, 64)
		b.StopTimer()
		for m := range 60 {
			f.when("v2", 10, time.Duration(m)*time.Minute, happens(stage.Served, "v2", "", 1))
		}
		b.StartTimer()
		if out, err := f.run(p); err != nil || out.Result != release.Released {
			b.Fatal(out, err)
		}
	}
}

package release_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

func TestAGoodReleaseByEachStrategy(t *testing.T) {
	checked := func(p *release.Plan) *release.Plan {
		p.Checks = release.Checks{Before: connections("database"), Test: p.Strategy != release.AllAtOnce, After: true}
		return p
	}
	for _, c := range []struct {
		plan  *release.Plan
		calls []string
	}{
		{checked(allAtOnce()), []string{"Probe connection to database", "Deploy v2 4", "Shift v2 100%", "Retire v1", "Probe smoke requests to v2", "Wait 10m0s"}},
		{checked(blueGreen()), []string{"Probe connection to database", "Deploy v2 4", "Probe smoke requests to v2", "Shift v2 100%",
			"Probe smoke requests to v2", "Wait 10m0s", "Retire v1"}},
		{checked(canary()), []string{"Probe connection to database", "Deploy v2 4", "Probe smoke requests to v2",
			"Shift v1 90% v2 10%", "Wait 5m0s", "Shift v1 50% v2 50%", "Wait 5m0s", "Shift v2 100%", "Probe smoke requests to v2", "Wait 10m0s", "Retire v1"}},
		{linear(), []string{"Deploy v2 4", "Shift v1 70% v2 30%", "Wait 5m0s", "Shift v1 40% v2 60%", "Wait 5m0s",
			"Shift v1 10% v2 90%", "Wait 5m0s", "Shift v2 100%", "Wait 10m0s", "Retire v1"}},
		{checked(rolling(release.Amount{Count: 2}, 100)), []string{"Probe connection to database",
			"Deploy v2 2", "Probe smoke requests to v2", "Shift v1 50% v2 50%", "Deploy v1 2", "Wait 5m0s",
			"Deploy v2 4", "Shift v2 100%", "Retire v1", "Probe smoke requests to v2", "Wait 10m0s"}},
		// A minimum below 100 % lets old replicas make room first.
		{rolling(release.Amount{Percent: 50}, 50), []string{
			"Deploy v1 2", "Deploy v2 2", "Shift v1 50% v2 50%", "Wait 5m0s",
			"Shift v2 100%", "Retire v1", "Deploy v2 4", "Wait 10m0s"}},
		// Only as much room as the minimum allows.
		{rolling(release.Amount{Count: 2}, 75), []string{
			"Deploy v1 3", "Deploy v2 2", "Shift v1 50% v2 50%", "Deploy v1 2", "Wait 5m0s",
			"Shift v1 33.33% v2 66.67%", "Deploy v1 1", "Deploy v2 4", "Shift v2 100%", "Retire v1", "Wait 10m0s"}},
		// Whoever does not fit into a batch comes last.
		{rolling(release.Amount{Count: 3}, 100), []string{
			"Deploy v2 3", "Shift v1 25% v2 75%", "Deploy v1 1", "Wait 5m0s", "Deploy v2 4", "Shift v2 100%", "Retire v1", "Wait 10m0s"}},
	} {
		t.Run(fmt.Sprintf("%s %v %v", c.plan.Strategy, c.plan.Batch, c.plan.MinimumHealthy), func(t *testing.T) {
			f := newFake(4)
			out, err := f.run(c.plan)
			require.NoError(t, err)
			assert.Equal(t, release.Released, out.Result)
			assert.Equal(t, release.NoCause, out.Cause)
			assert.Equal(t, "v2", out.Serving)
			assert.Equal(t, "released: v2 serves everyone", out.Detail)
			assert.Equal(t, map[string]int{"v2": 4}, f.running)
			assert.Equal(t, c.calls, f.calls)
			assert.Empty(t, f.broken)
			assert.Equal(t, 10*time.Minute, out.Began)
			assert.Equal(t, f.now, out.Ended)
			assert.Zero(t, out.RollbackBegan)
		})
	}
}

func TestHistoryTellsEveryStepAndDecision(t *testing.T) {
	f := newFake(2)
	p := canary()
	p.Checks = release.Checks{Test: true, After: true}
	f.when("v2", 50, 3*time.Minute, goesOff("errors"))
	out, err := f.run(p)
	require.NoError(t, err)
	assert.Equal(t, release.RolledBack, out.Result)
	assert.Equal(t, []string{
		"start v2", "test v2 before users reach it",
		"step 1 of 3: v2 gets 10 %, bake 5m", "step 2 of 3: v2 gets 50 %, bake 5m", "all traffic back to v1",
	}, f.said(stage.Stepped))
	assert.Equal(t, []string{
		"go on: nothing wrong at 10 % in 5m",
		`roll back to v1: the alarm "errors" went off`,
		`rolled back: the alarm "errors" went off; v1 serves everyone again`,
	}, f.said(stage.Decided))
}

func TestAnAlarmDuringTheBakeTakesTheReleaseBack(t *testing.T) {
	for _, c := range []struct {
		plan  *release.Plan
		share float64 // at which v2 turns bad
		calls []string
	}{
		{allAtOnce(), 100, []string{"Deploy v2 4", "Shift v2 100%", "Retire v1", "Wait 10m0s", "Deploy v1 4", "Shift v1 100%", "Retire v2"}},
		{blueGreen(), 100, []string{"Deploy v2 4", "Shift v2 100%", "Wait 10m0s", "Shift v1 100%", "Retire v2"}},
		{canary(), 10, []string{"Deploy v2 4", "Shift v1 90% v2 10%", "Wait 5m0s", "Shift v1 100%", "Retire v2"}},
		{canary(), 100, []string{"Deploy v2 4", "Shift v1 90% v2 10%", "Wait 5m0s", "Shift v1 50% v2 50%", "Wait 5m0s",
			"Shift v2 100%", "Wait 10m0s", "Shift v1 100%", "Retire v2"}},
		{linear(), 60, []string{"Deploy v2 4", "Shift v1 70% v2 30%", "Wait 5m0s", "Shift v1 40% v2 60%", "Wait 5m0s", "Shift v1 100%", "Retire v2"}},
		{rolling(release.Amount{Count: 1}, 100), 50, []string{"Deploy v2 1", "Shift v1 75% v2 25%", "Deploy v1 3", "Wait 5m0s",
			"Deploy v2 2", "Shift v1 50% v2 50%", "Deploy v1 2", "Wait 5m0s", "Deploy v1 4", "Shift v1 100%", "Retire v2"}},
		// With the last batch the old version is gone.
		{rolling(release.Amount{Count: 4}, 100), 100, []string{"Deploy v2 4", "Shift v2 100%", "Retire v1", "Wait 10m0s",
			"Deploy v1 4", "Shift v1 100%", "Retire v2"}},
	} {
		t.Run(fmt.Sprintf("%s at %g %%", c.plan.Strategy, c.share), func(t *testing.T) {
			f := newFake(4)
			f.when("v2", c.share, 4*time.Minute, goesOff("errors"))
			out, err := f.run(c.plan)
			require.NoError(t, err)
			assert.Equal(t, release.RolledBack, out.Result, out.Detail)
			assert.Equal(t, release.CauseAlarm, out.Cause)
			assert.Equal(t, "errors", out.Alarm)
			assert.Equal(t, "v1", out.Serving)
			assert.Equal(t, map[string]int{"v1": 4}, f.running)
			assert.Equal(t, c.calls, f.calls)
			assert.Empty(t, f.broken)
			assert.Less(t, out.RollbackBegan, out.TrafficBack)
			assert.Equal(t, out.TrafficBack+drainTime, out.RollbackEnded)
		})
	}
}

func TestWhatTakesAReleaseBack(t *testing.T) {
	smoke, connection := stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"}, stage.Probe{Kind: stage.ProbeDependency, Dependency: "database"}
	failed := func(why string) error { return fmt.Errorf("%w: %s", stage.ErrProbe, why) }
	for _, c := range []struct {
		name     string
		replicas int
		arrange  func(*fake, *release.Plan)
		result   release.Result
		cause    release.Cause
		detail   string
	}{
		{"an alarm that nobody watches does not", 2, func(f *fake, _ *release.Plan) {
			f.when("v2", 10, time.Minute, goesOff("disk"))
		}, release.Released, release.NoCause, "released: v2 serves everyone"},
		{"an alarm that turns OK does not", 2, func(f *fake, _ *release.Plan) {
			f.when("v2", 10, time.Minute, changes("errors", alarm.InsufficientData, alarm.OK))
		}, release.Released, release.NoCause, "released: v2 serves everyone"},
		{"an alarm that goes off while the new version starts", 2, func(f *fake, _ *release.Plan) {
			f.h.Watch(func(e stage.Event) {
				if e.Kind == stage.Deployed && e.Version == "v2" {
					goesOff("errors")(f)
				}
			})
		}, release.RolledBack, release.CauseAlarm, `rolled back: the alarm "errors" went off; v1 serves everyone again`},
		{"the first reason is the one that counts", 2, func(f *fake, _ *release.Plan) {
			f.when("v2", 10, time.Minute, func(f *fake) {
				happens(stage.Unhealthy, "v2", "GET /ready: 503", 2)(f)
				goesOff("errors")(f)
			})
		}, release.RolledBack, release.CauseHealth,
			"rolled back: all 2 replicas of v2 fail their health check: GET /ready: 503; v1 serves everyone again"},
		{"an alarm that goes off during the pre-release checks refuses it", 2, func(f *fake, p *release.Plan) {
			p.Checks.Before = connections("database")
			f.h.Watch(func(e stage.Event) {
				if e.Kind == stage.Probed {
					goesOff("errors")(f)
				}
			})
		}, release.Refused, release.CauseAlarm, `refused: the alarm "errors" went off; nothing was deployed`},
		{"an alarm that was red already refuses it", 2, func(f *fake, _ *release.Plan) { goesOff("errors")(f) }, release.Refused, release.CauseAlarm,
			`refused: the alarm "errors" was red already: it could not tell whether v2 is bad; nothing was deployed`},
		{"a version that does not become healthy", 2, func(f *fake, _ *release.Plan) { f.unhealthy["v2"] = 1 }, release.RolledBack, release.CauseHealth,
			"rolled back: v2 did not become healthy: 1 of 2 replicas of v2 answers 503; v1 serves everyone again"},
		{"all replicas failing their health check", 2, func(f *fake, _ *release.Plan) {
			f.when("v2", 10, time.Minute, happens(stage.Unhealthy, "v2", "GET /ready: 503", 2))
		}, release.RolledBack, release.CauseHealth,
			"rolled back: all 2 replicas of v2 fail their health check: GET /ready: 503; v1 serves everyone again"},
		{"one replica failing it does not", 2, func(f *fake, _ *release.Plan) {
			f.when("v2", 10, time.Minute, happens(stage.Unhealthy, "v2", "GET /ready: 503", 1))
			f.when("v2", 10, 2*time.Minute, happens(stage.Healthy, "v2", "", 1))
			f.when("v2", 10, 3*time.Minute, happens(stage.Unhealthy, "v2", "GET /ready: 503", 1))
		}, release.Released, release.NoCause, "released: v2 serves everyone"},
		{"the old version's replicas failing it do not", 2, func(f *fake, _ *release.Plan) {
			f.when("v2", 10, time.Minute, happens(stage.Unhealthy, "v1", "GET /ready: 503", 2))
			f.when("v2", 10, time.Minute, happens(stage.Exited, "v1", "exit 1", 5))
		}, release.Released, release.NoCause, "released: v2 serves everyone"},
		{"three exits of few replicas", 2, func(f *fake, _ *release.Plan) {
			f.when("v2", 10, time.Minute, happens(stage.Exited, "v2", "exit 137", 3))
		}, release.RolledBack, release.CauseHealth,
			"rolled back: replicas of v2 exited 3 times (the limit for 2): exit 137; v1 serves everyone again"},
		{"two exits do not", 2, func(f *fake, _ *release.Plan) {
			f.when("v2", 10, time.Minute, happens(stage.Exited, "v2", "exit 137", 2))
		}, release.Released, release.NoCause, "released: v2 serves everyone"},
		{"exits of half of many replicas", 25, func(f *fake, _ *release.Plan) {
			f.when("v2", 10, time.Minute, happens(stage.Exited, "v2", "exit 1", 12))
			f.when("v2", 50, time.Minute, happens(stage.Exited, "v2", "exit 1", 1))
		}, release.RolledBack, release.CauseHealth,
			"rolled back: replicas of v2 exited 13 times (the limit for 25): exit 1; v1 serves everyone again"},
		{"a failed pre-release check refuses it", 2, func(f *fake, p *release.Plan) {
			p.Checks.Before = connections("payments", "database")
			f.probes[connection.String()] = failed("connection refused")
		}, release.Refused, release.CauseBefore,
			"refused: pre-release check failed: connection to database: connection refused; nothing was deployed"},
		{"failed test traffic, before users met it", 2, func(f *fake, p *release.Plan) {
			p.Checks.Test = true
			f.probes[smoke.String()] = failed("GET /products: 500")
		}, release.RolledBack, release.CauseTest,
			"rolled back: test traffic failed: smoke requests to v2: GET /products: 500; v1 serves everyone again"},
		{"a failed post-release check", 2, func(f *fake, p *release.Plan) {
			p.Checks.After = true
			f.probes[smoke.String()] = failed("smoke requests to v2: GET /products: 500") // said once
		}, release.RolledBack, release.CauseAfter,
			"rolled back: post-release check failed: smoke requests to v2: GET /products: 500; v1 serves everyone again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, p := newFake(c.replicas), canary()
			f.replicas = c.replicas
			c.arrange(f, p)
			out, err := f.run(p)
			require.NoError(t, err)
			assert.Equal(t, c.detail, out.Detail)
			assert.Equal(t, c.result, out.Result)
			assert.Equal(t, c.cause, out.Cause)
			assert.Empty(t, f.broken)
			decided := f.said(stage.Decided)
			assert.Equal(t, out.Detail, decided[len(decided)-1])
			switch c.result {
			case release.Released:
				assert.Equal(t, map[string]int{"v2": c.replicas}, f.running)
			default:
				assert.Equal(t, map[string]int{"v1": c.replicas}, f.running)
			}
			if c.result == release.Refused {
				assert.NotContains(t, f.calls, fmt.Sprintf("Deploy v2 %d", c.replicas))
			}
			if strings.Contains(c.name, "before users") || strings.Contains(c.name, "starts") {
				assert.Equal(t, []float64{100}, sharesOf(f, "v1"), "no user met v2")
			}
		})
	}
}

// sharesOf is every share that the version had, in order.
func sharesOf(f *fake, version string) []float64 {
	var out []float64
	for e := range f.h.All(stage.Shifted) {
		out = append(out, e.Shares[version])
	}
	return out
}

func TestARollingReleaseAllowsAsManyExitsAsItsReplicasInTheEnd(t *testing.T) {
	f := newFake(20)
	f.when("v2", 5, time.Minute, happens(stage.Exited, "v2", "exit 1", 9))
	out, err := f.run(rolling(release.Amount{Count: 1}, 100))
	require.NoError(t, err)
	assert.Equal(t, release.Released, out.Result, out.Detail)

	f = newFake(20)
	f.when("v2", 5, time.Minute, happens(stage.Exited, "v2", "exit 1", 10))
	out, err = f.run(rolling(release.Amount{Count: 1}, 100))
	require.NoError(t, err)
	assert.Equal(t, "rolled back: replicas of v2 exited 10 times (the limit for 20): exit 1; v1 serves everyone again", out.Detail)
}

func TestOneReleaseAfterTheOther(t *testing.T) {
	f := newFake(4)
	v2 := fromTo("v1", "v2")
	v2.New.Replicas = 2
	out, err := release.Run(context.Background(), f, canary(), v2, release.Options{})
	require.NoError(t, err)
	require.Equal(t, release.Released, out.Result)
	// What v1 and v2 do from now on does not concern the release of v3, and v1's
	// replicas do not count for v2's.
	f.h.Record(stage.Event{Kind: stage.Deployed, Version: "v0", Replicas: 9})
	f.when("v3", 50, time.Minute, goesOff("errors"))
	out, err = release.Run(context.Background(), f, rolling(release.Amount{Count: 1}, 100), fromTo("v2", "v3"), release.Options{})
	require.NoError(t, err)
	assert.Equal(t, release.RolledBack, out.Result)
	assert.Equal(t, map[string]int{"v2": 2}, f.running)
	assert.Equal(t, []string{"Deploy v3 1", "Shift v2 50% v3 50%", "Deploy v2 1", "Wait 5m0s", "Deploy v2 2", "Shift v2 100%", "Retire v3"},
		f.calls[len(f.calls)-7:])
}

func TestTheVersionThatServesAlreadyIsRefused(t *testing.T) {
	f := newFake(2)
	out, err := release.Run(context.Background(), f, canary(), fromTo("v1", "v1"), release.Options{})
	require.NoError(t, err)
	assert.Equal(t, release.Refused, out.Result)
	assert.Equal(t, "refused: v1 serves everyone already; nothing was deployed", out.Detail)
	assert.Equal(t, "v1", out.Serving)
	assert.Empty(t, f.calls)
}

func TestAPersonCanOrderARollbackInTheMiddle(t *testing.T) {
	for _, when := range [][]release.Trigger{release.Triggers(), {release.AnyAlarm}} {
		f, p := newFake(2), canary()
		p.Rollback.When = when
		f.when("v2", 50, time.Minute, happens(stage.Served, "v2", "", 1))
		asked := 0
		out, err := release.Run(context.Background(), f, p, fromTo("v1", "v2"), release.Options{RollBack: func(h *stage.History) (string, bool) {
			asked++
			return "customers complain", h.Share("v2") >= 50 && h.Now() > 15*time.Minute+time.Second*30
		}})
		require.NoError(t, err)
		assert.Equal(t, release.RolledBack, out.Result)
		assert.Equal(t, release.CauseByHand, out.Cause)
		assert.Equal(t, "rolled back: a person ordered it: customers complain; v1 serves everyone again", out.Detail)
		assert.InDelta(t, (16*time.Minute + 5*time.Second).Seconds(), out.RollbackBegan.Seconds(), 1)
		assert.Greater(t, asked, 1)
	}
}

func TestWithNoGoodVersionItSaysSoAndStops(t *testing.T) {
	first := release.Versions{New: stage.Version{Name: "v1"}}
	for _, plan := range []*release.Plan{canary(), rolling(release.Amount{Count: 1}, 100), allAtOnce(), blueGreen()} {
		t.Run(string(plan.Strategy), func(t *testing.T) {
			f := newFake(0)
			f.when("v1", 100, time.Minute, goesOff("errors"))
			out, err := release.Run(context.Background(), f, plan, first, release.Options{})
			require.NoError(t, err)
			assert.Equal(t, release.Stuck, out.Result)
			assert.Equal(t, release.CauseAlarm, out.Cause)
			assert.Equal(t, "v1", out.Serving)
			assert.Equal(t, `stuck: the alarm "errors" went off; no version was ever good, so there is nothing to roll back to: `+
				`v1 is left as it is, v1 serves everyone`, out.Detail)
			assert.Equal(t, []string{"Deploy v1 2", "Shift v1 100%", "Wait 10m0s"}, f.calls)
			assert.Zero(t, out.RollbackBegan)
		})
	}
	t.Run("and it does not even start", func(t *testing.T) {
		f := newFake(0)
		f.unhealthy["v1"] = 1
		out, err := release.Run(context.Background(), f, canary(), first, release.Options{})
		require.NoError(t, err)
		assert.Equal(t, release.Stuck, out.Result)
		assert.Empty(t, out.Serving)
		assert.Contains(t, out.Detail, "v1 is left as it is, nobody is served")
	})
	t.Run("and all is well", func(t *testing.T) {
		f := newFake(0)
		out, err := release.Run(context.Background(), f, linear(), first, release.Options{})
		require.NoError(t, err)
		assert.Equal(t, release.Released, out.Result)
		assert.Equal(t, "no version was ever good: v1 gets all the traffic at once", f.said(stage.Decided)[0])
	})
}

func TestAPlanWithoutAWayBackStops(t *testing.T) {
	f, p := newFake(2), canary()
	p.Rollback = release.Rollback{}
	f.when("v2", 10, time.Minute, goesOff("errors"))
	out, err := f.run(p)
	require.NoError(t, err)
	assert.Equal(t, release.Stuck, out.Result)
	assert.Equal(t, `stuck: the alarm "errors" went off; the plan has no way back: v2 is left as it is, the users are on v1 90 % and v2 10 %`, out.Detail)
	assert.Empty(t, out.Serving)
	assert.Equal(t, map[string]int{"v1": 2, "v2": 2}, f.running)

	f, p = newFake(2), canary()
	p.Rollback.When = []release.Trigger{release.FailedHealth}
	f.when("v2", 10, time.Minute, goesOff("errors"))
	out, err = f.run(p)
	require.NoError(t, err)
	assert.Equal(t, release.Stuck, out.Result)
	assert.Equal(t, `stuck: the alarm "errors" went off; the plan does not roll back on "any watched alarm" by itself: `+
		`v2 is left as it is, the users are on v1 90 % and v2 10 %`, out.Detail)
}

func TestARollbackThatFails(t *testing.T) {
	t.Run("is tried again while the plan allows", func(t *testing.T) {
		f := newFake(2)
		f.unhealthy["v1"] = 3
		f.when("v2", 100, time.Minute, goesOff("errors"))
		out, err := f.run(allAtOnce())
		require.NoError(t, err)
		assert.Equal(t, release.RolledBack, out.Result)
		assert.Equal(t, 4*startTime+3*10*time.Second+shiftTime, out.TrafficBack-out.RollbackBegan)
	})
	t.Run("for good leaves the new version serving", func(t *testing.T) {
		f := newFake(2)
		f.unhealthy["v1"] = 1000
		f.when("v2", 100, time.Minute, goesOff("errors"))
		out, err := f.run(allAtOnce())
		require.NoError(t, err)
		assert.Equal(t, release.Stuck, out.Result)
		assert.Equal(t, release.CauseAlarm, out.Cause)
		assert.Equal(t, "v2", out.Serving)
		assert.Equal(t, `stuck: the alarm "errors" went off; the rollback failed, v1 did not become healthy: 1 of 2 replicas of v1 answers 503: `+
			`v2 serves everyone, v2 is left as it is`, out.Detail)
		assert.InDelta(t, (2 * time.Minute).Seconds(), (out.Ended - out.RollbackBegan).Seconds(), 10)
		assert.Equal(t, map[string]int{"v2": 2}, f.running)
	})
	t.Run("half-way still takes everyone off the new version", func(t *testing.T) {
		f := newFake(4)
		f.when("v2", 50, time.Minute, func(f *fake) { f.unhealthy["v1"] = 1000; goesOff("errors")(f) })
		out, err := f.run(rolling(release.Amount{Count: 2}, 100))
		require.NoError(t, err)
		assert.Equal(t, release.Stuck, out.Result)
		assert.Equal(t, "v1", out.Serving)
		assert.Contains(t, out.Detail, "v1 serves everyone, it has only 2 of its 4 replicas, and v2 runs on without traffic")
	})
	t.Run("by taking too long is a failed one, though the users are back", func(t *testing.T) {
		f := newFake(2)
		f.deploy["v1"] = 3 * time.Minute
		f.when("v2", 100, time.Minute, goesOff("errors"))
		out, err := f.run(allAtOnce())
		require.NoError(t, err)
		assert.Equal(t, release.Stuck, out.Result)
		assert.Equal(t, "v1", out.Serving)
		assert.Equal(t, `stuck: the alarm "errors" went off; the rollback took 3m0.1s, longer than the 2m that the plan allows: v1 serves everyone`, out.Detail)
		assert.Equal(t, map[string]int{"v1": 2}, f.running)
	})
}

func TestAStageThatBreaksIsNoVerdict(t *testing.T) {
	lost := fmt.Errorf("%w: the engine is gone", stage.ErrLost)
	for call, said := range map[string]string{
		"Deploy": "releasing v2: deploying v2: the stage was lost: the engine is gone",
		"Shift":  "releasing v2: shifting to v1 90 %, v2 10 %: the stage was lost: the engine is gone",
		"Wait":   "releasing v2: baking for 5m: the stage was lost: the engine is gone",
		"Probe":  "releasing v2: connection to database: the stage was lost: the engine is gone",
		"Retire": "releasing v2: retiring v1: the stage was lost: the engine is gone",
	} {
		f, p := newFake(2), canary()
		p.Checks.Before = connections("database")
		f.fails[call] = lost
		out, err := f.run(p)
		require.EqualError(t, err, said)
		require.ErrorIs(t, err, stage.ErrLost)
		assert.Equal(t, release.Inconclusive, out.Result)
	}
	for _, call := range []string{"Shift", "Retire", "Wait"} {
		f := newFake(2)
		f.when("v2", 100, time.Minute, func(f *fake) { f.fails[call] = lost; f.unhealthy["v1"] = 1; goesOff("errors")(f) })
		out, err := f.run(allAtOnce())
		require.ErrorIs(t, err, stage.ErrLost, call)
		assert.Equal(t, release.Inconclusive, out.Result)
	}
}

func TestCtrlCEndsAReleaseAtOnce(t *testing.T) {
	for _, strategy := range []*release.Plan{allAtOnce(), canary(), rolling(release.Amount{Count: 1}, 100)} {
		f := newFake(2)
		ctx, cancel := context.WithCancel(context.Background())
		f.when("v2", 10, time.Minute, func(*fake) { cancel() })
		out, err := release.Run(ctx, f, strategy, fromTo("v1", "v2"), release.Options{})
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, release.Inconclusive, out.Result)
		assert.Contains(t, f.calls[len(f.calls)-1], "Wait", "nothing is done afterwards: whoever owns the stage closes it")
	}
}

func TestAPlanThatCannotBeCarriedOutIsAnError(t *testing.T) {
	for said, steps := range map[string][]release.Step{
		`releasing v2: plan "canary": the shares end at 50 %: they must end at 100 %`:                       {{Share: 50}},
		`releasing v2: plan "canary": the share of step 2 is 10 %: shares must rise from above 0 to 100 %`:  {{Share: 50}, {Share: 10}, {Share: 100}},
		`releasing v2: plan "canary": the share of step 1 is 120 %: shares must rise from above 0 to 100 %`: {{Share: 120}},
		`releasing v2: plan "canary": the share of step 2 is 100 %: shares must rise from above 0 to 100 %`: {{Share: 100}, {Share: 100}},
		`releasing v2: plan "canary": the shares end at 0 %: they must end at 100 %`:                        nil,
	} {
		f, p := newFake(2), canary()
		p.Steps = steps
		_, err := f.run(p)
		require.EqualError(t, err, said)
		assert.Empty(t, f.calls)
	}
	f := newFake(0)
	f.running["v1"] = 2
	_, err := f.run(rolling(release.Amount{Count: 1}, 100))
	require.ErrorContains(t, err, "needs to know how many replicas the stable version has")
}

func TestAStageThatCannotProbe(t *testing.T) {
	p := canary()
	p.Checks.Before = connections("database")
	f := newFake(2)
	_, err := release.Run(context.Background(), deaf{f}, p, fromTo("v1", "v2"), release.Options{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// deaf is a stage that is no Prober.
type deaf struct{ stage.Stage }

func TestTheOldVersionMayHaveAnotherNumberOfReplicas(t *testing.T) {
	f := newFake(4)
	v := fromTo("v1", "v2")
	v.New.Replicas = 2
	out, err := release.Run(context.Background(), f, rolling(release.Amount{Count: 1}, 100), v, release.Options{})
	require.NoError(t, err)
	assert.Equal(t, release.Released, out.Result)
	assert.Equal(t, []string{"Deploy v2 1", "Shift v1 66.67% v2 33.33%", "Deploy v1 2", "Wait 5m0s", "Deploy v2 2", "Shift v2 100%", "Retire v1", "Wait 10m0s"}, f.calls)
}

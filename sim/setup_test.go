package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

func TestABadSetupSaysWhatIsWrong(t *testing.T) {
	for wrong, spoil := range map[string]func(*stage.Setup){
		"-1 replicas: want 1 or more":                                       func(s *stage.Setup) { s.Replicas = -1 },
		`version "v2": -3 replicas`:                                         func(s *stage.Setup) { s.Versions["v2"] = stage.Version{Name: "v2", Replicas: -3} },
		`version "v3" is named "v2" inside`:                                 func(s *stage.Setup) { s.Versions["v3"] = stage.Version{Name: "v2"} },
		"traffic of 0 requests per second":                                  func(s *stage.Setup) { s.Traffic.Rate = 0 },
		"traffic: no requests":                                              func(s *stage.Setup) { s.Traffic.Requests = nil },
		`request "browse" has the weight 0`:                                 func(s *stage.Setup) { s.Traffic.Requests[0].Weight = 0 },
		`dependency "payments": no request of the traffic is named "buy"`:   func(s *stage.Setup) { s.Dependencies[1].Requests = []string{"buy"} },
		"99th percentile of the latency, 1ms, is below its median, 3ms":     func(s *stage.Setup) { s.Model.P99 = time.Millisecond },
		"a replica uses 25165824 bytes, its memory limit is 1024":           func(s *stage.Setup) { s.MemoryLimit = 1024 },
		"a time cannot be below 0":                                          func(s *stage.Setup) { s.Model.Start = -1 },
		"its thresholds cannot be below 0":                                  func(s *stage.Setup) { s.Health.Healthy = -1 },
		`version "v2": simulated: unknown failure "mice"`:                   func(s *stage.Setup) { own(s, stage.Failure{Kind: "mice"}) },
		`unknown request "buy": known are ["browse" "order" "status"]`:      func(s *stage.Setup) { own(s, stage.Failure{Kind: stage.Errors, Request: "buy"}) },
		`"v1: errors" is a failure of another version`:                      func(s *stage.Setup) { own(s, stage.Failure{Kind: stage.Errors, Version: "v1"}) },
		`unknown dependency "mail": known are ["database" "payments"]`:      func(s *stage.Setup) { own(s, stage.Failure{Kind: stage.DependencyDown, Dependency: "mail"}) },
		`alarm "shop-5xx-rate": `:                                           func(s *stage.Setup) { s.Alarms[0].EvaluationPeriods = -1 },
		"latency: needs a delay":                                            func(s *stage.Setup) { own(s, stage.Failure{Kind: stage.Latency}) },
		"a memory limit of -1 bytes: want more than 0, or 0 for none":       func(s *stage.Setup) { s.MemoryLimit = -1 },
		"health check: its interval, time-out and deadline cannot be below": func(s *stage.Setup) { s.Health.Interval = -1 },
	} {
		t.Run(wrong, func(t *testing.T) {
			setup := shop(t)
			spoil(&setup)
			_, err := sim.New(t.Context(), sim.Options{Setup: setup})
			require.ErrorContains(t, err, wrong)
			require.ErrorContains(t, err, "the simulated stage cannot be raised")
		})
	}
}

func own(s *stage.Setup, f stage.Failure) {
	s.Versions["v2"] = stage.Version{Name: "v2", Simulated: []stage.Failure{f}}
}

func TestASetupMayLeaveMostOfItOpen(t *testing.T) {
	ctx := t.Context()
	s, err := sim.New(ctx, sim.Options{Setup: stage.Setup{
		Traffic: stage.Load{Rate: 10, Requests: []stage.Request{{Name: "browse", Weight: 1}}},
	}})
	require.NoError(t, err)
	require.NoError(t, s.Deploy(ctx, stage.Version{Name: "any"}))
	require.NoError(t, s.Shift(ctx, stage.Shares{"any": 100}))
	wait(t, s, time.Hour)
	got := served(s, "any", 0)
	assert.InDelta(t, 36_000, got.Requests, 1000)
	assert.Zero(t, got.Failed)
	assert.Equal(t, 20*time.Millisecond, got.P50)
	assert.Equal(t, 1, count(s, stage.Deployed, "any"))
	require.NoError(t, s.Close(ctx))
}

func TestWhatCannotBeDoneSaysWhy(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	before := s.History().Now()

	assert.ErrorContains(t, s.Deploy(ctx, stage.Version{Name: "v9"}), `cannot deploy: unknown version "v9": known are ["v1" "v2"]`)
	assert.ErrorContains(t, s.Deploy(ctx, stage.Version{}), "a version without a name")
	assert.ErrorContains(t, s.Deploy(ctx, stage.Version{Name: "v2", Replicas: -1}), "-1 replicas")
	assert.ErrorContains(t, s.Retire(ctx, stage.Version{Name: "v2"}), `cannot retire "v2": it is not deployed; deployed are ["v1"]`)
	assert.ErrorContains(t, s.Retire(ctx, stage.Version{Name: "v1"}), `cannot retire "v1": it has 100 % of the traffic`)
	assert.ErrorContains(t, s.Shift(ctx, stage.Shares{"v1": 50, "v2": 50}), `cannot shift traffic to "v2": it is not deployed`)
	assert.ErrorContains(t, s.Shift(ctx, stage.Shares{"v1": 120}), "a share is from 0 to 100")
	assert.ErrorContains(t, s.Shift(ctx, stage.Shares{"v1": 20}), "add up to 20 %")
	assert.ErrorContains(t, s.Inject(ctx, stage.Failure{Kind: "mice"}), `cannot inject: unknown failure "mice"`)
	assert.ErrorContains(t, s.Inject(ctx, stage.Failure{Kind: stage.Hang, Version: "v9"}), `unknown version "v9"`)
	assert.ErrorContains(t, s.Inject(ctx, stage.Failure{Kind: stage.Hang, Version: "v1", Dependency: "payments"}), "a version's own mistake")
	assert.ErrorContains(t, s.Probe(ctx, stage.Probe{Kind: "riddle"}), `unknown probe "riddle"`)
	assert.ErrorContains(t, s.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"}), `"v2": it is not deployed`)
	assert.ErrorContains(t, s.Probe(ctx, stage.Probe{Kind: stage.ProbeDependency, Dependency: "mail"}), `the unknown dependency "mail"`)
	assert.NoError(t, s.Heal(ctx, stage.Failure{Kind: stage.Errors, Version: "v1"}), "what is not there needs no healing")

	f := stage.Failure{Kind: stage.Errors, Version: "v1"}
	require.NoError(t, s.Inject(ctx, f))
	assert.ErrorContains(t, s.Inject(ctx, f), "present already")
	assert.Equal(t, before, s.History().Now(), "refusals take no time")
}

func TestAfterCloseNothingIsLeftAndNothingGoes(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	canary(t, s, stage.Version{Name: "v2"})
	f := stage.Failure{Kind: stage.Hang, Version: "v2"}
	require.NoError(t, s.Inject(ctx, f))
	at := s.History().Now()
	require.NoError(t, s.Close(ctx))
	require.NoError(t, s.Close(ctx))

	events := s.History().Events()
	kinds := []stage.EventKind{}
	for _, e := range events[len(events)-4:] {
		kinds = append(kinds, e.Kind)
	}
	assert.Equal(t, []stage.EventKind{stage.Healed, stage.Retired, stage.Retired, stage.Ended}, kinds)
	assert.Equal(t, at, s.History().Now())

	for what, err := range map[string]error{
		"deploy": s.Deploy(ctx, stage.Version{Name: "v1"}), "retire": s.Retire(ctx, stage.Version{Name: "v1"}),
		"shift": s.Shift(ctx, stage.Shares{"v1": 100}), "inject": s.Inject(ctx, f), "heal": s.Heal(ctx, f),
		"audit": s.Audit(ctx), "probe": s.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: "v1"}),
	} {
		assert.ErrorContains(t, err, "the simulated stage is closed", what)
	}
	_, err := s.Wait(ctx, time.Minute, nil)
	assert.ErrorContains(t, err, "closed")
	assert.Equal(t, len(events), len(s.History().Events()))
}

func TestACancelledContextStopsTheStage(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := raise(t, sim.Options{Setup: shop(t)})
	from := s.History().Now()
	held, err := s.Wait(ctx, time.Hour, func(h *stage.History) bool {
		if h.Now() >= from+5*time.Minute {
			cancel()
		}
		return false
	})
	assert.False(t, held)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, from+5*time.Minute, s.History().Now())
	assert.ErrorIs(t, s.Deploy(ctx, stage.Version{Name: "v2"}), context.Canceled)
	_, err = sim.New(ctx, sim.Options{Setup: shop(t)})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestAnAlarmThatIsJudgedEveryTenSecondsIsSeenInTime(t *testing.T) {
	setup := shop(t)
	setup.Alarms = []alarm.Alarm{{
		AlarmName: "quick", Namespace: "AWS/ApplicationELB", MetricName: "HTTPCode_Target_5XX_Count", Statistic: "Sum",
		Dimensions: []alarm.Dimension{{Name: "LoadBalancer", Value: setup.Monitoring.LoadBalancer}},
		Period:     10, EvaluationPeriods: 2, DatapointsToAlarm: 2, Threshold: 0, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching",
	}}
	s := raise(t, sim.Options{Setup: setup})
	require.NoError(t, s.Inject(t.Context(), stage.Failure{Kind: stage.Errors, Version: "v1", Share: 50}))
	wait(t, s, time.Minute)
	assert.Equal(t, 10*time.Minute+20*time.Second, red(s)["quick"])
}

package sim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// carryOut releases v2 as a plan of the sample shop says.
func carryOut(t *testing.T, plan string, s *sim.Stage, v2 stage.Version, o release.Options) release.Outcome {
	t.Helper()
	p, err := release.ParseFile("../fixtures/plans/" + plan + ".yaml")
	require.NoError(t, err)
	done, err := release.Run(t.Context(), s, p, release.Versions{Stable: &stage.Version{Name: "v1"}, New: v2}, o)
	require.NoError(t, err)
	return done
}

var plans = []string{"all-at-once", "rolling", "blue-green", "canary", "linear"}

func TestAGoodVersionIsReleasedByEveryPlan(t *testing.T) {
	for _, plan := range plans {
		t.Run(plan, func(t *testing.T) {
			setup := shop(t)
			setup.Replicas = 4
			s := raise(t, sim.Options{Setup: setup})
			done := carryOut(t, plan, s, stage.Version{Name: "v2"}, release.Options{})
			assert.Equal(t, release.Released, done.Result, done.Detail)
			assert.Equal(t, "v2", done.Serving)
			assert.Equal(t, stage.Shares{"v2": 100}, s.History().Shares())
			assert.Equal(t, 1, count(s, stage.Retired, "v1"))
			assert.Zero(t, served(s, "", 0).Failed)
			assert.Empty(t, red(s))
		})
	}
}

func TestABadVersionIsRolledBackByEveryPlan(t *testing.T) {
	for _, plan := range plans {
		for name, c := range map[string]struct {
			bad   stage.Failure
			cause release.Cause
			alarm string
		}{
			"fails half":     {stage.Failure{Kind: stage.Errors, Share: 50}, release.CauseAlarm, "shop-5xx-rate"},
			"slow":           {stage.Failure{Kind: stage.Latency, Delay: 600 * time.Millisecond}, release.CauseAlarm, "shop-p99-latency"},
			"dies at start":  {stage.Failure{Kind: stage.CrashAtStart}, release.CauseHealth, ""},
			"dies in public": {stage.Failure{Kind: stage.CrashLoop, After: 30 * time.Second}, release.CauseHealth, ""},
		} {
			t.Run(plan+", "+name, func(t *testing.T) {
				setup := shop(t)
				setup.Replicas = 4
				s := raise(t, sim.Options{Setup: setup})
				v2 := stage.Version{Name: "v2", Simulated: []stage.Failure{c.bad}}
				done := carryOut(t, plan, s, v2, release.Options{})
				require.Equal(t, release.RolledBack, done.Result, done.Detail)
				if done.Cause == release.CauseAfter || done.Cause == release.CauseTest {
					return // the plan's smoke requests were quicker than any alarm
				}
				assert.Equal(t, c.cause, done.Cause, done.Detail)
				assert.Equal(t, c.alarm, done.Alarm)
				assert.Equal(t, stage.Shares{"v1": 100}, s.History().Shares())
				assert.Equal(t, 1, count(s, stage.Retired, "v2"))
				restored := s.History().Now()
				wait(t, s, 15*time.Minute)
				assert.Zero(t, served(s, "", restored).Failed, "service is restored")
				for _, a := range setup.Alarms {
					assert.Equal(t, alarm.OK, s.History().AlarmState(a.AlarmName), a.AlarmName)
				}
			})
		}
	}
}

func TestAPersonCanOrderARollbackInTheMiddle(t *testing.T) {
	s := raise(t, sim.Options{Setup: shop(t)})
	done := carryOut(t, "canary", s, stage.Version{Name: "v2"}, release.Options{
		RollBack: func(h *stage.History) (string, bool) { return "the campaign starts early", h.Share("v2") >= 50 },
	})
	assert.Equal(t, release.RolledBack, done.Result, done.Detail)
	assert.Equal(t, release.CauseByHand, done.Cause)
	assert.Zero(t, served(s, "", 0).Failed)
}

func TestScheduledFailuresComeAtTheirMoment(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	scheduled := stage.NewScheduled(s)
	f := stage.Failure{Kind: stage.DependencyDown, Version: "v2", Dependency: "payments"}
	scheduled.Plan(f, stage.Moment{Version: "v2", Share: 50, After: 90 * time.Second}, 30*time.Second)
	p, err := release.ParseFile("../fixtures/plans/canary.yaml")
	require.NoError(t, err)
	_, err = release.Run(ctx, scheduled, p, release.Versions{Stable: &stage.Version{Name: "v1"}, New: stage.Version{Name: "v2"}}, release.Options{})
	require.NoError(t, err)
	var half, injected, healed time.Duration
	for _, e := range s.History().Events() {
		switch {
		case e.Kind == stage.Shifted && e.Shares["v2"] == 50:
			half = e.At
		case e.Kind == stage.Injected:
			injected = e.At
		case e.Kind == stage.Healed:
			healed = e.At
		}
	}
	assert.Equal(t, half+90*time.Second, injected)
	assert.Equal(t, injected+30*time.Second, healed)
}

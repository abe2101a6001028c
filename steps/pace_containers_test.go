//go:build containers

package steps

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/containers"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// shortPeriod is the period of the alarms of the test of time: short, so that the
// scenario can be waited for at pace 1.
const shortPeriod = 10 * time.Second

const shortPlan = `plan: short
strategy: canary
steps:
  - {share: 50%, bake: 50s}
  - {share: 100%, bake: 50s}
alarms: [shop-5xx-rate]
rollback:
  to: last good version
  when: [any watched alarm, failed health check, by hand]
  within: 1m
  decides: on-call release engineer
`

// The same scenario at pace 1 and at pace 60 comes to the same verdict, and its
// times agree within one alarm period.
func TestTimeIsHonest(t *testing.T) {
	p := shop(t)
	engine, err := containers.ConnectEngine(t.Context())
	if err != nil {
		t.Skip("no Docker engine: ", err)
	}
	images, err := containers.NewImages(engine, func(line string) { t.Log(line) }, p.Recipes...)
	require.NoError(t, err)
	require.NoError(t, images.EnsureAll(t.Context(), append(containers.HarnessImages(), p.Images()...)...))
	plan, err := release.Parse("short.yaml", []byte(shortPlan))
	require.NoError(t, err)

	setup := p.Setup
	setup.Alarms = slices.DeleteFunc(slices.Clone(setup.Alarms), func(a alarm.Alarm) bool { return a.AlarmName != "shop-5xx-rate" })
	require.Len(t, setup.Alarms, 1)
	a := &setup.Alarms[0]
	a.EvaluationPeriods, a.DatapointsToAlarm = 3, 2
	a.Threshold = 5 // percent: a period has 33 real requests at pace 60, and one of them must not set it off
	a.Metrics = slices.Clone(a.Metrics)
	for i, m := range a.Metrics {
		if m.MetricStat != nil {
			stat := *m.MetricStat
			stat.Period = int(shortPeriod.Seconds())
			a.Metrics[i].MetricStat = &stat
		}
	}

	type timed struct {
		outcome  release.Outcome
		measures check.Measures
		back     time.Duration // from the alarm until everyone was back
	}
	rehearse := func(ctx context.Context, t *testing.T, pace float64) timed {
		st, err := containers.New(ctx, engine, containers.Options{Setup: setup, Compose: p.Compose, Images: images, Pace: pace, Seed: 1})
		require.NoError(t, err)
		defer func() { assert.NoError(t, st.Close(context.WithoutCancel(ctx))) }()
		v1, v2 := setup.Versions["v1"], setup.Versions["v2"]
		require.NoError(t, st.Deploy(ctx, v1))
		require.NoError(t, st.Shift(ctx, stage.Shares{"v1": 100}))
		steady, err := st.Wait(ctx, 2*time.Minute, func(h *stage.History) bool {
			return h.Now() > 3*shortPeriod && h.AlarmState(a.AlarmName) == alarm.OK
		})
		require.NoError(t, err)
		require.True(t, steady)
		st.History().Record(stage.Event{Kind: stage.Confirmed})
		require.NoError(t, st.Inject(ctx, stage.Failure{Kind: stage.Errors, Version: "v2", Share: 50}))
		out, err := release.Run(ctx, st, plan, release.Versions{Stable: &v1, New: v2}, release.Options{})
		require.NoError(t, err)
		_, err = st.Wait(ctx, 2*check.Lasting, func(h *stage.History) bool {
			_, ok := check.Restored(h, out.RollbackBegan, check.Lasting)
			return ok
		})
		require.NoError(t, err)
		return timed{out, check.Measure(st.History(), "v2"), out.TrafficBack - out.RollbackBegan}
	}

	var slow, fast timed
	t.Run("at both paces", func(t *testing.T) {
		for pace, into := range map[float64]*timed{1: &slow, 60: &fast} {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				*into = rehearse(t.Context(), t, pace)
			})
		}
	})
	t.Logf("pace 1:  %+v", slow)
	t.Logf("pace 60: %+v", fast)
	assert.Equal(t, release.RolledBack, slow.outcome.Result)
	assert.Equal(t, slow.outcome.Result, fast.outcome.Result)
	assert.Equal(t, slow.outcome.Cause, fast.outcome.Cause)
	assert.Equal(t, slow.outcome.Alarm, fast.outcome.Alarm)
	assert.InDelta(t, slow.measures.Detect, fast.measures.Detect, float64(shortPeriod), "time to detect")
	assert.InDelta(t, slow.measures.Restore, fast.measures.Restore, float64(shortPeriod), "time to restore")
	assert.InDelta(t, slow.back, fast.back, float64(shortPeriod), "time to be back")
}

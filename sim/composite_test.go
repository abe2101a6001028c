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

// healthRules are composite alarms over those of the sample shop: production pages
// people by the outer one only.
func healthRules() []alarm.Composite {
	return []alarm.Composite{
		{AlarmName: "shop-is-ill", AlarmRule: `ALARM("shop-users-suffer") AND NOT ALARM(shop-memory)`, ActionsEnabled: true},
		{AlarmName: "shop-users-suffer", AlarmRule: "ALARM(shop-5xx-rate) OR ALARM(arn:aws:cloudwatch:ap-northeast-1:123456789012:alarm:shop-p99-latency)"},
	}
}

func TestAWatchedCompositeAlarmRollsAReleaseBack(t *testing.T) {
	setup := shop(t)
	setup.Replicas, setup.Composites = 4, healthRules()
	s := raise(t, sim.Options{Setup: setup})
	for _, name := range setup.AlarmNames() {
		assert.Equal(t, alarm.OK, s.History().AlarmState(name), name)
	}
	p, err := release.ParseFile("../fixtures/plans/canary.yaml")
	require.NoError(t, err)
	p.Alarms = []string{"shop-is-ill"}
	v2 := stage.Version{Name: "v2", Simulated: []stage.Failure{{Kind: stage.Latency, Delay: 600 * time.Millisecond}}}
	done, err := release.Run(t.Context(), s, p, release.Versions{Stable: &stage.Version{Name: "v1"}, New: v2}, release.Options{})
	require.NoError(t, err)
	require.Equal(t, release.RolledBack, done.Result, done.Detail)
	assert.Equal(t, release.CauseAlarm, done.Cause, done.Detail)
	assert.Equal(t, "shop-is-ill", done.Alarm)
	assert.Equal(t, stage.Shares{"v1": 100}, s.History().Shares())

	at := map[string]time.Duration{}
	for e := range s.History().All(stage.Changed) {
		if e.Alarm.To == alarm.InAlarm {
			at[e.Alarm.Name] = e.At
			if e.Alarm.Name == "shop-users-suffer" {
				assert.Contains(t, e.Alarm.Reason, "alarm:shop-p99-latency transitioned to ALARM at Monday 05 January, 2026")
			}
		}
	}
	assert.Len(t, at, 3)
	assert.Equal(t, at["shop-p99-latency"], at["shop-is-ill"], "in the instant in which the child goes off")
	wait(t, s, 15*time.Minute)
	for _, name := range setup.AlarmNames() {
		assert.Equal(t, alarm.OK, s.History().AlarmState(name), name)
	}
}

func TestACompositeAlarmThatCannotBeJudgedIsNotRaised(t *testing.T) {
	setup := shop(t)
	setup.Composites = []alarm.Composite{{AlarmName: "top", AlarmRule: "ALARM(nobody)"}}
	_, err := sim.New(t.Context(), sim.Options{Setup: setup})
	assert.ErrorContains(t, err, "alarms [nobody] in the alarm rule do not exist")
}

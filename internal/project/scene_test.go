package project

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
)

func TestTheSceneIsWhatTheProjectSays(t *testing.T) {
	p, err := Load(t.Context(), "../../fixtures/rehearsal.yaml")
	require.NoError(t, err)
	s := alarm.DefaultScene()
	s.Delay, s.CPU = time.Minute, 12
	p.Scene(&s)
	assert.InDelta(t, 200, s.Rate, 0)
	assert.Equal(t, 2, s.Replicas)
	assert.Equal(t, p.Setup.Model.Median, s.Median)
	assert.Equal(t, p.Setup.Model.P99, s.P99)
	assert.Equal(t, 20*time.Second, s.Notice, "2 checks, 10 s apart")
	assert.InDelta(t, 100*float64(p.Setup.Model.Memory)/float64(p.Setup.MemoryLimit), s.Memory, 1e-9)
	assert.Equal(t, []time.Duration{5 * time.Minute, 5 * time.Minute, 5 * time.Minute}, s.Bakes)
	require.Len(t, s.Lines, 1)
	assert.Equal(t, "ErrorCount", s.Lines[0].MetricName)
	assert.Equal(t, time.Minute, s.Delay, "of which the project says nothing")
	assert.InDelta(t, 12, s.CPU, 0)

	before := alarm.DefaultScene()
	none := before
	(&Project{}).Scene(&none)
	assert.Equal(t, before.Median, none.Median)
	assert.Equal(t, before.Notice, none.Notice)

	// What the project says is published is what the table of meanings can foresee.
	for _, a := range p.Setup.Alarms {
		c, err := a.Compile()
		require.NoError(t, err)
		assert.Empty(t, p.Fed(a), a.AlarmName)
		assert.True(t, s.Knows(c), a.AlarmName)
	}
	for _, e := range published {
		for _, name := range e.metrics {
			c, err := (&alarm.Alarm{AlarmName: "x", Namespace: e.namespace, MetricName: name, Statistic: "Sum", Period: 60, EvaluationPeriods: 1, ComparisonOperator: "GreaterThanThreshold"}).Compile()
			require.NoError(t, err)
			assert.True(t, s.Knows(c), "%s %s is published by the staging copy, and not known to the foresight", e.namespace, name)
		}
	}
}

package sim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// Of everything that the stage publishes: an alarm without a unit and one with AWS's
// unit go off, and one with another unit never has data.
func TestMetricsHaveTheUnitsOfAWS(t *testing.T) {
	setup := shop(t)
	setup.Monitoring.Filters = append(setup.Monitoring.Filters, stage.MetricFilter{Name: "failures", Namespace: "Shop", Metric: "Failures", Value: "1", Unit: "Count"})
	all := []alarm.Dimension{{Name: "LoadBalancer", Value: setup.Monitoring.LoadBalancer}}
	group := append([]alarm.Dimension{{Name: "TargetGroup", Value: setup.Monitoring.TargetGroups[0]}}, all...)
	service := []alarm.Dimension{{Name: "ClusterName", Value: "production"}, {Name: "ServiceName", Value: "shop"}}
	setup.Alarms = nil
	var loud, silent []string
	for _, m := range []struct {
		namespace, metric string
		dims              []alarm.Dimension
		unit              string
	}{
		{"AWS/ApplicationELB", "RequestCount", all, "Count"},
		{"AWS/ApplicationELB", "HTTPCode_Target_2XX_Count", group, "Count"},
		{"AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", all, "Count"},
		{"AWS/ApplicationELB", "TargetResponseTime", all, "Seconds"},
		{"AWS/ApplicationELB", "HealthyHostCount", group, "Count"},
		{"AWS/ECS", "CPUUtilization", service, "Percent"},
		{"AWS/ECS", "MemoryUtilization", service, "Percent"},
		{"Shop", "ErrorCount", nil, "None"},
		{"Shop", "Failures", nil, "Count"},
	} {
		for _, unit := range []string{"", m.unit, "Milliseconds"} {
			a := alarm.Alarm{AlarmName: m.metric + " in " + unit, Namespace: m.namespace, MetricName: m.metric, Dimensions: m.dims, Statistic: "Maximum", Unit: unit,
				Period: 60, EvaluationPeriods: 1, Threshold: 0, ComparisonOperator: "GreaterThanThreshold"}
			setup.Alarms = append(setup.Alarms, a)
			if unit == "Milliseconds" {
				silent = append(silent, a.AlarmName)
			} else {
				loud = append(loud, a.AlarmName)
			}
		}
	}
	s := raise(t, sim.Options{Setup: setup})
	canary(t, s, stage.Version{Name: "v2", Simulated: []stage.Failure{{Kind: stage.Errors, Share: 50}}})
	wait(t, s, 5*time.Minute)
	went := red(s)
	for _, name := range loud {
		assert.Contains(t, went, name)
	}
	for _, name := range silent {
		assert.Equal(t, alarm.InsufficientData, s.History().AlarmState(name), name)
	}
	assert.Len(t, went, len(loud))
}

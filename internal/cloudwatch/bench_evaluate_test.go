package cloudwatch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// BenchmarkEvaluate5000 is one minute of 5,000 alarms, each on a metric of its own, a
// fifth of them metric math over two metrics, with 50 composite alarms over 100 each;
// every metric has got new data. What is fed in between is not counted.
func BenchmarkEvaluate5000(b *testing.B) {
	const n = 5000
	s := cloudwatch.NewStore(cloudwatch.Options{})
	metric := func(i int) alarm.Metric {
		return alarm.Metric{Namespace: "shop", MetricName: "Errors", Dimensions: []alarm.Dimension{{Name: "Host", Value: fmt.Sprint(i)}}}
	}
	alarms := make([]alarm.Alarm, n)
	handles := make([]*cloudwatch.Series, n)
	for i := range alarms {
		m := metric(i)
		handles[i] = s.Series(m.Namespace, m.MetricName, m.Dimensions...)
		a := above(fmt.Sprintf("alarm-%d", i), 60, 5)
		a.DatapointsToAlarm, a.Dimensions = 3, m.Dimensions
		if i%5 == 0 {
			a.Namespace, a.MetricName, a.Statistic, a.Period, a.Dimensions = "", "", "", 0, nil
			a.Metrics = []alarm.MetricDataQuery{
				{Id: "rate", Expression: "100 * a / FILL(b, 1)", ReturnData: true},
				{Id: "a", MetricStat: &alarm.MetricStat{Metric: m, Period: 60, Stat: "Sum"}},
				{Id: "b", MetricStat: &alarm.MetricStat{Metric: metric((i + 1) % n), Period: 60, Stat: "Sum"}},
			}
		}
		alarms[i] = a
	}
	require.NoError(b, s.PutAlarms(alarms))
	composites := make([]alarm.Composite, n/100)
	for i := range composites {
		rule := "FALSE"
		for child := range 100 {
			rule += fmt.Sprintf(" OR ALARM(alarm-%d)", i*100+child)
		}
		composites[i] = over(fmt.Sprintf("composite-%d", i), rule)
	}
	require.NoError(b, s.PutComposites(composites))
	at, minute := epoch, 0
	feed := func() {
		for i, h := range handles {
			h.AddValue(at, float64((minute+i)%7)*3, 1)
		}
		at, minute = at.Add(time.Minute), minute+1
	}
	for range 10 {
		feed()
		s.Evaluate(at)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		feed()
		b.StartTimer()
		s.Evaluate(at)
	}
}

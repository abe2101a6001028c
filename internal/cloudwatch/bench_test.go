package cloudwatch_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// epoch is a whole minute.
var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// hour is what a simulated stage feeds and asks in an hour: 5 alarms, two of them
// metric math and one a p99, and the metrics of two versions.
type hour struct {
	alarms  []*alarm.Compiled
	metrics []alarm.Metric
	latency alarm.Distribution // of one version's minute
	count   alarm.Distribution
}

func newHour(tb testing.TB) *hour {
	alarms, err := alarm.ParseFile("../../fixtures/alarms.json")
	require.NoError(tb, err)
	h := &hour{}
	for i := range alarms {
		c, err := alarms[i].Compile()
		require.NoError(tb, err)
		h.alarms = append(h.alarms, c)
	}
	require.GreaterOrEqual(tb, len(h.alarms), 4)
	extra := alarms[1]
	extra.AlarmName = "one-more"
	c, err := extra.Compile()
	require.NoError(tb, err)
	h.alarms = append(h.alarms, c)[:5]

	lb := alarm.Dimension{Name: "LoadBalancer", Value: "app/shop/50dc6c495c0c9188"}
	for _, group := range []string{"", "targetgroup/shop-a/1", "targetgroup/shop-b/2"} {
		for _, name := range []string{"RequestCount", "HTTPCode_Target_5XX_Count", "TargetResponseTime"} {
			dims := []alarm.Dimension{lb}
			if group != "" {
				dims = append(dims, alarm.Dimension{Name: "TargetGroup", Value: group})
			}
			h.metrics = append(h.metrics, alarm.Metric{Namespace: "AWS/ApplicationELB", MetricName: name, Dimensions: dims})
		}
	}
	for _, name := range []string{"HTTPCode_ELB_5XX_Count", "HealthyHostCount", "UnHealthyHostCount", "CPUUtilization", "MemoryUtilization"} {
		h.metrics = append(h.metrics, alarm.Metric{Namespace: "AWS/ApplicationELB", MetricName: name, Dimensions: []alarm.Dimension{lb}})
	}
	for i := range 20 {
		h.latency.Add(0.01*float64(i+1)*float64(i+1), 60000/20)
	}
	h.count.AddSet(60000, 12, 0, 1)
	return h
}

// run is the hour on a store of its own.
func (h *hour) run(rate float64) (s *cloudwatch.Store, transitions int) {
	s = cloudwatch.NewStore(cloudwatch.Options{})
	s.PutCompiled(h.alarms...)
	var handles [32]*cloudwatch.Series
	for i, m := range h.metrics {
		handles[i] = s.Series(m.Namespace, m.MetricName, m.Dimensions...)
	}
	for minute := range 60 {
		at := epoch.Add(time.Duration(minute) * time.Minute)
		for i, m := range h.metrics {
			if m.MetricName == "TargetResponseTime" {
				handles[i].Add(at, &h.latency)
			} else {
				handles[i].AddValue(at, float64(minute%7), rate)
			}
		}
		transitions += len(s.Evaluate(at.Add(time.Minute)))
	}
	return s, transitions
}

// BenchmarkHour is a store made, fed and judged for one simulated hour: 60 minutes
// of 14 metrics, three of them with 20 different values, and 60 evaluations of 5
// alarms. A whole simulated release may take 1 ms.
func BenchmarkHour(b *testing.B) {
	h := newHour(b)
	b.ReportAllocs()
	for b.Loop() {
		h.run(1)
	}
}

// BenchmarkPutMetricData is one call over the loopback, with 14 metrics of 100
// values each, as a container stage publishes a second.
func BenchmarkPutMetricData(b *testing.B) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	server, err := s.Serve()
	require.NoError(b, err)
	defer func() { require.NoError(b, server.Close()) }()
	client := server.MetricsClient()
	in := &cw.PutMetricDataInput{Namespace: aws.String("AWS/ApplicationELB")}
	for _, m := range newHour(b).metrics {
		d := types.MetricDatum{MetricName: aws.String(m.MetricName), Timestamp: aws.Time(epoch)}
		for _, dim := range m.Dimensions {
			d.Dimensions = append(d.Dimensions, types.Dimension{Name: aws.String(dim.Name), Value: aws.String(dim.Value)})
		}
		for i := range 100 {
			d.Values, d.Counts = append(d.Values, 0.001*float64(i)), append(d.Counts, 60)
		}
		in.MetricData = append(in.MetricData, d)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := client.PutMetricData(context.Background(), in)
		require.NoError(b, err)
	}
}

package cloudwatch_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// in is above("errors", 60, 1) that takes only samples of a unit.
func in(unit string) alarm.Alarm {
	a := above("in "+unit, 60, 1)
	a.Unit = unit
	return a
}

func TestAnAlarmSeesItsUnitOnly(t *testing.T) {
	ratio := alarm.Alarm{AlarmName: "bytes of all", EvaluationPeriods: 1, Threshold: 0.5, ComparisonOperator: "GreaterThanThreshold", Metrics: []alarm.MetricDataQuery{
		{Id: "r", Expression: "b/a", ReturnData: true},
		{Id: "b", MetricStat: &alarm.MetricStat{Metric: alarm.Metric{Namespace: "shop", MetricName: "Errors"}, Period: 60, Stat: "Sum", Unit: "Bytes"}},
		{Id: "a", MetricStat: &alarm.MetricStat{Metric: alarm.Metric{Namespace: "shop", MetricName: "Errors"}, Period: 60, Stat: "Sum"}},
	}}
	s := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{in(""), in("Bytes"), in("Count"), in("None"), in("Seconds"), ratio}))
	s.SeriesIn("Bytes", "shop", "Errors").AddValue(epoch, 9, 1)
	s.SeriesIn("Count", "shop", "Errors").AddValue(epoch, 1, 1)
	s.Series("shop", "Errors").AddValue(epoch, 2, 1)
	assert.Equal(t, []string{
		"1m0s in  INSUFFICIENT_DATA -> ALARM", // 12
		"1m0s in Bytes INSUFFICIENT_DATA -> OK", "1m0s in Count INSUFFICIENT_DATA -> OK", "1m0s in None INSUFFICIENT_DATA -> OK",
		"1m0s bytes of all INSUFFICIENT_DATA -> ALARM", // 9 of 12
	}, brief(s.Evaluate(minute(1))))
	assert.False(t, s.Fed("in Seconds"))
	assert.Len(t, s.Missing("in Seconds"), 1)
	assert.True(t, s.Fed("in Bytes"))
	assert.Empty(t, s.Missing("in Bytes"))

	// The next minute was judged without it; then there is late data of one unit.
	s.Series("shop", "Errors").AddValue(minute(1), 2, 1)
	assert.Equal(t, []string{"2m0s in  ALARM -> OK"}, brief(s.Evaluate(minute(2)))[:1])
	longer := above("two minutes", 120, 1)
	require.NoError(t, s.PutAlarms([]alarm.Alarm{longer}))
	s.SeriesIn("Count", "shop", "Errors").AddValue(minute(1), 3, 1)
	s.Series("shop", "Errors").AddValue(minute(2), 6, 1)
	made := brief(s.Evaluate(minute(3)))
	assert.Contains(t, made, "3m0s two minutes INSUFFICIENT_DATA -> ALARM", "2 + 3 + 6")
}

// An alarm with a Unit does over mixed data what it does over the data of that unit, and
// one without what it does over all of it.
func TestUnitsAreApart(t *testing.T) {
	const seconds = 900
	units := []string{"Count", "None", "Bytes/Second"}
	rapid.Check(t, func(t *rapid.T) {
		a := drawJudged(t, "Sum", "Average", "Minimum", "Maximum", "SampleCount", "p50", "p99")
		data := drawData(t, seconds)
		of := make([]string, len(data))
		for i := range data {
			of[i] = rapid.SampledFrom(units).Draw(t, "unit")
		}
		wait := rapid.SampledFrom([]int{0, 90, 700}).Draw(t, "late by") // seconds, every third datum
		run := func(a alarm.Alarm, takes func(unit string) bool, as func(unit string) string) []string {
			s := cloudwatch.NewStore(cloudwatch.Options{})
			if err := s.PutAlarms([]alarm.Alarm{a}); err != nil {
				t.Fatal(err)
			}
			var made []cloudwatch.Transition
			for second := range seconds + 1 {
				if second%10 == 0 {
					made = append(made, s.Evaluate(epoch.Add(time.Duration(second)*time.Second))...)
				}
				for i, d := range data {
					comes := d.second
					if i%3 == 0 {
						comes += wait
					}
					if comes == second && takes(of[i]) {
						var set alarm.Distribution
						set.Add(d.value, d.count)
						s.SeriesIn(as(of[i]), "shop", "Errors").AddHighResolution(epoch.Add(time.Duration(d.second)*time.Second), &set)
					}
				}
			}
			return brief(made)
		}
		same := func(unit string) string { return unit }
		every := func(string) bool { return true }
		if got, want := run(a, every, same), run(a, every, func(string) string { return "Percent" }); !slices.Equal(got, want) {
			t.Fatalf("without a Unit %v, where all of one unit make %v", got, want)
		}
		for _, unit := range append(units, "Seconds") {
			a.Unit = unit
			if got, want := run(a, every, same), run(a, func(u string) bool { return u == unit }, same); !slices.Equal(got, want) {
				t.Fatalf("%s: %v, where its samples alone make %v", unit, got, want)
			}
		}
	})
}

func TestUnitsOverTheWire(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, s *stand) {
		ctx := context.Background()
		s.set(minute(3))
		at := func(m float64, value float64, unit types.StandardUnit) types.MetricDatum {
			return types.MetricDatum{MetricName: aws.String("Errors"), Value: &value, Timestamp: aws.Time(minute(m)), Unit: unit}
		}
		_, err := s.cw.PutMetricData(ctx, &api.PutMetricDataInput{Namespace: aws.String("shop"), MetricData: []types.MetricDatum{
			at(0, 1, "Count"), at(0, 2, ""), at(0, 4, "Bytes"), at(0, 8, "None"), at(1, 16, "Bytes"), at(2, 32, "Count")}})
		require.NoError(t, err)

		statistics := func(unit types.StandardUnit) (all []string) {
			out, err := s.cw.GetMetricStatistics(ctx, &api.GetMetricStatisticsInput{Namespace: aws.String("shop"), MetricName: aws.String("Errors"), Unit: unit,
				StartTime: aws.Time(epoch), EndTime: aws.Time(minute(3)), Period: aws.Int32(60), Statistics: []types.Statistic{"Sum"}})
			require.NoError(t, err)
			for _, p := range out.Datapoints {
				all = append(all, fmt.Sprintf("%s %v %s", p.Timestamp.Sub(epoch), *p.Sum, p.Unit))
			}
			return all
		}
		assert.Equal(t, []string{"0s 1 Count", "0s 4 Bytes", "0s 10 None", "1m0s 16 Bytes", "2m0s 32 Count"}, statistics(""))
		assert.Equal(t, []string{"0s 10 None"}, statistics("None"))
		assert.Equal(t, []string{"0s 4 Bytes", "1m0s 16 Bytes"}, statistics("Bytes"))
		assert.Empty(t, statistics("Seconds"))

		query := func(id string, unit types.StandardUnit) types.MetricDataQuery {
			q := metric(id, "Errors", "Sum", 60)
			q.MetricStat.Unit = unit
			return q
		}
		out, err := s.cw.GetMetricData(ctx, &api.GetMetricDataInput{StartTime: aws.Time(epoch), EndTime: aws.Time(minute(3)), ScanBy: "TimestampAscending",
			MetricDataQueries: []types.MetricDataQuery{query("all", ""), query("bytes", "Bytes"), query("none", "None"), query("no", "Seconds"), expression("sum", "FILL(bytes,0)+all")}})
		require.NoError(t, err)
		values := map[string][]float64{}
		for _, r := range out.MetricDataResults {
			values[*r.Id] = r.Values
		}
		assert.Equal(t, map[string][]float64{"all": {15, 16, 32}, "bytes": {4, 16}, "none": {10}, "no": {}, "sum": {19, 32, 32}}, values)
		_, err = s.cw.GetMetricData(ctx, &api.GetMetricDataInput{StartTime: aws.Time(epoch), EndTime: aws.Time(minute(3)), MetricDataQueries: []types.MetricDataQuery{query("a", "Furlongs")}})
		refused(t, err, "ValidationError", 400, "MetricDataQueries.member.1.MetricStat.Unit")

		list, err := s.cw.ListMetrics(ctx, &api.ListMetricsInput{})
		require.NoError(t, err)
		assert.Len(t, list.Metrics, 1, "one metric, whatever the units")
	})
}

func TestAMetricFiltersUnitCounts(t *testing.T) {
	s := serve(t)
	ctx := context.Background()
	client := s.server.LogsClient()
	_, err := client.CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: aws.String("/shop")})
	require.NoError(t, err)
	for i, unit := range []logtypes.StandardUnit{"Count", ""} {
		_, err = client.PutMetricFilter(ctx, &logs.PutMetricFilterInput{LogGroupName: aws.String("/shop"), FilterName: aws.String(fmt.Sprint(i)), FilterPattern: aws.String("ERROR"),
			MetricTransformations: []logtypes.MetricTransformation{{MetricName: aws.String("Errors"), MetricNamespace: aws.String("shop"), MetricValue: aws.String(fmt.Sprint(20 - 15*i)),
				DefaultValue: aws.Float64(0), Unit: unit}}})
		require.NoError(t, err)
	}
	require.NoError(t, s.PutAlarms([]alarm.Alarm{in("Count"), in("None"), in("Seconds")}))
	s.log(t, 0, "ERROR")
	s.log(t, 1, "all is well")
	assert.Equal(t, []string{"1m0s in Count INSUFFICIENT_DATA -> ALARM", "1m0s in None INSUFFICIENT_DATA -> OK"}, brief(s.Evaluate(minute(1))))
	assert.Equal(t, []string{"2m0s in Count ALARM -> OK"}, brief(s.Evaluate(minute(2))))
}

// Units are told apart without end neither in memory nor in what is counted of it.
func TestOtherUnitsCountAndExpire(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return minute(5) }, Memory: 1 << 20})
	put := func(at time.Time, units ...types.StandardUnit) {
		t.Helper()
		server, err := s.Serve()
		require.NoError(t, err)
		defer func() { require.NoError(t, server.Close()) }()
		for _, unit := range units {
			_, err := server.MetricsClient().PutMetricData(context.Background(), &api.PutMetricDataInput{Namespace: aws.String("shop"),
				MetricData: []types.MetricDatum{{MetricName: aws.String("Errors"), Value: aws.Float64(1), Timestamp: &at, Unit: unit}}})
			require.NoError(t, err)
		}
	}
	all := types.StandardUnit("").Values()
	put(minute(0), all...)
	put(minute(1), all...)
	used, real := cloudwatch.Used(s)
	assert.Equal(t, real, used)
	assert.Greater(t, used, len(all)*512)
	assert.Equal(t, len(all), s.SeriesOf("Errors"))

	// What nobody publishes any more goes, in whatever order units came; here time is
	// told by a metric of the stage's own.
	clock := s.Series("shop", "Clock")
	held := s.SeriesIn(string(all[3]), "shop", "Errors")
	for day := range 17 {
		clock.AddValue(minute(float64(day)*24*60), 1, 1)
		s.SeriesIn(string(all[2]), "shop", "Errors").AddValue(minute(float64(day)*24*60), 1, 1)
	}
	assert.Equal(t, 3, s.SeriesOf("Errors"), "the head, the one that is still fed, and the one that is held")
	used, real = cloudwatch.Used(s)
	assert.Equal(t, real, used)
	held.AddValue(minute(17*24*60), 1, 1)
	stat, err := alarm.ParseStatistic("Sum")
	require.NoError(t, err)
	assert.Equal(t, 1.0, cloudwatch.Point(held, stat, minute(17*24*60).Unix(), minute(18*24*60).Unix()).Value)
}

// A metric that an alarm looked at, and that nobody ever published, goes with the alarm.
func TestAMetricWithoutDataGoes(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	clock := s.Series("shop", "Clock")
	clock.AddValue(epoch, 1, 1)
	require.NoError(t, s.PutAlarms([]alarm.Alarm{in("Count")}))
	clock.AddValue(minute(120), 1, 1)
	assert.Equal(t, 1, s.SeriesOf("Errors"))
	require.NoError(t, s.DeleteAlarms("in Count"))
	clock.AddValue(minute(240), 1, 1)
	assert.Zero(t, s.SeriesOf("Errors"))
	used, real := cloudwatch.Used(s)
	assert.Equal(t, real, used)
}

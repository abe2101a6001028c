package cloudwatch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// stand is a served store with a clock that the test moves.
type stand struct {
	*cloudwatch.Store
	server *cloudwatch.Server
	cw     *api.Client
	mu     sync.Mutex
	now    time.Time
}

func serve(t *testing.T) *stand {
	s := &stand{now: epoch}
	s.Store = cloudwatch.NewStore(cloudwatch.Options{Now: s.time})
	var err error
	s.server, err = s.Serve()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.server.Close()) })
	s.cw = s.server.MetricsClient()
	return s
}

func (s *stand) time() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stand) set(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = at
}

func dims(pairs ...string) []types.Dimension {
	var all []types.Dimension
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, types.Dimension{Name: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
	}
	return all
}

// wireAlarms puts the alarms of the fixtures through PutMetricAlarm.
func wireAlarms(t *testing.T, cw *api.Client, alarms []alarm.Alarm) {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	number := func(n int) *int32 {
		if n == 0 {
			return nil
		}
		return aws.Int32(int32(n))
	}
	dimensions := func(all []alarm.Dimension) (out []types.Dimension) {
		for _, d := range all {
			out = append(out, dims(d.Name, d.Value)...)
		}
		return out
	}
	for _, a := range alarms {
		in := &api.PutMetricAlarmInput{AlarmName: &a.AlarmName, AlarmDescription: optional(a.AlarmDescription), Namespace: optional(a.Namespace), MetricName: optional(a.MetricName),
			Dimensions: dimensions(a.Dimensions), Statistic: types.Statistic(a.Statistic), ExtendedStatistic: optional(a.ExtendedStatistic), Period: number(a.Period),
			EvaluationPeriods: number(a.EvaluationPeriods), DatapointsToAlarm: number(a.DatapointsToAlarm), Threshold: &a.Threshold,
			ComparisonOperator: types.ComparisonOperator(a.ComparisonOperator), TreatMissingData: optional(a.TreatMissingData),
			AlarmActions: a.AlarmActions, OKActions: a.OKActions, ActionsEnabled: &a.ActionsEnabled}
		for _, q := range a.Metrics {
			out := types.MetricDataQuery{Id: aws.String(q.Id), Expression: optional(q.Expression), ReturnData: aws.Bool(q.ReturnData)}
			if m := q.MetricStat; m != nil {
				out.MetricStat = &types.MetricStat{Period: number(m.Period), Stat: &m.Stat,
					Metric: &types.Metric{Namespace: &m.Metric.Namespace, MetricName: &m.Metric.MetricName, Dimensions: dimensions(m.Metric.Dimensions)}}
			}
			in.Metrics = append(in.Metrics, out)
		}
		_, err := cw.PutMetricAlarm(context.Background(), in)
		require.NoError(t, err)
	}
}

// The same data through Series and through the SDK makes the same transitions, to
// the last word of their reasons.
func TestFastPathAndWireAgree(t *testing.T) {
	ctx := context.Background()
	alarms, err := alarm.ParseFile("../../fixtures/alarms.json")
	require.NoError(t, err)
	fast := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, fast.PutAlarms(alarms))
	wire := serve(t)
	wireAlarms(t, wire.cw, alarms)

	h := newHour(t)
	var made, overWire []cloudwatch.Transition
	for m := range 40 {
		var data []types.MetricDatum
		for i, metric := range h.metrics {
			var set alarm.Distribution
			bad := m >= 8 && m < 15
			switch {
			case metric.MetricName == "TargetResponseTime":
				for k := range 20 {
					v := 0.01 * float64(k+1)
					if bad {
						v *= 10
					}
					set.Add(v, float64(1+k))
				}
			case strings.Contains(metric.MetricName, "5XX"):
				if m < 5 || m > 30 { // no datum at all
					continue
				}
				n := 1.0
				if bad {
					n = 100
				}
				set.Add(n, 1)
			case m%11 == 10: // silent for a minute
				continue
			default:
				set.Add(float64(1000+i), 1)
			}
			fast.Series(metric.Namespace, metric.MetricName, metric.Dimensions...).Add(minute(float64(m)), &set)

			d := types.MetricDatum{MetricName: aws.String(metric.MetricName), Timestamp: aws.Time(minute(float64(m) + 0.3))}
			for _, dim := range metric.Dimensions {
				d.Dimensions = append(d.Dimensions, dims(dim.Name, dim.Value)...)
			}
			slices.Reverse(d.Dimensions)
			for _, v := range set.Values {
				d.Values, d.Counts = append(d.Values, v.Value), append(d.Counts, v.Count)
			}
			if len(set.Values) == 1 && i%2 == 0 { // another way to say it
				d.Values, d.Counts, d.Value = nil, nil, aws.Float64(set.Values[0].Value)
			}
			if len(set.Values) == 1 && i%3 == 0 && d.Value == nil {
				d.Values, d.Counts = nil, nil
				d.StatisticValues = &types.StatisticSet{SampleCount: aws.Float64(set.Count), Sum: aws.Float64(set.Sum), Minimum: aws.Float64(set.Min), Maximum: aws.Float64(set.Max)}
			}
			data = append(data, d)
		}
		wire.set(minute(float64(m) + 0.9))
		_, err := wire.cw.PutMetricData(ctx, &api.PutMetricDataInput{Namespace: aws.String("AWS/ApplicationELB"), MetricData: data})
		require.NoError(t, err)
		made = append(made, fast.Evaluate(minute(float64(m)+1))...)
		overWire = append(overWire, wire.Evaluate(minute(float64(m)+1))...)
	}
	assert.Equal(t, made, overWire)
	assert.Contains(t, strings.Join(brief(made), "\n"), "shop-5xx-rate OK -> ALARM")
	assert.Contains(t, strings.Join(brief(made), "\n"), "shop-p99-latency OK -> ALARM")
	assert.Contains(t, strings.Join(brief(made), "\n"), "shop-5xx-rate ALARM -> OK")

	rate, err := wire.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{AlarmNames: []string{"shop-5xx-rate"}})
	require.NoError(t, err)
	require.Len(t, rate.MetricAlarms, 1)
	require.Len(t, rate.MetricAlarms[0].Metrics, 4)
	assert.Equal(t, "100*(FILL(target5xx,0)+FILL(elb5xx,0))/(FILL(requests,0)+FILL(elb5xx,0))", *rate.MetricAlarms[0].Metrics[0].Expression)
	requests := rate.MetricAlarms[0].Metrics[3]
	assert.False(t, *requests.ReturnData)
	assert.Equal(t, "RequestCount", *requests.MetricStat.Metric.MetricName)
	assert.Equal(t, "LoadBalancer", *requests.MetricStat.Metric.Dimensions[0].Name)
	assert.EqualValues(t, 60, *requests.MetricStat.Period)

	// What was put is what is kept, but for what the server adds.
	described := map[string]alarm.Alarm{}
	for _, status := range wire.Alarms() {
		a := *status.Alarm
		described[a.AlarmName] = a
	}
	for _, a := range alarms {
		got := described[a.AlarmName]
		for _, same := range []*alarm.Alarm{&a, &got} {
			same.AlarmArn, same.StateValue, same.StateReason, same.Line = "", 0, "", 0
			same.InsufficientDataActions, same.Dimensions = nil, slices.Clip(append([]alarm.Dimension{}, same.Dimensions...))
			for i := range same.Metrics {
				same.Metrics[i].Label = ""
			}
		}
		assert.Equal(t, a, got)
	}
}

func TestADatumWithoutATimeGetsTheStages(t *testing.T) {
	s := serve(t)
	wireAlarms(t, s.cw, []alarm.Alarm{above("errors", 60, 1)})
	s.set(minute(7.5))
	_, err := s.cw.PutMetricData(context.Background(), &api.PutMetricDataInput{Namespace: aws.String("shop"),
		MetricData: []types.MetricDatum{{MetricName: aws.String("Errors"), Value: aws.Float64(11)}}})
	require.NoError(t, err)
	s.Evaluate(minute(7))
	assert.Equal(t, []string{"8m0s errors INSUFFICIENT_DATA -> ALARM"}, brief(s.Evaluate(minute(8))))
}

func TestHighResolutionOverTheWire(t *testing.T) {
	s := serve(t)
	wireAlarms(t, s.cw, []alarm.Alarm{above("fast", 10, 1)})
	put := func(at time.Time, resolution int32) {
		_, err := s.cw.PutMetricData(context.Background(), &api.PutMetricDataInput{Namespace: aws.String("shop"),
			MetricData: []types.MetricDatum{{MetricName: aws.String("Errors"), Value: aws.Float64(11), Timestamp: aws.Time(at), StorageResolution: aws.Int32(resolution)}}})
		require.NoError(t, err)
	}
	s.Evaluate(epoch.Add(40 * time.Second))
	put(epoch.Add(45*time.Second), 60) // goes to the beginning of the minute
	assert.Empty(t, s.Evaluate(epoch.Add(50*time.Second)))
	put(epoch.Add(55*time.Second), 1)
	assert.Equal(t, []string{"1m0s fast INSUFFICIENT_DATA -> ALARM"}, brief(s.Evaluate(epoch.Add(60*time.Second))))
}

// More than 10 KiB goes out packed by gzip, as the SDK does by itself.
func TestAPackedRequest(t *testing.T) {
	s := serve(t)
	var packed bool
	spy := api.New(api.Options{BaseEndpoint: aws.String(s.server.URL), Region: "eu-west-1", Credentials: aws.AnonymousCredentials{},
		HTTPClient: roundTrip(func(r *http.Request) (*http.Response, error) {
			packed = r.Header.Get("Content-Encoding") == "gzip"
			return http.DefaultClient.Do(r)
		})})
	defer http.DefaultClient.CloseIdleConnections()
	var data []types.MetricDatum
	for i := range 200 {
		data = append(data, types.MetricDatum{MetricName: aws.String("Errors"), Value: aws.Float64(1), Dimensions: dims("n", fmt.Sprint(i), "long", strings.Repeat("x", 100))})
	}
	_, err := spy.PutMetricData(context.Background(), &api.PutMetricDataInput{Namespace: aws.String("shop"), MetricData: data})
	require.NoError(t, err)
	assert.True(t, packed)
	out, err := s.cw.ListMetrics(context.Background(), &api.ListMetricsInput{Namespace: aws.String("shop"), Dimensions: []types.DimensionFilter{{Name: aws.String("n"), Value: aws.String("17")}}})
	require.NoError(t, err)
	assert.Len(t, out.Metrics, 1)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestWhatWasPutCanBeRead(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	for m := range 10 {
		s.set(minute(float64(m) + 0.5))
		_, err := s.cw.PutMetricData(ctx, &api.PutMetricDataInput{Namespace: aws.String("shop"), MetricData: []types.MetricDatum{
			{MetricName: aws.String("Requests"), Dimensions: dims("v", "1"), Values: []float64{1, 2, float64(m)}, Counts: []float64{2, 1, 1}},
			{MetricName: aws.String("Errors"), Dimensions: dims("v", "1"), Value: aws.Float64(float64(m))},
		}})
		require.NoError(t, err)
	}
	stats, err := s.cw.GetMetricStatistics(ctx, &api.GetMetricStatisticsInput{Namespace: aws.String("shop"), MetricName: aws.String("Requests"), Dimensions: dims("v", "1"),
		StartTime: aws.Time(minute(5)), EndTime: aws.Time(minute(12)), Period: aws.Int32(120), Statistics: []types.Statistic{"Sum", "SampleCount", "Minimum", "Maximum", "Average"}})
	require.NoError(t, err)
	assert.Equal(t, "Requests", *stats.Label)
	require.Len(t, stats.Datapoints, 3)
	p := stats.Datapoints[0] // minutes 5 and 6
	assert.Equal(t, minute(5), p.Timestamp.UTC())
	assert.Equal(t, []float64{2*4 + 5 + 6, 8, 1, 6, 19.0 / 8}, []float64{*p.Sum, *p.SampleCount, *p.Minimum, *p.Maximum, *p.Average})
	stats, err = s.cw.GetMetricStatistics(ctx, &api.GetMetricStatisticsInput{Namespace: aws.String("shop"), MetricName: aws.String("Requests"), Dimensions: dims("v", "1"),
		StartTime: aws.Time(minute(5)), EndTime: aws.Time(minute(12)), Period: aws.Int32(120), ExtendedStatistics: []string{"p50"}})
	require.NoError(t, err)
	require.Len(t, stats.Datapoints, 3)
	assert.Equal(t, map[string]float64{"p50": 1}, stats.Datapoints[0].ExtendedStatistics)

	stat := func(id, name, stat string, shown bool) types.MetricDataQuery {
		return types.MetricDataQuery{Id: &id, ReturnData: &shown, MetricStat: &types.MetricStat{Period: aws.Int32(60), Stat: &stat,
			Metric: &types.Metric{Namespace: aws.String("shop"), MetricName: &name, Dimensions: dims("v", "1")}}}
	}
	data, err := s.cw.GetMetricData(ctx, &api.GetMetricDataInput{StartTime: aws.Time(minute(8)), EndTime: aws.Time(minute(11)), MetricDataQueries: []types.MetricDataQuery{
		stat("e", "Errors", "Sum", true), stat("n", "Requests", "SampleCount", false),
		{Id: aws.String("rate"), Expression: aws.String("100*e/n"), Label: aws.String("error rate")},
	}})
	require.NoError(t, err)
	require.Len(t, data.MetricDataResults, 2)
	assert.Equal(t, []float64{9, 8}, data.MetricDataResults[0].Values, "newest first")
	rate := data.MetricDataResults[1]
	assert.Equal(t, "error rate", *rate.Label)
	assert.Equal(t, []float64{225, 200}, rate.Values)
	assert.Equal(t, minute(9), rate.Timestamps[0].UTC())
	data, err = s.cw.GetMetricData(ctx, &api.GetMetricDataInput{StartTime: aws.Time(minute(8)), EndTime: aws.Time(minute(11)), ScanBy: types.ScanByTimestampAscending,
		MetricDataQueries: []types.MetricDataQuery{stat("nobody", "Nothing", "p99", true), stat("e", "Errors", "Sum", true)}})
	require.NoError(t, err)
	assert.Empty(t, data.MetricDataResults[0].Values)
	assert.Equal(t, []float64{8, 9}, data.MetricDataResults[1].Values)

	list, err := s.cw.ListMetrics(ctx, &api.ListMetricsInput{})
	require.NoError(t, err)
	assert.Len(t, list.Metrics, 2, "reading makes no metric")
	list, err = s.cw.ListMetrics(ctx, &api.ListMetricsInput{MetricName: aws.String("Errors"), Dimensions: []types.DimensionFilter{{Name: aws.String("v")}}})
	require.NoError(t, err)
	assert.Len(t, list.Metrics, 1)
	list, err = s.cw.ListMetrics(ctx, &api.ListMetricsInput{Namespace: aws.String("other")})
	require.NoError(t, err)
	assert.Empty(t, list.Metrics)
}

func TestListMetricsByPages(t *testing.T) {
	s := serve(t)
	for i := range 1203 {
		s.Series("shop", fmt.Sprintf("m%04d", i)).AddValue(epoch, 1, 1)
	}
	var names []string
	pages := api.NewListMetricsPaginator(s.cw, &api.ListMetricsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		require.NoError(t, err)
		for _, m := range page.Metrics {
			names = append(names, *m.MetricName)
		}
	}
	assert.Len(t, names, 1203)
	assert.True(t, slices.IsSorted(names))
}

func TestAlarmsOverTheWire(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	s.set(minute(2))
	wireAlarms(t, s.cw, []alarm.Alarm{above("b-errors", 60, 1), above("a-errors", 300, 2), above("c", 10, 1)})
	s.Series("shop", "Errors").AddValue(minute(2), 50, 1)
	s.Evaluate(minute(3))

	all, err := s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{})
	require.NoError(t, err)
	require.Len(t, all.MetricAlarms, 3)
	b := all.MetricAlarms[1]
	assert.Equal(t, "b-errors", *b.AlarmName)
	assert.Equal(t, types.StateValueAlarm, b.StateValue)
	assert.Equal(t, minute(3), b.StateUpdatedTimestamp.UTC())
	assert.Equal(t, minute(2), b.AlarmConfigurationUpdatedTimestamp.UTC())
	assert.Contains(t, *b.StateReason, "Threshold Crossed: 1 out of the last 1 datapoints")
	assert.Equal(t, []string{"arn:alarm"}, b.AlarmActions)
	assert.True(t, *b.ActionsEnabled)
	assert.Equal(t, "arn:aws:cloudwatch:us-east-1:000000000000:alarm:b-errors", *b.AlarmArn)

	names := func(in api.DescribeAlarmsInput) (all []string) {
		pages := api.NewDescribeAlarmsPaginator(s.cw, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			require.NoError(t, err)
			for _, a := range page.MetricAlarms {
				all = append(all, *a.AlarmName)
			}
		}
		return all
	}
	assert.Equal(t, []string{"a-errors", "b-errors", "c"}, names(api.DescribeAlarmsInput{MaxRecords: aws.Int32(1)}))
	assert.Equal(t, []string{"b-errors"}, names(api.DescribeAlarmsInput{AlarmNames: []string{"b-errors", "x"}}))
	assert.Equal(t, []string{"a-errors"}, names(api.DescribeAlarmsInput{AlarmNamePrefix: aws.String("a")}))
	assert.Equal(t, []string{"b-errors"}, names(api.DescribeAlarmsInput{StateValue: types.StateValueAlarm, MaxRecords: aws.Int32(1)}))
	assert.Equal(t, []string{"a-errors", "b-errors", "c"}, names(api.DescribeAlarmsInput{ActionPrefix: aws.String("arn:")}))
	assert.Empty(t, names(api.DescribeAlarmsInput{ActionPrefix: aws.String("other:")}))
	assert.Empty(t, names(api.DescribeAlarmsInput{AlarmTypes: []types.AlarmType{types.AlarmTypeCompositeAlarm}}))

	_, err = s.cw.SetAlarmState(ctx, &api.SetAlarmStateInput{AlarmName: aws.String("b-errors"), StateValue: types.StateValueOk, StateReason: aws.String("a drill")})
	require.NoError(t, err)
	s.Evaluate(minute(4)) // the point of minute 2 still counts
	history, err := s.cw.DescribeAlarmHistory(ctx, &api.DescribeAlarmHistoryInput{AlarmName: aws.String("b-errors"), MaxRecords: aws.Int32(2), HistoryItemType: "StateUpdate"})
	require.NoError(t, err)
	require.Len(t, history.AlarmHistoryItems, 2)
	assert.Equal(t, "Alarm updated from OK to ALARM", *history.AlarmHistoryItems[0].HistorySummary)
	assert.Contains(t, *history.AlarmHistoryItems[1].HistoryData, `"stateReason":"a drill"`)
	history, err = s.cw.DescribeAlarmHistory(ctx, &api.DescribeAlarmHistoryInput{AlarmName: aws.String("b-errors"), NextToken: history.NextToken, HistoryItemType: "StateUpdate"})
	require.NoError(t, err)
	require.Len(t, history.AlarmHistoryItems, 1)
	assert.Equal(t, minute(3), history.AlarmHistoryItems[0].Timestamp.UTC())

	_, err = s.cw.DeleteAlarms(ctx, &api.DeleteAlarmsInput{AlarmNames: []string{"a-errors", "c"}})
	require.NoError(t, err)
	assert.Equal(t, []string{"b-errors"}, names(api.DescribeAlarmsInput{}))
}

func TestWrongCallsAreRefusedAsByAWS(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	put := func(change func(*types.MetricDatum)) error {
		d := types.MetricDatum{MetricName: aws.String("Errors"), Value: aws.Float64(1)}
		change(&d)
		_, err := s.cw.PutMetricData(ctx, &api.PutMetricDataInput{Namespace: aws.String("shop"), MetricData: []types.MetricDatum{
			{MetricName: aws.String("Good"), Value: aws.Float64(1)}, d}})
		return err
	}
	putAlarm := func(change func(*api.PutMetricAlarmInput)) error {
		in := &api.PutMetricAlarmInput{AlarmName: aws.String("a"), Namespace: aws.String("shop"), MetricName: aws.String("Errors"), Statistic: "Sum", Period: aws.Int32(60),
			EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: "GreaterThanThreshold"}
		change(in)
		_, err := s.cw.PutMetricAlarm(ctx, in)
		return err
	}
	query := func(change func(*api.GetMetricDataInput)) error {
		in := &api.GetMetricDataInput{StartTime: aws.Time(epoch), EndTime: aws.Time(minute(5)), MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("a"),
			MetricStat: &types.MetricStat{Period: aws.Int32(60), Stat: aws.String("Sum"), Metric: &types.Metric{Namespace: aws.String("shop"), MetricName: aws.String("Errors")}}}}}
		change(in)
		_, err := s.cw.GetMetricData(ctx, in)
		return err
	}
	several := func(n int) []float64 { return make([]float64, n) }
	for name, c := range map[string]struct {
		err        error
		code, text string
	}{
		"no value":       {put(func(d *types.MetricDatum) { d.Value = nil }), "MissingParameter", "MetricData.member.2.Value is required"},
		"two values":     {put(func(d *types.MetricDatum) { d.Values = several(1) }), "InvalidParameterCombination", "give one of them"},
		"NaN":            {put(func(d *types.MetricDatum) { d.Value = aws.Float64(math.NaN()) }), "InvalidParameterValue", "MetricData.member.2.Value is NaN"},
		"infinite":       {put(func(d *types.MetricDatum) { d.Value = aws.Float64(math.Inf(-1)) }), "InvalidParameterValue", "-2^360 to 2^360"},
		"151 values":     {put(func(d *types.MetricDatum) { d.Value, d.Values = nil, several(151) }), "InvalidParameterValue", "at most 150"},
		"counts":         {put(func(d *types.MetricDatum) { d.Value, d.Values, d.Counts = nil, several(2), several(3) }), "InvalidParameterValue", "want as many"},
		"negative count": {put(func(d *types.MetricDatum) { d.Value, d.Values, d.Counts = nil, several(1), []float64{-1} }), "InvalidParameterValue", "no negative"},
		"set": {put(func(d *types.MetricDatum) {
			d.Value, d.StatisticValues = nil, &types.StatisticSet{SampleCount: aws.Float64(-1), Sum: aws.Float64(1), Minimum: aws.Float64(1), Maximum: aws.Float64(1)}
		}), "InvalidParameterValue", "must not be negative"},
		"past":        {put(func(d *types.MetricDatum) { d.Timestamp = aws.Time(epoch.Add(-15 * 24 * time.Hour)) }), "InvalidParameterValue", "more than two weeks ago"},
		"future":      {put(func(d *types.MetricDatum) { d.Timestamp = aws.Time(epoch.Add(3 * time.Hour)) }), "InvalidParameterValue", "more than two hours from now"},
		"before 1970": {put(func(d *types.MetricDatum) { d.Timestamp = aws.Time(time.Unix(-1, 0)) }), "InvalidParameterValue", "1970"},
		"unit":        {put(func(d *types.MetricDatum) { d.Unit = "Furlongs" }), "InvalidParameterValue", `"Furlongs", which is no unit`},
		"resolution":  {put(func(d *types.MetricDatum) { d.StorageResolution = aws.Int32(5) }), "InvalidParameterValue", "want 1 or 60 seconds"},
		"31 dimensions": {put(func(d *types.MetricDatum) {
			for i := range 31 {
				d.Dimensions = append(d.Dimensions, dims(fmt.Sprint(i), "x")...)
			}
		}), "InvalidParameterValue", "at most 30"},
		"empty dimension": {put(func(d *types.MetricDatum) { d.Dimensions = dims("a", "") }), "MissingParameter", "Dimensions.member.1.Value"},
		"same dimension":  {put(func(d *types.MetricDatum) { d.Dimensions = dims("a", "1", "a", "2") }), "InvalidParameterValue", "given twice"},
		"metric name":     {put(func(d *types.MetricDatum) { d.MetricName = aws.String("é\x00") }), "InvalidParameterValue", "printable ASCII"},
		"alarm period":    {putAlarm(func(in *api.PutMetricAlarmInput) { in.Period = aws.Int32(61) }), "ValidationError", "Period: is 61 seconds"},
		"alarm threshold": {putAlarm(func(in *api.PutMetricAlarmInput) { in.Threshold = nil }), "MissingParameter", "Threshold"},
		"alarm band":      {putAlarm(func(in *api.PutMetricAlarmInput) { in.Threshold, in.ThresholdMetricId = nil, aws.String("b") }), "ValidationError", "anomaly detection bands"},
		"alarm PromQL": {putAlarm(func(in *api.PutMetricAlarmInput) {
			in.EvaluationCriteria = &types.EvaluationCriteriaMemberPromQLCriteria{Value: types.AlarmPromQLCriteria{Query: aws.String("up")}}
		}), "SerializationException", "EvaluationCriteria: is not known to this CloudWatch"},
		"alarm expression": {putAlarm(func(in *api.PutMetricAlarmInput) {
			in.MetricName, in.Namespace, in.Statistic, in.Period, in.Metrics = nil, nil, "", nil, []types.MetricDataQuery{{Id: aws.String("e"), Expression: aws.String("1+")}}
		}), "ValidationError", "Metrics[0].Expression"},
		"delete": {func() error {
			_, err := s.cw.DeleteAlarms(ctx, &api.DeleteAlarmsInput{AlarmNames: []string{"nobody"}})
			return err
		}(), "ResourceNotFound", `no alarm "nobody"`},
		"set state": {func() error {
			_, err := s.cw.SetAlarmState(ctx, &api.SetAlarmStateInput{AlarmName: aws.String("nobody"), StateReason: aws.String(""), StateValue: "OK"})
			return err
		}(), "ResourceNotFound", `no alarm "nobody"`},
		"wrong state": {func() error {
			_, err := s.cw.SetAlarmState(ctx, &api.SetAlarmStateInput{AlarmName: aws.String("nobody"), StateReason: aws.String(""), StateValue: "FINE"})
			return err
		}(), "InvalidParameterValue", `unknown alarm state "FINE"`},
		"records": {func() error {
			_, err := s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{MaxRecords: aws.Int32(101)})
			return err
		}(), "InvalidParameterValue", "want 1 to 100"},
		"token": {func() error {
			_, err := s.cw.DescribeAlarmHistory(ctx, &api.DescribeAlarmHistoryInput{NextToken: aws.String("x")})
			return err
		}(), "InvalidNextToken", "NextToken"},
		"query times":    {query(func(in *api.GetMetricDataInput) { in.EndTime = in.StartTime }), "ValidationError", "StartTime must not equal"},
		"query backward": {query(func(in *api.GetMetricDataInput) { in.EndTime = aws.Time(epoch.Add(-time.Hour)) }), "ValidationError", "StartTime must be less than"},
		"query math": {query(func(in *api.GetMetricDataInput) {
			in.MetricDataQueries[0] = types.MetricDataQuery{Id: aws.String("a"), Expression: aws.String("b*2")}
		}), "ValidationError", "at least one query needs a MetricStat"},
		"statistics": {func() error {
			_, err := s.cw.GetMetricStatistics(ctx, &api.GetMetricStatisticsInput{Namespace: aws.String("shop"), MetricName: aws.String("Errors"), Period: aws.Int32(60), StartTime: aws.Time(epoch), EndTime: aws.Time(epoch.AddDate(0, 0, 2)), Statistics: []types.Statistic{"Sum"}})
			return err
		}(), "InvalidParameterCombination", "exceeds the limit of 1440"},
		"unknown": {func() error {
			_, err := s.cw.ListMetricStreams(ctx, &api.ListMetricStreamsInput{})
			return err
		}(), "UnknownOperationException", `"ListMetricStreams" of CloudWatch is not part`},
		"too large": {func() error {
			_, err := s.cw.PutMetricData(ctx, &api.PutMetricDataInput{Namespace: aws.String("shop"), MetricData: []types.MetricDatum{{MetricName: aws.String(strings.Repeat("x", 2<<20)), Value: aws.Float64(1)}}})
			return err
		}(), "RequestEntityTooLarge", "larger than 1048576 bytes"},
	} {
		var e smithy.APIError
		if assert.ErrorAs(t, c.err, &e, name) {
			assert.Equal(t, c.code, e.ErrorCode(), name)
			assert.Contains(t, e.ErrorMessage(), c.text, name)
			assert.NotEqual(t, smithy.FaultServer, e.ErrorFault(), name)
		}
	}
	var typed *types.InvalidParameterValueException
	assert.ErrorAs(t, put(func(d *types.MetricDatum) { d.Unit = "Furlongs" }), &typed, "the SDK's own type")
	list, err := s.cw.ListMetrics(ctx, &api.ListMetricsInput{})
	require.NoError(t, err)
	assert.Empty(t, list.Metrics, "nothing of a refused call is taken")
}

func TestCallsThatNoSDKMakes(t *testing.T) {
	s := serve(t)
	defer http.DefaultClient.CloseIdleConnections()
	send := func(method, path, body string, headers ...string) (int, string) {
		r, err := http.NewRequest(method, s.server.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, string(text)
	}
	const operation = "/service/GraniteServiceVersion20100801/operation/"
	for _, c := range []struct {
		method, path, body string
		headers            []string
		status             int
		text               string
	}{
		{"POST", "/", "Action=PutMetricData&Version=2010-08-01", nil, 404, "is no call that this CloudWatch understands"},
		{"GET", "/", "", nil, 404, "UnknownOperationException"},
		{"GET", operation + "ListMetrics", "", nil, 404, "UnknownOperationException"},
		{"POST", operation + "NoSuchThing", "", nil, 404, `\"NoSuchThing\"`},
		{"POST", operation + "ListMetrics", "\xff", nil, 400, "SerializationException"},
		{"POST", operation + "ListMetrics", "\x81\x01", nil, 400, "expected map for struct"},
		{"POST", operation + "ListMetrics", "\xa1\x69Namespace\x01", nil, 400, "Namespace: expected string"},
		{"POST", operation + "ListMetrics", strings.Repeat("\x81", 1000), nil, 400, "max nesting depth"},
		{"POST", operation + "ListMetrics", "no gzip", []string{"Content-Encoding", "gzip"}, 400, "is not gzip"},
		{"POST", operation + "ListMetrics", "", []string{"Content-Encoding", "br"}, 400, `content encoding`},
		{"POST", operation + "ListMetrics", "", nil, 200, "Metrics"},
		{"POST", operation + "PutMetricData", "", nil, 400, "MissingRequiredParameterException"},
		{"POST", "/", "{", []string{"X-Amz-Target", "Logs_20140328.PutLogEvents"}, 400, "SerializationException"},
		{"POST", "/", "{}", []string{"X-Amz-Target", "Logs_20140328.StartQuery"}, 404, `\"StartQuery\"`},
	} {
		status, text := send(c.method, c.path, c.body, c.headers...)
		assert.Equal(t, c.status, status, c.path+c.body)
		assert.Contains(t, text, strings.ReplaceAll(c.text, `\"`, quote(text)), c.path+c.body)
	}
	// A bomb: 8 MiB of nothing in 8 KiB.
	status, text := send("POST", operation+"PutMetricData", zipped(t, make([]byte, 8<<20)), "Content-Encoding", "gzip")
	assert.Equal(t, http.StatusRequestEntityTooLarge, status)
	assert.Contains(t, text, "larger than 1048576 bytes")
}

// quote is how a double quote is written in an answer: JSON escapes it.
func quote(answer string) string {
	if strings.HasPrefix(answer, "{") {
		return `\"`
	}
	return `"`
}

// Publishers, readers and the evaluation at the same time.
func TestManyAtOnce(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	wireAlarms(t, s.cw, []alarm.Alarm{above("errors", 60, 1), above("more", 10, 3)})
	const rounds = 30
	var all sync.WaitGroup
	failed := make(chan error, 1000)
	for i := range 4 {
		all.Go(func() {
			h := s.Series("shop", "Errors")
			for n := range rounds {
				h.AddValue(minute(float64(n)), 1, 1)
				_, err := s.cw.PutMetricData(ctx, &api.PutMetricDataInput{Namespace: aws.String("shop"), MetricData: []types.MetricDatum{
					{MetricName: aws.String("Errors"), Value: aws.Float64(1), Timestamp: aws.Time(minute(float64(n)))},
					{MetricName: aws.String("Other"), Dimensions: dims("i", fmt.Sprint(i)), Value: aws.Float64(1)}}})
				failed <- err
			}
		})
	}
	all.Go(func() {
		for n := range rounds {
			s.set(minute(float64(n)))
			s.Evaluate(minute(float64(n)))
			_, err := s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{})
			failed <- err
			failed <- s.PutLogEvents("/shop", "a", []cloudwatch.LogEvent{{Time: minute(float64(n)), Message: "ERROR"}})
		}
	})
	all.Go(func() {
		for n := range rounds {
			failed <- s.PutMetricFilter(cloudwatch.MetricFilter{Name: fmt.Sprint(n % 3), LogGroup: "/shop", Pattern: "ERROR", Namespace: "shop", Metric: "Errors", Value: "1", Default: aws.Float64(0)})
			s.Missing("errors")
		}
	})
	all.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	out, err := s.cw.GetMetricStatistics(ctx, &api.GetMetricStatisticsInput{Namespace: aws.String("shop"), MetricName: aws.String("Errors"), Period: aws.Int32(3600),
		StartTime: aws.Time(epoch), EndTime: aws.Time(minute(60)), Statistics: []types.Statistic{"SampleCount"}})
	require.NoError(t, err)
	require.Len(t, out.Datapoints, 1)
	assert.GreaterOrEqual(t, *out.Datapoints[0].SampleCount, 8.0*rounds, "none of the samples is lost")
}

func TestACancelledCall(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.cw.ListMetrics(ctx, &api.ListMetricsInput{})
	assert.True(t, errors.Is(err, context.Canceled), "%v", err)
}

func TestAfterClose(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	server, err := s.Serve()
	require.NoError(t, err)
	_, err = server.MetricsClient().ListMetrics(context.Background(), &api.ListMetricsInput{})
	require.NoError(t, err)
	require.NoError(t, server.Close())
	_, err = server.MetricsClient().ListMetrics(context.Background(), &api.ListMetricsInput{})
	assert.ErrorContains(t, err, "connection refused")
	require.NoError(t, server.Close(), "a second time")
}

func TestCloseByManyAtOnce(t *testing.T) {
	server, err := cloudwatch.NewStore(cloudwatch.Options{}).Serve()
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { assert.NoError(t, server.Close()) })
	}
	all.Wait()
}

// The decoder meets anything and answers, and never with an error of the server.
func FuzzHandler(f *testing.F) {
	for _, name := range []string{"PutMetricData", "PutMetricAlarm", "GetMetricData", "DescribeAlarms", "SetAlarmState", "GetMetricStatistics", "ListMetrics", "DescribeAlarmHistory"} {
		f.Add(name, []byte("\xa2\x69Namespace\x64shop\x6aMetricData\x81\xa2\x6aMetricName\x61e\x65Value\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00"))
		f.Add(name, []byte("\xbf\x69StartTime\xc1\xfb\x41\xd9\x00\x00\x00\x00\x00\x00\x67EndTime\xc1\x1a\x69\x5b\x00\x00\xff"))
	}
	for _, name := range []string{"Logs.PutLogEvents", "Logs.PutMetricFilter", "Logs.FilterLogEvents", "Logs.GetLogEvents"} {
		f.Add(name, []byte(`{"logGroupName":"/shop","logStreamName":"a","filterName":"f","filterPattern":"{ $.a = 1 }","metricTransformations":[{"metricName":"m","metricNamespace":"n","metricValue":"$.a"}],"logEvents":[{"timestamp":1767603600000,"message":"{\"a\":1}"}],"nextToken":"f/1","limit":1}`))
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		s := cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return epoch }})
		require.NoError(t, s.PutLogEvents("/shop", "a", []cloudwatch.LogEvent{{Time: epoch, Message: "x"}}))
		r, err := http.NewRequest("POST", "/", bytes.NewReader(body))
		require.NoError(t, err)
		if logs, ok := strings.CutPrefix(name, "Logs."); ok {
			r.Header.Set("X-Amz-Target", "Logs_20140328."+logs)
		} else {
			r.URL.Path = "/service/GraniteServiceVersion20100801/operation/" + name
		}
		w := &answer{header: http.Header{}}
		s.Handler().ServeHTTP(w, r)
		require.Less(t, w.status, 500, "%s", w.body.String())
		require.GreaterOrEqual(t, w.status, 200)
		s.Evaluate(minute(1))
		s.Evaluate(minute(2))
	})
}

type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) WriteHeader(status int)      { a.status = status }

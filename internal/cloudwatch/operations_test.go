package cloudwatch_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// refused asserts that err is AWS's error with that code (in Query's words) and
// status, and that its message has text.
func refused(t *testing.T, err error, code string, status int, text string) {
	t.Helper()
	var e smithy.APIError
	if assert.ErrorAs(t, err, &e) {
		// The SDK's client for Query tells the name of the shape instead.
		shapes := map[string]string{"MissingParameter": "MissingRequiredParameterException", "InvalidParameterValue": "InvalidParameterValueException",
			"InvalidParameterCombination": "InvalidParameterCombinationException", "ValidationError": "ValidationException"}
		assert.Contains(t, []string{code, shapes[code]}, e.ErrorCode())
		assert.Contains(t, e.ErrorMessage(), text)
	}
	var response *smithyhttp.ResponseError
	if assert.ErrorAs(t, err, &response) {
		assert.Equal(t, status, response.HTTPStatusCode())
	}
}

func TestDashboards(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, s *stand) {
		ctx := context.Background()
		put := func(name, body string) (*api.PutDashboardOutput, error) {
			return s.cw.PutDashboard(ctx, &api.PutDashboardInput{DashboardName: &name, DashboardBody: &body})
		}
		s.set(minute(3))
		const body = `{"widgets": [{"type":"text","x":0,"y":0,"width":6,"height":2,"properties":{"markdown":"日本 <&>"}}]} `
		out, err := put("shop-b", body)
		require.NoError(t, err)
		assert.Empty(t, out.DashboardValidationMessages)
		got, err := s.cw.GetDashboard(ctx, &api.GetDashboardInput{DashboardName: aws.String("shop-b")})
		require.NoError(t, err)
		assert.Equal(t, []string{"shop-b", body, "arn:aws:cloudwatch::000000000000:dashboard/shop-b"}, []string{*got.DashboardName, *got.DashboardBody, *got.DashboardArn})
		_, err = put("shop-a", "{}")
		require.NoError(t, err)
		_, err = put("other", `{"widgets":[]}`)
		require.NoError(t, err)
		list, err := s.cw.ListDashboards(ctx, &api.ListDashboardsInput{DashboardNamePrefix: aws.String("shop-")})
		require.NoError(t, err)
		require.Len(t, list.DashboardEntries, 2)
		b := list.DashboardEntries[1]
		assert.Equal(t, "shop-b", *b.DashboardName)
		assert.EqualValues(t, len(body), *b.Size)
		assert.True(t, b.LastModified.Equal(minute(3)))

		_, err = put("bad", `{"widgets":[{"type":"text","properties":{}},{"width":"wide"}]}`)
		var typed *types.DashboardInvalidInputError
		require.ErrorAs(t, err, &typed)
		require.Len(t, typed.DashboardValidationMessages, 3)
		assert.Equal(t, []string{"/widgets/1", "Should have required property 'type'"}, []string{*typed.DashboardValidationMessages[0].DataPath, *typed.DashboardValidationMessages[0].Message})
		assert.Contains(t, typed.ErrorMessage(), "there are 3 validation errors")
		for _, body := range []string{"", "{", "[]", `{"widgets":{}}`, "7", `{"widgets":[` + strings.Repeat("{},", 500) + "{}]}"} {
			_, err = put("bad", body)
			require.ErrorAs(t, err, &typed, body)
			assert.NotEmpty(t, typed.DashboardValidationMessages, body)
		}
		_, err = put("no spaces", "{}")
		require.ErrorAs(t, err, &typed)
		_, err = put(strings.Repeat("x", 256), "{}")
		require.ErrorAs(t, err, &typed)

		_, err = s.cw.DeleteDashboards(ctx, &api.DeleteDashboardsInput{DashboardNames: []string{"shop-a", "nobody", "other"}})
		noDashboard := func(err error, name string) {
			var typed *types.DashboardNotFoundError
			var other *types.ResourceNotFound // has the same code in Query
			require.True(t, errors.As(err, &typed) || errors.As(err, &other), "%v", err)
			require.ErrorContains(t, err, "Dashboard "+name+" does not exist")
			var response *smithyhttp.ResponseError
			require.ErrorAs(t, err, &response)
			assert.Equal(t, http.StatusNotFound, response.HTTPStatusCode())
		}
		noDashboard(err, "nobody")
		list, err = s.cw.ListDashboards(ctx, &api.ListDashboardsInput{})
		require.NoError(t, err)
		assert.Len(t, list.DashboardEntries, 1, "the others are deleted all the same")
		_, err = s.cw.GetDashboard(ctx, &api.GetDashboardInput{DashboardName: aws.String("shop-a")})
		noDashboard(err, "shop-a")
	})
}

func TestListDashboardsByPages(t *testing.T) {
	s := serve(t)
	ctx := context.Background()
	for i := range 1001 {
		_, err := s.cw.PutDashboard(ctx, &api.PutDashboardInput{DashboardName: aws.String(fmt.Sprintf("d%04d", i)), DashboardBody: aws.String("{}")})
		require.NoError(t, err)
	}
	first, err := s.cw.ListDashboards(ctx, &api.ListDashboardsInput{})
	require.NoError(t, err)
	assert.Len(t, first.DashboardEntries, 1000)
	second, err := s.cw.ListDashboards(ctx, &api.ListDashboardsInput{NextToken: first.NextToken})
	require.NoError(t, err)
	require.Len(t, second.DashboardEntries, 1)
	assert.Equal(t, "d1000", *second.DashboardEntries[0].DashboardName)
	assert.Nil(t, second.NextToken)
}

func TestTags(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, s *stand) {
		ctx := context.Background()
		tags := func(pairs ...string) (all []types.Tag) {
			for i := 0; i < len(pairs); i += 2 {
				all = append(all, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
			}
			return all
		}
		in := &api.PutMetricAlarmInput{AlarmName: aws.String("a:b"), Namespace: aws.String("shop"), MetricName: aws.String("Errors"), Statistic: "Sum", Period: aws.Int32(60),
			EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: "GreaterThanThreshold", Tags: tags("team", "shop", "stage", "")}
		_, err := s.cw.PutMetricAlarm(ctx, in)
		require.NoError(t, err)
		arn := aws.String("arn:aws:cloudwatch:us-east-1:000000000000:alarm:a:b")
		list := func() []types.Tag {
			out, err := s.cw.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceARN: arn})
			require.NoError(t, err)
			return out.Tags
		}
		assert.Equal(t, tags("stage", "", "team", "shop"), list())
		in.Tags = tags("other", "x")
		_, err = s.cw.PutMetricAlarm(ctx, in)
		require.NoError(t, err)
		assert.Equal(t, tags("stage", "", "team", "shop"), list(), "tags of an alarm put again are left as they are")
		_, err = s.cw.TagResource(ctx, &api.TagResourceInput{ResourceARN: arn, Tags: tags("team", "店", "owner", "a b@c.d/e=f+g-h_i:j")})
		require.NoError(t, err)
		_, err = s.cw.UntagResource(ctx, &api.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"stage", "nothing"}})
		require.NoError(t, err)
		assert.Equal(t, tags("owner", "a b@c.d/e=f+g-h_i:j", "team", "店"), list())

		put := func(arn string, tags []types.Tag) error {
			_, err := s.cw.TagResource(ctx, &api.TagResourceInput{ResourceARN: &arn, Tags: tags})
			return err
		}
		var many []string
		for i := range 49 {
			many = append(many, fmt.Sprint(i), "")
		}
		refused(t, put(*arn, tags(many...)), "InvalidParameterValue", 400, "would have 51 tags; at most 50")
		refused(t, put(*arn, tags("AWS:x", "")), "InvalidParameterValue", 400, "begins with aws:")
		refused(t, put(*arn, tags("a", "", "a", "")), "InvalidParameterValue", 400, "twice")
		refused(t, put(*arn, tags(strings.Repeat("字", 129), "")), "InvalidParameterValue", 400, "too long")
		refused(t, put(*arn, tags("a", "<")), "InvalidParameterValue", 400, "character '<'")
		refused(t, put("arn:aws:s3:::bucket", tags("a", "")), "InvalidParameterValue", 400, "is not the ARN of an alarm or a dashboard")
		refused(t, put("x", tags("a", "")), "InvalidParameterValue", 400, "is not the ARN")
		var gone *types.ResourceNotFoundException
		require.ErrorAs(t, put("arn:aws:cloudwatch:us-east-1:000000000000:alarm:nobody", tags("a", "")), &gone)
		assert.Equal(t, []string{"alarm", "arn:aws:cloudwatch:us-east-1:000000000000:alarm:nobody"}, []string{*gone.ResourceType, *gone.ResourceId})
		assert.Equal(t, tags("owner", "a b@c.d/e=f+g-h_i:j", "team", "店"), list(), "nothing of a refused call is taken")
		in.AlarmName, in.Tags = aws.String("new"), tags("aws:x", "")
		_, err = s.cw.PutMetricAlarm(ctx, in)
		refused(t, err, "InvalidParameterValue", 400, "begins with aws:")
		_, there := s.State("new")
		assert.False(t, there)

		require.NoError(t, s.DeleteAlarms("a:b"))
		in.AlarmName, in.Tags = aws.String("a:b"), nil
		_, err = s.cw.PutMetricAlarm(ctx, in)
		require.NoError(t, err)
		assert.Empty(t, list(), "an alarm made anew has no tags of the one before it")

		_, err = s.cw.PutDashboard(ctx, &api.PutDashboardInput{DashboardName: aws.String("d"), DashboardBody: aws.String("{}"), Tags: tags("a", "b")})
		require.NoError(t, err)
		arn = aws.String("arn:aws:cloudwatch::000000000000:dashboard/d")
		assert.Equal(t, tags("a", "b"), list())
	})
}

// Actions that are switched off are not carried out, and other stores that share
// the alarm know nothing of it.
func TestActionsOnAndOff(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, s *stand) {
		ctx := context.Background()
		one := above("errors", 60, 1)
		compiled, err := one.Compile()
		require.NoError(t, err)
		s.PutCompiled(compiled)
		other := cloudwatch.NewStore(cloudwatch.Options{})
		other.PutCompiled(compiled)
		_, err = s.cw.DisableAlarmActions(ctx, &api.DisableAlarmActionsInput{AlarmNames: []string{"errors", "nobody"}})
		require.NoError(t, err)
		for _, store := range []*cloudwatch.Store{s.Store, other} {
			store.Series("shop", "Errors").AddValue(minute(0), 50, 1)
			require.Len(t, store.Evaluate(minute(1)), 1)
		}
		assert.Empty(t, s.Transitions()[0].Actions)
		assert.Equal(t, []string{"arn:alarm"}, other.Transitions()[0].Actions)
		s.set(minute(5))
		_, err = s.cw.EnableAlarmActions(ctx, &api.EnableAlarmActionsInput{AlarmNames: []string{"errors"}})
		require.NoError(t, err)
		all, err := s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{})
		require.NoError(t, err)
		assert.True(t, *all.MetricAlarms[0].ActionsEnabled)
		assert.True(t, all.MetricAlarms[0].AlarmConfigurationUpdatedTimestamp.Equal(minute(5)))
		assert.Equal(t, types.StateValueAlarm, all.MetricAlarms[0].StateValue)
		_, err = s.cw.EnableAlarmActions(ctx, &api.EnableAlarmActionsInput{AlarmNames: make([]string, 101)})
		refused(t, err, "InvalidParameterValue", 400, "at most 100")
	})
}

func TestAlarmsForAMetric(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, s *stand) {
		ctx := context.Background()
		a, b := above("b", 60, 1), above("a", 300, 1)
		with := above("with", 60, 1)
		with.Dimensions = []alarm.Dimension{{Name: "x", Value: "1"}, {Name: "y", Value: "2"}}
		require.NoError(t, s.PutAlarms([]alarm.Alarm{a, b, with}))
		names := func(in api.DescribeAlarmsForMetricInput) (names []string) {
			in.Namespace, in.MetricName = aws.String("shop"), aws.String("Errors")
			out, err := s.cw.DescribeAlarmsForMetric(ctx, &in)
			require.NoError(t, err)
			for _, a := range out.MetricAlarms {
				names = append(names, *a.AlarmName)
			}
			return names
		}
		assert.Equal(t, []string{"a", "b"}, names(api.DescribeAlarmsForMetricInput{}))
		assert.Equal(t, []string{"a"}, names(api.DescribeAlarmsForMetricInput{Period: aws.Int32(300)}))
		assert.Equal(t, []string{"with"}, names(api.DescribeAlarmsForMetricInput{Dimensions: dims("y", "2", "x", "1")}))
		assert.Empty(t, names(api.DescribeAlarmsForMetricInput{Dimensions: dims("y", "2")}))
		assert.Empty(t, names(api.DescribeAlarmsForMetricInput{Statistic: types.StatisticAverage}))
		assert.Empty(t, names(api.DescribeAlarmsForMetricInput{ExtendedStatistic: aws.String("p99")}))
		assert.Empty(t, names(api.DescribeAlarmsForMetricInput{Unit: types.StandardUnitSeconds}))
		_, err := s.cw.DescribeAlarmsForMetric(ctx, &api.DescribeAlarmsForMetricInput{Namespace: aws.String("shop"), MetricName: aws.String("")})
		refused(t, err, "MissingParameter", 400, "MetricName")
	})
}

func metric(id, name, stat string, period int32) types.MetricDataQuery {
	return types.MetricDataQuery{Id: &id, MetricStat: &types.MetricStat{Period: &period, Stat: &stat, Metric: &types.Metric{Namespace: aws.String("shop"), MetricName: &name}}}
}

func expression(id, text string) types.MetricDataQuery {
	return types.MetricDataQuery{Id: &id, Expression: &text}
}

// Whatever the size of its pages, a query gives the same data.
func TestGetMetricDataByPages(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, s *stand) {
		ctx := context.Background()
		for m := range 7 {
			s.Series("shop", "A").AddValue(minute(float64(m)), float64(m), 1)
			if m%2 == 0 {
				s.Series("shop", "B").AddValue(minute(float64(m)), float64(10*m), 1)
			}
		}
		all := func(order types.ScanBy, size *int32) (got map[string][]float64, pages, partial int) {
			got = map[string][]float64{}
			p := api.NewGetMetricDataPaginator(s.cw, &api.GetMetricDataInput{StartTime: aws.Time(epoch), EndTime: aws.Time(minute(7)), ScanBy: order, MaxDatapoints: size,
				MetricDataQueries: []types.MetricDataQuery{metric("a", "A", "Sum", 60), metric("b", "B", "Maximum", 60), metric("none", "None", "Sum", 60), expression("e", "a-1")}})
			for p.HasMorePages() {
				page, err := p.NextPage(ctx)
				require.NoError(t, err)
				pages++
				points := 0
				for _, r := range page.MetricDataResults {
					require.Len(t, r.Timestamps, len(r.Values))
					got[*r.Id] = append(got[*r.Id], r.Values...)
					points += len(r.Values)
					if r.StatusCode == types.StatusCodePartialData {
						partial++
					}
				}
				if size != nil {
					require.LessOrEqual(t, points, int(*size))
				}
			}
			return got, pages, partial
		}
		whole, pages, partial := all(types.ScanByTimestampAscending, nil)
		assert.Equal(t, map[string][]float64{"a": {0, 1, 2, 3, 4, 5, 6}, "b": {0, 20, 40, 60}, "none": nil, "e": {-1, 0, 1, 2, 3, 4, 5}}, whole)
		assert.Equal(t, []int{1, 0}, []int{pages, partial})
		newest, _, _ := all("", nil)
		assert.Equal(t, []float64{60, 40, 20, 0}, newest["b"])
		for size := int32(1); size < 20; size += 3 {
			got, pages, partial := all(types.ScanByTimestampAscending, &size)
			assert.Equal(t, whole, got)
			assert.Equal(t, (18+int(size)-1)/int(size), pages)
			assert.Equal(t, pages > 1, partial > 0)
		}
	})
}

// Queries of other periods, and more than an alarm could have, do not disturb an
// expression; and each result is labelled.
func TestGetMetricDataTakesManyQueries(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	s.Series("shop", "A", alarm.Dimension{Name: "v", Value: "1"}).AddValue(minute(1), 3, 2)
	s.Series("shop", "A").AddValue(minute(1), 4, 1)
	s.Series("shop", "A").AddValue(minute(3), 8, 1)
	var queries []types.MetricDataQuery
	for i := range 40 {
		queries = append(queries, metric(fmt.Sprintf("m%d", i), "A", "Sum", int32(60*(1+i%3))))
	}
	double := expression("e", "m0*2")
	double.Label = aws.String("${LABEL}: ${MIN} ${MAX} ${AVG} ${SUM} ${FIRST} ${LAST} ${DATAPOINT_COUNT} ${MAX_TIME} ${PROP('Period')} ${PROP('Dim.v')} ${WHAT}")
	tagged := metric("d", "A", "Sum", 60)
	tagged.MetricStat.Metric.Dimensions = dims("v", "1")
	tagged.Label = aws.String("${PROP('MetricName')} ${PROP('Dim.v')} ${PROP('Stat')} ${PROP('Namespace')} ${PROP('Region')} ${LAST_TIME}")
	nothing := metric("n", "Nothing", "p99", 60)
	nothing.Label = aws.String("${MAX} of ${LABEL}")
	queries = append(queries, double, tagged, nothing)
	out, err := s.cw.GetMetricData(ctx, &api.GetMetricDataInput{StartTime: aws.Time(epoch), EndTime: aws.Time(minute(5)), MetricDataQueries: queries, LabelOptions: &types.LabelOptions{Timezone: aws.String("+0930")}})
	require.NoError(t, err)
	require.Len(t, out.MetricDataResults, 43)
	e, d, n := out.MetricDataResults[40], out.MetricDataResults[41], out.MetricDataResults[42]
	assert.Equal(t, []float64{16, 8}, e.Values)
	assert.Equal(t, "e: 8 16 12 24 8 16 2 2026-01-05T18:33:00+09:30 60 ${PROP('Dim.v')} ${WHAT}", *e.Label)
	assert.Equal(t, []float64{6}, d.Values)
	assert.Equal(t, "A 1 Sum shop us-east-1 2026-01-05T18:31:00+09:30", *d.Label)
	assert.Equal(t, "- of Nothing", *n.Label)
	assert.Equal(t, "A", *out.MetricDataResults[0].Label)
	assert.Equal(t, []float64{8, 4}, out.MetricDataResults[2].Values, "three minutes each")
}

func TestGetMetricDataOverALongTime(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	s.Series("shop", "A").AddValue(minute(1), 3, 1)
	out, err := s.cw.GetMetricData(ctx, &api.GetMetricDataInput{StartTime: aws.Time(time.Unix(0, 0)), EndTime: aws.Time(epoch.AddDate(1000, 0, 0)), ScanBy: types.ScanByTimestampAscending,
		MetricDataQueries: []types.MetricDataQuery{metric("a", "A", "Sum", 1), metric("m", "A", "Sum", 60), expression("e", "FILL(m,0)")}})
	require.NoError(t, err)
	assert.Equal(t, []float64{3}, out.MetricDataResults[0].Values)
	assert.Equal(t, types.StatusCodeComplete, out.MetricDataResults[0].StatusCode)
	assert.Equal(t, types.StatusCodePartialData, out.MetricDataResults[2].StatusCode, "a thousand years of zeros are not given")
	assert.LessOrEqual(t, len(out.MetricDataResults[2].Values), 100_800)
}

func TestGetMetricDataRefuses(t *testing.T) {
	s := serve(t)
	ask := func(change func(*api.GetMetricDataInput)) error {
		in := &api.GetMetricDataInput{StartTime: aws.Time(epoch), EndTime: aws.Time(minute(5)), MetricDataQueries: []types.MetricDataQuery{metric("a", "A", "Sum", 60)}}
		change(in)
		_, err := s.cw.GetMetricData(context.Background(), in)
		return err
	}
	queries := func(q ...types.MetricDataQuery) error {
		return ask(func(in *api.GetMetricDataInput) { in.MetricDataQueries = q })
	}
	refused(t, queries([]types.MetricDataQuery{}...), "ValidationError", 400, "MetricDataQueries is required")
	refused(t, queries(metric("A", "A", "Sum", 60)), "ValidationError", 400, "a small letter first")
	refused(t, queries(metric("a", "A", "Sum", 60), metric("a", "B", "Sum", 60)), "ValidationError", 400, "used twice")
	refused(t, queries(types.MetricDataQuery{Id: aws.String("a")}), "ValidationError", 400, "MetricDataQueries.member.1.MetricStat is required")
	refused(t, queries(metric("a", "A", "p101", 60)), "ValidationError", 400, "MetricStat.Stat")
	refused(t, queries(metric("a", "A", "Sum", 61)), "ValidationError", 400, "Period is 61 seconds")
	refused(t, queries(expression("a", "b+")), "ValidationError", 400, "Expression")
	many := make([]types.MetricDataQuery, 501)
	for i := range many {
		many[i] = metric(fmt.Sprint("m", i), "A", "Sum", 60)
	}
	refused(t, queries(many...), "ValidationError", 400, "at most 500")
	refused(t, ask(func(in *api.GetMetricDataInput) { in.NextToken = aws.String("-1") }), "InvalidNextToken", 400, "NextToken")
	refused(t, ask(func(in *api.GetMetricDataInput) { in.MaxDatapoints = aws.Int32(0) }), "ValidationError", 400, "MaxDatapoints is 0")
	refused(t, ask(func(in *api.GetMetricDataInput) { in.ScanBy = "Sideways" }), "ValidationError", 400, "ScanBy")
	refused(t, ask(func(in *api.GetMetricDataInput) {
		in.LabelOptions = &types.LabelOptions{Timezone: aws.String("Europe/Berlin")}
	}), "ValidationError", 400, "Timezone")
}

func TestListMetricsFilters(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, s *stand) {
		ctx := context.Background()
		s.Series("shop", "Old").AddValue(epoch.Add(-4*time.Hour), 1, 1)
		s.Series("shop", "New", alarm.Dimension{Name: "v", Value: "1"}, alarm.Dimension{Name: "w", Value: "2"}).AddValue(epoch.Add(-2*time.Hour), 1, 1)
		count := func(in api.ListMetricsInput) int {
			out, err := s.cw.ListMetrics(ctx, &in)
			require.NoError(t, err)
			return len(out.Metrics)
		}
		assert.Equal(t, 2, count(api.ListMetricsInput{}))
		assert.Equal(t, 1, count(api.ListMetricsInput{RecentlyActive: types.RecentlyActivePt3h}))
		assert.Equal(t, 1, count(api.ListMetricsInput{Dimensions: []types.DimensionFilter{{Name: aws.String("w")}}}))
		assert.Equal(t, 0, count(api.ListMetricsInput{Dimensions: []types.DimensionFilter{{Name: aws.String("w"), Value: aws.String("1")}}}))
		assert.Equal(t, 0, count(api.ListMetricsInput{OwningAccount: aws.String("111111111111")}))
		_, err := s.cw.ListMetrics(ctx, &api.ListMetricsInput{RecentlyActive: "PT1H"})
		refused(t, err, "InvalidParameterValue", 400, "want PT3H")
		_, err = s.cw.ListMetrics(ctx, &api.ListMetricsInput{NextToken: aws.String("x")})
		refused(t, err, "InvalidParameterValue", 400, "NextToken")
		var filters []types.DimensionFilter
		for i := range 11 {
			filters = append(filters, types.DimensionFilter{Name: aws.String(fmt.Sprint(i))})
		}
		_, err = s.cw.ListMetrics(ctx, &api.ListMetricsInput{Dimensions: filters})
		refused(t, err, "InvalidParameterValue", 400, "at most 10")
	})
}

func TestGetMetricStatisticsRefuses(t *testing.T) {
	s := serve(t)
	ask := func(change func(*api.GetMetricStatisticsInput)) error {
		in := &api.GetMetricStatisticsInput{Namespace: aws.String("shop"), MetricName: aws.String("A"), StartTime: aws.Time(epoch), EndTime: aws.Time(minute(5)), Period: aws.Int32(60), Statistics: []types.Statistic{"Sum"}}
		change(in)
		_, err := s.cw.GetMetricStatistics(context.Background(), in)
		return err
	}
	refused(t, ask(func(in *api.GetMetricStatisticsInput) { in.ExtendedStatistics = []string{"p50"} }), "InvalidParameterCombination", 400, "give one of them")
	refused(t, ask(func(in *api.GetMetricStatisticsInput) { in.Statistics = nil }), "MissingParameter", 400, "Statistics")
	refused(t, ask(func(in *api.GetMetricStatisticsInput) { in.EndTime = in.StartTime }), "InvalidParameterValue", 400, "must not equal")
	refused(t, ask(func(in *api.GetMetricStatisticsInput) { in.Unit = "Furlongs" }), "InvalidParameterValue", 400, "no unit")
	refused(t, ask(func(in *api.GetMetricStatisticsInput) {
		in.Statistics, in.ExtendedStatistics = nil, make([]string, 11)
	}), "InvalidParameterValue", 400, "at most 10")
	refused(t, ask(func(in *api.GetMetricStatisticsInput) {
		in.StartTime = aws.Time(time.Unix(math.MinInt32, 0).AddDate(-3000, 0, 0))
	}), "SerializationException", 400, "StartTime: is no time")
}

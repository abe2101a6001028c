package cloudwatch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

func zipped(t *testing.T, data []byte) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// found is what the metric Shop/Found has in each of the first minutes: sum and
// count of the samples, or nothing.
func (s *stand) found(t *testing.T, minutes int, pairs ...string) []string {
	out, err := s.cw.GetMetricStatistics(context.Background(), &metrics.GetMetricStatisticsInput{Namespace: aws.String("Shop"), MetricName: aws.String("Found"), Dimensions: dims(pairs...),
		StartTime: aws.Time(epoch), EndTime: aws.Time(minute(float64(minutes))), Period: aws.Int32(60), Statistics: []cwtypes.Statistic{"Sum", "SampleCount"}})
	require.NoError(t, err)
	all := make([]string, minutes)
	for _, p := range out.Datapoints {
		all[int(p.Timestamp.Sub(epoch)/time.Minute)] = fmt.Sprintf("%v of %v", *p.Sum, *p.SampleCount)
	}
	return all
}

// log puts lines into the group at that minute.
func (s *stand) log(t *testing.T, at float64, lines ...string) {
	var events []cloudwatch.LogEvent
	for _, l := range lines {
		events = append(events, cloudwatch.LogEvent{Time: minute(at), Message: l})
	}
	require.NoError(t, s.PutLogEvents("/shop", "stream", events))
}

func filter(pattern, value string) cloudwatch.MetricFilter {
	return cloudwatch.MetricFilter{Name: "filter", LogGroup: "/shop", Pattern: pattern, Namespace: "Shop", Metric: "Found", Value: value}
}

func TestMetricFilterCountsLines(t *testing.T) {
	s := serve(t)
	s.log(t, 0, `{"level":"ERROR"}`) // before there is a filter
	require.NoError(t, s.PutMetricFilter(filter(`{ $.level = "ERROR" }`, "1")))
	s.log(t, 0.5, `{"level":"INFO"}`, `ERROR`)
	s.log(t, 1.5, `{"level":"ERROR"}`, `{"level":"ERROR","x":1}`, `{"level":"INFO"}`)
	s.Evaluate(minute(5))
	assert.Equal(t, []string{"", "2 of 2", ""}, s.found(t, 3))
}

func TestMetricFilterDefault(t *testing.T) {
	s := serve(t)
	f := filter(`{ $.level = "ERROR" }`, "3")
	f.Default = aws.Float64(0.5)
	require.NoError(t, s.PutMetricFilter(f))
	s.log(t, 0.5, "a", "b")
	s.log(t, 1.5, "a", `{"level":"ERROR"}`, "b")
	s.log(t, 3.2, "a")
	s.Evaluate(minute(3.5))
	assert.Equal(t, []string{"0.5 of 1", "3 of 1", "", ""}, s.found(t, 4), "once for a minute with lines, and no match, that has ended")
	s.log(t, 3.7, `{"level":"ERROR"}`)
	s.Evaluate(minute(4))
	assert.Equal(t, []string{"0.5 of 1", "3 of 1", "", "3 of 1"}, s.found(t, 4))
}

func TestMetricFilterValues(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		lines          []string
		want           string
	}{
		{`{ $.bytes = * }`, "$.bytes", []string{`{"bytes":10}`, `{"bytes":2.5}`, `{"bytes":"7"}`, `{"bytes":"many"}`, `{"other":1}`}, "19.5 of 3"},
		{`{ $.a.b[1] > 0 }`, "$.a.b[1]", []string{`{"a":{"b":[1,4]}}`}, "4 of 1"},
		{`[ip, ..., status=5*, bytes]`, "$bytes", []string{`1.2.3.4 - "GET /" 503 1000`, `1.2.3.4 - "GET /" 200 7`, `1.2.3.4 x "GET / x" 500 24`}, "1024 of 2"},
		{`ERROR`, "-2.5", []string{"ERROR", "an ERROR", "ok"}, "-5 of 2"},
		{``, "1", []string{"ERROR", "ok"}, "2 of 2"},
	} {
		s := serve(t)
		require.NoError(t, s.PutMetricFilter(filter(c.pattern, c.value)))
		s.log(t, 0.5, c.lines...)
		assert.Equal(t, []string{c.want}, s.found(t, 1), c.pattern)
	}
}

func TestMetricFilterDimensions(t *testing.T) {
	s := serve(t)
	f := filter(`{ $.level = "ERROR" }`, "1")
	f.Dimensions = map[string]string{"Version": "$.version", "Code": "$.code"}
	require.NoError(t, s.PutMetricFilter(f))
	s.log(t, 0.5, `{"level":"ERROR","version":"v2","code":500}`, `{"level":"ERROR","version":"v1","code":500}`, `{"level":"ERROR","version":"v2","code":500}`, `{"level":"ERROR","version":"v2"}`)
	assert.Equal(t, []string{"2 of 2"}, s.found(t, 1, "Version", "v2", "Code", "500"))
	assert.Equal(t, []string{"1 of 1"}, s.found(t, 1, "Version", "v1", "Code", "500"))
	assert.Equal(t, []string{""}, s.found(t, 1))
}

func TestWrongMetricFilters(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	for want, change := range map[string]func(*cloudwatch.MetricFilter){
		`filter pattern "{": expected a selector`:        func(f *cloudwatch.MetricFilter) { f.Pattern = "{" },
		`the metric value "one": want a number`:          func(f *cloudwatch.MetricFilter) { f.Value = "one" },
		`the metric value "$.": expected a name`:         func(f *cloudwatch.MetricFilter) { f.Value = "$." },
		`the metric value "$.a b": the selector ends`:    func(f *cloudwatch.MetricFilter) { f.Value = "$.a b" },
		`the metric value "$.a[*]": a wildcard gives no`: func(f *cloudwatch.MetricFilter) { f.Value = "$.a[*]" },
		`the metric value "$c": the pattern has no col`:  func(f *cloudwatch.MetricFilter) { f.Pattern, f.Value = "[a, b]", "$c" },
		`the dimension "D": want a number, or where`:     func(f *cloudwatch.MetricFilter) { f.Dimensions = map[string]string{"D": "constant"} },
		`has a default value and dimensions`: func(f *cloudwatch.MetricFilter) {
			f.Default, f.Dimensions = aws.Float64(0), map[string]string{"D": "$.d"}
		},
		`the metric name "" is wrong`:        func(f *cloudwatch.MetricFilter) { f.Metric = "" },
		`the namespace "a:b" is wrong`:       func(f *cloudwatch.MetricFilter) { f.Namespace = "a:b" },
		`the metric filter name "" is wrong`: func(f *cloudwatch.MetricFilter) { f.Name = "" },
		`the log group name "a b" is wrong`:  func(f *cloudwatch.MetricFilter) { f.LogGroup = "a b" },
	} {
		f := filter("ERROR", "1")
		change(&f)
		assert.ErrorContains(t, s.PutMetricFilter(f), want)
	}
	for i := range 100 {
		f := filter("ERROR", "1")
		f.Name = fmt.Sprint(i)
		require.NoError(t, s.PutMetricFilter(f))
	}
	assert.ErrorContains(t, s.PutMetricFilter(filter("ERROR", "1")), "at most 100 metric filters")
}

// Lines over the wire, by a filter, to an alarm: as containers do it.
func TestLogLinesSetOffAnAlarm(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	logs := s.server.LogsClient()
	_, err := logs.CreateLogGroup(ctx, &api.CreateLogGroupInput{LogGroupName: aws.String("/ecs/shop")})
	require.NoError(t, err)
	_, err = logs.CreateLogStream(ctx, &api.CreateLogStreamInput{LogGroupName: aws.String("/ecs/shop"), LogStreamName: aws.String("shop/v2-1")})
	require.NoError(t, err)
	_, err = logs.PutMetricFilter(ctx, &api.PutMetricFilterInput{LogGroupName: aws.String("/ecs/shop"), FilterName: aws.String("shop-errors"), FilterPattern: aws.String(`{ $.level = "ERROR" }`),
		MetricTransformations: []types.MetricTransformation{{MetricNamespace: aws.String("Shop"), MetricName: aws.String("ErrorCount"), MetricValue: aws.String("1"), DefaultValue: aws.Float64(0)}}})
	require.NoError(t, err)
	a := above("errors", 60, 2)
	a.Namespace, a.MetricName = "Shop", "ErrorCount"
	require.NoError(t, s.PutAlarms([]alarm.Alarm{a}))
	assert.Equal(t, []alarm.Metric{{Namespace: "Shop", MetricName: "ErrorCount"}}, s.Missing("errors"))

	var made []cloudwatch.Transition
	for m := range 6 {
		at := minute(float64(m) + 0.5)
		s.set(at)
		in := &api.PutLogEventsInput{LogGroupName: aws.String("/ecs/shop"), LogStreamName: aws.String("shop/v2-1")}
		for n := range 20 {
			level := "INFO"
			if m >= 2 && m < 4 {
				level = "ERROR"
			}
			in.LogEvents = append(in.LogEvents, types.InputLogEvent{Timestamp: aws.Int64(at.UnixMilli() + int64(n)), Message: aws.String(`{"level":"` + level + `","msg":"<order> \"failed\" & 注文"}`)})
		}
		_, err := logs.PutLogEvents(ctx, in)
		require.NoError(t, err)
		made = append(made, s.Evaluate(minute(float64(m)+1))...)
	}
	assert.Equal(t, []string{
		"1m0s errors INSUFFICIENT_DATA -> OK",
		"4m0s errors OK -> ALARM",
		"5m0s errors ALARM -> OK",
	}, brief(made))

	filters, err := logs.DescribeMetricFilters(ctx, &api.DescribeMetricFiltersInput{LogGroupName: aws.String("/ecs/shop")})
	require.NoError(t, err)
	require.Len(t, filters.MetricFilters, 1)
	f := filters.MetricFilters[0]
	assert.Equal(t, []string{"shop-errors", "/ecs/shop", `{ $.level = "ERROR" }`}, []string{*f.FilterName, *f.LogGroupName, *f.FilterPattern})
	assert.Equal(t, epoch.UnixMilli(), *f.CreationTime)
	assert.Equal(t, []string{"ErrorCount", "Shop", "1"}, []string{*f.MetricTransformations[0].MetricName, *f.MetricTransformations[0].MetricNamespace, *f.MetricTransformations[0].MetricValue})
	assert.Zero(t, *f.MetricTransformations[0].DefaultValue)

	found, err := logs.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: aws.String("/ecs/shop"), FilterPattern: aws.String(`"注文" ERROR`),
		StartTime: aws.Int64(minute(2).UnixMilli()), EndTime: aws.Int64(minute(3).UnixMilli())})
	require.NoError(t, err)
	require.Len(t, found.Events, 20)
	assert.Equal(t, `{"level":"ERROR","msg":"<order> \"failed\" & 注文"}`, *found.Events[0].Message)
	assert.Equal(t, "shop/v2-1", *found.Events[0].LogStreamName)

	_, err = logs.DeleteMetricFilter(ctx, &api.DeleteMetricFilterInput{LogGroupName: aws.String("/ecs/shop"), FilterName: aws.String("shop-errors")})
	require.NoError(t, err)
	filters, err = logs.DescribeMetricFilters(ctx, &api.DescribeMetricFiltersInput{})
	require.NoError(t, err)
	assert.Empty(t, filters.MetricFilters)
}

func TestLogEventsCanBeRead(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	logs := s.server.LogsClient()
	for i := range 25 {
		require.NoError(t, s.PutLogEvents("/shop", fmt.Sprintf("s%d", i%2), []cloudwatch.LogEvent{{Time: epoch.Add(time.Duration(i) * time.Second), Message: fmt.Sprintf("line %02d", i)}}))
	}
	var lines []string
	pages := api.NewFilterLogEventsPaginator(logs, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop"), Limit: aws.Int32(7)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		require.NoError(t, err)
		for _, e := range page.Events {
			lines = append(lines, *e.Message)
		}
	}
	require.Len(t, lines, 25)
	assert.Equal(t, "line 00 line 01", lines[0]+" "+lines[1])

	get := func(in api.GetLogEventsInput) (lines []string, out *api.GetLogEventsOutput) {
		in.LogGroupName, in.LogStreamName, in.Limit = aws.String("/shop"), aws.String("s0"), aws.Int32(5)
		out, err := logs.GetLogEvents(ctx, &in)
		require.NoError(t, err)
		for _, e := range out.Events {
			lines = append(lines, strings.TrimPrefix(*e.Message, "line "))
		}
		return lines, out
	}
	got, out := get(api.GetLogEventsInput{StartFromHead: aws.Bool(true)})
	assert.Equal(t, []string{"00", "02", "04", "06", "08"}, got)
	got, out = get(api.GetLogEventsInput{NextToken: out.NextForwardToken})
	assert.Equal(t, []string{"10", "12", "14", "16", "18"}, got)
	back, _ := get(api.GetLogEventsInput{NextToken: out.NextBackwardToken})
	assert.Equal(t, []string{"00", "02", "04", "06", "08"}, back)
	got, out = get(api.GetLogEventsInput{NextToken: out.NextForwardToken})
	assert.Equal(t, []string{"20", "22", "24"}, got)
	end := *out.NextForwardToken
	got, out = get(api.GetLogEventsInput{NextToken: out.NextForwardToken})
	assert.Empty(t, got)
	assert.Equal(t, end, *out.NextForwardToken, "the same token says that this is the end")
	got, _ = get(api.GetLogEventsInput{})
	assert.Equal(t, []string{"16", "18", "20", "22", "24"}, got, "the newest, unless asked from the head")

	streams, err := logs.DescribeLogStreams(ctx, &api.DescribeLogStreamsInput{LogGroupName: aws.String("/shop")})
	require.NoError(t, err)
	require.Len(t, streams.LogStreams, 2)
	assert.Equal(t, epoch.Add(23*time.Second).UnixMilli(), *streams.LogStreams[1].LastEventTimestamp)
	groups, err := logs.DescribeLogGroups(ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/s")})
	require.NoError(t, err)
	require.Len(t, groups.LogGroups, 1)
	for i := range 60 {
		require.NoError(t, s.CreateLogGroup(fmt.Sprintf("/more/%02d", i)))
	}
	require.NoError(t, s.CreateLogGroup("/more/00"), "it exists, and that is well")
	var names []string
	all := api.NewDescribeLogGroupsPaginator(logs, &api.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/more")})
	for all.HasMorePages() {
		page, err := all.NextPage(ctx)
		require.NoError(t, err)
		for _, g := range page.LogGroups {
			names = append(names, *g.LogGroupName)
		}
	}
	assert.Len(t, names, 60)
	tested, err := logs.TestMetricFilter(ctx, &api.TestMetricFilterInput{FilterPattern: aws.String("ERROR"), LogEventMessages: []string{"ok", "ERROR"}})
	require.NoError(t, err)
	require.Len(t, tested.Matches, 1)
	assert.EqualValues(t, 2, tested.Matches[0].EventNumber)
}

func TestWrongLogCallsAreRefusedAsByAWS(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	logs := s.server.LogsClient()
	require.NoError(t, s.PutLogEvents("/shop", "s", nil))
	put := func(group, stream string, events ...types.InputLogEvent) error {
		_, err := logs.PutLogEvents(ctx, &api.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream, LogEvents: events})
		return err
	}
	event := func(at float64, message string) types.InputLogEvent {
		return types.InputLogEvent{Timestamp: aws.Int64(minute(at).UnixMilli()), Message: &message}
	}
	big := strings.Repeat("x", 600<<10)
	for name, c := range map[string]struct {
		err        error
		code, text string
	}{
		"group":     {put("/nobody", "s", event(0, "x")), "ResourceNotFoundException", "log group \"/nobody\" does not exist"},
		"stream":    {put("/shop", "nobody", event(0, "x")), "ResourceNotFoundException", "log stream \"nobody\" does not exist"},
		"order":     {put("/shop", "s", event(1, "x"), event(0, "y")), "InvalidParameterException", "chronological order"},
		"empty":     {put("/shop", "s", event(1, "")), "InvalidParameterException", "has no message"},
		"none":      {put("/shop", "s", []types.InputLogEvent{}...), "InvalidParameterException", "logEvents has 0 members"},
		"too large": {put("/shop", "s", event(0, big), event(0, big)), "InvalidParameterException", "at most 1048576 are allowed"},
		"too long":  {put("/shop", "s", event(-60*24, "x"), event(1, "y")), "InvalidParameterException", "24 hours"},
		"exists": {func() error {
			_, err := logs.CreateLogGroup(ctx, &api.CreateLogGroupInput{LogGroupName: aws.String("/shop")})
			return err
		}(), "ResourceAlreadyExistsException", "already exists"},
		"stream exists": {func() error {
			_, err := logs.CreateLogStream(ctx, &api.CreateLogStreamInput{LogGroupName: aws.String("/shop"), LogStreamName: aws.String("s")})
			return err
		}(), "ResourceAlreadyExistsException", "already exists"},
		"name": {func() error {
			_, err := logs.CreateLogGroup(ctx, &api.CreateLogGroupInput{LogGroupName: aws.String("a b")})
			return err
		}(), "InvalidParameterException", "is wrong"},
		"pattern": {func() error {
			_, err := logs.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop"), FilterPattern: aws.String("{")})
			return err
		}(), "InvalidParameterException", "expected a selector"},
		"filter": {func() error {
			_, err := logs.DeleteMetricFilter(ctx, &api.DeleteMetricFilterInput{LogGroupName: aws.String("/shop"), FilterName: aws.String("f")})
			return err
		}(), "ResourceNotFoundException", "does not exist"},
		"limit": {func() error {
			_, err := logs.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop"), Limit: aws.Int32(10_001)})
			return err
		}(), "InvalidParameterException", "want 1 to 10000"},
		"unknown": {func() error {
			_, err := logs.StartQuery(ctx, &api.StartQueryInput{QueryString: aws.String("x"), StartTime: aws.Int64(0), EndTime: aws.Int64(1)})
			return err
		}(), "UnknownOperationException", "StartQuery"},
	} {
		var e smithy.APIError
		if assert.ErrorAs(t, c.err, &e, name) {
			assert.Equal(t, c.code, e.ErrorCode(), name)
			assert.Contains(t, e.ErrorMessage(), c.text, name)
		}
	}
	var typed *types.ResourceNotFoundException
	assert.ErrorAs(t, put("/nobody", "s", event(0, "x")), &typed, "the SDK's own type")

	old, err := logs.PutLogEvents(ctx, &api.PutLogEventsInput{LogGroupName: aws.String("/shop"), LogStreamName: aws.String("s"), LogEvents: []types.InputLogEvent{event(-15*24*60, "x"), event(-15*24*60+1, "y")}})
	require.NoError(t, err)
	assert.EqualValues(t, 2, *old.RejectedLogEventsInfo.TooOldLogEventEndIndex)
	young, err := logs.PutLogEvents(ctx, &api.PutLogEventsInput{LogGroupName: aws.String("/shop"), LogStreamName: aws.String("s"), LogEvents: []types.InputLogEvent{event(0, "kept"), event(121, "left")}})
	require.NoError(t, err)
	assert.EqualValues(t, 1, *young.RejectedLogEventsInfo.TooNewLogEventStartIndex)
	all, err := logs.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop")})
	require.NoError(t, err)
	require.Len(t, all.Events, 1)
	assert.Equal(t, "kept", *all.Events[0].Message)
}

// Old lines make room for new ones; metric filters have seen them all.
func TestLogsAreBounded(t *testing.T) {
	s := serve(t)
	require.NoError(t, s.PutMetricFilter(filter("x", "1")))
	big := strings.Repeat("x", 64<<10)
	for i := range 400 {
		s.log(t, float64(i)/400, fmt.Sprint(i)+big)
	}
	assert.Equal(t, []string{"400 of 400"}, s.found(t, 1))
	logs := s.server.LogsClient()
	groups, err := logs.DescribeLogGroups(context.Background(), &api.DescribeLogGroupsInput{})
	require.NoError(t, err)
	assert.Less(t, *groups.LogGroups[0].StoredBytes, int64(8<<20))
	out, err := logs.GetLogEvents(context.Background(), &api.GetLogEventsInput{LogGroupName: aws.String("/shop"), LogStreamName: aws.String("stream"), Limit: aws.Int32(1)})
	require.NoError(t, err)
	assert.Equal(t, "399xxx", (*out.Events[0].Message)[:6])
}

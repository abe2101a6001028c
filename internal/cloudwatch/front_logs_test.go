package cloudwatch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/cloudwatch"
)

// code is the code of an error of the API.
func code(err error) string {
	var e smithy.APIError
	switch {
	case err == nil:
		return "no error"
	case errors.As(err, &e):
		return e.ErrorCode()
	}
	return err.Error()
}

// logsStand is a stand with the log group /shop and its stream s.
func logsStand(t *testing.T) (*stand, *api.Client) {
	s := serve(t)
	logs := s.server.LogsClient()
	_, err := logs.CreateLogGroup(context.Background(), &api.CreateLogGroupInput{LogGroupName: aws.String("/shop"), Tags: map[string]string{"team": "shop"}})
	require.NoError(t, err)
	_, err = logs.CreateLogStream(context.Background(), &api.CreateLogStreamInput{LogGroupName: aws.String("/shop"), LogStreamName: aws.String("s")})
	require.NoError(t, err)
	return s, logs
}

func TestLogGroupsHaveRetentionTagsAndProtection(t *testing.T) {
	ctx := context.Background()
	_, logs := logsStand(t)
	shop := aws.String("/shop")
	group := func() types.LogGroup {
		out, err := logs.DescribeLogGroups(ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: shop})
		require.NoError(t, err)
		require.Len(t, out.LogGroups, 1)
		return out.LogGroups[0]
	}
	g := group()
	assert.Equal(t, "arn:aws:logs:us-east-1:000000000000:log-group:/shop:*", *g.Arn)
	assert.Equal(t, "arn:aws:logs:us-east-1:000000000000:log-group:/shop", *g.LogGroupArn)
	assert.Equal(t, types.LogGroupClassStandard, g.LogGroupClass)
	assert.Nil(t, g.RetentionInDays, "its events do not expire")

	for _, days := range []int32{1, 14, 400, 3653} {
		_, err := logs.PutRetentionPolicy(ctx, &api.PutRetentionPolicyInput{LogGroupName: shop, RetentionInDays: &days})
		require.NoError(t, err)
		assert.Equal(t, days, *group().RetentionInDays)
	}
	for _, days := range []int32{0, 2, 366, -1} {
		_, err := logs.PutRetentionPolicy(ctx, &api.PutRetentionPolicyInput{LogGroupName: shop, RetentionInDays: &days})
		assert.Equal(t, "InvalidParameterException", code(err), days)
	}
	_, err := logs.DeleteRetentionPolicy(ctx, &api.DeleteRetentionPolicyInput{LogGroupName: shop})
	require.NoError(t, err)
	assert.Nil(t, group().RetentionInDays)

	tags := func() map[string]string {
		out, err := logs.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceArn: g.LogGroupArn})
		require.NoError(t, err)
		//lint:ignore SA1019 older clients call it
		old, err := logs.ListTagsLogGroup(ctx, &api.ListTagsLogGroupInput{LogGroupName: shop}) //nolint:staticcheck // as above
		require.NoError(t, err)
		assert.Equal(t, out.Tags, old.Tags)
		return out.Tags
	}
	assert.Equal(t, map[string]string{"team": "shop"}, tags())
	_, err = logs.TagResource(ctx, &api.TagResourceInput{ResourceArn: g.Arn, Tags: map[string]string{"team": "orders", "env": "rehearsal"}})
	require.NoError(t, err)
	//lint:ignore SA1019 older clients call it
	_, err = logs.TagLogGroup(ctx, &api.TagLogGroupInput{LogGroupName: shop, Tags: map[string]string{"old": "form"}}) //nolint:staticcheck // as above
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"team": "orders", "env": "rehearsal", "old": "form"}, tags())
	_, err = logs.UntagResource(ctx, &api.UntagResourceInput{ResourceArn: g.LogGroupArn, TagKeys: []string{"team", "nothing"}})
	require.NoError(t, err)
	//lint:ignore SA1019 older clients call it
	_, err = logs.UntagLogGroup(ctx, &api.UntagLogGroupInput{LogGroupName: shop, Tags: []string{"old"}}) //nolint:staticcheck // as above
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"env": "rehearsal"}, tags())
	many := map[string]string{}
	for i := range 50 {
		many[fmt.Sprint(i)] = ""
	}
	_, err = logs.TagResource(ctx, &api.TagResourceInput{ResourceArn: g.LogGroupArn, Tags: many})
	assert.Equal(t, "TooManyTagsException", code(err))
	_, err = logs.TagResource(ctx, &api.TagResourceInput{ResourceArn: g.LogGroupArn, Tags: map[string]string{"aws:x": ""}})
	assert.Equal(t, "InvalidParameterException", code(err))
	_, err = logs.TagResource(ctx, &api.TagResourceInput{ResourceArn: aws.String(*g.LogGroupArn + "2"), Tags: map[string]string{"x": ""}})
	assert.Equal(t, "ResourceNotFoundException", code(err))
	assert.Equal(t, map[string]string{"env": "rehearsal"}, tags(), "none of them came in")

	protect := func(on bool) {
		_, err := logs.PutLogGroupDeletionProtection(ctx, &api.PutLogGroupDeletionProtectionInput{LogGroupIdentifier: shop, DeletionProtectionEnabled: &on})
		require.NoError(t, err)
	}
	protect(true)
	_, err = logs.DeleteLogGroup(ctx, &api.DeleteLogGroupInput{LogGroupName: shop})
	assert.Equal(t, "ValidationException", code(err))
	protect(false)
	_, err = logs.DeleteLogGroup(ctx, &api.DeleteLogGroupInput{LogGroupName: shop})
	require.NoError(t, err)
	_, err = logs.DeleteLogGroup(ctx, &api.DeleteLogGroupInput{LogGroupName: shop})
	assert.Equal(t, "ResourceNotFoundException", code(err))
}

func TestLogGroupsAreFound(t *testing.T) {
	ctx := context.Background()
	_, logs := logsStand(t)
	_, err := logs.CreateLogGroup(ctx, &api.CreateLogGroupInput{LogGroupName: aws.String("/Shop/rare"), LogGroupClass: types.LogGroupClassInfrequentAccess})
	require.NoError(t, err)
	names := func(in api.DescribeLogGroupsInput) (names []string) {
		out, err := logs.DescribeLogGroups(ctx, &in)
		require.NoError(t, err)
		for _, g := range out.LogGroups {
			names = append(names, *g.LogGroupName)
		}
		return names
	}
	assert.Equal(t, []string{"/Shop/rare", "/shop"}, names(api.DescribeLogGroupsInput{}), "by their bytes")
	assert.Equal(t, []string{"/shop"}, names(api.DescribeLogGroupsInput{LogGroupNamePattern: aws.String("sho")}), "capitals count")
	assert.Equal(t, []string{"/Shop/rare"}, names(api.DescribeLogGroupsInput{LogGroupClass: types.LogGroupClassInfrequentAccess}))
	assert.Equal(t, []string{"/shop"}, names(api.DescribeLogGroupsInput{LogGroupIdentifiers: []string{"arn:aws:logs:us-east-1:000000000000:log-group:/shop"}}))
	for name, in := range map[string]api.DescribeLogGroupsInput{
		"prefix and pattern": {LogGroupNamePrefix: aws.String("/"), LogGroupNamePattern: aws.String("s")},
		"identifiers and":    {LogGroupNamePrefix: aws.String("/"), LogGroupIdentifiers: []string{"/shop"}},
		"limit":              {Limit: aws.Int32(51)},
	} {
		_, err := logs.DescribeLogGroups(ctx, &in)
		assert.Equal(t, "InvalidParameterException", code(err), name)
	}
	_, err = logs.PutMetricFilter(ctx, &api.PutMetricFilterInput{LogGroupName: aws.String("/Shop/rare"), FilterName: aws.String("f"), FilterPattern: aws.String("x"),
		MetricTransformations: []types.MetricTransformation{{MetricName: aws.String("M"), MetricNamespace: aws.String("N"), MetricValue: aws.String("1")}}})
	assert.Equal(t, "InvalidOperationException", code(err), "only standard groups have metric filters")
	for name, in := range map[string]api.CreateLogGroupInput{
		"of AWS":    {LogGroupName: aws.String("aws/x")},
		"encrypted": {LogGroupName: aws.String("x"), KmsKeyId: aws.String("arn:aws:kms:us-east-1:000000000000:key/x")},
		"class":     {LogGroupName: aws.String("x"), LogGroupClass: "COLD"},
		"tags":      {LogGroupName: aws.String("x"), Tags: map[string]string{"aws:x": "y"}},
	} {
		_, err := logs.CreateLogGroup(ctx, &in)
		assert.Equal(t, "InvalidParameterException", code(err), name)
	}
}

func TestLogStreamsAreOrderedAndDeleted(t *testing.T) {
	ctx := context.Background()
	s, logs := logsStand(t)
	for i, name := range []string{"c", "a", "b"} {
		require.NoError(t, s.PutLogEvents("/shop", name, []cloudwatch.LogEvent{{Time: minute(float64(i)), Message: "in " + name}}))
	}
	list := func(in api.DescribeLogStreamsInput) (names string) {
		in.LogGroupName = aws.String("/shop")
		pages := api.NewDescribeLogStreamsPaginator(logs, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			require.NoError(t, err)
			for _, stream := range page.LogStreams {
				names += *stream.LogStreamName
			}
			names += "."
		}
		return names
	}
	assert.Equal(t, "abcs.", list(api.DescribeLogStreamsInput{}))
	assert.Equal(t, "sc.ba.", list(api.DescribeLogStreamsInput{Descending: aws.Bool(true), Limit: aws.Int32(2)}))
	assert.Equal(t, "sca.b.", list(api.DescribeLogStreamsInput{OrderBy: types.OrderByLastEventTime, Limit: aws.Int32(3)}))
	assert.Equal(t, "bacs.", list(api.DescribeLogStreamsInput{OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true)}))
	assert.Equal(t, "a.", list(api.DescribeLogStreamsInput{LogStreamNamePrefix: aws.String("a")}))
	for name, in := range map[string]api.DescribeLogStreamsInput{
		"prefix by time": {LogGroupName: aws.String("/shop"), OrderBy: types.OrderByLastEventTime, LogStreamNamePrefix: aws.String("a")},
		"order":          {LogGroupName: aws.String("/shop"), OrderBy: "Size"},
		"token":          {LogGroupName: aws.String("/shop"), NextToken: aws.String("nobody")},
		"no group":       {},
		"two groups":     {LogGroupName: aws.String("/shop"), LogGroupIdentifier: aws.String("/shop")},
	} {
		_, err := logs.DescribeLogStreams(ctx, &in)
		assert.Equal(t, "InvalidParameterException", code(err), name)
	}
	_, err := logs.DeleteLogStream(ctx, &api.DeleteLogStreamInput{LogGroupName: aws.String("/shop"), LogStreamName: aws.String("a")})
	require.NoError(t, err)
	assert.Equal(t, "bcs.", list(api.DescribeLogStreamsInput{}))
	out, err := logs.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop")})
	require.NoError(t, err)
	require.Len(t, out.Events, 2, "its events went with it")
	assert.Equal(t, "in c", *out.Events[0].Message)
	assert.Len(t, *out.Events[0].EventId, 56)
}

// Both ends of a range, and the pages between them, while lines still come in.
func TestLogEventsByTimeAndPage(t *testing.T) {
	ctx := context.Background()
	s, logs := logsStand(t)
	for i := range 10 {
		require.NoError(t, s.PutLogEvents("/shop", "s", []cloudwatch.LogEvent{{Time: epoch.Add(time.Duration(i) * time.Second), Message: fmt.Sprint(i)}}))
	}
	at := func(second int) *int64 { return aws.Int64(epoch.Add(time.Duration(second) * time.Second).UnixMilli()) }
	got := func(in api.GetLogEventsInput) (text string, out *api.GetLogEventsOutput) {
		in.LogGroupIdentifier, in.LogStreamName = aws.String("arn:aws:logs:us-east-1:000000000000:log-group:/shop"), aws.String("s")
		out, err := logs.GetLogEvents(ctx, &in)
		require.NoError(t, err)
		for _, e := range out.Events {
			text += *e.Message
		}
		return text, out
	}
	text, _ := got(api.GetLogEventsInput{StartTime: at(2), EndTime: at(5)})
	assert.Equal(t, "234", text, "without the end")
	out, err := logs.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop"), StartTime: at(2), EndTime: at(5)})
	require.NoError(t, err)
	assert.Len(t, out.Events, 4, "with the end")

	// Forward to the end, where the forward token stays, and the backward one leads back.
	text, page := got(api.GetLogEventsInput{StartFromHead: aws.Bool(true), Limit: aws.Int32(6)})
	assert.Equal(t, "012345", text)
	text, page = got(api.GetLogEventsInput{NextToken: page.NextForwardToken, Limit: aws.Int32(6)})
	assert.Equal(t, "6789", text)
	end := *page.NextForwardToken
	text, page = got(api.GetLogEventsInput{NextToken: &end, Limit: aws.Int32(6)})
	assert.Empty(t, text)
	assert.Equal(t, end, *page.NextForwardToken)
	text, _ = got(api.GetLogEventsInput{NextToken: page.NextBackwardToken, Limit: aws.Int32(6)})
	assert.Equal(t, "456789", text)
	require.NoError(t, s.PutLogEvents("/shop", "s", []cloudwatch.LogEvent{{Time: minute(1), Message: "new"}}))
	text, _ = got(api.GetLogEventsInput{NextToken: &end})
	assert.Equal(t, "new", text, "what came since")

	// And backward.
	text, page = got(api.GetLogEventsInput{Limit: aws.Int32(8)})
	assert.Equal(t, "3456789new", text)
	text, page = got(api.GetLogEventsInput{NextToken: page.NextBackwardToken, Limit: aws.Int32(8)})
	assert.Equal(t, "012", text)
	start := *page.NextBackwardToken
	text, page = got(api.GetLogEventsInput{NextToken: &start})
	assert.Empty(t, text)
	assert.Equal(t, start, *page.NextBackwardToken)
	text, _ = got(api.GetLogEventsInput{NextToken: page.NextForwardToken, Limit: aws.Int32(2)})
	assert.Equal(t, "01", text)

	for _, in := range []api.GetLogEventsInput{{NextToken: aws.String("x/1")}, {NextToken: aws.String("f/1")}, {StartTime: at(2), EndTime: at(1)}, {Limit: aws.Int32(0)}} {
		in.LogGroupName, in.LogStreamName = aws.String("/shop"), aws.String("s")
		_, err := logs.GetLogEvents(ctx, &in)
		assert.Equal(t, "InvalidParameterException", code(err))
	}
}

// Every page has at most 1 MB; a pattern is asked of each event once, whatever the
// pages are.
func TestFilteredEventsComeInPages(t *testing.T) {
	ctx := context.Background()
	s, logs := logsStand(t)
	big := strings.Repeat("x", 400<<10)
	for i := range 7 {
		require.NoError(t, s.PutLogEvents("/shop", fmt.Sprintf("s%d", i%2), []cloudwatch.LogEvent{{Time: epoch, Message: fmt.Sprintf("%d %s", i, big)}, {Time: epoch, Message: "between"}}))
	}
	var sizes []int
	var order string
	pages := api.NewFilterLogEventsPaginator(logs, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop"), FilterPattern: aws.String("x -between")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		require.NoError(t, err)
		sizes = append(sizes, len(page.Events))
		for _, e := range page.Events {
			order += (*e.Message)[:1]
		}
	}
	assert.Equal(t, []int{2, 2, 2, 1}, sizes)
	assert.Equal(t, "0123456", order)
	streams := func(in api.FilterLogEventsInput) (n int, err error) {
		in.LogGroupName, in.FilterPattern = aws.String("/shop"), aws.String("between")
		out, err := logs.FilterLogEvents(ctx, &in)
		if err != nil {
			return 0, err
		}
		return len(out.Events), nil
	}
	n, err := streams(api.FilterLogEventsInput{LogStreamNames: []string{"s1", "s"}})
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	n, err = streams(api.FilterLogEventsInput{LogStreamNamePrefix: aws.String("s0")})
	require.NoError(t, err)
	assert.Equal(t, 4, n)
	_, err = streams(api.FilterLogEventsInput{LogStreamNames: []string{"nobody"}})
	assert.Equal(t, "ResourceNotFoundException", code(err))
	_, err = streams(api.FilterLogEventsInput{LogStreamNames: []string{"s1"}, LogStreamNamePrefix: aws.String("s")})
	assert.Equal(t, "InvalidParameterException", code(err))
	_, err = streams(api.FilterLogEventsInput{NextToken: aws.String("7")})
	assert.Equal(t, "InvalidParameterException", code(err))
}

// A search that takes long is cut into pages, some of them empty, as in AWS: nobody
// waits for the store for longer than that.
func TestLongSearchesComeInPages(t *testing.T) {
	ctx := context.Background()
	s, logs := logsStand(t)
	line := strings.Repeat("x", 20_000)
	for i := range 30 {
		require.NoError(t, s.PutLogEvents("/shop", "s", []cloudwatch.LogEvent{{Time: epoch.Add(time.Duration(i) * time.Second), Message: line}}))
	}
	require.NoError(t, s.PutLogEvents("/shop", "s", []cloudwatch.LogEvent{{Time: minute(1), Message: line + "a" + strings.Repeat("b", 900)}}))
	pages, empty, found := 0, 0, 0
	all := api.NewFilterLogEventsPaginator(logs, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop"), FilterPattern: aws.String("%ab{900}%")})
	for all.HasMorePages() {
		page, err := all.NextPage(ctx)
		require.NoError(t, err)
		pages++
		found += len(page.Events)
		if len(page.Events) == 0 {
			empty++
		}
	}
	assert.Equal(t, 1, found)
	assert.Equal(t, pages-1, empty)
	// A line counts as 20,000 x 904 steps, what is found at once or not; a page ends after 100 million.
	assert.Equal(t, 6, pages)
}

func TestRejectedLogEvents(t *testing.T) {
	ctx := context.Background()
	_, logs := logsStand(t)
	put := func(minutes ...float64) (*types.RejectedLogEventsInfo, error) {
		in := &api.PutLogEventsInput{LogGroupName: aws.String("/shop"), LogStreamName: aws.String("s")}
		for _, m := range minutes {
			in.LogEvents = append(in.LogEvents, types.InputLogEvent{Timestamp: aws.Int64(minute(m).UnixMilli()), Message: aws.String(fmt.Sprint(m))})
		}
		out, err := logs.PutLogEvents(ctx, in)
		if err != nil {
			return nil, err
		}
		return out.RejectedLogEventsInfo, nil
	}
	const day = 24 * 60
	rejected, err := put(-20*day, -15*day, -10, 0, 119, 121)
	require.NoError(t, err, "the 24 hours are those of the events that are taken")
	assert.EqualValues(t, 2, *rejected.TooOldLogEventEndIndex)
	assert.EqualValues(t, 5, *rejected.TooNewLogEventStartIndex)
	assert.Nil(t, rejected.ExpiredLogEventEndIndex)
	_, err = put(-2*day, 0)
	assert.Equal(t, "InvalidParameterException", code(err))
	_, err = logs.PutRetentionPolicy(ctx, &api.PutRetentionPolicyInput{LogGroupName: aws.String("/shop"), RetentionInDays: aws.Int32(1)})
	require.NoError(t, err)
	rejected, err = put(-15*day, -2*day, -1)
	require.NoError(t, err)
	assert.EqualValues(t, 1, *rejected.TooOldLogEventEndIndex)
	assert.EqualValues(t, 2, *rejected.ExpiredLogEventEndIndex)
	rejected, err = put(121, 122)
	require.NoError(t, err)
	assert.EqualValues(t, 0, *rejected.TooNewLogEventStartIndex)
	out, err := logs.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop")})
	require.NoError(t, err)
	var kept []string
	for _, e := range out.Events {
		kept = append(kept, *e.Message)
	}
	assert.Equal(t, []string{"-10", "-1", "0", "119"}, kept)
}

func TestRetentionExpiresEvents(t *testing.T) {
	ctx := context.Background()
	s, logs := logsStand(t)
	require.NoError(t, s.PutLogEvents("/shop", "s", []cloudwatch.LogEvent{{Time: epoch, Message: "old"}, {Time: minute(60), Message: "young"}}))
	_, err := logs.PutRetentionPolicy(ctx, &api.PutRetentionPolicyInput{LogGroupName: aws.String("/shop"), RetentionInDays: aws.Int32(1)})
	require.NoError(t, err)
	s.set(minute(24*60 + 30))
	out, err := logs.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: aws.String("/shop")})
	require.NoError(t, err)
	require.Len(t, out.Events, 1)
	assert.Equal(t, "young", *out.Events[0].Message)
	groups, err := logs.DescribeLogGroups(ctx, &api.DescribeLogGroupsInput{})
	require.NoError(t, err)
	assert.EqualValues(t, len("young")+26, *groups.LogGroups[0].StoredBytes)
}

func TestMetricFiltersAreListedAndBounded(t *testing.T) {
	ctx := context.Background()
	s, logs := logsStand(t)
	put := func(group, name, pattern, metric string) error {
		_, err := logs.PutMetricFilter(ctx, &api.PutMetricFilterInput{LogGroupName: &group, FilterName: &name, FilterPattern: &pattern,
			MetricTransformations: []types.MetricTransformation{{MetricName: &metric, MetricNamespace: aws.String("Shop"), MetricValue: aws.String("1"), Unit: types.StandardUnitCount}}})
		return err
	}
	require.NoError(t, s.CreateLogGroup("/other"))
	for i := range 60 {
		require.NoError(t, put("/shop", fmt.Sprintf("f%02d", i), "x", fmt.Sprint("M", i%2)))
	}
	require.NoError(t, put("/other", "f00", "x", "M0"))
	list := func(in api.DescribeMetricFiltersInput) (names []string) {
		pages := api.NewDescribeMetricFiltersPaginator(logs, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			require.NoError(t, err)
			for _, f := range page.MetricFilters {
				names = append(names, *f.LogGroupName+":"+*f.FilterName)
			}
		}
		return names
	}
	all := list(api.DescribeMetricFiltersInput{Limit: aws.Int32(1)})
	require.Len(t, all, 61)
	assert.Equal(t, []string{"/other:f00", "/shop:f00", "/shop:f01"}, all[:3], "by the name of the filter")
	assert.Len(t, list(api.DescribeMetricFiltersInput{LogGroupName: aws.String("/shop"), FilterNamePrefix: aws.String("f1")}), 10)
	assert.Len(t, list(api.DescribeMetricFiltersInput{MetricName: aws.String("M0"), MetricNamespace: aws.String("Shop")}), 31)
	_, err := logs.DescribeMetricFilters(ctx, &api.DescribeMetricFiltersInput{MetricName: aws.String("M0")})
	assert.Equal(t, "InvalidParameterException", code(err))

	for i := range 5 {
		require.NoError(t, put("/other", fmt.Sprint("r", i), "%x%", "M"))
	}
	assert.Equal(t, "LimitExceededException", code(put("/other", "r5", "%x%", "M")), "five with regular expressions")
	require.NoError(t, put("/other", "r4", "%y%", "M"), "one of the five, changed")
	require.NoError(t, put("/other", "r5", "y", "M"))

	f := filter(`{ $.id = * }`, "1")
	f.Name, f.Metric, f.Dimensions = "dims", "ById", map[string]string{"Id": "$.id"}
	require.NoError(t, s.PutMetricFilter(f))
	for i := range 1100 {
		s.log(t, 0, fmt.Sprintf(`{"id":%d}`, i), `{"id":0}`)
	}
	assert.Equal(t, 1000, s.SeriesOf("ById"))

	tested, err := logs.TestMetricFilter(ctx, &api.TestMetricFilterInput{FilterPattern: aws.String(`[ip, ..., status=5*]`), LogEventMessages: []string{"1.1.1.1 x 200", "2.2.2.2 y z 503"}})
	require.NoError(t, err)
	require.Len(t, tested.Matches, 1)
	assert.Equal(t, map[string]string{"$ip": "2.2.2.2", "$2": "y", "$3": "z", "$status": "503"}, tested.Matches[0].ExtractedValues)
}

// Many groups together are bounded too.
func TestAllLogsAreBounded(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	big := strings.Repeat("x", 1<<20)
	for i := range 200 {
		require.NoError(t, s.PutLogEvents(fmt.Sprint("/g/", i%20), "s", []cloudwatch.LogEvent{{Time: epoch, Message: big}}))
		require.LessOrEqual(t, s.LogBytes(), 64<<20)
	}
	assert.Greater(t, s.LogBytes(), 16<<20, "and not for nothing")
}

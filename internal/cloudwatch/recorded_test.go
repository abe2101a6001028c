package cloudwatch_test

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRecordedRequests replays what botocore sends, so that its way of writing
// JSON and Query is covered where it is not installed: each request of
// testdata/boto3_client.py gets the answer that the client there went on from. To
// record them again, with a server whose time is 1767603600 at ENDPOINT:
//
//	python3 testdata/boto3_client.py ENDPOINT json 1767603600 testdata/boto3_json.txt
//
// The test does that by itself when REHEARSAL_RECORD is set.
func TestRecordedRequests(t *testing.T) {
	for name, protocol := range map[string]smithyhttp.ClientProtocol{
		"json":  awsjson.New10(schemas.GraniteServiceVersion20100801),
		"query": awsquery.New(schemas.GraniteServiceVersion20100801),
	} {
		t.Run(name, func(t *testing.T) {
			file := "testdata/boto3_" + name + ".txt"
			if os.Getenv("REHEARSAL_RECORD") != "" {
				record(t, name, file)
			}
			replay(t, protocol, file)
		})
	}
}

func replay(t *testing.T, protocol smithyhttp.ClientProtocol, file string) {
	s := serve(t)
	codes := map[string]int{}
	answers := map[string]smithy.Deserializable{}
	for _, r := range recorded(t, file) {
		w := send(t, s.Store, r.method, r.path, r.body, r.headers...)
		out := outputs(r.operation)
		require.NotNil(t, out, r.operation)
		result := smithy.NewSchema(smithy.ShapeID{}, smithy.ShapeTypeStructure, 0)
		switch r.operation {
		case "PutMetricData", "PutMetricAlarm", "DeleteAlarms", "SetAlarmState", "EnableAlarmActions", "DisableAlarmActions":
			result = nil // as the service's model says
		}
		call := smithy.NewOperationSchema(smithy.NewSchema(smithy.ShapeID{Name: r.operation}, smithy.ShapeTypeOperation, 0), nil, result)
		got := &smithyhttp.Response{Response: &http.Response{StatusCode: w.status, Header: w.header, Body: http.NoBody}}
		got.Body = readCloser{strings.NewReader(w.body.String())}
		err := protocol.DeserializeResponse(context.Background(), call, api.TypeRegistry, got, out)
		var e smithy.APIError
		if assert.Equal(t, w.status >= 300, err != nil, "%s: %v", r.operation, err) && err != nil && assert.ErrorAs(t, err, &e, r.operation) {
			codes[e.ErrorCode()]++
			continue
		}
		answers[r.operation] = out // the last
	}
	// JSON tells both codes, of which the SDK prefers that of Query.
	for _, e := range [][2]string{{"InvalidParameterValueException", "InvalidParameterValue"}, {"MissingRequiredParameterException", "MissingParameter"},
		{"InvalidParameterCombinationException", "InvalidParameterCombination"}, {"InvalidNextToken", "InvalidNextToken"}, {"InvalidFormatFault", "InvalidFormat"},
		{"ResourceNotFoundException", "ResourceNotFoundException"}, {"DashboardInvalidInputError", "InvalidParameterInput"}, {"UnknownOperationException", "InvalidAction"}} {
		assert.Equal(t, 1, max(codes[e[0]], codes[e[1]]), "%s: %v", e, codes)
	}
	assert.Equal(t, []float64{0}, answers["GetMetricData"].(*api.GetMetricDataOutput).MetricDataResults[0].Values, "the second page")
	assert.Equal(t, map[string]float64{"p50": 0.001, "p100": 0.2}, answers["GetMetricStatistics"].(*api.GetMetricStatisticsOutput).Datapoints[0].ExtendedStatistics)
	assert.Equal(t, "Alarm updated from INSUFFICIENT_DATA to ALARM", *answers["DescribeAlarmHistory"].(*api.DescribeAlarmHistoryOutput).AlarmHistoryItems[0].HistorySummary)
	assert.Equal(t, "owner", *answers["ListTagsForResource"].(*api.ListTagsForResourceOutput).Tags[0].Key)
	assert.JSONEq(t, `{"widgets":[{"type":"text","properties":{"markdown":"<&> 日本"}}]}`, *answers["GetDashboard"].(*api.GetDashboardOutput).DashboardBody)
	assert.True(t, answers["ListDashboards"].(*api.ListDashboardsOutput).DashboardEntries[0].LastModified.Equal(epoch))
	assert.Empty(t, answers["DescribeAlarms"].(*api.DescribeAlarmsOutput).MetricAlarms, "deleted at the end")
	assert.Equal(t, aws.Float64(7.25), answers["DescribeAlarmsForMetric"].(*api.DescribeAlarmsForMetricOutput).MetricAlarms[0].Threshold)
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func outputs(operation string) smithy.Deserializable {
	switch operation {
	case "PutMetricData":
		return &api.PutMetricDataOutput{}
	case "GetMetricData":
		return &api.GetMetricDataOutput{}
	case "GetMetricStatistics":
		return &api.GetMetricStatisticsOutput{}
	case "ListMetrics":
		return &api.ListMetricsOutput{}
	case "PutMetricAlarm":
		return &api.PutMetricAlarmOutput{}
	case "DescribeAlarms":
		return &api.DescribeAlarmsOutput{}
	case "DescribeAlarmsForMetric":
		return &api.DescribeAlarmsForMetricOutput{}
	case "DescribeAlarmHistory":
		return &api.DescribeAlarmHistoryOutput{}
	case "DeleteAlarms":
		return &api.DeleteAlarmsOutput{}
	case "SetAlarmState":
		return &api.SetAlarmStateOutput{}
	case "EnableAlarmActions":
		return &api.EnableAlarmActionsOutput{}
	case "DisableAlarmActions":
		return &api.DisableAlarmActionsOutput{}
	case "TagResource":
		return &api.TagResourceOutput{}
	case "UntagResource":
		return &api.UntagResourceOutput{}
	case "ListTagsForResource":
		return &api.ListTagsForResourceOutput{}
	case "PutDashboard":
		return &api.PutDashboardOutput{}
	case "GetDashboard":
		return &api.GetDashboardOutput{}
	case "ListDashboards":
		return &api.ListDashboardsOutput{}
	case "DeleteDashboards":
		return &api.DeleteDashboardsOutput{}
	case "GetMetricWidgetImage":
		return &api.GetMetricWidgetImageOutput{}
	}
	return nil
}

type request struct {
	operation, method, path, body string
	headers                       []string
}

// recorded reads a file of requests: a line "### operation", one of the method and
// the path, headers, an empty line, and the body in one line.
func recorded(t *testing.T, file string) (all []request) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		operation, ok := strings.CutPrefix(lines.Text(), "### ")
		require.True(t, ok, lines.Text())
		require.True(t, lines.Scan())
		r := request{operation: operation}
		r.method, r.path, ok = strings.Cut(lines.Text(), " ")
		require.True(t, ok, lines.Text())
		for lines.Scan() && lines.Text() != "" {
			name, value, ok := strings.Cut(lines.Text(), ": ")
			require.True(t, ok, lines.Text())
			r.headers = append(r.headers, name, value)
		}
		require.True(t, lines.Scan())
		r.body = lines.Text()
		all = append(all, r)
	}
	require.NoError(t, lines.Err())
	require.Greater(t, len(all), 30)
	return all
}

func record(t *testing.T, protocol, file string) {
	foreignRun(t, "python3", "testdata/boto3_client.py", serve(t).server.URL, protocol, strconv.FormatInt(epoch.Unix(), 10), file)
}

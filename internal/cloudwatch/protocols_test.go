package cloudwatch_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/cloudwatch"
)

// inEveryProtocol runs a test with the SDK's client speaking each of CloudWatch's
// protocols, each with a store of its own.
func inEveryProtocol(t *testing.T, test func(t *testing.T, s *stand)) {
	for name, p := range map[string]struct {
		protocol smithyhttp.ClientProtocol
		content  string
	}{
		"CBOR":  {rpcv2.NewCBOR(schemas.GraniteServiceVersion20100801), "application/cbor"},
		"JSON":  {awsjson.New10(schemas.GraniteServiceVersion20100801), "application/x-amz-json-1.0"},
		"Query": {awsquery.New(schemas.GraniteServiceVersion20100801), "application/x-www-form-urlencoded"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			plain := s.cw.Options().HTTPClient
			s.cw = api.New(s.cw.Options(), func(o *api.Options) {
				o.Protocol = p.protocol
				o.HTTPClient = roundTrip(func(r *http.Request) (*http.Response, error) {
					assert.Equal(t, p.content, r.Header.Get("Content-Type"))
					answer, err := plain.Do(r)
					if err == nil && answer.StatusCode < 500 {
						want := p.content
						if name == "Query" {
							want = "text/xml"
						}
						assert.Equal(t, want, answer.Header.Get("Content-Type"))
					}
					return answer, err
				})
			})
			test(t, s)
		})
	}
}

// All that a shape can hold comes through in every protocol: numbers, times,
// texts that need escaping, lists in lists, empty lists.
func TestEveryProtocolCarriesTheSame(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, s *stand) {
		ctx := context.Background()
		at := minute(1)
		s.set(minute(2))
		_, err := s.cw.PutMetricData(ctx, &api.PutMetricDataInput{Namespace: aws.String("shop & <sons>"), MetricData: []types.MetricDatum{
			{MetricName: aws.String("Latency"), Dimensions: dims("a", "1 2+3%&=", "b", "<&>\"'"), Timestamp: &at, Values: []float64{0.125, 1e-9, 3e20}, Counts: []float64{1, 2, 3}, Unit: "Seconds"},
			{MetricName: aws.String("Latency"), Dimensions: dims("b", "<&>\"'", "a", "1 2+3%&="), Timestamp: &at, StorageResolution: aws.Int32(1), Unit: "Seconds",
				StatisticValues: &types.StatisticSet{SampleCount: aws.Float64(2), Sum: aws.Float64(-3), Minimum: aws.Float64(-2), Maximum: aws.Float64(-1)}},
		}})
		require.NoError(t, err)
		list, err := s.cw.ListMetrics(ctx, &api.ListMetricsInput{Dimensions: []types.DimensionFilter{{Name: aws.String("b")}}})
		require.NoError(t, err)
		require.Len(t, list.Metrics, 1)
		assert.Equal(t, "shop & <sons>", *list.Metrics[0].Namespace)
		assert.Equal(t, dims("a", "1 2+3%&=", "b", "<&>\"'"), list.Metrics[0].Dimensions)

		out, err := s.cw.GetMetricStatistics(ctx, &api.GetMetricStatisticsInput{Namespace: list.Metrics[0].Namespace, MetricName: aws.String("Latency"), Dimensions: list.Metrics[0].Dimensions,
			StartTime: aws.Time(epoch), EndTime: aws.Time(minute(5)), Period: aws.Int32(60), Statistics: []types.Statistic{"Minimum", "Maximum", "SampleCount"}})
		require.NoError(t, err)
		require.Len(t, out.Datapoints, 1)
		p := out.Datapoints[0]
		assert.True(t, p.Timestamp.Equal(at), "%v", p.Timestamp)
		assert.Equal(t, []float64{-2, 3e20, 8}, []float64{*p.Minimum, *p.Maximum, *p.SampleCount})
		assert.Nil(t, p.Sum)
		assert.Equal(t, types.StandardUnitSeconds, p.Unit)

		put := &api.PutMetricAlarmInput{AlarmName: aws.String("slow: 遅い & <late>"), AlarmDescription: aws.String("line\nbreak\ttab"), Metrics: []types.MetricDataQuery{
			{Id: aws.String("e"), Expression: aws.String("m*2"), ReturnData: aws.Bool(true)},
			{Id: aws.String("m"), ReturnData: aws.Bool(false), MetricStat: &types.MetricStat{Stat: aws.String("p99"), Period: aws.Int32(60),
				Metric: &types.Metric{Namespace: list.Metrics[0].Namespace, MetricName: aws.String("Latency"), Dimensions: list.Metrics[0].Dimensions}}}},
			EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(-0.5), ComparisonOperator: "LessThanThreshold", AlarmActions: []string{"arn:aws:sns:us-east-1:000000000000:t"}, ActionsEnabled: aws.Bool(false)}
		_, err = s.cw.PutMetricAlarm(ctx, put)
		require.NoError(t, err)
		all, err := s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{AlarmNames: []string{*put.AlarmName}, AlarmTypes: []types.AlarmType{"MetricAlarm"}})
		require.NoError(t, err)
		require.Len(t, all.MetricAlarms, 1)
		a := all.MetricAlarms[0]
		assert.Equal(t, put.Metrics, a.Metrics)
		assert.Equal(t, []any{*put.AlarmName, *put.AlarmDescription, -0.5, false, put.AlarmActions}, []any{*a.AlarmName, *a.AlarmDescription, *a.Threshold, *a.ActionsEnabled, a.AlarmActions})
		assert.True(t, a.AlarmConfigurationUpdatedTimestamp.Equal(minute(2)))

		_, err = s.cw.DeleteAlarms(ctx, &api.DeleteAlarmsInput{AlarmNames: []string{*put.AlarmName}})
		require.NoError(t, err)
		all, err = s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{})
		require.NoError(t, err)
		assert.Empty(t, all.MetricAlarms)
	})
}

// An error is the SDK's own type in every protocol, with the code and the status
// that the service's model gives it.
func TestEveryProtocolTellsErrors(t *testing.T) {
	inEveryProtocol(t, func(t *testing.T, s *stand) {
		ctx := context.Background()
		_, err := s.cw.PutMetricData(ctx, &api.PutMetricDataInput{Namespace: aws.String("shop"), MetricData: []types.MetricDatum{{MetricName: aws.String("m"), Value: aws.Float64(1), Unit: "Furlongs <&>"}}})
		var typed *types.InvalidParameterValueException
		require.ErrorAs(t, err, &typed)
		assert.Contains(t, typed.ErrorMessage(), `MetricData.member.1.Unit is "Furlongs <&>", which is no unit`)
		_, err = s.cw.SetAlarmState(ctx, &api.SetAlarmStateInput{AlarmName: aws.String("nobody"), StateReason: aws.String("x"), StateValue: "OK"})
		var gone *types.ResourceNotFound
		require.ErrorAs(t, err, &gone)
		var status *smithyhttp.ResponseError
		require.ErrorAs(t, err, &status)
		assert.Equal(t, http.StatusNotFound, status.HTTPStatusCode())
		_, err = s.cw.GetMetricWidgetImage(ctx, &api.GetMetricWidgetImageInput{MetricWidget: aws.String("{}")})
		var unknown smithy.APIError
		require.ErrorAs(t, err, &unknown)
		assert.Contains(t, []string{"UnknownOperationException", "InvalidAction"}, unknown.ErrorCode())
		assert.Equal(t, `the operation "GetMetricWidgetImage" of CloudWatch is not part of this CloudWatch`, unknown.ErrorMessage())
	})
}

func TestWhoCalls(t *testing.T) {
	s := serve(t)
	client := sts.New(sts.Options{BaseEndpoint: aws.String(s.server.URL), Region: "us-east-1", Credentials: s.cw.Options().Credentials, HTTPClient: s.cw.Options().HTTPClient})
	out, err := client.GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
	require.NoError(t, err)
	assert.Equal(t, []string{"000000000000", "arn:aws:iam::000000000000:root"}, []string{*out.Account, *out.Arn})
}

// send gives a request to the handler itself.
func send(t testing.TB, s *cloudwatch.Store, method, path, body string, headers ...string) *answer {
	r, err := http.NewRequest(method, path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := &answer{header: http.Header{}}
	s.Handler().ServeHTTP(w, r)
	return w
}

const (
	cborPath   = "/service/GraniteServiceVersion20100801/operation/"
	jsonTarget = "GraniteServiceVersion20100801."
	formType   = "application/x-www-form-urlencoded; charset=utf-8"
	version    = "&Version=2010-08-01"
)

func fresh() *cloudwatch.Store {
	return cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return epoch }})
}

func TestQueryThatNoSDKSends(t *testing.T) {
	const datum = "Action=PutMetricData" + version + "&Namespace=shop&MetricData.member.1.MetricName=m"
	for _, c := range []struct {
		form   string
		status int
		text   string
	}{
		{"Action=ListMetrics" + version, 200, `<ListMetricsResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ListMetricsResult><Metrics></Metrics></ListMetricsResult><ResponseMetadata><RequestId>`},
		{datum + "&MetricData.member.1.Value=1", 200, `<PutMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ResponseMetadata>`},
		{datum + "&MetricData.member.1000000000.MetricName=n&MetricData.member.1000000000.Value=1&MetricData.member.1.Value=1&MetricData.member.1.Dimensions=", 200, "<RequestId>"},
		{datum + "&MetricData.member.1.Value=1&MetricData.member.01.Value=1", 400, "<Code>MalformedInput</Code><Message>the request is wrong: MetricData: the item 1 is given twice</Message>"},
		{datum + "&MetricData.member.1.Value=1&MetricData.member.1.Value=2", 400, "the parameter MetricData.member.1.Value is given twice"},
		{datum + "&MetricData.member.0.Value=1", 400, "want the number of an item, got &#34;0&#34;"},
		{datum + "&MetricData.member.99999999999999999999.Value=1", 400, "want the number of an item"},
		{datum + "&MetricData.1.Value=1", 400, "want member.N"},
		{datum + "&MetricData.member.1.Value=much", 400, "want a number, got &#34;much"},
		{datum + "&MetricData.member.1.Value=NaN", 400, "<Type>Sender</Type><Code>InvalidParameterValue</Code><Message>MetricData.member.1.Value is NaN"},
		{datum + "&MetricData.member.1.Value=-Infinity", 400, "<Code>InvalidParameterValue</Code>"},
		{datum + "&MetricData.member.1.Value=1e999", 400, "<Code>InvalidParameterValue</Code>"},
		{datum + "&MetricData.member.1.Value=1&MetricData.member.1.StorageResolution=1.5", 400, "want a whole number of 32 bits"},
		{datum + "&MetricData.member.1.Value=1&MetricData.member.1.Timestamp=yesterday", 400, "timestamp must follow ISO8601"},
		{datum + "&MetricData.member.1.Value=1&MetricData.member.1.Timestamp=2026-01-05T08:59:00.5%2B00:00", 200, "RequestId"},
		{datum + "&MetricData.member.1.Value.Deeper=1", 400, "want a value"},
		{datum + "=&Namespace.x=1", 400, "Namespace: want a value"},
		{datum, 400, "<Code>MissingParameter</Code><Message>the parameter MetricData.member.1.Value is required</Message>"},
		{"Action=ListMetrics" + version + "&%zz=1", 400, "MalformedInput"},
		{"Action=ListMetrics" + version + "&Namespace=%ff", 400, "not UTF-8"},
		{"Action=ListMetrics" + version + "&" + strings.Repeat("a.", 100), 400, "max nesting depth"},
		{"Action=NoSuchThing" + version, 400, "<Code>InvalidAction</Code><Message>the operation &#34;NoSuchThing&#34; of CloudWatch is not part of this CloudWatch</Message>"},
		{"Action=ListMetrics&Version=1999-01-01", 400, "could not find operation ListMetrics for version 1999-01-01"},
		{"Action=GetCallerIdentity", 200, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">`},
		{"Version=2010-08-01", 404, "UnknownOperationException"},
	} {
		got := send(t, fresh(), "POST", "/", c.form, "Content-Type", formType)
		assert.Equal(t, c.status, got.status, "%s: %s", c.form, got.body.String())
		assert.Contains(t, got.body.String(), c.text, c.form)
	}
	got := send(t, fresh(), "GET", "/?Action=ListMetrics"+version+"&Namespace=x", "")
	assert.Equal(t, 200, got.status, got.body.String())
	assert.Equal(t, "text/xml", got.header.Get("Content-Type"))
	got = send(t, fresh(), "DELETE", "/?Action=ListMetrics"+version, "")
	assert.Equal(t, 400, got.status)
	got = send(t, fresh(), "POST", "/", zipped(t, []byte(datum+"&MetricData.member.1.Value=1")), "Content-Type", formType, "Content-Encoding", "gzip")
	assert.Equal(t, 200, got.status, got.body.String())
	got = send(t, fresh(), "POST", "/", "Action=ListMetrics"+version+"&"+strings.Repeat("x", 1<<20), "Content-Type", formType)
	assert.Equal(t, 413, got.status)
}

func TestJSONThatNoSDKSends(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
		text       string
	}{
		{"ListMetrics", "", 200, `{"Metrics":[]}`},
		{"ListMetrics", "{}", 200, `{"Metrics":[]}`},
		{"ListMetrics", `{"Namespace":null,"Other":{"a":[1,{"b":null}]}}`, 200, `{"Metrics":[]}`},
		{"ListMetrics", `{"Namespace":7}`, 400, `{"__type":"SerializationException","message":"the request is wrong: Namespace: expected string, got 7"}`},
		{"ListMetrics", `{"Namespace":"x"`, 400, "it is not JSON"},
		{"ListMetrics", `[]`, 400, "SerializationException"},
		{"ListMetrics", `null`, 400, "SerializationException"},
		{"ListMetrics", `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}", 400, "max nesting depth"},
		{"ListMetrics", `{` + strings.Repeat(`"a":0,`, 2000) + `"b":0}`, 400, "more than 1000 members"},
		{"PutMetricData", `{"Namespace":"n","MetricData":[` + strings.Repeat("{},", 100_001) + `{}]}`, 400, "more than 100000 items"},
		{"PutMetricData", `{"Namespace":"n","MetricData":[{"MetricName":"m","Value":"NaN"}]}`, 400, `{"__type":"com.amazonaws.cloudwatch#InvalidParameterValueException"`},
		{"PutMetricData", `{"Namespace":"n","MetricData":[{"MetricName":"m","Value":1e999}]}`, 400, "SerializationException"},
		{"PutMetricData", `{"Namespace":"n","MetricData":[{"MetricName":"m","Value":1,"Timestamp":1e300}]}`, 400, "Exception"},
		{"PutMetricData", `{"Namespace":"n","MetricData":[{"MetricName":"m","Value":1,"Timestamp":"2026-01-05T09:00:00Z"}]}`, 400, "SerializationException"},
		{"PutMetricData", `{"Namespace":"n","MetricData":[{"MetricName":"m","Value":1,"Timestamp":1767603600.25}]}`, 200, "{}"},
		{"GetMetricData", `{"StartTime":1e300,"EndTime":0}`, 400, "Exception"},
		{"NoSuchThing", `{}`, 404, `"__type":"UnknownOperationException","message":"the operation \"NoSuchThing\" of CloudWatch is not part of this CloudWatch"`},
	} {
		got := send(t, fresh(), "POST", "/", c.body, "X-Amz-Target", jsonTarget+c.name, "Content-Type", "application/x-amz-json-1.0")
		text := got.body.String()
		assert.Equal(t, c.status, got.status, "%.100s: %s", c.body, text)
		assert.Contains(t, text, c.text, "%.100s", c.body)
		assert.Equal(t, "application/x-amz-json-1.0", got.header.Get("Content-Type"))
		if c.status >= 400 {
			assert.Contains(t, got.header.Get("X-Amzn-Query-Error"), ";Sender")
		}
	}
	assert.Equal(t, 404, send(t, fresh(), "POST", "/", "{}", "X-Amz-Target", "DynamoDB_20120810.ListTables").status)
}

func TestCBORThatNoSDKSends(t *testing.T) {
	for name, c := range map[string]struct{ body, text string }{
		"nothing but a tag":    {strings.Repeat("\xc1", 100), "max nesting depth"},
		"a million lists":      {"\xa1\x61a" + strings.Repeat("\x81", 1<<19), "max nesting depth"},
		"a huge text":          {"\xa1\x69Namespace\x7b\xff\xff\xff\xff\xff\xff\xff\xff", "exceeds remaining data"},
		"a huge list":          {"\xa1\x6aMetricData\x9a\xff\xff\xff\xff\xf6", "exceeds remaining data"},
		"a huge map":           {"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff", "exceeds remaining data"},
		"truncated":            {"\xa1\x69Names", "exceeds remaining data"},
		"half a number":        {"\xa1\x69Namespace\x1b\x01", "unexpected end"},
		"endless":              {"\xbf\x69Namespace", "unexpected end"},
		"half a pair":          {"\xbf\x69Namespace\xff", "unexpected end of an item"},
		"break in a list of 1": {"\xa1\x61a\x81\xff", "unexpected end of an item"},
		"more after the end":   {"\xa0\xa0", "something follows"},
		"a text in bytes":      {"\xa1\x61a\x7f\x41x\xff", "in pieces"},
		"no UTF-8":             {"\xa1\x69Namespace\x61\xff", "not UTF-8"},
		"many members":         {"\xbf" + strings.Repeat("\x61a\x00", 1001) + "\xff", "more than 1000 members"},
		"many items":           {"\xa1\x6aMetricData\x9f" + strings.Repeat("\xa0", 100_001) + "\xff", "more than 100000 items"},
		"reserved":             {"\xa1\x61a\x1c", "unexpected minor"},
		"null":                 {"\xf6", "SerializationException"},
		"a null item":          {"\xa1\x6aMetricData\x81\xf6", "SerializationException"},
	} {
		got := send(t, fresh(), "POST", cborPath+"PutMetricData", c.body)
		assert.Equal(t, 400, got.status, name)
		assert.Contains(t, got.body.String(), c.text, name)
		assert.Equal(t, "rpc-v2-cbor", got.header.Get("Smithy-Protocol"))
		assert.Equal(t, "SerializationException;Sender", got.header.Get("X-Amzn-Query-Error"), name)
	}
}

// names are operations for the fuzz tests to choose from.
var names = []string{"PutMetricData", "PutMetricAlarm", "GetMetricData", "DescribeAlarms", "SetAlarmState", "GetMetricStatistics", "ListMetrics", "DescribeAlarmHistory",
	"DeleteAlarms", "DescribeAlarmsForMetric", "EnableAlarmActions", "TagResource", "UntagResource", "ListTagsForResource", "PutDashboard", "GetDashboard", "ListDashboards", "DeleteDashboards", "PutCompositeAlarm"}

// answers asserts that whatever was sent is answered, and never with an error of
// the server.
func answers(t *testing.T, s *cloudwatch.Store, w *answer) {
	require.Less(t, w.status, 500, "%s", w.body.String())
	require.GreaterOrEqual(t, w.status, 200)
	s.Evaluate(minute(1))
	s.Evaluate(minute(2))
}

func FuzzCBOR(f *testing.F) {
	for n := range names {
		f.Add(byte(n), []byte("\xa2\x69Namespace\x64shop\x6aMetricData\x81\xa2\x6aMetricName\x61e\x65Value\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00"))
		f.Add(byte(n), []byte("\xbf\x69StartTime\xc1\xfb\x41\xd9\x00\x00\x00\x00\x00\x00\x67EndTime\xc1\x1a\x69\x5b\x00\x00\xff"))
		f.Add(byte(n), []byte("\xa1\x61a\x7f\x61x\x61y\xff"))
		f.Add(byte(n), []byte("\xa1\x6aMetricData\x9a\xff\xff\xff\xff\xf6"))
	}
	f.Fuzz(func(t *testing.T, n byte, body []byte) {
		s := fresh()
		answers(t, s, send(t, s, "POST", cborPath+names[int(n)%len(names)], string(body)))
	})
}

func FuzzJSON(f *testing.F) {
	for n := range names {
		f.Add(byte(n), `{"Namespace":"shop","MetricData":[{"MetricName":"e","Value":1,"Timestamp":1767603600,"Dimensions":[{"Name":"a","Value":"b"}],"Unit":"Count"}]}`)
		f.Add(byte(n), `{"AlarmName":"a","AlarmNames":["a"],"Namespace":"shop","MetricName":"e","StartTime":0,"EndTime":1e9,"Period":60,"Statistics":["Sum"],"Statistic":"Sum","EvaluationPeriods":1,"Threshold":1,"ComparisonOperator":"GreaterThanThreshold"}`)
		f.Add(byte(n), `{"DashboardName":"d","DashboardBody":"{}","ResourceARN":"arn:aws:cloudwatch:us-east-1:000000000000:alarm:a","Tags":[{"Key":"k","Value":"v"}]}`)
	}
	f.Fuzz(func(t *testing.T, n byte, body string) {
		s := fresh()
		answers(t, s, send(t, s, "POST", "/", body, "X-Amz-Target", jsonTarget+names[int(n)%len(names)]))
	})
}

func FuzzQuery(f *testing.F) {
	for n := range names {
		f.Add(byte(n), "Namespace=shop&MetricData.member.1.MetricName=e&MetricData.member.1.Value=1&MetricData.member.1000000000.Timestamp=2026-01-05T09:00:00Z")
		f.Add(byte(n), "MetricName=m&Namespace=n&StartTime=2026-01-05T09:00:00Z&EndTime=2026-01-05T10:00:00.5Z&Period=60&Statistics.member.2=Sum&Statistics.member.1=Average")
		f.Add(byte(n), "MetricDataQueries.member.1.Id=a&MetricDataQueries.member.1.Expression=1&StartTime=2026-01-05&EndTime=2026-01-06&AlarmNames.member.1=&Statistics=")
	}
	f.Add(byte(0), "Action=GetCallerIdentity&Version=2011-06-15")
	f.Fuzz(func(t *testing.T, n byte, form string) {
		s := fresh()
		answers(t, s, send(t, s, "POST", "/", fmt.Sprintf("Action=%s%s&%s", names[int(n)%len(names)], version, form), "Content-Type", formType))
	})
}

package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdkhttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"rehearsal/internal/alarm"
	"rehearsal/internal/awshttp"
)

// An Eye sees a CloudWatch, and changes nothing in it.
type Eye struct {
	URL    string // "": AWS itself
	Region string

	metrics *cloudwatch.Client
	logs    *cloudwatchlogs.Client
	sts     *sts.Client
	http    *http.Client // of an endpoint that was named; nil: the SDK's
}

// Patience with a call, and how often it is tried; between tries the SDK waits twice as
// long each time, with jitter, up to 20 s.
const (
	callTakes = 30 * time.Second
	attempts  = 4
)

// LocalStackURL is where LocalStack answers by its own default.
const LocalStackURL = "http://127.0.0.1:4566"

// OpenURL is an eye for a CloudWatch at an endpoint, with made-up credentials. One that
// is not on this machine is refused unless remote is set.
func OpenURL(text string, remote bool) (*Eye, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("--cloudwatch %q: it is a URL such as %s, \"localstack\" or \"aws\"", text, LocalStackURL)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("--cloudwatch %q: want scheme, host and port, and no more", text)
	case !local(u.Hostname()) && !remote:
		return nil, fmt.Errorf("--cloudwatch %q: this is not on this machine: say --cloudwatch aws for your account, or --allow-remote if this endpoint is meant", text)
	}
	e := &Eye{URL: u.Scheme + "://" + u.Host, Region: "us-east-1", http: &http.Client{
		Timeout: callTakes, Transport: awshttp.WholeAnswers(&http.Transport{MaxIdleConnsPerHost: 4}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	e.open(aws.Config{BaseEndpoint: aws.String(e.URL), Region: e.Region, HTTPClient: e.http,
		Credentials: credentials.NewStaticCredentialsProvider("rehearsal", "rehearsal", "")})
	return e, nil
}

// local takes localhost, its subdomains (RFC 6761) and loopback addresses.
func local(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && net.IP(addr.AsSlice()).IsLoopback()
}

// OpenAWS is an eye for the account and region that the SDK's own rules select.
func OpenAWS(ctx context.Context) (*Eye, error) {
	config, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS: its configuration cannot be read: %w", err)
	}
	if config.Region == "" {
		return nil, errors.New("AWS: no region is set: name one by AWS_REGION, or in the profile")
	}
	if b, ok := config.HTTPClient.(*sdkhttp.BuildableClient); ok {
		config.HTTPClient = b.WithTimeout(callTakes)
	}
	e := &Eye{Region: config.Region}
	e.open(config)
	e.URL = aws.ToString(e.metrics.Options().BaseEndpoint)
	return e, nil
}

// open makes the clients. All that they send goes through the guard.
func (e *Eye) open(config aws.Config) {
	config.APIOptions = append(slices.Clip(config.APIOptions), guarded)
	config.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = attempts })
	}
	next := config.HTTPClient
	if next == nil {
		next = http.DefaultClient
	}
	config.HTTPClient = guardedTransport{next}
	e.metrics, e.logs, e.sts = cloudwatch.NewFromConfig(config), cloudwatchlogs.NewFromConfig(config), sts.NewFromConfig(config)
}

// Who asks who one is there.
func (e *Eye) Who(ctx context.Context) (account, arn string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTakes)
	defer cancel()
	out, err := e.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", fmt.Errorf("which account this is cannot be found out; log in, or choose a profile by AWS_PROFILE: %w", err)
	}
	return aws.ToString(out.Account), aws.ToString(out.Arn), nil
}

// Close ends idle connections.
func (e *Eye) Close() {
	if e.http != nil {
		e.http.CloseIdleConnections()
	}
}

// An AlarmSeen is an alarm as CloudWatch has it.
type AlarmSeen struct {
	State   alarm.State
	Since   time.Time
	Actions bool
	// Metric is what the alarm is defined as; nil: a composite one.
	Metric *alarm.Alarm
}

const alarmsPerCall = 100

// Alarms is those of that names that there are.
func (e *Eye) Alarms(ctx context.Context, names []string) (map[string]AlarmSeen, error) {
	seen := map[string]AlarmSeen{}
	for batch := range slices.Chunk(names, alarmsPerCall) {
		out, err := e.metrics.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: batch, MaxRecords: aws.Int32(alarmsPerCall),
			AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}})
		if err != nil {
			return nil, err
		}
		for _, a := range out.MetricAlarms {
			state, err := alarm.ParseState(string(a.StateValue))
			if err != nil {
				return nil, fmt.Errorf("the alarm %q: %w", aws.ToString(a.AlarmName), err)
			}
			seen[aws.ToString(a.AlarmName)] = AlarmSeen{state, aws.ToTime(firstOf(a.StateTransitionedTimestamp, a.StateUpdatedTimestamp)), aws.ToBool(a.ActionsEnabled), defined(a)}
		}
		for _, a := range out.CompositeAlarms {
			state, err := alarm.ParseState(string(a.StateValue))
			if err != nil {
				return nil, fmt.Errorf("the alarm %q: %w", aws.ToString(a.AlarmName), err)
			}
			seen[aws.ToString(a.AlarmName)] = AlarmSeen{State: state, Since: aws.ToTime(firstOf(a.StateTransitionedTimestamp, a.StateUpdatedTimestamp)), Actions: aws.ToBool(a.ActionsEnabled)}
		}
	}
	return seen, nil
}

func firstOf(times ...*time.Time) *time.Time {
	for _, t := range times {
		if t != nil {
			return t
		}
	}
	return nil
}

// defined is what of an alarm's definition decides when it goes off.
func defined(a types.MetricAlarm) *alarm.Alarm {
	var metrics []alarm.MetricDataQuery
	for _, q := range a.Metrics {
		one := alarm.MetricDataQuery{Id: aws.ToString(q.Id), Expression: aws.ToString(q.Expression), ReturnData: q.ReturnData == nil || *q.ReturnData}
		if s := q.MetricStat; s != nil && s.Metric != nil {
			one.MetricStat = &alarm.MetricStat{Stat: aws.ToString(s.Stat), Period: int(aws.ToInt32(s.Period)), Unit: string(s.Unit),
				Metric: alarm.Metric{Namespace: aws.ToString(s.Metric.Namespace), MetricName: aws.ToString(s.Metric.MetricName), Dimensions: dimensions(s.Metric.Dimensions)}}
		}
		metrics = append(metrics, one)
	}
	return &alarm.Alarm{
		Dimensions: dimensions(a.Dimensions), Unit: string(a.Unit), Metrics: metrics,
		AlarmName: aws.ToString(a.AlarmName), Namespace: aws.ToString(a.Namespace), MetricName: aws.ToString(a.MetricName),
		Statistic: string(a.Statistic), ExtendedStatistic: aws.ToString(a.ExtendedStatistic), Period: int(aws.ToInt32(a.Period)),
		EvaluationPeriods: int(aws.ToInt32(a.EvaluationPeriods)), DatapointsToAlarm: int(aws.ToInt32(a.DatapointsToAlarm)),
		Threshold: aws.ToFloat64(a.Threshold), ComparisonOperator: string(a.ComparisonOperator), TreatMissingData: aws.ToString(a.TreatMissingData),
	}
}

func dimensions(all []types.Dimension) (out []alarm.Dimension) {
	for _, d := range all {
		out = append(out, alarm.Dimension{Name: aws.ToString(d.Name), Value: aws.ToString(d.Value)})
	}
	return out
}

// A Change is one of an alarm's state.
type Change struct {
	At   time.Time
	To   alarm.State
	Name string
}

// Changes is those of an alarm's state since then, oldest first, a hundred at most.
func (e *Eye) Changes(ctx context.Context, name string, since, until time.Time) (changes []Change, err error) {
	out, err := e.metrics.DescribeAlarmHistory(ctx, &cloudwatch.DescribeAlarmHistoryInput{AlarmName: &name, StartDate: &since, EndDate: aws.Time(until.Add(time.Minute)),
		HistoryItemType: types.HistoryItemTypeStateUpdate, ScanBy: types.ScanByTimestampAscending, MaxRecords: aws.Int32(100),
		AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}})
	if err != nil {
		return nil, err
	}
	for _, i := range out.AlarmHistoryItems {
		// "Alarm updated from OK to ALARM" is all that every CloudWatch says alike.
		_, to, ok := strings.Cut(aws.ToString(i.HistorySummary), " to ")
		state, err := alarm.ParseState(strings.TrimSpace(to))
		if ok && err == nil {
			changes = append(changes, Change{aws.ToTime(i.Timestamp), state, name})
		}
	}
	return changes, nil
}

// Answers are what questions were answered, by question and the Unix time at which a
// period begins.
type Answers []map[int64]float64

// of is the answers as a measure wants them. How many samples a point sums up is not
// known.
func (a Answers) of(questions []Question) source {
	return func(q int, from time.Time, n int) []alarm.Point {
		points := make([]alarm.Point, n)
		for i := range points {
			v, ok := a[q][from.Add(time.Duration(i)*questions[q].Period).Unix()]
			points[i] = alarm.Point{Value: v, Samples: math.Inf(1), Present: ok}
		}
		return points
	}
}

const questionsPerCall = 500

// Ask asks for metrics, in whole periods that begin from one moment until another.
func (e *Eye) Ask(ctx context.Context, questions []Question, from, to time.Time) (Answers, error) {
	answers := make(Answers, len(questions))
	queries := make([]types.MetricDataQuery, len(questions))
	for i, q := range questions {
		answers[i] = map[int64]float64{}
		var dimensions []types.Dimension
		for _, d := range q.Metric.Dimensions {
			dimensions = append(dimensions, types.Dimension{Name: aws.String(d.Name), Value: aws.String(d.Value)})
		}
		queries[i] = types.MetricDataQuery{Id: aws.String("q" + strconv.Itoa(i)), ReturnData: aws.Bool(true), MetricStat: &types.MetricStat{
			Stat: aws.String(q.Statistic.String()), Period: aws.Int32(int32(q.Period / time.Second)), Unit: types.StandardUnit(q.Unit),
			Metric: &types.Metric{Namespace: aws.String(q.Metric.Namespace), MetricName: aws.String(q.Metric.MetricName), Dimensions: dimensions},
		}}
	}
	longest := time.Minute
	for _, q := range questions {
		longest = max(longest, q.Period)
	}
	from = periodOf(from, longest)
	for batch := range slices.Chunk(queries, questionsPerCall) {
		in := &cloudwatch.GetMetricDataInput{MetricDataQueries: batch, StartTime: &from, EndTime: &to, ScanBy: types.ScanByTimestampAscending}
		for {
			out, err := e.metrics.GetMetricData(ctx, in)
			if err != nil {
				return nil, err
			}
			for _, r := range out.MetricDataResults {
				i, err := strconv.Atoi(strings.TrimPrefix(aws.ToString(r.Id), "q"))
				if err != nil || i < 0 || i >= len(answers) || len(r.Timestamps) != len(r.Values) {
					return nil, fmt.Errorf("GetMetricData answers with %q, which was not asked", aws.ToString(r.Id))
				}
				for k, t := range r.Timestamps {
					answers[i][t.Unix()] = r.Values[k]
				}
			}
			if out.NextToken == nil || *out.NextToken == "" {
				break
			}
			in.NextToken = out.NextToken
		}
	}
	return answers, nil
}

// A Line is one of a log.
type Line struct {
	ID   string
	At   time.Time
	Text string
}

const (
	linesPerCall = 100
	pagesPerLook = 3 // AWS may answer with an empty page and go on
)

// Lines are those of a log group that match a filter's pattern, a hundred or so at most;
// more says that there are others.
func (e *Eye) Lines(ctx context.Context, group, pattern string, from, to time.Time) (lines []Line, more bool, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, FilterPattern: &pattern, Limit: aws.Int32(linesPerCall),
		StartTime: aws.Int64(from.UnixMilli()), EndTime: aws.Int64(to.UnixMilli())}
	for range pagesPerLook {
		out, err := e.logs.FilterLogEvents(ctx, in)
		if err != nil {
			return nil, false, err
		}
		for _, l := range out.Events {
			lines = append(lines, Line{aws.ToString(l.EventId), time.UnixMilli(aws.ToInt64(l.Timestamp)).UTC(), aws.ToString(l.Message)})
		}
		if more = aws.ToString(out.NextToken) != ""; !more || len(lines) >= linesPerCall {
			break
		}
		in.NextToken = out.NextToken
	}
	return lines, more, nil
}

// denied says whether AWS does not let one do this.
func denied(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && slices.Contains([]string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError",
		"InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException", "SignatureDoesNotMatch", "InvalidSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "OptInRequired"}, e.ErrorCode())
}

// throttled says whether it was asked too much at once.
func throttled(err error) bool {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return false
	}
	return slices.Contains(slices.Collect(maps.Keys(retry.DefaultThrottleErrorCodes)), e.ErrorCode())
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	awslogs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/clock"
)

// A served is the built command serving a CloudWatch, and what it printed.
type served struct {
	cmd *exec.Cmd
	url string

	mu    sync.Mutex
	lines []string
	read  chan struct{} // closed when it prints no more
}

// serveCloudWatch starts the command on a free port and waits until it is ready.
func serveCloudWatch(t *testing.T, args ...string) *served {
	t.Helper()
	s := &served{cmd: exec.Command(rehearse, append([]string{"cloudwatch", "--listen", "127.0.0.1:0"}, args...)...), read: make(chan struct{})}
	var errs lockedBuffer
	s.cmd.Stderr = &errs
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); <-s.read; _ = s.cmd.Wait() })
	go func() {
		defer close(s.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.mu.Lock()
			s.lines = append(s.lines, lines.Text())
			s.mu.Unlock()
		}
	}()
	s.until(t, "export AWS_ENDPOINT_URL")
	first := s.said()[0]
	require.Contains(t, first, "CloudWatch answers at http://127.0.0.1:")
	s.url = first[strings.Index(first, "http://"):]
	assert.Empty(t, errs.String(), "nothing to warn of on the loopback address")
	return s
}

func (s *served) said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines...)
}

// until waits for a line that has a text.
func (s *served) until(t *testing.T, text string) (line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := clock.Poll(ctx, 5*time.Millisecond, func() (bool, error) {
		for _, l := range s.said() {
			if strings.Contains(l, text) {
				line = l
				return true, nil
			}
		}
		select {
		case <-s.read:
			return false, errors.New("it has ended")
		default:
			return false, nil
		}
	})
	require.NoError(t, err, "no line with %q in %q", text, s.said())
	return line
}

// status has the command end by a signal, and is its exit status.
func (s *served) status(t *testing.T, by os.Signal) int {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(by))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-s.read:
	case <-ctx.Done():
		require.Fail(t, "it does not end")
	}
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

// post calls /_rehearsal.
func (s *served) post(t *testing.T, path, body string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s", text)
	require.NoError(t, json.Unmarshal(text, into))
}

type moved struct {
	Time        time.Time
	Transitions []struct {
		Alarm, From, To, Reason string
		Time                    time.Time
	}
}

// clients are the SDK's, pointed at it as its users do: by the environment.
func (s *served) clients(t *testing.T) (*awsmetrics.Client, *awslogs.Client) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": s.url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "rehearsal", "AWS_SECRET_ACCESS_KEY": "rehearsal",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	config, err := awsconfig.LoadDefaultConfig(t.Context())
	require.NoError(t, err)
	return awsmetrics.NewFromConfig(config), awslogs.NewFromConfig(config)
}

func putErrorsAlarm(t *testing.T, c *awsmetrics.Client) {
	t.Helper()
	_, err := c.PutMetricAlarm(t.Context(), &awsmetrics.PutMetricAlarmInput{
		AlarmName: aws.String("errors"), Namespace: aws.String("Shop"), MetricName: aws.String("Errors"), Statistic: types.StatisticSum,
		Period: aws.Int32(300), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(10),
		ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold, TreatMissingData: aws.String("notBreaching"),
	})
	require.NoError(t, err)
}

// put publishes errors, dated by the server's clock.
func put(t *testing.T, c *awsmetrics.Client, n float64) {
	t.Helper()
	_, err := c.PutMetricData(t.Context(), &awsmetrics.PutMetricDataInput{
		Namespace: aws.String("Shop"), MetricData: []types.MetricDatum{{MetricName: aws.String("Errors"), Value: &n}},
	})
	require.NoError(t, err)
}

func TestTheServedCloudWatchIsMovedOverADay(t *testing.T) {
	s := serveCloudWatch(t, "--speed", "0", "--start", "2026-01-02T03:00:00Z")
	metrics, _ := s.clients(t)
	putErrorsAlarm(t, metrics)
	put(t, metrics, 3)
	var m moved
	s.post(t, "/_rehearsal/advance", `{"by": "5m"}`, &m)
	require.Len(t, m.Transitions, 1)
	assert.Equal(t, "OK", m.Transitions[0].To)
	put(t, metrics, 11)
	s.post(t, "/_rehearsal/advance", `{"to": "2026-01-03T03:05:00Z"}`, &m)
	assert.Equal(t, time.Date(2026, 1, 3, 3, 5, 0, 0, time.UTC), m.Time)
	require.Len(t, m.Transitions, 2, "it goes off once, and is back")
	assert.Equal(t, "errors OK ALARM", m.Transitions[0].Alarm+" "+m.Transitions[0].From+" "+m.Transitions[0].To)
	assert.Equal(t, time.Date(2026, 1, 2, 3, 6, 0, 0, time.UTC), m.Transitions[0].Time, "at the first evaluation that sees it")
	assert.Equal(t, "OK", m.Transitions[1].To)
	line := s.until(t, "errors OK -> ALARM: ")
	assert.True(t, strings.HasPrefix(line, "2026-01-02T03:06:00Z errors OK -> ALARM: Threshold Crossed: "), line)

	out, err := metrics.DescribeAlarms(t.Context(), &awsmetrics.DescribeAlarmsInput{})
	require.NoError(t, err)
	require.Len(t, out.MetricAlarms, 1)
	assert.Equal(t, types.StateValueOk, out.MetricAlarms[0].StateValue)
	assert.Equal(t, m.Transitions[1].Time, out.MetricAlarms[0].StateUpdatedTimestamp.UTC())
	put(t, metrics, 11)
	s.post(t, "/_rehearsal/advance", `{"by": "1m"}`, &m)
	require.Len(t, m.Transitions, 1, "what comes a day later is dated a day later")
	assert.Equal(t, "ALARM", m.Transitions[0].To)
	assert.Equal(t, 0, s.status(t, syscall.SIGTERM))
}

func TestTheServedCloudWatchRunsFasterThanTheWall(t *testing.T) {
	began := clock.Wall()
	s := serveCloudWatch(t, "--speed", "600")
	metrics, _ := s.clients(t)
	put(t, metrics, 11)
	putErrorsAlarm(t, metrics)
	s.until(t, "errors INSUFFICIENT_DATA -> ALARM: ")
	s.until(t, "errors ALARM -> OK: ")
	assert.Less(t, clock.Since(began), 30*time.Second, "half an hour at least, on its clock")
	assert.Equal(t, 0, s.status(t, os.Interrupt))
}

func TestTheServedCloudWatchBeginsWithAlarmsAndFilters(t *testing.T) {
	s := serveCloudWatch(t, "--speed", "0", "--alarms", "../../fixtures/alarms.json", "--metric-filters", "../../fixtures/metric-filters.json")
	metrics, logs := s.clients(t)
	alarms, err := metrics.DescribeAlarms(t.Context(), &awsmetrics.DescribeAlarmsInput{})
	require.NoError(t, err)
	assert.Len(t, alarms.MetricAlarms, 5)
	filters, err := logs.DescribeMetricFilters(t.Context(), &awslogs.DescribeMetricFiltersInput{})
	require.NoError(t, err)
	require.NotEmpty(t, filters.MetricFilters)
	group, stream := filters.MetricFilters[0].LogGroupName, aws.String("v1-1")
	_, err = logs.CreateLogStream(t.Context(), &awslogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream})
	require.NoError(t, err)
	var m moved
	s.post(t, "/_rehearsal/advance", `{"by": "1m"}`, &m)
	var events []logtypes.InputLogEvent
	for i := range 600 { // 200 in each of three minutes
		at := m.Time.Add(time.Duration(i/200) * time.Minute)
		events = append(events, logtypes.InputLogEvent{Message: aws.String(`{"level": "ERROR"}`), Timestamp: aws.Int64(at.UnixMilli())})
	}
	_, err = logs.PutLogEvents(t.Context(), &awslogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: events})
	require.NoError(t, err)
	s.post(t, "/_rehearsal/advance", `{"by": "5m"}`, &m)
	s.until(t, "shop-error-logs OK -> ALARM: ")
	s.post(t, "/_rehearsal/reset", "", &m)
	alarms, err = metrics.DescribeAlarms(t.Context(), &awsmetrics.DescribeAlarmsInput{})
	require.NoError(t, err)
	assert.Empty(t, alarms.MetricAlarms)
}

func TestTheServedCloudWatchBeginsWithCompositeAlarms(t *testing.T) {
	file := filepath.Join(t.TempDir(), "alarms.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"MetricAlarms": [{"AlarmName": "errors", "Namespace": "Shop", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
	  "EvaluationPeriods": 1, "Threshold": 10, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching"}],
	  "CompositeAlarms": [{"AlarmName": "top", "AlarmRule": "ALARM(errors)", "ActionsEnabled": true, "AlarmActions": ["arn:aws:sns:us-east-1:123456789012:on-call"]}]}`), 0o600))
	s := serveCloudWatch(t, "--speed", "0", "--alarms", file)
	metrics, _ := s.clients(t)
	put(t, metrics, 11)
	var m moved
	s.post(t, "/_rehearsal/advance", `{"by": "2m"}`, &m)
	s.until(t, "top INSUFFICIENT_DATA -> ALARM: ")
	s.until(t, "top in ALARM acts: arn:aws:sns:us-east-1:123456789012:on-call")
}

// A client in the middle of a long call, or with a connection and nothing to say, does
// not keep it from ending.
func TestTheServedCloudWatchEndsWhateverItsClientsDo(t *testing.T) {
	s := serveCloudWatch(t, "--speed", "0")
	metrics, _ := s.clients(t)
	for _, name := range []string{"a", "b", "c", "d"} { // so that a year takes long
		_, err := metrics.PutMetricAlarm(t.Context(), &awsmetrics.PutMetricAlarmInput{
			AlarmName: &name, Namespace: aws.String("Shop"), MetricName: aws.String("Errors"), Statistic: types.StatisticSum,
			Period: aws.Int32(10), EvaluationPeriods: aws.Int32(600), Threshold: aws.Float64(10), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
			TreatMissingData: aws.String("notBreaching"),
		})
		require.NoError(t, err)
	}
	idle, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = idle.Close() }()
	long, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = long.Close() }()
	_, err = io.WriteString(long, "POST /_rehearsal/advance HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\n{\"by\": \"8784h\"}")
	require.NoError(t, err)
	s.until(t, "d INSUFFICIENT_DATA -> OK") // it is on its way
	began := clock.Wall()
	assert.Equal(t, 0, s.status(t, os.Interrupt))
	assert.Less(t, clock.Since(began), 10*time.Second)
	_, err = io.ReadAll(idle)
	assert.NoError(t, err, "the connection was closed in order")
}

func TestTheServedCloudWatchRefusesWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	broken := filepath.Join(t.TempDir(), "alarms.json")
	require.NoError(t, os.WriteFile(broken, []byte(`{"MetricAlarms": [{"AlarmName": "a"}]}`), 0o600))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"taken port":      {[]string{"--listen", taken.Addr().String()}, "something listens there already"},
		"no port":         {[]string{"--listen", "127.0.0.1"}, "want an address and a port"},
		"no address":      {[]string{"--listen", ":4566"}, "0.0.0.0:4566 for everybody"},
		"bad port":        {[]string{"--listen", "127.0.0.1:66000"}, "a port from 0 to 65535"},
		"a name":          {[]string{"--listen", "example.com:4566"}, "want an IP address or localhost"},
		"another machine": {[]string{"--listen", "192.0.2.1:4566"}, "192.0.2.1:4566"},
		"speed":           {[]string{"--speed", "-1"}, "the speed -1"},
		"speed text":      {[]string{"--speed", "fast"}, "fast"},
		"start":           {[]string{"--start", "yesterday"}, "want a time such as"},
		"no file":         {[]string{"--alarms", "nosuch.json"}, "nosuch.json"},
		"bad alarm":       {[]string{"--alarms", broken}, "alarms.json:1"},
		"no filters":      {[]string{"--metric-filters", broken}, `"metricFilters" is missing`},
		"an argument":     {[]string{"now"}, "now"},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := run(t, nil, append([]string{"cloudwatch", "--listen", "127.0.0.1:0"}, c.args...)...)
			assert.Equal(t, 2, status, out)
			assert.Contains(t, out, c.want)
			assert.NotContains(t, out, "panic")
		})
	}
}

func TestTheServedCloudWatchWarnsWhereOthersReachIt(t *testing.T) {
	cmd := exec.Command(rehearse, "cloudwatch", "--listen", "0.0.0.0:0")
	warnings, err := cmd.StderrPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(warnings).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, line, "warning: 0.0.0.0:0 can be reached from other machines")
	line, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, line, "http://127.0.0.1:", "where this machine reaches it")
}

func TestTheServedCloudWatchIsWell(t *testing.T) {
	s := serveCloudWatch(t)
	out, status := run(t, []string{"HTTP_PROXY=http://192.0.2.1:1"}, "cloudwatch", "--healthcheck", "--listen", strings.TrimPrefix(s.url, "http://"))
	assert.Equal(t, 0, status, out)
	assert.Equal(t, 0, s.status(t, syscall.SIGTERM))
	out, status = run(t, nil, "cloudwatch", "--healthcheck", "--listen", strings.TrimPrefix(s.url, "http://"))
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "no CloudWatch answers")
}

func TestOneLine(t *testing.T) {
	assert.Equal(t, "a b c [31m d", oneLine("a\nb\rc\x1b[31m d"))
}

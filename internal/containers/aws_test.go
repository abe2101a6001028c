package containers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	awslogs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/aws/smithy-go/middleware"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/awshttp"
	"rehearsal/internal/clock"
	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/stage"
)

// awsStandIn stands in for AWS: the embedded CloudWatch by the wall clock of the test,
// in which log groups can be deleted, and which refuses what it is told to.
type awsStandIn struct {
	*foreignCloud
	account *AWSAccount

	mu      sync.Mutex
	inputs  []any // of every call that was made
	names   []string
	deleted map[string]bool       // log groups
	refuse  func(name string) int // the HTTP status to answer a call with; 0: none
	sent    map[string]int        // how often a request of a call came in
}

// startAWS is to be called in a synctest bubble.
func startAWS(t *testing.T) (s *awsStandIn, stop func()) {
	s = &awsStandIn{
		foreignCloud: &foreignCloud{store: cloudwatch.NewStore(cloudwatch.Options{Now: clock.Wall}), pipes: make(chan net.Conn), ended: make(chan struct{})},
		deleted:      map[string]bool{}, sent: map[string]int{},
	}
	s.end = sync.OnceFunc(func() { close(s.ended) })
	transport := &http.Transport{DialContext: s.dial}
	s.account = &AWSAccount{ID: "123456789012", Region: "eu-west-1", config: aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://aws.test"), HTTPClient: &http.Client{Transport: awshttp.WholeAnswers(transport)},
		Credentials: credentials.NewStaticCredentialsProvider("AKIAHIDDEN", "hush", ""),
		APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("note", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				s.mu.Lock()
				s.inputs, s.names = append(s.inputs, in.Parameters), append(s.names, awsmiddleware.GetOperationName(ctx))
				s.mu.Unlock()
				return next.HandleInitialize(ctx, in)
			}), middleware.After)
		}},
	}}
	server := &http.Server{Handler: s.handler(t), ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { assert.ErrorIs(t, server.Serve(s), http.ErrServerClosed) })
	work.Go(func() { clock.Every(ctx, 10*time.Second, func() { s.store.Evaluate(clock.Wall()) }) })
	return s, sync.OnceFunc(func() {
		cancel()
		transport.CloseIdleConnections()
		assert.NoError(t, server.Close())
		work.Wait()
	})
}

func (s *awsStandIn) handler(t *testing.T) http.Handler {
	front := s.store.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if target := r.Header.Get("X-Amz-Target"); target != "" {
			name = target[strings.LastIndex(target, ".")+1:]
		}
		s.mu.Lock()
		s.sent[name]++
		status := 0
		if s.refuse != nil {
			status = s.refuse(name)
		}
		s.mu.Unlock()
		if status != 0 {
			code := map[int]string{http.StatusForbidden: "AccessDeniedException", http.StatusBadRequest: "ThrottlingException", http.StatusInternalServerError: "InternalServiceFault"}[status]
			answer, err := json.Marshal(map[string]string{"__type": code, "message": "no"})
			if r.Header.Get("X-Amz-Target") == "" {
				w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
				answer, err = cbor.Encode(cbor.Map{"__type": cbor.String(code), "message": cbor.String("no")}), nil
			}
			assert.NoError(t, err)
			w.WriteHeader(status)
			_, _ = w.Write(answer)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var in struct{ LogGroupName string }
		_ = json.Unmarshal(body, &in)
		switch name {
		case "DeleteLogGroup":
			s.mu.Lock()
			s.deleted[in.LogGroupName] = true
			s.mu.Unlock()
			_, _ = w.Write([]byte("{}"))
			return
		case "PutRetentionPolicy":
			_, _ = w.Write([]byte("{}"))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		front.ServeHTTP(w, r)
	})
}

// groups is the log groups that are there.
func (s *awsStandIn) groups(t *testing.T) (names []string) {
	_, logs := s.account.clients()
	out, err := logs.DescribeLogGroups(t.Context(), &awslogs.DescribeLogGroupsInput{})
	require.NoError(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range out.LogGroups {
		if !s.deleted[*g.LogGroupName] {
			names = append(names, *g.LogGroupName)
		}
	}
	return names
}

func (s *awsStandIn) alarms() (names []string) {
	for _, a := range s.store.Alarms() {
		names = append(names, a.Alarm.AlarmName)
	}
	for _, a := range s.store.Composites() {
		names = append(names, a.Alarm.AlarmName)
	}
	return names
}

// each calls f with every input of a kind that was sent.
func inputsOf[I any](s *awsStandIn) (all []*I) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.inputs {
		if in, ok := in.(*I); ok {
			all = append(all, in)
		}
	}
	return all
}

func awsOptions(s *awsStandIn, alarms ...alarm.Alarm) monitorOptions {
	paced := clock.NewPaced(1)
	return monitorOptions{
		Setup: &stage.Setup{Monitoring: monitorNames(), Alarms: alarms}, Clock: paced, History: stage.NewHistory(paced.Now, nil), Pace: 1,
		External: cloudEndpoint{Account: s.account, Names: cloudNames{"ab12cd34"}},
		Targets:  func(string) []target { return []target{{State: targetHealthy}} },
	}
}

// exist puts what the account has already: the very names of production.
func (s *awsStandIn) exist(t *testing.T) (alarms, groups []string) {
	mine := errorRate()
	other := levelAlarm("rehearsal-other000-errors", elbNamespace, elbTarget5XX, "Sum", 1)
	require.NoError(t, s.store.PutAlarms([]alarm.Alarm{mine, other}))
	require.NoError(t, s.store.CreateLogGroup("/ecs/shop"))
	require.NoError(t, s.store.CreateLogGroup("/rehearsal/other000/x"))
	return []string{mine.AlarmName, other.AlarmName}, []string{"/ecs/shop", "/rehearsal/other000/x"}
}

func TestAWSJudgesUnderNamesOfTheStagesOwn(t *testing.T) {
	all := alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer}
	errors5XX := levelAlarm("errors", elbNamespace, elbTarget5XX, "Sum", 300, all)
	errors5XX.TreatMissingData, errors5XX.AlarmActions = "notBreaching", []string{"arn:aws:sns:us-east-1:123456789012:on-call"}
	lines := levelAlarm("error lines", "Shop", "ErrorCount", "Sum", 100)
	synctest.Test(t, func(t *testing.T) {
		s, stop := startAWS(t)
		defer stop()
		alarms, groups := s.exist(t)
		before := s.store.Alarms()
		o := awsOptions(s, errors5XX, lines, errorRate())
		o.Setup.Composites = []alarm.Composite{
			{AlarmName: "top", AlarmRule: "ALARM(low)", ActionsEnabled: true, AlarmActions: errors5XX.AlarmActions, ActionsSuppressor: "errors", ActionsSuppressorWaitPeriod: 60, ActionsSuppressorExtensionPeriod: 60},
			{AlarmName: "low", AlarmRule: `ALARM("error lines") AND ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors)`},
		}
		m, err := startMonitor(o)
		require.NoError(t, err)
		m.register("v1")
		b := externalBench{m, o.History}
		b.serve(3*time.Minute, 200, `{"level": "INFO"}`)
		b.serve(5*time.Minute, 500, `{"level": "ERROR"}`)
		for _, name := range []string{"errors", "error lines", "shop-5xx-rate", "low", "top"} {
			assert.Equal(t, alarm.InAlarm, o.History.AlarmState(name), "%s, by production's name", name)
		}
		assert.NoError(t, m.err())

		puts := inputsOf[awsmetrics.PutMetricAlarmInput](s)
		assert.Len(t, puts, 3)
		for _, in := range puts {
			assert.True(t, strings.HasPrefix(*in.AlarmName, "rehearsal-ab12cd34-"), *in.AlarmName)
			assert.False(t, *in.ActionsEnabled)
			assert.Empty(t, slices.Concat(in.AlarmActions, in.OKActions, in.InsufficientDataActions), "nobody is called")
			if assert.Len(t, in.Tags, 1) {
				assert.Equal(t, "rehearsal=ab12cd34", *in.Tags[0].Key+"="+*in.Tags[0].Value)
			}
			for _, q := range in.Metrics {
				assert.True(t, q.MetricStat == nil || *q.MetricStat.Metric.Namespace == "Rehearsal/ab12cd34/AWS/ApplicationELB")
			}
		}
		rules := inputsOf[awsmetrics.PutCompositeAlarmInput](s)
		if assert.Len(t, rules, 2) {
			assert.Equal(t, `ALARM("rehearsal-ab12cd34-error lines") AND ALARM("rehearsal-ab12cd34-errors")`, *rules[0].AlarmRule)
			assert.Equal(t, `rehearsal-ab12cd34-top: ALARM("rehearsal-ab12cd34-low")`, *rules[1].AlarmName+": "+*rules[1].AlarmRule)
			assert.False(t, *rules[1].ActionsEnabled)
			assert.Empty(t, rules[1].AlarmActions)
			assert.Nil(t, rules[1].ActionsSuppressor)
			assert.Len(t, rules[1].Tags, 1)
		}
		data := inputsOf[awsmetrics.PutMetricDataInput](s)
		assert.Greater(t, len(data), 300)
		for _, in := range data {
			assert.True(t, strings.HasPrefix(*in.Namespace, "Rehearsal/ab12cd34/"), *in.Namespace)
		}
		for _, in := range inputsOf[awslogs.CreateLogGroupInput](s) {
			assert.Equal(t, "/rehearsal/ab12cd34//ecs/shop", *in.LogGroupName)
			assert.Equal(t, map[string]string{"rehearsal": "ab12cd34"}, in.Tags)
		}
		kept := inputsOf[awslogs.PutRetentionPolicyInput](s)
		assert.Len(t, kept, 1)
		filters := inputsOf[awslogs.PutMetricFilterInput](s)
		assert.Len(t, filters, 1)
		assert.Equal(t, "Rehearsal/ab12cd34/Shop", *filters[0].MetricTransformations[0].MetricNamespace)
		for _, in := range inputsOf[awslogs.PutLogEventsInput](s) {
			assert.Equal(t, "/rehearsal/ab12cd34//ecs/shop", *in.LogGroupName)
		}
		assert.Equal(t, "shop-5xx-rate", o.Setup.Alarms[2].AlarmName, "the setup itself is as it was")
		assert.Equal(t, elbNamespace, o.Setup.Alarms[2].Metrics[1].MetricStat.Metric.Namespace)

		ended, end := context.WithCancel(t.Context())
		end()
		assert.NoError(t, m.close(ended), "as after Ctrl-C")
		assert.Equal(t, alarms, s.alarms(), "those that were there, and no more")
		assert.Equal(t, groups, s.groups(t))
		after := s.store.Alarms()
		require.Len(t, after, len(before))
		for i := range after {
			assert.Equal(t, before[i].Alarm, after[i].Alarm)
			assert.Equal(t, before[i].Changed, after[i].Changed, "not even put again")
		}
		assert.NoError(t, s.account.Left())
	})
}

func TestAWSIsLeftCleanWhenTheStartFails(t *testing.T) {
	for _, fails := range []string{"PutMetricFilter", "PutMetricAlarm", "PutRetentionPolicy", "CreateLogGroup"} {
		t.Run(fails, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, stop := startAWS(t)
				defer stop()
				alarms, groups := s.exist(t)
				calls := 0
				s.refuse = func(name string) int {
					if name == fails {
						if calls++; calls > 1 || fails != "PutMetricAlarm" { // the second alarm
							return http.StatusForbidden
						}
					}
					return 0
				}
				_, err := startMonitor(awsOptions(s, errorRate(), levelAlarm("lines", "Shop", "ErrorCount", "Sum", 1)))
				require.Error(t, err)
				assert.NotContains(t, err.Error(), "hush")
				assert.NotContains(t, err.Error(), "AKIAHIDDEN")
				assert.Equal(t, alarms, s.alarms())
				assert.Equal(t, groups, s.groups(t))
			})
		})
	}
}

func TestAWSTellsWhatItCouldNotDelete(t *testing.T) {
	quoted := levelAlarm("it's bad", "Shop", "ErrorCount", "Sum", 1)
	const alarmsBy = `aws cloudwatch delete-alarms --region eu-west-1 --alarm-names 'rehearsal-ab12cd34-it'\''s bad'`
	const groupBy = "aws logs delete-log-group --region eu-west-1 --log-group-name /rehearsal/ab12cd34//ecs/shop"
	for fails, want := range map[string][]string{
		"DeleteAlarms":      {"1 alarms and 0 log groups may be left in the AWS account 123456789012", alarmsBy},
		"DescribeAlarms":    {"listing alarms", alarmsBy},
		"DeleteLogGroup":    {"0 alarms and 1 log groups", groupBy},
		"DescribeLogGroups": {}, // by the names that it knows
	} {
		t.Run(fails, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, stop := startAWS(t)
				defer stop()
				m, err := startMonitor(awsOptions(s, quoted))
				require.NoError(t, err)
				s.mu.Lock()
				s.refuse = func(name string) int {
					if name == fails {
						return http.StatusForbidden
					}
					return 0
				}
				s.mu.Unlock()
				err = m.close(t.Context())
				if len(want) == 0 {
					assert.NoError(t, err)
					assert.True(t, s.deleted["/rehearsal/ab12cd34//ecs/shop"])
					return
				}
				left := new(AWSLeftError)
				require.ErrorAs(t, err, &left)
				for _, w := range want {
					assert.ErrorContains(t, err, w)
				}
				assert.ErrorIs(t, s.account.Left(), left, "to be told at the end")
			})
		})
	}
}

// What is there under the stage's names was not made by the stage.
func TestAWSChangesNothingThatExists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := startAWS(t)
		defer stop()
		require.NoError(t, s.store.PutAlarms([]alarm.Alarm{levelAlarm("rehearsal-ab12cd34-x", "Shop", "ErrorCount", "Sum", 1)}))
		_, err := startMonitor(awsOptions(s, errorRate()))
		require.ErrorContains(t, err, `under this stage's names already: ["rehearsal-ab12cd34-x"]`)
		assert.Equal(t, []string{"rehearsal-ab12cd34-x"}, s.alarms())
		assert.Zero(t, s.sent["PutMetricAlarm"])
	})
}

// Metrics that came twice would count twice; only what AWS refused is sent again.
func TestAWSGetsMetricsOnce(t *testing.T) {
	for _, c := range []struct{ status, times int }{{http.StatusBadRequest, 3}, {http.StatusInternalServerError, 1}} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, stop := startAWS(t)
				defer stop()
				m, err := startMonitor(awsOptions(s, errorRate()))
				require.NoError(t, err)
				s.mu.Lock()
				s.sent["PutMetricData"] = 0
				s.refuse = func(name string) int {
					if name == "PutMetricData" && s.sent[name] < 3 {
						return c.status
					}
					return 0
				}
				s.mu.Unlock()
				m.access(access{Version: "v1", Target: "v1-1", FromTarget: true, Status: 200, Weight: 1})
				err = m.publish(t.Context())
				s.mu.Lock()
				assert.Equal(t, c.times, s.sent["PutMetricData"], "%v", err)
				s.refuse = nil
				s.mu.Unlock()
				assert.Equal(t, c.times == 1, err != nil, "%v", err)
				assert.NoError(t, m.close(t.Context()))
			})
		})
	}
}

func TestAWSIsUsedOnlyAsSomebodySaid(t *testing.T) {
	check := func(o Options) error { return (&Stage{o: o, project: o.Compose, setup: &o.Setup}).check() }
	o := cloudOptions(CloudWatchAWS, 1, errorRate())
	require.ErrorContains(t, check(o), "nobody said which account")
	o.AWS = &AWSAccount{ID: "123456789012"}
	require.NoError(t, check(o), "it judges metric math")
	o.Pace = 60
	require.ErrorContains(t, check(o), "use pace 1")
	o = cloudOptions(CloudWatchAWS, 1, alarm.Alarm{AlarmName: "found", Metrics: []alarm.MetricDataQuery{{Id: "e", Expression: ` search('{AWS/ApplicationELB}', 'Sum')`}}})
	o.AWS = &AWSAccount{ID: "123456789012"}
	err := check(o)
	require.ErrorIs(t, err, stage.ErrLost, "inconclusive, never green")
	assert.ErrorContains(t, err, "AWS cannot judge 1 of the 2 alarms")
	assert.ErrorContains(t, err, "leave out of the alarms file")
	assert.ErrorContains(t, err, "found: its expression e finds metrics by text, and the namespaces in its text are production's")

	require.Error(t, cloudEndpoint{Account: &AWSAccount{}}.check(), "production's names in an account")
	require.Error(t, cloudEndpoint{Account: &AWSAccount{}, Names: cloudNames{"x"}, URL: "http://127.0.0.1:1"}.check())
	require.NoError(t, cloudEndpoint{Account: &AWSAccount{}, Names: cloudNames{"x"}}.check())
}

// Two alarms, namespaces or groups never get one name, and no name is too long.
func TestAWSNamesAreApart(t *testing.T) {
	n := cloudNames{"ab12cd34"}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[a-zA-Z/ .-]{1,12}`), rapid.StringMatching(`x{225,255}`))
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		for i, of := range []func(string) string{n.alarm, n.namespace, n.group} {
			assert.Equal(t, a == b, of(a) == of(b), "%q %q", a, b)
			assert.LessOrEqual(t, len(of(a)), []int{255, 255, 512}[i])
		}
		assert.Equal(t, a, cloudNames{}.alarm(a), "a CloudWatch of the stage's own has production's names")
	})
}

// moto answers the API as AWS does, though it evaluates no alarm.
func TestAWSWithMoto(t *testing.T) {
	server, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not installed (pip install 'moto[server]'): the same is tested without it above")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := free.Addr().String()
	require.NoError(t, free.Close())
	_, port, err := net.SplitHostPort(at)
	require.NoError(t, err)
	moto := exec.Command(server, "-H", "127.0.0.1", "-p", port)
	require.NoError(t, moto.Start())
	defer func() { _ = moto.Process.Kill(); _ = moto.Wait() }()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": "http://" + at, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIAHIDDEN", "AWS_SECRET_ACCESS_KEY": "hush",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var account *AWSAccount
	last := errors.New("it was not asked yet")
	err = clock.Poll(ctx, 50*time.Millisecond, func() (bool, error) {
		account, last = FindAWS(ctx)
		return last == nil, nil
	})
	require.NoError(t, err, "%v", last)
	assert.Equal(t, "123456789012 eu-west-1 http://"+at, account.ID+" "+account.Region+" "+account.Endpoint)

	// moto does not speak the protocol that the SDK prefers.
	account.adjust = append(account.adjust, func(o *awsmetrics.Options) { o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801) })
	metrics, logs := account.clients()
	_, err = logs.CreateLogGroup(ctx, &awslogs.CreateLogGroupInput{LogGroupName: aws.String("/ecs/shop")})
	require.NoError(t, err)
	_, err = metrics.PutMetricAlarm(ctx, alarmInput(&alarm.Alarm{
		AlarmName: "errors", Namespace: "Shop", MetricName: "ErrorCount", Statistic: "Sum", Period: 60, EvaluationPeriods: 1, Threshold: 7, ComparisonOperator: "GreaterThanThreshold",
	}))
	require.NoError(t, err)

	mine := levelAlarm("errors", "Shop", "ErrorCount", "Sum", 1)
	mine.AlarmActions = []string{"arn:aws:sns:eu-west-1:123456789012:on-call"}
	o := awsOptions(&awsStandIn{account: account}, mine, errorRate())
	m, err := startMonitor(o)
	require.NoError(t, err)
	found, err := metrics.DescribeAlarms(ctx, &awsmetrics.DescribeAlarmsInput{AlarmNamePrefix: aws.String("rehearsal-")})
	require.NoError(t, err)
	require.Len(t, found.MetricAlarms, 2)
	for _, a := range found.MetricAlarms {
		assert.False(t, *a.ActionsEnabled)
		assert.Empty(t, a.AlarmActions)
		tags, err := metrics.ListTagsForResource(ctx, &awsmetrics.ListTagsForResourceInput{ResourceARN: a.AlarmArn})
		require.NoError(t, err)
		require.Len(t, tags.Tags, 1)
		assert.Equal(t, "rehearsal=ab12cd34", *tags.Tags[0].Key+"="+*tags.Tags[0].Value)
	}
	groups, err := logs.DescribeLogGroups(ctx, &awslogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/rehearsal/ab12cd34/")})
	require.NoError(t, err)
	require.Len(t, groups.LogGroups, 1)
	assert.EqualValues(t, 1, *groups.LogGroups[0].RetentionInDays)

	m.access(access{Version: "v1", Target: "v1-1", FromTarget: true, Status: 500, Weight: 1})
	m.line("v1", "v1-1", `{"level": "ERROR"}`)
	require.NoError(t, m.publish(ctx))
	_, err = metrics.SetAlarmState(ctx, &awsmetrics.SetAlarmStateInput{
		AlarmName: aws.String("rehearsal-ab12cd34-errors"), StateValue: "ALARM", StateReason: aws.String("moto evaluates nothing"),
	})
	require.NoError(t, err)
	require.NoError(t, clock.Poll(ctx, 10*time.Millisecond, func() (bool, error) { return o.History.AlarmState("errors") == alarm.InAlarm, m.err() }))

	require.NoError(t, m.close(ctx))
	found, err = metrics.DescribeAlarms(ctx, &awsmetrics.DescribeAlarmsInput{})
	require.NoError(t, err)
	require.Len(t, found.MetricAlarms, 1)
	assert.Equal(t, "errors", *found.MetricAlarms[0].AlarmName)
	assert.InDelta(t, 7, *found.MetricAlarms[0].Threshold, 0)
	groups, err = logs.DescribeLogGroups(ctx, &awslogs.DescribeLogGroupsInput{})
	require.NoError(t, err)
	require.Len(t, groups.LogGroups, 1)
	assert.Equal(t, "/ecs/shop", *groups.LogGroups[0].LogGroupName)
}

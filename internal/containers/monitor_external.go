package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	awslogs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"rehearsal/internal/alarm"
	"rehearsal/internal/awshttp"
	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// A cloudEndpoint is where an external CloudWatch answers.
type cloudEndpoint struct {
	URL string // "http://127.0.0.1:4566"
	// Own is the host and port at which a container of the stage answers: beside this
	// machine's own addresses the only one that is taken.
	Own string
	// Account is the AWS account instead, and Names what things are called there.
	Account *AWSAccount
	Names   cloudNames

	dial func(ctx context.Context, network, address string) (net.Conn, error) // nil: as usual
}

// there says whether there is one.
func (e cloudEndpoint) there() bool { return e.URL != "" || e.Account != nil }

const (
	// externalEvery is how often, in wall time, an external CloudWatch is given what
	// was observed and asked for the states of the alarms.
	externalEvery = time.Second
	// externalPatience is how long one call to it may take.
	externalPatience = 20 * time.Second
	alarmsPerCall    = 100 // of DescribeAlarms
)

// An externalJudge is a CloudWatch that runs outside this process and evaluates
// alarms by the wall clock, when it sees fit. It is given what was observed as soon
// as it was, and asked for the states.
type externalJudge struct {
	options monitorOptions
	epoch   time.Time
	states  map[string]alarm.State
	opened  bool         // an account, so that what is there under the stage's names is its own
	client  *http.Client // nil: the account's
	metrics *awsmetrics.Client
	logs    *awslogs.Client
}

func newExternalJudge(o monitorOptions) (*externalJudge, error) {
	if err := errors.Join(o.External.check(), externalPace(o.Pace)); err != nil {
		return nil, err
	}
	j := &externalJudge{options: o, states: map[string]alarm.State{}, epoch: clock.Wall().Add(-o.Clock.Now())}
	for _, name := range o.Setup.AlarmNames() {
		j.states[name] = alarm.InsufficientData
	}
	if o.External.Account != nil {
		j.metrics, j.logs = o.External.Account.clients()
		return j, nil
	}
	j.client = &http.Client{
		Timeout: externalPatience,
		// Neither a proxy nor a redirection leads elsewhere.
		Transport:     awshttp.WholeAnswers(&http.Transport{MaxIdleConnsPerHost: 4, DialContext: o.External.dial}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	at, made, region := aws.String(o.External.URL), credentials.NewStaticCredentialsProvider("rehearsal", "rehearsal", ""), "us-east-1"
	// A call is tried once: metrics that came twice would count twice.
	j.metrics = awsmetrics.New(awsmetrics.Options{
		BaseEndpoint: at, Region: region, Credentials: made, HTTPClient: j.client, Retryer: aws.NopRetryer{}, DisableRequestCompression: true,
	})
	j.logs = awslogs.New(awslogs.Options{BaseEndpoint: at, Region: region, Credentials: made, HTTPClient: j.client, Retryer: aws.NopRetryer{}})
	return j, nil
}

// externalPace refuses a pace that an external CloudWatch cannot follow.
func externalPace(pace float64) error {
	if pace > 1 {
		return fmt.Errorf("pace %g with a CloudWatch outside of this process: it evaluates alarms by its own clock, which does not run ahead; "+
			"use pace 1, or the embedded CloudWatch", pace)
	}
	return nil
}

// check refuses every endpoint but this machine, the stage's own container, and an
// account that somebody was asked about: a rehearsal never reaches another.
func (e cloudEndpoint) check() error {
	if e.Account != nil {
		if e.Names.stage == "" || e.URL != "" {
			return errors.New("an AWS account is used under names of the stage's own, and at its own endpoint")
		}
		return nil
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		return fmt.Errorf("CloudWatch's endpoint: %w", err)
	}
	ip, _ := netip.ParseAddr(u.Hostname()) // a name's is no loopback
	local := u.Hostname() == "localhost" || ip.Unmap().IsLoopback() || e.Own != "" && u.Host == e.Own
	if u.Scheme != "http" || u.User != nil || !local {
		return fmt.Errorf("CloudWatch's endpoint %s is not local: a rehearsal publishes only to this machine (http://127.0.0.1:port) "+
			"or to a container of its own stage, and never to AWS", u.Redacted())
	}
	return nil
}

func (j *externalJudge) clients() (*awsmetrics.Client, *awslogs.Client) { return j.metrics, j.logs }

func (j *externalJudge) calendar(at time.Duration) time.Time { return j.epoch.Add(at) }

func (j *externalJudge) run(ctx context.Context, publish func(context.Context) error) error {
	return clock.Poll(ctx, externalEvery, func() (bool, error) {
		return false, errors.Join(publish(ctx), j.look(ctx))
	})
}

// look asks for the states of the alarms and records those that changed.
func (j *externalJudge) look(ctx context.Context) error {
	kinds := []types.AlarmType{types.AlarmTypeMetricAlarm}
	if len(j.options.Setup.Composites) > 0 {
		kinds = append(kinds, types.AlarmTypeCompositeAlarm)
	}
	names, ours := j.alarmNames()
	for batch := range slices.Chunk(names, alarmsPerCall) {
		out, err := j.metrics.DescribeAlarms(ctx, &awsmetrics.DescribeAlarmsInput{AlarmNames: batch, AlarmTypes: kinds, MaxRecords: aws.Int32(alarmsPerCall)})
		if err != nil {
			return fmt.Errorf("asking for the states of alarms: %w", err)
		}
		found := map[string]judged{}
		for _, a := range out.MetricAlarms {
			found[aws.ToString(a.AlarmName)] = judged{a.StateValue, aws.ToString(a.StateReason)}
		}
		for _, a := range out.CompositeAlarms {
			found[aws.ToString(a.AlarmName)] = judged{a.StateValue, aws.ToString(a.StateReason)}
		}
		for _, name := range batch {
			is, ok := found[name]
			if !ok {
				return fmt.Errorf("alarm %q is gone", ours[name])
			}
			if err := j.saw(ours[name], is); err != nil {
				return err
			}
		}
	}
	return nil
}

// judged is the state that an alarm was found in.
type judged struct {
	state  types.StateValue
	reason string
}

func (j *externalJudge) saw(name string, is judged) error {
	to, err := alarm.ParseState(string(is.state))
	if err != nil {
		return fmt.Errorf("alarm %q: %w", name, err)
	}
	from := j.states[name]
	if from == to {
		return nil
	}
	j.states[name] = to
	j.options.History.Record(stage.Event{Kind: stage.Changed, Alarm: &stage.AlarmChange{
		Name: name, From: from, To: to, Reason: is.reason,
	}})
	return nil
}

// alarmNames is what the alarms are called there, and of each which alarm it is.
func (j *externalJudge) alarmNames() (there []string, ours map[string]string) {
	ours = map[string]string{}
	for _, our := range j.options.Setup.AlarmNames() {
		name := j.options.External.Names.alarm(our)
		there, ours[name] = append(there, name), our
	}
	return there, ours
}

// open makes sure that there is nothing under the stage's names yet.
func (j *externalJudge) open(ctx context.Context) error {
	if j.options.External.Account == nil {
		return nil
	}
	if err := j.removal().unused(ctx); err != nil {
		return err
	}
	j.opened = true
	return nil
}

// close publishes nothing more: a CloudWatch of the stage's own goes with it, and what
// it made in an account is deleted there.
func (j *externalJudge) close(ctx context.Context, _ func(context.Context) error) error {
	account := j.options.External.Account
	switch {
	case account == nil:
		j.client.CloseIdleConnections()
		return nil
	case !j.opened: // then what is there is somebody else's
		return nil
	}
	made := AWSLeftError{}
	made.Alarms, _ = j.alarmNames()
	for _, group := range logGroups(onlyWatched(j.options.Setup).Monitoring) {
		made.LogGroups = append(made.LogGroups, j.options.External.Names.group(group))
	}
	return j.removal().remove(ctx, account, made)
}

func (j *externalJudge) removal() cloudRemoval {
	return cloudRemoval{names: j.options.External.Names, metrics: j.metrics, logs: j.logs}
}

// watchedSeries is the series that some alarm watches. An external CloudWatch gets
// no others: LocalStack takes few calls, and adds to a metric all of those that have
// more dimensions.
func watchedSeries(s *stage.Setup) map[monitorSeries]bool {
	watched := map[monitorSeries]bool{}
	for _, m := range watchedMetrics(s.Alarms) {
		for _, group := range append([]string{""}, s.Monitoring.TargetGroups...) {
			series := monitorSeries{0, m.Namespace, m.MetricName, group}
			if sameDimensions((&monitorData{names: s.Monitoring}).dimensions(series), m.Dimensions) {
				watched[series] = true
			}
		}
	}
	return watched
}

// onlyWatched is a setup with only those metric filters, and logs only where there
// are some, for the same reason.
func onlyWatched(s *stage.Setup) *stage.Setup {
	less := *s
	watched := watchedMetrics(s.Alarms)
	less.Monitoring.Filters = slices.DeleteFunc(slices.Clone(s.Monitoring.Filters), func(f stage.MetricFilter) bool {
		return !slices.ContainsFunc(watched, func(m alarm.Metric) bool { return m.Namespace == f.Namespace && m.MetricName == f.Metric })
	})
	if len(less.Monitoring.Filters) == 0 {
		less.Monitoring.LogGroup = ""
	}
	return &less
}

// watchedMetrics is the metrics that alarms read, by metric math too.
func watchedMetrics(alarms []alarm.Alarm) []alarm.Metric {
	var all []alarm.Metric
	for _, a := range alarms {
		if a.MetricName != "" {
			all = append(all, alarmMetric(&a))
		}
		for _, q := range a.Metrics {
			if q.MetricStat != nil {
				all = append(all, q.MetricStat.Metric)
			}
		}
	}
	return all
}

// alarmMetric is the metric that an alarm without metric math watches.
func alarmMetric(a *alarm.Alarm) alarm.Metric {
	return alarm.Metric{Namespace: a.Namespace, MetricName: a.MetricName, Dimensions: a.Dimensions}
}

func sameDimensions(published []types.Dimension, watched []alarm.Dimension) bool {
	return len(published) == len(watched) && !slices.ContainsFunc(published, func(d types.Dimension) bool {
		return !slices.Contains(watched, alarm.Dimension{Name: *d.Name, Value: *d.Value})
	})
}

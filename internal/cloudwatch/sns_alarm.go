package cloudwatch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"rehearsal/internal/alarm"
)

// A notification is what CloudWatch publishes when an alarm carries out its
// actions. The names, their order and what is null are AWS's: receivers in
// production were written for them.
type notification struct {
	AlarmName                          string
	AlarmDescription                   *string
	AWSAccountId                       string
	AlarmConfigurationUpdatedTimestamp string `json:",omitempty"` // not of composite alarms
	NewStateValue                      string
	NewStateReason                     string
	StateChangeTime                    string
	Region                             string
	AlarmArn                           string
	OldStateValue                      string
	OKActions                          []string
	AlarmActions                       []string
	InsufficientDataActions            []string
	Trigger                            *metricTrigger `json:",omitempty"` // of metric alarms
	AlarmRule                          string         `json:",omitempty"` // of composite alarms
	TriggeringChildren                 []toldChild    `json:",omitempty"` // of composite alarms
}

// A toldChild is the alarm whose change made a composite alarm change.
type toldChild struct {
	Arn   string
	State struct{ Value, Timestamp string }
}

// A metricTrigger is what a metric alarm watches: one metric, or Metrics.
type metricTrigger struct {
	MetricName                       string           `json:",omitempty"`
	Namespace                        string           `json:",omitempty"`
	StatisticType                    string           `json:",omitempty"` // Statistic or ExtendedStatistic
	Statistic                        string           `json:",omitempty"` // in capitals
	ExtendedStatistic                string           `json:",omitempty"`
	Unit                             *json.RawMessage `json:",omitempty"` // null, if there is one metric and no unit
	Dimensions                       *[]toldDimension `json:",omitempty"`
	Period                           int
	EvaluationPeriods                int
	DatapointsToAlarm                int `json:",omitempty"`
	ComparisonOperator               string
	Threshold                        told
	TreatMissingData                 string
	EvaluateLowSampleCountPercentile string
	Metrics                          []toldQuery `json:",omitempty"`
}

type toldDimension struct {
	Value string `json:"value"`
	Name  string `json:"name"`
}

type toldQuery struct {
	Expression string `json:",omitempty"`
	Id         string
	Label      string    `json:",omitempty"`
	Period     int       `json:",omitempty"`
	MetricStat *toldStat `json:",omitempty"`
	ReturnData bool
}

type toldStat struct {
	Metric struct {
		Dimensions            []toldDimension
		MetricName, Namespace string
	}
	Period int
	Stat   string
	Unit   string `json:",omitempty"`
}

// told is a number as AWS tells it: 1.0, 1.0E7.
type told float64

func (v told) MarshalJSON() ([]byte, error) {
	if size := math.Abs(float64(v)); size != 0 && (size < 1e-3 || size >= 1e7) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(float64(v), 'E', -1, 64), "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, err := strconv.Atoi(exponent)
		return []byte(mantissa + "E" + strconv.Itoa(n)), err
	}
	text := strconv.FormatFloat(float64(v), 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return []byte(text), nil
}

// alarmTime is a time as CloudWatch writes it in what it publishes.
func alarmTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

// notifyOf queues what a metric alarm publishes to those of its actions that are
// topics of this store. The caller holds the lock.
func (s *Store) notifyOf(w *watch, t Transition) {
	if len(t.Actions) == 0 || len(s.sns.topics) == 0 {
		return
	}
	n := notificationOf(w.Alarm, t)
	n.AlarmConfigurationUpdatedTimestamp = alarmTime(w.changed)
	n.Trigger = triggerOf(w.Alarm)
	s.sns.notify(n, t)
}

// notifyOfComposite queues what a composite alarm publishes, be it later than it
// changed, because its actions were held back.
func (s *Store) notifyOfComposite(c *composite, t Transition) {
	if len(t.Actions) == 0 || len(s.sns.topics) == 0 {
		return
	}
	a := c.Composite
	n := notificationOf(&alarm.Alarm{AlarmName: a.AlarmName, AlarmArn: a.AlarmArn, AlarmDescription: a.AlarmDescription,
		OKActions: a.OKActions, AlarmActions: a.AlarmActions, InsufficientDataActions: a.InsufficientDataActions}, t)
	n.StateChangeTime, n.AlarmRule = alarmTime(c.since), a.AlarmRule
	if c.cause.put == "" && c.cause.arn != "" {
		child := toldChild{Arn: c.cause.arn}
		child.State.Value, child.State.Timestamp = c.cause.state.String(), alarmTime(c.cause.at)
		n.TriggeringChildren = []toldChild{child}
	}
	s.sns.notify(n, t)
}

func notificationOf(a *alarm.Alarm, t Transition) *notification {
	n := &notification{AlarmName: a.AlarmName, AlarmDescription: text(a.AlarmDescription),
		NewStateValue: t.To.String(), NewStateReason: t.Reason, StateChangeTime: alarmTime(t.Time), AlarmArn: cmp.Or(a.AlarmArn, arn(a.AlarmName)),
		OldStateValue: t.From.String(), OKActions: list(a.OKActions), AlarmActions: list(a.AlarmActions), InsufficientDataActions: list(a.InsufficientDataActions)}
	n.Region, n.AWSAccountId = regionNames[region], account
	if parts := strings.SplitN(n.AlarmArn, ":", 6); len(parts) == 6 {
		n.Region, n.AWSAccountId = cmp.Or(regionNames[parts[3]], parts[3]), parts[4]
	}
	return n
}

// notify publishes to the topics among a transition's actions.
func (n *sns) notify(what *notification, t Transition) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(what); err != nil {
		panic(fmt.Sprintf("cloudwatch: a notification cannot be written as JSON: %v", err))
	}
	m := Message{Subject: subjectOf(what), Message: strings.TrimSuffix(b.String(), "\n"), Time: t.Time}
	for _, action := range t.Actions {
		if to := n.topics[action]; to != nil {
			// An alarm's reason cannot be too long, and its name has no control characters
			// that SNS would refuse, or the alarm would have been.
			_, _ = n.publish(to, m, nil)
		}
	}
}

// subjectOf is at most as long as SNS takes: AWS shortens the name of the alarm.
func subjectOf(n *notification) string {
	name := []rune(n.AlarmName)
	subject := func(name string) string { return n.NewStateValue + `: "` + name + `" in ` + n.Region }
	if over := len([]rune(subject(n.AlarmName))) - maxSubject; over > 0 {
		return subject(string(name[:max(0, len(name)-over-3)]) + "...")
	}
	return subject(n.AlarmName)
}

func triggerOf(a *alarm.Alarm) *metricTrigger {
	t := &metricTrigger{Period: a.Period, EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm,
		ComparisonOperator: a.ComparisonOperator, Threshold: told(a.Threshold),
		TreatMissingData: cmp.Or(a.TreatMissingData, "missing"), EvaluateLowSampleCountPercentile: a.EvaluateLowSampleCountPercentile}
	if len(a.Metrics) > 0 {
		for _, q := range a.Metrics {
			one := toldQuery{Expression: q.Expression, Id: q.Id, Label: q.Label, Period: q.Period, ReturnData: q.ReturnData}
			if m := q.MetricStat; m != nil {
				one.MetricStat = &toldStat{Period: m.Period, Stat: m.Stat, Unit: m.Unit}
				one.MetricStat.Metric.Dimensions = toldDimensions(m.Metric.Dimensions)
				one.MetricStat.Metric.MetricName, one.MetricStat.Metric.Namespace = m.Metric.MetricName, m.Metric.Namespace
				t.Period = cmp.Or(t.Period, m.Period)
			}
			t.Period = cmp.Or(t.Period, q.Period)
			t.Metrics = append(t.Metrics, one)
		}
		return t
	}
	dims, unit := toldDimensions(a.Dimensions), json.RawMessage("null")
	if a.Unit != "" {
		unit = json.RawMessage(quoted(a.Unit))
	}
	t.MetricName, t.Namespace, t.Dimensions, t.Unit = a.MetricName, a.Namespace, &dims, &unit
	if t.StatisticType, t.ExtendedStatistic = "ExtendedStatistic", a.ExtendedStatistic; a.ExtendedStatistic == "" {
		t.StatisticType, t.Statistic = "Statistic", strings.ToUpper(a.Statistic)
		if a.Statistic == "SampleCount" {
			t.Statistic = "SAMPLE_COUNT"
		}
	}
	return t
}

func toldDimensions(dims []alarm.Dimension) []toldDimension {
	all := make([]toldDimension, len(dims))
	for i, d := range dims {
		all[i] = toldDimension{d.Value, d.Name}
	}
	return all
}

// regionNames are the regions as notifications name them.
var regionNames = map[string]string{
	"af-south-1": "Africa (Cape Town)", "ap-east-1": "Asia Pacific (Hong Kong)", "ap-east-2": "Asia Pacific (Taipei)",
	"ap-northeast-1": "Asia Pacific (Tokyo)", "ap-northeast-2": "Asia Pacific (Seoul)", "ap-northeast-3": "Asia Pacific (Osaka)",
	"ap-south-1": "Asia Pacific (Mumbai)", "ap-south-2": "Asia Pacific (Hyderabad)", "ap-southeast-1": "Asia Pacific (Singapore)",
	"ap-southeast-2": "Asia Pacific (Sydney)", "ap-southeast-3": "Asia Pacific (Jakarta)", "ap-southeast-4": "Asia Pacific (Melbourne)",
	"ap-southeast-5": "Asia Pacific (Malaysia)", "ap-southeast-6": "Asia Pacific (New Zealand)", "ap-southeast-7": "Asia Pacific (Thailand)",
	"ca-central-1": "Canada (Central)", "ca-west-1": "Canada West (Calgary)",
	"eu-central-1": "EU (Frankfurt)", "eu-central-2": "EU (Zurich)", "eu-north-1": "EU (Stockholm)", "eu-south-1": "EU (Milan)",
	"eu-south-2": "EU (Spain)", "eu-west-1": "EU (Ireland)", "eu-west-2": "EU (London)", "eu-west-3": "EU (Paris)",
	"il-central-1": "Israel (Tel Aviv)", "me-central-1": "Middle East (UAE)", "me-south-1": "Middle East (Bahrain)",
	"mx-central-1": "Mexico (Central)", "sa-east-1": "South America (Sao Paulo)",
	"us-east-1": "US East (N. Virginia)", "us-east-2": "US East (Ohio)", "us-west-1": "US West (N. California)", "us-west-2": "US West (Oregon)",
}

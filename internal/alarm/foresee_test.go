package alarm

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/lang"
)

// scene is one that numbers are easy to find by hand for: 10 requests a second.
func scene() *Scene {
	return &Scene{Rate: 10, Replicas: 2, Median: 50 * time.Millisecond, P99: 100 * time.Millisecond, CPU: 30, Memory: 40, Notice: 20 * time.Second, Logged: 1}
}

// on makes an alarm on one of the balancer's metrics.
func on(t *testing.T, metric string, a Alarm) *Compiled {
	t.Helper()
	a.AlarmName, a.Namespace, a.MetricName = "shop", "AWS/ApplicationELB", metric
	if a.Statistic == "" && a.ExtendedStatistic == "" {
		a.Statistic = "Sum"
	}
	if a.Period == 0 {
		a.Period = 60
	}
	if a.EvaluationPeriods == 0 {
		a.EvaluationPeriods = 1
	}
	if a.ComparisonOperator == "" {
		a.ComparisonOperator = "GreaterThanThreshold"
	}
	c, err := a.Compile()
	require.NoError(t, err)
	return c
}

func foresee(t *testing.T, c *Compiled, s *Scene, f Failure) Foresight {
	t.Helper()
	look, known := c.Foresee(s, f)
	require.True(t, known)
	return look
}

func seconds(from, to int) Span {
	return Span{time.Duration(from) * time.Second, time.Duration(to) * time.Second}
}

func TestForeseenByHand(t *testing.T) {
	// Half of 10 requests a second fail: 5 a second. More than 60 in a minute
	// takes 13 s of the failure.
	c := on(t, "HTTPCode_Target_5XX_Count", Alarm{Threshold: 60, TreatMissingData: "notBreaching"})
	look := foresee(t, c, scene(), Failure{Trouble: Failing, Share: 50})
	assert.True(t, look.Fires)
	assert.Equal(t, OK, look.Before)
	assert.Equal(t, seconds(13, 72), look.Detect, "13 s of the first minute, or a second too few of it and the whole of the next")
	assert.True(t, look.Recovers)
	assert.Equal(t, OK, look.Left)
	assert.Equal(t, seconds(48, 227), look.Recover,
		"at best it ends within 12 s of a minute; else that minute breaches, and counts for two more, in which there is no 5xx to count")
	assert.Equal(t, seconds(13, 25), look.Brief, "12 s of one minute and 12 of the next are too few in each")
	assert.InDelta(t, 10.2, look.Least.Share, 0.1, "61 of 600")

	look = foresee(t, c, scene(), Failure{Trouble: Failing, Share: 10})
	assert.False(t, look.Fires, "60 in a minute are not more than 60")
	assert.InDelta(t, 10.2, look.Least.Share, 0.1, "it says what would do")

	// The service answers no request when no task does: the balancer does.
	look = foresee(t, c, scene(), Failure{Trouble: Stopping, Tasks: 2})
	assert.False(t, look.Fires)
	assert.Zero(t, look.Least.Tasks)
	c = on(t, "HTTPCode_ELB_5XX_Count", Alarm{Threshold: 0})
	look = foresee(t, c, scene(), Failure{Trouble: Stopping, Tasks: 2})
	assert.Equal(t, seconds(1, 60), look.Detect)
	assert.Equal(t, InsufficientData, look.Before, "nothing is published while there is nothing to count")
	assert.Equal(t, InsufficientData, look.Left)
	assert.Equal(t, seconds(180, 239), look.Recover, "the last point counts until it leaves the range of 3")
	assert.Equal(t, 1, look.Least.Tasks)
	look = foresee(t, c, scene(), Failure{Trouble: Stopping, Tasks: 1})
	assert.True(t, look.Fires, "until the health check notices, half of the requests go to the stopped task")
	assert.NotEqual(t, InAlarm, look.After, "and none afterwards")
	assert.False(t, look.Recovers)
}

func TestForeseenMetricsThatComeLate(t *testing.T) {
	c := on(t, "HTTPCode_Target_5XX_Count", Alarm{Threshold: 60, TreatMissingData: "notBreaching"})
	s := scene()
	f := Failure{Trouble: Failing, Share: 50}
	for delay, later := range map[time.Duration]int{time.Second: 60, time.Minute: 60, 90 * time.Second: 120} {
		s.Delay = delay
		assert.Equal(t, seconds(13+later, 72+later), foresee(t, c, s, f).Detect, "%s late: the evaluation that would see it comes too early", delay)
	}
}

func TestForeseenHealthChecks(t *testing.T) {
	c := on(t, "UnHealthyHostCount", Alarm{Statistic: "Maximum", Threshold: 1, ComparisonOperator: "GreaterThanOrEqualToThreshold"})
	look := foresee(t, c, scene(), Failure{Trouble: Stopping, Tasks: 2})
	assert.Equal(t, seconds(21, 80), look.Detect, "the health check takes 20 s")
	assert.Equal(t, 1, look.Least.Tasks)
	c = on(t, "HealthyHostCount", Alarm{Statistic: "Minimum", Threshold: 1, ComparisonOperator: "LessThanThreshold", EvaluationPeriods: 2})
	look = foresee(t, c, scene(), Failure{Trouble: Stopping, Tasks: 2})
	assert.Equal(t, seconds(81, 140), look.Detect)
	assert.Equal(t, 2, look.Least.Tasks, "with one of two left it is still 1")
}

func TestForeseenLatency(t *testing.T) {
	f := Failure{Trouble: Slowing, Share: 100, Delay: 900 * time.Millisecond}
	p99 := on(t, "TargetResponseTime", Alarm{ExtendedStatistic: "p99", Threshold: 0.5})
	average := on(t, "TargetResponseTime", Alarm{Statistic: "Average", Threshold: 0.5})
	look := foresee(t, p99, scene(), f)
	assert.True(t, look.Fires)
	assert.InDelta(t, 0.4, look.Least.Delay.Seconds(), 0.02, "answers already take 0.1 s at the 99th percentile")
	assert.InDelta(t, 1.17, p99.LeastShare(scene(), f.Delay), 0.01, "7 of 600: with 6 the 99th in a hundred is still fast")
	assert.InDelta(t, 50, average.LeastShare(scene(), f.Delay), 1, "an average hides the tail: (0.5 - 0.05) / 0.9")
	assert.Zero(t, average.LeastShare(scene(), 100*time.Millisecond))

	frozen := on(t, "TargetResponseTime", Alarm{ExtendedStatistic: "p99", Threshold: 0.5, EvaluateLowSampleCountPercentile: "ignore"})
	look = foresee(t, frozen, scene(), f)
	assert.False(t, look.Fires, "600 samples a minute are not 1,000")
	assert.Zero(t, look.Least.Delay)
	s := scene()
	s.Rate = 20
	assert.True(t, foresee(t, frozen, s, f).Fires)
}

func TestForeseenSilence(t *testing.T) {
	f := Failure{Trouble: Silence}
	for treatment, want := range map[string]struct {
		fires bool
		after State
	}{"missing": {false, InsufficientData}, "ignore": {false, OK}, "breaching": {true, InAlarm}, "notBreaching": {false, OK}} {
		look := foresee(t, on(t, "HealthyHostCount", Alarm{Statistic: "Minimum", Threshold: 1, ComparisonOperator: "LessThanThreshold", TreatMissingData: treatment}), scene(), f)
		assert.Equal(t, want.fires, look.Fires, treatment)
		assert.Equal(t, want.after, look.After, treatment)
	}
	// What goes on for as long as nothing is published, and for ever where missing data is ignored.
	look := foresee(t, on(t, "HTTPCode_ELB_5XX_Count", Alarm{TreatMissingData: "ignore"}), scene(), Failure{Trouble: Stopping, Tasks: 2})
	assert.True(t, look.Fires)
	assert.False(t, look.Recovers, "no 5xx is no datapoint, and no datapoint changes nothing")
	assert.Equal(t, InAlarm, look.After)
}

func TestForeseenShortPeriodsOfAMetricThatComesOnceAMinute(t *testing.T) {
	c := on(t, "HTTPCode_ELB_5XX_Count", Alarm{Period: 10, TreatMissingData: "notBreaching"})
	look := foresee(t, c, scene(), Failure{Trouble: Stopping, Tasks: 2})
	assert.False(t, look.Fires, "when a minute's point comes, the 10 s that it belongs to are out of the range")
	s := scene()
	s.Lines = []LineMetric{{Namespace: "AWS/ApplicationELB", MetricName: "HTTPCode_ELB_5XX_Count"}}
	look = foresee(t, c, s, Failure{Trouble: Failing, Share: 100})
	assert.Equal(t, seconds(1, 10), look.Detect, "a metric that comes at any time")
}

func TestWholePeriodsAreForeseenAsThePlansLintSays(t *testing.T) {
	s := scene()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(r, "N")
		a := Alarm{AlarmName: "shop", Namespace: "Shop", MetricName: "Errors", Statistic: "Sum", EvaluationPeriods: n,
			DatapointsToAlarm:  rapid.IntRange(1, n).Draw(r, "M"),
			Period:             rapid.SampledFrom([]int{10, 20, 30, 60, 120, 300}).Draw(r, "period"),
			ComparisonOperator: rapid.SampledFrom([]string{"GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"}).Draw(r, "operator"),
			Threshold:          rapid.Float64Range(-1e6, 1e6).Draw(r, "threshold"),
			TreatMissingData:   rapid.SampledFrom(treatments).Draw(r, "missing")}
		c, err := a.Compile()
		require.NoError(t, err)
		detect, recovery := c.ForeseeWhole(s)
		// The failure begins at whole seconds here, and the two bounds are for any instant.
		assert.Equal(t, c.EarliestDetection()+time.Second, detect.Earliest)
		assert.Equal(t, c.LatestDetection()-time.Second, detect.Latest)
		assert.LessOrEqual(t, recovery.Earliest, recovery.Latest)
		assert.Positive(t, recovery.Earliest)
	})
}

func TestForesightKeepsItsWord(t *testing.T) {
	// What must hold for every alarm and failure: it is found at the least size, the
	// bounds are in order, and a longer delay never brings it forward.
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(r, "N")
		a := Alarm{AlarmName: "shop", Namespace: "AWS/ApplicationELB", EvaluationPeriods: n, DatapointsToAlarm: rapid.IntRange(1, n).Draw(r, "M"),
			MetricName:         rapid.SampledFrom([]string{"HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "TargetResponseTime", "RequestCount"}).Draw(r, "metric"),
			Statistic:          rapid.SampledFrom([]string{"Sum", "Average", "Maximum", "SampleCount"}).Draw(r, "statistic"),
			Period:             rapid.SampledFrom([]int{60, 120}).Draw(r, "period"),
			ComparisonOperator: rapid.SampledFrom([]string{"GreaterThanThreshold", "LessThanThreshold"}).Draw(r, "operator"),
			Threshold:          rapid.SampledFrom([]float64{0, 0.3, 1, 50, 700}).Draw(r, "threshold"),
			TreatMissingData:   rapid.SampledFrom(treatments).Draw(r, "missing")}
		c, err := a.Compile()
		require.NoError(t, err)
		f := Failure{Trouble: rapid.SampledFrom(Troubles).Draw(r, "trouble"), Share: rapid.Float64Range(1, 100).Draw(r, "share"),
			Delay: 900 * time.Millisecond, Tasks: rapid.IntRange(1, 2).Draw(r, "tasks")}
		s := scene()
		look := foresee(t, c, s, f)
		if look.Before == InAlarm {
			assert.False(t, look.Fires)
			return
		}
		if !look.Least.none() && f.Trouble != Silence {
			assert.True(t, foresee(t, c, s, look.Least).Fires, "the smallest that it sees: %v", look.Least)
		}
		if !look.Fires {
			return
		}
		assert.LessOrEqual(t, look.Detect.Earliest, look.Detect.Latest)
		spread := c.Every + c.Period
		if a.TreatMissingData == "breaching" {
			// A failure that leaves a last small point sets it off by that; one that leaves
			// none only when the real points have left the range: see LatestSilence.
			spread += rangeBeyond * c.Period
		}
		assert.LessOrEqual(t, look.Detect.Latest-look.Detect.Earliest, spread)
		assert.LessOrEqual(t, look.Brief.Earliest, look.Brief.Latest)
		assert.Positive(t, look.Brief.Earliest)
		assert.LessOrEqual(t, look.Brief.Latest, look.Detect.Latest)
		s.Delay = 90 * time.Second
		if late := foresee(t, c, s, f); late.Fires {
			assert.GreaterOrEqual(t, late.Detect.Latest, look.Detect.Earliest)
		}
	})
}

func TestAlarmsThatLookAtDaysAreForeseenInTime(t *testing.T) {
	c := on(t, "HTTPCode_Target_5XX_Count", Alarm{EvaluationPeriods: 1440, DatapointsToAlarm: 1000})
	look := foresee(t, c, scene(), Failure{Trouble: Failing, Share: 50})
	assert.Equal(t, 1000, int(look.Detect.Latest.Minutes()+0.99))
	c = on(t, "HTTPCode_Target_5XX_Count", Alarm{EvaluationPeriods: 7, Period: 86400})
	assert.True(t, foresee(t, c, scene(), Failure{Trouble: Failing, Share: 50}).Fires)
}

// told is the outlook of one alarm as people read it, with its lines joined.
func told(t *testing.T, o *Outlook) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, o.Describe(&b, lang.English))
	for line := range strings.Lines(b.String()) {
		assert.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 80, line)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// asked are a failure of each trouble.
var asked = []Failure{{Trouble: Failing, Share: 50}, {Trouble: Slowing, Share: 100, Delay: 900 * time.Millisecond}, {Trouble: Stopping, Tasks: 2},
	{Trouble: Filling, Share: 95}, {Trouble: Silence}}

func TestAlarmsAreToldInWords(t *testing.T) {
	elb := []Dimension{{"LoadBalancer", "app/shop/1"}}
	good := Alarm{AlarmName: "shop", Namespace: "AWS/ApplicationELB", MetricName: "HTTPCode_Target_5XX_Count", Dimensions: elb, Statistic: "Sum", Period: 60,
		EvaluationPeriods: 5, DatapointsToAlarm: 3, Threshold: 60, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching",
		ActionsEnabled: true, AlarmActions: []string{"arn:aws:sns:eu-west-1:123456789012:on-call"}, StateValue: OK}
	for name, c := range map[string]struct {
		change func(*Alarm)
		scene  func(*Scene)
		want   []string
		not    []string
	}{
		"a count": {nil, nil, []string{
			"watches the number of requests that the service answered with a 5xx (LoadBalancer app/shop/1), above 60, each minute, for 3 of 5 minutes.",
			"A period without data counts as good (notBreaching).",
			"begins: 50% of the requests fail; OK again",
			"never sees - that every answer takes 900ms longer, that no task answers, that CPU and memory are at 95%, of whatever size.",
			"a 5xx that the balancer answers itself when no task does",
			"that its metrics stop: it stays OK.", "tells on-call.", "staging not known"}, []string{"NOBODY", "in ALARM when"}},
		"too small": {func(a *Alarm) { a.Threshold = 400 }, nil, []string{"50% of the requests fail: that is too small, it sees 67% or more"}, nil},
		"disabled":  {func(a *Alarm) { a.ActionsEnabled = false }, nil, []string{"tells NOBODY: its actions are disabled"}, nil},
		"no action": {func(a *Alarm) { a.AlarmActions = nil }, nil, []string{"tells NOBODY: it has no AlarmActions"}, nil},
		"red":       {func(a *Alarm) { a.StateValue = InAlarm }, nil, []string{"now in ALARM when the file was written"}, nil},
		"unit":      {func(a *Alarm) { a.Unit = "Seconds" }, nil, []string{"anything: it takes only samples with the unit Seconds, and HTTPCode_Target_5XX_Count is published in Count"}, nil},
		"average":   {func(a *Alarm) { a.Statistic = "Average" }, nil, []string{"how many they are: the Average of HTTPCode_Target_5XX_Count is 1 whenever there is one; use Sum"}, nil},
		"seconds":   {func(a *Alarm) { a.Period = 10 }, nil, []string{"each 10s, for 3 of 5 periods of 10s", "comes once a minute, and its periods are 10s long"}, nil},
		"group": {func(a *Alarm) { a.Dimensions = append([]Dimension{{"TargetGroup", "targetgroup/blue"}}, elb...) }, nil,
			[]string{"what happens in another target group than targetgroup/blue"}, nil},
		"few samples": {func(a *Alarm) {
			a.MetricName, a.Statistic, a.ExtendedStatistic, a.EvaluateLowSampleCountPercentile, a.Threshold = "TargetResponseTime", "", "p99", "ignore", 0.5
		}, nil, []string{"above 0.5 s", "goes off for none of the failures that are asked about", "600 requests in a period are fewer than the 1,000 samples",
			"In a period of fewer than 1,000 samples (16.6667 a second; here there are 10) the alarm stays as it is (ignore)."}, nil},
		"bake": {func(a *Alarm) { a.Period = 300 }, func(s *Scene) { s.Bakes = []time.Duration{time.Minute, 10 * time.Minute} },
			[]string{"over 5m, looked at each minute, for 3 of 5 periods of 5m", "it may need 16m, and the longest bake of the plan is 10m"}, nil},
		"always red": {func(a *Alarm) { a.ComparisonOperator = "LessThanOrEqualToThreshold"; a.TreatMissingData = "breaching" }, nil,
			[]string{"goes off never anew: it is in ALARM while all is well", "anything new"}, nil},
		"own metric": {func(a *Alarm) { a.Namespace, a.MetricName = "Shop", "Orders" }, nil,
			[]string{"the Sum of Shop Orders", "2m 1s to 3m 59s after a failure begins that takes every whole period past the threshold", "(Shop Orders)"}, nil},
		"known by word only": {func(a *Alarm) { a.Namespace, a.MetricName = "AWS/Lambda", "Errors" }, nil,
			[]string{"the number of invocations that ended in an error of the function", "(AWS/Lambda Errors)", "throttled invocations"}, nil},
		"a filter's unit": {func(a *Alarm) { a.Namespace, a.MetricName, a.Unit = "Shop", "ErrorCount", "Count" }, func(s *Scene) { s.Lines = []LineMetric{{"Shop", "ErrorCount", "", nil}} },
			[]string{"anything: it takes only samples with the unit Count, and ErrorCount is published in None"}, nil},
		"filter": {func(a *Alarm) { a.Namespace, a.MetricName = "Shop", "ErrorCount" }, func(s *Scene) { s.Lines = []LineMetric{{"Shop", "ErrorCount", "", new(0.0)}} },
			[]string{"the number of log lines that its metric filter matches", "begins: 50% of the requests fail", "its own death"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a, s := good, scene()
			if c.change != nil {
				c.change(&a)
			}
			if c.scene != nil {
				c.scene(s)
			}
			text := told(t, &Outlook{Scene: s, Failures: asked, Survey: Survey{Set: Set{Alarms: []Alarm{a}}}})
			for _, want := range c.want {
				assert.Contains(t, text, want)
			}
			for _, not := range c.not {
				assert.NotContains(t, text, not)
			}
		})
	}
}

func TestFedIsTold(t *testing.T) {
	alarms, err := ParseFile("testdata/describe-alarms.json")
	require.NoError(t, err)
	o := &Outlook{Scene: scene(), Failures: asked, Survey: Survey{Set: Set{Alarms: alarms[:1]}}, Fed: func(Alarm) []string { return nil }}
	assert.Contains(t, told(t, o), "staging fed: the staging copy publishes all of its metrics.")
	o.Fed = func(Alarm) []string { return []string{"AWS/SQS X", "AWS/SQS Y"} }
	assert.Contains(t, told(t, o), "NOT fed: nothing in the staging copy publishes AWS/SQS X; AWS/SQS Y.")
}

// The table of meanings knows whatever the stages publish.
func TestMetricsOfTheBalancerAreModelled(t *testing.T) {
	for _, name := range []string{"RequestCount", "HTTPCode_Target_2XX_Count", "HTTPCode_Target_3XX_Count", "HTTPCode_Target_4XX_Count", "HTTPCode_Target_5XX_Count",
		"TargetConnectionErrorCount", "TargetResponseTime", "HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_502_Count", "HTTPCode_ELB_503_Count",
		"HTTPCode_ELB_504_Count", "HealthyHostCount", "UnHealthyHostCount"} {
		m := scene().meaning(Metric{Namespace: "AWS/ApplicationELB", MetricName: name})
		require.NotNil(t, m, name)
		assert.NotNil(t, m.sample, name)
	}
	seen := map[string]bool{}
	for _, m := range meanings {
		assert.False(t, seen[m.namespace+m.name], "%s %s is there twice", m.namespace, m.name)
		seen[m.namespace+m.name] = true
		assert.NotEqual(t, m.counts == "", m.is == "", "%s: either counts or is", m.name)
		assert.Contains(t, units, " "+m.unit+" ", m.name)
	}
}

func TestSpokenAndPlain(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 450 * time.Millisecond: "450ms", time.Minute: "1m", 122 * time.Second: "2m 2s", 25 * time.Hour: "1d 1h", 1500 * time.Millisecond: "1.5s"} {
		assert.Equal(t, want, spoken(d))
	}
	for v, want := range map[float64]string{0: "0", 1000: "1,000", -1234567.5: "-1,234,567.5", 0.5: "0.5", 1e-9: "1e-09", 1e20: "1e+20"} {
		assert.Equal(t, want, plain(v))
	}
}

// rich has every field that the API has, which is held against the SDK's types.
const rich = "testdata/describe-alarms-rich.json"

func TestTheRichSampleHasEveryFieldOfTheAPI(t *testing.T) {
	data, err := os.ReadFile(rich)
	require.NoError(t, err)
	var file struct{ MetricAlarms, CompositeAlarms []map[string]any }
	require.NoError(t, json.Unmarshal(data, &file))
	for _, c := range []struct {
		of     reflect.Type
		alarms []map[string]any
	}{{reflect.TypeFor[types.MetricAlarm](), file.MetricAlarms}, {reflect.TypeFor[types.CompositeAlarm](), file.CompositeAlarms}} {
		for i := range c.of.NumField() {
			name := c.of.Field(i).Name
			if !c.of.Field(i).IsExported() {
				continue
			}
			assert.True(t, slices.ContainsFunc(c.alarms, func(a map[string]any) bool { _, ok := a[name]; return ok }), "%s has no %s in the sample", c.of.Name(), name)
		}
	}
}

func TestWhatIsNotJudgedIsToldAndNoMistakeOfTheFile(t *testing.T) {
	_, err := ReadFile(rich)
	require.Error(t, err, "a rehearsal refuses what it cannot judge")
	s, err := SurveyFile(rich)
	require.NoError(t, err)
	assert.Equal(t, []string{"orders-requests-band", "orders-promql", "orders-daily-errors", "orders-hottest-task"}, s.Names)
	assert.Len(t, s.Alarms, 6)
	assert.Len(t, s.Composites, 2)
	text := told(t, &Outlook{Scene: scene(), Failures: asked, Survey: s})
	for _, want := range []string{
		`"requests answered with 5xx (%)", which is m1/m2*100, above 5, each minute, for 3 of 5 minutes; m1: the number of requests that the service answered with a 5xx`,
		"orders-promql not judged EvaluationCriteria: alarms on PromQL queries are not judged yet",
		"orders-hottest-task not judged Metrics[0].Expression: column 1: Metrics Insights queries are not judged yet",
		"orders-down (composite) watches goes to ALARM when orders-5xx-share is in ALARM or orders-balancer-5xx is in ALARM.",
		"waits 2m for deploy-under-way to go to ALARM, which holds its actions back for as long as it is there, and 3m longer.",
		"These of its rule tell people by themselves too: orders-5xx-share.",
		"goes to ALARM when orders-p99 is in ALARM and orders-down is not in ALARM.",
		"assumed what these do in a failure is not known here, and they are taken to stay as they are: deploy-under-way.",
	} {
		assert.Contains(t, text, want)
	}

	fed := told(t, &Outlook{Scene: scene(), Failures: asked, Survey: s, Fed: func(Alarm) []string { return nil }})
	assert.Contains(t, fed, "staging fed: the staging copy publishes the metrics of all alarms of its rule.")
	fed = told(t, &Outlook{Scene: scene(), Failures: asked, Survey: s, Fed: func(a Alarm) []string {
		if a.AlarmName == "orders-p99" || a.AlarmName == "deploy-under-way" {
			return []string{"AWS/ApplicationELB TargetResponseTime"}
		}
		return nil
	}})
	assert.Contains(t, fed, "NOT fed in part: nothing tells the states of orders-p99.")

	data, err := os.ReadFile(rich)
	require.NoError(t, err)
	spoiled := strings.Replace(strings.Replace(string(data), `"Threshold": 10.0`, `"Threshold": "ten"`, 1), `ALARM(orders-p99)`, `ALARM(orders-p98)`, 1)
	_, err = ReadSurvey("alarms.json", []byte(spoiled))
	require.Error(t, err, "what is wrong is wrong all the same")
	assert.Contains(t, err.Error(), `alarms.json:113: alarm "orders-balancer-5xx": Threshold: want a number`)
	assert.Contains(t, err.Error(), `there is no alarm "orders-p98"`)
	_, err = SurveyFile("nosuch.json")
	require.ErrorContains(t, err, "nosuch.json: cannot be read")
}

func TestCompositesAreForeseen(t *testing.T) {
	survey, err := SurveyFile(rich)
	require.NoError(t, err)
	o := &Outlook{Scene: scene(), Failures: asked, Survey: survey}
	require.NoError(t, o.compile())
	composite := func(name string) *CompiledComposite {
		return o.composites[slices.IndexFunc(o.composites, func(c *CompiledComposite) bool { return c.Composite.AlarmName == name })]
	}
	metric := func(name string) *Compiled {
		c, err := o.Alarms[slices.IndexFunc(o.Alarms, func(a Alarm) bool { return a.AlarmName == name })].Compile()
		require.NoError(t, err)
		return c
	}
	k, unknown := o.cast(composite("orders-down"))
	assert.Equal(t, []string{"deploy-under-way"}, unknown)

	failing := Failure{Trouble: Failing, Share: 50}
	look := foreseen(k, o.Scene, failing)
	alone := foresee(t, metric("orders-5xx-share"), o.Scene, failing)
	assert.Equal(t, alone.Detect, look.Detect, "it goes off with the one of its alarms that sees it")
	assert.Equal(t, alone.Recover, look.Recover)
	assert.Equal(t, alone.Least, look.Least)
	assert.Equal(t, alone.Brief, look.Brief)
	told, ok := k.acts(failing)
	require.True(t, ok)
	assert.Equal(t, Span{alone.Detect.Earliest + 2*time.Minute, alone.Detect.Latest + 2*time.Minute}, told, "it waits for its suppressor first")

	stopping := Failure{Trouble: Stopping, Tasks: 2}
	look = foreseen(k, o.Scene, stopping)
	assert.Equal(t, foresee(t, metric("orders-balancer-5xx"), o.Scene, stopping).Detect, look.Detect)

	o.Alarms[slices.IndexFunc(o.Alarms, func(a Alarm) bool { return a.AlarmName == "deploy-under-way" })].StateValue = InAlarm
	k, _ = o.cast(composite("orders-down"))
	k.forget()
	_, ok = k.acts(failing)
	assert.False(t, ok, "the suppressor holds its actions back")

	// Slow answers of a service that is up; and with 20 requests a second, since the
	// percentile asks for 1,000 a minute.
	o.Scene.Rate = 20
	slowing := Failure{Trouble: Slowing, Share: 100, Delay: 900 * time.Millisecond}
	k, _ = o.cast(composite("orders-slow-but-up"))
	look = foreseen(k, o.Scene, slowing)
	assert.Equal(t, foresee(t, metric("orders-p99"), o.Scene, slowing).Detect, look.Detect)
	assert.False(t, foreseen(k, o.Scene, failing).Fires)
}

func TestRulesInWords(t *testing.T) {
	for rule, want := range map[string]string{
		"ALARM(a) AND (OK(b) OR NOT INSUFFICIENT_DATA(c))": "a is in ALARM and (b is in OK or c is not in INSUFFICIENT_DATA)",
		"NOT (ALARM(a) OR TRUE)":                           "it is not so that (a is in ALARM or always)",
		"AT_LEAST(50%, NOT OK, (a, b)) OR FALSE":           "at least 50% of these are not in OK: a, b or never",
	} {
		r, err := ParseRule(rule)
		require.NoError(t, err, rule)
		assert.Equal(t, want, r.Words())
	}
}

func TestNothingOfAFileMovesTheTerminal(t *testing.T) {
	a := Alarm{AlarmName: "shop\u2028now", Namespace: "Shop", MetricName: "Orders\x07\nForged", Statistic: "Sum", Period: 60, EvaluationPeriods: 1, ComparisonOperator: "GreaterThanThreshold",
		Dimensions: []Dimension{{"Service", strings.Repeat("長", 300) + "\u202e"}}, ActionsEnabled: true, AlarmActions: []string{"arn\x1b]0;x"}}
	var b strings.Builder
	require.NoError(t, (&Outlook{Scene: scene(), Failures: asked, Survey: Survey{Set: Set{Alarms: []Alarm{a}}}}).Describe(&b, lang.English))
	for _, r := range b.String() {
		assert.True(t, r == '\n' || unicode.IsPrint(r), "%q", r)
	}
}

func TestPointsThatMoveOnAreThoseMadeAnew(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := scene()
		s.Delay = time.Duration(rapid.IntRange(0, 200).Draw(r, "delay")) * time.Second
		c := on(t, rapid.SampledFrom([]string{"HTTPCode_Target_5XX_Count", "TargetResponseTime", "HealthyHostCount"}).Draw(r, "metric"), Alarm{
			EvaluationPeriods: rapid.IntRange(1, 5).Draw(r, "N"), Period: rapid.SampledFrom([]int{10, 60, 120}).Draw(r, "period")})
		f := Failure{Trouble: rapid.SampledFrom(Troubles).Draw(r, "trouble"), Share: 50, Delay: time.Second, Tasks: 1}
		from := rapid.Int64Range(0, 59).Draw(r, "from")
		moving, anew := newRehearsal(c, s), newRehearsal(c, s)
		moving.forget()
		moving.begin(f, from, from+200)
		for at := moving.every; at < 900; at += moving.every {
			anew.forget()
			anew.begin(f, from, from+200)
			assert.Equal(t, anew.points(at), moving.points(at), "at %d", at)
		}
	})
}

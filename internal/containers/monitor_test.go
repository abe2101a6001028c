package containers

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rehearsal/internal/alarm"
	"rehearsal/internal/clock"
	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/stage"
)

var monitorEpoch = time.Date(2026, 10, 5, 9, 0, 0, 0, time.UTC)

const (
	benchBalancer = "app/shop/50dc6c495c0c9188"
	benchGroupA   = "targetgroup/shop-a/73e2d6bc24d8a067"
	benchGroupB   = "targetgroup/shop-b/0d1c2f3a4b5e6978"
)

func monitorNames() stage.Monitoring {
	zero := 0.0
	return stage.Monitoring{
		LoadBalancer: benchBalancer, TargetGroups: []string{benchGroupA, benchGroupB},
		Cluster: "production", Service: "shop", LogGroup: "/ecs/shop",
		Filters: []stage.MetricFilter{{
			Name: "shop-errors", LogGroup: "/ecs/shop", Pattern: `{ $.level = "ERROR" }`,
			Namespace: "Shop", Metric: "ErrorCount", Value: "1", Default: &zero,
		}},
	}
}

// levelAlarm rings when one period's statistic of the metric is at least threshold.
func levelAlarm(name, namespace, metric, statistic string, threshold float64, dimensions ...alarm.Dimension) alarm.Alarm {
	a := alarm.Alarm{
		AlarmName: name, ActionsEnabled: true, Namespace: namespace, MetricName: metric, Dimensions: dimensions,
		Period: 60, EvaluationPeriods: 1, Threshold: threshold, ComparisonOperator: "GreaterThanOrEqualToThreshold",
	}
	if strings.HasPrefix(statistic, "p") {
		a.ExtendedStatistic = statistic
	} else {
		a.Statistic = statistic
	}
	return a
}

// errorRate rings when more than 1 % of a balancer's requests failed in 3 of 5 minutes.
func errorRate() alarm.Alarm {
	query := func(id, metric string) alarm.MetricDataQuery {
		return alarm.MetricDataQuery{Id: id, MetricStat: &alarm.MetricStat{Period: 60, Stat: "Sum", Metric: alarm.Metric{
			Namespace: elbNamespace, MetricName: metric, Dimensions: []alarm.Dimension{{Name: "LoadBalancer", Value: benchBalancer}},
		}}}
	}
	return alarm.Alarm{
		AlarmName: "shop-5xx-rate", ActionsEnabled: true, EvaluationPeriods: 5, DatapointsToAlarm: 3, Threshold: 1,
		ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching",
		Metrics: []alarm.MetricDataQuery{
			{Id: "rate", Expression: "100*(FILL(target5xx,0)+FILL(elb5xx,0))/requests", ReturnData: true},
			query("target5xx", elbTarget5XX), query("elb5xx", elb5XX), query("requests", elbRequests),
		},
	}
}

// monitorBench is a monitor whose minutes take 100 ms.
type monitorBench struct {
	*monitor
	t       *testing.T
	clock   *clock.Paced
	history *stage.History
	targets map[string][]target
}

func newMonitorBench(t *testing.T, alarms ...alarm.Alarm) *monitorBench {
	t.Helper()
	return startMonitorBench(t, &stage.Setup{Monitoring: monitorNames(), Alarms: alarms})
}

// startMonitor is monitoring that has begun.
func startMonitor(o monitorOptions) (*monitor, error) {
	m := newMonitor(o)
	return m, m.start(monitorEpoch)
}

func startMonitorBench(t *testing.T, setup *stage.Setup) *monitorBench {
	t.Helper()
	before := goleak.IgnoreCurrent()
	b := &monitorBench{t: t, clock: clock.NewPaced(600), targets: map[string][]target{}}
	b.history = stage.NewHistory(b.clock.Now, nil)
	t.Cleanup(b.clock.RunAhead())
	var err error
	b.monitor, err = startMonitor(monitorOptions{
		Setup: setup, Clock: b.clock, History: b.history, Pace: 600,
		Targets: func(version string) []target { return b.targets[version] },
		Usage:   func() (cpu, memory float64, ok bool) { return 12, 87, true },
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, b.close(context.Background()))
		assert.NoError(t, b.close(context.Background()), "twice")
		goleak.VerifyNone(t, before)
	})
	return b
}

func (b *monitorBench) embedded() *cloudwatch.Store { return b.judge.(*embeddedJudge).store }

// feed calls f every millisecond until all alarms have that state.
func (b *monitorBench) feed(f func(), state alarm.State, alarms ...string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	waiting := ""
	err := clock.Poll(ctx, time.Millisecond, func() (bool, error) {
		f()
		for _, name := range alarms {
			if b.history.AlarmState(name) != state {
				waiting = name
				return false, b.monitor.err()
			}
		}
		return true, nil
	})
	require.NoError(b.t, err, "waiting for %s", waiting)
}

func TestMonitorJudgesCompositeAlarms(t *testing.T) {
	setup := &stage.Setup{Monitoring: monitorNames(), Alarms: []alarm.Alarm{
		levelAlarm("errors", elbNamespace, elbTarget5XX, "Sum", 1, alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer})},
		Composites: []alarm.Composite{
			{AlarmName: "top", AlarmRule: "ALARM(low)\n", ActionsSuppressor: "roof", ActionsSuppressorWaitPeriod: 60, ActionsSuppressorExtensionPeriod: 60},
			{AlarmName: "low", AlarmRule: "NOT ALARM(x) AND ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:errors)"},
			{AlarmName: "x", AlarmRule: "FALSE"},
			{AlarmName: "roof", AlarmRule: "ALARM(top)"},
		}}
	b := startMonitorBench(t, setup)
	b.register("v1")
	b.feed(func() {
		b.access(access{Version: "v1", Target: "v1-1", FromTarget: true, Status: 500, Response: 250 * time.Millisecond, Weight: 600})
	}, alarm.InAlarm, "errors", "low", "top", "roof")
	assert.Equal(t, alarm.OK, b.history.AlarmState("x"))
	for _, c := range b.embedded().Composites() {
		if c.Alarm.AlarmName == "top" {
			assert.Equal(t, "roof", c.Alarm.ActionsSuppressor)
		}
	}
}

func TestMonitorFeedsProductionsAlarms(t *testing.T) {
	group := func(g string) []alarm.Dimension {
		return []alarm.Dimension{{Name: "TargetGroup", Value: g}, {Name: "LoadBalancer", Value: benchBalancer}}
	}
	all := alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer}
	service := []alarm.Dimension{{Name: "ServiceName", Value: "shop"}, {Name: "ClusterName", Value: "production"}}
	alarms := []alarm.Alarm{
		levelAlarm("requests", elbNamespace, elbRequests, "Sum", 600, all),
		levelAlarm("requests of b", elbNamespace, elbRequests, "Sum", 600, group(benchGroupB)...),
		levelAlarm("answers", elbNamespace, elbTarget2XX, "Sum", 1, group(benchGroupA)...),
		levelAlarm("errors of b", elbNamespace, elbTarget5XX, "Sum", 1, group(benchGroupB)...),
		levelAlarm("the balancer's errors", elbNamespace, elb5XX, "Sum", 1, all),
		levelAlarm("latency", elbNamespace, elbResponseTime, "p50", 0.25, all),
		levelAlarm("healthy", elbNamespace, elbHealthy, "Minimum", 2, group(benchGroupA)...),
		levelAlarm("unhealthy", elbNamespace, elbUnhealthy, "Maximum", 1, group(benchGroupB)...),
		levelAlarm("cpu", ecsNamespace, ecsCPU, "Average", 12, service...),
		levelAlarm("memory", ecsNamespace, ecsMemory, "Maximum", 87, service...),
		levelAlarm("error lines", "Shop", "ErrorCount", "Sum", 600),
		errorRate(),
	}
	silent := levelAlarm("errors of a", elbNamespace, elbTarget5XX, "Sum", 1, group(benchGroupA)...)
	b := newMonitorBench(t, append(alarms, silent)...)
	b.targets["v1"] = []target{{State: targetHealthy}, {State: targetHealthy}}
	b.targets["v2"] = []target{{State: targetHealthy}, {State: targetUnhealthy}, {State: targetInitial}, {State: targetDraining}}
	assert.Equal(t, benchGroupA, b.register("v1"))
	assert.Equal(t, benchGroupB, b.register("v2"))

	var names []string
	for _, a := range alarms {
		names = append(names, a.AlarmName)
	}
	calls := 0
	b.feed(func() {
		b.access(access{Version: "v1", Target: "v1-1", FromTarget: true, Status: 200, Response: 300 * time.Millisecond, Weight: 600})
		b.access(access{Version: "v2", Target: "v2-1", FromTarget: true, Status: 500, Response: 250 * time.Millisecond, Weight: 600})
		b.access(access{Version: "v2", Status: 503, Weight: 600})
		if calls++; calls%10 == 1 { // each of them stands for 600
			b.line("v2", "v2-1", `{"level": "ERROR", "msg": "no"}`)
		}
		b.line("v1", "v1-1", `{"level": "INFO", "msg": "yes"}`)
	}, alarm.InAlarm, names...)
	assert.False(t, b.embedded().Fed("errors of a"))
	assert.Equal(t, alarm.InsufficientData, b.history.AlarmState("errors of a"))
	for e := range b.history.All(stage.Changed) {
		assert.NotEmpty(t, e.Alarm.Reason)
	}
	for _, s := range b.embedded().Alarms() {
		if s.State == alarm.InsufficientData {
			continue
		}
		assert.Zero(t, s.Since.Sub(monitorEpoch)%time.Minute, "alarms are evaluated as a minute is over")
	}

	b.feed(func() {
		b.access(access{Version: "v1", Target: "v1-1", FromTarget: true, Status: 200, Response: time.Millisecond, Weight: 600})
		b.line("v1", "v1-1", `{"level": "INFO", "msg": "yes"}`)
	}, alarm.OK, "shop-5xx-rate", "latency", "error lines")
}

// unitAlarms ask for the unit that AWS publishes in, and for another.
func unitAlarms() (right, wrong []alarm.Alarm) {
	all := alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer}
	group := alarm.Dimension{Name: "TargetGroup", Value: benchGroupA}
	for _, a := range []struct {
		namespace, metric, unit string
		dims                    []alarm.Dimension
	}{
		{elbNamespace, elbRequests, "Count", []alarm.Dimension{all}},
		{elbNamespace, elbTarget5XX, "Count", []alarm.Dimension{all, group}},
		{elbNamespace, elbResponseTime, "Seconds", []alarm.Dimension{all}},
		{elbNamespace, elbHealthy, "Count", []alarm.Dimension{all, group}},
		{"Shop", "ErrorCount", "Count", nil},
	} {
		r := levelAlarm(a.metric+" in "+a.unit, a.namespace, a.metric, "Maximum", 0.001, a.dims...)
		w := levelAlarm(a.metric+" in "+"Bits", a.namespace, a.metric, "Maximum", 0.001, a.dims...)
		r.Unit, w.Unit = a.unit, "Bits"
		right, wrong = append(right, r), append(wrong, w)
	}
	return right, wrong
}

func alarmNames(alarms []alarm.Alarm) (names []string) {
	for _, a := range alarms {
		names = append(names, a.AlarmName)
	}
	return names
}

func TestMonitorPublishesInTheUnitsOfAWS(t *testing.T) {
	right, wrong := unitAlarms()
	for _, metric := range []string{ecsCPU, ecsMemory} {
		a := levelAlarm(metric, ecsNamespace, metric, "Maximum", 1, alarm.Dimension{Name: "ServiceName", Value: "shop"}, alarm.Dimension{Name: "ClusterName", Value: "production"})
		a.Unit = "Percent"
		right = append(right, a)
	}
	names := monitorNames()
	names.Filters[0].Unit = "Count"
	b := startMonitorBench(t, &stage.Setup{Monitoring: names, Alarms: append(right, wrong...)})
	b.targets["v1"] = []target{{State: targetHealthy}}
	b.register("v1")
	calls := 0
	b.feed(func() {
		b.access(access{Version: "v1", Target: "v1-1", FromTarget: true, Status: 500, Response: 300 * time.Millisecond, Weight: 600})
		if calls++; calls%50 == 1 { // each of them stands for 600
			b.line("v1", "v1-1", `{"level": "ERROR", "msg": "no"}`)
		}
	}, alarm.InAlarm, alarmNames(right)...)
	for _, name := range alarmNames(wrong) {
		assert.False(t, b.embedded().Fed(name), name)
		assert.Equal(t, alarm.InsufficientData, b.history.AlarmState(name), name)
	}
}

func TestMonitorThatCannotPublishIsLost(t *testing.T) {
	b := newMonitorBench(t, errorRate())
	b.access(access{Version: "v1", Target: "v1-1", FromTarget: true, Status: 200, Weight: math.NaN()}) // CloudWatch takes no NaN
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, clock.Poll(ctx, time.Millisecond, func() (bool, error) { return b.monitor.err() != nil, nil }))
	assert.ErrorIs(t, b.monitor.err(), stage.ErrLost)
	assert.ErrorContains(t, b.monitor.err(), elbNamespace)
}

func TestMonitorRefusesWhatCloudWatchWould(t *testing.T) {
	start := func(s *stage.Setup) error {
		c := clock.NewPaced(1)
		_, err := startMonitor(monitorOptions{Setup: s, Clock: c, History: stage.NewHistory(c.Now, nil)})
		return err
	}
	bad := errorRate()
	bad.EvaluationPeriods = 0
	assert.ErrorContains(t, start(&stage.Setup{Alarms: []alarm.Alarm{bad}}), "shop-5xx-rate")
	names := monitorNames()
	names.Filters[0].Pattern = "{ $.level = "
	assert.ErrorContains(t, start(&stage.Setup{Monitoring: names}), "shop-errors")
}

func TestMonitorTargetGroupsTakeTurns(t *testing.T) {
	m := &monitor{options: monitorOptions{Setup: &stage.Setup{Monitoring: monitorNames()}}, turn: -1, groups: map[string]string{}, runs: map[string]bool{}}
	assert.Equal(t, benchGroupA, m.register("v1"))
	assert.Equal(t, benchGroupB, m.register("v2"))
	assert.Equal(t, benchGroupB, m.register("v2"), "it keeps its group")
	m.deregister("v1")
	assert.Equal(t, benchGroupA, m.register("v3"))
	m.deregister("v3")
	assert.Equal(t, benchGroupA, m.register("v4"), "v2 still has the other")
	assert.Equal(t, benchGroupB, m.register("v5"), "none is free: they share")
	assert.Empty(t, (&monitor{options: monitorOptions{Setup: &stage.Setup{}}}).register("v1"))
}

func TestMonitorCountsAsALoadBalancerDoes(t *testing.T) {
	served := access{Version: "v1", Target: "v1-1", FromTarget: true, Response: 5 * time.Millisecond, Weight: 60}
	status := func(n int) access { a := served; a.Status = n; return a }
	for name, c := range map[string]struct {
		access access
		want   []string
	}{
		"an answer":           {status(201), []string{elbRequests, elbTarget2XX, elbResponseTime}},
		"a redirect":          {status(302), []string{elbRequests, elbTarget3XX, elbResponseTime}},
		"a refusal":           {status(404), []string{elbRequests, elbTarget4XX, elbResponseTime}},
		"an error":            {status(503), []string{elbRequests, elbTarget5XX, elbResponseTime}},
		"nobody to ask":       {access{Version: "v1", Status: 503, Weight: 60}, []string{elb5XX, elb503}},
		"the target hangs up": {access{Version: "v1", Target: "v1-1", Status: 502, Response: -1, Weight: 60}, []string{elbRequests, elb5XX, elb502}},
		"the target is slow":  {access{Version: "v1", Target: "v1-1", Status: 504, Response: -1, Weight: 60}, []string{elbRequests, elb5XX, elb504}},
		"the target is gone":  {access{Version: "v1", Target: "v1-1", Status: 503, Connect: -1, Response: -1, Weight: 60}, []string{elbRequests, elb5XX, elb503, elbConnectionErrors}},
		"the user leaves":     {access{Version: "v1", Target: "v1-1", Response: -1, Weight: 60}, []string{elbRequests}},
	} {
		t.Run(name, func(t *testing.T) {
			d := monitorData{names: monitorNames(), resolution: time.Minute}
			d.access(90*time.Second, c.access, benchGroupA)
			all, group := map[string]types.MetricDatum{}, []string{}
			for _, datum := range d.take(monitorEpoch)[elbNamespace] {
				if len(datum.Dimensions) == 2 {
					group = append(group, *datum.MetricName)
					continue
				}
				all[*datum.MetricName] = datum
				assert.Equal(t, monitorEpoch.Add(time.Minute), *datum.Timestamp)
				assert.Equal(t, []float64{60}, datum.Counts)
			}
			for _, metric := range c.want {
				assert.Contains(t, all, metric)
				// What the balancer did by itself is of no target group.
				assert.Equal(t, !strings.Contains(metric, "_ELB_"), strings.Contains(strings.Join(group, " "), metric), metric)
			}
			assert.Len(t, all, len(c.want))
			if latency, ok := all[elbResponseTime]; ok {
				assert.Equal(t, []float64{0.005}, latency.Values)
				assert.Equal(t, types.StandardUnitSeconds, latency.Unit)
			}
		})
	}
}

func TestMonitorKeepsToWhatOneCallTakes(t *testing.T) {
	d := monitorData{names: monitorNames(), resolution: time.Minute}
	for i := range 400 {
		d.access(time.Second, access{Target: "v1-1", FromTarget: true, Status: 200, Response: time.Duration(i) * time.Millisecond, Weight: 2}, "")
	}
	values, counts := 0, 0.0
	for _, datum := range d.take(monitorEpoch)[elbNamespace] {
		if *datum.MetricName == elbResponseTime {
			assert.LessOrEqual(t, len(datum.Values), valuesPerDatum)
			values += len(datum.Values)
			for _, c := range datum.Counts {
				counts += c
			}
		}
	}
	assert.Equal(t, 400, values)
	assert.Equal(t, 800.0, counts)
	assert.Empty(t, d.take(monitorEpoch), "everything is taken once")

	line := strings.Repeat("x", 1000)
	events := make([]logtypes.InputLogEvent, 25_000)
	for i := range events {
		events[i].Message = &line
	}
	assert.Equal(t, bytesPerCall/(1000+eventOverhead), eventsThatFit(events))
	short := ""
	for i := range events {
		events[i].Message = &short
	}
	assert.Equal(t, eventsPerCall, eventsThatFit(events))
	assert.Equal(t, 3, eventsThatFit(events[:3]))
}

func TestMonitorResolution(t *testing.T) {
	for want, periods := range map[time.Duration][]int{
		time.Minute: {60, 300}, 10 * time.Second: {60, 30, 20}, 5 * time.Second: {5}, time.Second: {300, 1},
	} {
		var alarms []alarm.Alarm
		for _, p := range periods {
			alarms = append(alarms, alarm.Alarm{Period: p})
		}
		assert.Equal(t, want, monitorResolution(alarms), "%v", periods)
	}
	assert.Equal(t, 10*time.Second, monitorResolution([]alarm.Alarm{{Metrics: []alarm.MetricDataQuery{{MetricStat: &alarm.MetricStat{Period: 30}}}}}))
}

func TestMonitorLines(t *testing.T) {
	l, err := newMonitorLines(monitorNames())
	require.NoError(t, err)
	assert.True(t, l.add("v2-1", `{"level": "ERROR"}`, monitorEpoch, 60))
	assert.False(t, l.add("v2-1", `{"level": "INFO"}`, monitorEpoch, 60))
	assert.False(t, l.add("v2-1", "", monitorEpoch, 60))
	assert.False(t, l.add("v1-1", strings.Repeat("é", longestLine), monitorEpoch, 60))
	streams := l.take()
	assert.Len(t, streams["v2-1"], 61, "a line that a filter counts comes as often as it stands for")
	assert.Len(t, *streams["v1-1"][0].Message, longestLine)
	assert.Empty(t, l.take())
	none, err := newMonitorLines(stage.Monitoring{})
	require.NoError(t, err)
	assert.False(t, none.add("v1-1", "text", monitorEpoch, 1))
	assert.Empty(t, none.take(), "production keeps no logs")
}

func TestTrafficTooThin(t *testing.T) {
	all := alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer}
	p99 := levelAlarm("p99", elbNamespace, elbResponseTime, "p99", 0.5, all)
	slowest := levelAlarm("slowest", elbNamespace, elbResponseTime, "Maximum", 0.5, all)
	count := levelAlarm("count", elbNamespace, elbTarget5XX, "Sum", 100, all)
	any := levelAlarm("any", elbNamespace, elbTarget5XX, "Sum", 1, all)
	lines := levelAlarm("lines", "Shop", "ErrorCount", "Sum", 21)
	memory := levelAlarm("memory", ecsNamespace, ecsMemory, "Maximum", 80)
	few := levelAlarm("few", elbNamespace, elbRequests, "Sum", 100, all)
	few.ComparisonOperator = "LessThanThreshold"
	inSeconds, percent := count, lines
	inSeconds.Unit, percent.Unit = "Seconds", "Percent"
	for _, c := range []struct {
		alarm alarm.Alarm
		rate  float64
		pace  float64
		want  string // "" is thick enough
	}{
		{errorRate(), 200, 60, ""},
		{errorRate(), 100, 60, ""}, // 1 of 100 is 1 %, which is not more than 1 %
		{errorRate(), 99, 60, "a pace of at most 59"},
		{errorRate(), 10, 60, "10 real requests in its period of 1m0s"},
		{errorRate(), 1, 1, ""},
		{p99, 200, 60, ""},
		{p99, 99, 60, "a single slow request"},
		{slowest, 10, 60, ""}, // in production too, one slow request sets it off
		{count, 200, 60, ""},
		{count, 200, 120, "a pace of at most 99"},
		{any, 200, 60, ""}, // in production too
		{lines, 200, 60, "a single line in the log in a period sets it off, which in production would not: use a pace of at most 20"},
		{memory, 0.001, 60, ""}, // no request feeds it
		{few, 200, 60, ""},
		{few, 0.5, 60, "0.5 real requests"},
		{few, 0.01, 60, "no pace is slow enough"},
		{inSeconds, 200, 120, ""}, // nothing feeds it: the metric is a Count
		{percent, 200, 60, ""},
	} {
		t.Run(fmt.Sprintf("%s, %g per second, pace %g", c.alarm.AlarmName, c.rate, c.pace), func(t *testing.T) {
			s := &stage.Setup{Monitoring: monitorNames(), Alarms: []alarm.Alarm{c.alarm}, Traffic: stage.Load{Rate: c.rate, Timeout: 4 * time.Second}}
			err := tooThin(s, c.pace)
			if c.want == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			assert.ErrorContains(t, err, fmt.Sprintf("%q at pace %g", c.alarm.AlarmName, c.pace))
		})
	}
}

package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestStatesAreWrittenAsAWSDoes(t *testing.T) {
	for state, text := range map[State]string{OK: "OK", InAlarm: "ALARM", InsufficientData: "INSUFFICIENT_DATA"} {
		assert.Equal(t, text, state.String())
		var read State
		assert.NoError(t, read.UnmarshalText([]byte(text)))
		assert.Equal(t, state, read)
	}
	assert.Panics(t, func() { _ = State(3).String() })
	read := OK
	assert.ErrorContains(t, read.UnmarshalText([]byte("ok")), `unknown alarm state "ok"`)
	assert.Equal(t, OK, read, "a text that is no state changes nothing")
}

func TestPointsOnTheThreshold(t *testing.T) {
	for operator, want := range map[string][3]State{ // of a value below, on and above
		"GreaterThanThreshold":          {OK, OK, InAlarm},
		"GreaterThanOrEqualToThreshold": {OK, InAlarm, InAlarm},
		"LessThanThreshold":             {InAlarm, OK, OK},
		"LessThanOrEqualToThreshold":    {InAlarm, InAlarm, OK},
	} {
		c := compiled(t, Alarm{ComparisonOperator: operator, Threshold: 5})
		for i, value := range []string{"4.999", "5", "5.001"} {
			got, _ := c.Evaluate(drawn(value), OK)
			assert.Equal(t, want[i], got, "%s of %s against 5", operator, value)
		}
	}
}

func TestRealPointsBeyondTheNewestN(t *testing.T) {
	for _, row := range []struct {
		n, m      int
		treatment string
		points    string
		before    State
		want      State
	}{
		{1, 1, "breaching", "0 - -", OK, OK},        // the point counts until it leaves the range
		{1, 1, "breaching", "0 - - -", OK, InAlarm}, // N+2 points, and it has left
		{1, 1, "notBreaching", "X - -", InAlarm, InAlarm},
		{1, 1, "notBreaching", "X - - -", InAlarm, OK},
		{1, 1, "missing", "X - - -", InAlarm, InsufficientData},
		{1, 1, "missing", "- - X", OK, InAlarm}, // one point is all that N asks for
		{3, 2, "missing", "- - - X X", OK, InAlarm},
		{3, 2, "ignore", "- - - X X", OK, InAlarm}, // whatever the third were, two breach
		{3, 2, "notBreaching", "- - - X X", OK, InAlarm},
		{3, 3, "missing", "- - - X X", OK, InsufficientData}, // the older of them is 2 old, not 3
		{3, 3, "ignore", "- - - X X", OK, OK},
		{3, 3, "missing", "X X", OK, InsufficientData}, // a short series is missing its oldest points
		{5, 3, "breaching", "0 0 - - - - -", OK, InAlarm},
		{5, 3, "breaching", "0 0 0 - - - -", OK, OK},
	} {
		got, why := ruled(t, row.n, row.m, row.treatment).Evaluate(drawn(row.points), row.before)
		assert.Equal(t, row.want, got, "%d of %d, %q, %s: %s", row.m, row.n, row.points, row.treatment, why)
	}
}

func TestDynamoDBIgnoresMissingDataUnlessToldOtherwise(t *testing.T) {
	a := Alarm{AlarmName: "throttled", Namespace: "AWS/DynamoDB", MetricName: "ThrottledRequests", Statistic: "Sum", Period: 60,
		EvaluationPeriods: 1, ComparisonOperator: "GreaterThanThreshold"}
	for setting, want := range map[string]State{"": InAlarm, "missing": InsufficientData} {
		a.TreatMissingData = setting
		c, err := a.Compile()
		assert.NoError(t, err)
		got, _ := c.Evaluate(drawn("- - -"), InAlarm)
		assert.Equal(t, want, got, "TreatMissingData %q", setting)
	}
}

func TestMetricMathOverDynamoDBIgnoresMissingDataToo(t *testing.T) {
	a := mathAlarm("a + 1")
	a.AlarmName, a.ComparisonOperator = "throttled", "GreaterThanThreshold"
	a.Metrics[3].MetricStat.Metric.Namespace = "AWS/DynamoDB"
	for setting, want := range map[string]State{"": InAlarm, "missing": InsufficientData} {
		a.TreatMissingData = setting
		c, err := a.Compile()
		assert.NoError(t, err)
		got, _ := c.Evaluate(drawn("- - - -"), InAlarm)
		assert.Equal(t, want, got, "TreatMissingData %q", setting)
	}
}

func TestHowOftenAnAlarmIsEvaluated(t *testing.T) {
	for _, row := range []struct {
		period, n int
		want      time.Duration
	}{
		{10, 1, 10 * time.Second}, {20, 1, 10 * time.Second}, {30, 100, 10 * time.Second}, {60, 1, time.Minute}, {60, 1440, time.Minute},
		{300, 3, time.Minute}, {3600, 24, time.Minute}, {3600, 25, time.Hour}, {86_400, 1, time.Minute}, {86_400, 7, time.Hour},
	} {
		assert.Equal(t, row.want, compiled(t, Alarm{Period: row.period, EvaluationPeriods: row.n}).Every, "%+v", row)
	}
}

func TestAPercentileOfFewSamplesKeepsTheState(t *testing.T) {
	for _, row := range []struct {
		statistic, setting string
		samples            float64
		want               State
	}{
		{"p99", "ignore", 999, OK},
		{"p99", "ignore", 1000, InAlarm},
		{"p99", "evaluate", 1, InAlarm},
		{"p99", "", 1, InAlarm},
		{"p50", "ignore", 19, OK},
		{"p50", "ignore", 20, InAlarm},
		{"p10", "ignore", 99, OK},
		{"p10", "ignore", 100, InAlarm},
		{"p100", "ignore", 1, InAlarm},
		{"tm99", "ignore", 1, InAlarm},
	} {
		a := Alarm{ExtendedStatistic: row.statistic, EvaluateLowSampleCountPercentile: row.setting, EvaluationPeriods: 2}
		points := []Point{{2, 5000, true}, {2, row.samples, true}}
		got, why := compiled(t, a).Evaluate(points, OK)
		assert.Equal(t, row.want, got, "%s, %s, %v samples", row.statistic, row.setting, row.samples)
		assert.Equal(t, row.want == OK, why.Kept())
		points[0], points[1] = points[1], points[0]
		got, _ = compiled(t, a).Evaluate(points, OK)
		assert.Equal(t, row.want, got, "either of the deciding points may be the thin one")
	}
}

func TestHowSoonAnAlarmDetects(t *testing.T) {
	for _, row := range []struct {
		period, n, m              int
		treatment                 string
		earliest, latest, silence time.Duration
	}{
		{60, 5, 3, "breaching", 2 * time.Minute, 4 * time.Minute, 6 * time.Minute},
		{60, 1, 0, "missing", 0, 2 * time.Minute, 0},
		{300, 3, 2, "breaching", 5 * time.Minute, 11 * time.Minute, 21 * time.Minute},
		{10, 3, 0, "notBreaching", 20 * time.Second, 40 * time.Second, 0},
	} {
		c := compiled(t, Alarm{Period: row.period, EvaluationPeriods: row.n, DatapointsToAlarm: row.m, TreatMissingData: row.treatment})
		assert.Equal(t, row.earliest, c.EarliestDetection())
		assert.Equal(t, row.latest, c.LatestDetection())
		silence, ever := c.LatestSilence()
		assert.Equal(t, row.silence, silence)
		assert.Equal(t, row.treatment == "breaching", ever)
	}
}

// The bounds hold for failures that begin at any second, of a metric that is
// looked at as Compiled.Every says, and are met to the second.
func TestDetectionStaysWithinItsBounds(t *testing.T) {
	for _, row := range []struct{ period, n, m int }{{60, 5, 3}, {60, 1, 1}, {300, 3, 2}, {10, 4, 2}, {120, 2, 2}} {
		c := compiled(t, Alarm{Period: row.period, EvaluationPeriods: row.n, DatapointsToAlarm: row.m, TreatMissingData: "breaching"})
		soonest, latest, silence := time.Hour, time.Duration(0), time.Duration(0)
		for begin := 7200; begin < 7200+2*row.period; begin++ {
			soonest = min(soonest, detect(c, begin, func(_, to int) Point { return failing(to > begin) }))
			latest = max(latest, detect(c, begin, func(from, _ int) Point { return failing(from >= begin) }))
			silence = max(silence, detect(c, begin, func(from, _ int) Point { return Point{Present: from < begin} }))
		}
		assert.InDelta(t, c.EarliestDetection().Seconds(), (soonest - time.Second).Seconds(), 0, "%v", row)
		assert.InDelta(t, c.LatestDetection().Seconds(), (latest + time.Second).Seconds(), 0, "%v", row)
		longest, ever := c.LatestSilence()
		assert.True(t, ever)
		assert.InDelta(t, longest.Seconds(), (silence + time.Second).Seconds(), 0, "%v", row)
	}
}

func failing(is bool) Point {
	if is {
		return Point{Value: 2, Present: true}
	}
	return Point{Present: true}
}

// detect is how long after second begin the alarm goes off, looking at windows
// of seconds from and to.
func detect(c *Compiled, begin int, window func(from, to int) Point) time.Duration {
	period, every := int(c.Period/time.Second), int(c.Every/time.Second)
	state := OK
	for now := 0; now < 2*begin; now += every {
		points := make([]Point, c.Range)
		for i := range points {
			from := now - (c.Range-i)*period
			points[i] = window(from, from+period)
		}
		if state, _ = c.Evaluate(points, state); state == InAlarm {
			return time.Duration(now-begin) * time.Second
		}
	}
	return 24 * time.Hour // never
}

func TestReasonsReadAsInCloudWatch(t *testing.T) {
	newest := time.Date(2026, 3, 2, 9, 14, 0, 0, time.FixedZone("CET", 3600))
	for _, row := range []struct {
		n, m      int
		treatment string
		points    string
		before    State
		want      string
	}{
		{3, 3, "missing", "1 1.5 2 30", OK, "Threshold Crossed: 3 out of the last 3 datapoints " +
			"[30.0 (02/03/26 08:14:00), 2.0 (02/03/26 08:13:00), 1.5 (02/03/26 08:12:00)] were greater than the threshold (1.0) " +
			"(minimum 3 datapoints for OK -> ALARM transition)."},
		{5, 3, "missing", "2 1 3 1 4", OK, "Threshold Crossed: 3 out of the last 5 datapoints " +
			"[4.0 (02/03/26 08:14:00), 3.0 (02/03/26 08:12:00), 2.0 (02/03/26 08:10:00)] were greater than the threshold (1.0) " +
			"(minimum 3 datapoints for OK -> ALARM transition)."},
		{2, 2, "missing", "2 0", InAlarm, "Threshold Crossed: 1 out of the last 2 datapoints [0.0 (02/03/26 08:14:00)] " +
			"was not greater than the threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition)."},
		{7, 7, "missing", "2 3 4 5 6 7 8", OK, "Threshold Crossed: 7 out of the last 7 datapoints " +
			"[8.0 (02/03/26 08:14:00), 7.0 (02/03/26 08:13:00), 6.0 (02/03/26 08:12:00), 5.0 (02/03/26 08:11:00), 4.0 (02/03/26 08:10:00), ...] " +
			"were greater than the threshold (1.0) (minimum 7 datapoints for OK -> ALARM transition)."},
		{3, 3, "missing", "X - -", OK, "Threshold Crossed: 1 out of the last 3 datapoints [2.0 (02/03/26 08:12:00)] " +
			"was greater than the threshold (1.0) (minimum 3 datapoints for OK -> ALARM transition)."},
		{3, 3, "missing", "- - -", OK, "Insufficient Data: no datapoints were received, of 3 needed."},
		{3, 3, "missing", "- - X", OK, "Insufficient Data: 1 datapoint was received, of 3 needed."},
		{1, 1, "breaching", "- - -", OK, "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching]."},
		{3, 3, "breaching", "- - X", OK, "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as [Breaching]."},
		{3, 3, "notBreaching", "- - -", InAlarm, "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as [NonBreaching]."},
		{3, 2, "ignore", "- X -", InAlarm, "Unchanged: 1 datapoint was received, of 3 needed, and missing data is ignored."},
		{3, 2, "ignore", "0 X -", InAlarm, "Threshold Crossed: 1 out of the last 3 datapoints [0.0 (02/03/26 08:12:00)] " +
			"was not greater than the threshold (1.0) (minimum 2 datapoints for ALARM -> OK transition)."},
	} {
		_, why := ruled(t, row.n, row.m, row.treatment).Evaluate(drawn(row.points), row.before)
		assert.Equal(t, row.want, why.Text(newest), "%q", row.points)
	}
	_, why := ruled(t, 1, 1, "missing").Evaluate(drawn("12345678.5"), OK)
	assert.Equal(t, "Threshold Crossed: 1 out of the last 1 datapoints [1.23456785E7] was greater than the threshold (1.0) "+
		"(minimum 1 datapoint for OK -> ALARM transition).", why.String(), "without times, if none is given")
	for v, want := range map[float64]string{0: "0.0", 1: "1.0", -0.001: "-0.001", 1e-4: "1.0E-4", -1.5e-10: "-1.5E-10", 9999999: "9999999.0", 1e7: "1.0E7",
		-12345678: "-1.2345678E7", 1e21: "1.0E21", 1.7976931348623157e308: "1.7976931348623157E308"} {
		assert.Equal(t, want, number(v))
	}
	_, why = compiled(t, Alarm{ExtendedStatistic: "p99", EvaluateLowSampleCountPercentile: "ignore"}).Evaluate(drawn("X"), OK)
	assert.Equal(t, "Unchanged: p99 of fewer than 1000.0 samples is not judged.", why.String())
	assert.Equal(t, "Unchecked: Initial alarm creation", Reason{}.String())
}

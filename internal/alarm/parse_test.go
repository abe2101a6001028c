package alarm

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRealOutputIsRead(t *testing.T) {
	alarms, err := ParseFile("testdata/describe-alarms.json")
	require.NoError(t, err)
	require.Len(t, alarms, 2)
	elb := []Dimension{{"LoadBalancer", "app/shop/0123456789abcdef"}}

	rate := alarms[0]
	assert.Equal(t, "shop-5xx-rate", rate.AlarmName)
	assert.Equal(t, 3, rate.Line)
	assert.Equal(t, OK, rate.StateValue)
	assert.True(t, rate.ActionsEnabled)
	assert.Equal(t, []string{"arn:aws:sns:eu-west-1:123456789012:on-call"}, rate.AlarmActions)
	require.Len(t, rate.Metrics, 4)
	assert.True(t, rate.Metrics[0].ReturnData)
	assert.Equal(t, "5xx %", rate.Metrics[0].Label)
	c, err := rate.Compile()
	require.NoError(t, err)
	sum, _ := ParseStatistic("Sum")
	assert.Equal(t, []Input{
		{"target", Metric{"AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", elb}, sum, ""},
		{"elb", Metric{"AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", elb}, sum, ""},
		{"requests", Metric{"AWS/ApplicationELB", "RequestCount", elb}, sum, "Count"},
	}, c.Inputs)
	assert.Equal(t, 7, c.Range)
	assert.Equal(t, time.Minute, c.Period)
	assert.Equal(t, time.Minute, c.Every)
	var s Scratch
	requests := drawn("1000 1000 1000 1000 1000 1000 1000")
	state, _ := c.Evaluate(c.Points(&s, [][]Point{drawn("- - - 11 30 11 -"), drawn("- - - - - - -"), requests}), OK)
	assert.Equal(t, InAlarm, state, "three minutes with more than 1 %")
	state, _ = c.Evaluate(c.Points(&s, [][]Point{drawn("- - - 11 30 10 -"), drawn("- - - - - - -"), requests}), OK)
	assert.Equal(t, OK, state)

	p99 := alarms[1]
	assert.Equal(t, 80, p99.Line)
	assert.False(t, p99.ActionsEnabled)
	assert.Equal(t, InsufficientData, p99.StateValue)
	assert.Equal(t, "Seconds", p99.Unit)
	assert.Zero(t, p99.DatapointsToAlarm, "which means EvaluationPeriods")
	c, err = p99.Compile()
	require.NoError(t, err)
	assert.Equal(t, 3*time.Minute+time.Minute, c.LatestDetection())
}

func TestWhatIsReadCanBeWrittenAgain(t *testing.T) {
	alarms, err := ParseFile("testdata/describe-alarms.json")
	require.NoError(t, err)
	data, err := json.Marshal(map[string]any{"MetricAlarms": alarms})
	require.NoError(t, err)
	again, err := Parse("again", data)
	require.NoError(t, err)
	for i := range alarms {
		alarms[i].Line = again[i].Line
		if len(alarms[i].OKActions) == 0 {
			alarms[i].OKActions = again[i].OKActions
		}
	}
	assert.Equal(t, alarms, again)
}

// good is an alarm with nothing wrong; its first line is line 2 of its file.
const good = `{"AlarmName": "shop",
  "Namespace": "Shop", "MetricName": "Errors",
  "Statistic": "Sum",
  "Period": 60,
  "EvaluationPeriods": 3,
  "DatapointsToAlarm": 2,
  "Threshold": 1,
  "ComparisonOperator": "GreaterThanThreshold",
  "TreatMissingData": "missing"}`

// ratio is a metric-math alarm with nothing wrong.
const ratio = `{"AlarmName": "ratio", "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
  "Metrics": [
    {"Id": "r", "Expression": "a / b"},
    {"Id": "a", "ReturnData": false, "MetricStat": {"Stat": "Sum", "Period": 60, "Metric": {"Namespace": "Shop", "MetricName": "Errors"}}},
    {"Id": "b", "ReturnData": false, "MetricStat": {"Stat": "Sum", "Period": 60, "Metric": {"Namespace": "Shop", "MetricName": "Requests"}}}
  ]}`

func file(alarms ...string) string {
	return "{\"MetricAlarms\": [\n" + strings.Join(alarms, ",\n") + "\n]}"
}

func TestMistakesAreShownWhereTheyAre(t *testing.T) {
	good, ratio := file(good), file(ratio)
	for _, f := range []string{good, ratio, strings.Replace(good, ": 3", ": 1440", 1),
		strings.NewReplacer("60,", "3600,", ": 3", ": 168").Replace(good)} {
		_, err := Parse("alarms.json", []byte(f))
		require.NoError(t, err)
	}
	for _, row := range []struct{ in, old, new, want string }{
		// The file
		{good, good, "", `alarms.json:1: the file is empty`},
		{good, good, "\xff\xfe{\x00", `alarms.json:1: the file is UTF-16: save it as UTF-8`},
		{good, good, "[]", `alarms.json:1: "MetricAlarms" is missing: want the output of "aws cloudwatch describe-alarms --output json"`},
		{good, good, "\n\n{}", `alarms.json:3: "MetricAlarms" is missing`},
		{good, `"MetricAlarms": [`, `"MetricAlarms": {}, "x": [`, `alarms.json:1: MetricAlarms: want a list, found an object`},
		{good, "]}", "],\n \"NextToken\": \"abc\"}", `alarms.json:12: NextToken: the list is incomplete`},
		{good, "]}", "]", `alarms.json:11: malformed JSON: unexpected end of JSON input: the file is cut short, or a bracket is not closed`},
		{good, `"missing"}`, `"missing",}`, `alarms.json:10: malformed JSON: invalid character '}' looking for beginning of object key string: remove the comma before it`},
		{good, `60,`, `60`, `alarms.json:6: malformed JSON: invalid character '"' after object key:value pair`},
		{good, `"Sum"`, "\"Sum\n\"", `alarms.json:4: malformed JSON: invalid character '\n' in string literal`},
		{good, `]}`, `]} x`, `alarms.json:11: malformed JSON: invalid character 'x' after top-level value`},
		{good, "\n]}", ",\n{\"AlarmName\": \"shop\"}]}", `alarms.json:11: alarm "shop": AlarmName: the alarm of line 2 has the same name`},
		// A field
		{good, `60,`, `"60",`, `alarms.json:5: alarm "shop": Period: want a number, found a text: remove the quotes`},
		{good, `60,`, `60.5,`, `alarms.json:5: alarm "shop": Period: want a whole number, found 60.5`},
		{good, `60,`, `1e99,`, `alarms.json:5: alarm "shop": Period: want a whole number, found 1e99`},
		{good, `1,`, `1e999,`, `alarms.json:8: alarm "shop": Threshold: 1e999 is too large a number`},
		{good, `"Period"`, `"period"`, `alarms.json:5: alarm "shop": period: is written Period`},
		{good, `"Threshold": 1`, `"Period": 1`, `alarms.json:8: alarm "shop": Period: is given twice, first on line 5`},
		{good, `"Statistic"`, `"StateValue": "RED", "Statistic"`, `alarms.json:4: alarm "shop": StateValue: unknown alarm state "RED": want OK, ALARM or INSUFFICIENT_DATA`},
		{good, `"Statistic"`, `"ActionsEnabled": "true", "Statistic"`, `alarms.json:4: alarm "shop": ActionsEnabled: want true or false, found a text: remove the quotes`},
		{good, `"Statistic"`, `"OKActions": [1], "Statistic"`, `alarms.json:4: alarm "shop": OKActions[0]: want a text, found a number`},
		{good, `"AlarmName": "shop",`, ``, `alarms.json:2: AlarmName: the alarm has no name`},
		{good, `"shop"`, `"` + strings.Repeat("x", 256) + `"`, `AlarmName: has 256 characters; at most 255 are allowed`},
		// The rule
		{good, `60,`, `0,`, `alarms.json:5: alarm "shop": Period: is missing: want 10, 20, 30 or a multiple of 60 seconds`},
		{good, `60,`, `45,`, `alarms.json:5: alarm "shop": Period: is 45 seconds: want 10, 20, 30 or a multiple of 60`},
		{good, `60,`, `-60,`, `alarms.json:5: alarm "shop": Period: is -60 seconds`},
		{good, `"Period": 60,`, ``, `alarms.json:2: alarm "shop": Period: is missing`},
		{good, `: 3`, `: 1441`, `alarms.json:6: alarm "shop": EvaluationPeriods: is 1441 of 60 seconds each: together at most a day (86400 seconds) are allowed`},
		{good, `"Period": 60,
  "EvaluationPeriods": 3`, `"Period": 3600,
  "EvaluationPeriods": 169`, `alarms.json:6: alarm "shop": EvaluationPeriods: is 169 of 3600 seconds each: together at most 7 days (604800 seconds) are allowed`},
		{good, `: 3`, `: 0`, `alarms.json:6: alarm "shop": EvaluationPeriods: is 0: want a whole number of at least 1`},
		{good, `: 2`, `: 4`, `alarms.json:7: alarm "shop": DatapointsToAlarm: is 4: want 1 to EvaluationPeriods, which is 3`},
		{good, `: 2`, `: 0`, `alarms.json:7: alarm "shop": DatapointsToAlarm: is 0: want 1 to EvaluationPeriods, or leave it out`},
		{good, `"Threshold": 1,`, ``, `alarms.json:2: alarm "shop": Threshold: is missing: give the value that points are compared with`},
		{good, `"GreaterThanThreshold"`, `">"`, `alarms.json:9: alarm "shop": ComparisonOperator: unknown operator ">": want GreaterThanThreshold`},
		{good, `"GreaterThanThreshold"`, `"GreaterThanUpperThreshold"`, `alarms.json:9: alarm "shop": ComparisonOperator: GreaterThanUpperThreshold is for anomaly detection bands`},
		{good, `"Threshold": 1`, `"ThresholdMetricId": "ad1"`, `alarms.json:8: alarm "shop": ThresholdMetricId: anomaly detection bands are not judged yet`},
		{good, `"missing"`, `"skip"`, `alarms.json:10: alarm "shop": TreatMissingData: unknown setting "skip": want missing, ignore, breaching or notBreaching`},
		{good, `"Sum"`, `"Sum", "EvaluateLowSampleCountPercentile": "no"`, `alarms.json:4: alarm "shop": EvaluateLowSampleCountPercentile: unknown setting "no": want evaluate or ignore`},
		{good, `"Sum"`, `"Sum", "EvaluationWindow": {"WallClockWindow": {}}`, `alarms.json:4: alarm "shop": EvaluationWindow: wall-clock windows are not judged yet`},
		{good, `"Sum"`, `"Sum", "EvaluationCriteria": {}`, `alarms.json:4: alarm "shop": EvaluationCriteria: alarms on PromQL queries are not judged yet`},
		// The metric
		{good, `"MetricName": "Errors",`, ``, `alarms.json:2: alarm "shop": MetricName: the alarm watches no metric: give Namespace and MetricName, or Metrics`},
		{good, `"Namespace": "Shop",`, ``, `alarms.json:2: alarm "shop": Namespace: is missing`},
		{good, `"Sum"`, `"Mean"`, `alarms.json:4: alarm "shop": Statistic: unknown statistic "Mean"`},
		{good, `"Sum"`, `"p99"`, `alarms.json:4: alarm "shop": Statistic: p99 belongs in ExtendedStatistic`},
		{good, `"Statistic": "Sum"`, `"ExtendedStatistic": "Sum"`, `alarms.json:4: alarm "shop": ExtendedStatistic: Sum belongs in Statistic`},
		{good, `"Sum"`, `"Sum", "ExtendedStatistic": "p99"`, `alarms.json:4: alarm "shop": ExtendedStatistic: Statistic is given too: give one of them`},
		{good, `"Statistic": "Sum",`, ``, `alarms.json:2: alarm "shop": Statistic: is missing: give Statistic`},
		{good, `"Sum"`, `"Sum", "Unit": "Errors"`, `alarms.json:4: alarm "shop": Unit: unknown unit "Errors": no sample can have it`},
		{good, `"Sum"`, `"Sum", "Dimensions": [{"Name": "A", "Value": "1"},
			{"Name": "A", "Value": "2"}]`, `alarms.json:5: alarm "shop": Dimensions[1]: "A" is given twice`},
		{good, `"Sum"`, `"Sum", "Dimensions": [{"Name": "A"}]`, `alarms.json:4: alarm "shop": Dimensions[0]: needs a Name and a Value`},
		{good, `"Sum"`, `"Sum", "Dimensions": [` + strings.Repeat(`{"Name": "A", "Value": "1"},`, 30) + `{"Name": "A", "Value": "1"}]`,
			`alarms.json:4: alarm "shop": Dimensions: has 31 dimensions; at most 30 are allowed`},
		// Metric math
		{ratio, `"a / b"`, `"a / c"`, `alarms.json:4: alarm "ratio": Metrics[0].Expression: column 5: no query has the id "c", in "a / c"`},
		{ratio, `"a / b"`, `"a // b"`, `alarms.json:4: alarm "ratio": Metrics[0].Expression: column 4: expected a number, an id or a function, found "/", in "a // b"`},
		{ratio, `"a / b"`, `""`, `alarms.json:4: alarm "ratio": Metrics[0]: has neither MetricStat nor Expression: give one of them`},
		{ratio, `"Id": "a",`, `"Id": "a", "Expression": "b",`, `alarms.json:5: alarm "ratio": Metrics[1]: has both MetricStat and Expression: give one of them`},
		{ratio, `"Id": "b", "ReturnData": false`, `"Id": "b"`, `alarms.json:3: alarm "ratio": Metrics: 2 of its queries have ReturnData true (which is the default): want exactly one, the one to judge`},
		{ratio, `"Expression": "a / b"`, `"ReturnData": false, "Expression": "a / b"`, `alarms.json:3: alarm "ratio": Metrics: 0 of its queries have ReturnData true`},
		{ratio, `"Period": 60, "Metric": {"Namespace": "Shop", "MetricName": "Requests"`, `"Period": 120, "Metric": {"Namespace": "Shop", "MetricName": "Requests"`,
			`alarms.json:6: alarm "ratio": Metrics[2].MetricStat.Period: is 120 seconds, where the metrics before have 60: all metrics of an alarm need the same period`},
		{ratio, `"a / b"`, `"a / b", "Period": 300`, `Metrics[1].MetricStat.Period: is 60 seconds, where the metrics before have 300`},
		{ratio, `"Id": "b"`, `"Id": "a"`, `alarms.json:6: alarm "ratio": Metrics[2].Id: "a" is the id of Metrics[1] too`},
		{ratio, `"Id": "b"`, `"Id": "B"`, `alarms.json:6: alarm "ratio": Metrics[2].Id: "B" is no id: want letters, digits and _, a small letter first`},
		{ratio, `"Requests"`, `"Requests", "Dimensions": [{}]`, `alarms.json:6: alarm "ratio": Metrics[2].MetricStat.Metric.Dimensions[0]: needs a Name and a Value`},
		{ratio, `"Metric": {"Namespace": "Shop", "MetricName": "Requests"}`, `"Unit": "Things"`, `alarms.json:6: alarm "ratio": Metrics[2].MetricStat.Metric.Namespace: is missing`},
		{ratio, `"Metric": {"Namespace": "Shop", "MetricName": "Requests"}`, `"Unit": "Things"`, `alarms.json:6: alarm "ratio": Metrics[2].MetricStat.Unit: unknown unit "Things"`},
		{ratio, `"Stat": "Sum", "Period": 60, "Metric": {"Namespace": "Shop", "MetricName": "R`, `"Stat": "Median", "Period": 60, "Metric": {"Namespace": "Shop", "MetricName": "R`,
			`alarms.json:6: alarm "ratio": Metrics[2].MetricStat.Stat: unknown statistic "Median"`},
		{ratio, `"Metrics": [`, `"MetricName": "Errors", "Metrics": [`, `alarms.json:3: alarm "ratio": Metrics: is given beside MetricName`},
		{ratio, `"Metrics": [`, `"Metrics": [` + strings.Repeat(`{"Id": "e", "Expression": "a"},`, 20), `alarms.json:3: alarm "ratio": Metrics: has 23 metrics and expressions; at most 20 are allowed`},
		{ratio, `"Metrics": [`, `"Metrics": [` + strings.Repeat(`{"Id": "m", "MetricStat": {}},`, 9), `alarms.json:3: alarm "ratio": Metrics: has 11 metrics; at most 10 are allowed in an alarm`},
		{ratio, ratio[strings.Index(ratio, ",\n    {\"Id\": \"a\""):strings.Index(ratio, "\n  ]}")], "", `alarms.json:3: alarm "ratio": Metrics: has no metric: at least one query needs a MetricStat`},
		{ratio, `"a / b"}`, `"e / b"}, {"Id": "e", "ReturnData": false, "Expression": "r"}`, `alarms.json:4: alarm "ratio": Metrics[0].Expression: "r" needs itself`},
		{ratio, `"a / b"}`, `"a / b"},
			{"Id": "e", "ReturnData": false, "Expression": "SUM(7)"}`, `alarms.json:5: alarm "ratio": Metrics[1].Expression: column 5: expected a time series, found a single number`},
	} {
		text := strings.Replace(row.in, row.old, row.new, 1)
		require.NotEqual(t, row.in, text, "%s changes nothing", row.want)
		alarms, err := Parse("alarms.json", []byte(text))
		assert.Nil(t, alarms)
		if assert.Error(t, err, row.want) {
			assert.Contains(t, err.Error(), row.want)
		}
	}
}

func TestAllMistakesAreShownAtOnce(t *testing.T) {
	text := file(strings.Replace(strings.Replace(good, "60,", "45,", 1), `"missing"`, `"skip"`, 1),
		strings.Replace(ratio, "a / b", "a / c", 1))
	_, err := Parse("alarms.json", []byte(text))
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 3)
	for i, where := range []string{"alarms.json:5: ", "alarms.json:10: ", "alarms.json:13: "} {
		assert.True(t, strings.HasPrefix(lines[i], where), "%q begins with %q", lines[i], where)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "alarms.json")
	_, err := ParseFile(missing)
	require.EqualError(t, err, missing+": cannot be read: no such file or directory")
}

func TestAByteOrderMarkIsNoMistake(t *testing.T) {
	_, err := Parse("alarms.json", []byte("\xEF\xBB\xBF"+file(good)))
	require.NoError(t, err)
}

package alarm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// query is a line of Metrics: an expression, or a metric if that is empty.
func query(id, expression string) MetricDataQuery {
	q := MetricDataQuery{Id: id, Expression: expression}
	if expression == "" {
		q.MetricStat = &MetricStat{Metric{"Shop", id, nil}, 60, "Sum", ""}
	}
	return q
}

// mathAlarm judges expression over the metrics a, b and errors_c, and e1 and e2,
// which are expressions.
func mathAlarm(expression string) Alarm {
	result := query("result", expression)
	result.ReturnData = true
	return Alarm{Metrics: []MetricDataQuery{
		result, query("e1", "a + e2"), query("e2", "b * 10"), query("a", ""), query("b", ""), query("errors_c", ""),
	}, EvaluationPeriods: 2}
}

func TestMetricMath(t *testing.T) {
	const a, b, c = "1 2 - 4", "10 - - 0", "-1 5 7 -"
	for expression, want := range map[string]string{
		"a":                                     a,
		"a + b":                                 "11 - - 4",
		"a - b":                                 "-9 - - 4",
		"a * b":                                 "10 - - 0",
		"b / a":                                 "10 - - 0",
		"a / b":                                 "0.1 - - -", // division by zero
		"a / 0":                                 "- - - -",
		"errors_c % 4":                          "-1 1 3 -",
		"a % 0":                                 "- - - -",
		"a ^ 2":                                 "1 4 - 16",
		"2 ^ a ^ 2":                             "2 16 - 65536", // from the right
		"-a ^ 2":                                "-1 -4 - -16",
		"(-a) ^ 2":                              "1 4 - 16",
		"10 ^ 400 * a":                          "- - - -", // no finite number
		"1 + 2 * a - 4 / 2":                     "1 3 - 7",
		"(1 + 2) * a":                           "3 6 - 12",
		"a - 1 - 1":                             "-1 0 - 2", // from the left
		"a > 1":                                 "0 1 - 1",
		"a >= 2":                                "0 1 - 1",
		"a < 2":                                 "1 0 - 0",
		"a <= 2":                                "1 1 - 0",
		"a == 2":                                "0 1 - 0",
		"a != 2":                                "1 0 - 1",
		"a > b":                                 "0 1 - 1", // b is missing where a is 2: as 0
		"a < b":                                 "1 0 - 0",
		"a AND b":                               "1 0 - 0",
		"a && errors_c":                         "1 1 0 0",
		"a OR b":                                "1 1 - 1",
		"a > 1 || b > 1":                        "1 1 - 1",
		"a > 1 AND a < 4":                       "0 1 - 0",
		"NOT a > 1":                             "1 0 - 0",
		"NOT NOT a":                             "1 1 - 1",
		"a == 1 OR a AND 0":                     "1 0 - 0", // AND before OR
		"1 + 1 + a":                             "3 4 - 6",
		"e1":                                    "101 - - 4",
		"e1 + e2":                               "201 - - 4",
		"SUM([a, b])":                           "11 2 - 4",  // of those that are there
		"AVG([a, b])":                           "5.5 1 - 2", // a missing point is 0, where any is there
		"DATAPOINT_COUNT([a, b])":               "2 1 - 2",
		"a / DATAPOINT_COUNT(b)":                "0.5 1 - 2",
		"TIME_SERIES(DATAPOINT_COUNT(b / 0))":   "0 0 0 0",
		"a / METRIC_COUNT(METRICS())":           "0.3333333333333333 0.6666666666666666 - 1.3333333333333333",
		"FIRST([b, a])":                         b,
		"LAST(METRICS())":                       c,
		"LOG10(b)":                              "1 - - -",
		"LOG(a)":                                "0 0.6931471805599453 - 1.3862943611198906",
		"SUM(LOG(METRICS()) * 0)":               "0 0 0 0",
		"DIFF_TIME(a)":                          "- 60 - 120",
		"SUM([METRICS('a'), METRICS('s_'), b])": "10 7 7 4",
		"METRIC_COUNT([METRICS(), a]) * a":      "4 8 - 16",
		"MIN([a, b])":                           "1 2 - 0",
		"MAX([a, b])":                           "10 2 - 4",
		"SUM(METRICS())":                        "10 7 7 4",
		`SUM(METRICS("error"))`:                 c,
		"SUM(METRICS('s_'))":                    c,
		"a / SUM(a)":                            "0.14285714285714285 0.2857142857142857 - 0.5714285714285714",
		"a - AVG(a)":                            "-0.75 0.25 - 2.25",
		"a - MIN(a)":                            "0 1 - 3",
		"a - MAX(b)":                            "-9 -8 - -6",
		"SUM(METRICS() * 2)":                    "20 14 14 8",
		"SUM(a + METRICS())":                    "13 11 - 12",
		"SUM(-[a, b])":                          "-11 -2 - -4",
		"FILL(a, 7)":                            "1 2 7 4",
		"FILL(a, 0) + b":                        "11 - - 4",
		"FILL(a, errors_c)":                     "1 2 7 4",
		"FILL(b, a)":                            "10 2 - 0",
		"FILL(a, REPEAT)":                       "1 2 2 4",
		"FILL(errors_c, REPEAT)":                "-1 5 7 7",
		"FILL(a, LINEAR)":                       "1 2 3 4",
		"FILL(b, LINEAR)":                       "10 6.666666666666666 3.333333333333333 0",
		"FILL(errors_c, LINEAR)":                c, // nothing to come
		"SUM(FILL(METRICS(), 1))":               "10 8 9 5",
		"FILL(b / 0, REPEAT)":                   "- - - -",
		"IF(a > 1, a, 0)":                       "0 2 - 4",
		"IF(a > 1, b, a)":                       "1 0 - 0", // 0 where b, which is to be taken, is missing
		"IF(a > 1, a)":                          "- 2 - 4",
		"IF(a > 1, 5)":                          "- 5 - 5",
		"IF(a > 1, 5, errors_c)":                "-1 5 - 5",
		"IF(a < 1, 5, b)":                       "10 - - 0", // missing where b is
		"IF(errors_c, 1, 0)":                    "1 1 1 -",
		"IF(1, a, b)":                           a,
		"IF(0, a, b)":                           b,
		"TIME_SERIES(IF(2 > 1, 3, 4))":          "3 3 3 3",
		"ABS(errors_c)":                         "1 5 7 -",
		"CEIL(a / 3)":                           "1 1 - 2",
		"FLOOR(a / 3)":                          "0 0 - 1",
		"a / PERIOD(a)":                         "0.016666666666666666 0.03333333333333333 - 0.06666666666666667",
		"DIFF(a)":                               "- 1 - 2", // from the last point that is there
		"RATE(a) * 60":                          "- 1 - 1",
		"RATE(b) * 180":                         "- - - -10",
		"RUNNING_SUM(a)":                        "1 3 - 7",
		"SUM(DIFF(METRICS()))":                  "- 7 2 -8",
		"TIME_SERIES(5)":                        "5 5 5 5",
		"TIME_SERIES(1 / 0)":                    "- - - -",
		"TIME_SERIES(SUM(a))":                   "7 7 7 7",
		"TIME_SERIES(-.5e1)":                    "-5 -5 -5 -5",
		"SUM(METRICS('nothing') * 0)":           "error: column 5: no metric's id contains \"nothing\"",
	} {
		alarm := mathAlarm(expression)
		alarm.AlarmName, alarm.ComparisonOperator = "shop", "GreaterThanThreshold"
		compiled, err := alarm.Compile()
		if refusal, refused := strings.CutPrefix(want, "error: "); refused {
			require.ErrorContains(t, err, refusal, expression)
			continue
		}
		require.NoError(t, err, expression)
		require.Equal(t, 4, compiled.Range)
		var s Scratch
		inputs := [][]Point{drawn(a), drawn(b), drawn(c)}
		for range 2 {
			same(t, drawn(want), compiled.Points(&s, inputs), expression)
			// and again in memory that was used for other points
			compiled.Points(&s, [][]Point{drawn("8 9 8 9"), drawn("7 6 7 6"), drawn("5 4 5 4")})
		}
		assert.Equal(t, [][]Point{drawn(a), drawn(b), drawn(c)}, inputs, "%s changes its inputs", expression)
	}
}

func same(t *testing.T, want, got []Point, about string) {
	t.Helper()
	require.Len(t, got, len(want), about)
	for i := range want {
		require.Equal(t, want[i].Present, got[i].Present, "%s: point %d", about, i)
		if want[i].Present {
			require.InDelta(t, want[i].Value, got[i].Value, 1e-12, "%s: point %d", about, i)
		}
	}
}

func TestSeriesOfOtherLengths(t *testing.T) {
	c := compiled(t, mathAlarm("RUNNING_SUM(FILL(a, 100)) + 0 * FILL(b, 0) + 0 * FILL(errors_c, 0)"))
	var s Scratch
	got := c.Points(&s, [][]Point{drawn("9 9 1 1 1 1"), drawn("5"), nil})
	same(t, drawn("1 2 3 4"), got, "older points are left out")
	got = c.Points(&s, [][]Point{drawn("1 1"), nil, nil})
	same(t, drawn("100 200 201 202"), got, "oldest points are missing")
}

func TestWhatIsWrongWithAnExpression(t *testing.T) {
	for expression, want := range map[string]string{
		" ":                         "column 2: expected a number, an id or a function, found the end",
		"a +":                       "column 4: expected a number, an id or a function, found the end",
		"a b":                       `column 3: expected an operator or the end, found "b"`,
		"(a":                        `column 3: expected ")", found the end`,
		"a)":                        `column 2: expected an operator or the end, found ")"`,
		"[a":                        `column 3: expected "," or "]", found the end`,
		"SUM([a,])":                 `column 8: expected a number, an id or a function, found "]"`,
		"SUM()":                     `column 5: expected a number, an id or a function, found ")"`,
		"SUM(a, b)":                 "column 1: SUM takes 1 argument, not 2",
		"IF(a)":                     "column 1: IF takes 2 to 3 arguments, not 1",
		"IF(a, b, a, b)":            "column 1: IF takes 2 to 3 arguments, not 4",
		"FIRST(a)":                  "column 7: expected an array of time series, found a time series",
		"STDDEV(a)":                 "column 1: STDDEV is not judged yet",
		"1 + sum(a)":                `column 5: unknown function "sum": functions are in capitals, SUM`,
		"1 + SUMM(a)":               `column 5: unknown function "SUMM"`,
		"a = 1":                     `column 3: expected an operator, found "=": to compare, write "=="`,
		"a ? 1":                     `column 3: unexpected character '?'`,
		"a × 2":                     `column 3: unexpected character '×'`,
		"1.5.2 + a":                 `column 4: expected an operator or the end, found ".2"`,
		"2a":                        `column 1: "2a" is not a number`,
		"1e + a":                    `column 1: "1e " is not a number`,
		"METRICS('a":                "column 9: this quote is never closed",
		"'a'":                       `column 1: expected a number, an id or a function, found the text "a"`,
		"REPEATED + a":              `column 1: "REPEATED" is no id: ids begin with a small letter`,
		"a AND OR b":                `column 7: expected a number, an id or a function, found "OR"`,
		"a + unknown":               `column 5: no query has the id "unknown"`,
		"SUM(3)":                    "column 5: expected a time series, found a single number",
		"RATE(SUM(a))":              "column 6: expected a time series, found a single number",
		"[a, 1]":                    "column 5: expected a time series, found a single number",
		"METRICS() + METRICS()":     "column 11: two arrays cannot be combined",
		"FILL(1, 2)":                "column 6: FILL fills a time series, not a single number",
		"FILL(a, METRICS())":        "column 9: FILL fills with a number, a time series, REPEAT or LINEAR",
		"a + REPEAT":                "column 5: expected a single number, found a setting of FILL",
		"IF(METRICS(), a, b)":       "column 4: expected a single number, found an array of time series",
		"SUM(a)":                    `"SUM(a)" makes a single number; an alarm judges one time series: use TIME_SERIES`,
		"METRICS()":                 `"METRICS()" makes an array of time series; an alarm judges one time series: sum its members up`,
		"result + 1":                `"result" needs itself`,
		"SEARCH('{A,B} x', 'Sum')":  "column 1: SEARCH makes any number of time series, and an alarm, in AWS too, judges one",
		"ANOMALY_DETECTION_BAND(a)": "column 1: anomaly detection bands are not judged: use a fixed Threshold",
		"SELECT AVG(x) FROM y":      "column 1: Metrics Insights queries are not judged yet",
		strings.Repeat("(", 80) + "a" + strings.Repeat(")", 80): "column 65: the expression is nested more than 64 deep",
		strings.Repeat("-", 80) + "a":                           "column 65: the expression is nested more than 64 deep",
		strings.Repeat("NOT ", 80) + "a":                        "the expression is nested more than 64 deep",
		strings.Repeat("a^", 80) + "a":                          "the expression is nested more than 64 deep",
		strings.Repeat("a+", 1100) + "a":                        "column 2049: the expression has 2201 characters; at most 2048 are allowed",
	} {
		a := mathAlarm(expression)
		a.AlarmName, a.ComparisonOperator = "shop", "GreaterThanThreshold"
		_, err := a.Compile()
		require.ErrorContains(t, err, want, "%q", expression)
		var problem *Problem
		require.ErrorAs(t, err, &problem)
		assert.Contains(t, problem.Field, "Metrics[0]", "%q", expression)
	}
	_, err := Compile("a +")
	var wrong *ExprError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, 4, wrong.Column)
	expr, err := Compile(" a + 1")
	require.NoError(t, err)
	assert.Equal(t, " a + 1", expr.String())
}

func TestLongExpressionsAreJudged(t *testing.T) {
	c := compiled(t, mathAlarm("a"+strings.Repeat("+a", 1000)))
	var s Scratch
	same(t, drawn("1001 2002 - 4004"), c.Points(&s, [][]Point{drawn("1 2 - 4"), nil, nil}), "a thousand times")
}

func TestAlarmOnOneOfItsMetrics(t *testing.T) {
	a := Alarm{Metrics: []MetricDataQuery{query("a", ""), query("b", "")}}
	a.Metrics[1].ReturnData = true
	a.Metrics[1].MetricStat.Stat, a.EvaluateLowSampleCountPercentile = "p90", "ignore"
	c := compiled(t, a)
	var s Scratch
	points := c.Points(&s, [][]Point{drawn("0 0 0"), {{}, {}, {2, 100, true}}})
	state, _ := c.Evaluate(points, OK)
	assert.Equal(t, InAlarm, state)
	state, _ = c.Evaluate([]Point{{2, 99, true}}, OK)
	assert.Equal(t, OK, state, "a p90 of 99 samples says nothing")
}

// FuzzCompile: whatever the text, there is an expression or a mistake within
// it, and an expression makes points that are missing or finite.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"100 * SUM([a, b]) / errors_c", "IF(a > 1 AND NOT b, FILL(a, REPEAT), RATE(b))", "SUM(METRICS('e')) ^ -2",
		"TIME_SERIES(AVG(a)) % 0", "e1 + e2", "IF(a, b)", "FIRST([METRICS('a'), LOG10(b)]) / DATAPOINT_COUNT(a)", "DIFF_TIME(a) * METRIC_COUNT([a, b])", "[[", "1e999", "FILL(METRICS(), LINEAR)", "-(-(-a))",
	} {
		f.Add(seed, 1.5, 0.0)
	}
	f.Fuzz(func(t *testing.T, source string, x, y float64) {
		_, err := Compile(source)
		if err != nil {
			var wrong *ExprError
			require.ErrorAs(t, err, &wrong)
			require.True(t, wrong.Column >= 1 && wrong.Column <= min(len(source), maxExprLength)+1, "column %d", wrong.Column)
		}
		a := mathAlarm(source)
		a.AlarmName, a.ComparisonOperator = "shop", "GreaterThanThreshold"
		c, failed := a.Compile()
		if failed != nil || !finite(x) || !finite(y) {
			return
		}
		require.True(t, err == nil || source == "", "an alarm with an expression that is none")
		var s Scratch
		points := c.Points(&s, [][]Point{{{x, 1, true}, {}, {y, 1, true}, {1, 1, true}}, drawn("3 - 5 0"), nil})
		require.Len(t, points, c.Range)
		for _, p := range points {
			require.True(t, !p.Present || finite(p.Value), "%q makes %v", source, p.Value)
		}
	})
}

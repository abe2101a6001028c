package containers

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

func TestDocsSayWhatEachCloudWatchJudges(t *testing.T) {
	text, err := os.ReadFile("../../docs/cloudwatch.md")
	require.NoError(t, err)
	var rows []string
	for c := range capabilities {
		row := "| " + c.String()
		for _, by := range []string{CloudWatchEmbedded, CloudWatchLocalStack, CloudWatchAWS} {
			row += map[bool]string{true: " | yes", false: " | no"}[cannot[by][c] == ""]
		}
		rows = append(rows, row+" |")
	}
	assert.Contains(t, string(text), strings.Join(rows, "\n"))
	assert.Panics(t, func() { _ = capabilities.String() })
}

// For every capability there is an alarm that needs it, and it is inconclusive exactly
// where the table says so.
func TestEveryCapabilityIsNeededBySomeAlarm(t *testing.T) {
	base := func() alarm.Alarm { return levelAlarm("a", "Shop", "ErrorCount", "Sum", 1) }
	filter := stage.MetricFilter{Name: "shop-errors", LogGroup: "/ecs/shop", Namespace: "Shop", Metric: "ErrorCount", Value: "1"}
	for c, build := range map[capability]func(*alarm.Alarm, *stage.MetricFilter){
		metricMath:      func(a *alarm.Alarm, _ *stage.MetricFilter) { *a = errorRate() },
		percentiles:     func(a *alarm.Alarm, _ *stage.MetricFilter) { a.Statistic, a.ExtendedStatistic = "", "tm90" },
		promptness:      func(a *alarm.Alarm, _ *stage.MetricFilter) { a.EvaluationPeriods = 3 },
		unitsApart:      func(a *alarm.Alarm, _ *stage.MetricFilter) { a.Unit = "Bytes" },
		filterPatterns:  func(_ *alarm.Alarm, f *stage.MetricFilter) { f.Pattern = "ERROR" },
		filterValues:    func(_ *alarm.Alarm, f *stage.MetricFilter) { f.Value = "$.n" },
		groupsApart:     func(_ *alarm.Alarm, f *stage.MetricFilter) { f.LogGroup = "/ecs/till" },
		dimensionsApart: func(*alarm.Alarm, *stage.MetricFilter) {}, // the second alarm's
		otherAccounts: func(a *alarm.Alarm, _ *stage.MetricFilter) {
			*a = errorRate()
			a.Metrics[1].AccountId = "210987654321"
		},
		metricSearch: func(a *alarm.Alarm, _ *stage.MetricFilter) {
			*a = errorRate()
			a.Metrics[0].Expression = `SELECT SUM(RequestCount) FROM "AWS/ApplicationELB"`
		},
		anomalyBands: func(a *alarm.Alarm, _ *stage.MetricFilter) { a.ThresholdMetricId = "band" },
	} {
		a, f := base(), filter
		build(&a, &f)
		s := &stage.Setup{Monitoring: monitorNames(), Alarms: []alarm.Alarm{a}}
		s.Monitoring.Filters = []stage.MetricFilter{f}
		if c == dimensionsApart {
			s.Alarms = append(s.Alarms, levelAlarm("b", "Shop", "ErrorCount", "Sum", 1, alarm.Dimension{Name: "Page", Value: "/"}))
		}
		found := false
		for _, n := range needs(s, &a) {
			found = found || n.capability == c
		}
		assert.True(t, found, "%s", c)
		for by := range cannot {
			assert.Equal(t, cannot[by][c] != "", doubt(by, s, &a) != "" && strings.Contains(fmt.Sprint(doubts(by, s, &a)), cannot[by][c]), "%s on %s: %q", c, by, doubt(by, s, &a))
		}
	}
	for by := range cannot {
		err := judges(by, &stage.Setup{Alarms: []alarm.Alarm{base()}, Composites: []alarm.Composite{{AlarmName: "top", AlarmRule: "ALARM(a)"}}})
		assert.Equal(t, cannot[by][composites] != "", err != nil, "%v", err)
		if err != nil {
			assert.ErrorContains(t, err, "1 of the 2 alarms")
		}
	}
	assert.Empty(t, needs(&stage.Setup{Monitoring: monitorNames(), Alarms: []alarm.Alarm{levelAlarm("a", elbNamespace, elb5XX, "Sum", 1)}}, &alarm.Alarm{MetricName: elb5XX, Namespace: elbNamespace, EvaluationPeriods: 1}))
}

// doubts is every reason, not only the first.
func doubts(by string, s *stage.Setup, a *alarm.Alarm) (all []string) {
	for _, n := range needs(s, a) {
		if why := cannot[by][n.capability]; why != "" {
			all = append(all, why)
		}
	}
	return all
}

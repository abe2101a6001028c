package page_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
	"rehearsal/internal/page"
)

func TestAlarmsInWords(t *testing.T) {
	p99 := alarm.Alarm{
		AlarmName: "p99", ActionsEnabled: true, Namespace: "AWS/ApplicationELB", MetricName: "TargetResponseTime", ExtendedStatistic: "p99",
		Period: 60, EvaluationPeriods: 5, DatapointsToAlarm: 3, Threshold: 0.5, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching",
	}
	silent := p99
	silent.ExtendedStatistic, silent.Statistic, silent.Period, silent.DatapointsToAlarm, silent.TreatMissingData, silent.ActionsEnabled = "", "Minimum", 300, 5, "breaching", false
	once := p99
	once.EvaluationPeriods, once.DatapointsToAlarm, once.TreatMissingData, once.ComparisonOperator = 1, 0, "", "LessThanOrEqualToThreshold"
	rate := alarm.Alarm{
		AlarmName: "rate", ActionsEnabled: true, EvaluationPeriods: 3, Threshold: 1, ComparisonOperator: "GreaterThanOrEqualToThreshold", TreatMissingData: "ignore",
		Metrics: []alarm.MetricDataQuery{
			{Id: "rate", Expression: "100*errors/all", Label: "errors in %", ReturnData: true},
			{Id: "errors", MetricStat: &alarm.MetricStat{Metric: alarm.Metric{Namespace: "Shop", MetricName: "Errors"}, Period: 60, Stat: "Sum"}},
			{Id: "all", MetricStat: &alarm.MetricStat{Metric: alarm.Metric{Namespace: "Shop", MetricName: "Requests"}, Period: 60, Stat: "SampleCount"}},
		},
	}
	for _, c := range []struct {
		a      alarm.Alarm
		en, ja []string
	}{
		{p99, []string{
			"Goes off when the statistic p99 of AWS/ApplicationELB TargetResponseTime is above 0.5 s for 3 of 5 minutes.",
			"A minute without data counts as good.",
			"Fastest after exposure: 2m; at the latest after 4m, where every period is bad.",
		}, []string{
			"AWS/ApplicationELB TargetResponseTime の p99 が 0.5 s を超える状態が 5分のうち 3分 あると鳴る。",
			"データのない1分間は正常とみなす。",
			"利用者が触れてから最短 2分。どの期間も異常なら遅くとも 4分後。",
		}},
		{silent, []string{
			"Goes off when the smallest of AWS/ApplicationELB TargetResponseTime is above 0.5 s for 5 periods of 5m in a row.",
			"A period without data counts as bad.",
			"Fastest after exposure: 20m; at the latest after 26m, where every period is bad. Where its metric falls silent: after 36m at the latest.",
			"Its actions are switched off: it tells nobody.",
		}, nil},
		{once, []string{
			"Goes off when the statistic p99 of AWS/ApplicationELB TargetResponseTime is at or below 0.5 s for a minute.",
			"A minute without data is passed over; without any data the alarm is INSUFFICIENT_DATA.",
			"Fastest after exposure: as soon as the first bad period ends; at the latest after 2m, where every period is bad.",
		}, nil},
		{rate, []string{
			"Goes off when “errors in %” = 100*errors/all is at or above 1 for 3 minutes in a row.",
			"errors stands for the sum of Shop Errors.", "all stands for the number of samples of Shop Requests.",
			"A minute without data changes nothing.",
			"Fastest after exposure: 2m; at the latest after 4m, where every period is bad.",
		}, []string{
			"「errors in %」＝ 100*errors/all が 1 以上の状態が 連続 3分 あると鳴る。",
			"errors は Shop Errors の合計。", "all は Shop Requests の標本数。",
			"データのない1分間は状態を変えない。",
			"利用者が触れてから最短 2分。どの期間も異常なら遅くとも 4分後。",
		}},
	} {
		got, err := page.AlarmWords(&c.a, lang.English)
		require.NoError(t, err)
		assert.Equal(t, c.en, got)
		if got, err = page.AlarmWords(&c.a, lang.Japanese); c.ja != nil {
			require.NoError(t, err)
			assert.Equal(t, c.ja, got)
		}
	}
	_, err := page.AlarmWords(&alarm.Alarm{AlarmName: "none"}, lang.English)
	require.ErrorContains(t, err, "watches no metric")
}

func TestCompositeAlarmsInWords(t *testing.T) {
	a := alarm.Composite{AlarmName: "page", ActionsEnabled: true, AlarmRule: `ALARM("rate") AND (ALARM("p99") OR NOT OK("hosts"))`, ActionsSuppressor: "night", ActionsSuppressorWaitPeriod: 60, ActionsSuppressorExtensionPeriod: 120}
	got, err := page.CompositeWords(&a, lang.English)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"Goes off when rate is in ALARM and (p99 is in ALARM or hosts is not in OK).",
		"It changes in the instant in which one of these alarms does, and is as fast as they are.",
		"While night is in ALARM its actions are held back: it waits 1m for that alarm, and 2m after it.",
	}, got)
	got, err = page.CompositeWords(&a, lang.Japanese)
	require.NoError(t, err)
	assert.Equal(t, "rate が ALARM である、かつ (p99 が ALARM である、または hosts が OK でない)とき鳴る。", got[0])
	_, err = page.CompositeWords(&alarm.Composite{AlarmName: "x", AlarmRule: "?"}, lang.English)
	require.Error(t, err)
}

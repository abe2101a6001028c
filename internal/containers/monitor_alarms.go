package containers

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
)

// putAlarms puts production's alarms, as aws cloudwatch put-metric-alarm and
// put-composite-alarm do.
func (m *monitor) putAlarms(ctx context.Context) error {
	for i := range m.options.Setup.Alarms {
		a := &m.options.Setup.Alarms[i]
		in := alarmInput(a)
		if m.options.External.there() { // the embedded CloudWatch only notes actions; another may carry them out
			in.ActionsEnabled = aws.Bool(false)
			in.AlarmActions, in.OKActions, in.InsufficientDataActions = nil, nil, nil
		}
		m.options.External.Names.rename(in)
		if _, err := m.metrics.PutMetricAlarm(ctx, in); err != nil {
			return fmt.Errorf("alarm %q: %w", a.AlarmName, err)
		}
	}
	return m.putComposites(ctx)
}

// putComposites puts each composite alarm after those that its rule names.
func (m *monitor) putComposites(ctx context.Context) error {
	all := m.options.Setup.Composites
	compiled := make([]*alarm.CompiledComposite, len(all))
	for i := range all {
		var err error
		if compiled[i], err = all[i].Compile(); err != nil {
			return fmt.Errorf("alarm %q: %w", all[i].AlarmName, err)
		}
	}
	sorted, err := alarm.SortComposites(compiled)
	if err != nil {
		return err
	}
	// A suppressor may come after, or in a circle: it is named when all are there.
	for _, suppressed := range []bool{false, true} {
		for _, c := range sorted {
			if suppressed && (c.Suppressor == "" || m.options.External.there()) { // where nothing acts, nothing is suppressed
				continue
			}
			in := compositeInput(c, suppressed)
			if m.options.External.there() { // as above
				in.ActionsEnabled = aws.Bool(false)
				in.AlarmActions, in.OKActions, in.InsufficientDataActions = nil, nil, nil
			}
			m.options.External.Names.renameComposite(in, c.Rule)
			if _, err := m.metrics.PutCompositeAlarm(ctx, in); err != nil {
				return fmt.Errorf("alarm %q: %w", c.Composite.AlarmName, err)
			}
		}
	}
	return nil
}

// compositeInput is the request that makes the composite alarm. Its rule has the other
// alarms by name, since production's ARNs are of another account.
func compositeInput(c *alarm.CompiledComposite, suppressed bool) *awsmetrics.PutCompositeAlarmInput {
	a := c.Composite
	rule := strings.TrimSpace(a.AlarmRule)
	if strings.Contains(rule, "arn:") {
		rule = c.Rule.String()
	}
	in := &awsmetrics.PutCompositeAlarmInput{
		AlarmName: &a.AlarmName, AlarmDescription: unlessEmpty(a.AlarmDescription), AlarmRule: &rule,
		ActionsEnabled: &a.ActionsEnabled, AlarmActions: a.AlarmActions, OKActions: a.OKActions, InsufficientDataActions: a.InsufficientDataActions,
	}
	if suppressed {
		in.ActionsSuppressor = &c.Suppressor
		in.ActionsSuppressorWaitPeriod = aws.Int32(int32(a.ActionsSuppressorWaitPeriod))
		in.ActionsSuppressorExtensionPeriod = aws.Int32(int32(a.ActionsSuppressorExtensionPeriod))
	}
	return in
}

// alarmInput is the request that makes the alarm.
func alarmInput(a *alarm.Alarm) *awsmetrics.PutMetricAlarmInput {
	in := &awsmetrics.PutMetricAlarmInput{
		AlarmName: &a.AlarmName, AlarmDescription: unlessEmpty(a.AlarmDescription),
		ActionsEnabled: &a.ActionsEnabled, AlarmActions: a.AlarmActions, OKActions: a.OKActions, InsufficientDataActions: a.InsufficientDataActions,
		Namespace: unlessEmpty(a.Namespace), MetricName: unlessEmpty(a.MetricName), Dimensions: alarmDimensions(a.Dimensions),
		Statistic: types.Statistic(a.Statistic), ExtendedStatistic: unlessEmpty(a.ExtendedStatistic),
		Period: unlessZero(a.Period), Unit: types.StandardUnit(a.Unit),
		EvaluationPeriods: unlessZero(a.EvaluationPeriods), DatapointsToAlarm: unlessZero(a.DatapointsToAlarm),
		ComparisonOperator: types.ComparisonOperator(a.ComparisonOperator), TreatMissingData: unlessEmpty(a.TreatMissingData),
		EvaluateLowSampleCountPercentile: unlessEmpty(a.EvaluateLowSampleCountPercentile),
		ThresholdMetricId:                unlessEmpty(a.ThresholdMetricId),
	}
	if a.ThresholdMetricId == "" {
		in.Threshold = &a.Threshold
	}
	for _, q := range a.Metrics {
		in.Metrics = append(in.Metrics, alarmQuery(q))
	}
	return in
}

func alarmQuery(q alarm.MetricDataQuery) types.MetricDataQuery {
	out := types.MetricDataQuery{
		Id: &q.Id, Expression: unlessEmpty(q.Expression), Label: unlessEmpty(q.Label),
		ReturnData: &q.ReturnData, Period: unlessZero(q.Period), AccountId: unlessEmpty(q.AccountId),
	}
	if s := q.MetricStat; s != nil {
		out.MetricStat = &types.MetricStat{
			Metric: &types.Metric{
				Namespace: &s.Metric.Namespace, MetricName: &s.Metric.MetricName, Dimensions: alarmDimensions(s.Metric.Dimensions),
			},
			Period: unlessZero(s.Period), Stat: &s.Stat, Unit: types.StandardUnit(s.Unit),
		}
	}
	return out
}

func alarmDimensions(all []alarm.Dimension) []types.Dimension {
	var out []types.Dimension
	for _, d := range all {
		out = append(out, types.Dimension{Name: aws.String(d.Name), Value: aws.String(d.Value)})
	}
	return out
}

func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func unlessZero(n int) *int32 {
	if n == 0 {
		return nil
	}
	return aws.Int32(int32(n))
}

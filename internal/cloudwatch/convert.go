package cloudwatch

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
)

// Between the SDK's types and those of package alarm.

func fromDimensions(dims []types.Dimension) []alarm.Dimension {
	if len(dims) == 0 {
		return nil
	}
	all := make([]alarm.Dimension, len(dims))
	for i, d := range dims {
		all[i] = alarm.Dimension{Name: aws.ToString(d.Name), Value: aws.ToString(d.Value)}
	}
	return all
}

func toDimensions(dims []alarm.Dimension) []types.Dimension {
	all := make([]types.Dimension, len(dims))
	for i, d := range dims {
		all[i] = types.Dimension{Name: aws.String(d.Name), Value: aws.String(d.Value)}
	}
	return all
}

// fromQueries applies AWS's defaults: a query returns its data.
func fromQueries(queries []types.MetricDataQuery) ([]alarm.MetricDataQuery, error) {
	var all []alarm.MetricDataQuery
	for i, q := range queries {
		one := alarm.MetricDataQuery{Id: aws.ToString(q.Id), Expression: aws.ToString(q.Expression), Label: aws.ToString(q.Label),
			ReturnData: q.ReturnData == nil || *q.ReturnData, Period: int(aws.ToInt32(q.Period)), AccountId: aws.ToString(q.AccountId)}
		if m := q.MetricStat; m != nil {
			at := where{list: "MetricDataQueries", i: i, inner: "MetricStat."}.String()
			switch {
			case m.Metric == nil:
				return nil, missing(at + "Metric")
			case m.Period == nil:
				return nil, missing(at + "Period")
			case m.Stat == nil:
				return nil, missing(at + "Stat")
			}
			if err := checkDimensions(where{list: "MetricDataQueries", i: i, inner: "MetricStat.Metric."}, m.Metric.Dimensions); err != nil {
				return nil, err
			}
			one.MetricStat = &alarm.MetricStat{Period: int(*m.Period), Stat: *m.Stat, Unit: string(m.Unit),
				Metric: alarm.Metric{Namespace: aws.ToString(m.Metric.Namespace), MetricName: aws.ToString(m.Metric.MetricName),
					Dimensions: fromDimensions(m.Metric.Dimensions)}}
		}
		all = append(all, one)
	}
	return all, nil
}

func toQueries(queries []alarm.MetricDataQuery) []types.MetricDataQuery {
	var all []types.MetricDataQuery
	for _, q := range queries {
		one := types.MetricDataQuery{Id: aws.String(q.Id), Expression: text(q.Expression), Label: text(q.Label),
			ReturnData: aws.Bool(q.ReturnData), Period: whole(q.Period), AccountId: text(q.AccountId)}
		if m := q.MetricStat; m != nil {
			one.MetricStat = &types.MetricStat{Period: whole(m.Period), Stat: text(m.Stat), Unit: types.StandardUnit(m.Unit),
				Metric: &types.Metric{Namespace: text(m.Metric.Namespace), MetricName: text(m.Metric.MetricName),
					Dimensions: toDimensions(m.Metric.Dimensions)}}
		}
		all = append(all, one)
	}
	return all
}

// toAlarm gives an alarm as DescribeAlarms does.
func toAlarm(w *watch) types.MetricAlarm {
	a := w.Alarm
	name := a.AlarmArn
	if name == "" {
		name = arn(a.AlarmName)
	}
	return types.MetricAlarm{
		AlarmName: aws.String(a.AlarmName), AlarmArn: aws.String(name), AlarmDescription: text(a.AlarmDescription),
		AlarmConfigurationUpdatedTimestamp: aws.Time(w.changed), ActionsEnabled: aws.Bool(a.ActionsEnabled),
		OKActions: list(a.OKActions), AlarmActions: list(a.AlarmActions), InsufficientDataActions: list(a.InsufficientDataActions),
		StateValue: types.StateValue(w.state.String()), StateReason: aws.String(w.reason), StateReasonData: text(w.data),
		StateUpdatedTimestamp: aws.Time(w.orPut(w.updated)), StateTransitionedTimestamp: aws.Time(w.orPut(w.since)),
		Namespace: text(a.Namespace), MetricName: text(a.MetricName), Dimensions: toDimensions(a.Dimensions),
		Statistic: types.Statistic(a.Statistic), ExtendedStatistic: text(a.ExtendedStatistic), Period: whole(a.Period),
		Unit: types.StandardUnit(a.Unit), Metrics: toQueries(a.Metrics),
		EvaluationPeriods: whole(a.EvaluationPeriods), DatapointsToAlarm: whole(a.DatapointsToAlarm), Threshold: aws.Float64(a.Threshold),
		ComparisonOperator: types.ComparisonOperator(a.ComparisonOperator), TreatMissingData: text(a.TreatMissingData),
		EvaluateLowSampleCountPercentile: text(a.EvaluateLowSampleCountPercentile),
	}
}

// text and whole leave out what is empty.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func whole(n int) *int32 {
	if n == 0 {
		return nil
	}
	return aws.Int32(int32(n)) // in range: it was checked, or came as one
}

// list is never nil: an empty list is written.
func list(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}

package cloudwatch

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
)

// maxNames is how many alarms a call may name.
const maxNames = 100

func (s *Store) enableAlarmActions(in *api.EnableAlarmActionsInput) (*api.EnableAlarmActionsOutput, error) {
	return &api.EnableAlarmActionsOutput{}, s.switchActions(in.AlarmNames, true)
}

func (s *Store) disableAlarmActions(in *api.DisableAlarmActionsInput) (*api.DisableAlarmActionsOutput, error) {
	return &api.DisableAlarmActionsOutput{}, s.switchActions(in.AlarmNames, false)
}

// switchActions lets alarms act or not. Names that are not known are skipped, as
// by AWS, whose calls have no error for them.
func (s *Store) switchActions(names []string, on bool) error {
	switch {
	case len(names) == 0:
		return missing("AlarmNames")
	case len(names) > maxNames:
		return invalidValue("AlarmNames has %d members; at most %d are allowed", len(names), maxNames)
	}
	for _, name := range names {
		w := s.alarm(name)
		if w == nil || w.Alarm.ActionsEnabled == on {
			continue
		}
		// Other stores may share the alarm.
		compiled, changed := *w.Compiled, *w.Alarm
		changed.ActionsEnabled = on
		compiled.Alarm = &changed
		w.Compiled, w.changed = &compiled, s.time()
	}
	return nil
}

// describeAlarmsForMetric gives the alarms on exactly this metric, without metric
// math and composites, as AWS does.
func (s *Store) describeAlarmsForMetric(in *api.DescribeAlarmsForMetricInput) (*api.DescribeAlarmsForMetricOutput, error) {
	switch {
	case aws.ToString(in.MetricName) == "":
		return nil, missing("MetricName")
	case aws.ToString(in.Namespace) == "":
		return nil, missing("Namespace")
	case in.Statistic != "" && in.ExtendedStatistic != nil:
		return nil, invalidCombination("Statistic and ExtendedStatistic: give one of them")
	}
	if err := checkDimensions(where{}, in.Dimensions); err != nil {
		return nil, err
	}
	_, wanted := sorted(alarm.Metric{Namespace: *in.Namespace, MetricName: *in.MetricName, Dimensions: fromDimensions(in.Dimensions)})
	out := &api.DescribeAlarmsForMetricOutput{MetricAlarms: []types.MetricAlarm{}}
	for _, w := range s.alarms {
		a := w.Alarm
		if len(a.Metrics) > 0 || in.Statistic != "" && string(in.Statistic) != a.Statistic ||
			in.ExtendedStatistic != nil && *in.ExtendedStatistic != a.ExtendedStatistic ||
			in.Period != nil && int(*in.Period) != a.Period || in.Unit != "" && string(in.Unit) != a.Unit {
			continue
		}
		if _, has := sorted(alarm.Metric{Namespace: a.Namespace, MetricName: a.MetricName, Dimensions: a.Dimensions}); has == wanted {
			out.MetricAlarms = append(out.MetricAlarms, toAlarm(w))
		}
	}
	slices.SortFunc(out.MetricAlarms, func(a, b types.MetricAlarm) int { return strings.Compare(*a.AlarmName, *b.AlarmName) })
	return out, nil
}

package cloudwatch

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
)

// putMetricAlarm puts one alarm on duty. Tags are for a new alarm only, as in AWS.
func (s *Store) putMetricAlarm(in *api.PutMetricAlarmInput) (*api.PutMetricAlarmOutput, error) {
	switch {
	case in.AlarmName == nil:
		return nil, missing("AlarmName")
	case in.EvaluationPeriods == nil:
		return nil, missing("EvaluationPeriods")
	case in.ComparisonOperator == "":
		return nil, missing("ComparisonOperator")
	case in.Threshold == nil && in.ThresholdMetricId == nil:
		return nil, missing("Threshold")
	case in.EvaluationInterval != nil:
		return nil, validation("EvaluationInterval is for alarms with EvaluationCriteria, which are not known to this CloudWatch")
	}
	if err := checkDimensions(where{}, in.Dimensions); err != nil {
		return nil, err
	}
	metrics, err := fromQueries(in.Metrics)
	if err != nil {
		return nil, err
	}
	a := alarm.Alarm{
		AlarmName: *in.AlarmName, AlarmArn: arn(*in.AlarmName), AlarmDescription: aws.ToString(in.AlarmDescription),
		ActionsEnabled: in.ActionsEnabled == nil || *in.ActionsEnabled,
		OKActions:      in.OKActions, AlarmActions: in.AlarmActions, InsufficientDataActions: in.InsufficientDataActions,
		Namespace: aws.ToString(in.Namespace), MetricName: aws.ToString(in.MetricName), Dimensions: fromDimensions(in.Dimensions),
		Statistic: string(in.Statistic), ExtendedStatistic: aws.ToString(in.ExtendedStatistic),
		Period: int(aws.ToInt32(in.Period)), Unit: string(in.Unit), Metrics: metrics,
		EvaluationPeriods: int(*in.EvaluationPeriods), DatapointsToAlarm: int(aws.ToInt32(in.DatapointsToAlarm)),
		Threshold: aws.ToFloat64(in.Threshold), ComparisonOperator: string(in.ComparisonOperator),
		TreatMissingData: aws.ToString(in.TreatMissingData), EvaluateLowSampleCountPercentile: aws.ToString(in.EvaluateLowSampleCountPercentile),
		ThresholdMetricId: aws.ToString(in.ThresholdMetricId),
	}
	c, err := a.Compile()
	if err != nil {
		return nil, validation("%v", err)
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if s.alarm(a.AlarmName) == nil {
		s.tagNew(a.AlarmArn, in.Tags)
	}
	s.put(c)
	return &api.PutMetricAlarmOutput{}, nil
}

// arn is the name of an alarm in an account that does not exist.
func arn(name string) string { return "arn:aws:cloudwatch:us-east-1:000000000000:alarm:" + name }

const maxRecords = 100 // of DescribeAlarms and DescribeAlarmHistory

// describeAlarms lists alarms by name.
func (s *Store) describeAlarms(in *api.DescribeAlarmsInput) (*api.DescribeAlarmsOutput, error) {
	records, err := page(in.MaxRecords, 50)
	switch {
	case err != nil:
		return nil, err
	case len(in.AlarmNames) > 100:
		return nil, invalidValue("AlarmNames has %d members; at most 100 are allowed", len(in.AlarmNames))
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != nil:
		return nil, invalidCombination("AlarmNames and AlarmNamePrefix: give one of them")
	case in.ChildrenOfAlarmName != nil || in.ParentsOfAlarmName != nil:
		return nil, validation("ChildrenOfAlarmName and ParentsOfAlarmName are for composite alarms, which are not known to this CloudWatch")
	}
	out := &api.DescribeAlarmsOutput{MetricAlarms: []types.MetricAlarm{}, CompositeAlarms: []types.CompositeAlarm{}}
	if len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, types.AlarmTypeMetricAlarm) {
		return out, nil
	}
	byName := slices.Clone(s.alarms)
	slices.SortFunc(byName, func(a, b *watch) int { return cmp.Compare(a.Alarm.AlarmName, b.Alarm.AlarmName) })
	for _, w := range byName {
		a := w.Alarm
		actions := slices.Concat(a.OKActions, a.AlarmActions, a.InsufficientDataActions)
		switch {
		case a.AlarmName <= aws.ToString(in.NextToken),
			len(in.AlarmNames) > 0 && !slices.Contains(in.AlarmNames, a.AlarmName),
			!strings.HasPrefix(a.AlarmName, aws.ToString(in.AlarmNamePrefix)),
			in.StateValue != "" && string(in.StateValue) != w.state.String(),
			in.ActionPrefix != nil && !slices.ContainsFunc(actions, func(arn string) bool { return strings.HasPrefix(arn, *in.ActionPrefix) }):
			continue
		}
		if len(out.MetricAlarms) == records {
			out.NextToken = out.MetricAlarms[records-1].AlarmName
			break
		}
		out.MetricAlarms = append(out.MetricAlarms, toAlarm(w))
	}
	return out, nil
}

// page is how many records are asked for.
func page(asked *int32, otherwise int) (int, error) {
	if asked == nil {
		return otherwise, nil
	}
	if *asked < 1 || *asked > maxRecords {
		return 0, invalidValue("MaxRecords is %d: want 1 to %d", *asked, maxRecords)
	}
	return int(*asked), nil
}

func (s *Store) deleteAlarmsCall(decode func(any) error) (any, error) {
	var in api.DeleteAlarmsInput
	if err := decode(&in); err != nil {
		return nil, err
	}
	if len(in.AlarmNames) == 0 {
		return nil, missing("AlarmNames")
	}
	return &api.DeleteAlarmsOutput{}, s.DeleteAlarms(in.AlarmNames...)
}

func (s *Store) setAlarmStateCall(decode func(any) error) (any, error) {
	var in api.SetAlarmStateInput
	if err := decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.AlarmName == nil:
		return nil, missing("AlarmName")
	case in.StateReason == nil:
		return nil, missing("StateReason")
	case in.StateReasonData != nil && !json.Valid([]byte(*in.StateReasonData)):
		return nil, &apiError{code: "InvalidFormatFault", query: "InvalidFormat", message: "StateReasonData is not JSON"}
	}
	state, err := alarm.ParseState(string(in.StateValue))
	if err != nil {
		return nil, invalidValue("StateValue: %v", err)
	}
	return &api.SetAlarmStateOutput{}, s.SetAlarmState(*in.AlarmName, state, *in.StateReason)
}

// describeAlarmHistory lists changes of state, the newest first unless asked
// otherwise.
func (s *Store) describeAlarmHistory(in *api.DescribeAlarmHistoryInput) (*api.DescribeAlarmHistoryOutput, error) {
	records, err := page(in.MaxRecords, maxRecords)
	if err != nil {
		return nil, err
	}
	skip := 0
	if in.NextToken != nil {
		if skip, err = strconv.Atoi(*in.NextToken); err != nil || skip < 0 {
			return nil, &apiError{code: "InvalidNextToken", message: "NextToken is not one that this call gave"}
		}
	}
	out := &api.DescribeAlarmHistoryOutput{AlarmHistoryItems: []types.AlarmHistoryItem{}}
	if in.HistoryItemType != "" && in.HistoryItemType != types.HistoryItemTypeStateUpdate {
		return out, nil
	}
	found := slices.Clone(s.history)
	if in.ScanBy != types.ScanByTimestampAscending {
		slices.Reverse(found)
	}
	found = slices.DeleteFunc(found, func(t Transition) bool {
		return in.AlarmName != nil && t.Name != *in.AlarmName ||
			in.StartDate != nil && t.Time.Before(*in.StartDate) || in.EndDate != nil && t.Time.After(*in.EndDate)
	})
	found = found[min(skip, len(found)):]
	if len(found) > records {
		found = found[:records]
		out.NextToken = aws.String(strconv.Itoa(skip + records))
	}
	for _, t := range found {
		out.AlarmHistoryItems = append(out.AlarmHistoryItems, toHistory(t))
	}
	return out, nil
}

func toHistory(t Transition) types.AlarmHistoryItem {
	data, err := json.Marshal(map[string]any{"version": "1.0",
		"oldState": map[string]string{"stateValue": t.From.String()},
		"newState": map[string]string{"stateValue": t.To.String(), "stateReason": t.Reason}})
	if err != nil {
		panic(fmt.Sprintf("cloudwatch: texts cannot be written as JSON: %v", err))
	}
	return types.AlarmHistoryItem{AlarmName: aws.String(t.Name), AlarmType: types.AlarmTypeMetricAlarm,
		HistoryItemType: types.HistoryItemTypeStateUpdate, Timestamp: aws.Time(t.Time), HistoryData: aws.String(string(data)),
		HistorySummary: aws.String(fmt.Sprintf("Alarm updated from %s to %s", t.From, t.To))}
}

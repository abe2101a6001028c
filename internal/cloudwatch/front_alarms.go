package cloudwatch

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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
	if err := checkPut(in.AlarmDescription, in.OKActions, in.AlarmActions, in.InsufficientDataActions); err != nil {
		return nil, err
	}
	if s.family.named(*in.AlarmName) != nil {
		return nil, validation("there is a composite alarm %q already: names are unique", *in.AlarmName)
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

// putCompositeAlarm puts one composite alarm on duty. Tags are not kept.
func (s *Store) putCompositeAlarm(in *api.PutCompositeAlarmInput) (*api.PutCompositeAlarmOutput, error) {
	switch {
	case in.AlarmName == nil:
		return nil, missing("AlarmName")
	case in.AlarmRule == nil:
		return nil, missing("AlarmRule")
	case strings.TrimSpace(*in.AlarmRule) != *in.AlarmRule || *in.AlarmRule == "":
		return nil, validation("AlarmRule must not contain leading or trailing whitespace or be null")
	case in.ActionsSuppressor != nil && in.ActionsSuppressorWaitPeriod == nil:
		return nil, missing("ActionsSuppressorWaitPeriod")
	case in.ActionsSuppressor != nil && in.ActionsSuppressorExtensionPeriod == nil:
		return nil, missing("ActionsSuppressorExtensionPeriod")
	}
	if err := checkPut(in.AlarmDescription, in.OKActions, in.AlarmActions, in.InsufficientDataActions); err != nil {
		return nil, err
	}
	a := alarm.Composite{
		AlarmName: *in.AlarmName, AlarmArn: arn(*in.AlarmName), AlarmDescription: aws.ToString(in.AlarmDescription),
		ActionsEnabled: in.ActionsEnabled == nil || *in.ActionsEnabled,
		OKActions:      in.OKActions, AlarmActions: in.AlarmActions, InsufficientDataActions: in.InsufficientDataActions,
		AlarmRule: *in.AlarmRule, ActionsSuppressor: aws.ToString(in.ActionsSuppressor),
		ActionsSuppressorWaitPeriod:      int(aws.ToInt32(in.ActionsSuppressorWaitPeriod)),
		ActionsSuppressorExtensionPeriod: int(aws.ToInt32(in.ActionsSuppressorExtensionPeriod)),
	}
	c, err := a.Compile()
	if err != nil {
		return nil, validation("%v", err)
	}
	return &api.PutCompositeAlarmOutput{}, s.putComposites([]*alarm.CompiledComposite{c})
}

// checkPut checks what all alarms are put with.
func checkPut(description *string, whenOK, whenInAlarm, whenInsufficientData []string) error {
	const most, longest = 5, 1024
	if n := utf8.RuneCountInString(aws.ToString(description)); n > longest {
		return validation("AlarmDescription has %d characters; at most %d are allowed", n, longest)
	}
	names := [...]string{"OKActions", "AlarmActions", "InsufficientDataActions"}
	for i, actions := range [...][]string{whenOK, whenInAlarm, whenInsufficientData} {
		if len(actions) > most {
			return validation("%s has %d members; at most %d are allowed", names[i], len(actions), most)
		}
		for _, action := range actions {
			if action == "" || len(action) > longest {
				return validation("%s: an action has %d characters: want 1 to %d", names[i], len(action), longest)
			}
		}
	}
	return nil
}

// arn is the name of an alarm in an account that does not exist.
func arn(name string) string { return "arn:aws:cloudwatch:us-east-1:000000000000:alarm:" + name }

const maxRecords = 100 // of DescribeAlarms and DescribeAlarmHistory

// describeAlarms lists alarms by name: metric alarms unless other types are asked for,
// as in AWS.
func (s *Store) describeAlarms(in *api.DescribeAlarmsInput) (*api.DescribeAlarmsOutput, error) {
	records, err := page(in.MaxRecords, 50)
	related := in.ChildrenOfAlarmName != nil || in.ParentsOfAlarmName != nil
	switch {
	case err != nil:
		return nil, err
	case len(in.AlarmNames) > 100:
		return nil, invalidValue("AlarmNames has %d members; at most 100 are allowed", len(in.AlarmNames))
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != nil:
		return nil, invalidCombination("AlarmNames and AlarmNamePrefix: give one of them")
	case in.ChildrenOfAlarmName != nil && in.ParentsOfAlarmName != nil,
		related && (len(in.AlarmNames) > 0 || in.AlarmNamePrefix != nil || len(in.AlarmTypes) > 0 || in.StateValue != "" || in.ActionPrefix != nil):
		return nil, validation("ChildrenOfAlarmName and ParentsOfAlarmName go with no other parameter than MaxRecords and NextToken")
	}
	metric, composite, err := askedTypes(in.AlarmTypes)
	if err != nil {
		return nil, err
	}
	if related {
		metric, composite = true, true
	}
	var names []string
	for _, w := range s.alarms {
		if a := w.Alarm; metric && s.describes(in, a.AlarmName, w.state, a.OKActions, a.AlarmActions, a.InsufficientDataActions) {
			names = append(names, a.AlarmName)
		}
	}
	for _, c := range s.family.sorted {
		if a := c.Composite; composite && s.describes(in, a.AlarmName, c.state, a.OKActions, a.AlarmActions, a.InsufficientDataActions) {
			names = append(names, a.AlarmName)
		}
	}
	slices.Sort(names)
	out := &api.DescribeAlarmsOutput{MetricAlarms: []types.MetricAlarm{}, CompositeAlarms: []types.CompositeAlarm{}}
	if len(names) > records {
		names = names[:records]
		out.NextToken = aws.String(names[records-1])
	}
	for _, name := range names {
		if w := s.alarm(name); w != nil {
			out.MetricAlarms = append(out.MetricAlarms, brief(in, toAlarm(w)))
		} else {
			out.CompositeAlarms = append(out.CompositeAlarms, briefComposite(in, toComposite(s.family.named(name))))
		}
	}
	return out, nil
}

// askedTypes says which types of alarms a call is about: metric alarms, if it does not
// say.
func askedTypes(asked []types.AlarmType) (metric, composite bool, err error) {
	for _, t := range asked {
		switch t {
		case types.AlarmTypeMetricAlarm:
			metric = true
		case types.AlarmTypeCompositeAlarm:
			composite = true
		default:
			return false, false, invalidValue("AlarmTypes: %q is neither MetricAlarm nor CompositeAlarm", short(string(t)))
		}
	}
	return metric || len(asked) == 0, composite, nil
}

// describes says whether an alarm is among those asked for, and after the page before.
func (s *Store) describes(in *api.DescribeAlarmsInput, name string, state alarm.State, actions ...[]string) bool {
	prefixed := func(arn string) bool { return strings.HasPrefix(arn, *in.ActionPrefix) }
	switch {
	case name <= aws.ToString(in.NextToken),
		len(in.AlarmNames) > 0 && !slices.Contains(in.AlarmNames, name),
		!strings.HasPrefix(name, aws.ToString(in.AlarmNamePrefix)),
		in.StateValue != "" && string(in.StateValue) != state.String(),
		in.ActionPrefix != nil && !slices.ContainsFunc(slices.Concat(actions...), prefixed):
		return false
	case in.ChildrenOfAlarmName != nil:
		parent := s.family.named(*in.ChildrenOfAlarmName)
		return parent != nil && slices.Contains(parent.Rule.Children(), name)
	case in.ParentsOfAlarmName != nil:
		parent := s.family.named(name)
		return parent != nil && slices.Contains(parent.Rule.Children(), *in.ParentsOfAlarmName)
	}
	return true
}

// brief leaves of an alarm what AWS tells of children and parents.
func brief(in *api.DescribeAlarmsInput, a types.MetricAlarm) types.MetricAlarm {
	if in.ChildrenOfAlarmName == nil { // a metric alarm is nobody's parent
		return a
	}
	return types.MetricAlarm{AlarmName: a.AlarmName, AlarmArn: a.AlarmArn, StateValue: a.StateValue, StateUpdatedTimestamp: a.StateUpdatedTimestamp}
}

func briefComposite(in *api.DescribeAlarmsInput, a types.CompositeAlarm) types.CompositeAlarm {
	switch {
	case in.ChildrenOfAlarmName != nil:
		return types.CompositeAlarm{AlarmName: a.AlarmName, AlarmArn: a.AlarmArn, StateValue: a.StateValue, StateUpdatedTimestamp: a.StateUpdatedTimestamp}
	case in.ParentsOfAlarmName != nil:
		return types.CompositeAlarm{AlarmName: a.AlarmName, AlarmArn: a.AlarmArn}
	}
	return a
}

// toComposite gives a composite alarm as DescribeAlarms does.
func toComposite(c *composite) types.CompositeAlarm {
	a := c.Composite
	out := types.CompositeAlarm{
		AlarmName: aws.String(a.AlarmName), AlarmArn: aws.String(arnOf(a)), AlarmDescription: text(a.AlarmDescription),
		AlarmConfigurationUpdatedTimestamp: aws.Time(c.changed), ActionsEnabled: aws.Bool(a.ActionsEnabled),
		OKActions: list(a.OKActions), AlarmActions: list(a.AlarmActions), InsufficientDataActions: list(a.InsufficientDataActions),
		AlarmRule:  aws.String(a.AlarmRule),
		StateValue: types.StateValue(c.state.String()), StateReason: aws.String(c.reason), StateReasonData: text(c.data),
		StateUpdatedTimestamp: aws.Time(c.orPut(c.updated)), StateTransitionedTimestamp: aws.Time(c.orPut(c.since)),
	}
	if a.ActionsSuppressor != "" {
		out.ActionsSuppressor = aws.String(a.ActionsSuppressor)
		out.ActionsSuppressorWaitPeriod = aws.Int32(int32(a.ActionsSuppressorWaitPeriod))           // in range: it came as one, or
		out.ActionsSuppressorExtensionPeriod = aws.Int32(int32(a.ActionsSuppressorExtensionPeriod)) // was checked by alarm.Read
	}
	if by := c.held.By(); by != alarm.NotSuppressed {
		out.ActionsSuppressedBy, out.ActionsSuppressedReason = types.ActionsSuppressedBy(by.String()), aws.String(suppressedReason(by))
	}
	return out
}

// orPut is that time, or when the alarm was put.
func (s *standing) orPut(t time.Time) time.Time {
	if t.IsZero() {
		return s.changed
	}
	return t
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
	case len(*in.StateReason) > 1023:
		return nil, invalidValue("StateReason has %d characters; at most 1023 are allowed", len(*in.StateReason))
	case len(aws.ToString(in.StateReasonData)) > 4000:
		return nil, invalidValue("StateReasonData has %d characters; at most 4000 are allowed", len(*in.StateReasonData))
	case in.StateReasonData != nil && !json.Valid([]byte(*in.StateReasonData)):
		return nil, &apiError{code: "InvalidFormatFault", query: "InvalidFormat", message: "StateReasonData is not JSON"}
	}
	state, err := alarm.ParseState(string(in.StateValue))
	if err != nil {
		return nil, invalidValue("StateValue: %v", err)
	}
	return &api.SetAlarmStateOutput{}, s.setAlarmState(*in.AlarmName, state, *in.StateReason, aws.ToString(in.StateReasonData))
}

// describeAlarmHistory lists what happened to alarms, the newest first unless asked
// otherwise: to metric alarms unless other types are asked for, as in AWS.
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
	metric, composite, err := askedTypes(in.AlarmTypes)
	switch {
	case err != nil:
		return nil, err
	case in.HistoryItemType != "" && !slices.Contains(in.HistoryItemType.Values(), in.HistoryItemType):
		return nil, invalidValue("HistoryItemType: %q is none of %q", short(string(in.HistoryItemType)), in.HistoryItemType.Values())
	case in.ScanBy != "" && !slices.Contains(in.ScanBy.Values(), in.ScanBy):
		return nil, invalidValue("ScanBy: %q is none of %q", short(string(in.ScanBy)), in.ScanBy.Values())
	}
	out := &api.DescribeAlarmHistoryOutput{AlarmHistoryItems: []types.AlarmHistoryItem{}}
	if in.AlarmContributorId != nil { // contributors are of PromQL alarms, of which there are none
		return out, nil
	}
	var found []*record
	for i := range s.history {
		r := &s.history[i]
		switch {
		case in.AlarmName != nil && r.name != *in.AlarmName,
			r.composite && !composite || !r.composite && !metric,
			in.HistoryItemType != "" && r.kind.itemType() != in.HistoryItemType,
			in.StartDate != nil && r.at.Before(*in.StartDate), in.EndDate != nil && r.at.After(*in.EndDate):
			continue
		}
		found = append(found, r)
	}
	if in.ScanBy != types.ScanByTimestampAscending {
		slices.Reverse(found)
	}
	found = found[min(skip, len(found)):]
	if len(found) > records {
		found = found[:records]
		out.NextToken = aws.String(strconv.Itoa(skip + records))
	}
	for _, r := range found {
		out.AlarmHistoryItems = append(out.AlarmHistoryItems, r.item())
	}
	return out, nil
}

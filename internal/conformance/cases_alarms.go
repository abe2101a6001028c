package conformance

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// alarmCases are how alarms are put, described, switched and deleted.
func alarmCases() []Case {
	putAlarm, describe := reference+"PutMetricAlarm.html", reference+"DescribeAlarms.html"
	codes := []string{"ValidationError", "InvalidParameterValue", "InvalidParameterCombination", "Validation"}
	refusal := func(name, documented string, change func(*cloudwatch.PutMetricAlarmInput)) Case {
		return Case{Name: name, Documented: documented, Source: putAlarm, run: func(ctx context.Context, b *bench) (string, error) {
			_, err := b.putAlarm(ctx, 1, change)
			return refused(err, codes...)
		}}
	}
	maths := func(in *cloudwatch.PutMetricAlarmInput, queries ...types.MetricDataQuery) {
		in.Namespace, in.MetricName, in.Statistic, in.Period, in.Metrics = nil, nil, "", nil, queries
	}
	metric := func(id string, returned bool) types.MetricDataQuery {
		return types.MetricDataQuery{Id: aws.String(id), ReturnData: aws.Bool(returned), MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: aws.String("Shop"), MetricName: aws.String(id)}, Period: aws.Int32(60), Stat: aws.String("Sum")}}
	}
	expression := func(text string) types.MetricDataQuery {
		return types.MetricDataQuery{Id: aws.String("e"), Expression: aws.String(text), ReturnData: aws.Bool(true)}
	}
	return []Case{
		refusal("alarm-period-45", "a period is 10, 20, 30 or a multiple of 60 seconds", func(in *cloudwatch.PutMetricAlarmInput) { in.Period = aws.Int32(45) }),
		refusal("alarm-longer-than-a-day", "EvaluationPeriods times a Period below an hour is at most a day", func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluationPeriods = aws.Int32(1441) }),
		refusal("alarm-more-datapoints-than-periods", "DatapointsToAlarm is at most EvaluationPeriods", func(in *cloudwatch.PutMetricAlarmInput) { in.DatapointsToAlarm = aws.Int32(2) }),
		refusal("alarm-unknown-missing-data", "TreatMissingData is breaching, notBreaching, ignore or missing", func(in *cloudwatch.PutMetricAlarmInput) { in.TreatMissingData = aws.String("good") }),
		refusal("alarm-statistic-and-extended", "either Statistic or ExtendedStatistic", func(in *cloudwatch.PutMetricAlarmInput) { in.ExtendedStatistic = aws.String("p99") }),
		refusal("alarm-percentile-p101", "a percentile is from p0.0 to p100", func(in *cloudwatch.PutMetricAlarmInput) { in.Statistic, in.ExtendedStatistic = "", aws.String("p101") }),
		refusal("alarm-two-results", "exactly one of Metrics has ReturnData true", func(in *cloudwatch.PutMetricAlarmInput) { maths(in, expression("a*2"), metric("a", true)) }),
		refusal("alarm-unknown-id", "an expression names ids of Metrics", func(in *cloudwatch.PutMetricAlarmInput) { maths(in, expression("nosuch*2"), metric("a", false)) }),
		refusal("alarm-metric-and-metrics", "either MetricName or Metrics", func(in *cloudwatch.PutMetricAlarmInput) {
			in.Metrics = []types.MetricDataQuery{expression("a*2"), metric("a", false)}
		}),
		{Name: "alarm-begins", Documented: "a new alarm is in INSUFFICIENT_DATA", Source: putAlarm, run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.putAlarm(ctx, 5, nil)
			if err != nil {
				return "", err
			}
			state, err := b.state(ctx, name)
			if err != nil {
				return "", err
			}
			return string(state), equal("the state", state, types.StateValueInsufficientData)
		}},
		{Name: "alarm-keeps-its-state", Documented: "an alarm that is put again keeps its state", Source: putAlarm, run: func(ctx context.Context, b *bench) (string, error) {
			in := b.alarm(5, func(in *cloudwatch.PutMetricAlarmInput) { in.TreatMissingData = aws.String("ignore") })
			if _, err := b.cw.PutMetricAlarm(ctx, in); err != nil {
				return "", err
			}
			if err := b.set(ctx, *in.AlarmName, types.StateValueAlarm); err != nil {
				return "", err
			}
			in.Threshold = aws.Float64(2)
			if _, err := b.cw.PutMetricAlarm(ctx, in); err != nil {
				return "", err
			}
			a, err := b.described(ctx, *in.AlarmName)
			if err != nil {
				return "", err
			}
			if err := near("the Threshold", a.Threshold, 2, 0); err != nil {
				return "", err
			}
			return string(a.StateValue), equal("the state", a.StateValue, types.StateValueAlarm)
		}},
		{Name: "alarm-comes-back-whole", Documented: "DescribeAlarms gives what PutMetricAlarm took", Source: describe, run: alarmComesBack},
		{Name: "describe-by-prefix", Documented: "alarms are found by a prefix of the name, and by state", Source: describe, run: describeByPrefix},
		{Name: "describe-pages", Documented: "MaxRecords bounds a page, and NextToken leads to the rest", Source: describe, run: describePages},
		{Name: "describe-metric-alarms-only", Documented: "without AlarmTypes only metric alarms are described", Source: describe, run: func(ctx context.Context, b *bench) (string, error) {
			child, err := b.putAlarm(ctx, 1, nil)
			if err != nil {
				return "", err
			}
			parent := b.name(theComposites)
			if _, err := b.cw.PutCompositeAlarm(ctx, &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String(parent), AlarmRule: aws.String("ALARM(" + child + ")")}); err != nil {
				return "", err
			}
			out, err := b.cw.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{child, parent}})
			if err != nil {
				return "", err
			}
			if err := equal("the number of metric alarms", len(out.MetricAlarms), 1); err != nil {
				return "", err
			}
			return "1 metric alarm", equal("the number of composite alarms", len(out.CompositeAlarms), 0)
		}},
		{Name: "describe-for-metric", Documented: "the alarms of a metric are found by its name", Source: reference + "DescribeAlarmsForMetric.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.putAlarm(ctx, 1, nil)
			if err != nil {
				return "", err
			}
			out, err := b.cw.DescribeAlarmsForMetric(ctx, &cloudwatch.DescribeAlarmsForMetricInput{Namespace: aws.String(b.namespace), MetricName: aws.String("m")})
			if err != nil {
				return "", err
			}
			if len(out.MetricAlarms) != 1 {
				return "", deviates("%d alarms are found, not 1", len(out.MetricAlarms))
			}
			return "it is found", equal("the alarm", aws.ToString(out.MetricAlarms[0].AlarmName), name)
		}},
		{Name: "switch-actions", Documented: "DisableAlarmActions and EnableAlarmActions switch an alarm's actions", Source: reference + "DisableAlarmActions.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.putAlarm(ctx, 1, nil)
			if err != nil {
				return "", err
			}
			if _, err := b.cw.DisableAlarmActions(ctx, &cloudwatch.DisableAlarmActionsInput{AlarmNames: []string{name}}); err != nil {
				return "", err
			}
			off, err := b.described(ctx, name)
			if err != nil {
				return "", err
			}
			if _, err := b.cw.EnableAlarmActions(ctx, &cloudwatch.EnableAlarmActionsInput{AlarmNames: []string{name}}); err != nil {
				return "", err
			}
			on, err := b.described(ctx, name)
			if err != nil {
				return "", err
			}
			return "off, then on", equal("ActionsEnabled", fmt.Sprint(aws.ToBool(off.ActionsEnabled), aws.ToBool(on.ActionsEnabled)), "false true")
		}},
		{Name: "delete-alarm", Documented: "a deleted alarm is gone", Source: reference + "DeleteAlarms.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.putAlarm(ctx, 1, nil)
			if err != nil {
				return "", err
			}
			if _, err := b.cw.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}}); err != nil {
				return "", err
			}
			return "it is gone", b.gone(ctx, name)
		}},
		{Name: "delete-some-unknown", Documented: "of several alarms those that there are are deleted, even if one is not known", Source: reference + "DeleteAlarms.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.putAlarm(ctx, 1, nil)
			if err != nil {
				return "", err
			}
			// Whether that is an error too AWS does not say.
			_, err = b.cw.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name, b.prefix + "-nosuch"}})
			if _, other := refused(err, "ResourceNotFound"); err != nil && other != nil {
				return "", other
			}
			return "it is gone", b.gone(ctx, name)
		}},
		{Name: "set-state", Documented: "SetAlarmState sets state and reason at once", Source: reference + "SetAlarmState.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.putAlarm(ctx, 5, func(in *cloudwatch.PutMetricAlarmInput) { in.TreatMissingData = aws.String("ignore") })
			if err != nil {
				return "", err
			}
			if err := b.set(ctx, name, types.StateValueAlarm); err != nil {
				return "", err
			}
			a, err := b.described(ctx, name)
			if err != nil {
				return "", err
			}
			if err := equal("the reason", aws.ToString(a.StateReason), "conformance"); err != nil {
				return "", err
			}
			return string(a.StateValue), equal("the state", a.StateValue, types.StateValueAlarm)
		}},
		{Name: "set-state-unknown", Documented: "of an alarm that there is not, SetAlarmState says ResourceNotFound", Source: reference + "SetAlarmState.html", run: func(ctx context.Context, b *bench) (string, error) {
			return refused(b.set(ctx, b.prefix+"-nosuch", types.StateValueOk), "ResourceNotFound")
		}},
		{Name: "set-state-reason-data", Documented: "StateReasonData that is not JSON is refused with InvalidFormat", Source: reference + "SetAlarmState.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.putAlarm(ctx, 1, nil)
			if err != nil {
				return "", err
			}
			_, err = b.cw.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: types.StateValueOk, StateReason: aws.String("x"), StateReasonData: aws.String("{")})
			return refused(err, "InvalidFormat")
		}},
	}
}

// gone says whether an alarm is no longer described.
func (b *bench) gone(ctx context.Context, name string) error {
	out, err := b.cw.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
	if err != nil {
		return err
	}
	return equal("the number of alarms of that name", len(out.MetricAlarms), 0)
}

func alarmComesBack(ctx context.Context, b *bench) (string, error) {
	in := b.alarm(5, func(in *cloudwatch.PutMetricAlarmInput) {
		in.AlarmDescription = aws.String("注文 & <orders>")
		in.Dimensions = []types.Dimension{{Name: aws.String("Service"), Value: aws.String("shop")}}
		in.Statistic, in.ExtendedStatistic, in.EvaluateLowSampleCountPercentile = "", aws.String("p99.9"), aws.String("ignore")
		in.DatapointsToAlarm, in.TreatMissingData, in.Unit = aws.Int32(3), aws.String("notBreaching"), types.StandardUnitSeconds
		in.ActionsEnabled = aws.Bool(false)
		in.OKActions, in.AlarmActions, in.InsufficientDataActions = []string{topic("ok")}, []string{topic("a"), topic("b")}, []string{topic("c")}
	})
	if _, err := b.cw.PutMetricAlarm(ctx, in); err != nil {
		return "", err
	}
	a, err := b.described(ctx, *in.AlarmName)
	if err != nil {
		return "", err
	}
	var wrong []string
	for _, c := range []struct {
		field     string
		got, want any
	}{
		{"AlarmDescription", aws.ToString(a.AlarmDescription), *in.AlarmDescription}, {"Namespace", aws.ToString(a.Namespace), *in.Namespace}, {"MetricName", aws.ToString(a.MetricName), *in.MetricName},
		{"ExtendedStatistic", aws.ToString(a.ExtendedStatistic), "p99.9"}, {"EvaluateLowSampleCountPercentile", aws.ToString(a.EvaluateLowSampleCountPercentile), "ignore"},
		{"Period", aws.ToInt32(a.Period), int32(60)}, {"EvaluationPeriods", aws.ToInt32(a.EvaluationPeriods), int32(5)}, {"DatapointsToAlarm", aws.ToInt32(a.DatapointsToAlarm), int32(3)},
		{"Threshold", aws.ToFloat64(a.Threshold), 1.0}, {"ComparisonOperator", a.ComparisonOperator, in.ComparisonOperator}, {"TreatMissingData", aws.ToString(a.TreatMissingData), "notBreaching"},
		{"Unit", a.Unit, in.Unit}, {"ActionsEnabled", aws.ToBool(a.ActionsEnabled), false}, {"OKActions", a.OKActions, in.OKActions}, {"AlarmActions", a.AlarmActions, in.AlarmActions},
		{"InsufficientDataActions", a.InsufficientDataActions, in.InsufficientDataActions}, {"the number of Dimensions", len(a.Dimensions), 1},
	} {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, not %v", c.field, c.got, c.want))
		}
	}
	if wrong != nil {
		return "", deviates("%s", joined(wrong))
	}
	return "every field does", nil
}

func joined(all []string) string {
	text := ""
	for i, s := range all {
		if i > 0 {
			text += "; "
		}
		text += s
	}
	return text
}

// topic is the ARN of an SNS topic that nobody has.
func topic(name string) string { return "arn:aws:sns:us-east-1:000000000000:rehearsal-" + name }

func describeByPrefix(ctx context.Context, b *bench) (string, error) {
	var names []string
	for range 2 {
		name, err := b.putAlarm(ctx, 5, func(in *cloudwatch.PutMetricAlarmInput) { in.TreatMissingData = aws.String("ignore") })
		if err != nil {
			return "", err
		}
		names = append(names, name)
	}
	if err := b.set(ctx, names[0], types.StateValueAlarm); err != nil {
		return "", err
	}
	for _, c := range []struct {
		in   cloudwatch.DescribeAlarmsInput
		want []string
	}{
		{cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(names[1])}, names[1:]},
		{cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(names[0]), StateValue: types.StateValueAlarm}, names[:1]},
		{cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(names[1]), StateValue: types.StateValueAlarm}, nil},
	} {
		out, err := b.cw.DescribeAlarms(ctx, &c.in)
		if err != nil {
			return "", err
		}
		var got []string
		for _, a := range out.MetricAlarms {
			if slices.Contains(names, aws.ToString(a.AlarmName)) { // another's name may begin alike
				got = append(got, *a.AlarmName)
			}
		}
		if !slices.Equal(got, c.want) {
			return "", deviates("with prefix %s and state %q these are found: %v", *c.in.AlarmNamePrefix, c.in.StateValue, got)
		}
	}
	return "they are", nil
}

func describePages(ctx context.Context, b *bench) (string, error) {
	var names []string
	for range 3 {
		name, err := b.putAlarm(ctx, 5, nil)
		if err != nil {
			return "", err
		}
		names = append(names, name)
	}
	in := &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(b.prefix), MaxRecords: aws.Int32(2)}
	seen := map[string]int{}
	for range 1000 {
		out, err := b.cw.DescribeAlarms(ctx, in)
		if err != nil {
			return "", err
		}
		if len(out.MetricAlarms) > 2 {
			return "", deviates("a page of 2 has %d alarms", len(out.MetricAlarms))
		}
		for _, a := range out.MetricAlarms {
			seen[aws.ToString(a.AlarmName)]++
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	for _, name := range names {
		if seen[name] != 1 {
			return "", deviates("an alarm comes %d times", seen[name])
		}
	}
	return "each alarm comes once", nil
}

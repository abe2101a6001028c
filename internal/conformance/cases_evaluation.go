package conformance

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// An evaluation is a case of one alarm: data and a state before, and the state that
// the next evaluation finds.
type evaluation struct {
	name, documented, page string
	n                      int32
	data                   func(at time.Time) []types.MetricDatum // at begins the newest minute
	alarm                  func(b *bench, in *cloudwatch.PutMetricAlarmInput)
	before, want           types.StateValue
	// beside changes a second alarm on the same data, which must go from OK to ALARM:
	// so that an alarm which does not change is not one that is never evaluated.
	beside func(in *cloudwatch.PutMetricAlarmInput)
}

const (
	isOK    = types.StateValueOk
	isAlarm = types.StateValueAlarm
)

// evaluationCases are what alarms find in their data.
func evaluationCases() []Case {
	values := func(n int, value float64) []types.MetricDatum {
		d := types.MetricDatum{MetricName: aws.String("m"), Values: []float64{value}, Counts: []float64{float64(n)}}
		return []types.MetricDatum{d}
	}
	stamped := func(at time.Time, data []types.MetricDatum) []types.MetricDatum {
		for i := range data {
			data[i].Timestamp = aws.Time(at)
		}
		return data
	}
	p99 := func(low string) func(*bench, *cloudwatch.PutMetricAlarmInput) {
		return func(_ *bench, in *cloudwatch.PutMetricAlarmInput) {
			in.Statistic, in.ExtendedStatistic, in.EvaluateLowSampleCountPercentile = "", aws.String("p99"), aws.String(low)
		}
	}
	cases := []Case{
		evaluation{"evaluates-metric-math", "an alarm judges a metric-math expression", "Create-alarm-on-metric-math-expression.html", 1,
			func(at time.Time) []types.MetricDatum {
				return []types.MetricDatum{datum("a", at, 6), datum("b", at, 100)}
			},
			func(b *bench, in *cloudwatch.PutMetricAlarmInput) {
				in.Namespace, in.MetricName, in.Statistic, in.Period, in.Threshold = nil, nil, "", nil, aws.Float64(5)
				in.Metrics = []types.MetricDataQuery{{Id: aws.String("e"), Expression: aws.String("a/b*100"), ReturnData: aws.Bool(true)}, b.query("a", "a", false), b.query("b", "b", false)}
			}, isOK, isAlarm, nil}.asCase(),
		evaluation{"evaluates-percentile", "an alarm judges a percentile", "percentiles-with-low-samples.html", 1,
			func(at time.Time) []types.MetricDatum {
				return append(stamped(at, values(95, 0)), stamped(at, values(5, 9))...)
			},
			p99("evaluate"), isOK, isAlarm, nil}.asCase(),
		evaluation{"low-samples-ignored", "p99 of fewer than 1,000 samples changes nothing where they are ignored", "percentiles-with-low-samples.html", 1,
			func(at time.Time) []types.MetricDatum { return stamped(at, values(999, 9)) }, p99("ignore"), isOK, isOK,
			func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluateLowSampleCountPercentile = aws.String("evaluate") }}.asCase(),
		evaluation{"low-samples-enough", "p99 of 1,000 samples is judged", "percentiles-with-low-samples.html", 1,
			func(at time.Time) []types.MetricDatum { return stamped(at, values(1000, 9)) }, p99("ignore"), isOK, isAlarm, nil}.asCase(),
		evaluation{"evaluates-every-minute", "an alarm of 5 minutes is evaluated each minute", "alarm-evaluation.html", 1,
			func(at time.Time) []types.MetricDatum { return []types.MetricDatum{datum("m", at, 2)} },
			func(_ *bench, in *cloudwatch.PutMetricAlarmInput) { in.Period = aws.Int32(300) }, isOK, isAlarm, nil}.asCase(),
		evaluation{"recovers-at-once", "an alarm recovers as soon as too few of the newest points breach", "alarm-evaluation.html", 3,
			func(at time.Time) []types.MetricDatum {
				return []types.MetricDatum{datum("m", at.Add(-4*time.Minute), 2), datum("m", at.Add(-3*time.Minute), 2), datum("m", at.Add(-2*time.Minute), 2), datum("m", at.Add(-time.Minute), 2), datum("m", at, 0)}
			}, nil, isAlarm, isOK, nil}.asCase(),
		evaluation{"units-apart", "an alarm with a Unit takes only samples of that unit", "API_PutMetricAlarm.html", 1,
			func(at time.Time) []types.MetricDatum {
				return []types.MetricDatum{{MetricName: aws.String("m"), Timestamp: aws.Time(at), Value: aws.Float64(9), Unit: types.StandardUnitBytes},
					{MetricName: aws.String("m"), Timestamp: aws.Time(at), Value: aws.Float64(0), Unit: types.StandardUnitCount}}
			},
			func(_ *bench, in *cloudwatch.PutMetricAlarmInput) { in.Unit = types.StandardUnitCount }, isAlarm, isOK, nil}.asCase(),
		evaluation{"dimensions-apart", "a metric with other dimensions is another metric", "cloudwatch_concepts.html", 1,
			func(at time.Time) []types.MetricDatum {
				d := datum("m", at, 9)
				d.Dimensions = []types.Dimension{{Name: aws.String("Service"), Value: aws.String("shop")}}
				return []types.MetricDatum{d, datum("m", at, 0)}
			}, nil, isAlarm, isOK, nil}.asCase(),
		evaluation{"set-state-lasts-until-then", "a state that was set lasts until the next evaluation", "API_SetAlarmState.html", 1,
			func(at time.Time) []types.MetricDatum { return []types.MetricDatum{datum("m", at, 0)} }, nil, isAlarm, isOK, nil}.asCase(),
	}
	for _, o := range []struct {
		operator types.ComparisonOperator
		value    float64
		want     types.StateValue
	}{
		{types.ComparisonOperatorGreaterThanThreshold, 1, isOK}, {types.ComparisonOperatorGreaterThanOrEqualToThreshold, 1, isAlarm},
		{types.ComparisonOperatorLessThanThreshold, 1, isOK}, {types.ComparisonOperatorLessThanOrEqualToThreshold, 1, isAlarm},
	} {
		before := isOK
		if o.want == isOK {
			before = isAlarm
		}
		verb := "breaches"
		if o.want == isOK {
			verb = "does not breach"
		}
		cases = append(cases, evaluation{"operator-" + string(o.operator), "a point equal to the threshold " + verb, "API_PutMetricAlarm.html", 1,
			func(at time.Time) []types.MetricDatum { return []types.MetricDatum{datum("m", at, o.value)} },
			func(_ *bench, in *cloudwatch.PutMetricAlarmInput) { in.ComparisonOperator = o.operator }, before, o.want, nil}.asCase())
	}
	return append(cases,
		Case{Name: "evaluates-every-10-seconds", Documented: "an alarm with a period of 10 s is evaluated every 10 s", Source: guide + "alarm-evaluation.html", Takes: once, run: evaluatesSeconds},
		Case{Name: "composite-follows", Documented: "a composite alarm follows its rule as its children change: ALARM(a) AND NOT ALARM(b)", Source: guide + "Create_Composite_Alarm.html", Takes: time.Minute, run: compositeFollows},
		Case{Name: "composite-unknown-child", Documented: "a rule that names an alarm that there is not is refused", Source: reference + "PutCompositeAlarm.html", run: func(ctx context.Context, b *bench) (string, error) {
			_, err := b.cw.PutCompositeAlarm(ctx, &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String(b.name(theComposites)), AlarmRule: aws.String(`ALARM("` + b.prefix + `-nosuch")`)})
			return refused(err, "ValidationError", "ResourceNotFound", "InvalidParameterValue", "Validation")
		}},
		Case{Name: "composite-malformed", Documented: "a malformed rule is refused", Source: reference + "PutCompositeAlarm.html", run: func(ctx context.Context, b *bench) (string, error) {
			_, err := b.cw.PutCompositeAlarm(ctx, &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String(b.name(theComposites)), AlarmRule: aws.String("ALARM(")})
			return refused(err, "ValidationError", "InvalidParameterValue", "Validation")
		}},
	)
}

// source is in the API reference or in the user guide.
func (e evaluation) source() string {
	if operation, ok := strings.CutPrefix(e.page, "API_"); ok {
		return reference + operation
	}
	return guide + e.page
}

func (e evaluation) asCase() Case {
	return Case{Name: e.name, Documented: e.documented, Source: e.source(), Takes: once, run: func(ctx context.Context, b *bench) (string, error) {
		at, err := b.minute(ctx)
		if err != nil {
			return "", err
		}
		if err := b.put(ctx, e.data(at)...); err != nil {
			return "", err
		}
		change := func(in *cloudwatch.PutMetricAlarmInput) {
			if e.alarm != nil {
				e.alarm(b, in)
			}
		}
		name, err := b.putAlarm(ctx, e.n, change)
		if err != nil {
			return "", err
		}
		other := ""
		if e.beside != nil {
			if other, err = b.putAlarm(ctx, e.n, func(in *cloudwatch.PutMetricAlarmInput) { change(in); e.beside(in) }); err != nil {
				return "", err
			}
			if err := b.set(ctx, other, isOK); err != nil {
				return "", err
			}
		}
		if err := b.set(ctx, name, e.before); err != nil {
			return "", err
		}
		if err := b.evaluated(ctx, at.Add(time.Minute)); err != nil {
			return "", err
		}
		if other != "" {
			state, err := b.state(ctx, other)
			if err == nil {
				err = equal("of an alarm that evaluates them the state", state, isAlarm)
			}
			if err != nil {
				return "", err
			}
		}
		state, err := b.state(ctx, name)
		if err != nil {
			return "", err
		}
		return "from " + string(e.before) + " to " + string(state), equal("after "+string(e.before)+" the state", state, e.want)
	}}
}

func evaluatesSeconds(ctx context.Context, b *bench) (string, error) {
	at, err := b.minute(ctx)
	if err != nil {
		return "", err
	}
	name, err := b.putAlarm(ctx, 1, func(in *cloudwatch.PutMetricAlarmInput) {
		in.Period, in.TreatMissingData = aws.Int32(10), aws.String("notBreaching")
	})
	if err != nil {
		return "", err
	}
	if err := b.set(ctx, name, isOK); err != nil {
		return "", err
	}
	d := datum("m", at.Add(20*time.Second), 2)
	d.StorageResolution = aws.Int32(1)
	if b.clock.moves() {
		if err := b.clock.until(ctx, at.Add(21*time.Second)); err != nil {
			return "", err
		}
	}
	if err := b.put(ctx, d); err != nil {
		return "", err
	}
	// The point counts for two evaluations more, and then for none.
	if b.clock.moves() {
		if err := b.evaluated(ctx, at.Add(30*time.Second)); err != nil {
			return "", err
		}
		state, err := b.state(ctx, name)
		if err != nil {
			return "", err
		}
		if err := equal("10 s later the state", state, isAlarm); err != nil {
			return "", err
		}
	}
	if err := b.evaluated(ctx, at.Add(time.Minute)); err != nil {
		return "", err
	}
	changes, err := b.history(ctx, name, types.HistoryItemTypeStateUpdate)
	if err != nil {
		return "", err
	}
	for _, c := range changes {
		if old, now := c.states(); old == "OK" && now == "ALARM" {
			state, err := b.state(ctx, name)
			if err != nil {
				return "", err
			}
			return "ALARM within the minute, and OK again", equal("a minute later the state", state, isOK)
		}
	}
	return "", deviates("it did not go to ALARM within the minute")
}

func compositeFollows(ctx context.Context, b *bench) (string, error) {
	var children []string
	for range 2 {
		name, err := b.putAlarm(ctx, 5, func(in *cloudwatch.PutMetricAlarmInput) { in.TreatMissingData = aws.String("ignore") })
		if err != nil {
			return "", err
		}
		if err := b.set(ctx, name, isOK); err != nil {
			return "", err
		}
		children = append(children, name)
	}
	parent := b.name(theComposites)
	if _, err := b.cw.PutCompositeAlarm(ctx, &cloudwatch.PutCompositeAlarmInput{AlarmName: &parent, AlarmRule: aws.String(`ALARM("` + children[0] + `") AND NOT ALARM("` + children[1] + `")`)}); err != nil {
		return "", err
	}
	for _, step := range []struct {
		child int
		state types.StateValue
		want  types.StateValue
	}{{0, isAlarm, isAlarm}, {1, isAlarm, isOK}, {1, isOK, isAlarm}, {0, isOK, isOK}} {
		if err := b.set(ctx, children[step.child], step.state); err != nil {
			return "", err
		}
		err := b.eventually(ctx, func() error {
			state, err := b.composite(ctx, parent)
			if err != nil {
				return err
			}
			return equal("with child "+string(rune('a'+step.child))+" in "+string(step.state)+" its state", state, step.want)
		})
		if err != nil {
			return "", err
		}
	}
	return "ALARM, OK, ALARM, OK", nil
}

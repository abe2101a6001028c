package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// made is what a run made and must delete. Metrics cannot be deleted: in AWS they
// expire.
type made struct {
	mu         sync.Mutex
	count      int
	composites []string // deleted before the alarms that they name, newest first
	alarms     []string
	dashboards []string
	groups     []string
}

// name makes a name that nobody else has; what it is for is told by kind, whose
// list it is put on.
func (b *bench) name(list func(*made) *[]string) string {
	b.made.mu.Lock()
	defer b.made.mu.Unlock()
	b.made.count++
	name := fmt.Sprintf("%s-%d", b.prefix, b.made.count)
	if list != nil {
		kept := list(b.made)
		*kept = append(*kept, name)
	}
	return name
}

func theAlarms(m *made) *[]string     { return &m.alarms }
func theComposites(m *made) *[]string { return &m.composites }
func theDashboards(m *made) *[]string { return &m.dashboards }
func theGroups(m *made) *[]string     { return &m.groups }

// clean deletes everything and tells what could not be deleted.
func (b *bench) clean(ctx context.Context) (left []string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	m := b.made
	note := func(what string, err error) {
		if api := apiError(err); api != nil { // it is not there, or the other side has no such operation
			switch code := api.ErrorCode(); code {
			case "ResourceNotFound", "ResourceNotFoundException", "DashboardNotFoundError":
				return
			}
		}
		if err != nil {
			left = append(left, fmt.Sprintf("%s: %v", what, err))
		}
	}
	slices.Reverse(m.composites)
	for _, name := range append(m.composites, m.alarms...) {
		_, err := b.cw.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}})
		note("alarm "+name, err)
	}
	for _, name := range m.dashboards {
		_, err := b.cw.DeleteDashboards(ctx, &cloudwatch.DeleteDashboardsInput{DashboardNames: []string{name}})
		note("dashboard "+name, err)
	}
	for _, name := range m.groups {
		_, err := b.logs.DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String(name)})
		note("log group "+name, err)
	}
	return left
}

// put publishes one datum of a metric of the case.
func (b *bench) put(ctx context.Context, data ...types.MetricDatum) error {
	_, err := b.cw.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String(b.namespace), MetricData: data})
	return err
}

// datum is one value of a metric at a time.
func datum(metric string, at time.Time, value float64) types.MetricDatum {
	return types.MetricDatum{MetricName: aws.String(metric), Timestamp: aws.Time(at), Value: aws.Float64(value)}
}

// alarm is one on the Sum of the case's metric "m" above 1, for n of n minutes.
func (b *bench) alarm(n int32, change func(*cloudwatch.PutMetricAlarmInput)) *cloudwatch.PutMetricAlarmInput {
	in := &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String(b.name(theAlarms)), Namespace: aws.String(b.namespace), MetricName: aws.String("m"), Statistic: types.StatisticSum, Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(n), Threshold: aws.Float64(1), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
	}
	if change != nil {
		change(in)
	}
	return in
}

// putAlarm puts it and gives its name.
func (b *bench) putAlarm(ctx context.Context, n int32, change func(*cloudwatch.PutMetricAlarmInput)) (string, error) {
	in := b.alarm(n, change)
	_, err := b.cw.PutMetricAlarm(ctx, in)
	return *in.AlarmName, err
}

// set sets an alarm's state.
func (b *bench) set(ctx context.Context, name string, state types.StateValue) error {
	_, err := b.cw.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String(name), StateValue: state, StateReason: aws.String("conformance")})
	return err
}

// described is a metric alarm as it is described.
func (b *bench) described(ctx context.Context, name string) (*types.MetricAlarm, error) {
	out, err := b.cw.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
	if err != nil {
		return nil, err
	}
	if len(out.MetricAlarms) != 1 {
		return nil, deviates("DescribeAlarms gives %d alarms of that name", len(out.MetricAlarms))
	}
	return &out.MetricAlarms[0], nil
}

// state is the state of a metric alarm.
func (b *bench) state(ctx context.Context, name string) (types.StateValue, error) {
	a, err := b.described(ctx, name)
	if err != nil {
		return "", err
	}
	return a.StateValue, nil
}

// composite is the state of a composite alarm.
func (b *bench) composite(ctx context.Context, name string) (types.StateValue, error) {
	out, err := b.cw.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{types.AlarmTypeCompositeAlarm}})
	if err != nil {
		return "", err
	}
	if len(out.CompositeAlarms) != 1 {
		return "", deviates("DescribeAlarms gives %d composite alarms of that name", len(out.CompositeAlarms))
	}
	return out.CompositeAlarms[0].StateValue, nil
}

// group makes a log group with a stream "s".
func (b *bench) group(ctx context.Context) (string, error) {
	name := b.name(theGroups)
	if _, err := b.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(name)}); err != nil {
		return name, err
	}
	_, err := b.logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String(name), LogStreamName: aws.String("s")})
	return name, err
}

// log writes lines at a time.
func (b *bench) log(ctx context.Context, group string, at time.Time, lines ...string) (*cloudwatchlogs.PutLogEventsOutput, error) {
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String("s")}
	for _, line := range lines {
		in.LogEvents = append(in.LogEvents, logtypes.InputLogEvent{Timestamp: aws.Int64(at.UnixMilli()), Message: aws.String(line)})
	}
	return b.logs.PutLogEvents(ctx, in)
}

// statistic is the one point of a metric of the case in a minute; false: there is none.
func (b *bench) statistics(ctx context.Context, metric string, from, to time.Time, period int32, change func(*cloudwatch.GetMetricStatisticsInput)) ([]types.Datapoint, error) {
	in := &cloudwatch.GetMetricStatisticsInput{Namespace: aws.String(b.namespace), MetricName: aws.String(metric), StartTime: aws.Time(from), EndTime: aws.Time(to), Period: aws.Int32(period)}
	change(in)
	out, err := b.cw.GetMetricStatistics(ctx, in)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out.Datapoints, func(a, b types.Datapoint) int { return aws.ToTime(a.Timestamp).Compare(aws.ToTime(b.Timestamp)) })
	return out.Datapoints, nil
}

// equal compares what was observed with what is documented.
func equal[T comparable](what string, got, want T) error {
	if got != want {
		return deviates("%s is %v, not %v", what, got, want)
	}
	return nil
}

// near compares numbers, to within a share.
func near(what string, got *float64, want, share float64) error {
	if got == nil {
		return deviates("there is no %s", what)
	}
	if d := *got - want; d > share*want+1e-9 || -d > share*want+1e-9 {
		return deviates("%s is %g, not %g", what, *got, want)
	}
	return nil
}

package containers

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslogs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/stage"
)

const (
	// eventsPerCall and bytesPerCall bound one PutLogEvents: AWS takes 10,000 events
	// and 1 MiB, in which each counts for 26 bytes more than its text.
	eventsPerCall = 10_000
	bytesPerCall  = 1 << 20
	eventOverhead = 26
	// longestLine is the longest line that is kept whole, in bytes.
	longestLine = 200 << 10
)

// monitorLines is log lines that were not published yet, by stream.
type monitorLines struct {
	group    string
	patterns []*cloudwatch.Pattern
	streams  map[string][]types.InputLogEvent
	known    map[string]bool // streams that CloudWatch has
}

func newMonitorLines(names stage.Monitoring) (monitorLines, error) {
	l := monitorLines{group: names.LogGroup, streams: map[string][]types.InputLogEvent{}, known: map[string]bool{}}
	for _, f := range names.Filters {
		p, err := cloudwatch.ParsePattern(f.Pattern)
		if err != nil {
			return l, fmt.Errorf("metric filter %q: %w", f.Name, err)
		}
		if f.LogGroup == l.group {
			l.patterns = append(l.patterns, p)
		}
	}
	return l, nil
}

// add keeps a line. A line that a metric filter counts is kept as many times as it
// stands for.
func (l *monitorLines) add(stream, text string, at time.Time, weight float64) (counted bool) {
	if l.group == "" || text == "" {
		return false
	}
	if len(text) > longestLine {
		text = strings.ToValidUTF8(text[:longestLine], "")
	}
	counted = slices.ContainsFunc(l.patterns, func(p *cloudwatch.Pattern) bool { return p.Match(text) })
	times := 1
	if counted {
		times = max(int(math.Round(weight)), 1)
	}
	event := types.InputLogEvent{Message: aws.String(text), Timestamp: aws.Int64(at.UnixMilli())}
	for range times {
		l.streams[stream] = append(l.streams[stream], event)
	}
	return counted
}

func (l *monitorLines) take() map[string][]types.InputLogEvent {
	streams := l.streams
	l.streams = map[string][]types.InputLogEvent{}
	return streams
}

// logGroups is the log groups that there must be, by name.
func logGroups(names stage.Monitoring) []string {
	groups := map[string]bool{}
	if names.LogGroup != "" {
		groups[names.LogGroup] = true
	}
	for _, f := range names.Filters {
		groups[f.LogGroup] = true
	}
	return slices.Sorted(maps.Keys(groups))
}

// putFilters makes the log groups and their metric filters.
func (m *monitor) putFilters(ctx context.Context) error {
	names := m.options.Setup.Monitoring
	cloud := m.options.External.Names
	for _, group := range logGroups(names) {
		name := aws.String(cloud.group(group))
		_, err := m.logs.CreateLogGroup(ctx, &awslogs.CreateLogGroupInput{LogGroupName: name, Tags: cloud.groupTags()})
		if err == nil && m.options.External.Account != nil { // should it be left behind, its lines go by themselves
			_, err = m.logs.PutRetentionPolicy(ctx, &awslogs.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(1)})
		}
		if err != nil {
			return fmt.Errorf("log group %q: %w", *name, err)
		}
	}
	for _, f := range names.Filters {
		_, err := m.logs.PutMetricFilter(ctx, &awslogs.PutMetricFilterInput{
			LogGroupName: aws.String(cloud.group(f.LogGroup)), FilterName: &f.Name, FilterPattern: &f.Pattern,
			MetricTransformations: []types.MetricTransformation{{
				MetricNamespace: aws.String(cloud.namespace(f.Namespace)), MetricName: &f.Metric, MetricValue: &f.Value, DefaultValue: f.Default,
				Unit: types.StandardUnit(f.Unit),
			}},
		})
		if err != nil {
			return fmt.Errorf("metric filter %q: %w", f.Name, err)
		}
	}
	return nil
}

// putLines publishes log lines.
func (m *monitor) putLines(ctx context.Context, streams map[string][]types.InputLogEvent) error {
	group := m.options.External.Names.group(m.lines.group)
	for _, stream := range slices.Sorted(maps.Keys(streams)) {
		if !m.lines.known[stream] {
			_, err := m.logs.CreateLogStream(ctx, &awslogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream})
			if err != nil {
				return fmt.Errorf("log stream %q: %w", stream, err)
			}
			m.lines.known[stream] = true
		}
		for events := streams[stream]; len(events) > 0; {
			n := eventsThatFit(events)
			_, err := m.logs.PutLogEvents(ctx, &awslogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream, LogEvents: events[:n]}, onceLogged)
			if err != nil {
				return fmt.Errorf("publishing log lines of %s: %w", stream, err)
			}
			events = events[n:]
		}
	}
	return nil
}

// onceLogged is once for logs.
func onceLogged(o *awslogs.Options) {
	if o.Retryer.MaxAttempts() > 1 {
		o.Retryer = onlyThrottled()
	}
}

// eventsThatFit is how many of the events one call takes.
func eventsThatFit(events []types.InputLogEvent) int {
	size := 0
	for i, e := range events {
		if size += len(*e.Message) + eventOverhead; i == eventsPerCall || size > bytesPerCall {
			return max(i, 1)
		}
	}
	return len(events)
}

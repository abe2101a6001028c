package cloudwatch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// logsOperation is the operation of CloudWatch Logs with that name; nil: not known.
func logsOperation(name string) operation {
	switch name {
	case "CreateLogGroup":
		return call((*Store).createLogGroup)
	case "CreateLogStream":
		return call((*Store).createLogStream)
	case "DescribeLogGroups":
		return call((*Store).describeLogGroups)
	case "DescribeLogStreams":
		return call((*Store).describeLogStreams)
	case "PutLogEvents":
		return call((*Store).putLogEvents)
	case "GetLogEvents":
		return call((*Store).getLogEvents)
	case "FilterLogEvents":
		return call((*Store).filterLogEvents)
	case "PutMetricFilter":
		return call((*Store).putMetricFilter)
	case "DescribeMetricFilters":
		return call((*Store).describeMetricFilters)
	case "DeleteMetricFilter":
		return call((*Store).deleteMetricFilter)
	case "TestMetricFilter":
		return call((*Store).testMetricFilter)
	}
	return nil
}

// Limits of AWS on log events.
const (
	maxEvents     = 10_000        // in a call
	maxEventBytes = 1 << 20       // of a call, with overhead
	oldestEvent   = oldestDatum   // before now
	newestEvent   = newestDatum   // after now
	longestBatch  = 24 * 3600_000 // milliseconds from the first to the last event of a call
)

func (s *Store) existingGroup(name, identifier *string) (*logGroup, error) {
	wanted := cmp.Or(aws.ToString(name), aws.ToString(identifier))
	if i := strings.LastIndex(wanted, ":log-group:"); name == nil && i >= 0 { // an ARN
		wanted = strings.TrimSuffix(wanted[i+len(":log-group:"):], ":*")
	}
	if err := checkGroup(wanted); err != nil {
		return nil, err
	}
	if g := s.groups[wanted]; g != nil {
		return g, nil
	}
	return nil, &apiError{code: "ResourceNotFoundException", message: fmt.Sprintf("the specified log group %q does not exist", wanted)}
}

func (g *logGroup) existingStream(name *string) (*logStream, error) {
	if err := checkStream(aws.ToString(name)); err != nil {
		return nil, err
	}
	if stream := g.streams[*name]; stream != nil {
		return stream, nil
	}
	return nil, &apiError{code: "ResourceNotFoundException", message: fmt.Sprintf("the specified log stream %q does not exist", *name)}
}

func (s *Store) createLogGroup(in *api.CreateLogGroupInput) (*api.CreateLogGroupOutput, error) {
	name := aws.ToString(in.LogGroupName)
	if err := checkGroup(name); err != nil {
		return nil, err
	}
	if s.groups[name] != nil {
		return nil, &apiError{code: "ResourceAlreadyExistsException", message: fmt.Sprintf("the specified log group %q already exists", name)}
	}
	s.group(name)
	return &api.CreateLogGroupOutput{}, nil
}

func (s *Store) createLogStream(in *api.CreateLogStreamInput) (*api.CreateLogStreamOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	name := aws.ToString(in.LogStreamName)
	if err := checkStream(name); err != nil {
		return nil, err
	}
	if g.streams[name] != nil {
		return nil, &apiError{code: "ResourceAlreadyExistsException", message: fmt.Sprintf("the specified log stream %q already exists", name)}
	}
	g.stream(name, s.time())
	return &api.CreateLogStreamOutput{}, nil
}

func (s *Store) describeLogGroups(in *api.DescribeLogGroupsInput) (*api.DescribeLogGroupsOutput, error) {
	out := &api.DescribeLogGroupsOutput{LogGroups: []types.LogGroup{}}
	limit, err := limited(in.Limit, 50, 50)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		if name <= aws.ToString(in.NextToken) || !strings.HasPrefix(name, aws.ToString(in.LogGroupNamePrefix)) ||
			!strings.Contains(strings.ToLower(name), strings.ToLower(aws.ToString(in.LogGroupNamePattern))) {
			continue
		}
		if len(out.LogGroups) == limit {
			out.NextToken = out.LogGroups[limit-1].LogGroupName
			break
		}
		g := s.groups[name]
		out.LogGroups = append(out.LogGroups, types.LogGroup{LogGroupName: aws.String(name), Arn: aws.String(logArn(name) + ":*"),
			LogGroupArn: aws.String(logArn(name)), CreationTime: milliseconds(g.created), MetricFilterCount: aws.Int32(int32(len(g.filters))),
			StoredBytes: aws.Int64(int64(g.bytes))})
	}
	return out, nil
}

func logArn(group string) string { return "arn:aws:logs:us-east-1:000000000000:log-group:" + group }

func (s *Store) describeLogStreams(in *api.DescribeLogStreamsInput) (*api.DescribeLogStreamsOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	limit, err := limited(in.Limit, 50, 50)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeLogStreamsOutput{LogStreams: []types.LogStream{}}
	for _, name := range slices.Sorted(maps.Keys(g.streams)) {
		if name <= aws.ToString(in.NextToken) || !strings.HasPrefix(name, aws.ToString(in.LogStreamNamePrefix)) {
			continue
		}
		if len(out.LogStreams) == limit {
			out.NextToken = out.LogStreams[limit-1].LogStreamName
			break
		}
		stream := g.streams[name]
		out.LogStreams = append(out.LogStreams, types.LogStream{LogStreamName: aws.String(name), Arn: aws.String(logArn(g.name) + ":log-stream:" + name),
			CreationTime: milliseconds(stream.created), FirstEventTimestamp: milliseconds(stream.first),
			LastEventTimestamp: milliseconds(stream.last), LastIngestionTime: milliseconds(stream.put)})
	}
	return out, nil
}

// putLogEvents takes what is neither too old nor too new, and says what it left.
func (s *Store) putLogEvents(in *api.PutLogEventsInput) (*api.PutLogEventsOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	stream, err := g.existingStream(in.LogStreamName)
	if err != nil {
		return nil, err
	}
	if n := len(in.LogEvents); n == 0 || n > maxEvents {
		return nil, invalid("logEvents has %d members: want 1 to %d", n, maxEvents)
	}
	bytes, events := 0, make([]LogEvent, len(in.LogEvents))
	for i, e := range in.LogEvents {
		switch {
		case e.Message == nil || *e.Message == "":
			return nil, invalid("logEvents[%d] has no message", i)
		case e.Timestamp == nil || *e.Timestamp < 0:
			return nil, invalid("logEvents[%d] has no timestamp, in milliseconds since 1970", i)
		case i > 0 && *e.Timestamp < *in.LogEvents[i-1].Timestamp:
			return nil, invalid("log events in a single PutLogEvents request must be in chronological order: logEvents[%d] is before the one before it", i)
		}
		bytes += len(*e.Message) + overhead
		events[i] = LogEvent{time.UnixMilli(*e.Timestamp).UTC(), *e.Message}
	}
	switch first, last := *in.LogEvents[0].Timestamp, *in.LogEvents[len(events)-1].Timestamp; {
	case bytes > maxEventBytes:
		return nil, invalid("the log events have %d bytes, with %d more for each event; at most %d are allowed", bytes, overhead, maxEventBytes)
	case last-first > longestBatch:
		return nil, invalid("the log events in a single PutLogEvents request cannot span more than 24 hours")
	}
	out := &api.PutLogEventsOutput{NextSequenceToken: aws.String(strconv.Itoa(g.last + len(events)))}
	from, to := 0, len(events)
	if s.now != nil {
		now := s.now()
		from, _ = slices.BinarySearchFunc(events, now.Add(-oldestEvent), func(e LogEvent, t time.Time) int { return e.Time.Compare(t) })
		to, _ = slices.BinarySearchFunc(events, now.Add(newestEvent+time.Millisecond), func(e LogEvent, t time.Time) int { return e.Time.Compare(t) })
		rejected := &types.RejectedLogEventsInfo{}
		if from > 0 {
			rejected.TooOldLogEventEndIndex = aws.Int32(int32(from))
			out.RejectedLogEventsInfo = rejected
		}
		if to < len(events) {
			rejected.TooNewLogEventStartIndex = aws.Int32(int32(to))
			out.RejectedLogEventsInfo = rejected
		}
	}
	g.put(stream, events[from:to], s.time())
	return out, nil
}

// getLogEvents reads one stream, forward or backward. A token names the event
// that it goes on from.
func (s *Store) getLogEvents(in *api.GetLogEventsInput) (*api.GetLogEventsOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	stream, err := g.existingStream(in.LogStreamName)
	if err != nil {
		return nil, err
	}
	limit, err := limited(in.Limit, maxEvents, maxEvents)
	if err != nil {
		return nil, err
	}
	found := g.find(moment(in.StartTime), moment(in.EndTime), func(e *logEvent) bool { return e.stream == stream.name })
	forward, at := aws.ToBool(in.StartFromHead), 0
	if in.NextToken != nil {
		way, id, _ := strings.Cut(*in.NextToken, "/")
		n, err := strconv.Atoi(id)
		if err != nil || way != "f" && way != "b" {
			return nil, invalid("the specified nextToken %q is invalid", short(*in.NextToken))
		}
		forward = way == "f"
		at = slices.IndexFunc(found, func(e logEvent) bool { return e.id == n })
		switch {
		case at < 0 && forward && n != 0: // nothing is known of it any more, or nothing came yet
			at = len(found)
		case forward:
			at++
		}
	} else if !forward {
		at = len(found)
	}
	if forward {
		found = found[at:min(at+limit, len(found))]
	} else {
		at = max(at, 0)
		found = found[max(0, at-limit):at]
	}
	out := &api.GetLogEventsOutput{Events: []types.OutputLogEvent{}, NextForwardToken: in.NextToken, NextBackwardToken: in.NextToken}
	if in.NextToken == nil {
		out.NextForwardToken, out.NextBackwardToken = aws.String("f/0"), aws.String("b/0")
	}
	for _, e := range found {
		out.Events = append(out.Events, types.OutputLogEvent{Message: aws.String(e.Message), Timestamp: milliseconds(e.Time), IngestionTime: milliseconds(e.put)})
	}
	if len(found) > 0 {
		out.NextForwardToken = aws.String("f/" + strconv.Itoa(found[len(found)-1].id))
		out.NextBackwardToken = aws.String("b/" + strconv.Itoa(found[0].id))
	}
	return out, nil
}

// filterLogEvents searches the streams of a group.
func (s *Store) filterLogEvents(in *api.FilterLogEventsInput) (*api.FilterLogEventsOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	pattern, err := ParsePattern(aws.ToString(in.FilterPattern))
	if err != nil {
		return nil, invalid("%v", err)
	}
	limit, err := limited(in.Limit, maxEvents, maxEvents)
	if err != nil {
		return nil, err
	}
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != nil {
		return nil, invalid("logStreamNames and logStreamNamePrefix: give one of them")
	}
	skip := 0
	if in.NextToken != nil {
		if skip, err = strconv.Atoi(*in.NextToken); err != nil || skip < 0 {
			return nil, invalid("the specified nextToken %q is invalid", short(*in.NextToken))
		}
	}
	found := g.find(moment(in.StartTime), moment(in.EndTime), func(e *logEvent) bool {
		return (len(in.LogStreamNames) == 0 || slices.Contains(in.LogStreamNames, e.stream)) &&
			strings.HasPrefix(e.stream, aws.ToString(in.LogStreamNamePrefix)) && pattern.Match(e.Message)
	})
	found = found[min(skip, len(found)):]
	out := &api.FilterLogEventsOutput{Events: []types.FilteredLogEvent{}}
	if len(found) > limit {
		found = found[:limit]
		out.NextToken = aws.String(strconv.Itoa(skip + limit))
	}
	for _, e := range found {
		out.Events = append(out.Events, types.FilteredLogEvent{EventId: aws.String(strconv.Itoa(e.id)), LogStreamName: aws.String(e.stream),
			Message: aws.String(e.Message), Timestamp: milliseconds(e.Time), IngestionTime: milliseconds(e.put)})
	}
	return out, nil
}

func (s *Store) putMetricFilter(in *api.PutMetricFilterInput) (*api.PutMetricFilterOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	switch {
	case in.FilterPattern == nil:
		return nil, invalid("filterPattern is required: an empty one matches every line")
	case len(in.MetricTransformations) != 1:
		return nil, invalid("metricTransformations has %d members: want exactly one", len(in.MetricTransformations))
	case in.ApplyOnTransformedLogs || in.FieldSelectionCriteria != nil || len(in.EmitSystemFieldDimensions) > 0:
		return nil, invalid("applyOnTransformedLogs, fieldSelectionCriteria and emitSystemFieldDimensions are not known to this CloudWatch")
	}
	t := in.MetricTransformations[0]
	return &api.PutMetricFilterOutput{}, s.putFilter(MetricFilter{Name: aws.ToString(in.FilterName), LogGroup: g.name, Pattern: *in.FilterPattern,
		Namespace: aws.ToString(t.MetricNamespace), Metric: aws.ToString(t.MetricName), Value: aws.ToString(t.MetricValue),
		Default: t.DefaultValue, Dimensions: t.Dimensions, Unit: string(t.Unit)})
}

func (s *Store) describeMetricFilters(in *api.DescribeMetricFiltersInput) (*api.DescribeMetricFiltersOutput, error) {
	names := slices.Sorted(maps.Keys(s.groups))
	if in.LogGroupName != nil {
		g, err := s.existingGroup(in.LogGroupName, nil)
		if err != nil {
			return nil, err
		}
		names = []string{g.name}
	}
	out := &api.DescribeMetricFiltersOutput{MetricFilters: []types.MetricFilter{}}
	for _, name := range names {
		for _, f := range s.groups[name].filters {
			if strings.HasPrefix(f.Name, aws.ToString(in.FilterNamePrefix)) && (in.MetricName == nil || *in.MetricName == f.Metric) &&
				(in.MetricNamespace == nil || *in.MetricNamespace == f.Namespace) {
				out.MetricFilters = append(out.MetricFilters, toFilter(f))
			}
		}
	}
	return out, nil
}

func toFilter(f *filter) types.MetricFilter {
	return types.MetricFilter{FilterName: aws.String(f.Name), LogGroupName: aws.String(f.LogGroup), FilterPattern: aws.String(f.Pattern),
		CreationTime: milliseconds(f.created),
		MetricTransformations: []types.MetricTransformation{{MetricName: aws.String(f.Metric), MetricNamespace: aws.String(f.Namespace),
			MetricValue: aws.String(f.Value), DefaultValue: f.Default, Dimensions: f.Dimensions, Unit: types.StandardUnit(f.Unit)}}}
}

func (s *Store) deleteMetricFilter(in *api.DeleteMetricFilterInput) (*api.DeleteMetricFilterOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	before := len(g.filters)
	g.filters = slices.DeleteFunc(g.filters, func(f *filter) bool { return f.Name == aws.ToString(in.FilterName) })
	if len(g.filters) == before {
		return nil, &apiError{code: "ResourceNotFoundException", message: fmt.Sprintf("the specified metric filter %q does not exist", aws.ToString(in.FilterName))}
	}
	return &api.DeleteMetricFilterOutput{}, nil
}

func (s *Store) testMetricFilter(in *api.TestMetricFilterInput) (*api.TestMetricFilterOutput, error) {
	pattern, err := ParsePattern(aws.ToString(in.FilterPattern))
	if err != nil {
		return nil, invalid("%v", err)
	}
	if n := len(in.LogEventMessages); n == 0 || n > 50 {
		return nil, invalid("logEventMessages has %d members: want 1 to 50", n)
	}
	out := &api.TestMetricFilterOutput{Matches: []types.MetricFilterMatchRecord{}}
	for i, message := range in.LogEventMessages {
		if pattern.Match(message) {
			out.Matches = append(out.Matches, types.MetricFilterMatchRecord{EventMessage: aws.String(message), EventNumber: int64(i + 1)})
		}
	}
	return out, nil
}

// limited is how many are asked for.
func limited(asked *int32, otherwise, most int) (int, error) {
	if asked == nil {
		return otherwise, nil
	}
	if *asked < 1 || int(*asked) > most {
		return 0, invalid("limit is %d: want 1 to %d", *asked, most)
	}
	return int(*asked), nil
}

// moment is a time of the Logs API; zero when it is not given.
func moment(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms)
}

func milliseconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return aws.Int64(t.UnixMilli())
}

package cloudwatch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// logsOperation is the operation of CloudWatch Logs with that name; nil: not known.
func logsOperation(name string) operation {
	switch name {
	case "CreateLogGroup":
		return call((*Store).createLogGroup)
	case "DeleteLogGroup":
		return call((*Store).deleteLogGroup)
	case "PutLogGroupDeletionProtection":
		return call((*Store).putLogGroupDeletionProtection)
	case "PutRetentionPolicy":
		return call((*Store).putRetentionPolicy)
	case "DeleteRetentionPolicy":
		return call((*Store).deleteRetentionPolicy)
	case "TagResource":
		return call((*Store).tagLogs)
	case "UntagResource":
		return call((*Store).untagLogs)
	case "ListTagsForResource":
		return call((*Store).listLogTags)
	case "TagLogGroup":
		return call((*Store).tagLogGroup)
	case "UntagLogGroup":
		return call((*Store).untagLogGroup)
	case "ListTagsLogGroup":
		return call((*Store).listTagsLogGroup)
	case "DeleteLogStream":
		return call((*Store).deleteLogStream)
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
	maxEvents     = 10_000         // in a call
	maxEventBytes = 1 << 20        // of a call, with overhead, and of an answer
	oldestEvent   = oldestDatum    // before now
	newestEvent   = newestDatum    // after now
	longestBatch  = 24 * time.Hour // from the first to the last event of a call
	maxStreamList = 100            // logStreamNames of FilterLogEvents
	maxSearch     = 100_000_000    // steps of matching for one answer of FilterLogEvents, about a second; ours
)

func (s *Store) existingGroup(name, identifier *string) (*logGroup, error) {
	switch {
	case name == nil && identifier == nil:
		return nil, invalid("the log group is missing: give logGroupName or logGroupIdentifier")
	case name != nil && identifier != nil:
		return nil, invalid("logGroupName and logGroupIdentifier: give one of them")
	}
	wanted := aws.ToString(name)
	if name == nil {
		wanted = groupOfArn(*identifier)
	}
	if err := checkGroup(wanted); err != nil {
		return nil, err
	}
	if g := s.groups[wanted]; g != nil {
		s.expire(g)
		return g, nil
	}
	return nil, notFound("log group", wanted)
}

func notFound(kind, name string) error {
	return &apiError{code: "ResourceNotFoundException", message: fmt.Sprintf("the specified %s %q does not exist", kind, name)}
}

// groupOfArn is the name of a group that is named by its ARN, with or without :*
// at the end; other names are themselves.
func groupOfArn(name string) string {
	if i := strings.LastIndex(name, ":log-group:"); i >= 0 {
		return strings.TrimSuffix(name[i+len(":log-group:"):], ":*")
	}
	return name
}

func (g *logGroup) existingStream(name *string) (*logStream, error) {
	if err := checkStream(aws.ToString(name)); err != nil {
		return nil, err
	}
	if stream := g.streams[*name]; stream != nil {
		return stream, nil
	}
	return nil, notFound("log stream", *name)
}

func (s *Store) createLogGroup(in *api.CreateLogGroupInput) (*api.CreateLogGroupOutput, error) {
	name := aws.ToString(in.LogGroupName)
	if err := checkGroup(name); err != nil {
		return nil, err
	}
	switch {
	case in.KmsKeyId != nil:
		return nil, invalid("kmsKeyId is not known to this CloudWatch: nothing is encrypted")
	case in.LogGroupClass != "" && !slices.Contains(in.LogGroupClass.Values(), in.LogGroupClass):
		return nil, invalid("the log group class %q is not known: want one of %q", short(string(in.LogGroupClass)), in.LogGroupClass.Values())
	case s.groups[name] != nil:
		return nil, &apiError{code: "ResourceAlreadyExistsException", message: fmt.Sprintf("the specified log group %q already exists", name)}
	}
	tags, err := tagged(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	g, err := s.group(name)
	if err != nil {
		return nil, err
	}
	g.class, g.tags, g.protected = cmp.Or(string(in.LogGroupClass), standardClass), tags, aws.ToBool(in.DeletionProtectionEnabled)
	return &api.CreateLogGroupOutput{}, nil
}

// deleteLogGroup deletes a group with its streams, events and filters.
func (s *Store) deleteLogGroup(in *api.DeleteLogGroupInput) (*api.DeleteLogGroupOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	switch {
	case err != nil:
		return nil, err
	case g.protected:
		return nil, &apiError{code: "ValidationException", message: fmt.Sprintf("the log group %q is protected from being deleted", g.name)}
	}
	s.logBytes -= g.bytes
	delete(s.groups, g.name)
	return &api.DeleteLogGroupOutput{}, nil
}

func (s *Store) putLogGroupDeletionProtection(in *api.PutLogGroupDeletionProtectionInput) (*api.PutLogGroupDeletionProtectionOutput, error) {
	g, err := s.existingGroup(nil, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	if in.DeletionProtectionEnabled == nil {
		return nil, invalid("deletionProtectionEnabled is required")
	}
	g.protected = *in.DeletionProtectionEnabled
	return &api.PutLogGroupDeletionProtectionOutput{}, nil
}

// retentions is how many days AWS keeps events, if not for ever.
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

func (s *Store) putRetentionPolicy(in *api.PutRetentionPolicyInput) (*api.PutRetentionPolicyOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	days := int(aws.ToInt32(in.RetentionInDays))
	if !slices.Contains(retentions, days) {
		return nil, invalid("retentionInDays is %d: want one of %d", days, retentions)
	}
	g.days = days
	return &api.PutRetentionPolicyOutput{}, nil
}

func (s *Store) deleteRetentionPolicy(in *api.DeleteRetentionPolicyInput) (*api.DeleteRetentionPolicyOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	g.days = 0
	return &api.DeleteRetentionPolicyOutput{}, nil
}

// Limits of AWS on the tags of a resource.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// tagged is tags with more of them; the older ones are not changed.
func tagged(tags, more map[string]string) (map[string]string, error) {
	all := maps.Clone(tags)
	for _, key := range slices.Sorted(maps.Keys(more)) {
		switch value := more[key]; {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey || strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, invalid("the tag key %q is wrong: want 1 to %d characters that do not begin with aws:", short(key), maxTagKey)
		case utf8.RuneCountInString(value) > maxTagValue:
			return nil, invalid("the value of the tag %q has more than %d characters", key, maxTagValue)
		case all == nil:
			all = map[string]string{}
			fallthrough
		default:
			all[key] = value
		}
	}
	if len(all) > maxTags {
		return nil, &apiError{code: "TooManyTagsException", message: fmt.Sprintf("a log group has at most %d tags, these would be %d", maxTags, len(all))}
	}
	return all, nil
}

// taggedGroup is the group of an ARN.
func (s *Store) taggedGroup(resource *string) (*logGroup, error) {
	if !strings.HasPrefix(aws.ToString(resource), "arn:") {
		return nil, invalid("resourceArn %q is no ARN of a log group: want %s", short(aws.ToString(resource)), logArn("NAME"))
	}
	return s.existingGroup(nil, resource)
}

func (s *Store) tagLogs(in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	g, err := s.taggedGroup(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags, err := tagged(g.tags, in.Tags)
	if err != nil {
		return nil, err
	}
	g.tags = tags
	return &api.TagResourceOutput{}, nil
}

func (s *Store) untagLogs(in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	g, err := s.taggedGroup(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(g.tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
	return &api.UntagResourceOutput{}, nil
}

func (s *Store) listLogTags(in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	g, err := s.taggedGroup(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &api.ListTagsForResourceOutput{Tags: tagsOf(g)}, nil
}

// The older forms of the three, by the name of the group.

func (s *Store) tagLogGroup(in *api.TagLogGroupInput) (*api.TagLogGroupOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	tags, err := tagged(g.tags, in.Tags)
	if err != nil {
		return nil, invalid("%v", err) // the only error that this call has for it
	}
	g.tags = tags
	return &api.TagLogGroupOutput{}, nil
}

func (s *Store) untagLogGroup(in *api.UntagLogGroupInput) (*api.UntagLogGroupOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(g.tags, func(key, _ string) bool { return slices.Contains(in.Tags, key) })
	return &api.UntagLogGroupOutput{}, nil
}

func (s *Store) listTagsLogGroup(in *api.ListTagsLogGroupInput) (*api.ListTagsLogGroupOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	return &api.ListTagsLogGroupOutput{Tags: tagsOf(g)}, nil
}

// tagsOf is never nil, so that it is written when it is empty.
func tagsOf(g *logGroup) map[string]string {
	tags := map[string]string{}
	maps.Copy(tags, g.tags)
	return tags
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
	_, err = g.stream(name, s.time())
	return &api.CreateLogStreamOutput{}, err
}

func (s *Store) deleteLogStream(in *api.DeleteLogStreamInput) (*api.DeleteLogStreamOutput, error) {
	g, err := s.existingGroup(in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	stream, err := g.existingStream(in.LogStreamName)
	if err != nil {
		return nil, err
	}
	delete(g.streams, stream.name)
	s.drop(g, func(e *logEvent) bool { return e.stream == stream.name })
	return &api.DeleteLogStreamOutput{}, nil
}

func (s *Store) describeLogGroups(in *api.DescribeLogGroupsInput) (*api.DescribeLogGroupsOutput, error) {
	out := &api.DescribeLogGroupsOutput{LogGroups: []types.LogGroup{}}
	limit, err := limited(in.Limit, 50, 50)
	switch {
	case err != nil:
		return nil, err
	case in.LogGroupNamePrefix != nil && in.LogGroupNamePattern != nil:
		return nil, invalid("logGroupNamePrefix and logGroupNamePattern: give one of them")
	case len(in.LogGroupIdentifiers) > 0 && (in.LogGroupNamePrefix != nil || in.LogGroupNamePattern != nil || in.LogGroupClass != "" || in.Limit != nil):
		return nil, invalid("logGroupIdentifiers is given: no other filter may be")
	}
	wanted := make([]string, len(in.LogGroupIdentifiers))
	for i, name := range in.LogGroupIdentifiers {
		wanted[i] = groupOfArn(name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		g := s.groups[name]
		if name <= aws.ToString(in.NextToken) || !strings.HasPrefix(name, aws.ToString(in.LogGroupNamePrefix)) ||
			!strings.Contains(name, aws.ToString(in.LogGroupNamePattern)) || in.LogGroupClass != "" && string(in.LogGroupClass) != g.class ||
			len(wanted) > 0 && !slices.Contains(wanted, name) {
			continue
		}
		if len(out.LogGroups) == limit {
			out.NextToken = out.LogGroups[limit-1].LogGroupName
			break
		}
		one := types.LogGroup{LogGroupName: aws.String(name), Arn: aws.String(logArn(name) + ":*"), CreationTime: milliseconds(g.created)}
		if in.LogGroupNamePattern == nil { // with it, AWS gives no more
			s.expire(g)
			one.LogGroupArn, one.LogGroupClass, one.RetentionInDays = aws.String(logArn(name)), types.LogGroupClass(g.class), whole(g.days)
			one.MetricFilterCount, one.StoredBytes = aws.Int32(int32(len(g.filters))), aws.Int64(int64(g.bytes))
			one.DeletionProtectionEnabled = aws.Bool(g.protected)
		}
		out.LogGroups = append(out.LogGroups, one)
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
	switch {
	case err != nil:
		return nil, err
	case in.OrderBy != "" && !slices.Contains(in.OrderBy.Values(), in.OrderBy):
		return nil, invalid("orderBy is %q: want one of %q", short(string(in.OrderBy)), in.OrderBy.Values())
	case in.OrderBy == types.OrderByLastEventTime && in.LogStreamNamePrefix != nil:
		return nil, invalid("streams cannot be ordered by LastEventTime and have a logStreamNamePrefix")
	}
	before := func(a, b *logStream) int { return strings.Compare(a.name, b.name) }
	if in.OrderBy == types.OrderByLastEventTime {
		before = func(a, b *logStream) int { return cmp.Or(a.last.Compare(b.last), strings.Compare(a.name, b.name)) }
	}
	if order := before; aws.ToBool(in.Descending) {
		before = func(a, b *logStream) int { return order(b, a) }
	}
	var found []*logStream
	for name, stream := range g.streams {
		if strings.HasPrefix(name, aws.ToString(in.LogStreamNamePrefix)) {
			found = append(found, stream)
		}
	}
	slices.SortFunc(found, before)
	if in.NextToken != nil { // the name of the last one that was given
		at := slices.IndexFunc(found, func(stream *logStream) bool { return stream.name == *in.NextToken })
		if at < 0 {
			return nil, invalid("the specified nextToken %q is invalid", short(*in.NextToken))
		}
		found = found[at+1:]
	}
	out := &api.DescribeLogStreamsOutput{LogStreams: []types.LogStream{}}
	if len(found) > limit {
		found = found[:limit]
		out.NextToken = aws.String(found[limit-1].name)
	}
	for _, stream := range found {
		out.LogStreams = append(out.LogStreams, types.LogStream{LogStreamName: aws.String(stream.name), Arn: aws.String(logArn(g.name) + ":log-stream:" + stream.name),
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
	if bytes > maxEventBytes {
		return nil, invalid("the log events have %d bytes, with %d more for each event; at most %d are allowed", bytes, overhead, maxEventBytes)
	}
	out := &api.PutLogEventsOutput{NextSequenceToken: aws.String(strconv.Itoa(g.last + len(events)))}
	from, to := 0, len(events)
	if s.now != nil {
		now, rejected := s.now(), &types.RejectedLogEventsInfo{}
		old, young := firstEvent(events, now.Add(-oldestEvent)), firstEvent(events, now.Add(newestEvent+time.Millisecond))
		if from, to = old, max(old, young); old > 0 {
			rejected.TooOldLogEventEndIndex = aws.Int32(int32(old))
		}
		if young < len(events) {
			rejected.TooNewLogEventStartIndex = aws.Int32(int32(young))
		}
		if g.days > 0 {
			if expired := firstEvent(events, now.AddDate(0, 0, -g.days)); expired > 0 {
				rejected.ExpiredLogEventEndIndex = aws.Int32(int32(expired))
				from, to = max(from, expired), max(to, expired)
			}
		}
		if *rejected != (types.RejectedLogEventsInfo{}) {
			out.RejectedLogEventsInfo = rejected
		}
	}
	if events = events[from:to]; len(events) > 0 && events[len(events)-1].Time.Sub(events[0].Time) > longestBatch {
		return nil, invalid("the log events in a single PutLogEvents request cannot span more than 24 hours")
	}
	s.putLines(g, stream, events)
	return out, nil
}

// firstEvent is the index of the first event that is not before t.
func firstEvent(events []LogEvent, t time.Time) int {
	i, _ := slices.BinarySearchFunc(events, t, func(e LogEvent, t time.Time) int { return e.Time.Compare(t) })
	return i
}

// A place is where a page of events goes on: beside the event with that time and
// id, whether it is still there or not.
type place struct {
	ms int64
	id int
}

func (p place) String() string { return strconv.FormatInt(p.ms, 10) + "-" + strconv.Itoa(p.id) }

func parsePlace(text string) (p place, ok bool) {
	ms, id, found := strings.Cut(text, "-")
	var err1, err2 error
	p.ms, err1 = strconv.ParseInt(ms, 10, 64)
	p.id, err2 = strconv.Atoi(id)
	return p, found && err1 == nil && err2 == nil
}

func placeOf(e *logEvent) place { return place{e.Time.UnixMilli(), e.id} }

// after is the index of the first of the events, which are by time, that lies
// behind the place.
func (p place) after(events []*logEvent) int {
	i, found := slices.BinarySearchFunc(events, p, func(e *logEvent, p place) int {
		return cmp.Or(cmp.Compare(e.Time.UnixMilli(), p.ms), cmp.Compare(e.id, p.id))
	})
	if found {
		i++
	}
	return i
}

// fit is how many of the events, from the first or from the last, an answer takes.
func fit(events []*logEvent, limit int, fromLast bool) int {
	bytes, n := 0, 0
	for ; n < min(limit, len(events)); n++ {
		e := events[n]
		if fromLast {
			e = events[len(events)-1-n]
		}
		if bytes += len(e.Message) + overhead; bytes > maxEventBytes && n > 0 {
			break
		}
	}
	return n
}

// getLogEvents reads one stream, forward or backward. A token, f/PLACE or
// b/PLACE, names the place that it goes on from; at either end of the stream the
// token that leads on is the one that was given, as in AWS.
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
	if err := checkRange(in.StartTime, in.EndTime); err != nil {
		return nil, err
	}
	found := g.find(func(e *logEvent) bool {
		ms := e.Time.UnixMilli()
		return e.stream == stream.name && (in.StartTime == nil || ms >= *in.StartTime) && (in.EndTime == nil || ms < *in.EndTime)
	})
	forward, from := aws.ToBool(in.StartFromHead), place{} // before the first
	if in.NextToken != nil {
		way, rest, _ := strings.Cut(*in.NextToken, "/")
		var ok bool
		if from, ok = parsePlace(rest); !ok || way != "f" && way != "b" {
			return nil, invalid("the specified nextToken %q is invalid", short(*in.NextToken))
		}
		forward = way == "f"
	} else if !forward && len(found) > 0 {
		from = placeOf(found[len(found)-1])
		from.id++
	}
	if forward {
		found = found[from.after(found):]
		found = found[:fit(found, limit, false)]
	} else {
		found = found[:place{from.ms, from.id - 1}.after(found)]
		found = found[len(found)-fit(found, limit, true):]
	}
	first, last := from, from // where the page begins and ends, when it is empty
	if len(found) > 0 {
		first, last = placeOf(found[0]), placeOf(found[len(found)-1])
	} else if forward {
		first.id++
	} else {
		last.id--
	}
	out := &api.GetLogEventsOutput{Events: []types.OutputLogEvent{}, NextForwardToken: aws.String("f/" + last.String()), NextBackwardToken: aws.String("b/" + first.String())}
	for _, e := range found {
		out.Events = append(out.Events, types.OutputLogEvent{Message: aws.String(e.Message), Timestamp: milliseconds(e.Time), IngestionTime: milliseconds(e.put)})
	}
	return out, nil
}

func checkRange(start, end *int64) error {
	switch {
	case start != nil && *start < 0 || end != nil && *end < 0:
		return invalid("startTime and endTime are milliseconds since 1970")
	case start != nil && end != nil && *start > *end:
		return invalid("startTime %d is after endTime %d", *start, *end)
	}
	return nil
}

// filterLogEvents searches the streams of a group. Its events are by time,
// whatever stream they are of; a token is the place that it goes on from.
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
	if err := checkRange(in.StartTime, in.EndTime); err != nil {
		return nil, err
	}
	switch {
	case len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != nil:
		return nil, invalid("logStreamNames and logStreamNamePrefix: give one of them")
	case len(in.LogStreamNames) > maxStreamList:
		return nil, invalid("logStreamNames has %d members; at most %d are allowed", len(in.LogStreamNames), maxStreamList)
	}
	for i := range in.LogStreamNames {
		if _, err := g.existingStream(&in.LogStreamNames[i]); err != nil {
			return nil, err
		}
	}
	var from place
	if in.NextToken != nil {
		var ok bool
		if from, ok = parsePlace(*in.NextToken); !ok {
			return nil, invalid("the specified nextToken %q is invalid", short(*in.NextToken))
		}
	}
	found := g.find(func(e *logEvent) bool {
		ms := e.Time.UnixMilli()
		return (in.StartTime == nil || ms >= *in.StartTime) && (in.EndTime == nil || ms <= *in.EndTime) && // unlike that of GetLogEvents, the end is in it
			(len(in.LogStreamNames) == 0 || slices.Contains(in.LogStreamNames, e.stream)) && strings.HasPrefix(e.stream, aws.ToString(in.LogStreamNamePrefix))
	})
	out := &api.FilterLogEventsOutput{Events: []types.FilteredLogEvent{}, SearchedLogStreams: []types.SearchedLogStream{}} // the latter empty, as in AWS
	bytes, steps := 0, 0
	for _, e := range found[from.after(found):] {
		if steps > maxSearch { // AWS, too, may answer with few or no events and a token
			out.NextToken = aws.String(from.String())
			break
		}
		l := line{text: e.Message}
		matched := pattern.matches(&l)
		if steps += l.steps; !matched {
			from = placeOf(e)
			continue
		}
		if bytes += len(e.Message) + overhead; len(out.Events) == limit || bytes > maxEventBytes && len(out.Events) > 0 {
			out.NextToken = aws.String(from.String())
			break
		}
		from = placeOf(e)
		out.Events = append(out.Events, types.FilteredLogEvent{EventId: aws.String(fmt.Sprintf("%056d", e.id)), LogStreamName: aws.String(e.stream),
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
	if t.Unit != "" && !slices.Contains(t.Unit.Values(), t.Unit) {
		return nil, invalid("the unit %q is not known: want one of %q", short(string(t.Unit)), t.Unit.Values())
	}
	return &api.PutMetricFilterOutput{}, s.putFilter(MetricFilter{Name: aws.ToString(in.FilterName), LogGroup: g.name, Pattern: *in.FilterPattern,
		Namespace: aws.ToString(t.MetricNamespace), Metric: aws.ToString(t.MetricName), Value: aws.ToString(t.MetricValue),
		Default: t.DefaultValue, Dimensions: t.Dimensions, Unit: string(t.Unit)})
}

func (s *Store) describeMetricFilters(in *api.DescribeMetricFiltersInput) (*api.DescribeMetricFiltersOutput, error) {
	limit, err := limited(in.Limit, 50, 50)
	switch {
	case err != nil:
		return nil, err
	case (in.MetricName == nil) != (in.MetricNamespace == nil):
		return nil, invalid("metricName and metricNamespace: give both of them, or none")
	}
	names := slices.Sorted(maps.Keys(s.groups))
	prefix := ""
	if in.LogGroupName != nil {
		g, err := s.existingGroup(in.LogGroupName, nil)
		if err != nil {
			return nil, err
		}
		names, prefix = []string{g.name}, aws.ToString(in.FilterNamePrefix) // which counts only then
	}
	after, afterGroup, _ := strings.Cut(aws.ToString(in.NextToken), ":") // neither name has a colon
	var found []*filter
	for _, name := range names {
		for _, f := range s.groups[name].filters {
			if strings.HasPrefix(f.Name, prefix) && (in.MetricName == nil || *in.MetricName == f.Metric && *in.MetricNamespace == f.Namespace) &&
				(f.Name > after || f.Name == after && f.LogGroup > afterGroup) {
				found = append(found, f)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *filter) int { return strings.Compare(a.Name, b.Name) })
	out := &api.DescribeMetricFiltersOutput{MetricFilters: []types.MetricFilter{}}
	if len(found) > limit {
		found = found[:limit]
		out.NextToken = aws.String(found[limit-1].Name + ":" + found[limit-1].LogGroup)
	}
	for _, f := range found {
		out.MetricFilters = append(out.MetricFilters, toFilter(f))
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
		return nil, notFound("metric filter", aws.ToString(in.FilterName))
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
			out.Matches = append(out.Matches, types.MetricFilterMatchRecord{EventMessage: aws.String(message), EventNumber: int64(i + 1),
				ExtractedValues: pattern.Extract(message)})
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

func milliseconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return aws.Int64(t.UnixMilli())
}

package cloudwatch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A LogEvent is one line of log.
type LogEvent struct {
	Time    time.Time
	Message string
}

// A logGroup is the newest lines of a log group, and the metric filters that
// look at every line that comes in.
type logGroup struct {
	name      string
	created   time.Time
	class     string // STANDARD, or another of AWS's
	days      int    // of retention; 0: lines do not expire
	protected bool   // from being deleted
	tags      map[string]string
	streams   map[string]*logStream
	filters   []*filter // by name
	events    []logEvent
	bytes     int
	last      int // id of the newest event
}

type logStream struct {
	name        string
	created     time.Time
	first, last time.Time // of its events; zero: none
	put         time.Time // when events last came in
}

type logEvent struct {
	LogEvent
	id     int // from 1, in order of arrival
	stream string
	put    time.Time
}

// compare orders events by time, those of the same time as they came.
func (e *logEvent) compare(o *logEvent) int {
	return cmp.Or(e.Time.Compare(o.Time), cmp.Compare(e.id, o.id))
}

// Limits on what is kept of logs, so that a server may run for long. Metric
// filters have seen the lines that are dropped, the oldest first. Where a number
// is reached, what would be one more is refused with LimitExceededException.
const (
	maxLogBytes   = 8 << 20  // of a group, with overhead
	maxAllLogs    = 64 << 20 // of all groups; then of each a fair share
	maxLogGroups  = 10_000
	maxLogStreams = 10_000 // of a group
)

// overhead is what an event counts beside its message, in bytes, as in AWS.
const overhead = 26

// standardClass is the class of a group that names none.
const standardClass = "STANDARD"

// CreateLogGroup makes a log group. It is no error that it exists.
func (s *Store) CreateLogGroup(group string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkGroup(group); err != nil {
		return err
	}
	_, err := s.group(group)
	return err
}

// PutLogEvents puts lines into a stream of a group, both made when new, and has
// the group's metric filters look at them. The order does not matter: each line
// counts for the minute of its time.
func (s *Store) PutLogEvents(group, stream string, events []LogEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkGroup(group); err != nil {
		return err
	}
	if err := checkStream(stream); err != nil {
		return err
	}
	g, err := s.group(group)
	if err != nil {
		return err
	}
	to, err := g.stream(stream, s.time())
	if err != nil {
		return err
	}
	s.putLines(g, to, events)
	return nil
}

// group is the log group of that name, made when new.
func (s *Store) group(name string) (*logGroup, error) {
	g := s.groups[name]
	if g != nil {
		return g, nil
	}
	if len(s.groups) == maxLogGroups {
		return nil, limitExceeded("there are %d log groups already", maxLogGroups)
	}
	g = &logGroup{name: name, created: s.time(), class: standardClass, streams: map[string]*logStream{}}
	s.groups[name] = g
	return g, nil
}

func (g *logGroup) stream(name string, now time.Time) (*logStream, error) {
	stream := g.streams[name]
	if stream != nil {
		return stream, nil
	}
	if len(g.streams) == maxLogStreams {
		return nil, limitExceeded("the log group %q has %d log streams already", g.name, maxLogStreams)
	}
	stream = &logStream{name: name, created: now}
	g.streams[name] = stream
	return stream, nil
}

// limitExceeded says that something would be one too many.
func limitExceeded(format string, args ...any) error {
	return &apiError{code: "LimitExceededException", message: fmt.Sprintf(format, args...)}
}

// putLines puts lines into a stream and shows them to the group's filters.
func (s *Store) putLines(g *logGroup, stream *logStream, events []LogEvent) {
	before, now := g.bytes, s.time()
	stream.put = now
	for _, e := range events {
		if stream.first.IsZero() || e.Time.Before(stream.first) {
			stream.first = e.Time
		}
		if e.Time.After(stream.last) {
			stream.last = e.Time
		}
		l := line{text: e.Message}
		for _, f := range g.filters {
			f.look(&l, e.Time)
		}
		g.last++
		g.events = append(g.events, logEvent{e, g.last, stream.name, now})
		g.bytes += len(e.Message) + overhead
	}
	if g.bytes > maxLogBytes {
		g.trim(maxLogBytes / 2)
	}
	if s.logBytes += g.bytes - before; s.logBytes > maxAllLogs {
		s.trimLogs()
	}
}

// trimLogs makes room where there are many groups: the larger ones keep as much
// as makes all of them together small enough.
func (s *Store) trimLogs() {
	share := maxAllLogs / 2 / len(s.groups)
	for _, g := range s.groups {
		before := g.bytes
		g.trim(share)
		s.logBytes += g.bytes - before
	}
}

// trim drops the events that came first until at most that many bytes are left.
func (g *logGroup) trim(most int) {
	old := 0
	for ; g.bytes > most; old++ {
		g.bytes -= len(g.events[old].Message) + overhead
	}
	g.events = slices.Delete(g.events, 0, old)
}

// drop drops the events that gone tells.
func (s *Store) drop(g *logGroup, gone func(*logEvent) bool) {
	before := g.bytes
	g.events = slices.DeleteFunc(g.events, func(e logEvent) bool {
		if !gone(&e) {
			return false
		}
		g.bytes -= len(e.Message) + overhead
		return true
	})
	s.logBytes += g.bytes - before
}

// expire drops what is older than the group's retention. AWS takes up to three
// days for it, here it is at once.
func (s *Store) expire(g *logGroup) {
	if g.days == 0 || s.now == nil {
		return
	}
	oldest := s.now().AddDate(0, 0, -g.days)
	if slices.ContainsFunc(g.events, func(e logEvent) bool { return e.Time.Before(oldest) }) {
		s.drop(g, func(e *logEvent) bool { return e.Time.Before(oldest) })
	}
}

// find gives the events that keep accepts, by time.
func (g *logGroup) find(keep func(*logEvent) bool) []*logEvent {
	var found []*logEvent
	for i := range g.events {
		if e := &g.events[i]; keep(e) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, (*logEvent).compare)
	return found
}

func checkGroup(name string) error {
	const allowed = "letters, digits and . - _ / #"
	if name == "" || len(name) > 512 || !only(name, ".-_/#") {
		return invalid("the log group name %q is wrong: want 1 to 512 characters of %s", short(name), allowed)
	}
	if strings.HasPrefix(name, "aws/") {
		return invalid("the log group name %q is wrong: names that begin with aws/ are AWS's own", short(name))
	}
	return nil
}

func checkStream(name string) error {
	if name == "" || len(name) > 512 || slices.ContainsFunc([]rune(name), func(c rune) bool { return c == ':' || c == '*' }) {
		return invalid("the log stream name %q is wrong: want 1 to 512 characters, without : and *", short(name))
	}
	return nil
}

// only says whether text is ASCII letters, digits and the others given.
func only(text, others string) bool {
	for _, c := range text {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !slices.Contains([]rune(others), c) {
			return false
		}
	}
	return true
}

// short is text as it can be shown in a message.
func short(text string) string {
	if len(text) > 100 {
		return text[:100] + "..."
	}
	return text
}

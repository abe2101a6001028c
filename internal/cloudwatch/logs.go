package cloudwatch

import (
	"slices"
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
	name    string
	created time.Time
	streams map[string]*logStream
	filters []*filter // by name
	events  []logEvent
	bytes   int
	last    int // id of the newest event
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

// maxLogBytes is how much of a group's lines is kept to be read again. Metric
// filters have seen them all.
const maxLogBytes = 8 << 20

// overhead is what an event counts beside its message, in bytes, as in AWS.
const overhead = 26

// CreateLogGroup makes a log group. It is no error that it exists.
func (s *Store) CreateLogGroup(group string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkGroup(group); err != nil {
		return err
	}
	s.group(group)
	return nil
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
	g := s.group(group)
	g.put(g.stream(stream, s.time()), events, s.time())
	return nil
}

func (s *Store) group(name string) *logGroup {
	g := s.groups[name]
	if g == nil {
		g = &logGroup{name: name, created: s.time(), streams: map[string]*logStream{}}
		s.groups[name] = g
	}
	return g
}

func (g *logGroup) stream(name string, now time.Time) *logStream {
	stream := g.streams[name]
	if stream == nil {
		stream = &logStream{name: name, created: now}
		g.streams[name] = stream
	}
	return stream
}

func (g *logGroup) put(stream *logStream, events []LogEvent, now time.Time) {
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
	if g.bytes <= maxLogBytes {
		return
	}
	old := 0
	for ; g.bytes > maxLogBytes/2; old++ {
		g.bytes -= len(g.events[old].Message) + overhead
	}
	g.events = slices.Delete(g.events, 0, old)
}

// select gives the events in [from, to) that keep accepts, by time.
func (g *logGroup) find(from, to time.Time, keep func(*logEvent) bool) []logEvent {
	var found []logEvent
	for i := range g.events {
		e := &g.events[i]
		if (from.IsZero() || !e.Time.Before(from)) && (to.IsZero() || e.Time.Before(to)) && keep(e) {
			found = append(found, *e)
		}
	}
	slices.SortStableFunc(found, func(a, b logEvent) int { return a.Time.Compare(b.Time) })
	return found
}

func checkGroup(name string) error {
	const allowed = "letters, digits and . - _ / #"
	if name == "" || len(name) > 512 || !only(name, ".-_/#") {
		return invalid("the log group name %q is wrong: want 1 to 512 characters of %s", short(name), allowed)
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

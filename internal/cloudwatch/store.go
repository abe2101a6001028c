// Package cloudwatch is a CloudWatch in this process, on its stage's clock.
//
// A Store holds metrics (Series), alarms, log groups and the topics of SNS that
// alarms notify (CreateTopic, Subscribe). Metrics come in through
// Series.Add, through PutMetricData over the wire, and from log lines by metric
// filters (a MetricFilter with its Pattern). Evaluate judges the alarms that are
// due, by the rules of package alarm, and returns the Transitions; the stage
// calls it at every instant that NextEvaluation names. Handler is the HTTP front
// that the AWS SDKs talk to, Serve puts it on a port of this machine.
//
// A Store never reads a clock: data goes by its own time, and what has none gets
// the time that Options.Now gives. The same calls make the same transitions.
package cloudwatch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rehearsal/internal/alarm"
)

// Options of a Store. All may be nil.
type Options struct {
	// Now is the calendar time of the stage. It dates what comes without a time:
	// a datum without Timestamp (refused when Now is nil), and what changes
	// between two evaluations.
	Now func() time.Time
	// Changed is called with every change of an alarm's state, in order, by the
	// goroutine that caused it; it may call the Store.
	Changed func(Transition)
	// Acted is called, likewise, when an alarm's actions are carried out: at its
	// change of state, or later where a suppressor held them back.
	Acted func(Action)
	// SNS is how alarms' notifications, and other messages, are delivered.
	SNS SNSOptions
	// Memory is how many bytes the metrics' data may take, about; 0: 1 GiB. What
	// does not fit is not kept as long, see keepData.
	Memory int
}

// A Store is the metrics, the alarms and the logs of one stage. It is safe for
// concurrent use.
type Store struct {
	now     func() time.Time
	changed func(Transition)
	acted   func(Action)

	mu        sync.Mutex
	series    map[string]*Series // the heads, by key
	retention int64              // seconds of data that the alarms need, behind a series' newest
	keep      int64              // seconds of data that are kept: more, as far as memory reaches
	used      int                // bytes of the metrics' data, about
	budget    int                // that they may take
	patience  int                // bytes at which room is made next
	newest    int64              // start of the newest data
	swept     int64              // newest when old data was looked for last
	alarms    []*watch           // in the order they were put
	watches   map[string]*watch  // by name
	family    family             // the composite alarms
	history   []record           // oldest first
	groups    map[string]*logGroup
	logBytes  int // of all groups
	sns       *sns
	scratch   alarm.Scratch
	window    alarm.Distribution // several buckets put together
	one       alarm.Distribution // one of them
	packing   []byte             // memory to pack in
	opened    []bucket           // of a block that is changed
	last      struct {           // block that was looked at
		data    []byte
		buckets []bucket
	}

	tags       resourceTags
	dashboards map[string]*dashboard // by name
	keyed      []byte                // for the key of one metric
}

// How long data is kept, in seconds behind the newest of its metric: as long as
// AWS keeps it, minutes for 15 days and seconds for 3 hours, after which they are
// added up to minutes. A metric that gets no data any more goes after 15 days.
//
// When all metrics together take more than Options.Memory, the older half is
// dropped of all of them, and so on, down to what the alarms on duty look at and
// 3 hours. When that is still too much, PutMetricData is throttled until there is
// room again, and what comes in by other ways is taken.
const (
	keepData    = 15 * 24 * 60 * 60
	keepSeconds = 3 * 60 * 60
	sweepEvery  = 60 * 60
	memory      = 1 << 30 // bytes
)

// margin is how much data is kept beyond what the longest alarm looks at, in
// seconds: as long as CloudWatch keeps high-resolution data.
const margin = 3 * 60 * 60

// NewStore makes an empty store.
func NewStore(o Options) *Store {
	return &Store{now: o.Now, changed: o.Changed, acted: o.Acted, retention: margin, keep: keepData,
		budget: cmp.Or(o.Memory, memory), patience: cmp.Or(o.Memory, memory),
		series: map[string]*Series{}, watches: map[string]*watch{}, groups: map[string]*logGroup{}, sns: newSNS(o.SNS)}
}

// time is the stage's time, or the time of the newest evaluation.
func (s *Store) time() time.Time {
	if s.now != nil {
		return s.now().UTC()
	}
	newest := int64(0)
	for _, w := range s.alarms {
		newest = max(newest, w.due-w.every)
	}
	return time.Unix(newest, 0).UTC()
}

// Series is the metric with that namespace, name and dimensions (in any order), of the
// unit None, made when new. Keep it: finding it costs more than adding to it.
func (s *Store) Series(namespace, metric string, dims ...alarm.Dimension) *Series {
	return s.SeriesIn(noUnit, namespace, metric, dims...)
}

// SeriesIn is Series for a unit of CloudWatch, such as Count: samples of other units
// are kept apart.
func (s *Store) SeriesIn(unit, namespace, metric string, dims ...alarm.Dimension) *Series {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(alarm.Metric{Namespace: namespace, MetricName: metric, Dimensions: dims}).of(unit)
	h.held = true
	return h
}

// advance is told that a series is about to get data that is newer than what it
// has, and sees to the memory.
func (s *Store) advance(h *Series, start int64) {
	if s.newest = max(s.newest, start); s.swept == 0 {
		s.swept = s.newest
	}
	if s.newest >= s.swept+sweepEvery {
		s.sweep(h)
	}
	if s.used <= s.patience {
		return
	}
	for s.used > s.budget-s.budget/8 && s.keep > s.retention {
		s.keep = max(s.keep/2, s.retention)
		s.sweep(h)
	}
	// Where that does not help, it will not help again with the next datum.
	s.patience = max(s.budget, s.used+s.budget/16)
}

// sweep drops the data that is too old, and the metrics that have no other, except
// for one.
func (s *Store) sweep(except *Series) {
	s.swept = s.newest
	for k, h := range s.series {
		if len(h.others) > 0 {
			h.others = slices.DeleteFunc(h.others, func(o *Series) bool { return s.outdated(o, except) })
		}
		if s.outdated(h, except) {
			delete(s.series, k)
		}
	}
	if s.used <= s.budget-s.budget/8 {
		s.patience = s.budget
	}
}

// outdated drops what is too old of one series, and says whether that was all of it
// and nobody needs it; then its memory is no longer counted. Without any data it is what
// an alarm looked at that was deleted.
func (s *Store) outdated(h, except *Series) bool {
	newest, ok := h.newest()
	if ok {
		h.forget(newest)
	}
	if h == except || h.held || len(h.head.watched) > 0 || len(h.others) > 0 || ok && newest >= s.newest-s.keep {
		return false
	}
	s.used -= h.size
	return true
}

// room says whether metrics may take more data from clients.
func (s *Store) room() error {
	if s.used <= s.budget+s.budget/16 {
		return nil
	}
	return &apiError{code: "ThrottlingException", query: "Throttling", message: fmt.Sprintf("Rate exceeded: the data of %d metrics takes more than %d bytes, "+
		"and what alarms look at is among it: publish fewer metrics, or give this CloudWatch more memory", len(s.series), s.budget)}
}

// Points is what there is of a metric in n periods, the first of which begins at from.
// Both are whole seconds.
func (s *Store) Points(in alarm.Input, period time.Duration, from time.Time, n int) []alarm.Point {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, points := s.look(in.Metric), make([]alarm.Point, n)
	at, step := from.Unix(), int64(period/time.Second)
	for i := range points {
		points[i] = h.pointOf(in.Unit, in.Statistic, at, at+step)
		at += step
	}
	return points
}

// find is the head of m's series, made when new.
func (s *Store) find(m alarm.Metric) *Series {
	m, k := sorted(m)
	h := s.series[k]
	if h == nil {
		h = &Series{store: s, metric: m}
		h.head = h
		s.series[k] = h
		h.grew(seriesSize + 2*len(k))
	}
	return h
}

// look is the head of m's series to be read; an empty one when there is none.
func (s *Store) look(m alarm.Metric) *Series {
	m, k := sorted(m)
	if h := s.series[k]; h != nil {
		return h
	}
	h := &Series{store: s, metric: m}
	h.head = h
	return h
}

// sorted is m with its dimensions by name, and its key.
func sorted(m alarm.Metric) (alarm.Metric, string) {
	m.Dimensions = slices.Clone(m.Dimensions)
	byName(m.Dimensions)
	return m, key(m)
}

func byName(dims []alarm.Dimension) {
	slices.SortFunc(dims, func(a, b alarm.Dimension) int { return strings.Compare(a.Name, b.Name) })
}

// key is a text that only this metric has; its dimensions are sorted.
func key(m alarm.Metric) string { return string(appendKey(nil, m)) }

// appendKey appends the key of m.
func appendKey(b []byte, m alarm.Metric) []byte {
	n := len(m.Namespace) + len(m.MetricName) + 1
	for _, d := range m.Dimensions {
		n += len(d.Name) + len(d.Value) + 2
	}
	b = slices.Grow(b, n)
	b = append(append(append(b, m.Namespace...), 0), m.MetricName...)
	for _, d := range m.Dimensions {
		b = append(append(b, 0), d.Name...)
		b = append(append(b, 0), d.Value...)
	}
	return b
}

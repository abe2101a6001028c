// Package cloudwatch is a CloudWatch in this process, on its stage's clock.
//
// A Store holds metrics (Series), alarms and log groups. Metrics come in through
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
}

// A Store is the metrics, the alarms and the logs of one stage. It is safe for
// concurrent use.
type Store struct {
	now     func() time.Time
	changed func(Transition)
	acted   func(Action)

	mu        sync.Mutex
	series    map[string]*Series // by key
	retention int64              // seconds of data kept behind a series' newest
	alarms    []*watch           // in the order they were put
	watches   map[string]*watch  // by name
	family    family             // the composite alarms
	history   []record           // oldest first
	groups    map[string]*logGroup
	logBytes  int // of all groups
	sns       *sns
	scratch   alarm.Scratch
	window    alarm.Distribution // several buckets put together

	tags       resourceTags
	dashboards map[string]*dashboard // by name
	keyed      []byte                // for the key of one metric
}

// margin is how much data is kept beyond what the longest alarm looks at, in
// seconds: as long as CloudWatch keeps high-resolution data.
const margin = 3 * 60 * 60

// NewStore makes an empty store.
func NewStore(o Options) *Store {
	return &Store{now: o.Now, changed: o.Changed, acted: o.Acted, retention: margin,
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

// Series is the metric with that namespace, name and dimensions (in any order),
// made when new. Keep it: finding it costs more than adding to it.
func (s *Store) Series(namespace, metric string, dims ...alarm.Dimension) *Series {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(alarm.Metric{Namespace: namespace, MetricName: metric, Dimensions: dims})
}

// find is the series of m, made when new.
func (s *Store) find(m alarm.Metric) *Series {
	m, k := sorted(m)
	h := s.series[k]
	if h == nil {
		h = &Series{store: s, metric: m}
		s.series[k] = h
	}
	return h
}

// look is the series of m to be read; an empty one when there is none.
func (s *Store) look(m alarm.Metric) *Series {
	m, k := sorted(m)
	if h := s.series[k]; h != nil {
		return h
	}
	return &Series{store: s, metric: m}
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

package cloudwatch

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rehearsal/internal/alarm"
)

// A MetricFilter turns the lines of a log group that match a pattern into a
// metric, as `aws logs put-metric-filter`.
type MetricFilter struct {
	Name, LogGroup string
	Pattern        string // see ParsePattern
	Namespace      string
	Metric         string
	// Value is what one line adds: a number, or where it is found in the line,
	// as $.bytes in a line of JSON or $bytes in a line of words. A line where it
	// is no number adds nothing.
	Value string
	// Default is published once for each minute in which lines came and none of
	// them matched. nil: nothing is.
	Default *float64
	// Dimensions has selectors by name. A line without one of them adds nothing.
	Dimensions map[string]string
	Unit       string // of the metric; empty: None
}

// Limits of AWS.
const (
	maxFilters          = 100 // of a log group
	maxRegexFilters     = 5   // of a log group, with regular expressions
	maxFilterDimensions = 3
	// maxFilterSeries is how many metrics one filter makes of different values of
	// its dimensions. AWS may disable a filter that makes 1,000 within an hour;
	// here it makes no more.
	maxFilterSeries = 1000
)

// A filter is a MetricFilter at work.
type filter struct {
	MetricFilter
	created time.Time
	pattern *Pattern
	value   extractor
	dims    []extracted
	store   *Store
	series  *Series
	made    map[string]*Series // by the values of the dimensions
	minutes map[int64]bool     // with lines, not settled yet: whether one matched
}

type extracted struct {
	name string
	from extractor
}

// An extractor gets a text out of a line.
type extractor func(*line) (string, bool)

// PutMetricFilter checks the filter and puts it to work on the lines that come
// from now on. One of the same name and group is replaced. The group is made
// when new.
func (s *Store) PutMetricFilter(m MetricFilter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putFilter(m)
}

func (s *Store) putFilter(m MetricFilter) error {
	f, err := s.newFilter(m)
	if err != nil {
		return err
	}
	g, err := s.group(m.LogGroup)
	if err != nil {
		return err
	}
	if g.class != standardClass {
		return &apiError{code: "InvalidOperationException", message: fmt.Sprintf("log groups of the class %s have no metric filters", g.class)}
	}
	regexes := 0
	for _, other := range g.filters {
		if other.Name != m.Name && other.pattern.regexes > 0 {
			regexes++
		}
	}
	if f.pattern.regexes > 0 && regexes >= maxRegexFilters {
		return limitExceeded("a log group has at most %d metric filters with regular expressions", maxRegexFilters)
	}
	i, found := slices.BinarySearchFunc(g.filters, m.Name, func(f *filter, name string) int { return cmp.Compare(f.Name, name) })
	switch {
	case found:
		g.filters[i] = f
	case len(g.filters) == maxFilters:
		return limitExceeded("a log group has at most %d metric filters", maxFilters)
	default:
		g.filters = slices.Insert(g.filters, i, f)
	}
	return nil
}

func (s *Store) newFilter(m MetricFilter) (*filter, error) {
	m.Dimensions = maps.Clone(m.Dimensions)
	if err := checkGroup(m.LogGroup); err != nil {
		return nil, err
	}
	switch {
	case m.Name == "" || len(m.Name) > 512 || strings.ContainsAny(m.Name, ":*"):
		return nil, invalid("the metric filter name %q is wrong: want 1 to 512 characters, without : and *", short(m.Name))
	case m.Metric == "" || len(m.Metric) > 255 || strings.ContainsAny(m.Metric, ":*$"):
		return nil, invalid("metric filter %q: the metric name %q is wrong: want 1 to 255 characters, without : * and $", m.Name, short(m.Metric))
	case m.Namespace == "" || len(m.Namespace) > 255 || strings.ContainsAny(m.Namespace, ":*$"):
		return nil, invalid("metric filter %q: the namespace %q is wrong: want 1 to 255 characters, without : * and $", m.Name, short(m.Namespace))
	case len(m.Dimensions) > maxFilterDimensions:
		return nil, invalid("metric filter %q has %d dimensions; at most %d are allowed", m.Name, len(m.Dimensions), maxFilterDimensions)
	case m.Default != nil && len(m.Dimensions) > 0:
		return nil, invalid("metric filter %q has a default value and dimensions: give one of them", m.Name)
	case m.Default != nil && (math.IsNaN(*m.Default) || math.IsInf(*m.Default, 0)):
		return nil, invalid("metric filter %q: the default value is no finite number", m.Name)
	}
	pattern, err := ParsePattern(m.Pattern)
	if err != nil {
		return nil, invalid("metric filter %q: %v", m.Name, err)
	}
	f := &filter{MetricFilter: m, created: s.time(), pattern: pattern, store: s, made: map[string]*Series{}, minutes: map[int64]bool{}}
	if f.value, err = pattern.extractor(m.Value, true); err != nil {
		return nil, invalid("metric filter %q: the metric value %q: %v", m.Name, short(m.Value), err)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Dimensions)) {
		from, err := pattern.extractor(m.Dimensions[name], false)
		if err != nil {
			return nil, invalid("metric filter %q: the dimension %q: %v", m.Name, short(name), err)
		}
		f.dims = append(f.dims, extracted{name, from})
	}
	if len(f.dims) == 0 {
		f.series = s.find(alarm.Metric{Namespace: m.Namespace, MetricName: m.Metric}).of(f.unit())
		f.series.held = true
	}
	return f, nil
}

// extractor reads a metric value or a dimension: a constant number, if that is
// allowed, $.selector, or $column.
func (p *Pattern) extractor(text string, constant bool) (extractor, error) {
	switch {
	case p.columns != nil && strings.HasPrefix(text, "$") && slices.Contains(p.columns.names, text[1:]):
		c, name := p.columns, text[1:]
		return func(l *line) (string, bool) {
			words, ok := c.split(l)
			if !ok {
				return "", false
			}
			for _, v := range c.find(l, words, name) {
				return written(v)
			}
			return "", false
		}, nil
	case p.columns != nil && strings.HasPrefix(text, "$"):
		return nil, invalid("the pattern has no column of that name")
	case strings.HasPrefix(text, "$"):
		s, err := parseSelector(text)
		if err != nil {
			return nil, err
		}
		if s.wildcards() > 0 {
			return nil, invalid("a wildcard gives no single value")
		}
		return func(l *line) (string, bool) {
			for _, v := range l.find(s) {
				return written(v)
			}
			return "", false
		}, nil
	}
	if n, err := strconv.ParseFloat(text, 64); !constant || err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return nil, invalid("want a number, or where it is in the line, such as $.bytes or $bytes")
	}
	return func(*line) (string, bool) { return text, true }, nil
}

// look feeds the metric with one line.
func (f *filter) look(l *line, at time.Time) {
	matched := f.pattern.matches(l)
	if f.Default != nil {
		minute := floor(at.Unix(), standard)
		f.minutes[minute] = f.minutes[minute] || matched
		if len(f.minutes) > margin/standard {
			f.settle(minute - margin/2)
		}
	}
	if !matched {
		return
	}
	text, ok := f.value(l)
	value, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil {
		return
	}
	h := f.series
	if h == nil {
		dims := make([]alarm.Dimension, 0, len(f.dims))
		for _, d := range f.dims {
			text, ok := d.from(l)
			if !ok || text == "" {
				return
			}
			dims = append(dims, alarm.Dimension{Name: d.name, Value: text})
		}
		if h = f.of(dims); h == nil {
			return
		}
	}
	h.addValue(at.Unix(), standard, value, 1)
}

// of is the series with those dimensions; nil when there are too many.
func (f *filter) of(dims []alarm.Dimension) *Series {
	m := alarm.Metric{Namespace: f.Namespace, MetricName: f.Metric, Dimensions: dims}
	k := key(m) // dims are by name
	h := f.made[k]
	if h == nil && len(f.made) < maxFilterSeries {
		h = f.store.find(m).of(f.unit())
		h.held = true
		f.made[k] = h
	}
	return h
}

// unit is the unit of the filter's metric.
func (f *filter) unit() string { return cmp.Or(f.Unit, noUnit) }

// settle publishes the default for the minutes that have ended by now and in
// which no line matched.
func (f *filter) settle(now int64) {
	for _, minute := range slices.Sorted(maps.Keys(f.minutes)) {
		if minute+standard > now {
			break
		}
		if !f.minutes[minute] {
			f.series.addValue(minute, standard, *f.Default, 1)
		}
		delete(f.minutes, minute)
	}
}

func (s *Store) settleFilters(now int64) {
	if len(s.groups) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		for _, f := range s.groups[name].filters {
			f.settle(now)
		}
	}
}

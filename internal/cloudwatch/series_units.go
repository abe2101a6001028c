package cloudwatch

import (
	"iter"
	"slices"
	"strings"

	"rehearsal/internal/alarm"
)

// noUnit is the unit of what is published without one.
const noUnit = "None"

// of is the series of h's metric that has that unit, made when new; h is the metric's
// head.
func (h *Series) of(unit string) *Series {
	switch h.unit {
	case unit:
		return h
	case "":
		h.unit = strings.Clone(unit) // it may be a part of a call's body
		return h
	}
	i, found := slices.BinarySearchFunc(h.others, unit, func(o *Series, unit string) int { return strings.Compare(o.unit, unit) })
	if !found {
		other := &Series{store: h.store, metric: h.metric, unit: strings.Clone(unit), head: h}
		h.others = slices.Insert(h.others, i, other)
		other.grew(seriesSize)
	}
	return h.others[i]
}

// having is the series of h's metric whose samples have that unit; empty: every one.
func (h *Series) having(unit string) iter.Seq[*Series] {
	return func(yield func(*Series) bool) {
		if (unit == "" || unit == h.unit) && !yield(h) {
			return
		}
		for _, o := range h.others {
			if (unit == "" || unit == o.unit) && !yield(o) {
				return
			}
		}
	}
}

// fedWith says whether the metric ever had data of that unit; empty: any.
func (h *Series) fedWith(unit string) bool {
	for o := range h.having(unit) {
		if o.fed {
			return true
		}
	}
	return false
}

// newestOf is when the metric's newest data begins, whatever its unit; it is not ok
// when there is none.
func (h *Series) newestOf() (start int64, ok bool) {
	for o := range h.having("") {
		if newest, has := o.newest(); has && (!ok || newest > start) {
			start, ok = newest, true
		}
	}
	return start, ok
}

// nextOf is next for the data of that unit; empty: of all.
func (h *Series) nextOf(unit string, second int64) (start int64, ok bool) {
	for o := range h.having(unit) {
		if next, has := o.next(second); has && (!ok || next < start) {
			start, ok = next, true
		}
	}
	return start, ok
}

// pointOf sums up what lies in [from, to), in Unix seconds, and has that unit; empty:
// samples of all units together. AWS says that an alarm without a Unit, over a metric
// of several, "behaves unpredictably" (PutMetricAlarm); here it sees all of them.
func (h *Series) pointOf(unit string, stat alarm.Statistic, from, to int64) alarm.Point {
	if unit == "" && len(h.others) > 0 {
		window := &h.store.window
		window.Reset()
		for o := range h.having("") {
			o.gather(window, stat, from, to, o.recent(from, to))
		}
		return pointIn(window, stat)
	}
	for o := range h.having(unit) {
		return o.point(stat, from, to)
	}
	return alarm.Point{}
}

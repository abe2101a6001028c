package cloudwatch

import (
	"cmp"
	"math"
	"slices"
	"time"

	"rehearsal/internal/alarm"
)

// Resolutions of stored data, in seconds.
const (
	standard = 60
	high     = 1
)

// A Series is the data of one metric, by time.
type Series struct {
	store   *Store
	metric  alarm.Metric
	buckets []bucket           // by start
	fed     bool               // ever had data
	watched []*input           // of alarms
	spare   []alarm.ValueCount // memory for the values of new buckets
}

// A bucket is the samples of one minute, or of one second.
type bucket struct {
	start int64 // Unix time in seconds
	fold  int   // how many values there must be before they are folded again
	set   alarm.Distribution
}

// Add puts the samples of set into the minute of t. It copies set. Data older
// than what is kept is dropped.
func (h *Series) Add(t time.Time, set *alarm.Distribution) {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	h.add(t.Unix(), standard, set)
}

// AddHighResolution puts the samples of set into the second of t, for alarms
// whose period is shorter than a minute.
func (h *Series) AddHighResolution(t time.Time, set *alarm.Distribution) {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	h.add(t.Unix(), high, set)
}

// AddValue puts count samples of one value into the minute of t.
func (h *Series) AddValue(t time.Time, value, count float64) {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	h.addValue(t.Unix(), standard, value, count)
}

func (h *Series) add(second, resolution int64, set *alarm.Distribution) {
	if set.Count <= 0 {
		return
	}
	if b := h.at(floor(second, resolution)); b != nil {
		b.set.Merge(set)
		b.bound()
	}
}

func (h *Series) addValue(second, resolution int64, value, count float64) {
	if b := h.at(floor(second, resolution)); b != nil {
		b.set.Add(value, count)
		b.bound()
	}
}

// at is the bucket that begins at start, made when new, for data about to be
// put into it; nil when start is older than what is kept.
func (h *Series) at(start int64) *bucket {
	h.fed = true
	n := len(h.buckets)
	if n == 0 || start > h.buckets[n-1].start {
		h.forget(start)
		return h.append(start)
	}
	last := &h.buckets[n-1]
	if start < last.start-h.store.retention {
		return nil
	}
	for _, in := range h.watched {
		in.spoil(start)
	}
	if start == last.start {
		return last
	}
	i, found := slices.BinarySearchFunc(h.buckets, start, func(b bucket, start int64) int { return cmp.Compare(b.start, start) })
	if !found {
		h.buckets = slices.Insert(h.buckets, i, bucket{start: start})
	}
	return &h.buckets[i]
}

// append makes the newest bucket, from the memory of a forgotten one if there
// is one.
func (h *Series) append(start int64) *bucket {
	n := len(h.buckets)
	switch {
	case n < cap(h.buckets):
		h.buckets = h.buckets[:n+1]
	case n == 0:
		h.buckets = make([]bucket, 1, 64)
	default:
		h.buckets = append(h.buckets, bucket{})
	}
	b := &h.buckets[n]
	b.start, b.fold = start, 0
	b.set.Reset()
	if cap(b.set.Values) == 0 {
		b.set.Values = h.carve(n)
	}
	for _, in := range h.watched { // an evaluation may be ahead of the data
		in.spoil(start)
	}
	return b
}

// carve gives the n-th bucket room for as many values as the one before it has,
// of memory that is had for many buckets at once.
func (h *Series) carve(n int) []alarm.ValueCount {
	const buckets, most = 32, 64
	room := 1
	if n > 0 {
		room = min(max(room, len(h.buckets[n-1].set.Values)), most)
	}
	if len(h.spare) < room {
		h.spare = make([]alarm.ValueCount, buckets*room)
	}
	values := h.spare[:0:room]
	h.spare = h.spare[room:]
	return values
}

// forget drops what is too old, when it would else need more memory.
func (h *Series) forget(newest int64) {
	if len(h.buckets) < cap(h.buckets) || len(h.buckets) == 0 {
		return
	}
	old := h.first(newest - h.store.retention)
	if old < len(h.buckets)/4 {
		return
	}
	// Turned around, so that the memory of the old ones is used again.
	slices.Reverse(h.buckets[:old])
	slices.Reverse(h.buckets[old:])
	slices.Reverse(h.buckets)
	h.buckets = h.buckets[:len(h.buckets)-old]
}

// first is the index of the first bucket that does not begin before second.
// What is looked for is mostly near the end.
func (h *Series) first(second int64) int {
	n := len(h.buckets)
	for back := 1; ; back *= 2 {
		if back >= n || h.buckets[n-back].start < second {
			from := max(n-back, 0)
			i, _ := slices.BinarySearchFunc(h.buckets[from:], second, func(b bucket, second int64) int { return cmp.Compare(b.start, second) })
			return from + i
		}
	}
}

// point sums up what lies in [from, to), in Unix seconds.
func (h *Series) point(stat alarm.Statistic, from, to int64) alarm.Point {
	i := h.first(from)
	found := h.buckets[i:]
	for n := range found {
		if found[n].start >= to {
			found = found[:n]
			break
		}
	}
	switch len(found) {
	case 0:
		return alarm.Point{}
	case 1:
		return stat.Point(&found[0].set)
	}
	window := &h.store.window
	window.Reset()
	single := stat.Extended()
	for n := range found {
		if single {
			window.Merge(&found[n].set)
			continue
		}
		sums := found[n].set
		sums.Values = nil
		window.Merge(&sums)
	}
	return stat.Point(window)
}

// maxValues is how many different values a bucket keeps before it rounds them.
const maxValues = 1000

// bound keeps memory independent of the number of samples: equal values are
// folded into one, and where too many different ones remain, they are rounded
// to 1 %, as CloudWatch itself keeps percentiles. Count, sum, minimum and
// maximum stay exact.
func (b *bucket) bound() {
	if len(b.set.Values) <= max(b.fold, maxValues) {
		return
	}
	b.set.Values = folded(b.set.Values)
	if len(b.set.Values) > maxValues {
		for i := range b.set.Values {
			b.set.Values[i].Value = min(max(rounded(b.set.Values[i].Value), b.set.Min), b.set.Max)
		}
		b.set.Values = folded(b.set.Values)
	}
	b.fold = 2 * len(b.set.Values)
}

func folded(values []alarm.ValueCount) []alarm.ValueCount {
	slices.SortFunc(values, func(a, b alarm.ValueCount) int { return cmp.Compare(a.Value, b.Value) })
	kept := values[:1]
	for _, v := range values[1:] {
		if last := &kept[len(kept)-1]; last.Value == v.Value {
			last.Count += v.Count
		} else {
			kept = append(kept, v)
		}
	}
	return kept
}

// rounded is the nearest power of 1.01, with v's sign.
func rounded(v float64) float64 {
	const step = 0.00995033085316808285 // ln 1.01
	if v == 0 {
		return 0
	}
	return math.Copysign(math.Exp(math.Round(math.Log(math.Abs(v))/step)*step), v)
}

func floor(second, step int64) int64 {
	over := second % step
	if over < 0 {
		over += step
	}
	return second - over
}

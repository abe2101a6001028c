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

// A Series is the data of one metric that has one unit, by time: a few of the newest
// buckets as they came, the older ones packed in blocks. Most metrics have one unit:
// the store has the series of the unit that came first, by the metric's name. It is the
// head of those of other units.
type Series struct {
	store   *Store
	metric  alarm.Metric
	unit    string    // empty: none came yet
	head    *Series   // itself, of most
	others  []*Series // of a head: those of other units, by unit
	blocks  []block   // by start, before the buckets
	rolled  int       // how many of the blocks have no seconds any more
	buckets []bucket  // by start
	fed     bool      // ever had data
	held    bool      // somebody keeps a pointer: it must stay where it is
	watched []*input  // of alarms; the head's are those of every unit
	spreads []spread  // memory for new buckets
	spare   []alarm.ValueCount
	size    int // bytes that count for the store's budget
}

// Buckets that are kept as they came, and how many of them are packed when there
// are so many. Alarms mostly look at the newest few.
const (
	hotBuckets   = 28
	blockBuckets = 24
)

// A bucket is the samples of one minute, or of one second. Most have one value,
// for which there is room in the bucket itself.
type bucket struct {
	start        int64 // Unix time in seconds
	value, count float64
	more         *spread // when count is several; else memory to be used again
}

// several, as the count of a bucket, says that its samples are in more.
const several = -1

// A spread is samples of different values.
type spread struct {
	set  alarm.Distribution
	fold int // how many values there must be before they are folded again
	room int // values that count for the budget
}

// What things take, in bytes, for the store's budget.
const (
	bucketSize = 32
	spreadSize = 72
	valueSize  = 16
	blockSize  = 56
	seriesSize = 512 // with its name and its place in the store
)

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
	if b, block := h.at(second, resolution); b != nil {
		h.merge(b, set)
		h.done(block)
	}
}

func (h *Series) addValue(second, resolution int64, value, count float64) {
	if count <= 0 || !finite(count) || !finite(value) {
		return
	}
	if b, block := h.at(second, resolution); b != nil {
		switch {
		case b.count == 0:
			b.value, b.count = value, count
		case b.count != several && b.value == value:
			b.count += count
		default:
			h.spread(b).set.Add(value, count)
			b.more.bound()
		}
		h.done(block)
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func (h *Series) merge(b *bucket, set *alarm.Distribution) {
	if b.count == 0 && len(set.Values) == 1 && set.Values[0].Count == set.Count && set.Min == set.Max && set.Sum == set.Min*set.Count {
		b.value, b.count = set.Min, set.Count
		return
	}
	h.spread(b).set.Merge(set)
	b.more.bound()
}

// spread makes b a bucket of several values.
func (h *Series) spread(b *bucket) *spread {
	if b.count == several {
		return b.more
	}
	if b.more == nil {
		b.more = h.newSpread()
	}
	b.more.set.Reset()
	b.more.fold = 0
	if b.count > 0 {
		b.more.set.Add(b.value, b.count)
	}
	b.count = several
	return b.more
}

// newSpread has room for as many values as the one before it has, of memory that
// is had for several buckets at once.
func (h *Series) newSpread() *spread {
	const together, most = 8, 64
	if len(h.spreads) == 0 {
		h.spreads = make([]spread, together)
		h.grew(together * spreadSize)
	}
	made := &h.spreads[0]
	h.spreads = h.spreads[1:]
	room := 2
	if n := len(h.buckets); n > 1 && h.buckets[n-2].count == several {
		room = min(max(room, len(h.buckets[n-2].more.set.Values)), most)
	}
	if len(h.spare) < room {
		h.spare = make([]alarm.ValueCount, together*room)
		h.grew(len(h.spare) * valueSize)
	}
	made.set.Values, made.room = h.spare[:0:room], room
	h.spare = h.spare[room:]
	return made
}

// samples is what is in b; the memory of one is used if need be.
func (b *bucket) samples(one *alarm.Distribution) *alarm.Distribution {
	if b.count == several {
		return &b.more.set
	}
	one.Reset()
	one.Add(b.value, b.count)
	return one
}

// at is the bucket for data of that second about to be put into it, made when new;
// nil when the data is older than what is kept. When it is one of a block, that
// block's index comes with it, else -1; done must be called with it.
func (h *Series) at(second, resolution int64) (b *bucket, block int) {
	h.fed = true
	start := floor(second, resolution)
	n := len(h.buckets)
	if n == 0 || start > h.buckets[n-1].start {
		return h.append(start), -1
	}
	last := &h.buckets[n-1]
	if start < last.start-h.store.keep {
		return nil, -1
	}
	if start < last.start-keepSeconds {
		start = floor(start, standard)
	}
	h.spoil(start)
	if start == last.start {
		return last, -1
	}
	if k := len(h.blocks); k > 0 && start <= h.blocks[k-1].last {
		return h.open(start)
	}
	i, found := slices.BinarySearchFunc(h.buckets, start, func(b bucket, start int64) int { return cmp.Compare(b.start, start) })
	if !found {
		before := cap(h.buckets)
		h.buckets = slices.Insert(h.buckets, i, bucket{start: start})
		h.grew((cap(h.buckets) - before) * bucketSize)
	}
	return &h.buckets[i], -1
}

// append makes the newest bucket, from the memory of a packed one if there is one.
func (h *Series) append(start int64) *bucket {
	h.store.advance(h, start)
	if n := len(h.buckets); n > 0 && h.buckets[n-1].count == several { // it may have grown
		if m := h.buckets[n-1].more; cap(m.set.Values) > m.room {
			h.grew((cap(m.set.Values) - m.room) * valueSize)
			m.room = cap(m.set.Values)
		}
	}
	if len(h.buckets) >= hotBuckets {
		h.pack()
		h.forget(start)
	}
	n := len(h.buckets)
	if n == cap(h.buckets) {
		h.buckets = slices.Grow(h.buckets, max(min(2*n, hotBuckets)-n, 8))
		h.grew((cap(h.buckets) - n) * bucketSize)
	}
	h.buckets = h.buckets[:n+1]
	b := &h.buckets[n]
	b.start, b.count = start, 0
	h.spoil(start) // an evaluation may be ahead of the data
	return b
}

// spoil is told that there will be data at that second.
func (h *Series) spoil(second int64) {
	for _, in := range h.head.watched {
		if in.unit == "" || in.unit == h.unit {
			in.spoil(second)
		}
	}
}

// grew counts memory for the store's budget; it may be below zero.
func (h *Series) grew(bytes int) {
	h.size += bytes
	h.store.used += bytes
}

// newest is when the newest data begins; it is not ok when there is none.
func (h *Series) newest() (start int64, ok bool) {
	if n := len(h.buckets); n > 0 {
		return h.buckets[n-1].start, true
	}
	return 0, false
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

// next is when the first data at or after that second begins.
func (h *Series) next(second int64) (start int64, ok bool) {
	if n := len(h.blocks); n > 0 && h.blocks[n-1].last >= second {
		i, _ := slices.BinarySearchFunc(h.blocks, second, func(b block, second int64) int { return cmp.Compare(b.last, second) })
		inside := h.contents(&h.blocks[i])
		n, _ := slices.BinarySearchFunc(inside, second, func(b bucket, second int64) int { return cmp.Compare(b.start, second) })
		return inside[n].start, true
	}
	if i := h.first(second); i < len(h.buckets) {
		return h.buckets[i].start, true
	}
	return 0, false
}

// point sums up what lies in [from, to), in Unix seconds.
func (h *Series) point(stat alarm.Statistic, from, to int64) alarm.Point {
	found := h.recent(from, to)
	if !h.packedSince(from) {
		switch len(found) {
		case 0:
			return alarm.Point{}
		case 1:
			return stat.Point(found[0].samples(&h.store.one))
		}
	}
	window := &h.store.window
	window.Reset()
	h.gather(window, stat, from, to, found)
	return pointIn(window, stat)
}

// recent is the buckets that lie in [from, to) and are not packed.
func (h *Series) recent(from, to int64) []bucket {
	found := h.buckets[h.first(from):]
	for n := range found {
		if found[n].start >= to {
			return found[:n]
		}
	}
	return found
}

// packedSince says whether any packed bucket begins then or later.
func (h *Series) packedSince(from int64) bool {
	return len(h.blocks) > 0 && h.blocks[len(h.blocks)-1].last >= from
}

// gather adds what lies in [from, to) to a window; recent is what of it is not packed.
func (h *Series) gather(window *alarm.Distribution, stat alarm.Statistic, from, to int64, recent []bucket) {
	if h.packedSince(from) {
		i, _ := slices.BinarySearchFunc(h.blocks, from, func(b block, from int64) int { return cmp.Compare(b.last, from) })
		for ; i < len(h.blocks) && h.blocks[i].first < to; i++ {
			inside := h.contents(&h.blocks[i])
			n, _ := slices.BinarySearchFunc(inside, from, func(b bucket, from int64) int { return cmp.Compare(b.start, from) })
			for ; n < len(inside) && inside[n].start < to; n++ {
				putInto(window, stat, inside[n].samples(&h.store.one))
			}
		}
	}
	for n := range recent {
		putInto(window, stat, recent[n].samples(&h.store.one))
	}
}

func pointIn(window *alarm.Distribution, stat alarm.Statistic) alarm.Point {
	if window.Count == 0 {
		return alarm.Point{}
	}
	return stat.Point(window)
}

// putInto adds samples to a window, with as much of them as stat needs.
func putInto(window *alarm.Distribution, stat alarm.Statistic, set *alarm.Distribution) {
	if stat.Extended() {
		window.Merge(set)
		return
	}
	sums := *set
	sums.Values = nil
	window.Merge(&sums)
}

// maxValues is how many different values a bucket keeps before it rounds them.
const maxValues = 1000

// bound keeps memory independent of the number of samples: equal values are
// folded into one, and where too many different ones remain, they are rounded
// to 1 %, as CloudWatch itself keeps percentiles. Count, sum, minimum and
// maximum stay exact.
func (m *spread) bound() {
	if len(m.set.Values) <= max(m.fold, maxValues) {
		return
	}
	m.set.Values = folded(m.set.Values)
	if len(m.set.Values) > maxValues {
		for i := range m.set.Values {
			m.set.Values[i].Value = min(max(rounded(m.set.Values[i].Value), m.set.Min), m.set.Max)
		}
		m.set.Values = folded(m.set.Values)
	}
	m.fold = 2 * len(m.set.Values)
}

// folded is values by size, equal ones together.
func folded(values []alarm.ValueCount) []alarm.ValueCount {
	if len(values) == 0 {
		return values
	}
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

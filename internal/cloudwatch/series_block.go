package cloudwatch

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"rehearsal/internal/alarm"
)

// A block is buckets packed: a day of minutes takes a few kilobytes, and not what
// 1,440 buckets take. Nothing is rounded by it.
//
// A bucket is written as the seconds since the one before it, a byte that says of
// what kind it is, and its samples. Numbers that people and programs publish have
// few decimals: those are written as a whole number and how many decimals it has,
// others with their eight bytes. Values are in order, and written as the steps
// from one to the next.
type block struct {
	first, last int64 // start of its first and its last bucket
	count       int   // of buckets
	seconds     bool  // some do not begin with a minute
	data        []byte
}

// pack puts the oldest of the buckets into a block; their memory goes to the end,
// to be used again.
func (h *Series) pack() {
	h.blocks = append(h.blocks, h.packed(h.buckets[:blockBuckets]))
	h.grew(blockSize + len(h.blocks[len(h.blocks)-1].data))
	slices.Reverse(h.buckets[:blockBuckets])
	slices.Reverse(h.buckets[blockBuckets:])
	slices.Reverse(h.buckets)
	h.buckets = h.buckets[:len(h.buckets)-blockBuckets]
}

// packed is a block of these buckets.
func (h *Series) packed(buckets []bucket) block {
	s := h.store
	b := block{first: buckets[0].start, last: buckets[len(buckets)-1].start, count: len(buckets)}
	data, before := s.packing[:0], b.first
	for i := range buckets {
		b.seconds = b.seconds || buckets[i].start%standard != 0
		data = binary.AppendUvarint(data, uint64(buckets[i].start-before))
		before = buckets[i].start
		data = buckets[i].appendTo(data)
	}
	s.packing = data
	b.data = slices.Clone(data)
	return b
}

// Kinds of packed buckets, in their first byte.
const (
	oneSample    = iota // one value, once
	oneValue            // one value, and how often
	manyValues          // bits of manyValues follow
	withDecimals = 1 << 2
	onceEach     = 1 << 3 // every value is there once
	asValuesTell = 1 << 4 // count, minimum and maximum are those of the values
	kindBits     = 3
)

func (b *bucket) appendTo(data []byte) []byte {
	switch b.count {
	case several:
	case 0:
		panic("cloudwatch: a bucket without samples is packed")
	case 1:
		return appendNumber(append(data, oneSample), b.value)
	default:
		return appendNumber(appendNumber(append(data, oneValue), b.value), b.count)
	}
	set := &b.more.set
	set.Values = folded(set.Values)
	kind, count, decimals := byte(manyValues), 0.0, 0
	once := true
	for _, v := range set.Values {
		once = once && v.Count == 1
		count += v.Count
		for decimals <= maxDecimals && !fitsIn(v.Value, decimals) {
			decimals++ // mostly it fits at once, once one of them had so many
		}
	}
	fits := decimals <= maxDecimals
	for i := 0; fits && i < len(set.Values); i++ {
		fits = fitsIn(set.Values[i].Value, decimals)
	}
	if once {
		kind |= onceEach
	}
	if fits {
		kind |= withDecimals
	}
	n := len(set.Values)
	if n > 0 && count == set.Count && set.Values[0].Value == set.Min && set.Values[n-1].Value == set.Max {
		kind |= asValuesTell
	}
	data = binary.AppendUvarint(append(data, kind), uint64(n))
	data = appendNumber(data, set.Sum)
	if kind&asValuesTell == 0 {
		data = appendNumber(appendNumber(appendNumber(data, set.Count), set.Min), set.Max)
	}
	if fits {
		data = append(data, byte(decimals))
		before := int64(0)
		for _, v := range set.Values {
			whole := wholeOf(v.Value, decimals)
			data = binary.AppendVarint(data, whole-before)
			before = whole
		}
	} else {
		for _, v := range set.Values {
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v.Value))
		}
	}
	if !once {
		for _, v := range set.Values {
			data = appendNumber(data, v.Count)
		}
	}
	return data
}

// Numbers with up to so many decimals are written as whole numbers; more are not
// tried, since few have them.
const (
	maxDecimals = 9
	noDecimals  = maxDecimals + 1 // what has more, or is too large
	mostWhole   = 1 << 52
)

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

func wholeOf(v float64, decimals int) int64 { return int64(math.Round(v * powers[decimals])) }

// fitsIn says whether v comes back exactly as a whole number with decimals.
func fitsIn(v float64, decimals int) bool {
	scaled := math.Round(v * powers[decimals])
	return math.Abs(scaled) < mostWhole && scaled/powers[decimals] == v && !(v == 0 && math.Signbit(v))
}

// decimalsOf is how many decimals v has; noDecimals if they are too many.
func decimalsOf(v float64) int {
	for decimals := range powers {
		if fitsIn(v, decimals) {
			return decimals
		}
	}
	return noDecimals
}

// appendNumber writes any number.
func appendNumber(data []byte, v float64) []byte {
	decimals := decimalsOf(v)
	data = append(data, byte(decimals))
	if decimals == noDecimals {
		return binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	return binary.AppendVarint(data, wholeOf(v, decimals))
}

// An unpacking goes through the buckets of a block.
type unpacking struct {
	start int64 // of the bucket that next gave
	data  []byte
}

func (b *block) unpack() unpacking { return unpacking{b.first, b.data} }

func (p *unpacking) byte() byte {
	b := p.data[0]
	p.data = p.data[1:]
	return b
}

func (p *unpacking) unsigned() uint64 {
	v, n := binary.Uvarint(p.data)
	p.data = p.data[n:]
	return v
}

func (p *unpacking) signed() int64 {
	v, n := binary.Varint(p.data)
	p.data = p.data[n:]
	return v
}

func (p *unpacking) raw() float64 {
	v := math.Float64frombits(binary.LittleEndian.Uint64(p.data))
	p.data = p.data[8:]
	return v
}

func (p *unpacking) number() float64 {
	decimals := p.byte()
	if decimals == noDecimals {
		return p.raw()
	}
	return float64(p.signed()) / powers[decimals]
}

// next gives the samples of the next bucket, if there is one.
func (p *unpacking) next(into *alarm.Distribution) bool {
	if len(p.data) == 0 {
		return false
	}
	p.start += int64(p.unsigned())
	into.Reset()
	kind := p.byte()
	switch kind & kindBits {
	case oneSample:
		into.Add(p.number(), 1)
		return true
	case oneValue:
		value := p.number()
		into.Add(value, p.number())
		return true
	}
	n := int(p.unsigned())
	into.Sum = p.number()
	if kind&asValuesTell == 0 {
		into.Count, into.Min, into.Max = p.number(), p.number(), p.number()
	}
	into.Values = slices.Grow(into.Values, n)[:n]
	if kind&withDecimals != 0 {
		by, whole := powers[p.byte()], int64(0)
		for i := range into.Values {
			whole += p.signed()
			into.Values[i] = alarm.ValueCount{Value: float64(whole) / by, Count: 1}
		}
	} else {
		for i := range into.Values {
			into.Values[i] = alarm.ValueCount{Value: p.raw(), Count: 1}
		}
	}
	if kind&onceEach == 0 {
		for i := range into.Values {
			into.Values[i].Count = p.number()
		}
	}
	if kind&asValuesTell != 0 {
		for _, v := range into.Values {
			into.Count += v.Count
		}
		into.Min, into.Max = into.Values[0].Value, into.Values[n-1].Value
	}
	return true
}

// open is at for a bucket that lies in a block, or between two of them.
func (h *Series) open(start int64) (b *bucket, index int) {
	index, _ = slices.BinarySearchFunc(h.blocks, start, func(b block, start int64) int { return cmp.Compare(b.last, start) })
	opened := h.unpacked(&h.blocks[index], nil, high)
	i, found := slices.BinarySearchFunc(opened, start, func(b bucket, start int64) int { return cmp.Compare(b.start, start) })
	if !found {
		opened = slices.Insert(opened, i, bucket{start: start})
	}
	h.store.opened = opened
	return &opened[i], index
}

// unpacked appends the buckets of a block to others, those of one step together.
func (h *Series) unpacked(b *block, to []bucket, step int64) []bucket {
	p := b.unpack()
	for p.next(&h.store.one) {
		start := floor(p.start, step)
		if n := len(to); n == 0 || to[n-1].start != start {
			to = slices.Grow(to, 1)[:n+1]
			to[n].start, to[n].count = start, 0
		}
		last := &to[len(to)-1]
		if last.more == nil {
			last.more = &spread{} // not of the series' memory: it is for a while
		}
		h.merge(last, &h.store.one)
	}
	return to
}

// contents is the buckets of a block, to be looked at. Those of the block that was
// looked at last are at hand: whoever asks for a day by the minute asks 24 times.
func (h *Series) contents(b *block) []bucket {
	last := &h.store.last
	if len(last.data) == 0 || &last.data[0] != &b.data[0] {
		last.data, last.buckets = b.data, h.unpacked(b, last.buckets[:0], high)
	}
	return last.buckets
}

// done packs an opened block again; -1 is none.
func (h *Series) done(index int) {
	if index < 0 {
		return
	}
	opened := h.store.opened
	h.store.opened = nil
	h.grew(-blockSize - len(h.blocks[index].data))
	if half := len(opened) / 2; half >= blockBuckets { // data kept coming in late
		h.blocks = slices.Insert(h.blocks, index, h.packed(opened[:half]))
		h.grew(blockSize + len(h.blocks[index].data))
		if opened, index = opened[half:], index+1; h.rolled >= index {
			h.rolled++
		}
	}
	h.blocks[index] = h.packed(opened)
	h.grew(blockSize + len(h.blocks[index].data))
}

// forget drops what is older than what is kept, and makes minutes of seconds.
func (h *Series) forget(newest int64) {
	old := 0
	for old < len(h.blocks) && h.blocks[old].last < newest-h.store.keep {
		h.grew(-blockSize - len(h.blocks[old].data))
		old++
	}
	h.blocks = slices.Delete(h.blocks, 0, old)
	h.rolled = max(h.rolled-old, 0)
	for h.rolled < len(h.blocks) && h.blocks[h.rolled].last < newest-keepSeconds {
		h.roll()
	}
}

// roll makes minutes of the seconds of the first block that may have some, and
// puts them to those of the block before it while that is small.
func (h *Series) roll() {
	i := h.rolled
	this := &h.blocks[i]
	if !this.seconds {
		h.rolled++
		return
	}
	var buckets []bucket
	from := i
	if i > 0 && h.blocks[i-1].count < blockBuckets {
		from = i - 1
		buckets = h.unpacked(&h.blocks[from], nil, standard)
	}
	buckets = h.unpacked(this, buckets, standard)
	for _, b := range h.blocks[from : i+1] {
		h.grew(-blockSize - len(b.data))
	}
	h.blocks[from] = h.packed(buckets)
	h.grew(blockSize + len(h.blocks[from].data))
	h.blocks = slices.Delete(h.blocks, from+1, i+1)
	h.rolled = from + 1
}

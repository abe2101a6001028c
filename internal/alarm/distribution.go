package alarm

import (
	"cmp"
	"math"
	"slices"
)

// Distribution is what is known of one period's samples of one metric: a
// CloudWatch statistic set, and the single values where they were published.
// The zero value is empty. It is not safe for concurrent use, not even for
// reading extended statistics, which sort Values in place when first asked.
type Distribution struct {
	Count, Sum, Min, Max float64

	// Values are the samples, in any order; equal ones may be listed apart.
	// They are complete when their counts add up to Count.
	Values []ValueCount
}

// ValueCount is a value and how many samples had it. Counts may be fractions.
type ValueCount struct{ Value, Count float64 }

// Add puts in count samples of one value. What is not finite, and a count that
// is not above zero, is ignored, as CloudWatch refuses both.
func (d *Distribution) Add(value, count float64) {
	if !finite(value) || !finite(count) || count <= 0 {
		return
	}
	d.addSet(count, value*count, value, value)
	d.append(ValueCount{value, count})
}

// AddSet puts in a CloudWatch statistic set, whose single values are unknown:
// afterwards d has no percentiles, except where all samples are equal.
func (d *Distribution) AddSet(count, sum, minimum, maximum float64) {
	if count <= 0 || !finite(count) || !finite(sum) || !finite(minimum) || !finite(maximum) {
		return
	}
	d.addSet(count, sum, minimum, maximum)
	if minimum == maximum {
		d.append(ValueCount{minimum, count})
	}
}

// Merge puts all of o into d and leaves o as it is.
func (d *Distribution) Merge(o *Distribution) {
	if o.Count <= 0 {
		return
	}
	d.addSet(o.Count, o.Sum, o.Min, o.Max)
	if len(o.Values) == 0 && (o.Count == 1 || o.Min == o.Max) {
		d.append(ValueCount{o.Min, o.Count})
		return
	}
	d.Values = append(d.Values, o.Values...)
}

// Reset empties d and keeps its memory.
func (d *Distribution) Reset() { *d = Distribution{Values: d.Values[:0]} }

func (d *Distribution) addSet(count, sum, minimum, maximum float64) {
	if d.Count == 0 {
		d.Min, d.Max = minimum, maximum
	} else {
		d.Min, d.Max = min(d.Min, minimum), max(d.Max, maximum)
	}
	d.Count += count
	d.Sum += sum
}

// append adds a value, and folds equal ones together before memory grows.
func (d *Distribution) append(v ValueCount) {
	if n := len(d.Values); n > 0 && d.Values[n-1].Value == v.Value {
		d.Values[n-1].Count += v.Count
		return
	}
	if len(d.Values) == cap(d.Values) && len(d.Values) >= 64 {
		d.fold()
		if len(d.Values) > cap(d.Values)/2 { // else the next fold would come too soon
			d.Values = slices.Grow(d.Values, cap(d.Values))
		}
	}
	d.Values = append(d.Values, v)
}

// fold sorts Values and adds up equal ones.
func (d *Distribution) fold() {
	byValue := func(a, b ValueCount) int { return cmp.Compare(a.Value, b.Value) }
	slices.SortFunc(d.Values, byValue)
	kept := d.Values[:1]
	for _, v := range d.Values[1:] {
		if last := &kept[len(kept)-1]; last.Value == v.Value {
			last.Count += v.Count
		} else {
			kept = append(kept, v)
		}
	}
	d.Values = kept
}

// sorted gives the samples in order, each value once, if they are all known.
func (d *Distribution) sorted() ([]ValueCount, bool) {
	if len(d.Values) == 0 && (d.Count == 1 || d.Min == d.Max) {
		d.append(ValueCount{d.Min, d.Count})
	}
	known, folded := 0.0, true
	for i, v := range d.Values {
		known += v.Count
		folded = folded && (i == 0 || d.Values[i-1].Value < v.Value)
	}
	if len(d.Values) == 0 || known < d.Count*(1-1e-9) {
		return nil, false
	}
	if !folded {
		d.fold()
	}
	return d.Values, true
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

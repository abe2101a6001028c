package alarm

import (
	"fmt"
	"math"
)

// Scratch is the memory that Points works in, kept from one evaluation to the
// next. The zero value is ready; it is for one goroutine at a time.
type Scratch struct {
	points []Point
	lists  [][]Point
	slots  []value
	stack  []value // members of arrays at hand
}

// take gives n missing points. What was taken before stays valid.
func (s *Scratch) take(n int) []Point {
	if len(s.points)+n > cap(s.points) {
		s.points = make([]Point, 0, max(64, 2*cap(s.points), n))
	}
	from := len(s.points)
	s.points = s.points[:from+n]
	taken := s.points[from : from+n : from+n]
	clear(taken)
	return taken
}

// takeList gives room for n series.
func (s *Scratch) takeList(n int) [][]Point {
	if len(s.lists)+n > cap(s.lists) {
		s.lists = make([][]Point, 0, max(16, 2*cap(s.lists), n))
	}
	from := len(s.lists)
	s.lists = s.lists[:from+n]
	return s.lists[from : from+n : from+n]
}

// Points carries out the metric math: it makes the points to judge of the
// points of every input, each oldest to newest. Without metric math they are
// the first input's own. The newest Range points of an input count; if it has
// fewer, its oldest are missing. The result is valid until s is used again.
//
// A point is missing where an operand is, and where the result is not a finite
// number (a division by zero). The exceptions are those of the user guide, "Metric
// math syntax and functions": FILL; SUM, MIN, MAX and DATAPOINT_COUNT, which take the
// points that are there; AVG, which takes a missing one as 0; a comparison of two time
// series, which takes a point that only one of them has as 0 in the other; and
// IF(condition, series, ...), which is 0 where the condition holds and the series has no
// point. In one thing the guide is not followed: it says of + - * / too that they take a
// missing point as 0. FILL(m, 0), which it has for that, would then have no use, and
// neither would the setting for missing data of an alarm on m1/m2.
func (c *Compiled) Points(s *Scratch, inputs [][]Point) []Point {
	if c.program == nil {
		return inputs[0]
	}
	s.points, s.lists, s.slots = s.points[:0], s.lists[:0], s.slots[:0]
	for _, points := range inputs {
		s.slots = append(s.slots, value{kind: series, points: s.fit(points, c.Range)})
	}
	run := run{s, c.Range, c.program.period}
	for _, step := range c.program.steps {
		s.slots = append(s.slots, run.eval(step))
	}
	return s.slots[c.program.result].points
}

// fit makes a series n long, at its old end.
func (s *Scratch) fit(points []Point, n int) []Point {
	if len(points) >= n {
		return points[len(points)-n:]
	}
	fitted := s.take(n)
	copy(fitted[n-len(points):], points)
	return fitted
}

// A value is what an expression makes: number, points or list by its kind.
type value struct {
	kind   kind
	number Point
	points []Point
	list   [][]Point
}

// A run is one carrying out of a program.
type run struct {
	*Scratch
	n      int     // points in a series
	period float64 // seconds
}

func (r run) eval(n *node) value {
	switch n.op {
	case opNumber:
		return value{number: present(n.number)}
	case opID:
		return r.slots[n.slot]
	case opMetrics:
		list := r.takeList(len(n.slots))
		for i, slot := range n.slots {
			list[i] = r.slots[slot].points
		}
		return value{kind: array, list: list}
	case opArray:
		return value{kind: array, list: r.members(n)}
	case opIf:
		no := value{} // a missing number
		if len(n.args) == 3 {
			no = r.eval(n.args[2])
		}
		return r.choose(n.kind, r.eval(n.args[0]), r.eval(n.args[1]), no)
	case opFill:
		return r.fill(r.eval(n.args[0]), n.args[1])
	case opSum, opAverage, opMinimum, opMaximum, opDatapointCount:
		return r.aggregate(n.op, r.eval(n.args[0]))
	case opMetricCount:
		return value{number: present(float64(len(r.eval(n.args[0]).list)))}
	case opFirst:
		return value{kind: series, points: r.eval(n.args[0]).list[0]}
	case opLast:
		list := r.eval(n.args[0]).list
		return value{kind: series, points: list[len(list)-1]}
	case opPeriod:
		return value{number: present(r.period)}
	case opTimeSeries:
		return value{kind: series, points: r.spread(r.eval(n.args[0]))}
	case opRate, opDiff, opDiffTime, opRunningSum:
		return r.each(r.eval(n.args[0]), n.op, r.sequence)
	case opNegate, opNot, opAbs, opCeil, opFloor, opLog, opLog10:
		v := r.eval(n.args[0])
		if v.kind == scalar {
			return value{number: unary(n.op, v.number)}
		}
		return r.each(v, n.op, r.pointwise)
	}
	return r.binary(n.op, r.eval(n.args[0]), r.eval(n.args[1]))
}

// members is the series that stand between brackets; an array among them gives all of
// its own.
func (r run) members(n *node) [][]Point {
	made, base := 0, len(r.stack)
	for _, arg := range n.args {
		v := r.eval(arg)
		r.stack = append(r.stack, v)
		if made++; v.kind == array {
			made += len(v.list) - 1
		}
	}
	list := r.takeList(made)[:0]
	for _, v := range r.stack[base:] {
		if v.kind == array {
			list = append(list, v.list...)
		} else {
			list = append(list, v.points)
		}
	}
	r.stack = r.stack[:base]
	return list
}

// each applies f to a series, or to every series of an array.
func (r run) each(v value, o op, f func(o op, to, from []Point)) value {
	if v.kind == series {
		to := r.take(r.n)
		f(o, to, v.points)
		return value{kind: series, points: to}
	}
	list := r.takeList(len(v.list))
	for i, from := range v.list {
		list[i] = r.take(r.n)
		f(o, list[i], from)
	}
	return value{kind: array, list: list}
}

func (r run) pointwise(o op, to, from []Point) {
	for i, p := range from {
		to[i] = unary(o, p)
	}
}

func unary(o op, p Point) Point {
	if !p.Present {
		return Point{}
	}
	switch o {
	case opNegate:
		return present(-p.Value)
	case opNot:
		return truth(p.Value == 0)
	case opAbs:
		return present(math.Abs(p.Value))
	case opCeil:
		return present(math.Ceil(p.Value))
	case opFloor:
		return present(math.Floor(p.Value))
	case opLog:
		return present(math.Log(p.Value))
	case opLog10:
		return present(math.Log10(p.Value))
	}
	panic(fmt.Sprintf("alarm: operation %d is not unary", o))
}

// sequence is what looks from each point back to the one before it, missing
// points left out.
func (r run) sequence(o op, to, from []Point) {
	last, sum := -1, 0.0
	for i, p := range from {
		if !p.Present {
			continue
		}
		switch {
		case o == opRunningSum:
			sum += p.Value
			to[i] = present(sum)
		case last >= 0 && o == opDiff:
			to[i] = present(p.Value - from[last].Value)
		case last >= 0 && o == opDiffTime:
			to[i] = present(float64(i-last) * r.period)
		case last >= 0 && o == opRate:
			to[i] = present((p.Value - from[last].Value) / (float64(i-last) * r.period))
		}
		last = i
	}
}

// aggregate is SUM, AVG, MIN, MAX and DATAPOINT_COUNT: of a series a number, of an
// array a series, point by point; of the points that are there. Where there is none,
// so is there no result, but for DATAPOINT_COUNT of a series.
func (r run) aggregate(o op, v value) value {
	if v.kind == series {
		var sum total
		for _, p := range v.points {
			sum.add(p)
		}
		if o == opDatapointCount {
			return value{number: present(sum.count)}
		}
		return value{number: sum.of(o, len(v.points))}
	}
	to := r.take(r.n)
	for i := range to {
		var sum total
		for _, points := range v.list {
			sum.add(points[i])
		}
		to[i] = sum.of(o, len(v.list))
	}
	return value{kind: series, points: to}
}

type total struct{ count, sum, min, max float64 }

func (t *total) add(p Point) {
	if !p.Present {
		return
	}
	if t.count == 0 {
		t.min, t.max = p.Value, p.Value
	}
	t.count++
	t.sum += p.Value
	t.min, t.max = min(t.min, p.Value), max(t.max, p.Value)
}

// of is the result over so many points, missing ones included.
func (t *total) of(o op, all int) Point {
	if t.count == 0 {
		return Point{}
	}
	switch o {
	case opSum:
		return present(t.sum)
	case opAverage:
		return present(t.sum / float64(all)) // a missing point is 0, says the user guide
	case opMinimum:
		return present(t.min)
	case opMaximum:
		return present(t.max)
	case opDatapointCount:
		return present(t.count)
	}
	panic(fmt.Sprintf("alarm: operation %d does not aggregate", o))
}

// spread makes a series of a number; a series stays as it is.
func (r run) spread(v value) []Point {
	if v.kind == series {
		return v.points
	}
	to := r.take(r.n)
	for i := range to {
		to[i] = v.number
	}
	return to
}

// choose is IF: 0 is false, all else is true, and where the condition is missing so is
// the result. Where a time series holds as the condition and the one to take has no
// point, the result is 0; it is missing where the condition does not hold and what is
// to be taken then has none, or is not given. So says the user guide, "Using IF
// expressions".
func (r run) choose(k kind, condition, yes, no value) value {
	if k == scalar {
		return value{number: pick(condition.number, yes.number, no.number)}
	}
	to, c, y, n := r.take(r.n), r.spread(condition), r.spread(yes), r.spread(no)
	for i := range to {
		to[i] = pick(c[i], y[i], n[i])
		if condition.kind == series && yes.kind == series && c[i].Present && c[i].Value != 0 {
			to[i] = orZero(y[i])
		}
	}
	return value{kind: series, points: to}
}

func pick(condition, yes, no Point) Point {
	switch {
	case !condition.Present:
		return Point{}
	case condition.Value != 0:
		return yes
	}
	return no
}

// fill is FILL: with a number or a series; with the last point before (REPEAT);
// or on the line between the points before and after (LINEAR). What has no
// point to be filled from stays missing.
func (r run) fill(v value, with *node) value {
	switch with.op {
	case opRepeat, opLinear:
		return r.each(v, with.op, r.fillGaps)
	}
	filler := r.spread(r.eval(with))
	if v.kind == series {
		return value{kind: series, points: r.fillFrom(v.points, filler)}
	}
	list := r.takeList(len(v.list))
	for i, points := range v.list {
		list[i] = r.fillFrom(points, filler)
	}
	return value{kind: array, list: list}
}

func (r run) fillFrom(points, filler []Point) []Point {
	to := r.take(r.n)
	for i, p := range points {
		if to[i] = p; !p.Present {
			to[i] = filler[i]
		}
	}
	return to
}

func (r run) fillGaps(o op, to, from []Point) {
	last := -1
	for i, p := range from {
		to[i] = p
		switch {
		case p.Present:
			for gap := last + 1; o == opLinear && last >= 0 && gap < i; gap++ {
				slope := (p.Value - from[last].Value) / float64(i-last)
				to[gap] = present(from[last].Value + slope*float64(gap-last))
			}
			last = i
		case o == opRepeat && last >= 0:
			to[i] = present(from[last].Value)
		}
	}
}

// binary applies an operator to two values, the smaller kind to every member
// of the larger.
func (r run) binary(o op, a, b value) value {
	switch {
	case a.kind == array:
		list := r.takeList(len(a.list))
		for i, points := range a.list {
			list[i] = r.binary(o, value{kind: series, points: points}, b).points
		}
		return value{kind: array, list: list}
	case b.kind == array:
		list := r.takeList(len(b.list))
		for i, points := range b.list {
			list[i] = r.binary(o, a, value{kind: series, points: points}).points
		}
		return value{kind: array, list: list}
	case a.kind == scalar && b.kind == scalar:
		return value{number: combine(o, a.number, b.number)}
	}
	to := r.take(r.n)
	for i := range to {
		p, q := a.at(i), b.at(i)
		if a.kind == b.kind && o >= opLess && o <= opOr && p.Present != q.Present {
			p, q = orZero(p), orZero(q)
		}
		to[i] = combine(o, p, q)
	}
	return value{kind: series, points: to}
}

// at is the point of a series, or the number at every point.
func (v *value) at(i int) Point {
	if v.kind == scalar {
		return v.number
	}
	return v.points[i]
}

func orZero(p Point) Point {
	if p.Present {
		return p
	}
	return present(0)
}

func combine(o op, a, b Point) Point {
	if !a.Present || !b.Present {
		return Point{}
	}
	x, y := a.Value, b.Value
	switch o {
	case opAdd:
		return present(x + y)
	case opSubtract:
		return present(x - y)
	case opMultiply:
		return present(x * y)
	case opDivide:
		return present(x / y)
	case opRemainder:
		return present(math.Mod(x, y))
	case opPower:
		return present(math.Pow(x, y))
	case opLess:
		return truth(x < y)
	case opLessEqual:
		return truth(x <= y)
	case opGreater:
		return truth(x > y)
	case opGreaterEqual:
		return truth(x >= y)
	case opEqual:
		return truth(x == y)
	case opNotEqual:
		return truth(x != y)
	case opAnd:
		return truth(x != 0 && y != 0)
	case opOr:
		return truth(x != 0 || y != 0)
	}
	panic(fmt.Sprintf("alarm: operation %d is not binary", o))
}

// present is a point, unless its value is no finite number.
func present(v float64) Point {
	if !finite(v) {
		return Point{}
	}
	return Point{Value: v, Present: true}
}

func truth(is bool) Point {
	if is {
		return Point{Value: 1, Present: true}
	}
	return Point{Present: true}
}

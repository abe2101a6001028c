package alarm

import (
	"fmt"
	"strings"
)

// A program is the metric math of one alarm, linked: ids have become slots.
// Slots 0 to len(inputs)-1 hold the inputs, the next ones what the steps make,
// in an order in which each step needs only earlier slots.
type program struct {
	inputs int
	steps  []*node
	result int
	period float64 // seconds
}

// kind is what an expression makes.
type kind uint8

const (
	scalar kind = iota // one number, or a missing one
	series             // one point by period
	array              // several series
	word               // REPEAT and LINEAR, which mean something only to FILL
)

func (k kind) String() string {
	switch k {
	case scalar:
		return "a single number"
	case series:
		return "a time series"
	case array:
		return "an array of time series"
	case word:
		return "a setting of FILL"
	}
	panic(fmt.Sprintf("alarm: unknown kind %d", uint8(k)))
}

// An env is what the ids of an alarm's queries stand for while it is linked.
type env struct {
	metrics []string // ids of the inputs, by slot
	slots   map[string]int
	kinds   map[string]kind
}

// link gives every node its kind and its slots, and refuses what does not fit
// together. The error is an *ExprError.
func (e *env) link(n *node) error {
	for _, arg := range n.args {
		if err := e.link(arg); err != nil {
			return err
		}
	}
	switch n.op {
	case opNumber:
		n.kind = scalar
	case opRepeat, opLinear:
		n.kind = word
	case opID:
		slot, ok := e.slots[n.text]
		if !ok {
			return n.fail("no query has the id %q", n.text)
		}
		n.slot, n.kind = slot, e.kinds[n.text]
	case opMetrics:
		n.kind, n.slots = array, nil
		for slot, id := range e.metrics {
			if strings.Contains(id, n.text) {
				n.slots = append(n.slots, slot)
			}
		}
		if n.slots == nil {
			return n.fail("no metric's id contains %q", n.text)
		}
	case opArray:
		n.kind = array
		return n.want(series, array)
	case opMetricCount:
		n.kind = scalar
		return n.want(array)
	case opFirst, opLast:
		n.kind = series
		return n.want(array)
	case opSum, opAverage, opMinimum, opMaximum, opDatapointCount:
		n.kind = scalar
		if n.args[0].kind == array {
			n.kind = series
		}
		return n.want(series, array)
	case opAbs, opCeil, opFloor, opLog, opLog10, opNegate:
		n.kind = n.args[0].kind
		return n.want(scalar, series, array)
	case opRate, opDiff, opDiffTime, opRunningSum:
		n.kind = n.args[0].kind
		return n.want(series, array)
	case opPeriod:
		n.kind = scalar
		return n.want(series)
	case opTimeSeries:
		n.kind = series
		return n.want(scalar)
	case opIf, opNot:
		n.kind = scalar
		for _, arg := range n.args {
			n.kind = max(n.kind, arg.kind)
		}
		return n.want(scalar, series)
	case opFill:
		if k := n.args[1].kind; k == array {
			return n.args[1].fail("FILL fills with a number, a time series, REPEAT or LINEAR, not with %s", k)
		}
		if k := n.args[0].kind; k != series && k != array {
			return n.args[0].fail("FILL fills a time series, not %s", k)
		}
		n.kind = n.args[0].kind
	default: // binary operators
		left, right := n.args[0].kind, n.args[1].kind
		n.kind = max(left, right)
		if left == array && right == array {
			return n.fail("two arrays cannot be combined: combine their members one by one")
		}
		return n.want(scalar, series, array)
	}
	return nil
}

// want refuses arguments of other kinds.
func (n *node) want(kinds ...kind) error {
	for _, arg := range n.args {
		found := false
		for _, k := range kinds {
			found = found || arg.kind == k
		}
		if !found {
			return arg.fail("expected %s, found %s", kinds[0], arg.kind)
		}
	}
	return nil
}

func (n *node) fail(format string, args ...any) error {
	return &ExprError{Column: n.column, Text: fmt.Sprintf(format, args...)}
}

// ids calls f with every id that the expression names.
func (n *node) ids(f func(id string)) {
	if n.op == opID {
		f(n.text)
	}
	for _, arg := range n.args {
		arg.ids(f)
	}
}

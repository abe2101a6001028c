package alarm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of an expression: its length is AWS's; its depth keeps the parser's
// stack small, and is far more than anybody can read.
const (
	maxExprLength = 2048
	maxExprDepth  = 64
)

// Expr is a metric-math expression, parsed: numbers, ids of other queries,
// + - * / % ^, comparisons, AND (&&), OR (||), NOT, [arrays], IF, FILL, METRICS,
// SUM, AVG, MIN, MAX, DATAPOINT_COUNT, ABS, CEIL, FLOOR, LOG, LOG10, PERIOD, RATE,
// DIFF, DIFF_TIME, RUNNING_SUM, TIME_SERIES, METRIC_COUNT, FIRST and LAST, as in the
// user guide's "Metric math syntax and functions". What else it lists is refused:
// SEARCH, which AWS itself judges in no alarm; what depends on the calendar or on
// other services; and STDDEV, SORT, SLICE and REMOVE_EMPTY, of which the guide does not
// say enough, or says not to use them in alarms.
type Expr struct {
	source string
	root   *node
}

// ExprError is a mistake in an expression, at a column counted from 1 in bytes.
type ExprError struct {
	Column int
	Text   string
	// Unjudged says that AWS takes it, and that it cannot be judged here.
	Unjudged bool
}

func (e *ExprError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Text) }

// Compile parses an expression. Whether its ids exist, and whether it makes one
// time series, is known only among the queries of an alarm: see Alarm.Compile.
// The error is an *ExprError.
func Compile(source string) (*Expr, error) {
	if len(source) > maxExprLength {
		return nil, &ExprError{Column: maxExprLength + 1, Text: fmt.Sprintf("the expression has %d characters; at most %d are allowed", len(source), maxExprLength)}
	}
	p := &parser{source: source}
	root, err := p.all()
	if err != nil {
		return nil, err
	}
	return &Expr{source, root}, nil
}

// String gives the expression as it was written.
func (e *Expr) String() string { return e.source }

// A node is one operation of an expression and what it is applied to.
type node struct {
	op     op
	column int
	number float64 // opNumber
	text   string  // opID, opMetrics: the id, the text that ids contain
	args   []*node

	// Set when the expression is linked into a program.
	kind  kind
	slot  int   // opID
	slots []int // opMetrics
}

type op uint8

const (
	opNumber op = iota
	opID
	opArray
	opMetrics
	opRepeat // FILL(m, REPEAT)
	opLinear // FILL(m, LINEAR)
	opNegate
	opNot
	opAdd
	opSubtract
	opMultiply
	opDivide
	opRemainder
	opPower
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opEqual
	opNotEqual
	opAnd
	opOr
	opIf
	opFill
	opSum
	opAverage
	opMinimum
	opMaximum
	opDatapointCount
	opMetricCount
	opFirst
	opLast
	opAbs
	opCeil
	opFloor
	opLog
	opLog10
	opPeriod
	opRate
	opDiff
	opDiffTime
	opRunningSum
	opTimeSeries
)

// A function of metric math: how it is called, and with how many arguments.
type function struct {
	name        string
	op          op
	least, most int
}

func functions() []function {
	return []function{
		{"IF", opIf, 2, 3}, {"FILL", opFill, 2, 2},
		{"SUM", opSum, 1, 1}, {"AVG", opAverage, 1, 1}, {"MIN", opMinimum, 1, 1}, {"MAX", opMaximum, 1, 1},
		{"DATAPOINT_COUNT", opDatapointCount, 1, 1}, {"METRIC_COUNT", opMetricCount, 1, 1}, {"FIRST", opFirst, 1, 1}, {"LAST", opLast, 1, 1},
		{"ABS", opAbs, 1, 1}, {"CEIL", opCeil, 1, 1}, {"FLOOR", opFloor, 1, 1}, {"LOG", opLog, 1, 1}, {"LOG10", opLog10, 1, 1},
		{"PERIOD", opPeriod, 1, 1}, {"RATE", opRate, 1, 1}, {"DIFF", opDiff, 1, 1}, {"DIFF_TIME", opDiffTime, 1, 1},
		{"RUNNING_SUM", opRunningSum, 1, 1}, {"TIME_SERIES", opTimeSeries, 1, 1},
	}
}

// Functions that AWS has and that are not judged here.
const unjudged = " STDDEV SLICE SORT REMOVE_EMPTY EPOCH SECOND MINUTE HOUR DAY DATE MONTH YEAR INSIGHT_RULE_METRIC SERVICE_QUOTA " +
	"DB_PERF_INSIGHTS LAMBDA "

// parser is a recursive descent over the tokens of one expression, weakest
// operator first: OR, AND, NOT, comparison, + -, * / %, unary -, ^.
type parser struct {
	source string
	at     int // the next byte to scan
	depth  int

	// the token at hand
	kind  tokenKind
	start int
	text  string
	value float64
}

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokNumber
	tokName
	tokText
	tokSymbol
)

func (p *parser) all() (*node, error) {
	if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(p.source)), "SELECT ") {
		return nil, asUnjudged(p.fail(0, "Metrics Insights queries are not judged yet: name the metrics one by one"))
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	root, err := p.expression(0)
	if err == nil && p.kind != tokEnd {
		err = p.fail(p.start, "expected an operator or the end, found %s", p.found())
	}
	return root, err
}

func (p *parser) fail(at int, format string, args ...any) error {
	return &ExprError{Column: at + 1, Text: fmt.Sprintf(format, args...)}
}

func (p *parser) found() string {
	switch p.kind {
	case tokEnd:
		return "the end"
	case tokText:
		return "the text " + strconv.Quote(p.text)
	}
	return strconv.Quote(p.text)
}

// next scans one token.
func (p *parser) next() error {
	for p.at < len(p.source) && strings.IndexByte(" \t\r\n", p.source[p.at]) >= 0 {
		p.at++
	}
	p.start = p.at
	if p.at == len(p.source) {
		p.kind, p.text = tokEnd, ""
		return nil
	}
	switch c := p.source[p.at]; {
	case isDigit(c) || c == '.':
		return p.scanNumber()
	case isLetter(c):
		for p.at < len(p.source) && (isLetter(p.source[p.at]) || isDigit(p.source[p.at])) {
			p.at++
		}
		p.kind, p.text = tokName, p.source[p.start:p.at]
	case c == '"' || c == '\'':
		end := strings.IndexByte(p.source[p.at+1:], c)
		if end < 0 {
			return p.fail(p.start, "this quote is never closed")
		}
		p.kind, p.text = tokText, p.source[p.at+1:p.at+1+end]
		p.at += end + 2
	default:
		return p.scanSymbol()
	}
	return nil
}

func (p *parser) scanNumber() error {
	digits := func() {
		for p.at < len(p.source) && isDigit(p.source[p.at]) {
			p.at++
		}
	}
	digits()
	if p.at < len(p.source) && p.source[p.at] == '.' {
		p.at++
		digits()
	}
	if p.at < len(p.source) && (p.source[p.at] == 'e' || p.source[p.at] == 'E') {
		p.at++
		if p.at < len(p.source) && (p.source[p.at] == '+' || p.source[p.at] == '-') {
			p.at++
		}
		digits()
	}
	p.kind, p.text = tokNumber, p.source[p.start:p.at]
	v, err := strconv.ParseFloat(p.text, 64)
	if err != nil || p.at < len(p.source) && isLetter(p.source[p.at]) {
		return p.fail(p.start, "%q is not a number", p.source[p.start:min(p.at+1, len(p.source))])
	}
	p.value = v
	return nil
}

func (p *parser) scanSymbol() error {
	rest := p.source[p.at:]
	for _, symbol := range []string{"<=", ">=", "==", "!=", "&&", "||"} {
		if strings.HasPrefix(rest, symbol) {
			p.kind, p.text = tokSymbol, symbol
			p.at += 2
			return nil
		}
	}
	if strings.IndexByte("+-*/%^()[],<>", rest[0]) >= 0 {
		p.kind, p.text = tokSymbol, rest[:1]
		p.at++
		return nil
	}
	if rest[0] == '=' {
		return p.fail(p.at, `expected an operator, found "=": to compare, write "=="`)
	}
	return p.fail(p.at, "unexpected character %q", []rune(rest)[0])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// The binary operators, weakest first; those of one level group from the left.
const (
	levelOr = iota
	levelAnd
	levelCompare
	levelAdd
	levelMultiply
	levels
)

// binary is the operator at hand, if it is one of the level.
func (p *parser) binary(level int) (op, bool) {
	if p.kind != tokSymbol && p.kind != tokName {
		return 0, false
	}
	var ops []string
	var first op
	switch level {
	case levelOr:
		if p.text == "OR" || p.text == "||" {
			return opOr, true
		}
		return 0, false
	case levelAnd:
		if p.text == "AND" || p.text == "&&" {
			return opAnd, true
		}
		return 0, false
	case levelCompare:
		ops, first = []string{"<", "<=", ">", ">=", "==", "!="}, opLess
	case levelAdd:
		ops, first = []string{"+", "-"}, opAdd
	case levelMultiply:
		ops, first = []string{"*", "/", "%"}, opMultiply
	}
	for i, symbol := range ops {
		if p.text == symbol {
			return first + op(i), true
		}
	}
	return 0, false
}

// deeper counts nesting; every call that can recurse without end goes by it.
func (p *parser) deeper() error {
	if p.depth++; p.depth > maxExprDepth {
		return p.fail(p.start, "the expression is nested more than %d deep", maxExprDepth)
	}
	return nil
}

func (p *parser) expression(level int) (*node, error) {
	if level == levels {
		return p.unary()
	}
	if level == levelCompare && p.kind == tokName && p.text == "NOT" {
		return p.prefixed(opNot, levelCompare)
	}
	left, err := p.expression(level + 1)
	for err == nil {
		o, ok := p.binary(level)
		if !ok {
			return left, nil
		}
		n := &node{op: o, column: p.start + 1, args: []*node{left, nil}}
		if err = p.next(); err == nil {
			n.args[1], err = p.expression(level + 1)
		}
		left = n
	}
	return nil, err
}

// prefixed parses an operator and, at the level, what it stands before.
func (p *parser) prefixed(o op, level int) (*node, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	n := &node{op: o, column: p.start + 1}
	if err := p.next(); err != nil {
		return nil, err
	}
	arg, err := p.expression(level)
	n.args = []*node{arg}
	return n, err
}

func (p *parser) unary() (*node, error) {
	if p.kind == tokSymbol && p.text == "-" {
		return p.prefixed(opNegate, levels)
	}
	base, err := p.primary()
	if err != nil || p.kind != tokSymbol || p.text != "^" {
		return base, err
	}
	n, err := p.prefixed(opPower, levels) // the exponent, which may be a power itself
	if err == nil {
		n.args = []*node{base, n.args[0]}
	}
	return n, err
}

func (p *parser) primary() (*node, error) {
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	n := &node{column: p.start + 1}
	switch {
	case p.kind == tokNumber:
		n.op, n.number = opNumber, p.value
		return n, p.next()
	case p.kind == tokName:
		return p.name(n)
	case p.kind == tokSymbol && p.text == "(":
		if err := p.next(); err != nil {
			return nil, err
		}
		inner, err := p.expression(0)
		if err == nil {
			err = p.expect(")")
		}
		return inner, err
	case p.kind == tokSymbol && p.text == "[":
		n.op = opArray
		return n, p.list(n, "]")
	}
	return nil, p.fail(p.start, "expected a number, an id or a function, found %s", p.found())
}

func (p *parser) expect(symbol string) error {
	if p.kind != tokSymbol || p.text != symbol {
		return p.fail(p.start, "expected %q, found %s", symbol, p.found())
	}
	return p.next()
}

// list parses what stands between an opening symbol, which is at hand, and end.
func (p *parser) list(n *node, end string) error {
	if err := p.next(); err != nil {
		return err
	}
	for {
		arg, err := p.expression(0)
		if err != nil {
			return err
		}
		n.args = append(n.args, arg)
		if p.kind == tokSymbol && p.text == end {
			return p.next()
		}
		if p.kind != tokSymbol || p.text != "," {
			return p.fail(p.start, "expected \",\" or %q, found %s", end, p.found())
		}
		if err := p.next(); err != nil {
			return err
		}
	}
}

// name parses an id, a word such as REPEAT, or the call of a function.
func (p *parser) name(n *node) (*node, error) {
	name, at := p.text, p.start
	if err := p.next(); err != nil {
		return nil, err
	}
	called := p.kind == tokSymbol && p.text == "("
	switch {
	case called && name == "METRICS":
		n.op = opMetrics
		return n, p.metrics(n)
	case called:
		return n, p.call(n, name, at)
	case name == "REPEAT":
		n.op = opRepeat
	case name == "LINEAR":
		n.op = opLinear
	case name[0] >= 'a' && name[0] <= 'z':
		n.op, n.text = opID, name
	case name == "AND" || name == "OR" || name == "NOT":
		return nil, p.fail(at, "expected a number, an id or a function, found %q", name)
	default:
		return nil, p.fail(at, "%q is no id: ids begin with a small letter; if it is a function, call it with ()", name)
	}
	return n, nil
}

func (p *parser) metrics(n *node) error {
	if err := p.next(); err != nil {
		return err
	}
	if p.kind == tokText {
		n.text = p.text
		if err := p.next(); err != nil {
			return err
		}
	}
	return p.expect(")")
}

func (p *parser) call(n *node, name string, at int) error {
	for _, f := range functions() {
		if f.name != name {
			continue
		}
		n.op = f.op
		if err := p.list(n, ")"); err != nil {
			return err
		}
		switch count := len(n.args); {
		case f.least < f.most && (count < f.least || count > f.most):
			return p.fail(at, "%s takes %d to %d arguments, not %d", name, f.least, f.most, count)
		case count < f.least || count > f.most:
			return p.fail(at, "%s takes %s, not %d", name, counted(f.least, "argument"), count)
		}
		return nil
	}
	upper := strings.ToUpper(name)
	switch {
	case name != upper && (upper == "METRICS" || isFunction(upper)):
		return p.fail(at, "unknown function %q: functions are in capitals, %s", name, upper)
	case upper == "SEARCH":
		return p.fail(at, "SEARCH makes any number of time series, and an alarm, in AWS too, judges one: name the metrics one by one")
	case upper == "ANOMALY_DETECTION_BAND":
		return p.fail(at, "anomaly detection bands are not judged: use a fixed Threshold")
	case strings.Contains(unjudged, " "+upper+" "):
		return asUnjudged(p.fail(at, "%s is not judged yet: rewrite the alarm without it", upper))
	}
	return p.fail(at, "unknown function %q", name)
}

func asUnjudged(err error) error {
	var mistake *ExprError
	if errors.As(err, &mistake) {
		mistake.Unjudged = true
	}
	return err
}

func isFunction(name string) bool {
	for _, f := range functions() {
		if f.name == name {
			return true
		}
	}
	return false
}

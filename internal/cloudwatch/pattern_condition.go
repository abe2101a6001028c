package cloudwatch

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// An expression is conditions put together with && and ||.
type expression struct {
	or    bool         // of parts: any, else all
	parts []expression // none in a condition
	is    *condition
}

// A condition compares what a selector finds with an operand.
type condition struct {
	selector selector
	op       string // = != < <= > >= IS, or NOT EXISTS
	number   float64
	numeric  bool // the operand was written as a number
	text     glob
	regex    *regex
	constant any // of IS: nil, true or false
}

// maxNesting is how deep parentheses may be.
const maxNesting = 32

// holds says whether the expression holds; find gives the values that a
// selector finds in the line.
//
// The user guide leaves open how values of different kinds compare. Here a
// condition on a selector that finds nothing, an object, an array or null does
// not hold, whatever its operator, != too; numbers compare by value with numbers
// and with texts that are numbers; a number or a boolean is compared with a text,
// or a wildcard, as it is written in the line.
func (e *expression) holds(l *line, find func(selector) []any) bool {
	if e.is != nil {
		return e.is.holds(l, find(e.is.selector))
	}
	for i := range e.parts {
		if e.parts[i].holds(l, find) == e.or {
			return e.or
		}
	}
	return !e.or
}

func (c *condition) holds(l *line, found []any) bool {
	if c.op == "NOT EXISTS" {
		return len(found) == 0
	}
	for _, v := range found {
		if c.compare(l, v) {
			return true
		}
	}
	return false
}

func (c *condition) compare(l *line, v any) bool {
	if c.op == "IS" {
		return v == c.constant
	}
	text, scalar := written(v)
	if !scalar {
		return false
	}
	if c.regex != nil {
		return c.regex.match(l, text) == (c.op == "=")
	}
	l.steps += len(text)
	number, err := strconv.ParseFloat(text, 64)
	if c.numeric && err == nil {
		switch c.op {
		case "=":
			return number == c.number
		case "!=":
			return number != c.number
		case "<":
			return number < c.number
		case "<=":
			return number <= c.number
		case ">":
			return number > c.number
		case ">=":
			return number >= c.number
		}
	}
	switch c.op {
	case "=":
		return c.text.match(l, text)
	case "!=":
		return !c.text.match(l, text)
	}
	return false // < and > with what is no number
}

// written is a scalar as it is written in the line.
func written(v any) (text string, scalar bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// expression reads conditions until a character that cannot belong to them.
// read reads one selector.
func (r *reader) expression(read func() (selector, error), depth int) (expression, error) {
	either := expression{or: true}
	for {
		both := expression{}
		for {
			part, err := r.part(read, depth)
			if err != nil {
				return expression{}, err
			}
			both.parts = append(both.parts, part)
			r.space()
			if !r.take("&&") {
				break
			}
		}
		either.parts = append(either.parts, both)
		if !r.take("||") {
			return either, nil
		}
	}
}

func (r *reader) part(read func() (selector, error), depth int) (expression, error) {
	r.space()
	if r.at('(') {
		if depth == maxNesting {
			return expression{}, r.fail("parentheses are nested more than %d deep", maxNesting)
		}
		r.pos++
		e, err := r.expression(read, depth+1)
		if err != nil {
			return expression{}, err
		}
		if !r.take(")") {
			return expression{}, r.fail("expected a closing parenthesis, && or ||")
		}
		return e, nil
	}
	from := r.pos
	s, err := read()
	if err != nil {
		return expression{}, err
	}
	c, err := r.condition(s, r.text[from:r.pos])
	return expression{is: c}, err
}

// condition reads the operator and the operand that follow a selector, which is
// written so.
func (r *reader) condition(s selector, written string) (*condition, error) {
	c := &condition{selector: s}
	r.space()
	switch {
	case r.word("IS"):
		c.op = "IS"
		return c, r.constant(c)
	case r.word("NOT"):
		r.space()
		if !r.word("EXISTS") {
			return nil, r.fail("expected EXISTS after NOT")
		}
		c.op = "NOT EXISTS"
		return c, nil
	case r.word("EXISTS"):
		return nil, r.fail(`CloudWatch Logs has NOT EXISTS but no EXISTS: write %s = "*"`, written)
	}
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if r.take(op) {
			c.op = op
			r.space()
			return c, r.operand(c)
		}
	}
	return nil, r.fail("expected =, !=, <, <=, >, >=, IS or NOT EXISTS after %s", written)
}

func (r *reader) constant(c *condition) error {
	r.space()
	switch {
	case r.word("NULL"):
	case r.word("TRUE"):
		c.constant = true
	case r.word("FALSE"):
		c.constant = false
	default:
		return r.fail("expected NULL, TRUE or FALSE after IS")
	}
	return nil
}

func (r *reader) operand(c *condition) (err error) {
	ordered := c.op != "=" && c.op != "!="
	switch {
	case r.at('%') && !ordered:
		c.regex, err = r.regex()
		return err
	case r.at('"') && !ordered:
		text, err := r.quoted()
		c.text = newGlob(text)
		return err
	}
	from := r.pos
	text := r.name("*.-+:/@#$")
	if text == "" {
		return r.fail("expected a number, a word or a text in double quotes after %s", c.op)
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) && !strings.ContainsAny(text, "xX_pP") {
		c.number, c.numeric = n, true
	}
	if ordered && !c.numeric {
		r.pos = from
		return r.fail("%s compares with a number", c.op)
	}
	c.text = newGlob(text)
	return nil
}

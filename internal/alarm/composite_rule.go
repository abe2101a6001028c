package alarm

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of AWS's PutCompositeAlarm.
const (
	maxRule     = 10_240 // characters
	maxChildren = 100    // different alarms
	// Elements are child alarms, TRUE, FALSE and parentheses. AWS does not say
	// whether the two parentheses of a pair count once; they do here, and those
	// of ALARM(x) and its like do not.
	maxElements = 500
)

// Rule is when a composite alarm goes off: ALARM(x), OK(x) and
// INSUFFICIENT_DATA(x), TRUE, FALSE and AT_LEAST, put together by NOT, AND and OR
// and parentheses. NOT binds more tightly than AND, and AND than OR.
//
// The grammar is that of the CloudWatch user guide, "Composite alarms", and of the
// API reference, PutCompositeAlarm. x is the name or the ARN of an alarm, in
// quotes or without; in quotes \" is a quote, without them there are no spaces,
// round brackets and commas. AT_LEAST(M, STATE, (x, y, ...)) holds when M of the
// alarms, or M% of them, are in the STATE, which is ALARM, OK or INSUFFICIENT_DATA
// or NOT one of them. TRUE and FALSE may be written small, as the API reference
// itself does once.
type Rule struct {
	root     *condition
	children []string
}

// RuleError is a mistake in a rule, at a column counted from 1 in characters.
type RuleError struct {
	Column int
	Text   string
}

func (e *RuleError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Text) }

// A condition is one part of a rule.
type condition struct {
	op     ruleOp
	args   []*condition // of ruleNot, ruleAnd, ruleOr
	alarms []string     // names; one of ruleIs
	state  State        // of ruleIs, ruleAtLeast
	not    bool         // of ruleAtLeast: in any other state
	least  int          // of ruleAtLeast
	share  bool         // of ruleAtLeast: least is a percentage
}

type ruleOp uint8

const (
	ruleTrue ruleOp = iota
	ruleFalse
	ruleIs
	ruleAtLeast
	ruleNot
	ruleAnd
	ruleOr
)

// ParseRule reads an AlarmRule. The error is a *RuleError.
func ParseRule(text string) (*Rule, error) {
	p := &ruleParser{text: text}
	if n := utf8.RuneCountInString(text); n > maxRule {
		return nil, &RuleError{maxRule + 1, fmt.Sprintf("the rule has %d characters; at most %d are allowed", n, maxRule)}
	}
	if !utf8.ValidString(text) {
		return nil, &RuleError{1, "the rule is not UTF-8"}
	}
	root, err := p.or()
	if err == nil {
		p.space()
		if p.at < len(text) {
			err = p.fail(p.at, "expected AND, OR or the end, found %s", p.found())
		}
	}
	if err != nil {
		var mistake *RuleError
		if !errors.As(err, &mistake) {
			panic("alarm: a rule has an error without a column: " + err.Error())
		}
		return nil, mistake
	}
	return &Rule{root, p.children}, nil
}

// Children is the names of the alarms in the rule, each once, in the order in
// which they come.
func (r *Rule) Children() []string { return r.children }

// Holds says whether the rule is met where each alarm is in that state.
func (r *Rule) Holds(state func(name string) State) bool { return r.root.holds(state) }

func (c *condition) holds(state func(name string) State) bool {
	switch c.op {
	case ruleTrue:
		return true
	case ruleFalse:
		return false
	case ruleIs:
		return state(c.alarms[0]) == c.state
	case ruleAtLeast:
		n := 0
		for _, name := range c.alarms {
			if (state(name) == c.state) != c.not {
				n++
			}
		}
		if c.share {
			return n*100 >= c.least*len(c.alarms)
		}
		return n >= c.least
	case ruleNot:
		return !c.args[0].holds(state)
	case ruleAnd:
		return !slices.ContainsFunc(c.args, func(arg *condition) bool { return !arg.holds(state) })
	case ruleOr:
		return slices.ContainsFunc(c.args, func(arg *condition) bool { return arg.holds(state) })
	}
	panic(fmt.Sprintf("alarm: unknown part of a rule %d", c.op))
}

// String writes the rule with every alarm by name and in quotes, and with no more
// parentheses than it needs.
func (r *Rule) String() string {
	var b strings.Builder
	r.root.write(&b, 0)
	return b.String()
}

// How tightly operators bind; what is none binds most.
const (
	bindsOr = iota + 1
	bindsAnd
	bindsNot
	bindsMost
)

func (c *condition) binds() int {
	switch c.op {
	case ruleOr:
		return bindsOr
	case ruleAnd:
		return bindsAnd
	case ruleNot:
		return bindsNot
	default:
		return bindsMost
	}
}

// write writes c, in parentheses where it binds less tightly than is asked for.
func (c *condition) write(b *strings.Builder, least int) {
	if c.binds() < least {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	list := func(word string) {
		for i, arg := range c.args {
			if i > 0 {
				b.WriteString(word)
			}
			arg.write(b, c.binds()+1)
		}
	}
	switch c.op {
	case ruleTrue:
		b.WriteString("TRUE")
	case ruleFalse:
		b.WriteString("FALSE")
	case ruleIs:
		b.WriteString(c.state.String() + "(" + quotedName(c.alarms[0]) + ")")
	case ruleAtLeast:
		c.writeAtLeast(b)
	case ruleNot:
		b.WriteString("NOT ")
		c.args[0].write(b, bindsNot)
	case ruleAnd:
		list(" AND ")
	case ruleOr:
		list(" OR ")
	default:
		panic(fmt.Sprintf("alarm: unknown part of a rule %d", c.op))
	}
}

func (c *condition) writeAtLeast(b *strings.Builder) {
	b.WriteString("AT_LEAST(" + strconv.Itoa(c.least))
	if c.share {
		b.WriteByte('%')
	}
	b.WriteString(", ")
	if c.not {
		b.WriteString("NOT ")
	}
	b.WriteString(c.state.String() + ", (")
	for i, name := range c.alarms {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quotedName(name))
	}
	b.WriteString("))")
}

// quotedName is a name as ParseRule reads it back: a backslash stands before a
// quote and before another backslash.
func quotedName(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// A ruleParser is a recursive descent over a rule, weakest operator first. What is
// nested costs an element or three characters, which are limited, so that it needs
// no limit of its own.
type ruleParser struct {
	text     string
	at       int // the next byte
	elements int
	children []string
}

func (p *ruleParser) fail(at int, format string, args ...any) error {
	return &RuleError{utf8.RuneCountInString(p.text[:at]) + 1, fmt.Sprintf(format, args...)}
}

func (p *ruleParser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// found is what comes next, for an error.
func (p *ruleParser) found() string {
	if p.at == len(p.text) {
		return "the end"
	}
	if word := p.peek(); word != "" {
		return strconv.Quote(word)
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return strconv.Quote(string(r))
}

// peek is the word that comes next, past spaces; empty where there is none.
func (p *ruleParser) peek() string {
	p.space()
	end := p.at
	for end < len(p.text) && (isLetter(p.text[end]) || isDigit(p.text[end])) {
		end++
	}
	return p.text[p.at:end]
}

// word takes the word that comes next if it is this one.
func (p *ruleParser) word(want string) bool {
	if p.peek() != want {
		return false
	}
	p.at += len(want)
	return true
}

func (p *ruleParser) symbol(want byte) error {
	p.space()
	if p.at == len(p.text) || p.text[p.at] != want {
		return p.fail(p.at, "expected %q, found %s", string(want), p.found())
	}
	p.at++
	return nil
}

func (p *ruleParser) element(at int) error {
	if p.elements++; p.elements > maxElements {
		return p.fail(at, "the rule has more than %d alarms, TRUE, FALSE and parentheses", maxElements)
	}
	return nil
}

func (p *ruleParser) or() (*condition, error)  { return p.joined(ruleOr, "OR", p.and) }
func (p *ruleParser) and() (*condition, error) { return p.joined(ruleAnd, "AND", p.not) }

// joined parses what stands between the same operators.
func (p *ruleParser) joined(op ruleOp, word string, part func() (*condition, error)) (*condition, error) {
	first, err := part()
	if err != nil {
		return nil, err
	}
	all := []*condition{first}
	for p.word(word) {
		next, err := part()
		if err != nil {
			return nil, err
		}
		all = append(all, next)
	}
	if len(all) == 1 {
		return first, nil
	}
	return &condition{op: op, args: all}, nil
}

func (p *ruleParser) not() (*condition, error) {
	if !p.word("NOT") {
		return p.primary()
	}
	arg, err := p.not()
	return &condition{op: ruleNot, args: []*condition{arg}}, err
}

func (p *ruleParser) primary() (*condition, error) {
	word := p.peek()
	at := p.at
	switch word {
	case "":
		if p.at == len(p.text) || p.text[p.at] != '(' {
			return nil, p.fail(p.at, "expected ALARM(...), OK(...), INSUFFICIENT_DATA(...), AT_LEAST(...), TRUE, FALSE, NOT or \"(\", found %s", p.found())
		}
		if err := p.element(at); err != nil {
			return nil, err
		}
		p.at++
		inner, err := p.or()
		if err == nil {
			err = p.symbol(')')
		}
		return inner, err
	case "TRUE", "true":
		p.at += len(word)
		return &condition{op: ruleTrue}, p.element(at)
	case "FALSE", "false":
		p.at += len(word)
		return &condition{op: ruleFalse}, p.element(at)
	case "AT_LEAST":
		p.at += len(word)
		return p.atLeast()
	}
	state, err := ParseState(word)
	if err != nil {
		return nil, p.fail(at, "unknown word %q: want ALARM(...), OK(...), INSUFFICIENT_DATA(...), AT_LEAST(...), TRUE, FALSE or NOT, in capitals", shortened(word))
	}
	p.at += len(word)
	if err := p.symbol('('); err != nil {
		return nil, err
	}
	name, err := p.alarm()
	if err == nil {
		err = p.symbol(')')
	}
	return &condition{op: ruleIs, state: state, alarms: []string{name}}, err
}

// alarm parses a reference to an alarm.
func (p *ruleParser) alarm() (string, error) {
	p.space()
	at := p.at
	reference, err := p.reference()
	if err != nil {
		return "", err
	}
	name := nameOf(reference)
	if problem := wrongName(name); problem != "" {
		return "", p.fail(at, "the name of an alarm: %s", problem)
	}
	if !slices.Contains(p.children, name) {
		if p.children = append(p.children, name); len(p.children) > maxChildren {
			return "", p.fail(at, "the rule names more than %d alarms", maxChildren)
		}
	}
	return name, p.element(at)
}

func (p *ruleParser) reference() (string, error) {
	at := p.at
	if at < len(p.text) && p.text[at] == '"' {
		var b strings.Builder
		for i := at + 1; i < len(p.text); i++ {
			switch c := p.text[i]; {
			case c == '"':
				p.at = i + 1
				return b.String(), nil
			case c == '\\' && i+1 < len(p.text) && (p.text[i+1] == '"' || p.text[i+1] == '\\'):
				i++
				b.WriteByte(p.text[i])
			default:
				b.WriteByte(c)
			}
		}
		return "", p.fail(at, "this quote is never closed")
	}
	end := at
	for end < len(p.text) && strings.IndexByte(" \t\r\n(),\"", p.text[end]) < 0 {
		end++
	}
	if end == at {
		return "", p.fail(at, "expected the name or the ARN of an alarm, found %s", p.found())
	}
	p.at = end
	return p.text[at:end], nil
}

func (p *ruleParser) atLeast() (*condition, error) {
	c := &condition{op: ruleAtLeast}
	if err := p.symbol('('); err != nil {
		return nil, err
	}
	digits := p.peek()
	at := p.at
	p.at += len(digits)
	var err error
	if c.least, err = strconv.Atoi(digits); err != nil {
		return nil, p.fail(at, "expected how many alarms, such as 2 or 50%%, found %q", shortened(digits))
	}
	if p.at < len(p.text) && p.text[p.at] == '%' {
		c.share = true
		p.at++
	}
	if err := p.symbol(','); err != nil {
		return nil, err
	}
	c.not = p.word("NOT")
	word := p.peek()
	if c.state, err = ParseState(word); err != nil {
		return nil, p.fail(p.at, "expected ALARM, OK or INSUFFICIENT_DATA, or NOT and one of them, found %s", p.found())
	}
	p.at += len(word)
	if err := p.symbol(','); err != nil {
		return nil, err
	}
	if err := p.symbol('('); err != nil {
		return nil, err
	}
	for {
		name, err := p.alarm()
		if err != nil {
			return nil, err
		}
		c.alarms = append(c.alarms, name)
		if p.space(); p.at < len(p.text) && p.text[p.at] == ',' {
			p.at++
			continue
		}
		break
	}
	if err := p.symbol(')'); err != nil {
		return nil, err
	}
	most, unit := len(c.alarms), " of its alarms"
	if c.share {
		most, unit = 100, "%"
	}
	if c.least < 1 || c.least > most {
		return nil, p.fail(at, "AT_LEAST(%d) can never decide: want 1 to %d%s", c.least, most, unit)
	}
	return c, p.symbol(')')
}

package cloudwatch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// columns is a pattern in brackets: names for the words of a line, some with a
// condition.
type columns struct {
	names    []string // "..." for any number of columns; empty: one without a name
	wheres   []expression
	ellipsis int  // index of "..."; -1: none
	rest     bool // the last column takes what is left of the line
}

// maxColumns is how many columns a pattern may have.
const maxColumns = 128

// parseColumns reads a pattern in brackets.
func (p *Pattern) parseColumns(text string) error {
	r := reader{text: text, pos: 1}
	c := &columns{ellipsis: -1}
	for {
		if err := c.column(&r); err != nil {
			return err
		}
		r.space()
		if r.take(",") {
			continue
		}
		if !r.take("]") {
			return r.fail("expected a comma or a closing bracket")
		}
		break
	}
	if r.space(); !r.end() {
		return r.fail("nothing may follow the closing bracket")
	}
	for _, where := range c.wheres {
		if unknown := where.unknown(c.names); unknown != "" {
			return fmt.Errorf("there is no column %q", unknown)
		}
	}
	p.columns, p.regexes = c, r.regexes
	p.matches = func(l *line) bool {
		words, ok := c.split(l)
		if !ok {
			return false
		}
		find := func(s selector) []any { return c.find(l, words, s[0].name) }
		for i := range c.wheres {
			if !c.wheres[i].holds(l, find) {
				return false
			}
		}
		return true
	}
	return nil
}

func (c *columns) column(r *reader) error {
	r.space()
	if len(c.names) == maxColumns {
		return r.fail("has more than %d columns", maxColumns)
	}
	if r.take("...") {
		if c.ellipsis >= 0 {
			return r.fail("has ... twice")
		}
		c.ellipsis = len(c.names)
		c.names = append(c.names, "...")
		return nil
	}
	from := r.pos
	name := r.name("-")
	r.space()
	c.rest = (name != "" || len(c.names) > 0 || r.at(',')) && (r.at(',') || r.at(']'))
	if !c.rest {
		r.pos = from
		where, err := r.expression(r.column, 0)
		if err != nil {
			return err
		}
		c.wheres = append(c.wheres, where)
		name = where.first()
	}
	if name != "" && slices.Contains(c.names, name) {
		return r.fail("has the column %q twice", name)
	}
	c.names = append(c.names, name)
	return nil
}

// column reads the name of a column as a selector.
func (r *reader) column() (selector, error) {
	r.space()
	name := r.name("-")
	if name == "" {
		return nil, r.fail("expected the name of a column, or ...")
	}
	return selector{{name: name, index: -1}}, nil
}

// first is the column that the expression names first.
func (e *expression) first() string {
	for e.is == nil {
		e = &e.parts[0]
	}
	return e.is.selector[0].name
}

// unknown is a name in the expression that is no column.
func (e *expression) unknown(names []string) string {
	if e.is != nil && !slices.Contains(names, e.is.selector[0].name) {
		return e.is.selector[0].name
	}
	for i := range e.parts {
		if name := e.parts[i].unknown(names); name != "" {
			return name
		}
	}
	return ""
}

// split gives each column its word, in the order of names. What stands in
// brackets or in double quotes is one word, without them. There must be a word
// for each column, and no other; but ... takes any number of words, and a last
// column without a condition takes the rest of the line, as in the user guide's
// [w1=ERROR, w2].
func (c *columns) split(l *line) ([]string, bool) {
	n := len(c.names)
	s := splitter{text: l.text}
	defer func() { l.steps += s.steps }()
	if c.ellipsis < 0 {
		words := make([]string, 0, n)
		for len(words) < n {
			before := s.text
			word, ok := s.next()
			if !ok {
				return nil, false
			}
			if len(words) == n-1 && s.text != "" {
				if !c.rest {
					return nil, false
				}
				word = strings.TrimSpace(before)
			}
			words = append(words, word)
		}
		return words, true
	}
	all := s.all()
	if len(all) < n-1 {
		return nil, false
	}
	words := append(all[:c.ellipsis:c.ellipsis], "")
	return append(words, all[len(all)-(n-1-c.ellipsis):]...), true
}

// find is the word of the column with that name.
func (c *columns) find(l *line, words []string, name string) []any {
	l.steps += len(c.names)
	if i := slices.Index(c.names, name); i >= 0 && i != c.ellipsis {
		return []any{words[i]}
	}
	return nil
}

// extract gives the words of a line that matches, by name or number.
func (c *columns) extract(l *line) map[string]string {
	words, _ := c.split(l)
	names := c.names
	if c.ellipsis >= 0 { // those that ... took have no name
		s := splitter{text: l.text}
		words = s.all()
		names = slices.Concat(c.names[:c.ellipsis], make([]string, len(words)-len(c.names)+1), c.names[c.ellipsis+1:])
	}
	values := make(map[string]string, len(words))
	for i, word := range words {
		name := names[i]
		if name == "" {
			name = strconv.Itoa(i + 1)
		}
		values["$"+name] = word
	}
	return values
}

// A splitter cuts a line into words, from the left.
type splitter struct {
	text  string // what is left, without space in front
	open  string // the closing characters that are not in it any more
	steps int
}

// next cuts the first word off. It is not ok at the end.
func (s *splitter) next() (word string, ok bool) {
	const space = " \t\r\n"
	if s.text = strings.TrimLeft(s.text, space); s.text == "" {
		return "", false
	}
	before := len(s.text)
	closing := ""
	switch s.text[0] {
	case '"':
		closing = `"`
	case '[':
		closing = "]"
	}
	if closing != "" && !strings.Contains(s.open, closing) {
		word, rest, ok := strings.Cut(s.text[1:], closing)
		if ok {
			s.text = strings.TrimLeft(rest, space)
			s.steps += before - len(s.text)
			return word, true
		}
		s.open += closing // or each bracket would search the line to its end
		s.steps += before
	}
	word, rest := s.text, ""
	if n := strings.IndexAny(s.text, space); n >= 0 {
		word, rest = s.text[:n], strings.TrimLeft(s.text[n:], space)
	}
	s.text = rest
	s.steps += before - len(rest)
	return word, true
}

func (s *splitter) all() []string {
	var all []string
	for {
		word, ok := s.next()
		if !ok {
			return all
		}
		all = append(all, word)
	}
}

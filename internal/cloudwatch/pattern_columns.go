package cloudwatch

import (
	"fmt"
	"slices"
	"strings"
)

// columns is a pattern in brackets: names for the words of a line, some with a
// condition.
type columns struct {
	names    []string // "..." for any number of columns
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
	p.columns = c
	p.matches = func(l *line) bool {
		words, ok := c.split(l.text)
		if !ok {
			return false
		}
		find := func(s selector) []any { return c.find(words, s[0].name) }
		for i := range c.wheres {
			if !c.wheres[i].holds(find) {
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
	c.rest = name != "" && (r.at(',') || r.at(']'))
	if !c.rest {
		r.pos = from
		where, err := r.expression(r.column, 0)
		if err != nil {
			return err
		}
		c.wheres = append(c.wheres, where)
		name = where.first()
	}
	if slices.Contains(c.names, name) {
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
func (c *columns) split(text string) ([]string, bool) {
	n := len(c.names)
	if c.ellipsis < 0 {
		words := make([]string, 0, n)
		for len(words) < n {
			word, rest, ok := nextWord(text)
			if !ok {
				return nil, false
			}
			if len(words) == n-1 && rest != "" {
				if !c.rest {
					return nil, false
				}
				word = strings.TrimSpace(text)
			}
			words, text = append(words, word), rest
		}
		return words, true
	}
	var all []string
	for {
		word, rest, ok := nextWord(text)
		if !ok {
			break
		}
		all, text = append(all, word), rest
	}
	if len(all) < n-1 {
		return nil, false
	}
	words := append(all[:c.ellipsis:c.ellipsis], "")
	return append(words, all[len(all)-(n-1-c.ellipsis):]...), true
}

// find is the word of the column with that name.
func (c *columns) find(words []string, name string) []any {
	if i := slices.Index(c.names, name); i >= 0 && i != c.ellipsis {
		return []any{words[i]}
	}
	return nil
}

// nextWord cuts the first word off text. It is not ok at the end.
func nextWord(text string) (word, rest string, ok bool) {
	const space = " \t\r\n"
	text = strings.TrimLeft(text, space)
	if text == "" {
		return "", "", false
	}
	closing := ""
	switch text[0] {
	case '"':
		closing = `"`
	case '[':
		closing = "]"
	}
	if word, rest, ok := strings.Cut(text[1:], closing); ok && closing != "" {
		return word, strings.TrimLeft(rest, space), true
	}
	if n := strings.IndexAny(text, space); n >= 0 {
		return text[:n], strings.TrimLeft(text[n:], space), true
	}
	return text, "", true
}

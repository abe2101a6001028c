package cloudwatch

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
)

// A selector is a way into a JSON object, such as $.users[0].email, or the name
// of a column.
type selector []step

// A step goes to a member of an object, or to an element of an array.
type step struct {
	name  string
	index int // -1: a member
	all   bool
}

// Limits of AWS on the wildcards of a pattern.
const (
	maxWildcards         = 3
	maxSelectorWildcards = 1
)

func (s selector) String() string {
	var b strings.Builder
	b.WriteByte('$')
	for _, step := range s {
		switch {
		case step.index < 0 && step.all:
			b.WriteString(".*")
		case step.all:
			b.WriteString("[*]")
		case step.index >= 0:
			b.WriteString("[" + strconv.Itoa(step.index) + "]")
		case strings.Contains(step.name, "."):
			b.WriteString(".['" + step.name + "']")
		default:
			b.WriteString("." + step.name)
		}
	}
	return b.String()
}

func (s selector) wildcards() int {
	n := 0
	for _, step := range s {
		if step.all {
			n++
		}
	}
	return n
}

// parseJSON reads a pattern in braces.
func (p *Pattern) parseJSON(text string) error {
	r := reader{text: text, pos: 1}
	wildcards := 0
	e, err := r.expression(func() (selector, error) {
		s, err := r.selector()
		if wildcards += s.wildcards(); err == nil && wildcards > maxWildcards {
			err = r.fail("has more than %d wildcards in its selectors", maxWildcards)
		}
		return s, err
	}, 0)
	if err != nil {
		return err
	}
	if !r.take("}") {
		return r.fail("expected &&, || or a closing brace")
	}
	if r.space(); !r.end() {
		return r.fail("nothing may follow the closing brace")
	}
	p.regexes = r.regexes
	p.matches = func(l *line) bool { return l.json() != nil && e.holds(l, l.find) }
	return nil
}

// parseSelector reads a selector that stands alone, as a metric's value.
func parseSelector(text string) (selector, error) {
	r := reader{text: text}
	s, err := r.selector()
	if err == nil && !r.end() {
		err = r.fail("the selector ends early")
	}
	return s, err
}

// selector reads $.name.name[0][*].* and .['name with.period'].
func (r *reader) selector() (selector, error) {
	r.space()
	if !r.take("$") {
		return nil, r.fail("expected a selector such as $.level")
	}
	var s selector
	for {
		switch {
		case r.take(".*"):
			s = append(s, step{index: -1, all: true})
		case r.take(".['"), r.take("['"):
			name := r.until("'")
			if !r.take("']") {
				return nil, r.fail("expected '] after a name")
			}
			s = append(s, step{name: name, index: -1})
		case r.take("[*]"):
			s = append(s, step{all: true})
		case r.take("["):
			digits := r.until("]")
			index, err := strconv.ParseUint(digits, 10, 31)
			if err != nil || !r.take("]") {
				return nil, r.fail("expected the number of an element, or *, and ]")
			}
			s = append(s, step{index: int(index)})
		case r.take("."):
			name := r.name("-")
			if name == "" {
				return nil, r.fail("expected a name after the period")
			}
			s = append(s, step{name: name, index: -1})
		case len(s) == 0:
			return nil, r.fail("expected a period after $")
		default:
			if s.wildcards() > maxSelectorWildcards {
				return nil, r.fail("%s has more than %d wildcard", s, maxSelectorWildcards)
			}
			return s, nil
		}
	}
}

// json is the line as a JSON object; nil if it is none.
func (l *line) json() any {
	if l.parsed {
		return l.object
	}
	l.parsed = true
	l.steps += len(l.text)
	text := strings.TrimSpace(l.text)
	if !strings.HasPrefix(text, "{") {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var object map[string]any
	if d.Decode(&object) != nil || object == nil {
		return nil
	}
	if _, err := d.Token(); err != io.EOF {
		return nil
	}
	l.object = object
	return object
}

// find gives the values that s finds in the line; null is a value.
func (l *line) find(s selector) []any {
	found := []any{l.json()}
	for _, step := range s {
		var next []any
		for _, v := range found {
			next = step.from(v, next)
		}
		l.steps += 1 + len(next)
		found = next
	}
	return found
}

// from appends what the step finds in v.
func (s step) from(v any, found []any) []any {
	switch v := v.(type) {
	case map[string]any:
		if s.index < 0 && s.all {
			for _, member := range v { // in any order: one that fits is enough
				found = append(found, member)
			}
		} else if member, ok := v[s.name]; ok && s.index < 0 {
			found = append(found, member)
		}
	case []any:
		if s.index >= 0 && s.all {
			return append(found, v...)
		}
		if s.index >= 0 && s.index < len(v) {
			found = append(found, v[s.index])
		}
	}
	return found
}

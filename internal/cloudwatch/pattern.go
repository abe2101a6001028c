package cloudwatch

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Pattern is a filter pattern of CloudWatch Logs. It is safe for concurrent
// use. Matching takes time in proportion to the line times the pattern, where a
// regular expression counts as the instructions it is made of (see maxRegexSize).
//
// The rules are those of the user guide, "Filter pattern syntax for metric
// filters": terms (ERROR "exact phrase" -excluded ?either ?or), at most two
// %regex%, conditions on JSON lines ({ $.status >= 500 && $.path != "/health*" })
// and on words ([ip, user, ..., status = 5*, bytes]). Where that page leaves a
// choice, see expression.holds, columns.split and glob.
type Pattern struct {
	text    string
	matches func(*line) bool
	columns *columns // of a pattern in brackets
	regexes int      // how many regular expressions it has
}

// maxPattern is AWS's limit for the length of a pattern, in characters.
const maxPattern = 1024

// ParsePattern reads a filter pattern. The error says what is wrong and where.
func ParsePattern(text string) (*Pattern, error) {
	p := &Pattern{text: text}
	var err error
	trimmed := strings.TrimSpace(text)
	switch {
	case utf8.RuneCountInString(text) > maxPattern:
		err = fmt.Errorf("has %d characters; at most %d are allowed", utf8.RuneCountInString(text), maxPattern)
	case !utf8.ValidString(text):
		err = fmt.Errorf("is not UTF-8")
	case strings.HasPrefix(trimmed, "{"):
		err = p.parseJSON(trimmed)
	case strings.HasPrefix(trimmed, "["):
		err = p.parseColumns(trimmed)
	default:
		err = p.parseTerms(trimmed)
	}
	if err != nil {
		return nil, fmt.Errorf("filter pattern %q: %w", text, err)
	}
	return p, nil
}

// String is the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// Match says whether the pattern matches a line of log.
func (p *Pattern) Match(text string) bool { return p.matches(&line{text: text}) }

// Extract gives the values of a line's columns, as TestMetricFilter shows them:
// by "$" and the name of the column, or its number from 1 where it has no name.
// Only patterns in brackets extract values; others, and a line that does not
// match, give nothing.
func (p *Pattern) Extract(text string) map[string]string {
	l := &line{text: text}
	if p.columns == nil || !p.matches(l) {
		return map[string]string{}
	}
	return p.columns.extract(l)
}

// A line is one log event, taken apart as far as patterns asked for it.
type line struct {
	text   string
	parsed bool
	object any // of JSON; nil: the line is no JSON object
	steps  int // what was spent on it: bytes looked at, times the instructions of a regular expression
}

// parseTerms reads a pattern of words.
func (p *Pattern) parseTerms(text string) error {
	var all, none, any []term
	r := reader{text: text}
	for r.space(); !r.end(); r.space() {
		list := &all
		switch {
		case r.take("-"):
			list = &none
		case r.take("?"):
			list = &any
		}
		term, err := r.term()
		if err != nil {
			return err
		}
		*list = append(*list, term)
	}
	if len(all)+len(none) > 0 {
		any = nil // combined with other terms, they are ignored, says the user guide
	}
	p.regexes = r.regexes
	p.matches = func(l *line) bool {
		for _, in := range all {
			if !in(l) {
				return false
			}
		}
		for _, in := range none {
			if in(l) {
				return false
			}
		}
		for _, in := range any {
			if in(l) {
				return true
			}
		}
		return len(any) == 0
	}
	return nil
}

// A term says whether it is in a line.
type term func(*line) bool

func phrase(text string) term {
	return func(l *line) bool {
		l.steps += len(l.text) + len(text)
		return strings.Contains(l.text, text)
	}
}

// term reads one term of a pattern of words.
func (r *reader) term() (term, error) {
	switch {
	case r.at('%'):
		re, err := r.regex()
		if err != nil {
			return nil, err
		}
		return func(l *line) bool { return re.match(l, l.text) }, nil
	case r.at('"'):
		text, err := r.quoted()
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(text) == "" { // " " matches every line
			text = ""
		}
		return phrase(text), nil
	}
	word := r.until(" \t\r\n")
	if word == "" {
		return nil, r.fail("a term is missing")
	}
	for _, c := range word {
		if !isWord(c) {
			return nil, fmt.Errorf("invalid character %q in term %q: put terms with other characters than letters, digits and _ in double quotes", c, word)
		}
	}
	return phrase(word), nil
}

package cloudwatch

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Pattern is a filter pattern of CloudWatch Logs. It is safe for concurrent
// use. Matching takes time in proportion to the line times the pattern.
//
// The rules are those of the user guide, "Filter pattern syntax for metric
// filters": terms (ERROR "exact phrase" -excluded ?either ?or), one %regex%,
// conditions on JSON lines ({ $.status >= 500 && $.path != "/health*" }) and
// on words ([ip, user, ..., status = 5*, bytes]). Where that page leaves a
// choice, see condition.holds and columns.split.
type Pattern struct {
	text    string
	matches func(*line) bool
	columns *columns // of a pattern in brackets
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

// A line is one log event, taken apart as far as patterns asked for it.
type line struct {
	text   string
	parsed bool
	object any // of JSON; nil: the line is no JSON object
}

// parseTerms reads a pattern of words.
func (p *Pattern) parseTerms(text string) error {
	var all, none, any []func(string) bool
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
	p.matches = func(l *line) bool {
		for _, term := range all {
			if !term(l.text) {
				return false
			}
		}
		for _, term := range none {
			if term(l.text) {
				return false
			}
		}
		for _, term := range any {
			if term(l.text) {
				return true
			}
		}
		return len(any) == 0
	}
	return nil
}

// term reads one term of a pattern of words.
func (r *reader) term() (func(string) bool, error) {
	switch {
	case r.at('%'):
		re, err := r.regex()
		if err != nil {
			return nil, err
		}
		return re.MatchString, nil
	case r.at('"'):
		phrase, err := r.quoted()
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(phrase) == "" { // " " matches every line
			return func(string) bool { return true }, nil
		}
		return func(text string) bool { return strings.Contains(text, phrase) }, nil
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
	return func(text string) bool { return strings.Contains(text, word) }, nil
}

package cloudwatch

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A reader takes a filter pattern apart, from left to right.
type reader struct {
	text string
	pos  int
}

func (r *reader) end() bool      { return r.pos >= len(r.text) }
func (r *reader) at(c byte) bool { return r.pos < len(r.text) && r.text[r.pos] == c }

// take goes past text, if it comes next.
func (r *reader) take(text string) bool {
	if strings.HasPrefix(r.text[r.pos:], text) {
		r.pos += len(text)
		return true
	}
	return false
}

// word goes past a keyword, in any case, if it comes next.
func (r *reader) word(keyword string) bool {
	rest := r.text[r.pos:]
	if len(rest) < len(keyword) || !strings.EqualFold(rest[:len(keyword)], keyword) {
		return false
	}
	if next, _ := utf8.DecodeRuneInString(rest[len(keyword):]); len(rest) > len(keyword) && isWord(next) {
		return false
	}
	r.pos += len(keyword)
	return true
}

func (r *reader) space() {
	for r.pos < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.pos]) >= 0 {
		r.pos++
	}
}

// until goes on to the first of those characters, or to the end.
func (r *reader) until(stops string) string {
	from := r.pos
	if n := strings.IndexAny(r.text[from:], stops); n >= 0 {
		r.pos += n
	} else {
		r.pos = len(r.text)
	}
	return r.text[from:r.pos]
}

// name goes past letters, digits and the other characters given.
func (r *reader) name(others string) string {
	from := r.pos
	for r.pos < len(r.text) {
		c, n := utf8.DecodeRuneInString(r.text[r.pos:])
		if !isWord(c) && !strings.ContainsRune(others, c) {
			break
		}
		r.pos += n
	}
	return r.text[from:r.pos]
}

// quoted reads a text in double quotes, in which \ escapes the next character.
func (r *reader) quoted() (string, error) {
	var b strings.Builder
	for i := r.pos + 1; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.pos = i + 1
			return b.String(), nil
		case c == '\\' && i+1 < len(r.text):
			i++
			b.WriteByte(r.text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", r.fail("the double quote is not closed")
}

// regex reads a regular expression between percent signs. Those of CloudWatch
// know neither groups nor most symbols; Go's take linear time.
func (r *reader) regex() (*regexp.Regexp, error) {
	from := r.pos + 1
	n := strings.IndexByte(r.text[from:], '%')
	if n < 0 {
		return nil, r.fail("the regular expression is not closed with %%")
	}
	text := r.text[from : from+n]
	for i, c := range text {
		escaped := i > 0 && text[i-1] == '\\'
		if c >= utf8.RuneSelf || !isWord(c) && !strings.ContainsRune(`:#=@/;,-^$?[]{}|\*+. `, c) && !escaped {
			return nil, r.fail("the regular expression %%%s%% has %q, which CloudWatch Logs does not allow there", text, c)
		}
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, r.fail("the regular expression %%%s%% is wrong: %v", text, err)
	}
	r.pos = from + n + 1
	return re, nil
}

// fail says what is wrong at the present position.
func (r *reader) fail(format string, args ...any) error {
	near := r.text[r.pos:]
	if len(near) > 20 {
		near = near[:20] + "..."
	}
	if near == "" {
		return fmt.Errorf("%s, at the end", fmt.Sprintf(format, args...))
	}
	return fmt.Errorf("%s, at character %d (%q)", fmt.Sprintf(format, args...), utf8.RuneCountInString(r.text[:r.pos])+1, near)
}

func isWord(c rune) bool { return c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) }

// A glob is a text in which * stands for any characters, or none.
type glob []string // the pieces between the stars

func newGlob(text string) glob { return strings.Split(text, "*") }

func (g glob) match(text string) bool {
	if len(g) == 1 {
		return text == g[0]
	}
	first, last := g[0], g[len(g)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, piece := range g[1 : len(g)-1] {
		i := strings.Index(text, piece)
		if i < 0 {
			return false
		}
		text = text[i+len(piece):]
	}
	return true
}

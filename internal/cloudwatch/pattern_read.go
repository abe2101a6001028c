package cloudwatch

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A reader takes a filter pattern apart, from left to right.
type reader struct {
	text    string
	pos     int
	regexes int // how many were read
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

// Limits on regular expressions: AWS's on how many a pattern may have, and our own
// on how many instructions one may come to, since a{1000} is short and large. Any
// expression that fits into a pattern stays below it, unless it counts.
const (
	maxRegexes   = 2
	maxRegexSize = maxPattern + 200
)

// A regex is a regular expression, with the number of its instructions. Go's take
// linear time: each instruction at most once for each byte of the text.
type regex struct {
	*regexp.Regexp
	size int
}

func (re *regex) match(l *line, text string) bool {
	l.steps += re.size * (len(text) + 1)
	return re.MatchString(text)
}

// regex reads a regular expression between percent signs.
func (r *reader) regex() (*regex, error) {
	from := r.pos + 1
	n := strings.IndexByte(r.text[from:], '%')
	if n < 0 {
		return nil, r.fail("the regular expression is not closed with %%")
	}
	if r.regexes++; r.regexes > maxRegexes {
		return nil, r.fail("has more than %d regular expressions", maxRegexes)
	}
	text := r.text[from : from+n]
	written, err := goRegex(text)
	if err != nil {
		return nil, r.fail("the regular expression %%%s%% %v", text, err)
	}
	parsed, err := syntax.Parse(written, syntax.Perl)
	if err != nil {
		return nil, r.fail("the regular expression %%%s%% is wrong: %v", text, err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, r.fail("the regular expression %%%s%% is wrong: %v", text, err)
	}
	if len(program.Inst) > maxRegexSize {
		return nil, r.fail("the regular expression %%%s%% is too large: it comes to %d instructions, at most %d are allowed; count to less",
			text, len(program.Inst), maxRegexSize)
	}
	r.pos = from + n + 1
	return &regex{regexp.MustCompile(written), len(program.Inst)}, nil
}

// goRegex is a regular expression of CloudWatch Logs as Go writes it. Those of
// CloudWatch Logs have neither groups nor most symbols, and of the escapes \d \D
// \s \S \w \W, \xhh and those of symbols; {,n} is at most n, as {0,n}.
func goRegex(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c >= utf8.RuneSelf:
			return "", errors.New("has a character of several bytes, which CloudWatch Logs does not allow there")
		case c == '\\':
			if i++; i == len(text) {
				return "", errors.New("ends with a backslash")
			}
			switch c := text[i]; {
			case c >= utf8.RuneSelf || isWord(rune(c)) && !strings.ContainsRune("dDsSwWx_", rune(c)):
				return "", fmt.Errorf("has \\%c, which CloudWatch Logs does not know", c)
			case c == 'x' && (i+2 >= len(text) || !isHex(text[i+1]) || !isHex(text[i+2])):
				return "", errors.New("has \\x without two hexadecimal digits")
			case c == '_':
				b.WriteByte(c)
				continue
			}
			b.WriteByte(c)
			b.WriteByte(text[i])
		case c == '{' && strings.HasPrefix(text[i:], "{,"):
			b.WriteString("{0")
		case isWord(rune(c)) || strings.IndexByte(`:#=@/;,-^$?[]{}|*+. `, c) >= 0:
			b.WriteByte(c)
		default:
			return "", fmt.Errorf("has %q, which CloudWatch Logs does not allow there", c)
		}
	}
	return b.String(), nil
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

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

// A glob is a text in which a * at the start and at the end stands for any
// characters, or none. One in the middle is a star: Ev*ent matches Ev*ent alone,
// says the user guide.
type glob struct {
	text          string
	before, after bool // a star there
}

func newGlob(text string) glob {
	end := strings.TrimRight(text, "*")
	core := strings.TrimLeft(end, "*")
	if core == "" && text != "" { // stars and nothing else
		return glob{before: true, after: true}
	}
	return glob{text: core, before: len(core) < len(end), after: len(end) < len(text)}
}

func (g glob) match(l *line, text string) bool {
	l.steps += len(text) + len(g.text)
	switch {
	case g.before && g.after:
		return strings.Contains(text, g.text)
	case g.before:
		return strings.HasSuffix(text, g.text)
	case g.after:
		return strings.HasPrefix(text, g.text)
	}
	return text == g.text
}

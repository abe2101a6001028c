package report

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// columnsOf is how many columns of a terminal a letter takes: 2 for a wide one, as
// Japanese ones are, 0 for a mark on the letter before, else 1.
func columnsOf(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

// columns is how wide s is.
func columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// cut shortens s to at most cols columns.
func cut(s string, cols int) string {
	n := 0
	for i, r := range s {
		if n += columnsOf(r); n > cols {
			return s[:i]
		}
	}
	return s
}

// pad makes s exactly n columns wide; what is cut off shows as two dots.
func pad(s string, n int) string {
	if columns(s) > n {
		s = cut(s, n-2) + ".."
	}
	return s + strings.Repeat(" ", max(0, n-columns(s)))
}

// clean has no control characters: what a program prints may hold escape codes.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
}

// wrap breaks s into lines of at most cols columns, the second and later ones
// indented by hang: between words, and between wide letters, which have no spaces
// between them. A word that is longer than a line, such as a path, stays whole.
func wrap(s, hang string, cols int) (lines []string) {
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimRight(line, " "); len(lines) > 0 {
			line = hang + line
		}
		for columns(line) > cols {
			at := breakAt(line, cols)
			if at < 0 {
				break
			}
			lines = append(lines, strings.TrimRight(line[:at], " "))
			line = hang + strings.TrimLeft(line[at:], " ")
		}
		lines = append(lines, line)
	}
	return lines
}

// breakAt is the last place within cols columns at which a line may be broken, or
// else the first one beyond; -1 for none.
func breakAt(line string, cols int) int {
	n, at := 0, -1
	text := false // whether there was anything but the indent
	before := 0   // columns of the letter before
	for i, r := range line {
		if text && (r == ' ' || before == 2 && columnsOf(r) == 2 && !strings.ContainsRune(noStart, r)) {
			if n > cols && at >= 0 {
				return at
			}
			if at = i; n > cols {
				return at
			}
		}
		text = text || r != ' '
		n += columnsOf(r)
		before = columnsOf(r)
	}
	return at
}

// noStart may not begin a line in Japanese.
const noStart = "、。，．）」』】！？ーっゃゅょッャュョ：；"

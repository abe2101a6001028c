package lang

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

// Columns is how many columns of a terminal s takes.
func Columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// Cut shortens s to at most cols columns.
func Cut(s string, cols int) string {
	n := 0
	for i, r := range s {
		if n += columnsOf(r); n > cols {
			return s[:i]
		}
	}
	return s
}

// Pad makes s exactly n columns wide; what is cut off shows as two dots.
func Pad(s string, n int) string {
	if Columns(s) > n {
		s = Cut(s, n-2) + ".."
	}
	return s + strings.Repeat(" ", max(0, n-Columns(s)))
}

// Clean has no control characters: what a program prints may hold escape codes.
func Clean(s string) string {
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

// Wrap breaks s into lines of at most cols columns, the second and later ones
// indented by hang: between words, and between wide letters, which have no spaces
// between them. A word that is longer than a line, such as a path, stays whole.
func Wrap(s, hang string, cols int) (lines []string) {
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimRight(line, " "); len(lines) > 0 {
			line = hang + line
		}
		for Columns(line) > cols {
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

// Paragraph is text in lines of at most cols columns, each indented and ended.
func Paragraph(indent string, cols int, text string) string {
	return strings.Join(Wrap(indent+strings.Join(strings.Fields(text), " "), indent, cols), "\n") + "\n"
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

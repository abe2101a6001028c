package page

import (
	"fmt"
	"html/template"
	"regexp"
	"strings"
	"time"

	"rehearsal/internal/chart"
	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/live"
)

// colours are the escape sequences by which programs colour what they print.
var colours = regexp.MustCompile("\x1b\\[[0-9;:]*[A-Za-z]")

func (v *view) funcs() template.FuncMap {
	l := v.Lang
	return template.FuncMap{
		"t":     func(format string, args ...any) string { return l.Sprintf(format, args...) },
		"text":  l.Text,
		"lang":  func() string { return string(l) },
		"say":   func(n Note) string { return n.Say(l) },
		"dur":   func(d time.Duration) string { return duration(l, d) },
		"clock": func(at, origin time.Duration) string { return chart.Clock(at - origin) },
		"num":   func(n int64) string { return thousands(n) },
		"nums":  func(n int) string { return thousands(n) },
		"sign":  sign,
		"class": class,
		"word":  func(verdict string) string { return word(l, verdict) },
		"stage": func(name string) string { return l.Text(name) },
		"when":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"short": func(s string) string { return s[:min(len(s), 12)] },
		"line":  func(s string) string { return cut(colours.ReplaceAllString(s, ""), 600) },
		"percent": func(m check.Measures) string {
			p := m.FailedShare()
			if p > 0 && p < 0.05 {
				return "<0.1 %"
			}
			return fmt.Sprintf("%.1f %%", p)
		},
		"strip":   func(past []Past) template.HTML { return strip(past, l) },
		"join":    strings.Join,
		"heading": func(rule string) int { return map[bool]int{true: 4, false: 5}[rule == ""] },
		"add":     func(a, b int) int { return a + b },
	}
}

func duration(l lang.Lang, d time.Duration) string {
	if d < time.Second {
		return l.Sprintf("%d ms", max(d, 0).Milliseconds())
	}
	return live.Duration(l, d)
}

func sign(verdict string) string {
	switch verdict {
	case passed:
		return "✓"
	case failed:
		return "✗"
	case inconclusive:
		return "?"
	case notEnded:
		return "…"
	case "":
		return "–"
	}
	return "•"
}

// class is the verdict as a word of the style sheet's.
func class(verdict string) string {
	switch verdict {
	case passed, failed, inconclusive:
		return verdict
	case notEnded:
		return "half"
	case "":
		return "none"
	}
	return "inconclusive"
}

func word(l lang.Lang, verdict string) string {
	switch verdict {
	case notEnded:
		return l.Sprintf("did not end")
	case "":
		return l.Sprintf("not rehearsed")
	}
	return l.Text(verdict)
}

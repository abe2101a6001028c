// Package chart draws what a rehearsal was as SVG: Timeline one scenario, Plan a plan,
// Runs the last runs of a scenario. gonum/plot scales, clips and draws; what it draws is
// then made small and made a part of the page (canvas.go): whole coordinates, classes
// instead of colours, the page's font, no ids.
//
// Nothing is told by colour alone. Predicted is dashed and measured is solid, states of
// alarms differ by height, and everything has its name beside it.
//
// The classes' rules are CSS, which a page has once. Lines and letters are in
// currentColor, and the few accents are variables that a page may set, with a dark scheme
// of their own: --chart-new (the new version), --chart-bad (failing, ALARM), --chart-good
// (restored), --chart-paper (the page's background, around letters). File makes one chart a file that stands alone.
//
// timeline.go lays the panels out, series.go turns traffic into lines, marks.go has the
// lanes of marks, and track.go what is drawn of one history. When users were exposed,
// when that was detected and when service was restored is asked of internal/check.
package chart

import (
	_ "embed"
	"fmt"
	"html"
	"math"
	"strings"
	"time"

	"rehearsal/internal/lang"
)

// Options of a chart.
type Options struct {
	// Title is the chart's name to a screen reader; "" is one that says what it is.
	Title string
	// Version is the one that is released. "": the one whose steps the history has.
	Version string
	Lang    lang.Lang
}

// CSS is the rules of the classes in every chart, for the page's style element.
// Letters are 13 of the chart's 600 units wide, and 17 on a narrow screen: 10 px on one
// of 390 px.
//
//go:embed chart.css
var CSS string

// File is a chart as a file that stands alone, light or dark as its reader likes.
func File(svg string) string {
	const root = ":root{font-family:system-ui,sans-serif;color-scheme:light dark;color:light-dark(#222,#ddd);background:light-dark(#fff,#181818)}\n"
	rules := "<style>" + root + CSS + "</style>"
	if at := strings.Index(svg, ">"); at > 0 {
		return svg[:at+1] + rules + svg[at+1:] + "\n"
	}
	return svg
}

// escape makes s the content of an element. Control characters, which XML has no place
// for, are left out.
func escape(s string) string { return html.EscapeString(lang.Clean(strings.ToValidUTF8(s, "�"))) }

// Clock is a time as the axis of a timeline has it: m:ss, or h:mm:ss, with a sign where it
// is before.
func Clock(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "−", max(-d, 0)
	}
	s := int64(d.Round(time.Second) / time.Second)
	if s == 0 {
		sign = ""
	}
	if s >= 3600 {
		return fmt.Sprintf("%s%d:%02d:%02d", sign, s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%s%d:%02d", sign, s/60, s%60)
}

// nice is the least number of 1, 2, 2.5, 4, 5 and 8 times a power of ten that is not below v.
func nice(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 4, 5, 8} {
		if v <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

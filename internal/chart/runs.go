package chart

import (
	"strings"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/live"
)

// A Run is how one past run of a scenario ended.
type Run struct {
	At      time.Time
	Verdict check.Verdict
	Detect  time.Duration // from exposure; negative: nothing was detected
}

// Runs draws the last runs of one scenario, which come newest first, as a strip: the
// oldest on the left, a bar as tall as the time to detect, and below it a sign of the
// verdict: a dot passed, a cross failed, a ring inconclusive.
func Runs(all []Run, o Options) (svg string, err error) {
	l := o.Lang
	title := o.Title
	if title == "" {
		title = l.Sprintf("The last runs")
	}
	const most, pitch, bars, wideStrip = 12, 15, 26, 240
	const height = bars + 18
	all = all[:min(len(all), most)]
	c, _ := newCanvas(wideStrip, height)
	if len(all) == 0 {
		c.write(quiet, start, 0, bars, l.Sprintf("It never ran before."))
		return c.svg("runs", title, l.Sprintf("It never ran before."), height)
	}
	longest := time.Second
	for _, r := range all {
		longest = max(longest, r.Detect)
	}
	var words []string
	for i := range all {
		r := all[len(all)-1-i]
		x := float64(8 + i*pitch)
		if r.Detect >= 0 {
			tall := max(2, float64(bars-4)*r.Detect.Seconds()/longest.Seconds())
			c.box(shadeMore, true, x-4, bars-tall, x+4, bars)
		}
		y := float64(bars + 9)
		switch r.Verdict {
		case check.Passed:
			c.path(solid, true, x-2, y-3, x+2, y-3, x+3, y-2, x+3, y+2, x+2, y+3, x-2, y+3, x-3, y+2, x-3, y-2)
		case check.Failed:
			c.path(measuredBad, false, x-4, y-4, x+4, y+4)
			c.path(measuredBad, false, x-4, y+4, x+4, y-4)
		case check.Inconclusive:
			c.path(measuredLine, false, x-2, y-4, x+2, y-4, x+4, y-2, x+4, y+2, x+2, y+4, x-2, y+4, x-4, y+2, x-4, y-2, x-2, y-4)
		}
		word := r.At.UTC().Format(time.DateOnly) + " " + r.verdict(o)
		if r.Detect >= 0 {
			word += l.Sprintf(", detected after %s", live.Duration(l, r.Detect))
		}
		words = append(words, word)
	}
	c.path(axis, false, 0, bars, float64(len(all)*pitch+1), bars)
	last := all[0]
	x := float64(len(all)*pitch + 8)
	if last.Detect >= 0 && x+6*column <= wideStrip {
		c.write(quiet, start, x, bars, Clock(last.Detect))
	}
	return c.svg("runs", title, l.Sprintf("The oldest first: %s.", strings.Join(words, l.Sprintf("; "))), height)
}

// verdict in words; what is none counts as inconclusive.
func (r Run) verdict(o Options) string {
	if r.Verdict < check.Passed || r.Verdict > check.Inconclusive {
		r.Verdict = check.Inconclusive
	}
	return o.Lang.Text(r.Verdict.String())
}

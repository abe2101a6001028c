package chart

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"rehearsal/internal/stage"
)

// The plot's place between names on the left and names on the right, in units from the
// left.
const (
	left  = 68
	right = 532
)

// Timeline draws what was predicted and what was measured of one scenario, on release
// time from where the release began: what happened to users and when, steps of the plan,
// failures, shares, requests, latency and alarms. Either history may be nil; of none it
// says that nothing was recorded. Events that do not say what they are about are left out.
func Timeline(predicted, measured *stage.History, o Options) (svg string, err error) {
	t := &timeline{o: o, predicted: trackOf(predicted, o.Version), measured: trackOf(measured, o.Version)}
	title := o.Title
	if title == "" {
		title = o.Lang.Sprintf("Timeline of the release")
	}
	t.main = t.measured
	if t.measured.empty() {
		t.main = t.predicted
	}
	if t.main.empty() {
		const height = 30
		c, _ := newCanvas(width, height)
		c.write(quiet, start, 0, 18, o.Lang.Sprintf("Nothing was recorded."))
		return c.svg("", title, o.Lang.Sprintf("Nothing was recorded."), height)
	}
	t.from, t.to = t.main.from, t.main.to
	if !t.predicted.empty() {
		t.from, t.to = min(t.from, t.predicted.from), max(t.to, t.predicted.to)
	}
	t.to = max(t.to, t.from+time.Second)
	t.c, t.dc = newCanvas(width, tall)
	t.draw()
	behind, _ := newCanvas(width, tall)
	t.momentLines(behind)
	return t.c.svg("", title, t.describe(), t.y, behind)
}

// A timeline is drawn from the top to the bottom.
type timeline struct {
	o                         Options
	main, predicted, measured *track
	from, to                  time.Duration // from where the release began
	c                         *canvas
	dc                        draw.Canvas
	y                         float64 // how far from the top it is drawn
	top                       float64 // of the lanes and panels
}

func (t *timeline) draw() {
	t.y = 0
	t.legend()
	t.momentLabels()
	t.top = t.y
	t.planLane()
	t.failureLanes()
	t.sharesPanel()
	if served(t.predicted) || served(t.measured) {
		t.linePanel(t.o.Lang.Sprintf("requests per second"), 34, func(r traffic) []float64 { return r.rate }, measuredLine, predictedLine, number)
		t.failedPanel()
		t.latencyPanel()
	} else {
		t.heading(t.o.Lang.Sprintf("No requests were recorded."))
	}
	t.alarmLanes()
	t.timeAxis()
}

// served says whether there were any requests.
func served(t *track) bool { return highest(t.traffic.rate) > 0 }

// both calls f for what was predicted and then, over it, for what was measured.
func (t *timeline) both(f func(tr *track, predicted bool)) {
	if !t.predicted.empty() {
		f(t.predicted, true)
	}
	if !t.measured.empty() {
		f(t.measured, false)
	}
}

func pick(predicted bool, p, m ink) ink {
	if predicted {
		return p
	}
	return m
}

// x is where a time is.
func (t *timeline) x(at time.Duration) float64 {
	part := (at - t.from).Seconds() / (t.to - t.from).Seconds()
	return math.Round(left + (right-left)*min(max(part, 0), 1))
}

func (t *timeline) legend() {
	t.y += 18
	x := float64(left)
	t.both(func(_ *track, predicted bool) {
		t.c.path(pick(predicted, predictedLine, measuredLine), false, x, t.y-4, x+24, t.y-4)
		name := t.o.Lang.Sprintf("measured in containers")
		if predicted {
			name = t.o.Lang.Sprintf("predicted by simulation")
		}
		t.c.write(quiet, start, x+30, t.y, name)
		x += 30 + wide(name) + 24
	})
	t.y += 6
}

// heading is the name of a panel, above it.
func (t *timeline) heading(name string) {
	t.y += 22
	t.c.write(quiet, start, left, t.y, name)
	t.y += 6
}

// panel is the plot of a panel below y, on which points in seconds and up to most have
// their place.
func (t *timeline) panel(height, most float64) (*plot.Plot, draw.Canvas) {
	p := plot.New()
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = t.from.Seconds(), t.to.Seconds(), 0, most
	bottom := t.c.height - vg.Length(t.y+height)
	return p, draw.Canvas{Canvas: t.dc.Canvas, Rectangle: vg.Rectangle{
		Min: vg.Point{X: left, Y: bottom}, Max: vg.Point{X: right, Y: bottom + vg.Length(height)}}}
}

// frame draws the base line of a panel and says what its top is, and goes below it.
func (t *timeline) frame(height float64, top string) {
	t.c.path(axis, false, left, t.y+height, right, t.y+height)
	t.c.path(axis, false, left-3, t.y, left, t.y)
	t.c.write(quiet, end, left-6, t.y+6, top)
	t.c.write(quiet, end, left-6, t.y+height+4, "0")
	t.y += height
}

// line draws a series as steps, and tells where it ends, from the top.
func (t *timeline) line(points plotter.XYs, height, most float64, i ink) (y float64, known bool) {
	p, dc := t.panel(height, most)
	for _, run := range runs(points) {
		line, err := plotter.NewLine(run)
		if err != nil { // it has points, all of them finite
			continue
		}
		line.StepStyle, line.LineStyle = plotter.PostStep, i.stroke()
		line.Plot(dc, p)
		y, known = t.y+height*(1-min(run[len(run)-1].Y/most, 1)), true
	}
	return y, known
}

// linePanel is a panel of one series.
func (t *timeline) linePanel(name string, height float64, of func(traffic) []float64, m, p ink, say func(float64) string) {
	most := 0.0
	t.both(func(tr *track, _ bool) { most = max(most, highest(of(tr.traffic))) })
	most = nice(most)
	t.heading(name)
	t.both(func(tr *track, predicted bool) {
		t.line(tr.traffic.points(of(tr.traffic)), height, most, pick(predicted, p, m))
	})
	t.frame(height, say(most))
}

func highest(values []float64) (most float64) {
	for _, v := range values {
		if v > most && !math.IsInf(v, 0) {
			most = v
		}
	}
	return most
}

func (t *timeline) failedPanel() {
	const height = 40
	most := max(t.predicted.traffic.mostFailed, t.measured.traffic.mostFailed)
	if most == 0 {
		t.heading(t.o.Lang.Sprintf("failed requests: none"))
		t.frame(0, "")
		return
	}
	name := t.o.Lang.Sprintf("failed requests, at most %s", percent(t.main.traffic.mostFailed))
	t.linePanel(name, height, func(r traffic) []float64 { return r.failed }, measuredBad, predictedBad, percent)
}

func (t *timeline) latencyPanel() {
	const height = 44
	most := nice(max(t.predicted.traffic.worst, t.measured.traffic.worst))
	t.heading(t.o.Lang.Sprintf("latency, at most %s", millis(t.main.traffic.worst)))
	var p50, p99 float64
	var known bool
	t.both(func(tr *track, predicted bool) {
		p50, known = t.line(tr.traffic.points(tr.traffic.p50), height, most, pick(predicted, predictedMinor, measuredMinor))
		p99, _ = t.line(tr.traffic.points(tr.traffic.p99), height, most, pick(predicted, predictedLine, measuredLine))
	})
	if known {
		p50, p99 = max(p50, p99), min(p50, p99)
		if apart := 15 - (p50 - p99); apart > 0 {
			p99 -= apart / 2
			p50 = p99 + 15
		}
		t.c.write(text, start, right+6, p99+4, "p99")
		t.c.write(quiet, start, right+6, p50+4, "p50")
	}
	t.frame(height, millis(most))
}

// sharesPanel stacks the versions, the newest at the bottom.
func (t *timeline) sharesPanel() {
	const height = 52
	if len(t.main.shares)+len(t.predicted.shares) == 0 {
		return
	}
	t.heading(t.o.Lang.Sprintf("shares of the versions"))
	var versions []string
	seen := func(tr *track) {
		for _, s := range tr.shares {
			for _, v := range s.shares.Versions() {
				if !slices.Contains(versions, v) {
					versions = append(versions, v)
				}
			}
		}
	}
	seen(t.main)
	seen(t.predicted)
	slices.Reverse(versions)
	const most = 4 // areas that can be told apart
	versions = versions[:min(len(versions), most)]
	shades := []ink{shadeNew, shade, shadeMore, shade}
	if len(versions) == 1 { // nothing is new
		shades[0] = shade
	}
	var labels []label
	t.both(func(tr *track, predicted bool) {
		below := make([]float64, len(tr.shares))
		for n, v := range versions {
			var base, top plotter.XYs
			best := label{}
			for i, s := range tr.shares {
				share := min(max(s.shares[v], 0), 100)
				if math.IsNaN(share) {
					share = 0
				}
				till := t.to
				if i+1 < len(tr.shares) {
					till = tr.shares[i+1].at
				} else if tr.to < till {
					till = tr.to
				}
				from, to := max(s.at, t.from), max(till, t.from)
				base = append(base, plotter.XY{X: from.Seconds(), Y: below[i]}, plotter.XY{X: to.Seconds(), Y: below[i]})
				below[i] = min(below[i]+share, 100)
				top = append(top, plotter.XY{X: from.Seconds(), Y: below[i]}, plotter.XY{X: to.Seconds(), Y: below[i]})
				if area := (to - from).Seconds() * (share + 30); share > 0 && area > best.size {
					best = label{x: t.x(from) + 5, y: t.y + height*(1-below[i]/100) + 15, size: area, text: fmt.Sprintf("%s %s", plain(v, 24), percent(share))}
					if share*height/100 < 17 {
						best.y = t.y + height*(1-below[i]/100) - 3
					}
				}
			}
			if tr == t.main {
				t.area(base, top, height, shades[n])
				if best.size > 0 {
					labels = append(labels, best)
				}
			}
			if n < len(versions)-1 || len(versions) == 1 {
				i := pick(predicted, predictedLine, measuredLine)
				if n == 0 && len(versions) > 1 {
					i = pick(predicted, lineNewPredicted, lineNew)
				}
				t.line(top, height, 100, i)
			}
		}
	})
	for _, l := range labels {
		t.c.write(text, start, l.x, l.y, l.text)
	}
	t.frame(height, "100 %")
}

// area fills between two lines of the same times.
func (t *timeline) area(base, top plotter.XYs, height float64, i ink) {
	if len(base) == 0 {
		return
	}
	slices.Reverse(base)
	var xy []float64
	for _, p := range slices.Concat(top, base) {
		xy = append(xy, t.x(time.Duration(p.X*float64(time.Second))), math.Round(t.y+height*(1-p.Y/100)))
	}
	t.c.path(i, true, xy...)
}

func (t *timeline) timeAxis() {
	t.y += 10
	t.c.path(axis, false, left, t.y, right, t.y)
	every := tickEvery(t.to - t.from)
	for n := math.Ceil(float64(t.from) / float64(every)); time.Duration(n)*every <= t.to; n++ {
		at := time.Duration(n) * every
		x := t.x(at)
		t.c.path(axis, false, x, t.y, x, t.y+4)
		t.c.write(quiet, middle, x, t.y+18, Clock(at))
	}
	t.c.write(quiet, start, left, t.y+36, t.o.Lang.Sprintf("minutes:seconds since the release began (release time)"))
	t.y += 42
}

// tickEvery is so that some 4 to 8 times are told.
func tickEvery(length time.Duration) time.Duration {
	for _, d := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour} {
		if length <= 8*d {
			return d
		}
	}
	day := 24 * time.Hour
	return day * (1 + length/(8*day))
}

// describe is the chart in words.
func (t *timeline) describe() string {
	l := t.o.Lang
	var all []string
	say := func(format string, args ...any) { all = append(all, l.Sprintf(format, args...)) }
	t.both(func(tr *track, predicted bool) {
		if predicted {
			say("Predicted by simulation:")
		} else {
			say("Measured in containers:")
		}
		for _, f := range tr.failures {
			say("Failure %s from %s to %s.", failureText(l, f.failure), Clock(f.from), Clock(f.till))
		}
		if at, ok := tr.moments[exposed]; ok {
			say("Users exposed at %s.", Clock(at))
		}
		if at, ok := tr.moments[detected]; ok {
			say("Detected %s later.", Clock(at-tr.moments[exposed]))
		}
		if at, ok := tr.moments[restored]; ok {
			say("Restored %s after exposure.", Clock(at-tr.moments[exposed]))
		}
		if m := tr.figures; m.Requests > 0 {
			say("%d of %d requests failed.", m.Failed, m.Requests)
		}
		var steps []string
		for _, s := range tr.steps {
			if w := t.step(s); w != "" {
				steps = append(steps, Clock(s.at)+" "+w)
			}
		}
		if len(steps) > 0 {
			say("Steps of the plan: %s.", strings.Join(steps, l.Sprintf(", ")))
		}
		for _, name := range slices.Sorted(maps.Keys(tr.alarms)) {
			if went := wentOff(l, tr.alarms[name]); len(went) > 0 {
				say("Alarm %s in ALARM %s.", name, strings.Join(went, ", "))
			}
		}
	})
	return strings.Join(all, " ")
}

func percent(v float64) string {
	switch {
	case v > 0 && v < 0.1:
		return "<0.1 %"
	case v < 10:
		return fmt.Sprintf("%.2g %%", v)
	}
	return fmt.Sprintf("%.0f %%", v)
}

func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}

func millis(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.3g s", v/1000)
	}
	return fmt.Sprintf("%.3g ms", v)
}

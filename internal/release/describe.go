package release

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
)

// width is how many columns a description takes at most.
const width = 80

// Describe prints the plan as people read it, in at most 80 columns. What the
// facts do not tell is left out, and what it is told in is up to the reader.
func (p *Plan) Describe(w io.Writer, speak lang.Lang, f Facts) {
	d := &description{Lang: speak, plan: p, facts: f, watched: p.Watched(f)}
	d.head()
	d.checks()
	d.steps()
	d.alarms()
	d.worst()
	d.back()
	d.row("window", p.Window.String())
	if p.Window != nil {
		for _, z := range p.Window.Freeze {
			d.row("", z.String())
		}
		if at, ok := p.Window.Next(f.Now); ok && !f.Now.IsZero() {
			d.row("", d.Sprintf("next: %s", at.In(p.Window.Zone).Format("Mon 2006-01-02 15:04 MST")))
		}
	}
	// An error of w is w's owner's to see, as with fmt.Fprint to a buffer.
	_, _ = io.WriteString(w, d.b.String())
}

type description struct {
	lang.Lang
	plan    *Plan
	facts   Facts
	watched []*alarm.Compiled
	b       strings.Builder
}

// row prints a label and a text, wrapped beside it.
func (d *description) row(label, text string) {
	const indent = 12
	line := "  " + lang.Pad(d.Text(label), indent-2) + strings.Join(strings.Fields(d.Text(text)), " ")
	for _, l := range lang.Wrap(line, strings.Repeat(" ", indent), width) {
		d.b.WriteString(strings.TrimRight(l, " ") + "\n")
	}
}

func (d *description) head() {
	p := d.plan
	steps := p.Schedule(d.facts.Replicas)
	how := map[Strategy]string{
		AllAtOnce: "everyone is shifted at once, and the old version is retired at once",
		BlueGreen: "green starts beside blue, everyone is shifted at once, and blue is kept until the end of the bake",
		Canary:    fmt.Sprintf("a part of the users first, everyone in %d steps", len(steps)),
		Linear:    fmt.Sprintf("%s more of the users every %s, in %d steps", percent(p.Share), brief(p.Every), len(steps)),
		Rolling:   fmt.Sprintf("%s replaced every %s, while at least %s of the replicas serve", d.batch(), brief(p.Every), percent(p.MinimumHealthy)),
	}[p.Strategy]
	d.b.WriteString(p.Name)
	if p.Name != string(p.Strategy) {
		fmt.Fprintf(&d.b, " (%s)", p.Strategy)
	}
	d.b.WriteByte('\n')
	d.row("", how+".")
	d.row("takes", d.length()+", and the time that replicas take to start")
}

func (d *description) batch() string {
	b := d.plan.Batch
	if b.Count == 1 {
		return "1 replica is"
	}
	if b.Count > 1 {
		return fmt.Sprintf("%d replicas are", b.Count)
	}
	return b.String() + " of the replicas are"
}

// length is exact where the number of steps does not hang on unknown replicas.
func (d *description) length() string {
	if p := d.plan; p.Strategy == Rolling && d.facts.Replicas == 0 && p.Batch.Count > 0 {
		return fmt.Sprintf("%s for each %s but the last, and %s", brief(p.Every), replicas(p.Batch.Count), brief(p.Bake))
	}
	return brief(d.plan.Length(d.facts.Replicas))
}

func (d *description) checks() {
	c := d.plan.Checks
	if len(c.Before) > 0 {
		names := make([]string, len(c.Before))
		for i, b := range c.Before {
			names[i] = b.String()
		}
		d.row("before", "nothing is deployed unless these pass: "+strings.Join(names, ", "))
	}
	if c.Test {
		d.row("test", "smoke requests to the new version, before users reach it")
	}
	if c.Shift {
		d.row("shift", "smoke requests to the new version, before and after each shift")
	}
	if c.After {
		d.row("after", "smoke requests to the new version, once it serves everyone")
	}
}

// steps is a table; of many steps, the first and the last few.
func (d *description) steps() {
	steps := d.plan.Schedule(d.facts.Replicas)
	if d.plan.Strategy == Rolling && d.facts.Replicas == 0 && d.plan.Batch.Count > 0 {
		return
	}
	const most, ends = 12, 5
	d.b.WriteString("\n")
	for i, word := range []string{"step", "users", "from", "bake"} {
		word = d.Sprintf(word)
		d.b.WriteString("  " + strings.Repeat(" ", max(0, []int{4, 8, 8, 8}[i]-lang.Columns(word))) + word)
	}
	d.b.WriteString("\n")
	at := time.Duration(0)
	for i, s := range steps {
		switch {
		case len(steps) <= most || i < ends || i >= len(steps)-ends:
			fmt.Fprintf(&d.b, "  %4d  %8s  %8s  %8s\n", i+1, rough(s.Share), brief(at), brief(s.Bake))
		case i == ends:
			fmt.Fprintf(&d.b, "  %4s  %8s\n", "...", "...")
		}
		at += s.Bake
	}
	d.b.WriteByte('\n')
}

func (d *description) alarms() {
	if len(d.plan.Alarms) == 0 {
		d.row("watched", "no alarm")
		return
	}
	names := make([]string, len(d.plan.Alarms))
	for i, name := range d.plan.Alarms {
		names[i] = name
		for _, c := range d.watched {
			if c.Alarm.AlarmName == name {
				names[i] = fmt.Sprintf("%s (within %s)", name, brief(c.LatestDetection()))
			}
		}
	}
	d.row("watched", strings.Join(names, ", "))
}

// worst is how many users a bad version reaches before they are back, where the
// slowest of the alarms sees it and the rollback takes as long as it may.
func (d *description) worst() {
	if len(d.watched) == 0 || !d.plan.Rollback.ToLastGood {
		return
	}
	slowest := slices.MaxFunc(d.watched, func(a, b *alarm.Compiled) int {
		return int(a.LatestDetection() - b.LatestDetection())
	}).LatestDetection()
	steps := d.plan.Schedule(d.facts.Replicas)
	d.row("at worst", d.exposed("a version that is bad from the start reaches %s of the users, for at most %s until the alarm and %s until they are back", steps, 0, slowest))
	if len(steps) > 1 {
		d.row("", d.exposed("one that turns bad at the end reaches %s of the users, for at most %s until the alarm and %s until they are back", steps, len(steps)-1, slowest))
	}
	d.row("", "What neither an alarm nor a check sees is not counted.")
}

// exposed follows the schedule from step first until the alarm and the rollback.
func (d *description) exposed(format string, steps []Step, first int, detect time.Duration) string {
	within := d.plan.Rollback.Within
	share, weighted, rest := 0.0, 0.0, detect
	for i := first; i < len(steps) && (rest > 0 || i == first); i++ {
		share = steps[i].Share
		spent := min(steps[i].Bake, rest)
		if i == len(steps)-1 {
			spent = rest
		}
		weighted += share / 100 * spent.Seconds()
		rest -= spent
	}
	weighted += share / 100 * within.Seconds()
	text := fmt.Sprintf(format, rough(share), brief(detect), brief(within))
	if d.facts.Rate > 0 {
		text += fmt.Sprintf(": about %s requests", count(weighted*d.facts.Rate))
	}
	return text
}

func (d *description) back() {
	b := d.plan.Rollback
	if !b.ToLastGood {
		d.row("way back", "none")
		return
	}
	text := "to the version that was last good"
	switch on := list(texts(b.When)); {
	case on != "" && b.Within > 0:
		text = fmt.Sprintf("to the version that was last good, on %s, within %s", on, brief(b.Within))
	case on != "":
		text = fmt.Sprintf("to the version that was last good, on %s", on)
	case b.Within > 0:
		text = fmt.Sprintf("to the version that was last good, within %s", brief(b.Within))
	}
	d.row("way back", text)
	if b.Decides != "" {
		d.row("decides", b.Decides)
	}
}

// list is "a, b or c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

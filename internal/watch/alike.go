package watch

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/lang"
	"rehearsal/internal/release"
)

// An Alike is the prediction of a release that a rehearsed failure befalls.
type Alike struct {
	Name  string // of the scenario
	Where string // file:line
	*Prediction
}

// likeness is how many times larger or smaller than in the rehearsal something may be to
// look like it: how large a failure is, nobody rehearsed exactly.
const likeness = 3

// resemble is the failure that looks most like a sight in which that measure is out; nil:
// none does. The measure must be out as with that failure, and about as far. Of those
// the one counts that is like it in most other measures, and of these the nearest.
func (j *Judge) resemble(s *Sight, of *Measure, all []Alike) *Alike {
	var best *Alike
	fewest, nearest := math.MaxInt, math.Inf(1)
	for a := range all {
		unlike, far, ok := j.unlike(s, of, &all[a])
		if ok && (unlike < fewest || unlike == fewest && far < nearest) {
			best, fewest, nearest = &all[a], unlike, far
		}
	}
	return best
}

// unlike is in how many other measures a sight differs from a failure, and how far those
// that are out in both are apart. It is not ok where the measure itself differs.
func (j *Judge) unlike(s *Sight, of *Measure, a *Alike) (measures int, far float64, ok bool) {
	ok = true
	for i := range s.Measures {
		m := &s.Measures[i]
		if m.At.IsZero() {
			continue
		}
		least := max(m.Floor, 1e-9)
		typical := a.near(i, j.period(m), m.Value)
		apart := math.Abs(math.Log((math.Abs(m.Value) + least) / (math.Abs(typical) + least)))
		out := 0
		if !math.IsNaN(typical) {
			out = m.out(typical, m.Band)
		}
		switch {
		case out != m.Out || m.Out != 0 && apart > math.Log(likeness):
			measures++
			ok = ok && m.Measure != of
		case m.Out != 0:
			far += apart
		}
	}
	return measures, far, ok
}

// asItLeft is what was seen when a measure left its band: what the plan does about it
// comes later, and need not be what was done.
func (j *Judge) asItLeft(s *Sight, m *MeasureSight) *Sight {
	at := m.Since.Add(m.Rule.Period + j.Late)
	if s.reading == nil || !at.Before(s.Now) {
		return s
	}
	then := *s.reading
	then.Now = at
	return j.Look(&then)
}

// period is which period of the release a measure is seen in.
func (j *Judge) period(m *MeasureSight) int {
	return int(m.At.Sub(periodOf(j.Began, m.Rule.Period)) / m.Rule.Period)
}

// ends is what came of the releases that the failure befell: which alarms went off, when,
// and how the releases ended.
func (a *Alike) ends(l lang.Lang, began time.Time) string {
	var parts []string
	for _, name := range sortedKeys(a.off) {
		at := a.off[name]
		if 2*len(at) <= a.Releases {
			continue
		}
		parts = append(parts, l.Sprintf("the alarm %q goes off from %s to %s", name, moment(began.Add(at[0])), moment(began.Add(at[len(at)-1]))))
	}
	if len(parts) == 0 {
		parts = append(parts, l.Sprintf("no alarm goes off"))
	}
	switch n := a.Results[release.RolledBack]; {
	case n == a.Releases:
		parts = append(parts, l.Sprintf("the plan takes the release back"))
	case a.Results[release.Released] == a.Releases:
		parts = append(parts, l.Sprintf("the plan releases it all the same"))
	default:
		parts = append(parts, l.Sprintf("the plan takes the release back in %d of %d", n, a.Releases))
	}
	return strings.Join(parts, l.Sprintf(", "))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// moment is a time of day as people read it.
func moment(t time.Time) string { return t.UTC().Format("15:04:05") }

// brief is a time without the zeros: "5m", "1h30m", "2m10s".
func brief(d time.Duration) string {
	d = d.Round(time.Second)
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	if d < 0 {
		b.WriteByte('-')
		d = -d
	}
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / u.of; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.of
		}
	}
	return b.String()
}

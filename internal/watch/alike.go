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

// closer is how much wider the bands of a failure are than those of a good version: how
// large a failure is, nobody rehearsed exactly.
const closer = 2

// resemble is the failure that looks most like a sight; nil: none does. Whatever is out
// must be as with that failure. Of those the one that is like it in most other measures
// counts, and of these the nearest.
func (j *Judge) resemble(s *Sight, all []Alike) *Alike {
	var best *Alike
	fewest, nearest := math.MaxInt, math.Inf(1)
	for a := range all {
		unlike, far, fits := 0, 0.0, false
		for i := range s.Measures {
			m := &s.Measures[i]
			if m.At.IsZero() {
				continue
			}
			b := all[a].Band(i, j.period(m))
			width := max(math.Abs(b.High)*j.Margin, m.Floor) * closer
			inside := m.Value >= b.Low-width && m.Value <= b.High+width
			if math.IsNaN(b.High) {
				inside = m.Out == 0
			}
			switch {
			case m.Out != 0 && !inside:
				unlike = math.MaxInt
			case m.Out != 0:
				fits = true
				far += math.Abs(m.Value-(b.Low+b.High)/2) / max(math.Abs(b.High), m.Floor, 1e-9)
			case !inside:
				unlike++
			}
			if unlike == math.MaxInt {
				break
			}
		}
		if fits && (unlike < fewest || unlike == fewest && far < nearest) {
			best, fewest, nearest = &all[a], unlike, far
		}
	}
	if fewest == math.MaxInt {
		return nil
	}
	return best
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

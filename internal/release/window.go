package release

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // so that a window's zone means the same on every machine

	"go.yaml.in/yaml/v3"
)

// A Window is when a release may begin, by the wall clock of its zone: on a day
// when the clocks change, an hour that is skipped is not there, and one that comes
// twice is open twice. A nil Window is always open.
type Window struct {
	Days   []time.Weekday // nil: every day; empty: none
	From   int            // minutes since midnight
	To     int            // minutes since midnight, at most 24 h; the window is open before it
	Zone   *time.Location
	Freeze []Freeze
}

// A Freeze is days in the window's zone, both included, on which nothing is
// released.
type Freeze struct {
	From, To time.Time // midnight UTC
	Why      string
}

const (
	dayMinutes = 24 * 60
	dateLayout = time.DateOnly
	// horizon is how many days ahead an opening is looked for.
	horizon = 2 * 366
)

// Open says whether a release may begin at t.
func (w *Window) Open(t time.Time) bool { return w.Closed(t) == "" }

// Closed says why no release may begin at t: "" when one may.
func (w *Window) Closed(t time.Time) string {
	if w == nil {
		return ""
	}
	t = t.In(w.Zone)
	if w.Days != nil && !slices.Contains(w.Days, t.Weekday()) {
		return fmt.Sprintf("closed on %s: open %s", short(t.Weekday()), w)
	}
	for _, f := range w.Freeze {
		if f.holds(t, w.Zone) {
			return f.String()
		}
	}
	if m := t.Hour()*60 + t.Minute(); m < w.From || m >= w.To {
		return fmt.Sprintf("closed at %s: open %s", t.Format("15:04"), w)
	}
	return ""
}

// Frozen says whether t falls into one of the window's freezes.
func (w *Window) Frozen(t time.Time) bool {
	return w != nil && slices.ContainsFunc(w.Freeze, func(f Freeze) bool { return f.holds(t, w.Zone) })
}

// Next is the first moment from t on at which the window is open. It reports
// false when there is none in the next two years.
func (w *Window) Next(t time.Time) (time.Time, bool) {
	if w.Open(t) {
		return t, true
	}
	local := t.In(w.Zone)
	for d := range horizon {
		for _, at := range w.opens(local.Year(), local.Month(), local.Day()+d) {
			if !at.Before(t) && w.Open(at) {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// opens is the moments of one day at which the window may open, in order: From by
// the clock as it is set in the morning and as it is set in the evening, and the
// moment when it is changed.
func (w *Window) opens(year int, month time.Month, day int) []time.Time {
	morning := time.Date(year, month, day, 0, 0, 0, 0, w.Zone)
	evening := time.Date(year, month, day+1, 0, 0, 0, 0, w.Zone).Add(-time.Second)
	from := time.Date(year, month, day, 0, w.From, 0, 0, time.UTC)
	_, before := morning.Zone()
	_, after := evening.Zone()
	at := []time.Time{from.Add(-time.Duration(before) * time.Second).In(w.Zone)}
	if before != after {
		_, change := morning.ZoneBounds()
		at = append(at, from.Add(-time.Duration(after)*time.Second).In(w.Zone), change.In(w.Zone))
		slices.SortFunc(at, time.Time.Compare)
	}
	return at
}

// Hours is how long the window is open on a day without a change of the clocks.
func (w *Window) Hours() time.Duration { return time.Duration(w.To-w.From) * time.Minute }

// String is "Tue, Wed, Thu 10:00-16:00 Asia/Tokyo".
func (w *Window) String() string {
	if w == nil {
		return "always"
	}
	days := "every day"
	if w.Days != nil {
		names := make([]string, len(w.Days))
		for i, d := range w.Days {
			names[i] = short(d)
		}
		days = strings.Join(names, ", ")
		if len(names) == 0 {
			days = "on no day"
		}
	}
	return fmt.Sprintf("%s %s-%s %s", days, clockTime(w.From), clockTime(w.To), w.Zone)
}

// Span is the freeze in a zone: from is in it, to is not.
func (f Freeze) Span(zone *time.Location) (from, to time.Time) {
	from = time.Date(f.From.Year(), f.From.Month(), f.From.Day(), 0, 0, 0, 0, zone)
	return from, time.Date(f.To.Year(), f.To.Month(), f.To.Day()+1, 0, 0, 0, 0, zone)
}

func (f Freeze) holds(t time.Time, zone *time.Location) bool {
	from, to := f.Span(zone)
	return !t.Before(from) && t.Before(to)
}

// String is "frozen from 2026-12-25 to 2027-01-04: year end".
func (f Freeze) String() string {
	s := "frozen on " + f.From.Format(dateLayout)
	if !f.To.Equal(f.From) {
		s = fmt.Sprintf("frozen from %s to %s", f.From.Format(dateLayout), f.To.Format(dateLayout))
	}
	if f.Why != "" {
		s += ": " + f.Why
	}
	return s
}

func short(d time.Weekday) string { return d.String()[:3] }

func clockTime(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

func (r *reader) window(p *Plan) field {
	return func(n *yaml.Node, path string) {
		w := &Window{To: dayMinutes, Zone: time.UTC}
		var hours [2]int
		r.mapping(n, path, map[string]field{
			"days": func(n *yaml.Node, path string) {
				w.Days = []time.Weekday{}
				r.list(func(n *yaml.Node, path string) {
					var d time.Weekday
					scalar(r, &d, parseDay)(n, path)
					w.Days = append(w.Days, d)
				})(n, path)
			},
			"hours": func(n *yaml.Node, path string) {
				scalar(r, &hours, parseHours)(n, path)
				w.From, w.To = hours[0], hours[1]
			},
			"zone": scalar(r, &w.Zone, parseZone),
			"freeze": r.list(func(n *yaml.Node, path string) {
				var f Freeze
				before := len(r.mistakes)
				r.mapping(n, path, map[string]field{
					"from": scalar(r, &f.From, parseDate), "to": scalar(r, &f.To, parseDate), "why": r.text(&f.Why),
				})
				switch {
				case len(r.mistakes) > before:
				case f.From.IsZero():
					r.wrong(n.Line, `%s: has no "from": want {from: 2026-12-25, to: 2027-01-04}, say`, path)
				case f.To.IsZero():
					f.To = f.From
				case f.To.Before(f.From):
					r.wrong(n.Line, "%s: ends on %s, before it begins on %s: swap them", path, f.To.Format(dateLayout), f.From.Format(dateLayout))
				}
				w.Freeze = append(w.Freeze, f)
			}),
		})
		if r.lines[path+".hours"] > 0 && r.lines[path+".zone"] == 0 {
			r.wrong(r.lines[path+".hours"], "%s: the hours have no time zone: add \"zone: Asia/Tokyo\", say", path)
		}
		slices.SortFunc(w.Days, func(a, b time.Weekday) int { return cmp.Compare((a+6)%7, (b+6)%7) })
		p.Window = w
	}
}

// ParseWindow makes a window of what a person writes: days such as "Mon" (none is every
// day), hours such as "09:00-18:00" and a zone such as "Asia/Tokyo".
func ParseWindow(days []string, hours, zone string) (*Window, error) {
	w := &Window{}
	for _, text := range days {
		d, err := parseDay(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		w.Days = append(w.Days, d)
	}
	slices.SortFunc(w.Days, func(a, b time.Weekday) int { return cmp.Compare((a+6)%7, (b+6)%7) })
	fromTo, err := parseHours(hours)
	if err != nil {
		return nil, err
	}
	if w.From, w.To = fromTo[0], fromTo[1]; w.From >= w.To {
		return nil, fmt.Errorf("%q end as they begin, or before: the hours are of one day, up to 24:00", hours)
	}
	w.Zone, err = parseZone(zone)
	return w, err
}

func parseDay(s string) (time.Weekday, error) {
	names := []string{}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(s, short(d)) || strings.EqualFold(s, d.String()) {
			return d, nil
		}
		names = append(names, d.String())
	}
	return 0, fmt.Errorf("unknown day %q: %s", s, didYouMean(s, names))
}

// parseHours reads "10:00-16:00" to minutes since midnight. That they are the
// right way round is Lint's question.
func parseHours(s string) ([2]int, error) {
	wrong := fmt.Errorf(`%q are not hours: want "10:00-16:00", say`, s)
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		return [2]int{}, wrong
	}
	var hours [2]int
	for i, text := range []string{from, to} {
		h, m, ok := strings.Cut(strings.TrimSpace(text), ":")
		hour, err1 := strconv.Atoi(h)
		minute, err2 := strconv.Atoi(m)
		if !ok || err1 != nil || err2 != nil || len(m) != 2 || hour < 0 || minute < 0 || minute > 59 || hour*60+minute > dayMinutes {
			return [2]int{}, wrong
		}
		hours[i] = hour*60 + minute
	}
	return hours, nil
}

func parseZone(s string) (*time.Location, error) {
	if s != "" && s != "Local" {
		if zone, err := time.LoadLocation(s); err == nil {
			return zone, nil
		}
	}
	return time.UTC, fmt.Errorf("unknown time zone %q: want a name of the IANA database, such as Asia/Tokyo or Europe/Berlin", s)
}

func parseDate(s string) (time.Time, error) {
	t, err := time.Parse(dateLayout, s)
	if err != nil {
		return t, fmt.Errorf("%q is not a date: want one such as 2026-12-25", s)
	}
	return t, nil
}

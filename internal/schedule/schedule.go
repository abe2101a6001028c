// Package schedule says when to release: which moments are open, and which of them
// expose the fewest users if it goes wrong.
//
// Rules (this file) is the pure question "may the release start at this moment; if not,
// when next", and the only place where it is answered: rehearse release and a rehearsed
// pipeline ask it of the plan alone (Of), rehearse schedule of more. It is asked of the
// plan's window, freezes (freeze.go reads them from a calendar), the people who must be
// awake, and traffic that is thick enough for the alarms (profile.go reads it, least.go
// says how thick). Propose (propose.go) looks for the best openings, and week.go draws
// the week.
//
// Nothing here reads a clock: every moment is passed in, and every zone is of the IANA
// database that the program carries.
package schedule

import (
	"fmt"
	"time"

	"rehearsal/internal/release"
)

// Rules are what a moment to start a release is judged by.
type Rules struct {
	Plan    *release.Plan
	People  *release.Window // when they are awake: for the whole release and its way back; nil: not asked
	Freezes []Freeze
	Starts  time.Duration // what starting replicas adds to the plan's bakes
	Service Service
	Profile *Profile // nil: traffic is not asked about
	// Least is how many requests per second the alarms need, at any time until the last
	// bake is over, and LeastFor is what needs them.
	Least    float64
	LeastFor string
}

// Of is what the plan itself says: its window, and no freeze of it while the release or
// its way back lasts. Starting replicas until they are healthy takes start, each time.
func Of(plan *release.Plan, replicas int, start time.Duration) *Rules {
	r := &Rules{Plan: plan, Service: Service{Replicas: replicas}, Starts: start}
	if plan.Strategy == release.Rolling {
		r.Starts *= time.Duration(len(plan.Schedule(replicas)))
	}
	return r
}

// A Service is what of it matters here.
type Service struct {
	Replicas int
	PerUser  float64 // requests of a user's visit
}

// A Reason is why a release may not start at a moment. It is a closed set.
type Reason uint8

const (
	Open    Reason = iota
	Outside        // of the plan's window
	Frozen         // some of it would fall into a freeze
	Asleep         // nobody is awake for some of it
	Thin           // too few requests for the alarms
)

// Reasons is every reason, in the order in which they are asked.
func Reasons() []Reason { return []Reason{Open, Outside, Frozen, Asleep, Thin} }

// String is how a count of starts is told: "12 are outside of the plan's window".
func (r Reason) String() string {
	switch r {
	case Open:
		return "open"
	case Outside:
		return "outside of the plan's window"
	case Frozen:
		return "frozen"
	case Asleep:
		return "not over, way back included, before people leave"
	case Thin:
		return "in hours with too few requests for the alarms"
	}
	panic(fmt.Sprintf("unknown reason %d", r))
}

// Mark is the letter of a reason in the heat map.
func (r Reason) Mark() byte {
	switch r {
	case Open:
		return ' '
	case Outside:
		return 'w'
	case Frozen:
		return 'x'
	case Asleep:
		return 'z'
	case Thin:
		return 't'
	}
	panic(fmt.Sprintf("unknown reason %d", r))
}

// Bakes is how long a release takes when all goes well.
func (r *Rules) Bakes() time.Duration { return r.Plan.Length(r.Service.Replicas) + r.Starts }

// Lasts is how long a release takes with its way back, if what is wrong is noticed only
// at its end.
func (r *Rules) Lasts() time.Duration { return r.Bakes() + r.Plan.Rollback.Within }

// Closed says why no release may start at that moment, in words; Open and "" when one
// may.
func (r *Rules) Closed(start time.Time) (Reason, string) {
	if why := r.Plan.Window.Closed(start); why != "" {
		reason := Outside
		if r.Plan.Window.Frozen(start) {
			reason = Frozen
		}
		return reason, "the plan's window is " + why
	}
	end := start.Add(r.Lasts())
	if f, frozen := r.frozen(start, end); frozen {
		return Frozen, fmt.Sprintf("a release that starts then is over, way back included, at %s: %s", r.words(end), f)
	}
	if until := covers(r.People, start, end); until.Before(end) {
		if until.Equal(start) {
			return Asleep, fmt.Sprintf("nobody is there then: people are there %s", r.People)
		}
		return Asleep, fmt.Sprintf("people leave at %s, and a release that starts then is over, way back included, at %s", r.words(until), r.words(end))
	}
	if r.Profile != nil && r.Least > 0 {
		if at, rate := r.Profile.Least(start, start.Add(r.Bakes())); rate < r.Least {
			return Thin, fmt.Sprintf("from %s on there are %s requests per second, and %s needs %s", r.words(at), rough(rate), r.LeastFor, rough(r.Least))
		}
	}
	return Open, ""
}

// Refused says why no release may start at that moment, and when one may next: "" when
// one may then.
func (r *Rules) Refused(start time.Time) string {
	reason, why := r.Closed(start)
	if reason == Open {
		return ""
	}
	opening := "there is no opening in the next two years: mend the window"
	if next, ok := r.Next(start); ok {
		opening = fmt.Sprintf("the next opening is %s, in %s", r.words(next), wait(next.Sub(start)))
	}
	return fmt.Sprintf("refused: no release by the plan %q may start now (%s): %s", r.Plan.Name, why, opening)
}

// wait is a time to wait, to the minute.
func wait(d time.Duration) string {
	d = d.Round(time.Minute)
	if h := d / time.Hour; h >= 48 {
		return fmt.Sprintf("%d days and %d h", h/24, h%24)
	} else if h > 0 {
		return fmt.Sprintf("%d h %d min", h, (d%time.Hour)/time.Minute)
	}
	return fmt.Sprintf("%d min", d/time.Minute)
}

// horizon is how far ahead an opening is looked for, as release.Window does.
const horizon = 2 * 366 * 24 * time.Hour

// Next is the first whole minute from a moment on, or the moment itself, at which a
// release may start. It reports false when there is none in the next two years.
func (r *Rules) Next(from time.Time) (time.Time, bool) {
	for t := from; t.Sub(from) < horizon; {
		reason, _ := r.Closed(t)
		if reason == Open {
			return t, true
		}
		next := t.Truncate(time.Minute).Add(time.Minute)
		if reason == Outside || reason == Frozen {
			if at, ok := r.Plan.Window.Next(t); !ok {
				return time.Time{}, false
			} else if at.After(next) {
				next = at
			}
		}
		if f, frozen := r.frozen(t, t.Add(r.Lasts())); frozen && f.To.After(next) {
			next = f.To
		}
		if reason == Asleep { // who starts later is over later, so not before people are back
			if at, ok := r.People.Next(covers(r.People, t, t.Add(r.Lasts()))); !ok {
				return time.Time{}, false
			} else if at.After(next) {
				next = at
			}
		}
		if reason == Thin { // who starts before the thinnest hour ends meets it too
			at, _ := r.Profile.Least(t, t.Add(r.Bakes()))
			if at = r.Profile.nextHour(at); at.After(next) {
				next = at
			}
		}
		t = next
	}
	return time.Time{}, false
}

// frozen is the first freeze that some of a span falls into.
func (r *Rules) frozen(from, to time.Time) (Freeze, bool) {
	for _, f := range r.Freezes {
		if f.From.Before(to) && f.To.After(from) {
			return f, true
		}
	}
	if r.Plan.Window == nil {
		return Freeze{}, false
	}
	for _, f := range r.Plan.Window.Freeze {
		if begins, ends := f.Span(r.Plan.Window.Zone); begins.Before(to) && ends.After(from) {
			return Freeze{From: begins, To: ends, Why: f.Why}, true
		}
	}
	return Freeze{}, false
}

// Zone is that of the people, or of the plan's window where people are not asked about.
// Moments are told in it.
func (r *Rules) Zone() *time.Location {
	for _, w := range []*release.Window{r.People, r.Plan.Window} {
		if w != nil {
			return w.Zone
		}
	}
	return time.UTC
}

// words is a moment as people read it: with the abbreviation of the zone, which tells
// the two hours apart when the clocks are put back.
func (r *Rules) words(t time.Time) string { return t.In(r.Zone()).Format("Mon 2006-01-02 15:04 MST") }

// covers is until when a window is open without a break from a moment on, at most until
// to. It is from itself where the window is closed then. No window is always open.
func covers(w *release.Window, from, to time.Time) time.Time {
	if w == nil {
		return to
	}
	t := from
	for t.Before(to) && w.Open(t) {
		local := t.In(w.Zone)
		t = time.Date(local.Year(), local.Month(), local.Day(), 0, w.To, 0, 0, w.Zone)
		// When the clocks are put back, an hour comes twice: the second end is meant.
		for !t.After(local) {
			t = t.Add(30 * time.Minute)
		}
	}
	if t.After(to) {
		return to
	}
	return t
}

// rough is a rate: "0.5", "12", "1,234".
func rough(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.1:
		return fmt.Sprintf("%.2g", v)
	case v < 9.95:
		return fmt.Sprintf("%.1f", v)
	}
	return thousands(v)
}

// thousands is "12,345".
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

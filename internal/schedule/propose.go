package schedule

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// step is between the starts that are tried.
const step = 5 * time.Minute

// An Opening is starts that are open without a break, and the best of them.
type Opening struct {
	First, Last time.Time
	Best        Start
}

// A Start is a moment to start a release and what it means.
type Start struct {
	At   time.Time
	Over time.Time // way back included
	// Requests and Users are those that the new version answers if what is wrong with it
	// is noticed only at the end, and the way back takes as long as it may.
	Requests, Users float64
	Least, Most     float64       // requests per second, until the last bake is over
	Spare           time.Duration // for how long people are there after it is over; at most a day is looked ahead
	Changes         bool          // the clocks change before it is over
}

// A Proposal is where to release, in a span of days.
type Proposal struct {
	From, To time.Time
	Openings []Opening      // the best first
	Starts   int            // how many were tried
	Closed   map[Reason]int // how many of them were closed, and why
	Rules    *Rules
	example  map[Reason]string // of a reason, in words
}

// Propose tries a start every 5 minutes and gathers those that are open. An opening that
// exposes fewer users is better, then an earlier one. The rules must have a profile.
func (r *Rules) Propose(from time.Time, days int) *Proposal {
	local := from.In(r.Zone())
	p := &Proposal{From: from, To: time.Date(local.Year(), local.Month(), local.Day()+days, local.Hour(), local.Minute(), 0, 0, r.Zone()),
		Closed: map[Reason]int{}, Rules: r, example: map[Reason]string{}}
	var open *Opening
	first := from.Truncate(step)
	if first.Before(from) {
		first = first.Add(step)
	}
	for t := first; t.Before(p.To); t = t.Add(step) {
		p.Starts++
		if reason, why := r.Closed(t); reason != Open {
			p.Closed[reason]++
			if p.example[reason] == "" {
				p.example[reason] = fmt.Sprintf("%s: %s", r.words(t), why)
			}
			open = nil
			continue
		}
		s := r.Start(t)
		if open == nil {
			p.Openings = append(p.Openings, Opening{First: t, Best: s})
			open = &p.Openings[len(p.Openings)-1]
		}
		open.Last = t
		if s.Users < open.Best.Users {
			open.Best = s
		}
	}
	slices.SortStableFunc(p.Openings, func(a, b Opening) int { return cmp.Compare(a.Best.Users, b.Best.Users) })
	return p
}

// Start says what it means to start at a moment.
func (r *Rules) Start(at time.Time) Start {
	end := at.Add(r.Bakes())
	s := Start{At: at, Over: at.Add(r.Lasts())}
	t := at.Add(r.Starts)
	for _, step := range r.Plan.Schedule(r.Service.Replicas) {
		r.expose(&s, t, t.Add(step.Bake), step.Share)
		t = t.Add(step.Bake)
	}
	r.expose(&s, t, t.Add(r.Plan.Rollback.Within), 100)
	_, s.Least = r.Profile.Least(at, end)
	for t := at; t.Before(end); t = r.Profile.nextHour(t) {
		s.Most = max(s.Most, r.Profile.Rate(t))
	}
	s.Spare = covers(r.People, s.Over, s.Over.Add(24*time.Hour)).Sub(s.Over)
	_, before := at.In(r.Zone()).Zone()
	_, after := s.Over.In(r.Zone()).Zone()
	s.Changes = before != after
	return s
}

// expose adds what meets the new version while it has share percent of the traffic. A
// user's visit of k requests meets it unless all k go to the old one.
func (r *Rules) expose(s *Start, from, to time.Time, share float64) {
	for t := from; t.Before(to); {
		next := r.Profile.nextHour(t)
		if next.After(to) {
			next = to
		}
		requests := r.Profile.Rate(t) * next.Sub(t).Seconds()
		s.Requests += requests * share / 100
		s.Users += requests / r.Service.PerUser * (1 - math.Pow(1-share/100, r.Service.PerUser))
		t = next
	}
}

// Why is what speaks for an opening, and against it, beside the best of the proposal.
func (p *Proposal) Why(o *Opening) string {
	s, best := &o.Best, &p.Openings[0].Best
	var why []string
	switch {
	case o == &p.Openings[0]:
		why = append(why, "fewest users of all openings")
	case best.Users > 0 && s.Users > 1.005*best.Users:
		why = append(why, fmt.Sprintf("%.0f %% more users than the best", 100*(s.Users/best.Users-1)))
	default:
		why = append(why, "as few users as the best")
	}
	traffic := fmt.Sprintf("%s requests a second", rough(s.Least))
	if rough(s.Most) != rough(s.Least) {
		traffic = fmt.Sprintf("%s to %s requests a second", rough(s.Least), rough(s.Most))
	}
	if p.Rules.Least > 0 {
		traffic += fmt.Sprintf(", the alarms need %s", rough(p.Rules.Least))
	}
	why = append(why, traffic)
	switch {
	case s.Spare >= 24*time.Hour:
		why = append(why, "people are always there")
	case s.Spare < time.Minute:
		why = append(why, "people leave as it is over: no time to spare")
	default:
		why = append(why, fmt.Sprintf("people stay %s after it is over", brief(s.Spare.Truncate(time.Minute))))
	}
	if s.Changes {
		why = append(why, "the clocks change meanwhile")
	}
	return strings.Join(why, "; ")
}

// None says why there is no opening, and what would make one.
func (p *Proposal) None() string {
	r := p.Rules
	var b strings.Builder
	fmt.Fprintf(&b, "there is no opening from %s to %s: of %s starts, one every %s,", r.words(p.From), r.words(p.To), thousands(float64(p.Starts)), brief(step))
	remedies := map[Reason]string{
		Outside: "widen the window of the plan",
		Frozen:  "look further ahead with --days, or shorten the freeze",
		Asleep:  "shorten the plan, or have people there for longer",
		Thin:    "release in busier hours, give the new version a larger first share, or use alarms that see fewer requests",
	}
	most := Open
	for _, reason := range Reasons() {
		if n := p.Closed[reason]; n > 0 {
			fmt.Fprintf(&b, "\n  %s are %s (%s)", thousands(float64(n)), reason, p.example[reason])
			if reason != Outside || len(p.Closed) == 1 { // what the plan itself leaves open is what can be won
				if most == Open || n > p.Closed[most] {
					most = reason
				}
			}
		}
	}
	if remedy := remedies[most]; remedy != "" {
		fmt.Fprintf(&b, "\n%s", remedy)
	}
	return b.String()
}

// brief is a time as people write it: "5m", "1h5m".
func brief(d time.Duration) string {
	d = d.Round(time.Second)
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

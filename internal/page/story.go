package page

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/chart"
	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/stage"
)

// A story is what one history tells.
type story struct {
	result   *Result
	record   *record // nil where there is no history; dropped once the page has it
	version  string  // that was released
	failures []exposure
	exposed  time.Duration
	met      bool                     // users were exposed to whatever is wrong with the version
	saw      map[string]time.Duration // by alarm: when it first went off
	known    map[string]bool          // all alarms that were ever heard of
	back     *Rollback
	against  time.Duration // when the release's own checks first spoke against it; check.Never
	events   []event
	outside  []call
	notes    []Note
}

// An exposure is when users could first meet one failure.
type exposure struct {
	stage.Failure
	At  time.Duration
	Met bool  // they could at all
	Bad int64 // requests that failed since
}

// A Rollback is one decision to go back, and what came of it.
type Rollback struct {
	At      time.Duration
	Why     string
	Stable  string
	Back    time.Duration // from the decision until everyone was back; check.Never
	Restore time.Duration // from the decision until users were served well again; check.Never
	Unhurt  bool          // no request failed, so there was nothing to restore
	Writes  *stage.Writes // nil: nobody compared
}

// An event is one line of what happened.
type event struct {
	At    time.Duration
	Class string
	What  Note
}

type call struct {
	stage.Call
	Version string
}

// Output lines that are kept of a scenario that did not pass, and of one that did.
const (
	keepBad  = 40
	keepGood = 6
)

// story reads the history of a result.
func (r *Run) story(res *Result) *story {
	s := &story{result: res, against: check.Never, saw: map[string]time.Duration{}, known: map[string]bool{}, version: res.Version}
	keep := keepGood
	if res.Verdict != passed {
		keep = keepBad
	}
	s.record, s.notes = r.readRecord(res, keep)
	if s.record == nil {
		return s
	}
	h := s.record.History
	if s.version == "" {
		for e := range h.All(stage.Stepped) {
			s.version = e.Version
		}
	}
	if s.version != "" {
		s.exposed, s.met = check.Exposure(h, s.version)
	}
	from := time.Duration(0)
	if s.met {
		from = s.exposed
	}
	s.meet(h)
	for e := range h.All(stage.Changed) {
		s.known[e.Alarm.Name] = true
		if _, already := s.saw[e.Alarm.Name]; !already && e.At >= from && e.Alarm.To == alarm.InAlarm {
			s.saw[e.Alarm.Name] = e.At
		}
	}
	s.against = against(h)
	s.rollback(h)
	s.tell(h)
	for e := range h.All(stage.CalledOut) {
		s.outside = append(s.outside, call{*e.Call, e.Version})
	}
	return s
}

// meet finds when users could first meet each failure: as soon as a version that it hits
// had traffic.
func (s *story) meet(h *stage.History) {
	for e := range h.All(stage.Injected) {
		f := exposure{Failure: *e.Failure}
		if slices.ContainsFunc(s.failures, func(x exposure) bool { return x.Failure == f.Failure }) {
			continue
		}
		for d := range h.All(stage.Deployed) {
			at, ok := check.Exposure(h, d.Version)
			if at = max(at, e.At); ok && f.Hits(d.Version) && (!f.Met || at < f.At) {
				f.At, f.Met = at, true
			}
		}
		if f.Met {
			_, f.Bad = check.Counted(h, f.At, 0, "")
		}
		s.failures = append(s.failures, f)
	}
}

// goesBack is how a decision to roll back begins.
const goesBack = "roll back to "

func (s *story) rollback(h *stage.History) {
	for e := range h.All(stage.Decided) {
		rest, ok := strings.CutPrefix(e.Detail, goesBack)
		if e.OK || !ok {
			continue
		}
		b := &Rollback{At: e.At, Back: check.Never, Restore: check.Never}
		b.Stable, b.Why, _ = strings.Cut(rest, ": ")
		on := check.Never
		current := stage.Shares{}
		for sh := range h.All(stage.Shifted) {
			current = sh.Shares
			switch {
			case sh.Shares[b.Stable] != 100:
				on = check.Never
			case on < 0:
				on = sh.At
			}
		}
		if on >= 0 && current[b.Stable] == 100 {
			b.Back = max(0, on-e.At)
		}
		since := e.At
		if s.met {
			since = min(since, s.exposed)
		}
		if _, bad := check.Counted(h, since, 0, ""); bad == 0 {
			b.Unhurt = true
		}
		if at, ok := check.Restored(h, e.At, check.Lasting); ok {
			b.Restore = at - e.At
		}
		for w := range h.All(stage.Audited) {
			b.Writes = w.Writes
		}
		s.back = b
		return
	}
}

// detected is when the failure was first noticed, and by what: the alarm, or "" for the
// release itself.
func (s *story) detected() (at time.Duration, by string, ok bool) {
	for _, name := range slices.Sorted(maps.Keys(s.saw)) {
		if t := s.saw[name]; !ok || t < at {
			at, by, ok = t, name, true
		}
	}
	if s.against >= 0 && (!ok || s.against < at) {
		at, by, ok = s.against, "", true
	}
	return at, by, ok
}

// against is when a check first said no, or the release decided not to go on, unless a
// person ordered that: then nothing had noticed anything.
func against(h *stage.History) time.Duration {
	for _, e := range h.Events() {
		switch {
		case e.OK || e.Kind != stage.Decided && e.Kind != stage.Probed:
		case strings.Contains(e.Detail, "a person ordered it"):
			return check.Never
		default:
			return e.At
		}
	}
	return check.Never
}

// mostEvents are shown of one history; the middle of more is left out.
const mostEvents = 60

// tell makes the lines of what happened.
func (s *story) tell(h *stage.History) {
	var out []event
	add := func(at time.Duration, class, format string, args ...any) {
		out = append(out, event{at, class, note(format, args...)})
	}
	var calm []string // alarms that came to be OK one after the other
	var calmAt time.Duration
	rest := func() {
		if len(calm) > 0 {
			add(calmAt, "ok", "OK: %s", strings.Join(calm, ", "))
		}
		calm = nil
	}
	times, last := 0, stage.Event{} // of the same thing, one after the other
	same := func() {
		switch {
		case times == 0:
		case last.Kind == stage.Exited && times == 1:
			add(last.At, "bad", "a replica of %s exited: %s", last.Version, cut(last.Detail, 160))
		case last.Kind == stage.Exited:
			add(last.At, "bad", "replicas of %s exited %d times, the last one: %s", last.Version, times, cut(last.Detail, 160))
		case last.Kind == stage.Unhealthy && times == 1:
			add(last.At, "bad", "a replica of %s is unhealthy: %s", last.Version, cut(last.Detail, 160))
		case last.Kind == stage.Unhealthy:
			add(last.At, "bad", "replicas of %s became unhealthy %d times, the last one: %s", last.Version, times, cut(last.Detail, 160))
		case last.Kind == stage.Healthy:
			add(last.At, "ok", "%s is healthy again", last.Version)
		}
		times = 0
	}
	for _, e := range h.Events() {
		if e.Kind == stage.Served || e.Kind == stage.StubAsked {
			continue
		}
		if e.Kind != stage.Changed || e.Alarm.To != alarm.OK {
			rest()
		}
		if times > 0 && (e.Kind != last.Kind || e.Version != last.Version) {
			same()
		}
		switch e.Kind {
		case stage.Began:
			add(e.At, "", "the stage is up")
		case stage.Deployed:
			add(e.At, "", "%s runs, replicas: %d", e.Version, e.Replicas)
		case stage.Unhealthy, stage.Healthy, stage.Exited:
			times, last = times+1, e
		case stage.Retired:
			add(e.At, "", "%s runs no more", e.Version)
		case stage.Shifted:
			add(e.At, "shift", "traffic: %s", sharesOf(e.Shares))
		case stage.Injected:
			add(e.At, "", "failure prepared: %v", broken(*e.Failure))
		case stage.Landed:
			add(e.At, "bad", "failure present: %v (%s)", broken(*e.Failure), cut(e.Detail, 160))
		case stage.Healed:
			add(e.At, "ok", "failure taken away: %v", broken(*e.Failure))
		case stage.Changed:
			switch e.Alarm.To {
			case alarm.OK:
				calm, calmAt = append(calm, e.Alarm.Name), e.At
			case alarm.InAlarm:
				add(e.At, "alarm", "ALARM %s", e.Alarm.Name)
			case alarm.InsufficientData:
				add(e.At, "", "%s has no data", e.Alarm.Name)
			}
		case stage.Probed:
			if e.OK {
				add(e.At, "", "asked, and answered well: %s", probeOf(e.Probe))
			} else {
				add(e.At, "bad", "asked, and not answered well: %s: %s", probeOf(e.Probe), cut(e.Detail, 160))
			}
		case stage.Audited:
			out = append(out, event{e.At, "", writesNote(e.Writes)})
		case stage.CalledOut:
			add(e.At, "bad", "refused: %v", *e.Call)
		case stage.Ended:
			add(e.At, "", "the stage is closed")
		case stage.Stepped, stage.Confirmed:
			add(e.At, "", "%s", said(e.Detail))
		case stage.Decided:
			if e.OK {
				add(e.At, "ok", "%s", said(e.Detail))
			} else {
				add(e.At, "decided", "%s", said(e.Detail))
			}
		case stage.Served, stage.StubAsked, stage.Logged:
		}
	}
	rest()
	same()
	if s.met && len(s.failures) > 0 {
		out = append(out, event{s.exposed, "bad", note("users can meet the failure")})
	}
	if s.back != nil && s.back.Restore >= 0 && !s.back.Unhurt {
		out = append(out, event{s.back.At + s.back.Restore, "ok", note("service is restored")})
	}
	slices.SortStableFunc(out, func(a, b event) int { return int(max(-1, min(1, a.At-b.At))) })
	if n := len(out) - mostEvents; n > 0 {
		out = slices.Concat(out[:mostEvents/2], []event{{out[mostEvents/2].At, "", note("%s more are left out here", thousands(n))}}, out[len(out)-mostEvents/2:])
	}
	s.events = out
}

// said is English that another package made: the language is asked whether it knows it.
type said string

func (s said) String() string { return string(s) }

func writesNote(w *stage.Writes) Note {
	if w.Lost == 0 && w.Doubled == 0 {
		return note("none of %s acknowledged writes lost or doubled", thousands(w.Acknowledged))
	}
	return note("of %s acknowledged writes %s lost, %s doubled", thousands(w.Acknowledged), thousands(w.Lost), thousands(w.Doubled))
}

func sharesOf(s stage.Shares) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(s)) {
		parts = append(parts, fmt.Sprintf("%s %.3g %%", v, s[v]))
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, ", ")
}

func probeOf(p *stage.Probe) said { return said(p.String()) }

// broken is a failure, said in the language.
type broken stage.Failure

func (b broken) Say(l lang.Lang) string {
	kind := chart.Kind(l, b.Kind)
	for _, where := range []string{b.Dependency, b.Variable, b.Zone} {
		if where != "" {
			kind += " (" + where + ")"
		}
	}
	if b.Version != "" {
		kind = b.Version + ": " + kind
	}
	parts := []string{kind}
	if b.Times > 0 {
		parts = append(parts, l.Sprintf("%d times as many requests", b.Times))
	}
	if b.Delay > 0 {
		parts = append(parts, duration(l, b.Delay))
	}
	if b.Share > 0 {
		parts = append(parts, l.Sprintf("%g %% of requests", b.Share))
	}
	if b.After > 0 {
		parts = append(parts, l.Sprintf("after %s", duration(l, b.After)))
	}
	return strings.Join(parts, l.Sprintf(", "))
}

// thousands is 1234567 as 1,234,567.
func thousands[N ~int | ~int64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// cut is s, or its beginning and how much more there is.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	runes := 0
	for i := range s {
		if runes == n {
			return s[:i] + fmt.Sprintf(" … +%s", thousands(len(s)-i))
		}
		runes++
	}
	return s
}

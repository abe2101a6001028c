package chart

import (
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A track is what is drawn of one history, on release time from where its release began:
// the two stages take different times to warm up, and are laid beside each other there.
type track struct {
	h        *stage.History // of sound events only
	zero     time.Duration  // where the release began
	from, to time.Duration  // what is shown, from zero
	moments  map[moment]time.Duration
	figures  check.Measures
	steps    []mark
	failures []span
	shares   []shared
	alarms   map[string][]stateAt
	names    []string // of the alarms, in the order in which they first went off, then first changed
	traffic  traffic
}

// A moment is a closed set, in the order in which they come.
type moment int

const (
	exposed moment = iota
	detected
	restored
)

// A mark is something at a time.
type mark struct {
	at   time.Duration
	what release.Mark
	text string // of the event
}

// A span is a failure from when it was injected, and present from when it landed.
type span struct {
	failure             stage.Failure
	from, present, till time.Duration
	landed              bool
}

type shared struct {
	at     time.Duration
	shares stage.Shares
}

type stateAt struct {
	at    time.Duration
	state alarm.State
}

// longest is what a history cannot be longer than: a century.
const longest = 100 * 365 * 24 * time.Hour

// sound is h with those events alone that say what they are about, in order; nil is none.
func sound(h *stage.History) *stage.History {
	var last time.Duration
	out := stage.NewHistory(func() time.Duration { return last }, nil)
	if h == nil {
		return out
	}
	for _, e := range h.Events() {
		switch e.Kind {
		case stage.Injected, stage.Landed, stage.Healed:
			if e.Failure == nil {
				continue
			}
		case stage.Served:
			if t := e.Traffic; t == nil || t.From < 0 || t.To < t.From || t.To > longest || t.Requests < 0 || t.Failed < 0 {
				continue
			}
		case stage.Changed:
			if e.Alarm == nil || e.Alarm.To > alarm.InAlarm {
				continue
			}
		default:
		}
		e.At = min(max(e.At, 0), longest)
		last = max(last, e.At)
		out.Record(e)
	}
	return out
}

// trackOf reads a history of the release of version; "" is the one whose steps it has.
func trackOf(h *stage.History, version string) *track {
	t := &track{h: sound(h), moments: map[moment]time.Duration{}, alarms: map[string][]stateAt{}}
	events := t.h.Events()
	if len(events) == 0 {
		return t
	}
	first, last := events[0].At, events[len(events)-1].At
	t.zero = first
	begun := false
	for _, e := range events {
		if e.Kind == stage.Confirmed && !begun {
			t.zero = e.At
		}
		if e.Kind == stage.Stepped && !begun {
			t.zero, begun = e.At, true
			if version == "" {
				version = e.Version
			}
		}
	}
	// What was before the release is of interest as far as one sees that all was well.
	t.from = max(first-t.zero, -time.Minute)
	t.to = last - t.zero
	for _, e := range events {
		at := e.At - t.zero
		switch e.Kind {
		case stage.Shifted:
			t.shares = append(t.shares, shared{at, e.Shares})
		case stage.Injected:
			t.from = min(t.from, at)
			t.failures = append(t.failures, span{failure: *e.Failure, from: at, till: t.to})
		case stage.Landed, stage.Healed:
			for i := range t.failures {
				f := &t.failures[i]
				if f.failure != *e.Failure || f.till != t.to {
					continue
				}
				if e.Kind == stage.Healed {
					f.till = at
				} else if !f.landed {
					f.present, f.landed = at, true
				}
			}
		case stage.Changed:
			t.alarms[e.Alarm.Name] = append(t.alarms[e.Alarm.Name], stateAt{at, e.Alarm.To})
		case stage.Stepped, stage.Decided:
			if m := release.MarkOf(e); m.Phase != release.NoPhase {
				t.steps = append(t.steps, mark{at, m, e.Detail})
			}
		default:
		}
	}
	for _, went := range []bool{true, false} {
		for e := range t.h.All(stage.Changed) {
			if went == (e.Alarm.To == alarm.InAlarm) {
				t.names = append(t.names, e.Alarm.Name)
			}
		}
	}
	t.figures = check.Measure(t.h, version)
	if at, ok := check.Exposure(t.h, version); ok && (t.figures.Failed > 0 || t.figures.Detect >= 0 || len(t.failures) > 0) {
		t.moments[exposed] = at - t.zero
		if d := t.figures.Detect; d >= 0 {
			t.moments[detected] = at + d - t.zero
		}
		if d := t.figures.Restore; d >= 0 {
			t.moments[restored] = at + d - t.zero
		}
	}
	t.traffic = trafficOf(t.h, t.zero, t.from, t.to)
	return t
}

// empty says that nothing was recorded.
func (t *track) empty() bool { return len(t.h.Events()) == 0 }

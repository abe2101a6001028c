// Package check asks questions of a history. A check is pure: it reads what was
// observed and says whether a promise was kept, with the figures; it never waits,
// never changes anything, and knows nothing of the stage that the history is of.
//
// detect.go asks about alarms, users.go about the users' requests and writes,
// performance.go compares how fast two versions answer (ranks.go has the statistics),
// invariant.go holds what must be true after every scenario, compare.go lays the
// prediction beside the measurement.
package check

import (
	"fmt"
	"time"

	"rehearsal/internal/stage"
)

// Verdict is a closed set.
type Verdict int

const (
	Passed       Verdict = iota // the promise was kept
	Failed                      // the promise was broken
	Inconclusive                // the harness, not the release, broke: nothing may be concluded
)

// String is the verdict as reports print it.
func (v Verdict) String() string {
	switch v {
	case Passed:
		return "passed"
	case Failed:
		return "failed"
	case Inconclusive:
		return "inconclusive"
	}
	panic(fmt.Sprintf("unknown verdict %d", int(v)))
}

// MarshalText makes verdicts readable in JSON.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// A Finding is the answer to one check.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"` // what was seen, with figures
}

// Err is nil when the check passed, else an error that says what was seen.
func (f Finding) Err() error {
	if f.Verdict == Passed {
		return nil
	}
	return &Broken{f}
}

// Broken is a check that did not pass, as an error.
type Broken struct{ Finding }

func (b *Broken) Error() string { return b.Detail }

func passed(check, format string, args ...any) Finding {
	return Finding{check, Passed, fmt.Sprintf(format, args...)}
}

func failed(check, format string, args ...any) Finding {
	return Finding{check, Failed, fmt.Sprintf(format, args...)}
}

// short prints a duration as people say it: no more digits than matter.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// Exposure is when users could first meet what is wrong with version: when it
// first had a share of the traffic while a failure that hits it was present. A
// version with no injected failure is exposed from its first share on: what is
// wrong with it, if anything, is in the version itself.
func Exposure(h *stage.History, version string) (at time.Duration, ok bool) {
	var (
		present  = map[stage.Failure]bool{}
		early    = map[int][]stage.Failure{} // by the event that shows them
		injected bool
		share    float64
		first    time.Duration
		taken    bool
	)
	events := h.Events()
	for _, e := range events {
		switch e.Kind {
		case stage.Injected:
			injected = injected || e.Failure.Hits(version)
			if seq, ok := shows(events, e); ok {
				early[seq] = append(early[seq], *e.Failure)
			}
		case stage.Landed:
			present[*e.Failure] = e.Failure.Hits(version)
		case stage.Healed:
			delete(present, *e.Failure)
		case stage.Shifted:
			share = e.Shares[version]
		default:
		}
		for _, f := range early[e.Seq] {
			present[f] = f.Hits(version)
		}
		if share <= 0 {
			continue
		}
		if !taken {
			taken, first = true, e.At
		}
		for _, hits := range present {
			if hits {
				return e.At, true
			}
		}
	}
	return first, taken && !injected
}

// shows is the event by which an injected failure that landed later showed already: a
// replica of its version exited or stopped being healthy. The proof of a killed
// process may come after what the balancer makes of it.
func shows(events []stage.Event, injected stage.Event) (seq int, ok bool) {
	first := -1
	for _, e := range events[injected.Seq:] {
		switch e.Kind {
		case stage.Exited, stage.Unhealthy:
			if first < 0 && e.Version == injected.Failure.Version {
				first = e.Seq
			}
		case stage.Landed:
			if *e.Failure == *injected.Failure {
				return first, first >= 0
			}
		}
	}
	return 0, false
}

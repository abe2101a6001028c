package check

import (
	"fmt"
	"math"
	"time"

	"rehearsal/internal/stage"
)

// Measures are the figures of one scenario on one stage. A time is negative when
// the thing did not happen.
type Measures struct {
	Detect   time.Duration `json:"detect"`  // from exposure to the first alarm, or to the decision to go back where that came first
	Restore  time.Duration `json:"restore"` // from exposure until users are served well again
	Requests int64         `json:"requests"`
	Failed   int64         `json:"failed"`
	Alarm    string        `json:"alarm,omitempty"` // the first to go off
}

// Never is the time of what did not happen.
const Never time.Duration = -1

// FailedShare is the percentage of requests that failed.
func (m Measures) FailedShare() float64 {
	if m.Requests == 0 {
		return 0
	}
	return 100 * float64(m.Failed) / float64(m.Requests)
}

// Measure takes the figures of the release of version from a history.
func Measure(h *stage.History, version string) Measures {
	m := Measures{Detect: Never, Restore: Never}
	m.Requests, m.Failed = Counted(h, steady(h), 0, "")
	exposed, ok := Exposure(h, version)
	if !ok {
		return m
	}
	if det, ok := Detected(h, exposed); ok {
		m.Alarm = det.Alarm
	}
	noticed, _, ok := alerted(h, version)
	if !ok {
		return m
	}
	m.Detect = noticed - exposed
	if m.Failed > 0 {
		if at, ok := Restored(h, exposed, Lasting); ok {
			m.Restore = at - exposed
		}
	}
	return m
}

// Tolerance is how far the containers may be from what the simulation predicted.
// It is declared in one place, rehearsal.yaml; a zero field is DefaultTolerance's.
type Tolerance struct {
	Detect  time.Duration
	Restore time.Duration
	Failed  float64 // percent of the requests
	// Capacity is how far the highest load may be from the one that was predicted, in
	// percent of that.
	Capacity float64
}

// DefaultTolerance is one period of a one-minute alarm for times, 2 % of the requests,
// and a quarter of the highest load: near it little load more is much time more.
var DefaultTolerance = Tolerance{Detect: time.Minute, Restore: time.Minute, Failed: 2, Capacity: 25}

// Compare lays what the simulation predicted beside what the containers did. Every
// figure comes back, with a verdict.
func Compare(predicted, measured Measures, t Tolerance) []Finding {
	if t.Detect == 0 {
		t.Detect = DefaultTolerance.Detect
	}
	if t.Restore == 0 {
		t.Restore = DefaultTolerance.Restore
	}
	if t.Failed == 0 {
		t.Failed = DefaultTolerance.Failed
	}
	restore := compareTimes("time to restore", predicted.Restore, measured.Restore, t.Restore)
	if predicted.Failed == 0 || measured.Failed == 0 {
		// Whether nothing failed in one and much in the other is told by the last finding.
		restore = passed("time to restore", "predicted %d failed requests, measured %d: nothing to restore", predicted.Failed, measured.Failed)
	}
	return []Finding{
		compareTimes("time to detect", predicted.Detect, measured.Detect, t.Detect),
		restore,
		compareShares(predicted, measured, t.Failed),
	}
}

func compareTimes(check string, predicted, measured, tolerance time.Duration) Finding {
	text := func(d time.Duration) string {
		if d < 0 {
			return "never"
		}
		return short(d)
	}
	f := passed(check, "predicted %s, measured %s", text(predicted), text(measured))
	if (predicted < 0) != (measured < 0) || (predicted-measured).Abs() > tolerance {
		f.Verdict = Failed
		f.Detail += fmt.Sprintf(": further apart than %s", short(tolerance))
	}
	return f
}

// compareShares compares the numbers of failed requests, in percent of the requests
// of the longer run: the two need not be of the same length.
func compareShares(predicted, measured Measures, tolerance float64) Finding {
	p, m := predicted.FailedShare(), measured.FailedShare()
	f := passed("failed requests", "predicted %.2f %% of %d, measured %.2f %% of %d", p, predicted.Requests, m, measured.Requests)
	const rounding = 1e-9
	longer := float64(max(predicted.Requests, measured.Requests, 1))
	if 100*math.Abs(float64(predicted.Failed-measured.Failed))/longer > tolerance+rounding {
		f.Verdict = Failed
		f.Detail += fmt.Sprintf(": further apart than %g %% of the requests", tolerance)
	}
	return f
}

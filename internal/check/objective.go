package check

import (
	"fmt"
	"math"
	"time"

	"rehearsal/internal/stage"
)

// windowAnswers is how many measured answers a stretch of time has, at least, by which
// the 99th percentile of that time is told.
const windowAnswers = 300

// A Service is how users were served over some time, at its worst: the stretch of time, of
// at least 300 measured answers, with the highest 99th percentile: by the lower end of its
// confidence interval, since of many stretches one is high by chance.
type Service struct {
	At            time.Duration // release time at which the worst stretch ended
	P50           time.Duration // of the worst stretch
	P99, Low, Top time.Duration // of the worst stretch, with its 95 % confidence interval
	Answers       int64         // measured, over the whole time
	Requests      int64
	Failed        int64
	// OwnLow and OwnTop are the interval where requests that were sent late count from when
	// they were sent, at the earliest, and Late is the longest that one was: what the machine
	// that sends adds, the service has not to answer for.
	OwnLow, OwnTop, Late time.Duration
}

// Served is how users were served from a release time on. The lower end of the worst
// stretch's interval holds for the worst of so many: each stretch has its part of the 5 %
// (Bonferroni's correction), for of hundreds one looks bad by chance.
func Served(h *stage.History, from time.Duration) (s Service) {
	type stretch struct {
		to time.Duration
		stage.Latencies
	}
	var all []stretch
	var window stage.Latencies
	var n int64
	for e := range h.All(stage.Served) {
		t := e.Traffic
		if t.From < from {
			continue
		}
		s.Requests += t.Requests
		s.Failed += t.Failed
		window = append(window, t.Latencies...)
		more := t.Latencies.Total()
		s.Answers += more
		if n += more; n >= windowAnswers {
			all = append(all, stretch{t.To, window.Add(nil)})
			window, n = nil, 0
		}
	}
	if len(all) == 0 && n > 0 { // too few for one stretch: better than nothing, and the interval says so
		all = append(all, stretch{h.Now(), window.Add(nil)})
	}
	for _, w := range all {
		low := atLeast(w.Latencies, 0.99, 0.05/2/float64(len(all)))
		_, p99, top := quantile(w.Latencies, 0.99)
		if low > s.Low || low == s.Low && p99 > s.P99 { // the surest, since chance is not to decide
			_, p50, _ := quantile(w.Latencies, 0.5)
			s.At, s.P50, s.P99, s.Low, s.Top = w.to, p50, p99, low, top
		}
	}
	return s
}

// Errors is the share of the requests that failed, in percent, with its 95 % confidence
// interval (Wilson, "Probable inference, the law of succession, and statistical
// inference", 1927).
func (s Service) Errors() (low, is, top float64) {
	n, k := float64(s.Requests), float64(s.Failed)
	if n == 0 {
		return 0, 0, 100
	}
	p, z2 := k/n, z95*z95
	middle := (p + z2/(2*n)) / (1 + z2/n)
	half := z95 / (1 + z2/n) * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return 100 * max(middle-half, 0), 100 * p, 100 * min(middle+half, 1)
}

// Breaks says what of the objective was not kept, beyond what chance explains; "" is
// nothing.
func (s Service) Breaks(o stage.Objective) string {
	low, is, _ := s.Errors()
	switch {
	case s.Requests == 0:
		return "nobody was served"
	case o.Errors > 0 && low > o.Errors:
		return fmt.Sprintf("%.3g %% of the requests failed, more than %g %%", is, o.Errors)
	case o.P99 > 0 && s.Low > o.P99:
		return fmt.Sprintf("99 %% of the answers came within %s (at least %s) at its worst, later than %s", tenths(s.P99), tenths(s.Low), o.P99)
	}
	return ""
}

// AnswersWithin holds when, since the steady state was confirmed, 99 % of the answers came
// within d, in every stretch of time of at least 300 measured answers, as far as chance
// does not explain it.
func AnswersWithin(h *stage.History, d time.Duration) Finding {
	check := fmt.Sprintf("99 %% of the answers come within %s all through", d)
	s := Served(h, steady(h))
	seen := fmt.Sprintf("at its worst, at %s, 99 %% came within %s (between %s and %s)", s.At.Round(time.Second), tenths(s.P99), tenths(s.Low), tenths(s.Top))
	switch {
	case s.Answers < windowAnswers:
		return Finding{check, Inconclusive, fmt.Sprintf("%d measured answers are too few, want %d", s.Answers, windowAnswers)}
	case s.Low > d:
		return failed(check, "%s", seen)
	}
	return passed(check, "%s", seen)
}

// fewestForTail is how many answers are needed to say at most how high the 99th
// percentile is, with 95 % confidence: with fewer, all of them may be below it
// (1 - 0.99^n < 0.975).
const fewestForTail = 368

// ServedBetween is how users were served in [from, to), as a whole: all of it is one
// stretch. Every request must be one.
func ServedBetween(h *stage.History, from, to time.Duration) (s Service) {
	var all, own stage.Latencies
	for e := range h.All(stage.Served) {
		t := e.Traffic
		if t.From < from || t.From >= to {
			continue
		}
		s.Requests += t.Requests
		s.Failed += t.Failed
		s.Late = max(s.Late, t.Late)
		all = append(all, t.Latencies...)
		for _, l := range t.Latencies {
			own = append(own, stage.LatencyCount{Took: max(l.Took-t.Late, 0), N: l.N})
		}
	}
	all, own = all.Add(nil), own.Add(nil)
	s.At, s.Answers = to, all.Total()
	_, s.P50, _ = quantile(all, 0.50)
	s.Low, s.P99, s.Top = quantile(all, 0.99)
	s.OwnLow, _, s.OwnTop = quantile(own, 0.99)
	if s.Answers < fewestForTail {
		s.Top, s.OwnTop = math.MaxInt64, math.MaxInt64
	}
	return s
}

// A Standing is what can be said of an objective under one load. It is a closed set.
type Standing int

const (
	Kept   Standing = iota // with 95 % confidence
	Over                   // with 95 % confidence
	Unsure                 // too few answers to tell, or too near to it
	Unmade                 // the machine that sends could not make the load
)

// String is the standing as tables have it.
func (s Standing) String() string {
	switch s {
	case Kept:
		return "kept"
	case Over:
		return "over"
	case Unsure:
		return "unsure"
	case Unmade:
		return "not made"
	}
	panic(fmt.Sprintf("unknown standing %d", int(s)))
}

// Stands says whether the objective was kept, of which so many requests were due, and
// what was seen that says so. Late requests look like slow answers: where the objective is
// kept all the same, it is kept; where answers are too slow even from when they were sent,
// it is not; in between nothing can be said.
func (s Service) Stands(o stage.Objective, due float64) (Standing, string) {
	low, is, top := s.Errors()
	slow := o.P99 > 0 && s.OwnLow > o.P99
	fast := o.P99 <= 0 || s.Top <= o.P99
	right := o.Errors <= 0 || top <= o.Errors
	switch {
	case s.Requests > 0 && o.Errors > 0 && low > o.Errors:
		return Over, fmt.Sprintf("%.3g %% of the requests failed (at least %.3g %%), more than %g %%", is, low, o.Errors)
	case slow:
		return Over, fmt.Sprintf("99 %% of the answers came within %s (at least %s), later than %s", tenths(s.P99), tenths(s.Low), o.P99)
	case float64(s.Requests) < due:
		return Unmade, fmt.Sprintf("%d requests were sent of at least %.0f that were due", s.Requests, due)
	case fast && right:
		return Kept, ""
	case right && s.OwnTop <= o.P99:
		return Unmade, fmt.Sprintf("requests were sent up to %s late, which may be why 99 %% of the answers came within %s only", tenths(s.Late), tenths(s.P99))
	}
	return Unsure, fmt.Sprintf("%d answers are too few to tell, this near to the objective", s.Answers)
}

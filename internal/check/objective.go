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
}

// Served is how users were served from a release time on.
func Served(h *stage.History, from time.Duration) (s Service) {
	var window stage.Latencies
	judge := func(at time.Duration) {
		window = window.Add(nil)
		low, p99, top := quantile(window, 0.99)
		if low > s.Low || low == s.Low && p99 > s.P99 { // the surest, since chance is not to decide
			_, p50, _ := quantile(window, 0.5)
			s.At, s.P50, s.P99, s.Low, s.Top = at, p50, p99, low, top
		}
		window = nil
	}
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
			judge(t.To)
			n = 0
		}
	}
	if s.P99 == 0 && n > 0 { // too few for one stretch: better than nothing, and the interval says so
		judge(h.Now())
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

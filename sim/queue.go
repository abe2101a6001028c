package sim

import (
	"math"
	"slices"
	"time"
)

// kinds is how v answers each kind of request at its present load: its manner, and the
// time that a request waits until a replica has a hand free. The balancer gives every
// replica the same share, unless it is uneven.
func (s *Stage) kinds(v *version) []kindManner {
	m := &v.manner
	if s.Model.Concurrency == 0 && m.slow == 0 {
		return m.kinds
	}
	n := float64(v.serving())
	rate := s.Traffic.Rate * v.share / 100
	first := max(float64(m.uneven), 1) / (max(float64(m.uneven), 1) + n - 1) // the share of the first replica
	var more []delay
	for _, class := range []struct {
		share, replicas float64
		by              time.Duration
	}{{first, 1, m.slow}, {1 - first, n - 1, 0}} {
		if class.replicas == 0 {
			continue
		}
		for _, w := range s.waits(rate * class.share / class.replicas) {
			more = append(more, delay{class.share * w.share, class.by + w.by})
		}
	}
	kinds := slices.Clone(m.kinds)
	for i := range kinds {
		kinds[i].mix(more)
	}
	return kinds
}

// waits is how long requests wait at a replica that gets rate of them per second.
//
// A replica is an M/M/c queue: c requests are answered at once, the others wait in order.
// The share that waits is Erlang's C formula (Erlang, "Solution of some problems in the
// theory of probabilities", 1917), and the wait of these is exponential, with the rate
// c/S - rate, where S is the mean time of an answer (Kleinrock, "Queueing Systems" I, 3.8).
// With more than c/S nothing is steady: the queue grows until requests wait longer than
// users do. Then as many are answered as can be, after half of the users' patience in
// the middle of it, and the others never.
func (s *Stage) waits(rate float64) []delay {
	c := s.Model.Concurrency
	if c == 0 {
		return []delay{{1, 0}}
	}
	mean := s.answers.mean()
	load := rate * mean / float64(c) // of each hand
	if load >= 1 {
		return []delay{{1 / load, s.patience() / 2}, {1 - 1/load, s.patience()}}
	}
	waiting := erlangC(c, rate*mean)
	out := []delay{{1 - waiting, 0}}
	for _, part := range waitParts {
		by := time.Duration(part.middle / (float64(c)/mean - rate) * float64(time.Second)).Round(10 * time.Microsecond)
		out = append(out, delay{waiting * part.share, by})
	}
	return out
}

// waitParts is the exponential distribution cut into pieces: how likely each is, and the
// quantile of its middle.
var waitParts = func() (all []struct{ share, middle float64 }) {
	from := 0.0
	for _, to := range []float64{0.5, 0.8, 0.92, 0.97, 0.99, 0.997, 1} {
		all = append(all, struct{ share, middle float64 }{to - from, -math.Log(1 - (from+to)/2)})
		from = to
	}
	return all
}()

// erlangC is the share of requests that wait where offered of them are answered on
// average, by c at most: offered < c.
func erlangC(c int, offered float64) float64 {
	b := 1.0 // Erlang's B formula, one hand after the other
	for n := 1; n <= c; n++ {
		b = offered * b / (float64(n) + offered*b)
	}
	return b / (1 - offered/float64(c)*(1-b))
}

// mean is the mean of the latency, in seconds: of a log-normal distribution.
func (l *latency) mean() float64 { return math.Exp(l.mu + l.sigma*l.sigma/2) }

package sim

import (
	"math"
	"slices"
	"time"

	"rehearsal/internal/stage"
)

// kinds is how v answers each kind of request at its present load: its manner, and the
// time that a request waits until a replica has a place free. The balancer gives every
// replica the same share, unless it is uneven.
func (s *Stage) kinds(v *version) []kindManner {
	m := &v.manner
	if !v.limited && m.slow == 0 {
		return m.kinds
	}
	n := float64(v.serving())
	rate := s.Traffic.Rate * v.share / 100
	if m.slow == 0 && m.uneven == 0 {
		if w := s.waits(v, rate/n); len(w) > len(alone) {
			return mixed(m.kinds, w)
		}
		return m.kinds
	}
	first := max(float64(m.uneven), 1) / (max(float64(m.uneven), 1) + n - 1) // the share of the first replica
	var more []delay
	for _, class := range []struct {
		share, replicas float64
		by              time.Duration
	}{{first, 1, m.slow}, {1 - first, n - 1, 0}} {
		if class.replicas == 0 {
			continue
		}
		for _, w := range s.waits(v, rate*class.share/class.replicas) {
			more = append(more, delay{class.share * w.share, class.by + w.by})
		}
	}
	return mixed(m.kinds, more)
}

// mixed is kinds with longer answers.
func mixed(kinds []kindManner, by []delay) []kindManner {
	kinds = slices.Clone(kinds)
	for i := range kinds {
		kinds[i].mix(by)
	}
	return kinds
}

// waits is how long requests wait at a replica of v that gets rate of them per second.
func (s *Stage) waits(v *version, rate float64) []delay {
	if !v.limited {
		return alone
	}
	return waiting(rate, v.places, s.patience())
}

// tails cuts the distribution of waits into pieces, finer at the slow end, so that a
// 99.9th percentile can be seen: how likely each is, and the quantile in its middle.
var tails = [...]struct{ share, quantile float64 }{
	{0.300, 0.150}, {0.200, 0.400}, {0.150, 0.575}, {0.120, 0.710}, {0.080, 0.810}, {0.060, 0.880},
	{0.040, 0.930}, {0.025, 0.9625}, {0.015, 0.9825}, {0.006, 0.993}, {0.003, 0.9975}, {0.001, 0.9995},
}

// neverWaits is the share of requests below which it is taken that none waits, which is
// what most releases are like, and costs nothing then.
const neverWaits = 1e-6

// alone is how long requests wait that no other is in the way of.
var alone = []delay{{share: 1}}

// waiting is how long requests wait that come at random, rate per second, to a replica
// with so many places, where one that has waited for patience leaves: the stationary
// wait of the queue M/M/c with deterministic patience (Barrer, "Queuing with impatient
// customers and ordered service", 1957; as a whole in Baccelli and Hébuterne, "On queues
// with impatient customers", 1981).
//
// Below patience the density of the wait is proportional to exp(-(cμ-λ)x), for an
// overload too, where it rises; the chance to find a free place is Erlang's. Stationary
// means as if the load had always been so: an overload of a second looks as one that
// stays.
func waiting(rate float64, p stage.Places, patience time.Duration) []delay {
	c, mu, tau := p.Number, 1/p.Service.Seconds(), patience.Seconds()
	offered := rate / mu
	// free is the chance of fewer than c requests over that of exactly c-1: 1/B(c-1), by
	// the recursion of Erlang's B.
	free := 1.0
	for k := 1; k < c; k++ {
		free = 1 + float64(k)/offered*free
	}
	theta := float64(c)*mu - rate
	// All is scaled by exp(θτ) where θ is below 0, so that nothing overflows.
	scale, end := 1.0, math.Exp(-theta*tau)
	if theta < 0 {
		scale, end = math.Exp(theta*tau), 1
	}
	inside := tau
	if math.Abs(theta*tau) > 1e-9 {
		inside = (scale - end) / theta
	}
	stay, leave, none := rate*inside, rate*end/(float64(c)*mu), free*scale
	sum := none + stay + leave
	if math.IsInf(free, 1) || (stay+leave)/sum < neverWaits {
		return alone
	}
	delays := []delay{{share: none / sum}}
	for _, t := range tails {
		delays = append(delays, delay{t.share * stay / sum, truncated(t.quantile, theta, tau)})
	}
	return append(delays, delay{leave / sum, patience})
}

// truncated is the quantile of a wait whose density on (0, tau) is proportional to
// exp(-theta x).
func truncated(quantile, theta, tau float64) time.Duration {
	x := quantile * tau
	switch {
	case theta*tau > 1e-9:
		x = -math.Log1p(quantile*math.Expm1(-theta*tau)) / theta
	case theta*tau < -1e-9: // its mirror image
		x = tau + math.Log1p((1-quantile)*math.Expm1(theta*tau))/-theta
	}
	return time.Duration(x * float64(time.Second)).Round(time.Microsecond)
}

// mean is the mean of the latency: of a log-normal distribution.
func (l *latency) mean() time.Duration {
	return time.Duration(math.Exp(l.mu+l.sigma*l.sigma/2) * float64(time.Second))
}

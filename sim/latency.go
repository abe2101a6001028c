package sim

import (
	"math"
	"math/rand/v2"
	"time"
)

// bins is the log-normal distribution cut into pieces: how likely each piece is,
// and the standard normal quantile of its middle. The pieces are finer at the slow
// end, and the median and the 99th percentile are middles of pieces.
var bins = [...]struct{ share, quantile float64 }{
	{0.0500, -1.959964}, // 0     to 5 %
	{0.1000, -1.281552},
	{0.1000, -0.841621},
	{0.1000, -0.524401},
	{0.1000, -0.253347},
	{0.1000, 0}, // 45 to 55 %: the median
	{0.1000, 0.253347},
	{0.1000, 0.524401},
	{0.1000, 0.841621},
	{0.0750, 1.213340},
	{0.0400, 1.598193},
	{0.0200, 1.959964},
	{0.0100, 2.326348}, // 98.5 to 99.5 %: the 99th percentile
	{0.0030, 2.696844},
	{0.0015, 3.023341},
	{0.0005, 3.480756}, // 99.95 to 100 %
}

// A latency is how long a healthy service takes to answer, slowest last.
type latency struct {
	values [len(bins)]time.Duration
	mu     float64 // of the logarithm of seconds
	sigma  float64
}

func newLatency(median, p99 time.Duration) latency {
	l := latency{mu: math.Log(median.Seconds()), sigma: math.Log(p99.Seconds()/median.Seconds()) / 2.326348}
	for i, b := range bins {
		l.values[i] = l.at(b.quantile)
	}
	return l
}

func (l *latency) at(quantile float64) time.Duration {
	return time.Duration(math.Exp(l.mu+l.sigma*quantile) * float64(time.Second)).Round(time.Microsecond)
}

// one draws the latency of a single answer.
func (l *latency) one(chance *rand.Rand) time.Duration { return l.at(chance.NormFloat64()) }

// within is the share of the answers that come within d: exactly 0 and 1 where
// that is certain.
func (l *latency) within(d time.Duration) float64 {
	if d < l.values[0] {
		return 0
	}
	share := 1.0
	for i := len(bins) - 1; l.values[i] > d; i-- {
		share -= bins[i].share
	}
	return share
}

// spread draws how n answers that all come within d are spread over the bins.
func (l *latency) spread(chance *rand.Rand, n int64, d time.Duration, got func(value time.Duration, n int64)) {
	rest := l.within(d)
	for i := range bins {
		if n == 0 || l.values[i] > d {
			return
		}
		k := n
		if i+1 < len(bins) && l.values[i+1] <= d {
			k = binomial(chance, n, bins[i].share/rest)
		}
		if k > 0 {
			got(l.values[i], k)
		}
		n -= k
		rest -= bins[i].share
	}
}

package check

import (
	"math"
	"time"

	"rehearsal/internal/stage"
)

// A RankTest is the Mann-Whitney U test of two samples of latencies, and its effect
// size: do the answers of Slow tend to take longer than those of Fast?
//
// U counts the pairs in which Slow's answer took longer, a tie as half (Mann and
// Whitney, "On a test of whether one of two random variables is stochastically larger
// than the other", 1947). Its spread is corrected for ties, as in Lehmann,
// "Nonparametrics", 1975, and p is of the normal approximation with a correction for
// continuity: what SciPy calls method="asymptotic".
type RankTest struct {
	U    float64
	Z    float64 // standard deviations that U is above its mean, corrected for continuity
	P    float64 // two-sided
	More float64 // of P(slow > fast) + P(equal)/2, the probability of superiority: U over the number of pairs
	// Low and High are its 95 % confidence interval.
	Low, High float64
}

// Delta is Cliff's delta, from -1 to 1: by how much longer answers are commoner than
// shorter ones. 0 is no difference.
func (t RankTest) Delta() float64 { return 2*t.More - 1 }

// z95 is the quantile of the standard normal distribution of a two-sided 95 %.
const z95 = 1.959963984540054

// Ranks compares two samples. Both must have at least one answer.
func Ranks(slow, fast stage.Latencies) RankTest {
	n, m := float64(slow.Total()), float64(fast.Total())
	var u, ties, below float64
	for i, j := 0, 0; i < len(slow) || j < len(fast); {
		var s, f float64 // how many took the next longer time
		at := time.Duration(math.MaxInt64)
		if i < len(slow) {
			at = slow[i].Took
		}
		if j < len(fast) {
			at = min(at, fast[j].Took)
		}
		if i < len(slow) && slow[i].Took == at {
			s, i = float64(slow[i].N), i+1
		}
		if j < len(fast) && fast[j].Took == at {
			f, j = float64(fast[j].N), j+1
		}
		u += s * (below + f/2)
		below += f
		ties += (s+f)*(s+f)*(s+f) - (s + f)
	}
	all := n + m
	t := RankTest{U: u, P: 1, More: u / (n * m)}
	if spread := math.Sqrt(n * m / 12 * (all + 1 - ties/(all*(all-1)))); spread > 0 {
		away := u - n*m/2
		t.Z = math.Copysign(max(math.Abs(away)-0.5, 0), away) / spread
		t.P = math.Erfc(math.Abs(t.Z) / math.Sqrt2)
	}
	t.Low, t.High = superiorityInterval(t.More, n, m)
	return t
}

// superiorityInterval is the 95 % confidence interval of a probability of superiority
// that was estimated from samples of n and m: method 5 of Newcombe, "Confidence
// intervals for an effect size measure based on the Mann-Whitney statistic. Part 2",
// Statistics in Medicine 25 (2006). Its ends are those true values from which the
// estimate is 1.96 standard deviations away, where the variance is that of Hanley and
// McNeil (1982) with both sample sizes replaced by their mean; so it stays within 0 and 1 and
// does not shrink to nothing at either.
func superiorityInterval(estimate, n, m float64) (low, high float64) {
	mean := (n+m)/2 - 1
	away := func(truth float64) float64 {
		variance := truth * (1 - truth) * (1 + mean*(1-truth)/(2-truth) + mean*truth/(1+truth)) / (n * m)
		return math.Abs(estimate-truth) - z95*math.Sqrt(variance)
	}
	// far is outside of the interval, or at its end; near is within.
	end := func(far, near float64) float64 {
		for range 60 {
			if middle := (far + near) / 2; away(middle) > 0 {
				far = middle
			} else {
				near = middle
			}
		}
		return (far + near) / 2
	}
	return end(0, estimate), end(1, estimate)
}

// slower is l with every answer by factor slower.
func slower(l stage.Latencies, factor float64) stage.Latencies {
	out := make(stage.Latencies, len(l))
	for i, c := range l {
		out[i] = stage.LatencyCount{Took: time.Duration(float64(c.Took) * factor), N: c.N}
	}
	return out
}

// slowdown is by which factor slow is slower than fast, with its 95 % confidence
// interval: the factor that fast must be slowed down by so that neither tends to take
// longer, and the factors at which the rank test just does not tell them apart (Hodges
// and Lehmann, "Estimates of location based on rank tests", 1963, on the logarithms).
func slowdown(slow, fast stage.Latencies) (low, middle, high float64) {
	at := func(z float64) float64 {
		from, to := 1e-4, 1e4
		for range 60 {
			factor := math.Sqrt(from * to)
			if Ranks(slow, slower(fast, factor)).Z > z {
				from = factor // slow is slower still
			} else {
				to = factor
			}
		}
		return math.Sqrt(from * to)
	}
	return at(z95), at(0), at(-z95)
}

// quantile is the time that the share p of the answers does not exceed (the nearest
// rank), with a 95 % confidence interval of it that holds whatever the distribution: the
// times between whose ranks the binomial distribution has 95 % (Conover, "Practical
// Nonparametric Statistics", 1999, section 3.2; its normal approximation).
func quantile(l stage.Latencies, p float64) (low, middle, high time.Duration) {
	n := float64(l.Total())
	rank := func(r float64) time.Duration {
		r = math.Ceil(min(max(r, 1), n))
		seen := 0.0
		for _, c := range l {
			if seen += float64(c.N); seen >= r {
				return c.Took
			}
		}
		return 0 // of no answers
	}
	spread := z95 * math.Sqrt(n*p*(1-p))
	return rank(n*p - spread), rank(n * p), rank(n*p + spread)
}

// atLeast is the time that the p-th quantile exceeds, but for a chance of alpha: that of
// the highest rank which so many answers beyond the quantile reach, by the binomial
// distribution itself, since far out its normal approximation is too short. It is 0 where
// no rank is low enough.
func atLeast(l stage.Latencies, p, alpha float64) time.Duration {
	n := l.Total()
	lgamma := func(k int64) float64 { v, _ := math.Lgamma(float64(k) + 1); return v }
	chance := 0.0 // that at least k answers are beyond the quantile
	mean := float64(n) * (1 - p)
	k := min(n, int64(mean+12*math.Sqrt(mean)+40)) // more is as good as impossible
	for ; k > 0; k-- {
		chance += math.Exp(lgamma(n) - lgamma(k) - lgamma(n-k) + float64(k)*math.Log(1-p) + float64(n-k)*math.Log(p))
		if chance > alpha {
			break
		}
	}
	seen := int64(0) // the answer that k+1 others are not below
	for i := len(l) - 1; i >= 0; i-- {
		if seen += l[i].N; seen >= k+1 {
			return l[i].Took
		}
	}
	return 0
}

package compare

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"rehearsal/internal/release"
	"rehearsal/sim"
)

// An Estimate is a figure and how sure it is.
type Estimate struct {
	Value float64 `json:"value"`
	// Low and High are the bounds of its confidence interval, equal where nothing varied.
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	N     int     `json:"n"`     // what it is made of; 0: there is nothing to say
	Known bool    `json:"known"` // false: N is too few for bounds
}

const (
	// Confidence is that of every interval that is shown.
	Confidence = 0.95
	// fewest is how many values a mean needs for bounds: of fewer, the bootstrap gives
	// bounds that are too narrow.
	fewest = 20
	// resamples is how many times the bootstrap draws; of many values the normal
	// approximation gives the same bounds for less.
	resamples  = 2000
	manyValues = 3000
)

// mean is the mean of values with its bounds: by the percentile bootstrap (Efron and
// Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3), since what bad
// releases lose is far from normal; of many values, by the normal distribution. The
// bootstrap draws from a seed of its own, so that the same values have the same bounds.
func mean(values []float64, confidence float64) Estimate {
	e := Estimate{N: len(values)}
	if e.N == 0 {
		return e
	}
	e.Value = stat.Mean(values, nil)
	e.Low, e.High = e.Value, e.Value
	switch {
	case e.N < fewest:
		return e
	case e.N > manyValues:
		z := distuv.UnitNormal.Quantile((1 + confidence) / 2)
		half := z * stat.StdDev(values, nil) / math.Sqrt(float64(e.N))
		e.Low, e.High = e.Value-half, e.Value+half
	default:
		means := resampled(values)
		e.Low = stat.Quantile((1-confidence)/2, stat.Empirical, means, nil)
		e.High = stat.Quantile((1+confidence)/2, stat.Empirical, means, nil)
	}
	e.Known = true
	return e
}

// resampled is the means of samples drawn from values with replacement, in order.
func resampled(values []float64) []float64 {
	chance := rand.New(rand.NewPCG(1, uint64(len(values))))
	means := make([]float64, resamples)
	for i := range means {
		sum := 0.0
		for range values {
			sum += values[chance.IntN(len(values))]
		}
		means[i] = sum / float64(len(values))
	}
	slices.Sort(means)
	return means
}

// proportion is k of n, in percent, with the exact bounds of Clopper and Pearson
// (Biometrika 26, 1934): quantiles of beta distributions. They hold for any n, and are
// not 0 wide where k is 0.
func proportion(k, n int, confidence float64) Estimate {
	e := Estimate{N: n, Known: n > 0}
	if n == 0 {
		return e
	}
	e.Value = 100 * float64(k) / float64(n)
	e.Low, e.High = 0, 100
	if k > 0 {
		e.Low = 100 * distuv.Beta{Alpha: float64(k), Beta: float64(n-k) + 1}.Quantile((1-confidence)/2)
	}
	if k < n {
		e.High = 100 * distuv.Beta{Alpha: float64(k) + 1, Beta: float64(n - k)}.Quantile((1+confidence)/2)
	}
	return e
}

// A measure is what one release says about a plan; ok is false where it says nothing.
type measure func(t sim.Trial, c cost) (v float64, ok bool)

// Each measure is a mean over the releases that it counts.
var (
	length measure = func(t sim.Trial, c cost) (float64, bool) {
		return c.took.Seconds(), t.Nature == sim.Good && c.result == release.Released
	}
	lost   measure = func(t sim.Trial, c cost) (float64, bool) { return float64(c.lost), t.Nature == sim.Bad }
	users  measure = func(t sim.Trial, c cost) (float64, bool) { return c.users, t.Nature == sim.Bad }
	missed measure = func(t sim.Trial, c cost) (float64, bool) {
		return one(c.result == release.Released), t.Nature == sim.Bad
	}
	nothing measure = func(t sim.Trial, c cost) (float64, bool) {
		return one(c.result != release.Released), t.Nature != sim.Bad
	}
)

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// of is the values of m for a plan.
func (r *Result) of(m measure, c *Costs) (values []float64) {
	for i, t := range r.Trials {
		if v, ok := m(t, c.trials[i]); ok {
			values = append(values, v)
		}
	}
	return values
}

// differ is by how much m is more for a than for b, on average. Both met the same
// failures, so the differences are taken release by release: chance that hit both alike
// cancels out, and far fewer releases tell plans apart.
func (r *Result) differ(m measure, a, b *Costs, confidence float64) Estimate {
	var values []float64
	for i, t := range r.Trials {
		x, ok := m(t, a.trials[i])
		y, also := m(t, b.trials[i])
		if ok && also {
			values = append(values, x-y)
		}
	}
	return mean(values, confidence)
}

// estimate works out what each plan costs.
func (r *Result) estimate() {
	for _, c := range r.Costs {
		c.Length = mean(r.of(length, c), Confidence)
		c.Lost = mean(r.of(lost, c), Confidence)
		c.Users = mean(r.of(users, c), Confidence)
		c.Missed = share(r.of(missed, c))
		c.ForNothing = share(r.of(nothing, c))
		for _, t := range c.trials {
			c.Replicas = max(c.Replicas, t.replicas)
		}
	}
	for _, c := range r.Costs {
		c.Front = c.Length.N > 0 && !slices.ContainsFunc(r.Costs, func(o *Costs) bool { return o.dominates(c) })
	}
}

func share(values []float64) Estimate {
	k := 0
	for _, v := range values {
		k += int(v)
	}
	return proportion(k, len(values), Confidence)
}

// minute, in seconds: lengths that are closer are the same.
const minute = 60

// dominates says that a is no longer than b and loses no more, and is better in one.
func (a *Costs) dominates(b *Costs) bool {
	if a.Length.N == 0 {
		return false
	}
	longer := a.Length.Value - b.Length.Value
	return longer < minute && a.Lost.Value <= b.Lost.Value && (longer <= -minute || a.Lost.Value < b.Lost.Value)
}

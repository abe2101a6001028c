package sim

import (
	"math"
	"math/rand/v2"
)

// fewEvents is the mean below which counts are drawn exactly, one event after the
// other; from it on the normal approximation is close enough, and costs the same
// however many there are.
const fewEvents = 16

// poisson draws how many of endlessly many rare events happen, mean on average.
func poisson(chance *rand.Rand, mean float64) int64 {
	if mean <= 0 {
		return 0
	}
	if mean >= fewEvents {
		return int64(max(0, math.Round(mean+math.Sqrt(mean)*chance.NormFloat64())))
	}
	n, p := int64(0), math.Exp(-mean)
	for u := chance.Float64(); u >= p && n < 200; p *= mean / float64(n) {
		u -= p
		n++
	}
	return n
}

// binomial draws how many of n happen when each happens with probability p.
func binomial(chance *rand.Rand, n int64, p float64) int64 {
	switch {
	case n <= 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	case p > 0.5:
		return n - binomial(chance, n, 1-p)
	}
	mean := float64(n) * p
	if mean >= fewEvents {
		k := int64(math.Round(mean + math.Sqrt(mean*(1-p))*chance.NormFloat64()))
		return min(max(k, 0), n)
	}
	k, odds, exactly := int64(0), p/(1-p), math.Exp(float64(n)*math.Log1p(-p))
	for u := chance.Float64(); u >= exactly && k < n; {
		u -= exactly
		k++
		exactly *= odds * float64(n-k+1) / float64(k)
	}
	return k
}

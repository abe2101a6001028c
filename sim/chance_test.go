package sim

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const draws = 2000

// moments draws many times, and gives the mean and the variance; about is near the
// mean.
func moments(about float64, draw func() int64) (mean, variance float64) {
	sum, squares := 0.0, 0.0
	for range draws {
		x := float64(draw()) - about
		sum += x
		squares += x * x
	}
	mean = sum / draws
	return about + mean, squares/draws - mean*mean
}

// near requires moments to be those of a distribution, within 6 sigma of what
// chance does to as many draws; roundings cost a twelfth of variance.
func near(t require.TestingT, wantMean, wantVariance, mean, variance float64) {
	require.InDelta(t, wantMean, mean, 6*math.Sqrt(wantVariance/draws)+0.01)
	require.InDelta(t, wantVariance, variance, 0.3*wantVariance+0.2)
}

func TestPoissonHasItsMeanAndVariance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.OneOf(rapid.Float64Range(0, 2*fewEvents), rapid.Float64Range(0, 1e9)).Draw(t, "mean")
		chance := newKernel(rapid.Uint64().Draw(t, "seed")).chance
		mean, variance := moments(want, func() int64 { return poisson(chance, want) })
		near(t, want, want, mean, variance)
	})
}

func TestBinomialHasItsMeanAndVariance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Int64Range(0, 60), rapid.Int64Range(0, 1e9)).Draw(t, "n")
		p := rapid.OneOf(rapid.Float64Range(0, 1), rapid.Float64Range(0, 1e-6)).Draw(t, "p")
		chance := newKernel(rapid.Uint64().Draw(t, "seed")).chance
		mean, variance := moments(float64(n)*p, func() int64 {
			k := binomial(chance, n, p)
			require.True(t, k >= 0 && k <= n, "%d of %d", k, n)
			return k
		})
		near(t, float64(n)*p, float64(n)*p*(1-p), mean, variance)
	})
}

func TestWhatIsCertainIsNotDrawn(t *testing.T) {
	chance := newKernel(1).chance
	assert.Zero(t, binomial(chance, 1e12, 0))
	assert.EqualValues(t, 1e12, binomial(chance, 1e12, 1))
	assert.Zero(t, binomial(chance, -1, 0.5))
	assert.Zero(t, poisson(chance, 0))
	assert.Zero(t, poisson(chance, -1))
}

func TestLatencyHasItsMedianAnd99thPercentile(t *testing.T) {
	l := newLatency(3*time.Millisecond, 20*time.Millisecond)
	chance := newKernel(7).chance
	const n = 1_000_000
	a := answers{requests: n}
	l.spread(chance, n, time.Hour, func(value time.Duration, n int64) { a.times = append(a.times, timed{value, n}) })
	total := int64(0)
	for _, t := range a.times {
		total += t.n
	}
	require.EqualValues(t, n, total)
	p50, p99 := a.percentiles()
	assert.Equal(t, 3*time.Millisecond, p50)
	assert.Equal(t, 20*time.Millisecond, p99)

	slow := 0
	for range 100_000 {
		if l.one(chance) > 20*time.Millisecond {
			slow++
		}
	}
	assert.InDelta(t, 1000, slow, 200, "1 % of single answers are slower than the 99th percentile")
}

func TestNoAnswerComesAfterTheUsersLeft(t *testing.T) {
	l := newLatency(3*time.Millisecond, 20*time.Millisecond)
	share := 0.0
	for _, b := range bins {
		share += b.share
	}
	require.InDelta(t, 1, share, 1e-12)
	assert.Equal(t, 1.0, l.within(time.Second))
	assert.Equal(t, 0.0, l.within(0))
	assert.InDelta(t, 0.55, l.within(3*time.Millisecond), 1e-9, "half of the answers, and those that are the median")
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1e6).Draw(t, "n")
		within := time.Duration(rapid.Int64Range(int64(l.values[0]), int64(time.Second)).Draw(t, "within"))
		got := int64(0)
		l.spread(newKernel(rapid.Uint64().Draw(t, "seed")).chance, n, within, func(value time.Duration, n int64) {
			require.LessOrEqual(t, value, within)
			require.Positive(t, n)
			got += n
		})
		require.Equal(t, n, got)
	})
}

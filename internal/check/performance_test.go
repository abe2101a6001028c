package check

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

// sampleOf is a sample of small whole numbers, as nanoseconds: those below 64 are kept
// exactly.
func sampleOf(values ...int) stage.Latencies {
	var all []stage.LatencyCount
	for _, v := range values {
		all = append(all, stage.LatencyCount{Took: time.Duration(v), N: 1})
	}
	return stage.LatenciesOf(all)
}

func TestRankTestOfKnownExamples(t *testing.T) {
	for name, c := range map[string]struct {
		slow, fast []int
		u, p       float64 // p to 4 digits
	}{
		// The example of scipy.stats.mannwhitneyu's documentation: ages at diagnosis of
		// type II diabetes; U1 = 17, and with method="asymptotic" p = 0.11134688653314041.
		"SciPy's documentation": {[]int{19, 22, 16, 29, 24}, []int{20, 11, 17, 12}, 17, 0.11134688653314041},
		// R's example(wilcox.test), of Hollander and Wolfe 1973, p. 69f: permeability of the
		// chorioamnion. W = 35; z = (35-25-0.5)/sqrt(10*5*16/12) = 1.1635.
		"Hollander and Wolfe": {ranked(80, 83, 189, 104, 145, 138, 191, 164, 73, 146), ranked(115, 88, 90, 74, 121), 35, 0.2446},
	} {
		got := Ranks(sampleOf(c.slow...), sampleOf(c.fast...))
		assert.InDelta(t, c.u, got.U, 1e-9, name)
		assert.InDelta(t, c.p, got.P, 1e-4, name)
		// The definition, pair by pair.
		pairs := 0.0
		for _, s := range c.slow {
			for _, f := range c.fast {
				switch {
				case s > f:
					pairs++
				case s == f:
					pairs += 0.5
				}
			}
		}
		assert.InDelta(t, pairs, got.U, 1e-9, name)
		assert.InDelta(t, pairs/float64(len(c.slow)*len(c.fast)), got.More, 1e-12, name)
	}
}

// ranked brings values from 73 to 191 below 64 without changing their order.
func ranked(values ...int) []int {
	order := []int{73, 74, 80, 83, 88, 90, 104, 115, 121, 138, 145, 146, 164, 189, 191}
	out := make([]int, len(values))
	for i, v := range values {
		for r, o := range order {
			if o == v {
				out[i] = r + 1
			}
		}
	}
	return out
}

func TestRankTestCorrectsForTies(t *testing.T) {
	// Worked by hand: x = 1 2 2 3, y = 2 3 3 4. U(x) = pairs above: 3>2: 1, ties 2-2: 2/2,
	// 3-3: 2/2 = 3. Ties: three 2s and three 3s, (27-3)*2 = 48. Variance
	// 16/12*(9 - 48/56) = 10.857; z = -(8-3-0.5)/3.295 = -1.3657.
	got := Ranks(sampleOf(1, 2, 2, 3), sampleOf(2, 3, 3, 4))
	assert.InDelta(t, 3, got.U, 1e-12)
	assert.InDelta(t, -4.5/math.Sqrt(16.0/12*(9-48.0/56)), got.Z, 1e-12)
	assert.InDelta(t, -1.3657, got.Z, 1e-4)
	assert.InDelta(t, math.Erfc(1.3657/math.Sqrt2), got.P, 1e-4)
	same := Ranks(sampleOf(5, 5, 5), sampleOf(5, 5, 5, 5))
	assert.InDelta(t, 0.5, same.More, 1e-12)
	assert.InDelta(t, 1, same.P, 1e-12, "all are equal")
	assert.Zero(t, same.Z)
}

func TestRankTestIsTheSameFromBothSides(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		a, b := drawn(chance, 1+chance.IntN(60), 3, 0.7), drawn(chance, 1+chance.IntN(60), 4, 0.7)
		x, y := Ranks(a, b), Ranks(b, a)
		assert.InDelta(t, 1, x.More+y.More, 1e-9)
		assert.InDelta(t, x.P, y.P, 1e-9)
		assert.InDelta(t, 1, x.Low+y.High, 1e-6)
		assert.True(t, 0 <= x.Low && x.Low <= x.More && x.More <= x.High && x.High <= 1, "%+v", x)
		assert.InDelta(t, 2*x.More-1, x.Delta(), 1e-12)
	}
}

// drawn is n answers of a log-normal distribution.
func drawn(chance *rand.Rand, n int, medianMs, sigma float64) stage.Latencies {
	var all []stage.LatencyCount
	for range n {
		all = append(all, stage.LatencyCount{Took: time.Duration(medianMs * math.Exp(sigma*chance.NormFloat64()) * float64(time.Millisecond)), N: 1})
	}
	return stage.LatenciesOf(all)
}

func TestTheIntervalsHoldTheTruthAsOftenAsTheySay(t *testing.T) {
	const runs = 400
	chance := rand.New(rand.NewPCG(3, 4))
	const factor, sigma = 1.2, 0.8
	superiority := 0.5 * math.Erfc(-math.Log(factor)/(sigma*math.Sqrt2)/math.Sqrt2)
	p95 := 3 * factor * math.Exp(sigma*1.6448536) * float64(time.Millisecond)
	var hitMore, hitFactor, hitQuantile int
	for range runs {
		slow, fast := drawn(chance, 150, 3*factor, sigma), drawn(chance, 120, 3, sigma)
		if r := Ranks(slow, fast); r.Low <= superiority && superiority <= r.High {
			hitMore++
		}
		if low, _, high := slowdown(slow, fast); low <= factor && factor <= high {
			hitFactor++
		}
		if low, _, high := quantile(slow, 0.95); float64(low)*0.98 <= p95 && p95 <= float64(high)*1.02 {
			hitQuantile++
		}
	}
	for what, hits := range map[string]int{"superiority": hitMore, "slowdown": hitFactor, "p95": hitQuantile} {
		share := float64(hits) / runs
		assert.GreaterOrEqual(t, share, 0.92, what)
		assert.LessOrEqual(t, share, 0.99, what)
	}
}

func TestAllAnswersApartIsStillAnInterval(t *testing.T) {
	r := Ranks(sampleOf(11, 12, 13, 14, 15), sampleOf(1, 2, 3, 4, 5))
	assert.InDelta(t, 1, r.More, 1e-12)
	assert.InDelta(t, 1, r.High, 1e-6)
	assert.Less(t, r.Low, 0.95, "five of each do not prove always")
	assert.Greater(t, r.Low, 0.5)
}

// A canary is the history of v1 and v2 at 50 % each, and then of v2 alone.
func canaryOf(t *testing.T, v1, v2 stage.Latencies, failed int64, shares stage.Shares) *stage.History {
	t.Helper()
	now := time.Duration(0)
	h := stage.NewHistory(func() time.Duration { return now }, nil)
	serve := func(version string, l stage.Latencies, failed int64) {
		h.Record(stage.Event{Kind: stage.Served, Version: version, Traffic: &stage.Traffic{
			From: now - time.Minute, To: now, Requests: l.Total() + failed, Failed: failed, Latencies: l}})
	}
	h.Record(stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 100}})
	now += time.Minute
	serve("v1", sampleOf(60, 60, 60), 0) // warming up: it must not count
	now += time.Second
	h.Record(stage.Event{Kind: stage.Confirmed})
	now += time.Second
	h.Record(stage.Event{Kind: stage.Shifted, Shares: shares})
	now += time.Minute
	serve("v1", v1, 0)
	serve("v2", v2, failed)
	return h
}

func TestASlowerVersionIsNoticed(t *testing.T) {
	half := stage.Shares{"v1": 50, "v2": 50}
	draw := func(seed uint64, n int, median, sigma float64) stage.Latencies {
		return drawn(rand.New(rand.NewPCG(seed, 9)), n, median, sigma)
	}
	tail := func(seed uint64) stage.Latencies { // one in twelve takes far longer: no median shows it
		return draw(seed, 2750, 3, 0.5).Add(draw(seed, 250, 100, 0.5))
	}
	for name, c := range map[string]struct {
		v1, v2  stage.Latencies
		failed  int64
		percent float64
		shares  stage.Shares
		want    Verdict
		says    string
	}{
		"the same":                    {draw(1, 3000, 3, 0.5), draw(2, 3000, 3, 0.5), 0, 10, half, Passed, "at the same time"},
		"faster":                      {draw(1, 3000, 3, 0.5), draw(2, 3000, 2, 0.5), 0, 10, half, Passed, "v2 takes 0.659 times as long"},
		"a fifth slower":              {draw(1, 3000, 3, 0.5), draw(2, 3000, 3.6, 0.5), 0, 10, half, Failed, "slower by more than 10 %"},
		"a fifth slower, allowed":     {draw(1, 3000, 3, 0.5), draw(2, 3000, 3.6, 0.5), 0, 40, half, Passed, "v2 takes 1.19 times as long"},
		"too few to tell":             {draw(1, 60, 3, 0.5), draw(2, 60, 3, 0.5), 0, 10, half, Inconclusive, "would not be noticed"},
		"hardly any":                  {draw(1, 20, 3, 0.5), draw(2, 3000, 3, 0.5), 0, 10, half, Inconclusive, "too few"},
		"slow in the tail":            {draw(1, 3000, 3, 0.5), tail(2), 0, 10, half, Failed, "the p95 is at least"},
		"a third fails":               {draw(1, 3000, 3, 0.5), draw(2, 2000, 3, 0.5), 1000, 10, half, Failed, "the throughput fell by more than 10 %"},
		"never the same load":         {draw(1, 3000, 3, 0.5), draw(2, 3000, 3, 0.5), 0, 10, stage.Shares{"v1": 90, "v2": 10}, Inconclusive, "never had the same share"},
		"as slow as it ever was to 0": {draw(1, 3000, 3, 0.5), nil, 0, 10, half, Inconclusive, "never had the same share"},
	} {
		t.Run(name, func(t *testing.T) {
			got := AsFast(canaryOf(t, c.v1, c.v2, c.failed, c.shares), "v2", "v1", c.percent)
			assert.Equal(t, c.want, got.Verdict, got.Detail)
			assert.Contains(t, got.Detail, c.says)
		})
	}
}

func TestVersionsAreComparedOneAfterTheOtherToo(t *testing.T) {
	now := time.Duration(0)
	h := stage.NewHistory(func() time.Duration { return now }, nil)
	chance := rand.New(rand.NewPCG(5, 6))
	for _, v := range []string{"v1", "v2"} {
		h.Record(stage.Event{Kind: stage.Shifted, Shares: stage.Shares{v: 100}})
		if v == "v1" {
			h.Record(stage.Event{Kind: stage.Confirmed})
		}
		now += time.Minute
		l := drawn(chance, 4000, 3, 0.5)
		h.Record(stage.Event{Kind: stage.Served, Version: v, Traffic: &stage.Traffic{From: now - time.Minute, To: now, Requests: l.Total(), Latencies: l}})
	}
	h.Record(stage.Event{Kind: stage.Served, Version: "v1", Traffic: &stage.Traffic{From: now - time.Minute, To: now, Requests: 1, Latencies: sampleOf(9)}})
	got := AsFast(h, "v2", "v1", 15)
	require.Equal(t, Passed, got.Verdict, got.Detail)
	assert.Contains(t, got.Detail, "one after the other")
	assert.Contains(t, got.Detail, "of 4000 measured, 100 % of 4000 requests answered well")
}

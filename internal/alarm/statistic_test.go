package alarm

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatistics(t *testing.T) {
	var d Distribution
	for v := 100; v >= 1; v-- {
		d.Add(float64(v), 1)
	}
	for text, want := range map[string]float64{
		"SampleCount": 100, "Sum": 5050, "Average": 50.5, "Minimum": 1, "Maximum": 100,
		"p0": 1, "p1": 1, "p50": 50, "p99": 99, "p99.9": 100, "p99.0000000001": 100, "p100": 100,
		"tm90": 45.5, "TM(:90%)": 45.5, "TM(10%:90%)": 50.5, "TM(10%:)": 55.5, "IQM": 50.5, "TM(0:10)": 5.5, "TM(10:)": 55.5,
		"tc90": 90, "TC(10:20)": 10, "TC(200:300)": 0, "ts10": 55, "TS(98:)": 199,
		"wm90": (45.5*90 + 90*10) / 100, "WM(90:)": (90*90 + 95.5*10) / 100, "WM(10%:90%)": (10.0*10 + 50.5*80 + 90*10) / 100,
		"PR(:30)": 30, "PR(10:20)": 10, "PR(30:)": 70,
	} {
		s, err := ParseStatistic(text)
		require.NoError(t, err, text)
		assert.Equal(t, text, s.String())
		got, ok := s.Of(&d)
		assert.True(t, ok, text)
		assert.InDelta(t, want, got, 1e-9, text)
		assert.Equal(t, Point{got, 100, true}, s.Point(&d))
	}
}

func TestPercentageBoundsTakePartOfEqualSamples(t *testing.T) {
	var d Distribution
	d.Add(1, 1)
	d.Add(3, 1)
	d.Add(7, 1)
	for text, want := range map[string]float64{
		"IQM":      (1*0.25 + 3*1 + 7*0.25) / 1.5,
		"tc50":     1.5,
		"ts50":     1 + 3*0.5,
		"TM(50:)":  math.NaN(), // nothing lies there
		"TS(50:)":  math.NaN(),
		"WM(2:5)":  (2 + 3 + 5) / 3.0,
		"WM(:50%)": (1 + 3 + 3) / 3.0,
	} {
		s, err := ParseStatistic(text)
		require.NoError(t, err, text)
		got, ok := s.Of(&d)
		assert.Equal(t, !math.IsNaN(want), ok, text)
		if ok {
			assert.InDelta(t, want, got, 1e-12, text)
		}
	}
}

func TestStatisticsOfWhatIsNotKnown(t *testing.T) {
	sum, _ := ParseStatistic("Sum")
	p99, _ := ParseStatistic("p99")
	assert.False(t, sum.Extended())
	assert.True(t, p99.Extended())

	var d Distribution
	assert.Equal(t, Point{}, sum.Point(&d), "no samples: a missing point")
	assert.Equal(t, Point{}, p99.Point(&d))

	d.AddSet(10, 50, 1, 9)
	assert.Equal(t, Point{50, 10, true}, sum.Point(&d))
	assert.False(t, p99.Point(&d).Present, "a statistic set has no percentiles")
	d.Add(3, 5)
	assert.False(t, p99.Point(&d).Present, "not even when some samples are known")

	d.Reset()
	d.AddSet(1, 4, 4, 4)
	assert.Equal(t, Point{4, 1, true}, p99.Point(&d), "a set of one sample has")
	d.AddSet(3, 21, 7, 7)
	assert.Equal(t, Point{7, 4, true}, p99.Point(&d), "and one of equal samples")
	direct := Distribution{Count: 2, Sum: 10, Min: 5, Max: 5}
	assert.Equal(t, Point{5, 2, true}, p99.Point(&direct))

	d.Reset()
	d.Add(math.NaN(), 1)
	d.Add(math.Inf(1), 1)
	d.Add(1, 0)
	d.Add(1, -1)
	d.AddSet(0, 1, 1, 1)
	assert.Equal(t, Point{}, sum.Point(&d), "CloudWatch takes no such samples")
	_, ok := Statistic{}.Of(&Distribution{Count: 1})
	assert.False(t, ok, "no statistic has no value")
}

func TestMergeIsAddingAll(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var whole, merged, part Distribution
	for i := range 10_000 {
		v, n := float64(r.IntN(300)), float64(1+r.IntN(3))
		whole.Add(v, n)
		part.Add(v, n)
		if i%97 == 0 {
			merged.Merge(&part)
			part.Reset()
		}
	}
	merged.Merge(&part)
	merged.Merge(&Distribution{})
	for _, text := range []string{"SampleCount", "Sum", "Average", "Minimum", "Maximum", "p50", "p99", "tm90", "WM(2%:98%)"} {
		s, err := ParseStatistic(text)
		require.NoError(t, err)
		assert.Equal(t, s.Point(&whole), s.Point(&merged), text)
	}
	assert.LessOrEqual(t, cap(whole.Values), 1024, "memory grows with distinct values, not with samples")

	var one Distribution
	one.Merge(&Distribution{Count: 3, Sum: 6, Min: 2, Max: 2})
	p50, _ := ParseStatistic("p50")
	assert.Equal(t, Point{2, 3, true}, p50.Point(&one))
}

func TestWhatIsNoStatistic(t *testing.T) {
	for text, want := range map[string]string{
		"": "unknown statistic", "sum": "unknown statistic", "p101": "unknown statistic", "p-1": "unknown statistic", "p": "unknown statistic",
		"p99.": "unknown statistic", "p99.12345678901": "unknown statistic", "TM(:)": "unknown statistic", "TM(a:b)": "unknown statistic",
		"TM(10%:101%)": "unknown statistic", "TM(1:2:3)": "unknown statistic", "XX(1:2)": "unknown statistic", "TM(NaN:)": "unknown statistic",
		"TM(10%:900)": "mixes a percentage and a value",
		"TM(90%:10%)": "is empty: its first bound must be below its second",
		"TC(5:5)":     "is empty",
		"PR(10%:90%)": "the bounds of PR are values, such as PR(:300)",
		"pr90":        "unknown statistic",
		"TM(150:1000": "unknown statistic",
	} {
		_, err := ParseStatistic(text)
		assert.ErrorContains(t, err, want, text)
	}
}

func TestLowSamplesAreWholeWhereTheyShouldBe(t *testing.T) {
	for text, want := range map[string]float64{"p99": 1000, "p99.9": 10_000, "p99.99": 100_000, "p95": 200, "p50": 20, "p10": 100, "p0": 0, "p100": 0, "Sum": 0} {
		s, err := ParseStatistic(text)
		require.NoError(t, err)
		assert.Equal(t, want, s.lowSamples(), text) //nolint:testifylint // exactly
	}
}

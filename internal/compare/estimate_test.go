package compare

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestExactBoundsOfAShare(t *testing.T) {
	// Clopper and Pearson's bounds, as R's binom.test prints them.
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{
		{0, 10, 0, 30.84971}, {5, 10, 18.70860, 81.29140}, {10, 10, 69.15029, 100}, {1, 100, 0.02531, 5.44594}, {0, 1000, 0, 0.36821},
	} {
		e := proportion(c.k, c.n, 0.95)
		assert.InDelta(t, c.low, e.Low, 1e-4, "%d of %d", c.k, c.n)
		assert.InDelta(t, c.high, e.High, 1e-4, "%d of %d", c.k, c.n)
		assert.True(t, e.Known)
	}
	assert.Zero(t, proportion(0, 0, 0.95).N)
}

func TestBoundsOfAMeanHoldItAsOftenAsTheySay(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	const times = 400
	held := 0
	for range times {
		values := make([]float64, 80)
		for i := range values {
			values[i] = chance.ExpFloat64() // its mean is 1, and it is as skewed as losses are
		}
		if e := mean(values, 0.95); e.Low <= 1 && 1 <= e.High {
			held++
		}
	}
	assert.InDelta(t, 0.94, float64(held)/times, 0.035)
}

func TestTheBootstrapAndTheNormalMeet(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, manyValues+1)
	for i := range values {
		values[i] = chance.ExpFloat64()
	}
	normal, bootstrap := mean(values, 0.95), mean(values[1:], 0.95)
	assert.InDelta(t, normal.High-normal.Low, bootstrap.High-bootstrap.Low, 0.1*(normal.High-normal.Low))
	assert.InDelta(t, 2*1.96/math.Sqrt(float64(len(values))), normal.High-normal.Low, 0.01)
}

func TestFewValuesHaveNoBounds(t *testing.T) {
	assert.Equal(t, Estimate{}, mean(nil, 0.95))
	assert.Equal(t, Estimate{Value: 2, Low: 2, High: 2, N: 3}, mean([]float64{1, 2, 3}, 0.95))
}

func TestQuantitiesAsPeopleReadThem(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.4: "0.4", 12: "12", 999.6: "1,000", 1234: "1,234", 9999: "9,999", 12345: "12.3k", 1_234_567: "1.23M", -1500: "-1,500"} {
		assert.Equal(t, want, quantity(v))
	}
	for v, want := range map[float64]string{0: "0s", 59.6: "1m", 300: "5m", 911: "15m11s", 3600: "1h", 3900: "1h5m"} {
		assert.Equal(t, want, lasts(v))
	}
	assert.Equal(t, "0.4 %", percents(0.36))
	assert.Equal(t, "0 %", percents(0))
	assert.Equal(t, "12 %", percents(12.3))
}

package sim

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/stage"
)

// figures are the mean wait of those that wait to the end, the share that find a place
// free, and the share that leave.
func figures(delays []delay) (mean time.Duration, free, leave float64) {
	if len(delays) == 1 {
		return 0, 1, 0 // nobody waits
	}
	for _, d := range delays[:len(delays)-1] {
		mean += time.Duration(d.share * float64(d.by))
	}
	return mean, delays[0].share, delays[len(delays)-1].share
}

// TestWaitingIsThatOfTextbooks holds the formula against closed ones that do not come
// from it: M/M/1 and M/M/c, where nobody leaves.
func TestWaitingIsThatOfTextbooks(t *testing.T) {
	for _, c := range []struct {
		name       string
		rate       float64
		places     stage.Places
		free, mean float64 // milliseconds
	}{
		{"M/M/1, half busy: W = rho S/(1-rho)", 50, stage.Places{Number: 1, Service: 10 * time.Millisecond}, 0.5, 10},
		{"M/M/1, 90 %", 90, stage.Places{Number: 1, Service: 10 * time.Millisecond}, 0.1, 90},
		// Erlang C of 2 places at 75 %: 0.642857 wait, for S/(2-1.5) on average.
		{"M/M/2, 75 %", 150, stage.Places{Number: 2, Service: 10 * time.Millisecond}, 1 - 0.642857, 0.642857 * 20},
		// Erlang C of 10 places at 80 %: 0.409180 (Kleinrock's tables).
		{"M/M/10, 80 %", 800, stage.Places{Number: 10, Service: 10 * time.Millisecond}, 1 - 0.409180, 0.409180 * 5},
	} {
		mean, free, leave := figures(waiting(c.rate, c.places, time.Hour))
		assert.InDelta(t, c.free, free, 1e-5, c.name)
		assert.InEpsilon(t, c.mean, float64(mean)/1e6, 0.03, c.name) // cut into pieces
		assert.Zero(t, leave, c.name)
	}
}

// TestAnOverloadKeepsEveryPlaceBusy: what is answered is what the places bear.
func TestAnOverloadKeepsEveryPlaceBusy(t *testing.T) {
	for _, over := range []float64{1.2, 2, 50} {
		p := stage.Places{Number: 4, Service: 20 * time.Millisecond}
		mean, free, leave := figures(waiting(over*p.PerSecond(), p, 4*time.Second))
		assert.InDelta(t, 1-1/over, leave, 0.001, "%g", over)
		assert.Less(t, free, 1e-6)
		assert.Greater(t, mean, time.Duration((1-leave)*3.5*float64(time.Second)), "those who are answered waited almost as long as they could bear")
	}
}

// TestAQueueThatIsPlayedSaysTheSame plays single requests, one after the other.
func TestAQueueThatIsPlayedSaysTheSame(t *testing.T) {
	const patience = 500 * time.Millisecond
	for _, load := range []float64{0.7, 0.95, 1, 1.1} {
		p := stage.Places{Number: 3, Service: 30 * time.Millisecond}
		rate := load * p.PerSecond()
		chance := rand.New(rand.NewPCG(1, 2))
		free := make([]float64, p.Number) // when each place is free again
		at, left, waited, waits, n := 0.0, 0, 0, 0.0, 400_000
		for range n {
			at += chance.ExpFloat64() / rate
			first := 0
			for i := range free {
				if free[i] < free[first] {
					first = i
				}
			}
			wait := max(free[first]-at, 0)
			if wait > patience.Seconds() {
				left++
				continue
			}
			if wait > 0 {
				waited++
			}
			waits += wait
			free[first] = at + wait + chance.ExpFloat64()*p.Service.Seconds()
		}
		mean, none, leave := figures(waiting(rate, p, patience))
		assert.InDelta(t, float64(left)/float64(n), leave, 0.005, "%g", load)
		assert.InDelta(t, 1-float64(left+waited)/float64(n), none, 0.01, "%g", load)
		assert.InEpsilon(t, waits/float64(n), mean.Seconds(), 0.05, "%g", load)
	}
}

func TestWaitingIsADistributionWhateverTheLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := stage.Places{Number: rapid.IntRange(1, 500).Draw(t, "places"), Service: time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "service"))}
		rate := math.Pow(10, rapid.Float64Range(-3, 6).Draw(t, "rate"))
		patience := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Minute)).Draw(t, "patience"))
		sum := 0.0
		for _, d := range waiting(rate, p, patience) {
			require.False(t, math.IsNaN(d.share) || d.share < 0 || d.share > 1+1e-12, "%v", d)
			require.True(t, d.by >= 0 && d.by <= patience+time.Microsecond, "%v", d)
			sum += d.share
		}
		require.InDelta(t, 1, sum, 1e-9)
	})
}

func TestMoreLoadIsNeverBetter(t *testing.T) {
	p := stage.Places{Number: 2, Service: 7 * time.Millisecond}
	lastFree, lastLeave := 1.0, 0.0
	for rate := 1.0; rate < 2000; rate *= 1.01 {
		_, free, leave := figures(waiting(rate, p, time.Second))
		require.LessOrEqual(t, free, lastFree+1e-12, "%g", rate)
		require.GreaterOrEqual(t, leave, lastLeave-1e-12, "%g", rate)
		lastFree, lastLeave = free, leave
	}
}

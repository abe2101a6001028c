package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

// Values of Erlang's C formula as printed in textbooks: Gross and Harris, "Fundamentals of
// Queueing Theory"; one hand is the M/M/1 queue, where the share that waits is the load.
func TestErlangC(t *testing.T) {
	assert.InDelta(t, 0.7, erlangC(1, 0.7), 1e-12)
	assert.InDelta(t, 1.0/3, erlangC(2, 1), 1e-12)
	assert.InDelta(t, 0.4444, erlangC(3, 2), 5e-5)
	assert.InDelta(t, 0.4092, erlangC(10, 8), 5e-5)
	assert.Zero(t, erlangC(4, 0))
}

// The formula beside a queue that is played: exponential arrivals and answers, c hands.
func TestTheWaitIsThatOfAQueueThatIsPlayed(t *testing.T) {
	const c, mean, rate, requests = 4, 0.02, 170.0, 400_000 // a load of 0.85
	m := &model{Setup: stage.Setup{Model: stage.Model{Concurrency: c}, Traffic: stage.Load{Timeout: time.Minute}}}
	m.answers.mu, m.answers.sigma = -3.912023, 0 // ln 0.02
	s := &Stage{model: m}
	chance := rand.New(rand.NewPCG(1, 2))
	free := make([]float64, c)
	now, waited, total := 0.0, 0, 0.0
	var waits []float64
	for range requests {
		now += chance.ExpFloat64() / rate
		hand := 0
		for i := range free {
			if free[i] < free[hand] {
				hand = i
			}
		}
		wait := max(0, free[hand]-now)
		if wait > 0 {
			waited++
		}
		total += wait
		waits = append(waits, wait)
		free[hand] = now + wait + chance.ExpFloat64()*mean
	}
	slices.Sort(waits)
	var share, average float64
	for _, d := range s.waits(rate) {
		average += d.share * d.by.Seconds()
		if d.by > 0 {
			share += d.share
		}
	}
	assert.InDelta(t, float64(waited)/requests, share, 0.02)
	assert.InEpsilon(t, total/requests, average, 0.05)
}

func TestTooManyRequestsWaitInVain(t *testing.T) {
	m := &model{Setup: stage.Setup{Model: stage.Model{Concurrency: 2}, Traffic: stage.Load{Timeout: 4 * time.Second}}}
	m.answers = newLatency(100*time.Millisecond, 100*time.Millisecond)
	s := &Stage{model: m}
	waits := s.waits(40) // twice what two hands can do
	require.Len(t, waits, 2)
	assert.InDelta(t, 0.5, waits[1].share, 1e-9)
	assert.Equal(t, 4*time.Second, waits[1].by, "as long as users wait, so in vain")
}

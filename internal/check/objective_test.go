package check_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
	"rehearsal/internal/stage"
)

// minuteOf is traffic of which so many answers of a thousand took a second, the others
// 10 ms.
func minuteOf(h *stage.History, from time.Duration, slow, failed int64) {
	h.Record(stage.Event{At: from + time.Minute, Kind: stage.Served, Version: "v2", Traffic: &stage.Traffic{
		From: from, To: from + time.Minute, Requests: 1000, Failed: failed,
		Latencies: stage.LatenciesOf([]stage.LatencyCount{{Took: 10 * time.Millisecond, N: 1000 - slow - failed}, {Took: time.Second, N: slow}}),
	}})
}

func TestTheWorstStretchOfAReleaseCounts(t *testing.T) {
	now := time.Duration(0)
	h := stage.NewHistory(func() time.Duration { return now }, nil)
	now = time.Hour
	minuteOf(h, 0, 900, 0) // before anything was confirmed
	h.Record(stage.Event{At: time.Minute, Kind: stage.Confirmed})
	for n := range 10 {
		minuteOf(h, time.Duration(n+1)*time.Minute, 0, 0)
	}
	require.Equal(t, check.Passed, check.AnswersWithin(h, 100*time.Millisecond).Verdict)
	minuteOf(h, 11*time.Minute, 12, 0) // 1.2 %: as likely as not by chance
	require.Equal(t, check.Passed, check.AnswersWithin(h, 100*time.Millisecond).Verdict)
	minuteOf(h, 12*time.Minute, 40, 30)
	f := check.AnswersWithin(h, 100*time.Millisecond)
	require.Equal(t, check.Failed, f.Verdict, "ten good minutes do not make up for a bad one")
	assert.Contains(t, f.Detail, "at 13m0s")
	assert.Equal(t, check.Passed, check.AnswersWithin(h, 2*time.Second).Verdict)

	s := check.Served(h, time.Minute)
	assert.EqualValues(t, 12000, s.Requests)
	low, is, top := s.Errors()
	assert.InDelta(t, 0.25, is, 1e-9)
	assert.InDelta(t, 0.175, low, 0.001, "Wilson's interval of 30 in 12,000")
	assert.InDelta(t, 0.357, top, 0.001)
	assert.Empty(t, s.Breaks(stage.Objective{P99: 2 * time.Second, Errors: 1}))
	assert.Contains(t, s.Breaks(stage.Objective{Errors: 0.1}), "0.25 % of the requests failed, more than 0.1 %")
	assert.Contains(t, s.Breaks(stage.Objective{P99: 100 * time.Millisecond}), "later than 100ms")
}

func TestTooFewAnswersTellNothing(t *testing.T) {
	h := stage.NewHistory(func() time.Duration { return 0 }, nil)
	assert.Equal(t, check.Inconclusive, check.AnswersWithin(h, time.Second).Verdict)
	assert.Equal(t, "nobody was served", check.Served(h, 0).Breaks(stage.Objective{Errors: 1}))
}

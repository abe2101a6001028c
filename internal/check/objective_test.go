package check_test

import (
	"math/rand/v2"
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

// seen is a history of answers that each took so long, of which some failed and some were
// sent late.
func seen(answers, failed int64, took, slowest time.Duration, late time.Duration) *stage.History {
	now := time.Duration(0)
	h := stage.NewHistory(func() time.Duration { return now }, nil)
	now = time.Second
	tail := answers / 50 // twice one in a hundred
	h.Record(stage.Event{Kind: stage.Served, Version: "v2", Traffic: &stage.Traffic{From: 0, To: now, Requests: answers, Failed: failed, Late: late,
		Latencies: stage.LatenciesOf([]stage.LatencyCount{{Took: took, N: answers - tail}, {Took: slowest, N: tail}})}})
	return h
}

func TestHowAnObjectiveStands(t *testing.T) {
	o := stage.Objective{P99: 300 * time.Millisecond, Errors: 1}
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		h    *stage.History
		due  float64
		want check.Standing
		says string
	}{
		"fast":                               {seen(2000, 0, 3*ms, 20*ms, 0), 1900, check.Kept, ""},
		"slow":                               {seen(2000, 0, 3*ms, 900*ms, 0), 1900, check.Over, "99 % of the answers came within"},
		"many failed":                        {seen(2000, 60, 3*ms, 20*ms, 0), 1900, check.Over, "3 % of the requests failed (at least 2.34 %), more than 1 %"},
		"about as many as may":               {seen(2000, 20, 3*ms, 20*ms, 0), 1900, check.Unsure, "too few to tell"},
		"too few":                            {seen(300, 0, 3*ms, 20*ms, 0), 290, check.Unsure, "300 answers are too few to tell"},
		"fewer than were due":                {seen(2000, 0, 3*ms, 20*ms, 0), 2100, check.Unmade, "2000 requests were sent of at least 2100 that were due"},
		"slow, for it was sent late":         {seen(2000, 0, 3*ms, 900*ms, 800*ms), 1900, check.Unmade, "requests were sent up to 800ms late"},
		"slow even from when it was sent":    {seen(2000, 0, 3*ms, 900*ms, 100*ms), 1900, check.Over, "later than 300ms"},
		"sent late, and fast all the same":   {seen(2000, 0, 3*ms, 200*ms, 100*ms), 1900, check.Kept, ""},
		"failing is failing, late or not":    {seen(2000, 400, 3*ms, 900*ms, 2*time.Second), 1900, check.Over, "20 % of the requests failed"},
		"nobody was served, and none is due": {seen(0, 0, 0, 0, 0), 0, check.Unsure, "0 answers"},
	} {
		standing, why := check.ServedBetween(c.h, 0, time.Minute).Stands(o, c.due)
		assert.Equal(t, c.want, standing, "%s: %s", name, why)
		assert.Contains(t, why, c.says, name)
	}
	assert.Zero(t, check.ServedBetween(seen(2000, 0, 3*ms, 20*ms, 0), time.Second, time.Minute).Requests, "what was before does not count")
}

// TestManyStretchesAreNotHeldAgainstAnObjectiveOneByOne: of 500 stretches whose 99th
// percentile is all the same, some look bad by chance.
func TestManyStretchesAreNotHeldAgainstAnObjectiveOneByOne(t *testing.T) {
	chance := rand.New(rand.NewPCG(3, 4))
	now := time.Duration(0)
	h := stage.NewHistory(func() time.Duration { return now }, nil)
	h.Record(stage.Event{Kind: stage.Confirmed})
	for range 500 {
		now += time.Second
		slow := int64(0)
		for range 300 {
			if chance.Float64() < 0.009 {
				slow++
			}
		}
		h.Record(stage.Event{Kind: stage.Served, Version: "v2", Traffic: &stage.Traffic{From: now - time.Second, To: now, Requests: 300,
			Latencies: stage.LatenciesOf([]stage.LatencyCount{{Took: 10 * time.Millisecond, N: 300 - slow}, {Took: time.Second, N: slow}})}})
	}
	f := check.AnswersWithin(h, 300*time.Millisecond)
	assert.Equal(t, check.Passed, f.Verdict, f.Detail)
	s := check.Served(h, 0)
	assert.Empty(t, s.Breaks(stage.Objective{P99: 300 * time.Millisecond}))
}

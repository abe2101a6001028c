package check_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/check"
	"rehearsal/internal/stage"
)

func TestCounted(t *testing.T) {
	h := badRelease(15 * mins).History
	for _, c := range []struct {
		from, to      time.Duration
		version       string
		requests, bad int64
	}{
		{0, 0, "", 10000 + 48000 + 12000 + 12000 + 36000 + 4000 + 56000, 500 + 1800 + 200},
		{5 * mins, 0, "", 12000 + 12000 + 36000 + 4000 + 56000, 2000},
		{5 * mins, 0, "v2", 1200 + 3600 + 400, 2000},
		{5 * mins, 7 * mins, "", 24000, 0},
		{7 * mins, 10 * mins, "v2", 3600, 1800},
		{7*mins - 1, 10 * mins, "v2", 1200 + 3600, 1800},
		{15 * mins, 0, "", 0, 0},
		{0, 0, "v3", 0, 0},
	} {
		requests, bad := check.Counted(h, c.from, c.to, c.version)
		assert.Equal(t, [2]int64{c.requests, c.bad}, [2]int64{requests, bad}, "%v", c)
	}
}

// traffic is any traffic of two versions, minute by minute and in parts of them.
func traffic(t *rapid.T) *past {
	p := newPast().deploy("v1").deploy("v2").shift(canary)
	for i := range rapid.IntRange(0, 20).Draw(t, "pieces") {
		from := p.now
		p.at(from + time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds"))*sec)
		requests := rapid.Int64Range(0, 1000).Draw(t, "requests")
		failed := rapid.Int64Range(0, requests).Draw(t, "failed")
		if rapid.Bool().Draw(t, "well") {
			failed = 0
		}
		p.serve([]string{"v1", "v2"}[i%2], from, requests, failed)
	}
	return p
}

func TestCountsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := traffic(t)
		at := func(name string) time.Duration {
			return 1 + time.Duration(rapid.Int64Range(0, int64(p.now)).Draw(t, name))
		}
		cuts := []time.Duration{at("a"), at("b"), at("c")}
		from, middle, to := min(cuts[0], cuts[1], cuts[2]), max(min(cuts[0], cuts[1]), min(max(cuts[0], cuts[1]), cuts[2])), max(cuts[0], cuts[1], cuts[2])
		for _, version := range []string{"", "v1", "v2"} {
			all, bad := check.Counted(p.History, from, to, version)
			before, badBefore := check.Counted(p.History, from, middle, version)
			after, badAfter := check.Counted(p.History, middle, to, version)
			require.Equal(t, all, before+after, "over a split time")
			require.Equal(t, bad, badBefore+badAfter)
			require.LessOrEqual(t, bad, all)
		}
		both, badBoth := check.Counted(p.History, from, 0, "")
		one, badOne := check.Counted(p.History, from, 0, "v1")
		two, badTwo := check.Counted(p.History, from, 0, "v2")
		require.Equal(t, [2]int64{both, badBoth}, [2]int64{one + two, badOne + badTwo}, "over versions")
	})
}

func TestFailedAtMost(t *testing.T) {
	h := badRelease(15 * mins).History // 2,000 of 120,000 failed since the steady state: 1.67 %
	verdict(t, check.FailedAtMost(h, 2), check.Passed, "2000 of 120000 requests failed: 1.67 %")
	verdict(t, check.FailedAtMost(h, 1.6), check.Failed, "2000 of 120000 requests failed: 1.67 %, more than 1.6 %")
	verdict(t, check.NoneFailed(h), check.Failed, "1.67 %, more than 0 %")
	assert.Equal(t, "no request failed", check.NoneFailed(h).Check)
	verdict(t, check.NoneFailed(steady().at(6*mins).serve("v1", 5*mins, 12000, 0).History), check.Passed, "0 of 12000 requests failed: 0 %")

	served := func(requests, failed int64) *stage.History {
		return newPast().confirm().at(mins).serve("v1", 0, requests, failed).History
	}
	verdict(t, check.FailedAtMost(served(1000, 10), 1), check.Passed, "1 %")
	verdict(t, check.FailedAtMost(served(1000, 3), 0.3), check.Passed, "0.3 %")
	verdict(t, check.FailedAtMost(served(1000, 7), 0.7), check.Passed, "0.7 %")
	verdict(t, check.FailedAtMost(served(1000, 1000), 100), check.Passed, "100 %")
	verdict(t, check.FailedAtMost(served(100_000, 1001), 1), check.Failed, "1001 of 100000 requests failed: 1.001 %, more than 1 %")
	verdict(t, check.FailedAtMost(served(1_000_000, 10_001), 1), check.Failed, "1.0001 %, more than 1 %")

	verdict(t, check.FailedAtMost(served(0, 0), 1), check.Inconclusive, "there were no requests at all: nothing was shown")
	verdict(t, check.NoneFailed(newPast().History), check.Inconclusive, "no requests at all")
	verdict(t, check.NoneFailed(steady().History), check.Inconclusive, "no requests at all")
}

// Exactly at the promised share is kept, whatever the figures; one more request is
// not.
func TestTheBoundaryOfAPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requests := rapid.Int64Range(1, 10_000_000).Draw(t, "requests")
		failed := rapid.Int64Range(0, requests).Draw(t, "failed")
		share := 100 * float64(failed) / float64(requests)
		at := newPast().at(mins).serve("v1", 0, requests, failed)
		require.Equal(t, check.Passed, check.FailedAtMost(at.History, share).Verdict)
		if failed < requests {
			over := newPast().at(mins).serve("v1", 0, requests, failed+1)
			require.Equal(t, check.Failed, check.FailedAtMost(over.History, share).Verdict)
		}
	})
}

func TestRestored(t *testing.T) {
	for _, c := range []struct {
		name string
		h    *past
		at   time.Duration
		ok   bool
	}{
		{"nothing failed", steady().at(7*mins).serve("v1", 5*mins, 100, 0), 5 * mins, true},
		{"no requests", steady().at(20 * mins), 5 * mins, false},
		{"only pieces without requests", steady().at(20*mins).serve("v1", 5*mins, 0, 0), 5 * mins, false},
		{"not for long enough yet", steady().at(6*mins).serve("v1", 5*mins, 100, 1).at(7*mins-1).serve("v1", 6*mins, 100, 0), 6 * mins, false},
		{"for just long enough", steady().at(6*mins).serve("v1", 5*mins, 100, 1).at(7*mins).serve("v1", 6*mins, 100, 0), 6 * mins, true},
		{"the last failure counts", steady().at(6*mins).serve("v1", 5*mins, 100, 1).at(9*mins).serve("v1", 6*mins, 100, 0).
			at(10*mins).serve("v2", 9*mins, 1, 1).at(12*mins).serve("v1", 10*mins, 100, 0), 10 * mins, true},
		{"of any version", steady().at(6*mins).serve("v1", 5*mins, 100, 0).serve("v2", 5*mins, 100, 100).at(8*mins).serve("v1", 6*mins, 100, 0), 6 * mins, true},
		{"what failed before does not count", steady().at(6*mins).serve("v1", 5*mins, 100, 0), 5 * mins, true},
	} {
		at, ok := check.Restored(c.h.History, 5*mins, mins)
		assert.Equal(t, c.ok, ok, c.name)
		assert.Equal(t, c.at, at, c.name)
	}
}

// Restored is never before since, never in the middle of a failure, and stays so
// when users are served well for longer.
func TestRestoredIsAfterTheLastFailure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := traffic(t)
		since := time.Duration(rapid.Int64Range(0, int64(p.now)).Draw(t, "since"))
		at, ok := check.Restored(p.History, since, mins)
		require.GreaterOrEqual(t, at, since)
		_, bad := check.Counted(p.History, at, 0, "")
		require.Zero(t, bad)
		last := p.now
		p.at(last+mins).serve("v1", last, 10, 0)
		later, still := check.Restored(p.History, since, mins)
		require.Equal(t, at, later)
		require.True(t, still || !ok)
		require.True(t, still, "a whole minute without a failure was added")
	})
}

func TestRestoredWithin(t *testing.T) {
	bad := badRelease(15 * mins).History // "errors" at 10 minutes, the last failure 20 s later
	verdict(t, check.RestoredWithin(bad, "v2", mins), check.Passed, `service was restored 20s after the alarm "errors"`)
	verdict(t, check.RestoredWithin(bad, "v2", 20*sec), check.Passed, "20s")
	verdict(t, check.RestoredWithin(bad, "v2", 19*sec), check.Failed, `service was restored 20s after the alarm "errors": more than 19s`)
	verdict(t, check.RestoredWithin(badRelease(11*mins).History, "v2", mins), check.Failed,
		`service was not restored: no 1m0s without a failed request, the last one 20s after the alarm "errors"`)
	verdict(t, check.RestoredWithin(steady().History, "v2", mins), check.Failed, "nobody noticed anything")

	byHand := steady().at(6*mins).deploy("v2").shift(canary).at(8*mins).decide(false, "by hand").shift(none).at(10*mins).serve("v1", 8*mins, 100, 0)
	verdict(t, check.RestoredWithin(byHand.History, "v2", 0), check.Passed, "service was restored 0s after the decision to go back")
}

func TestWhoServes(t *testing.T) {
	h := badRelease(15 * mins).History
	verdict(t, check.ServesEveryone(h, "v1"), check.Passed, "the shares are v1 100 %, v2 0 %")
	verdict(t, check.ServesEveryone(h, "v2"), check.Failed, `"v2" does not serve everyone: the shares are v1 100 %, v2 0 %`)
	verdict(t, check.ServesEveryone(steady().shift(stage.Shares{"v1": 99.9, "v2": 0.1}).History, "v1"), check.Failed, "v1 99.9 %, v2 0.1 %")
	verdict(t, check.NeverServed(h, "v2"), check.Failed, `"v2" got 10 % of the traffic at 6m0s`)
	verdict(t, check.NeverServed(steady().shift(none).History, "v2"), check.Passed, "it never got a share")
	verdict(t, check.NeverServed(newPast().History, "v2"), check.Passed, "it never got a share")
}

func TestNoWriteLost(t *testing.T) {
	verdict(t, check.NoWriteLost(steady().History), check.Inconclusive, "the writes were not compared with what is stored")
	verdict(t, check.NoWriteLost(steady().audit(0, 0, 0).History), check.Inconclusive, "no write was acknowledged")
	verdict(t, check.NoWriteLost(steady().audit(40, 0, 0).History), check.Passed, "all 40 acknowledged writes are stored once")
	verdict(t, check.NoWriteLost(steady().audit(40, 1, 0).History), check.Failed, `of 40 acknowledged writes 1 are lost and 0 are stored more than once, for example ["key-1"]`)
	verdict(t, check.NoWriteLost(steady().audit(40, 0, 2).History), check.Failed, "0 are lost and 2 are stored more than once")
	verdict(t, check.NoWriteLost(steady().audit(40, 1, 0).audit(50, 0, 0).History), check.Passed, "all 50") // the last comparison counts
}

package live_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/live"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// recorded is the history of a real rehearsal in containers (without its latencies).
func recorded(t *testing.T, name string) []stage.Event {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".ndjson"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	h, err := stage.ReadHistory(f)
	require.NoError(t, err)
	return h.Events()
}

func planOf(t *testing.T, name string) *release.Plan {
	t.Helper()
	p, err := release.ParseFile(filepath.Join("../../fixtures/plans", name+".yaml"))
	require.NoError(t, err)
	return p
}

// replay tells a Run's story once more: one scenario, whose release of v2 begins with
// the first event of it, and what was known after each event.
func replay(t *testing.T, events []stage.Event, plan *release.Plan, after func(e stage.Event, s live.Scenario)) {
	t.Helper()
	var s live.State
	begins := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	s.Begin("1", "containers", "a scenario", begins)
	for i, e := range events {
		if e.Kind == stage.Stepped && s.Active[0].Release == nil {
			s.Release("1", plan, "v2")
		}
		s.Active[0].See(events[:i+1])
		after(e, s.Active[0])
	}
}

// story is what was said, each thing once.
func story(t *testing.T, name, plan string, l lang.Lang) []string {
	t.Helper()
	var told []string
	replay(t, recorded(t, name), planOf(t, plan), func(_ stage.Event, s live.Scenario) {
		d := s.Doing(l, time.Time{})
		line := strings.TrimSuffix(d.Now+" > "+d.Then, " > ")
		if left, _ := s.Remaining(l); left != "" {
			line += " > " + left
		}
		if len(told) == 0 || told[len(told)-1] != line {
			told = append(told, line)
		}
	})
	return told
}

func TestWhatHappensNextIsToldOfARealCanary(t *testing.T) {
	assert.Equal(t, []string{
		"",
		"waiting for a minute without a failure, every alarm OK",
		"",
		"starting v2 > v2 gets 10 % > 15m",
		"step 1 of 3: shifting to 10 % > v2 gets 50 % > 15m",
		"step 1 of 3: bake 0s of 5m > v2 gets 50 % > 15m",
		"rolling back: everyone to v1 > v2 is retired",
		`rolled back: the alarm "shop-5xx-rate" went off; v1 serves everyone again > the promises are checked`,
	}, story(t, "canary-rolled-back", "canary", lang.English))
}

func TestWhatHappensNextIsToldOfARealRollingRelease(t *testing.T) {
	assert.Equal(t, []string{
		"",
		"waiting for a minute without a failure, every alarm OK",
		"",
		"step 1 of 2: shifting to 50 % > v2 gets 100 % > 10m",
		"step 1 of 2: bake 0s of 5m > v2 gets 100 % > 10m",
		"rolling back: everyone to v1 > v2 is retired",
		`rolled back: the alarm "shop-5xx-rate" went off; v1 serves everyone again > the promises are checked`,
	}, story(t, "rolling-rolled-back", "rolling", lang.English))
}

func TestWhatHappensNextIsToldInJapanese(t *testing.T) {
	assert.Equal(t, []string{
		"",
		"失敗なく全警報が正常な1分間を待っている",
		"",
		"v2 を起動中 > v2 へのスモークテスト > 5分",
		"v2 へのスモークテスト > v2 を 100 % へ > 5分",
		"段階 1 / 1: 100 % へ切り替え中 > v1 を停止 > 5分",
		"段階 1 / 1: 様子見 0秒 / 5分 > v1 を停止 > 5分",
		"リリースしました。v2 が全員に応答しています > 約束の確認",
	}, story(t, "blue-green-released", "blue-green", lang.Japanese))
}

// What is folded piece by piece is what a history read at once says.
func TestTheFoldAgreesWithTheHistory(t *testing.T) {
	events := recorded(t, "canary-rolled-back")
	var red []string
	var worst float64
	replay(t, events, planOf(t, "canary"), func(e stage.Event, s live.Scenario) {
		assert.Equal(t, e.At, s.Now)
		if e.Kind == stage.Shifted {
			assert.Equal(t, e.Shares, s.Shares)
		}
		if p, known := s.Rate.Percent(s.Now); known {
			worst = max(worst, p)
		}
		if e.Kind == stage.Changed && e.Alarm.To == alarm.InAlarm {
			red = append(red, s.Red()...)
			assert.Equal(t, "4 OK", s.Calm(lang.English))
			assert.Equal(t, []live.Failure{{Failure: stage.Failure{Kind: stage.Errors, Version: "v2", Share: 50}, Present: true}}, s.Failures)
			assert.InDelta(t, 5, mustPercent(t, s), 2.5, "half of a tenth")
		}
		if e.Kind == stage.Injected {
			assert.Equal(t, "v2: errors, 50 % of requests (prepared)", s.Failures[0].Say(lang.English))
		}
		if e.Kind == stage.Ended {
			assert.Empty(t, s.Failures)
		}
	})
	assert.Equal(t, []string{"shop-5xx-rate"}, red)
	assert.Less(t, worst, 15.0)
	assert.Greater(t, worst, 3.0)
}

func mustPercent(t *testing.T, s live.Scenario) float64 {
	t.Helper()
	p, known := s.Rate.Percent(s.Now)
	require.True(t, known)
	return p
}

// A State that was handed out does not change any more.
func TestWhatWasHandedOutStays(t *testing.T) {
	events := recorded(t, "canary-rolled-back")
	var kept []live.Scenario
	var said []string
	say := func(s live.Scenario) string {
		return fmt.Sprint(s.Shares, s.Alarms, s.Failures, s.Doing(lang.English, time.Time{}), s.Levels(3))
	}
	replay(t, events, planOf(t, "canary"), func(_ stage.Event, s live.Scenario) {
		kept, said = append(kept, s), append(said, say(s))
	})
	for i := range kept {
		assert.Equal(t, said[i], say(kept[i]), "after event %d", i)
	}
}

func TestTheErrorRate(t *testing.T) {
	var r live.Rate
	served := func(from, to time.Duration, requests, failed int64) {
		var s live.Scenario
		s.Rate = r
		s.See([]stage.Event{{At: to, Kind: stage.Served, Traffic: &stage.Traffic{From: from, To: to, Requests: requests, Failed: failed}}})
		r = s.Rate
	}
	_, known := r.Percent(0)
	assert.False(t, known)
	served(0, time.Minute, 600, 0) // as the simulated stage counts: by the minute
	p, known := r.Percent(time.Minute)
	assert.True(t, known)
	assert.Zero(t, p)
	served(time.Minute, 2*time.Minute, 600, 60)
	p, _ = r.Percent(2 * time.Minute)
	assert.InDelta(t, 10, p, 0.001, "the last minute, not the one before")
	last := r.Last(2*time.Minute - 1)
	assert.Equal(t, live.Piece{Percent: 10, Known: true}, last[live.Pieces-1])
	assert.Equal(t, live.Piece{Percent: 0, Known: true}, last[live.Pieces-5])
	assert.Equal(t, live.Piece{}, last[live.Pieces-9], "before the beginning")
	served(0, time.Second, 1000, 1000) // what comes late is of its own time
	p, _ = r.Percent(2 * time.Minute)
	assert.InDelta(t, 10, p, 0.001)
	_, known = r.Percent(time.Hour)
	assert.False(t, known, "nobody was served for an hour")
	assert.Equal(t, [live.Pieces]live.Piece{}, r.Last(time.Hour))
	served(time.Hour, time.Hour, 7, 7) // one request
	p, _ = r.Percent(time.Hour)
	assert.InDelta(t, 100, p, 0.001)
	served(0, time.Second, 1000, 0) // older than anything that is kept
	p, known = r.Percent(time.Hour)
	assert.True(t, known)
	assert.InDelta(t, 100, p, 0.001)
	served(0, 2*time.Hour, 1<<40, 0) // a piece as long as the run
	p, _ = r.Percent(2 * time.Hour)
	assert.Zero(t, p)
	served(2*time.Hour, 2*time.Hour+time.Minute, 0, 0)
}

func TestHowLongTheRunStillTakes(t *testing.T) {
	at := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	s := live.State{Began: at, At: at}
	left := func() string {
		d, known := s.Left()
		if !known {
			return "not known"
		}
		return d.String()
	}
	assert.Equal(t, "not known", left())
	s.Plan("simulated", 3)
	s.Plan("containers", 7)
	pass := func(on string, n int, each time.Duration) {
		for range n {
			id := fmt.Sprint(len(s.Ended))
			s.Begin(id, on, id, s.At)
			s.End(id, check.Passed, "", s.At.Add(each))
		}
	}
	pass("simulated", 3, time.Millisecond)
	assert.Equal(t, "not known", left(), "how long containers take, simulated ones do not say")
	pass("containers", 2, 20*time.Second)
	assert.Equal(t, "not known", left())
	pass("containers", 1, 20*time.Second)
	assert.Equal(t, "1m20s", left())
	s.Begin("a", "containers", "a", s.At)
	s.Begin("b", "containers", "b", s.At)
	assert.Equal(t, "40s", left(), "two at a time")
	s.At = s.At.Add(10 * time.Second)
	assert.Equal(t, "30s", left())
	s.At = s.At.Add(time.Minute) // they take longer than the others did
	assert.Equal(t, "20s", left())
	assert.Equal(t, []string{
		"6 of 10 scenarios, 2m 10s so far, about 20s left",
		"6 of 10 scenarios, about 20s left",
		"6 of 10, about 20s left",
		"6 of 10 scenarios, 2m 10s",
		"6 of 10 scenarios",
		"6 of 10",
	}, s.Head(lang.English))
	s.End("a", check.Failed, "broken", s.At)
	s.End("b", check.Inconclusive, "lost", s.At)
	s.End("b", check.Inconclusive, "lost", s.At) // once is enough
	assert.Equal(t, "シナリオ 8 / 10 終了、不合格 1、判定不能 1、2分10秒経過、残り約1分20秒", s.Head(lang.Japanese)[0])
	s.Stopping = true
	assert.Equal(t, "interrupted: taking the stages down", s.Head(lang.English)[1])
	assert.Equal(t, "not known", left())
}

func TestDurationsForPeople(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		0:                                     {"0s", "0秒"},
		-time.Second:                          {"0s", "0秒"},
		161 * time.Second:                     {"2m 41s", "2分41秒"},
		12 * time.Minute:                      {"12m", "12分"},
		90*time.Minute + 900*time.Millisecond: {"1h 30m", "1時間30分"},
		26 * time.Hour:                        {"26h 0m", "26時間0分"},
	} {
		assert.Equal(t, want, [2]string{live.Duration(lang.English, d), live.Duration(lang.Japanese, d)})
	}
	for d, want := range map[time.Duration]string{
		0: "", 2 * time.Second: "", 3 * time.Second: "about 5s", 44 * time.Second: "about 45s", 72 * time.Second: "about 1m 10s", 754 * time.Second: "about 13m",
	} {
		assert.Equal(t, want, live.About(lang.English, d), d)
	}
}

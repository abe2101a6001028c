package chart_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/chart"
	"rehearsal/internal/lang"
	"rehearsal/internal/stage"
)

var update = flag.Bool("update", false, "write testdata anew")

// golden holds svg against testdata/name.svg, which stands alone so that it can be looked at.
func golden(t *testing.T, name, svg string) {
	t.Helper()
	path := filepath.Join("testdata", name+".svg")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(chart.File(svg)), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), chart.File(svg), "look at it, and if it is meant: go test ./internal/chart -update")
}

var failing = stage.Failure{Kind: stage.Errors, Version: "v2", Share: 50}

// badRelease is one of v2 whose half fails, noticed after some periods of a minute, with
// warm minutes before it.
func badRelease(warm, detect time.Duration) []stage.Event {
	begin := warm
	var events []stage.Event
	add := func(at time.Duration, e stage.Event) {
		e.At = at
		events = append(events, e)
	}
	served := func(version string, from, to time.Duration, failed int64, p99 time.Duration) {
		n := int64(200 * (to - from).Seconds())
		if version == "v2" {
			n /= 10
		}
		add(to, stage.Event{Kind: stage.Served, Version: version, Traffic: &stage.Traffic{From: from, To: to, Requests: n, Failed: failed, P50: 3 * time.Millisecond, P99: p99}})
	}
	state := func(at time.Duration, name string, s alarm.State) {
		add(at, stage.Event{Kind: stage.Changed, Alarm: &stage.AlarmChange{Name: name, To: s}})
	}
	add(0, stage.Event{Kind: stage.Began})
	add(0, stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 100}})
	for at := time.Duration(0); at < begin; at += 10 * time.Second {
		served("v1", at, at+10*time.Second, 0, 20*time.Millisecond)
	}
	state(begin, "errors", alarm.OK)
	state(begin, "memory", alarm.OK)
	add(begin, stage.Event{Kind: stage.Confirmed})
	add(begin, stage.Event{Kind: stage.Injected, Version: "v2", Failure: &failing})
	add(begin, stage.Event{Kind: stage.Stepped, Version: "v2", Detail: "start v2"})
	add(begin+10*time.Second, stage.Event{Kind: stage.Landed, Version: "v2", Failure: &failing})
	add(begin+10*time.Second, stage.Event{Kind: stage.Stepped, Version: "v2", Detail: "step 1 of 3: v2 gets 10 %, bake 5m"})
	add(begin+10*time.Second, stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 90, "v2": 10}})
	served("v1", begin, begin+10*time.Second, 0, 20*time.Millisecond)
	at := begin + 10*time.Second
	for ; at < begin+10*time.Second+detect; at += 10 * time.Second {
		served("v1", at, at+10*time.Second, 0, 20*time.Millisecond)
		served("v2", at, at+10*time.Second, 90+int64(at/time.Second)%20, 80*time.Millisecond)
	}
	state(at, "errors", alarm.InAlarm)
	add(at, stage.Event{Kind: stage.Decided, Version: "v2", Detail: `roll back to v1: the alarm "errors" went off`})
	add(at, stage.Event{Kind: stage.Stepped, Version: "v2", Detail: "all traffic back to v1"})
	add(at, stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 100}})
	add(at, stage.Event{Kind: stage.Decided, Version: "v2", Detail: "rolled back: v1 serves everyone again"})
	for end := at + 2*time.Minute; at < end; at += 10 * time.Second {
		served("v1", at, at+10*time.Second, 0, 20*time.Millisecond)
	}
	add(at, stage.Event{Kind: stage.Healed, Version: "v2", Failure: &failing})
	add(at, stage.Event{Kind: stage.Ended})
	return events
}

// history is events in order.
func history(events ...stage.Event) *stage.History {
	var now time.Duration
	h := stage.NewHistory(func() time.Duration { return now }, nil)
	for _, e := range events {
		now = max(now, e.At)
		h.Record(e)
	}
	return h
}

func timeline(t *testing.T, predicted, measured *stage.History, o chart.Options) string {
	t.Helper()
	svg, err := chart.Timeline(predicted, measured, o)
	require.NoError(t, err)
	wellFormed(t, svg)
	return svg
}

// wellFormed holds what every chart must be.
func wellFormed(t require.TestingT, svg string) {
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	for _, wrong := range []string{" id=", "style=", "<style", "#0", "NaN", "Inf", "font-family", "<g", "%!"} {
		require.NotContains(t, svg, wrong)
	}
	require.Regexp(t, `^<svg class="chart( runs)?"[^>]* viewBox="0 0 (600|240) \d+" role="img"><title>[^<]+</title><desc>[^<]+</desc>`, svg)
}

func TestTimelines(t *testing.T) {
	predicted, measured := badRelease(2*time.Minute, 170*time.Second), badRelease(time.Minute, 200*time.Second)
	for name, c := range map[string]struct {
		predicted, measured *stage.History
		lang                lang.Lang
	}{
		"timeline":           {history(predicted...), history(measured...), lang.English},
		"timeline-ja":        {history(predicted...), history(measured...), lang.Japanese},
		"timeline-predicted": {history(predicted...), nil, lang.English},
		"timeline-empty":     {nil, nil, lang.English},
	} {
		t.Run(name, func(t *testing.T) {
			svg := timeline(t, c.predicted, c.measured, chart.Options{Lang: c.lang})
			assert.Less(t, len(svg), 12_000)
			golden(t, name, svg)
		})
	}
}

func TestBothReleasesBeginAtTheSamePlace(t *testing.T) {
	svg := timeline(t, history(badRelease(5*time.Minute, 170*time.Second)...), history(badRelease(time.Minute, 200*time.Second)...), chart.Options{})
	assert.Contains(t, svg, "detected after 3:20 (predicted 2:50)")
	// The plot is from 68 to 532, a minute before the release to 5:30 after it began.
	x := func(at time.Duration) int {
		return int(68 + 464*(at+time.Minute).Seconds()/(6*time.Minute+30*time.Second).Seconds() + 0.5)
	}
	assert.Equal(t, []int{x(10 * time.Second), x(3*time.Minute + 30*time.Second)}, verticals(svg, "v")[:2], "exposure and detection as measured")
	assert.Equal(t, []int{x(10 * time.Second), x(3 * time.Minute)}, verticals(svg, "v d")[:2], "as predicted")
}

// verticals is where lines of a class stand that go from one height to another.
func verticals(svg, class string) (xs []int) {
	for _, m := range regexp.MustCompile(`<path d="M(\d+) \d+V\d+" class="([^"]+)"`).FindAllStringSubmatch(svg, -1) {
		if m[2] == class {
			x, _ := strconv.Atoi(m[1])
			xs = append(xs, x)
		}
	}
	return xs
}

// tops is how near the top the lines of a class come.
func top(svg, class string) int {
	least := 1 << 30
	for _, m := range regexp.MustCompile(`<path d="([^"]+)" class="([^"]+)"`).FindAllStringSubmatch(svg, -1) {
		if m[2] != class {
			continue
		}
		for _, y := range regexp.MustCompile(`V(\d+)`).FindAllStringSubmatch(m[1], -1) {
			n, _ := strconv.Atoi(y[1])
			least = min(least, n)
		}
	}
	return least
}

func TestASpikeIsKeptHoweverLongTheHistoryIs(t *testing.T) {
	for _, pieces := range []int{30, 3_000, 100_000} {
		t.Run(fmt.Sprint(pieces), func(t *testing.T) {
			make := func(spike bool) string {
				var events []stage.Event
				for i := range pieces {
					at := time.Duration(i) * 10 * time.Second
					p := stage.Traffic{From: at, To: at + 10*time.Second, Requests: 2000, P50: time.Millisecond, P99: 20 * time.Millisecond}
					if spike && i == pieces/3 {
						p.Failed, p.P99 = 2000, 9*time.Second
					}
					events = append(events, stage.Event{At: p.To, Kind: stage.Served, Version: "v1", Traffic: &p})
				}
				return timeline(t, nil, history(events...), chart.Options{})
			}
			with := make(true)
			assert.Contains(t, with, "latency, at most 9 s")
			assert.NotContains(t, make(false), "latency, at most 9 s")
			assert.NotContains(t, with, "failed requests: none")
			assert.Less(t, top(with, "x"), 1<<30, "a line of failing that rises")
			assert.Less(t, len(with), 12_000)
		})
	}
}

func TestABusyTimelineStaysSmall(t *testing.T) {
	busy := func(seed int) *stage.History {
		var events []stage.Event
		for i := range 5000 {
			at := time.Duration(i) * 5 * time.Second
			n := int64((i*7919 + seed) % 1000)
			events = append(events, stage.Event{At: at + 5*time.Second, Kind: stage.Served, Version: "v1", Traffic: &stage.Traffic{From: at, To: at + 5*time.Second, Requests: 1000 + n, Failed: n / 2, P50: time.Duration(n) * time.Millisecond, P99: time.Duration(2000-n) * time.Millisecond}})
		}
		return history(events...)
	}
	svg := timeline(t, busy(1), busy(2), chart.Options{})
	assert.Less(t, len(svg), 16_000, "noise in each of 8 lines")
}

func TestWhatPeopleWroteIsEscaped(t *testing.T) {
	events := badRelease(time.Minute, 2*time.Minute)
	bad := `<script>alert("1")</script>` + "\x00\x1b[31m\xff"
	for i := range events {
		if a := events[i].Alarm; a != nil {
			a.Name = bad
		}
	}
	svg := timeline(t, nil, history(events...), chart.Options{Title: bad})
	assert.NotContains(t, svg, "<script")
	assert.Contains(t, svg, "&lt;script")
}

func TestEveryAlarmIsToldInWords(t *testing.T) {
	svg := timeline(t, nil, history(badRelease(time.Minute, 2*time.Minute)...), chart.Options{})
	for _, words := range []string{">errors<", ">ALARM from 2:10 on<", ">memory<", ">OK<"} {
		assert.Contains(t, svg, words)
	}
}

func TestNoHistoryPanics(t *testing.T) {
	kinds := []stage.EventKind{stage.Began, stage.Deployed, stage.Shifted, stage.Injected, stage.Landed, stage.Healed, stage.Served, stage.Changed, stage.Stepped, stage.Decided, stage.Confirmed, stage.Ended, "new in a later version"}
	versions := []string{"", "v1", "v2", "<&>"}
	times := rapid.OneOf(rapid.Int64Range(0, int64(10*time.Minute)), rapid.Int64())
	at := func(t *rapid.T, what string) time.Duration { return time.Duration(times.Draw(t, what)) }
	one := rapid.Custom(func(t *rapid.T) stage.Event {
		e := stage.Event{At: at(t, "at"), Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Version: rapid.SampledFrom(versions).Draw(t, "version"),
			Detail: rapid.SampledFrom([]string{"", "start v2", "step 1 of 3: v2", "roll back to v1", "rolled back: x", "step -1 of 0: "}).Draw(t, "detail")}
		if rapid.Bool().Draw(t, "shares") {
			e.Shares = stage.Shares{"v1": rapid.Float64().Draw(t, "share"), rapid.SampledFrom(versions).Draw(t, "other"): rapid.Float64Range(0, 100).Draw(t, "share of it")}
		}
		if rapid.Bool().Draw(t, "complete") {
			e.Failure = &stage.Failure{Kind: stage.Errors, Version: e.Version, Share: rapid.Float64().Draw(t, "failing")}
			e.Traffic = &stage.Traffic{From: at(t, "from"), To: at(t, "to"), Requests: times.Draw(t, "requests"), Failed: times.Draw(t, "failed"), P50: at(t, "p50"), P99: at(t, "p99")}
		}
		if e.Kind == stage.Changed || rapid.Bool().Draw(t, "alarm") { // History itself wants one
			e.Alarm = &stage.AlarmChange{Name: rapid.SampledFrom([]string{"", "a", "<&>", "\x00\xff版"}).Draw(t, "name"), To: alarm.State(rapid.Uint8Range(0, 4).Draw(t, "state"))}
		}
		return e
	})
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) *stage.History {
			return history(rapid.SliceOfN(one, 0, 30).Draw(t, what)...)
		}
		svg, err := chart.Timeline(draw("predicted"), draw("measured"), chart.Options{Version: rapid.SampledFrom(versions).Draw(t, "released"), Lang: rapid.SampledFrom([]lang.Lang{lang.English, lang.Japanese}).Draw(t, "lang")})
		require.NoError(t, err)
		wellFormed(t, svg)
	})
}

func BenchmarkTimeline(b *testing.B) {
	predicted, measured := history(badRelease(2*time.Minute, 170*time.Second)...), history(badRelease(time.Minute, 200*time.Second)...)
	for b.Loop() {
		if _, err := chart.Timeline(predicted, measured, chart.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

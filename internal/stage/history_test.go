package stage_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// watch is a release time that a test moves by hand.
type watch struct{ now time.Duration }

func (w *watch) read() time.Duration { return w.now }

func changed(name string, from, to alarm.State) stage.Event {
	return stage.Event{Kind: stage.Changed, Alarm: &stage.AlarmChange{Name: name, From: from, To: to, Reason: "because"}}
}

func TestEventsKeepTheirOrder(t *testing.T) {
	w := &watch{}
	h := stage.NewHistory(w.read, nil)
	assert.Equal(t, stage.Event{Kind: stage.Began}, h.Record(stage.Event{Kind: stage.Began}))
	w.now = 10 * time.Second
	second := h.Record(stage.Event{Kind: stage.Deployed, Version: "v1"})
	assert.Equal(t, 10*time.Second, second.At)
	assert.Equal(t, 1, second.Seq)
	third := h.Record(stage.Event{Kind: stage.Deployed, Version: "v2"})
	assert.Equal(t, 10*time.Second, third.At)
	assert.Equal(t, 2, third.Seq, "at the same instant the sequence tells")

	w.now = time.Minute
	assert.Equal(t, 30*time.Second, h.Record(stage.Event{At: 30 * time.Second, Kind: stage.Logged}).At, "what was seen late keeps its time")
	assert.Equal(t, 30*time.Second, h.Record(stage.Event{At: 20 * time.Second, Kind: stage.Logged}).At, "but never goes back")
	assert.Equal(t, time.Minute, h.Record(stage.Event{At: time.Hour, Kind: stage.Logged}).At, "nor into the future")
	w.now = 50 * time.Second
	assert.Equal(t, time.Minute, h.Record(stage.Event{Kind: stage.Logged}).At, "even where the clock does")
	assert.Equal(t, 50*time.Second, h.Now())

	var versions []string
	for e := range h.All(stage.Deployed) {
		versions = append(versions, e.Version)
	}
	assert.Equal(t, []string{"v1", "v2"}, versions)
	for range h.All(stage.Deployed) {
		break // an iteration may end early
	}
}

// However its clock and the times of events jump, a history is in order.
func TestAHistoryIsAlwaysInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &watch{}
		var sink bytes.Buffer
		h := stage.NewHistory(w.read, &sink)
		minutes := rapid.Int64Range(0, 60)
		for i := range rapid.IntRange(0, 30).Draw(t, "events") {
			w.now = time.Duration(minutes.Draw(t, "now")) * time.Minute
			e := h.Record(stage.Event{Kind: stage.Logged, At: time.Duration(minutes.Draw(t, "at")) * time.Minute})
			require.Equal(t, i, e.Seq)
		}
		events := h.Events()
		for i := 1; i < len(events); i++ {
			require.LessOrEqual(t, events[i-1].At, events[i].At)
		}
		again, err := stage.ReadHistory(&sink)
		require.NoError(t, err)
		require.ElementsMatch(t, events, again.Events())
	})
}

func TestAnEventInTheMiddleOfOthersDoesNotChangeWhatWasRead(t *testing.T) {
	h := stage.NewHistory((&watch{}).read, nil)
	h.Record(stage.Event{Kind: stage.Began})
	before := h.Events()
	h.Record(stage.Event{Kind: stage.Ended})
	assert.Len(t, before, 1)
	assert.Len(t, append(before, stage.Event{Kind: stage.Logged}), 2)
	assert.Equal(t, stage.Ended, h.Events()[1].Kind, "who adds to what it read adds to its own")
}

func TestSharesAndAlarmsInForce(t *testing.T) {
	h := stage.NewHistory((&watch{}).read, nil)
	assert.Empty(t, h.Shares())
	assert.Zero(t, h.Share("v1"))
	assert.Equal(t, alarm.InsufficientData, h.AlarmState("errors"))

	shares := stage.Shares{"v1": 90, "v2": 10}
	h.Record(stage.Event{Kind: stage.Shifted, Shares: shares})
	shares["v2"] = 50 // the caller goes on with its own map
	h.Shares()["v2"] = 70
	assert.Equal(t, stage.Shares{"v1": 90, "v2": 10}, h.Shares())
	assert.Equal(t, 10.0, h.Share("v2"))
	assert.Zero(t, h.Share("v3"))

	h.Record(changed("errors", alarm.InsufficientData, alarm.OK))
	h.Record(changed("errors", alarm.OK, alarm.InAlarm))
	h.Record(changed("latency", alarm.InsufficientData, alarm.OK))
	assert.Equal(t, alarm.InAlarm, h.AlarmState("errors"))
	assert.Equal(t, alarm.OK, h.AlarmState("latency"))
}

func TestWhoWatchesSeesEveryEventFromThenOn(t *testing.T) {
	h := stage.NewHistory((&watch{}).read, nil)
	h.Record(stage.Event{Kind: stage.Began})
	var first, second []stage.EventKind
	h.Watch(func(e stage.Event) {
		first = append(first, e.Kind)
		assert.Len(t, h.Events(), e.Seq+1, "who watches may read")
	})
	h.Record(stage.Event{Kind: stage.Deployed, Version: "v1"})
	h.Watch(func(e stage.Event) { second = append(second, e.Kind) })
	h.Record(stage.Event{Kind: stage.Retired, Version: "v1"})
	assert.Equal(t, []stage.EventKind{stage.Deployed, stage.Retired}, first)
	assert.Equal(t, []stage.EventKind{stage.Retired}, second)
}

func TestAHistoryIsWrittenDownAsItHappens(t *testing.T) {
	w := &watch{}
	var sink bytes.Buffer
	h := stage.NewHistory(w.read, &sink)
	for i, e := range eventful() {
		w.now = time.Duration(i) * time.Second
		h.Record(e)
		require.Equal(t, i+1, strings.Count(sink.String(), "\n"), "a line for each event, at once")
		require.True(t, strings.HasSuffix(sink.String(), "\n"))
	}
	require.NoError(t, h.Err())
	for line := range strings.Lines(sink.String()) {
		var e map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &e), "each line stands alone: %s", line)
		require.Contains(t, e, "kind")
	}
}

// eventful is one event of each kind, with what belongs to it.
func eventful() []stage.Event {
	f := &stage.Failure{Kind: stage.DependencySlow, Dependency: "database", Delay: time.Second}
	return []stage.Event{
		{Kind: stage.Began, Detail: "seed 1"},
		{Kind: stage.Deployed, Version: "v1", Replicas: 2},
		{Kind: stage.Shifted, Shares: stage.Shares{"v1": 90, "v2": 10}},
		{Kind: stage.Confirmed, Detail: "quiet"},
		{Kind: stage.Stepped, Detail: "10 %, then 5m"},
		{Kind: stage.Injected, Failure: f},
		{Kind: stage.Landed, Failure: f, Detail: "a query took 1.003s"},
		{Kind: stage.Served, Version: "v1", Traffic: &stage.Traffic{From: time.Second, To: 2 * time.Second, Requests: 180, Failed: 3, Acknowledged: 40, P50: time.Millisecond, P99: time.Second}},
		changed("errors", alarm.OK, alarm.InAlarm),
		{Kind: stage.Decided, Detail: "roll back: \"errors\"\nwent off"},
		{Kind: stage.Unhealthy, Version: "v2", Detail: "503"},
		{Kind: stage.Healthy, Version: "v2"},
		{Kind: stage.Exited, Version: "v2", Detail: "exit status 1"},
		{Kind: stage.Logged, Version: "v2", Detail: "ERROR 決済に失敗"},
		{Kind: stage.Healed, Failure: f},
		{Kind: stage.Probed, OK: true, Probe: &stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"}},
		{Kind: stage.Audited, Writes: &stage.Writes{Acknowledged: 40, Lost: 1, Keys: []string{"k"}}},
		{Kind: stage.CalledOut, Version: "v2", Call: &stage.Call{By: "shop", Host: "api.example.com", Port: 443, Protocol: "tcp"}},
		{Kind: stage.StubAsked, Version: "v2", Asked: &stage.Asked{Stub: "payments", Method: "POST", Path: "/charges", Status: 201, Times: 3}},
		{Kind: stage.Retired, Version: "v2"},
		{Kind: stage.Ended},
	}
}

// written is a history of one event of each kind as its sink has it.
func written(t *testing.T) (*stage.History, string) {
	w := &watch{}
	var sink bytes.Buffer
	h := stage.NewHistory(w.read, &sink)
	for _, e := range eventful() {
		w.now += time.Second
		h.Record(e)
	}
	require.NoError(t, h.Err())
	return h, sink.String()
}

func TestAHistoryReadBackIsTheSame(t *testing.T) {
	h, text := written(t)
	again, err := stage.ReadHistory(strings.NewReader(text))
	require.NoError(t, err)
	assert.Equal(t, h.Events(), again.Events())
	assert.Equal(t, h.Shares(), again.Shares())
	assert.Equal(t, alarm.InAlarm, again.AlarmState("errors"))
	assert.Equal(t, h.Now(), again.Now(), "its time is the last event's")

	empty, err := stage.ReadHistory(strings.NewReader(""))
	require.NoError(t, err)
	assert.Empty(t, empty.Events())
	assert.Zero(t, empty.Now())
}

// A run that is killed leaves a last line of any length.
func TestALastLineCutShortIsLeftOut(t *testing.T) {
	h, text := written(t)
	all := h.Events()
	for cut := range len(text) {
		again, err := stage.ReadHistory(strings.NewReader(text[:cut]))
		require.NoError(t, err, "cut at %d", cut)
		whole := strings.Count(text[:cut], "\n")
		if cut > 0 && cut < len(text) && text[cut] == '\n' {
			whole++ // nothing but the line's end is missing
		}
		require.Len(t, again.Events(), whole, "cut at %d", cut)
		if whole > 0 {
			require.Equal(t, all[:whole], again.Events())
		}
	}
}

func TestDamageInTheMiddleIsAnErrorWithItsLine(t *testing.T) {
	_, text := written(t)
	for _, c := range []struct {
		name   string
		line   int
		damage func(line string) string
		want   string
	}{
		{"cut short", 3, func(l string) string { return l[:len(l)/2] }, "line 3: "},
		{"cut after a key, so that the next line could be its value", 18, func(l string) string { return strings.TrimSuffix(l, "}") + `,"traffic":` }, "line 18: "},
		{"no JSON", 7, func(string) string { return "Killed" }, "line 7: "},
		{"empty", 7, func(string) string { return "" }, "line 7: "},
		{"left out", 7, nil, "line 7: event 7 where event 6 should be: lines are missing"},
		{"unknown kind", 2, func(l string) string { return strings.Replace(l, "deployed", "exploded", 1) }, `line 2: unknown event "exploded"`},
		{"an alarm without its name", 9, func(string) string { return `{"at":9000000000,"seq":8,"kind":"alarm"}` }, `line 9: the event "alarm" does not say what it is about`},
		{"a failure without its kind", 6, func(string) string { return `{"at":6000000000,"seq":5,"kind":"injected"}` }, `line 6: the event "injected" does not say`},
		{"traffic without figures", 8, func(string) string { return `{"at":8000000000,"seq":7,"kind":"served","version":"v1"}` }, `line 8: the event "served" does not say`},
		{"earlier than the line above", 5, func(l string) string { return strings.Replace(l, "5000000000", "3000000000", 1) }, "line 5: event 4 is at 3s, before the one above it at 4s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if c.damage == nil {
				lines = append(lines[:c.line-1:c.line-1], lines[c.line:]...)
			} else {
				lines[c.line-1] = c.damage(lines[c.line-1])
			}
			_, err := stage.ReadHistory(strings.NewReader(strings.Join(lines, "\n") + "\n"))
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// fullDisk takes some lines and no more.
type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left--; d.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestAFullDiskDoesNotLoseTheHistory(t *testing.T) {
	d := &fullDisk{left: 1}
	h := stage.NewHistory((&watch{}).read, d)
	h.Record(stage.Event{Kind: stage.Began})
	require.NoError(t, h.Err())
	h.Record(stage.Event{Kind: stage.Logged})
	h.Record(stage.Event{Kind: stage.Ended})
	require.EqualError(t, h.Err(), "no space left on device")
	assert.Len(t, h.Events(), 3)
	assert.Equal(t, -1, d.left, "after the first failure nothing more is written: a hole in the middle would pass for damage")
}

// Many may record at once: every event is kept, numbered without a gap, written
// whole, and seen by who watches.
func TestManyMayRecordAtOnce(t *testing.T) {
	const writers, each = 8, 200
	var (
		tick atomic.Int64
		seen atomic.Int64
		sink bytes.Buffer // the history's lock is what guards it
		wg   sync.WaitGroup
	)
	h := stage.NewHistory(func() time.Duration { return time.Duration(tick.Add(1)) }, &sink)
	h.Watch(func(stage.Event) { seen.Add(1) })
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				switch i % 4 {
				case 0:
					h.Record(stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 50, "v2": 50}})
				case 1:
					h.Record(changed(fmt.Sprintf("alarm %d", w), alarm.OK, alarm.InAlarm))
				default:
					h.Record(stage.Event{Kind: stage.Logged, Version: fmt.Sprintf("v%d", w)})
				}
				_, _, _ = h.Shares(), h.Share("v1"), h.AlarmState("alarm 0")
				if i%50 == 0 {
					h.Watch(func(stage.Event) {})
					_ = h.Events()
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, h.Err())
	events := h.Events()
	require.Len(t, events, writers*each)
	assert.EqualValues(t, writers*each, seen.Load())
	again, err := stage.ReadHistory(&sink)
	require.NoError(t, err, "numbered without a gap, in order, each line whole")
	assert.Equal(t, events, again.Events())
}

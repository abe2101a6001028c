package report_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/report"
	"rehearsal/internal/stage"
)

// terminal is a small one: it knows the cursor's way up and erasing what is below,
// and fails the test for what a real one would do with anything else.
type terminal struct {
	t    *testing.T
	cols int
	mu   sync.Mutex
	rows []string // the last one is the cursor's, which stands at its beginning
	most int      // columns that were ever written in a row
}

func newTerminal(t *testing.T, cols int) *terminal {
	return &terminal{t: t, cols: cols, rows: []string{""}}
}

var control = regexp.MustCompile(`^\x1b\[(\d*)([A-Z])`)

func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := string(p)
	for text != "" {
		if m := control.FindStringSubmatch(text); m != nil {
			text = text[len(m[0]):]
			switch m[2] {
			case "A":
				n, _ := strconv.Atoi(m[1])
				assert.Less(s.t, n, len(s.rows), "the cursor goes up beyond the top")
				s.rows = s.rows[:max(1, len(s.rows)-n)] // what follows must erase the rest
				assert.True(s.t, strings.HasPrefix(text, "\x1b[J"), "goes up and leaves what is below: %q", text)
			case "J":
				s.rows[len(s.rows)-1] = ""
			default:
				assert.Fail(s.t, "unknown escape code", "%q", m[0])
			}
			continue
		}
		line, rest, whole := strings.Cut(text, "\n")
		s.rows[len(s.rows)-1] += line
		for _, r := range line {
			assert.False(s.t, unicode.IsControl(r), "%q", line)
		}
		s.most = max(s.most, columns(s.rows[len(s.rows)-1]))
		if text = rest; whole {
			s.rows = append(s.rows, "")
		}
	}
	return len(p), nil
}

// shows is the screen, without the empty row of the cursor.
func (s *terminal) shows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.rows, "\n")
}

// rehearsing is a history whose time a test moves.
type rehearsing struct {
	now atomic.Int64
	*stage.History
}

func newRehearsing() *rehearsing {
	r := &rehearsing{}
	r.History = stage.NewHistory(func() time.Duration { return time.Duration(r.now.Load()) }, nil)
	return r
}

func (r *rehearsing) at(d time.Duration) *rehearsing { r.now.Store(int64(d)); return r }

func (r *rehearsing) served(from time.Duration, requests, failed int64) {
	r.Record(stage.Event{Kind: stage.Served, Version: "v2", Traffic: &stage.Traffic{From: from, To: r.Now(), Requests: requests, Failed: failed}})
}

func (r *rehearsing) alarm(name string, to alarm.State) {
	r.Record(stage.Event{Kind: stage.Changed, Alarm: &stage.AlarmChange{Name: name, To: to}})
}

func TestPlainLinesForCI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		v := report.NewView(&b, false, 80)
		v.Line("Rehearsing the releases of %s (seed %d)", "shop", 7)
		v.Begin("1", "A good release")
		h := newRehearsing()
		v.Stage("1", h.History)
		v.Step("1", `"v2" is released`)
		h.at(time.Minute).served(0, 100, 50)
		h.alarm("errors", alarm.InAlarm)
		time.Sleep(time.Minute)
		v.Line("%s", "pulling \x1b[32mpostgres:17\x1b[0m\tlayer 1\r")
		v.End("1", check.Passed, "simulated  A good release")
		v.End("2", check.Failed, "simulated  A bad release")
		v.End("3", check.Inconclusive, "simulated  100% odd")
		v.Close()
		v.Close()
		v.Line("after the end")
		assert.Equal(t, `Rehearsing the releases of shop (seed 7)
pulling [32mpostgres:17[0m layer 1
ok   simulated  A good release
FAIL simulated  A bad release
???? simulated  100% odd
after the end
`, b.String())
		assert.NotContains(t, b.String(), "\x1b", "no escape codes")
	})
}

const tick = 120 * time.Millisecond // between drawings

func TestALiveView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTerminal(t, 80)
		v := report.NewView(s, true, 80)
		draws := func(want string) {
			t.Helper()
			time.Sleep(tick)
			synctest.Wait()
			assert.Equal(t, want, s.shows())
		}
		v.Line("Rehearsing the releases of shop")
		draws("Rehearsing the releases of shop\n")
		v.Begin("1", "The new version fails")
		v.Begin("1", "The new version fails") // told again with every notice
		v.Step("1", `version "v2" fails 50% of its requests`)
		time.Sleep(1500*time.Millisecond - tick)
		draws(`Rehearsing the releases of shop
  .. The new version fails
     version "v2" fails 50% of its requests
     raising the stage (1.4s)
`)
		h := newRehearsing()
		v.Stage("1", h.History)
		draws(`Rehearsing the releases of shop
  .. The new version fails
     version "v2" fails 50% of its requests
     00:00 | no traffic | 0.0 % errors | no alarm
`)
		h.Record(stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 90, "v2": 10}})
		h.at(time.Minute).served(0, 900, 0)
		h.at(61*time.Second).served(time.Minute, 100, 25)
		h.alarm("shop-5xx", alarm.InAlarm)
		v.Step("1", `"v2" is released`)
		draws(`Rehearsing the releases of shop
  .. The new version fails
     "v2" is released
     01:01 | v1 90 %, v2 10 % | 2.5 % errors | ALARM shop-5xx
`)
		v.Line("built shop:v2")
		h.at(3*time.Minute+5*time.Second).served(2*time.Minute, 10, 5) // the minute before is what counts
		h.alarm("shop-5xx", alarm.OK)
		h.alarm("shop-p99", alarm.InAlarm)
		h.alarm("shop-p99", alarm.InAlarm)
		h.at(100 * time.Minute)
		v.Begin("2", "The next")
		draws(`Rehearsing the releases of shop
built shop:v2
  .. The new version fails
     "v2" is released
     100:00 | v1 90 %, v2 10 % | 50.0 % errors | ALARM shop-p99
  .. The next
     
     raising the stage (100ms)
`)
		v.End("1", check.Failed, "simulated  The new version fails")
		draws(`Rehearsing the releases of shop
built shop:v2
FAIL simulated  The new version fails
  .. The next
     
     raising the stage (200ms)
`)
		v.Close()
		assert.Equal(t, "Rehearsing the releases of shop\nbuilt shop:v2\nFAIL simulated  The new version fails\n", s.shows(), "what was drawn is gone")
		v.Line("interrupted")
		v.Begin("3", "too late")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, "Rehearsing the releases of shop\nbuilt shop:v2\nFAIL simulated  The new version fails\ninterrupted\n", s.shows(), "nothing is drawn any more")
		v.Close()
	})
}

// A line that reaches the last column wraps on some terminals, and then the cursor
// goes up too few rows.
func TestADrawingIsNarrowerThanTheTerminal(t *testing.T) {
	for _, cols := range []int{0, 1, 2, 20, 39, 40, 41, 80, 200} {
		synctest.Test(t, func(t *testing.T) {
			s := newTerminal(t, cols)
			v := report.NewView(s, true, cols)
			h := newRehearsing()
			h.Record(stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 100 - 100.0/3, "v2-crashes-under-load": 100.0 / 3}})
			for i, name := range []string{
				strings.Repeat("A long name ", 20),
				"要求の半分に失敗する版は、利用者が触れてから四分以内に警報が鳴り、三十秒以内に元の版へ引き戻される",
				"\x1b[31mred\x1b[0m and two\nlines",
			} {
				id := fmt.Sprint(i)
				v.Begin(id, name)
				v.Step(id, name+name)
				v.Stage(id, h.History)
			}
			for i := range 20 {
				h.alarm(fmt.Sprintf("shop-alarm-%d", i), alarm.InAlarm)
			}
			time.Sleep(10 * tick)
			synctest.Wait()
			assert.LessOrEqual(t, s.most, max(0, cols-1))
			assert.Equal(t, 9, strings.Count(s.shows(), "\n"), "three rows for each")
			v.Close()
			assert.Empty(t, s.shows())
		})
	}
}

func TestWhoIsNotUnderWayIsNotDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTerminal(t, 80)
		v := report.NewView(s, true, 80)
		h := newRehearsing()
		v.Step("nobody", "a step")
		v.Stage("nobody", h.History)
		v.Begin("1", "x")
		v.Stage("1", h.History)
		v.End("1", check.Passed, "x")
		h.served(0, 1, 1) // a stage that closes still records
		time.Sleep(tick)
		synctest.Wait()
		assert.Equal(t, "ok   x\n", s.shows())
		v.Close()
	})
}

func TestReleaseTimeAsAClock(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"00:00": 999 * time.Millisecond, "00:59": 59900 * time.Millisecond, "01:00": time.Minute, "22:11": 22*time.Minute + 11*time.Second, "125:07": 125*time.Minute + 7*time.Second,
	} {
		assert.Equal(t, want, report.Clock(d))
	}
}

// Three scenarios at once, each with a stage that records in several goroutines.
func TestAViewIsSafeForConcurrentUse(t *testing.T) {
	s := newTerminal(t, 80)
	v := report.NewView(s, true, 80)
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("%d-%d", n, i)
				h := newRehearsing()
				v.Begin(id, "scenario "+id)
				v.Stage(id, h.History)
				var stageWork sync.WaitGroup
				for range 3 {
					stageWork.Go(func() {
						for k := range 10 {
							h.at(time.Duration(k)*time.Second).served(0, 10, 1)
							h.alarm("errors", alarm.InAlarm)
							h.Record(stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 100}})
						}
					})
				}
				v.Step(id, "a step")
				v.Line("a line")
				stageWork.Wait()
				v.End(id, check.Passed, id)
			}
		})
	}
	wg.Wait()
	v.Close()
	assert.Equal(t, 3*20*2, strings.Count(s.shows(), "\n"), "a line for each Line and each End, and nothing else")
	assert.Equal(t, 60, strings.Count(s.shows(), "ok   "))
}

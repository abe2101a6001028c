package report_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/live"
	"rehearsal/internal/release"
	"rehearsal/internal/report"
	"rehearsal/internal/stage"
)

// terminal is an emulated one, as high as everything that is ever written to it unless
// a test says otherwise. It counts the columns that were written.
type terminal struct {
	t          *testing.T
	mu         sync.Mutex
	vt         *vt.Emulator
	cols, rows int
	writes     []string
}

func newTerminal(t *testing.T, cols, rows int) *terminal {
	t.Helper()
	return &terminal{t: t, vt: vt.NewEmulator(cols, rows), cols: cols, rows: rows}
}

// Write does to new lines what a terminal's driver does.
func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, string(p))
	_, err := s.vt.Write([]byte(strings.ReplaceAll(string(p), "\n", "\r\n")))
	assert.NoError(s.t, err)
	return len(p), nil
}

func (s *terminal) screen(l lang.Lang) *report.Screen {
	return &report.Screen{Lang: l, Size: func() (int, int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.cols, s.rows
	}}
}

// shows is the screen down to the last row that has anything, and where the cursor is.
func (s *terminal) shows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := strings.Split(s.vt.String(), "\n")
	for i, r := range rows {
		rows[i] = strings.TrimRight(r, " ")
		assert.Less(s.t, lang.Columns(rows[i]), s.cols, "the last column stays free: %q", rows[i])
	}
	at := s.vt.CursorPosition()
	assert.Zero(s.t, at.X, "the cursor stands at the beginning of a row")
	assert.False(s.t, s.vt.CursorHidden())
	for len(rows) > 0 && rows[len(rows)-1] == "" {
		rows = rows[:len(rows)-1]
	}
	assert.Equal(s.t, len(rows), at.Y, "and that row is the one below all that is shown")
	return strings.Join(append(rows, ""), "\n")
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

// watched is a run with its view, told as the command line tells them.
type watched struct {
	*live.Run
	*report.View
}

func (w watched) begin(id, name string) {
	w.Tell(func(s *live.State, now time.Time) { s.Begin(id, "containers", name, now) })
}

func (w watched) step(id, text string) {
	w.Tell(func(s *live.State, _ time.Time) { s.Step(id, text) })
}

func (w watched) ends(id string, v check.Verdict, line string) { w.View.End(id, v, line, "") }

func watch(s *terminal, l lang.Lang) watched {
	run := live.NewRun("shop")
	return watched{run, report.NewView(s, run, s.screen(l))}
}

func TestPlainLinesForCI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		run := live.NewRun("shop")
		v := watched{run, report.NewView(&b, run, nil)}
		v.Line("Rehearsing the releases of %s (seed %d)", "shop", 7)
		v.begin("1", "A good release")
		h := newRehearsing()
		v.Stage("1", h.History)
		v.step("1", `"v2" is released`)
		h.at(time.Minute).served(0, 100, 50)
		h.alarm("errors", alarm.InAlarm)
		time.Sleep(time.Minute)
		v.Line("%s", "pulling \x1b[32mpostgres:17\x1b[0m\tlayer 1\r")
		v.ends("1", check.Passed, "simulated  A good release")
		v.ends("2", check.Failed, "simulated  A bad release")
		v.ends("3", check.Inconclusive, "simulated  100% odd")
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

// recorded is the history of a real rehearsal in containers.
func recorded(t *testing.T, name string) []stage.Event {
	t.Helper()
	f, err := os.Open(filepath.Join("../live/testdata", name+".ndjson"))
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

// A playback records what was recorded once more, at a pace of 60 while release time
// runs ahead, in the bubble's time.
type playback struct {
	*rehearsing
	w      watched
	id     string
	plan   *release.Plan
	events []stage.Event
	begun  bool
}

// until plays up to the release time.
func (p *playback) until(to time.Duration) {
	for p.Now() < to {
		next := min(p.Now()+time.Second, to)
		for len(p.events) > 0 && p.events[0].At <= next {
			e := p.events[0]
			p.at(e.At)
			if e.Kind == stage.Stepped && !p.begun {
				p.begun = true
				p.w.Release(p.id, p.plan, e.Version)
			}
			p.Record(e)
			p.events = p.events[1:]
		}
		p.at(next)
		time.Sleep(time.Second / 60)
	}
}

var update = flag.Bool("update", false, "write the frames as they are drawn now")

// The frames of real rehearsals, as an emulated terminal shows them: look at
// testdata/frames after a change that is meant, with -update.
func TestFrames(t *testing.T) {
	for _, cols := range []int{40, 80, 120} {
		for _, l := range []lang.Lang{lang.English, lang.Japanese} {
			t.Run(fmt.Sprintf("%d %s", cols, l), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					frames := framesOf(t, cols, l)
					file := filepath.Join("testdata", "frames", fmt.Sprintf("%d.%s.txt", cols, l))
					if *update {
						require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
						require.NoError(t, os.WriteFile(file, []byte(frames), 0o644))
					}
					want, err := os.ReadFile(file)
					require.NoError(t, err)
					assert.Equal(t, string(want), frames)
				})
			})
		}
	}
}

func framesOf(t *testing.T, cols int, l lang.Lang) string {
	t.Helper()
	var b strings.Builder
	s := newTerminal(t, cols, 24)
	v := watch(s, l)
	defer v.Close()
	frame := func(title string) {
		t.Helper()
		time.Sleep(tick)
		synctest.Wait()
		fmt.Fprintf(&b, "=== %s\n%s\n", title, s.shows())
	}
	names := map[lang.Lang][2]string{
		lang.English:  {"The new version fails half of its requests", `"v2" is released as the "canary" plan says`},
		lang.Japanese: {"新しい版が要求の半分に失敗する", `"v2" を "canary" 計画でリリースする`},
	}[l]
	frame("before anything is known")
	v.Tell(func(s *live.State, _ time.Time) { s.Plan("containers", 7) })
	for i := range 3 {
		id := fmt.Sprint("before ", i)
		v.begin(id, id)
		time.Sleep(20 * time.Second)
		v.ends(id, check.Verdict(i), "containers  "+id)
	}
	v.begin("a", names[0])
	v.step("a", names[1])
	frame("the stage is raised")
	a := &playback{rehearsing: newRehearsing(), w: v, id: "a", plan: planOf(t, "canary"), events: recorded(t, "canary-rolled-back")}
	v.Stage("a", a.History)
	a.until(30 * time.Second)
	frame("not steady yet")
	a.until(200 * time.Second)
	frame("the bake")
	v.begin("b", "Version \"v2\" fails half of its requests and is released rolling, batch by batch, to all")
	v.step("b", names[1])
	c := &playback{rehearsing: newRehearsing(), w: v, id: "b", plan: planOf(t, "rolling"), events: recorded(t, "rolling-rolled-back")}
	v.Stage("b", c.History)
	c.until(100 * time.Second)
	v.begin("c", names[0])
	a.until(240*time.Second + 145*time.Millisecond)
	frame("the alarm, beside two others")
	more := func(n int) {
		for range n {
			s := v.Now()
			id := fmt.Sprint("more ", len(s.Active))
			v.begin(id, id)
		}
	}
	more(3)
	frame("more than fits in full")
	more(24)
	frame("more than rows")
	v.Tell(func(s *live.State, _ time.Time) { s.Stopping = true })
	a.until(250 * time.Second)
	frame("after Ctrl-C")
	return b.String()
}

func TestALiveView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTerminal(t, 80, 40)
		v := watch(s, lang.English)
		draws := func(want string) {
			t.Helper()
			time.Sleep(tick)
			synctest.Wait()
			assert.Equal(t, want, s.shows())
		}
		v.Line("Rehearsing the releases of shop")
		v.Tell(func(s *live.State, _ time.Time) { s.Plan("containers", 2) })
		draws("Rehearsing the releases of shop\n0 of 2 scenarios, 0s\n")
		v.begin("1", "The new version fails")
		v.begin("1", "The new version fails") // told again with every notice
		v.step("1", `version "v2" fails 50% of its requests`)
		draws(`Rehearsing the releases of shop
0 of 2 scenarios, 0s
  The new version fails
    step     version "v2" fails 50% of its requests
    plan     raising the stage (0s)
`)
		v.Line("built shop:v2")
		h := newRehearsing()
		v.Stage("1", h.History)
		h.Record(stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 100}})
		h.at(time.Minute).served(0, 900, 0)
		h.Record(stage.Event{Kind: stage.Confirmed})
		draws(`Rehearsing the releases of shop
built shop:v2
0 of 2 scenarios, 0s
  The new version fails                                        containers 01:00
    step     version "v2" fails 50% of its requests
    traffic  ⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿  ⣿ v1 100 %
    errors                  ⣀⣀⣀⣀   0.0 %
    alarms   no data yet
`)
		v.ends("1", check.Failed, "containers The new version fails")
		draws(`Rehearsing the releases of shop
built shop:v2
FAIL containers The new version fails
1 of 2 scenarios, 1 failed, 0s
`)
		v.Close()
		assert.Equal(t, "Rehearsing the releases of shop\nbuilt shop:v2\nFAIL containers The new version fails\n", s.shows(), "what was drawn is gone")
		v.Line("interrupted")
		v.begin("3", "too late")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, "Rehearsing the releases of shop\nbuilt shop:v2\nFAIL containers The new version fails\ninterrupted\n", s.shows(), "nothing is drawn any more")
		v.Close()
	})
}

// Each drawing is one write within synchronised output, and what did not change is not
// drawn again.
func TestNothingFlickers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTerminal(t, 80, 24)
		v := watch(s, lang.English)
		v.Line("a line")
		v.begin("1", "x")
		time.Sleep(time.Minute + tick)
		v.Close()
		for _, w := range s.writes {
			assert.True(t, strings.HasPrefix(w, "\x1b[?2026h") && strings.HasSuffix(w, "\x1b[?2026l"), "%q", w)
			assert.Equal(t, 1, strings.Count(w, "\x1b[J"), "erased only below what is drawn: %q", w)
			assert.Less(t, strings.LastIndex(w, "\n"), strings.Index(w, "\x1b[J"), "%q", w)
		}
		assert.Less(t, len(s.writes), 70, "a second shows as one drawing")
	})
}

func TestColourIsAnAddition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTerminal(t, 80, 24)
		run := live.NewRun("shop")
		screen := s.screen(lang.English)
		screen.Colour = true
		v := watched{run, report.NewView(s, run, screen)}
		plain := newTerminal(t, 80, 24)
		p := report.NewView(plain, run, plain.screen(lang.English))
		h := newRehearsing()
		v.begin("1", "x")
		v.Stage("1", h.History)
		h.at(time.Minute).served(0, 100, 50)
		h.alarm("shop-5xx", alarm.InAlarm)
		time.Sleep(tick)
		synctest.Wait()
		assert.Contains(t, strings.Join(s.writes, ""), "\x1b[1;31mALARM shop-5xx\x1b[0m")
		assert.NotRegexp(t, `\x1b\[[0-9;]*m`, strings.Join(plain.writes, ""), "NO_COLOR: no colour at all")
		assert.Equal(t, plain.shows(), s.shows())
		v.Close()
		p.Close()
	})
}

func TestATerminalIsResized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTerminal(t, 120, 30)
		v := watch(s, lang.English)
		v.Line("a line that stays")
		h := newRehearsing()
		v.begin("1", strings.Repeat("A long name ", 20))
		v.Stage("1", h.History)
		for _, size := range [][2]int{{120, 30}, {50, 30}, {50, 8}, {40, 4}, {20, 3}, {100, 30}, {7, 2}, {2, 1}, {80, 24}} {
			s.mu.Lock()
			s.cols, s.rows = size[0], size[1]
			s.vt.Resize(size[0], size[1])
			s.writes = nil
			s.mu.Unlock()
			h.at(h.Now() + time.Second)
			time.Sleep(2 * tick)
			synctest.Wait()
			for _, w := range s.writes {
				lines := strings.Split(w, "\n")
				assert.LessOrEqual(t, len(lines), max(size[1], 2), "%v", size)
				for _, l := range lines {
					assert.Less(t, lang.Columns(escapes.ReplaceAllString(l, "")), size[0], "%v: %q", size, l)
				}
			}
			require.NotEmpty(t, s.writes, size)
		}
		v.Close()
	})
}

// A terminal that became narrower has broken the lines of the last drawing: what goes
// up must go up all of their rows, or else the old drawing stays above the new one.
func TestWhatBecameNarrowerIsErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTerminal(t, 80, 24)
		v := watch(s, lang.English)
		v.begin("1", strings.Repeat("wide ", 20))
		time.Sleep(tick)
		synctest.Wait()
		s.mu.Lock()
		s.cols, s.writes = 40, nil
		s.mu.Unlock()
		time.Sleep(tick)
		synctest.Wait()
		assert.Contains(t, s.writes[0], "\x1b[4A", "the head, two rows of the name, and the stage that is raised")
		v.Close()
	})
}

var escapes = regexp.MustCompile(`\x1b\[[?0-9;]*[A-Za-z]|\r`)

// A line that reaches the last column wraps on some terminals, and then the cursor
// goes up too few rows.
func TestADrawingIsNarrowerThanTheTerminal(t *testing.T) {
	for _, cols := range []int{12, 20, 39, 40, 41, 60, 80, 200} {
		for _, l := range []lang.Lang{lang.English, lang.Japanese} {
			synctest.Test(t, func(t *testing.T) {
				s := newTerminal(t, cols, 60)
				v := watch(s, l)
				h := newRehearsing()
				h.Record(stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 100 - 100.0/3, "v2-crashes-under-load": 100.0 / 3}})
				h.Record(stage.Event{Kind: stage.Injected, Failure: &stage.Failure{Kind: stage.DependencyErrors, Dependency: "payments", Share: 50}})
				for i, name := range []string{
					strings.Repeat("A long name ", 20),
					"要求の半分に失敗する版は、利用者が触れてから四分以内に警報が鳴り、三十秒以内に元の版へ引き戻される",
					"\x1b[31mred\x1b[0m and two\nlines",
				} {
					id := fmt.Sprint(i)
					v.begin(id, name)
					v.step(id, name+name)
					v.Stage(id, h.History)
					v.Release(id, planOf(t, "canary"), "v2-crashes-under-load")
				}
				for i := range 20 {
					h.alarm(fmt.Sprintf("shop-alarm-%d", i), alarm.InAlarm)
				}
				time.Sleep(10 * tick)
				synctest.Wait()
				assert.NotEmpty(t, s.shows())
				v.Close()
				assert.Empty(t, s.shows())
			})
		}
	}
}

// A pseudo terminal whose size nobody set says 0 by 0.
func TestASizeThatIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTerminal(t, 80, 24)
		run := live.NewRun("shop")
		v := watched{run, report.NewView(s, run, &report.Screen{Size: func() (int, int) { return 0, 0 }})}
		v.begin("1", strings.Repeat("long ", 40))
		v.Line("%s", strings.Repeat("word ", 40))
		time.Sleep(tick)
		synctest.Wait()
		assert.Equal(t, 6, strings.Count(s.shows(), "\n"), "three rows of the line, the head, and a scenario")
		v.Close()
	})
}

func TestWhoIsNotUnderWayIsNotDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTerminal(t, 80, 24)
		v := watch(s, lang.English)
		h := newRehearsing()
		v.step("nobody", "a step")
		v.Stage("nobody", h.History)
		v.begin("1", "x")
		v.Stage("1", h.History)
		v.ends("1", check.Passed, "x")
		h.served(0, 1, 1) // a stage that closes still records
		time.Sleep(tick)
		synctest.Wait()
		assert.Equal(t, "ok   x\n1 scenarios, 0s\n", s.shows())
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
	s := newTerminal(t, 80, 200)
	v := watch(s, lang.English)
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("%d-%d", n, i)
				h := newRehearsing()
				v.begin(id, "scenario "+id)
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
				v.step(id, "a step")
				v.Line("a line")
				stageWork.Wait()
				v.ends(id, check.Passed, id)
			}
		})
	}
	wg.Wait()
	v.Close()
	assert.Equal(t, 3*20*2, strings.Count(s.shows(), "\n"), "a line for each Line and each End, and nothing else")
	assert.Equal(t, 60, strings.Count(s.shows(), "ok   "))
}

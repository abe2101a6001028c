// Package report is what people and CI read of a rehearsal: on a terminal a live
// view, in CI plain lines, and at the end a summary. (JUnit XML and Cucumber JSON
// are written by godog, the histories by the stages, all of them as files.)
//
// A View is told what happens, scenario by scenario. It only reads histories; it
// decides nothing.
package report

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/clock"
	"rehearsal/internal/lang"
	"rehearsal/internal/stage"
)

// A View shows a run while it goes on. Its methods may be called from several
// goroutines.
type View struct {
	w    io.Writer
	live bool // a terminal: the scenarios under way are drawn below the lines, again and again
	cols int

	mu     sync.Mutex
	active []*scenario
	drawn  int  // lines of the last drawing
	closed bool // nothing is drawn any more
	stop   context.CancelFunc
	done   chan struct{}
}

// scenario is one that is under way.
type scenario struct {
	id, name, step string
	history        *stage.History
	began          time.Time
	requests       int64 // of the last pieces of traffic
	failed         int64
	red            []string // alarms in ALARM
	traffic        []stage.Traffic
}

// NewView writes to w: as a live view of cols columns where live, else as plain
// lines. Close ends it.
func NewView(w io.Writer, live bool, cols int) *View {
	v := &View{w: w, live: live, cols: cols, done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	go func() {
		defer close(v.done)
		if live {
			clock.Every(ctx, 120*time.Millisecond, func() {
				v.mu.Lock()
				defer v.mu.Unlock()
				v.draw()
			})
		}
	}()
	return v
}

// Close takes the live part away.
func (v *View) Close() {
	v.stop()
	<-v.done
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	v.closed = true
}

// Line prints one line that stays, without what would move a terminal's cursor.
func (v *View) Line(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	text := lang.Clean(fmt.Sprintf(format, args...))
	if v.live { // what people read fits; what CI keeps stays on one line
		text = strings.Join(lang.Wrap(text, "     ", v.cols-1), "\n")
	}
	fmt.Fprintln(v.w, text)
	v.draw()
}

// Begin says that a scenario is under way; Stage gives it its history once its
// stage is up.
func (v *View) Begin(id, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.find(id) == nil {
		v.active = append(v.active, &scenario{id: id, name: name, began: clock.Wall()})
	}
}

// Stage says that the scenario's stage is up.
func (v *View) Stage(id string, h *stage.History) {
	v.mu.Lock()
	s := v.find(id)
	if s != nil {
		s.history = h
	}
	v.mu.Unlock()
	if s != nil && v.live {
		h.Watch(func(e stage.Event) { v.saw(s, e) })
	}
}

// saw keeps what the live view shows of an event.
func (v *View) saw(s *scenario, e stage.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e.Kind {
	case stage.Served:
		s.traffic = append(s.traffic, *e.Traffic)
		const window = time.Minute
		s.traffic = slices.DeleteFunc(s.traffic, func(t stage.Traffic) bool { return t.To < e.Traffic.To-window })
		s.requests, s.failed = 0, 0
		for _, t := range s.traffic {
			s.requests += t.Requests
			s.failed += t.Failed
		}
	case stage.Changed:
		s.red = slices.DeleteFunc(s.red, func(n string) bool { return n == e.Alarm.Name })
		if e.Alarm.To == alarm.InAlarm {
			s.red = append(s.red, e.Alarm.Name)
		}
	default:
	}
}

// Step says which step the scenario is at.
func (v *View) Step(id, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.find(id); s != nil {
		s.step = text
	}
}

// End says what came of a scenario.
func (v *View) End(id string, verdict check.Verdict, line string) {
	v.mu.Lock()
	v.active = slices.DeleteFunc(v.active, func(s *scenario) bool { return s.id == id })
	v.mu.Unlock()
	v.Line("%s %s", mark(verdict), line)
}

func mark(v check.Verdict) string {
	switch v {
	case check.Passed:
		return "ok  "
	case check.Failed:
		return "FAIL"
	case check.Inconclusive:
		return "????"
	}
	panic(fmt.Sprintf("unknown verdict %d", int(v)))
}

func (v *View) find(id string) *scenario {
	for _, s := range v.active {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (v *View) erase() {
	if v.live && v.drawn > 0 {
		fmt.Fprintf(v.w, "\x1b[%dA\x1b[J", v.drawn)
		v.drawn = 0
	}
}

func (v *View) draw() {
	if !v.live || v.closed {
		return
	}
	var lines []string
	for _, s := range v.active {
		lines = append(lines, v.scenario(s)...)
	}
	v.erase()
	for _, l := range lines {
		fmt.Fprintln(v.w, lang.Cut(strings.ReplaceAll(lang.Clean(l), "\n", " "), v.cols-1)) // in the last column some terminals wrap
	}
	v.drawn = len(lines)
}

// scenario is one under way, in three lines.
func (v *View) scenario(s *scenario) []string {
	head := fmt.Sprintf("  .. %s", s.name)
	second := "     " + s.step
	if s.history == nil {
		return []string{head, second, fmt.Sprintf("     raising the stage (%s)", clock.Since(s.began).Round(100*time.Millisecond))}
	}
	errors := 0.0
	if s.requests > 0 {
		errors = 100 * float64(s.failed) / float64(s.requests)
	}
	alarms := "no alarm"
	if len(s.red) > 0 {
		alarms = "ALARM " + strings.Join(s.red, " ")
	}
	shares := s.history.Shares().String()
	if shares == "" {
		shares = "no traffic"
	}
	return []string{head, second, fmt.Sprintf("     %s | %s | %.1f %% errors | %s", Clock(s.history.Now()), shares, errors, alarms)}
}

// Clock prints release time as minutes and seconds.
func Clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

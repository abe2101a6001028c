// Package report is what people and CI read of a rehearsal: on a terminal a live
// view, in CI plain lines, and at the end a summary. (JUnit XML and Cucumber JSON
// are written by godog, the histories by the stages, all of them as files.)
//
// A View draws what a live.Run knows (frame.go says how). It decides nothing.
package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/clock"
	"rehearsal/internal/lang"
	"rehearsal/internal/live"
)

// A View shows a run while it goes on. Its methods may be called from several
// goroutines.
type View struct {
	Lang lang.Lang // of what Line says; "" is English

	w      io.Writer
	run    *live.Run
	screen *Screen // nil: plain lines

	mu     sync.Mutex
	drawn  []string // the lines of the last drawing
	cols   int      // of the terminal, at the last drawing
	closed bool     // nothing is drawn any more
	stop   context.CancelFunc
	done   chan struct{}
}

// A Screen is a terminal, on which the scenarios under way are drawn below the lines,
// again and again.
type Screen struct {
	Size   func() (cols, rows int) // asked before each drawing; 0 is not known
	Colour bool                    // an addition: nothing is said by colour alone
	Lang   lang.Lang
}

// redraw is how often the live view is drawn.
const redraw = 120 * time.Millisecond

// NewView writes to w: a live view of the run on the screen, or plain lines where
// there is none. Close ends it.
func NewView(w io.Writer, run *live.Run, screen *Screen) *View {
	v := &View{w: w, run: run, screen: screen, done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	go func() {
		defer close(v.done)
		if screen != nil {
			v.draw("")
			clock.Every(ctx, redraw, func() { v.draw("") })
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
	if v.screen != nil && !v.closed {
		v.write("", nil)
	}
	v.closed = true
}

// Line prints one line that stays, in the language of the view, without what would move a terminal's cursor.
func (v *View) Line(format string, args ...any) {
	text := lang.Clean(v.Lang.Sprintf(format, args...))
	v.run.Tell(func(s *live.State, _ time.Time) { s.Said = text })
	v.print(text)
}

// End says what came of a scenario: line, and why where it did not pass.
func (v *View) End(id string, verdict check.Verdict, line, why string) {
	v.run.End(id, verdict, why)
	v.print(mark(verdict) + " " + lang.Clean(line))
}

func (v *View) print(text string) {
	if v.screen == nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		fmt.Fprintln(v.w, text) // what CI keeps stays on one line
		return
	}
	v.draw(text)
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

// draw draws what is the case now, below one more line of text that stays.
func (v *View) draw(text string) {
	state := v.run.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	cols, rows := v.size()
	if text != "" {
		text = strings.Join(lang.Wrap(text, "     ", cols-1), "\n") + "\n"
	}
	if v.closed {
		fmt.Fprint(v.w, text)
		return
	}
	f := frame{lang: v.screen.Lang, colour: v.screen.Colour, cols: cols - 1, rows: rows - 1} // in the last column some terminals wrap; the cursor stands in the last row
	lines := f.draw(state)
	if text == "" && cols == v.cols && strings.Join(lines, "\n") == strings.Join(v.drawn, "\n") {
		return
	}
	v.write(text, lines)
}

func (v *View) size() (cols, rows int) {
	cols, rows = v.screen.Size()
	if cols <= 0 {
		cols = 80
	}
	if rows <= 0 {
		rows = 24
	}
	return cols, rows
}

// Synchronised output: a terminal that knows it shows what is between at once, others
// ignore it. https://contour-terminal.org/vt-extensions/synchronized-output/
const (
	hold = "\x1b[?2026h"
	show = "\x1b[?2026l"
)

// write replaces the last drawing by text and lines, in one write and without erasing
// what is written over, so that nothing flickers.
func (v *View) write(text string, lines []string) {
	cols, rows := v.size()
	var b bytes.Buffer
	b.WriteString(hold + "\r")
	if up := v.height(cols, rows); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	for _, l := range strings.SplitAfter(text, "\n") {
		if l != "" {
			b.WriteString(strings.TrimSuffix(l, "\n") + "\x1b[K\n")
		}
	}
	for _, l := range lines {
		b.WriteString(l + "\x1b[K\n")
	}
	b.WriteString("\x1b[J" + show)
	_, _ = v.w.Write(b.Bytes()) // a terminal that is gone must not end the rehearsal
	v.drawn, v.cols = lines, cols
}

// height is how many rows the last drawing takes by now: a terminal that became
// narrower has broken its lines.
func (v *View) height(cols, rows int) (n int) {
	for _, l := range v.drawn {
		n += max(1, (lang.Columns(bare(l))+cols-1)/cols)
	}
	return min(n, rows-1)
}

// Clock prints release time as minutes and seconds.
func Clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

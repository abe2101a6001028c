package main

import (
	"fmt"
	"io"
	"strings"

	"rehearsal/internal/lang"
	"rehearsal/internal/report"
	"rehearsal/steps"
)

// progress tells how far a count has come: on a terminal in one line that is written
// over, elsewhere in a plain line for each thing that is done.
type progress struct {
	out    io.Writer
	screen *report.Screen // nil: no terminal
	done   string         // what was done, in plain lines: "%s: %d releases simulated"
	doing  string         // beside the bar: "%s %3d%% of %d releases: %s"
	lang   lang.Lang
	last   string
}

func newProgress(out io.Writer, l lang.Lang, done, doing string) *progress {
	return &progress{out: out, screen: screenOf(out, l), done: done, doing: doing, lang: l}
}

// bar is how wide the bar is, in columns.
const bar = 20

func (p *progress) count(name string, done, of int) {
	if p.screen == nil {
		if done == of {
			fmt.Fprintln(p.out, p.lang.Sprintf(p.done, name, of))
		}
		return
	}
	full := bar * done / max(of, 1)
	line := p.lang.Sprintf(p.doing, strings.Repeat("⣿", full)+strings.Repeat("⣀", bar-full), 100*done/max(of, 1), of, name)
	cols, _ := p.screen.Size()
	if cols <= 0 {
		cols = 80
	}
	if line = lang.Cut(line, cols-1); line != p.last { // in the last column some terminals wrap
		fmt.Fprintf(p.out, "\r%s\x1b[K", line)
		p.last = line
	}
}

// end clears the line.
func (p *progress) end() {
	if p.screen != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// countBreakages tells how far the rehearsals with one breakage after the other are. They
// run one scenario at a time.
func countBreakages(say *progress) func(string, steps.Notice) {
	total, done := 0, 0
	return func(_ string, n steps.Notice) {
		switch {
		case n.Spec == nil && n.Total > 0:
			total = n.Total
		case n.Result != nil:
			all := steps.Breakages()
			b := all[min(done/max(total, 1), len(all)-1)]
			done++
			say.count(say.lang.Text(string(b)), (done-1)%max(total, 1)+1, total)
		}
	}
}

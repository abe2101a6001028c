package containers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"rehearsal/internal/stage"
)

const (
	logKept    = 20      // the last lines of a replica that are kept for messages
	logLongest = 8 << 10 // bytes; what is longer is cut
	// Of the lines that report an error, at most logMost of a version are recorded in
	// logPer of release time. CloudWatch Logs gets all lines.
	logMost = 10
	logPer  = time.Minute
)

// A logTail is the log of one replica as it is written: each line goes to
// CloudWatch Logs, and the last ones are kept.
type logTail struct {
	s *Stage
	r *replica

	mu    sync.Mutex
	last  []string
	fresh bool          // the container has started again, and said nothing since
	ended chan struct{} // closed when the present run of the container has said all
}

func newLogTail(s *Stage, r *replica) *logTail {
	l := &logTail{s: s, r: r, ended: make(chan struct{})}
	close(l.ended)
	return l
}

// follow begins to read what the replica's container says. It comes before the
// start, so that nothing is missed.
func (s *Stage) follow(ctx context.Context, r *replica) error {
	attached, err := s.docker.ContainerAttach(ctx, r.id(), client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("follow the log of %s: %w", r.name, err)
	}
	ended := make(chan struct{})
	r.log.mu.Lock()
	r.log.ended, r.log.fresh = ended, true
	r.log.mu.Unlock()
	tty := s.project.Services[s.setup.Service].Tty
	s.background.Go(func() {
		defer close(ended)
		defer attached.Close()
		stop := context.AfterFunc(s.life, attached.Close)
		defer stop()
		out := &lineWriter{line: r.log.line}
		defer out.flush()
		if tty {
			_, _ = io.Copy(out, attached.Reader) // ends with the container
			return
		}
		both := &lineWriter{line: r.log.line}
		defer both.flush()
		_, _ = stdcopy.StdCopy(out, both, attached.Reader)
	})
	return nil
}

// settle waits, not long, until the log of a container that has exited is read.
func (l *logTail) settle(ctx context.Context) {
	l.mu.Lock()
	ended := l.ended
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
	defer cancel()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// line takes one line.
func (l *logTail) line(text string) {
	text = l.s.secrets.redact(text)
	l.mu.Lock()
	if l.fresh { // what it said in an earlier life is no reason now
		l.last, l.fresh = nil, false
	}
	l.last = append(l.last, text)
	if len(l.last) > logKept {
		l.last = l.last[1:]
	}
	l.mu.Unlock()
	l.s.monitor.line(l.r.version, l.r.name, text)
	if reportsError(text) {
		l.s.logged(l.r.version, l.r.name, text)
	}
}

// tail is the last n lines, for the end of a message.
func (l *logTail) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return quoteLines(l.last[max(0, len(l.last)-n):])
}

// quoteLines is ", it said last: …", or nothing.
func quoteLines(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	short := make([]string, len(lines))
	for i, line := range lines {
		short[i] = shorten(line)
	}
	return ", it said last: " + strings.Join(short, " | ")
}

// reportsError says whether a line of a log reports an error: by its level where it
// has one, else by its words.
func reportsError(line string) bool {
	lower := strings.ToLower(line)
	if strings.HasPrefix(strings.TrimSpace(lower), "{") {
		return containsAny(strings.ReplaceAll(lower, " ", ""), `"level":"err`, `"level":"fatal`, `"level":"crit`, `"level":"panic`, `"severity":"err`, `"severity":"crit`, `"lvl":"err`)
	}
	return containsAny(lower, "level=err", "level=fatal", "level=panic") ||
		containsAny(line, "ERROR", "FATAL", "PANIC", "CRITICAL") ||
		strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "Traceback ") ||
		strings.HasPrefix(line, "Exception in thread") || strings.HasPrefix(lower, "error:")
}

func containsAny(text string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// logged records a line that reports an error, unless the version has had many.
func (s *Stage) logged(version, replica, line string) {
	s.mu.Lock()
	now := s.clock.Now()
	budget := s.logBudgets[version]
	if budget == nil || now-budget.since >= logPer {
		budget = &logBudget{since: now}
		s.logBudgets[version] = budget
	}
	budget.lines++
	n := budget.lines
	s.mu.Unlock()
	detail := replica + ": " + line
	switch {
	case n > logMost:
		return
	case n == logMost:
		detail += fmt.Sprintf(" (more of them in the next %s are not recorded)", logPer)
	}
	s.history.Record(stage.Event{Kind: stage.Logged, Version: version, Detail: detail})
}

// A logBudget is how many lines of a version reported an error since.
type logBudget struct {
	since time.Duration
	lines int
}

// lastLines asks the engine for the last lines of a container whose log is not
// followed, for the end of a message.
func (s *Stage) lastLines(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineGoneAfter)
	defer cancel()
	log, err := s.docker.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "5"})
	if err != nil {
		return ""
	}
	defer func() { _ = log.Close() }()
	var text bytes.Buffer
	if _, err := stdcopy.StdCopy(&text, &text, log); err != nil {
		return ""
	}
	var lines []string
	for line := range strings.Lines(text.String()) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, s.secrets.redact(line))
		}
	}
	return quoteLines(lines)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// A lineWriter cuts what is written to it into lines.
type lineWriter struct {
	line func(string)
	part bytes.Buffer
}

func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		advance, token, _ := bufio.ScanLines(rest, false) // never fails
		if advance == 0 {
			w.add(rest)
			break
		}
		w.add(token)
		w.flush()
		rest = rest[advance:]
	}
	return len(p), nil
}

func (w *lineWriter) add(p []byte) {
	w.part.Write(p[:min(len(p), max(0, logLongest-w.part.Len()))])
}

// flush ends the line.
func (w *lineWriter) flush() {
	if w.part.Len() > 0 {
		w.line(strings.ToValidUTF8(strings.TrimRight(w.part.String(), "\r"), "�"))
		w.part.Reset()
	}
}

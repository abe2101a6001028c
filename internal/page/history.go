package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"rehearsal/internal/stage"
)

// A record is what could be read of a history.
type record struct {
	*stage.History         // without the log lines
	Printed        []print // the last of what was printed
	More           int     // how many before those are left out
	Notes          []Note  // what of the file is damaged
}

// A print is a log line, or what was said of a replica that exited or fell ill.
type print struct {
	At   time.Duration
	Text string
}

// logLine is in each line of a history that records a log line, and in no other: a quote
// within a string is escaped.
var logLine = []byte(`"kind":"log"`)

// readRecord reads the history of a result, of which it keeps the last so many of what
// was printed; nil where it cannot be read.
func (r *Run) readRecord(res *Result, keep int) (*record, []Note) {
	if res.History == "" {
		return nil, nil
	}
	name := filepath.Join(histories, filepath.Base(filepath.ToSlash(res.History)))
	f, err := os.Open(filepath.Join(r.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, []Note{note("%s is not there: its timeline and logs are not shown", name)}
	}
	if err != nil {
		return nil, []Note{note("%s cannot be read: %v", name, err)}
	}
	defer func() { _ = f.Close() }()

	var last time.Duration
	rec := &record{History: stage.NewHistory(func() time.Duration { return last }, nil)}
	damaged, first, gaps, newer := 0, 0, 0, 0
	var why error
	spoilt := func(n int, err error) {
		if damaged++; damaged == 1 {
			first, why = n, err
		}
	}
	tail := newTail(keep)
	next := 0 // the number that the next event should have; -1 after damage
	err = lines(f, func(n int, line []byte, whole bool) {
		if bytes.Contains(line, logLine) { // there may be millions
			tail.line(line)
			next++
			return
		}
		var e stage.Event
		err := json.Unmarshal(line, &e)
		if err != nil && !whole {
			rec.Notes = append(rec.Notes, note("%s ends in the middle of line %d: the run was killed as it wrote it", name, n))
			return
		}
		if line == nil {
			err = errors.New("it is longer than any line that a history has")
		}
		if err != nil {
			spoilt(n, err)
			next = -1
			return
		}
		if next >= 0 && e.Seq != next {
			gaps++
		}
		next = e.Seq + 1
		if err := e.Valid(); err != nil {
			newer++
			return
		}
		last = max(last, e.At)
		e = rec.Record(e)
		if e.Kind == stage.Exited || e.Kind == stage.Unhealthy {
			tail.event(e)
		}
	})
	if err != nil {
		rec.Notes = append(rec.Notes, note("%s cannot be read: %v", name, err))
	}
	if damaged > 0 {
		rec.Notes = append(rec.Notes, note("%s: %d lines are damaged and left out, the first is line %d: %v", name, damaged, first, why))
	}
	if gaps > 0 {
		rec.Notes = append(rec.Notes, note("%s: lines are missing in %d places", name, gaps))
	}
	if newer > 0 {
		rec.Notes = append(rec.Notes, note("%s: %d events are of a kind that this rehearse does not know: a newer one wrote them", name, newer))
	}
	rec.Printed, rec.More = tail.all()
	return rec, rec.Notes
}

// A tail keeps the last of what was printed.
type tail struct {
	ring  []func() print
	count int
}

func newTail(keep int) *tail { return &tail{ring: make([]func() print, keep)} }

func (t *tail) add(p func() print) {
	t.ring[t.count%len(t.ring)] = p
	t.count++
}

// line adds a log line, which is only decoded if it is one of the last.
func (t *tail) line(line []byte) {
	line = bytes.Clone(line)
	t.add(func() print {
		var e stage.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return print{Text: string(line)}
		}
		return print{e.At, e.Detail}
	})
}

func (t *tail) event(e stage.Event) { t.add(func() print { return print{e.At, e.Detail} }) }

func (t *tail) all() (out []print, more int) {
	kept := min(t.count, len(t.ring))
	for i := t.count - kept; i < t.count; i++ {
		out = append(out, t.ring[i%len(t.ring)]())
	}
	return out, t.count - kept
}

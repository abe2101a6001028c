package cloudwatch

import (
	"math"
	"time"

	"rehearsal/internal/alarm"
)

// Evaluate judges the alarms and returns the changes of state, in order.
//
// An alarm is due at every whole minute of the calendar, one with a period
// shorter than a minute every 10 seconds, one over more than a day every hour. Its points are the periods that end at
// that instant; the last one is complete then. Evaluate catches up on every
// instant until now that has passed since the last call, up to 3 hours back, and
// does nothing at an instant that was judged already. The first call judges each
// alarm once.
//
// Composite alarms follow in the same instant: those with a child that changed, each
// after those that its rule names, and a new one at the first instant after it was
// put. Actions that a wait or an extension of a suppressor held back are carried out
// at the instant at which that ends.
func (s *Store) Evaluate(now time.Time) []Transition {
	var n news
	s.mu.Lock()
	s.evaluate(&n, now.Unix())
	s.mu.Unlock()
	s.tell(n)
	return n.changes
}

func (s *Store) evaluate(n *news, now int64) {
	if now < 0 {
		return // before 1970, where no alarm can have data
	}
	s.settleFilters(now)
	for {
		next := int64(math.MaxInt64)
		for _, w := range s.alarms {
			if w.due < now-margin { // the first time, or long ago
				w.due = floor(now, w.every)
			}
			next = min(next, w.due)
		}
		if until := s.family.until(); until < next {
			next = until
		}
		if next > now {
			if s.family.stale { // put since, and nothing else was due
				s.settle(n, time.Unix(now, 0).UTC())
			}
			return
		}
		for _, w := range s.alarms {
			if w.due != next {
				continue
			}
			w.due += w.every
			points := s.points(w, next)
			state, why := w.Evaluate(points, w.state)
			if state != w.state {
				at := time.Unix(next, 0).UTC()
				s.change(n, w, state, why.Text(at.Add(-w.Period)), "", at)
			}
		}
		if len(s.family.sorted) > 0 {
			s.settle(n, time.Unix(next, 0).UTC())
		}
	}
}

// points is what w looks at in an evaluation at that second.
func (s *Store) points(w *watch, at int64) []alarm.Point {
	for i := range w.inputs {
		w.inputs[i].points(w.points[i], at)
	}
	return w.Points(&s.scratch, w.points)
}

// NextEvaluation is the first instant after that time at which an alarm is due, or
// actions that were held back; the next whole minute when there is no alarm.
func (s *Store) NextEvaluation(after time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	every := int64(standard)
	for _, w := range s.alarms {
		every = min(every, w.every)
	}
	next := floor(after.Unix(), every) + every
	if until := s.family.until(); until > after.Unix() {
		next = min(next, until)
	}
	return time.Unix(next, 0).In(after.Location())
}

// points fills in the windows that follow each other until that second, oldest
// to newest. Each window is computed once, unless its data changes.
func (in *input) points(into []alarm.Point, at int64) {
	size, back := int64(len(in.known)), in.length/in.every
	i := (at / in.every) % size
	for k := len(into) - 1; k >= 0; k-- {
		known := &in.known[i]
		if known.end != at {
			*known = slot{at, in.series.pointOf(in.unit, in.stat, at-in.length, at)}
			in.newest = max(in.newest, at)
		}
		into[k] = known.point
		at -= in.length
		if i -= back; i < 0 {
			i += size
		}
	}
}

// spoil forgets the windows that a datum at that second falls into.
func (in *input) spoil(at int64) {
	if in.length%in.every != 0 { // hourly, over periods of 61 minutes, say: windows end at any time
		clear(in.known)
		return
	}
	last := min(at+in.length, in.newest)
	for end := max(floor(at, in.every)+in.every, in.every); end <= last; end += in.every {
		if known := &in.known[(end/in.every)%int64(len(in.known))]; known.end == end {
			*known = slot{}
		}
	}
}

package cloudwatch

import "rehearsal/internal/alarm"

// Steps is what matching a line costs: bytes looked at, a regular expression's
// times its instructions.
func (p *Pattern) Steps(text string) int {
	l := &line{text: text}
	p.matches(l)
	return l.steps
}

// MaxRegexSize is how many instructions a regular expression may have.
const MaxRegexSize = maxRegexSize

// SeriesOf is how many series the metrics of that name have, one for each unit.
func (s *Store) SeriesOf(metric string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, h := range s.series {
		if h.metric.MetricName == metric {
			n += 1 + len(h.others)
		}
	}
	return n
}

// LogBytes is what is kept of logs; it also says whether the groups' add up to it.
func (s *Store) LogBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, g := range s.groups {
		for _, e := range g.events {
			n += len(e.Message) + overhead
		}
	}
	if n != s.logBytes {
		panic("cloudwatch: the bytes of the log groups do not add up")
	}
	return n
}

// LocalAddress says whether SNS may connect to an address.
func LocalAddress(address string) bool { return localAddress(address) }

// Point sums up what a series has in [from, to), in Unix seconds.
func Point(h *Series, stat alarm.Statistic, from, to int64) alarm.Point {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	return h.point(stat, from, to)
}

// Used is what counts for the budget of memory, and what it should be, found anew.
func Used(s *Store) (used, real int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, head := range s.series {
		for h := range head.having("") {
			packed := 0
			for _, b := range h.blocks {
				packed += blockSize + len(b.data)
			}
			real += h.size
			if floor := seriesSize + packed + cap(h.buckets)*bucketSize; h.size < floor {
				panic("cloudwatch: a series takes more than what counts for it")
			}
		}
	}
	return s.used, real
}

// Next is when the first data at or after that second begins.
func Next(h *Series, second int64) (int64, bool) {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	return h.next(second)
}

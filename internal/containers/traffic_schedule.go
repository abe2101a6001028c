package containers

import (
	"context"
	"math"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"rehearsal/internal/clock"
)

// A trafficSchedule is a rate of requests that is constant until it is set anew: request
// n is due at n/rate seconds from the first.
//
//	n
//	|        /
//	|     /     slope: rate
//	|  /
//	+---------- elapsed
type trafficSchedule struct {
	rate    float64 // per second of wall time, at first
	began   time.Time
	running context.Context // ends the schedule

	mu   sync.Mutex
	next uint64       // the request that is waited for
	legs []trafficLeg // after the first
}

// A trafficLeg is the requests from the one numbered first on, which is due at from.
type trafficLeg struct {
	first uint64
	from  time.Duration
	rate  float64
}

var _ vegeta.Pacer = (*trafficSchedule)(nil)

// Pace waits until the next request is due after so many hits; requests that are
// late are made up for. It waits by itself, so that the end of the schedule need not
// wait for a request.
func (s *trafficSchedule) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool) {
	s.mu.Lock()
	s.next = hits
	s.mu.Unlock()
	return 0, clock.Sleep(s.running, s.due(hits)-elapsed) != nil
}

// Rate is the rate of requests per second of wall time.
func (s *trafficSchedule) Rate(time.Duration) float64 { return s.rate }

// load sets the rate from elapsed on. What was due before stays so, and the request
// that is waited for.
func (s *trafficSchedule) load(rate float64, elapsed time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.leg(math.MaxUint64)
	passed := uint64(math.Ceil(max(elapsed-was.from, 0).Seconds() * was.rate))
	first := max(was.first+passed, s.next+1)
	before := s.leg(first - 1).due(first - 1)
	s.legs = append(s.legs, trafficLeg{first, max(elapsed, before+time.Duration(float64(time.Second)/rate)), rate})
}

// leg is the one that request n belongs to. The caller holds the lock.
func (s *trafficSchedule) leg(n uint64) trafficLeg {
	for i := len(s.legs) - 1; i >= 0; i-- {
		if s.legs[i].first <= n {
			return s.legs[i]
		}
	}
	return trafficLeg{rate: s.rate}
}

func (l trafficLeg) due(n uint64) time.Duration {
	return l.from + time.Duration(float64(n-l.first)/l.rate*float64(time.Second))
}

func (s *trafficSchedule) due(n uint64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leg(n).due(n)
}

// intended is when the request with that number should be sent.
func (s *trafficSchedule) intended(n uint64) time.Time { return s.began.Add(s.due(n)) }

// window is the number of the window that a wall time is in.
func (s *trafficSchedule) window(at time.Time) int { return int(at.Sub(s.began) / trafficWindow) }

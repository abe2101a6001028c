// Package clock is the only place that reads the wall clock or waits for it.
//
// Everything a plan, an alarm or a scenario says is release time: the time since
// a stage began, as a time.Duration. The simulated stage keeps its own virtual
// release time and needs nothing from here. The container stage carries release
// time on the wall clock with a Paced clock: while nothing but waiting happens it
// runs ahead, pace times faster than the wall; while real work is under way
// (containers start, traffic shifts, connections drain) it runs at 1, so that
// what really takes time is measured in real time.
package clock

import (
	"context"
	"sync"
	"time"
)

// Wall is the time of day. It is for file names, time-outs of real network calls
// and people; never for anything a verdict depends on.
func Wall() time.Time { return time.Now() }

// Since is the wall time that has passed since t.
func Since(t time.Time) time.Duration { return time.Since(t) }

// Sleep waits for d of wall time, or until ctx ends and then returns its error.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Poll calls done at once and then every interval of wall time until it returns
// true or an error, or ctx ends.
func Poll(ctx context.Context, interval time.Duration, done func() (bool, error)) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil { // even where a tick came at the same time
			return err
		}
	}
}

// Every calls f every interval of wall time until ctx ends. It returns when the
// last call has returned.
func Every(ctx context.Context, interval time.Duration, f func()) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil { // even where a tick came at the same time
			return
		}
		f()
	}
}

// Paced is release time carried by the wall clock. It starts at zero, running at
// 1. It is safe for concurrent use.
type Paced struct {
	mu    sync.Mutex
	pace  float64       // how many times faster than the wall while running ahead
	ahead int           // how many callers want time to run ahead
	work  int           // how many pieces of real work hold it at 1
	base  time.Duration // release time at since
	since time.Time     // wall time of base
}

// NewPaced starts release time at zero, now. A pace below 1 counts as 1.
func NewPaced(pace float64) *Paced {
	return &Paced{pace: max(pace, 1), since: time.Now()}
}

// Restart sets release time to at, from now on.
func (p *Paced) Restart(at time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.base, p.since = at, time.Now()
}

// Now is the release time.
func (p *Paced) Now() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now()
}

// Rate is how many times faster than the wall release time runs at this moment:
// the pace while it runs ahead, else 1. A request sent now stands for that many.
func (p *Paced) Rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate()
}

// RunAhead lets release time run ahead until stop is called, except while work
// is under way.
func (p *Paced) RunAhead() (stop func()) { return p.count(&p.ahead) }

// Work holds release time at 1 until done is called, whoever wants it to run
// ahead.
func (p *Paced) Work() (done func()) { return p.count(&p.work) }

// Wall is how long d of release time takes on the wall at the present rate.
func (p *Paced) Wall(d time.Duration) time.Duration {
	return time.Duration(float64(d) / p.Rate())
}

func (p *Paced) count(n *int) (undo func()) {
	p.add(n, 1)
	var once sync.Once
	return func() { once.Do(func() { p.add(n, -1) }) }
}

func (p *Paced) add(n *int, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.base, p.since = p.now(), time.Now()
	*n += by
}

func (p *Paced) now() time.Duration {
	return p.base + time.Duration(float64(time.Since(p.since))*p.rate())
}

func (p *Paced) rate() float64 {
	if p.ahead > 0 && p.work == 0 {
		return p.pace
	}
	return 1
}

package stage

import (
	"context"
	"fmt"
	"time"
)

// A Moment is when something planned beforehand happens during a release: After
// Version first gets at least Share percent of the traffic.
type Moment struct {
	Version string
	Share   float64 // percent; any share above 0 when 0
	After   time.Duration
}

// Due reports whether the moment has come, and when it comes if the time of it is
// fixed already.
func (m Moment) Due(h *History) (due bool, at time.Duration, known bool) {
	for e := range h.All(Shifted) {
		if s := e.Shares[m.Version]; s > 0 && s >= m.Share {
			at = e.At + m.After
			return h.Now() >= at, at, true
		}
	}
	return false, 0, false
}

// A Scheduled stage injects failures, and heals them, at their moments: while
// whoever carries out the plan waits, and on both worlds alike.
type Scheduled struct {
	Stage
	plans []*scheduled
}

type scheduled struct {
	failure  Failure
	wake     bool // there is no failure, only the moment
	moment   Moment
	lasts    time.Duration // 0: until the stage closes
	injected bool
	healAt   time.Duration
	healed   bool
}

var _ Stage = (*Scheduled)(nil)

// NewScheduled wraps st.
func NewScheduled(st Stage) *Scheduled { return &Scheduled{Stage: st} }

// Unwrap is the stage behind.
func (s *Scheduled) Unwrap() Stage { return s.Stage }

// Plan has f injected at m, and healed after lasts (0: when the stage closes).
func (s *Scheduled) Plan(f Failure, m Moment, lasts time.Duration) {
	s.plans = append(s.plans, &scheduled{failure: f, moment: m, lasts: lasts})
}

// Wake has a Wait ask its question at m, for whoever looks out for that moment.
func (s *Scheduled) Wake(m Moment) {
	s.plans = append(s.plans, &scheduled{moment: m, wake: true})
}

// Planned is the failures that have not been injected yet.
func (s *Scheduled) Planned() []Failure {
	var fs []Failure
	for _, p := range s.plans {
		if !p.injected && !p.wake {
			fs = append(fs, p.failure)
		}
	}
	return fs
}

// Wait waits as the stage does, and stops on the way to inject and heal: nobody
// shifts traffic meanwhile, so that what comes next is known beforehand. What falls
// on the instant at which done holds is left to the next Wait.
func (s *Scheduled) Wait(ctx context.Context, d time.Duration, done func(*History) bool) (bool, error) {
	h := s.History()
	end := h.Now() + d
	for {
		if woken, err := s.act(ctx); err != nil || woken && done != nil && done(h) {
			return err == nil, err
		}
		next := end
		for _, p := range s.plans {
			if at, known := p.next(h); known {
				next = min(next, at)
			}
		}
		held, err := s.Stage.Wait(ctx, max(0, next-h.Now()), done)
		if held || err != nil {
			return held, err
		}
		if h.Now() >= end {
			_, err := s.act(ctx)
			return err == nil && done != nil && done(h), err
		}
	}
}

func (p *scheduled) next(h *History) (at time.Duration, known bool) {
	switch {
	case !p.injected:
		_, at, known = p.moment.Due(h)
		return at, known
	case p.lasts > 0 && !p.healed:
		return p.healAt, true
	}
	return 0, false
}

// act does what is due, and says whether a Wake was.
func (s *Scheduled) act(ctx context.Context) (woken bool, err error) {
	h := s.History()
	for _, p := range s.plans {
		if at, known := p.next(h); !known || at > h.Now() {
			continue
		}
		if p.wake {
			p.injected, woken = true, true
			continue
		}
		if p.injected {
			p.healed = true
			if err := s.Heal(ctx, p.failure); err != nil {
				return woken, fmt.Errorf("healing %v: %w", p.failure, err)
			}
			continue
		}
		p.injected = true
		if err := s.Inject(ctx, p.failure); err != nil {
			p.healed = true // there is nothing to heal
			return woken, fmt.Errorf("injecting %v: %w", p.failure, err)
		}
		p.healAt = h.Now() + p.lasts
	}
	return woken, nil
}

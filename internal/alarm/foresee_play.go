package alarm

import (
	"math"
	"time"
)

// A player is an alarm, metric or composite, that failures are played to. Seconds
// stand for time, as in a rehearsal.
type player interface {
	// begin makes ready for a failure from one second to another; without end if to
	// is not after from.
	begin(f Failure, from, to int64)
	forget()                 // another failure comes
	reset() State            // back to when all was well
	judge(at int64) State    // the next evaluation; at is a multiple of interval
	interval() int64         // between evaluations
	horizon(f Failure) int64 // how long after a change all is settled again, a multiple of interval
	step(f Failure) int64    // how far apart beginnings are tried
	keep()                   // remembers the state
	restore()                // and brings it back
}

// foreseen plays a failure to an alarm.
func foreseen(p player, s *Scene, f Failure) Foresight {
	out := Foresight{Failure: f}
	play(p, &out, f)
	out.Least = least(p, s, f)
	if out.Fires {
		out.Brief = brief(p, f, out.Detect)
	}
	return out
}

// play tries every beginning and every end.
func play(p player, out *Foresight, f Failure) {
	p.forget()
	horizon, every, step := p.horizon(f), p.interval(), p.step(f)
	alarmed := func(s State) bool { return s == InAlarm }
	p.begin(f, 0, 0)
	out.Before = p.reset()
	out.After = out.Before
	for at := every; at <= 2*horizon; at += every {
		out.After = p.judge(at)
	}
	p.keep()
	if out.Before == InAlarm {
		return
	}
	out.Fires = true
	for b := int64(0); b < every && out.Fires; b += step {
		p.begin(f, b, 0)
		p.reset()
		var at int64
		if at, out.Fires = first(p, every, horizon, alarmed); out.Fires {
			out.Detect.widen(b == 0, at-b)
		}
	}
	if !out.Fires || out.After != InAlarm { // or it left ALARM by itself, as RATE makes it
		return
	}
	// It ends long after it has begun, at every second of an interval.
	out.Recovers = true
	for e := int64(0); e < every && out.Recovers; e += step {
		end := 2*horizon + e
		p.begin(f, 0, end)
		p.restore()
		var at int64
		at, out.Recovers = first(p, 2*horizon+every, end+horizon, func(s State) bool { out.Left = s; return s != InAlarm })
		out.Recover.widen(e == 0, at-end)
	}
}

// first is the first evaluation, from a second to another, whose state is as wanted.
func first(p player, from, until int64, want func(State) bool) (int64, bool) {
	for at := from; at <= until; at += p.interval() {
		if want(p.judge(at)) {
			return at, true
		}
	}
	return 0, false
}

// fires says whether a failure of that size brings the alarm about, whenever it
// begins. What lasts is seen sooner or later whenever it begins, so that two
// beginnings will do; stopped tasks trouble users only until they are noticed.
func fires(p player, f Failure) bool {
	p.forget()
	every := p.interval()
	step := p.step(f)
	if f.Trouble != Stopping {
		step = max(step, every/2)
	}
	for b := int64(0); b < every; b += step {
		p.begin(f, b, 0)
		if p.reset() == InAlarm {
			return false
		}
		if _, ok := first(p, every, p.horizon(f), func(s State) bool { return s == InAlarm }); !ok {
			return false
		}
	}
	return true
}

// maxDelay is the largest delay that is tried: after a minute a balancer gives up
// on an answer, if nobody has set it otherwise.
const maxDelay = time.Minute

// least finds the smallest failure of the trouble that is seen.
func least(p player, s *Scene, f Failure) Failure {
	sized, high := func(size float64) Failure { return Failure{Trouble: f.Trouble, Share: size} }, 100.0
	switch f.Trouble {
	case Failing, Filling:
	case Slowing:
		high = maxDelay.Seconds()
		sized = func(size float64) Failure {
			return Failure{Trouble: Slowing, Share: f.Share, Delay: time.Duration(size * float64(time.Second))}
		}
	case Stopping:
		for n := 1; n <= s.Replicas; n++ {
			if g := (Failure{Trouble: Stopping, Tasks: n}); fires(p, g) {
				return g
			}
		}
		return Failure{Trouble: Stopping}
	case Silence:
		return f
	}
	return bisect(high, sized, func(f Failure) bool { return fires(p, f) })
}

// LeastShare is the smallest share of the requests, in percent, that the alarm
// fires for when they take that much longer; 0: it does not even when all do, or
// what its metrics do is not known.
func (c *Compiled) LeastShare(s *Scene, delay time.Duration) float64 {
	if !s.Knows(c) {
		return 0
	}
	p := newRehearsal(c, s)
	return bisect(100, func(size float64) Failure { return Failure{Trouble: Slowing, Share: size, Delay: delay} },
		func(f Failure) bool { return fires(p, f) }).Share
}

// bisect finds the smallest size up to high that is seen, rounded up to two to four
// digits that are seen as well; of size 0 if not even high is.
func bisect(high float64, sized func(float64) Failure, seen func(Failure) bool) Failure {
	if !seen(sized(high)) {
		return sized(0)
	}
	for low := 0.0; high-low >= 1e-3*high; {
		mid := (low + high) / 2
		if mid < 1e-6 {
			break
		}
		if seen(sized(mid)) {
			high = mid
		} else {
			low = mid
		}
	}
	for digits := 2; digits <= 4; digits++ {
		if up := roundUp(high, digits); up <= high*1.02 && seen(sized(up)) {
			return sized(up)
		}
	}
	return sized(high)
}

func roundUp(v float64, digits int) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v))-float64(digits-1))
	return math.Round(math.Ceil(v/unit-1e-9)*unit*1e9) / 1e9
}

// brief finds how long a failure must last to be seen: whenever it begins at best,
// and at worst. It need not last until ALARM, since what has breached still counts
// when the metrics come late.
func brief(p player, f Failure, detect Span) Span {
	p.forget()
	horizon := p.horizon(f) + floorTo(int64(detect.Latest/time.Second), p.interval())
	seen := func(seconds int64, all bool) bool {
		for b := int64(0); b < p.interval(); b += p.step(f) {
			p.begin(f, b, b+seconds)
			p.reset()
			if _, ok := first(p, p.interval(), horizon, func(s State) bool { return s == InAlarm }); ok != all {
				return ok
			}
		}
		return all
	}
	shortest := func(all bool) time.Duration {
		low, high := int64(0), int64(detect.Latest/time.Second)+1
		for high-low > 1 {
			if mid := (low + high) / 2; seen(mid, all) {
				high = mid
			} else {
				low = mid
			}
		}
		return time.Duration(high) * time.Second
	}
	return Span{shortest(false), shortest(true)}
}

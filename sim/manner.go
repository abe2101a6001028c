package sim

import (
	"fmt"
	"slices"
	"time"

	"rehearsal/internal/stage"
)

// A manner is how a version behaves for as long as nothing changes: a healthy
// service, and what the failures that are present make of it.
type manner struct {
	exits  string        // why a replica exits as it has started; "" when it does not
	hangs  bool          // takes connections and never answers
	unwell string        // why the health check fails; "" when it does not
	silent bool          // it fails only when its time is out
	slow   time.Duration // by which the first replica is late
	uneven int           // how many times as many requests the first replica gets; 0 is 1
	leak   int64         // bytes that each request leaves behind
	kinds  []kindManner
}

// A kindManner is a manner of answering one kind of request.
type kindManner struct {
	fails  float64 // the share that the service answers with 500, and logs
	spoilt float64 // the share that becomes a 500 on its way to the users
	loses  float64 // the share of the acknowledged writes that is not stored
	lies   float64 // the share that succeeds and says something wrong
	delays []delay // how much longer answers take; the shares add up to 1
}

type delay struct {
	share float64
	by    time.Duration
}

// manner works out how a version behaves under failures, the first first.
func (m *model) manner(failures []*present) manner {
	made := manner{kinds: make([]kindManner, len(m.Traffic.Requests))}
	for i := range made.kinds {
		made.kinds[i].delays = []delay{{share: 1}}
	}
	for _, p := range failures {
		if p.Kind != stage.Hang || p.Dependency == "" || m.stalls(failures, p.Dependency) {
			m.suffer(&made, p.Failure, p.injected)
		}
	}
	return made
}

// stalls says whether a dependency is so slow that whoever waits for it without a
// time-out of its own hangs: a version whose mistake that is has the failure
// "hang" with the dependency.
func (m *model) stalls(failures []*present, dependency string) bool {
	return slices.ContainsFunc(failures, func(p *present) bool {
		return p.Kind == stage.DependencySlow && p.Dependency == dependency && p.Delay >= m.Model.ClientTimeout
	})
}

// suffer adds what f does. It is the glossary of the simulated failures; what
// makes replicas exit at a moment of its own is in crash.go. What is injected comes
// from outside: the service does not notice, and log, that its answers are spoilt.
func (m *model) suffer(made *manner, f stage.Failure, injected bool) {
	share := f.ShareOrAll() / 100
	switch f.Kind {
	case stage.CrashAtStart:
		made.exits = "exited with status 1 as it started"
	case stage.CrashLater:
	case stage.CrashLoop:
		if f.After == 0 {
			made.exits = "exited with status 1, again and again"
		}
	case stage.Hang:
		made.hangs = true
		made.unwell, made.silent = "the health check timed out", true
	case stage.OutOfMemory:
		made.exits = "killed at its memory limit (status 137)"
	case stage.Errors:
		m.each(made, f, func(k *kindManner) {
			if injected {
				k.spoilt = either(k.spoilt, share)
			} else {
				k.fail(share)
			}
		})
	case stage.Latency:
		m.each(made, f, func(k *kindManner) { k.slow(share, f.Delay) })
	case stage.DependencyDown, stage.DependencyErrors, stage.ConnectionsExhausted:
		m.lose(made, f, share)
	case stage.DependencySlow:
		m.wait(made, f, share)
	case stage.SlowReplica:
		made.slow += f.Delay
	case stage.UnevenBalance:
		made.uneven = max(made.uneven, f.Times)
	case stage.ZoneLost: // it hits replicas: see zone.go
	case stage.MissingVariable:
		made.exits = fmt.Sprintf("exited with status 1: %s is not set", f.Variable)
	case stage.WrongVariable:
		d, isAddress := m.addressOf(f.Variable)
		switch {
		case f.Request != "":
			m.each(made, f, func(k *kindManner) { k.fail(share) })
		case isAddress:
			f.Dependency = d.Name
			m.lose(made, f, share)
		default:
			made.exits = fmt.Sprintf("exited with status 1: %s is wrong", f.Variable)
		}
	case stage.LostWrites:
		m.each(made, f, func(k *kindManner) { k.loses = either(k.loses, share) })
	case stage.WrongAnswers:
		m.each(made, f, func(k *kindManner) { k.lies = either(k.lies, share) })
	case stage.MemoryLeak:
		made.leak += f.PerRequest
	default:
		panic(fmt.Sprintf("sim: no model of the failure %q", f.Kind))
	}
}

// lose takes away a dependency, or a share of its answers: what needs it is answered
// with 500 at once.
func (m *model) lose(made *manner, f stage.Failure, share float64) {
	m.each(made, f, func(k *kindManner) { k.fail(share) })
	if d, _ := m.Dependency(f.Dependency); d.Readiness && share == 1 {
		made.unwell = d.Name + " cannot be reached"
	}
}

// wait slows a dependency down: what needs it takes longer, and is answered with
// 500 when the service's patience ends.
func (m *model) wait(made *manner, f stage.Failure, share float64) {
	patience := m.Model.ClientTimeout
	d, _ := m.Dependency(f.Dependency)
	m.each(made, f, func(k *kindManner) {
		if f.Delay >= patience {
			k.fail(share)
			k.slow(share, patience)
			return
		}
		k.slow(share, f.Delay*time.Duration(max(d.Calls, 1)))
	})
	if d.Readiness && share == 1 && f.Delay >= min(patience, m.Health.Timeout) {
		made.unwell, made.silent = d.Name+" does not answer in time", true
	}
}

// each calls hurt for every kind of request that f hits.
func (m *model) each(made *manner, f stage.Failure, hurt func(*kindManner)) {
	for i, r := range m.Traffic.Requests {
		if (f.Request == "" || f.Request == r.Name) && m.needs(r.Name, f.Dependency) {
			hurt(&made.kinds[i])
		}
	}
}

// needs says whether requests of that name need the dependency, or there is none.
func (m *model) needs(request, dependency string) bool {
	if dependency == "" {
		return true
	}
	d, _ := m.Dependency(dependency)
	return len(d.Requests) == 0 || slices.Contains(d.Requests, request)
}

// addressOf is the dependency whose address is in that variable.
func (m *model) addressOf(variable string) (stage.Dependency, bool) {
	for _, d := range m.Dependencies {
		if d.Leads(variable) {
			return d, true
		}
	}
	return stage.Dependency{}, false
}

func (k *kindManner) fail(share float64) { k.fails = either(k.fails, share) }

// slow makes a share of the answers take that much longer, whatever else does.
func (k *kindManner) slow(share float64, by time.Duration) {
	k.mix([]delay{{1 - share, 0}, {share, by}})
}

// mix makes answers take one of some times longer, whatever else does; the shares add up
// to 1.
func (k *kindManner) mix(more []delay) {
	var delays []delay
	add := func(share float64, by time.Duration) {
		i := slices.IndexFunc(delays, func(d delay) bool { return d.by == by })
		switch {
		case share == 0:
		case i >= 0:
			delays[i].share += share
		default:
			delays = append(delays, delay{share, by})
		}
	}
	for _, d := range k.delays {
		for _, m := range more {
			add(d.share*m.share, d.by+m.by)
		}
	}
	k.delays = delays
}

// either is the chance that at least one of two independent things happens.
func either(a, b float64) float64 { return 1 - (1-a)*(1-b) }

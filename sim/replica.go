package sim

import (
	"slices"
	"time"

	"rehearsal/internal/stage"
)

// A version is one that is deployed.
type version struct {
	spec     stage.Version
	batches  []*batch
	own      []*present    // what it does wrong by itself
	present  []*present    // and what was injected: all that it suffers, in order
	manner   manner        // what comes of that
	share    float64       // percent of the traffic
	exposed  bool          // it has taken traffic
	gone     bool          // it was retired
	places   stage.Places  // of each replica
	limited  bool          // by its places
	numbered int           // how many numbers its replicas were given
	memory   int           // counts the plans for when memory runs out; older ones are void
	full     time.Duration // when the last of them has it run out
	group    *group        // the balancer's target group that it is in
}

// A batch is the replicas of a version that were started together. They meet the
// same failures at the same moments, so they share their fate: a batch costs the
// same however many they are.
type batch struct {
	version  *version
	replicas int
	process  process
	first    int           // the number of its first replica, from 1; unused in a part that a zone has
	zone     string        // "" until a zone was lost: its replicas are in several
	born     time.Duration // checks come at whole intervals from then
	since    time.Duration // when the process last began to run
	exits    int           // in a row
	life     int           // counts the changes of process; plans for older ones are void
	leaked   float64       // bytes, in each replica

	standing standing
	result   result        // of every check since counted
	counted  time.Duration // the checks before are counted in last and streak
	last     result
	streak   int // how many checks in a row came out as last
	verdict  int // counts the plans for a change of standing; older ones are void
}

// process is what the replicas' process does.
type process uint8

const (
	starting process = iota
	running
	exited
)

// standing is what the balancer thinks of a replica: only a healthy one is asked.
type standing uint8

const (
	initial standing = iota
	healthy
	unhealthy
)

// result is how health checks come out.
type result uint8

const (
	uncounted result = iota // nobody expects it to pass as it first starts
	passes
	fails
)

func (v *version) replicas() (n int) {
	for _, b := range v.batches {
		n += b.replicas
	}
	return n
}

func (v *version) in(s standing) (n int) {
	for _, b := range v.batches {
		if b.standing == s {
			n += b.replicas
		}
	}
	return n
}

// serving is how many replicas the balancer asks and reaches: one that refuses a
// connection costs nothing while another takes it.
func (v *version) serving() (n int) {
	for _, b := range v.batches {
		if b.serves() {
			n += b.replicas
		}
	}
	return n
}

func (b *batch) serves() bool { return b.standing == healthy && b.process == running }

// begin adds replicas to v and starts them.
func (s *Stage) begin(v *version, replicas int) {
	b := &batch{version: v, replicas: replicas, first: v.numbered + 1, born: s.now(), counted: s.now()}
	v.numbered += replicas
	v.batches = append(v.batches, b)
	for _, part := range s.byLostZone(b) {
		s.start(part)
	}
}

// end takes replicas of v away, the youngest first.
func (s *Stage) end(v *version, replicas int) {
	for replicas > 0 {
		b := v.batches[len(v.batches)-1]
		n := min(replicas, b.replicas)
		b.replicas -= n
		replicas -= n
		if b.replicas == 0 {
			b.life++
			b.verdict++
			v.batches = slices.Delete(v.batches, len(v.batches)-1, len(v.batches))
		}
	}
}

func (s *Stage) start(b *batch) {
	s.turn(b, starting)
	s.check(b)
	s.inLife(b, s.Model.Start, func() { s.started(b) })
}

func (s *Stage) started(b *batch) {
	v := b.version
	if p := s.lost(b); p != nil {
		s.exit(b, zoneIsLost(p))
		s.land(p, v.spec.Name)
		return
	}
	if v.manner.exits != "" {
		s.exit(b, v.manner.exits)
		return
	}
	s.turn(b, running)
	b.since = s.now()
	s.landAtStart(v)
	s.check(b)
	s.planCrashLoops(b)
}

// exit ends b's processes and plans their restart.
func (s *Stage) exit(b *batch, why string) {
	if b.process == running && s.now()-b.since >= steadyAfter {
		b.exits = 0
	}
	s.turn(b, exited)
	b.leaked = 0
	for range b.replicas {
		s.history.Record(stage.Event{Kind: stage.Exited, Version: b.version.spec.Name, Detail: why})
	}
	s.landAtExit(b.version)
	delay := s.Model.RestartDelay
	for i := 0; i < b.exits && delay < longestRestart; i++ {
		delay = min(2*delay, longestRestart)
	}
	b.exits++
	s.check(b)
	s.inLife(b, delay, func() { s.start(b) })
}

func (s *Stage) turn(b *batch, to process) {
	b.process = to
	b.life++
}

// inLife has happen called when d has passed, unless b's process changed before.
func (s *Stage) inLife(b *batch, d time.Duration, happen func()) {
	life := b.life
	s.after(d, func() {
		if b.life == life {
			happen()
		}
	})
}

// check is called whenever what b's health checks find may have changed. It plans
// when the balancer changes its mind: after one pass for a new replica, as an
// Application Load Balancer does, else after Healthy passes or Unhealthy failures in
// a row.
func (s *Stage) check(b *batch) {
	found := b.checked()
	if found == b.result {
		return
	}
	b.count(s.now(), s.Health.Interval)
	b.result = found
	b.verdict++
	var to standing
	needed := 1
	switch found {
	case uncounted:
		return
	case passes:
		to = healthy
		if b.standing != initial {
			needed = s.Health.Healthy
		}
	case fails:
		to, needed = unhealthy, s.Health.Unhealthy
	}
	if to == b.standing {
		return
	}
	if b.last == found {
		needed = max(needed-b.streak, 1)
	}
	wait := b.untilCheck(s.now(), s.Health.Interval) + time.Duration(needed-1)*s.Health.Interval
	if found == fails && b.process == running && b.version.manner.silent {
		wait += min(s.Health.Timeout, s.Health.Interval)
	}
	verdict := b.verdict
	s.after(wait, func() {
		if b.verdict == verdict {
			s.stand(b, to)
		}
	})
}

func (b *batch) checked() result {
	switch {
	case b.process == running && b.version.manner.unwell == "":
		return passes
	case b.process == starting && b.exits == 0 && b.standing == initial:
		return uncounted
	}
	return fails
}

// count counts the checks that were made before now.
func (b *batch) count(now, interval time.Duration) {
	made := int((now-b.born+interval-1)/interval - (b.counted-b.born+interval-1)/interval)
	b.counted = now
	switch {
	case made == 0:
	case b.result == b.last:
		b.streak += made
	default:
		b.last, b.streak = b.result, made
	}
}

// untilCheck is how long it is until the next check.
func (b *batch) untilCheck(now, interval time.Duration) time.Duration {
	return (interval - (now-b.born)%interval) % interval
}

func (s *Stage) stand(b *batch, to standing) {
	e := stage.Event{Kind: stage.Healthy, Version: b.version.spec.Name, Detail: "the health check passes"}
	if to == unhealthy {
		e.Kind, e.Detail = stage.Unhealthy, b.ailment()
	}
	first := b.standing == initial // it did not stop to pass, nor pass again
	b.standing = to
	for range b.replicas {
		if !first {
			s.history.Record(e)
		}
	}
}

// ailment is why b is not healthy.
func (b *batch) ailment() string {
	switch {
	case b.process == exited:
		return "the process has exited: connection refused"
	case b.process == starting:
		return "the process is starting: connection refused"
	case b.version.manner.unwell != "":
		return b.version.manner.unwell
	}
	return "not enough health checks passed yet"
}

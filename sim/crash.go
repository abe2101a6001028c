package sim

import (
	"fmt"
	"time"

	"rehearsal/internal/stage"
)

// waitsForTraffic says that p does nothing before its version takes traffic.
func (p *present) waitsForTraffic() bool {
	return p.Kind == stage.CrashLater || p.Kind == stage.CrashLoop && p.After > 0
}

// expose is called when v first takes traffic: what waited for that is due After it.
func (s *Stage) expose(v *version) {
	v.exposed = true
	for _, p := range v.present {
		if p.Kind == stage.CrashLater {
			s.planCrashLater(v, p, p.After)
		}
	}
	for _, b := range v.batches {
		s.planCrashLoops(b)
	}
}

// planCrash plans what p does to v, which takes traffic already.
func (s *Stage) planCrash(v *version, p *present) {
	if p.Kind == stage.CrashLater {
		s.planCrashLater(v, p, 0)
		return
	}
	for _, b := range v.batches {
		s.planCrashLoop(b, p)
	}
}

func (s *Stage) planCrashLater(v *version, p *present, wait time.Duration) {
	s.after(wait, func() {
		if p.healed || p.struck || v.gone {
			return
		}
		p.struck = true
		for _, b := range v.batches {
			if b.process != exited {
				s.exit(b, "exited with status 1 under traffic")
			}
		}
		s.land(p, v.spec.Name)
	})
}

// planCrashLoops is called when b begins to run or to take traffic.
func (s *Stage) planCrashLoops(b *batch) {
	if !b.version.exposed {
		return
	}
	for _, p := range b.version.present {
		if p.Kind == stage.CrashLoop && p.After > 0 {
			s.planCrashLoop(b, p)
		}
	}
}

// planCrashLoop has b exit After it ran under traffic, each time.
func (s *Stage) planCrashLoop(b *batch, p *present) {
	if b.process != running {
		return
	}
	s.inLife(b, p.After, func() {
		if !p.healed {
			s.exit(b, "exited with status 1 under traffic, again and again")
			s.land(p, b.version.spec.Name)
		}
	})
}

// planMemory plans when the replicas of v that leak the most reach their limit.
// It is called whenever something happened; a plan for another instant is void then.
// One for the same instant stays: were it made anew, two of them a nanosecond apart
// would put each other off for ever.
func (s *Stage) planMemory(v *version) {
	each := s.leakRate(v)
	if each == 0 || s.MemoryLimit == 0 {
		return
	}
	fullest := 0.0
	for _, b := range v.batches {
		if b.serves() {
			fullest = max(fullest, b.leaked)
		}
	}
	room := float64(s.MemoryLimit-s.Model.Memory) - fullest
	wait := max(time.Duration(room/each*float64(time.Second)), time.Microsecond)
	if due := s.now() + wait; v.full > s.now() && (due-v.full).Abs() <= time.Microsecond {
		return
	}
	v.full = s.now() + wait
	v.memory++
	plan := v.memory
	s.after(wait, func() {
		if v.memory == plan {
			s.runOut(v)
		}
	})
}

// runOut ends the replicas that have no room for another request.
func (s *Stage) runOut(v *version) {
	room := float64(s.MemoryLimit - s.Model.Memory)
	for _, b := range v.batches {
		if b.serves() && b.leaked >= room-float64(v.manner.leak) {
			s.exit(b, fmt.Sprintf("killed at its memory limit of %d bytes (status 137)", s.MemoryLimit))
		}
	}
}

// leakRate is how much memory each serving replica of v loses, in bytes per second.
func (s *Stage) leakRate(v *version) float64 {
	n := v.serving()
	if n == 0 || v.manner.leak == 0 {
		return 0
	}
	return s.Traffic.Rate * v.share / 100 / float64(n) * float64(v.manner.leak)
}

package sim

import (
	"context"
	"fmt"
	"slices"

	"rehearsal/internal/stage"
)

// present is a failure that is there, or waits for its version.
type present struct {
	stage.Failure
	injected bool // else it is a version's own mistake
	landed   bool
	struck   bool // what it does once, it has done
	healed   bool
	spared   []*version // of connections exhausted: those that are connected already
}

// Inject brings f about. What hits a version that runs lands at once; a crash that
// waits for traffic lands with it.
func (s *Stage) Inject(ctx context.Context, f stage.Failure) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := checkFailure(&s.Setup, f); err != nil {
		return fmt.Errorf("cannot inject: %w", err)
	}
	if f.Kind == stage.Hang && f.Dependency != "" {
		return fmt.Errorf("cannot inject %v: to hang on a dependency is a version's own mistake; slow %s down and release such a version", f, f.Dependency)
	}
	if slices.ContainsFunc(s.injected, func(p *present) bool { return p.Failure == f }) {
		return fmt.Errorf("cannot inject %v: it is present already; heal it first", f)
	}
	p := &present{Failure: f, injected: true}
	if f.Kind == stage.ConnectionsExhausted {
		p.spared = slices.Clone(s.versions)
	}
	s.injected = append(s.injected, p)
	s.history.Record(stage.Event{Kind: stage.Injected, Version: f.Version, Failure: &f})
	s.refresh()
	if f.Dependency != "" && f.Version == "" {
		s.land(p, "")
	}
	for _, v := range s.versions {
		if f.Hits(v.spec.Name) {
			s.strike(v, p)
		}
	}
	s.settle()
	return nil
}

// Heal takes f away. Where it is not present, nothing happens.
func (s *Stage) Heal(ctx context.Context, f stage.Failure) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	s.heal(f)
	s.settle()
	return nil
}

func (s *Stage) heal(f stage.Failure) {
	i := slices.IndexFunc(s.injected, func(p *present) bool { return p.Failure == f })
	if i < 0 {
		return
	}
	s.injected[i].healed = true
	s.injected = slices.Delete(s.injected, i, i+1)
	s.history.Record(stage.Event{Kind: stage.Healed, Version: f.Version, Failure: &f})
	s.refresh()
}

// refresh works out anew how every version behaves, and what its health checks
// find.
func (s *Stage) refresh() {
	for _, v := range s.versions {
		v.present = append(v.present[:0], v.own...)
		for _, p := range s.injected {
			if p.Hits(v.spec.Name) && !slices.Contains(p.spared, v) {
				v.present = append(v.present, p)
			}
		}
		v.manner = s.manner(v.present)
		for _, b := range v.batches {
			s.check(b)
		}
	}
}

// strike brings p upon the replicas of v that run already.
func (s *Stage) strike(v *version, p *present) {
	alone := s.manner([]*present{p})
	switch {
	case p.Kind == stage.ZoneLost:
		s.loseZone(v, p)
	case alone.exits != "":
		for _, b := range v.batches {
			if b.process != exited {
				s.exit(b, alone.exits)
			}
		}
	case p.waitsForTraffic():
		if v.exposed {
			s.planCrash(v, p)
		}
	default:
		s.landAtStart(v)
	}
}

// landAtStart is called when replicas of v run: whatever shows then has landed.
func (s *Stage) landAtStart(v *version) {
	runs := slices.ContainsFunc(v.batches, func(b *batch) bool { return b.process == running })
	for _, p := range v.present {
		if runs && !p.waitsForTraffic() && p.Kind != stage.ZoneLost {
			s.land(p, v.spec.Name)
		}
	}
}

// landAtExit is called when replicas of v exited: whatever makes them has landed.
func (s *Stage) landAtExit(v *version) {
	for _, p := range v.present {
		if p.injected && !p.landed && s.manner([]*present{p}).exits != "" {
			s.land(p, v.spec.Name)
		}
	}
}

// land records the proof that p is present.
func (s *Stage) land(p *present, version string) {
	if !p.injected || p.landed {
		return
	}
	p.landed = true
	f := p.Failure
	s.history.Record(stage.Event{Kind: stage.Landed, Version: version, Failure: &f, Detail: s.proof(f, version)})
}

// proof is what can be seen of f.
func (s *Stage) proof(f stage.Failure, version string) string {
	if version == "" {
		version = "the service"
	}
	which := "requests"
	if f.Request != "" {
		which = fmt.Sprintf("%q requests", f.Request)
	}
	switch f.Kind {
	case stage.CrashLater:
		return "every replica of " + version + " exited"
	case stage.Hang:
		return version + " takes connections and does not answer"
	case stage.Errors:
		return fmt.Sprintf("%s answers %g %% of its %s with 500", version, f.ShareOrAll(), which)
	case stage.Latency:
		return fmt.Sprintf("%s answers %g %% of its %s %v later", version, f.ShareOrAll(), which, f.Delay)
	case stage.DependencyDown:
		return fmt.Sprintf("%s refused a connection from %s", f.Dependency, version)
	case stage.ConnectionsExhausted:
		return f.Dependency + " refuses another connection"
	case stage.SlowReplica:
		return fmt.Sprintf("the first replica of %s answers %v later", version, f.Delay)
	case stage.UnevenBalance:
		return fmt.Sprintf("the first replica of %s gets %d times as many requests", version, f.Times)
	case stage.ZoneLost:
		return fmt.Sprintf("every replica of %s in zone %s exited", version, f.Zone)
	case stage.DependencySlow:
		return fmt.Sprintf("%s answered %s %v later", f.Dependency, version, f.Delay)
	case stage.DependencyErrors:
		return fmt.Sprintf("%s failed %g %% of what %s asked", f.Dependency, f.ShareOrAll(), version)
	case stage.LostWrites:
		return fmt.Sprintf("%s acknowledges, and does not store, %g %% of the writes", version, f.ShareOrAll())
	case stage.WrongAnswers:
		return fmt.Sprintf("%s answers %g %% of its %s with something wrong", version, f.ShareOrAll(), which)
	case stage.MemoryLeak:
		return fmt.Sprintf("each request leaves %d bytes behind in %s", f.PerRequest, version)
	case stage.CrashAtStart, stage.CrashLoop, stage.OutOfMemory, stage.MissingVariable, stage.WrongVariable:
		if why := s.manner([]*present{{Failure: f}}).exits; why != "" {
			return "a replica of " + version + " " + why
		}
		if f.Kind == stage.CrashLoop {
			return "every replica of " + version + " exited"
		}
		return fmt.Sprintf("%s runs with another %s", version, f.Variable)
	}
	panic(fmt.Sprintf("sim: no proof of the failure %q", f.Kind))
}

package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rehearsal/internal/stage"
)

// A failure is one stage.Failure as it is brought about here. Each kind is a small
// type in a file of its own, failure_*.go: it embeds failureBase, overrides what it
// needs, and calls land when it has seen that the failure is present.
type failure interface {
	what() stage.Failure
	// inject hits what is there already. It reports whether there was anything; if
	// not, the failure lands later, by one of the calls below.
	inject(ctx context.Context) (now bool, err error)
	// replicaCreated may change a replica's container before it is made.
	replicaCreated(c *containerSpec)
	// replicaStarted meets a replica that has just started, or started again.
	replicaStarted(ctx context.Context, r *replica) error
	// replicaExited sees how a replica exited.
	replicaExited(r *replica, how exit)
	// routeMade meets the route of a version that has just got one.
	routeMade(ctx context.Context, r *route) error
	// deployed meets a version whose replicas have all become healthy.
	deployed(ctx context.Context, version string) error
	// served is called each time the version gets a share of the traffic.
	served(version string)
	// heal takes it away. It is among the stage's failures no more.
	heal(ctx context.Context) error
	// landed is closed when there is proof.
	landed() latch
}

// newFailure is the failure that brings f about, or errors.ErrUnsupported.
func (s *Stage) newFailure(f stage.Failure) (failure, error) {
	base := failureBase{s: s, Failure: f, proof: newLatch(), once: new(sync.Once)}
	if f.Request != "" {
		return nil, fmt.Errorf("%w: containers cannot aim %q at the request %q alone: only the simulated stage can", errors.ErrUnsupported, f.Kind, f.Request)
	}
	switch f.Kind {
	case stage.CrashAtStart:
		return &crashAtStart{base}, nil
	case stage.CrashLater:
		return &crashLater{failureBase: base}, nil
	case stage.CrashLoop:
		return &loopingCrash{base}, nil
	case stage.Hang:
		return &hang{base}, nil
	case stage.OutOfMemory:
		return newOutOfMemory(base)
	case stage.Errors:
		return &wrongAnswers{base}, nil
	case stage.Latency:
		return &lateAnswers{base}, nil
	case stage.DependencyDown:
		return &dependencyDown{base}, nil
	case stage.DependencySlow:
		return &dependencySlow{base}, nil
	case stage.DependencyErrors:
		return &dependencyErrors{base}, nil
	case stage.ConnectionsExhausted:
		return &connectionsExhausted{failureBase: base}, nil
	case stage.SlowReplica:
		return &slowReplica{base}, nil
	case stage.UnevenBalance:
		return &unevenBalance{base}, nil
	case stage.ZoneLost:
		return &zoneLost{base}, nil
	case stage.MissingVariable, stage.WrongVariable:
		return &variable{base}, nil
	case stage.LostWrites:
		return nil, fmt.Errorf("%w: real containers store what they acknowledge: to rehearse lost writes, deploy a version that loses them", errors.ErrUnsupported)
	case stage.WrongAnswers:
		return nil, fmt.Errorf("%w: nobody outside can know what a wrong answer looks like: deploy a version that gives them", errors.ErrUnsupported)
	case stage.MemoryLeak:
		return nil, fmt.Errorf("%w: a leak cannot be put into a running program from outside: deploy a version that leaks, or inject %q", errors.ErrUnsupported, stage.OutOfMemory)
	}
	return nil, fmt.Errorf("%w: %q", errors.ErrUnsupported, f.Kind)
}

// landWithin is how long, in wall time, the proof may take that a failure landed.
const landWithin = 10 * time.Second

// Inject brings f about. It returns when there is proof that it landed, or at once
// when there is nothing yet that it could hit.
func (s *Stage) Inject(ctx context.Context, f stage.Failure) (err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	if err := s.checkFailure(f); err != nil {
		return err
	}
	one, err := s.newFailure(f)
	if err != nil {
		return err
	}
	if s.find(f) != nil {
		return fmt.Errorf("%v: it is injected already", f)
	}
	s.mu.Lock()
	s.failures = append(s.failures, one)
	s.mu.Unlock()
	s.history.Record(stage.Event{Kind: stage.Injected, Version: f.Version, Failure: &f})
	now, err := one.inject(ctx)
	if err == nil && now {
		err = awaitLanding(ctx, one)
	}
	if err != nil {
		s.forget(one)
		return errors.Join(fmt.Errorf("%v: %w", f, err), one.heal(context.WithoutCancel(ctx)))
	}
	return nil
}

func awaitLanding(ctx context.Context, f failure) error {
	ctx, cancel := context.WithTimeoutCause(ctx, landWithin, fmt.Errorf("%w within %s", stage.ErrNotLanded, landWithin))
	defer cancel()
	return f.landed().wait(ctx)
}

// checkFailure refuses what the setup knows nothing about.
func (s *Stage) checkFailure(f stage.Failure) error {
	if err := f.Validate(); err != nil {
		return err
	}
	if _, known := s.setup.Versions[f.Version]; f.Version != "" && !known {
		return fmt.Errorf("%v: there is no version %q", f, f.Version)
	}
	if f.Zone != "" && !slices.Contains(s.setup.ZoneNames(), f.Zone) {
		return fmt.Errorf("%v: there is no such zone: there are %q", f, s.setup.ZoneNames())
	}
	if f.Dependency != "" {
		d, known := s.setup.Dependency(f.Dependency)
		if !known {
			return fmt.Errorf("%v: %s has no dependency %q", f, s.setup.Service, f.Dependency)
		}
		return f.Suits(d)
	}
	return nil
}

// Heal takes f away. It does nothing where f is not present.
func (s *Stage) Heal(ctx context.Context, f stage.Failure) (err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	one := s.find(f)
	if one == nil {
		return nil
	}
	s.forget(one)
	if err := one.heal(ctx); err != nil {
		return fmt.Errorf("heal %v: %w", f, err)
	}
	s.history.Record(stage.Event{Kind: stage.Healed, Version: f.Version, Failure: &f})
	return nil
}

// find is the failure that is present and is f, or nil.
func (s *Stage) find(f stage.Failure) failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.failures, func(one failure) bool { return one.what() == f }); i >= 0 {
		return s.failures[i]
	}
	return nil
}

func (s *Stage) forget(f failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = slices.DeleteFunc(slices.Clone(s.failures), func(one failure) bool { return one == f })
}

// healAll heals what is present when the stage closes. What was done to containers
// and proxies goes with them; what is frozen has to be able to end, and what this process
// holds is let go.
func (s *Stage) healAll(ctx context.Context) {
	s.mu.Lock()
	all := s.failures
	s.failures = nil
	s.mu.Unlock()
	for _, f := range all {
		switch f := f.(type) {
		case *hang:
			_ = f.heal(ctx) // forceRemove thaws what this could not
		case *connectionsExhausted:
			_ = f.heal(ctx) // its connections are this process's
		}
		is := f.what()
		s.history.Record(stage.Event{Kind: stage.Healed, Version: is.Version, Failure: &is})
	}
}

// failuresOf is the failures present that can hit the version, oldest first.
func (s *Stage) failuresOf(version string) []failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []failure
	for _, f := range s.failures {
		if f.what().Hits(version) {
			all = append(all, f)
		}
	}
	return all
}

// meet has the failures of a version meet something, oldest first.
func (s *Stage) meet(_ context.Context, version string, something func(failure) error) error {
	for _, f := range s.failuresOf(version) {
		if err := something(f); err != nil {
			return fmt.Errorf("%v: %w", f.what(), err)
		}
	}
	return nil
}

// failureBase is what all kinds have in common: they know what they are, and do
// nothing.
type failureBase struct {
	s *Stage
	stage.Failure
	proof latch
	once  *sync.Once
}

// land records the proof that the failure is present. Only the first counts.
func (f *failureBase) land(proof string, args ...any) {
	f.once.Do(func() {
		is := f.Failure
		f.s.history.Record(stage.Event{Kind: stage.Landed, Version: f.Version, Failure: &is, Detail: fmt.Sprintf(proof, args...)})
		close(f.proof)
	})
}

func (f *failureBase) what() stage.Failure                            { return f.Failure }
func (f *failureBase) landed() latch                                  { return f.proof }
func (f *failureBase) inject(context.Context) (bool, error)           { return false, nil }
func (f *failureBase) replicaCreated(*containerSpec)                  {}
func (f *failureBase) replicaStarted(context.Context, *replica) error { return nil }
func (f *failureBase) replicaExited(*replica, exit)                   {}
func (f *failureBase) routeMade(context.Context, *route) error        { return nil }
func (f *failureBase) deployed(context.Context, string) error         { return nil }
func (f *failureBase) served(string)                                  {}
func (f *failureBase) heal(context.Context) error                     { return nil }

// present says whether the failure is there still.
func (f *failureBase) present() bool { return f.s.find(f.Failure) != nil }

// mustHaveLanded is deployed for what hits replicas as they start: where all are
// healthy without that, it missed them.
func (f *failureBase) mustHaveLanded() error {
	select {
	case <-f.proof:
		return nil
	default:
		return fmt.Errorf("%w: every replica started and is healthy", stage.ErrNotLanded)
	}
}

// killed lands a failure that kills, when a replica that it killed has exited.
func (f *failureBase) killed(r *replica, how exit) {
	if how.code == 137 {
		f.land("%s %s", r.name, how)
	}
}

// hurryAll starts again, at once, the replicas that wait for it.
func (f *failureBase) hurryAll() {
	for _, r := range f.s.replicasOf(f.Failure) {
		r.hurry()
	}
}

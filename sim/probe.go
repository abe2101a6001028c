package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rehearsal/internal/stage"
)

// Probe asks a dependency or a version, and records the answer.
func (s *Stage) Probe(ctx context.Context, p stage.Probe) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	var found finding
	var err error
	switch p.Kind {
	case stage.ProbeDependency:
		found, err = s.probeDependency(p)
	case stage.ProbeSmoke:
		found, err = s.probeSmoke(p)
	case stage.ProbeMigrations:
		found, err = s.probeMigrations(p)
	case stage.ProbeContract:
		found, err = s.probeContract(p)
	case stage.ProbeRollback:
		found, err = s.probeRollback(ctx, p)
	case stage.ProbeRoom:
		found = s.probeRoom(p)
	case stage.ProbeRequest, stage.ProbeQuery, stage.ProbeCommand:
		err = fmt.Errorf("a %s is asked for its answer, by Ask", p.Kind)
	default:
		err = fmt.Errorf("unknown probe %q", p.Kind)
	}
	if err != nil {
		return err
	}
	if err := s.pass(ctx, found.took); err != nil {
		return err
	}
	s.history.Record(stage.Event{Kind: stage.Probed, Version: p.Version, Probe: &p, OK: found.wrong == "", Detail: found.wrong + found.well})
	if found.wrong != "" {
		return fmt.Errorf("%w: %s: %s", stage.ErrProbe, p, found.wrong)
	}
	return nil
}

// A finding is what a probe found: one of wrong and well, or nothing to say.
type finding struct {
	wrong, well string
	took        time.Duration
}

// probeDependency connects as p.Version would, deployed or not.
func (s *Stage) probeDependency(p stage.Probe) (found finding, err error) {
	d, known := s.Dependency(p.Dependency)
	if !known {
		return found, fmt.Errorf("cannot probe the unknown dependency %q: known are %q", p.Dependency, namesOf(s.Dependencies, func(d stage.Dependency) string { return d.Name }))
	}
	found.took = s.answers.one(s.chance)
	for _, f := range s.failuresOf(p.Version) {
		switch {
		case f.Kind == stage.DependencyDown && f.Dependency == d.Name:
			found.wrong = d.Name + " refuses connections"
		case f.Kind == stage.ConnectionsExhausted && f.Dependency == d.Name:
			found.wrong = d.Name + " has no connections left"
		case f.Kind == stage.DependencySlow && f.Dependency == d.Name:
			found.took += f.Delay
		case f.Kind == stage.DependencyErrors && f.Dependency == d.Name && s.chance.Float64() < f.ShareOrAll()/100:
			found.wrong = d.Name + " fails"
		case f.Kind == stage.MissingVariable && d.Leads(f.Variable):
			found.wrong = f.Variable + " is not set"
		case f.Kind == stage.WrongVariable && d.Leads(f.Variable):
			found.wrong = f.Variable + " leads to nobody who answers"
		}
	}
	if patience := s.Model.ClientTimeout; found.wrong == "" && found.took >= patience {
		return finding{wrong: fmt.Sprintf("%s does not answer within %v", d.Name, patience), took: patience}, nil
	}
	if found.wrong == "" {
		found.well = d.Name + " answers"
	}
	return found, nil
}

// probeMigrations takes the database to be at the migration that the setup expects: a
// version that needs another finds it missing.
func (s *Stage) probeMigrations(p stage.Probe) (finding, error) {
	m := s.Migrations
	if m == nil {
		return finding{}, errors.New("the setup does not say how to ask for the migration: see migrations in rehearsal.yaml")
	}
	found, err := s.probeDependency(stage.Probe{Version: p.Version, Dependency: m.Of})
	if err != nil || found.wrong != "" {
		return found, err
	}
	found.well = fmt.Sprintf("%s is taken to be at %q, since rehearsal.yaml expects that", m.Of, m.Expect)
	if needs := m.MigrationFor(s.specOf(p.Version)); needs != m.Expect {
		found.well, found.wrong = "", fmt.Sprintf("%s is at %q, and %s needs %q", m.Of, m.Expect, p.Version, needs)
	}
	return found, nil
}

// probeContract takes an API that answers to keep its contract: only containers can
// show more.
func (s *Stage) probeContract(p stage.Probe) (finding, error) {
	d, known := s.Dependency(p.Dependency)
	if known && len(d.Contract) == 0 {
		return finding{}, fmt.Errorf("%v: nothing says what it is: see contract in rehearsal.yaml", p)
	}
	found, err := s.probeDependency(p)
	if err == nil && found.wrong == "" {
		found.well = fmt.Sprintf("%s answers, and is taken to keep its contract", d.Name)
	}
	return found, err
}

// probeRollback starts one more replica of the version, and ends it when it is healthy
// or has had the time for it. The model's images are always there.
func (s *Stage) probeRollback(ctx context.Context, p stage.Probe) (finding, error) {
	v := s.find(p.Version)
	if v == nil {
		return finding{}, fmt.Errorf("%v: it is not deployed; deployed are %q", p, s.deployed())
	}
	began, before := s.now(), v.in(healthy)
	s.begin(v, 1)
	s.settle()
	up, err := s.until(ctx, s.Health.Deadline, func() bool { return v.in(healthy) > before })
	if err != nil {
		return finding{}, err
	}
	took, ailment := s.now()-began, v.ailment()
	s.end(v, 1)
	if err := s.pass(ctx, s.Model.DrainTime); err != nil {
		return finding{}, err
	}
	if !up {
		return finding{wrong: fmt.Sprintf("a replica of %s did not become healthy within %v: %s", p.Version, s.Health.Deadline, ailment)}, nil
	}
	return finding{well: fmt.Sprintf("a replica of %s was healthy after %v", p.Version, took.Round(time.Millisecond))}, nil
}

// probeRoom says what the released service asks for: the model has room for it.
func (s *Stage) probeRoom(p stage.Probe) finding {
	n := s.ReplicasOf(s.specOf(p.Version))
	if s.MemoryLimit == 0 {
		return finding{well: fmt.Sprintf("%d replicas without a memory limit; only containers can show whether they fit", n)}
	}
	return finding{well: fmt.Sprintf("%d replicas of %s, with %d MiB each; only containers can show whether they fit", n, p.Version, s.MemoryLimit>>20)}
}

// specOf is a version as it is deployed, or would be.
func (s *Stage) specOf(name string) stage.Version {
	if v := s.find(name); v != nil {
		return v.spec
	}
	return s.Versions[name]
}

// failuresOf is what a version suffers, or will when it is deployed.
func (s *Stage) failuresOf(name string) []stage.Failure {
	failures := ownFailures(s.specOf(name))
	for _, p := range s.injected {
		if p.Hits(name) {
			failures = append(failures, p.Failure)
		}
	}
	return failures
}

// probeSmoke asks the version each smoke request, until one is answered wrong.
// An answer contains what it should, unless the version is known to answer wrong.
func (s *Stage) probeSmoke(p stage.Probe) (found finding, err error) {
	v := s.find(p.Version)
	if v == nil {
		return found, fmt.Errorf("cannot send smoke requests to %q: it is not deployed; deployed are %q", p.Version, s.deployed())
	}
	for _, r := range s.Smoke {
		status, answered, right := s.ask(v, r.Request)
		found.took += answered
		within := r.Within
		assume(&within, s.Traffic.Timeout)
		switch {
		case status == noAnswer:
			found.wrong = fmt.Sprintf("%q was not answered within %v", r.Name, answered)
		case status != 200:
			found.wrong = fmt.Sprintf("%q was answered with %d", r.Name, status)
		case answered > within:
			found.wrong = fmt.Sprintf("%q was answered after %v, later than %v", r.Name, answered.Round(time.Millisecond), within)
		case right:
			continue
		case r.Contains != "":
			found.wrong = fmt.Sprintf("the answer to %q does not contain %q", r.Name, r.Contains)
		case len(r.JSON) > 0:
			found.wrong = fmt.Sprintf("the answer to %q does not have %v", r.Name, r.JSON[0])
		case r.Schema != nil:
			found.wrong = fmt.Sprintf("the answer to %q does not keep the schema %s", r.Name, r.Schema.File)
		default:
			continue // nothing looks at what it says
		}
		return found, nil
	}
	return found, nil
}

// noAnswer stands for the status of an answer that did not come.
const noAnswer = 0

// ask draws the answer to one request: 200 is the status that is expected, and
// right says whether the answer is.
func (s *Stage) ask(v *version, r stage.Request) (status int, took time.Duration, right bool) {
	switch {
	case v.serving() == 0:
		return 503, refusedAfter, false
	case v.manner.hangs:
		return noAnswer, s.patience(), false
	}
	took = s.answers.one(s.chance)
	k, known := s.kindOf(v, r)
	if !known {
		return 200, took, true
	}
	draw := s.chance.Float64()
	for _, d := range k.delays {
		if draw < d.share {
			took += d.by
			break
		}
		draw -= d.share
	}
	switch {
	case took > s.patience():
		return noAnswer, s.patience(), false
	case s.chance.Float64() < either(k.fails, k.spoilt):
		return 500, took, false
	}
	return 200, took, s.chance.Float64() >= k.lies
}

// kindOf is how v answers requests like r: those of the traffic with its name, or
// its method and path.
func (s *Stage) kindOf(v *version, r stage.Request) (kindManner, bool) {
	for i, q := range s.Traffic.Requests {
		if q.Name == r.Name {
			return v.manner.kinds[i], true
		}
	}
	for i, q := range s.Traffic.Requests {
		if strings.EqualFold(q.Method, r.Method) && q.Path == r.Path {
			return v.manner.kinds[i], true
		}
	}
	return kindManner{}, false
}

package sim

import (
	"context"
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
	var wrong string
	var took time.Duration
	var err error
	switch p.Kind {
	case stage.ProbeDependency:
		wrong, took, err = s.probeDependency(p)
	case stage.ProbeSmoke:
		wrong, took, err = s.probeSmoke(p)
	default:
		err = fmt.Errorf("unknown probe %q", p.Kind)
	}
	if err != nil {
		return err
	}
	if err := s.pass(ctx, took); err != nil {
		return err
	}
	s.history.Record(stage.Event{Kind: stage.Probed, Version: p.Version, Probe: &p, OK: wrong == "", Detail: wrong})
	if wrong != "" {
		return fmt.Errorf("%w: %s: %s", stage.ErrProbe, p, wrong)
	}
	return nil
}

// probeDependency connects as p.Version would, deployed or not.
func (s *Stage) probeDependency(p stage.Probe) (wrong string, took time.Duration, err error) {
	d, known := s.Dependency(p.Dependency)
	if !known {
		return "", 0, fmt.Errorf("cannot probe the unknown dependency %q: known are %q", p.Dependency, namesOf(s.Dependencies, func(d stage.Dependency) string { return d.Name }))
	}
	took = s.answers.one(s.chance)
	for _, f := range s.failuresOf(p.Version) {
		switch {
		case f.Kind == stage.DependencyDown && f.Dependency == d.Name:
			wrong = d.Name + " refuses connections"
		case f.Kind == stage.DependencySlow && f.Dependency == d.Name:
			took += f.Delay
		case f.Kind == stage.MissingVariable && f.Variable == d.URLFrom:
			wrong = f.Variable + " is not set"
		case f.Kind == stage.WrongVariable && f.Variable == d.URLFrom:
			wrong = f.Variable + " leads to nobody who answers"
		}
	}
	if patience := s.Model.ClientTimeout; wrong == "" && took >= patience {
		return fmt.Sprintf("%s does not answer within %v", d.Name, patience), patience, nil
	}
	return wrong, took, nil
}

// failuresOf is what a version suffers, or will when it is deployed.
func (s *Stage) failuresOf(name string) []stage.Failure {
	spec := s.Versions[name]
	if v := s.find(name); v != nil {
		spec = v.spec
	}
	failures := ownFailures(spec)
	for _, p := range s.injected {
		if p.Hits(name) {
			failures = append(failures, p.Failure)
		}
	}
	return failures
}

// probeSmoke asks the version each smoke request, until one is answered wrong.
// An answer contains what it should, unless the version is known to answer wrong.
func (s *Stage) probeSmoke(p stage.Probe) (wrong string, took time.Duration, err error) {
	v := s.find(p.Version)
	if v == nil {
		return "", 0, fmt.Errorf("cannot send smoke requests to %q: it is not deployed; deployed are %q", p.Version, s.deployed())
	}
	for _, r := range s.Smoke {
		status, answered, right := s.ask(v, r.Request)
		took += answered
		within := r.Within
		assume(&within, s.Traffic.Timeout)
		switch {
		case status == noAnswer:
			return fmt.Sprintf("%q was not answered within %v", r.Name, answered), took, nil
		case status != 200:
			return fmt.Sprintf("%q was answered with %d", r.Name, status), took, nil
		case answered > within:
			return fmt.Sprintf("%q was answered after %v, later than %v", r.Name, answered.Round(time.Millisecond), within), took, nil
		case !right && r.Contains != "":
			return fmt.Sprintf("the answer to %q does not contain %q", r.Name, r.Contains), took, nil
		}
	}
	return "", took, nil
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

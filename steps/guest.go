package steps

import (
	"context"
	"errors"

	"github.com/cucumber/godog"

	"rehearsal/internal/containers"
	"rehearsal/internal/stage"
)

// A Guest is the phrases of a project in a godog suite that is somebody else's, and has
// steps of its own.
type Guest struct {
	suite Suite
	forms []form
	close func() error
}

// NewGuest reads what the first of r.Stages needs. Its error is an *InputError for each
// thing that is wrong with the team's own words.
func (r Rehearsal) NewGuest(ctx context.Context) (*Guest, error) {
	all, _, err := vocabulary(r.Project)
	if err != nil {
		return nil, err
	}
	g := &Guest{suite: Suite{Project: r.Project, Stage: r.Stages[0], Seed: r.Seed, Raise: simulate}, forms: all, close: func() error { return nil }}
	if g.suite.Stage == Simulated {
		return g, nil
	}
	engine, err := r.Engine(ctx)
	if err != nil {
		return nil, err
	}
	images, err := containers.NewImages(engine, r.Progress, r.Project.Recipes...)
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	g.suite.Raise, g.close = r.contain(engine, images), engine.Close
	return g, nil
}

// Close lets go of the container engine.
func (g *Guest) Close() error { return g.close() }

// Register adds every phrase to one scenario, raises a stage where one is needed, and
// after the last step ends it and holds what must be true after every scenario.
func (g *Guest) Register(sc *godog.ScenarioContext) {
	g.suite.scenario(sc, g.forms, g.spec, func(*Result) {})
}

// spec reads a scenario as ReadSpecs does, but for steps that are not ours.
func (g *Guest) spec(p *godog.Scenario) (*Spec, error) {
	s := &Spec{File: p.Uri, Line: int(p.Location.Line), Language: p.Language, Name: p.Name}
	for _, t := range p.Tags {
		s.Tags = append(s.Tags, t.Name)
	}
	c := &checker{project: g.suite.Project, forms: g.forms, guest: true}
	for _, step := range p.Steps {
		s.Steps = append(s.Steps, step.Text)
		c.step(s, p.Location.Line, step.Text)
	}
	if !s.On(g.suite.Stage) {
		return nil, godog.ErrSkip
	}
	return s, errors.Join(c.errs...)
}

// WorldOf is the scenario that a step of a team's own belongs to.
func WorldOf(ctx context.Context) (*World, bool) {
	w, ok := ctx.Value(worldKey{}).(*World)
	return w, ok
}

// Ask asks the stage, which is raised where it is not up yet, for an answer that a team's
// own step judges.
func (w *World) Ask(ctx context.Context, q stage.Question) (stage.Answer, error) {
	w.asked = nil
	if err := w.ask(ctx, q); err != nil {
		return stage.Answer{}, err
	}
	return w.asked.answer, nil
}

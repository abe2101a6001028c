// Package specs brings Rehearsal's phrases into a team's own godog suite: a team that
// tests its service with godog rehearses its releases in the same features, beside steps
// of its own.
//
//	rehearsed, err := specs.Open(ctx, specs.Options{File: "rehearsal.yaml"})
//	suite := godog.TestSuite{ScenarioInitializer: func(sc *godog.ScenarioContext) {
//		rehearsed.Register(sc)
//		sc.Then(`^the price list is complete$`, priceListIsComplete)
//	}}
//
// A step of the team's own asks the staging copy by Of(ctx). Phrases without Go are
// rehearsal.yaml's "phrases".
package specs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cucumber/godog"

	"rehearsal/internal/containers"
	"rehearsal/internal/project"
	"rehearsal/internal/stage"
	"rehearsal/steps"
)

// Where scenarios run.
const (
	Simulated  = steps.Simulated  // in virtual time, without containers
	Containers = steps.Containers // in real ones
)

// Options says what is rehearsed, and where.
type Options struct {
	File  string  // rehearsal.yaml
	Stage string  // Simulated, which "" is too, or Containers
	Seed  uint64  // of all that chance decides
	Pace  float64 // of Containers: how many times faster than the wall release time runs while nothing but waiting happens; 0 is 60
	// Progress gets lines for people while images are built; may be nil.
	Progress func(string)
}

// Specs is the phrases of one rehearsal.yaml.
type Specs struct{ guest *steps.Guest }

// Open reads the file and all that it names. Its error tells everything that is wrong
// with them, with file and line, or that there is no container engine.
func Open(ctx context.Context, o Options) (*Specs, error) {
	r := steps.Rehearsal{Stages: []string{o.Stage}, Seed: o.Seed, Pace: o.Pace, Progress: o.Progress, Engine: containers.ConnectEngine}
	switch o.Stage {
	case "":
		r.Stages[0] = Simulated
	case Simulated, Containers:
	default:
		return nil, fmt.Errorf("there is no stage %q: it is %q or %q", o.Stage, Simulated, Containers)
	}
	if r.Pace == 0 {
		r.Pace = 60
	}
	if r.Progress == nil {
		r.Progress = func(string) {}
	}
	var err error
	if r.Project, err = project.Load(ctx, o.File); err != nil {
		return nil, err
	}
	guest, err := r.NewGuest(ctx)
	if err != nil {
		return nil, err
	}
	return &Specs{guest}, nil
}

// Register adds every phrase to a scenario. Call it in the suite's ScenarioInitializer,
// before the team's own steps.
func (s *Specs) Register(sc *godog.ScenarioContext) { s.guest.Register(sc) }

// Close lets go of the container engine. The stages end with their scenarios.
func (s *Specs) Close() error { return s.guest.Close() }

// A Scenario is what a team's own step can ask of the staging copy.
type Scenario struct{ world *steps.World }

// Of is the scenario that a step belongs to, by the context that godog gave it.
func Of(ctx context.Context) (Scenario, error) {
	w, ok := steps.WorldOf(ctx)
	if !ok {
		return Scenario{}, errors.New("this scenario is not rehearsed: call Register in the ScenarioInitializer, and pass on the context that the step got")
	}
	return Scenario{w}, nil
}

// An Answer is what a version answered to a request.
type Answer struct {
	// Assumed says that the simulated stage's model takes the answer to be right, whatever
	// it says: then there is neither Status nor Body.
	Assumed bool
	Status  int
	Body    string // the first MiB
	Took    time.Duration
}

// Request sends a request to a version, through the load balancer and whatever its share
// of the traffic. A version that is not deployed is deployed first, beside the others.
func (s Scenario) Request(ctx context.Context, version, method, path, body string) (Answer, error) {
	r := &stage.Request{Method: method, Path: path, Body: body}
	if body != "" {
		r.Headers = map[string]string{"Content-Type": "application/json"}
	}
	a, err := s.world.Ask(ctx, stage.Question{Version: version, Request: r})
	return Answer{a.Assumed, a.Status, a.Body, a.Took}, err
}

// Query puts a query to a dependency that is a database and gives the rows, each value as
// the database prints it. The simulated stage says errors.ErrUnsupported.
func (s Scenario) Query(ctx context.Context, dependency, sql string) (rows [][]string, err error) {
	a, err := s.world.Ask(ctx, stage.Question{Dependency: dependency, Query: sql})
	return a.Rows, err
}

// Command runs a command, by no shell, in a new container of a version's image. The
// simulated stage says errors.ErrUnsupported.
func (s Scenario) Command(ctx context.Context, version string, command ...string) (exit int, output string, err error) {
	if len(command) == 0 {
		return 0, "", errors.New("a command needs at least the program")
	}
	a, err := s.world.Ask(ctx, stage.Question{Version: version, Command: command})
	return a.Exit, a.Output, err
}

package steps

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cucumber/godog"

	"rehearsal/internal/check"
	"rehearsal/internal/clock"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// The names of the two worlds.
const (
	Simulated  = "simulated"
	Containers = "containers"
)

// A Suite runs specs on one stage.
type Suite struct {
	Project *project.Project
	Stage   string // Simulated or Containers
	// Raise raises a stage for one scenario. Its History writes to sink.
	Raise    func(ctx context.Context, setup stage.Setup, seed uint64, sink io.Writer) (stage.Stage, error)
	Seed     uint64
	Parallel int    // how many scenarios at once; at least 1
	Report   string // folder for JUnit, Cucumber JSON and histories; "" writes none
	Break    Breakage
	// Image has an image in the engine, for the containers that jobs of a pipeline ask for;
	// nil: there is no engine.
	Image func(ctx context.Context, ref string) error
	// Notify hears what happens, for people to watch; nil is nobody. It is called from
	// several goroutines when Parallel is above 1.
	Notify func(Notice)

	machine sync.RWMutex // see enter
}

// A Notice is one thing that happens in a scenario: its stage is up (Stage), a step
// begins (Step), Version is released by Plan from now on (Plan), or it is over (Result).
// Without a Spec it is of the whole run: so many scenarios (Total) the stage will run.
type Notice struct {
	Spec    *Spec
	Stage   stage.Stage
	Step    string
	Plan    *release.Plan
	Version string
	Result  *Result
	Total   int
}

// A Result is what came of one scenario on one stage.
type Result struct {
	Spec     *Spec
	Stage    string
	Verdict  check.Verdict
	Err      error // what ended it; nil when it passed
	Input    bool  // Err is a mistake in what the user wrote
	Step     string
	Findings []check.Finding
	Measures check.Measures
	Outcome  *release.Outcome
	Version  string         // that was released; "" when none was
	Released time.Duration  // release time that passed
	Took     time.Duration  // wall time
	History  *stage.History // nil when no stage was raised
	File     string         // of the history as NDJSON; "" when none was written
	// Undetected says that the failure was one that no alarm sees, as the spec says.
	Undetected bool
}

// Run runs the specs, which ReadSpecs read from paths with tags, and returns a
// result for each that is for this stage. An error means that the run itself could
// not be made; a broken promise is a Result.
func (s *Suite) Run(ctx context.Context, specs []*Spec, paths []string, tags string) ([]*Result, error) {
	byPlace := map[string]*Spec{}
	for _, sp := range specs {
		if sp.On(s.Stage) {
			byPlace[sp.Where()] = sp
		}
	}
	if len(byPlace) == 0 {
		return nil, nil
	}
	all, _, err := vocabulary(s.Project)
	if err != nil {
		return nil, err
	}
	whole, parts, err := s.features(paths, byPlace)
	if err != nil {
		return nil, err
	}
	formats := "progress"
	if s.Report != "" {
		if err := os.MkdirAll(filepath.Join(s.Report, "histories"), 0o755); err != nil {
			return nil, err
		}
		formats = fmt.Sprintf("junit:%s,cucumber:%s", filepath.Join(s.Report, "junit-"+s.Stage+".xml"), filepath.Join(s.Report, "cucumber-"+s.Stage+".json"))
	}
	var (
		mu      sync.Mutex
		results []*Result
	)
	suite := godog.TestSuite{
		Name: "rehearsal on the " + s.Stage + " stage",
		Options: &godog.Options{
			Format: formats, Output: io.Discard, NoColors: true, Strict: true, Concurrency: max(1, s.Parallel),
			Paths: whole, FeatureContents: parts, Tags: s.tags(tags), DefaultContext: ctx,
		},
		ScenarioInitializer: func(sc *godog.ScenarioContext) {
			s.scenario(sc, all, func(p *godog.Scenario) (*Spec, error) {
				spec := byPlace[fmt.Sprintf("%s:%d", p.Uri, p.Location.Line)]
				if spec == nil {
					return nil, fmt.Errorf("%s:%d: the scenario %q was not selected and is run all the same", p.Uri, p.Location.Line, p.Name)
				}
				return spec, nil
			}, func(r *Result) {
				mu.Lock()
				defer mu.Unlock()
				results = append(results, r)
			})
		},
	}
	status := suite.Run()
	if status > 1 {
		return nil, fmt.Errorf("the specs could not be run")
	}
	if len(results) != len(byPlace) {
		return results, fmt.Errorf("%d scenarios are selected and %d ran: nothing may be concluded", len(byPlace), len(results))
	}
	return results, nil
}

// scenario registers every phrase for one scenario of godog's, and what is done before
// and after it. specOf finds what was read of it; done gets what came of it.
func (s *Suite) scenario(sc *godog.ScenarioContext, all []form, specOf func(*godog.Scenario) (*Spec, error), done func(*Result)) {
	w := &World{suite: s, setup: s.Project.Setup}
	var began time.Time
	step, leave := "", func() {}
	sc.Before(func(ctx context.Context, p *godog.Scenario) (_ context.Context, err error) {
		if w.spec, err = specOf(p); w.spec != nil {
			leave = s.enter(w.spec)
		}
		began = clock.Wall()
		return context.WithValue(ctx, worldKey{}, w), err
	})
	sc.StepContext().Before(func(ctx context.Context, st *godog.Step) (context.Context, error) {
		if !w.over { // steps that are skipped after a failure come here too
			step = st.Text
			s.notify(Notice{Spec: w.spec, Step: step})
		}
		return ctx, nil
	})
	sc.After(func(ctx context.Context, _ *godog.Scenario, err error) (context.Context, error) {
		w.over = true
		defer leave()
		if w.spec == nil { // it was refused before it began
			return ctx, nil
		}
		after := w.end(ctx, err)
		if err == nil {
			err = after
		} else if after != nil && !errors.Is(after, err) {
			err = fmt.Errorf("%w; and %w", err, after)
		}
		r := s.result(w, err)
		r.Took, r.Step = clock.Since(began), step
		done(r)
		s.notify(Notice{Spec: w.spec, Result: r})
		return ctx, after
	})
	for _, f := range all {
		registerForm(sc, f, w)
	}
}

// AloneTag marks the scenarios that measure how much this machine can bear: no other runs
// meanwhile. Nor does one beside those that push to a pipeline, since building takes all
// there is.
const AloneTag = "@alone"

// enter waits until the scenario may run beside those that do; leave is to be called at
// its end.
func (s *Suite) enter(spec *Spec) (leave func()) {
	if slices.Contains(spec.Tags, AloneTag) || slices.Contains(spec.Tags, PipelineTag) {
		s.machine.Lock() // those that wait for it hold back the ones behind them
		return s.machine.Unlock
	}
	s.machine.RLock()
	return s.machine.RUnlock
}

// worldKey is where a scenario's context has its World.
type worldKey struct{}

// registerForm hands godog a function with as many parameters as the phrase has
// gaps, since it counts them.
func registerForm(sc *godog.ScenarioContext, f form, w *World) {
	in := []reflect.Type{reflect.TypeFor[context.Context]()}
	for range f.names {
		in = append(in, reflect.TypeFor[string]())
	}
	kind := reflect.FuncOf(in, []reflect.Type{reflect.TypeFor[error]()}, false)
	sc.Step(f.expr, reflect.MakeFunc(kind, func(args []reflect.Value) []reflect.Value {
		ctx := args[0].Interface().(context.Context)
		var values []string
		for _, a := range args[1:] {
			values = append(values, a.String())
		}
		err := ctx.Err()
		if err == nil {
			err = f.phrase.do(ctx, w, f.args(values))
		}
		return []reflect.Value{reflect.ValueOf(&err).Elem()}
	}).Interface())
}

// tags adds to every alternative that the scenario is not for the other stage only.
func (s *Suite) tags(tags string) string {
	not := "~" + ContainersOnly
	if s.Stage == Containers {
		not = "~" + SimulatedOnly
	}
	if strings.TrimSpace(tags) == "" {
		return not
	}
	alternatives := strings.Split(tags, ",")
	for i := range alternatives {
		alternatives[i] += " && " + not
	}
	return strings.Join(alternatives, ",")
}

// features is what godog runs: whole files and folders, and the others with nothing but
// the specs to run in them. godog knows file:line too, but no row of an outline by it, and
// calls the file after the line.
func (s *Suite) features(paths []string, byPlace map[string]*Spec) (whole []string, parts []godog.Feature, err error) {
	named, err := selected(paths)
	if err != nil {
		return nil, nil, err
	}
	for _, file := range slices.Sorted(maps.Keys(named.lines)) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		c := &checker{project: s.Project, guest: true} // it was checked when it was read first
		all := c.read(file)
		if err := errors.Join(c.errs...); err != nil {
			return nil, nil, err
		}
		kept := func(sp *Spec) bool { return byPlace[sp.Where()] != nil }
		if slices.ContainsFunc(all, kept) {
			parts = append(parts, godog.Feature{Name: file, Contents: []byte(without(string(text), all, kept))})
		}
	}
	return named.whole, parts, nil
}

func (s *Suite) notify(n Notice) {
	if s.Notify != nil {
		s.Notify(n)
	}
}

func (s *Suite) raise(ctx context.Context, w *World) (stage.Stage, error) {
	var sink io.Writer
	if s.Report != "" {
		f, err := os.Create(s.historyFile(w.spec))
		if err != nil {
			return nil, err
		}
		sink, w.sink = f, f
	}
	setup := s.Break.setup(w.setup)
	st, err := s.Raise(ctx, setup, s.seed(w.spec), sink)
	if err != nil {
		return nil, fmt.Errorf("raising the stage: %w", err)
	}
	return st, nil
}

// seed is the scenario's own, whatever runs before it.
func (s *Suite) seed(sp *Spec) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %s", s.Seed, filepath.Base(sp.File), sp.Name)
	return h.Sum64()
}

func (s *Suite) historyFile(sp *Spec) string {
	name := strings.TrimSuffix(filepath.ToSlash(sp.File), ".feature")
	name = strings.TrimLeft(strings.NewReplacer("/", "-", "..", "").Replace(name), "-")
	return filepath.Join(s.Report, "histories", fmt.Sprintf("%s-%d.%s.ndjson", name, sp.Line, s.Stage))
}

func (s *Suite) result(w *World, err error) *Result {
	r := &Result{Spec: w.spec, Stage: s.Stage, Err: err, Findings: w.findings, Outcome: w.outcome, Version: w.released, Undetected: w.undetected}
	var input *InputError
	var broken *check.Broken
	switch {
	case err == nil:
		r.Verdict = check.Passed
	case errors.As(err, &input):
		r.Verdict, r.Input = check.Inconclusive, true
	case errors.As(err, &broken):
		r.Verdict = worst(err)
	case errors.Is(err, errors.ErrUnsupported):
		r.Verdict = check.Failed
		r.Err = fmt.Errorf("%w: the scenario needs the tag %s or %s of the stage that it is for", err, SimulatedOnly, ContainersOnly)
	default:
		r.Verdict = check.Inconclusive
	}
	if w.stage != nil {
		r.History = w.stage.History()
		r.Released = r.History.Now()
		r.Measures = check.Measure(r.History, w.released)
		if s.Report != "" {
			r.File = s.historyFile(w.spec)
		}
	}
	return r
}

// worst is Failed when any check in err failed, else Inconclusive.
func worst(err error) check.Verdict {
	if b, ok := err.(*check.Broken); ok { //nolint:errorlint // every error of the tree is looked at in turn
		return b.Verdict
	}
	var inside []error
	switch u := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() []error }:
		inside = u.Unwrap()
	case interface{ Unwrap() error }:
		inside = []error{u.Unwrap()}
	}
	for _, e := range inside {
		if e != nil && worst(e) == check.Failed {
			return check.Failed
		}
	}
	return check.Inconclusive
}

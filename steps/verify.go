package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"rehearsal/internal/check"
	"rehearsal/internal/containers"
	"rehearsal/internal/lang"
	"rehearsal/internal/parity"
	"rehearsal/internal/project"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// A Rehearsal is one run of specs on one or both stages.
type Rehearsal struct {
	Project  *project.Project
	Features []string // files, folders and file:line
	Tags     string
	// ContainerTags selects further, of what Tags selects, for the container stage alone.
	ContainerTags string
	// NoPipelines leaves the scenarios tagged PipelineTag out: each takes seconds.
	NoPipelines bool
	Stages      []string // Simulated, Containers, in this order
	Seed        uint64
	Pace        float64
	Parallel    int // of the container stage; 0 is as many as cores and memory allow
	Keep        bool
	// CloudWatch judges the alarms of the container stage: containers.CloudWatchEmbedded,
	// containers.CloudWatchLocalStack or, with AWS, containers.CloudWatchAWS.
	CloudWatch string
	AWS        *containers.AWSAccount
	Report     string
	Break      Breakage
	// Parity is what the comparison with production needs beside the project.
	Parity   ParityOptions
	Notify   func(stageName string, n Notice)
	Progress func(string) // one line each
	Lang     lang.Lang    // of what is told of a single release as it goes on; "" is English
	// Engine finds the container engine, when the containers' turn comes.
	Engine func(ctx context.Context) (*containers.Engine, error)
}

// A Verification is what came of a rehearsal.
type Verification struct {
	Specs      []*Spec
	Results    []*Result // of every stage, in the order of the specs
	Compared   []Comparison
	Unverified []string // what was asked for and could not be verified, and why
	Skipped    int      // how many scenarios were left to the simulated stage by ContainerTags
	LeftOut    int      // how many scenarios were left out by NoPipelines
	Seed       uint64
	Pace       float64
	// Parity is what differs from production; nil where nothing describes it.
	Parity *parity.Ledger
	// Images are the digests by which the engine knows what ran, by version or, for what
	// is not released, by the image's name; nil before containers ran.
	Images map[string]string
	Engine string // the version of the container engine; "" before one was found
}

// A Comparison is what the simulation predicted of a scenario beside what the
// containers did.
type Comparison struct {
	Spec                *Spec
	Predicted, Measured check.Measures
	Findings            []check.Finding
}

// Apart is the findings outside the tolerance.
func (c Comparison) Apart() []check.Finding {
	return slices.DeleteFunc(slices.Clone(c.Findings), func(f check.Finding) bool { return f.Verdict == check.Passed })
}

// Exit statuses, as README says.
const (
	ExitVerified     = 0
	ExitBroken       = 1
	ExitInput        = 2
	ExitInconclusive = 3
)

// Status is the exit status: the input before promises, promises before what could
// not be concluded. That the staging copy is like production is a promise.
func (v *Verification) Status() int {
	has := func(f func(*Result) bool) bool { return slices.ContainsFunc(v.Results, f) }
	switch {
	case has(func(r *Result) bool { return r.Input }) || len(v.Results) == 0 && len(v.Unverified) == 0:
		return ExitInput
	case has(func(r *Result) bool { return r.Verdict == check.Failed }), ParityStatus(v.Parity) == ExitBroken,
		slices.ContainsFunc(v.Compared, func(c Comparison) bool { return len(c.Apart()) > 0 }):
		return ExitBroken
	case has(func(r *Result) bool { return r.Verdict == check.Inconclusive }), len(v.Unverified) > 0, ParityStatus(v.Parity) == ExitInconclusive:
		return ExitInconclusive
	}
	return ExitVerified
}

// Verify runs the rehearsal. An error means that nothing could be run: an
// InputError when what the user wrote is wrong.
func (r Rehearsal) Verify(ctx context.Context) (*Verification, error) {
	specs, err := ReadSpecs(r.Project, r.Features, r.Tags)
	if err != nil {
		return nil, err
	}
	inContainers, err := tagFilter("--container-tags", r.ContainerTags, specs)
	if err != nil {
		return nil, err
	}
	v := &Verification{Specs: specs, Seed: r.Seed, Pace: r.Pace, Parity: Parity(r.Project, specs, r.Parity)}
	if r.NoPipelines {
		specs = slices.DeleteFunc(slices.Clone(specs), func(s *Spec) bool { return slices.Contains(s.Tags, PipelineTag) })
		v.Specs, v.LeftOut, r.Tags = specs, len(v.Specs)-len(specs), bothTags(r.Tags, "~"+PipelineTag)
		if len(specs) == 0 {
			return nil, &InputError{"only pipelines are selected, and they are to be left out: nothing would be verified; have them run by --pipelines (make verify PIPELINES=1)"}
		}
	}
	r.sayParity(v.Parity)
	keep, closeKeep, err := r.keepResults()
	if err != nil {
		return nil, err
	}
	defer closeKeep()
	r.announce(specs)
	for _, name := range r.Stages {
		specs, tags := specs, r.Tags
		if name == Containers && r.ContainerTags != "" {
			specs = slices.DeleteFunc(slices.Clone(specs), func(s *Spec) bool { return !inContainers(s.Tags) })
			tags = bothTags(r.Tags, r.ContainerTags)
			v.Skipped = len(v.Specs) - len(specs)
			if len(specs) == 0 {
				v.Unverified = append(v.Unverified, fmt.Sprintf("nothing was rehearsed in containers: --container-tags %q leaves none of %d scenarios", r.ContainerTags, v.Skipped))
				continue
			}
		}
		suite := &Suite{Project: r.Project, Stage: name, Seed: r.Seed, Report: r.Report, Break: r.Break, Parallel: 1, Image: r.jobImage(ctx)}
		suite.Notify = func(n Notice) {
			if n.Result != nil {
				keep(n.Result)
			}
			if r.Notify != nil {
				r.Notify(name, n)
			}
		}
		crew, err := r.crew(ctx, name, specs)
		if name == Containers {
			v.Images, v.Engine = crew.images, crew.engine
		}
		if err != nil {
			v.Unverified = append(v.Unverified, fmt.Sprintf("nothing was rehearsed in containers: %v", err))
			continue
		}
		suite.Raise, suite.Parallel = crew.raise, crew.parallel
		results, err := suite.Run(ctx, specs, r.Features, tags)
		v.Results = append(v.Results, results...)
		if err := errors.Join(err, crew.close(context.WithoutCancel(ctx))); err != nil {
			return v, err
		}
	}
	order := map[*Spec]int{}
	for i, s := range specs {
		order[s] = i
	}
	slices.SortStableFunc(v.Results, func(a, b *Result) int {
		return 10*(order[a.Spec]-order[b.Spec]) + slices.Index(r.Stages, a.Stage) - slices.Index(r.Stages, b.Stage)
	})
	v.compare(r.Project.Tolerance)
	return v, ctx.Err()
}

// A raiser raises a stage for one scenario; see Suite.
type raiser = func(ctx context.Context, setup stage.Setup, seed uint64, sink io.Writer) (stage.Stage, error)

// A crew raises the stages of a run.
type crew struct {
	raise    raiser
	parallel int                         // how many scenarios run at once
	close    func(context.Context) error // takes down what was raised beforehand
	images   map[string]string           // see Verification
	engine   string                      // likewise
}

// crew makes what the stage of that name needs for the specs. Only the container stage may
// need what is not there.
func (r Rehearsal) crew(ctx context.Context, name string, specs []*Spec) (crew, error) {
	c := crew{raise: simulate, parallel: 1, close: func(context.Context) error { return nil }}
	if name == Simulated {
		return c, nil
	}
	engine, err := r.Engine(ctx)
	if err != nil {
		return c, err
	}
	c.engine = engine.Version
	images, err := r.images(ctx, engine, specs)
	if err != nil {
		return c, err
	}
	if c.images, err = r.digests(ctx, engine); err != nil {
		return c, err
	}
	c.raise, c.parallel = r.contain(engine, images), r.Parallel
	specs = slices.DeleteFunc(slices.Clone(specs), func(s *Spec) bool { return !s.On(Containers) })
	spare := 1
	if r.Parallel == 0 {
		var why string
		if c.parallel, why, err = containers.Copies(ctx, engine, r.Project.Compose, &r.Project.Setup, max(1, len(specs))); err != nil {
			return c, err
		}
		r.say("scenarios in containers: %s (--parallel says otherwise)", why)
		spare = max(1, c.parallel/4)
	}
	// A copy that is kept is one that was used, and another CloudWatch than the embedded one
	// watches from the moment it is told of the alarms.
	if !r.Keep && (r.CloudWatch == "" || r.CloudWatch == containers.CloudWatchEmbedded) && len(specs) > c.parallel {
		p := newPool(ctx, spare, len(specs), func(line string) { r.say("%s", line) }, func(ctx context.Context, setup stage.Setup) (raised, error) {
			return containers.Raise(ctx, engine, r.options(images, setup))
		})
		c.raise, c.close = p.take, p.close
	}
	return c, nil
}

func (r Rehearsal) say(format string, args ...any) {
	if r.Progress != nil {
		r.Progress(fmt.Sprintf(format, args...))
	}
}

// jobImage has the images of a pipeline's jobs in the engine; nil where there is none on
// this machine. act, which starts their containers, knows only the usual socket.
func (r Rehearsal) jobImage(ctx context.Context) func(ctx context.Context, ref string) error {
	if r.Project.Pipeline == nil {
		return nil
	}
	e, err := containers.ConnectEngine(ctx)
	if err != nil || !e.Local || e.Client.DaemonHost() != "unix:///var/run/docker.sock" {
		return nil
	}
	images, err := containers.NewImages(e, r.Progress, r.Project.Recipes...)
	if err != nil {
		return nil
	}
	return func(ctx context.Context, ref string) error {
		_, err := images.Ensure(ctx, ref)
		return err
	}
}

// simulate raises a simulated stage.
func simulate(ctx context.Context, setup stage.Setup, seed uint64, sink io.Writer) (stage.Stage, error) {
	return sim.New(ctx, sim.Options{Setup: setup, Seed: seed, Sink: sink})
}

// contain raises container stages in the engine.
func (r Rehearsal) contain(engine *containers.Engine, images *containers.Images) raiser {
	return func(ctx context.Context, setup stage.Setup, seed uint64, sink io.Writer) (stage.Stage, error) {
		o := r.options(images, setup)
		o.Seed, o.Sink = seed, sink
		return containers.New(ctx, engine, o)
	}
}

func (r Rehearsal) options(images *containers.Images, setup stage.Setup) containers.Options {
	return containers.Options{
		Setup: setup, Compose: r.Project.Compose, Images: images, Pace: r.Pace, Keep: r.Keep, CloudWatch: r.CloudWatch, AWS: r.AWS, Progress: r.Progress,
	}
}

// compare lays the two stages side by side for each scenario that ran to its end
// on both.
func (v *Verification) compare(t check.Tolerance) {
	predicted := map[*Spec]*Result{}
	for _, r := range v.Results {
		if r.Version == "" || r.Verdict == check.Inconclusive {
			continue
		}
		if r.Stage == Simulated {
			predicted[r.Spec] = r
			continue
		}
		if p := predicted[r.Spec]; p != nil {
			v.Compared = append(v.Compared, Comparison{r.Spec, p.Measures, r.Measures, check.Compare(p.Measures, r.Measures, t)})
		}
	}
}

// images has every image that the specs need before the first of them starts, so
// that no scenario waits for a build.
func (r Rehearsal) images(ctx context.Context, e *containers.Engine, specs []*Spec) (*containers.Images, error) {
	images, err := containers.NewImages(e, r.Progress, r.Project.Recipes...)
	if err != nil {
		return nil, err
	}
	unused := map[string]bool{}
	for name, v := range r.Project.Setup.Versions {
		unused[v.Image] = !slices.ContainsFunc(specs, func(s *Spec) bool {
			return s.On(Containers) && slices.ContainsFunc(s.meant, func(t string) bool { return strings.Contains(t, `"`+name+`"`) })
		})
	}
	needed := slices.DeleteFunc(r.Project.Images(), func(ref string) bool { return unused[ref] })
	return images, images.EnsureAll(ctx, append(needed, containers.HarnessImages()...)...)
}

// digests asks the engine for the digests of the images that it has for the project.
func (r Rehearsal) digests(ctx context.Context, e *containers.Engine) (map[string]string, error) {
	names := map[string]string{}
	for name, v := range r.Project.Setup.Versions {
		names[name] = v.Image
	}
	released := slices.Collect(maps.Values(names))
	for _, ref := range r.Project.Images() {
		if !slices.Contains(released, ref) {
			names[ref] = ref
		}
	}
	out := map[string]string{}
	for name, ref := range names {
		image, err := e.Client.ImageInspect(ctx, ref)
		switch {
		case errdefs.IsNotFound(err): // that no scenario needs
		case err != nil:
			return nil, fmt.Errorf("ask the engine for image %s: %w", ref, err)
		default:
			out[name] = image.ID
		}
	}
	return out, nil
}

// keepResults writes each result as a line of results.ndjson as soon as it is known,
// so that a killed run still leaves a readable report.
func (r Rehearsal) keepResults() (keep func(*Result), done func(), err error) {
	if r.Report == "" {
		return func(*Result) {}, func() {}, nil
	}
	if err := os.MkdirAll(r.Report, 0o755); err != nil {
		return nil, nil, err
	}
	f, err := os.Create(filepath.Join(r.Report, "results.ndjson"))
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	enc := json.NewEncoder(f)
	return func(res *Result) {
		mu.Lock()
		defer mu.Unlock()
		_ = enc.Encode(res.summary()) // a full disk must not end the rehearsal; the histories say so
	}, func() { _ = f.Close() }, nil
}

// summary is a result as results.ndjson has it.
func (r *Result) summary() any {
	out := struct {
		Stage    string          `json:"stage"`
		Where    string          `json:"where"`
		Feature  string          `json:"feature"`
		Rule     string          `json:"rule,omitempty"`
		Scenario string          `json:"scenario"`
		Verdict  check.Verdict   `json:"verdict"`
		Input    bool            `json:"input,omitempty"`   // Error is a mistake in what the user wrote
		Step     string          `json:"step,omitempty"`    // the last one that began, where not all passed
		Version  string          `json:"version,omitempty"` // that was released
		Outcome  string          `json:"outcome,omitempty"` // of the release
		Unseen   bool            `json:"undetected,omitempty"`
		Error    string          `json:"error,omitempty"`
		Findings []check.Finding `json:"findings,omitempty"`
		Measures check.Measures  `json:"measures"`
		Release  time.Duration   `json:"release"`
		Wall     time.Duration   `json:"wall"`
		History  string          `json:"history,omitempty"`
	}{Stage: r.Stage, Where: r.Spec.Where(), Feature: r.Spec.Feature, Rule: r.Spec.Rule, Scenario: r.Spec.Name, Verdict: r.Verdict, Input: r.Input, Version: r.Version, Unseen: r.Undetected,
		Findings: r.Findings, Measures: r.Measures, Release: r.Released, Wall: r.Took, History: r.File}
	if r.Err != nil {
		out.Error, out.Step = r.Err.Error(), r.Step
	}
	if r.Outcome != nil {
		out.Outcome = r.Outcome.Detail
	}
	return out
}

// A Catch is which scenarios turned red for a breakage.
type Catch struct {
	Breakage Breakage
	By       []*Result
}

// KnownBad runs the rehearsal once with each breakage of the harness. Every one must
// turn specs red: a breakage that none of them catches has an empty By.
func (r Rehearsal) KnownBad(ctx context.Context) ([]Catch, error) {
	var out []Catch
	for _, b := range Breakages() {
		r.Break, r.Report, r.NoPipelines = b, "", true
		v, err := r.Verify(ctx)
		if err != nil {
			return out, err
		}
		if len(v.Unverified) > 0 {
			return out, errors.New(v.Unverified[0])
		}
		c := Catch{Breakage: b}
		for _, res := range v.Results {
			if res.Verdict != check.Passed {
				c.By = append(c.By, res)
			}
		}
		out = append(out, c)
	}
	return out, nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rehearsal/internal/clock"
	"rehearsal/internal/containers"
	"rehearsal/internal/lang"
	"rehearsal/internal/live"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/report"
	"rehearsal/internal/runs"
	"rehearsal/internal/stage"
	"rehearsal/steps"
)

// flags are those of verify and knownbad.
type flags struct {
	file, stage, tags, report string
	seed                      uint64
	pace                      float64
	parallel                  int
	keep, yes                 bool
	cloudwatch, containerTags string
	pipelines                 bool
	serve                     string // address; "": nothing is served
	past                      pastFlags
	evidenceKey               string // file
}

func (f *flags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "file", "f", "rehearsal.yaml", "the rehearsal to run")
	c.Flags().StringVar(&f.stage, "stage", "both", "sim, containers or both")
	c.Flags().StringVar(&f.tags, "tags", "", `scenarios to run: "@a && ~@b" is a and not b, "@a,@b" is a or b`)
	c.Flags().Uint64Var(&f.seed, "seed", 1, "of everything that chance decides; the same seed replays the same simulation")
}

var stages = map[string][]string{
	"sim":        {steps.Simulated},
	"containers": {steps.Containers},
	"both":       {steps.Simulated, steps.Containers},
}

// rehearsal reads what the flags name.
func (f *flags) rehearsal(ctx context.Context, features []string) (*steps.Rehearsal, error) {
	names, ok := stages[f.stage]
	if !ok {
		return nil, fmt.Errorf("--stage %q: it is one of %q", f.stage, slices.Sorted(maps.Keys(stages)))
	}
	if !(f.pace >= 1 && f.pace <= 1000) {
		return nil, fmt.Errorf("--pace %g: it is from 1 (as the wall) to 1000", f.pace)
	}
	switch f.cloudwatch {
	case "", containers.CloudWatchEmbedded:
	case containers.CloudWatchLocalStack, containers.CloudWatchAWS:
		if f.pace != 1 {
			return nil, fmt.Errorf("--cloudwatch %s needs --pace 1: its clock is its own", f.cloudwatch)
		}
		if f.cloudwatch == containers.CloudWatchAWS && f.stage == "sim" {
			return nil, errors.New("--cloudwatch aws with --stage sim: only containers are watched by AWS")
		}
	default:
		return nil, fmt.Errorf("--cloudwatch %q: it is %q, %q or %q", f.cloudwatch, containers.CloudWatchEmbedded, containers.CloudWatchLocalStack, containers.CloudWatchAWS)
	}
	if f.parallel < 0 {
		return nil, fmt.Errorf("--parallel %d: at least 1, or 0 for as many as cores and memory allow", f.parallel)
	}
	p, err := project.Load(ctx, f.file)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(planErrors(p, p.Plan)...); err != nil {
		return nil, err
	}
	if len(features) == 0 {
		if p.Features == "" {
			return nil, fmt.Errorf("no features: name them on the command line, or as \"features\" in %s", f.file)
		}
		features = []string{p.Features}
	}
	return &steps.Rehearsal{Project: p, Features: features, Tags: f.tags, Stages: names, Seed: f.seed, Pace: f.pace, Parallel: f.parallel, Keep: f.keep, CloudWatch: f.cloudwatch, ContainerTags: f.containerTags, NoPipelines: !f.pipelines, Report: f.report}, nil
}

func planErrors(p *project.Project, plan *release.Plan) (errs []error) {
	for _, l := range plan.Lint(p.Facts(clock.Wall())) {
		if l.Severity == release.Error {
			errs = append(errs, errors.New(l.String()))
		}
	}
	return errs
}

func (f *flags) verify(c *cobra.Command, features []string, day string) error {
	today, err := dayOf(day)
	if err != nil {
		return err
	}
	keep := keeping{pastFlags: f.past}
	if keep.key, err = f.signer(); err != nil {
		return err
	}
	r, err := f.rehearsal(c.Context(), features)
	if err != nil {
		return err
	}
	if f.cloudwatch == containers.CloudWatchAWS {
		if r.AWS, err = askForAWS(c.Context(), &r.Project.Setup, f.yes, c.InOrStdin(), speaks(c)); err != nil {
			return err
		}
	}
	r.Parity.Today = today
	return verify(c.Context(), r, speaks(c), f.serve, keep)
}

func verifyCommand() *cobra.Command {
	f := &flags{}
	var day string
	c := &cobra.Command{
		Use:   "verify [features...]",
		Short: "Run the scenarios on the simulated stage and in containers",
		RunE: func(c *cobra.Command, features []string) error {
			err := f.verify(c, features, day)
			var status exitStatus
			if err != nil && !errors.As(err, &status) && onGitHub() {
				report.AnnotateMistakes(c.OutOrStdout(), readersLang(c), err, os.Getenv("GITHUB_WORKSPACE"))
			}
			return err
		},
	}
	f.add(c)
	addToday(c, &day)
	c.Flags().Float64Var(&f.pace, "pace", 60, "how many times faster than the wall release time runs in containers while nothing but waiting happens")
	c.Flags().IntVar(&f.parallel, "parallel", 0, "how many scenarios run at once in containers (0: as many as cores and memory allow)")
	c.Flags().StringVar(&f.containerTags, "container-tags", "", "of the scenarios selected, those to run in containers too (default: all)")
	c.Flags().BoolVar(&f.pipelines, "pipelines", true, fmt.Sprintf("run the scenarios tagged %s too: each runs the team's workflow, which takes seconds on any stage", steps.PipelineTag))
	c.Flags().StringVar(&f.cloudwatch, "cloudwatch", containers.CloudWatchEmbedded, fmt.Sprintf("what judges the alarms in containers: %s, or, at --pace 1, %s or %s (a real account, which is shown and asked about first)", containers.CloudWatchEmbedded, containers.CloudWatchLocalStack, containers.CloudWatchAWS))
	c.Flags().BoolVar(&f.yes, "yes", false, "with --cloudwatch aws: do not ask whether the account is the right one")
	c.Flags().BoolVar(&f.keep, "keep", false, "leave the containers of the stages running, to look at them")
	c.Flags().StringVar(&f.report, "report", "", "folder for JUnit XML, Cucumber JSON, results and histories")
	f.past.add(c)
	c.Flags().IntVar(&f.past.keep, "runs-keep", runs.Keep, "how many past runs are kept: the oldest go first")
	c.Flags().StringVar(&f.evidenceKey, "evidence-key", "", "the ed25519 key with which the evidence in the report folder is signed (made by rehearse evidence key)")
	addServe(c, &f.serve)
	return c
}

// verify runs the rehearsal and shows it, on out and, where it is served, in browsers.
func verify(ctx context.Context, r *steps.Rehearsal, out speaker, serve string, keep keeping) error {
	run, screen := live.NewRun(r.Project.Setup.Service), screenOf(out.Writer, out.Lang)
	server, err := serveAt(serve, run, out.Lang)
	if err != nil {
		return err
	}
	view := report.NewView(out.Writer, run, screen)
	view.Lang = out.Lang
	defer view.Close()
	r.Progress = func(line string) { view.Line("%s", out.Text(line)) }
	r.Engine = func(ctx context.Context) (*containers.Engine, error) { return engine(ctx, r.Progress) }
	r.Notify = notifier(run, view)
	heard := context.AfterFunc(ctx, func() { run.Tell(func(s *live.State, _ time.Time) { s.Stopping = true }) })
	defer heard()
	if server != nil {
		view.Line("live at %s (%s)", server.URL, out.Text(server.Who))
	}
	if err := beginPage(r); err != nil {
		return err
	}
	err = endPage(r, keep.pastFlags, out, rehearseWith(ctx, r, out, view, keep))
	return over(ctx, out, err, run, server, screen != nil)
}

// rehearseWith runs the rehearsal, says what came of it, and returns its exit status.
func rehearseWith(ctx context.Context, r *steps.Rehearsal, out speaker, view *report.View, keep keeping) (ret error) {
	began := clock.Wall()
	view.Line("Rehearsing the releases of %s (seed %d)", r.Project.Setup.Service, r.Seed)
	if n := len(containers.ComposeNotes(r.Project.Compose, &r.Project.Setup)); n > 0 {
		view.Line("of the compose file, %d things are otherwise on a stage: `rehearse doctor` lists them", n)
	}
	digests, done := localDigests(ctx)
	r.Parity.Key, r.Parity.Digests = fingerprintKey(), digests
	facts, err := beginRun(ctx, r, keep, view)
	if err != nil {
		return err
	}
	v, err := r.Verify(ctx)
	done()
	view.Close()
	defer func() { ret = facts.end(ctx, v, ret, out) }()
	if v != nil {
		came := summary(v, clock.Since(began))
		if came.Parity == nil {
			came.NotCompared = notCompared(r.Project)
		}
		var b bytes.Buffer
		report.Summary(&b, came) // what is kept is the same for every reader
		var said bytes.Buffer
		came.Lang = out.Lang
		report.Summary(&said, came)
		if _, werr := out.Write(said.Bytes()); werr != nil {
			return werr
		}
		if werr := tellGitHub(came, out); werr != nil {
			return werr
		}
		if r.Report != "" {
			if werr := os.WriteFile(filepath.Join(r.Report, "summary.txt"), b.Bytes(), 0o644); werr != nil {
				return werr
			}
			if werr := keepParity(r.Report, v.Parity); werr != nil {
				return werr
			}
			if werr := keepCompared(r.Report, v.Compared); werr != nil {
				return werr
			}
		}
	}
	if r.AWS != nil {
		if left := r.AWS.Left(); left != nil { // once more, last, and as commands can be copied
			fmt.Fprintf(out, "\n%s\n", out.Text(left.Error()))
		}
	}
	var input *steps.InputError
	switch {
	case errors.Is(err, context.Canceled):
		out.say("interrupted: the stages were taken down; nothing may be concluded")
		return exitStatus(steps.ExitInconclusive)
	case errors.As(err, &input) || err != nil && v == nil:
		return err
	case err != nil:
		out.tell(err.Error())
		return exitStatus(steps.ExitInconclusive)
	}
	if s := v.Status(); s != steps.ExitVerified {
		return exitStatus(s)
	}
	return nil
}

// onGitHub says whether this is a step of a GitHub Actions workflow.
func onGitHub() bool { return os.Getenv("GITHUB_ACTIONS") == "true" }

// tellGitHub shows a run on the page of the workflow's run, where this is one.
func tellGitHub(run report.Run, out io.Writer) error {
	if !onGitHub() {
		return nil
	}
	report.Annotations(out, run, os.Getenv("GITHUB_WORKSPACE"))
	name := os.Getenv("GITHUB_STEP_SUMMARY")
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("the step summary cannot be written: %w", err)
	}
	report.Markdown(f, run)
	return f.Close()
}

func resultLine(l lang.Lang, r *steps.Result) string {
	line := lang.Pad(l.Text(r.Stage), 10) + " " + r.Spec.Name
	if r.Released > 0 {
		line += l.Sprintf(" (%s in %s)", report.Clock(r.Released), r.Took.Round(100*time.Millisecond).String())
	}
	return line
}

// outsideOf is the calls of every scenario to something outside.
func outsideOf(v *steps.Verification) []report.Outside {
	var histories []*stage.History
	for _, r := range v.Results {
		if r.History != nil {
			histories = append(histories, r.History)
		}
	}
	return report.OutsideOf(histories)
}

// summary hands what came of the rehearsal to the report.
func summary(v *steps.Verification, took time.Duration) report.Run {
	run := report.Run{Outside: outsideOf(v), Took: took, Seed: v.Seed, Unverified: v.Unverified, Skipped: v.Skipped, LeftOut: v.LeftOut, Status: v.Status(), Parity: v.Parity}
	for _, r := range v.Results {
		s := report.Scenario{
			Stage: r.Stage, Where: r.Spec.Where(), Feature: r.Spec.Feature, Name: r.Spec.Name, Verdict: r.Verdict, Input: r.Input,
			Step: r.Step, Findings: r.Findings, Measures: r.Measures, Undetected: r.Undetected, File: r.File, Err: r.Err,
		}
		if r.Outcome != nil {
			s.Outcome = r.Outcome.Detail
		}
		run.Scenarios = append(run.Scenarios, s)
	}
	for _, c := range v.Compared {
		run.Compared = append(run.Compared, report.Comparison{Where: c.Spec.Where(), Name: c.Spec.Name, Predicted: c.Predicted, Measured: c.Measured, Apart: c.Apart()})
	}
	return run
}

// engine finds the container engine; where there is none and it may, it installs
// Debian's.
func engine(ctx context.Context, progress func(string)) (*containers.Engine, error) {
	e, err := containers.ConnectEngine(ctx)
	if err == nil || !errors.Is(err, containers.ErrNoEngine) {
		return e, err
	}
	if containers.EngineInstallable() != nil { // refused, or it cannot
		return nil, err
	}
	if err := containers.InstallEngine(ctx, progress); err != nil {
		return nil, err
	}
	return containers.ConnectEngine(ctx)
}

func knownBadCommand() *cobra.Command {
	f := &flags{}
	c := &cobra.Command{
		Use:   "knownbad [features...]",
		Short: "Break the harness itself in every known way, and show which scenarios notice",
		RunE: func(c *cobra.Command, features []string) error {
			r, err := f.rehearsal(c.Context(), features)
			if err != nil {
				return err
			}
			r.Engine = func(ctx context.Context) (*containers.Engine, error) { return engine(ctx, func(string) {}) }
			out := speaks(c)
			say := newProgress(c.ErrOrStderr(), out.Lang, "%s: %d scenarios rehearsed", "%s %3d%% of %d scenarios: %s")
			r.Notify = countBreakages(say)
			catches, err := r.KnownBad(c.Context())
			say.end()
			if err != nil {
				return err
			}
			missed := 0
			for _, k := range catches {
				out.say("%s: caught by %d", out.Text(string(k.Breakage)), len(k.By))
				for _, r := range k.By {
					fmt.Fprintf(out, "  %s %s (%s)\n    %s\n", r.Spec.Where(), r.Spec.Name, out.Text(r.Verdict.String()), strings.ReplaceAll(out.Text(r.Err.Error()), "\n", "\n    "))
				}
				if len(k.By) == 0 {
					missed++
				}
			}
			if missed > 0 {
				out.say("%d of %d breakages of the harness went unnoticed", missed, len(catches))
				return exitStatus(steps.ExitBroken)
			}
			out.say("every one of %d breakages of the harness turned scenarios red", len(catches))
			return nil
		},
	}
	f.add(c)
	f.stage, f.pace = "sim", 60
	c.Flags().Lookup("stage").DefValue = "sim"
	return c
}

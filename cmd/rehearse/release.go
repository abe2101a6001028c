package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rehearsal/internal/clock"
	"rehearsal/internal/containers"
	"rehearsal/internal/pipeline"
	"rehearsal/internal/release"
	"rehearsal/steps"
)

// onceFlags are those of what is done once: release and pipeline.
type onceFlags struct {
	flags
	plan, stable, ignore string
}

const noVersion = "none"

func (f *onceFlags) add(c *cobra.Command, where string) {
	f.parallel = 1
	c.Flags().StringVarP(&f.file, "file", "f", "rehearsal.yaml", "the rehearsal whose service it is")
	c.Flags().StringVar(&f.stage, "stage", "sim", where)
	c.Flags().StringVar(&f.stable, "stable", "", fmt.Sprintf("the version that serves everyone before, or %s (default: the first of the others)", noVersion))
	c.Flags().Uint64Var(&f.seed, "seed", 1, "of everything that chance decides; the same seed replays the same simulation")
	c.Flags().Float64Var(&f.pace, "pace", 60, "how many times faster than the wall release time runs in containers while nothing but waiting happens")
	c.Flags().StringVar(&f.report, "report", "", "folder for the history, as NDJSON")
}

// order is what the flags ask for.
func (f *onceFlags) order(ctx context.Context, version string, say func(string)) (*steps.Rehearsal, steps.Order, error) {
	o := steps.Order{Version: version, Now: clock.Wall(), IgnoreWindow: f.ignore}
	if f.stage == "both" {
		return nil, o, fmt.Errorf(`--stage both: a release is carried out on one: "sim" or "containers"`)
	}
	r, err := f.rehearsal(ctx, []string{"-"})
	if err != nil {
		return nil, o, err
	}
	r.Progress = say
	r.Engine = func(ctx context.Context) (*containers.Engine, error) { return engine(ctx, say) }
	o.Plan = r.Project.Plan
	if f.plan != "" {
		if o.Plan, err = release.ParseFile(filepath.Clean(f.plan)); err != nil {
			return nil, o, err
		}
		if err := errors.Join(planErrors(r.Project, o.Plan)...); err != nil {
			return nil, o, err
		}
	}
	known := slices.Sorted(maps.Keys(r.Project.Setup.Versions))
	others := slices.DeleteFunc(slices.Clone(known), func(v string) bool { return v == version })
	switch {
	case !slices.Contains(known, version):
		return nil, o, fmt.Errorf("there is no version %q in %s: known are %q", version, f.file, known)
	case f.stable == noVersion:
	case f.stable != "" && !slices.Contains(known, f.stable):
		return nil, o, fmt.Errorf("--stable %q: there is no such version in %s: known are %q, or %s", f.stable, f.file, known, noVersion)
	case f.stable != "":
		o.Stable = f.stable
	case len(others) > 0:
		o.Stable = others[0]
	}
	return r, o, nil
}

func releaseCommand() *cobra.Command {
	f := &onceFlags{}
	c := &cobra.Command{
		Use:   "release VERSION",
		Short: "Carry out the team's plan for a version on a stage",
		Long: `Release carries out the team's plan for a version, on a stage that it raises, and
prints what happens as it happens. As a step of a rehearsed pipeline it releases on the
stage of the rehearsal.

Exit status: 0 released and healthy, 1 not released: rolled back, refused (outside of the
plan's window, say) or stuck, so that a pipeline must stop, 2 the input is wrong,
3 inconclusive.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("ignore-window") && strings.TrimSpace(f.ignore) == "" {
				return errors.New("--ignore-window needs the reason, which is written down")
			}
			if door, there := pipeline.Door(); there {
				return f.ask(c.Context(), door, args[0], speaks(c))
			}
			out := speaks(c)
			say := sayer(out)
			r, o, err := f.order(c.Context(), args[0], say)
			if err != nil {
				return err
			}
			r.Lang = out.Lang
			if o.Stable == "" {
				out.say("Releasing %s by the plan %q on the %s stage, where no version serves everyone (seed %d)", o.Version, o.Plan.Name, out.Text(r.Stages[0]), r.Seed)
			} else {
				out.say("Releasing %s by the plan %q on the %s stage, where %s serves everyone (seed %d)", o.Version, o.Plan.Name, out.Text(r.Stages[0]), o.Stable, r.Seed)
			}
			done, err := r.CarryOut(c.Context(), o, say)
			return finish(out, done, err)
		},
	}
	f.add(c, "sim or containers: where it is released")
	c.Flags().StringVar(&f.plan, "plan", "", "the release plan (default: the rehearsal's own)")
	c.Flags().StringVar(&f.ignore, "ignore-window", "", "release outside of the plan's window too, for this `REASON`, which is written down")
	return c
}

// ask has the stage of the rehearsed pipeline, of which this is a step, release.
func (f *onceFlags) ask(ctx context.Context, door, version string, out speaker) error {
	r := pipeline.Request{Verb: pipeline.AskRelease, Version: version, IgnoreWindow: f.ignore}
	if f.plan != "" {
		data, err := os.ReadFile(f.plan)
		if err != nil {
			return err
		}
		r.Plan, r.PlanFile = string(data), f.plan
	}
	return askDoor(ctx, door, r, out)
}

func askDoor(ctx context.Context, door string, r pipeline.Request, out speaker) error {
	a, err := pipeline.Ask(ctx, door, r, out.Writer)
	if err == nil {
		err = a.Export()
	}
	if err != nil {
		out.tell(err.Error())
		return exitStatus(steps.ExitInconclusive)
	}
	return ended(a.Status)
}

func ended(status int) error {
	if status == steps.ExitVerified {
		return nil
	}
	return exitStatus(status)
}

func finish(out speaker, done steps.Carried, err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	out.tell(done.Text)
	if done.History != "" {
		out.say("history: %s", done.History)
	}
	return ended(done.Status)
}

// sayer prints lines, one at a time.
func sayer(out speaker) func(string) {
	lines := make(chan string)
	said := make(chan struct{})
	go func() {
		for l := range lines {
			out.tell(l)
			said <- struct{}{}
		}
	}()
	return func(l string) { lines <- l; <-said }
}

func confirmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "confirm VERSION",
		Short: "As a step of a rehearsed pipeline: the checks after the release of a version",
		Long: `Confirm asks whether a version serves everyone, and sends it the smoke requests of
rehearsal.yaml. It is for the job of a pipeline that verifies a release, and asks the stage
that the pipeline is rehearsed on.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			door, there := pipeline.Door()
			if !there {
				return errors.New("there is no release to confirm: this is for a step of a pipeline that `rehearse pipeline` or a scenario pushes to")
			}
			return askDoor(c.Context(), door, pipeline.Request{Verb: pipeline.AskConfirm, Version: args[0]}, speaks(c))
		},
	}
}

func pipelineCommand() *cobra.Command {
	f := &onceFlags{}
	c := &cobra.Command{
		Use:   "pipeline VERSION",
		Short: "Push a version to the team's GitHub Actions workflow, on this machine",
		Long: `Pipeline pushes the team's code to a git repository in a temporary folder and runs the
workflow that the push starts, on this machine and with nothing of your environment. Its
deploy job releases on a stage that is raised for it.

Exit status: 0 the pipeline is through and the version released, 1 it stopped, 2 the input
is wrong (the workflow, say), 3 inconclusive: something of it cannot run here.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			out := speaks(c)
			say := sayer(out)
			r, o, err := f.order(c.Context(), args[0], say)
			if err != nil {
				return err
			}
			done, err := r.Push(c.Context(), o, say)
			if done.Result != nil {
				for _, a := range done.Result.Advice {
					out.say("note: %s", out.Text(a))
				}
			}
			return finish(out, done, err)
		},
	}
	f.add(c, "sim or containers: where its deploy job releases")
	return c
}

// workerCommand is what rehearse calls itself with to run a workflow.
func workerCommand() *cobra.Command {
	return &cobra.Command{
		Use: steps.PipelineWorker, Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return pipeline.Worker(c.Context(), c.InOrStdin(), c.OutOrStdout())
		},
	}
}

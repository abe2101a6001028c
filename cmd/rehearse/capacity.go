package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rehearsal/internal/capacity"
	"rehearsal/internal/clock"
	"rehearsal/internal/containers"
	"rehearsal/steps"
)

func capacityCommand() *cobra.Command {
	f := &flags{}
	run := &steps.CapacityRun{}
	var require float64
	c := &cobra.Command{
		Use:   "capacity [version]",
		Short: "Find the highest load at which the plan keeps the objective",
		Long: `Releases the version by the plan, with short bakes, under one load after the other,
while the old version drains and the new one takes over: the load is doubled until the
objective is broken, and the limit is then closed in on. The objective is that of
rehearsal.yaml (objective: p99, errors), or of the flags.

In containers time runs as the wall does: what is measured is what this machine and the
limits of the compose file carry. The simulated stage knows how many requests a replica
answers at the same time (simulation: concurrency).

Exit status: 0 the limit is known, and is high enough where --require is given; 1 it is
not; 2 the input is wrong; 3 the machine could not make the load that would tell.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f.pace, f.parallel = 1, 1
			r, err := f.rehearsal(c.Context(), []string{"."})
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
			r.Progress = func(line string) { say("%s", line) }
			r.Engine = func(ctx context.Context) (*containers.Engine, error) { return engine(ctx, r.Progress) }
			if len(args) == 1 {
				run.Version = args[0]
			}
			status := steps.ExitVerified
			var kept []float64
			for _, name := range r.Stages {
				run.Rehearsal = *r
				run.Stages = []string{name}
				began := clock.Wall()
				say("%s", capacityHead(name))
				run.Step = func(s capacity.Step) { say("%s", capacityLine(s)) }
				found, err := run.Capacity(c.Context())
				var input *steps.InputError
				switch {
				case errors.As(err, &input) && len(r.Stages) > 1 && name == steps.Simulated:
					say("%v", err)
					continue
				case errors.Is(err, context.Canceled):
					say("interrupted: the stage was taken down; nothing may be concluded")
					return exitStatus(steps.ExitInconclusive)
				case err != nil:
					return err
				}
				kept = append(kept, found.Kept)
				status = sayCapacity(say, found, r.Project.Setup.Traffic.Rate, require, clock.Since(began))
			}
			if len(kept) == 2 && kept[0] > 0 {
				say("predicted %g, measured %g requests per second: %+.0f %%", kept[0], kept[1], 100*(kept[1]-kept[0])/kept[0])
			}
			if status != steps.ExitVerified {
				return exitStatus(status)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&f.file, "file", "f", "rehearsal.yaml", "the rehearsal that says what is released")
	c.Flags().StringVar(&f.stage, "stage", "containers", "sim, containers or both")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "of everything that chance decides")
	c.Flags().StringVar(&run.Stable, "stable", "", "the version that serves (default: the one whose image the compose file names)")
	c.Flags().DurationVar(&run.Objective.P99, "p99", 0, "within what time 99 % of the answers must come (default: objective in rehearsal.yaml)")
	c.Flags().Float64Var(&run.Objective.Errors, "errors", 0, "how many percent of the requests may fail (default: objective in rehearsal.yaml)")
	c.Flags().Float64Var(&run.Most, "most", 10000, "the highest load to try, in requests per second")
	c.Flags().Float64Var(&run.Precision, "precision", 0.1, "how near the limit is closed in on, as a share of it")
	c.Flags().DurationVar(&run.Hold, "hold", 10*time.Second, "how long each share of the traffic is held")
	c.Flags().Float64Var(&require, "require", 0, "how many times the traffic of rehearsal.yaml must be kept: 1.5 is a headroom of a half")
	return c
}

func capacityHead(stage string) string {
	return fmt.Sprintf("%-10s %8s %9s %9s %19s %7s", stage, "load", "p50", "p99", "95 % between", "errors")
}

func capacityLine(s capacity.Step) string {
	if s.Lost != nil {
		return fmt.Sprintf("???? %12.4g/s  %v", s.Rate, s.Lost)
	}
	mark, why := "kept", ""
	if s.Broke != "" {
		mark, why = "over", "\n     "+s.Broke
	}
	ms := func(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
	_, errors, _ := s.Served.Errors()
	return fmt.Sprintf("%-4s %12.4g/s %9s %9s %9s %9s %5.2f %%%s", mark, s.Rate, ms(s.Served.P50), ms(s.Served.P99), ms(s.Served.Low), ms(s.Served.Top), errors, why)
}

// sayCapacity says what was found, and is the exit status that it means.
func sayCapacity(say func(string, ...any), r *capacity.Result, rate, require float64, took time.Duration) int {
	if r.Kept > 0 {
		say("%g requests per second are kept while the release goes on, %.3g times the traffic of %g (%s)", r.Kept, r.Kept/rate, rate, took.Round(100*time.Millisecond))
	}
	lost := len(r.Steps) > 0 && r.Steps[len(r.Steps)-1].Lost != nil
	switch {
	case require > 0 && r.Kept >= require*rate:
	case require > 0 && lost:
		say("INCONCLUSIVE: %s", r.Bound)
		return steps.ExitInconclusive
	case require > 0:
		say("NOT ENOUGH: %g times the traffic are required, %g requests per second", require, require*rate)
		return steps.ExitBroken
	case lost:
		say("INCONCLUSIVE: %s", r.Bound)
		return steps.ExitInconclusive
	case r.Kept == 0:
		say("NOT KEPT: %s", r.Bound)
		return steps.ExitBroken
	}
	switch {
	case r.Bound != "":
		say("the limit is higher: %s", r.Bound)
	default:
		say("the limit is between %g and %g requests per second", r.Kept, r.Broke)
	}
	return steps.ExitVerified
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rehearsal/internal/containers"
	"rehearsal/internal/lang"
	"rehearsal/steps"
)

func checkCommand() *cobra.Command {
	f := &flags{}
	run := &steps.CheckRun{}
	c := &cobra.Command{
		Use:   "check [version]",
		Short: "Ask everything that must hold before a version is released",
		Long: `Raises the staging copy with the stable version serving everyone, asks everything
that can be asked before the other version is released (connections, migrations,
contracts, the version to go back to, room, alarms), and ends it again.

Exit status: 0 all is well, 1 a check failed, 2 the input is wrong, 3 nothing may be
concluded.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if f.stage == "both" {
				return errors.New("--stage both: checks are made on one stage: sim or containers")
			}
			r, err := f.rehearsal(c.Context(), []string{"."})
			if err != nil {
				return err
			}
			out := speaks(c)
			r.Progress = out.tell
			r.Engine = func(ctx context.Context) (*containers.Engine, error) { return engine(ctx, r.Progress) }
			run.Rehearsal = *r
			if len(args) == 1 {
				run.Version = args[0]
			}
			if err := run.Names(); err != nil {
				return err
			}
			out.say("%s on the %s stage: may %s be released, while %s serves?", r.Project.Setup.Service, out.Text(r.Stages[0]), run.Version, run.Stable)
			run.Tell = func(one steps.Checked) {
				verdict := "ok  "
				if !one.OK {
					verdict = "FAIL"
				}
				fmt.Fprintf(out, "%s %s %7s  %s\n", verdict, lang.Pad(one.Before.String(), 26), one.Took.Round(time.Millisecond), out.Text(strings.TrimSpace(one.Said)))
			}
			status, err := run.Check(c.Context())
			var input *steps.InputError
			switch {
			case errors.As(err, &input):
				return err
			case errors.Is(err, context.Canceled):
				out.say("interrupted: the stage was taken down; nothing may be concluded")
			case err != nil:
				out.say("INCONCLUSIVE: %s", err)
			case status == steps.ExitBroken:
				out.say("NOT READY: %s must not be released", run.Version)
			default:
				out.say("READY: %s may be released", run.Version)
			}
			if status != steps.ExitVerified {
				return exitStatus(status)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&f.file, "file", "f", "rehearsal.yaml", "the rehearsal that says what there is to check")
	c.Flags().StringVar(&f.stage, "stage", "containers", "sim or containers")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "of everything that chance decides")
	c.Flags().StringVar(&run.Stable, "stable", "", "the version that serves (default: the one whose image the compose file names)")
	c.Flags().Float64Var(&f.pace, "pace", 60, "how many times faster than the wall release time runs in containers while nothing but waiting happens")
	f.parallel = 1
	return c
}

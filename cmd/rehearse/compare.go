package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rehearsal/internal/compare"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/steps"
)

func compareCommand() *cobra.Command {
	var file, mix, asJSON, chart string
	var plans []string
	var printMix bool
	var c compare.Comparison
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Compare release plans: many simulated releases of each, against the same failures",
		Long: `Compare carries out many simulated releases by each plan. Every plan meets the same
versions, good and bad, and the same failures at the same moments. It tells how long a
release takes, what is lost when a version is bad, how many bad versions are missed and
how many good ones taken back, each with its bounds, and which plan to choose and why.

Without --plans it compares every plan of the project, and for each strategy that none
of them has, one made from the team's own. What befalls the releases is a mix of
failures: --print-mix prints the one that is assumed, to be made your own.`,
		Example: `  rehearse compare --chart plans.svg
  rehearse compare --plans release.yaml,bolder.yaml --releases 5000
  rehearse compare --print-mix > mix.yaml && rehearse compare --mix mix.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := speaks(cmd)
			if printMix {
				_, err := io.WriteString(out, compare.DefaultMixFile())
				return err
			}
			p, err := project.Load(cmd.Context(), file)
			if err != nil {
				return err
			}
			c.Setup = p.Setup
			made, err := choosePlans(&c, p, plans)
			if err != nil {
				return err
			}
			var left []string
			if mix != "" {
				c.Mix, err = compare.ReadMix(mix, &p.Setup)
			} else {
				c.Mix, left = compare.DefaultMix(&p.Setup)
			}
			if err != nil {
				return err
			}
			say := newProgress(cmd.ErrOrStderr(), out.Lang, "%s: %d releases simulated", "%s %3d%% of %d releases: %s")
			c.Progress = func(p *release.Plan, done, of int) { say.count(p.Name, done, of) }
			r, err := c.Run(cmd.Context())
			say.end()
			var input *compare.InputError
			switch {
			case errors.As(err, &input):
				return err
			case errors.Is(err, context.Canceled):
				out.say("interrupted: nothing may be concluded")
				return exitStatus(steps.ExitInconclusive)
			case err != nil:
				out.say("%v: nothing may be concluded", err)
				return exitStatus(steps.ExitInconclusive)
			}
			if err := r.Table(out, out.Lang); err != nil {
				return err
			}
			sayMore(out, p, r, made, left)
			return errors.Join(writeWhole(asJSON, r.JSON), writeWhole(chart, r.Chart))
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "rehearsal.yaml", "the rehearsal whose service is released")
	f.StringSliceVar(&plans, "plans", nil, "plan files to compare (default: every plan of the project, and every strategy)")
	f.IntVar(&c.Releases, "releases", 1000, "how many releases of each plan")
	f.Uint64Var(&c.Seed, "seed", 1, "of everything that chance decides; the same seed gives the same bytes")
	f.StringVar(&mix, "mix", "", "file that says what befalls releases, and how often")
	f.BoolVar(&printMix, "print-mix", false, "print the mix that is assumed without --mix")
	f.DurationVar(&c.Unnoticed, "unnoticed", compare.DefaultUnnoticed, "how long after the longest plan people find a bad version that was missed")
	f.Float64Var(&c.PerUser, "requests-per-user", compare.DefaultPerUser, "how many requests a user's visit is")
	f.StringVar(&asJSON, "json", "", "file to write every figure to")
	f.StringVar(&chart, "chart", "", "file to write the chart to, as SVG")
	return cmd
}

// sayMore says what the table does not: which plans were made up, what is wrong with the
// others, and what was left out of the mix.
func sayMore(out speaker, p *project.Project, r *compare.Result, made, left []string) {
	var lines []string
	for _, name := range made {
		lines = append(lines, out.Sprintf("%q is made from %s: no plan of the project has this strategy.", name, p.Plan.File))
	}
	for _, c := range r.Costs {
		if !slices.Contains(made, c.Plan.Name) {
			for _, wrong := range planErrors(p, c.Plan) {
				lines = append(lines, out.Text(wrong.Error()))
			}
		}
	}
	for _, why := range left {
		lines = append(lines, out.Sprintf("Left out of the mix: %s.", out.Text(why)))
	}
	if len(lines) > 0 {
		fmt.Fprintf(out, "\n%s\n", strings.Join(lines, "\n"))
	}
}

// choosePlans sets the plans that are compared, and returns the names of those made up.
func choosePlans(c *compare.Comparison, p *project.Project, files []string) (made []string, err error) {
	if len(files) == 0 {
		c.Plans, made = compare.Candidates(p.Plan, p.Plans)
		return made, nil
	}
	var wrong []error
	for _, name := range files {
		plan, err := release.ParseFile(filepath.Clean(name))
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		c.Plans = append(c.Plans, plan)
	}
	return nil, errors.Join(wrong...)
}

// writeWhole writes a file that is either whole or not there; no name is no file.
func writeWhole(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	temporary := name + ".part"
	if err := os.WriteFile(temporary, b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, name)
}

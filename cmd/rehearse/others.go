package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rehearsal/internal/clock"
	"rehearsal/internal/containers"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/steps"
)

func planCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "plan [release.yaml]",
		Short: "Print the release plan as people read it, and say what is wrong with it",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := project.Load(c.Context(), file)
			if err != nil {
				return err
			}
			plan := p.Plan
			if len(args) == 1 {
				if plan, err = release.ParseFile(filepath.Clean(args[0])); err != nil {
					return err
				}
			}
			facts := p.Facts(clock.Wall())
			plan.Describe(c.OutOrStdout(), facts)
			wrong := false
			for _, l := range plan.Lint(facts) {
				fmt.Fprintln(c.OutOrStdout(), l)
				wrong = wrong || l.Severity == release.Error
			}
			if wrong {
				return exitStatus(steps.ExitInput)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "rehearsal.yaml", "the rehearsal that the plan belongs to")
	return c
}

func stepsCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "steps",
		Short: "List every phrase that a scenario may use, in English and Japanese, with an example",
		Long: `Lists every built-in phrase, in English and Japanese, with an example, and the
phrases of the team, which the file named as "phrases" in rehearsal.yaml makes of them.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w := c.OutOrStdout()
			list := func(p steps.Phrase) {
				en, ja := p.Examples()
				for _, form := range [][3]string{{p.Keyword, p.English, en}, {p.KeywordJapanese(), p.Japanese, ja}} {
					if form[1] != "" {
						fmt.Fprintf(w, "%s %s\n", form[0], form[1])
					}
				}
				for _, form := range [][3]string{{p.Keyword, p.English, en}, {p.KeywordJapanese(), p.Japanese, ja}} {
					if form[1] != "" {
						fmt.Fprintf(w, "  %s %s\n", form[0], form[2])
					}
				}
			}
			for _, p := range steps.Phrases() {
				list(p)
				fmt.Fprintln(w)
			}
			if _, err := os.Stat(file); err != nil && !c.Flags().Changed("file") {
				return nil // the built-in phrases need no rehearsal
			}
			p, err := project.Load(c.Context(), file)
			if err != nil {
				return err
			}
			own, err := steps.TeamPhrases(p)
			if err != nil {
				return err
			}
			for _, p := range own {
				list(p.Phrase)
				for _, text := range p.Means {
					fmt.Fprintf(w, "    stands for: %s\n", text)
				}
				fmt.Fprintln(w)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "rehearsal.yaml", "the rehearsal whose phrases are listed too, where there is one")
	return c
}

func doctorCommand() *cobra.Command {
	var file string
	var engineOnly bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what a rehearsal needs of this machine, what is missing, and how to get it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w := c.OutOrStdout()
			if engineOnly {
				e, err := containers.ConnectEngine(c.Context())
				if err != nil {
					fmt.Fprintln(w, err)
					return exitStatus(steps.ExitInconclusive)
				}
				fmt.Fprintf(w, "Docker engine %s\n", e.Version)
				return e.Close()
			}
			p, err := project.Load(c.Context(), file)
			if err != nil {
				return err
			}
			for _, note := range containers.ComposeNotes(p.Compose, &p.Setup) {
				fmt.Fprintf(w, "%-8s %s\n", containers.EngineWeak, note)
			}
			missing := false
			for _, f := range containers.Survey(c.Context(), append(p.Images(), containers.HarnessImages()...), p.Recipes...) {
				fmt.Fprintf(w, "%-8s %s: %s\n", f.State, f.What, f.Detail)
				if f.Remedy != "" && f.State != containers.EngineFine {
					fmt.Fprintf(w, "%-8s %s\n", "", f.Remedy)
				}
				missing = missing || f.State == containers.EngineMissing
			}
			if missing {
				return exitStatus(steps.ExitInconclusive)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "rehearsal.yaml", "the rehearsal to look at")
	c.Flags().BoolVar(&engineOnly, "engine", false, "only say whether a Docker engine answers")
	return c
}

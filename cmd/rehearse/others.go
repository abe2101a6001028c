package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rehearsal/internal/clock"
	"rehearsal/internal/containers"
	"rehearsal/internal/lang"
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
			out := speaks(c)
			plan.Describe(out, out.Lang, facts)
			if plan.Window != nil {
				tellOpening(out, steps.StartRules(p, plan), facts.Now)
			}
			wrong := false
			for _, l := range plan.Lint(facts) {
				out.tell(l.String())
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
	var file, glue string
	var asJSON bool
	c := &cobra.Command{
		Use:   "steps",
		Short: "List every phrase that a scenario may use, in English and Japanese, with an example",
		Long: `Lists every built-in phrase, in English and Japanese, with an example, and the
phrases of the team, which the file named as "phrases" in rehearsal.yaml makes of them.
With --json for programs, with the names that the rehearsal knows; with --glue for
editors: docs/editor.md says how.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var p *project.Project
			_, err := os.Stat(file)
			if err == nil || c.Flags().Changed("file") { // the built-in phrases need no rehearsal
				if p, err = project.Load(c.Context(), file); err != nil {
					return err
				}
			}
			if !asJSON && glue == "" {
				return listSteps(speaks(c), p)
			}
			all, err := steps.NewCatalogue(p)
			if err != nil {
				return err
			}
			if glue != "" {
				if filepath.Ext(glue) != ".js" {
					return fmt.Errorf("--glue %s: it is JavaScript, and the language server goes by the name: call it %s.js", glue, strings.TrimSuffix(glue, filepath.Ext(glue)))
				}
				var b bytes.Buffer
				if err := all.Glue(&b); err != nil {
					return err
				}
				if err := os.WriteFile(glue, b.Bytes(), 0o644); err != nil {
					return err
				}
			}
			if !asJSON {
				return nil
			}
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(all)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "rehearsal.yaml", "the rehearsal whose phrases are listed too, where there is one")
	c.Flags().BoolVar(&asJSON, "json", false, "list them for programs (docs/steps.schema.json)")
	c.Flags().StringVar(&glue, "glue", "", "write them to this file (.js) for the Cucumber language server")
	return c
}

// listSteps lists the phrases for people; without a project the built-in ones.
func listSteps(w speaker, p *project.Project) error {
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
	if p == nil {
		return nil
	}
	own, err := steps.TeamPhrases(p)
	for _, p := range own {
		list(p.Phrase)
		for _, text := range p.Means {
			w.say("    stands for: %s", text)
		}
		fmt.Fprintln(w)
	}
	return err
}

func doctorCommand() *cobra.Command {
	var file string
	var engineOnly bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what a rehearsal needs of this machine, what is missing, and how to get it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			w := speaks(c)
			if engineOnly {
				e, err := containers.ConnectEngine(c.Context())
				if err != nil {
					w.tell(err.Error())
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
				finding(w, containers.EngineWeak.String(), w.Text(note))
			}
			missing := false
			for _, f := range containers.Survey(c.Context(), append(p.Images(), containers.HarnessImages()...), p.Recipes...) {
				finding(w, f.State.String(), w.Text(f.What)+": "+w.Text(f.Detail))
				if f.Remedy != "" && f.State != containers.EngineFine {
					finding(w, "", w.Text(f.Remedy))
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

// finding prints a line of what doctor found.
func finding(w speaker, state, text string) {
	fmt.Fprintf(w, "%s %s\n", lang.Pad(w.Text(state), 8), text)
}

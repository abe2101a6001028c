package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"rehearsal/internal/lint"
	"rehearsal/internal/project"
	"rehearsal/internal/report"
	"rehearsal/steps"
)

func lintCommand() *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:   "lint [features...]",
		Short: "Say what in the features is wrong, or of no use to their reader, and what to write instead",
		Long: `Looks at features, in English and Japanese, and at the team's own phrases, and runs
nothing: phrases that nobody knows, with the nearest one; names that the rehearsal
has not; two scenarios with one name; two steps in one; times without a number;
scenarios that promise nothing. docs/editor.md has every rule, and how a comment
switches one off.

Exit status: 0 nothing to say, 1 warnings, 2 errors, which verify would refuse.`,
		RunE: func(c *cobra.Command, features []string) error {
			print, ok := map[string]func(speaker, []lint.Finding) error{"text": lintText, "github": lintGitHub, "json": lintJSON}[format]
			if !ok {
				return fmt.Errorf("--format %q: it is text, github or json", format)
			}
			p, err := project.Load(c.Context(), file)
			if err != nil {
				return err
			}
			if len(features) == 0 {
				if p.Features == "" {
					return fmt.Errorf("no features: name them on the command line, or as \"features\" in %s", file)
				}
				features = []string{p.Features}
			}
			files, err := steps.FeatureFiles(features)
			if err != nil {
				return err
			}
			found, err := lint.Features(p, files)
			if err != nil {
				return err
			}
			w, status := speaks(c), steps.ExitVerified
			for i, f := range found {
				found[i].Message, found[i].Remedy = w.Text(f.Message), w.Text(f.Remedy)
				if f.Severity == lint.Error {
					status = steps.ExitInput
				} else {
					status = max(status, steps.ExitBroken)
				}
			}
			if err := print(w, found); err != nil {
				return err
			}
			if status != steps.ExitVerified {
				return exitStatus(status)
			}
			if format == "text" {
				w.say("features looked at: %d; nothing to say", len(files))
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "rehearsal.yaml", "the rehearsal that the features belong to")
	c.Flags().StringVar(&format, "format", "text", "text, github (annotations of a pull request) or json")
	return c
}

// lintText is a line for each finding, as compilers print them.
func lintText(w speaker, found []lint.Finding) error {
	for _, f := range found {
		text := f.Message
		if f.Remedy != "" {
			text = w.Sprintf("%s; %s", f.Message, f.Remedy)
		}
		fmt.Fprintf(w, "%s:%d:%d: %s: %s: %s\n", f.File, f.Line, f.Column, w.Text(string(f.Severity)), f.Rule, text)
	}
	return nil
}

func lintGitHub(w speaker, found []lint.Finding) error {
	for _, f := range found {
		report.Annotate(w, string(f.Severity), f.File, f.Line, f.Column, string(f.Rule), strings.TrimSpace(f.Message+"\n"+f.Remedy), os.Getenv("GITHUB_WORKSPACE"))
	}
	return nil
}

func lintJSON(w speaker, found []lint.Finding) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Format   int            `json:"format"`
		Findings []lint.Finding `json:"findings"`
	}{1, append([]lint.Finding{}, found...)})
}

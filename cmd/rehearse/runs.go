package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rehearsal/internal/report"
	"rehearsal/internal/runs"
)

func runsCommand() *cobra.Command {
	var rehearsal string
	var past pastFlags
	var flaky, asJSON bool
	n := 20
	c := &cobra.Command{
		Use:   "runs [scenario]",
		Short: "List past runs, or the past of a scenario, and say which are flaky",
		Long: `Runs lists what came of past runs of rehearse verify, newest first, and asks of them
what DORA asks of deployments. With a scenario, by a part of its name or as file:line, it
lists the past of that one. With --flaky it lists the scenarios that came out differently
at the same commit.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if n < 0 {
				return fmt.Errorf("-n %d: at least 1, or 0 for all", n)
			}
			file, err := past.of(rehearsal)
			if err != nil {
				return err
			}
			if file == "" {
				return fmt.Errorf("--runs %s: name the file in which past runs are kept", noRuns)
			}
			store, err := runs.OpenToRead(c.Context(), file)
			if errors.Is(err, runs.ErrNone) {
				return fmt.Errorf("no runs are kept in %s: `rehearse verify` begins to; name the rehearsal with --file, or the file with --runs", file)
			}
			if err != nil {
				return err
			}
			defer func() { _ = store.Close() }()
			show := &pastShow{store, report.PastRuns{Out: c.OutOrStdout(), Lang: readersLang(), Zone: time.Local}, n, asJSON}
			switch {
			case flaky:
				return show.flaky(c, args)
			case len(args) == 1:
				return show.scenario(args[0])
			}
			return show.list(c)
		},
	}
	c.Flags().StringVarP(&rehearsal, "file", "f", "rehearsal.yaml", "the rehearsal whose past runs are listed")
	past.add(c)
	c.Flags().IntVarP(&n, "number", "n", n, "how many runs to list (0: all)")
	c.Flags().BoolVar(&flaky, "flaky", false, "list the scenarios that came out differently at the same commit")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// pastShow answers what `rehearse runs` is asked.
type pastShow struct {
	store  *runs.Store
	print  report.PastRuns
	n      int
	asJSON bool
}

func (s *pastShow) list(c *cobra.Command) error {
	all, err := s.store.Runs(c.Context(), 0)
	if err != nil {
		return err
	}
	dora, shown := runs.MeasureDORA(all), all
	if s.n > 0 {
		shown = all[:min(s.n, len(all))]
	}
	if s.asJSON {
		return printJSON(s.print.Out, map[string]any{"file": s.store.File(), "runs": shown, "kept": len(all), "dora": dora})
	}
	s.print.List(shown, len(all), s.store.File())
	fmt.Fprintln(s.print.Out)
	s.print.DORA(dora)
	return nil
}

func (s *pastShow) scenario(name string) error {
	lines, err := s.linesOf(name)
	if err != nil {
		return err
	}
	type line struct {
		runs.Line
		Past []runs.Past `json:"past"`
	}
	var all []line
	for _, l := range lines {
		n := s.n
		if n == 0 {
			n = -1
		}
		past, err := s.store.Past(l.Stage, l.Feature, l.Scenario, n)
		if err != nil {
			return err
		}
		all = append(all, line{l, past})
	}
	if s.asJSON {
		return printJSON(s.print.Out, map[string]any{"file": s.store.File(), "scenarios": all})
	}
	for i, l := range all {
		if i > 0 {
			fmt.Fprintln(s.print.Out)
		}
		s.print.Line(l.Line, l.Past)
	}
	return nil
}

func (s *pastShow) flaky(c *cobra.Command, args []string) error {
	all, err := s.store.Flaky(c.Context())
	if err != nil {
		return err
	}
	if len(args) == 1 {
		lines, err := s.linesOf(args[0])
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(f runs.Flaky) bool {
			return !slices.ContainsFunc(lines, func(l runs.Line) bool {
				return l.Stage == f.Stage && l.Feature == f.Feature && l.Scenario == f.Scenario
			})
		})
	}
	if s.asJSON {
		return printJSON(s.print.Out, map[string]any{"file": s.store.File(), "flaky": slices.Concat([]runs.Flaky{}, all)})
	}
	s.print.Flaky(all)
	return nil
}

// linesOf is the scenarios of that name, or with that in their name, or at that place.
func (s *pastShow) linesOf(name string) ([]runs.Line, error) {
	all, err := s.store.Lines()
	if err != nil {
		return nil, err
	}
	with := func(is func(runs.Line) bool) []runs.Line {
		return slices.DeleteFunc(slices.Clone(all), func(l runs.Line) bool { return !is(l) })
	}
	found := with(func(l runs.Line) bool { return l.Scenario == name || l.Place == name })
	if len(found) == 0 {
		found = with(func(l runs.Line) bool { return strings.Contains(strings.ToLower(l.Scenario), strings.ToLower(name)) })
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no run that is kept in %s had a scenario with %q in its name, or at that place: `rehearse runs` lists the runs, and a renamed scenario begins anew", s.store.File(), name)
	}
	return found, nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

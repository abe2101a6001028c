package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"rehearsal/internal/clock"
	"rehearsal/internal/lang"
	"rehearsal/internal/page"
	"rehearsal/internal/project"
	"rehearsal/internal/runs"
)

func docsCommand() *cobra.Command {
	var d docs
	c := &cobra.Command{
		Use:   "docs [features...]",
		Short: "Write what is promised of releases as one HTML file, without running anything",
		Long: `Docs writes one HTML file that needs nothing else: the features as prose with how
each scenario ended last and how long ago, the plan as a diagram and in words, the
alarms in words, and the glossary.

How scenarios ended is read from the past runs that rehearse verify keeps, or from
the report folder that --report names.`,
		RunE: func(c *cobra.Command, features []string) error {
			d.lang = readersLang(c)
			file, err := d.write(c.Context(), features)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), file)
			return nil
		},
	}
	c.Flags().StringVarP(&d.file, "file", "f", "rehearsal.yaml", "the rehearsal that is written about")
	c.Flags().StringVarP(&d.out, "output", "o", "release-docs", "the folder into which index.html is written")
	c.Flags().StringVar(&d.report, "report", "", "the report folder of a run, whose outcomes are told instead of those of the past runs")
	d.past.add(c)
	return c
}

// docs is what is asked.
type docs struct {
	file, out, report string
	lang              lang.Lang
	past              pastFlags
	broken            error // why past runs cannot be read
}

// write writes the file and tells which.
func (d *docs) write(ctx context.Context, features []string) (file string, err error) {
	p, err := project.Load(ctx, d.file)
	if err != nil {
		return "", err
	}
	for _, f := range features {
		if _, err := os.Stat(f); err != nil {
			return "", fmt.Errorf("%s: name a feature file or a folder of them: %w", f, err)
		}
	}
	if len(features) == 0 && p.Features != "" {
		features = []string{p.Features}
	}
	now := clock.Wall()
	g := &page.Guide{Service: p.Setup.Service, Replicas: p.Facts(now).Replicas, Alarms: p.Setup.Alarms, Composites: p.Setup.Composites, Now: now}
	g.Features, g.Notes = page.ReadFeatures(features)
	g.Plans = append(g.Plans, p.Plan)
	names := make([]string, 0, len(p.Plans))
	for name, plan := range p.Plans {
		if plan != p.Plan {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		g.Plans = append(g.Plans, p.Plans[name])
	}
	done, err := d.outcomes(ctx, g)
	if err != nil {
		return "", err
	}
	defer done()
	var b bytes.Buffer
	if err := errors.Join(page.Docs(&b, g, d.lang), d.broken); err != nil {
		return "", err
	}
	if err := os.MkdirAll(d.out, 0o755); err != nil {
		return "", fmt.Errorf("-o %s: %w", d.out, err)
	}
	file = filepath.Join(d.out, "index.html")
	return file, os.WriteFile(file, b.Bytes(), 0o644)
}

// outcomes has the guide know how scenarios ended; done is to be called when that is
// asked no more.
func (d *docs) outcomes(ctx context.Context, g *page.Guide) (done func(), err error) {
	done = func() {}
	if d.report != "" {
		run, err := page.Read(d.report)
		if err != nil {
			return done, fmt.Errorf("--report %s: %w", d.report, err)
		}
		g.Last, g.Source = run.Outcomes(), filepath.ToSlash(d.report)
		return done, nil
	}
	file, err := d.past.of(d.file)
	if err != nil || file == "" {
		return done, err
	}
	store, err := runs.OpenToRead(ctx, file)
	if errors.Is(err, runs.ErrNone) {
		return done, nil // nothing was rehearsed yet
	}
	if err != nil {
		return done, err
	}
	g.Source = d.lang.Sprintf("past runs")
	g.Last = func(stage string, s *page.Scenario) []page.Past {
		const last = 12
		past, err := store.Past(stage, s.Feature.Name, s.Name, last)
		if err != nil {
			d.broken = err
			return nil
		}
		return shownPast(past)
	}
	return func() { _ = store.Close() }, nil
}

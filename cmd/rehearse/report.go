package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rehearsal/internal/page"
	"rehearsal/internal/runs"
	"rehearsal/steps"
)

// pageFile is the report in its folder, for people.
const pageFile = "report.html"

func reportCommand() *cobra.Command {
	var to string
	var past pastFlags
	c := &cobra.Command{
		Use:   "report FOLDER",
		Short: "Write the report of a run again, from the folder that it left",
		Long: `Report writes FOLDER/report.html from what verify --report left in the folder: one
file that needs no network and no server. A run that was killed, or of which files are
missing or damaged, has a report too, which says what is missing.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if to == "" {
				to = filepath.Join(args[0], pageFile)
			}
			if err := writePage(args[0], to, past, speaks(c)); err != nil {
				return err
			}
			if to != "-" {
				fmt.Fprintln(c.OutOrStdout(), to)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&to, "output", "o", "", `the file to write instead of FOLDER/report.html; "-" is standard output`)
	past.add(c)
	return c
}

// beginPage keeps what the page shows and nothing else of a run has: the features as they
// are now. What a run before left in their place goes.
func beginPage(r *steps.Rehearsal) error {
	if r.Report == "" {
		return nil
	}
	specs, err := steps.ReadSpecs(r.Project, r.Features, r.Tags)
	if err != nil {
		return err
	}
	var files []string
	for _, s := range specs {
		if len(files) == 0 || files[len(files)-1] != s.File {
			files = append(files, s.File)
		}
	}
	if err := os.Remove(filepath.Join(r.Report, page.ComparedFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return page.KeepFeatures(r.Report, files)
}

// endPage writes the page of a run that ended with err, which it returns.
func endPage(r *steps.Rehearsal, past pastFlags, out speaker, err error) error {
	var status exitStatus
	if r.Report == "" || err != nil && !errors.As(err, &status) { // it did not come to run
		return err
	}
	name := filepath.Join(r.Report, pageFile)
	if perr := writePage(r.Report, name, past, out); perr != nil {
		return fmt.Errorf("the report cannot be written: %w", errors.Join(perr, err))
	}
	out.say("report: %s", name)
	return err
}

// writePage writes the page of a report folder, or "-" for out.
func writePage(folder, to string, past pastFlags, out speaker) error {
	run, err := page.Read(folder)
	if err != nil {
		return err
	}
	before, done := past.before(folder)
	defer done()
	run.Past = before
	if to == "-" {
		return page.Report(out, run, out.Lang)
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".report-*.html") // whoever reads it meanwhile sees all of one
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone where all went well
	b := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(page.Report(b, run, out.Lang), b.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), to)
}

// shownRuns is how many past runs of a scenario the page shows.
const shownRuns = 20

// before is what came of a scenario before the run whose report is in the folder; nil
// where nothing is kept, or it cannot be read: verify has said why.
func (p pastFlags) before(folder string) (past func(stage, feature, scenario string) []page.Past, done func()) {
	done = func() {}
	run, err := runs.Read(folder)
	if err != nil {
		return nil, done
	}
	file, err := p.of(run.File)
	if err != nil || file == "" {
		return nil, done
	}
	store, err := runs.OpenToRead(context.Background(), file)
	if err != nil {
		return nil, done
	}
	return func(stage, feature, scenario string) []page.Past {
		all, _ := store.PastBefore(run.Began, stage, feature, scenario, shownRuns)
		return shownPast(all)
	}, func() { _ = store.Close() }
}

// shownPast is past runs as a page shows them.
func shownPast(all []runs.Past) []page.Past {
	out := make([]page.Past, len(all))
	for i, r := range all {
		out[i] = page.Past{At: r.At, Commit: r.Commit, Verdict: r.Verdict, Detect: r.Detect, Restore: r.Restore}
	}
	return out
}

// keepCompared writes which predictions lie further from what was measured than the
// tolerance: no result has that, since it is of two.
func keepCompared(folder string, cs []steps.Comparison) error {
	out := []page.Comparison{}
	for _, c := range cs {
		var apart []page.Finding
		for _, f := range c.Apart() {
			apart = append(apart, page.Finding{Check: f.Check, Verdict: f.Verdict.String(), Detail: f.Detail})
		}
		if len(apart) > 0 {
			out = append(out, page.Comparison{Where: c.Spec.Where(), Apart: apart})
		}
	}
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, page.ComparedFile), append(data, '\n'), 0o644)
}

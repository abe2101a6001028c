package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rehearsal/internal/clock"
	"rehearsal/internal/report"
	"rehearsal/internal/runs"
	"rehearsal/internal/stage"
	"rehearsal/steps"
)

// beginRun says what is known of a run before it runs, and leaves it in the report
// folder: a run that is killed leaves these facts, without an end.
func beginRun(ctx context.Context, r *steps.Rehearsal, view *report.View) (*runs.Run, error) {
	p := r.Project
	facts := &runs.Run{
		Service: p.Setup.Service, Began: clock.Wall().UTC(), Seed: r.Seed, Pace: r.Pace, Stages: r.Stages,
		File: p.File, Features: r.Features, Tags: r.Tags, ContainerTags: r.ContainerTags, Version: version(),
		Part: r.Tags != "" || len(r.Features) != 1 || r.Features[0] != p.Features,
	}
	if p.Production == nil {
		facts.NotCompared = notCompared(p)
	}
	if p.Plan != nil {
		text, err := os.ReadFile(p.Plan.File)
		if err != nil {
			return nil, err
		}
		facts.Plan, facts.PlanFile = string(text), p.Plan.File
	}
	commit, err := runs.CommitOf(ctx, filepath.Dir(p.File), r.Report)
	if err != nil {
		view.Line("the commit is not known: %v", err)
	}
	if facts.Commit, facts.Dirty = commit.ID, commit.Dirty; commit.ID != "" {
		facts.Committed = &commit.At
	}
	if r.Report == "" {
		return facts, nil
	}
	if err := runs.Begin(r.Report); err != nil {
		return nil, fmt.Errorf("--report %s: %w", r.Report, err)
	}
	return facts, facts.Write(r.Report)
}

// endRun completes the facts of a run that ended with err.
func endRun(r *steps.Rehearsal, facts *runs.Run, v *steps.Verification, err error) error {
	now, status := clock.Wall().UTC(), statusOf(err)
	facts.Ended, facts.Status = &now, &status
	if v != nil {
		facts.Skipped, facts.LeftOut, facts.Unverified, facts.Images = v.Skipped, v.LeftOut, v.Unverified, v.Images
		var histories []*stage.History
		for _, res := range v.Results {
			if res.History != nil {
				histories = append(histories, res.History)
			}
		}
		for _, o := range report.OutsideOf(histories) {
			call := o.Call.String()
			if len(o.Versions) > 0 {
				call += " (" + strings.Join(o.Versions, ", ") + ")"
			}
			facts.Outside = append(facts.Outside, call)
		}
	}
	if r.Report == "" {
		return err
	}
	return errors.Join(err, facts.Write(r.Report))
}

// statusOf is the exit status of a command that ended with err.
func statusOf(err error) int {
	var status exitStatus
	switch {
	case err == nil:
		return steps.ExitVerified
	case errors.As(err, &status):
		return int(status)
	}
	return steps.ExitInput
}

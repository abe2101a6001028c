package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"rehearsal/internal/check"
	"rehearsal/internal/clock"
	"rehearsal/internal/evidence"
	"rehearsal/internal/project"
	"rehearsal/internal/report"
	"rehearsal/internal/runs"
	"rehearsal/internal/stage"
	"rehearsal/steps"
)

// pastFlags say where past runs are kept.
type pastFlags struct {
	file string // "": runs.DefaultFile; noRuns: nowhere
	keep int
}

const noRuns = "none"

func (p *pastFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&p.file, "runs", "", `the file in which past runs are kept, or "none" (default: in your folder for state, by the path of rehearsal.yaml)`)
}

// of is the file of a rehearsal's past runs; "" for none.
func (p *pastFlags) of(rehearsal string) (string, error) {
	switch p.file {
	case noRuns:
		return "", nil
	case "":
		return runs.DefaultFile(rehearsal)
	}
	return p.file, nil
}

// keeping says where what came of a run is kept, and with what key its evidence is signed.
type keeping struct {
	pastFlags
	key *evidence.PrivateKey // nil: it is not signed
}

// facts is what is known of a run that goes on, and where it is kept.
type facts struct {
	*runs.Run
	report string // folder; "" for none
	store  *runs.Store
	rec    *runs.Recording
	say    func(format string, args ...any)
	once   sync.Once // says why past runs are not kept
	inputs []evidence.Subject
	key    *evidence.PrivateKey
	setup  *stage.Setup
}

// beginRun says what is known of a run before it runs, and leaves it in the report
// folder and with the past runs: a run that is killed leaves these facts, without an
// end. Where past runs cannot be kept the rehearsal goes on, and says so.
func beginRun(ctx context.Context, r *steps.Rehearsal, keep keeping, view *report.View) (*facts, error) {
	p := r.Project
	f := &facts{report: r.Report, say: view.Line, key: keep.key, setup: &p.Setup, Run: &runs.Run{
		Service: p.Setup.Service, Began: clock.Wall().UTC(), Seed: r.Seed, Pace: r.Pace, Stages: r.Stages,
		File: p.File, Features: r.Features, Tags: r.Tags, ContainerTags: r.ContainerTags, Version: build(),
		Part: r.Tags != "" || len(r.Features) != 1 || filepath.Clean(r.Features[0]) != filepath.Clean(p.Features),
	}}
	if p.Production == nil {
		f.NotCompared = notCompared(p)
	}
	if p.Plan != nil {
		text, err := os.ReadFile(p.Plan.File)
		if err != nil {
			return nil, err
		}
		f.Plan, f.PlanFile = string(text), p.Plan.File
	}
	commit, err := runs.CommitOf(ctx, filepath.Dir(p.File), r.Report)
	if err != nil {
		view.Line("the commit is not known: %v", err)
	}
	if f.Commit, f.Dirty = commit.ID, commit.Dirty; commit.ID != "" {
		f.Committed = &commit.At
	}
	if r.Report != "" {
		if f.inputs, err = inputsOf(p, r.Features); err != nil {
			return nil, err
		}
		if err := runs.Begin(r.Report); err != nil {
			return nil, fmt.Errorf("--report %s: %w", r.Report, err)
		}
		if err := f.Write(r.Report); err != nil {
			return nil, err
		}
	}
	f.record(ctx, keep.pastFlags, p.File)
	notify := r.Notify
	r.Notify = func(on string, n steps.Notice) {
		if n.Result != nil {
			f.add(ctx, n.Result)
		}
		if notify != nil {
			notify(on, n)
		}
	}
	return f, nil
}

// record begins to keep the run with the past ones.
func (f *facts) record(ctx context.Context, past pastFlags, rehearsal string) {
	file, err := past.of(rehearsal)
	if err == nil && file == "" {
		return
	}
	if err == nil {
		f.store, err = runs.Open(ctx, file)
	}
	if err == nil {
		f.rec, err = f.store.Record(ctx, f.Run, past.keep)
	}
	f.notKept(err)
}

// notKept says, once, why the run is not kept.
func (f *facts) notKept(err error) {
	if err != nil {
		f.once.Do(func() { f.say("this run is not kept with the past ones: %v", err) })
	}
}

// add keeps what came of a scenario. What an interrupted run cut off says nothing of
// the scenario, so that it is not kept.
func (f *facts) add(ctx context.Context, r *steps.Result) {
	if f.rec == nil || ctx.Err() != nil && r.Verdict == check.Inconclusive {
		return
	}
	res := runs.Result{
		Stage: r.Stage, Feature: r.Spec.Feature, Scenario: r.Spec.Name, Place: r.Spec.Where(), Verdict: r.Verdict.String(), Released: r.Version,
		Detect: r.Measures.Detect, Restore: r.Measures.Restore, Requests: r.Measures.Requests, Failed: r.Measures.Failed, Wall: r.Took,
	}
	if r.Err != nil {
		res.Step, res.Why = r.Step, r.Err.Error()
	}
	f.rec.Add(context.WithoutCancel(ctx), res)
	f.notKept(f.rec.Err())
}

// end completes the facts of a run that ended with err.
func (f *facts) end(ctx context.Context, v *steps.Verification, err error, out speaker) error {
	now, status := clock.Wall().UTC(), statusOf(err)
	f.Ended, f.Status = &now, &status
	if v != nil {
		f.Skipped, f.LeftOut, f.Unverified, f.Images = v.Skipped, v.LeftOut, v.Unverified, v.Images
		for _, o := range outsideOf(v) {
			f.Outside = append(f.Outside, o.String())
		}
	}
	if f.rec != nil {
		f.rec.End(context.WithoutCancel(ctx), f.Run)
		f.notKept(f.rec.Err())
	}
	if f.store != nil {
		_ = f.store.Close()
	}
	if f.report == "" {
		return err
	}
	if werr := f.Write(f.report); werr != nil {
		return errors.Join(err, werr)
	}
	if werr := f.testify(context.WithoutCancel(ctx), v, out); werr != nil {
		return errors.Join(err, fmt.Errorf("the evidence cannot be written: %w", werr))
	}
	return err
}

// testify writes the evidence of the run, after everything else in the report folder.
func (f *facts) testify(ctx context.Context, v *steps.Verification, out speaker) error {
	p := evidence.Predicate{
		Verdict: runs.VerdictOf(*f.Status), Run: *f.Run, Alarms: rulesOf(f.setup), Inputs: f.inputs,
		Versions: evidence.Versions{Rehearse: f.Version, Go: runtime.Version()},
	}
	if v != nil {
		for _, r := range v.Results {
			switch r.Verdict {
			case check.Passed:
				p.Passed++
			case check.Failed:
				p.Failed++
			case check.Inconclusive:
				p.Unknown++
			}
		}
		if p.Versions.Engine = v.Engine; v.Parity != nil {
			standings := map[string]int{}
			for _, d := range v.Parity.Differences {
				standings[d.Standing.String()]++
			}
			p.Parity = standings
		}
	}
	if err := evidence.Write(ctx, f.report, p, f.key); err != nil {
		return err
	}
	name := filepath.Join(f.report, evidence.File)
	if f.key == nil {
		out.say("evidence: %s, not signed (--evidence-key signs it)", name)
		return nil
	}
	id, err := f.key.KeyID()
	out.say("evidence: %s, signed with %s", name, id)
	return err
}

// rulesOf is the rules of the alarms, without what they call when they go off.
func rulesOf(s *stage.Setup) any {
	alarms, composites := slices.Clone(s.Alarms), slices.Clone(s.Composites)
	for i := range alarms {
		a := &alarms[i]
		a.AlarmArn, a.AlarmDescription, a.OKActions, a.AlarmActions, a.InsufficientDataActions, a.StateReason = "", "", nil, nil, nil, ""
	}
	rules := map[string]string{}
	for _, c := range composites {
		rules[c.AlarmName] = c.AlarmRule
	}
	return map[string]any{"MetricAlarms": alarms, "CompositeAlarms": rules}
}

// inputsOf is the files that decide the simulated part of a rehearsal.
func inputsOf(p *project.Project, features []string) ([]evidence.Subject, error) {
	files, err := steps.FeatureFiles(features)
	if err != nil {
		return nil, err
	}
	var all []evidence.Subject
	for _, file := range slices.Concat(p.Files, files) {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		hash := sha256.Sum256(data)
		all = append(all, evidence.NewSubject(filepath.ToSlash(file), hex.EncodeToString(hash[:])))
	}
	return all, nil
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

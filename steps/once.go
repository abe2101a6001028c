package steps

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/pipeline"
	"rehearsal/internal/release"
	"rehearsal/internal/report"
	"rehearsal/internal/stage"
)

// An Order is one release that somebody asks for on the command line, outside of any
// specification.
type Order struct {
	Version string
	Stable  string // what serves everyone before
	Plan    *release.Plan
	Now     time.Time // the calendar time, which the plan's window is held against
	// IgnoreWindow is the reason for releasing outside of the window.
	IgnoreWindow string
}

// A Carried is what came of an Order.
type Carried struct {
	Status  int // the exit status
	Text    string
	Outcome *release.Outcome // nil: it did not come to a release
	History string           // the file of it, as NDJSON; "" when none was written
	Result  *pipeline.Result // of a push
}

// CarryOut raises the stage, releases by the plan, and says how it went. say hears what
// happens, as it happens. An error is a mistake in what was asked for, or says that
// nothing could be run.
func (r Rehearsal) CarryOut(ctx context.Context, o Order, say func(string)) (Carried, error) {
	rules := StartRules(r.Project, o.Plan)
	if why := refused(rules, o.Now, o.IgnoreWindow); why != "" {
		return Carried{Status: ExitBroken, Text: why}, nil
	}
	return r.once(ctx, o, "release", say, func(ctx context.Context, w *World) error {
		if err := w.raise(ctx); err != nil {
			return err
		}
		w.noteIgnored(rules, o.Now, o.IgnoreWindow, o.Version)
		return w.release(ctx, o.Version, o.Plan)
	})
}

// Push raises the stage and pushes the version to the team's pipeline. The release is
// the pipeline's to order, and its window is held against o.Now.
func (r Rehearsal) Push(ctx context.Context, o Order, say func(string)) (Carried, error) {
	return r.once(ctx, o, "pipeline", say, func(ctx context.Context, w *World) error {
		w.pushed.now = o.Now
		w.pushed.notify = func(n pipeline.Notice) {
			if line := noticeLine(n); line != "" {
				say(line)
			}
		}
		return w.push(ctx, o.Version, nil, false)
	})
}

// noticeLine is a notice of a pipeline as people read it.
func noticeLine(n pipeline.Notice) string {
	switch {
	case n.Began:
		return n.Job
	case n.Line != "":
		return fmt.Sprintf("%s | %s", n.Job, n.Line)
	case n.Result != "" && n.Step != "":
		return fmt.Sprintf("%s: %s: %s", n.Job, n.Step, n.Result)
	case n.Result != "":
		return fmt.Sprintf("%s: %s", n.Job, strings.ToUpper(n.Result))
	}
	return ""
}

// once does one thing on a stage of its own, and judges what came of it.
func (r Rehearsal) once(ctx context.Context, o Order, what string, say func(string), do func(context.Context, *World) error) (Carried, error) {
	w := &World{setup: r.Project.Setup, stable: o.Stable}
	for _, name := range []string{o.Version, o.Stable} {
		if name == "" && o.Stable == "" { // the first release of all
			continue
		}
		if _, err := w.version(name); err != nil {
			return Carried{}, err
		}
	}
	name := r.Stages[0]
	// Its steps name the versions, so that their images are had.
	w.spec = &Spec{File: what, Line: 1, Name: fmt.Sprintf("%s of %s", what, o.Version), Steps: []string{fmt.Sprintf("%q", o.Version), fmt.Sprintf("%q", o.Stable)}}
	if name == Containers {
		w.spec.Tags = []string{ContainersOnly}
	}
	s := &Suite{Project: r.Project, Stage: name, Seed: r.Seed, Report: r.Report, Parallel: 1, Image: r.jobImage(ctx)}
	w.suite = s
	if r.Report != "" {
		if err := os.MkdirAll(filepath.Join(r.Report, "histories"), 0o755); err != nil {
			return Carried{}, err
		}
	}
	crew, err := r.crew(ctx, name, []*Spec{w.spec})
	if err != nil {
		return Carried{Status: ExitInconclusive, Text: fmt.Sprintf("nothing was released, for the stage cannot be raised: %v", err)}, nil
	}
	s.Raise = crew.raise
	var over atomic.Bool // what comes while the stage is taken down is no news
	s.Notify = func(n Notice) {
		if n.Stage != nil && what == "release" {
			n.Stage.History().Watch(func(e stage.Event) {
				if line := report.Line(r.Lang, e); line != "" && !over.Load() {
					say(line)
				}
			})
		}
	}
	err = do(ctx, w)
	over.Store(true)
	after := w.settled(ctx, err)
	c := Carried{Outcome: w.outcome, Result: w.pushed.result}
	if w.stage != nil && r.Report != "" {
		c.History = s.historyFile(w.spec)
	}
	c.Status, c.Text = w.verdict(errors.Join(err, after), o.Version)
	var input *InputError
	if errors.As(err, &input) {
		return c, err
	}
	return c, ctx.Err()
}

// settled ends the stage and holds the invariants. Alarms may go off in a release that
// is taken back; in one that is not they are findings.
func (w *World) settled(ctx context.Context, err error) error {
	if w.outcome == nil || w.outcome.Result != release.Released {
		w.spec.Alarms = w.setup.AlarmNames()
	}
	return w.end(ctx, err)
}

// verdict is the exit status and the sentence that goes with it.
func (w *World) verdict(err error, version string) (int, string) {
	var broken *check.Broken
	switch {
	case errors.Is(err, context.Canceled):
		return ExitInconclusive, "interrupted: the stage was taken down; nothing may be concluded"
	case err != nil && errors.As(err, &broken) && worst(err) == check.Failed:
		text := err.Error()
		if w.outcome != nil {
			text = fmt.Sprintf("%s, and not healthy: %v", w.outcome.Detail, err)
		}
		return ExitBroken, text
	case err != nil:
		return ExitInconclusive, fmt.Sprintf("nothing may be concluded: %v", err)
	}
	if r := w.pushed.result; r != nil {
		if j, stopped := r.Stopped(); stopped {
			return ExitBroken, "the pipeline stopped: " + j.Detail()
		}
		if w.outcome == nil {
			return ExitInconclusive, fmt.Sprintf("the pipeline is through (%s), and no job released %s: call `rehearse release` in the job that deploys", r, version)
		}
		if s := StatusOf(*w.outcome); s != ExitVerified {
			return s, fmt.Sprintf("the pipeline went on, though the release was %s: %s", w.outcome.Result, w.outcome.Detail)
		}
		return ExitVerified, fmt.Sprintf("the pipeline is through: %s; %s", r, w.outcome.Detail)
	}
	return StatusOf(*w.outcome), w.outcome.Detail
}

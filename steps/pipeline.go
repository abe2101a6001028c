package steps

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/clock"
	"rehearsal/internal/lang"
	"rehearsal/internal/pipeline"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/report"
	"rehearsal/internal/schedule"
	"rehearsal/internal/stage"
)

// PipelineTag marks the scenarios that push to a pipeline: they take seconds on any
// stage, since the pipeline is real on all of them.
const PipelineTag = "@pipeline"

// PipelineWorker is the argument with which the program is the process that runs a
// workflow, pipeline.Worker.
const PipelineWorker = "pipeline-worker"

func pipelinePhrases() []Phrase {
	pushed := func(broken func(*project.Pipeline) (folder, key, what string), pass bool) func(context.Context, *World, Args) error {
		return func(ctx context.Context, w *World, a Args) error { return w.push(ctx, a.Text("version"), broken, pass) }
	}
	failingTest := func(p *project.Pipeline) (folder, key, what string) {
		return p.FailingTest, "failingTest", "a test fails"
	}
	noBuild := func(p *project.Pipeline) (folder, key, what string) { return p.NoBuild, "noBuild", "it does not build" }
	return []Phrase{
		{"Given", `the push comes outside the plan's window`,
			`計画が許す時間帯の外にプッシュされる`,
			func(_ context.Context, w *World, _ Args) error {
				w.pushed.outside = true
				return nil
			}},
		{"When", `version {version} is pushed`,
			`版 {version} をプッシュする`, pushed(nil, false)},
		{"When", `version {version} is pushed and everything passes`,
			`版 {version} をプッシュし、全てのジョブが成功する`, pushed(nil, true)},
		{"When", `version {version} is pushed with a failing test`,
			`失敗するテストを含む版 {version} をプッシュする`, pushed(failingTest, false)},
		{"When", `version {version} is pushed with code that does not build`,
			`ビルドできない版 {version} をプッシュする`, pushed(noBuild, false)},
		{"Then", `the pipeline stops at {job}`,
			`パイプラインは {job} で止まる`,
			func(_ context.Context, w *World, a Args) error { return w.stopsAt(a.Text("job")) }},
		{"Then", `the pipeline has released {version}`,
			`パイプラインは版 {version} をリリースし終えている`,
			func(_ context.Context, w *World, a Args) error { return w.hasReleased(a.Text("version")) }},
		{"Then", `nothing was deployed`,
			`何も配備されない`,
			func(_ context.Context, w *World, _ Args) error { return w.find(nothingDeployed(w.history())) }},
		{"Then", `production still serves {version}`,
			`本番では版 {version} が応答し続けている`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.ServesEveryone(w.history(), a.Text("version")))
			}},
	}
}

// A push is what is known of a scenario's push.
type push struct {
	outside bool                  // of the plan's window
	now     time.Time             // of the push; zero: the window's next opening
	notify  func(pipeline.Notice) // hears the jobs; nil is nobody
	result  *pipeline.Result      // nil: nothing was pushed
	asked   error                 // why what a job asked of the stage could not be concluded
}

// push pushes the version to the team's pipeline, with what breaks it laid over, and
// waits until the pipeline is through.
func (w *World) push(ctx context.Context, version string, broken func(*project.Pipeline) (folder, key, what string), pass bool) (err error) {
	p := w.suite.Project.Pipeline
	switch {
	case p == nil:
		return &InputError{fmt.Sprintf("%s does not say how the code comes to a release: add \"pipeline: {code: FOLDER, push: BRANCH}\"", w.suite.Project.File)}
	case w.pushed.result != nil:
		return &InputError{"the scenario pushes twice: one When, one behaviour; write a second scenario"}
	}
	var overlays []string
	if o := p.Changes[version]; o != "" {
		overlays = append(overlays, o)
	}
	if broken != nil {
		folder, key, what := broken(p)
		if folder == "" {
			return &InputError{fmt.Sprintf("%s does not say with which files %s: add them as \"pipeline: %s: FOLDER\"", w.suite.Project.File, what, key)}
		}
		overlays = append(overlays, folder)
	}
	if err := w.raise(ctx); err != nil {
		return err
	}
	o, err := w.pipeline(p, version, overlays)
	if err != nil {
		return err
	}
	if w.suite.Report != "" {
		log, logErr := os.Create(w.suite.pipelineLog(w.spec))
		if logErr != nil {
			return logErr
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		o.Log = log
	}
	r, err := pipeline.Run(ctx, o)
	var mistake *pipeline.MistakeError
	var rejected *pipeline.RejectedError
	switch {
	case errors.As(err, &mistake), errors.As(err, &rejected):
		return &InputError{err.Error()}
	case err != nil:
		return fmt.Errorf("rehearsing the pipeline: %w", err)
	}
	w.pushed.result = r
	w.history().Record(stage.Event{Kind: stage.Stepped, Version: version, Detail: "pipeline: " + r.String()})
	if w.pushed.asked != nil {
		return w.pushed.asked
	}
	if why := r.Inconclusive(); why != "" {
		return fmt.Errorf("%w:\n%s", errPipeline, why)
	}
	if j, stopped := r.Stopped(); pass && stopped {
		return w.find(check.Finding{Check: "everything passes", Verdict: check.Failed, Detail: j.Detail()})
	}
	return nil
}

// errPipeline is a pipeline that could not be run here as GitHub would.
var errPipeline = errors.New("nothing may be concluded from the pipeline")

// pipeline is what a push of the version is run with.
func (w *World) pipeline(p *project.Pipeline, version string, overlays []string) (pipeline.Options, error) {
	self, err := os.Executable()
	if err != nil {
		return pipeline.Options{}, err
	}
	o := pipeline.Options{
		Code: p.Code, Overlays: overlays, Version: version, Stable: w.stable, Service: w.setup.Service, Push: p.Push, PreReceive: p.PreReceive,
		Vars: p.Vars, Actions: p.Actions, Runners: p.Runners, Keep: p.Keep, Image: w.suite.Image, Worker: []string{self, PipelineWorker}, Rehearse: self, Answer: w.answer,
	}
	if m, ok := stage.As[stage.Monitored](w.stage); ok {
		if o.Endpoint, _, err = m.CloudWatch(); err != nil {
			return o, err
		}
	}
	o.Notify = func(n pipeline.Notice) {
		if w.pushed.notify != nil {
			w.pushed.notify(n)
		}
		if n.Began {
			w.suite.notify(Notice{Spec: w.spec, Step: fmt.Sprintf("pipeline of %q: %s", version, n.Job)})
		}
	}
	return o, nil
}

// answer carries out what a job of the pipeline asks of the stage.
func (w *World) answer(ctx context.Context, r pipeline.Request, say func(string)) pipeline.Answer {
	switch r.Verb {
	case pipeline.AskRelease:
		return w.answerRelease(ctx, r, say)
	case pipeline.AskConfirm:
		return w.answerCheck(ctx, r, say)
	}
	say(fmt.Sprintf("the stage of the rehearsal knows no %q: call the same version of rehearse", r.Verb))
	return pipeline.Answer{Status: ExitInput}
}

func (w *World) answerRelease(ctx context.Context, r pipeline.Request, say func(string)) pipeline.Answer {
	plan := w.suite.Project.Plan
	if r.Plan != "" {
		var err error
		if plan, err = release.Parse(r.PlanFile, []byte(r.Plan)); err != nil {
			say(err.Error())
			return pipeline.Answer{Status: ExitInput}
		}
	}
	rules, now := StartRules(w.suite.Project, plan), w.pushed.now
	if now.IsZero() {
		now = pushTime(rules, w.pushed.outside)
	}
	for _, l := range plan.Lint(w.suite.Project.Facts(now)) {
		if l.Severity == release.Error {
			say(l.String())
			return pipeline.Answer{Status: ExitInput}
		}
	}
	if why := refused(rules, now, r.IgnoreWindow); why != "" {
		say(why)
		w.history().Record(stage.Event{Kind: stage.Decided, Version: r.Version, Detail: why})
		return pipeline.Answer{Status: ExitBroken, Outputs: map[string]string{"result": string(release.Refused)}}
	}
	w.noteIgnored(rules, now, r.IgnoreWindow, r.Version)
	w.history().Watch(func(e stage.Event) {
		if line := report.Line(lang.English, e); line != "" && ctx.Err() == nil {
			say(line)
		}
	})
	err := w.release(ctx, r.Version, plan)
	var input *InputError
	switch {
	case errors.As(err, &input):
		say(err.Error())
		w.pushed.asked = err
		return pipeline.Answer{Status: ExitInput}
	case err != nil:
		say(err.Error())
		w.pushed.asked = err
		return pipeline.Answer{Status: ExitInconclusive}
	}
	return pipeline.Answer{Status: StatusOf(*w.outcome), Outputs: w.outputs(r.Version)}
}

// outputs are those of the step that released.
func (w *World) outputs(version string) map[string]string {
	out := map[string]string{"version": version, "result": string(w.outcome.Result), "serving": w.outcome.Serving, "detail": w.outcome.Detail}
	if m, ok := stage.As[stage.Monitored](w.stage); ok {
		if _, epoch, err := m.CloudWatch(); err == nil {
			out["began"] = epoch.Add(w.outcome.Began).UTC().Format(time.RFC3339)
			out["ended"] = epoch.Add(w.outcome.Ended).UTC().Format(time.RFC3339)
		}
	}
	return out
}

// answerCheck sends the smoke requests to the version that users are on.
func (w *World) answerCheck(ctx context.Context, r pipeline.Request, say func(string)) pipeline.Answer {
	if f := check.ServesEveryone(w.history(), r.Version); f.Verdict != check.Passed {
		say(f.Detail)
		return pipeline.Answer{Status: ExitBroken}
	}
	prober, ok := stage.As[stage.Prober](w.stage)
	if !ok {
		w.pushed.asked = fmt.Errorf("%w: this stage answers no probes", errors.ErrUnsupported)
		say(w.pushed.asked.Error())
		return pipeline.Answer{Status: ExitInconclusive}
	}
	switch err := prober.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: r.Version}); {
	case errors.Is(err, stage.ErrProbe):
		say(err.Error())
		return pipeline.Answer{Status: ExitBroken}
	case err != nil:
		w.pushed.asked = err
		say(err.Error())
		return pipeline.Answer{Status: ExitInconclusive}
	}
	say(fmt.Sprintf("%d smoke requests to %s are answered well", len(w.setup.Smoke), r.Version))
	return pipeline.Answer{Status: ExitVerified}
}

// stopsAt holds when the job is the first that failed.
func (w *World) stopsAt(job string) error {
	f := check.Finding{Check: fmt.Sprintf("the pipeline stops at %q", job), Verdict: check.Failed}
	r := w.pushed.result
	if r == nil {
		return &InputError{"nothing was pushed: a When that pushes a version must come first"}
	}
	j, stopped := r.Stopped()
	_, known := r.Find(job)
	switch {
	case stopped && j.ID == job:
		f.Verdict, f.Detail = check.Passed, r.String()
	case !known:
		return &InputError{fmt.Sprintf("the pipeline has no job %q: %s", job, nearestName(job, jobNames(r)))}
	case stopped:
		f.Detail = fmt.Sprintf("it stopped at %q: %s", j.ID, j.Detail())
	default:
		f.Detail = "it went on to its end: " + r.String()
	}
	return w.find(f)
}

func jobNames(r *pipeline.Result) (all []string) {
	for _, j := range r.Jobs {
		all = append(all, j.ID)
	}
	return all
}

// hasReleased holds when every job went well and the release with them.
func (w *World) hasReleased(version string) error {
	r := w.pushed.result
	if r == nil {
		return &InputError{"nothing was pushed: a When that pushes a version must come first"}
	}
	f := check.Finding{Check: fmt.Sprintf("the pipeline has released %q", version), Verdict: check.Failed, Detail: r.String()}
	switch j, stopped := r.Stopped(); {
	case stopped:
		f.Detail = j.Detail()
	case w.outcome == nil:
		f.Detail = "no job called `rehearse release`: " + r.String()
	case w.outcome.Result != release.Released || w.released != version:
		f.Detail = fmt.Sprintf("the release of %q was %s: %s", w.released, w.outcome.Result, w.outcome.Detail)
	default:
		f.Verdict = check.Passed
	}
	if err := w.find(f); err != nil {
		return err
	}
	return w.find(check.ServesEveryone(w.history(), version))
}

// nothingDeployed holds when nothing was started since the steady state was confirmed.
func nothingDeployed(h *stage.History) check.Finding {
	f := check.Finding{Check: "nothing was deployed", Verdict: check.Inconclusive, Detail: "the steady state was never confirmed"}
	for _, e := range h.Events() {
		switch {
		case e.Kind == stage.Confirmed:
			f.Verdict, f.Detail = check.Passed, ""
		case e.Kind == stage.Deployed && f.Verdict == check.Passed:
			f.Verdict, f.Detail = check.Failed, fmt.Sprintf("%s was deployed at %s", e.Version, report.Clock(e.At))
		}
	}
	return f
}

// StartRules is when a release by the plan may start, by what the plan itself says.
func StartRules(p *project.Project, plan *release.Plan) *schedule.Rules {
	return schedule.Of(plan, p.Setup.Replicas, p.Setup.Model.Start+p.Setup.Health.Interval)
}

// pushTime is the time of a push that is rehearsed: the next opening, since a
// specification must mean the same on a Sunday; or the first minute after it that is
// closed.
func pushTime(r *schedule.Rules, outside bool) time.Time {
	now := clock.Wall()
	next, ok := r.Next(now)
	if !ok {
		return now
	}
	if !outside {
		return next
	}
	for range 8 * 24 * 60 { // a week and a day
		if reason, _ := r.Closed(next); reason != schedule.Open {
			return next
		}
		next = next.Add(time.Minute)
	}
	return next
}

// refused says why no release may start now: "" when one may, or when there is a reason
// to start it all the same.
func refused(r *schedule.Rules, now time.Time, ignore string) string {
	why := r.Refused(now)
	if why == "" || strings.TrimSpace(ignore) != "" {
		return ""
	}
	return why + "; --ignore-window REASON releases all the same"
}

// noteIgnored writes down that no release was to start now, and why one did.
func (w *World) noteIgnored(r *schedule.Rules, now time.Time, reason, version string) {
	if closed, why := r.Closed(now); closed != schedule.Open {
		w.history().Record(stage.Event{Kind: stage.Decided, OK: true, Version: version, Detail: fmt.Sprintf("%s, and that was ignored: %s", why, reason)})
	}
}

// StatusOf is the exit status of a release that ended so.
func StatusOf(o release.Outcome) int {
	switch o.Result {
	case release.Released:
		return ExitVerified
	case release.RolledBack, release.Refused, release.Stuck:
		return ExitBroken
	case release.Inconclusive:
		return ExitInconclusive
	}
	panic(fmt.Sprintf("unknown result %q", o.Result))
}

// pipelineLog is where what the jobs of a scenario print is kept.
func (s *Suite) pipelineLog(sp *Spec) string {
	return strings.TrimSuffix(s.historyFile(sp), ".ndjson") + ".pipeline.log"
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rehearsal/internal/containers"
	"rehearsal/internal/lang"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
	"rehearsal/internal/watch"
	"rehearsal/steps"
)

// watchFlags are those of the command watch.
type watchFlags struct {
	file, plan, stable, cloudwatch, since, baseline, predicted string
	remote, yes, once, json, policy, failures, logs            bool
	every, late                                                time.Duration
	margin                                                     float64
	releases                                                   int
	seed                                                       uint64
}

func watchCommand() *cobra.Command {
	o := &watchFlags{}
	c := &cobra.Command{
		Use:   "watch VERSION --cloudwatch URL|localstack|aws",
		Short: "Follow a real release, read-only, beside what the rehearsal predicted",
		Long: `Watch reads alarms, metrics and logs from CloudWatch while a version is really released,
and shows them beside what the plan's simulated releases showed. It says when something
leaves the predicted band, what the alarms will do about it, and when an alarm is silent
that should have gone off. It changes nothing: no other operation can be sent.

Start it when the release starts, or say --since. See docs/watch.md.

Exit status: 0 the plan is over and all was within the band in its last bake, 1 it was
not, 2 the input is wrong, 3 it could not be seen.`,
		Example: `  rehearse watch v2 --cloudwatch aws --baseline 1h
  rehearse watch v2 --cloudwatch http://127.0.0.1:4566 --once --since 2026-11-26T03:00:00Z`,
		Args: func(c *cobra.Command, args []string) error {
			if o.policy {
				return cobra.NoArgs(c, args)
			}
			return cobra.ExactArgs(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if o.policy {
				fmt.Fprintln(c.OutOrStdout(), watch.Policy())
				return nil
			}
			return o.run(c, args[0])
		},
	}
	f := c.Flags()
	f.StringVarP(&o.file, "file", "f", "rehearsal.yaml", "the rehearsal whose service is released")
	f.StringVar(&o.plan, "plan", "", "the release plan (default: the rehearsal's own)")
	f.StringVar(&o.stable, "stable", "", "the version that serves everyone before (default: the first other one of the rehearsal)")
	f.StringVar(&o.cloudwatch, "cloudwatch", "", "what is read: the URL of a CloudWatch on this machine, localstack, or aws (a real account, which is shown and asked about first)")
	f.BoolVar(&o.remote, "allow-remote", false, "the URL may be of another machine; it gets made-up credentials all the same")
	f.BoolVar(&o.yes, "yes", false, "with --cloudwatch aws: do not ask whether the account is the right one")
	f.StringVar(&o.since, "since", "", "when the release began, such as 2026-11-26T12:00:00+09:00 (default: now)")
	f.StringVar(&o.baseline, "baseline", "", "predict from the real traffic of the last hour (1h), or of these hours yesterday or a week ago (yesterday, week), not from the rehearsal's figures")
	f.StringVar(&o.predicted, "predicted", "", "predict by a recorded rehearsal: a history (NDJSON) of rehearse verify --report")
	f.BoolVar(&o.failures, "failures", true, "rehearse the failures of the features too, to say what it looks like")
	f.BoolVar(&o.logs, "logs", true, "follow the log lines that the metric filters match")
	f.BoolVar(&o.once, "once", false, "look once and say how it is")
	f.BoolVar(&o.json, "json", false, "one line of JSON for each event")
	f.DurationVar(&o.every, "every", 30*time.Second, "how often to look")
	f.DurationVar(&o.late, "late", 2*time.Minute, "how late CloudWatch's metrics may come: a period is judged when it has been over for that long")
	f.Float64Var(&o.margin, "margin", 10, "how far from the band a value may be, in percent of the band's end, for what the model does not know")
	f.IntVar(&o.releases, "releases", 200, "how many releases to simulate")
	f.Uint64Var(&o.seed, "seed", 1, "of the simulated releases")
	f.BoolVar(&o.policy, "policy", false, "print the IAM policy that watching needs, and no more")
	return c
}

func (o *watchFlags) check() error {
	switch {
	case o.cloudwatch == "":
		return errors.New("--cloudwatch is missing: name what is to be read: a URL such as http://127.0.0.1:4566, localstack, or aws")
	case o.every < 10*time.Second || o.every > time.Hour:
		return fmt.Errorf("--every %s: want from 10s to 1h", o.every)
	case o.late < 0 || o.late > time.Hour:
		return fmt.Errorf("--late %s: want from 0s to 1h", o.late)
	case !(o.margin >= 0 && o.margin <= 1000):
		return fmt.Errorf("--margin %g: want from 0 to 1000 percent", o.margin)
	case o.releases < 20 || o.releases > 100_000:
		return fmt.Errorf("--releases %d: want from 20 to 100,000", o.releases)
	case o.baseline != "" && o.predicted != "":
		return errors.New("--baseline and --predicted: one of them: a recorded rehearsal has the traffic that it had")
	case o.baseline != "":
		return watch.Baseline(o.baseline).Check()
	}
	return nil
}

func (o *watchFlags) run(c *cobra.Command, version string) error {
	if err := o.check(); err != nil {
		return err
	}
	ctx := c.Context()
	p, err := project.Load(ctx, o.file)
	if err != nil {
		return err
	}
	forecast, err := o.forecast(p, version)
	if err != nil {
		return err
	}
	measures, err := watch.NewMeasures(&p.Setup)
	if err != nil {
		return fmt.Errorf("%s: %w", o.file, err)
	}
	eye, err := o.open(c)
	if err != nil {
		return err
	}
	defer eye.Close()
	w := &watch.Watch{Eye: eye, Calendar: eye.Calendar(ctx), Version: version, Every: o.every, Once: o.once, Lang: readersLang(c)}
	w.Redact = containers.Redactor(p.Compose, &p.Setup)
	if o.logs {
		w.Filters = p.Setup.Monitoring.Filters
	}
	began, err := o.began(ctx, w.Calendar)
	if err != nil {
		return err
	}
	w.Judge = &watch.Judge{Measures: measures, Began: began, Late: o.late, Margin: o.margin / 100, Names: p.Setup.AlarmNames()}
	if err := o.predict(ctx, p, w, forecast); err != nil {
		return err
	}
	s := &board{out: c.OutOrStdout(), json: o.json, lines: w.Lines}
	s.live = screenOf(s.out, w.Lang) != nil
	w.Tell = s.tell
	return ended(w.Run(ctx))
}

// forecast is the release that is predicted.
func (o *watchFlags) forecast(p *project.Project, version string) (watch.Forecast, error) {
	f := watch.Forecast{Setup: p.Setup, Plan: p.Plan, Releases: o.releases, Seed: o.seed, New: stage.Version{Name: version}}
	if o.plan != "" {
		var err error
		if f.Plan, err = release.ParseFile(filepath.Clean(o.plan)); err != nil {
			return f, err
		}
	}
	if err := errors.Join(planErrors(p, f.Plan)...); err != nil {
		return f, err
	}
	stable := o.stable
	if stable == "" {
		for _, name := range sortedVersions(p) {
			if name != version {
				stable = name
				break
			}
		}
	}
	_, known := p.Setup.Versions[stable]
	switch {
	case stable == version:
		return f, fmt.Errorf("--stable %q is the version that is released: name the one before", stable)
	case !known:
		return f, fmt.Errorf("--stable %q: there is no such version in %s: known are %q", stable, o.file, sortedVersions(p))
	}
	// What is predicted is a good version, whatever the rehearsal knows of this one. It
	// need not be in the file: what is really released is newer than that, often.
	named := p.Setup.Versions[version]
	f.New.Replicas, f.New.Migration = named.Replicas, named.Migration
	f.Stable = stage.Version{Name: stable, Replicas: p.Setup.Versions[stable].Replicas}
	return f, nil
}

func sortedVersions(p *project.Project) []string {
	names := make([]string, 0, len(p.Setup.Versions))
	for name := range p.Setup.Versions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// open opens what is to be read, after showing an account and asking about it.
func (o *watchFlags) open(c *cobra.Command) (*watch.Eye, error) {
	switch o.cloudwatch {
	case containers.CloudWatchLocalStack:
		return watch.OpenURL(watch.LocalStackURL, false)
	case containers.CloudWatchAWS:
	case containers.CloudWatchEmbedded:
		return nil, fmt.Errorf("--cloudwatch %s: name its URL, which rehearse cloudwatch prints", o.cloudwatch)
	default:
		return watch.OpenURL(o.cloudwatch, o.remote)
	}
	if !o.yes && !isTerminal(c.InOrStdin()) {
		return nil, errors.New("--cloudwatch aws asks whether the account is the right one, and there is no terminal to ask on: look at `aws sts get-caller-identity`, then say --yes")
	}
	eye, err := watch.OpenAWS(c.Context())
	if err != nil {
		return nil, err
	}
	a := &containers.AWSAccount{Region: eye.Region, Endpoint: eye.URL}
	if a.ID, a.ARN, err = eye.Who(c.Context()); err != nil {
		return nil, fmt.Errorf("AWS: %w", err)
	}
	out := c.OutOrStdout()
	if o.json { // which is for programs
		out = c.ErrOrStderr()
	}
	s := speaker{out, readersLang(c)}
	s.say("The release is to be followed in AWS, read-only:")
	showAccount(a, s)
	if o.yes {
		return eye, nil
	}
	return eye, confirmAWS(c.Context(), a, c.InOrStdin(), s)
}

// began is when the release began, by CloudWatch's clock.
func (o *watchFlags) began(ctx context.Context, clock watch.Calendar) (time.Time, error) {
	now, err := clock.Now(ctx)
	if err != nil || o.since == "" {
		return now, err
	}
	t, err := time.Parse(time.RFC3339, o.since)
	switch {
	case err != nil:
		return t, fmt.Errorf("--since %q: want a moment with its offset, such as 2026-11-26T12:00:00+09:00", o.since)
	case t.After(now):
		return t, fmt.Errorf("--since %s: that is not yet; CloudWatch's clock shows %s", o.since, now.Format(time.RFC3339))
	case now.Sub(t) > 14*24*time.Hour:
		return t, fmt.Errorf("--since %s: CloudWatch keeps minutes for 15 days only: want a release of the last 14", o.since)
	}
	return t, nil
}

// predict makes the prediction, and those of the failures that were rehearsed.
func (o *watchFlags) predict(ctx context.Context, p *project.Project, w *watch.Watch, f watch.Forecast) (err error) {
	j := w.Judge
	if o.predicted != "" {
		j.Prediction, err = o.recorded(p, w, f)
		return err
	}
	of := w.Lang.Sprintf("%d simulated releases by the plan %q, seed %d", f.Releases, f.Plan.Name, f.Seed)
	groups := slices.Clone(f.Setup.Monitoring.TargetGroups)
	if i, err := w.Eye.Serving(ctx, j.Measures, groups, j.Began); err == nil && i > 0 { // what fails here, the first look tells
		groups[0], groups[i] = groups[i], groups[0]
		f.Setup.Monitoring.TargetGroups = groups
	}
	if o.baseline != "" {
		if f.Before, err = w.Eye.Traffic(ctx, j.Measures, watch.Baseline(o.baseline), j.Began, f.Plan.Length(f.Setup.Replicas)); err != nil {
			fmt.Fprintf(os.Stderr, "rehearse: %v\n", err)
			return exitStatus(steps.ExitInconclusive)
		}
		of += w.Lang.Sprintf(", with the traffic of %d real minutes", len(f.Before))
	} else {
		of += w.Lang.Sprintf(", with the traffic of %s", o.file)
	}
	if j.Prediction, err = f.Predict(ctx, j.Measures); err != nil {
		return err
	}
	j.Prediction.Of = of
	if o.failures {
		w.Alike, err = alike(ctx, p, j.Measures, f, w.Lang)
	}
	return err
}

// releasesOfFailure is how many releases of each failure are simulated: enough for a band.
const releasesOfFailure = 20

// alike predicts a release that each of the failures of the features befalls.
func alike(ctx context.Context, p *project.Project, m *watch.Measures, f watch.Forecast, l lang.Lang) (all []watch.Alike, err error) {
	rehearsed, err := steps.Failures(ctx, p, string(l))
	if err != nil {
		return nil, err
	}
	for _, r := range rehearsed {
		predicted, err := befall(f, p, r).Predict(ctx, m)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil { // one that cannot befall a release by this plan is not looked for
			all = append(all, watch.Alike{Name: r.Name, Where: r.Where, Prediction: predicted})
		}
	}
	return all, nil
}

// befall is releases that a rehearsed failure befalls. The version that is watched plays
// the one of the scenario. The plan's checks are left out: a failure that users meet is
// one that they did not stop.
func befall(f watch.Forecast, p *project.Project, r steps.Rehearsed) watch.Forecast {
	plan := *f.Plan
	plan.Checks = release.Checks{}
	f.Plan, f.Releases = &plan, releasesOfFailure
	as := func(version string) string {
		if version == r.Version {
			return f.New.Name
		}
		return version
	}
	for _, b := range r.Fails {
		b.Version = as(b.Version)
		f.Troubles = append(f.Troubles, watch.Trouble{Failure: b})
	}
	for _, b := range p.Setup.Versions[r.Version].Simulated {
		b.Version = f.New.Name
		f.New.Simulated = append(f.New.Simulated, b)
	}
	for _, l := range r.Later {
		l.Failure.Version, l.Moment.Version = as(l.Failure.Version), as(l.Moment.Version)
		f.Troubles = append(f.Troubles, watch.Trouble{Failure: l.Failure, Moment: &l.Moment, Lasts: l.Lasts})
	}
	return f
}

func (o *watchFlags) recorded(p *project.Project, w *watch.Watch, f watch.Forecast) (*watch.Prediction, error) {
	data, err := os.ReadFile(o.predicted)
	if err != nil {
		return nil, fmt.Errorf("--predicted: %w", err)
	}
	h, err := stage.ReadHistory(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("--predicted %s: this is not a history of rehearse verify --report: %w", o.predicted, err)
	}
	predicted, err := watch.Recording{History: h, Names: p.Setup.Monitoring, New: f.New.Name, Seed: o.seed}.Predict(w.Judge.Measures, o.releases)
	if err != nil {
		return nil, fmt.Errorf("--predicted %s: %w", o.predicted, err)
	}
	predicted.Of = w.Lang.Sprintf("the rehearsal recorded in %s", o.predicted)
	return predicted, nil
}

// A board shows events: on a terminal with the table below them, drawn again with each
// look, else as lines.
type board struct {
	out   io.Writer
	json  bool
	live  bool
	lines func(watch.Event) []string // the table of an event, where it has one
	drawn int
	table []string
}

func (s *board) tell(e watch.Event) {
	if s.json {
		_ = json.NewEncoder(s.out).Encode(e) // who closed the pipe does not read
		return
	}
	s.erase()
	if e.Text != "" {
		clock := e.At.UTC().Format("15:04:05") + " "
		hang := strings.Repeat(" ", len(clock))
		for _, line := range lang.Wrap(clock+lang.Clean(e.Text), hang, 80) {
			fmt.Fprintln(s.out, line)
		}
	}
	if lines := s.lines(e); lines != nil {
		s.table = lines
	}
	switch e.Kind {
	case watch.Ended:
		fmt.Fprintln(s.out, strings.Join(s.table, "\n"))
	default:
		if s.live {
			fmt.Fprint(s.out, strings.Join(append(slices.Clip(s.table), ""), "\n"))
			s.drawn = len(s.table)
		}
	}
}

// erase takes the table away.
func (s *board) erase() {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"rehearsal/internal/capacity"
	"rehearsal/internal/check"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

func capacityPhrases() []Phrase {
	return []Phrase{
		{"Given", `one replica of version {version} answers {delay:duration} late`,
			`版 {version} の1台だけが{delay:duration}遅れて応答する`,
			func(_ context.Context, w *World, a Args) error {
				return w.fail(stage.Failure{Kind: stage.SlowReplica, Version: a.Text("version"), Delay: a.Duration("delay")})
			}},
		{"Given", `one replica of version {version} gets {times:count} times as many requests as each other`,
			`版 {version} の1台に他の{times:count}倍の要求が偏る`,
			func(_ context.Context, w *World, a Args) error {
				return w.fail(stage.Failure{Kind: stage.UnevenBalance, Version: a.Text("version"), Times: a.Count("times")})
			}},
		{"Given", `zone {zone} is lost {after:duration} after {version} takes traffic`,
			`{version} が要求を受け始めてから{after:duration}後にゾーン {zone} が失われる`,
			func(_ context.Context, w *World, a Args) error {
				return w.failAt(stage.Failure{Kind: stage.ZoneLost, Zone: a.Text("zone")},
					stage.Moment{Version: a.Text("version"), After: a.Duration("after")}, 0)
			}},
		{"Given", `each replica has {percent} of a core`,
			`各レプリカが使えるCPUは1コアの{percent}までである`,
			func(_ context.Context, w *World, a Args) error {
				w.setup.CPUs = a.Percent("percent") / 100
				return nil
			}},
		{"When", `{stable} drains and {version} takes over at {count} requests per second, as the {plan} plan says`,
			`毎秒{count}件の要求の下で、{plan} 計画どおりに {stable} が退き {version} が引き継ぐ`,
			func(ctx context.Context, w *World, a Args) error {
				return w.overtake(ctx, a.Text("stable"), a.Text("version"), float64(a.Count("count")), w.suite.Project.Plans[a.Text("plan")])
			}},
		{"Then", `p99 stays under {p99:duration} and at most {percent} of the requests fail`,
			`p99 は{p99:duration}未満に収まり、失敗する要求は{percent}以下である`,
			func(_ context.Context, w *World, a Args) error {
				return w.keeps(stage.Objective{P99: a.Duration("p99"), Errors: a.Percent("percent")})
			}},
		{"Then", `99% of the answers come within {within:duration} all through`,
			`応答の99%は終始{within:duration}以内に返る`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.AnswersWithin(w.history(), a.Duration("within")))
			}},
	}
}

// overtake has version take over from stable at the tightest moment of the plan, under a
// load, and keeps what was seen.
func (w *World) overtake(ctx context.Context, stable, version string, rate float64, plan *release.Plan) error {
	if w.outcome != nil || w.overtaken != nil {
		return &InputError{"the scenario has a second When: one When, one behaviour; write a second scenario"}
	}
	if stable != w.stable {
		return &InputError{fmt.Sprintf("%q is to drain, and %q serves everyone", stable, w.stable)}
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	vs, err := w.versions(version)
	if err != nil {
		return err
	}
	if err := w.stage.Deploy(ctx, vs.New); err != nil {
		return fmt.Errorf("deploying %s: %w", version, err)
	}
	w.released = version
	step, err := capacity.NewDrill(w.stage, &w.setup, plan, *vs.Stable, vs.New).Step(ctx, rate, overtakeFor, stage.Objective{})
	w.overtaken = &step
	return err
}

// overtakeFor is how long the load of a scenario is held: no time runs ahead then.
const overtakeFor = 8 * time.Second

// keeps asks whether the objective was kept while the version took over.
func (w *World) keeps(o stage.Objective) error {
	step := w.overtaken
	if step == nil {
		return &InputError{"no version took over: a When in which one drains must come first"}
	}
	f := check.Finding{Check: fmt.Sprintf("p99 under %v and at most %g %% failed at %g requests per second", o.P99, o.Errors, step.Rate), Detail: step.Text()}
	standing, why := step.Served.Stands(o, step.Due)
	if step.Standing == check.Over { // a version did not stay healthy
		standing, why = step.Standing, step.Why
	}
	switch where, own := step.Where(); {
	case standing == check.Kept:
	case standing == check.Over && own:
		f.Verdict, f.Detail = check.Failed, fmt.Sprintf("%s: %s; %s", why, step.Text(), where)
	default:
		f.Verdict, f.Detail = check.Inconclusive, fmt.Sprintf("%s: %s; %s", why, step.Text(), where)
	}
	return w.find(f)
}

// A CapacityRun is what `rehearse capacity` does: it finds the highest load at which the
// plan keeps the objective, on the first of Stages.
type CapacityRun struct {
	CheckRun
	Plan      *release.Plan
	Objective stage.Objective // what it leaves open is the project's
	CPUs      float64         // of a replica; 0 is what the compose file says
	From      float64         // the first load, in requests per second; 0 is that of the traffic
	Most      float64         // requests per second
	Precision float64
	Length    time.Duration
	Step      func(capacity.Step)
}

// setup is what the run is of.
func (c *CapacityRun) setup() stage.Setup {
	s := c.Project.Setup
	s.CPUs = cmp.Or(c.CPUs, s.CPUs)
	return s
}

// Unlimited is why the simulated stage cannot know the highest load, and what would tell
// it; "" where it can.
func (c *CapacityRun) Unlimited() string {
	s := c.setup()
	for _, name := range []string{c.Stable, c.Version} {
		capacity := s.CapacityOf(s.Versions[name])
		if _, limited := capacity.Places(s.CPUs, time.Second); limited {
			continue
		}
		if capacity.CPU > 0 {
			return fmt.Sprintf("%s says that a request takes %v of CPU, and the compose file gives no limit of it: set deploy.resources.limits.cpus as in production, or say --cpus 0.25, for a quarter of one", c.Project.File, capacity.CPU)
		}
		return fmt.Sprintf("%s does not say what a replica of %q bears, so the simulated service has no limit: say simulation: concurrency (how many requests it answers at the same time: "+
			"its workers, or its connections to the database), or cpu (the CPU time of a request), which `rehearse capacity --stage containers` measures", c.Project.File, name)
	}
	return ""
}

// Aim fills in what was not said. Its error is an *InputError where something is missing.
func (c *CapacityRun) Aim() error {
	if err := c.Names(); err != nil {
		return err
	}
	s := &c.Project.Setup
	c.Objective.P99 = cmp.Or(c.Objective.P99, s.Objective.P99)
	c.Objective.Errors = cmp.Or(c.Objective.Errors, s.Objective.Errors)
	c.From = cmp.Or(c.From, s.Traffic.Rate)
	if c.Plan == nil {
		c.Plan = c.Project.Plan
	}
	if !(c.CPUs >= 0) || math.IsInf(c.CPUs, 1) {
		return &InputError{fmt.Sprintf("--cpus %g: how many CPUs a replica may use, such as 0.25", c.CPUs)}
	}
	return nil
}

// Capacity finds it. Aim must have been called.
func (c *CapacityRun) Capacity(ctx context.Context) (found *capacity.Result, err error) {
	setup := c.setup()
	crew, err := c.crew(ctx, c.Stages[0], nil)
	if err != nil {
		return nil, err
	}
	st, err := crew.raise(ctx, setup, c.Seed, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := st.Close(context.WithoutCancel(ctx)); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("closing the stage: %w", closeErr))
		}
	}()
	return capacity.Find(ctx, capacity.Options{
		Stage: st, Setup: &setup, Plan: c.Plan, Stable: setup.Versions[c.Stable], New: setup.Versions[c.Version],
		Objective: c.Objective, From: c.From, Most: c.Most, Precision: c.Precision, Length: c.Length, Tell: c.Step,
	})
}

package steps

import (
	"context"
	"fmt"
	"time"

	"rehearsal/internal/capacity"
	"rehearsal/internal/check"
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
		{"Then", `99% of the answers come within {within:duration} all through`,
			`応答の99%は終始{within:duration}以内に返る`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.AnswersWithin(w.history(), a.Duration("within")))
			}},
	}
}

// A CapacityRun is what `rehearse capacity` does: it finds the highest load at which the
// plan keeps the objective, on the first of Stages.
type CapacityRun struct {
	CheckRun
	Objective stage.Objective // what it leaves open is the project's
	Most      float64         // requests per second
	Precision float64
	Hold      time.Duration
	Step      func(capacity.Step)
}

// Capacity finds it. Its error is an *InputError where something is missing.
func (c *CapacityRun) Capacity(ctx context.Context) (*capacity.Result, error) {
	if err := c.Names(); err != nil {
		return nil, err
	}
	p := c.Project
	o := capacity.Options{
		Plan: p.Plan, Stable: p.Setup.Versions[c.Stable], New: p.Setup.Versions[c.Version],
		Objective: p.Setup.Objective, From: p.Setup.Traffic.Rate, Most: c.Most, Precision: c.Precision, Hold: c.Hold, Tell: c.Step,
	}
	if c.Objective.P99 > 0 {
		o.Objective.P99 = c.Objective.P99
	}
	if c.Objective.Errors > 0 {
		o.Objective.Errors = c.Objective.Errors
	}
	name := c.Stages[0]
	if name == Simulated && p.Setup.Model.Concurrency == 0 {
		return nil, &InputError{fmt.Sprintf("%s does not say how many requests a replica answers at the same time, so the simulated service has no limit: "+
			"say it as simulation: concurrency (the size of its pool of workers or of connections to the database), or find the limit in containers (--stage containers)", p.File)}
	}
	crew, err := c.crew(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	o.Raise = func(ctx context.Context, rate float64) (stage.Stage, error) {
		setup := p.Setup
		setup.Traffic.Rate = rate
		return crew.raise(ctx, setup, c.Seed, nil)
	}
	return capacity.Find(ctx, o)
}

package scaffold

import (
	"fmt"
	"math"
	"time"

	"rehearsal/internal/release"
)

// A plan is what release.yaml will say.
type plan struct {
	Own            bool     // made up here; nothing of production is known
	About          []string // the comment that it begins with, line by line
	Strategy       release.Strategy
	Steps          []release.Step
	Share          float64 // linear
	Batch          string  // rolling
	MinimumHealthy float64 // rolling, percent
	Every, Bake    time.Duration
	Alarms         []string // of the alarms, those to watch; none means all that can be
	Notes          []string // where it differs from how production releases
	Ask            string   // what is not known of how production releases
}

// firstPlan is for a team that has not written one down: a tenth of the users first.
// Its bakes come from the alarms.
func firstPlan() plan {
	return plan{
		Own:      true,
		About:    []string{"A tenth of the users first, then half, then all, with a bake after each that the", "slowest watched alarm needs to go off."},
		Strategy: release.Canary,
		Steps:    []release.Step{{Share: 10}, {Share: 50}, {Share: 100}},
	}
}

// Test says whether smoke requests go to the new version before users reach it.
func (p *plan) Test() bool { return p.Strategy == release.BlueGreen }

// fit makes the bakes long enough for the alarms: where production's are shorter, an
// alarm that goes off after the release is no protection, and that is said.
func (p *plan) fit(w watch) {
	minutes := func(d time.Duration) time.Duration { return time.Duration(math.Ceil(d.Minutes())) * time.Minute }
	fastest, slowest := minutes(w.fastest), minutes(w.slowest)
	atLeast := func(bake *time.Duration, need time.Duration, what string) {
		if *bake >= need {
			return
		}
		if what != "" && !p.Own {
			p.Notes = append(p.Notes, fmt.Sprintf("%s is %s in production, too short for the alarms: here it is %s", what, brief(*bake), brief(need)))
		}
		*bake = need
	}
	for i := range p.Steps {
		if p.Own {
			p.Steps[i].Bake = slowest + time.Minute // an alarm may come at the last moment
		} else if i == len(p.Steps)-1 {
			atLeast(&p.Steps[i].Bake, slowest, "the bake at the end")
		} else {
			atLeast(&p.Steps[i].Bake, fastest, "the bake of the canary")
		}
	}
	switch p.Strategy {
	case release.Canary:
	case release.Linear:
		atLeast(&p.Every, fastest, "the bake of a step")
		atLeast(&p.Bake, slowest, "the bake at the end")
	case release.BlueGreen, release.AllAtOnce:
		atLeast(&p.Bake, slowest, "the bake at the end")
	case release.Rolling:
		atLeast(&p.Bake, slowest, "") // ECS works it out from the alarms itself
	}
}

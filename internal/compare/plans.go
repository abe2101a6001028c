package compare

import (
	"slices"
	"strings"
	"time"

	"rehearsal/internal/release"
)

// Candidates is the plans to compare where none are named: the team's own first, then
// the others of the project, then a plan made from the team's own for each strategy
// that none of them has: the same alarms, checks and way back, and its last bake after
// each step. made is the names of the latter.
func Candidates(own *release.Plan, others map[string]*release.Plan) (plans []*release.Plan, made []string) {
	plans = []*release.Plan{own}
	for _, s := range release.Strategies() {
		var of []*release.Plan
		for _, p := range others {
			if p.Strategy == s && p != own {
				of = append(of, p)
			}
		}
		slices.SortFunc(of, func(a, b *release.Plan) int { return strings.Compare(a.Name, b.Name) })
		plans = append(plans, of...)
	}
	for _, s := range release.Strategies() {
		if !slices.ContainsFunc(plans, func(p *release.Plan) bool { return p.Strategy == s }) {
			p := madeFrom(own, s)
			for slices.ContainsFunc(plans, func(q *release.Plan) bool { return q.Name == p.Name }) {
				p.Name += "'"
			}
			plans, made = append(plans, p), append(made, p.Name)
		}
	}
	return plans, made
}

// madeFrom is a plan by another strategy that watches and checks what own does.
func madeFrom(own *release.Plan, s release.Strategy) *release.Plan {
	steps := own.Schedule(0)
	bake := steps[len(steps)-1].Bake
	p := &release.Plan{Name: string(s), File: own.File, Strategy: s, MinimumHealthy: 100,
		Alarms: own.Alarms, Checks: own.Checks, Rollback: own.Rollback, Window: own.Window}
	switch s {
	case release.AllAtOnce:
		p.Bake, p.Checks.Test = bake, false
	case release.BlueGreen:
		p.Bake = bake
	case release.Canary:
		p.Steps = []release.Step{{Share: 10, Bake: bake}, {Share: 50, Bake: bake}, {Share: 100, Bake: bake}}
	case release.Linear:
		p.Share, p.Every, p.Bake = 25, bake, bake
	case release.Rolling:
		p.Batch, p.Every, p.Bake = release.Amount{Percent: 25}, bake, bake
	}
	return p
}

// longestOf is the length of the longest of the plans for so many replicas.
func longestOf(plans []*release.Plan, replicas int) (d time.Duration) {
	for _, p := range plans {
		d = max(d, p.Length(replicas))
	}
	return d
}

// Package compare helps to choose how to release: it carries out many simulated
// releases by several plans, against the same failures, and says which plan costs
// what.
//
// A sim.Campaign draws what befalls each release (mix.go reads the file that says how
// likely what is); trial.go carries one release out, with the same release.Run and the
// same alarms as a rehearsal; estimate.go says how sure the figures are; advice.go
// chooses, by a rule that is written down there; table.go and chart.go show it.
//
// Given the same seed, everything comes out the same, byte for byte, on any number of
// processors.
package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rehearsal/internal/release"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// A Comparison is what to compare.
type Comparison struct {
	Setup    stage.Setup
	Plans    []*release.Plan
	Mix      []sim.Fate
	Releases int // of each plan
	Seed     uint64
	// Unnoticed is for how long after the longest of the plans a bad version that was
	// let through serves on, until people find out by themselves. 0: DefaultUnnoticed.
	Unnoticed time.Duration
	// PerUser is how many requests a user's visit is. 0: DefaultPerUser.
	PerUser float64
	// Progress is told how many releases of a plan are done, from several goroutines,
	// one at a time; may be nil.
	Progress func(plan *release.Plan, done, of int)
}

const (
	// DefaultUnnoticed is half an hour: users complain, and somebody connects it with
	// the release.
	DefaultUnnoticed = 30 * time.Minute
	// DefaultPerUser is ten: a person who looks around and buys something.
	DefaultPerUser = 10
	// MostReleases bounds what is kept in memory, at some 50 bytes each.
	MostReleases = 1_000_000
)

// A Result is what came of a comparison.
type Result struct {
	Comparison
	Trials  []sim.Trial
	Costs   []*Costs      // in the order of the plans
	Horizon time.Duration // for how long each release was followed since it began
	Advice  Advice
}

// Costs is what releases by one plan cost.
type Costs struct {
	Plan *release.Plan
	// Length is how long a release of a good version takes that nothing disturbs, in
	// seconds; Lost and Users are the requests lost and the users touched by a release of
	// a bad version, all on average.
	Length, Lost, Users Estimate
	// Missed is the share of the bad versions that were released and kept; ForNothing
	// the share of the good ones that were not released, in percent.
	Missed, ForNothing Estimate
	Replicas           int  // the most that ran at once in any release
	Front              bool // no other plan is both shorter and loses less
	trials             []cost
}

// cost is what one release cost.
type cost struct {
	result   release.Result
	took     time.Duration
	lost     int64
	users    float64
	replicas int
}

// Run carries out the releases, on every processor. An error says that nothing may be
// concluded: the input is wrong (an *InputError), a stage broke, or the context ended.
func (c Comparison) Run(ctx context.Context) (*Result, error) {
	if c.Unnoticed == 0 {
		c.Unnoticed = DefaultUnnoticed
	}
	if c.PerUser == 0 {
		c.PerUser = DefaultPerUser
	}
	campaign := &sim.Campaign{Setup: withVersions(&c.Setup), Mix: c.Mix, Version: newVersion, Seed: c.Seed}
	if err := c.check(campaign); err != nil {
		return nil, &InputError{err}
	}
	r := &Result{Comparison: c, Trials: make([]sim.Trial, c.Releases), Horizon: longestOf(c.Plans, c.Setup.Replicas) + c.Unnoticed}
	for i := range r.Trials {
		r.Trials[i] = campaign.Trial(i)
	}
	w := &world{setup: campaign.Setup, horizon: r.Horizon, perUser: c.PerUser}
	for _, p := range c.Plans {
		costs := &Costs{Plan: p, trials: make([]cost, c.Releases)}
		if err := c.carryOut(ctx, w, costs, r.Trials); err != nil {
			return nil, fmt.Errorf("plan %q: %w", p.Name, err)
		}
		r.Costs = append(r.Costs, costs)
	}
	r.estimate()
	r.Advice = r.advise()
	return r, nil
}

// An InputError is a mistake in what was asked for.
type InputError struct{ err error }

func (e *InputError) Error() string { return e.err.Error() }
func (e *InputError) Unwrap() error { return e.err }

func (c *Comparison) check(campaign *sim.Campaign) error {
	var wrong []error
	if c.Releases < 1 || c.Releases > MostReleases {
		wrong = append(wrong, fmt.Errorf("%d releases: want from 1 to %d", c.Releases, MostReleases))
	}
	if len(c.Plans) == 0 {
		wrong = append(wrong, errors.New("there is no plan to compare: want at least one"))
	}
	for i, p := range c.Plans {
		if j := slices.IndexFunc(c.Plans, func(q *release.Plan) bool { return q.Name == p.Name }); j < i {
			wrong = append(wrong, fmt.Errorf("%s and %s are both named %q: give each plan a name of its own", c.Plans[j].File, p.File, p.Name))
		}
		for _, name := range p.Alarms {
			if known := c.Setup.AlarmNames(); !slices.Contains(known, name) {
				wrong = append(wrong, fmt.Errorf("%s: plan %q watches %q: there is no such alarm; known are %q", p.File, p.Name, name, known))
			}
		}
	}
	if c.Unnoticed < 0 || c.Unnoticed > 24*time.Hour {
		wrong = append(wrong, fmt.Errorf("unnoticed for %v: want from 0s to 24h", c.Unnoticed))
	}
	if !(c.PerUser >= 1) || math.IsInf(c.PerUser, 0) {
		wrong = append(wrong, fmt.Errorf("%g requests of a user: want 1 or more", c.PerUser))
	}
	if err := campaign.Check(); err != nil {
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// carryOut carries out every release of one plan.
func (c *Comparison) carryOut(ctx context.Context, w *world, costs *Costs, trials []sim.Trial) error {
	var mu sync.Mutex
	next, done := 0, 0
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= len(trials)
	}
	told := func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		if c.Progress != nil {
			c.Progress(costs.Plan, done, len(trials))
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for i, more := take(); more; i, more = take() {
				got, err := w.release(ctx, costs.Plan, trials[i])
				if err != nil {
					return fmt.Errorf("release %d (%s): %w", i+1, words(trials[i]), err)
				}
				costs.trials[i] = got
				told()
			}
			return nil
		})
	}
	return group.Wait()
}

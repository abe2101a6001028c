package capacity_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/capacity"
	"rehearsal/internal/check"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// bears is a service whose replicas bear 100 requests a second each.
func bears() stage.Setup {
	return stage.Setup{
		Service: "shop", Replicas: 2, Versions: map[string]stage.Version{"v1": {Name: "v1"}, "v2": {Name: "v2"}},
		Health:  stage.Health{Path: "/ready", Port: 80, Interval: 10 * time.Second, Healthy: 2, Unhealthy: 2, Timeout: time.Second},
		Traffic: stage.Load{Rate: 50, Timeout: 4 * time.Second, Requests: []stage.Request{{Name: "browse", Weight: 1, Path: "/"}}},
		Model:   stage.Model{Median: 3 * time.Millisecond, P99: 20 * time.Millisecond, Capacity: stage.Capacity{Concurrency: 1, Service: 10 * time.Millisecond}},
	}
}

func find(t *testing.T, setup stage.Setup, p *release.Plan, change func(*capacity.Options)) *capacity.Result {
	t.Helper()
	st, err := sim.New(t.Context(), sim.Options{Setup: setup, Seed: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close(context.WithoutCancel(t.Context()))) }()
	o := capacity.Options{
		Stage: st, Setup: &setup, Plan: p, Stable: setup.Versions["v1"], New: setup.Versions["v2"],
		Objective: stage.Objective{P99: 300 * time.Millisecond, Errors: 1}, From: 50, Most: 5000, Precision: 0.02, Length: 20 * time.Second,
	}
	if change != nil {
		change(&o)
	}
	r, err := capacity.Find(t.Context(), o)
	require.NoError(t, err)
	return r
}

var (
	blueGreen = &release.Plan{Strategy: release.BlueGreen}
	halves    = &release.Plan{Strategy: release.Rolling, Batch: release.Amount{Count: 1}, MinimumHealthy: 50}
)

// One replica with one place of 10 ms: the 99th percentile of its answers is that of
// M/M/1, ln(100·ρ)·S/(1-ρ), beside which the answers' own 20 ms hardly count: 300 ms at a
// load of 86 %.
const limit = 86.0

func TestTheLimitIsThatOfTheReplicasThatServe(t *testing.T) {
	r := find(t, bears(), blueGreen, nil)
	assert.InEpsilon(t, 2*limit, r.Kept, 0.04, "both replicas of the new version")
	assert.Greater(t, r.Broke, r.Kept)
	assert.Less(t, r.Broke, 1.05*r.Kept)
	assert.Empty(t, r.Bound)
	times := 0
	for _, s := range r.Steps {
		assert.Equal(t, s.Rate <= r.Kept, s.Standing == check.Kept, "%+v", s)
		if s.Rate == r.Kept {
			times++
		}
	}
	assert.Equal(t, 2, times, "what is the highest was held again")

	r = find(t, bears(), halves, nil)
	assert.InEpsilon(t, limit, r.Kept, 0.04, "a rolling release has one replica serve for a while")

	slow := bears()
	slow.Versions["v2"] = stage.Version{Name: "v2", Capacity: stage.Capacity{Service: 20 * time.Millisecond}}
	r = find(t, slow, blueGreen, func(o *capacity.Options) { o.Objective = stage.Objective{Errors: 1} })
	assert.InEpsilon(t, 100, r.Kept, 0.05, "a new version that takes twice as long bears half")

	by := bears()
	by.CPUs, by.Model.Capacity = 0.25, stage.Capacity{CPU: 2500 * time.Microsecond}
	assert.InEpsilon(t, 2*limit, find(t, by, blueGreen, nil).Kept, 0.04, "a quarter of a CPU, and 2.5 ms of it each, are 10 ms")
}

func TestALimitThatIsNotFoundSaysWhy(t *testing.T) {
	r := find(t, bears(), blueGreen, func(o *capacity.Options) { o.Most = 80 })
	assert.EqualValues(t, 80, r.Kept)
	assert.Equal(t, "80 requests per second, the highest load that was to be tried, are kept", r.Bound)

	r = find(t, bears(), blueGreen, func(o *capacity.Options) { o.Objective.P99 = 2 * time.Millisecond })
	assert.Zero(t, r.Kept)
	assert.Regexp(t, "^even 0.78.* requests per second were not kept$", r.Bound)

	r = find(t, bears(), blueGreen, func(o *capacity.Options) { o.From = 400 })
	assert.InEpsilon(t, 2*limit, r.Kept, 0.04, "it also comes from above")

	setup := bears()
	st, err := sim.New(t.Context(), sim.Options{Setup: setup})
	require.NoError(t, err)
	_, err = capacity.Find(t.Context(), capacity.Options{
		Stage: nothing{st}, Setup: &setup, Plan: blueGreen, Stable: setup.Versions["v1"], New: setup.Versions["v2"],
		Objective: stage.Objective{Errors: 1}, From: 1, Most: 2, Precision: 0.1, Length: time.Second,
	})
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	o := stage.Objective{Errors: 1}
	for want, o := range map[string]capacity.Options{
		"there is no objective":                                      {},
		"a first load of 0 and a highest of 0":                       {Objective: o},
		"a first load of 2 and a highest of 1":                       {Objective: o, From: 2, Most: 1},
		"a precision of 0: want 0.01 to 1":                           {Objective: o, From: 1, Most: 2},
		"each load is held for 0s: want more than 0":                 {Objective: o, From: 1, Most: 2, Precision: 0.1},
		"a first load of 1 and a highest of +Inf requests per secon": {Objective: o, From: 1, Most: math.Inf(1), Precision: 0.1},
	} {
		_, err := capacity.Find(t.Context(), o)
		assert.ErrorContains(t, err, want)
	}
}

// nothing is a stage that can do no more than every stage.
type nothing struct{ stage.Stage }

// A tired stage has a machine that sends no more than most requests per second, and whose
// balancer is used up.
type tired struct {
	*sim.Stage
	most float64
}

func (s *tired) Load(ctx context.Context, rate float64) error {
	return s.Stage.Load(ctx, min(rate, s.most))
}

func (s *tired) Parts(context.Context) ([]stage.Part, error) {
	now := s.History().Now()
	return []stage.Part{
		{Kind: stage.PartVersion, Name: "v2", Used: now / 10, CPUs: 0.25}, {Kind: stage.PartBalancer, Used: now * 99 / 100, CPUs: 1}, {Kind: stage.PartMachine, Used: now, CPUs: 2},
	}, nil
}

func TestALoadThatCannotBeMadeIsNoVerdict(t *testing.T) {
	setup := bears()
	setup.Model.Capacity = stage.Capacity{}
	st, err := sim.New(t.Context(), sim.Options{Setup: setup})
	require.NoError(t, err)
	r, err := capacity.Find(t.Context(), capacity.Options{
		Stage: &tired{Stage: st, most: 300}, Setup: &setup, Plan: blueGreen, Stable: setup.Versions["v1"], New: setup.Versions["v2"],
		Objective: stage.Objective{Errors: 1}, From: 50, Most: 5000, Precision: 0.1, Length: 10 * time.Second,
	})
	require.NoError(t, err)
	assert.EqualValues(t, 200, r.Kept)
	assert.Zero(t, r.Broke)
	assert.Regexp(t, `^400 requests per second could not be made on this machine: 1\d{4} requests were sent of at least 1\d{4} that were due$`, r.Bound)
	text, own := r.Steps[0].Where()
	assert.Equal(t, "used up is the CPU of: the balancer, which has one thread, 99 %", text)
	assert.False(t, own, "the service could bear more")
	assert.Positive(t, r.Steps[0].CPU)
}

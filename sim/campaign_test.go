package sim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
	"rehearsal/sim"
)

func campaign(t testing.TB, seed uint64, mix ...sim.Fate) *sim.Campaign {
	t.Helper()
	c := &sim.Campaign{Setup: shop(t), Mix: mix, Version: "v2", Seed: seed}
	require.NoError(t, c.Check())
	return c
}

var (
	fails = sim.Fate{Nature: sim.Bad, Weight: 1, Kind: stage.Errors, Request: sim.Any, Share: sim.Span[float64]{From: 1, To: 100},
		Moment: sim.Span[time.Duration]{From: time.Minute, To: 11 * time.Minute}}
	blip = sim.Fate{Nature: sim.Fluke, Weight: 1, Kind: stage.DependencySlow, Dependency: sim.Any, Delay: sim.Span[time.Duration]{From: time.Second, To: time.Second},
		Moment: sim.Span[time.Duration]{To: 10 * time.Minute}, Lasts: sim.Span[time.Duration]{From: time.Minute, To: 2 * time.Minute}}
	fine = sim.Fate{Nature: sim.Good, Weight: 2}
)

func TestTrialsHangOnTheSeedAndTheirNumberAlone(t *testing.T) {
	a, b, other := campaign(t, 7, fine, fails, blip), campaign(t, 7, fine, fails, blip), campaign(t, 8, fine, fails, blip)
	differ := 0
	for i := 99; i >= 0; i-- { // whatever was drawn before
		assert.Equal(t, a.Trial(99-i), b.Trial(99-i))
		assert.Equal(t, a.Trial(i), b.Trial(i))
		if a.Trial(i) != other.Trial(i) {
			differ++
		}
	}
	assert.Equal(t, 100, differ)
}

func TestFatesComeByTheirWeightsAndSizesByTheirSpans(t *testing.T) {
	c := campaign(t, 1, fine, fails, blip)
	const n = 4000
	natures, below10, early := map[sim.Nature]int{}, 0, 0
	requests, dependencies := map[string]int{}, map[string]int{}
	for i := range n {
		trial := c.Trial(i)
		natures[trial.Nature]++
		f := trial.Failure
		switch trial.Nature {
		case sim.Good:
			require.Equal(t, sim.Trial{Seed: trial.Seed, Fate: 0, Nature: sim.Good}, trial)
		case sim.Bad:
			require.NoError(t, f.Validate())
			require.Equal(t, "v2", f.Version)
			require.True(t, f.Share >= 1 && f.Share <= 100, f.Share)
			require.True(t, trial.Moment >= time.Minute && trial.Moment <= 11*time.Minute, trial.Moment)
			requests[f.Request]++
			if f.Share < 10 {
				below10++
			}
			if trial.Moment < 6*time.Minute {
				early++
			}
		case sim.Fluke:
			require.NoError(t, f.Validate())
			require.Empty(t, f.Version, "it hits everyone")
			require.True(t, trial.Lasts >= time.Minute && trial.Lasts <= 2*time.Minute, trial.Lasts)
			dependencies[f.Dependency]++
		}
	}
	// Four standard deviations of a binomial of 4000 are 0.03 at most, of 1000 0.064.
	assert.InDelta(t, 0.50, float64(natures[sim.Good])/n, 0.035)
	assert.InDelta(t, 0.25, float64(natures[sim.Bad])/n, 0.03)
	assert.InDelta(t, 0.5, float64(below10)/float64(natures[sim.Bad]), 0.07, "each doubling is as likely: half of 1 to 100 is below 10")
	assert.InDelta(t, 0.5, float64(early)/float64(natures[sim.Bad]), 0.07, "moments are even")
	for _, name := range []string{"browse", "order", "status"} {
		assert.InDelta(t, 1.0/3, float64(requests[name])/float64(natures[sim.Bad]), 0.07, name)
	}
	for _, name := range []string{"database", "payments"} {
		assert.InDelta(t, 0.5, float64(dependencies[name])/float64(natures[sim.Fluke]), 0.07, name)
	}
}

func TestABadMixSaysWhatIsWrong(t *testing.T) {
	span := sim.Span[time.Duration]{From: time.Minute, To: time.Minute}
	for wrong, f := range map[string]sim.Fate{
		"a weight of 0: want more than 0":        {Nature: sim.Good},
		"it has a weight and nothing else":       {Nature: sim.Good, Weight: 1, Kind: stage.Errors},
		`unknown "awful"`:                        {Nature: "awful", Weight: 1},
		`unknown failure "mice"`:                 {Nature: sim.Bad, Weight: 1, Kind: "mice"},
		"latency: needs a delay":                 {Nature: sim.Bad, Weight: 1, Kind: stage.Latency},
		`unknown request "buy"`:                  {Nature: sim.Bad, Weight: 1, Kind: stage.Errors, Request: "buy"},
		`unknown dependency "mail"`:              {Nature: sim.Bad, Weight: 1, Kind: stage.DependencyDown, Dependency: "mail"},
		"does not go away by itself":             {Nature: sim.Bad, Weight: 1, Kind: stage.Errors, Lasts: span},
		"in the version from its start":          {Nature: sim.Bad, Weight: 1, Kind: stage.Hang, Dependency: "payments", Moment: span},
		`a fluke cannot be "crash at start"`:     {Nature: sim.Fluke, Weight: 1, Kind: stage.CrashAtStart, Lasts: span},
		"a fluke goes away by itself":            {Nature: sim.Fluke, Weight: 1, Kind: stage.Errors},
		"share: the span begins below 0 or ends": {Nature: sim.Bad, Weight: 1, Kind: stage.Errors, Share: sim.Span[float64]{From: 5, To: 1}},
		"a share of 120 %":                       {Nature: sim.Bad, Weight: 1, Kind: stage.Errors, Share: sim.Span[float64]{From: 5, To: 120}},
	} {
		t.Run(wrong, func(t *testing.T) {
			c := sim.Campaign{Setup: shop(t), Mix: []sim.Fate{fine, f}, Version: "v2"}
			assert.ErrorContains(t, c.Check(), "fate 2: ")
			assert.ErrorContains(t, c.Check(), wrong)
		})
	}
	bare := shop(t)
	bare.Dependencies, bare.MemoryLimit = nil, 0
	assert.ErrorContains(t, blip.Check(&bare, "v2"), "the service has no dependency")
	leak := sim.Fate{Nature: sim.Bad, Weight: 1, Kind: stage.MemoryLeak, PerRequest: sim.Span[float64]{From: 1024, To: 2048}}
	assert.ErrorContains(t, leak.Check(&bare, "v2"), "no memory limit")
	assert.ErrorContains(t, (&sim.Campaign{Setup: bare}).Check(), "the mix is empty")
}

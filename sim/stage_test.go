package sim_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

func TestDeployTakesAsLongAsStartingAndPassingOneCheck(t *testing.T) {
	ctx := t.Context()
	s, err := sim.New(ctx, sim.Options{Setup: shop(t)})
	require.NoError(t, err)
	require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v1"}))
	assert.Equal(t, 10*time.Second, s.History().Now(), "ready after 1 s, checked every 10 s")
	for e := range s.History().All(stage.Deployed) {
		assert.Equal(t, 2, e.Replicas)
	}
	assert.Zero(t, served(s, "", 0).Requests, "nobody comes before there are shares")
}

func TestDeployBringsAVersionToAnotherNumberOfReplicas(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	for _, n := range []int{5, 1, 1, 3} {
		require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v1", Replicas: n}))
		wait(t, s, time.Minute)
	}
	var numbers []int
	for e := range s.History().All(stage.Deployed) {
		numbers = append(numbers, e.Replicas)
	}
	assert.Equal(t, []int{2, 5, 1, 1, 3}, numbers)
	assert.Zero(t, served(s, "", 0).Failed, "scaling loses no request")
	assert.Zero(t, count(s, stage.Unhealthy, "v1"))
}

func TestAVersionThatNeverGetsHealthyIsReportedWithTheReason(t *testing.T) {
	for reason, f := range map[string]stage.Failure{
		"exited with status 1 as it started":              {Kind: stage.CrashAtStart, Version: "v2"},
		"exited with status 1, again and again":           {Kind: stage.CrashLoop, Version: "v2"},
		"exited with status 1: PAYMENTS_URL is not set":   {Kind: stage.MissingVariable, Version: "v2", Variable: "PAYMENTS_URL"},
		"exited with status 1: PORT is wrong":             {Kind: stage.WrongVariable, Version: "v2", Variable: "PORT", Value: "x"},
		"database cannot be reached":                      {Kind: stage.WrongVariable, Version: "v2", Variable: "DATABASE_URL", Value: "x"},
		"killed at its memory limit (status 137)":         {Kind: stage.OutOfMemory, Version: "v2"},
		"the health check timed out":                      {Kind: stage.Hang, Version: "v2"},
		"database does not answer in time":                {Kind: stage.DependencySlow, Version: "v2", Dependency: "database", Delay: 3 * time.Second},
		"2 of 2 replicas of v2 after 1m0s: database cann": {Kind: stage.DependencyDown, Version: "v2", Dependency: "database"},
	} {
		for _, how := range []string{"its own mistake", "injected before"} {
			t.Run(reason+", "+how, func(t *testing.T) {
				ctx := t.Context()
				s := raise(t, sim.Options{Setup: shop(t)})
				from := s.History().Now()
				v2 := stage.Version{Name: "v2"}
				if how == "injected before" {
					require.NoError(t, s.Inject(ctx, f))
					assert.Zero(t, count(s, stage.Landed, "v2"), "nothing to hit yet")
				} else {
					v2.Simulated = []stage.Failure{f}
				}
				err := s.Deploy(ctx, v2)
				require.ErrorIs(t, err, stage.ErrUnhealthy)
				assert.ErrorContains(t, err, reason)
				assert.Equal(t, from+time.Minute, s.History().Now(), "the deadline")
				assert.Zero(t, count(s, stage.Deployed, "v2"))
				if how == "injected before" {
					assert.Equal(t, 1, count(s, stage.Landed, "v2"))
				} else {
					assert.Zero(t, count(s, stage.Landed, "v2"))
				}
				require.NoError(t, s.Retire(ctx, v2), "what is left of it can be cleared")
				assert.Zero(t, served(s, "", 0).Failed)
				assert.Empty(t, red(s)["shop-5xx-rate"])
			})
		}
	}
}

func TestAVersionCanBeDeployedAgainAfterItWasRetired(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	canary(t, s, stage.Version{Name: "v2"})
	require.NoError(t, s.Shift(ctx, stage.Shares{"v2": 100}))
	require.NoError(t, s.Retire(ctx, stage.Version{Name: "v1"}))
	require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v1"}))
	require.NoError(t, s.Shift(ctx, stage.Shares{"v1": 100}))
	require.NoError(t, s.Retire(ctx, stage.Version{Name: "v2"}))
	wait(t, s, 10*time.Minute)
	assert.Zero(t, served(s, "", 0).Failed)
	assert.Empty(t, red(s))
	assert.Equal(t, stage.Shares{"v1": 100}, s.History().Shares())
}

func TestAGoodReleaseLosesNothingAndRaisesNoAlarm(t *testing.T) {
	s := raise(t, sim.Options{Setup: shop(t)})
	canary(t, s, stage.Version{Name: "v2"})
	wait(t, s, 50*time.Minute)
	require.NoError(t, s.Audit(t.Context()))
	got := served(s, "", 0)
	assert.Zero(t, got.Failed)
	assert.Empty(t, red(s))
	for e := range s.History().All(stage.Audited) {
		assert.True(t, e.OK)
		assert.Equal(t, got.Acknowledged, e.Writes.Acknowledged)
		assert.Zero(t, e.Writes.Lost)
	}
	for _, a := range shop(t).Alarms {
		assert.Equal(t, alarm.OK, s.History().AlarmState(a.AlarmName), a.AlarmName)
	}
}

func TestWaitEndsAtOnceWhenWhatItWaitsForHolds(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	from := s.History().Now()
	held, err := s.Wait(ctx, time.Hour, func(*stage.History) bool { return true })
	require.NoError(t, err)
	assert.True(t, held)
	assert.Equal(t, from, s.History().Now())

	require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.Errors, Version: "v1"}))
	held, err = s.Wait(ctx, time.Hour, func(h *stage.History) bool { return h.AlarmState("shop-5xx-rate") == alarm.InAlarm })
	require.NoError(t, err)
	assert.True(t, held)
	assert.Equal(t, from+3*time.Minute, s.History().Now())

	held, err = s.Wait(ctx, -time.Minute, nil)
	require.NoError(t, err)
	assert.False(t, held)
	assert.Equal(t, from+3*time.Minute, s.History().Now())
}

// history is a bad release's whole history, as it is written down.
func history(t *testing.T, seed uint64) string {
	ctx := t.Context()
	var sink bytes.Buffer
	s, err := sim.New(ctx, sim.Options{Setup: shop(t), Seed: seed, Sink: &sink})
	require.NoError(t, err)
	require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v1"}))
	require.NoError(t, s.Shift(ctx, stage.Shares{"v1": 100}))
	wait(t, s, 7*time.Minute+3*time.Second)
	canary(t, s, stage.Version{Name: "v2", Simulated: []stage.Failure{
		{Kind: stage.Errors, Share: 3}, {Kind: stage.LostWrites, Share: 1}, {Kind: stage.Latency, Share: 20, Delay: time.Second},
	}})
	require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.DependencyDown, Dependency: "payments"}))
	wait(t, s, 7*time.Minute)
	require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.CrashLoop, Version: "v2"}))
	wait(t, s, 7*time.Minute)
	require.NoError(t, s.Probe(ctx, stage.Probe{Kind: stage.ProbeDependency, Version: "v1", Dependency: "database"}))
	require.NoError(t, s.Audit(ctx))
	require.NoError(t, s.Close(ctx))
	return sink.String()
}

func TestTheSameSeedGivesTheSameHistoryByteForByte(t *testing.T) {
	first := history(t, 42)
	assert.Equal(t, first, history(t, 42))
	assert.NotEqual(t, first, history(t, 43))
	read, err := stage.ReadHistory(strings.NewReader(first))
	require.NoError(t, err)
	assert.Equal(t, strings.Count(first, "\n"), len(read.Events()))
	for e := range read.All(stage.Began) {
		assert.Contains(t, e.Detail, "seed 42")
	}
}

func TestTheHistoryMayBeReadWhileTimePasses(t *testing.T) {
	s := raise(t, sim.Options{Setup: shop(t)})
	var reader sync.WaitGroup
	stop := make(chan struct{})
	reader.Go(func() {
		last := time.Duration(0)
		for {
			now := s.History().Now()
			assert.GreaterOrEqual(t, now, last)
			last = now
			_ = s.History().Shares()
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	wait(t, s, 10*time.Minute)
	close(stop)
	reader.Wait()
}

func TestProbesAskDependenciesAsTheVersionWouldReachThem(t *testing.T) {
	ctx := t.Context()
	setup := shop(t)
	setup.Versions["lost"] = stage.Version{Name: "lost", Simulated: []stage.Failure{{Kind: stage.WrongVariable, Variable: "PAYMENTS_URL"}}}
	s := raise(t, sim.Options{Setup: setup})
	ask := func(version, dependency string) error {
		return s.Probe(ctx, stage.Probe{Kind: stage.ProbeDependency, Version: version, Dependency: dependency})
	}
	assert.NoError(t, ask("v1", "database"))
	assert.NoError(t, ask("v2", "payments"), "a version that is not deployed yet")
	err := ask("lost", "payments")
	assert.ErrorIs(t, err, stage.ErrProbe)
	assert.ErrorContains(t, err, "connection to payments: PAYMENTS_URL leads to nobody")
	assert.NoError(t, ask("lost", "database"))

	require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.DependencyDown, Version: "v2", Dependency: "database"}))
	assert.NoError(t, ask("v1", "database"))
	assert.ErrorContains(t, ask("v2", "database"), "database refuses connections")

	require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.MissingVariable, Version: "v2", Variable: "PAYMENTS_URL"}))
	assert.ErrorContains(t, ask("v2", "payments"), "PAYMENTS_URL is not set")

	require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.DependencySlow, Dependency: "payments", Delay: time.Second}))
	assert.NoError(t, ask("v1", "payments"), "slow is not down")
	require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.DependencySlow, Dependency: "payments", Delay: time.Minute}))
	from := s.History().Now()
	assert.ErrorContains(t, ask("v1", "payments"), "payments does not answer within 2s")
	assert.Equal(t, from+2*time.Second, s.History().Now(), "a probe takes its time")

	asked, well := 0, 0
	for e := range s.History().All(stage.Probed) {
		asked++
		if e.OK {
			well++
		}
	}
	assert.Equal(t, []int{9, 5}, []int{asked, well}, "every answer is recorded")
}

func TestSmokeRequestsFindWhatIsBroken(t *testing.T) {
	for _, c := range []struct {
		failure stage.Failure
		wrong   string // "" when the smoke requests do not see it
	}{
		{stage.Failure{Kind: stage.Errors, Request: "status"}, ""},
		{stage.Failure{Kind: stage.Errors, Request: "order"}, `"an order can be placed" was answered with 500`},
		{stage.Failure{Kind: stage.Errors}, `"the window is filled" was answered with 500`},
		{stage.Failure{Kind: stage.Latency, Delay: time.Minute}, `"the window is filled" was not answered within 4s`},
		{stage.Failure{Kind: stage.Latency, Delay: 900 * time.Millisecond}, `"the window is filled" was answered after 90`},
		{stage.Failure{Kind: stage.DependencySlow, Dependency: "payments", Delay: 1500 * time.Millisecond}, "later than 1s"},
		{stage.Failure{Kind: stage.DependencySlow, Dependency: "payments", Delay: 3 * time.Second}, `"an order can be placed" was answered with 500`},
		{stage.Failure{Kind: stage.DependencyDown, Dependency: "payments"}, `"an order can be placed" was answered with 500`},
		{stage.Failure{Kind: stage.WrongVariable, Variable: "PAYMENTS_URL"}, `"an order can be placed" was answered with 500`},
		{stage.Failure{Kind: stage.WrongVariable, Variable: "SHOP", Request: "order"}, `"an order can be placed" was answered with 500`},
		{stage.Failure{Kind: stage.WrongAnswers, Request: "browse"}, `the answer to "the window is filled" does not contain "price"`},
		{stage.Failure{Kind: stage.WrongAnswers, Request: "order"}, ""}, // nobody said what to look for
	} {
		t.Run(c.failure.String()+c.failure.Request, func(t *testing.T) {
			ctx := t.Context()
			s := raise(t, sim.Options{Setup: shop(t)})
			require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v2", Simulated: []stage.Failure{c.failure}}))
			assert.NoError(t, s.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: "v1"}))
			err := s.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"})
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, stage.ErrProbe)
			assert.ErrorContains(t, err, c.wrong)
			assert.Zero(t, served(s, "v2", 0).Requests, "a probe is no traffic")
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		ctx := t.Context()
		s := raise(t, sim.Options{Setup: shop(t)})
		require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v2"}))
		require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.Hang, Version: "v2"}))
		assert.ErrorContains(t, s.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"}), "was not answered within 4s")
		require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.CrashLoop, Version: "v2"}))
		assert.ErrorContains(t, s.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"}), "answered with 503")
	})
}

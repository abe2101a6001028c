package sim_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
	"rehearsal/sim"
)

func contracted(t *testing.T) stage.Setup {
	t.Helper()
	setup := shop(t)
	setup.Migrations = &stage.Migrations{Of: "database", Query: "SELECT max(version) FROM migrations", Expect: "002"}
	setup.Dependencies[1].Contract = []stage.SmokeRequest{{Request: stage.Request{Name: "health", Path: "/health"}}}
	return setup
}

func TestMigrationsAreAsTheSetupExpectsThem(t *testing.T) {
	setup := contracted(t)
	setup.Versions["v2"] = stage.Version{Name: "v2", Migration: "003"}
	s := raise(t, sim.Options{Setup: setup})
	ask := func(version string) error {
		return s.Probe(t.Context(), stage.Probe{Kind: stage.ProbeMigrations, Version: version})
	}
	require.NoError(t, ask("v1"))
	err := ask("v2")
	require.ErrorIs(t, err, stage.ErrProbe)
	assert.ErrorContains(t, err, `migrations: database is at "002", and v2 needs "003"`)

	require.NoError(t, s.Inject(t.Context(), stage.Failure{Kind: stage.DependencyDown, Version: "v2", Dependency: "database"}))
	assert.ErrorContains(t, ask("v2"), "database refuses connections")

	s = raise(t, sim.Options{Setup: shop(t)})
	err = ask("v1")
	assert.NotErrorIs(t, err, stage.ErrProbe)
	assert.ErrorContains(t, err, "does not say how to ask for the migration")
}

func TestAnAPIThatIsDownBreaksItsContract(t *testing.T) {
	s := raise(t, sim.Options{Setup: contracted(t)})
	p := stage.Probe{Kind: stage.ProbeContract, Version: "v2", Dependency: "payments"}
	require.NoError(t, s.Probe(t.Context(), p))
	require.NoError(t, s.Inject(t.Context(), stage.Failure{Kind: stage.DependencyDown, Version: "v2", Dependency: "payments"}))
	err := s.Probe(t.Context(), p)
	require.ErrorIs(t, err, stage.ErrProbe)
	assert.ErrorContains(t, err, "contract of payments: payments refuses connections")
	p.Dependency = "database"
	assert.ErrorContains(t, s.Probe(t.Context(), p), "nothing says what it is")
}

func TestTheRollbackArtefactStartsOrNot(t *testing.T) {
	s := raise(t, sim.Options{Setup: shop(t)})
	p := stage.Probe{Kind: stage.ProbeRollback, Version: "v1"}
	before := s.History().Now()
	require.NoError(t, s.Probe(t.Context(), p))
	took := s.History().Now() - before
	assert.Greater(t, took, time.Second, "a replica really starts")

	require.NoError(t, s.Inject(t.Context(), stage.Failure{Kind: stage.CrashAtStart, Version: "v1"}))
	err := s.Probe(t.Context(), p)
	require.ErrorIs(t, err, stage.ErrProbe)
	assert.ErrorContains(t, err, "a replica of v1 did not become healthy within")
	require.NoError(t, s.Heal(t.Context(), stage.Failure{Kind: stage.CrashAtStart, Version: "v1"}))
	wait(t, s, 10*time.Minute)
	require.NoError(t, s.Probe(t.Context(), p), "nothing is left of the one that did not start")
	assert.ErrorContains(t, s.Probe(t.Context(), stage.Probe{Kind: stage.ProbeRollback, Version: "v2"}), "it is not deployed")
	require.NoError(t, s.Probe(t.Context(), stage.Probe{Kind: stage.ProbeRoom, Version: "v2"}))
}

func TestAnAnswerOfTheModelIsRightOrNot(t *testing.T) {
	browse := &stage.Request{Method: "GET", Path: "/products"}
	ask := func(t *testing.T, own ...stage.Failure) (*sim.Stage, stage.Answer, error) {
		setup := shop(t)
		setup.Versions["v2"] = stage.Version{Name: "v2", Simulated: own}
		s := raise(t, sim.Options{Setup: setup})
		require.NoError(t, s.Deploy(t.Context(), setup.Versions["v2"]))
		a, err := s.Ask(t.Context(), stage.Question{Request: browse, Version: "v2"})
		return s, a, err
	}
	s, a, err := ask(t)
	require.NoError(t, err)
	assert.True(t, a.Assumed)
	assert.Positive(t, a.Took)
	var said []string
	for e := range s.History().All(stage.Probed) {
		assert.Equal(t, stage.Probe{Kind: stage.ProbeRequest, Version: "v2"}, *e.Probe)
		said = append(said, e.Detail)
	}
	require.Len(t, said, 1)
	assert.Contains(t, said[0], "GET /products: the right answer after ")

	_, a, err = ask(t, stage.Failure{Kind: stage.Errors})
	require.NoError(t, err)
	assert.Equal(t, 500, a.Status)
	assert.False(t, a.Assumed)
	_, a, err = ask(t, stage.Failure{Kind: stage.WrongAnswers})
	require.NoError(t, err)
	assert.Equal(t, 200, a.Status)
	assert.False(t, a.Assumed)
	_, _, err = ask(t, stage.Failure{Kind: stage.Latency, Delay: time.Minute})
	require.ErrorIs(t, err, stage.ErrProbe)

	for _, q := range []stage.Question{{Query: "SELECT 1", Dependency: "database"}, {Command: []string{"/shop"}, Version: "v1"}} {
		_, err := s.Ask(t.Context(), q)
		require.ErrorIs(t, err, errors.ErrUnsupported)
	}
	_, err = s.Ask(t.Context(), stage.Question{Request: browse, Version: "v9"})
	assert.ErrorContains(t, err, "not deployed")
}

func TestTheHistoryHasTheLatenciesOfTheVersionsOwnAnswers(t *testing.T) {
	s := raise(t, sim.Options{Setup: shop(t)})
	wait(t, s, 10*time.Minute)
	var all stage.Latencies
	var requests int64
	for e := range s.History().All(stage.Served) {
		all = all.Add(e.Traffic.Latencies)
		requests += e.Traffic.Requests
	}
	assert.Equal(t, requests, all.Total(), "every request was answered")
	require.NoError(t, s.Inject(t.Context(), stage.Failure{Kind: stage.Hang, Version: "v1"}))
	since := s.History().Now()
	wait(t, s, time.Second)
	for e := range s.History().All(stage.Served) {
		if e.Traffic.From >= since {
			assert.Empty(t, e.Traffic.Latencies, "who hangs does not answer")
		}
	}
}

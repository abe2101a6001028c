//go:build containers

package containers_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

func TestWhatIsAskedBeforeAReleaseIsAskedOfRealThings(t *testing.T) {
	s := sample(t)
	o := s.options(t)
	o.Setup.Versions = maps.Clone(o.Setup.Versions)
	ahead := o.Setup.Versions["v2-wrong-variable"]
	ahead.Migration = "003"
	o.Setup.Versions["v2-wrong-variable"] = ahead
	o.Setup.Migrations = &stage.Migrations{Of: "database", Query: "SELECT max(version) FROM schema_migrations", Expect: "002"}
	paid := stage.SmokeRequest{
		Request: stage.Request{Name: "charge", Method: "POST", Path: "/charges", Body: `{"amount_cents": 1200}`, Headers: map[string]string{"Idempotency-Key": "{key}"}, Expect: 201},
		JSON:    []stage.JSONValue{{Path: "$.status", Test: stage.JSONIs, Want: "paid"}, {Path: "$.amount_cents", Test: stage.JSONAbove, Want: 0.0}},
	}
	broken := paid
	broken.JSON = []stage.JSONValue{{Path: "$.currency", Test: stage.JSONIs, Want: "JPY"}}
	o.Setup.Dependencies = slices.Clone(o.Setup.Dependencies)
	o.Setup.Dependencies[1].Contract = []stage.SmokeRequest{paid}
	st, ctx := s.serving(t, o), t.Context()

	require.NoError(t, st.Probe(ctx, stage.Probe{Kind: stage.ProbeMigrations, Version: "v2"}))
	err := st.Probe(ctx, stage.Probe{Kind: stage.ProbeMigrations, Version: "v2-wrong-variable"})
	require.ErrorIs(t, err, stage.ErrProbe)
	assert.ErrorContains(t, err, `database is at "002", and v2-wrong-variable needs "003"`)

	contract := stage.Probe{Kind: stage.ProbeContract, Version: "v2", Dependency: "payments"}
	require.NoError(t, st.Probe(ctx, contract))
	o.Setup.Dependencies[1].Contract[0] = broken // the slice is the stage's own
	err = st.Probe(ctx, contract)
	require.ErrorIs(t, err, stage.ErrProbe)
	assert.ErrorContains(t, err, "charge (POST /charges): there is no $.currency in it: {")
	down := stage.Failure{Kind: stage.DependencyDown, Version: "v2", Dependency: "payments"}
	require.NoError(t, st.Inject(ctx, down))
	require.ErrorIs(t, st.Probe(ctx, contract), stage.ErrProbe)
	require.NoError(t, st.Heal(ctx, down))

	room := stage.Probe{Kind: stage.ProbeRoom, Version: "v2"}
	require.NoError(t, st.Probe(ctx, room))

	rollback := stage.Probe{Kind: stage.ProbeRollback, Version: "v1"}
	timed(t, "rollback artefact", func() error { return st.Probe(ctx, rollback) })
	requests, failed := served(st.History(), "v1", 0)
	assert.Positive(t, requests)
	assert.Zero(t, failed, "the spare replica comes and goes unnoticed")
	there := o.Setup.Versions["v1"]
	gone := there
	gone.Image = "rehearsal-test-gone:v1"
	o.Setup.Versions["v1"] = gone // the map is the stage's own
	err = st.Probe(ctx, rollback)
	require.ErrorIs(t, err, stage.ErrProbe)
	assert.ErrorContains(t, err, "rehearsal-test-gone:v1")
	t.Log(err)
	o.Setup.Versions["v1"] = there

	require.NoError(t, st.Inject(ctx, stage.Failure{Kind: stage.OutOfMemory, Version: "v1"}))
	err = st.Probe(ctx, rollback)
	require.ErrorIs(t, err, stage.ErrProbe)
	t.Log(err)
	require.NoError(t, st.Heal(ctx, stage.Failure{Kind: stage.OutOfMemory, Version: "v1"}))
	steady(ctx, t, st, "v1")

	for e := range st.History().All(stage.Probed) {
		t.Log(e.OK, e.Probe, e.Detail)
	}
}

func TestQuestionsAreAnsweredByRealThings(t *testing.T) {
	s := sample(t)
	st, ctx := s.serving(t, s.options(t)), t.Context()

	a, err := st.Ask(ctx, stage.Question{Version: "v1", Request: &stage.Request{Method: "GET", Path: "/products"}})
	require.NoError(t, err)
	assert.Equal(t, 200, a.Status)
	assert.Contains(t, a.Body, "price_cents")

	a, err = st.Ask(ctx, stage.Question{Dependency: "database", Query: "SELECT id, name, NULL AS nothing FROM products WHERE id <= 2 ORDER BY id"})
	require.NoError(t, err)
	assert.Equal(t, []string{"id", "name", "nothing"}, a.Columns)
	assert.Equal(t, [][]string{{"1", "Notebook, ruled", "NULL"}, {"2", "Notebook, dotted", "NULL"}}, a.Rows)
	_, err = st.Ask(ctx, stage.Question{Dependency: "database", Query: "SELECT nonsense"})
	require.ErrorIs(t, err, stage.ErrProbe)
	assert.ErrorContains(t, err, `column "nonsense" does not exist`)
	_, err = st.Ask(ctx, stage.Question{Dependency: "database", Query: "SELECT * FROM generate_series(1, 1001)"})
	assert.ErrorContains(t, err, "more than 1000 rows")

	a, err = st.Ask(ctx, stage.Question{Dependency: "database", Command: []string{"pg_isready", "--host=database", "--username=shop"}})
	require.NoError(t, err)
	assert.Zero(t, a.Exit)
	assert.Contains(t, a.Output, "accepting connections")
	a, err = st.Ask(ctx, stage.Question{Version: "v2", Command: []string{"/shop", "healthcheck"}})
	require.NoError(t, err)
	assert.Equal(t, 1, a.Exit, "there is no shop in that container")
	assert.Contains(t, a.Output, "the shop does not answer")
	_, err = st.Ask(ctx, stage.Question{Version: "v2", Command: []string{"/bin/sh", "-c", "true"}})
	require.ErrorIs(t, err, stage.ErrProbe, "the image has no shell, and none is assumed")
	_, err = st.Ask(ctx, stage.Question{Dependency: "nobody", Command: []string{"true"}})
	assert.ErrorContains(t, err, `no service "nobody"`)
	assert.Less(t, st.History().Now(), 30*time.Minute)
}

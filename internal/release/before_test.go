package release_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

func everyBefore() []release.Before {
	return release.AllBefore(&stage.Setup{
		Dependencies: []stage.Dependency{{Name: "database"}, {Name: "payments", Contract: []stage.SmokeRequest{{}}}},
		Migrations:   &stage.Migrations{Of: "database"},
	})
}

func TestEveryQuestionBeforeAReleaseIsAsked(t *testing.T) {
	var names []string
	for _, b := range everyBefore() {
		names = append(names, b.String())
	}
	assert.Equal(t, []string{"connection to database", "connection to payments", "migrations", "contract of payments", "rollback artefact", "room", "alarms"}, names)

	f := newFake(2)
	changes("errors", alarm.InsufficientData, alarm.OK)(f)
	p := blueGreen()
	p.Checks.Before = everyBefore()
	out, err := f.run(p)
	require.NoError(t, err)
	assert.Equal(t, release.Released, out.Result, out.Detail)
	assert.Equal(t, []string{"Probe connection to database", "Probe connection to payments", "Probe migrations", "Probe contract of payments",
		"Probe rollback artefact v1", "Probe room for v2", "Deploy v2 2"}, f.calls[:7])
}

func TestEachFailedQuestionRefusesTheRelease(t *testing.T) {
	for probe, b := range map[string]release.Before{
		"connection to payments": {Kind: release.BeforeConnection, Of: "payments"},
		"contract of payments":   {Kind: release.BeforeContract, Of: "payments"},
		"migrations":             {Kind: release.BeforeMigrations},
		"rollback artefact v1":   {Kind: release.BeforeRollback},
		"room for v2":            {Kind: release.BeforeRoom},
	} {
		t.Run(b.String(), func(t *testing.T) {
			f := newFake(2)
			f.probes[probe] = fmt.Errorf("%w: %s: it is broken", stage.ErrProbe, probe)
			p := canary()
			p.Checks.Before = []release.Before{b}
			out, err := f.run(p)
			require.NoError(t, err)
			assert.Equal(t, release.Refused, out.Result)
			assert.Equal(t, release.CauseBefore, out.Cause)
			assert.Equal(t, "refused: pre-release check failed: "+probe+": it is broken; nothing was deployed", out.Detail)
			assert.Equal(t, []string{"Probe " + probe}, f.calls)

			said, ok, err := b.Ask(context.Background(), f, release.Versions{Stable: &stage.Version{Name: "v1"}, New: stage.Version{Name: "v2"}}, nil)
			require.NoError(t, err)
			assert.False(t, ok)
			assert.Equal(t, "it is broken", said)
		})
	}
}

func TestAWatchedAlarmMustBeOKBeforeTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		state alarm.State
		want  release.Result
		cause release.Cause
		says  string
	}{
		"OK":  {alarm.OK, release.Released, release.NoCause, "released"},
		"red": {alarm.InAlarm, release.Refused, release.CauseAlarm, `"errors" was red already`},
		"no data": {alarm.InsufficientData, release.Refused, release.CauseBefore,
			`pre-release check failed: alarms: "errors" has no data: it could not tell whether the new version is bad`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(2)
			changes("errors", alarm.InsufficientData, c.state)(f)
			p := canary()
			p.Checks.Before = []release.Before{{Kind: release.BeforeAlarms}}
			out, err := f.run(p)
			require.NoError(t, err)
			assert.Equal(t, c.want, out.Result)
			assert.Equal(t, c.cause, out.Cause)
			assert.Contains(t, out.Detail, c.says)
		})
	}
	f := newFake(2)
	_, ok, err := release.Before{Kind: release.BeforeAlarms}.Ask(t.Context(), f, release.Versions{}, nil)
	require.NoError(t, err)
	assert.False(t, ok, "who watches nothing sees nothing")
}

func TestBeforeTheFirstVersionNoAlarmCanHaveData(t *testing.T) {
	for state, want := range map[alarm.State]release.Result{alarm.InsufficientData: release.Released, alarm.InAlarm: release.Refused} {
		f := newFake(0)
		changes("errors", alarm.InsufficientData, state)(f)
		p := canary()
		p.Checks.Before = []release.Before{{Kind: release.BeforeAlarms}}
		out, err := release.Run(t.Context(), f, p, release.Versions{New: stage.Version{Name: "v1"}}, release.Options{})
		require.NoError(t, err)
		assert.Equal(t, want, out.Result, "%v: %s", state, out.Detail)
	}
}

func TestWithoutAVersionToGoBackToThereIsNoArtefactToCheck(t *testing.T) {
	f := newFake(0)
	p := canary()
	p.Checks.Before = []release.Before{{Kind: release.BeforeRollback}}
	out, err := release.Run(t.Context(), f, p, release.Versions{New: stage.Version{Name: "v1"}}, release.Options{})
	require.NoError(t, err)
	assert.Equal(t, release.Released, out.Result, out.Detail)
	assert.False(t, slices.Contains(f.calls, "Probe rollback artefact v1"))
	assert.Contains(t, f.said(stage.Stepped), "no version was ever good: there is no rollback artefact to check")
}

func TestSmokeRequestsAroundEachShift(t *testing.T) {
	const smoke = "Probe smoke requests to v2"
	for _, c := range []struct {
		plan  *release.Plan
		calls []string
	}{
		{allAtOnce(), []string{"Deploy v2 4", smoke, "Shift v2 100%", smoke, "Retire v1", "Wait 10m0s"}},
		{canary(), []string{"Deploy v2 4", smoke, "Shift v1 90% v2 10%", smoke, "Wait 5m0s", smoke, "Shift v1 50% v2 50%", smoke, "Wait 5m0s",
			smoke, "Shift v2 100%", smoke, "Wait 10m0s", "Retire v1"}},
		{rolling(release.Amount{Count: 2}, 100), []string{"Deploy v2 2", smoke, "Shift v1 50% v2 50%", smoke, "Deploy v1 2", "Wait 5m0s",
			"Deploy v2 4", smoke, "Shift v2 100%", smoke, "Retire v1", "Wait 10m0s"}},
	} {
		t.Run(string(c.plan.Strategy), func(t *testing.T) {
			f := newFake(4)
			c.plan.Checks.Shift = true
			out, err := f.run(c.plan)
			require.NoError(t, err)
			assert.Equal(t, release.Released, out.Result)
			assert.Equal(t, c.calls, f.calls)

			f = newFake(4)
			f.probes["smoke requests to v2"] = fmt.Errorf("%w: no price", stage.ErrProbe)
			out, err = f.run(c.plan)
			require.NoError(t, err)
			assert.Equal(t, release.RolledBack, out.Result)
			assert.Equal(t, release.CauseShift, out.Cause)
			assert.Equal(t, "rolled back: check at a shift failed: smoke requests to v2: no price; v1 serves everyone again", out.Detail)
			assert.NotContains(t, f.calls, "Shift v1 90% v2 10%")
		})
	}
}

func TestChecksOfAPlanFile(t *testing.T) {
	const head = "plan: p\nstrategy: all-at-once\nbake: 1m\nchecks:\n"
	p, err := release.Parse("r.yaml", []byte(head+"  before: [connection to database, contract of payments, migrations, rollback artefact, room, alarms]\n  shift: smoke\n"))
	require.NoError(t, err)
	var kinds []release.BeforeKind
	for _, b := range p.Checks.Before {
		kinds = append(kinds, b.Kind)
	}
	assert.ElementsMatch(t, release.BeforeKinds(), kinds)
	assert.True(t, p.Checks.Shift)
	none := ""
	said := fmt.Sprint(p.Lint(release.Facts{Dependencies: []string{"database", "payments"}, Contracts: []string{}, Migrations: &none, Smoke: new(int)}))
	assert.Contains(t, said, `r.yaml:5: error: nothing says what the contract of "payments" is`)
	assert.Contains(t, said, `r.yaml:5: error: nothing says how to ask which migration the database is at`)
	assert.Contains(t, said, `r.yaml:6: error: there are no smoke requests to send`)

	for _, wrong := range []string{"connection", "connection to ", "connection to", "contract of", "migrations of database", "rooms", "Alarms", ""} {
		_, err := release.Parse("r.yaml", []byte(head+"  before:\n    - \""+wrong+"\"\n"))
		require.ErrorContains(t, err, "r.yaml:6: checks.before[0]: ", wrong)
		require.ErrorContains(t, err, "is not a check: want one of", wrong)
	}
	_, err = release.Parse("r.yaml", []byte(head+"  before: [room,\n    room]\n"))
	require.ErrorContains(t, err, `r.yaml:6: checks.before[1]: "room" is checked already, see line 5`)
}

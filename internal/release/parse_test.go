package release_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
	"rehearsal/internal/release"
)

const good = `plan: shop
strategy: canary
steps:
  - {share: 10%, bake: 5m}
  - {share: 100%, bake: 10m}
alarms: [shop-5xx-rate, shop-p99-latency]
checks:
  before: [connection to database, connection to payments]
  test: smoke
  after: smoke
rollback:
  to: last good version
  when: [any watched alarm, failed health check, failed check, by hand]
  within: 2m
  decides: on-call release engineer
window:
  days: [Thu, Tuesday, wed]
  hours: "10:00-16:30"
  zone: Asia/Tokyo
  freeze:
    - {from: 2026-12-25, to: 2027-01-04, why: year end}
    - {from: 2026-07-20}
`

func TestReadingAPlan(t *testing.T) {
	p, err := release.Parse("release.yaml", []byte(good))
	require.NoError(t, err)
	assert.Equal(t, "shop", p.Name)
	assert.Equal(t, release.Canary, p.Strategy)
	assert.Equal(t, []release.Step{{Share: 10, Bake: 5 * time.Minute}, {Share: 100, Bake: 10 * time.Minute}}, p.Steps)
	assert.Equal(t, []string{"shop-5xx-rate", "shop-p99-latency"}, p.Alarms)
	assert.Equal(t, release.Checks{Before: connections("database", "payments"), Test: true, After: true}, p.Checks)
	assert.Equal(t, release.Rollback{ToLastGood: true, When: release.Triggers(), Within: 2 * time.Minute, Decides: "on-call release engineer"}, p.Rollback)
	assert.Equal(t, []time.Weekday{time.Tuesday, time.Wednesday, time.Thursday}, p.Window.Days)
	assert.Equal(t, "Tue, Wed, Thu 10:00-16:30 Asia/Tokyo", p.Window.String())
	assert.Equal(t, "frozen from 2026-12-25 to 2027-01-04: year end", p.Window.Freeze[0].String())
	assert.Equal(t, "frozen on 2026-07-20", p.Window.Freeze[1].String())
	assert.Equal(t, 15*time.Minute, p.Length(4))

	p, err = release.Parse("release.yaml", []byte("plan: r\nstrategy: rolling\nbatch: 25%\nevery: 90s\nbake: 0\nminimum-healthy: 66.5 %\n"))
	require.NoError(t, err)
	assert.Equal(t, release.Amount{Percent: 25}, p.Batch)
	assert.InDelta(t, 66.5, p.MinimumHealthy, 0)
	assert.Equal(t, []release.Step{{25, 90 * time.Second}, {50, 90 * time.Second}, {75, 90 * time.Second}, {100, 0}}, p.Schedule(4))
	assert.Nil(t, p.Window)

	p, err = release.Parse("release.yaml", []byte("plan: l\nstrategy: linear\nstep: 40%\nevery: 1m\nbake: 1h\n"))
	require.NoError(t, err)
	assert.Equal(t, []release.Step{{40, time.Minute}, {80, time.Minute}, {100, time.Hour}}, p.Schedule(0))
}

func TestTheShopsPlans(t *testing.T) {
	for _, s := range release.Strategies() {
		p, err := release.ParseFile("../../fixtures/plans/" + string(s) + ".yaml")
		require.NoError(t, err)
		assert.Equal(t, string(s), p.Name)
		assert.Equal(t, s, p.Strategy)
		assert.True(t, p.Rollback.ToLastGood)
	}
	p, err := release.ParseFile("../../fixtures/release.yaml")
	require.NoError(t, err)
	assert.Equal(t, release.Canary, p.Strategy)
}

func TestMistakesInAPlan(t *testing.T) {
	// Each changes the good plan in one place.
	for _, c := range []struct{ from, to, said string }{
		{good, "", `release.yaml:1: the file is empty: want a plan, such as "plan: canary"`},
		{good, "# nothing yet\n", `release.yaml:1: the file is empty: want a plan, such as "plan: canary"`},
		{good, "- a\n", "release.yaml:1: want keys and values: alarms, bake, batch, checks, every, minimum-healthy, plan, rollback, step, steps, strategy, window"},
		{"alarms: [shop-5xx-rate, shop-p99-latency]", "alarms: [a, b", "release.yaml:6: this is not YAML: did not find expected ',' or ']'"},
		{"plan: shop", "plan: shop\n- a", "release.yaml:2: this is not YAML: did not find expected key"},
		{"plan: shop", "plan: shop: x", "release.yaml:1: this is not YAML: mapping values are not allowed in this context"},
		{"  test: smoke", "  test: smoke\n\ttest: x", "release.yaml:9: this is not YAML: found a tab character that violates indentation"},
		{"plan: shop\n", "", `release.yaml:1: the plan has no name: add "plan: canary", say`},
		{"strategy: canary\n", "", "release.yaml:1: the plan has no strategy: add one of all-at-once, blue-green, rolling, linear, canary"},
		{"plan: shop", "plan:", "release.yaml:1: plan: is empty: want a text"},
		{"plan: shop", "plan: [shop]", "release.yaml:1: plan: is empty: want a text"},
		{"strategy: canary", "strategy: canray", `release.yaml:2: strategy: unknown strategy "canray": did you mean "canary"?`},
		{"strategy: canary", "strategy: weighted", `release.yaml:2: strategy: unknown strategy "weighted": known: all-at-once, blue-green, rolling, linear, canary`},
		{"rollback:", "rolback:", `release.yaml:11: unknown key "rolback": did you mean "rollback"?`},
		{"plan: shop", "plan: shop\nplan: other", `release.yaml:2: "plan" is said twice, first in line 1`},
		{"share: 10%, bake", "share: 10%, bakes", "release.yaml:4: unknown key \"bakes\": did you mean \"bake\"?"},
		{"{share: 10%, bake: 5m}", "{share: 10%}", `release.yaml:4: steps[0]: has no "bake": want {share: 10%, bake: 5m}, say`},
		{"{share: 10%, bake: 5m}", "10%", "release.yaml:4: steps[0]: want keys and values: bake, share"},
		{"share: 10%", "share: 10", "release.yaml:4: steps[0].share: 10 has no unit: write 10%"},
		{"share: 10%", "share: 120%", "release.yaml:4: steps[0].share: 120% is out of range: want above 0% and at most 100%"},
		{"share: 10%", "share: NaN%", "release.yaml:4: steps[0].share: NaN% is out of range: want above 0% and at most 100%"},
		{"share: 10%", "share: few", `release.yaml:4: steps[0].share: "few" is not a percentage: want one such as 10%`},
		{"bake: 5m", "bake: 5", "release.yaml:4: steps[0].bake: 5 has no unit: write 5m for minutes, 5s for seconds"},
		{"bake: 5m", "bake: 5 minutes", `release.yaml:4: steps[0].bake: "5 minutes" is not a duration: want one such as 5m, 90s or 1h30m`},
		{"bake: 5m", "bake: -5m", "release.yaml:4: steps[0].bake: -5m is below 0: want a duration such as 5m"},
		{"bake: 5m", "bake: 8000h", "release.yaml:4: steps[0].bake: 8000h is too long: want at most 720h"},
		{"steps:\n  - {share: 10%, bake: 5m}\n  - {share: 100%, bake: 10m}\n", "", `release.yaml:2: a plan with strategy canary needs "steps", steps: add "steps: [{share: 10%, bake: 5m}, {share: 100%, bake: 10m}]", say`},
		{"steps:\n  - {share: 10%, bake: 5m}\n  - {share: 100%, bake: 10m}\n", "steps: []\n", "release.yaml:3: steps: there is none: want {share: 10%, bake: 5m}, say"},
		{"steps:\n  - {share: 10%, bake: 5m}\n  - {share: 100%, bake: 10m}\n", "steps: 10%\n", "release.yaml:3: steps: want a list, such as [a, b]"},
		{"alarms:", "every: 5m\nalarms:", `release.yaml:6: "every" is for linear, rolling: this plan is canary`},
		{"[shop-5xx-rate, shop-p99-latency]", "[a, b, a]", `release.yaml:6: alarms[2]: the alarm "a" is watched already, see line 6`},
		{"connection to database", "database", `release.yaml:8: checks.before[0]: "database" is not a check: want one of "connection to database" (say), "contract of payments" (say), migrations, rollback artefact, room, alarms`},
		{"test: smoke", "test: yes", `release.yaml:9: checks.test: "yes" is not a check: want smoke, the smoke requests of the rehearsal`},
		{"to: last good version", "to: v1", `release.yaml:12: rollback.to: "v1" is not where a rollback can go: want "last good version", or "nothing"`},
		{"any watched alarm", "any alarm", `release.yaml:13: rollback.when[0]: unknown trigger "any alarm": did you mean "any watched alarm"?`},
		{"within: 2m", "within: soon", `release.yaml:14: rollback.within: "soon" is not a duration: want one such as 5m, 90s or 1h30m`},
		{"Tuesday", "Tusday", `release.yaml:17: window.days[1]: unknown day "Tusday": did you mean "Tuesday"?`},
		{`"10:00-16:30"`, "10-16", `release.yaml:18: window.hours: "10-16" are not hours: want "10:00-16:00", say`},
		{`"10:00-16:30"`, "10:00-24:01", `release.yaml:18: window.hours: "10:00-24:01" are not hours: want "10:00-16:00", say`},
		{"  zone: Asia/Tokyo\n", "", `release.yaml:18: window: the hours have no time zone: add "zone: Asia/Tokyo", say`},
		{"Asia/Tokyo", "Asia/Kyoto", `release.yaml:19: window.zone: unknown time zone "Asia/Kyoto": want a name of the IANA database, such as Asia/Tokyo or Europe/Berlin`},
		{"2026-12-25", "2026-12-32", `release.yaml:21: window.freeze[0].from: "2026-12-32" is not a date: want one such as 2026-12-25`},
		{"2027-01-04", "2026-01-04", "release.yaml:21: window.freeze[0]: ends on 2026-01-04, before it begins on 2026-12-25: swap them"},
		{"{from: 2026-07-20}", "{to: 2026-07-20}", `release.yaml:22: window.freeze[1]: has no "from": want {from: 2026-12-25, to: 2027-01-04}, say`},
		{"{from: 2026-07-20}", "{from: 2026-07-20}\n---\nplan: other", "release.yaml:23: a second document begins: want one plan in a file"},
	} {
		t.Run(c.to, func(t *testing.T) {
			changed := strings.Replace(good, c.from, c.to, 1)
			require.NotEqual(t, good, changed)
			p, err := release.Parse("release.yaml", []byte(changed))
			require.EqualError(t, err, c.said)
			assert.Nil(t, p)
			var m *release.Mistake
			require.ErrorAs(t, err, &m)
			assert.Equal(t, "release.yaml", m.File)
		})
	}
}

func TestMistakesOfOtherStrategies(t *testing.T) {
	for _, c := range []struct{ plan, said string }{
		{"plan: r\nstrategy: rolling\n", `r.yaml:2: a plan with strategy rolling needs "batch", how many replicas are replaced at a time: add "batch: 25%", say
r.yaml:2: a plan with strategy rolling needs "every", the bake after each step: add "every: 5m", say
r.yaml:2: a plan with strategy rolling needs "bake", the bake once everyone is on the new version: add "bake: 10m", say`},
		{"plan: r\nstrategy: rolling\nbatch: 0\nevery: 1m\nbake: 1m\n", `r.yaml:3: batch: "0" is not a number of replicas: want one such as 1, or a percentage such as 25%`},
		{"plan: r\nstrategy: linear\nstep: 0.5%\nevery: 1m\nbake: 1m\n", "r.yaml:3: step: 0.5 % is too small: want at least 1%"},
		{"plan: r\nstrategy: all-at-once\nbake: 1m\nchecks:\n  test: smoke\n", "r.yaml:5: checks.test: all-at-once sends no test traffic: take it out, or use strategy blue-green"},
		{"plan: r\nstrategy: blue-green\nbatch: 2\n", `r.yaml:2: a plan with strategy blue-green needs "bake", the bake once everyone is on the new version: add "bake: 10m", say
r.yaml:3: "batch" is for rolling: this plan is blue-green`},
		// All that is wrong is said at once, in the order of the lines.
		{"strategy: canary\nsteps: [{share: 1, bake: 2}]\nwhen: now\n", `r.yaml:1: the plan has no name: add "plan: canary", say
r.yaml:2: steps[0].share: 1 has no unit: write 1%
r.yaml:2: steps[0].bake: 2 has no unit: write 2m for minutes, 2s for seconds
r.yaml:3: unknown key "when": known: alarms, bake, batch, checks, every, minimum-healthy, plan, rollback, step, steps, strategy, window`},
	} {
		_, err := release.Parse("r.yaml", []byte(c.plan))
		require.EqualError(t, err, c.said)
	}
}

func TestAPlanThatIsNotThere(t *testing.T) {
	_, err := release.ParseFile(filepath.Join(t.TempDir(), "release.yaml"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "release.yaml")
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("plan: &a [*a]\nstrategy: *a\n")
	f.Add("<<: {plan: x}\n? [a]\n: b\n")
	files, err := filepath.Glob("../../fixtures/plans/*.yaml")
	require.NoError(f, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := release.Parse("release.yaml", []byte(text))
		if err != nil {
			var m *release.Mistake
			require.ErrorAs(t, err, &m)
			require.Positive(t, m.Line)
			return
		}
		// What can be read can be judged and described.
		for _, x := range p.Lint(release.Facts{Now: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC), Replicas: 3, Rate: 1}) {
			require.Positive(t, x.Line, x.String())
		}
		var b strings.Builder
		p.Describe(&b, lang.English, release.Facts{})
		require.NotEmpty(t, b.String())
	})
}

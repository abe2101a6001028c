package steps

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/schedule"
)

// inFull leaves a test that pushes many times to the run without -short.
func inFull(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: it pushes to the pipeline many times")
	}
}

func TestThePipelinesOfTheShop(t *testing.T) {
	inFull(t)
	dir := t.TempDir()
	v, err := Rehearsal{
		Project: shop(t), Features: []string{"../features"}, Tags: PipelineTag + " && ~@twin", Stages: []string{Simulated}, Seed: 1, Report: dir,
	}.Verify(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(v.Results), 5)
	for _, r := range v.Results {
		assert.Equal(t, check.Passed, r.Verdict, "%s: %s: %v", r.Spec.Where(), r.Step, r.Err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "histories", "*.pipeline.log"))
	require.NoError(t, err)
	assert.Len(t, logs, len(v.Results), "what the jobs print is kept")
}

func TestPipelinesMayBeLeftOut(t *testing.T) {
	text := "Feature: f\n  Scenario: s\n" + shopAtRest + "    When \"v2\" is released as the \"blue-green\" plan says\n    Then no request failed\n" +
		"  @pipeline\n  Scenario: p\n" + shopAtRest + "    When version \"v2\" is pushed\n    Then no request failed\n"
	r := Rehearsal{Project: shop(t), Features: []string{feature(t, text)}, Stages: []string{Simulated}, NoPipelines: true}
	v, err := r.Verify(t.Context())
	require.NoError(t, err)
	assert.Len(t, v.Results, 1)
	assert.Equal(t, 1, v.LeftOut)
	r.Tags = PipelineTag
	_, err = r.Verify(t.Context())
	require.ErrorContains(t, err, "only pipelines are selected")
}

// pushOf rehearses a scenario that pushes, and these lines after.
func pushOf(t *testing.T, p *project.Project, lines ...string) *Result {
	t.Helper()
	v := rehearseOf(t, p, "Feature: f\n  Scenario: s\n"+shopAtRest+"    "+strings.Join(lines, "\n    ")+"\n", nil)
	require.Len(t, v.Results, 1)
	return v.Results[0]
}

const pushed = `When version "v2" is pushed`

func TestAPromiseOfAPipelineThatIsBroken(t *testing.T) {
	inFull(t)
	p := shop(t)
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"it went on":       {[]string{pushed, `Then the pipeline stops at "test"`}, "it went on to its end: build success"},
		"it was deployed":  {[]string{pushed, `Then nothing was deployed`}, "v2 was deployed at"},
		"v2 serves":        {[]string{pushed, `Then production still serves "v1"`}, "v2"},
		"not all passed":   {[]string{`Given version "v2" fails 50% of its requests`, `When version "v2" is pushed and everything passes`, `Then the alarm "shop-5xx-rate" may go off too`}, `job "deploy": failure at "release"`},
		"not released":     {[]string{`When version "v2" is pushed with a failing test`, `Then the pipeline has released "v2"`}, `job "test": failure at "go test"`},
		"stopped too soon": {[]string{`When version "v2" is pushed with code that does not build`, `Then the pipeline stops at "deploy"`}, `it stopped at "build"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := pushOf(t, p, c.lines...)
			assert.Equal(t, check.Failed, r.Verdict)
			require.ErrorContains(t, r.Err, c.want)
		})
	}
}

func TestAPushThatCannotBeMeant(t *testing.T) {
	p := shop(t)
	without := func(f func(*project.Pipeline)) *project.Project {
		other, pipe := *p, *p.Pipeline
		other.Pipeline = &pipe
		f(&pipe)
		return &other
	}
	none := *p
	none.Pipeline = nil
	for name, c := range map[string]struct {
		project *project.Project
		lines   []string
		want    string
	}{
		"no pipeline":     {&none, []string{pushed}, "does not say how the code comes to a release: add"},
		"no failing test": {without(func(p *project.Pipeline) { p.FailingTest = "" }), []string{`When version "v2" is pushed with a failing test`}, `add them as "pipeline: failingTest: FOLDER"`},
		"unknown job":     {p, []string{pushed, `Then the pipeline stops at "tests"`}, `the pipeline has no job "tests": did you mean "test"?`},
		"no push":         {p, []string{`Then the pipeline stops at "test"`}, "nothing was pushed"},
		"two pushes":      {p, []string{`When version "v2" is pushed with a failing test`, pushed}, "the scenario pushes twice"},
		"a declined push": {without(func(p *project.Pipeline) { p.PreReceive = decline(t) }), []string{pushed}, "was rejected: the repository's pre-receive hook declined it (not on a Friday)"},
	} {
		t.Run(name, func(t *testing.T) {
			r := pushOf(t, c.project, c.lines...)
			assert.True(t, r.Input)
			require.ErrorContains(t, r.Err, c.want)
		})
	}
}

func decline(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "hook")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\necho not on a Friday >&2\nexit 1\n"), 0o600))
	return file
}

// workflow is the shop with another workflow, of a branch.
func workflow(t *testing.T, text string) *project.Project {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, ".github", "workflows", "ci.yml")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	p := shop(t)
	p.Pipeline = &project.Pipeline{Code: dir, Push: "main"}
	return p
}

func TestAPipelineThatCannotRunHereIsNeverGreen(t *testing.T) {
	r := pushOf(t, workflow(t, `
on: push
jobs:
  test:
    runs-on: ubuntu-latest
    services: {database: {image: "postgres:17"}}
    steps: [{run: echo well}]
  deploy:
    needs: test
    runs-on: ubuntu-latest
    steps: [{run: 'rehearse release "$REHEARSAL_VERSION"'}]
`), pushed, `Then the pipeline has released "v2"`)
	assert.Equal(t, check.Inconclusive, r.Verdict)
	require.ErrorContains(t, r.Err, `ci.yml:6: job "test": services (database) are containers`)
	assert.False(t, r.Input)
}

func TestAWorkflowThatIsWrongIsWrongInput(t *testing.T) {
	r := pushOf(t, workflow(t, "on: push\njobs:\n  test:\n    steps: [{run: echo}]\n"), pushed)
	assert.True(t, r.Input)
	require.ErrorContains(t, r.Err, `ci.yml:3: "runs-on" section is missing`)
}

func TestAPipelineThatNeverReleases(t *testing.T) {
	r := pushOf(t, workflow(t, "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps: [{run: echo}]\n"), pushed, `Then the pipeline has released "v2"`)
	require.ErrorContains(t, r.Err, "no job called `rehearse release`")
}

func TestWhatAJobAsksWrongly(t *testing.T) {
	for name, c := range map[string]struct{ run, want string }{
		"an unknown version": {"rehearse release v9", `there is no version "v9"`},
		"twice":              {"rehearse release v2; rehearse release v2", "the scenario releases twice"},
	} {
		t.Run(name, func(t *testing.T) {
			r := pushOf(t, workflow(t, "on: push\njobs:\n  deploy:\n    runs-on: ubuntu-latest\n    steps: [{run: '"+c.run+"'}]\n"), pushed)
			assert.True(t, r.Input)
			require.ErrorContains(t, r.Err, c.want)
		})
	}
}

func TestACheckBeforeTheReleaseStopsThePipeline(t *testing.T) {
	r := pushOf(t, workflow(t, "on: push\njobs:\n  verify:\n    runs-on: ubuntu-latest\n    steps: [{run: rehearse confirm v2}]\n"), pushed, `Then the pipeline stops at "verify"`, `And nothing was deployed`)
	assert.Equal(t, check.Passed, r.Verdict, "%v", r.Err)
}

// tuesdays is 10:00 to 16:00 in Tokyo, on Tuesdays.
func tuesdays(t *testing.T) *release.Plan {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Tokyo")
	require.NoError(t, err)
	return &release.Plan{Name: "shop", Strategy: release.BlueGreen, Bake: 10 * time.Minute, Rollback: release.Rollback{Within: time.Minute}, Window: &release.Window{Days: []time.Weekday{time.Tuesday}, From: 600, To: 960, Zone: zone}}
}

func TestAClosedWindowRefusesWithTheNextOpening(t *testing.T) {
	plan := tuesdays(t)
	rules := schedule.Of(plan, 1, 10*time.Second)
	sunday := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	assert.Equal(t, `refused: no release by the plan "shop" may start now (the plan's window is closed on Sun: open Tue 10:00-16:00 Asia/Tokyo): the next opening is Tue 2026-12-01 10:00 JST, in 46 h 0 min; --ignore-window REASON releases all the same`,
		refused(rules, sunday, ""))
	assert.NotEmpty(t, refused(rules, sunday, "  "), "a reason of blanks is none")
	assert.Empty(t, refused(rules, sunday, "the shop is down"))
	assert.Empty(t, refused(rules, time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC), ""))
	assert.Contains(t, refused(rules, time.Date(2026, 12, 1, 0, 58, 0, 0, time.UTC), ""), "in 2 min;")
	assert.Contains(t, refused(rules, time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC), ""), "in 6 days and 17 h;")
	plan.Window.Freeze = []release.Freeze{{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC), Why: "sold"}}
	assert.Contains(t, refused(rules, sunday.AddDate(0, 0, 2), ""), "frozen from 2026-01-01 to 2036-01-01: sold): there is no opening in the next two years")
	assert.Empty(t, refused(schedule.Of(&release.Plan{Strategy: release.BlueGreen}, 1, 0), sunday, ""), "no window is always open")
}

func TestAReleaseThatWouldLastIntoAFreezeIsRefused(t *testing.T) {
	plan := tuesdays(t)
	plan.Window.To = 24 * 60
	plan.Window.Freeze = []release.Freeze{{From: time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC), Why: "fair"}}
	rules := schedule.Of(plan, 1, 10*time.Second) // 11 min and 10 s, way back included
	assert.Empty(t, refused(rules, time.Date(2026, 12, 1, 14, 48, 0, 0, time.UTC), ""))
	assert.Equal(t, `refused: no release by the plan "shop" may start now (a release that starts then is over, way back included, at Wed 2026-12-02 00:00 JST: frozen from Wed 2026-12-02 until Thu 2026-12-03: fair): the next opening is Tue 2026-12-08 10:00 JST, in 6 days and 10 h; --ignore-window REASON releases all the same`,
		refused(rules, time.Date(2026, 12, 1, 14, 49, 0, 0, time.UTC), ""))
}

func TestTheTimeOfAPushThatIsRehearsed(t *testing.T) {
	plan := tuesdays(t)
	rules, w := schedule.Of(plan, 1, 0), plan.Window
	assert.True(t, w.Open(pushTime(rules, false)))
	assert.False(t, w.Open(pushTime(rules, true)))
	plan.Window = nil
	assert.False(t, pushTime(rules, true).IsZero())
}

// carry carries out one release of the shop outside of any specification.
func carry(t *testing.T, o Order) (Carried, []string, error) {
	t.Helper()
	p := shop(t)
	if o.Plan == nil {
		o.Plan = p.Plan
	}
	var said []string
	c, err := Rehearsal{Project: p, Stages: []string{Simulated}, Seed: 1, Report: t.TempDir()}.CarryOut(t.Context(), o, func(l string) { said = append(said, l) })
	return c, said, err
}

var (
	thursday = time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	sunday   = time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
)

func TestOneReleaseIsCarriedOut(t *testing.T) {
	for name, c := range map[string]struct {
		order  Order
		status int
		want   string
	}{
		"good":               {Order{Version: "v2", Stable: "v1", Now: thursday}, ExitVerified, "released: v2 serves everyone"},
		"the first of all":   {Order{Version: "v2", Now: thursday}, ExitVerified, "released: v2 serves everyone"},
		"taken back":         {Order{Version: "v2-crashes-under-load", Stable: "v1", Now: thursday}, ExitBroken, "rolled back: "},
		"never healthy":      {Order{Version: "v2-crashes-at-start", Stable: "v1", Now: thursday}, ExitBroken, "rolled back: "},
		"on a Sunday":        {Order{Version: "v2", Stable: "v1", Now: sunday}, ExitBroken, "the next opening is Tue 2026-12-01 10:00 JST"},
		"on a Sunday anyway": {Order{Version: "v2", Stable: "v1", Now: sunday, IgnoreWindow: "the shop is down"}, ExitVerified, "released: v2"},
		"to itself":          {Order{Version: "v1", Stable: "v1", Now: thursday}, ExitBroken, "v1 serves everyone already"},
	} {
		t.Run(name, func(t *testing.T) {
			got, said, err := carry(t, c.order)
			require.NoError(t, err)
			assert.Equal(t, c.status, got.Status, got.Text)
			assert.Contains(t, got.Text, c.want)
			if got.Outcome == nil {
				assert.Empty(t, said, "nothing was begun")
				return
			}
			assert.Contains(t, strings.Join(said, "\n"), "=> "+got.Outcome.Detail)
			data, err := os.ReadFile(got.History)
			require.NoError(t, err)
			assert.True(t, strings.Contains(string(data), `"kind":"decided"`) && strings.HasSuffix(string(data), "\"kind\":\"ended\"}\n"))
			assert.Equal(t, c.order.IgnoreWindow != "", strings.Contains(string(data), "and that was ignored: the shop is down"))
		})
	}
	_, _, err := carry(t, Order{Version: "v9", Stable: "v1", Now: thursday})
	require.ErrorContains(t, err, `there is no version "v9"`)
}

func TestAReleaseThatIsThroughAndNotHealthyIsNoSuccess(t *testing.T) {
	p := shop(t)
	plan := *p.Plans["blue-green"]
	plan.Alarms, plan.Checks, plan.Window = []string{"shop-memory"}, release.Checks{}, nil // nothing that sees it is watched
	got, _, err := carry(t, Order{Version: "v2-slow-query", Stable: "v1", Now: thursday, Plan: &plan})
	require.NoError(t, err)
	assert.Equal(t, ExitBroken, got.Status)
	assert.Contains(t, got.Text, `the alarm "shop-p99-latency" went off`)
	assert.Contains(t, got.Text, "and not healthy")
}

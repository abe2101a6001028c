package chart_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/chart"
	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/release"
)

func TestPlans(t *testing.T) {
	files, err := filepath.Glob("../../fixtures/plans/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range append(files, "../../fixtures/release.yaml") {
		for _, l := range []lang.Lang{lang.English, lang.Japanese} {
			plan, err := release.ParseFile(file)
			require.NoError(t, err)
			t.Run(plan.Name+"-"+string(l), func(t *testing.T) {
				svg, err := chart.Plan(plan, 3, chart.Options{Lang: l})
				require.NoError(t, err)
				wellFormed(t, svg)
				assert.Less(t, len(svg), 5000)
				if plan.Name == "shop" {
					golden(t, "plan-"+string(l), svg)
				}
			})
		}
	}
}

func TestAPlanInWordsLeavesNothingOut(t *testing.T) {
	plan, err := release.ParseFile("../../fixtures/release.yaml")
	require.NoError(t, err)
	all := strings.Join(chart.PlanWords(plan, 3, lang.English), "\n")
	for _, words := range []string{
		"Nothing is deployed unless these pass: connection to database, connection to payments, migrations,",
		"before users reach it", "Step 1: 10 % of the users get the new version, and it is watched for 5m.", "Step 3: 100 %",
		"before and after each shift", "once it serves everyone", "shop-5xx-rate, shop-p99-latency",
		"any watched alarm, failed health check, failed check, by hand", "That may take 2m at most.", "It may begin: Tuesday, Wednesday, Thursday 10:00–16:00 (Asia/Tokyo).", "It may not begin from 2026-12-25 to 2027-01-04: year end.", "on-call release engineer",
	} {
		assert.Contains(t, all, words)
	}
	for _, sentence := range chart.PlanWords(plan, 3, lang.Japanese) {
		assert.NotRegexp(t, `[a-z]+ [a-z]+ [a-z]+ [a-z]+`, sentence, "a sentence that nobody translated")
	}
}

func TestNoPlanPanics(t *testing.T) {
	_, err := chart.Plan(nil, 0, chart.Options{})
	require.ErrorContains(t, err, "there is no plan to draw")
	names := rapid.SampledFrom([]string{"", "shop-5xx-rate", "<&>", "\x00\xff版"})
	rapid.Check(t, func(t *rapid.T) {
		plan := &release.Plan{
			Name: names.Draw(t, "name"), Strategy: rapid.SampledFrom(append(release.Strategies(), "new")).Draw(t, "strategy"),
			Share: rapid.Float64Range(0.5, 200).Draw(t, "share"), Batch: release.Amount{Count: rapid.IntRange(0, 5).Draw(t, "batch")},
			Every: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "every")), Bake: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "bake")),
			Alarms: rapid.SliceOf(names).Draw(t, "alarms"),
		}
		plan.Checks.Shift, plan.Rollback.ToLastGood = rapid.Bool().Draw(t, "smoke"), rapid.Bool().Draw(t, "back")
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			plan.Steps = append(plan.Steps, release.Step{Share: rapid.Float64().Draw(t, "users"), Bake: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "bakes"))})
		}
		svg, err := chart.Plan(plan, rapid.IntRange(0, 50).Draw(t, "replicas"), chart.Options{})
		if plan.Strategy == "new" {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		wellFormed(t, svg)
	})
}

func TestTheLastRuns(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 11, day, 12, 0, 0, 0, time.UTC) }
	newestFirst := []chart.Run{
		{At: at(20), Verdict: check.Passed, Detect: 170 * time.Second},
		{At: at(19), Verdict: check.Failed, Detect: check.Never},
		{At: at(18), Verdict: check.Inconclusive, Detect: check.Never},
		{At: at(17), Verdict: check.Passed, Detect: 85 * time.Second},
	}
	svg, err := chart.Runs(newestFirst, chart.Options{})
	require.NoError(t, err)
	assert.Contains(t, svg, "<desc>The oldest first: 2026-11-17 passed, detected after 1m 25s; 2026-11-18 inconclusive; 2026-11-19 failed; 2026-11-20 passed, detected after 2m 50s.</desc>")
	golden(t, "runs", svg)

	svg, err = chart.Runs(nil, chart.Options{})
	require.NoError(t, err)
	assert.Contains(t, svg, "It never ran before.")

	long := make([]chart.Run, 1000)
	svg, err = chart.Runs(append(newestFirst, long...), chart.Options{Lang: lang.Japanese})
	require.NoError(t, err)
	assert.Equal(t, 12, strings.Count(svg, "合格")+strings.Count(svg, "判定不能"), "a strip has room for 12; 不合格 has 合格 in it")
}

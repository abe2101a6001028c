package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rehearsal/internal/lang"
	"rehearsal/internal/report"
	"rehearsal/internal/runs"
)

var began = time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC)

func pastRuns(l lang.Lang) (report.PastRuns, *bytes.Buffer) {
	var b bytes.Buffer
	return report.PastRuns{Out: &b, Lang: l, Zone: time.UTC}, &b
}

// narrow holds that no line is wider than a terminal, but for a word that cannot be broken.
func narrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.ContainsAny(strings.TrimSpace(line), " 、。") {
			assert.LessOrEqual(t, lang.Columns(line), 80, line)
		}
	}
}

func TestPastRunsAreATableOfEightyColumns(t *testing.T) {
	ended, broken, verified := began.Add(90*time.Second), 1, 0
	all := []runs.Summary{
		{Began: began, Commit: "0123456789abcdef", Dirty: true, Passed: 3},
		{Began: began, Ended: &ended, Status: &broken, Commit: "0123456789abcdef", Passed: 9, Failed: 1, Detect: map[string][]time.Duration{"containers": {170 * time.Second, 100 * time.Second, 200 * time.Second}, "simulated": {time.Hour}}, Part: true},
		{Began: began, Ended: &ended, Status: &verified, Passed: 1000, Detect: map[string][]time.Duration{"simulated": {12 * time.Minute}}, Restore: map[string][]time.Duration{"simulated": {1500 * time.Millisecond}}},
	}
	out, b := pastRuns(lang.English)
	out.List(all, 7, "/state/shop.db")
	assert.Equal(t, `began             commit    verdict        passed     detect   restore   took
2026-11-26 13:00  0123456+  not ended      3/3        -        -         -
2026-11-26 13:00  0123456   broken         9/10*      170s     -         90s
2026-11-26 13:00  -         verified       1000/1000  ~12min   ~1.5s     90s

detect and restore are medians of the scenarios in which they came, measured in
  containers or, with ~, predicted by the simulation. + is a commit with changes
  that no commit has, * a run of some scenarios only.
These are the last 3 of 7 runs that are kept in /state/shop.db (-n 0 shows all).
`, b.String())

	japanese, j := pastRuns(lang.Japanese)
	japanese.List(all, 3, "/state/shop.db")
	narrow(t, j.String())
	for _, want := range []string{"約束違反", "検証済み", "未終了", "~12分"} {
		assert.Contains(t, j.String(), want)
	}
}

func TestThePastOfAScenarioShowsWhatFailed(t *testing.T) {
	past := []runs.Past{
		{At: began, Commit: "0123456789", Verdict: "failed", Detect: -1, Restore: 90 * time.Second, Requests: 1000, Failed: 27, Step: "service is restored within 1 minute", Why: "restored after\x1b[31m 90s\nmore"},
		{At: began, Commit: "abcdef0123", Verdict: "passed", Detect: 5 * time.Second, Restore: 10 * time.Second},
	}
	out, b := pastRuns(lang.English)
	out.Line(runs.Line{Stage: "containers", Scenario: "It fails", Place: "a.feature:3", Gone: true}, past)
	assert.Equal(t, `It fails (a.feature:3, containers)
began             commit    verdict       detect   restore  errors
2026-11-26 13:00  0123456   failed        -        90s      2.7 %     #########
    at "service is restored within 1 minute": restored after[31m 90s
2026-11-26 13:00  abcdef0   passed        5.0s     10s      -         #
The newest run of all scenarios had none of that name: it was renamed or
  deleted. A renamed scenario begins a new line; nothing joins the two.
`, b.String())
}

func TestFlakinessIsToldWithItsCounts(t *testing.T) {
	verdicts := strings.Fields(strings.Repeat("passed ", 40) + "failed inconclusive passed")
	flaky := []runs.Flaky{{Stage: "containers", Scenario: "It hangs", Commit: "0123456789", Version: "v1", Seed: 1, Pace: 60, Runs: 43, Failed: 1, Inconclusive: 1, Verdicts: verdicts}}
	out, b := pastRuns(lang.English)
	out.Flaky(flaky)
	text := b.String()
	for _, want := range []string{"1 of 43 runs at this commit failed", "1 of 43 runs at this commit were inconclusive", "F I .", "commit 0123456, rehearse v1, seed 1, pace 60", "nothing was mended before it"} {
		assert.Contains(t, text, want)
	}
	narrow(t, text)
	out, b = pastRuns(lang.English)
	out.Flaky(nil)
	assert.Contains(t, b.String(), "No scenario came out differently at the same commit")
}

func TestDORAMeasuresAreSaidInBothLanguages(t *testing.T) {
	number, hour := 3.5, 3*time.Hour
	d := runs.DORA{
		Frequency: runs.Frequency{PerWeek: &number, Of: 14, Commits: 9, Span: 28 * 24 * time.Hour},
		Lead:      runs.Times{Median: &hour, P90: &hour, Of: 12}, Failure: runs.Share{Percent: &number, Count: 2, Of: 12},
		Restore: map[string]runs.Times{"containers": {Median: &hour, Of: 5}}, Recovery: runs.Times{Of: 2, Need: 5}, Parts: 3, Unfinished: 1,
	}
	out, b := pastRuns(lang.English)
	out.DORA(d)
	for _, want := range []string{
		"3.5 per week (14 verified, of 9 commits, in 28.0d)", "median 3.0h, nine of ten within 3.0h (of 12)", "4 %: 2 of 12 commits were broken when first", "measured in containers: median 3.0h (of 5)",
		"not enough runs: 2, and it takes 5", "Not counted: 3 runs of some scenarios only, 1 that did not end.",
	} {
		assert.Contains(t, strings.Join(strings.Fields(b.String()), " "), want)
	}
	narrow(t, b.String())
	japanese, j := pastRuns(lang.Japanese)
	japanese.DORA(d)
	for _, want := range []string{"週3.5回", "28.0日の間に検証済み14回、コミット9件", "コミット12件のうち2件", "中央値 3.0時間"} {
		assert.Contains(t, strings.ReplaceAll(strings.Join(strings.Fields(j.String()), ""), " ", ""), strings.ReplaceAll(want, " ", ""))
	}
	narrow(t, j.String())
	assert.NotRegexp(t, `[a-z]{4,} [a-z]{3,}`, j.String(), "English was left")
}

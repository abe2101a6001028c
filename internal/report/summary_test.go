package report_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/width"
	"pgregory.net/rapid"

	"rehearsal/internal/check"
	"rehearsal/internal/report"
	"rehearsal/internal/stage"
)

func summary(r report.Run) string {
	var b bytes.Buffer
	report.Summary(&b, r)
	return b.String()
}

// columns is how wide a line of plain and Japanese letters is on a terminal.
func columns(line string) (n int) {
	for _, r := range line {
		n++
		if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
			n++
		}
	}
	return n
}

func fits(t require.TestingT, text string) {
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, columns(strings.TrimSuffix(line, "\n")), 80, "%s", line)
	}
}

func TestASummaryNamesWhatWasCalledOutside(t *testing.T) {
	now := time.Duration(0)
	first, second := stage.NewHistory(func() time.Duration { return now }, nil), stage.NewHistory(func() time.Duration { return now }, nil)
	call := stage.Call{By: "shop", Host: "api.example.com", Port: 443, Protocol: "tcp"}
	for _, v := range []string{"v1", "v2", "v1"} {
		first.Record(stage.Event{Kind: stage.CalledOut, Version: v, Call: &call})
	}
	second.Record(stage.Event{Kind: stage.CalledOut, Version: "v2", Call: &call})
	second.Record(stage.Event{Kind: stage.CalledOut, Call: &stage.Call{By: "database", Host: "time.example.com"}})
	second.Record(stage.Event{Kind: stage.CalledOut, Version: "v1", Call: &stage.Call{By: "shop"}})
	got := summary(report.Run{Outside: report.OutsideOf([]*stage.History{first, second})})
	fits(t, got)
	assert.Contains(t, got, "REFUSED, since nothing outside of the staging copy is reached\n"+
		"  shop called api.example.com:443 (v1, v2)\n"+
		"  database looked up time.example.com\n"+
		"  shop called an address outside by its number (v1)\n")
	assert.NotContains(t, summary(report.Run{}), "REFUSED")
}

func TestASummaryOfARunThatWentWell(t *testing.T) {
	got := summary(report.Run{
		Took: 83*time.Second + 456*time.Millisecond, Seed: 7,
		Scenarios: []report.Scenario{
			{Stage: "simulated", Name: "A good release"},
			{Stage: "containers", Name: "A good release"},
			{Stage: "simulated", Name: "A bad release that no alarm sees", Where: "features/undetected.feature:12", Undetected: true,
				Measures: check.Measures{Requests: 242984, Failed: 739}},
		},
		Compared: []report.Comparison{
			{Name: "A good release", Where: "features/good.feature:8",
				Predicted: check.Measures{Detect: check.Never, Restore: check.Never, Requests: 1000},
				Measured:  check.Measures{Detect: check.Never, Restore: check.Never, Requests: 1100}},
			{Name: "The new version fails half of its requests, and nobody looks",
				Predicted: check.Measures{Detect: 180 * time.Second, Restore: 181 * time.Second, Requests: 1000, Failed: 30},
				Measured:  check.Measures{Detect: 200 * time.Second, Restore: 209400 * time.Millisecond, Requests: 100000, Failed: 3}},
			{Name: "要求の半分に失敗する版",
				Predicted: check.Measures{Detect: 0, Restore: time.Hour, Requests: 10, Failed: 10},
				Measured:  check.Measures{Detect: 0, Restore: time.Hour, Requests: 10, Failed: 10}},
			{Name: "カナリアの途中で当番の担当者が引き戻す、とても長い名前",
				Predicted: check.Measures{Detect: check.Never, Restore: check.Never, Requests: 1},
				Measured:  check.Measures{Detect: check.Never, Restore: check.Never, Requests: 1}},
		},
	})
	assert.Equal(t, `
Predicted by the simulation > measured in containers
                                     detected in   restored in   failed requests
A good release                       - > -         - > -         0.0 > 0.0 %
The new version fails half of its .. 180s > 200s   181s > 209s   3.0 > <0.1 %
要求の半分に失敗する版               0s > 0s       3600s > 3600s 100.0 > 100.0 %
カナリアの途中で当番の担当者が引き.. - > -         - > -         0.0 > 0.0 %

UNDETECTED, as the scenario says: A bad release that no alarm sees
  (features/undetected.feature:12)
  739 of 242984 requests failed on the simulated stage and no alarm saw it

simulated   2 passed, 0 failed, 0 inconclusive
containers  1 passed, 0 failed, 0 inconclusive
VERIFIED: every promise was kept (1m23.5s, seed 7)
`, got)
	fits(t, got)
}

func TestASummaryOfARunThatWentWrong(t *testing.T) {
	got := summary(report.Run{
		Took: 612 * time.Millisecond, Seed: 18446744073709551615, Status: 1,
		Scenarios: []report.Scenario{
			{Stage: "simulated", Name: "A good release"},
			{Stage: "simulated", Name: "The new version fails half of its requests", Where: "features/bad_version.feature:14", Verdict: check.Failed,
				Step:    `the alarm "shop-5xx-rate" goes off within 4 minutes of exposure`,
				Err:     errors.New("the alarm \"shop-5xx-rate\" never went off after exposure at 7m0s; these did: shop-p99-latency, shop-unhealthy-hosts\n\"v1\" does not serve everyone: the shares are v1 90 %, v2 10 %"),
				Outcome: `rolled back: the alarm "shop-p99-latency" went off; v1 serves everyone again`,
				File:    "report/histories/features-bad_version-14.simulated.ndjson"},
			{Stage: "containers", Name: "要求の半分に失敗する版は、利用者が触れてから四分以内に警報が鳴り、三十秒以内に元の版へ引き戻される", Where: "features/ja/rollback.feature:9", Verdict: check.Inconclusive,
				Err: errors.New("the stage was lost: the engine at unix:///var/run/docker.sock does not answer any more")},
			{Stage: "containers", Name: "A version with a typing error", Where: "features/typo.feature:3", Verdict: check.Inconclusive, Input: true, Step: `"v22" is released`,
				Err: errors.New(`there is no version "v22": did you mean "v2"?`)},
		},
		Compared: []report.Comparison{{Name: "A slow query", Where: "features/known_bad.feature:31",
			Predicted: check.Measures{Detect: 180 * time.Second, Restore: check.Never, Requests: 1},
			Measured:  check.Measures{Detect: 300 * time.Second, Restore: check.Never, Requests: 1},
			Apart:     []check.Finding{{Check: "time to detect", Detail: "predicted 3m0s, measured 5m0s: further apart than 1m0s"}}}},
		Unverified: []string{"nothing was rehearsed in containers: no Docker engine answers at unix:///var/run/docker.sock (rehearse doctor says how to get one)"},
	})
	assert.Equal(t, `
FAILED on the simulated stage: The new version fails half of its requests
  features/bad_version.feature:14
  at: the alarm "shop-5xx-rate" goes off within 4 minutes of exposure
  the alarm "shop-5xx-rate" never went off after exposure at 7m0s; these did:
    shop-p99-latency, shop-unhealthy-hosts
  "v1" does not serve everyone: the shares are v1 90 %, v2 10 %
  the release: rolled back: the alarm "shop-p99-latency" went off; v1 serves
    everyone again
  history: report/histories/features-bad_version-14.simulated.ndjson

INCONCLUSIVE on the containers stage: 要求の半分に失敗する版は、利用者が触れてか
  ら四分以内に警報が鳴り、三十秒以内に元の版へ引き戻される
  features/ja/rollback.feature:9
  the stage was lost: the engine at unix:///var/run/docker.sock does not answer
    any more

WRONG INPUT on the containers stage: A version with a typing error
  features/typo.feature:3
  at: "v22" is released
  there is no version "v22": did you mean "v2"?

Predicted by the simulation > measured in containers
                                     detected in   restored in   failed requests
A slow query                         180s > 300s   - > -         0.0 > 0.0 %
  APART: time to detect: predicted 3m0s, measured 5m0s: further apart than 1m0s
    (features/known_bad.feature:31)

NOT VERIFIED: nothing was rehearsed in containers: no Docker engine answers at
  unix:///var/run/docker.sock (rehearse doctor says how to get one)

simulated   1 passed, 1 failed, 0 inconclusive
containers  0 passed, 0 failed, 2 inconclusive
BROKEN: a promise was broken, do not release (612ms, seed 18446744073709551615)
`, got)
	fits(t, got)
}

func TestTheLastLineIsTheVerdict(t *testing.T) {
	for status, want := range map[int]string{
		0: "VERIFIED: every promise was kept (0s, seed 1)",
		1: "BROKEN: a promise was broken, do not release (0s, seed 1)",
		2: "WRONG INPUT: mend it and run again (0s, seed 1)",
		3: "INCONCLUSIVE: nothing may be concluded, do not release on it (0s, seed 1)",
	} {
		assert.Equal(t, "\n"+want+"\n", summary(report.Run{Status: status, Seed: 1}))
	}
}

func TestAScenarioThatFailedWithoutAWord(t *testing.T) {
	got := summary(report.Run{Status: 3, Scenarios: []report.Scenario{{Stage: "simulated", Name: "x", Where: "a.feature:1", Verdict: check.Inconclusive}}})
	assert.Contains(t, got, "INCONCLUSIVE on the simulated stage: x\n  a.feature:1\n\n")
}

func TestAFailureThatAnAlarmShouldHaveSeenIsNoUndetectedOne(t *testing.T) {
	got := summary(report.Run{Scenarios: []report.Scenario{{Stage: "simulated", Name: "x", Verdict: check.Failed, Undetected: true, Err: errors.New("it was detected")}}})
	assert.NotContains(t, got, "UNDETECTED")
}

// A path or another long word must stay whole, to be copied; everything else keeps
// within 80 columns, and no word is lost.
func TestAnyTextKeepsItsWordsWithin80Columns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.OneOf(
			rapid.StringMatching(`[a-z0-9./:%"-]{1,30}`),
			rapid.StringMatching(`[ぁ-ん一-龯、。]{1,60}`),
		), 1, 60).Draw(t, "words")
		text := strings.Join(words, " ")
		got := summary(report.Run{
			Scenarios:  []report.Scenario{{Stage: "containers", Name: "A " + text, Where: "a.feature:1", Verdict: check.Failed, Step: "B " + text, Err: errors.New("C " + text + "\nD " + text)}},
			Compared:   []report.Comparison{{Name: text, Where: "a.feature:1", Apart: []check.Finding{{Check: "time", Detail: "E " + text}}}},
			Unverified: []string{"F " + text},
		})
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		for _, mark := range []string{"A", "B", "C", "D", "E", "F"} {
			require.Contains(t, squeeze(got), mark+squeeze(text), "no word is lost")
		}
		for line := range strings.Lines(got) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsAny(line, "、。っゃゅょ") {
				continue // these may not begin a line: it may stand over
			}
			require.LessOrEqual(t, columns(line), 80, "%q", line)
		}
	})
}

func TestALongWordStaysWhole(t *testing.T) {
	path := "/srv/" + strings.Repeat("a-long-folder/", 8) + "history.ndjson"
	got := summary(report.Run{Scenarios: []report.Scenario{{Stage: "simulated", Name: "x", Where: "a.feature:1", Verdict: check.Failed, Err: errors.New("see " + path + " for more"), File: path}}})
	assert.Contains(t, got, "  see\n    "+path+"\n    for more\n  history:\n    "+path+"\n")
}

package page_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
	"rehearsal/internal/page"
	"rehearsal/internal/stage"
)

// A folder is a report folder that a test fills.
type folder struct {
	t   testing.TB
	dir string
}

func newFolder(t testing.TB) folder {
	f := folder{t, t.TempDir()}
	require.NoError(t, os.MkdirAll(filepath.Join(f.dir, "histories"), 0o755))
	return f
}

func (f folder) write(name, text string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644))
}

func (f folder) json(name string, what any) {
	f.t.Helper()
	data, err := json.Marshal(what)
	require.NoError(f.t, err)
	f.write(name, string(data))
}

// keep keeps feature files as verify does, from a folder of their own.
func (f folder) keep(features map[string]string) {
	f.t.Helper()
	f.t.Chdir(f.t.TempDir())
	var names []string
	for name, text := range features {
		require.NoError(f.t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(f.t, os.WriteFile(name, []byte(text), 0o644))
		names = append(names, name)
	}
	require.NoError(f.t, page.KeepFeatures(f.dir, names))
}

// results writes results.ndjson.
func (f folder) results(results ...page.Result) {
	f.t.Helper()
	var b bytes.Buffer
	for _, r := range results {
		require.NoError(f.t, json.NewEncoder(&b).Encode(r))
	}
	f.write("results.ndjson", b.String())
}

// html is the report.
func (f folder) html(l lang.Lang) string {
	f.t.Helper()
	r, err := page.Read(f.dir)
	require.NoError(f.t, err)
	var b bytes.Buffer
	require.NoError(f.t, page.Report(&b, r, l))
	return b.String()
}

// written is the file of the report of a folder.
func written(t testing.TB, f folder, l lang.Lang) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, os.WriteFile(name, []byte(f.html(l)), 0o644))
	return name
}

// recorded is a history of internal/live's, as a stage wrote it.
func recorded(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "internal/live/testdata", name+".ndjson"))
	require.NoError(t, err)
	return string(data)
}

// root is the module's folder, wherever a test goes.
var root = func() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return dir
}()

const shop = `Feature: A bad version is caught before it spreads

  A canary gives the new version to a tenth of the customers first.
  Whatever is wrong with it must show there.

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second

  Rule: An alarm during the bake takes the release back

    Scenario: The new version fails half of its requests
      Given version "v2" fails 50% of its requests
      When "v2" is released as the "canary" plan says
      Then the alarm "shop-5xx-rate" goes off within 4 minutes of exposure
      And no acknowledged order is lost or doubled

    @thorough
    Scenario: The payments API is down
      Given the "payments" is down
      When "v2" is released as the "canary" plan says
      Then the alarm "shop-5xx-rate" goes off within 2 minutes of exposure

    Scenario: One that ran when the run was killed
      When "v2" is released as the "rolling" plan says

    Scenario: One that the run did not come to
      When "v2" is released as the "blue-green" plan says

    Scenario Outline: <share> of the customers first
      When "v2" is released to <share> of the customers
        | step | share   |
        | 1    | <share> |

      Examples:
        | share |
        | 10%   |
`

const shopJa = `# language: ja
機能: 良いリリースは誰にも気付かれずに行き渡る

  背景:
    前提 shop の舞台で版 "v1" が全ての利用者に応答している

  ルール: 問題のない版のリリースでは、要求は1件も失敗しない

    シナリオ: ブルーグリーン計画でリリースする
      もし "v2" を "blue-green" 計画でリリースする
      ならば 要求は1件も失敗しない
`

var facts = page.Facts{
	Service: "shop", Began: time.Date(2026, 11, 26, 12, 43, 10, 0, time.UTC), Ended: time.Date(2026, 11, 26, 12, 46, 30, 0, time.UTC), Status: 1, Seed: 1, Pace: 60,
	Stages: []string{"simulated", "containers"}, Skipped: 3, Commit: "8a190b8d6f0e4c52b1a7c7a5dd3d2e1f00112233", Dirty: true, Version: "v0.9.0",
	Plan: "plan: shop\nstrategy: canary\nsteps:\n  - {share: 10%, bake: 5m}\n  - {share: 100%, bake: 5m}\n", PlanFile: "fixtures/release.yaml",
	Images:     map[string]string{"v2": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"},
	Unverified: []string{"nothing was rehearsed in containers: there is no Docker engine"},
}

// mixedRun is a run with everything in it: what passed, failed, did not end, went
// undetected, and was never begun.
func mixedRun(t testing.TB) folder {
	f := newFolder(t)
	f.keep(map[string]string{"features/bad.feature": shop, "features/ja/good.feature": shopJa})
	f.json("run.json", facts)
	canary, blue := recorded(t, "canary-rolled-back"), recorded(t, "blue-green-released")
	f.write("histories/features-bad-12.simulated.ndjson", canary)
	f.write("histories/features-bad-12.containers.ndjson", canary)
	f.write("histories/features-bad-19.containers.ndjson", withPrints(t, canary, 200))
	f.write("histories/features-bad-24.containers.ndjson", canary[:len(canary)/2])
	f.write("histories/features-ja-good-9.simulated.ndjson", blue)
	f.write("histories/features-bad-37.simulated.ndjson", recorded(t, "rolling-rolled-back"))
	gone := canary[:strings.Index(canary, `"kind":"alarm","alarm":{"name":"shop-5xx-rate","from":"OK"`)]
	f.write("histories/features-bad-99.simulated.ndjson", gone[:strings.LastIndex(gone, "\n")+1])
	ok := []page.Finding{
		{Check: "the release is rolled back", Verdict: "passed", Detail: `rolled back: the alarm "shop-5xx-rate" went off; v1 serves everyone again`},
		{Check: `all on "v1" within 30s`, Verdict: "passed", Detail: `everyone was back on "v1" 13ms after the alarm "shop-5xx-rate"`},
	}
	of := func(where, stage, name, verdict string) page.Result {
		file, line, _ := strings.Cut(where, ":")
		flat := strings.ReplaceAll(strings.TrimSuffix(file, ".feature"), "/", "-")
		return page.Result{Stage: stage, Where: where, Feature: "A bad version is caught before it spreads", Scenario: name, Verdict: verdict, Version: "v2", Findings: ok,
			History: fmt.Sprintf("report/histories/%s-%s.%s.ndjson", flat, line, stage)}
	}
	bad := of("features/bad.feature:19", "containers", "The payments API is down", "failed")
	bad.Step, bad.Error = `the alarm "shop-5xx-rate" goes off within 2 minutes of exposure`, `the alarm "shop-5xx-rate" went off 2m52s after exposure: more than 2m0s`
	bad.Outcome = `rolled back: the alarm "shop-5xx-rate" went off; v1 serves everyone again`
	bad.Findings = append([]page.Finding{{Check: `alarm "shop-5xx-rate" within 2m0s of exposure`, Verdict: "failed", Detail: bad.Error}}, ok...)
	blind := of("features/bad.feature:99", "simulated", "The new version fails one request in five hundred", "passed")
	blind.Undetected = true
	f.results(
		of("features/bad.feature:12", "simulated", "The new version fails half of its requests", "passed"),
		of("features/bad.feature:12", "containers", "The new version fails half of its requests", "passed"),
		bad, blind,
		of("features/bad.feature:37", "simulated", "10% of the customers first", "passed"),
		of("features/ja/good.feature:9", "simulated", "ブルーグリーン計画でリリースする", "passed"),
	)
	f.json("compared.json", []page.Comparison{{Where: "features/bad.feature:12", Apart: []page.Finding{{Check: "time to detect", Verdict: "failed", Detail: "predicted 2m50s, measured 4m10s: further apart than 30s"}}}})
	f.json("parity.json", page.Ledger{
		Staging: "fixtures/compose.yaml", Production: "fixtures/production.json", Same: 9,
		Differences: []page.Difference{
			{Service: "shop", Field: "memory", Staging: "256 MiB", Production: "512 MiB", Standing: "open", Weakens: []string{"The new version needs more memory than it gets"}},
			{Service: "shop", Field: "cpu", Production: "0.25 vCPU", Standing: "waived", Waiver: &page.Waiver{What: "shop cpu", Reason: "Starving for CPU is not rehearsed.", Owner: "the shop's release team", Expires: "2027-12-31", File: "waivers.yaml", Line: 3}},
			{Service: "shop", Field: "log.group", Production: "/ecs/shop", Standing: "harmless", Why: "the stage publishes the log lines itself"},
		},
		Notes: []string{"alarms: production.alarms names no output of `aws cloudwatch describe-alarms`"},
	})
	return f
}

// withPrints is a history with log lines after its first half.
func withPrints(t testing.TB, history string, n int) string {
	t.Helper()
	var b strings.Builder
	lines := strings.SplitAfter(history, "\n")
	seq := 0
	put := func(e stage.Event) {
		e.Seq = seq
		seq++
		data, err := json.Marshal(e)
		require.NoError(t, err)
		b.Write(append(data, '\n'))
	}
	for i, line := range lines {
		var e stage.Event
		if json.Unmarshal([]byte(line), &e) != nil {
			continue
		}
		put(e)
		if i == len(lines)/2 {
			for k := range n {
				put(stage.Event{At: e.At, Kind: stage.Logged, Version: "v2", Detail: fmt.Sprintf("v2-1: {\"level\":\"ERROR\",\"msg\":\"request failed\",\"n\":%d,\"path\":\"/orders\",\"error\":\"payments are out of order\"}", k)})
			}
		}
	}
	return b.String()
}

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/clock"
	"rehearsal/internal/lang"
	"rehearsal/internal/runs"
)

// quick rehearses one feature of a copy of the shop, and more flags.
func quick(t *testing.T, file string, more ...string) (out string, status int) {
	t.Helper()
	feature := filepath.Join(filepath.Dir(filepath.Dir(file)), "features", "undetected.feature")
	return run(t, nil, append([]string{"verify", "--file", file, "--stage", "sim", feature}, more...)...)
}

func TestPastRunsAreListed(t *testing.T) {
	file, db := shop(t), filepath.Join(t.TempDir(), "runs.db")
	out, status := run(t, nil, "runs", "--file", file, "--runs", db)
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "no runs are kept in "+db+": `rehearse verify` begins to")

	out, status = quick(t, file, "--runs", db)
	require.Equal(t, 0, status, out)
	feature := filepath.Join(filepath.Dir(filepath.Dir(file)), "features", "undetected.feature")
	spoil(t, feature, "at most 1% of", "at most 0.01% of")
	out, status = quick(t, file, "--runs", db)
	require.Equal(t, 1, status, out)

	out, status = run(t, []string{"LC_ALL=C"}, "runs", "--file", file, "--runs", db)
	require.Equal(t, 0, status, out)
	for _, want := range []string{"verified", "broken", "1/1*", "0/1*", "2 runs are kept in", "change fail rate", "not enough runs", "Not counted: 2 runs of some scenarios only"} {
		assert.Contains(t, out, want)
	}
	assert.Less(t, strings.Index(out, "broken"), strings.Index(out, "verified"), "newest first")
	for line := range strings.Lines(out) {
		assert.LessOrEqual(t, lang.Columns(strings.TrimRight(line, "\n")), 80, line)
	}

	out, status = run(t, []string{"LC_ALL=C"}, "runs", "--file", file, "--runs", db, "one request in five")
	require.Equal(t, 0, status, out)
	for _, want := range []string{"fails one request in five hundred", "failed", "passed", "at \"at most 0.01% of"} {
		assert.Contains(t, out, want)
	}

	out, status = run(t, nil, "runs", "--file", file, "--runs", db, "--json")
	require.Equal(t, 0, status, out)
	var answer struct {
		Runs []struct{ Failed int }
		DORA map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Len(t, answer.Runs, 2)
	assert.Equal(t, 1, answer.Runs[0].Failed)
	assert.Contains(t, answer.DORA, "change_fail_rate")

	out, status = run(t, nil, "runs", "--file", file, "--runs", db, "no such scenario")
	assert.Equal(t, 2, status)
	assert.Contains(t, out, `had a scenario with "no such scenario" in its name`)
}

func TestAVerdictDoesNotDependOnPastRuns(t *testing.T) {
	file := shop(t)
	damaged := filepath.Join(t.TempDir(), "runs.db")
	require.NoError(t, os.WriteFile(damaged, []byte("not SQLite"), 0o600))
	for db, want := range map[string]string{
		damaged:         "this run is not kept with the past ones: " + damaged + " is damaged (file is not a database), and was left as it is: move it away",
		"/proc/runs.db": "this run is not kept with the past ones: /proc/runs.db cannot be used",
	} {
		out, status := quick(t, file, "--runs", db)
		assert.Equal(t, 0, status, out)
		assert.Contains(t, strings.Join(strings.Fields(out), " "), want)
		assert.Equal(t, 1, strings.Count(out, "not kept with the past ones"), "said once")
	}
	out, status := quick(t, file, "--runs", "none")
	assert.Equal(t, 0, status, out)
	assert.NotContains(t, out, "past ones")
}

func TestPastRunsAreKeptByDefaultOutsideOfTheProject(t *testing.T) {
	file, state := shop(t), t.TempDir()
	feature := filepath.Join(filepath.Dir(filepath.Dir(file)), "features", "undetected.feature")
	out, status := run(t, []string{"XDG_STATE_HOME=" + state}, "verify", "--file", file, "--stage", "sim", feature)
	require.Equal(t, 0, status, out)
	kept, err := filepath.Glob(filepath.Join(state, "rehearsal", "fixtures-*.db"))
	require.NoError(t, err)
	assert.Len(t, kept, 1)
	out, status = run(t, []string{"XDG_STATE_HOME=" + state}, "runs", "--file", file)
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, kept[0])
}

func TestTheReportShowsTheRunsBeforeIt(t *testing.T) {
	file, dir, db := shop(t), t.TempDir(), filepath.Join(t.TempDir(), "runs.db")
	page := func() string {
		data, err := os.ReadFile(filepath.Join(dir, "report.html"))
		require.NoError(t, err)
		return string(data)
	}
	env := []string{"LC_ALL=C"}
	feature := filepath.Join(filepath.Dir(filepath.Dir(file)), "features", "undetected.feature")
	args := []string{"verify", "--file", file, "--stage", "sim", "--report", dir, "--runs", db, feature}
	out, status := run(t, env, args...)
	require.Equal(t, 0, status, out)
	assert.NotContains(t, page(), "The runs before")
	out, status = run(t, env, args...)
	require.Equal(t, 0, status, out)
	assert.Contains(t, page(), "The runs before")
	out, status = run(t, env, "report", dir, "--runs", db)
	require.Equal(t, 0, status, out)
	assert.Contains(t, page(), "The runs before")
	out, status = run(t, env, "report", dir, "--runs", "none")
	require.Equal(t, 0, status, out)
	assert.NotContains(t, page(), "The runs before")
}

func TestATeamsOwnFeaturesAreNotTakenForThoseOfAReport(t *testing.T) {
	file := shop(t)
	dir := filepath.Dir(filepath.Dir(file))
	out, status := quick(t, file, "--runs", "none", "--report", dir)
	assert.Equal(t, 2, status, out)
	assert.Contains(t, out, "name a folder that is the report's own")
	assert.FileExists(t, filepath.Join(dir, "features", "undetected.feature"))
}

func TestAKilledRunIsNotTakenForOneThatEnded(t *testing.T) {
	file, dir, db := shop(t), t.TempDir(), filepath.Join(t.TempDir(), "runs.db")
	// What an earlier run left must not be taken for what came of this one.
	out, status := quick(t, file, "--report", dir, "--runs", db)
	require.Equal(t, 0, status, out)
	require.FileExists(t, filepath.Join(dir, "summary.txt"))

	cmd := exec.Command(rehearse, dated([]string{"verify", "--file", file, "--stage", "sim", "--pipelines=false", "--report", dir, "--runs", db})...)
	require.NoError(t, cmd.Start())
	began := func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "results.ndjson"))
		facts, ferr := os.ReadFile(filepath.Join(dir, "run.json"))
		return err == nil && ferr == nil && len(data) > 0 && !strings.Contains(string(facts), `"ended"`)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := clock.Poll(ctx, time.Millisecond, func() (bool, error) { return began(), nil })
	require.NoError(t, cmd.Process.Kill())
	require.NoError(t, err)
	require.Error(t, cmd.Wait(), "it was killed")

	assert.NoFileExists(t, filepath.Join(dir, "summary.txt"))
	out, status = run(t, []string{"LC_ALL=C"}, "evidence", "verify", dir)
	assert.Equal(t, 2, status, out)
	assert.Contains(t, out, "a run that has not ended, or was killed: there is no evidence of it")
	out, status = run(t, []string{"LC_ALL=C"}, "runs", "--file", file, "--runs", db, "-n", "1")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "not ended")
	assert.NotContains(t, out, "verified  ")
	assert.Contains(t, out, "last 1 of 2 runs")
}

func TestFlakyScenariosAreListed(t *testing.T) {
	db := filepath.Join(t.TempDir(), "runs.db")
	store, err := runs.Open(t.Context(), db)
	require.NoError(t, err)
	for _, verdict := range []string{"passed", "failed", "passed"} {
		facts := &runs.Run{Service: "shop", Began: clock.Wall(), Stages: []string{"containers"}, Seed: 1, Pace: 60, Version: "v1", Commit: "0123456789"}
		rec, err := store.Record(t.Context(), facts, runs.Keep)
		require.NoError(t, err)
		for name, v := range map[string]string{"It hangs": verdict, "It crashes": "passed"} {
			rec.Add(t.Context(), runs.Result{Stage: "containers", Feature: "F", Scenario: name, Place: "f.feature:3", Verdict: v, Detect: -1, Restore: -1})
		}
		require.NoError(t, rec.Err())
	}
	require.NoError(t, store.Close())

	out, status := run(t, []string{"LC_ALL=C"}, "runs", "--runs", db, "--flaky")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "It hangs (containers)\n    . F .\n    1 of 3 runs at this commit failed\n")
	assert.NotContains(t, out, "It crashes")
	out, status = run(t, []string{"LC_ALL=C"}, "runs", "--runs", db, "--flaky", "crashes")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "No scenario came out differently")
	out, status = run(t, nil, "runs", "--runs", db, "--flaky", "--json")
	require.Equal(t, 0, status, out)
	var answer struct{ Flaky []runs.Flaky }
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Len(t, answer.Flaky, 1)
	assert.Equal(t, []string{"passed", "failed", "passed"}, answer.Flaky[0].Verdicts)
}

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rehearse is the built command.
var rehearse string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rehearse-test")
	if err != nil {
		panic(err)
	}
	rehearse = filepath.Join(dir, "rehearse")
	if out, err := exec.Command("go", "build", "-o", rehearse, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	_ = os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state")) // runs of tests are not the developer's past
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// shop copies the sample shop's files (not its source), so that a test may spoil
// them, and returns the copy's rehearsal.yaml.
func shop(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "features"), os.DirFS("../../features")))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "fixtures"), os.DirFS("../../fixtures")))
	return filepath.Join(dir, "fixtures", "rehearsal.yaml")
}

// spoil replaces text in a file beside rehearsal.yaml.
func spoil(t *testing.T, file, old, instead string) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(data), old)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(data), old, instead, 1)), 0o600))
}

// dated has waivers expire by a day on which the shop's have not, so that the tests
// mean the same for ever.
func dated(args []string) []string {
	if slices.Contains([]string{"verify", "parity"}, args[0]) && !slices.Contains(args, "--today") {
		return append(args, "--today", "2026-11-26")
	}
	return args
}

// A lockedBuffer may be read while a process still writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run runs the command with the environment of this process and more.
func run(t *testing.T, env []string, args ...string) (output string, status int) {
	t.Helper()
	cmd := exec.Command(rehearse, dated(args)...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func TestTheSimulatedRehearsalOfTheShopIsVerified(t *testing.T) {
	dir := t.TempDir()
	out, status := run(t, nil, "verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "sim", "--pipelines=false", "--report", dir)
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "VERIFIED")
	assert.Contains(t, out, "UNDETECTED, as the scenario says")
	for _, f := range []string{"junit-simulated.xml", "cucumber-simulated.json", "results.ndjson", "summary.txt"} {
		info, err := os.Stat(filepath.Join(dir, f))
		require.NoError(t, err)
		assert.Positive(t, info.Size(), f)
	}
	assert.NotContains(t, out, "\x1b", "plain lines, where no terminal is")
}

func TestTheSameSeedReplaysTheSameHistories(t *testing.T) {
	histories := func(seed string) map[string]string {
		dir := t.TempDir()
		out, status := run(t, nil, "verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "sim", "--report", dir, "--seed", seed, "../../features/bad_version.feature")
		require.Equal(t, 0, status, out)
		files, err := filepath.Glob(filepath.Join(dir, "histories", "*.ndjson"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		all := map[string]string{}
		for _, f := range files {
			data, err := os.ReadFile(f)
			require.NoError(t, err)
			all[filepath.Base(f)] = string(data)
		}
		return all
	}
	first := histories("7")
	assert.Equal(t, first, histories("7"))
	assert.NotEqual(t, first, histories("8"))
}

func TestBadInput(t *testing.T) {
	type spoiling struct{ file, old, instead string }
	for name, c := range map[string]struct {
		spoil spoiling
		want  []string
	}{
		"malformed rehearsal file": {spoiling{"rehearsal.yaml", "service: shop", "servise: shop"}, []string{`rehearsal.yaml:5: unknown key "servise"`}},
		"malformed feature":        {spoiling{"../features/undetected.feature", "When", "Whenever"}, []string{"undetected.feature:14: not Gherkin"}},
		"malformed compose file":   {spoiling{"compose.yaml", "services:", "services"}, []string{"compose.yaml:"}},
		"malformed plan":           {spoiling{"release.yaml", "strategy: canary", "strategy: canarie"}, []string{"release.yaml:4", "canary"}},
		"shares of 120 %":          {spoiling{"release.yaml", "share: 100%", "share: 120%"}, []string{"release.yaml:8", "120%"}},
		"malformed alarms":         {spoiling{"alarms.json", `"Threshold": 1.0,`, `"Threshold": "one",`}, []string{"alarms.json:"}},
		"unknown alarm in plan":    {spoiling{"release.yaml", "shop-p99-latency", "shop-p99-latenzy"}, []string{"release.yaml:10", "shop-p99-latency"}},
		"unknown alarm in feature": {spoiling{"../features/bad_version.feature", "shop-5xx-rate", "shop-6xx-rate"}, []string{"bad_version.feature:16", `did you mean "shop-5xx-rate"`}},
		"unknown version":          {spoiling{"../features/undetected.feature", `"v2" is released`, `"v9" is released`}, []string{"undetected.feature:14", `there is no version "v9"`}},
		"unknown phrase":           {spoiling{"../features/undetected.feature", "the release succeeds", "the release is fine"}, []string{"undetected.feature:15", "no phrase reads", "the release"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := shop(t)
			spoil(t, filepath.Join(filepath.Dir(file), c.spoil.file), c.spoil.old, c.spoil.instead)
			out, status := run(t, nil, "verify", "--file", file, "--stage", "sim")
			assert.Equal(t, 2, status, out)
			for _, w := range c.want {
				assert.Contains(t, out, w)
			}
			assert.NotContains(t, out, "panic")
		})
	}
}

func TestNothingSelectedIsWrongInput(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown tag":       {"--tags", "@nosuch"},
		"unreadable tags":   {"--tags", "@strategies and not @x"},
		"no such feature":   {"nosuch.feature"},
		"no such file":      {"--file", "nosuch.yaml"},
		"no such stage":     {"--stage", "moon"},
		"no such flag":      {"--nosuch"},
		"folder of nothing": {t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := run(t, nil, append([]string{"verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "sim"}, args...)...)
			assert.Equal(t, 2, status, out)
			assert.NotEmpty(t, strings.TrimSpace(out))
		})
	}
}

func TestWithoutAnEngineTheContainersAreNotVerified(t *testing.T) {
	out, status := run(t, []string{"DOCKER_HOST=unix:///nonexistent/docker.sock", "REHEARSAL_INSTALL_DOCKER=no"},
		"verify", "--file", "../../fixtures/rehearsal.yaml", "../../features/undetected.feature")
	assert.Equal(t, 3, status, out)
	assert.Contains(t, out, "NOT VERIFIED: nothing was rehearsed in containers")
	assert.Contains(t, out, "1 passed")
}

func TestAKnownBadHarnessIsCaught(t *testing.T) {
	out, status := run(t, nil, "knownbad", "--file", "../../fixtures/rehearsal.yaml")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "every one of 6 breakages of the harness turned scenarios red")
}

func TestStepsListsBothLanguages(t *testing.T) {
	out, status := run(t, nil, "steps")
	require.Equal(t, 0, status)
	assert.Contains(t, out, `When "v2" is released as the "canary" plan says`)
	assert.Contains(t, out, `もし "v2" を "canary" 計画でリリースする`)
}

func TestPlanPrintsThePlanAndLintsIt(t *testing.T) {
	out, status := run(t, nil, "plan", "--file", "../../fixtures/rehearsal.yaml")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "shop-5xx-rate (within 4m)")
	file := shop(t)
	spoil(t, filepath.Join(filepath.Dir(file), "release.yaml"), "{share: 10%, bake: 5m}", "{share: 10%, bake: 1m}")
	out, status = run(t, nil, "plan", "--file", file)
	assert.Equal(t, 2, status, out)
	assert.Contains(t, out, "release.yaml:6")
}

func TestStepsListsTheTeamsOwnWordsToo(t *testing.T) {
	out, status := run(t, nil, "steps", "--file", "../../fixtures/rehearsal.yaml")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, `Then the shop window of "v2" shows prices`)
	assert.Contains(t, out, `ならば 版 "v2" の商品一覧に価格が表示されている`)
	assert.Contains(t, out, "stands for: a customer asks GET /products of version {version}")
	file := shop(t)
	spoil(t, filepath.Join(filepath.Dir(file), "phrases.yaml"), "the answer is 201", "the answer is good")
	out, status = run(t, nil, "steps", "--file", file)
	assert.Equal(t, 2, status, out)
	assert.Equal(t, 1, strings.Count(out, `phrases.yaml:15: no built-in phrase reads "the answer is good"`), "once, though it is said in two languages: %s", out)
}

func TestCheckSaysWhetherAVersionMayBeReleased(t *testing.T) {
	file := shop(t)
	out, status := run(t, nil, "check", "--file", file, "--stage", "sim", "v2")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "READY: v2 may be released")
	for _, check := range []string{"connection to database", "connection to payments", "migrations", "contract of payments", "rollback artefact", "room", "alarms"} {
		assert.Contains(t, out, "ok   "+check)
	}
	spoil(t, file, "  v2: {image: \"shop:v2\"}", "  v2: {image: \"shop:v2\", migration: \"003\"}")
	out, status = run(t, nil, "check", "--file", file, "--stage", "sim", "v2")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, `FAIL migrations`)
	assert.Contains(t, out, `database is at "002", and v2 needs "003"`)
	assert.Contains(t, out, "NOT READY: v2 must not be released")
	for _, args := range [][]string{{"v9"}, {"v1"}, nil, {"v2", "--stage", "both"}, {"v2", "--stage", "moon"}, {"v2", "--stable", "v9"}, {"v2", "--pace", "0"}} {
		out, status = run(t, nil, append([]string{"check", "--file", file, "--stage", "sim"}, args...)...)
		assert.Equal(t, 2, status, "%q: %s", args, out)
	}
	out, status = run(t, []string{"DOCKER_HOST=unix:///nonexistent/docker.sock", "REHEARSAL_INSTALL_DOCKER=no"}, "check", "--file", file, "v2")
	assert.Equal(t, 3, status, out)
	assert.Contains(t, out, "INCONCLUSIVE: no Docker engine can be reached")
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/clock"
)

// planWith is the shop's plan with another window: "" is none.
func planWith(t *testing.T, window string) string {
	t.Helper()
	data, err := os.ReadFile("../../fixtures/release.yaml")
	require.NoError(t, err)
	text, _, found := strings.Cut(string(data), "window:")
	require.True(t, found)
	file := filepath.Join(t.TempDir(), "release.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text+window), 0o600))
	return file
}

// closedNow is a window that opens in two hours, every day.
func closedNow() string {
	at := time.Now().UTC().Add(2 * time.Hour)
	from := at.Hour()*60 + at.Minute()
	return fmt.Sprintf("window: {hours: \"%02d:%02d-%02d:%02d\", zone: UTC}\n", from/60, from%60, min(from+30, 24*60)/60, min(from+30, 24*60)%60)
}

func TestReleaseByThePlan(t *testing.T) {
	always := planWith(t, "")
	closed := planWith(t, closedNow())
	const file = "../../fixtures/rehearsal.yaml"
	for name, c := range map[string]struct {
		args   []string
		status int
		want   []string
	}{
		"good":                 {[]string{"v2", "--plan", always}, 0, []string{`Releasing v2 by the plan "shop" on the simulated stage, where v1 serves everyone (seed 1)`, "step 2 of 3: v2 gets 50 %", "\nreleased: v2 serves everyone\n"}},
		"from another version": {[]string{"v1", "--stable", "v2", "--plan", always}, 0, []string{"where v2 serves everyone"}},
		"the first of all":     {[]string{"v1", "--stable", "none", "--plan", always}, 0, []string{"where no version serves everyone"}},
		"taken back":           {[]string{"v2-slow-query", "--plan", always}, 1, []string{"\nrolled back: "}},
		"window closed":        {[]string{"v2", "--plan", closed}, 1, []string{"refused: no release by the plan", "the next opening is "}},
		"window ignored":       {[]string{"v2", "--plan", closed, "--ignore-window", "the shop is down"}, 0, []string{"that was ignored: the shop is down", "\nreleased: v2"}},
		"ignored without why":  {[]string{"v2", "--plan", closed, "--ignore-window", " "}, 2, []string{"--ignore-window needs the reason"}},
		"unknown version":      {[]string{"v9"}, 2, []string{`there is no version "v9"`}},
		"unknown stable":       {[]string{"v2", "--stable", "v0"}, 2, []string{`--stable "v0": there is no such version`}},
		"unknown stage":        {[]string{"v2", "--stage", "cloud"}, 2, []string{`--stage "cloud"`}},
		"both stages":          {[]string{"v2", "--stage", "both"}, 2, []string{"is carried out on one"}},
		"no plan there":        {[]string{"v2", "--plan", "nowhere.yaml"}, 2, []string{"nowhere.yaml"}},
		"no version":           {nil, 2, []string{"accepts 1 arg"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := run(t, nil, append([]string{"release", "--file", file}, c.args...)...)
			assert.Equal(t, c.status, status, out)
			for _, w := range c.want {
				assert.Contains(t, out, w)
			}
		})
	}
}

func TestAReleaseLeavesItsHistory(t *testing.T) {
	dir := t.TempDir()
	out, status := run(t, nil, "release", "v2", "--file", "../../fixtures/rehearsal.yaml", "--plan", planWith(t, ""), "--report", dir)
	require.Equal(t, 0, status, out)
	data, err := os.ReadFile(filepath.Join(dir, "histories", "release-1.simulated.ndjson"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	assert.Contains(t, lines[0], `"kind":"began"`)
	assert.Contains(t, lines[len(lines)-1], `"kind":"ended"`)
}

func TestAReleaseInContainersWithoutAnEngineIsInconclusive(t *testing.T) {
	out, status := run(t, []string{"DOCKER_HOST=unix:///nowhere.sock", "REHEARSAL_INSTALL_DOCKER=no"}, "release", "v2", "--stage", "containers",
		"--file", "../../fixtures/rehearsal.yaml", "--plan", planWith(t, ""))
	assert.Equal(t, 3, status, out)
	assert.Contains(t, out, "nothing was released, for the stage cannot be raised")
}

func TestWhatIsForAStepOfAPipelineAlone(t *testing.T) {
	out, status := run(t, nil, "confirm", "v2")
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "there is no release to confirm")
	out, status = run(t, []string{"REHEARSAL_STAGE_SOCKET=/nowhere"}, "release", "v2")
	assert.Equal(t, 3, status)
	assert.Contains(t, out, "the stage of the rehearsal does not answer")
	out, status = run(t, nil, "pipeline-worker")
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "this is for rehearse itself")
}

func TestAPushToThePipeline(t *testing.T) {
	file := shop(t)
	data, err := os.ReadFile(planWith(t, ""))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "release.yaml"), data, 0o600))
	report := t.TempDir()
	out, status := run(t, nil, "pipeline", "v2", "--file", file, "--report", report)
	assert.Equal(t, 0, status, out)
	for _, want := range []string{"deploy | ", "verify: SUCCESS", "the pipeline is through: build success, test success, deploy success, monitor success, verify success; released: v2 serves everyone"} {
		assert.Contains(t, out, want)
	}
	log, err := os.ReadFile(filepath.Join(report, "histories", "pipeline-1.simulated.pipeline.log"))
	require.NoError(t, err)
	assert.Contains(t, string(log), "[monitor] requests were counted")

	out, status = run(t, nil, "pipeline", "v2-slow-query", "--file", file)
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, `the pipeline stopped: job "deploy": failure at "release"`)

	// The plan may not be carried out now, and the pipeline says when.
	closed, err := os.ReadFile(planWith(t, closedNow()))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "release.yaml"), closed, 0o600))
	out, status = run(t, nil, "pipeline", "v2", "--file", file)
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "the next opening is ")

	workflow := filepath.Join(filepath.Dir(file), "pipeline", "shop", ".github", "workflows", "release.yml")
	text, err := os.ReadFile(workflow)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(workflow, []byte(strings.Replace(string(text), "needs: build", "needs: verify", 1)), 0o600))
	out, status = run(t, nil, "pipeline", "v2", "--file", file)
	assert.Equal(t, 2, status, out)
	assert.Contains(t, out, "release.yml:")
	assert.Contains(t, out, `take one of the "needs" out`)
}

func TestAKilledPipelineLeavesNothingBehind(t *testing.T) {
	file := shop(t)
	workflow := filepath.Join(filepath.Dir(file), "pipeline", "shop", ".github", "workflows", "release.yml")
	mark := filepath.Join(t.TempDir(), "pid")
	require.NoError(t, os.WriteFile(workflow, []byte("on: push\njobs:\n  hangs:\n    runs-on: ubuntu-latest\n    steps: [{run: \"echo $$ > '"+mark+"'; echo now; sleep 600\"}]\n"), 0o600))
	scratch := t.TempDir()
	cmd := exec.Command(rehearse, "pipeline", "v2", "--file", file)
	cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "hangs | now" {
		continue
	}
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	pid, err := os.ReadFile(mark)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, clock.Poll(ctx, 20*time.Millisecond, func() (bool, error) {
		left, err := os.ReadDir(scratch)
		_, running := os.Stat("/proc/" + strings.TrimSpace(string(pid)))
		return len(left) == 0 && errors.Is(running, os.ErrNotExist), err
	}), "the worker ends its steps and removes the temporary folder")
}

package runs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/runs"
)

func TestARunThatDidNotEndSaysSo(t *testing.T) {
	dir := t.TempDir()
	began := time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC)
	r := &runs.Run{Service: "shop", Began: began, Seed: 7}
	require.NoError(t, r.Write(dir))
	data, err := os.ReadFile(filepath.Join(dir, "run.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(data), "ended")
	assert.NotContains(t, string(data), "status", "0 would mean that it was verified")

	ended, status := began.Add(time.Minute), 0
	r.Ended, r.Status = &ended, &status
	require.NoError(t, r.Write(dir))
	back, err := runs.Read(dir)
	require.NoError(t, err)
	assert.Equal(t, r, back)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "no temporary file stays")
}

func TestFactsThatCannotBeReadSayWhy(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"cut off": {`{"format":1,"serv`, "run.json is damaged"},
		"newer":   {`{"format":2,"version":"v9"}`, "has format 2, and this rehearse knows formats up to 1: use the version that wrote it (v9)"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "run.json"), []byte(c.text), 0o600))
			_, err := runs.Read(dir)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAReportFolderIsOfOneRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "of [two] runs*")
	require.NoError(t, runs.Begin(dir), "there is none yet")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "histories"), 0o755))
	for _, name := range []string{"summary.txt", "junit-simulated.xml", "histories/a-1.simulated.ndjson", "mine.txt", "histories/mine.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, runs.Begin(dir))
	var left []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			left = append(left, rel)
		}
		return err
	}))
	assert.ElementsMatch(t, []string{"mine.txt", "histories/mine.txt"}, left)
}

// repository is a git repository with one commit, of a file in a folder.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "shop"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shop", "rehearsal.yaml"), []byte("a"), 0o600))
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"commit", "--quiet", "-m", "first"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=2026-11-26T12:00:00Z")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return dir
}

func TestTheCommitIsOfTheRepositoryAroundAProject(t *testing.T) {
	dir := repository(t)
	shop := filepath.Join(dir, "shop")
	clean, err := runs.CommitOf(t.Context(), shop, "")
	require.NoError(t, err)
	assert.Len(t, clean.ID, 40)
	assert.Equal(t, time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), clean.At)
	assert.False(t, clean.Dirty)

	report := filepath.Join(dir, "report")
	require.NoError(t, os.MkdirAll(report, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(report, "run.json"), nil, 0o600))
	reported, err := runs.CommitOf(t.Context(), shop, report)
	require.NoError(t, err)
	assert.False(t, reported.Dirty, "a run's own report is no change")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "new.go"), nil, 0o600))
	changed, err := runs.CommitOf(t.Context(), shop, report)
	require.NoError(t, err)
	assert.True(t, changed.Dirty)
	assert.Equal(t, clean.ID, changed.ID)
}

func TestAFolderOutsideOfGitHasNoCommit(t *testing.T) {
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	c, err := runs.CommitOf(t.Context(), t.TempDir(), "")
	require.NoError(t, err)
	assert.Zero(t, c)
	t.Setenv("PATH", "")
	c, err = runs.CommitOf(t.Context(), t.TempDir(), "")
	require.NoError(t, err, "git is not needed")
	assert.Zero(t, c)
}

func TestARepositoryThatGitCannotReadIsSaid(t *testing.T) {
	dir := repository(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "HEAD"), []byte("ref: refs/heads/../x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "config"), []byte("[core"), 0o600))
	_, err := runs.CommitOf(t.Context(), dir, "")
	require.ErrorContains(t, err, "git log: fatal: bad config")
}

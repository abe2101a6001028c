package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, name ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(name...))
	require.NoError(t, err)
	return string(data)
}

func TestARunLeavesAReportForPeopleAndItCanBeWrittenAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "features"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "features", "old.feature"), []byte("#: rehearsed from old.feature\nFeature: of another run"), 0o600))
	out, status := run(t, []string{"LC_ALL=C"}, "verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "sim", "--report", dir, "../../features/bad_version.feature", "../../features/ja/rollback.feature")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "report: "+filepath.Join(dir, "report.html"))
	first := read(t, dir, "report.html")
	for _, s := range []string{"The new version fails half of its requests", `<svg class="chart"`, "リリース"} {
		assert.Contains(t, first, s)
	}
	assert.NotContains(t, first, "of another run")

	require.NoError(t, os.Remove(filepath.Join(dir, "report.html")))
	out, status = run(t, []string{"LC_ALL=C"}, "report", dir)
	require.Equal(t, 0, status, out)
	assert.Equal(t, filepath.Join(dir, "report.html")+"\n", out)
	assert.Equal(t, first, read(t, dir, "report.html"))

	japanese := filepath.Join(t.TempDir(), "ja.html")
	out, status = run(t, []string{"LC_ALL=ja_JP.UTF-8"}, "report", dir, "-o", japanese)
	require.Equal(t, 0, status, out)
	assert.Contains(t, read(t, japanese), `<html lang="ja">`)
	out, status = run(t, []string{"LC_ALL=C"}, "report", dir, "-o", "-")
	require.Equal(t, 0, status)
	assert.Equal(t, first, out)
}

// What a kill leaves, at any place, is a report.
func TestAKilledRunHasAReport(t *testing.T) {
	dir := t.TempDir()
	out, status := run(t, []string{"LC_ALL=C"}, "verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "sim", "--report", dir, "../../features/bad_version.feature")
	require.Equal(t, 0, status, out)
	results := read(t, dir, "results.ndjson")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "results.ndjson"), []byte(results[:strings.Index(results, "\n")+30]), 0o600))
	for _, name := range []string{"summary.txt", "parity.json", "compared.json", "report.html"} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	out, status = run(t, []string{"LC_ALL=C"}, "report", dir)
	require.Equal(t, 0, status, out)
	page := read(t, dir, "report.html")
	assert.Contains(t, page, "results.ndjson ends in the middle of line 2: the run was killed as it wrote it")
	assert.Contains(t, page, "The run was killed while this scenario ran")
}

func TestAFolderThatIsNoReportIsWrongInput(t *testing.T) {
	out, status := run(t, nil, "report", t.TempDir())
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "name the folder that `rehearse verify --report` wrote")
	out, status = run(t, nil, "report")
	assert.Equal(t, 2, status, out)
}

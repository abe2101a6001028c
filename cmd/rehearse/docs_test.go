package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocsAreWrittenWithoutRunningAnything(t *testing.T) {
	rehearsal := shop(t)
	into := filepath.Join(t.TempDir(), "a", "b")
	read := func() string {
		data, err := os.ReadFile(filepath.Join(into, "index.html"))
		require.NoError(t, err)
		return string(data)
	}
	past := filepath.Join(t.TempDir(), "runs.db")
	out, status := run(t, nil, "docs", "--file", rehearsal, "-o", into, "--runs", past)
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, filepath.Join(into, "index.html"))
	html := read()
	for _, words := range []string{"A bad version is caught before it spreads", "戻り道", "Step 1: 10 % of the users", "shop-p99-latency", "the watched wait after a shift", "No outcome is known"} {
		assert.Contains(t, html, words)
	}
	assert.NotContains(t, html, "Outcomes are the last known ones")
	assert.NoFileExists(t, past, "who only reads leaves nothing behind")

	folder := filepath.Join(t.TempDir(), "report")
	out, status = run(t, nil, "verify", "--file", rehearsal, "--stage", "sim", "--pipelines=false", "--runs", past, "--report", folder, filepath.Join(filepath.Dir(rehearsal), "..", "features", "rollback.feature"))
	require.Equal(t, 0, status, out)
	for _, from := range [][]string{{"--runs", past}, {"--runs", "none", "--report", folder}} {
		out, status = run(t, nil, append([]string{"docs", "--file", rehearsal, "-o", into}, from...)...)
		require.Equal(t, 0, status, out)
		html = read()
		assert.Contains(t, html, "simulated: passed</span> just now")
		assert.Contains(t, html, "No outcome is known", "of the features that were not rehearsed")
	}

	out, status = run(t, []string{"LC_ALL=ja_JP.UTF-8"}, "docs", "--file", rehearsal, "-o", into, "--runs", "none")
	require.Equal(t, 0, status, out)
	assert.Contains(t, read(), `<html lang="ja">`)
}

func TestDocsSayWhatIsWrong(t *testing.T) {
	rehearsal := shop(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--file", "none.yaml"}, "name your rehearsal.yaml"},
		{[]string{"--file", rehearsal, "none.feature"}, "none.feature: name a feature file"},
		{[]string{"--file", rehearsal, "--report", "none"}, "--report none"},
		{[]string{"--file", rehearsal, "--runs", "none", "-o", rehearsal}, "-o " + rehearsal},
	} {
		out, status := run(t, nil, append([]string{"docs"}, c.args...)...)
		assert.Equal(t, 2, status, out)
		assert.Contains(t, out, c.says)
	}
}

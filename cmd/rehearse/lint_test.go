package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPhrasesAreListedForProgramsAndForEditors(t *testing.T) {
	out, status := run(t, nil, "steps", "--file", "../../fixtures/rehearsal.yaml", "--json")
	require.Equal(t, 0, status, out)
	var c struct {
		Service string
		Phrases []struct{ Expression string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &c))
	assert.Equal(t, "shop", c.Service)
	assert.Greater(t, len(c.Phrases), 100)

	file := filepath.Join(t.TempDir(), "rehearsal.js")
	out, status = run(t, nil, "steps", "--glue", file)
	require.Equal(t, 0, status, out)
	assert.Empty(t, out)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(data), "\nThen('the release succeeds', () => {})\n")

	out, status = run(t, nil, "steps", "--glue", filepath.Join(t.TempDir(), "glue.go"))
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "glue.js")
}

func TestLintSaysWhereAndWhatToWriteInstead(t *testing.T) {
	dir := t.TempDir()
	feature := filepath.Join(dir, "x.feature")
	lint := func(text string, args ...string) (string, int) {
		require.NoError(t, os.WriteFile(feature, []byte(text), 0o600))
		return run(t, []string{"GITHUB_WORKSPACE=" + dir}, append([]string{"lint", "--file", "../../fixtures/rehearsal.yaml", feature}, args...)...)
	}
	const (
		good    = "Feature: f\n  Scenario: s\n    Then the release succeeds\n"
		warning = "Feature: f\n  Scenario: It is back soon\n    Then the release succeeds\n"
		wrong   = "Feature: f\n  Scenario: It is back soon\n    Then the relase succeeds\n"
	)
	out, status := lint(good)
	assert.Equal(t, 0, status)
	assert.Equal(t, "features looked at: 1; nothing to say\n", out)

	out, status = lint(warning)
	assert.Equal(t, 1, status)
	assert.Equal(t, feature+":2:24: warning: vague-duration: \"soon\" is no time that can be measured; name a number, such as \"within 4 minutes\"\n", out)

	out, status = lint(wrong, "--lang", "ja")
	assert.Equal(t, 2, status)
	assert.Contains(t, out, feature+":2:24: 警告: vague-duration: \"soon\" では時間を測れません。「4分以内」のように数で書いてください\n")
	assert.Contains(t, out, feature+":3:10: エラー: undefined-phrase: \"the relase succeeds\" という語句はありません。最も近いのは \"the release succeeds\" です")

	out, status = lint(warning, "--format", "github")
	assert.Equal(t, 1, status)
	assert.Equal(t, "::warning file=x.feature,line=2,col=24,title=vague-duration::\"soon\" is no time that can be measured%0Aname a number, such as \"within 4 minutes\"\n", out)

	for text, n := range map[string]int{good: 0, wrong: 2} {
		out, _ = lint(text, "--format", "json")
		var got struct {
			Format   int
			Findings []struct {
				File, Rule, Severity, Message, Remedy string
				Line, Column                          int
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &got), out)
		assert.Equal(t, 1, got.Format)
		require.NotNil(t, got.Findings, "a list, if an empty one")
		require.Len(t, got.Findings, n)
	}

	out, status = run(t, nil, "lint", "--file", "../../fixtures/rehearsal.yaml")
	assert.Equal(t, 0, status, "the features of the rehearsal: %s", out)
	out, status = lint(good, "--format", "xml")
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "text, github or json")
	out, status = run(t, nil, "lint", "--file", "../../fixtures/rehearsal.yaml", filepath.Join(dir, "none"))
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "no such feature file or folder")
}

func TestOneScenarioIsVerifiedByItsLine(t *testing.T) {
	out, status := run(t, nil, "verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "sim", "../../features/good_release.feature:10")
	assert.Equal(t, 2, status, out)
	assert.Contains(t, out, "no scenario is there; the nearest are")

	dir := t.TempDir()
	out, status = run(t, nil, "verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "sim", "--report", dir, "../../features/good_release.feature:13")
	assert.Equal(t, 0, status, out)
	data, err := os.ReadFile(filepath.Join(dir, "junit-simulated.xml"))
	require.NoError(t, err)
	assert.Regexp(t, `<testsuites [^>]*tests="5" skipped="0"`, string(data), "the rows of the outline, and no other scenario")
}

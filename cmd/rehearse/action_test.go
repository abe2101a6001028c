package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/pipeline"
)

// standIn is a composite action that does nothing but what the script does.
func standIn(t *testing.T, inputs, script string) string {
	t.Helper()
	dir := t.TempDir()
	text := "name: stands in\ndescription: stands in\ninputs:\n"
	for in := range strings.FieldsSeq(inputs) {
		text += "  " + in + ": {description: i, required: false}\n"
	}
	text += "runs:\n  using: composite\n  steps:\n    - shell: bash\n      env: {FOLDER: \"${{ inputs.path }}\"}\n      run: |\n        " + script + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "action.yml"), []byte(text), 0o600))
	return dir
}

// theAction is this repository as a workflow would use it, without what was built or
// reported in it.
func theAction(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"cmd", "fixtures", "internal", "sim", "steps"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, name), os.DirFS("../../"+name)))
	}
	for _, name := range []string{"action.yml", "go.mod", "go.sum"} {
		data, err := os.ReadFile("../../" + name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}

// TestTheActionInATeamsWorkflow runs the example's workflow through act, on this
// machine and without a network: the action is this repository, and GitHub's own
// actions have stand-ins.
func TestTheActionInATeamsWorkflow(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds rehearse anew")
	}
	team := t.TempDir() // a team's repository: the shop's files, and the example's workflow
	require.NoError(t, os.CopyFS(filepath.Join(team, "rehearsal"), os.DirFS("../../fixtures")))
	features := filepath.Join(team, "features")
	require.NoError(t, os.Mkdir(features, 0o755))
	data, err := os.ReadFile("../../features/good_release.feature")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(features, "good.feature"), data, 0o600))
	workflow, err := os.ReadFile("../../examples/pipeline/.github/workflows/rehearsal.yml")
	require.NoError(t, err)
	text := strings.NewReplacer("file: rehearsal.yaml", "file: rehearsal/rehearsal.yaml\n          evidence-key: ${{ vars.EVIDENCE_KEY }}", "./release.sh", "echo releasing").Replace(string(workflow))
	require.Contains(t, text, "file: rehearsal/rehearsal.yaml")
	require.NoError(t, os.MkdirAll(filepath.Join(team, ".github", "workflows"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(team, ".github", "workflows", "rehearsal.yml"), []byte(text), 0o600))

	kept, past, key := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "key")
	out, status := run(t, nil, "evidence", "key", key)
	require.Zero(t, status, out)
	secret, err := os.ReadFile(key)
	require.NoError(t, err)
	push := func(overlays ...string) (*pipeline.Result, string) {
		var log bytes.Buffer
		r, err := pipeline.Run(t.Context(), pipeline.Options{
			Code: team, Overlays: overlays, Version: "v2", Stable: "v1", Service: "shop", Vars: map[string]string{"REHEARSAL_STAGE": "sim", "EVIDENCE_KEY": string(secret)},
			Actions: map[string]string{
				"OWNER/rehearsal@main":       theAction(t),
				"actions/setup-go@v5":        "../../fixtures/pipeline/actions/setup-go",
				"actions/cache@v4":           standIn(t, "path key", "true"),
				"actions/cache/restore@v4":   standIn(t, "path key restore-keys", `mkdir -p "$FOLDER" && cp -r '`+past+`/.' "$FOLDER"`),
				"actions/cache/save@v4":      standIn(t, "path key", `cp -r "$FOLDER/." '`+past+`'`),
				"actions/upload-artifact@v4": standIn(t, "name path if-no-files-found", `cp -r "$FOLDER" '`+kept+`/'`),
			},
			Answer: func(context.Context, pipeline.Request, func(string)) pipeline.Answer { return pipeline.Answer{} },
			Worker: []string{rehearse, "pipeline-worker"}, Rehearse: rehearse, Log: &log,
		})
		require.NoError(t, err, log.String())
		require.Empty(t, r.Inconclusive(), log.String())
		return r, log.String()
	}

	r, log := push()
	require.Equal(t, "rehearse success, release success", r.String(), log)
	assert.Contains(t, log, "VERIFIED: every promise was kept")
	assert.Contains(t, log, "releasing v2")
	require.NotEmpty(t, r.Summaries)
	assert.Contains(t, strings.Join(r.Summaries, ""), "## Rehearsal: VERIFIED: every promise was kept")
	for _, name := range []string{"summary.txt", "junit-simulated.xml", "cucumber-simulated.json", "results.ndjson"} {
		_, err := os.Stat(filepath.Join(kept, "rehearsal-report", name))
		require.NoError(t, err, "the report is kept")
	}

	out, status = run(t, nil, "evidence", "verify", "--key", key+".pub", filepath.Join(kept, "rehearsal-report"))
	assert.Zero(t, status, "the evidence is signed: %s", out)

	// The same with a promise that is broken.
	broken := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(broken, "features"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(broken, "features", "good.feature"), []byte(`Feature: f
  Scenario: It is never released
    Given a staging copy of the shop, with version "v1" serving everyone
    When "v2" is released as the "blue-green" plan says
    Then version "v2" never serves anyone
`), 0o600))
	r, log = push(broken)
	assert.Equal(t, "rehearse failure (OWNER/rehearsal@main), release skipped", r.String(), log)
	assert.Contains(t, log, "::error file=features/good.feature,line=2,title=failed on the simulated stage%3A It is never released")
	assert.Contains(t, strings.Join(r.Summaries, ""), "It is never released<br>")

	out, status = run(t, nil, "runs", "--json", "--file", filepath.Join(team, "rehearsal", "rehearsal.yaml"), "--runs", filepath.Join(past, "runs.db"))
	require.Zero(t, status, out)
	var remembered struct{ Runs []struct{ Status int } }
	require.NoError(t, json.Unmarshal([]byte(out), &remembered), out)
	assert.Equal(t, []struct{ Status int }{{1}, {0}}, remembered.Runs, "what failed is remembered, too")
}

func TestOnGitHubMistakesAndWhatIsBrokenAreAnnotated(t *testing.T) {
	dir := t.TempDir()
	summary, feature := filepath.Join(dir, "summary.md"), filepath.Join(dir, "x.feature")
	env := []string{"GITHUB_ACTIONS=true", "GITHUB_WORKSPACE=" + dir, "GITHUB_STEP_SUMMARY=" + summary}
	verify := func(env []string, text string) (string, int) {
		require.NoError(t, os.WriteFile(feature, []byte(text), 0o600))
		return run(t, env, "verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "sim", feature)
	}
	out, status := verify(env, "Feature: f\n  Scenario: s\n    Given the moon is full\n")
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "\n::error file=x.feature,line=3,title=wrong input::no phrase reads", out)

	const kept = "Feature: f\n  Scenario: s\n    Given a staging copy of the shop, with version \"v1\" serving everyone\n    When \"v2\" is released as the \"blue-green\" plan says\n"
	out, status = verify(env, kept+"    Then no alarm goes off\n")
	assert.Equal(t, 0, status)
	assert.NotContains(t, out, "::error")
	out, status = verify(env, kept+"    Then version \"v2\" never serves anyone\n")
	assert.Equal(t, 1, status)
	assert.Contains(t, out, "\n::error file=x.feature,line=2,title=failed on the simulated stage%3A s::")
	data, err := os.ReadFile(summary)
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(data), "## Rehearsal: "), "it is added to")

	require.NoError(t, os.Remove(summary))
	out, _ = verify([]string{"GITHUB_ACTIONS=", "GITHUB_STEP_SUMMARY=" + summary}, kept+"    Then version \"v2\" never serves anyone\n")
	assert.NotContains(t, out, "::error")
	_, err = os.Stat(summary)
	require.ErrorIs(t, err, os.ErrNotExist)
}

package main

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEvidenceIsSignedCheckedAndReplayed(t *testing.T) {
	file, dir, keys := shop(t), t.TempDir(), t.TempDir()
	key := filepath.Join(keys, "key")
	out, status := run(t, nil, "evidence", "key", key)
	require.Equal(t, 0, status, out)
	out, status = run(t, nil, "evidence", "key", key)
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "is not overwritten")

	out, status = quick(t, file, "--report", dir, "--evidence-key", key)
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "evidence.json, signed with SHA256:")
	out, status = run(t, []string{"LC_ALL=C"}, "evidence", "verify", dir, "--key", key+".pub")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "It states: shop, verified at")
	assert.Contains(t, out, "1 passed, 0 failed")
	out, status = run(t, []string{"LC_ALL=C"}, "evidence", "verify", dir)
	assert.Equal(t, 3, status, "who checks no signature knows nothing")
	assert.Contains(t, out, "was not")

	out, status = run(t, []string{"LC_ALL=C"}, "evidence", "replay", dir, "--key", key+".pub")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "1 scenarios were simulated again: every history is the same, byte by byte")
	assert.NotContains(t, out, "since the run")

	plan := filepath.Join(filepath.Dir(file), "plans", "canary.yaml")
	spoil(t, plan, "{share: 10%, bake: 5m}", "{share: 10%, bake: 6m}")
	out, status = run(t, []string{"LC_ALL=C"}, "evidence", "replay", dir, "--key", key+".pub")
	assert.Equal(t, 1, status, out)
	words := strings.Join(strings.Fields(out), " ")
	changed, differs := strings.Index(words, "canary.yaml has changed since the run."), strings.Index(words, "1 scenarios were simulated again, and differ in 1:")
	assert.Positive(t, changed)
	assert.Greater(t, differs, changed, "what explains it is said first")
	assert.Contains(t, words, "(histories/")
	assert.Contains(t, words, "recorded: {")
	assert.Contains(t, words, "replayed: {")

	histories, err := filepath.Glob(filepath.Join(dir, "histories", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, histories)
	require.NoError(t, os.Truncate(histories[0], 100))
	out, status = run(t, []string{"LC_ALL=C"}, "evidence", "verify", dir, "--key", key+".pub")
	assert.Equal(t, 1, status)
	words = strings.Join(strings.Fields(out), " ")
	assert.Contains(t, words, "does not hold")
	assert.Contains(t, words, "simulated.ndjson: was changed: its SHA-256 is")
}

// recipe is the shell commands with which docs/evidence.md says that evidence is checked.
func recipe(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/evidence.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(doc), "```sh\n")
	require.True(t, ok, "docs/evidence.md has no recipe")
	script, _, ok := strings.Cut(rest, "```")
	require.True(t, ok)
	return script
}

func TestOpensslAloneChecksEvidence(t *testing.T) {
	for _, name := range []string{"openssl", "jq", "sha256sum", "sh"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("there is no %s here", name)
		}
	}
	dir, keys := t.TempDir(), t.TempDir()
	key := filepath.Join(keys, "key")
	out, status := run(t, nil, "evidence", "key", key)
	require.Equal(t, 0, status, out)
	out, status = quick(t, shop(t), "--report", dir, "--evidence-key", key)
	require.Equal(t, 0, status, out)
	by := func() (string, error) {
		cmd := exec.Command("sh", "-e", "-c", recipe(t))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PUB="+key+".pub")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	said, err := by()
	require.NoError(t, err, said)
	assert.Contains(t, said, "Signature Verified Successfully")
	assert.Contains(t, said, "results.ndjson: OK")

	results := filepath.Join(dir, "results.ndjson")
	data, err := os.ReadFile(results)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(results, append(data, ' '), 0o600))
	said, err = by()
	require.Error(t, err)
	assert.Contains(t, said, "results.ndjson: FAILED")
}

func TestNoSecretGetsIntoEvidenceOrPastRuns(t *testing.T) {
	const canary = "c4n4ry-s3cr3t"
	file, dir, keys := shop(t), t.TempDir(), t.TempDir()
	spoil(t, filepath.Join(filepath.Dir(file), "compose.yaml"), "    environment:", "    environment:\n      PASSWORD: "+canary)
	key, db := filepath.Join(keys, "key"), filepath.Join(keys, "runs.db")
	out, status := run(t, nil, "evidence", "key", key)
	require.Equal(t, 0, status, out)
	feature := filepath.Join(filepath.Dir(filepath.Dir(file)), "features", "undetected.feature")
	out, status = run(t, []string{"AWS_SECRET_ACCESS_KEY=" + canary, "DATABASE_PASSWORD=" + canary}, "verify", "--file", file, "--stage", "sim", "--report", dir, "--runs", db, "--evidence-key", key, feature)
	require.Contains(t, []int{0, 1}, status, out) // the password is a difference from production
	private, err := os.ReadFile(key)
	require.NoError(t, err)

	data, err := os.ReadFile(filepath.Join(dir, "evidence.json"))
	require.NoError(t, err)
	var envelope struct{ Payload string }
	require.NoError(t, json.Unmarshal(data, &envelope))
	statement, err := base64.StdEncoding.DecodeString(envelope.Payload)
	require.NoError(t, err)
	require.Contains(t, string(statement), "undetected.feature")
	kept, err := os.ReadFile(db)
	require.NoError(t, err)
	all := map[string][]byte{"the statement": statement, "the past runs": kept}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all[path], err = os.ReadFile(path)
		}
		return err
	}))
	secret := strings.Split(string(private), "\n")[1]
	for name, data := range all {
		assert.NotContains(t, string(data), canary, name)
		assert.NotContains(t, string(data), secret, name)
	}
	assert.NotContains(t, string(statement), "compose.yaml", "not even a hash of what holds environments")
}

func TestAKeyThatCannotSignIsRefusedBeforeAnythingRuns(t *testing.T) {
	file, dir := shop(t), t.TempDir()
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("no key"), 0o600))
	out, status := quick(t, file, "--evidence-key", key)
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "--evidence-key needs --report")
	out, status = quick(t, file, "--evidence-key", key, "--report", dir)
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "--evidence-key: "+key+" is not a key in PEM")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

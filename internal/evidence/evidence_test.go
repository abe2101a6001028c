package evidence_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/evidence"
	"rehearsal/internal/runs"
)

// reported is a report folder of a run, with what only a run that ended has.
func reported(t *testing.T, ended bool) (dir string, p evidence.Predicate) {
	t.Helper()
	dir = t.TempDir()
	run := runs.Run{Service: "shop", Began: time.Date(2026, 11, 26, 13, 0, 0, 0, time.UTC), Seed: 7, Commit: "c0ffee"}
	if ended {
		at, status := run.Began.Add(time.Minute), 0
		run.Ended, run.Status = &at, &status
	}
	write(t, dir, "results.ndjson", `{"stage":"simulated"}`+"\n")
	write(t, dir, "histories/a-1.simulated.ndjson", "{\"at\":0}\n{\"at\":1}\n")
	require.NoError(t, run.Write(dir))
	return dir, evidence.Predicate{Verdict: "verified", Run: run, Passed: 1}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

// pair is the files of a new key.
func pair(t *testing.T) (private, public string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	_, err := evidence.MakePair(file)
	require.NoError(t, err)
	return file, file + ".pub"
}

func signed(t *testing.T) (dir, public string) {
	t.Helper()
	dir, p := reported(t, true)
	private, public := pair(t)
	key, err := evidence.ReadPrivate(private)
	require.NoError(t, err)
	require.NoError(t, evidence.Write(t.Context(), dir, p, key))
	return dir, public
}

func check(t *testing.T, dir, public string) *evidence.Evidence {
	t.Helper()
	key, err := evidence.ReadPublic(public)
	require.NoError(t, err)
	e, err := evidence.Check(t.Context(), dir, key)
	require.NoError(t, err)
	return e
}

func TestEvidenceHoldsForWhatWasSigned(t *testing.T) {
	dir, public := signed(t)
	e := check(t, dir, public)
	assert.Empty(t, e.Wrong)
	assert.True(t, e.Signed)
	assert.Equal(t, uint64(7), e.Predicate.Run.Seed)
	var names []string
	for _, s := range e.Subject {
		names = append(names, s.Name)
	}
	assert.Equal(t, []string{"histories/a-1.simulated.ndjson", "results.ndjson", "run.json"}, names)

	write(t, dir, "report.html", "made from the rest, in another language")
	write(t, dir, "pipelines/run.json", "{}")
	write(t, dir, "pipelines/results.ndjson", "")
	e = check(t, dir, public)
	assert.Empty(t, e.Wrong, "what is no evidence may change")
	assert.Equal(t, []string{"pipelines"}, e.Others, "and is said")
}

// statement changes what the evidence of the folder says, as who cannot sign would.
func statement(t *testing.T, dir string, change func(string) string) {
	t.Helper()
	name := filepath.Join(dir, evidence.File)
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	var envelope map[string]any
	require.NoError(t, json.Unmarshal(data, &envelope))
	payload, err := base64.StdEncoding.DecodeString(envelope["payload"].(string))
	require.NoError(t, err)
	changed := change(string(payload))
	require.NotEqual(t, string(payload), changed)
	envelope["payload"] = base64.StdEncoding.EncodeToString([]byte(changed))
	data, err = json.Marshal(envelope)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, data, 0o600))
}

func TestWhatDoesNotHoldIsSaidExactly(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  []string
	}{
		"a byte of a file": {func(t *testing.T, dir string) {
			write(t, dir, "results.ndjson", `{"stage":"simulatex"}`+"\n")
		}, []string{"results.ndjson: was changed: its SHA-256 is "}},
		"a history cut off": {func(t *testing.T, dir string) {
			write(t, dir, "histories/a-1.simulated.ndjson", "{\"at\":0}\n")
		}, []string{"histories/a-1.simulated.ndjson: was changed"}},
		"a file taken away": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "results.ndjson")))
		}, []string{"results.ndjson: is missing"}},
		"a file added": {func(t *testing.T, dir string) {
			write(t, dir, "histories/b-1.simulated.ndjson", "")
		}, []string{"histories/b-1.simulated.ndjson: was added"}},
		"a link to the same text elsewhere": {func(t *testing.T, dir string) {
			name := filepath.Join(dir, "results.ndjson")
			other := filepath.Join(t.TempDir(), "x")
			require.NoError(t, os.Rename(name, other))
			require.NoError(t, os.Symlink(other, name))
		}, []string{"results.ndjson: cannot be read: ", "is not a regular file"}},
		"a byte of the statement": {func(t *testing.T, dir string) {
			statement(t, dir, func(s string) string { return strings.Replace(s, `"seed":7`, `"seed":8`, 1) })
		}, []string{"the signature is not right: what it says was changed after it was signed"}},
		"a path out of the folder": {func(t *testing.T, dir string) {
			statement(t, dir, func(s string) string { return strings.Replace(s, `"results.ndjson"`, `"../../etc/passwd"`, 1) })
		}, []string{`"../../etc/passwd": is no name of a file in the folder`}},
		"signed by another": {func(t *testing.T, dir string) {
			private, _ := pair(t)
			key, err := evidence.ReadPrivate(private)
			require.NoError(t, err)
			e, err := evidence.Check(t.Context(), dir, nil)
			require.NoError(t, err)
			require.NoError(t, evidence.Write(t.Context(), dir, e.Predicate, key))
		}, []string{"it is signed with another key"}},
		"not signed": {func(t *testing.T, dir string) {
			e, err := evidence.Check(t.Context(), dir, nil)
			require.NoError(t, err)
			require.NoError(t, evidence.Write(t.Context(), dir, e.Predicate, nil))
		}, []string{"it is not signed: anyone can have written it"}},
		"of a run that goes on": {func(t *testing.T, dir string) {
			statement(t, dir, func(s string) string { return strings.Replace(s, `"ended":"2026-11-26T13:01:00Z",`, "", 1) })
		}, []string{"it is of a run that has not ended", "the signature is not right"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, public := signed(t)
			require.Empty(t, check(t, dir, public).Wrong)
			c.spoil(t, dir)
			wrong := strings.Join(check(t, dir, public).Wrong, "\n")
			for _, want := range c.want {
				assert.Contains(t, wrong, want)
			}
		})
	}
}

func TestNoByteOfTheEvidenceMayChange(t *testing.T) {
	dir, public := signed(t)
	key, err := evidence.ReadPublic(public)
	require.NoError(t, err)
	name := filepath.Join(dir, evidence.File)
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	meaning := func(data []byte) string { // what JSON says, whatever the white space and the names of the keys
		var e struct {
			PayloadType string
			Payload     []byte
			Signatures  []struct{ Sig []byte }
		}
		if json.Unmarshal(data, &e) != nil {
			return ""
		}
		return fmt.Sprint(e)
	}
	looked := 0
	for i := 0; i < len(whole); i += 5 { // a fifth of them, for the time it takes
		spoilt := bytes.Clone(whole)
		spoilt[i] ^= 1
		if meaning(spoilt) == meaning(whole) {
			continue
		}
		require.NoError(t, os.WriteFile(name, spoilt, 0o600))
		e, err := evidence.Check(t.Context(), dir, key)
		require.True(t, err != nil || !e.Signed && len(e.Wrong) > 0, "byte %d, %q, may change", i, whole[i])
		looked++
	}
	assert.Greater(t, looked, 200)
}

func TestThereIsNoEvidenceOfWhatDidNotEnd(t *testing.T) {
	dir, p := reported(t, false)
	require.ErrorContains(t, evidence.Write(t.Context(), dir, p, nil), "has not ended")
	_, err := evidence.Check(t.Context(), dir, nil)
	require.ErrorContains(t, err, "has not ended, or was killed: there is no evidence of it")

	dir, _ = reported(t, true)
	_, err = evidence.Check(t.Context(), dir, nil)
	require.ErrorContains(t, err, "has no evidence.json")
	_, err = evidence.Check(t.Context(), t.TempDir(), nil)
	require.ErrorContains(t, err, "holds no report of a run")
	write(t, dir, evidence.File, `{"payloadType":`)
	_, err = evidence.Check(t.Context(), dir, nil)
	require.ErrorContains(t, err, "evidence.json is damaged")
	write(t, dir, evidence.File, `{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":null}`)
	_, err = evidence.Check(t.Context(), dir, nil)
	require.ErrorContains(t, err, "this rehearse knows")
}

// tool runs a program that not every machine has.
func tool(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("there is no %s here", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestKeysOfOtherToolsSign(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, dir string){
		"openssl": func(t *testing.T, dir string) {
			tool(t, dir, "openssl", "genpkey", "-algorithm", "ed25519", "-out", "key")
			tool(t, dir, "openssl", "pkey", "-in", "key", "-pubout", "-out", "key.pub")
		},
		"ssh-keygen": func(t *testing.T, dir string) {
			tool(t, dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key")
		},
	} {
		t.Run(name, func(t *testing.T) {
			keys := t.TempDir()
			make(t, keys)
			key, err := evidence.ReadPrivate(filepath.Join(keys, "key"))
			require.NoError(t, err)
			dir, p := reported(t, true)
			require.NoError(t, evidence.Write(t.Context(), dir, p, key))
			e := check(t, dir, filepath.Join(keys, "key.pub"))
			assert.Empty(t, e.Wrong)
			assert.True(t, e.Signed)
		})
	}
}

func TestOtherKeysAreRefusedWithWhatToDo(t *testing.T) {
	keys := t.TempDir()
	private, public := pair(t)
	tool(t, keys, "openssl", "genpkey", "-algorithm", "rsa", "-out", "rsa")
	tool(t, keys, "openssl", "pkey", "-in", "rsa", "-pubout", "-out", "rsa.pub")
	tool(t, keys, "openssl", "pkey", "-in", private, "-aes256", "-passout", "pass:x", "-out", "locked")
	tool(t, keys, "openssl", "genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ec")
	tool(t, keys, "ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", "sshlocked")
	tool(t, keys, "ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", "sshrsa")
	write(t, keys, "text", "not a key")
	write(t, keys, "damaged", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	for file, want := range map[string]string{
		"rsa": "is a RSA key, and evidence is signed with ed25519: `rehearse evidence key FILE` makes a pair", "ec": "is a ECDSA key",
		"locked": "is encrypted with a passphrase, and nobody is asked for one: name a copy without, such as `openssl pkey", "sshlocked": "`ssh-keygen -p",
		"sshrsa": "is a RSA key", "text": "is not a key in PEM", "damaged": "cannot be read as a private key", "none": "no such file", public: "is a public key", "sshrsa.pub": "is a public key",
	} {
		_, err := evidence.ReadPrivate(beside(keys, file))
		require.ErrorContains(t, err, want, file)
	}
	for file, want := range map[string]string{
		"rsa.pub": "is a RSA key, and evidence is signed with ed25519", "sshrsa.pub": "is a ssh-rsa key", "text": "cannot be read as a public key", "none": "no such file",
		private: "is a private key: evidence is checked with the public one, which `openssl pkey -in", "sshlocked": "is a private key",
	} {
		_, err := evidence.ReadPublic(beside(keys, file))
		require.ErrorContains(t, err, want, file)
	}
}

func beside(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

func TestAKeyIsForItsOwnerAloneAndNeverOverwritten(t *testing.T) {
	private, public := pair(t)
	info, err := os.Stat(private)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	for _, there := range []string{private, public} {
		dir := t.TempDir()
		write(t, dir, filepath.Base(there), "mine")
		_, err = evidence.MakePair(filepath.Join(dir, "key"))
		require.ErrorContains(t, err, "is there already, and is not overwritten")
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, left, 1, "half a pair is of no use")
		data, err := os.ReadFile(filepath.Join(dir, filepath.Base(there)))
		require.NoError(t, err)
		assert.Equal(t, "mine", string(data))
	}
}

func TestAReplayThatDiffersIsNamedAtItsFirstLine(t *testing.T) {
	const line = `{"stage":"simulated","feature":"F","scenario":"A","where":"f:3","verdict":"passed","wall":%d,"history":"%s/histories/a.ndjson"}` + "\n"
	folder := func(t *testing.T, result, history string) string {
		dir := t.TempDir()
		write(t, dir, "results.ndjson", result)
		write(t, dir, "histories/a.ndjson", history)
		return dir
	}
	then := folder(t, fmt.Sprintf(line, 1, "report")+`{"stage":"containers","feature":"F","scenario":"A"}`+"\n", "a\nb\nc\n")
	none := func(string) bool { return false }
	for name, c := range map[string]struct {
		result, history string
		want            []evidence.Difference
	}{
		"the same but for the time it took": {fmt.Sprintf(line, 2, "other"), "a\nb\nc\n", nil},
		"a line":                            {fmt.Sprintf(line, 1, "r"), "a\nB\nC\n", []evidence.Difference{{Scenario: "A", File: "histories/a.ndjson", Line: 2, Recorded: "b", Replayed: "B"}}},
		"an end too soon":                   {fmt.Sprintf(line, 1, "r"), "a\nb\n", []evidence.Difference{{Scenario: "A", File: "histories/a.ndjson", Line: 3, Recorded: "c"}}},
		"an end too late":                   {fmt.Sprintf(line, 1, "r"), "a\nb\nc\nd\n", []evidence.Difference{{Scenario: "A", File: "histories/a.ndjson", Line: 4, Replayed: "d"}}},
		"a verdict": {strings.Replace(fmt.Sprintf(line, 1, "r"), "passed", "failed", 1), "a\nb\nc\n", []evidence.Difference{{
			Scenario: "A", File: "results.ndjson", Line: 1,
			Recorded: `{"feature":"F","scenario":"A","stage":"simulated","verdict":"passed"}`, Replayed: `{"feature":"F","scenario":"A","stage":"simulated","verdict":"failed"}`,
		}}},
		"no such scenario any more": {"", "", []evidence.Difference{{Scenario: "A", File: "results.ndjson", Line: 1, Recorded: `{"feature":"F","scenario":"A","stage":"simulated","verdict":"passed"}`}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, got, err := evidence.CompareSimulated(then, folder(t, c.result, c.history), none)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
	of, got, err := evidence.CompareSimulated(then, folder(t, "", ""), func(scenario string) bool { return scenario == "A" })
	require.NoError(t, err)
	assert.Zero(t, of)
	assert.Empty(t, got, "it was left out on purpose")
	_, _, err = evidence.CompareSimulated(then, folder(t, `{"stage":`, ""), none)
	require.ErrorContains(t, err, "results.ndjson:1: is damaged")
}

func TestChangedInputsAreNamed(t *testing.T) {
	s := evidence.NewSubject
	got := evidence.InputsChanged(
		[]evidence.Subject{s("plan", "1"), s("old.feature", "1"), s("alarms", "1")},
		[]evidence.Subject{s("plan", "2"), s("alarms", "1"), s("new.feature", "1")})
	assert.Equal(t, []evidence.Changed{{Name: "plan", How: "has changed"}, {Name: "old.feature", How: "is not read any more"}, {Name: "new.feature", How: "is new"}}, got)
}

package main

import (
	"encoding/json"
	"encoding/xml"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const undetected = "../../features/undetected.feature"

// beside is a file beside rehearsal.yaml.
func beside(file, name string) string { return filepath.Join(filepath.Dir(file), name) }

func TestTheShopIsLikeProduction(t *testing.T) {
	out, status := run(t, nil, "parity", "--file", "../../fixtures/rehearsal.yaml")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "LIKE PRODUCTION")
	assert.Contains(t, out, "waived by the shop's release team until 2027-12-31")
	assert.Contains(t, out, "it points at the staging copy's own service")
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "/") { // a path stays whole
			assert.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), 80, line)
		}
	}
}

func TestParityForMachines(t *testing.T) {
	out, status := run(t, nil, "parity", "--file", "../../fixtures/rehearsal.yaml", "--json")
	require.Equal(t, 0, status, out)
	var l struct {
		Same        int
		Differences []struct {
			Service, Field, Standing string
			Weakens                  []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &l))
	assert.Positive(t, l.Same)
	for _, d := range l.Differences {
		if d.Field == "cpu" {
			assert.Equal(t, "waived", d.Standing)
			assert.Contains(t, d.Weakens, "The new version is slow")
			assert.NotContains(t, d.Weakens, "The new version crashes at start")
			return
		}
	}
	assert.Fail(t, "the limit of the CPU is not told")
}

// An open difference is told before anything runs, in the summary, in JUnit and by the
// exit status.
func TestAnOpenDifferenceFailsTheRehearsal(t *testing.T) {
	file, report := shop(t), t.TempDir()
	spoil(t, beside(file, "production.json"), `"memory": 128,`, `"memory": 96,`)
	out, status := run(t, nil, "verify", "--file", file, "--stage", "sim", "--pipelines=false", "--report", report)
	assert.Equal(t, 1, status, out)
	early, late := strings.Index(out, "not like production: shop memory: staging 128 MiB, production 96 MiB"), strings.Index(out, "ok   simulated")
	assert.True(t, 0 <= early && early < late, out)
	assert.Contains(t, out, "NOT LIKE PRODUCTION: shop memory\n  staging 128 MiB, production 96 MiB\n  weakens: The new version needs more memory than it gets")
	assert.Contains(t, out, "0 failed, 0 inconclusive\nparity")
	assert.Contains(t, out, "BROKEN")

	data, err := os.ReadFile(filepath.Join(report, "junit-parity.xml"))
	require.NoError(t, err)
	var suite struct {
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	require.NoError(t, xml.Unmarshal(data, &suite))
	assert.Equal(t, 1, suite.Failures)
	for _, c := range suite.Cases {
		assert.Equal(t, c.Name == "shop memory", c.Failure != nil, c.Name)
	}
	assert.FileExists(t, filepath.Join(report, "parity.json"))

	out, status = run(t, nil, "parity", "--file", file)
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "OPEN     memory")

	// Who wants it says so, and the gate is open again.
	waivers, err := os.ReadFile(beside(file, "waivers.yaml"))
	require.NoError(t, err)
	more := string(waivers) + "- {what: shop memory, reason: a test, owner: us, expires: 2026-12-01}\n"
	require.NoError(t, os.WriteFile(beside(file, "waivers.yaml"), []byte(more), 0o600))
	out, status = run(t, nil, "verify", "--file", file, "--stage", "sim", undetected)
	assert.Equal(t, 0, status, out)
}

func TestAnExpiredWaiverFailsTheRehearsal(t *testing.T) {
	file := "../../fixtures/rehearsal.yaml"
	out, status := run(t, nil, "verify", "--file", file, "--stage", "sim", "--today", "2027-12-31", undetected)
	assert.Equal(t, 0, status, out)
	out, status = run(t, nil, "verify", "--file", file, "--stage", "sim", "--today", "2028-01-01", undetected)
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, `EXPIRED on 2027-12-31: the waiver of "shop cpu", of the shop's release team`)
	assert.Contains(t, out, "waivers.yaml:3")
	_, status = run(t, nil, "parity", "--file", file, "--today", "2028-01-01")
	assert.Equal(t, 1, status)
	out, status = run(t, nil, "parity", "--file", file, "--today", "soon")
	assert.Equal(t, 2, status, out)
}

func TestAWaiverOfNothingIsAWarning(t *testing.T) {
	file := shop(t)
	spoil(t, beside(file, "production.json"), `"cpu": "256",`, ``)
	out, status := run(t, nil, "verify", "--file", file, "--stage", "sim", undetected)
	assert.Equal(t, 0, status, out)
	assert.Contains(t, out, `WARNING: the waiver of "shop cpu"`)
}

// What cannot be told must not open a gate.
func TestWhatCannotBeComparedIsInconclusive(t *testing.T) {
	file := shop(t)
	spoil(t, beside(file, "production.json"), `"desired-count"`, `"other"`)
	out, status := run(t, nil, "verify", "--file", file, "--stage", "sim", undetected)
	assert.Equal(t, 3, status, out)
	assert.Contains(t, out, "CANNOT BE COMPARED with production: shop replicas")
	assert.Contains(t, out, "add the output of `aws ecs describe-services`")
	_, status = run(t, nil, "parity", "--file", file)
	assert.Equal(t, 3, status)
}

func TestNoProductionIsSaidAndIsNoFailure(t *testing.T) {
	file := shop(t)
	spoil(t, file, "production:\n  description: production.json", "# none: #")
	spoil(t, file, "waivers: waivers.yaml", "")
	out, status := run(t, nil, "verify", "--file", file, "--stage", "sim", undetected)
	assert.Equal(t, 0, status, out)
	assert.Equal(t, 1, strings.Count(out, "parity with production was not checked"))
	out, status = run(t, nil, "parity", "--file", file)
	assert.Equal(t, 2, status, out)
	assert.Contains(t, out, `needs "production"`)
}

func TestAMistakeInWhatDescribesProductionIsToldWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ file, old, instead, want string }{
		"description": {"production.json", `"memory": 128,`, `"memory": "128",`, "production.json:9: taskDefinition.containerDefinitions.memory is a JSON string: want a whole number"},
		"waivers":     {"waivers.yaml", "expires: 2027-12-31", "expires: never", "waivers.yaml:8: expires: \"never\" is not a day"},
		"rehearsal":   {"rehearsal.yaml", "description: production.json", "description: prod.json", "there is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			file := shop(t)
			spoil(t, beside(file, c.file), c.old, c.instead)
			for _, command := range [][]string{{"parity"}, {"verify", "--stage", "sim"}} {
				out, status := run(t, nil, append(command, "--file", file)...)
				assert.Equal(t, 2, status, out)
				assert.Contains(t, out, c.want)
			}
		})
	}
}

// Secrets of both sides, inline and in addresses, are in no output and in no file.
func TestASecretIsInNoOutput(t *testing.T) {
	file, report := shop(t), t.TempDir()
	spoil(t, beside(file, "compose.yaml"), "postgres://shop:shop@database", "postgres://shop:stagingword@database")
	spoil(t, beside(file, "compose.yaml"), `PORT: "8080"`, `PORT: "8080"`+"\n      SIGNING_KEY: stagingsignature")
	spoil(t, beside(file, "production.json"), `"name": "PAYMENTS_URL",`, `"name": "SIGNING_KEY", "value": "productionsignature"}, {"name": "API_LOCATION", "value": "https://us:productionword@api.internal/"}, {"name": "PAYMENTS_URL",`)
	var all strings.Builder
	for _, args := range [][]string{{"parity"}, {"parity", "--json"}, {"verify", "--stage", "sim", "--report", report, undetected}} {
		out, status := run(t, nil, append(args, "--file", file)...)
		assert.Equal(t, 1, status, out)
		all.WriteString(out)
	}
	require.NoError(t, filepath.WalkDir(report, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all.Write(data)
		return err
	}))
	for _, secret := range []string{"stagingword", "stagingsignature", "productionsignature", "productionword"} {
		assert.NotContains(t, all.String(), secret)
	}
	assert.Regexp(t, `SIGNING_KEY: staging secret:[0-9a-f]{8}, production secret:[0-9a-f]{8}`, all.String())
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlansAreComparedTheSameEachTime(t *testing.T) {
	dir := t.TempDir()
	once := func(name string) (out string, files []string) {
		asJSON, chart := filepath.Join(dir, name+".json"), filepath.Join(dir, name+".svg")
		out, status := run(t, nil, "compare", "--file", "../../fixtures/rehearsal.yaml", "--releases", "60", "--seed", "7", "--json", asJSON, "--chart", chart)
		require.Equal(t, 0, status, out)
		for _, f := range []string{asJSON, chart} {
			data, err := os.ReadFile(f)
			require.NoError(t, err)
			files = append(files, string(data))
		}
		return out, files
	}
	out, files := once("a")
	again, same := once("b")
	assert.Equal(t, out, again)
	assert.Equal(t, files, same)
	for _, plan := range []string{"shop", "all-at-once", "blue-green", "rolling", "linear", "canary"} {
		assert.Contains(t, out, plan+": 60 releases simulated", "plain lines of progress, where no terminal is")
		assert.Contains(t, files[1], plan)
	}
	assert.Contains(t, out, "\nChoose ")
	assert.NotContains(t, out, "\x1b")
	var got struct {
		Seed  int
		Plans []struct {
			Name   string
			Missed struct {
				N                int
				Value, Low, High float64
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(files[0]), &got))
	assert.Equal(t, 7, got.Seed)
	require.Len(t, got.Plans, 6)
	for _, p := range got.Plans {
		assert.Positive(t, p.Missed.N)
		assert.True(t, p.Missed.Low <= p.Missed.Value && p.Missed.Value <= p.Missed.High, p)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.part"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAProjectWithOnePlanIsComparedWithEveryStrategy(t *testing.T) {
	file := shop(t)
	spoil(t, file, "plans: [plans/all-at-once.yaml, plans/rolling.yaml, plans/blue-green.yaml, plans/canary.yaml, plans/linear.yaml]", "plans: []")
	out, status := run(t, nil, "compare", "--file", file, "--releases", "20")
	require.Equal(t, 0, status, out)
	for _, made := range []string{"all-at-once", "blue-green", "rolling", "linear"} {
		assert.Contains(t, out, `"`+made+`" is made from `+filepath.Join(filepath.Dir(file), "release.yaml")+": no plan of the project has this strategy.")
	}
}

func TestAMixOfOnesOwn(t *testing.T) {
	out, status := run(t, nil, "compare", "--print-mix")
	require.Equal(t, 0, status, out)
	mix := filepath.Join(t.TempDir(), "mix.yaml")
	require.NoError(t, os.WriteFile(mix, []byte(out), 0o600))
	plan := "../../fixtures/plans/canary.yaml"
	own, status := run(t, nil, "compare", "--file", "../../fixtures/rehearsal.yaml", "--plans", plan, "--releases", "40", "--mix", mix)
	require.Equal(t, 0, status, own)
	assumed, _ := run(t, nil, "compare", "--file", "../../fixtures/rehearsal.yaml", "--plans", plan, "--releases", "40")
	assert.Equal(t, assumed, own, "what is printed is what is assumed")

	spoil(t, mix, "kind: hang", "kind: hanged")
	out, status = run(t, nil, "compare", "--file", "../../fixtures/rehearsal.yaml", "--mix", mix)
	assert.Equal(t, 2, status, out)
	assert.Contains(t, out, mix+":")
	assert.Contains(t, out, `unknown failure "hanged"`)
}

func TestWhatCannotBeComparedIsAnErrorOfTheInput(t *testing.T) {
	const file = "../../fixtures/rehearsal.yaml"
	for wrong, args := range map[string][]string{
		"0 releases: want from 1":                {"--releases", "0"},
		"the plan cannot be read":                {"--plans", "none.yaml"},
		`are both named "canary"`:                {"--plans", "../../fixtures/plans/canary.yaml,../../fixtures/plans/canary.yaml"},
		"the mix cannot be read":                 {"--mix", "none.yaml"},
		"unnoticed for -1m0s: want from 0s":      {"--unnoticed", "-1m"},
		"0.1 requests of a user: want 1 or more": {"--requests-per-user", "0.1"},
		"no such file or directory":              {"--releases", "5", "--json", "no/such/folder/out.json"},
	} {
		out, status := run(t, nil, append([]string{"compare", "--file", file}, args...)...)
		assert.Equal(t, 2, status, out)
		assert.Contains(t, out, wrong)
		assert.NotContains(t, out, "goroutine")
	}
}

func TestALessCarefulPlanIsComparedAndSaidToBe(t *testing.T) {
	file := shop(t)
	bold := filepath.Join(filepath.Dir(file), "plans", "canary.yaml")
	spoil(t, bold, "  within: 2m", "  # within: 2m")
	out, status := run(t, nil, "compare", "--file", file, "--releases", "20", "--plans", bold)
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "There is nothing to choose from: canary is the only plan.")
	assert.True(t, strings.Contains(out, "nothing says how long a rollback may take"), out)
}

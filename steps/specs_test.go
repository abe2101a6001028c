package steps

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/project"
)

func shop(t testing.TB) *project.Project {
	t.Helper()
	p, err := project.Load(context.Background(), "../fixtures/rehearsal.yaml")
	require.NoError(t, err)
	return p
}

// feature writes a feature of one scenario with the given steps.
func feature(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.feature")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestMistakesInFeaturesAreToldWithTheirPlace(t *testing.T) {
	p := shop(t)
	for name, c := range map[string]struct{ text, want string }{
		"unknown phrase":  {"Feature: f\n  Scenario: s\n    Given the moon is full", `x.feature:3: no phrase reads "the moon is full"; the nearest is`},
		"unknown version": {"Feature: f\n  Scenario: s\n    When \"v3\" is released as the team's plan says", `x.feature:3: there is no version "v3" in ../fixtures/rehearsal.yaml: `},
		"unknown alarm":   {"Feature: f\n  Scenario: s\n    Then the alarm \"shop-5x-rate\" stays silent", `x.feature:3: there is no alarm "shop-5x-rate" in ../fixtures/rehearsal.yaml: did you mean "shop-5xx-rate"?`},
		"unknown plan":    {"Feature: f\n  Scenario: s\n    When \"v2\" is released as the \"canari\" plan says", `did you mean "canary"?`},
		"120 percent":     {"Feature: f\n  Scenario: s\n    Given version \"v2\" fails 120% of its requests", `x.feature:3: 120 %: a share is from 0 % to 100 %`},
		"not Gherkin":     {"Feature: f\n  Scenario: s\n    Then no request failed\n    Whenever it rains", `x.feature:4: not Gherkin`},
		"no feature":      {"", `x.feature:1: there is no feature in it`},
		"same name":       {"Feature: f\n  Scenario: s\n    Then no request failed\n  Scenario: s\n    Then no request failed", `x.feature:4: a second scenario "s" (the first is in line 2)`},
		"no steps":        {"Feature: f\n  Scenario: s", `x.feature:2: the scenario "s" has no steps`},
		"no scenario":     {"Feature: f", `no scenario is selected`},
		"japanese":        {"# language: ja\n機能: f\n  シナリオ: s\n    前提 月が満ちている", `x.feature:4: no phrase reads "月が満ちている"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadSpecs(p, []string{feature(t, c.text)}, "")
			require.ErrorContains(t, err, c.want)
			var input *InputError
			require.ErrorAs(t, err, &input)
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := ReadSpecs(shop(t), []string{feature(t, "Feature: f\n  Scenario: s\n    Given nothing\n    Then nobody")}, "")
	require.ErrorContains(t, err, "x.feature:3:")
	require.ErrorContains(t, err, "x.feature:4:")
}

func TestTagsThatSelectNothingAreMistakes(t *testing.T) {
	file := feature(t, "Feature: f\n  @a\n  Scenario: s\n    Then no request failed\n  @b\n  Scenario: r\n    Then no request failed")
	p := shop(t)
	for tags, want := range map[string][]string{"": {"s", "r"}, "@a": {"s"}, "~@a": {"r"}, "@a,@b": {"s", "r"}, "@b && ~@a": {"r"}} {
		specs, err := ReadSpecs(p, []string{file}, tags)
		require.NoError(t, err, tags)
		var got []string
		for _, s := range specs {
			got = append(got, s.Name)
		}
		assert.ElementsMatch(t, want, got, tags)
	}
	for tags, want := range map[string]string{
		"@a and not @b": "cannot read", "@aa": "no scenario has the tag @aa", "a": "cannot read", "@a && @b": "no scenario is selected",
	} {
		_, err := ReadSpecs(p, []string{file}, tags)
		require.ErrorContains(t, err, want, tags)
	}
}

func TestTheProjectsOwnFeaturesRead(t *testing.T) {
	specs, err := ReadSpecs(shop(t), []string{"../features"}, "")
	require.NoError(t, err)
	languages := map[string]int{}
	for _, s := range specs {
		languages[s.Language]++
	}
	assert.GreaterOrEqual(t, languages["en"], 20)
	assert.GreaterOrEqual(t, languages["ja"], 5)
}

package steps

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
)

const three = `Feature: f

  Background:
    Given a staging copy of the shop, with version "v1" serving everyone

  # The first of them.
  @a
  Scenario: first
    When "v2" is released as the "canary" plan says
    Then the release succeeds

  Rule: r

    Scenario Outline: by <plan>
      When "v2" is released as the "<plan>" plan says
      Then the release succeeds

      Examples:
        | plan       |
        | canary     |
        | blue-green |

    Scenario: last
      When "v2" is released as the "linear" plan says
      Then the release succeeds
`

// TestALineNamesAScenario runs what the lines name, and no other.
func TestALineNamesAScenario(t *testing.T) {
	file := feature(t, three)
	for lines, want := range map[string][]string{
		"8": {"first"}, "7": {"first"}, "10": {"first"},
		"14": {"by canary", "by blue-green"}, "16": {"by canary", "by blue-green"}, "20": {"by canary"}, "21": {"by blue-green"},
		"23": {"last"}, "25": {"last"}, "8 21": {"first", "by blue-green"}, "8 9": {"first"}, "8 ": {"first", "by canary", "by blue-green", "last"},
	} {
		t.Run(lines, func(t *testing.T) {
			var paths []string
			for line := range strings.SplitSeq(lines, " ") {
				paths = append(paths, strings.TrimSuffix(file+":"+line, ":"))
			}
			r := Rehearsal{Project: shop(t), Features: paths, Stages: []string{Simulated}, Seed: 1, Pace: 60}
			v, err := r.Verify(context.Background())
			require.NoError(t, err)
			var ran []string
			for _, res := range v.Results {
				assert.Equal(t, check.Passed, res.Verdict, "%v", res.Err)
				ran = append(ran, res.Spec.Name)
			}
			assert.ElementsMatch(t, want, ran)
		})
	}
}

func TestALineWithoutAScenarioIsAMistakeThatNamesTheNearest(t *testing.T) {
	file := feature(t, three)
	for path, want := range map[string]string{
		file + ":1":         `x.feature:1: no scenario is there; the nearest are "first" in line 8 and "by canary" in line 20`,
		file + ":11":        `x.feature:11: no scenario is there; the nearest are "first" in line 8 and "by canary" in line 20`,
		file + ":99":        `x.feature:99: no scenario is there; the nearest are "last" in line 23 and "by canary" in line 20`,
		file + "x:8":        `x.featurex: there is no such feature file or folder`,
		"../features:8":     `../features:8: a folder has no lines`,
		file + ":" + bigger: `there is no such line`,
	} {
		_, err := ReadSpecs(shop(t), []string{path}, "")
		require.ErrorContains(t, err, want)
		var input *InputError
		require.ErrorAs(t, err, &input)
	}
}

const bigger = "99999999999999999999"

func TestMistakesInContainerTagsAreToldBeforeAnythingRuns(t *testing.T) {
	file := feature(t, three)
	for tags, want := range map[string]string{"a": "cannot read", "@b": `--container-tags "@b": no scenario has the tag @b: known are ["@a"]`} {
		ran := 0
		r := Rehearsal{Project: shop(t), Features: []string{file}, Stages: []string{Simulated, Containers}, ContainerTags: tags, Seed: 1, Pace: 60,
			Notify: func(string, Notice) { ran++ }}
		_, err := r.Verify(context.Background())
		require.ErrorContains(t, err, want)
		var input *InputError
		require.ErrorAs(t, err, &input)
		assert.Zero(t, ran, "a scenario ran before the mistake was told")
	}
	r := Rehearsal{Project: shop(t), Features: []string{file}, Stages: []string{Simulated}, ContainerTags: "~@b,@a", Seed: 1, Pace: 60}
	_, err := r.Verify(context.Background())
	require.NoError(t, err, "what no scenario has may be left out, and a tag that one has may be asked for")
}

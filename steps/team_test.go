package steps

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/check"
	"rehearsal/internal/project"
)

// withPhrases is the shop with other words of its team.
func withPhrases(t *testing.T, text string) *project.Project {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "fixtures"), os.DirFS("../fixtures")))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "features"), os.DirFS("../features")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fixtures", "phrases.yaml"), []byte(text), 0o600))
	p, err := project.Load(t.Context(), filepath.Join(dir, "fixtures", "rehearsal.yaml"))
	require.NoError(t, err)
	return p
}

// rehearseWith runs one feature of a project on the simulated stage.
func rehearseWith(t *testing.T, p *project.Project, text string) *Result {
	t.Helper()
	v, err := Rehearsal{Project: p, Features: []string{feature(t, text)}, Stages: []string{Simulated}, Seed: 1}.Verify(t.Context())
	require.NoError(t, err)
	require.Len(t, v.Results, 1)
	return v.Results[0]
}

func TestMistakesInATeamsWordsAreToldWithTheirPlace(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown phrase": {"- phrase: all is well\n  means:\n    - the release succeeds\n    - the moon is full",
			`phrases.yaml:4: no built-in phrase reads "the moon is full"; the nearest is `},
		"unused gap": {"- phrase: all is well with {version}\n  means: [the release succeeds]",
			`phrases.yaml:1: the gap {version} of "all is well with {version}" is used in none of its meanings`},
		"unknown gap": {"- phrase: all is well\n  means:\n    - version {version} serves everyone",
			`phrases.yaml:3: there is no {version} in "all is well": it has []`},
		"unknown type":          {"- phrase: all is well with {thing}\n  means: [the release succeeds]", `phrases.yaml:1: "all is well with {thing}": the gap {thing} is of the unknown type "thing": write {name:type} with one of`},
		"the same gap twice":    {"- phrase: '{version} is as good as {version}'\n  means: ['version {version} serves everyone']", `the gap {version} is there twice: write {other:version} for the second`},
		"type in a meaning":     {"- phrase: '{who:version} is on'\n  means: ['version {who:version} serves everyone']", `phrases.yaml:2: {who:version}: a type belongs into the phrase itself: here write {who}`},
		"gap of the wrong type": {"- phrase: at most {n:count} of them\n  means:\n    - at most {n} of all requests failed", `phrases.yaml:3: no built-in phrase reads "at most {n} of all requests failed"; the nearest is "at most {percent} of all requests failed"`},
		"as a built-in one":     {"- phrase: the release succeeds\n  means: [no request failed]", `phrases.yaml:1: "the release succeeds" can be read as the built-in phrase "the release succeeds" too: put it in other words`},
		"wide as a built-in": {"- phrase: version {anything:version} serves everyone\n  means: ['version {anything} never serves anyone']",
			`phrases.yaml:1: "version {anything:version} serves everyone" can be read as the built-in phrase "version {version} serves everyone" too`},
		"itself":        {"- phrase: all is well\n  means:\n    - no request failed\n    - all is well", `phrases.yaml:4: the phrase "all is well" stands for itself`},
		"round about":   {"- phrase: all is well\n  means: [all is fine]\n- phrase: all is fine\n  means: [all is well]", `phrases.yaml:2: "all is fine" is one of the team's own phrases (line 3): write out the built-in ones`},
		"said twice":    {"- phrase: all is well\n  means: [no request failed]\n- phrase: all is well\n  means: [the release succeeds]", `phrases.yaml:3: "all is well" can be read as "all is well" (line 1) too`},
		"other gaps":    {"- phrase: all is well with {version}\n  japanese: '{plan} は順調'\n  means: ['version {version} serves everyone']", `phrases.yaml:1: "all is well with {version}" and "{plan} は順調" have different gaps`},
		"in Japanese":   {"- japanese: 順調である\n  means:\n    - 月が満ちている", `phrases.yaml:3: no built-in phrase reads "月が満ちている"`},
		"built-in, ja.": {"- japanese: リリースは成功する\n  means: [no request failed]", `phrases.yaml:1: "リリースは成功する" can be read as the built-in phrase`},
	} {
		t.Run(name, func(t *testing.T) {
			p := withPhrases(t, c.text)
			_, err := ReadSpecs(p, []string{feature(t, "Feature: f\n  Scenario: s\n    Then no request failed")}, "")
			require.ErrorContains(t, err, c.want)
			var input *InputError
			require.ErrorAs(t, err, &input)
			_, err = TeamPhrases(p)
			require.ErrorContains(t, err, c.want)
		})
	}
}

const teamWords = `
- phrase: the shop passes {plan} with {version}
  japanese: '{version} は {plan} 計画で問題なくリリースできる'
  means:
    - '{version} is released as the {plan} plan says'
    - the release succeeds
    - no request failed
- phrase: customers fail at most {percent} and {late:duration} later all is well
  means:
    - at most {percent} of all requests failed
    - service is restored within {late} of the alarm
- phrase: the alarm {alarm} wakes us
  means: ['the alarm {alarm} goes off within 4 minutes of exposure']
`

func TestATeamsWordsStandForBuiltInOnes(t *testing.T) {
	p := withPhrases(t, teamWords)
	own, err := TeamPhrases(p)
	require.NoError(t, err)
	require.Len(t, own, 3)
	assert.Equal(t, "Then", own[0].Keyword)
	assert.Equal(t, []string{"{version} is released as the {plan} plan says", "the release succeeds", "no request failed"}, own[0].Means)

	r := rehearseWith(t, p, "Feature: f\n  Scenario: s\n"+shopAtRest+"    When the shop passes \"blue-green\" with \"v2\"\n")
	assert.Equal(t, check.Passed, r.Verdict, r.Err)
	assert.Equal(t, "v2", r.Version)

	r = rehearseWith(t, p, "# language: ja\n機能: f\n  シナリオ: s\n    前提 shop の舞台で版 \"v1\" が全ての利用者に応答している\n    もし \"v2\" は \"canary\" 計画で問題なくリリースできる\n")
	assert.Equal(t, check.Passed, r.Verdict, r.Err)

	r = rehearseWith(t, p, "Feature: f\n  Scenario: s\n"+shopAtRest+"    And version \"v2\" fails 50% of its requests\n    When the shop passes \"canary\" with \"v2\"\n")
	assert.Equal(t, check.Failed, r.Verdict)
	assert.ErrorContains(t, r.Err, "phrases.yaml:6: the release was rolled back, not released", "which of the meanings was not kept")

	r = rehearseWith(t, p, "Feature: f\n  Scenario: s\n"+shopAtRest+"    And version \"v2\" fails 50% of its requests\n    When \"v2\" is released as the \"canary\" plan says\n"+
		"    Then the alarm \"shop-5xx-rate\" wakes us\n    And customers fail at most 6% and 1 minute later all is well\n")
	assert.Equal(t, check.Passed, r.Verdict, r.Err)
	assert.Equal(t, []string{"shop-5xx-rate"}, r.Spec.Alarms, "an alarm that a team's phrase mentions is mentioned")
}

func TestNamesInATeamsWordsAreChecked(t *testing.T) {
	p := withPhrases(t, teamWords)
	_, err := ReadSpecs(p, []string{feature(t, "Feature: f\n  Scenario: s\n    When the shop passes \"canary\" with \"v9\"\n    Then the alarm \"shop\" wakes us\n    And the shops passes \"canary\"\n")}, "")
	require.ErrorContains(t, err, `x.feature:3: there is no version "v9"`)
	require.ErrorContains(t, err, `x.feature:4: there is no alarm "shop"`)
	require.ErrorContains(t, err, `x.feature:5: no phrase reads "the shops passes \"canary\""; the nearest is "the shop passes {plan} with {version}"`)
	assert.Equal(t, 1, strings.Count(err.Error(), "there is no version"))
}

func TestAVersionThatOnlyATeamsWordsNameIsNeeded(t *testing.T) {
	p := withPhrases(t, "- phrase: the new one works\n  means: ['when a customer asks GET /products of version \"v2\", the answer is 200 and contains \"price\"']")
	specs, err := ReadSpecs(p, []string{feature(t, "Feature: f\n  Scenario: s\n    Then the new one works")}, "")
	require.NoError(t, err)
	assert.Contains(t, strings.Join(specs[0].meant, ""), `"v2"`)
}

func TestWhateverATeamWritesIsReadOrToldWithItsLine(t *testing.T) {
	p := shop(t)
	word := rapid.SampledFrom([]string{"{version}", "{who:version}", "{n:count}", "{", "}", "{}", "{:}", "the release succeeds", "no request failed", "版", "\"", "(", "[", "\\", "{percent}", "{key}", " ", "a"})
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string { return strings.Join(rapid.SliceOfN(word, 0, 6).Draw(t, label), "") }
		own := *p
		own.Phrases = nil
		for i := range rapid.IntRange(1, 3).Draw(t, "phrases") {
			own.Phrases = append(own.Phrases, project.Phrase{File: "phrases.yaml", Line: 10 * (i + 1), English: text("English"), Japanese: text("Japanese"),
				Means: []project.Meaning{{Line: 10*i + 11, Text: text("means")}}})
		}
		forms, _, err := vocabulary(&own)
		require.NotEmpty(t, forms)
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				require.Regexp(t, `^phrases\.yaml:\d+: `, line)
			}
		}
	})
}

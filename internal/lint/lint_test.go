package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lint"
	"rehearsal/internal/project"
	"rehearsal/steps"
)

func load(t *testing.T, file string) *project.Project {
	t.Helper()
	p, err := project.Load(t.Context(), file)
	require.NoError(t, err)
	return p
}

// found is what is found in features, each as file:line:column rule.
func found(t *testing.T, p *project.Project, features ...string) (places []string, all []lint.Finding) {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for i, text := range features {
		file := filepath.Join(dir, string(rune('a'+i))+".feature")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		files = append(files, file)
	}
	all, err := lint.Features(p, files)
	require.NoError(t, err)
	for _, f := range all {
		assert.NotEmpty(t, f.Message)
		assert.Equal(t, f.Rule == lint.UnknownName, f.Remedy == "", "who reads %q knows what to write", f.Message)
		places = append(places, fmt.Sprintf("%s:%d:%d %s", filepath.Base(f.File), f.Line, f.Column, f.Rule))
	}
	return places, all
}

const (
	given = "    Given a staging copy of the shop, with version \"v1\" serving everyone\n"
	when  = "    When \"v2\" is released as the \"canary\" plan says\n"
	then  = "    Then the release succeeds\n"
	前提    = "    前提 shop の舞台で版 \"v1\" が全ての利用者に応答している\n"
	ならば   = "    ならば リリースは成功する\n"
)

func TestEachRule(t *testing.T) {
	p := load(t, "../../fixtures/rehearsal.yaml")
	scenario := func(name, body string) string { return "Feature: f\n  Scenario: " + name + "\n" + body }
	シナリオ := func(name, body string) string {
		return "# language: ja\n機能: f\n  シナリオ: " + name + "\n" + body
	}
	for name, c := range map[string]struct {
		text    string
		want    []string
		message string // of the first
		remedy  string
	}{
		"nothing to say":                           {scenario("s", given+when+then), nil, "", ""},
		"not Gherkin":                              {scenario("s", given+"  Whenever\n"), []string{"a.feature:4:3 not-gherkin"}, "not Gherkin: expected:", ""},
		"no feature":                               {"", []string{"a.feature:1:1 not-gherkin"}, "no feature", ""},
		"undefined, with nearest":                  {scenario("s", "    Then the relase succeeds\n"), []string{"a.feature:3:10 undefined-phrase"}, `no phrase reads "the relase succeeds"`, `the nearest is "the release succeeds"`},
		"undefined, none near":                     {scenario("s", "    Then pigs fly\n"), []string{"a.feature:3:10 undefined-phrase"}, "none is near", "rehearse steps"},
		"undefined in Japanese":                    {シナリオ("s", "    ならば リリースが成功した\n"), []string{"a.feature:4:9 undefined-phrase"}, "no phrase reads", `the nearest is "リリースは成功する"`},
		"the nearest is in the feature's language": {シナリオ("s", "    ならば the release suceeds\n"), []string{"a.feature:4:9 undefined-phrase"}, "none is near", ""},
		"undefined in one row": {"Feature: f\n  Scenario Outline: <x>\n    Then the <x> succeeds\n    Examples:\n      | x |\n      | release |\n      | moon |\n",
			[]string{"a.feature:3:10 undefined-phrase"}, `"the moon succeeds"`, `"the release succeeds"`},
		"undefined in a background, once": {"Feature: f\n  Background:\n    Given it rains\n  Scenario: a\n" + then + "  Scenario: b\n" + then, []string{"a.feature:3:11 undefined-phrase"}, "it rains", ""},
		"a name that is not there":        {scenario("s", given+"    When \"v2\" is released as the \"canari\" plan says\n"+then), []string{"a.feature:4:10 unknown-name"}, `there is no plan "canari" in ../../fixtures/rehearsal.yaml: did you mean "canary"?`, ""},
		"a name within a team's phrase":   {scenario("s", "    Then the shop window of \"v0\" shows prices\n"), []string{"a.feature:3:10 unknown-name"}, `there is no version "v0"`, ""},
		"a share that is none":            {scenario("s", "    Given version \"v2\" fails 120% of its requests\n"+then), []string{"a.feature:3:11 unknown-name"}, "120 %: a share is from 0 % to 100 %", ""},
		"a name twice":                    {scenario("s", then) + "  Scenario: s\n" + then, []string{"a.feature:4:13 duplicate-scenario"}, "the first is in line 2", "<column>"},
		"a name twice in an outline": {"Feature: f\n  Scenario Outline: s\n    Then <x>\n    Examples:\n      | x |\n      | the release succeeds |\n      | no request failed |\n",
			[]string{"a.feature:7:7 duplicate-scenario"}, "the first is in line 6", "<column>"},
		"no steps":                           {scenario("s", ""), []string{"a.feature:2:3 no-steps"}, "has no steps", ""},
		"no rows":                            {"Feature: f\n  Scenario Outline: <x>\n    Then <x> soon\n    Examples:\n      | x |\n", []string{"a.feature:2:3 no-rows"}, "never runs", ""},
		"no Then":                            {scenario("s", given+when), []string{"a.feature:2:3 no-then"}, "promises nothing", ""},
		"no Then in Japanese":                {シナリオ("s", 前提), []string{"a.feature:3:3 no-then"}, "promises nothing", ""},
		"a star that is a Then":              {scenario("s", "    * the release succeeds\n"), nil, "", ""},
		"stars without a Then":               {scenario("s", strings.ReplaceAll(given, "Given", "*")), []string{"a.feature:2:3 no-then"}, "", ""},
		"Given after Then":                   {scenario("s", then+given), []string{"a.feature:4:5 given-after-then"}, "a Given after a Then", ""},
		"Given after Then in Japanese":       {シナリオ("s", ならば+前提), []string{"a.feature:5:5 given-after-then"}, "", ""},
		"two known steps in one":             {scenario("s", "    Then the release succeeds and no request failed\n"), []string{"a.feature:3:31 conjunction"}, `"the release succeeds" and "no request failed"`, "two steps"},
		"two unknown steps in one":           {scenario("s", "    Then pigs fly and the moon is blue\n"), []string{"a.feature:3:10 undefined-phrase", "a.feature:3:19 conjunction"}, "", ""},
		"two steps in one in Japanese":       {シナリオ("s", "    ならば リリースは成功し、月が満ちている\n"), []string{"a.feature:4:9 undefined-phrase", "a.feature:4:16 conjunction"}, "", ""},
		"two known steps in one in Japanese": {シナリオ("s", "    ならば リリースは成功する、かつ失敗した要求は1件もない\n"), []string{"a.feature:4:18 conjunction"}, "two steps in one", ""},
		"and in a built-in phrase":           {scenario("s", "    Given customers browse and order at 200 requests per second\n"+then), nil, "", ""},
		"and in a misspelt built-in phrase":  {scenario("s", "    Given customers browse and ordr at 200 requests per second\n"+then), []string{"a.feature:3:11 undefined-phrase"}, "", "browse and order"},
		"and in quotes":                      {scenario("s", "    Then pigs say \"oink and moo\"\n"), []string{"a.feature:3:10 undefined-phrase"}, "", ""},
		"もし is no conjunction":               {シナリオ("s", "    ならば しかし、豚が飛ぶ\n"), []string{"a.feature:4:9 undefined-phrase"}, "", ""},
		"vague":                              {scenario("It is back soon", then), []string{"a.feature:2:24 vague-duration"}, `"soon"`, "within 4 minutes"},
		"vague in a step":                    {scenario("s", "    Then pigs fly quickly\n"), []string{"a.feature:3:10 undefined-phrase", "a.feature:3:19 vague-duration"}, "", ""},
		"vague in Japanese":                  {シナリオ("まもなく戻る", ならば), []string{"a.feature:3:9 vague-duration"}, `"まもなく"`, "4分以内"},
		"vague in quotes, in a description":  {"Feature: soon\n  It ends eventually.\n  Scenario: The \"fast\" plan\n    It takes a while.\n" + then, nil, "", ""},
		"as fast as, within a number":        {scenario("As fast as v1", then) + "  Scenario: Back quickly, within 4 minutes\n" + then, nil, "", ""},
		"words that only look vague":         {シナリオ("まっすぐな、すぐれた、より早く、breakfast", ならば), nil, "", ""},
		"a misspelt tag":                     {"@containrs\n" + scenario("s", then), []string{"a.feature:1:1 misspelt-tag"}, "nearly @containers", ""},
		"a tag that others have":             {"Feature: f\n  @thorough\n  Scenario: a\n" + then + "  @thorough @x\n  Scenario: b\n" + then + "  @x @thorugh\n  Scenario: c\n" + then, []string{"a.feature:8:6 misspelt-tag"}, "nearly @thorough", ""},
		"tags with numbers":                  {"Feature: f\n  @incident-12\n  Scenario: a\n" + then + "  @incident-12\n  Scenario: b\n" + then + "  @incident-13\n  Scenario: c\n" + then, nil, "", ""},
		"Windows' lines":                     {strings.ReplaceAll(scenario("soon", then), "\n", "\r\n"), []string{"a.feature:2:13 vague-duration"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			places, all := found(t, p, c.text)
			assert.Equal(t, c.want, places)
			if len(all) > 0 {
				assert.Contains(t, all[0].Message, c.message)
				assert.Contains(t, all[0].Remedy, c.remedy)
			}
		})
	}
}

// TestErrorsAreWhatVerifyRefuses holds the severity against the reader of verify.
func TestErrorsAreWhatVerifyRefuses(t *testing.T) {
	p := load(t, "../../fixtures/rehearsal.yaml")
	file := filepath.Join(t.TempDir(), "x.feature")
	for _, body := range []string{"", given + when, then + given, "    Then pigs fly\n", "    Then the release succeeds and no request failed\n", "    When \"v0\" is released as the team's plan says\n" + then, then + "  Scenario: s\n" + then} {
		require.NoError(t, os.WriteFile(file, []byte("Feature: f\n  Scenario: s\n"+body), 0o600))
		all, err := lint.Features(p, []string{file})
		require.NoError(t, err)
		require.NotEmpty(t, all, body)
		_, err = steps.ReadSpecs(p, []string{file}, "")
		assert.Equal(t, err != nil, slices.ContainsFunc(all, func(f lint.Finding) bool { return f.Severity == lint.Error }), "%s: %v", body, err)
	}
}

func TestNamesAreHeldAgainstThoseOfOtherFeatures(t *testing.T) {
	p := load(t, "../../fixtures/rehearsal.yaml")
	text := "Feature: f\n  Scenario: s\n" + then
	places, all := found(t, p, text, text)
	assert.Equal(t, []string{"b.feature:2:13 duplicate-scenario"}, places)
	assert.Contains(t, all[0].Message, "a.feature:2 has a scenario \"s\" too")
	assert.Equal(t, lint.Warning, all[0].Severity)
}

func TestACommentAllowsWhatIsMeant(t *testing.T) {
	p := load(t, "../../fixtures/rehearsal.yaml")
	const ok = "# lint: allow vague-duration, because the incident is called so\n"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a scenario":           {"Feature: f\n" + ok + "  Scenario: soon\n" + then + "  Scenario: fast\n" + then, []string{"a.feature:5:13 vague-duration"}},
		"with tags":            {"Feature: f\n" + ok + "\n  # It is so.\n  @a\n  Scenario: soon\n" + then, nil},
		"a step, and no other": {"Feature: f\n  Scenario: s\n    # lint: allow undefined-phrase because it is of our suite\n    Then pigs fly\n    And pigs fly\n", []string{"a.feature:5:9 undefined-phrase"}},
		"the whole feature":    {ok + "Feature: f\n  Scenario: soon\n" + then + "  Scenario: fast\n" + then, nil},
		"a rule":               {"Feature: f\n  Scenario: fast\n" + then + ok + "  Rule: r\n    Scenario: soon\n" + then, []string{"a.feature:2:13 vague-duration"}},
		"no reason":            {"Feature: f\n  # lint: allow vague-duration\n  Scenario: soon\n" + then, []string{"a.feature:2:3 bad-allow", "a.feature:3:13 vague-duration"}},
		"an empty reason":      {"Feature: f\n  # lint: allow vague-duration, because \n  Scenario: soon\n" + then, []string{"a.feature:2:3 bad-allow", "a.feature:3:13 vague-duration"}},
		"another rule":         {"Feature: f\n  # lint: allow no-then, because so\n  Scenario: soon\n" + then, []string{"a.feature:2:3 bad-allow", "a.feature:3:13 vague-duration"}},
		"a rule that is none":  {"Feature: f\n  # lint: allow vague, because so\n  Scenario: s\n" + then, []string{"a.feature:2:3 bad-allow"}},
		"nothing below":        {"Feature: f\n  Scenario: s\n" + then + ok, []string{"a.feature:4:1 bad-allow"}},
		"in Japanese":          {"# language: ja\n機能: f\n  # lint: allow vague-duration, because 事故の名前だから\n  シナリオ: すぐに戻る\n" + ならば, nil},
		"another comment":      {"Feature: f\n  # soon to be linted\n  Scenario: s\n" + then, nil},
	} {
		t.Run(name, func(t *testing.T) {
			places, _ := found(t, p, c.text)
			assert.Equal(t, c.want, places)
		})
	}
}

func TestTheTeamsOwnPhrasesAreLookedAtWhereTheyAreDefined(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "fixtures"), os.DirFS("../../fixtures")))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "features"), os.DirFS("../../features")))
	file := filepath.Join(dir, "fixtures", "phrases.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`- phrase: the release is fast and nobody notices
  japanese: リリースはすぐに終わる
  means: [the release succeeds, no request failed]
# lint: allow conjunction, because customers say it so
- phrase: "{version} is up and running"
  means: ['version {version} serves everyone']
`), 0o600))
	places, all := found(t, load(t, filepath.Join(dir, "fixtures", "rehearsal.yaml")), "Feature: f\n  Scenario: s\n    Then the release is fast and nobody notices\n")
	assert.Equal(t, []string{"phrases.yaml:1:26 vague-duration", "phrases.yaml:1:31 conjunction", "phrases.yaml:2:18 vague-duration"}, places, "%v", all)
}

func TestTheShopsAndTheExamplesFeaturesLintClean(t *testing.T) {
	projects, err := filepath.Glob("../../examples/*/rehearsal.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, projects)
	for _, file := range append(projects, "../../fixtures/rehearsal.yaml") {
		p := load(t, file)
		files, err := steps.FeatureFiles([]string{p.Features})
		require.NoError(t, err)
		require.NotEmpty(t, files)
		all, err := lint.Features(p, files)
		require.NoError(t, err)
		assert.Empty(t, all, file)
	}
}

func TestEveryRuleIsInTheDocuments(t *testing.T) {
	data, err := os.ReadFile("../../docs/editor.md")
	require.NoError(t, err)
	for _, r := range lint.Rules() {
		assert.Contains(t, string(data), "| `"+string(r)+"` |")
	}
}

func FuzzAnyFeatureIsLookedAt(f *testing.F) {
	for _, text := range []string{"", "Feature: f", "Feature: f\n  Scenario: s\n" + given, "# language: ja\n機能: f\n@", "# lint: allow x\nFeature:\n  Scenario Outline: <a>\n  * <a>\n  Examples:\n  |a|\n  |1|", "\xff\n# lint:"} {
		f.Add(text)
	}
	p, err := project.Load(f.Context(), "../../fixtures/rehearsal.yaml")
	require.NoError(f, err)
	file := filepath.Join(f.TempDir(), "x.feature")
	f.Fuzz(func(t *testing.T, text string) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		all, err := lint.Features(p, []string{file})
		require.NoError(t, err)
		for _, found := range all {
			require.Positive(t, found.Line)
			require.Positive(t, found.Column)
		}
	})
}

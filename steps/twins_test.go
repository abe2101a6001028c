package steps

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// twin tags a scenario that is another one in Japanese: it says the same, so once in
// containers is enough.
const twin = "@twin"

// meaning is a step by what it does: the phrase in English and what stands in its gaps,
// durations and percentages as numbers.
func meaning(t *testing.T, fs []form, text string) string {
	t.Helper()
	for _, f := range fs {
		m := f.re.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		args := f.args(m[1:])
		for i, name := range f.names {
			switch f.types[i] {
			case "duration":
				args[name] = args.Duration(name).String()
			case "percent":
				args[name] = strconv.FormatFloat(args.Percent(name), 'g', -1, 64)
			}
		}
		return gapName.ReplaceAllStringFunc(f.phrase.English, func(gap string) string { return args[gapName.FindStringSubmatch(gap)[1]] })
	}
	t.Fatalf("no phrase reads %q", text)
	return ""
}

func TestEveryFeatureSaysTheSameInJapanese(t *testing.T) {
	p := shop(t)
	fs, _, err := vocabulary(p)
	require.NoError(t, err)
	files, err := filepath.Glob("../features/*.feature")
	require.NoError(t, err)
	japanese, err := filepath.Glob("../features/ja/*.feature")
	require.NoError(t, err)
	require.Len(t, japanese, len(files), "features/ja has one for each feature, with the same name")
	inContainers := 0
	for _, file := range files {
		read := func(file string) []*Spec {
			specs, err := ReadSpecs(p, []string{file}, "")
			require.NoError(t, err)
			return specs
		}
		name := filepath.Base(file)
		english, twins := read(file), read(filepath.Join("../features/ja", name))
		require.Len(t, twins, len(english), "the scenarios of features/ja/%s, with the rows of its examples", name)
		rules := map[string]string{}
		for i, e := range english {
			j := twins[i]
			where := e.Where() + " and " + j.Where()
			assert.Equal(t, "ja", j.Language, where)
			known, seen := rules[e.Rule]
			assert.True(t, !seen || known == j.Rule, "%s: one Rule in English and two in Japanese: %q, %q", where, known, j.Rule)
			rules[e.Rule] = j.Rule
			if !slices.Contains(j.Tags, twin) {
				inContainers++
			}
			assert.ElementsMatch(t, e.Tags, slices.DeleteFunc(slices.Clone(j.Tags), func(tag string) bool { return tag == twin }), "the tags of %s", where)
			require.Len(t, j.Steps, len(e.Steps), "the steps of %s", where)
			for k := range e.Steps {
				assert.Equal(t, meaning(t, fs, e.Steps[k]), meaning(t, fs, j.Steps[k]), "step %d of %s", k+1, where)
			}
		}
		different := map[string]bool{}
		for _, r := range rules {
			different[r] = true
		}
		assert.Len(t, different, len(rules), "the rules of features/ja/%s", name)
	}
	assert.Equal(t, 1, inContainers, "one Japanese scenario runs in containers, to show that they do; the others bear %s", twin)
}

func TestEveryPhraseOfTheTeamHasAJapaneseForm(t *testing.T) {
	own, err := TeamPhrases(shop(t))
	require.NoError(t, err)
	require.NotEmpty(t, own)
	for _, p := range own {
		assert.NotEmpty(t, p.English, p.Japanese)
		assert.NotEmpty(t, p.Japanese, p.English)
	}
	for _, p := range Phrases() {
		assert.Regexp(t, `[ぁ-んァ-ヶ一-龠]`, p.Japanese, p.English)
	}
}

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
)

var letters = regexp.MustCompile(`[ぁ-んァ-ヶ一-龠]`)

func TestTheHelpOfEveryCommandIsThereInJapanese(t *testing.T) {
	root := command()
	localise(root, lang.Japanese)
	seen := 0
	eachCommand(root, func(c *cobra.Command) {
		if c.Hidden || c.Parent() != nil && c.Parent().Name() == "completion" { // whose long help is cobra's own
			return
		}
		seen++
		assert.Regexp(t, letters, c.Short+c.Long, c.CommandPath())
		for _, part := range []string{c.Short, c.Long} {
			if part != "" {
				assert.Regexp(t, letters, part, c.CommandPath())
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			assert.Regexp(t, letters, f.Usage, "%s --%s", c.CommandPath(), f.Name)
		})
	})
	require.Greater(t, seen, 18)
	assert.NotRegexp(t, `(?m)^[A-Z][A-Za-z ]+:`, root.UsageTemplate(), "a heading")
}

func TestALanguageIsAskedForOnTheCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		want lang.Lang
	}{
		{[]string{"plan", "--lang", "ja"}, lang.Japanese},
		{[]string{"--lang=ja", "plan"}, lang.Japanese},
		{[]string{"plan", "--lang=en"}, lang.English},
		{[]string{"plan", "--lang"}, lang.English},
		{[]string{"plan", "--", "--lang=ja"}, lang.English},
	} {
		t.Setenv("LC_ALL", "C")
		assert.Equal(t, c.want, langOf(c.args), c.args)
	}
	t.Setenv("LC_ALL", "ja_JP.UTF-8")
	assert.Equal(t, lang.Japanese, langOf([]string{"plan"}))
}

func TestWhatIsSaidInJapaneseFitsAndIsRecordedInEnglish(t *testing.T) {
	file, dir := shop(t), t.TempDir()
	out, status := run(t, nil, "verify", "--lang", "ja", "--file", file, "--stage", "sim", "--pipelines=false", "--report", dir)
	require.Zero(t, status, out)
	kept, err := os.ReadFile(filepath.Join(dir, "summary.txt"))
	require.NoError(t, err)
	assert.Contains(t, out, "検証済み: すべての約束が守られました")
	assert.Contains(t, string(kept), "VERIFIED: every promise was kept")
	out, status = run(t, nil, "plan", "--lang", "ja", "--file", file)
	require.Zero(t, status, out)
	for _, line := range strings.Split(out, "\n") {
		assert.LessOrEqual(t, lang.Columns(line), 80, line)
	}
	out, status = run(t, nil, "verify", "--lang", "ja", "--file", file, "--pace", "0")
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "--pace 0: 1（実時間）から1000までです")
}

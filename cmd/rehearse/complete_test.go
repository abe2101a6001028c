package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proposed is what a shell is told to propose for the last argument, and the directive.
func proposed(t *testing.T, args ...string) (words []string, directive string) {
	t.Helper()
	root := command()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(io.Discard) // cobra's own line about the directive, which the scripts leave out
	root.SetArgs(append([]string{cobra.ShellCompNoDescRequestCmd}, args...))
	require.NoError(t, root.ExecuteContext(t.Context()))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

func TestCompletionProposesWhatTheRehearsalHas(t *testing.T) {
	const features, plans = "../../features/", "../../fixtures/plans/"
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"stages":                               {[]string{"verify", "--stage", ""}, []string{"both", "containers", "sim"}},
		"stages of one release":                {[]string{"release", "--stage", ""}, []string{"containers", "sim"}},
		"who judges the alarms":                {[]string{"verify", "--cloudwatch", ""}, []string{"embedded", "localstack", "aws"}},
		"what is watched":                      {[]string{"watch", "--cloudwatch", ""}, []string{"localstack", "aws"}},
		"languages":                            {[]string{"plan", "--lang", ""}, []string{"en", "ja"}},
		"gaps":                                 {[]string{"schedule", "--gaps", ""}, []string{"fill", "zero", "refuse"}},
		"a second day":                         {[]string{"schedule", "--people-days", "Mon,T"}, []string{"Mon,Tue", "Mon,Thu"}},
		"plan files":                           {[]string{"plan", "--file", fixture, plans + "r"}, []string{plans + "rolling.yaml"}},
		"plan files of a flag":                 {[]string{"release", "--file", fixture, "v2", "--plan", plans + "c"}, []string{plans + "canary.yaml"}},
		"a second plan":                        {[]string{"compare", "--file", fixture, "--plans", "x.yaml," + plans + "l"}, []string{"x.yaml," + plans + "linear.yaml"}},
		"versions":                             {[]string{"release", "--file", fixture, "v2-h"}, []string{"v2-hangs-on-payments"}},
		"versions, --file with an equals sign": {[]string{"check", "--file=" + fixture, "v1"}, []string{"v1"}},
		"versions of a flag":                   {[]string{"release", "--file", fixture, "--stable", "n"}, []string{"none"}},
		"one version only":                     {[]string{"release", "--file", fixture, "v2", "v"}, []string{}},
		"tags":                                 {[]string{"verify", "--file", fixture, "--tags", "@th"}, []string{"@thorough"}},
		"a second tag, refused":                {[]string{"verify", "--file", fixture, "--tags", "@pipeline && ~@th"}, []string{"@pipeline && ~@thorough"}},
		"feature files":                        {[]string{"verify", "--file", fixture, features + "r"}, []string{features + "rollback.feature"}},
		"no feature file twice":                {[]string{"verify", "--file", fixture, features + "rollback.feature", features + "r"}, []string{"feature"}},
		"scenarios":                            {[]string{"runs", "--file", fixture, "The new version fails half"}, []string{"The new version fails half of its requests"}},
		"scenarios in Japanese":                {[]string{"runs", "--file", fixture, "新しい版の1台に"}, []string{"新しい版の1台に要求が偏る"}},
		"feature files by their ending":        {[]string{"verify", "--file", "nosuch.yaml", ""}, []string{"feature"}},
		"commands":                             {[]string{"vers"}, []string{"version"}},
	} {
		t.Run(name, func(t *testing.T) {
			words, _ := proposed(t, c.args...)
			assert.Equal(t, c.want, slices.DeleteFunc(words, func(w string) bool { return w == "" }))
		})
	}
}

func TestCompletionIsSilentWhereTheRehearsalIsMissingOrWrong(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "rehearsal.yaml")
	require.NoError(t, os.WriteFile(wrong, []byte("service: [\n"), 0o600))
	for _, file := range []string{wrong, "nosuch.yaml", t.TempDir(), ""} {
		for _, args := range [][]string{{"release"}, {"verify", "--tags"}, {"runs"}, {"check", "--stable"}} {
			words, directive := proposed(t, append([]string{args[0], "--file=" + file}, append(args[1:], "v")...)...)
			assert.Empty(t, words, "%s %s", args, file)
			assert.Regexp(t, "^:[0-9]+$", directive)
		}
	}
}

// Text that only the user knows: nothing can be proposed for it.
var ownText = []string{"people-hours", "zone", "from", "metric", "ignore-window", "require", "since", "start", "listen", "serve", "region", "endpoint", "today",
	"service", "image", "stable-image", "tag"}

func TestCompletionKnowsEveryFlagThatTakesText(t *testing.T) {
	known := map[string]bool{}
	for path := range argumentValues {
		known[path] = false
	}
	eachCommand(command(), func(c *cobra.Command) {
		if _, ok := known[c.CommandPath()]; ok {
			known[c.CommandPath()] = true
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if _, ok := c.GetFlagCompletionFunc(f.Name); !ok && f.Value.Type() != "bool" {
				assert.Contains(t, ownText, f.Name, "%s --%s: what may stand for it? Say so in complete.go", c.CommandPath(), f.Name)
			}
		})
	})
	for path, there := range known {
		assert.True(t, there, "%s: there is no such command", path)
	}
}

func TestCompletionScriptsOfEveryShell(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		out, status := run(t, nil, "completion", shell)
		assert.Equal(t, 0, status, shell)
		assert.Contains(t, out, "__complete", shell)
	}
}

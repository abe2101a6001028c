package main

import (
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestManPagesAreOneForEachCommandAndReproducible(t *testing.T) {
	t.Setenv("LANG", "ja_JP.UTF-8") // they are in English all the same
	pagesOf := func(dir string) map[string]string {
		pages := map[string]string{}
		for name, text := range contents(t, dir) {
			pages[filepath.Base(name)] = text
		}
		return pages
	}
	first, again := filepath.Join(t.TempDir(), "a", "man1"), t.TempDir()
	for _, dir := range []string{first, again} {
		out, status := run(t, []string{"SOURCE_DATE_EPOCH="}, "man", dir)
		require.Equal(t, 0, status, out)
	}
	pages := pagesOf(first)
	assert.Equal(t, pages, pagesOf(again))
	for _, name := range []string{"rehearse.1", "rehearse-verify.1", "rehearse-evidence-key.1", "rehearse-completion-zsh.1"} {
		assert.Contains(t, pages, name)
	}
	for _, name := range []string{"rehearse-man.1", "rehearse-help.1", "rehearse-pipeline-worker.1"} {
		assert.NotContains(t, pages, name)
	}
	assert.Contains(t, pages["rehearse-verify.1"], `.TH "REHEARSE-VERIFY" "1" "" "Rehearsal"`)
	assert.Contains(t, pages["rehearse-verify.1"], "Run the scenarios on the simulated stage and in containers")
	assert.Contains(t, pages["rehearse-verify.1"], "rehearse verify --stage sim")

	out, status := run(t, []string{"SOURCE_DATE_EPOCH=1767225600"}, "man", again)
	require.Equal(t, 0, status, out)
	assert.Contains(t, pagesOf(again)["rehearse-verify.1"], `"Jan 2026"`)
	out, status = run(t, []string{"SOURCE_DATE_EPOCH=tomorrow", "LC_ALL=ja_JP.UTF-8"}, "man", again)
	assert.Equal(t, 2, status)
	assert.Contains(t, out, `SOURCE_DATE_EPOCH "tomorrow": 1970 年からの秒数を指定してください`, "errors are in the reader's language")
}

func TestManEveryCommandAndFlagHasASentence(t *testing.T) {
	eachCommand(command(), func(c *cobra.Command) {
		if !listed(c) {
			return
		}
		assert.Regexp(t, `^[A-Z].* .*[^.]$`, c.Short, c.CommandPath())
		assert.NotEmpty(t, c.Example, "%s needs an example: see examples.go", c.CommandPath())
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			assert.Contains(t, f.Usage, " ", "%s --%s", c.CommandPath(), f.Name)
		})
	})
}

var quoted = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)

// TestEveryExampleIsUnderstood: the command is there, takes the arguments, and has the flags.
func TestEveryExampleIsUnderstood(t *testing.T) {
	paths := map[string]bool{}
	eachCommand(command(), func(c *cobra.Command) {
		paths[c.CommandPath()] = true
		lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(c.Example), "\\\n", " "), "\n")
		for _, line := range lines {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " || ")
			line, _, _ = strings.Cut(line, " > ")
			if line == "" {
				continue
			}
			var args []string
			for _, a := range quoted.FindAllString(line, -1) {
				args = append(args, strings.Trim(a, `'"`))
			}
			require.Equal(t, "rehearse", args[0], "%s: %s", c.CommandPath(), line)
			fresh := command() // a flag that is set stays set
			found, rest, err := fresh.Find(args[1:])
			require.NoError(t, err, line)
			assert.True(t, found.CommandPath() == c.CommandPath() || strings.HasPrefix(found.CommandPath(), c.CommandPath()+" "), "%s is an example of %s", line, c.CommandPath())
			require.NoError(t, found.ParseFlags(rest), line)
			require.NoError(t, found.ValidateArgs(found.Flags().Args()), line)
		}
	})
	for path := range examples {
		assert.True(t, paths[path], "%s has examples, and is no command", path)
	}
}

func TestVersionSaysWhatThisIs(t *testing.T) {
	out, status := run(t, nil, "version")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "rehearse "+"(devel)")
	assert.Contains(t, out, runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)
	out, status = run(t, nil, "--version")
	require.Equal(t, 0, status, out)
	assert.Equal(t, "rehearse version (devel)\n", out)
	before := tag
	t.Cleanup(func() { tag = before })
	tag = "v1.2.3"
	assert.Equal(t, "v1.2.3", build(), "what was released has its version, in run.json too")
}

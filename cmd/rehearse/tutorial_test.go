package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A block of the tutorial is a piece of shell and what it prints.
type block struct {
	line       int // of the document, from 1
	containers bool
	shell      string
	prints     []string // fragments, in their order
}

var fence = regexp.MustCompile("^```(.*)$")

// blocks reads the fenced blocks of a document: "sh", "sh containers", and "text" for what
// the block before prints.
func blocks(t *testing.T, file string) (all []block) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	info, inside := "", false
	for i, line := range strings.Split(string(data), "\n") {
		if m := fence.FindStringSubmatch(line); m != nil {
			if inside = !inside; !inside {
				require.Empty(t, m[1], "%s:%d: a block ends with a bare fence", file, i+1)
				continue
			}
			switch info = m[1]; info {
			case "sh", "sh containers":
				all = append(all, block{line: i + 1, containers: info != "sh"})
			case "text":
				require.NotEmpty(t, all, "%s:%d: nothing printed this", file, i+1)
			default:
				require.Fail(t, "unknown block", "%s:%d: %q: want sh, sh containers or text", file, i+1, info)
			}
			continue
		}
		if !inside {
			continue
		}
		last := &all[len(all)-1]
		if fragment := strings.TrimSpace(line); info != "text" {
			last.shell += line + "\n"
		} else if fragment != "" && fragment != "..." {
			last.prints = append(last.prints, fragment)
		}
	}
	require.False(t, inside, "%s: the last block has no end", file)
	return all
}

// follow runs the blocks of the tutorial in a folder of its own.
func follow(t *testing.T, inContainers bool) {
	t.Helper()
	all := blocks(t, "../../docs/tutorial.md")
	require.Greater(t, len(all), 8)
	dir, ran := t.TempDir(), 0
	for _, b := range all {
		if b.containers && !inContainers {
			continue
		}
		cmd := exec.Command("sh", "-e")
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(b.shell)
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(rehearse)+string(os.PathListSeparator)+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if b.containers && err != nil && strings.Contains(string(out), "missing") {
			t.Skipf("docs/tutorial.md:%d: an image of the tutorial cannot be had here:\n%s", b.line, out)
		}
		require.NoError(t, err, "docs/tutorial.md:%d:\n%s", b.line, out)
		rest := spaced(string(out))
		for _, fragment := range b.prints {
			_, after, ok := strings.Cut(rest, spaced(fragment))
			require.True(t, ok, "docs/tutorial.md:%d: %q is not printed, or not in this order:\n%s", b.line, fragment, out)
			rest = after
		}
		ran++
	}
	require.Positive(t, ran)
}

// spaced makes the width of a terminal, and of columns, not matter.
func spaced(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestTheTutorialCanBeFollowed(t *testing.T) { follow(t, false) }

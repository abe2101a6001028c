package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestTheReleaseWorkflowIsPinnedAndMayDoLittle(t *testing.T) {
	const file = "../../.github/workflows/release.yml"
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	require.NoError(t, err)
	mistakes, err := linter.LintFile(file, nil)
	require.NoError(t, err)
	assert.Empty(t, mistakes)

	data, err := os.ReadFile(file)
	require.NoError(t, err)
	w, errs := actionlint.Parse(data)
	require.Empty(t, errs)
	require.NotNil(t, w.Permissions)
	assert.Empty(t, w.Permissions.Scopes, "nothing but what a job asks for")
	assert.Nil(t, w.Permissions.All)
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
	for name, job := range w.Jobs {
		require.NotNil(t, job.Permissions, name)
		assert.Len(t, job.Permissions.Scopes, 1, name)
		for _, s := range job.Steps {
			if a, ok := s.Exec.(*actionlint.ExecAction); ok {
				assert.Regexp(t, pinned, a.Uses.Value, "by its commit: a tag can be moved")
			}
		}
	}
}

// TestTheReleaseBuildAgreesWithTheProgram holds what .goreleaser.yaml names against the
// program, the Makefile and the module: goreleaser itself would find out at a release.
func TestTheReleaseBuildAgreesWithTheProgram(t *testing.T) {
	data, err := os.ReadFile("../../.goreleaser.yaml")
	require.NoError(t, err)
	var release struct {
		Version int
		Builds  []struct {
			Main, Binary, ModTimestamp string
			Env, Flags, Ldflags        []string
		}
		Archives []struct {
			Files []struct{ Src string }
		}
		SBOMs []struct{ Args []string }
	}
	require.NoError(t, yaml.Unmarshal(data, &release))
	require.Equal(t, 2, release.Version)
	require.Len(t, release.Builds, 1)
	b := release.Builds[0]
	assert.Equal(t, []string{"CGO_ENABLED=0"}, b.Env)
	assert.Equal(t, []string{"-trimpath"}, b.Flags)

	makefile, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	assert.Contains(t, string(makefile), release.SBOMs[0].Args[1], "the tool of the SBOMs is the same")
	for _, f := range release.Archives[0].Files {
		folder := strings.TrimSuffix(f.Src, "/*")
		if made, ok := strings.CutPrefix(folder, "bin/release/"); ok {
			assert.Contains(t, string(makefile), "bin/release/"+made, "the Makefile makes it")
			continue
		}
		_, err := os.Stat(filepath.Join("../..", f.Src))
		require.NoError(t, err)
	}

	// Linked as a release is (its other flags would compile all anew), it has the version.
	name := filepath.Join(t.TempDir(), b.Binary)
	out, err := exec.Command("go", "build", "-o", name, "-ldflags", strings.ReplaceAll(b.Ldflags[0], "{{ .Version }}", "9.8.7"), ".").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command(name, "version").CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "rehearse v9.8.7\n")
	assert.Contains(t, string(out), runtime.GOOS+"/"+runtime.GOARCH)
}

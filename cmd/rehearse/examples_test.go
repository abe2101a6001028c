package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/containers"
	"rehearsal/internal/ecs"
	"rehearsal/internal/scaffold"
)

func TestTheExamplesAreVerifiedOnTheSimulatedStage(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/rehearsal.yaml")
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			out, status := run(t, nil, "verify", "--file", file, "--stage", "sim")
			require.Equal(t, 0, status, out)
			assert.Contains(t, out, " 0 failed, 0 inconclusive")
			out, status = run(t, nil, "plan", "--file", file)
			require.Equal(t, 0, status, out)
			readme, err := os.ReadFile(filepath.Join(filepath.Dir(file), "README.md"))
			require.NoError(t, err)
			assert.Equal(t, filepath.Base(filepath.Dir(file)) != "exchange", strings.Contains(string(readme), "**Not tried**"))
			var d scaffold.Draft
			for name, text := range contents(t, filepath.Dir(file)) {
				d.Files = append(d.Files, scaffold.File{Name: name, Data: []byte(text)})
			}
			assert.Empty(t, d.Questions(), "an example has answers")
		})
	}
}

func TestTheExampleOfECSIsWhatInitWrites(t *testing.T) {
	const aws = "../../examples/ecs/aws/"
	dir := t.TempDir()
	out, status := run(t, nil, "init", "--yes", "--from-ecs", aws+"taskdef.json", aws+"service.json", "--alarms", aws+"alarms.json",
		"--image", "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/menu:2026-10-06", dir)
	require.Equal(t, 0, status, out)
	passes(t, dir, 2)
	for _, same := range []string{"alarms.menu.json", "features/first_release.feature"} { // what needed no answer
		want, err := os.ReadFile(filepath.Join(dir, same))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("../../examples/ecs", same))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), same)
	}
	described, err := ecs.ReadFiles(aws + "taskdef.json")
	require.NoError(t, err)
	p, err := containers.LoadCompose(t.Context(), "../../examples/ecs/compose.yaml")
	require.NoError(t, err)
	c, service := described.Container("menu"), p.Services["menu"]
	assert.Equal(t, *c.Image, service.Image)
	for _, e := range c.Environment {
		assert.Contains(t, service.Environment, *e.Name)
	}
	for _, s := range c.Secrets {
		assert.NotEmpty(t, service.Environment[*s.Name], *s.Name)
	}
}

func TestTheExampleOfPublicImagesIsWhatInitWrites(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "database"), os.DirFS("../../examples/postgrest/database")))
	data, err := os.ReadFile("../../examples/postgrest/compose.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), data, 0o600))
	out, status := run(t, nil, "init", "--yes", "--image", "docker.io/postgrest/postgrest:v12.2.8", dir)
	require.Equal(t, 0, status, out)
	passes(t, dir, 3)
	for _, same := range []string{"alarms.json", "features/first_release.feature"} {
		want, err := os.ReadFile(filepath.Join(dir, same))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("../../examples/postgrest", same))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), same)
	}
}

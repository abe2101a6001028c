package containers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testProgram is a module with a program, a package it uses and one it does not.
func testProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":         "module example\n\ngo 1.24\n",
		"app/main.go":    "package main\n\nimport \"example/used\"\n\nvar build = \"none\"\n\nfunc main() { println(used.Word, build) }\n",
		"used/word.go":   "package used\n\nconst Word = \"one\"\n",
		"unused/more.go": "package unused\n",
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	return dir
}

func TestGoRecipeHashFollowsTheSource(t *testing.T) {
	dir := testProgram(t)
	recipe := GoRecipe{Dir: dir, Package: "./app"}
	hash := func(r GoRecipe) string {
		h, err := r.For("app:v1").Hash(t.Context(), &ImageWorkshop{Arch: "amd64", Dir: t.TempDir()})
		require.NoError(t, err)
		return h
	}
	was := hash(recipe)
	assert.NotEqual(t, was, hash(GoRecipe{Dir: dir, Package: "./app", Ldflags: "-X main.build=v2"}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "unused/more.go"), []byte("package unused // edited\n"), 0o644))
	assert.Equal(t, was, hash(recipe), "a file the program is not made of")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "used/word.go"), []byte("package used\n\nconst Word = \"two\"\n"), 0o644))
	assert.NotEqual(t, was, hash(recipe))
}

func TestGoRecipeMakesAnImage(t *testing.T) {
	dir := testProgram(t)
	w := &ImageWorkshop{Arch: "amd64", Dir: t.TempDir()}
	content, err := GoRecipe{Dir: dir, Package: "./app", Ports: []int{8080}, Args: []string{"serve"}, Health: []string{"ask"}}.For("app:v1").Make(t.Context(), w)
	require.NoError(t, err)
	assert.Equal(t, []string{"/app", "serve"}, content.config.Entrypoint)
	assert.Equal(t, []string{"CMD", "/app", "ask"}, content.config.docker().Healthcheck.Test)
	assert.Equal(t, "65534:65534", content.config.User)
	assert.Contains(t, content.config.ExposedPorts, "8080/tcp")
	needs, err := imageNeeds(content.tree["app"].Data)
	require.NoError(t, err)
	assert.Empty(t, needs, "it is static")
	assert.EqualValues(t, 0o1777, content.tree["tmp"].Mode)
}

// The local CloudWatch's image and its Dockerfile start the same.
func TestCloudWatchImageIsThatOfTheDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	r := CloudWatchImageRecipe()
	quoted := func(args []string) string { return `["/rehearse", "` + strings.Join(args, `", "`) + `"]` }
	for _, line := range []string{"ENTRYPOINT " + quoted(r.Args), "CMD " + quoted(r.Health), fmt.Sprintf("EXPOSE %d", r.Ports[0]), r.Package, "FROM scratch", "USER 65534:65534"} {
		assert.Contains(t, string(text), line)
	}
	assert.Empty(t, r.User, "nobody, too")
}

func TestGoRecipeShowsTheCompilersError(t *testing.T) {
	dir := testProgram(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "used/word.go"), []byte("package used\n\nconst Word = missing\n"), 0o644))
	_, err := GoRecipe{Dir: dir, Package: "./app"}.For("app:v1").Make(t.Context(), &ImageWorkshop{Arch: "amd64", Dir: t.TempDir()})
	require.ErrorContains(t, err, "image app:v1")
	assert.ErrorContains(t, err, "word.go:3:14: undefined: missing")
}

func TestGoRecipeMatchesItsNameOnly(t *testing.T) {
	r := GoRecipe{}.For("shop:v1")
	assert.True(t, r.Matches("shop:v1"))
	assert.True(t, r.Matches("docker.io/library/shop:v1"))
	assert.False(t, r.Matches("shop:v10"))
	assert.False(t, r.Matches("shop"))
	assert.True(t, r.Own())
}

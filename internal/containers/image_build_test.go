package containers

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeBuilder is a fake engine that builds. What it says of a build is what a test says.
type fakeBuilder struct {
	*fakeEngine
	says []string // as its lines; one that begins with ! is the error

	builds []client.ImageBuildOptions
	files  map[string]string // of the last build
}

func (f *fakeBuilder) ImageBuild(_ context.Context, context io.Reader, o client.ImageBuildOptions) (client.ImageBuildResult, error) {
	files, err := tarFiles(context)
	if err != nil {
		return client.ImageBuildResult{}, err
	}
	f.files, f.builds = files, append(f.builds, o)
	var said strings.Builder
	for _, line := range f.says {
		message := map[string]any{"stream": line + "\n"}
		if why, wrong := strings.CutPrefix(line, "!"); wrong {
			message = map[string]any{"errorDetail": map[string]any{"message": why}, "error": why}
		}
		data, _ := json.Marshal(message)
		said.Write(data)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[o.Tags[0]] = o.Labels[ImageBuiltLabel]
	return client.ImageBuildResult{Body: io.NopCloser(strings.NewReader(said.String()))}, nil
}

func tarFiles(r io.Reader) (map[string]string, error) {
	all := map[string]string{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		all[h.Name] = string(data) + h.Linkname
	}
}

// builderImages are images of an engine that builds, with the lines of progress.
func builderImages(t *testing.T, e *fakeBuilder, recipes ...ImageRecipe) (*Images, func() []string) {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	var mu sync.Mutex
	var lines []string
	r := newImageRegistries(false)
	r.probe = func(context.Context, string) error { return errors.New("no such host") }
	m := newImages(e, &ImageWorkshop{Arch: "amd64", Dir: t.TempDir()}, r, func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}, recipes...)
	return m, func() []string { mu.Lock(); defer mu.Unlock(); return lines }
}

// writeFiles writes files into a folder of their own.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644))
	}
	return dir
}

func TestAnImageIsBuiltOnceFromTheSameFiles(t *testing.T) {
	dir := writeFiles(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY . /\n", "app": "one", "notes.md": "no", ".dockerignore": "*.md\n"})
	engine := &fakeBuilder{fakeEngine: newFakeEngine()}
	recipe := buildRecipe{ref: "web", folder: dir, args: map[string]string{"COLOUR": "blue"}, target: "last", labels: map[string]string{"team": "us"}}
	m, lines := builderImages(t, engine, recipe)
	id, err := m.Ensure(t.Context(), "web")
	require.NoError(t, err)
	assert.NotEmpty(t, id)
	require.Len(t, engine.builds, 1)
	o := engine.builds[0]
	assert.Equal(t, []string{"web"}, o.Tags)
	assert.Equal(t, "Dockerfile", o.Dockerfile)
	assert.Equal(t, "blue", *o.BuildArgs["COLOUR"])
	assert.Equal(t, "last", o.Target)
	assert.Equal(t, "us", o.Labels["team"])
	assert.NotEmpty(t, o.Labels[ImageBuiltLabel])
	assert.Equal(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY . /\n", "app": "one", ".dockerignore": "*.md\n"}, engine.files)
	require.Len(t, lines(), 2)
	assert.Equal(t, "web: building it from "+dir+"/Dockerfile", lines()[0])

	again := func(r buildRecipe) int {
		m, _ := builderImages(t, engine, r) // another run: nothing is remembered
		_, err := m.Ensure(t.Context(), "web")
		require.NoError(t, err)
		return len(engine.builds)
	}
	assert.Equal(t, 1, again(recipe), "nothing has changed")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.md"), []byte("other"), 0o644))
	assert.Equal(t, 1, again(recipe), "what is ignored has changed")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app"), []byte("two"), 0o644))
	assert.Equal(t, 2, again(recipe), "a file has changed")
	recipe.args = map[string]string{"COLOUR": "red"}
	assert.Equal(t, 3, again(recipe), "an argument has changed")
	recipe.target = ""
	assert.Equal(t, 4, again(recipe), "the target has changed")
}

// TestABuildTakesItsOwnPredecessorAlone: what another process's engine builds has no name
// for a moment.
func TestABuildTakesItsOwnPredecessorAlone(t *testing.T) {
	dir := writeFiles(t, map[string]string{"Dockerfile": "FROM scratch\n", "app": "one"})
	engine := &fakeBuilder{fakeEngine: newFakeEngine()}
	engine.nameless = []image.Summary{
		{ID: "sha256:made-here-before", Labels: map[string]string{ImageBuiltLabel: "x"}},
		{ID: "sha256:being-built", Labels: map[string]string{ImageBuiltLabel: "x", imageByEngine: "yes"}},
	}
	ensure := func() string {
		m, _ := builderImages(t, engine, buildRecipe{ref: "web", folder: dir})
		id, err := m.Ensure(t.Context(), "web")
		require.NoError(t, err)
		return id
	}
	first := ensure()
	assert.Equal(t, []string{"sha256:made-here-before"}, engine.removed)
	engine.mu.Lock()
	engine.images[first] = "" // found by its ID, without a name
	engine.mu.Unlock()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app"), []byte("two"), 0o644))
	require.NotEqual(t, first, ensure())
	assert.Equal(t, []string{"sha256:made-here-before", first, "sha256:made-here-before"}, engine.removed)
}

func TestADockerfileFromElsewhereIsNoneOfTheFiles(t *testing.T) {
	dir := writeFiles(t, map[string]string{"app/main": "x", "app/.dockerignore": "secret\n", "app/secret": "s", "docker/Dockerfile": "FROM scratch\n", "app/deep/.keep": ""})
	engine := &fakeBuilder{fakeEngine: newFakeEngine()}
	for _, r := range []buildRecipe{
		{ref: "web", folder: filepath.Join(dir, "app"), dockerfile: "../docker/Dockerfile"},
		{ref: "api", folder: filepath.Join(dir, "app"), inline: "FROM scratch\n"},
	} {
		m, _ := builderImages(t, engine, r)
		_, err := m.Ensure(t.Context(), r.ref)
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"main": "x", "deep/": "", "deep/.keep": "", guestDockerfile: "FROM scratch\n", ".dockerignore": "secret\n" + guestDockerfile + "\n.dockerignore\n"}, engine.files)
		assert.Equal(t, guestDockerfile, engine.builds[len(engine.builds)-1].Dockerfile)
	}
}

func TestTheIgnoreFileOfADockerfileGoesFirst(t *testing.T) {
	dir := writeFiles(t, map[string]string{"Dockerfile": "FROM scratch\n", ".dockerignore": "a\n", "Dockerfile.dockerignore": "**\n!b\n", "a": "", "b": "", "c/d": ""})
	var out strings.Builder
	require.NoError(t, buildRecipe{ref: "web", folder: dir}.writeContext(&out))
	files, err := tarFiles(strings.NewReader(out.String()))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"Dockerfile": "FROM scratch\n", ".dockerignore": "a\n", "b": ""}, files)
}

func TestABuildThatFailsShowsItsLastLinesWithoutSecrets(t *testing.T) {
	dir := writeFiles(t, map[string]string{"Dockerfile": "FROM scratch\nRUN x\n"})
	engine := &fakeBuilder{fakeEngine: newFakeEngine(), says: []string{
		"Step 1/2 : FROM scratch", " ---> ", "Step 2/2 : RUN x", "fetching with hunter2-hunter2", "E: no such package",
		"!The command 'x' returned a non-zero code: 100",
	}}
	m, _ := builderImages(t, engine, buildRecipe{ref: "web", folder: dir, args: map[string]string{"NPM_TOKEN": "hunter2-hunter2"}})
	_, err := m.Ensure(t.Context(), "web")
	var failure *ImageError
	require.ErrorAs(t, err, &failure)
	assert.ErrorContains(t, err, "image web cannot be had: it is not in the engine; building it from "+dir+"/Dockerfile failed: The command 'x' returned a non-zero code: 100")
	assert.ErrorContains(t, err, "E: no such package")
	assert.ErrorContains(t, err, "fetching with [redacted]")
	assert.NotContains(t, err.Error(), "hunter2")

	engine.says = []string{"!dockerfile parse error line 3: unknown flag: mount"}
	m, _ = builderImages(t, engine, buildRecipe{ref: "api", folder: dir})
	_, err = m.Ensure(t.Context(), "api")
	assert.ErrorContains(t, err, "may need BuildKit: then build it before with `docker compose build`")

	for want, r := range map[string]buildRecipe{
		"there is no " + dir + "/Other":                 {ref: "no", folder: dir, dockerfile: "Other"},
		"there is no folder " + dir + "/x to build fro": {ref: "no", folder: dir + "/x"},
	} {
		m, _ = builderImages(t, engine, r)
		_, err = m.Ensure(t.Context(), "no")
		assert.ErrorContains(t, err, want)
	}
}

func TestWhatADockerfileIsBuiltOn(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		args   map[string]string
		target string
		want   []string
	}{
		"scratch":        {"FROM scratch\n", nil, "", nil},
		"stages":         {"# syntax=x\nFROM golang:1.26 AS Build\nRUN go build\nFROM debian:12\nCOPY --from=build /a /a\nCOPY --chown=1:1 --from=busybox:1 /b /b\nCOPY --from=0 /c /c\n", nil, "", []string{"busybox:1", "debian:12", "golang:1.26"}},
		"until target":   {"FROM a:1 AS one\nFROM b:1 AS two\nFROM c:1 AS three\n", nil, "two", []string{"a:1", "b:1"}},
		"arguments":      {"ARG TAG=1\nARG NAME=\"base-${TAG}\"\nFROM --platform=linux/amd64 ${NAME}:${TAG}\nARG TAG=9\nFROM x:${OTHER:-7}\n", nil, "", []string{"base-1:1", "x:7"}},
		"told arguments": {"ARG TAG=1\nFROM base:$TAG\n", map[string]string{"TAG": "2"}, "", []string{"base:2"}},
		"long lines":     {"from \\\n  base:1 \\\n  as x\n", nil, "", []string{"base:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := buildRecipe{inline: c.text, args: c.args, target: c.target}.Bases()
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestABaseImageThatCannotBeHadIsSaidAsSuch(t *testing.T) {
	engine := &fakeBuilder{fakeEngine: newFakeEngine()}
	engine.pull = failingPull("dial tcp: lookup registry-1.docker.io: no such host")
	m, _ := builderImages(t, engine, buildRecipe{ref: "web", inline: "FROM base:1\n"})
	_, err := m.Ensure(t.Context(), "web")
	assert.ErrorContains(t, err, "it is built on base:1: image base:1 cannot be had: it is not in the engine; registry registry-1.docker.io cannot be reached")
	assert.Empty(t, engine.builds)
}

func TestAnImageIsBuiltAgainWhenWhatItIsBuiltOnHasChanged(t *testing.T) {
	dir := writeFiles(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY . /\n", "app": "one"})
	engine := &fakeBuilder{fakeEngine: newFakeEngine()}
	base, web := buildRecipe{ref: "base", folder: dir}, buildRecipe{ref: "web", inline: "FROM base\n", folder: t.TempDir()}
	ensure := func() {
		m, _ := builderImages(t, engine, base, web)
		require.NoError(t, m.EnsureAll(t.Context(), "web", "base"))
	}
	ensure()
	assert.Len(t, engine.builds, 2)
	ensure()
	assert.Len(t, engine.builds, 2)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app"), []byte("two"), 0o644))
	ensure()
	assert.Len(t, engine.builds, 4)
}

func TestImagesThatAreBuiltOnEachOtherEnd(t *testing.T) {
	engine := &fakeBuilder{fakeEngine: newFakeEngine()}
	dir := t.TempDir()
	m, _ := builderImages(t, engine,
		buildRecipe{ref: "a", inline: "FROM b\n", folder: dir}, buildRecipe{ref: "b", inline: "FROM c\n", folder: dir}, buildRecipe{ref: "c", inline: "FROM a\n", folder: dir},
		buildRecipe{ref: "self", inline: "FROM self\n", folder: dir})
	err := m.EnsureAll(t.Context(), "a", "b", "c", "self")
	assert.ErrorContains(t, err, "which is built on it")
	assert.ErrorContains(t, err, "it is built on self, which is built on it")
	assert.Empty(t, engine.builds)
}

func TestWhichImagesOfAProjectAreBuilt(t *testing.T) {
	file := writeCompose(t, `
name: corner
services:
  Web:
    build: {context: web, args: {TAG: "${TAG}"}, target: run, dockerfile_inline: "FROM scratch"}
  api:
    image: registry.example.com/api:1
    build: ./api
  own:
    image: own:1
    build: ./api
    pull_policy: build
  keys:
    image: keys:1
    build: {context: ./api, secrets: [key], tags: [x]}
  gone:
    build: ./nowhere
  git:
    build: https://example.com/x.git#main
  plain: {image: "plain:1"}
secrets:
  key: {file: .env}
`, map[string]string{".env": "TAG=7\n", "web/app": "", "api/Dockerfile": "FROM scratch\n"})
	p, err := LoadCompose(t.Context(), file)
	require.NoError(t, err)
	assert.Equal(t, "corner-web", p.Services["Web"].Image, "as docker compose names it")
	all := map[string]buildRecipe{}
	for _, r := range ComposeRecipes(p) {
		all[r.(buildRecipe).ref] = r.(buildRecipe)
	}
	require.Len(t, all, 6)
	web := all["corner-web"]
	assert.Equal(t, map[string]string{"TAG": "7"}, web.args)
	assert.Equal(t, "run", web.target)
	assert.Empty(t, web.wrong)
	assert.True(t, web.Own(), "no registry has it")
	assert.False(t, all["registry.example.com/api:1"].Own(), "a registry is asked first, as by docker compose")
	assert.True(t, all["own:1"].Own())
	engine := &fakeBuilder{fakeEngine: newFakeEngine()}
	engine.pull = failingPull("dial tcp: lookup registry-1.docker.io: no such host")
	m, _ := builderImages(t, engine, ComposeRecipes(p)...)
	for ref, want := range map[string]string{
		"keys:1":      file + `:15: service "keys": build.secrets: the engine's own builder cannot do that: build the image before with ` + "`docker compose build`",
		"corner-gone": file + `:17: service "gone": build.context: there is no folder `,
		"corner-git":  file + `:19: service "git": build.context: https://example.com/x.git#main is not a folder of this machine: get a copy of it, and name that`,
	} {
		_, err := m.Ensure(t.Context(), ref)
		assert.ErrorContains(t, err, want)
	}
	found := m.survey(t.Context(), []string{"keys:1", "corner-web"})
	assert.Equal(t, EngineMissing, found[0].State)
	assert.Contains(t, found[0].Detail, `cannot be built here: `+file+`:15: service "keys": build.secrets`)
	assert.Equal(t, EngineWeak, found[1].State)
	assert.Equal(t, "can be built here from the Dockerfile in the compose file", found[1].Detail)
	engine.images["keys:1"] = "" // as docker compose built it
	_, err = m.Ensure(t.Context(), "keys:1")
	require.NoError(t, err)
	assert.Empty(t, engine.builds)
}

func TestAVersionIsBuiltOtherwise(t *testing.T) {
	file := writeCompose(t, "name: corner\nservices:\n  web:\n    build: {context: ., args: {A: '1', B: '1'}, target: run}\n  db: {image: db}\n", nil)
	p, err := LoadCompose(t.Context(), file)
	require.NoError(t, err)
	image, r, err := ComposeVersion(p, "web", "v2 / new", ComposeBuild{Context: "/next", Args: map[string]string{"B": "2"}})
	require.NoError(t, err)
	assert.Equal(t, "corner-web:v2-new", image)
	b := r.(buildRecipe)
	assert.Equal(t, "/next", b.folder)
	assert.Equal(t, map[string]string{"A": "1", "B": "2"}, b.args)
	assert.Equal(t, "run", b.target)
	assert.True(t, r.Matches(image) && r.Own())
	assert.Equal(t, "1", *p.Services["web"].Build.Args["B"], "what the compose file says stays")

	image, r, err = ComposeVersion(p, "web", "v3", ComposeBuild{Image: "web:3"})
	require.NoError(t, err)
	assert.Equal(t, "web:3", image)
	assert.False(t, r.Own(), "a registry may have it")
	_, _, err = ComposeVersion(p, "db", "v3", ComposeBuild{})
	assert.ErrorContains(t, err, `the service "db" of the compose file has no build: name a context`)
}

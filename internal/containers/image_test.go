package containers

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/api/types/image"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeRecipe makes an image of one file.
type fakeRecipe struct {
	ref, hash string
	own       bool
	fails     error
	made      *atomic.Int32
}

func (r fakeRecipe) Matches(ref string) bool { return ref == r.ref }
func (r fakeRecipe) Source() string          { return "a test" }
func (r fakeRecipe) Own() bool               { return r.own }
func (r fakeRecipe) Hash(context.Context, *ImageWorkshop) (string, error) {
	return r.hash, nil
}

func (r fakeRecipe) Make(context.Context, *ImageWorkshop) (*ImageContent, error) {
	r.made.Add(1)
	tree := newImageTree()
	tree.file("app", 0o755, []byte(r.hash))
	return &ImageContent{tree: tree}, r.fails
}

// readArchive reads the tag and the built label of an image archive.
func readArchive(r io.Reader) (tag, built string) {
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return tag, built
		}
		if err != nil {
			panic(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			panic(err)
		}
		switch {
		case h.Name == "manifest.json":
			var manifest []struct{ RepoTags []string }
			if err := json.Unmarshal(data, &manifest); err != nil {
				panic(err)
			}
			tag = manifest[0].RepoTags[0]
		case strings.HasSuffix(h.Name, ".json"):
			var config struct{ Config imageConfig }
			if err := json.Unmarshal(data, &config); err != nil {
				panic(err)
			}
			built = config.Config.Labels[ImageBuiltLabel]
		}
	}
}

func TestPresentImageIsUsedAsItIs(t *testing.T) {
	e := newFakeEngine()
	e.images["haproxy:2.6"] = "" // the original, for which there is a recipe too
	e.images["theirs:1"] = ""
	m, lines := testImages(t, e)
	for ref := range e.images {
		id, err := m.Ensure(t.Context(), ref)
		require.NoError(t, err)
		assert.Equal(t, "sha256:"+ref, id)
	}
	assert.Empty(t, lines())
}

func TestImageIsBuiltWhereItCannotBePulled(t *testing.T) {
	e := newFakeEngine()
	e.pull = failingPull("dial tcp: lookup registry-1.docker.io: no such host")
	made := new(atomic.Int32)
	m, lines := testImages(t, e, fakeRecipe{ref: "part:1", hash: "one", made: made})
	id, err := m.Ensure(t.Context(), "part:1")
	require.NoError(t, err)
	assert.Equal(t, "sha256:part:1one", id)
	require.Len(t, lines(), 3)
	assert.Contains(t, lines()[0], "registry registry-1.docker.io cannot be reached")
	assert.Equal(t, "part:1: building it from a test", lines()[1])
	assert.Regexp(t, `^part:1: built from a test in \d+\.\d s$`, lines()[2])

	_, err = m.Ensure(t.Context(), "part:1")
	require.NoError(t, err)
	assert.EqualValues(t, 1, made.Load(), "unchanged: not built again")
}

func TestImageIsBuiltAgainWhenItsRecipeChanged(t *testing.T) {
	e := newFakeEngine()
	e.images["part:1"] = "one"
	e.nameless = []image.Summary{{ID: "sha256:before"}}
	made := new(atomic.Int32)
	m, lines := testImages(t, e, fakeRecipe{ref: "part:1", hash: "two", made: made})
	id, err := m.Ensure(t.Context(), "part:1")
	require.NoError(t, err)
	assert.Equal(t, "sha256:part:1two", id)
	assert.Zero(t, e.pulls.Load())
	assert.Equal(t, []string{"sha256:before"}, e.removed)
	assert.Equal(t, "part:1: its recipe or source has changed; building it from a test", lines()[0])
}

// A name that only this project gives must never be asked of a public registry.
func TestOwnImageIsNeverPulled(t *testing.T) {
	e := newFakeEngine()
	m, _ := testImages(t, e, fakeRecipe{ref: "shop:v1", hash: "one", own: true, made: new(atomic.Int32)})
	_, err := m.Ensure(t.Context(), "shop:v1")
	require.NoError(t, err)
	assert.Zero(t, e.pulls.Load())
}

func TestFailedBuildNamesWhatWasTried(t *testing.T) {
	e := newFakeEngine()
	e.pull = failingPull("manifest unknown")
	m, _ := testImages(t, e, fakeRecipe{ref: "part:1", fails: errors.New("no apt-get here"), made: new(atomic.Int32)})
	_, err := m.Ensure(t.Context(), "part:1")
	assert.EqualError(t, err, "image part:1 cannot be had: it is not in the engine; registry registry-1.docker.io does not give it "+
		"(manifest unknown); building it from a test failed: no apt-get here; remove the cause, or bring it in with `docker load` or `docker tag`")
}

func TestConcurrentEnsuresBuildOnce(t *testing.T) {
	e := newFakeEngine()
	made := new(atomic.Int32)
	recipe := fakeRecipe{ref: "part:1", hash: "one", own: true, made: made}
	m, _ := testImages(t, e, recipe)
	other, _ := testImages(t, e, recipe) // as another process would have it
	other.shop = m.shop
	failures := make(chan error)
	for i := range 10 {
		go func() {
			_, err := []*Images{m, other}[i%2].Ensure(t.Context(), "part:1")
			failures <- err
		}()
	}
	for range 10 {
		require.NoError(t, <-failures)
	}
	assert.EqualValues(t, 1, made.Load())
}

func TestImageLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	unlock, err := imageLock(t.Context(), name)
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = imageLock(ended, name)
	require.ErrorIs(t, err, context.Canceled)
	unlock()
	unlock, err = imageLock(t.Context(), name)
	require.NoError(t, err)
	unlock()
}

func TestImageTagMatches(t *testing.T) {
	recipes := DefaultImageRecipes()
	of := func(ref string) string {
		for _, r := range recipes {
			if r.Matches(ref) {
				return strings.TrimPrefix(fmt.Sprintf("%T", r), "containers.")
			}
		}
		return ""
	}
	for ref, want := range map[string]string{
		"haproxy:2.6": "haproxyRecipe", "haproxy:2.6.12": "haproxyRecipe", "haproxy:2.6-alpine": "haproxyRecipe",
		"docker.io/library/haproxy:2.6": "haproxyRecipe", "haproxy": "", "haproxy:3.0": "", "haproxy:2.60": "", "ghcr.io/x/haproxy:2.6": "",
		"postgres:15": "postgresRecipe", "postgres:17.2": "postgresRecipe", "postgres:17-bookworm": "postgresRecipe", "postgres:16": "", "postgres:150": "",
		"ghcr.io/shopify/toxiproxy:2.12.0": "toxiproxyRecipe", "ghcr.io/shopify/toxiproxy:2.11.0": "",
		EngineReaperImage: "reaperRecipe", "testcontainers/ryuk:0.13.0": "", "not a name": "",
	} {
		assert.Equal(t, want, of(ref), ref)
	}
}

func TestPostgresVersionsDiffer(t *testing.T) {
	w := &ImageWorkshop{Arch: "amd64"}
	seen := map[string]string{}
	for _, r := range DefaultImageRecipes() {
		hash, err := r.Hash(t.Context(), w)
		require.NoError(t, err)
		again, err := r.Hash(t.Context(), w)
		require.NoError(t, err)
		assert.Equal(t, hash, again)
		assert.NotContains(t, seen, hash)
		seen[hash] = r.Source()
	}
}

func TestToxiproxyIsTheOneInGoMod(t *testing.T) {
	root, err := imageModuleRoot()
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	assert.Contains(t, string(data), toxiproxyModule+" v"+toxiproxyVersion)
}

func TestWhatCanBeBuiltHere(t *testing.T) {
	made := func(ref string) string {
		for _, r := range DefaultImageRecipes() {
			if r.Matches(ref) {
				return r.Source()
			}
		}
		return ""
	}
	for ref, want := range map[string]string{
		"mariadb:10.11": "Debian packages", "mariadb:10.11.6": "Debian packages", "mariadb:10": "Debian packages", "mariadb:10-jammy": "Debian packages",
		"mariadb:10.6": "", "mariadb:11": "", "mariadb": "", "mariadb:100": "", "acme/mariadb:10": "",
		"redis:7": "Debian packages", "redis:7.0": "Debian packages", "redis:7-alpine": "Debian packages", "redis:7.0.15-bookworm": "Debian packages",
		"redis:7.2": "", "redis:6": "", "redis:latest": "",
		"mysql:8": "", stubImage: "Go source",
	} {
		require.Equal(t, want, made(ref), ref)
	}
	require.Contains(t, imageHint("mysql:8.4"), "name mariadb:10.11")
	require.Contains(t, imageHint("docker.io/library/redis:6"), "of redis, only redis:7.0 can be built here")
	require.Empty(t, imageHint("acme/web:1"))
}

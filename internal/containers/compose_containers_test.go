//go:build containers

package containers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/containers"
	"rehearsal/internal/stage"
)

// bench is an engine and a folder with the compose files of testdata/compose and the
// program that looks at its container from inside.
type bench struct {
	engine *containers.Engine
	dir    string

	mu       sync.Mutex
	projects []string // whose images were built
}

func newBench(t *testing.T) *bench {
	t.Helper()
	e, err := containers.ConnectEngine(t.Context())
	if errors.Is(err, containers.ErrNoEngine) {
		t.Skip(err)
	}
	require.NoError(t, err)
	b := &bench{engine: e, dir: t.TempDir()}
	t.Cleanup(func() {
		assert.NoError(t, b.clear())
		_ = e.Close()
	})
	require.NoError(t, os.CopyFS(b.dir, os.DirFS("testdata/compose")))
	b.program(t, "web/inside", e.Arch)
	return b
}

// clear removes the images that were built. Those of several tests may be one with
// several names, so that none goes before all have ended.
func (b *bench) clear() error {
	ctx := context.Background()
	for _, project := range b.projects {
		for _, name := range []string{"web", "web:v2", "api", "migrate", "mail"} {
			_, _ = b.engine.Client.ImageRemove(ctx, project+"-"+name, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		}
	}
	half := make(client.Filters).Add("dangling", "true").Add("label", "rehearsal.test=compose") // of a build that failed
	list, err := b.engine.Client.ImageList(ctx, client.ImageListOptions{Filters: half})
	for _, image := range list.Items {
		_, _ = b.engine.Client.ImageRemove(ctx, image.ID, client.ImageRemoveOptions{PruneChildren: true})
	}
	return err
}

// program builds the program for an architecture.
func (b *bench) program(t *testing.T, name, arch string) {
	t.Helper()
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", filepath.Join(b.dir, name), "./testdata/inside")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// options are those of a stage that releases the service web.
func (b *bench) options(t *testing.T, p *types.Project, more ...containers.ImageRecipe) containers.Options {
	t.Helper()
	images, err := containers.NewImages(b.engine, func(line string) { t.Log(line) }, append(more, containers.ComposeRecipes(p)...)...)
	require.NoError(t, err)
	b.mu.Lock()
	b.projects = append(b.projects, p.Name)
	b.mu.Unlock()
	return containers.Options{
		Setup: stage.Setup{
			Service: "web", Replicas: 1, Versions: map[string]stage.Version{"v1": {Name: "v1", Image: p.Services["web"].Image}},
			Health: stage.Health{Path: "/ready", Port: 8080, Interval: time.Second, Healthy: 1, Unhealthy: 2, Timeout: time.Second, Deadline: 10 * time.Second, Drain: time.Second},
			Monitoring: stage.Monitoring{
				LoadBalancer: "app/corner/1", TargetGroups: []string{"targetgroup/a/1", "targetgroup/b/2"}, Cluster: "c", Service: "web", LogGroup: "/web",
			},
		},
		Compose: p, Images: images, Pace: 60, Seed: 1, Progress: func(line string) { t.Log(line) },
	}
}

// load reads a project of that text, or compose.yaml itself.
func (b *bench) load(t *testing.T, name, text string) *types.Project {
	t.Helper()
	file := filepath.Join(b.dir, "compose.yaml")
	if text != "" {
		file = filepath.Join(b.dir, name+".yaml")
		require.NoError(t, os.WriteFile(file, []byte("name: "+name+"\n"+text), 0o600))
	}
	p, err := containers.LoadCompose(t.Context(), file)
	require.NoError(t, err)
	return p
}

// found is what testdata/inside tells.
type found struct {
	Args, Env []string
	Uid       int
	Dir, Host string
	Files     map[string]struct {
		Text, Mode string
		Uid        uint32
	}
	Names map[string][]string
}

// look asks a container of a stage what it finds.
func (b *bench) look(t *testing.T, st *containers.Stage, container string, port int, files, names string) (f found) {
	t.Helper()
	network := "rehearsal-" + idOf(st)
	info, err := b.engine.Client.ContainerInspect(t.Context(), network+"-"+container, client.ContainerInspectOptions{})
	require.NoError(t, err)
	address := info.Container.NetworkSettings.Networks[network].IPAddress
	answer, err := http.Get(fmt.Sprintf("http://%s:%d/look?files=%s&names=%s", address, port, files, names))
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &f))
	return f
}

func TestAContainerIsAsTheComposeFileSays(t *testing.T) {
	b := newBench(t)
	if !b.engine.Local {
		t.Skip("the engine is elsewhere: its containers cannot be called")
	}
	p := b.load(t, "", "")
	second, recipe, err := containers.ComposeVersion(p, "web", "v2", containers.ComposeBuild{Args: map[string]string{"COLOUR": "red"}})
	require.NoError(t, err)
	o := b.options(t, p, recipe)
	o.Setup.Replicas = 2
	o.Setup.Versions["v2"] = stage.Version{Name: "v2", Image: second}
	st, err := containers.New(t.Context(), b.engine, o)
	require.NoError(t, err)
	closed := false
	end := func() {
		if !closed {
			closed = true
			assert.NoError(t, st.Close(context.Background()))
		}
	}
	t.Cleanup(end)
	require.NoError(t, st.Deploy(t.Context(), o.Setup.Versions["v1"]))
	require.NoError(t, st.Deploy(t.Context(), o.Setup.Versions["v2"]))

	const files = "/run/secrets/signing,/run/secrets/token,/etc/rules.json,/shared/migrated,/sql/one.sql,/bin/sh"
	web := b.look(t, st, "web-v1-1", 8080, files, "api,smtp,mail,nowhere")
	assert.Equal(t, []string{"/inside", "serve", "$HOME", "blue"}, web.Args)
	for _, want := range []string{"PLAIN=one", "CHOSEN=blue", "FROM_ENV_FILE=overridden", "INNER=is blue", "BASE=yes", "BUILT_IN=blue"} {
		assert.Contains(t, web.Env, want)
	}
	assert.NotContains(t, web.Env, "NEVER=yes", "the target goes before")
	assert.Equal(t, 1000, web.Uid)
	assert.Equal(t, "/sql", web.Dir, "as what it extends says")
	assert.Equal(t, "the key", web.Files["/run/secrets/signing"].Text)
	assert.Equal(t, "-r--------", web.Files["/run/secrets/signing"].Mode)
	assert.EqualValues(t, 1000, web.Files["/run/secrets/signing"].Uid)
	assert.Equal(t, "from-beside", web.Files["/run/secrets/token"].Text)
	assert.Equal(t, `{"colour": "blue"}`, web.Files["/etc/rules.json"].Text)
	assert.Equal(t, "yes", web.Files["/shared/migrated"].Text, "the service that it waits for had ended")
	assert.Equal(t, "select 1", web.Files["/sql/one.sql"].Text)
	assert.NotContains(t, web.Files, "/bin/sh", "nothing is assumed inside")
	assert.Len(t, web.Names["api"], 2, "both replicas")
	assert.Len(t, web.Names["smtp"], 1, "what is included")
	assert.Equal(t, web.Names["smtp"], web.Names["mail"])
	assert.Empty(t, web.Names["nowhere"])
	assert.Contains(t, b.look(t, st, "web-v2-1", 8080, "", "").Env, "BUILT_IN=red", "the version's own build")
	assert.Equal(t, []string{"/inside", "serve"}, b.look(t, st, "api--2", 9000, "", "").Args)
	end()

	// Another run builds nothing.
	var lines []string
	again, err := containers.NewImages(b.engine, func(line string) { lines = append(lines, line) }, append(containers.ComposeRecipes(p), recipe)...)
	require.NoError(t, err)
	require.NoError(t, again.EnsureAll(t.Context(), "corner-web", "corner-web:v2", "corner-api"))
	assert.Empty(t, lines)
}

// TestWhatIsWrongWithAServiceIsSaid raises stages of services that cannot work.
func TestWhatIsWrongWithAServiceIsSaid(t *testing.T) {
	b := newBench(t)
	other := map[string]string{"amd64": "arm64"}[b.engine.Arch]
	if other == "" {
		other = "amd64"
	}
	b.program(t, "foreign/inside", other)
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "foreign/Dockerfile"), []byte("FROM scratch\nCOPY inside /inside\nENTRYPOINT [\"/inside\"]\n"), 0o600))

	const web = "services:\n  web: {build: web}\n"
	number := 0
	for name, c := range map[string]struct {
		text   string
		change func(*containers.Options)
		deploy bool // it is the version that does not come up
		want   []string
	}{
		"exits at once": {
			web + "  api: {build: web, command: fail}\n", nil, false,
			[]string{"service api exited with 3", "the lights are out", "cannot go on"},
		},
		"never healthy": {
			web + "  api:\n    build: web\n    healthcheck: {test: [CMD, /inside, exists, /nowhere], interval: 1s, timeout: 1s, retries: 1}\n  mail: {build: web, depends_on: {api: {condition: service_healthy}}}\n", nil, false,
			[]string{"service api: not healthy after 15s", `health check ["/inside" "exists" "/nowhere"]: exit status 1`, "stat /nowhere: no such file or directory", "listening on 8080"},
		},
		"no such program in the health check": {
			web + "  api:\n    build: web\n    healthcheck: {test: [CMD-SHELL, curl localhost], interval: 1s, timeout: 1s, retries: 1}\n", nil, false,
			[]string{"service api: not healthy after 15s", "the image has no shell: write the test as [CMD, program, ...]"},
		},
		"healthy without a health check": {
			web + "  api: {build: web}\n  mail: {build: web, depends_on: {api: {condition: service_healthy}}}\n", nil, false,
			[]string{"service api: another service waits until it is healthy, but neither the compose file nor the image corner-api has a health check"},
		},
		"a port of a dependency that nobody listens on": {
			"services:\n  web: {build: web, environment: {API: 'http://api:9'}}\n  api: {build: web, healthcheck: {test: [CMD, /inside, exists, /inside], interval: 1s, timeout: 1s, retries: 1}}\n",
			func(o *containers.Options) {
				o.Setup.Dependencies = []stage.Dependency{{Name: "api", Kind: "http", Port: 9, URLFrom: "API", Path: "/ready"}}
			}, false,
			[]string{"service api: not healthy after 15s", ":9", "connection refused"},
		},
		"a volume over a file": {
			web + "  api: {build: web, volumes: ['data:/inside']}\nvolumes: {data: }\n", nil, false,
			[]string{"service api: create api: ", "corner.yaml:4: of what is mounted at /inside, a folder meets a file of the image, or a file a folder: mount it elsewhere"},
		},
		"a file below a file": {
			web + "  api: {build: web, volumes: ['./key.txt:/inside/key.txt']}\n", nil, false,
			[]string{"service api: create api: copy files into the container", "corner.yaml:4: of what is mounted at /inside/key.txt"},
		},
		"an image for another platform": {
			web + "  api: {build: foreign}\n", nil, false,
			[]string{"service api exited with", "the program in the image corner-api is for another processor than this engine's, linux/" + b.engine.Arch},
		},
		"another platform than is asked for": {
			web + "  api: {build: web, platform: linux/" + other + "}\n", nil, false,
			[]string{"the compose file asks for platform linux/" + other + ", and the image corner-api in the engine is for linux/" + b.engine.Arch + ": get the right one, with `docker pull --platform linux/" + other},
		},
		"a build that fails": {
			web + "  api:\n    build:\n      context: web\n      args: {API_TOKEN: hunter2-hunter2}\n      dockerfile_inline: |\n        FROM scratch\n        LABEL rehearsal.test=compose\n        ARG API_TOKEN\n        COPY inside /inside\n        ENV T=$$API_TOKEN\n        RUN [\"/inside\", \"fail\"]\n", nil, false,
			[]string{"image corner-api cannot be had", "building it from the Dockerfile in the compose file failed", "returned a non-zero code: 3", "the lights are out"},
		},
		"a base image that nobody has": {
			web + "  api:\n    build: {context: web, dockerfile_inline: \"FROM localhost:9/nobody/has:1\\n\"}\n", nil, false,
			[]string{"it is built on localhost:9/nobody/has:1: image localhost:9/nobody/has:1 cannot be had"},
		},
		"a version that exits at once": {
			"services:\n  web: {build: web, command: fail}\n", nil, true,
			[]string{"1 of 1 replicas keep exiting", "exited with 3", "cannot go on"},
		},
		"a version that listens elsewhere": {
			"services:\n  web: {build: web, environment: {PORT: '9999'}}\n",
			func(o *containers.Options) { o.Setup.Health.Deadline = 3 * time.Second }, true,
			[]string{"1 of 1 replicas are not ready after 3s", "health check on port 8080: L4CON Connection refused", "listening on 9999"},
		},
	} {
		number++
		project := fmt.Sprintf("corner%d", number)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := b.load(t, project, c.text)
			o := b.options(t, p)
			if c.change != nil {
				c.change(&o)
			}
			began := time.Now()
			st, err := containers.New(t.Context(), b.engine, o)
			if c.deploy {
				require.NoError(t, err)
				defer func() { assert.NoError(t, st.Close(context.Background())) }()
				require.NoError(t, o.Images.EnsureAll(t.Context(), project+"-web"))
				err = st.Deploy(t.Context(), o.Setup.Versions["v1"])
			} else if err == nil {
				// It exited as the last had come up.
				_, err = st.Wait(t.Context(), time.Minute, func(*stage.History) bool { return false })
				defer func() { _ = st.Close(context.Background()) }()
			}
			require.Error(t, err)
			t.Logf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
			for _, want := range c.want {
				assert.ErrorContains(t, err, strings.ReplaceAll(want, "corner", project))
			}
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Less(t, time.Since(began), 40*time.Second)
		})
	}
}

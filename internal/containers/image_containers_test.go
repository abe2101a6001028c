//go:build containers

package containers

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"rehearsal/internal/clock"
)

// realEngine is the engine with the images.
func realEngine(t *testing.T, recipes []ImageRecipe, refs ...string) (*Engine, *Images) {
	t.Helper()
	e, err := ConnectEngine(t.Context())
	if errors.Is(err, ErrNoEngine) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	m, err := NewImages(e, func(line string) { t.Log(line) }, recipes...)
	require.NoError(t, err)
	require.NoError(t, m.EnsureAll(t.Context(), append(refs, EngineReaperImage)...))
	return e, m
}

// runImage starts a container for the time of a test.
func runImage(t *testing.T, ref string, options ...testcontainers.ContainerCustomizer) testcontainers.Container {
	t.Helper()
	c, err := testcontainers.Run(t.Context(), ref, options...)
	testcontainers.CleanupContainer(t, c)
	if err != nil && c != nil {
		if logs, err := c.Logs(t.Context()); err == nil {
			text, _ := io.ReadAll(logs)
			t.Logf("%s", text)
		}
	}
	require.NoError(t, err)
	return c
}

func putFile(path, text string) testcontainers.CustomizeRequestOption {
	return testcontainers.WithFiles(testcontainers.ContainerFile{Reader: strings.NewReader(text), ContainerFilePath: path, FileMode: 0o755})
}

// readyTwice is how testcontainers' postgres module, and many a script, wait for
// the official image.
func readyTwice() testcontainers.CustomizeRequestOption {
	return testcontainers.WithWaitStrategy(wait.ForAll(
		wait.ForLog("database system is ready to accept connections").WithOccurrence(2).WithPollInterval(5*time.Millisecond),
		wait.ForListeningPort("5432/tcp").SkipInternalCheck().WithPollInterval(5*time.Millisecond),
	).WithDeadline(30 * time.Second))
}

func connect(t *testing.T, c testcontainers.Container, user, password, db string) (*pgx.Conn, error) {
	t.Helper()
	address, err := c.PortEndpoint(t.Context(), "5432/tcp", "")
	require.NoError(t, err)
	config, err := pgx.ParseConfig("postgres://" + address + "/?sslmode=disable")
	require.NoError(t, err)
	config.User, config.Password, config.Database = user, password, db
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

func value(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var v string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&v), sql)
	return v
}

func TestPostgres(t *testing.T) {
	const password = `it's "hard" \ to quote`
	for _, ref := range []string{"postgres:15", "postgres:17"} {
		t.Run(ref, func(t *testing.T) {
			realEngine(t, nil, ref)
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, err := io.WriteString(z, "INSERT INTO steps VALUES ('two')")
			require.NoError(t, errors.Join(err, z.Close()))
			began := clock.Wall()
			c := runImage(t, ref,
				testcontainers.WithExposedPorts("5432/tcp"),
				testcontainers.WithTmpfs(map[string]string{"/var/lib/postgresql/data": "rw"}),
				testcontainers.WithEnv(map[string]string{"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": password, "POSTGRES_DB": "orders"}),
				putFile("/docker-entrypoint-initdb.d/01_table.sql", "CREATE TABLE steps (name text, at serial);\nINSERT INTO steps VALUES ('one');"),
				putFile("/docker-entrypoint-initdb.d/02_packed.sql.gz", packed.String()),
				putFile("/docker-entrypoint-initdb.d/03_script.sh", "psql -v ON_ERROR_STOP=1 -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\" -c \"INSERT INTO steps VALUES ('three')\""),
				testcontainers.WithCmd("postgres", "-c", "max_connections=42"),
				readyTwice(),
			)
			t.Logf("%s with three files to run: ready in %s", ref, imageSeconds(clock.Since(began)))
			conn, err := connect(t, c, "shop", password, "orders")
			require.NoError(t, err)
			assert.Equal(t, "one,two,three", value(t, conn, "SELECT string_agg(name, ',' ORDER BY at) FROM steps"))
			assert.Equal(t, "42", value(t, conn, "SHOW max_connections"))
			assert.Equal(t, "a,B", value(t, conn, "SELECT string_agg(x, ',' ORDER BY x) FROM unnest(ARRAY['B','a']) x"), "sorted as en_US does")
			assert.Equal(t, "t", value(t, conn, "SELECT rolsuper::text::char FROM pg_roles WHERE rolname = 'shop'"))
			assert.Equal(t, "0", value(t, conn, "SELECT count(*)::text FROM pg_roles WHERE rolname IN ('postgres', 'root')"))
			assert.Equal(t, "2026-01-05 18:00:00", value(t, conn, "SELECT to_char(TIMESTAMPTZ '2026-01-05 09:00Z' AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI:SS')"))
			_, err = conn.Exec(t.Context(), `CREATE EXTENSION pgcrypto; CREATE EXTENSION pg_stat_statements`)
			require.NoError(t, err)

			_, err = connect(t, c, "shop", "wrong", "orders")
			require.ErrorContains(t, err, "password authentication failed")
			code, _, err := c.Exec(t.Context(), []string{"sh", "-c", "pg_isready -q -h 127.0.0.1 -U shop -d orders && psql -U shop -d orders -c 'SELECT 1'"})
			require.NoError(t, err)
			assert.Zero(t, code, "health checks have a shell, pg_isready and psql")
		})
	}
}

func TestPostgresWithoutFilesToRun(t *testing.T) {
	realEngine(t, nil, "postgres:17")
	began := clock.Wall()
	c := runImage(t, "postgres:17",
		testcontainers.WithExposedPorts("5432/tcp"),
		testcontainers.WithTmpfs(map[string]string{"/var/lib/postgresql/data": "rw"}),
		testcontainers.WithEnv(map[string]string{"POSTGRES_PASSWORD": "x"}),
		readyTwice(),
	)
	t.Logf("ready in %s", imageSeconds(clock.Since(began)))
	conn, err := connect(t, c, "postgres", "x", "postgres")
	require.NoError(t, err)
	assert.Equal(t, "postgres", value(t, conn, "SELECT current_user::text"))
}

func TestPostgresKeepsItsDataOverARestart(t *testing.T) {
	realEngine(t, nil, "postgres:17")
	c := runImage(t, "postgres:17",
		testcontainers.WithExposedPorts("5432/tcp"),
		testcontainers.WithEnv(map[string]string{"POSTGRES_HOST_AUTH_METHOD": "trust", "POSTGRES_INITDB_ARGS": "--data-checksums --locale=C"}),
		readyTwice(),
	)
	conn, err := connect(t, c, "postgres", "", "postgres")
	require.NoError(t, err)
	assert.Equal(t, "on", value(t, conn, "SHOW data_checksums"), "initdb had its arguments")
	_, err = conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 'yes' AS word")
	require.NoError(t, err)
	began := clock.Wall()
	require.NoError(t, c.Stop(t.Context(), nil))
	t.Logf("stopped in %s", imageSeconds(clock.Since(began)))
	require.NoError(t, c.Start(t.Context()))
	require.NoError(t, clock.Poll(t.Context(), 20*time.Millisecond, func() (bool, error) {
		conn, err = connect(t, c, "postgres", "", "postgres")
		return err == nil, nil
	}))
	assert.Equal(t, "yes", value(t, conn, "SELECT word FROM kept"))
}

func TestPostgresEndsWhenAFileFails(t *testing.T) {
	e, _ := realEngine(t, nil, "postgres:17")
	for name, fails := range map[string]testcontainers.CustomizeRequestOption{
		"a file fails": putFile("/docker-entrypoint-initdb.d/bad.sql", "SELECT 1/0;"),
		"no password":  testcontainers.WithEnv(map[string]string{"POSTGRES_PASSWORD": ""}),
	} {
		t.Run(name, func(t *testing.T) {
			c := runImage(t, "postgres:17",
				testcontainers.WithTmpfs(map[string]string{"/var/lib/postgresql/data": "rw"}),
				testcontainers.WithEnv(map[string]string{"POSTGRES_PASSWORD": "x"}), fails,
				testcontainers.WithWaitStrategy(wait.ForExit().WithPollInterval(20*time.Millisecond)),
			)
			state, err := e.Client.ContainerInspect(t.Context(), c.GetContainerID(), client.ContainerInspectOptions{})
			require.NoError(t, err)
			assert.Equal(t, 1, state.Container.State.ExitCode)
		})
	}
}

const haproxyTestConfig = `
global
    log stdout format raw local0
    stats socket ipv4@0.0.0.0:9999 level admin
    lua-load /tmp/hello.lua
defaults
    mode http
    log global
    log-format "status=%ST path=%HP server=%s"
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend in
    bind :80
    default_backend b
backend b
    server one 127.0.0.1:8081
listen one
    bind 127.0.0.1:8081
    http-request use-service lua.hello
`

const haproxyTestLua = `core.register_service("hello", "http", function(applet)
  applet:set_status(200) applet:add_header("content-length", "5") applet:start_response() applet:send("hello") end)`

func TestHAProxy(t *testing.T) {
	realEngine(t, nil, "haproxy:2.6")
	c := runImage(t, "haproxy:2.6",
		testcontainers.WithExposedPorts("80/tcp", "9999/tcp"),
		putFile("/usr/local/etc/haproxy/haproxy.cfg", haproxyTestConfig), putFile("/tmp/hello.lua", haproxyTestLua),
		testcontainers.WithWaitStrategy(wait.ForHTTP("/shop").WithPort("80/tcp").WithPollInterval(5*time.Millisecond)),
	)
	require.NoError(t, clock.Poll(t.Context(), 10*time.Millisecond, func() (bool, error) {
		logs, err := c.Logs(t.Context())
		if err != nil {
			return false, err
		}
		text, err := io.ReadAll(logs)
		return strings.Contains(string(text), "status=200 path=/shop server=one"), err
	}), "a line for the request, on standard output")

	address, err := c.PortEndpoint(t.Context(), "9999/tcp", "")
	require.NoError(t, err)
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "set server b/one state drain; show servers state b\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Contains(t, string(answer), "b 1 one 127.0.0.1")
}

func TestToxiproxy(t *testing.T) {
	const ref = "ghcr.io/shopify/toxiproxy:2.12.0"
	realEngine(t, nil, ref)
	c := runImage(t, ref,
		testcontainers.WithExposedPorts("8474/tcp", "9000/tcp"),
		testcontainers.WithWaitStrategy(wait.ForHTTP("/version").WithPort("8474/tcp").WithPollInterval(5*time.Millisecond)),
	)
	api, err := c.PortEndpoint(t.Context(), "8474/tcp", "")
	require.NoError(t, err)
	proxy, err := toxiproxy.NewClient(api).CreateProxy("itself", "0.0.0.0:9000", "127.0.0.1:8474")
	require.NoError(t, err)
	through, err := c.PortEndpoint(t.Context(), "9000/tcp", "http")
	require.NoError(t, err)
	get := func() (string, error) {
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(through + "/version")
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	version, err := get()
	require.NoError(t, err)
	assert.JSONEq(t, `{"version":"2.12.0"}`, version)

	_, err = proxy.AddToxic("slow", "latency", "downstream", 1, toxiproxy.Attributes{"latency": 200})
	require.NoError(t, err)
	began := clock.Wall()
	_, err = get()
	require.NoError(t, err)
	assert.GreaterOrEqual(t, clock.Since(began), 200*time.Millisecond)
	require.NoError(t, proxy.Disable())
	_, err = get()
	require.Error(t, err)
}

func TestGoRecipeRuns(t *testing.T) {
	const ref = "rehearsal-test/program:v2"
	recipe := GoRecipe{Dir: testProgram(t), Package: "./app", Ldflags: "-X main.build=v2"}
	e, m := realEngine(t, []ImageRecipe{recipe.For(ref)}, ref)
	t.Cleanup(func() {
		_, err := e.Client.ImageRemove(context.Background(), ref, client.ImageRemoveOptions{})
		assert.NoError(t, err)
	})
	c := runImage(t, ref, testcontainers.WithWaitStrategy(wait.ForExit().WithPollInterval(10*time.Millisecond)))
	logs, err := c.Logs(t.Context())
	require.NoError(t, err)
	text, err := io.ReadAll(logs)
	require.NoError(t, err)
	assert.Contains(t, string(text), "one v2")

	was, err := m.Ensure(t.Context(), ref)
	require.NoError(t, err)
	recipe.Ldflags = "-X main.build=v3"
	_, changed := realEngine(t, []ImageRecipe{recipe.For(ref)})
	is, err := changed.Ensure(t.Context(), ref)
	require.NoError(t, err)
	assert.NotEqual(t, was, is, "built again, as the recipe changed")
}

// TestImageBuiltFromNothing builds under a name of its own, so that it is built
// whatever the engine has.
func TestImageBuiltFromNothing(t *testing.T) {
	const ref = "haproxy:2.6-rehearsal-test"
	e, m := realEngine(t, nil)
	remove := func() {
		_, _ = e.Client.ImageRemove(context.Background(), ref, client.ImageRemoveOptions{Force: true})
	}
	remove()
	t.Cleanup(remove)
	m.registry.dead["registry-1.docker.io"] = &unreachableError{"registry-1.docker.io", "by this test"}
	id, err := m.Ensure(t.Context(), ref)
	require.NoError(t, err)
	image, err := e.Client.ImageInspect(t.Context(), ref)
	require.NoError(t, err)
	assert.Equal(t, id, image.ID)
	hash, err := haproxyRecipe{}.Hash(t.Context(), m.shop)
	require.NoError(t, err)
	assert.Equal(t, hash, image.Config.Labels[ImageBuiltLabel])
	assert.Equal(t, "SIGUSR1", image.Config.StopSignal)
}

func TestMissingImageFailsFast(t *testing.T) {
	_, m := realEngine(t, nil)
	began := clock.Wall()
	_, err := m.Ensure(t.Context(), "rehearsal-test.invalid/nothing:1")
	failure := new(ImageError)
	require.ErrorAs(t, err, &failure)
	assert.Contains(t, err.Error(), "registry rehearsal-test.invalid cannot be reached")
	assert.Less(t, clock.Since(began), 10*time.Second)
}

// reaperChild, set, makes this test binary the process that is going to be killed.
const reaperChild = "REHEARSAL_TEST_REAPER_CHILD"

func TestKilledProcessLeavesNothing(t *testing.T) {
	if os.Getenv(reaperChild) != "" {
		leaveThingsBehind(t)
	}
	e, _ := realEngine(t, nil, "haproxy:2.6")
	session := fmt.Sprintf("rehearsal-test-%d-%d", os.Getpid(), clock.Wall().UnixNano())
	child := exec.Command(os.Args[0], "-test.run=^TestKilledProcessLeavesNothing$")
	child.Env = append(os.Environ(), reaperChild+"=1", "TESTCONTAINERS_SESSION_ID="+session)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		t.Log(lines.Text())
	}
	here := thingsOf(t, e, session)
	require.NoError(t, child.Process.Kill())
	killed := clock.Wall()
	_ = child.Wait()
	require.Len(t, here, 4, "the container, its reaper, the network and the volume: %v", here)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = clock.Poll(ctx, 50*time.Millisecond, func() (bool, error) {
		here = thingsOf(t, e, session)
		return len(here) == 0, nil
	})
	require.NoError(t, err, "still there: %v", here)
	t.Logf("all gone %s after kill -9", imageSeconds(clock.Since(killed)))
}

// leaveThingsBehind starts one thing of each kind and waits to be killed.
func leaveThingsBehind(t *testing.T) {
	e, err := ConnectEngine(t.Context())
	require.NoError(t, err)
	net, err := tcnetwork.New(t.Context())
	require.NoError(t, err)
	volume, err := e.Client.VolumeCreate(t.Context(), client.VolumeCreateOptions{Labels: testcontainers.GenericLabels()})
	require.NoError(t, err)
	_, err = testcontainers.Run(t.Context(), "haproxy:2.6",
		tcnetwork.WithNetwork(nil, net),
		testcontainers.WithCmd("sleep", "600"),
		testcontainers.WithHostConfigModifier(func(c *container.HostConfig) { c.Binds = []string{volume.Volume.Name + ":/data"} }),
	)
	require.NoError(t, err)
	fmt.Println("ready")
	select {}
}

// thingsOf names what has the label of a testcontainers session.
func thingsOf(t *testing.T, e *Engine, session string) []string {
	t.Helper()
	filter := make(client.Filters).Add("label", "org.testcontainers.sessionId="+session)
	var all []string
	containers, err := e.Client.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: filter})
	require.NoError(t, err)
	for _, c := range containers.Items {
		all = append(all, c.Names[0])
	}
	networks, err := e.Client.NetworkList(t.Context(), client.NetworkListOptions{Filters: filter})
	require.NoError(t, err)
	for _, n := range networks.Items {
		all = append(all, n.Name)
	}
	volumes, err := e.Client.VolumeList(t.Context(), client.VolumeListOptions{Filters: filter})
	require.NoError(t, err)
	for _, v := range volumes.Items {
		all = append(all, v.Name)
	}
	return all
}

func TestEngineIsDescribed(t *testing.T) {
	e, _ := realEngine(t, nil)
	assert.NotEmpty(t, e.Version)
	assert.Regexp(t, `^1\.\d+$`, e.API)
	assert.Positive(t, e.CPUs)
	assert.NotEmpty(t, e.PublishedHost)
	if e.Local {
		assert.Equal(t, e.PublishedHost, os.Getenv(hostOverride))
	}
}

// The trap: with a leftover /.dockerenv, testcontainers-go would look for the port
// at the default gateway, and hang.
func TestPublishedPortsAnswerWhereTheEngineSays(t *testing.T) {
	e, _ := realEngine(t, nil, "haproxy:2.6")
	c := runImage(t, "haproxy:2.6",
		testcontainers.WithExposedPorts("80/tcp"),
		putFile("/usr/local/etc/haproxy/haproxy.cfg", "defaults\n mode http\n timeout client 1s\nfrontend f\n bind :80\n http-request return status 200\n"),
		testcontainers.WithWaitStrategy(wait.ForHTTP("/").WithPort("80/tcp").WithPollInterval(5*time.Millisecond)),
	)
	host, err := c.Host(t.Context())
	require.NoError(t, err)
	assert.Equal(t, e.PublishedHost, host)
	port, err := c.MappedPort(t.Context(), "80/tcp")
	require.NoError(t, err)
	conn, err := net.Dial("tcp", net.JoinHostPort(e.PublishedHost, port.Port()))
	require.NoError(t, err)
	assert.NoError(t, conn.Close())
	if !e.Local {
		return
	}
	ip, err := c.ContainerIP(t.Context())
	require.NoError(t, err)
	conn, err = net.Dial("tcp", net.JoinHostPort(ip, "80"))
	require.NoError(t, err, "a local engine's containers can be dialled directly")
	assert.NoError(t, conn.Close())
}

func TestSurvey(t *testing.T) {
	realEngine(t, nil, "haproxy:2.6")
	found := map[string]EngineFinding{}
	for _, f := range Survey(t.Context(), []string{"haproxy:2.6", "rehearsal-test.invalid/nothing:1"}) {
		t.Logf("%-8s %s: %s; %s", f.State, f.What, f.Detail, f.Remedy)
		found[f.What] = f
	}
	assert.Equal(t, EngineFine, found["Docker engine"].State)
	assert.Equal(t, EngineFine, found["image haproxy:2.6"].State)
	assert.Equal(t, EngineMissing, found["image rehearsal-test.invalid/nothing:1"].State)
	assert.Contains(t, found, "disk space")
	assert.Contains(t, found, "netem")
}

package containers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cleanEngineEnvironment takes away whatever says where an engine is.
func cleanEngineEnvironment(t *testing.T) (home string) {
	t.Helper()
	home, err := os.MkdirTemp("", "home")
	require.NoError(t, err)
	// The go command may still write its telemetry there when the test has ended: what
	// comes then is no fault of the test.
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", hostOverride} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	return home
}

// listenAsEngine answers pings on a socket.
func listenAsEngine(t *testing.T, socket string) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.41")
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

func TestFindEngineTakesTheFirstThatAnswers(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "engine.sock")
	listenAsEngine(t, socket)
	host, err := findEngine(t.Context(), []engineHost{
		{"unix://" + filepath.Join(dir, "none.sock"), "the default", false}, {"unix://" + socket, "a socket that is there", false},
	})
	require.NoError(t, err)
	assert.Equal(t, "unix://"+socket, host)
}

// Whoever names an engine must not get another one.
func TestFindEngineStopsAtTheOneThatWasNamed(t *testing.T) {
	dir := t.TempDir()
	listenAsEngine(t, filepath.Join(dir, "engine.sock"))
	_, err := findEngine(t.Context(), []engineHost{
		{"unix://" + filepath.Join(dir, "none.sock"), "DOCKER_HOST", true}, {"unix://" + filepath.Join(dir, "engine.sock"), "", false},
	})
	require.ErrorIs(t, err, ErrNoEngine)
	assert.EqualError(t, err, "no Docker engine can be reached: unix://"+dir+"/none.sock (DOCKER_HOST): there is no such socket; "+
		"start Docker (Docker Desktop, `systemctl start docker` or `service docker start`), or set DOCKER_HOST to its address")
}

func TestFindEngineIsBounded(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, never answers
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = findEngine(ctx, []engineHost{{"tcp://" + listener.Addr().String(), "DOCKER_HOST", true}})
	require.ErrorIs(t, err, ErrNoEngine)
	assert.ErrorContains(t, err, "no answer within 3.0 s")
}

func TestNoEngineForWantOfPermission(t *testing.T) {
	err := newNoEngineError([]string{"unix:///var/run/docker.sock (the default): " + engineShort(os.ErrPermission)})
	assert.ErrorContains(t, err, "usermod -aG docker")
}

func TestConnectEngineWithoutOne(t *testing.T) {
	cleanEngineEnvironment(t)
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/none.sock")
	before := os.Getenv("TESTCONTAINERS_SESSION_ID")
	_, err := ConnectEngine(t.Context())
	failure := new(NoEngineError)
	require.ErrorAs(t, err, &failure)
	assert.NotEmpty(t, failure.Remedy)
	assert.Equal(t, before, os.Getenv("TESTCONTAINERS_SESSION_ID"), "nothing is prepared for an engine that is not there")
}

func TestEngineHosts(t *testing.T) {
	home := cleanEngineEnvironment(t)
	assert.Equal(t, []engineHost{{defaultDockerHost, "the default", false}}, engineHosts())

	require.NoError(t, os.MkdirAll(filepath.Join(home, ".docker/run"), 0o755))
	listenAsEngine(t, filepath.Join(home, ".docker/run/docker.sock"))
	assert.Equal(t, "unix://"+home+"/.docker/run/docker.sock", engineHosts()[1].address)

	writeDockerContext(t, filepath.Join(home, ".docker"), "colima", "unix:///colima.sock")
	assert.Equal(t, []engineHost{{"unix:///colima.sock", "docker context colima", true}}, engineHosts())

	t.Setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
	assert.Equal(t, []engineHost{{"tcp://10.0.0.1:2375", "DOCKER_HOST", true}}, engineHosts())

	require.NoError(t, os.WriteFile(filepath.Join(home, ".testcontainers.properties"), []byte("# mine\ntc.host = tcp://10.0.0.2:2375\n"), 0o644))
	assert.Equal(t, "tcp://10.0.0.2:2375", engineHosts()[0].address)
}

func writeDockerContext(t *testing.T, dir, name, host string) {
	t.Helper()
	id := sha256.Sum256([]byte(name))
	meta := filepath.Join(dir, "contexts/meta", hex.EncodeToString(id[:]))
	require.NoError(t, os.MkdirAll(meta, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"currentContext":"`+name+`"}`), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(meta, "meta.json"), []byte(`{"Name":"`+name+`","Endpoints":{"docker":{"Host":"`+host+`"}}}`), 0o644))
}

func TestPrepareTestcontainersKeepsWhatTheUserSet(t *testing.T) {
	for _, name := range []string{"DOCKER_HOST", "TESTCONTAINERS_SESSION_ID", "TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT"} {
		t.Setenv(name, "")
	}
	t.Setenv("RYUK_RECONNECTION_TIMEOUT", "7s") // the other name of the same setting
	prepareTestcontainers("unix:///x.sock")
	assert.Equal(t, "unix:///x.sock", os.Getenv("DOCKER_HOST"))
	assert.Empty(t, os.Getenv("TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT"))
	session := os.Getenv("TESTCONTAINERS_SESSION_ID")
	assert.Regexp(t, `^rehearsal-[a-z0-9]{20,}$`, session)
	prepareTestcontainers("unix:///y.sock")
	assert.Equal(t, "unix:///x.sock", os.Getenv("DOCKER_HOST"))
	assert.Equal(t, session, os.Getenv("TESTCONTAINERS_SESSION_ID"))
}

func TestEngineInstallable(t *testing.T) {
	const debian, ubuntu, fedora = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n", "ID=ubuntu\nID_LIKE=\"debian\"\n", "ID=fedora\nVARIANT=\"not debian\"\n"
	assert.NoError(t, engineInstallable("", 0, debian))
	assert.NoError(t, engineInstallable("yes", 0, ubuntu))
	assert.ErrorContains(t, engineInstallable("no", 0, debian), EngineInstallVariable+"=no")
	assert.ErrorContains(t, engineInstallable("", 0, fedora), "https://docs.docker.com/engine/install")
	assert.ErrorContains(t, engineInstallable("", 1000, debian), "sudo apt-get install docker.io")
	assert.Error(t, engineInstallable("", 0, ""))
}

func TestNothingIsInstalledWhereAnEngineIsNamed(t *testing.T) {
	cleanEngineEnvironment(t)
	t.Setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
	assert.ErrorContains(t, InstallEngine(t.Context(), nil), "tcp://10.0.0.1:2375 (DOCKER_HOST)")
}

func TestSurveyWithoutAnEngine(t *testing.T) {
	cleanEngineEnvironment(t)
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/none.sock")
	findings := Survey(t.Context(), []string{"postgres:17"})
	require.NotEmpty(t, findings)
	assert.Equal(t, "Docker engine", findings[0].What)
	assert.Equal(t, EngineMissing, findings[0].State)
	for _, f := range findings {
		assert.Equal(t, f.State != EngineFine, f.Remedy != "", "%s: a remedy where one is needed, and only there", f.What)
	}
}

func TestSurveyOfImages(t *testing.T) {
	e := newFakeEngine()
	e.images["there:1"], e.images["old:1"] = "", "one"
	m, _ := testImages(t, e, fakeRecipe{ref: "part:1"}, fakeRecipe{ref: "old:1", hash: "two"})
	findings := m.survey(t.Context(), []string{"there:1", "part:1", "old:1", "else:1"})
	var got []string
	for _, f := range findings {
		got = append(got, f.State.String()+" "+f.What+": "+f.Detail)
		assert.Equal(t, f.State != EngineFine, f.Remedy != "")
	}
	assert.Equal(t, []string{
		"ok image there:1: there",
		"note image part:1: can be built here from a test",
		"note image old:1: can be built here from a test",
		"missing image else:1: registry registry-1.docker.io cannot be reached (no such host), and there is no recipe to build it here",
	}, got)
	m.registry.probe = func(context.Context, string) error { return nil }
	assert.Equal(t, "can be pulled from registry-1.docker.io", m.survey(t.Context(), []string{"else:1"})[0].Detail)
	assert.Zero(t, e.pulls.Load())
}

package containers

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/moby/client"
	tclog "github.com/testcontainers/testcontainers-go/log"
)

const (
	hostOverride      = "TESTCONTAINERS_HOST_OVERRIDE"
	defaultDockerHost = "unix:///var/run/docker.sock"
)

// engineHost is an address where an engine may be.
type engineHost struct {
	address string
	from    string // who says so
	sole    bool   // if it does not answer, no other address is tried
}

// engineHosts lists the addresses where an engine may be, the likeliest first. What
// the user named is the only one: another engine must not be used by surprise.
func engineHosts() []engineHost {
	home, _ := os.UserHomeDir()
	properties := testcontainersProperties(filepath.Join(home, ".testcontainers.properties"))
	if host := properties["tc.host"]; host != "" {
		return []engineHost{{host, "tc.host in ~/.testcontainers.properties", true}}
	}
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return []engineHost{{host, "DOCKER_HOST", true}}
	}
	config := os.Getenv("DOCKER_CONFIG")
	if config == "" {
		config = filepath.Join(home, ".docker")
	}
	if name, host := dockerContext(config); host != "" {
		return []engineHost{{host, "docker context " + name, true}}
	}
	hosts := []engineHost{{defaultDockerHost, "the default", false}}
	if host := properties["docker.host"]; host != "" {
		hosts = append(hosts, engineHost{host, "docker.host in ~/.testcontainers.properties", false})
	}
	for _, socket := range []string{
		filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "docker.sock"),
		filepath.Join(home, ".docker/run/docker.sock"),
		filepath.Join(home, ".docker/desktop/docker.sock"),
		filepath.Join("/run/user", strconv.Itoa(os.Getuid()), "docker.sock"),
	} {
		if filepath.IsAbs(socket) && fileExists(socket) {
			hosts = append(hosts, engineHost{"unix://" + socket, "a socket that is there", false})
		}
	}
	return hosts
}

// testcontainersProperties reads testcontainers' file of key=value lines.
func testcontainersProperties(name string) map[string]string {
	file, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	properties := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			properties[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return properties
}

// dockerContext is the address of the docker command's present context, from its
// folder of settings; empty if that is the default.
func dockerContext(dir string) (name, host string) {
	name = os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		var config struct{ CurrentContext string }
		if data, err := os.ReadFile(filepath.Join(dir, "config.json")); err != nil || json.Unmarshal(data, &config) != nil {
			return "", ""
		}
		name = config.CurrentContext
	}
	if name == "" || name == "default" {
		return "", ""
	}
	id := sha256.Sum256([]byte(name))
	var meta struct {
		Endpoints struct{ Docker struct{ Host string } }
	}
	data, err := os.ReadFile(filepath.Join(dir, "contexts", "meta", hex.EncodeToString(id[:]), "meta.json"))
	if err != nil || json.Unmarshal(data, &meta) != nil {
		return "", ""
	}
	return name, meta.Endpoints.Docker.Host
}

// findEngine returns the first address at which an engine answers.
func findEngine(ctx context.Context, hosts []engineHost) (string, error) {
	var tried []string
	for _, h := range hosts {
		err := pingEngine(ctx, h.address)
		if err == nil {
			return h.address, nil
		}
		tried = append(tried, fmt.Sprintf("%s (%s): %s", h.address, h.from, engineShort(err)))
		if h.sole {
			break
		}
	}
	return "", newNoEngineError(tried)
}

func pingEngine(ctx context.Context, host string) error {
	c, err := client.New(client.FromEnv, client.WithHost(host))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, err = c.Ping(ctx, client.PingOptions{})
	return err
}

// engineShort says in a few words why an engine does not answer.
func engineShort(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such socket"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", imageSeconds(engineTimeout))
	default:
		return err.Error()
	}
}

func newNoEngineError(tried []string) *NoEngineError {
	remedy := "start Docker (Docker Desktop, `systemctl start docker` or `service docker start`), or set DOCKER_HOST to its address"
	if strings.Contains(strings.Join(tried, ""), "permission denied") {
		remedy = "let this user use Docker (`sudo usermod -aG docker $USER`, then log in again), or run as root"
	}
	return &NoEngineError{Tried: tried, Remedy: remedy}
}

// prepareTestcontainers sets what testcontainers-go reads from the environment,
// except for what the user set:
//   - the engine's address, so that both mean the same engine;
//   - a session of this process's own. By default all processes with the same parent
//     share one, and so one reaper: what one of them leaves would stay for as long as
//     another runs;
//   - how long the reaper waits after the process has gone. A second is enough for a
//     connection that is never interrupted on purpose.
//
// Its own log, which would go to the terminal, is switched off.
func prepareTestcontainers(host string) {
	for name, value := range map[string]string{
		"DOCKER_HOST":                              host,
		"TESTCONTAINERS_SESSION_ID":                "rehearsal-" + strings.ToLower(rand.Text()),
		"TESTCONTAINERS_RYUK_RECONNECTION_TIMEOUT": "1s",
	} {
		if os.Getenv(name) == "" && os.Getenv(strings.TrimPrefix(name, "TESTCONTAINERS_")) == "" {
			_ = os.Setenv(name, value) // fails for an impossible name only
		}
	}
	if _, standard := tclog.Default().(*log.Logger); standard {
		tclog.SetDefault(tclog.NewNoopLogger())
	}
}

package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// An Engine is the Docker engine that stages are raised in.
type Engine struct {
	Client  *testcontainers.DockerClient
	Host    string // "unix:///var/run/docker.sock"
	Version string // "28.2.2"
	API     string // the API version that was agreed on: "1.41"
	System  string // "Debian GNU/Linux 12 (bookworm)"
	Arch    string // as GOARCH
	CPUs    int
	Memory  int64 // bytes
	// Local says that the engine shares this machine's network: containers can be
	// dialled by their own address, and published ports answer on 127.0.0.1.
	Local bool
	// PublishedHost is where published ports answer.
	PublishedHost string

	proxied bool        // the engine pulls through a proxy
	reaper  *reaperLine // nil for an engine that was not connected
}

// ErrNoEngine is that no Docker engine can be reached.
var ErrNoEngine = errors.New("no Docker engine can be reached")

// A NoEngineError is an ErrNoEngine with what was tried and what to do.
type NoEngineError struct {
	Tried  []string // address: what came of it
	Remedy string
}

func (e *NoEngineError) Error() string {
	return fmt.Sprintf("%v: %s; %s", ErrNoEngine, strings.Join(e.Tried, "; "), e.Remedy)
}

func (e *NoEngineError) Unwrap() error { return ErrNoEngine }

// engineTimeout bounds how long an engine is looked for.
const engineTimeout = 3 * time.Second

// ConnectEngine finds the Docker engine where testcontainers-go and the docker
// command look for it: DOCKER_HOST, else the docker command's present context,
// else the usual sockets. It decides within 3 seconds; the error is a
// NoEngineError.
//
// It must come before any other use of testcontainers-go in the process: that
// reads its settings once, and ConnectEngine sets those the user did not, by the
// environment (see prepareTestcontainers).
func ConnectEngine(ctx context.Context) (*Engine, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	host, err := findEngine(ctx, engineHosts())
	if err != nil {
		return nil, err
	}
	prepareTestcontainers(host)
	c, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, newNoEngineError([]string{host + ": " + err.Error()})
	}
	e := &Engine{Client: c, Host: host}
	if err := e.describe(ctx); err != nil {
		_ = c.Close()
		return nil, newNoEngineError([]string{host + ": " + err.Error()})
	}
	e.reaper = holdReaper(ctx, e)
	return e, nil
}

// Close ends the connection to the engine, and lets the reaper go: a second after this
// process's last container, or its end, it removes what is left of it, and itself.
func (e *Engine) Close() error {
	if e.reaper != nil {
		e.reaper.release()
	}
	return e.Client.Close()
}

func (e *Engine) describe(ctx context.Context) error {
	if _, err := e.Client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return err
	}
	answer, err := e.Client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return err
	}
	info := answer.Info
	if info.OSType != "linux" {
		return fmt.Errorf("it runs %s containers, and Linux containers are needed", info.OSType)
	}
	e.Version, e.API, e.System = info.ServerVersion, e.Client.ClientVersion(), info.OperatingSystem
	e.Arch, e.CPUs, e.Memory = engineArch(info.Architecture), info.NCPU, info.MemTotal
	e.proxied = info.HTTPSProxy != "" || info.HTTPProxy != ""
	e.Local = e.isLocal(ctx)
	e.PublishedHost, err = e.publishedHost(ctx)
	return err
}

// engineArch is the GOARCH of what the engine calls its architecture.
func engineArch(uname string) string {
	switch uname {
	case "x86_64", "amd64":
		return "amd64"
	case "aarch64", "arm64":
		return "arm64"
	case "":
		return runtime.GOARCH
	default:
		return uname
	}
}

// isLocal finds out whether this process shares the engine's network: the socket is
// a Unix socket, and the engine's default bridge is one of this machine's own
// interfaces. It is elsewhere for a process in a container that was given the
// socket, for Docker Desktop and for a rootless engine.
func (e *Engine) isLocal(ctx context.Context) bool {
	if !strings.HasPrefix(e.Host, "unix://") {
		return false
	}
	answer, err := e.Client.NetworkInspect(ctx, "bridge", client.NetworkInspectOptions{})
	if err != nil {
		return false // an engine without a default bridge is used as a remote one
	}
	own, err := net.InterfaceByName(answer.Network.Options["com.docker.network.bridge.name"])
	if err != nil {
		return false
	}
	addrs, err := own.Addrs()
	if err != nil {
		return false
	}
	for _, config := range answer.Network.IPAM.Config {
		for _, addr := range addrs {
			ip, err := netip.ParsePrefix(addr.String())
			if err == nil && config.Subnet.Contains(ip.Addr()) {
				return true
			}
		}
	}
	return false
}

// publishedHost is where testcontainers-go expects the engine's published ports. It
// takes a leftover /.dockerenv for a container and then looks for them at the
// default gateway; where the engine is local, it is told better.
func (e *Engine) publishedHost(ctx context.Context) (string, error) {
	if e.Local && os.Getenv(hostOverride) == "" {
		if err := os.Setenv(hostOverride, "127.0.0.1"); err != nil {
			return "", err
		}
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return "", err
	}
	defer func() { _ = provider.Close() }()
	return provider.DaemonHost(ctx)
}

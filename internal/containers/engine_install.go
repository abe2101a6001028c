package containers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"rehearsal/internal/clock"
)

// EngineInstallVariable names the variable that forbids InstallEngine when it is "no".
const EngineInstallVariable = "REHEARSAL_INSTALL_DOCKER"

// engineStartTimeout is how long one way of starting the engine is given until the
// engine answers.
const engineStartTimeout = 30 * time.Second

// EngineInstallable returns nil where InstallEngine may and can install an engine,
// else the reason why not.
func EngineInstallable() error {
	if host := engineHosts()[0]; host.sole {
		return fmt.Errorf("%s (%s) names the engine to use: start that one, or unset it", host.address, host.from)
	}
	release, _ := os.ReadFile("/etc/os-release")
	return engineInstallable(os.Getenv(EngineInstallVariable), os.Geteuid(), string(release))
}

func engineInstallable(variable string, uid int, release string) error {
	switch {
	case strings.EqualFold(variable, "no"):
		return errors.New(EngineInstallVariable + "=no forbids installing Docker")
	case !debianLike(release):
		return errors.New("only Debian gets Docker installed by itself; install it from https://docs.docker.com/engine/install")
	case uid != 0:
		return errors.New("only root can install Docker; run as root, or: sudo apt-get install docker.io")
	default:
		return nil
	}
}

// debianLike reads /etc/os-release.
func debianLike(release string) bool {
	for line := range strings.Lines(release) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key != "ID" && key != "ID_LIKE" {
			continue
		}
		for id := range strings.FieldsSeq(strings.Trim(value, `"'`)) {
			if id == "debian" {
				return true
			}
		}
	}
	return false
}

// InstallEngine installs Debian's docker.io, unless a dockerd is there already,
// and starts it: by systemd, else by its init script, else by itself. It says on
// progress what it is going to do before it does it, and returns when the engine
// answers. It must be root on Debian; EngineInstallable says whether it will do
// anything.
func InstallEngine(ctx context.Context, progress func(line string)) error {
	if progress == nil {
		progress = func(string) {}
	}
	if err := EngineInstallable(); err != nil {
		return err
	}
	if _, err := exec.LookPath("dockerd"); err != nil {
		progress("no Docker engine here: installing Debian's docker.io with apt-get (" + EngineInstallVariable + "=no forbids it)")
		if err := installDocker(ctx); err != nil {
			return fmt.Errorf("install docker.io: %w", err)
		}
	}
	var failures []error
	for _, way := range engineStarts() {
		progress("starting the Docker engine: " + way.name)
		err := way.start(ctx)
		if err == nil {
			err = awaitEngine(ctx, engineStartTimeout)
		}
		if err == nil {
			progress("the Docker engine is running")
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failures = append(failures, fmt.Errorf("%s: %w%s", way.name, err, way.said()))
	}
	return fmt.Errorf("the Docker engine does not start: %w; start it by hand and run again", errors.Join(failures...))
}

func installDocker(ctx context.Context) error {
	packages := []string{"docker.io", "ca-certificates"}
	if entries, err := os.ReadDir("/sys/fs/cgroup"); err == nil && len(entries) == 0 {
		packages = append(packages, "cgroupfs-mount") // nobody has mounted the control groups
	}
	install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	for _, args := range [][]string{{"update"}, install} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
		if _, err := imageRun(cmd); err != nil {
			return err
		}
	}
	return nil
}

// engineStart is a way of starting the engine.
type engineStart struct {
	name  string
	start func(ctx context.Context) error
	said  func() string // what it left in its log
}

// engineStarts are the ways that this machine offers, the most usual first.
func engineStarts() []engineStart {
	silent := func() string { return "" }
	command := func(name string, args ...string) engineStart {
		return engineStart{strings.Join(append([]string{name}, args...), " "), func(ctx context.Context) error {
			_, err := imageRun(exec.CommandContext(ctx, name, args...))
			return err
		}, silent}
	}
	var ways []engineStart
	if fileExists("/run/systemd/system") {
		ways = append(ways, command("systemctl", "start", "docker"))
	} else if fileExists("/etc/init.d/docker") {
		ways = append(ways, command("/etc/init.d/docker", "start"))
	}
	log := filepath.Join(os.TempDir(), "rehearsal-dockerd.log")
	return append(ways, engineStart{
		"dockerd, with its log in " + log,
		func(context.Context) error { return startDockerd(log) },
		func() string {
			data, _ := os.ReadFile(log)
			lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
			return "\n" + string(bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
		},
	})
}

// startDockerd starts a dockerd that outlives this process.
func startDockerd(log string) error {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command("dockerd")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // reaps it should it end while this process lives
	return nil
}

// awaitEngine waits until an engine answers on the default socket.
func awaitEngine(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	err := clock.Poll(ctx, 200*time.Millisecond, func() (bool, error) {
		last = pingEngine(ctx, defaultDockerHost)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("no answer on %s within %s: %w", defaultDockerHost, imageSeconds(limit), last)
	}
	return nil
}

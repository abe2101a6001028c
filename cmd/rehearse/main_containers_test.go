//go:build containers

package main

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

	"rehearsal/internal/clock"
)

// started is a rehearsal under way, with a session of its own, so that what it
// leaves on the engine can be told from what others run.
type started struct {
	cmd     *exec.Cmd
	out     *lockedBuffer
	session string
	docker  *testcontainers.DockerClient
}

func start(t *testing.T, env []string, args ...string) *started {
	t.Helper()
	docker, err := testcontainers.NewDockerClientWithOpts(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { _ = docker.Close() })
	s := &started{cmd: exec.Command(rehearse, dated(args)...), out: &lockedBuffer{}, session: uuid.NewString(), docker: docker}
	s.cmd.Env = append(append(os.Environ(), "TESTCONTAINERS_SESSION_ID="+s.session), env...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	return s
}

// left is what of the session's is on the engine.
func (s *started) left(t *testing.T) (names []string) {
	t.Helper()
	f := make(client.Filters).Add("label", "org.testcontainers.sessionId="+s.session)
	cs, err := s.docker.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: f})
	require.NoError(t, err)
	for _, c := range cs.Items {
		names = append(names, c.Image)
	}
	ns, err := s.docker.NetworkList(context.Background(), client.NetworkListOptions{Filters: f})
	require.NoError(t, err)
	for _, n := range ns.Items {
		names = append(names, "network "+n.Name)
	}
	vs, err := s.docker.VolumeList(context.Background(), client.VolumeListOptions{Filters: f})
	require.NoError(t, err)
	for _, v := range vs.Items {
		names = append(names, "volume "+v.Name)
	}
	return names
}

// untilUp waits until the service's containers run.
func (s *started) untilUp(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	err := clock.Poll(ctx, 50*time.Millisecond, func() (bool, error) {
		n := 0
		for _, name := range s.left(t) {
			if strings.HasPrefix(name, "shop:") {
				n++
			}
		}
		return n >= 2, nil
	})
	require.NoError(t, err, s.out)
}

// untilGone waits until nothing of the session's is left.
func (s *started) untilGone(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := clock.Poll(ctx, 100*time.Millisecond, func() (bool, error) { return len(s.left(t)) == 0, nil })
	require.NoError(t, err, "left on the engine: %q", s.left(t))
}

// status waits for the end of the process.
func (s *started) status(t *testing.T, within time.Duration) int {
	t.Helper()
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		require.Fail(t, "the rehearsal did not end", "within %s; it said:\n%s", within, s.out)
	}
	return s.cmd.ProcessState.ExitCode()
}

func long(stage string) []string {
	return []string{"verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", stage, "../../features/good_release.feature"}
}

func TestCtrlCLeavesNothing(t *testing.T) {
	s := start(t, nil, long("containers")...)
	s.untilUp(t)
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, 3, s.status(t, time.Minute), s.out)
	assert.Contains(t, s.out.String(), "interrupted")
	s.untilGone(t)
}

func TestKillLeavesNothing(t *testing.T) {
	s := start(t, nil, long("containers")...)
	s.untilUp(t)
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGKILL))
	s.status(t, time.Minute)
	s.untilGone(t)
}

func TestAnEngineThatGoesAwayHalfWayIsInconclusive(t *testing.T) {
	engine, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var mu sync.Mutex
	var open []net.Conn
	go func() {
		for {
			c, err := engine.Accept()
			if err != nil {
				return
			}
			d, err := net.Dial("unix", "/var/run/docker.sock")
			if err != nil {
				_ = c.Close()
				continue
			}
			mu.Lock()
			open = append(open, c, d)
			mu.Unlock()
			go pipe(c, d)
			go pipe(d, c)
		}
	}()
	s := start(t, []string{"DOCKER_HOST=tcp://" + engine.Addr().String()}, long("containers")...)
	s.untilUp(t)
	_ = engine.Close()
	mu.Lock()
	for _, c := range open {
		_ = c.Close()
	}
	mu.Unlock()
	assert.Equal(t, 3, s.status(t, 2*time.Minute), s.out)
	assert.Contains(t, s.out.String(), "INCONCLUSIVE")
	assert.NotContains(t, s.out.String(), "panic")
	s.untilGone(t)
}

// pipe carries bytes one way, and closes that way at its end, as a hijacked stream
// of the engine needs.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func TestAnImageThatCannotBeHadIsSaidAtOnce(t *testing.T) {
	file := shop(t)
	spoil(t, file, `v2: {image: "shop:v2"}`, `v2: {image: "nowhere.invalid/shop:v2"}`)
	s := start(t, nil, "verify", "--file", file, "--stage", "containers", "../../features/undetected.feature")
	assert.Equal(t, 3, s.status(t, time.Minute), s.out)
	assert.Contains(t, s.out.String(), "nowhere.invalid/shop:v2")
	s.untilGone(t)
}

// A port that is taken must not matter: the staging copy publishes free ports only.
func TestATakenPortDoesNotMatter(t *testing.T) {
	taken, err := net.Listen("tcp", ":8080")
	if err == nil {
		defer func() { _ = taken.Close() }()
	}
	s := start(t, nil, "verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "containers", "../../features/undetected.feature")
	assert.Equal(t, 0, s.status(t, 3*time.Minute), s.out)
	s.untilGone(t)
}

//go:build containers

package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// balancerBench is a balancer whose targets are listeners of the test on the
// gateway of its network.
type balancerBench struct {
	*balancer
	t       testing.TB
	clock   *clock.Paced
	gateway netip.Addr
	setup   *stage.Setup

	mu       sync.Mutex
	accesses []access
	changes  []targetChange
}

func newBalancerBench(t testing.TB, pace float64, versions ...string) *balancerBench {
	t.Helper()
	engine := balancerEngine(t)
	return startBalancerBench(t, engine, engine.Local, pace, versions...)
}

// balancerEngine is the Docker engine, with the balancer's image present.
func balancerEngine(t testing.TB) *Engine {
	t.Helper()
	ctx := t.Context()
	engine, err := ConnectEngine(ctx)
	if errors.Is(err, ErrNoEngine) {
		t.Skip("no Docker engine reachable")
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, engine.Close()) })
	images, err := NewImages(engine, func(line string) { t.Log(line) }, DefaultImageRecipes()...)
	require.NoError(t, err)
	_, err = images.Ensure(ctx, balancerImage)
	require.NoError(t, err)
	return engine
}

// startBalancerBench starts a balancer on an internal network and, unless direct, on
// one that can publish ports.
func startBalancerBench(t testing.TB, engine *Engine, direct bool, pace float64, versions ...string) *balancerBench {
	t.Helper()
	ctx := t.Context()
	name := fmt.Sprintf("rehearsal-balancer-test-%d", clock.Wall().UnixNano())
	networks := []string{name}
	if !direct {
		networks = append(networks, name+"-out")
	}
	var own *stageNetwork
	for i, n := range networks {
		network, err := createNetwork(ctx, engine.Client, n, i == 0, nil)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, removeBenchNetwork(engine, network)) })
		if i == 0 {
			own = network
		}
	}

	b := &balancerBench{t: t, clock: clock.NewPaced(pace), gateway: own.subnet.Addr().Next(), setup: balancerSetup(versions...)}
	var err error
	b.balancer, err = startBalancer(ctx, balancerOptions{
		Setup: b.setup, Clock: b.clock, Pace: pace, Networks: networks, Direct: direct,
		OnAccess: func(a access) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.accesses = append(b.accesses, a)
		},
		OnHealth: func(c targetChange) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.changes = append(b.changes, c)
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, b.balancer.err())
		assert.NoError(t, b.close(context.Background()))
	})
	return b
}

func removeBenchNetwork(e *Engine, n *stageNetwork) error {
	_, err := e.Client.NetworkRemove(context.Background(), n.id, client.NetworkRemoveOptions{})
	return err
}

// A benchReplica is one target.
type benchReplica struct {
	version, name string
	*httptest.Server
	sick   atomic.Bool // its health check fails
	served atomic.Int64
	checks atomic.Int64
	slow   time.Duration
}

// replica starts a target that answers with its version, and registers it.
func (b *balancerBench) replica(version, name string, options ...func(*benchReplica)) *benchReplica {
	b.t.Helper()
	r := &benchReplica{version: version, name: name}
	for _, o := range options {
		o(r)
	}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/ready" {
			r.checks.Add(1)
			if r.sick.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return
		}
		r.served.Add(1)
		if r.slow > 0 {
			_, _ = io.Copy(io.Discard, req.Body) // only then it notices that the user leaves
			_ = clock.Sleep(req.Context(), r.slow)
		}
		if req.URL.Path == "/empty" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		fmt.Fprintf(w, "%s %s", version, req.Header.Get(weightHeader))
	}))
	listener, err := net.Listen("tcp", net.JoinHostPort(b.gateway.String(), "0"))
	require.NoError(b.t, err)
	require.NoError(b.t, r.Listener.Close())
	r.Listener = listener
	r.Start()
	b.t.Cleanup(r.Close)
	require.NoError(b.t, b.add(b.t.Context(), version, name, listener.Addr().String()))
	return r
}

// awaitHealthy waits until so many replicas of version are healthy.
func (b *balancerBench) awaitHealthy(version string, n int) {
	b.t.Helper()
	b.await(func() bool { return b.healthy(version) == n })
}

func (b *balancerBench) await(done func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(b.t, clock.Poll(ctx, 5*time.Millisecond, func() (bool, error) { return done(), b.balancer.err() }))
}

func (b *balancerBench) shares(shares stage.Shares) {
	b.t.Helper()
	require.NoError(b.t, b.shift(b.t.Context(), shares))
}

// ask sends one request of the users.
func (b *balancerBench) ask(path string) (status int, version, body string) {
	b.t.Helper()
	return b.send(b.usersURL()+path, "")
}

// probe sends one request past the shares.
func (b *balancerBench) probe(version, path string) (status int, body string) {
	b.t.Helper()
	status, _, body = b.send(b.probeURL()+path, version)
	return status, body
}

func (b *balancerBench) send(url, version string) (int, string, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, nil)
	require.NoError(b.t, err)
	if version != "" {
		req.Header.Set(versionHeader, version)
	} else {
		req.Header.Set(weightHeader, "60")
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(b.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return res.StatusCode, res.Header.Get(versionHeader), string(body)
}

// logged waits until the log has told of n requests.
func (b *balancerBench) logged(n int) []access {
	b.t.Helper()
	b.await(func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.accesses) >= n
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.accesses
}

func TestRealBalancerSharesAndProbes(t *testing.T) {
	b := newBalancerBench(t, 60, "v1", "v2", "v3")
	status, version, _ := b.ask("/")
	assert.Equal(t, http.StatusServiceUnavailable, status, "nobody has a share")
	assert.Empty(t, version)

	b.replica("v1", "v1-1")
	b.replica("v1", "v1-2")
	b.replica("v2", "v2-1")
	b.awaitHealthy("v1", 2)
	b.awaitHealthy("v2", 1)

	b.shares(stage.Shares{"v1": 95, "v2": 5})
	const n = 2000
	got := map[string]int{}
	for range n {
		status, version, body := b.ask("/")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, version+" ", body, "the target answers, and does not see the weight")
		got[version]++
	}
	// 100 of 2,000 with a standard deviation of 9.7: 5 of them are a one in a million.
	assert.InDelta(t, 0.05*n, got["v2"], 49)
	assert.Equal(t, n, got["v1"]+got["v2"])

	status, body := b.probe("v2", "/")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "v2 ", body)
	status, _ = b.probe("v9", "/")
	assert.Equal(t, http.StatusNotFound, status, "an unknown version")
	status, _ = b.probe("v3", "/")
	assert.Equal(t, http.StatusServiceUnavailable, status, "a version that does not run")

	b.shares(stage.Shares{"v3": 100})
	status, version, _ = b.ask("/")
	assert.Equal(t, http.StatusServiceUnavailable, status, "its requests do not go to another version")
	assert.Equal(t, "v3", version)

	all := b.logged(n + 5)
	assert.Len(t, all, n+5)
	assert.Equal(t, 60.0, all[1].Weight)
	byTarget := map[string]int{}
	for _, a := range all {
		byTarget[a.Target]++
	}
	assert.Equal(t, 5-1, byTarget[""], "requests without a target")
	assert.InDelta(t, byTarget["v1-1"], byTarget["v1-2"], 2, "replicas take turns")

	assert.ErrorContains(t, b.shift(t.Context(), stage.Shares{"v9": 100}), "v9")
	assert.ErrorContains(t, b.shift(t.Context(), stage.Shares{"v1": 120}), "120")
	assert.ErrorContains(t, b.add(t.Context(), "v9", "v9-1", "127.0.0.1:1"), "v9")
}

func TestRealBalancerThroughPublishedPorts(t *testing.T) {
	b := startBalancerBench(t, balancerEngine(t), false, 60, "v1")
	b.replica("v1", "v1-1")
	b.awaitHealthy("v1", 1)
	b.shares(stage.Shares{"v1": 100})
	status, version, _ := b.ask("/")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "v1", version)
	status, _ = b.probe("v1", "/")
	assert.Equal(t, http.StatusOK, status)
	b.logged(2)
}

func TestRealBalancerHealth(t *testing.T) {
	b := newBalancerBench(t, 60, "v1")
	b.shares(stage.Shares{"v1": 100})
	sick := b.replica("v1", "v1-1", func(r *benchReplica) { r.sick.Store(true) })
	b.await(func() bool { return b.targets("v1")[0].Detail != "" })
	assert.Equal(t, targetInitial, b.targets("v1")[0].State, "new, not unhealthy")
	status, _, _ := b.ask("/")
	assert.Equal(t, http.StatusServiceUnavailable, status, "no traffic before its first check passes")

	stop := b.clock.RunAhead() // 2 failures at 10 s of release time make the verdict
	b.await(func() bool { return b.targets("v1")[0].State == targetUnhealthy })
	assert.GreaterOrEqual(t, b.clock.Now(), 20*time.Second)
	stop()
	assert.Contains(t, b.targets("v1")[0].Detail, "503")

	sick.sick.Store(false)
	b.awaitHealthy("v1", 1)
	status, _, _ = b.ask("/")
	assert.Equal(t, http.StatusOK, status)

	sick.sick.Store(true)
	b.awaitHealthy("v1", 0)
	status, _, _ = b.ask("/")
	assert.Equal(t, http.StatusServiceUnavailable, status, "all replicas are down")

	b.mu.Lock()
	defer b.mu.Unlock()
	var states []string
	for _, c := range b.changes {
		states = append(states, c.From.String()+" to "+c.State.String())
	}
	assert.Equal(t, []string{"initial to unhealthy", "unhealthy to healthy", "healthy to unhealthy"}, states)
}

// A replica that was asked before it listened has failed a check, so that HAProxy by
// itself would want Health.Healthy passes of it; a target group wants one of a new
// target. Whoever is healthy takes requests, and what passes is not unhealthy.
func TestRealBalancerTakesANewTargetAtItsFirstPass(t *testing.T) {
	b := newBalancerBench(t, 10, "v1") // a check each second of wall time
	b.shares(stage.Shares{"v1": 100})
	late := b.replica("v1", "v1-1", func(r *benchReplica) { r.sick.Store(true) })
	b.await(func() bool { return b.targets("v1")[0].Detail != "" })
	require.Equal(t, targetInitial, b.targets("v1")[0].State)

	late.sick.Store(false)
	b.awaitHealthy("v1", 1)
	status, _, _ := b.ask("/")
	assert.Equal(t, http.StatusOK, status, "it takes requests as soon as it is healthy")

	b.await(func() bool { // until two checks more have been made
		return late.checks.Load() >= 4
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Len(t, b.changes, 1, "%v", b.changes)
	assert.Equal(t, targetHealthy, b.changes[0].State)
}

func TestRealBalancerFailures(t *testing.T) {
	b := newBalancerBench(t, 60, "v1", "v2")
	one, two := b.replica("v1", "v1-1"), b.replica("v2", "v2-1")
	b.awaitHealthy("v1", 1)
	b.awaitHealthy("v2", 1)
	ctx := t.Context()

	require.NoError(t, b.failAnswers(ctx, "v2", 50))
	const n = 1000
	failed := 0
	for range n {
		if status, body := b.probe("v2", "/"); status == http.StatusInternalServerError {
			failed++
			assert.Equal(t, "v2 ", body, "the target has served it")
		}
	}
	assert.InDelta(t, n/2, failed, 2, "50 %% of answers")
	assert.EqualValues(t, n, two.served.Load())

	logged := 0
	for _, a := range b.logged(n) {
		if a.Status == http.StatusInternalServerError && a.FromTarget {
			logged++
		}
	}
	assert.Equal(t, failed, logged, "the log takes them for the target's own")

	require.NoError(t, b.failAnswers(ctx, "", 100))
	for _, version := range []string{"v1", "v2"} {
		status, _ := b.probe(version, "/empty")
		assert.Equal(t, http.StatusInternalServerError, status, "an answer without a body fails too")
	}
	assert.EqualValues(t, 1, one.served.Load())
	require.NoError(t, b.failAnswers(ctx, "", 0))
	status, _ := b.probe("v1", "/")
	assert.Equal(t, http.StatusOK, status, "healed")

	require.NoError(t, b.delayAnswers(ctx, "v2", 100, 300*time.Millisecond))
	began := clock.Wall()
	var late sync.WaitGroup
	for range 50 {
		late.Go(func() {
			status, _ := b.probe("v2", "/late")
			assert.Equal(t, http.StatusOK, status)
		})
	}
	asked, quick := 0, 0
	for clock.Since(began) < 250*time.Millisecond {
		at := clock.Wall()
		status, _ := b.probe("v1", "/")
		assert.Equal(t, http.StatusOK, status)
		asked++
		if clock.Since(at) < 100*time.Millisecond {
			quick++
		}
	}
	late.Wait()
	assert.GreaterOrEqual(t, clock.Since(began), 300*time.Millisecond)
	assert.Greater(t, quick, asked/2, "delayed answers do not hold up others")
	delayed := 0
	for _, a := range b.logged(n + 3 + 50 + asked) {
		if a.Path == "/late" {
			delayed++
			assert.GreaterOrEqual(t, a.Response, 300*time.Millisecond, "the target response time has the delay")
			assert.True(t, a.FromTarget)
		}
	}
	assert.Equal(t, 50, delayed)
	require.NoError(t, b.delayAnswers(ctx, "v2", 0, 0))
	assert.ErrorContains(t, b.failAnswers(ctx, "v9", 1), "v9")
}

// With chance alone, one of twenty such releases would have none that fails.
func TestRealARareFailureIsThereAndMeetsEveryReplica(t *testing.T) {
	b := newBalancerBench(t, 60, "v2")
	b.replica("v2", "v2-1")
	b.replica("v2", "v2-2")
	b.awaitHealthy("v2", 2)
	failures := func(n int) (failed int) {
		for range n {
			if status, _ := b.probe("v2", "/"); status == http.StatusInternalServerError {
				failed++
			}
		}
		return failed
	}
	require.NoError(t, b.failAnswers(t.Context(), "v2", 0.2))
	assert.InDelta(t, 3, failures(1500), 1, "one in five hundred")

	require.NoError(t, b.failAnswers(t.Context(), "v2", 50))
	hit := map[string]int{}
	seen := 1500
	failures(400)
	for _, a := range b.logged(seen + 400)[seen:] {
		if a.Status == http.StatusInternalServerError {
			hit[a.Target]++
		}
	}
	require.Len(t, hit, 2)
	for replica, n := range hit {
		assert.InDelta(t, 100, n, 2, "%s: half of its answers, although the replicas take turns", replica)
	}
}

func TestRealBalancerIsLostWithItsContainer(t *testing.T) {
	b := newBalancerBench(t, 1, "v1")
	timeout := time.Duration(0)
	require.NoError(t, b.container.Stop(t.Context(), &timeout))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, clock.Poll(ctx, 5*time.Millisecond, func() (bool, error) { return b.balancer.err() != nil, nil }))
	assert.ErrorIs(t, b.balancer.err(), stage.ErrLost)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.balancer.mu.Lock()
	defer b.balancer.mu.Unlock()
	b.lost = nil // expected
}

//go:build containers

package containers_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"go.uber.org/goleak"

	"rehearsal/internal/alarm"
	"rehearsal/internal/containers"
	"rehearsal/internal/stage"
)

// shop is what the tests of this file share: the engine, its images, and the sample
// project in fixtures/.
type shop struct {
	engine  *containers.Engine
	images  *containers.Images
	setup   stage.Setup
	compose *types.Project
}

const fixtures = "../../fixtures/"

var theShop = sync.OnceValues(func() (*shop, error) {
	ctx := context.Background()
	e, err := containers.ConnectEngine(ctx)
	if err != nil {
		return nil, err
	}
	s := &shop{engine: e, setup: shopSetup()}
	if s.compose, err = containers.LoadCompose(ctx, fixtures+"compose.yaml"); err != nil {
		return nil, err
	}
	recipes := []containers.ImageRecipe{containers.GoRecipe{Dir: fixtures + "payments", Package: "."}.For("payments:v1")}
	for name, v := range s.setup.Versions {
		recipes = append(recipes, containers.GoRecipe{Dir: fixtures + "shop", Package: ".", Ldflags: "-X main.build=" + name}.For(v.Image))
	}
	s.images, err = containers.NewImages(e, func(line string) { fmt.Fprintln(os.Stderr, line) }, recipes...)
	if err != nil {
		return nil, err
	}
	return s, s.images.EnsureAll(ctx, "postgres:17", "payments:v1", "shop:v1", "shop:v2", "shop:v2-leaks-memory")
})

// shopSetup is what fixtures/rehearsal.yaml says, as far as containers need it.
func shopSetup() stage.Setup {
	versions := map[string]stage.Version{}
	for _, name := range []string{"v1", "v2", "v2-crashes-at-start", "v2-wrong-variable", "v2-leaks-memory"} {
		versions[name] = stage.Version{Name: name, Image: "shop:" + name}
	}
	browse := stage.Request{Name: "browse", Weight: 70, Method: "GET", Path: "/products"}
	order := stage.Request{
		Name: "order", Weight: 20, Method: "POST", Path: "/orders", Body: `{"product": 1, "quantity": 2}`, Write: true,
		Headers: map[string]string{"Content-Type": "application/json", "Idempotency-Key": "{key}"},
	}
	status := stage.Request{Name: "status", Weight: 10, Method: "GET", Path: "/orders/{acknowledged}", Expect: 200}
	placed := order
	placed.Expect = 201
	return stage.Setup{
		Service: "shop", Versions: versions, Replicas: 2, MemoryLimit: 128 << 20,
		Health: stage.Health{
			Path: "/ready", Port: 8080, Interval: 10 * time.Second, Healthy: 2, Unhealthy: 2, Timeout: time.Second,
			Deadline: time.Minute, Drain: 10 * time.Second,
		},
		Dependencies: []stage.Dependency{
			{Name: "database", Port: 5432, Kind: "postgres", URLFrom: "DATABASE_URL", Readiness: true},
			{Name: "payments", Port: 8080, Kind: "http", URLFrom: "PAYMENTS_URL", Path: "/health", Requests: []string{"order"}},
		},
		Traffic: stage.Load{
			Rate: 50, Timeout: 4 * time.Second, Requests: []stage.Request{browse, order, status},
			Stored: "SELECT idempotency_key FROM orders", StoredIn: "database",
		},
		Smoke: []stage.SmokeRequest{
			{Request: browse, Within: 2 * time.Second, Contains: "price"},
			{Request: placed, Within: 2 * time.Second},
			{Request: status, Within: 2 * time.Second},
		},
		Monitoring: stage.Monitoring{
			LoadBalancer: "app/shop/50dc6c495c0c9188",
			TargetGroups: []string{"targetgroup/shop-a/73e2d6bc24d8a067", "targetgroup/shop-b/0d1c2f3a4b5e6978"},
			Cluster:      "production", Service: "shop", LogGroup: "/ecs/shop",
		},
	}
}

func sample(t *testing.T) *shop {
	t.Helper()
	s, err := theShop()
	if errors.Is(err, containers.ErrNoEngine) {
		t.Skip(err)
	}
	require.NoError(t, err)
	return s
}

func (s *shop) options(t *testing.T) containers.Options {
	setup := s.setup
	return containers.Options{
		Setup: setup, Compose: s.compose, Images: s.images, Pace: 60, Seed: 1,
		Progress: func(line string) { t.Log(line) },
	}
}

// raise raises a stage for the time of a test, and checks that it leaves nothing.
func (s *shop) raise(t *testing.T, o containers.Options) *containers.Stage {
	t.Helper()
	began := time.Now()
	st, err := containers.New(t.Context(), s.engine, o)
	require.NoError(t, err)
	t.Logf("raised in %v", time.Since(began))
	t.Cleanup(func() {
		began := time.Now()
		assert.NoError(t, st.Close(context.Background()))
		t.Logf("closed in %v", time.Since(began))
		assert.Empty(t, s.left(t, idOf(st)), "nothing is left")
		if t.Failed() {
			for _, e := range st.History().Events() {
				if e.Kind != stage.Served {
					t.Logf("%8.2fs %s %s %s", e.At.Seconds(), e.Kind, e.Version, e.Detail)
				}
			}
		}
	})
	return st
}

func idOf(st *containers.Stage) string {
	for e := range st.History().All(stage.Began) {
		return strings.TrimPrefix(e.Detail, "stage ")
	}
	return ""
}

// left is what carries the stage's label in the engine.
func (s *shop) left(t *testing.T, id string) (all []string) {
	t.Helper()
	require.NotEmpty(t, id)
	mine := make(client.Filters).Add("label", "rehearsal.stage="+id)
	containers, err := s.engine.Client.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: mine})
	require.NoError(t, err)
	for _, c := range containers.Items {
		all = append(all, "container "+c.Names[0])
	}
	networks, err := s.engine.Client.NetworkList(context.Background(), client.NetworkListOptions{Filters: mine})
	require.NoError(t, err)
	for _, n := range networks.Items {
		all = append(all, "network "+n.Name)
	}
	volumes, err := s.engine.Client.VolumeList(context.Background(), client.VolumeListOptions{Filters: mine})
	require.NoError(t, err)
	for _, v := range volumes.Items {
		all = append(all, "volume "+v.Name)
	}
	return all
}

func (s *shop) version(name string) stage.Version { return s.setup.Versions[name] }

// timed runs a step and logs what it took.
func timed(t *testing.T, what string, step func() error) {
	t.Helper()
	began := time.Now()
	err := step()
	t.Logf("%-40s %v", what, time.Since(began).Round(time.Millisecond))
	require.NoError(t, err)
}

// served is the requests of a version, and those that failed, since an instant.
func served(h *stage.History, version string, since time.Duration) (requests, failed int64) {
	for e := range h.All(stage.Served) {
		if e.Version == version && e.At >= since {
			requests += e.Traffic.Requests
			failed += e.Traffic.Failed
		}
	}
	return requests, failed
}

func TestAGoodReleaseOnContainers(t *testing.T) {
	s := sample(t)
	o := s.options(t)
	alarms, err := alarm.ParseFile(fixtures + "alarms.json")
	require.NoError(t, err)
	o.Setup.Alarms, o.Setup.Traffic.Rate = alarms, 200
	st, ctx := s.raise(t, o), t.Context()
	v1, v2 := s.version("v1"), s.version("v2")

	for _, d := range []string{"database", "payments"} {
		timed(t, "probe "+d, func() error { return st.Probe(ctx, stage.Probe{Kind: stage.ProbeDependency, Dependency: d}) })
	}
	timed(t, "deploy v1", func() error { return st.Deploy(ctx, v1) })
	timed(t, "shift", func() error { return st.Shift(ctx, stage.Shares{"v1": 100}) })
	timed(t, "wait 1 min", func() error { _, err := st.Wait(ctx, time.Minute, nil); return err })
	timed(t, "deploy v2", func() error { return st.Deploy(ctx, v2) })
	timed(t, "smoke v2", func() error { return st.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"}) })
	timed(t, "shift", func() error { return st.Shift(ctx, stage.Shares{"v1": 50, "v2": 50}) })
	timed(t, "wait 2 min", func() error { _, err := st.Wait(ctx, 2*time.Minute, nil); return err })
	timed(t, "shift", func() error { return st.Shift(ctx, stage.Shares{"v2": 100}) })
	timed(t, "retire v1", func() error { return st.Retire(ctx, v1) })
	timed(t, "wait 1 min", func() error { _, err := st.Wait(ctx, time.Minute, nil); return err })
	timed(t, "audit", func() error { return st.Audit(ctx) })

	h := st.History()
	for _, v := range []string{"v1", "v2"} {
		requests, failed := served(h, v, 0)
		assert.Greater(t, requests, int64(1000), v)
		assert.Zero(t, failed, v)
	}
	for e := range h.All(stage.Audited) {
		assert.True(t, e.OK)
		assert.Positive(t, e.Writes.Acknowledged)
	}
	for e := range h.All(stage.Changed) {
		assert.NotEqual(t, "ALARM", e.Alarm.To.String(), e.Alarm.Name)
	}
}

// serving is a stage on which v1 serves everybody, and its steady state is confirmed.
func (s *shop) serving(t *testing.T, o containers.Options) *containers.Stage {
	t.Helper()
	st, ctx := s.raise(t, o), t.Context()
	require.NoError(t, st.Deploy(ctx, s.version("v1")))
	require.NoError(t, st.Shift(ctx, stage.Shares{"v1": 100}))
	steady(ctx, t, st, "v1")
	return st
}

// steady waits until requests to a version succeed for 10 s of release time.
func steady(ctx context.Context, t *testing.T, st *containers.Stage, version string) {
	t.Helper()
	since := st.History().Now()
	ok, err := st.Wait(ctx, 5*time.Minute, func(h *stage.History) bool {
		for e := range h.All(stage.Served) {
			if e.At >= since && e.Version == version && e.Traffic.Failed > 0 {
				since = e.At + 1
			}
		}
		requests, _ := served(h, version, since)
		return h.Now()-since > 10*time.Second && requests > 0
	})
	require.NoError(t, err)
	require.True(t, ok, "requests to %s never succeeded for 10 s", version)
}

// happened waits for an event.
func happened(ctx context.Context, t *testing.T, st *containers.Stage, within time.Duration, what string, is func(stage.Event) bool) {
	t.Helper()
	ok, err := st.Wait(ctx, within, func(h *stage.History) bool { return slices.ContainsFunc(h.Events(), is) })
	require.NoError(t, err)
	require.True(t, ok, "within %v: %s", within, what)
}

func proofs(h *stage.History) (all []string) {
	for e := range h.All(stage.Landed) {
		all = append(all, e.Detail)
	}
	return all
}

func TestFailuresOfARunningVersionLandAndHeal(t *testing.T) {
	s := sample(t)
	st, ctx := s.serving(t, s.options(t)), t.Context()
	h := st.History()
	for _, c := range []struct {
		failure stage.Failure
		proof   string
		users   bool // they notice
		ready   bool // the version is unhealthy meanwhile
	}{
		{stage.Failure{Kind: stage.Errors, Version: "v1", Share: 50}, "v1 answered GET /ready with 500", true, false},
		{stage.Failure{Kind: stage.Latency, Version: "v1", Delay: 150 * time.Millisecond}, "v1 answered GET /ready after 1", false, false},
		{stage.Failure{Kind: stage.DependencyDown, Version: "v1", Dependency: "payments"}, "v1 cannot connect to payments: ", true, false},
		{stage.Failure{Kind: stage.DependencyDown, Version: "v1", Dependency: "database"}, "v1 cannot connect to database: ", true, true},
		{stage.Failure{Kind: stage.DependencySlow, Version: "v1", Dependency: "payments", Delay: 100 * time.Millisecond}, "v1 got an answer of payments after 1", false, false},
		{stage.Failure{Kind: stage.DependencySlow, Dependency: "database", Delay: 50 * time.Millisecond}, "v1 got an answer of database after ", false, false},
		{stage.Failure{Kind: stage.Hang, Version: "v1"}, "is frozen", true, true},
		{stage.Failure{Kind: stage.CrashLater, Version: "v1"}, "exited with 137 (killed)", true, false},
		{stage.Failure{Kind: stage.CrashLoop, Version: "v1"}, "exited with 137 (killed)", true, true},
		{stage.Failure{Kind: stage.OutOfMemory, Version: "v1"}, "out of memory", true, true},
	} {
		t.Run(c.failure.String(), func(t *testing.T) {
			before := len(proofs(h))
			at := h.Now()
			timed(t, "inject", func() error { return st.Inject(ctx, c.failure) })
			require.Len(t, proofs(h), before+1)
			assert.Contains(t, proofs(h)[before], c.proof)
			t.Log(proofs(h)[before])
			assert.ErrorContains(t, st.Inject(ctx, c.failure), "already")
			if c.users {
				happened(ctx, t, st, 10*time.Minute, "users notice", func(e stage.Event) bool {
					return e.Kind == stage.Served && e.At > at && e.Traffic.Failed > 0
				})
			}
			if c.ready {
				happened(ctx, t, st, 10*time.Minute, "the balancer notices", func(e stage.Event) bool { return e.Kind == stage.Unhealthy && e.At > at })
			}
			timed(t, "heal", func() error { return st.Heal(ctx, c.failure) })
			timed(t, "steady", func() error { steady(ctx, t, st, "v1"); return nil })
			require.NoError(t, st.Heal(ctx, c.failure), "healing what is not there does nothing")
		})
	}
	require.NoError(t, st.Audit(ctx))
	for e := range h.All(stage.Audited) {
		assert.Zero(t, e.Writes.Lost)
	}
}

func TestFailuresOfAVersionNotYetDeployedLandAsItStarts(t *testing.T) {
	s := sample(t)
	for _, c := range []struct {
		failure stage.Failure
		proof   string
		deploy  string // what Deploy says
	}{
		{stage.Failure{Kind: stage.CrashAtStart, Version: "v2"}, "exited with 137 (killed)", "exited with 137 (killed), 3 times"},
		{stage.Failure{Kind: stage.OutOfMemory, Version: "v2"}, "out of memory", "out of memory"},
		{stage.Failure{Kind: stage.Hang, Version: "v2"}, "is frozen", "does not answer"},
		{stage.Failure{Kind: stage.MissingVariable, Version: "v2", Variable: "DATABASE_URL"}, "runs without DATABASE_URL", "DATABASE_URL is not set"},
		{stage.Failure{Kind: stage.WrongVariable, Version: "v2", Variable: "PORT", Value: "99999"}, "runs with PORT=99999", "set it to a number"},
		{stage.Failure{Kind: stage.DependencyDown, Version: "v2", Dependency: "database"}, "v2 cannot connect to database", "503"},
		{stage.Failure{Kind: stage.Errors, Version: "v2", Share: 20}, "v2 answered GET /ready with 500", ""},
	} {
		t.Run(c.failure.String(), func(t *testing.T) {
			t.Parallel()
			o := s.options(t)
			st, ctx := s.raise(t, o), t.Context()
			h := st.History()
			timed(t, "inject", func() error { return st.Inject(ctx, c.failure) })
			assert.Empty(t, proofs(h), "nothing is there that it could hit")
			began := time.Now()
			err := st.Deploy(ctx, s.version("v2"))
			t.Logf("deploy took %v: %v", time.Since(began), err)
			if c.deploy == "" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, stage.ErrUnhealthy)
				require.ErrorContains(t, err, c.deploy)
			}
			require.Len(t, proofs(h), 1)
			require.Contains(t, proofs(h)[0], c.proof)
			timed(t, "heal", func() error { return st.Heal(ctx, c.failure) })
			timed(t, "deploy again", func() error { return st.Deploy(ctx, s.version("v2")) })
			timed(t, "retire", func() error { return st.Retire(ctx, s.version("v2")) })
		})
	}
}

func TestAStageThatLosesAPartSaysSo(t *testing.T) {
	s := sample(t)
	for _, part := range []string{"toxiproxy-1", "balancer", "database"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			st, ctx := s.serving(t, s.options(t)), t.Context()
			_, err := s.engine.Client.ContainerKill(ctx, "rehearsal-"+idOf(st)+"-"+part, client.ContainerKillOptions{Signal: "KILL"})
			require.NoError(t, err)
			began := time.Now()
			_, err = st.Wait(ctx, time.Hour, nil)
			require.ErrorIs(t, err, stage.ErrLost)
			require.Less(t, time.Since(began), 5*time.Second)
			t.Log(err)
			require.ErrorIs(t, st.Deploy(ctx, s.version("v2")), stage.ErrLost)
			require.ErrorIs(t, st.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: "v1"}), stage.ErrLost)
		})
	}
}

func TestACancelledStageLeavesNothing(t *testing.T) {
	s := sample(t)
	for name, act := range map[string]func(context.Context, *containers.Stage) error{
		"deploying": func(ctx context.Context, st *containers.Stage) error { return st.Deploy(ctx, s.version("v2")) },
		"waiting": func(ctx context.Context, st *containers.Stage) error {
			_, err := st.Wait(ctx, time.Hour, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := s.serving(t, s.options(t))
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			began := time.Now()
			require.ErrorIs(t, act(ctx, st), context.DeadlineExceeded)
			require.Less(t, time.Since(began), 2*time.Second)
			require.NoError(t, st.Close(ctx), "with a context that has ended")
			require.Empty(t, s.left(t, idOf(st)))
			_, err := st.Wait(context.Background(), time.Second, nil)
			require.ErrorContains(t, err, "closed")
		})
	}
}

func TestAStageThatCannotBeRaisedLeavesNothing(t *testing.T) {
	s := sample(t)
	for _, after := range []time.Duration{20, 100, 300, 600, 900} {
		ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
		_, err := containers.New(ctx, s.engine, s.options(t))
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	o := s.options(t)
	o.Compose = s.loadCompose(t, func(yaml string) string { return strings.Replace(yaml, "--username=shop", "--port=1", 1) })
	database := o.Compose.Services["database"]
	database.HealthCheck.Retries = new(uint64)
	o.Compose.Services["database"] = database
	began := time.Now()
	_, err := containers.New(t.Context(), s.engine, o)
	require.ErrorContains(t, err, "service database: not healthy after")
	require.ErrorContains(t, err, "exit status 2")
	require.ErrorContains(t, err, "it said last:")
	t.Logf("%v: %v", time.Since(began), err)
	o.Compose = s.loadCompose(t, func(yaml string) string {
		return strings.Replace(yaml, "image: payments:v1", "image: payments:nobody-has-this", 1)
	})
	_, err = containers.New(t.Context(), s.engine, o)
	require.ErrorContains(t, err, "payments:nobody-has-this")
	mine := make(client.Filters).Add("label", "rehearsal.stage").Add("label", "org.testcontainers.sessionId="+testcontainers.SessionID())
	networks, err := s.engine.Client.NetworkList(t.Context(), client.NetworkListOptions{Filters: mine})
	require.NoError(t, err)
	assert.Empty(t, networks.Items)
	left, err := s.engine.Client.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: mine})
	require.NoError(t, err)
	assert.Empty(t, left.Items)
}

// loadCompose is the sample's compose file with an edit.
func (s *shop) loadCompose(t *testing.T, edit func(string) string) *types.Project {
	t.Helper()
	data, err := os.ReadFile(fixtures + "compose.yaml")
	require.NoError(t, err)
	folder, err := filepath.Abs(fixtures)
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "compose.yaml")
	text := strings.ReplaceAll(edit(string(data)), "./migrations", folder+"/migrations")
	require.NotEqual(t, string(data), text)
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	p, err := containers.LoadCompose(t.Context(), name)
	require.NoError(t, err)
	return p
}

func TestAStageHasNoWayOut(t *testing.T) {
	s := sample(t)
	st := s.raise(t, s.options(t))
	database := "rehearsal-" + idOf(st) + "-database"
	began := time.Now()
	out := s.exec(t, database, "psql", "host=example.com connect_timeout=9", "-c", "select 1")
	require.Contains(t, out, "Connection refused")
	require.Less(t, time.Since(began), 3*time.Second, "it is told at once")
	require.Contains(t, s.exec(t, database, "psql", "host=databose connect_timeout=9", "-c", "select 1"), "could not translate host name")
	require.Contains(t, s.exec(t, database, "psql", "host=192.0.2.1 connect_timeout=9", "-c", "select 1"), "No route to host")

	outward := s.version("v1")
	outward.Environment = map[string]string{"PAYMENTS_URL": "https://api.payments.example:8443"}
	require.NoError(t, st.Deploy(t.Context(), outward))
	require.ErrorIs(t, st.Probe(t.Context(), stage.Probe{Kind: stage.ProbeSmoke, Version: "v1"}), stage.ErrProbe)
	calls := func(h *stage.History) (all []string) {
		for e := range h.All(stage.CalledOut) {
			all = append(all, strings.TrimSpace(e.Version+" "+e.Call.String()))
		}
		return all
	}
	want := []string{"database called example.com:5432", "database looked up databose", "database called an address outside by its number", "v1 shop called api.payments.example:8443"}
	held, err := st.Wait(t.Context(), 10*time.Minute, func(h *stage.History) bool { return len(calls(h)) >= len(want) })
	require.NoError(t, err)
	require.True(t, held, calls(st.History()))
	require.ElementsMatch(t, want, calls(st.History()))

	for _, one := range []string{"database", "payments", "balancer", "toxiproxy-1", "border"} {
		info, err := s.engine.Client.ContainerInspect(t.Context(), "rehearsal-"+idOf(st)+"-"+one, client.ContainerInspectOptions{})
		require.NoError(t, err)
		for name := range info.Container.NetworkSettings.Networks {
			network, err := s.engine.Client.NetworkInspect(t.Context(), name, client.NetworkInspectOptions{})
			require.NoError(t, err)
			require.True(t, network.Network.Internal, "%s is on network %s", one, name)
		}
	}
	require.Contains(t, s.exec(t, database, "env"), "POSTGRES_USER=shop")
	require.NotContains(t, strings.ToLower(s.exec(t, database, "env")), "proxy")
}

// exec is what a command in a container says.
func (s *shop) exec(t *testing.T, name string, command ...string) string {
	t.Helper()
	made, err := s.engine.Client.ExecCreate(t.Context(), name, client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	require.NoError(t, err)
	conn, err := s.engine.Client.ExecAttach(t.Context(), made.ID, client.ExecAttachOptions{})
	require.NoError(t, err)
	defer conn.Close()
	var said bytes.Buffer
	_, err = stdcopy.StdCopy(&said, &said, conn.Reader)
	require.NoError(t, err)
	return said.String()
}

func TestAVersionThatCannotStartIsUnhealthy(t *testing.T) {
	s := sample(t)
	o := s.options(t)
	o.Setup.Versions = map[string]stage.Version{
		"none":  {Name: "none", Image: "shop:nobody-has-this"},
		"other": {Name: "other", Image: "postgres:17", Environment: map[string]string{"POSTGRES_HOST_AUTH_METHOD": "trust"}},
		"v1":    s.version("v1"),
	}
	st, ctx := s.raise(t, o), t.Context()
	err := st.Deploy(ctx, o.Setup.Versions["none"])
	require.ErrorIs(t, err, stage.ErrUnhealthy)
	require.ErrorContains(t, err, "shop:nobody-has-this")
	require.NoError(t, st.Retire(ctx, o.Setup.Versions["none"]), "clears what is left of it")
	require.ErrorContains(t, st.Deploy(ctx, stage.Version{Name: "v7"}), "there are none, other, v1")
	require.ErrorContains(t, st.Shift(ctx, stage.Shares{"v1": 100}), "not deployed")
	require.ErrorContains(t, st.Shift(ctx, stage.Shares{"v1": 120}), "120")
	require.Error(t, st.Retire(ctx, s.version("v2")))
	require.ErrorContains(t, st.Inject(ctx, stage.Failure{Kind: stage.Hang, Version: "v9"}), "v9")
	require.ErrorContains(t, st.Inject(ctx, stage.Failure{Kind: stage.DependencyDown, Dependency: "cache"}), "cache")
	for _, f := range []stage.Failure{{Kind: stage.LostWrites}, {Kind: stage.MemoryLeak, PerRequest: 1}, {Kind: stage.Errors, Request: "order"}} {
		require.ErrorIs(t, st.Inject(ctx, f), errors.ErrUnsupported)
	}
}

func TestReplicasComeAndGo(t *testing.T) {
	s := sample(t)
	st, ctx := s.serving(t, s.options(t)), t.Context()
	three, one := s.version("v1"), s.version("v1")
	three.Replicas, one.Replicas = 3, 1
	timed(t, "one more", func() error { return st.Deploy(ctx, three) })
	timed(t, "two less", func() error { return st.Deploy(ctx, one) })
	steady(ctx, t, st, "v1")
	var replicas []int
	for e := range st.History().All(stage.Deployed) {
		replicas = append(replicas, e.Replicas)
	}
	require.Equal(t, []int{2, 3, 1}, replicas)
	_, failed := served(st.History(), "v1", 0)
	require.Zero(t, failed, "no request is lost by it")
	require.ErrorContains(t, st.Retire(ctx, one), "still gets 100 %")
}

func TestAKeptStageRunsOn(t *testing.T) {
	s := sample(t)
	o := s.options(t)
	o.Keep = true
	var said []string
	o.Progress = func(line string) { said = append(said, line) }
	st, err := containers.New(t.Context(), s.engine, o)
	require.NoError(t, err)
	require.NoError(t, st.Deploy(t.Context(), s.version("v1")))
	require.NoError(t, st.Close(t.Context()))
	id := idOf(st)
	require.Contains(t, strings.Join(said, "\n"), "rehearsal.stage="+id)
	mine := make(client.Filters).Add("label", "rehearsal.stage="+id)
	list, err := s.engine.Client.ContainerList(t.Context(), client.ContainerListOptions{Filters: mine})
	require.NoError(t, err)
	require.Len(t, list.Items, 7, "border, database, payments, balancer, Toxiproxy and two replicas")
	reapers, err := s.engine.Client.ContainerList(t.Context(), client.ContainerListOptions{
		Filters: make(client.Filters).Add("label", "org.testcontainers.ryuk=true").Add("label", "org.testcontainers.sessionId="+testcontainers.SessionID()),
	})
	require.NoError(t, err)
	require.Empty(t, reapers.Items, "nobody takes them when this process ends")
	for _, c := range list.Items {
		assert.Equal(t, "running", string(c.State))
		_, err := s.engine.Client.ContainerRemove(t.Context(), c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		require.NoError(t, err)
	}
	_, err = s.engine.Client.NetworkRemove(t.Context(), "rehearsal-"+id, client.NetworkRemoveOptions{})
	require.NoError(t, err)
	require.Empty(t, s.left(t, id))
}

func TestAnEngineElsewhereIsDrivenByPublishedPorts(t *testing.T) {
	s := sample(t)
	elsewhere := *s.engine
	elsewhere.Local, elsewhere.PublishedHost = false, "127.0.0.1"
	remote := *s
	remote.engine = &elsewhere
	st, ctx := remote.serving(t, remote.options(t)), t.Context()
	for _, f := range []stage.Failure{
		{Kind: stage.DependencyDown, Version: "v1", Dependency: "database"},
		{Kind: stage.DependencySlow, Version: "v1", Dependency: "payments", Delay: 100 * time.Millisecond},
	} {
		require.NoError(t, st.Inject(ctx, f))
		t.Log(proofs(st.History()))
		require.NoError(t, st.Probe(ctx, stage.Probe{Kind: stage.ProbeDependency, Dependency: f.Dependency}), "without a version, past its failures")
		require.NoError(t, st.Heal(ctx, f))
	}
	steady(ctx, t, st, "v1")
	require.NoError(t, st.Probe(ctx, stage.Probe{Kind: stage.ProbeSmoke, Version: "v1"}))
	require.NoError(t, st.Audit(ctx))
}

func TestAClosedStageLeavesNoGoroutine(t *testing.T) {
	s := sample(t)
	t.Run("first", func(t *testing.T) { s.serving(t, s.options(t)) }) // what the process starts once
	before := goleak.IgnoreCurrent()
	t.Run("one", func(t *testing.T) {
		st := s.serving(t, s.options(t))
		ctx := t.Context()
		require.NoError(t, st.Inject(ctx, stage.Failure{Kind: stage.Hang, Version: "v1"}))
		require.NoError(t, st.Inject(ctx, stage.Failure{Kind: stage.CrashLater, Version: "v2", After: time.Hour}))
		require.NoError(t, st.Inject(ctx, stage.Failure{Kind: stage.CrashLoop, Version: "v2"}))
		require.ErrorIs(t, st.Deploy(ctx, s.version("v2")), stage.ErrUnhealthy)
	})
	require.NoError(t, s.engine.Client.Close()) // its idle connections
	goleak.VerifyNone(t, before)
}

// asChild is set, to the name of a test, where this test program runs a second time
// to do what its own process must not.
const asChild = "REHEARSAL_TEST_CHILD"

// child runs this test in a process of its own, and returns that, and the lines that
// it prints.
func child(t *testing.T, environment ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	own := func(v string) bool {
		return strings.HasPrefix(v, "TESTCONTAINERS_") || strings.HasPrefix(v, "DOCKER_HOST=")
	}
	process.Env = append(slices.DeleteFunc(os.Environ(), own), append(environment, asChild+"="+t.Name())...)
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	return process, bufio.NewScanner(out)
}

// told is what follows the prefix in the next line that begins with it.
func told(t *testing.T, lines *bufio.Scanner, prefix string) string {
	t.Helper()
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok {
			return rest
		}
		t.Log(lines.Text())
	}
	require.FailNow(t, "the child ended without a line that begins with "+prefix)
	return ""
}

func TestTheReaperTakesWhatAKilledProcessLeaves(t *testing.T) {
	s := sample(t)
	if os.Getenv(asChild) != "" {
		st, err := containers.New(t.Context(), s.engine, s.options(t))
		require.NoError(t, err)
		require.NoError(t, st.Deploy(t.Context(), s.version("v1")))
		fmt.Println("stage", idOf(st))
		select {} // until it is killed
	}
	process, lines := child(t)
	id := told(t, lines, "stage ")
	require.Len(t, s.left(t, id), 8, "border, database, payments, balancer, Toxiproxy, two replicas and their network")
	require.NoError(t, process.Process.Kill())
	began := time.Now()
	require.Eventually(t, func() bool { return len(s.left(t, id)) == 0 }, 20*time.Second, 100*time.Millisecond)
	t.Logf("gone after %v", time.Since(began))
}

func TestAnEngineThatGoesAwayIsALostStage(t *testing.T) {
	s := sample(t)
	if os.Getenv(asChild) != "" {
		st, err := containers.New(t.Context(), s.engine, s.options(t))
		require.NoError(t, err)
		require.NoError(t, st.Deploy(t.Context(), s.version("v1")))
		require.NoError(t, st.Shift(t.Context(), stage.Shares{"v1": 100}))
		fmt.Println("stage", idOf(st))
		_, err = st.Wait(t.Context(), 24*time.Hour, nil)
		fmt.Println("lost", errors.Is(err, stage.ErrLost), err)
		err = st.Close(context.Background())
		fmt.Println("closed", err)
		return
	}
	path, ok := strings.CutPrefix(s.engine.Host, "unix://")
	if !ok {
		path = "/var/run/docker.sock"
	}
	front := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", front)
	require.NoError(t, err)
	var mu sync.Mutex
	var open []net.Conn
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", path)
			if err != nil {
				_ = from.Close()
				continue
			}
			mu.Lock()
			open = append(open, from, to)
			mu.Unlock()
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				_ = to.(*net.UnixConn).CloseWrite()
			}
			go pass(to, from)
			go pass(from, to)
		}
	}()
	_, lines := child(t, "DOCKER_HOST=unix://"+front, "TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE="+path)
	id := told(t, lines, "stage ")
	began := time.Now()
	require.NoError(t, listener.Close())
	mu.Lock()
	for _, c := range open {
		_ = c.Close()
	}
	mu.Unlock()
	lost := told(t, lines, "lost ")
	t.Logf("%v: %s", time.Since(began), lost)
	require.True(t, strings.HasPrefix(lost, "true"), lost)
	require.Contains(t, lost, "the Docker engine does not answer any more")
	require.Less(t, time.Since(began), 8*time.Second)
	closed := told(t, lines, "closed")
	t.Logf("%v: %s", time.Since(began), closed)
	require.Less(t, time.Since(began), 15*time.Second)
	require.Eventually(t, func() bool { return len(s.left(t, id)) == 0 }, 20*time.Second, 100*time.Millisecond, "the reaper takes what is left")
}

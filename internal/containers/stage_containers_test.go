//go:build containers

package containers_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/containers"
	"rehearsal/internal/project"
	"rehearsal/internal/stage"
)

// shop is what the tests of this file share: the engine, the sample project and
// its images.
type shop struct {
	engine  *containers.Engine
	images  *containers.Images
	project *project.Project
}

var theShop = sync.OnceValues(func() (*shop, error) {
	e, err := containers.ConnectEngine(context.Background())
	if err != nil {
		return nil, err
	}
	p, err := project.Load(context.Background(), "../../fixtures/rehearsal.yaml")
	if err != nil {
		return nil, err
	}
	m, err := containers.NewImages(e, func(line string) { os.Stderr.WriteString(line + "\n") }, p.Recipes...)
	return &shop{e, m, p}, err
})

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
	setup := s.project.Setup
	setup.Dependencies = slices.Clone(setup.Dependencies)
	setup.Dependencies[1].Port = 8080
	setup.Alarms = slices.DeleteFunc(slices.Clone(setup.Alarms), func(a alarm.Alarm) bool { return a.AlarmName == "shop-error-logs" })
	return containers.Options{
		Setup: setup, Compose: s.project.Compose, Images: s.images, Pace: 60, Seed: 1,
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

func (s *shop) version(name string) stage.Version { return s.project.Setup.Versions[name] }

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
	st, ctx := s.raise(t, s.options(t)), t.Context()
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

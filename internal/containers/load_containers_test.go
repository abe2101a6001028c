//go:build containers

package containers_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

func TestALoadIsMeasuredOnContainers(t *testing.T) {
	s := sample(t)
	o := s.options(t)
	o.Pace, o.Setup.CPUs = 1, 0.5
	st := s.raise(t, o)
	ctx, h := t.Context(), st.History()
	require.NoError(t, st.Deploy(ctx, s.version("v1")))
	require.NoError(t, st.Shift(ctx, stage.Shares{"v1": 100}))
	require.NoError(t, st.Load(ctx, 200))
	before, err := st.Parts(ctx)
	require.NoError(t, err)
	from := h.Now()
	require.NoError(t, st.Serve(ctx, 3*time.Second))
	requests, failed := served(h, "v1", from)
	assert.InDelta(t, 600, requests, 60)
	assert.Zero(t, failed)
	after, err := st.Parts(ctx)
	require.NoError(t, err)
	require.Len(t, after, len(before))
	for i, p := range after {
		used := p.Used - before[i].Used
		t.Logf("%s %s: %v of %g CPUs, %v per request", p.Kind, p.Name, used, p.CPUs, used/600)
		if p.Kind == stage.PartVersion || p.Kind == stage.PartMachine || p.Kind == stage.PartBalancer {
			assert.Positive(t, used, "%s", p.Kind)
		}
	}
	require.NoError(t, st.Close(context.WithoutCancel(ctx)))
}

// late is how many of the version's measured answers since then took longer.
func late(h *stage.History, version string, since, than time.Duration) (n, of int64) {
	for e := range h.All(stage.Served) {
		if e.Version == version && e.Traffic.From >= since {
			for _, l := range e.Traffic.Latencies {
				of += l.N
				if l.Took > than {
					n += l.N
				}
			}
		}
	}
	return n, of
}

func TestOneReplicaFaresOtherwise(t *testing.T) {
	s := sample(t)
	o := s.options(t)
	o.Setup.Replicas, o.Setup.CPUs = 4, 0.5
	st, ctx := s.serving(t, o), t.Context()
	h := st.History()

	slow := stage.Failure{Kind: stage.SlowReplica, Version: "v1", Delay: 300 * time.Millisecond}
	require.NoError(t, st.Inject(ctx, slow))
	from := h.Now()
	require.NoError(t, st.Serve(ctx, 4*time.Second))
	n, of := late(h, "v1", from, 250*time.Millisecond)
	assert.InDelta(t, 0.25, float64(n)/float64(of), 0.08, "one of four is slow: %d of %d", n, of)

	uneven := stage.Failure{Kind: stage.UnevenBalance, Version: "v1", Times: 6}
	require.NoError(t, st.Inject(ctx, uneven))
	from = h.Now()
	require.NoError(t, st.Serve(ctx, 4*time.Second))
	n, of = late(h, "v1", from, 250*time.Millisecond)
	assert.InDelta(t, 6.0/9, float64(n)/float64(of), 0.1, "and now it gets six of nine: %d of %d", n, of)
	require.NoError(t, st.Heal(ctx, slow))
	require.NoError(t, st.Heal(ctx, uneven))
	from = h.Now()
	require.NoError(t, st.Serve(ctx, 2*time.Second))
	n, of = late(h, "v1", from, 250*time.Millisecond)
	assert.LessOrEqual(t, n, of/50, "healed is healed")
	for _, p := range proofs(h) {
		t.Log(p)
	}
	assert.Regexp(t, `^v1-1 got \d+ of \d+ requests to v1$`, proofs(h)[1])
}

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

//go:build containers

package containers

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/clock"
)

// A balancer whose container ends as it starts has no address, and says why it ended.
func TestABalancerThatEndsAsItStartsSaysWhy(t *testing.T) {
	realEngine(t, nil, balancerImage)
	b := &balancer{options: balancerOptions{Networks: []string{"bridge"}, Name: "rehearsal-test-broken-balancer", Direct: true}}
	require.NoError(t, b.run(t.Context(), map[string]string{balancerDir + "/haproxy.cfg": "nonsense here\n"}))
	t.Cleanup(func() { assert.NoError(t, b.container.Terminate(context.Background())) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, clock.Poll(ctx, 10*time.Millisecond, func() (bool, error) {
		state, err := b.container.State(ctx)
		return err == nil && !state.Running, err
	}))
	require.ErrorContains(t, b.find(t.Context()), "unknown keyword 'nonsense'")
}

package check_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
	"rehearsal/internal/stage"
)

// The proof that a process was killed may come after what the balancer makes of it:
// the users are exposed from when it shows.
func TestExposureBeginsWhenAFailureShows(t *testing.T) {
	now := time.Duration(0)
	h := stage.NewHistory(func() time.Duration { return now }, nil)
	f := stage.Failure{Kind: stage.CrashLater, Version: "v2"}
	at := func(d time.Duration, e stage.Event) { now = d; h.Record(e) }
	at(1*time.Second, stage.Event{Kind: stage.Injected, Failure: &f})
	at(2*time.Second, stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 90, "v2": 10}})
	at(60*time.Second, stage.Event{Kind: stage.Unhealthy, Version: "v2"})
	at(61*time.Second, stage.Event{Kind: stage.Decided, Version: "v2"})
	at(62*time.Second, stage.Event{Kind: stage.Shifted, Shares: stage.Shares{"v1": 100}})
	at(63*time.Second, stage.Event{Kind: stage.Landed, Failure: &f})
	exposed, ok := check.Exposure(h, "v2")
	require.True(t, ok)
	assert.Equal(t, 60*time.Second, exposed)
	assert.Equal(t, time.Second, check.Measure(h, "v2").Detect)
}

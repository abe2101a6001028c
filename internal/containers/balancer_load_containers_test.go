//go:build containers

package containers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// underLoad sends the users' traffic to the balancer until stop, which returns what
// the users saw.
func (b *balancerBench) underLoad(rate float64, timeout time.Duration) (history *stage.History, stop func() stage.Traffic) {
	b.t.Helper()
	history = stage.NewHistory(b.clock.Now, nil)
	users, err := startTraffic(trafficOptions{
		Load: stage.Load{Rate: rate, Timeout: timeout, Requests: []stage.Request{
			{Name: "browse", Weight: 3, Path: "/products", Expect: 200},
			{Name: "order", Weight: 1, Method: "POST", Path: "/orders", Body: "{key}", Write: true, Expect: 200},
		}},
		URL: b.usersURL(), Clock: b.clock, History: history, Seed: 1,
	})
	require.NoError(b.t, err)
	stopped := false
	stop = func() (sum stage.Traffic) {
		if !stopped {
			require.NoError(b.t, users.stop(context.Background()))
		}
		stopped = true
		for e := range history.All(stage.Served) {
			sum.Requests += e.Traffic.Requests
			sum.Failed += e.Traffic.Failed
			if e.Traffic.Failed > 0 {
				b.t.Logf("%d of %d requests to %q failed from %v to %v", e.Traffic.Failed, e.Traffic.Requests, e.Version, e.Traffic.From, e.Traffic.To)
			}
		}
		return sum
	}
	b.t.Cleanup(func() { stop() })
	return history, stop
}

func unhurried(r *benchReplica) { r.slow = 5 * time.Millisecond }

func TestRealNoRequestIsLostByAShiftOrADrain(t *testing.T) {
	b := newBalancerBench(t, 60, "v1", "v2")
	replicas := map[string]*benchReplica{}
	deploy := func(version string, from, to int) {
		for i := from; i <= to; i++ {
			name := fmt.Sprintf("%s-%d", version, i)
			replicas[name] = b.replica(version, name, unhurried)
		}
		b.awaitHealthy(version, to-from+1)
	}
	retire := func(version string, from, to int) {
		for i := from; i <= to; i++ {
			name := fmt.Sprintf("%s-%d", version, i)
			cut, err := b.drain(t.Context(), version, name, 5*time.Second)
			require.NoError(t, err)
			assert.Zero(t, cut)
			require.NoError(t, b.remove(t.Context(), version, name))
			replicas[name].Close()
		}
	}
	deploy("v1", 1, 2)
	b.shares(stage.Shares{"v1": 100})
	history, stop := b.underLoad(400, 4*time.Second)
	for round := range 3 {
		deploy("v2", 10*round+1, 10*round+2)
		for share := 0.0; share <= 100; share += 2.5 {
			b.shares(stage.Shares{"v1": 100 - share, "v2": share})
		}
		retire("v1", 10*round+1, 10*round+2)
		deploy("v1", 10*round+11, 10*round+12)
		b.shares(stage.Shares{"v1": 100})
		retire("v2", 10*round+1, 10*round+2)
	}
	sum := stop()
	assert.Greater(t, sum.Requests, int64(400), "there was a load")
	assert.Zero(t, sum.Failed)
	served := map[string]bool{}
	for e := range history.All(stage.Served) {
		served[e.Version] = true
	}
	assert.Equal(t, map[string]bool{"v1": true, "v2": true}, served)
	logged := 0.0
	for _, a := range b.logged(int(sum.Requests)) {
		logged += a.Weight
	}
	assert.EqualValues(t, sum.Requests, logged, "every request of the users is in the balancer's log")
}

func TestRealAVersionGetsNothingAfterTheShiftAwayFromIt(t *testing.T) {
	b := newBalancerBench(t, 60, "v1", "v2")
	b.replica("v1", "v1-1")
	two := b.replica("v2", "v2-1")
	b.awaitHealthy("v1", 1)
	b.awaitHealthy("v2", 1)
	b.shares(stage.Shares{"v1": 50, "v2": 50})
	_, stop := b.underLoad(400, 4*time.Second)
	b.await(func() bool { return two.served.Load() > 20 })
	b.shares(stage.Shares{"v1": 100})
	cut, err := b.drain(t.Context(), "v2", "v2-1", time.Second) // what is under way ends
	require.NoError(t, err)
	require.Zero(t, cut)
	then, logged := two.served.Load(), len(b.logged(0))
	b.logged(logged + 100)
	assert.Equal(t, then, two.served.Load())
	assert.Zero(t, stop().Failed)
}

func TestRealDrainTellsWhatItCuts(t *testing.T) {
	b := newBalancerBench(t, 60, "v1")
	slow := b.replica("v1", "v1-1", func(r *benchReplica) { r.slow = time.Minute })
	b.awaitHealthy("v1", 1)
	b.shares(stage.Shares{"v1": 100})
	_, stop := b.underLoad(20, 4*time.Second)
	b.await(func() bool { return slow.served.Load() >= 2 })
	cut, err := b.drain(t.Context(), "v1", "v1-1", 50*time.Millisecond)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, cut, 2)
	require.NoError(t, b.remove(t.Context(), "v1", "v1-1"))
	assert.Empty(t, b.targets("v1"))
	_, err = b.drain(t.Context(), "v1", "v1-1", time.Second)
	assert.ErrorContains(t, err, "no target v1-1")
	sum := stop()
	assert.Equal(t, sum.Requests, sum.Failed)
}

func TestRealUnansweredRequestsHaveAVersion(t *testing.T) {
	b := newBalancerBench(t, 60, "v1", "v2")
	b.replica("v1", "v1-1")
	hangs := b.replica("v2", "v2-1", func(r *benchReplica) { r.slow = time.Minute })
	b.awaitHealthy("v1", 1)
	b.awaitHealthy("v2", 1)
	b.shares(stage.Shares{"v1": 50, "v2": 50})
	history, stop := b.underLoad(100, 200*time.Millisecond)
	b.await(func() bool { return hangs.served.Load() >= 20 })
	sum := stop()
	failed := int64(0)
	for e := range history.All(stage.Served) {
		if e.Version == "v2" {
			failed += e.Traffic.Failed
		}
	}
	assert.Equal(t, sum.Failed, failed)
	assert.GreaterOrEqual(t, failed, int64(20))
	left := 0
	for _, a := range b.logged(int(sum.Requests)) {
		if a.Target == "v2-1" {
			assert.Zero(t, a.Status, "the user left before")
			left++
		}
	}
	assert.EqualValues(t, failed, left)
}

func TestRealACrashedReplicaIsLeftOut(t *testing.T) {
	b := newBalancerBench(t, 60, "v1")
	b.replica("v1", "v1-1")
	crashes := b.replica("v1", "v1-2")
	b.awaitHealthy("v1", 2)
	b.shares(stage.Shares{"v1": 100})
	_, stop := b.underLoad(400, 4*time.Second)
	b.await(func() bool { return crashes.served.Load() > 20 })
	require.NoError(t, crashes.Listener.Close())
	crashes.CloseClientConnections()
	b.awaitHealthy("v1", 1)
	logged := len(b.logged(0))
	for _, a := range b.logged(logged + 200)[logged+20:] { // some were under way
		assert.Equal(t, 200, a.Status)
	}
	sum := stop()
	assert.Less(t, float64(sum.Failed)/float64(sum.Requests), 0.1, "only what was under way fails: connections it refuses go to the other replica")
	require.NoError(t, b.remove(t.Context(), "v1", "v1-2"))
}

// BenchmarkShift shifts traffic between two versions under 200 requests per second,
// once for every two requests. No request may fail: run it with -benchtime 1000x.
func BenchmarkShift(b *testing.B) {
	bench := newBalancerBench(b, 60, "v1", "v2")
	var replicas []*benchReplica
	for _, version := range []string{"v1", "v2"} {
		replicas = append(replicas, bench.replica(version, version+"-1", unhurried), bench.replica(version, version+"-2", unhurried))
		bench.awaitHealthy(version, 2)
	}
	bench.shares(stage.Shares{"v1": 100})
	_, stop := bench.underLoad(200, 4*time.Second)
	served := func() (n int64) {
		for _, r := range replicas {
			n += r.served.Load()
		}
		return n
	}
	var shifting time.Duration
	b.ResetTimer()
	for i := range b.N {
		before := served()
		bench.await(func() bool { return served() >= before+2 })
		share, began := float64(i%1001), clock.Wall()
		bench.shares(stage.Shares{"v1": 100 - share/10, "v2": share / 10})
		shifting += clock.Since(began)
	}
	b.StopTimer()
	sum := stop()
	b.ReportMetric(float64(shifting.Microseconds())/1000/float64(b.N), "ms/shift")
	b.ReportMetric(float64(sum.Requests), "requests")
	b.ReportMetric(float64(sum.Failed), "failed")
	if sum.Failed > 0 {
		b.Errorf("%d of %d requests failed during %d shifts", sum.Failed, sum.Requests, b.N)
	}
}

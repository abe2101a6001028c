package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// shopLoad is traffic like a shop's.
func shopLoad(rate float64) stage.Load {
	return stage.Load{Rate: rate, Timeout: 2 * time.Second, Requests: []stage.Request{
		{Name: "browse", Weight: 70, Method: "GET", Path: "/products"},
		{Name: "order", Weight: 20, Method: "POST", Path: "/orders", Body: `{"key": "{key}"}`, Write: true,
			Headers: map[string]string{"Idempotency-Key": "{key}"}},
		{Name: "status", Weight: 10, Method: "GET", Path: "/orders/{acknowledged}", Expect: 200},
	}}
}

// trafficBench is traffic to a handler of the test.
type trafficBench struct {
	*traffic
	t       *testing.T
	clock   *clock.Paced
	history *stage.History
}

func newTrafficBench(t *testing.T, load stage.Load, handler http.HandlerFunc) *trafficBench {
	t.Helper()
	before := goleak.IgnoreCurrent()
	server := httptest.NewServer(handler)
	b := &trafficBench{t: t, clock: clock.NewPaced(60)}
	b.history = stage.NewHistory(b.clock.Now, nil)
	var err error
	b.traffic, err = startTraffic(trafficOptions{Load: load, URL: server.URL, Clock: b.clock, History: b.history, Seed: 7})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, b.stop(context.Background()))
		server.Close()
		goleak.VerifyNone(t, before)
	})
	return b
}

// total adds up what was served.
func (b *trafficBench) total() stage.Traffic {
	var sum stage.Traffic
	for e := range b.history.All(stage.Served) {
		sum.Requests += e.Traffic.Requests
		sum.Failed += e.Traffic.Failed
		sum.Acknowledged += e.Traffic.Acknowledged
	}
	return sum
}

// await waits until so many requests have been recorded.
func (b *trafficBench) await(requests int64) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(b.t, clock.Poll(ctx, time.Millisecond, func() (bool, error) { return b.total().Requests >= requests, nil }))
}

func TestTrafficRecordsWhatUsersSee(t *testing.T) {
	var mu sync.Mutex
	seen, orders := 0, map[string]bool{}
	var strange []string
	b := newTrafficBench(t, shopLoad(1000), func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen++
		w.Header().Set(versionHeader, "v1")
		body, _ := io.ReadAll(r.Body)
		key := r.Header.Get("Idempotency-Key")
		switch {
		case r.Method == "POST" && string(body) == fmt.Sprintf(`{"key": %q}`, key) && !orders[key]:
			orders[key] = true
			w.WriteHeader(http.StatusCreated)
		case r.Method == "GET" && (r.URL.Path == "/products" || orders[strings.TrimPrefix(r.URL.Path, "/orders/")]):
			assert.Empty(t, body)
		default:
			strange = append(strange, r.Method+" "+r.URL.Path)
			w.WriteHeader(http.StatusNotFound)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Vegeta") || name == trafficClaim {
				strange = append(strange, name)
			}
		}
	})
	b.await(500)
	require.NoError(t, b.stop(t.Context()))
	mu.Lock()
	defer mu.Unlock()
	assert.Empty(t, strange)
	total := b.total()
	assert.EqualValues(t, seen, total.Requests, "every request is recorded once")
	assert.Zero(t, total.Failed)
	assert.EqualValues(t, len(orders), total.Acknowledged)
	assert.InDelta(t, 0.2, float64(total.Acknowledged)/float64(total.Requests), 0.1)
	assert.Len(t, b.acknowledged(), len(orders))
	for _, key := range b.acknowledged() {
		assert.True(t, orders[key])
	}
	var last time.Duration
	for e := range b.history.All(stage.Served) {
		assert.Equal(t, "v1", e.Version)
		assert.Less(t, e.Traffic.From, e.Traffic.To)
		assert.GreaterOrEqual(t, e.Traffic.From, last-trafficWindow, "in the order of sending")
		last = e.Traffic.From
		assert.Positive(t, e.Traffic.P50)
		assert.GreaterOrEqual(t, e.Traffic.P99, e.Traffic.P50)
	}
}

func TestTrafficStandsForMoreWhileTimeRunsAhead(t *testing.T) {
	var mu sync.Mutex
	weights := map[string]int64{}
	b := newTrafficBench(t, shopLoad(500), func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		weights[r.Header.Get(weightHeader)]++
	})
	b.await(50)
	stop := b.clock.RunAhead()
	b.await(50 * 60)
	stop()
	now := b.total().Requests
	b.await(now + 50)
	require.NoError(t, b.stop(t.Context()))
	mu.Lock()
	defer mu.Unlock()
	assert.Len(t, weights, 2)
	assert.Equal(t, weights["1"]+60*weights["60"], b.total().Requests)
	for e := range b.history.All(stage.Served) {
		if r := e.Traffic.Requests; r%60 != 0 {
			// Requests of different weight never share an event: such an event has only
			// requests of weight 1, no more than the window can hold.
			assert.LessOrEqual(t, r, int64(500*trafficWindow.Seconds())*2)
		}
	}
}

func TestTrafficFailures(t *testing.T) {
	const n = 20
	for name, c := range map[string]struct {
		expect int
		answer http.HandlerFunc
		failed bool
	}{
		"an answer":           {0, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, false},
		"the expected answer": {404, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, false},
		"another answer":      {200, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, true},
		"an error":            {0, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, true},
		"a redirect":          {302, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Location", "/"); w.WriteHeader(302) }, false},
		"a lost connection":   {0, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"half an answer": {0, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			asked := map[string]int{}
			load := stage.Load{Rate: 400, Timeout: time.Second, Requests: []stage.Request{
				{Name: "x", Weight: 1, Path: "/{key}", Expect: c.expect, Write: true},
			}}
			b := newTrafficBench(t, load, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				asked[r.URL.Path]++
				first := len(asked) == 1
				mu.Unlock()
				if first {
					return // a healthy answer first, so that a connection is kept and used again
				}
				c.answer(w, r)
			})
			b.await(n)
			require.NoError(t, b.stop(t.Context()))
			mu.Lock()
			defer mu.Unlock()
			for path, times := range asked {
				assert.Equal(t, 1, times, "%s is asked for once, whatever happens", path)
			}
			total := b.total()
			wrong := int64(0)
			if c.expect != 0 && c.expect != 200 {
				wrong = 1 // the first
			}
			if c.failed {
				assert.Equal(t, total.Requests-1, total.Failed)
			} else {
				assert.Equal(t, wrong, total.Failed)
			}
		})
	}
}

func TestTrafficKnowsWhoDidNotAnswer(t *testing.T) {
	load := shopLoad(200)
	load.Timeout = 100 * time.Millisecond
	b := newTrafficBench(t, load, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(versionHeader, "v2")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the user leaves
		<-r.Context().Done()
	})
	b.await(20)
	for e := range b.history.All(stage.Served) {
		assert.Equal(t, "v2", e.Version)
		assert.Equal(t, e.Traffic.Requests, e.Traffic.Failed)
		assert.GreaterOrEqual(t, e.Traffic.P50, load.Timeout)
	}
}

func TestTrafficDoesNotWaitForAnswers(t *testing.T) {
	held := make(chan struct{})
	var mu sync.Mutex
	waiting := 0
	b := newTrafficBench(t, shopLoad(400), func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		waiting++
		mu.Unlock()
		<-held
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, clock.Poll(ctx, time.Millisecond, func() (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		return waiting >= 100, nil
	}))
	assert.Zero(t, b.total().Requests)
	close(held)
	b.await(100)
	first := b.history.Events()[0].Traffic
	assert.GreaterOrEqual(t, first.P50, 100*time.Millisecond, "100 requests at 400 a second take 250 ms, and the first waited for the last")
}

// A slow request holds back what came after it: a history that showed the quick
// answers already would look healthy.
func TestTrafficIsRecordedInTheOrderOfSending(t *testing.T) {
	for name, end := range map[string]func(release func()){
		"until it is answered": func(release func()) { release() },
		"until it times out":   func(func()) {},
	} {
		t.Run(name, func(t *testing.T) {
			held := make(chan struct{})
			release := sync.OnceFunc(func() { close(held) })
			t.Cleanup(release)
			var mu sync.Mutex
			arrived, stalled := 0, ""
			load := shopLoad(500)
			load.Timeout = 1500 * time.Millisecond
			load.Requests = []stage.Request{{Name: "x", Weight: 1, Path: "/{key}"}}
			b := newTrafficBench(t, load, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				arrived++
				if arrived == 60 {
					stalled = r.URL.Path
				}
				stall := stalled == r.URL.Path
				mu.Unlock()
				if stall {
					select {
					case <-held:
					case <-r.Context().Done():
					}
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			count := func() int {
				mu.Lock()
				defer mu.Unlock()
				return arrived
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			require.NoError(t, clock.Poll(ctx, time.Millisecond, func() (bool, error) { return count() >= 300, nil }))
			b.flush()
			b.mu.Lock()
			first := b.ended.first
			window := b.schedule.window(b.schedule.intended(first))
			b.mu.Unlock()
			before := b.total()
			require.InDelta(t, 59, first, 20, "the 60th to arrive is about the 60th to be sent")
			assert.LessOrEqual(t, before.Requests, int64(first), "only what was sent before it is recorded")
			assert.Zero(t, before.Failed)

			end(release)
			b.await(300)
			require.NoError(t, b.stop(t.Context()))
			var last time.Duration
			failed := -1
			for i, e := range b.history.Events() {
				assert.GreaterOrEqual(t, e.Traffic.From, last)
				last = e.Traffic.From
				if e.Traffic.Failed > 0 {
					require.Equal(t, -1, failed, "one request failed")
					failed = i
				}
			}
			require.Equal(t, window, failed, "one event for each window, and the failed request in its own")
			assert.EqualValues(t, count(), b.total().Requests)
		})
	}
}

// However the answers come, windows are recorded in order, whole, and as soon as they
// are complete.
func TestTrafficProgress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{3, 40, 200}).Draw(t, "rate")
		order := rapid.Permutation([]uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}).Draw(t, "order")
		b := &traffic{
			schedule: &trafficSchedule{rate: rate, began: clock.Wall()}, underway: map[uint64]*trafficRequest{}, counts: trafficCounts{},
			mix: &trafficMix{}, options: trafficOptions{History: stage.NewHistory(func() time.Duration { return time.Hour }, nil)},
		}
		window := func(seq uint64) int { return b.schedule.window(b.schedule.intended(seq)) }
		for seq := range uint64(len(order)) {
			b.sent(seq, &trafficRequest{kind: &stage.Request{}, weight: 1, at: time.Duration(seq + 1)})
		}
		recorded := func() (n int64) {
			last := time.Duration(0)
			for e := range b.options.History.All(stage.Served) {
				require.Greater(t, e.Traffic.From, last)
				last = e.Traffic.From
				n += e.Traffic.Requests
			}
			return n
		}
		answered := map[uint64]bool{}
		for _, seq := range order {
			b.answer(&vegeta.Result{Seq: seq, Code: 200})
			b.flush()
			answered[seq] = true
			first := uint64(0)
			for answered[first] {
				first++
			}
			complete := int64(0)
			for window(uint64(complete)) < window(first) {
				complete++
			}
			require.Equal(t, complete, recorded())
			require.Len(t, b.ended.later, len(answered)-int(first), "nothing is remembered for ever")
		}
		b.record(math.MaxInt)
		require.EqualValues(t, len(order), recorded())
	})
}

func TestTrafficOfOneWindow(t *testing.T) {
	c := trafficCounts{}
	add := func(version string, window int, weight float64, at time.Duration, ok bool) {
		c.add(version, window, &trafficRequest{weight: weight, at: at}, time.Millisecond, ok, ok, false)
	}
	add("v1", 1, 1, 9, true)
	add("v1", 0, 60, 5, true)
	add("v1", 0, 1, 1, true)
	add("v2", 0, 60, 7, false)
	add("v2", 0, 60, 6, true)
	var got []string
	for _, e := range c.take(1) {
		got = append(got, fmt.Sprintf("%s from %d to %d: %d of %d failed", e.Version, e.Traffic.From, e.Traffic.To, e.Traffic.Failed, e.Traffic.Requests))
	}
	assert.Equal(t, []string{"v2 from 6 to 8: 60 of 120 failed", "v1 from 1 to 2: 0 of 1 failed", "v1 from 5 to 6: 0 of 60 failed"}, got)
	assert.Len(t, c, 1, "the next window stays")
	assert.Equal(t, stage.Latencies{{Took: stage.LatencyOf(time.Millisecond), N: 1}}, c.take(2)[0].Traffic.Latencies, "what was measured, not what it stands for")
}

func TestTrafficLatencyCountsFromTheIntendedStart(t *testing.T) {
	began := clock.Wall()
	b := &traffic{schedule: &trafficSchedule{rate: 10, began: began}, underway: map[uint64]*trafficRequest{}, counts: trafficCounts{},
		mix: &trafficMix{}}
	r := &trafficRequest{kind: &stage.Request{}, weight: 1}
	b.sent(3, r) // due at 300 ms
	b.answer(&vegeta.Result{Seq: 3, Code: 200, Timestamp: began.Add(900 * time.Millisecond), Latency: 50 * time.Millisecond})
	events := b.counts.take(math.MaxInt)
	require.Len(t, events, 1)
	assert.Equal(t, 650*time.Millisecond, events[0].Traffic.P99, "it was sent 600 ms late")
}

func TestTrafficTooMuchForTheMachine(t *testing.T) {
	b := &traffic{schedule: &trafficSchedule{rate: 10, began: clock.Wall().Add(-1500 * time.Millisecond)}, underway: map[uint64]*trafficRequest{}}
	b.sent(6, &trafficRequest{}) // due at 600 ms, 900 ms late
	require.NoError(t, b.err())
	b.sent(4, &trafficRequest{}) // due at 400 ms
	assert.ErrorIs(t, b.err(), stage.ErrLost)
	assert.ErrorContains(t, b.err(), "10 requests per second")
}

func TestTrafficStopCutsWhatDoesNotEnd(t *testing.T) {
	arrived := make(chan struct{}, 1000)
	load := shopLoad(100)
	load.Timeout = time.Hour
	load.Rate = 2
	b := newTrafficBench(t, load, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, b.stop(ctx))
	assert.Zero(t, b.total().Requests, "nobody knows how it would have ended")
}

func TestTrafficMix(t *testing.T) {
	load := shopLoad(1)
	draw := func(m *trafficMix, n int) (all []vegeta.Target) {
		for range n {
			var target vegeta.Target
			require.NoError(t, m.target(&target))
			all = append(all, target)
		}
		return all
	}
	one, err := newTrafficMix(load.Requests, "http://x", 1)
	require.NoError(t, err)
	two, err := newTrafficMix(load.Requests, "http://x", 1)
	require.NoError(t, err)
	three, err := newTrafficMix(load.Requests, "http://x", 2)
	require.NoError(t, err)
	first := draw(one, 1000)
	assert.Equal(t, first, draw(two, 1000), "the same seed")
	assert.NotEqual(t, first, draw(three, 1000), "another seed")
	for _, target := range first {
		assert.NotContains(t, target.URL, "/orders/", "no write has been acknowledged")
	}

	one.acknowledge("k-1")
	kinds, keys := map[string]int{}, map[string]bool{}
	const n = 10_000
	for _, target := range draw(one, n) {
		kinds[target.Method+" "+target.URL]++
		if key := target.Header.Get("Idempotency-Key"); key != "" {
			assert.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", key)
			keys[key] = true
		}
	}
	assert.InDelta(t, 0.7, float64(kinds["GET http://x/products"])/n, 0.03)
	assert.InDelta(t, 0.2, float64(kinds["POST http://x/orders"])/n, 0.03)
	assert.InDelta(t, 0.1, float64(kinds["GET http://x/orders/k-1"])/n, 0.03)
	assert.Len(t, keys, kinds["POST http://x/orders"], "every key is new")

	_, err = newTrafficMix(load.Requests[2:], "http://x", 1)
	assert.ErrorContains(t, err, "{acknowledged}")
	_, err = newTrafficMix([]stage.Request{{Name: "odd", Weight: 1, Path: "/\x7f"}}, "http://x", 1)
	assert.ErrorContains(t, err, `"odd"`)
	_, err = startTraffic(trafficOptions{Load: stage.Load{Timeout: time.Second, Requests: load.Requests}})
	assert.ErrorContains(t, err, "must be above 0")
}

func TestTrafficSchedule(t *testing.T) {
	running, end := context.WithCancel(t.Context())
	s := &trafficSchedule{rate: 4, began: clock.Wall(), running: running}
	_, stop := s.Pace(time.Minute, 6)
	assert.False(t, stop, "late requests are made up for at once")
	_, stop = s.Pace(1480*time.Millisecond, 6)
	assert.False(t, stop)
	assert.GreaterOrEqual(t, clock.Since(s.began), 20*time.Millisecond, "the 7th is due at 1.5 s")
	end()
	_, stop = s.Pace(0, 1_000_000)
	assert.True(t, stop, "the end does not wait for the next request")
	assert.Equal(t, s.began.Add(1500*time.Millisecond), s.intended(6))
	assert.Equal(t, 15, s.window(s.intended(6)))
}

// TestARateIsSetAnewWithoutATrace: what was due stays due, and nothing is due twice or
// too late.
func TestARateIsSetAnewWithoutATrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &trafficSchedule{rate: rapid.Float64Range(0.5, 500).Draw(t, "rate"), began: clock.Wall()}
		elapsed := time.Duration(0)
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			elapsed += time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "passed"))
			sent := uint64(0)
			for s.due(sent) <= elapsed {
				sent++
			}
			s.next = sent
			var before []time.Duration
			for n := range sent + 1 {
				before = append(before, s.due(n))
			}
			rate := rapid.Float64Range(0.5, 500).Draw(t, "new rate")
			s.load(rate, elapsed)
			for n, due := range before {
				require.Equal(t, due, s.due(uint64(n)), "what was due, or is waited for, stays so")
			}
			next := s.due(sent + 1)
			require.Greater(t, next, before[sent])
			require.GreaterOrEqual(t, next, elapsed)
			require.LessOrEqual(t, next, max(elapsed, before[sent])+time.Duration(float64(time.Second)/rate)+1)
			require.InDelta(t, float64(time.Second)/rate, float64(s.due(sent+2)-next), 2)
		}
	})
}

func TestALoadIsKeptAndLateRequestsAreTold(t *testing.T) {
	b := newTrafficBench(t, shopLoad(50), func(w http.ResponseWriter, r *http.Request) { w.Header().Set(versionHeader, "v1") })
	b.await(10)
	b.load(2000)
	from := b.total().Requests
	began := clock.Wall()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, clock.Poll(ctx, 5*time.Millisecond, func() (bool, error) { return b.total().Requests-from >= 4000, nil }))
	assert.Greater(t, clock.Since(began), 1500*time.Millisecond, "no faster than it was told")
	require.NoError(t, b.err())

	r := &trafficRequest{intended: clock.Wall(), late: 2500 * time.Microsecond, weight: 1}
	counts := trafficCounts{}
	counts.add("v1", 0, r, time.Millisecond, true, true, false)
	assert.Equal(t, 2*time.Millisecond, counts.take(1)[0].Traffic.Late)
	late := &traffic{schedule: &trafficSchedule{rate: 10, began: clock.Wall().Add(-1500 * time.Millisecond)}, underway: map[uint64]*trafficRequest{}, pushed: true}
	late.sent(0, &trafficRequest{})
	assert.NoError(t, late.err(), "a load that is looked for may be too much for this machine")
}

func TestWhatTheMachineUsed(t *testing.T) {
	busy, err := parseMachineCPU("cpu  100 20 30 4000 500 6 7 8 0 0")
	require.NoError(t, err)
	assert.Equal(t, 1710*time.Millisecond, busy)
	_, err = parseMachineCPU("intr 1 2 3")
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}

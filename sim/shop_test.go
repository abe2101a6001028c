package sim_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// shop is the setup of a shop like the sample one, with its alarms.
func shop(t testing.TB) stage.Setup {
	t.Helper()
	alarms, err := alarm.ParseFile("../fixtures/alarms.json")
	require.NoError(t, err)
	zero := 0.0
	return stage.Setup{
		Service:     "shop",
		Versions:    map[string]stage.Version{"v1": {Name: "v1"}, "v2": {Name: "v2"}},
		Replicas:    2,
		MemoryLimit: 128 << 20,
		Health: stage.Health{
			Path: "/ready", Port: 8080, Interval: 10 * time.Second, Healthy: 2, Unhealthy: 2,
			Timeout: time.Second, Deadline: time.Minute,
		},
		Dependencies: []stage.Dependency{
			{Name: "database", Port: 5432, Kind: "postgres", URLFrom: "DATABASE_URL", Readiness: true},
			{Name: "payments", Port: 8081, Kind: "http", URLFrom: "PAYMENTS_URL", Requests: []string{"order"}},
		},
		Traffic: stage.Load{Rate: 200, Timeout: 4 * time.Second, Requests: []stage.Request{
			{Name: "browse", Weight: 70, Method: "GET", Path: "/products"},
			{Name: "order", Weight: 20, Method: "POST", Path: "/orders", Write: true},
			{Name: "status", Weight: 10, Method: "GET", Path: "/orders/{acknowledged}"},
		}},
		Smoke: []stage.SmokeRequest{
			{Request: stage.Request{Name: "the window is filled", Method: "GET", Path: "/products"}, Within: 500 * time.Millisecond, Contains: "price"},
			{Request: stage.Request{Name: "an order can be placed", Method: "POST", Path: "/orders"}, Within: time.Second},
		},
		Alarms: alarms,
		Monitoring: stage.Monitoring{
			LoadBalancer: "app/shop/50dc6c495c0c9188",
			TargetGroups: []string{"targetgroup/shop-a/73e2d6bc24d8a067", "targetgroup/shop-b/0d1c2f3a4b5e6978"},
			Cluster:      "production", Service: "shop", LogGroup: "/ecs/shop",
			Filters: []stage.MetricFilter{{Name: "shop-errors", Namespace: "Shop", Metric: "ErrorCount", Value: "1", Default: &zero}},
		},
		Model: stage.Model{
			Start: time.Second, Median: 3 * time.Millisecond, P99: 20 * time.Millisecond, RestartDelay: time.Second,
			Memory: 24 << 20, ClientTimeout: 2 * time.Second, ShiftTime: 10 * time.Millisecond, DrainTime: time.Second, ErrorLogs: 1,
		},
	}
}

// raise is a stage whose v1 has served everyone for ten minutes.
func raise(t testing.TB, o sim.Options) *sim.Stage {
	t.Helper()
	ctx := t.Context()
	s, err := sim.New(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.WithoutCancel(ctx))) })
	require.NoError(t, s.Deploy(ctx, o.Versions["v1"]))
	require.NoError(t, s.Shift(ctx, stage.Shares{"v1": 100}))
	_, err = s.Wait(ctx, 10*time.Minute-s.History().Now(), nil)
	require.NoError(t, err)
	return s
}

// canary gives v2, as spec says it is, 10 % of the traffic.
func canary(t testing.TB, s *sim.Stage, spec stage.Version) {
	t.Helper()
	require.NoError(t, s.Deploy(t.Context(), spec))
	require.NoError(t, s.Shift(t.Context(), stage.Shares{"v1": 90, "v2": 10}))
}

func wait(t testing.TB, s *sim.Stage, d time.Duration) {
	t.Helper()
	held, err := s.Wait(t.Context(), d, nil)
	require.NoError(t, err)
	require.False(t, held)
}

// served adds up what the users of a version got since from.
func served(s *sim.Stage, version string, from time.Duration) (sum stage.Traffic) {
	for e := range s.History().All(stage.Served) {
		if t := e.Traffic; t.From >= from && (version == "" || e.Version == version) {
			sum.Requests += t.Requests
			sum.Failed += t.Failed
			sum.Acknowledged += t.Acknowledged
			sum.P50, sum.P99 = max(sum.P50, t.P50), max(sum.P99, t.P99)
		}
	}
	return sum
}

// red is when each alarm first entered ALARM.
func red(s *sim.Stage) map[string]time.Duration {
	at := map[string]time.Duration{}
	for e := range s.History().All(stage.Changed) {
		if _, before := at[e.Alarm.Name]; !before && e.Alarm.To == alarm.InAlarm {
			at[e.Alarm.Name] = e.At
		}
	}
	return at
}

func count(s *sim.Stage, kind stage.EventKind, version string) (n int) {
	for e := range s.History().All(kind) {
		if e.Version == version {
			n++
		}
	}
	return n
}

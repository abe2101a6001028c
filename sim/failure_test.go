package sim_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// TestEveryFailureIsSeenWhereItShows injects each kind into a canary with 10 % of
// the traffic, and looks at what its users got, and at which alarm of the shop goes
// off when: alarms are judged at whole minutes, the failure comes 10 s into one.
func TestEveryFailureIsSeenWhereItShows(t *testing.T) {
	const (
		second = 2*time.Minute - 10*time.Second - 10*time.Millisecond
		third  = second + time.Minute
	)
	v2 := func(kind stage.FailureKind) stage.Failure { return stage.Failure{Kind: kind, Version: "v2"} }
	with := func(f stage.Failure, change func(*stage.Failure)) stage.Failure {
		change(&f)
		return f
	}
	crashes := map[string]time.Duration{"shop-5xx-rate": third, "shop-unhealthy-hosts": second}
	spoilt := map[string]time.Duration{"shop-5xx-rate": third}
	errors := map[string]time.Duration{"shop-5xx-rate": third, "shop-error-logs": third}
	cases := []struct {
		name    string
		failure stage.Failure
		red     map[string]time.Duration // since the injection
		failed  float64                  // of v2's requests
		proof   string
	}{
		{"crash at start", v2(stage.CrashAtStart), crashes, 1, "a replica of v2 exited with status 1 as it started"},
		{"crash loop", v2(stage.CrashLoop), crashes, 1, "a replica of v2 exited with status 1, again and again"},
		{"out of memory", v2(stage.OutOfMemory), crashes, 1, "a replica of v2 killed at its memory limit (status 137)"},
		{"missing variable", with(v2(stage.MissingVariable), func(f *stage.Failure) { f.Variable = "PORT" }), crashes, 1, "PORT is not set"},
		{"wrong variable", with(v2(stage.WrongVariable), func(f *stage.Failure) { f.Variable = "PORT" }), crashes, 1, "PORT is wrong"},
		{"wrong address", with(v2(stage.WrongVariable), func(f *stage.Failure) { f.Variable = "PAYMENTS_URL" }), errors, 0.2, "v2 runs with another PAYMENTS_URL"},
		{"crash later", v2(stage.CrashLater), nil, 2.0 / 600, "every replica of v2 exited"},
		{"hang", v2(stage.Hang), crashes, 1, "v2 takes connections and does not answer"},
		{"errors", with(v2(stage.Errors), func(f *stage.Failure) { f.Share = 50 }), spoilt, 0.5, "v2 answers 50 % of its requests with 500"},
		{"errors of one request", with(v2(stage.Errors), func(f *stage.Failure) { f.Request = "order" }), spoilt, 0.2, `v2 answers 100 % of its "order" requests with 500`},
		{"few errors", with(v2(stage.Errors), func(f *stage.Failure) { f.Share = 1 }), nil, 0.01, "v2 answers 1 % of its requests with 500"},
		{"latency", with(v2(stage.Latency), func(f *stage.Failure) { f.Delay = 900 * time.Millisecond }),
			map[string]time.Duration{"shop-p99-latency": third}, 0, "v2 answers 100 % of its requests 900ms later"},
		{"endless latency", with(v2(stage.Latency), func(f *stage.Failure) { f.Delay = time.Minute }),
			nil, 1, "v2 answers 100 % of its requests 1m0s later"}, // users leave: no answer, no status, no alarm
		{"database down", with(v2(stage.DependencyDown), func(f *stage.Failure) { f.Dependency = "database" }), crashes, 1, "database refused a connection from v2"},
		{"database down for all", stage.Failure{Kind: stage.DependencyDown, Dependency: "database"},
			map[string]time.Duration{"shop-unhealthy-hosts": second, "shop-5xx-rate": third}, 1, "database refused a connection from the service"},
		{"payments down", with(v2(stage.DependencyDown), func(f *stage.Failure) { f.Dependency = "payments" }), errors, 0.2, "payments refused a connection from v2"},
		{"payments slow", with(v2(stage.DependencySlow), func(f *stage.Failure) { f.Dependency, f.Delay = "payments", time.Second }),
			map[string]time.Duration{"shop-p99-latency": third}, 0, "payments answered v2 1s later"},
		{"payments too slow", with(v2(stage.DependencySlow), func(f *stage.Failure) { f.Dependency, f.Delay = "payments", time.Minute }),
			map[string]time.Duration{"shop-5xx-rate": third, "shop-error-logs": third, "shop-p99-latency": third}, 0.2, "payments answered v2 1m0s later"},
		{"payments fail", with(v2(stage.DependencyErrors), func(f *stage.Failure) { f.Dependency = "payments" }), errors, 0.2, "payments failed 100 % of what v2 asked"},
		{"no connections left", stage.Failure{Kind: stage.ConnectionsExhausted, Dependency: "database"}, nil, 0, "database refuses another connection"}, // v2 has its own
		{"a slow replica", with(v2(stage.SlowReplica), func(f *stage.Failure) { f.Delay = 900 * time.Millisecond }),
			map[string]time.Duration{"shop-p99-latency": third}, 0, "the first replica of v2 answers 900ms later"},
		{"an uneven balance", with(v2(stage.UnevenBalance), func(f *stage.Failure) { f.Times = 3 }), nil, 0, "the first replica of v2 gets 3 times as many requests"},
		{"a lost zone", stage.Failure{Kind: stage.ZoneLost, Version: "v2", Zone: "b"},
			map[string]time.Duration{"shop-unhealthy-hosts": second}, 0, "every replica of v2 in zone b exited"}, // the other zone carries its users
		{"lost writes", with(v2(stage.LostWrites), func(f *stage.Failure) { f.Share = 10 }), nil, 0, "v2 acknowledges, and does not store, 10 % of the writes"},
		{"wrong answers", v2(stage.WrongAnswers), nil, 0, "v2 answers 100 % of its requests with something wrong"},
		{"memory leak", with(v2(stage.MemoryLeak), func(f *stage.Failure) { f.PerRequest = 16 << 10 }),
			map[string]time.Duration{"shop-memory": third + 7*time.Minute}, 2.0 / 900, "each request leaves 16384 bytes behind in v2"},
	}
	tried := map[stage.FailureKind]bool{}
	for _, c := range cases {
		tried[c.failure.Kind] = true
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			s := raise(t, sim.Options{Setup: shop(t), Seed: 5})
			canary(t, s, stage.Version{Name: "v2"})
			from := s.History().Now()
			require.NoError(t, s.Inject(ctx, c.failure))
			wait(t, s, 10*time.Minute)

			for e := range s.History().All(stage.Landed) {
				assert.Equal(t, c.failure, *e.Failure)
				assert.Equal(t, from, e.At)
				assert.Contains(t, e.Detail, c.proof)
			}
			assert.Len(t, slices.Collect(s.History().All(stage.Landed)), 1)

			got := red(s)
			for name := range got {
				got[name] -= from
			}
			assert.Equal(t, len(c.red), len(got), "%v", got)
			assert.True(t, maps.Equal(c.red, got), "%v went off", got)
			users := served(s, "v2", from)
			assert.InDelta(t, c.failed, float64(users.Failed)/float64(users.Requests), 0.01)

			require.NoError(t, s.Heal(ctx, c.failure))
			wait(t, s, 3*time.Minute)
			healed := s.History().Now()
			wait(t, s, 10*time.Minute)
			if c.failure.Kind != stage.MemoryLeak {
				assert.Zero(t, served(s, "v2", healed).Failed, "healed is healed")
			}
			assert.Equal(t, 1, len(slices.Collect(s.History().All(stage.Healed))))
		})
	}
	for _, kind := range stage.FailureKinds() {
		assert.True(t, tried[kind], "%s needs a line above", kind)
	}
}

// TestEveryFailureMovesItsMetrics asks which of the published metrics leave the
// range that they have in a healthy service.
func TestEveryFailureMovesItsMetrics(t *testing.T) {
	balancer := []alarm.Dimension{{Name: "LoadBalancer", Value: "app/shop/50dc6c495c0c9188"}}
	green := append(slices.Clone(balancer), alarm.Dimension{Name: "TargetGroup", Value: "targetgroup/shop-b/0d1c2f3a4b5e6978"})
	service := []alarm.Dimension{{Name: "ClusterName", Value: "production"}, {Name: "ServiceName", Value: "shop"}}
	const above, below = "GreaterThanThreshold", "LessThanThreshold"
	missing := map[string]string{above: "notBreaching", below: "breaching"} // what is not published is 0
	metric := func(namespace, name, statistic string, of []alarm.Dimension, operator string, threshold float64) alarm.Alarm {
		return alarm.Alarm{
			AlarmName: name, Namespace: namespace, MetricName: name, Statistic: statistic, Dimensions: of, Period: 60,
			EvaluationPeriods: 1, DatapointsToAlarm: 1, ComparisonOperator: operator, Threshold: threshold, TreatMissingData: missing[operator],
		}
	}
	setup := shop(t)
	setup.Alarms = []alarm.Alarm{
		metric("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum", green, above, 0),
		metric("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "Sum", balancer, above, 0),
		metric("AWS/ApplicationELB", "HTTPCode_Target_2XX_Count", "Sum", green, below, 1000), // of 1,200 a minute
		metric("AWS/ApplicationELB", "RequestCount", "Sum", green, below, 1000),
		metric("AWS/ApplicationELB", "TargetResponseTime", "Maximum", green, above, 0.5),
		metric("AWS/ApplicationELB", "HealthyHostCount", "Minimum", green, below, 2),
		metric("AWS/ApplicationELB", "UnHealthyHostCount", "Maximum", green, above, 0),
		metric("AWS/ECS", "MemoryUtilization", "Maximum", service, above, 19),
		metric("AWS/ECS", "CPUUtilization", "Maximum", service, above, 15),
		metric("Shop", "ErrorCount", "Sum", nil, above, 0),
	}
	const (
		bad, refused, good = "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "HTTPCode_Target_2XX_Count"
		slow, well, ill    = "TargetResponseTime", "HealthyHostCount", "UnHealthyHostCount"
		memory, log, asked = "MemoryUtilization", "ErrorCount", "RequestCount"
	)
	for _, c := range []struct {
		failure stage.Failure
		moved   []string
	}{
		{stage.Failure{Kind: stage.CrashAtStart}, []string{refused, asked, good, well, ill}},
		{stage.Failure{Kind: stage.CrashLater}, []string{refused}},
		{stage.Failure{Kind: stage.CrashLoop}, []string{refused, asked, good, well, ill}},
		{stage.Failure{Kind: stage.Hang}, []string{refused, asked, good, well, ill}},
		{stage.Failure{Kind: stage.OutOfMemory}, []string{refused, asked, good, well, ill}},
		{stage.Failure{Kind: stage.Errors, Share: 50}, []string{bad, good}},
		{stage.Failure{Kind: stage.Latency, Delay: time.Second}, []string{slow}},
		{stage.Failure{Kind: stage.DependencyDown, Dependency: "database"}, []string{log, bad, refused, asked, good, well, ill}},
		{stage.Failure{Kind: stage.DependencyDown, Dependency: "payments"}, []string{log, bad, good}},
		{stage.Failure{Kind: stage.DependencySlow, Dependency: "payments", Delay: time.Second}, []string{slow}},
		{stage.Failure{Kind: stage.MissingVariable, Variable: "PORT"}, []string{refused, asked, good, well, ill}},
		{stage.Failure{Kind: stage.WrongVariable, Variable: "PAYMENTS_URL"}, []string{log, bad, good}},
		{stage.Failure{Kind: stage.LostWrites}, nil},
		{stage.Failure{Kind: stage.MemoryLeak, PerRequest: 1 << 10}, []string{memory}},
	} {
		c.failure.Version = "v2"
		t.Run(c.failure.String(), func(t *testing.T) {
			s := raise(t, sim.Options{Setup: setup})
			canary(t, s, stage.Version{Name: "v2"})
			wait(t, s, 5*time.Minute-10*time.Second-10*time.Millisecond) // to a whole minute
			for _, a := range setup.Alarms {
				require.Equal(t, alarm.OK, s.History().AlarmState(a.AlarmName), a.AlarmName)
			}
			from := s.History().Now()
			require.NoError(t, s.Inject(t.Context(), c.failure))
			wait(t, s, 5*time.Minute)
			var moved []string
			for e := range s.History().All(stage.Changed) {
				if e.At > from && e.Alarm.To == alarm.InAlarm && !slices.Contains(moved, e.Alarm.Name) {
					moved = append(moved, e.Alarm.Name)
				}
			}
			assert.ElementsMatch(t, c.moved, moved)
		})
	}
}

func TestTheBalancerGivesUpAfterAMinute(t *testing.T) {
	setup := shop(t)
	setup.Traffic.Timeout = 2 * time.Minute
	s := raise(t, sim.Options{Setup: setup})
	require.NoError(t, s.Inject(t.Context(), stage.Failure{Kind: stage.Latency, Version: "v1", Share: 30, Delay: 90 * time.Second}))
	from := s.History().Now()
	wait(t, s, 10*time.Minute)
	got := served(s, "v1", from)
	assert.InDelta(t, 0.3, float64(got.Failed)/float64(got.Requests), 0.01)
	assert.Equal(t, time.Minute, got.P99)
	assert.Equal(t, from+3*time.Minute, red(s)["shop-5xx-rate"], "the users are told 504")
}

// A rate over RequestCount alone is blind to a total outage: only one that counts
// the balancer's own errors among the requests sees it.
func TestWhereNobodyIsHealthyRequestCountHasNoData(t *testing.T) {
	setup := shop(t)
	for i := range setup.Alarms {
		if a := &setup.Alarms[i]; a.AlarmName == "shop-5xx-rate" {
			naive := *a
			naive.AlarmName = "naive-5xx-rate"
			naive.Metrics = slices.Clone(a.Metrics)
			naive.Metrics[0].Expression = "100*(FILL(target5xx,0)+FILL(elb5xx,0))/requests"
			setup.Alarms = append(setup.Alarms, naive)
			break
		}
	}
	s := raise(t, sim.Options{Setup: setup})
	require.NoError(t, s.Inject(t.Context(), stage.Failure{Kind: stage.CrashLoop, Version: "v1"}))
	wait(t, s, 10*time.Minute)
	assert.Contains(t, red(s), "shop-5xx-rate")
	assert.NotContains(t, red(s), "naive-5xx-rate", "an Application Load Balancer counts no request for which it had no target")
}

func TestALogFilterPublishesItsDefaultWhereNoLineMatches(t *testing.T) {
	s := raise(t, sim.Options{Setup: shop(t)})
	assert.Equal(t, alarm.OK, s.History().AlarmState("shop-error-logs"), "0 is a datum")
	assert.Empty(t, red(s))
}

// TestHealthChecksFollowTheirThresholds has v2's replicas checked at whole ten
// seconds; two results in a row count.
func TestHealthChecksFollowTheirThresholds(t *testing.T) {
	at := func(s *sim.Stage, kind stage.EventKind) (times []time.Duration) {
		for e := range s.History().All(kind) {
			times = append(times, e.At-10*time.Minute)
		}
		return times
	}
	to := func(s *sim.Stage, d time.Duration) { wait(t, s, 10*time.Minute+d-s.History().Now()) }
	down := stage.Failure{Kind: stage.DependencyDown, Version: "v2", Dependency: "database"}

	t.Run("two failures, two passes", func(t *testing.T) {
		s := raise(t, sim.Options{Setup: shop(t)})
		canary(t, s, stage.Version{Name: "v2"})
		require.NoError(t, s.Inject(t.Context(), down)) // at 10.01 s
		to(s, time.Minute)
		assert.Equal(t, []time.Duration{30 * time.Second, 30 * time.Second}, at(s, stage.Unhealthy))
		to(s, 65*time.Second)
		require.NoError(t, s.Heal(t.Context(), down))
		to(s, 2*time.Minute)
		assert.Equal(t, []time.Duration{80 * time.Second, 80 * time.Second}, at(s, stage.Healthy))
	})
	t.Run("a hanging check needs its time-out", func(t *testing.T) {
		s := raise(t, sim.Options{Setup: shop(t)})
		canary(t, s, stage.Version{Name: "v2"})
		require.NoError(t, s.Inject(t.Context(), stage.Failure{Kind: stage.Hang, Version: "v2"}))
		to(s, time.Minute)
		assert.Equal(t, []time.Duration{31 * time.Second, 31 * time.Second}, at(s, stage.Unhealthy))
	})
	t.Run("one failure is forgiven", func(t *testing.T) {
		s := raise(t, sim.Options{Setup: shop(t)})
		canary(t, s, stage.Version{Name: "v2"})
		for _, minute := range []time.Duration{1, 2, 3} {
			to(s, minute*time.Minute-5*time.Second)
			require.NoError(t, s.Inject(t.Context(), down))
			to(s, minute*time.Minute+5*time.Second)
			require.NoError(t, s.Heal(t.Context(), down))
		}
		to(s, 5*time.Minute)
		assert.Empty(t, at(s, stage.Unhealthy))
	})
	t.Run("being well between two checks does not help", func(t *testing.T) {
		s := raise(t, sim.Options{Setup: shop(t)})
		canary(t, s, stage.Version{Name: "v2"})
		to(s, 55*time.Second)
		require.NoError(t, s.Inject(t.Context(), down))
		to(s, 63*time.Second)
		require.NoError(t, s.Heal(t.Context(), down))
		to(s, 66*time.Second)
		require.NoError(t, s.Inject(t.Context(), down))
		to(s, 2*time.Minute)
		assert.Equal(t, []time.Duration{70 * time.Second, 70 * time.Second}, at(s, stage.Unhealthy))
	})
}

func TestRestartsAreDelayedTwiceAsLongEachTimeUpToAMinute(t *testing.T) {
	exits := func(f stage.Failure) (between []time.Duration) {
		setup := shop(t)
		setup.Replicas = 1
		s := raise(t, sim.Options{Setup: setup})
		canary(t, s, stage.Version{Name: "v2"})
		require.NoError(t, s.Inject(t.Context(), f))
		wait(t, s, 8*time.Minute)
		last := time.Duration(0)
		for e := range s.History().All(stage.Exited) {
			if last > 0 {
				between = append(between, e.At-last)
			}
			last = e.At
		}
		return between
	}
	const start = time.Second
	assert.Equal(t, []time.Duration{
		start + time.Second, start + 2*time.Second, start + 4*time.Second, start + 8*time.Second, start + 16*time.Second,
		start + 32*time.Second, start + time.Minute, start + time.Minute, start + time.Minute, start + time.Minute, start + time.Minute, start + time.Minute,
	}, exits(stage.Failure{Kind: stage.CrashLoop, Version: "v2"}))

	for _, between := range exits(stage.Failure{Kind: stage.CrashLoop, Version: "v2", After: 30 * time.Second}) {
		assert.Equal(t, 32*time.Second, between, "one that ran for a while is restarted without more delay")
	}
}

func TestACrashWaitsForTraffic(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	f := stage.Failure{Kind: stage.CrashLater, Version: "v2", After: 90 * time.Second}
	require.NoError(t, s.Inject(ctx, f))
	require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v2"}))
	wait(t, s, 10*time.Minute)
	assert.Zero(t, count(s, stage.Exited, "v2"), "no traffic, no crash")
	assert.Zero(t, count(s, stage.Landed, "v2"))

	require.NoError(t, s.Shift(ctx, stage.Shares{"v1": 50, "v2": 50}))
	shifted := s.History().Now()
	wait(t, s, 30*time.Minute)
	assert.Equal(t, 2, count(s, stage.Exited, "v2"), "each replica once")
	for e := range s.History().All(stage.Landed) {
		assert.Equal(t, shifted+90*time.Second, e.At)
	}
	assert.Equal(t, 1, count(s, stage.Landed, "v2"))
}

func TestALeakEndsAReplicaWhenItsMemoryIsFull(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	// 200/s on 2 replicas leave 100 x 64 KiB a second in each; 104 MiB are left.
	require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v2", Simulated: []stage.Failure{{Kind: stage.MemoryLeak, PerRequest: 64 << 10}}}))
	require.NoError(t, s.Shift(ctx, stage.Shares{"v2": 100}))
	from := s.History().Now()
	wait(t, s, time.Minute)
	var exits []time.Duration
	for e := range s.History().All(stage.Exited) {
		assert.Equal(t, "killed at its memory limit of 134217728 bytes (status 137)", e.Detail)
		exits = append(exits, (e.At - from).Round(time.Millisecond))
	}
	const full, restart = 16640 * time.Millisecond, 2 * time.Second
	assert.Equal(t, []time.Duration{full, full, 2*full + restart, 2*full + restart, 3*full + 2*restart, 3*full + 2*restart}, exits)
	assert.InDelta(t, 3*400, served(s, "v2", from).Failed, 100, "nobody serves while both restart")
}

func TestAnAuditFindsWhatWasLost(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.LostWrites, Share: 25}))
	from := s.History().Now()
	wait(t, s, 10*time.Minute)
	require.NoError(t, s.Audit(ctx))
	for e := range s.History().All(stage.Audited) {
		assert.False(t, e.OK)
		assert.Equal(t, served(s, "", 0).Acknowledged, e.Writes.Acknowledged)
		assert.InDelta(t, 0.25, float64(e.Writes.Lost)/float64(served(s, "", from).Acknowledged), 0.02)
		assert.Zero(t, e.Writes.Doubled)
		assert.Len(t, e.Writes.Keys, 5)
	}
	assert.Zero(t, served(s, "", from).Failed)
}

func TestAVersionThatHangsOnADependencyDoesSoWhileThatIsSlow(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	canary(t, s, stage.Version{Name: "v2", Simulated: []stage.Failure{{Kind: stage.Hang, Dependency: "payments"}}})
	wait(t, s, 5*time.Minute)
	assert.Zero(t, served(s, "v2", 0).Failed, "while payments are quick nobody notices")

	slow := stage.Failure{Kind: stage.DependencySlow, Dependency: "payments", Delay: 10 * time.Second}
	require.NoError(t, s.Inject(ctx, slow))
	from := s.History().Now()
	wait(t, s, 5*time.Minute)
	v1, v2 := served(s, "v1", from), served(s, "v2", from)
	assert.Equal(t, v2.Requests, v2.Failed, "browsing stalls too")
	assert.InDelta(t, 0.2, float64(v1.Failed)/float64(v1.Requests), 0.01, "v1 gives up and fails orders only")
	assert.Equal(t, 2, count(s, stage.Unhealthy, "v2"))
	assert.Zero(t, count(s, stage.Unhealthy, "v1"))

	require.NoError(t, s.Heal(ctx, slow))
	wait(t, s, time.Minute)
	from = s.History().Now()
	wait(t, s, 5*time.Minute)
	assert.Zero(t, served(s, "", from).Failed)
}

func TestOnlyTheServicesOwnErrorsAreLogged(t *testing.T) {
	s := raise(t, sim.Options{Setup: shop(t)})
	f := stage.Failure{Kind: stage.Errors, Version: "v2", Share: 50}
	canary(t, s, stage.Version{Name: "v2", Simulated: []stage.Failure{f}})
	wait(t, s, 5*time.Minute)
	assert.Contains(t, red(s), "shop-error-logs")

	s = raise(t, sim.Options{Setup: shop(t)})
	canary(t, s, stage.Version{Name: "v2"})
	require.NoError(t, s.Inject(t.Context(), f))
	wait(t, s, 5*time.Minute)
	assert.NotContains(t, red(s), "shop-error-logs", "what spoils answers from outside is not seen inside")
}

func TestFailuresAddUp(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t)})
	for _, f := range []stage.Failure{
		{Kind: stage.Errors, Share: 50},
		{Kind: stage.Errors, Version: "v1", Share: 50},
		{Kind: stage.Latency, Share: 50, Delay: 100 * time.Millisecond},
		{Kind: stage.Latency, Version: "v1", Delay: 100 * time.Millisecond},
	} {
		require.NoError(t, s.Inject(ctx, f))
	}
	from := s.History().Now()
	wait(t, s, 10*time.Minute)
	got := served(s, "v1", from)
	assert.InDelta(t, 0.75, float64(got.Failed)/float64(got.Requests), 0.01)
	assert.Greater(t, got.P99, 200*time.Millisecond)
	assert.Greater(t, got.P50, 100*time.Millisecond)
}

// Two plans for when memory runs out, a nanosecond apart, put each other off for ever:
// release time went on by a microsecond for each two events.
func TestMemoryRunsOutWhenSomethingHappensJustBefore(t *testing.T) {
	setup := shop(t)
	// 2,560 bytes of each of 100 requests a second fill 104 MiB in 425.984 s.
	v2 := stage.Version{Name: "v2", Simulated: []stage.Failure{{Kind: stage.MemoryLeak, Version: "v2", PerRequest: 2560}}}
	for _, before := range []time.Duration{1, 2, 500, 999, 1000, 1001, 1999} {
		setup.Versions["v2"] = v2
		s, err := sim.New(t.Context(), sim.Options{Setup: setup})
		require.NoError(t, err)
		require.NoError(t, s.Deploy(t.Context(), v2))
		require.NoError(t, s.Shift(t.Context(), stage.Shares{"v2": 100}))
		full := time.Duration(float64(setup.MemoryLimit-setup.Model.Memory) / 2560 / 100 * float64(time.Second))
		wait(t, s, full-before)
		events := 0
		_, err = s.Wait(t.Context(), time.Minute, func(*stage.History) bool { events++; return events > 1000 })
		require.NoError(t, err)
		require.Less(t, events, 1000, "something happens without end %d ns before memory runs out", before)
		assert.Equal(t, 2, count(s, stage.Exited, "v2"), "%d ns before", before)
		require.NoError(t, s.Close(t.Context()))
	}
}

func TestWhoIsConnectedStaysAndWhoComesIsRefused(t *testing.T) {
	ctx := t.Context()
	s := raise(t, sim.Options{Setup: shop(t), Seed: 5})
	full := stage.Failure{Kind: stage.ConnectionsExhausted, Dependency: "database"}
	require.NoError(t, s.Inject(ctx, full))
	require.ErrorContains(t, s.Probe(ctx, stage.Probe{Kind: stage.ProbeDependency, Version: "v1", Dependency: "database"}), "no connections left")
	require.ErrorContains(t, s.Deploy(ctx, stage.Version{Name: "v2"}), "database cannot be reached")
	wait(t, s, 5*time.Minute)
	assert.Zero(t, served(s, "v1", 0).Failed)
	require.NoError(t, s.Heal(ctx, full))
	require.NoError(t, s.Retire(ctx, stage.Version{Name: "v2"}))
	require.NoError(t, s.Deploy(ctx, stage.Version{Name: "v2"}))
	require.ErrorIs(t, s.Inject(ctx, stage.Failure{Kind: stage.ConnectionsExhausted, Dependency: "payments"}), errors.ErrUnsupported)
}

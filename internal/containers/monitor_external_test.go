package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rehearsal/internal/alarm"
	"rehearsal/internal/clock"
	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/stage"
)

// A foreignCloud is a CloudWatch that is not the monitor's: it evaluates its alarms
// by the wall clock, every 10 s, and is reached by HTTP only. In a synctest bubble
// the wall clock is synctest's, and the connections are pipes.
type foreignCloud struct {
	store *cloudwatch.Store
	pipes chan net.Conn
	ended chan struct{}
	end   func() // once
}

var _ net.Listener = (*foreignCloud)(nil)

func (f *foreignCloud) Accept() (net.Conn, error) {
	select {
	case c := <-f.pipes:
		return c, nil
	case <-f.ended:
		return nil, net.ErrClosed
	}
}

func (f *foreignCloud) Close() error   { f.end(); return nil }
func (f *foreignCloud) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4566} }

func (f *foreignCloud) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case f.pipes <- theirs:
		return ours, nil
	case <-f.ended:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func startForeignCloud(t *testing.T) (f *foreignCloud, stop func()) {
	f = &foreignCloud{store: cloudwatch.NewStore(cloudwatch.Options{Now: clock.Wall}), pipes: make(chan net.Conn), ended: make(chan struct{})}
	f.end = sync.OnceFunc(func() { close(f.ended) })
	server := &http.Server{Handler: f.store.Handler(), ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { assert.ErrorIs(t, server.Serve(f), http.ErrServerClosed) })
	work.Go(func() { clock.Every(ctx, 10*time.Second, func() { f.store.Evaluate(clock.Wall()) }) })
	return f, sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, server.Close())
		work.Wait()
	})
}

// An externalBench is a monitor whose CloudWatch is a foreignCloud.
type externalBench struct {
	*monitor
	history *stage.History
}

func startExternalBench(t *testing.T, f *foreignCloud, alarms ...alarm.Alarm) externalBench {
	return startExternalBenchOf(t, f, &stage.Setup{Monitoring: monitorNames(), Alarms: alarms})
}

func startExternalBenchOf(t *testing.T, f *foreignCloud, setup *stage.Setup) externalBench {
	paced := clock.NewPaced(1)
	history := stage.NewHistory(paced.Now, nil)
	m, err := startMonitor(monitorOptions{
		Setup: setup, Clock: paced, History: history, Pace: 1,
		External: cloudEndpoint{URL: "http://127.0.0.1:4566", dial: f.dial},
		Targets:  func(string) []target { return []target{{State: targetHealthy}} },
	})
	require.NoError(t, err)
	m.register("v1")
	return externalBench{m, history}
}

// serve answers ten requests a second for d.
func (b externalBench) serve(d time.Duration, status int, line string) {
	for range d / (100 * time.Millisecond) {
		b.access(access{Version: "v1", Target: "v1-1", FromTarget: true, Status: status, Response: 20 * time.Millisecond, Weight: 1})
		b.line("v1", "v1-1", line)
		time.Sleep(100 * time.Millisecond) // synctest's
	}
}

func TestAnExternalCloudWatchJudgesByItsOwnClock(t *testing.T) {
	all := alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer}
	errors5XX := levelAlarm("errors", elbNamespace, elbTarget5XX, "Sum", 300, all)
	errors5XX.TreatMissingData, errors5XX.AlarmActions = "notBreaching", []string{"arn:aws:sns:us-east-1:123456789012:on-call"}
	lines := levelAlarm("error lines", "Shop", "ErrorCount", "Sum", 100)
	quick := levelAlarm("quick", elbNamespace, elbTarget5XX, "Sum", 20, all)
	quick.Period, quick.EvaluationPeriods, quick.DatapointsToAlarm, quick.TreatMissingData = 10, 3, 2, "notBreaching"
	synctest.Test(t, func(t *testing.T) {
		f, stop := startForeignCloud(t)
		defer stop()
		b := startExternalBench(t, f, errors5XX, lines, quick, errorRate())
		b.serve(3*time.Minute, 200, `{"level": "INFO"}`)
		for _, name := range []string{"errors", "quick", "shop-5xx-rate", "error lines"} {
			assert.Equal(t, alarm.OK, b.history.AlarmState(name), name)
		}
		began := b.history.Now()
		b.serve(4*time.Minute, 500, `{"level": "ERROR"}`)
		first := map[string]time.Duration{}
		for e := range b.history.All(stage.Changed) {
			if e.Alarm.To == alarm.InAlarm {
				first[e.Alarm.Name] = e.At - began
				s, ok := f.store.State(e.Alarm.Name)
				assert.True(t, ok)
				assert.Equal(t, alarm.InAlarm, s)
				assert.Contains(t, e.Alarm.Reason, "Threshold Crossed", "the reason is theirs")
			}
		}
		assert.InDelta(t, 20, first["quick"].Seconds(), 15, "two periods of 10 s")
		assert.InDelta(t, 60, first["errors"].Seconds(), 60)
		assert.InDelta(t, 60, first["error lines"].Seconds(), 60)
		assert.InDelta(t, 180, first["shop-5xx-rate"].Seconds(), 60, "three periods of a minute, by metric math")
		assert.Len(t, first, 4)
		b.serve(6*time.Minute, 200, `{"level": "INFO"}`)
		for _, name := range []string{"errors", "quick", "shop-5xx-rate", "error lines"} {
			assert.Equal(t, alarm.OK, b.history.AlarmState(name), name)
		}
		assert.NoError(t, b.monitor.err())
		for _, s := range f.store.Alarms() {
			assert.False(t, s.Alarm.ActionsEnabled, "nobody is called")
		}
		published, err := b.metrics.ListMetrics(t.Context(), &awsmetrics.ListMetricsInput{})
		assert.NoError(t, err)
		for _, m := range published.Metrics {
			assert.LessOrEqual(t, len(m.Dimensions), 1, "%s of a target group is watched by no alarm", *m.MetricName)
			assert.NotEqual(t, elbTarget2XX, *m.MetricName)
		}
		assert.NoError(t, b.close(t.Context()))
		assert.NoError(t, b.close(t.Context()), "twice")
	})
}

func TestAnExternalCloudWatchGetsTheUnitsOfAWS(t *testing.T) {
	right, wrong := unitAlarms()
	names := monitorNames()
	names.Filters[0].Unit = "Count"
	synctest.Test(t, func(t *testing.T) {
		f, stop := startForeignCloud(t)
		defer stop()
		b := startExternalBenchOf(t, f, &stage.Setup{Monitoring: names, Alarms: append(right, wrong...)})
		b.serve(3*time.Minute, 500, `{"level": "ERROR"}`)
		for _, name := range alarmNames(right) {
			assert.Equal(t, alarm.InAlarm, b.history.AlarmState(name), name)
		}
		for _, name := range alarmNames(wrong) {
			assert.Equal(t, alarm.InsufficientData, b.history.AlarmState(name), name)
		}
		assert.NoError(t, b.close(t.Context()))
	})
}

func TestAnExternalCloudWatchJudgesCompositeAlarms(t *testing.T) {
	all := alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer}
	quick := levelAlarm("quick", elbNamespace, elbTarget5XX, "Sum", 20, all)
	quick.Period, quick.TreatMissingData = 10, "notBreaching"
	synctest.Test(t, func(t *testing.T) {
		f, stop := startForeignCloud(t)
		defer stop()
		b := startExternalBenchOf(t, f, &stage.Setup{Monitoring: monitorNames(), Alarms: []alarm.Alarm{quick}, Composites: []alarm.Composite{
			{AlarmName: "top", AlarmRule: "ALARM(low)", AlarmActions: []string{"arn:aws:sns:us-east-1:123456789012:on-call"}, ActionsEnabled: true},
			{AlarmName: "low", AlarmRule: "ALARM(quick)"},
		}})
		b.serve(time.Minute, 200, "")
		assert.Equal(t, alarm.OK, b.history.AlarmState("top"))
		b.serve(time.Minute, 500, "")
		assert.Equal(t, alarm.InAlarm, b.history.AlarmState("top"))
		for _, c := range f.store.Composites() {
			assert.False(t, c.Alarm.ActionsEnabled, "nobody is called")
		}
		assert.NoError(t, b.close(t.Context()))
	})
}

func TestAnExternalCloudWatchGetsOnlyWhatIsWatched(t *testing.T) {
	all := alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer}
	group := alarm.Dimension{Name: "TargetGroup", Value: benchGroupB}
	s := &stage.Setup{Monitoring: monitorNames(), Alarms: []alarm.Alarm{
		levelAlarm("a", elbNamespace, elbHealthy, "Minimum", 1, all, group),
		levelAlarm("b", elbNamespace, elb5XX, "Sum", 1, alarm.Dimension{Name: "LoadBalancer", Value: "another"}),
		levelAlarm("c", ecsNamespace, ecsCPU, "Average", 90, alarm.Dimension{Name: "ServiceName", Value: "shop"}, alarm.Dimension{Name: "ClusterName", Value: "production"}),
		errorRate(),
	}}
	watched := watchedSeries(s)
	assert.True(t, watched[monitorSeries{0, elbNamespace, elbHealthy, benchGroupB}])
	assert.True(t, watched[monitorSeries{0, elbNamespace, elbRequests, ""}], "by metric math")
	assert.True(t, watched[monitorSeries{0, ecsNamespace, ecsCPU, ""}])
	assert.False(t, watched[monitorSeries{0, elbNamespace, elbHealthy, benchGroupA}])
	assert.False(t, watched[monitorSeries{0, elbNamespace, elbRequests, benchGroupA}])
	d := monitorData{names: s.Monitoring, resolution: time.Second, watched: watched}
	d.access(0, access{Target: "v2-1", FromTarget: true, Status: 200, Weight: 1}, benchGroupB)
	require.Len(t, d.values, 1)
	less := onlyWatched(s)
	assert.Empty(t, less.Monitoring.Filters)
	assert.Empty(t, less.Monitoring.LogGroup, "nobody looks at the lines")
	assert.Len(t, s.Monitoring.Filters, 1)
	s.Alarms = append(s.Alarms, levelAlarm("d", "Shop", "ErrorCount", "Sum", 1))
	assert.Equal(t, s.Monitoring, onlyWatched(s).Monitoring)
}

func TestAnExternalCloudWatchThatGoesAwayIsLost(t *testing.T) {
	for name, harm := range map[string]func(f *foreignCloud, stop func()){
		"connection refused":            func(_ *foreignCloud, stop func()) { stop() },
		`alarm "shop-5xx-rate" is gone`: func(f *foreignCloud, _ func()) { _ = f.store.DeleteAlarms("shop-5xx-rate") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, stop := startForeignCloud(t)
				defer stop()
				b := startExternalBench(t, f, errorRate())
				b.serve(2*time.Second, 200, "")
				require.NoError(t, b.monitor.err())
				harm(f, stop)
				b.serve(2*time.Second, 200, "")
				require.ErrorIs(t, b.monitor.err(), stage.ErrLost)
				require.ErrorContains(t, b.monitor.err(), name)
				require.NoError(t, b.close(t.Context()))
			})
		})
	}
}

// The same over TCP, to the server that the store brings along; its calendar jumps.
func TestAnExternalCloudWatchOverTCP(t *testing.T) {
	before := goleak.IgnoreCurrent()
	store := cloudwatch.NewStore(cloudwatch.Options{Now: clock.Wall})
	server, err := store.Serve()
	require.NoError(t, err)
	paced := clock.NewPaced(1)
	history := stage.NewHistory(paced.Now, nil)
	one := levelAlarm("errors", elbNamespace, elbTarget5XX, "Sum", 1, alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer})
	one.EvaluationPeriods, one.DatapointsToAlarm = 3, 1
	m, err := startMonitor(monitorOptions{
		Setup: &stage.Setup{Monitoring: monitorNames(), Alarms: []alarm.Alarm{one}}, Clock: paced, History: history, Pace: 1,
		External: cloudEndpoint{URL: server.URL},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m.access(access{Target: "v1-1", FromTarget: true, Status: 500, Weight: 1})
	until := func(what string, done func() bool) {
		require.NoError(t, clock.Poll(ctx, time.Millisecond, func() (bool, error) { return done(), m.err() }), what)
	}
	until("it was published", func() bool { return store.Fed("errors") })
	store.Evaluate(store.NextEvaluation(clock.Wall()))
	until("its change was seen", func() bool { return history.AlarmState("errors") == alarm.InAlarm })
	require.NoError(t, store.SetAlarmState("errors", alarm.OK, "somebody set it"))
	until("its change was seen", func() bool { return history.AlarmState("errors") == alarm.OK })
	var last stage.Event
	for e := range history.All(stage.Changed) {
		last = e
	}
	assert.Equal(t, stage.AlarmChange{Name: "errors", From: alarm.InAlarm, To: alarm.OK, Reason: "somebody set it"}, *last.Alarm)
	require.NoError(t, m.close(ctx))
	require.NoError(t, server.Close())
	goleak.VerifyNone(t, before)
}

func TestAnExternalCloudWatchIsLocalAndAtPaceOne(t *testing.T) {
	start := func(url, own string, pace float64) error {
		c := clock.NewPaced(pace)
		_, err := startMonitor(monitorOptions{
			Setup: &stage.Setup{}, Clock: c, History: stage.NewHistory(c.Now, nil), Pace: pace, External: cloudEndpoint{URL: url, Own: own},
		})
		return err
	}
	for _, url := range []string{
		"https://monitoring.us-east-1.amazonaws.com", "http://monitoring.us-east-1.amazonaws.com", "http://10.0.0.1:4566", "http://localhost.example.com",
		"http://127.0.0.1.example.com:4566", "http://[2001:db8::1]:4566", "http://0.0.0.0:4566", "https://127.0.0.1:4566", "http://10.211.0.9:80",
		"http://127.0.0.1@example.com", "127.0.0.1:4566", "unix:///var/run/cloudwatch",
	} {
		err := start(url, "10.211.0.9:4566", 1)
		assert.ErrorContains(t, err, "CloudWatch's endpoint", url)
	}
	assert.NotContains(t, start("http://key:hidden@example.com", "", 1).Error(), "hidden")
	for _, url := range []string{"http://127.0.0.1:4566", "http://127.1.2.3", "http://[::1]:4566", "http://localhost:4566", "http://10.211.0.9:4566"} {
		assert.NoError(t, cloudEndpoint{URL: url, Own: "10.211.0.9:4566"}.check(), url)
		err := start(url, "10.211.0.9:4566", 60)
		require.ErrorContains(t, err, "pace 60", url)
		assert.ErrorContains(t, err, "its own clock")
		assert.ErrorContains(t, err, "use pace 1")
	}
	assert.Error(t, cloudEndpoint{URL: "http://:4566"}.check(), "no host is not this machine")
}

// A redirection does not lead elsewhere.
func TestAnExternalCloudWatchIsNotFollowedElsewhere(t *testing.T) {
	asked := false
	elsewhere := serveLocally(t, func(http.ResponseWriter, *http.Request) { asked = true })
	at := serveLocally(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusSeeOther)
	})
	c := clock.NewPaced(1)
	_, err := startMonitor(monitorOptions{
		Setup: &stage.Setup{Alarms: []alarm.Alarm{errorRate()}}, Clock: c, History: stage.NewHistory(c.Now, nil), External: cloudEndpoint{URL: at},
	})
	require.ErrorContains(t, err, "shop-5xx-rate")
	assert.False(t, asked)
}

func serveLocally(t *testing.T, f http.HandlerFunc) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { assert.NoError(t, server.Close()); <-done })
	return fmt.Sprintf("http://%s", l.Addr())
}

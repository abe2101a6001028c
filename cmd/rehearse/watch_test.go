package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/lang"
	"rehearsal/internal/watch"
)

// A production is an account in which the shop is really released, as its CloudWatch
// shows it. Its clock stands still until minutes pass.
type production struct {
	t      *testing.T
	cw     *cloudwatch.Standalone
	url    string
	began  time.Time
	played int // minutes since the release began

	mu     sync.Mutex
	asked  map[string]int // by operation
	refuse map[string]string
}

// A minute is what the shop's users and its tasks show in a minute.
type minute struct {
	rate           float64 // requests per second
	share          float64 // percent of them that the new version gets
	errors         float64 // percent of the new version's that fail
	slow           time.Duration
	unseen, single bool // nothing is published; only half of it is yet
	blueIsB        bool
}

const (
	shopBalancer = "app/shop/50dc6c495c0c9188"
	shopA, shopB = "targetgroup/shop-a/73e2d6bc24d8a067", "targetgroup/shop-b/0d1c2f3a4b5e6978"
)

func newProduction(t *testing.T) *production {
	t.Helper()
	p := &production{t: t, began: time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC), asked: map[string]int{}, refuse: map[string]string{}}
	var err error
	p.cw, err = cloudwatch.NewStandalone(cloudwatch.StandaloneOptions{Start: p.began.Add(-30 * time.Minute)})
	require.NoError(t, err)
	set, err := alarm.ReadFile("../../fixtures/alarms.json")
	require.NoError(t, err)
	require.NoError(t, p.cw.Store().PutAlarms(set.Alarms))
	require.NoError(t, p.cw.Store().CreateLogGroup("/ecs/shop"))
	front := p.cw.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := operationOf(r); name != "" {
			p.mu.Lock()
			p.asked[name]++
			code := p.refuse[name]
			p.mu.Unlock()
			if code != "" {
				refusal(w, r, code)
				return
			}
		}
		front.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { server.Close(); p.cw.Close() })
	p.url = server.URL
	return p
}

// refusal answers with an error in the protocol of the call: JSON, or CBOR (RFC 8949), of
// which a map of two short texts is all that is needed.
func refusal(w http.ResponseWriter, r *http.Request, code string) {
	if protocol := r.Header.Get("Smithy-Protocol"); protocol != "" {
		body := []byte{0xa2}
		for _, text := range []string{"__type", code, "message", "no"} {
			body = append(append(body, 0x78, byte(len(text))), text...)
		}
		w.Header().Set("Smithy-Protocol", protocol)
		w.Header().Set("Content-Type", "application/cbor")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(body)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, `{"__type":%q,"message":"no"}`, code)
}

// operationOf is the operation of AWS that a request is; "": it is none.
func operationOf(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/_rehearsal") {
		return ""
	}
	if _, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return name
	}
	if _, name, ok := strings.Cut(r.URL.Path, "/operation/"); ok {
		return name
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, name, _ := strings.Cut(string(body), "Action=")
	name, _, _ = strings.Cut(name, "&")
	return name
}

// good is the plan of the shop with a good version.
func good(m int) minute {
	share := 100.0
	switch {
	case m < 0:
		share = 0
	case m < 5:
		share = 10
	case m < 10:
		share = 50
	}
	return minute{rate: 200, share: share}
}

// publish publishes what a minute showed.
func (p *production) publish(m int, in minute) {
	if in.unseen {
		return
	}
	at := p.began.Add(time.Duration(m) * time.Minute)
	part := 1.0
	if in.single {
		part = 0.5
	}
	put := func(namespace, unit, name string, value, n float64, of ...alarm.Dimension) {
		if n > 0 {
			p.cw.Store().SeriesIn(unit, namespace, name, of...).AddValue(at, value, n)
		}
	}
	lb := alarm.Dimension{Name: "LoadBalancer", Value: shopBalancer}
	groups := []string{shopA, shopB}
	if in.blueIsB {
		slices.Reverse(groups)
	}
	all := math.Round(in.rate * 60 * part)
	fresh := math.Round(all * in.share / 100)
	for i, n := range []float64{all - fresh, fresh} {
		group := alarm.Dimension{Name: "TargetGroup", Value: groups[i]}
		for _, of := range [][]alarm.Dimension{{lb}, {lb, group}} {
			failed := 0.0
			if i == 1 {
				failed = math.Round(n * in.errors / 100)
			}
			put("AWS/ApplicationELB", "Count", "RequestCount", 1, n, of...)
			put("AWS/ApplicationELB", "Count", "HTTPCode_Target_5XX_Count", 1, failed, of...)
			for q, took := range []float64{0.003, 0.0028, 0.0032, 0.016} {
				share := []float64{0.4, 0.3, 0.28, 0.02}[q]
				if i == 1 {
					took += in.slow.Seconds()
				}
				put("AWS/ApplicationELB", "Seconds", "TargetResponseTime", took, math.Round(n*share), of...)
			}
			if i == 1 && len(of) == 1 {
				put("Shop", "None", "ErrorCount", 1, failed)
			}
		}
		if n > 0 || i == 0 && m < 16 || i == 1 && m >= 0 {
			put("AWS/ApplicationELB", "Count", "HealthyHostCount", 2, 6, lb, group)
			put("AWS/ApplicationELB", "Count", "UnHealthyHostCount", 0, 6, lb, group)
		}
	}
	put("Shop", "None", "ErrorCount", 0, 1)
	ecs := []alarm.Dimension{{Name: "ClusterName", Value: "production"}, {Name: "ServiceName", Value: "shop"}}
	put("AWS/ECS", "Percent", "MemoryUtilization", 9.4, 2, ecs...)
}

// advance moves the clock.
func (p *production) advance(to time.Time) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/_rehearsal/advance", strings.NewReader(fmt.Sprintf(`{"to": %q}`, to.Format(time.RFC3339))))
	require.NoError(p.t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(p.t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusOK, answer.StatusCode, "%s", text)
}

// before lets the half hour before the release pass.
func (p *production) before(like func(int) minute) *production {
	for m := -30; m < 0; m++ {
		p.publish(m, like(m))
		p.advance(p.began.Add(time.Duration(m+1) * time.Minute))
	}
	return p
}

// until lets minutes of the release pass.
func (p *production) until(minutes int, like func(int) minute) *production {
	for ; p.played < minutes; p.played++ {
		p.publish(p.played, like(p.played))
		p.advance(p.began.Add(time.Duration(p.played+1) * time.Minute))
	}
	return p
}

// counted is how often each operation was asked.
func (p *production) counted() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]int{}
	for name, n := range p.asked {
		out[name] = n
	}
	return out
}

func (p *production) refuses(operation, code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse[operation] = code
}

// look runs the command once, at what the release is at.
func (p *production) look(args ...string) (out string, status int) {
	p.t.Helper()
	return run(p.t, []string{"LC_ALL=C"}, p.args(append([]string{"--once", "--since", p.began.Format(time.RFC3339)}, args...)...)...)
}

func (p *production) args(more ...string) []string {
	return append([]string{"watch", "v2", "--file", "../../fixtures/rehearsal.yaml", "--cloudwatch", p.url}, more...)
}

// A watchEvent is a line of --json.
type watchEvent struct {
	At                         time.Time
	Kind, Measure, Alarm, Text string
	Status                     *int
	Seen                       []struct {
		Measure          string
		Value, Low, High *float64
		Out              int
	}
}

// A watcher is the command that follows.
type watcher struct {
	p      *production
	cmd    *exec.Cmd
	stderr lockedBuffer
	lines  chan watchEvent
	all    []watchEvent
}

func (p *production) watch(args ...string) *watcher {
	p.t.Helper()
	w := &watcher{p: p, cmd: exec.Command(rehearse, p.args(append([]string{"--json"}, args...)...)...), lines: make(chan watchEvent, 1000)}
	w.cmd.Env = append(os.Environ(), "LC_ALL=C")
	w.cmd.Stderr = &w.stderr
	out, err := w.cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, w.cmd.Start())
	read := make(chan struct{})
	p.t.Cleanup(func() { _ = w.cmd.Process.Kill(); <-read; _ = w.cmd.Wait() })
	go func() {
		defer close(read)
		defer close(w.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e watchEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				w.lines <- e
			}
		}
	}()
	w.seen("look", p.began)
	return w
}

// seen waits for an event of a kind at that time of CloudWatch's clock.
func (w *watcher) seen(kind string, at time.Time) {
	w.p.t.Helper()
	ctx, cancel := context.WithTimeout(w.p.t.Context(), time.Minute)
	defer cancel()
	for {
		select {
		case e, more := <-w.lines:
			if !more {
				require.Equal(w.p.t, "ended", kind, "it has ended: %s", w.stderr.String())
				return
			}
			w.all = append(w.all, e)
			if e.Kind == kind && !e.At.Before(at) {
				return
			}
		case <-ctx.Done():
			require.Fail(w.p.t, "it did not say "+kind, "%v %s", w.all, w.stderr.String())
		}
	}
}

// minutes lets minutes pass, each looked at. like may be nil from where it does not
// matter.
func (w *watcher) minutes(until int, like func(int) minute) {
	w.p.t.Helper()
	for w.p.played < until {
		w.p.until(w.p.played+1, like)
		w.seen("look", w.p.began.Add(time.Duration(w.p.played)*time.Minute))
	}
}

// status is how it ended.
func (w *watcher) status() int {
	w.p.t.Helper()
	w.seen("ended", time.Time{})
	for e := range w.lines {
		w.all = append(w.all, e)
	}
	_ = w.cmd.Wait()
	return w.cmd.ProcessState.ExitCode()
}

// said is the events of a kind.
func (w *watcher) said(kind string) (all []watchEvent) {
	for _, e := range w.all {
		if e.Kind == kind {
			all = append(all, e)
		}
	}
	return all
}

// minuteOf is when an event came, since the release began.
func (w *watcher) minuteOf(e watchEvent) float64 { return e.At.Sub(w.p.began).Minutes() }

// whole is how many minutes it takes until the plan is over and settled.
const whole = 18

func TestAGoodReleaseStaysInItsBand(t *testing.T) {
	p := newProduction(t).before(good)
	w := p.watch()
	w.minutes(whole, good)
	assert.Equal(t, 0, w.status(), "%v", w.all)
	for _, kind := range []string{"left", "alarm", "silent", "blind"} {
		assert.Empty(t, w.said(kind))
	}
	ended := w.said("ended")
	require.Len(t, ended, 1)
	assert.Contains(t, ended[0].Text, "all was in the predicted band in its last bake")
	assert.Equal(t, 0, *ended[0].Status)
	var steps []string
	for _, e := range w.said("note") {
		if strings.HasPrefix(e.Text, "Step ") {
			steps = append(steps, fmt.Sprintf("%g: %s", w.minuteOf(e), e.Text))
		}
	}
	assert.Equal(t, []string{"1: Step 1 of 3 of the plan: by now v2 should have 10 % of the traffic.", "6: Step 2 of 3 of the plan: by now v2 should have 50 % of the traffic.",
		"11: Step 3 of 3 of the plan: by now v2 should have 100 % of the traffic."}, steps)
	for _, s := range w.said("look")[whole-1].Seen {
		assert.NotNil(t, s.Value, s.Measure)
		assert.NotNil(t, s.High, s.Measure)
	}
	// It changed nothing: no other operation was ever received.
	asked := p.counted()
	assert.Positive(t, asked["GetMetricData"])
	assert.Positive(t, asked["DescribeAlarms"])
	assert.Positive(t, asked["FilterLogEvents"])
	for name := range asked {
		assert.Contains(t, []string{"GetMetricData", "DescribeAlarms", "DescribeAlarmHistory", "FilterLogEvents"}, name)
	}
}

// failing is a version that fails 30 % of its requests, and logs each: as the sample's
// v2-refuses-old-data does.
func failing(m int) minute {
	in := good(m)
	in.errors = 30
	return in
}

func TestErrorsLeaveTheBandBeforeTheAlarmGoesOff(t *testing.T) {
	w := newProduction(t).before(good).watch()
	w.minutes(4, failing)
	left := w.said("left")
	require.NotEmpty(t, left, "%v", w.all)
	assert.Equal(t, "error rate", left[0].Measure)
	assert.InDelta(t, 1, w.minuteOf(left[0]), 0, "at the end of the first minute: sums only grow, so it need not settle")
	for _, want := range []string{"error rate is out of the predicted band: 3 %, where 0.1 % at most was predicted, since 03:00:00.",
		"It was that far in none of 200 predicted releases.", `the alarm "shop-5xx-rate" goes off at 03:03:00.`, `It looks like "Orders of the old version cannot be read any more" (../../features/known_bad.feature:46): there the alarm "shop-5xx-rate" goes off from 03:02:`, "the plan takes the release back"} {
		assert.Contains(t, left[0].Text, want)
	}
	rang := w.said("alarm")
	require.NotEmpty(t, rang)
	assert.Equal(t, "shop-5xx-rate", rang[0].Alarm)
	assert.Contains(t, rang[0].Text, `went off at 03:03:00; by now it had in 0 of 200 predicted releases`)
	assert.InDelta(t, 3, w.minuteOf(rang[0]), 0)
	// The release is taken back: the errors are back in the band, the traffic is not.
	w.minutes(10, func(int) minute { return good(-1) })
	back := w.said("back")
	require.NotEmpty(t, back)
	assert.Equal(t, "error rate", back[0].Measure)
	assert.Contains(t, w.said("alarm")[len(w.said("alarm"))-1].Text, "is OK again")
	w.minutes(whole, func(int) minute { return good(-1) })
	assert.Equal(t, 1, w.status())
	text := w.said("ended")[0].Text
	assert.Contains(t, text, "requests to shop-b")
	assert.NotContains(t, text, "error rate", "which was over before the last bake")
	assert.Empty(t, w.said("silent"))
}

func TestASlowVersionLeavesTheBandOnceItsMinuteIsSettled(t *testing.T) {
	slow := func(m int) minute {
		in := good(m)
		in.slow = 900 * time.Millisecond
		return in
	}
	w := newProduction(t).before(good).watch()
	w.minutes(4, slow)
	left := w.said("left")
	require.NotEmpty(t, left)
	assert.Equal(t, "latency p99", left[0].Measure)
	assert.InDelta(t, 3, w.minuteOf(left[0]), 0, "two minutes after its end: a percentile may still fall")
	assert.Contains(t, left[0].Text, `The alarm "shop-p99-latency" is on.`)
	w.minutes(whole, slow)
	assert.Equal(t, 1, w.status())
}

func TestAnAlarmThatShouldHaveGoneOffIsSilent(t *testing.T) {
	p := newProduction(t)
	// The alarm of that name watches another load balancer, and its actions are off.
	set, err := alarm.ReadFile("../../fixtures/alarms.json")
	require.NoError(t, err)
	for i := range set.Alarms {
		if a := &set.Alarms[i]; a.AlarmName == "shop-5xx-rate" {
			a.ActionsEnabled = false
			for k := range a.Metrics {
				if s := a.Metrics[k].MetricStat; s != nil {
					s.Metric.Dimensions = []alarm.Dimension{{Name: "LoadBalancer", Value: "app/shop/old"}}
				}
			}
		}
	}
	require.NoError(t, p.cw.Store().PutAlarms(set.Alarms))
	w := p.before(good).watch()
	w.minutes(7, failing)
	var notes []string
	for _, e := range w.said("note") {
		notes = append(notes, e.Text)
	}
	all := strings.Join(notes, "\n")
	assert.Contains(t, all, `The actions of the alarm "shop-5xx-rate" are disabled: it pages nobody.`)
	assert.Contains(t, all, `The alarm "shop-5xx-rate" is not the one that was rehearsed: it watches AWS/ApplicationELB HTTPCode_Target_5XX_Count Sum 1m LoadBalancer=app/shop/old, not `)
	silent := w.said("silent")
	require.Len(t, silent, 1)
	assert.Equal(t, "shop-5xx-rate", silent[0].Alarm)
	assert.InDelta(t, 6, w.minuteOf(silent[0]), 0, "three periods, and three minutes for CloudWatch to be late")
	assert.Contains(t, silent[0].Text, "it should have gone off at 03:03:00, 3m ago, and it is OK.")
	out, status := p.look("--failures=false")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "shop-5xx-rate SILENT")
}

func TestMissingDataIsNotZero(t *testing.T) {
	w := newProduction(t).before(good).watch()
	w.minutes(4, good)
	w.minutes(whole, func(m int) minute { return minute{unseen: true} })
	assert.Equal(t, 3, w.status(), "%v", w.all)
	assert.Empty(t, w.said("left"), "no data is not no requests")
	blind := w.said("blind")
	require.NotEmpty(t, blind)
	assert.Contains(t, blind[0].Text, "which is not 0")
	assert.InDelta(t, 9, w.minuteOf(blind[0]), 0, "three settled periods without data")
	assert.Contains(t, blind[len(blind)-1].Text+blind[0].Text, "LoadBalancer="+shopBalancer)
}

func TestLateDataIsNotJudgedBeforeItIsThere(t *testing.T) {
	w := newProduction(t).before(good).watch()
	late := func(m int) minute {
		if m > 0 { // what comes a minute late: the other half of the one before
			in := good(m - 1)
			in.single = true
			w.p.publish(m-1, in)
		}
		in := good(m)
		in.single = true
		return in
	}
	w.minutes(whole, late)
	assert.Equal(t, 0, w.status(), "%v", w.all)
	assert.Empty(t, w.said("left"))
	assert.Empty(t, w.said("blind"))
	// With no patience it would have been judged.
	q := newProduction(t).before(good)
	in := func(m int) minute { v := good(m); v.single = true; return v }
	q.until(3, good).until(4, in)
	out, status := q.look("--late", "0s", "--failures=false")
	assert.Equal(t, 1, status, out)
	out, status = q.look("--failures=false")
	assert.Equal(t, 0, status, out)
}

func TestAClockThatJumpsIsSaid(t *testing.T) {
	w := newProduction(t).before(good).watch()
	w.minutes(2, good)
	for ; w.p.played < 12; w.p.played++ {
		w.p.publish(w.p.played, good(w.p.played))
	}
	w.p.advance(w.p.began.Add(12 * time.Minute))
	w.seen("look", w.p.began.Add(12*time.Minute))
	var notes string
	for _, e := range w.said("note") {
		notes += e.Text
	}
	assert.Regexp(t, `Nothing was looked at for \d+m; what came meanwhile is judged now`, notes) // a look may come between
	w.minutes(whole, good)
	assert.Equal(t, 0, w.status(), "%v", w.all)
	assert.Empty(t, w.said("left"))
}

func TestWhatCannotBeReadIsInconclusive(t *testing.T) {
	for name, c := range map[string]struct {
		operation, code string
		want            []string
	}{
		"metrics denied": {"GetMetricData", "AccessDeniedException", []string{"Nothing can be seen: GetMetricData", "it is not allowed", "rehearse watch --policy"}},
		"alarms denied":  {"DescribeAlarms", "AccessDenied", []string{"Nothing can be seen: DescribeAlarms", "rehearse watch --policy"}},
		"logs denied":    {"FilterLogEvents", "AccessDeniedException", []string{"The logs cannot be seen", "--logs=false", "rehearse watch --policy", "not all of it could be seen"}},
		"throttled":      {"GetMetricData", "ThrottlingException", []string{"AWS was asked too much at once", "--every"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProduction(t).before(good).until(4, good)
			p.refuses(c.operation, c.code)
			out, status := p.look("--failures=false")
			assert.Equal(t, 3, status, out)
			flat := strings.Join(strings.Fields(out), " ")
			for _, want := range c.want {
				assert.Contains(t, flat, want)
			}
			if name == "throttled" {
				assert.Equal(t, 0, p.counted()["GetMetricData"]%4, "each is tried four times")
			}
		})
	}
}

func TestAThrottledLookIsTriedAgain(t *testing.T) {
	w := newProduction(t).before(good).watch("--failures=false")
	w.minutes(2, good)
	w.p.refuses("GetMetricData", "ThrottlingException")
	w.p.until(3, good)
	w.seen("blind", w.p.began.Add(3*time.Minute))
	w.p.refuses("GetMetricData", "")
	w.minutes(whole, good)
	assert.Equal(t, 0, w.status(), "%v", w.all)
	assert.Contains(t, w.said("blind")[0].Text, "This look failed (1 of 5 in a row)")
}

func TestProductionIsNotTheFile(t *testing.T) {
	busy := func(m int) minute {
		in := good(m)
		in.rate, in.slow = 350, 0
		return in
	}
	p := newProduction(t).before(busy).until(8, busy)
	out, status := p.look("--failures=false")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, strings.Join(strings.Fields(out), " "), "requests was out of the predicted band before the release began already: the prediction does not fit this account; --baseline 1h has it start from the real traffic.")
	out, status = p.look("--failures=false", "--baseline", "1h")
	assert.Equal(t, 0, status, out)
	assert.Contains(t, strings.Join(strings.Fields(out), " "), "with the traffic of 30 real minutes")
	out, status = p.look("--failures=false", "--baseline", "week")
	assert.Equal(t, 3, status, out)
	assert.Contains(t, out, "too few to start from")
}

func TestTheGroupThatServesIsFoundOut(t *testing.T) {
	other := func(m int) minute {
		in := good(m)
		in.blueIsB = true
		return in
	}
	out, status := newProduction(t).before(other).until(8, other).look("--failures=false")
	assert.Equal(t, 0, status, out)
}

func TestARecordedRehearsalPredicts(t *testing.T) {
	dir := t.TempDir()
	out, status := run(t, nil, "release", "v2", "--file", "../../fixtures/rehearsal.yaml", "--plan", planWith(t, ""), "--report", dir)
	require.Equal(t, 0, status, out)
	history := filepath.Join(dir, "histories", "release-1.simulated.ndjson")
	p := newProduction(t).before(good).until(8, good)
	out, status = p.look("--predicted", history)
	assert.Equal(t, 0, status, out)
	assert.Contains(t, out, "recorded in")
	assert.Contains(t, out, "not predicted", "a history does not say how much memory there was")
	out, status = newProduction(t).before(good).until(8, failing).look("--predicted", history)
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "error rate is out of the predicted band")
	wrong := filepath.Join(dir, "wrong.ndjson")
	for text, want := range map[string]string{"{}\n": "not a history", "": "no release was recorded"} {
		require.NoError(t, os.WriteFile(wrong, []byte(text), 0o600))
		out, status = p.look("--predicted", wrong)
		assert.Equal(t, 2, status, out)
		assert.Contains(t, out, want)
	}
}

func TestNewLinesOfTheLogAreShownSafely(t *testing.T) {
	p := newProduction(t)
	line := func(at time.Duration, text string) {
		require.NoError(t, p.cw.Store().PutLogEvents("/ecs/shop", "task", []cloudwatch.LogEvent{{Time: p.began.Add(at), Message: text}}))
	}
	p.before(good).until(4, good)
	line(-5*time.Minute, `{"level":"ERROR","msg":"order 17 is unknown"}`)
	line(time.Minute, `{"level":"ERROR","msg":"order 4711 is unknown"}`)
	line(time.Minute, `{"level":"INFO","msg":"all is well"}`)
	line(2*time.Minute, `{"level":"ERROR","msg":"no connection","url":"postgres://shop:hush@db/shop","password":"verysecret"}`)
	line(3*time.Minute, `{"level":"ERROR","msg":"`+"\u202e\x1b[31m"+strings.Repeat("long ", 200)+`"}`)
	out, status := p.look("--failures=false")
	assert.Equal(t, 0, status, out)
	flat := strings.Join(strings.Fields(out), " ")
	assert.Contains(t, flat, `new in /ecs/shop: {"level":"ERROR","msg":"no connection"`)
	assert.NotContains(t, out, "order", "lines of that shape came before the release")
	assert.NotContains(t, out, "all is well", "no metric filter matches it")
	for _, secret := range []string{"hush", "verysecret", "\x1b", "\u202e"} {
		assert.NotContains(t, out, secret)
	}
	assert.Less(t, strings.Count(out, "long"), 60)
}

func TestWatchFitsIntoATerminal(t *testing.T) {
	p := newProduction(t).before(good).until(7, failing)
	for locale, want := range map[string]string{"C": "predicted", "ja_JP.UTF-8": "予測"} {
		out, status := run(t, []string{"LC_ALL=" + locale}, p.args("--once", "--since", p.began.Format(time.RFC3339))...)
		assert.Equal(t, 1, status, out)
		assert.Contains(t, out, want)
		assert.Equal(t, 1, strings.Count(out, ".feature:"), "what it looks like is said once: %s", out)
		assert.NotContains(t, out, "\x1b")
		for line := range strings.Lines(out) {
			assert.LessOrEqual(t, lang.Columns(strings.TrimRight(line, "\n")), 80, line)
		}
	}
}

func TestTheTableIsDrawnAgainBelowWhatStays(t *testing.T) {
	var out bytes.Buffer
	tables := [][]string{{"a 1", "b 1"}, nil, {"a 2", "b 2", "c 2"}, nil}
	s := &board{out: &out, live: true, lines: func(watch.Event) (table []string) { table, tables = tables[0], tables[1:]; return table }}
	at := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	for _, e := range []watch.Event{{Kind: watch.Looked}, {Kind: watch.Noted, Text: "something \x1b[2Jstays"}, {Kind: watch.Looked}, {Kind: watch.Ended, Text: "over"}} {
		e.At = at
		s.tell(e)
	}
	const up2, up3 = "\x1b[2A\x1b[J", "\x1b[3A\x1b[J"
	assert.Equal(t, "a 1\nb 1\n"+up2+"03:00:00 something [2Jstays\na 1\nb 1\n"+up2+"a 2\nb 2\nc 2\n"+up3+"03:00:00 over\na 2\nb 2\nc 2\n", out.String())
}

func TestWatchIsEndedByCtrlC(t *testing.T) {
	w := newProduction(t).before(good).watch("--failures=false")
	w.minutes(2, good)
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGINT))
	assert.Equal(t, 3, w.status())
	assert.Contains(t, w.said("ended")[0].Text, "nothing may be concluded")
}

func TestWatchRefusesWhatIsWrong(t *testing.T) {
	p := newProduction(t).before(good)
	base := []string{"watch", "v2", "--file", "../../fixtures/rehearsal.yaml"}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no cloudwatch":      {nil, "--cloudwatch is missing"},
		"elsewhere":          {[]string{"--cloudwatch", "https://monitoring.eu-west-1.amazonaws.com"}, "this is not on this machine: say --cloudwatch aws"},
		"no URL":             {[]string{"--cloudwatch", "somewhere"}, `it is a URL such as`},
		"embedded":           {[]string{"--cloudwatch", "embedded"}, "name its URL"},
		"aws without asking": {[]string{"--cloudwatch", "aws"}, "there is no terminal to ask on"},
		"since nonsense":     {[]string{"--cloudwatch", p.url, "--since", "yesterday"}, "want a moment with its offset"},
		"since tomorrow":     {[]string{"--cloudwatch", p.url, "--since", "2026-11-27T00:00:00Z"}, "that is not yet"},
		"since long ago":     {[]string{"--cloudwatch", p.url, "--since", "2026-01-01T00:00:00Z"}, "15 days"},
		"every":              {[]string{"--cloudwatch", p.url, "--every", "1s"}, "--every 1s"},
		"baseline":           {[]string{"--cloudwatch", p.url, "--baseline", "2h"}, `--baseline "2h"`},
		"stable":             {[]string{"--cloudwatch", p.url, "--stable", "v0"}, `--stable "v0"`},
		"itself":             {[]string{"--cloudwatch", p.url, "--stable", "v2"}, "is the version that is released"},
		"releases":           {[]string{"--cloudwatch", p.url, "--releases", "1"}, "--releases 1"},
		"margin":             {[]string{"--cloudwatch", p.url, "--margin", "NaN"}, "--margin NaN"},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := run(t, nil, append(append([]string{}, base...), c.args...)...)
			assert.Equal(t, 2, status, out)
			assert.Contains(t, out, c.want)
		})
	}
	assert.NotContains(t, p.counted(), "GetMetricData")
}

func TestAnAccountIsShownAndOnlyRead(t *testing.T) {
	p := newProduction(t).before(good).until(4, good)
	env := []string{"AWS_ENDPOINT_URL=" + p.url, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIAHIDDEN", "AWS_SECRET_ACCESS_KEY=hush", "AWS_SESSION_TOKEN=",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_PROFILE=", "AWS_EC2_METADATA_DISABLED=true"}
	// An account's clock is the wall's, by which nothing of that release is recent.
	out, status := run(t, env, "watch", "v2", "--file", "../../fixtures/rehearsal.yaml", "--cloudwatch", "aws", "--yes", "--once", "--failures=false")
	assert.Equal(t, 3, status, out)
	for _, want := range []string{"read-only:", "account  000000000000", "region   eu-west-1", "not AWS's own"} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "hush")
	for name := range p.counted() {
		assert.Contains(t, []string{"GetCallerIdentity", "GetMetricData", "DescribeAlarms", "DescribeAlarmHistory", "FilterLogEvents"}, name)
	}
}

func TestThePolicyIsTheOneInTheDocumentation(t *testing.T) {
	out, status := run(t, nil, "watch", "--policy")
	require.Equal(t, 0, status, out)
	docs, err := os.ReadFile("../../docs/watch.md")
	require.NoError(t, err)
	assert.Contains(t, string(docs), "```json\n"+out+"```\n")
	assert.True(t, json.Valid([]byte(out)))
}

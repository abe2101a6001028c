package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
)

var standaloneStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// every5m goes off when more than 10 came in five minutes.
func every5m(name string) alarm.Alarm {
	return alarm.Alarm{
		AlarmName: name, ActionsEnabled: true, AlarmActions: []string{"arn:aws:sns:us-east-1:123456789012:on-call"},
		Namespace: "Shop", MetricName: "Errors", Statistic: "Sum", Period: 300, EvaluationPeriods: 1,
		Threshold: 10, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching",
	}
}

func startStandalone(t *testing.T, o StandaloneOptions) *Standalone {
	t.Helper()
	if o.Start.IsZero() {
		o.Start = standaloneStart
	}
	v, err := NewStandalone(o)
	require.NoError(t, err)
	t.Cleanup(v.Close)
	return v
}

// ask makes one call of /_rehearsal.
func ask(t *testing.T, v *Standalone, method, path, body string, into any) (status int, text string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:4566"+path, strings.NewReader(body))
	w := httptest.NewRecorder()
	v.Handler().ServeHTTP(w, r)
	if into != nil {
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), into))
	}
	return w.Code, w.Body.String()
}

func TestStandaloneAdvancesOverADay(t *testing.T) {
	var told []Transition
	v := startStandalone(t, StandaloneOptions{Changed: func(c Transition) { told = append(told, c) }})
	require.NoError(t, v.Store().PutAlarms([]alarm.Alarm{every5m("errors")}))
	h := v.Store().Series("Shop", "Errors")
	h.AddValue(standaloneStart.Add(20*time.Hour), 11, 1)
	h.AddValue(standaloneStart.Add(22*time.Hour), 11, 1)
	var got standaloneMoved
	ask(t, v, http.MethodPost, "/_rehearsal/advance", `{"by": "24h"}`, &got)
	assert.Equal(t, standaloneStart.Add(24*time.Hour), got.Time)
	require.Len(t, got.Transitions, 5)
	at := func(clock string) time.Time {
		at, err := time.Parse("2006-01-02 15:04:05", "2026-01-"+clock)
		require.NoError(t, err)
		return at
	}
	for i, want := range []standaloneChange{
		{From: "INSUFFICIENT_DATA", To: "OK", Time: at("02 03:05:00")},
		{From: "OK", To: "ALARM", Time: at("02 23:05:00")},
		{From: "ALARM", To: "OK"}, // when the value has left what the alarm looks at
		{From: "OK", To: "ALARM", Time: at("03 01:05:00")},
		{From: "ALARM", To: "OK"},
	} {
		c := got.Transitions[i]
		assert.Equal(t, "errors", c.Alarm)
		assert.Equal(t, want.From+want.To, c.From+c.To, "%d", i)
		if !want.Time.IsZero() {
			assert.Equal(t, want.Time, c.Time, "%d", i)
		}
		assert.Equal(t, c.Time, told[i].Time, "told in the same order")
	}
	assert.Len(t, told, 5)
	require.Len(t, got.Actions, 2)
	assert.Equal(t, standaloneAction{"errors", "ALARM", []string{"arn:aws:sns:us-east-1:123456789012:on-call"}, at("02 23:05:00")}, got.Actions[0])
	assert.Equal(t, at("03 01:05:00"), got.Actions[1].Time)

	var again standaloneMoved
	ask(t, v, http.MethodPost, "/_rehearsal/advance", `{"to": "2026-01-03T03:04:05Z"}`, &again)
	assert.Empty(t, again.Transitions)
	assert.Equal(t, got.Time, again.Time, "to where it is")
}

// What a suppressor held back is carried out in the instant in which it lets go.
func TestStandaloneTellsActionsThatWereHeldBack(t *testing.T) {
	acted := 0
	v := startStandalone(t, StandaloneOptions{Acted: func(Action) { acted++ }})
	quiet := every5m("errors")
	quiet.AlarmActions = nil
	never := quiet
	never.AlarmName, never.Threshold = "never", 1e9
	require.NoError(t, v.Store().PutAlarms([]alarm.Alarm{quiet, never}))
	require.NoError(t, v.Store().PutComposites([]alarm.Composite{{
		AlarmName: "top", AlarmRule: "ALARM(errors)", ActionsEnabled: true, AlarmActions: []string{"arn:aws:sns:us-east-1:123456789012:on-call"},
		ActionsSuppressor: "never", ActionsSuppressorWaitPeriod: 95, ActionsSuppressorExtensionPeriod: 60,
	}}))
	v.Store().Series("Shop", "Errors").AddValue(v.Now(), 11, 1)
	var got standaloneMoved
	ask(t, v, http.MethodPost, "/_rehearsal/advance", `{"by": "5m"}`, &got)
	var top []standaloneChange
	for _, c := range got.Transitions {
		if c.Alarm == "top" && c.To == "ALARM" {
			top = append(top, c)
		}
	}
	require.Len(t, top, 1)
	assert.Equal(t, "WaitPeriod", top[0].SuppressedBy)
	require.Len(t, got.Actions, 1)
	assert.Equal(t, "top", got.Actions[0].Alarm)
	assert.Equal(t, top[0].Time.Add(95*time.Second), got.Actions[0].Time)
	assert.Equal(t, 1, acted)
	var state standaloneState
	ask(t, v, http.MethodGet, "/_rehearsal", "", &state)
	assert.Equal(t, 3, state.Alarms)
}

// However a way is cut into calls, the same changes come at the same times.
func TestStandaloneAdvanceInParts(t *testing.T) {
	run := func(parts []time.Duration) (told []string) {
		v, err := NewStandalone(StandaloneOptions{Start: standaloneStart, Changed: func(c Transition) {
			told = append(told, fmt.Sprint(c.Time, c.From, c.To, c.Reason))
		}})
		require.NoError(t, err)
		quick := every5m("quick")
		quick.Period = 10
		require.NoError(t, v.Store().PutAlarms([]alarm.Alarm{every5m("errors"), quick}))
		h := v.Store().Series("Shop", "Errors")
		for i := range 30 {
			h.AddValue(standaloneStart.Add(time.Duration(i*i)*17*time.Second), float64(i%4)*4, 1)
		}
		for _, by := range parts {
			target := func(now time.Time) (time.Time, error) { return now.Add(by), nil }
			_, err := v.advance(t.Context(), target)
			require.NoError(t, err)
		}
		return told
	}
	whole := run([]time.Duration{4 * time.Hour})
	require.Greater(t, len(whole), 10)
	rapid.Check(t, func(t *rapid.T) {
		left := 4 * time.Hour
		var parts []time.Duration
		for left > 0 {
			by := min(left, time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "part")))
			parts, left = append(parts, by), left-by
		}
		assert.Equal(t, whole, run(parts))
	})
}

func TestStandaloneEvaluatesWhenAlarmsAreDue(t *testing.T) {
	for _, speed := range []float64{0.5, 1, 60} {
		t.Run(fmt.Sprint(speed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told atomic.Int32
				var v *Standalone
				v = startStandalone(t, StandaloneOptions{Speed: speed, Changed: func(c Transition) {
					told.Add(1)
					assert.Less(t, v.Now().Sub(c.Time), time.Duration(2*speed*float64(time.Millisecond)), "told when it was due")
				}})
				ctx, cancel := context.WithCancel(t.Context())
				var work sync.WaitGroup
				work.Go(func() { v.run(ctx) })
				require.NoError(t, v.Store().PutAlarms([]alarm.Alarm{every5m("errors")}))
				v.Store().Series("Shop", "Errors").AddValue(v.Now(), 11, 1)
				wall := func(d time.Duration) {
					time.Sleep(time.Duration(float64(d) / speed)) // synctest's
					synctest.Wait()
				}
				wall(56 * time.Second)
				require.EqualValues(t, 1, told.Load(), "ALARM, at 03:05:00")
				wall(40 * time.Minute)
				require.EqualValues(t, 2, told.Load(), "OK")
				var moved standaloneMoved
				ask(t, v, http.MethodPost, "/_rehearsal/advance", `{"by": "58s"}`, &moved)
				v.Store().Series("Shop", "Errors").AddValue(v.Now(), 11, 1)
				wall(time.Minute)
				require.EqualValues(t, 3, told.Load(), "the move did not leave it asleep")
				var state standaloneState
				ask(t, v, http.MethodGet, "/_rehearsal", "", &state)
				assert.InDelta(t, (56*time.Second + 40*time.Minute + 58*time.Second + time.Minute).Seconds(), state.Time.Sub(standaloneStart).Seconds(), 0.001)
				assert.Equal(t, 1, state.Metrics)
				cancel()
				work.Wait()
			})
		})
	}
}

// With nobody to move it, a clock that stands still evaluates nothing and takes no
// processor time.
func TestStandaloneAtSpeedZeroStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := startStandalone(t, StandaloneOptions{Changed: func(c Transition) { t.Errorf("%v", c) }})
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { v.run(ctx) })
		require.NoError(t, v.Store().PutAlarms([]alarm.Alarm{every5m("errors")}))
		time.Sleep(100 * time.Hour)
		assert.Equal(t, standaloneStart, v.Now())
		cancel()
		work.Wait()
	})
}

func TestStandaloneClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCalendar(standaloneStart, MaxSpeed)
		time.Sleep(90 * 24 * time.Hour) // more than a Duration holds at that speed
		assert.Equal(t, standaloneStart.AddDate(0, 0, 90*3600), c.now())
		now := c.hold()
		time.Sleep(time.Hour)
		c.set(now.Add(-time.Hour))
		assert.Equal(t, now, c.now(), "it stands still, and does not go back")
		c.set(now.Add(time.Second))
		c.release()
		time.Sleep(time.Second)
		assert.Equal(t, now.Add(time.Second+time.Hour), c.now())
	})
}

func TestStandaloneClockIsWaitedFor(t *testing.T) {
	for _, speed := range []float64{0, 1, 60} {
		synctest.Test(t, func(t *testing.T) {
			c := newCalendar(standaloneStart, speed)
			var done atomic.Bool
			ctx, cancel := context.WithCancel(t.Context())
			var work sync.WaitGroup
			work.Go(func() {
				assert.NoError(t, c.wait(ctx, 20*time.Second))
				done.Store(true)
				assert.ErrorIs(t, c.wait(ctx, time.Hour), context.Canceled)
			})
			synctest.Wait()
			c.set(c.hold().Add(19 * time.Second))
			c.release()
			synctest.Wait()
			assert.False(t, done.Load())
			if speed == 0 {
				time.Sleep(100 * time.Hour)
				synctest.Wait()
				assert.False(t, done.Load(), "nothing moved it")
				c.set(c.hold().Add(time.Second))
				c.release()
			} else {
				time.Sleep(time.Duration(float64(time.Second)/speed) + 2*time.Millisecond)
			}
			synctest.Wait()
			assert.True(t, done.Load())
			cancel()
			work.Wait()
		})
	}
}

// SNS tries again when 20 s of this clock have passed, and not after its end.
func TestStandaloneDelivers(t *testing.T) {
	v := startStandalone(t, StandaloneOptions{})
	tried := make(chan time.Time, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		tried <- v.Now()
	}))
	defer hook.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- v.Serve(ctx, listener) }()
	client := snsapi.New(snsapi.Options{BaseEndpoint: aws.String("http://" + listener.Addr().String()), Region: region, Credentials: madeUp()})
	subscribe := func() *Store {
		topic, err := client.CreateTopic(t.Context(), &snsapi.CreateTopicInput{Name: aws.String("on-call")})
		require.NoError(t, err)
		_, err = client.Subscribe(t.Context(), &snsapi.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("http"), Endpoint: &hook.URL})
		require.NoError(t, err)
		return v.Store()
	}
	ended, end := context.WithCancel(t.Context())
	end()
	first := subscribe()
	assert.Equal(t, v.Now(), <-tried)
	for again := false; !again; {
		select {
		case at := <-tried:
			assert.GreaterOrEqual(t, at.Sub(standaloneStart), 20*time.Second)
			again = true
		default: // the answer to the first attempt may be on its way still
			ask(t, v, http.MethodPost, "/_rehearsal/advance", `{"by": "1s"}`, new(standaloneMoved))
		}
	}
	require.Error(t, first.Flush(ended), "there are more attempts to come")
	ask(t, v, http.MethodPost, "/_rehearsal/reset", "", new(standaloneState))
	require.NoError(t, first.Flush(ended), "what was forgotten is not delivered")
	second := subscribe()
	<-tried
	require.Error(t, second.Flush(ended))
	cancel()
	require.NoError(t, <-served)
	require.NoError(t, second.Flush(ended), "nothing is under way at its end")
}

func TestStandaloneReset(t *testing.T) {
	v := startStandalone(t, StandaloneOptions{Version: "v1.2.3"})
	require.NoError(t, v.Store().PutAlarms([]alarm.Alarm{every5m("errors")}))
	require.NoError(t, v.Store().CreateLogGroup("/ecs/shop"))
	v.Store().Series("Shop", "Errors").AddValue(v.Now(), 11, 1)
	var moved standaloneMoved
	ask(t, v, http.MethodPost, "/_rehearsal/advance", `{"by": "90s"}`, &moved)
	var state standaloneState
	ask(t, v, http.MethodGet, "/_rehearsal", "", &state)
	assert.Equal(t, standaloneState{Version: "v1.2.3", Time: standaloneStart.Add(90 * time.Second), Alarms: 1, Metrics: 1, LogGroups: 1}, state)
	ask(t, v, http.MethodPost, "/_rehearsal/reset", "", &state)
	assert.Equal(t, standaloneState{Version: "v1.2.3", Time: standaloneStart.Add(90 * time.Second)}, state, "the clock goes on")
	require.NoError(t, v.Store().PutAlarms([]alarm.Alarm{every5m("errors")}))
	ask(t, v, http.MethodPost, "/_rehearsal/advance", `{"by": "90s"}`, &moved)
	require.Len(t, moved.Transitions, 1)
	assert.Equal(t, "OK", moved.Transitions[0].To, "what came before is forgotten")
}

func TestStandaloneRefuses(t *testing.T) {
	v := startStandalone(t, StandaloneOptions{Guarded: true})
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{http.MethodPost, "/_rehearsal", "", 405, "takes GET"},
		{http.MethodGet, "/_rehearsal/advance", "", 405, "takes POST"},
		{http.MethodDelete, "/_rehearsal/reset", "", 405, "takes POST"},
		{http.MethodGet, "/_rehearsal/nothing", "", 404, "there is no /_rehearsal/nothing"},
		{http.MethodPost, "/_rehearsal/advance", "", 400, "EOF"},
		{http.MethodPost, "/_rehearsal/advance", "{}", 400, `want {\"by\"`},
		{http.MethodPost, "/_rehearsal/advance", `{"by": "5m", "to": "2026-01-03T00:00:00Z"}`, 400, `one of \"by\" and \"to\"`},
		{http.MethodPost, "/_rehearsal/advance", `{"by": 300}`, 400, "number"},
		{http.MethodPost, "/_rehearsal/advance", `{"by": "soon"}`, 400, "no duration"},
		{http.MethodPost, "/_rehearsal/advance", `{"by": "-1s"}`, 400, "does not go back"},
		{http.MethodPost, "/_rehearsal/advance", `{"by": "9999h"}`, 400, "at most"},
		{http.MethodPost, "/_rehearsal/advance", `{"by": "1s"} {"by": "1s"}`, 400, "more than one"},
		{http.MethodPost, "/_rehearsal/advance", `{"to": "2026-01-02T03:04:04Z"}`, 400, "does not go back"},
		{http.MethodPost, "/_rehearsal/advance", `{"to": "9999-01-02T03:04:04Z"}`, 400, "at most"},
		{http.MethodPost, "/_rehearsal/advance", `{"to": "tomorrow"}`, 400, "the body is wrong"},
		{http.MethodPost, "/_rehearsal/advance", `{"until": "1s"}`, 400, "unknown field"},
		{http.MethodPost, "/_rehearsal/advance", `{"by": "` + strings.Repeat("1", 5000) + `s"}`, 400, "too large"},
	} {
		status, text := ask(t, v, c.method, c.path, c.body, nil)
		assert.Equal(t, c.status, status, "%s %s %s", c.method, c.path, c.body)
		assert.Contains(t, text, c.want)
	}
	assert.Equal(t, standaloneStart, v.Now(), "nothing moved it")
	for _, speed := range []float64{-1, MaxSpeed + 1, math.NaN(), math.Inf(1)} {
		_, err := NewStandalone(StandaloneOptions{Speed: speed})
		require.ErrorContains(t, err, "the speed")
	}
	_, err := NewStandalone(StandaloneOptions{Start: time.Date(9998, 1, 1, 0, 0, 0, 0, time.UTC)})
	require.ErrorContains(t, err, "the start")
}

// A page in a browser, which may have had its own name resolved to this machine, may
// neither read nor move the clock.
func TestStandaloneRefusesWebPages(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		v := startStandalone(t, StandaloneOptions{Guarded: guarded})
		for host, local := range map[string]bool{
			"127.0.0.1:4566": true, "127.0.0.1": true, "localhost:4566": true, "LOCALHOST": true, "[::1]:4566": true, "[::1]": true, "10.1.2.3:4566": true,
			"evil.example:4566": false, "localhost.evil.example": false, "127.0.0.1.evil.example:4566": false, "": false,
		} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/_rehearsal/advance", strings.NewReader(`{"by": "1s"}`))
			r.Host = host
			w := httptest.NewRecorder()
			v.Handler().ServeHTTP(w, r)
			assert.Equal(t, local || !guarded, w.Code == http.StatusOK, "%q: %s", host, w.Body)
			r = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/_rehearsal", http.NoBody)
			r.Host = host
			r.Header.Set("Origin", "null")
			w = httptest.NewRecorder()
			v.Handler().ServeHTTP(w, r)
			assert.Equal(t, http.StatusForbidden, w.Code, "with an Origin")
		}
	}
}

// Who goes away ends the move that was asked for.
func TestStandaloneAdvanceEndsWithItsCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	v := startStandalone(t, StandaloneOptions{Changed: func(Transition) { cancel() }})
	require.NoError(t, v.Store().PutAlarms([]alarm.Alarm{every5m("errors")}))
	_, err := v.advance(ctx, func(now time.Time) (time.Time, error) { return now.Add(maxAdvance), nil })
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC), v.Now(), "it stays where it got to")
	_, err = v.advance(t.Context(), func(now time.Time) (time.Time, error) { return now.Add(time.Minute), nil })
	require.NoError(t, err)
	assert.Equal(t, time.Date(2026, 1, 2, 3, 6, 0, 0, time.UTC), v.Now())
}

func TestParseMetricFilters(t *testing.T) {
	one := `{"filterName": "errors", "logGroupName": "/ecs/shop", "filterPattern": "{ $.level = \"ERROR\" }",
	  "metricTransformations": [{"metricName": "Errors", "metricNamespace": "Shop", "metricValue": "1", "defaultValue": 0}]}`
	got, err := ParseMetricFilters("f.json", []byte(`{"metricFilters": [`+one+`]}`))
	require.NoError(t, err)
	zero := 0.0
	assert.Equal(t, []MetricFilter{{Name: "errors", LogGroup: "/ecs/shop", Pattern: `{ $.level = "ERROR" }`, Namespace: "Shop", Metric: "Errors", Value: "1", Default: &zero}}, got)
	for text, want := range map[string]string{
		"": "f.json:1: this is not JSON", "{}": `f.json:1: "metricFilters" is missing`, "[]": "must not be a JSON array",
		"{\n\"metricFilters\": [3]}":                                                                      "f.json:2:",
		`{"metricFilters": [{"filterName": "x", "logGroupName": "g"}]}`:                                   "has 0 metricTransformations",
		"{\"metricFilters\": [\n\n" + strings.Replace(one, "ERROR\\\" }", "ERROR\\\"", 1) + "]}":          "f.json:3: metric filter 1",
		"{\"metricFilters\": [" + one + ",\n" + strings.Replace(one, `"Errors"`, `"Err:ors"`, 1) + "\n]}": "f.json:3: metric filter 2",
		"{\"metricFilters\": [" + one + ",\n{\"filterName\": 3}\n]}":                                      "f.json:3: filterName must not be a JSON number",
	} {
		_, err := ParseMetricFilters("f.json", []byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParseMetricFilters(f *testing.F) {
	f.Add([]byte(`{"metricFilters": [{"filterName": "a", "logGroupName": "g", "filterPattern": "{ $.a = 1 }", "metricTransformations": [{"metricName": "m", "metricNamespace": "n", "metricValue": "$.v", "dimensions": {"d": "$.e"}}]}]}`))
	f.Add([]byte("{\"metricFilters\": [\n3, null, {}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := ParseMetricFilters("f.json", data)
		if err != nil {
			assert.Empty(t, all)
			assert.Contains(t, err.Error(), "f.json:")
			return
		}
		s := NewStore(Options{})
		for _, m := range all {
			assert.NoError(t, s.PutMetricFilter(m), "what was read can be put")
		}
	})
}

func FuzzAdvance(f *testing.F) {
	f.Add(`{"by": "5m"}`)
	f.Add(`{"to": "2026-01-02T03:04:05.5+09:00"}`)
	f.Add(`{"by": "9223372036854775807ns"}`)
	f.Fuzz(func(t *testing.T, body string) {
		target, err := readAdvance(strings.NewReader(body))
		if err != nil {
			return
		}
		to, err := target(standaloneStart)
		if err == nil {
			assert.False(t, to.Before(standaloneStart))
			assert.LessOrEqual(t, to.Sub(standaloneStart), maxAdvance)
		}
	})
}

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/cloudwatch"
)

// embedded is our own CloudWatch, whose clock stands still until it is moved.
func embedded(t *testing.T) (*cloudwatch.Standalone, Endpoint) {
	t.Helper()
	v, err := cloudwatch.NewStandalone(cloudwatch.StandaloneOptions{Start: time.Date(2026, 3, 2, 10, 0, 17, 0, time.UTC)})
	require.NoError(t, err)
	return v, serve(t, v.Handler())
}

func serve(t *testing.T, h http.Handler) Endpoint {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	e, err := ParseEndpoint(server.URL, "", false)
	require.NoError(t, err)
	return e
}

// known are the cases in which the embedded CloudWatch deviates, and why that is left
// so. Whoever makes one conform takes it off this list.
var known = map[string]string{}

func TestTheEmbeddedCloudWatchConforms(t *testing.T) {
	v, e := embedded(t)
	r, err := Run(t.Context(), Options{Endpoint: e})
	require.NoError(t, err)
	for _, c := range r.Results {
		want := Conforms
		if known[c.Name] != "" {
			want = Deviates
		}
		assert.Equal(t, want, c.Verdict, "%s: %s: %s", c.Name, c.Documented, c.Observed)
		assert.NotEmpty(t, c.Observed, c.Name)
	}
	assert.Greater(t, len(r.Results), 100)
	assert.Empty(t, r.Left)
	assert.Empty(t, v.Store().Alarms(), "what was made is deleted")
	assert.Equal(t, "cbor", r.Protocol)
	assert.Equal(t, len(known), r.Count(Deviates))
}

func TestWhatDeviatesIsFound(t *testing.T) {
	// A CloudWatch that takes everything, knows nothing, and evaluates nothing: each
	// case that it is called conforming in must be one where that is enough.
	deaf, err := cloudwatch.NewStandalone(cloudwatch.StandaloneOptions{Start: time.Date(2026, 3, 2, 10, 0, 17, 0, time.UTC)})
	require.NoError(t, err)
	h := deaf.Handler()
	e := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, op := range []string{"/PutMetricData", "/SetAlarmState"} {
			if strings.HasSuffix(r.URL.Path, op) { // says yes and forgets
				w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
				w.Header().Set("Content-Type", "application/cbor")
				_, _ = w.Write([]byte{0xa0})
				return
			}
		}
		h.ServeHTTP(w, r)
	}))
	r, err := Run(t.Context(), Options{Endpoint: e, Only: []string{"put-*", "points-*", "evaluates-*", "operator-*", "low-samples-*", "composite-follows", "actions-on-change-only", "get-*", "math-*", "set-state-unknown"}})
	require.NoError(t, err)
	for _, c := range r.Results {
		switch c.Name {
		case "put-1000-datums", "get-1441-points", "get-data-unknown-id", "get-percentile-of-a-set", "points-3-of-3-_____":
		default:
			assert.Equal(t, Deviates, c.Verdict, "%s: %s", c.Name, c.Observed)
		}
	}
	assert.Equal(t, 1, r.ExitStatus())
}

func TestWhatNeedsAClockIsUndecidedWithoutPatience(t *testing.T) {
	v, err := cloudwatch.NewStandalone(cloudwatch.StandaloneOptions{})
	require.NoError(t, err)
	h := v.Handler()
	e := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_rehearsal") {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	r, err := Run(t.Context(), Options{Endpoint: e, Only: []string{"points-3-of-3-*", "filter-feeds-metric", "put-value-nan"}})
	require.NoError(t, err)
	assert.Equal(t, "the wall's", r.Clock)
	for _, c := range r.Results {
		if c.Name == "put-value-nan" {
			assert.Equal(t, Conforms, c.Verdict, c.Observed)
			continue
		}
		assert.Equal(t, Undecided, c.Verdict, c.Name)
		assert.Contains(t, c.Observed, "--patience 3m waits that long")
	}
	assert.Equal(t, 3, r.ExitStatus())
}

func TestAnotherProtocolIsTakenWhereOneIsNotSpoken(t *testing.T) {
	v, err := cloudwatch.NewStandalone(cloudwatch.StandaloneOptions{})
	require.NoError(t, err)
	h := v.Handler()
	e := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/service/") { // CBOR
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	r, err := Run(t.Context(), Options{Endpoint: e, Only: []string{"protocol-*", "set-state*", "put-31-dimensions"}})
	require.NoError(t, err)
	assert.Equal(t, "json", r.Protocol)
	for _, c := range r.Results {
		want := Conforms
		if c.Name == "protocol-cbor" {
			want = Deviates
		}
		assert.Equal(t, want, c.Verdict, "%s: %s", c.Name, c.Observed)
	}
}

func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	e, err := ParseEndpoint(server.URL, "", false)
	require.NoError(t, err)
	server.Close()
	_, err = Run(t.Context(), Options{Endpoint: e})
	require.ErrorContains(t, err, "no CloudWatch answers there")

	r, err := Run(t.Context(), Options{Endpoint: serve(t, http.NotFoundHandler()), Only: []string{"put-*"}})
	require.NoError(t, err, "somebody is there, and is no CloudWatch")
	assert.Equal(t, len(r.Results), r.Count(Deviates))
}

func TestARunThatIsStoppedIsDecidedNowhere(t *testing.T) {
	v, e := embedded(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Run(ctx, Options{Endpoint: e, Only: []string{"alarm-*"}, Progress: func(c Result) {
		if c.Name == "alarm-begins" {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, Undecided, r.Results[len(r.Results)-1].Verdict)
	assert.Empty(t, v.Store().Alarms(), "and leaves nothing behind")
}

func TestEndpoints(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:4566": "", "http://localhost:4566/": "", "https://localhost.localstack.cloud:4566": "--allow-remote", "http://[::1]:1": "", "http://aws.localhost:1": "",
		"https://monitoring.eu-west-1.amazonaws.com": "--allow-remote", "http://10.0.0.1:4566": "--allow-remote", "http://127.0.0.1.example.com": "--allow-remote",
		"": "--endpoint is missing", "127.0.0.1:4566": "want a URL", "ftp://127.0.0.1": "want a URL", "http://user:secret@127.0.0.1": "want scheme, host and port",
		"http://127.0.0.1/path": "want scheme, host and port", "http://": "want a URL",
	} {
		_, err := ParseEndpoint(text, "", false)
		if want == "" {
			assert.NoError(t, err, text)
			continue
		}
		require.Error(t, err, text)
		assert.Contains(t, err.Error(), want)
	}
	e, err := ParseEndpoint("https://monitoring.eu-west-1.amazonaws.com", "", true)
	require.NoError(t, err)
	assert.Equal(t, "eu-west-1", e.Region)
	assert.Equal(t, "https://logs.eu-west-1.amazonaws.com", e.logs)
	assert.False(t, e.Local())
}

func TestCasesAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		assert.Regexp(t, `^[A-Za-z0-9_-]+$`, c.Name)
		assert.False(t, seen[c.Name], "%s is there twice", c.Name)
		seen[c.Name] = true
		assert.NotEmpty(t, c.Documented, c.Name)
		assert.True(t, strings.HasPrefix(c.Source, "https://docs.aws.amazon.com/"), c.Name)
		assert.NotNil(t, c.run, c.Name)
	}
	for _, p := range []string{"nosuch", "put-[", ""} {
		_, err := Select([]string{p})
		assert.Error(t, err, p)
	}
	some, err := Select([]string{"put-value-nan", "dash*"})
	require.NoError(t, err)
	assert.Len(t, some, 4)
}

func TestReportsAreWritten(t *testing.T) {
	r := &Report{Endpoint: "http://127.0.0.1:1", Protocol: "query", Clock: "the wall's", Left: []string{"alarm x: no"}, Results: []Result{
		{Name: "a", Verdict: Conforms, Observed: "yes"}, {Name: "b", Verdict: Deviates, Documented: strings.Repeat("long ", 30), Observed: "it is taken", Source: "https://docs.aws.amazon.com/x"},
		{Name: "c", Verdict: Undecided, Documented: "d", Observed: "it takes 3m"},
	}}
	var b strings.Builder
	require.NoError(t, r.WriteText(&b))
	for line := range strings.Lines(b.String()) {
		assert.LessOrEqual(t, len(strings.TrimRight(line, "\n")), width, line)
	}
	for _, want := range []string{"http://127.0.0.1:1, in AWS Query; the clock is the wall's", "here  it is taken", "why   it takes 3m", "see   https://docs.aws.amazon.com/x", "alarm x: no",
		"3 cases: 1 as AWS documents, 1 deviate, 1 undecided"} {
		assert.Contains(t, b.String(), want)
	}
	b.Reset()
	require.NoError(t, r.WriteJSON(&b))
	var again struct {
		Results []struct{ Name, Verdict string }
	}
	require.NoError(t, json.Unmarshal([]byte(b.String()), &again))
	assert.Equal(t, "deviates", again.Results[1].Verdict)
	assert.Equal(t, 1, r.ExitStatus())
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Verdict
		text string
	}{
		{nil, Conforms, "seen"}, {deviates("no"), Deviates, "no"}, {undecided("who knows"), Undecided, "who knows"}, {errors.New("cut"), Undecided, "it does not answer: cut"},
	} {
		v, text := verdictOf("seen", c.err)
		assert.Equal(t, c.want, v)
		assert.Equal(t, c.text, text)
	}
	assert.Panics(t, func() { _ = Verdict(9).String() })
}

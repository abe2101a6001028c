package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/stage"
)

func TestPathsThatFit(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		fits          bool
	}{
		{"/charges", "/charges", true},
		{"/charges", "/charges/", false},
		{"/charges/*", "/charges/ch_1", true},
		{"/charges/*", "/charges/ch_1/refund", false},
		{"/charges/*/refund", "/charges/ch_1/refund", true},
		{"/v1/**", "/v1/charges/ch_1", true},
		{"/v1/**", "/v1", false},
		{"/v1/**", "/v2/charges", false},
		{"/*/charges/**", "/v1/charges/ch_1/refund", true},
		{"/**", "/", true},
		{"/**", "/a/b", true},
	} {
		assert.Equal(t, c.fits, pathFits(c.pattern, c.path), "%s %s", c.pattern, c.path)
	}
	rapid.Check(t, func(t *rapid.T) { // nothing panics
		pathFits(rapid.StringMatching(`/?[a-z*/\[\\]{0,8}(/\*\*)?`).Draw(t, "pattern"), rapid.StringMatching(`/?[a-z/]{0,8}`).Draw(t, "path"))
	})
}

func TestWhatIsWithin(t *testing.T) {
	for _, c := range []struct {
		want, has string
		is        bool
	}{
		{`{"amount": 0}`, `{"amount": 0, "currency": "JPY"}`, true},
		{`{"amount": 0}`, `{"amount": 1}`, false},
		{`{"amount": 0}`, `{}`, false},
		{`{"card": {"brand": "visa"}}`, `{"card": {"brand": "visa", "last4": "4242"}}`, true},
		{`{"card": {}}`, `{"card": "visa"}`, false},
		{`[1, 2]`, `[1, 2]`, true},
		{`[1]`, `[1, 2]`, false},
		{`"x"`, `"x"`, true},
	} {
		var want, has any
		require.NoError(t, json.Unmarshal([]byte(c.want), &want))
		require.NoError(t, json.Unmarshal([]byte(c.has), &has))
		assert.Equal(t, c.is, within(want, has), "%s in %s", c.want, c.has)
	}
}

// serve serves a stub with what the harness would give it.
func serve(t *testing.T, answers []stage.StubAnswer, otherwise stage.StubAnswer) (*stub, string, *bytes.Buffer) {
	t.Helper()
	data, err := json.Marshal(map[string]any{"answers": answers, "default": otherwise})
	require.NoError(t, err)
	var out bytes.Buffer
	s := newStub(&out)
	require.NoError(t, json.Unmarshal(data, &s.answers))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(s)
	server.Listener = sniffer{l, s}
	server.Start()
	t.Cleanup(server.Close)
	return s, "http://" + l.Addr().String(), &out
}

func ask(t *testing.T, method, url, body string, headers ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, name := range headers {
		r.Header.Set(name, "yes")
	}
	a, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = a.Body.Close() }()
	said, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	return a.StatusCode, string(said), a.Header
}

func TestTheFirstAnswerThatFits(t *testing.T) {
	_, url, out := serve(t, []stage.StubAnswer{
		{Method: "POST", Path: "/charges", JSON: map[string]any{"amount": 0}, Status: 402, Body: "no amount"},
		{Method: "POST", Path: "/charges", Contains: "EUR", Status: 400},
		{Method: "POST", Path: "/charges", Status: 201, Headers: map[string]string{"Location": "/charges/1"}, Body: "made", Delay: 20 * time.Millisecond},
		{Path: "/any", Status: 204},
	}, stage.StubAnswer{Status: 404, Body: "nothing"})
	status, said, _ := ask(t, "POST", url+"/charges", `{"amount": 0, "currency": "EUR"}`)
	assert.Equal(t, 402, status)
	assert.Equal(t, "no amount", said)
	status, _, _ = ask(t, "POST", url+"/charges", `{"amount": 1, "currency": "EUR"}`)
	assert.Equal(t, 400, status)
	began := time.Now()
	status, said, header := ask(t, "POST", url+"/charges?expand=1", `not json`)
	assert.Equal(t, 201, status)
	assert.Equal(t, "made", said)
	assert.Equal(t, "/charges/1", header.Get("Location"))
	assert.GreaterOrEqual(t, time.Since(began), 20*time.Millisecond)
	status, _, _ = ask(t, "DELETE", url+"/any", "")
	assert.Equal(t, 204, status)
	status, said, _ = ask(t, "GET", url+"/"+strings.Repeat("x", 500), "")
	assert.Equal(t, "404 nothing", http.StatusText(0)+"404 "+said)
	assert.Equal(t, 404, status)
	ask(t, "GET", url+"/any", "", probeHeader) // the harness' own question is not said
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 5)
	assert.JSONEq(t, `{"from": "127.0.0.1", "method": "POST", "path": "/charges", "status": 201}`, lines[2])
	assert.Less(t, len(lines[4]), 300, "a long path is shortened")
}

func TestAShareFailsExactly(t *testing.T) {
	s, url, out := serve(t, nil, stage.StubAnswer{Status: 200})
	s.obey(strings.NewReader(`{"id": 1, "from": "127.0.0.1", "fails": 30}` + "\nnonsense\n"))
	wrong := 0
	for range 20 {
		if status, _, _ := ask(t, "GET", url, ""); status == 500 {
			wrong++
		}
	}
	assert.Equal(t, 6, wrong)
	s.obey(strings.NewReader(`{"id": 2, "from": "127.0.0.1", "fails": 0}` + "\n" + `{"id": 3, "from": "10.0.0.1", "fails": 100}`))
	for range 5 {
		status, _, _ := ask(t, "GET", url, "")
		assert.Equal(t, 200, status, "what others are to get does not matter")
	}
	assert.Contains(t, out.String(), `{"done":1}`+"\n")
	assert.Contains(t, out.String(), `{"done":3}`+"\n")
	assert.Equal(t, 100.0, 100*s.fails[netip.MustParseAddr("10.0.0.1")].share)
}

func TestWhoSpeaksTLSIsTold(t *testing.T) {
	s, url, out := serve(t, nil, stage.StubAnswer{Status: 200})
	_, err := http.Get(strings.Replace(url, "http://127.0.0.1", "https://localhost", 1))
	require.ErrorContains(t, err, "remote error: tls")
	assert.JSONEq(t, `{"from": "127.0.0.1", "tls": "localhost"}`, out.String())
	status, _, _ := ask(t, "GET", url, "")
	assert.Equal(t, 200, status, "others are served as before")

	only, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = only.Close() })
	go s.refuseAll(only)
	_, err = http.Get("https://" + only.Addr().String())
	require.ErrorContains(t, err, "remote error: tls")
}

func TestARelayPassesOnAllButAShare(t *testing.T) {
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			panic(http.ErrAbortHandler)
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Host+" "+r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("X-Forwarded-For"))
		w.WriteHeader(201)
		_, _ = w.Write(body)
	}))
	defer behind.Close()
	s, at, out := serve(t, nil, stage.StubAnswer{})
	s.relay = relayTo(strings.TrimPrefix(behind.URL, "http://"))
	long := strings.Repeat("x", 3<<20)
	status, said, header := ask(t, "POST", at+"/a%20b?c=d", long)
	assert.Equal(t, 201, status)
	assert.Equal(t, long, said)
	assert.Equal(t, strings.TrimPrefix(at, "http://")+" POST /a%20b?c=d", header.Get("X-Seen"))
	_, err := http.Get(at + "/cut")
	require.ErrorIs(t, err, io.EOF)
	s.obey(strings.NewReader(`{"id": 1, "from": "127.0.0.1", "fails": 25}` + "\n"))
	wrong := 0
	for range 8 {
		if status, said, _ := ask(t, "GET", at, ""); status == 500 {
			assert.Equal(t, fails+"\n", said)
			wrong++
		}
	}
	assert.Equal(t, 2, wrong)
	assert.Equal(t, `{"done":1}`+"\n", out.String(), "a relay says nothing of what it is asked")
}

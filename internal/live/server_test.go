package live

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/stage"
)

func serve(t *testing.T, run *Run, address string) *Server {
	t.Helper()
	s, err := Serve(run, address, lang.English)
	require.NoError(t, err)
	t.Cleanup(func() {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Close(gone)
	})
	return s
}

// A watcher reads a server's events, one after the other.
type watcher struct {
	t    *testing.T
	r    *bufio.Reader
	body io.Closer
}

func watchFrom(t *testing.T, url, lastID string) *watcher {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"events", nil)
	require.NoError(t, err)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	return &watcher{t, bufio.NewReader(resp.Body), resp.Body}
}

// event is the next one, without signs of life; "" at the end.
func (w *watcher) event() (id, what string) {
	w.t.Helper()
	for {
		line, err := w.r.ReadString('\n')
		switch line = strings.TrimSuffix(line, "\n"); {
		case err != nil:
			return id, what
		case strings.HasPrefix(line, "id: "):
			id = line[len("id: "):]
		case line == "" && what != "":
			return id, what
		case line != "" && !strings.HasPrefix(line, ":"):
			what += line
		}
	}
}

// until reads until an event contains the text, and returns its id.
func (w *watcher) until(text string) string {
	w.t.Helper()
	for {
		id, what := w.event()
		require.NotEmpty(w.t, what, "the events end, and none says %q", text)
		if strings.Contains(what, text) {
			return id
		}
	}
}

func say(run *Run, text string) { run.Tell(func(s *State, _ time.Time) { s.Said = text }) }

func TestEventsAreSentAndResumed(t *testing.T) {
	run := NewRun("shop")
	s := serve(t, run, "")
	w := watchFrom(t, s.URL, "")
	id, what := w.event()
	assert.Contains(t, what, `["put","live",`, "first all that is known")
	say(run, "pulling haproxy")
	id2, what := w.event()
	assert.NotEqual(t, id, id2)
	assert.Contains(t, what, `["put","head",`)
	assert.Contains(t, what, "pulling haproxy")
	require.NoError(t, w.body.Close())

	say(run, "pulling postgres")
	id3 := watchFrom(t, s.URL, "").until("pulling postgres")
	again := watchFrom(t, s.URL, id2)
	_, what = again.event()
	assert.NotContains(t, what, `"live"`, "only what it has not")
	assert.Contains(t, what, "pulling postgres")
	_, what = watchFrom(t, s.URL, "another0-3").event()
	assert.Contains(t, what, `["put","live",`, "an id of another run says nothing")
	assert.NotEmpty(t, id3)
}

func TestTheVerdictIsSentLastAndTheServerEnds(t *testing.T) {
	run := NewRun("shop")
	s := serve(t, run, "")
	w := watchFrom(t, s.URL, "")
	w.until("live")
	run.Tell(func(st *State, now time.Time) { st.Begin("1", "containers", "a scenario", now) })
	w.until("a scenario")
	run.End("1", check.Failed, "two orders were lost")
	run.Tell(func(st *State, _ time.Time) { st.Over, st.Status, st.Verdict = true, 1, "BROKEN: do not release" })
	require.NoError(t, s.Close(t.Context()), "it waits until all was fetched, and no longer")
	var all string
	for {
		_, what := w.event()
		if what == "" {
			break
		}
		all += what + "\n"
	}
	assert.Contains(t, all, "two orders were lost")
	assert.Contains(t, all, "BROKEN: do not release")
	assert.True(t, strings.HasSuffix(all, "event: overdata: over\n"), all)
	_, err := http.Get(s.URL) //nolint:noctx,bodyclose // it must fail
	assert.Error(t, err)
}

// deaf is a browser that asks for events and does not read them.
func deaf(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), "/")) //nolint:noctx // a test
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(s.watches) > 0 }, time.Minute, time.Millisecond)
	return conn
}

var big = strings.Repeat("x", 4<<20) // a few of them are more than the buffers of two sockets

func TestWhoDoesNotReadIsLetGo(t *testing.T) {
	run := NewRun("shop")
	s := serve(t, run, "")
	s.patience = 300 * time.Millisecond
	conn := deaf(t, s)
	n := 0
	require.Eventually(t, func() bool {
		n++
		say(run, fmt.Sprint("line ", n, " ", big))
		return len(s.watches) == 0
	}, time.Minute, 50*time.Millisecond)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err := io.Copy(io.Discard, conn)
	assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "and the connection is closed")
}

func TestWhoDoesNotReadSlowsNobody(t *testing.T) {
	run := NewRun("shop")
	s := serve(t, run, "")
	deaf(t, s)
	other := watchFrom(t, s.URL, "")
	other.until("live")
	for i := range 5 {
		line := fmt.Sprint("line ", i, " ")
		say(run, line+big)
		other.until(line)
	}
}

// A thousand events a second cost a run nothing: they are read when somebody looks.
func TestAThousandEventsASecond(t *testing.T) {
	run := NewRun("shop")
	s := serve(t, run, "")
	run.Tell(func(st *State, now time.Time) { st.Begin("1", "containers", "a scenario", now) })
	h := stage.NewHistory(func() time.Duration { return time.Hour }, nil)
	run.Stage("1", h)
	w := watchFrom(t, s.URL, "")
	for i := range 20_000 {
		h.Record(stage.Event{Kind: stage.Served, Version: "v1", At: time.Duration(i) * time.Millisecond, Traffic: &stage.Traffic{From: time.Hour - time.Minute, To: time.Hour, Requests: 10, Failed: 1}})
	}
	w.until("10.0 %")
}

func TestWhoMayAskAndHow(t *testing.T) {
	run := NewRun("shop")
	near := serve(t, run, "")
	far := serve(t, run, ":0")
	named := serve(t, run, "localhost:0")
	assert.Equal(t, "for this machine alone", near.Who)
	assert.Equal(t, "for this machine alone", named.Who)
	assert.Equal(t, "everyone who reaches this machine can watch", far.Who)
	port := strings.TrimSuffix(near.URL[strings.LastIndex(near.URL, ":"):], "/")
	for host, want := range map[string][2]int{
		"127.0.0.1" + port:      {200, 200},
		"localhost":             {200, 200},
		"LOCALHOST:9999":        {200, 200}, // a port that is forwarded here
		"[::1]:80":              {200, 200},
		"192.0.2.7:80":          {421, 200}, // no name leads to a number
		"evil.example":          {421, 421},
		"evil.example:80":       {421, 421},
		"127.0.0.1.evil.com":    {421, 421},
		"localhost.evil.com":    {421, 421},
		"localhost:80:evil.com": {421, 421},
		"":                      {421, 421},
	} {
		for i, s := range []*Server{near, far} {
			for _, path := range []string{"/", "/events"} {
				_, at, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), "/"))
				require.NoError(t, err)
				status := rawStatus(t, "127.0.0.1:"+at, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
				assert.Equal(t, want[i], status, "%q asks %s of %s", host, path, s.URL)
			}
		}
	}
	resp, err := http.Get(near.URL) //nolint:noctx // a test
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Contains(t, string(body), "Rehearsing the releases of shop")
	assert.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
	assert.NotContains(t, resp.Header.Get("Content-Security-Policy"), "unsafe")
	assert.NotContains(t, strings.ReplaceAll(string(body), "http://www.w3.org", ""), "http", "nothing from elsewhere")
	resp, err = http.Post(near.URL, "text/plain", nil) //nolint:noctx // a test
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	resp, err = http.Get(near.URL + "etc/passwd") //nolint:noctx // a test
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
}

// rawStatus is the status of the answer to a request as it is.
func rawStatus(t *testing.T, address, request string) int {
	t.Helper()
	conn, err := net.Dial("tcp", address) //nolint:noctx // a test
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // the connection is
	require.NoError(t, err)
	return resp.StatusCode
}

func TestTooManyBrowsersAreRefused(t *testing.T) {
	s := serve(t, NewRun("shop"), "")
	for range most {
		s.watches <- struct{}{}
	}
	address := strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), "/")
	assert.Equal(t, http.StatusServiceUnavailable, rawStatus(t, address, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	assert.Equal(t, http.StatusOK, rawStatus(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

func TestAddressesThatCannotBe(t *testing.T) {
	taken := serve(t, NewRun("shop"), "")
	port := strings.TrimSuffix(taken.URL[strings.LastIndex(taken.URL, ":")+1:], "/")
	for address, want := range map[string]string{
		port:              "address already in use",
		"99999":           "invalid port",
		"a b":             `--serve "a b": `,
		"1:2:3":           "too many colons",
		"192.0.2.1:8080":  "assign requested address",
		"127.0.0.1:http1": "--serve",
	} {
		_, err := Serve(NewRun("shop"), address, lang.English)
		assert.ErrorContains(t, err, want)
	}
}

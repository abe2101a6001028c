package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseFilter(t *testing.T) {
	assert.Equal(t, []string{"a=b", "c=d e&f"}, parseFilter("label=c%3Dd+e%26f&label=a%3Db\n"))
	assert.Equal(t, []string{"a=b"}, parseFilter("label=a=b"))
	for _, wide := range []string{"", "name=x", "label=a%3Db&name=x", "label=", "label=%zz", "&"} {
		assert.Empty(t, parseFilter(wide), "%q must not match everything", wide)
	}
}

// collecting runs a reaper's collect and returns its address and what comes of it.
func collecting(t *testing.T, r *reaper) (address string, filters <-chan [][]string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	result := make(chan [][]string, 1)
	go func() { result <- r.collect(t.Context(), listener) }()
	return listener.Addr().String(), result
}

func say(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	_, err := io.WriteString(conn, line+"\n")
	require.NoError(t, err)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "ACK\n", answer)
}

func TestCollectEndsAfterTheLastClientHasGone(t *testing.T) {
	address, filters := collecting(t, &reaper{connection: time.Minute, reconnection: 20 * time.Millisecond})
	first, err := net.Dial("tcp", address)
	require.NoError(t, err)
	second, err := net.Dial("tcp", address)
	require.NoError(t, err)
	say(t, first, "label=run%3D1")
	say(t, second, "label=run%3D1") // the same again
	say(t, second, "label=run%3D2")
	require.NoError(t, first.Close())
	say(t, second, "label=run%3D3") // one is still here
	require.NoError(t, second.Close())
	assert.ElementsMatch(t, [][]string{{"run=1"}, {"run=2"}, {"run=3"}}, <-filters)
}

func TestCollectGivesUpWhenNobodyComes(t *testing.T) {
	_, filters := collecting(t, &reaper{connection: 10 * time.Millisecond, reconnection: time.Minute})
	assert.Empty(t, <-filters)
}

func TestCollectWaitsForAClientToComeBack(t *testing.T) {
	address, filters := collecting(t, &reaper{connection: time.Minute, reconnection: time.Second})
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	say(t, conn, "label=a")
	require.NoError(t, conn.Close())
	conn, err = net.Dial("tcp", address)
	require.NoError(t, err)
	say(t, conn, "label=b")
	require.NoError(t, conn.Close())
	assert.ElementsMatch(t, [][]string{{"a"}, {"b"}}, <-filters)
}

// pipes is a listener that still has a client when it is closed, as a real one may.
type pipes struct {
	net.Listener
	clients chan net.Conn
}

func (p *pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.clients
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (p *pipes) Close() error { return nil }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.clients <- there
	return here
}

// heard says whether a line gets an ACK, not the end of the connection.
func heard(conn net.Conn, line string) bool {
	_, _ = io.WriteString(conn, line+"\n") // it may be closed
	answer, err := io.ReadAll(io.LimitReader(conn, 4))
	return err == nil && string(answer) == "ACK\n"
}

func TestCollectHearsNobodyOnceItHasDecided(t *testing.T) {
	p := &pipes{clients: make(chan net.Conn)}
	t.Cleanup(func() { close(p.clients) })
	r := &reaper{connection: time.Minute, reconnection: 10 * time.Millisecond}
	filters := make(chan [][]string, 1)
	go func() { filters <- r.collect(t.Context(), p) }()
	first := p.dial()
	assert.True(t, heard(first, "label=a"))
	require.NoError(t, first.Close())
	assert.Equal(t, [][]string{{"a"}}, <-filters)
	assert.False(t, heard(p.dial(), "label=a"), "who comes too late would lose what it makes")
}

func TestCollectHearsNobodyOnceItIsStopped(t *testing.T) {
	p := &pipes{clients: make(chan net.Conn)}
	t.Cleanup(func() { close(p.clients) })
	ctx, stop := context.WithCancel(t.Context())
	filters := make(chan [][]string, 1)
	go func() {
		filters <- (&reaper{connection: time.Minute, reconnection: time.Minute}).collect(ctx, p)
	}()
	conn := p.dial()
	assert.True(t, heard(conn, "label=a"))
	stop()
	assert.Equal(t, [][]string{{"a"}}, <-filters)
	assert.False(t, heard(conn, "label=b"))
}

// fakeDocker keeps labelled things and takes the engine's calls on a socket.
type fakeDocker struct {
	mu      sync.Mutex
	things  map[string]map[string][]string // kind -> id -> labels
	refuse  map[string]int                 // id -> how many removals are refused
	removed []string
}

func (f *fakeDocker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind, id, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	if r.Method == http.MethodDelete {
		if f.refuse[id] > 0 {
			f.refuse[id]--
			http.Error(w, `{"message":"in use"}`, http.StatusConflict)
			return
		}
		if _, ok := f.things[kind][id]; !ok {
			http.Error(w, `{"message":"no such thing"}`, http.StatusNotFound)
			return
		}
		delete(f.things[kind], id)
		f.removed = append(f.removed, kind+"/"+id)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var filters struct{ Label []string }
	if err := json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters); err != nil {
		panic(err)
	}
	found := []map[string]any{}
	for id, labels := range f.things[kind] {
		if subset(filters.Label, labels) {
			found = append(found, map[string]any{"Id": id, "Name": id})
		}
	}
	if kind == "volumes" {
		_ = json.NewEncoder(w).Encode(map[string]any{"Volumes": found})
		return
	}
	_ = json.NewEncoder(w).Encode(found)
}

func subset(want, have []string) bool {
	for _, label := range want {
		if !strings.Contains("\n"+strings.Join(have, "\n")+"\n", "\n"+label+"\n") {
			return false
		}
	}
	return true
}

func serve(t *testing.T, f *fakeDocker) engine {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: f}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return newEngine(socket)
}

func TestRemoveAllRemovesWhatHasAllLabelsAndNothingElse(t *testing.T) {
	f := &fakeDocker{things: map[string]map[string][]string{
		"containers": {"mine": {"run=1", "reap=true"}, "kept": {"run=1"}, "other": {"run=2", "reap=true"}},
		"networks":   {"net": {"run=1", "reap=true"}},
		"volumes":    {"vol": {"run=1", "reap=true"}, "their": {}},
		"images":     {"img": {"run=1", "reap=true"}},
	}, refuse: map[string]int{"net": 2}}
	r := &reaper{engine: serve(t, f)}
	require.NoError(t, r.removeAll(t.Context(), [][]string{{"run=1", "reap=true"}}))
	assert.ElementsMatch(t, []string{"containers/mine", "networks/net", "volumes/vol", "images/img"}, f.removed)
	assert.Equal(t, "containers/mine", f.removed[0])
	assert.Contains(t, f.things["containers"], "kept")
	assert.Contains(t, f.things["containers"], "other")
}

func TestRemoveAllSaysWhatItLeaves(t *testing.T) {
	f := &fakeDocker{
		things: map[string]map[string][]string{"volumes": {"busy": {"run=1"}}},
		refuse: map[string]int{"busy": 1 << 20},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := (&reaper{engine: serve(t, f)}).removeAll(ctx, [][]string{{"run=1"}})
	require.ErrorContains(t, err, "left behind")
}

func TestRemoveAllWithoutFiltersRemovesNothing(t *testing.T) {
	f := &fakeDocker{things: map[string]map[string][]string{"containers": {"a": {}}}}
	require.NoError(t, (&reaper{engine: serve(t, f)}).removeAll(t.Context(), nil))
	assert.Empty(t, f.removed)
}

func TestSettings(t *testing.T) {
	t.Setenv("RYUK_PORT", "")
	t.Setenv("RYUK_RECONNECTION_TIMEOUT", "1s")
	t.Setenv("RYUK_CONNECTION_TIMEOUT", "soon")
	assert.Equal(t, "8080", setting("RYUK_PORT", "8080"))
	assert.Equal(t, "1s", fmt.Sprint(timeout("RYUK_RECONNECTION_TIMEOUT", time.Minute)))
	assert.Equal(t, time.Minute, timeout("RYUK_CONNECTION_TIMEOUT", time.Minute))
}

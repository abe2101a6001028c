// Command reaper removes what a run left in the Docker engine when its process is
// gone, however it went. It speaks the protocol of testcontainers' Ryuk, for where
// that image cannot be had, and needs nothing but the standard library.
//
// A client connects to port 8080 and sends lines such as
//
//	label=org.testcontainers.sessionId=3f…&label=org.testcontainers.reap=true
//
// each answered by "ACK". When the last client has been gone for the reconnection
// time-out, or none came within the connection time-out, the reaper removes every
// container, network, volume and image that all labels of a line fit, and ends.
// Environment: RYUK_PORT, RYUK_CONNECTION_TIMEOUT, RYUK_RECONNECTION_TIMEOUT,
// RYUK_SHUTDOWN_TIMEOUT (for the removing), RYUK_VERBOSE.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", ":"+setting("RYUK_PORT", "8080"))
	if err != nil {
		log.Fatal(err)
	}
	r := &reaper{
		engine:       newEngine("/var/run/docker.sock"),
		connection:   timeout("RYUK_CONNECTION_TIMEOUT", time.Minute),
		reconnection: timeout("RYUK_RECONNECTION_TIMEOUT", 10*time.Second),
		verbose:      setting("RYUK_VERBOSE", "false") == "true",
	}
	log.Println("Started!") // what testcontainers waits for
	filters := r.collect(ctx, listener)
	ctx, cancel := context.WithTimeout(context.Background(), timeout("RYUK_SHUTDOWN_TIMEOUT", 10*time.Minute))
	defer cancel()
	if err := r.removeAll(ctx, filters); err != nil {
		log.Fatal(err)
	}
}

func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func timeout(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil && d > 0 {
		return d
	}
	return otherwise
}

// reaper is what one run asked to be removed, and for how long to wait for it.
type reaper struct {
	engine                   engine
	connection, reconnection time.Duration
	verbose                  bool
}

// collect takes filters from clients until all have been gone for long enough, or
// ctx ends. From then on it hears nobody: who gets an ACK is safe.
func (r *reaper) collect(ctx context.Context, listener net.Listener) [][]string {
	var (
		mu      sync.Mutex
		filters = map[string][]string{}
		clients int
		wait    context.Context // the present wait for a client; nil while there are any
		end     context.CancelFunc
	)
	over, finish := context.WithCancel(ctx)
	defer finish()
	waitFor := func(d time.Duration) { // holding mu
		mine, cancel := context.WithTimeout(over, d)
		wait, end = mine, cancel
		go func() {
			<-mine.Done()
			mu.Lock()
			defer mu.Unlock()
			if wait == mine { // nobody came while this took its turn
				finish()
			}
		}()
	}
	come := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if over.Err() != nil {
			return false
		}
		clients++
		if wait != nil {
			wait = nil
			end()
		}
		return true
	}
	leave := func() {
		mu.Lock()
		defer mu.Unlock()
		if clients--; clients == 0 {
			waitFor(r.reconnection)
		}
	}
	hear := func(line string) bool {
		mu.Lock()
		defer mu.Unlock()
		if over.Err() != nil {
			return false
		}
		if filter := parseFilter(line); len(filter) > 0 {
			filters[strings.Join(filter, "\n")] = filter
			r.debug("will remove what has all of: %q", filter)
		}
		return true
	}
	mu.Lock()
	waitFor(r.connection)
	mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if !come() {
				_ = conn.Close()
				continue
			}
			go func() {
				defer leave()
				defer func() { _ = conn.Close() }()
				for lines := bufio.NewScanner(conn); lines.Scan() && hear(lines.Text()); {
					if _, err := io.WriteString(conn, "ACK\n"); err != nil {
						return
					}
				}
			}()
		}
	}()
	<-over.Done()
	_ = listener.Close()
	mu.Lock()
	defer mu.Unlock()
	all := make([][]string, 0, len(filters))
	for _, filter := range filters {
		all = append(all, filter)
	}
	return all
}

// parseFilter reads a line of the protocol into labels, "key" or "key=value", in
// order. Other keys than label would widen what is removed: they end the line.
func parseFilter(line string) []string {
	var labels []string
	for part := range strings.SplitSeq(strings.TrimSpace(line), "&") {
		key, value, _ := strings.Cut(part, "=")
		label, err := url.QueryUnescape(value)
		if err != nil || key != "label" || label == "" {
			return nil
		}
		labels = append(labels, label)
	}
	slices.Sort(labels)
	return labels
}

// removeAll removes what fits the filters, round after round, until two rounds find
// nothing: the engine may still have been creating something when its client went.
func (r *reaper) removeAll(ctx context.Context, filters [][]string) error {
	for quiet := 0; ; {
		found, failures := 0, []error{}
		for _, filter := range filters {
			for _, kind := range kinds {
				n, err := r.remove(ctx, kind, filter)
				found += n
				if err != nil {
					failures = append(failures, err)
				}
			}
		}
		quiet++
		if found > 0 || len(failures) > 0 {
			quiet = 0
		}
		if quiet == 2 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("left behind: %w", errors.Join(append(failures, ctx.Err())...))
		}
		pause, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		<-pause.Done()
		cancel()
	}
}

// kind is a kind of thing in the engine's API, and how it is listed and removed.
type kind struct {
	name   string
	list   string // path
	id     string // field that names one
	remove string // query
}

// kinds are in the order of removal: containers hold all others.
var kinds = []kind{
	{name: "containers", list: "/containers/json?all=1&", id: "Id", remove: "?force=1&v=1"},
	{name: "networks", list: "/networks?", id: "Id"},
	{name: "volumes", list: "/volumes?", id: "Name", remove: "?force=1"},
	{name: "images", list: "/images/json?", id: "Id", remove: "?force=1"},
}

// remove removes everything of a kind that has all the labels, side by side. It
// returns how many it found.
func (r *reaper) remove(ctx context.Context, k kind, labels []string) (int, error) {
	ids, err := r.engine.find(ctx, k, labels)
	if err != nil {
		return 0, err
	}
	failures := make([]error, len(ids))
	var done sync.WaitGroup
	for i, id := range ids {
		done.Go(func() {
			r.debug("removing %s %s", k.name, id)
			failures[i] = r.engine.call(ctx, http.MethodDelete, "/"+k.name+"/"+url.PathEscape(id)+k.remove, nil)
		})
	}
	done.Wait()
	return len(ids), errors.Join(failures...)
}

func (r *reaper) debug(format string, args ...any) {
	if r.verbose {
		log.Printf(format, args...)
	}
}

// engine is the Docker engine's API on a Unix socket.
type engine struct{ http *http.Client }

func newEngine(socket string) engine {
	return engine{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
}

// find names everything of a kind that has all the labels.
func (e engine) find(ctx context.Context, k kind, labels []string) ([]string, error) {
	filter, err := json.Marshal(map[string][]string{"label": labels})
	if err != nil {
		return nil, err
	}
	var answer json.RawMessage
	if err := e.call(ctx, http.MethodGet, k.list+"filters="+url.QueryEscape(string(filter)), &answer); err != nil {
		return nil, err
	}
	if k.name == "volumes" { // the one list that is wrapped
		var wrapped struct{ Volumes json.RawMessage }
		if err := json.Unmarshal(answer, &wrapped); err != nil {
			return nil, fmt.Errorf("list %s: %w", k.name, err)
		}
		answer = wrapped.Volumes
	}
	var found []map[string]any
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, fmt.Errorf("list %s: %w", k.name, err)
	}
	ids := make([]string, 0, len(found))
	for _, thing := range found {
		if id, ok := thing[k.id].(string); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// call asks the engine, reading the answer into out if that is not nil. What is
// gone already counts as removed; so does a container whose removal is under way.
func (e engine) call(ctx context.Context, method, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://engine"+path, nil)
	if err != nil {
		return err
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotFound && method == http.MethodDelete:
		return nil
	case resp.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(body)))
	case out == nil:
		return nil
	default:
		return json.Unmarshal(body, out)
	}
}

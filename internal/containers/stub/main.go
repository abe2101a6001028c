// Command stub answers in the place of an HTTP API that is outside of a staging copy.
// What it answers is in a file; who asked what it says on its output, one line of JSON
// for each request, before it answers:
//
//	{"from":"10.211.0.7","method":"POST","path":"/charges","status":201}
//
// On its input it takes lines that make a share of the answers to one address 500, and
// says when that is so and everything before is said:
//
//	{"id":1,"from":"10.211.0.7","fails":50}
//	{"done":1}
//
// As a relay it answers nothing itself, and says nothing of what it was asked: it passes
// requests on to a dependency of the copy, but for the share that is to fail.
//
// It speaks no TLS. Who tries is told so by an alert, and {"from":…,"tls":"the host"} is
// said. It needs nothing but the standard library.
// Environment: STUB_ANSWERS, the file, or STUB_RELAY, the host and port that a relay passes
// on to; STUB_PORT; STUB_TLS_PORT, where only calls by TLS
// are expected, "" for none.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

const patience = 10 * time.Second // with a client that does not finish its request's head

func run(ctx context.Context) error {
	s := newStub(os.Stdout)
	if to := os.Getenv("STUB_RELAY"); to != "" {
		s.relay = relayTo(to)
	} else if err := s.read(os.Getenv("STUB_ANSWERS")); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":"+os.Getenv("STUB_PORT"))
	if err != nil {
		return err
	}
	if port := os.Getenv("STUB_TLS_PORT"); port != "" {
		refused, err := net.Listen("tcp", ":"+port)
		if err != nil {
			return err
		}
		go s.refuseAll(refused)
	}
	go s.obey(os.Stdin)
	server := &http.Server{Handler: s, ReadHeaderTimeout: patience, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(sniffer{listener, s}); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// read takes the answers from a file.
func (s *stub) read(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &s.answers); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// relayTo passes requests on as they are. Where there is no answer, the connection is
// cut, as it would be without a relay.
func relayTo(address string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.Host = r.In.Host
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if v, ok := r.In.Header[name]; ok {
					r.Out.Header[name] = v
				}
			}
		},
		FlushInterval: -1, // at once
		Transport:     &http.Transport{Proxy: nil, DisableCompression: true},
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// An answer is what is answered to the requests that it is for.
type answer struct {
	Method   string `json:"method"`
	Path     string `json:"path"`
	Contains string `json:"contains"`
	JSON     any    `json:"json"`

	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Delay   time.Duration     `json:"delay"`
}

// fits says whether a is for the request with that body.
func (a answer) fits(r *http.Request, body []byte) bool {
	if a.Method != "" && a.Method != r.Method || a.Path != "" && !pathFits(a.Path, r.URL.Path) || !bytes.Contains(body, []byte(a.Contains)) {
		return false
	}
	if a.JSON == nil {
		return true
	}
	var has any
	return json.Unmarshal(body, &has) == nil && within(a.JSON, has)
}

// pathFits says whether a path is what the pattern stands for.
func pathFits(pattern, is string) bool {
	if head, ok := strings.CutSuffix(pattern, "/**"); ok {
		n := strings.Count(head, "/")
		parts := strings.SplitAfterN(is, "/", n+2)
		if len(parts) < n+2 {
			return false
		}
		pattern, is = head, strings.TrimSuffix(strings.Join(parts[:n+1], ""), "/")
	}
	ok, err := path.Match(pattern, is)
	return ok && err == nil
}

// within says whether all of want is in has: of an object at least its members.
func within(want, has any) bool {
	w, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(want, has)
	}
	h, ok := has.(map[string]any)
	for name, value := range w {
		if !ok || !within(value, h[name]) {
			return false
		}
	}
	return ok
}

type stub struct {
	answers struct {
		Answers []answer `json:"answers"`
		Default answer   `json:"default"`
	}
	relay http.Handler // nil: it answers itself

	mu    sync.Mutex
	out   *json.Encoder
	fails map[netip.Addr]*failing
}

// failing is how much of what an address asks fails.
type failing struct {
	share float64 // from 0 to 1
	owed  float64 // of a failure: at 1 the next is due, so that the share is exact
}

func newStub(out io.Writer) *stub {
	return &stub{out: json.NewEncoder(out), fails: map[netip.Addr]*failing{}}
}

// A line is what the stub says.
type line struct {
	From   netip.Addr `json:"from,omitzero"`
	Method string     `json:"method,omitempty"`
	Path   string     `json:"path,omitempty"`
	Status int        `json:"status,omitempty"`
	TLS    string     `json:"tls,omitempty"`
	Done   int        `json:"done,omitempty"`
}

func (s *stub) say(l line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(l)
}

// obey does what the lines say until there are no more.
func (s *stub) obey(in io.Reader) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var order struct {
			ID    int        `json:"id"`
			From  netip.Addr `json:"from"`
			Fails float64    `json:"fails"` // percent
		}
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			continue
		}
		s.mu.Lock()
		if order.From.IsValid() {
			delete(s.fails, order.From)
			if order.Fails > 0 {
				s.fails[order.From] = &failing{share: order.Fails / 100}
			}
		}
		_ = s.out.Encode(line{Done: order.ID})
		s.mu.Unlock()
	}
}

const (
	bodyMost = 1 << 20 // of a request's body that is looked at, in bytes
	pathMost = 200     // of a path that is said
	// probeHeader is what a question of the harness has, which is none of the service.
	probeHeader = "Rehearsal-Probe"
)

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.relay != nil {
		if s.due(address(r.RemoteAddr)) {
			http.Error(w, fails, http.StatusInternalServerError)
		} else {
			s.relay.ServeHTTP(w, r)
		}
		return
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, bodyMost))
	a := s.choose(r, body)
	if r.Header.Get(probeHeader) == "" {
		said := r.URL.Path
		if len(said) > pathMost {
			said = strings.ToValidUTF8(said[:pathMost], "") + "…"
		}
		s.say(line{From: address(r.RemoteAddr), Method: r.Method, Path: said, Status: a.Status})
	}
	if a.Delay > 0 {
		after := time.NewTimer(a.Delay)
		defer after.Stop()
		select {
		case <-after.C:
		case <-r.Context().Done():
			return
		}
	}
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// fails is what is answered to the share of the requests that fails.
const fails = "this share of the requests fails on purpose"

// due says whether the next request of an address fails, and counts it.
func (s *stub) due(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fails[from]
	if f == nil {
		return false
	}
	f.owed += f.share
	due := f.owed > 1-1e-9
	if due {
		f.owed--
	}
	return due
}

// choose is the answer to a request.
func (s *stub) choose(r *http.Request, body []byte) answer {
	if s.due(address(r.RemoteAddr)) {
		return answer{Status: http.StatusInternalServerError, Body: fails + "\n"}
	}
	for _, a := range s.answers.Answers {
		if a.fits(r, body) {
			return a
		}
	}
	return s.answers.Default
}

func address(remote string) netip.Addr {
	a, _ := netip.ParseAddrPort(remote)
	return a.Addr().Unmap()
}

// A sniffer finds out who speaks TLS to a port of plain HTTP.
type sniffer struct {
	net.Listener
	s *stub
}

func (l sniffer) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sniffed{Conn: conn, s: l.s}, nil
}

type sniffed struct {
	net.Conn
	s     *stub
	known bool
}

const tlsHandshake = 0x16 // the first byte of whoever begins TLS

func (c *sniffed) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.known {
		c.known = true
		if p[0] == tlsHandshake {
			c.s.refuse(&replayed{Conn: c.Conn, first: bytes.Clone(p[:n])})
			return 0, io.EOF
		}
	}
	return n, err
}

// replayed is a connection of which the first bytes were read already.
type replayed struct {
	net.Conn
	first []byte
}

func (c *replayed) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (s *stub) refuseAll(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go s.refuse(conn)
	}
}

// refuse tells a client by an alert that there is no TLS, and says which host it meant.
func (s *stub) refuse(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return
	}
	_ = tls.Server(conn, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		host := hello.ServerName
		if host == "" {
			host = "?"
		}
		s.say(line{From: address(conn.RemoteAddr().String()), TLS: host})
		return nil, errors.New("a stub speaks plain HTTP")
	}}).Handshake()
}

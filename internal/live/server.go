package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/lang"
)

// A Server shows a run in browsers, by server-sent events. It only shows: there is
// nothing to change, and nothing of it is for other sites.
//
// https://html.spec.whatwg.org/multipage/server-sent-events.html
type Server struct {
	URL string
	Who string // can see it

	run     *Run
	feed    *feed
	service string
	names   []string // by which it may be asked for, besides numbers and localhost
	near    bool     // it listens on a loopback address alone
	http    *http.Server
	stop    context.CancelFunc
	done    chan struct{}
	watches chan struct{} // one for each browser
	// patience is how long a browser may not read what it is sent: then it must come again.
	patience time.Duration
}

// looks is how often the run is looked at for browsers, and beats how many looks there
// are between two signs of life.
const (
	looks = 250 * time.Millisecond
	beats = 60
	// most is how many browsers are served at once.
	most = 64
)

// Serve shows the run at the address: "" is a free port for this machine alone, "8080"
// that port for this machine alone, "10.0.0.5:8080" and ":8080" are what others can reach.
func Serve(run *Run, address string, l lang.Lang) (*Server, error) {
	host, port := "127.0.0.1", "0"
	switch {
	case address == "":
	case !strings.Contains(address, ":"):
		port = address
	default:
		var err error
		if host, port, err = net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("--serve %q: want a port, or an address such as 127.0.0.1:8080: %w", address, err)
		}
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("--serve %q: %w", address, err)
	}
	s := &Server{run: run, feed: newFeed(l), done: make(chan struct{}), watches: make(chan struct{}, most), patience: 10 * time.Second}
	s.address(listener.Addr().(*net.TCPAddr).AddrPort(), host, l) //nolint:forcetypeassert // it listens on TCP
	s.service = run.Now().Service
	s.feed.look(run)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /events", s.events)
	s.http = &http.Server{Handler: s.guard(mux), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.done)
		n := 0
		clock.Every(ctx, looks, func() {
			s.feed.look(run)
			if n++; n%beats == 0 {
				s.feed.beat()
			}
		})
	}()
	go func() { _ = s.http.Serve(listener) }() // until Close
	return s, nil
}

// address says where it answers, and to whom.
func (s *Server) address(at netip.AddrPort, host string, l lang.Lang) {
	ip := at.Addr().Unmap()
	name := ip.String()
	switch {
	case ip.IsLoopback():
		s.near = true
		s.Who = l.Sprintf("for this machine alone")
	case ip.IsUnspecified():
		if own, err := os.Hostname(); err == nil {
			name = own
			s.names = append(s.names, strings.ToLower(own))
		}
		s.Who = l.Sprintf("everyone who reaches this machine can watch")
	default:
		s.Who = l.Sprintf("everyone who reaches %s can watch", ip)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" { // it was named
		name = host
		s.names = append(s.names, strings.ToLower(host))
	}
	s.URL = "http://" + net.JoinHostPort(name, fmt.Sprint(at.Port())) + "/"
}

// Close shows what is the case now a last time, and ends when every browser has it, or
// ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	<-s.done
	s.feed.look(s.run)
	err := s.http.Shutdown(ctx)
	return errors.Join(err, s.http.Close())
}

// guard refuses who asks by a name that is not this server's: a page of another site
// whose name was made to lead here could read it else (DNS rebinding).
func (s *Server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.known(r.Host) {
			http.Error(w, "this server has another name", http.StatusMisdirectedRequest)
			return
		}
		for k, v := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			w.Header().Set(k, v)
		}
		h.ServeHTTP(w, r)
	})
}

// known says whether host is this server's: its port may be another's that leads here.
func (s *Server) known(host string) bool {
	name := strings.ToLower(host)
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil { // no name, so none that was made to lead here
		return !s.near || ip.Unmap().IsLoopback()
	}
	if name == "localhost" {
		return true
	}
	for _, n := range s.names {
		if n == name {
			return true
		}
	}
	return false
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	s.feed.look(s.run)
	_, _ = io.WriteString(w, s.feed.whole(s.service))
}

func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.watches <- struct{}{}:
		defer func() { <-s.watches }()
	default:
		http.Error(w, "too many are watching", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	at := s.feed.place(r.Header.Get("Last-Event-ID"))
	for {
		events, last, over, changed := s.feed.since(at)
		if events == "" {
			events = ":\n\n"
		}
		if err := out.SetWriteDeadline(clock.Wall().Add(s.patience)); err != nil {
			return
		}
		if _, err := io.WriteString(w, events); err != nil || out.Flush() != nil || over {
			return
		}
		at = last
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

package containers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"rehearsal/internal/clock"
)

// imageRegistries is what is known about registries: which cannot be reached, and
// why. An unreachable registry costs its time-out once.
type imageRegistries struct {
	// patience is how long a registry that cannot be reached from here, either, may
	// take for its first answer; reachable is for one that can; stall is the longest
	// silence in the middle of a pull.
	patience, reachable, stall time.Duration
	// probe says whether a registry's address takes connections from this machine.
	probe func(ctx context.Context, host string) error
	// proxied engines reach what this machine cannot: the probe tells nothing.
	proxied bool

	mu   sync.Mutex
	dead map[string]*unreachableError // by registry
	busy map[string]*sync.Mutex       // held while it is found out whether a registry answers
}

func newImageRegistries(proxied bool) *imageRegistries {
	return &imageRegistries{
		patience: 5 * time.Second, reachable: 30 * time.Second, stall: 60 * time.Second,
		probe: probeRegistry, proxied: proxied,
		dead: map[string]*unreachableError{}, busy: map[string]*sync.Mutex{},
	}
}

// probeRegistry opens a connection to a registry and closes it.
func probeRegistry(ctx context.Context, host string) error {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, "443")
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return err
	}
	return conn.Close()
}

// imageRegistry is the host that an image is pulled from.
func imageRegistry(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	if host := reference.Domain(named); host != "docker.io" {
		return host
	}
	return "registry-1.docker.io"
}

// An unreachableError is a registry that cannot be reached.
type unreachableError struct{ host, why string }

func (e *unreachableError) Error() string {
	return fmt.Sprintf("registry %s cannot be reached (%s)", e.host, e.why)
}

// unreachable returns why a registry is known to be out of reach, nil if it is not.
func (r *imageRegistries) unreachable(host string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := r.dead[host]; why != nil {
		return why
	}
	return nil
}

// first lets one caller at a time find out whether a registry answers; done is
// called as soon as that is known.
func (r *imageRegistries) first(host string) (done func()) {
	r.mu.Lock()
	lock := r.busy[host]
	if lock == nil {
		lock = new(sync.Mutex)
		r.busy[host] = lock
	}
	r.mu.Unlock()
	lock.Lock()
	return sync.OnceFunc(lock.Unlock)
}

// pull pulls an image and returns its ID. Its error says which registry, and why.
func (m *Images) pull(ctx context.Context, ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("%q is not an image's name: %w", ref, err)
	}
	host := imageRegistry(ref)
	known := m.registry.first(host)
	defer known()
	if why := m.registry.unreachable(host); why != nil {
		return "", why
	}
	began := clock.Wall()
	err = m.registry.pull(ctx, m.engine, reference.TagNameOnly(named).String(), host, func() {
		known()
		m.progress("pulling " + ref)
	})
	if why := new(unreachableError); errors.As(err, &why) {
		m.progress(why.Error() + ": images that have a recipe are built here")
	}
	if err != nil {
		return "", err
	}
	m.progress(fmt.Sprintf("%s: pulled in %s", ref, imageSeconds(clock.Since(began))))
	image, err := m.engine.ImageInspect(ctx, ref)
	return image.ID, err
}

// pull pulls; answered is called when the registry has begun to answer.
func (r *imageRegistries) pull(parent context.Context, engine imageEngine, ref, host string, answered func()) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	silence := &imageSilence{cancel: cancel}
	defer silence.allow(ctx, 0)
	go r.judge(ctx, host, silence)
	auth, err := imageAuth(ctx, ref)
	if err != nil {
		return err
	}
	answer, err := engine.ImagePull(ctx, ref, client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		defer func() { _ = answer.Close() }()
		heard := false
		err = imageStream(answer, func() {
			silence.allow(ctx, r.stall)
			if !heard {
				heard = true
				answered()
			}
		})
	}
	if err == nil || parent.Err() != nil {
		return errors.Join(err, parent.Err())
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, errImageSilence) || imageNetworkError(err.Error()) {
		why := &unreachableError{host, imageShort(err.Error())}
		r.mu.Lock()
		r.dead[host] = why
		r.mu.Unlock()
		return why
	}
	return fmt.Errorf("registry %s does not give it (%s)", host, imageShort(err.Error()))
}

// judge decides how long the registry's silence is borne: long if it can be reached
// from here, briefly if not.
func (r *imageRegistries) judge(ctx context.Context, host string, silence *imageSilence) {
	silence.first(ctx, r.patience)
	if r.proxied {
		silence.first(ctx, r.reachable)
		return
	}
	probe, cancel := context.WithTimeout(ctx, r.patience*4/5)
	defer cancel()
	if r.probe(probe, host) == nil {
		silence.first(ctx, r.reachable)
	}
}

var errImageSilence = errors.New("no answer")

// imageSilence ends a context when nothing was heard for some time.
type imageSilence struct {
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	heard bool
	stop  context.CancelFunc
}

// first allows d until something is heard for the first time.
func (s *imageSilence) first(ctx context.Context, d time.Duration) { s.set(ctx, d, false) }

// allow says that something was heard, and allows d until the next time; 0 allows
// any time.
func (s *imageSilence) allow(ctx context.Context, d time.Duration) { s.set(ctx, d, true) }

func (s *imageSilence) set(ctx context.Context, d time.Duration, heard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heard && !heard {
		return
	}
	s.heard = heard
	if s.stop != nil {
		s.stop()
	}
	var wait context.Context
	wait, s.stop = context.WithCancel(ctx)
	if d == 0 {
		s.stop()
		return
	}
	go func() {
		if clock.Sleep(wait, d) == nil {
			s.cancel(fmt.Errorf("%w within %s", errImageSilence, imageSeconds(d)))
		}
	}()
}

// imageNetworkError says whether the engine's message is about reaching a registry
// rather than about one image.
func imageNetworkError(message string) bool {
	for _, part := range []string{
		"no such host", "server misbehaving", "name resolution", "i/o timeout", "connection refused", "connection reset",
		"network is unreachable", "no route to host", "Client.Timeout", "deadline exceeded", "request canceled",
		"TLS handshake", "x509:", "proxyconnect", "server gave HTTP response", "EOF",
	} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}

// imageShort is the end of a chain of messages, where the cause is.
func imageShort(message string) string {
	message = strings.TrimPrefix(message, "Error response from daemon: ")
	for _, cut := range []string{"dial tcp: ", "net/http: "} {
		if _, after, ok := strings.Cut(message, cut); ok {
			message = after
		}
	}
	return message
}

// imageAuth is the login for an image's registry, as `docker login` left it; empty
// if there is none.
func imageAuth(ctx context.Context, ref string) (string, error) {
	_, login, err := testcontainers.DockerImageAuth(ctx, ref)
	if err != nil {
		return "", nil //nolint:nilerr // no login is not an error: most images need none
	}
	data, err := json.Marshal(login)
	return base64.URLEncoding.EncodeToString(data), err
}

// imageStream reads the engine's progress messages to their end; heard is called
// for each.
func imageStream(r io.Reader, heard func()) error {
	for in := json.NewDecoder(r); ; {
		var message jsonstream.Message
		if err := in.Decode(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if message.Error != nil {
			return message.Error
		}
		if heard != nil {
			heard()
		}
	}
}

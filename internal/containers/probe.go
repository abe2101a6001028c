package containers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// probeWithin bounds one answer of a dependency, in wall time.
const probeWithin = 10 * time.Second

// Probe asks a version, or what it depends on, and records the answer.
func (s *Stage) Probe(ctx context.Context, p stage.Probe) (err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	if _, known := s.setup.Versions[p.Version]; p.Version != "" && !known {
		return fmt.Errorf("%v: there is no version %q", p, p.Version)
	}
	var said string
	switch p.Kind {
	case stage.ProbeDependency:
		said, err = s.probeDependency(ctx, p)
	case stage.ProbeSmoke:
		said, err = s.probeSmoke(ctx, p)
	case stage.ProbeMigrations:
		said, err = s.probeMigrations(ctx, p)
	case stage.ProbeContract:
		said, err = s.probeContract(ctx, p)
	case stage.ProbeRollback:
		said, err = s.probeRollback(ctx, p)
	case stage.ProbeRoom:
		said, err = s.probeRoom(ctx, p)
	case stage.ProbeRequest, stage.ProbeQuery, stage.ProbeCommand:
		return fmt.Errorf("a %s is asked for its answer, by Ask", p.Kind)
	default:
		return fmt.Errorf("unknown probe %q", p.Kind)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		if !errors.Is(err, stage.ErrProbe) {
			return err
		}
		said = err.Error()
	}
	s.history.Record(stage.Event{Kind: stage.Probed, Version: p.Version, Probe: &p, OK: err == nil, Detail: said})
	return err
}

func failed(p stage.Probe, format string, args ...any) error {
	return fmt.Errorf("%w: %v: %w", stage.ErrProbe, p, fmt.Errorf(format, args...))
}

// A way is how a version, or the compose file, reaches a dependency.
type way struct {
	stage.Dependency
	door        string // where this process reaches it
	environment map[string]string
}

// wayTo is the way of the probe's version to a dependency: with its variables, by its
// route. Without a version it is as the compose file says, straight. A dependency that
// the variables do not lead to is an ErrProbe.
func (s *Stage) wayTo(ctx context.Context, p stage.Probe, name string) (to way, err error) {
	d, ok := s.setup.Dependency(name)
	if !ok {
		return to, fmt.Errorf("%v: %s has no dependency %q", p, s.setup.Service, name)
	}
	to = way{d, s.directPath(d), s.releasedEnvironment(nil)}
	if p.Version != "" {
		route, err := s.routeOf(ctx, p.Version)
		if err != nil {
			return to, err
		}
		if to.door, err = s.door(route, d.Name); err != nil {
			return to, err
		}
		to.environment = s.environmentIn(p.Version)
	}
	if err := s.pointsTo(d, to.environment); err != nil {
		return to, failed(p, "%w", err)
	}
	return to, nil
}

// inTime bounds a question; cause is err, or why there was no time for more.
func inTime(ctx context.Context, within time.Duration) (_ context.Context, cancel func(), cause func(error) error) {
	ctx, cancel = context.WithTimeoutCause(ctx, within, fmt.Errorf("no answer within %s", within))
	return ctx, cancel, func(err error) error {
		if why := context.Cause(ctx); err != nil && why != nil {
			return why
		}
		return err
	}
}

// probeDependency connects as the version would.
func (s *Stage) probeDependency(ctx context.Context, p stage.Probe) (string, error) {
	to, err := s.wayTo(ctx, p, p.Dependency)
	if err != nil {
		return "", err
	}
	began := clock.Wall()
	ctx, cancel, cause := inTime(ctx, probeWithin)
	defer cancel()
	if err := s.askDependency(ctx, to.Dependency, to.door, to.environment); err != nil {
		return "", failed(p, "%w", cause(err))
	}
	return fmt.Sprintf("%s answered after %s", to.Name, clock.Since(began).Round(time.Millisecond)), nil
}

// environmentIn is the variables of the version as its replicas would get them,
// with what is injected.
func (s *Stage) environmentIn(name string) map[string]string {
	v := s.setup.Versions[name]
	if d := s.version(name); d != nil {
		v = d.Version
	}
	spec := containerSpec{environment: s.releasedEnvironment(&v)}
	for _, f := range s.failuresOf(name) {
		f.replicaCreated(&spec)
	}
	return spec.environment
}

// probeSmoke sends every smoke request to the version and looks at the answers.
func (s *Stage) probeSmoke(ctx context.Context, p stage.Probe) (string, error) {
	if len(s.setup.Smoke) == 0 {
		return "", fmt.Errorf("%v: the setup has no smoke requests", p)
	}
	known := s.acknowledgedKeys()
	began := clock.Wall()
	for _, one := range s.setup.Smoke {
		key := newKey()
		acknowledged := key
		if len(known) > 0 {
			acknowledged = known[len(known)-1]
		}
		status, err := s.expect(ctx, p, one, fillIn(one.Request, key, acknowledged), s.setup.Traffic.Timeout, func(ctx context.Context, r stage.Request) (int, string, error) {
			return s.call(ctx, p.Version, r)
		})
		if err != nil {
			return "", err
		}
		if one.Write && status/100 == 2 {
			known = append(known, key)
			s.mu.Lock()
			s.smokeKeys = append(s.smokeKeys, key)
			s.mu.Unlock()
		}
	}
	return fmt.Sprintf("%d requests answered well in %s", len(s.setup.Smoke), clock.Since(began).Round(time.Millisecond)), nil
}

func newKey() string { return "smoke-" + strings.ToLower(rand.Text()) }

// expect sends one request and holds the answer against what is right. patience is how
// long to wait where the request does not say; 0 is probeWithin.
func (s *Stage) expect(ctx context.Context, p stage.Probe, one stage.SmokeRequest, r stage.Request, patience time.Duration,
	send func(context.Context, stage.Request) (int, string, error)) (status int, err error) {
	for _, d := range []time.Duration{patience, probeWithin} {
		if one.Within <= 0 {
			one.Within = d
		}
	}
	name := fmt.Sprintf("%s (%s %s)", one.Name, r.Method, r.Path)
	ctx, cancel, cause := inTime(ctx, one.Within)
	defer cancel()
	began := clock.Wall()
	status, body, err := send(ctx, r)
	if err != nil {
		return status, failed(p, "%s: %w", name, cause(err))
	}
	if err := one.Wrong(stage.Answer{Status: status, Body: body, Took: clock.Since(began)}); err != nil {
		return status, failed(p, "%s: %s: %s", name, s.secrets.redact(err.Error()), s.secrets.redact(shorten(body)))
	}
	return status, nil
}

func shorten(body string) string {
	const most = 300
	body = oneLine(body)
	if len(body) > most {
		return strings.ToValidUTF8(body[:most], "") + "…"
	}
	return body
}

// fillIn puts the keys into a request.
func fillIn(r stage.Request, key, acknowledged string) stage.Request {
	fill := strings.NewReplacer("{key}", key, "{acknowledged}", acknowledged).Replace
	r.Path, r.Body = fill(r.Path), fill(r.Body)
	headers := make(map[string]string, len(r.Headers))
	for name, value := range r.Headers {
		headers[name] = fill(value)
	}
	r.Headers = headers
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	return r
}

const answerMost = 1 << 20 // bytes of an answer that are looked at

// call sends one request to a version, past the shares.
func (s *Stage) call(ctx context.Context, version string, r stage.Request) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, s.balancer.probeURL()+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return 0, "", err
	}
	for name, value := range r.Headers {
		request.Header.Set(name, value)
	}
	request.Header.Set(versionHeader, version)
	return send(request)
}

// send sends a request on a connection of its own, and follows no redirect.
func send(request *http.Request) (status int, body string, err error) {
	request.Close = true
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(answer.Body, answerMost))
	return answer.StatusCode, string(data), err
}

// directPath is where this process reaches a dependency past all failures.
func (s *Stage) directPath(d stage.Dependency) string {
	if s.engine.Local {
		return net.JoinHostPort(s.services[d.Name].address.String(), strconv.Itoa(d.Port))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.allRoutes {
		if door := r.doors["clean-"+d.Name]; door != "" {
			return door
		}
	}
	return ""
}

// door is where this process reaches a dependency by a version's route.
func (s *Stage) door(r *route, dependency string) (string, error) {
	d, ok := s.setup.Dependency(dependency)
	if !ok {
		return "", fmt.Errorf("%s has no dependency %q", s.setup.Service, dependency)
	}
	return r.doors[d.Name+"-"+strconv.Itoa(d.Port)], nil
}

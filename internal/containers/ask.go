package containers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

var _ stage.Asker = (*Stage)(nil)

// commandWithin bounds a command, in wall time: a migration may take some time.
const commandWithin = time.Minute

// Ask sends a request, puts a query or runs a command, and gives what came of it. What
// is known to be secret is taken out.
func (s *Stage) Ask(ctx context.Context, q stage.Question) (a stage.Answer, err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	p := q.Probe()
	if _, known := s.setup.Versions[q.Version]; q.Version != "" && !known {
		return a, fmt.Errorf("%v: there is no version %q", p, q.Version)
	}
	var said string
	began := clock.Wall()
	switch p.Kind {
	case stage.ProbeRequest:
		a, said, err = s.askRequest(ctx, p, *q.Request)
	case stage.ProbeQuery:
		a, said, err = s.askQuery(ctx, p, q.Query)
	case stage.ProbeCommand:
		a, said, err = s.askCommand(ctx, p, q.Command)
	default:
		return a, fmt.Errorf("a question of the kind %q", p.Kind)
	}
	a.Took = clock.Since(began)
	if cause := context.Cause(ctx); cause != nil {
		return a, cause
	}
	if err != nil {
		if !errors.Is(err, stage.ErrProbe) {
			return a, err
		}
		said = err.Error()
	}
	s.history.Record(stage.Event{Kind: stage.Probed, Version: p.Version, Probe: &p, OK: err == nil, Detail: s.secrets.redact(said)})
	return a, err
}

func (s *Stage) askRequest(ctx context.Context, p stage.Probe, r stage.Request) (a stage.Answer, said string, err error) {
	if s.version(p.Version) == nil {
		return a, "", fmt.Errorf("%v: version %s is not deployed", p, p.Version)
	}
	within := s.setup.Traffic.Timeout
	if within <= 0 {
		within = probeWithin
	}
	key := newKey()
	acknowledged := key
	if known := s.acknowledgedKeys(); len(known) > 0 {
		acknowledged = known[len(known)-1]
	}
	r = fillIn(r, key, acknowledged)
	ctx, cancel, cause := inTime(ctx, within)
	defer cancel()
	if a.Status, a.Body, err = s.call(ctx, p.Version, r); err != nil {
		return a, "", failed(p, "%s %s: %w", r.Method, r.Path, cause(err))
	}
	a.Body = s.secrets.redact(a.Body)
	return a, fmt.Sprintf("%s %s: %d: %s", r.Method, r.Path, a.Status, shorten(a.Body)), nil
}

// askQuery asks a database past all failures, as an audit does.
func (s *Stage) askQuery(ctx context.Context, p stage.Probe, sql string) (a stage.Answer, said string, err error) {
	d, ok := s.setup.Dependency(p.Dependency)
	if !ok || !d.Database() {
		return a, "", fmt.Errorf("%v: it is not a dependency of kind postgres or mysql", p)
	}
	ctx, cancel, cause := inTime(ctx, probeWithin)
	defer cancel()
	a, err = s.queryDatabase(ctx, d, s.directPath(d), s.releasedEnvironment(nil), sql)
	if err != nil {
		return a, "", failed(p, "%s: %s", sql, s.secrets.redact(cause(err).Error()))
	}
	for _, row := range a.Rows {
		for i := range row {
			row[i] = s.secrets.redact(row[i])
		}
	}
	return a, fmt.Sprintf("%s: %d rows", sql, len(a.Rows)), nil
}

// askCommand runs a command in a container of its own, which is removed when it ends.
func (s *Stage) askCommand(ctx context.Context, p stage.Probe, command []string) (a stage.Answer, said string, err error) {
	spec, err := s.commandSpec(ctx, p)
	if err != nil {
		return a, "", err
	}
	spec.service.Entrypoint, spec.service.Command = command[:1], command[1:]
	if _, err := s.images.Ensure(ctx, spec.service.Image); err != nil {
		return a, "", failed(p, "%w", err)
	}
	defer s.inside.giveBack(spec.address)
	ctr, err := s.create(ctx, spec)
	if err != nil {
		return a, "", err
	}
	defer func() { err = errors.Join(err, s.remove(context.WithoutCancel(ctx), ctr)) }()
	ended := newLatch()
	s.onExit(ctr.ID, func() { close(ended) })
	if err := ctr.Start(ctx); err != nil {
		return a, "", failed(p, "%q cannot be started: %s", command, s.secrets.redact(oneLine(err.Error())))
	}
	within, cancel, cause := inTime(ctx, commandWithin)
	defer cancel()
	if err := ended.wait(within); err != nil {
		return a, "", failed(p, "%q: %w%s", command, cause(err), s.lastLines(ctx, ctr.ID))
	}
	how := s.exitOf(ctx, ctr.ID)
	a.Exit = how.code
	if a.Output, err = s.output(ctx, ctr.ID); err != nil {
		return a, "", fmt.Errorf("%v: read what it printed: %w", p, err)
	}
	return a, fmt.Sprintf("%q %s: %s", command, how, shorten(a.Output)), nil
}

// commandSpec is a container like those of the version, or of the compose service.
func (s *Stage) commandSpec(ctx context.Context, p stage.Probe) (spec containerSpec, err error) {
	if p.Version == "" {
		c, ok := s.project.Services[p.Dependency]
		if !ok {
			return spec, fmt.Errorf("%v: the compose file has no service %q: it has %q", p, p.Dependency, slices.Sorted(maps.Keys(s.project.Services)))
		}
		spec = serviceSpec(s.project, c)
	} else {
		spec = serviceSpec(s.project, s.project.Services[s.setup.Service])
		spec.service.Image = s.setup.Versions[p.Version].Image
		spec.environment = s.environmentIn(p.Version)
		route, err := s.routeOf(ctx, p.Version)
		if err != nil {
			return spec, err
		}
		spec.hosts = s.hosts(route)
	}
	spec.name = "command-" + newKey()
	spec.service.ContainerName, spec.service.Hostname = "", ""
	spec.service.Tty = false // else its output would not come apart
	if spec.address, err = s.inside.address(); err != nil {
		return spec, err
	}
	return spec, nil
}

// output is what a container that has ended has printed, the first MiB.
func (s *Stage) output(ctx context.Context, id string) (string, error) {
	log, err := s.docker.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }()
	text := &firstBytes{most: answerMost}
	if _, err := stdcopy.StdCopy(text, text, log); err != nil {
		return "", err
	}
	return s.secrets.redact(text.String()), nil
}

// firstBytes keeps the first bytes of what is written to it.
type firstBytes struct {
	bytes.Buffer
	most int
}

func (w *firstBytes) Write(p []byte) (int, error) {
	if room := w.most - w.Len(); room > 0 {
		w.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

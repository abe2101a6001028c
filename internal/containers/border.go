package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"rehearsal/internal/stage"
)

// A border is where the staging copy ends. Its network has no way out; the border
// (the command in border/) is who containers ask for names that are not of the copy, so
// that a call to the outside is refused at once and named, with its port. A call to a
// number outside finds no route; who called is recorded.
//
// An engine that gives the containers of an internal network no gateway, or does not
// pass their questions on, refuses such calls itself; then they are not named.
type border struct {
	address   netip.Addr
	ready     latch // it answers, or never will
	container *testcontainers.DockerContainer
}

// borderPatience is how long the border may take until it answers, in wall time.
const borderPatience = 10 * time.Second

// planBorder gives the border its address, if its image can be had. Without it calls
// are refused all the same.
func (s *Stage) planBorder(ctx context.Context) error {
	if _, err := s.images.Ensure(ctx, borderImage); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.o.Progress(fmt.Sprintf("calls to the outside will be refused, but not named: %v", err))
		return nil
	}
	address, err := s.inside.address()
	if err != nil {
		return err
	}
	s.border = &border{address: address, ready: newLatch()}
	return nil
}

// resolver is who containers ask for names that the engine does not know.
func (s *Stage) resolver() netip.Addr {
	if s.border == nil {
		return noResolver
	}
	return s.border.address
}

// startBorder starts the border and follows what it says.
func (s *Stage) startBorder(ctx context.Context) error {
	if s.border == nil {
		return nil
	}
	defer close(s.border.ready)
	ctr, err := s.create(ctx, containerSpec{
		name: "border", address: s.border.address, labels: map[string]string{"rehearsal.part": "border"},
		service:     types.ServiceConfig{ContainerSpec: types.ContainerSpec{Image: borderImage}},
		environment: map[string]string{"BORDER_GATEWAY": s.inside.gateway.String(), "BORDER_NAMES": s.inside.names().String()},
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.border.container = ctr
	s.mu.Unlock()
	attached, err := s.docker.ContainerAttach(ctx, ctr.ID, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("follow the border: %w", err)
	}
	watching := newLatch()
	s.background.Go(func() {
		defer attached.Close()
		stop := context.AfterFunc(s.life, attached.Close)
		defer stop()
		out, errs := &lineWriter{line: s.calledOut}, &lineWriter{line: func(string) {
			select {
			case <-watching:
			default:
				close(watching)
			}
		}}
		_, _ = stdcopy.StdCopy(out, errs, attached.Reader)
	})
	s.onExit(ctr.ID, func() {
		s.lose("what refuses calls to the outside %s%s", s.exitOf(s.life, ctr.ID), s.lastLines(s.life, ctr.ID))
	})
	if err := ctr.Start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, borderPatience, fmt.Errorf("the border does not answer after %s", borderPatience))
	defer cancel()
	return watching.wait(ctx)
}

// calledOut records an attempt that the border reports.
func (s *Stage) calledOut(line string) {
	var a struct {
		From     netip.Addr
		Host     string
		Port     int
		Protocol string
	}
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		return
	}
	for _, c := range s.project.Services {
		if slices.Contains(aliasesOf(c), a.Host) {
			return // it is of the staging copy and does not run at the moment
		}
	}
	e := stage.Event{Kind: stage.CalledOut, Call: &stage.Call{Host: a.Host, Port: a.Port, Protocol: a.Protocol}}
	e.Version, e.Call.By = s.whoHas(a.From)
	s.history.Record(e)
}

// whoHas is the version, of a replica, and the compose service with the address.
func (s *Stage) whoHas(address netip.Addr) (version, service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, v := range s.versions {
		if slices.ContainsFunc(v.replicas, func(r *replica) bool { return r.address == address }) {
			return name, s.setup.Service
		}
	}
	for _, one := range s.services {
		if one.address == address {
			return "", one.Name
		}
	}
	return "", address.String()
}

package containers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"golang.org/x/sync/errgroup"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// A service is a compose service other than the released one, as it runs.
type service struct {
	types.ServiceConfig
	nth       int // of its replicas, from 1
	address   netip.Addr
	container *testcontainers.DockerContainer
	once      bool // it does its work and ends, and others wait for that
	// resting says that its next exit is the stage's doing.
	resting atomic.Bool

	started, healthy, completed latch
	exited                      latch
}

// A latch is an event that happens once.
type latch chan struct{}

func newLatch() latch { return make(latch) }

func (l latch) wait(ctx context.Context) error {
	select {
	case <-l:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// composed is the services that a stage raises itself: all but the released one,
// and those that wait for it, whose part the users' traffic plays.
func (s *Stage) composed() map[string]types.ServiceConfig {
	all := maps.Clone(map[string]types.ServiceConfig(s.project.Services))
	delete(all, s.setup.Service)
	maps.DeleteFunc(all, func(_ string, c types.ServiceConfig) bool { return ComposeReplicas(c) == 0 })
	for more := true; more; {
		more = false
		for name, c := range all {
			for _, needed := range c.GetDependencies() {
				if _, have := all[needed]; !have && ComposeReplicas(s.project.Services[needed]) > 0 {
					delete(all, name)
					more = true
					break
				}
			}
		}
	}
	return all
}

// planServices gives every service its address.
func (s *Stage) planServices() error {
	configs := s.composed()
	for _, name := range slices.Sorted(maps.Keys(s.project.Services)) {
		if _, ours := configs[name]; !ours && name != s.setup.Service && ComposeReplicas(s.project.Services[name]) > 0 {
			s.o.Progress(fmt.Sprintf("left out: service %s, which needs %s: the users' requests go straight to the balancer", name, s.setup.Service))
		}
	}
	for name, c := range configs {
		for nth := 1; nth <= ComposeReplicas(c); nth++ {
			address, err := s.inside.address()
			if err != nil {
				return err
			}
			s.services[replicaKey(name, nth)] = &service{
				ServiceConfig: c, nth: nth, address: address,
				started: newLatch(), healthy: newLatch(), completed: newLatch(), exited: newLatch(),
			}
		}
	}
	for _, c := range s.project.Services {
		for name, d := range c.DependsOn {
			for _, on := range s.replicasNamed(name) {
				on.once = on.once || d.Condition == types.ServiceConditionCompletedSuccessfully
			}
		}
	}
	return nil
}

// replicaKey is the key of a service's nth replica: of the first, the service's name. No
// service's name has a #.
func replicaKey(name string, nth int) string {
	if nth == 1 {
		return name
	}
	return fmt.Sprintf("%s#%d", name, nth)
}

// replicasNamed is all containers of a service other than the released one.
func (s *Stage) replicasNamed(name string) (all []*service) {
	for nth := 1; ; nth++ {
		one, ok := s.services[replicaKey(name, nth)]
		if !ok {
			return all
		}
		all = append(all, one)
	}
}

// startServices starts the services, each when what it depends on is as it asks,
// and returns when all of them are healthy and the dependencies answer.
func (s *Stage) startServices(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for name, one := range s.services {
		all.Go(func() error {
			if err := s.startService(ctx, one); err != nil {
				return fmt.Errorf("service %s: %w", name, err)
			}
			return nil
		})
	}
	return all.Wait()
}

func (s *Stage) startService(ctx context.Context, one *service) error {
	spec := serviceSpec(s.project, one.ServiceConfig)
	if one.nth > 1 {
		spec.name = fmt.Sprintf("%s--%d", one.Name, one.nth)
	}
	spec.address, spec.aliases = one.address, aliasesOf(one.ServiceConfig)
	spec.restarts = one.Restart != "" && one.Restart != types.RestartPolicyNo
	var err error
	if one.container, err = s.create(ctx, spec); err != nil {
		return err
	}
	s.onExit(one.container.ID, func() { s.serviceExited(one, spec.restarts) })
	if stub := s.stub(one.Name); stub != nil {
		if err := s.followStub(ctx, stub, one.container.ID); err != nil {
			return err
		}
	}
	for name, d := range one.DependsOn {
		for _, on := range s.replicasNamed(name) {
			if err := on.reached(ctx, d.Condition); err != nil {
				return err
			}
		}
	}
	if s.border != nil { // what it calls while it starts counts, too
		if err := s.border.ready.wait(ctx); err != nil {
			return err
		}
	}
	kept, err := s.baseDataOf(ctx, spec)
	if err != nil {
		return err
	}
	known := kept != nil && kept.there()
	if known {
		if err := kept.fill(ctx, s.docker, one.container.ID); err != nil {
			return err
		}
	}
	if err := one.container.Start(ctx); err != nil {
		return err
	}
	if kept != nil && !known && s.images.firstStart(kept.dir) { // before others begin to write
		if err := s.untilHealthy(ctx, one); err != nil {
			return err
		}
		if err := s.keepFirstStart(ctx, one, kept); err != nil {
			return err
		}
	}
	close(one.started)
	if one.once {
		return one.completed.wait(ctx)
	}
	if err := s.untilHealthy(ctx, one); err != nil {
		return err
	}
	close(one.healthy)
	return nil
}

// reached waits until the service is as another that depends on it asks.
func (one *service) reached(ctx context.Context, condition string) error {
	switch condition {
	case types.ServiceConditionCompletedSuccessfully:
		return one.completed.wait(ctx)
	case types.ServiceConditionHealthy:
		return one.healthy.wait(ctx)
	}
	return one.started.wait(ctx)
}

// aliasesOf is every name that other services may call a service by.
func aliasesOf(c types.ServiceConfig) []string {
	names := []string{c.Name}
	if c.ContainerName != "" {
		names = append(names, c.ContainerName)
	}
	for _, n := range c.Networks {
		if n != nil {
			names = append(names, n.Aliases...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// serviceExited ends the stage's life, unless the service was to end, or the engine
// starts it again because the compose file says so.
func (s *Stage) serviceExited(one *service, restarts bool) {
	if one.resting.CompareAndSwap(true, false) {
		return
	}
	state := s.exitOf(s.life, one.container.ID)
	switch {
	case one.once && state.code == 0:
		close(one.completed)
	case restarts:
	default:
		last := s.lastLines(s.life, one.container.ID)
		s.lose("service %s %s%s%s", one.Name, state, last, s.foreignImage(one.Image, last))
	}
}

const (
	healthEvery  = 20 * time.Millisecond // between one health check and the next, while something starts
	healthAtMost = 5 * time.Minute
	healthLeast  = 15 * time.Second
)

// untilHealthy waits until the service's own health check passes, run as the
// engine would but without waiting for its interval, and until it answers as a
// dependency.
func (s *Stage) untilHealthy(ctx context.Context, one *service) error {
	check, err := s.healthcheck(ctx, one)
	if err != nil {
		return err
	}
	limit := min(max(check.limit, healthLeast), healthAtMost)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not healthy after %s", limit))
	defer cancel()
	until, _ := ctx.Deadline()
	var last error
	err = clock.Poll(ctx, healthEvery, func() (bool, error) {
		err := s.askService(ctx, one, check)
		// What was cut short by the deadline says only that: what came before says more.
		if last == nil || ctx.Err() == nil && clock.Wall().Before(until) {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if last == nil {
			last = errors.New("it was not asked yet")
		}
		return fmt.Errorf("%w: %w%s", err, last, s.lastLines(ctx, one.container.ID))
	}
	return nil
}

// askService asks once whether the service is healthy. The question that costs
// least comes first: running the health check takes the engine a tenth of a second.
func (s *Stage) askService(ctx context.Context, one *service, check healthcheck) error {
	if d, ok := s.setup.Dependency(one.Name); ok {
		if err := s.askDependency(ctx, d, s.directPath(d), s.releasedEnvironment(nil)); err != nil {
			return err
		}
	}
	if len(check.command) == 0 {
		return nil
	}
	return s.run(ctx, one.container.ID, check.command, check.timeout)
}

// A healthcheck is a command that succeeds in a container that is healthy.
type healthcheck struct {
	command []string      // none: there is no health check
	timeout time.Duration // of one run
	limit   time.Duration // when the engine would call the container unhealthy
}

// healthcheck is the compose file's, else the image's where another service waits
// for it.
func (s *Stage) healthcheck(ctx context.Context, one *service) (healthcheck, error) {
	h := healthcheck{timeout: 30 * time.Second}
	interval, retries, start := 30*time.Second, uint64(3), time.Duration(0)
	set := func(at *time.Duration, d *types.Duration) {
		if d != nil {
			*at = time.Duration(*d)
		}
	}
	var test []string
	if c := one.HealthCheck; c != nil && !c.Disable {
		test = c.Test
		set(&h.timeout, c.Timeout)
		set(&interval, c.Interval)
		set(&start, c.StartPeriod)
		if c.Retries != nil {
			retries = *c.Retries
		}
	}
	if test == nil && s.mustBeHealthy(one.Name) {
		image, err := s.docker.ImageInspect(ctx, one.Image)
		if err != nil {
			return h, err
		}
		if image.Config != nil && image.Config.Healthcheck != nil {
			test = image.Config.Healthcheck.Test
		}
		if len(test) == 0 || test[0] == "NONE" {
			return h, fmt.Errorf("another service waits until it is healthy, but neither the compose file nor the image %s has a health check", one.Image)
		}
	}
	h.limit = start + time.Duration(retries)*(interval+h.timeout)
	switch {
	case len(test) == 0 || test[0] == "NONE":
	case test[0] == "CMD-SHELL":
		h.command = []string{"/bin/sh", "-c", strings.Join(test[1:], " ")}
	case test[0] == "CMD":
		h.command = test[1:]
	default:
		h.command = test
	}
	return h, nil
}

func (s *Stage) mustBeHealthy(name string) bool {
	for _, c := range s.project.Services {
		if d, ok := c.DependsOn[name]; ok && d.Condition == types.ServiceConditionHealthy {
			return true
		}
	}
	return false
}

// run runs a command in a container. The error of one that fails has what it said.
func (s *Stage) run(ctx context.Context, id string, command []string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	made, err := s.docker.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return err
	}
	conn, err := s.docker.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, conn.Close)
	defer stop()
	var said bytes.Buffer
	_, err = stdcopy.StdCopy(&said, &said, conn.Reader)
	if ctx.Err() != nil {
		return fmt.Errorf("health check %q: no end after %s", command, timeout)
	}
	if err != nil {
		return err
	}
	end, err := s.docker.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	if err != nil {
		return err
	}
	if end.ExitCode != 0 {
		hint := ""
		if command[0] == "/bin/sh" && strings.Contains(said.String(), `exec: "/bin/sh"`) {
			hint = " (the image has no shell: write the test as [CMD, program, ...], with a program that it has)"
		}
		return fmt.Errorf("health check %q: exit status %d: %s%s", command, end.ExitCode, s.secrets.redact(oneLine(said.String())), hint)
	}
	return nil
}

// releasedEnvironment is the variables of the released service in a version; nil is
// none in particular.
func (s *Stage) releasedEnvironment(v *stage.Version) map[string]string {
	all := environmentOf(s.project.Services[s.setup.Service])
	if v != nil {
		maps.Copy(all, v.Environment)
	}
	return all
}

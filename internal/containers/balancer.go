package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// balancerImage is the image of the balancer. It must be present.
const balancerImage = "haproxy:2.6"

type balancerOptions struct {
	Setup *stage.Setup // its Versions and Health
	Clock *clock.Paced
	// Pace is how many times faster than the wall release time runs ahead: health
	// checks keep up with it, down to one every 100 ms.
	Pace float64
	// Networks are the names of the Docker networks it is on: first the stage's own,
	// then, unless Direct, one that can publish ports.
	Networks []string
	Name     string // of the container; "" lets the engine choose
	Labels   map[string]string
	// Direct addresses the container by its IP instead of published ports, as a local
	// Linux engine allows.
	Direct bool
	// OnAccess gets every request that the balancer is done with, in order, from one
	// goroutine.
	OnAccess func(access)
	// OnHealth gets every target that turned healthy or unhealthy, from one goroutine.
	// It must be quick.
	OnHealth func(targetChange)
}

// A balancer is HAProxy in a container, driven at run time through its runtime
// API: what an Application Load Balancer is in production, with a target group for
// each version. Its configuration never changes, so that no connection is lost to a
// reload.
//
// It differs from its model where that would make a rehearsal less strict or less
// clear: a version without a healthy target answers 503, where an Application Load
// Balancer sends requests to all of its unhealthy targets; and a connection that a
// target does not accept is tried on another target of the same version.
type balancer struct {
	options   balancerOptions
	versions  []string // sorted
	container testcontainers.Container
	runtime   balancerRuntime
	users     string
	probes    string

	cancel context.CancelFunc
	work   sync.WaitGroup

	mu         sync.Mutex
	registered []*balancerTarget // by order of add
	lost       error
	closed     bool
}

// startBalancer starts a balancer and returns when it takes requests. No version
// has a share of them yet.
func startBalancer(ctx context.Context, o balancerOptions) (_ *balancer, err error) {
	files, err := balancerFiles(o.Setup, o.Pace)
	if err != nil {
		return nil, err
	}
	b := &balancer{options: o, versions: slices.Sorted(maps.Keys(o.Setup.Versions))}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("starting the balancer: %w", err), b.close(context.WithoutCancel(ctx)))
		}
	}()
	if err := b.run(ctx, files); err != nil {
		return nil, err
	}
	if err := b.find(ctx); err != nil {
		return nil, err
	}
	lines, err := followContainer(ctx, b.container.GetContainerID())
	if err != nil {
		return nil, err
	}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel = cancel
	b.work.Go(func() { b.readLog(inner, lines) })
	ready, cancelReady := context.WithTimeout(ctx, 20*time.Second)
	defer cancelReady()
	if err := b.runtime.ready(ready, b.err); err != nil {
		return nil, err
	}
	b.work.Go(func() { b.watch(inner) })
	return b, nil
}

// run starts the container, with its files: all at once, since each copy costs the
// engine as much as all of them.
func (b *balancer) run(ctx context.Context, files map[string]string) (err error) {
	if b.container, err = testcontainers.GenericContainer(ctx, b.request()); err != nil {
		return err
	}
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = engine.Close() }()
	var all []copiedFile
	for _, path := range slices.Sorted(maps.Keys(files)) {
		all = append(all, copiedFile{target: path, text: files[path], mode: 0o644})
	}
	if err := copyInto(ctx, engine, b.container.GetContainerID(), all); err != nil {
		return err
	}
	return b.container.Start(ctx)
}

func (b *balancer) request() testcontainers.GenericContainerRequest {
	r := testcontainers.ContainerRequest{
		Image:    balancerImage,
		Name:     b.options.Name,
		Labels:   b.options.Labels,
		Networks: b.options.Networks,
		HostConfigModifier: func(h *container.HostConfig) {
			// The log is read as it grows, whatever the engine does with logs by default.
			h.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1g", "max-file": "1"}}
		},
	}
	if !b.options.Direct {
		for _, port := range []int{balancerUsersPort, balancerProbesPort, balancerRuntimePort} {
			r.ExposedPorts = append(r.ExposedPorts, fmt.Sprintf("%d/tcp", port))
		}
	}
	return testcontainers.GenericContainerRequest{ContainerRequest: r}
}

// find learns under which addresses the balancer is reached.
func (b *balancer) find(ctx context.Context) error {
	address := func(port int) (string, error) {
		host, err := b.container.Host(ctx)
		if err != nil {
			return "", err
		}
		published, err := b.container.MappedPort(ctx, fmt.Sprintf("%d/tcp", port))
		if err != nil {
			return "", err
		}
		return net.JoinHostPort(host, strconv.Itoa(int(published.Num()))), nil
	}
	if b.options.Direct {
		ip, err := b.container.ContainerIPs(ctx)
		if err != nil {
			return err
		}
		if len(ip) == 0 || ip[0] == "" { // it has exited again
			return fmt.Errorf("HAProxy ended as it started: %s", b.said(ctx))
		}
		address = func(port int) (string, error) { return net.JoinHostPort(ip[0], strconv.Itoa(port)), nil }
	}
	for port, to := range map[int]*string{
		balancerUsersPort: &b.users, balancerProbesPort: &b.probes, balancerRuntimePort: &b.runtime.address,
	} {
		var err error
		if *to, err = address(port); err != nil {
			return err
		}
	}
	return nil
}

// said is the end of what HAProxy wrote: why it ended.
func (b *balancer) said(ctx context.Context) string {
	log, err := b.container.Logs(ctx)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = log.Close() }()
	text, err := io.ReadAll(io.LimitReader(log, 64<<10))
	if err != nil {
		return err.Error()
	}
	return shorten(strings.TrimSpace(string(text)))
}

// usersURL is where the users' requests go, to be shared among the versions.
func (b *balancer) usersURL() string { return "http://" + b.users }

// probeURL is where requests go that name their version in versionHeader, whatever
// its share; 404 answers an unknown version.
func (b *balancer) probeURL() string { return "http://" + b.probes }

// readLog hands the requests in HAProxy's log on until the log ends. An end that
// close did not bring about means that the balancer is gone.
func (b *balancer) readLog(ctx context.Context, lines *containerLines) {
	stop := context.AfterFunc(ctx, lines.close)
	defer stop()
	last := ""
	for line := range lines.all() {
		if a, ok := parseAccess(line); ok {
			b.options.OnAccess(a)
		} else {
			last = line
		}
	}
	if ctx.Err() == nil {
		b.lose(fmt.Errorf("its log ended; its last words: %q", last))
	}
}

// lose records that nothing may be concluded from here on.
func (b *balancer) lose(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost == nil && !b.closed {
		b.lost = fmt.Errorf("%w: the balancer: %w", stage.ErrLost, why)
	}
}

// err wraps stage.ErrLost when the balancer broke: its container is gone, its
// runtime API does not answer, or it could not log every request.
func (b *balancer) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// close removes the balancer. Requests that are under way are cut.
func (b *balancer) close(ctx context.Context) error {
	b.mu.Lock()
	done := b.closed
	b.closed = true
	b.mu.Unlock()
	if done || b.container == nil {
		return nil
	}
	if b.cancel != nil {
		b.cancel()
	}
	err := b.container.Terminate(ctx, testcontainers.StopTimeout(0))
	b.work.Wait()
	if err != nil {
		return fmt.Errorf("removing the balancer: %w", err)
	}
	return nil
}

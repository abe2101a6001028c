package containers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"golang.org/x/sync/errgroup"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

const (
	toxiproxyImage = "ghcr.io/shopify/toxiproxy:2.12.0"
	toxiproxyAPI   = 8474
	// cleanPorts is where a Toxiproxy has a second door to every dependency that no
	// failure touches, for an engine whose containers cannot be called directly.
	cleanPorts = 20000
)

// A route is the way of one version to its dependencies: a Toxiproxy that has the
// dependencies' names in that version's containers, and listens on their ports. Where
// several listen on the same port, each of those has a Toxiproxy of its own.
type route struct {
	version string // "" until a version takes it
	guards  []*guard
	doors   map[string]string // where this process calls it: "database-5432" and "clean-database", each to host:port
	proxies map[string]*proxy // "database-5432"
}

// A guard is one Toxiproxy of a route.
type guard struct {
	address      netip.Addr
	container    *testcontainers.DockerContainer
	dependencies []string // that it stands before
	proxies      []toxiproxy.Proxy
	doors        map[string]string // as the route's, and "api"
	api          *toxiproxy.Client
}

// before is the Toxiproxy that stands before the dependency.
func (r *route) before(dependency string) *guard {
	for _, t := range r.guards {
		if slices.Contains(t.dependencies, dependency) {
			return t
		}
	}
	return nil
}

// startRoute starts the Toxiproxies of a route, with a proxy for every port of every
// dependency.
func (s *Stage) startRoute(ctx context.Context, name string) (*route, error) {
	r := &route{guards: s.planGuards(), doors: map[string]string{}, proxies: map[string]*proxy{}}
	var all errgroup.Group
	for i, t := range r.guards {
		name := name
		if i > 0 {
			name += fmt.Sprintf("-%d", i+1)
		}
		var err error
		if t.address, err = s.inside.address(); err != nil {
			return nil, err
		}
		all.Go(func() error { return s.startToxiproxy(ctx, r, t, name) })
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range r.guards {
		maps.Copy(r.doors, t.doors)
	}
	s.allRoutes = append(s.allRoutes, r)
	return r, nil
}

func (s *Stage) startToxiproxy(ctx context.Context, r *route, t *guard, name string) (err error) {
	publish := []string{fmt.Sprintf("%d/tcp", toxiproxyAPI)}
	for _, p := range t.proxies {
		_, port, _ := net.SplitHostPort(p.Listen)
		publish = append(publish, port+"/tcp")
	}
	if s.engine.Local {
		publish = nil
	}
	t.container, err = s.create(ctx, containerSpec{
		name: "toxiproxy-" + name, address: t.address, publish: publish, labels: map[string]string{"rehearsal.part": "toxiproxy"},
		service:     types.ServiceConfig{ContainerSpec: types.ContainerSpec{Image: toxiproxyImage}},
		environment: map[string]string{"LOG_LEVEL": "warn"},
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.guards = append(s.guards, t)
	s.mu.Unlock()
	s.onExit(t.container.ID, func() {
		s.lose("the Toxiproxy of %s %s%s", r.owner(), s.exitOf(s.life, t.container.ID), s.lastLines(s.life, t.container.ID))
	})
	if err := t.container.Start(ctx); err != nil {
		return err
	}
	made, err := t.open(ctx, s.engine)
	if err != nil {
		return fmt.Errorf("start a Toxiproxy: %w%s", err, s.lastLines(ctx, t.container.ID))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, p := range made {
		r.proxies[name] = &proxy{Proxy: p}
	}
	return nil
}

func (r *route) owner() string {
	if r.version == "" {
		return "no version yet"
	}
	return r.version
}

// planGuards is the Toxiproxies of a route, and what each is to do: as few as can
// be, since on one of them every port is listened on once. There is always one.
func (s *Stage) planGuards() []*guard {
	all := []*guard{{}}
	taken := []map[string]bool{{strconv.Itoa(toxiproxyAPI): true}}
	for i, d := range s.setup.Dependencies {
		one := s.services[d.Name]
		ports := dependencyPorts(d, one.ServiceConfig)
		at := slices.IndexFunc(taken, func(have map[string]bool) bool {
			return !slices.ContainsFunc(ports, func(port string) bool { return have[port] })
		})
		if at < 0 {
			at = len(all)
			all, taken = append(all, &guard{}), append(taken, map[string]bool{strconv.Itoa(toxiproxyAPI): true})
		}
		t := all[at]
		t.dependencies = append(t.dependencies, d.Name)
		for _, port := range ports {
			taken[at][port] = true
			upstream := net.JoinHostPort(one.address.String(), port)
			t.proxies = append(t.proxies, toxiproxy.Proxy{Name: d.Name + "-" + port, Listen: "0.0.0.0:" + port, Upstream: upstream, Enabled: true})
		}
		if !s.engine.Local {
			t.proxies = append(t.proxies, toxiproxy.Proxy{
				Name: "clean-" + d.Name, Listen: fmt.Sprintf("0.0.0.0:%d", cleanPorts+i), Enabled: true,
				Upstream: net.JoinHostPort(one.address.String(), strconv.Itoa(d.Port)),
			})
		}
	}
	return all
}

// dependencyPorts is the port that the setup names, and those that the compose
// file names beside it.
func dependencyPorts(d stage.Dependency, c types.ServiceConfig) []string {
	ports := []string{strconv.Itoa(d.Port)}
	for _, p := range c.Ports {
		if p.Protocol == "" || p.Protocol == "tcp" {
			ports = append(ports, strconv.Itoa(int(p.Target)))
		}
	}
	for _, p := range c.Expose {
		if n, err := strconv.Atoi(p); err == nil {
			ports = append(ports, strconv.Itoa(n))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

const (
	toxiproxyEvery = 5 * time.Millisecond
	toxiproxyLimit = 15 * time.Second
)

// open waits for the Toxiproxy, finds its doors and gives it its proxies.
func (t *guard) open(ctx context.Context, e *Engine) (map[string]*toxiproxy.Proxy, error) {
	if err := t.findDoors(ctx, e); err != nil {
		return nil, err
	}
	t.api = toxiproxy.NewClient(t.doors["api"])
	ctx, cancel := context.WithTimeout(ctx, toxiproxyLimit)
	defer cancel()
	var last error
	err := clock.Poll(ctx, toxiproxyEvery, func() (bool, error) {
		if last = knock(ctx, t.doors["api"]); last == nil {
			_, last = t.api.Version()
		}
		return last == nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("it does not answer: %w", errors.Join(last, context.Cause(ctx)))
	}
	if _, err := t.api.Populate(t.proxies); err != nil {
		return nil, err
	}
	return t.api.Proxies()
}

// findDoors finds out where this process reaches the Toxiproxy.
func (t *guard) findDoors(ctx context.Context, e *Engine) error {
	door := func(port string) (string, error) { return net.JoinHostPort(t.address.String(), port), nil }
	if !e.Local {
		info, err := t.container.Inspect(ctx)
		if err != nil {
			return err
		}
		door = func(port string) (string, error) {
			p, err := network.ParsePort(port + "/tcp")
			if err != nil {
				return "", err
			}
			for _, b := range info.NetworkSettings.Ports[p] {
				return net.JoinHostPort(e.PublishedHost, b.HostPort), nil
			}
			return "", fmt.Errorf("port %s is not published", port)
		}
	}
	t.doors = map[string]string{}
	var err error
	if t.doors["api"], err = door(strconv.Itoa(toxiproxyAPI)); err != nil {
		return err
	}
	for _, p := range t.proxies {
		_, port, _ := net.SplitHostPort(p.Listen)
		if t.doors[p.Name], err = door(port); err != nil {
			return err
		}
	}
	return nil
}

// routeOf is the version's route, made where it has none yet. The failures that
// were injected before are on it when it returns.
func (s *Stage) routeOf(ctx context.Context, version string) (*route, error) {
	s.mu.Lock()
	r := s.routes[version]
	if r == nil && s.spare != nil {
		r, s.spare = s.spare, nil
		r.version, s.routes[version] = version, r
		s.mu.Unlock()
		return r, s.meet(ctx, version, func(f failure) error { return f.routeMade(ctx, r) })
	}
	n := len(s.routes) + 1
	s.mu.Unlock()
	if r != nil {
		return r, nil
	}
	r, err := s.startRoute(ctx, strconv.Itoa(n))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	r.version, s.routes[version] = version, r
	s.mu.Unlock()
	return r, s.meet(ctx, version, func(f failure) error { return f.routeMade(ctx, r) })
}

// hosts is the names that lead through the route, for a container's hosts file.
func (s *Stage) hosts(r *route) map[string]string {
	all := map[string]string{}
	for _, d := range s.setup.Dependencies {
		for _, name := range aliasesOf(s.services[d.Name].ServiceConfig) {
			all[name] = r.before(d.Name).address.String()
		}
	}
	return all
}

// settle brings the proxies of a route, and the stubs behind it, to what the failures
// that are present ask for together: a dependency that is down for one is down, the
// longest delay counts, and the largest share that fails.
func (s *Stage) settle(ctx context.Context, r *route) error {
	for _, d := range s.setup.Dependencies {
		var want manner
		for _, f := range s.failuresOf(r.version) {
			switch is := f.what(); {
			case is.Dependency != d.Name:
			case is.Kind == stage.DependencyDown:
				want.down = true
			case is.Kind == stage.DependencySlow:
				want.delay = max(want.delay, is.Delay)
			case is.Kind == stage.DependencyErrors:
				want.fails = max(want.fails, is.ShareOrAll())
			}
		}
		ports := dependencyPorts(d, s.services[d.Name].ServiceConfig)
		through, err := s.fail(ctx, r, d, want.fails)
		if err != nil {
			return err
		}
		for _, port := range ports {
			want := want
			want.through = s.services[d.Name].address
			if port == strconv.Itoa(d.Port) && through.IsValid() {
				want.through = through
			}
			if err := r.proxies[d.Name+"-"+port].settle(want); err != nil {
				return fmt.Errorf("set up the Toxiproxy of %s for %s: %w", r.owner(), d.Name, err)
			}
		}
	}
	return nil
}

// fail has a share, in percent, of what comes by a route fail: by the stub, else by a
// relay before the dependency, whose address it returns.
func (s *Stage) fail(ctx context.Context, r *route, d stage.Dependency, share float64) (through netip.Addr, err error) {
	from := r.before(d.Name).address
	if stub := s.stub(d.Name); stub != nil {
		return through, stub.fail(ctx, from, share)
	}
	if share == 0 {
		return through, nil
	}
	relay, err := s.relayOf(ctx, d)
	if err != nil {
		return through, err
	}
	return relay.address, relay.fail(ctx, from, share)
}

// A manner is how a dependency is to be for a version.
type manner struct {
	down    bool
	delay   time.Duration
	fails   float64    // percent of what is asked
	through netip.Addr // where what is asked goes: the dependency, or a relay
}

// A proxy is one door of a Toxiproxy, and how slow it is.
type proxy struct {
	*toxiproxy.Proxy
	delay time.Duration
}

const slowToxic = "slow"

// settle closes or opens the door, and sets where it leads and how much later answers
// come through.
func (p *proxy) settle(want manner) error {
	if want.delay != p.delay {
		if p.delay > 0 {
			if err := p.RemoveToxic(slowToxic); err != nil {
				return err
			}
		}
		if want.delay > 0 {
			if _, err := p.AddToxic(slowToxic, "latency", "downstream", 1, toxiproxy.Attributes{"latency": want.delay.Milliseconds()}); err != nil {
				return err
			}
		}
		p.delay = want.delay
	}
	if host, port, err := net.SplitHostPort(p.Upstream); err == nil && host != want.through.String() {
		p.Upstream = net.JoinHostPort(want.through.String(), port) // connections that are open are cut
		if err := p.Save(); err != nil {
			return err
		}
	}
	switch {
	case want.down && p.Enabled:
		return p.Disable()
	case !want.down && !p.Enabled:
		return p.Enable()
	}
	return nil
}

package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"

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

// A route is the way of one version to its dependencies: a Toxiproxy that has
// the dependencies' names in that version's containers, and listens on their ports.
type route struct {
	version   string // "" until a version takes it
	address   netip.Addr
	container *testcontainers.DockerContainer
	doors     map[string]string // where this process calls it: "database-5432", "clean-database" and "api", each to host:port
	api       *toxiproxy.Client
	proxies   map[string]*proxy // "database-5432"
}

// startRoute starts a Toxiproxy with a proxy for every port of every dependency.
func (s *Stage) startRoute(ctx context.Context, name string) (*route, error) {
	address, err := s.inside.address()
	if err != nil {
		return nil, err
	}
	r := &route{address: address, proxies: map[string]*proxy{}}
	proxies, publish := s.proxies(), []string{fmt.Sprintf("%d/tcp", toxiproxyAPI)}
	for _, p := range proxies {
		_, port, _ := net.SplitHostPort(p.Listen)
		publish = append(publish, port+"/tcp")
	}
	if s.engine.Local {
		publish = nil
	}
	r.container, err = s.create(ctx, containerSpec{
		name: "toxiproxy-" + name, address: address, publish: publish, labels: map[string]string{"rehearsal.part": "toxiproxy"},
		service:     types.ServiceConfig{ContainerSpec: types.ContainerSpec{Image: toxiproxyImage}},
		environment: map[string]string{"LOG_LEVEL": "warn"},
	})
	if err != nil {
		return nil, err
	}
	s.keep(r)
	s.onExit(r.container.ID, func() {
		s.lose("the Toxiproxy of %s %s%s", r.owner(), s.exitOf(s.life, r.container.ID), s.lastLines(s.life, r.container.ID))
	})
	if err := r.container.Start(ctx); err != nil {
		return nil, err
	}
	doors, err := r.open(ctx, s.engine, proxies)
	if err != nil {
		return nil, fmt.Errorf("start a Toxiproxy: %w%s", err, s.lastLines(ctx, r.container.ID))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.doors = doors
	return r, nil
}

func (r *route) owner() string {
	if r.version == "" {
		return "no version yet"
	}
	return r.version
}

// proxies is what every Toxiproxy of the stage is to do.
func (s *Stage) proxies() []toxiproxy.Proxy {
	var all []toxiproxy.Proxy
	for i, d := range s.setup.Dependencies {
		one := s.services[d.Name]
		for _, port := range dependencyPorts(d, one.ServiceConfig) {
			upstream := net.JoinHostPort(one.address.String(), port)
			all = append(all, toxiproxy.Proxy{Name: d.Name + "-" + port, Listen: "0.0.0.0:" + port, Upstream: upstream, Enabled: true})
		}
		if !s.engine.Local {
			all = append(all, toxiproxy.Proxy{
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

// open waits for the Toxiproxy, gives it its proxies, and returns where this
// process calls it.
func (r *route) open(ctx context.Context, e *Engine, proxies []toxiproxy.Proxy) (doors map[string]string, err error) {
	if doors, err = r.findDoors(ctx, e, proxies); err != nil {
		return nil, err
	}
	r.api = toxiproxy.NewClient(doors["api"])
	ctx, cancel := context.WithTimeout(ctx, toxiproxyLimit)
	defer cancel()
	var last error
	err = clock.Poll(ctx, toxiproxyEvery, func() (bool, error) {
		if last = knock(ctx, doors["api"]); last == nil {
			_, last = r.api.Version()
		}
		return last == nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("it does not answer: %w", errors.Join(last, context.Cause(ctx)))
	}
	if _, err := r.api.Populate(proxies); err != nil {
		return nil, err
	}
	made, err := r.api.Proxies()
	for name, p := range made {
		r.proxies[name] = &proxy{Proxy: p}
	}
	return doors, err
}

// findDoors finds out where this process reaches the Toxiproxy.
func (r *route) findDoors(ctx context.Context, e *Engine, proxies []toxiproxy.Proxy) (map[string]string, error) {
	door := func(port string) (string, error) { return net.JoinHostPort(r.address.String(), port), nil }
	if !e.Local {
		info, err := r.container.Inspect(ctx)
		if err != nil {
			return nil, err
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
	doors := map[string]string{}
	var err error
	if doors["api"], err = door(strconv.Itoa(toxiproxyAPI)); err != nil {
		return nil, err
	}
	for _, p := range proxies {
		_, port, _ := net.SplitHostPort(p.Listen)
		if doors[p.Name], err = door(port); err != nil {
			return nil, err
		}
	}
	return doors, nil
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
			all[name] = r.address.String()
		}
	}
	return all
}

// settle brings the proxies of a route to what the failures that are present ask
// for together: a dependency that is down for one is down, and the longest delay
// counts.
func (s *Stage) settle(r *route) error {
	for _, d := range s.setup.Dependencies {
		down, delay := false, time.Duration(0)
		for _, f := range s.failuresOf(r.version) {
			switch is := f.what(); {
			case is.Dependency != d.Name:
			case is.Kind == stage.DependencyDown:
				down = true
			case is.Kind == stage.DependencySlow:
				delay = max(delay, is.Delay)
			}
		}
		for _, port := range dependencyPorts(d, s.services[d.Name].ServiceConfig) {
			if err := r.proxies[d.Name+"-"+port].settle(down, delay); err != nil {
				return fmt.Errorf("set up the Toxiproxy of %s for %s: %w", r.owner(), d.Name, err)
			}
		}
	}
	return nil
}

// A proxy is one door of a Toxiproxy, and how slow it is.
type proxy struct {
	*toxiproxy.Proxy
	delay time.Duration
}

const slowToxic = "slow"

// settle closes or opens the door, and sets how much later answers come through.
func (p *proxy) settle(down bool, delay time.Duration) error {
	if delay != p.delay {
		if p.delay > 0 {
			if err := p.RemoveToxic(slowToxic); err != nil {
				return err
			}
		}
		if delay > 0 {
			if _, err := p.AddToxic(slowToxic, "latency", "downstream", 1, toxiproxy.Attributes{"latency": delay.Milliseconds()}); err != nil {
				return err
			}
		}
		p.delay = delay
	}
	switch {
	case down && p.Enabled:
		return p.Disable()
	case !down && !p.Enabled:
		return p.Enable()
	}
	return nil
}

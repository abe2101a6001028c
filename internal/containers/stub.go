package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"rehearsal/internal/stage"
)

// A stub is a container (the command in stub/) that answers in the place of an API
// outside. To the stage it is one more compose service, with the API's host as a name,
// so that versions reach it as they reach every dependency: through their Toxiproxy.
type stub struct {
	stage.Dependency
	s *Stage

	mu      sync.Mutex
	orders  io.Writer // nil until it runs
	ordered int
	done    map[int]latch
	asked   map[askedKey]int64 // since the last Witness
	strange map[string]bool    // the calls by TLS that were recorded
}

// An askedKey is what makes requests one kind. Its version is "" for other services.
type askedKey struct {
	version, method, path string
	status                int
}

// askedMost is how many kinds of requests are told apart between two looks; what
// comes beyond counts as the path "".
const askedMost = 1000

const (
	stubProbeHeader = "Rehearsal-Probe"                             // stub/main.go knows it, too
	stubFails       = "this share of the requests fails on purpose" // and this
	stubAnswersFile = "/answers.json"
	stubTLSPort     = 443
	stubPatience    = 10 * time.Second // until it did as it was told, wall time
)

// relayOf is a relay to an API of the staging copy, which passes on what it is asked but
// for a share. It is started when it is first needed.
func (s *Stage) relayOf(ctx context.Context, d stage.Dependency) (*relay, error) {
	s.mu.Lock()
	r := s.relays[d.Name]
	s.mu.Unlock()
	if r != nil {
		return r, nil
	}
	if _, err := s.images.Ensure(ctx, stubImage); err != nil {
		return nil, err
	}
	r = &relay{stub: newStub(d)}
	var err error
	if r.address, err = s.inside.address(); err != nil {
		return nil, err
	}
	port := strconv.Itoa(d.Port)
	c := types.ServiceConfig{Name: d.Name}
	c.Image, c.StdinOpen = stubImage, true
	r.container, err = s.create(ctx, containerSpec{
		name: "relay-" + d.Name, address: r.address, service: c, labels: map[string]string{"rehearsal.part": "relay"},
		environment: map[string]string{"STUB_PORT": port, "STUB_RELAY": net.JoinHostPort(s.services[d.Name].address.String(), port)},
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.relays[d.Name] = r
	s.mu.Unlock()
	if err := s.followStub(ctx, r.stub, r.container.ID); err != nil {
		return nil, err
	}
	s.onExit(r.container.ID, func() {
		s.lose("the relay to %s %s%s", d.Name, s.exitOf(s.life, r.container.ID), s.lastLines(s.life, r.container.ID))
	})
	if err := r.container.Start(ctx); err != nil {
		return nil, err
	}
	return r, r.order(ctx, map[string]any{}) // which it does when it listens
}

// A relay is a stub that passes on what it is asked.
type relay struct {
	*stub
	address   netip.Addr
	container *testcontainers.DockerContainer
}

func newStub(d stage.Dependency) *stub {
	return &stub{Dependency: d, done: map[int]latch{}, asked: map[askedKey]int64{}, strange: map[string]bool{}}
}

// withStubs is the compose project with a service for every stub of the setup.
func withStubs(p *types.Project, setup *stage.Setup) (*types.Project, map[string]*stub) {
	stubs := map[string]*stub{}
	for _, d := range setup.Dependencies {
		if d.Stub != nil {
			stubs[d.Name] = newStub(d)
		}
	}
	if len(stubs) == 0 || p == nil {
		return p, stubs
	}
	with := *p
	with.Services, with.Configs = maps.Clone(p.Services), maps.Clone(p.Configs)
	if with.Services == nil {
		with.Services = types.Services{}
	}
	if with.Configs == nil {
		with.Configs = types.Configs{}
	}
	for name, one := range stubs {
		with.Services[name], with.Configs[stubConfig(name)] = one.service()
	}
	return &with, stubs
}

func stubConfig(name string) string { return "rehearsal-stub-" + name }

// service is the stub as a compose file would describe it.
func (b *stub) service() (types.ServiceConfig, types.ConfigObjConfig) {
	answers, err := json.Marshal(map[string]any{"answers": b.Stub.Answers, "default": b.Stub.Default})
	if err != nil {
		panic(fmt.Sprintf("answers of the stub %s: %v", b.Name, err)) // they came from YAML, by way of JSON
	}
	port, tlsPort := strconv.Itoa(b.Port), ""
	c := types.ServiceConfig{Name: b.Name}
	c.Image = stubImage
	c.StdinOpen = true
	if b.Port != stubTLSPort {
		tlsPort = strconv.Itoa(stubTLSPort)
		c.Expose = types.StringOrNumberList{tlsPort} // who calls it by TLS is told
	}
	file := stubAnswersFile
	c.Environment = types.MappingWithEquals{"STUB_ANSWERS": &file, "STUB_PORT": &port, "STUB_TLS_PORT": &tlsPort}
	c.Networks = map[string]*types.ServiceNetworkConfig{"default": {Aliases: b.Stub.Hosts}}
	c.Configs = []types.ServiceConfigObjConfig{{Source: stubConfig(b.Name), Target: file}}
	return c, types.ConfigObjConfig{Content: string(answers)}
}

// stub is the stub with that name, or nil.
func (s *Stage) stub(name string) *stub { return s.stubs[name] }

// followStub listens to what a stub says. It is called before the stub starts.
func (s *Stage) followStub(ctx context.Context, b *stub, id string) error {
	attached, err := s.docker.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true})
	if err != nil {
		return fmt.Errorf("follow the stub: %w", err)
	}
	b.mu.Lock()
	b.s, b.orders = s, attached.Conn
	b.mu.Unlock()
	s.background.Go(func() {
		defer attached.Close()
		stop := context.AfterFunc(s.life, attached.Close)
		defer stop()
		_, _ = stdcopy.StdCopy(&lineWriter{line: b.said}, io.Discard, attached.Reader)
	})
	return nil
}

// said takes in a line of the stub.
func (b *stub) said(line string) {
	var l struct {
		From         netip.Addr
		Method, Path string
		Status       int
		TLS          string
		Done         int
	}
	if err := json.Unmarshal([]byte(line), &l); err != nil {
		return
	}
	switch {
	case l.Done > 0:
		b.mu.Lock()
		defer b.mu.Unlock()
		if done := b.done[l.Done]; done != nil {
			close(done)
			delete(b.done, l.Done)
		}
	case l.TLS != "":
		b.calledByTLS(l.From, l.TLS)
	default:
		version, _ := b.s.whoAsks(l.From)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.count(askedKey{version, l.Method, l.Path, l.Status})
	}
}

func (b *stub) count(k askedKey) {
	if _, known := b.asked[k]; !known && len(b.asked) >= askedMost {
		k.path = ""
	}
	b.asked[k]++
}

// calledByTLS records, the first time, that somebody speaks TLS to the stub.
func (b *stub) calledByTLS(from netip.Addr, host string) {
	if !slices.Contains(b.Stub.Hosts, host) {
		host = b.Stub.Hosts[0]
	}
	version, by := b.s.whoAsks(from)
	key := fmt.Sprint(version, " ", by, " ", host)
	b.mu.Lock()
	known := b.strange[key]
	b.strange[key] = true
	b.mu.Unlock()
	if !known {
		b.s.history.Record(stage.Event{Kind: stage.CalledOut, Version: version, Call: &stage.Call{By: by, Host: host, Port: stubTLSPort, Protocol: "tls"}})
	}
}

// whoAsks is the version whose Toxiproxy has the address, or the compose service.
func (s *Stage) whoAsks(address netip.Addr) (version, service string) {
	s.mu.Lock()
	for name, r := range s.routes {
		if slices.ContainsFunc(r.guards, func(t *guard) bool { return t.address == address }) {
			s.mu.Unlock()
			return name, s.setup.Service
		}
	}
	s.mu.Unlock()
	return s.whoHas(address)
}

// fail has a share, in percent, of what comes from an address answered with 500. It
// returns when that is so.
func (b *stub) fail(ctx context.Context, from netip.Addr, share float64) error {
	return b.order(ctx, map[string]any{"from": from, "fails": share})
}

// order tells the stub something and waits until it has done it. What it had to say
// before has come in then.
func (b *stub) order(ctx context.Context, what map[string]any) error {
	b.mu.Lock()
	if b.orders == nil {
		b.mu.Unlock()
		return nil // it never ran
	}
	b.ordered++
	id, done := b.ordered, newLatch()
	b.done[id] = done
	what["id"] = id
	line, err := json.Marshal(what)
	if err == nil {
		_, err = b.orders.Write(append(line, '\n'))
	}
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("tell the stub %s: %w", b.Name, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stubPatience, fmt.Errorf("the stub %s did not do as it was told within %s", b.Name, stubPatience))
	defer cancel()
	return done.wait(ctx)
}

var _ stage.Witness = (*Stage)(nil)

// Witness records what the stubs were asked since the last time.
func (s *Stage) Witness(ctx context.Context) (err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	if err := s.askedLast(ctx); err != nil {
		return err
	}
	s.recordAsked()
	return nil
}

// askedLast waits until what the stubs have to say has come in.
func (s *Stage) askedLast(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(s.stubs)) {
		if err := s.stubs[name].order(ctx, map[string]any{}); err != nil {
			return err
		}
	}
	return nil
}

// recordAsked records what has come in of what the stubs were asked.
func (s *Stage) recordAsked() {
	for _, name := range slices.Sorted(maps.Keys(s.stubs)) {
		b := s.stubs[name]
		b.mu.Lock()
		asked := b.asked
		b.asked = map[askedKey]int64{}
		b.mu.Unlock()
		keys := slices.SortedFunc(maps.Keys(asked), func(a, b askedKey) int {
			if less := fmt.Sprint(a) < fmt.Sprint(b); less {
				return -1
			}
			return 1
		})
		for _, k := range keys {
			s.history.Record(stage.Event{Kind: stage.StubAsked, Version: k.version,
				Asked: &stage.Asked{Stub: name, Method: k.method, Path: k.path, Status: k.status, Times: asked[k]}})
		}
	}
}

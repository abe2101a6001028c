package containers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

func setupOf(service string) *Options {
	return &Options{Setup: stage.Setup{Service: service}}
}

func TestASetupThatDoesNotFitItsComposeFileIsRefused(t *testing.T) {
	address := func(s string) types.MappingWithEquals { return types.MappingWithEquals{"DATABASE_URL": &s} }
	project := func(env types.MappingWithEquals) *types.Project {
		shop := types.ServiceConfig{Name: "shop"}
		shop.Environment = env
		return &types.Project{Services: types.Services{"shop": shop, "database": {Name: "database"}}}
	}
	database := stage.Dependency{Name: "database", Port: 5432, Kind: "postgres", URLFrom: "DATABASE_URL"}
	for want, o := range map[string]Options{
		`no service "till": it has database, shop`:                  {Compose: project(nil), Setup: stage.Setup{Service: "till"}},
		`no service "cache", which shop depends on`:                 {Compose: project(nil), Setup: stage.Setup{Service: "shop", Dependencies: []stage.Dependency{{Name: "cache"}}}},
		`DATABASE_URL, which should hold the address of database`:   {Compose: project(nil), Setup: stage.Setup{Service: "shop", Dependencies: []stage.Dependency{database}}},
		`DATABASE_URL names port 6543 of database`:                  {Compose: project(address("postgres://a:b@database:6543/x")), Setup: stage.Setup{Service: "shop", Dependencies: []stage.Dependency{database}}},
		`DATABASE_URL should hold the address of database, and nam`: {Compose: project(address("postgres://a:b@prod.example.com/x")), Setup: stage.Setup{Service: "shop", Dependencies: []stage.Dependency{database}}},
	} {
		s := &Stage{project: o.Compose, setup: &o.Setup}
		o.Setup.Health.Port = 8080
		require.ErrorContains(t, s.check(), want)
	}
	good := Options{Compose: project(address("postgres://a:b@database/x")), Setup: stage.Setup{Service: "shop", Dependencies: []stage.Dependency{database}}}
	require.ErrorContains(t, (&Stage{project: good.Compose, setup: &good.Setup}).check(), "the health check's port is 0")
	good.Setup.Health.Port = 8080
	require.NoError(t, (&Stage{project: good.Compose, setup: &good.Setup}).check())
}

func TestASubnetIsSharedWithTheEngine(t *testing.T) {
	for range 100 {
		subnet := randomSubnet()
		require.True(t, subnetPool.Contains(subnet.Addr()))
		require.Equal(t, subnet.Masked(), subnet)
		require.Equal(t, subnetBits, subnet.Bits())
	}
	p := netip.MustParsePrefix("10.211.7.128/25")
	require.Equal(t, netip.MustParsePrefix("10.211.7.192/27"), engineRange(p))
	require.Equal(t, netip.MustParsePrefix("10.211.7.224/27"), (&stageNetwork{subnet: p}).names())
	require.True(t, overlaps(p, []netip.Prefix{{}, netip.MustParsePrefix("10.0.0.0/8")}))
	require.False(t, overlaps(p, []netip.Prefix{netip.MustParsePrefix("10.211.7.0/25")}))

	n := &stageNetwork{subnet: p, next: p.Addr().Next().Next()}
	seen := map[netip.Addr]bool{}
	for range 62 {
		a, err := n.address()
		require.NoError(t, err)
		require.False(t, seen[a] || upperHalf(p).Contains(a))
		seen[a] = true
	}
	_, err := n.address()
	require.ErrorContains(t, err, "room for")
	n.giveBack(netip.MustParseAddr("10.211.7.140"))
	a, err := n.address()
	require.NoError(t, err)
	require.Equal(t, "10.211.7.140", a.String())
}

func TestAReplicaThatKeepsExitingIsStartedAgainLaterAndLater(t *testing.T) {
	require.Equal(t, 100*time.Millisecond, restartPause(0, 0), "as Docker does")
	require.Equal(t, 400*time.Millisecond, restartPause(0, 2))
	require.Equal(t, time.Minute, restartPause(0, 60))
	require.Equal(t, 4*time.Second, restartPause(time.Second, 2))
	require.Equal(t, 5*time.Minute, restartPause(5*time.Minute, 3), "a model that is slower than a minute is kept")
}

func TestHowAContainerExited(t *testing.T) {
	require.Equal(t, "exited with 1", exit{code: 1}.String())
	require.Equal(t, "exited with 137 (killed)", exit{code: 137, limit: 1 << 20}.String())
	require.False(t, exit{code: 137, limit: 1 << 20}.outOfMemory())
	require.True(t, exit{code: 137, memory: true}.outOfMemory())
	require.True(t, exit{code: 137, silent: true, limit: 64 << 20}.outOfMemory())
	require.False(t, exit{code: 137, silent: true}.outOfMemory(), "without a limit the kernel has no reason")
	require.Contains(t, exit{code: 137, memory: true, limit: 64 << 20}.String(), "at its memory limit of 64MiB")
	require.Equal(t, `exited with 127: exec: "/shop": not found`, exit{code: 127, err: `exec: "/shop": not found`}.String())
}

func TestSecretsAreTakenOut(t *testing.T) {
	value := func(s string) *string { return &s }
	shop := types.ServiceConfig{Name: "shop"}
	shop.Environment = types.MappingWithEquals{
		"DATABASE_URL":   value("postgres://shop:shop@database/shop"),
		"CACHE_URL":      value("redis://:verylongsecret@cache"),
		"DSN":            value("shop:no/url:secret@tcp(store:3306)/n"),
		"API_TOKEN":      value("tok-0123456789"),
		"GREETING":       value("good morning everyone"),
		"ADMIN_PASSWORD": value("short"),
	}
	r := newRedactor(&types.Project{Services: types.Services{"shop": shop}},
		&stage.Setup{
			Service: "shop", Dependencies: []stage.Dependency{{Name: "store", Kind: stage.MySQL, Port: 3306, URLFrom: "DSN"}},
			Versions: map[string]stage.Version{"v2": {Environment: map[string]string{"MAIL_SECRET": "s3cr3t-of-v2", "DSN": "shop:secret-of-v2@tcp(store:3306)/n"}}},
		})
	for text, want := range map[string]string{
		"the shop is open": "the shop is open",
		"connect postgres://shop:shop@database/shop: no": "connect postgres://[redacted]@database/shop: no",
		"connect postgres://other:pw9@elsewhere/x":       "connect postgres://other:[redacted]@elsewhere/x",
		"cache said verylongsecret":                      "cache said [redacted]",
		`{"token":"abc","n":1}`:                          `{"token":"[redacted]","n":1}`,
		"password=short user=x":                          "password=[redacted] user=x",
		"using tok-0123456789 now":                       "using [redacted] now",
		"Access denied (no/url:secret, secret-of-v2)":    "Access denied ([redacted], [redacted])",
		"mail s3cr3t-of-v2":                              "mail [redacted]",
		"good morning everyone":                          "good morning everyone",
		`password authentication failed for user "shop"`: `password authentication failed for user "shop"`,
	} {
		assert.Equal(t, want, r.redact(text))
	}
}

func TestLinesThatReportErrors(t *testing.T) {
	for line, is := range map[string]bool{
		`{"time":"…","level":"ERROR","msg":"request failed"}`: true,
		`{"level": "error", "msg": "x"}`:                      true,
		`{"severity":"CRITICAL"}`:                             true,
		`{"level":"INFO","msg":"no ERROR happened"}`:          false,
		`2026-11-23 02:00:00 ERROR something broke`:           true,
		`ts=1 level=error msg=x`:                              true,
		`panic: runtime error: index out of range`:            true,
		`Traceback (most recent call last):`:                  true,
		`0 errors found`:                                      false,
		`the shop is open`:                                    false,
	} {
		assert.Equal(t, is, reportsError(line), line)
	}
}

func TestALogIsCutIntoLines(t *testing.T) {
	var lines []string
	w := &lineWriter{line: func(s string) { lines = append(lines, s) }}
	for _, part := range []string{"one\ntw", "o\r\n\nthr", "ee", "\xff\n", strings.Repeat("x", 2*logLongest) + "\n", "end"} {
		n, err := w.Write([]byte(part))
		require.NoError(t, err)
		require.Len(t, part, n)
	}
	w.flush()
	require.Len(t, lines, 5)
	require.Equal(t, []string{"one", "two", "three�"}, lines[:3])
	require.Len(t, lines[3], logLongest)
	require.Equal(t, "end", lines[4])
}

func TestWritesAreCompared(t *testing.T) {
	w := compareWrites([]string{"a", "b", "c", "d"}, map[string]int{"a": 1, "b": 2, "x": 1, "y": 3})
	require.Equal(t, stage.Writes{Acknowledged: 4, Lost: 2, Doubled: 2, Keys: []string{"b", "c", "d", "y"}}, w)
	require.Equal(t, stage.Writes{}, compareWrites(nil, map[string]int{"x": 1}))
}

func TestARequestIsFilledIn(t *testing.T) {
	r := fillIn(stage.Request{Path: "/orders/{acknowledged}", Body: `{"k":"{key}"}`, Headers: map[string]string{"K": "{key}"}}, "k1", "a1")
	require.Equal(t, stage.Request{Method: "GET", Path: "/orders/a1", Body: `{"k":"k1"}`, Headers: map[string]string{"K": "k1"}}, r)
}

func TestPortsOfADependency(t *testing.T) {
	c := types.ServiceConfig{}
	c.Ports = []types.ServicePortConfig{{Target: 15672}, {Target: 53, Protocol: "udp"}}
	c.Expose = types.StringOrNumberList{"5672", "9000-9001"}
	require.Equal(t, []string{"15672", "5672"}, dependencyPorts(stage.Dependency{Port: 5672}, c))
}

func TestEveryKindOfFailureIsEitherBroughtAboutOrSaysWhyNot(t *testing.T) {
	s := &Stage{engine: &Engine{Arch: "amd64"}, setup: &stage.Setup{Service: "shop", MemoryLimit: 1 << 20}, project: &types.Project{}}
	for _, kind := range stage.FailureKinds() {
		f, err := s.newFailure(stage.Failure{Kind: kind})
		if kind == stage.LostWrites || kind == stage.MemoryLeak || kind == stage.WrongAnswers {
			require.ErrorIs(t, err, errors.ErrUnsupported, kind)
			continue
		}
		require.NoError(t, err, kind)
		require.Equal(t, kind, f.what().Kind)
	}
	_, err := s.newFailure(stage.Failure{Kind: stage.Errors, Request: "order"})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	s.setup.MemoryLimit = 0
	_, err = s.newFailure(stage.Failure{Kind: stage.OutOfMemory})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "deploy.resources.limits.memory")
}

func TestAGaugeReadsWhatTheEngineCounts(t *testing.T) {
	var g gauge
	now := time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC)
	var s container.StatsResponse
	s.Read = now
	g.set(s, 1)
	require.False(t, g.ok, "the first count has nothing to compare with")
	s.PreRead = now.Add(-time.Second)
	s.CPUStats.CPUUsage.TotalUsage = 3e8
	s.PreCPUStats.CPUUsage.TotalUsage = 1e8
	s.MemoryStats.Limit, s.MemoryStats.Usage = 1000, 600
	s.MemoryStats.Stats = map[string]uint64{"total_inactive_file": 100}
	g.set(s, 0.5)
	require.True(t, g.ok)
	require.InDelta(t, 40, g.cpu, 0.001, "a fifth of a second of half a CPU")
	require.InDelta(t, 50, g.memory, 0.001)
}

func TestALatchWaitsForItsEvent(t *testing.T) {
	l := newLatch()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.DeadlineExceeded)
	require.ErrorIs(t, l.wait(ctx), context.DeadlineExceeded)
	close(l)
	require.NoError(t, l.wait(t.Context()))
}

func TestDependenciesOnOnePortHaveAToxiproxyEach(t *testing.T) {
	s := &Stage{engine: &Engine{Local: true}, services: map[string]*service{}, setup: &stage.Setup{}}
	require.Len(t, s.planGuards(), 1, "there is always one")
	for name, port := range map[string]int{"a": 80, "b": 80, "c": 5432, "d": 80} {
		s.services[name] = &service{}
		s.setup.Dependencies = append(s.setup.Dependencies, stage.Dependency{Name: name, Port: port})
	}
	slices.SortFunc(s.setup.Dependencies, func(a, b stage.Dependency) int { return strings.Compare(a.Name, b.Name) })
	var got [][]string
	r := &route{guards: s.planGuards()}
	for _, g := range r.guards {
		got = append(got, g.dependencies)
	}
	require.Equal(t, [][]string{{"a", "c"}, {"b"}, {"d"}}, got)
	require.Same(t, r.guards[1], r.before("b"))
	require.Nil(t, r.before("x"))
}

func TestWhatAStubIsAskedIsBounded(t *testing.T) {
	d := stage.Dependency{Name: "payments", Kind: stage.HTTP, Port: 80, Stub: &stage.Stub{Hosts: []string{"api.example"}, Default: stage.StubAnswer{Status: 404}}}
	o := Options{Setup: stage.Setup{Service: "shop", Dependencies: []stage.Dependency{d}}, Compose: &types.Project{Services: types.Services{"shop": {Name: "shop"}}}}
	s := newStage(&Engine{}, o)
	require.Contains(t, s.project.Services, "payments")
	require.NotContains(t, o.Compose.Services, "payments", "the project is the caller's")
	b := s.stub("payments")
	b.s = s
	for i := range askedMost + 100 {
		b.said(fmt.Sprintf(`{"from":"10.0.0.1","method":"GET","path":"/%d","status":200}`, i))
	}
	b.said("nonsense")
	b.said(`{"from":"10.0.0.1","tls":"other.example"}`)
	b.said(`{"from":"10.0.0.1","tls":"api.example"}`)
	s.recordAsked()
	s.recordAsked()
	var others, events int64
	for e := range s.History().All(stage.StubAsked) {
		events++
		if e.Asked.Path == "" {
			others += e.Asked.Times
		}
	}
	require.EqualValues(t, 100, others)
	require.EqualValues(t, askedMost+1, events)
	for e := range s.History().All(stage.CalledOut) {
		require.Equal(t, stage.Call{By: "10.0.0.1", Host: "api.example", Port: 443, Protocol: "tls"}, *e.Call)
	}
}

package project_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/containers"
	"rehearsal/internal/parity"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

const fixtures = "../../fixtures"

func load(t *testing.T) *project.Project {
	t.Helper()
	p, err := project.Load(t.Context(), filepath.Join(fixtures, "rehearsal.yaml"))
	require.NoError(t, err)
	return p
}

func TestTheShopIsInOrder(t *testing.T) {
	p := load(t)
	assert.Equal(t, filepath.Join(fixtures, "rehearsal.yaml"), p.File)
	assert.Equal(t, "shop", p.Setup.Service)
	assert.Equal(t, filepath.Join(fixtures, "../features"), p.Features)
	assert.ElementsMatch(t, []string{"shop", "database", "payments"}, p.Compose.ServiceNames())
	assert.Len(t, p.Plans, len(release.Strategies())+1, "a plan for each strategy, and the team's own")
	for name, plan := range p.Plans {
		assert.Equal(t, name, plan.Name)
	}
	assert.Equal(t, p.Plan.Strategy, p.Plans[p.Plan.Name].Strategy)
	for name, v := range p.Setup.Versions {
		assert.Equal(t, name, v.Name)
		assert.True(t, slices.ContainsFunc(p.Recipes, func(r containers.ImageRecipe) bool { return r.Matches(v.Image) }), "%s can be built", v.Image)
		for _, f := range v.Simulated {
			assert.Equal(t, name, f.Version, "what a version does wrong is its own")
			assert.NoError(t, f.Validate())
		}
	}
	var names []string
	for _, a := range p.Setup.Alarms {
		names = append(names, a.AlarmName)
		assert.Empty(t, p.Fed(a), "the staging copy feeds every alarm of the shop")
	}
	assert.Subset(t, names, p.Plan.Alarms)
	assert.Subset(t, p.Images(), []string{"shop:v1", "shop:v2", "postgres:17", "payments:v1"})
	assert.NotZero(t, p.Tolerance)
}

func TestEveryFieldArrives(t *testing.T) {
	p, err := copied(t).load(t.Context())
	require.NoError(t, err)
	s := p.Setup
	assert.Equal(t, "shop", s.Service)
	assert.Equal(t, 2, s.Replicas, "of the compose file")
	assert.EqualValues(t, 128<<20, s.MemoryLimit, "of the compose file")

	assert.Equal(t, stage.Version{Name: "v1", Image: "shop:v1"}, s.Versions["v1"])
	assert.Equal(t, stage.Version{Name: "v2", Image: "shop:v2", Replicas: 3, Environment: map[string]string{"FEATURE": "prices", "LIMIT": "5"}}, s.Versions["v2"])
	for name, want := range map[string][]stage.Failure{
		"v2-slow-query":        {{Kind: stage.Latency, Request: "browse", Delay: 900 * time.Millisecond}},
		"v2-leaks-memory":      {{Kind: stage.MemoryLeak, PerRequest: 4369}},
		"v2-hangs-on-payments": {{Kind: stage.Hang, Dependency: "payments"}},
		"v2-forgets-prices": {{Kind: stage.WrongAnswers, Request: "browse", Share: 12.5}, {Kind: stage.WrongVariable, Variable: "PORT", Value: "none"},
			{Kind: stage.CrashLoop, After: 3 * time.Minute}},
	} {
		for i := range want {
			want[i].Version = name
		}
		assert.Equal(t, want, s.Versions[name].Simulated)
	}
	assert.Len(t, s.Versions, 10)
	assert.Len(t, p.Recipes, 13, "images, and the builds of the compose file")
	assert.Contains(t, p.Images(), "shop:v2-leaks-memory")
	assert.Contains(t, p.Images(), "postgres:17")

	assert.Equal(t, stage.Health{
		Path: "/ready", Port: 8080, Interval: 10 * time.Second, Healthy: 3, Unhealthy: 2, Timeout: time.Second, Deadline: time.Minute, Drain: 10 * time.Second,
	}, s.Health)
	assert.Equal(t, []stage.Dependency{
		{Name: "database", Kind: "postgres", Port: 5432, URLFrom: "DATABASE_URL", Readiness: true},
		{Name: "payments", Kind: "http", Port: 8080, URLFrom: "PAYMENTS_URL", Path: "/health", Requests: []string{"order"}},
	}, s.Dependencies)

	post := func(body string) stage.Request {
		return stage.Request{Name: "order", Method: "POST", Path: "/orders", Body: body, Headers: map[string]string{"Content-Type": "application/json", "Idempotency-Key": "{key}"}}
	}
	order, pay := post(`{"product": 1, "quantity": 2}`), post(`{"product": 1, "quantity": 1}`)
	order.Weight, order.Write, pay.Expect = 20, true, 201
	assert.Equal(t, stage.Load{
		Rate: 200, Timeout: 4 * time.Second, Stored: "SELECT idempotency_key FROM orders", StoredIn: "database",
		Requests: []stage.Request{
			{Name: "browse", Weight: 50, Method: "GET", Path: "/products"},
			order,
			{Name: "status", Weight: 30, Method: "GET", Path: "/orders/{acknowledged}", Expect: 200},
		},
	}, s.Traffic)
	assert.Equal(t, []stage.SmokeRequest{
		{Request: stage.Request{Name: "browse", Method: "GET", Path: "/products", Expect: 200}, Contains: "price", Within: 500 * time.Millisecond},
		{Request: pay, Within: time.Second},
	}, s.Smoke)

	zero := 0.0
	assert.Equal(t, stage.Monitoring{
		LoadBalancer: "app/shop/50dc6c495c0c9188",
		TargetGroups: []string{"targetgroup/shop-a/73e2d6bc24d8a067", "targetgroup/shop-b/0d1c2f3a4b5e6978"},
		Cluster:      "production", Service: "shop", LogGroup: "/ecs/shop",
		Filters: []stage.MetricFilter{{Name: "shop-errors", LogGroup: "/ecs/shop", Pattern: `{ $.level = "ERROR" }`, Namespace: "Shop", Metric: "ErrorCount", Value: "1", Default: &zero}},
	}, s.Monitoring)
	assert.Equal(t, stage.Model{
		Start: time.Second, Median: 3 * time.Millisecond, P99: 20 * time.Millisecond, RestartDelay: time.Second, Memory: 24 << 20,
		ClientTimeout: 2 * time.Second, ShiftTime: 10 * time.Millisecond, DrainTime: time.Second, ErrorLogs: 1,
	}, s.Model)
	assert.Equal(t, check.Tolerance{Detect: 90 * time.Second, Restore: 2 * time.Minute, Failed: 3}, p.Tolerance)

	require.NotNil(t, p.Production)
	assert.Equal(t, parity.Fact{Value: "128 MiB"}, p.Production.Services["shop"].Facts["memory"])
	assert.Equal(t, parity.Fact{Value: "/ready"}, p.Production.Services["shop"].Facts["balancer.path"])
	assert.Equal(t, parity.Fact{Value: "17.4"}, p.Production.Services["database"].Facts["version"])
	assert.Equal(t, p.Setup.Alarms, p.Production.Alarms.Alarms)
	assert.Empty(t, p.Production.Notes, "all is compared")
	assert.Len(t, p.Waivers, 3)
	assert.Equal(t, "shop cpu", p.Waivers[0].What)
}

func TestFactsForTheLintOfAPlan(t *testing.T) {
	p := load(t)
	now := time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC)
	f := p.Facts(now)
	assert.Equal(t, now, f.Now)
	assert.Equal(t, p.Setup.Alarms, f.Alarms)
	assert.InDelta(t, p.Setup.Traffic.Rate, f.Rate, 0)
	assert.Equal(t, p.Setup.Replicas, f.Replicas)
	assert.Equal(t, []string{"database", "payments"}, f.Dependencies)
	assert.Equal(t, len(p.Setup.Smoke), *f.Smoke)
	assert.Empty(t, f.Fed(p.Setup.Alarms[0]))
	for _, l := range p.Plan.Lint(f) {
		assert.NotEqual(t, release.Error, l.Severity, "%v", l)
	}
}

func TestCompositeAlarmsArrive(t *testing.T) {
	c := copied(t)
	data, err := os.ReadFile(filepath.Join(fixtures, "alarms.json"))
	require.NoError(t, err)
	change := func(rule string) {
		c.write("alarms.json", strings.Replace(string(data), `"CompositeAlarms": []`, `"CompositeAlarms": [{"AlarmName": "shop-is-ill", "AlarmRule": "`+rule+`"}]`, 1))
	}
	change("ALARM(shop-5xx-rate) OR ALARM(shop-p99-latency)")
	p, err := c.load(t.Context())
	require.NoError(t, err)
	require.Len(t, p.Setup.Composites, 1)
	assert.Equal(t, "shop-is-ill", p.Setup.Composites[0].AlarmName)
	assert.Contains(t, p.Setup.AlarmNames(), "shop-is-ill")
	f := p.Facts(time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC))
	p.Plan.Alarms = []string{"shop-is-ill"}
	p.Plan.Checks.Before = nil // the rehearsal.yaml of these tests says nothing of migrations
	for _, l := range p.Plan.Lint(f) {
		assert.NotEqual(t, release.Error, l.Severity, "%v", l)
	}
	change("ALARM(shop-5xx)")
	_, err = c.load(t.Context())
	assert.ErrorContains(t, err, `alarms.json:267: alarm "shop-is-ill": AlarmRule: there is no alarm "shop-5xx" in the file`)
}

func TestWhatIsLeftOutHasADefault(t *testing.T) {
	c := copied(t)
	c.write("rehearsal.yaml", `
service: shop
alarms: alarms.json
plan: release.yaml
versions: {v1: {image: "shop:v1"}}
health: {path: /ready, port: 8080}
traffic: {rate: 1, requests: [{name: browse, weight: 1, path: /products}]}
`)
	p, err := c.load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, stage.Health{
		Path: "/ready", Port: 8080, Interval: 30 * time.Second, Healthy: 5, Unhealthy: 2, Timeout: 5 * time.Second, Deadline: time.Minute, Drain: 30 * time.Second,
	}, p.Setup.Health)
	assert.Equal(t, 5*time.Second, p.Setup.Traffic.Timeout)
	assert.Equal(t, "GET", p.Setup.Traffic.Requests[0].Method)
	assert.Contains(t, p.Compose.ServiceNames(), "shop", "compose.yaml beside it")
	assert.Equal(t, map[string]*release.Plan{"shop": p.Plan}, p.Plans)
	assert.Empty(t, p.Features)
	assert.Zero(t, p.Tolerance)
	assert.Zero(t, p.Setup.Monitoring)
	assert.Nil(t, p.Production)
	assert.Nil(t, p.Waivers)
}

func TestAVersionMayBeBuilt(t *testing.T) {
	c := copied(t)
	require.NoError(t, os.Mkdir(filepath.Join(c.dir, "next"), 0o755))
	c.change("rehearsal.yaml", `  v1: {image: "shop:v1"}`, `  v1: {build: next}`)
	c.change("rehearsal.yaml", `  v2: {image: "shop:v2", `, `  v2: {image: "registry.example.com/shop:2", build: {args: {VERSION: two}, target: run}, `)
	p, err := c.load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, p.Compose.Name+"-shop:v1", p.Setup.Versions["v1"].Image)
	assert.Equal(t, "registry.example.com/shop:2", p.Setup.Versions["v2"].Image)
	for name, own := range map[string]bool{"v1": true, "v2": false} {
		i := slices.IndexFunc(p.Recipes, func(r containers.ImageRecipe) bool { return r.Matches(p.Setup.Versions[name].Image) })
		require.GreaterOrEqual(t, i, 0, name)
		assert.Equal(t, own, p.Recipes[i].Own(), "%s: a registry is asked for an image that has a name", name)
	}
}

func TestSeveralComposeFilesAndProfiles(t *testing.T) {
	c := copied(t)
	c.write("more.yaml", "services:\n  shop: {deploy: {replicas: 7}}\n  search: {image: search, profiles: [extra]}\n  mail: {image: mail, profiles: [other]}\n")
	c.change("rehearsal.yaml", "compose: compose.yaml", "compose: [compose.yaml, more.yaml]\nprofiles: [extra] #")
	p, err := c.load(t.Context())
	require.NoError(t, err)
	assert.Contains(t, p.Compose.ServiceNames(), "search")
	assert.NotContains(t, p.Compose.ServiceNames(), "mail")
	assert.Equal(t, 7, p.Setup.Replicas)

	c.change("rehearsal.yaml", "profiles: [extra]", "profiles: [extra, ohter]")
	assert.Equal(t, []string{`rehearsal.yaml:5: profiles: no service of the compose file has the profile "ohter": there are ["extra" "other"]`}, c.problems(t.Context()))
	c.change("rehearsal.yaml", "profiles: [extra, ohter]", "profiles: [extra]")
	c.change("rehearsal.yaml", "compose: [compose.yaml, more.yaml]", "compose: [compose.yaml, most.yaml]")
	require.Len(t, c.problems(t.Context()), 1)
	assert.Contains(t, c.problems(t.Context())[0], "compose: there is no file most.yaml")
}

func TestReplicasMayBeSaidByScale(t *testing.T) {
	c := copied(t)
	c.write("more.yaml", "services:\n  shop: {scale: 5, deploy: {replicas: 5}}\n")
	c.change("rehearsal.yaml", "compose: compose.yaml", "compose: [compose.yaml, more.yaml] #")
	p, err := c.load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 5, p.Setup.Replicas)
	c.write("more.yaml", "services:\n  shop: {scale: 0, deploy: {replicas: 0}}\n")
	assert.Equal(t, []string{`rehearsal.yaml:5: service: "shop" has no replicas in the compose file: want at least 1`}, c.problems(t.Context()))
	c.write("more.yaml", "services:\n  shop: {profiles: [late]}\n")
	assert.Contains(t, strings.Join(c.problems(t.Context()), "\n"), `rehearsal.yaml:5: service: "shop" has profiles: name one of ["late"], profiles: [late]`)
}

func TestAFileMayBeNamedByItsWholePath(t *testing.T) {
	c := copied(t)
	elsewhere := filepath.Join(t.TempDir(), "alarms.json")
	require.NoError(t, os.Rename(filepath.Join(c.dir, "alarms.json"), elsewhere))
	c.change("rehearsal.yaml", "alarms: alarms.json", "alarms: "+elsewhere)
	p, err := c.load(t.Context())
	require.NoError(t, err)
	assert.NotEmpty(t, p.Setup.Alarms)
}

// spoilt is a copy of the shop's files, with a rehearsal.yaml in which every key is
// used, that a test may spoil.
type spoilt struct {
	t   *testing.T
	dir string
}

func copied(t *testing.T) *spoilt {
	t.Helper()
	root := t.TempDir()
	c := &spoilt{t, filepath.Join(root, "fixtures")}
	require.NoError(t, os.CopyFS(c.dir, os.DirFS(fixtures)))
	data, err := os.ReadFile("testdata/rehearsal.yaml")
	require.NoError(t, err)
	c.write("rehearsal.yaml", string(data))
	for name, from := range map[string]string{
		"production-database.json": "testdata/production-database.json", "production-groups.json": "testdata/production-groups.json", "production-alarms.json": fixtures + "/alarms.json",
	} {
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		c.write(name, string(data))
	}
	require.NoError(t, os.Mkdir(filepath.Join(root, "features"), 0o755))
	return c
}

func (c *spoilt) write(file, text string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(filepath.Join(c.dir, file), []byte(text), 0o644))
}

// change replaces what stands once in the file, and returns the line of it.
func (c *spoilt) change(file, old, to string) (line int) {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, file))
	require.NoError(c.t, err)
	before, after, found := strings.Cut(string(data), old)
	require.True(c.t, found, "%s has no %q", file, old)
	require.NotContains(c.t, after, old, "%s has it twice", file)
	c.write(file, before+to+after)
	return 1 + strings.Count(before, "\n")
}

// line is the first one in which text stands.
func (c *spoilt) line(file, text string) int {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, file))
	require.NoError(c.t, err)
	before, _, found := strings.Cut(string(data), text)
	require.True(c.t, found, "%s has no %q", file, text)
	return 1 + strings.Count(before, "\n")
}

func (c *spoilt) load(ctx context.Context) (*project.Project, error) {
	return project.Load(ctx, filepath.Join(c.dir, "rehearsal.yaml"))
}

// problems is what Load says, line by line, without the folder.
func (c *spoilt) problems(ctx context.Context) []string {
	c.t.Helper()
	p, err := c.load(ctx)
	require.Error(c.t, err)
	require.Nil(c.t, p)
	return strings.Split(strings.ReplaceAll(err.Error(), c.dir+string(filepath.Separator), ""), "\n")
}

func TestAMistakeIsToldWithItsLineAndWhatWouldBeRight(t *testing.T) {
	for _, c := range []struct {
		name    string
		old, to string
		where   string // what stands in the line of the mistake; "" is where old stood
		want    string // after file and line
	}{
		{"unknown key", "features: ../features", "feature: ../features", "",
			`unknown key "feature": here may be compose, profiles, service, alarms, plan, plans, features, phrases, versions, images, health, dependencies, stubs, traffic, smoke, migrations, monitoring, simulation, tolerance, objective, zones, production, waivers, pipeline`},
		{"unknown key inside", "  interval: 10s", "  intervall: 10s", "",
			`unknown key "intervall": here may be path, port, interval, healthy, unhealthy, timeout, deadline, drain`},
		{"unknown key of a list", "method: POST\n      path: /orders", "metod: POST\n      path: /orders", "",
			`unknown key "metod": here may be name, weight, method, path, headers, body, write, expect, within, contains, json, schema`},
		{"a key twice", "service: shop  ", "service: shop\nservice: \"shop\"", `service: "shop"`, `mapping key "service" already defined at line 5`},
		{"a word for a number", "rate: 200 ", "rate: many ", "", `want a whole number, not "many"`},
		{"a part of a number", "rate: 200 ", "rate: 200.5 ", "", `want a whole number, not "200.5"`},
		{"a list for a number", "rate: 200 ", "rate: [200] ", "", `want a whole number, not a list`},
		{"text for a list", "requests: [order]", "requests: order", "", `want a list, such as [a, b], not "order"`},
		{"a list for text", "service: shop  ", "service: [shop]", "", `want text, not a list`},
		{"a list for a mapping", `  v1: {image: "shop:v1"}`, `  v1: ["shop:v1"]`, "", `want a mapping of image, build, environment, replicas, migration, capacity, simulated, not a list`},
		{"text for a mapping", "headers: {Content-Type: application/json, Idempotency-Key: \"{key}\"}\n      body: '{\"product\": 1, \"quantity\": 2}'", "headers: none", "",
			`want a mapping, such as {key: value}, not "none"`},
		{"no yes or no", "readiness: true", "readiness: sometimes", "", `want true or false, not "sometimes"`},
		{"negative duration", "  interval: 10s", "  interval: -10s", "", `"-10s": a duration must be above 0, such as 90s or 5m`},
		{"no duration", "  drain: 10s", "  drain: 0s", "", `"0s": a duration must be above 0, such as 90s or 5m`},
		{"duration without a unit", "  interval: 10s", "  interval: 10", "", `"10" is not a duration: write it as 90s, 5m or 1h30m`},
		{"a list for a duration", "  interval: 10s", "  interval: [10s]", "", `a list is not a duration: write it as 90s, 5m or 1h30m`},
		{"share above 100 %", "  failed: 3% ", "  failed: 200% ", "", `"200%" is not a percentage above 0% and up to 100%`},
		{"share of nothing", "  failed: 3% ", "  failed: 0% ", "", `"0%" is not a percentage above 0% and up to 100%`},
		{"size that is none", "  memory: 24MiB", "  memory: a lot", "", `"a lot" is not a size: write it as 64KiB or 128MiB`},
		{"no YAML", "service: shop  ", "service: [shop", "", `this is not YAML: did not find expected ',' or ']'`},
		{"a tab", "  path: /ready", "\tpath: /ready", "", `this is not YAML: found character that cannot start any token (a tab? YAML is indented with spaces)`},

		{"service not in compose", "service: shop  ", "service: store", "", `service: compose.yaml has no service "store": it has ["database" "payments" "shop"]`},
		{"compose file missing", "compose: compose.yaml  ", "compose: docker-compose.yml", "",
			`compose: there is no file docker-compose.yml: want the compose file of the service and all that it needs`},
		{"alarms missing", "alarms: alarms.json", "alarms: alarm.json", "", "alarms: there is no file alarm.json: want the output of `aws cloudwatch describe-alarms`"},
		{"a folder for a file", "alarms: alarms.json", "alarms: plans", "", "alarms: plans cannot be read (is a directory): want the output of `aws cloudwatch describe-alarms`"},
		{"plan missing", "plan: release.yaml", "plan: releases.yaml", "", "plan: there is no file releases.yaml: want a release plan"},
		{"a plan of several missing", "plans: [plans/all-at-once.yaml,", "plans: [plans/big-bang.yaml,", "", "plans: there is no file plans/big-bang.yaml: want a release plan"},
		{"plans with the same name", "plans: [plans/all-at-once.yaml,", "plans: [plans/rolling.yaml,", "",
			`plans: plans/rolling.yaml and plans/rolling.yaml are both named "rolling": a scenario could not say which it means`},
		{"features missing", "features: ../features", "features: specs", "", "features: there is no specs: want the folder of the *.feature files, or one of them"},
		{"filters missing", "filters: metric-filters.json", "filters: filters.json", "", "monitoring: there is no file filters.json: want the output of `aws logs describe-metric-filters`"},

		{"version without an image", `  v1: {image: "shop:v1"}`, `  v1: {}`, "", `versions: v1: needs an image, or a build: the folder to build it from`},
		{"version of nothing", `  v1: {image: "shop:v1"}`, `  v1:`, "", `versions: v1: needs an image, or a build: the folder to build it from`},
		{"build of a missing folder", `  v1: {image: "shop:v1"}`, `  v1: {build: nowhere}`, "", `versions: there is no folder nowhere: want the folder to build the version from`},
		{"build of a list", `  v1: {image: "shop:v1"}`, `  v1: {build: [a]}`, "", `want a mapping of context, dockerfile, target, args, not a list`},
		{"build with a misspelt key", `  v1: {image: "shop:v1"}`, `  v1: {build: {contxt: a}}`, "", `unknown key "contxt": here may be context, dockerfile, target, args`},
		{"build of an image twice", `  v1: {image: "shop:v1"}`, `  v1: {image: "shop:v2", build: .}` + "\n" + `  v1b: {image: "shop:v2", build: {}}`, `  v1b: {image`, `versions: v1b: build: another version is built as the image shop:v2: give each an image of its own`},
		{"no replicas", `  v1: {image: "shop:v1"}`, `  v1: {image: "shop:v1", replicas: 0}`, "", `replicas: 0: must be at least 1`},
		{"unknown failure", "simulated: [{kind: crash at start}]", "simulated: [{kind: crashes at start}]", "",
			`versions: v2-crashes-at-start: simulated: unknown failure "crashes at start": known are ["crash at start" "crash later" "crash loop" "hang" "out of memory" "errors" "latency" "dependency down" "dependency slow" "dependency errors" "connections exhausted" "slow replica" "uneven balance" "zone lost" "missing variable" "wrong variable" "lost writes" "wrong answers" "memory leak"]`},
		{"failure without its delay", "simulated: [{kind: latency, request: browse, delay: 900ms}]", "simulated: [{kind: latency, request: browse}]", "",
			`versions: v2-slow-query: simulated: latency: needs a delay`},
		{"failure of an unknown request", "simulated: [{kind: latency, request: browse,", "simulated: [{kind: latency, request: search,", "",
			`versions: v2-slow-query: simulated: the traffic has no request "search": it has ["browse" "order" "status"]`},
		{"failure of an unknown dependency", "simulated: [{kind: hang, dependency: payments}]", "simulated: [{kind: hang, dependency: mail}]", "",
			`versions: v2-hangs-on-payments: simulated: there is no "mail" among the dependencies`},
		{"image without a folder", "payments:v1: {go: payments}", "payments:v1: {ldflags: -s}", "", `images: payments:v1: needs "go", the folder of the Go program to build`},
		{"image of a missing folder", "payments:v1: {go: payments}", "payments:v1: {go: payment}", "", `images: there is no folder payment: want the folder of the Go program to build`},

		{"health without a path", "  path: /ready\n", "", "health:", `health: needs a path, such as /ready: without a health check nobody knows when a version may take traffic`},
		{"health path without a slash", "  path: /ready", "  path: ready", "", `health: the path "ready" must begin with /`},
		{"no checks in a row", "  unhealthy: 2", "  unhealthy: 0", "", `unhealthy: 0: must be at least 1`},
		{"port 0", "    port: 5432", "    port: 0", "", `dependencies: database: port 0: needs the port that it listens on in its container, from 1 to 65535`},
		{"port 70000", "  path: /ready\n  port: 8080", "  path: /ready\n  port: 70000", "port: 70000", `health: port 70000: needs the port that the service listens on in its container, from 1 to 65535`},
		{"port of another", "    kind: http\n    port: 8080", "    kind: http\n    port: 8081", "url: PAYMENTS_URL",
			`dependencies: payments: in the compose file, service "shop": the variable PAYMENTS_URL names port 8080 of payments, which listens on 8081`},
		{"variable that the service does not have", "    url: PAYMENTS_URL", "    url: PAYMENT_URL", "", `dependencies: payments: in the compose file the service "shop" has no variable PAYMENT_URL`},
		{"database without an address", "    url: DATABASE_URL\n", "", "  database:", `dependencies: database: needs "url", the variable of the service that holds the address of the database, or "variables: {host: DB_HOST, port: DB_PORT, user: DB_USER, password: DB_PASSWORD, database: DB_NAME}", those that hold its parts`},
		{"unknown kind of dependency", "    kind: http", "    kind: grpc", "", `dependencies: payments: the kind "grpc" is not known: it is one of ["postgres" "mysql" "redis" "http" "tcp"]; "tcp" is for anything that takes connections`},
		{"dependency's path without a slash", "    path: /health", "    path: health", "", `dependencies: payments: the path "health" must begin with /`},
		{"unknown request of a dependency", "    requests: [order]", "    requests: [pay]", "", `dependencies: payments: the traffic has no request "pay": it has ["browse" "order" "status"]`},

		{"stored in no database", "  storedIn: database", "  storedIn: payments", "", `traffic: storedIn "payments" is not one of the dependencies of kind "postgres" or "mysql"`},
		{"stored nowhere", "  storedIn: database", "", "traffic:", `traffic: storedIn "" is not one of the dependencies of kind "postgres" or "mysql"`},
		{"stored how", "  stored: SELECT idempotency_key FROM orders\n", "", "", `traffic: storedIn needs "stored", the query of the keys that are stored`},
		{"no rate", "  rate: 200   ", "  rate: 0   ", "", `traffic: needs a rate of at least 1 request per second`},
		{"no weight", "      weight: 20", "      weight: 0", "", `traffic: the request "order" needs a weight of at least 1`},
		{"a path without a slash", "method: GET, path: /products, expect", "method: GET, path: products, expect", "",
			`smoke: the path "products" of the request "browse" must begin with /`},
		{"two requests of one name", "smoke:\n  - {name: browse, ", "smoke:\n  - {name: order, ", "  - name: order\n    method", `smoke: there is a request "order" already: each needs a name of its own`},
		{"request without a name", "smoke:\n  - {name: browse, ", "smoke:\n  - {", "  - {method", `smoke: a request needs a name`},
		{"no HTTP status", "    expect: 201", "    expect: 20", "", `smoke: the request "order" expects 20, which is not an HTTP status`},
		{"no code", "  code: pipeline/shop\n", "", "pipeline:", `pipeline: needs "code", the folder that is the root of your repository: its .github/workflows are rehearsed`},
		{"code that is not there", "  code: pipeline/shop\n", "  code: pipeline/shoq\n", "", `pipeline: there is no folder pipeline/shoq: want the root of your repository, with .github/workflows`},
		{"no push", "  push: tag\n", "", "pipeline:", `pipeline: needs "push": the branch whose push starts the release, or "tag" where a tag with the version's name does`},
		{"a push of nonsense", "  push: tag\n", "  push: a branch\n", "", `pipeline: push: "a branch" is no name of a branch: want one such as main, or "tag"`},
		{"a failing test that is not there", "  failingTest: pipeline/failing-test", "  failingTest: pipeline/failing", "",
			`pipeline: there is no folder pipeline/failing: want the files that are laid over the code so that a test fails`},
		{"a hook that is not there", "  preReceive: pipeline/shop/.github/scripts/monitor.sh", "  preReceive: hook", "", `pipeline: there is no file hook: want the pre-receive hook of your repository`},
		{"changes of an unknown version", "  changes: {v2: ", "  changes: {v9: ", "", `pipeline: changes: there is no version "v9": known are ["v1" "v2" "v2-crashes-at-start" "v2-crashes-under-load" "v2-forgets-prices" "v2-hangs-on-payments" "v2-leaks-memory" "v2-refuses-old-data" "v2-slow-query" "v2-wrong-variable"]`},
		{"an action without its version", "{actions/setup-go@v5: ", "{actions/setup-go: ", "", `pipeline: actions: "actions/setup-go": name the action as the workflow does, such as actions/setup-go@v5`},
		{"no stand-in for an action", "pipeline/actions/setup-go}", "pipeline/shop}", "", `pipeline: actions: pipeline/shop has no action.yml: want a copy of actions/setup-go@v5, or a composite action that stands in for it`},
		{"fewer than no logs", "  errorLogs: 1", "  errorLogs: -1", "", `simulation: errorLogs -1: must be at least 0`},

		{"production without a description", "  description: [production.json]\n", "", "production:", "production: needs \"description\", a file or a list of files: " + parity.Want},
		{"no description", "description: [production.json]", "description: [{}]", "", `want the name of a file, or a list of them, not a mapping`},
		{"description missing", "description: [production.json]", "description: prod.json", "", "production: there is no file prod.json: want " + parity.Want},
		{"unknown key of production", "  targetGroups: production", "  targetgroups: production", "", `unknown key "targetgroups": here may be description, databases, targetGroups, alarms, containers`},
		{"a database that is no service", "    database: production", "    db: production", "", `production: the compose file has no service "db": it has ["database" "payments" "shop"]`},
		{"waivers missing", "waivers: waivers.yaml", "waivers: waiver.yaml", "", "waivers: there is no file waiver.yaml: want the waivers of differences from production"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := copied(t)
			line := p.change("rehearsal.yaml", c.old, c.to)
			if c.where != "" {
				line = p.line("rehearsal.yaml", c.where)
			}
			assert.Equal(t, []string{fmt.Sprintf("rehearsal.yaml:%d: %s", line, c.want)}, p.problems(t.Context()))
		})
	}
}

func TestAMistakeInAnotherFileIsToldWithThatFile(t *testing.T) {
	for _, c := range []struct {
		name, file, old, to string
		where, want         string
	}{
		{"compose: unknown key", "compose.yaml", "    image: postgres:17", "    imago: postgres:17", "", `compose knows no "imago"`},
		{"alarms: malformed", "alarms.json", `"AlarmName": "shop-5xx-rate",`, `"AlarmName": "shop-5xx-rate"`, `"AlarmArn": "arn:aws:cloudwatch:ap-northeast-1:123456789012:alarm:shop-5xx-rate"`, "'"},
		{"alarms: no name", "alarms.json", `"AlarmName": "shop-p99-latency"`, `"AlarmName": ""`, "", "AlarmName"},
		{"plan: unknown strategy", "release.yaml", "strategy: canary", "strategy: canaries", "", "canary"},
		{"filters: malformed", "metric-filters.json", `"metricName": "ErrorCount",`, `"metricName": "ErrorCount"`, `"metricNamespace"`,
			"this is not JSON: invalid character '\"' after object key:value pair: want the output of `aws logs describe-metric-filters`"},
		{"filters: wrong type", "metric-filters.json", `"metricValue": "1"`, `"metricValue": 1`, "", "metric filter 1: metricTransformations.metricValue must not be a JSON number"},
		{"filters: another log group", "metric-filters.json", `"logGroupName": "/ecs/shop"`, `"logGroupName": "/ecs/store"`, "{\n            \"filterName\"",
			`metric filter 1 ("shop-errors") reads the log group "/ecs/store", and the service writes to "/ecs/shop": see monitoring in rehearsal.yaml`},
		{"filters: no value", "metric-filters.json", `"metricValue": "1"`, `"metricValue": "one"`, "{\n            \"filterName\"",
			`metric filter 1 ("shop-errors"): the metricValue "one" is neither a number nor a selector such as $.bytes`},
		{"filters: no unit", "metric-filters.json", `"metricValue": "1"`, `"metricValue": "1", "unit": "Errors"`, "{\n            \"filterName\"",
			`metric filter 1 ("shop-errors"): the unit "Errors" is none of CloudWatch's, such as Count or Seconds`},
		{"filters: no metric", "metric-filters.json", `"metricName": "ErrorCount",`, ``, "{\n            \"filterName\"", `metric filter 1 ("shop-errors") needs a metricName and a metricNamespace`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := copied(t)
			line := p.change(c.file, c.old, c.to)
			got := p.problems(t.Context())
			require.Len(t, got, 1)
			if c.where != "" {
				line = p.line(c.file, c.where)
			}
			where := fmt.Sprintf("%s:%d: ", c.file, line)
			assert.True(t, strings.HasPrefix(got[0], where), "%s does not begin with %s", got[0], where)
			assert.Contains(t, got[0], c.want)
		})
	}
}

func TestAFileOfTheWrongKind(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"empty rehearsal", "rehearsal.yaml", "", "rehearsal.yaml:1: the file is empty: it must say at least the compose file, the service, its versions, alarms, plan and traffic"},
		{"only a comment", "rehearsal.yaml", "# later\n", "rehearsal.yaml:1: the file is empty"},
		{"a list", "rehearsal.yaml", "- shop\n", "rehearsal.yaml:1: want a mapping of compose, profiles, service,"},
		{"empty alarms", "alarms.json", "", "alarms.json:1: "},
		{"alarms that are none", "alarms.json", `{"metricFilters": []}`, `alarms.json:1: "MetricAlarms" is missing`},
		{"empty filters", "metric-filters.json", "", "metric-filters.json:1: this is not JSON: unexpected end of JSON input: want the output of `aws logs describe-metric-filters`"},
		{"filters that are none", "metric-filters.json", `{"MetricAlarms": []}`, "metric-filters.json:1: \"metricFilters\" is missing: want the output of `aws logs describe-metric-filters`"},
		{"filters that go on", "metric-filters.json", "{\"metricFilters\": []}\n{}", "metric-filters.json:2: this is not JSON: invalid character '{' after top-level value"},
		{"empty plan", "release.yaml", "", "release.yaml:1: the file is empty"},
		{"empty compose", "compose.yaml", "", "compose.yaml: the file is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := copied(t)
			p.write(c.file, c.text)
			assert.True(t, strings.HasPrefix(p.problems(t.Context())[0], c.want), "%q", p.problems(t.Context()))
		})
	}
	p := copied(t)
	p.change("rehearsal.yaml", "# A rehearsal in which", "{}\n---\n# A rehearsal in which")
	assert.Contains(t, p.problems(t.Context())[0], "rehearsal.yaml:2: a second document begins: want one in a file")
}

func TestWhatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "rehearsal.yaml")
	_, err := project.Load(t.Context(), missing)
	require.EqualError(t, err, missing+": there is no such file: name your rehearsal.yaml with --file, or run this where it is")
	_, err = project.Load(t.Context(), dir)
	require.EqualError(t, err, dir+": cannot be read (is a directory): name your rehearsal.yaml with --file")
}

func TestEverythingThatIsMissingIsToldAtOnce(t *testing.T) {
	p := copied(t)
	p.write("rehearsal.yaml", "compose: compose.yaml\n")
	assert.Equal(t, []string{
		`rehearsal.yaml: health: needs a path, such as /ready: without a health check nobody knows when a version may take traffic`,
		`rehearsal.yaml: health: port 0: needs the port that the service listens on in its container, from 1 to 65535`,
		`rehearsal.yaml: traffic: needs a rate of at least 1 request per second`,
		`rehearsal.yaml: traffic: needs requests: what the users ask for, with a name, a weight and a path each`,
		`rehearsal.yaml: needs "service", the compose service that is released: one of ["database" "payments" "shop"]`,
		`rehearsal.yaml: needs "versions": a name and an image for each, at least the one that production runs and the one to release`,
		"rehearsal.yaml: needs \"alarms\", a file with the output of `aws cloudwatch describe-alarms`: without alarms nothing can detect a bad release",
		`rehearsal.yaml: needs "plan", the file of the release plan`,
	}, p.problems(t.Context()))
}

func TestMistakesOfEveryKindAreToldAtOnceAndEachOnce(t *testing.T) {
	p := copied(t)
	type told struct {
		line int
		want string
	}
	var wants []told
	spoil := func(old, to, want string) {
		wants = append(wants, told{p.change("rehearsal.yaml", old, to), want})
	}
	spoil("  interval: 10s", "  interval: soon", "is not a duration")
	spoil("  rate: 200 ", "  rate: many ", "want a whole number")
	spoil("    readiness: true", "    ready: true", "unknown key")
	spoil("    expect: 201", "    expect: 20", "is not an HTTP status")
	spoil("alarms: alarms.json", "alarms: none.json", "there is no file")
	spoil("  v1: {image", "  v1: {imago", "unknown key")
	p.change("metric-filters.json", "/ecs/shop", "/ecs/other")
	p.change("release.yaml", "strategy: canary", "strategy: none")
	got := strings.Join(p.problems(t.Context()), "\n")
	for _, w := range wants {
		assert.Regexp(t, fmt.Sprintf(`(?m)^rehearsal\.yaml:%d: .*%s`, w.line, w.want), got)
	}
	assert.Equal(t, 1, strings.Count(got, fmt.Sprintf("rehearsal.yaml:%d: ", wants[1].line)), "a rate that cannot be read is not also missing: %s", got)
	assert.Contains(t, got, "metric-filters.json:")
	assert.Contains(t, got, "release.yaml:")
}

func TestSeveralFiltersAreToldEachWithItsLine(t *testing.T) {
	p := copied(t)
	p.write("metric-filters.json", `{"metricFilters": [
  {"filterName": "a", "logGroupName": "/ecs/shop", "metricTransformations": [{"metricName": "A", "metricNamespace": "Shop", "metricValue": "$.bytes"}]},
  {"filterName": "b", "logGroupName": "/other", "metricTransformations": [{"metricName": "B", "metricNamespace": "Shop", "metricValue": "1"}]},
  {"filterName": "b", "logGroupName": "/other", "metricTransformations": [{"metricName": "B", "metricNamespace": "Shop", "metricValue": "1"}]},
  {"filterName": 7}
]}`)
	got := p.problems(t.Context())
	require.Len(t, got, 3)
	assert.Contains(t, got[0], `metric-filters.json:3: metric filter 2 ("b") reads the log group "/other"`)
	assert.Contains(t, got[1], `metric-filters.json:4: metric filter 3 ("b") reads the log group "/other"`)
	assert.Contains(t, got[2], `metric-filters.json:5: metric filter 4: filterName must not be a JSON number`)
}

func TestTheUnitOfAMetricFilterArrives(t *testing.T) {
	p := copied(t)
	p.change("metric-filters.json", `"metricValue": "1"`, `"metricValue": "1", "unit": "Count"`)
	got, err := project.Load(t.Context(), filepath.Join(p.dir, "rehearsal.yaml"))
	require.NoError(t, err)
	assert.Equal(t, "Count", got.Setup.Monitoring.Filters[0].Unit)
}

func TestAnAlarmThatNothingFeeds(t *testing.T) {
	p := load(t)
	dims := func(pairs ...string) (all []alarm.Dimension) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, alarm.Dimension{Name: pairs[i], Value: pairs[i+1]})
		}
		return all
	}
	const lb, group = "app/shop/50dc6c495c0c9188", "targetgroup/shop-a/73e2d6bc24d8a067"
	see := " see monitoring in " + p.File + ")"
	for _, c := range []struct {
		namespace, metric string
		by                []alarm.Dimension
		want              string
	}{
		{"AWS/ApplicationELB", "RequestCount", dims("LoadBalancer", lb), ""},
		{"AWS/ApplicationELB", "RequestCount", dims("TargetGroup", group, "LoadBalancer", lb), ""},
		{"AWS/ApplicationELB", "HTTPCode_ELB_503_Count", dims("LoadBalancer", lb), ""},
		{"AWS/ApplicationELB", "HealthyHostCount", dims("LoadBalancer", lb, "TargetGroup", group), ""},
		{"AWS/ECS", "MemoryUtilization", dims("ClusterName", "production", "ServiceName", "shop"), ""},
		{"Shop", "ErrorCount", nil, ""},
		{"AWS/ApplicationELB", "RequestCount", dims("LoadBalancer", "app/store/1234"),
			`AWS/ApplicationELB RequestCount with LoadBalancer "app/store/1234" (the staging copy publishes ["` + lb + `"]:` + see},
		{"AWS/ApplicationELB", "UnHealthyHostCount", dims("LoadBalancer", lb, "TargetGroup", "targetgroup/shop-c/1"),
			`AWS/ApplicationELB UnHealthyHostCount with TargetGroup "targetgroup/shop-c/1" (the staging copy publishes ["` + group + `" "targetgroup/shop-b/0d1c2f3a4b5e6978"]:` + see},
		{"AWS/ECS", "CPUUtilization", dims("ClusterName", "staging", "ServiceName", "shop"), `AWS/ECS CPUUtilization with ClusterName "staging" (the staging copy publishes ["production"]:` + see},
		{"AWS/ApplicationELB", "HealthyHostCount", dims("LoadBalancer", lb),
			`AWS/ApplicationELB HealthyHostCount by LoadBalancer (the staging copy publishes it by LoadBalancer and TargetGroup)`},
		{"AWS/ApplicationELB", "RequestCount", dims("LoadBalancer", lb, "AvailabilityZone", "a"),
			`AWS/ApplicationELB RequestCount by AvailabilityZone and LoadBalancer (the staging copy publishes it by LoadBalancer, or by LoadBalancer and TargetGroup)`},
		{"AWS/ApplicationELB", "RequestCount", nil, `AWS/ApplicationELB RequestCount by no dimension (the staging copy publishes it by LoadBalancer, or by LoadBalancer and TargetGroup)`},
		{"Shop", "ErrorCount", dims("Service", "shop"), `Shop ErrorCount by Service (the staging copy publishes it by no dimension)`},
		{"Shop", "Orders", nil, "Shop Orders"},
		{"AWS/SQS", "ApproximateAgeOfOldestMessage", nil, "AWS/SQS ApproximateAgeOfOldestMessage"},
	} {
		a := alarm.Alarm{
			AlarmName: "a", Namespace: c.namespace, MetricName: c.metric, Dimensions: c.by, Statistic: "Sum", Period: 60,
			EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: "GreaterThanThreshold", ActionsEnabled: true,
		}
		_, err := a.Compile()
		require.NoError(t, err)
		if c.want == "" {
			assert.Empty(t, p.Fed(a))
			continue
		}
		assert.Equal(t, []string{c.want}, p.Fed(a))
	}
	p.Setup.Monitoring.Filters = append(p.Setup.Monitoring.Filters, stage.MetricFilter{Namespace: "Shop", Metric: "Bytes", Unit: "Bytes"})
	for _, c := range []struct{ namespace, metric, unit, want string }{
		{"AWS/ECS", "CPUUtilization", "Percent", ""},
		{"AWS/ECS", "CPUUtilization", "Count", "AWS/ECS CPUUtilization in Count (the staging copy publishes it in Percent, as AWS does)"},
		{"Shop", "ErrorCount", "None", ""},
		{"Shop", "ErrorCount", "Count", "Shop ErrorCount in Count (the staging copy publishes it in None, as AWS does)"},
		{"Shop", "Bytes", "Bytes", ""},
		{"Shop", "Bytes", "None", "Shop Bytes in None (the staging copy publishes it in Bytes, as AWS does)"},
	} {
		a := alarm.Alarm{AlarmName: "a", Namespace: c.namespace, MetricName: c.metric, Statistic: "Sum", Unit: c.unit, Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: "GreaterThanThreshold"}
		if c.namespace == "AWS/ECS" {
			a.Dimensions = dims("ClusterName", "production", "ServiceName", "shop")
		}
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		assert.Equal(t, want, p.Fed(a))
	}
}

func TestAnAlarmByMathIsFedByEachOfItsMetrics(t *testing.T) {
	p := load(t)
	for _, a := range p.Setup.Alarms {
		if len(a.Metrics) == 0 {
			continue
		}
		p.Setup.Monitoring.LoadBalancer = "app/other/1"
		missing := p.Fed(a)
		c, err := a.Compile()
		require.NoError(t, err)
		assert.Len(t, missing, len(c.Inputs))
		return
	}
	require.Fail(t, "the shop has no alarm by metric math any more")
}

// Whatever happens to the file in an editor, Load says what is wrong and where, or
// finds nothing wrong.
func TestWhateverIsWrittenIsReadOrToldWithItsFile(t *testing.T) {
	c := copied(t)
	data, err := os.ReadFile(filepath.Join(c.dir, "rehearsal.yaml"))
	require.NoError(t, err)
	whole := strings.SplitAfter(string(data), "\n")
	rapid.Check(t, func(rt *rapid.T) {
		lines := slices.Clone(whole)
		for range rapid.IntRange(1, 4).Draw(rt, "edits") {
			i := rapid.IntRange(0, len(lines)-1).Draw(rt, "line")
			line := lines[i]
			switch rapid.IntRange(0, 5).Draw(rt, "edit") {
			case 0:
				lines = slices.Delete(lines, i, i+1)
			case 1:
				lines = slices.Insert(lines, i, line)
			case 2:
				lines[i] = "  " + line
			case 3:
				key, _, _ := strings.Cut(line, ":")
				lines[i] = key + ":\n"
			case 4:
				key, _, _ := strings.Cut(line, ":")
				lines[i] = key + ": " + rapid.SampledFrom([]string{"[]", "{}", "-1", "~", "''", "&a [*a]", "!!int x", "<<", "1e9", "{a: {b: c}}"}).Draw(rt, "value") + "\n"
			case 5:
				at := rapid.IntRange(0, len(line)).Draw(rt, "column")
				lines[i] = line[:at] + rapid.SampledFrom([]string{":", "{", "[", "\"", "#", "*", "\t", "\x00", "あ", "- "}).Draw(rt, "letter") + line[at:]
			}
		}
		c.write("rehearsal.yaml", strings.Join(lines, ""))
		p, err := c.load(context.Background())
		if err == nil {
			require.NotNil(rt, p.Plan)
			return
		}
		for line := range strings.Lines(err.Error()) {
			require.Regexp(rt, `^`+regexp.QuoteMeta(c.dir)+`/[\w./-]+(:\d+)?: \S`, line)
			require.NotContains(rt, line, "project.yaml", "no words of Go")
			require.NotContains(rt, line, "unmarshal")
		}
	})
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
)

const samples = "../../internal/scaffold/testdata"

// folder copies a folder so that init may write into it.
func folder(t *testing.T, of string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "team")
	require.NoError(t, os.CopyFS(dir, os.DirFS(of)))
	return dir
}

// contents is every file under a folder with what is in it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		all[name] = string(data)
		return err
	}))
	return all
}

// passes holds a fresh rehearsal against what init promises of it.
func passes(t *testing.T, dir string, scenarios int) {
	t.Helper()
	file := filepath.Join(dir, "rehearsal.yaml")
	out, status := run(t, nil, "verify", "--file", file, "--stage", "sim")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, fmt.Sprintf("%d passed, 0 failed, 0 inconclusive", scenarios))
	out, status = run(t, nil, "plan", "--file", file)
	assert.Equal(t, 0, status, out)
	assert.NotContains(t, out, "error:")
}

func TestInitMakesARehearsalThatPasses(t *testing.T) {
	for name, c := range map[string]struct {
		from  string
		args  []string
		want  []string // in what it says
		files map[string][]string
	}{
		"single service": {samples + "/single", nil,
			[]string{"compose.yml: the service hello is released", "no memory limit", "hello-unhealthy-hosts\n", "which path does the load balancer's health check ask?"},
			map[string][]string{"rehearsal.yaml": {"compose: compose.yml", "port: 8000", "path: /\n"}}},
		"web and PostgreSQL": {samples + "/web-postgres", nil,
			[]string{"image bookshop/web:3.2.0, 3 replicas, 512MiB", "GET /up on port 3000", "web calls db (postgres, port 5432), as its variable DATABASE_URL says", "MAIL_API names https://mail.example.com"},
			map[string][]string{"rehearsal.yaml": {"deadline: 1m20s", "kind: postgres"}, "release.yaml": {"connection to db", "web-memory"}}},
		"web, Redis and an API": {samples + "/web-redis-api", nil,
			[]string{"page calls api (http, port 9000), as its variable API_BASE says", "SEARCH_URL names https://search.example.net"},
			map[string][]string{"rehearsal.yaml": {"path: /ready", "  cache:\n    kind: redis\n    port: 6379\n    url: REDIS_URL"}, "release.yaml": {"connection to api"}}},
		"forms": {samples + "/forms", nil,
			[]string{"the service front.end is released", "does port 8080 answer /-/healthy by plain HTTP?", "where is pg?"},
			map[string][]string{"rehearsal.yaml": {"port: 8080", "#    url: DATABASE_URL"}}},
		"another service than the likeliest": {samples + "/forms", []string{"--service", "orders", "--image", "localhost:5000/orders:2", "--stable-image", "localhost:5000/orders:0.9", "--rate", "40"},
			[]string{"the service orders is released: image localhost:5000/orders:0.9", "orders calls pg (postgres, port 5432), as its variable PGDSN says", " --pace 24 "},
			map[string][]string{"rehearsal.yaml": {"image: localhost:5000/orders:2\n", "rate: 40 "}}},
		"the shop": {"../../fixtures", []string{"--alarms", "../../fixtures/alarms.json"},
			[]string{"the service shop is released", "shop calls payments (http, port 8080), as its variable PAYMENTS_URL says", "the release watches 4 of 5 alarms"},
			map[string][]string{"rehearsal.yaml": {"loadBalancer: app/shop/50dc6c495c0c9188", "targetgroup/shop-b/0d1c2f3a4b5e6978", "cluster: production"}, "release.yaml": {"#   shop-error-logs: nothing publishes Shop ErrorCount"}}},
		"in Japanese": {samples + "/single", []string{"--lang", "ja"}, nil, map[string][]string{"features/first_release.feature": {"# language: ja", `前提 hello の舞台で版 "stable"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			var dir string
			if name == "the shop" { // whose rehearsal is there already
				dir = t.TempDir()
				spoilt := shop(t)
				require.NoError(t, os.Rename(filepath.Join(filepath.Dir(spoilt), "compose.yaml"), filepath.Join(dir, "compose.yaml")))
				require.NoError(t, os.Rename(filepath.Join(filepath.Dir(spoilt), "migrations"), filepath.Join(dir, "migrations")))
			} else {
				dir = folder(t, c.from)
			}
			out, status := run(t, nil, append([]string{"init", dir, "--yes"}, c.args...)...)
			require.Equal(t, 0, status, out)
			for _, w := range c.want {
				assert.Contains(t, out, w)
			}
			assert.Contains(t, out, "rehearse verify --stage sim --file "+dir)
			for f, texts := range c.files {
				data, err := os.ReadFile(filepath.Join(dir, f))
				require.NoError(t, err)
				for _, w := range texts {
					assert.Contains(t, string(data), w, f)
				}
			}
			passes(t, dir, 3-btoi(name == "the shop"))
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestInitFromECSMakesARehearsalThatPasses(t *testing.T) {
	ecs := samples + "/ecs/"
	for name, c := range map[string]struct {
		args      []string
		scenarios int
		want      []string
		files     map[string][]string
	}{
		"rolling": {[]string{ecs + "rolling-task.json", ecs + "rolling-service.json"}, 2,
			[]string{"4 containers; 6 tasks; production runs on ARM64", "GET /actuator/health on port 8080", "--alarm-names tickets-5xx tickets-slow", "may the variable EMBED name renderer:9090?"},
			map[string][]string{
				"compose.yaml": {`"123456789012.dkr.ecr.eu-west-1.amazonaws.com/tickets:2026-10-02.4"`, "replicas: 6", `cpus: "1"`, "memory: 2048M", "nofile: {soft: 65536, hard: 65536}",
					"migrate: {condition: service_completed_successfully}", "renderer: {condition: service_healthy}", "stop_grace_period: 45s", `PRICE_FORMAT: "$$0.00 \"net\""`, "init: true"},
				"secrets.tickets.env": {"\nDATABASE_URL=\n", "\nSIGNING_KEY=\n", "secret:tickets/database-AbCdEf"},
				"secrets.migrate.env": {"\nDATABASE_URL=\n"},
				"release.yaml":        {"strategy: rolling", "batch: 3", "minimum-healthy: 100%"},
				"rehearsal.yaml": {"logGroup: /ecs/production/tickets", "targetgroup/tickets/943f017f100becff", "deadline: 2m30s",
					"differences are wanted? migrate cpu, renderer cpu, xray-daemon cpu, xray-daemon port.2000/udp:", "\n#production:\n#  description: ["},
			}},
		"rolling, without its service": {[]string{ecs + "rolling-task.json"}, 3,
			[]string{"how many tasks does production run?", "how does production release?"}, map[string][]string{"compose.yaml": {"replicas: 1"}}},
		"canary with alarms from AWS": {[]string{ecs + "canary-task.json", ecs + "canary-service.json", "--alarms", ecs + "canary-alarms.json"}, 3,
			[]string{"watches 3 of 5 alarms", "but for orders-db-connections", "aws elbv2 describe-target-groups"},
			map[string][]string{
				"release.yaml":     {"{share: 20%, bake: 3m}", "{share: 100%, bake: 10m}", "menu-latency", "#   restaurant-nightly-traffic: the service's deployments do not watch it"},
				"rehearsal.yaml":   {"alarms: alarms.menu.json", "loadBalancer: app/restaurant/50dc6c495c0c9188", "targetgroup/menu-green/1a2b3c4d5e6f7081", "port: 3000", "\nproduction:\n  description: ["},
				"alarms.menu.json": {"menu-errors", "restaurant-nightly-traffic"},
			}},
		"the shop's production": {[]string{"../../fixtures/production.json"}, 3, []string{"2 tasks"}, map[string][]string{"compose.yaml": {"replicas: 2", "memory: 128M"}, "secrets.env": {"DATABASE_URL="}}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			out, status := run(t, nil, append(append([]string{"init", "--yes", "--from-ecs"}, c.args...), dir)...)
			require.Equal(t, 0, status, out)
			for _, w := range c.want {
				assert.Contains(t, out, w)
			}
			for f, texts := range c.files {
				data, err := os.ReadFile(filepath.Join(dir, f))
				require.NoError(t, err)
				for _, w := range texts {
					assert.Contains(t, string(data), w, f)
				}
			}
			if info, err := os.Stat(filepath.Join(dir, "secrets.env")); err == nil {
				assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
			}
			passes(t, dir, c.scenarios)
		})
	}
}

// What production was when the rehearsal was made, it need not stay.
func TestInitFromECSComparesWithProductionFromThenOn(t *testing.T) {
	dir := folder(t, samples+"/ecs")
	production := filepath.Join(dir, "canary-task.json")
	out, status := run(t, nil, "init", "--yes", "--from-ecs", production, filepath.Join(dir, "canary-service.json"), dir)
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "the staging copy is like the description of production")
	passes(t, dir, 3)

	data, err := os.ReadFile(production)
	require.NoError(t, err)
	drifted := strings.Replace(string(data), `"memory": 512`, `"memory": 1024`, 1)
	require.NotEqual(t, string(data), drifted)
	require.NoError(t, os.WriteFile(production, []byte(drifted), 0o600))
	out, status = run(t, nil, "verify", "--file", filepath.Join(dir, "rehearsal.yaml"), "--stage", "sim")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "not like production: menu memory: staging 512 MiB, production 1024 MiB")
}

// Whatever way production releases, the plan made of it can be rehearsed at once.
func TestInitFromEveryDeploymentOfECSPasses(t *testing.T) {
	const alarms = `"alarms": {"enable": true, "rollback": true, "alarmNames": ["web-errors"]}`
	for name, c := range map[string]struct {
		service, strategy string
		scenarios         int
	}{
		"rolling, all at once":  {`"deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100}`, "rolling", 2},
		"rolling by halves":     {`"deploymentConfiguration": {"strategy": "ROLLING", "maximumPercent": 100, "minimumHealthyPercent": 50, ` + alarms + `}`, "rolling", 2},
		"rolling, nothing kept": {`"deploymentConfiguration": {"maximumPercent": 100, "minimumHealthyPercent": 0}`, "rolling", 2},
		"blue/green":            {`"deploymentConfiguration": {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5, ` + alarms + `}`, "blue-green", 3},
		"canary":                {`"deploymentConfiguration": {"strategy": "CANARY", "bakeTimeInMinutes": 5, ` + alarms + `}`, "canary", 3},
		"linear":                {`"deploymentConfiguration": {"strategy": "LINEAR", "bakeTimeInMinutes": 5, "linearConfiguration": {"stepPercent": 33.3, "stepBakeTimeInMinutes": 6}}`, "linear", 3},
		"CodeDeploy":            {`"deploymentController": {"type": "CODE_DEPLOY"}, "taskSets": [{"status": "PRIMARY", "loadBalancers": [{"containerName": "web", "containerPort": 8080}]}]`, "blue-green", 3},
		"another controller":    {`"deploymentController": {"type": "EXTERNAL"}`, "canary", 3},
		"no task at the moment": {`"desiredCount": 0, "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100}`, "rolling", 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "production.json")
			require.NoError(t, os.WriteFile(file, []byte(`{"taskDefinition": {"family": "web", "containerDefinitions": [{"name": "web", "image": "web:1", "memory": 256, "portMappings": [{"containerPort": 8080}]}]},
				"services": [{"serviceName": "web", "desiredCount": 4, `+c.service+`}]}`), 0o600))
			out, status := run(t, nil, "init", "--from-ecs", file, dir)
			require.Equal(t, 0, status, out)
			plan, err := os.ReadFile(filepath.Join(dir, "release.yaml"))
			require.NoError(t, err)
			assert.Contains(t, string(plan), "strategy: "+c.strategy+"\n")
			passes(t, dir, c.scenarios)
		})
	}
}

var asked = regexp.MustCompile(`(?m)^  (\S+):(\d+): (.*)$`)

// A team's features are often those of another tool, whose phrases nobody here knows.
func TestInitLeavesOtherFeaturesAlone(t *testing.T) {
	dir := folder(t, samples+"/single")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "features", "login"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "features", "login", "login.feature"), []byte("Feature: Log in\n  Scenario: Well\n    Given I am at the page\n"), 0o600))
	out, status := run(t, nil, "init", "--yes", dir)
	require.Equal(t, 0, status, out)
	assert.FileExists(t, filepath.Join(dir, "rehearsal-features", "first_release.feature"))
	passes(t, dir, 3)
}

func TestWhatIsNotKnownStandsInTheFiles(t *testing.T) {
	dir := folder(t, samples+"/forms")
	out, status := run(t, nil, "init", "--yes", dir)
	require.Equal(t, 0, status, out)
	_, out, _ = strings.Cut(out, "Only you know")
	found := asked.FindAllStringSubmatch(out, -1)
	require.Greater(t, len(found), 4, out)
	for _, m := range found {
		data, err := os.ReadFile(m[1])
		require.NoError(t, err)
		var line int
		_, err = fmt.Sscan(m[2], &line)
		require.NoError(t, err)
		assert.Contains(t, strings.Split(string(data), "\n")[line-1], "# QUESTION: "+m[3])
	}
}

func TestInitKeepsPasswordsToTheComposeFile(t *testing.T) {
	dir := folder(t, samples+"/web-postgres")
	out, status := run(t, nil, "init", "--yes", dir)
	require.Equal(t, 0, status, out)
	all := contents(t, dir)
	delete(all, filepath.Join(dir, ".env"))
	assert.NotContains(t, fmt.Sprint(out, all), "not-in-production")
}

func TestInitOverwritesNothing(t *testing.T) {
	for _, there := range []string{"rehearsal.yaml", "release.yaml", "alarms.json", "features/first_release.feature"} {
		t.Run(there, func(t *testing.T) {
			dir := folder(t, samples+"/single")
			name := filepath.Join(dir, there)
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
			require.NoError(t, os.WriteFile(name, []byte("mine"), 0o600))
			before := contents(t, dir)
			out, status := run(t, nil, "init", "--yes", dir)
			assert.Equal(t, 2, status, out)
			assert.Contains(t, out, "nothing was written: "+name)
			assert.Equal(t, before, contents(t, dir))
		})
	}
	t.Run("a link that leads nowhere", func(t *testing.T) {
		dir := folder(t, samples+"/single")
		require.NoError(t, os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "alarms.json")))
		out, status := run(t, nil, "init", "--yes", dir)
		assert.Equal(t, 2, status, out)
		assert.NoFileExists(t, filepath.Join(dir, "rehearsal.yaml"))
	})
	t.Run("what cannot be written half-way", func(t *testing.T) {
		dir := folder(t, samples+"/single")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "features"), []byte("a file where a folder is wanted"), 0o600))
		before := contents(t, dir)
		out, status := run(t, nil, "init", "--yes", dir)
		assert.Equal(t, 2, status, out)
		assert.Contains(t, out, "nothing was written")
		assert.Equal(t, before, contents(t, dir))
	})
	t.Run("a dry run", func(t *testing.T) {
		dir := folder(t, samples+"/single")
		before := contents(t, dir)
		out, status := run(t, nil, "init", "--yes", "--dry-run", dir)
		assert.Equal(t, 0, status, out)
		assert.Contains(t, out, "==> "+filepath.Join(dir, "release.yaml"))
		assert.Contains(t, out, `"AlarmName": "hello-5xx-rate"`)
		assert.Equal(t, before, contents(t, dir))
	})
}

// Each mistake in a compose file is told with its file and line, and what would be right.
func TestMistakesInAComposeFile(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a tab":                     {"services:\n\tweb:\n", "compose.yaml:2: this is not YAML"},
		"an empty file":             {"", "compose.yaml: the file is empty: it must describe services"},
		"no services":               {"volumes: {data: {}}\n", "compose.yaml: it describes no service"},
		"a misspelt key":            {"services:\n  web:\n    image: a\n    enviroment: {A: b}\n", "compose.yaml:4: services.web.enviroment: compose knows no \"enviroment\": is it misspelt?"},
		"no image":                  {"services:\n  web:\n    user: me\n", "compose.yaml:2: service \"web\" has neither an image nor a build context specified"},
		"a port that is none":       {"services:\n  web:\n    image: a\n    ports: [\"80800\"]\n", "compose.yaml:4: ports: invalid containerPort: 80800"},
		"a variable set nowhere":    {"services:\n  web:\n    image: a:${TAG}\n", "compose.yaml:3: error while interpolating services.web.image: variable TAG is not set: set it in the .env file"},
		"a variable without value":  {"services:\n  web:\n    image: a\n    environment:\n      - HOME_URL\n", "compose.yaml:5: service \"web\": HOME_URL has no value: give it one"},
		"an env_file that is not":   {"services:\n  web:\n    image: a\n    env_file: [nosuch.env]\n", "compose.yaml:4: env_file: there is no file"},
		"an unknown dependency":     {"services:\n  web:\n    image: a\n    depends_on: [db]\n", `compose.yaml:4: service "web" depends on undefined service "db"`},
		"a circle":                  {"services:\n  a:\n    image: a\n    depends_on: [b]\n  b:\n    image: b\n    depends_on: [a]\n", "compose.yaml:4: dependency cycle detected: a -> b -> a"},
		"a volume that is not":      {"services:\n  web:\n    image: a\n    volumes: [\"./nosuch:/data\"]\n", "compose.yaml:4: service \"web\": the volume /data is not there"},
		"a privileged container":    {"services:\n  web:\n    image: a\n    privileged: true\n", "compose.yaml:4: service \"web\": privileged is not supported in a rehearsal: a stage never gets hold of this machine"},
		"the host's network":        {"services:\n  web:\n    image: a\n    network_mode: host\n", "compose.yaml:4: service \"web\": network_mode is not supported"},
		"a secret that is not":      {"services:\n  web:\n    image: a\n    secrets: [key]\nsecrets:\n  key: {file: ./nosuch}\n", "compose.yaml:6: secrets.key: there is no file"},
		"an external volume":        {"services:\n  web:\n    image: a\nvolumes:\n  data: {external: true}\n", "compose.yaml:5: volume \"data\" is external"},
		"a healthcheck of no form":  {"services:\n  web:\n    image: a\n    healthcheck: {test: 5}\n", "compose.yaml:4: services.web.healthcheck.test must be a string"},
		"a wait for no healthcheck": {"services:\n  web:\n    image: a\n    depends_on: {db: {condition: service_healthy}}\n  db:\n    image: b\n    healthcheck: {disable: true}\n", "compose.yaml:4: service \"web\": it waits until \"db\" is healthy, whose healthcheck is disabled"},
		"an unknown anchor":         {"services:\n  web:\n    <<: *common\n    image: a\n", "compose.yaml:4: this is not YAML: unknown anchor 'common' referenced"},
		"a key twice":               {"services:\n  web:\n    image: a\n    image: b\n", `compose.yaml:4: this is not YAML: mapping key "image" already defined at line 3`},
		"an undefined network":      {"services:\n  web:\n    image: a\n    networks: [inner]\n", `compose.yaml:4: service "web" refers to undefined network inner`},
		"a size that is none":       {"services:\n  web:\n    image: a\n    mem_limit: lots\n", "compose.yaml:4: 'services[web].mem_limit' invalid size: 'lots'"},
		"only databases":            {"services:\n  db:\n    image: postgres:17\n", "which service is released? None of [\"db\"] looks like a team's own"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(c.text), 0o600))
			before := contents(t, dir)
			out, status := run(t, nil, "init", "--yes", dir)
			assert.Equal(t, 2, status, out)
			assert.Contains(t, out, c.want)
			assert.NotContains(t, out, "panic")
			assert.NotContains(t, out, "goroutine")
			assert.Equal(t, before, contents(t, dir), "and nothing is written")
		})
	}
}

func TestInitSaysWhatItNeeds(t *testing.T) {
	ecs := samples + "/ecs/"
	broken := filepath.Join(t.TempDir(), "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte("{\n\"taskDefinition\": {\n"), 0o600))
	noAlarms := filepath.Join(t.TempDir(), "alarms.json")
	require.NoError(t, os.WriteFile(noAlarms, []byte(`{"MetricAlarms": [{"AlarmName": "disk", "Namespace": "AWS/RDS", "MetricName": "FreeStorageSpace", "Statistic": "Average",
		"Period": 60, "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "LessThanThreshold"}]}`), 0o600))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no compose file":           {[]string{t.TempDir()}, "there is no compose file in"},
		"no folder":                 {[]string{"nosuch"}, "nosuch: there is no such folder"},
		"two folders":               {[]string{"a", "b"}, "init takes one folder"},
		"which of two services":     {[]string{folder(t, samples+"/forms")}, `which service is released? Name it with --service: it could be one of ["front.end" "orders"]; with --yes it is "front.end"`},
		"a service that is not":     {[]string{folder(t, samples+"/forms"), "--service", "shop"}, `--service shop: the compose file has no such service: it has ["front.end" "mail" "orders" "pg"]`},
		"a rate of nothing":         {[]string{folder(t, samples+"/single"), "--rate", "0"}, "--rate 0: at least 1"},
		"an image that is none":     {[]string{folder(t, samples+"/single"), "--image", "Not An Image"}, `"Not An Image" is not the name of an image`},
		"a language":                {[]string{folder(t, samples+"/single"), "--lang", "fr"}, `"fr" for "--lang" flag: it is "en" or "ja"`},
		"alarms that are not there": {[]string{folder(t, samples+"/single"), "--alarms", "nosuch.json"}, "nosuch.json: cannot be read"},
		"alarms of something else":  {[]string{folder(t, samples+"/single"), "--alarms", noAlarms}, "a release of hello can watch none of its alarms"},
		"a compose file elsewhere":  {[]string{folder(t, samples+"/single"), "--compose", "../other/compose.yaml"}, "the files of a rehearsal stand beside its compose file"},
		"a broken task definition":  {[]string{"--from-ecs", broken, t.TempDir()}, "broken.json:"},
		"a container that is not":   {[]string{"--from-ecs", ecs + "rolling-task.json", "--service", "shop", t.TempDir()}, `it has ["tickets" "migrate" "renderer" "xray-daemon"]`},
		"which of two containers":   {[]string{"--from-ecs", ecs + "rolling-task.json", t.TempDir()}, `which container is released? Name it with --service: it could be one of ["tickets" "renderer"]`},
		"no task definition":        {[]string{"--from-ecs", ecs + "rolling-service.json", t.TempDir()}, "there is no task definition"},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := run(t, nil, append([]string{"init"}, c.args...)...)
			assert.Equal(t, 2, status, out)
			assert.Contains(t, out, c.want)
		})
	}
}

func TestAPersonIsAskedUntilTheAnswerFits(t *testing.T) {
	var out bytes.Buffer
	p := &person{bufio.NewReader(strings.NewReader("shop\napi\n\n  typed  ")), speaker{&out, lang.English}}
	answer, err := p.ask(t.Context(), "Which?", []string{"web", "api"}, "web")
	require.NoError(t, err)
	assert.Equal(t, "api", answer)
	assert.Equal(t, "Which? (web, api) [web] \"shop\" is not one of them.\nWhich? (web, api) [web] ", out.String())
	answer, err = p.ask(t.Context(), "Which?", []string{"web", "api"}, "web")
	require.NoError(t, err)
	assert.Equal(t, "web", answer, "an empty line is the suggestion")
	answer, err = p.ask(t.Context(), "What?", nil, "")
	require.NoError(t, err)
	assert.Equal(t, "typed", answer, "the last line needs no end")
	_, err = p.ask(t.Context(), "What?", nil, "suggested")
	assert.ErrorContains(t, err, "give it as a flag")

	silent, typing := io.Pipe()
	defer func() { _ = typing.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = (&person{bufio.NewReader(silent), speaker{&out, lang.English}}).ask(ctx, "What?", nil, "suggested")
	assert.ErrorContains(t, err, "interrupted")
}

package scaffold

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/containers"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// compose reads a compose file that a test writes.
func compose(t *testing.T, text string) *types.Project {
	t.Helper()
	file := filepath.Join(t.TempDir(), "compose.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	p, err := containers.LoadCompose(context.Background(), file)
	require.NoError(t, err)
	return p
}

func TestWhereAServiceIsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		service string
		want    door
	}{
		"curl, in a shell":        {`healthcheck: {test: "curl -f http://localhost:3000/healthz || exit 1"}`, door{Port: 3000, Path: "/healthz"}},
		"curl, as a list":         {`healthcheck: {test: ["CMD", "curl", "-fsS", "http://127.0.0.1:3000/a/b?full=1"]}`, door{Port: 3000, Path: "/a/b?full=1"}},
		"without a scheme":        {`healthcheck: {test: ["CMD-SHELL", "curl -f localhost:3000/ready"]}`, door{Port: 3000, Path: "/ready"}},
		"without a path":          {`healthcheck: {test: "wget -q --spider http://localhost:3000"}`, door{Port: 3000, Path: "/"}},
		"without a port":          {`healthcheck: {test: "wget -q --spider http://localhost/ok"}`, door{Port: 80, Path: "/ok"}},
		"by IPv6":                 {`healthcheck: {test: "curl http://[::1]:3000/ok"}`, door{Port: 3000, Path: "/ok"}},
		"by node":                 {`healthcheck: {test: ["CMD", "node", "-e", "fetch('http://localhost:3000/up').then(r => process.exit(r.ok ? 0 : 1))"]}`, door{Port: 3000, Path: "/up"}},
		"by a variable":           {"environment: {PORT: \"3001\"}\n    healthcheck: {test: \"curl http://localhost:$${PORT}/up\"}", door{Port: 3001, Path: "/up"}},
		"by a variable's default": {`healthcheck: {test: "curl http://localhost:$${PORT:-3002}/up"}`, door{Port: 3002, Path: "/up"}},
		"slow to start":           {`healthcheck: {test: "curl http://localhost:3000/up", start_period: 2m}`, door{Port: 3000, Path: "/up", Start: 2 * time.Minute}},
		"HTTPS only":              {`healthcheck: {test: "curl -k https://localhost:8443/up"}`, door{Port: 8443, Path: "/up", TLS: true}},
		"HTTPS beside HTTP":       {"ports: [\"8080\", \"8443\"]\n    healthcheck: {test: \"curl -k https://localhost:8443/up\"}", door{Port: 8080, Path: "/up", TLS: true, Other: 8443}},
		"on a port of its own":    {"ports: [\"8080\"]\n    healthcheck: {test: \"curl http://localhost:9000/up\"}", door{Port: 8080, Path: "/up", Other: 9000}},
		"a command of its own":    {"ports: [\"8080\"]\n    healthcheck: {test: [\"CMD\", \"/app\", \"healthcheck\"]}", door{Port: 8080, Path: "/"}},
		"a disabled healthcheck":  {"expose: [\"8080/tcp\"]\n    healthcheck: {disable: true}", door{Port: 8080, Path: "/"}},
		"several ports":           {`ports: ["8080:8081", "9090:9091"]`, door{Port: 8081, Path: "/", Several: []int{8081, 9091}}},
		"several, one by PORT":    {"ports: [\"8080:8081\", \"9090:9091\"]\n    environment: {PORT: \"9091\"}", door{Port: 9091, Path: "/"}},
		"UDP is no door":          {`ports: ["5000:5000/udp", "8080:8081"]`, door{Port: 8081, Path: "/"}},
		"by its variable alone":   {`environment: {PORT: "5001"}`, door{Port: 5001, Path: "/"}},
		"nothing at all":          {`restart: always`, door{Port: 8080, Path: "/"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := doorOf(compose(t, "services:\n  web:\n    image: acme/web:1\n    "+c.service+"\n").Services["web"])
			assert.Equal(t, c.want.Path != "/" || strings.Contains(c.service, "http://localhost:3000\""), got.PathFrom != "", "where the path is from: %q", got.PathFrom)
			assert.Equal(t, name == "nothing at all", got.PortFrom == "", "where the port is from: %q", got.PortFrom)
			got.PathFrom, got.PortFrom = "", ""
			assert.Equal(t, c.want, got)
		})
	}
	var s types.ServiceConfig
	s.Image = "docker.io/traefik/whoami:v1.11"
	got := doorOf(s)
	assert.Equal(t, 80, got.Port)
	assert.Contains(t, got.PortFrom, "whoami")
}

func TestTheHostsThatVariablesName(t *testing.T) {
	for value, want := range map[string]mention{
		"postgres://u:p@db:5433/n?sslmode=disable":    {scheme: "postgres", host: "db", port: 5433, url: true},
		"postgresql+asyncpg://u:p@db/n":               {scheme: "postgresql+asyncpg", host: "db", url: true},
		"jdbc:postgresql://db:5432/n":                 {scheme: "postgresql", host: "db", port: 5432},
		"host=db port=5432 user=u password=p":         {scheme: "postgres", host: "db", port: 5432, url: true},
		"http://api/v1":                               {scheme: "http", host: "api", url: true},
		"HTTPS://api.example.com:8443/":               {scheme: "https", host: "api.example.com", port: 8443, url: true},
		"redis://:secret@cache:6379/0":                {scheme: "redis", host: "cache", port: 6379, url: true},
		"cache:6379":                                  {host: "cache", port: 6379},
		"kafka1:9092,kafka2:9092":                     {host: "kafka1", port: 9092},
		"mongodb+srv://u:p@cluster.example.net/n?w=1": {scheme: "mongodb+srv", host: "cluster.example.net", url: true},
		"http://[::1]:8080/":                          {scheme: "http", host: "::1", port: 8080, url: true},
		"a note: see https://example.com":             {},
		"12:30":                                       {host: "12", port: 30}, // no service is called 12
		"true":                                        {},
		"":                                            {},
		"arn:aws:sns:eu-west-1:123456789012:orders-done": {},
	} {
		got, ok := mentionIn("X", value)
		want.variable = "X"
		assert.Equal(t, want.host != "", ok, value)
		assert.Equal(t, want, got, value)
	}
	for name, ok := range map[string]bool{"DB_HOST": true, "DATABASE_HOSTNAME": true, "KAFKA_BROKERS": true, "API_ENDPOINT": true, "MODE": false} {
		_, got := mentionIn(name, "db")
		assert.Equal(t, ok, got, name)
	}
}

func TestDependenciesOfTheReleasedService(t *testing.T) {
	p := compose(t, `
services:
  web:
    image: acme/web:1
    environment:
      A_DATABASE: postgres://u:p@by-alias/n
      DB_HOST: split
      PSQL: jdbc:postgresql://java:5432/n
      SELF: http://web:8080
      LOOP: http://127.0.0.1:9
      FAR: https://api.example.com
      FAR_DB: postgres://u:p@production.example.com/n
      PLAIN: http://plain:9000
      S3: http://store:9000
      WEB: http://front
    depends_on: [named, silent, job]
  db: {image: "postgres:17", networks: {default: {aliases: [by-alias]}}}
  split: {image: "postgis/postgis:17-3.5"}
  java: {image: "postgres:17"}
  plain: {image: "acme/plain:1"}
  store: {image: "minio/minio:1"}
  front: {image: "nginx:1", healthcheck: {test: "curl http://localhost/ok"}}
  named: {image: "acme/named:1", healthcheck: {test: "curl http://localhost:7000/ok"}}
  silent: {image: "acme/silent:1"}
  stranger: {image: "acme/stranger:1"}
  job: {image: "acme/job:1"}
`)
	service := p.Services["web"]
	on := service.DependsOn["job"]
	on.Condition = types.ServiceConditionCompletedSuccessfully
	service.DependsOn["job"] = on
	all, outside := dependencies(p, "web")
	got := map[string]dependency{}
	for _, d := range all {
		got[d.Name] = d
	}
	assert.Equal(t, dependency{Name: "db", Kind: "postgres", URL: "A_DATABASE", Port: 5432}, got["db"])
	assert.Contains(t, got["split"].Why, "No variable of web holds its whole address")
	assert.Contains(t, got["java"].Why, "DATABASE_URL: postgres://USER:PASSWORD@java:5432/NAME")
	assert.Equal(t, stage.HTTP, got["plain"].Kind)
	assert.Contains(t, got["plain"].Ask, "which path of plain")
	assert.False(t, got["plain"].Checked(), "nobody knows that / answers well")
	assert.Equal(t, "S3", got["store"].URL)
	assert.Equal(t, dependency{Name: "front", Kind: "http", URL: "WEB", Port: 80, Path: "/ok"}, got["front"])
	assert.Equal(t, dependency{Name: "named", Kind: "http", Port: 7000, Path: "/ok"}, got["named"])
	assert.Contains(t, got["silent"].Why, "if web calls it by HTTP")
	assert.Len(t, got, 8, "neither a job, nor itself, nor a stranger: %v", got)
	assert.Equal(t, []string{"the variable FAR names https://api.example.com", "the variable FAR_DB names postgres://production.example.com"}, outside, "and no password")
}

func TestDatabasesOfEveryKind(t *testing.T) {
	p := compose(t, `
services:
  web:
    image: acme/web:1
    environment:
      DB_HOST: parts
      DB_PORT: "3307"
      DB_USERNAME: u
      DB_PASSWORD: p
      DB_DATABASE: n
      BLOG_HOST: "blog:3306"
      BLOG_USER: u
      BLOG_PASSWORD: p
      SPRING_DATASOURCE_URL: jdbc:mariadb://java/n
      SPRING_DATASOURCE_USERNAME: u
      SPRING_DATASOURCE_PASSWORD: p
      ALCHEMY: postgresql+asyncpg://u:p@alchemy/n
      GO_DSN: u:p@tcp(dsn:3306)/n
      NO_USER_HOST: lonely
      CACHE: redis://:p@cache/1
      REDIS_HOST: sessions
      REDIS_PASSWORD: p
      SAFE: rediss://safe
      MEMCACHED_SERVERS: memory:11211
      AMQP: amqp://u:p@queue
    depends_on: [nats]
  parts: {image: "mariadb:10.11"}
  blog: {image: "mysql:8"}
  java: {image: "mariadb:10.11"}
  alchemy: {image: "acme/db:1"}
  dsn: {image: "mysql:8"}
  lonely: {image: "mysql:8"}
  cache: {image: "valkey/valkey:8"}
  sessions: {image: "redis:7"}
  safe: {image: "redis:7"}
  memory: {image: "memcached:1"}
  queue: {image: "rabbitmq:4"}
  nats: {image: "nats:2"}
`)
	all, outside := dependencies(p, "web")
	assert.Empty(t, outside)
	got := map[string]dependency{}
	for _, d := range all {
		got[d.Name] = d
	}
	for _, want := range []dependency{
		{Name: "parts", Kind: stage.MySQL, Port: 3307, Parts: stage.AddressParts{Host: "DB_HOST", Port: "DB_PORT", User: "DB_USERNAME", Password: "DB_PASSWORD", Database: "DB_DATABASE"}},
		{Name: "blog", Kind: stage.MySQL, Port: 3306, Parts: stage.AddressParts{Host: "BLOG_HOST", User: "BLOG_USER", Password: "BLOG_PASSWORD"}},
		{Name: "java", Kind: stage.MySQL, Port: 3306, URL: "SPRING_DATASOURCE_URL", Parts: stage.AddressParts{User: "SPRING_DATASOURCE_USERNAME", Password: "SPRING_DATASOURCE_PASSWORD"}},
		{Name: "alchemy", Kind: stage.Postgres, Port: 5432, URL: "ALCHEMY"},
		{Name: "dsn", Kind: stage.MySQL, Port: 3306, URL: "GO_DSN"},
		{Name: "cache", Kind: stage.Redis, Port: 6379, URL: "CACHE"},
		{Name: "sessions", Kind: stage.Redis, Port: 6379, Parts: stage.AddressParts{Host: "REDIS_HOST", Password: "REDIS_PASSWORD"}},
		{Name: "memory", Kind: stage.TCP, Port: 11211, Say: "version\r\n"},
		{Name: "nats", Kind: stage.TCP, Port: 4222},
	} {
		assert.Equal(t, want, got[want.Name])
		assert.True(t, got[want.Name].Checked())
	}
	assert.Equal(t, stage.TCP, got["queue"].Kind)
	assert.Contains(t, got["queue"].Ask, "what does queue answer to?")
	assert.Contains(t, got["lonely"].Why, "DATABASE_URL: mysql://USER:PASSWORD@lonely:3306/NAME")
	assert.Contains(t, got["safe"].Why, "REDIS_URL: redis://:PASSWORD@safe:6379/0")
}

// ecsService is a service with a deployment configuration.
func ecsService(c ecstypes.DeploymentConfiguration) *ecstypes.Service {
	return &ecstypes.Service{DeploymentConfiguration: &c}
}

func TestHowECSReleases(t *testing.T) {
	watched := &ecstypes.DeploymentAlarms{Enable: true, Rollback: true, AlarmNames: []string{"a"}}
	breaker := &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true}
	rolling := func(lowest, highest int32) *ecstypes.Service {
		return ecsService(ecstypes.DeploymentConfiguration{MinimumHealthyPercent: &lowest, MaximumPercent: &highest, Alarms: watched, DeploymentCircuitBreaker: breaker})
	}
	for name, c := range map[string]struct {
		service  *ecstypes.Service
		replicas int
		want     plan
		notes    []string
	}{
		"rolling, by default":      {&ecstypes.Service{}, 4, plan{Strategy: release.Rolling, Batch: "4", MinimumHealthy: 100}, []string{"alarms is not enabled", "circuit breaker"}},
		"rolling by halves":        {rolling(50, 100), 5, plan{Strategy: release.Rolling, Batch: "2", MinimumHealthy: 50}, nil},
		"rolling, a little more":   {rolling(100, 125), 4, plan{Strategy: release.Rolling, Batch: "1", MinimumHealthy: 100}, nil},
		"rolling, without room":    {rolling(100, 100), 3, plan{Strategy: release.Rolling, Batch: "1", MinimumHealthy: 100}, []string{"can replace none of 3 tasks"}},
		"rolling, all stopped":     {rolling(0, 100), 2, plan{Strategy: release.Rolling, Batch: "2", MinimumHealthy: 1}, []string{"nobody may be served"}},
		"blue/green":               {ecsService(ecstypes.DeploymentConfiguration{Strategy: "BLUE_GREEN", BakeTimeInMinutes: aws.Int32(15), Alarms: watched}), 2, plan{Strategy: release.BlueGreen, Bake: 15 * time.Minute}, nil},
		"canary":                   {ecsService(ecstypes.DeploymentConfiguration{Strategy: "CANARY", BakeTimeInMinutes: aws.Int32(20), Alarms: watched, CanaryConfiguration: &ecstypes.CanaryConfiguration{CanaryPercent: aws.Float64(2.5), CanaryBakeTimeInMinutes: aws.Int32(7)}}), 2, plan{Strategy: release.Canary, Steps: []release.Step{{Share: 2.5, Bake: 7 * time.Minute}, {Share: 100, Bake: 20 * time.Minute}}}, nil},
		"canary, by default":       {ecsService(ecstypes.DeploymentConfiguration{Strategy: "CANARY", Alarms: watched}), 2, plan{Strategy: release.Canary, Steps: []release.Step{{Share: 5, Bake: 10 * time.Minute}, {Share: 100}}}, nil},
		"canary of everyone":       {ecsService(ecstypes.DeploymentConfiguration{Strategy: "CANARY", Alarms: watched, CanaryConfiguration: &ecstypes.CanaryConfiguration{CanaryPercent: aws.Float64(100)}}), 2, plan{Strategy: release.Canary, Steps: []release.Step{{Share: 100}}}, nil},
		"linear":                   {ecsService(ecstypes.DeploymentConfiguration{Strategy: "LINEAR", BakeTimeInMinutes: aws.Int32(5), Alarms: watched, LinearConfiguration: &ecstypes.LinearConfiguration{StepPercent: aws.Float64(25), StepBakeTimeInMinutes: aws.Int32(3)}}), 2, plan{Strategy: release.Linear, Share: 25, Every: 3 * time.Minute, Bake: 5 * time.Minute}, nil},
		"linear, by default":       {ecsService(ecstypes.DeploymentConfiguration{Strategy: "LINEAR", Alarms: watched}), 2, plan{Strategy: release.Linear, Share: 10, Every: 6 * time.Minute}, nil},
		"blue/green with a hook":   {ecsService(ecstypes.DeploymentConfiguration{Strategy: "BLUE_GREEN", BakeTimeInMinutes: aws.Int32(15), Alarms: watched, LifecycleHooks: []ecstypes.DeploymentLifecycleHook{{LifecycleStages: []ecstypes.DeploymentLifecycleHookStage{"PRE_SCALE_UP", "POST_TEST_TRAFFIC_SHIFT"}}}}), 2, plan{Strategy: release.BlueGreen, Bake: 15 * time.Minute, Tested: true}, nil},
		"alarms that stop only":    {ecsService(ecstypes.DeploymentConfiguration{Strategy: "BLUE_GREEN", Alarms: &ecstypes.DeploymentAlarms{Enable: true, AlarmNames: []string{"a"}}}), 2, plan{Strategy: release.BlueGreen}, []string{"only stops a release"}},
		"by CodeDeploy":            {&ecstypes.Service{DeploymentController: &ecstypes.DeploymentController{Type: "CODE_DEPLOY"}}, 2, plan{Strategy: release.BlueGreen}, nil},
		"by a controller outside":  {&ecstypes.Service{DeploymentController: &ecstypes.DeploymentController{Type: "EXTERNAL"}}, 2, firstPlan(), nil},
		"a service not described":  {nil, 2, firstPlan(), nil},
		"a strategy of the future": {ecsService(ecstypes.DeploymentConfiguration{Strategy: "TELEPORT", Alarms: watched, DeploymentCircuitBreaker: breaker}), 2, plan{Strategy: release.Rolling, Batch: "2", MinimumHealthy: 100}, []string{"TELEPORT"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := planOf(c.service, c.replicas)
			require.Len(t, got.Notes, len(c.notes), "%q", got.Notes)
			for i, n := range c.notes {
				assert.Contains(t, got.Notes[i], n)
			}
			if c.service == nil || c.service.DeploymentController != nil {
				assert.NotEmpty(t, got.Ask)
			}
			got.Notes, got.Ask, got.About, got.Alarms, c.want.About = nil, "", nil, nil, nil
			assert.Equal(t, c.want, got)
		})
	}
}

func TestBakesAreLongEnoughForTheAlarms(t *testing.T) {
	w := watch{fastest: 3 * time.Minute, slowest: 5*time.Minute + time.Second}
	own := firstPlan()
	own.fit(w)
	assert.Equal(t, []release.Step{{Share: 10, Bake: 7 * time.Minute}, {Share: 50, Bake: 7 * time.Minute}, {Share: 100, Bake: 7 * time.Minute}}, own.Steps)
	assert.Empty(t, own.Notes)

	p := plan{Strategy: release.Canary, Steps: []release.Step{{Share: 5, Bake: time.Minute}, {Share: 100, Bake: 10 * time.Minute}}}
	p.fit(w)
	assert.Equal(t, []release.Step{{Share: 5, Bake: 3 * time.Minute}, {Share: 100, Bake: 10 * time.Minute}}, p.Steps)
	assert.Equal(t, []string{"the bake of the canary is 1m in production, too short for the alarms: here it is 3m"}, p.Notes)

	p = plan{Strategy: release.BlueGreen}
	p.fit(w)
	assert.Equal(t, 6*time.Minute, p.Bake)
	assert.Equal(t, []string{"the bake at the end is 0s in production, too short for the alarms: here it is 6m"}, p.Notes)
}

// A deployment of every strategy makes a rehearsal that can be read back.
func TestEveryStrategyOfECSMakesARehearsal(t *testing.T) {
	for name, configuration := range map[string]string{
		"rolling":    `{"minimumHealthyPercent": 0, "maximumPercent": 100}`,
		"blue/green": `{"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0}`,
		"canary":     `{"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.1, "canaryBakeTimeInMinutes": 0}}`,
		"linear":     `{"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 3.0, "stepBakeTimeInMinutes": 0}}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(t.TempDir(), "task.json")
			require.NoError(t, os.WriteFile(file, []byte(`{"taskDefinition": {"family": "f", "containerDefinitions": [{"name": "web", "image": "web:1", "portMappings": [{"containerPort": 80}]}]},
				"services": [{"serviceName": "web", "desiredCount": 2, "deploymentConfiguration": `+configuration+`}]}`), 0o600))
			d, err := FromECS(context.Background(), Options{Folder: dir}, file)
			require.NoError(t, err)
			require.NoError(t, d.Write(context.Background()))
		})
	}
}

func TestTaskDefinitionsThatMakeNoComposeFile(t *testing.T) {
	for name, c := range map[string]struct{ container, want string }{
		"a name with a way out": {`{"name": "../../x", "image": "a"}`, "a container needs an image, and a name of letters"},
		"no image":              {`{"name": "web"}`, "a container needs an image"},
		"an unknown condition":  {`{"name": "web", "image": "a", "dependsOn": [{"containerName": "b", "condition": "SOON"}]}`, `unknown condition "SOON"`},
		"an unknown container":  {`{"name": "web", "image": "a", "dependsOn": [{"containerName": "b", "condition": "START"}]}`, `compose.yaml:`},
		"a variable of two":     {`{"name": "web", "image": "a", "environment": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}`, `already defined`},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "task.json")
			require.NoError(t, os.WriteFile(file, []byte(`{"taskDefinition": {"containerDefinitions": [`+c.container+`]}}`), 0o600))
			_, err := FromECS(context.Background(), Options{Folder: t.TempDir()}, file)
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
			assert.NotContains(t, err.Error(), os.TempDir()+"/rehearse-init")
		})
	}
}

func TestAServiceOfTooManyTasksIsRefused(t *testing.T) {
	for _, n := range []string{"-1", "5001", "2000000000"} {
		file := filepath.Join(t.TempDir(), "task.json")
		require.NoError(t, os.WriteFile(file, []byte(`{"taskDefinition": {"containerDefinitions": [{"name": "web", "image": "a"}]}, "services": [{"desiredCount": `+n+`}]}`), 0o600))
		_, err := FromECS(context.Background(), Options{Folder: t.TempDir()}, file)
		assert.ErrorContains(t, err, "the service wants "+n+" tasks")
	}
}

func TestAPersonIsAskedWhatNoFileSays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "team")
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/forms")))
	var questions []string
	answers := map[string]string{"Which service": "orders", "Which image": "localhost:5000/orders:2", "Which file": "", "How many": "30"}
	ask := func(q string, options []string, suggestion string) (string, error) {
		questions = append(questions, q+" "+suggestion)
		for begin, a := range answers {
			if strings.HasPrefix(q, begin) {
				return a, nil
			}
		}
		return suggestion, nil
	}
	d, err := FromCompose(context.Background(), Options{Folder: dir, Ask: ask})
	require.NoError(t, err)
	assert.Len(t, questions, 4, "%q", questions)
	assert.Contains(t, questions[0], "front.end", "the likeliest is suggested")
	i := slices.IndexFunc(d.Files, func(f File) bool { return f.Name == "rehearsal.yaml" })
	assert.Contains(t, string(d.Files[i].Data), "image: localhost:5000/orders:2")
	assert.Contains(t, string(d.Files[i].Data), "rate: 30 ")

	answers["How many"] = "many"
	_, err = FromCompose(context.Background(), Options{Folder: dir, Ask: ask})
	assert.ErrorContains(t, err, `"many" is not a number of requests`)
	gone := errors.New("gone")
	_, err = FromCompose(context.Background(), Options{Folder: dir, Ask: func(string, []string, string) (string, error) { return "", gone }})
	assert.ErrorIs(t, err, gone)
}

func TestTheComposeFileIsFoundAsDockerDoes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"docker-compose.yml", "compose.yml", "compose.override.yaml", "other.yaml"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("services: {web: {image: web}}"), 0o600))
	}
	d, err := FromCompose(context.Background(), Options{Folder: dir})
	require.NoError(t, err)
	assert.Contains(t, d.Found[0], "compose.yml: the service web")
	text := strings.Join(d.Found, "\n")
	assert.Contains(t, text, "compose.yml was read, as docker compose would")
	assert.Contains(t, text, "compose.override.yaml is not read: to have it, say in rehearsal.yaml compose: [compose.yml, compose.override.yaml]")
	d, err = FromCompose(context.Background(), Options{Folder: dir, Compose: "other.yaml"})
	require.NoError(t, err)
	assert.Contains(t, d.Found[0], "other.yaml: the service web")
}

// Names that YAML, Gherkin or a template could take for something else.
func TestOddNamesAreCarriedThrough(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(`
services:
  "on":
    image: registry.example.com:5000/a/b@sha256:9f2cdd4a1ba4ee1d5b6b0a7e6f1c5a0b1d2e3f405162738495a6b7c8d9e0f123
    environment: {"ODD: # {{.X}}": "http://1.2.3.4.example.com", "no": "http://123"}
    healthcheck: {test: "curl 'http://localhost:80/a#b'"}
  "123": {image: "123"}
`), 0o600))
	d, err := FromCompose(context.Background(), Options{Folder: dir, Service: "on"})
	require.NoError(t, err)
	require.NoError(t, d.Write(context.Background()))
	assert.NotEmpty(t, d.Questions())
}

func FuzzWhatAServiceSays(f *testing.F) {
	f.Add("curl -f http://localhost:$PORT/x", "postgres://u:p@db:5432/n")
	f.Add("wget ${A:-${B}}", "host=a port=99999999999")
	f.Fuzz(func(t *testing.T, command, value string) {
		s, db := types.ServiceConfig{Name: "s"}, types.ServiceConfig{Name: "db"}
		s.Image, db.Image = value, "postgres"
		s.Environment = types.MappingWithEquals{"V_URL": &value}
		s.HealthCheck = &types.HealthCheckConfig{Test: []string{"CMD-SHELL", command}}
		d := doorOf(s)
		if d.Port < 1 || d.Port > 65535 || !strings.HasPrefix(d.Path, "/") {
			t.Fatalf("%q: %+v", command, d)
		}
		p := &types.Project{Services: types.Services{"s": s, "db": db}}
		_, _ = dependencies(p, "s")
		_ = candidates(p)
	})
}

func FuzzTaskDefinition(f *testing.F) {
	// Small seeds: the fuzzer would spend its time on making large ones smaller.
	both := `{"taskDefinition": {"containerDefinitions": [{"name": "a", "image": "b", "ulimits": [{"name": "x: {"}], "environment": [{"name": "\n# QUESTION: ", "value": "$"}]}]}, "services": [{"desiredCount": -3}]}`
	f.Add([]byte(both))
	f.Add([]byte(`{"taskDefinition": {"family": "f", "cpu": "256", "memory": "1 GB", "volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs"}}], "containerDefinitions": [{"name": "a", "image": "b", "secrets": [{"name": "S", "valueFrom": "arn"}], "mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}], "portMappings": [{"containerPort": 80}], "healthCheck": {"command": ["CMD-SHELL", "curl http://localhost/x"]}}]}}`))
	f.Add([]byte(`{"taskDefinition": {"containerDefinitions": [{"name": "a", "image": "b"}]}, "services": [{"desiredCount": 2, "deploymentConfiguration": {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 2}, "alarms": {"enable": true, "alarmNames": ["x"]}}, "loadBalancers": [{"containerName": "a", "containerPort": 3000, "targetGroupArn": "x:targetgroup/a/b"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "task.json")
		require.NoError(t, os.WriteFile(file, data, 0o600))
		dir := t.TempDir()
		d, err := FromECS(context.Background(), Options{Folder: dir, Guess: true}, file)
		if err != nil {
			return
		}
		for _, f := range d.Files {
			if !filepath.IsLocal(f.Name) {
				t.Fatalf("%q leads out of the folder", f.Name)
			}
		}
		if err := d.Write(context.Background()); err != nil {
			entries, _ := os.ReadDir(dir)
			assert.Empty(t, entries, "%v", err)
		}
	})
}

package parity_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/containers"
	"rehearsal/internal/parity"
	"rehearsal/internal/stage"
)

// today is before every expiry in these tests that is not meant to be past.
var today = time.Date(2026, 11, 26, 23, 59, 0, 0, time.UTC)

var key = []byte("0123456789abcdef0123456789abcdef")

// setup is a small shop.
func setup() *stage.Setup {
	return &stage.Setup{
		Service: "shop", Replicas: 2,
		Health:       stage.Health{Path: "/ready", Port: 8080, Interval: 10 * time.Second, Timeout: time.Second, Healthy: 2, Unhealthy: 2},
		Dependencies: []stage.Dependency{{Name: "database", Kind: "postgres", Port: 5432}},
		Monitoring:   stage.Monitoring{LogGroup: "/ecs/shop"},
	}
}

// compose is its staging copy; tests replace parts of it.
const compose = `
services:
  shop:
    image: shop:v1
    environment:
      PORT: "8080"
      DATABASE_URL: postgres://shop:staging-word@database:5432/shop
    healthcheck: {test: ["CMD", "/shop", "healthcheck"], interval: 10s, timeout: 3s, retries: 3}
    deploy: {replicas: 2, resources: {limits: {memory: 128M, cpus: "0.25"}}}
    stop_grace_period: 10s
    ports: ["8080"]
  database:
    image: postgres:17
    command: ["-c", "max_connections=200", "--log_statement=all"]
    environment: {POSTGRES_PASSWORD: staging-word}
`

// task is the same in production.
const task = `{"taskDefinition": {"cpu": "256", "containerDefinitions": [{
  "name": "shop", "image": "shop:v1", "memory": 128, "stopTimeout": 10,
  "portMappings": [{"containerPort": 8080}],
  "environment": [{"name": "PORT", "value": "8080"}, {"name": "DATABASE_URL", "value": "postgres://shop:production-word@db.internal:5432/shop"}],
  "healthCheck": {"command": ["CMD", "/shop", "healthcheck"], "interval": 10, "timeout": 3, "retries": 3}
}]}, "services": [{"desiredCount": 2}]}`

func project(t require.TestingT, dir, text string) *types.Project {
	file := filepath.Join(dir, "compose.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	p, err := containers.LoadCompose(context.Background(), file)
	require.NoError(t, err)
	return p
}

func read(t *testing.T, s parity.Sources) *parity.Copy {
	t.Helper()
	c, err := parity.Read(t.Context(), s, "shop")
	require.NoError(t, err)
	return c
}

func described(text string) parity.Sources {
	return parity.Sources{Description: []parity.File{{Name: "production.json", Data: []byte(text)}}}
}

// compare lays the staging copy, after the replacements, beside a description.
func compare(t *testing.T, staging string, production *parity.Copy, change func(*parity.Options)) *parity.Ledger {
	t.Helper()
	o := parity.Options{Setup: setup(), Today: today, Key: key}
	if change != nil {
		change(&o)
	}
	return parity.Compare(parity.Staging(project(t, t.TempDir(), staging), o.Setup), production, o)
}

// list is each difference as "standing what: sides".
func list(l *parity.Ledger) (out []string) {
	for _, d := range l.Differences {
		out = append(out, d.Standing.String()+" "+d.What()+": "+d.Sides())
	}
	return out
}

func replaced(t *testing.T, text, old, instead string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(text, old), "%q in %s", old, text)
	return strings.Replace(text, old, instead, 1)
}

func TestWhatIsTheSameIsCounted(t *testing.T) {
	l := compare(t, compose, read(t, described(task)), nil)
	require.Len(t, l.Differences, 1)
	d := l.Differences[0]
	assert.Equal(t, "shop environment.DATABASE_URL", d.What())
	assert.Equal(t, parity.Harmless, d.Standing, "its host and credentials are the staging copy's own")
	assert.Equal(t, 12, l.Same, "image, PORT, cpu, memory, replicas, five of the health check, port, stop time-out")
	assert.False(t, l.Broken())
	assert.Contains(t, l.Notes, "database: production's description does not speak of them")
}

func TestWhatDiffersFromATaskDefinition(t *testing.T) {
	for name, c := range map[string]struct {
		old, instead string // in the task definition
		want         string
	}{
		"tag":                {`"shop:v1"`, `"shop:v2"`, "open shop image: staging shop:v1, production shop:v2"},
		"registry":           {`"shop:v1"`, `"123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/team/shop:v1"`, "harmless shop image: staging shop:v1, production 123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/team/shop:v1"},
		"digest":             {`"shop:v1"`, `"shop@sha256:` + strings.Repeat("a", 64) + `"`, "unknown shop image: staging shop:v1, production shop@sha256:" + strings.Repeat("a", 64)},
		"value":              {`"value": "8080"`, `"value": "80"`, "open shop environment.PORT: staging 8080, production 80"},
		"missing variable":   {`{"name": "PORT", "value": "8080"}`, `{"name": "PORT", "value": "8080"}, {"name": "REGION", "value": "eu"}`, "open shop environment.REGION: staging (not set), production eu"},
		"only in staging":    {`{"name": "PORT", "value": "8080"}, `, ``, "open shop environment.PORT: staging 8080, production (not set)"},
		"another database":   {"5432/shop", "5432/till", "open shop environment.DATABASE_URL: staging secret:2c4c1ed2, production secret:"},
		"memory":             {`"memory": 128`, `"memory": 256`, "open shop memory: staging 128 MiB, production 256 MiB"},
		"cpu":                {`"cpu": "256"`, `"cpu": "1 vCPU"`, "open shop cpu: staging 0.25 vCPU, production 1 vCPU"},
		"replicas":           {`"desiredCount": 2`, `"desiredCount": 6`, "open shop replicas: staging 2, production 6"},
		"replicas not told":  {`, "services": [{"desiredCount": 2}]`, ``, "unknown shop replicas: staging 2, production ?"},
		"health command":     {`"/shop", "healthcheck"`, `"/shop", "check"`, "open shop health.command: staging CMD /shop healthcheck, production CMD /shop check"},
		"health interval":    {`"interval": 10`, `"interval": 30`, "open shop health.interval: staging 10s, production 30s"},
		"health retries":     {`"retries": 3`, `"retries": 2`, "open shop health.retries: staging 3, production 2"},
		"port":               {`{"containerPort": 8080}`, `{"containerPort": 8080}, {"containerPort": 9090}`, "open shop port.9090/tcp: staging (not set), production open"},
		"stop":               {`"stopTimeout": 10`, `"stopTimeout": 60`, "open shop stop.timeout: staging 10s, production 1m0s"},
		"stop by default":    {`"stopTimeout": 10,`, ``, "open shop stop.timeout: staging 10s, production 30s"},
		"ulimit":             {`"memory": 128`, `"memory": 128, "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}]`, "open shop ulimit.nofile: staging (not set), production 1024:4096"},
		"user":               {`"memory": 128`, `"memory": 128, "user": "1000"`, "open shop user: staging (not set), production 1000"},
		"read-only":          {`"memory": 128`, `"memory": 128, "readonlyRootFilesystem": true`, "open shop readonly: staging (not set), production true"},
		"command":            {`"memory": 128`, `"memory": 128, "command": ["serve", "--fast way"]`, `open shop command: staging (not set), production serve "--fast way"`},
		"the log group read": {`"memory": 128`, `"memory": 128, "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/shop"}}`, "harmless shop log.group: staging (not set), production /ecs/shop"},
		"another log group":  {`"memory": 128`, `"memory": 128, "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/till"}}`, "open shop log.group: staging (not set), production /ecs/till"},
		"log lines joined":   {`"memory": 128`, `"memory": 128, "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-multiline-pattern": "^x"}}`, "open shop log.multiline: staging (not set), production ^x"},
		"a sidecar":          {`"containerDefinitions": [{`, `"containerDefinitions": [{"name": "agent", "image": "agent:1"}, {`, "open agent presence: staging missing, production there"},
		"stored secret":      {`"memory": 128`, `"memory": 128, "secrets": [{"name": "PORT2", "valueFrom": "arn:aws:ssm:x"}]`, "open shop environment.PORT2: staging (not set), production stored secret"},
		"variables in S3":    {`"memory": 128, "stopTimeout": 10,`, `"memory": 128, "stopTimeout": 10, "environmentFiles": [{"type": "s3", "value": "arn"}],`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := compare(t, compose, read(t, described(replaced(t, task, c.old, c.instead))), nil)
			var others []string
			for _, line := range list(l) {
				if strings.Contains(line, "environment.DATABASE_URL") && strings.HasPrefix(line, "harmless") {
					continue
				}
				others = append(others, line)
			}
			if c.want == "" {
				assert.Empty(t, others)
				return
			}
			require.Len(t, others, 1)
			if strings.Contains(c.want, "secret:") {
				assert.Regexp(t, `^open shop environment\.DATABASE_URL: staging secret:[0-9a-f]{8}, production secret:[0-9a-f]{8}$`, others[0])
				return
			}
			assert.Equal(t, c.want, others[0])
		})
	}
}

func TestWhatStagingAloneHasIsUnknownWhileProductionsVariablesAre(t *testing.T) {
	text := replaced(t, task, `"stopTimeout": 10,`, `"stopTimeout": 10, "environmentFiles": [{"type": "s3", "value": "arn"}],`)
	l := compare(t, replaced(t, compose, `      PORT: "8080"`, `      PORT: "8080"`+"\n      MODE: fast"), read(t, described(text)), nil)
	assert.Contains(t, list(l), "unknown shop environment.MODE: staging fast, production (not set)")
}

func TestDigestsOfLocalImages(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	production := func() *parity.Copy {
		return read(t, described(replaced(t, task, `"shop:v1"`, `"registry.example/shop@`+digest+`"`)))
	}
	image := func(l *parity.Ledger) string {
		for _, d := range l.Differences {
			if d.Field == "image" {
				return d.Standing.String() + ": " + d.Why
			}
		}
		return "same"
	}
	for name, c := range map[string]struct {
		has  []string
		want string
	}{
		"the same": {[]string{"sha256:" + strings.Repeat("b", 64), digest}, "same"},
		"another":  {[]string{"sha256:" + strings.Repeat("b", 64)}, "open: other bytes: the engine has shop:v1 as sha256:" + strings.Repeat("b", 64)},
		"none":     {nil, "unknown: production names a digest and the staging copy a tag, which cannot be compared: the engine knows no digest of shop:v1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := compare(t, compose, production(), func(o *parity.Options) {
				o.Digests = func(ref string) []string { assert.Equal(t, "shop:v1", ref); return c.has }
			})
			assert.Contains(t, image(l), c.want)
		})
	}
	mine := "shop:v1@" + digest
	assert.Equal(t, "same", image(compare(t, replaced(t, compose, "image: shop:v1", "image: "+mine), production(), nil)), "a digest with a digest")
	l := compare(t, replaced(t, compose, "image: shop:v1", "image: shop@sha256:"+strings.Repeat("c", 64)), production(), nil)
	assert.Contains(t, image(l), "open: other bytes")
	l = compare(t, replaced(t, compose, "image: shop:v1", "image: "+mine), read(t, described(task)), nil)
	assert.Contains(t, image(l), "unknown: production names a tag")
}

func TestTheBalancersHealthCheck(t *testing.T) {
	groups := `{"TargetGroups": [{"TargetGroupName": "a", "HealthCheckPath": "/live", "HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 1, "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2},
		{"TargetGroupName": "b", "HealthCheckPath": "/live", "HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 1, "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2}]}`
	s := described(task)
	s.TargetGroups = &parity.File{Name: "groups.json", Data: []byte(groups)}
	l := compare(t, compose, read(t, s), nil)
	assert.Equal(t, []string{"open shop balancer.healthy: staging 2, production 5", "open shop balancer.path: staging /ready, production /live"}, list(l)[1:])

	s.TargetGroups.Data = []byte(strings.Replace(groups, "/live", "/ready", 1))
	_, err := parity.Read(t.Context(), s, "shop")
	assert.ErrorContains(t, err, `groups.json:1: the target groups "a" and "b" have different health checks`)
}

func TestTheDatabase(t *testing.T) {
	rds := func(version, parameters string) parity.Sources {
		s := described(task)
		s.Databases = map[string][]parity.File{"database": {
			{Name: "instance.json", Data: []byte(`{"DBInstances": [{"DBInstanceIdentifier": "shop", "Engine": "postgres", "EngineVersion": "` + version + `"}]}`)},
			{Name: "parameters.json", Data: []byte(`{"Parameters": [` + parameters + `]}`)},
		}}
		return s
	}
	const agreed = `{"ParameterName": "max_connections", "ParameterValue": "200", "Source": "user"}, {"ParameterName": "log_statement", "ParameterValue": "all"},
		{"ParameterName": "work_mem", "ParameterValue": "4096", "Source": "engine-default"}, {"ParameterName": "unset", "Source": "user"}`
	of := func(s parity.Sources) []string { return list(compare(t, compose, read(t, s), nil)) }
	const minor = "harmless database version: staging 17, production 17.4"
	assert.Contains(t, of(rds("17.4", agreed)), minor)
	assert.Len(t, of(rds("17.4", agreed)), 2)
	assert.Contains(t, of(rds("16.4", agreed)), "open database version: staging 17, production 16.4")
	assert.Contains(t, of(rds("170.1", agreed)), "open database version: staging 17, production 170.1")
	changed := strings.Replace(agreed, `"200"`, `"500"`, 1) + `, {"ParameterName": "jit", "ParameterValue": "0", "Source": "user"}, {"ParameterName": "shared_buffers", "ParameterValue": "{DBInstanceClassMemory/4}", "Source": "user"}`
	got := of(rds("17.4", changed))
	assert.Contains(t, got, "open database parameter.max_connections: staging 200, production 500")
	assert.Contains(t, got, "open database parameter.jit: staging (not set), production 0")
	assert.Contains(t, got, "unknown database parameter.shared_buffers: staging (not set), production {DBInstanceClassMemory/4}")

	l := compare(t, compose, read(t, rds("16.4", agreed)), nil)
	for _, d := range l.Of(parity.Open) {
		assert.Equal(t, parity.Touch{Kind: parity.TouchDependency, Name: "database"}, d.Touches)
	}
	s := rds("17.4", agreed)
	s.Databases["database"][0].Data = []byte(`{"DBInstances": [{"Engine": "aurora-postgresql", "EngineVersion": "17.4"}]}`)
	assert.Contains(t, of(s), "open database engine: staging postgres, production aurora-postgresql")
	got = list(compare(t, replaced(t, compose, "image: postgres:17", "image: postgres:latest"), read(t, rds("17.4", agreed)), nil))
	assert.Contains(t, got, "unknown database version: staging ?, production 17.4")
	got = list(compare(t, replaced(t, compose, "image: postgres:17", "image: postgres:17.4-alpine"), read(t, rds("17.4", agreed)), nil))
	assert.Len(t, got, 1)
}

func TestAlarmsFieldByField(t *testing.T) {
	staging := []alarm.Alarm{
		{AlarmName: "errors", Threshold: 1, EvaluationPeriods: 3, DatapointsToAlarm: 3, Period: 60, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "missing", ActionsEnabled: true, AlarmActions: []string{"a"}},
		{AlarmName: "mine", ActionsEnabled: true},
	}
	production := read(t, described(task))
	production.Alarms = &alarm.Set{Alarms: []alarm.Alarm{
		{AlarmName: "errors", Threshold: 2.5, EvaluationPeriods: 3, Period: 60, ComparisonOperator: "GreaterThanThreshold", ActionsEnabled: true, AlarmActions: []string{"b"}, AlarmDescription: "other"},
		{AlarmName: "theirs", ActionsEnabled: true},
	}}
	l := compare(t, compose, production, func(o *parity.Options) { o.Setup.Alarms = staging })
	assert.Equal(t, []string{
		"open alarms errors.Threshold: staging 1, production 2.5",
		"open alarms mine.presence: staging there, production missing",
		"open alarms theirs.presence: staging missing, production there",
	}, list(l)[:3])
	assert.Equal(t, parity.Touch{Kind: parity.TouchAlarm, Name: "errors"}, l.Differences[0].Touches)

	production.Alarms.Composites = []alarm.Composite{{AlarmName: "worst", AlarmRule: "ALARM(errors)  OR\nALARM(theirs)", ActionsEnabled: true, ActionsSuppressor: "arn:aws:cloudwatch:eu-west-1:1:alarm:mute"}}
	l = compare(t, compose, production, func(o *parity.Options) {
		o.Setup.Alarms = staging
		o.Setup.Composites = []alarm.Composite{{AlarmName: "worst", AlarmRule: "ALARM(errors) OR ALARM(theirs)", ActionsSuppressor: "mute"}}
	})
	assert.Equal(t, "open alarms worst.ActionsEnabled: staging false, production true", list(l)[3])

	production.Alarms = &alarm.Set{}
	assert.Len(t, compare(t, compose, production, func(o *parity.Options) { o.Setup.Alarms = staging }).Of(parity.Open), 2, "an export without alarms is one")
	production.Alarms = nil
	assert.Empty(t, compare(t, compose, production, func(o *parity.Options) { o.Setup.Alarms = staging }).Of(parity.Open), "no export is none")
}

func TestOwnAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		staging, production string
		want                parity.Standing
	}{
		"url":                {"http://database:5432/x?a=b", "http://db.internal:5432/x?a=b", parity.Harmless},
		"port of the scheme": {"http://database/x", "http://db.internal:80/x", parity.Harmless},
		"jdbc":               {"jdbc:postgresql://database:5432/shop", "jdbc:postgresql://db.internal:5432/shop", parity.Harmless},
		"host and port":      {"database:5432", "db.internal:5432", parity.Harmless},
		"host":               {"database", "db.internal", parity.Harmless},
		"another scheme":     {"http://database:5432", "https://db.internal:5432", parity.Open},
		"another port":       {"database:5432", "db.internal:5433", parity.Open},
		"another path":       {"http://database/a", "http://db.internal/b", parity.Open},
		"another option":     {"http://database/?sslmode=disable", "http://db.internal/?sslmode=require", parity.Open},
		"not its own":        {"http://elsewhere/x", "http://db.internal/x", parity.Open},
		"production's":       {"http://db.internal/x", "http://database/x", parity.Open},
		"a word":             {"slow", "fast", parity.Open},
		"two words":          {"database", "not an address", parity.Open},
		"nothing":            {"database", "", parity.Open},
	} {
		t.Run(name, func(t *testing.T) {
			staging := strings.Replace(compose, `PORT: "8080"`, `PORT: "8080"`+"\n      WHERE: \""+c.staging+`"`, 1)
			production := strings.Replace(task, `{"name": "PORT", "value": "8080"}`, `{"name": "PORT", "value": "8080"}, {"name": "WHERE", "value": "`+c.production+`"}`, 1)
			l := compare(t, staging, read(t, described(production)), nil)
			for _, d := range l.Differences {
				if d.Field == "environment.WHERE" {
					assert.Equal(t, c.want, d.Standing)
					return
				}
			}
			assert.Fail(t, "no difference")
		})
	}
}

func TestWaivers(t *testing.T) {
	different := replaced(t, task, `"memory": 128`, `"memory": 256`)
	waived := func(text string) *parity.Ledger {
		ws, err := parity.ParseWaivers("waivers.yaml", []byte(text))
		require.NoError(t, err)
		return compare(t, compose, read(t, described(different)), func(o *parity.Options) { o.Waivers = ws })
	}
	one := func(what, expires, more string) string {
		return "- {what: " + what + ", reason: no room, owner: us, expires: " + expires + more + "}\n"
	}
	l := waived(one("shop memory", "2026-11-27", ""))
	assert.False(t, l.Broken())
	require.Len(t, l.Of(parity.Waived), 1)
	assert.Equal(t, "no room", l.Of(parity.Waived)[0].Why)
	assert.Equal(t, "us", l.Of(parity.Waived)[0].Waiver.Owner)

	assert.False(t, waived(one("shop memory", "2026-11-26", "")).Broken(), "on its last day it holds")

	l = waived(one("shop memory", "2026-11-25", ""))
	assert.True(t, l.Broken())
	require.Len(t, l.Of(parity.Open), 1)
	assert.Contains(t, l.Of(parity.Open)[0].Why, "its waiver expired on 2026-11-25 (waivers.yaml:1)")
	assert.Len(t, l.Expired, 1)

	l = waived(one("shop memory", "2027-12-31", "") + one("shop cpu", "2027-12-31", ""))
	assert.False(t, l.Broken(), "what matches nothing is a warning")
	require.Len(t, l.Stale, 1)
	assert.Equal(t, "shop cpu", l.Stale[0].What)

	assert.True(t, waived(one("shop memory", "2027-12-31", "")+one("shop cpu", "2026-01-01", "")).Broken(), "an expired one must go, also when it matches nothing")
	assert.False(t, waived(one("shop memory", "2027-12-31", ", staging: 128 MiB, production: 256 MiB")).Broken())
	l = waived(one("shop memory", "2027-12-31", ", production: 192 MiB"))
	assert.True(t, l.Broken(), "it is for another value")
	assert.Len(t, l.Stale, 1)
	assert.True(t, waived("").Broken())
	assert.Len(t, waived(one("shop memory", "2027-12-31", "")+one("shop environment.DATABASE_URL", "2027-12-31", "")).Stale, 1, "what is harmless needs none")
}

func TestWhatIsUnknownMayBeWaived(t *testing.T) {
	ws, err := parity.ParseWaivers("waivers.yaml", []byte("- {what: shop replicas, reason: scales, owner: us, expires: 2027-12-31}"))
	require.NoError(t, err)
	l := compare(t, compose, read(t, described(replaced(t, task, `, "services": [{"desiredCount": 2}]`, ``))), func(o *parity.Options) { o.Waivers = ws })
	assert.Empty(t, l.Of(parity.Unknown))
	assert.Len(t, l.Of(parity.Waived), 1)
}

func TestMistakesInWaivers(t *testing.T) {
	const good = "- what: shop cpu\n  reason: so\n  owner: us\n  expires: 2027-12-31\n"
	for name, c := range map[string]struct{ text, want string }{
		"no list":         {"what: x", "w.yaml:1: want a list of waivers"},
		"no waiver":       {"- x", "w.yaml:1: want a waiver"},
		"no YAML":         {"- [", "w.yaml:2: this is not YAML"},
		"no reason":       {strings.Replace(good, "  reason: so\n", "", 1), `w.yaml:1: a waiver needs "reason": why it is wanted`},
		"empty reason":    {strings.Replace(good, "reason: so", "reason: ''", 1), `w.yaml:1: a waiver needs "reason"`},
		"no owner":        {strings.Replace(good, "  owner: us\n", "", 1), `w.yaml:1: a waiver needs "owner"`},
		"no expiry":       {strings.Replace(good, "  expires: 2027-12-31\n", "", 1), `w.yaml:1: a waiver needs "expires"`},
		"no day":          {strings.Replace(good, "2027-12-31", "2027-02-31", 1), `w.yaml:4: expires: "2027-02-31" is not a day`},
		"no what":         {strings.Replace(good, "what: shop cpu", "reason: so", 1), `w.yaml:2: reason is given twice`},
		"unknown key":     {good + "  until: x\n", `w.yaml:5: unknown key "until"`},
		"twice":           {good + good, `w.yaml:5: "shop cpu" is waived already in line 1`},
		"a list":          {strings.Replace(good, "reason: so", "reason: [so]", 1), `w.yaml:2: reason: want text`},
		"second document": {good + "---\n" + good, "a second document begins"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parity.ParseWaivers("w.yaml", []byte(c.text))
			assert.ErrorContains(t, err, c.want)
		})
	}
	ws, err := parity.ParseWaivers("w.yaml", []byte("# none yet\n"))
	assert.NoError(t, err)
	assert.Empty(t, ws)
}

func FuzzParseWaivers(f *testing.F) {
	f.Add([]byte("- {what: shop cpu, reason: so, owner: us, expires: 2027-12-31}"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = parity.ParseWaivers("w.yaml", data) })
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(task))
	f.Add([]byte(deployment))
	f.Add([]byte("services: {shop: {image: 'shop:${TAG}'}}"))
	dir := f.TempDir()
	staging := parity.Staging(project(f, dir, compose), setup())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parity.Read(t.Context(), parity.Sources{Description: []parity.File{{Name: filepath.Join(dir, "p"), Data: data}}}, "shop")
		if err == nil {
			parity.Compare(staging, c, parity.Options{Setup: setup(), Today: today, Key: key})
		}
	})
}

func TestALedgerIsReadableByMachines(t *testing.T) {
	l := compare(t, compose, read(t, described(replaced(t, task, `"memory": 128`, `"memory": 256`))), nil)
	text, err := json.Marshal(l)
	require.NoError(t, err)
	assert.Contains(t, string(text), `{"service":"shop","field":"memory","staging":"128 MiB","production":"256 MiB","standing":"open","touches":{"kind":"memory"}}`)
}

func TestEveryStandingAndTouchHasAName(t *testing.T) {
	for s := parity.Open; s <= parity.Harmless; s++ {
		assert.NotEmpty(t, s.String())
	}
	assert.Panics(t, func() { _ = (parity.Harmless + 1).String() })
	for k := parity.TouchAll; k <= parity.TouchLogs; k++ {
		assert.NotEmpty(t, k.String())
	}
	assert.Panics(t, func() { _ = (parity.TouchLogs + 1).String() })
}

// Whatever the secret, and wherever it stands, nothing that is shown holds it.
func TestNoSecretIsEverShown(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Za-z0-9]{8,20}x`).Draw(t, "secret")
		other := rapid.StringMatching(`[A-Za-z0-9]{8,20}y`).Draw(t, "other")
		name := rapid.SampledFrom([]string{"DB_PASSWORD", "API_TOKEN", "STRIPE_KEY", "Passwd", "CLIENT_SECRET", "SESSION_SALT"}).Draw(t, "name")
		staging := strings.NewReplacer("staging-word", secret, `PORT: "8080"`, `PORT: "8080"`+"\n      "+name+": "+secret+"\n      PLAIN: see "+secret).Replace(compose)
		production := strings.NewReplacer("production-word", other, `{"name": "PORT", "value": "8080"}`,
			`{"name": "PORT", "value": "8080"}, {"name": "`+name+`", "value": "`+other+`"}, {"name": "PLAIN", "value": "see `+other+`"}`,
			`"memory": 128`, `"memory": 128, "command": ["serve", "--with", "`+other+`"], "user": "`+secret+`"`).Replace(task)
		c, err := parity.Read(context.Background(), described(production), "shop")
		require.NoError(t, err)
		l := parity.Compare(parity.Staging(project(t, dir, staging), setup()), c, parity.Options{Setup: setup(), Today: today, Key: key})
		text, err := json.Marshal(l)
		require.NoError(t, err)
		assert.NotContains(t, string(text), secret)
		assert.NotContains(t, string(text), other)
		assert.Contains(t, string(text), "environment."+name)
	})
}

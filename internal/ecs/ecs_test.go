package ecs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/ecs"
)

func TestTheShopsTaskDefinition(t *testing.T) {
	d, err := ecs.ReadFiles("../../fixtures/production.json")
	require.NoError(t, err)
	c := d.Container("shop")
	require.NotNil(t, c)
	assert.Nil(t, d.Container("till"))
	assert.Nil(t, d.Service())
	n, known := d.Replicas()
	assert.True(t, known)
	assert.Equal(t, 2, n, "the tag")
	memory, err := d.Memory(c)
	require.NoError(t, err)
	assert.EqualValues(t, 128<<20, memory)
	cpu, err := d.CPU(c)
	require.NoError(t, err)
	assert.EqualValues(t, 256, cpu)
	assert.Equal(t, 10*time.Second, ecs.StopTimeout(c))
	assert.Equal(t, &ecs.HealthCheck{Command: []string{"CMD", "/shop", "healthcheck"}, Interval: 10 * time.Second, Timeout: 3 * time.Second, StartPeriod: 5 * time.Second, Retries: 3}, ecs.HealthCheckOf(c))
	assert.Equal(t, "DATABASE_URL", *c.Secrets[0].Name)
}

const task = `{"taskDefinition": {"taskDefinitionArn": "arn:task:2", "containerDefinitions": [{"name": "shop", "image": "shop:v1"}], "registeredAt": 1790561352.204}}`

func add(t *testing.T, texts ...string) *ecs.Description {
	t.Helper()
	d := &ecs.Description{}
	for _, text := range texts {
		require.NoError(t, d.Add("a.json", []byte(text)))
	}
	return d
}

func TestAServiceSaysHowManyTasks(t *testing.T) {
	service := `{"services": [{"serviceName": "shop", "desiredCount": 4, "taskDefinition": "arn:task:2"}], "failures": []}`
	for name, texts := range map[string][]string{
		"two files":              {task, service},
		"the other way round":    {service, task},
		"one after the other":    {task + "\n" + service},
		"in one":                 {`{"services": [{"desiredCount": 4}], "taskDefinition": {"containerDefinitions": [{"name": "shop"}]}}`},
		"as it is registered":    {`{"family": "shop", "containerDefinitions": [{"name": "shop"}]}`, service},
		"of several, ours":       {task, `{"services": [{"desiredCount": 9, "taskDefinition": "arn:task:1"}, {"desiredCount": 4, "taskDefinition": "arn:task:2"}]}`},
		"with what has no types": {task, `{"services": [{"deployments": [{"serviceConnectConfiguration": {"enabled": true, "containerConfigurations": [{"accessLog": {"a": "]"}}, {}]}}], "deploymentConfiguration": {"lifecycleHooks": [{"hookDetails": {"a": {}}}, {"hookDetails": {}}]}, "desiredCount": 4}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			d := add(t, texts...)
			n, known := d.Replicas()
			assert.True(t, known)
			assert.Equal(t, 4, n)
			assert.NotNil(t, d.Container("shop"))
		})
	}
	_, known := add(t, task).Replicas()
	assert.False(t, known)
	assert.Nil(t, add(t, task, `{"services": [{}, {}]}`).Service())
}

func TestUnitsAndDefaults(t *testing.T) {
	for memory, want := range map[string]int64{"512": 512 << 20, "1GB": 1 << 30, "0.5 GB": 512 << 20, "": 0, "lots": -1, "-5": -1, "NaN": -1, "1e30": -1} {
		d := add(t, `{"taskDefinition": {"memory": "`+memory+`", "containerDefinitions": [{"name": "shop"}]}}`)
		got, err := d.Memory(d.Container("shop"))
		if want < 0 {
			assert.ErrorContains(t, err, "memory", memory)
			continue
		}
		assert.NoError(t, err, memory)
		assert.Equal(t, want, got, memory)
	}
	for cpu, want := range map[string]int64{"256": 256, "1 vCPU": 1024, ".25 vcpu": 256, "": 10, "much": -1, "0": -1} {
		d := add(t, `{"taskDefinition": {"cpu": "`+cpu+`", "containerDefinitions": [{"name": "shop", "cpu": 10}]}}`)
		got, err := d.CPU(d.Container("shop"))
		if want < 0 {
			assert.ErrorContains(t, err, "cpu", cpu)
			continue
		}
		assert.NoError(t, err, cpu)
		assert.Equal(t, want, got, cpu)
	}
	d := add(t, `{"taskDefinition": {"containerDefinitions": [{"name": "shop", "healthCheck": {"command": ["CMD", "x"]}}, {"name": "none"}]}}`)
	assert.Equal(t, 30*time.Second, ecs.StopTimeout(d.Container("shop")))
	assert.Equal(t, &ecs.HealthCheck{Command: []string{"CMD", "x"}, Interval: 30 * time.Second, Timeout: 5 * time.Second, Retries: 3}, ecs.HealthCheckOf(d.Container("shop")))
	assert.Nil(t, ecs.HealthCheckOf(d.Container("none")))
}

func TestMistakesNameFileAndLine(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "p.json:1: this is not JSON"},
		"cut off":             {"{\n\"taskDefinition\": {", "p.json:2: this is not JSON"},
		"not JSON":            {"{\n\n  taskDefinition: 1}", "p.json:3: this is not JSON"},
		"another output":      {`{"MetricAlarms": []}`, "p.json:1: there is neither"},
		"a list":              {"[]", "p.json:1:"},
		"text for a number":   {"{\"taskDefinition\": {\"containerDefinitions\": [\n{\"memory\":\n\"128\"}]}}", "p.json:3: taskDefinition.containerDefinitions.memory is a JSON string: want a whole number"},
		"number for text":     {"{\"taskDefinition\": {\"cpu\":\n256}}", "p.json:2: taskDefinition.cpu is a JSON number: want text"},
		"no such service":     {`{"services": [], "failures": [{"arn": "arn:shop", "reason": "MISSING"}]}`, "p.json:1: AWS could not describe arn:shop (MISSING)"},
		"second definition":   {task + "\n" + task, "p.json:2: a second task definition"},
		"wrong after no type": {"{\"services\": [{\"deploymentConfiguration\": {\"lifecycleHooks\": [{\"hookDetails\": {}}]},\n\"desiredCount\":\n\"4\"}]}", "p.json:3: services.desiredCount"},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&ecs.Description{}).Add("p.json", []byte(c.text))
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
			var m *ecs.Mistake
			assert.ErrorAs(t, err, &m)
		})
	}
	_, err := ecs.ReadFiles("nosuch.json")
	assert.ErrorContains(t, err, "nosuch.json: cannot be read")
	file := filepath.Join(t.TempDir(), "services.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"services": []}`), 0o600))
	_, err = ecs.ReadFiles(file)
	assert.ErrorContains(t, err, "there is no task definition with containers")
}

func FuzzAdd(f *testing.F) {
	f.Add([]byte(task))
	f.Add([]byte(`{"services": [{"deploymentConfiguration": {"lifecycleHooks": [{"hookDetails": {}}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &ecs.Description{}
		if d.Add("p.json", data) != nil {
			return
		}
		_ = d.Service()
		_, _ = d.Replicas()
		for i := range d.TaskDefinition.ContainerDefinitions {
			c := &d.TaskDefinition.ContainerDefinitions[i]
			_, _ = d.Memory(c)
			_, _ = d.CPU(c)
			_ = ecs.HealthCheckOf(c)
		}
	})
}

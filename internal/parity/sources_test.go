package parity_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/parity"
)

// deployment is the small shop in Kubernetes.
const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  creationTimestamp: "2026-09-28T02:09:12Z"
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 10
      containers:
      - name: app
        image: shop:v1
        env:
          - {name: PORT, value: "8080"}
          - {name: DATABASE_URL, valueFrom: {secretKeyRef: {name: shop, key: url}}}
        resources: {limits: {cpu: 250m, memory: 128Mi}}
        readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 10, timeoutSeconds: 1, successThreshold: 2, failureThreshold: 2}
        livenessProbe: {exec: {command: [/shop, healthcheck]}, periodSeconds: 10, timeoutSeconds: 3}
`

func TestADeployment(t *testing.T) {
	l := compare(t, compose, read(t, described(deployment)), nil)
	assert.Equal(t, []string{"harmless shop environment.DATABASE_URL: staging " + l.Differences[0].Staging + ", production stored secret"}, list(l))
	assert.Greater(t, l.Same, 15)

	for name, c := range map[string]struct{ old, instead, want string }{
		"cpu":           {"cpu: 250m", "cpu: 1500m", "open shop cpu: staging 0.25 vCPU, production 1.5 vCPU"},
		"memory":        {"memory: 128Mi", "memory: 1Gi", "open shop memory: staging 128 MiB, production 1024 MiB"},
		"odd memory":    {"memory: 128Mi", "memory: 128M", "open shop memory: staging 128 MiB, production 128000000 bytes"},
		"replicas":      {"replicas: 2", "replicas: 3", "open shop replicas: staging 2, production 3"},
		"path":          {"path: /ready", "path: /live", "open shop balancer.path: staging /ready, production /live"},
		"threshold":     {"failureThreshold: 2", "failureThreshold: 4", "open shop balancer.unhealthy: staging 2, production 4"},
		"liveness":      {"[/shop, healthcheck]", "[/shop, alive]", "open shop health.command: staging CMD /shop healthcheck, production CMD /shop alive"},
		"stop":          {"terminationGracePeriodSeconds: 10", "terminationGracePeriodSeconds: 45", "open shop stop.timeout: staging 10s, production 45s"},
		"user":          {"        image:", "        securityContext: {runAsUser: 1000, runAsGroup: 2000}\n        image:", "open shop user: staging (not set), production 1000:2000"},
		"read-only":     {"        image:", "        securityContext: {readOnlyRootFilesystem: true}\n        image:", "open shop readonly: staging (not set), production true"},
		"arguments":     {"        image:", "        args: [serve]\n        image:", "open shop command: staging (not set), production serve"},
		"port":          {"        image:", "        ports: [{containerPort: 9090}]\n        image:", "open shop port.9090/tcp: staging (not set), production open"},
		"of the pod":    {`value: "8080"`, `valueFrom: {fieldRef: {fieldPath: status.podIP}}`, "unknown shop environment.PORT: staging 8080, production ?"},
		"of a map":      {`value: "8080"`, `valueFrom: {configMapKeyRef: {name: shop, key: port}}`, "unknown shop environment.PORT: staging 8080, production ?"},
		"put together":  {`value: "8080"`, `value: "$(A)1"`, "unknown shop environment.PORT: staging 8080, production $(A)1"},
		"a map missing": {"        env:\n          - {name: PORT, value: \"8080\"}", "        envFrom: [{configMapRef: {name: shop}}]\n        env:", "unknown shop environment.PORT: staging 8080, production (not set)"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, list(compare(t, compose, read(t, described(replaced(t, deployment, c.old, c.instead))), nil)), c.want)
		})
	}
}

func TestManifestsTogether(t *testing.T) {
	from := replaced(t, deployment, "        env:\n          - {name: PORT, value: \"8080\"}", "        envFrom: [{configMapRef: {name: shop}}, {secretRef: {name: more}}]\n        env:")
	more := `
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {PORT: "80"}
---
apiVersion: v1
kind: Secret
metadata: {name: more}
data: {HIDDEN: aHVudGVyMg==}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop}
spec: {minReplicas: 2, maxReplicas: 10, scaleTargetRef: {kind: Deployment, name: shop}}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`
	check := func(t *testing.T, s parity.Sources) {
		got := list(compare(t, compose, read(t, s), nil))
		assert.Contains(t, got, "open shop environment.PORT: staging 8080, production 80")
		assert.NotContains(t, strings.Join(got, "\n"), "port.")
		for _, line := range got {
			if strings.Contains(line, "HIDDEN") {
				assert.Regexp(t, "^open shop environment.HIDDEN: staging .not set., production secret:[0-9a-f]{8}$", line)
			}
		}
		assert.Contains(t, got, "open shop autoscaling.replicas: staging (not set), production 2 to 10")
		assert.Len(t, got, 4)
	}
	t.Run("documents", func(t *testing.T) { check(t, described(from+more)) })
	t.Run("files", func(t *testing.T) {
		check(t, parity.Sources{Description: []parity.File{{Name: "a", Data: []byte(from)}, {Name: "b", Data: []byte(more)}}})
	})
	t.Run("a list", func(t *testing.T) {
		text := "apiVersion: v1\nkind: List\nitems:\n"
		for _, doc := range strings.Split(from+more, "---") {
			text += "-\n"
			for _, line := range strings.Split(strings.Trim(doc, "\n"), "\n") {
				text += "  " + line + "\n"
			}
		}
		check(t, described(text))
	})
}

func TestAnAutoscalerIsTold(t *testing.T) {
	text := deployment + `
---
kind: HorizontalPodAutoscaler
spec: {maxReplicas: 10, scaleTargetRef: {name: shop}}
`
	c := read(t, described(text))
	assert.Equal(t, parity.Fact{Value: "1 to 10"}, c.Services["shop"].Facts["autoscaling.replicas"])
	assert.Contains(t, list(compare(t, compose, c, nil)), "open shop autoscaling.replicas: staging (not set), production 1 to 10")
}

func composeFile(t *testing.T, text string, more map[string]string) parity.Sources {
	t.Helper()
	dir := t.TempDir()
	for name, content := range more {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return parity.Sources{Description: []parity.File{{Name: filepath.Join(dir, "production.yaml"), Data: []byte(text)}}}
}

func TestAComposeFile(t *testing.T) {
	t.Setenv("TAG", "of-this-process")
	assert.Empty(t, list(compare(t, compose, read(t, composeFile(t, compose, nil)), nil)), "the same file")

	production := strings.NewReplacer("shop:v1", "shop:${TAG}", "128M", "256M", `PORT: "8080"`, `PORT: "${PORT:-80}"`+"\n      MODE:").Replace(compose) + `
    networks: [outside]
  proxy:
    image: proxy:1
    network_mode: host
networks: {outside: {external: true}}
`
	got := list(compare(t, compose, read(t, composeFile(t, production, nil)), nil))
	assert.Contains(t, got, "unknown shop image: staging shop:v1, production ?")
	assert.Contains(t, got, "open shop memory: staging 128 MiB, production 256 MiB")
	assert.Contains(t, got, "open shop environment.PORT: staging 8080, production 80")
	assert.Contains(t, got, "unknown shop environment.MODE: staging (not set), production ?")
	assert.Contains(t, got, "open proxy presence: staging missing, production there")

	got = list(compare(t, compose, read(t, composeFile(t, production, map[string]string{".env": "TAG=v1\nPORT=8080\n"})), nil))
	assert.NotContains(t, strings.Join(got, "\n"), "shop image")
	assert.NotContains(t, strings.Join(got, "\n"), "environment.PORT")
}

func TestAMistakeInAnEnvFileDoesNotShowIt(t *testing.T) {
	for _, name := range []string{"shop.env", ".env"} {
		for _, line := range []string{"SIGNING*KEY=hunter2", "KEY='hunter2"} {
			s := composeFile(t, "services: {shop: {image: a, env_file: shop.env}}", map[string]string{"shop.env": "A=1", name: line})
			_, err := parity.Read(t.Context(), s, "shop")
			require.ErrorContains(t, err, name)
			assert.NotContains(t, err.Error(), "hunter2")
		}
	}
}

func TestNamesThatDiffer(t *testing.T) {
	text := replaced(t, task, `"containerDefinitions": [{`, `"containerDefinitions": [{"name": "db", "image": "postgres:17"}, {`)
	text = replaced(t, text, `"name": "shop", "image"`, `"name": "app", "image"`)
	_, err := parity.Read(t.Context(), described(text), "shop")
	assert.ErrorContains(t, err, `production.json: none of its containers is called "shop": it has ["app" "db"]: say which it is, production: {containers: {shop: NAME}}`)
	s := described(text)
	s.Containers = map[string]string{"shop": "app", "database": "db"}
	c := read(t, s)
	assert.Contains(t, c.Services, "shop")
	assert.Contains(t, c.Services, "database")
	s.Containers = map[string]string{"shop": "web"}
	_, err = parity.Read(t.Context(), s, "shop")
	assert.ErrorContains(t, err, `there is no container "web"`)
}

func TestMistakesInADescription(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "p:1: the file is empty"},
		"text":                {"hello", "p:1: want production's description"},
		"neither":             {"a: [", "p:2: this is neither JSON nor YAML"},
		"cut off":             {"{\n\t\"taskDefinition\":\n{", "p:3: this is not JSON"},
		"compose type":        {"services:\n  shop:\n    image: x\n    ports: 12", "p:4: "},
		"compose secret":      {"services:\n  shop:\n    image: x\n    environment:\n      A: \"${hunter2!\"", "p:5: services.shop.environment.A: its $ is neither of a variable"},
		"no deployment":       {"kind: ConfigMap\nmetadata: {name: x}", "p: there is no Deployment in it"},
		"no containers":       {"kind: Deployment\nmetadata: {name: x}", `p:1: the Deployment "x" has no containers`},
		"kubernetes type":     {"kind: Deployment\nspec:\n  replicas: two\n", "p:3: spec.replicas must not be a JSON string"},
		"type in a list":      {"kind: List\nitems:\n- kind: Deployment\n  spec:\n    replicas: two\n", "p:5: spec.replicas must not be a JSON string"},
		"a second deployment": {deployment + "---" + deployment, "a second Deployment"},
		"a secret":            {deployment + "---\nkind: Secret\nmetadata: {name: x}\ndata: {a: '%%hunter2'}", `the Secret "x" cannot be read`},
		"task memory":         {`{"taskDefinition": {"memory": "much", "containerDefinitions": [{"name": "shop"}]}}`, `p: container "shop": the task's memory "much"`},
		"deep":                {"kind: Deployment\na: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "p"},
		"aliases":             {"kind: Deployment\na: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\nh: &h [*g, *g, *g, *g, *g, *g, *g, *g, *g]\ni: [*h, *h, *h, *h, *h, *h, *h, *h, *h]\n", "p"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parity.Read(t.Context(), parity.Sources{Description: []parity.File{{Name: "p", Data: []byte(c.text)}}}, "shop")
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := parity.Read(t.Context(), parity.Sources{Description: []parity.File{{Name: "a", Data: []byte(task)}, {Name: "b", Data: []byte(deployment)}}}, "shop")
	assert.ErrorContains(t, err, "a, b: they are of different kinds (ECS, Kubernetes)")
}

func TestAFolderMayBeNamedWithoutALetterOfLatin(t *testing.T) {
	name := filepath.Join(t.TempDir(), "本番", "production.yaml")
	c, err := parity.Read(t.Context(), parity.Sources{Description: []parity.File{{Name: name, Data: []byte("services:\n  shop:\n    image: shop:1\n")}}}, "shop")
	require.NoError(t, err)
	assert.Contains(t, c.Services, "shop")
}

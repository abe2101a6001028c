package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

// writeCompose writes a compose file, and files beside it, into a folder of its own.
func writeCompose(t *testing.T, text string, beside map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range beside {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
	file := filepath.Join(dir, "compose.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestTheSampleComposeFileIsRead(t *testing.T) {
	p, err := LoadCompose(t.Context(), "../../fixtures/compose.yaml")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"database", "payments", "shop"}, p.ServiceNames())
	require.Equal(t, int64(128<<20), memoryLimit(p.Services["shop"]))
	require.Equal(t, "shop", environmentOf(p.Services["database"])["POSTGRES_USER"])
	files := copiedFiles(p, p.Services["database"])
	require.Len(t, files, 1)
	require.Equal(t, "/docker-entrypoint-initdb.d", files[0].target)
}

func TestMistakesInAComposeFile(t *testing.T) {
	t.Setenv("FROM_THE_SHELL", "secret")
	for name, c := range map[string]struct {
		text string
		want []string // lines of the error, "LINE: text"
	}{
		"empty":            {"", []string{": the file is empty"}},
		"no YAML":          {"services:\n  shop:\n    image: a\n   user: b\n", []string{":4: this is not YAML"}},
		"twice":            {"services:\n  a:\n    image: a\n  a:\n    image: b\n", []string{":4: this is not YAML"}},
		"no services":      {"services: {}\n", []string{":1: it describes no service"}},
		"wrong type":       {"services:\n  shop:\n    image: [a]\n", []string{":3: services.shop.image must be a string"}},
		"misspelt":         {"services:\n  shop:\n    image: a\n    imagge: b\n", []string{`:4: services.shop.imagge: compose knows no "imagge"`}},
		"bad size":         {"services:\n  shop:\n    image: a\n    mem_limit: 12q\n", []string{":4: 'services[shop].mem_limit' invalid suffix"}},
		"two bad values":   {"services:\n  shop:\n    image: a\n    mem_limit: 12q\n    stop_grace_period: soon\n", []string{":4: ", ":5: "}},
		"unknown need":     {"services:\n  shop:\n    image: a\n    depends_on: [b]\n", []string{`:4: service "shop" depends on undefined service "b"`}},
		"circle":           {"services:\n  a:\n    image: a\n    depends_on: [b]\n  b:\n    image: a\n    depends_on: [a]\n", []string{":4: dependency cycle detected: a -> b -> a"}},
		"unknown volume":   {"services:\n  shop:\n    image: a\n    volumes: ['data:/x']\n", []string{`:4: service "shop" refers to undefined volume data`}},
		"unset variable":   {"services:\n  shop:\n    image: a:${TAG}\n", []string{":3: error while interpolating services.shop.image: variable TAG is not set: set it in the .env file"}},
		"shell variable":   {"services:\n  shop:\n    image: a:$FROM_THE_SHELL\n", []string{":3: ", "FROM_THE_SHELL is not set"}},
		"required":         {"services:\n  shop:\n    image: a:${TAG:?say which}\n", []string{":3: ", "say which"}},
		"no brace":         {"services:\n  shop:\n    image: a:${TAG\n", []string{":3: invalid interpolation format"}},
		"passed through":   {"services:\n  shop:\n    image: a\n    environment:\n      - FROM_THE_SHELL\n", []string{`:5: service "shop": FROM_THE_SHELL has no value`}},
		"no image":         {"services:\n  shop:\n    user: me\n", []string{`:2: service "shop" has neither an image nor a build context specified`}},
		"privileged":       {"services:\n  shop:\n    image: a\n    privileged: true\n", []string{`:4: service "shop": privileged is not supported in a rehearsal: a stage never gets hold of this machine`}},
		"host network":     {"services:\n  shop:\n    image: a\n    network_mode: host\n", []string{`:4: service "shop": network_mode is not supported`}},
		"devices":          {"services:\n  shop:\n    image: a\n    devices: ['/dev/kvm:/dev/kvm']\n    dns: 8.8.8.8\n", []string{":4: ", ":5: "}},
		"socket":           {"services:\n  shop:\n    image: a\n    volumes:\n      - /dev/null:/var/run/docker.sock\n", []string{`:5: service "shop": the volume /dev/null is neither a file nor a folder`}},
		"missing file":     {"services:\n  shop:\n    image: a\n    volumes:\n      - ./nowhere:/x\n", []string{`:5: service "shop": the volume /x is not there`}},
		"missing env":      {"services:\n  shop:\n    image: a\n    env_file: nowhere.env\n", []string{":4: env_file: there is no file", "nowhere.env"}},
		"host gateway":     {"services:\n  shop:\n    image: a\n    extra_hosts: ['db:host-gateway']\n", []string{`:4: service "shop": extra_hosts: db is this machine`}},
		"fixed address":    {"services:\n  shop:\n    image: a\n    networks: {default: {ipv4_address: 10.0.0.2}}\n", []string{":4: ", "fixed addresses"}},
		"global":           {"services:\n  shop:\n    image: a\n    deploy: {mode: global}\n", []string{`:4: service "shop": deploy.mode "global" is not supported`}},
		"external":         {"services:\n  shop:\n    image: a\n    networks: [n]\n    volumes: ['v:/v']\nnetworks:\n  n: {external: true}\nvolumes:\n  v: {external: true}\n", []string{`:7: network "n" is external`, `:9: volume "v" is external`}},
		"shell secret":     {"services:\n  shop:\n    image: a\n    secrets: [s]\nsecrets:\n  s: {environment: FROM_THE_SHELL}\n", []string{":6: secrets.s comes from the shell's environment"}},
		"never healthy":    {"services:\n  shop:\n    image: a\n    depends_on:\n      db: {condition: service_healthy}\n  db:\n    image: b\n    healthcheck: {disable: true}\n", []string{`:5: service "shop": it waits until "db" is healthy, whose healthcheck is disabled`}},
		"misspelt beside":  {"services:\n  shop:\n    image: a\nnetwrks: {}\n", []string{`:4: compose knows no "netwrks": is it misspelt?`}},
		"models":           {"services:\n  shop:\n    image: a\nmodels:\n  m: {model: x}\n", []string{`:5: model "m": models are not supported`}},
		"of a profile":     {"services:\n  shop:\n    image: a\n    depends_on: [b]\n  b:\n    image: b\n    profiles: [x]\n", []string{`:4: service "shop" depends on undefined service "b": it has profiles, so name one of them in rehearsal.yaml`}},
		"only profiles":    {"services:\n  b:\n    image: b\n    profiles: [x]\n", []string{`:1: it describes only services that have profiles`}},
		"no base":          {"services:\n  shop:\n    extends: {service: base}\n", []string{`:3: service "shop" extends the service "base", which there is not in compose.yaml`}},
		"no base file":     {"services:\n  shop:\n    extends: {file: base.yaml, service: base}\n", []string{`:3: extends: there is no file `}},
		"circle of bases":  {"services:\n  a:\n    extends: {service: b}\n  b:\n    extends: {service: a}\n", []string{`services that extend each other in a circle: `}},
		"no include":       {"include: [other.yaml]\nservices:\n  a: {image: a}\n", []string{`:1: include: there is no file `}},
		"remote include":   {"include: ['https://example.com/x.git']\nservices:\n  a: {image: a}\n", []string{`:1: only files of this machine can be included and extended`}},
		"includes itself":  {"include: [compose.yaml]\nservices:\n  a: {image: a}\n", []string{`:1: files that include each other in a circle`}},
		"undefined secret": {"services:\n  shop:\n    image: a\n    secrets: [x]\n", []string{`:4: service "shop" refers to undefined secret x`}},
		"odd healthcheck":  {"services:\n  shop:\n    image: a\n    healthcheck: {test: [curl, x]}\n", []string{`:4: healthcheck.test must start either by "CMD"`}},
		"merged":           {"x-common: &c\n  privileged: true\nservices:\n  shop:\n    <<: *c\n    image: a\n", []string{`:2: service "shop": privileged is not supported`}},
		"named owner":      {"services:\n  shop:\n    image: a\n    secrets:\n      - {source: s, uid: app}\nsecrets:\n  s: {file: compose.yaml}\n", []string{`:5: service "shop": secrets: the owner "app" of s is not a number`}},
		"seccomp":          {"services:\n  shop:\n    image: a\n    security_opt: ['seccomp:./p.json']\n", []string{`:4: service "shop": security_opt: a seccomp profile`}},
		"subpath":          {"services:\n  shop:\n    image: a\n    volumes:\n      - v:/a\n      - {type: volume, source: v, target: /b, volume: {subpath: x}}\nvolumes: {v: }\n", []string{`:6: service "shop": the volume /b: subpath is not supported`}},
		"read-only":        {"services:\n  shop:\n    image: a\n    read_only: true\n    volumes: ['./compose.yaml:/x']\n", []string{`:5: service "shop": read_only with a file from outside`}},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeCompose(t, c.text, nil)
			_, err := LoadCompose(t.Context(), file)
			require.Error(t, err)
			var mistake *ComposeError
			require.ErrorAs(t, err, &mistake)
			require.Equal(t, file, mistake.File)
			for _, want := range c.want {
				if strings.HasPrefix(want, ":") {
					want = file + want
				}
				assert.ErrorContains(t, err, want)
			}
		})
	}
	_, err := LoadCompose(t.Context(), "nowhere/compose.yaml")
	require.ErrorContains(t, err, "nowhere/compose.yaml: there is no such file")
}

// TestTenKindsOfMistakesAreToldAtOnce: the loader itself ends at the first.
func TestTenKindsOfMistakesAreToldAtOnce(t *testing.T) {
	file := writeCompose(t, `include: [more.yaml]
services:
  shop:
    imagge: shop:1
    image: shop:${TAG}
    mem_limit: 12q
    depends_on: [databse]
    privileged: true
    volumes: ["./nowhere:/data"]
    healthcheck: {test: 5}
    environment: [NOT_GIVEN]
    network_mode: host
  database:
    image: [postgres]
    env_file: database.env
    networks: [inner]
volumes:
  old: {external: true}
`, map[string]string{"more.yaml": "services:\n  mail:\n    image: mail\n    devices: [/dev/kvm]\n", "database.env": "FINE=1\nPASSWORD\n"})
	_, err := LoadCompose(t.Context(), file)
	require.Error(t, err)
	beside := filepath.Dir(file) + "/"
	var got []string
	for line := range strings.Lines(err.Error()) {
		got = append(got, strings.TrimPrefix(strings.TrimSpace(line), beside))
	}
	want := []string{
		`compose.yaml:4: services.shop.imagge: compose knows no "imagge": is it misspelt?`,
		`compose.yaml:5: error while interpolating services.shop.image: variable TAG is not set`,
		`compose.yaml:6: 'services[shop].mem_limit' invalid suffix`,
		`compose.yaml:7: service "shop" depends on undefined service "databse"`,
		`compose.yaml:8: service "shop": privileged is not supported`,
		`compose.yaml:9: service "shop": the volume /data is not there`,
		`compose.yaml:10: services.shop.healthcheck.test must be a string`,
		`compose.yaml:11: service "shop": NOT_GIVEN has no value`,
		`compose.yaml:12: service "shop": network_mode is not supported`,
		`compose.yaml:14: services.database.image must be a string`,
		`compose.yaml:16: service "database" refers to undefined network inner`,
		`compose.yaml:18: volume "old" is external`,
		`database.env:2: PASSWORD has no value`,
		`more.yaml:4: service "mail": devices is not supported`,
	}
	require.Len(t, got, len(want), "%s", err)
	for i := range want {
		assert.True(t, strings.HasPrefix(got[i], want[i]), "%s\n%s", got[i], want[i])
	}
}

func TestAMistakeIsToldInTheFileInWhichItStands(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		beside map[string]string
		want   string // after the folder
	}{
		"included":                {"include: [a/other.yaml]\nservices:\n  a: {image: a}\n", map[string]string{"a/other.yaml": "services:\n  b:\n    image: b\n    privileged: true\n"}, `a/other.yaml:4: service "b": privileged`},
		"misspelt in an included": {"include: [other.yaml]\nservices:\n  a: {image: a}\n", map[string]string{"other.yaml": "services:\n  b:\n    imagge: b\n"}, `other.yaml:3: services.b.imagge: compose knows no`},
		"no YAML in an included":  {"include: [other.yaml]\nservices:\n  a: {image: a}\n", map[string]string{"other.yaml": "services:\n  b:\n    image: b\n   x: b\n"}, `other.yaml:4: this is not YAML`},
		"a variable in an included of an included": {"include: [one/one.yaml]\nservices:\n  a: {image: a}\n", map[string]string{
			"one/one.yaml": "include:\n  - path: [two.yaml]\n", "one/two.yaml": "services:\n  b:\n    image: b:${TAG}\n",
		}, `one/two.yaml:3: error while interpolating services.b.image: variable TAG is not set`},
		"a size in an included":   {"include: [{path: other.yaml}]\nservices:\n  a: {image: a}\n", map[string]string{"other.yaml": "services:\n  b:\n    image: b\n    mem_limit: 12q\n"}, `other.yaml:4: 'services[b].mem_limit' invalid suffix`},
		"extended":                {"services:\n  a:\n    extends: {file: base/base.yaml, service: base}\n", map[string]string{"base/base.yaml": "services:\n  base:\n    image: b\n    network_mode: host\n"}, `base/base.yaml:4: service "a": network_mode`},
		"extended in one file":    {"services:\n  a:\n    extends: b\n  b:\n    image: b\n    pid: host\n", nil, `compose.yaml:6: service "a": pid`},
		"misspelt in an extended": {"services:\n  a:\n    extends: {file: base.yaml, service: base}\n", map[string]string{"base.yaml": "services:\n  base:\n    image: b\n    privvileged: true\n"}, `base.yaml:4: services.a.privvileged: compose knows no`},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeCompose(t, c.text, c.beside)
			_, err := LoadCompose(t.Context(), file)
			require.ErrorContains(t, err, filepath.Dir(file)+"/"+c.want)
		})
	}
}

func TestVariablesOfAnEnvFileThatAreNotSet(t *testing.T) {
	file := writeCompose(t, "services:\n  a:\n    image: a\n    env_file: [a.env, {path: raw.env, format: raw}]\n", map[string]string{
		".env": "SET=1\n", "raw.env": "RAW=a$raw\n",
		"a.env": "# $none\nPASSWORD=hun$ter2\nQUOTED='hun$ter2'\nGOOD=${SET}${EARLIER:-x}\nEARLIER=1\nLATER=$EARLIER # not $this\nESCAPED=\"a\\$b\"\nTWICE=a$$b\n",
	})
	_, err := LoadCompose(t.Context(), file)
	require.EqualError(t, err, filepath.Dir(file)+"/a.env:2: variable ter2 is not set, so nothing would stand in its place: set it in the .env file beside the compose file, or put a value that has a dollar into single quotes")
}

// TestWhateverIsInAComposeFileIsReadOrTold spoils good files in many ways.
func TestWhateverIsInAComposeFileIsReadOrTold(t *testing.T) {
	good, err := os.ReadFile("testdata/compose/compose.yaml")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/compose")))
	file := filepath.Join(dir, "compose.yaml")
	random := rand.New(rand.NewPCG(1, 2))
	lines := strings.Split(string(good), "\n")
	bits := []string{"", "- ", "{", "[", "*common", "&x ", "<<: *common", "${", "${A:-${B}", "null", "true", "-1", "\t", ": ", "'", "!reset ", "services:", "extends: web", "include: [compose.yaml]", "  - 5", "\x00", "名前: 値"}
	for range 400 {
		spoilt := slices.Clone(lines)
		for range 1 + random.IntN(3) {
			i, bit := random.IntN(len(spoilt)), bits[random.IntN(len(bits))]
			switch random.IntN(4) {
			case 0:
				spoilt[i] = bit
			case 1:
				spoilt[i] = spoilt[i][:min(len(spoilt[i]), random.IntN(20))] + bit
			case 2:
				spoilt[i] += bit
			default:
				spoilt = slices.Insert(spoilt, i, strings.Repeat(" ", random.IntN(7))+bit)
			}
		}
		text := strings.Join(spoilt, "\n")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		p, err := LoadCompose(t.Context(), file)
		if err != nil {
			require.Contains(t, err.Error(), dir, text)
			var mistake *ComposeError
			require.ErrorAs(t, err, &mistake, text)
			continue
		}
		ComposeNotes(p, &stage.Setup{Service: "web"})
		ComposeRecipes(p)
	}
}

func TestAFolderOfAnyNameHoldsAProject(t *testing.T) {
	for name, want := range map[string]string{"店": "rehearsal-web", "My Shop": "myshop-web", "_": "rehearsal-web", "x": "x-web"} {
		file := filepath.Join(t.TempDir(), name, "compose.yaml")
		require.NoError(t, os.Mkdir(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte("services:\n  web: {build: .}\n"), 0o600))
		p, err := LoadCompose(t.Context(), file)
		require.NoError(t, err, name)
		assert.Equal(t, want, p.Services["web"].Image, name)
	}
}

func TestSeveralComposeFilesAreOneProject(t *testing.T) {
	file := writeCompose(t, "services:\n  shop:\n    image: shop:1\n    environment: {A: '1', B: '1'}\n    volumes: ['./compose.yaml:/x']\n",
		map[string]string{"rehearsal.compose.yaml": "services:\n  shop:\n    environment: {B: '2'}\n    pid: host\n    volumes:\n      - ./nowhere:/y\n"})
	second := filepath.Join(filepath.Dir(file), "rehearsal.compose.yaml")
	_, err := LoadComposeFiles(t.Context(), ComposeOptions{Files: []string{file, second}})
	require.ErrorContains(t, err, second+`:4: service "shop": pid is not supported`)
	require.ErrorContains(t, err, second+`:6: service "shop": the volume /y is not there`)
	require.NoError(t, os.WriteFile(second, []byte("services:\n  shop:\n    environment: {B: '2'}\n    volumes: !reset []\n"), 0o600))
	p, err := LoadComposeFiles(t.Context(), ComposeOptions{Files: []string{file, second}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "1", "B": "2"}, environmentOf(p.Services["shop"]))
	require.Empty(t, p.Services["shop"].Volumes)
	require.Equal(t, []string{file, second}, p.ComposeFiles)
	_, err = LoadComposeFiles(t.Context(), ComposeOptions{})
	require.ErrorContains(t, err, "no compose file is named")
}

// TestEachFeatureOfComposeIsRead is one feature each.
func TestEachFeatureOfComposeIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		beside map[string]string
		is     func(*testing.T, *types.Project)
	}{
		"profiles": {"  shop: {image: a, depends_on: {debug: {condition: service_started, required: false}}}\n  debug: {image: b, profiles: [x]}\n", nil, func(t *testing.T, p *types.Project) {
			assert.Equal(t, []string{"shop"}, p.ServiceNames())
			assert.Empty(t, p.Services["shop"].DependsOn, "what is left out is not waited for")
			assert.Equal(t, []string{"x"}, ComposeProfiles(p))
		}},
		"replicas": {"  a: {image: a, scale: 3}\n  b: {image: a, deploy: {replicas: 2}}\n  c: {image: a}\n", nil, func(t *testing.T, p *types.Project) {
			assert.Equal(t, []int{3, 2, 1}, []int{ComposeReplicas(p.Services["a"]), ComposeReplicas(p.Services["b"]), ComposeReplicas(p.Services["c"])})
		}},
		"secret from beside": {"  a: {image: a, secrets: [s]}\nsecrets: {s: {environment: TOKEN}}\n", map[string]string{".env": "TOKEN=t\n"}, func(t *testing.T, p *types.Project) {
			files := copiedFiles(p, p.Services["a"])
			require.Len(t, files, 1)
			assert.Equal(t, copiedFile{text: "t", target: "/run/secrets/s"}, files[0])
		}},
		"owners": {"  a:\n    image: a\n    configs: [{source: s, target: /s, uid: '7', gid: '8', mode: 0400}]\nconfigs: {s: {content: x}}\n", nil, func(t *testing.T, p *types.Project) {
			assert.Equal(t, []copiedFile{{text: "x", target: "/s", mode: 0o400, uid: 7, gid: 8}}, copiedFiles(p, p.Services["a"]))
		}},
		"env_file": {"  a:\n    image: a\n    environment: [B]\n    env_file: [{path: no.env, required: false}, {path: raw.env, format: raw}, a.env]\n", map[string]string{
			".env": "B=2\n", "raw.env": "# none\nR=${B} 'x'\n", "a.env": "A=${B}\nB\nexport C=3\n",
		}, func(t *testing.T, p *types.Project) {
			assert.Equal(t, map[string]string{"A": "2", "B": "2", "C": "3", "R": "${B} 'x'"}, environmentOf(p.Services["a"]))
		}},
		"interpolation": {"  a:\n    image: a\n    environment: {A: '${SET:-${UNSET}}', B: '${UNSET:-${SET}}', C: '${UNSET:+${UNSET}}', D: '${SET:+yes}', E: '$$UNSET', F: '${EMPTY-x}', G: '${EMPTY:-x}', H: '${UNSET:-a${UNSET:-b}}', I: '${SET:?no}'}\n",
			map[string]string{".env": "SET=1\nEMPTY=\n"}, func(t *testing.T, p *types.Project) {
				assert.Equal(t, map[string]string{"A": "1", "B": "1", "C": "", "D": "yes", "E": "$UNSET", "F": "", "G": "x", "H": "ab", "I": "1"}, environmentOf(p.Services["a"]))
			}},
		"restart policy": {"  a: {image: a, deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}}\n  b: {image: a, deploy: {restart_policy: {condition: none}}}\n  c: {image: a, restart: always, deploy: {restart_policy: {condition: none}}}\n  d: {image: a, deploy: {restart_policy: {}}}\n", nil, func(t *testing.T, p *types.Project) {
			assert.Equal(t, []string{"on-failure:3", "no", "always", "always"}, []string{p.Services["a"].Restart, p.Services["b"].Restart, p.Services["c"].Restart, p.Services["d"].Restart})
		}},
		"limits": {"  a: {image: a, mem_swappiness: 7, cpu_period: 1000, cpu_quota: 500, deploy: {resources: {reservations: {memory: 16M}}}}\n", nil, func(t *testing.T, p *types.Project) {
			var host container.HostConfig
			spec := serviceSpec(p, p.Services["a"])
			spec.configureHost(&host, "net", "id", noResolver)
			assert.EqualValues(t, []int64{7, 1000, 500, 16 << 20}, []int64{*host.MemorySwappiness, host.CPUPeriod, host.CPUQuota, host.MemoryReservation})
		}},
		"nothing of the image": {"  a: {image: a, command: [], entrypoint: ''}\n", nil, func(t *testing.T, p *types.Project) {
			assert.NotNil(t, p.Services["a"].Entrypoint, "else the image's would stay")
			assert.Empty(t, p.Services["a"].Entrypoint)
		}},
		"anchors": {"  a: &a {image: a, environment: &e {A: '1'}}\n  b:\n    <<: *a\n    environment: {<<: *e, B: '2'}\n", nil, func(t *testing.T, p *types.Project) {
			assert.Equal(t, "a", p.Services["b"].Image)
			assert.Equal(t, map[string]string{"A": "1", "B": "2"}, environmentOf(p.Services["b"]))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := LoadCompose(t.Context(), writeCompose(t, "services:\n"+c.text, c.beside))
			require.NoError(t, err)
			c.is(t, p)
		})
	}
}

func TestWhatAStageDoesOtherwiseIsSaid(t *testing.T) {
	file := writeCompose(t, `services:
  shop:
    image: shop
    healthcheck: {test: [CMD, x]}
    ports: ["80:80"]
    networks: [front, back]
    depends_on: {migrate: {condition: service_completed_successfully}}
  database:
    image: db
    ports: ["5432:5432"]
    deploy: {placement: {constraints: [x]}, restart_policy: {delay: 5s}}
    networks: [back]
    scale: 2
    volumes: ["./.env:/x:ro"]
  cache: {image: cache, pull_policy: always, build: {context: ., tags: [x]}}
  migrate: {image: shop}
  idle: {image: shop, scale: 0}
  debug: {image: shop, profiles: [debugging]}
networks: {front: , back: }
`, map[string]string{"compose.override.yaml": "", ".env": "COMPOSE_PROFILES=debugging\n"})
	p, err := LoadCompose(t.Context(), file)
	require.NoError(t, err)
	dir := filepath.Dir(file) + "/"
	var got []string
	for _, note := range ComposeNotes(p, &stage.Setup{Service: "shop", Dependencies: []stage.Dependency{{Name: "database"}}}) {
		got = append(got, strings.TrimPrefix(note, dir))
	}
	assert.Equal(t, []string{
		`compose.yaml:18: service "debug" is left out: it has profiles; to have it, say in rehearsal.yaml profiles: [debugging]`,
		`compose.yaml:15: service "cache" has no healthcheck: it counts as ready as soon as it runs, unless rehearsal.yaml has it among the dependencies, which are asked`,
		`compose.yaml:8: service "database": shop calls the first of its 2 replicas, through the proxy that failures are injected by`,
		`compose.yaml:17: service "idle" is left out: it has no replicas`,
		`compose.yaml:4: service "shop": the balancer asks for its health, as "health" in rehearsal.yaml says; this healthcheck is not run`,
		`compose.yaml:19: all services are on one network of the stage: each reaches every other`,
		`compose.yaml:15: build.tags: the image gets the one name by which it is used`,
		`compose.yaml:11: deploy.placement: how a service is updated and where it runs is for the release plan and the stage to say`,
		`compose.yaml:11: deploy.restart_policy: delay and window are the engine's own`,
		`compose.yaml:5,10: ports: nothing but the balancer is called from outside, so no port is published`,
		`compose.yaml:15: pull_policy: an image that the engine has is used, another pulled or built`,
		`compose.yaml:14: read-only files and folders are copies, which the container can write to`,
		`compose.override.yaml is not read: to have it, say in rehearsal.yaml compose: [compose.yaml, compose.override.yaml]`,
		`.env: COMPOSE_PROFILES is not heeded: rehearsal.yaml says it, by compose: and profiles:`,
	}, got)
}

func TestAProjectThatIsInNoFileHasNoLines(t *testing.T) {
	p := &types.Project{Name: "corner", Services: types.Services{"web": {Name: "web", WorkloadSpec: types.WorkloadSpec{Build: &types.BuildConfig{Context: "/nowhere"}}}}}
	assert.Equal(t, []string{`compose.yaml: service "web" has no healthcheck: it counts as ready as soon as it runs, unless rehearsal.yaml has it among the dependencies, which are asked`},
		ComposeNotes(p, &stage.Setup{}))
	assert.ErrorContains(t, errors.Join(ComposeRecipes(p)[0].(buildRecipe).wrong...), `compose.yaml: service "web": build.context: there is no folder /nowhere`)
}

func TestServicesWithoutReplicasAreNotWaitedFor(t *testing.T) {
	p, err := LoadCompose(t.Context(), writeCompose(t, "services:\n  shop: {image: a, depends_on: [mail]}\n  mail: {image: b, depends_on: [idle]}\n  idle: {image: c, scale: 0}\n", nil))
	require.NoError(t, err)
	s := &Stage{project: p, setup: &setupOf("shop").Setup}
	require.Equal(t, []string{"mail"}, slices.Sorted(maps.Keys(s.composed())))
}

func TestTheOwnersAndModesOfCopiedFiles(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, writeTar(&out, []copiedFile{{text: "x", target: "/s", mode: 0o400, uid: 7, gid: 8}}))
	h, err := tar.NewReader(&out).Next()
	require.NoError(t, err)
	assert.Equal(t, []int64{0o400, 7, 8}, []int64{h.Mode, int64(h.Uid), int64(h.Gid)})
}

// inspected is an engine with one image.
type inspected struct {
	client.APIClient
	os, arch string
}

func (i inspected) ImageInspect(context.Context, string, ...client.ImageInspectOption) (client.ImageInspectResult, error) {
	return client.ImageInspectResult{InspectResponse: image.InspectResponse{Os: i.os, Architecture: i.arch}}, nil
}

func TestAnImageForAnotherPlatformIsSaid(t *testing.T) {
	for _, c := range []struct {
		platform, arch, refused, hint string
	}{
		{"", "amd64", "", ""},
		{"linux/amd64", "amd64", "", ""},
		{"linux/x86_64", "amd64", "", ""},
		{"", "arm64", "", "the image shop:2 is for linux/arm64, and this engine runs linux/amd64: use one for linux/amd64"},
		{"linux/arm64/v8", "arm64", "", "the image shop:2 is for linux/arm64"},
		{"linux/arm64", "amd64", "the compose file asks for platform linux/arm64, and the image shop:2 in the engine is for linux/amd64: get the right one, with `docker pull --platform linux/arm64 shop:2`", ""},
	} {
		var said []string
		s := &Stage{docker: inspected{os: "linux", arch: c.arch}, engine: &Engine{Arch: "amd64"}, o: Options{Progress: func(line string) { said = append(said, line) }}}
		for range 2 {
			err := s.checkPlatform(t.Context(), types.ServiceConfig{ContainerSpec: types.ContainerSpec{Image: "shop:2", Platform: c.platform}})
			if c.refused == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.refused)
			}
		}
		if c.hint == "" {
			assert.Empty(t, said)
			assert.Empty(t, s.foreignImage("shop:2", "no such host"))
			continue
		}
		require.Len(t, said, 1, "once")
		assert.Contains(t, said[0], c.hint)
		assert.Contains(t, s.foreignImage("shop:2", ""), c.hint)
	}
}

func TestAMistakeInAValueDoesNotShowTheValue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "compose.yaml")
	require.NoError(t, os.WriteFile(file, []byte("services:\n  shop:\n    image: a\n    environment:\n      SIGNING_KEY: 'hunter2${x!y'\n"), 0o600))
	_, err := LoadCompose(t.Context(), file)
	require.ErrorContains(t, err, ":5: invalid interpolation format for services.shop.environment.SIGNING_KEY")
	assert.NotContains(t, err.Error(), "hunter2")

	require.NoError(t, os.WriteFile(file, []byte("services:\n  shop:\n    image: a\n    env_file: shop.env\n"), 0o600))
	for _, name := range []string{"shop.env", ".env"} {
		for _, line := range []string{"SIGNING*KEY=hunter2", "KEY='hunter2"} {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte("GOOD=1\n"+line+"\n"), 0o600))
			_, err = LoadCompose(t.Context(), file)
			require.ErrorContains(t, err, ": line ", name)
			assert.NotContains(t, err.Error(), "hunter2", name)
		}
	}
}

func TestVariablesOfAComposeFileComeFromBesideIt(t *testing.T) {
	t.Setenv("TAG", "of-the-shell")
	file := writeCompose(t, `
services:
  shop:
    image: shop:${TAG}
    environment: {PRICE: "$$5", COLOUR: "${COLOUR:-blue}", SIZE: "${SIZE-}"}
    env_file: shop.env
    x-owner: us
`, map[string]string{".env": "TAG=v7\n", "shop.env": "NAME=corner shop\n"})
	p, err := LoadCompose(t.Context(), file)
	require.NoError(t, err)
	shop := p.Services["shop"]
	require.Equal(t, "shop:v7", shop.Image)
	require.Equal(t, map[string]string{"PRICE": "$5", "COLOUR": "blue", "SIZE": "", "NAME": "corner shop"}, environmentOf(shop))
}

func TestAServiceBecomesAContainerAsComposeWouldMakeIt(t *testing.T) {
	file := writeCompose(t, `
services:
  shop:
    image: shop
    user: "1000:1000"
    working_dir: /srv
    hostname: till
    stop_grace_period: 1500ms
    stop_signal: SIGINT
    restart: on-failure:3
    cap_drop: [ALL]
    read_only: true
    shm_size: 64m
    extra_hosts: {bank: 10.1.2.3}
    ulimits: {nofile: {soft: 10, hard: 20}, nproc: 7}
    tmpfs: ["/run:size=1m", /tmp]
    volumes:
      - {type: tmpfs, target: /cache, tmpfs: {size: 2097152, mode: 0700}}
      - data:/data
      - {type: volume, target: /anonymous, read_only: true}
    deploy:
      resources: {limits: {memory: 64M, cpus: "0.5", pids: 50}}
volumes:
  data:
`, nil)
	p, err := LoadCompose(t.Context(), file)
	require.NoError(t, err)
	spec := serviceSpec(p, p.Services["shop"])
	spec.hosts = map[string]string{"database": "10.9.9.9"}
	spec.restarts = true

	var config container.Config
	spec.configure(&config)
	assert.Equal(t, "1000:1000", config.User)
	assert.Equal(t, "/srv", config.WorkingDir)
	assert.Equal(t, "till", config.Hostname)
	assert.Equal(t, "SIGINT", config.StopSignal)
	assert.Equal(t, 2, *config.StopTimeout, "whole seconds, and not fewer")
	assert.Equal(t, []string{"NONE"}, config.Healthcheck.Test)

	var host container.HostConfig
	spec.configureHost(&host, "net", "id", noResolver)
	assert.Equal(t, []string{"database:10.9.9.9", "bank:10.1.2.3"}, host.ExtraHosts)
	assert.Equal(t, container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}, host.RestartPolicy)
	assert.Equal(t, int64(64<<20), host.Memory)
	assert.Equal(t, host.Memory, host.MemorySwap, "no swap")
	assert.Equal(t, int64(5e8), host.NanoCPUs)
	assert.Equal(t, int64(50), *host.PidsLimit)
	assert.Equal(t, int64(64<<20), host.ShmSize)
	assert.True(t, host.ReadonlyRootfs)
	assert.Equal(t, map[string]string{"/run": "size=1m", "/tmp": "", "/cache": "size=2097152,mode=700"}, host.Tmpfs)
	require.Len(t, host.Mounts, 2)
	assert.Equal(t, "rehearsal-id-data", host.Mounts[0].Source)
	assert.Empty(t, host.Mounts[1].Source)
	assert.True(t, host.Mounts[1].ReadOnly)
	require.Len(t, host.Ulimits, 2)
	assert.Equal(t, container.Ulimit{Name: "nofile", Soft: 10, Hard: 20}, *host.Ulimits[0])
	assert.Equal(t, container.Ulimit{Name: "nproc", Soft: 7, Hard: 7}, *host.Ulimits[1])
}

func TestEveryFieldOfAServiceIsKnown(t *testing.T) {
	fields := composeFields(reflect.ValueOf(types.ServiceConfig{}))
	for _, name := range append(slices.Collect(maps.Keys(composeIdle)), composeHonoured...) {
		assert.Contains(t, fields, name, "compose has no such field any more")
	}
	assert.Contains(t, fields, "privileged")
	for _, name := range composeHonoured {
		assert.NotContains(t, composeIdle, name)
	}
}

func TestFilesAreCopiedAsTheyWouldBeMounted(t *testing.T) {
	file := writeCompose(t, `
services:
  shop:
    image: a
    volumes: ["./sql:/init:ro", "./one.conf:/etc/one.conf"]
    configs: [{source: c, target: /etc/c, mode: 0440}, plain]
    secrets: [s]
configs:
  c: {content: "hello"}
  plain: {file: one.conf}
secrets:
  s: {file: one.conf}
`, map[string]string{"sql/a.sql": "select 1", "sql/deep/b.sql": "select 2", "one.conf": "x=1"})
	require.NoError(t, os.Symlink("a.sql", filepath.Join(filepath.Dir(file), "sql", "link.sql")))
	p, err := LoadCompose(t.Context(), file)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, writeTar(&out, copiedFiles(p, p.Services["shop"])))

	got := map[string]string{}
	modes := map[string]int64{}
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		got[h.Name], modes[h.Name] = string(data)+h.Linkname, h.Mode&0o777
		require.Zero(t, h.Uid)
	}
	require.Equal(t, map[string]string{
		"init/": "", "init/a.sql": "select 1", "init/deep/": "", "init/deep/b.sql": "select 2", "init/link.sql": "a.sql",
		"etc/one.conf": "x=1", "etc/c": "hello", "plain": "x=1", "run/secrets/s": "x=1",
	}, got)
	require.Equal(t, int64(0o644), modes["init/a.sql"], "every user of the container can read it")
	require.Equal(t, int64(0o440), modes["etc/c"])
}

func TestServicesThatNeedTheReleasedOneAreLeftOut(t *testing.T) {
	file := writeCompose(t, `
services:
  shop: {image: a, depends_on: [database]}
  database: {image: b, container_name: pg, networks: {default: {aliases: [db]}}}
  web: {image: c, depends_on: [shop]}
  cdn: {image: d, depends_on: [web]}
  mail: {image: e}
`, nil)
	p, err := LoadCompose(t.Context(), file)
	require.NoError(t, err)
	s := &Stage{project: p, setup: &setupOf("shop").Setup}
	left := s.composed()
	require.Len(t, left, 2)
	require.Contains(t, left, "database")
	require.Contains(t, left, "mail")
	require.Equal(t, []string{"database", "db", "pg"}, aliasesOf(p.Services["database"]))
}

package containers

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		"empty":          {"", []string{": the file is empty"}},
		"no YAML":        {"services:\n  shop:\n    image: a\n   user: b\n", []string{":4: this is not YAML"}},
		"twice":          {"services:\n  a:\n    image: a\n  a:\n    image: b\n", []string{":4: this is not YAML"}},
		"no services":    {"services: {}\n", []string{":1: it describes no service"}},
		"wrong type":     {"services:\n  shop:\n    image: [a]\n", []string{":3: services.shop.image must be a string"}},
		"misspelt":       {"services:\n  shop:\n    image: a\n    imagge: b\n", []string{`:4: services.shop.imagge: compose knows no "imagge"`}},
		"bad size":       {"services:\n  shop:\n    image: a\n    mem_limit: 12q\n", []string{":4: 'services[shop].mem_limit' invalid suffix"}},
		"two bad values": {"services:\n  shop:\n    image: a\n    mem_limit: 12q\n    stop_grace_period: soon\n", []string{":4: ", ":5: "}},
		"unknown need":   {"services:\n  shop:\n    image: a\n    depends_on: [b]\n", []string{`:4: service "shop" depends on undefined service "b"`}},
		"circle":         {"services:\n  a:\n    image: a\n    depends_on: [b]\n  b:\n    image: a\n    depends_on: [a]\n", []string{":4: dependency cycle detected: a -> b -> a"}},
		"unknown volume": {"services:\n  shop:\n    image: a\n    volumes: ['data:/x']\n", []string{`:4: service "shop" refers to undefined volume data`}},
		"unset variable": {"services:\n  shop:\n    image: a:${TAG}\n", []string{":3: error while interpolating services.shop.image: variable TAG is not set: set it in the .env file"}},
		"shell variable": {"services:\n  shop:\n    image: a:$FROM_THE_SHELL\n", []string{":3: ", "FROM_THE_SHELL is not set"}},
		"required":       {"services:\n  shop:\n    image: a:${TAG:?say which}\n", []string{":3: ", "say which"}},
		"no brace":       {"services:\n  shop:\n    image: a:${TAG\n", []string{":3: invalid interpolation format"}},
		"passed through": {"services:\n  shop:\n    image: a\n    environment:\n      - FROM_THE_SHELL\n", []string{`:5: service "shop": FROM_THE_SHELL has no value`}},
		"no image":       {"services:\n  shop:\n    user: me\n", []string{`:2: service "shop" has neither an image nor a build context specified`}},
		"privileged":     {"services:\n  shop:\n    image: a\n    privileged: true\n", []string{`:4: service "shop": privileged is not supported in a rehearsal: a stage never gets hold of this machine`}},
		"host network":   {"services:\n  shop:\n    image: a\n    network_mode: host\n", []string{`:4: service "shop": network_mode is not supported`}},
		"devices":        {"services:\n  shop:\n    image: a\n    devices: ['/dev/kvm:/dev/kvm']\n    dns: 8.8.8.8\n", []string{":4: ", ":5: "}},
		"socket":         {"services:\n  shop:\n    image: a\n    volumes:\n      - /dev/null:/var/run/docker.sock\n", []string{`:5: service "shop": the volume /dev/null is neither a file nor a folder`}},
		"missing file":   {"services:\n  shop:\n    image: a\n    volumes:\n      - ./nowhere:/x\n", []string{`:5: service "shop": the volume /x is not there`}},
		"missing env":    {"services:\n  shop:\n    image: a\n    env_file: nowhere.env\n", []string{":4: env_file: there is no file", "nowhere.env"}},
		"host gateway":   {"services:\n  shop:\n    image: a\n    extra_hosts: ['db:host-gateway']\n", []string{`:4: service "shop": extra_hosts: db is this machine`}},
		"fixed address":  {"services:\n  shop:\n    image: a\n    networks: {default: {ipv4_address: 10.0.0.2}}\n", []string{":4: ", "fixed addresses"}},
		"global":         {"services:\n  shop:\n    image: a\n    deploy: {mode: global}\n", []string{`:4: service "shop": deploy.mode "global" is not supported`}},
		"external":       {"services:\n  shop:\n    image: a\n    networks: [n]\n    volumes: ['v:/v']\nnetworks:\n  n: {external: true}\nvolumes:\n  v: {external: true}\n", []string{`:7: network "n" is external`, `:9: volume "v" is external`}},
		"shell secret":   {"services:\n  shop:\n    image: a\n    secrets: [s]\nsecrets:\n  s: {environment: FROM_THE_SHELL}\n", []string{":6: secrets.s comes from the shell's environment"}},
		"never healthy":  {"services:\n  shop:\n    image: a\n    depends_on:\n      db: {condition: service_healthy}\n  db:\n    image: b\n    healthcheck: {disable: true}\n", []string{`:5: service "shop": it waits until "db" is healthy, whose healthcheck is disabled`}},
		"read-only":      {"services:\n  shop:\n    image: a\n    read_only: true\n    volumes: ['./compose.yaml:/x']\n", []string{`:5: service "shop": read_only with a file from outside`}},
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

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const shopFile = "../../fixtures/rehearsal.yaml"

func TestCapacityClosesInOnTheLimit(t *testing.T) {
	out, status := run(t, nil, "capacity", "v2", "--file", shopFile, "--stage", "sim")
	require.Equal(t, 0, status, out)
	m := regexp.MustCompile(`The limit is between (\d+) and (\d+) requests per second`).FindStringSubmatch(out)
	require.NotNil(t, m, out)
	assert.Regexp(t, `kept +`+m[1]+`/s`, out)
	assert.Regexp(t, `over +`+m[2]+`/s`, out)
	again, _ := run(t, nil, "capacity", "v2", "--file", shopFile, "--stage", "sim")
	assert.Equal(t, without(out), without(again), "the same seed, the same limit")

	out, status = run(t, nil, "capacity", "v2", "--file", shopFile, "--stage", "sim", "--require", "1.5")
	assert.Equal(t, 0, status, out)
	out, status = run(t, nil, "capacity", "v2", "--file", shopFile, "--stage", "sim", "--require", "500")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "NOT ENOUGH: 100000 requests per second are required, 500 times the traffic")
	out, status = run(t, nil, "capacity", "v2", "--file", shopFile, "--stage", "sim", "--most", "300")
	assert.Equal(t, 0, status, out)
	assert.Contains(t, out, "The limit is higher: 300 requests per second, the highest load that was to be tried, are kept")
	out, status = run(t, nil, "capacity", "v2", "--file", shopFile, "--stage", "sim", "--p99", "1ms")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "NOT KEPT: even ")
}

// without is a text without how long it took.
func without(text string) string {
	return regexp.MustCompile(`\([\d.]+m?s\)`).ReplaceAllString(text, "")
}

func TestCapacityFallsWithTheReplicasAndTheirHands(t *testing.T) {
	limit := func(change ...string) string {
		dir := shopFolder(t)
		file := filepath.Join(dir, "rehearsal.yaml")
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		text := strings.NewReplacer(change...).Replace(string(data))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		out, status := run(t, nil, "capacity", "v2", "--file", file, "--stage", "sim", "--precision", "0.05")
		require.Equal(t, 0, status, out)
		return regexp.MustCompile(`(\d+) requests per second are kept while v1 drains`).FindStringSubmatch(out)[1]
	}
	whole := number(t, limit())
	assert.InEpsilon(t, whole/2, number(t, limit("concurrency: 10 ", "concurrency: 5 ")), 0.15, "half of the hands")
	assert.InEpsilon(t, whole/2, number(t, limit(`v2: {image: "shop:v2"}`, `v2: {image: "shop:v2", capacity: {concurrency: 5}}`)), 0.15, "the new version bears everything")
	rolling := number(t, limit("plan: release.yaml", "plan: plans/rolling.yaml"))
	assert.InEpsilon(t, whole, rolling, 0.15, "this rolling plan keeps all replicas healthy")
}

func TestCapacityNeedsToKnow(t *testing.T) {
	for name, c := range map[string]struct {
		from, to string
		args     []string
		want     string
	}{
		"no objective":      {"objective: {p99: 300ms, errors: 1%}", "", nil, "there is no objective: say in rehearsal.yaml"},
		"no concurrency":    {"  concurrency: 10", "  #", nil, `does not say what a replica of "v1" bears, so the simulated service has no limit: say simulation: concurrency`},
		"bad concurrency":   {"concurrency: 10", "concurrency: -1", nil, "simulation: concurrency -1: how many requests a replica answers"},
		"bad zones":         {"zones: 2", "zones: 40", nil, "zones 40: how many availability zones"},
		"bad objective":     {"p99: 300ms", "p99: soon", nil, `"soon"`},
		"unknown objective": {"p99: 300ms", "p95: 300ms", nil, `unknown key "p95": here may be p99, errors`},
		"no such version":   {"", "", []string{"v7"}, `there is no version "v7"`},
		"no limit of CPU":   {"  concurrency: 10", "  cpu: 600us\n  #", nil, "the compose file gives no limit of it: set deploy.resources.limits.cpus"},
		"places for nobody": {"  concurrency: 10", "  service: 5ms\n  #", nil, "nobody says how many places there are: say the concurrency too"},
		"bad version":       {`v2: {image: "shop:v2"}`, `v2: {image: "shop:v2", capacity: {concurrency: -3}}`, nil, "versions: v2: concurrency -3: how many requests a replica answers"},
		"bad require":       {"", "", []string{"v2", "--require", "much"}, `--require "much": want how many times the traffic`},
		"bad cpus":          {"", "", []string{"v2", "--cpus", "-1"}, "--cpus -1: how many CPUs a replica may use"},
		"no load":           {"", "", []string{"v2", "--most", "1"}, "a first load of 200 and a highest of 1 requests per second"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shopFolder(t)
			file := filepath.Join(dir, "rehearsal.yaml")
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(data), c.from, c.to, 1)), 0o600))
			args := c.args
			if args == nil {
				args = []string{"v2"}
			}
			out, status := run(t, nil, append([]string{"capacity", "--file", file, "--stage", "sim"}, args...)...)
			assert.Equal(t, 2, status, out)
			assert.Contains(t, out, c.want)
		})
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return n
}

// shopFolder is a copy of the sample, with the features where its rehearsal.yaml has them.
func shopFolder(t *testing.T) string {
	t.Helper()
	dir := folder(t, "../../fixtures")
	require.NoError(t, os.CopyFS(filepath.Join(filepath.Dir(dir), "features"), os.DirFS("../../features")))
	return dir
}

func TestCapacityIsSaidInTheReadersLanguage(t *testing.T) {
	t.Setenv("LC_ALL", "ja_JP.UTF-8")
	out, status := run(t, nil, "capacity", "v2", "--file", shopFile, "--stage", "sim", "--require", "100x")
	assert.Equal(t, 1, status, out)
	for _, want := range []string{"模擬           負荷", "達成          200/s", "超過         6400/s", "v1 が退く間も毎秒4530件まで目標を保つ。普段の毎秒200件の22.6倍", "余力不足: 普段の100倍、毎秒20000件が必要である", "限界は毎秒4530件から4940件の間にある"} {
		assert.Contains(t, out, want)
	}
}

func TestCapacityWritesEveryStep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "capacity.json")
	out, status := run(t, nil, "capacity", "v2", "--file", shopFile, "--stage", "sim", "--json", file)
	require.Equal(t, 0, status, out)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var all map[string]struct {
		Kept, Broke float64
		Steps       []struct {
			Rate     float64
			Standing string
			Requests int64
		}
	}
	require.NoError(t, json.Unmarshal(data, &all))
	require.NotEmpty(t, all["simulated"].Steps)
	assert.Less(t, all["simulated"].Kept, all["simulated"].Broke)
	for _, s := range all["simulated"].Steps {
		assert.InEpsilon(t, 10*s.Rate, s.Requests, 0.1, "ten seconds of it")
		assert.Equal(t, s.Rate <= all["simulated"].Kept, s.Standing == "kept")
	}
}

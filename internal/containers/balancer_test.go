package containers

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

func balancerSetup(versions ...string) *stage.Setup {
	s := &stage.Setup{Versions: map[string]stage.Version{}, Health: stage.Health{
		Path: "/ready", Interval: 10 * time.Second, Healthy: 2, Unhealthy: 2, Timeout: time.Second,
	}}
	for _, v := range versions {
		s.Versions[v] = stage.Version{Name: v}
	}
	return s
}

func TestBalancerConfiguration(t *testing.T) {
	files, err := balancerFiles(balancerSetup("v2", "v1"), 1)
	require.NoError(t, err)
	config := files[balancerDir+"/haproxy.cfg"]
	assert.Contains(t, config, "\nbackend version:v1\n")
	assert.Contains(t, config, "\nbackend version:v2\n")
	assert.Contains(t, config, `http-check send meth GET uri "/ready"`)
	assert.Contains(t, config, "timeout check 1000ms")
	assert.Contains(t, config, "var(txn.version) -m str -- v1 v2 }")
	assert.NotContains(t, config, "<no value>")
	assert.Equal(t, "v1 0\nv2 0\n", files[balancerErrorsMap], "no failure at the start")
	assert.Empty(t, files[balancerSharesMap], "no shares at the start")
}

func TestTheTimeOutOfACheckFollowsThePaceAsFarAsAMachineUnderLoadCan(t *testing.T) {
	for _, c := range []struct {
		timeout time.Duration
		pace    float64
		want    time.Duration
	}{
		{time.Second, 1, time.Second}, {time.Second, 0, time.Second}, {time.Second, 60, 700 * time.Millisecond},
		{60 * time.Second, 60, time.Second}, {300 * time.Millisecond, 60, 300 * time.Millisecond}, {0, 1, 100 * time.Millisecond},
	} {
		assert.Equal(t, c.want, balancerCheckTimeout(stage.Health{Timeout: c.timeout}, c.pace), "%v at pace %g", c.timeout, c.pace)
	}
}

func TestBalancerRefusesWhatHAProxyWould(t *testing.T) {
	for _, name := range []string{"", "版2", "v 2", "v2\nfrontend x", strings.Repeat("v", 65)} {
		_, err := balancerFiles(balancerSetup("v1", name), 1)
		assert.ErrorContains(t, err, "letters, digits", "%q", name)
	}
	for _, path := range []string{"", "ready", "/re ady", "/\"", "/\nfrontend x"} {
		s := balancerSetup("v1")
		s.Health.Path = path
		_, err := balancerFiles(s, 1)
		assert.ErrorContains(t, err, "health check path", "%q", path)
	}
}

func TestBalancerChecksKeepUpWithThePace(t *testing.T) {
	h := stage.Health{Interval: 10 * time.Second, Healthy: 3, Unhealthy: 2}
	assert.Equal(t, "check inter 10000ms rise 3 fall 2", balancerChecks(h, 1))
	assert.Equal(t, "check inter 166ms rise 3 fall 2", balancerChecks(h, 60))
	assert.Equal(t, "check inter 100ms rise 3 fall 2", balancerChecks(h, 6000), "at most 10 a second")
	assert.Equal(t, "check inter 100ms rise 1 fall 1", balancerChecks(stage.Health{}, 0))
}

func TestBalancerSlots(t *testing.T) {
	for name, c := range map[string]struct {
		shares stage.Shares
		want   []versionSlots
	}{
		"one":                  {stage.Shares{"v1": 100}, []versionSlots{{"v1", 1000}}},
		"a share of nothing":   {stage.Shares{"v1": 100, "v2": 0}, []versionSlots{{"v1", 1000}}},
		"a canary":             {stage.Shares{"v1": 95, "v2": 5}, []versionSlots{{"v1", 950}, {"v2", 50}}},
		"a tenth of a percent": {stage.Shares{"v1": 99.9, "v2": 0.1}, []versionSlots{{"v1", 999}, {"v2", 1}}},
		"thirds":               {stage.Shares{"a": 100.0 / 3, "b": 100.0 / 3, "c": 100.0 / 3}, []versionSlots{{"a", 334}, {"b", 333}, {"c", 333}}},
		"rolling, 2 of 7":      {stage.Shares{"v1": 500.0 / 7, "v2": 200.0 / 7}, []versionSlots{{"v1", 714}, {"v2", 286}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := balancerSlotsOf(c.shares)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
			entries := balancerSlotEntries(got)
			assert.Len(t, entries, balancerSlots)
			assert.True(t, strings.HasPrefix(entries[999], "999 "))
		})
	}
	for name, shares := range map[string]stage.Shares{
		"more than all": {"v1": 60, "v2": 60}, "too fine": {"v1": 99.95, "v2": 0.05}, "none": {},
	} {
		_, err := balancerSlotsOf(shares)
		assert.Error(t, err, name)
	}
}

func TestBalancerParts(t *testing.T) {
	assert.EqualValues(t, 0, balancerPartsOf(0))
	assert.EqualValues(t, 1, balancerPartsOf(0.001))
	assert.EqualValues(t, 50_000, balancerPartsOf(50))
	assert.EqualValues(t, balancerParts, balancerPartsOf(100))
}

func TestServersOfTheBalancer(t *testing.T) {
	servers, err := parseServers(`# pxname,svname,qcur,scur,status,check_status,check_code,last_chk,stot,
version:v1,v1-1,1,2,UP 1/2,* L7STS,503,HTTP status check returned code <503>,17,
version:v1,v1-2,0,0,DOWN,INI,,,0,
`)
	require.NoError(t, err)
	assert.Equal(t, map[string]serverStat{
		"version:v1/v1-1": {Status: "UP 1/2", Check: "L7STS", Detail: "L7STS 503 HTTP status check returned code <503>", Sessions: 3, Served: 17},
		"version:v1/v1-2": {Status: "DOWN"},
	}, servers)
	_, err = parseServers("# pxname,svname\n")
	assert.ErrorContains(t, err, "no column")
}

func TestATargetIsInitialUntilItsFirstVerdict(t *testing.T) {
	up, down, passed := serverStat{Status: "UP", Check: "L7OK"}, serverStat{Status: "DOWN", Check: "L4CON"}, serverStat{Status: "DOWN 1/2", Check: "L7OK"}
	leaving := serverStat{Status: "UP 1/2", Check: "L7STS"}
	for name, c := range map[string]struct {
		from targetState
		stat serverStat
		at   time.Duration
		want targetState
	}{
		"not checked yet":                 {targetInitial, serverStat{Status: "DRAIN"}, time.Minute, targetInitial},
		"fails, but is new":               {targetInitial, down, 19 * time.Second, targetInitial},
		"fails for as long as it takes":   {targetInitial, down, 20 * time.Second, targetUnhealthy},
		"passes its first check":          {targetInitial, serverStat{Status: "DRAIN", Check: "L7OK"}, time.Second, targetHealthy},
		"passes":                          {targetHealthy, up, time.Second, targetHealthy},
		"fails once":                      {targetHealthy, leaving, time.Second, targetHealthy},
		"fails often enough":              {targetHealthy, down, time.Second, targetUnhealthy},
		"passes once after it was so":     {targetUnhealthy, passed, time.Second, targetUnhealthy},
		"passes often enough":             {targetUnhealthy, up, time.Second, targetHealthy},
		"drains, whatever its checks say": {targetDraining, down, time.Second, targetDraining},
	} {
		t.Run(name, func(t *testing.T) {
			target := balancerTarget{target: target{State: c.from}, failing: 20 * time.Second}
			assert.Equal(t, c.want, target.next(c.stat, c.at))
		})
	}
}

package containers

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"rehearsal/internal/stage"
)

const (
	balancerUsersPort   = 8080
	balancerProbesPort  = 8081
	balancerRuntimePort = 9999

	// balancerSlots is how finely traffic is shared: a slot is 0.1 %.
	balancerSlots = 1000
	// balancerParts is how finely failures hit: a part is 0.001 %.
	balancerParts = 100_000

	balancerDir       = "/usr/local/etc/haproxy"
	balancerSharesMap = balancerDir + "/shares.map" // slot -> version
	balancerErrorsMap = balancerDir + "/errors.map" // version -> parts of its answers that become 500
	balancerDelaysMap = balancerDir + "/delays.map" // version -> parts of its answers that are late
	balancerSlowMap   = balancerDir + "/slow.map"   // version/replica -> by how much its answers are late, in milliseconds
	balancerDelayMap  = balancerDir + "/delay.map"  // version -> by how much, in milliseconds
)

const (
	// versionHeader tells a user which version answered, and the balancer which
	// version a probe is for.
	versionHeader = "X-Rehearsal-Version"
	// weightHeader tells the balancer how many requests a request stands for. It
	// does not reach the service.
	weightHeader = "X-Rehearsal-Weight"
)

var (
	//go:embed balancer.cfg.tmpl
	balancerConfigText string
	//go:embed balancer.lua
	balancerLua string

	balancerVersionName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// balancerFiles renders what HAProxy reads at its start, by path in its container.
// Health checks run pace times as often as in release time, but at most every
// 100 ms of wall time.
func balancerFiles(setup *stage.Setup, pace float64) (map[string]string, error) {
	versions := slices.Sorted(maps.Keys(setup.Versions))
	for _, v := range versions {
		if !balancerVersionName.MatchString(v) {
			return nil, fmt.Errorf("version %q: the balancer needs a name of 1 to 64 letters, digits, dots, hyphens and underscores", v)
		}
	}
	if path := setup.Health.Path; !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\"\\ \r\n") {
		return nil, fmt.Errorf("health check path %q: must begin with / and have no spaces, quotes or backslashes", path)
	}
	t, err := template.New("balancer.cfg").Parse(balancerConfigText)
	if err != nil {
		return nil, err
	}
	var config strings.Builder
	err = t.Execute(&config, map[string]any{
		"Versions":      versions,
		"CheckPath":     setup.Health.Path,
		"CheckTimeout":  balancerCheckTimeout(setup.Health, pace).Milliseconds(),
		"UsersPort":     balancerUsersPort,
		"ProbesPort":    balancerProbesPort,
		"RuntimePort":   balancerRuntimePort,
		"Slots":         balancerSlots,
		"Parts":         balancerParts,
		"Dir":           balancerDir,
		"SharesMap":     balancerSharesMap,
		"ErrorsMap":     balancerErrorsMap,
		"DelaysMap":     balancerDelaysMap,
		"DelayMap":      balancerDelayMap,
		"SlowMap":       balancerSlowMap,
		"VersionHeader": versionHeader,
		"WeightHeader":  weightHeader,
	})
	if err != nil {
		return nil, err
	}
	var none strings.Builder
	for _, v := range versions {
		none.WriteString(v + " 0\n")
	}
	return map[string]string{
		balancerDir + "/haproxy.cfg":  config.String(),
		balancerDir + "/balancer.lua": balancerLua,
		balancerSharesMap:             "",
		balancerErrorsMap:             none.String(),
		balancerDelaysMap:             none.String(),
		balancerDelayMap:              none.String(),
		balancerSlowMap:               "",
	}, nil
}

// patientCheck is how long a check waits at least where time runs ahead: a machine
// under load must not be taken for a sick service.
const patientCheck = 700 * time.Millisecond

// balancerCheckTimeout is how long one check waits for its answer, in wall time. It
// follows the pace as far as patientCheck, since each second of it weighs as many
// seconds of release time: two checks of a service that hangs would take longer than
// its alarms.
func balancerCheckTimeout(h stage.Health, pace float64) time.Duration {
	paced := time.Duration(float64(h.Timeout) / max(pace, 1))
	return max(min(h.Timeout, max(paced, patientCheck)), 100*time.Millisecond)
}

// balancerBackend is the name of a version's backend.
func balancerBackend(version string) string { return "version:" + version }

// balancerChecks is how the balancer checks a target, as HAProxy writes it.
func balancerChecks(h stage.Health, pace float64) string {
	every := max(time.Duration(float64(h.Interval)/max(pace, 1)), 100*time.Millisecond)
	return fmt.Sprintf("check inter %dms rise %d fall %d", every.Milliseconds(), max(h.Healthy, 1), max(h.Unhealthy, 1))
}

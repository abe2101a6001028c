package project

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"go.yaml.in/yaml/v3"

	"rehearsal/internal/stage"
)

// yamlFile is rehearsal.yaml as it is written. Values whose mistakes need a line
// are kept with it.
type yamlFile struct {
	Compose  text   `yaml:"compose"`
	Service  text   `yaml:"service"`
	Alarms   text   `yaml:"alarms"`
	Plan     text   `yaml:"plan"`
	Plans    []text `yaml:"plans"`
	Features text   `yaml:"features"`

	Versions     map[string]yamlVersion    `yaml:"versions"`
	Images       map[string]yamlImage      `yaml:"images"`
	Health       yamlHealth                `yaml:"health"`
	Dependencies map[string]yamlDependency `yaml:"dependencies"`
	Traffic      yamlTraffic               `yaml:"traffic"`
	Smoke        []yamlRequest             `yaml:"smoke"`
	Monitoring   yamlMonitoring            `yaml:"monitoring"`
	Simulation   yamlModel                 `yaml:"simulation"`
	Tolerance    yamlTolerance             `yaml:"tolerance"`
}

type yamlVersion struct {
	Image       text              `yaml:"image"`
	Environment map[string]string `yaml:"environment"`
	Replicas    number            `yaml:"replicas"`
	Simulated   []yamlFailure     `yaml:"simulated"`
}

type yamlFailure struct {
	Kind       text     `yaml:"kind"`
	Dependency string   `yaml:"dependency"`
	Request    string   `yaml:"request"`
	Share      percent  `yaml:"share"`
	Delay      duration `yaml:"delay"`
	After      duration `yaml:"after"`
	Variable   string   `yaml:"variable"`
	Value      string   `yaml:"value"`
	PerRequest size     `yaml:"perRequest"`
}

func (f yamlFailure) failure(version string) stage.Failure {
	return stage.Failure{
		Kind: stage.FailureKind(f.Kind.Value), Version: version, Dependency: f.Dependency, Request: f.Request,
		Share: f.Share.p(), Delay: f.Delay.d(), After: f.After.d(), Variable: f.Variable, Value: f.Value, PerRequest: f.PerRequest.Value,
	}
}

type yamlImage struct {
	Go      text   `yaml:"go"`
	Ldflags string `yaml:"ldflags"`
}

type yamlHealth struct {
	Path      text     `yaml:"path"`
	Port      number   `yaml:"port"`
	Interval  duration `yaml:"interval"`
	Healthy   number   `yaml:"healthy"`
	Unhealthy number   `yaml:"unhealthy"`
	Timeout   duration `yaml:"timeout"`
	Deadline  duration `yaml:"deadline"`
	Drain     duration `yaml:"drain"`
}

type yamlDependency struct {
	Kind      text     `yaml:"kind"`
	Port      number   `yaml:"port"`
	URL       string   `yaml:"url"`
	Path      string   `yaml:"path"`
	Requests  []string `yaml:"requests"`
	Readiness bool     `yaml:"readiness"`
}

type yamlTraffic struct {
	Rate     number        `yaml:"rate"`
	Timeout  duration      `yaml:"timeout"`
	Requests []yamlRequest `yaml:"requests"`
	Stored   string        `yaml:"stored"`
	StoredIn text          `yaml:"storedIn"`
}

type yamlRequest struct {
	Name     text              `yaml:"name"`
	Weight   number            `yaml:"weight"`
	Method   string            `yaml:"method"`
	Path     text              `yaml:"path"`
	Headers  map[string]string `yaml:"headers"`
	Body     string            `yaml:"body"`
	Write    bool              `yaml:"write"`
	Expect   number            `yaml:"expect"`
	Within   duration          `yaml:"within"`
	Contains string            `yaml:"contains"`
}

func (q yamlRequest) request() stage.Request {
	method := q.Method
	if method == "" {
		method = "GET"
	}
	return stage.Request{
		Name: q.Name.Value, Weight: float64(q.Weight.Value), Method: method, Path: q.Path.Value,
		Headers: q.Headers, Body: q.Body, Write: q.Write, Expect: q.Expect.Value,
	}
}

type yamlMonitoring struct {
	LoadBalancer string   `yaml:"loadBalancer"`
	TargetGroups []string `yaml:"targetGroups"`
	Cluster      string   `yaml:"cluster"`
	Service      string   `yaml:"service"`
	LogGroup     string   `yaml:"logGroup"`
	Filters      text     `yaml:"filters"`
}

type yamlModel struct {
	Start         duration `yaml:"start"`
	Median        duration `yaml:"median"`
	P99           duration `yaml:"p99"`
	RestartDelay  duration `yaml:"restartDelay"`
	Memory        size     `yaml:"memory"`
	ClientTimeout duration `yaml:"clientTimeout"`
	ShiftTime     duration `yaml:"shiftTime"`
	DrainTime     duration `yaml:"drainTime"`
	ErrorLogs     float64  `yaml:"errorLogs"`
}

func (m yamlModel) model() stage.Model {
	return stage.Model{
		Start: m.Start.d(), Median: m.Median.d(), P99: m.P99.d(), RestartDelay: m.RestartDelay.d(), Memory: m.Memory.Value,
		ClientTimeout: m.ClientTimeout.d(), ShiftTime: m.ShiftTime.d(), DrainTime: m.DrainTime.d(), ErrorLogs: m.ErrorLogs,
	}
}

type yamlTolerance struct {
	Detect  duration `yaml:"detect"`
	Restore duration `yaml:"restore"`
	Failed  percent  `yaml:"failed"`
}

// The scalars below know their line, and say what they want instead of what the
// YAML library calls them.
type (
	text struct {
		Value string
		Line  int
	}
	number struct{ Value, Line int }
	// duration is "90s" or "5m".
	duration struct {
		Value time.Duration
		Line  int
	}
	// percent is "50%"; a bare number is percent too.
	percent struct {
		Value float64
		Line  int
	}
	// size is "128MiB".
	size struct {
		Value int64
		Line  int
	}
)

func (d duration) d() time.Duration { return d.Value }
func (p percent) p() float64        { return p.Value }

// UnmarshalYAML keeps the line.
func (t *text) UnmarshalYAML(n *yaml.Node) error {
	t.Line = n.Line
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: want text", n.Line)
	}
	t.Value = n.Value
	return nil
}

// UnmarshalYAML reads a whole number.
func (t *number) UnmarshalYAML(n *yaml.Node) (err error) {
	t.Line = n.Line
	if t.Value, err = strconv.Atoi(n.Value); err != nil {
		return fmt.Errorf("line %d: %q is not a whole number", n.Line, n.Value)
	}
	return nil
}

// UnmarshalYAML reads Go's duration syntax and refuses what is not above 0.
func (t *duration) UnmarshalYAML(n *yaml.Node) (err error) {
	t.Line = n.Line
	if t.Value, err = time.ParseDuration(n.Value); err != nil || t.Value < 0 {
		return fmt.Errorf("line %d: %q is not a duration: write it as 90s, 5m or 1h30m", n.Line, n.Value)
	}
	return nil
}

// UnmarshalYAML reads a percentage from 0 to 100.
func (t *percent) UnmarshalYAML(n *yaml.Node) (err error) {
	t.Line = n.Line
	t.Value, err = strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(n.Value, "%")), 64)
	if err != nil || !(t.Value >= 0 && t.Value <= 100) {
		return fmt.Errorf("line %d: %q is not a percentage from 0%% to 100%%", n.Line, n.Value)
	}
	return nil
}

// UnmarshalYAML reads a size in bytes with a binary unit.
func (t *size) UnmarshalYAML(n *yaml.Node) (err error) {
	t.Line = n.Line
	if t.Value, err = units.RAMInBytes(n.Value); err != nil {
		return fmt.Errorf("line %d: %q is not a size: write it as 64KiB or 128MiB", n.Line, n.Value)
	}
	return nil
}

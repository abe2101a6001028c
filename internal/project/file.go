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

// yamlFile is rehearsal.yaml as it is written.
type yamlFile struct {
	Compose  filenames `yaml:"compose"`
	Profiles []string  `yaml:"profiles"`
	Service  string    `yaml:"service"`
	Alarms   string    `yaml:"alarms"`
	Plan     string    `yaml:"plan"`
	Plans    []string  `yaml:"plans"`
	Features string    `yaml:"features"`
	Phrases  string    `yaml:"phrases"`

	Versions     map[string]yamlVersion    `yaml:"versions"`
	Images       map[string]yamlImage      `yaml:"images"`
	Health       yamlHealth                `yaml:"health"`
	Dependencies map[string]yamlDependency `yaml:"dependencies"`
	Stubs        map[string]yamlStub       `yaml:"stubs"`
	Traffic      yamlTraffic               `yaml:"traffic"`
	Smoke        yamlRequests              `yaml:"smoke"`
	Migrations   *yamlMigrations           `yaml:"migrations"`
	Monitoring   yamlMonitoring            `yaml:"monitoring"`
	Simulation   yamlModel                 `yaml:"simulation"`
	Tolerance    yamlTolerance             `yaml:"tolerance"`
	Objective    yamlObjective             `yaml:"objective"`
	Zones        whole                     `yaml:"zones"`
	Production   yamlProduction            `yaml:"production"`
	Waivers      string                    `yaml:"waivers"`
	Pipeline     yamlPipeline              `yaml:"pipeline"`
}

type yamlVersion struct {
	Image       string            `yaml:"image"`
	Build       *yamlBuild        `yaml:"build"`
	Environment map[string]string `yaml:"environment"`
	Replicas    whole             `yaml:"replicas"`
	Migration   string            `yaml:"migration"`
	Capacity    yamlCapacity      `yaml:"capacity"`
	Simulated   []yamlFailure     `yaml:"simulated"`
}

// yamlCapacity is what of a version's replicas differs from what simulation says.
type yamlCapacity struct {
	Concurrency whole    `yaml:"concurrency"`
	Service     duration `yaml:"service"`
	CPU         duration `yaml:"cpu"`
}

func (c yamlCapacity) capacity() stage.Capacity {
	return stage.Capacity{Concurrency: int(c.Concurrency), Service: c.Service.d(), CPU: c.CPU.d()}
}

// yamlBuild is how a version is built where the compose file says it otherwise: the
// folder to build from, or that and more.
type yamlBuild struct{ yamlBuildKeys }

type yamlBuildKeys struct {
	Context    string            `yaml:"context"`
	Dockerfile string            `yaml:"dockerfile"`
	Target     string            `yaml:"target"`
	Args       map[string]string `yaml:"args"`
}

// UnmarshalYAML is the form that keeps the decoder's rule that unknown keys are wrong.
func (b *yamlBuild) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&b.Context) == nil {
		return nil
	}
	return unmarshal(&b.yamlBuildKeys)
}

type yamlFailure struct {
	Kind       stage.FailureKind `yaml:"kind"`
	Dependency string            `yaml:"dependency"`
	Request    string            `yaml:"request"`
	Share      percent           `yaml:"share"`
	Delay      duration          `yaml:"delay"`
	After      duration          `yaml:"after"`
	Variable   string            `yaml:"variable"`
	Value      string            `yaml:"value"`
	PerRequest size              `yaml:"perRequest"`
}

func (f yamlFailure) failure(version string) stage.Failure {
	return stage.Failure{
		Kind: f.Kind, Version: version, Dependency: f.Dependency, Request: f.Request,
		Share: float64(f.Share), Delay: f.Delay.d(), After: f.After.d(), Variable: f.Variable, Value: f.Value, PerRequest: int64(f.PerRequest),
	}
}

type yamlImage struct {
	Go      string `yaml:"go"`
	Ldflags string `yaml:"ldflags"`
}

type yamlHealth struct {
	Path      string   `yaml:"path"`
	Port      whole    `yaml:"port"`
	Interval  duration `yaml:"interval"`
	Healthy   whole    `yaml:"healthy"`
	Unhealthy whole    `yaml:"unhealthy"`
	Timeout   duration `yaml:"timeout"`
	Deadline  duration `yaml:"deadline"`
	Drain     duration `yaml:"drain"`
}

type yamlDependency struct {
	Kind      stage.DependencyKind `yaml:"kind"`
	Port      whole                `yaml:"port"`
	URL       string               `yaml:"url"`
	Variables yamlParts            `yaml:"variables"`
	Say       string               `yaml:"say"`
	Path      string               `yaml:"path"`
	Requests  []string             `yaml:"requests"`
	Readiness bool                 `yaml:"readiness"`
	Calls     whole                `yaml:"calls"`
	Contract  yamlRequests         `yaml:"contract"`
}

// yamlParts is the variables of the service that hold a part of the address each.
type yamlParts struct {
	Host     string `yaml:"host"`
	Port     string `yaml:"port"`
	User     string `yaml:"user"`
	Password string `yaml:"password"`
	Database string `yaml:"database"`
}

// yamlStub is an API outside of the staging copy, for which a stub stands in.
type yamlStub struct {
	Hosts     []string     `yaml:"hosts"`
	Port      whole        `yaml:"port"`
	Answers   string       `yaml:"answers"`
	URL       string       `yaml:"url"`
	Path      string       `yaml:"path"`
	Requests  []string     `yaml:"requests"`
	Readiness bool         `yaml:"readiness"`
	Calls     whole        `yaml:"calls"`
	Contract  yamlRequests `yaml:"contract"`
}

// yamlAnswers is the file of what a stub answers.
type yamlAnswers struct {
	Answers []yamlAnswer `yaml:"answers"`
	Default *yamlAnswer  `yaml:"default"`
}

type yamlAnswer struct {
	Method   string            `yaml:"method"`
	Path     string            `yaml:"path"`
	Contains string            `yaml:"contains"`
	JSON     yaml.Node         `yaml:"json"`
	Status   whole             `yaml:"status"`
	Headers  map[string]string `yaml:"headers"`
	Body     string            `yaml:"body"`
	Delay    duration          `yaml:"delay"`
}

type yamlMigrations struct {
	Of     string `yaml:"of"`
	Query  string `yaml:"query"`
	Expect string `yaml:"expect"`
}

// yamlRequests is a list of requests, or the name of a file with such a list.
type yamlRequests struct {
	file string
	list []yamlRequest
}

// UnmarshalYAML is the form that keeps the decoder's rule that unknown keys are wrong.
func (q *yamlRequests) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&q.file) == nil {
		return nil
	}
	return unmarshal(&q.list)
}

type yamlTraffic struct {
	Rate     whole         `yaml:"rate"`
	Timeout  duration      `yaml:"timeout"`
	Requests []yamlRequest `yaml:"requests"`
	Stored   string        `yaml:"stored"`
	StoredIn string        `yaml:"storedIn"`
}

type yamlRequest struct {
	Name     string               `yaml:"name"`
	Weight   whole                `yaml:"weight"`
	Method   string               `yaml:"method"`
	Path     string               `yaml:"path"`
	Headers  map[string]string    `yaml:"headers"`
	Body     string               `yaml:"body"`
	Write    bool                 `yaml:"write"`
	Expect   whole                `yaml:"expect"`
	Within   duration             `yaml:"within"`
	Contains string               `yaml:"contains"`
	JSON     map[string]yaml.Node `yaml:"json"`
	Schema   string               `yaml:"schema"`
}

func (q yamlRequest) request() stage.Request {
	method := q.Method
	if method == "" {
		method = "GET"
	}
	return stage.Request{
		Name: q.Name, Weight: float64(q.Weight), Method: method, Path: q.Path,
		Headers: q.Headers, Body: q.Body, Write: q.Write, Expect: int(q.Expect),
	}
}

type yamlMonitoring struct {
	LoadBalancer string   `yaml:"loadBalancer"`
	TargetGroups []string `yaml:"targetGroups"`
	Cluster      string   `yaml:"cluster"`
	Service      string   `yaml:"service"`
	LogGroup     string   `yaml:"logGroup"`
	Filters      string   `yaml:"filters"`
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
	Concurrency   whole    `yaml:"concurrency"`
	Service       duration `yaml:"service"`
	CPU           duration `yaml:"cpu"`
}

func (m yamlModel) model() stage.Model {
	return stage.Model{
		Start: m.Start.d(), Median: m.Median.d(), P99: m.P99.d(), RestartDelay: m.RestartDelay.d(), Memory: int64(m.Memory),
		ClientTimeout: m.ClientTimeout.d(), ShiftTime: m.ShiftTime.d(), DrainTime: m.DrainTime.d(), ErrorLogs: m.ErrorLogs,
		Capacity: stage.Capacity{Concurrency: int(m.Concurrency), Service: m.Service.d(), CPU: m.CPU.d()},
	}
}

type yamlTolerance struct {
	Detect  duration `yaml:"detect"`
	Restore duration `yaml:"restore"`
	Failed  percent  `yaml:"failed"`
	// Capacity is how far apart the highest loads may be, of the one that was predicted.
	Capacity percent `yaml:"capacity"`
}

type yamlObjective struct {
	P99    duration `yaml:"p99"`
	Errors percent  `yaml:"errors"`
}

type yamlProduction struct {
	Description  filenames            `yaml:"description"`
	Databases    map[string]filenames `yaml:"databases"`
	TargetGroups string               `yaml:"targetGroups"`
	Alarms       string               `yaml:"alarms"`
	Containers   map[string]string    `yaml:"containers"`
}

// What is not just text or true says what it wants.
type (
	whole     int           // the library would cut 1.5 off
	duration  time.Duration // "90s" or "5m", above 0
	percent   float64       // "50%", above 0; a bare number is percent too
	size      int64         // "128MiB", in bytes
	filenames []string      // of files: one, or a list
)

// UnmarshalYAML reads a whole number.
func (w *whole) UnmarshalYAML(n *yaml.Node) error {
	v, err := strconv.Atoi(n.Value)
	if err != nil {
		return mistake(n, "want a whole number, not %s", said(n))
	}
	*w = whole(v)
	return nil
}

func (d duration) d() time.Duration { return time.Duration(d) }

// UnmarshalYAML reads Go's duration syntax and refuses what is not above 0: what
// takes no time is left out.
func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		return mistake(n, "%s is not a duration: write it as 90s, 5m or 1h30m", said(n))
	case v <= 0:
		return mistake(n, "%s: a duration must be above 0, such as 90s or 5m", said(n))
	}
	*d = duration(v)
	return nil
}

// UnmarshalYAML reads a percentage and refuses 0, which would stand for what is
// left out.
func (p *percent) UnmarshalYAML(n *yaml.Node) error {
	v, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(n.Value, "%")), 64)
	if err != nil || !(v > 0 && v <= 100) {
		return mistake(n, "%s is not a percentage above 0%% and up to 100%%", said(n))
	}
	*p = percent(v)
	return nil
}

// UnmarshalYAML reads a size in bytes with a binary unit.
func (s *size) UnmarshalYAML(n *yaml.Node) error {
	v, err := units.RAMInBytes(n.Value)
	if err != nil || v <= 0 {
		return mistake(n, "%s is not a size: write it as 64KiB or 128MiB", said(n))
	}
	*s = size(v)
	return nil
}

// UnmarshalYAML reads one name or a list of them.
func (l *filenames) UnmarshalYAML(n *yaml.Node) error {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.Value == "" {
			return mistake(item, "want the name of a file, or a list of them, not %s", said(item))
		}
		*l = append(*l, item.Value)
	}
	return nil
}

// mistake is one that the library reports together with all others.
func mistake(n *yaml.Node, format string, args ...any) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: ", n.Line) + fmt.Sprintf(format, args...)}}
}

func said(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	default:
		return strconv.Quote(n.Value)
	}
}

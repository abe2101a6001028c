// Package project reads rehearsal.yaml and every file that it names, and checks
// them before anything starts: what comes out is a stage.Setup that both worlds
// understand, the compose project, the plans and the tolerance. An error names
// file and line, what is wrong, and what would be right; all that is wrong is
// reported at once.
package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/containers"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A Project is one service's rehearsal, read and checked.
type Project struct {
	File      string // rehearsal.yaml
	Setup     stage.Setup
	Compose   *types.Project
	Recipes   []containers.ImageRecipe // of images that are built here when they cannot be had
	Plan      *release.Plan            // the team's own
	Plans     map[string]*release.Plan // by name, the team's own included
	Features  string                   // the folder of the specs
	Tolerance check.Tolerance
}

// Load reads file and every file that it names.
func Load(ctx context.Context, file string) (*Project, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such file: name your rehearsal.yaml with --file, or run this where it is", file)
	}
	if err != nil {
		return nil, err
	}
	r := &reader{ctx: ctx, file: file, dir: filepath.Dir(file)}
	var f yamlFile
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return nil, r.yamlError(err)
	}
	p := r.project(f)
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// reader collects all that is wrong with one rehearsal.yaml.
type reader struct {
	ctx       context.Context
	file, dir string
	errs      []error
}

func (r *reader) fail(line int, format string, args ...any) {
	where := r.file
	if line > 0 {
		where = fmt.Sprintf("%s:%d", r.file, line)
	}
	r.errs = append(r.errs, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

func (r *reader) add(err error) { r.errs = append(r.errs, err) }

func (r *reader) path(name string) string { return filepath.Join(r.dir, name) }

var (
	lineOf  = regexp.MustCompile(`line (\d+): `)
	unknown = regexp.MustCompile(`field (\S+) not found in type \S+`)
)

// yamlError turns the library's errors, which may be several, into file:line.
func (r *reader) yamlError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n")
	var out []error
	for _, l := range strings.Split(text, "\n") {
		l = unknown.ReplaceAllString(strings.TrimSpace(l), "unknown key \"$1\"")
		if m := lineOf.FindStringSubmatchIndex(l); m != nil {
			out = append(out, fmt.Errorf("%s:%s: %s", r.file, l[m[2]:m[3]], l[:m[0]]+l[m[1]:]))
			continue
		}
		out = append(out, fmt.Errorf("%s: %s", r.file, l))
	}
	return errors.Join(out...)
}

func (r *reader) project(f yamlFile) *Project {
	p := &Project{File: r.file, Plans: map[string]*release.Plan{}}
	p.Setup = stage.Setup{
		Service:    f.Service.Value,
		Health:     r.health(f.Health),
		Traffic:    r.traffic(f.Traffic),
		Smoke:      r.smoke(f.Smoke),
		Monitoring: r.monitoring(f.Monitoring),
		Model:      f.Simulation.model(),
	}
	p.Tolerance = check.Tolerance{Detect: f.Tolerance.Detect.d(), Restore: f.Tolerance.Restore.d(), Failed: f.Tolerance.Failed.p()}
	r.compose(p, f)
	r.dependencies(p, f)
	r.versions(p, f)
	r.alarms(p, f)
	r.plans(p, f)
	if f.Features.Value != "" {
		p.Features = r.path(f.Features.Value)
		if _, err := os.Stat(p.Features); err != nil {
			r.fail(f.Features.Line, "features: there is no folder %s", p.Features)
		}
	}
	for _, image := range slices.Sorted(maps.Keys(f.Images)) {
		b := f.Images[image]
		if b.Go.Value == "" {
			r.fail(b.Go.Line, "images: %s: needs \"go\", the folder of the Go program to build", image)
			continue
		}
		p.Recipes = append(p.Recipes, containers.GoRecipe{Dir: r.path(b.Go.Value), Package: ".", Ldflags: b.Ldflags}.For(image))
	}
	return p
}

func (r *reader) compose(p *Project, f yamlFile) {
	name := f.Compose.Value
	if name == "" {
		name = "compose.yaml"
	}
	c, err := containers.LoadCompose(r.ctx, r.path(name))
	if err != nil {
		r.add(err)
		return
	}
	p.Compose = c
	if f.Service.Value == "" {
		r.fail(0, "needs \"service\", the compose service that is released: one of %q", slices.Sorted(maps.Keys(c.Services)))
		return
	}
	s, ok := c.Services[f.Service.Value]
	if !ok {
		r.fail(f.Service.Line, "service: %s has no service %q: it has %q", r.path(name), f.Service.Value, slices.Sorted(maps.Keys(c.Services)))
		return
	}
	p.Setup.Replicas = 1
	if s.Deploy != nil {
		if s.Deploy.Replicas != nil {
			p.Setup.Replicas = *s.Deploy.Replicas
		}
		if l := s.Deploy.Resources.Limits; l != nil {
			p.Setup.MemoryLimit = int64(l.MemoryBytes)
		}
	}
	if s.MemLimit > 0 {
		p.Setup.MemoryLimit = int64(s.MemLimit)
	}
}

func (r *reader) dependencies(p *Project, f yamlFile) {
	for _, name := range slices.Sorted(maps.Keys(f.Dependencies)) {
		d := f.Dependencies[name]
		if p.Compose != nil {
			if _, ok := p.Compose.Services[name]; !ok {
				r.fail(d.Kind.Line, "dependencies: the compose file has no service %q", name)
			}
		}
		if d.Kind.Value != "postgres" && d.Kind.Value != "http" {
			r.fail(d.Kind.Line, "dependencies: %s: kind %q is not known: it is \"postgres\" or \"http\"", name, d.Kind.Value)
		}
		if d.Port.Value < 1 || d.Port.Value > 65535 {
			r.fail(max(d.Port.Line, d.Kind.Line), "dependencies: %s: port %d: a port is from 1 to 65535", name, d.Port.Value)
		}
		for _, q := range d.Requests {
			if _, ok := p.Setup.Traffic.Find(q); !ok {
				r.fail(d.Kind.Line, "dependencies: %s: the traffic has no request %q", name, q)
			}
		}
		p.Setup.Dependencies = append(p.Setup.Dependencies, stage.Dependency{
			Name: name, Kind: d.Kind.Value, Port: d.Port.Value, URLFrom: d.URL, Path: d.Path, Requests: d.Requests, Readiness: d.Readiness,
		})
	}
	if t := p.Setup.Traffic; t.Stored != "" {
		if d, ok := p.Setup.Dependency(t.StoredIn); !ok || d.Kind != "postgres" {
			r.fail(f.Traffic.StoredIn.Line, "traffic: storedIn %q is not a dependency of kind \"postgres\"", t.StoredIn)
		}
	}
}

func (r *reader) versions(p *Project, f yamlFile) {
	p.Setup.Versions = map[string]stage.Version{}
	if len(f.Versions) == 0 {
		r.fail(0, "needs \"versions\": a name and an image for each, at least the one that production runs and the one to release")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Versions)) {
		v := f.Versions[name]
		if v.Image.Value == "" {
			r.fail(v.Image.Line, "versions: %s: needs an image", name)
		}
		out := stage.Version{Name: name, Image: v.Image.Value, Environment: v.Environment, Replicas: v.Replicas.Value}
		if v.Replicas.Value < 0 {
			r.fail(v.Replicas.Line, "versions: %s: %d replicas: at least 1", name, v.Replicas.Value)
		}
		for _, s := range v.Simulated {
			fl := s.failure(name)
			if err := fl.Validate(); err != nil {
				r.fail(s.Kind.Line, "versions: %s: simulated: %v", name, err)
			}
			if fl.Request != "" {
				if _, ok := p.Setup.Traffic.Find(fl.Request); !ok {
					r.fail(s.Kind.Line, "versions: %s: simulated: the traffic has no request %q", name, fl.Request)
				}
			}
			out.Simulated = append(out.Simulated, fl)
		}
		p.Setup.Versions[name] = out
	}
}

func (r *reader) alarms(p *Project, f yamlFile) {
	if f.Alarms.Value == "" {
		r.fail(0, "needs \"alarms\", a file with the output of `aws cloudwatch describe-alarms`: without alarms nothing can detect a bad release")
		return
	}
	alarms, err := alarm.ParseFile(r.path(f.Alarms.Value))
	if err != nil {
		r.add(err)
		return
	}
	p.Setup.Alarms = alarms
}

func (r *reader) plans(p *Project, f yamlFile) {
	load := func(name text) *release.Plan {
		plan, err := release.ParseFile(r.path(name.Value))
		if errors.Is(err, fs.ErrNotExist) {
			r.fail(name.Line, "there is no plan %s", r.path(name.Value))
			return nil
		}
		if err != nil {
			r.add(err)
			return nil
		}
		return plan
	}
	for _, name := range f.Plans {
		plan := load(name)
		if plan == nil {
			continue
		}
		if other, ok := p.Plans[plan.Name]; ok {
			r.fail(name.Line, "plans: %s and %s are both named %q", other.File, plan.File, plan.Name)
		}
		p.Plans[plan.Name] = plan
	}
	if f.Plan.Value == "" {
		r.fail(0, "needs \"plan\", the file of the release plan")
		return
	}
	if p.Plan = load(f.Plan); p.Plan != nil {
		if _, ok := p.Plans[p.Plan.Name]; !ok {
			p.Plans[p.Plan.Name] = p.Plan
		}
	}
}

// Facts is what the plan's lint needs to know of the project. now is the calendar
// time.
func (p *Project) Facts(now time.Time) release.Facts {
	f := release.Facts{
		Now: now, Alarms: p.Setup.Alarms, Fed: p.Fed, Rate: p.Setup.Traffic.Rate, Replicas: p.Setup.Replicas, Smoke: new(len(p.Setup.Smoke)),
	}
	for _, d := range p.Setup.Dependencies {
		f.Dependencies = append(f.Dependencies, d.Name)
	}
	return f
}

// Images is every image of the compose file and of the versions, sorted.
func (p *Project) Images() []string {
	refs := map[string]bool{}
	for name, s := range p.Compose.Services {
		if name != p.Setup.Service {
			refs[s.Image] = true
		}
	}
	for _, v := range p.Setup.Versions {
		refs[v.Image] = true
	}
	return slices.Sorted(maps.Keys(refs))
}

// Fed says which metrics of a nothing in the staging copy will publish: what the
// stages publish is the balancer's, the replicas' and the metric filters'.
func (p *Project) Fed(a alarm.Alarm) (missing []string) {
	m := p.Setup.Monitoring
	fed := map[string][]string{
		"AWS/ApplicationELB": {"RequestCount", "HTTPCode_Target_2XX_Count", "HTTPCode_Target_3XX_Count", "HTTPCode_Target_4XX_Count",
			"HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "TargetResponseTime", "HealthyHostCount", "UnHealthyHostCount"},
		"AWS/ECS": {"CPUUtilization", "MemoryUtilization"},
	}
	for _, f := range m.Filters {
		fed[f.Namespace] = append(fed[f.Namespace], f.Metric)
	}
	dims := map[string][]string{"LoadBalancer": {m.LoadBalancer}, "TargetGroup": m.TargetGroups, "ClusterName": {m.Cluster}, "ServiceName": {m.Service}}
	c, err := a.Compile()
	if err != nil { // told by alarm.ParseFile
		return nil
	}
	for _, in := range c.Inputs {
		w := in.Metric
		if !slices.Contains(fed[w.Namespace], w.MetricName) {
			missing = append(missing, w.Namespace+" "+w.MetricName)
			continue
		}
		for _, d := range w.Dimensions {
			if strings.HasPrefix(w.Namespace, "AWS/") && !slices.Contains(dims[d.Name], d.Value) {
				missing = append(missing, fmt.Sprintf("%s %s with %s %q (the staging copy publishes %q: see monitoring in %s)",
					w.Namespace, w.MetricName, d.Name, d.Value, dims[d.Name], p.File))
			}
		}
	}
	return missing
}

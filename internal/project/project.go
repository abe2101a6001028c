// Package project reads rehearsal.yaml and every file that it names, and checks
// them before anything starts: what comes out is a stage.Setup that both worlds
// understand, the compose project, the plans and the tolerance. An error names
// file and line, what is wrong, and what would be right; all that is wrong is
// reported at once.
package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/containers"
	"rehearsal/internal/parity"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A Project is one service's rehearsal, read and checked.
type Project struct {
	File string // rehearsal.yaml
	// Files are those that decide what is rehearsed: rehearsal.yaml and all that it names,
	// but for the compose files and the descriptions of production, which hold
	// environments and so may hold secrets, and for what pipelines need.
	Files     []string
	Setup     stage.Setup
	Compose   *types.Project
	Recipes   []containers.ImageRecipe // of images that are built here when they cannot be had
	Plan      *release.Plan            // the team's own
	Plans     map[string]*release.Plan // by name, the team's own included
	Features  string                   // the folder of the specs
	Phrases   []Phrase                 // the team's own
	Tolerance check.Tolerance
	Pipeline  *Pipeline // nil: the team did not say how its code comes to a release
	// Production is what the staging copy is compared with; nil where nothing describes
	// it.
	Production *parity.Copy
	Waivers    []parity.Waiver // of differences from it
}

// Load reads file and every file that it names.
func Load(ctx context.Context, file string) (*Project, error) {
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file: name your rehearsal.yaml with --file, or run this where it is", file)
	case err != nil:
		return nil, fmt.Errorf("%s: cannot be read (%w): name your rehearsal.yaml with --file", file, reason(err))
	}
	r := &reader{ctx: ctx, file: file, dir: filepath.Dir(file), untyped: map[int]bool{}}
	var f yamlFile
	var p *Project
	if r.decode(data, &f, "it must say at least the compose file, the service, its versions, alarms, plan and traffic") {
		p = r.project(f)
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return p, nil
}

func (r *reader) project(f yamlFile) *Project {
	p := &Project{File: r.file, Plans: map[string]*release.Plan{}}
	defer func() {
		slices.Sort(r.opened)
		p.Files = append([]string{r.file}, slices.Compact(r.opened)...)
	}()
	p.Setup = stage.Setup{
		Service:    f.Service,
		Health:     r.health(f.Health),
		Traffic:    r.traffic(f.Traffic),
		Smoke:      r.requests(at{"smoke"}, f.Smoke),
		Monitoring: r.monitoring(f.Monitoring),
		Model:      r.model(f.Simulation),
		Objective:  stage.Objective{P99: f.Objective.P99.d(), Errors: float64(f.Objective.Errors)},
		Zones:      int(f.Zones),
	}
	if z := p.Setup.Zones; z < 0 || z > 26 {
		r.fail(at{"zones"}, "zones %d: how many availability zones the replicas are spread over, from 1 to 26", z)
	}
	p.Tolerance = check.Tolerance{Detect: f.Tolerance.Detect.d(), Restore: f.Tolerance.Restore.d(), Failed: float64(f.Tolerance.Failed), Capacity: float64(f.Tolerance.Capacity)}
	r.compose(p, f)
	r.dependencies(p, f)
	r.migrations(p, f)
	r.versions(p, f)
	r.images(p, f)
	r.alarms(p, f)
	r.plans(p, f)
	if f.Phrases != "" {
		p.Phrases = r.phrases(f.Phrases)
	}
	r.production(p, f)
	r.pipeline(p, f.Pipeline)
	if f.Features != "" {
		p.Features = r.path(f.Features)
		if _, err := os.Stat(p.Features); err != nil {
			r.fail(at{"features"}, "features: there is no %s: want the folder of the *.feature files, or one of them", p.Features)
		}
	}
	return p
}

func (r *reader) compose(p *Project, f yamlFile) {
	var files []string
	for _, name := range orList(f.Compose, "compose.yaml") {
		if file, _, ok := r.open(at{"compose"}, name, "the compose file of the service and all that it needs"); ok {
			files = append(files, file)
		}
	}
	if len(files) == 0 || len(files) < len(f.Compose) {
		return
	}
	c, err := containers.LoadComposeFiles(r.ctx, containers.ComposeOptions{Files: files, Profiles: f.Profiles})
	if err != nil {
		r.add(err)
		return
	}
	for i, name := range f.Profiles {
		if have := containers.ComposeProfiles(c); !slices.Contains(have, name) {
			r.fail(at{"profiles", i}, "profiles: no service of the compose file has the profile %q: there are %q", name, have)
		}
	}
	p.Compose = c
	if f.Service == "" {
		r.fail(at{"service"}, "needs \"service\", the compose service that is released: one of %q", c.ServiceNames())
		return
	}
	s, ok := c.Services[f.Service]
	if off, has := c.DisabledServices[f.Service]; !ok && has {
		r.fail(at{"service"}, "service: %q has profiles: name one of %q, profiles: [%s]", f.Service, off.Profiles, off.Profiles[0])
		return
	}
	if !ok {
		r.fail(at{"service"}, "service: %s has no service %q: it has %q", strings.Join(files, ", "), f.Service, c.ServiceNames())
		return
	}
	if p.Setup.Replicas = containers.ComposeReplicas(s); p.Setup.Replicas < 1 {
		r.fail(at{"service"}, "service: %q has no replicas in the compose file: want at least 1", f.Service)
	}
	if s.Deploy != nil {
		if l := s.Deploy.Resources.Limits; l != nil {
			p.Setup.MemoryLimit = int64(l.MemoryBytes)
		}
	}
	if s.MemLimit > 0 {
		p.Setup.MemoryLimit = int64(s.MemLimit)
	}
	p.Setup.CPUs = containers.ComposeCPUs(s)
}

// names is the names of the traffic's requests.
func names(l stage.Load) (all []string) {
	for _, q := range l.Requests {
		all = append(all, q.Name)
	}
	return all
}

// migrations says how to ask for the migration that the database is at.
func (r *reader) migrations(p *Project, f yamlFile) {
	m := f.Migrations
	if m == nil {
		for name, v := range f.Versions {
			if v.Migration != "" {
				r.fail(at{"versions", name, "migration"}, "versions: %s: its migration cannot be checked: add \"migrations: {of: database, query: ..., expect: ...}\"", name)
			}
		}
		return
	}
	if d, ok := p.Setup.Dependency(m.Of); !ok || !d.Database() {
		r.fail(at{"migrations", "of"}, "migrations: of: %q is not one of the dependencies of kind \"postgres\" or \"mysql\"", m.Of)
	}
	if strings.TrimSpace(m.Query) == "" {
		r.fail(at{"migrations", "query"}, "migrations: needs a query of the one value that tells how far the database is, such as SELECT max(version) FROM schema_migrations")
	}
	if m.Expect == "" {
		r.fail(at{"migrations", "expect"}, "migrations: needs what to expect, such as \"002\" in quotes")
	}
	p.Setup.Migrations = &stage.Migrations{Of: m.Of, Query: m.Query, Expect: m.Expect}
}

func (r *reader) versions(p *Project, f yamlFile) {
	p.Setup.Versions = map[string]stage.Version{}
	if len(f.Versions) == 0 {
		r.fail(at{"versions"}, "needs \"versions\": a name and an image for each, at least the one that production runs and the one to release")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Versions)) {
		v, way := f.Versions[name], at{"versions", name}
		switch {
		case v.Build != nil:
			v.Image = r.build(p, append(way, "build"), name, v)
		case v.Image == "":
			r.fail(append(way, "image"), "versions: %s: needs an image, or a build: the folder to build it from", name)
		}
		out := stage.Version{Name: name, Image: v.Image, Environment: v.Environment, Migration: v.Migration, Replicas: r.count(append(way, "replicas"), v.Replicas, 0), Capacity: v.Capacity.capacity()}
		if v.Capacity.Concurrency < 0 {
			r.fail(append(way, "capacity", "concurrency"), "versions: %s: concurrency %d: how many requests a replica answers at the same time, at least 1", name, v.Capacity.Concurrency)
		} else if err := p.Setup.CapacityOf(out).Check(); err != nil {
			r.fail(append(way, "capacity"), "versions: %s: %v", name, err)
		}
		for i, s := range v.Simulated {
			fl, way := s.failure(name), append(way, "simulated", i)
			if err := fl.Validate(); err != nil {
				r.fail(append(way, "kind"), "versions: %s: simulated: %v", name, err)
			}
			if fl.Request != "" {
				if _, ok := p.Setup.Traffic.Find(fl.Request); !ok {
					r.fail(append(way, "request"), "versions: %s: simulated: the traffic has no request %q: it has %q", name, fl.Request, names(p.Setup.Traffic))
				}
			}
			if fl.Dependency != "" {
				if _, ok := p.Setup.Dependency(fl.Dependency); !ok {
					r.fail(append(way, "dependency"), "versions: %s: simulated: there is no %q among the dependencies", name, fl.Dependency)
				}
			}
			out.Simulated = append(out.Simulated, fl)
		}
		p.Setup.Versions[name] = out
	}
}

// build is the name of the image of a version that is built.
func (r *reader) build(p *Project, way at, name string, v yamlVersion) (image string) {
	if p.Compose == nil {
		return v.Image
	}
	b := containers.ComposeBuild{Image: v.Image, Dockerfile: v.Build.Dockerfile, Target: v.Build.Target, Args: v.Build.Args}
	if v.Build.Context != "" {
		folder := r.folder(append(way, "context"), v.Build.Context, "the folder to build the version from")
		var err error
		if b.Context, err = filepath.Abs(folder); err != nil {
			r.fail(way, "versions: %s: build: %v", name, err)
		}
	}
	image, recipe, err := containers.ComposeVersion(p.Compose, p.Setup.Service, name, b)
	if err != nil {
		r.fail(way, "versions: %s: build: %v", name, err)
		return v.Image
	}
	for _, other := range p.Recipes {
		if other.Matches(image) {
			r.fail(way, "versions: %s: build: another version is built as the image %s: give each an image of its own", name, image)
		}
	}
	p.Recipes = append(p.Recipes, recipe)
	return image
}

func (r *reader) images(p *Project, f yamlFile) {
	const what = "the folder of the Go program to build"
	for _, image := range slices.Sorted(maps.Keys(f.Images)) {
		b, way := f.Images[image], at{"images", image, "go"}
		if b.Go == "" {
			r.fail(way, "images: %s: needs \"go\", %s", image, what)
			continue
		}
		p.Recipes = append(p.Recipes, containers.GoRecipe{Dir: r.folder(way, b.Go, what), Package: ".", Ldflags: b.Ldflags}.For(image))
	}
	if p.Compose != nil {
		p.Recipes = append(p.Recipes, containers.ComposeRecipes(p.Compose)...)
	}
}

func (r *reader) alarms(p *Project, f yamlFile) {
	const what = "the output of `aws cloudwatch describe-alarms`"
	if f.Alarms == "" {
		r.fail(at{"alarms"}, "needs \"alarms\", a file with %s: without alarms nothing can detect a bad release", what)
		return
	}
	file, data, ok := r.open(at{"alarms"}, f.Alarms, what)
	if !ok {
		return
	}
	set, err := alarm.Read(file, data)
	if err != nil {
		r.add(err)
		return
	}
	p.Setup.Alarms, p.Setup.Composites = set.Alarms, set.Composites
}

func (r *reader) plans(p *Project, f yamlFile) {
	for i, name := range f.Plans {
		plan := r.plan(at{"plans", i}, name)
		if plan == nil {
			continue
		}
		if other, ok := p.Plans[plan.Name]; ok {
			r.fail(at{"plans", i}, "plans: %s and %s are both named %q: a scenario could not say which it means", other.File, plan.File, plan.Name)
		}
		p.Plans[plan.Name] = plan
	}
	if f.Plan == "" {
		r.fail(at{"plan"}, "needs \"plan\", the file of the release plan")
		return
	}
	if p.Plan = r.plan(at{"plan"}, f.Plan); p.Plan != nil {
		if _, ok := p.Plans[p.Plan.Name]; !ok {
			p.Plans[p.Plan.Name] = p.Plan
		}
	}
}

func (r *reader) plan(way at, name string) *release.Plan {
	file, data, ok := r.open(way, name, "a release plan")
	if !ok {
		return nil
	}
	plan, err := release.Parse(file, data)
	if err != nil {
		r.add(err)
		return nil
	}
	return plan
}

// Facts is what the plan's lint needs to know of the project. now is the calendar
// time.
func (p *Project) Facts(now time.Time) release.Facts {
	f := release.Facts{
		Now: now, Alarms: p.Setup.Alarms, Composites: p.Setup.Composites, Fed: p.Fed, Rate: p.Setup.Traffic.Rate, Replicas: p.Setup.Replicas, Smoke: new(len(p.Setup.Smoke)),
	}
	f.Contracts, f.Migrations = []string{}, new("")
	for _, d := range p.Setup.Dependencies {
		f.Dependencies = append(f.Dependencies, d.Name)
		if len(d.Contract) > 0 {
			f.Contracts = append(f.Contracts, d.Name)
		}
	}
	if m := p.Setup.Migrations; m != nil {
		f.Migrations = &m.Of
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

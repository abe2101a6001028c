package containers

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/api/types/container"
)

// buildHonoured are the fields of a service's build that the engine's own builder does
// as docker compose would.
var buildHonoured = []string{
	"context", "dockerfile", "dockerfile_inline", "args", "target", "labels", "network", "extra_hosts", "cache_from", "no_cache", "shm_size", "ulimits",
}

// buildIdle are those that may be there and change nothing of the image, and why.
var buildIdle = map[string]string{
	"tags":            "the image gets the one name by which it is used",
	"pull":            "a base image that the engine has is used",
	"cache_to":        "the engine keeps its own cache",
	"no_cache_filter": "the engine keeps its own cache",
	"platforms":       "the image is built for the engine's own platform",
	"provenance":      "nothing is published",
	"sbom":            "nothing is published",
}

// A ComposeBuild is what a version of the released service says of its build in place
// of the compose file; what is empty stays as there.
type ComposeBuild struct {
	Image      string // its name, for which a registry is asked first; empty: it is built in any case
	Context    string // absolute
	Dockerfile string
	Target     string
	Args       map[string]string // over those of the compose file
}

// ComposeRecipes is how the images of services that have a build are made where the
// engine has none and, for a service that names an image, no registry gives it.
func ComposeRecipes(p *types.Project) (all []ImageRecipe) {
	source := readComposeSource(p.ComposeFiles)
	for _, name := range p.ServiceNames() {
		if s := p.Services[name]; s.Build != nil {
			r := buildOf(source, s, *s.Build)
			r.ref = s.Image
			r.pulls = s.Image != projectImage(p.Name, name) && s.PullPolicy != types.PullPolicyBuild && s.PullPolicy != types.PullPolicyNever
			all = append(all, r)
		}
	}
	return all
}

var noTag = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// versionImage is the name of the image of a version that is built and names none: that
// of the service's, as docker compose would name it, with the version as its tag.
func versionImage(p *types.Project, service, version string) string {
	tag := strings.Trim(noTag.ReplaceAllString(version, "-"), ".-")
	return projectImage(p.Name, service) + ":" + cmp.Or(tag[:min(len(tag), 128)], "latest")
}

// ComposeVersion is the image of a version and how it is built: as the compose file says
// of the service, except for what change says.
func ComposeVersion(p *types.Project, service, version string, change ComposeBuild) (image string, _ ImageRecipe, _ error) {
	s := p.Services[service]
	var b types.BuildConfig
	switch {
	case s.Build != nil:
		b = *s.Build
	case change.Context == "":
		return "", nil, fmt.Errorf("the service %q of the compose file has no build: name a context", service)
	}
	if change.Context != "" {
		b.Context = change.Context
	}
	if change.Dockerfile != "" {
		b.Dockerfile, b.DockerfileInline = change.Dockerfile, ""
	}
	b.Target = cmp.Or(change.Target, b.Target)
	b.Args = maps.Clone(b.Args)
	for name, value := range change.Args {
		if b.Args == nil {
			b.Args = types.MappingWithEquals{}
		}
		b.Args[name] = &value
	}
	r := buildOf(readComposeSource(p.ComposeFiles), s, b)
	r.ref, r.pulls = cmp.Or(change.Image, versionImage(p, service, version)), change.Image != ""
	return r.ref, r, nil
}

// buildOf is the recipe that a build is, with all that keeps it from being built.
func buildOf(source *composeSource, s types.ServiceConfig, b types.BuildConfig) buildRecipe {
	r := buildRecipe{
		folder: b.Context, dockerfile: b.Dockerfile, inline: b.DockerfileInline, target: b.Target, labels: b.Labels, network: b.Network,
		cacheFrom: b.CacheFrom, noCache: b.NoCache, shm: int64(b.ShmSize), ulimits: ulimitsOf(b.Ulimits), platform: s.Platform, args: map[string]string{},
	}
	for name, value := range b.Args {
		if value != nil {
			r.args[name] = *value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.ExtraHosts)) {
		for _, ip := range b.ExtraHosts[name] {
			r.hosts = append(r.hosts, name+":"+ip)
		}
	}
	no := func(field, why string) {
		at := source.find("services", s.Name, "build", field)
		r.wrong = append(r.wrong, at.says(fmt.Sprintf("service %q: build.%s: %s", s.Name, field, why)))
	}
	fields := composeFields(reflect.ValueOf(b))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if _, idle := buildIdle[name]; !fields[name].IsZero() && !idle && !slices.Contains(buildHonoured, name) {
			no(name, "the engine's own builder cannot do that: build the image before with `docker compose build`, and what that made is used")
		}
	}
	switch info, err := os.Stat(b.Context); {
	case strings.Contains(b.Context, "://") || strings.HasPrefix(b.Context, "git@"):
		no("context", fmt.Sprintf("%s is not a folder of this machine: get a copy of it, and name that", b.Context))
	case errors.Is(err, os.ErrNotExist) || err == nil && !info.IsDir():
		no("context", "there is no folder "+b.Context)
	}
	return r
}

func ulimitsOf(all map[string]*types.UlimitsConfig) (out []*container.Ulimit) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		u := all[name]
		limit := &container.Ulimit{Name: name, Soft: int64(u.Soft), Hard: int64(u.Hard)}
		if u.Single != 0 {
			limit.Soft, limit.Hard = int64(u.Single), int64(u.Single)
		}
		out = append(out, limit)
	}
	return out
}

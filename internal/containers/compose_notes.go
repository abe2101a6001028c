package containers

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"rehearsal/internal/stage"
)

// ComposeReplicas is how many containers a service has, as docker compose would start.
func ComposeReplicas(s types.ServiceConfig) int {
	switch {
	case s.Scale != nil:
		return *s.Scale
	case s.Deploy != nil && s.Deploy.Replicas != nil:
		return *s.Deploy.Replicas
	}
	return 1
}

// ComposeProfiles is every profile that a service of the project has, sorted.
func ComposeProfiles(p *types.Project) []string {
	all := map[string]bool{}
	for _, services := range []types.Services{p.Services, p.DisabledServices} {
		for _, s := range services {
			for _, name := range s.Profiles {
				all[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// ComposeNotes says, with file and line, what of a project a stage does otherwise than
// docker compose without refusing it: what is left out, and what says nothing there.
func ComposeNotes(p *types.Project, setup *stage.Setup) []string {
	n := composeNotes{setup: setup, source: readComposeSource(p.ComposeFiles), folded: map[string][]composePlace{}}
	for _, name := range p.DisabledServiceNames() {
		n.say(n.source.find("services", name), "service %q is left out: it has profiles; to have it, say in rehearsal.yaml profiles: [%s]", name, p.DisabledServices[name].Profiles[0])
	}
	for _, name := range p.ServiceNames() {
		n.service(p, p.Services[name])
	}
	if len(p.Networks) > 1 {
		n.say(n.source.find("networks"), "all services are on one network of the stage: each reaches every other")
	}
	for _, what := range slices.Sorted(maps.Keys(n.folded)) {
		n.all = append(n.all, linesOf(n.folded[what])+": "+what)
	}
	return append(n.all, notRead(p)...)
}

type composeNotes struct {
	setup  *stage.Setup
	source *composeSource
	folded map[string][]composePlace // what is to say of several places
	all    []string
}

func (n *composeNotes) say(at composePlace, format string, args ...any) {
	n.all = append(n.all, at.says(fmt.Sprintf(format, args...)).Error())
}

// fold says the same of several places in one line.
func (n *composeNotes) fold(what string, keys ...string) {
	n.folded[what] = append(n.folded[what], n.source.find(keys...))
}

func (n *composeNotes) service(p *types.Project, s types.ServiceConfig) {
	for name, value := range composeFields(reflect.ValueOf(s)) {
		usual := name == "pull_policy" && (s.PullPolicy == types.PullPolicyMissing || s.PullPolicy == types.PullPolicyIfNotPresent)
		if why, idle := composeIdle[name]; idle && !value.IsZero() && !usual {
			n.fold(name+": "+why, "services", s.Name, name)
		}
	}
	if s.Build != nil {
		for name, value := range composeFields(reflect.ValueOf(*s.Build)) {
			if why, idle := buildIdle[name]; idle && !value.IsZero() {
				n.fold("build."+name+": "+why, "services", s.Name, "build", name)
			}
		}
	}
	if d := s.Deploy; d != nil {
		for field, set := range map[string]bool{
			"placement":       !reflect.ValueOf(d.Placement).IsZero(),
			"update_config":   d.UpdateConfig != nil,
			"rollback_config": d.RollbackConfig != nil,
			"endpoint_mode":   d.EndpointMode != "",
			"labels":          len(d.Labels) > 0,
		} {
			if set {
				n.fold("deploy."+field+": how a service is updated and where it runs is for the release plan and the stage to say", "services", s.Name, "deploy", field)
			}
		}
		if r := d.RestartPolicy; r != nil && (r.Delay != nil || r.Window != nil) {
			n.fold("deploy.restart_policy: delay and window are the engine's own", "services", s.Name, "deploy", "restart_policy")
		}
	}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind && v.ReadOnly {
			n.fold("read-only files and folders are copies, which the container can write to", "services", s.Name, "volumes", targetKey(v.Target))
		}
	}
	_, dependency := n.setup.Dependency(s.Name)
	if count := ComposeReplicas(s); dependency && count > 1 {
		n.say(n.source.find("services", s.Name), "service %q: %s calls the first of its %d replicas, through the proxy that failures are injected by", s.Name, n.setup.Service, count)
	}
	switch {
	case s.Name == n.setup.Service:
		if s.HealthCheck != nil {
			n.say(n.source.find("services", s.Name, "healthcheck"), "service %q: the balancer asks for its health, as \"health\" in rehearsal.yaml says; this healthcheck is not run", s.Name)
		}
		return
	case ComposeReplicas(s) == 0:
		n.say(n.source.find("services", s.Name), "service %q is left out: it has no replicas", s.Name)
	case !dependency && !asked(s) && !awaited(p, s.Name):
		n.say(n.source.find("services", s.Name), "service %q has no healthcheck: it counts as ready as soon as it runs, unless rehearsal.yaml has it among the dependencies, which are asked", s.Name)
	}
}

// asked says whether the compose file has a health check for a service.
func asked(s types.ServiceConfig) bool {
	return s.HealthCheck != nil && !s.HealthCheck.Disable && len(s.HealthCheck.Test) > 0 && s.HealthCheck.Test[0] != "NONE"
}

// awaited says whether another service waits for more than its start: until it is
// healthy, by its image's health check, or until it has ended.
func awaited(p *types.Project, name string) bool {
	for _, other := range p.Services {
		if d, ok := other.DependsOn[name]; ok && d.Condition != types.ServiceConditionStarted {
			return true
		}
	}
	return false
}

// linesOf is the places in few words: "compose.yaml:3,9".
func linesOf(places []composePlace) string {
	lines := map[string][]int{}
	for _, p := range places {
		lines[p.file] = append(lines[p.file], p.line)
	}
	var all []string
	for _, file := range slices.Sorted(maps.Keys(lines)) {
		slices.Sort(lines[file])
		var numbers []string
		for _, line := range slices.Compact(lines[file]) {
			numbers = append(numbers, strconv.Itoa(line))
		}
		all = append(all, file+":"+strings.Join(numbers, ","))
	}
	return strings.Join(all, " ")
}

// notRead is what docker compose would read by itself.
func notRead(p *types.Project) (all []string) {
	if len(p.ComposeFiles) == 0 {
		return nil
	}
	folder := filepath.Dir(p.ComposeFiles[0])
	for _, name := range cli.DefaultOverrideFileNames {
		file := filepath.Join(folder, name)
		if _, err := os.Stat(file); err == nil && !slices.Contains(p.ComposeFiles, file) {
			all = append(all, fmt.Sprintf("%s is not read: to have it, say in rehearsal.yaml compose: [%s, %s]", file, filepath.Base(p.ComposeFiles[0]), name))
		}
	}
	for _, name := range []string{"COMPOSE_FILE", "COMPOSE_PROFILES"} {
		if _, set := p.Environment[name]; set {
			all = append(all, fmt.Sprintf("%s: %s is not heeded: rehearsal.yaml says it, by compose: and profiles:", filepath.Join(folder, ".env"), name))
		}
	}
	return all
}

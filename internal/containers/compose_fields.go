package containers

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// composeHonoured are the fields of a compose service that a stage does as
// docker compose does. A field that is neither here nor in composeIdle is an
// error, also one that compose learns later.
var composeHonoured = []string{
	"name", "image", "environment", "env_file", "command", "entrypoint", "user", "working_dir", "hostname", "domainname",
	"healthcheck", "depends_on", "networks", "expose", "extra_hosts", "container_name",
	"volumes", "tmpfs", "configs", "secrets", "read_only", "shm_size",
	"mem_limit", "mem_reservation", "memswap_limit", "mem_swappiness", "cpus", "cpu_period", "cpu_quota", "cpu_shares", "cpuset", "pids_limit", "ulimits", "oom_score_adj", "deploy", "scale",
	"stop_grace_period", "stop_signal", "restart", "init", "tty", "stdin_open", "platform", "build", "profiles", "extends",
	"cap_add", "cap_drop", "security_opt", "group_add", "sysctls", "labels", "label_file",
}

// composeIdle are the fields that may be there and say nothing about a stage, and why:
// ComposeNotes tells it.
var composeIdle = map[string]string{
	"ports":       "nothing but the balancer is called from outside, so no port is published",
	"pull_policy": "an image that the engine has is used, another pulled or built",
	"logging":     "the stage reads every log itself",
	"log_driver":  "the stage reads every log itself",
	"log_opt":     "the stage reads every log itself",
	"attach":      "the stage reads every log itself",
	"develop":     "nothing is changed while a rehearsal runs",
	"annotations": "they are not passed on",
}

// unsupported is what a stage would not honour: where it is, and why.
type unsupported struct {
	keys []string
	why  string
}

// unsupportedIn is what a stage would not honour in a service.
func unsupportedIn(p *types.Project, s types.ServiceConfig) []unsupported {
	var all []unsupported
	no := func(why string, keys ...string) { all = append(all, unsupported{keys, why}) }

	for name, value := range composeFields(reflect.ValueOf(s)) {
		if _, idle := composeIdle[name]; !value.IsZero() && !idle && !slices.Contains(composeHonoured, name) {
			no(fmt.Sprintf("%s is not supported in a rehearsal: %s", name, composeRemedy(name)), name)
		}
	}
	for name, value := range s.Environment {
		if value == nil {
			no(fmt.Sprintf("%s has no value: give it one, here or in the .env file beside the compose file (a rehearsal does not "+
				"pass the shell's environment on)", name), "environment", name)
		}
	}
	for name, host := range s.ExtraHosts {
		if slices.Contains(host, "host-gateway") {
			no(fmt.Sprintf("extra_hosts: %s is this machine, which a stage never calls: make it a service of the compose file", name),
				"extra_hosts")
		}
	}
	for name, n := range s.Networks {
		if n != nil && (n.Ipv4Address != "" || n.Ipv6Address != "" || n.MacAddress != "" || len(n.LinkLocalIPs) > 0 || len(n.DriverOpts) > 0 || n.InterfaceName != "") {
			no(fmt.Sprintf("networks.%s: fixed addresses and driver options are not supported, so that stages can run side by side: "+
				"call services by their names", name), "networks", name)
		}
	}
	for _, v := range s.Volumes {
		if why := unsupportedVolume(v); why != "" {
			no(why, "volumes", targetKey(v.Target))
		} else if s.ReadOnly && v.Type == types.VolumeTypeBind {
			no(fmt.Sprintf("read_only with a file from outside (%s) is not supported: use a config, a volume or a tmpfs there", v.Target),
				"volumes", targetKey(v.Target))
		}
	}
	if s.ReadOnly && len(s.Configs)+len(s.Secrets) > 0 {
		no("read_only with configs or secrets is not supported: a stage copies them into the container", "read_only")
	}
	for _, option := range s.SecurityOpt {
		if profile, ok := strings.CutPrefix(strings.Replace(option, "=", ":", 1), "seccomp:"); ok && profile != "unconfined" {
			no("security_opt: a seccomp profile of one's own is not supported: leave it out, or say seccomp:unconfined", "security_opt")
		}
	}
	for _, c := range s.Configs {
		if why := unsupportedOwner(types.FileReferenceConfig(c)); why != "" {
			no("configs: "+why, "configs", targetKey(c.Source))
		}
	}
	for _, c := range s.Secrets {
		if why := unsupportedOwner(types.FileReferenceConfig(c)); why != "" {
			no("secrets: "+why, "secrets", targetKey(c.Source))
		}
	}
	all = append(all, unsupportedDeploy(s.Deploy)...)
	for name, d := range s.DependsOn {
		if d.Condition != types.ServiceConditionHealthy {
			continue
		}
		if on, ok := p.Services[name]; ok && on.HealthCheck != nil && (on.HealthCheck.Disable || slices.Equal(on.HealthCheck.Test, []string{"NONE"})) {
			no(fmt.Sprintf("it waits until %q is healthy, whose healthcheck is disabled", name), "depends_on", name)
		}
	}
	return all
}

// unsupportedOwner says why a copied file cannot have the owner that it asks for, or "".
func unsupportedOwner(ref types.FileReferenceConfig) string {
	for _, id := range []string{ref.UID, ref.GID} {
		if _, err := strconv.ParseUint(id, 10, 31); id != "" && err != nil {
			return fmt.Sprintf("the owner %q of %s is not a number: nothing is known of the users in the image", id, ref.Source)
		}
	}
	return ""
}

// unsupportedVolume says why a volume cannot be had, or "".
func unsupportedVolume(v types.ServiceVolumeConfig) string {
	switch v.Type {
	case types.VolumeTypeBind:
		info, err := os.Stat(v.Source)
		switch {
		case err != nil:
			return fmt.Sprintf("the volume %s is not there: %v", v.Target, err)
		case !info.IsDir() && !info.Mode().IsRegular():
			return fmt.Sprintf("the volume %s is neither a file nor a folder: a stage copies what it mounts, and never gets a "+
				"socket or device of this machine", v.Source)
		}
	case types.VolumeTypeVolume:
		if v.Volume != nil && v.Volume.Subpath != "" {
			return fmt.Sprintf("the volume %s: subpath is not supported, since an engine may leave it out in silence: mount the whole volume, or another one", v.Target)
		}
	case types.VolumeTypeTmpfs:
	default:
		return fmt.Sprintf("a volume of type %q is not supported: use a file, a folder, a named volume or tmpfs", v.Type)
	}
	return ""
}

// unsupportedDeploy looks into deploy. How compose would update, restart and
// place a service is for the release plan and the stage to do.
func unsupportedDeploy(d *types.DeployConfig) []unsupported {
	if d == nil {
		return nil
	}
	var all []unsupported
	if d.Mode != "" && d.Mode != "replicated" {
		all = append(all, unsupported{[]string{"deploy", "mode"}, fmt.Sprintf("deploy.mode %q is not supported: leave it out", d.Mode)})
	}
	if l := d.Resources.Limits; l != nil && len(l.Devices)+len(l.GenericResources) > 0 {
		all = append(all, unsupported{[]string{"deploy", "resources", "limits"}, "deploy.resources: devices are not supported"})
	}
	if r := d.Resources.Reservations; r != nil && len(r.Devices)+len(r.GenericResources) > 0 {
		all = append(all, unsupported{[]string{"deploy", "resources", "reservations"}, "deploy.resources: devices are not supported"})
	}
	return all
}

// unsupportedShared is what a stage would not honour beside the services.
func unsupportedShared(p *types.Project) []unsupported {
	var all []unsupported
	no := func(why string, keys ...string) { all = append(all, unsupported{keys, why}) }
	for name := range p.Models {
		no(fmt.Sprintf("model %q: models are not supported in a rehearsal: %s", name, composeRemedy("models")), "models", name)
	}
	for name := range p.Jobs {
		no(fmt.Sprintf("job %q: jobs are not supported in a rehearsal: make it a service, which others wait for with service_completed_successfully", name), "jobs", name)
	}
	for name, v := range p.Volumes {
		switch {
		case bool(v.External):
			no(fmt.Sprintf("volume %q is external: a stage starts with volumes of its own, empty ones", name), "volumes", name)
		case (v.Driver != "" && v.Driver != "local") || len(v.DriverOpts) > 0:
			no(fmt.Sprintf("volume %q: drivers and their options are not supported", name), "volumes", name)
		}
	}
	for name, n := range p.Networks {
		switch {
		case bool(n.External):
			no(fmt.Sprintf("network %q is external: a stage reaches nothing outside; make what is called there a service", name), "networks", name)
		case (n.Driver != "" && n.Driver != "bridge") || len(n.DriverOpts) > 0 || len(n.Ipam.Config) > 0:
			no(fmt.Sprintf("network %q: drivers, their options and address pools are not supported: every stage has a network of its own", name),
				"networks", name)
		}
	}
	shared := func(kind, name string, o types.FileObjectConfig) {
		switch {
		case bool(o.External) || o.Driver != "" || o.TemplateDriver != "":
			no(fmt.Sprintf("%s.%s is kept elsewhere: give a stand-in of it as a file", kind, name), kind, name)
		case o.Environment != "":
			no(fmt.Sprintf("%s.%s comes from the shell's environment, which a rehearsal does not pass on: give a stand-in of it as a file", kind, name),
				kind, name)
		case o.File != "":
			if info, err := os.Stat(o.File); err != nil || !info.Mode().IsRegular() {
				no(fmt.Sprintf("%s.%s: there is no file %s", kind, name, o.File), kind, name)
			}
		}
	}
	for name, c := range p.Configs {
		shared("configs", name, types.FileObjectConfig(c))
	}
	for name, c := range p.Secrets {
		shared("secrets", name, types.FileObjectConfig(c))
	}
	return all
}

// composeFields is the fields of a service by their names in the file.
func composeFields(v reflect.Value) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for i := range v.NumField() {
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		switch {
		case name == "" && strings.Contains(options, "inline"):
			for k, f := range composeFields(v.Field(i)) {
				all[k] = f
			}
		case name != "" && name != "-" && !strings.HasPrefix(name, "#"): // #extensions are x-…, anybody's
			all[name] = v.Field(i)
		}
	}
	return all
}

// composeRemedy is what to do instead.
func composeRemedy(field string) string {
	switch field {
	case "privileged", "devices", "device_cgroup_rules", "gpus", "use_api_socket":
		return "a stage never gets hold of this machine"
	case "network_mode", "net", "pid", "ipc", "uts", "cgroup", "cgroup_parent", "userns_mode":
		return "every container has namespaces of its own; call services by their names"
	case "links", "external_links":
		return "call services by their names; another name is one of networks.default.aliases of the service that is called"
	case "volumes_from":
		return "name the same volume in both services"
	case "provider", "models":
		return "a stage raises containers only"
	case "storage_opt", "blkio_config", "cpu_rt_period", "cpu_rt_runtime", "oom_kill_disable":
		return "whether it can be had depends on the machine; leave it out"
	case "dns", "dns_search", "dns_opt":
		return "a stage knows the names of its services and no others"
	case "pre_start", "post_start", "pre_stop":
		return "make it a service of its own, with depends_on and service_completed_successfully"
	}
	return "leave it out, or set it in a compose file of its own for rehearsals"
}

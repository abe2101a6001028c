package containers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// A containerSpec is a container of a stage before there is one: a compose
// service, and what differs between the containers made of it.
type containerSpec struct {
	name        string // on this stage: "database", "shop-v2-1"
	service     types.ServiceConfig
	environment map[string]string
	address     netip.Addr        // on the stage's network
	aliases     []string          // names that others find it by
	hosts       map[string]string // names that it finds at other addresses
	files       []copiedFile
	memory      int64             // limit in bytes; 0 is none
	cpus        float64           // limit, in the place of the service's; 0 is the service's
	publish     []string          // ports to publish, where the engine is elsewhere
	labels      map[string]string // beside the stage's
	restarts    bool              // by the engine, as the compose file says
}

// serviceSpec is the container that the compose file describes.
func serviceSpec(p *types.Project, s types.ServiceConfig) containerSpec {
	return containerSpec{
		name:        s.Name,
		service:     s,
		environment: environmentOf(s),
		files:       copiedFiles(p, s),
		memory:      memoryLimit(s),
	}
}

func environmentOf(s types.ServiceConfig) map[string]string {
	all := make(map[string]string, len(s.Environment))
	for name, value := range s.Environment {
		if value != nil {
			all[name] = *value
		}
	}
	return all
}

func memoryLimit(s types.ServiceConfig) int64 {
	if l := limits(s); l.MemoryBytes > 0 {
		return int64(l.MemoryBytes)
	}
	return int64(s.MemLimit)
}

// reserved is deploy's reservation of memory, in bytes; 0 is none.
func reserved(s types.ServiceConfig) int64 {
	if s.Deploy == nil || s.Deploy.Resources.Reservations == nil {
		return 0
	}
	return int64(s.Deploy.Resources.Reservations.MemoryBytes)
}

func swappiness(s types.ServiceConfig) *int64 {
	if s.MemSwappiness == 0 { // as compose does: 0 is not said
		return nil
	}
	return new(int64(s.MemSwappiness))
}

func limits(s types.ServiceConfig) types.Resource {
	if s.Deploy == nil || s.Deploy.Resources.Limits == nil {
		return types.Resource{}
	}
	return *s.Deploy.Resources.Limits
}

// stopGrace is how long a service may take to end after SIGTERM; compose's
// default is 10 s.
func stopGrace(s types.ServiceConfig) time.Duration {
	if s.StopGracePeriod != nil {
		return time.Duration(*s.StopGracePeriod)
	}
	return 10 * time.Second
}

// unbroken is ctx for what must not end half-way: an engine call whose outcome would
// be unknown, and the first container of a process, before which testcontainers
// starts its reaper and panics where it cannot. It ends soon by itself.
func unbroken(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
}

// create makes the container, with its files, and does not start it.
func (s *Stage) create(ctx context.Context, c containerSpec) (*testcontainers.DockerContainer, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ctx, cancel := unbroken(ctx)
	defer cancel()
	if err := s.checkPlatform(ctx, c.service); err != nil {
		return nil, fmt.Errorf("create %s: %w", c.name, err)
	}
	labels := maps.Clone(s.labels)
	maps.Copy(labels, c.service.Labels)
	maps.Copy(labels, c.labels)
	networks := []string{s.inside.name}
	if s.outside != nil && len(c.publish) > 0 {
		networks = append(networks, s.outside.name)
	}
	made, err := s.provider.CreateContainer(ctx, testcontainers.ContainerRequest{
		Name:          s.inside.name + "-" + c.name,
		Image:         c.service.Image,
		ImagePlatform: c.service.Platform,
		Entrypoint:    c.service.Entrypoint,
		Cmd:           c.service.Command,
		Env:           c.environment,
		Labels:        labels,
		Networks:      networks,
		NetworkAliases: map[string][]string{
			s.inside.name: c.aliases,
		},
		ExposedPorts:       c.publish,
		ConfigModifier:     func(config *container.Config) { c.configure(config) },
		HostConfigModifier: func(host *container.HostConfig) { c.configureHost(host, s.inside.name, s.id, s.resolver()) },
		EndpointSettingsModifier: func(ends map[string]*network.EndpointSettings) {
			if end := ends[s.inside.name]; end != nil && c.address.IsValid() {
				end.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: c.address}
			}
		},
	})
	ctr, _ := made.(*testcontainers.DockerContainer)
	if err == nil {
		err = copyInto(ctx, s.docker, ctr.ID, c.files)
	}
	if err != nil {
		if ctr != nil {
			err = errors.Join(err, s.remove(ctx, ctr))
		}
		return nil, fmt.Errorf("create %s: %w%s", c.name, err, s.mountedOver(c, err))
	}
	return ctr, nil
}

// inTheWay is what engines say of a mount or a copy that a file is in the way of.
var inTheWay = regexp.MustCompile(`not a directory|is not directory|is a directory|not a dir\b|cannot overwrite`)

// mountedOver says more of a container that could not be made because of what is mounted
// into it; "" where that is not why.
func (s *Stage) mountedOver(c containerSpec, err error) string {
	var targets []string
	for _, v := range c.service.Volumes {
		targets = append(targets, v.Target)
	}
	for _, f := range c.files {
		targets = append(targets, f.target)
	}
	if len(targets) == 0 || !inTheWay.MatchString(err.Error()) {
		return ""
	}
	slices.Sort(targets)
	where := readComposeSource(s.project.ComposeFiles).find("services", c.service.Name, "volumes")
	return fmt.Sprintf(" (%s)", where.says(fmt.Sprintf("of what is mounted at %s, a folder meets a file of the image, or a file a folder: mount it elsewhere",
		strings.Join(slices.Compact(targets), ", "))))
}

// checkPlatform refuses an image of another platform than the compose file asks for, and
// remembers one of another than the engine's, which may run it, more slowly, or not.
func (s *Stage) checkPlatform(ctx context.Context, c types.ServiceConfig) error {
	image, err := s.docker.ImageInspect(ctx, c.Image)
	if err != nil {
		return fmt.Errorf("ask the engine for image %s: %w", c.Image, err)
	}
	is := image.Os + "/" + image.Architecture
	if c.Platform != "" && !samePlatform(c.Platform, is) {
		return fmt.Errorf("the compose file asks for platform %s, and the image %s in the engine is for %s: get the right one, with `docker pull --platform %s %s` or by building it so, or leave platform out",
			c.Platform, c.Image, is, c.Platform, c.Image)
	}
	if here := "linux/" + s.engine.Arch; !samePlatform(is, here) {
		hint := fmt.Sprintf("the image %s is for %s, and this engine runs %s: use one for %s, unless the engine can emulate it", c.Image, is, here, here)
		if _, told := s.foreign.LoadOrStore(c.Image, hint); !told {
			s.o.Progress(hint)
		}
	}
	return nil
}

// samePlatform compares the system and the architecture of two platforms, not the
// variant, which newer processors run all of.
func samePlatform(a, b string) bool {
	part := func(p string, n int) string {
		if parts := strings.Split(strings.ToLower(p), "/"); n < len(parts) {
			return parts[n]
		}
		return ""
	}
	arch := func(p string) string {
		switch a := part(p, 1); a {
		case "x86_64", "x86-64":
			return "amd64"
		case "aarch64":
			return "arm64"
		default:
			return a
		}
	}
	return part(a, 0) == part(b, 0) && arch(a) == arch(b)
}

// foreignImage says why a container of the image that said this may not run here; ""
// where that is not why.
func (s *Stage) foreignImage(ref, said string) string {
	if hint, ok := s.foreign.Load(ref); ok {
		return " (" + hint.(string) + ")"
	}
	if strings.Contains(said, "exec format error") { // an image may say one thing and hold another
		return fmt.Sprintf(" (the program in the image %s is for another processor than this engine's, linux/%s, or is a script without its first line #!)", ref, s.engine.Arch)
	}
	return ""
}

func (c containerSpec) configure(config *container.Config) {
	s := c.service
	config.User, config.WorkingDir = s.User, s.WorkingDir
	config.Hostname, config.Domainname = s.Hostname, s.DomainName
	config.Tty, config.OpenStdin = s.Tty, s.StdinOpen
	config.StopSignal = s.StopSignal
	grace := int(math.Ceil(stopGrace(s).Seconds()))
	config.StopTimeout = &grace
	// The stage asks for health itself: the engine would first ask after a whole
	// interval, and a replica's health is the balancer's to judge.
	config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
}

// noResolver is where a container's questions for unknown names end where there is no
// border: in the container itself, instead of at this machine's resolver, which is a
// way out. The engine does not pass the refusal on, so DNSOptions keep the container
// from waiting.
var noResolver = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func (c containerSpec) configureHost(host *container.HostConfig, networkName, stageID string, resolver netip.Addr) {
	s, l := c.service, limits(c.service)
	host.NetworkMode = container.NetworkMode(networkName)
	host.DNS, host.DNSOptions = []netip.Addr{resolver}, []string{"timeout:1", "attempts:1"}
	host.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "20m"}}
	for _, name := range slices.Sorted(maps.Keys(c.hosts)) {
		host.ExtraHosts = append(host.ExtraHosts, name+":"+c.hosts[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.ExtraHosts)) {
		for _, ip := range s.ExtraHosts[name] {
			host.ExtraHosts = append(host.ExtraHosts, name+":"+ip)
		}
	}
	if c.restarts {
		host.RestartPolicy = restartPolicy(s.Restart)
	}
	host.CapAdd, host.CapDrop, host.SecurityOpt, host.GroupAdd = s.CapAdd, s.CapDrop, s.SecurityOpt, s.GroupAdd
	host.Sysctls, host.Init, host.ReadonlyRootfs, host.ShmSize = s.Sysctls, s.Init, s.ReadOnly, int64(s.ShmSize)
	host.OomScoreAdj = int(s.OomScoreAdj)

	host.Memory = c.memory
	host.MemorySwap = int64(s.MemSwapLimit)
	if c.memory > 0 && host.MemorySwap == 0 {
		host.MemorySwap = c.memory // none: a limit that swaps is no limit
	}
	host.MemorySwappiness = swappiness(s)
	host.MemoryReservation = max(int64(s.MemReservation), reserved(s))
	host.CPUPeriod, host.CPUQuota = s.CPUPeriod, s.CPUQuota
	host.CPUShares, host.CpusetCpus = s.CPUShares, s.CPUSet
	if cpus := max(float64(s.CPUS), float64(l.NanoCPUs)); cpus > 0 {
		host.NanoCPUs = int64(cpus * 1e9)
	}
	if c.cpus > 0 {
		host.NanoCPUs, host.CPUPeriod, host.CPUQuota = int64(c.cpus*1e9), 0, 0
	}
	if pids := max(s.PidsLimit, l.Pids); pids > 0 {
		host.PidsLimit = &pids
	}
	host.Ulimits = ulimitsOf(s.Ulimits)
	host.Tmpfs = tmpfs(s)
	host.Mounts = volumeMounts(s, stageID)
	host.PortBindings = network.PortMap{}
	for _, port := range c.publish {
		host.PortBindings[network.MustParsePort(port)] = []network.PortBinding{{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	}
}

func restartPolicy(compose string) container.RestartPolicy {
	name, times, _ := strings.Cut(compose, ":")
	policy := container.RestartPolicy{Name: container.RestartPolicyMode(name)}
	_, _ = fmt.Sscan(times, &policy.MaximumRetryCount) // without a number: no maximum
	return policy
}

// tmpfs is the folders that are kept in memory, with their options.
func tmpfs(s types.ServiceConfig) map[string]string {
	all := map[string]string{}
	for _, t := range s.Tmpfs {
		target, options, _ := strings.Cut(t, ":")
		all[target] = options
	}
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeTmpfs {
			continue
		}
		var options []string
		if v.Tmpfs != nil && v.Tmpfs.Size > 0 {
			options = append(options, fmt.Sprintf("size=%d", v.Tmpfs.Size))
		}
		if v.Tmpfs != nil && v.Tmpfs.Mode > 0 {
			options = append(options, fmt.Sprintf("mode=%o", v.Tmpfs.Mode))
		}
		all[v.Target] = strings.Join(options, ",")
	}
	return all
}

// volumeMounts is the named volumes, each the stage's own.
func volumeMounts(s types.ServiceConfig, stageID string) []mount.Mount {
	var all []mount.Mount
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeVolume {
			continue
		}
		m := mount.Mount{Type: mount.TypeVolume, Target: v.Target, ReadOnly: v.ReadOnly}
		if v.Source != "" {
			m.Source = volumeName(stageID, v.Source)
		}
		if v.Volume != nil {
			m.VolumeOptions = &mount.VolumeOptions{NoCopy: v.Volume.NoCopy, Subpath: v.Volume.Subpath}
		}
		all = append(all, m)
	}
	return all
}

func volumeName(stageID, name string) string { return "rehearsal-" + stageID + "-" + name }

// createVolumes makes the stage's named volumes.
func (s *Stage) createVolumes(ctx context.Context) error {
	for name := range s.project.Volumes {
		_, err := s.docker.VolumeCreate(ctx, client.VolumeCreateOptions{Name: volumeName(s.id, name), Labels: s.allLabels()})
		if err != nil {
			return fmt.Errorf("create volume %s: %w", name, err)
		}
		s.volumes = append(s.volumes, volumeName(s.id, name))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errdefs.IsNotFound(err) || (err != nil && strings.Contains(err.Error(), "is already in progress")) {
		return nil
	}
	return err
}

package scaffold

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"rehearsal/internal/containers"
	"rehearsal/internal/ecs"
)

// FromECS drafts a compose file and the first rehearsal of a service from the output of
// `aws ecs describe-task-definition` and, better, `aws ecs describe-services` too.
// No secret is read: each is a variable without a value in a file of its own.
func FromECS(ctx context.Context, o Options, files ...string) (*Draft, error) {
	described, err := ecs.ReadFiles(files...)
	if err != nil {
		return nil, err
	}
	if o.Compose != "" {
		return nil, fmt.Errorf("--compose %s: with --from-ecs the compose file is written, as compose.yaml", o.Compose)
	}
	service := described.Service()
	if service == nil && len(described.Services) > 1 {
		return nil, fmt.Errorf("%s: none of the %d services runs this task definition: describe only the one that does", strings.Join(files, ", "), len(described.Services))
	}
	if o.Service, err = releasedContainer(described, service, o); err != nil {
		return nil, err
	}
	t, err := taskOf(described, o.Service)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", files[0], err)
	}
	written, err := t.files()
	if err != nil {
		return nil, err
	}
	if err := o.askRest(aws.ToString(described.Container(o.Service).Image)); err != nil {
		return nil, err
	}
	s := &sketch{Options: o, Compose: "compose.yaml", more: written}
	s.found("the ECS task %s: %s; %s", t.Family, plural(len(t.Containers), "container"), t.note)
	if err := s.lookAt(ctx, written); err != nil {
		return nil, err
	}
	s.known(described, service)
	s.Plan = planOf(service, s.Replicas)
	if len(s.Plan.Alarms) > 0 && o.Alarms == "" {
		s.AlarmsAsk = "which alarms does production have? These are a first set; its deployments watch others: `aws cloudwatch describe-alarms --output json --alarm-names " +
			strings.Join(s.Plan.Alarms, " ") + "` prints what belongs there"
		s.Plan.Alarms = nil
	}
	d, err := s.draft()
	if err != nil {
		return nil, err
	}
	for _, n := range s.Plan.Notes {
		d.Found = append(d.Found, "the plan: "+n)
	}
	return d, d.likeProduction(ctx, files)
}

// lookAt reads the compose file that will be written, as every other.
func (s *sketch) lookAt(ctx context.Context, written []File) error {
	dir, err := os.MkdirTemp("", "rehearse-init")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, f := range written {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			return err
		}
	}
	p, err := containers.LoadCompose(ctx, filepath.Join(dir, s.Compose))
	if err != nil {
		return fmt.Errorf("the task definition does not make a compose file: %s", strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	s.look(p)
	return nil
}

// known fills in what ECS knows better than a compose file.
func (s *sketch) known(d *ecs.Description, service *types.Service) {
	c := d.Container(s.Service)
	if l := c.LogConfiguration; l != nil {
		s.Monitoring.LogGroup = l.Options["awslogs-group"]
	}
	if service == nil {
		return
	}
	m := &s.Monitoring
	m.Service, m.Cluster = aws.ToString(service.ServiceName), afterLast(aws.ToString(service.ClusterArn), "/")
	if g := service.HealthCheckGracePeriodSeconds; g != nil {
		s.Door.Start = max(s.Door.Start, time.Duration(*g)*time.Second)
	}
	for _, b := range behind(service) {
		if aws.ToString(b.ContainerName) != s.Service {
			continue
		}
		if b.ContainerPort != nil {
			if s.Door.PathFrom != "" && s.Door.Port != int(*b.ContainerPort) {
				s.Door.Other = s.Door.Port
			}
			s.Door.Port, s.Door.PortFrom, s.Door.Several = int(*b.ContainerPort), "the service's load balancer", nil
		}
		arns := []*string{b.TargetGroupArn}
		if a := b.AdvancedConfiguration; a != nil {
			arns = append(arns, a.AlternateTargetGroupArn)
			if rule := aws.ToString(a.ProductionListenerRule); m.LoadBalancer == "" {
				if parts := strings.Split(rule, "/"); len(parts) > 3 && strings.Contains(parts[0], ":listener") {
					m.LoadBalancer = strings.Join(parts[1:4], "/")
				}
			}
		}
		for _, arn := range arns {
			if _, name, ok := strings.Cut(aws.ToString(arn), ":targetgroup/"); ok && !slices.Contains(m.TargetGroups, "targetgroup/"+name) {
				m.TargetGroups = append(m.TargetGroups, "targetgroup/"+name)
			}
		}
		if s.Door.PathFrom == "" && b.TargetGroupArn != nil {
			s.healthHint = fmt.Sprintf(" (`aws elbv2 describe-target-groups --target-group-arns %s` prints it as HealthCheckPath)", *b.TargetGroupArn)
		}
	}
	s.HealthAsk = s.healthQuestion()
}

// behind is the load balancers of a service; one whose deployments are CodeDeploy's has
// them in its task sets.
func behind(s *types.Service) []types.LoadBalancer {
	all := slices.Clone(s.LoadBalancers)
	for _, set := range s.TaskSets {
		all = append(all, set.LoadBalancers...)
	}
	return all
}

func afterLast(text, separator string) string {
	return text[strings.LastIndex(text, separator)+1:]
}

// releasedContainer is the container that takes the requests.
func releasedContainer(d *ecs.Description, service *types.Service, o Options) (string, error) {
	var names, could []string
	for _, c := range d.TaskDefinition.ContainerDefinitions {
		name := aws.ToString(c.Name)
		names = append(names, name)
		m, known := makerOf(aws.ToString(c.Image))
		if (c.Essential == nil || *c.Essential) && len(c.PortMappings) > 0 && (!known || m.serves) {
			could = append(could, name)
		}
	}
	if o.Service != "" {
		if !slices.Contains(names, o.Service) {
			return "", fmt.Errorf("--service %s: the task definition has no such container: it has %q", o.Service, names)
		}
		return o.Service, nil
	}
	if service != nil {
		for _, b := range behind(service) {
			if name := aws.ToString(b.ContainerName); slices.Contains(names, name) {
				return name, nil
			}
		}
	}
	switch {
	case len(could) == 0 && len(names) == 1:
		return names[0], nil
	case len(could) == 0:
		return "", fmt.Errorf("which container is released? None of %q is essential and has a port: name it with --service", names)
	case len(could) == 1 || o.Guess:
		return could[0], nil
	case o.Ask != nil:
		return o.Ask("Which container is released?", could, could[0])
	}
	return "", fmt.Errorf("which container is released? Name it with --service: it could be one of %q; with --yes it is %q", could, could[0])
}

// A named value of a container.
type named struct{ Name, Value string }

type needed struct{ Name, Condition string }

// A taskContainer is a container of a task as a compose file says it.
type taskContainer struct {
	Name, Image                             string
	Notes, Asks                             []string
	Entrypoint, Command                     []string
	User, WorkingDir, Hostname              string
	Secrets, SecretNames                    string // the file, and what is in it
	SecretList                              []named
	Environment, Sysctls, Labels            []named
	Ports                                   []int32
	DependsOn                               []needed
	Health                                  *ecs.HealthCheck
	Replicas                                int
	CPUs                                    string
	CPUShares                               int32
	Memory, Reservation                     int64 // MiB
	ShmSize                                 int32 // MiB
	Ulimits                                 []types.Ulimit
	ReadOnly, Init, TTY, StdinOpen          bool
	CapAdd, CapDrop, SecurityOpt            []string
	Tmpfs, Volumes, ExtraHosts, unsupported []string
	StopGrace                               time.Duration
}

// A task is a task definition as a compose file says it.
type task struct {
	Family, Service string
	Containers      []*taskContainer
	Volumes         []struct{ Name, Ask string }
	note            string
}

func taskOf(d *ecs.Description, released string) (*task, error) {
	def := d.TaskDefinition
	t := &task{Family: or(aws.ToString(def.Family), released), Service: released}
	if def.Revision > 0 {
		t.Family += ":" + strconv.Itoa(int(def.Revision))
	}
	withSecrets := 0
	for _, c := range def.ContainerDefinitions {
		if len(c.Secrets) > 0 {
			withSecrets++
		}
	}
	for i := range def.ContainerDefinitions {
		c, err := containerOf(d, &def.ContainerDefinitions[i], released)
		if err != nil {
			return nil, err
		}
		if len(c.SecretList) > 0 {
			c.Secrets = secretsFile
			if withSecrets > 1 { // one container's secrets are not another's
				c.Secrets = "secrets." + c.Name + ".env"
			}
		}
		t.Containers = append(t.Containers, c)
	}
	for _, v := range def.Volumes {
		what := "is empty here"
		switch {
		case v.EfsVolumeConfiguration != nil || v.FsxWindowsFileServerVolumeConfiguration != nil:
			what = "is a file system of AWS in production, and empty here"
		case v.Host != nil && v.Host.SourcePath != nil:
			what = "is the folder " + *v.Host.SourcePath + " of the machine in production, and empty here"
		}
		name := aws.ToString(v.Name)
		t.Volumes = append(t.Volumes, struct{ Name, Ask string }{name, fmt.Sprintf("the volume %s %s: which files must be there? A folder beside this file can be mounted instead", name, what)})
	}
	t.note = "how many tasks run is not known: a service description tells"
	if n, known := d.Replicas(); known {
		t.note = plural(n, "task")
		if n == 0 {
			t.note += ", as the service says, of which a rehearsal makes 1"
		}
	}
	if p := def.RuntimePlatform; p != nil && p.CpuArchitecture != "" && p.CpuArchitecture != types.CPUArchitectureX8664 {
		t.note += "; production runs on " + string(p.CpuArchitecture)
	}
	return t, nil
}

// containerOf carries over what a compose file can say, and notes what it cannot.
func containerOf(d *ecs.Description, c *types.ContainerDefinition, released string) (*taskContainer, error) {
	out := &taskContainer{
		Name: aws.ToString(c.Name), Image: aws.ToString(c.Image), Entrypoint: c.EntryPoint, Command: c.Command,
		User: aws.ToString(c.User), WorkingDir: aws.ToString(c.WorkingDirectory), Hostname: aws.ToString(c.Hostname),
		Health: ecs.HealthCheckOf(c), Ulimits: c.Ulimits, ReadOnly: aws.ToBool(c.ReadonlyRootFilesystem),
		TTY: aws.ToBool(c.PseudoTerminal), StdinOpen: aws.ToBool(c.Interactive), SecurityOpt: c.DockerSecurityOptions,
		Reservation: int64(aws.ToInt32(c.MemoryReservation)), StopGrace: ecs.StopTimeout(c),
	}
	if !containerName.MatchString(out.Name) || out.Image == "" {
		return nil, fmt.Errorf("the container %q (image %q): a container needs an image, and a name of letters, digits, - and _", out.Name, out.Image)
	}
	if out.Health != nil && !slices.Contains([]string{"CMD", "CMD-SHELL", "NONE"}, out.Health.Command[0]) {
		out.Health.Command = append([]string{"CMD-SHELL"}, strings.Join(out.Health.Command, " ")) // as ECS takes a bare string
	}
	for _, e := range c.Environment {
		out.Environment = append(out.Environment, named{aws.ToString(e.Name), aws.ToString(e.Value)})
	}
	var names []string
	for _, s := range c.Secrets {
		out.SecretList = append(out.SecretList, named{aws.ToString(s.Name), aws.ToString(s.ValueFrom)})
		names = append(names, aws.ToString(s.Name))
	}
	out.SecretNames = strings.Join(names, ", ")
	for _, p := range c.PortMappings {
		if port := aws.ToInt32(p.ContainerPort); port > 0 && p.Protocol != types.TransportProtocolUdp && !slices.Contains(out.Ports, port) {
			out.Ports = append(out.Ports, port)
		}
	}
	for _, on := range c.DependsOn {
		condition := map[types.ContainerCondition]string{
			types.ContainerConditionStart: "service_started", types.ContainerConditionHealthy: "service_healthy",
			types.ContainerConditionSuccess: "service_completed_successfully", types.ContainerConditionComplete: "service_completed_successfully",
		}[on.Condition]
		if condition == "" {
			return nil, fmt.Errorf("container %q: dependsOn has the unknown condition %q: it is START, COMPLETE, SUCCESS or HEALTHY", out.Name, on.Condition)
		}
		out.DependsOn = append(out.DependsOn, needed{aws.ToString(on.ContainerName), condition})
		if on.Condition == types.ContainerConditionComplete {
			out.Notes = append(out.Notes, fmt.Sprintf("In ECS it starts once %s has ended, well or not; here %s must end well.", aws.ToString(on.ContainerName), aws.ToString(on.ContainerName)))
		}
	}
	for _, l := range slices.Sorted(maps.Keys(c.DockerLabels)) {
		out.Labels = append(out.Labels, named{l, c.DockerLabels[l]})
	}
	for _, s := range c.SystemControls {
		out.Sysctls = append(out.Sysctls, named{aws.ToString(s.Namespace), aws.ToString(s.Value)})
	}
	for _, h := range c.ExtraHosts {
		out.ExtraHosts = append(out.ExtraHosts, aws.ToString(h.Hostname)+":"+aws.ToString(h.IpAddress))
	}
	for _, m := range c.MountPoints {
		v := aws.ToString(m.SourceVolume) + ":" + aws.ToString(m.ContainerPath)
		if aws.ToBool(m.ReadOnly) {
			v += ":ro"
		}
		out.Volumes = append(out.Volumes, v)
	}
	out.linux(c.LinuxParameters)
	if err := out.limits(d, c, released); err != nil {
		return nil, err
	}
	out.without(c)
	out.neighbours(d)
	return out, nil
}

func (out *taskContainer) linux(l *types.LinuxParameters) {
	if l == nil {
		return
	}
	out.Init, out.ShmSize = aws.ToBool(l.InitProcessEnabled), aws.ToInt32(l.SharedMemorySize)
	if l.Capabilities != nil {
		out.CapAdd, out.CapDrop = l.Capabilities.Add, l.Capabilities.Drop
	}
	for _, t := range l.Tmpfs {
		options := append([]string{fmt.Sprintf("size=%dm", t.Size)}, t.MountOptions...)
		out.Tmpfs = append(out.Tmpfs, aws.ToString(t.ContainerPath)+":"+strings.Join(options, ","))
	}
	if len(l.Devices) > 0 {
		out.unsupported = append(out.unsupported, "linuxParameters.devices")
	}
}

// limits gives the released container those of its task where it has none of its own.
func (out *taskContainer) limits(d *ecs.Description, c *types.ContainerDefinition, released string) error {
	memory := int64(aws.ToInt32(c.Memory)) << 20
	if out.Name == released {
		var err error
		if memory, err = d.Memory(c); err != nil {
			return err
		}
		cpu, err := d.CPU(c)
		if err != nil {
			return err
		}
		if aws.ToString(d.TaskDefinition.Cpu) != "" {
			out.CPUs = strconv.FormatFloat(float64(cpu)/1024, 'f', -1, 64)
		}
		n, known := d.Replicas()
		if n < 0 || n > mostTasks {
			return fmt.Errorf("the service wants %d tasks: want 0 to %d, which is as many as ECS runs", n, mostTasks)
		}
		if out.Replicas = n; !known || n == 0 {
			out.Replicas = 1
			out.Asks = append(out.Asks, "how many tasks does production run? Put the number at replicas")
		}
	}
	if out.Memory = memory >> 20; out.Memory > 0 && out.Reservation > out.Memory {
		out.Reservation = out.Memory
	}
	if out.CPUs == "" {
		out.CPUShares = c.Cpu
	}
	return nil
}

// without notes what is not carried over.
func (out *taskContainer) without(c *types.ContainerDefinition) {
	for what, there := range map[string]bool{
		"privileged": aws.ToBool(c.Privileged), "links": len(c.Links) > 0, "dnsServers": len(c.DnsServers) > 0, "dnsSearchDomains": len(c.DnsSearchDomains) > 0,
		"volumesFrom": len(c.VolumesFrom) > 0, "resourceRequirements": len(c.ResourceRequirements) > 0, "firelensConfiguration": c.FirelensConfiguration != nil,
		"restartPolicy": c.RestartPolicy != nil && aws.ToBool(c.RestartPolicy.Enabled), "disableNetworking": aws.ToBool(c.DisableNetworking),
		"credentialSpecs": len(c.CredentialSpecs) > 0, "startTimeout": c.StartTimeout != nil,
	} {
		if there {
			out.unsupported = append(out.unsupported, what)
		}
	}
	if slices.Sort(out.unsupported); len(out.unsupported) > 0 {
		out.Notes = append(out.Notes, "Not carried over from ECS: "+strings.Join(out.unsupported, ", ")+".")
	}
	for _, f := range c.EnvironmentFiles {
		out.Asks = append(out.Asks, fmt.Sprintf("the variables of %s come from %s, which was not read: which stand-ins does the staging copy use? Put them at environment", out.Name, aws.ToString(f.Value)))
	}
}

// mostTasks is ECS's quota of tasks per service.
const mostTasks = 5000

// containerName is what ECS allows.
var containerName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)

var loopback = regexp.MustCompile(`\b(?:localhost|127\.0\.0\.1):(\d{1,5})\b`)

// neighbours asks about variables that find another container of the task at localhost.
func (out *taskContainer) neighbours(d *ecs.Description) {
	for _, e := range out.Environment {
		m := loopback.FindStringSubmatch(e.Value)
		if m == nil {
			continue
		}
		for _, other := range d.TaskDefinition.ContainerDefinitions {
			for _, p := range other.PortMappings {
				if name := aws.ToString(other.Name); name != out.Name && strconv.Itoa(int(aws.ToInt32(p.ContainerPort))) == m[1] {
					out.Asks = append(out.Asks, fmt.Sprintf("may the variable %s name %s:%s? In ECS it finds %s at %s, which here is %s itself", e.Name, name, m[1], name, m[0], out.Name))
				}
			}
		}
	}
}

// files are the compose file and those with secrets.
func (t *task) files() ([]File, error) {
	var b bytes.Buffer
	if err := written.ExecuteTemplate(&b, "compose.yaml.tmpl", t); err != nil {
		return nil, fmt.Errorf("compose.yaml: %w", err)
	}
	all := []File{{"compose.yaml", b.Bytes()}}
	for _, c := range t.Containers {
		if c.Secrets == "" {
			continue
		}
		var b bytes.Buffer
		if err := written.ExecuteTemplate(&b, "secrets.env.tmpl", c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Secrets, err)
		}
		all = append(all, File{c.Secrets, b.Bytes()})
	}
	return all, nil
}

const secretsFile = "secrets.env"

// escape keeps a dollar from being a variable of the compose file.
func escape(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// value is a text as a value in a compose file. Always quoted: "8080" and "true" are texts.
func value(text string) (string, error) {
	var b bytes.Buffer
	out := json.NewEncoder(&b) // JSON's texts are YAML's
	out.SetEscapeHTML(false)
	err := out.Encode(escape(text))
	return strings.TrimSpace(b.String()), err
}

func list(items []string) (string, error) {
	quoted := make([]string, len(items))
	for i, item := range items {
		var err error
		if quoted[i], err = value(item); err != nil {
			return "", err
		}
	}
	return "[" + strings.Join(quoted, ", ") + "]", nil
}

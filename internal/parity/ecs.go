package parity

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"rehearsal/internal/ecs"
)

const ecsTells = "image command entrypoint environment cpu memory replicas health port stop ulimit user readonly log"

// ecsCopy is the facts of each container of a task definition.
func ecsCopy(source string, d *ecs.Description) (*Copy, error) {
	c := &Copy{Source: source, Services: map[string]*Service{}, together: true}
	for i := range d.TaskDefinition.ContainerDefinitions {
		container := &d.TaskDefinition.ContainerDefinitions[i]
		name := value(container.Name)
		s, err := ecsService(d, container)
		if err != nil {
			return nil, fmt.Errorf("%s: container %q: %w", source, name, err)
		}
		c.Services[name] = s
	}
	return c, nil
}

func ecsService(d *ecs.Description, c *types.ContainerDefinition) (*Service, error) {
	s := newService(ecsTells)
	s.set("image", value(c.Image))
	s.set("command", words(c.Command))
	s.set("entrypoint", words(c.EntryPoint))
	for _, v := range c.Environment {
		s.variable(value(v.Name), value(v.Value))
	}
	for _, v := range c.Secrets {
		s.Facts[environment+value(v.Name)] = Fact{Secret: true, Stored: true}
	}
	if len(c.EnvironmentFiles) > 0 {
		s.Partial = "production takes more variables from environmentFiles in S3, which its description does not hold"
	}
	memory, err := d.Memory(c)
	if err != nil {
		return nil, err
	}
	s.set("memory", size(memory))
	if value(d.TaskDefinition.Cpu) != "" { // a container's own is a share, no limit
		units, err := d.CPU(c)
		if err != nil {
			return nil, err
		}
		s.set("cpu", cpus(float64(units)/1024))
	}
	if n, known := d.Replicas(); known {
		s.set("replicas", fmt.Sprint(n))
	} else {
		s.Facts["replicas"] = Fact{Unknown: "the description has no service: add the output of `aws ecs describe-services`"}
	}
	if h := ecs.HealthCheckOf(c); h != nil && h.Command[0] != "NONE" {
		s.health(h.Command, h.Interval, h.Timeout, h.StartPeriod, h.Retries)
	}
	for _, p := range c.PortMappings {
		protocol := strings.ToLower(string(p.Protocol))
		if protocol == "" {
			protocol = "tcp"
		}
		switch {
		case p.ContainerPort != nil:
			s.set(fmt.Sprintf("port.%d/%s", *p.ContainerPort, protocol), "open")
		case p.ContainerPortRange != nil:
			s.set(fmt.Sprintf("port.%s/%s", *p.ContainerPortRange, protocol), "open")
		}
	}
	s.set("stop.timeout", ecs.StopTimeout(c).String())
	for _, u := range c.Ulimits {
		s.set("ulimit."+string(u.Name), fmt.Sprintf("%d:%d", u.SoftLimit, u.HardLimit))
	}
	s.set("user", value(c.User))
	if c.ReadonlyRootFilesystem != nil && *c.ReadonlyRootFilesystem {
		s.set("readonly", "true")
	}
	if l := c.LogConfiguration; l != nil && l.LogDriver == types.LogDriverAwslogs {
		s.logs(l.Options)
	}
	return s, nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

package parity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
)

// kubernetesTells is what a Deployment speaks of. Its ports are only for people (a
// container may listen on others), and its probes are the balancer's check, unless they
// run a command.
const kubernetesTells = "image command entrypoint environment cpu memory replicas stop user readonly"

const wantKubernetes = "the output of `kubectl get deployment NAME -o yaml`, and of its ConfigMaps, Secrets, Service and HorizontalPodAutoscaler if there are any"

// manifests are those of one production, by kind.
type manifests struct {
	deployment *apps.Deployment
	configs    map[string]core.ConfigMap
	secrets    map[string]core.Secret
	scalers    []autoscaling.HorizontalPodAutoscaler
	services   []core.Service
}

// kubernetesCopy reads manifests: several documents, or lists of them.
func kubernetesCopy(files []File) (*Copy, error) {
	m := &manifests{configs: map[string]core.ConfigMap{}, secrets: map[string]core.Secret{}}
	for _, f := range files {
		docs, err := asJSON(f)
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			if err := m.add(f, doc); err != nil {
				return nil, err
			}
		}
	}
	if m.deployment == nil {
		return nil, fmt.Errorf("%s: there is no Deployment in it: want %s", source(files), wantKubernetes)
	}
	c := &Copy{Source: source(files), Services: map[string]*Service{}, together: true}
	for _, container := range m.deployment.Spec.Template.Spec.Containers {
		c.Services[container.Name] = m.service(container)
	}
	return c, nil
}

// add takes one manifest.
func (m *manifests) add(f File, doc []byte) error {
	wrong := func(err error) error {
		return mistake(f, doc, err, wantKubernetes)
	}
	var head struct {
		Kind     string
		Metadata struct{ Name string }
		Items    []json.RawMessage
	}
	if err := json.Unmarshal(doc, &head); err != nil {
		return wrong(err)
	}
	switch head.Kind {
	case "List", "DeploymentList":
		for _, item := range head.Items {
			// The item's lines are kept by as many new lines as come before it.
			lines := strings.Count(string(doc[:strings.Index(string(doc), string(item))]), "\n")
			if err := m.add(f, append([]byte(strings.Repeat("\n", lines)), item...)); err != nil {
				return err
			}
		}
		return nil
	case "Deployment":
		if m.deployment != nil {
			return wrong(fmt.Errorf("a second Deployment, %q: want the one that runs the service", head.Metadata.Name))
		}
		m.deployment = &apps.Deployment{}
		if err := json.Unmarshal(doc, m.deployment); err != nil {
			return wrong(err)
		}
		if len(m.deployment.Spec.Template.Spec.Containers) == 0 {
			return wrong(fmt.Errorf("the Deployment %q has no containers", head.Metadata.Name))
		}
	case "ConfigMap":
		var v core.ConfigMap
		if err := json.Unmarshal(doc, &v); err != nil {
			return wrong(err)
		}
		m.configs[v.Name] = v
	case "Secret":
		var v core.Secret
		if err := json.Unmarshal(doc, &v); err != nil {
			return wrong(fmt.Errorf("the Secret %q cannot be read", head.Metadata.Name)) // the error may quote it
		}
		m.secrets[v.Name] = v
	case "HorizontalPodAutoscaler":
		var v autoscaling.HorizontalPodAutoscaler
		if err := json.Unmarshal(doc, &v); err != nil {
			return wrong(err)
		}
		m.scalers = append(m.scalers, v)
	case "Service":
		var v core.Service
		if err := json.Unmarshal(doc, &v); err != nil {
			return wrong(err)
		}
		m.services = append(m.services, v)
	case "":
		return wrong(fmt.Errorf("it has no kind"))
	}
	return nil // another kind says nothing that is compared
}

func (m *manifests) service(c core.Container) *Service {
	d, pod := m.deployment, m.deployment.Spec.Template.Spec
	s := newService(kubernetesTells)
	s.set("image", c.Image)
	s.set("entrypoint", words(c.Command)) // Kubernetes calls it so
	s.set("command", words(c.Args))
	m.environment(s, c)
	if q := c.Resources.Limits.Cpu(); !q.IsZero() {
		s.set("cpu", cpus(q.AsApproximateFloat64()))
	}
	if q := c.Resources.Limits.Memory(); !q.IsZero() {
		s.set("memory", size(q.Value()))
	}
	replicas := int32(1)
	if d.Spec.Replicas != nil {
		replicas = *d.Spec.Replicas
	}
	s.set("replicas", strconv.Itoa(int(replicas)))
	for _, h := range m.scalers {
		if h.Spec.ScaleTargetRef.Name == d.Name {
			least := int32(1)
			if h.Spec.MinReplicas != nil {
				least = *h.Spec.MinReplicas
			}
			s.Tells = append(s.Tells, "autoscaling")
			s.set("autoscaling.replicas", fmt.Sprintf("%d to %d", least, h.Spec.MaxReplicas))
		}
	}
	grace := int64(30)
	if pod.TerminationGracePeriodSeconds != nil {
		grace = *pod.TerminationGracePeriodSeconds
	}
	s.set("stop.timeout", (time.Duration(grace) * time.Second).String())
	s.set("user", user(c.SecurityContext, pod.SecurityContext))
	if x := c.SecurityContext; x != nil && x.ReadOnlyRootFilesystem != nil && *x.ReadOnlyRootFilesystem {
		s.set("readonly", "true")
	}
	m.probes(s, c)
	m.ports(s, c)
	return s
}

// user is who the container runs as, the container's word before the pod's.
func user(container *core.SecurityContext, pod *core.PodSecurityContext) string {
	var uid, gid *int64
	if pod != nil {
		uid, gid = pod.RunAsUser, pod.RunAsGroup
	}
	if container != nil {
		if container.RunAsUser != nil {
			uid = container.RunAsUser
		}
		if container.RunAsGroup != nil {
			gid = container.RunAsGroup
		}
	}
	switch {
	case uid == nil:
		return ""
	case gid == nil:
		return fmt.Sprint(*uid)
	}
	return fmt.Sprintf("%d:%d", *uid, *gid)
}

// probes: who is ready takes traffic, so the readiness probe is the balancer's check; a
// liveness probe that runs a command is the container's own.
func (m *manifests) probes(s *Service, c core.Container) {
	if p := c.ReadinessProbe; p != nil && p.HTTPGet != nil {
		s.Tells = append(s.Tells, "balancer")
		s.set("balancer.path", cmp.Or(p.HTTPGet.Path, "/"))
		s.set("balancer.interval", seconds(p.PeriodSeconds, 10))
		s.set("balancer.timeout", seconds(p.TimeoutSeconds, 1))
		s.set("balancer.healthy", strconv.Itoa(int(cmp.Or(p.SuccessThreshold, 1))))
		s.set("balancer.unhealthy", strconv.Itoa(int(cmp.Or(p.FailureThreshold, 3))))
	}
	p := c.LivenessProbe
	if p == nil {
		p = c.ReadinessProbe
	}
	if p != nil && p.Exec != nil {
		s.Tells = append(s.Tells, "health")
		every := time.Duration(cmp.Or(p.PeriodSeconds, 10)) * time.Second
		within := time.Duration(cmp.Or(p.TimeoutSeconds, 1)) * time.Second
		s.health(append([]string{"CMD"}, p.Exec.Command...), every, within, time.Duration(p.InitialDelaySeconds)*time.Second, int(cmp.Or(p.FailureThreshold, 3)))
	}
}

func seconds(n, otherwise int32) string {
	return (time.Duration(cmp.Or(n, otherwise)) * time.Second).String()
}

// ports are told where the manifests name any.
func (m *manifests) ports(s *Service, c core.Container) {
	named := map[string]int32{}
	for _, p := range c.Ports {
		named[p.Name] = p.ContainerPort
		s.set(fmt.Sprintf("port.%d/%s", p.ContainerPort, strings.ToLower(cmp.Or(string(p.Protocol), "TCP"))), "open")
	}
	labels := m.deployment.Spec.Template.Labels
	for _, v := range m.services {
		if len(v.Spec.Selector) == 0 || !contains(labels, v.Spec.Selector) || len(m.deployment.Spec.Template.Spec.Containers) > 1 {
			continue // which container a port is for cannot be told
		}
		for _, p := range v.Spec.Ports {
			number := cmp.Or(p.TargetPort.IntVal, named[p.TargetPort.StrVal], p.Port)
			s.set(fmt.Sprintf("port.%d/%s", number, strings.ToLower(cmp.Or(string(p.Protocol), "TCP"))), "open")
		}
	}
	if slices.ContainsFunc(slices.Collect(maps.Keys(s.Facts)), func(f string) bool { return strings.HasPrefix(f, "port.") }) {
		s.Tells = append(s.Tells, "port")
	}
}

func contains(all, some map[string]string) bool {
	for k, v := range some {
		if all[k] != v {
			return false
		}
	}
	return true
}

// environment is that of a container: later names win, and env over envFrom, as in
// Kubernetes.
func (m *manifests) environment(s *Service, c core.Container) {
	for _, from := range c.EnvFrom {
		switch {
		case from.ConfigMapRef != nil:
			config, ok := m.configs[from.ConfigMapRef.Name]
			if !ok {
				s.Partial = fmt.Sprintf("production takes variables from the ConfigMap %q: add it to the description (kubectl get configmap %s -o yaml)", from.ConfigMapRef.Name, from.ConfigMapRef.Name)
			}
			for name, v := range config.Data {
				s.variable(from.Prefix+name, v)
			}
		case from.SecretRef != nil:
			secret, ok := m.secrets[from.SecretRef.Name]
			if !ok {
				s.Partial = fmt.Sprintf("production takes variables from the Secret %q, whose names the description does not hold", from.SecretRef.Name)
			}
			for name := range secret.Data {
				s.Facts[environment+from.Prefix+name] = secretOf(secret, name)
			}
			for name := range secret.StringData {
				s.Facts[environment+from.Prefix+name] = secretOf(secret, name)
			}
		}
	}
	for _, v := range c.Env {
		field := environment + v.Name
		switch from := v.ValueFrom; {
		case from == nil:
			s.variable(v.Name, v.Value)
			if strings.Contains(v.Value, "$(") {
				f := s.Facts[field]
				f.Unknown = "it is put together from other variables, by Kubernetes"
				s.Facts[field] = f
			}
		case from.SecretKeyRef != nil:
			s.Facts[field] = secretOf(m.secrets[from.SecretKeyRef.Name], from.SecretKeyRef.Key)
		case from.ConfigMapKeyRef != nil:
			config, ok := m.configs[from.ConfigMapKeyRef.Name]
			text, has := config.Data[from.ConfigMapKeyRef.Key]
			if !ok || !has {
				s.Facts[field] = Fact{Unknown: fmt.Sprintf("it is in the ConfigMap %q: add that to the description", from.ConfigMapKeyRef.Name)}
				continue
			}
			s.variable(v.Name, text)
		default:
			s.Facts[field] = Fact{Unknown: "Kubernetes sets it for each pod"}
		}
	}
}

// secretOf is a value of a Secret where the description holds it, else that there is one.
func secretOf(s core.Secret, key string) Fact {
	if v, ok := s.StringData[key]; ok {
		return Fact{Value: v, Secret: true}
	}
	if v, ok := s.Data[key]; ok {
		return Fact{Value: string(v), Secret: true}
	}
	return Fact{Secret: true, Stored: true}
}

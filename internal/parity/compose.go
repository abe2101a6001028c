package parity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// composeTells is what a Compose file speaks of.
const composeTells = "image command entrypoint environment cpu memory replicas health port stop ulimit user readonly log"

// Staging is the staging copy: the Compose file with the set-up of rehearsal.yaml.
func Staging(p *types.Project, setup *stage.Setup) *Copy {
	c := composeCopy(p, strings.Join(p.ComposeFiles, ", "))
	c.Alarms, c.LogGroup = &alarm.Set{Alarms: setup.Alarms, Composites: setup.Composites}, setup.Monitoring.LogGroup
	for name, s := range c.Services {
		engineFacts(s, p.Services[name])
	}
	s := c.Services[setup.Service]
	if s == nil {
		return c
	}
	s.set("replicas", strconv.Itoa(setup.Replicas))
	h := setup.Health
	s.Tells = append(s.Tells, "balancer", "autoscaling") // which no stage does
	s.set("balancer.path", h.Path)
	s.set("balancer.interval", h.Interval.String())
	s.set("balancer.timeout", h.Timeout.String())
	s.set("balancer.healthy", strconv.Itoa(h.Healthy))
	s.set("balancer.unhealthy", strconv.Itoa(h.Unhealthy))
	if h.Port > 0 { // the port that takes the traffic need not be published
		s.set(fmt.Sprintf("port.%d/tcp", h.Port), "open")
	}
	return c
}

// composeCopy is the facts of every service of a Compose file.
func composeCopy(p *types.Project, source string) *Copy {
	c := &Copy{Source: source, Services: map[string]*Service{}, Hosts: map[string]bool{}}
	for name, s := range p.Services {
		c.Services[name] = composeService(s)
		c.Hosts[name] = true
		for _, n := range s.Networks {
			if n != nil {
				for _, alias := range n.Aliases {
					c.Hosts[alias] = true
				}
			}
		}
		if s.Hostname != "" {
			c.Hosts[s.Hostname] = true
		}
	}
	return c
}

func composeService(s types.ServiceConfig) *Service {
	out := newService(composeTells)
	out.set("image", s.Image)
	out.set("command", words(s.Command))
	out.set("entrypoint", words(s.Entrypoint))
	for name, value := range s.Environment {
		if value == nil {
			out.Facts[environment+name] = Fact{Unknown: "the Compose file takes it from the shell that starts it"}
			continue
		}
		out.variable(name, *value)
	}
	var limits types.Resource
	replicas := 1
	if s.Scale != nil {
		replicas = *s.Scale
	}
	if d := s.Deploy; d != nil {
		if d.Resources.Limits != nil {
			limits = *d.Resources.Limits
		}
		if d.Replicas != nil {
			replicas = *d.Replicas
		}
	}
	out.set("cpu", cpus(max(float64(s.CPUS), float64(limits.NanoCPUs))))
	out.set("memory", size(max(int64(limits.MemoryBytes), int64(s.MemLimit))))
	out.set("replicas", strconv.Itoa(replicas))
	if h := s.HealthCheck; h != nil && !h.Disable && len(h.Test) > 0 && h.Test[0] != "NONE" {
		retries := 3
		if h.Retries != nil {
			retries = int(*h.Retries)
		}
		out.health(h.Test, duration(h.Interval, 30*time.Second), duration(h.Timeout, 30*time.Second), duration(h.StartPeriod, 0), retries)
	}
	for _, p := range s.Ports {
		out.set(fmt.Sprintf("port.%d/%s", p.Target, cmp.Or(p.Protocol, "tcp")), "open")
	}
	for _, p := range s.Expose {
		number, protocol, _ := strings.Cut(p, "/")
		out.set(fmt.Sprintf("port.%s/%s", number, cmp.Or(protocol, "tcp")), "open")
	}
	out.set("stop.timeout", duration(s.StopGracePeriod, 10*time.Second).String())
	for name, u := range s.Ulimits {
		soft, hard := u.Soft, u.Hard
		if u.Single != 0 {
			soft, hard = u.Single, u.Single
		}
		out.set("ulimit."+name, fmt.Sprintf("%d:%d", soft, hard))
	}
	out.set("user", s.User)
	if s.ReadOnly {
		out.set("readonly", "true")
	}
	if s.Logging != nil && s.Logging.Driver == "awslogs" {
		out.logs(s.Logging.Options)
	}
	return out
}

// variable is one of the environment.
func (s *Service) variable(name, value string) {
	s.Facts[environment+name] = Fact{Value: value, Secret: isSecret(name, value)}
}

// health is a container's own health check. Plain arguments and a shell's line are
// shown as they are written, and compared as such.
func (s *Service) health(command []string, interval, timeout, start time.Duration, retries int) {
	s.set("health.command", words(command))
	s.set("health.interval", interval.String())
	s.set("health.timeout", timeout.String())
	s.set("health.start", start.String())
	s.set("health.retries", strconv.Itoa(retries))
}

// logs is what of the awslogs driver's options decides what metric filters see.
func (s *Service) logs(options map[string]string) {
	s.set("log.group", options["awslogs-group"])
	s.set("log.multiline", cmp.Or(options["awslogs-multiline-pattern"], options["awslogs-datetime-format"]))
	if mode := options["mode"]; mode != "" && mode != "blocking" { // else a full log stops the service, on both
		s.set("log.mode", mode)
	}
}

func duration(d *types.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return time.Duration(*d)
}

// words is a command, quoted where its parts could not be told otherwise.
func words(command []string) string {
	out := make([]string, len(command))
	for i, w := range command {
		out[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n\"'") {
			out[i] = strconv.Quote(w)
		}
	}
	return strings.Join(out, " ")
}

func cpus(n float64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatFloat(float64(int64(n*1000+0.5))/1000, 'f', -1, 64) + " vCPU"
}

// size is one of memory, in MiB where it is whole.
func size(n int64) string {
	switch {
	case n <= 0:
		return ""
	case n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// unset marks the place of a variable that production's Compose file takes from where
// it is started, with characters that no value has.
const unset = "\x00unset\x00"

// readCompose reads a Compose file that describes production. Nothing of it is run, so
// what a rehearsal would not honour may be in it, and variables may be unset. It comes
// with its own folder's .env file, never with this process's environment.
func readCompose(ctx context.Context, f File) (*Copy, error) {
	folder, err := filepath.Abs(filepath.Dir(f.Name))
	if err != nil {
		return nil, err
	}
	dot := filepath.Join(folder, ".env")
	var files []string
	if _, err := os.Stat(dot); err == nil {
		files = append(files, dot)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dot, err)
	}
	variables, err := dotenv.GetEnvFromFile(map[string]string{}, files)
	if err != nil {
		return nil, fmt.Errorf("%s: it cannot be read: want lines of NAME=value", dot) // the error may quote a secret
	}
	details := types.ConfigDetails{WorkingDir: folder, ConfigFiles: []types.ConfigFile{{Filename: f.Name, Content: f.Data}}, Environment: variables}
	project, err := loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		o.SetProjectName(cmp.Or(loader.NormalizeProjectName(filepath.Base(folder)), "production"), false)
		o.Interpolate = &interpolation.Options{
			Substitute: func(text string, lookup template.Mapping) (string, error) {
				return template.Substitute(text, func(name string) (string, bool) {
					if v, ok := lookup(name); ok {
						return v, true
					}
					if withDefault(text, name) {
						return "", false
					}
					return unset, true
				})
			},
			LookupValue:     details.LookupEnv,
			TypeCastMapping: o.Interpolate.TypeCastMapping,
		}
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, f.explain(err)
	}
	c := composeCopy(project, f.Name)
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		for field, fact := range c.Services[name].Facts {
			if strings.Contains(fact.Value, unset) {
				c.Services[name].Facts[field] = Fact{Unknown: "it depends on a variable that is set where production is started, not in " + f.Name, Secret: fact.Secret}
			}
		}
	}
	return c, nil
}

var (
	elementPath = regexp.MustCompile(`\b(?:services|networks|volumes|configs|secrets)(?:\.[\w-]+|\[[\w-]+\])+`)
	badVariable = regexp.MustCompile(`invalid interpolation format for ([^\s.]+(?:\.[^\s.]+)*)`)
)

// explain finds the line that an error of the loader is about, and leaves out what it
// quotes of values: they may be secrets.
func (f File) explain(err error) error {
	text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), f.Name+": ", "")), " ")
	text = strings.ReplaceAll(text, unset, "(unset)")
	if m := badVariable.FindStringSubmatch(text); m != nil {
		text = m[1] + ": its $ is neither of a variable, ${NAME}, nor doubled, $$"
	}
	for _, before := range []string{"in variable name", "unterminated quoted value"} { // a line of an env file follows
		if said, _, quotes := strings.Cut(text, before); quotes {
			text = said + before
		}
	}
	line := 1
	if path := elementPath.FindString(text); path != "" {
		line = f.line(strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }))
	}
	return fmt.Errorf("%s:%d: %s: want %s", f.Name, line, text, Want)
}

// line is that of the element with that path of keys, or of the last of its parents
// that there is.
func (f File) line(keys []string) int {
	var root yaml.Node
	if yaml.Unmarshal(f.Data, &root) != nil || len(root.Content) == 0 {
		return 1
	}
	node, line := root.Content[0], 1
	for _, key := range keys {
		var next *yaml.Node
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				line, next = node.Content[i].Line, node.Content[i+1]
			}
		}
		if i, err := strconv.Atoi(key); err == nil && node.Kind == yaml.SequenceNode && i < len(node.Content) {
			line, next = node.Content[i].Line, node.Content[i]
		}
		if next == nil {
			break
		}
		node = next
	}
	return line
}

// withDefault says that the text itself says what to take when the variable is unset.
func withDefault(text, name string) bool {
	for _, op := range []string{":-", "-", ":+", "+"} {
		if strings.Contains(text, "${"+name+op) {
			return true
		}
	}
	return false
}

package scaffold

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"

	"rehearsal/internal/containers"
	"rehearsal/internal/stage"
)

// FromCompose drafts the first rehearsal of a service of a compose file. Its error says
// what is wrong with the compose file, with file and line, or what has to be told.
func FromCompose(ctx context.Context, o Options) (*Draft, error) {
	file, note, err := composeFile(o)
	if err != nil {
		return nil, err
	}
	p, err := containers.LoadCompose(ctx, file)
	if err != nil {
		return nil, err
	}
	if o.Service, err = released(p, o); err != nil {
		return nil, err
	}
	if err := o.askRest(p.Services[o.Service].Image); err != nil {
		return nil, err
	}
	s := &sketch{Options: o, Compose: filepath.Base(file), Plan: firstPlan()}
	s.look(p)
	if note != "" {
		s.found("%s", note)
	}
	for _, n := range containers.ComposeNotes(p, &stage.Setup{Service: o.Service}) {
		s.found("%s", n)
	}
	return s.draft()
}

// composeFile is the compose file of the folder, as docker compose would find it.
func composeFile(o Options) (file, note string, err error) {
	if o.Compose != "" {
		if filepath.Dir(o.Compose) != "." && filepath.Clean(filepath.Dir(o.Compose)) != filepath.Clean(o.Folder) {
			return "", "", fmt.Errorf("%s is not in the folder %s: the files of a rehearsal stand beside its compose file", o.Compose, o.Folder)
		}
		return filepath.Join(o.Folder, filepath.Base(o.Compose)), "", nil
	}
	var there []string
	for _, name := range cli.DefaultFileNames {
		if exists(filepath.Join(o.Folder, name)) {
			there = append(there, name)
		}
	}
	if len(there) == 0 {
		return "", "", fmt.Errorf("there is no compose file in %s: want one of %s; name another with --compose, or start from an ECS task definition with --from-ecs",
			o.Folder, strings.Join(cli.DefaultFileNames, ", "))
	}
	if len(there) > 1 {
		note = fmt.Sprintf("there are %s: %s was read, as docker compose would", strings.Join(there, " and "), there[0])
	}
	return filepath.Join(o.Folder, there[0]), note, nil
}

// released is the service that is released: the one that is named, the only one that
// can be, or what a person answers.
func released(p *types.Project, o Options) (string, error) {
	if o.Service != "" {
		if _, ok := p.Services[o.Service]; !ok {
			return "", fmt.Errorf("--service %s: the compose file has no such service: it has %q", o.Service, p.ServiceNames())
		}
		return o.Service, nil
	}
	could := candidates(p)
	switch {
	case len(could) == 0:
		return "", fmt.Errorf("which service is released? None of %q looks like a team's own: name it with --service", p.ServiceNames())
	case len(could) == 1 || o.Guess:
		return could[0], nil
	case o.Ask != nil:
		return o.Ask("Which service is released?", could, could[0])
	}
	return "", fmt.Errorf("which service is released? Name it with --service: it could be one of %q; with --yes it is %q", could, could[0])
}

// candidates are the services that a team may release, the likeliest first: what takes
// requests from outside and is called by no other.
func candidates(p *types.Project) []string {
	score := map[string]int{}
	for name, s := range p.Services {
		score[name] += 0
		m, known := makerOf(s.Image)
		if known && !m.serves {
			delete(score, name)
			continue
		}
		if len(s.Ports) > 0 {
			score[name] += 2
		}
		if s.Build != nil {
			score[name] += 2
		}
		if s.HealthCheck != nil && !s.HealthCheck.Disable {
			score[name]++
		}
		if known {
			score[name]-- // a web server before the service is rarely what changes
		}
	}
	for name, s := range p.Services {
		for on, d := range s.DependsOn {
			if _, ok := score[on]; !ok {
				continue
			}
			score[on]--
			if d.Condition == types.ServiceConditionCompletedSuccessfully {
				delete(score, on) // a job
			}
		}
		for _, r := range mentions(s) {
			on := byHost(p, r.host)
			if _, ok := score[on]; ok && on != name {
				score[on]--
			}
		}
	}
	return slices.SortedFunc(maps.Keys(score), func(a, b string) int {
		if score[a] != score[b] {
			return score[b] - score[a]
		}
		return strings.Compare(a, b)
	})
}

// askRest asks a person for what no file says.
func (o *Options) askRest(image string) (err error) {
	if o.StableImage == "" {
		o.StableImage = image
	}
	if o.Ask != nil && o.Image == "" {
		if o.Image, err = o.Ask("Which image is the new version?", nil, o.StableImage); err != nil {
			return err
		}
		if o.Image == o.StableImage {
			o.Image = ""
		}
	}
	for _, image := range []string{o.StableImage, o.Image} {
		if _, err := reference.ParseNormalizedNamed(image); image != "" && err != nil {
			return fmt.Errorf("%q is not the name of an image (%w): want one such as registry.example.com/team/web:1.5", image, err)
		}
	}
	if o.Ask != nil && o.Alarms == "" {
		if o.Alarms, err = o.Ask("Which file has the output of `aws cloudwatch describe-alarms`? (empty: a first set of alarms is written)", nil, ""); err != nil {
			return err
		}
	}
	if o.Ask != nil && o.Rate == 0 {
		answer, err := o.Ask("How many requests per second do users send?", nil, strconv.Itoa(DefaultRate))
		if err != nil {
			return err
		}
		if o.Rate, err = strconv.Atoi(strings.TrimSpace(answer)); err != nil || o.Rate < 1 {
			return fmt.Errorf("%q is not a number of requests per second: want a whole number from 1", answer)
		}
	}
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	if o.Rate < 0 {
		return errors.New("the rate must be at least 1 request per second")
	}
	return nil
}

// A mention is a variable of a service that names a host.
type mention struct {
	variable string
	scheme   string // "" where it names a host alone
	host     string
	port     int  // 0 where it is not told
	url      bool // the value is an address that Go and PostgreSQL's drivers can read
}

var (
	dsnHost   = regexp.MustCompile(`(?:^|\s)host=([\w.-]+)`)
	dsnTCP    = regexp.MustCompile(`@tcp\(([\w.-]+)(?::(\d{1,5}))?\)/`)
	dsnPort   = regexp.MustCompile(`(?:^|\s)port=(\d+)`)
	hostPort  = regexp.MustCompile(`^([a-zA-Z0-9][\w.-]*):(\d{1,5})$`)
	hostNamed = regexp.MustCompile(`(?i)(?:host|hostname|server|servers|addr|address|endpoint|brokers?|url|uri)$`)
	hostOnly  = regexp.MustCompile(`^[a-zA-Z0-9][\w.-]*$`)
	anyURL    = regexp.MustCompile(`^(?:jdbc:)?([a-zA-Z][a-zA-Z0-9+.-]*)://(?:[^/@\s]*@)?(\[[0-9a-fA-F:]+\]|[\w.-]+)(?::(\d{1,5}))?`)
)

// mentions are the hosts that the variables of a service name, in the variables' order.
// Values are never kept: they may hold passwords.
func mentions(s types.ServiceConfig) (all []mention) {
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		if v := s.Environment[name]; v != nil {
			if r, ok := mentionIn(name, strings.TrimSpace(*v)); ok {
				all = append(all, r)
			}
		}
	}
	return all
}

func mentionIn(name, value string) (mention, bool) {
	r := mention{variable: name}
	if m := anyURL.FindStringSubmatch(value); m != nil {
		_, err := url.Parse(value)
		r.scheme, r.host, r.url = strings.ToLower(m[1]), strings.Trim(m[2], "[]"), err == nil && !strings.HasPrefix(value, "jdbc:")
		r.port, _ = strconv.Atoi(m[3])
		return r, true
	}
	if m := dsnTCP.FindStringSubmatch(value); m != nil {
		r.scheme, r.host, r.url = "mysql", m[1], true
		r.port, _ = strconv.Atoi(m[2])
		return r, true
	}
	if m := dsnHost.FindStringSubmatch(value); m != nil {
		r.scheme, r.host, r.url = "postgres", m[1], true
		if p := dsnPort.FindStringSubmatch(value); p != nil {
			r.port, _ = strconv.Atoi(p[1])
		}
		return r, true
	}
	first, _, _ := strings.Cut(value, ",") // of several servers, the first tells what they are
	if m := hostPort.FindStringSubmatch(first); m != nil {
		r.host = m[1]
		r.port, _ = strconv.Atoi(m[2])
		return r, true
	}
	if hostNamed.MatchString(name) && hostOnly.MatchString(first) {
		r.host = first
		return r, true
	}
	return r, false
}

// byHost is the service that is found by that name, or "".
func byHost(p *types.Project, host string) string {
	if _, ok := p.Services[host]; ok {
		return host
	}
	for _, name := range p.ServiceNames() {
		s := p.Services[name]
		if s.ContainerName == host || s.Hostname == host {
			return name
		}
		for _, n := range s.Networks {
			if n != nil && slices.Contains(n.Aliases, host) {
				return name
			}
		}
	}
	return ""
}

// here says whether a host is the container itself, or no host at all.
func here(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// A dependency is a service that the released one calls, with what could be found out.
type dependency struct {
	Name, URL, Path string
	Kind            stage.DependencyKind
	Port            int
	Parts           stage.AddressParts // variables with a part of its address each
	Say             string             // what a tcp dependency answers to
	// Why says, where the harness cannot stand between the two, what is missing.
	Why string
	// Ask is a question about one that is declared all the same.
	Ask string
}

// Checked says whether a release may ask for it before it starts.
func (d dependency) Checked() bool { return d.Why == "" && (d.Kind != stage.HTTP || d.Path != "") }

// dependencies are what the service calls in the staging copy, by name, and what it calls
// outside of it.
func dependencies(p *types.Project, service string) (all []dependency, outside []string) {
	s := p.Services[service]
	refs := map[string][]mention{}
	for _, r := range mentions(s) {
		switch on := byHost(p, r.host); {
		case on == service:
		case on != "":
			refs[on] = append(refs[on], r)
		case r.scheme != "" && !here(r.host):
			outside = append(outside, fmt.Sprintf("the variable %s names %s://%s", r.variable, r.scheme, r.host))
		}
	}
	for on, d := range s.DependsOn {
		if _, ok := refs[on]; !ok && d.Condition != types.ServiceConditionCompletedSuccessfully {
			refs[on] = nil
		}
	}
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if on, ok := p.Services[name]; ok {
			all = append(all, dependencyOn(on, s, refs[name]))
		}
	}
	return all, outside
}

// kindOf is what an address with that scheme is spoken to in; "" where it does not tell.
func kindOf(scheme string) stage.DependencyKind {
	scheme, _, _ = strings.Cut(scheme, "+") // postgresql+asyncpg
	switch scheme {
	case "postgres", "postgresql":
		return stage.Postgres
	case "mysql", "mysql2", "mariadb":
		return stage.MySQL
	case "redis", "rediss":
		return stage.Redis
	case "http":
		return stage.HTTP
	}
	return ""
}

// spoken are the databases and caches whose credentials can be tried.
var spoken = map[stage.DependencyKind]struct {
	port     int
	variable string
	example  string
}{
	stage.Postgres: {5432, "DATABASE_URL", "postgres://USER:PASSWORD@%s:%d/NAME"},
	stage.MySQL:    {3306, "DATABASE_URL", "mysql://USER:PASSWORD@%s:%d/NAME"},
	stage.Redis:    {6379, "REDIS_URL", "redis://:PASSWORD@%s:%d/0"},
}

func dependencyOn(on, s types.ServiceConfig, refs []mention) dependency {
	d := dependency{Name: on.Name}
	m, known := makerOf(on.Image)
	if known && m.kind != "" {
		d.Kind = m.kind
	}
	for _, r := range refs {
		kind := kindOf(r.scheme)
		switch {
		case kind == stage.HTTP && (!known || m.serves || m.kind == ""):
			h := doorOf(on)
			d.Kind, d.URL, d.Port = stage.HTTP, r.variable, or(r.port, 80)
			if h.PathFrom != "" && h.Other == 0 && h.Port == d.Port && !h.TLS {
				d.Path = h.Path
			} else {
				d.Ask = fmt.Sprintf("which path of %s tells that it is well? Without one a release is not checked for it before it starts. Put, say, \"path: /health\" here", d.Name)
			}
			return d
		case kind != "" && kind != stage.HTTP:
			d.Kind = kind
		case kind == "" && (d.Kind == "" || d.Kind == stage.TCP):
			continue
		}
		if d.Kind == "" || d.Kind == stage.HTTP || d.Kind == stage.TCP {
			continue
		}
		d.Port = or(d.Port, r.port)
		if found, ok := d.reachedBy(r, s); ok {
			return found
		}
	}
	switch as, credentials := spoken[d.Kind]; {
	case credentials:
		d.Port, d.URL = or(d.Port, as.port), as.variable
		d.Why = fmt.Sprintf("where is %s? No variable of %s holds its whole address in a form that can be read here: give %s one in the compose file, such as %q, and take these lines in",
			d.Name, s.Name, s.Name, as.variable+": "+fmt.Sprintf(as.example, d.Name, d.Port))
	case d.Kind == stage.TCP:
		d.Port = m.port
		for _, r := range refs {
			d.Port = or(r.port, d.Port)
		}
		if d.Say = greetings[m.what]; d.Say == "" && m.what != "NATS" { // which speaks first
			d.Ask = fmt.Sprintf("what does %s answer to? With \"say: ...\" here a rehearsal can prove that it is slow; without, only that it is down", d.Name)
		}
	case known && m.kind == "" && !m.serves:
		d.Why = fmt.Sprintf("%s (%s) runs in the staging copy; if %s calls it, name it here, with \"kind: tcp\" and its port, so that it can be broken on purpose", d.Name, m.what, s.Name)
	default:
		h := doorOf(on)
		if h.PathFrom != "" && h.PortFrom != "" && h.Other == 0 && !h.TLS {
			d.Kind, d.Port, d.Path = stage.HTTP, h.Port, h.Path
			return d
		}
		d.Why = fmt.Sprintf("%s runs in the staging copy; if %s calls it by HTTP, name it here, so that it can be broken on purpose", d.Name, s.Name)
	}
	return d
}

// greetings are what is answered at once by those that do not speak first.
var greetings = map[string]string{"Memcached": "version\r\n"}

var addressPart = regexp.MustCompile(`(?i)_?(url|uri|dsn|host|hostname|server|addr|address|endpoint)$`)

// reachedBy is d with the variables that hold its address, if r's is one that can be
// read, by itself or together with those that are named like it.
func (d dependency) reachedBy(r mention, s types.ServiceConfig) (dependency, bool) {
	stem := addressPart.ReplaceAllString(r.variable, "")
	sibling := func(names ...string) string {
		for _, name := range names {
			if stem != "" {
				name = stem + "_" + name
			}
			if v := s.Environment[name]; v != nil {
				return name
			}
		}
		return ""
	}
	environment := map[string]string{}
	for name, v := range s.Environment {
		if v != nil {
			environment[name] = *v
		}
	}
	it := stage.Dependency{Name: d.Name, Kind: d.Kind, Port: or(d.Port, spoken[d.Kind].port), URLFrom: r.variable}
	a, _, err := containers.AddressOf(it, environment)
	if err != nil || a.User == "" && d.Kind != stage.Redis {
		it.PartsFrom = stage.AddressParts{User: sibling("USERNAME", "USER"), Password: sibling("PASSWORD", "PASS")}
		if err != nil {
			it.URLFrom = ""
			it.PartsFrom.Host, it.PartsFrom.Port, it.PartsFrom.Database = r.variable, sibling("PORT"), sibling("NAME", "DATABASE", "DB")
			if d.Kind == stage.Redis {
				it.PartsFrom.Database = sibling("DB", "DATABASE")
			}
		}
		if r.scheme != "" && it.URLFrom == "" || d.Kind != stage.Redis && it.PartsFrom.User == "" {
			return d, false
		}
		a, _, err = containers.AddressOf(it, environment)
	}
	if err != nil {
		return d, false
	}
	d.URL, d.Parts, d.Port = it.URLFrom, it.PartsFrom, a.Port
	return d, true
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

package project

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"rehearsal/internal/containers"
	"rehearsal/internal/stage"
)

// dependencies reads what the service calls: compose services, and stubs for what is
// outside.
func (r *reader) dependencies(p *Project, f yamlFile) {
	for _, name := range slices.Sorted(maps.Keys(f.Dependencies)) {
		d, way := f.Dependencies[name], at{"dependencies", name}
		if p.Compose != nil {
			if _, ok := p.Compose.Services[name]; !ok {
				r.fail(way, "dependencies: the compose file has no service %q: it has %q", name, p.Compose.ServiceNames())
			}
		}
		if !slices.Contains(stage.DependencyKinds(), d.Kind) {
			r.fail(append(way, "kind"), "dependencies: %s: the kind %q is not known: it is one of %q; \"tcp\" is for anything that takes connections", name, d.Kind, stage.DependencyKinds())
		}
		if d.Port < 1 || d.Port > 65535 {
			r.fail(append(way, "port"), "dependencies: %s: port %d: needs the port that it listens on in its container, from 1 to 65535", name, d.Port)
			d.Port = 0
		}
		if d.Say != "" && d.Kind != stage.TCP {
			r.fail(append(way, "say"), "dependencies: %s: only to a dependency of kind \"tcp\" has to be told what to say", name)
		}
		r.dependency(p, way, name, d, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Stubs)) {
		r.stub(p, at{"stubs", name}, name, f)
	}
	t := p.Setup.Traffic
	switch d, ok := p.Setup.Dependency(t.StoredIn); {
	case t.Stored == "" && t.StoredIn == "":
	case t.Stored == "":
		r.fail(at{"traffic", "storedIn"}, "traffic: storedIn needs \"stored\", the query of the keys that are stored")
	case !ok || !d.Database():
		r.fail(at{"traffic", "storedIn"}, "traffic: storedIn %q is not one of the dependencies of kind \"postgres\" or \"mysql\"", t.StoredIn)
	}
}

// dependency checks what both have, and takes it into the setup.
func (r *reader) dependency(p *Project, way at, name string, d yamlDependency, stub *stage.Stub) {
	out := stage.Dependency{
		Name: name, Kind: d.Kind, Port: int(d.Port), URLFrom: d.URL, PartsFrom: stage.AddressParts(d.Variables), Path: d.Path, Say: d.Say, Stub: stub,
		Requests: d.Requests, Readiness: d.Readiness, Calls: int(d.Calls), Contract: r.requests(append(way, "contract"), d.Contract),
	}
	section := way.key()
	if d.Path != "" && d.Path[0] != '/' {
		r.fail(append(way, "path"), "%s: %s: the path %q must begin with /", section, name, d.Path)
	}
	r.address(p, way, out)
	if _, given := r.find(append(way, "contract")); given && d.Kind != stage.HTTP {
		r.fail(append(way, "contract"), "%s: %s: only a dependency of kind \"http\" has a contract of requests", section, name)
	}
	for i, q := range d.Requests {
		if _, ok := p.Setup.Traffic.Find(q); !ok {
			r.fail(append(way, "requests", i), "%s: %s: the traffic has no request %q: it has %q", section, name, q, names(p.Setup.Traffic))
		}
	}
	p.Setup.Dependencies = append(p.Setup.Dependencies, out)
}

// address checks the variables of the service that hold where a dependency is.
func (r *reader) address(p *Project, way at, d stage.Dependency) {
	section, at := way.key(), append(slices.Clone(way), "url")
	parts := d.PartsFrom
	if d.URLFrom == "" {
		at[len(at)-1] = "variables"
		if d.Database() && parts.Host == "" {
			r.fail(at, "%s: %s: needs \"url\", the variable of the service that holds the address of the database, "+
				"or \"variables: {host: DB_HOST, port: DB_PORT, user: DB_USER, password: DB_PASSWORD, database: DB_NAME}\", those that hold its parts", section, d.Name)
			return
		}
		if parts != (stage.AddressParts{}) && parts.Host == "" {
			r.fail(at, "%s: %s: variables: needs \"host\", the variable of the service that holds its host", section, d.Name)
			return
		}
	}
	if p.Compose == nil || d.Port == 0 || !slices.Contains(stage.DependencyKinds(), d.Kind) {
		return
	}
	s, ok := p.Compose.Services[p.Setup.Service]
	if _, there := p.Compose.Services[d.Name]; !ok || !there && d.Stub == nil {
		return
	}
	for _, variable := range []string{d.URLFrom, parts.Host, parts.Port, parts.User, parts.Password, parts.Database} {
		must := variable == d.URLFrom || variable == parts.Host // a password, say, may be empty
		if value := s.Environment[variable]; variable != "" && (value == nil || must && *value == "") {
			r.fail(at, "%s: %s: in the compose file the service %q has no variable %s", section, d.Name, p.Setup.Service, variable)
			return
		}
	}
	if err := containers.CheckAddress(p.Compose, p.Setup.Service, d); err != nil {
		r.fail(at, "%s: %s: in the compose file, service %q: %v", section, d.Name, p.Setup.Service, err)
	}
}

// hostName is a name that DNS could know: a stub has the names by which the service
// calls the API.
var hostName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$`)

const wantAnswers = "what the stub answers, such as answers: [{method: POST, path: /charges, status: 201}]"

func (r *reader) stub(p *Project, way at, name string, f yamlFile) {
	s := f.Stubs[name]
	within := func(key ...any) at { return append(slices.Clone(way), key...) }
	if _, ok := f.Dependencies[name]; ok {
		r.fail(way, "stubs: there is a dependency %q, too: each needs a name of its own", name)
		return
	}
	if p.Compose != nil {
		if _, ok := p.Compose.Services[name]; ok {
			r.fail(way, "stubs: the compose file has a service %q: a stub stands in for what is outside; declare the service among the dependencies", name)
			return
		}
	}
	if !hostName.MatchString(name) || len(name) > 63 {
		r.fail(way, "stubs: %q cannot be the name of a container: want letters, digits and hyphens", name)
	}
	if len(s.Hosts) == 0 {
		r.fail(within("hosts"), "stubs: %s: needs \"hosts\", the names by which the service calls the API, such as [api.%s.example.com]", name, name)
	}
	for i, host := range s.Hosts {
		if !hostName.MatchString(host) || len(host) > 253 {
			r.fail(within("hosts", i), "stubs: %s: %q is not the name of a host: want one such as api.%s.example.com, without https:// and port", name, host, name)
		}
		for other, o := range f.Stubs {
			if other < name && slices.ContainsFunc(o.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
				r.fail(within("hosts", i), "stubs: %s: the stub %q has the host %s already", name, other, host)
			}
		}
	}
	if s.Port == 0 {
		s.Port = 80
	}
	if s.Port < 1 || s.Port > 65535 {
		r.fail(within("port"), "stubs: %s: port %d: needs the one that the service calls, from 1 to 65535", name, s.Port)
		s.Port = 80
	}
	stub := &stage.Stub{Hosts: s.Hosts}
	if s.Answers == "" {
		r.fail(within("answers"), "stubs: %s: needs \"answers\", a file with %s", name, wantAnswers)
	} else {
		stub.Answers, stub.Default = r.answers(within("answers"), s.Answers)
	}
	r.dependency(p, way, name, yamlDependency{
		Kind: stage.HTTP, Port: s.Port, URL: s.URL, Path: s.Path, Requests: s.Requests, Readiness: s.Readiness, Calls: s.Calls, Contract: s.Contract,
	}, stub)
}

// answers reads the file of what a stub answers.
func (r *reader) answers(way at, name string) (all []stage.StubAnswer, otherwise stage.StubAnswer) {
	otherwise = stage.StubAnswer{Status: 404, Body: "the stub has no answer to this\n"}
	file, data, ok := r.open(way, name, wantAnswers)
	if !ok {
		return nil, otherwise
	}
	in := &reader{ctx: r.ctx, file: file, dir: filepath.Dir(file), untyped: map[int]bool{}}
	var f yamlAnswers
	if in.decode(data, &f, "want "+wantAnswers) {
		for i, a := range f.Answers {
			all = append(all, in.answer(at{"answers", i}, a))
		}
		if d := f.Default; d != nil {
			if d.Method != "" || d.Path != "" || d.Contains != "" || !d.JSON.IsZero() {
				in.fail(at{"default"}, "default: it is for every request that no answer is for: method, path, contains and json have no place in it")
			}
			otherwise = in.answer(at{"default"}, *d)
		}
		if len(f.Answers) == 0 && f.Default == nil {
			in.say(1, "there is no answer in it: want %s", wantAnswers)
		}
	}
	r.errs = append(r.errs, in.errs...)
	return all, otherwise
}

func (r *reader) answer(way at, a yamlAnswer) stage.StubAnswer {
	out := stage.StubAnswer{
		Method: strings.ToUpper(a.Method), Path: a.Path, Contains: a.Contains, Status: int(a.Status), Headers: a.Headers, Body: a.Body, Delay: a.Delay.d(),
	}
	if out.Status == 0 {
		out.Status = 200
	}
	if !a.JSON.IsZero() {
		var err error
		if out.JSON, err = jsonOf(&a.JSON); err != nil {
			r.fail(append(slices.Clone(way), "json"), "json: %v", err)
		}
	}
	if err := out.Validate(); err != nil {
		r.fail(way, "%s: %v", fmt.Sprint(way.key()), err)
	}
	return out
}

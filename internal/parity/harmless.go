package parity

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"rehearsal/internal/stage"
)

// A pair is one field on both sides.
type pair struct {
	service, field          string
	s, p                    Fact
	onStaging, onProduction bool
}

func (p pair) variable() bool { return strings.HasPrefix(p.field, environment) }

// A rule says which differences are harmless, and why. There is one for each thing in
// which a staging copy must differ, or cannot help it.
type rule struct {
	name string
	why  string
	is   func(c *comparison, p pair) bool
}

var rules = []rule{
	{"stored secret", "the value is in production's store of secrets, not in its description; the name is there on both sides",
		func(_ *comparison, p pair) bool { return p.variable() && p.onStaging && p.onProduction && p.p.Stored }},
	{"own address", "it points at the staging copy's own service: a rehearsal never reaches production's",
		func(c *comparison, p pair) bool {
			return p.variable() && p.onStaging && p.onProduction && sameButForHost(p.s.Value, p.p.Value, c.staging.Hosts)
		}},
	{"own credentials", "a dependency of the staging copy has credentials of its own",
		func(c *comparison, p pair) bool {
			return p.variable() && p.onStaging && p.onProduction && p.s.Secret && p.p.Secret && !c.released(p.service) && c.isDependency(p.service)
		}},
	{"minor version", "the same major version; the image's tag leaves the minor one open",
		func(_ *comparison, p pair) bool {
			return p.field == "version" && p.onStaging && prefixVersion(p.s.Value, p.p.Value)
		}},
	{"log group", "the stage publishes the log lines itself, to the log group that the metric filters read",
		func(c *comparison, p pair) bool { return p.field == "log.group" && p.p.Value == c.staging.LogGroup }},
}

// harmless is the first rule that says so, or Open.
func (c *comparison) harmless(p pair) (why string, s Standing) {
	for _, r := range rules {
		if r.is(c, p) {
			return r.why, Harmless
		}
	}
	return "", Open
}

func (c *comparison) released(service string) bool {
	return c.Setup != nil && c.Setup.Service == service
}

func (c *comparison) isDependency(service string) bool {
	return c.Setup != nil && slices.ContainsFunc(c.Setup.Dependencies, func(d stage.Dependency) bool { return d.Name == service })
}

// sameButForHost says that the staging copy's value names one of its own hosts, and
// that nothing but the host, and the user and password for it, differs.
func sameButForHost(staging, production string, own map[string]bool) bool {
	s, p := address(staging), address(production)
	if s == nil || p == nil || !own[s.Hostname()] {
		return false
	}
	return p.Hostname() != "" && s.Scheme == p.Scheme && port(s) == port(p) && s.Path == p.Path && s.RawQuery == p.RawQuery && s.Fragment == p.Fragment
}

// address reads a URL, jdbc: in front of it or not, or host:port, or a host.
func address(value string) *url.URL {
	text := strings.TrimPrefix(value, "jdbc:")
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil {
			return nil
		}
		return u
	}
	if host, port, err := net.SplitHostPort(text); err == nil {
		return &url.URL{Host: net.JoinHostPort(host, port)}
	}
	if text == "" || strings.ContainsAny(text, " /:@?#%") {
		return nil
	}
	return &url.URL{Host: text}
}

// port is that of the address, or what its scheme means.
func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443", "postgres": "5432", "postgresql": "5432", "mysql": "3306", "redis": "6379", "rediss": "6379", "amqp": "5672"}[u.Scheme]
}

// prefixVersion says that short is the beginning of long, part by part: 17 of 17.4.
func prefixVersion(short, long string) bool {
	return short != "" && strings.HasPrefix(long, short+".")
}

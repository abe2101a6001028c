package project_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

// withOthers has the sample call a MySQL, a Redis and an API outside, too.
func withOthers(t *testing.T) *spoilt {
	t.Helper()
	c := copied(t)
	c.change("compose.yaml", "      PORT: \"8080\"\n", `      PORT: "8080"
      STOCK_HOST: stock
      STOCK_USER: shop
      STOCK_PASSWORD: ""
      CACHE_URL: redis://cache/1
      MAIL_API: http://api.mail.example/v1
`)
	c.change("compose.yaml", "\n  payments:\n    image: payments:v1\n", "\n  stock:\n    image: mysql:8\n  cache:\n    image: redis:7\n  payments:\n    image: payments:v1\n")
	c.change("rehearsal.yaml", "dependencies:\n", `dependencies:
  stock:
    kind: mysql
    port: 3306
    variables: {host: STOCK_HOST, user: STOCK_USER, password: STOCK_PASSWORD}
  cache:
    kind: redis
    port: 6379
    url: CACHE_URL
`)
	c.change("rehearsal.yaml", "\ntraffic:\n", `
stubs:
  mail:
    hosts: [api.mail.example, eu.api.mail.example]
    answers: mail.yaml
    url: MAIL_API
    requests: [order]

traffic:
`)
	c.write("mail.yaml", `answers:
  - {method: post, path: /v1/letters, json: {to: {name: Ann}}, status: 422, body: no address}
  - method: POST
    path: /v1/letters
    contains: '"to"'
    status: 202
    headers: {Content-Type: application/json}
    body: '{"id": "l_1"}'
    delay: 30ms
  - {path: /v1/letters/**}
default: {status: 503}
`)
	return c
}

func TestDependenciesOfEveryKindArrive(t *testing.T) {
	p, err := withOthers(t).load(t.Context())
	require.NoError(t, err)
	d, _ := p.Setup.Dependency("stock")
	assert.Equal(t, stage.Dependency{Name: "stock", Kind: stage.MySQL, Port: 3306,
		PartsFrom: stage.AddressParts{Host: "STOCK_HOST", User: "STOCK_USER", Password: "STOCK_PASSWORD"}}, d)
	d, _ = p.Setup.Dependency("cache")
	assert.Equal(t, stage.Dependency{Name: "cache", Kind: stage.Redis, Port: 6379, URLFrom: "CACHE_URL"}, d)
	d, _ = p.Setup.Dependency("mail")
	assert.Equal(t, stage.Dependency{Name: "mail", Kind: stage.HTTP, Port: 80, URLFrom: "MAIL_API", Requests: []string{"order"}, Stub: &stage.Stub{
		Hosts: []string{"api.mail.example", "eu.api.mail.example"},
		Answers: []stage.StubAnswer{
			{Method: "POST", Path: "/v1/letters", JSON: map[string]any{"to": map[string]any{"name": "Ann"}}, Status: 422, Body: "no address"},
			{Method: "POST", Path: "/v1/letters", Contains: `"to"`, Status: 202, Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"id": "l_1"}`, Delay: 30 * time.Millisecond},
			{Path: "/v1/letters/**", Status: 200},
		},
		Default: stage.StubAnswer{Status: 503},
	}}, d)
	assert.Contains(t, p.Facts(time.Time{}).Dependencies, "mail")
}

func TestMistakesOfDependenciesAndStubs(t *testing.T) {
	for _, c := range []struct{ name, file, old, to, where, want string }{
		{"no host", "rehearsal.yaml", "{host: STOCK_HOST, user", "{user", "", `dependencies: stock: needs "url"`},
		{"a variable that is not there", "rehearsal.yaml", "user: STOCK_USER", "user: STOCK_NAME", "", `in the compose file the service "shop" has no variable STOCK_NAME`},
		{"an unknown part", "rehearsal.yaml", "user: STOCK_USER", "usr: STOCK_USER", "", `unknown key "usr": here may be host, port, user, password, database`},
		{"another host", "compose.yaml", "STOCK_HOST: stock", "STOCK_HOST: store", "rehearsal.yaml    variables:", `the variable STOCK_HOST should hold the address of stock, and names the host "store"`},
		{"TLS to Redis", "compose.yaml", "redis://cache/1", "rediss://cache/1", "rehearsal.yaml    url: CACHE_URL", "asks for TLS (rediss://), which the staging copy's cache does not speak"},
		{"another kind of address", "compose.yaml", "redis://cache/1", "mysql://cache/1", "rehearsal.yaml    url: CACHE_URL", `begins with mysql://, which is not an address of the kind "redis"`},
		{"something to say to Redis", "rehearsal.yaml", "    url: CACHE_URL", "    url: CACHE_URL\n    say: PING", "    say: PING", `only to a dependency of kind "tcp" has to be told what to say`},
		{"TLS to a stub", "compose.yaml", "http://api.mail", "https://api.mail", "rehearsal.yaml    url: MAIL_API",
			"the variable MAIL_API names https://api.mail.example, where a stub stands in, which speaks plain HTTP: in the staging copy set it to http://api.mail.example (port 80)"},
		{"no hosts", "rehearsal.yaml", "    hosts: [api.mail.example, eu.api.mail.example]\n    answers: mail.yaml\n    url: MAIL_API\n", "    answers: mail.yaml\n", "  mail:", `stubs: mail: needs "hosts"`},
		{"a host that is none", "rehearsal.yaml", "eu.api.mail.example]", "https://eu.api.mail.example]", "", `stubs: mail: "https://eu.api.mail.example" is not the name of a host`},
		{"no answers", "rehearsal.yaml", "    answers: mail.yaml\n", "", "  mail:", `stubs: mail: needs "answers"`},
		{"no file of answers", "rehearsal.yaml", "mail.yaml", "post.yaml", "", "there is no file post.yaml: want what the stub answers"},
		{"a port that is none", "rehearsal.yaml", "    url: MAIL_API\n", "    url: MAIL_API\n    port: 70000\n", "    port: 70000", "stubs: mail: port 70000: needs the one that the service calls"},
		{"a service of the compose file", "rehearsal.yaml", "  mail:\n", "  payments:\n", "", `stubs: there is a dependency "payments", too`},
		{"a status that is none", "mail.yaml", "status: 422", "status: 99", "", "answers: the status 99: an answer has one from 200 to 599"},
		{"a path that is none", "mail.yaml", "{path: /v1/letters/**}", "{path: v1}", "", `answers: the path "v1": it begins with /`},
		{"an unknown key", "mail.yaml", "method: post, ", "verb: post, ", "", `unknown key "verb": here may be method, path, contains, json, status, headers, body, delay`},
		{"a default for some", "mail.yaml", "default: {status", "default: {method: GET, status", "", "it is for every request that no answer is for"},
		{"a header that cannot be", "mail.yaml", "{Content-Type: application/json}", `{"Content Type": x}`, "  - method: POST", `the header "Content Type" cannot be sent`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := withOthers(t)
			file := c.file
			line := p.change(c.file, c.old, c.to)
			if f, where, ok := strings.Cut(c.where, "rehearsal.yaml"); ok && f == "" {
				file, line = "rehearsal.yaml", p.line("rehearsal.yaml", where)
			} else if c.where != "" {
				line = p.line(c.file, c.where)
			}
			got := p.problems(t.Context())
			require.Len(t, got, 1, "%q", got)
			assert.True(t, strings.HasPrefix(got[0], fmt.Sprintf("%s:%d: ", file, line)), "%s, not line %d", got[0], line)
			assert.Contains(t, got[0], c.want)
		})
	}
	p := withOthers(t)
	p.write("mail.yaml", "answers: []\n")
	assert.Len(t, p.problems(t.Context()), 1)
	p.write("mail.yaml", "")
	assert.Contains(t, p.problems(t.Context())[0], "the file is empty: want what the stub answers")
}

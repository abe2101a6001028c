package project_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/project"
	"rehearsal/internal/stage"
)

func TestTheShopsChecksArrive(t *testing.T) {
	s := load(t).Setup
	require.Len(t, s.Smoke, 2)
	assert.Equal(t, []stage.JSONValue{
		{Path: "$[*].price_cents", Test: stage.JSONAbove, Want: 0.0},
		{Path: "$[?@.id == 1].name", Test: stage.JSONIs, Want: "Notebook, ruled"},
	}, sortedValues(s.Smoke[0].JSON))
	assert.Equal(t, 500*time.Millisecond, s.Smoke[0].Within)
	assert.Equal(t, "POST", s.Smoke[1].Method)
	assert.Equal(t, &stage.Migrations{Of: "database", Query: "SELECT max(version) FROM schema_migrations", Expect: "002"}, s.Migrations)
	payments, ok := s.Dependency("payments")
	require.True(t, ok)
	require.Len(t, payments.Contract, 2)
	require.NotNil(t, payments.Contract[0].Schema)
	body := `{"id": "ch_1", "status": "paid", "amount_cents": 1200}`
	require.NoError(t, payments.Contract[0].Wrong(stage.Answer{Status: 201, Body: body}))
	assert.ErrorContains(t, payments.Contract[0].Wrong(stage.Answer{Status: 201, Body: `{"id": 7, "status": "paid", "amount_cents": 1200}`}), "payments-charge.json")
}

func sortedValues(v []stage.JSONValue) []stage.JSONValue {
	if len(v) == 2 && v[0].Test == stage.JSONIs {
		v[0], v[1] = v[1], v[0]
	}
	return v
}

func TestMistakesInRequestsAreToldWithTheirFileAndLine(t *testing.T) {
	for name, c := range map[string]struct{ smoke, want string }{
		"no list":               {"name: browse", "smoke.yaml:1: want a list, such as [a, b], not a mapping"},
		"empty":                 {"", "smoke.yaml:1: the file is empty: want a list of requests"},
		"unknown key":           {"- {name: a, path: /, expects: 200}", `smoke.yaml:1: unknown key "expects": here may be name, weight, method`},
		"no name":               {"- {path: /}", "smoke.yaml:1: smoke: a request needs a name"},
		"twice":                 {"- {name: a, path: /}\n- {name: a, path: /}", `smoke.yaml:2: smoke: there is a request "a" already`},
		"path":                  {"- {name: a, path: products}", `smoke.yaml:1: smoke: the path "products" of the request "a" must begin with /`},
		"status":                {"- {name: a, path: /, expect: 700}", "expects 700, which is not an HTTP status"},
		"JSONPath":              {"- name: a\n  path: /\n  json:\n    price: 1", `smoke.yaml:4: smoke: json: "price" is not a JSONPath`},
		"comparison":            {"- name: a\n  path: /\n  json:\n    $.price: {over: 1}", `smoke.yaml:4: smoke: json: $.price: unknown comparison "over": known are`},
		"above a text":          {"- name: a\n  path: /\n  json:\n    $.price: {above: much}", `smoke.yaml:4: smoke: json: $.price: above needs a number, not "much"`},
		"no comparison":         {"- name: a\n  path: /\n  json:\n    $.price: {}", "smoke.yaml:4: smoke: json: $.price: want a value, or a comparison"},
		"no schema":             {"- name: a\n  path: /\n  schema: none.json", "smoke.yaml:3: schema: there is no file none.json: want a JSON Schema"},
		"a schema that is none": {"- name: a\n  path: /\n  schema: compose.yaml", "compose.yaml: this is not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := copied(t)
			data := spoilt.read("rehearsal.yaml")
			spoilt.write("rehearsal.yaml", replaceSection(data, "smoke:", "smoke: smoke.yaml\n"))
			spoilt.write("smoke.yaml", c.smoke)
			problems := spoilt.problems(t.Context())
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0], c.want)
		})
	}
}

func TestMistakesInTheChecksOfARehearsal(t *testing.T) {
	for name, c := range map[string]struct{ add, want string }{
		"migrations of an API":    {"migrations: {of: payments, query: SELECT 1, expect: \"1\"}", `migrations: of: "payments" is not one of the dependencies of kind "postgres"`},
		"migrations, no query":    {"migrations: {of: database, expect: \"1\"}", "migrations: needs a query of the one value"},
		"migrations, no more":     {"migrations: {of: database, query: SELECT 1}", `migrations: needs what to expect`},
		"migrations, unknown":     {"migrations: {in: database}", `unknown key "in": here may be of, query, expect`},
		"phrases":                 {"phrases: none.yaml", "phrases: there is no file none.yaml: want a list of phrases"},
		"phrases of a wrong kind": {"phrases: release.yaml", "release.yaml:3: want a list, such as [a, b], not a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := copied(t)
			spoilt.write("rehearsal.yaml", spoilt.read("rehearsal.yaml")+"\n"+c.add+"\n")
			assert.Contains(t, problemsText(spoilt, t), c.want)
		})
	}
	spoilt := copied(t)
	spoilt.change("rehearsal.yaml", `{image: "shop:v1"}`, `{image: "shop:v1", migration: "002"}`)
	assert.Contains(t, problemsText(spoilt, t), `versions: v1: its migration cannot be checked`)

	spoilt = copied(t)
	line := spoilt.change("rehearsal.yaml", "readiness: true            # /ready fails without it", "contract: payments-contract.yaml")
	assert.Contains(t, spoilt.problems(t.Context()), "rehearsal.yaml:"+strconv.Itoa(line)+`: dependencies: database: only a dependency of kind "http" has a contract of requests`)

	spoilt = copied(t)
	spoilt.change("rehearsal.yaml", "{name: browse, weight: 50, method: GET, path: /products}", "{name: browse, weight: 50, method: GET, path: /products, contains: price}")
	assert.Contains(t, problemsText(spoilt, t), "the users' answers are judged by their status alone")
}

func TestTheTeamsWordsArriveWithTheirLines(t *testing.T) {
	spoilt := copied(t)
	spoilt.write("rehearsal.yaml", spoilt.read("rehearsal.yaml")+"\nphrases: words.yaml\n")
	spoilt.write("words.yaml", "# ours\n- phrase: a\n  japanese: あ\n  means:\n    - b\n    - >-\n      c\n      d\n")
	p, err := spoilt.load(t.Context())
	require.NoError(t, err)
	require.Len(t, p.Phrases, 1)
	got := p.Phrases[0]
	assert.Equal(t, 2, got.Line)
	assert.Equal(t, "あ", got.Japanese)
	assert.Equal(t, []project.Meaning{{Line: 5, Text: "b"}, {Line: 6, Text: "c d"}}, got.Means)

	spoilt.write("words.yaml", "- means: [a]\n- phrase: b\n- {phrase: c, mean: [d]}\n")
	said := problemsText(spoilt, t)
	assert.Contains(t, said, "words.yaml:1: a phrase needs its words")
	assert.Contains(t, said, `words.yaml:2: the phrase "b" needs "means"`)
	assert.Contains(t, said, `words.yaml:3: unknown key "mean": here may be phrase, japanese, means`)
}

func (c *spoilt) read(file string) string {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, file))
	require.NoError(c.t, err)
	return string(data)
}

func problemsText(c *spoilt, t *testing.T) string {
	t.Helper()
	return strings.Join(c.problems(t.Context()), "\n")
}

// replaceSection replaces a key of the outermost mapping with all that belongs to it.
func replaceSection(text, key, instead string) string {
	before, rest, _ := strings.Cut(text, "\n"+key)
	end := regexp.MustCompile(`(?m)^[^\s]`).FindStringIndex(rest[1:])
	return before + "\n" + instead + rest[1+end[0]:]
}

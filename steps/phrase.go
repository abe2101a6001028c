// Package steps turns Gherkin phrases into verbs on a stage. A phrase is written
// once in English and once in Japanese, and both run the same code; the phrases
// are grouped in one file per noun (stage, version, dependency, before, release, alarm,
// users, ask); team.go adds a team's own. A World is one scenario: the Givens fill it, the When raises the stage
// and releases, the Thens ask internal/check of the history.
//
// specs.go reads the features and checks them against the phrases and the project
// before anything runs; suite.go runs them with godog on one stage.
package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Phrase is one sentence that a spec may use. English and Japanese are templates
// with named, typed gaps: {version}, {within:duration}. A gap without a type is of
// the type that it is named after.
type Phrase struct {
	Keyword  string // Given, When or Then: where it reads best
	English  string
	Japanese string
	do       func(ctx context.Context, w *World, a Args) error
}

// A gap is what may stand in a phrase's gap, and how it is read.
type gap struct {
	pattern string // with exactly one group
	en, ja  string // example
	// around is what stands before and after the group.
	around [2]string
}

const quoted = `"([^"]*)"`

var (
	inQuotes  = [2]string{`"`, `"`}
	inSingle  = [2]string{`'`, `'`}
	noneAtAll [2]string
)

var gaps = map[string]gap{
	"service":    {`([\w.-]+)`, "shop", "shop", noneAtAll},
	"version":    {quoted, `"v2"`, `"v2"`, inQuotes},
	"stable":     {quoted, `"v1"`, `"v1"`, inQuotes},
	"alarm":      {quoted, `"shop-5xx-rate"`, `"shop-5xx-rate"`, inQuotes},
	"job":        {quoted, `"test"`, `"test"`, inQuotes},
	"plan":       {quoted, `"canary"`, `"canary"`, inQuotes},
	"dependency": {quoted, `"database"`, `"database"`, inQuotes},
	"database":   {quoted, `"database"`, `"database"`, inQuotes}, // a dependency that is a database
	"api":        {quoted, `"payments"`, `"payments"`, inQuotes}, // a dependency of kind "http"
	"stub":       {quoted, `"payments"`, `"payments"`, inQuotes}, // one that is a stub
	"compose":    {quoted, `"database"`, `"database"`, inQuotes}, // a service of the compose file
	"variable":   {quoted, `"DATABASE_URL"`, `"DATABASE_URL"`, inQuotes},
	"value":      {quoted, `"postgres://nowhere"`, `"postgres://nowhere"`, inQuotes},
	"check":      {quoted, `"connection to database"`, `"connection to database"`, inQuotes},
	"migration":  {quoted, `"003"`, `"003"`, inQuotes},
	"text":       {quoted, `"price"`, `"price"`, inQuotes},
	"json":       {quoted, `"$[0].price_cents"`, `"$[0].price_cents"`, inQuotes},
	"query":      {quoted, `"SELECT count(*) FROM orders"`, `"SELECT count(*) FROM orders"`, inQuotes},
	"row":        {quoted, `"1, Notebook"`, `"1, Notebook"`, inQuotes},
	"method":     {`(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)`, "GET", "GET", noneAtAll},
	"path":       {`(/[^\s,]*)`, "/products", "/products", noneAtAll},
	"body":       {`'([^']*)'`, `'{"product": 1}'`, `'{"product": 1}'`, inSingle},
	"command":    {`(\[[^\]]*\])`, `["/shop", "healthcheck"]`, `["/shop", "healthcheck"]`, noneAtAll}, // as a Dockerfile's exec form
	"zone":       {quoted, `"a"`, `"a"`, inQuotes},
	"percent":    {`(\d+(?:\.\d+)?) ?[%％]`, "50%", "50%", [2]string{"", "%"}},
	"count":      {`(\d+)`, "200", "200", noneAtAll}, // at least 1
	"number":     {`(\d+)`, "200", "200", noneAtAll},
	"duration":   {`(\d+(?:\.\d+)? ?(?:milliseconds?|ms|seconds?|s|minutes?|min|hours?|h|ミリ秒|秒|分|時間))`, "4 minutes", "4分", noneAtAll},
}

var gapName = regexp.MustCompile(`\{(\w+)(?::(\w+))?\}`)

// compile makes the regular expression of a template, and the names and types of
// its gaps in the order in which they stand.
func compile(template string) (expr string, names, types []string, err error) {
	var b strings.Builder
	b.WriteString("^")
	last := 0
	for _, m := range gapName.FindAllStringSubmatchIndex(template, -1) {
		b.WriteString(regexp.QuoteMeta(template[last:m[0]]))
		name := template[m[2]:m[3]]
		kind := name
		if m[4] >= 0 {
			kind = template[m[4]:m[5]]
		}
		g, ok := gaps[kind]
		switch {
		case !ok:
			return "", nil, nil, fmt.Errorf("the gap {%s} is of the unknown type %q: write {name:type} with one of %q", name, kind, slices.Sorted(maps.Keys(gaps)))
		case slices.Contains(names, name):
			return "", nil, nil, fmt.Errorf("the gap {%s} is there twice: write {other:%s} for the second", name, kind)
		}
		b.WriteString(g.pattern)
		names, types = append(names, name), append(types, kind)
		last = m[1]
	}
	b.WriteString(regexp.QuoteMeta(template[last:]) + "$")
	return b.String(), names, types, nil
}

// Examples is the phrase with its gaps filled in.
func (p Phrase) Examples() (english, japanese string) {
	return example(p.English, func(g gap) string { return g.en }), example(p.Japanese, func(g gap) string { return g.ja })
}

func example(template string, value func(gap) string) string {
	return gapName.ReplaceAllStringFunc(template, func(m string) string {
		s := gapName.FindStringSubmatch(m)
		kind := s[1]
		if s[2] != "" {
			kind = s[2]
		}
		return value(gaps[kind])
	})
}

// KeywordJapanese is Keyword as a Japanese spec has it.
func (p Phrase) KeywordJapanese() string {
	return map[string]string{"Given": "前提", "When": "もし", "Then": "ならば"}[p.Keyword]
}

// Args are what stood in the gaps, by name. They have been checked already.
type Args map[string]string

// Text is what stood in a quoted gap.
func (a Args) Text(name string) string { return a[name] }

// Percent is from 0 to 100.
func (a Args) Percent(name string) float64 {
	v, _ := strconv.ParseFloat(a[name], 64) // the pattern lets nothing else through
	return v
}

// Count is a whole number.
func (a Args) Count(name string) int {
	v, _ := strconv.Atoi(a[name])
	return v
}

var durationParts = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?(\D+)$`)

// Words is a command in exec form.
func (a Args) Words(name string) []string {
	var words []string
	_ = json.Unmarshal([]byte(a[name]), &words) // the checker lets nothing else through
	return words
}

// Duration is release time.
func (a Args) Duration(name string) time.Duration {
	m := durationParts.FindStringSubmatch(a[name])
	v, _ := strconv.ParseFloat(m[1], 64)
	unit := time.Second
	switch strings.TrimSuffix(m[2], "s") {
	case "m", "millisecond", "ミリ秒": // "ms" without its s
		unit = time.Millisecond
	case "minute", "min", "分":
		unit = time.Minute
	case "hour", "h", "時間":
		unit = time.Hour
	}
	return time.Duration(v * float64(unit))
}

// Phrases is every phrase, in the order in which people read about a release.
func Phrases() []Phrase {
	return slices.Concat(stagePhrases(), versionPhrases(), dependencyPhrases(), stubPhrases(), beforePhrases(), capacityPhrases(), releasePhrases(), pipelinePhrases(), alarmPhrases(), usersPhrases(), askPhrases())
}

// A form is one language's way to say a phrase, ready to match.
type form struct {
	phrase   Phrase
	template string
	re       *regexp.Regexp
	expr     string
	names    []string
	types    []string
	means    []string // of a team's phrase: the built-in ones, with its gaps in them
}

// forms is every way to say a built-in phrase.
func forms() []form {
	var out []form
	for _, p := range Phrases() {
		for _, t := range []string{p.English, p.Japanese} {
			f, err := newForm(p, t)
			if err != nil {
				panic(fmt.Sprintf("the phrase %q: %v", t, err))
			}
			out = append(out, f)
		}
	}
	return out
}

func newForm(p Phrase, template string) (form, error) {
	expr, names, types, err := compile(template)
	if err != nil {
		return form{}, err
	}
	re, err := regexp.Compile(expr)
	return form{phrase: p, template: template, re: re, expr: expr, names: names, types: types}, err
}

func (f form) args(values []string) Args {
	a := Args{}
	for i, n := range f.names {
		a[n] = values[i]
	}
	return a
}

// fill puts what stood in the gaps of f, as it was written there, into a text with the
// same gaps. What is no gap of f stays.
func (f form) fill(text string, a Args) string {
	return gapName.ReplaceAllStringFunc(text, func(m string) string {
		i := slices.Index(f.names, gapName.FindStringSubmatch(m)[1])
		if i < 0 {
			return m
		}
		around := gaps[f.types[i]].around
		return around[0] + a[f.names[i]] + around[1]
	})
}

// sample is an example of what may stand in the gaps.
func (f form) sample() Args {
	a := Args{}
	for i, n := range f.names {
		g := gaps[f.types[i]]
		a[n] = strings.TrimSuffix(strings.TrimPrefix(g.en, g.around[0]), g.around[1])
	}
	return a
}

// likeness is the share of letter pairs that two texts have in common (the
// Sørensen–Dice coefficient), which works for Japanese as well.
func likeness(a, b string) float64 {
	pairs := func(s string) map[string]int {
		m := map[string]int{}
		r := []rune(strings.ToLower(s))
		for i := 0; i+1 < len(r); i++ {
			m[string(r[i:i+2])]++
		}
		return m
	}
	pa, pb := pairs(a), pairs(b)
	common, total := 0, 0
	for p, n := range pa {
		common += min(n, pb[p])
		total += n
	}
	for n := range maps.Values(pb) {
		total += n
	}
	if total == 0 {
		return 0
	}
	return 2 * float64(common) / float64(total)
}

// nearestName is the known name that reads most like the wrong one, as a hint.
func nearestName(wrong string, known []string) string {
	best, score := "", 0.3
	for _, k := range known {
		if s := likeness(wrong, k); s > score {
			best, score = k, s
		}
	}
	if best == "" {
		return fmt.Sprintf("known are %q", known)
	}
	return fmt.Sprintf("did you mean %q? known are %q", best, known)
}

// Package steps turns Gherkin phrases into verbs on a stage. A phrase is written
// once in English and once in Japanese, and both run the same code; the phrases
// are grouped in one file per noun (stage, version, dependency, release, alarm,
// users). A World is one scenario: the Givens fill it, the When raises the stage
// and releases, the Thens ask internal/check of the history.
//
// specs.go reads the features and checks them against the phrases and the project
// before anything runs; suite.go runs them with godog on one stage.
package steps

import (
	"context"
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
}

const quoted = `"([^"]*)"`

var gaps = map[string]gap{
	"service":    {`([\w.-]+)`, "shop", "shop"},
	"version":    {quoted, `"v2"`, `"v2"`},
	"stable":     {quoted, `"v1"`, `"v1"`},
	"alarm":      {quoted, `"shop-5xx-rate"`, `"shop-5xx-rate"`},
	"job":        {quoted, `"test"`, `"test"`},
	"plan":       {quoted, `"canary"`, `"canary"`},
	"dependency": {quoted, `"database"`, `"database"`},
	"variable":   {quoted, `"DATABASE_URL"`, `"DATABASE_URL"`},
	"value":      {quoted, `"postgres://nowhere"`, `"postgres://nowhere"`},
	"percent":    {`(\d+(?:\.\d+)?) ?[%％]`, "50%", "50%"},
	"count":      {`(\d+)`, "200", "200"},
	"duration":   {`(\d+(?:\.\d+)? ?(?:milliseconds?|ms|seconds?|s|minutes?|min|hours?|h|ミリ秒|秒|分|時間))`, "4 minutes", "4分"},
}

var gapName = regexp.MustCompile(`\{(\w+)(?::(\w+))?\}`)

// compile makes the regular expression of a template, and the names and types of
// its gaps in the order in which they stand.
func compile(template string) (expr string, names, types []string) {
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
		if !ok {
			panic(fmt.Sprintf("the phrase %q has a gap of unknown type %q", template, kind))
		}
		b.WriteString(g.pattern)
		names, types = append(names, name), append(types, kind)
		last = m[1]
	}
	b.WriteString(regexp.QuoteMeta(template[last:]) + "$")
	return b.String(), names, types
}

// Examples is the phrase with its gaps filled in.
func (p Phrase) Examples() (english, japanese string) {
	fill := func(template string, value func(gap) string) string {
		return gapName.ReplaceAllStringFunc(template, func(m string) string {
			s := gapName.FindStringSubmatch(m)
			kind := s[1]
			if s[2] != "" {
				kind = s[2]
			}
			return value(gaps[kind])
		})
	}
	return fill(p.English, func(g gap) string { return g.en }), fill(p.Japanese, func(g gap) string { return g.ja })
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
	return slices.Concat(stagePhrases(), versionPhrases(), dependencyPhrases(), releasePhrases(), pipelinePhrases(), alarmPhrases(), usersPhrases())
}

// A form is one language's way to say a phrase, ready to match.
type form struct {
	phrase   Phrase
	template string
	re       *regexp.Regexp
	expr     string
	names    []string
	types    []string
}

func forms() []form {
	var out []form
	for _, p := range Phrases() {
		for _, t := range []string{p.English, p.Japanese} {
			expr, names, types := compile(t)
			out = append(out, form{p, t, regexp.MustCompile(expr), expr, names, types})
		}
	}
	return out
}

func (f form) args(values []string) Args {
	a := Args{}
	for i, n := range f.names {
		a[n] = values[i]
	}
	return a
}

// nearest is the template that reads most like text.
func nearest(fs []form, text string) string {
	best, score := "", 0.0
	for _, f := range fs {
		if s := likeness(text, f.template); s > score {
			best, score = f.template, s
		}
	}
	return best
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

package steps

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"rehearsal/internal/lang"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
)

// A Catalogue is every phrase that a scenario may use, for programs: docs/steps.schema.json
// is its schema.
type Catalogue struct {
	Format  int          `json:"format"`            // 1
	Service string       `json:"service,omitempty"` // "": of no project
	Phrases []Expression `json:"phrases"`
}

// An Expression is one language's way to say a phrase.
type Expression struct {
	Expression string      `json:"expression"` // with gaps: {name} or {name:type}
	Language   lang.Lang   `json:"language"`
	Keyword    string      `json:"keyword"` // Given, When or Then: where it reads best
	Pattern    string      `json:"pattern"` // a regular expression (RE2) with a group for each parameter
	Parameters []Parameter `json:"parameters"`
	Example    string      `json:"example"`
	Means      []string    `json:"means,omitempty"` // of a team's phrase: the built-in ones that it stands for
	File       string      `json:"file,omitempty"`  // where a team's phrase is defined; "": it is built in
	Line       int         `json:"line,omitempty"`  // of File, from 1
}

// A Parameter is a gap of an expression.
type Parameter struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Pattern string   `json:"pattern"`          // of what may stand in it, with one group for what is read
	Values  []string `json:"values,omitempty"` // what the project knows that it may be; none: anything that matches
}

// NewCatalogue is the phrases of a project, or, where it is nil, the built-in ones.
func NewCatalogue(p *project.Project) (*Catalogue, error) {
	c := &Catalogue{Format: 1, Phrases: []Expression{}}
	if p == nil {
		p = &project.Project{}
	} else {
		c.Service = p.Setup.Service
	}
	all, _, err := vocabulary(p)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		e := Expression{Expression: f.template, Language: f.language(), Keyword: f.phrase.Keyword, Pattern: f.expr, Parameters: []Parameter{}, Means: f.means}
		e.Example = example(f.template, func(g gap) string {
			if e.Language == lang.Japanese {
				return g.ja
			}
			return g.en
		})
		for i, name := range f.names {
			e.Parameters = append(e.Parameters, Parameter{name, f.types[i], gaps[f.types[i]].pattern, c.values(p, f.types[i])})
		}
		if i := slices.IndexFunc(p.Phrases, func(o project.Phrase) bool {
			return f.means != nil && (o.English == f.template || o.Japanese == f.template)
		}); i >= 0 {
			e.File, e.Line = p.Phrases[i].File, p.Phrases[i].Line
		}
		c.Phrases = append(c.Phrases, e)
	}
	return c, nil
}

var methods = regexp.MustCompile(`[A-Z]+`)

func (c *Catalogue) values(p *project.Project, kind string) []string {
	switch {
	case kind == "method":
		return methods.FindAllString(gaps[kind].pattern, -1)
	case c.Service == "":
		return nil
	case kind == "check":
		var names []string
		for _, b := range release.AllBefore(&p.Setup) {
			names = append(names, b.String())
		}
		return names
	}
	all, _ := known(p, kind)
	return all
}

// language is that of the template.
func (f form) language() lang.Lang {
	if f.template == f.phrase.Japanese {
		return lang.Japanese
	}
	return lang.English
}

// In a Cucumber expression these stand for themselves behind a backslash:
// https://github.com/cucumber/cucumber-expressions#escaping
var escapeExpression = regexp.MustCompile(`[\\(){}/]`)

// In JavaScript these end a literal.
var (
	escapeString = strings.NewReplacer(`'`, `\'`)
	escapeRegexp = strings.NewReplacer(`/`, `\/`)
)

// Glue writes the catalogue as step definitions in JavaScript, which the Cucumber language
// server reads. It reads step definitions of Go too, but only in JavaScript and the like
// also the types of parameters: without them it takes regular expressions, and of those it
// completes no phrase that no feature has used yet. Nothing runs the file.
//
// https://github.com/cucumber/language-service/tree/main/src/language
func (c *Catalogue) Glue(w io.Writer) error {
	var b strings.Builder
	b.WriteString("// Made by `rehearse steps --glue`: every phrase of the features, for editors that speak to\n" +
		"// the Cucumber language server (docs/editor.md). Nothing runs this file; do not edit it.\n\n")
	types := map[string]string{}
	for _, e := range c.Phrases {
		for _, p := range e.Parameters {
			types[p.Type] = p.Pattern
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		// The language server calls nothing and so needs no group; a group within would be
		// taken for a second parameter.
		fmt.Fprintf(&b, "defineParameterType({ name: '%s', regexp: /%s/ })\n", name, escapeRegexp.Replace(withoutGroups(types[name])))
	}
	for _, e := range c.Phrases {
		b.WriteString("\n")
		if e.File != "" {
			fmt.Fprintf(&b, "// %s:%d\n", e.File, e.Line)
		}
		for _, m := range e.Means {
			fmt.Fprintf(&b, "//   %s\n", strings.ReplaceAll(m, "\n", " "))
		}
		fmt.Fprintf(&b, "%s('%s', () => {})\n", e.Keyword, escapeString.Replace(cucumberExpression(e.Expression)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// withoutGroups is a pattern of gaps whose one group takes part in nothing.
func withoutGroups(pattern string) string {
	i := strings.IndexByte(pattern, '(') // the first that is not escaped or in a class is the group: see gaps
	if strings.HasPrefix(pattern[i:], "(?:") {
		return pattern
	}
	return pattern[:i] + "(?:" + pattern[i+1:]
}

// cucumberExpression is a template with its gaps called by their types.
func cucumberExpression(template string) string {
	var b strings.Builder
	last := 0
	for _, m := range gapName.FindAllStringSubmatchIndex(template, -1) {
		b.WriteString(escapeExpression.ReplaceAllString(template[last:m[0]], `\$0`))
		kind := template[m[2]:m[3]]
		if m[4] >= 0 {
			kind = template[m[4]:m[5]]
		}
		fmt.Fprintf(&b, "{%s}", kind)
		last = m[1]
	}
	b.WriteString(escapeExpression.ReplaceAllString(template[last:], `\$0`))
	return b.String()
}

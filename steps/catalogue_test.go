package steps

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
	"rehearsal/internal/project"
)

func TestTheCatalogueIsAsItsSchemaSays(t *testing.T) {
	data, err := os.ReadFile("../docs/steps.schema.json")
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("steps.schema.json", document))
	schema, err := compiler.Compile("steps.schema.json")
	require.NoError(t, err)
	for name, p := range map[string]*project.Project{"of the shop": shop(t), "without a rehearsal": nil} {
		t.Run(name, func(t *testing.T) {
			c, err := NewCatalogue(p)
			require.NoError(t, err)
			text, err := json.Marshal(c)
			require.NoError(t, err)
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			require.NoError(t, err)
			require.NoError(t, schema.Validate(value))
		})
	}
}

func TestTheCatalogueKnowsNamesOfTheProjectAndWhereAPhraseIsDefined(t *testing.T) {
	p := shop(t)
	c, err := NewCatalogue(p)
	require.NoError(t, err)
	find := func(expression string) Expression {
		i := slices.IndexFunc(c.Phrases, func(e Expression) bool { return e.Expression == expression })
		require.GreaterOrEqual(t, i, 0, expression)
		return c.Phrases[i]
	}
	e := find("the alarm {alarm} goes off within {within:duration} of exposure")
	assert.Equal(t, lang.English, e.Language)
	assert.Equal(t, `the alarm "shop-5xx-rate" goes off within 4 minutes of exposure`, e.Example)
	require.Len(t, e.Parameters, 2)
	assert.Equal(t, p.Setup.AlarmNames(), e.Parameters[0].Values)
	assert.Equal(t, "duration", e.Parameters[1].Type)
	assert.Empty(t, e.Parameters[1].Values)
	assert.Empty(t, e.File)

	e = find("版 {version} の商品一覧に価格が表示されている")
	assert.Equal(t, lang.Japanese, e.Language)
	assert.Equal(t, "../fixtures/phrases.yaml", e.File)
	assert.Equal(t, 3, e.Line)
	assert.Len(t, e.Means, 3)
	assert.Equal(t, "Then", e.Keyword)

	for _, e := range c.Phrases {
		re, err := regexp.Compile(e.Pattern)
		require.NoError(t, err)
		assert.Equal(t, len(e.Parameters), re.NumSubexp(), e.Expression)
		assert.Regexp(t, re, e.Example)
	}
}

var (
	parameterType  = regexp.MustCompile(`^defineParameterType\(\{ name: '(\w+)', regexp: /(.*)/ \}\)$`)
	stepDefinition = regexp.MustCompile(`^(Given|When|Then)\('(.*)', \(\) => \{\}\)$`)
	inExpression   = regexp.MustCompile(`\\(.)|\{(\w+)\}|([^\\{]+)`)
)

// readGlue reads a glue file as the language server does: the text of a literal as it is
// written, but for quotes, is a Cucumber expression.
func readGlue(t *testing.T, text string) (all []*regexp.Regexp) {
	types := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "//"):
		case parameterType.MatchString(line):
			m := parameterType.FindStringSubmatch(line)
			require.NotContains(t, types, m[1])
			require.Zero(t, regexp.MustCompile(m[2]).NumSubexp(), "one parameter, no groups: %s", line)
			require.NotRegexp(t, `(^|[^\\])/`, m[2], "it would end the literal")
			types[m[1]] = m[2]
		default:
			m := stepDefinition.FindStringSubmatch(line)
			require.NotNil(t, m, "%s", line)
			require.NotRegexp(t, `(^|[^\\])'`, m[2], "it would end the literal")
			expression := strings.ReplaceAll(m[2], `\'`, `'`)
			var b strings.Builder
			for _, part := range inExpression.FindAllStringSubmatch(expression, -1) {
				require.NotRegexp(t, `[()/}]`, part[3], "it means something in %s", expression)
				switch {
				case part[1] != "":
					b.WriteString(regexp.QuoteMeta(part[1]))
				case part[2] != "":
					require.Contains(t, types, part[2])
					b.WriteString("(" + types[part[2]] + ")")
				default:
					b.WriteString(regexp.QuoteMeta(part[3]))
				}
			}
			all = append(all, regexp.MustCompile("^"+b.String()+"$"))
		}
	}
	return all
}

func TestEveryStepMatchesExactlyOneExpressionOfTheGlue(t *testing.T) {
	p := shop(t)
	c, err := NewCatalogue(p)
	require.NoError(t, err)
	odd, err := newForm(Phrase{}, `the {plan}'s sale (in {zone}) of {count} {{text}} a/b \o/ is on`)
	require.NoError(t, err)
	e := Expression{Expression: odd.template, Keyword: "Then", Example: example(odd.template, func(g gap) string { return g.en })}
	for i, name := range odd.names {
		e.Parameters = append(e.Parameters, Parameter{Name: name, Type: odd.types[i], Pattern: gaps[odd.types[i]].pattern})
	}
	c.Phrases = append(c.Phrases, e)
	var b bytes.Buffer
	require.NoError(t, c.Glue(&b))
	glue := readGlue(t, b.String())
	require.Len(t, glue, len(c.Phrases))
	specs, err := ReadSpecs(p, []string{"../features"}, "")
	require.NoError(t, err)
	var texts []string
	for _, s := range specs {
		texts = append(texts, s.Steps...)
	}
	for _, e := range c.Phrases {
		texts = append(texts, e.Example)
	}
	require.Greater(t, len(texts), 300)
	for _, text := range texts {
		n := 0
		for _, re := range glue {
			if re.MatchString(text) {
				n++
			}
		}
		assert.Equal(t, 1, n, "%s", text)
	}
}

package steps

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rehearsal/internal/lang"
	"rehearsal/internal/project"
)

// A Vocabulary is the phrases of a project, for who reads features and runs none.
type Vocabulary struct {
	project *project.Project
	forms   []form
}

// NewVocabulary is the built-in phrases and the team's. Its error is as that of TeamPhrases.
func NewVocabulary(p *project.Project) (*Vocabulary, error) {
	all, _, err := vocabulary(p)
	return &Vocabulary{p, all}, err
}

// A Reading is one way to read the text of a step.
type Reading struct {
	Expression string // with gaps
	Keyword    string // Given, When or Then: where it reads best
	Team       bool   // it is one of the team's own
}

// Read is every way to read the text of a step: none where it is undefined, several where
// it is ambiguous.
func (v *Vocabulary) Read(text string) (all []Reading) {
	for _, f := range v.forms {
		if f.re.MatchString(text) {
			all = append(all, Reading{f.template, f.phrase.Keyword, f.means != nil})
		}
	}
	return all
}

// Mistakes is what is wrong with what stands in the gaps of a step that reads as one phrase:
// names that the project has not, shares that are none.
func (v *Vocabulary) Mistakes(text string) (all []string) {
	c := &checker{project: v.project, forms: v.forms, guest: true}
	c.step(&Spec{}, 0, text)
	for _, err := range c.errs {
		all = append(all, strings.TrimPrefix(err.Error(), ":0: "))
	}
	return all
}

// Nearest is the phrase of a language ("en", "ja") that reads most like the text of a step;
// "" where none is near.
func (v *Vocabulary) Nearest(text, language string) string {
	f, far := nearestForm(inLanguage(v.forms, language), text)
	if far >= tooFar {
		return ""
	}
	return f.template
}

// inLanguage is the forms of a language; of one that has none, all.
func inLanguage(fs []form, language string) []form {
	out := slices.DeleteFunc(slices.Clone(fs), func(f form) bool { return f.language() != lang.Lang(language) })
	if len(out) == 0 {
		return fs
	}
	return out
}

// nearest is the template that reads most like text.
func nearest(fs []form, text string) string {
	f, _ := nearestForm(fs, text)
	return f.template
}

// tooFar is the distance from which on a phrase is no help: what of the words is other.
const tooFar = 0.5

// nearestForm is the form whose words are the fewest changes away from those of text, and
// how far that is, from 0 to 1. What stands in quotes, and numbers, make no difference.
func nearestForm(fs []form, text string) (best form, far float64) {
	mine, like := wordsOf(text), 0.0
	far = 2
	for _, f := range fs {
		theirs := wordsOf(example(f.template, func(g gap) string {
			if f.language() == lang.Japanese {
				return g.ja
			}
			return g.en
		}))
		d := changes(mine, theirs, unlike) / float64(max(len(mine), len(theirs), 1))
		if l := likeness(text, f.template); d < far || d == far && l > like {
			best, far, like = f, d, l
		}
	}
	return best, far
}

var wordOf = regexp.MustCompile(fmt.Sprintf(`%s|'[^']*'|%s|%s|\d+(?:\.\d+)?|[A-Za-z][A-Za-z'-]*|\p{L}`, quoted, gaps["duration"].pattern, gaps["percent"].pattern))

// wordsOf is the words of a text; of Japanese, which has no spaces, its letters. All that is
// quoted is one word, and so is every number with its unit.
func wordsOf(text string) []string {
	all := wordOf.FindAllString(text, -1)
	for i, w := range all {
		switch c := w[0]; {
		case c == '"' || c == '\'':
			all[i] = `"`
		case '0' <= c && c <= '9':
			all[i] = "0"
		default:
			all[i] = strings.ToLower(w)
		}
	}
	return all
}

// unlike is how far apart two words are, from 0 to 1: a slip of the pen is nearer than
// another word.
func unlike(a, b string) float64 {
	if a == b {
		return 0
	}
	x, y := []rune(a), []rune(b)
	d := changes(x, y, func(a, b rune) float64 {
		if a == b {
			return 0
		}
		return 1
	}) / float64(max(len(x), len(y)))
	if d > 0.5 {
		return 1
	}
	return d
}

// changes is how many insertions, deletions and exchanges lead from one sequence to the
// other (Levenshtein's distance), an exchange counting as much as cost says.
func changes[T any](a, b []T, cost func(T, T) float64) float64 {
	row := make([]float64, len(b)+1)
	for j := range row {
		row[j] = float64(j)
	}
	for i := range a {
		before := row[0] // of the row above, one to the left
		row[0] = float64(i + 1)
		for j := range b {
			above := row[j+1]
			row[j+1] = min(above+1, row[j]+1, before+cost(a[i], b[j]))
			before = above
		}
	}
	return row[len(b)]
}

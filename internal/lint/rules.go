package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	messages "github.com/cucumber/messages/go/v34"

	"rehearsal/internal/project"
	"rehearsal/steps"
)

// A Rule is what a finding is about.
type Rule string

const (
	NotGherkin        Rule = "not-gherkin"
	UndefinedPhrase   Rule = "undefined-phrase"
	AmbiguousPhrase   Rule = "ambiguous-phrase"
	UnknownName       Rule = "unknown-name" // of the project, or a number that cannot be
	DuplicateScenario Rule = "duplicate-scenario"
	NoSteps           Rule = "no-steps"
	NoRows            Rule = "no-rows" // an outline that never runs
	NoThen            Rule = "no-then"
	GivenAfterThen    Rule = "given-after-then"
	Conjunction       Rule = "conjunction" // one step that is two
	VagueDuration     Rule = "vague-duration"
	MisspeltTag       Rule = "misspelt-tag"
	BadAllow          Rule = "bad-allow" // a comment for lint that does nothing
)

// Rules is every rule.
func Rules() []Rule {
	return []Rule{
		NotGherkin, UndefinedPhrase, AmbiguousPhrase, UnknownName, DuplicateScenario, NoSteps, NoRows, NoThen, GivenAfterThen,
		Conjunction, VagueDuration, MisspeltTag, BadAllow,
	}
}

func ruleNames() (names []string) {
	for _, r := range Rules() {
		names = append(names, string(r))
	}
	return names
}

func (l *linter) find(at place, s Severity, r Rule, message, remedy string) {
	l.found = append(l.found, Finding{at.file, at.line, at.column, s, r, message, remedy})
}

func (l *linter) notGherkin(at place, what string) {
	l.find(at, Error, NotGherkin, fmt.Sprintf("not Gherkin: %s", what), "a feature begins with \"Feature: ...\", a step with Given, When, Then, And or But")
}

func (l *linter) badAllow(at place, message, remedy string) {
	l.find(at, Warning, BadAllow, message, remedy)
}

// name looks at the name of a scenario as it runs: those of an outline's rows must differ.
func (f *feature) name(p *messages.Pickle) {
	name := p.Name
	if strings.HasPrefix(strings.TrimSpace(f.lines[p.Location.Line-1]), "|") {
		name = "" // it is that of a row
	}
	at := f.at(p.Location.Line, name)
	if first, ok := f.names[p.Name]; ok {
		f.find(at, Error, DuplicateScenario, fmt.Sprintf("a second scenario %q (the first is in line %d)", p.Name, first), "give it a name that tells it from the other; in an outline put a <column> into it")
		return
	}
	f.names[p.Name] = at.line
	if first, ok := f.linter.names[p.Name]; ok {
		f.find(at, Warning, DuplicateScenario, fmt.Sprintf("%s:%d has a scenario %q too", first.file, first.line, p.Name), "give it a name that tells it from the other: reports and past runs show names")
		return
	}
	f.linter.names[p.Name] = at
}

// step looks at the text of a step: what it reads as, and whether it is one.
func (f *feature) step(s *messages.Step) {
	at := f.at(s.Location.Line, s.Text)
	texts := f.read[s.Id]
	if texts == nil { // nothing runs it: see NoSteps and NoRows
		return
	}
	undefined := ""
	for _, text := range texts {
		switch all := f.words.Read(text); len(all) {
		case 0:
			undefined = text
		case 1:
			for _, m := range f.words.Mistakes(text) {
				f.find(at, Error, UnknownName, m, "")
			}
		default:
			f.find(at, Error, AmbiguousPhrase, fmt.Sprintf("%q can be read as %q and as %q", text, all[0].Expression, all[1].Expression), "put it so that one of them reads it")
		}
	}
	if undefined == "" {
		return // the built-in phrases are as they are, and the team's were looked at where they are defined
	}
	f.vague(at, s.Text)
	near := f.words.Nearest(undefined, f.language)
	for _, c := range conjunctions(undefined) {
		if f.reads(c.before) && f.reads(c.after) {
			f.find(f.within(at, s.Text, c), Error, Conjunction, fmt.Sprintf("two steps in one: %q and %q", c.before, c.after), "write two steps, the second with And")
			return // so it is undefined no more
		}
	}
	if all := conjunctions(undefined); len(all) > 0 && len(conjunctions(near)) == 0 {
		f.find(f.within(at, s.Text, all[0]), Warning, Conjunction, fmt.Sprintf("%q joins two steps in one", all[0].word), "write two steps, the second with And")
	}
	if near == "" {
		f.find(at, Error, UndefinedPhrase, fmt.Sprintf("no phrase reads %q, and none is near it", undefined), "`rehearse steps` lists all")
		return
	}
	f.find(at, Error, UndefinedPhrase, fmt.Sprintf("no phrase reads %q", undefined), fmt.Sprintf("the nearest is %q; `rehearse steps` lists all", near))
}

func (f *feature) reads(text string) bool { return len(f.words.Read(text)) > 0 }

// within is the place of a conjunction in a step, where the step stands as it is read.
func (f *feature) within(at place, text string, c conjunction) place {
	if i := strings.Index(text, c.word); i >= 0 {
		at.column += utf8.RuneCountInString(text[:i])
	}
	return at
}

// scenario looks at how a scenario is built.
func (f *feature) scenario(s *messages.Scenario) {
	at := f.at(s.Location.Line, s.Keyword)
	f.vague(f.at(s.Location.Line, s.Name), s.Name)
	if len(s.Steps) == 0 {
		f.find(at, Error, NoSteps, fmt.Sprintf("the scenario %q has no steps", s.Name), "write them, or delete it")
		return
	}
	rows := 0
	for _, e := range s.Examples {
		rows += len(e.TableBody)
	}
	if rows == 0 && len(f.read[s.Steps[0].Id]) == 0 {
		f.find(at, Warning, NoRows, fmt.Sprintf("the outline %q has no rows: it never runs", s.Name), "write Examples, or delete it")
		return
	}
	promised := false
	for _, st := range s.Steps {
		switch st.KeywordType {
		case messages.StepKeywordType_OUTCOME:
			promised = true
		case messages.StepKeywordType_CONTEXT:
			if promised {
				f.find(f.at(st.Location.Line, ""), Warning, GivenAfterThen, "a Given after a Then: what is given is given before the release", "write it above the When, or a second scenario")
			}
		case messages.StepKeywordType_UNKNOWN: // "*": the phrase says what it is
			for _, r := range f.words.Read(f.read[st.Id][0]) {
				promised = promised || r.Keyword == "Then"
			}
		}
	}
	if !promised {
		f.find(at, Warning, NoThen, fmt.Sprintf("the scenario %q promises nothing: it has no Then", s.Name), "say what can be seen when it went well")
	}
}

// phrases looks at the team's own words where they are defined.
func (l *linter) phrases(all []project.Phrase) error {
	texts := map[string]text{}
	for _, p := range all {
		t, ok := texts[p.File]
		if !ok {
			var err error
			if t, _, err = read(p.File); err != nil {
				return err
			}
			texts[p.File] = t
		}
		last := len(t.lines)
		for _, q := range all {
			if q.File == p.File && q.Line > p.Line {
				last = min(last, q.Line-1)
			}
		}
		for line := p.Line - 1; line > 0 && skipped(t.lines[line-1]); line-- {
			l.allowing(t, line, func(int) int { return last })
		}
		for _, words := range []string{p.English, p.Japanese} {
			at := t.at(int64(p.Line), words)
			for i := p.Line; i <= last && words != ""; i++ {
				if strings.Contains(t.lines[i-1], words) {
					at = t.at(int64(i), words)
					break
				}
			}
			l.vague(at, words)
			for _, c := range conjunctions(words) {
				at.column += utf8.RuneCountInString(words[:strings.Index(words, c.word)])
				l.find(at, Warning, Conjunction, fmt.Sprintf("%q joins two promises in the phrase %q", c.word, words), "make two phrases of it, or find the word for both")
				break
			}
		}
	}
	return nil
}

// A conjunction joins what is before and after it in one step.
type conjunction struct{ word, before, after string }

var (
	masked = regexp.MustCompile(`"[^"]*"|'[^' ][^']*'|「[^」]*」|『[^』]*』|\{[^}]*\}|<[^>]*>`)
	joined = regexp.MustCompile(`,? and (?:then )?|; |、?(?:そして|かつ)、?|し、`)
	noJoin = regexp.MustCompile(`(?:も|ただ|しか|もう|少)し、$`) // they end in し and join nothing
)

// mask makes nothing of what is quoted, and of gaps, in as many bytes.
func mask(text string) string {
	return masked.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("\x00", len(s)) })
}

func conjunctions(text string) (all []conjunction) {
	m := mask(text)
	for _, at := range joined.FindAllStringIndex(m, -1) {
		if noJoin.MatchString(m[:at[1]]) || at[0] == 0 || at[1] == len(m) {
			continue
		}
		all = append(all, conjunction{strings.Trim(text[at[0]:at[1]], " ,"), text[:at[0]], text[at[1]:]})
	}
	return all
}

var (
	vague = regexp.MustCompile(`(?i)\b(?:soon|shortly|quickly|rapidly|promptly|fast|eventually|immediately|instantly|for some time|a while|a moment|in time)\b` +
		`|すぐ|しばらく|素早く|早く|速く|まもなく|間もなく|やがて|直ちに|ただちに|速やかに|迅速に`)
	compared = regexp.MustCompile(`(?i)(?:\bas|\bas soon as|より|最も|一番|同じくらい|まっ|真っ)\s*$`) // "as fast as", より早く, まっすぐ
	named    = regexp.MustCompile(`(?i)\d+(?:\.\d+)? ?(?:milliseconds?|ms|seconds?|s|minutes?|min|hours?|h|ミリ秒|秒|分|時間)`)
)

// vague finds times that are no times, where no number says what they are.
func (l *linter) vague(at place, text string) {
	m := mask(text)
	if named.MatchString(m) {
		return
	}
	for _, i := range vague.FindAllStringIndex(m, -1) {
		word := m[i[0]:i[1]]
		if compared.MatchString(m[:i[0]]) || strings.HasPrefix(m[i[1]:], "れ") { // すぐれた
			continue
		}
		at := at
		at.column += utf8.RuneCountInString(text[:i[0]])
		remedy := "name a number, such as \"within 4 minutes\""
		if word[0] >= utf8.RuneSelf {
			remedy = "name a number, such as \"4分以内\""
		}
		l.find(at, Warning, VagueDuration, fmt.Sprintf("%q is no time that can be measured", word), remedy)
	}
}

// misspelt finds tags that are nearly one that means something, or that others have.
func (l *linter) misspelt() {
	meant := []string{steps.SimulatedOnly, steps.ContainersOnly, steps.PipelineTag}
	for _, t := range l.tagged {
		if slices.Contains(meant, t.name) {
			continue
		}
		best := ""
		for _, m := range meant {
			if near(t.name, m) {
				best = m
			}
		}
		for other, n := range l.tags {
			if n > 1 && n > l.tags[t.name] && near(t.name, other) && (best == "" || !slices.Contains(meant, best) && (n > l.tags[best] || n == l.tags[best] && other < best)) {
				best = other
			}
		}
		if best != "" {
			l.find(t.place, Warning, MisspeltTag, fmt.Sprintf("the tag %s is nearly %s", t.name, best), fmt.Sprintf("write %s, or a tag that nobody takes for it", best))
		}
	}
}

var digits = regexp.MustCompile(`\d+`)

// near says whether one tag is a slip of the pen away from another. Those that differ in
// numbers alone are meant so.
func near(a, b string) bool {
	if a == b || digits.ReplaceAllString(a, "0") == digits.ReplaceAllString(b, "0") {
		return false
	}
	return slips(a, b) <= min(2, len(b)/4)
}

// slips is how many letters must be put in, left out, exchanged for another or for their
// neighbour to come from one name to the other (optimal string alignment).
func slips(a, b string) int {
	x, y := []rune(a), []rune(b)
	d := make([][]int, len(x)+1)
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range y {
		d[0][j+1] = j + 1
	}
	for i := range x {
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			d[i+1][j+1] = min(d[i][j+1]+1, d[i+1][j]+1, d[i][j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				d[i+1][j+1] = min(d[i+1][j+1], d[i-1][j-1]+1)
			}
		}
	}
	return d[len(x)][len(y)]
}

// Package lint reads features, and says what in them is wrong, or right and still no good
// to its reader. A rule is a name, what it says, and how it is mended; rules.go has them.
//
// allow.go reads the comments that switch a rule off where it is meant as it is written.
package lint

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	gherkin "github.com/cucumber/gherkin/go/v42"
	messages "github.com/cucumber/messages/go/v34"

	"rehearsal/internal/project"
	"rehearsal/steps"
)

// A Severity says what a finding keeps from happening.
type Severity string

const (
	Error   Severity = "error"   // `rehearse verify` refuses it
	Warning Severity = "warning" // it runs, and says less than it could
)

// A Finding is one thing that is wrong, with its place.
type Finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1
	Column   int      `json:"column"` // from 1, in letters
	Severity Severity `json:"severity"`
	Rule     Rule     `json:"rule"`
	Message  string   `json:"message"`
	Remedy   string   `json:"remedy,omitempty"` // "": Message says it
}

// Features looks at features, and at the team's own words. The findings are in the order of
// their places. An error means that a file, or the team's words, cannot be read.
func Features(p *project.Project, files []string) ([]Finding, error) {
	v, err := steps.NewVocabulary(p)
	if err != nil {
		return nil, err
	}
	l := &linter{words: v, names: map[string]place{}, tags: map[string]int{}}
	if err := l.phrases(p.Phrases); err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := l.feature(file); err != nil {
			return nil, err
		}
	}
	l.misspelt()
	found := l.allowed()
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(found), nil // a background's step is looked at once for each scenario
}

// A place is where something stands.
type place struct {
	file         string
	line, column int
}

// linter collects what is found in all features.
type linter struct {
	words  *steps.Vocabulary
	found  []Finding
	allows []*allow
	names  map[string]place // of scenarios, by their names
	tags   map[string]int   // how often each is there
	tagged []tagged
}

type tagged struct {
	place
	name string
}

// A text is a file and its lines.
type text struct {
	file  string
	lines []string
}

// at is the place of a part of a line, the last where it is there twice (a text comes after
// its keyword), or of the line's first letter where it is not in it.
func (t text) at(line int64, part string) place {
	s := ""
	if int(line) <= len(t.lines) {
		s = t.lines[line-1]
	}
	i := strings.LastIndex(s, part)
	if i < 0 || part == "" {
		i = len(s) - len(strings.TrimLeft(s, " \t"))
	}
	return place{t.file, int(line), utf8.RuneCountInString(s[:i]) + 1}
}

func read(file string) (text, []byte, error) {
	data, err := os.ReadFile(file)
	return text{filepath.ToSlash(file), strings.Split(string(data), "\n")}, data, err
}

var gherkinError = regexp.MustCompile(`\((\d+):(\d+)\): (.*)`)

func (l *linter) feature(file string) error {
	t, data, err := read(file)
	if err != nil {
		return err
	}
	ids := (&messages.Incrementing{}).NewId
	doc, err := gherkin.ParseGherkinDocument(bytes.NewReader(data), ids)
	if err != nil {
		for _, m := range gherkinError.FindAllStringSubmatch(err.Error(), -1) {
			line, _ := strconv.Atoi(m[1])
			column, _ := strconv.Atoi(m[2])
			l.notGherkin(place{t.file, line, max(column, 1)}, m[3])
		}
		return nil
	}
	if doc.Feature == nil {
		l.notGherkin(place{t.file, 1, 1}, "there is no feature in it")
		return nil
	}
	f := &feature{linter: l, text: t, language: doc.Feature.Language, names: map[string]int{}, read: map[string][]string{}}
	for _, p := range gherkin.Pickles(*doc, file, ids) {
		f.name(p)
		for _, s := range p.Steps {
			for _, id := range s.AstNodeIds[:1] {
				if !slices.Contains(f.read[id], s.Text) {
					f.read[id] = append(f.read[id], s.Text)
				}
			}
		}
	}
	f.walk(doc)
	f.allow(doc.Comments)
	return nil
}

// feature looks at one feature.
type feature struct {
	*linter
	text
	language string
	names    map[string]int      // the line of each scenario's name, as it runs
	read     map[string][]string // what a step reads as, by its id: several texts in an outline
	nodes    []node
}

// A node is what a comment may stand above, and its lines.
type node struct{ first, last int }

func (f *feature) walk(doc *messages.GherkinDocument) {
	end := len(f.lines)
	open := []int{f.begins(doc.Feature.Location, doc.Feature.Tags)} // whose last line is not known yet
	next := func(depth int, at *messages.Location, tags []*messages.Tag) {
		i := f.begins(at, tags)
		for _, o := range open[min(depth, len(open)):] {
			f.nodes[o].last = f.nodes[i].first - 1
		}
		open = append(open[:min(depth, len(open))], i)
	}
	background := func(depth int, b *messages.Background) {
		if b == nil {
			return
		}
		next(depth, b.Location, nil)
		for _, s := range b.Steps {
			next(depth+1, s.Location, nil)
			f.step(s)
		}
	}
	scenario := func(depth int, s *messages.Scenario) {
		if s == nil {
			return
		}
		next(depth, s.Location, s.Tags)
		for _, st := range s.Steps {
			next(depth+1, st.Location, nil)
			f.step(st)
		}
		for _, e := range s.Examples {
			next(depth+1, e.Location, e.Tags)
			for _, row := range e.TableBody {
				next(depth+2, row.Location, nil)
			}
		}
		f.scenario(s)
	}
	for _, c := range doc.Feature.Children {
		background(1, c.Background)
		scenario(1, c.Scenario)
		if c.Rule == nil {
			continue
		}
		next(1, c.Rule.Location, c.Rule.Tags)
		for _, r := range c.Rule.Children {
			background(2, r.Background)
			scenario(2, r.Scenario)
		}
	}
	for _, o := range open {
		f.nodes[o].last = end
	}
}

// begins notes a node, and its tags.
func (f *feature) begins(at *messages.Location, tags []*messages.Tag) int {
	first := at.Line
	for _, t := range tags {
		first = min(first, t.Location.Line)
		f.tags[t.Name]++
		f.tagged = append(f.tagged, tagged{place{f.file, int(t.Location.Line), int(t.Location.Column)}, t.Name})
	}
	f.nodes = append(f.nodes, node{first: int(first)})
	return len(f.nodes) - 1
}

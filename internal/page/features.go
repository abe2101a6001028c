package page

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	gherkin "github.com/cucumber/gherkin/go/v42"
	messages "github.com/cucumber/messages/go/v34"
)

// featuresFolder holds the features that a run rehearsed, as they were then.
const featuresFolder = "features"

// A Feature is a feature file as prose.
type Feature struct {
	File, Language string
	Keyword, Name  string
	Description    string
	Background     []Step
	Parts          []Part // without a rule first
	named          string // of the file in the folder
}

// A Part is a rule with its scenarios; Name is "" for those without a rule.
type Part struct {
	Keyword, Name string
	Description   string
	Background    []Step
	Scenarios     []*Scenario
}

// A Scenario is one, or one row of an outline's examples.
type Scenario struct {
	Feature     *Feature
	Rule        string
	Where       string // file:line
	Line        int
	Keyword     string
	Name        string
	Description string
	Tags        []string
	Steps       []Step // without those of backgrounds
}

// A Step is one line, and what hangs on it.
type Step struct {
	Keyword, Text string
	Table         [][]string
	Doc           string
}

// history is the name of the scenario's histories, without stage.
func (s *Scenario) history() string { return fmt.Sprintf("%s-%d", s.Feature.named, s.Line) }

// KeepFeatures copies feature files into the report folder, in place of those of another
// run, so that the report can show them as they were when they ran. A feature there that
// no run left is somebody's own: nothing is removed then.
func KeepFeatures(dir string, files []string) error {
	into := filepath.Join(dir, featuresFolder)
	old, err := filepath.Glob(filepath.Join(into, "*.feature"))
	if err != nil {
		return err
	}
	for _, f := range old {
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(string(data), cameFrom) {
			return fmt.Errorf("%s is of no report, and would be replaced: name a folder that is the report's own", f)
		}
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		head := fmt.Appendf(nil, "%s%s\n", cameFrom, filepath.ToSlash(f))
		if err := os.WriteFile(filepath.Join(into, flat(f)+".feature"), append(head, data...), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// cameFrom is the comment in the first line of a kept feature file. A file is kept with
// one line more than it has.
const cameFrom = "#: rehearsed from "

// flat is the path of a feature file as a name: the one that its histories begin with.
func flat(file string) string {
	name := strings.TrimSuffix(filepath.ToSlash(file), ".feature")
	return strings.TrimLeft(strings.NewReplacer("/", "-", "..", "").Replace(name), "-")
}

// features reads those that were kept.
func (r *Run) features() {
	files, err := os.ReadDir(filepath.Join(r.dir, featuresFolder))
	if errors.Is(err, fs.ErrNotExist) {
		r.miss("the folder %s is not there: scenarios are shown without their steps", featuresFolder)
		return
	}
	for _, f := range files {
		name := filepath.Join(featuresFolder, f.Name())
		if !strings.HasSuffix(name, ".feature") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			r.miss("%s cannot be read: %v", name, err)
			continue
		}
		feature, err := parseFeature(data)
		if err != nil {
			r.miss("%s is not Gherkin: %v", name, err)
			continue
		}
		feature.named = strings.TrimSuffix(f.Name(), ".feature")
		r.Features = append(r.Features, feature)
	}
	slices.SortFunc(r.Features, func(a, b *Feature) int { return strings.Compare(a.File, b.File) })
}

// scenarios are all, in the order of the features.
func (r *Run) scenarios() iter.Seq[*Scenario] {
	return func(yield func(*Scenario) bool) {
		for _, f := range r.Features {
			for _, p := range f.Parts {
				for _, s := range p.Scenarios {
					if !yield(s) {
						return
					}
				}
			}
		}
	}
}

// parseFeature reads a kept feature file.
func parseFeature(data []byte) (*Feature, error) {
	file := ""
	if first, rest, ok := bytes.Cut(data, []byte("\n")); ok && bytes.HasPrefix(first, []byte(cameFrom)) {
		file, data = string(bytes.TrimSpace(first[len(cameFrom):])), rest
	}
	ids := (&messages.Incrementing{}).NewId
	doc, err := gherkin.ParseGherkinDocument(bytes.NewReader(data), ids)
	if err != nil {
		return nil, err
	}
	if doc.Feature == nil {
		return nil, errors.New("there is no feature in it")
	}
	g := doc.Feature
	f := &Feature{File: file, Language: g.Language, Keyword: g.Keyword, Name: g.Name, Description: dedent(g.Description)}
	pickles := map[string][]*messages.Pickle{} // by the scenario's node
	for _, p := range gherkin.Pickles(*doc, file, ids) {
		pickles[p.AstNodeIds[0]] = append(pickles[p.AstNodeIds[0]], p)
	}
	add := func(part *Part, s *messages.Scenario) {
		own := map[string]*messages.Step{}
		for _, st := range s.Steps {
			own[st.Id] = st
		}
		for _, p := range pickles[s.Id] {
			sc := &Scenario{Feature: f, Rule: part.Name, Line: int(p.Location.Line), Keyword: s.Keyword, Name: p.Name, Description: dedent(s.Description)}
			sc.Where = fmt.Sprintf("%s:%d", file, sc.Line)
			for _, t := range p.Tags {
				sc.Tags = append(sc.Tags, t.Name)
			}
			for _, st := range p.Steps {
				if ast := own[st.AstNodeIds[0]]; ast != nil {
					step := Step{Keyword: strings.TrimSpace(ast.Keyword), Text: st.Text}
					if a := st.Argument; a != nil && a.DocString != nil {
						step.Doc = a.DocString.Content
					}
					if a := st.Argument; a != nil && a.DataTable != nil {
						for _, row := range a.DataTable.Rows {
							step.Table = append(step.Table, texts(row.Cells, func(c *messages.PickleTableCell) string { return c.Value }))
						}
					}
					sc.Steps = append(sc.Steps, step)
				}
			}
			part.Scenarios = append(part.Scenarios, sc)
		}
	}
	f.Parts = []Part{{}}
	for _, c := range g.Children {
		switch {
		case c.Background != nil:
			f.Background = stepsOf(c.Background)
		case c.Scenario != nil:
			add(&f.Parts[0], c.Scenario)
		case c.Rule != nil:
			p := Part{Keyword: c.Rule.Keyword, Name: c.Rule.Name, Description: dedent(c.Rule.Description)}
			for _, rc := range c.Rule.Children {
				if rc.Background != nil {
					p.Background = stepsOf(rc.Background)
				}
				if rc.Scenario != nil {
					add(&p, rc.Scenario)
				}
			}
			f.Parts = append(f.Parts, p)
		}
	}
	f.Parts = slices.DeleteFunc(f.Parts, func(p Part) bool { return len(p.Scenarios) == 0 })
	return f, nil
}

func stepsOf(b *messages.Background) (out []Step) {
	for _, st := range b.Steps {
		s := Step{Keyword: strings.TrimSpace(st.Keyword), Text: st.Text}
		if st.DocString != nil {
			s.Doc = st.DocString.Content
		}
		if st.DataTable != nil {
			for _, row := range st.DataTable.Rows {
				s.Table = append(s.Table, texts(row.Cells, func(c *messages.TableCell) string { return c.Value }))
			}
		}
		out = append(out, s)
	}
	return out
}

func texts[T any](cells []T, text func(T) string) (out []string) {
	for _, c := range cells {
		out = append(out, text(c))
	}
	return out
}

// dedent is a description without the indent that every line has.
func dedent(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

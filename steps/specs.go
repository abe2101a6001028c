package steps

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	gherkin "github.com/cucumber/gherkin/go/v42"
	messages "github.com/cucumber/messages/go/v34"

	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A Spec is one scenario (or one row of an outline), read and checked.
type Spec struct {
	File     string
	Line     int
	Language string // "en", "ja"
	Feature  string
	Rule     string
	Name     string
	Tags     []string // with their @
	Steps    []string
	Alarms   []string // every alarm that it mentions
	meant    []string // Steps, with the team's own words replaced by the built-in ones
	span     span
}

// Where is file:line.
func (s *Spec) Where() string { return fmt.Sprintf("%s:%d", s.File, s.Line) }

// Tags that say which stage a scenario is for. Without one it is for both.
const (
	SimulatedOnly  = "@simulated"
	ContainersOnly = "@containers"
)

// On says whether the scenario is for the stage.
func (s *Spec) On(stage string) bool {
	switch stage {
	case Simulated:
		return !slices.Contains(s.Tags, ContainersOnly)
	case Containers:
		return !slices.Contains(s.Tags, SimulatedOnly)
	}
	return true
}

// ReadSpecs reads every feature under paths (files, folders, or file:line), and
// checks each step against the phrases and each name in it against the project.
// All that is wrong is reported at once, with file and line. tags selects: "@a" has the tag,
// "~@a" has it not, "&&" is and, "," is or.
func ReadSpecs(p *project.Project, paths []string, tags string) ([]*Spec, error) {
	named, err := selected(paths)
	if err != nil {
		return nil, err
	}
	c := &checker{project: p}
	if c.forms, _, err = vocabulary(p); err != nil {
		return nil, err
	}
	var all []*Spec
	for _, f := range named.files {
		all = append(all, c.read(f)...)
	}
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	if all, err = named.only(all); err != nil {
		return nil, err
	}
	match, err := tagFilter("--tags", tags, all)
	if err != nil {
		return nil, err
	}
	selected := slices.DeleteFunc(all, func(s *Spec) bool { return !match(s.Tags) })
	if len(selected) == 0 {
		return nil, &InputError{fmt.Sprintf("no scenario is selected: nothing would be verified (features %q, tags %q)", paths, tags)}
	}
	return selected, nil
}

// FeatureFiles is every feature under paths (files, folders, or file:line), in order.
func FeatureFiles(paths []string) ([]string, error) {
	named, err := selected(paths)
	return named.files, err
}

// featuresUnder is every feature under files and folders.
func featuresUnder(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &InputError{fmt.Sprintf("%s: there is no such feature file or folder", path)}
		}
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, filepath.Clean(path))
			continue
		}
		err = filepath.WalkDir(path, func(f string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(f, ".feature") {
				files = append(files, filepath.Clean(f))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// checker collects all that is wrong with the features.
type checker struct {
	project *project.Project
	forms   []form
	errs    []error
	guest   bool // of a suite with steps of its own: what reads as no phrase may be one of them
}

func (c *checker) fail(file string, line int64, format string, args ...any) {
	c.errs = append(c.errs, &InputError{fmt.Sprintf("%s:%d: %s", file, line, fmt.Sprintf(format, args...))})
}

var gherkinError = regexp.MustCompile(`\((\d+):(\d+)\): (.*)`)

func (c *checker) read(file string) []*Spec {
	data, err := os.ReadFile(file)
	if err != nil {
		c.errs = append(c.errs, err)
		return nil
	}
	ids := (&messages.Incrementing{}).NewId
	doc, err := gherkin.ParseGherkinDocument(bytes.NewReader(data), ids)
	if err != nil {
		found := gherkinError.FindAllStringSubmatch(err.Error(), -1)
		for _, m := range found {
			c.errs = append(c.errs, &InputError{fmt.Sprintf("%s:%s: not Gherkin: %s", file, m[1], m[3])})
		}
		if len(found) == 0 {
			c.errs = append(c.errs, &InputError{fmt.Sprintf("%s: not Gherkin: %v", file, err)})
		}
		return nil
	}
	if doc.Feature == nil {
		c.fail(file, 1, "there is no feature in it: begin with \"Feature: ...\"")
		return nil
	}
	rules, lines := index(doc.Feature)
	places := spans(doc.Feature, string(data))
	var specs []*Spec
	names := map[string]int64{}
	for _, p := range gherkin.Pickles(*doc, file, ids) {
		s := &Spec{File: file, Line: int(p.Location.Line), Language: p.Language, Feature: doc.Feature.Name, Rule: rules[p.AstNodeIds[0]], Name: p.Name, span: places[p.AstNodeIds[0]]}
		if first, ok := names[p.Name]; ok {
			c.fail(file, p.Location.Line, "a second scenario %q (the first is in line %d): a name must tell it from the others; in an outline put a <column> into it", p.Name, first)
		}
		names[p.Name] = p.Location.Line
		for _, t := range p.Tags {
			s.Tags = append(s.Tags, t.Name)
		}
		if len(p.Steps) == 0 {
			c.fail(file, p.Location.Line, "the scenario %q has no steps", p.Name)
		}
		for _, st := range p.Steps {
			s.Steps = append(s.Steps, st.Text)
			c.step(s, lines[st.AstNodeIds[0]], st.Text)
		}
		specs = append(specs, s)
	}
	return specs
}

// index gives the rule of each scenario and the line of each step, by node id.
func index(f *messages.Feature) (rules map[string]string, lines map[string]int64) {
	rules, lines = map[string]string{}, map[string]int64{}
	steps := func(ss []*messages.Step) {
		for _, s := range ss {
			lines[s.Id] = s.Location.Line
		}
	}
	child := func(rule string, b *messages.Background, s *messages.Scenario) {
		if b != nil {
			steps(b.Steps)
		}
		if s != nil {
			steps(s.Steps)
			rules[s.Id] = rule
		}
	}
	for _, c := range f.Children {
		child("", c.Background, c.Scenario)
		if c.Rule == nil {
			continue
		}
		for _, r := range c.Rule.Children {
			child(c.Rule.Name, r.Background, r.Scenario)
		}
	}
	return rules, lines
}

// step holds one step against the phrases, and the names in it against the project.
func (c *checker) step(s *Spec, line int64, text string) {
	var found []form
	var args Args
	for _, f := range c.forms {
		if m := f.re.FindStringSubmatch(text); m != nil {
			found, args = append(found, f), f.args(m[1:])
		}
	}
	switch len(found) {
	case 0:
		if c.guest {
			return
		}
		c.fail(s.File, line, "no phrase reads %q; the nearest is %q; `rehearse steps` lists all", text, nearest(inLanguage(c.forms, s.Language), text))
		return
	case 1:
	default:
		c.fail(s.File, line, "%q can be read as %q and as %q", text, found[0].template, found[1].template)
		return
	}
	f := found[0]
	for _, text := range f.means {
		c.step(s, line, f.fill(text, args))
	}
	if f.means != nil {
		return // what is in its gaps was looked at there
	}
	s.meant = append(s.meant, text)
	for i, name := range f.names {
		v, kind := args[name], f.types[i]
		switch kind {
		case "alarm":
			s.Alarms = append(s.Alarms, v)
		case "check":
			c.before(s, line, v)
			continue
		case "json":
			if err := (stage.JSONValue{Path: v, Test: stage.JSONIs}).Validate(); err != nil {
				c.fail(s.File, line, "%v", err)
			}
			continue
		case "command":
			if words := args.Words(name); len(words) == 0 || words[0] == "" {
				c.fail(s.File, line, "%s is not a command: write it as a list of words, such as [\"/shop\", \"migrate\"]; no shell reads it", v)
			}
			continue
		case "percent":
			if p := args.Percent(name); p > 100 {
				c.fail(s.File, line, "%s %%: a share is from 0 %% to 100 %%", v)
			} else if p == 0 && f.phrase.Keyword == "Given" {
				c.fail(s.File, line, "0 %%: nothing would be wrong; leave the step out")
			}
			continue
		case "count":
			if args.Count(name) < 1 {
				c.fail(s.File, line, "%s: at least 1", v)
			}
			continue
		case "variable":
			if v == "" {
				c.fail(s.File, line, "a variable needs a name")
			}
			continue
		}
		if all, named := known(c.project, kind); named && !slices.Contains(all, v) {
			what := kind
			switch what {
			case "stable":
				what = "version"
			case "compose":
				what = "service"
			case "api":
				what = "API"
			}
			c.fail(s.File, line, "there is no %s %q in %s: %s", what, v, c.project.File, nearestName(v, all))
		}
	}
}

// known is what a gap of a type may name of a project; not named where it names nothing.
func known(p *project.Project, kind string) (all []string, named bool) {
	set := p.Setup
	dependencies := func(which func(stage.Dependency) bool) {
		for _, d := range set.Dependencies {
			if which(d) {
				all = append(all, d.Name)
			}
		}
	}
	switch kind {
	case "service":
		all = []string{set.Service}
	case "version", "stable":
		all = slices.Sorted(maps.Keys(set.Versions))
	case "alarm":
		all = set.AlarmNames()
	case "plan":
		all = slices.Sorted(maps.Keys(p.Plans))
	case "dependency":
		dependencies(func(stage.Dependency) bool { return true })
	case "api":
		dependencies(func(d stage.Dependency) bool { return d.FailsInPart() })
	case "stub":
		dependencies(func(d stage.Dependency) bool { return d.FailsInPart() && d.Stub != nil })
	case "database":
		dependencies(stage.Dependency.Database)
	case "zone":
		all = set.ZoneNames()
	case "compose":
		all = p.Compose.ServiceNames()
	default:
		return nil, false
	}
	return all, true
}

// before holds the name of a check against those that there are.
func (c *checker) before(s *Spec, line int64, name string) {
	b, err := release.ParseBefore(name)
	all := release.AllBefore(&c.project.Setup)
	switch {
	case err != nil:
		c.fail(s.File, line, "%v", err)
	case !slices.Contains(all, b):
		names := make([]string, len(all))
		for i, one := range all {
			names[i] = one.String()
		}
		c.fail(s.File, line, "%s has nothing to check %q by: %s", c.project.File, name, nearestName(name, names))
	}
}

// bothTags is a tag expression for what both select.
func bothTags(a, b string) string {
	if strings.TrimSpace(a) == "" {
		return b
	}
	var out []string
	for _, x := range strings.Split(a, ",") {
		for _, y := range strings.Split(b, ",") {
			out = append(out, x+" && "+y)
		}
	}
	return strings.Join(out, ",")
}

var tagTerm = regexp.MustCompile(`^~?@[^\s~@,&]+$`)

// tagFilter reads a tag expression. A term that is not a tag, or a tag that no
// scenario has, is a mistake: it would select nothing, or everything, in silence.
// Of some scenarios only, as "--container-tags" is, any tag may be left out by "~".
func tagFilter(flag, expr string, specs []*Spec) (func(tags []string) bool, error) {
	if strings.TrimSpace(expr) == "" {
		return func([]string) bool { return true }, nil
	}
	known := map[string]bool{}
	for _, s := range specs {
		for _, t := range s.Tags {
			known[t] = true
		}
	}
	var alternatives [][]string
	for _, alt := range strings.Split(expr, ",") {
		var terms []string
		for _, term := range strings.Split(alt, "&&") {
			term = strings.TrimSpace(term)
			if !tagTerm.MatchString(term) {
				return nil, &InputError{fmt.Sprintf("%s %q: cannot read %q: write \"@a && ~@b\" for a and not b, \"@a,@b\" for a or b", flag, expr, term)}
			}
			if t := strings.TrimPrefix(term, "~"); !known[t] && (flag == "--tags" || t == term) {
				return nil, &InputError{fmt.Sprintf("%s %q: no scenario has the tag %s: known are %q", flag, expr, t, slices.Sorted(maps.Keys(known)))}
			}
			terms = append(terms, term)
		}
		alternatives = append(alternatives, terms)
	}
	return func(tags []string) bool {
		return slices.ContainsFunc(alternatives, func(terms []string) bool {
			return !slices.ContainsFunc(terms, func(term string) bool {
				t, not := strings.CutPrefix(term, "~")
				return slices.Contains(tags, t) == not
			})
		})
	}, nil
}

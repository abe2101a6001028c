package steps

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	messages "github.com/cucumber/messages/go/v34"
)

var fileLine = regexp.MustCompile(`^(.+):(\d+)$`)

// A selection is what paths name: whole files, and of others some lines.
type selection struct {
	files []string         // all of them, in order
	lines map[string][]int // of the files of which only a part is named
	whole []string         // the paths without a line
}

// selected reads paths: files, folders and file:line.
func selected(paths []string) (selection, error) {
	s := selection{lines: map[string][]int{}}
	for _, path := range paths {
		_, err := os.Stat(path)
		m := fileLine.FindStringSubmatch(path)
		if m == nil || err == nil {
			s.whole = append(s.whole, filepath.Clean(path))
			continue
		}
		line, err := strconv.Atoi(m[2])
		if err != nil {
			return s, &InputError{fmt.Sprintf("%s: there is no such line", path)}
		}
		switch info, err := os.Stat(m[1]); {
		case errors.Is(err, fs.ErrNotExist):
			return s, &InputError{fmt.Sprintf("%s: there is no such feature file or folder", m[1])}
		case err != nil:
			return s, err
		case info.IsDir():
			return s, &InputError{fmt.Sprintf("%s: a folder has no lines: name a feature file of it", path)}
		}
		file := filepath.Clean(m[1])
		s.files, s.lines[file] = append(s.files, file), append(s.lines[file], line)
	}
	whole, err := featuresUnder(s.whole)
	for _, file := range whole {
		delete(s.lines, file)
	}
	s.files = append(s.files, whole...)
	slices.Sort(s.files)
	s.files = slices.Compact(s.files)
	return s, err
}

// only is the specs that the lines name. A line names the scenario that it is part of, and
// one of an outline's rows that row.
func (s selection) only(specs []*Spec) ([]*Spec, error) {
	kept := map[*Spec]bool{}
	var errs []error
	for _, file := range s.files {
		of := slices.DeleteFunc(slices.Clone(specs), func(sp *Spec) bool { return sp.File != file })
		lines, part := s.lines[file]
		if !part {
			for _, sp := range of {
				kept[sp] = true
			}
		}
		for _, line := range lines {
			hit := slices.DeleteFunc(slices.Clone(of), func(sp *Spec) bool { return sp.Line != line })
			if len(hit) == 0 {
				hit = slices.DeleteFunc(slices.Clone(of), func(sp *Spec) bool { return line < sp.span.first || sp.span.last < line })
			}
			if len(hit) == 0 {
				errs = append(errs, &InputError{fmt.Sprintf("%s:%d: no scenario is there; %s", file, line, nearestScenarios(of, line))})
			}
			for _, sp := range hit {
				kept[sp] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(specs), func(sp *Spec) bool { return !kept[sp] }), errors.Join(errs...)
}

// nearestScenarios names the two scenarios that stand nearest to a line.
func nearestScenarios(specs []*Spec, line int) string {
	if len(specs) == 0 {
		return "the file has none"
	}
	far := func(s *Spec) int { return max(s.span.first-line, line-s.span.last) }
	specs = slices.Clone(specs)
	slices.SortStableFunc(specs, func(a, b *Spec) int { return cmp.Compare(far(a), far(b)) })
	specs = slices.CompactFunc(specs, func(a, b *Spec) bool { return a.span == b.span })
	one := fmt.Sprintf("the nearest is %q in line %d", specs[0].Name, specs[0].Line)
	if len(specs) == 1 {
		return one
	}
	return fmt.Sprintf("the nearest are %q in line %d and %q in line %d", specs[0].Name, specs[0].Line, specs[1].Name, specs[1].Line)
}

// A span is the lines of a scenario, from its tags to its last step or row, from 1.
type span struct{ first, last int }

// spans is the lines of each scenario, by its node's id. text is the whole file.
func spans(f *messages.Feature, text string) map[string]span {
	type start struct {
		line int
		id   string // "": of no scenario
	}
	var starts []start
	begins := func(id string, at *messages.Location, tags []*messages.Tag) {
		line := at.Line
		for _, t := range tags {
			line = min(line, t.Location.Line)
		}
		starts = append(starts, start{int(line), id})
	}
	child := func(b *messages.Background, s *messages.Scenario) {
		if b != nil {
			begins("", b.Location, nil)
		}
		if s != nil {
			begins(s.Id, s.Location, s.Tags)
		}
	}
	for _, c := range f.Children {
		child(c.Background, c.Scenario)
		if c.Rule == nil {
			continue
		}
		begins("", c.Rule.Location, c.Rule.Tags)
		for _, r := range c.Rule.Children {
			child(r.Background, r.Scenario)
		}
	}
	lines := strings.Split(text, "\n")
	out := map[string]span{}
	for i, s := range starts {
		last := len(lines)
		if i+1 < len(starts) {
			last = starts[i+1].line - 1
		}
		for last > s.line && blankOrComment(lines[last-1]) {
			last--
		}
		if s.id != "" {
			out[s.id] = span{s.line, last}
		}
	}
	return out
}

func blankOrComment(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || strings.HasPrefix(line, "#")
}

// without is a feature's text with empty lines where the specs of it are that are not
// kept: every other line stays where it is.
func without(text string, all []*Spec, kept func(*Spec) bool) string {
	lines := strings.Split(text, "\n")
	alive := map[span]bool{}
	for _, s := range all {
		alive[s.span] = alive[s.span] || kept(s)
	}
	for _, s := range all {
		switch {
		case !alive[s.span]:
			for i := s.span.first; i <= s.span.last; i++ {
				lines[i-1] = ""
			}
		case !kept(s): // a row
			lines[s.Line-1] = ""
		}
	}
	return strings.Join(lines, "\n")
}

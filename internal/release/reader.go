package release

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Mistake is one thing that is wrong with a plan file, so that it cannot be
// understood. What is understood but unwise is a Finding.
type Mistake struct {
	File string
	Line int    // from 1
	Text string // what is wrong, and what would be right
}

func (m *Mistake) Error() string {
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
}

// longest is the longest duration that a plan may name.
const longest = 30 * 24 * time.Hour

// A reader walks the YAML of one plan file, notes the line of every value, and
// gathers all that is wrong.
type reader struct {
	file     string
	lines    map[string]int
	mistakes []*Mistake
}

// A field reads the value of one key, or one item of a list. path tells where it
// is: "steps[1].share".
type field func(n *yaml.Node, path string)

func (r *reader) wrong(line int, format string, args ...any) {
	r.mistakes = append(r.mistakes, &Mistake{r.file, line, fmt.Sprintf(format, args...)})
}

// err joins the mistakes in the order of their lines.
func (r *reader) err() error {
	slices.SortStableFunc(r.mistakes, func(a, b *Mistake) int { return cmp.Compare(a.Line, b.Line) })
	errs := make([]error, len(r.mistakes))
	for i, m := range r.mistakes {
		errs[i] = m
	}
	return errors.Join(errs...)
}

// document is the one document of the file, or nil.
func (r *reader) document(data []byte) *yaml.Node {
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF), err == nil && len(doc.Content) == 0:
		r.wrong(1, `the file is empty: want a plan, such as "plan: canary"`)
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	if err := dec.Decode(&more); err == nil {
		r.wrong(more.Line, "a second document begins: want one plan in a file")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
	return doc.Content[0]
}

// syntax notes an error of the YAML library with its line.
func (r *reader) syntax(err error) {
	line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, what, _ := strings.Cut(rest, ": ")
		if l, err := strconv.Atoi(number); err == nil {
			line, text = max(l, 1), what
		}
		// Of its parser's errors, unlike its scanner's, the library counts lines from 0.
		if strings.HasPrefix(what, "did not find expected") {
			line++
		}
	}
	r.wrong(line, "this is not YAML: %s", text)
}

// mapping reads a mapping by its fields.
func (r *reader) mapping(n *yaml.Node, path string, fields map[string]field) {
	n = target(n)
	if n.Kind != yaml.MappingNode {
		r.wrong(n.Line, "%swant keys and values: %s", said(path), strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := key.Value
		if path != "" {
			at = path + "." + key.Value
		}
		read, known := fields[key.Value]
		switch first, twice := r.lines[at]; {
		case !known:
			r.wrong(key.Line, "unknown key %q: %s", key.Value, didYouMean(key.Value, slices.Sorted(maps.Keys(fields))))
		case twice:
			r.wrong(key.Line, "%q is said twice, first in line %d", key.Value, first)
		default:
			r.lines[at] = key.Line
			read(target(value), at)
		}
	}
}

// list reads each item of a list. No value at all is an empty list.
func (r *reader) list(item field) field {
	return func(n *yaml.Node, path string) {
		switch {
		case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		case n.Kind != yaml.SequenceNode:
			r.wrong(n.Line, "%swant a list, such as [a, b]", said(path))
		default:
			for i, c := range n.Content {
				at := fmt.Sprintf("%s[%d]", path, i)
				r.lines[at] = c.Line
				item(target(c), at)
			}
		}
	}
}

// scalar reads one value with parse, whose error says what would be right.
func scalar[T any](r *reader, to *T, parse func(string) (T, error)) field {
	return func(n *yaml.Node, path string) {
		var err error
		if n.Kind != yaml.ScalarNode {
			_, err = parse("")
			r.wrong(n.Line, "%s%v", said(path), err)
			return
		}
		if *to, err = parse(n.Value); err != nil {
			r.wrong(n.Line, "%s%v", said(path), err)
		}
	}
}

func (r *reader) text(to *string) field        { return scalar(r, to, parseText) }
func (r *reader) percent(to *float64) field    { return scalar(r, to, parsePercent) }
func (r *reader) bake(to *time.Duration) field { return scalar(r, to, parseDuration) }

// target is what an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// said is the path as the beginning of a sentence.
func said(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

func parseText(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", errors.New("is empty: want a text")
	}
	return s, nil
}

func parsePercent(s string) (float64, error) {
	number, ok := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a percentage: want one such as 10%%", s)
	case !ok:
		return 0, fmt.Errorf("%s has no unit: write %s%%", s, s)
	case !(v > 0 && v <= 100):
		return 0, fmt.Errorf("%s is out of range: want above 0%% and at most 100%%", s)
	}
	return v, nil
}

func parseDuration(s string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(s, 64); err == nil && s != "0" {
		return 0, fmt.Errorf("%s has no unit: write %sm for minutes, %ss for seconds", s, s, s)
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration: want one such as 5m, 90s or 1h30m", s)
	case d < 0:
		return 0, fmt.Errorf("%s is below 0: want a duration such as 5m", s)
	case d > longest:
		return 0, fmt.Errorf("%s is too long: want at most %s", s, brief(longest))
	}
	return d, nil
}

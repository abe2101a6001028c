package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A reader knows where everything stands in one rehearsal.yaml, and collects all
// that is wrong with it.
type reader struct {
	ctx       context.Context
	file, dir string
	root      yaml.Node
	errs      []error
	untyped   map[int]bool // lines whose values could not be read
	opened    []string     // see Project.Files
}

// at is the way to a value: keys of mappings and indexes of lists.
type at []any

// key is the first key on the way.
func (p at) key() any {
	for _, step := range p {
		if _, ok := step.(string); ok {
			return step
		}
	}
	return "list"
}

// decode reads the file into f; empty is what to say where there is nothing in it. It
// reports whether there is anything to go on with.
func (r *reader) decode(data []byte, f any, empty string) bool {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	err := dec.Decode(&r.root)
	switch {
	case errors.Is(err, io.EOF), err == nil && len(r.root.Content) == 0:
		r.say(1, "the file is empty: %s", empty)
		return false
	case err != nil:
		r.syntax(err)
		return false
	}
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		r.say(more.Line, "a second document begins: want one in a file")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
	dec = yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var types *yaml.TypeError
	if err := dec.Decode(f); errors.As(err, &types) {
		for _, text := range types.Errors {
			line, text := cutLine(text)
			r.say(line, "%s", plain(text))
			r.untyped[line] = true
			if strings.HasPrefix(text, "mapping key") { // what else is in that mapping was not read
				return false
			}
		}
	} else if err != nil {
		r.syntax(err)
		return false
	}
	return true
}

// syntax notes an error of the YAML library.
func (r *reader) syntax(err error) {
	line, text := cutLine(strings.TrimPrefix(err.Error(), "yaml: "))
	if strings.HasPrefix(text, "did not find expected") {
		line++ // of its parser's errors, unlike its scanner's, the library counts lines from 0
	}
	if strings.Contains(text, "cannot start any token") {
		text += " (a tab? YAML is indented with spaces)"
	}
	r.say(max(line, 1), "this is not YAML: %s", text)
}

// cutLine takes "line 7: " off the front.
func cutLine(text string) (line int, rest string) {
	if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 0 {
		return 0, text
	}
	_, rest, _ = strings.Cut(text, ": ")
	return line, rest
}

var (
	unknownKey = regexp.MustCompile(`(?s)^field (.+) not found in type (\S+)$`)
	wrongType  = regexp.MustCompile("(?s)^cannot unmarshal !!(\\w+)(?: `(.*)`)? into (\\S+)$")
)

// plain says what the YAML library says, without words of Go.
func plain(text string) string {
	if m := unknownKey.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("unknown key %q: here may be %s", m[1], strings.Join(keysOf(m[2]), ", "))
	}
	m := wrongType.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	is := map[string]string{"seq": "a list", "map": "a mapping"}[m[1]]
	if is == "" {
		is = fmt.Sprintf("%q", m[2])
	}
	want := map[string]string{"string": "text", "float64": "a number", "bool": "true or false", "stage.FailureKind": "a kind of failure", "stage.DependencyKind": "a kind of dependency"}[m[3]]
	switch {
	case strings.HasPrefix(m[3], "[]"):
		want = "a list, such as [a, b]"
	case want == "":
		want = "a mapping, such as {key: value}"
		if keys := keysOf(m[3]); len(keys) > 0 {
			want = "a mapping of " + strings.Join(keys, ", ")
		}
	}
	return fmt.Sprintf("want %s, not %s", want, is)
}

// keysOf is the keys that a mapping of the Go type with that name may have.
func keysOf(name string) (keys []string) {
	for _, v := range []any{yamlFile{}, yamlVersion{}, yamlCapacity{}, yamlBuildKeys{}, yamlFailure{}, yamlImage{}, yamlHealth{}, yamlDependency{}, yamlParts{}, yamlStub{}, yamlAnswers{}, yamlAnswer{}, yamlMigrations{}, yamlPhrase{}, yamlTraffic{}, yamlRequest{}, yamlMonitoring{}, yamlModel{}, yamlTolerance{}, yamlObjective{}, yamlProduction{}, yamlPipeline{}} {
		if t := reflect.TypeOf(v); t.String() == name {
			for i := range t.NumField() {
				keys = append(keys, t.Field(i).Tag.Get("yaml"))
			}
		}
	}
	return keys
}

// find is the line of a value's key or item, or of the last there is on the way to
// it (0 for none), and whether the value itself is there.
func (r *reader) find(path at) (line int, there bool) {
	if len(r.root.Content) == 0 {
		return 0, false
	}
	node := r.root.Content[0]
	for _, step := range path {
		for node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		var next *yaml.Node
		switch step := step.(type) {
		case string:
			for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
				if node.Content[i].Value == step {
					line, next = node.Content[i].Line, node.Content[i+1]
				}
			}
		case int:
			if node.Kind == yaml.SequenceNode && step < len(node.Content) {
				next = node.Content[step]
				line = next.Line
			}
		}
		if next == nil {
			return line, false
		}
		node = next
	}
	return line, true
}

// fail notes what is wrong with the value at path, and what would be right.
func (r *reader) fail(path at, format string, args ...any) {
	line, _ := r.find(path)
	if !r.untyped[line] || line == 0 { // else it is told already
		r.say(line, format, args...)
	}
}

func (r *reader) say(line int, format string, args ...any) {
	where := r.file
	if line > 0 {
		where = fmt.Sprintf("%s:%d", r.file, line)
	}
	r.add(fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

func (r *reader) add(err error) { r.errs = append(r.errs, err) }

// path is where the name in the file leads.
func (r *reader) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.dir, name)
}

// open reads the file that the value at path names; what says what belongs into it.
func (r *reader) open(path at, name, what string) (file string, data []byte, ok bool) {
	file = r.path(name)
	if key := path.key(); key != "compose" && key != "production" && key != "waivers" && key != "pipeline" {
		r.opened = append(r.opened, file)
	}
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.fail(path, "%v: there is no file %s: want %s", path.key(), file, what)
	case err != nil:
		r.fail(path, "%v: %s cannot be read (%v): want %s", path.key(), file, reason(err), what)
	}
	return file, data, err == nil
}

// folder is where the value at path leads, which must be a folder.
func (r *reader) folder(path at, name, what string) string {
	dir := r.path(name)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		r.fail(path, "%v: there is no folder %s: want %s", path.key(), dir, what)
	}
	return dir
}

// reason is err without the operation and the path, which the message has already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

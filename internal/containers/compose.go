package containers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// A ComposeError is one thing that is wrong with a compose file.
type ComposeError struct {
	File string // as it was given
	Line int    // 0 where it cannot be told
	Text string // what is wrong, and what would be right
}

func (e *ComposeError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// LoadCompose reads a compose file as the description of a stage. Its error
// joins a *ComposeError for each thing that is wrong, among them each field that a
// stage would not honour: nothing is dropped in silence.
//
// Variables in the file (${TAG}) come from the .env file beside it, never from the
// environment of this process: that may hold what belongs to production.
func LoadCompose(ctx context.Context, path string) (*types.Project, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &ComposeError{path, 0, "there is no such file: name the compose file that describes the service"}
	case err != nil:
		return nil, &ComposeError{path, 0, err.Error()}
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	f := composeFile{path: path}
	// A file that is no YAML has no lines to look up; the loader says why.
	_ = yaml.Unmarshal(data, &f.root)

	environment, err := dotenv.GetEnvFromFile(map[string]string{}, dotFile(folder))
	if err != nil {
		return nil, &ComposeError{filepath.Join(filepath.Dir(path), ".env"), 0, err.Error()}
	}
	details := types.ConfigDetails{
		WorkingDir:  folder,
		ConfigFiles: []types.ConfigFile{{Filename: path, Content: data}},
		Environment: environment,
	}
	project, err := loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		o.SetProjectName(loader.NormalizeProjectName(filepath.Base(folder)), false)
		o.Interpolate = &interpolation.Options{
			Substitute:      substitute,
			LookupValue:     details.LookupEnv,
			TypeCastMapping: o.Interpolate.TypeCastMapping,
		}
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, f.explain(err)
	}
	project.ComposeFiles = []string{path}
	if err := f.check(project); err != nil {
		return nil, err
	}
	return project, nil
}

// dotFile is the .env file of the folder, if there is one.
func dotFile(folder string) []string {
	name := filepath.Join(folder, ".env")
	if _, err := os.Stat(name); err != nil {
		return nil
	}
	return []string{name}
}

// plainVariable is $NAME or ${NAME}, without a default; $$ is a plain dollar.
var plainVariable = regexp.MustCompile(`\$\$|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// substitute is compose's own substitution, except that a variable that is set
// nowhere and has no default is an error instead of nothing.
func substitute(text string, lookup template.Mapping) (string, error) {
	for _, m := range plainVariable.FindAllStringSubmatch(text, -1) {
		if name := m[1] + m[2]; name != "" {
			if _, set := lookup(name); !set {
				return "", fmt.Errorf("variable %s is not set: set it in the .env file beside the compose file, or give it "+
					"a default, ${%s:-value} (a rehearsal does not read the shell's environment)", name, name)
			}
		}
	}
	return template.Substitute(text, lookup)
}

// composeFile finds the lines that errors speak of.
type composeFile struct {
	path string
	root yaml.Node
}

// line is the line of the element with that path of keys, or of the last of its
// parents that there is; 0 for none.
func (f *composeFile) line(keys ...string) int {
	if len(f.root.Content) == 0 {
		return 0
	}
	node, line := f.root.Content[0], 0
	for _, key := range keys {
		at, value := lookup(node, key)
		if at == nil {
			break
		}
		node, line = value, at.Line
	}
	return line
}

// lineIn is the line of the first value that contains text under that key of a service,
// for errors that do not say of which; 0 for none.
func (f *composeFile) lineIn(key, text string) int {
	if len(f.root.Content) == 0 {
		return 0
	}
	_, services := lookup(f.root.Content[0], "services")
	if services == nil {
		return 0
	}
	for i := 1; i < len(services.Content); i += 2 {
		if _, value := lookup(services.Content[i], key); value != nil {
			if line := lineWith(value, text); line > 0 {
				return line
			}
		}
	}
	return 0
}

// lineWith is the line of the first scalar of a tree that contains text; 0 for none.
// Aliases are not followed, so that it ends.
func lineWith(node *yaml.Node, text string) int {
	if node.Kind == yaml.ScalarNode && strings.Contains(node.Value, text) {
		return node.Line
	}
	for _, inside := range node.Content {
		if line := lineWith(inside, text); line > 0 {
			return line
		}
	}
	return 0
}

// lookup finds a key of a mapping, an index of a sequence, or the item KEY or
// KEY=value of one.
func lookup(node *yaml.Node, key string) (at, value *yaml.Node) {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind { //nolint:exhaustive // nothing is inside of the others
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
		for _, item := range node.Content {
			if name, _, _ := strings.Cut(item.Value, "="); name == key && item.Kind == yaml.ScalarNode {
				return item, item
			}
		}
	}
	return nil, nil
}

var (
	// The parser counts lines from 0, what comes after it from 1.
	yamlParser   = regexp.MustCompile(`line (\d+), column \d+: ([^:]+)$`)
	yamlMeaning  = regexp.MustCompile(`line (\d+): ([^:]+)$`)
	elementPath  = regexp.MustCompile(`'?\b((?:services|networks|volumes|configs|secrets)(?:\.[\w-]+|\[[\w-]+\])+)\.?'?:?`)
	namedService = regexp.MustCompile(`service "([^"]+)"(?: (depends on|refers to))?`)
	cycle        = regexp.MustCompile(`dependency cycle detected: (\S+)`)
	noEnvFile    = regexp.MustCompile(`^env file (.+) not found: `)
	wrongPort    = regexp.MustCompile(`^(?:invalid (?:container|host)Port|Invalid (?:container|host)Port|invalid (?:proto|port|IP|ip)[^:]*): "?([^"\s]+)`)
	unknownField = regexp.MustCompile(`^(\S+) false schema$`)
)

// explain turns an error of the loader into what is wrong with which lines.
func (f *composeFile) explain(err error) error {
	text := strings.ReplaceAll(err.Error(), ": invalid compose project", "")
	text = strings.TrimPrefix(text, "validating "+f.path+": ")
	text = strings.TrimPrefix(text, "failed to parse "+f.path+": ")
	if rest, many := strings.CutPrefix(text, "decoding failed due to the following error(s):\n\n"); many {
		var all []error
		for one := range strings.Lines(rest) {
			if one = strings.TrimSpace(one); one != "" {
				all = append(all, f.locate(one))
			}
		}
		return errors.Join(all...)
	}
	return f.locate(strings.Join(strings.Fields(text), " "))
}

// locate finds the line that one message of the loader is about.
func (f *composeFile) locate(text string) error {
	e := &ComposeError{File: f.path, Text: text}
	switch {
	case strings.Contains(text, "yaml: "):
		why := text[strings.Index(text, "yaml: ")+len("yaml: "):]
		if m := yamlParser.FindStringSubmatch(text); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
			e.Line, why = e.Line+1, m[2]
		} else if m := yamlMeaning.FindStringSubmatch(text); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
			why = m[2]
		}
		e.Text = "this is not YAML: " + why
	case text == "empty compose file":
		e.Text = "the file is empty: it must describe services"
	case elementPath.MatchString(text):
		keys := strings.FieldsFunc(elementPath.FindStringSubmatch(text)[1], func(r rune) bool { return strings.ContainsRune(".[]", r) })
		e.Line = f.line(keys...)
		if m := unknownField.FindStringSubmatch(text); m != nil {
			e.Text = fmt.Sprintf("%s: compose knows no %q: is it misspelt?", strings.Join(keys, "."), keys[len(keys)-1])
		}
	case noEnvFile.MatchString(text):
		name := noEnvFile.FindStringSubmatch(text)[1]
		e.Line = f.lineIn("env_file", filepath.Base(name))
		e.Text = fmt.Sprintf("env_file: there is no file %s", name)
	case wrongPort.MatchString(text):
		e.Line = f.lineIn("ports", wrongPort.FindStringSubmatch(text)[1])
		e.Text = "ports: " + text
	case cycle.MatchString(text):
		e.Line = f.line("services", cycle.FindStringSubmatch(text)[1], "depends_on")
	case namedService.MatchString(text):
		m := namedService.FindStringSubmatch(text)
		keys := []string{"services", m[1]}
		switch {
		case m[2] == "depends on":
			keys = append(keys, "depends_on")
		case strings.Contains(text, "undefined volume"):
			keys = append(keys, "volumes")
		case strings.Contains(text, "undefined network"):
			keys = append(keys, "networks")
		}
		e.Line = f.line(keys...)
	}
	return e
}

// check reports what the loader accepts and a stage would not honour.
func (f *composeFile) check(p *types.Project) error {
	if len(p.Services) == 0 {
		return &ComposeError{f.path, f.line("services"), "it describes no service"}
	}
	var all []*ComposeError
	for name, service := range p.Services {
		for _, u := range unsupportedIn(p, service) {
			keys := append([]string{"services", name}, u.keys...)
			all = append(all, &ComposeError{f.path, f.line(keys...), fmt.Sprintf("service %q: %s", name, u.why)})
		}
	}
	for _, u := range unsupportedShared(p) {
		all = append(all, &ComposeError{f.path, f.line(u.keys...), u.why})
	}
	slices.SortFunc(all, func(a, b *ComposeError) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Text, b.Text)
	})
	errs := make([]error, len(all))
	for i, e := range all {
		errs[i] = e
	}
	return errors.Join(errs...)
}

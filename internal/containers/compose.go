package containers

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// ComposeOptions says what of a compose project is read.
type ComposeOptions struct {
	// Files are read in this order, a later one over an earlier one, as by
	// `docker compose -f a.yaml -f b.yaml`. No other is read, compose.override.yaml
	// neither.
	Files    []string
	Profiles []string // services that have profiles are left out unless one of theirs is named
}

// LoadCompose reads one compose file, and no service that has a profile: see
// LoadComposeFiles.
func LoadCompose(ctx context.Context, path string) (*types.Project, error) {
	return LoadComposeFiles(ctx, ComposeOptions{Files: []string{path}})
}

// LoadComposeFiles reads a compose project as the description of a stage. Its error
// joins a *ComposeError for each thing that is wrong, among them each field that a
// stage would not honour; ComposeNotes says what else a stage does otherwise: nothing
// is dropped in silence.
//
// Variables in the files (${TAG}) come from the .env file beside the first one, never
// from the environment of this process: that may hold what belongs to production.
func LoadComposeFiles(ctx context.Context, o ComposeOptions) (*types.Project, error) {
	if len(o.Files) == 0 {
		return nil, errors.New("no compose file is named: name the one that describes the service")
	}
	var config []types.ConfigFile
	for _, path := range o.Files {
		data, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, &ComposeError{path, 0, "there is no such file: name the compose file that describes the service"}
		case err != nil:
			return nil, &ComposeError{path, 0, err.Error()}
		}
		config = append(config, types.ConfigFile{Filename: path, Content: data})
	}
	folder, err := filepath.Abs(filepath.Dir(o.Files[0]))
	if err != nil {
		return nil, err
	}
	environment, err := dotenv.GetEnvFromFile(map[string]string{}, dotFile(folder))
	if err != nil {
		return nil, &ComposeError{filepath.Join(filepath.Dir(o.Files[0]), ".env"), 0, withoutValues(err.Error())}
	}
	c := composeReader{ComposeOptions: o, folder: folder, environment: environment, source: readComposeSource(o.Files)}
	return c.read(ctx, config)
}

// composeReader reads one compose project.
type composeReader struct {
	ComposeOptions
	folder      string // of the project, absolute
	environment types.Mapping
	source      *composeSource
}

// composeMistakes is how many mistakes are told at once.
const composeMistakes = 30

// read reads the files. The loader ends at the first thing that it does not like: what
// that is about is taken out and the rest read again, so that all is told at once.
func (c *composeReader) read(ctx context.Context, config []types.ConfigFile) (*types.Project, error) {
	var wrong []*ComposeError
	var gone [][]string // what was taken out
	for {
		p, err := c.load(ctx, config)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			return p, inOrder(append(wrong, c.check(p, gone)...))
		}
		again := false
		for _, one := range c.explain(err) {
			if !followsFrom(one.keys, gone) {
				wrong = append(wrong, one.ComposeError)
			}
			if len(wrong) < composeMistakes && len(gone) < 2*composeMistakes && takeOut(config, one.keys) {
				gone, again = append(gone, one.keys), true
			}
		}
		if !again {
			return nil, inOrder(wrong)
		}
	}
}

// load is the loader of docker compose, without this process's environment.
func (c *composeReader) load(ctx context.Context, config []types.ConfigFile) (*types.Project, error) {
	readRawEnvFiles()
	details := types.ConfigDetails{WorkingDir: c.folder, ConfigFiles: slices.Clone(config), Environment: c.environment.Clone()}
	p, err := loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		// A folder's name may have nothing that a project's name may have.
		o.SetProjectName(cmp.Or(loader.NormalizeProjectName(filepath.Base(c.folder)), "rehearsal"), false)
		o.Profiles = c.Profiles
		o.Interpolate = &interpolation.Options{
			Substitute:      substitute,
			LookupValue:     details.LookupEnv,
			TypeCastMapping: o.Interpolate.TypeCastMapping,
		}
	})
	if err != nil {
		return nil, err
	}
	p.ComposeFiles = slices.Clone(c.Files)
	completeAsCompose(p)
	return p, nil
}

// completeAsCompose adds what docker compose adds when it runs a project.
func completeAsCompose(p *types.Project) {
	for name, s := range p.Services {
		for on := range s.DependsOn {
			if _, there := p.Services[on]; !there { // not required, else the loader had refused it
				s.DependsOn = maps.Clone(s.DependsOn)
				delete(s.DependsOn, on)
			}
		}
		if d := s.Deploy; d != nil && d.RestartPolicy != nil && s.Restart == "" {
			s.Restart = restartOf(*d.RestartPolicy)
		}
		if s.Image == "" && s.Build != nil {
			s.Image = projectImage(p.Name, name)
		}
		p.Services[name] = s
	}
	for name, o := range p.Secrets {
		if value, set := p.Environment[o.Environment]; set {
			o.Content, o.Environment = value, ""
			p.Secrets[name] = o
		}
	}
	for name, o := range p.Configs {
		if value, set := p.Environment[o.Environment]; set {
			o.Content, o.Environment = value, ""
			p.Configs[name] = o
		}
	}
}

// restartOf is what deploy.restart_policy means in the words of restart.
func restartOf(p types.RestartPolicy) string {
	switch {
	case p.Condition == "none":
		return types.RestartPolicyNo
	case p.Condition == "on-failure" && p.MaxAttempts != nil:
		return fmt.Sprintf("%s:%d", types.RestartPolicyOnFailure, *p.MaxAttempts)
	case p.Condition == "on-failure":
		return types.RestartPolicyOnFailure
	}
	return types.RestartPolicyAlways
}

// readRawEnvFiles teaches the loader env_file's format raw, as docker compose does.
var readRawEnvFiles = sync.OnceFunc(func() {
	dotenv.RegisterFormat("raw", func(r io.Reader, _ string, into map[string]string, lookup func(string) (string, bool)) error {
		lines := bufio.NewScanner(r)
		for n := 1; lines.Scan(); n++ {
			line := strings.TrimSpace(lines.Text())
			if line == "" || line[0] == '#' {
				continue
			}
			name, value, given := strings.Cut(line, "=")
			if !given {
				if value, given = lookup(name); !given {
					continue // lineWithoutValue tells it
				}
			}
			into[strings.TrimSpace(name)] = value
		}
		return lines.Err()
	})
})

// takeOut takes an element out of the files, and says whether it was there. What is
// more than one element, such as a whole service, others may depend on: it stays.
func takeOut(config []types.ConfigFile, keys []string) bool {
	if len(keys) == 0 || len(keys) == 2 {
		return false
	}
	taken := false
	for i, c := range config {
		var root yaml.Node
		if yaml.Unmarshal(c.Content, &root) != nil || len(root.Content) == 0 {
			continue
		}
		node := root.Content[0]
		for _, key := range keys[:len(keys)-1] {
			if _, node = lookup(node, key); node == nil {
				break
			}
		}
		if node == nil {
			continue
		}
		for node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		at, _ := lookup(node, keys[len(keys)-1])
		j := slices.Index(node.Content, at)
		switch {
		case at == nil || j < 0:
			continue
		case node.Kind == yaml.MappingNode && len(keys) == 3 && (at.Value == "image" || at.Value == "extends"):
			// A service without an image would be the next mistake.
			node.Content = slices.Delete(node.Content, j, j+2)
			if image, _ := lookup(node, "image"); image == nil {
				node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "image"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "taken-out"})
			}
		case node.Kind == yaml.MappingNode:
			node.Content = slices.Delete(node.Content, j, j+2)
		default:
			node.Content = slices.Delete(node.Content, j, j+1)
		}
		if data, err := yaml.Marshal(&root); err == nil {
			config[i].Content, taken = data, true
		}
	}
	return taken
}

// followsFrom says whether what is wrong with an element may be so only because
// something inside was taken out.
func followsFrom(keys []string, gone [][]string) bool {
	return len(keys) > 0 && slices.ContainsFunc(gone, func(g []string) bool {
		return len(g) >= len(keys) && slices.Equal(g[:len(keys)], keys)
	})
}

// inOrder joins errors in the order in which people read the files.
func inOrder(all []*ComposeError) error {
	slices.SortStableFunc(all, func(a, b *ComposeError) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, strings.Compare(a.Text, b.Text))
	})
	errs := make([]error, len(all))
	for i, e := range all {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// dotFile is the .env file of the folder, if there is one.
func dotFile(folder string) []string {
	name := filepath.Join(folder, ".env")
	if _, err := os.Stat(name); err != nil {
		return nil
	}
	return []string{name}
}

// substitute is compose's own substitution, except that a variable that is set
// nowhere and has no default is an error instead of nothing.
func substitute(text string, lookup template.Mapping) (string, error) {
	if name := unsetIn(text, lookup); name != "" {
		return "", fmt.Errorf("variable %s is not set: set it in the .env file beside the compose file, or give it "+
			"a default, ${%s:-value} (a rehearsal does not read the shell's environment)", name, name)
	}
	return template.Substitute(text, lookup)
}

// variableIn is what follows a dollar: a name, or a name in braces with what to take
// instead. A second dollar makes the first a plain one.
var variableIn = regexp.MustCompile(`^(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(:?[-+?])?)`)

// unsetIn is the first variable of text that is needed, has no default and is set
// nowhere; "" for none. In ${NAME:-other}, other is not needed where NAME has a value.
func unsetIn(text string, lookup template.Mapping) string {
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 {
			return ""
		}
		text = text[i+1:]
		m := variableIn.FindStringSubmatch(text)
		if m == nil {
			continue // the library says what is wrong with it
		}
		if m[2] != "" && m[3] == "" && !strings.HasPrefix(text[len(m[0]):], "}") {
			continue // the same
		}
		value, set := lookup(m[1] + m[2])
		rest := text[len(m[0]):]
		if m[2] == "" || m[3] == "" {
			if name := m[1] + m[2]; name != "" && !set {
				return name
			}
			text = rest
			continue
		}
		end := closingBrace(rest)
		has := set && (m[3][0] != ':' || value != "")
		if needed := m[3][len(m[3])-1] == '+' == has; needed {
			if name := unsetIn(rest[:end], lookup); name != "" {
				return name
			}
		}
		text = rest[end:]
	}
}

// closingBrace is where the brace ends that was open before text; its length if nowhere.
func closingBrace(text string) int {
	open := 1
	for i := range len(text) {
		switch text[i] {
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return len(text)
}

var (
	// The parser counts lines from 0, what comes after it from 1.
	yamlParser    = regexp.MustCompile(`line (\d+), column \d+: ([^:]+)$`)
	yamlMeaning   = regexp.MustCompile(`line (\d+): ([^:]+)$`)
	elementPath   = regexp.MustCompile(`'?\b((?:services|networks|volumes|configs|secrets)(?:\.[\w-]+|\[[\w-]+\])+)\.?'?:?`)
	namedService  = regexp.MustCompile(`service "([^"]+)"`)
	undefined     = regexp.MustCompile(`undefined (service|volume|network|secret|config) (\S+)`)
	cannotOpen    = regexp.MustCompile(`^(?:open|stat|lstat) (.+): no such file or directory`)
	noBase        = regexp.MustCompile(`^cannot extend service "([^"]+)" in (.+): service "([^"]+)" not found`)
	extendsCircle = regexp.MustCompile(`^Circular reference: (\S+) in`)
	unknownTop    = regexp.MustCompile(`^\s*additional properties '([^']+)' not allowed$`)
	cycle         = regexp.MustCompile(`dependency cycle detected: (\S+)`)
	noEnvFile     = regexp.MustCompile(`^env file (.+) not found: `)
	wrongPort     = regexp.MustCompile(`^(?:invalid (?:container|host)Port|Invalid (?:container|host)Port|invalid (?:proto|port|IP|ip)[^:]*): "?([^"\s]+)`)
	unknownField  = regexp.MustCompile(`^(\S+) false schema$`)
)

// A loadMistake is an error of the loader, and the keys of what it is about: none where
// that cannot be told.
type loadMistake struct {
	*ComposeError
	keys []string
}

// explain turns an error of the loader into what is wrong with which lines.
func (c *composeReader) explain(err error) []loadMistake {
	text := strings.ReplaceAll(err.Error(), ": invalid compose project", "")
	if rest, many := strings.CutPrefix(text, "decoding failed due to the following error(s):\n\n"); many {
		var all []loadMistake
		for one := range strings.Lines(rest) {
			if one = strings.TrimSpace(one); one != "" {
				all = append(all, c.locate(one))
			}
		}
		return all
	}
	return []loadMistake{c.locate(strings.Join(strings.Fields(text), " "))}
}

// withoutValues leaves out what the loader quotes of a value: it may be a secret.
func withoutValues(text string) string {
	for _, before := range []string{"with another $.", "in variable name", "unterminated quoted value"} {
		if said, _, quotes := strings.Cut(text, before); quotes {
			return said + before
		}
	}
	return text
}

// locate finds the line that one message of the loader is about.
func (c *composeReader) locate(text string) loadMistake {
	text = withoutValues(text)
	about := c.source.mentioned(text)
	if about == nil {
		about = c.source.named[0]
	}
	for _, name := range []string{about.path, about.abs} {
		text = strings.TrimPrefix(text, "validating "+name+": ")
		text = strings.TrimPrefix(text, "failed to parse "+name+": ")
	}
	m := loadMistake{ComposeError: &ComposeError{File: about.path, Text: text}}
	at := func(p composePlace) { m.File, m.Line = p.file, p.line }
	in := func(keys ...string) {
		if m.keys = keys; about == c.source.named[0] {
			at(c.source.find(keys...)) // a merged whole is checked under the first file's name
			return
		}
		at(c.source.findIn(about, keys))
	}
	match := func(r *regexp.Regexp) []string { return r.FindStringSubmatch(text) }
	switch {
	case strings.HasPrefix(text, "yaml: "):
		why := strings.TrimPrefix(text, "yaml: ")
		if g := yamlParser.FindStringSubmatch(text); g != nil {
			m.Line, _ = strconv.Atoi(g[1])
			m.Line, why = m.Line+1, g[2]
		} else if g := yamlMeaning.FindStringSubmatch(text); g != nil {
			m.Line, _ = strconv.Atoi(g[1])
			why = g[2]
		}
		m.Text = "this is not YAML: " + why
	case text == "empty compose file":
		m.Text = "the file is empty: it must describe services"
	case match(cannotOpen) != nil:
		name := match(cannotOpen)[1]
		where := c.source.with("include", filepath.Base(name))
		if what := "include"; where.line == 0 {
			what, where = "extends", c.source.with("extends", filepath.Base(name))
			m.Text = fmt.Sprintf("%s: there is no file %s", what, name)
		} else {
			m.Text = fmt.Sprintf("%s: there is no file %s", what, name)
		}
		if strings.Contains(name, "://") || strings.Contains(name, ":/") {
			m.Text = fmt.Sprintf("only files of this machine can be included and extended: get a copy of %s, and name that", filepath.Base(name))
		}
		at(where)
	case match(noBase) != nil:
		g := match(noBase)
		m.Text = fmt.Sprintf("service %q extends the service %q, which there is not in %s", g[1], g[3], filepath.Base(g[2]))
		in("services", g[1], "extends")
	case match(extendsCircle) != nil:
		m.Text = "services that extend each other in a circle: " + strings.TrimPrefix(text, "Circular reference: ")
		in("services", match(extendsCircle)[1], "extends")
	case strings.HasPrefix(text, "include cycle detected"):
		m.Text = "files that include each other in a circle: " + strings.TrimPrefix(text, "include cycle detected: ")
		in("include")
		m.keys = nil
	case match(unknownTop) != nil:
		name := match(unknownTop)[1]
		m.Text = fmt.Sprintf("compose knows no %q: is it misspelt?", name)
		in(name)
	case strings.HasPrefix(text, "unsupported env_file format"):
		at(c.source.with("env_file", strings.Trim(text[strings.LastIndex(text, " ")+1:], `"`)))
	case strings.HasPrefix(text, "healthcheck.test must start"):
		if name := c.source.oddHealthcheck(); name != "" {
			in("services", name, "healthcheck", "test")
		}
	case elementPath.MatchString(text):
		keys := strings.FieldsFunc(match(elementPath)[1], func(r rune) bool { return strings.ContainsRune(".[]", r) })
		in(keys...)
		if unknownField.MatchString(text) {
			m.Text = fmt.Sprintf("%s: compose knows no %q: is it misspelt?", strings.Join(keys, "."), keys[len(keys)-1])
		}
	case match(noEnvFile) != nil:
		name := match(noEnvFile)[1]
		at(c.source.with("env_file", filepath.Base(name)))
		m.Text = fmt.Sprintf("env_file: there is no file %s", name)
	case match(wrongPort) != nil:
		at(c.source.with("ports", match(wrongPort)[1]))
		m.Text = "ports: " + text
	case match(cycle) != nil:
		in("services", match(cycle)[1], "depends_on")
	case match(namedService) != nil:
		g := match(namedService)
		keys := []string{"services", g[1]}
		if g := match(undefined); g != nil {
			if s := c.source.find("services", strings.Trim(g[2], `"`)); g[1] == "service" && s.depth == 2 {
				m.Text += ": it has profiles, so name one of them in rehearsal.yaml, profiles: [...], or let depends_on say required: false"
			}
			keys = append(keys, map[string]string{"service": "depends_on", "volume": "volumes", "network": "networks", "secret": "secrets", "config": "configs"}[g[1]])
		}
		in(keys...)
	}
	return m
}

// oddHealthcheck is a service whose health check begins with no word that compose knows.
func (s *composeSource) oddHealthcheck() string {
	for _, f := range s.all {
		services := f.at("services")
		for i := 0; services != nil && i+1 < len(services.Content); i += 2 {
			name := services.Content[i].Value
			test := f.at("services", name, "healthcheck", "test")
			if test != nil && test.Kind == yaml.SequenceNode && len(test.Content) > 0 && !slices.Contains([]string{"CMD", "CMD-SHELL", "NONE"}, test.Content[0].Value) {
				return name
			}
		}
	}
	return ""
}

// check is what the loader accepts and a stage would not honour, but for what follows
// from something that was taken out.
func (c *composeReader) check(p *types.Project, gone [][]string) (all []*ComposeError) {
	if len(p.Services) == 0 && len(p.DisabledServices) > 0 {
		return []*ComposeError{c.source.find("services").says("it describes only services that have profiles: name one of the profiles in rehearsal.yaml, profiles: [...]")}
	}
	if len(p.Services) == 0 {
		return []*ComposeError{c.source.find("services").says("it describes no service")}
	}
	add := func(about string, u unsupported, keys ...string) {
		if !followsFrom(keys, gone) {
			all = append(all, c.source.find(keys...).says(about+u.why))
		}
	}
	for name, service := range p.Services {
		for _, u := range unsupportedIn(p, service) {
			add(fmt.Sprintf("service %q: ", name), u, append([]string{"services", name}, u.keys...)...)
		}
		all = append(all, c.withoutValue(service)...)
	}
	for _, u := range unsupportedShared(p) {
		add("", u, u.keys...)
	}
	return all
}

// withoutValue is the lines of a service's env_files that name a variable without a
// value, which docker compose would take from the shell, or put in one that is not set.
func (c *composeReader) withoutValue(s types.ServiceConfig) (all []*ComposeError) {
	for _, e := range s.EnvFiles {
		data, err := os.ReadFile(e.Path)
		if err != nil {
			continue // one that must be there is told by the loader
		}
		n := 0
		for line := range strings.Lines(string(data)) {
			n++
			name := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "export "))
			if _, given := s.Environment[name]; !given && plainName.MatchString(name) {
				all = append(all, &ComposeError{c.shown(e.Path), n, fmt.Sprintf("%s has no value: give it one, here or in the .env file beside the "+
					"compose file (a rehearsal does not pass the shell's environment on)", name)})
			}
			if m := assignment.FindStringSubmatch(name); m != nil && e.Format == "" {
				unset := unsetIn(strings.ReplaceAll(m[1], `\$`, ""), func(name string) (string, bool) {
					if v := s.Environment[name]; v != nil {
						return *v, true
					}
					return c.environment.Resolve(name)
				})
				if unset != "" {
					all = append(all, &ComposeError{c.shown(e.Path), n, fmt.Sprintf("variable %s is not set, so nothing would stand in its place: set it in the "+
						".env file beside the compose file, or put a value that has a dollar into single quotes", unset)})
				}
			}
		}
	}
	return all
}

// assignment is a variable with a value in which others are put in: one that is not in
// single quotes. What comes after # is none of it.
var assignment = regexp.MustCompile(`^[A-Za-z_][\w.]*\s*[=:]\s*((?:[^'\s#]|\S#)(?:[^#]|\S#)*)`)

// plainName is a variable's name alone on its line.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// shown is a path of the project as people are told: as they named the compose file.
func (c *composeReader) shown(path string) string {
	if rel, err := filepath.Rel(c.folder, path); err == nil {
		return filepath.Join(filepath.Dir(c.Files[0]), rel)
	}
	return path
}

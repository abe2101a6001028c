package containers

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// composeSource is the files in which a compose project is written, those that they
// include and extend too: where an error speaks of stands in one of them.
type composeSource struct {
	named []*composeFile          // as they were given: a later one goes before an earlier one
	all   map[string]*composeFile // by absolute path
}

// composeFile is one of them.
type composeFile struct {
	path   string // as people are told
	abs    string
	folder string // that its relative names are relative to, as people are told
	root   yaml.Node
}

// composePlace is where something stands.
type composePlace struct {
	file  string
	line  int // 0 for none
	depth int // how many of the keys that were looked for were found
}

func (p composePlace) says(text string) *ComposeError { return &ComposeError{p.file, p.line, text} }

// readComposeSource reads the files of a project; one that is in no file is as one in an
// empty compose.yaml.
func readComposeSource(files []string) *composeSource {
	if len(files) == 0 {
		return &composeSource{named: []*composeFile{{path: "compose.yaml"}}, all: map[string]*composeFile{}}
	}
	s := &composeSource{all: map[string]*composeFile{}}
	for _, path := range files {
		// One folder is the project's, whose first file it is in.
		s.named = append(s.named, s.open(path, filepath.Dir(files[0])))
	}
	return s
}

// open reads a file, and what it includes and extends. One that cannot be read is
// empty: the loader says why.
func (s *composeSource) open(path, folder string) *composeFile {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	if f, ok := s.all[abs]; ok {
		return f
	}
	f := &composeFile{path: path, abs: abs, folder: folder}
	s.all[abs] = f
	if data, err := os.ReadFile(path); err == nil {
		_ = yaml.Unmarshal(data, &f.root) // what is no YAML has no lines to look up
	}
	for _, i := range f.includes() {
		for _, one := range i.files {
			s.open(one, i.folder)
		}
	}
	if services := f.at("services"); services != nil && services.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(services.Content); i += 2 {
			if _, file := f.extends(services.Content[i].Value); file != "" {
				s.open(file, filepath.Dir(file))
			}
		}
	}
	return f
}

// find is where the element with that path of keys stands, or the last of its parents
// that there is.
func (s *composeSource) find(keys ...string) composePlace {
	best := composePlace{file: s.named[0].path}
	for _, f := range slices.Backward(s.named) {
		if at := s.findIn(f, keys); at.depth > best.depth {
			best = at
		}
	}
	return best
}

// findIn looks into a file, into what the service extends, and into what the file
// includes.
func (s *composeSource) findIn(f *composeFile, keys []string) composePlace {
	return s.search(f, keys, map[string]bool{})
}

func (s *composeSource) search(f *composeFile, keys []string, seen map[string]bool) composePlace {
	best := f.place(keys)
	been := f.abs + "\x00" + strings.Join(keys[:min(2, len(keys))], "\x00")
	if seen[been] || best.depth == len(keys) {
		return best
	}
	seen[been] = true
	if best.depth >= 2 && keys[0] == "services" {
		if name, file := f.extends(keys[1]); name != "" {
			from := f
			if file != "" {
				from = s.open(file, filepath.Dir(file))
			}
			if at := s.search(from, append([]string{"services", name}, keys[2:]...), seen); at.depth > best.depth {
				best = at
			}
		}
	}
	for _, i := range f.includes() {
		for _, one := range slices.Backward(i.files) {
			if at := s.search(s.open(one, i.folder), keys, seen); at.depth > best.depth {
				best = at
			}
		}
	}
	return best
}

// mentioned is the file that a message of the loader names; nil for none.
func (s *composeSource) mentioned(text string) *composeFile {
	var found *composeFile
	for _, f := range s.all {
		if (strings.Contains(text, f.abs) || strings.Contains(text, f.path+": ")) && (found == nil || len(f.abs) > len(found.abs)) {
			found = f
		}
	}
	return found
}

// with is where a value that contains text stands, below that key of any service or of
// the file; for errors that do not say of which.
func (s *composeSource) with(key, text string) composePlace {
	files := slices.Clone(s.named)
	for _, f := range s.all {
		if !slices.Contains(files, f) {
			files = append(files, f)
		}
	}
	for _, f := range files {
		if node := f.at(key); node != nil {
			if line := lineWith(node, text); line > 0 {
				return composePlace{file: f.path, line: line}
			}
		}
		services := f.at("services")
		for i := 1; services != nil && i < len(services.Content); i += 2 {
			if _, value := lookup(services.Content[i], key); value != nil {
				if line := lineWith(value, text); line > 0 {
					return composePlace{file: f.path, line: line}
				}
			}
		}
	}
	return composePlace{file: s.named[0].path}
}

// place is where the keys lead in this file alone.
func (f *composeFile) place(keys []string) composePlace {
	p := composePlace{file: f.path}
	if len(f.root.Content) == 0 {
		return p
	}
	node := f.root.Content[0]
	for _, key := range keys {
		at, value := lookup(node, key)
		if at == nil {
			break
		}
		node, p.line = value, at.Line
		p.depth++
	}
	return p
}

// at is the value that the keys lead to in this file alone; nil for none.
func (f *composeFile) at(keys ...string) *yaml.Node {
	if len(f.root.Content) == 0 {
		return nil
	}
	node := f.root.Content[0]
	for _, key := range keys {
		if _, node = lookup(node, key); node == nil {
			return nil
		}
	}
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// extends is the service that another extends, and its file where that is another.
func (f *composeFile) extends(service string) (name, file string) {
	node := f.at("services", service, "extends")
	switch {
	case node == nil:
		return "", ""
	case node.Kind == yaml.ScalarNode:
		return node.Value, ""
	}
	if _, n := lookup(node, "service"); n != nil {
		name = n.Value
	}
	if _, n := lookup(node, "file"); n != nil {
		file = beside(f.folder, n.Value)
	}
	return name, file
}

// composeInclude is one entry of include.
type composeInclude struct {
	files  []string
	folder string
}

func (f *composeFile) includes() (all []composeInclude) {
	list := f.at("include")
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	for _, entry := range list.Content {
		var i composeInclude
		paths := entry
		if entry.Kind == yaml.MappingNode {
			_, paths = lookup(entry, "path")
			if _, n := lookup(entry, "project_directory"); n != nil {
				i.folder = beside(f.folder, n.Value)
			}
		}
		switch {
		case paths == nil:
		case paths.Kind == yaml.ScalarNode:
			i.files = []string{beside(f.folder, paths.Value)}
		default:
			for _, n := range paths.Content {
				i.files = append(i.files, beside(f.folder, n.Value))
			}
		}
		if len(i.files) > 0 && i.folder == "" {
			i.folder = filepath.Dir(i.files[0])
		}
		all = append(all, i)
	}
	return all
}

func beside(folder, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, name)
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

// targetKey is the key by which lookup finds what is mounted there: lists of several
// files are joined, so that an index tells nothing.
func targetKey(target string) string { return "target:" + target }

// lookup finds a key of a mapping, one that is merged into it too; an index of a
// sequence, the item KEY or KEY=value of one, or the one with that targetKey.
func lookup(node *yaml.Node, key string) (at, value *yaml.Node) { return lookupIn(node, key, 0) }

func lookupIn(node *yaml.Node, key string, depth int) (at, value *yaml.Node) {
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
		for i := 0; i+1 < len(node.Content) && depth < 16; i += 2 {
			if node.Content[i].Value != "<<" {
				continue
			}
			merged := []*yaml.Node{node.Content[i+1]}
			if merged[0].Kind == yaml.SequenceNode {
				merged = merged[0].Content
			}
			for _, m := range merged {
				if at, value := lookupIn(m, key, depth+1); at != nil {
					return at, value
				}
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
		for _, item := range node.Content {
			if target, ok := strings.CutPrefix(key, "target:"); ok {
				if mountsAt(item, target) {
					return item, item
				}
				continue
			}
			if name, _, _ := strings.Cut(item.Value, "="); name == key && item.Kind == yaml.ScalarNode {
				return item, item
			}
		}
	}
	return nil, nil
}

// mountsAt says whether an item of volumes, configs or secrets is mounted at target.
func mountsAt(item *yaml.Node, target string) bool {
	for item.Kind == yaml.AliasNode {
		item = item.Alias
	}
	if item.Kind == yaml.ScalarNode {
		return slices.Contains(strings.Split(item.Value, ":"), target)
	}
	for _, key := range []string{"target", "source"} {
		if _, n := lookup(item, key); n != nil && n.Value == target {
			return true
		}
	}
	return false
}

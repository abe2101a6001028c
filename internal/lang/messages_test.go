package lang_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leonelquinteros/gotext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A message is English text in the code that a person may read.
type message struct{ text, at string }

// collect finds every message of the module's code.
//
// A message is what a formatting function gets (any function of the module with
// parameters "format string, args ...any", fmt's and errors.New), and any other literal
// that reads as prose. See spoken for what is none.
func collect(t *testing.T) (all []message) {
	t.Helper()
	fset := token.NewFileSet()
	byFolder := map[string][]*ast.File{}
	root := os.DirFS("../..")
	require.NoError(t, fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || slices.Contains(silent, path)):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		data, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, data, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if harness.MatchString(path) {
			return nil
		}
		if f.Name.Name != "main" || strings.HasPrefix(path, "cmd/rehearse/") { // other programs run in containers
			folder := filepath.Dir(path)
			byFolder[folder] = append(byFolder[folder], f)
		}
		return nil
	}))
	// By name and, where it is of one package alone, by its folder.
	formatters := map[string]int{"Sprintf": 0, "Errorf": 0, "Fprintf": 1, "Appendf": 1}
	for folder, files := range byFolder {
		for _, f := range files {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					if at := formatOf(fn.Type); at >= 0 && fn.Name.IsExported() {
						formatters[fn.Name.Name] = at
					} else if at >= 0 {
						formatters[folder+" "+fn.Name.Name] = at
					}
				}
			}
		}
	}
	for folder, files := range byFolder {
		c := &collector{fset: fset, folder: folder, formatters: formatters, constants: map[string]ast.Expr{}, sought: map[string]bool{}, seen: map[token.Pos]bool{}, done: map[ast.Node]bool{}}
		for _, f := range files {
			c.learn(f)
		}
		for name := range c.sought {
			if v, ok := c.constants[name]; ok {
				c.mark(v)
			}
		}
		for _, f := range files {
			c.file(f)
		}
		all = append(all, c.found...)
	}
	slices.SortFunc(all, func(a, b message) int { return strings.Compare(a.at, b.at) })
	return all
}

// silent are folders whose text is not for the reader of a rehearsal.
var silent = []string{
	"fixtures", "examples", "features", // the sample shop is not of Rehearsal
	"internal/tidy", "internal/browser", // tests, and what they stand on
	"internal/cloudwatch", "internal/conformance", "internal/awshttp", // they speak as AWS does, to its clients
}

// harness is where the container stage drives what it is made of. What it says is that
// this broke, and is for who mends the harness.
var harness = regexp.MustCompile(`^internal/containers/(balancer|base_data|border|database|engine_reaper|engine_unix|image_|load|localstack|logs|monitor\.go|monitor_(alarms|embedded|external|logs|metrics)|network|replica|stub|toxiproxy|traffic)`)

// wraps says whether a format only says what was being done when an error came: the
// error within it tells what is wrong.
func wraps(format string) bool {
	rest, ok := strings.CutSuffix(format, ": %w")
	return ok && !strings.Contains(rest, ": ") && !strings.Contains(rest, ", ")
}

// formatOf is which parameter of a function is a format, or -1.
func formatOf(f *ast.FuncType) int {
	at := 0
	for _, p := range f.Params.List {
		for _, name := range p.Names {
			if name.Name == "format" {
				return at
			}
			at++
		}
	}
	return -1
}

type collector struct {
	fset       *token.FileSet
	folder     string
	formatters map[string]int
	constants  map[string]ast.Expr
	sought     map[string]bool
	seen       map[token.Pos]bool // literals
	done       map[ast.Node]bool  // sums of them
	found      []message
}

func (c *collector) learn(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool { // a constant that is only looked for, or taken apart
		if call, ok := n.(*ast.CallExpr); ok {
			if fn, ok := call.Fun.(*ast.SelectorExpr); ok {
				if x, ok := fn.X.(*ast.Ident); ok && (x.Name == "strings" || x.Name == "regexp") {
					for _, a := range call.Args {
						ast.Inspect(a, func(n ast.Node) bool {
							if name, ok := n.(*ast.Ident); ok {
								c.sought[name.Name] = true
							}
							return true
						})
					}
				}
			}
		}
		return true
	})
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for i, n := range v.Names {
				if i < len(v.Values) {
					c.constants[n.Name] = v.Values[i]
				}
			}
		}
	}
}

// constant is the value of an expression of strings.
func (c *collector) constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
	case *ast.BinaryExpr:
		a, ok := c.constant(e.X)
		b, also := c.constant(e.Y)
		return a + b, ok && also && e.Op == token.ADD
	case *ast.Ident:
		if v, ok := c.constants[e.Name]; ok {
			return c.constant(v)
		}
	case *ast.ParenExpr:
		return c.constant(e.X)
	}
	return "", false
}

// sum is a sum of literals and other strings as a format with a %s for each of these.
func (c *collector) sum(e ast.Expr) (format string, ok bool) {
	if text, ok := c.constant(e); ok {
		return strings.ReplaceAll(text, "%", "%%"), true
	}
	if b, also := e.(*ast.BinaryExpr); also && b.Op == token.ADD {
		left, one := c.sum(b.X)
		right, other := c.sum(b.Y)
		return left + right, one || other
	}
	return "%s", false
}

func phrases(t ast.Expr) bool {
	if a, ok := t.(*ast.ArrayType); ok {
		t = a.Elt
	}
	name, ok := t.(*ast.Ident)
	return ok && name.Name == "Phrase"
}

func (c *collector) mark(e ast.Node) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			c.seen[n.Pos()] = true
		case *ast.BinaryExpr:
			c.done[n] = true
		}
		return true
	})
}

func (c *collector) add(e ast.Expr, text string) {
	c.mark(e)
	p := c.fset.Position(e.Pos())
	c.found = append(c.found, message{text, p.Filename + ":" + strconv.Itoa(p.Line)})
}

func (c *collector) file(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec, *ast.Field:
			_, isField := n.(*ast.Field)
			return isField && n.(*ast.Field).Tag == nil
		case *ast.CallExpr:
			name := ""
			switch fn := n.Fun.(type) {
			case *ast.Ident:
				name = fn.Name
			case *ast.SelectorExpr:
				name = fn.Sel.Name
				if x, ok := fn.X.(*ast.Ident); ok && slices.Contains([]string{"regexp", "exec", "strings", "bytes"}, x.Name) && name != "Join" {
					return false // it looks for the text, or runs it
				}
			}
			if name == "panic" {
				return false
			}
			at, ok := c.formatters[name]
			if !ok {
				at, ok = c.formatters[c.folder+" "+name]
			}
			if ok && at < len(n.Args) {
				if text, ok := c.constant(n.Args[at]); ok && lettered(text) && !wraps(text) {
					c.add(n.Args[at], text)
				} else if ok {
					c.mark(n.Args[at])
				}
			}
		case *ast.CaseClause:
			for _, e := range n.List {
				c.mark(e)
			}
		case *ast.BinaryExpr:
			if n.Op != token.ADD {
				c.mark(n)
			} else if text, ok := c.sum(n); ok && lettered(text) && prose(text) && !c.done[n] && !c.seen[n.Pos()] {
				if whole, ok := c.constant(n); ok {
					text = whole
				}
				c.add(n, text)
			}
		case *ast.CompositeLit:
			if phrases(n.Type) {
				return false // every phrase has both languages anyway
			}
		case *ast.BasicLit:
			if text, ok := c.constant(n); ok && prose(text) && !c.seen[n.Pos()] {
				c.add(n, text)
			}
		}
		return true
	})
}

var (
	verb    = regexp.MustCompile(`%[-+# 0-9.\[\]*]*[a-zA-Z%]`)
	code    = regexp.MustCompile("`[^`]*`|--?[\\w-]+|\\S*[=<>_{}\\\\]\\S*|\\w+[./:-]\\S+")
	word    = regexp.MustCompile(`(^|[\s("'])[a-zA-Z][a-z]+([\s,;:.!?)"']|$)`)
	command = regexp.MustCompile(`^\s*rehearse[ :]`)
	aFile   = regexp.MustCompile(`(?m)^// |^defineParameterType|^\w+: .*\n\w+: |^id: |^default-src |^\s*\w+: \{|^(?:[a-z]+ ){7,}[a-z]+$`)
	twice   = regexp.MustCompile(`[a-z]{2,},? [a-z]{2,}`)
)

// lettered says whether a format has words of its own that people read: no command, no
// part of a file, no name of a field.
func lettered(format string) bool {
	return !command.MatchString(format) && !aFile.MatchString(format) &&
		word.MatchString(code.ReplaceAllString(verb.ReplaceAllString(format, "%"), ""))
}

// prose says whether a literal reads as English: two words at least.
func prose(text string) bool {
	return lettered(text) && twice.MatchString(verb.ReplaceAllString(text, "%"))
}

var skeleton = flag.Bool("skeleton", false, "print what has no Japanese as the skeleton of a catalogue")

func TestEveryMessageHasAJapaneseForm(t *testing.T) {
	known := catalogues(t)
	messages := collect(t)
	require.Greater(t, len(messages), 1500, "the test looked at too little to mean anything")
	lacking := map[string][]string{}
	var order []string
	for _, m := range messages {
		if _, ok := known[m.text]; !ok {
			if lacking[m.text] == nil {
				order = append(order, m.text)
			}
			lacking[m.text] = append(lacking[m.text], m.at)
		}
	}
	for _, text := range order {
		if *skeleton {
			fmt.Printf("#: %s\nmsgid %s\nmsgstr \"\"\n\n", strings.Join(lacking[text], " "), strconv.Quote(text))
			continue
		}
		t.Errorf("%s: no Japanese for %q: add it to a catalogue in internal/lang/ja (a skeleton of all that lack: go test ./internal/lang -run EveryMessage -skeleton)",
			strings.Join(lacking[text], ", "), text)
	}
}

// catalogues reads them as translators see them, and holds each against what is true of
// all.
func catalogues(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("ja/*.po")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all, from := map[string]string{}, map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		po := gotext.NewPo()
		po.Parse(data)
		n := 0
		for id, tr := range po.GetDomain().GetTranslations() {
			if id == "" {
				continue
			}
			n++
			ja, ok := tr.Trs[0]
			if !ok || ja == "" {
				t.Errorf("%s: %q has an empty translation", file, id)
				continue
			}
			if other, twice := all[id]; twice && other != ja {
				t.Errorf("%s: %q is %q, and %q in %s: one message, one translation", file, id, ja, other, from[id])
			}
			all[id], from[id] = ja, file
		}
		require.Equal(t, n, len(regexp.MustCompile(`(?m)^msgid `).FindAll(data, -1))-1, "%s: a message stands in it twice, or the file is not read to its end", file)
	}
	return all
}

func TestTranslationsTakeTheArgumentsOfTheirMessages(t *testing.T) {
	for en, ja := range catalogues(t) {
		if en != ja {
			assert.Equal(t, arguments(en), arguments(ja), "%q as %q", en, ja)
		}
	}
}

// arguments is the verb of each argument of a format, by its number.
func arguments(format string) map[int]string {
	all, next := map[int]string{}, 1
	for _, m := range regexp.MustCompile(`%[-+#0-9.]*(?:\[(\d+)\])?[-+#0-9.]*(\*?)(?:\[(\d+)\])?([a-zA-Z%])`).FindAllStringSubmatch(format, -1) {
		if m[4] == "%" || !strings.Contains("vTtcdqxXUeEfFgGspw", m[4]) {
			continue
		}
		for _, n := range []string{m[1], m[3]} {
			if n != "" {
				next, _ = strconv.Atoi(n)
			}
		}
		if m[2] == "*" {
			all[next] = "*"
			next++
		}
		all[next] = m[4]
		next++
	}
	return all
}

package page_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
)

// speaks are the functions of the package that take a format for people, and which
// argument that is.
var speaks = map[string]int{"Sprintf": 0, "note": 0, "miss": 0, "say": 0, "add": 2}

// alike is what both languages say in the same way.
var alike = map[string]bool{"%s": true, "OK: %s": true, "ALARM %s": true, "%s:%d": true, "%s-%d": true}

func messages(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	data, err := os.ReadFile("page/page.html.tmpl")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`\b(?:t|word|text) ("(?:[^"\\]|\\.)+")`).FindAllStringSubmatch(string(data), -1) {
		s, err := strconv.Unquote(m[1])
		require.NoError(t, err)
		found[s] = true
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			who, of := "", ""
			switch f := call.Fun.(type) {
			case *ast.Ident:
				who = f.Name
			case *ast.SelectorExpr:
				who = f.Sel.Name
				if x, ok := f.X.(*ast.Ident); ok {
					of = x.Name
				}
			}
			at, ok := speaks[who]
			if ok && of != "fmt" && at < len(call.Args) {
				if lit, ok := call.Args[at].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, err := strconv.Unquote(lit.Value)
					require.NoError(t, err)
					found[s] = true
				}
			}
			return true
		})
	}
	for _, s := range []string{"simulated", "containers", "open", "unknown", "waived", "harmless", "passed", "failed", "inconclusive"} {
		found[s] = true
	}
	delete(found, "not ended") // is said as "did not end"
	delete(found, "")
	return found
}

func TestEveryMessageOfThePageHasItsJapanese(t *testing.T) {
	all := messages(t)
	require.Greater(t, len(all), 100, "the test found too few messages to mean anything")
	for s := range all {
		if !alike[s] {
			assert.NotEqual(t, s, lang.Japanese.Text(s), "internal/lang/ja/page.po has no translation")
		}
	}
}

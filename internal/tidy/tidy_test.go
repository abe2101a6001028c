// Package tidy holds rules of style as tests: each says what to do instead.
package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the module's folder.
const root = "../.."

// imports says which packages of this module each may import, and why no others.
// Tests may import more: they look at a package from outside.
var imports = []struct {
	pkg string
	may []string
	why string
}{
	{"internal/clock", nil, "the clock stands below everything"},
	{"internal/lang", nil, "every package that speaks to people may stand on it"},
	{"internal/awshttp", nil, "it stands below whatever talks to AWS or its like"},
	{"internal/alarm", []string{"internal/lang"}, "alarm evaluation is pure: the same on every stage and in every test"},
	{"internal/ecs", nil, "it reads what AWS prints and knows nothing of rehearsals"},
	{"internal/cloudwatch", []string{"internal/alarm", "internal/awshttp", "internal/clock"}, "monitoring must not know what is released"},
	{"internal/conformance", []string{"internal/alarm", "internal/awshttp", "internal/clock"}, "it holds any CloudWatch against AWS's documents, so it knows none from inside"},
	{"internal/runs", nil, "what is remembered of a run is text and numbers: it must be readable when everything else has changed"},
	{"internal/evidence", []string{"internal/runs"}, "what proves must be checkable by who has the report folder and nothing else"},
	{"internal/stage", []string{"internal/alarm"}, "the vocabulary knows no stage and no plan"},
	{"internal/release", []string{"internal/lang", "internal/stage", "internal/alarm"}, "a release must be the same on every stage, so it knows none"},
	{"internal/check", []string{"internal/stage", "internal/alarm"}, "checks only read histories"},
	{"sim", []string{"internal/stage", "internal/alarm", "internal/cloudwatch"}, "the simulated stage is a world for the release logic, not a second one"},
	{"internal/compare", []string{"internal/lang", "internal/stage", "internal/alarm", "internal/release", "sim"}, "it carries out plans on the simulated stage many times over, and reads no project"},
	{"internal/capacity", []string{"internal/stage", "internal/release", "internal/check"}, "it looks for a limit on whatever stage it is given"},
	{"internal/containers", []string{"internal/stage", "internal/alarm", "internal/awshttp", "internal/cloudwatch", "internal/clock"}, "the container stage is a world for the release logic, not a second one"},
	{"internal/parity", []string{"internal/stage", "internal/alarm", "internal/ecs"}, "it compares descriptions: it runs nothing and asks no engine"},
	{"internal/chart", []string{"internal/lang", "internal/stage", "internal/check", "internal/alarm", "internal/release", "internal/live"}, "a chart draws what others recorded and judged"},
	{"internal/live", []string{"internal/lang", "internal/stage", "internal/check", "internal/alarm", "internal/clock", "internal/release"}, "who watches a run only reads it"},
	{"internal/report", []string{"internal/live", "internal/lang", "internal/stage", "internal/check", "internal/alarm", "internal/clock", "internal/release", "internal/parity", "internal/runs"}, "reports only read"},
	{"internal/page", []string{"internal/chart", "internal/live", "internal/lang", "internal/stage", "internal/check", "internal/alarm", "internal/release"}, "the page reads what a run left on disk, so that a killed one has a page too"},
	{"internal/project", []string{"internal/alarm", "internal/stage", "internal/release", "internal/check", "internal/containers", "internal/parity"}, "it reads what users write and runs nothing"},
	{"internal/schedule", []string{"internal/lang", "internal/alarm", "internal/release"}, "when a release may start is a pure question of a plan, a calendar and traffic"},
	{"internal/watch", []string{"internal/lang", "internal/stage", "internal/alarm", "internal/release", "internal/awshttp", "internal/clock", "internal/cloudwatch", "sim"}, "it only reads, of a real CloudWatch and of simulated ones, and knows no project and no container"},
	{"internal/pipeline", []string{"internal/clock"}, "a pipeline runs what a team pushes and knows no stage: what its jobs ask of one goes through the door"},
	{"internal/lint", []string{"internal/project", "steps"}, "it reads features as steps do, and runs nothing"},
	{"internal/scaffold", []string{"internal/alarm", "internal/stage", "internal/release", "internal/project", "internal/containers", "internal/ecs", "internal/parity"}, "it writes what users go on from, and runs nothing"},
}

func TestImportsGoOneWay(t *testing.T) {
	seen := map[string]bool{}
	each(t, func(file string, f *ast.File) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		dir := filepath.ToSlash(filepath.Dir(file))
		for _, rule := range imports {
			if dir != rule.pkg {
				continue
			}
			seen[rule.pkg] = true
			for _, i := range f.Imports {
				path, _ := strconv.Unquote(i.Path.Value)
				own, ok := strings.CutPrefix(path, "rehearsal/")
				if ok && !slices.Contains(rule.may, own) {
					t.Errorf("%s imports %s: %s may import only %q, since %s", file, own, rule.pkg, rule.may, rule.why)
				}
			}
		}
	})
	for _, rule := range imports {
		require.True(t, seen[rule.pkg], "there is a rule for %s and no such package: delete the rule", rule.pkg)
	}
}

// wall is what reads the wall clock, waits for it, or draws from a source of chance
// that nobody can seed, and what to call instead.
var wall = map[string]map[string]string{
	"time": {
		"Now": "clock.Wall, or the stage's release time", "Since": "clock.Since", "Sleep": "clock.Poll for a condition", "After": "clock.Poll for a condition",
		"Tick": "clock.Every", "NewTimer": "clock.Poll or a context with a time-out", "NewTicker": "clock.Every", "AfterFunc": "clock.Every or a context with a time-out",
	},
	"math/rand":    {"": "math/rand/v2 with a source made from the seed"},
	"math/rand/v2": {"Int": seeded, "IntN": seeded, "Int64": seeded, "Uint64": seeded, "Float64": seeded, "NormFloat64": seeded, "ExpFloat64": seeded, "Perm": seeded, "Shuffle": seeded, "N": seeded},
}

const seeded = "a rand.Rand made from the seed"

func TestOnlyTheClockReadsTheClock(t *testing.T) {
	looked := 0
	each(t, func(file string, f *ast.File) {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "internal/clock/") || strings.HasPrefix(file, "fixtures/") ||
			strings.HasPrefix(file, "internal/containers/reaper/") || strings.HasPrefix(file, "internal/containers/border/") || strings.HasPrefix(file, "internal/containers/entrypoint/") || strings.HasPrefix(file, "internal/containers/stub/") {
			return // programs of their own, which run in containers
		}
		looked++
		names := map[string]string{}
		for _, i := range f.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if instead, ok := wall[path]; ok {
				if all := instead[""]; all != "" {
					t.Errorf("%s imports %s: use %s", file, path, all)
				}
				name := strings.TrimSuffix(filepath.Base(path), "v2")
				if name == "" {
					name = "rand"
				}
				if i.Name != nil {
					name = i.Name.Name
				}
				names[name] = path
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil {
				if instead := wall[names[x.Name]][sel.Sel.Name]; instead != "" {
					t.Errorf("%s: %s.%s: use %s", file, x.Name, sel.Sel.Name, instead)
				}
			}
			return true
		})
	})
	require.Greater(t, looked, 20, "the test looked at too few files to mean anything")
}

// each calls f with every Go file of the module.
func each(t *testing.T, f func(file string, parsed *ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		parsed, err := parser.ParseFile(fset, filepath.Join(root, path), nil, 0)
		if err != nil {
			return err
		}
		f(path, parsed)
		return nil
	})
	require.NoError(t, err)
}

package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nektos/act/pkg/workflowpattern"
	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"
)

// A workflow is one file of .github/workflows, checked.
type workflow struct {
	file string // as people read it: where it lies in the team's code
	path string // within the repository, with slashes
	root string // of the repository
	ast  *actionlint.Workflow
}

// A MistakeError is something that the team wrote wrong: a workflow, or the section
// of rehearsal.yaml that is about it.
type MistakeError struct{ Text string }

func (e *MistakeError) Error() string { return e.Text }

func mistake(format string, args ...any) error { return &MistakeError{fmt.Sprintf(format, args...)} }

// longestWorkflow is how long a workflow file may be, in bytes: GitHub refuses larger
// ones.
const longestWorkflow = 1 << 20

const workflowsFolder = ".github/workflows"

// readWorkflows reads and checks every workflow of the code at root. All that is
// wrong is told at once, each with its place; advice is what GitHub would run all
// the same.
func readWorkflows(root string) (all []*workflow, advice []string, err error) {
	dir := filepath.Join(root, filepath.FromSlash(workflowsFolder))
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{WorkingDir: root})
	if err != nil {
		return nil, nil, err
	}
	project, err := actionlint.NewProject(root)
	if err != nil {
		return nil, nil, mistake("%s: %v", filepath.Join(root, ".github"), err)
	}
	var wrong []error
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); e.IsDir() || ext != ".yml" && ext != ".yaml" {
			continue
		}
		file := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		if len(data) > longestWorkflow {
			wrong = append(wrong, mistake("%s:1: the workflow has %d bytes: GitHub takes at most %d", file, len(data), longestWorkflow))
			continue
		}
		found, err := linter.Lint(file, data, project)
		if err != nil {
			return nil, nil, err
		}
		bad := false
		for _, f := range found {
			text := fmt.Sprintf("%s:%d: %s%s", file, f.Line, f.Message, remedy(f))
			if isAdvice(f) {
				advice = append(advice, text)
				continue
			}
			bad = true
			wrong = append(wrong, &MistakeError{text})
		}
		if bad {
			continue
		}
		ast, _ := actionlint.Parse(data)
		if ast == nil || len(ast.Jobs) == 0 {
			wrong = append(wrong, mistake("%s:1: there is no job in it: write one below \"jobs:\"", file))
			continue
		}
		all = append(all, &workflow{file: file, path: path.Join(workflowsFolder, e.Name()), root: root, ast: ast})
	}
	if len(entries) == 0 {
		wrong = append(wrong, mistake("%s: there is no workflow: want the folder that is the root of your repository as \"code\"", dir))
	}
	return all, advice, errors.Join(wrong...)
}

// isAdvice says that GitHub runs the workflow all the same.
func isAdvice(e *actionlint.Error) bool {
	return e.Kind == "deprecated-commands" || e.Kind == "credentials" || e.Kind == "action" && strings.Contains(e.Message, "too old")
}

// remedy is what to do, where actionlint does not say so itself.
func remedy(e *actionlint.Error) string {
	switch e.Kind {
	case "syntax-check":
		if strings.HasPrefix(e.Message, "could not parse as YAML") {
			return ": mend the YAML in or above this line (indent with spaces, close every quote)"
		}
	case "job-needs":
		if strings.Contains(e.Message, "cyclic") {
			return ": these jobs would wait for each other for ever; take one of the \"needs\" out"
		}
		return ": name a job of this file"
	case "runner-label":
		return "; or name the labels of your own runners in .github/actionlint.yaml"
	}
	return ""
}

// A Push is what GitHub would make an event of: one ref that moved.
type Push struct {
	Ref           string // "refs/heads/main", "refs/tags/v2"
	Before, After string // commits; Before is all zeros for a new ref
	Files         []string
}

func (p Push) name() (name string, tag bool) {
	if t, ok := strings.CutPrefix(p.Ref, "refs/tags/"); ok {
		return t, true
	}
	return strings.TrimPrefix(p.Ref, "refs/heads/"), false
}

// triggers says whether the push starts the workflow, and why not.
//
// https://docs.github.com/en/actions/reference/workflow-syntax-for-github-actions#onpushbranchestagsbranches-ignoretags-ignore
func (w *workflow) triggers(p Push) (bool, string) {
	var on []string
	for _, e := range w.ast.On {
		on = append(on, e.EventName())
		hook, ok := e.(*actionlint.WebhookEvent)
		if !ok || hook.EventName() != "push" {
			continue
		}
		name, tag := p.name()
		only, never, other := hook.Branches, hook.BranchesIgnore, !hook.Tags.IsEmpty() || !hook.TagsIgnore.IsEmpty()
		what := "branches"
		if tag {
			only, never, other = hook.Tags, hook.TagsIgnore, !hook.Branches.IsEmpty() || !hook.BranchesIgnore.IsEmpty()
			what = "tags"
		}
		switch {
		case only.IsEmpty() && never.IsEmpty() && other:
			return false, fmt.Sprintf("its pushes name no %s", what)
		case !only.IsEmpty() && skips(only, []string{name}):
			return false, fmt.Sprintf("its %s leave %q out", what, name)
		case !never.IsEmpty() && ignores(never, []string{name}):
			return false, fmt.Sprintf("its %s-ignore has %q", what, name)
		case tag: // paths are not looked at
		case !hook.Paths.IsEmpty() && skips(hook.Paths, p.Files):
			return false, fmt.Sprintf("its paths hold none of what was pushed (%q)", p.Files)
		case !hook.PathsIgnore.IsEmpty() && ignores(hook.PathsIgnore, p.Files):
			return false, fmt.Sprintf("its paths-ignore holds all of what was pushed (%q)", p.Files)
		}
		return true, ""
	}
	return false, fmt.Sprintf("it is for %q and not for a push", on)
}

func patterns(f *actionlint.WebhookEventFilter) []*workflowpattern.WorkflowPattern {
	var texts []string
	for _, v := range f.Values {
		texts = append(texts, v.Value)
	}
	compiled, _ := workflowpattern.CompilePatterns(texts...) // actionlint has checked them
	return compiled
}

func skips(f *actionlint.WebhookEventFilter, names []string) bool {
	return workflowpattern.Skip(patterns(f), names, &workflowpattern.EmptyTraceWriter{})
}

func ignores(f *actionlint.WebhookEventFilter, names []string) bool {
	return workflowpattern.Filter(patterns(f), names, &workflowpattern.EmptyTraceWriter{})
}

// An Obstacle is something of a job that cannot be run here as GitHub runs it, so that
// nothing may be concluded from the job's success.
type Obstacle struct {
	Job, Place, What, Remedy string
}

func (o Obstacle) String() string {
	return fmt.Sprintf("%s: job %q: %s: %s", o.Place, o.Job, o.What, o.Remedy)
}

// jobs is the jobs in the order in which they are written.
func (w *workflow) jobs() []*actionlint.Job {
	return slices.SortedFunc(maps.Values(w.ast.Jobs), func(a, b *actionlint.Job) int { return cmp.Compare(a.Pos.Line, b.Pos.Line) })
}

// obstacles is everything of the workflow that cannot run on this machine.
func (w *workflow) obstacles(ctx context.Context, o Options) (all []Obstacle) {
	for _, j := range w.jobs() {
		add := func(line int, remedy, format string, args ...any) {
			all = append(all, Obstacle{j.ID.Value, fmt.Sprintf("%s:%d", w.file, line), fmt.Sprintf(format, args...), remedy})
		}
		o.containers(ctx, j, add)
		if u := j.WorkflowCall; u != nil && !strings.HasPrefix(u.Uses.Value, "./") {
			add(u.Uses.Pos.Line, "copy it into the repository and call it as ./"+workflowsFolder+"/...",
				"the workflow %s is somewhere else, and nothing is fetched in a rehearsal", u.Uses.Value)
		}
		if r := j.RunsOn; r != nil {
			for _, l := range r.Labels {
				if system := foreign(l.Value); system != "" {
					add(l.Pos.Line, "run it on ubuntu-latest, or check it in GitHub alone", "it runs on %s (%s), and this machine cannot stand in for that", l.Value, system)
				}
			}
		}
		for _, s := range j.Steps {
			if a, ok := s.Exec.(*actionlint.ExecAction); ok {
				w.action(a.Uses, o.Actions, add)
			}
		}
	}
	return all
}

// action says of an action whether it can run. standIns are those ("actions/setup-go@v5")
// that something local stands in for.
func (w *workflow) action(uses *actionlint.String, standIns map[string]string, add func(line int, remedy, format string, args ...any)) {
	line, name := uses.Pos.Line, uses.Value
	switch {
	case strings.HasPrefix(name, "docker://"):
		add(line, "run what it does as a step of its own", "the action %s is a container, and actions run on this machine or in the container of their job", name)
	case strings.HasPrefix(name, "./"):
		if using := w.using(name); using == "docker" {
			add(line, "make it a composite action", "the action %s is a container, and actions run on this machine or in the container of their job", name)
		}
	case strings.HasPrefix(name, "actions/checkout@"): // act copies what was pushed
	case standsIn(name, standIns):
	default:
		add(line, fmt.Sprintf("name a folder with a copy of it, or with what stands in for it, in rehearsal.yaml: pipeline: actions: {%q: FOLDER}", name),
			"the action %s is somewhere else, and nothing is fetched in a rehearsal", name)
	}
}

// using is how a local action is run: "composite", "node20", "docker". "" where that
// cannot be read, which running it will tell.
func (w *workflow) using(name string) string {
	for _, file := range []string{"action.yml", "action.yaml"} {
		data, err := os.ReadFile(filepath.Join(w.root, filepath.FromSlash(name), file))
		var a struct {
			Runs struct {
				Using string `yaml:"using"`
			} `yaml:"runs"`
		}
		if err == nil && yaml.Unmarshal(data, &a) == nil {
			return a.Runs.Using
		}
	}
	return ""
}

// foreign is the system of a runner's label that is not Linux, or "".
func foreign(label string) string {
	l := strings.ToLower(label)
	switch {
	case strings.HasPrefix(l, "windows"):
		return "Windows"
	case strings.HasPrefix(l, "macos"):
		return "macOS"
	}
	return ""
}

// labels is every runner's label of the workflow: all of them are this machine.
func (w *workflow) labels() (all []string) {
	for _, j := range w.jobs() {
		if j.RunsOn == nil {
			continue
		}
		for _, l := range j.RunsOn.Labels {
			if !l.ContainsExpression() && foreign(l.Value) == "" {
				all = append(all, strings.ToLower(l.Value))
			}
		}
	}
	return all
}

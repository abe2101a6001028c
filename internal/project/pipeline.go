package project

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Pipeline is how the team's code comes to a release: what a push of it is rehearsed
// with.
type Pipeline struct {
	Code        string            // the folder that is the root of the repository
	Push        string            // the branch that is pushed; "" pushes a tag with the version's name
	FailingTest string            // a folder of files that, laid over the code, make a test fail; may be ""
	NoBuild     string            // the same, and it does not build
	PreReceive  string            // the repository's own pre-receive hook; may be ""
	Changes     map[string]string // by version: a folder of files laid over the code
	Actions     map[string]string // "actions/setup-go@v5": the folder that stands in for it
	Runners     map[string]string // "ubuntu-latest": the image that jobs of that label run in
	Vars        map[string]string // of the workflow's ${{ vars }}
	Keep        []string          // names of variables of the environment that the jobs get
}

type yamlPipeline struct {
	Code        string            `yaml:"code"`
	Push        string            `yaml:"push"`
	FailingTest string            `yaml:"failingTest"`
	NoBuild     string            `yaml:"noBuild"`
	PreReceive  string            `yaml:"preReceive"`
	Changes     map[string]string `yaml:"changes"`
	Actions     map[string]string `yaml:"actions"`
	Runners     map[string]string `yaml:"runners"`
	Vars        map[string]string `yaml:"vars"`
	Keep        []string          `yaml:"keep"`
}

// pushesTag is how rehearsal.yaml says that a tag is pushed.
const pushesTag = "tag"

func (r *reader) pipeline(p *Project, f yamlPipeline) {
	way := func(more ...any) at { return append(at{"pipeline"}, more...) }
	if _, there := r.find(way()); !there {
		return
	}
	if f.Code == "" {
		r.fail(way("code"), "pipeline: needs \"code\", the folder that is the root of your repository: its .github/workflows are rehearsed")
		return
	}
	out := &Pipeline{Code: r.folder(way("code"), f.Code, "the root of your repository, with .github/workflows"), Vars: f.Vars, Keep: f.Keep, Push: f.Push}
	switch {
	case f.Push == "":
		r.fail(way("push"), "pipeline: needs \"push\": the branch whose push starts the release, or %q where a tag with the version's name does", pushesTag)
	case f.Push == pushesTag:
		out.Push = ""
	case strings.ContainsAny(f.Push, " ~^:?*[\\") || strings.Contains(f.Push, "..") || strings.HasPrefix(f.Push, "-") || strings.HasSuffix(f.Push, "/"):
		r.fail(way("push"), "pipeline: push: %q is no name of a branch: want one such as main, or %q", f.Push, pushesTag)
	}
	overlay := func(key, name, what string) string {
		if name == "" {
			return ""
		}
		return r.folder(way(key), name, "the files that are laid over the code so that "+what)
	}
	out.FailingTest = overlay("failingTest", f.FailingTest, "a test fails")
	out.NoBuild = overlay("noBuild", f.NoBuild, "it does not build")
	if f.PreReceive != "" {
		if file, _, ok := r.open(way("preReceive"), f.PreReceive, "the pre-receive hook of your repository"); ok {
			out.PreReceive = file
		}
	}
	out.Changes = map[string]string{}
	for _, v := range slices.Sorted(maps.Keys(f.Changes)) {
		if _, ok := p.Setup.Versions[v]; !ok {
			r.fail(way("changes", v), "pipeline: changes: there is no version %q: known are %q", v, slices.Sorted(maps.Keys(p.Setup.Versions)))
		}
		out.Changes[v] = r.folder(way("changes", v), f.Changes[v], "the files that the version changes")
	}
	out.Runners = map[string]string{}
	for label, image := range f.Runners {
		if image == "" || strings.ContainsAny(image, " \t\n") {
			r.fail(way("runners", label), "pipeline: runners: %s: %q is no image: want one such as catthehacker/ubuntu:act-latest", label, image)
		}
		out.Runners[strings.ToLower(label)] = image
	}
	out.Actions = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(f.Actions)) {
		if owner, ref, ok := strings.Cut(name, "@"); !ok || ref == "" || strings.Count(owner, "/") != 1 {
			r.fail(way("actions", name), "pipeline: actions: %q: name the action as the workflow does, such as actions/setup-go@v5", name)
		}
		dir := r.folder(way("actions", name), f.Actions[name], "a copy of the action, or what stands in for it")
		if _, err := os.Stat(filepath.Join(dir, "action.yml")); err != nil {
			if _, err := os.Stat(filepath.Join(dir, "action.yaml")); err != nil {
				r.fail(way("actions", name), "pipeline: actions: %s has no action.yml: want a copy of %s, or a composite action that stands in for it", dir, name)
			}
		}
		out.Actions[name] = dir
	}
	p.Pipeline = out
}

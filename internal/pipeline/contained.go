package pipeline

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/client"
	"github.com/nektos/act/pkg/container"
	"github.com/nektos/act/pkg/model"
	"github.com/rhysd/actionlint"
)

// contained is the containers that a job asks for: its own, that of its runner where an
// image stands in for it, and its services'. runner is that image.
func contained(j *actionlint.Job, runners map[string]string) (all []*actionlint.Container, runner string) {
	if c := j.Container; c != nil {
		all = append(all, c)
	}
	if j.RunsOn != nil {
		for _, l := range j.RunsOn.Labels {
			if image := runners[strings.ToLower(l.Value)]; image != "" {
				runner = image
			}
		}
	}
	if s := j.Services; s != nil {
		for _, name := range slices.Sorted(maps.Keys(s.Value)) {
			all = append(all, s.Value[name].Container)
		}
	}
	return all, runner
}

// containers says what of a job's containers cannot be had or must not be started here.
func (o Options) containers(ctx context.Context, j *actionlint.Job, add func(line int, remedy, format string, args ...any)) {
	all, runner := contained(j, o.Runners)
	services := j.Services != nil && (len(j.Services.Value) > 0 || j.Services.Expression != nil)
	if len(all) == 0 && runner == "" && !services {
		return
	}
	line := j.Pos.Line
	if services {
		line = j.Services.Pos.Line
	} else if j.Container != nil {
		line = j.Container.Pos.Line
	}
	switch {
	case o.Image == nil:
		add(line, "rehearse the pipeline where a Docker engine is, or have the job do without",
			"it runs in containers or beside some, and there is no Docker engine here that could start them")
		return
	case services && j.Services.Expression != nil:
		add(line, "write them down", "its services are an expression, which nobody can look at before")
		return
	case services && j.Container == nil && runner == "":
		add(line, fmt.Sprintf("name an image for its runner in rehearsal.yaml, such as pipeline: runners: {%s: catthehacker/ubuntu:act-latest}, or give the job a container", label(j)),
			"services (%s) are containers, and a job that runs on this machine itself does not reach them", strings.Join(slices.Sorted(maps.Keys(j.Services.Value)), ", "))
		return
	}
	image := func(line int, ref string) {
		if strings.Contains(ref, "${{") {
			add(line, "write the image down", "the image %s is an expression, which nobody can look at before", ref)
		} else if err := o.Image(ctx, ref); err != nil {
			add(line, "pull or build it beforehand", "%v", err)
		}
	}
	if runner != "" && j.Container == nil {
		image(line, runner)
	}
	for _, c := range all {
		if c == nil || c.Image == nil {
			continue // GitHub starts none then
		}
		image(c.Image.Pos.Line, c.Image.Value)
		for _, v := range slices.Concat(c.Volumes, c.Ports) { // actionlint 1.7.12 puts volumes among the ports
			if ofThisMachine(v.Value) {
				add(v.Pos.Line, "have the container do without", "it mounts %s of this machine, which is not GitHub's runner", v.Value)
			}
		}
		if c.Options != nil && slices.ContainsFunc(strings.Fields(c.Options.Value), reachesOut) {
			add(c.Options.Pos.Line, "have the container do without", "its options %q reach into this machine, which is not GitHub's runner", c.Options.Value)
		}
	}
}

// ofThisMachine says that a volume of a container is a folder of this machine.
func ofThisMachine(volume string) bool {
	return strings.HasPrefix(volume, "/") && strings.Contains(volume, ":")
}

// reachesOut says that an option of `docker create` gives a container what is this
// machine's.
func reachesOut(option string) bool {
	name, _, _ := strings.Cut(option, "=")
	return slices.Contains([]string{"--privileged", "-v", "--volume", "--mount", "--device", "--pid", "--network", "--net", "--ipc", "--cap-add", "--security-opt", "--userns"}, name)
}

func label(j *actionlint.Job) string {
	if j.RunsOn != nil && len(j.RunsOn.Labels) > 0 {
		return j.RunsOn.Labels[0].Value
	}
	return "ubuntu-latest"
}

// inContainer says that act runs a job in a container.
func (o order) inContainer(job *model.Job) bool {
	if job.Container() != nil {
		return true
	}
	return slices.ContainsFunc(job.RunsOn(), func(l string) bool { return o.Runners[strings.ToLower(l)] != "" })
}

// mounts is a folder of this machine that a container of the job would get; "" is none.
// What was read before may have missed it.
func mounts(job *model.Job) string {
	all := slices.Collect(maps.Values(job.Services))
	if c := job.Container(); c != nil {
		all = append(all, c)
	}
	for _, c := range all {
		if i := slices.IndexFunc(c.Volumes, ofThisMachine); i >= 0 {
			return c.Volumes[i]
		}
	}
	return ""
}

// toolCache is a volume that act makes and leaves, for all of its runs.
const toolCache = "act-toolcache"

// leaveNoToolCache removes act's volume after the jobs, unless it was there before: then
// it is somebody's who uses act.
func leaveNoToolCache(ctx context.Context) (after func()) {
	nothing := func() {}
	cli, err := container.GetDockerClient(ctx)
	if err != nil {
		return nothing // the job that needs the engine says so
	}
	defer func() { _ = cli.Close() }()
	if _, err := cli.VolumeInspect(ctx, toolCache, client.VolumeInspectOptions{}); err == nil {
		return nothing
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		_ = container.NewDockerVolumeRemoveExecutor(toolCache, false)(ctx) // in use by another run: that one's to remove
	}
}

// intoContainers is what a job's container gets of the environment: the way to the stage
// and to its CloudWatch. Its programs and folders are its own.
func intoContainers(env []string) map[string]string {
	out := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if name == DoorVariable || name == "CI" || strings.HasPrefix(name, "AWS_") {
			out[name] = value
		}
	}
	return out
}

// containerOptions mount the way to the stage and the command that uses it, and nothing
// else of this machine.
func containerOptions(rehearse, door string) (string, error) {
	program, err := filepath.EvalSymlinks(rehearse)
	if err != nil {
		return "", err
	}
	for _, path := range []string{program, door} {
		if strings.ContainsAny(path, " \t\"'\\:") {
			return "", fmt.Errorf("%s cannot be mounted into the container of a job: its path has a space, a quote or a colon", path)
		}
	}
	if _, err := os.Stat(door); err != nil {
		return "", err
	}
	return fmt.Sprintf("--volume %s:/usr/local/bin/rehearse:ro --volume %s:%s", program, door, door), nil
}

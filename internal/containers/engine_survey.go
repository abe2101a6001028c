package containers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
)

// An EngineFinding is one thing that the container stage needs, and whether it is
// there.
type EngineFinding struct {
	What   string        // "Docker engine", "image postgres:17"
	State  EngineVerdict // there, could be better, or missing
	Detail string
	Remedy string // what to do unless it is there
}

// EngineVerdict is what a survey says of one thing.
type EngineVerdict int

// The verdicts. A Weak finding does not keep the container stage from running.
const (
	EngineFine EngineVerdict = iota
	EngineWeak
	EngineMissing
)

func (v EngineVerdict) String() string {
	switch v {
	case EngineFine:
		return "ok"
	case EngineWeak:
		return "note"
	case EngineMissing:
		return "missing"
	default:
		panic(fmt.Sprintf("containers: unknown EngineVerdict %d", int(v)))
	}
}

// engineSpace is the free disk space below which a survey warns: twice what all
// images and one run's containers take.
const engineSpace = 2 << 30

// Survey looks at what the container stage needs on this machine, for the images
// that a rehearsal names and the recipes it has for them. It changes nothing, and
// takes a few seconds where registries do not answer.
func Survey(ctx context.Context, refs []string, recipes ...ImageRecipe) []EngineFinding {
	e, err := ConnectEngine(ctx)
	if err != nil {
		return append([]EngineFinding{surveyNoEngine(err)}, surveyTools()...)
	}
	defer func() { _ = e.Close() }()
	findings := append([]EngineFinding{surveyEngine(e)}, surveyTools()...)
	findings = append(findings, surveySpace(ctx, e), surveyNetem(ctx))
	images, err := NewImages(e, nil, recipes...)
	if err != nil {
		return append(findings, EngineFinding{"folder to build images in", EngineMissing, err.Error(), "set XDG_CACHE_HOME to a folder that can be written"})
	}
	return append(findings, images.survey(ctx, refs)...)
}

func surveyNoEngine(err error) EngineFinding {
	f := EngineFinding{What: "Docker engine", State: EngineMissing, Detail: err.Error()}
	if reason := EngineInstallable(); reason == nil {
		f.Remedy = "`make verify` installs and starts Debian's docker.io by itself"
	} else {
		f.Remedy = reason.Error()
	}
	return f
}

func surveyEngine(e *Engine) EngineFinding {
	where := "published ports answer on " + e.PublishedHost
	if e.Local {
		where = "on this machine; containers can be dialled directly"
	}
	return EngineFinding{What: "Docker engine", Detail: fmt.Sprintf("%s, API %s, at %s (%s); %s, %d CPUs, %.1f GB",
		e.Version, e.API, e.Host, where, e.System, e.CPUs, float64(e.Memory)/1e9)}
}

// surveyTools looks for what builds images where they cannot be pulled.
func surveyTools() []EngineFinding {
	goTool := EngineFinding{What: "go", Detail: "builds the images of Go programs"}
	if err := imageGoTool(); err != nil {
		goTool.State, goTool.Detail, goTool.Remedy = EngineMissing, "not on PATH", "install Go from https://go.dev/dl"
	} else if out, err := exec.Command("go", "env", "GOVERSION").Output(); err == nil {
		goTool.Detail = strings.TrimSpace(string(out)) + ", " + goTool.Detail
	}
	apt := EngineFinding{What: "apt-get and dpkg-deb", Detail: "build the images of HAProxy and PostgreSQL from Debian packages"}
	if err := debianTools(); err != nil {
		apt.State, apt.Detail = EngineWeak, err.Error()
		apt.Remedy = "needed only where haproxy and postgres can be neither pulled nor loaded"
	}
	return []EngineFinding{goTool, apt}
}

func surveySpace(ctx context.Context, e *Engine) EngineFinding {
	f := EngineFinding{What: "disk space"}
	dir, whose := os.TempDir(), "this machine"
	if info, err := e.Client.Info(ctx, client.InfoOptions{}); err == nil && e.Local && fileExists(info.Info.DockerRootDir) {
		dir, whose = info.Info.DockerRootDir, "the engine"
	}
	free, err := freeSpace(dir)
	if err != nil {
		f.State, f.Detail, f.Remedy = EngineWeak, err.Error(), "check by hand that 2 GB are free"
		return f
	}
	f.Detail = fmt.Sprintf("%.1f GB free for %s in %s", float64(free)/1e9, whose, dir)
	if free < engineSpace {
		f.State, f.Remedy = EngineWeak, "make room: `docker system df` shows what takes it"
	}
	return f
}

// surveyNetem tries a delay in a network namespace of its own.
func surveyNetem(ctx context.Context) EngineFinding {
	f := EngineFinding{What: "netem", State: EngineWeak, Remedy: "not needed: latency comes from Toxiproxy"}
	for _, tool := range []string{"unshare", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			f.Detail = "unknown: " + tool + " is not installed"
			return f
		}
	}
	if os.Geteuid() != 0 {
		f.Detail = "unknown: only root can try"
		return f
	}
	if _, err := imageRun(exec.CommandContext(ctx, "unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")); err != nil {
		f.Detail = "this kernel does not have it"
		return f
	}
	return EngineFinding{What: "netem", Detail: "this kernel has it"}
}

// survey says of each image whether it is there or how it would be had.
func (m *Images) survey(ctx context.Context, refs []string) []EngineFinding {
	reach := m.registry.survey(ctx, refs)
	findings := make([]EngineFinding, 0, len(refs))
	for _, ref := range refs {
		f := EngineFinding{What: "image " + ref}
		recipe := m.recipe(ref)
		id, present, err := m.present(ctx, ref, recipe)
		unreachable := reach[imageRegistry(ref)]
		switch {
		case err != nil:
			f.State, f.Detail, f.Remedy = EngineMissing, err.Error(), "remove the cause"
		case present:
			f.Detail = "there"
		case recipe != nil && (recipe.Own() || unreachable != nil || id != ""):
			f.State, f.Detail, f.Remedy = EngineWeak, "can be built here from "+recipe.Source(), "nothing: the first run builds it"
			if _, err := buildRefs(recipe); err != nil {
				f.State, f.Detail, f.Remedy = EngineMissing, "cannot be built here: "+err.Error(), "remove the cause, or bring it in with `docker load` or `docker tag`"
			}
		case unreachable == nil:
			f.State, f.Detail, f.Remedy = EngineWeak, "can be pulled from "+imageRegistry(ref), "nothing: the first run pulls it"
		default:
			f.State = EngineMissing
			f.Detail = fmt.Sprintf("registry %s cannot be reached (%s), and there is no recipe to build it here", imageRegistry(ref), imageShort(unreachable.Error()))
			f.Remedy = "bring it in with `docker load` or `docker tag`"
		}
		findings = append(findings, f)
	}
	return findings
}

// survey asks all registries of the images at once whether they can be reached.
func (r *imageRegistries) survey(ctx context.Context, refs []string) map[string]error {
	if r.proxied {
		return nil
	}
	var hosts []string
	for _, ref := range refs {
		hosts = append(hosts, imageRegistry(ref))
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	ctx, cancel := context.WithTimeout(ctx, min(r.patience, 3*time.Second))
	defer cancel()
	failures := make([]error, len(hosts))
	var done sync.WaitGroup
	for i, host := range hosts {
		done.Go(func() { failures[i] = r.probe(ctx, host) })
	}
	done.Wait()
	reach := map[string]error{}
	for i, host := range hosts {
		reach[host] = failures[i]
	}
	return reach
}

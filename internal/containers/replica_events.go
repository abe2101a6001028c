package containers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// onExit has f called, in a goroutine of its own, each time the container exits.
// It must be called before the container starts. A nil f forgets it: from then on
// it may exit as it likes.
func (s *Stage) onExit(id string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == nil {
		delete(s.exits, id)
		return
	}
	s.exits[id] = f
}

// watchEngine follows what happens to the stage's containers, until the stage's
// life ends.
func (s *Stage) watchEngine() {
	s.background.Go(func() {
		since := ""
		for s.life.Err() == nil {
			err := s.followEvents(&since)
			if s.life.Err() != nil {
				return
			}
			if s.engineGone(s.life) {
				s.lose("the Docker engine does not answer any more: %v", err)
				return
			}
		}
	})
}

// followEvents reads the engine's events until that fails. since is where to go on
// after it.
func (s *Stage) followEvents(since *string) error {
	filters := make(client.Filters).Add("type", "container").Add("event", "die").Add("label", stageLabel+"="+s.id)
	stream := s.docker.Events(s.life, client.EventsListOptions{Since: *since, Filters: filters})
	for {
		select {
		case e := <-stream.Messages:
			*since = fmt.Sprintf("%d.%09d", e.TimeNano/1e9, e.TimeNano%1e9+1)
			s.exitedNow(e)
		case err := <-stream.Err:
			return err
		}
	}
}

func (s *Stage) exitedNow(e events.Message) {
	s.mu.Lock()
	f := s.exits[e.Actor.ID]
	s.mu.Unlock()
	if f != nil {
		s.background.Go(f)
	}
}

// An exit is how a container ended.
type exit struct {
	code   int
	memory bool // the kernel killed it at its memory limit
	// silent is that it was killed although nobody asked the engine to, which leaves
	// the kernel: not every engine hears of that.
	silent bool
	limit  int64  // its memory limit in bytes; 0 is none
	err    string // what the engine says, if anything
}

// outOfMemory says whether the kernel killed it at its memory limit, as far as can
// be told.
func (e exit) outOfMemory() bool { return e.memory || (e.silent && e.limit > 0) }

func (e exit) String() string {
	text := fmt.Sprintf("exited with %d", e.code)
	switch {
	case e.memory:
		text += fmt.Sprintf(" (out of memory: killed by the kernel at its memory limit of %s)", units.BytesSize(float64(e.limit)))
	case e.silent && e.limit > 0:
		text += fmt.Sprintf(" (killed by nobody's order: out of memory, with its limit of %s)", units.BytesSize(float64(e.limit)))
	case e.code == 137:
		text += " (killed)"
	case e.code == 143:
		text += " (terminated)"
	case e.code == 139:
		text += " (segmentation fault)"
	}
	if e.err != "" {
		text += ": " + e.err
	}
	return text
}

// exitOf asks the engine how a container ended. It does not fail: where the engine
// is silent, the exit says so.
func (s *Stage) exitOf(ctx context.Context, id string) exit {
	ctx, cancel := context.WithTimeout(ctx, engineGoneAfter)
	defer cancel()
	info, err := s.docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil || info.Container.State == nil {
		return exit{code: -1, err: "the engine cannot say how"}
	}
	state := info.Container.State
	e := exit{code: state.ExitCode, memory: state.OOMKilled, err: state.Error}
	if info.Container.HostConfig != nil {
		e.limit = info.Container.HostConfig.Memory
	}
	return e
}

// owned is every container of the stage that testcontainers made, but the balancer's.
func (s *Stage) owned() []*testcontainers.DockerContainer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*testcontainers.DockerContainer
	if s.border != nil {
		all = append(all, s.border.container)
	}
	for _, one := range s.services {
		all = append(all, one.container)
	}
	for _, r := range s.relays {
		all = append(all, r.container)
	}
	for _, t := range s.guards {
		all = append(all, t.container)
	}
	for _, v := range s.versions {
		for _, r := range v.replicas {
			all = append(all, r.container)
		}
	}
	return all
}

// remove ends a container and removes it with its anonymous volumes, at once.
func (s *Stage) remove(ctx context.Context, ctr *testcontainers.DockerContainer) error {
	if ctr == nil {
		return nil
	}
	s.onExit(ctr.ID, nil)
	err := forceRemove(ctx, s.docker, ctr.ID)
	// Only by this does testcontainers let go of its line to the reaper. There is
	// nothing left for it to stop.
	_ = ctr.Terminate(ctx, testcontainers.StopTimeout(0))
	return err
}

// forceRemove kills and removes a container. One that is frozen is thawed first:
// engines cannot kill it otherwise.
func forceRemove(ctx context.Context, docker client.APIClient, id string) error {
	force := client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}
	_, err := docker.ContainerRemove(ctx, id, force)
	if err != nil && strings.Contains(err.Error(), "paused") {
		_, _ = docker.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
		_, err = docker.ContainerRemove(ctx, id, force)
	}
	if err = ignoreMissing(err); err != nil {
		return fmt.Errorf("remove container: %w", err)
	}
	return nil
}

// stop lets a container end by itself within its grace, and then ends it.
func (s *Stage) stop(ctx context.Context, id string, grace time.Duration) error {
	seconds := int(grace.Round(time.Second).Seconds())
	_, err := s.docker.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &seconds})
	return ignoreMissing(err)
}

// frozen says whether the engine holds the container.
func (s *Stage) frozen(ctx context.Context, id string) (bool, error) {
	info, err := s.docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil || info.Container.State == nil {
		return false, err
	}
	return info.Container.State.Status == container.StatePaused, nil
}

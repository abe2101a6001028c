package containers

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rehearsal/internal/stage"
)

// outOfMemory uses up, from outside the service, what memory every replica may have,
// so that the kernel kills it at its limit; and again each time it starts.
type outOfMemory struct {
	failureBase
	program []byte
}

func newOutOfMemory(base failureBase) (failure, error) {
	if base.s.memoryLimit() == 0 {
		return nil, fmt.Errorf("%w: %s has no memory limit to run into: set deploy.resources.limits.memory in the compose file",
			errors.ErrUnsupported, base.s.setup.Service)
	}
	program, err := ballast(base.s.engine.Arch)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return &outOfMemory{base, program}, nil
}

// memoryLimit is what a replica of the released service may use, in bytes.
func (s *Stage) memoryLimit() int64 {
	if s.setup.MemoryLimit > 0 {
		return s.setup.MemoryLimit
	}
	return memoryLimit(s.project.Services[s.setup.Service])
}

func (f *outOfMemory) inject(ctx context.Context) (bool, error) {
	running := f.s.replicasOf(f.Failure)
	return len(running) > 0, each(running, func(r *replica) error { return f.replicaStarted(ctx, r) })
}

func (f *outOfMemory) replicaStarted(ctx context.Context, r *replica) error {
	id := r.id()
	file := copiedFile{text: string(f.program), target: ballastPath, mode: 0o555}
	if err := copyInto(ctx, f.s.docker, id, []copiedFile{file}); err != nil {
		return err
	}
	made, err := f.s.docker.ExecCreate(ctx, id, client.ExecCreateOptions{Cmd: []string{ballastPath}})
	if err == nil {
		_, err = f.s.docker.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true})
	}
	if err != nil && !notRunning(err) {
		return fmt.Errorf("use up the memory of %s: %w", r.name, err)
	}
	// It takes no traffic before it is killed.
	ctx, cancel := context.WithTimeoutCause(ctx, landWithin, fmt.Errorf("%w within %s", stage.ErrNotLanded, landWithin))
	defer cancel()
	end := f.s.docker.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case <-end.Result:
		return nil
	case err := <-end.Error:
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
}

func (f *outOfMemory) replicaExited(r *replica, how exit) {
	if how.outOfMemory() {
		f.land("%s %s", r.name, how)
	}
}

// deployed waits for what takes its time to fill up.
func (f *outOfMemory) deployed(ctx context.Context, _ string) error { return awaitLanding(ctx, f) }

func (f *outOfMemory) heal(context.Context) error { f.hurryAll(); return nil }

package containers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"rehearsal/internal/stage"
)

// variable starts the replicas of a version without a variable, or with a wrong
// value of it. Replicas that run are made anew.
type variable struct{ failureBase }

func (f *variable) inject(ctx context.Context) (bool, error) { return f.s.recreate(ctx, f.Version) }

func (f *variable) replicaCreated(c *containerSpec) {
	if f.Kind == stage.MissingVariable {
		delete(c.environment, f.Variable)
	} else {
		c.environment[f.Variable] = f.Value
	}
}

func (f *variable) replicaStarted(ctx context.Context, r *replica) error {
	info, err := f.s.docker.ContainerInspect(ctx, r.id(), client.ContainerInspectOptions{})
	if err != nil || info.Container.Config == nil {
		return err
	}
	i := slices.IndexFunc(info.Container.Config.Env, func(v string) bool { return strings.HasPrefix(v, f.Variable+"=") })
	switch {
	case f.Kind == stage.MissingVariable && i < 0:
		f.land("%s runs without %s", r.name, f.Variable)
	case f.Kind == stage.WrongVariable && i >= 0 && info.Container.Config.Env[i] == f.Variable+"="+f.Value:
		f.land("%s runs with %s", r.name, f.s.secrets.redact(info.Container.Config.Env[i]))
	default:
		return fmt.Errorf("%w: the image itself sets %s", stage.ErrNotLanded, f.Variable)
	}
	return nil
}

func (f *variable) heal(ctx context.Context) error {
	_, err := f.s.recreate(ctx, f.Version)
	return err
}

// recreate makes the replicas of a version anew. It reports whether there are any.
func (s *Stage) recreate(ctx context.Context, name string) (bool, error) {
	d := s.version(name)
	if d == nil || len(d.replicas) == 0 {
		return false, nil
	}
	way, err := s.routeOf(ctx, name)
	if err != nil {
		return true, err
	}
	return true, each(d.replicas, func(r *replica) error { return r.recreate(ctx, d.Version, way) })
}

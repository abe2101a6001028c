package containers

import (
	"context"
	"strconv"
	"strings"
)

// zoneLost kills every replica in one availability zone, and again each that starts
// there. The nth replica of a version is in the nth zone, in turn.
type zoneLost struct{ failureBase }

func (f *zoneLost) inject(ctx context.Context) (bool, error) {
	hit := false
	err := each(f.s.replicasOf(f.Failure), func(r *replica) error { return f.replicaStarted(ctx, r) })
	for _, r := range f.s.replicasOf(f.Failure) {
		hit = hit || f.has(r)
	}
	return hit, err
}

func (f *zoneLost) has(r *replica) bool {
	nth, err := strconv.Atoi(r.name[strings.LastIndexByte(r.name, '-')+1:])
	return err == nil && f.s.setup.ZoneOf(nth) == f.Zone
}

func (f *zoneLost) replicaStarted(ctx context.Context, r *replica) error {
	if !f.has(r) {
		return nil
	}
	return r.kill(ctx)
}

func (f *zoneLost) replicaExited(r *replica, how exit) {
	if f.has(r) {
		f.killed(r, how)
	}
}

func (f *zoneLost) heal(context.Context) error { f.hurryAll(); return nil }

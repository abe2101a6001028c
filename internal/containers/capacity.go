package containers

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
	"github.com/moby/moby/client"

	"rehearsal/internal/stage"
)

const (
	// copiesPerCore is how many stages a core carries: for most of a rehearsal a stage
	// waits, under traffic of a few requests a second.
	copiesPerCore = 1.5
	// unlimitedMemory is what a container without a memory limit is taken to use, and one
	// of the harness's own.
	unlimitedMemory = 64 << 20
	harnessOwn      = 4 // balancer, two ways to the dependencies, border
)

// Copies is how many stages of the set-up an engine carries at once, at least 1 and at
// most most, by its cores and by its memory, of which a half is left to others; and the
// reason, for people.
func Copies(ctx context.Context, e *Engine, p *types.Project, setup *stage.Setup, most int) (int, string, error) {
	info, err := e.Client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return 0, "", fmt.Errorf("ask the engine what it has: %w", err)
	}
	need := memoryOf(p, setup)
	cores, memory := info.Info.NCPU, info.Info.MemTotal
	byCores, byMemory := int(copiesPerCore*float64(cores)), int(memory/2/need)
	n := max(1, min(byCores, byMemory, most))
	return n, fmt.Sprintf("%d at once, as the engine has %d cores and %s of memory, and each may take %s",
		n, cores, units.BytesSize(float64(memory)), units.BytesSize(float64(need))), nil
}

// memoryOf is the memory, in bytes, that a stage may take during a release, when two
// versions run.
func memoryOf(p *types.Project, setup *stage.Setup) int64 {
	assumed := func(limit int64) int64 {
		if limit == 0 {
			return unlimitedMemory
		}
		return limit
	}
	total := int64(harnessOwn * unlimitedMemory)
	for name, c := range p.Services {
		if name != setup.Service {
			total += assumed(memoryLimit(c)) * int64(ComposeReplicas(c))
		}
	}
	limit := setup.MemoryLimit
	if limit == 0 {
		limit = memoryLimit(p.Services[setup.Service])
	}
	replicas := 1
	for _, v := range slices.Collect(maps.Values(setup.Versions)) {
		replicas = max(replicas, setup.ReplicasOf(v))
	}
	return total + 2*int64(replicas)*assumed(limit)
}

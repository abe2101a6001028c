package containers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/client"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// What a container may write that no volume or limit of the compose file counts: its
// log, which the stage has the engine cut at 20 MB, and what it changes of its image.
const (
	roomLog     = 20 << 20
	roomWritten = 64 << 20
)

// A room is what is asked of an engine, and what it has, in bytes.
type room struct {
	memory, memoryHas int64
	disk, diskHas     int64 // diskHas -1: nobody can say, the engine is elsewhere
	images            int64 // on its disk already
	containers        int
	unlimited         []string // services without a memory limit: not counted
}

// probeRoom compares what the staging copy asks for while the version runs beside what is
// deployed with what the engine has.
func (s *Stage) probeRoom(ctx context.Context, p stage.Probe) (string, error) {
	asked := s.room(p.Version)
	info, err := s.docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return "", fmt.Errorf("ask the engine what it has: %w", err)
	}
	asked.memoryHas, asked.diskHas = info.Info.MemTotal, -1
	if root := info.Info.DockerRootDir; s.engine.Local && fileExists(root) {
		if asked.diskHas, err = freeSpace(root); err != nil {
			return "", fmt.Errorf("free space of %s: %w", root, err)
		}
	}
	if asked.images, err = imageSizes(ctx, s.docker); err != nil {
		return "", fmt.Errorf("ask the engine what its images take: %w", err)
	}
	said, fits := asked.judge()
	if !fits {
		return "", failed(p, "%s", said)
	}
	return said, nil
}

// imageSizes is how many bytes the engine's images take. Engines before 23 count for one
// who asks at a time and refuse the others, such as a scenario that runs beside this one.
func imageSizes(ctx context.Context, docker client.APIClient) (bytes int64, err error) {
	perr := clock.Poll(ctx, 100*time.Millisecond, func() (bool, error) {
		var used client.DiskUsageResult
		used, err = docker.DiskUsage(ctx, client.DiskUsageOptions{Images: true})
		bytes = used.Images.TotalSize
		return err == nil || !strings.Contains(err.Error(), "already running"), nil
	})
	return bytes, cmp.Or(err, perr)
}

// room is what the staging copy asks for: every service once, the released one with the
// replicas of what is deployed and of version.
func (s *Stage) room(version string) (r room) {
	add := func(name string, memory int64, n int) {
		r.containers += n
		r.memory += int64(n) * memory
		r.disk += int64(n) * (roomLog + roomWritten)
		if memory == 0 {
			r.unlimited = append(r.unlimited, name)
		}
	}
	composed := s.composed()
	for _, name := range slices.Sorted(maps.Keys(composed)) {
		add(name, memoryLimit(composed[name]), 1)
	}
	replicas := s.setup.ReplicasOf(s.setup.Versions[version])
	s.mu.Lock()
	for name, d := range s.versions {
		if name != version {
			replicas += len(d.replicas)
		}
	}
	s.mu.Unlock()
	memory := s.setup.MemoryLimit
	if memory == 0 {
		memory = memoryLimit(s.project.Services[s.setup.Service])
	}
	add(s.setup.Service, memory, replicas)
	return r
}

// judge says the numbers, and whether all fits.
func (r room) judge() (said string, fits bool) {
	size := func(n int64) string { return units.BytesSize(float64(n)) }
	said = fmt.Sprintf("%d containers may take %s of memory, the engine has %s; they may write %s", r.containers, size(r.memory), size(r.memoryHas), size(r.disk))
	switch {
	case r.diskHas < 0:
		said += ", and how much disk is free there cannot be seen from here"
	default:
		said += fmt.Sprintf(", and %s of disk are free", size(r.diskHas))
	}
	said += fmt.Sprintf(" beside %s of images", size(r.images))
	if len(r.unlimited) > 0 {
		said += fmt.Sprintf("; without a memory limit, and not counted: %s", strings.Join(r.unlimited, ", "))
	}
	switch {
	case r.memory > r.memoryHas:
		return "not enough memory: " + said, false
	case r.diskHas >= 0 && r.disk > r.diskHas:
		return "not enough disk: " + said, false
	}
	return said, true
}

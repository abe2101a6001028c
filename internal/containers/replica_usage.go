package containers

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// A gauge is what a replica uses, by the engine's latest count.
type gauge struct {
	mu          sync.Mutex
	cpu, memory float64 // percent
	ok          bool
}

// usage is the CPU and memory that the service's replicas use, in percent of what
// they may, as ECS averages it.
func (s *Stage) usage() (cpu, memory float64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0.0
	for _, v := range s.versions {
		for _, r := range v.replicas {
			r.gauge.mu.Lock()
			if r.gauge.ok {
				cpu, memory, n = cpu+r.gauge.cpu, memory+r.gauge.memory, n+1
			}
			r.gauge.mu.Unlock()
		}
	}
	if n == 0 {
		return 0, 0, false
	}
	return cpu / n, memory / n, true
}

// watchesUsage says whether any alarm looks at what containers use. Where none does,
// the engine is not made to count.
func (s *Stage) watchesUsage() bool {
	is := func(namespace string) bool { return strings.EqualFold(namespace, "AWS/ECS") }
	for _, a := range s.setup.Alarms {
		if is(a.Namespace) {
			return true
		}
		for _, q := range a.Metrics {
			if q.MetricStat != nil && is(q.MetricStat.Metric.Namespace) {
				return true
			}
		}
	}
	return false
}

// measure follows the engine's counts of a replica, once a second, until its
// container is gone.
func (s *Stage) measure(r *replica) {
	if !s.watchesUsage() {
		return
	}
	id := r.id()
	s.background.Go(func() {
		if s.engine.Local {
			s.measureHere(r, id)
			return
		}
		stats, err := s.docker.ContainerStats(s.life, id, client.ContainerStatsOptions{Stream: true})
		if err != nil {
			return
		}
		defer func() { _ = stats.Body.Close() }()
		stop := context.AfterFunc(s.life, func() { _ = stats.Body.Close() })
		defer stop()
		counts := json.NewDecoder(stats.Body)
		for {
			var now container.StatsResponse
			if counts.Decode(&now) != nil || r.id() != id {
				return
			}
			r.gauge.set(now, s.cpuLimit())
		}
	})
}

// usageSample is how often, in wall time, a replica's counts are read on this
// machine: often enough that each alarm period has some at any sensible pace.
const usageSample = 200 * time.Millisecond

// measureHere reads the kernel's own counts until the container is gone. Its process,
// and with it the counts, comes only as it starts, and anew each time it does.
func (s *Stage) measureHere(r *replica, id string) {
	var counts *cgroup
	var before time.Duration
	var at time.Time
	_ = clock.Poll(s.life, usageSample, func() (gone bool, _ error) {
		if counts == nil {
			info, err := s.docker.ContainerInspect(s.life, id, client.ContainerInspectOptions{})
			if err != nil || r.id() != id {
				return true, nil //nolint:nilerr // the container is gone
			}
			if info.Container.State == nil || info.Container.State.Pid == 0 {
				return false, nil
			}
			if counts, err = cgroupOf(info.Container.State.Pid); err != nil {
				return false, nil //nolint:nilerr // it may have exited just now
			}
			before, _, _, err = counts.usage()
			at = clock.Wall()
			if err != nil {
				counts = nil
			}
			return false, nil
		}
		cpu, memory, limit, err := counts.usage()
		if err != nil {
			counts = nil
			r.gauge.unknown()
			return false, nil //nolint:nilerr // its process has exited
		}
		r.gauge.know(100*(cpu-before).Seconds()/clock.Since(at).Seconds()/s.cpuLimit(), memory, limit)
		before, at = cpu, clock.Wall()
		return false, nil
	})
}

// know takes the CPU in percent, and the memory in use and its limit in bytes.
func (g *gauge) know(cpu, memory, limit float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ok = limit > 0
	if g.ok {
		g.cpu, g.memory = cpu, 100*memory/limit
	}
}

func (g *gauge) unknown() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ok = false
}

// cpuLimit is how many CPUs a replica may use; without a limit, one.
func (s *Stage) cpuLimit() float64 {
	if s.setup.CPUs > 0 {
		return s.setup.CPUs
	}
	c := s.project.Services[s.setup.Service]
	if n := max(float64(c.CPUS), float64(limits(c).NanoCPUs)); n > 0 {
		return n
	}
	return 1
}

func (g *gauge) set(now container.StatsResponse, cpus float64) {
	used := float64(now.CPUStats.CPUUsage.TotalUsage) - float64(now.PreCPUStats.CPUUsage.TotalUsage)
	passed := now.Read.Sub(now.PreRead).Seconds()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ok = false
	if now.PreRead.IsZero() || passed <= 0 || now.MemoryStats.Limit == 0 {
		return // the first count, or that of a container that has exited
	}
	g.ok = true
	g.cpu = 100 * used / 1e9 / passed / cpus
	g.memory = 100 * float64(now.MemoryStats.Usage-reclaimable(now.MemoryStats.Stats)) / float64(now.MemoryStats.Limit)
}

// reclaimable is the page cache in what a container uses.
func reclaimable(stats map[string]uint64) uint64 {
	if n, v1 := stats["total_inactive_file"]; v1 {
		return n
	}
	return stats["inactive_file"]
}

// registeredTargets is a version's targets without those whose container has exited:
// a scheduler such as ECS takes a task that stops out of its target group, and puts
// one that it starts in its place in anew, so that neither is an unhealthy host
// until the new one has had its time to become healthy.
func (s *Stage) registeredTargets(version string) []target {
	running := s.replicasOf(stage.Failure{Version: version})
	now := s.clock.Now()
	return slices.DeleteFunc(s.balancer.targets(version), func(t target) bool {
		i := slices.IndexFunc(running, func(r *replica) bool { return r.name == t.Name })
		return i >= 0 && running[i].replaced(t, now)
	})
}

// replaced says whether the replica has exited, or has been started again and has
// not become healthy yet.
func (r *replica) replaced(t target, now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	again := r.exits > 0 && t.State == targetUnhealthy && now-r.startedAt < r.s.setup.Health.Deadline
	return r.state == replicaPausing || again
}

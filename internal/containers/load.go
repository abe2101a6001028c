package containers

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/client"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

var (
	_ stage.Loader = (*Stage)(nil)
	_ stage.Meter  = (*Stage)(nil)
)

// Load has the users send so many requests per second from now on. Requests that this
// machine sends late are then told (stage.Traffic.Late), and do not lose the stage.
func (s *Stage) Load(ctx context.Context, rate float64) (err error) {
	_, leave := s.enter(ctx)
	defer leave(&err)
	if !(rate > 0) || math.IsInf(rate, 1) {
		return fmt.Errorf("a load of %g requests per second: want more than 0", rate)
	}
	s.setup.Traffic.Rate = rate
	if s.traffic != nil {
		s.traffic.load(rate)
	}
	return nil
}

// Serve lets d pass at 1, and waits for the answers to what was sent meanwhile: at most
// as long as the users do, and a little longer where requests are late.
func (s *Stage) Serve(ctx context.Context, d time.Duration) (err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	until := clock.Wall().Add(d)
	if err := clock.Poll(ctx, waitStep, func() (bool, error) { return clock.Since(until) >= 0, s.broken() }); err != nil {
		return context.Cause(ctx)
	}
	if s.traffic == nil {
		return nil
	}
	patience, cancel := context.WithTimeout(ctx, s.setup.Traffic.Timeout+5*trafficLag)
	defer cancel()
	err = clock.Poll(patience, waitStep, func() (bool, error) { return s.traffic.answeredUntil(until), s.broken() })
	if err != nil && patience.Err() != nil && ctx.Err() == nil {
		return nil // what is not answered by now is missing in the history: it was sent far too late
	}
	return err
}

func (t *traffic) load(rate float64) {
	t.mu.Lock()
	t.pushed = true
	t.mu.Unlock()
	t.schedule.load(rate, clock.Since(t.schedule.began))
}

// answeredUntil says whether everything that was due until then is over, and recorded.
func (t *traffic) answeredUntil(at time.Time) bool {
	t.mu.Lock()
	over := t.schedule.window(t.schedule.intended(t.ended.first)) > t.schedule.window(at)
	t.mu.Unlock()
	if over {
		t.flush()
	}
	return over
}

// Parts is the CPU time that everything of the stage has used, and this machine, on whose
// kernel's counts it relies: errors.ErrUnsupported where the engine is elsewhere.
func (s *Stage) Parts(ctx context.Context) (parts []stage.Part, err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	if !s.engine.Local {
		return nil, fmt.Errorf("%w: the engine is on another machine, which does not say what its containers use", errors.ErrUnsupported)
	}
	cores := float64(runtime.NumCPU())
	s.mu.Lock()
	ids := map[string][]string{}
	for name, v := range s.versions {
		for _, r := range v.replicas {
			if id := r.id(); id != "" {
				ids[name] = append(ids[name], id)
			}
		}
	}
	s.mu.Unlock()
	add := func(kind stage.PartKind, name string, cpus float64, ids ...string) error {
		used, err := s.cpuOf(ctx, ids)
		parts = append(parts, stage.Part{Kind: kind, Name: name, Used: used, CPUs: cpus})
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(ids)) {
		limit := s.setup.CPUs
		if limit == 0 {
			limit = cores
		}
		if err := add(stage.PartVersion, name, min(limit*float64(len(ids[name])), cores), ids[name]...); err != nil {
			return nil, err
		}
	}
	if err := add(stage.PartBalancer, "", 1, s.balancer.container.GetContainerID()); err != nil { // it has one thread
		return nil, err
	}
	for _, d := range s.setup.Dependencies {
		c := s.services[d.Name]
		if c == nil || c.container == nil {
			continue
		}
		if err := add(stage.PartDependency, d.Name, min(cmp.Or(ComposeCPUs(c.ServiceConfig), cores), cores), c.container.ID); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.routes)) {
		for _, g := range s.routes[name].guards {
			if err := add(stage.PartWay, name, cores, g.container.ID); err != nil {
				return nil, err
			}
		}
	}
	used, err := machineCPU()
	return append(parts, stage.Part{Kind: stage.PartMachine, Used: used, CPUs: cores}), err
}

// ComposeCPUs is how many CPUs a container of the service may use; 0 is no limit.
func ComposeCPUs(c types.ServiceConfig) float64 {
	if n := max(float64(c.CPUS), float64(limits(c).NanoCPUs)); n > 0 {
		return n
	}
	if c.CPUQuota > 0 {
		period := c.CPUPeriod
		if period == 0 {
			period = 100_000 // the kernel's, in microseconds
		}
		return float64(c.CPUQuota) / float64(period)
	}
	return 0
}

// cpuOf is the CPU time that containers have used. One that does not run uses none.
func (s *Stage) cpuOf(ctx context.Context, ids []string) (sum time.Duration, err error) {
	for _, id := range ids {
		info, err := s.docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return 0, err
		}
		if info.Container.State == nil || info.Container.State.Pid == 0 {
			continue
		}
		counts, err := cgroupOf(info.Container.State.Pid)
		if err != nil {
			continue // it has exited just now
		}
		if used, _, _, err := counts.usage(); err == nil {
			sum += used
		}
	}
	return sum, nil
}

// machineCPU is the time that this machine's CPUs were not idle, since it began, time
// that its host took away included: proc(5), /proc/stat.
func machineCPU() (time.Duration, error) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Scan()
	return parseMachineCPU(lines.Text())
}

// parseMachineCPU reads its first line: "cpu user nice system idle iowait irq softirq
// steal guest guest_nice", in hundredths of a second.
func parseMachineCPU(line string) (busy time.Duration, err error) {
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("%w: /proc/stat begins with %q", errors.ErrUnsupported, line)
	}
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != 3 && i != 4 { // idle, and waiting for disks
			busy += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return busy, nil
}

package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"rehearsal/internal/stage"
)

// A model is what is assumed of the service: the setup, with a figure for
// everything that it leaves open.
type model struct {
	stage.Setup
	answers latency
	mix     []float64 // the share of each kind of request among it and those after it
}

// What is assumed where the setup says 0. The health check is an Application Load
// Balancer's.
const (
	assumedInterval      = 30 * time.Second
	assumedHealthy       = 5
	assumedUnhealthy     = 2
	assumedCheckTimeout  = 5 * time.Second
	assumedPatience      = 5 * time.Second // of the users, Load.Timeout
	assumedStart         = 5 * time.Second
	assumedMedian        = 20 * time.Millisecond
	assumedTail          = 5 // the 99th percentile is that many medians
	assumedRestartDelay  = time.Second
	assumedClientTimeout = 2 * time.Second
	assumedShiftTime     = 10 * time.Millisecond
	assumedDrainTime     = time.Second
	assumedErrorLogs     = 1.0
	assumedMemory        = 64 << 20 // bytes; a quarter of the limit where there is one
)

// What no setup says.
const (
	// refusedAfter is how soon the balancer answers when it has nobody to ask.
	refusedAfter = time.Millisecond
	// balancerPatience is how long the balancer waits for an answer, an Application
	// Load Balancer's idle time-out: then it answers with 504. Users who leave before
	// are no error of its.
	balancerPatience = time.Minute
	// longestRestart is where the doubling of the restart delay ends.
	longestRestart = time.Minute
	// steadyAfter is how long a replica must have run to be restarted without delay
	// when it exits, as the Docker engine does it.
	steadyAfter = 10 * time.Second
	// idleProcessor and requestProcessor are CPUUtilization: what an idle replica
	// uses, in percent, and what each request takes of the replica's one core.
	idleProcessor    = 2.0
	requestProcessor = time.Millisecond
	// sampling is how often host counts, processor and memory are looked at.
	sampling = 10 * time.Second
)

// newModel checks setup and fills in what it leaves open.
func newModel(setup stage.Setup) (*model, error) {
	if err := check(&setup); err != nil {
		return nil, err
	}
	m := &model{Setup: setup}
	h := &m.Health
	assume(&h.Interval, assumedInterval)
	assume(&h.Healthy, assumedHealthy)
	assume(&h.Unhealthy, assumedUnhealthy)
	assume(&h.Timeout, assumedCheckTimeout)
	assume(&m.Traffic.Timeout, assumedPatience)
	a := &m.Model
	assume(&a.Start, assumedStart)
	assume(&a.Median, assumedMedian)
	assume(&a.P99, assumedTail*a.Median)
	assume(&a.RestartDelay, assumedRestartDelay)
	assume(&a.ClientTimeout, assumedClientTimeout)
	assume(&a.ShiftTime, assumedShiftTime)
	assume(&a.DrainTime, assumedDrainTime)
	assume(&a.ErrorLogs, assumedErrorLogs)
	assume(&a.Memory, m.MemoryLimit/4)
	assume(&a.Memory, assumedMemory)
	assume(&h.Deadline, 2*a.Start+4*h.Interval)
	m.answers = newLatency(a.Median, a.P99)
	m.mix = make([]float64, len(m.Traffic.Requests))
	rest := 0.0
	for i, r := range slices.Backward(m.Traffic.Requests) {
		rest += r.Weight
		m.mix[i] = r.Weight / rest
	}
	return m, nil
}

func assume[T comparable](figure *T, instead T) {
	var zero T
	if *figure == zero {
		*figure = instead
	}
}

// check says everything that is wrong with a setup.
func check(s *stage.Setup) error {
	var wrong []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	want(s.Replicas >= 0, "%d replicas: want 1 or more, or 0 for one", s.Replicas)
	want(s.MemoryLimit >= 0, "a memory limit of %d bytes: want more than 0, or 0 for none", s.MemoryLimit)
	h := s.Health
	want(h.Interval >= 0 && h.Timeout >= 0 && h.Deadline >= 0, "health check: its interval, time-out and deadline cannot be below 0")
	want(h.Healthy >= 0 && h.Unhealthy >= 0, "health check: its thresholds cannot be below 0")
	want(s.Traffic.Rate > 0, "traffic of %g requests per second: want more than 0", s.Traffic.Rate)
	want(s.Traffic.Timeout >= 0, "traffic: the time-out cannot be below 0")
	want(len(s.Traffic.Requests) > 0, "traffic: no requests: want at least one kind, with a name and a weight")
	for _, r := range s.Traffic.Requests {
		want(r.Weight > 0, "traffic: request %q has the weight %g: want more than 0", r.Name, r.Weight)
	}
	for _, d := range s.Dependencies {
		for _, name := range d.Requests {
			_, known := s.Traffic.Find(name)
			want(known, "dependency %q: no request of the traffic is named %q", d.Name, name)
		}
	}
	a := s.Model
	for _, d := range []time.Duration{a.Start, a.Median, a.P99, a.RestartDelay, a.ClientTimeout, a.ShiftTime, a.DrainTime} {
		want(d >= 0, "simulation: %v: a time cannot be below 0", d)
	}
	want(a.P99 == 0 || a.P99 >= a.Median, "simulation: the 99th percentile of the latency, %v, is below its median, %v", a.P99, a.Median)
	if err := a.Capacity.Check(); err != nil {
		wrong = append(wrong, fmt.Errorf("simulation: %w", err))
	}
	want(s.CPUs >= 0, "a limit of %g CPUs: want more than 0, or 0 for none", s.CPUs)
	want(s.Zones >= 0 && s.Zones <= 26, "%d zones: want 1 to 26, or 0 for %d", s.Zones, stage.DefaultZones)
	want(a.ErrorLogs >= 0 && a.Memory >= 0, "simulation: memory and error logs cannot be below 0")
	want(s.MemoryLimit == 0 || a.Memory < s.MemoryLimit, "simulation: a replica uses %d bytes, its memory limit is %d", a.Memory, s.MemoryLimit)
	for _, name := range slices.Sorted(maps.Keys(s.Versions)) {
		v := s.Versions[name]
		want(v.Name == name, "version %q is named %q inside: want one name", name, v.Name)
		if err := checkVersion(s, v); err != nil {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

// checkVersion says what is wrong with v.
func checkVersion(s *stage.Setup, v stage.Version) error {
	if v.Name == "" {
		return errors.New("a version without a name: want one, such as v2")
	}
	if v.Replicas < 0 {
		return fmt.Errorf("version %q: %d replicas: want 1 or more, or 0 for as many as the service has; Retire ends a version", v.Name, v.Replicas)
	}
	var wrong []error
	if err := s.CapacityOf(v).Check(); err != nil {
		wrong = append(wrong, fmt.Errorf("version %q: %w", v.Name, err))
	}
	for _, f := range ownFailures(v) {
		if err := checkFailure(s, f); err != nil {
			wrong = append(wrong, fmt.Errorf("version %q: simulated: %w", v.Name, err))
		} else if f.Version != v.Name {
			wrong = append(wrong, fmt.Errorf("version %q: simulated: %q is a failure of another version", v.Name, f))
		}
	}
	return errors.Join(wrong...)
}

// ownFailures is what v does wrong by itself.
func ownFailures(v stage.Version) []stage.Failure {
	own := slices.Clone(v.Simulated)
	for i := range own {
		if own[i].Version == "" {
			own[i].Version = v.Name
		}
	}
	return own
}

// checkFailure says what is wrong with f, and which names it could have meant.
func checkFailure(s *stage.Setup, f stage.Failure) error {
	if err := f.Validate(); err != nil {
		return err
	}
	if _, known := s.Versions[f.Version]; f.Version != "" && len(s.Versions) > 0 && !known {
		return fmt.Errorf("%s: unknown version %q: known are %q", f.Kind, f.Version, slices.Sorted(maps.Keys(s.Versions)))
	}
	if _, known := s.Dependency(f.Dependency); f.Dependency != "" && !known {
		return fmt.Errorf("%s: unknown dependency %q: known are %q", f.Kind, f.Dependency, namesOf(s.Dependencies, func(d stage.Dependency) string { return d.Name }))
	}
	if d, known := s.Dependency(f.Dependency); known {
		if err := f.Suits(d); err != nil {
			return err
		}
	}
	if f.Zone != "" && !slices.Contains(s.ZoneNames(), f.Zone) {
		return fmt.Errorf("%s: unknown zone %q: known are %q", f.Kind, f.Zone, s.ZoneNames())
	}
	if _, known := s.Traffic.Find(f.Request); f.Request != "" && !known {
		return fmt.Errorf("%s: unknown request %q: known are %q", f.Kind, f.Request, namesOf(s.Traffic.Requests, func(r stage.Request) string { return r.Name }))
	}
	return nil
}

func namesOf[T any](all []T, name func(T) string) []string {
	names := make([]string, 0, len(all))
	for _, one := range all {
		names = append(names, name(one))
	}
	return names
}

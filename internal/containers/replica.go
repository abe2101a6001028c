package containers

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// A replica is one container of a version, with its place at the balancer. When it
// exits it is started again, as a scheduler does: it keeps its name, its address
// and its place.
type replica struct {
	s       *Stage
	version string
	name    string // "v2-1", never given twice on one stage
	address netip.Addr
	log     *logTail
	gauge   gauge

	mu        sync.Mutex
	container *testcontainers.DockerContainer
	state     replicaState
	exits     int
	inRow     int           // exits without having run for long in between
	startedAt time.Duration // release time
	last      string        // how it exited the last time
	killed    bool          // the engine was asked to kill it
	wake      func()        // ends the pause before it is started again
}

// replicaState is a closed set.
type replicaState uint8

const (
	replicaStarting replicaState = iota // the engine is at it
	replicaRunning
	replicaPausing // it exited, and is started again later
	replicaFrozen  // a failure froze it
	replicaEnding  // it is to exit
)

// The pause before a replica that exited is started again: as Docker's restart
// policy, unless the setup's model says what the scheduler of production does.
// Release time.
const (
	restartFirst = 100 * time.Millisecond
	restartMost  = time.Minute
	restartCalm  = 10 * time.Second // who ran that long begins anew
)

// id is of the replica's present container; "" while it has none.
func (r *replica) id() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.container == nil {
		return ""
	}
	return r.container.ID
}

// runsWell says whether the replica runs, as far as the engine knows.
func (r *replica) runsWell() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == replicaRunning && !r.killed
}

func (r *replica) is() replicaState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// runs is how often the replica has exited: the number of its present run.
func (r *replica) runs() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.exits
}

func (r *replica) become(to replicaState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != replicaEnding {
		r.state = to
	}
}

// create makes the replica's container, as the failures of its version shape it.
func (r *replica) create(ctx context.Context, v stage.Version, way *route) error {
	s := r.s
	spec := serviceSpec(s.project, s.project.Services[s.setup.Service])
	spec.name = s.setup.Service + "-" + r.name
	spec.service.Image = v.Image
	spec.service.ContainerName = ""
	spec.service.Hostname = ""
	spec.environment = s.releasedEnvironment(&v)
	spec.address = r.address
	spec.hosts = s.hosts(way)
	if s.setup.MemoryLimit > 0 {
		spec.memory = s.setup.MemoryLimit
	}
	spec.cpus = s.setup.CPUs
	spec.labels = map[string]string{"rehearsal.version": r.version}
	for _, f := range s.failuresOf(r.version) {
		f.replicaCreated(&spec)
	}
	ctr, err := s.create(ctx, spec)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.container = ctr
	r.mu.Unlock()
	s.onExit(ctr.ID, r.exited)
	s.measure(r)
	return nil
}

// start starts the container, follows its log, and has the failures of its version
// meet it.
func (r *replica) start(ctx context.Context) error {
	r.mu.Lock()
	ctr, first := r.container, r.exits == 0
	r.killed = false
	r.startedAt = r.s.clock.Now()
	r.mu.Unlock()
	r.become(replicaStarting)
	if err := r.s.follow(ctx, r); err != nil {
		return err
	}
	var err error
	if first {
		err = ctr.Start(ctx)
	} else {
		_, err = r.s.docker.ContainerStart(ctx, ctr.ID, client.ContainerStartOptions{})
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", r.name, err)
	}
	if err := r.s.meet(ctx, r.version, func(f failure) error { return f.replicaStarted(ctx, r) }); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == replicaStarting { // no failure froze it, and it has not exited
		r.state = replicaRunning
	}
	return nil
}

// register gives the replica its place at the balancer.
func (r *replica) register(ctx context.Context) error {
	port := strconv.Itoa(r.s.setup.Health.Port)
	return r.s.balancer.add(ctx, r.version, r.name, net.JoinHostPort(r.address.String(), port))
}

// exited is called each time the container exits. It records how, and starts it
// again after a pause.
func (r *replica) exited() {
	s := r.s
	if r.is() == replicaEnding {
		return
	}
	id := r.id()
	how := s.exitOf(s.life, id)
	r.log.settle(s.life) // what it said last belongs to why
	r.mu.Lock()
	how.silent = how.code == 137 && !r.killed
	r.exits++
	if s.clock.Now()-r.startedAt > restartCalm {
		r.inRow = 0
	}
	pause := restartPause(s.setup.Model.RestartDelay, r.inRow)
	r.inRow++
	r.last = how.String()
	r.mu.Unlock()
	r.become(replicaPausing)
	for _, f := range s.failuresOf(r.version) { // the proof of what did it comes before what came of it
		f.replicaExited(r, how)
	}
	s.history.Record(stage.Event{Kind: stage.Exited, Version: r.version, Detail: r.name + " " + how.String() + r.log.tail(3)})
	r.pause(pause)
	if r.is() != replicaPausing || s.life.Err() != nil {
		return
	}
	defer s.clock.Work()()
	if err := r.start(s.life); err != nil && s.life.Err() == nil && r.is() != replicaEnding {
		if s.engineGone(s.life) {
			s.lose("the Docker engine does not answer any more: %v", err)
			return
		}
		// The engine says no: as an exit, so that it is tried again and seen.
		s.history.Record(stage.Event{Kind: stage.Exited, Version: r.version, Detail: err.Error()})
		r.mu.Lock()
		r.last = err.Error()
		r.mu.Unlock()
		s.background.Go(r.exited)
	}
}

// restartPause is how long a scheduler waits before it starts what has exited so
// many times before: first, then twice as long each time, up to a minute.
func restartPause(first time.Duration, before int) time.Duration {
	if first <= 0 {
		first = restartFirst
	}
	return min(first<<min(before, 16), max(restartMost, first))
}

// pauseStep is how often, in wall time, a pause of release time looks at the clock.
const pauseStep = 5 * time.Millisecond

// pause lets release time pass, unless somebody hurries.
func (r *replica) pause(d time.Duration) {
	ctx, cancel := context.WithCancel(r.s.life)
	defer cancel()
	r.mu.Lock()
	r.wake = cancel
	r.mu.Unlock()
	until := r.s.clock.Now() + d
	_ = clock.Poll(ctx, pauseStep, func() (bool, error) { return r.s.clock.Now() >= until, nil })
}

// hurry ends the replica's pause, and forgets how often it exited in a row.
func (r *replica) hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inRow = 0
	if r.wake != nil {
		r.wake()
	}
}

// kill ends the container as if somebody pulled the plug.
func (r *replica) kill(ctx context.Context) error {
	r.mu.Lock()
	r.killed = true
	r.mu.Unlock()
	_, err := r.s.docker.ContainerKill(ctx, r.id(), client.ContainerKillOptions{Signal: "SIGKILL"})
	if err != nil && !notRunning(err) {
		return fmt.Errorf("kill %s: %w", r.name, err)
	}
	return nil
}

// end takes the replica away from the balancer, lets it finish and removes it.
func (r *replica) end(ctx context.Context) error {
	s := r.s
	r.mu.Lock()
	frozen, ctr := r.state == replicaFrozen, r.container
	r.state = replicaEnding
	if r.wake != nil {
		r.wake()
	}
	r.mu.Unlock()
	if ctr == nil {
		return nil
	}
	if s.registered(r) {
		if _, err := s.balancer.drain(ctx, r.version, r.name, s.setup.Health.Drain); err != nil {
			return err
		}
		if err := s.balancer.remove(ctx, r.version, r.name); err != nil {
			return err
		}
	}
	if !frozen { // it could not hear that it is to end
		if err := s.stop(ctx, ctr.ID, stopGrace(s.project.Services[s.setup.Service])); err != nil {
			return err
		}
	}
	if err := s.remove(ctx, ctr); err != nil {
		return err
	}
	s.inside.giveBack(r.address)
	return nil
}

// recreate gives the replica a new container in its old place: what shapes a
// container has changed.
func (r *replica) recreate(ctx context.Context, v stage.Version, way *route) error {
	r.mu.Lock()
	old := r.container
	r.container, r.exits, r.inRow = nil, 0, 0
	r.mu.Unlock()
	if err := r.s.remove(ctx, old); err != nil {
		return err
	}
	if err := r.create(ctx, v, way); err != nil {
		return err
	}
	return r.start(ctx)
}

func (s *Stage) registered(r *replica) bool {
	return slices.ContainsFunc(s.balancer.targets(r.version), func(t target) bool { return t.Name == r.name })
}

// healthChanged records what the balancer found out about a replica.
func (s *Stage) healthChanged(c targetChange) {
	kind := stage.Unhealthy
	switch {
	case c.State == targetHealthy && c.From == targetUnhealthy:
		kind = stage.Healthy
	case c.State != targetUnhealthy:
		return
	}
	s.history.Record(stage.Event{Kind: kind, Version: c.Version, Detail: c.Name + ": " + c.Detail})
}

// notRunning recognises the engine's refusal to kill or freeze what has ended.
func notRunning(err error) bool {
	return containsAny(err.Error(), "is not running", "No such container")
}

package stage

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"
)

// A Capacity is what one replica can bear, stated by its places, by its CPU, or by both:
// then the tighter one counts. The zero value is without a limit.
type Capacity struct {
	// Concurrency is how many requests it answers at the same time, for each of which it
	// needs a place: a worker, a thread, a connection to its database. 0: as many as come.
	Concurrency int
	// Service is how long a request keeps its place; 0 is the mean time of an answer.
	Service time.Duration
	// CPU is the CPU time that one request takes. With a limit of CPUs it says how much a
	// replica can bear; without one it says nothing.
	CPU time.Duration
}

// Places are what of a replica bears load: Number of them, each taken for Service by a
// request.
type Places struct {
	Number  int
	Service time.Duration
}

// PerSecond is how many requests a second the places bear at most.
func (p Places) PerSecond() float64 { return float64(p.Number) / p.Service.Seconds() }

// Places is the places of a replica that may use so many CPUs (0: no limit), where an
// answer takes mean. It is false where nothing limits what a replica bears.
func (c Capacity) Places(cpus float64, mean time.Duration) (p Places, limited bool) {
	if c.Concurrency > 0 {
		p, limited = Places{c.Concurrency, cmp.Or(c.Service, mean)}, true
	}
	if c.CPU > 0 && cpus > 0 {
		n := max(math.Floor(cpus), 1)
		if by := (Places{int(n), time.Duration(float64(c.CPU) * n / cpus)}); !limited || by.PerSecond() < p.PerSecond() {
			p, limited = by, true
		}
	}
	return p, limited
}

// CapacityOf is the capacity of each replica of v.
func (s *Setup) CapacityOf(v Version) Capacity {
	c, m := v.Capacity, s.Model.Capacity
	return Capacity{cmp.Or(c.Concurrency, m.Concurrency), cmp.Or(c.Service, m.Service), cmp.Or(c.CPU, m.CPU)}
}

// Check says what cannot be in a capacity.
func (c Capacity) Check() error {
	switch {
	case c.Concurrency < 0 || c.Service < 0 || c.CPU < 0:
		return fmt.Errorf("a replica that answers %d requests at once, each of which keeps its place for %v and takes %v of CPU: none can be below 0", c.Concurrency, c.Service, c.CPU)
	case c.Service > 0 && c.Concurrency == 0:
		return fmt.Errorf("a request keeps its place for %v, and nobody says how many places there are: say the concurrency too", c.Service)
	}
	return nil
}

// A Loader lets the load be set while users are served. Both stages are Loaders.
type Loader interface {
	// Load has the users send so many requests per second from now on.
	Load(ctx context.Context, rate float64) error
	// Serve lets d pass without running ahead, so that each request is one, and waits for
	// the answers to what was sent meanwhile: they are in the history then.
	Serve(ctx context.Context, d time.Duration) error
}

// A Part is what of a stage uses CPU: the replicas of a version, the balancer, a
// dependency, the harness's way to the dependencies, or the machine as a whole.
type Part struct {
	Kind PartKind
	Name string        // of the version or dependency
	Used time.Duration // CPU time since the stage began
	CPUs float64       // that it may use
}

// PartKind is a closed set.
type PartKind string

const (
	PartVersion    PartKind = "version"
	PartBalancer   PartKind = "balancer"
	PartDependency PartKind = "dependency"
	PartWay        PartKind = "way" // the harness's own, of a version to its dependencies
	PartMachine    PartKind = "machine"
)

// A Meter knows how much CPU each part of the stage has used. errors.ErrUnsupported says
// that the stage cannot know.
type Meter interface {
	Parts(ctx context.Context) ([]Part, error)
}

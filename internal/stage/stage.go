// Package stage is the vocabulary of a rehearsal: what can be done to one running
// staging copy of a service (Stage), what is released to it (Version, Shares),
// what is broken on purpose (Failure), and the record of all that was observed
// (History).
//
// There are two worlds behind the one interface: the simulated stage (package
// sim) and the container stage (internal/containers). What carries out a plan,
// judges alarms and checks the outcome is the same code for both. A stage
// observes and records; it never decides. Every time is release time: the time
// since the stage began.
package stage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// A Stage is one running staging copy of a service, with its traffic and its
// alarms. Its methods are called by one goroutine at a time, except History.
type Stage interface {
	// Deploy starts v, or brings it to v.Replicas when it runs already. It returns
	// when every replica passes its health check; ErrUnhealthy says that they did
	// not, and why. A newly deployed version takes no traffic yet.
	Deploy(ctx context.Context, v Version) error
	// Retire drains v's connections and ends it. The name must have been deployed.
	Retire(ctx context.Context, v Version) error
	// Shift changes the share of traffic each version gets, at once for all new
	// requests.
	Shift(ctx context.Context, shares Shares) error
	// Inject brings f about and returns when there is proof that it landed, except
	// for a failure of a version not yet deployed: that lands as the version starts.
	// errors.ErrUnsupported says that this stage cannot bring f about; ErrNotLanded
	// that there was no proof.
	Inject(ctx context.Context, f Failure) error
	// Heal takes f away.
	Heal(ctx context.Context, f Failure) error
	// Wait lets release time pass until done holds for the history, or for at most
	// d. It reports whether done held. A nil done never holds.
	Wait(ctx context.Context, d time.Duration, done func(*History) bool) (bool, error)
	History() *History
	// Close heals every failure, ends everything that the stage started and leaves
	// nothing behind. It may be called twice.
	Close(ctx context.Context) error
}

// A Prober asks a running version, or what it depends on, a question outside the
// users' traffic, and records the answer. Both stages are Probers.
type Prober interface {
	// Probe returns nil when all is well, ErrProbe wrapped with what was wrong, or
	// another error when the question could not be asked.
	Probe(ctx context.Context, p Probe) error
}

// An Auditor compares the writes that users were told had succeeded with what is
// stored, and records Writes. Both stages are Auditors.
type Auditor interface {
	Audit(ctx context.Context) error
}

// A Witness knows what its stubs were asked, and records it (StubAsked): all that was
// answered when it is called, and not recorded yet. errors.ErrUnsupported says that the
// stage cannot know.
type Witness interface {
	Witness(ctx context.Context) error
}

// A Monitored stage has its CloudWatch on the wire, for those who read alarms, metrics
// and logs as production's are read. Both stages are Monitored.
type Monitored interface {
	// CloudWatch is where it answers, and its time at the beginning of release time. It
	// answers until the stage is closed.
	CloudWatch() (url string, epoch time.Time, err error)
}

// Errors that a stage returns, wrapped with what was seen.
var (
	ErrUnhealthy = errors.New("not healthy")
	ErrNotLanded = errors.New("no proof that the failure landed")
	ErrProbe     = errors.New("probe failed")
	// ErrLost says that the stage itself broke (the engine went away, say), so that
	// nothing may be concluded about the release.
	ErrLost = errors.New("the stage was lost")
)

// A Version is one releasable build of the service.
type Version struct {
	Name  string // "v2"
	Image string // "shop:v2"
	// Environment is laid over the compose service's environment.
	Environment map[string]string
	// Migration is the one that it needs the database to be at; "" is what Migrations of
	// the Setup expects.
	Migration string
	// Replicas is how many run; 0 means as many as the compose file says.
	Replicas int
	// Capacity is what each replica bears, as the simulated stage models it; what it leaves
	// open is the Model's. Containers bear what they bear.
	Capacity Capacity
	// Simulated is what this version does wrong, as the simulated stage models it.
	// The container stage ignores it: there the version itself misbehaves.
	Simulated []Failure
}

// Shares is the percentage of traffic by version name. A version it does not
// name gets none.
type Shares map[string]float64

// Validate reports shares below 0 or above 100, and shares that do not add up to
// 100 %.
func (s Shares) Validate() error {
	if len(s) == 0 {
		return errors.New("no version has a share: the shares must add up to 100 %")
	}
	sum := 0.0
	for _, v := range slices.Sorted(maps.Keys(s)) {
		p := s[v]
		if !(p >= 0 && p <= 100) {
			return fmt.Errorf("the share of version %q is %g %%: a share is from 0 to 100 %%", v, p)
		}
		sum += p
	}
	if math.Abs(sum-100) > 1e-6 {
		return fmt.Errorf("the shares %s add up to %.9g %%: they must add up to 100 %%", s, sum)
	}
	return nil
}

// Versions is the names with a share above 0, sorted.
func (s Shares) Versions() []string {
	var names []string
	for _, v := range slices.Sorted(maps.Keys(s)) {
		if s[v] > 0 {
			names = append(names, v)
		}
	}
	return names
}

// String is "v1 90 %, v2 10 %".
func (s Shares) String() string {
	var b strings.Builder
	for i, v := range slices.Sorted(maps.Keys(s)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %g %%", v, s[v])
	}
	return b.String()
}

// A Probe is one question. Its Kind says which other fields count.
type Probe struct {
	Kind       ProbeKind `json:"kind"`
	Version    string    `json:"version,omitempty"`    // who asks or is asked
	Dependency string    `json:"dependency,omitempty"` // the compose service that must answer
}

// ProbeKind is a closed set of questions.
type ProbeKind string

const (
	// ProbeDependency asks whether Dependency answers over the same way that the
	// service reaches it: a database opens a connection with the service's
	// credentials and answers a query, an API answers its health request.
	ProbeDependency ProbeKind = "dependency"
	// ProbeSmoke sends every smoke request of the Setup to Version, whatever its
	// share of traffic, and compares the answers.
	ProbeSmoke ProbeKind = "smoke"
	// ProbeMigrations asks the database of the Setup's Migrations whether it is at the
	// migration that Version needs.
	ProbeMigrations ProbeKind = "migrations"
	// ProbeContract sends every request of the contract of Dependency, over the same way
	// that Version reaches it, and compares the answers.
	ProbeContract ProbeKind = "contract"
	// ProbeRollback asks whether Version, which a rollback would go back to, can be
	// started: its image is there, and one more replica of it becomes healthy.
	ProbeRollback ProbeKind = "rollback artefact"
	// ProbeRoom asks whether memory and disk are enough for the staging copy while
	// Version runs beside the one that serves.
	ProbeRoom ProbeKind = "room"
	// ProbeRequest, ProbeQuery and ProbeCommand are a Question: what the answer should be,
	// the stage does not know.
	ProbeRequest ProbeKind = "request"
	ProbeQuery   ProbeKind = "query"
	ProbeCommand ProbeKind = "command"
)

func (p Probe) String() string {
	switch p.Kind {
	case ProbeSmoke:
		return fmt.Sprintf("smoke requests to %s", p.Version)
	case ProbeDependency:
		return fmt.Sprintf("connection to %s", p.Dependency)
	case ProbeMigrations:
		return "migrations"
	case ProbeContract:
		return fmt.Sprintf("contract of %s", p.Dependency)
	case ProbeRollback:
		return fmt.Sprintf("rollback artefact %s", p.Version)
	case ProbeRoom:
		return fmt.Sprintf("room for %s", p.Version)
	case ProbeRequest:
		return fmt.Sprintf("request to %s", p.Version)
	case ProbeQuery:
		return fmt.Sprintf("query of %s", p.Dependency)
	case ProbeCommand:
		return fmt.Sprintf("command in %s%s", p.Version, p.Dependency)
	}
	panic(fmt.Sprintf("unknown probe %q", p.Kind))
}

// A Question is asked for its answer, which whoever asks judges. It is one of the three.
type Question struct {
	// Request goes to Version, through the balancer and whatever its share of traffic.
	Request *Request
	// Query is put to Dependency, a database, past all failures.
	Query string
	// Command runs in a new container of Version's image, or of the compose service
	// Dependency, with the variables and the way to the dependencies that those have. It
	// is run as it is, by no shell.
	Command []string

	Version    string
	Dependency string
}

// Probe is the question as a history has it.
func (q Question) Probe() Probe {
	p := Probe{Version: q.Version, Dependency: q.Dependency}
	switch {
	case q.Request != nil:
		p.Kind = ProbeRequest
	case len(q.Command) > 0:
		p.Kind = ProbeCommand
	default:
		p.Kind = ProbeQuery
	}
	return p
}

// An Asker asks a Question and records that it did, and how it went. Both stages are
// Askers; errors.ErrUnsupported says that one cannot know the answer.
type Asker interface {
	// Ask returns ErrProbe wrapped with why no answer came.
	Ask(ctx context.Context, q Question) (Answer, error)
}

// As finds the first in the chain of wrapped stages that is a T, as errors.As
// does: a stage that decorates another has Unwrap() Stage.
func As[T any](s Stage) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		u, ok := s.(interface{ Unwrap() Stage })
		if !ok {
			break
		}
		s = u.Unwrap()
	}
	var zero T
	return zero, false
}

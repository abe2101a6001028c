package stage

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Failure is what is broken on purpose. It is data: each stage brings it about
// in its own way, from outside the service, so that any image can be rehearsed.
type Failure struct {
	Kind FailureKind `json:"kind" yaml:"kind"`
	// Version is the version that it hits; "" is every version.
	Version string `json:"version,omitempty" yaml:"version,omitempty"`
	// Dependency is the one that is down, slow or fails.
	Dependency string `json:"dependency,omitempty" yaml:"dependency,omitempty"`
	// Request is the name of the only request of the traffic that it hits; "" is all.
	// Only the simulated stage can be that choosy.
	Request string `json:"request,omitempty" yaml:"request,omitempty"`
	// Share is the percentage of requests that it hits; 0 means 100 %.
	Share float64 `json:"share,omitempty" yaml:"share,omitempty"`
	// Delay is the latency added to each answer of the version or dependency.
	Delay time.Duration `json:"delay,omitempty" yaml:"delay,omitempty"`
	// After is how long after it starts taking traffic a version crashes.
	After time.Duration `json:"after,omitempty" yaml:"after,omitempty"`
	// Variable is the environment variable that is missing, or wrong with Value.
	Variable string `json:"variable,omitempty" yaml:"variable,omitempty"`
	Value    string `json:"value,omitempty" yaml:"value,omitempty"`
	// Times is how many times as many requests the first replica gets as each other.
	Times int `json:"times,omitempty" yaml:"times,omitempty"`
	// Zone is the one that is lost.
	Zone string `json:"zone,omitempty" yaml:"zone,omitempty"`
	// PerRequest is the memory that each request leaves behind, in bytes.
	PerRequest int64 `json:"perRequest,omitempty" yaml:"perRequest,omitempty"`
}

// FailureKind is a closed set.
type FailureKind string

const (
	CrashAtStart   FailureKind = "crash at start"  // every replica exits as it starts
	CrashLater     FailureKind = "crash later"     // every replica exits once, After its version first took traffic (at once when it takes traffic already)
	CrashLoop      FailureKind = "crash loop"      // from injection on every replica exits, is restarted, and exits again
	Hang           FailureKind = "hang"            // every replica stops answering but keeps its connections
	OutOfMemory    FailureKind = "out of memory"   // every replica is killed by the kernel at its memory limit, each time it starts
	Errors         FailureKind = "errors"          // Share of the answers are 500
	Latency        FailureKind = "latency"         // Share of the answers take Delay longer
	DependencyDown FailureKind = "dependency down" // Version cannot connect to Dependency
	DependencySlow FailureKind = "dependency slow" // Dependency's answers to Version take Delay longer
	// DependencyErrors: Share of what Version asks of Dependency, an API, is answered with
	// 500.
	DependencyErrors FailureKind = "dependency errors"

	// ConnectionsExhausted: every connection that Dependency, a database, has left is taken.
	// Who is connected stays so; who comes is refused, whichever version it is.
	ConnectionsExhausted FailureKind = "connections exhausted"

	SlowReplica   FailureKind = "slow replica"   // the answers of Version's first replica take Delay longer; its health check passes
	UnevenBalance FailureKind = "uneven balance" // Version's first replica gets Times as many requests as each other
	// ZoneLost: every replica in Zone is killed, and none runs there until it is healed.
	ZoneLost FailureKind = "zone lost"

	MissingVariable FailureKind = "missing variable" // Version starts without Variable
	WrongVariable   FailureKind = "wrong variable"   // Version starts with Variable set to Value
	LostWrites      FailureKind = "lost writes"      // Share of the acknowledged writes are not stored (simulated only)
	WrongAnswers    FailureKind = "wrong answers"    // Share of the answers succeed and say something wrong: only smoke requests notice (simulated only)
	MemoryLeak      FailureKind = "memory leak"      // each request leaves PerRequest bytes behind until the limit kills the replica (simulated only)
)

// FailureKinds is every kind, in the order of the glossary.
func FailureKinds() []FailureKind {
	return []FailureKind{CrashAtStart, CrashLater, CrashLoop, Hang, OutOfMemory, Errors, Latency,
		DependencyDown, DependencySlow, DependencyErrors, ConnectionsExhausted,
		SlowReplica, UnevenBalance, ZoneLost, MissingVariable, WrongVariable, LostWrites, WrongAnswers, MemoryLeak}
}

// Validate says what is missing or out of range for the failure's kind.
func (f Failure) Validate() error {
	switch {
	case !slices.Contains(FailureKinds(), f.Kind):
		return fmt.Errorf("unknown failure %q: known are %q", f.Kind, FailureKinds())
	case !(f.Share >= 0 && f.Share <= 100):
		return fmt.Errorf("%s: a share of %g %%: must be above 0 and at most 100 %%", f.Kind, f.Share)
	case f.Delay < 0:
		return fmt.Errorf("%s: a delay of %v: must be above 0", f.Kind, f.Delay)
	case f.After < 0:
		return fmt.Errorf("%s: after %v: must not be before its version takes traffic", f.Kind, f.After)
	case f.PerRequest < 0:
		return fmt.Errorf("%s: %d bytes per request: must be above 0", f.Kind, f.PerRequest)
	}
	needs := func(ok bool, what string) error {
		if ok {
			return nil
		}
		return fmt.Errorf("%s: needs %s", f.Kind, what)
	}
	switch f.Kind {
	case CrashAtStart, CrashLater, CrashLoop, Hang, OutOfMemory:
		return needs(f.Version != "", "a version")
	case Errors, LostWrites, WrongAnswers:
		return nil
	case Latency:
		return needs(f.Delay > 0, "a delay")
	case DependencyDown, DependencyErrors:
		return needs(f.Dependency != "", "a dependency")
	case ConnectionsExhausted:
		return errors.Join(needs(f.Dependency != "", "a dependency"), needs(f.Version == "", "no version: a database does not tell versions apart"))
	case SlowReplica:
		return errors.Join(needs(f.Version != "", "a version"), needs(f.Delay > 0, "a delay"))
	case UnevenBalance:
		return errors.Join(needs(f.Version != "", "a version"), needs(f.Times > 1 && f.Times <= 100, "times, from 2 to 100"))
	case ZoneLost:
		return needs(f.Zone != "", "a zone")
	case DependencySlow:
		return errors.Join(needs(f.Dependency != "", "a dependency"), needs(f.Delay > 0, "a delay"))
	case MissingVariable:
		return errors.Join(needs(f.Version != "", "a version"), needs(f.Variable != "", "a variable"))
	case WrongVariable:
		return errors.Join(needs(f.Version != "", "a version"), needs(f.Variable != "", "a variable"))
	case MemoryLeak:
		return needs(f.PerRequest > 0, "perRequest, in bytes")
	}
	panic(fmt.Sprintf("no rule for the failure %q", f.Kind))
}

// Suits says why the failure cannot be one of the dependency d, if it cannot: it is
// errors.ErrUnsupported then.
func (f Failure) Suits(d Dependency) error {
	switch {
	case f.Kind == DependencyErrors && d.Kind != HTTP:
		return fmt.Errorf("%w: %s: only of an API (kind %q) can a share of the requests fail, and %s is of the kind %q: take it away, or slow it down", errors.ErrUnsupported, f.Kind, HTTP, d.Name, d.Kind)
	case f.Kind == ConnectionsExhausted && !d.Database():
		return fmt.Errorf("%w: %s: only a database (kind %q or %q) runs out of connections, and %s is of the kind %q", errors.ErrUnsupported, f.Kind, Postgres, MySQL, d.Name, d.Kind)
	}
	return nil
}

// Hits says whether f can touch the traffic of version.
func (f Failure) Hits(version string) bool { return f.Version == "" || f.Version == version }

// ShareOrAll is Share, with 0 read as 100 %.
func (f Failure) ShareOrAll() float64 {
	if f.Share == 0 {
		return 100
	}
	return f.Share
}

// String is the failure as prose: "v2: errors, 50 % of requests".
func (f Failure) String() string {
	s := string(f.Kind)
	if f.Version != "" {
		s = f.Version + ": " + s
	}
	if f.Dependency != "" {
		s += " (" + f.Dependency + ")"
	}
	if f.Variable != "" {
		s += " " + f.Variable
	}
	if f.Zone != "" {
		s += " " + f.Zone
	}
	if f.Times > 0 {
		s += fmt.Sprintf(", %d times as many requests", f.Times)
	}
	if f.Delay > 0 {
		s += fmt.Sprintf(", %v", f.Delay)
	}
	if f.Share > 0 {
		s += fmt.Sprintf(", %g %% of requests", f.Share)
	}
	if f.After > 0 {
		s += fmt.Sprintf(", after %v", f.After)
	}
	return s
}

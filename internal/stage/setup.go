package stage

import (
	"slices"
	"time"

	"rehearsal/internal/alarm"
)

// A Setup is what both worlds need to know to raise the same stage. It is read
// from rehearsal.yaml and the files that names; it is configuration, nothing in it
// runs.
type Setup struct {
	Service      string             // the compose service that is released
	Versions     map[string]Version // by name
	Replicas     int                // of each version that does not say its own
	MemoryLimit  int64              // of one replica, in bytes; 0 is none
	CPUs         float64            // of one replica; 0 is no limit
	Health       Health
	Dependencies []Dependency
	Traffic      Load
	Smoke        []SmokeRequest
	Migrations   *Migrations // nil: nothing is known of them
	Alarms       []alarm.Alarm
	Composites   []alarm.Composite // over Alarms and each other
	Monitoring   Monitoring
	Model        Model
	// Zones is how many availability zones the replicas of a version are spread over, in
	// turn: the first is in "a". 0 is DefaultZones.
	Zones     int
	Objective Objective
}

// DefaultZones is how many zones there are where nobody says: what ECS asks for at least.
const DefaultZones = 2

// An Objective is what users are promised of a release, at whatever load.
type Objective struct {
	P99    time.Duration // 99 % of the answers come within that
	Errors float64       // percent of the requests that may fail
}

// ZoneOf is the zone of the nth replica of a version, from 1: "a", "b", ...
func (s *Setup) ZoneOf(nth int) string { return string(rune('a' + (nth-1)%max(s.zones(), 1))) }

// ZoneNames is every zone.
func (s *Setup) ZoneNames() (all []string) {
	for nth := range s.zones() {
		all = append(all, s.ZoneOf(nth+1))
	}
	return all
}

func (s *Setup) zones() int {
	if s.Zones == 0 {
		return DefaultZones
	}
	return s.Zones
}

// Health is the balancer's health check of one replica. The times are release
// time: at pace 60 an Interval of 10 s is checked every 1/6 s of wall time.
type Health struct {
	Path      string        // "/ready"
	Port      int           // the port in the container that also takes the traffic
	Interval  time.Duration // between checks
	Healthy   int           // passes in a row that make a replica healthy
	Unhealthy int           // failures in a row that make it unhealthy
	Timeout   time.Duration // of one check, wall time; where time runs ahead it may be less, see docs/decisions/0004
	// Deadline is how long a deployed version may take until all of its replicas are
	// healthy (release time); then Deploy returns ErrUnhealthy.
	Deadline time.Duration
	// Drain is how long a retired replica's connections may take to end.
	Drain time.Duration
}

// A Dependency is what the released service calls: a compose service, or a stub that
// stands in for what is outside of the staging copy.
type Dependency struct {
	Name string // "database"
	Port int    // 5432
	Kind DependencyKind
	// URLFrom is the service's variable that holds the address, credentials included.
	URLFrom string
	// PartsFrom are the variables that hold parts of it, where there is no whole one, or
	// that go before what the whole one says.
	PartsFrom AddressParts
	// Path is asked of an http dependency to know whether it answers.
	Path string
	// Say is sent to a tcp dependency, which answers something where it is well. Without,
	// it has to take connections, and is taken for one that speaks first.
	Say string
	// Stub answers in the place of the dependency, which is outside; nil: a compose
	// service of the name answers.
	Stub *Stub
	// Calls is how often one request asks it, one after the other; 0 means once.
	Calls int
	// Requests are the names of the traffic's requests that need it; none means all.
	Requests []string
	// Contract is what the service expects of an http dependency.
	Contract []SmokeRequest
	// Readiness says that the service's health check fails without it.
	Readiness bool
}

// DependencyKind is a closed set: what a dependency speaks.
type DependencyKind string

const (
	Postgres DependencyKind = "postgres"
	MySQL    DependencyKind = "mysql" // MariaDB, too
	Redis    DependencyKind = "redis" // and what speaks like it
	HTTP     DependencyKind = "http"
	TCP      DependencyKind = "tcp" // anything else that takes connections
)

// DependencyKinds is every kind.
func DependencyKinds() []DependencyKind {
	return []DependencyKind{Postgres, MySQL, Redis, HTTP, TCP}
}

// Database says whether SQL can be put to it.
func (d Dependency) Database() bool { return d.Kind == Postgres || d.Kind == MySQL }

// FailsInPart says whether a share of what is asked of it can fail, and the rest not.
func (d Dependency) FailsInPart() bool { return d.Kind == HTTP }

// AddressParts are variables of the service, each with a part of an address; "" is none.
type AddressParts struct {
	Host, Port, User, Password, Database string
}

// Leads says whether the way to the dependency is in that variable of the service.
func (d Dependency) Leads(variable string) bool {
	p := d.PartsFrom
	return variable != "" && slices.Contains([]string{d.URLFrom, p.Host, p.Port, p.User, p.Password, p.Database}, variable)
}

// Load is what the users do: an open-loop stream of requests.
type Load struct {
	Rate     float64 // requests per second of release time
	Timeout  time.Duration
	Requests []Request
	// Stored is the query of one text column that tells which writes are stored: one
	// row for each, holding the {key} the user sent. It is asked of StoredIn.
	Stored   string
	StoredIn string // a dependency of kind "postgres" or "mysql"
}

// A Request is one kind of request in the traffic. In Path, Headers and Body, {key}
// is a key unique to the request, and {acknowledged} the key of an earlier write
// that was acknowledged.
type Request struct {
	Name    string
	Weight  float64 // its share is Weight over the sum of weights
	Method  string
	Path    string
	Headers map[string]string
	Body    string
	// Write says that a 2xx answer acknowledges a write that must not be lost.
	Write bool
	// Expect is the status that is right; 0 means any below 500.
	Expect int
}

// A SmokeRequest is one request with its right answer: of the verification of a
// version, or of the contract of an API.
type SmokeRequest struct {
	Request
	Within   time.Duration // the answer must come within this; 0 means Load.Timeout
	Contains string        // the answer's body must contain this
	JSON     []JSONValue   // and have these values
	Schema   *Schema       // and keep this; nil is none
}

// Migrations are how to ask which migration a database is at.
type Migrations struct {
	Of    string // a dependency of kind "postgres" or "mysql"
	Query string // of one row with one column
	// Expect is the value that the versions need that do not say their own.
	Expect string
}

// MigrationFor is the migration that v needs the database to be at.
func (m *Migrations) MigrationFor(v Version) string {
	if v.Migration != "" {
		return v.Migration
	}
	return m.Expect
}

// Monitoring is how production's CloudWatch names what the stage publishes, so
// that production's alarms see it.
type Monitoring struct {
	LoadBalancer string // "app/shop/50dc6c495c0c9188"
	// TargetGroups are the groups that versions take turns in: the stable version is
	// in the first, the next deployed in the second, and so on around.
	TargetGroups []string
	Cluster      string // of AWS/ECS
	Service      string // of AWS/ECS
	LogGroup     string
	Filters      []MetricFilter
	// Wanted are metrics that somebody asks for though no alarm looks at them: the
	// simulated stage publishes them too.
	Wanted []alarm.Metric
}

// A MetricFilter turns log lines into a metric, as `aws logs put-metric-filter`.
type MetricFilter struct {
	Name      string
	LogGroup  string
	Pattern   string // CloudWatch Logs' filter pattern syntax
	Namespace string
	Metric    string
	Value     string   // a number, or a selector such as $.bytes
	Default   *float64 // published for a minute in which lines came but none matched
	Unit      string   // of the metric, as CloudWatch has it; empty: None
}

// A Model is what the simulated stage assumes of a healthy service. The figures
// are release time.
type Model struct {
	Start         time.Duration // from the start of a replica until it is ready
	Median, P99   time.Duration // latency of an answer (log-normal)
	RestartDelay  time.Duration // until a replica that exited is started again, the first time; doubles up to 1 min
	Memory        int64         // what a replica uses, in bytes
	ClientTimeout time.Duration // how long the service waits for a dependency
	ShiftTime     time.Duration // what one change of shares takes
	DrainTime     time.Duration // what draining a retired replica takes
	Capacity      Capacity      // of a replica; the zero value: it answers as many requests at a time as come
	ErrorLogs     float64       // ERROR lines that the service writes for each failed request
}

// Find returns the request with that name.
func (l Load) Find(name string) (Request, bool) {
	for _, r := range l.Requests {
		if r.Name == name {
			return r, true
		}
	}
	return Request{}, false
}

// Dependency returns the dependency with that name.
func (s *Setup) Dependency(name string) (Dependency, bool) {
	for _, d := range s.Dependencies {
		if d.Name == name {
			return d, true
		}
	}
	return Dependency{}, false
}

// AlarmNames is the names of all alarms, the composite ones last.
func (s *Setup) AlarmNames() []string {
	names := make([]string, 0, len(s.Alarms)+len(s.Composites))
	for i := range s.Alarms {
		names = append(names, s.Alarms[i].AlarmName)
	}
	for i := range s.Composites {
		names = append(names, s.Composites[i].AlarmName)
	}
	return names
}

// ReplicasOf is how many replicas of v run.
func (s *Setup) ReplicasOf(v Version) int {
	switch {
	case v.Replicas > 0:
		return v.Replicas
	case s.Replicas > 0:
		return s.Replicas
	}
	return 1
}

// Package parity compares the staging copy with production's description, and keeps a
// ledger of what differs.
//
// Read turns descriptions of production (an ECS task definition and service, a Compose
// file, Kubernetes manifests, RDS instances, target groups, alarms) into a Copy, and
// Staging turns the staging copy's Compose file and set-up into another. A Copy is facts:
// for each service and each field one value. Compare lays the two side by side. Each
// Difference is harmless by a rule (harmless.go), waived (waiver.go), unknown since a
// description does not tell, or open.
//
// All is pure: the date, the key of the fingerprints and what an engine knows of images
// are passed in. Secrets never leave this package but as fingerprints (secret.go).
package parity

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// A Copy is one description of the service and what it needs, as facts.
type Copy struct {
	Source   string              // where it was read, for people: "production.json"
	Services map[string]*Service // by their names in the Compose file of the staging copy
	Alarms   *alarm.Set          // nil where they are not described
	// Hosts are the names at which the services of this copy find each other.
	Hosts map[string]bool
	// together says that the services are containers of one task or pod.
	together bool
	// LogGroup is where production's alarms on log lines read.
	LogGroup string
	// Notes are what was not compared at all, and what to give so that it is.
	Notes []string
}

// A Service is what is known of one service.
type Service struct {
	Facts map[string]Fact // by field, such as "memory" or "environment.PORT"
	// Tells are the fields, or the beginnings of fields up to a dot, of which this kind
	// of description speaks. Of what only one side tells, nothing can be said.
	Tells []string
	// Partial says why its environment is not known in full; "" says that it is.
	Partial string
}

// A Fact is one value. One that is not there at all is not set.
type Fact struct {
	Value   string // as it is compared
	Secret  bool   // never shown
	Stored  bool   // a secret that the description only points to
	Unknown string // why the value cannot be told; "" when it can
}

func (s *Service) set(field, value string) {
	if value != "" {
		s.Facts[field] = Fact{Value: value}
	}
}

func (s *Service) tells(field string) bool {
	group, _, _ := strings.Cut(field, ".")
	return slices.Contains(s.Tells, field) || slices.Contains(s.Tells, group)
}

func newService(tells string) *Service {
	return &Service{Facts: map[string]Fact{}, Tells: strings.Fields(tells)}
}

// Standing is what a difference means.
type Standing int

// The closed set of standings, the worst first.
const (
	Open     Standing = iota // somebody must decide: it fails the rehearsal
	Unknown                  // a description does not tell: nothing may be concluded
	Waived                   // wanted, until the waiver expires
	Harmless                 // by a rule, with its reason
)

func (s Standing) String() string {
	switch s {
	case Open:
		return "open"
	case Unknown:
		return "unknown"
	case Waived:
		return "waived"
	case Harmless:
		return "harmless"
	}
	panic(fmt.Sprintf("unknown standing %d", int(s)))
}

// MarshalText is String.
func (s Standing) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A Difference is one field of one service that is not the same on both sides.
type Difference struct {
	Service    string   `json:"service"` // "alarms" for an alarm
	Field      string   `json:"field"`
	Staging    string   `json:"staging"` // as it may be shown; secrets are fingerprints
	Production string   `json:"production"`
	Standing   Standing `json:"standing"`
	Why        string   `json:"why,omitempty"`    // the rule's reason, the waiver's, or what cannot be told
	Waiver     *Waiver  `json:"waiver,omitempty"` // that waives it, or did until it expired
	Touches    Touch    `json:"touches"`
	// Weakens are the scenarios that prove less while it is there; all of them when
	// Everything is set. Whoever knows the scenarios fills them in.
	Weakens    []string `json:"weakens,omitempty"`
	Everything bool     `json:"everything,omitempty"`
}

// What is how a waiver names the difference.
func (d Difference) What() string { return d.Service + " " + d.Field }

// Sides says both values.
func (d Difference) Sides() string {
	return fmt.Sprintf("staging %s, production %s", cmp.Or(d.Staging, notSet), cmp.Or(d.Production, notSet))
}

const notSet = "(not set)"

// A Ledger is what came of a comparison.
type Ledger struct {
	Staging     string       `json:"staging"` // the sources
	Production  string       `json:"production"`
	Same        int          `json:"same"` // fields that agree
	Differences []Difference `json:"differences"`
	Expired     []Waiver     `json:"expired,omitempty"`
	Stale       []Waiver     `json:"stale,omitempty"` // that match no difference any more
	Warnings    []string     `json:"warnings,omitempty"`
	Notes       []string     `json:"notes,omitempty"` // what was not compared
}

// Of is the differences of that standing.
func (l *Ledger) Of(s Standing) (out []Difference) {
	for _, d := range l.Differences {
		if d.Standing == s {
			out = append(out, d)
		}
	}
	return out
}

// Broken says that the staging copy is not like production, and nobody wants that.
func (l *Ledger) Broken() bool { return len(l.Of(Open)) > 0 || len(l.Expired) > 0 }

// Options are what Compare needs beside the two copies.
type Options struct {
	Setup   *stage.Setup
	Waivers []Waiver
	Today   time.Time // the calendar date that waivers expire by
	// Key makes the fingerprints of secrets. It must be random and of this run alone:
	// with the key, a guess could be tried. Without one, no fingerprint is shown.
	Key []byte
	// Digests asks an engine which digests of its registries a local image has; nil is
	// no engine. It is only called where a tag stands against a digest.
	Digests func(image string) []string
}

// Compare lays the staging copy beside production.
func Compare(staging, production *Copy, o Options) *Ledger {
	l := &Ledger{Staging: staging.Source, Production: production.Source, Notes: production.Notes}
	var others []string
	for _, name := range slices.Sorted(maps.Keys(staging.Services)) {
		if production.Services[name] == nil {
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		l.Notes = append(slices.Clone(l.Notes), strings.Join(others, ", ")+": production's description does not speak of them")
	}
	c := &comparison{Options: o, staging: staging, production: production, veil: newVeil(o.Key, staging, production), ledger: l}
	for _, name := range slices.Sorted(maps.Keys(production.Services)) {
		c.service(name)
	}
	if production.Alarms != nil {
		c.alarms()
	}
	c.waive()
	slices.SortStableFunc(l.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(rank(a.Field), rank(b.Field)), cmp.Compare(a.Field, b.Field))
	})
	return l
}

// comparison is one under way.
type comparison struct {
	Options
	staging, production *Copy
	veil                *veil
	ledger              *Ledger
}

// rank orders fields as people ask for them.
func rank(field string) int {
	group, _, _ := strings.Cut(field, ".")
	order := []string{presence, "image", "engine", "version", "command", "entrypoint", "environment", "cpu", "memory", "replicas", "balancer", "health", "port"}
	if i := slices.Index(order, group); i >= 0 {
		return i
	}
	return len(order)
}

// presence is the field of a service or an alarm that only one side has.
const presence = "presence"

func (c *comparison) service(name string) {
	p, s := c.production.Services[name], c.staging.Services[name]
	if s == nil {
		c.add(Difference{Service: name, Field: presence, Staging: "missing", Production: "there", Touches: Touch{Kind: TouchAll}})
		return
	}
	fields := map[string]bool{}
	for f := range p.Facts {
		fields[f] = true
	}
	for f := range s.Facts {
		fields[f] = true
	}
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		if p.tells(f) && s.tells(f) {
			c.field(name, f, s, p)
		}
	}
}

// field compares one, and adds what differs.
func (c *comparison) field(name, field string, staging, production *Service) {
	s, onStaging := staging.Facts[field]
	p, onProduction := production.Facts[field]
	s.Secret = s.Secret || onStaging && p.Secret // whichever side says so
	p.Secret = p.Secret || onProduction && s.Secret
	if onStaging == onProduction && s == p && s.Unknown == "" && !s.Stored {
		c.same(name, field, s)
		return
	}
	d := Difference{
		Service: name, Field: field, Staging: c.veil.show(field, s, onStaging), Production: c.veil.show(field, p, onProduction),
		Touches: touches(name, field, c.Setup),
	}
	isVariable := strings.HasPrefix(field, environment)
	switch {
	case s.Unknown != "":
		d.Standing, d.Why = Unknown, s.Unknown
	case p.Unknown != "":
		d.Standing, d.Why = Unknown, p.Unknown
	case isVariable && !onProduction && production.Partial != "":
		d.Standing, d.Why = Unknown, production.Partial
	case isVariable && !onStaging && staging.Partial != "":
		d.Standing, d.Why = Unknown, staging.Partial
	case field == "image":
		d.Standing, d.Why = c.image(s.Value, p.Value)
		if d.Standing == same {
			c.ledger.Same++
			return
		}
	default:
		d.Why, d.Standing = c.harmless(pair{name, field, s, p, onStaging, onProduction})
	}
	c.add(d)
}

// same counts a field that agrees, and warns of one that should not.
func (c *comparison) same(name, field string, f Fact) {
	c.ledger.Same++
	if strings.HasPrefix(field, environment) && f.Secret && f.Value != "" {
		c.ledger.Warnings = append(c.ledger.Warnings,
			fmt.Sprintf("%s %s: the staging copy holds production's own secret: give it one of its own", name, field))
	}
}

func (c *comparison) add(d Difference) { c.ledger.Differences = append(c.ledger.Differences, d) }

const environment = "environment."

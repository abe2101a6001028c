package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// A Before is one question that is asked before anything is deployed.
type Before struct {
	Kind BeforeKind
	Of   string // the dependency that it is about, where it is about one
}

// BeforeKind is a closed set of questions, as a plan names them.
type BeforeKind string

const (
	BeforeConnection BeforeKind = "connection to" // Of answers, over the way and with the credentials of the service
	BeforeContract   BeforeKind = "contract of"   // Of answers each request of its contract as it should
	BeforeMigrations BeforeKind = "migrations"    // the database is at the migration that the new version needs
	BeforeRollback   BeforeKind = "rollback artefact"
	BeforeRoom       BeforeKind = "room" // memory and disk are enough for both versions
	// BeforeAlarms is that every watched alarm is OK. One that is red already stops a
	// release in any case: ECS ignores it for the whole deployment, so it could not take
	// the release back (Amazon ECS developer guide, "How CloudWatch alarms detect Amazon
	// ECS deployment failures"). One without data is blind too.
	BeforeAlarms BeforeKind = "alarms"
)

// BeforeKinds is every question.
func BeforeKinds() []BeforeKind {
	return []BeforeKind{BeforeConnection, BeforeContract, BeforeMigrations, BeforeRollback, BeforeRoom, BeforeAlarms}
}

// about says whether questions of this kind are about a dependency.
func (k BeforeKind) about() bool { return k == BeforeConnection || k == BeforeContract }

// String is as a plan says it: "connection to database", "migrations".
func (b Before) String() string {
	if b.Kind.about() {
		return string(b.Kind) + " " + b.Of
	}
	return string(b.Kind)
}

// ParseBefore reads a question as a plan says it.
func ParseBefore(s string) (Before, error) {
	for _, k := range BeforeKinds() {
		rest, ok := strings.CutPrefix(s, string(k))
		switch {
		case !ok:
		case !k.about() && rest == "":
			return Before{Kind: k}, nil
		case k.about() && strings.HasPrefix(rest, " ") && strings.TrimSpace(rest) != "":
			return Before{k, strings.TrimSpace(rest)}, nil
		}
	}
	return Before{}, fmt.Errorf(`%q is not a check: want one of "connection to database" (say), "contract of payments" (say), migrations, rollback artefact, room, alarms`, s)
}

// AllBefore is every question that can be asked of the setup, whatever a plan asks.
func AllBefore(s *stage.Setup) []Before {
	var all []Before
	for _, d := range s.Dependencies {
		all = append(all, Before{BeforeConnection, d.Name})
	}
	if s.Migrations != nil {
		all = append(all, Before{Kind: BeforeMigrations})
	}
	for _, d := range s.Dependencies {
		if len(d.Contract) > 0 {
			all = append(all, Before{BeforeContract, d.Name})
		}
	}
	return append(all, Before{Kind: BeforeRollback}, Before{Kind: BeforeRoom}, Before{Kind: BeforeAlarms})
}

// probe is the question as a stage understands it; not ok: there is nothing to ask.
func (b Before) probe(v Versions) (p stage.Probe, ok bool) {
	p = stage.Probe{Version: v.New.Name, Dependency: b.Of}
	switch b.Kind {
	case BeforeConnection:
		p.Kind = stage.ProbeDependency
	case BeforeContract:
		p.Kind = stage.ProbeContract
	case BeforeMigrations:
		p.Kind = stage.ProbeMigrations
	case BeforeRoom:
		p.Kind = stage.ProbeRoom
	case BeforeRollback:
		if v.Stable == nil {
			return p, false
		}
		p = stage.Probe{Kind: stage.ProbeRollback, Version: v.Stable.Name}
	case BeforeAlarms:
		panic("the alarms are asked of the history")
	default:
		panic(fmt.Sprintf("unknown check %q", b.Kind))
	}
	return p, true
}

// Ask asks the question by itself, outside of a release. alarms are those that are
// watched. It says what was found, and whether that is well; an error says that it could
// not be asked.
func (b Before) Ask(ctx context.Context, st stage.Stage, v Versions, alarms []string) (said string, ok bool, err error) {
	if b.Kind == BeforeAlarms {
		said, ok = alarmsOK(st.History(), alarms, v.Stable != nil)
		return said, ok, nil
	}
	p, there := b.probe(v)
	if !there {
		return "no version was ever good: there is nothing to go back to", true, nil
	}
	prober, can := stage.As[stage.Prober](st)
	if !can {
		return "", false, fmt.Errorf("%v: this stage answers no probes: %w", p, errors.ErrUnsupported)
	}
	err = prober.Probe(ctx, p)
	switch {
	case errors.Is(err, stage.ErrProbe) && ctx.Err() == nil:
		return strings.TrimPrefix(without(stage.ErrProbe, err), p.String()+": "), false, nil
	case err != nil:
		return "", false, fmt.Errorf("%v: %w", p, err)
	}
	for e := range st.History().All(stage.Probed) {
		if *e.Probe == p {
			said = e.Detail
		}
	}
	return said, true, nil
}

// alarmsOK says which of the alarms are not OK, and why that matters. Where no version
// serves yet, nothing can have data.
func alarmsOK(h *stage.History, names []string, served bool) (said string, ok bool) {
	var wrong []string
	for _, name := range names {
		switch h.AlarmState(name) {
		case alarm.OK:
		case alarm.InAlarm:
			wrong = append(wrong, fmt.Sprintf("%q is red already", name))
		case alarm.InsufficientData:
			if served {
				wrong = append(wrong, fmt.Sprintf("%q has no data", name))
			}
		default:
			wrong = append(wrong, fmt.Sprintf("%q is %s", name, h.AlarmState(name)))
		}
	}
	switch {
	case len(names) == 0:
		return "no alarm is watched", false
	case len(wrong) == 0 && !served:
		return fmt.Sprintf("none of %d watched alarms is red; there is no data yet, since nobody is served", len(names)), true
	case len(wrong) == 0:
		return fmt.Sprintf("all %d watched alarms are OK", len(names)), true
	}
	slices.Sort(wrong)
	return strings.Join(wrong, ", ") + ": it could not tell whether the new version is bad", false
}

package capacity

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/stage"
)

// A Use is how much of the CPU that it may use one part of the stage has used.
type Use struct {
	Kind  stage.PartKind
	Name  string
	Share float64 // percent
}

// usedUp is where a part counts as used up: the kernel lets nobody have quite all.
const usedUp = 90.0

// usesOf is what the parts have used between two counts since from, the most used first,
// and the CPU time that a request took of a version that was there all the time.
func usesOf(before, after []stage.Part, h *stage.History, from time.Duration, version string) (uses []Use, each time.Duration) {
	passed := h.Now() - from
	if passed <= 0 {
		return nil, 0
	}
	requests := int64(0)
	for e := range h.All(stage.Served) {
		if e.Version == version && e.Traffic.From >= from {
			requests += e.Traffic.Requests
		}
	}
	for _, p := range after {
		i := slices.IndexFunc(before, func(b stage.Part) bool { return b.Kind == p.Kind && b.Name == p.Name })
		if i < 0 || p.Used < before[i].Used || p.CPUs <= 0 {
			continue // it has come meanwhile, or some of it has gone
		}
		used := p.Used - before[i].Used
		uses = append(uses, Use{p.Kind, p.Name, 100 * used.Seconds() / passed.Seconds() / p.CPUs})
		if p.Kind == stage.PartVersion && p.Name == version && requests > 0 {
			each = used / time.Duration(requests)
		}
	}
	slices.SortStableFunc(uses, func(a, b Use) int { return cmp.Compare(b.Share, a.Share) })
	return uses, each
}

// own says whether the part is the team's, and not the harness's or the machine's.
func (u Use) own() bool { return u.Kind == stage.PartVersion || u.Kind == stage.PartDependency }

// String is `the balancer 97 %`.
func (u Use) String() string {
	what := ""
	switch u.Kind {
	case stage.PartVersion:
		what = "the replicas of " + u.Name
	case stage.PartDependency:
		what = u.Name
	case stage.PartBalancer:
		what = "the balancer, which has one thread,"
	case stage.PartWay:
		what = "the rehearsal's own way of " + u.Name + " to its dependencies"
	case stage.PartMachine:
		what = "this machine"
	}
	return fmt.Sprintf("%s %.0f %%", what, u.Share)
}

// Where says, of a load that was too much, what was used up, as far as its CPU tells, and
// whether that is the service's own limit or one of the machine and the rehearsal.
func (s Step) Where() (text string, own bool) {
	if len(s.Uses) == 0 {
		return "", true
	}
	var up []string
	for _, u := range s.Uses {
		if u.Share >= usedUp {
			up = append(up, u.String())
			own = own || u.own()
		}
	}
	if len(up) > 0 {
		return "used up is the CPU of: " + strings.Join(up, ", "), own
	}
	most := make([]string, 0, 3)
	for _, u := range s.Uses[:min(3, len(s.Uses))] {
		most = append(most, u.String())
	}
	return "nobody's CPU is used up (" + strings.Join(most, ", ") + "): it waits for something else, such as connections or locks", true
}

package release

import (
	"fmt"
	"time"

	"rehearsal/internal/alarm"
)

// A Finding is something in a plan that is understood, and wrong or unwise.
type Finding struct {
	File     string
	Line     int // from 1; 0 where the plan was not read from a file
	Severity Severity
	Wrong    string // what is wrong
	Right    string // what would be right
}

// String is "release.yaml:7: error: what is wrong; what would be right".
func (f Finding) String() string {
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return fmt.Sprintf("%s: %s: %s; %s", where, f.Severity, f.Wrong, f.Right)
}

// Severity is how bad a finding is.
type Severity uint8

const (
	Warning Severity = iota // people may want it so
	Error                   // the plan cannot keep what it promises
)

func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Error:
		return "error"
	}
	panic(fmt.Sprintf("unknown severity %d", s))
}

// Facts are what a plan is judged by besides itself. Zero values are facts not
// known, and what hangs on them is not judged.
type Facts struct {
	Now        time.Time         // from where the window is searched, two years ahead
	Alarms     []alarm.Alarm     // every metric alarm there is
	Composites []alarm.Composite // every composite alarm there is
	// Fed names the metrics of an alarm that nothing publishes.
	Fed          func(alarm.Alarm) (missing []string)
	Rate         float64  // requests per second of the whole service
	Replicas     int      // of the service
	Dependencies []string // of the service
	Contracts    []string // the dependencies that have one; nil is not known
	Migrations   *string  // the database whose migrations can be asked for; "" is none
	Smoke        *int     // how many smoke requests there are
}

// watched is the metric alarms that the plan watches, by themselves or in the rules of
// composite alarms, where they are known and can be judged, ready to be asked how fast
// they detect. A composite alarm follows its children at once.
func (p *Plan) watched(f Facts) []*alarm.Compiled {
	var out []*alarm.Compiled
	seen := map[string]bool{}
	for _, name := range p.Alarms {
		for _, name := range f.leaves(name) {
			for i := range f.Alarms {
				if f.Alarms[i].AlarmName != name || seen[name] {
					continue
				}
				seen[name] = true
				if c, err := f.Alarms[i].Compile(); err == nil {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// leaves is the names of the metric alarms that an alarm's state follows from: its own,
// unless it is a composite alarm.
func (f *Facts) leaves(name string) []string {
	var found []string
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for i := range f.Composites {
			if f.Composites[i].AlarmName != name {
				continue
			}
			if c, err := f.Composites[i].Compile(); err == nil {
				for _, child := range c.Rule.Children() {
					visit(child)
				}
			}
			return
		}
		found = append(found, name)
	}
	visit(name)
	return found
}

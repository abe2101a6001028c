// Package release is how a version is brought to the users: plans, and carrying
// them out.
//
// A plan is a file (ParseFile) that people write and review. Lint says what is
// wrong with it before anything starts, Describe prints it as people read it, and
// its Window says when it may be carried out. Run carries a plan out on any
// stage.Stage, by one of five strategies, watches while it bakes, and rolls back
// by itself. What it does and why goes into the stage's History; how it ended is
// an Outcome.
//
// A reader begins with Run, then beside.go and rolling.go (the way to the users)
// and rollback.go (the way back).
package release

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Plan is how a team releases, as its plan file says.
type Plan struct {
	Name     string
	File     string // that it was read from
	Strategy Strategy

	Steps          []Step        // canary: as written
	Share          float64       // linear: percent of the traffic that each step adds
	Batch          Amount        // rolling: how many replicas are replaced at a time
	MinimumHealthy float64       // rolling: percent of the replicas that serve at any time, rounded up
	Every          time.Duration // linear, rolling: the bake after each step but the last
	Bake           time.Duration // the bake once everyone is on the new version; a canary has it in its last step

	Alarms   []string // the names of the alarms watched
	Checks   Checks
	Rollback Rollback
	Window   *Window // nil: always open

	lines map[string]int // where each value was written, by its path: "steps[1].share"
}

// A Strategy is a way to bring a version to the users.
type Strategy string

const (
	// AllAtOnce starts the new version beside the old, shifts everyone at once and
	// retires the old right after the shift. That is where it differs from BlueGreen:
	// no test traffic, and nothing kept to go back to, so that rolling back has to
	// deploy the old version again.
	AllAtOnce Strategy = "all-at-once"
	// Rolling replaces the replicas batch by batch; the shares follow the replicas.
	Rolling Strategy = "rolling"
	// BlueGreen starts the whole new version (green) beside the old (blue), tests
	// it, shifts everyone at once, and keeps blue until the end of the bake.
	BlueGreen Strategy = "blue-green"
	// Canary shifts traffic by any list of shares and bakes.
	Canary Strategy = "canary"
	// Linear shifts traffic by equal steps.
	Linear Strategy = "linear"
)

// Strategies is every strategy, boldest first.
func Strategies() []Strategy { return []Strategy{AllAtOnce, BlueGreen, Rolling, Linear, Canary} }

// A Step is a shift and the bake after it.
type Step struct {
	Share float64 // percent of the traffic that the new version gets
	Bake  time.Duration
}

// An Amount of replicas, as a count or, where that is 0, in percent.
type Amount struct {
	Count   int
	Percent float64
}

// Of is the amount of n replicas: at least 1, at most n. Percentages are rounded
// down, as Kubernetes and ECS do.
func (a Amount) Of(n int) int {
	k := a.Count
	if k == 0 {
		k = int(float64(n)*a.Percent/100 + 1e-9)
	}
	return min(max(k, 1), max(n, 1))
}

func (a Amount) String() string {
	if a.Count > 0 {
		return strconv.Itoa(a.Count)
	}
	return percent(a.Percent)
}

// Checks are the questions asked besides the alarms. A check that fails stops
// the release, or takes it back.
type Checks struct {
	Before []Before // what must hold before anything is deployed
	Test   bool     // smoke requests to the new version before users reach it
	Shift  bool     // smoke requests to the new version before and after each shift to it
	After  bool     // smoke requests to the new version once it serves everyone
}

// Rollback is the way back.
type Rollback struct {
	ToLastGood bool      // back to the version that was last good; false: there is no way back
	When       []Trigger // what takes the release back by itself
	// Within is how long it may take until everyone is back on the good version; a
	// rollback that takes longer has failed. 0: no limit.
	Within  time.Duration
	Decides string // who decides by hand, and is asked when the release is stuck
}

// A Trigger is a reason to roll back.
type Trigger string

const (
	AnyAlarm     Trigger = "any watched alarm"
	FailedHealth Trigger = "failed health check"
	FailedCheck  Trigger = "failed check"
	ByHand       Trigger = "by hand" // a person's order is carried out whether listed or not
)

// Triggers is every trigger.
func Triggers() []Trigger { return []Trigger{AnyAlarm, FailedHealth, FailedCheck, ByHand} }

// Schedule is every shift of the plan with its bake, where the service has that
// many replicas. A rolling plan by percentage needs to know; 0 is taken as 100.
func (p *Plan) Schedule(replicas int) []Step {
	switch p.Strategy {
	case AllAtOnce, BlueGreen:
		return []Step{{100, p.Bake}}
	case Canary:
		return p.Steps
	case Linear:
		var steps []Step
		for n := 1.0; p.Share > 0 && p.Share*n < 100-1e-9; n++ {
			steps = append(steps, Step{p.Share * n, p.Every})
		}
		return append(steps, Step{100, p.Bake})
	case Rolling:
		if replicas <= 0 {
			replicas = 100
		}
		var steps []Step
		batch := p.Batch.Of(replicas)
		for n := batch; n < replicas; n += batch {
			steps = append(steps, Step{100 * float64(n) / float64(replicas), p.Every})
		}
		return append(steps, Step{100, p.Bake})
	}
	panic("unknown strategy " + string(p.Strategy))
}

// Length is how long the bakes take together; starting replicas comes on top.
func (p *Plan) Length(replicas int) time.Duration {
	var sum time.Duration
	for _, s := range p.Schedule(replicas) {
		sum += s.Bake
	}
	return sum
}

// check says what is wrong with shares that cannot be carried out. Lint says the
// same with the line.
func (p *Plan) check() error {
	last := 0.0
	for i, s := range p.Schedule(0) {
		if s.Share <= last || s.Share > 100 || math.IsNaN(s.Share) {
			return fmt.Errorf("plan %q: the share of step %d is %s: shares must rise from above 0 to 100 %%", p.Name, i+1, percent(s.Share))
		}
		last = s.Share
	}
	if last != 100 {
		return fmt.Errorf("plan %q: the shares end at %s: they must end at 100 %%", p.Name, percent(last))
	}
	return nil
}

// line is where the value at path was written: its own line, or that of what
// holds it. 0 where the plan was not read from a file.
func (p *Plan) line(path string) int {
	for {
		if l, ok := p.lines[path]; ok {
			return l
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return p.lines["plan"]
		}
		path = path[:i]
	}
}

// percent is "10 %".
func percent(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + " %" }

// rough is percent to one decimal, for shares of replicas such as a third.
func rough(v float64) string { return percent(math.Round(v*10) / 10) }

// brief is a duration without the zeros: "5m", "1h30m".
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

package live

import (
	"time"

	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A Release is the release of a scenario under way, held against its plan: so it is
// known what happens next.
type Release struct {
	Plan    *release.Plan
	Version string
	Stable  string         // that serves everyone before; "": none
	Steps   []release.Step // the shifts of the plan, with their bakes
	Phase   release.Phase  // NoPhase: what must hold before is asked
	Step    int            // AtStep: which, from 1
	Baking  bool           // AtStep: the shift is made
	Since   time.Duration  // Baking: from when, in release time
	Baked   time.Duration  // and for how long
	Outcome string         // Over: how it ended

	moved bool // the shift of the step was made, or its replicas started
	pace  pace
}

func (r *Release) see(e stage.Event) {
	switch m := release.MarkOf(e); m.Phase {
	case release.NoPhase:
		r.move(e)
	case release.Over:
		r.Phase, r.Baking, r.Outcome = m.Phase, false, e.Detail
	case release.AtStep:
		if m.Step < 1 || len(r.Steps) == 0 {
			return
		}
		if m.Of < len(r.Steps) { // the first release of all gets everyone at once
			r.Steps = r.Steps[len(r.Steps)-m.Of:]
		}
		r.Phase, r.Step, r.Baking, r.moved = m.Phase, min(m.Step, len(r.Steps)), false, false
	default:
		if r.Phase != release.GoingBack { // where starting is starting the stable version again
			r.Phase, r.Baking = m.Phase, false
		}
	}
}

// move has the bake of a step begin with the last thing that is done before it.
func (r *Release) move(e stage.Event) {
	if r.Phase != release.AtStep {
		return
	}
	rolling := r.Plan.Strategy == release.Rolling // where a shift may make room before the new replicas start
	switch e.Kind {
	case stage.Shifted:
		r.moved = r.moved || !rolling || r.Stable == ""
	case stage.Deployed:
		r.moved = r.moved || rolling && e.Version == r.Version
	case stage.Retired, stage.Probed:
	default:
		return
	}
	if r.moved {
		r.Baking, r.Since, r.Baked = true, e.At, 0
	}
}

func (r *Release) tick(wall time.Time, now time.Duration) {
	if r.Baking {
		r.Baked = min(max(now-r.Since, 0), r.bake())
	}
	r.pace.tick(r.Baking && r.Baked < r.bake(), wall, now)
}

func (r *Release) bake() time.Duration { return r.Steps[r.Step-1].Bake }

// Left is the release time that the plan still takes, where nothing goes wrong, and
// about how long that is on the wall, at the pace of the bakes so far (0: not known).
// It is not known once the plan is left.
func (r *Release) Left() (left, wall time.Duration, known bool) {
	rest := r.Steps
	switch r.Phase {
	case release.AtStep:
		rest = rest[r.Step-1:]
		left = -r.Baked
		if !r.Baking {
			left = 0
		}
	case release.GoingBack, release.Over:
		return 0, 0, false
	default:
	}
	for _, s := range rest {
		left += s.Bake
	}
	return left, r.pace.wall(left), true
}

// A pace is how fast release time runs while bakes go on.
type pace struct {
	on               bool
	wall0            time.Time
	now0             time.Duration
	wallSum, release time.Duration
}

func (p *pace) tick(on bool, wall time.Time, now time.Duration) {
	if p.on {
		p.wallSum += wall.Sub(p.wall0)
		p.release += now - p.now0
	}
	p.on, p.wall0, p.now0 = on, wall, now
}

// wall is how long d of release time takes; 0: too little was seen to tell.
func (p *pace) wall(d time.Duration) time.Duration {
	if p.wallSum < time.Second || p.release <= 0 {
		return 0
	}
	return time.Duration(float64(d) * float64(p.wallSum) / float64(p.release))
}

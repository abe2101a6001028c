package alarm

import (
	"fmt"
	"math"
	"time"
)

// A Scene is the service that alarms are foreseen for: what it does while all is
// well, and how its metrics reach CloudWatch.
type Scene struct {
	Rate     float64 // requests per second
	Replicas int     // tasks behind the balancer
	// Median and P99 are how long answers take (log-normal).
	Median, P99 time.Duration
	CPU, Memory float64 // percent that the service uses
	// Notice is from a task's last answer until the balancer's health check has
	// made it unhealthy.
	Notice time.Duration
	// Delay is from the end of a metric's minute until CloudWatch has it; for
	// alarms with a period shorter than a minute, from the sample itself.
	Delay time.Duration
	// Lines are the metrics that metric filters make of the service's log.
	Lines []LineMetric
	// Logged is how many lines that a filter matches one failed request makes.
	Logged float64
	// Bakes are how long the release plan waits and watches, step by step.
	Bakes []time.Duration
}

// DefaultScene is what is assumed where nobody has said otherwise. The health check
// is the Application Load Balancer's own default: two failures, 30 s apart.
func DefaultScene() Scene {
	return Scene{Rate: 200, Replicas: 2, Median: 40 * time.Millisecond, P99: 200 * time.Millisecond, CPU: 30, Memory: 40,
		Notice: time.Minute, Logged: 1}
}

// A LineMetric is a metric that a metric filter publishes.
type LineMetric struct {
	Namespace, MetricName string
	Unit                  string   // empty: None
	Default               *float64 // published for a minute without a matching line
}

// A Trouble is a kind of failure, as metrics tell them apart.
type Trouble uint8

// The troubles that an alarm is foreseen for.
const (
	Failing  Trouble = iota // a share of the requests is answered with a 5xx by the service
	Slowing                 // a share of the requests takes longer
	Stopping                // tasks stop answering: the balancer answers for them
	Filling                 // the tasks use more CPU and memory
	Silence                 // the metrics are no longer published
)

// Troubles are all of them, in the order they are told.
var Troubles = []Trouble{Failing, Slowing, Stopping, Filling, Silence}

// A Failure is a trouble of a size, which lasts until it is ended.
type Failure struct {
	Trouble Trouble
	Share   float64       // percent: of the requests (Failing, Slowing), used (Filling)
	Delay   time.Duration // Slowing: what is added to an answer
	Tasks   int           // Stopping
}

// A Span is the shortest and the longest of a time that hangs on when, within a
// period, the failure began or ended.
type Span struct{ Earliest, Latest time.Duration }

// A Foresight is what an alarm does about a failure.
type Foresight struct {
	Failure Failure
	Fires   bool
	Detect  Span // from the failure's beginning to ALARM; if Fires
	// Before is the state that it is in while all is well.
	Before State
	// After is the state that it is in once the failure has lasted long.
	After State
	// Recovers says whether it leaves ALARM by itself once the failure has ended,
	// for Left, within Recover of the end.
	Recovers bool
	Recover  Span
	Left     State
	// Least is the smallest failure of this trouble that it fires for, to about 1 %;
	// if Fires or if a larger one would. Its Tasks or Share or Delay are 0 if none
	// of any size would.
	Least Failure
	// Brief is how short a failure may be and still be seen: one shorter than
	// Earliest never is, one as long as Latest always is; if Fires.
	Brief Span
}

// Knows says whether it is known what the alarm's metrics do in a failure: all of
// them are AWS's that are in the table of meanings, or made by the scene's metric
// filters.
func (s *Scene) Knows(c *Compiled) bool {
	for _, in := range c.Inputs {
		if m := s.meaning(in.Metric); m == nil || m.sample == nil {
			return false
		}
	}
	return true
}

// Foresee carries out the failure on the scene, once for each second of an
// evaluation's interval at which it can begin, and evaluates the alarm as
// CloudWatch would. Nothing is left to chance: shares are exact. The second result
// says whether it is known what the metrics do; see Scene.Knows.
func (c *Compiled) Foresee(s *Scene, f Failure) (Foresight, bool) {
	if !s.Knows(c) {
		return Foresight{}, false
	}
	return foreseen(newRehearsal(c, s), s, f), true
}

// ForeseeWhole is Foresee for an alarm whose metrics are not known: a failure that
// makes every period breach that it fills, and, at the earliest, any period that it
// touches. The points it plays are those of the judged series.
func (c *Compiled) ForeseeWhole(s *Scene) (detect, recover Span) {
	touched, filled := newRehearsal(c, s), newRehearsal(c, s)
	good, bad := c.sides()
	touched.judged = func(share float64) float64 { return either(share > 0, bad, good) }
	filled.judged = func(share float64) float64 { return either(share >= 1, bad, good) }
	early, late := Foresight{}, Foresight{}
	play(touched, &early, Failure{})
	play(filled, &late, Failure{})
	return Span{early.Detect.Earliest, late.Detect.Latest}, Span{late.Recover.Earliest, early.Recover.Latest}
}

// sides are a value within the threshold and one beyond it.
func (c *Compiled) sides() (good, bad float64) {
	step := max(1, math.Abs(c.threshold))
	if c.compare == greaterThan || c.compare == greaterOrEqual {
		return c.threshold - step, c.threshold + step
	}
	return c.threshold + step, c.threshold - step
}

func either(yes bool, a, b float64) float64 {
	if yes {
		return a
	}
	return b
}

// Seconds since the failure's world began stand for time here: the evaluations are
// at whole multiples of every, and before 0 all was well for ever.
type rehearsal struct {
	compiled *Compiled
	scene    *Scene
	meanings []*meaning
	judged   func(share float64) float64 // if set, the judged series by the failure's share of a period
	every    int64
	length   int64 // of a period
	delay    int64

	state, kept State
	last        int64 // when points were made last; never if it is below 0

	stages  []phase
	memo    []map[[3]int64]Point // by seconds of each kind of phase
	whole   [][3]wholePeriod     // the points of periods of one kind, which are nearly all
	set     Distribution
	inputs  [][]Point
	scratch Scratch
}

// A phase is a condition of the service from a second on.
type phase struct {
	from int64
	kind int // index into the memo's key
	cond conduct
}

type wholePeriod struct {
	known bool
	point Point
}

func newRehearsal(c *Compiled, s *Scene) *rehearsal {
	r := &rehearsal{compiled: c, scene: s, every: int64(c.Every / time.Second), length: int64(c.Period / time.Second),
		delay: int64((s.Delay + time.Second - 1) / time.Second)}
	for _, in := range c.Inputs {
		r.meanings = append(r.meanings, s.meaning(in.Metric))
		r.inputs = append(r.inputs, make([]Point, c.Range))
		r.memo = append(r.memo, nil)
		r.whole = append(r.whole, [3]wholePeriod{})
	}
	return r
}

// conditions are those of a failure: before it, at its beginning, and
// once the health check has noticed.
func (r *rehearsal) conditions(f Failure) (well, acute, noticed conduct, after int64) {
	well = allWell(r.scene)
	acute, noticed = well, well
	if r.judged != nil {
		return well, acute, noticed, 0
	}
	acute.bring(r.scene, f, false)
	noticed.bring(r.scene, f, true)
	if f.Trouble == Stopping {
		after = int64((r.scene.Notice + time.Second - 1) / time.Second)
	}
	return well, acute, noticed, after
}

// begin sets the stages: the failure from one second to another; never ends if to
// is not after from.
func (r *rehearsal) begin(f Failure, from, to int64) {
	r.last = math.MinInt64 / 2
	well, acute, noticed, after := r.conditions(f)
	r.stages = append(r.stages[:0], phase{math.MinInt64 / 2, 0, well}, phase{from, 1, acute})
	if after > 0 && (to <= from || from+after < to) {
		r.stages = append(r.stages, phase{from + after, 2, noticed})
	} else if after == 0 {
		r.stages[1].kind = 2
	}
	if to > from {
		r.stages = append(r.stages, phase{to, 0, well})
	}
}

// forget empties the memory of points, which belongs to one failure.
func (r *rehearsal) forget() {
	for i := range r.memo {
		r.memo[i], r.whole[i] = map[[3]int64]Point{}, [3]wholePeriod{}
	}
}

const minute = 60

// points are what an evaluation at that second looks at.
func (r *rehearsal) points(at int64) []Point {
	c := r.compiled
	if r.judged != nil {
		return r.judgedPoints(at)
	}
	// Minutes move on by one from one evaluation to the next; only the newest are not
	// known yet, or not whole.
	from := 0
	if r.length == minute && r.last == at-minute {
		from = max(0, c.Range-2-int(r.delay/r.length)-1)
		for i := range r.inputs {
			copy(r.inputs[i], r.inputs[i][1:])
		}
	}
	r.last = at
	for i := range r.inputs {
		for k := from; k < c.Range; k++ {
			end := at - int64(c.Range-1-k)*r.length
			r.inputs[i][k] = r.point(i, end, at)
		}
	}
	return c.Points(&r.scratch, r.inputs)
}

// point is the period of an input that ends at end, as it is known at that second.
func (r *rehearsal) point(i int, end, at int64) Point {
	from, to := end-r.length, end
	if r.length < minute && !r.meanings[i].fine {
		// A metric that comes once a minute bears the time of its minute's beginning.
		from = -floorTo(-from, minute)
		if from >= end {
			return Point{}
		}
		to = from + minute
	}
	to = min(to, r.known(at, i))
	if to <= from {
		return Point{}
	}
	var key [3]int64
	for j := range r.stages {
		p, until := &r.stages[j], int64(math.MaxInt64)
		if j+1 < len(r.stages) {
			until = r.stages[j+1].from
		}
		if to-from == r.length && p.from <= from && to <= until {
			if w := &r.whole[i][p.kind]; w.known {
				return w.point
			}
		}
		key[p.kind] += max(0, min(to, until)-max(from, p.from))
	}
	if p, ok := r.memo[i][key]; ok {
		return p
	}
	r.set.Reset()
	for kind, seconds := range key {
		if seconds == 0 {
			continue
		}
		for _, p := range r.stages {
			if p.kind == kind {
				if !p.cond.silent {
					r.meanings[i].sample(r.scene, &p.cond, float64(seconds), &r.set)
				}
				break
			}
		}
	}
	in, m := r.compiled.Inputs[i], r.meanings[i]
	p := Point{}
	if in.Unit == "" || in.Unit == m.unit {
		p = in.Statistic.Point(&r.set)
	}
	r.memo[i][key] = p
	for kind, seconds := range key {
		if seconds == r.length {
			r.whole[i][kind] = wholePeriod{true, p}
		}
	}
	return p
}

// known is until when an input's samples are there at that second.
func (r *rehearsal) known(at int64, i int) int64 {
	if r.length < minute && r.meanings[i].fine {
		return at - r.delay
	}
	return floorTo(at-r.delay, minute)
}

func (r *rehearsal) judgedPoints(at int64) []Point {
	c := r.compiled
	points := r.scratch.points[:0]
	known := at - r.delay
	if r.length >= minute {
		known = floorTo(known, minute)
	}
	for k := range c.Range {
		end := at - int64(c.Range-1-k)*r.length
		from, to := end-r.length, min(end, known)
		if to <= from {
			points = append(points, Point{})
			continue
		}
		bad := int64(0)
		for j, p := range r.stages {
			until := int64(math.MaxInt64)
			if j+1 < len(r.stages) {
				until = r.stages[j+1].from
			}
			if p.kind > 0 {
				bad += max(0, min(to, until)-max(from, p.from))
			}
		}
		points = append(points, Point{Value: r.judged(float64(bad) / float64(to-from)), Samples: math.Inf(1), Present: true})
	}
	r.scratch.points = points
	return points
}

func floorTo(v, unit int64) int64 {
	f := v - v%unit
	if f > v {
		f -= unit
	}
	return f
}

// horizon is how long after a change the last period that has both sides of it has
// left the range.
func (r *rehearsal) horizon(f Failure) int64 {
	notice := int64(0)
	if f.Trouble == Stopping {
		notice = int64(r.scene.Notice/time.Second) + 1
	}
	return floorTo(int64(r.compiled.Range+1)*r.length+r.delay+notice+2*minute, r.every) + r.every
}

// work bounds how many points one Foresee may make, in the order of a second.
const work = 4_000_000

// step is how many seconds the beginnings lie apart that are tried: one, or more
// for an alarm that looks at days of minutes.
func (r *rehearsal) step(f Failure) int64 {
	each := r.horizon(f) / r.every * int64(r.compiled.Range) * int64(len(r.inputs))
	step := int64(1)
	for step < r.every && each*(r.every/step) > work/8 {
		step *= 2
	}
	return step
}

func (s *Span) widen(first bool, seconds int64) {
	d := time.Duration(seconds) * time.Second
	if first {
		s.Earliest, s.Latest = d, d
	}
	s.Earliest, s.Latest = min(s.Earliest, d), max(s.Latest, d)
}

// begun, reset, judge and the rest make a rehearsal a player.

func (r *rehearsal) reset() State {
	r.state, _ = r.compiled.Evaluate(r.points(0), InsufficientData)
	return r.state
}

func (r *rehearsal) judge(at int64) State {
	r.state, _ = r.compiled.Evaluate(r.points(at), r.state)
	return r.state
}

func (r *rehearsal) interval() int64 { return r.every }
func (r *rehearsal) keep()           { r.kept = r.state }
func (r *rehearsal) restore()        { r.state = r.kept }

// String names the trouble as people say it.
func (t Trouble) String() string {
	switch t {
	case Failing:
		return "requests fail"
	case Slowing:
		return "answers are slow"
	case Stopping:
		return "tasks stop answering"
	case Filling:
		return "CPU and memory fill up"
	case Silence:
		return "the metrics stop"
	}
	panic(fmt.Sprintf("alarm: unknown trouble %d", uint8(t)))
}

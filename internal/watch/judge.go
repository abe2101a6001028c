package watch

import (
	"math"
	"slices"
	"time"

	"rehearsal/internal/alarm"
)

// A Reading is what was seen of a release until a moment.
type Reading struct {
	Now     time.Time
	Answers Answers
	Alarms  map[string]AlarmSeen
	Changes []Change // of the alarms' states since the release began
}

// A Judge lays what is seen beside what was predicted. It reads no clock and asks
// nobody: the same reading always gives the same sight.
type Judge struct {
	Measures   *Measures
	Prediction *Prediction
	Began      time.Time
	// Late is how late CloudWatch's metrics come. A period is settled once it has been
	// over for that long.
	Late time.Duration
	// Margin is how far a value may be from the band, as a share of the band's end.
	Margin float64
	Names  []string // of all alarms
}

// A Sight is a reading beside the prediction.
type Sight struct {
	Now      time.Time
	Release  time.Duration // since it began
	Step     int           // that the plan is at, as predicted; 0 before the first
	Measures []MeasureSight
	Alarms   []AlarmSight
	Over     bool // the plan is, and all of it is settled
	reading  *Reading
}

// A MeasureSight is what is seen of one measure.
type MeasureSight struct {
	*Measure
	At    time.Time // when the period begins that is shown; zero: there was no data yet
	Value float64
	Band  Band // of that period, as far as a value may go
	// Out is 1 where the value is above the band, -1 below, 0 within.
	Out   int
	Since time.Time // when the first period began of those in a row that are out
	// AsFar is in how many of the predicted releases it was as far out about then.
	AsFar   int
	Worst   float64 // the farthest out of those in a row
	Missed  int     // periods in a row without data, though there should be
	Before  int     // how many periods right before the release were out already
	LastOut bool    // it was out in the last bake
}

// An AlarmSight is what is seen of one alarm.
type AlarmSight struct {
	Name string
	Seen bool // there is such an alarm
	AlarmSeen
	Off       time.Time // when it went off since the release began, the last time; zero: it did not
	Predicted int       // in how many of the predicted releases it had gone off by now
	// Due is since when it should be in ALARM, by its own rules and by the settled data;
	// zero: it should not. Silent says that it is not, though it had the time.
	Due    time.Time
	Silent bool
	// Next is when it goes off if all goes on as in the last period; zero: it does not.
	Next time.Time
}

// Unexpected says whether it is in ALARM, which few of the predicted releases were.
func (a *AlarmSight) unexpected(releases int) bool {
	return a.Seen && a.State == alarm.InAlarm && float64(a.Predicted) <= outside*float64(releases)
}

// Look lays a reading beside the prediction.
func (j *Judge) Look(r *Reading) *Sight {
	s := &Sight{Now: r.Now, Release: r.Now.Sub(j.Began), reading: r}
	s.Step = j.Prediction.step(s.Release)
	s.Over = !r.Now.Before(j.end())
	answers := r.Answers.of(j.Measures.Questions)
	for i := range j.Measures.All {
		s.Measures = append(s.Measures, j.measure(i, answers, r.Now))
	}
	for _, name := range j.Names {
		s.Alarms = append(s.Alarms, j.alarm(name, answers, r))
	}
	return s
}

// end is when all of the plan is over and settled.
func (j *Judge) end() time.Time {
	longest := time.Minute
	for _, m := range j.Measures.All {
		longest = max(longest, m.Rule.Period)
	}
	return periodOf(j.Began.Add(j.Prediction.Length), longest).Add(longest + j.Late)
}

// lookback is how far before the release data is needed.
func (j *Judge) lookback() time.Duration {
	back := time.Duration(0)
	for _, m := range j.Measures.All {
		back = max(back, lead*m.Rule.Period)
	}
	for _, c := range j.Measures.alarms {
		back = max(back, time.Duration(c.Range+1)*c.Period)
	}
	return back
}

// band is how far a measure may go in a period.
func (j *Judge) band(i, n int) Band {
	one := j.Measures.All[i]
	b := j.Prediction.Band(i, n)
	if math.IsNaN(b.High) {
		if !one.sparse() {
			return b
		}
		b = Band{} // nothing to count is no data
	}
	if one.Unit == Hosts { // which are counted
		return b
	}
	b.Low -= max(math.Abs(b.Low)*j.Margin, one.Floor)
	b.High += max(math.Abs(b.High)*j.Margin, one.Floor)
	return b
}

func (j *Judge) measure(i int, answers source, now time.Time) MeasureSight {
	one := j.Measures.All[i]
	s := MeasureSight{Measure: one}
	period := one.Rule.Period
	first := periodOf(j.Began, period)
	from := first.Add(-lead * period)
	points := one.points(answers, from, max(int(now.Sub(from)/period)+1, lead))
	last := j.lastBake()
	for k, p := range points {
		n, at := k-lead, from.Add(time.Duration(k)*period)
		settled := !now.Before(at.Add(period + j.Late))
		b := j.band(i, n)
		if math.IsNaN(b.High) {
			if p.Present && settled {
				s.At, s.Value, s.Band = at, p.Value, b
			}
			continue
		}
		if !p.Present {
			if settled && n >= 0 && b.Always {
				s.Missed++
			}
			continue
		}
		out := one.out(p.Value, b)
		if !settled && (out != 1 || !j.certain(i, answers, at, n, b)) {
			continue
		}
		if n < 0 {
			if out != 0 {
				s.Before++
			}
			continue
		}
		s.Missed = 0
		if s.Out == 0 || out != s.Out {
			s.Since, s.Worst = at, p.Value
		}
		if out > 0 && p.Value > s.Worst || out < 0 && p.Value < s.Worst {
			s.Worst = p.Value
		}
		s.At, s.Value, s.Band, s.Out = at, p.Value, b, out
		if out != 0 && !at.Before(last) {
			s.LastOut = true
		}
	}
	if s.Out == 0 {
		s.Since = time.Time{}
	} else {
		s.AsFar = j.Prediction.asFar(i, int(s.At.Sub(first)/period), s.Value, s.Out > 0)
	}
	return s
}

// lastBake is when the last bake begins, as predicted.
func (j *Judge) lastBake() time.Time {
	if n := len(j.Prediction.Steps); n > 0 {
		return j.Began.Add(j.Prediction.Steps[n-1].At)
	}
	return j.Began
}

// out says on which side of the band a value is, where that is bad.
func (one *Measure) out(v float64, b Band) int {
	switch {
	case v > b.High && one.Bad >= 0:
		return 1
	case v < b.Low && one.Bad <= 0:
		return -1
	}
	return 0
}

// sparse says whether no data may mean that there was nothing to count.
func (one *Measure) sparse() bool {
	return one.grows && !slices.ContainsFunc(one.Rule.Inputs, func(in alarm.Input) bool { return in.Metric.Namespace != elb })
}

// certain says whether a value that is above the band before its period is settled stays
// there, whatever still comes in: a sum only grows, and a share of the requests is taken
// of as many as may come at most.
func (j *Judge) certain(i int, answers source, at time.Time, n int, b Band) bool {
	one := j.Measures.All[i]
	if !one.grows {
		return false
	}
	if one.requests < 0 {
		return true
	}
	whole := slices.IndexFunc(j.Measures.All, func(m *Measure) bool { return m.Name == "requests" })
	if whole < 0 || one.Name != "error rate" {
		return false
	}
	inputs := make([][]alarm.Point, len(one.inputs))
	for k, q := range one.inputs {
		inputs[k] = answers(q, at, 1)
	}
	most := j.band(whole, n)
	if math.IsNaN(most.High) {
		return false
	}
	r := &inputs[one.requests][0]
	r.Value, r.Present = max(r.Value, most.High*one.Rule.Period.Seconds()), true
	p := one.of(inputs, 1)[0]
	return p.Present && p.Value > b.High
}

func (j *Judge) alarm(name string, answers source, r *Reading) AlarmSight {
	s := AlarmSight{Name: name, Predicted: j.Prediction.offBy(name, r.Now.Sub(j.Began))}
	s.AlarmSeen, s.Seen = r.Alarms[name]
	for _, c := range r.Changes {
		if c.Name == name && c.To == alarm.InAlarm {
			s.Off = c.At
		}
	}
	i := slices.IndexFunc(j.Measures.alarms, func(c *watched) bool { return c.Alarm.AlarmName == name })
	if i < 0 || j.Measures.alarms[i].Enough() > 0 { // how many samples there were is not known
		return s
	}
	c := j.Measures.alarms[i]
	points, first := c.judged(answers, j.Began, r.Now)
	state := alarm.OK
	end := func(k int) time.Time { return first.Add(time.Duration(k+1) * c.Period) }
	known := 0 // up to the last period that has data, or is settled
	for k := range points {
		settled := !r.Now.Before(end(k).Add(j.Late))
		if settled || points[k].Present {
			known = k + 1
		}
		if !settled || end(k).Before(j.Began) {
			continue
		}
		state, _ = c.Evaluate(points[:k+1], state)
		switch {
		case state != alarm.InAlarm:
			s.Due = time.Time{}
		case s.Due.IsZero():
			s.Due = end(k)
		}
	}
	if s.Seen && s.State == alarm.InAlarm {
		return s
	}
	had := !s.Due.IsZero() && r.Now.Sub(s.Due) >= j.Late+c.Every && s.Off.Before(s.Due.Add(-c.Period))
	s.Silent = had
	if s.Due.IsZero() && known > 0 && points[known-1].Present {
		s.Next = c.foresee(points[:known], end(known-1), state)
	}
	return s
}

// judged is what an alarm looks at until now, and where its first period begins.
func (c *watched) judged(answers source, began, now time.Time) (points []alarm.Point, first time.Time) {
	first = periodOf(began, c.Period).Add(-time.Duration(c.Range) * c.Period)
	n := max(int(now.Sub(first)/c.Period)+1, 1)
	inputs := make([][]alarm.Point, len(c.inputs))
	for i, q := range c.inputs {
		inputs[i] = answers(q, first, n)
	}
	rule := *c.Compiled
	rule.Range = n
	var scratch alarm.Scratch
	return slices.Clone(rule.Points(&scratch, inputs)), first
}

// foresee is when the alarm goes off if every period is like the last one, which ends at
// end; zero: it does not.
func (c *watched) foresee(points []alarm.Point, end time.Time, state alarm.State) time.Time {
	points = slices.Clone(points)
	for k := range c.Range + 1 {
		var next alarm.State
		if next, _ = c.Evaluate(points, state); next == alarm.InAlarm {
			return end.Add(time.Duration(k) * c.Period)
		}
		state = next
		points = append(points, points[len(points)-1])
	}
	return time.Time{}
}

// blindAfter is how many periods in a row without data are no longer bad luck.
const blindAfter = 3

// Blind says whether there is no data of a measure, though there should be.
func (s *MeasureSight) blind() bool { return s.Missed >= blindAfter }

// Left says whether anything is out of the band now.
func (s *Sight) left(releases int) bool {
	return slices.ContainsFunc(s.Measures, func(m MeasureSight) bool { return m.Out != 0 }) ||
		slices.ContainsFunc(s.Alarms, func(a AlarmSight) bool { return a.unexpected(releases) || a.Silent })
}

// bad says whether anything was out of the band in the last bake.
func (s *Sight) bad(releases int, lastBake time.Time) bool {
	return s.left(releases) || slices.ContainsFunc(s.Measures, func(m MeasureSight) bool { return m.LastOut }) ||
		slices.ContainsFunc(s.Alarms, func(a AlarmSight) bool { return !a.Off.IsZero() && !a.Off.Before(lastBake) && a.Predicted == 0 })
}

// dark says whether something of it cannot be seen.
func (s *Sight) dark() bool {
	return !slices.ContainsFunc(s.Measures, func(m MeasureSight) bool { return !m.At.IsZero() }) ||
		slices.ContainsFunc(s.Measures, func(m MeasureSight) bool { return m.blind() }) ||
		slices.ContainsFunc(s.Alarms, func(a AlarmSight) bool { return !a.Seen })
}

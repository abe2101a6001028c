package alarm

import (
	"fmt"
	"time"
)

// rangeBeyond is how many points an evaluation looks at beyond N, its
// EvaluationPeriods, in case some of the newest are missing.
//
// The user guide ("Configuring how CloudWatch alarms treat missing data") says
// only that CloudWatch retrieves more data points than EvaluationPeriods, and
// that their number depends on the period and the resolution; in all of its
// examples it is 5 for 3. Alarms of 1 period seen in production left ALARM
// just over 3 periods after their last point. Both are N+2, which is used for
// every period and resolution. The premature-alarm rule below takes all of them: the
// guide's row "- - X - -", 3 of 3, is ALARM.
const rangeBeyond = 2

// Evaluate decides the state from the newest Range points, oldest to newest,
// and from the state the alarm is in. Older points change nothing; fewer than
// Range points mean that the oldest ones are missing. It does not allocate.
//
// The rules are those of the user guide's page on missing data:
//
//   - N real points or more: the newest N decide, ALARM when M or more of them
//     breach, else OK. TreatMissingData is not used.
//   - Fewer, and some are real: what is missing to N is filled in as
//     TreatMissingData says, and all real points count, however old. With
//     missing and ignore nothing can be filled in, so: M breaching points are
//     ALARM; else a point that does not breach is OK; else all real points
//     breach and there are too few of them ("premature alarm"): ignore keeps
//     the state, missing is ALARM once the oldest of them is at least M
//     points old, and INSUFFICIENT_DATA before.
//   - No real point: missing is INSUFFICIENT_DATA, ignore keeps the state,
//     breaching is ALARM, notBreaching is OK.
//   - A percentile with EvaluateLowSampleCountPercentile "ignore": a deciding
//     point of too few samples keeps the state.
//
// The Reason refers to points and must be read before they are overwritten.
func (c *Compiled) Evaluate(points []Point, prev State) (State, Reason) {
	if len(points) > c.Range {
		points = points[len(points)-c.Range:]
	}
	r := Reason{compiled: c, points: points, before: prev}
	oldest := 0 // age of the oldest deciding point; the newest is 1 old, none is 0
	for i := len(points) - 1; i >= 0 && r.real < c.n; i-- {
		p := &points[i]
		if !p.Present {
			continue
		}
		r.real++
		oldest = len(points) - i
		if c.compare.holds(p.Value, c.threshold) {
			r.breaching++
		}
		if p.Samples < c.enough {
			r.low = true
		}
	}
	r.state = c.decide(&r, oldest, prev)
	return r.state, r
}

func (c *Compiled) decide(r *Reason, oldest int, prev State) State {
	if r.low {
		return prev
	}
	short := c.n - r.real // how many must be filled in
	if r.breaching >= c.m || c.missing == treatBreaching && r.breaching+short >= c.m {
		return InAlarm
	}
	if r.breaching < r.real {
		return OK // a real point is within the threshold
	}
	switch c.missing {
	case treatBreaching, treatNotBreaching:
		return OK
	case treatIgnore:
		return prev
	case treatMissing:
		if oldest >= c.m {
			r.premature = true
			return InAlarm
		}
		return InsufficientData
	}
	panic(fmt.Sprintf("alarm: unknown treatment of missing data %d", c.missing))
}

// treatment is TreatMissingData.
type treatment uint8

const (
	treatMissing treatment = iota
	treatIgnore
	treatBreaching
	treatNotBreaching
)

func parseTreatment(text string) (treatment, bool) {
	switch text {
	case "", "missing":
		return treatMissing, true
	case "ignore":
		return treatIgnore, true
	case "breaching":
		return treatBreaching, true
	case "notBreaching":
		return treatNotBreaching, true
	}
	return treatMissing, false
}

// operator is ComparisonOperator, for a fixed threshold.
type operator uint8

const (
	greaterThan operator = iota
	greaterOrEqual
	lessThan
	lessOrEqual
)

func parseOperator(text string) (operator, bool) {
	switch text {
	case "GreaterThanThreshold":
		return greaterThan, true
	case "GreaterThanOrEqualToThreshold":
		return greaterOrEqual, true
	case "LessThanThreshold":
		return lessThan, true
	case "LessThanOrEqualToThreshold":
		return lessOrEqual, true
	}
	return greaterThan, false
}

func (o operator) holds(value, threshold float64) bool {
	switch o {
	case greaterThan:
		return value > threshold
	case greaterOrEqual:
		return value >= threshold
	case lessThan:
		return value < threshold
	case lessOrEqual:
		return value <= threshold
	}
	panic("alarm: unknown operator") // no more, so that it is inlined: it is asked of each point
}

func (o operator) String() string {
	switch o {
	case greaterThan:
		return "greater than"
	case greaterOrEqual:
		return "greater than or equal to"
	case lessThan:
		return "less than"
	case lessOrEqual:
		return "less than or equal to"
	}
	panic(fmt.Sprintf("alarm: unknown operator %d", o))
}

// Enough is the number of samples below which a period changes nothing: of an alarm on a
// percentile, by itself or as the metric that Metrics returns, whose
// EvaluateLowSampleCountPercentile is "ignore". 0: every period is judged.
func (c *Compiled) Enough() float64 { return c.enough }

// EarliestDetection and LatestDetection are how long after a failure begins the
// alarm can go to ALARM, if from then on every period breaches, the metric is
// reported in every period, and no period breached before. Both are release
// time, up to the evaluation; what a metric needs to be published comes on top.
//
// Earliest: the failure begins at the very end of a period and that instant
// already makes the period breach; M-1 further periods follow. For 3 of 5
// periods of a minute, 2 minutes.
func (c *Compiled) EarliestDetection() time.Duration {
	return time.Duration(c.m-1) * c.Period
}

// LatestDetection: the failure begins just after a period began, which it no
// longer makes breach; M whole periods follow, and the windows of an
// evaluation start anew every Every, so up to that long goes by before the
// first of them. For 3 of 5 periods of a minute, 4 minutes. See
// EarliestDetection.
func (c *Compiled) LatestDetection() time.Duration {
	return time.Duration(c.m)*c.Period + c.Every
}

// LatestSilence is how long after a metric falls silent (its source died) the
// alarm goes to ALARM at the latest, and whether it does at all: only if
// missing data is breaching. That is later than LatestDetection, since the
// last real points count until they leave the range.
func (c *Compiled) LatestSilence() (time.Duration, bool) {
	if c.missing != treatBreaching {
		return 0, false
	}
	return time.Duration(c.m+rangeBeyond)*c.Period + c.Every, true
}

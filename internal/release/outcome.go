package release

import (
	"fmt"
	"time"
)

// An Outcome is how a release ended. Its times are release time.
type Outcome struct {
	Result Result
	Cause  Cause
	Alarm  string // that went off, where Cause is CauseAlarm
	Detail string // one sentence for people
	// Serving is the version that all the users are on at the end; "" where they are
	// on several (Stuck half-way) or on none.
	Serving string

	Began, Ended time.Duration
	// RollbackBegan to RollbackEnded is the rollback; all users were back on the
	// stable version at TrafficBack. All 0 where none was begun, TrafficBack and
	// RollbackEnded also where it did not come that far.
	RollbackBegan, TrafficBack, RollbackEnded time.Duration
}

// A Result is a closed set.
type Result string

const (
	Released   Result = "released"    // the new version serves everyone
	RolledBack Result = "rolled back" // the stable version serves everyone again
	Refused    Result = "refused"     // stopped before anything was deployed
	// Stuck: it went wrong and there is no way back, or the rollback failed or took
	// longer than the plan allows. A person must decide; Detail says what is left.
	Stuck Result = "stuck"
	// Inconclusive comes with an error only: the stage broke, or the context ended.
	Inconclusive Result = "inconclusive"
)

// A Cause is why a release did not end as Released. It is a closed set.
type Cause string

const (
	NoCause     Cause = ""
	CauseAlarm  Cause = "alarm"              // a watched alarm
	CauseHealth Cause = "health check"       // the new version did not start, or failed while it was watched
	CauseBefore Cause = "pre-release check"  // before anything was deployed
	CauseTest   Cause = "test traffic"       // the smoke requests before users reached it
	CauseShift  Cause = "check at a shift"   // the smoke requests before and after a shift
	CauseAfter  Cause = "post-release check" // the smoke requests once it served everyone
	CauseByHand Cause = "by hand"
)

// trigger is the line of rollback.when that a cause falls under.
func (c Cause) trigger() Trigger {
	switch c {
	case CauseAlarm:
		return AnyAlarm
	case CauseHealth:
		return FailedHealth
	case CauseBefore, CauseTest, CauseShift, CauseAfter:
		return FailedCheck
	case CauseByHand:
		return ByHand
	case NoCause:
	}
	panic(fmt.Sprintf("no trigger for cause %q", c))
}

// A reason is why the release cannot go on. It travels as an error; any other
// error means that the harness broke.
type reason struct {
	cause  Cause
	alarm  string
	detail string
	refuse bool // nothing was deployed yet
}

func (r *reason) Error() string { return r.detail }

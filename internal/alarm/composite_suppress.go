package alarm

import (
	"fmt"
	"time"
)

// Suppressed is what holds back the actions of a composite alarm, by the names of
// AWS's ActionsSuppressedBy.
type Suppressed uint8

const (
	NotSuppressed         Suppressed = iota
	SuppressedByAlarm                // the suppressor is in ALARM
	SuppressedByWait                 // it may still go there: WaitPeriod
	SuppressedByExtension            // it has left ALARM, which the composite alarm may still follow: ExtensionPeriod
)

// String gives it as AWS writes it; "" for NotSuppressed.
func (s Suppressed) String() string {
	switch s {
	case NotSuppressed:
		return ""
	case SuppressedByAlarm:
		return "Alarm"
	case SuppressedByWait:
		return "WaitPeriod"
	case SuppressedByExtension:
		return "ExtensionPeriod"
	}
	panic(fmt.Sprintf("alarm: unknown Suppressed %d", uint8(s)))
}

// Suppression decides when a composite alarm with a suppressor carries out the
// actions of the state it is in. The zero value with Wait and Extension set is
// ready.
//
// The rules are those of the user guide's page "Alarm suppression". A change of
// state starts a wait, or a new one in place of whatever held the actions back. A
// suppressor in ALARM holds them back for as long as it is there, and ends a wait;
// when it leaves ALARM, an extension begins. What is due when a wait or an extension
// ends are the actions of the state at that moment; nothing is due where no change
// of state was held back. A suppressor that goes to ALARM at the very end of a wait
// is in time: the guide recommends a wait of 60 s to cover alarms that are judged
// every 60 s.
type Suppression struct {
	Wait, Extension time.Duration

	by    Suppressed
	until time.Time
}

// By is what holds the actions back.
func (s *Suppression) By() Suppressed { return s.by }

// Until is when the wait or the extension ends, if one is under way.
func (s *Suppression) Until() (time.Time, bool) {
	return s.until, s.by == SuppressedByWait || s.by == SuppressedByExtension
}

// Drop forgets what was held back, as when the suppressor is replaced.
func (s *Suppression) Drop() { s.by = NotSuppressed }

// See lets an instant pass, after which changed says whether the composite alarm
// changed its state in it and suppressor is the suppressor's state. It says whether
// to carry out the actions now. It must be called at every instant at which one of
// them changes, and at Until, in order.
func (s *Suppression) See(at time.Time, changed bool, suppressor State) (act bool) {
	switch {
	case !changed && s.by == NotSuppressed:
		return false
	case suppressor == InAlarm:
		s.by = SuppressedByAlarm
		return false
	case changed:
		s.by, s.until = SuppressedByWait, at.Add(s.Wait)
	case s.by == SuppressedByAlarm:
		s.by, s.until = SuppressedByExtension, at.Add(s.Extension)
	}
	if at.Before(s.until) {
		return false
	}
	s.by = NotSuppressed
	return true
}

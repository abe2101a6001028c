package report

import (
	"fmt"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
	"rehearsal/internal/stage"
)

// Line is an event as people read it while a release goes on: "" for what would be too
// much, such as all the traffic.
func Line(e stage.Event) string {
	var text string
	switch e.Kind {
	case stage.Stepped, stage.Confirmed:
		text = e.Detail
	case stage.Decided:
		text = "=> " + e.Detail
	case stage.Deployed:
		text = fmt.Sprintf("%s has %d healthy replicas", e.Version, e.Replicas)
	case stage.Retired:
		text = e.Version + " runs no more"
	case stage.Shifted:
		text = "traffic: " + e.Shares.String()
	case stage.Unhealthy:
		text = fmt.Sprintf("a replica of %s fails its health check: %s", e.Version, e.Detail)
	case stage.Exited:
		text = fmt.Sprintf("a replica of %s exited: %s", e.Version, e.Detail)
	case stage.Landed:
		text = fmt.Sprintf("%v: %s", e.Failure, e.Detail)
	case stage.Probed:
		text = fmt.Sprintf("%v: %s", e.Probe, e.Detail)
		if e.OK {
			text = fmt.Sprintf("%v: ok", e.Probe)
		}
	case stage.CalledOut:
		text = fmt.Sprintf("REFUSED: %v", e.Call)
	case stage.Changed:
		if e.Alarm.To != alarm.InAlarm && e.Alarm.From != alarm.InAlarm {
			return ""
		}
		text = fmt.Sprintf("alarm %q is %s: %s", e.Alarm.Name, e.Alarm.To, e.Alarm.Reason)
	default:
		return ""
	}
	return lang.Clean(Clock(e.At) + " " + text)
}

package report

import (
	"fmt"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
	"rehearsal/internal/stage"
)

// Line is an event as people read it while a release goes on: "" for what would be too
// much, such as all the traffic.
func Line(l lang.Lang, e stage.Event) string {
	var text string
	switch e.Kind {
	case stage.Stepped, stage.Confirmed:
		text = l.Text(e.Detail)
	case stage.Decided:
		text = "=> " + l.Text(e.Detail)
	case stage.Deployed:
		text = l.Sprintf("%s has %d healthy replicas", e.Version, e.Replicas)
	case stage.Retired:
		text = l.Sprintf("%s runs no more", e.Version)
	case stage.Shifted:
		text = l.Sprintf("traffic: %s", e.Shares.String())
	case stage.Unhealthy:
		text = l.Sprintf("a replica of %s fails its health check: %s", e.Version, l.Text(e.Detail))
	case stage.Exited:
		text = l.Sprintf("a replica of %s exited: %s", e.Version, l.Text(e.Detail))
	case stage.Landed:
		text = l.Text(fmt.Sprintf("%v: %s", e.Failure, e.Detail))
	case stage.Probed:
		text = l.Text(fmt.Sprintf("%v: %s", e.Probe, e.Detail))
		if e.OK {
			text = l.Sprintf("%v: ok", e.Probe)
		}
	case stage.CalledOut:
		text = l.Sprintf("REFUSED: %v", e.Call)
	case stage.Changed:
		if e.Alarm.To != alarm.InAlarm && e.Alarm.From != alarm.InAlarm {
			return ""
		}
		text = l.Sprintf("alarm %q is %s: %s", e.Alarm.Name, e.Alarm.To, l.Text(e.Alarm.Reason))
	default:
		return ""
	}
	return lang.Clean(Clock(e.At) + " " + text)
}

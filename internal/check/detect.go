package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// A Detection is the first of some alarms to enter ALARM after a moment.
type Detection struct {
	Alarm string
	At    time.Duration
}

// Detected is the first of the named alarms (any alarm when none is named) that
// entered ALARM at or after since.
func Detected(h *stage.History, since time.Duration, names ...string) (Detection, bool) {
	for e := range h.All(stage.Changed) {
		if e.At >= since && e.Alarm.To == alarm.InAlarm && (len(names) == 0 || slices.Contains(names, e.Alarm.Name)) {
			return Detection{e.Alarm.Name, e.At}, true
		}
	}
	return Detection{}, false
}

// DetectedWithin holds when the named alarm enters ALARM within d of version's
// exposure.
func DetectedWithin(h *stage.History, version, name string, d time.Duration) Finding {
	check := fmt.Sprintf("alarm %q within %s of exposure", name, short(d))
	exposed, ok := Exposure(h, version)
	if !ok {
		return failed(check, "the users were never exposed to what is wrong with %q: it took no traffic while the failure was there", version)
	}
	det, ok := Detected(h, exposed, name)
	if !ok {
		if others := fired(h, exposed); len(others) > 0 {
			return failed(check, "the alarm %q never went off after exposure at %s; these did: %s", name, short(exposed), strings.Join(others, ", "))
		}
		return failed(check, "no alarm went off after exposure at %s: the failure went undetected", short(exposed))
	}
	if took := det.At - exposed; took > d {
		return failed(check, "the alarm %q went off %s after exposure: more than %s", name, short(took), short(d))
	}
	return passed(check, "the alarm %q went off %s after exposure", name, short(det.At-exposed))
}

func fired(h *stage.History, since time.Duration) (names []string) {
	for e := range h.All(stage.Changed) {
		if e.At >= since && e.Alarm.To == alarm.InAlarm && !slices.Contains(names, e.Alarm.Name) {
			names = append(names, e.Alarm.Name)
		}
	}
	return names
}

// Silent holds when none of the named alarms (any alarm when none is named)
// entered ALARM in the whole history.
func Silent(h *stage.History, names ...string) Finding {
	check := "alarms stay silent"
	if len(names) > 0 {
		check = fmt.Sprintf("alarm %s stays silent", strings.Join(names, ", "))
	}
	if det, ok := Detected(h, 0, names...); ok {
		return failed(check, "the alarm %q went off at %s: %s", det.Alarm, short(det.At), reason(h, det))
	}
	return passed(check, "silent")
}

func reason(h *stage.History, det Detection) string {
	for e := range h.All(stage.Changed) {
		if e.At == det.At && e.Alarm.Name == det.Alarm && e.Alarm.To == alarm.InAlarm {
			return e.Alarm.Reason
		}
	}
	return ""
}

// Undetected holds when users of version were exposed and no alarm went off.
func Undetected(h *stage.History, version string) Finding {
	const check = "goes undetected"
	exposed, ok := Exposure(h, version)
	if !ok {
		return failed(check, "the users were never exposed to what is wrong with %q", version)
	}
	if det, ok := Detected(h, exposed); ok {
		return failed(check, "it was detected: the alarm %q went off %s after exposure", det.Alarm, short(det.At-exposed))
	}
	_, bad := Counted(h, exposed, 0, version)
	if bad == 0 {
		return failed(check, "no request of %q failed after exposure: there was nothing to detect", version)
	}
	return passed(check, "undetected: %d requests of %q failed and no alarm went off", bad, version)
}

// BackWithin holds when, at most d after the first alarm since version's exposure
// (or after the release began to roll back, where no alarm did), all traffic is on
// stable and stays there.
func BackWithin(h *stage.History, version, stable string, d time.Duration) Finding {
	check := fmt.Sprintf("all on %q within %s", stable, short(d))
	from, what, ok := alerted(h, version)
	if !ok {
		return failed(check, "nothing called for a rollback of %q: no alarm went off and nobody decided to go back", version)
	}
	var back time.Duration
	on := false
	for e := range h.All(stage.Shifted) {
		if e.Shares[stable] == 100 {
			if !on && e.At >= from {
				back = e.At
			}
			on = true
			continue
		}
		on = false
	}
	if !on {
		return failed(check, "not everyone is back on %q: the shares are %s", stable, h.Shares())
	}
	if took := back - from; took > d {
		return failed(check, "everyone was back on %q %s after %s: more than %s", stable, short(took), what, short(d))
	}
	return passed(check, "everyone was back on %q %s after %s", stable, short(max(back-from, 0)), what)
}

// alerted is when it was first known that version is bad: the first alarm since
// its exposure, or the decision to roll back if that came before.
func alerted(h *stage.History, version string) (at time.Duration, what string, ok bool) {
	if exposed, known := Exposure(h, version); known {
		if det, found := Detected(h, exposed); found {
			at, what, ok = det.At, fmt.Sprintf("the alarm %q", det.Alarm), true
		}
	}
	for e := range h.All(stage.Decided) {
		if e.OK { // a decision to go on
			continue
		}
		if !ok || e.At < at {
			at, what, ok = e.At, "the decision to go back", true
		}
		break
	}
	return at, what, ok
}

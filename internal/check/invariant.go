package check

import (
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// Expected is what a scenario itself says about its run, so that invariants know
// what to be silent about.
type Expected struct {
	Alarms     []string // that the scenario mentions: these may go off
	Stable     string   // the version that was last good
	New        string   // the version that was released; "" when none was
	RolledBack bool     // whether the release was rolled back
	Undetected bool     // the scenario says that the failure goes undetected
}

// Invariants holds what must be true after every scenario, asked for or not. Only
// what was broken comes back.
func Invariants(h *stage.History, x Expected) []Finding {
	var out []Finding
	for _, f := range []Finding{sharesSum(h), onlyDeployedServe(h), mentionedAlarms(h, x.Alarms), backOnStable(h, x), writesKept(h), noticed(h, x), healed(h)} {
		if f.Verdict != Passed {
			out = append(out, f)
		}
	}
	return out
}

func sharesSum(h *stage.History) Finding {
	const check = "shares sum to 100 %"
	for e := range h.All(stage.Shifted) {
		if err := e.Shares.Validate(); err != nil {
			return failed(check, "at %s: %v", short(e.At), err)
		}
	}
	return passed(check, "always")
}

// onlyDeployedServe holds for shares at once, and for what was answered too: that
// is recorded a little later than it is sent.
func onlyDeployedServe(h *stage.History) Finding {
	const check = "only a deployed version gets traffic"
	running := map[string]bool{}
	ended := map[string]time.Duration{} // when versions that do not run any more were retired
	for _, e := range h.Events() {
		switch e.Kind {
		case stage.Deployed:
			running[e.Version] = true
			delete(ended, e.Version)
		case stage.Retired:
			delete(running, e.Version)
			ended[e.Version] = e.At
		case stage.Shifted:
			for _, v := range e.Shares.Versions() {
				if !running[v] {
					return failed(check, "%q got %g %% of the traffic at %s and was not deployed", v, e.Shares[v], short(e.At))
				}
			}
		case stage.Served:
			if e.Version == "" || e.Traffic.Requests == 0 || running[e.Version] {
				continue
			}
			if at, ran := ended[e.Version]; !ran || e.Traffic.From > at {
				return failed(check, "%q got %d requests from %s on and was not deployed", e.Version, e.Traffic.Requests, short(e.Traffic.From))
			}
		default:
		}
	}
	return passed(check, "always")
}

func mentionedAlarms(h *stage.History, mentioned []string) Finding {
	const check = "an alarm that the scenario does not mention stays silent"
	for e := range h.All(stage.Changed) {
		if e.Alarm.To == alarm.InAlarm && !slices.Contains(mentioned, e.Alarm.Name) {
			return failed(check, "the alarm %q went off at %s, and the scenario does not mention it: %s", e.Alarm.Name, short(e.At), e.Alarm.Reason)
		}
	}
	return passed(check, "always")
}

func backOnStable(h *stage.History, x Expected) Finding {
	const check = "after a rollback all traffic is on the stable version"
	if !x.RolledBack || x.Stable == "" {
		return passed(check, "no rollback")
	}
	f := ServesEveryone(h, x.Stable)
	f.Check = check
	return f
}

func writesKept(h *stage.History) Finding {
	for range h.All(stage.Audited) {
		f := NoWriteLost(h)
		if f.Verdict == Inconclusive { // nothing was written: nothing was lost
			f.Verdict = Passed
		}
		return f
	}
	return passed("no acknowledged write lost or doubled", "not asked")
}

// noticed: a failure that users met is detected, or led to a decision, or the
// scenario says that it is not.
func noticed(h *stage.History, x Expected) Finding {
	const check = "a failure that users met is noticed"
	if x.New == "" || x.Undetected || x.RolledBack {
		return passed(check, "not asked")
	}
	for e := range h.All(stage.Landed) {
		if !e.Failure.Hits(x.New) {
			continue
		}
		exposed, ok := Exposure(h, x.New)
		if !ok {
			continue
		}
		if _, ok := Detected(h, exposed); ok || decidedAgainst(h, exposed) {
			continue
		}
		if _, bad := Counted(h, exposed, 0, ""); bad > 0 {
			return failed(check, "UNDETECTED: %v was there, %d requests failed after exposure at %s, and no alarm went off", *e.Failure, bad, short(exposed))
		}
	}
	return passed(check, "always")
}

// decidedAgainst says whether the release was stopped or taken back after since,
// for whatever reason.
func decidedAgainst(h *stage.History, since time.Duration) bool {
	for e := range h.All(stage.Decided) {
		if e.At >= since && !e.OK {
			return true
		}
	}
	return false
}

func healed(h *stage.History) Finding {
	const check = "every failure is healed"
	var open []string
	ended := false
	for _, e := range h.Events() {
		switch e.Kind {
		case stage.Injected:
			open = append(open, e.Failure.String())
		case stage.Healed:
			open = slices.DeleteFunc(open, func(f string) bool { return f == e.Failure.String() })
		case stage.Ended:
			ended = true
		default:
		}
	}
	if ended && len(open) > 0 {
		return failed(check, "never healed: %s", strings.Join(open, "; "))
	}
	return passed(check, "%d still open", len(open))
}

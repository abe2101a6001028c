package check

import (
	"fmt"
	"time"

	"rehearsal/internal/stage"
)

// Counted is how many requests there were and how many failed after from and until
// to, of one version, or of all where version is ""; to 0 is the end of the history.
// A piece of traffic counts by where it ends.
func Counted(h *stage.History, from, to time.Duration, version string) (requests, bad int64) {
	for e := range h.All(stage.Served) {
		t := e.Traffic
		if t.To <= from || (to > 0 && t.To > to) || (version != "" && e.Version != version) {
			continue
		}
		requests += t.Requests
		bad += t.Failed
	}
	return requests, bad
}

// FailedAtMost holds when at most share percent of all requests since the steady
// state was confirmed failed.
func FailedAtMost(h *stage.History, share float64) Finding {
	check := fmt.Sprintf("at most %g %% failed", share)
	requests, bad := Counted(h, steady(h), 0, "")
	if requests == 0 {
		return Finding{check, Inconclusive, "there were no requests at all: nothing was shown"}
	}
	got := 100 * float64(bad) / float64(requests)
	digits := 3
	if got > share && got < share*1.01 {
		digits = 9 // so that it does not read "1 %, more than 1 %"
	}
	f := passed(check, "%d of %d requests failed: %.*g %%", bad, requests, digits, got)
	if got > share {
		f.Verdict = Failed
		f.Detail += fmt.Sprintf(", more than %g %%", share)
	}
	return f
}

// NoneFailed holds when no request failed since the steady state was confirmed.
func NoneFailed(h *stage.History) Finding {
	f := FailedAtMost(h, 0)
	f.Check = "no request failed"
	return f
}

// steady is when the steady state was first confirmed: what failed while the stage
// warmed up is not the release's doing.
func steady(h *stage.History) time.Duration {
	for e := range h.All(stage.Confirmed) {
		return e.At
	}
	return 0
}

// Restored is when the users were served well again after version's exposure: the
// start of the first stretch of at least lasting in which no request failed, after
// the last one did.
func Restored(h *stage.History, since, lasting time.Duration) (at time.Duration, ok bool) {
	at = since
	end := since
	for e := range h.All(stage.Served) {
		t := e.Traffic
		if t.To <= since || t.Requests == 0 {
			continue
		}
		end = max(end, t.To)
		if t.Failed > 0 {
			at = max(at, t.To)
		}
	}
	return at, end-at >= lasting
}

// Lasting is how long users must be served without a failure for the service to
// count as restored.
const Lasting = time.Minute

// RestoredWithin holds when the service is restored at most d after the first
// alarm since version's exposure, or after the decision to go back.
func RestoredWithin(h *stage.History, version string, d time.Duration) Finding {
	check := fmt.Sprintf("restored within %s", short(d))
	from, what, ok := alerted(h, version)
	if !ok {
		return failed(check, "nobody noticed anything that service could be restored from: no alarm went off and nobody decided to go back")
	}
	at, ok := Restored(h, from, Lasting)
	if !ok {
		return failed(check, "service was not restored: no %s without a failed request, the last one %s after %s", short(Lasting), short(at-from), what)
	}
	if took := at - from; took > d {
		return failed(check, "service was restored %s after %s: more than %s", short(took), what, short(d))
	}
	return passed(check, "service was restored %s after %s", short(at-from), what)
}

// ServesEveryone holds when version gets all of the traffic at the end.
func ServesEveryone(h *stage.History, version string) Finding {
	check := fmt.Sprintf("%q serves everyone", version)
	if h.Share(version) != 100 {
		return failed(check, "%q does not serve everyone: the shares are %s", version, h.Shares())
	}
	return passed(check, "the shares are %s", h.Shares())
}

// NeverServed holds when version never got a share of the traffic.
func NeverServed(h *stage.History, version string) Finding {
	check := fmt.Sprintf("%q never serves anyone", version)
	for e := range h.All(stage.Shifted) {
		if e.Shares[version] > 0 {
			return failed(check, "%q got %g %% of the traffic at %s", version, e.Shares[version], short(e.At))
		}
	}
	return passed(check, "it never got a share")
}

// NoWriteLost holds when every acknowledged write is stored exactly once.
func NoWriteLost(h *stage.History) Finding {
	const check = "no acknowledged write lost or doubled"
	var w *stage.Writes
	for e := range h.All(stage.Audited) {
		w = e.Writes
	}
	switch {
	case w == nil:
		return Finding{check, Inconclusive, "the writes were not compared with what is stored"}
	case w.Acknowledged == 0:
		return Finding{check, Inconclusive, "no write was acknowledged: nothing was shown"}
	case w.Lost > 0 || w.Doubled > 0:
		return failed(check, "of %d acknowledged writes %d are lost and %d are stored more than once, for example %q", w.Acknowledged, w.Lost, w.Doubled, w.Keys)
	}
	return passed(check, "all %d acknowledged writes are stored once", w.Acknowledged)
}

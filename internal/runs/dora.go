package runs

import (
	"slices"
	"time"
)

// DORA is the questions that DORA asks of deployments to production
// (https://dora.dev/guides/dora-metrics/), asked of rehearsals, which come before them:
// they say how a team's changes fare when they are rehearsed, and nothing of production.
// Only runs of all scenarios count, and only those that have ended.
//
// Each measure is nil where there are not enough runs to say it; Of says how many there
// are, and Need how many it takes.
type DORA struct {
	Frequency Frequency `json:"rehearsal_frequency"`
	Lead      Times     `json:"lead_time"`
	Failure   Share     `json:"change_fail_rate"`
	// Restore is by stage: on one of the two it is measured, on the other predicted.
	Restore  map[string]Times `json:"time_to_restore"`
	Recovery Times            `json:"time_from_red_to_green"`
	// Parts is how many runs are not counted because not all scenarios were asked for,
	// Unfinished because they did not end.
	Parts      int `json:"runs_of_a_part"`
	Unfinished int `json:"runs_not_ended"`
}

// What it takes to say a measure: with fewer, one run more would change it beyond use.
const (
	needTimes = 5                  // for a median; a 90th percentile takes twice as many
	needSpan  = 7 * 24 * time.Hour // for a number per week
)

// Frequency is how often something happened.
type Frequency struct {
	PerWeek *float64      `json:"per_week"`
	Of      int           `json:"of"`      // rehearsals that verified
	Commits int           `json:"commits"` // that they were of
	Span    time.Duration `json:"span"`    // from the first run to the last, in nanoseconds
	Need    time.Duration `json:"need"`
}

// Times is the middle and the upper end of some times, in nanoseconds.
type Times struct {
	Median *time.Duration `json:"median"`
	P90    *time.Duration `json:"p90"`
	Of     int            `json:"of"`
	Need   int            `json:"need"` // for the median
}

// Share is how many of some things are of a kind.
type Share struct {
	Percent *float64 `json:"percent"`
	Count   int      `json:"count"`
	Of      int      `json:"of"`
	Need    int      `json:"need"`
}

// MeasureDORA measures runs, which come newest first as Store.Runs returns them.
func MeasureDORA(runs []Summary) DORA {
	var d DORA
	var whole []Summary
	for _, r := range slices.Backward(runs) {
		switch {
		case r.Ended == nil || r.Status == nil:
			d.Unfinished++
		case r.Part:
			d.Parts++
		default:
			whole = append(whole, r)
		}
	}
	d.Frequency = frequency(whole)
	d.Lead = lead(whole)
	d.Failure = failure(whole)
	d.Restore = restore(whole)
	d.Recovery = recovery(whole)
	return d
}

// Statuses of a run that concluded; see steps.
const (
	verified = 0
	broken   = 1
)

// frequency is rehearsals that verified, per week between the first run and the last.
// DORA's deployment frequency is "how often you deploy to production"; a rehearsal that
// verified is what may be deployed. Several of the same commit all count, which is why
// the number of commits is beside it.
func frequency(whole []Summary) Frequency {
	f := Frequency{Need: needSpan}
	commits := map[string]bool{}
	for _, r := range whole {
		if *r.Status == verified {
			f.Of++
			if r.Clean() {
				commits[r.Commit] = true
			}
		}
	}
	f.Commits = len(commits)
	if len(whole) > 0 {
		f.Span = whole[len(whole)-1].Ended.Sub(whole[0].Began)
	}
	if f.Span >= needSpan {
		perWeek := float64(f.Of) / (f.Span.Hours() / (7 * 24))
		f.PerWeek = &perWeek
	}
	return f
}

// lead is from a commit to the end of its first rehearsal that verified. DORA's change
// lead time goes on to the deployment: "the time it takes for a change to go from
// committed to deployed in production".
func lead(whole []Summary) Times {
	seen := map[string]bool{}
	var times []time.Duration
	for _, r := range whole {
		if *r.Status != verified || !r.Clean() || r.Committed == nil || seen[r.Commit] {
			continue
		}
		seen[r.Commit] = true
		if took := r.Ended.Sub(*r.Committed); took >= 0 { // a commit from a clock that is ahead says nothing
			times = append(times, took)
		}
	}
	return timesOf(times)
}

// failure is the share of commits whose first rehearsal that concluded was broken.
// DORA's change fail rate is the share of deployments that need "immediate intervention";
// a broken rehearsal is such a deployment that did not take place. What comes after the
// first, a fix or a retry, does not change it.
func failure(whole []Summary) Share {
	s := Share{Need: needTimes}
	seen := map[string]bool{}
	for _, r := range whole {
		if !r.Clean() || seen[r.Commit] || *r.Status != verified && *r.Status != broken {
			continue
		}
		seen[r.Commit] = true
		s.Of++
		if *r.Status == broken {
			s.Count++
		}
	}
	if s.Of >= s.Need {
		percent := 100 * float64(s.Count) / float64(s.Of)
		s.Percent = &percent
	}
	return s
}

// restore is from exposure until users are served well again, of every scenario in
// which something broke and was restored, in release time. DORA's failed deployment
// recovery time is "how long it takes to recover from a deployment that fails and
// requires immediate intervention".
func restore(whole []Summary) map[string]Times {
	times := map[string][]time.Duration{}
	for _, r := range whole {
		for stage, t := range r.Restore {
			times[stage] = append(times[stage], t...)
		}
	}
	out := map[string]Times{}
	for stage, t := range times {
		out[stage] = timesOf(t)
	}
	return out
}

// recovery is from the end of a rehearsal that was broken, the first after one that was
// not, to the end of the next that verified: how long a team could not release.
func recovery(whole []Summary) Times {
	var red *time.Time
	var times []time.Duration
	for _, r := range whole {
		switch {
		case *r.Status == broken && red == nil:
			red = r.Ended
		case *r.Status == verified && red != nil:
			times = append(times, r.Ended.Sub(*red))
			red = nil
		}
	}
	return timesOf(times)
}

// timesOf has a median of at least needTimes, and a 90th percentile of twice as many:
// nearest ranks, so that each is a time that was measured.
func timesOf(times []time.Duration) Times {
	t := Times{Of: len(times), Need: needTimes}
	slices.Sort(times)
	rank := func(percent int) *time.Duration {
		at := times[(len(times)*percent+99)/100-1]
		return &at
	}
	if t.Of >= needTimes {
		t.Median = rank(50)
	}
	if t.Of >= 2*needTimes {
		t.P90 = rank(90)
	}
	return t
}

// Median is the middle of some times; -1 for none.
func Median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return -1
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[(len(sorted)-1)/2]
}

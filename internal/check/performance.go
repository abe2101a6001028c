package check

import (
	"fmt"
	"math"
	"time"

	"rehearsal/internal/stage"
)

// fewestAnswers is how many answers of each version a comparison needs: with fewer the
// rank test's normal approximation is not good (Lehmann gives 10 as enough; 30 is on the safe side).
const fewestAnswers = 30

// A Performance is how fast one version answered under some load.
type Performance struct {
	Version   string
	Share     float64 // of the traffic that it had meanwhile, in percent
	Latencies stage.Latencies
	Requests  int64
	Failed    int64
}

// Well is the share of the requests that were answered as they should, in percent: with
// an open-loop load, the throughput that is left of what was asked for.
func (p Performance) Well() float64 {
	if p.Requests == 0 {
		return 0
	}
	return 100 * float64(p.Requests-p.Failed) / float64(p.Requests)
}

// String is "v2 p50 3ms, p95 11ms, p99 20ms of 500 measured, 100 % of 30000 requests
// answered well".
func (p Performance) String() string {
	var at [3]time.Duration
	for i, q := range []float64{0.50, 0.95, 0.99} {
		_, at[i], _ = quantile(p.Latencies, q)
	}
	return fmt.Sprintf("%s p50 %s, p95 %s, p99 %s of %d measured, %.4g %% of %d requests answered well",
		p.Version, tenths(at[0]), tenths(at[1]), tenths(at[2]), p.Latencies.Total(), p.Well(), p.Requests)
}

// tenths prints a latency to a tenth of a millisecond.
func tenths(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

// AsFast holds when version is not slower than before by more than percent, at the same
// load, and enough was measured for such a slowdown to be noticed. It looks at
//
//   - all answers: a Mann-Whitney test of version against the one before slowed down by
//     percent. It fails where version is slower still, passes where it is faster, and where
//     the test cannot tell, nothing may be concluded;
//   - the slowest: p95 and p99 fail where even the optimistic end of version's confidence
//     interval is beyond the pessimistic end of the other's, slowed down;
//   - the throughput: it fails where version answers fewer of its requests well, by more
//     than percent.
//
// The same load is the same share of the traffic: at the same time where there was such
// a time, since then whatever else went on hit both; else one after the other.
func AsFast(h *stage.History, version, before string, percent float64) Finding {
	check := fmt.Sprintf("%q answers as fast as %q", version, before)
	inconclusive := func(format string, args ...any) Finding {
		return Finding{check, Inconclusive, fmt.Sprintf(format, args...)}
	}
	now, then, together, ok := sameLoad(h, version, before)
	if !ok {
		return inconclusive("%s and %s never had the same share of the traffic: they cannot be compared at the same load", version, before)
	}
	when := "one after the other"
	if together {
		when = "at the same time"
	}
	seen := fmt.Sprintf("%s; %s; each with %g %% of the traffic, %s", now, then, now.Share, when)
	if n, m := now.Latencies.Total(), then.Latencies.Total(); n < fewestAnswers || m < fewestAnswers {
		return inconclusive("%s: %d and %d measured answers are too few, want %d of each", seen, n, m, fewestAnswers)
	}
	limit := 1 + percent/100
	low, middle, high := slowdown(now.Latencies, then.Latencies)
	ranks := Ranks(now.Latencies, then.Latencies)
	seen += fmt.Sprintf("; %s takes %s as long (95 %% between %s and %s); of two answers %s's takes longer in %.1f %% (%.1f to %.1f, Cliff's delta %.3f, Mann-Whitney p %s)",
		version, times(middle), times(low), times(high), version, 100*ranks.More, 100*ranks.Low, 100*ranks.High, ranks.Delta(), small(ranks.P))
	switch {
	case now.Well()*limit < then.Well():
		return failed(check, "%s: the throughput fell by more than %g %%", seen, percent)
	case low > limit:
		return failed(check, "%s: slower by more than %g %%", seen, percent)
	}
	for _, q := range []float64{0.95, 0.99} {
		best, _, _ := quantile(now.Latencies, q)
		_, _, worst := quantile(then.Latencies, q)
		if limited := float64(worst) * limit; float64(best) > limited {
			return failed(check, "%s: the p%.0f is at least %s, more than %g %% above the %s that it was at most", seen, 100*q, tenths(best), percent, tenths(worst))
		}
	}
	if high > limit {
		return inconclusive("%s: a slowdown of %g %% would not be noticed with so few answers: release with longer bakes, or allow more", seen, percent)
	}
	return passed(check, "%s", seen)
}

// small is a probability as people read it.
func small(p float64) string {
	if p < 1e-9 {
		return "below 1e-9"
	}
	return fmt.Sprintf("%.2g", p)
}

// times is a factor as people read it: "1.04 times".
func times(factor float64) string { return fmt.Sprintf("%.3g times", factor) }

// sameLoad is how both versions answered while they had the same share of the traffic:
// at the same time, or, where too few were answered then, one after the other.
func sameLoad(h *stage.History, version, before string) (now, then Performance, together, ok bool) {
	type load struct {
		share    float64
		together bool
	}
	type pair struct{ now, then Performance }
	pairs := map[load]*pair{}
	stretches := stretchesOf(h)
	for e := range h.All(stage.Served) {
		shares, ok := stretches.of(e.Traffic)
		share := shares[e.Version]
		if !ok || share <= 0 || e.Version != version && e.Version != before {
			continue // the shares changed meanwhile, or these answers came after the version's share was gone
		}
		l := load{share, shares[version] == shares[before]}
		if pairs[l] == nil {
			pairs[l] = &pair{Performance{Version: version, Share: share}, Performance{Version: before, Share: share}}
		}
		p := &pairs[l].now
		if e.Version == before {
			p = &pairs[l].then
		}
		p.Requests += e.Traffic.Requests
		p.Failed += e.Traffic.Failed
		p.Latencies = append(p.Latencies, e.Traffic.Latencies...) // put in order below
	}
	most := int64(-1)
	for l, p := range pairs {
		n := min(p.now.Latencies.Total(), p.then.Latencies.Total())
		switch {
		case n == 0:
			continue
		case l.together && n >= fewestAnswers:
			n = math.MaxInt64 // there is one such share at most: the half
		}
		if n > most || n == most && l.share > now.Share {
			most, now, then, together = n, p.now, p.then, l.together
		}
	}
	now.Latencies, then.Latencies = now.Latencies.Add(nil), then.Latencies.Add(nil)
	return now, then, together, most > 0
}

// A stretch is a time in which the shares of the traffic were the same.
type stretch struct {
	from, to time.Duration
	shares   stage.Shares
}

type stretches []stretch

// stretchesOf is every stretch since the steady state was confirmed.
func stretchesOf(h *stage.History) (all stretches) {
	begin := steady(h)
	var last stage.Shares
	for _, e := range h.Events() {
		if e.Kind != stage.Shifted && e.Kind != stage.Confirmed {
			continue
		}
		if e.Kind == stage.Shifted {
			last = e.Shares
		}
		if e.At < begin || last == nil {
			continue
		}
		if n := len(all); n > 0 {
			all[n-1].to = e.At
		}
		all = append(all, stretch{e.At, math.MaxInt64, last})
	}
	return all
}

// of is the shares in force during all of t.
func (s stretches) of(t *stage.Traffic) (stage.Shares, bool) {
	for _, one := range s {
		if t.From >= one.from && t.To <= one.to {
			return one.shares, true
		}
	}
	return nil, false
}

package containers

import (
	"cmp"
	"math"
	"slices"
	"time"

	"rehearsal/internal/stage"
)

// trafficCounts is answers that the history does not have yet, by version, window
// and weight: requests that stand for different numbers of requests never mix.
type trafficCounts map[trafficGroup]*trafficCount

type trafficGroup struct {
	version string
	window  int
	weight  float64
}

type trafficCount struct {
	from, to                       time.Duration // release time of the first and last sent
	requests, failed, acknowledged int
	latencies                      []time.Duration
	late                           time.Duration        // the longest
	answered                       []stage.LatencyCount // by the version itself
}

func (c trafficCounts) add(version string, window int, r *trafficRequest, latency time.Duration, answered, ok, acknowledged bool) {
	group := trafficGroup{version, window, r.weight}
	n := c[group]
	if n == nil {
		n = &trafficCount{from: r.at, to: r.at}
		c[group] = n
	}
	n.from, n.to = min(n.from, r.at), max(n.to, r.at)
	n.late = max(n.late, r.late)
	n.requests++
	if !ok {
		n.failed++
	}
	if acknowledged {
		n.acknowledged++
	}
	n.latencies = append(n.latencies, latency)
	if answered {
		n.answered = append(n.answered, stage.LatencyCount{Took: latency, N: 1})
	}
}

// take takes out what was sent in windows before end, as events, in the order of
// sending. In a window what failed comes first, so that whoever looks while they are
// recorded never takes the window for a better one than it was.
func (c trafficCounts) take(end int) []stage.Event {
	var groups []trafficGroup
	for g := range c {
		if g.window < end {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(a, b trafficGroup) int {
		return cmp.Or(
			cmp.Compare(a.window, b.window), -cmp.Compare(min(c[a].failed, 1), min(c[b].failed, 1)),
			cmp.Compare(c[a].from, c[b].from), cmp.Compare(a.version, b.version), cmp.Compare(a.weight, b.weight),
		)
	})
	events := make([]stage.Event, 0, len(groups))
	for _, g := range groups {
		n := c[g]
		delete(c, g)
		slices.Sort(n.latencies)
		times := func(count int) int64 { return int64(math.Round(float64(count) * g.weight)) }
		events = append(events, stage.Event{Kind: stage.Served, Version: g.version, Traffic: &stage.Traffic{
			From: n.from, To: n.to + 1,
			Requests: times(n.requests), Failed: times(n.failed), Acknowledged: times(n.acknowledged),
			P50: nearestRank(n.latencies, 50), P99: nearestRank(n.latencies, 99), Latencies: stage.LatenciesOf(n.answered), Late: n.late.Truncate(lateCounts),
		}})
	}
	return events
}

// lateCounts is how finely it is told how late requests were sent: less is the timer's.
const lateCounts = time.Millisecond

// trafficProgress is which requests have ended: all before first, and some later ones.
type trafficProgress struct {
	first uint64              // the first that has not ended
	later map[uint64]struct{} // no more than can be sent before first times out
}

func (p *trafficProgress) add(seq uint64) {
	if p.later == nil {
		p.later = map[uint64]struct{}{}
	}
	p.later[seq] = struct{}{}
	for {
		if _, ended := p.later[p.first]; !ended {
			return
		}
		delete(p.later, p.first)
		p.first++
	}
}

// nearestRank is the smallest value that at least p percent of the sorted values do
// not exceed.
func nearestRank(sorted []time.Duration, p float64) time.Duration {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

package containers

import (
	"cmp"
	"maps"
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
}

func (c trafficCounts) add(version string, window int, r *trafficRequest, latency time.Duration, ok, acknowledged bool) {
	group := trafficGroup{version, window, r.weight}
	n := c[group]
	if n == nil {
		n = &trafficCount{from: r.at, to: r.at}
		c[group] = n
	}
	n.from, n.to = min(n.from, r.at), max(n.to, r.at)
	n.requests++
	if !ok {
		n.failed++
	}
	if acknowledged {
		n.acknowledged++
	}
	n.latencies = append(n.latencies, latency)
}

// take takes out what was sent in windows before end, as events, in the order of
// sending.
func (c trafficCounts) take(end int) []stage.Event {
	groups := slices.SortedFunc(maps.Keys(c), func(a, b trafficGroup) int {
		return cmp.Or(cmp.Compare(a.window, b.window), cmp.Compare(a.version, b.version), cmp.Compare(a.weight, b.weight))
	})
	var events []stage.Event
	for _, g := range groups {
		if g.window >= end {
			break
		}
		n := c[g]
		delete(c, g)
		slices.Sort(n.latencies)
		times := func(count int) int64 { return int64(math.Round(float64(count) * g.weight)) }
		events = append(events, stage.Event{Kind: stage.Served, Version: g.version, Traffic: &stage.Traffic{
			From: n.from, To: n.to + 1,
			Requests: times(n.requests), Failed: times(n.failed), Acknowledged: times(n.acknowledged),
			P50: nearestRank(n.latencies, 50), P99: nearestRank(n.latencies, 99),
		}})
	}
	return events
}

// nearestRank is the smallest value that at least p percent of the sorted values do
// not exceed.
func nearestRank(sorted []time.Duration, p float64) time.Duration {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

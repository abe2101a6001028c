package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// keptKeys is how many lost writes an audit names.
const keptKeys = 5

// answers is what users of one version got in an interval in which nothing
// changed, and what the balancer and the service noticed of it.
type answers struct {
	requests, failed   int64
	good, bad, logged  int64 // answered by the version, with 2xx and with 500, and how many of these it logged
	nobody             int64 // answered by the balancer with 503, since no replica was healthy
	refused            int64 // with 503, since none of the healthy took the connection
	timedOut           int64 // with 504
	acknowledged, lost int64 // writes
	times              []timed
	onTime             []timed // by the time that is added to the service's own
	answered           int     // where in times the answers that came in time begin
}

// timed is how many requests took that long.
type timed struct {
	took time.Duration
	n    int64
}

// flush accounts for the time since it was last called, in which nothing changed:
// what the users asked for and got, and what monitoring saw.
func (s *Stage) flush() {
	from, to := s.flushed, s.now()
	if from == to {
		return
	}
	s.flushed = to
	for _, v := range s.versions {
		s.remember(v, to-from)
		if v.share > 0 {
			s.serve(v, from, to)
		}
	}
	s.monitor.sample(s, from, to)
}

// remember adds up the memory that v's requests left behind.
func (s *Stage) remember(v *version, d time.Duration) {
	if rate := s.leakRate(v); rate > 0 {
		for _, b := range v.batches {
			if b.serves() {
				b.leaked += rate * d.Seconds()
			}
		}
	}
}

// serve draws how v's users fared in [from, to).
func (s *Stage) serve(v *version, from, to time.Duration) {
	a := &s.scratch
	*a = answers{times: a.times[:0], onTime: a.onTime[:0], answered: -1}
	a.requests = poisson(s.chance, s.Traffic.Rate*v.share/100*(to-from).Seconds())
	switch {
	case a.requests == 0:
		return
	case v.in(healthy) == 0:
		a.nobody = a.requests
		a.fail(a.requests, refusedAfter)
	case v.serving() == 0:
		a.refused = a.requests
		a.fail(a.requests, refusedAfter)
	case v.manner.hangs:
		s.late(a, a.requests)
	default:
		s.answer(a, s.kinds(v))
	}
	s.acknowledge(a)
	latencies := a.latencies() // before they are put in order
	p50, p99 := a.percentiles()
	s.history.Record(stage.Event{Kind: stage.Served, Version: v.spec.Name, Traffic: &stage.Traffic{
		From: from, To: to, Requests: a.requests, Failed: a.failed, Acknowledged: a.acknowledged, P50: p50, P99: p99, Latencies: latencies,
	}})
	s.monitor.served(s, v, from, a)
}

// fail has n users get no answer, or not the version's.
func (a *answers) fail(n int64, took time.Duration) {
	if n > 0 {
		a.failed += n
		a.times = append(a.times, timed{took, n})
	}
}

// late has n users wait in vain: they leave, unless the balancer gives up before.
func (s *Stage) late(a *answers, n int64) {
	a.fail(n, s.patience())
	if s.Traffic.Timeout > balancerPatience {
		a.timedOut += n
	}
}

// patience is how long a user waits for an answer.
func (s *Stage) patience() time.Duration { return min(s.Traffic.Timeout, balancerPatience) }

// answer draws what a version answers, kind by kind of request.
func (s *Stage) answer(a *answers, kinds []kindManner) {
	rest := a.requests
	for i := range kinds {
		n := binomial(s.chance, rest, s.mix[i])
		rest -= n
		k := &kinds[i]
		failed := binomial(s.chance, n, k.fails)
		bad := failed + binomial(s.chance, n-failed, k.spoilt)
		goodInTime := s.inTime(a, n-bad, k)
		badInTime := s.inTime(a, bad, k)
		a.good += goodInTime
		a.bad += badInTime
		a.logged += failed
		a.failed += badInTime
		if s.Traffic.Requests[i].Write {
			a.acknowledged += goodInTime
			a.lost += binomial(s.chance, goodInTime, k.loses)
		}
	}
	a.answered = len(a.times)
	for _, class := range a.onTime {
		s.answers.spread(s.chance, class.n, s.patience()-class.took, func(value time.Duration, n int64) {
			a.times = append(a.times, timed{class.took + value, n})
		})
	}
}

// inTime draws how many of n answers come before the users' patience ends.
func (s *Stage) inTime(a *answers, n int64, k *kindManner) (inTime int64) {
	left := 1.0
	for _, d := range k.delays {
		if n == 0 {
			break
		}
		share := n
		if d.share < left {
			share = binomial(s.chance, n, d.share/left)
		}
		n -= share
		left -= d.share
		late := binomial(s.chance, share, 1-s.answers.within(s.patience()-d.by))
		s.late(a, late)
		inTime += share - late
		a.add(d.by, share-late)
	}
	return inTime
}

func (a *answers) add(by time.Duration, n int64) {
	if n == 0 {
		return
	}
	for i := range a.onTime {
		if a.onTime[i].took == by {
			a.onTime[i].n += n
			return
		}
	}
	a.onTime = append(a.onTime, timed{by, n})
}

// acknowledge remembers the writes, and names a few of the lost ones.
func (s *Stage) acknowledge(a *answers) {
	w := &s.writes
	for i := range min(a.lost, int64(keptKeys-len(w.Keys))) {
		w.Keys = append(w.Keys, fmt.Sprintf("write-%d", w.Acknowledged+1+i))
	}
	w.Acknowledged += a.acknowledged
	w.Lost += a.lost
}

// latencies is the histogram of the answers that came in time.
func (a *answers) latencies() stage.Latencies {
	if a.answered < 0 || a.answered == len(a.times) {
		return nil
	}
	counts := make([]stage.LatencyCount, 0, len(a.times)-a.answered)
	for _, t := range a.times[a.answered:] {
		counts = append(counts, stage.LatencyCount{Took: t.took, N: t.n})
	}
	return stage.LatenciesOf(counts)
}

// percentiles puts times in order and finds the median and the 99th percentile.
func (a *answers) percentiles() (p50, p99 time.Duration) {
	byTime := func(a, b timed) int { return cmp.Compare(a.took, b.took) }
	if !slices.IsSortedFunc(a.times, byTime) {
		slices.SortFunc(a.times, byTime)
	}
	seen := int64(0)
	for _, t := range a.times {
		if seen*2 < a.requests {
			p50 = t.took
		}
		if seen*100 < a.requests*99 {
			p99 = t.took
		}
		seen += t.n
	}
	return p50, p99
}

// responseTimes is what the balancer publishes as TargetResponseTime: of the
// answers that the version gave itself, in seconds.
func (a *answers) responseTimes(set *alarm.Distribution, unanswered time.Duration) {
	set.Reset()
	for _, t := range a.times {
		if t.took != unanswered {
			set.Add(t.took.Seconds(), float64(t.n))
		}
	}
}

package chart

import (
	"cmp"
	"math"
	"slices"
	"time"

	"gonum.org/v1/plot/plotter"

	"rehearsal/internal/stage"
)

// A traffic is what users saw, bin by bin. NaN stands where nobody asked.
type traffic struct {
	from, bin         time.Duration
	rate, failed      []float64 // requests per second; percent of them
	p50, p99          []float64 // milliseconds, of the slowest version that answered
	mostFailed, worst float64
}

const (
	// finest is how long a bin is at least: stages count for some seconds at a time.
	finest = 3 * time.Second
	// mostBins is how many bins there are at most, however long a history is.
	mostBins = 2400
	// mostPoints is how many points of one line are drawn at most.
	mostPoints = 150
)

// trafficOf spreads each piece of traffic over the bins from from to to, which are of
// release time since zero.
func trafficOf(h *stage.History, zero, from, to time.Duration) traffic {
	bin := max(finest, (to-from)/mostBins+1)
	n := int((to-from)/bin) + 1
	t := traffic{from: from, bin: bin}
	requests, failed := make([]float64, n), make([]float64, n)
	t.p50, t.p99 = unknowns(n), unknowns(n)
	ends := map[string]time.Duration{} // of each version's last piece
	whole := newSums(n)
	for e := range h.All(stage.Served) {
		p := *e.Traffic
		// Stages count from the first request of a piece: the gap before it belongs to it.
		if gap := p.From - ends[e.Version]; gap > 0 && gap < p.To-p.From {
			p.From = ends[e.Version]
		}
		ends[e.Version] = p.To
		a, b := float64(p.From-zero-from)/float64(bin), float64(p.To-zero-from)/float64(bin)
		if p.Requests == 0 || b < 0 || a >= float64(n) {
			continue
		}
		b = max(b, a+1e-6) // some pieces are of one instant
		per := func(count int64) float64 { return float64(count) / (b - a) }
		first, last := int(max(a, 0)), min(int(b), n-1)
		for _, i := range []int{first, last} {
			part := min(b, float64(i+1)) - max(a, float64(i))
			requests[i] += per(p.Requests) * part
			failed[i] += per(p.Failed) * part
			if first == last {
				break
			}
		}
		whole.add(first+1, last, per(p.Requests), per(p.Failed))
		if float64(last) == b && last > first {
			last-- // it ended where the bin begins
		}
		raise(t.p50[first:last+1], milliseconds(p.P50))
		raise(t.p99[first:last+1], milliseconds(p.P99))
	}
	whole.into(requests, failed)
	t.rate, t.failed = unknowns(n), unknowns(n)
	const some = 1e-3 // of a request: what is less is the edge of a piece
	for i := range requests {
		if requests[i] < some {
			continue
		}
		t.rate[i] = requests[i] / bin.Seconds()
		t.failed[i] = min(100, 100*failed[i]/requests[i])
		t.mostFailed = max(t.mostFailed, t.failed[i])
		if !math.IsNaN(t.p99[i]) {
			t.worst = max(t.worst, t.p99[i])
		}
	}
	return t
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func unknowns(n int) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = math.NaN()
	}
	return s
}

// raise makes each value at least v.
func raise(s []float64, v float64) {
	for i := range s {
		if !(s[i] >= v) {
			s[i] = v
		}
	}
}

// Sums add the same to many bins at once.
type sums struct{ requests, failed []float64 }

func newSums(n int) *sums { return &sums{make([]float64, n+1), make([]float64, n+1)} }

func (s *sums) add(from, to int, requests, failed float64) {
	if from < to {
		s.requests[from] += requests
		s.requests[to] -= requests
		s.failed[from] += failed
		s.failed[to] -= failed
	}
}

func (s *sums) into(requests, failed []float64) {
	var r, f float64
	for i := range requests {
		r, f = r+s.requests[i], f+s.failed[i]
		requests[i] += max(r, 0)
		failed[i] += max(f, 0)
	}
}

// points is a line of bins as points, at most mostPoints of them, each where its bin
// begins: of many bins the least and the most are kept, so that no spike disappears.
func (t traffic) points(values []float64) plotter.XYs {
	type bin struct {
		i int
		v float64
	}
	var all []bin
	for i, v := range values {
		all = append(all, bin{i, v})
	}
	if len(all) > mostPoints {
		var kept []bin
		const columns = mostPoints / 2
		for c := range columns {
			part := all[c*len(all)/columns : (c+1)*len(all)/columns]
			known := slices.DeleteFunc(slices.Clone(part), func(b bin) bool { return math.IsNaN(b.v) })
			if len(known) == 0 {
				kept = append(kept, part[0])
				continue
			}
			by := func(a, b bin) int { return cmp.Compare(a.v, b.v) }
			low, high := slices.MinFunc(known, by), slices.MaxFunc(known, by)
			if low.i > high.i {
				low, high = high, low
			}
			if kept = append(kept, low); high.i != low.i {
				kept = append(kept, high)
			}
		}
		all = kept
	}
	out := make(plotter.XYs, 0, len(all)+1)
	for _, b := range all {
		out = append(out, plotter.XY{X: (t.from + time.Duration(b.i)*t.bin).Seconds(), Y: b.v})
	}
	if n := len(out); n > 0 { // the last bin has an end too
		out = append(out, plotter.XY{X: out[n-1].X + t.bin.Seconds(), Y: out[n-1].Y})
	}
	return out
}

// runs are the stretches of points whose values are known.
func runs(points plotter.XYs) (out []plotter.XYs) {
	var run plotter.XYs
	for _, p := range points {
		if math.IsNaN(p.Y) || math.IsInf(p.Y, 0) {
			if len(run) > 0 {
				run = append(run, plotter.XY{X: p.X, Y: run[len(run)-1].Y})
				out = append(out, run)
			}
			run = nil
			continue
		}
		run = append(run, p)
	}
	if len(run) > 0 {
		out = append(out, run)
	}
	return out
}

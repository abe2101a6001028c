package stage

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// Latencies is how long answers took, as a histogram sorted by time. Each time stands
// for all that differ from it by less than 1.6 % (LatencyOf), so that a histogram has
// some hundred entries at most, however many requests it is of, and adding histograms
// up is exact.
type Latencies []LatencyCount

// LatencyCount is how many answers took about that long.
type LatencyCount struct {
	Took time.Duration
	N    int64
}

// latencyBits is how many binary digits of a time are kept.
const latencyBits = 6

// LatencyOf is the time that stands for d in a histogram: the middle of all times that
// begin with the same 6 binary digits. Whole numbers only, so that it is the same on
// every machine.
func LatencyOf(d time.Duration) time.Duration {
	d = max(d, 0)
	shift := bits.Len64(uint64(d)) - latencyBits
	if shift <= 0 {
		return d
	}
	return d>>shift<<shift + 1<<(shift-1)
}

// LatenciesOf is the histogram of some times and how often each was measured. It uses
// up times, whose memory it takes over: stages make one for every event.
func LatenciesOf(times []LatencyCount) Latencies {
	for i := range times {
		times[i].Took = LatencyOf(times[i].Took)
	}
	return Latencies(times).sorted()
}

// Add is the sum of two histograms.
func (l Latencies) Add(more Latencies) Latencies { return slices.Concat(l, more).sorted() }

// sorted puts l in order and has every time in it once.
func (l Latencies) sorted() Latencies {
	slices.SortFunc(l, func(a, b LatencyCount) int { return cmp.Compare(a.Took, b.Took) })
	out := l[:0]
	for _, c := range l {
		switch n := len(out); {
		case c.N <= 0:
		case n > 0 && out[n-1].Took == c.Took:
			out[n-1].N += c.N
		default:
			out = append(out, c)
		}
	}
	return slices.Clip(out)
}

// Total is how many answers there are.
func (l Latencies) Total() (n int64) {
	for _, c := range l {
		n += c.N
	}
	return n
}

// MarshalJSON writes pairs of nanoseconds and count: [[3014656,12],[3080192,7]].
func (l Latencies) MarshalJSON() ([]byte, error) {
	pairs := make([][2]int64, len(l))
	for i, c := range l {
		pairs[i] = [2]int64{int64(c.Took), c.N}
	}
	return json.Marshal(pairs)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Latencies) UnmarshalJSON(data []byte) error {
	var pairs [][2]int64
	if err := json.Unmarshal(data, &pairs); err != nil {
		return err
	}
	all := make(Latencies, len(pairs))
	for i, p := range pairs {
		if p[0] < 0 || p[1] < 1 || i > 0 && p[0] <= pairs[i-1][0] {
			return fmt.Errorf("latencies: the pair %v: want rising times and counts above 0", p)
		}
		all[i] = LatencyCount{time.Duration(p[0]), p[1]}
	}
	*l = all
	return nil
}

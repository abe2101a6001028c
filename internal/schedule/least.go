package schedule

import (
	"fmt"
	"math"

	"rehearsal/internal/alarm"
)

// LeastRate is the smallest traffic, in requests per second of the whole service, in
// which every watched alarm that can see a version fail or slow down can go off while
// share percent of the traffic is on it, and what needs that much; 0 where none does.
//
// For each alarm it plays the worst that such a version can do, on that share: all of
// its answers are 5xx, or take slow longer, and looks for the smallest rate at which
// the alarm still goes off, to 1 %. An alarm that does not go off at any rate is not
// asked about: lint tells of it. And since a version that gets a handful of requests is
// not told from bad luck, each alarm's period must hold ten on that share, the same ten
// as lint's.
func LeastRate(scene alarm.Scene, watched []*alarm.Compiled, share float64) (rate float64, needs string) {
	const handful = 10
	for _, c := range watched {
		least := 0.0
		for _, f := range []alarm.Failure{
			{Trouble: alarm.Failing, Share: share},
			{Trouble: alarm.Slowing, Share: share, Delay: slow},
		} {
			if r := leastFor(scene, c, f); r > 0 && (least == 0 || r < least) {
				least = r
			}
		}
		if least > rate {
			rate, needs = least, fmt.Sprintf("the alarm %q", c.Alarm.AlarmName)
		}
		if r := handful / (share / 100 * c.Period.Seconds()); r > rate {
			rate, needs = r, fmt.Sprintf("a version with %g %% of the traffic, to be told from bad luck by %q,", share, c.Alarm.AlarmName)
		}
	}
	return rate, needs
}

// slow is longer than any latency that an alarm allows.
const slow = 30e9 // nanoseconds: half a minute

// leastFor is the smallest rate at which c goes off for f; 0 where it goes off at any,
// or at none.
func leastFor(scene alarm.Scene, c *alarm.Compiled, f alarm.Failure) float64 {
	fires := func(rate float64) bool {
		scene.Rate = rate
		seen, known := c.Foresee(&scene, f)
		return known && seen.Fires
	}
	low, high := 1e-3, 1e5
	if !fires(high) || fires(low) {
		return 0
	}
	for high > 1.01*low {
		if middle := low * math.Sqrt(high/low); fires(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

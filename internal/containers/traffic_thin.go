package containers

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// tooThin says, with the numbers, for which alarms the traffic is too thin at a
// pace. While time runs ahead each request stands for pace requests, and so does
// each of its mishaps. The traffic is thick enough for an alarm if one single mishap
// in every period (a request that fails, that is slow, that makes the service log an
// error) does not set it off, unless it would in production too, where it is one of
// all requests. That covers rates (one failure in fewer than 100 requests is more
// than 1 %), counts (one failure counts as pace failures), and percentiles (the p99
// of fewer than 100 requests is their maximum).
func tooThin(s *stage.Setup, pace float64) error {
	var errs []error
	for i := range s.Alarms {
		a := &s.Alarms[i]
		c, err := a.Compile()
		if err != nil {
			return fmt.Errorf("alarm %q: %w", a.AlarmName, err)
		}
		what, thin := thinFor(c, s, pace)
		if !thin {
			continue
		}
		enough := math.Floor(pace)
		for ; enough > 1; enough-- {
			if _, thin := thinFor(c, s, enough); !thin {
				break
			}
		}
		remedy := fmt.Sprintf("use a pace of at most %g", enough)
		if real := realRequests(c, s, 1); real < 1 {
			remedy = "no pace is slow enough; send more requests per second"
		}
		errs = append(errs, fmt.Errorf("the traffic is too thin for alarm %q at pace %g: %g requests per second are %.4g real requests in its period of %v, each of which stands for %g, and %s: %s",
			a.AlarmName, pace, s.Traffic.Rate, realRequests(c, s, pace), c.Period, pace, what, remedy))
	}
	return errors.Join(errs...)
}

// realRequests is how many requests are really sent in one period of the alarm.
func realRequests(c *alarm.Compiled, s *stage.Setup, pace float64) float64 {
	return s.Traffic.Rate * c.Period.Seconds() / pace
}

// mishap is one thing that can happen to one request.
type mishap uint8

const (
	nothingAmiss mishap = iota
	oneFailed           // by the service
	oneRefused          // by the balancer
	oneSlow
	oneLogged
)

var mishaps = []mishap{oneFailed, oneRefused, oneSlow, oneLogged}

func (m mishap) String() string {
	switch m {
	case nothingAmiss:
		return "a request without fault"
	case oneFailed:
		return "a single failed request"
	case oneRefused:
		return "a single request that the balancer could not have answered"
	case oneSlow:
		return "a single slow request"
	case oneLogged:
		return "a single line in the log"
	}
	panic(fmt.Sprintf("unknown mishap %d", m))
}

// thinFor says what makes the traffic too thin for the alarm.
func thinFor(c *alarm.Compiled, s *stage.Setup, pace float64) (what string, thin bool) {
	fed := false
	for _, in := range c.Inputs {
		_, feeds := thinSample(in, s, 1, 1, nothingAmiss)
		fed = fed || feeds
	}
	if !fed {
		return "", false
	}
	if realRequests(c, s, pace) < 1 {
		return "periods without any request look like missing data", true
	}
	for _, m := range mishaps {
		if thinRings(c, s, pace, m) && !thinRings(c, s, 1, m) && !thinRings(c, s, pace, nothingAmiss) {
			return fmt.Sprintf("%v in a period sets it off, which in production would not", m), true
		}
	}
	return "", false
}

// thinRings says whether the alarm rings when the same mishap happens in every
// period.
func thinRings(c *alarm.Compiled, s *stage.Setup, pace float64, m mishap) bool {
	requests := math.Floor(realRequests(c, s, pace))
	inputs := make([][]alarm.Point, len(c.Inputs))
	for i, in := range c.Inputs {
		set, _ := thinSample(in, s, requests, pace, m)
		point := in.Statistic.Point(&set)
		for range c.Range {
			inputs[i] = append(inputs[i], point)
		}
	}
	var scratch alarm.Scratch
	state, _ := c.Evaluate(c.Points(&scratch, inputs), alarm.OK)
	return state == alarm.InAlarm
}

// thinSample is what one period publishes for an input of an alarm when that many
// requests, each of which stands for weight, meet with one mishap; and whether traffic
// feeds the input at all: not where it takes another unit than the metric has.
func thinSample(in alarm.Input, s *stage.Setup, requests, weight float64, m mishap) (set alarm.Distribution, feeds bool) {
	count := func(what mishap) {
		if m == what {
			set.Add(1, weight)
		}
	}
	metric := in.Metric
	has := func(unit string) bool { return in.Unit == "" || in.Unit == unit }
	if metric.Namespace == elbNamespace {
		if !has(alarm.PublishedUnit(metric.Namespace, metric.MetricName)) {
			return set, false
		}
		switch metric.MetricName {
		case elbRequests, elbTarget2XX:
			set.Add(1, requests*weight)
		case elbTarget4XX, elbTarget5XX:
			count(oneFailed)
		case elb5XX, elb502, elb503, elb504, elbConnectionErrors:
			count(oneRefused)
		case elbResponseTime:
			quick, slow := time.Millisecond, s.Traffic.Timeout
			if m == oneSlow {
				requests--
				set.Add(slow.Seconds(), weight)
			}
			if requests > 0 {
				set.Add(quick.Seconds(), requests*weight)
			}
		default:
			return set, false
		}
		return set, true
	}
	for _, f := range s.Monitoring.Filters {
		if f.Namespace == metric.Namespace && f.Metric == metric.MetricName && has(cmp.Or(f.Unit, "None")) {
			if f.Default != nil {
				set.Add(*f.Default, 1)
			}
			count(oneLogged)
			return set, true
		}
	}
	return set, false
}

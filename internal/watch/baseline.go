package watch

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Baseline is from which real traffic a prediction starts.
type Baseline string

// The hour before the release, or as long as the plan takes, a day or a week before.
const (
	LastHour  Baseline = "1h"
	Yesterday Baseline = "yesterday"
	LastWeek  Baseline = "week"
)

// span is the time that a baseline looks at, of a release that begins and takes so long.
func (b Baseline) span(began time.Time, takes time.Duration) (from, to time.Time, err error) {
	switch b {
	case LastHour:
		return began.Add(-time.Hour), began, nil
	case Yesterday:
		return began.Add(-24 * time.Hour), began.Add(takes - 24*time.Hour), nil
	case LastWeek:
		return began.Add(-7 * 24 * time.Hour), began.Add(takes - 7*24*time.Hour), nil
	}
	return from, to, fmt.Errorf("--baseline %q: it is %q, %q or %q", b, LastHour, Yesterday, LastWeek)
}

// Check says what is wrong with it.
func (b Baseline) Check() error {
	_, _, err := b.span(time.Time{}, 0)
	return err
}

// leastMinutes is how many minutes with data are enough to start from.
const leastMinutes = 5

// Traffic reads what the load balancer showed minute by minute.
func (e *Eye) Traffic(ctx context.Context, m *Measures, b Baseline, began time.Time, takes time.Duration) ([]Traffic, error) {
	from, to, err := b.span(began, takes)
	if err != nil {
		return nil, err
	}
	rate := m.Find("requests")
	if rate == nil {
		return nil, errors.New(`--baseline: the load balancer's name is not known: name it under "monitoring:"`)
	}
	from, to = periodOf(from, time.Minute), periodOf(to, time.Minute)
	answers, err := e.Ask(ctx, m.Questions, from, to)
	if err != nil {
		return nil, fmt.Errorf("--baseline: %w", err)
	}
	n := int(to.Sub(from) / time.Minute)
	source := answers.of(m.Questions)
	points := rate.points(source, from, n)
	errs := m.Find("error rate").points(source, from, n)
	p50, p99 := m.Find("latency p50").points(source, from, n), m.Find("latency p99").points(source, from, n)
	var all []Traffic
	for i, p := range points {
		if !p.Present || p.Value <= 0 {
			continue
		}
		t := Traffic{Rate: p.Value}
		if errs[i].Present {
			t.Errors = errs[i].Value
		}
		if p50[i].Present && p99[i].Present {
			t.P50, t.P99 = time.Duration(p50[i].Value*float64(time.Millisecond)), time.Duration(p99[i].Value*float64(time.Millisecond))
		}
		all = append(all, t)
	}
	if len(all) < leastMinutes {
		return nil, fmt.Errorf("--baseline %s: CloudWatch has requests in %d of %d minutes from %s to %s: too few to start from: is %s the load balancer, and this its account and region?",
			b, len(all), n, from.Format(time.DateTime), to.Format(time.DateTime), rate.Rule.Inputs[0].Metric.Dimensions[0].Value)
	}
	return all, nil
}

// Serving is which target group had the most requests right before a release: that of
// the stable version. It is -1 where none had any.
func (e *Eye) Serving(ctx context.Context, m *Measures, groups []string, began time.Time) (int, error) {
	const before = 10
	from := periodOf(began, time.Minute).Add(-before * time.Minute)
	answers, err := e.Ask(ctx, m.Questions, from, from.Add(before*time.Minute))
	if err != nil {
		return -1, err
	}
	best, most := -1, 0.0
	for i, g := range groups {
		one, sum := m.Find("requests to "+groupName(g)), 0.0
		if one == nil {
			continue
		}
		for _, p := range one.points(answers.of(m.Questions), from, before) {
			if p.Present {
				sum += p.Value
			}
		}
		if sum > most {
			best, most = i, sum
		}
	}
	return best, nil
}

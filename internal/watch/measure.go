package watch

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// A Measure is one number that a service shows in every period, made of CloudWatch's
// metrics by metric math.
type Measure struct {
	Name string
	Unit Unit
	// Rule makes it of its inputs. An alarm's own measure has the alarm's.
	Rule *alarm.Compiled
	// Alarms are the names of those that judge it.
	Alarms []string
	// Bad is which way out of the band is bad: 1 above, -1 below, 0 both.
	Bad int
	// Floor is how far from the band it may be at least, for what the model does not know.
	Floor float64

	general  bool  // of the load balancer, not an alarm's own
	requests int   // which of its inputs is the denominator of a share, -1: none
	grows    bool  // with the data that comes in for its period
	inputs   []int // into the questions
}

// A Unit is how the values of a measure are written. It is a closed set.
type Unit uint8

const (
	Plain   Unit = iota // as the alarm has it
	Percent             // of the requests
	Millis              // milliseconds
	PerSec              // per second
	Hosts
)

// Format writes a value of that unit.
func (u Unit) Format(v float64) string {
	switch u {
	case Plain, Hosts:
		return short(v)
	case Percent:
		return short(v) + " %"
	case Millis:
		return short(v) + " ms"
	case PerSec:
		return short(v) + "/s"
	}
	panic(fmt.Sprintf("unknown unit %d", u))
}

// short is a number with three digits that count: "0.012", "12.3", "1,234".
func short(v float64) string {
	text := strconv.FormatFloat(v, 'g', 3, 64)
	if strings.Contains(text, "e") || v >= 100 || v <= -100 {
		text = strconv.FormatFloat(v, 'f', 0, 64)
		if v != 0 && v < 0.01 && v > -0.01 {
			return strconv.FormatFloat(v, 'g', 2, 64)
		}
		for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
	}
	return text
}

// A Question is one metric that is asked for, summed up over a period.
type Question struct {
	alarm.Input
	Period time.Duration
}

func (q Question) same(o Question) bool {
	return q.Period == o.Period && q.Unit == o.Unit && q.Statistic.String() == o.Statistic.String() && q.Metric.Namespace == o.Metric.Namespace &&
		q.Metric.MetricName == o.Metric.MetricName && len(q.Metric.Dimensions) == len(o.Metric.Dimensions) &&
		!slices.ContainsFunc(q.Metric.Dimensions, func(d alarm.Dimension) bool { return !slices.Contains(o.Metric.Dimensions, d) })
}

// Measures is what is watched of a service, and what is asked for that: the load
// balancer's errors, response times, requests and healthy hosts, and what each alarm
// judges, where that is not among them.
type Measures struct {
	All       []*Measure
	Questions []Question
	alarms    []*watched
}

// watched is an alarm and where its inputs are among the questions.
type watched struct {
	*alarm.Compiled
	inputs []int
}

const elb = "AWS/ApplicationELB"

// NewMeasures is the measures of a service whose alarms and names are known.
func NewMeasures(s *stage.Setup) (*Measures, error) {
	m := &Measures{}
	if lb := s.Monitoring.LoadBalancer; lb != "" {
		m.balancer(lb, s.Monitoring.TargetGroups)
	}
	var wrong []error
	for i := range s.Alarms {
		c, err := s.Alarms[i].Compile()
		if err != nil {
			wrong = append(wrong, fmt.Errorf("alarm %q: %w", s.Alarms[i].AlarmName, err))
			continue
		}
		m.alarms = append(m.alarms, &watched{c, m.ask(c)})
		m.judged(c)
	}
	if len(m.All) == 0 && len(wrong) == 0 {
		wrong = append(wrong, errors.New(`there is nothing to watch: name the load balancer under "monitoring:", or alarms`))
	}
	return m, errors.Join(wrong...)
}

// balancer adds what the load balancer shows.
func (m *Measures) balancer(name string, groups []string) {
	lb := []alarm.Dimension{{Name: "LoadBalancer", Value: name}}
	stat := func(id, metric, stat string, more ...alarm.Dimension) alarm.MetricDataQuery {
		return alarm.MetricDataQuery{Id: id, MetricStat: &alarm.MetricStat{Stat: stat, Period: 60,
			Metric: alarm.Metric{Namespace: elb, MetricName: metric, Dimensions: append(slices.Clone(lb), more...)}}}
	}
	requests := stat("requests", "RequestCount", "Sum")
	m.add(&Measure{Name: "error rate", Unit: Percent, Bad: 1, Floor: 0.1}, "100*(FILL(target,0)+FILL(own,0))/(FILL(requests,0)+FILL(own,0))",
		stat("target", "HTTPCode_Target_5XX_Count", "Sum"), stat("own", "HTTPCode_ELB_5XX_Count", "Sum"), requests)
	m.add(&Measure{Name: "latency p50", Unit: Millis, Bad: 1, Floor: 1}, "1000*took", stat("took", "TargetResponseTime", "p50"))
	m.add(&Measure{Name: "latency p99", Unit: Millis, Bad: 1, Floor: 5}, "1000*took", stat("took", "TargetResponseTime", "p99"))
	m.add(&Measure{Name: "requests", Unit: PerSec, Floor: 0.1}, "requests/60", requests)
	for _, g := range groups {
		target := alarm.Dimension{Name: "TargetGroup", Value: g}
		// A group that gets none publishes nothing: that is 0 only where the balancer
		// has published for the same minute.
		m.add(&Measure{Name: "requests to " + groupName(g), Unit: PerSec, Floor: 0.1}, "0*all+FILL(requests,0)/60",
			stat("requests", "RequestCount", "Sum", target), stat("all", "RequestCount", "Sum"))
		m.add(&Measure{Name: "healthy in " + groupName(g), Unit: Hosts, Bad: -1}, "hosts", stat("hosts", "HealthyHostCount", "Minimum", target))
	}
}

// groupName is "shop-a" of "targetgroup/shop-a/73e2d6bc24d8a067".
func groupName(g string) string {
	if parts := strings.Split(g, "/"); len(parts) == 3 {
		return parts[1]
	}
	return g
}

// add adds a measure that an expression makes of metrics.
func (m *Measures) add(one *Measure, expression string, metrics ...alarm.MetricDataQuery) {
	a := &alarm.Alarm{AlarmName: one.Name, Metrics: append([]alarm.MetricDataQuery{{Id: "result", Expression: expression, ReturnData: true}}, metrics...),
		EvaluationPeriods: 1, ComparisonOperator: "GreaterThanThreshold"}
	c, err := a.Compile()
	if err != nil {
		panic(fmt.Sprintf("the measure %q: %v", one.Name, err)) // all of them are written above
	}
	one.Rule, one.inputs, one.general = c, m.ask(c), true
	one.classify()
	m.All = append(m.All, one)
}

// judged adds what an alarm judges, or its name to the measure that is the same.
func (m *Measures) judged(c *alarm.Compiled) {
	inputs := m.ask(c)
	for _, one := range m.All {
		if sameSet(one.inputs, inputs) && (one.general || sameMath(one.Rule.Alarm, c.Alarm)) {
			one.Alarms = append(one.Alarms, c.Alarm.AlarmName)
			return
		}
	}
	own, err := c.Alarm.Compile() // a copy: what it looks at is set by who asks
	if err != nil {
		panic(err) // it was compiled before
	}
	one := &Measure{Name: c.Alarm.AlarmName, Alarms: []string{c.Alarm.AlarmName}, Rule: own, inputs: inputs, Bad: 1, Floor: math.Abs(c.Alarm.Threshold) / 10}
	if strings.HasPrefix(c.Alarm.ComparisonOperator, "LessThan") {
		one.Bad = -1
	}
	one.classify()
	m.All = append(m.All, one)
}

// sameMath says whether two alarms make the same of the same metrics.
func sameMath(a, b *alarm.Alarm) bool {
	return slices.EqualFunc(a.Metrics, b.Metrics, func(x, y alarm.MetricDataQuery) bool {
		return x.Id == y.Id && x.Expression == y.Expression && x.ReturnData == y.ReturnData
	})
}

func sameSet(a, b []int) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// classify finds out whether a measure only grows while data of its period comes in.
func (one *Measure) classify() {
	one.grows, one.requests = true, -1
	for i, in := range one.Rule.Inputs {
		if in.Statistic.String() != "Sum" {
			one.grows = false
		}
		if in.Metric.Namespace == elb && in.Metric.MetricName == "RequestCount" && len(one.Rule.Inputs) > 1 {
			one.requests = i
		}
	}
}

// ask puts the metrics of a rule among the questions, each once, and says where they are.
func (m *Measures) ask(c *alarm.Compiled) (at []int) {
	for _, in := range c.Inputs {
		q := Question{in, c.Period}
		q.ID = ""
		i := slices.IndexFunc(m.Questions, q.same)
		if i < 0 {
			i = len(m.Questions)
			m.Questions = append(m.Questions, q)
		}
		at = append(at, i)
	}
	return at
}

// Find is the measure with that name; nil: none.
func (m *Measures) Find(name string) *Measure {
	for _, one := range m.All {
		if one.Name == name {
			return one
		}
	}
	return nil
}

// metrics is every metric that is asked for.
func (m *Measures) metrics() (all []alarm.Metric) {
	for _, q := range m.Questions {
		all = append(all, q.Metric)
	}
	return all
}

// A source answers questions: a simulated stage's CloudWatch, or a real one's answers.
type source func(question int, from time.Time, n int) []alarm.Point

// points is a measure in n periods, the first of which begins at from.
func (one *Measure) points(of source, from time.Time, n int) []alarm.Point {
	inputs := make([][]alarm.Point, len(one.inputs))
	for i, q := range one.inputs {
		inputs[i] = of(q, from, n)
	}
	return one.of(inputs, n)
}

func (one *Measure) of(inputs [][]alarm.Point, n int) []alarm.Point {
	rule := *one.Rule
	rule.Range = n // all of them, not the newest few as in an alarm
	var scratch alarm.Scratch
	return slices.Clone(rule.Points(&scratch, inputs))
}

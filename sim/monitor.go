package sim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/stage"
)

// Epoch is the time of day at which every simulated stage begins: a Monday
// morning, at a whole minute, so that alarm periods are minutes of release time.
func Epoch() time.Time { return time.Date(2026, time.January, 5, 9, 0, 0, 0, time.UTC) }

// A monitor publishes what an Application Load Balancer, ECS and the metric
// filters of CloudWatch Logs would publish of the stage, and has the alarms judge
// it. It leaves out what no alarm looks at and nobody wants.
//
// As AWS does, it publishes counts only where they are not 0, host counts only of
// a target group that has targets, errors of the balancer itself only of the
// balancer as a whole, and requests and response times only of those requests for
// which a target was chosen and has answered. So where all users meet a version of
// which no replica is healthy, RequestCount has no data, and a rate of errors by it
// neither.
type monitor struct {
	store   *cloudwatch.Store
	epoch   time.Time
	every   time.Duration // between the instants at which alarms may be due
	watched []alarm.Metric
	all     *group // the balancer as a whole
	groups  []*group
	cpu     *series
	memory  *series
	filters []filter
	lines   float64 // ERROR lines in the present minute
	talked  bool    // there were any lines in it
	logs    string  // the log group in which they are kept, where anybody may look at it
	set     alarm.Distribution
}

// A group is one of the balancer's target groups, or all of it.
type group struct {
	requests, good, bad, refused, times *series
	balancer, nobody, timedOut          *series // of all of it only
	healthy, unhealthy                  *series // of a target group only
	versions                            int     // that are in it
}

// A filter is a metric filter that finds the service's ERROR lines.
type filter struct {
	*series
	value     float64
	otherwise *float64
}

// A series is one metric, published in periods of a minute, or of a second where
// an alarm asks for that.
type series struct {
	*cloudwatch.Series
	fine bool
}

func newMonitor(setup *stage.Setup, now func() time.Duration) (*monitor, error) {
	m := &monitor{epoch: Epoch(), every: time.Minute}
	m.store = cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return m.epoch.Add(now()) }})
	var wrong []error
	compiled := make([]*alarm.Compiled, 0, len(setup.Alarms))
	for i := range setup.Alarms {
		c, err := setup.Alarms[i].Compile()
		if err != nil {
			wrong = append(wrong, fmt.Errorf("alarm %q: %w", setup.Alarms[i].AlarmName, err))
			continue
		}
		m.every = min(m.every, c.Every)
		for _, in := range c.Inputs {
			m.watched = append(m.watched, in.Metric)
		}
		compiled = append(compiled, c)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	m.watched = append(m.watched, setup.Monitoring.Wanted...)
	m.store.PutCompiled(compiled...)
	if err := m.store.PutComposites(setup.Composites); err != nil {
		return nil, err
	}
	m.raise(setup.Monitoring)
	return m, nil
}

// raise makes the metrics; what production has no name for is not published.
func (m *monitor) raise(names stage.Monitoring) {
	if names.LoadBalancer != "" {
		balancer := alarm.Dimension{Name: "LoadBalancer", Value: names.LoadBalancer}
		m.all = m.group(balancer)
		m.all.balancer = m.aws("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", balancer)
		m.all.nobody = m.aws("AWS/ApplicationELB", "HTTPCode_ELB_503_Count", balancer)
		m.all.timedOut = m.aws("AWS/ApplicationELB", "HTTPCode_ELB_504_Count", balancer)
		for _, name := range names.TargetGroups {
			target := alarm.Dimension{Name: "TargetGroup", Value: name}
			g := m.group(balancer, target)
			g.healthy = m.aws("AWS/ApplicationELB", "HealthyHostCount", balancer, target)
			g.unhealthy = m.aws("AWS/ApplicationELB", "UnHealthyHostCount", balancer, target)
			m.groups = append(m.groups, g)
		}
	}
	if names.Cluster != "" {
		service := []alarm.Dimension{{Name: "ClusterName", Value: names.Cluster}, {Name: "ServiceName", Value: names.Service}}
		m.cpu = m.aws("AWS/ECS", "CPUUtilization", service...)
		m.memory = m.aws("AWS/ECS", "MemoryUtilization", service...)
	}
	for _, f := range names.Filters {
		// What a selector finds in a line is not known here: such a metric has no data.
		value, err := strconv.ParseFloat(f.Value, 64)
		if to := m.series(cmp.Or(f.Unit, "None"), f.Namespace, f.Metric); to != nil && err == nil {
			m.filters = append(m.filters, filter{to, value, f.Default})
		}
	}
}

func (m *monitor) group(of ...alarm.Dimension) *group {
	return &group{
		requests: m.aws("AWS/ApplicationELB", "RequestCount", of...),
		good:     m.aws("AWS/ApplicationELB", "HTTPCode_Target_2XX_Count", of...),
		bad:      m.aws("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", of...),
		refused:  m.aws("AWS/ApplicationELB", "TargetConnectionErrorCount", of...),
		times:    m.aws("AWS/ApplicationELB", "TargetResponseTime", of...),
	}
}

// aws is a metric that AWS publishes, in AWS's unit; nil when no alarm looks at it.
func (m *monitor) aws(namespace, metric string, of ...alarm.Dimension) *series {
	return m.series(alarm.PublishedUnit(namespace, metric), namespace, metric, of...)
}

// series is the metric of that name; nil when no alarm looks at it.
func (m *monitor) series(unit, namespace, metric string, of ...alarm.Dimension) *series {
	same := func(w alarm.Metric) bool {
		return w.MetricName == metric && w.Namespace == namespace && len(w.Dimensions) == len(of) &&
			!slices.ContainsFunc(of, func(d alarm.Dimension) bool { return !slices.Contains(w.Dimensions, d) })
	}
	if !slices.ContainsFunc(m.watched, same) {
		return nil
	}
	return &series{m.store.SeriesIn(unit, namespace, metric, of...), m.every < time.Minute}
}

// join puts a version into the target group whose turn it is, past those that are
// taken while one is free.
func (m *monitor) join(turn int) *group {
	if len(m.groups) == 0 {
		return nil
	}
	chosen := m.groups[turn%len(m.groups)]
	for i := range m.groups {
		if g := m.groups[(turn+i)%len(m.groups)]; g.versions == 0 {
			chosen = g
			break
		}
	}
	chosen.versions++
	return chosen
}

// served publishes what the balancer and the log saw of a version's traffic.
func (m *monitor) served(s *Stage, v *version, from time.Duration, a *answers) {
	at := m.epoch.Add(from)
	for _, g := range [...]*group{m.all, v.group} {
		if g == nil {
			continue
		}
		g.requests.counted(at, a.requests-a.nobody)
		g.good.counted(at, a.good)
		g.bad.counted(at, a.bad)
		g.refused.counted(at, a.refused)
		g.balancer.counted(at, a.nobody+a.refused+a.timedOut)
		g.nobody.counted(at, a.nobody+a.refused)
		g.timedOut.counted(at, a.timedOut)
		if g.times != nil && a.good+a.bad > 0 {
			a.responseTimes(&m.set, s.patience())
			g.times.spread(at, &m.set)
		}
	}
	m.talked = true
	lines := float64(a.logged) * s.Model.ErrorLogs
	m.lines += lines
	for _, f := range m.filters {
		f.add(at, f.value, lines)
	}
}

// sample publishes what is looked at now and then: hosts, processor and memory.
func (m *monitor) sample(s *Stage, from, to time.Duration) {
	times := float64((to+sampling-1)/sampling - (from+sampling-1)/sampling)
	if times == 0 {
		return
	}
	at := m.epoch.Add(from)
	for _, g := range m.groups {
		well, ill := 0, 0
		for _, v := range s.versions {
			if v.group == g {
				well += v.in(healthy)
				ill += v.in(unhealthy)
			}
		}
		if well+ill > 0 {
			g.healthy.add(at, float64(well), times)
			g.unhealthy.add(at, float64(ill), times)
		}
	}
	if m.cpu != nil || m.memory != nil {
		for _, v := range s.versions {
			m.sampleReplicas(s, v, at, times)
		}
	}
}

func (m *monitor) sampleReplicas(s *Stage, v *version, at time.Time, times float64) {
	busy := 0.0
	if n := v.serving(); n > 0 {
		busy = s.Traffic.Rate * v.share / 100 / float64(n) * requestProcessor.Seconds() * 100
	}
	for _, b := range v.batches {
		if b.process != running {
			continue
		}
		processor := idleProcessor
		if b.serves() {
			processor = min(idleProcessor+busy, 100)
		}
		m.cpu.add(at, processor, times*float64(b.replicas))
		if s.MemoryLimit > 0 {
			used := (float64(s.Model.Memory) + b.leaked) / float64(s.MemoryLimit) * 100
			m.memory.add(at, min(used, 100), times*float64(b.replicas))
		}
	}
}

// judge closes what ends now and has the alarms that are due judged.
func (m *monitor) judge(h *stage.History, now time.Duration) {
	if now%time.Minute == 0 {
		m.keepErrors(now)
		for _, f := range m.filters {
			if m.talked && m.lines == 0 && f.otherwise != nil {
				f.add(m.epoch.Add(now-time.Minute), *f.otherwise, 1)
			}
		}
		m.talked, m.lines = false, 0
	}
	for _, t := range m.store.Evaluate(m.epoch.Add(now)) {
		h.Record(stage.Event{Kind: stage.Changed, Alarm: &stage.AlarmChange{Name: t.Name, From: t.From, To: t.To, Reason: t.Reason}})
	}
}

// counted adds n times 1, and nothing for 0.
func (s *series) counted(at time.Time, n int64) {
	if n > 0 {
		s.add(at, 1, float64(n))
	}
}

// add puts value in that many times, where anybody looks at it.
func (s *series) add(at time.Time, value, times float64) {
	switch {
	case s == nil || times == 0:
	case s.fine:
		var set alarm.Distribution
		set.Add(value, times)
		s.AddHighResolution(at, &set)
	default:
		s.AddValue(at, value, times)
	}
}

func (s *series) spread(at time.Time, set *alarm.Distribution) {
	if s.fine {
		s.AddHighResolution(at, set)
	} else {
		s.Add(at, set)
	}
}

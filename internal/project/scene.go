package project

import (
	"time"

	"rehearsal/internal/alarm"
)

// Scene tells what the project says of the service that its alarms watch; what it
// does not say is left as it is.
func (p *Project) Scene(s *alarm.Scene) {
	setup := p.Setup
	s.Rate = setup.Traffic.Rate
	s.Replicas = setup.Replicas
	if m := setup.Model; m.Median > 0 && m.P99 > 0 {
		s.Median, s.P99 = m.Median, m.P99
	}
	if m := setup.Model; m.Memory > 0 && setup.MemoryLimit > 0 {
		s.Memory = 100 * float64(m.Memory) / float64(setup.MemoryLimit)
	}
	if m := setup.Model; m.ErrorLogs > 0 {
		s.Logged = m.ErrorLogs
	}
	if h := setup.Health; h.Interval > 0 && h.Unhealthy > 0 {
		s.Notice = h.Interval * time.Duration(h.Unhealthy)
	}
	for _, f := range setup.Monitoring.Filters {
		s.Lines = append(s.Lines, alarm.LineMetric{Namespace: f.Namespace, MetricName: f.Metric, Unit: f.Unit, Default: f.Default})
	}
	if p.Plan != nil {
		for _, step := range p.Plan.Schedule(setup.Replicas) {
			s.Bakes = append(s.Bakes, step.Bake)
		}
	}
}

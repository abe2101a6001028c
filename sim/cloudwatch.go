package sim

import (
	"context"
	"fmt"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/stage"
)

var _ stage.Monitored = (*Stage)(nil)

// CloudWatch puts the embedded CloudWatch on the wire. From then on the service's log
// group holds a line for each minute in which the service wrote ERROR lines: they are
// counted here, and not written one by one.
func (s *Stage) CloudWatch() (url string, epoch time.Time, err error) {
	if s.closed {
		return "", time.Time{}, s.usable(context.Background())
	}
	if s.server == nil {
		if group := s.Monitoring.LogGroup; group != "" {
			if err := s.monitor.store.CreateLogGroup(group); err != nil {
				return "", time.Time{}, err
			}
			s.monitor.logs = group
		}
		if s.server, err = s.monitor.store.Serve(); err != nil {
			return "", time.Time{}, err
		}
	}
	return s.server.URL, s.monitor.epoch, nil
}

// Points is what CloudWatch has of a metric: n periods of that length, the first of which
// begins at from.
func (s *Stage) Points(in alarm.Input, period time.Duration, from time.Time, n int) []alarm.Point {
	return s.monitor.store.Points(in, period, from, n)
}

// keepErrors writes down how many ERROR lines there were in the minute that ends now.
func (m *monitor) keepErrors(now time.Duration) {
	if m.logs == "" || m.lines == 0 {
		return
	}
	line := cloudwatch.LogEvent{Time: m.epoch.Add(now - time.Minute), Message: fmt.Sprintf("ERROR %.0f requests failed in this minute", m.lines)}
	_ = m.store.PutLogEvents(m.logs, "simulated", []cloudwatch.LogEvent{line}) // the group is there; a full store drops its oldest
}

package containers

import (
	"errors"
	"time"

	"rehearsal/internal/stage"
)

var _ stage.Monitored = (*Stage)(nil)

// CloudWatch is where the CloudWatch that judges the alarms answers.
func (s *Stage) CloudWatch() (url string, epoch time.Time, err error) {
	if s.monitor == nil || s.monitor.judge == nil {
		return "", time.Time{}, errors.New("the stage has no monitoring: it is not up")
	}
	switch j := s.monitor.judge.(type) {
	case *embeddedJudge:
		return j.server.URL, j.calendar(0), nil
	case *externalJudge:
		return j.options.External.URL, j.calendar(0), nil
	}
	return "", time.Time{}, errors.ErrUnsupported
}

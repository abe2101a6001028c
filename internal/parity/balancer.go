package parity

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

const wantTargetGroups = "the output of `aws elbv2 describe-target-groups` of the service's groups"

// targetGroups is the part of the output that a staging copy's balancer can be like.
type targetGroups struct {
	TargetGroups []struct {
		TargetGroupName            string
		HealthCheckPath            string
		HealthCheckIntervalSeconds int
		HealthCheckTimeoutSeconds  int
		HealthyThresholdCount      int
		UnhealthyThresholdCount    int
	}
}

// balancer adds the health check of production's target groups to the service. Those of
// one service (blue and green) have the same.
func balancer(s *Service, f File) error {
	var out targetGroups
	docs, err := documents(f, wantTargetGroups)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		if err := json.Unmarshal(doc, &out); err != nil {
			return mistake(f, doc, err, wantTargetGroups)
		}
		if len(out.TargetGroups) == 0 {
			return mistake(f, doc, fmt.Errorf("there are no \"TargetGroups\" in it"), wantTargetGroups)
		}
		first := out.TargetGroups[0]
		for _, g := range out.TargetGroups {
			name := g.TargetGroupName
			if g.TargetGroupName = first.TargetGroupName; g != first {
				return mistake(f, doc, fmt.Errorf("the target groups %q and %q have different health checks", first.TargetGroupName, name), wantTargetGroups)
			}
		}
		s.Tells = append(s.Tells, "balancer")
		s.set("balancer.path", first.HealthCheckPath)
		s.set("balancer.interval", (time.Duration(first.HealthCheckIntervalSeconds) * time.Second).String())
		s.set("balancer.timeout", (time.Duration(first.HealthCheckTimeoutSeconds) * time.Second).String())
		s.set("balancer.healthy", strconv.Itoa(first.HealthyThresholdCount))
		s.set("balancer.unhealthy", strconv.Itoa(first.UnhealthyThresholdCount))
	}
	return nil
}

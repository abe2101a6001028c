package scaffold

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"rehearsal/internal/release"
)

// A plan is what release.yaml will say.
type plan struct {
	Own            bool     // made up here; nothing of production is known
	About          []string // the comment that it begins with, line by line
	Strategy       release.Strategy
	Steps          []release.Step
	Share          float64 // linear
	Batch          string  // rolling
	MinimumHealthy float64 // rolling, percent
	Every, Bake    time.Duration
	Tested         bool     // a hook of production tries the new version before users reach it
	Alarms         []string // of the alarms, those to watch; none means all that can be
	Notes          []string // where it differs from how production releases
	Ask            string   // what is not known of how production releases
}

// firstPlan is for a team that has not written one down: a tenth of the users first.
// Its bakes come from the alarms.
func firstPlan() plan {
	return plan{
		Own:      true,
		About:    []string{"A tenth of the users first, then half, then all, with a bake after each that the", "slowest watched alarm needs to go off."},
		Strategy: release.Canary,
		Steps:    []release.Step{{Share: 10}, {Share: 50}, {Share: 100}},
	}
}

// Test says whether smoke requests go to the new version before users reach it.
func (p *plan) Test() bool { return p.Strategy == release.BlueGreen || p.Tested }

// fit makes the bakes long enough for the alarms: where production's are shorter, an
// alarm that goes off after the release is no protection, and that is said.
func (p *plan) fit(w watch) {
	minutes := func(d time.Duration) time.Duration { return time.Duration(math.Ceil(d.Minutes())) * time.Minute }
	fastest, slowest := minutes(w.fastest), minutes(w.slowest)
	atLeast := func(bake *time.Duration, need time.Duration, what string) {
		if *bake >= need {
			return
		}
		if what != "" && !p.Own {
			p.Notes = append(p.Notes, fmt.Sprintf("%s is %s in production, too short for the alarms: here it is %s", what, brief(*bake), brief(need)))
		}
		*bake = need
	}
	for i := range p.Steps {
		if p.Own {
			p.Steps[i].Bake = slowest + time.Minute // an alarm may come at the last moment
		} else if i == len(p.Steps)-1 {
			atLeast(&p.Steps[i].Bake, slowest, "the bake at the end")
		} else {
			atLeast(&p.Steps[i].Bake, fastest, "the bake of the canary")
		}
	}
	switch p.Strategy {
	case release.Canary:
	case release.Linear:
		atLeast(&p.Every, fastest, "the bake of a step")
		atLeast(&p.Bake, slowest, "the bake at the end")
	case release.BlueGreen, release.AllAtOnce:
		atLeast(&p.Bake, slowest, "the bake at the end")
	case release.Rolling:
		atLeast(&p.Bake, slowest, "") // ECS works it out from the alarms itself
	}
}

// planOf is how the service is released in production, as its deployment controller and
// configuration say; what they leave out is ECS's default, from the documentation of
// DeploymentConfiguration in its API.
func planOf(service *types.Service, replicas int) plan {
	if service == nil {
		p := firstPlan()
		p.Ask = "how does production release? This is a careful guess; give `rehearse init --from-ecs` the output of `aws ecs describe-services` too"
		return p
	}
	controller := types.DeploymentControllerTypeEcs
	if c := service.DeploymentController; c != nil && c.Type != "" {
		controller = c.Type
	}
	c := service.DeploymentConfiguration
	if c == nil {
		c = &types.DeploymentConfiguration{}
	}
	minutes := func(v *int32, otherwise int32) time.Duration {
		if v != nil {
			otherwise = *v
		}
		return time.Duration(otherwise) * time.Minute
	}
	bake := minutes(c.BakeTimeInMinutes, 0)
	var p plan
	switch {
	case controller == types.DeploymentControllerTypeCodeDeploy:
		p = plan{About: []string{"CodeDeploy releases this service, blue and green."}, Strategy: release.BlueGreen}
		p.Ask = "which deployment configuration has the deployment group? This is CodeDeployDefault.ECSAllAtOnce; ECSCanary10Percent5Minutes is \"strategy: canary\" with " +
			"\"steps: [{share: 10%, bake: 5m}, {share: 100%, bake: 5m}]\", ECSLinear10PercentEvery3Minutes is \"strategy: linear\", \"step: 10%\", \"every: 3m\"; `aws deploy get-deployment-group` prints it"
	case controller != types.DeploymentControllerTypeEcs:
		p = firstPlan()
		p.Ask = fmt.Sprintf("how does production release? Its deployment controller is %s, of which ECS tells nothing; this is a careful guess", controller)
		return p
	case c.Strategy == types.DeploymentStrategyBlueGreen:
		p = plan{About: []string{"ECS releases this service, blue and green."}, Strategy: release.BlueGreen, Bake: bake}
	case c.Strategy == types.DeploymentStrategyCanary:
		p = plan{About: []string{"ECS releases this service by a canary."}, Strategy: release.Canary}
		first := release.Step{Share: 5, Bake: 10 * time.Minute}
		if cc := c.CanaryConfiguration; cc != nil {
			first.Bake = minutes(cc.CanaryBakeTimeInMinutes, 10)
			if cc.CanaryPercent != nil {
				first.Share = *cc.CanaryPercent
			}
		}
		if p.Steps = []release.Step{first, {Share: 100, Bake: bake}}; first.Share >= 100 {
			p.Steps = p.Steps[1:]
		}
	case c.Strategy == types.DeploymentStrategyLinear:
		p = plan{About: []string{"ECS releases this service by equal steps."}, Strategy: release.Linear, Share: 10, Every: 6 * time.Minute, Bake: bake}
		if l := c.LinearConfiguration; l != nil {
			p.Every = minutes(l.StepBakeTimeInMinutes, 6)
			if l.StepPercent != nil {
				p.Share = *l.StepPercent
			}
		}
	default:
		p = rollingPlan(c, replicas)
		if c.Strategy != "" && c.Strategy != types.DeploymentStrategyRolling {
			p.Notes = append(p.Notes, fmt.Sprintf("the strategy %q of production is not known here: this is a rolling release", c.Strategy))
		}
	}
	p.watchedBy(c, controller)
	for _, h := range c.LifecycleHooks {
		p.Tested = p.Tested || slices.Contains(h.LifecycleStages, types.DeploymentLifecycleHookStageTestTrafficShift) ||
			slices.Contains(h.LifecycleStages, types.DeploymentLifecycleHookStagePostTestTrafficShift)
	}
	return p
}

// rollingPlan: ECS may run up to maximumPercent of the tasks (rounded down) and keeps
// minimumHealthyPercent (rounded up); what is between is replaced at a time.
func rollingPlan(c *types.DeploymentConfiguration, replicas int) plan {
	lowest, highest := int32(100), int32(200)
	if c.MinimumHealthyPercent != nil {
		lowest = *c.MinimumHealthyPercent
	}
	if c.MaximumPercent != nil {
		highest = *c.MaximumPercent
	}
	n := float64(replicas)
	room := int(math.Floor(n*float64(highest)/100+1e-9)) - int(math.Ceil(n*float64(lowest)/100-1e-9))
	p := plan{
		About: []string{fmt.Sprintf("ECS releases this service task by task: minimumHealthyPercent is %d, maximumPercent %d.", lowest, highest),
			"It does not wait between the tasks, beyond their health."},
		Strategy: release.Rolling, Batch: strconv.Itoa(min(max(room, 1), max(replicas, 1))), MinimumHealthy: float64(min(max(lowest, 1), 100)),
	}
	if room < 1 {
		p.Notes = append(p.Notes, fmt.Sprintf("with minimumHealthyPercent %d and maximumPercent %d ECS can replace none of %s: here one is replaced at a time", lowest, highest, plural(replicas, "task")))
	}
	if lowest < 1 {
		p.Notes = append(p.Notes, "minimumHealthyPercent is 0 in production, so that nobody may be served for a while: here 1 task is kept")
	}
	return p
}

// watchedBy is the alarms that deployments watch, and notes where production would not
// go back by itself and the plan here does.
func (p *plan) watchedBy(c *types.DeploymentConfiguration, controller types.DeploymentControllerType) {
	if controller != types.DeploymentControllerTypeEcs {
		return
	}
	switch a := c.Alarms; {
	case a == nil || !a.Enable || len(a.AlarmNames) == 0:
		p.Notes = append(p.Notes, "deploymentConfiguration.alarms is not enabled in production, so no alarm takes a release back there: here one does")
	default:
		p.Alarms = a.AlarmNames
		if !a.Rollback {
			p.Notes = append(p.Notes, "an alarm only stops a release in production (alarms.rollback is false): here it takes it back")
		}
	}
	if b := c.DeploymentCircuitBreaker; p.Strategy == release.Rolling && (b == nil || !b.Enable || !b.Rollback) {
		p.Notes = append(p.Notes, "the deployment circuit breaker with rollback is not enabled in production, so tasks that stay unhealthy do not take a release back there: here they do")
	}
}

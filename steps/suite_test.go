package steps

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/check"
	"rehearsal/internal/project"
)

const shopAtRest = "    Given a staging copy of the shop, with version \"v1\" serving everyone\n    And customers browse and order at 200 requests per second\n"

// rehearseText runs one feature on the simulated stage.
func rehearseText(t *testing.T, text string, notify func(Notice)) *Verification {
	t.Helper()
	return rehearseOf(t, shop(t), text, notify)
}

func rehearseOf(t *testing.T, p *project.Project, text string, notify func(Notice)) *Verification {
	t.Helper()
	v, err := Rehearsal{
		Project: p, Features: []string{feature(t, text)}, Stages: []string{Simulated}, Seed: 1, Report: t.TempDir(),
		Notify: func(_ string, n Notice) {
			if notify != nil {
				notify(n)
			}
		},
	}.Verify(context.Background())
	require.NoError(t, err)
	return v
}

func TestNothingIsToldOfAScenarioAfterItsEnd(t *testing.T) {
	var after []Notice
	ended := false
	v := rehearseText(t, "Feature: f\n  Scenario: s\n"+shopAtRest+
		"    When \"v2\" is released as the \"blue-green\" plan says\n    Then version \"v2\" never serves anyone\n    And no request failed\n", func(n Notice) {
		if ended {
			after = append(after, n)
		}
		ended = ended || n.Result != nil
	})
	require.Len(t, v.Results, 1)
	assert.Equal(t, check.Failed, v.Results[0].Verdict)
	assert.Equal(t, `version "v2" never serves anyone`, v.Results[0].Step, "where it went wrong, not what was skipped")
	assert.Equal(t, ExitBroken, v.Status())
	assert.Empty(t, after)
}

func TestAnAlarmThatNobodyMentionedBreaksTheScenario(t *testing.T) {
	v := rehearseText(t, "Feature: f\n  Scenario: s\n"+shopAtRest+
		"    And version \"v2\" fails 50% of its requests\n    When \"v2\" is released as the \"canary\" plan says\n    Then the release is rolled back\n", nil)
	require.Len(t, v.Results, 1)
	assert.ErrorContains(t, v.Results[0].Err, `the alarm "shop-5xx-rate" went off`)
	assert.ErrorContains(t, v.Results[0].Err, "the scenario does not mention it")
}

func TestCompositeAlarmsAreAlarmsToSpecs(t *testing.T) {
	p := shop(t)
	p.Setup.Composites = []alarm.Composite{
		{AlarmName: "shop-is-ill", AlarmRule: "ALARM(shop-5xx-rate) OR ALARM(shop-p99-latency)"},
		{AlarmName: "shop-is-down", AlarmRule: "ALARM(shop-is-ill) AND ALARM(shop-unhealthy-hosts)"},
	}
	p.Plans["canary"].Alarms = []string{"shop-is-ill"}
	text := "Feature: f\n  Scenario: s\n" + shopAtRest +
		"    And version \"v2\" fails 50% of its requests\n    When \"v2\" is released as the \"canary\" plan says\n    Then the release is rolled back\n" +
		"    And the alarm \"shop-is-ill\" goes off within 4 minutes of exposure\n    And the alarm \"shop-is-down\" stays silent\n" +
		"    And the alarm \"shop-error-logs\" may go off too\n"
	v := rehearseOf(t, p, text, nil)
	require.Len(t, v.Results, 1)
	assert.ErrorContains(t, v.Results[0].Err, `the alarm "shop-5xx-rate" went off`, "the child is an alarm of its own, and nobody mentioned it")
	text += "    And the alarm \"shop-5xx-rate\" goes off within 4 minutes of exposure\n"
	v = rehearseOf(t, p, text, nil)
	require.Len(t, v.Results, 1)
	assert.Equal(t, check.Passed, v.Results[0].Verdict, "%v", v.Results[0].Err)

	asleep := AlarmsAsleep.setup(p.Setup)
	assert.Equal(t, "FALSE", asleep.Composites[1].AlarmRule)
	assert.NotEqual(t, "FALSE", p.Setup.Composites[1].AlarmRule)
}

func TestAFailureThatNoAlarmSeesIsNotPassedOver(t *testing.T) {
	v := rehearseText(t, "Feature: f\n  Scenario: s\n"+shopAtRest+
		"    And version \"v2\" fails 0.2% of its requests\n    When \"v2\" is released as the \"canary\" plan says\n    Then the release succeeds\n", nil)
	require.Len(t, v.Results, 1)
	assert.ErrorContains(t, v.Results[0].Err, "UNDETECTED")
	assert.Equal(t, ExitBroken, v.Status())
}

func TestWhatAStageCannotBringAboutFailsWithoutItsTag(t *testing.T) {
	assert.True(t, (&Spec{}).On(Simulated) && (&Spec{}).On(Containers))
	assert.False(t, (&Spec{Tags: []string{SimulatedOnly}}).On(Containers))
	assert.False(t, (&Spec{Tags: []string{ContainersOnly}}).On(Simulated))
}

func TestNothingThatNeverHappenedIsJudged(t *testing.T) {
	v := rehearseText(t, "Feature: f\n  Scenario: s\n"+shopAtRest+
		"    And version \"v2\" loses the \"database\" 30 minutes after it takes traffic\n    When \"v2\" is released as the \"blue-green\" plan says\n    Then the release succeeds\n", nil)
	require.Len(t, v.Results, 1)
	assert.Equal(t, check.Inconclusive, v.Results[0].Verdict, "its moment never came")
	assert.Equal(t, ExitInconclusive, v.Status())
}

func TestAScenarioThatMeasuresTheMachineRunsAlone(t *testing.T) {
	p := shop(t)
	const broken = shopAtRest + "    Then version \"v1\" never serves anyone\n"
	file := feature(t, "Feature: f\n  Scenario: beside others\n"+broken+"  @alone\n  Scenario: alone\n"+broken+"  @pipeline\n  Scenario: builds\n"+broken)
	specs, err := ReadSpecs(p, []string{file}, "")
	require.NoError(t, err)
	s := &Suite{Project: p, Stage: Simulated, Seed: 1, Raise: simulate}
	others := map[string]bool{} // whether another scenario could begin
	s.Notify = func(n Notice) {
		if n.Spec != nil && n.Step != "" {
			others[n.Spec.Name] = s.machine.TryRLock()
			if others[n.Spec.Name] {
				s.machine.RUnlock()
			}
			assert.False(t, s.machine.TryLock(), "none that wants to be alone begins beside another")
		}
	}
	results, err := s.Run(t.Context(), specs, []string{file}, "")
	require.NoError(t, err)
	require.Len(t, results, 3)
	assert.Equal(t, map[string]bool{"beside others": true, "alone": false, "builds": false}, others)
	assert.True(t, s.machine.TryLock(), "what failed has left too")
}

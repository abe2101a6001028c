package steps

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
	"rehearsal/internal/stage"
)

func TestMistakesInQuestionsAreToldWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		`the check "conection to database" passes`:                                     `x.feature:3: "conection to database" is not a check`,
		`the check "contract of database" fails`:                                       `has nothing to check "contract of database" by: did you mean`,
		`the answer has "1" at "price"`:                                                `x.feature:3: "price" is not a JSONPath`,
		`the command [] runs in the image of version "v2"`:                             `x.feature:3: [] is not a command: write it as a list of words`,
		`the command [ls -l] runs in the image of version "v2"`:                        `x.feature:3: [ls -l] is not a command`,
		`the command ["ls"] runs in the image of the service "cache"`:                  `there is no service "cache"`,
		`a customer asks GET /products of version "v7"`:                                `there is no version "v7"`,
		`the "cache" is asked "GET 1"`:                                                 `there is no dependency "cache"`,
		`version "v2" answers as fast as "v0" (a slowdown above 10% would be noticed)`: `there is no version "v0"`,
	} {
		_, err := ReadSpecs(shop(t), []string{feature(t, "Feature: f\n  Scenario: s\n    Then "+text)}, "")
		require.ErrorContains(t, err, want, text)
	}
}

func scenario(t *testing.T, steps string) *Result {
	t.Helper()
	v := rehearseText(t, "Feature: f\n  Scenario: s\n"+shopAtRest+steps, nil)
	require.Len(t, v.Results, 1)
	return v.Results[0]
}

func TestAQuestionTurnsRedWhenItsAnswerIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		steps   string
		verdict check.Verdict
		says    string
	}{
		"right":                                 {"    When a customer asks GET /products of version \"v1\"\n    Then the answer is 200 and contains \"price\"\n    And the answer comes within 2 seconds\n", check.Passed, ""},
		"of a version that is not deployed yet": {"    When a customer asks GET /products of version \"v2\"\n    Then the answer is 200\n", check.Passed, ""},
		"500":                                   {"    And version \"v2\" fails 100% of its requests\n    When a customer asks GET /products of version \"v2\"\n    Then the answer is 200\n", check.Failed, "answered 500, expected 200"},
		"wrong":                                 {"    When a customer asks GET /products of version \"v2-forgets-prices\"\n    Then the answer is 200 and contains \"price\"\n", check.Failed, `does not contain "price"`},
		"late":                                  {"    And version \"v2\" answers 900 ms late\n    When a customer asks GET /products of version \"v2\"\n    Then the answer comes within 500 ms\n", check.Failed, "later than 500ms"},
		"never":                                 {"    And version \"v2\" answers 1 minute late\n    When a customer asks GET /products of version \"v2\"\n    Then the answer is 200\n", check.Failed, "no answer within"},
		"does not start":                        {"    And version \"v2\" crashes at start\n    When a customer asks GET /products of version \"v2\"\n    Then the answer is 200\n", check.Failed, "not healthy"},
		"in one sentence":                       {"    And version \"v2\" fails 100% of its requests\n    Then when a customer asks GET /products of version \"v2\", the answer is 200 and contains \"price\"\n", check.Failed, "answered 500"},
		"nothing asked":                         {"    Then the answer is 200\n", check.Inconclusive, "there is no request whose answer could be looked at"},
		"another question":                      {"    When a customer asks GET /products of version \"v1\"\n    Then the number of rows is 1\n", check.Inconclusive, "there is no query whose answer"},
		"query":                                 {"    When the \"database\" is asked \"SELECT 1\"\n    Then the number of rows is 1\n", check.Failed, "the scenario needs the tag"},
		"command":                               {"    When the command [\"/shop\"] runs in the image of version \"v1\"\n    Then the command ends with status 0\n", check.Failed, "the scenario needs the tag"},
	} {
		t.Run(name, func(t *testing.T) {
			r := scenario(t, c.steps)
			assert.Equal(t, c.verdict, r.Verdict, r.Err)
			if c.says != "" {
				assert.ErrorContains(t, r.Err, c.says)
			}
		})
	}
}

func TestChecksBeforeAReleaseTurnRed(t *testing.T) {
	for name, c := range map[string]struct{ given, then, says string }{
		"one of them":  {"version \"v2\" cannot reach the \"payments\"", "every check before the release passes", "connection to payments: payments refuses connections"},
		"migration":    {"version \"v2\" needs migration \"003\"", "the check \"migrations\" passes", `database is at "002", and v2 needs "003"`},
		"contract":     {"version \"v2\" cannot reach the \"payments\"", "the check \"contract of payments\" passes", "payments refuses connections"},
		"none failed":  {"version \"v2\" fails 50% of its requests", "the check \"migrations\" fails", `the check "migrations" passed, and should have failed`},
		"rollback":     {"version \"v1\" crashes at start", "the check \"rollback artefact\" passes", "a replica of v1 did not become healthy"},
		"red alarm":    {"version \"v1\" has been failing 5% of its requests until the alarm \"shop-5xx-rate\" went off", "the check \"alarms\" passes", `"shop-5xx-rate" is red already`},
		"before it is": {"version \"v2\" fails 50% of its requests", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.then == "" {
				r := scenario(t, "    Then every check before the release passes\n")
				assert.True(t, r.Input)
				assert.ErrorContains(t, r.Err, "nothing was checked")
				return
			}
			r := scenario(t, "    And "+c.given+"\n    When version \"v2\" is checked before its release\n    Then "+c.then+"\n")
			assert.Equal(t, check.Failed, r.Verdict, r.Err)
			assert.ErrorContains(t, r.Err, c.says)
		})
	}
}

func TestASlowerVersionIsCaughtByNoAlarmAndByTheComparison(t *testing.T) {
	const slower = "    And version \"v2\" answers 2 ms late\n    When \"v2\" is released as the \"canary\" plan says\n    Then the release succeeds\n    And no alarm goes off\n"
	r := scenario(t, slower)
	require.Equal(t, check.Passed, r.Verdict, r.Err)
	r = scenario(t, slower+"    And version \"v2\" answers as fast as \"v1\" (a slowdown above 10% would be noticed)\n")
	assert.Equal(t, check.Failed, r.Verdict)
	assert.ErrorContains(t, r.Err, "slower by more than 10 %")
}

func TestSmokeAtAShiftTakesTheReleaseBack(t *testing.T) {
	r := scenario(t, "    And version \"v2\" loses the \"payments\" 290 seconds after it takes traffic\n    When \"v2\" is released as the team's plan says\n"+
		"    Then the release is rolled back because of the check after it\n")
	assert.Equal(t, check.Failed, r.Verdict)
	assert.ErrorContains(t, r.Err, "because of check at a shift, not post-release check")
}

func TestEveryCheckBeforeAReleaseIsToldWithItsReason(t *testing.T) {
	run := func(t *testing.T, change func(*CheckRun)) (string, int, error) {
		c := &CheckRun{Rehearsal: Rehearsal{Project: shop(t), Stages: []string{Simulated}, Seed: 1}, Version: "v2"}
		out := ""
		c.Tell = func(one Checked) { out += one.Line() + "\n" }
		change(c)
		status, err := c.Check(t.Context())
		return out, status, err
	}
	out, status, err := run(t, func(*CheckRun) {})
	require.NoError(t, err)
	assert.Equal(t, ExitVerified, status, out)
	assert.Contains(t, out, `ok   alarms`)
	assert.Contains(t, out, `all 5 watched alarms are OK`)

	out, status, err = run(t, func(c *CheckRun) {
		v := c.Project.Setup.Versions["v2"]
		v.Migration = "003"
		c.Project.Setup.Versions["v2"] = v
	})
	require.NoError(t, err)
	assert.Equal(t, ExitBroken, status)
	assert.Contains(t, out, `FAIL migrations`)
	assert.Contains(t, out, `database is at "002", and v2 needs "003"`)

	// Nothing publishes what this alarm looks at: it stays without data.
	out, status, err = run(t, func(c *CheckRun) {
		for i, a := range c.Project.Setup.Alarms {
			if a.AlarmName == "shop-error-logs" {
				c.Project.Setup.Alarms[i].MetricName = "NobodyPublishesThis"
				c.Project.Setup.Alarms[i].TreatMissingData = "missing"
			}
		}
	})
	require.NoError(t, err)
	assert.Equal(t, ExitBroken, status, out)
	assert.Contains(t, out, `"shop-error-logs" has no data: it could not tell whether the new version is bad`)

	for want, change := range map[string]func(*CheckRun){
		`there is no version "v9"`:                     func(c *CheckRun) { c.Version = "v9" },
		"which version is to be released? Name one of": func(c *CheckRun) { c.Version = "" },
		`"v1" serves already`:                          func(c *CheckRun) { c.Version = "v1" },
		"which version serves now?":                    func(c *CheckRun) { delete(c.Project.Setup.Versions, "v1") },
	} {
		_, status, err := run(t, change)
		var input *InputError
		require.ErrorAs(t, err, &input)
		assert.Equal(t, ExitInput, status)
		assert.ErrorContains(t, err, want)
	}
	_, status, err = run(t, func(c *CheckRun) {
		v := c.Project.Setup.Versions["v1"]
		v.Simulated = []stage.Failure{{Kind: stage.CrashAtStart, Version: "v1"}}
		c.Project.Setup.Versions["v1"] = v
	})
	require.Error(t, err)
	assert.Equal(t, ExitInconclusive, status, "what serves does not even start")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c := &CheckRun{Rehearsal: Rehearsal{Project: shop(t), Stages: []string{Simulated}}, Version: "v2"}
	status, err = c.Check(ended)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, ExitInconclusive, status)
}

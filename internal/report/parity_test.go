package report_test

import (
	"bytes"
	"encoding/xml"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/lang"
	"rehearsal/internal/parity"
	"rehearsal/internal/report"
)

func waiver(what string) parity.Waiver {
	return parity.Waiver{What: what, Reason: "the machine has no more", Owner: "the team", Expires: parity.Date{Year: 2027, Month: time.December, Day: 31}, File: "waivers.yaml", Line: 3}
}

func differences() *parity.Ledger {
	w := waiver("shop cpu")
	return &parity.Ledger{
		Staging: "compose.yaml", Production: "production.json", Same: 9,
		Differences: []parity.Difference{
			{Service: "alarms", Field: "errors.Threshold", Staging: "1", Production: "2.5", Weakens: []string{"A", "B", "C", "D", "E"}},
			{Service: "shop", Field: "image", Staging: "shop:v1", Production: "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/shop:v1", Standing: parity.Unknown, Why: "it cannot be told", Everything: true},
			{Service: "shop", Field: "environment.PAYMENTS_URL", Staging: "http://payments:8080", Production: "http://payments.internal:8080", Standing: parity.Harmless, Why: "its own"},
			{Service: "shop", Field: "cpu", Production: "0.25 vCPU", Standing: parity.Waived, Why: w.Reason, Waiver: &w, Weakens: []string{"応答が遅い版"}},
			{Service: "shop", Field: "user", Production: "1000"},
		},
		Expired:  []parity.Waiver{waiver("shop user")},
		Stale:    []parity.Waiver{waiver("shop memory")},
		Warnings: []string{"shop environment.KEY: the staging copy holds production's own secret"},
		Notes:    []string{"alarms: no export"},
	}
}

func TestALedgerForPeople(t *testing.T) {
	var b bytes.Buffer
	report.Parity(&b, lang.English, differences())
	fits(t, b.String())
	assert.Equal(t, `The staging copy (compose.yaml) beside production (production.json)

alarms                                staging              production
  OPEN     errors.Threshold           1                    2.5
           weakens: A; B; C; and 2 more

shop                                  staging              production
  unknown  image
           staging     shop:v1
           production  123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/shop:v1
           it cannot be told
           weakens every scenario
  harmless environment.PAYMENTS_URL
           staging     http://payments:8080
           production  http://payments.internal:8080
           its own
  waived   cpu                        -                    0.25 vCPU
           the machine has no more
           waived by the team until 2027-12-31 (waivers.yaml:3)
           weakens: 応答が遅い版
  OPEN     user                       -                    1000
           weakens no scenario that was selected

EXPIRED on 2027-12-31: the waiver of "shop user", of the team (waivers.yaml:3):
  renew it with its reason, or mend the difference
WARNING: the waiver of "shop memory" (waivers.yaml:3) matches no difference that
  needs it any more: delete it
WARNING: shop environment.KEY: the staging copy holds production's own secret
not compared: alarms: no export
9 the same, 1 harmless, 1 waived, 2 open, 1 unknown, 1 expired
NOT LIKE PRODUCTION: mend what is open, or waive it (reason, owner, expiry)
`, b.String())
}

func TestAWaiverOfOtherValuesIsTold(t *testing.T) {
	var b bytes.Buffer
	l := differences()
	l.Stale = []parity.Waiver{waiver("shop user")}
	report.Parity(&b, lang.English, l)
	fits(t, b.String())
	assert.Contains(t, b.String(), "WARNING: the waiver of \"shop user\" (waivers.yaml:3) is for other values than\n  there are now: decide again\n")
}

func TestTheLastLineOfALedger(t *testing.T) {
	for want, d := range map[string]parity.Difference{
		"INCONCLUSIVE": {Standing: parity.Unknown}, "LIKE PRODUCTION, but": {Standing: parity.Waived}, "NOT LIKE PRODUCTION": {Standing: parity.Open},
	} {
		var b bytes.Buffer
		report.Parity(&b, lang.English, &parity.Ledger{Differences: []parity.Difference{d}})
		assert.Contains(t, b.String(), "\n"+want)
	}
}

func TestASummaryTellsWhatIsNotLikeProduction(t *testing.T) {
	got := summary(report.Run{Parity: differences(), Status: 1, Scenarios: []report.Scenario{{Stage: "simulated", Name: "A"}}})
	fits(t, got)
	assert.Equal(t, `
NOT LIKE PRODUCTION: alarms errors.Threshold
  staging 1, production 2.5
  weakens: A; B; C; and 2 more

NOT LIKE PRODUCTION: shop user
  staging (not set), production 1000
  weakens no scenario that was selected

EXPIRED on 2027-12-31: the waiver of "shop user", of the team (waivers.yaml:3)

CANNOT BE COMPARED with production: shop image
  it cannot be told
  weakens every scenario

WARNING: the waiver of "shop memory" (waivers.yaml:3) matches no difference that
  needs it any more: delete it
WARNING: shop environment.KEY: the staging copy holds production's own secret

Waived differences from production, and what they weaken (rehearse parity says
  more): shop cpu (1 scenario)

simulated   1 passed, 0 failed, 0 inconclusive
parity      9 the same, 1 harmless, 1 waived, 2 open, 1 unknown, 1 expired
BROKEN: a promise was broken, do not release (0s, seed 0)
`, got)
	got = summary(report.Run{NotCompared: "parity with production was not checked: x"})
	assert.Contains(t, got, "\nparity with production was not checked: x\n")
}

func TestALedgerAsJUnit(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, report.ParityJUnit(&b, differences()))
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name             string    `xml:"name,attr"`
			Failure, Skipped *struct{} `xml:"-"`
		} `xml:"testcase"`
	}
	require.NoError(t, xml.Unmarshal(b.Bytes(), &suite))
	assert.Equal(t, []int{6, 3, 1}, []int{suite.Tests, suite.Failures, suite.Skipped})
	assert.Len(t, suite.Cases, 6)
	assert.Contains(t, b.String(), `<failure message="staging 1, production 2.5; weakens: A; B; C; and 2 more">`)

	b.Reset()
	require.NoError(t, report.ParityJUnit(&b, &parity.Ledger{Same: 4}))
	assert.Contains(t, b.String(), `tests="1"`)
	assert.Contains(t, b.String(), "4 fields are the same")
}

// Whatever stands in a description, the table has no control characters and JUnit is
// XML.
func TestALedgerOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &parity.Ledger{Differences: []parity.Difference{{
			Service: rapid.String().Draw(t, "service"), Field: rapid.String().Draw(t, "field"),
			Staging: rapid.String().Draw(t, "staging"), Production: rapid.String().Draw(t, "production"), Why: rapid.String().Draw(t, "why"),
		}}}
		var b bytes.Buffer
		report.Parity(&b, lang.English, l)
		for _, r := range b.String() {
			require.True(t, r == '\n' || r >= ' ' && (r < 0x7f || r > 0x9f), "%q", b.String())
		}
		b.Reset()
		require.NoError(t, report.ParityJUnit(&b, l))
		require.NoError(t, xml.Unmarshal(b.Bytes(), &struct{}{}))
	})
}

package check_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/check"
)

func TestMeasure(t *testing.T) {
	m := check.Measure(badRelease(15*mins).History, "v2")
	assert.Equal(t, check.Measures{Detect: 3 * mins, Restore: 3*mins + 20*sec, Requests: 120000, Failed: 2000, Alarm: "errors"}, m)
	assert.InDelta(t, 1.667, m.FailedShare(), 0.001)

	m = check.Measure(badRelease(11*mins).History, "v2")
	assert.Equal(t, check.Never, m.Restore, "not watched for long enough")

	good := steady().at(6*mins).deploy("v2").shift(canary).at(9*mins).serve("v1", 6*mins, 900, 0).serve("v2", 6*mins, 100, 0)
	assert.Equal(t, check.Measures{Detect: check.Never, Restore: check.Never, Requests: 1000}, check.Measure(good.History, "v2"))

	never := steady().at(9*mins).serve("v1", 5*mins, 900, 9).red("errors")
	assert.Equal(t, check.Measures{Detect: check.Never, Restore: check.Never, Requests: 900, Failed: 9}, check.Measure(never.History, "v2"), "nobody was exposed")
	assert.Equal(t, check.Measures{Detect: check.Never, Restore: check.Never}, check.Measure(newPast().History, ""))
	assert.Zero(t, check.Measures{}.FailedShare())
}

func TestCompare(t *testing.T) {
	some := check.Measures{Detect: 3 * mins, Restore: 4 * mins, Requests: 1000, Failed: 30}
	with := func(change func(*check.Measures)) check.Measures {
		m := some
		change(&m)
		return m
	}
	for _, c := range []struct {
		name      string
		measured  check.Measures
		tolerance check.Tolerance
		apart     string // the one that is apart; "" is none
		detail    string
	}{
		{"the same", some, check.Tolerance{}, "", ""},
		{"just inside", with(func(m *check.Measures) { m.Detect, m.Restore, m.Failed = 4*mins, 3*mins, 50 }), check.Tolerance{}, "", ""},
		{"detected later", with(func(m *check.Measures) { m.Detect = 4*mins + sec }), check.Tolerance{}, "time to detect", "predicted 3m0s, measured 4m1s: further apart than 1m0s"},
		{"detected earlier", with(func(m *check.Measures) { m.Detect = 2*mins - sec }), check.Tolerance{}, "time to detect", "measured 1m59s"},
		{"never detected", with(func(m *check.Measures) { m.Detect = check.Never }), check.Tolerance{Detect: time.Hour}, "time to detect", "predicted 3m0s, measured never"},
		{"detected at once, not never", with(func(m *check.Measures) { m.Detect = 0 }), check.Tolerance{Detect: time.Hour}, "", ""},
		{"restored later", with(func(m *check.Measures) { m.Restore = 6 * mins }), check.Tolerance{Restore: mins}, "time to restore", "predicted 4m0s, measured 6m0s: further apart than 1m0s"},
		{"within a tolerance of its own", with(func(m *check.Measures) { m.Restore = 6 * mins }), check.Tolerance{Restore: 2 * mins}, "", ""},
		{"never restored", with(func(m *check.Measures) { m.Restore = check.Never }), check.Tolerance{}, "time to restore", "measured never"},
		{"more failed", with(func(m *check.Measures) { m.Failed = 51 }), check.Tolerance{}, "failed requests", "predicted 3.00 % of 1000, measured 5.10 % of 1000: further apart than 2 % of the requests"},
		{"fewer failed", with(func(m *check.Measures) { m.Failed = 9 }), check.Tolerance{}, "failed requests", "measured 0.90 %"},
		{"a longer run, the same failures", with(func(m *check.Measures) { m.Requests = 100_000 }), check.Tolerance{}, "", ""},
		{"a longer run, more failures", with(func(m *check.Measures) { m.Requests, m.Failed = 100_000, 3000 }), check.Tolerance{}, "failed requests", "measured 3.00 % of 100000"},
		{"no requests at all", with(func(m *check.Measures) { m.Requests, m.Failed = 0, 0 }), check.Tolerance{}, "failed requests", "measured 0.00 % of 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			findings := check.Compare(some, c.measured, c.tolerance)
			require.Len(t, findings, 3)
			for _, f := range findings {
				if f.Check == c.apart {
					verdict(t, f, check.Failed, c.detail)
					continue
				}
				verdict(t, f, check.Passed, "predicted ")
			}
		})
	}
	never := check.Measures{Detect: check.Never, Restore: check.Never, Requests: 10}
	for _, f := range check.Compare(never, never, check.Tolerance{}) {
		verdict(t, f, check.Passed, "predicted ")
	}
	verdict(t, check.Compare(never, never, check.Tolerance{})[0], check.Passed, "predicted never, measured never")
	verdict(t, check.Compare(never, some, check.Tolerance{})[0], check.Failed, "predicted never, measured 3m0s: further apart than 1m0s")
}

// Who is compared with whom makes no difference, and a wider tolerance never makes
// a finding worse.
func TestComparingIsSymmetric(t *testing.T) {
	measures := func(t *rapid.T, name string) check.Measures {
		when := func(what string) time.Duration {
			if rapid.Bool().Draw(t, name+" never "+what) {
				return check.Never
			}
			return time.Duration(rapid.IntRange(0, 600).Draw(t, name+" "+what)) * sec
		}
		requests := rapid.Int64Range(1, 1000).Draw(t, name+" requests")
		return check.Measures{Detect: when("detect"), Restore: when("restore"), Requests: requests, Failed: rapid.Int64Range(0, requests).Draw(t, name+" failed")}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := measures(t, "a"), measures(t, "b")
		one := check.Tolerance{Detect: time.Duration(rapid.IntRange(1, 600).Draw(t, "tolerance")) * sec, Restore: mins, Failed: 1}
		wide := check.Tolerance{Detect: 2 * one.Detect, Restore: 2 * one.Restore, Failed: 2 * one.Failed}
		there, back, wider := check.Compare(a, b, one), check.Compare(b, a, one), check.Compare(a, b, wide)
		for i := range there {
			require.Equal(t, there[i].Verdict, back[i].Verdict)
			require.LessOrEqual(t, wider[i].Verdict, there[i].Verdict)
			require.Equal(t, check.Passed, check.Compare(a, a, one)[i].Verdict)
		}
	})
}

func TestVerdictsAsReportsHaveThem(t *testing.T) {
	data, err := json.Marshal([]check.Finding{
		{Check: "a", Verdict: check.Passed, Detail: "yes"}, {Check: "b", Verdict: check.Failed}, {Check: "c", Verdict: check.Inconclusive},
	})
	require.NoError(t, err)
	assert.JSONEq(t, `[{"check":"a","verdict":"passed","detail":"yes"},{"check":"b","verdict":"failed","detail":""},{"check":"c","verdict":"inconclusive","detail":""}]`, string(data))
	assert.Panics(t, func() { _ = check.Verdict(9).String() }, "a closed set")
}

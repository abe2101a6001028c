package check_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/check"
	"rehearsal/internal/stage"
)

func TestExposureIsWhenUsersCanMeetTheFailure(t *testing.T) {
	for _, c := range []struct {
		name string
		h    *past
		at   time.Duration
		ok   bool
	}{
		{"nothing was released", steady(), 0, false},
		{"no failure: from the first share on",
			steady().at(6 * mins).deploy("v2").at(7 * mins).shift(canary).at(8 * mins).shift(onV2), 7 * mins, true},
		{"deployed and never given a share", steady().at(6 * mins).deploy("v2").shift(none), 0, false},
		{"it landed before the first share",
			steady().inject(errorsOfV2).at(6 * mins).deploy("v2").land(errorsOfV2).at(7 * mins).shift(canary), 7 * mins, true},
		{"it landed after the first share",
			steady().at(6 * mins).deploy("v2").shift(canary).at(7 * mins).inject(errorsOfV2).at(8 * mins).land(errorsOfV2), 8 * mins, true},
		{"it landed when the version had no share any more",
			steady().at(6 * mins).deploy("v2").shift(canary).at(7 * mins).shift(none).at(8 * mins).inject(errorsOfV2).land(errorsOfV2), 0, false},
		{"and came back to it",
			steady().at(6 * mins).deploy("v2").shift(canary).at(7 * mins).shift(none).inject(errorsOfV2).land(errorsOfV2).at(9 * mins).shift(canary), 9 * mins, true},
		{"it was injected and there is no proof that it landed",
			steady().inject(errorsOfV2).at(6 * mins).deploy("v2").shift(canary), 0, false},
		{"it was healed before the first share",
			steady().inject(errorsOfV2).land(errorsOfV2).at(6 * mins).heal(errorsOfV2).deploy("v2").at(7 * mins).shift(canary), 0, false},
		{"one was healed, another is there",
			steady().inject(errorsOfV2).land(errorsOfV2).heal(errorsOfV2).inject(noPayments).land(noPayments).at(7 * mins).deploy("v2").shift(canary), 7 * mins, true},
		{"a failure of every version",
			steady().at(6 * mins).deploy("v2").shift(canary).at(7 * mins).inject(noPayments).land(noPayments), 7 * mins, true},
		{"a failure of another version is not this one's",
			steady().inject(errorsOfV1).land(errorsOfV1).at(6 * mins).deploy("v2").at(7 * mins).shift(canary), 7 * mins, true},
		{"it lands again and again: the first time counts",
			steady().at(6 * mins).deploy("v2").shift(canary).inject(errorsOfV2).at(7 * mins).land(errorsOfV2).at(8 * mins).land(errorsOfV2), 7 * mins, true},
	} {
		at, ok := check.Exposure(c.h.History, "v2")
		assert.Equal(t, c.ok, ok, c.name)
		if c.ok {
			assert.Equal(t, c.at, at, c.name)
		}
	}
}

func TestTheFirstAlarmThatGoesOff(t *testing.T) {
	h := steady().at(6 * mins).red("latency").at(7 * mins).green("latency").at(8 * mins).red("errors").at(9 * mins).red("latency").History
	for _, c := range []struct {
		since time.Duration
		names []string
		want  check.Detection
		ok    bool
	}{
		{0, nil, check.Detection{Alarm: "latency", At: 6 * mins}, true},
		{6 * mins, nil, check.Detection{Alarm: "latency", At: 6 * mins}, true},
		{6*mins + 1, nil, check.Detection{Alarm: "errors", At: 8 * mins}, true},
		{6*mins + 1, []string{"latency"}, check.Detection{Alarm: "latency", At: 9 * mins}, true},
		{0, []string{"errors", "hosts"}, check.Detection{Alarm: "errors", At: 8 * mins}, true},
		{0, []string{"hosts"}, check.Detection{}, false},
		{10 * mins, nil, check.Detection{}, false},
	} {
		got, ok := check.Detected(h, c.since, c.names...)
		assert.Equal(t, c.ok, ok, "%v", c)
		assert.Equal(t, c.want, got, "%v", c)
	}
}

// verdict holds that f is as it should be and says so.
func verdict(t *testing.T, f check.Finding, want check.Verdict, detail string) {
	t.Helper()
	assert.Equal(t, want, f.Verdict, "%s: %s", f.Check, f.Detail)
	assert.Contains(t, f.Detail, detail)
	if want == check.Passed {
		assert.NoError(t, f.Err())
		return
	}
	var broken *check.Broken
	require.ErrorAs(t, f.Err(), &broken)
	assert.Equal(t, want, broken.Verdict)
	assert.EqualError(t, f.Err(), f.Detail)
}

func TestDetectedWithin(t *testing.T) {
	bad := badRelease(15 * mins).History // exposure at 7 minutes, "errors" at 10
	verdict(t, check.DetectedWithin(bad, "v2", "errors", 4*mins), check.Passed, `the alarm "errors" went off 3m0s after exposure`)
	verdict(t, check.DetectedWithin(bad, "v2", "errors", 3*mins), check.Passed, "3m0s after exposure")
	verdict(t, check.DetectedWithin(bad, "v2", "errors", 3*mins-sec), check.Failed, `the alarm "errors" went off 3m0s after exposure: more than 2m59s`)
	verdict(t, check.DetectedWithin(bad, "v2", "latency", 4*mins), check.Failed,
		`the alarm "latency" never went off after exposure at 7m0s; these did: errors`)
	verdict(t, check.DetectedWithin(bad, "v3", "errors", 4*mins), check.Failed, `the users were never exposed to what is wrong with "v3"`)
	assert.Equal(t, `alarm "errors" within 4m0s of exposure`, check.DetectedWithin(bad, "v2", "errors", 4*mins).Check)

	silent := steady().at(6 * mins).deploy("v2").shift(canary).inject(errorsOfV2).land(errorsOfV2).at(20 * mins)
	verdict(t, check.DetectedWithin(silent.History, "v2", "errors", 4*mins), check.Failed, "no alarm went off after exposure at 6m0s: the failure went undetected")

	early := steady().red("errors").at(6 * mins).deploy("v2").shift(canary).inject(errorsOfV2).land(errorsOfV2).at(20 * mins)
	verdict(t, check.DetectedWithin(early.History, "v2", "errors", 4*mins), check.Failed, "undetected")

	knownBad := steady().at(6 * mins).deploy("v2").shift(canary).at(9 * mins).red("errors")
	verdict(t, check.DetectedWithin(knownBad.History, "v2", "errors", 3*mins), check.Passed, "3m0s after exposure")

	twice := steady().at(6 * mins).deploy("v2").shift(canary).at(7 * mins).red("latency").green("latency").red("latency").red("hosts")
	verdict(t, check.DetectedWithin(twice.History, "v2", "errors", 3*mins), check.Failed, "these did: latency, hosts")
}

func TestSilent(t *testing.T) {
	h := steady().at(6 * mins).red("errors").History
	verdict(t, check.Silent(steady().History), check.Passed, "silent")
	verdict(t, check.Silent(h), check.Failed, `the alarm "errors" went off at 6m0s: 3 out of 5 datapoints`)
	verdict(t, check.Silent(h, "errors"), check.Failed, `the alarm "errors" went off at 6m0s`)
	verdict(t, check.Silent(h, "latency", "hosts"), check.Passed, "silent")
	assert.Equal(t, "alarm latency, hosts stays silent", check.Silent(h, "latency", "hosts").Check)
	verdict(t, check.Silent(steady().green("errors").History), check.Passed, "silent")
}

func TestUndetected(t *testing.T) {
	unseen := func() *past {
		return steady().at(6 * mins).deploy("v2").shift(canary).inject(errorsOfV2).land(errorsOfV2)
	}
	verdict(t, check.Undetected(unseen().at(7*mins).serve("v2", 6*mins, 100, 3).History, "v2"), check.Passed,
		`undetected: 3 requests of "v2" failed and no alarm went off`)
	verdict(t, check.Undetected(unseen().at(7*mins).serve("v2", 6*mins, 100, 3).red("errors").History, "v2"), check.Failed,
		`it was detected: the alarm "errors" went off 1m0s after exposure`)
	verdict(t, check.Undetected(unseen().at(7*mins).serve("v2", 6*mins, 100, 0).serve("v1", 6*mins, 900, 5).History, "v2"), check.Failed,
		`no request of "v2" failed after exposure: there was nothing to detect`)
	verdict(t, check.Undetected(steady().History, "v2"), check.Failed, "never exposed")
}

func TestBackWithin(t *testing.T) {
	bad := badRelease(15 * mins).History // "errors" at 10 minutes, everyone back 20 s later
	verdict(t, check.BackWithin(bad, "v2", "v1", 30*sec), check.Passed, `everyone was back on "v1" 20s after the alarm "errors"`)
	verdict(t, check.BackWithin(bad, "v2", "v1", 20*sec), check.Passed, "20s after")
	verdict(t, check.BackWithin(bad, "v2", "v1", 19*sec), check.Failed, `everyone was back on "v1" 20s after the alarm "errors": more than 19s`)

	released := func() *past { return steady().at(6 * mins).deploy("v2").shift(canary) }
	verdict(t, check.BackWithin(released().at(20*mins).History, "v2", "v1", mins), check.Failed,
		`nothing called for a rollback of "v2"`)
	verdict(t, check.BackWithin(released().decide(true, "go on").at(20*mins).decide(true, "released").shift(onV2).History, "v2", "v1", mins), check.Failed,
		"nothing called for a rollback")
	verdict(t, check.BackWithin(released().at(8*mins).red("errors").at(20*mins).History, "v2", "v1", mins), check.Failed,
		`not everyone is back on "v1": the shares are v1 90 %, v2 10 %`)

	byDecision := released().decide(true, "go on: nothing wrong").at(8*mins).decide(false, "roll back: by hand").
		at(8*mins + 5*sec).shift(none).at(9 * mins).red("errors")
	verdict(t, check.BackWithin(byDecision.History, "v2", "v1", 5*sec), check.Passed, `5s after the decision to go back`)
	verdict(t, check.BackWithin(byDecision.History, "v2", "v1", 4*sec), check.Failed, `5s after the decision to go back: more than 4s`)

	beforeUsers := steady().at(6*mins).deploy("v2").decide(false, "roll back: a smoke request failed").at(7 * mins).retire("v2")
	verdict(t, check.BackWithin(beforeUsers.History, "v2", "v1", 0), check.Passed, `everyone was back on "v1" 0s after the decision`)

	relapse := released().at(8 * mins).red("errors").at(8*mins + 10*sec).shift(none).at(9 * mins).shift(canary).at(12 * mins).shift(none)
	verdict(t, check.BackWithin(relapse.History, "v2", "v1", 30*sec), check.Failed, `4m0s after the alarm "errors": more than 30s`)

	partly := released().at(8 * mins).red("errors").at(8*mins + 10*sec).shift(stage.Shares{"v1": 99, "v2": 1}).at(8*mins + 40*sec).shift(none)
	verdict(t, check.BackWithin(partly.History, "v2", "v1", 30*sec), check.Failed, "40s after")
}

// However often traffic goes to and fro, what counts is the last time that everyone
// came back.
func TestBackIsTheLastReturn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := steady().at(6 * mins).deploy("v2").shift(canary).at(8 * mins).red("errors")
		var back time.Duration
		home := false
		for i := range rapid.IntRange(0, 10).Draw(t, "shifts") {
			p.at(8*mins + time.Duration(i+1)*10*sec)
			if rapid.Bool().Draw(t, "home") {
				if !home {
					back = p.now
				}
				home = true
				p.shift(onV1)
				continue
			}
			home = false
			p.shift(canary)
		}
		within := time.Duration(rapid.IntRange(0, 120).Draw(t, "within")) * sec
		f := check.BackWithin(p.History, "v2", "v1", within)
		require.Equal(t, home && back-8*mins <= within, f.Verdict == check.Passed, "%s", f.Detail)
	})
}

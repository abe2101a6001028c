package check_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/check"
	"rehearsal/internal/stage"
)

// rolledBack is what a scenario says of badRelease.
var rolledBack = check.Expected{Alarms: []string{"errors"}, Stable: "v1", New: "v2", RolledBack: true}

func TestNoInvariantIsBrokenByWhatShouldHappen(t *testing.T) {
	bad := func() *past { return badRelease(15 * mins) }
	for name, c := range map[string]struct {
		h *past
		x check.Expected
	}{
		"nothing at all happened":                   {newPast(), check.Expected{}},
		"a bad release that was rolled back":        {bad().audit(40, 0, 0).heal(errorsOfV2).retire("v1").end(), rolledBack},
		"it is still going on":                      {bad(), rolledBack},
		"nothing was written":                       {bad().audit(0, 0, 0).heal(errorsOfV2).end(), rolledBack},
		"a version that nobody could be the last":   {newPast().deploy("v2").shift(onV2), check.Expected{New: "v2", RolledBack: true}},
		"traffic of a version until it was retired": {bad().serve("v2", 10*mins+30*sec, 1, 0), rolledBack},
		"traffic that the balancer could not place": {bad().serve("", 11*mins, 3, 3), rolledBack},
		"a version without any requests":            {bad().serve("v3", 11*mins, 0, 0), rolledBack},
		"the old version is deployed again":         {bad().deploy("v2").serve("v2", 14*mins, 10, 0), rolledBack},
		"a failure of the old version only": {
			steady().at(6*mins).inject(errorsOfV1).land(errorsOfV1).deploy("v2").shift(canary).at(7*mins).serve("v1", 6*mins, 100, 9), check.Expected{Stable: "v1", New: "v2"}},
		"a failure that nobody met": {
			steady().at(6*mins).deploy("v2").shift(canary).inject(errorsOfV2).land(errorsOfV2).at(7*mins).serve("v2", 6*mins, 100, 0), check.Expected{Stable: "v1", New: "v2"}},
		"a failure that no alarm sees, as the scenario says": {
			steady().at(6*mins).deploy("v2").shift(canary).inject(errorsOfV2).land(errorsOfV2).at(7*mins).serve("v2", 6*mins, 100, 9), check.Expected{New: "v2", Undetected: true}},
		"a failure before the release, which was refused": {
			steady().inject(noPayments).land(noPayments).decide(false, "refused").at(7*mins).serve("v1", 5*mins, 100, 9), check.Expected{Stable: "v1", New: "v2"}},
		"a failure that was noticed, and no way back": {
			steady().at(6*mins).deploy("v2").shift(onV2).inject(errorsOfV2).land(errorsOfV2).at(7*mins).serve("v2", 6*mins, 100, 9).
				decide(false, "stuck: the health check failed and no version was ever good"), check.Expected{New: "v2"}},
	} {
		assert.Empty(t, check.Invariants(c.h.History, c.x), name)
	}
}

func TestEachInvariantCanBeBroken(t *testing.T) {
	release := func() *past { return steady().at(6 * mins).deploy("v2").shift(canary).inject(errorsOfV2) }
	for _, c := range []struct {
		name   string
		h      *past
		x      check.Expected
		check  string
		detail string
	}{
		{"shares of 120 %", steady().deploy("v2").shift(stage.Shares{"v1": 90, "v2": 30}), check.Expected{},
			"shares sum to 100 %", "at 5m0s: the shares v1 90 %, v2 30 % add up to 120 %"},
		{"shares of nobody", steady().shift(stage.Shares{}), check.Expected{},
			"shares sum to 100 %", "at 5m0s: no version has a share"},
		{"a share for who was not deployed", steady().shift(canary), check.Expected{},
			"only a deployed version gets traffic", `"v2" got 10 % of the traffic at 5m0s and was not deployed`},
		{"a share for who was retired", steady().deploy("v2").retire("v2").shift(canary), check.Expected{},
			"only a deployed version gets traffic", `"v2" got 10 % of the traffic at 5m0s and was not deployed`},
		{"answers of who was not deployed", steady().at(6*mins).serve("v2", 5*mins, 7, 0), check.Expected{},
			"only a deployed version gets traffic", `"v2" got 7 requests from 5m0s on and was not deployed`},
		{"answers of who was retired", badRelease(15*mins).serve("v2", 14*mins, 7, 0), rolledBack,
			"only a deployed version gets traffic", `"v2" got 7 requests from 14m0s on and was not deployed`},
		{"an alarm that nobody mentioned", badRelease(15 * mins).red("latency"), rolledBack,
			"an alarm that the scenario does not mention stays silent", `the alarm "latency" went off at 15m0s, and the scenario does not mention it: 3 out of 5 datapoints`},
		{"a rollback that left somebody behind", badRelease(15 * mins).deploy("v2").shift(canary), rolledBack,
			"after a rollback all traffic is on the stable version", `"v1" does not serve everyone: the shares are v1 90 %, v2 10 %`},
		{"a lost write", badRelease(15*mins).audit(40, 1, 0), rolledBack,
			"no acknowledged write lost or doubled", "1 are lost"},
		{"a doubled write", badRelease(15*mins).audit(40, 0, 1), rolledBack,
			"no acknowledged write lost or doubled", "1 are stored more than once"},
		{"a failure that nobody noticed", release().land(errorsOfV2).at(7*mins).serve("v2", 6*mins, 100, 9).decide(true, "released"), check.Expected{Stable: "v1", New: "v2"},
			"a failure that users met is noticed", "UNDETECTED: v2: errors, 50 % of requests was there, 9 requests failed after exposure at 6m0s, and no alarm went off"},
		{"a decision before users met it does not count", steady().decide(false, "refused").at(6*mins).deploy("v2").shift(canary).inject(errorsOfV2).land(errorsOfV2).
			at(7*mins).serve("v2", 6*mins, 100, 9), check.Expected{Stable: "v1", New: "v2"},
			"a failure that users met is noticed", "UNDETECTED"},
		{"a failure that stays", release().heal(errorsOfV2).inject(errorsOfV1).inject(noPayments).end(), check.Expected{Stable: "v1", New: "v2"},
			"every failure is healed", "never healed: v1: errors, 50 % of requests; dependency down (payments)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := check.Invariants(c.h.History, c.x)
			require.Len(t, broken, 1, "%v", broken)
			assert.Equal(t, c.check, broken[0].Check)
			verdict(t, broken[0], check.Failed, c.detail)
		})
	}
}

func TestEveryBrokenInvariantIsTold(t *testing.T) {
	h := steady().shift(canary).red("latency").audit(10, 1, 1).inject(errorsOfV2).end().History
	assert.Len(t, check.Invariants(h, rolledBack), 5)
}

// Shares that are valid, of versions that run, never break an invariant, whatever
// their order.
func TestAnyOrderlyShiftingBreaksNoInvariant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPast()
		running := []string{"v0"}
		p.deploy("v0").shift(stage.Shares{"v0": 100})
		for i := range rapid.IntRange(0, 20).Draw(t, "steps") {
			from := p.now
			p.at(from + mins)
			for _, v := range running {
				p.serve(v, from, 10, 0)
			}
			if rapid.Bool().Draw(t, "deploy") || len(running) == 1 {
				v := "v" + string(rune('1'+i))
				p.deploy(v)
				running = append(running, v)
				share := rapid.Float64Range(0, 100).Draw(t, "share")
				p.shift(stage.Shares{running[0]: 100 - share, v: share})
				continue
			}
			last := running[len(running)-1]
			running = running[:len(running)-1]
			p.shift(stage.Shares{running[0]: 100}).retire(last)
		}
		require.Empty(t, check.Invariants(p.end().History, check.Expected{}))
	})
}

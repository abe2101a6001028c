package release_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/release"
)

// metric is an alarm of m of n periods of so many seconds.
func metric(name string, m, n, period int) alarm.Alarm {
	return alarm.Alarm{AlarmName: name, Namespace: "AWS/ApplicationELB", MetricName: "TargetResponseTime", ExtendedStatistic: "p99",
		Period: period, EvaluationPeriods: n, DatapointsToAlarm: m, Threshold: 1, ComparisonOperator: "GreaterThanThreshold"}
}

func facts() release.Facts {
	smoke := 2
	return release.Facts{
		Now:          time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC),
		Alarms:       []alarm.Alarm{metric("shop-5xx-rate", 3, 5, 60), metric("shop-p99-latency", 3, 5, 60)},
		Fed:          func(alarm.Alarm) []string { return nil },
		Rate:         200,
		Replicas:     4,
		Dependencies: []string{"database", "payments"},
		Smoke:        &smoke,
	}
}

// family is composite alarms over those of facts.
func family() []alarm.Composite {
	return []alarm.Composite{{AlarmName: "top", AlarmRule: "ALARM(low) OR ALARM(shop-5xx-rate)"}, {AlarmName: "low", AlarmRule: "ALARM(shop-p99-latency)"}}
}

func lint(t *testing.T, text string, f release.Facts) []string {
	t.Helper()
	p, err := release.Parse("release.yaml", []byte(text))
	require.NoError(t, err)
	said := []string{}
	for _, x := range p.Lint(f) {
		said = append(said, x.String())
	}
	return said
}

func TestAGoodPlanHasNoFindings(t *testing.T) {
	assert.Empty(t, lint(t, good, facts()))
	assert.Empty(t, lint(t, good, release.Facts{}), "what is not known is not judged")
	alarms, err := alarm.ParseFile("../../fixtures/alarms.json")
	require.NoError(t, err)
	f := facts()
	f.Alarms = alarms
	f.Replicas = 2
	for _, s := range release.Strategies() {
		p, err := release.ParseFile("../../fixtures/plans/" + string(s) + ".yaml")
		require.NoError(t, err)
		assert.Empty(t, p.Lint(f), s)
	}
}

func TestFindingsInACanary(t *testing.T) {
	for _, c := range []struct {
		from, to string
		facts    func(*release.Facts)
		said     []string
	}{
		{"share: 100%", "share: 90%", nil, []string{
			"release.yaml:5: error: the shares end at 90 %: the release would never end; add a last step {share: 100%, bake: 10m}, say"}},
		{"share: 10%", "share: 100%", nil, []string{
			"release.yaml:5: error: step 2 gives the new version 100 % after 100 %: the shares do not rise; want more than 100 %"}},
		{"bake: 5m", "bake: 3m", nil, []string{
			"release.yaml:4: error: a bake of 3m at 10 % is over before any watched alarm can be trusted to go off: shop-5xx-rate needs up to 4m; want at least 4m"}},
		{"bake: 10m", "bake: 0", nil, []string{
			"release.yaml:5: error: a bake of 0s at 100 % is over before any watched alarm can be trusted to go off: shop-5xx-rate needs up to 4m; want at least 4m"}},
		// One alarm is slower than the others.
		{"bake: 5m", "bake: 5m", func(f *release.Facts) { f.Alarms[1] = metric("shop-p99-latency", 5, 5, 60) }, []string{
			"release.yaml:4: warning: after a bake of 5m, 100 % of the users are on the new version before these alarms can be trusted to go off: shop-p99-latency (up to 6m); want at least 6m"}},
		{"bake: 10m", "bake: 10m", func(f *release.Facts) { f.Alarms[1] = metric("shop-p99-latency", 3, 3, 300) }, []string{
			"release.yaml:4: warning: after a bake of 5m, 100 % of the users are on the new version before these alarms can be trusted to go off: shop-p99-latency (up to 16m); want at least 16m",
			"release.yaml:5: error: the last bake, 10m, is over before these alarms can be trusted to go off: shop-p99-latency (up to 16m); want at least 16m"}},
		{"shop-p99-latency]", "shop-p99-latncy]", nil, []string{
			`release.yaml:6: error: there is no alarm "shop-p99-latncy"; did you mean "shop-p99-latency"?`}},
		{"[shop-5xx-rate, shop-p99-latency]", "\n  - shop-5xx-rate\n  - disk", nil, []string{
			`release.yaml:8: error: there is no alarm "disk"; known: shop-5xx-rate, shop-p99-latency`}},
		{"plan: shop", "plan: shop", func(f *release.Facts) {
			f.Fed = func(a alarm.Alarm) []string {
				if a.AlarmName == "shop-5xx-rate" {
					return []string{"AWS/ApplicationELB RequestCount of app/other"}
				}
				return nil
			}
		}, []string{`release.yaml:6: error: no metric feeds the alarm "shop-5xx-rate": nothing publishes AWS/ApplicationELB RequestCount of app/other; ` +
			`correct the alarm's metric and dimensions, or watch another alarm`}},
		{"[shop-5xx-rate, shop-p99-latency]", "[top]", func(f *release.Facts) { f.Composites = family() }, []string{}},
		{"[shop-5xx-rate, shop-p99-latency]", "[tip]", func(f *release.Facts) { f.Composites = family() }, []string{
			`release.yaml:6: error: there is no alarm "tip"; did you mean "top"?`}},
		{"[shop-5xx-rate, shop-p99-latency]", "[top]", func(f *release.Facts) {
			f.Composites = family()
			f.Fed = func(a alarm.Alarm) []string {
				if a.AlarmName == "shop-5xx-rate" {
					return []string{"AWS/ApplicationELB RequestCount of app/other"}
				}
				return nil
			}
		}, []string{`release.yaml:6: warning: no metric feeds some of the alarms that the composite alarm "top" hangs on: "shop-5xx-rate"; ` +
			`correct their metrics and dimensions, or watch another alarm`}},
		{"[shop-5xx-rate, shop-p99-latency]", "[low]", func(f *release.Facts) {
			f.Composites = family()
			f.Fed = func(alarm.Alarm) []string { return []string{"any"} }
		}, []string{`release.yaml:6: error: no metric feeds all of the alarms that the composite alarm "low" hangs on: "shop-p99-latency"; ` +
			`correct their metrics and dimensions, or watch another alarm`}},
		{"alarms: [shop-5xx-rate, shop-p99-latency]", "alarms: [top]", func(f *release.Facts) {
			f.Rate, f.Composites = 10, family()
			f.Alarms[1].EvaluateLowSampleCountPercentile = "ignore"
		}, []string{
			`release.yaml:6: error: the alarm "shop-p99-latency" never goes off: it ignores periods with fewer than 1,000 samples, and 10 requests per second make 600 in 1m; ` +
				"set the alarm's EvaluateLowSampleCountPercentile to evaluate, or lengthen its period"}},
		{"alarms: [shop-5xx-rate, shop-p99-latency]", "alarms:", nil, []string{
			`release.yaml:6: error: no alarm is watched: a bad version would reach everyone unnoticed; name some, such as "alarms: [shop-5xx-rate]"`}},
		{"alarms: [shop-5xx-rate, shop-p99-latency]\n", "", nil, []string{
			`release.yaml:1: error: no alarm is watched: a bad version would reach everyone unnoticed; name some, such as "alarms: [shop-5xx-rate]"`}},
		{"plan: shop", "plan: shop", func(f *release.Facts) { f.Rate = 1 }, []string{
			"release.yaml:4: warning: at a share of 10 % the new version gets 6 requests in an alarm's period of 1m: too few to tell a bad version from bad luck; want a larger first share"}},
		{"plan: shop", "plan: shop", func(f *release.Facts) {
			f.Rate = 10
			f.Alarms[1].EvaluateLowSampleCountPercentile = "ignore"
		}, []string{
			`release.yaml:6: error: the alarm "shop-p99-latency" never goes off: it ignores periods with fewer than 1,000 samples, and 10 requests per second make 600 in 1m; ` +
				"set the alarm's EvaluateLowSampleCountPercentile to evaluate, or lengthen its period"}},
		{"plan: shop", "plan: shop", func(f *release.Facts) { // the same as a metric of Metrics
			f.Rate = 10
			a := &f.Alarms[1]
			a.EvaluateLowSampleCountPercentile = "ignore"
			a.Metrics = []alarm.MetricDataQuery{{Id: "slow", ReturnData: true, MetricStat: &alarm.MetricStat{
				Metric: alarm.Metric{Namespace: a.Namespace, MetricName: a.MetricName, Dimensions: a.Dimensions}, Period: a.Period, Stat: a.ExtendedStatistic}}}
			a.Namespace, a.MetricName, a.Dimensions, a.Period, a.ExtendedStatistic = "", "", nil, 0, ""
		}, []string{
			`release.yaml:6: error: the alarm "shop-p99-latency" never goes off: it ignores periods with fewer than 1,000 samples, and 10 requests per second make 600 in 1m; ` +
				"set the alarm's EvaluateLowSampleCountPercentile to evaluate, or lengthen its period"}},
		{"connection to database", "connection to databse", nil, []string{
			`release.yaml:8: error: the service has no dependency "databse"; did you mean "database"?`}},
		{"plan: shop", "plan: shop", func(f *release.Facts) { *f.Smoke = 0 }, []string{
			"release.yaml:9: error: there are no smoke requests to send; list some under smoke in rehearsal.yaml, or take this check out",
			"release.yaml:10: error: there are no smoke requests to send; list some under smoke in rehearsal.yaml, or take this check out"}},
		{"to: last good version", "to: nothing", nil, []string{
			`release.yaml:12: error: there is no way back: a bad release would stay as it is; add "to: last good version" to the rollback`}},
		{good[strings.Index(good, "rollback:"):strings.Index(good, "window:")], "", nil, []string{
			`release.yaml:1: error: there is no way back: a bad release would stay as it is; add "to: last good version" to the rollback`}},
		{"[any watched alarm, failed health check, failed check, by hand]", "[by hand]", nil, []string{
			`release.yaml:13: error: there is no way back: nothing takes the release back by itself; add "when: [any watched alarm, failed health check, failed check, by hand]" to the rollback`}},
		{"any watched alarm, ", "", nil, []string{
			`release.yaml:13: warning: "any watched alarm" does not take the release back: it would stop half-way and wait for a person; add "any watched alarm"`}},
		{", failed check", "", nil, []string{
			`release.yaml:13: warning: "failed check" does not take the release back: it would stop half-way and wait for a person; add "failed check"`}},
		{"within: 2m", "within: 20m", nil, []string{
			"release.yaml:14: warning: a rollback may take 20m, longer than the whole release with 15m: users would wait that long; want a rollback that is faster than the release"}},
		{"within: 2m", "within: 15m", nil, []string{}},
		{"  within: 2m\n", "", nil, []string{
			`release.yaml:11: error: nothing says how long a rollback may take: it could not fail; add "within: 2m" to the rollback, say`}},
		{"  decides: on-call release engineer\n", "", nil, []string{
			`release.yaml:11: warning: nobody decides when the release is stuck; add "decides: on-call engineer" to the rollback, say`}},
		{"[Thu, Tuesday, wed]", "[]", nil, []string{
			"release.yaml:17: error: the window never opens: no day is named; name some, such as [Tue, Wed, Thu], or take out days"}},
		{"10:00-16:30", "16:30-10:00", nil, []string{
			`release.yaml:18: error: the window never opens: it would end at 10:00, before it begins at 16:30; want "10:00-16:30", or up to 24:00`}},
		{"10:00-16:30", "10:00-10:00", nil, []string{
			`release.yaml:18: error: the window never opens: it would end at 10:00, as it begins; want "10:00-16:00", say`}},
		{"to: 2027-01-04", "to: 2999-01-04", nil, []string{}},
		{"from: 2026-12-25, to: 2027-01-04", "from: 2025-12-25, to: 2999-01-04", nil, []string{
			"release.yaml:20: error: the window never opens in the two years from 2026-01-05; shorten the freeze, or add days"}},
		{"10:00-16:30", "10:00-10:10", nil, []string{
			"release.yaml:18: warning: the release takes 15m and the window is 10m long: it would end outside of it; want a longer window, or a shorter release"}},
	} {
		t.Run(c.to, func(t *testing.T) {
			f := facts()
			if c.facts != nil {
				c.facts(&f)
			}
			require.Contains(t, good, c.from)
			assert.Equal(t, c.said, lint(t, strings.Replace(good, c.from, c.to, 1), f))
		})
	}
}

func TestFindingsInOtherStrategies(t *testing.T) {
	rest := good[strings.Index(good, "alarms:"):strings.Index(good, "checks:")] + good[strings.Index(good, "rollback:"):strings.Index(good, "window:")]
	for _, c := range []struct {
		plan string
		said []string
	}{
		{"plan: r\nstrategy: rolling\nbatch: 1\nevery: 1m\nbake: 10m\n", []string{
			"release.yaml:4: warning: after a bake of 1m, 50 % of the users are on the new version before these alarms can be trusted to go off: " +
				"shop-5xx-rate (up to 4m), shop-p99-latency (up to 4m); want at least 4m"}},
		{"plan: r\nstrategy: rolling\nbatch: 1\nevery: 5m\nbake: 1m\n", []string{
			"release.yaml:5: error: a bake of 1m at 100 % is over before any watched alarm can be trusted to go off: shop-5xx-rate needs up to 4m; want at least 4m"}},
		{"plan: r\nstrategy: rolling\nbatch: 100%\nevery: 5m\nbake: 10m\n", []string{
			"release.yaml:3: warning: a batch of 100 % is all 4 replicas: that is all at once; want a smaller batch, or strategy blue-green, which keeps the old version"}},
		{"plan: r\nstrategy: rolling\nbatch: 6\nevery: 5m\nbake: 10m\n", []string{
			"release.yaml:3: warning: a batch of 6 is all 4 replicas: that is all at once; want a smaller batch, or strategy blue-green, which keeps the old version",
			"release.yaml:3: warning: a batch of 6 is more than the 4 replicas that there are; want at most 4"}},
		// One finding for all the steps that are written in one line.
		{"plan: l\nstrategy: linear\nstep: 10%\nevery: 1m\nbake: 10m\n", []string{
			"release.yaml:4: error: a bake of 1m at 10 % is over before any watched alarm can be trusted to go off: shop-5xx-rate needs up to 4m; want at least 4m"}},
		{"plan: b\nstrategy: blue-green\nbake: 1m\n", []string{
			"release.yaml:1: warning: everyone is switched to green before anyone has tried it; add \"test: smoke\" to the checks",
			"release.yaml:3: error: a bake of 1m at 100 % is over before any watched alarm can be trusted to go off: shop-5xx-rate needs up to 4m; want at least 4m",
			"release.yaml:8: warning: a rollback may take 2m, longer than the whole release with 1m: users would wait that long; want a rollback that is faster than the release"}},
		{"plan: a\nstrategy: all-at-once\nbake: 4m\n", []string{}},
	} {
		t.Run(c.plan, func(t *testing.T) {
			assert.Equal(t, c.said, lint(t, c.plan+rest, facts()))
		})
	}
}

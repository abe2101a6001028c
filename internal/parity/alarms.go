package parity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rehearsal/internal/alarm"
)

// alarms compares the alarms of the rehearsal with production's, field by field: those
// that decide when an alarm goes off, not whom it calls.
func (c *comparison) alarms() {
	staging, production := byName(c.staging.Alarms), byName(c.production.Alarms)
	for _, a := range c.production.Alarms {
		if staging[a.AlarmName] == nil {
			c.alarm(a.AlarmName, presence, "missing", "there")
		}
	}
	for _, a := range c.staging.Alarms {
		p := production[a.AlarmName]
		if p == nil {
			c.alarm(a.AlarmName, presence, "there", "missing")
			continue
		}
		mine, theirs := alarmFacts(a), alarmFacts(*p)
		for i := range mine {
			if mine[i].value == theirs[i].value {
				c.ledger.Same++
				continue
			}
			c.alarm(a.AlarmName, mine[i].field, mine[i].value, theirs[i].value)
		}
	}
}

func (c *comparison) alarm(name, field, staging, production string) {
	show := func(v string) string { return c.veil.show(field, Fact{Value: v}, v != "") }
	c.add(Difference{Service: "alarms", Field: name + "." + field, Staging: show(staging), Production: show(production), Touches: Touch{TouchAlarm, name}})
}

func byName(all []alarm.Alarm) map[string]*alarm.Alarm {
	out := map[string]*alarm.Alarm{}
	for i := range all {
		out[all[i].AlarmName] = &all[i]
	}
	return out
}

type alarmFact struct{ field, value string }

// alarmFacts are in the same order for every alarm. What AWS leaves out has its default.
func alarmFacts(a alarm.Alarm) []alarmFact {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	return []alarmFact{
		{"Namespace", a.Namespace},
		{"MetricName", a.MetricName},
		{"Dimensions", dimensions(a.Dimensions)},
		{"Statistic", cmp.Or(a.Statistic, a.ExtendedStatistic)},
		{"Period", number(a.Period)},
		{"Unit", a.Unit},
		{"Metrics", queries(a.Metrics)},
		{"EvaluationPeriods", number(a.EvaluationPeriods)},
		{"DatapointsToAlarm", number(cmp.Or(a.DatapointsToAlarm, a.EvaluationPeriods))},
		{"Threshold", strconv.FormatFloat(a.Threshold, 'g', -1, 64)},
		{"ThresholdMetricId", a.ThresholdMetricId},
		{"ComparisonOperator", a.ComparisonOperator},
		{"TreatMissingData", cmp.Or(a.TreatMissingData, "missing")},
		{"EvaluateLowSampleCountPercentile", cmp.Or(a.EvaluateLowSampleCountPercentile, "evaluate")},
		{"ActionsEnabled", strconv.FormatBool(a.ActionsEnabled)},
	}
}

func dimensions(all []alarm.Dimension) string {
	var out []string
	for _, d := range all {
		out = append(out, d.Name+"="+d.Value)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func queries(all []alarm.MetricDataQuery) string {
	var out []string
	for _, q := range all {
		q.Label = "" // for people
		text, err := json.Marshal(q)
		if err != nil {
			text = []byte(fmt.Sprintf("%+v", q))
		}
		out = append(out, string(text))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

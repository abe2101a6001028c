package parity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rehearsal/internal/alarm"
)

// alarms compares the alarms of the rehearsal with production's, field by field: those
// that decide when an alarm goes off and whether it calls anybody, not whom.
func (c *comparison) alarms() {
	staging, production := byName(c.staging.Alarms), byName(c.production.Alarms)
	for _, name := range slices.Sorted(maps.Keys(production)) {
		if staging[name] == nil {
			c.alarm(name, presence, "missing", "there")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(staging)) {
		mine, theirs := staging[name], production[name]
		if theirs == nil {
			c.alarm(name, presence, "there", "missing")
			continue
		}
		fields := maps.Clone(mine)
		maps.Copy(fields, theirs)
		for _, f := range slices.Sorted(maps.Keys(fields)) {
			if mine[f] == theirs[f] {
				c.ledger.Same++
				continue
			}
			c.alarm(name, f, mine[f], theirs[f])
		}
	}
}

func (c *comparison) alarm(name, field, staging, production string) {
	show := func(v string) string { return c.veil.show(field, Fact{Value: v}, v != "") }
	c.add(Difference{Service: "alarms", Field: name + "." + field, Staging: show(staging), Production: show(production), Touches: Touch{TouchAlarm, name}})
}

// byName is the fields of each alarm.
func byName(set *alarm.Set) map[string]map[string]string {
	out := map[string]map[string]string{}
	if set == nil {
		return out
	}
	for _, a := range set.Alarms {
		out[a.AlarmName] = alarmFacts(a)
	}
	for _, a := range set.Composites {
		out[a.AlarmName] = compositeFacts(a)
	}
	return out
}

// alarmFacts are the fields of a metric alarm. What AWS leaves out has its default.
func alarmFacts(a alarm.Alarm) map[string]string {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	return map[string]string{
		"Namespace":                        a.Namespace,
		"MetricName":                       a.MetricName,
		"Dimensions":                       dimensions(a.Dimensions),
		"Statistic":                        cmp.Or(a.Statistic, a.ExtendedStatistic),
		"Period":                           number(a.Period),
		"Unit":                             a.Unit,
		"Metrics":                          queries(a.Metrics),
		"EvaluationPeriods":                number(a.EvaluationPeriods),
		"DatapointsToAlarm":                number(cmp.Or(a.DatapointsToAlarm, a.EvaluationPeriods)),
		"Threshold":                        strconv.FormatFloat(a.Threshold, 'g', -1, 64),
		"ThresholdMetricId":                a.ThresholdMetricId,
		"ComparisonOperator":               a.ComparisonOperator,
		"TreatMissingData":                 cmp.Or(a.TreatMissingData, "missing"),
		"EvaluateLowSampleCountPercentile": cmp.Or(a.EvaluateLowSampleCountPercentile, "evaluate"),
		"ActionsEnabled":                   strconv.FormatBool(a.ActionsEnabled),
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

// compositeFacts are the fields of a composite alarm.
func compositeFacts(a alarm.Composite) map[string]string {
	suppressor := a.ActionsSuppressor
	if i := strings.LastIndex(suppressor, ":alarm:"); i >= 0 { // an ARN is of one account
		suppressor = suppressor[i+len(":alarm:"):]
	}
	facts := map[string]string{
		"AlarmRule":         strings.Join(strings.Fields(a.AlarmRule), " "),
		"ActionsEnabled":    strconv.FormatBool(a.ActionsEnabled),
		"ActionsSuppressor": suppressor,
	}
	if suppressor != "" {
		facts["ActionsSuppressorWaitPeriod"] = strconv.Itoa(a.ActionsSuppressorWaitPeriod)
		facts["ActionsSuppressorExtensionPeriod"] = strconv.Itoa(a.ActionsSuppressorExtensionPeriod)
	}
	return facts
}

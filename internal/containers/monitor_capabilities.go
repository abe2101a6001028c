package containers

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// A capability is something that an alarm may need of the CloudWatch that judges it.
type capability uint8

const (
	metricMath      capability = iota // alarms of metric queries
	percentiles                       // and trimmed means and their like
	promptness                        // every alarm evaluated each minute, not once in all of its periods
	unitsApart                        // data of another unit kept apart
	filterPatterns                    // metric filters count only the lines that match
	filterValues                      // metric filters take values out of lines
	groupsApart                       // metric filters look only at their own log group
	dimensionsApart                   // a metric is only that of exactly its dimensions
	composites                        // rules over other alarms
	otherAccounts                     // metrics of other accounts
	metricSearch                      // namespaces in the text of an expression
	anomalyBands                      // thresholds learned from weeks of data
	capabilities                      // how many there are
)

func (c capability) String() string {
	switch c {
	case metricMath:
		return "metric math"
	case percentiles:
		return "percentiles, trimmed means"
	case promptness:
		return "several evaluation periods, evaluated each minute"
	case unitsApart:
		return "units"
	case filterPatterns:
		return "log filter patterns"
	case filterValues:
		return "metric values out of log lines"
	case groupsApart:
		return "filters of several log groups"
	case dimensionsApart:
		return "one metric by few and by many dimensions"
	case composites:
		return "composite alarms"
	case otherAccounts:
		return "metrics of other accounts"
	case metricSearch:
		return "SEARCH and SELECT in expressions"
	case anomalyBands:
		return "anomaly detection bands"
	}
	panic(fmt.Sprintf("containers: unknown capability %d", uint8(c)))
}

// cannot is what each CloudWatch cannot do, and why, as the end of a sentence. What is
// not here it can. Those of LocalStack 4 are read off its alarm scheduler, its metric
// database and its logs provider; those of AWS come of a rehearsal's data being new
// there, and under names of its own.
var cannot = map[string]map[capability]string{
	CloudWatchEmbedded: {
		otherAccounts: "the embedded CloudWatch is one account",
		metricSearch:  "the embedded CloudWatch evaluates neither",
		anomalyBands:  "the embedded CloudWatch learns none",
	},
	CloudWatchLocalStack: {
		metricMath:      "LocalStack never evaluates those",
		percentiles:     "LocalStack never evaluates percentiles and their like",
		promptness:      "LocalStack looks at it only once in all of them together",
		unitsApart:      "LocalStack does not look at units",
		filterPatterns:  "in LocalStack every line of a log matches every pattern",
		filterValues:    "LocalStack takes only numbers",
		groupsApart:     "LocalStack filters the lines of every log group",
		dimensionsApart: "LocalStack adds that to it",
		composites:      "LocalStack evaluates only the simplest of their rules",
		otherAccounts:   "LocalStack never evaluates metric queries",
		metricSearch:    "LocalStack never evaluates metric queries",
		anomalyBands:    "LocalStack never evaluates metric queries",
	},
	CloudWatchAWS: {
		otherAccounts: "a rehearsal publishes to one account",
		metricSearch:  "the namespaces in its text are production's, while a rehearsal publishes under its own",
		anomalyBands:  "AWS learns them from weeks of data, of which a rehearsal has none",
	},
}

// A need is a capability that an alarm needs, and what for: a clause to which the
// reason why it is not to be had can be added.
type need struct {
	capability
	what string
}

// needs is what an alarm of the setup needs that not every CloudWatch can.
func needs(s *stage.Setup, a *alarm.Alarm) (all []need) {
	add := func(c capability, format string, args ...any) {
		all = append(all, need{c, fmt.Sprintf(format, args...)})
	}
	if a.ThresholdMetricId != "" {
		add(anomalyBands, "its threshold is an anomaly detection band")
	}
	for _, q := range a.Metrics {
		if q.AccountId != "" {
			add(otherAccounts, "it reads a metric of the account %s", q.AccountId)
		}
		if text := strings.ToUpper(strings.TrimSpace(q.Expression)); strings.Contains(text, "SEARCH(") || strings.HasPrefix(text, "SELECT") {
			add(metricSearch, "its expression %s finds metrics by text", q.Id)
		}
	}
	if len(a.Metrics) > 0 {
		add(metricMath, "it is made of metric queries (metric math)")
	}
	if a.ExtendedStatistic != "" {
		add(percentiles, "its statistic is %s", a.ExtendedStatistic)
	}
	if a.Unit != "" && slices.ContainsFunc(publishedUnits(s, a), func(unit string) bool { return unit != a.Unit }) {
		add(unitsApart, "its unit is %s", a.Unit)
	}
	for _, f := range s.Monitoring.Filters {
		if f.Namespace != a.Namespace || f.Metric != a.MetricName {
			continue
		}
		if f.Pattern != "" {
			add(filterPatterns, "the metric filter %q feeds it", f.Name)
		}
		if _, err := strconv.ParseFloat(f.Value, 64); err != nil {
			add(filterValues, "the metric filter %q feeds it with %s", f.Name, f.Value)
		}
		if f.LogGroup != s.Monitoring.LogGroup {
			add(groupsApart, "the metric filter %q of %s feeds it", f.Name, f.LogGroup)
		}
	}
	for _, m := range watchedMetrics(s.Alarms) {
		if a.MetricName != "" && m.Namespace == a.Namespace && m.MetricName == a.MetricName && moreDimensions(m.Dimensions, a.Dimensions) {
			add(dimensionsApart, "another alarm watches %s by more dimensions", a.MetricName)
			break
		}
	}
	if a.EvaluationPeriods > 1 {
		add(promptness, "it looks at %d periods of %s", a.EvaluationPeriods, time.Duration(a.Period)*time.Second)
	}
	return all
}

// An UnjudgedError is the alarms that a CloudWatch cannot judge as production's does.
// Nothing may be concluded from a rehearsal with it, whatever it finds: an alarm that
// stays silent may only not have been looked at. The error is a stage.ErrLost.
type UnjudgedError struct {
	By     string
	Of     int      // how many alarms there are
	Alarms []string // by name, each with the reason
	Remedy string
}

func (e *UnjudgedError) Error() string {
	return fmt.Sprintf("%s cannot judge %d of the %d alarms, so nothing may be concluded with it:\n  %s\n%s",
		e.By, len(e.Alarms), e.Of, strings.Join(e.Alarms, "\n  "), e.Remedy)
}

func (e *UnjudgedError) Unwrap() error { return stage.ErrLost }

// judges is an UnjudgedError when the setup has alarms that a CloudWatch cannot judge.
func judges(by string, s *stage.Setup) error {
	names := map[string]string{CloudWatchEmbedded: "the embedded CloudWatch", CloudWatchLocalStack: "LocalStack", CloudWatchAWS: "AWS"}
	e := &UnjudgedError{By: names[by], Of: len(s.Alarms) + len(s.Composites), Remedy: "use the embedded CloudWatch, which judges them all"}
	for i := range s.Alarms {
		if why := doubt(by, s, &s.Alarms[i]); why != "" {
			e.Alarms = append(e.Alarms, s.Alarms[i].AlarmName+": "+why)
		}
		if doubt(CloudWatchEmbedded, s, &s.Alarms[i]) != "" {
			e.Remedy = "leave out of the alarms file what can be judged only in production, and say so in its place"
		}
	}
	for i := range s.Composites {
		if why := cannot[by][composites]; why != "" {
			e.Alarms = append(e.Alarms, s.Composites[i].AlarmName+": it is a composite alarm, and "+why)
		}
	}
	if len(e.Alarms) == 0 {
		return nil
	}
	return e
}

// doubt is why a CloudWatch cannot judge the alarm; "": it can.
func doubt(by string, s *stage.Setup, a *alarm.Alarm) string {
	for _, n := range needs(s, a) {
		if why := cannot[by][n.capability]; why != "" {
			return n.what + ", and " + why
		}
	}
	return ""
}

// publishedUnits is the units of the metric as it is published: by the stage, or by
// metric filters.
func publishedUnits(s *stage.Setup, a *alarm.Alarm) (units []string) {
	for _, f := range s.Monitoring.Filters {
		if f.Namespace == a.Namespace && f.Metric == a.MetricName {
			units = append(units, cmp.Or(f.Unit, "None"))
		}
	}
	if len(units) == 0 {
		units = append(units, alarm.PublishedUnit(a.Namespace, a.MetricName))
	}
	return units
}

// moreDimensions says whether one has all dimensions of the other, and others too.
func moreDimensions(one, other []alarm.Dimension) bool {
	return len(one) > len(other) && !slices.ContainsFunc(other, func(d alarm.Dimension) bool { return !slices.Contains(one, d) })
}

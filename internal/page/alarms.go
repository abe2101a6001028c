package page

import (
	"strconv"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
	"rehearsal/internal/live"
)

// AlarmWords are sentences that say when the alarm goes off, how soon after users can
// meet a failure, and what a period without data counts as. An error says that the alarm
// cannot be judged, and why.
func AlarmWords(a *alarm.Alarm, l lang.Lang) ([]string, error) {
	c, err := a.Compile()
	if err != nil {
		return nil, err
	}
	w := &alarmWords{Lang: l, alarm: a, compiled: c}
	all := []string{w.goesOff()}
	all = append(all, w.where()...)
	all = append(all, w.missing(), w.soon())
	if !a.ActionsEnabled {
		all = append(all, l.Sprintf("Its actions are switched off: it tells nobody."))
	}
	return all, nil
}

type alarmWords struct {
	lang.Lang
	alarm    *alarm.Alarm
	compiled *alarm.Compiled
}

// goesOff is the rule in one sentence.
func (w *alarmWords) goesOff() string {
	threshold := strconv.FormatFloat(w.alarm.Threshold, 'f', -1, 64) + w.unit()
	how := map[string]string{
		"GreaterThanThreshold":          w.Sprintf("above %s", threshold),
		"GreaterThanOrEqualToThreshold": w.Sprintf("at or above %s", threshold),
		"LessThanThreshold":             w.Sprintf("below %s", threshold),
		"LessThanOrEqualToThreshold":    w.Sprintf("at or below %s", threshold),
	}[w.alarm.ComparisonOperator]
	return w.Sprintf("Goes off when %s is %s for %s.", w.judged(), how, w.rhythm())
}

// judged is what is held against the threshold.
func (w *alarmWords) judged() string {
	for _, q := range w.alarm.Metrics {
		switch {
		case !q.ReturnData:
		case q.Expression != "" && q.Label != "":
			return w.Sprintf("“%s” = %s", q.Label, q.Expression)
		case q.Expression != "":
			return q.Expression
		}
	}
	for _, in := range w.compiled.Inputs {
		if in.ID == "" || w.returns(in.ID) {
			return w.input(in)
		}
	}
	return w.alarm.AlarmName
}

func (w *alarmWords) returns(id string) bool {
	for _, q := range w.alarm.Metrics {
		if q.Id == id {
			return q.ReturnData
		}
	}
	return false
}

// where says what the names in an expression stand for.
func (w *alarmWords) where() (all []string) {
	for _, q := range w.alarm.Metrics {
		if q.ReturnData {
			continue
		}
		if q.Expression != "" {
			all = append(all, w.Sprintf("%s stands for %s.", q.Id, q.Expression))
			continue
		}
		for _, in := range w.compiled.Inputs {
			if in.ID == q.Id {
				all = append(all, w.Sprintf("%s stands for %s.", q.Id, w.input(in)))
			}
		}
	}
	return all
}

// input is a metric and its statistic.
func (w *alarmWords) input(in alarm.Input) string {
	name := in.Metric.Namespace + " " + in.Metric.MetricName
	switch stat := in.Statistic.String(); stat {
	case "Sum":
		return w.Sprintf("the sum of %s", name)
	case "Average":
		return w.Sprintf("the average of %s", name)
	case "Maximum":
		return w.Sprintf("the largest of %s", name)
	case "Minimum":
		return w.Sprintf("the smallest of %s", name)
	case "SampleCount":
		return w.Sprintf("the number of samples of %s", name)
	default:
		return w.Sprintf("the statistic %s of %s", stat, name)
	}
}

// unit of the threshold, where it is that of one metric.
func (w *alarmWords) unit() string {
	if len(w.alarm.Metrics) > 0 || w.alarm.Statistic == "SampleCount" {
		return ""
	}
	switch alarm.PublishedUnit(w.alarm.Namespace, w.alarm.MetricName) {
	case "Seconds":
		return " s"
	case "Milliseconds":
		return " ms"
	case "Percent":
		return " %"
	}
	return ""
}

// rhythm is M of N periods.
func (w *alarmWords) rhythm() string {
	n := w.alarm.EvaluationPeriods
	m := w.alarm.DatapointsToAlarm
	if m == 0 {
		m = n
	}
	if w.compiled.Period == time.Minute {
		switch {
		case n == 1:
			return w.Sprintf("a minute")
		case m == n:
			return w.Sprintf("%d minutes in a row", n)
		}
		return w.Sprintf("%d of %d minutes", m, n)
	}
	each := live.Duration(w.Lang, w.compiled.Period)
	switch {
	case n == 1:
		return w.Sprintf("a period of %s", each)
	case m == n:
		return w.Sprintf("%d periods of %s in a row", n, each)
	}
	return w.Sprintf("%d of %d periods of %s", m, n, each)
}

// missing is what no data counts as: see AWS's user guide, "Configuring how CloudWatch
// alarms treat missing data".
func (w *alarmWords) missing() string {
	period := w.Sprintf("A period")
	if w.compiled.Period == time.Minute {
		period = w.Sprintf("A minute")
	}
	switch w.alarm.TreatMissingData {
	case "breaching":
		return w.Sprintf("%s without data counts as bad.", period)
	case "notBreaching":
		return w.Sprintf("%s without data counts as good.", period)
	case "ignore":
		return w.Sprintf("%s without data changes nothing.", period)
	}
	return w.Sprintf("%s without data is passed over; without any data the alarm is INSUFFICIENT_DATA.", period)
}

// soon is how soon it goes off where every period from exposure on is bad.
func (w *alarmWords) soon() string {
	early, late := w.compiled.EarliestDetection(), w.compiled.LatestDetection()
	text := w.Sprintf("Fastest after exposure: %s; at the latest after %s, where every period is bad.", live.Duration(w.Lang, early), live.Duration(w.Lang, late))
	if early == 0 {
		text = w.Sprintf("Fastest after exposure: as soon as the first bad period ends; at the latest after %s, where every period is bad.", live.Duration(w.Lang, late))
	}
	if silent, ok := w.compiled.LatestSilence(); ok {
		text += w.Sprintf(" Where its metric falls silent: after %s at the latest.", live.Duration(w.Lang, silent))
	}
	return text
}

// CompositeWords are sentences that say when a composite alarm goes off, and what holds
// its actions back.
func CompositeWords(a *alarm.Composite, l lang.Lang) ([]string, error) {
	c, err := a.Compile()
	if err != nil {
		return nil, err
	}
	all := []string{
		l.Sprintf("Goes off when %s.", c.Rule.Say(l.Sprintf)),
		l.Sprintf("It changes in the instant in which one of these alarms does, and is as fast as they are."),
	}
	if c.Suppressor != "" {
		all = append(all, l.Sprintf("While %s is in ALARM its actions are held back: it waits %s for that alarm, and %s after it.",
			c.Suppressor, live.Duration(l, c.Wait), live.Duration(l, c.Extension)))
	}
	if !a.ActionsEnabled {
		all = append(all, l.Sprintf("Its actions are switched off: it tells nobody."))
	}
	return all, nil
}

package alarm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of AWS's PutMetricAlarm.
const (
	maxName       = 255
	maxDimensions = 30
	maxMetrics    = 10 // metrics in a metric-math alarm
	maxQueries    = 20 // metrics and expressions
	day           = 86_400
	hour          = 3_600
)

// Problem is one thing that is wrong with an Alarm.
type Problem struct {
	Field string // such as Period, or Metrics[1].Expression
	Text  string // what is wrong, and what would be right
	// Unjudged says that AWS takes it, and that it cannot be judged here.
	Unjudged bool
}

func (p *Problem) Error() string { return p.Field + ": " + p.Text }

// Compile checks the alarm and makes it ready to be judged. The error joins
// everything that is wrong, each a *Problem: what AWS would refuse, and what
// cannot be judged here (anomaly bands, SEARCH, Metrics Insights queries).
// The alarm must not be changed afterwards.
func (a *Alarm) Compile() (*Compiled, error) {
	c := &compiler{alarm: a, out: &Compiled{Alarm: a, threshold: a.Threshold}}
	c.name()
	c.rule()
	switch {
	case a.ThresholdMetricId != "":
		c.unjudged("ThresholdMetricId", "anomaly detection bands are not judged yet: use a fixed Threshold")
	case len(a.Metrics) > 0:
		c.math()
	case a.MetricName != "":
		c.metric()
	default:
		c.wrong("MetricName", "the alarm watches no metric: give Namespace and MetricName, or Metrics")
	}
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	// Where a setting is given, the API reference has it ignored for such metrics
	// ("always ignore missing data even if you choose a different option"), and the
	// user guide has it count ("You can override this"), as it does here.
	if a.TreatMissingData == "" && slices.ContainsFunc(c.out.Inputs, func(in Input) bool { return in.Metric.Namespace == "AWS/DynamoDB" }) {
		c.out.missing = treatIgnore
	}
	return c.out, nil
}

// A compiler gathers what is made of an alarm, and what is wrong with it.
type compiler struct {
	alarm    *Alarm
	out      *Compiled
	problems []error
}

func (c *compiler) wrong(field, format string, args ...any) {
	c.problems = append(c.problems, &Problem{Field: field, Text: fmt.Sprintf(format, args...)})
}

func (c *compiler) unjudged(field, format string, args ...any) {
	c.problems = append(c.problems, &Problem{Field: field, Text: fmt.Sprintf(format, args...), Unjudged: true})
}

func (c *compiler) name() {
	if problem := wrongName(c.alarm.AlarmName); problem != "" {
		c.wrong("AlarmName", "%s", problem)
	}
}

// rule checks how points become a state.
func (c *compiler) rule() {
	a, out := c.alarm, c.out
	out.n, out.m = a.EvaluationPeriods, a.DatapointsToAlarm
	if out.n < 1 {
		c.wrong("EvaluationPeriods", "is %d: want a whole number of at least 1", out.n)
	} else if out.m < 0 || out.m > out.n {
		c.wrong("DatapointsToAlarm", "is %d: want 1 to EvaluationPeriods, which is %d", out.m, out.n)
	}
	if out.m == 0 {
		out.m = out.n
	}
	out.Range = out.n + rangeBeyond
	if !finite(a.Threshold) {
		c.wrong("Threshold", "is no finite number")
	}
	var ok bool
	if out.compare, ok = parseOperator(a.ComparisonOperator); !ok {
		switch a.ComparisonOperator {
		case "LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold":
			c.unjudged("ComparisonOperator", "%s is for anomaly detection bands, which are not judged yet: use a fixed Threshold", a.ComparisonOperator)
		default:
			c.wrong("ComparisonOperator", "unknown operator %q: want GreaterThanThreshold, GreaterThanOrEqualToThreshold, "+
				"LessThanThreshold or LessThanOrEqualToThreshold", a.ComparisonOperator)
		}
	}
	if out.missing, ok = parseTreatment(a.TreatMissingData); !ok {
		c.wrong("TreatMissingData", "unknown setting %q: want missing, ignore, breaching or notBreaching", a.TreatMissingData)
	}
	switch a.EvaluateLowSampleCountPercentile {
	case "", "evaluate", "ignore":
	default:
		c.wrong("EvaluateLowSampleCountPercentile", "unknown setting %q: want evaluate or ignore", a.EvaluateLowSampleCountPercentile)
	}
}

// metric makes the one input of an alarm without metric math.
func (c *compiler) metric() {
	a := c.alarm
	metric := Metric{a.Namespace, a.MetricName, a.Dimensions}
	c.checkMetric("", metric, a.Unit)
	c.period("Period", a.Period)
	stat := c.statistic()
	c.significance(stat)
	c.out.Inputs = []Input{{Metric: metric, Statistic: stat, Unit: a.Unit}}
}

// statistic is the alarm's Statistic or ExtendedStatistic, whichever is given.
func (c *compiler) statistic() Statistic {
	a := c.alarm
	field, text := "Statistic", a.Statistic
	switch {
	case a.Statistic != "" && a.ExtendedStatistic != "":
		c.wrong("ExtendedStatistic", "Statistic is given too: give one of them")
		return Statistic{}
	case a.ExtendedStatistic != "":
		field, text = "ExtendedStatistic", a.ExtendedStatistic
	case a.Statistic == "":
		c.wrong("Statistic", "is missing: give Statistic (Sum, Average, ...) or ExtendedStatistic (p99, ...)")
		return Statistic{}
	}
	stat, err := ParseStatistic(text)
	switch {
	case err != nil:
		c.wrong(field, "%v", err)
	case stat.Extended() && field == "Statistic":
		c.wrong(field, "%s belongs in ExtendedStatistic", text)
	case !stat.Extended() && field == "ExtendedStatistic":
		c.wrong(field, "%s belongs in Statistic", text)
	}
	return stat
}

// significance notes how many samples a point of the statistic needs.
func (c *compiler) significance(stat Statistic) {
	if c.alarm.EvaluateLowSampleCountPercentile == "ignore" {
		c.out.judged, c.out.enough = stat, stat.lowSamples()
	}
}

// period takes over the length of a point, which all metrics of an alarm share.
func (c *compiler) period(field string, seconds int) {
	switch {
	case seconds == 10, seconds == 20, seconds == 30, seconds >= 60 && seconds%60 == 0:
	case seconds == 0:
		c.wrong(field, "is missing: want 10, 20, 30 or a multiple of 60 seconds")
		return
	default:
		c.wrong(field, "is %d seconds: want 10, 20, 30 or a multiple of 60", seconds)
		return
	}
	length := time.Duration(seconds) * time.Second
	if c.out.Period != 0 && c.out.Period != length {
		c.wrong(field, "is %d seconds, where the metrics before have %d: all metrics of an alarm need the same period",
			seconds, c.out.Period/time.Second)
		return
	}
	if c.out.Period != 0 {
		return
	}
	c.out.Period = length
	switch {
	case seconds < 60:
		c.out.Every = 10 * time.Second
	case c.out.n > day/seconds:
		c.out.Every = time.Hour
	default:
		c.out.Every = time.Minute
	}
	limit, text := day, "a day (86400 seconds)"
	if seconds >= hour {
		limit, text = 7*day, "7 days (604800 seconds)"
	}
	if c.out.n > limit/seconds { // not n*seconds, which may overflow
		c.wrong("EvaluationPeriods", "is %d of %d seconds each: together at most %s are allowed", c.out.n, seconds, text)
	}
}

// checkMetric checks a metric's name, within the field that ends in a point.
func (c *compiler) checkMetric(within string, m Metric, unit string) {
	if m.Namespace == "" {
		c.wrong(within+"Namespace", "is missing")
	}
	if m.MetricName == "" {
		c.wrong(within+"MetricName", "is missing")
	}
	if len(m.Dimensions) > maxDimensions {
		c.wrong(within+"Dimensions", "has %d dimensions; at most %d are allowed", len(m.Dimensions), maxDimensions)
	}
	seen := map[string]bool{}
	for i, d := range m.Dimensions {
		field := fmt.Sprintf("%sDimensions[%d]", within, i)
		switch {
		case d.Name == "" || d.Value == "":
			c.wrong(field, "needs a Name and a Value")
		case seen[d.Name]:
			c.wrong(field, "%q is given twice", d.Name)
		}
		seen[d.Name] = true
	}
	if unit != "" && !IsUnit(unit) {
		c.wrong(strings.TrimSuffix(within, "Metric.")+"Unit", "unknown unit %q: no sample can have it", unit)
	}
}

// The units of AWS.
const units = " Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes " +
	"Bits Kilobits Megabits Gigabits Terabits Percent Count " +
	"Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second " +
	"Bits/Second Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None "

// IsUnit says whether that is the name of a unit of CloudWatch, such as Count.
func IsUnit(name string) bool { return name != "" && strings.Contains(units, " "+name+" ") }

// math makes the inputs and the program of a metric-math alarm.
func (c *compiler) math() {
	a := c.alarm
	if a.MetricName != "" || a.Statistic != "" || a.ExtendedStatistic != "" || a.Period != 0 || len(a.Dimensions) > 0 {
		c.wrong("Metrics", "is given beside MetricName, Statistic, Period or Dimensions: give either the one metric or Metrics")
	}
	before := len(c.problems)
	q := queries{compiler: c, index: map[string]int{}, parsed: map[string]*Expr{},
		env: env{slots: map[string]int{}, kinds: map[string]kind{}}}
	result := q.read()
	if len(c.problems) > before {
		return // what refers to a broken query would only be found wrong again
	}
	q.link(result)
}

// queries are the lines of Metrics while they become a program.
type queries struct {
	*compiler
	env
	index  map[string]int // of an id in Metrics
	parsed map[string]*Expr
}

// read checks every query by itself and returns the index of the one that is
// judged.
func (q *queries) read() int {
	all, result, returned := q.alarm.Metrics, -1, 0
	if len(all) > maxQueries {
		q.wrong("Metrics", "has %d metrics and expressions; at most %d are allowed", len(all), maxQueries)
	}
	for i := range all {
		query, field := &all[i], fmt.Sprintf("Metrics[%d]", i)
		q.id(i, query.Id, field)
		if query.ReturnData {
			returned++
			result = i
		}
		switch {
		case query.MetricStat != nil && query.Expression != "":
			q.wrong(field, "has both MetricStat and Expression: give one of them")
		case query.MetricStat != nil:
			q.input(query, field)
		case query.Expression != "":
			q.expression(query, field)
		default:
			q.wrong(field, "has neither MetricStat nor Expression: give one of them")
		}
	}
	if returned != 1 {
		q.wrong("Metrics", "%d of its queries have ReturnData true (which is the default): want exactly one, the one to judge", returned)
	}
	switch n := len(q.out.Inputs); {
	case n > maxMetrics:
		q.wrong("Metrics", "has %d metrics; at most %d are allowed in an alarm", n, maxMetrics)
	case n == 0 && !slices.ContainsFunc(q.problems, func(err error) bool { return err.(*Problem).Unjudged }): //nolint:errorlint // all are made here
		q.wrong("Metrics", "has no metric: at least one query needs a MetricStat")
	}
	return result
}

func (q *queries) id(i int, id, field string) {
	valid := id != "" && id[0] >= 'a' && id[0] <= 'z' && len(id) <= maxName
	for j := range len(id) {
		valid = valid && (isLetter(id[j]) || isDigit(id[j]))
	}
	if !valid {
		q.wrong(field+".Id", "%q is no id: want letters, digits and _, a small letter first", id)
		return
	}
	if first, twice := q.index[id]; twice {
		q.wrong(field+".Id", "%q is the id of Metrics[%d] too", id, first)
		return
	}
	q.index[id] = i
}

func (q *queries) input(query *MetricDataQuery, field string) {
	stat := query.MetricStat
	q.checkMetric(field+".MetricStat.Metric.", stat.Metric, stat.Unit)
	q.period(field+".MetricStat.Period", stat.Period)
	statistic, err := ParseStatistic(stat.Stat)
	if err != nil {
		q.wrong(field+".MetricStat.Stat", "%v", err)
	}
	q.slots[query.Id], q.kinds[query.Id] = len(q.out.Inputs), series
	q.metrics = append(q.metrics, query.Id)
	q.out.Inputs = append(q.out.Inputs, Input{query.Id, stat.Metric, statistic, stat.Unit})
}

func (q *queries) expression(query *MetricDataQuery, field string) {
	if query.Period != 0 {
		q.period(field+".Period", query.Period)
	}
	expr, err := Compile(query.Expression)
	if err != nil {
		var mistake *ExprError
		q.problems = append(q.problems, &Problem{Field: field + ".Expression", Text: fmt.Sprintf("%v, in %q", err, query.Expression),
			Unjudged: errors.As(err, &mistake) && mistake.Unjudged})
		return
	}
	q.parsed[query.Id] = expr
}

// link orders the expressions that the judged query needs, and links them.
func (q *queries) link(result int) {
	all := q.alarm.Metrics
	p := &program{inputs: len(q.out.Inputs), period: q.out.Period.Seconds()}
	const begun, done, broken = 1, 2, 3
	progress := map[string]int{}
	var visit func(id string) bool
	visit = func(id string) bool {
		expr := q.parsed[id]
		if expr == nil || progress[id] == done { // a metric, an unknown id, or linked already
			return true
		}
		field := fmt.Sprintf("Metrics[%d].Expression", q.index[id])
		switch progress[id] {
		case begun:
			q.wrong(field, "%q needs itself", id)
			return false
		case broken:
			return false
		}
		progress[id] = begun
		whole := true
		expr.root.ids(func(other string) { whole = whole && visit(other) })
		if !whole {
			progress[id] = broken
			return false
		}
		if err := q.env.link(expr.root); err != nil {
			q.wrong(field, "%v, in %q", err, expr)
			progress[id] = broken
			return false
		}
		progress[id] = done
		q.slots[id], q.kinds[id] = p.inputs+len(p.steps), expr.root.kind
		p.steps = append(p.steps, expr.root)
		return true
	}
	// The expressions that are not judged are checked too, but after the others,
	// and their steps are dropped.
	id := all[result].Id
	ok := visit(id)
	needed := len(p.steps)
	for _, query := range all {
		ok = visit(query.Id) && ok
	}
	p.steps = p.steps[:needed]
	if !ok {
		return
	}
	if k := q.kinds[id]; k != series {
		q.wrong(fmt.Sprintf("Metrics[%d].Expression", result), "%q makes %s; an alarm judges one time series%s",
			all[result].Expression, k, remedy(k))
		return
	}
	p.result = q.slots[id]
	if len(p.steps) > 0 || p.result != 0 {
		q.out.program = p
	}
	if len(p.steps) == 0 {
		q.significance(q.out.Inputs[p.result].Statistic)
	}
}

func remedy(k kind) string {
	if k == array {
		return ": sum its members up with SUM, AVG, MIN or MAX"
	}
	return ": use TIME_SERIES, or a metric instead of its SUM, AVG, MIN or MAX"
}

package cloudwatch

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
)

// Limits of AWS on GetMetricData.
const (
	maxPoints  = 100_800 // datapoints in a page
	maxAsked   = 500     // queries in a call
	maxQueryID = 255
	// maxLooked is how many periods of metrics the expressions of a call look at;
	// AWS counts them among the datapoints, and gives less.
	maxLooked = 10 * maxPoints
)

// A span is the periods that a query asks for.
type span struct {
	from, period int64 // seconds
	points       int
}

// at is when the n-th period begins.
func (s span) at(n int) int64 { return s.from + int64(n)*s.period }

func newSpan(start, end time.Time, period int64, wrong func(format string, args ...any) error) (span, error) {
	switch {
	case start.Equal(end):
		return span{}, wrong("the parameter StartTime must not equal parameter EndTime")
	case start.After(end):
		return span{}, wrong("the parameter StartTime must be less than the parameter EndTime: %s is not before %s", start.Format(time.RFC3339), end.Format(time.RFC3339))
	case period != 1 && period != 5 && period != 10 && period != 20 && period != 30 && (period < 60 || period%60 != 0):
		return span{}, wrong("Period is %d seconds: want 1, 5, 10, 20, 30 or a multiple of 60", period)
	}
	from := floor(start.Unix(), min(period, standard))
	return span{from, period, int((end.Unix() - from + period - 1) / period)}, nil
}

// getMetricData gives metrics and metric math, by the engine of the alarms: so all
// metrics that an expression needs must have one period.
//
// Unlike AWS it gives the page after the first of an expression too, since a client
// that follows NextToken then has everything. Of an expression over more periods
// than a page holds, it gives what a page holds, as PartialData, as AWS does.
func (s *Store) getMetricData(in *api.GetMetricDataInput) (*api.GetMetricDataOutput, error) {
	required := func(name string) error { return validation("the parameter %s is required", name) }
	switch {
	case len(in.MetricDataQueries) == 0:
		return nil, required("MetricDataQueries")
	case in.StartTime == nil:
		return nil, required("StartTime")
	case in.EndTime == nil:
		return nil, required("EndTime")
	case len(in.MetricDataQueries) > maxAsked:
		return nil, validation("MetricDataQueries has %d members; at most %d are allowed", len(in.MetricDataQueries), maxAsked)
	case in.ScanBy != "" && !slices.Contains(in.ScanBy.Values(), in.ScanBy):
		return nil, validation("ScanBy is %q: want TimestampDescending or TimestampAscending", short(string(in.ScanBy)))
	}
	room := maxPoints
	if in.MaxDatapoints != nil {
		if room = int(*in.MaxDatapoints); room < 1 || room > maxPoints {
			return nil, validation("MaxDatapoints is %d: want 1 to %d", room, maxPoints)
		}
	}
	zone, err := labelZone(in.LabelOptions)
	if err != nil {
		return nil, err
	}
	skip := 0
	if in.NextToken != nil {
		if skip, err = strconv.Atoi(*in.NextToken); err != nil || skip < 0 || skip > math.MaxInt32 {
			return nil, &apiError{code: "InvalidNextToken", message: "NextToken is not one that this call gave"}
		}
	}
	queries, err := fromQueries(in.MetricDataQueries)
	if err != nil {
		return nil, err
	}
	if err := checkQueries(queries); err != nil {
		return nil, err
	}
	out := &api.GetMetricDataOutput{MetricDataResults: []types.MetricDataResult{}}
	next, left := skip+room, maxLooked
	more := false
	for i := range queries {
		if !queries[i].ReturnData {
			continue
		}
		found, period, partial, err := s.queryPoints(queries, i, in, &left)
		if err != nil {
			return nil, err
		}
		q := queries[i]
		result := types.MetricDataResult{Id: aws.String(q.Id), Label: aws.String(queryLabel(&q, found, period, zone)), StatusCode: types.StatusCodeComplete,
			Timestamps: []time.Time{}, Values: []float64{}}
		if in.ScanBy != types.ScanByTimestampAscending {
			slices.Reverse(found)
		}
		// The page begins behind skip points and ends when it is full.
		begin := min(skip, len(found))
		skip -= begin
		end := min(begin+room, len(found))
		room -= end - begin
		for _, p := range found[begin:end] {
			result.Timestamps = append(result.Timestamps, time.Unix(p.at, 0).UTC())
			result.Values = append(result.Values, p.value)
		}
		if end < len(found) {
			more = true
		}
		if partial || end < len(found) {
			result.StatusCode = types.StatusCodePartialData
		}
		out.MetricDataResults = append(out.MetricDataResults, result)
	}
	if more {
		out.NextToken = aws.String(strconv.Itoa(next))
	}
	return out, nil
}

var queryID = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`)

func checkQueries(queries []alarm.MetricDataQuery) error {
	known := map[string]bool{}
	for i, q := range queries {
		at := "MetricDataQueries.member." + strconv.Itoa(i+1) + "."
		switch {
		case len(q.Id) > maxQueryID || !queryID.MatchString(q.Id):
			return validation("%sId is %q: want letters, digits and underscores, a small letter first", at, short(q.Id))
		case known[q.Id]:
			return validation("%sId %q is used twice", at, q.Id)
		case q.MetricStat == nil && q.Expression == "":
			return validation("the parameter %sMetricStat is required, or Expression", at)
		case q.MetricStat != nil && q.Expression != "":
			return validation("%sMetricStat and Expression: give one of them", at)
		case q.MetricStat != nil && q.MetricStat.Unit != "" && !slices.Contains(types.StandardUnit("").Values(), types.StandardUnit(q.MetricStat.Unit)):
			return validation("%sMetricStat.Unit is %q, which is no unit", at, short(q.MetricStat.Unit))
		}
		known[q.Id] = true
	}
	return nil
}

// A foundPoint is a datapoint that there is.
type foundPoint struct {
	at    int64 // Unix time
	value float64
}

// queryPoints answers one query of a call, oldest first, with its period in
// seconds. It is partial when there are more periods than can be looked at; left is
// how many may still be in this call.
func (s *Store) queryPoints(all []alarm.MetricDataQuery, wanted int, in *api.GetMetricDataInput, left *int) (found []foundPoint, period int64, partial bool, err error) {
	q := all[wanted]
	if m := q.MetricStat; m != nil {
		stat, err := alarm.ParseStatistic(m.Stat)
		if err != nil {
			return nil, 0, false, validation("MetricDataQueries.member.%d.MetricStat.Stat: %v", wanted+1, err)
		}
		span, err := newSpan(*in.StartTime, *in.EndTime, int64(m.Period), validation)
		if err != nil {
			return nil, 0, false, err
		}
		return s.look(m.Metric).points(m.Unit, stat, span), span.period, false, nil
	}
	judged := alarm.Alarm{AlarmName: "query", Metrics: needed(all, wanted), EvaluationPeriods: 1, ComparisonOperator: "GreaterThanThreshold"}
	c, err := judged.Compile()
	if err != nil {
		return nil, 0, false, validation("%v", err)
	}
	span, err := newSpan(*in.StartTime, *in.EndTime, int64(c.Period/time.Second), validation)
	if err != nil {
		return nil, 0, false, err
	}
	if most := min(maxPoints, *left) / max(1, len(c.Inputs)); span.points > most {
		if in.ScanBy != types.ScanByTimestampAscending {
			span.from = span.at(span.points - most)
		}
		span.points, partial = most, true
	}
	*left -= span.points * len(c.Inputs)
	inputs := make([][]alarm.Point, len(c.Inputs))
	for i, input := range c.Inputs {
		inputs[i] = make([]alarm.Point, span.points)
		for _, p := range s.look(input.Metric).points(input.Unit, input.Statistic, span) {
			inputs[i][(p.at-span.from)/span.period] = alarm.Point{Value: p.value, Present: true}
		}
	}
	c.Range = span.points     // all of them count, not the newest few as in an alarm
	var scratch alarm.Scratch // its own: the store's stays as small as its alarms need
	for n, p := range c.Points(&scratch, inputs) {
		if p.Present {
			found = append(found, foundPoint{span.at(n), p.Value})
		}
	}
	return found, span.period, partial, nil
}

// points is what there is of that unit, or of every one, in the periods of span, oldest
// first. What takes time is the data, not how long a time is asked for.
func (h *Series) points(unit string, stat alarm.Statistic, span span) (found []foundPoint) {
	for at := span.from; ; at += span.period {
		start, ok := h.nextOf(unit, at)
		if !ok || start >= span.at(span.points) {
			return found
		}
		at += floor(start-at, span.period)
		if p := h.pointOf(unit, stat, at, at+span.period); p.Present {
			found = append(found, foundPoint{at, p.Value})
		}
	}
}

var (
	idsInside  = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9_]*`)
	allMetrics = regexp.MustCompile(`\bMETRICS\s*\(`)
)

// needed is the query that is wanted, and those that its expression speaks of.
func needed(all []alarm.MetricDataQuery, wanted int) []alarm.MetricDataQuery {
	byID := map[string]int{}
	for i, q := range all {
		byID[q.Id] = i
	}
	taken := map[int]bool{wanted: true}
	todo := []int{wanted}
	take := func(i int) {
		if !taken[i] {
			taken[i] = true
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		text := all[todo[0]].Expression
		todo = todo[1:]
		for _, name := range idsInside.FindAllString(text, -1) {
			if i, ok := byID[name]; ok {
				take(i)
			}
		}
		if allMetrics.MatchString(text) {
			for i, q := range all {
				if q.MetricStat != nil {
					take(i)
				}
			}
		}
	}
	var out []alarm.MetricDataQuery
	for i, q := range all {
		if taken[i] {
			q.ReturnData = i == wanted
			out = append(out, q)
		}
	}
	return out
}

var (
	zoneForm    = regexp.MustCompile(`^([+-])([0-9]{2})([0-9]{2})$`)
	dynamicForm = regexp.MustCompile(`\$\{([A-Z_]+|PROP\('[^']*'\))\}`)
)

func labelZone(o *types.LabelOptions) (*time.Location, error) {
	if o == nil || o.Timezone == nil {
		return time.UTC, nil
	}
	m := zoneForm.FindStringSubmatch(*o.Timezone)
	if m == nil {
		return nil, validation("LabelOptions.Timezone is %q: want + or - and four digits, such as +0130", short(*o.Timezone))
	}
	hours, _ := strconv.Atoi(m[2]) // the form is checked
	minutes, _ := strconv.Atoi(m[3])
	seconds := hours*3600 + minutes*60
	if m[1] == "-" {
		seconds = -seconds
	}
	return time.FixedZone(*o.Timezone, seconds), nil
}

// queryLabel is a query's label with its dynamic expressions worked out: PROP, the
// numbers and the times of AWS's list. AWS does not say how it writes numbers and
// times; here it is as short as it can be, and ISO 8601. What is not known stays
// as it is. The points are oldest first.
func queryLabel(q *alarm.MetricDataQuery, points []foundPoint, period int64, zone *time.Location) string {
	plain := q.Id
	if q.MetricStat != nil {
		plain = q.MetricStat.Metric.MetricName
	}
	label := cmp.Or(q.Label, plain)
	return dynamicForm.ReplaceAllStringFunc(label, func(text string) string {
		name := text[2 : len(text)-1]
		switch name {
		case "LABEL":
			return plain
		case "DATAPOINT_COUNT":
			return strconv.Itoa(len(points))
		}
		if len(name) > 8 && name[:6] == "PROP('" {
			if value, ok := queryProperty(q, name[6:len(name)-2], period); ok {
				return value
			}
			return text
		}
		if len(points) == 0 {
			return "-"
		}
		smallest, largest, sum := points[0], points[0], 0.0
		for _, p := range points {
			if p.value < smallest.value {
				smallest = p
			}
			if p.value > largest.value {
				largest = p
			}
			sum += p.value
		}
		number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
		moment := func(p foundPoint) string { return time.Unix(p.at, 0).In(zone).Format("2006-01-02T15:04:05Z07:00") }
		switch name {
		case "MIN":
			return number(smallest.value)
		case "MAX":
			return number(largest.value)
		case "FIRST":
			return number(points[0].value)
		case "LAST":
			return number(points[len(points)-1].value)
		case "AVG":
			return number(sum / float64(len(points)))
		case "SUM":
			return number(sum)
		case "MIN_TIME":
			return moment(smallest)
		case "MAX_TIME":
			return moment(largest)
		case "FIRST_TIME":
			return moment(points[0])
		case "LAST_TIME":
			return moment(points[len(points)-1])
		}
		return text
	})
}

func queryProperty(q *alarm.MetricDataQuery, name string, period int64) (string, bool) {
	switch name {
	case "AccountId":
		return account, true
	case "Region":
		return region, true
	case "Period":
		return strconv.FormatInt(period, 10), true
	}
	if q.MetricStat == nil {
		return "", false
	}
	switch name {
	case "Namespace":
		return q.MetricStat.Metric.Namespace, true
	case "MetricName":
		return q.MetricStat.Metric.MetricName, true
	case "Stat":
		return q.MetricStat.Stat, true
	}
	for _, d := range q.MetricStat.Metric.Dimensions {
		if name == "Dim."+d.Name {
			return d.Value, true
		}
	}
	return "", false
}

package cloudwatch

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
)

// metricsOperation is the operation of CloudWatch with that name; nil: not known.
func metricsOperation(name string) operation {
	switch name {
	case "PutMetricData":
		return call((*Store).putMetricData)
	case "GetMetricData":
		return call((*Store).getMetricData)
	case "GetMetricStatistics":
		return call((*Store).getMetricStatistics)
	case "ListMetrics":
		return call((*Store).listMetrics)
	case "PutMetricAlarm":
		return call((*Store).putMetricAlarm)
	case "PutCompositeAlarm":
		return call((*Store).putCompositeAlarm)
	case "DescribeAlarms":
		return call((*Store).describeAlarms)
	case "DeleteAlarms":
		return (*Store).deleteAlarmsCall
	case "SetAlarmState":
		return (*Store).setAlarmStateCall
	case "DescribeAlarmHistory":
		return call((*Store).describeAlarmHistory)
	}
	return nil
}

// Limits of AWS on metrics.
const (
	maxDatums     = 1000 // in a call
	maxDimensions = 30
	maxDatumList  = 150 // Values of a datum
	oldestDatum   = 14 * 24 * time.Hour
	newestDatum   = 2 * time.Hour // after now
	maxStatistics = 1440          // datapoints of GetMetricStatistics
	maxPoints     = 100_800       // datapoints of GetMetricData
	metricsPage   = 500           // of ListMetrics
)

// putMetricData checks every datum, and then takes them all. Unlike AWS it takes
// the namespaces that begin with AWS/, since here nobody else publishes them.
func (s *Store) putMetricData(in *api.PutMetricDataInput) (*api.PutMetricDataOutput, error) {
	namespace := aws.ToString(in.Namespace)
	if namespace == "" {
		return nil, missing("Namespace")
	}
	if err := checkText("Namespace", namespace, 255); err != nil {
		return nil, err
	}
	datums := in.MetricData
	for _, entity := range in.EntityMetricData {
		datums = append(slices.Clip(datums), entity.MetricData...)
	}
	if len(datums) == 0 {
		return nil, missing("MetricData")
	}
	if len(datums) > maxDatums {
		return nil, invalidValue("MetricData has %d members; at most %d are allowed in a call", len(datums), maxDatums)
	}
	var now time.Time
	if s.now != nil {
		now = s.now()
	}
	for i := range datums {
		if err := checkDatum("MetricData.member."+strconv.Itoa(i+1)+".", &datums[i], now); err != nil {
			return nil, err
		}
	}
	for i := range datums {
		s.take(namespace, &datums[i], now)
	}
	return &api.PutMetricDataOutput{}, nil
}

func checkDatum(at string, d *types.MetricDatum, now time.Time) error {
	if aws.ToString(d.MetricName) == "" {
		return missing(at + "MetricName")
	}
	if err := checkText(at+"MetricName", *d.MetricName, 255); err != nil {
		return err
	}
	if err := checkDimensions(at, d.Dimensions); err != nil {
		return err
	}
	switch {
	case d.Unit != "" && !slices.Contains(d.Unit.Values(), d.Unit):
		return invalidValue("%sUnit is %q, which is no unit", at, short(string(d.Unit)))
	case d.StorageResolution != nil && *d.StorageResolution != high && *d.StorageResolution != standard:
		return invalidValue("%sStorageResolution is %d: want 1 or 60 seconds", at, *d.StorageResolution)
	case d.Timestamp == nil && now.IsZero():
		return missing(at + "Timestamp")
	case d.Timestamp != nil && (d.Timestamp.Unix() < 0 || d.Timestamp.Year() > 9999):
		return invalidValue("%sTimestamp is not between 1970 and 9999", at)
	case d.Timestamp != nil && !now.IsZero() && d.Timestamp.Before(now.Add(-oldestDatum)):
		return invalidValue("%sTimestamp is %s: more than two weeks ago, it is %s", at, d.Timestamp.Format(time.RFC3339), now.Format(time.RFC3339))
	case d.Timestamp != nil && !now.IsZero() && d.Timestamp.After(now.Add(newestDatum)):
		return invalidValue("%sTimestamp is %s: more than two hours from now, it is %s", at, d.Timestamp.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	kinds := 0
	for _, given := range []bool{d.Value != nil, d.StatisticValues != nil, len(d.Values) > 0} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return missing(at + "Value")
	case kinds > 1:
		return invalidCombination("%sValue, Values and StatisticValues: give one of them", at)
	case len(d.Values) > maxDatumList:
		return invalidValue("%sValues has %d members; at most %d are allowed", at, len(d.Values), maxDatumList)
	case len(d.Counts) > 0 && len(d.Counts) != len(d.Values):
		return invalidValue("%sCounts has %d members and Values %d: want as many", at, len(d.Counts), len(d.Values))
	}
	numbers := append(slices.Clip(d.Values), d.Counts...)
	if d.Value != nil {
		numbers = append(numbers, *d.Value)
	}
	for _, n := range d.Counts {
		if n < 0 {
			return invalidValue("%sCounts has %v: want no negative number", at, n)
		}
	}
	if set := d.StatisticValues; set != nil {
		if set.SampleCount == nil || set.Sum == nil || set.Minimum == nil || set.Maximum == nil {
			return missing(at + "StatisticValues needs SampleCount, Sum, Minimum and Maximum")
		}
		if *set.SampleCount < 0 || *set.Minimum > *set.Maximum {
			return invalidValue("%sStatisticValues: SampleCount must not be negative, nor Minimum above Maximum", at)
		}
		numbers = append(numbers, *set.SampleCount, *set.Sum, *set.Minimum, *set.Maximum)
	}
	const most = 1 << 360 // says AWS
	for _, n := range numbers {
		if math.IsNaN(n) || math.Abs(n) > most {
			return invalidValue("%sValue is %v: want a number from -2^360 to 2^360", at, n)
		}
	}
	return nil
}

func checkDimensions(at string, dims []types.Dimension) error {
	if len(dims) > maxDimensions {
		return invalidValue("%sDimensions has %d members; at most %d are allowed", at, len(dims), maxDimensions)
	}
	for i, d := range dims {
		name := at + "Dimensions.member." + strconv.Itoa(i+1)
		if aws.ToString(d.Name) == "" {
			return missing(name + ".Name")
		}
		if aws.ToString(d.Value) == "" {
			return missing(name + ".Value")
		}
		if err := checkText(name+".Name", *d.Name, 255); err != nil {
			return err
		}
		if err := checkText(name+".Value", *d.Value, 1024); err != nil {
			return err
		}
		if slices.ContainsFunc(dims[:i], func(other types.Dimension) bool { return *other.Name == *d.Name }) {
			return invalidValue("%s.Name %q is given twice", name, *d.Name)
		}
	}
	return nil
}

func checkText(name, text string, most int) error {
	if len(text) > most {
		return invalidValue("%s has %d characters; at most %d are allowed", name, len(text), most)
	}
	for _, c := range text {
		if c < ' ' || c > '~' {
			return invalidValue("%s %q has the character %q: want printable ASCII", name, short(text), c)
		}
	}
	return nil
}

// take puts a datum that was checked into its series.
func (s *Store) take(namespace string, d *types.MetricDatum, now time.Time) {
	h := s.find(alarm.Metric{Namespace: namespace, MetricName: *d.MetricName, Dimensions: fromDimensions(d.Dimensions)})
	if d.Timestamp != nil {
		now = *d.Timestamp
	}
	second, resolution := now.Unix(), int64(aws.ToInt32(d.StorageResolution))
	if resolution == 0 {
		resolution = standard
	}
	switch set := d.StatisticValues; {
	case d.Value != nil:
		h.addValue(second, resolution, *d.Value, 1)
	case set != nil:
		var sums alarm.Distribution
		sums.AddSet(*set.SampleCount, *set.Sum, *set.Minimum, *set.Maximum)
		h.add(second, resolution, &sums)
	default:
		for i, v := range d.Values {
			count := 1.0
			if len(d.Counts) > 0 {
				count = d.Counts[i]
			}
			h.addValue(second, resolution, v, count)
		}
	}
}

// getMetricStatistics gives one metric's statistics by period.
func (s *Store) getMetricStatistics(in *api.GetMetricStatisticsInput) (*api.GetMetricStatisticsOutput, error) {
	switch {
	case in.Namespace == nil:
		return nil, missing("Namespace")
	case in.MetricName == nil:
		return nil, missing("MetricName")
	case in.Period == nil:
		return nil, missing("Period")
	case in.StartTime == nil:
		return nil, missing("StartTime")
	case in.EndTime == nil:
		return nil, missing("EndTime")
	case len(in.Statistics)+len(in.ExtendedStatistics) == 0:
		return nil, missing("Statistics")
	}
	if err := checkDimensions("", in.Dimensions); err != nil {
		return nil, err
	}
	var stats []alarm.Statistic
	for _, name := range in.Statistics {
		stat, err := alarm.ParseStatistic(string(name))
		if err != nil || stat.Extended() {
			return nil, invalidValue("Statistics: %q is none of SampleCount, Average, Sum, Minimum, Maximum", short(string(name)))
		}
		stats = append(stats, stat)
	}
	for _, name := range in.ExtendedStatistics {
		stat, err := alarm.ParseStatistic(name)
		if err != nil || !stat.Extended() {
			return nil, invalidValue("ExtendedStatistics: %q is no percentile or trimmed statistic", short(name))
		}
		stats = append(stats, stat)
	}
	span, err := newSpan(*in.StartTime, *in.EndTime, int64(*in.Period), maxStatistics)
	if err != nil {
		return nil, err
	}
	h := s.look(alarm.Metric{Namespace: *in.Namespace, MetricName: *in.MetricName, Dimensions: fromDimensions(in.Dimensions)})
	out := &api.GetMetricStatisticsOutput{Label: in.MetricName, Datapoints: []types.Datapoint{}}
	for n := range span.points {
		from := span.from + int64(n)*span.period
		point := types.Datapoint{Timestamp: aws.Time(time.Unix(from, 0).UTC()), Unit: types.StandardUnitNone}
		found := false
		for _, stat := range stats {
			p := h.point(stat, from, from+span.period)
			if !p.Present {
				continue
			}
			found = true
			switch stat.String() {
			case "SampleCount":
				point.SampleCount = aws.Float64(p.Value)
			case "Average":
				point.Average = aws.Float64(p.Value)
			case "Sum":
				point.Sum = aws.Float64(p.Value)
			case "Minimum":
				point.Minimum = aws.Float64(p.Value)
			case "Maximum":
				point.Maximum = aws.Float64(p.Value)
			default:
				if point.ExtendedStatistics == nil {
					point.ExtendedStatistics = map[string]float64{}
				}
				point.ExtendedStatistics[stat.String()] = p.Value
			}
		}
		if found {
			out.Datapoints = append(out.Datapoints, point)
		}
	}
	return out, nil
}

// A span is the periods that a query asks for.
type span struct {
	from, period int64 // seconds
	points       int
}

func newSpan(start, end time.Time, period int64, most int) (span, error) {
	switch {
	case !start.Before(end):
		return span{}, invalidValue("StartTime %s must be before EndTime %s", start.Format(time.RFC3339), end.Format(time.RFC3339))
	case period != 1 && period != 5 && period != 10 && period != 20 && period != 30 && (period < 60 || period%60 != 0):
		return span{}, invalidValue("Period is %d seconds: want 1, 5, 10, 20, 30 or a multiple of 60", period)
	}
	from := floor(start.Unix(), min(period, standard))
	points := (end.Unix() - from + period - 1) / period
	if points < 0 || points > int64(most) {
		return span{}, invalidCombination("the query asks for %d datapoints; at most %d are allowed: ask for less time, or a longer Period", points, most)
	}
	return span{from, period, int(points)}, nil
}

// getMetricData gives metrics and metric math, by the engine of the alarms: so all
// metrics of a call that has expressions must have one period.
func (s *Store) getMetricData(in *api.GetMetricDataInput) (*api.GetMetricDataOutput, error) {
	switch {
	case len(in.MetricDataQueries) == 0:
		return nil, missing("MetricDataQueries")
	case in.StartTime == nil:
		return nil, missing("StartTime")
	case in.EndTime == nil:
		return nil, missing("EndTime")
	case len(in.MetricDataQueries) > 500:
		return nil, invalidValue("MetricDataQueries has %d members; at most 500 are allowed", len(in.MetricDataQueries))
	}
	queries, err := fromQueries(in.MetricDataQueries)
	if err != nil {
		return nil, err
	}
	out := &api.GetMetricDataOutput{MetricDataResults: []types.MetricDataResult{}}
	left := maxPoints
	for i := range queries {
		if !queries[i].ReturnData {
			continue
		}
		result, err := s.queryResult(queries, i, in, &left)
		if err != nil {
			return nil, err
		}
		if in.ScanBy != types.ScanByTimestampAscending {
			slices.Reverse(result.Timestamps)
			slices.Reverse(result.Values)
		}
		out.MetricDataResults = append(out.MetricDataResults, result)
	}
	return out, nil
}

// queryResult answers one query of a call.
func (s *Store) queryResult(all []alarm.MetricDataQuery, wanted int, in *api.GetMetricDataInput, left *int) (types.MetricDataResult, error) {
	q := all[wanted]
	result := types.MetricDataResult{Id: aws.String(q.Id), Label: aws.String(cmp.Or(q.Label, q.Id)), StatusCode: types.StatusCodeComplete,
		Timestamps: []time.Time{}, Values: []float64{}}
	asked := []alarm.MetricDataQuery{q}
	if q.Expression != "" {
		asked = slices.Clone(all)
		for i := range asked {
			asked[i].ReturnData = i == wanted
		}
	} else if q.Label == "" && q.MetricStat != nil {
		result.Label = aws.String(q.MetricStat.Metric.MetricName)
	}
	judged := alarm.Alarm{AlarmName: "query", Metrics: asked, EvaluationPeriods: 1, ComparisonOperator: "GreaterThanThreshold"}
	c, err := judged.Compile()
	if err != nil {
		return result, validation("%v", err)
	}
	span, err := newSpan(*in.StartTime, *in.EndTime, int64(c.Period/time.Second), *left)
	if err != nil {
		return result, err
	}
	*left -= span.points
	inputs := make([][]alarm.Point, len(c.Inputs))
	for i, input := range c.Inputs {
		h := s.look(input.Metric)
		inputs[i] = make([]alarm.Point, span.points)
		for n := range inputs[i] {
			from := span.from + int64(n)*span.period
			inputs[i][n] = h.point(input.Statistic, from, from+span.period)
		}
	}
	for n, p := range c.Points(&s.scratch, inputs) {
		if p.Present {
			result.Timestamps = append(result.Timestamps, time.Unix(span.from+int64(n)*span.period, 0).UTC())
			result.Values = append(result.Values, p.Value)
		}
	}
	return result, nil
}

// listMetrics lists what ever had data.
func (s *Store) listMetrics(in *api.ListMetricsInput) (*api.ListMetricsOutput, error) {
	for i, d := range in.Dimensions {
		if aws.ToString(d.Name) == "" {
			return nil, missing("Dimensions.member." + strconv.Itoa(i+1) + ".Name")
		}
	}
	skip := 0
	if in.NextToken != nil {
		var err error
		if skip, err = strconv.Atoi(*in.NextToken); err != nil || skip < 0 {
			return nil, invalidValue("NextToken is not one that this call gave")
		}
	}
	var found []*Series
	for _, k := range slices.Sorted(maps.Keys(s.series)) {
		if h := s.series[k]; h.fed && asked(in, h.metric) {
			found = append(found, h)
		}
	}
	found = found[min(skip, len(found)):]
	out := &api.ListMetricsOutput{Metrics: []types.Metric{}}
	if len(found) > metricsPage {
		found = found[:metricsPage]
		out.NextToken = aws.String(strconv.Itoa(skip + metricsPage))
	}
	for _, h := range found {
		out.Metrics = append(out.Metrics, types.Metric{Namespace: aws.String(h.metric.Namespace), MetricName: aws.String(h.metric.MetricName),
			Dimensions: toDimensions(h.metric.Dimensions)})
	}
	return out, nil
}

func asked(in *api.ListMetricsInput, m alarm.Metric) bool {
	if in.Namespace != nil && *in.Namespace != m.Namespace || in.MetricName != nil && *in.MetricName != m.MetricName {
		return false
	}
	for _, want := range in.Dimensions {
		if !slices.ContainsFunc(m.Dimensions, func(d alarm.Dimension) bool {
			return d.Name == *want.Name && (want.Value == nil || d.Value == *want.Value)
		}) {
			return false
		}
	}
	return true
}

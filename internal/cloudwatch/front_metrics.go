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
	case "DescribeAlarmsForMetric":
		return call((*Store).describeAlarmsForMetric)
	case "EnableAlarmActions":
		return call((*Store).enableAlarmActions)
	case "DisableAlarmActions":
		return call((*Store).disableAlarmActions)
	case "TagResource":
		return call((*Store).tagResource)
	case "UntagResource":
		return call((*Store).untagResource)
	case "ListTagsForResource":
		return call((*Store).listTagsForResource)
	case "PutDashboard":
		return call((*Store).putDashboard)
	case "GetDashboard":
		return call((*Store).getDashboard)
	case "ListDashboards":
		return call((*Store).listDashboards)
	case "DeleteDashboards":
		return call((*Store).deleteDashboards)
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
	maxBasic      = 5             // statistics of GetMetricStatistics
	maxExtended   = 10            // extended ones
	maxListDims   = 10            // dimensions of ListMetrics
	metricsPage   = 500           // of ListMetrics
	recently      = 3 * time.Hour // for RecentlyActive
)

// putMetricData checks every datum, and then takes them all. Unlike AWS it takes
// the namespaces that begin with AWS/, since here nobody else publishes them.
func (s *Store) putMetricData(in *api.PutMetricDataInput) (*api.PutMetricDataOutput, error) {
	namespace := aws.ToString(in.Namespace)
	if err := s.room(); err != nil {
		return nil, err
	}
	if namespace == "" {
		return nil, missing("Namespace")
	}
	if err := checkText(where{}, "Namespace", namespace, 255); err != nil {
		return nil, err
	}
	if namespace[0] == ':' {
		return nil, invalidValue("Namespace %q must not begin with a colon", namespace)
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
		if err := checkDatum(where{list: "MetricData", i: i}, &datums[i], now); err != nil {
			return nil, err
		}
	}
	for i := range datums {
		s.take(namespace, &datums[i], now)
	}
	return &api.PutMetricDataOutput{}, nil
}

// A where is the place of something in a call: what stands in front of the name of
// a member. It is only written out when that is wrong.
type where struct {
	list  string // "": none
	i     int    // of the list, from 0
	inner string // in the item of the list
	n     int    // if inner is a list, of that, from 1
}

func (p where) String() string {
	var at string
	if p.list != "" {
		at = p.list + ".member." + strconv.Itoa(p.i+1) + "."
	}
	at += p.inner
	if p.n > 0 {
		at += ".member." + strconv.Itoa(p.n) + "."
	}
	return at
}

func checkDatum(at where, d *types.MetricDatum, now time.Time) error {
	if aws.ToString(d.MetricName) == "" {
		return missing(at.String() + "MetricName")
	}
	if err := checkText(at, "MetricName", *d.MetricName, 255); err != nil {
		return err
	}
	if err := checkDimensions(at, d.Dimensions); err != nil {
		return err
	}
	switch {
	case d.Unit != "" && !slices.Contains(d.Unit.Values(), d.Unit):
		return invalidValue("%vUnit is %q, which is no unit", at, short(string(d.Unit)))
	case d.StorageResolution != nil && *d.StorageResolution != high && *d.StorageResolution != standard:
		return invalidValue("%vStorageResolution is %d: want 1 or 60 seconds", at, *d.StorageResolution)
	case d.Timestamp == nil && now.IsZero():
		return missing(at.String() + "Timestamp")
	case d.Timestamp != nil && (d.Timestamp.Unix() < 0 || d.Timestamp.Year() > 9999):
		return invalidValue("%vTimestamp is not between 1970 and 9999", at)
	case d.Timestamp != nil && !now.IsZero() && d.Timestamp.Before(now.Add(-oldestDatum)):
		return invalidValue("%vTimestamp is %s: more than two weeks ago, it is %s", at, d.Timestamp.Format(time.RFC3339), now.Format(time.RFC3339))
	case d.Timestamp != nil && !now.IsZero() && d.Timestamp.After(now.Add(newestDatum)):
		return invalidValue("%vTimestamp is %s: more than two hours from now, it is %s", at, d.Timestamp.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	kinds := 0
	for _, given := range []bool{d.Value != nil, d.StatisticValues != nil, len(d.Values) > 0} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return missing(at.String() + "Value")
	case kinds > 1:
		return invalidCombination("%vValue, Values and StatisticValues: give one of them", at)
	case len(d.Values) > maxDatumList:
		return invalidValue("%vValues has %d members; at most %d are allowed", at, len(d.Values), maxDatumList)
	case len(d.Counts) > 0 && len(d.Counts) != len(d.Values):
		return invalidValue("%vCounts has %d members and Values %d: want as many", at, len(d.Counts), len(d.Values))
	}
	for _, numbers := range [...][]float64{d.Values, d.Counts} {
		if err := checkNumbers(at, numbers...); err != nil {
			return err
		}
	}
	if d.Value != nil {
		if err := checkNumbers(at, *d.Value); err != nil {
			return err
		}
	}
	for _, n := range d.Counts {
		if n < 0 {
			return invalidValue("%vCounts has %v: want no negative number", at, n)
		}
	}
	if set := d.StatisticValues; set != nil {
		if set.SampleCount == nil || set.Sum == nil || set.Minimum == nil || set.Maximum == nil {
			return missing(at.String() + "StatisticValues needs SampleCount, Sum, Minimum and Maximum")
		}
		if *set.SampleCount < 0 || *set.Minimum > *set.Maximum {
			return invalidValue("%vStatisticValues: SampleCount must not be negative, nor Minimum above Maximum", at)
		}
		return checkNumbers(at, *set.SampleCount, *set.Sum, *set.Minimum, *set.Maximum)
	}
	return nil
}

func checkNumbers(at where, numbers ...float64) error {
	const most = 1 << 360 // says AWS
	for _, n := range numbers {
		if math.IsNaN(n) || math.Abs(n) > most {
			return invalidValue("%vValue is %v: want a number from -2^360 to 2^360", at, n)
		}
	}
	return nil
}

// checkDimensions checks the dimensions that stand there.
func checkDimensions(at where, dims []types.Dimension) error {
	if len(dims) > maxDimensions {
		return invalidValue("%vDimensions has %d members; at most %d are allowed", at, len(dims), maxDimensions)
	}
	at.inner += "Dimensions"
	for i, d := range dims {
		at.n = i + 1
		if aws.ToString(d.Name) == "" {
			return missing(at.String() + "Name")
		}
		if aws.ToString(d.Value) == "" {
			return missing(at.String() + "Value")
		}
		if err := checkText(at, "Name", *d.Name, 255); err != nil {
			return err
		}
		if err := checkText(at, "Value", *d.Value, 1024); err != nil {
			return err
		}
		for _, other := range dims[:i] {
			if *other.Name == *d.Name {
				return invalidValue("%vName %q is given twice", at, *d.Name)
			}
		}
	}
	return nil
}

func checkText(at where, name, text string, most int) error {
	if len(text) > most {
		return invalidValue("%v%s has %d characters; at most %d are allowed", at, name, len(text), most)
	}
	for _, c := range text {
		if c < ' ' || c > '~' {
			return invalidValue("%v%s %q has the character %q: want printable ASCII", at, name, short(text), c)
		}
	}
	return nil
}

// take puts a datum that was checked into its series.
func (s *Store) take(namespace string, d *types.MetricDatum, now time.Time) {
	h := s.fed(namespace, d).of(cmp.Or(string(d.Unit), noUnit))
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

// fed is the head of a datum's series. The name of one that is known is put together in
// memory that is used again.
func (s *Store) fed(namespace string, d *types.MetricDatum) *Series {
	var dims [maxDimensions]alarm.Dimension
	sorting := dims[:len(d.Dimensions)]
	for i, dim := range d.Dimensions {
		sorting[i] = alarm.Dimension{Name: *dim.Name, Value: *dim.Value}
	}
	byName(sorting)
	m := alarm.Metric{Namespace: namespace, MetricName: *d.MetricName, Dimensions: sorting}
	s.keyed = appendKey(s.keyed[:0], m)
	if h := s.series[string(s.keyed)]; h != nil {
		return h
	}
	m.Dimensions = slices.Clone(sorting)
	return s.find(m)
}

// getMetricStatistics gives one metric's statistics by period, each unit's by itself.
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
	switch {
	case len(in.Statistics) > 0 && len(in.ExtendedStatistics) > 0:
		return nil, invalidCombination("Statistics and ExtendedStatistics: give one of them")
	case len(in.Statistics) > maxBasic:
		return nil, invalidValue("Statistics has %d members; at most %d are allowed", len(in.Statistics), maxBasic)
	case len(in.ExtendedStatistics) > maxExtended:
		return nil, invalidValue("ExtendedStatistics has %d members; at most %d are allowed", len(in.ExtendedStatistics), maxExtended)
	case in.Unit != "" && !slices.Contains(in.Unit.Values(), in.Unit):
		return nil, invalidValue("Unit is %q, which is no unit", short(string(in.Unit)))
	}
	if err := checkDimensions(where{}, in.Dimensions); err != nil {
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
	span, err := newSpan(*in.StartTime, *in.EndTime, int64(*in.Period), invalidValue)
	if err != nil {
		return nil, err
	}
	if span.points > maxStatistics {
		return nil, invalidCombination("you have requested up to %d datapoints, which exceeds the limit of %d: ask for less time, or a longer Period", span.points, maxStatistics)
	}
	head := s.look(alarm.Metric{Namespace: *in.Namespace, MetricName: *in.MetricName, Dimensions: fromDimensions(in.Dimensions)})
	out := &api.GetMetricStatisticsOutput{Label: in.MetricName, Datapoints: []types.Datapoint{}}
	for n := range span.points {
		from := span.at(n)
		for h := range head.having(string(in.Unit)) {
			if point, found := h.datapoint(stats, from, from+span.period); found {
				out.Datapoints = append(out.Datapoints, point)
			}
		}
	}
	return out, nil
}

// datapoint is what there is in [from, to), by these statistics.
func (h *Series) datapoint(stats []alarm.Statistic, from, to int64) (point types.Datapoint, found bool) {
	for _, stat := range stats {
		p := h.point(stat, from, to)
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
	point.Timestamp, point.Unit = aws.Time(time.Unix(from, 0).UTC()), types.StandardUnit(h.unit)
	return point, found
}

// listMetrics lists what ever had data.
func (s *Store) listMetrics(in *api.ListMetricsInput) (*api.ListMetricsOutput, error) {
	for i, d := range in.Dimensions {
		if aws.ToString(d.Name) == "" {
			return nil, missing("Dimensions.member." + strconv.Itoa(i+1) + ".Name")
		}
	}
	switch {
	case len(in.Dimensions) > maxListDims:
		return nil, invalidValue("Dimensions has %d members; at most %d are allowed", len(in.Dimensions), maxListDims)
	case in.RecentlyActive != "" && in.RecentlyActive != types.RecentlyActivePt3h:
		return nil, invalidValue("RecentlyActive is %q: want PT3H", short(string(in.RecentlyActive)))
	}
	since := int64(math.MinInt64)
	if in.RecentlyActive != "" {
		since = s.time().Add(-recently).Unix()
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
		if h := s.series[k]; h.fedWith("") && asked(in, h.metric) && (in.RecentlyActive == "" || h.after(since)) {
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
		if aws.ToBool(in.IncludeLinkedAccounts) {
			out.OwningAccounts = append(out.OwningAccounts, account)
		}
		out.Metrics = append(out.Metrics, types.Metric{Namespace: aws.String(h.metric.Namespace), MetricName: aws.String(h.metric.MetricName),
			Dimensions: toDimensions(h.metric.Dimensions)})
	}
	return out, nil
}

func asked(in *api.ListMetricsInput, m alarm.Metric) bool {
	if in.OwningAccount != nil && *in.OwningAccount != account {
		return false
	}
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

// after says whether the metric has data from that second on.
func (h *Series) after(second int64) bool {
	start, ok := h.newestOf()
	return ok && start >= second
}

package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// past is ten minutes before now, at a whole minute: complete, and old enough that
// AWS has it at hand.
func (b *bench) past(ctx context.Context) (time.Time, error) {
	now, err := b.clock.now(ctx)
	return now.Truncate(time.Minute).Add(-10 * time.Minute), err
}

// getCases are what GetMetricStatistics, GetMetricData and ListMetrics give.
func getCases() []Case {
	statistics, data := reference+"GetMetricStatistics.html", reference+"GetMetricData.html"
	all := []types.Statistic{types.StatisticSum, types.StatisticAverage, types.StatisticMinimum, types.StatisticMaximum, types.StatisticSampleCount}
	return []Case{
		{Name: "get-statistics", Documented: "the samples of a minute are summed up by each statistic", Source: statistics, run: func(ctx context.Context, b *bench) (string, error) {
			at, err := b.past(ctx)
			if err != nil {
				return "", err
			}
			if err := b.put(ctx, datum("m", at, 1), datum("m", at.Add(10*time.Second), 2), datum("m", at.Add(50*time.Second), 6), datum("m", at.Add(time.Minute), 100)); err != nil {
				return "", err
			}
			return "Sum 9, Average 3, Minimum 1, Maximum 6, SampleCount 3", b.eventually(ctx, func() error {
				points, err := b.statistics(ctx, "m", at, at.Add(time.Minute), 60, func(in *cloudwatch.GetMetricStatisticsInput) { in.Statistics = all })
				if err != nil {
					return err
				}
				return b.summed(points, 9, 3, 1, 6, 3)
			})
		}},
		{Name: "get-values-and-counts", Documented: "Values come Counts times each", Source: reference + "MetricDatum.html", run: func(ctx context.Context, b *bench) (string, error) {
			at, err := b.past(ctx)
			if err != nil {
				return "", err
			}
			if err := b.put(ctx, types.MetricDatum{MetricName: aws.String("m"), Timestamp: &at, Values: []float64{1, 4}, Counts: []float64{3, 1}}); err != nil {
				return "", err
			}
			return "Sum 7, Average 1.75, SampleCount 4", b.eventually(ctx, func() error {
				points, err := b.statistics(ctx, "m", at, at.Add(time.Minute), 60, func(in *cloudwatch.GetMetricStatisticsInput) { in.Statistics = all })
				if err != nil {
					return err
				}
				return b.summed(points, 7, 1.75, 1, 4, 4)
			})
		}},
		{Name: "get-statistic-set", Documented: "a statistic set counts as its samples", Source: reference + "StatisticSet.html", run: func(ctx context.Context, b *bench) (string, error) {
			at, err := b.past(ctx)
			if err != nil {
				return "", err
			}
			if err := b.put(ctx, set("m", at, 4, 20, 2, 9), datum("m", at, 1)); err != nil {
				return "", err
			}
			return "Sum 21, SampleCount 5", b.eventually(ctx, func() error {
				points, err := b.statistics(ctx, "m", at, at.Add(time.Minute), 60, func(in *cloudwatch.GetMetricStatisticsInput) { in.Statistics = all })
				if err != nil {
					return err
				}
				return b.summed(points, 21, 4.2, 1, 9, 5)
			})
		}},
		{Name: "get-percentile", Documented: "p90 of the values 1 to 100 is about 90", Source: statistics, run: func(ctx context.Context, b *bench) (string, error) {
			at, err := b.past(ctx)
			if err != nil {
				return "", err
			}
			var values []float64
			for i := range 100 {
				values = append(values, float64(i+1))
			}
			if err := b.put(ctx, types.MetricDatum{MetricName: aws.String("m"), Timestamp: &at, Values: values}); err != nil {
				return "", err
			}
			return "it is", b.eventually(ctx, func() error {
				points, err := b.statistics(ctx, "m", at, at.Add(time.Minute), 60, func(in *cloudwatch.GetMetricStatisticsInput) { in.ExtendedStatistics = []string{"p90"} })
				if err != nil {
					return err
				}
				if len(points) != 1 {
					return deviates("there are %d points", len(points))
				}
				p90, ok := points[0].ExtendedStatistics["p90"]
				if !ok {
					return deviates("the point has no p90")
				}
				return near("p90", &p90, 90, 0.02) // CloudWatch works on rounded buckets
			})
		}},
		{Name: "get-percentile-of-a-set", Documented: "a statistic set of unlike samples has no percentile", Source: statistics, run: func(ctx context.Context, b *bench) (string, error) {
			at, err := b.past(ctx)
			if err != nil {
				return "", err
			}
			if err := b.put(ctx, set("m", at, 4, 20, 2, 9)); err != nil {
				return "", err
			}
			points, err := b.statistics(ctx, "m", at, at.Add(time.Minute), 60, func(in *cloudwatch.GetMetricStatisticsInput) { in.ExtendedStatistics = []string{"p90"} })
			if err != nil {
				return "", err
			}
			for _, p := range points {
				if v, ok := p.ExtendedStatistics["p90"]; ok {
					return "", deviates("p90 is %g", v)
				}
			}
			return "it has none", nil
		}},
		{Name: "get-1441-points", Documented: "more than 1,440 points are refused", Source: statistics, run: func(ctx context.Context, b *bench) (string, error) {
			at, err := b.past(ctx)
			if err != nil {
				return "", err
			}
			_, err = b.statistics(ctx, "m", at.Add(-1441*time.Minute), at, 60, func(in *cloudwatch.GetMetricStatisticsInput) { in.Statistics = all })
			return refused(err, "InvalidParameterCombination", "InvalidParameterValue")
		}},
		{Name: "get-units-apart", Documented: "with a Unit only samples of that unit are given", Source: statistics, run: func(ctx context.Context, b *bench) (string, error) {
			at, err := b.past(ctx)
			if err != nil {
				return "", err
			}
			seconds, count := datum("m", at, 1), datum("m", at, 10)
			seconds.Unit, count.Unit = types.StandardUnitSeconds, types.StandardUnitCount
			if err := b.put(ctx, seconds, count); err != nil {
				return "", err
			}
			return "Sum 10", b.eventually(ctx, func() error {
				points, err := b.statistics(ctx, "m", at, at.Add(time.Minute), 60, func(in *cloudwatch.GetMetricStatisticsInput) {
					in.Statistics, in.Unit = all, types.StandardUnitCount
				})
				if err != nil {
					return err
				}
				return b.summed(points, 10, 10, 10, 10, 1)
			})
		}},
		{Name: "get-seconds", Documented: "a metric with StorageResolution 1 has points of 10 s", Source: reference + "MetricDatum.html", run: func(ctx context.Context, b *bench) (string, error) {
			at, err := b.past(ctx)
			if err != nil {
				return "", err
			}
			fine := func(d types.MetricDatum) types.MetricDatum { d.StorageResolution = aws.Int32(1); return d }
			if err := b.put(ctx, fine(datum("m", at, 1)), fine(datum("m", at.Add(10*time.Second), 2))); err != nil {
				return "", err
			}
			return "there are two", b.eventually(ctx, func() error {
				points, err := b.statistics(ctx, "m", at, at.Add(time.Minute), 10, func(in *cloudwatch.GetMetricStatisticsInput) { in.Statistics = all })
				if err != nil {
					return err
				}
				if err := equal("the number of points", len(points), 2); err != nil {
					return err
				}
				return near("the Sum of the second", points[1].Sum, 2, 0)
			})
		}},
		mathCase("math-ratio", "metric math divides point by point", "a/b*100", []float64{25, 50}),
		mathCase("math-division-by-zero", "a division by zero makes no point", "a/(b-4)", []float64{1}),
		mathCase("math-fill", "FILL puts a number where a point is missing", "FILL(c, 7)", []float64{3, 7}),
		mathCase("math-if", "IF chooses point by point", "IF(a > 1, a, b)", []float64{4, 4}),
		mathCase("math-sum", "SUM of a list adds the series up", "SUM([a, b])", []float64{5, 12}),
		mathCase("math-metrics", "METRICS() is all of the request's metrics", "MAX(METRICS())", []float64{4, 8}),
		{Name: "get-data-pages", Documented: "MaxDatapoints bounds a page, and NextToken leads to the rest", Source: data, run: dataPages},
		{Name: "get-data-order", Documented: "the newest point comes first, unless ScanBy says otherwise", Source: data, run: dataOrder},
		{Name: "get-data-unknown-id", Documented: "an expression with an unknown id is refused", Source: data, run: func(ctx context.Context, b *bench) (string, error) {
			at, err := b.past(ctx)
			if err != nil {
				return "", err
			}
			_, err = b.cw.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{StartTime: &at, EndTime: aws.Time(at.Add(time.Minute)),
				MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("e"), Expression: aws.String("nosuch*2")}}})
			return refused(err, "ValidationError", "InvalidParameterValue", "Validation")
		}},
		{Name: "list-metrics", Documented: "metrics are listed by namespace, name and dimension", Source: reference + "ListMetrics.html", run: listMetrics},
	}
}

func set(metric string, at time.Time, count, sum, minimum, maximum float64) types.MetricDatum {
	return types.MetricDatum{MetricName: aws.String(metric), Timestamp: aws.Time(at),
		StatisticValues: &types.StatisticSet{SampleCount: &count, Sum: &sum, Minimum: &minimum, Maximum: &maximum}}
}

// summed compares the one point.
func (*bench) summed(points []types.Datapoint, sum, average, minimum, maximum, count float64) error {
	if err := equal("the number of points", len(points), 1); err != nil {
		return err
	}
	for _, c := range []struct {
		what string
		got  *float64
		want float64
	}{
		{"Sum", points[0].Sum, sum}, {"Average", points[0].Average, average}, {"Minimum", points[0].Minimum, minimum},
		{"Maximum", points[0].Maximum, maximum}, {"SampleCount", points[0].SampleCount, count},
	} {
		if err := near(c.what, c.got, c.want, 1e-9); err != nil {
			return err
		}
	}
	return nil
}

// query fetches the Sum of a metric of the case by minutes.
func (b *bench) query(id, metric string, returned bool) types.MetricDataQuery {
	return types.MetricDataQuery{Id: aws.String(id), ReturnData: aws.Bool(returned), MetricStat: &types.MetricStat{
		Metric: &types.Metric{Namespace: aws.String(b.namespace), MetricName: aws.String(metric)}, Period: aws.Int32(60), Stat: aws.String("Sum")}}
}

// mathCase tries an expression over two minutes of a (1, 4), b (4, 8) and c (3, none).
func mathCase(name, documented, expression string, want []float64) Case {
	return Case{Name: name, Documented: documented + ": " + expression, Source: guide + "using-metric-math.html", run: func(ctx context.Context, b *bench) (string, error) {
		at, err := b.past(ctx)
		if err != nil {
			return "", err
		}
		next := at.Add(time.Minute)
		if err := b.put(ctx, datum("a", at, 1), datum("a", next, 4), datum("b", at, 4), datum("b", next, 8), datum("c", at, 3)); err != nil {
			return "", err
		}
		queries := []types.MetricDataQuery{{Id: aws.String("e"), Expression: aws.String(expression)}, b.query("a", "a", false), b.query("b", "b", false), b.query("c", "c", false)}
		return fmt.Sprint("it makes ", want), b.eventually(ctx, func() error {
			out, err := b.cw.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{StartTime: &at, EndTime: aws.Time(next.Add(time.Minute)), MetricDataQueries: queries, ScanBy: types.ScanByTimestampAscending})
			if err != nil {
				return err
			}
			if len(out.MetricDataResults) != 1 {
				return deviates("it makes %d series", len(out.MetricDataResults))
			}
			got := out.MetricDataResults[0].Values
			if len(got) != len(want) {
				return deviates("it makes %v, not %v", got, want)
			}
			for i := range want {
				if near("", &got[i], want[i], 1e-9) != nil {
					return deviates("it makes %v, not %v", got, want)
				}
			}
			return nil
		})
	}}
}

// five puts five minutes of a metric, with the values 1 to 5.
func (b *bench) five(ctx context.Context) (from, to time.Time, err error) {
	from, err = b.past(ctx)
	if err != nil {
		return from, to, err
	}
	from = from.Add(-5 * time.Minute)
	to = from.Add(5 * time.Minute)
	var data []types.MetricDatum
	for i := range 5 {
		data = append(data, datum("m", from.Add(time.Duration(i)*time.Minute), float64(i+1)))
	}
	return from, to, b.put(ctx, data...)
}

func dataPages(ctx context.Context, b *bench) (string, error) {
	from, to, err := b.five(ctx)
	if err != nil {
		return "", err
	}
	return "all points come, none twice", b.eventually(ctx, func() error {
		in := &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to, MetricDataQueries: []types.MetricDataQuery{b.query("m", "m", true)},
			MaxDatapoints: aws.Int32(2), ScanBy: types.ScanByTimestampAscending}
		var values []float64
		pages := 0
		for {
			out, err := b.cw.GetMetricData(ctx, in)
			if err != nil {
				return err
			}
			n := 0
			for _, r := range out.MetricDataResults {
				values = append(values, r.Values...)
				n += len(r.Values)
			}
			if n > 2 {
				return deviates("a page has %d points", n)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
			if pages++; pages > 10 {
				return deviates("the pages do not end")
			}
		}
		return equal("what comes", fmt.Sprint(values), "[1 2 3 4 5]")
	})
}

func dataOrder(ctx context.Context, b *bench) (string, error) {
	from, to, err := b.five(ctx)
	if err != nil {
		return "", err
	}
	return "5 to 1, and 1 to 5", b.eventually(ctx, func() error {
		for scan, want := range map[types.ScanBy]string{"": "[5 4 3 2 1]", types.ScanByTimestampAscending: "[1 2 3 4 5]"} {
			out, err := b.cw.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to, MetricDataQueries: []types.MetricDataQuery{b.query("m", "m", true)}, ScanBy: scan})
			if err != nil {
				return err
			}
			if len(out.MetricDataResults) != 1 {
				return deviates("there are %d series", len(out.MetricDataResults))
			}
			if err := equal("the order", fmt.Sprint(out.MetricDataResults[0].Values), want); err != nil {
				return err
			}
		}
		return nil
	})
}

func listMetrics(ctx context.Context, b *bench) (string, error) {
	d := func(value string) []types.Dimension {
		return []types.Dimension{{Name: aws.String("Service"), Value: aws.String(value)}}
	}
	if err := b.put(ctx, types.MetricDatum{MetricName: aws.String("m"), Dimensions: d("shop"), Value: aws.Float64(1)},
		types.MetricDatum{MetricName: aws.String("m"), Dimensions: d("till"), Value: aws.Float64(1)}, types.MetricDatum{MetricName: aws.String("other"), Value: aws.Float64(1)}); err != nil {
		return "", err
	}
	err := b.eventually(ctx, func() error {
		for _, c := range []struct {
			in   cloudwatch.ListMetricsInput
			want int
		}{
			{cloudwatch.ListMetricsInput{}, 3}, {cloudwatch.ListMetricsInput{MetricName: aws.String("m")}, 2},
			{cloudwatch.ListMetricsInput{Dimensions: []types.DimensionFilter{{Name: aws.String("Service"), Value: aws.String("till")}}}, 1},
			{cloudwatch.ListMetricsInput{Dimensions: []types.DimensionFilter{{Name: aws.String("Service")}}}, 2},
		} {
			c.in.Namespace = aws.String(b.namespace)
			out, err := b.cw.ListMetrics(ctx, &c.in)
			if err != nil {
				return err
			}
			if err := equal("the number of metrics", len(out.Metrics), c.want); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !b.local {
		return "", undecided("new metrics may take 15 minutes to be listed: %v", err)
	}
	return "3 of the namespace, 2 of the name, 1 of the dimension's value", err
}

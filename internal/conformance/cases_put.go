package conformance

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

const (
	reference = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_"
	guide     = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/"
	logsAPI   = "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_"
	logsGuide = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/"
)

func protocolCases() []Case {
	var cases []Case
	for _, p := range protocols {
		cases = append(cases, Case{
			Name: "protocol-" + p.name, Documented: "CloudWatch speaks " + p.title, Source: reference + "PutMetricData.html",
			run: func(ctx context.Context, b *bench) (string, error) {
				own := *b
				own.cw = b.dial(p.name)
				return "PutMetricData and DescribeAlarms are answered", own.speaks(ctx)
			},
		})
	}
	return cases
}

// putCases are what PutMetricData takes and what it refuses.
func putCases() []Case {
	source := reference + "PutMetricData.html"
	// refusal is a case of data that are refused.
	refusal := func(name, documented string, codes []string, data func(now time.Time) []types.MetricDatum) Case {
		return Case{Name: name, Documented: documented, Source: source, run: func(ctx context.Context, b *bench) (string, error) {
			now, err := b.clock.now(ctx)
			if err != nil {
				return "", err
			}
			return refused(b.put(ctx, data(now)...), codes...)
		}}
	}
	const value, combination = "InvalidParameterValue", "InvalidParameterCombination"
	one := func(d types.MetricDatum) func(time.Time) []types.MetricDatum {
		return func(time.Time) []types.MetricDatum {
			d.MetricName = aws.String("m")
			return []types.MetricDatum{d}
		}
	}
	numbers := func(n int) []float64 {
		var all []float64
		for i := range n {
			all = append(all, float64(i))
		}
		return all
	}
	return []Case{
		refusal("put-value-nan", "NaN is no value", []string{value}, one(types.MetricDatum{Value: aws.Float64(math.NaN())})),
		refusal("put-value-infinite", "an infinite number is no value", []string{value}, one(types.MetricDatum{Value: aws.Float64(math.Inf(1))})),
		refusal("put-value-too-large", "a value is from -2^360 to 2^360", []string{value}, one(types.MetricDatum{Value: aws.Float64(math.Ldexp(1, 361))})),
		refusal("put-too-old", "a time more than two weeks past is refused", []string{value},
			func(now time.Time) []types.MetricDatum {
				return []types.MetricDatum{datum("m", now.Add(-15*24*time.Hour), 1)}
			}),
		refusal("put-in-the-future", "a time more than two hours ahead is refused", []string{value},
			func(now time.Time) []types.MetricDatum {
				return []types.MetricDatum{datum("m", now.Add(3*time.Hour), 1)}
			}),
		refusal("put-31-dimensions", "a metric has at most 30 dimensions", []string{value}, func(time.Time) []types.MetricDatum {
			d := types.MetricDatum{MetricName: aws.String("m"), Value: aws.Float64(1)}
			for i := range 31 {
				d.Dimensions = append(d.Dimensions, types.Dimension{Name: aws.String(fmt.Sprintf("d%d", i)), Value: aws.String("v")})
			}
			return []types.MetricDatum{d}
		}),
		refusal("put-1001-datums", "a request has at most 1,000 metrics", []string{value, combination, "ValidationError", "LimitExceeded"}, func(time.Time) []types.MetricDatum {
			var all []types.MetricDatum
			for i := range 1001 {
				all = append(all, types.MetricDatum{MetricName: aws.String(fmt.Sprintf("m%d", i)), Value: aws.Float64(1)})
			}
			return all
		}),
		refusal("put-value-and-statistics", "a datum has either Value or StatisticValues", []string{combination}, one(types.MetricDatum{Value: aws.Float64(1),
			StatisticValues: &types.StatisticSet{SampleCount: aws.Float64(2), Sum: aws.Float64(3), Minimum: aws.Float64(1), Maximum: aws.Float64(2)}})),
		refusal("put-151-values", "a datum has at most 150 Values", []string{value}, one(types.MetricDatum{Values: numbers(151)})),
		refusal("put-counts-of-another-length", "Counts are as many as Values", []string{value, combination}, one(types.MetricDatum{Values: numbers(3), Counts: []float64{1, 1}})),
		refusal("put-storage-resolution", "StorageResolution is 1 or 60", []string{value}, one(types.MetricDatum{Value: aws.Float64(1), StorageResolution: aws.Int32(30)})),
		{Name: "put-1000-datums", Documented: "a request of 1,000 metrics is taken", Source: source, run: func(ctx context.Context, b *bench) (string, error) {
			var all []types.MetricDatum
			for i := range 1000 {
				all = append(all, types.MetricDatum{MetricName: aws.String(fmt.Sprintf("m%d", i)), Value: aws.Float64(1)})
			}
			return "it is taken", b.put(ctx, all...)
		}},
	}
}

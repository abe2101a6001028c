package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// patternCases are what filter patterns match, by TestMetricFilter.
func patternCases() []Case {
	const source = logsGuide + "FilterAndPatternSyntax.html"
	const access = `127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
	const served = `127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 200 1534`
	var cases []Case
	for _, p := range []struct {
		name, documented, pattern string
		matches, not              []string
	}{
		{"nothing", "an empty pattern matches every line", "", []string{"ERROR", "x"}, nil},
		{"term", "a term matches lines that have it, in its case", "ERROR", []string{"[ERROR 400] BAD REQUEST"}, []string{"[WARN] slow", "error"}},
		{"terms", "several terms match lines that have all of them", "ERROR ARGUMENTS", []string{"[ERROR 419] MISSING ARGUMENTS"}, []string{"[ERROR 401] UNAUTHORIZED REQUEST"}},
		{"phrase", "a phrase in quotes matches as it stands", `"INTERNAL SERVER ERROR"`, []string{"[ERROR 500] INTERNAL SERVER ERROR"}, []string{"ERROR: INTERNAL of SERVER"}},
		{"optional", "of optional terms one is enough", "?ERROR ?ARGUMENTS", []string{"[ERROR 401]", "MISSING ARGUMENTS"}, []string{"[WARN] slow"}},
		{"excluded", "a term with a minus must be absent", "ERROR -ARGUMENTS", []string{"[ERROR 401] UNAUTHORIZED REQUEST"}, []string{"[ERROR 419] MISSING ARGUMENTS"}},
		{"regular-expression", "what is between percent signs is a regular expression", "%ERROR 4[0-9]{2}%", []string{"[ERROR 404] x"}, []string{"[ERROR 500] x"}},
		{"json-text", "a field of JSON equals a text", `{ $.eventType = "UpdateTrail" }`, []string{`{"eventType": "UpdateTrail"}`}, []string{`{"eventType": "Other"}`, "UpdateTrail"}},
		{"json-star", "a star stands for any text", `{ $.ip = 123.123.* }`, []string{`{"ip": "123.123.4.5"}`}, []string{`{"ip": "123.124.4.5"}`}},
		{"json-number", "a field of JSON is compared as a number", `{ $.bandwidth > 75 }`, []string{`{"bandwidth": 75.5}`, `{"bandwidth": 1e3}`}, []string{`{"bandwidth": 75}`, `{"bandwidth": 9}`}},
		{"json-and", "conditions are joined by &&", `{ ($.user.id = 1) && ($.users[0].email = "john@example.com") }`,
			[]string{`{"user": {"id": 1}, "users": [{"email": "john@example.com"}]}`}, []string{`{"user": {"id": 2}, "users": [{"email": "john@example.com"}]}`, `{"user": {"id": 1}, "users": []}`}},
		{"json-or", "conditions are joined by ||", `{ $.user.email = "a@example.com" || $.code = 7 }`, []string{`{"code": 7}`, `{"user": {"email": "a@example.com"}}`}, []string{`{"code": 8}`}},
		{"json-null", "IS NULL", `{ $.object IS NULL }`, []string{`{"object": null}`}, []string{`{"object": {}}`}},
		{"json-not-exists", "NOT EXISTS", `{ $.object NOT EXISTS }`, []string{`{"other": 1}`}, []string{`{"object": 1}`}},
		{"json-true", "IS TRUE", `{ $.flag IS TRUE }`, []string{`{"flag": true}`}, []string{`{"flag": false}`, `{"flag": "x"}`}},
		{"json-regular-expression", "a field of JSON matches a regular expression", `{ $.status = %4[0-9]{2}% }`, []string{`{"status": "404"}`}, []string{`{"status": "500"}`}},
		{"columns", "the words of a line by column", "[ip, user, username, timestamp, request = *.html*, status_code = 4*, bytes]", []string{access}, []string{served, "127.0.0.1 404"}},
		{"columns-ellipsis", "an ellipsis stands for columns that do not matter", "[..., status_code = 4*, bytes]", []string{access}, []string{served}},
		{"columns-number", "a column is compared as a number, twice", "[..., status_code >= 400 && status_code < 500, bytes > 1000]", []string{access}, []string{served}},
		{"columns-or", "a column is one word or another", "[level = ERROR || level = WARN, text]", []string{"ERROR x", "WARN x"}, []string{"INFO x"}},
	} {
		cases = append(cases, Case{Name: "pattern-" + p.name, Documented: strings.TrimSuffix(p.documented+": "+p.pattern, ": "), Source: source,
			run: func(ctx context.Context, b *bench) (string, error) {
				out, err := b.logs.TestMetricFilter(ctx, &cloudwatchlogs.TestMetricFilterInput{FilterPattern: &p.pattern, LogEventMessages: slices.Concat(p.matches, p.not)})
				if err != nil {
					return "", err
				}
				var got []string
				for _, m := range out.Matches {
					got = append(got, aws.ToString(m.EventMessage))
				}
				if !slices.Equal(got, p.matches) {
					return "", deviates("it matches %q, not %q", got, p.matches)
				}
				return "so it does", nil
			}})
	}
	return append(cases, Case{Name: "pattern-malformed", Documented: "a malformed pattern is refused with InvalidParameter", Source: logsAPI + "TestMetricFilter.html", run: func(ctx context.Context, b *bench) (string, error) {
		_, err := b.logs.TestMetricFilter(ctx, &cloudwatchlogs.TestMetricFilterInput{FilterPattern: aws.String("{ $.a = "), LogEventMessages: []string{"x"}})
		return refused(err, "InvalidParameterException")
	}})
}

// logCases are log groups, their lines, and what metric filters make of them.
func logCases() []Case {
	refusal := func(name, documented, page, code string, run func(ctx context.Context, b *bench) error) Case {
		return Case{Name: name, Documented: documented, Source: logsAPI + page, run: func(ctx context.Context, b *bench) (string, error) {
			return refused(run(ctx, b), code)
		}}
	}
	return []Case{
		refusal("group-twice", "a log group that there is already is refused with ResourceAlreadyExists", "CreateLogGroup.html", "ResourceAlreadyExistsException", func(ctx context.Context, b *bench) error {
			name, err := b.group(ctx)
			if err != nil {
				return err
			}
			_, err = b.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
			return err
		}),
		refusal("group-unknown", "a filter of a log group that there is not is refused with ResourceNotFound", "PutMetricFilter.html", "ResourceNotFoundException", func(ctx context.Context, b *bench) error {
			_, err := b.logs.PutMetricFilter(ctx, b.filter(b.prefix+"-nosuch", "ERROR", nil))
			return err
		}),
		refusal("filter-malformed", "a filter with a malformed pattern is refused with InvalidParameter", "PutMetricFilter.html", "InvalidParameterException", func(ctx context.Context, b *bench) error {
			name, err := b.group(ctx)
			if err != nil {
				return err
			}
			_, err = b.logs.PutMetricFilter(ctx, b.filter(name, "{ $.a = ", nil))
			return err
		}),
		refusal("retention-of-2-days", "retention is one of a list of days", "PutRetentionPolicy.html", "InvalidParameterException", func(ctx context.Context, b *bench) error {
			name, err := b.group(ctx)
			if err != nil {
				return err
			}
			_, err = b.logs.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: &name, RetentionInDays: aws.Int32(2)})
			return err
		}),
		refusal("lines-out-of-order", "lines that are not in the order of their times are refused with InvalidParameter", "PutLogEvents.html", "InvalidParameterException", func(ctx context.Context, b *bench) error {
			name, err := b.group(ctx)
			if err != nil {
				return err
			}
			now, err := b.clock.now(ctx)
			if err != nil {
				return err
			}
			_, err = b.logs.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: &name, LogStreamName: aws.String("s"), LogEvents: []logtypes.InputLogEvent{
				{Timestamp: aws.Int64(now.UnixMilli()), Message: aws.String("later")}, {Timestamp: aws.Int64(now.Add(-time.Minute).UnixMilli()), Message: aws.String("earlier")}}})
			return err
		}),
		{Name: "lines-too-old", Documented: "lines older than 14 days are told in rejectedLogEventsInfo", Source: logsAPI + "PutLogEvents.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.group(ctx)
			if err != nil {
				return "", err
			}
			now, err := b.clock.now(ctx)
			if err != nil {
				return "", err
			}
			out, err := b.log(ctx, name, now.Add(-15*24*time.Hour), "old")
			if err != nil {
				return "", err
			}
			if out.RejectedLogEventsInfo == nil {
				return "", deviates("nothing is told")
			}
			return "they are", nil
		}},
		{Name: "lines-come-back", Documented: "GetLogEvents gives what PutLogEvents took", Source: logsAPI + "GetLogEvents.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.group(ctx)
			if err != nil {
				return "", err
			}
			now, err := b.clock.now(ctx)
			if err != nil {
				return "", err
			}
			if _, err := b.log(ctx, name, now, "first 注文", "second"); err != nil {
				return "", err
			}
			return "they do", b.eventually(ctx, func() error {
				out, err := b.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: &name, LogStreamName: aws.String("s"), StartFromHead: aws.Bool(true)})
				if err != nil {
					return err
				}
				var got []string
				for _, e := range out.Events {
					got = append(got, aws.ToString(e.Message))
				}
				return equal("what comes", fmt.Sprintf("%q", got), `["first 注文" "second"]`)
			})
		}},
		{Name: "lines-filtered", Documented: "FilterLogEvents gives the lines that a pattern matches", Source: logsAPI + "FilterLogEvents.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.group(ctx)
			if err != nil {
				return "", err
			}
			now, err := b.clock.now(ctx)
			if err != nil {
				return "", err
			}
			if _, err := b.log(ctx, name, now, `{"level": "ERROR", "ms": 9}`, `{"level": "ERROR", "ms": 90}`, "plain"); err != nil {
				return "", err
			}
			return "the one", b.eventually(ctx, func() error {
				out, err := b.logs.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &name, FilterPattern: aws.String(`{ $.level = "ERROR" && $.ms > 50 }`)})
				if err != nil {
					return err
				}
				var got []string
				for _, e := range out.Events {
					got = append(got, aws.ToString(e.Message))
				}
				return equal("what comes", fmt.Sprintf("%q", got), fmt.Sprintf("%q", []string{`{"level": "ERROR", "ms": 90}`}))
			})
		}},
		{Name: "filter-described", Documented: "DescribeMetricFilters gives what PutMetricFilter took", Source: logsAPI + "DescribeMetricFilters.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.group(ctx)
			if err != nil {
				return "", err
			}
			if _, err := b.logs.PutMetricFilter(ctx, b.filter(name, "ERROR", aws.Float64(0))); err != nil {
				return "", err
			}
			out, err := b.logs.DescribeMetricFilters(ctx, &cloudwatchlogs.DescribeMetricFiltersInput{LogGroupName: &name})
			if err != nil {
				return "", err
			}
			if len(out.MetricFilters) != 1 || len(out.MetricFilters[0].MetricTransformations) != 1 {
				return "", deviates("%d filters are described", len(out.MetricFilters))
			}
			f := out.MetricFilters[0]
			if err := near("the default", f.MetricTransformations[0].DefaultValue, 0, 0); err != nil {
				return "", err
			}
			return "it does", equal("the pattern", aws.ToString(f.FilterPattern), "ERROR")
		}},
		{Name: "filter-feeds-metric", Documented: "a metric filter counts the lines that it matches, and no others", Source: logsGuide + "MonitoringLogData.html", Takes: once, run: func(ctx context.Context, b *bench) (string, error) {
			return b.counted(ctx, "ERROR -expected", []string{"ERROR 1", "INFO 1", "ERROR expected", "ERROR 2"}, "$none", nil, 2)
		}},
		{Name: "filter-takes-value", Documented: "a metric filter takes the metric's value out of the line", Source: logsGuide + "MonitoringLogData.html", Takes: once, run: func(ctx context.Context, b *bench) (string, error) {
			return b.counted(ctx, "{ $.ms > 0 }", []string{`{"ms": 5}`, `{"ms": 7}`, "plain"}, "$.ms", nil, 12)
		}},
		{Name: "filter-default", Documented: "a minute with lines and no match has the default value", Source: logsGuide + "MonitoringLogData.html", Takes: once, run: func(ctx context.Context, b *bench) (string, error) {
			return b.counted(ctx, "ERROR", []string{"INFO 1"}, "$none", aws.Float64(0), 0)
		}},
	}
}

// filter is one that feeds the case's metric "m".
func (b *bench) filter(group, pattern string, otherwise *float64) *cloudwatchlogs.PutMetricFilterInput {
	return &cloudwatchlogs.PutMetricFilterInput{LogGroupName: &group, FilterName: aws.String("f"), FilterPattern: &pattern, MetricTransformations: []logtypes.MetricTransformation{{
		MetricNamespace: aws.String(b.namespace), MetricName: aws.String("m"), MetricValue: aws.String("1"), DefaultValue: otherwise}}}
}

// counted writes lines past a filter and compares the Sum of its metric. value is a
// selector; "$none" counts lines.
func (b *bench) counted(ctx context.Context, pattern string, lines []string, value string, otherwise *float64, want float64) (string, error) {
	group, err := b.group(ctx)
	if err != nil {
		return "", err
	}
	f := b.filter(group, pattern, otherwise)
	if value != "$none" {
		f.MetricTransformations[0].MetricValue = &value
	}
	if _, err := b.logs.PutMetricFilter(ctx, f); err != nil {
		return "", err
	}
	at, err := b.minute(ctx)
	if err != nil {
		return "", err
	}
	if _, err := b.log(ctx, group, at.Add(time.Second), lines...); err != nil {
		return "", err
	}
	if err := b.evaluated(ctx, at.Add(2*time.Minute)); err != nil {
		return "", err
	}
	points, err := b.statistics(ctx, "m", at, at.Add(time.Minute), 60, func(in *cloudwatch.GetMetricStatisticsInput) { in.Statistics = []types.Statistic{types.StatisticSum} })
	if err != nil {
		return "", err
	}
	if len(points) != 1 {
		return "", deviates("the metric has %d points in that minute, not 1", len(points))
	}
	return fmt.Sprintf("the Sum is %g", want), near("the Sum", points[0].Sum, want, 1e-9)
}

package conformance

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

const dashboardBody = `{"widgets":[{"type":"text","x":0,"y":0,"width":6,"height":3,"properties":{"markdown":"rehearsal"}}]}`

// resourceCases are tags and dashboards.
func resourceCases() []Case {
	return []Case{
		{Name: "tags", Documented: "an alarm's tags are set, listed and taken off", Source: reference + "TagResource.html", run: tags},
		{Name: "tags-from-the-beginning", Documented: "PutMetricAlarm takes tags for a new alarm", Source: reference + "PutMetricAlarm.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.putAlarm(ctx, 1, func(in *cloudwatch.PutMetricAlarmInput) {
				in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}
			})
			if err != nil {
				return "", err
			}
			a, err := b.described(ctx, name)
			if err != nil {
				return "", err
			}
			return "it has them", b.tagged(ctx, a.AlarmArn, "team=shop")
		}},
		{Name: "tags-of-a-composite", Documented: "a composite alarm has tags as another has", Source: reference + "PutCompositeAlarm.html", run: func(ctx context.Context, b *bench) (string, error) {
			child, err := b.putAlarm(ctx, 1, nil)
			if err != nil {
				return "", err
			}
			name := b.name(theComposites)
			if _, err := b.cw.PutCompositeAlarm(ctx, &cloudwatch.PutCompositeAlarmInput{AlarmName: &name, AlarmRule: aws.String("ALARM(" + child + ")"),
				Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}}); err != nil {
				return "", err
			}
			out, err := b.cw.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{types.AlarmTypeCompositeAlarm}})
			if err != nil {
				return "", err
			}
			if len(out.CompositeAlarms) != 1 {
				return "", deviates("%d composite alarms are described", len(out.CompositeAlarms))
			}
			return "it has them", b.tagged(ctx, out.CompositeAlarms[0].AlarmArn, "team=shop")
		}},
		{Name: "tags-unknown", Documented: "of a resource that there is not tags are refused with ResourceNotFound", Source: reference + "ListTagsForResource.html", run: func(ctx context.Context, b *bench) (string, error) {
			_, err := b.cw.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: aws.String("arn:aws:cloudwatch:us-east-1:000000000000:alarm:" + b.prefix + "-nosuch")})
			return refused(err, "ResourceNotFoundException")
		}},
		{Name: "dashboard", Documented: "a dashboard is put, got, listed and deleted", Source: reference + "PutDashboard.html", run: dashboard},
		{Name: "dashboard-unknown", Documented: "of a dashboard that there is not GetDashboard says ResourceNotFound", Source: reference + "GetDashboard.html", run: func(ctx context.Context, b *bench) (string, error) {
			_, err := b.cw.GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: aws.String(b.prefix + "-nosuch")})
			return refused(err, "DashboardNotFoundError", "ResourceNotFound")
		}},
		{Name: "dashboard-malformed", Documented: "a body that is not JSON is refused with InvalidParameterInput", Source: reference + "PutDashboard.html", run: func(ctx context.Context, b *bench) (string, error) {
			_, err := b.cw.PutDashboard(ctx, &cloudwatch.PutDashboardInput{DashboardName: aws.String(b.name(theDashboards)), DashboardBody: aws.String("{")})
			return refused(err, "DashboardInvalidInputError", "InvalidParameterInput")
		}},
	}
}

// tagged says whether a resource has these tags, "key=value", and no others.
func (b *bench) tagged(ctx context.Context, arn *string, want ...string) error {
	return b.eventually(ctx, func() error {
		out, err := b.cw.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: arn})
		if err != nil {
			return err
		}
		var got []string
		for _, t := range out.Tags {
			got = append(got, aws.ToString(t.Key)+"="+aws.ToString(t.Value))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return deviates("the tags are %q, not %q", got, want)
		}
		return nil
	})
}

func tags(ctx context.Context, b *bench) (string, error) {
	name, err := b.putAlarm(ctx, 1, nil)
	if err != nil {
		return "", err
	}
	a, err := b.described(ctx, name)
	if err != nil {
		return "", err
	}
	if _, err := b.cw.TagResource(ctx, &cloudwatch.TagResourceInput{ResourceARN: a.AlarmArn,
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}, {Key: aws.String("stage"), Value: aws.String("test")}}}); err != nil {
		return "", err
	}
	if err := b.tagged(ctx, a.AlarmArn, "stage=test", "team=shop"); err != nil {
		return "", err
	}
	if _, err := b.cw.UntagResource(ctx, &cloudwatch.UntagResourceInput{ResourceARN: a.AlarmArn, TagKeys: []string{"stage"}}); err != nil {
		return "", err
	}
	return "they are", b.tagged(ctx, a.AlarmArn, "team=shop")
}

func dashboard(ctx context.Context, b *bench) (string, error) {
	name := b.name(theDashboards)
	out, err := b.cw.PutDashboard(ctx, &cloudwatch.PutDashboardInput{DashboardName: &name, DashboardBody: aws.String(dashboardBody)})
	if err != nil {
		return "", err
	}
	if len(out.DashboardValidationMessages) > 0 {
		return "", deviates("a sound body has messages: %s", aws.ToString(out.DashboardValidationMessages[0].Message))
	}
	got, err := b.cw.GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: &name})
	if err != nil {
		return "", err
	}
	if err := equal("the body", aws.ToString(got.DashboardBody), dashboardBody); err != nil {
		return "", err
	}
	listed := func() (int, error) {
		out, err := b.cw.ListDashboards(ctx, &cloudwatch.ListDashboardsInput{DashboardNamePrefix: &name})
		if err != nil {
			return 0, err
		}
		return len(out.DashboardEntries), nil
	}
	before, err := listed()
	if err != nil {
		return "", err
	}
	if _, err := b.cw.DeleteDashboards(ctx, &cloudwatch.DeleteDashboardsInput{DashboardNames: []string{name}}); err != nil {
		return "", err
	}
	after, err := listed()
	if err != nil {
		return "", err
	}
	return "it is", equal("how many are listed before and after it is deleted", fmt.Sprint(before, after), "1 0")
}

package cloudwatch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	logsapi "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The calls that the Terraform AWS provider makes, in its order: it uses the same
// SDK, reads back what it wrote, and takes a difference for drift.

// must fails the test on an error, and skips it where the operation is not part of
// this CloudWatch.
func must(t *testing.T, err error) {
	t.Helper()
	var e smithy.APIError
	if errors.As(err, &e) && e.ErrorCode() == "UnknownOperationException" {
		t.Skipf("not part of this CloudWatch: %v", err)
	}
	require.NoError(t, err)
}

func TestTerraformMetricAlarm(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	in := &api.PutMetricAlarmInput{AlarmName: aws.String("shop-errors"), ActionsEnabled: aws.Bool(true), ComparisonOperator: "GreaterThanOrEqualToThreshold", EvaluationPeriods: aws.Int32(2),
		MetricName: aws.String("Errors"), Namespace: aws.String("shop"), Period: aws.Int32(120), Statistic: "Average", Threshold: aws.Float64(80), TreatMissingData: aws.String("missing"),
		AlarmDescription: aws.String("too many"), Dimensions: dims("a", "1"), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}}
	read := func() types.MetricAlarm {
		out, err := s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{AlarmNames: []string{*in.AlarmName}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}})
		require.NoError(t, err)
		require.Len(t, out.MetricAlarms, 1)
		return out.MetricAlarms[0]
	}
	_, err := s.cw.PutMetricAlarm(ctx, in)
	require.NoError(t, err)
	a := read()
	tags, err := s.cw.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceARN: a.AlarmArn})
	require.NoError(t, err)
	assert.Equal(t, in.Tags, tags.Tags)
	same := func() {
		a := read()
		assert.Equal(t, []any{*in.ActionsEnabled, in.ComparisonOperator, *in.EvaluationPeriods, *in.MetricName, *in.Namespace, *in.Period, in.Statistic, *in.Threshold, *in.TreatMissingData, *in.AlarmDescription, in.Dimensions},
			[]any{*a.ActionsEnabled, a.ComparisonOperator, *a.EvaluationPeriods, *a.MetricName, *a.Namespace, *a.Period, a.Statistic, *a.Threshold, *a.TreatMissingData, *a.AlarmDescription, a.Dimensions}, "no drift")
		assert.Empty(t, a.Metrics)
		assert.Nil(t, a.ExtendedStatistic)
		assert.Nil(t, a.DatapointsToAlarm)
	}
	same()
	in.Threshold, in.ActionsEnabled, in.Tags = aws.Float64(90), aws.Bool(false), nil
	_, err = s.cw.PutMetricAlarm(ctx, in)
	require.NoError(t, err)
	_, err = s.cw.UntagResource(ctx, &api.UntagResourceInput{ResourceARN: a.AlarmArn, TagKeys: []string{"team"}})
	require.NoError(t, err)
	_, err = s.cw.TagResource(ctx, &api.TagResourceInput{ResourceARN: a.AlarmArn, Tags: []types.Tag{{Key: aws.String("owner"), Value: aws.String("x")}}})
	require.NoError(t, err)
	same()
	_, err = s.cw.DeleteAlarms(ctx, &api.DeleteAlarmsInput{AlarmNames: []string{*in.AlarmName}})
	require.NoError(t, err)
	gone, err := s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{AlarmNames: []string{*in.AlarmName}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}})
	require.NoError(t, err)
	assert.Empty(t, gone.MetricAlarms)
}

func TestTerraformCompositeAlarm(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	one := above("child", 60, 1)
	c, err := one.Compile()
	require.NoError(t, err)
	s.PutCompiled(c)
	in := &api.PutCompositeAlarmInput{AlarmName: aws.String("both"), AlarmRule: aws.String("ALARM(child)"), ActionsEnabled: aws.Bool(true), AlarmDescription: aws.String("d"),
		AlarmActions: []string{"arn:aws:sns:us-east-1:000000000000:t"}, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}}
	_, err = s.cw.PutCompositeAlarm(ctx, in)
	must(t, err)
	read := func() []types.CompositeAlarm {
		out, err := s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{AlarmNames: []string{"both"}, AlarmTypes: []types.AlarmType{types.AlarmTypeCompositeAlarm}})
		require.NoError(t, err)
		return out.CompositeAlarms
	}
	all := read()
	require.Len(t, all, 1)
	assert.Equal(t, []any{*in.AlarmRule, *in.AlarmDescription, in.AlarmActions, true}, []any{*all[0].AlarmRule, *all[0].AlarmDescription, all[0].AlarmActions, *all[0].ActionsEnabled})
	tags, err := s.cw.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceARN: all[0].AlarmArn})
	require.NoError(t, err)
	assert.Equal(t, in.Tags, tags.Tags)
	in.AlarmRule, in.Tags = aws.String("OK(child)"), nil
	_, err = s.cw.PutCompositeAlarm(ctx, in)
	require.NoError(t, err)
	assert.Equal(t, "OK(child)", *read()[0].AlarmRule)
	_, err = s.cw.DeleteAlarms(ctx, &api.DeleteAlarmsInput{AlarmNames: []string{"both"}})
	require.NoError(t, err)
	assert.Empty(t, read())
}

func TestTerraformDashboard(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	for _, body := range []string{`{"widgets":[]}`, `{"widgets":[{"type":"metric","x":0,"y":0,"width":12,"height":6,"properties":{"metrics":[["AWS/EC2","CPUUtilization"]],"period":300,"region":"us-east-1"}}]}`} {
		put, err := s.cw.PutDashboard(ctx, &api.PutDashboardInput{DashboardName: aws.String("shop"), DashboardBody: &body})
		require.NoError(t, err)
		assert.Empty(t, put.DashboardValidationMessages)
		got, err := s.cw.GetDashboard(ctx, &api.GetDashboardInput{DashboardName: aws.String("shop")})
		require.NoError(t, err)
		assert.Equal(t, body, *got.DashboardBody)
		assert.Equal(t, "arn:aws:cloudwatch::000000000000:dashboard/shop", *got.DashboardArn)
	}
	_, err := s.cw.DeleteDashboards(ctx, &api.DeleteDashboardsInput{DashboardNames: []string{"shop"}})
	require.NoError(t, err)
	_, err = s.cw.GetDashboard(ctx, &api.GetDashboardInput{DashboardName: aws.String("shop")})
	var gone *types.DashboardNotFoundError
	require.ErrorAs(t, err, &gone)
}

func TestTerraformLogGroup(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	cl := s.server.LogsClient()
	read := func() []logs.LogGroup {
		out, err := cl.DescribeLogGroups(ctx, &logsapi.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/shop")})
		require.NoError(t, err)
		return out.LogGroups
	}
	_, err := cl.CreateLogGroup(ctx, &logsapi.CreateLogGroupInput{LogGroupName: aws.String("/shop"), Tags: map[string]string{"team": "shop"}})
	require.NoError(t, err)
	require.Len(t, read(), 1)
	arn := read()[0].LogGroupArn
	assert.Equal(t, "arn:aws:logs:us-east-1:000000000000:log-group:/shop", *arn)
	_, err = cl.PutRetentionPolicy(ctx, &logsapi.PutRetentionPolicyInput{LogGroupName: aws.String("/shop"), RetentionInDays: aws.Int32(7)})
	must(t, err)
	assert.EqualValues(t, 7, aws.ToInt32(read()[0].RetentionInDays))
	tags, err := cl.ListTagsForResource(ctx, &logsapi.ListTagsForResourceInput{ResourceArn: arn})
	must(t, err)
	assert.Equal(t, map[string]string{"team": "shop"}, tags.Tags)
	_, err = cl.TagResource(ctx, &logsapi.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"owner": "x"}})
	must(t, err)
	_, err = cl.UntagResource(ctx, &logsapi.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}})
	must(t, err)
	_, err = cl.DeleteRetentionPolicy(ctx, &logsapi.DeleteRetentionPolicyInput{LogGroupName: aws.String("/shop")})
	must(t, err)
	assert.Nil(t, read()[0].RetentionInDays)
	_, err = cl.DeleteLogGroup(ctx, &logsapi.DeleteLogGroupInput{LogGroupName: aws.String("/shop")})
	must(t, err)
	assert.Empty(t, read())
}

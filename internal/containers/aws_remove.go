package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	awslogs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// awsRemoveLimit bounds how long deleting takes, on the wall; it has its own time,
// whoever is in a hurry, since what is left costs money.
const awsRemoveLimit = time.Minute

// A cloudRemoval deletes what a stage made in an account. What that is it asks the
// account, by the stage's names, so that nothing of a call is missed that was cut off.
type cloudRemoval struct {
	names   cloudNames
	metrics *awsmetrics.Client
	logs    *awslogs.Client
}

// unused is an error when something is there already under the stage's names: nothing
// that exists may be changed.
func (r cloudRemoval) unused(ctx context.Context) error {
	alarms, composites, err := r.alarms(ctx)
	if err != nil {
		return err
	}
	groups, err := r.groups(ctx)
	if err != nil {
		return err
	}
	if found := slices.Concat(alarms, composites, groups); len(found) > 0 {
		return fmt.Errorf("the account has something under this stage's names already: %q", found)
	}
	return nil
}

// remove deletes all of it, also when ctx has ended. The error is an *AWSLeftError
// with what may be left; made is what the stage meant to make, for where the account
// does not even say what it has.
func (r cloudRemoval) remove(ctx context.Context, account *AWSAccount, made AWSLeftError) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), awsRemoveLimit)
	defer cancel()
	alarms, errAlarms := r.removeAlarms(ctx, made.Alarms)
	groups, errGroups := r.removeGroups(ctx, made.LogGroups)
	if len(alarms)+len(groups) == 0 {
		return nil
	}
	left := &AWSLeftError{Account: account.ID, Region: account.Region, Alarms: alarms, LogGroups: groups, Cause: errors.Join(errAlarms, errGroups)}
	account.mu.Lock()
	defer account.mu.Unlock()
	account.left = append(account.left, left)
	return left
}

// alarms is the stage's alarms that are there.
func (r cloudRemoval) alarms(ctx context.Context) (metric, composite []string, err error) {
	pages := awsmetrics.NewDescribeAlarmsPaginator(r.metrics, &awsmetrics.DescribeAlarmsInput{
		AlarmNamePrefix: aws.String(r.names.alarmPrefix()), AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}, MaxRecords: aws.Int32(alarmsPerCall),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("listing alarms: %w", err)
		}
		for _, a := range page.MetricAlarms {
			metric = append(metric, *a.AlarmName)
		}
		for _, a := range page.CompositeAlarms {
			composite = append(composite, *a.AlarmName)
		}
	}
	return metric, composite, nil
}

// removeAlarms returns those that may be left, and why.
func (r cloudRemoval) removeAlarms(ctx context.Context, made []string) (left []string, err error) {
	metric, composite, err := r.alarms(ctx)
	if err != nil {
		// AWS deletes those that there are.
		_ = r.deleteAlarms(ctx, made)
		return made, err
	}
	var errs []error
	// An alarm that a composite one looks at stays until that one is gone, and a call
	// takes one composite alarm.
	for progress := true; progress && len(composite) > 0; {
		before := len(composite)
		errs = nil
		composite = slices.DeleteFunc(composite, func(name string) bool {
			err := r.deleteAlarms(ctx, []string{name})
			errs = append(errs, err)
			return err == nil
		})
		progress = len(composite) < before
	}
	errs = append(errs, r.deleteAlarms(ctx, metric))
	metric, composite, err = r.alarms(ctx)
	if err != nil {
		return made, errors.Join(append(errs, err)...)
	}
	left = append(composite, metric...)
	if err := errors.Join(errs...); err != nil || len(left) == 0 {
		return left, err
	}
	return left, errors.New("alarms were deleted and are still there")
}

func (r cloudRemoval) deleteAlarms(ctx context.Context, names []string) error {
	var errs []error
	for batch := range slices.Chunk(names, alarmsPerCall) {
		if _, err := r.metrics.DeleteAlarms(ctx, &awsmetrics.DeleteAlarmsInput{AlarmNames: batch}); err != nil {
			errs = append(errs, fmt.Errorf("deleting alarms: %w", err))
		}
	}
	return errors.Join(errs...)
}

// groups is the stage's log groups that are there.
func (r cloudRemoval) groups(ctx context.Context) (names []string, err error) {
	pages := awslogs.NewDescribeLogGroupsPaginator(r.logs, &awslogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(r.names.groupPrefix())})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing log groups: %w", err)
		}
		for _, g := range page.LogGroups {
			names = append(names, *g.LogGroupName)
		}
	}
	return names, nil
}

// removeGroups deletes log groups, and with each its streams and metric filters. It
// returns those that may be left, and why.
func (r cloudRemoval) removeGroups(ctx context.Context, made []string) (left []string, err error) {
	groups, err := r.groups(ctx)
	errs := []error{err}
	if err != nil {
		groups = made
	}
	for _, name := range groups {
		_, err := r.logs.DeleteLogGroup(ctx, &awslogs.DeleteLogGroupInput{LogGroupName: &name})
		if gone := new(logtypes.ResourceNotFoundException); err != nil && !errors.As(err, &gone) {
			left, errs = append(left, name), append(errs, fmt.Errorf("deleting the log group %s: %w", name, err))
		}
	}
	return left, errors.Join(errs...)
}

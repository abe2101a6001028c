package containers

import (
	"context"
	"errors"
	"fmt"
	"time"

	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	awslogs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"rehearsal/internal/clock"
	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/stage"
)

// An embeddedJudge is a CloudWatch in this process, on the stage's clock: at each
// instant of release time at which alarms are due it has all that was observed
// published, evaluates them and records those that changed.
type embeddedJudge struct {
	options monitorOptions
	epoch   time.Time
	store   *cloudwatch.Store
	server  *cloudwatch.Server
}

func newEmbeddedJudge(o monitorOptions, epoch time.Time) (*embeddedJudge, error) {
	j := &embeddedJudge{options: o, epoch: epoch}
	j.store = cloudwatch.NewStore(cloudwatch.Options{
		Now: func() time.Time { return j.calendar(o.Clock.Now()) },
		SNS: cloudwatch.SNSOptions{Wait: func(ctx context.Context, d time.Duration) error { return j.wait(ctx, o.Clock.Now()+d) }},
		Changed: func(t cloudwatch.Transition) {
			o.History.Record(stage.Event{Kind: stage.Changed, Alarm: &stage.AlarmChange{Name: t.Name, From: t.From, To: t.To, Reason: t.Reason}})
		},
	})
	var err error
	if j.server, err = j.store.Serve(); err != nil {
		return nil, fmt.Errorf("starting the embedded CloudWatch: %w", err)
	}
	return j, nil
}

func (j *embeddedJudge) clients() (*awsmetrics.Client, *awslogs.Client) {
	return j.server.MetricsClient(), j.server.LogsClient()
}

func (j *embeddedJudge) open(context.Context) error { return nil }

func (j *embeddedJudge) calendar(at time.Duration) time.Time { return j.epoch.Add(at) }

func (j *embeddedJudge) run(ctx context.Context, publish func(context.Context) error) error {
	due := j.due(j.options.Clock.Now())
	for ctx.Err() == nil {
		if j.wait(ctx, due) != nil {
			return nil //nolint:nilerr // it only says that ctx has ended, which is no fault
		}
		if err := publish(ctx); err != nil {
			return err
		}
		j.store.Evaluate(j.calendar(due))
		due = j.due(due)
	}
	return nil
}

// wait waits until a release time. However fast time gets meanwhile, it does not
// oversleep.
func (j *embeddedJudge) wait(ctx context.Context, until time.Duration) error {
	for {
		left := until - j.options.Clock.Now()
		if left <= 0 {
			return nil
		}
		wall := time.Duration(float64(left) / max(j.options.Pace, 1))
		if err := clock.Sleep(ctx, max(wall, time.Millisecond)); err != nil {
			return err
		}
	}
}

// due is the first instant after a release time at which alarms are evaluated.
func (j *embeddedJudge) due(after time.Duration) time.Duration {
	if next := j.store.NextEvaluation(j.calendar(after)); next.After(j.calendar(after)) {
		return next.Sub(j.epoch)
	}
	return after.Truncate(time.Minute) + time.Minute // no alarms: the metrics are published all the same
}

func (j *embeddedJudge) close(ctx context.Context, publish func(context.Context) error) error {
	defer j.store.Close()
	return errors.Join(publish(ctx), j.server.Close())
}

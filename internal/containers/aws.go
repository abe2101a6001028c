package containers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	awslogs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"rehearsal/internal/stage"
)

// An AWSAccount is an AWS account and region whose CloudWatch may judge alarms. A
// stage uses one only where it is handed to it, by somebody who asked whether it is
// the right one; it never looks for credentials itself.
type AWSAccount struct {
	ID, ARN, Region string
	// Endpoint is where CloudWatch answers when that is not AWS itself; else "".
	Endpoint string

	config aws.Config                  // with the credentials: never printed, never handed on
	adjust []func(*awsmetrics.Options) // for tests

	mu   sync.Mutex
	left []error // of stages that could not delete all that they had made
}

// Left is what the stages that used the account could not delete, nil for nothing: one
// *AWSLeftError for each, joined.
func (a *AWSAccount) Left() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return errors.Join(a.left...)
}

// awsPatience is how long finding out who one is may take.
const awsPatience = 30 * time.Second

// FindAWS finds the account and region that the SDK's own rules select: AWS_PROFILE,
// AWS_REGION, the shared configuration and so on. It asks AWS for the account and
// changes nothing.
func FindAWS(ctx context.Context) (*AWSAccount, error) {
	ctx, cancel := context.WithTimeout(ctx, awsPatience)
	defer cancel()
	config, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS: its configuration cannot be read: %w", err)
	}
	if config.Region == "" {
		return nil, errors.New("AWS: no region is set: name one by AWS_REGION, or in the profile")
	}
	who, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, fmt.Errorf("AWS: which account this is cannot be found out; log in, or choose a profile by AWS_PROFILE: %w", err)
	}
	if b, ok := config.HTTPClient.(*awshttp.BuildableClient); ok {
		config.HTTPClient = b.WithTimeout(externalPatience)
	}
	a := &AWSAccount{ID: aws.ToString(who.Account), ARN: aws.ToString(who.Arn), Region: config.Region, config: config}
	a.Endpoint = aws.ToString(awsmetrics.NewFromConfig(config).Options().BaseEndpoint)
	return a, nil
}

// awsAttempts is how often a call is tried that AWS throttles: it takes three alarms a
// second.
const awsAttempts = 10

// clients are those of the account. Data is sent again only when AWS said that it was
// too much at once: metrics that came twice would count twice.
func (a *AWSAccount) clients() (*awsmetrics.Client, *awslogs.Client) {
	config := a.config.Copy()
	config.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = awsAttempts })
	}
	adjust := append([]func(*awsmetrics.Options){func(o *awsmetrics.Options) { o.DisableRequestCompression = true }}, a.adjust...)
	return awsmetrics.NewFromConfig(config, adjust...), awslogs.NewFromConfig(config)
}

// onlyThrottled is the retryer of calls that must not be carried out twice.
func onlyThrottled() aws.Retryer {
	throttled := retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes}
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = awsAttempts
		o.Retryables = []retry.IsErrorRetryable{throttled}
	})
}

// AWSNote says what a rehearsal of a setup makes in an account, and what it costs, for
// who is asked whether to go on.
func AWSNote(s *stage.Setup) string {
	watched := onlyWatched(s).Monitoring
	return fmt.Sprintf(`Each scenario makes %d alarms, up to %d custom metrics and %d metric filters there, all under names of
its own (rehearsal-<stage>-*, Rehearsal/<stage>/*, /rehearsal/<stage>/*), tagged rehearsal=<stage>, and deletes them at its
end; nothing that exists is changed, and no alarm acts. Custom metrics cannot be deleted: they age out.
AWS bills alarms and custom metrics by the hour, and calls (two a second for each scenario): https://aws.amazon.com/cloudwatch/pricing`,
		len(s.AlarmNames()), len(watchedSeries(s))+len(watched.Filters), len(watched.Filters))
}

// An AWSLeftError is what a stage made in an account and could not delete.
type AWSLeftError struct {
	Account, Region   string
	Alarms, LogGroups []string
	Cause             error
}

func (e *AWSLeftError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d alarms and %d log groups may be left in the AWS account %s: %v\ndelete them by", len(e.Alarms), len(e.LogGroups), e.Account, e.Cause)
	if len(e.Alarms) > 0 {
		fmt.Fprintf(&b, "\n  aws cloudwatch delete-alarms --region %s --alarm-names", shellQuoted(e.Region))
		for _, name := range e.Alarms {
			b.WriteString(" " + shellQuoted(name))
		}
	}
	for _, name := range e.LogGroups {
		fmt.Fprintf(&b, "\n  aws logs delete-log-group --region %s --log-group-name %s", shellQuoted(e.Region), shellQuoted(name))
	}
	return b.String()
}

func (e *AWSLeftError) Unwrap() error { return e.Cause }

// shellQuoted is text as one word of a shell's command.
func shellQuoted(text string) string {
	others := strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:#+@")
	plain := text != "" && others == ""
	if plain && !strings.HasPrefix(text, "#") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

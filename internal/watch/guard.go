package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// allowed is every operation that may be sent, by service, and the IAM action that it
// needs. Each of them only reads.
var allowed = map[string]map[string]string{
	"CloudWatch": {
		"DescribeAlarms":       "cloudwatch:DescribeAlarms",
		"DescribeAlarmHistory": "cloudwatch:DescribeAlarmHistory",
		"GetMetricData":        "cloudwatch:GetMetricData",
	},
	"CloudWatch Logs": {"FilterLogEvents": "logs:FilterLogEvents"},
	"STS":             {"GetCallerIdentity": ""}, // which needs none
}

// A RefusedError is an operation that is not sent, since it is not among those that only
// read.
type RefusedError struct{ Service, Operation string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s of %s is refused: rehearse watch only reads", e.Operation, e.Service)
}

func refuse(service, operation string) error {
	if _, ok := allowed[service][operation]; ok {
		return nil
	}
	return &RefusedError{service, operation}
}

// guarded has a client's operations refused before anything is made of them. What gets
// past this, a guardedTransport stops.
func guarded(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RehearseWatchOnlyReads",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			if err := refuse(operation(ctx)); err != nil {
				return middleware.InitializeOutput{}, middleware.Metadata{}, err
			}
			return next.HandleInitialize(ctx, in)
		}), middleware.After)
}

// A guardedTransport sends only operations that read. A request of which it is not known
// what it does is not sent.
type guardedTransport struct{ next aws.HTTPClient }

func (g guardedTransport) Do(r *http.Request) (*http.Response, error) {
	if err := refuse(operation(r.Context())); err != nil {
		return nil, err
	}
	return g.next.Do(r)
}

// operation is what a call of the SDK is.
func operation(ctx context.Context) (service, name string) {
	return awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
}

// Policy is the IAM policy that a watch needs and no more, as JSON.
func Policy() string {
	var actions []string
	for _, operations := range allowed {
		for _, action := range operations {
			if action != "" {
				actions = append(actions, action)
			}
		}
	}
	slices.Sort(actions)
	var metrics, logs []string
	for _, a := range actions {
		if strings.HasPrefix(a, "logs:") {
			logs = append(logs, a)
		} else {
			metrics = append(metrics, a)
		}
	}
	type statement struct {
		Sid, Effect string
		Action      []string
		Resource    string
	}
	text, err := json.MarshalIndent(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{
		{"WatchMetrics", "Allow", metrics, "*"}, // these know no resources
		{"WatchLogs", "Allow", logs, "arn:aws:logs:*:*:log-group:*"},
	}}, "", "  ")
	if err != nil {
		panic(err) // it is made of strings
	}
	return string(text)
}

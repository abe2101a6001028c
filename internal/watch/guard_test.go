package watch

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A listener counts what arrives, whatever it is.
func listener(t *testing.T) (url string, arrived *int) {
	t.Helper()
	arrived = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*arrived++
		w.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(s.Close)
	return s.URL, arrived
}

func TestWhatWouldChangeSomethingIsNotSent(t *testing.T) {
	url, arrived := listener(t)
	e, err := OpenURL(url, false)
	require.NoError(t, err)
	for name, call := range map[string]func() error{
		"PutMetricAlarm": func() error {
			_, err := e.metrics.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{AlarmName: aws.String("a"), EvaluationPeriods: aws.Int32(1), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold})
			return err
		},
		"SetAlarmState": func() error {
			_, err := e.metrics.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("a"), StateReason: aws.String("b"), StateValue: types.StateValueOk})
			return err
		},
		"DeleteAlarms": func() error {
			_, err := e.metrics.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"a"}})
			return err
		},
		"ListMetrics": func() error { // which only reads, and is not needed
			_, err := e.metrics.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{})
			return err
		},
		"PutLogEvents": func() error {
			_, err := e.logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String("a"), LogStreamName: aws.String("b"), LogEvents: []logtypes.InputLogEvent{{Message: aws.String("c"), Timestamp: aws.Int64(1)}}})
			return err
		},
		"AssumeRole": func() error {
			_, err := e.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("a"), RoleSessionName: aws.String("b")})
			return err
		},
	} {
		err := call()
		var refused *RefusedError
		require.ErrorAs(t, err, &refused, name)
		assert.Equal(t, name, refused.Operation)
	}
	assert.Zero(t, *arrived, "nothing left this process")
}

// The second guard stands at the door: it stops what a client without the first sends.
func TestTheTransportSendsNothingThatItDoesNotKnow(t *testing.T) {
	url, arrived := listener(t)
	client := cloudwatch.New(cloudwatch.Options{BaseEndpoint: &url, Region: "us-east-1", HTTPClient: guardedTransport{http.DefaultClient}, Retryer: aws.NopRetryer{},
		Credentials: aws.AnonymousCredentials{}})
	_, err := client.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"a"}})
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "DeleteAlarms", refused.Operation)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("Action=DeleteAlarms"))
	require.NoError(t, err)
	answer, err := guardedTransport{http.DefaultClient}.Do(r)
	require.ErrorAs(t, err, &refused)
	if answer != nil {
		_ = answer.Body.Close()
	}
	assert.Zero(t, *arrived)
	_, err = client.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
	require.Error(t, err, "the listener answers nothing of use")
	assert.NotErrorAs(t, err, &refused)
	assert.Equal(t, 1, *arrived, "what only reads is sent")
}

func TestThePolicyAllowsWhatIsSentAndNoMore(t *testing.T) {
	for _, action := range []string{"cloudwatch:DescribeAlarms", "cloudwatch:DescribeAlarmHistory", "cloudwatch:GetMetricData", "logs:FilterLogEvents"} {
		assert.Equal(t, 1, strings.Count(Policy(), `"`+action+`"`), action)
	}
	for _, never := range []string{`cloudwatch:*`, `logs:*"`, "Put", "Delete", "Set", "Enable", "Create"} {
		assert.NotContains(t, Policy(), never)
	}
}

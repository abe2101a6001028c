package cloudwatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// serveSNS is a stand with those options, and its client.
func serveSNS(t *testing.T, o cloudwatch.SNSOptions) (*stand, *api.Client) {
	s := &stand{now: epoch}
	s.Store = cloudwatch.NewStore(cloudwatch.Options{Now: s.time, SNS: o})
	var err error
	s.server, err = s.Serve()
	require.NoError(t, err)
	t.Cleanup(func() {
		s.Close()
		assert.NoError(t, s.server.Close())
	})
	s.cw = s.server.MetricsClient()
	return s, s.server.SNSClient()
}

// A hook is an HTTP endpoint that keeps what it gets.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	status []int // of the answers to come; 200 after them
	got    []posted
}

type posted struct {
	header http.Header
	body   string
	fields map[string]any // of the body; nil: it is no JSON
}

func newHook(t *testing.T, status ...int) *hook {
	h := &hook{status: status}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	p := posted{header: r.Header, body: string(body)}
	_ = json.Unmarshal(body, &p.fields) // raw ones are no JSON
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, p)
	if len(h.status) > 0 {
		w.WriteHeader(h.status[0])
		h.status = h.status[1:]
	}
}

// taken is what came since the last time, once all is delivered.
func (h *hook) taken(t *testing.T, s *stand) []posted {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, s.Flush(ctx))
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.got
	h.got = nil
	return got
}

func visit(t *testing.T, url string) (status int, body string) {
	answer, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	all, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(all)
}

func TestSNSTopics(t *testing.T) {
	ctx := context.Background()
	_, client := serveSNS(t, cloudwatch.SNSOptions{})
	made, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts"), Attributes: map[string]string{"DisplayName": "Alerts"}, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}})
	require.NoError(t, err)
	assert.Equal(t, "arn:aws:sns:us-east-1:000000000000:alerts", *made.TopicArn)
	again, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	assert.Equal(t, *made.TopicArn, *again.TopicArn)
	_, err = client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts"), Attributes: map[string]string{"DisplayName": "Other"}})
	var typed *types.InvalidParameterException
	require.ErrorAs(t, err, &typed)
	assert.Contains(t, typed.ErrorMessage(), "already exists with different attributes")

	attributes := func() map[string]string {
		out, err := client.GetTopicAttributes(ctx, &api.GetTopicAttributesInput{TopicArn: made.TopicArn})
		require.NoError(t, err)
		return out.Attributes
	}
	got := attributes()
	assert.Equal(t, []string{"Alerts", *made.TopicArn, "000000000000", "0", "0", "0"},
		[]string{got["DisplayName"], got["TopicArn"], got["Owner"], got["SubscriptionsConfirmed"], got["SubscriptionsPending"], got["SubscriptionsDeleted"]})
	assert.True(t, json.Valid([]byte(got["Policy"])) && json.Valid([]byte(got["EffectiveDeliveryPolicy"])))
	_, err = client.SetTopicAttributes(ctx, &api.SetTopicAttributesInput{TopicArn: made.TopicArn, AttributeName: aws.String("Policy"), AttributeValue: aws.String(`{"Version":"x"}`)})
	require.NoError(t, err)
	assert.Equal(t, `{"Version":"x"}`, attributes()["Policy"])
	_, err = client.SetTopicAttributes(ctx, &api.SetTopicAttributesInput{TopicArn: made.TopicArn, AttributeName: aws.String("Colour"), AttributeValue: aws.String("red")})
	assert.Equal(t, "InvalidParameter", code(err))

	_, err = client.TagResource(ctx, &api.TagResourceInput{ResourceArn: made.TopicArn, Tags: []types.Tag{{Key: aws.String("env"), Value: aws.String("r")}}})
	require.NoError(t, err)
	_, err = client.UntagResource(ctx, &api.UntagResourceInput{ResourceArn: made.TopicArn, TagKeys: []string{"team"}})
	require.NoError(t, err)
	tags, err := client.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceArn: made.TopicArn})
	require.NoError(t, err)
	require.Len(t, tags.Tags, 1)
	assert.Equal(t, "env=r", *tags.Tags[0].Key+"="+*tags.Tags[0].Value)

	for i := range 150 {
		_, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String(fmt.Sprintf("t%03d", i))})
		require.NoError(t, err)
	}
	var sizes []int
	pages := api.NewListTopicsPaginator(client, &api.ListTopicsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		require.NoError(t, err)
		sizes = append(sizes, len(page.Topics))
	}
	assert.Equal(t, []int{100, 51}, sizes)
	for range 2 { // it is well with one that does not exist
		_, err = client.DeleteTopic(ctx, &api.DeleteTopicInput{TopicArn: made.TopicArn})
		require.NoError(t, err)
	}
	_, err = client.GetTopicAttributes(ctx, &api.GetTopicAttributesInput{TopicArn: made.TopicArn})
	var missing *types.NotFoundException
	require.ErrorAs(t, err, &missing)
	for _, name := range []string{"", "a b", "x.fifo", strings.Repeat("x", 257)} {
		_, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: &name})
		assert.Equal(t, "InvalidParameter", code(err), name)
	}
}

// The whole way of an HTTP endpoint: asked, confirmed, told, told raw, gone.
func TestSNSOverHTTP(t *testing.T) {
	ctx := context.Background()
	s, client := serveSNS(t, cloudwatch.SNSOptions{})
	made, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	h := newHook(t)
	in := &api.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: aws.String(h.URL + "/hook")}
	pending, err := client.Subscribe(ctx, in)
	require.NoError(t, err)
	assert.Equal(t, "pending confirmation", *pending.SubscriptionArn)

	got := h.taken(t, s)
	require.Len(t, got, 1)
	ask := got[0]
	assert.Equal(t, "SubscriptionConfirmation", ask.header.Get("x-amz-sns-message-type"))
	assert.Equal(t, *made.TopicArn, ask.header.Get("x-amz-sns-topic-arn"))
	assert.Empty(t, ask.header.Get("x-amz-sns-subscription-arn"))
	assert.Equal(t, "text/plain; charset=UTF-8", ask.header.Get("Content-Type"))
	assert.Equal(t, "You have chosen to subscribe to the topic "+*made.TopicArn+".\nTo confirm the subscription, visit the SubscribeURL included in this message.", ask.fields["Message"])

	_, err = client.Publish(ctx, &api.PublishInput{TopicArn: made.TopicArn, Message: aws.String("too early")})
	require.NoError(t, err)
	assert.Empty(t, h.taken(t, s), "it has not confirmed")
	_, err = client.ConfirmSubscription(ctx, &api.ConfirmSubscriptionInput{TopicArn: made.TopicArn, Token: aws.String("made up")})
	assert.Equal(t, "InvalidParameter", code(err))
	status, body := visit(t, ask.fields["SubscribeURL"].(string))
	assert.Equal(t, 200, status, body)
	assert.Contains(t, body, "<SubscriptionArn>"+*made.TopicArn+":")
	confirmed, err := client.ConfirmSubscription(ctx, &api.ConfirmSubscriptionInput{TopicArn: made.TopicArn, Token: aws.String(ask.fields["Token"].(string))})
	require.NoError(t, err, "again, by the token")
	again, err := client.Subscribe(ctx, in)
	require.NoError(t, err)
	assert.Equal(t, *confirmed.SubscriptionArn, *again.SubscriptionArn, "the same endpoint is the same subscription")
	assert.Empty(t, h.taken(t, s), "which need not be confirmed again")

	out, err := client.Publish(ctx, &api.PublishInput{TopicArn: made.TopicArn, Subject: aws.String("A <subject>"), Message: aws.String("hello \"world\" & 世界\n"),
		MessageAttributes: map[string]types.MessageAttributeValue{"b": {DataType: aws.String("Number"), StringValue: aws.String("5")}, "a": {DataType: aws.String("Binary"), BinaryValue: []byte{1, 2}}}})
	require.NoError(t, err)
	got = h.taken(t, s)
	require.Len(t, got, 1)
	assert.Equal(t, fmt.Sprintf(`{
  "Type" : "Notification",
  "MessageId" : "%s",
  "TopicArn" : "arn:aws:sns:us-east-1:000000000000:alerts",
  "Subject" : "A <subject>",
  "Message" : "hello \"world\" & 世界\n",
  "Timestamp" : "2026-01-05T09:00:00.000Z",
  "SignatureVersion" : "1",
  "Signature" : "",
  "SigningCertURL" : "",
  "UnsubscribeURL" : "%s/?Action=Unsubscribe&SubscriptionArn=%s",
  "MessageAttributes" : {
    "a" : {"Type":"Binary","Value":"AQI="},
    "b" : {"Type":"Number","Value":"5"}
  }
}`, *out.MessageId, s.server.URL, strings.ReplaceAll(*confirmed.SubscriptionArn, ":", "%3A")), got[0].body)
	assert.Equal(t, []string{"Notification", *out.MessageId, *made.TopicArn, *confirmed.SubscriptionArn, "Amazon Simple Notification Service Agent", ""},
		[]string{got[0].header.Get("x-amz-sns-message-type"), got[0].header.Get("x-amz-sns-message-id"), got[0].header.Get("x-amz-sns-topic-arn"),
			got[0].header.Get("x-amz-sns-subscription-arn"), got[0].header.Get("User-Agent"), got[0].header.Get("x-amz-sns-rawdelivery")})

	_, err = client.SetSubscriptionAttributes(ctx, &api.SetSubscriptionAttributesInput{SubscriptionArn: confirmed.SubscriptionArn, AttributeName: aws.String("RawMessageDelivery"), AttributeValue: aws.String("true")})
	require.NoError(t, err)
	_, err = client.Publish(ctx, &api.PublishInput{TopicArn: made.TopicArn, MessageStructure: aws.String("json"), Message: aws.String(`{"default":"d","http":"for http","email":"e"}`)})
	require.NoError(t, err)
	raw := h.taken(t, s)
	require.Len(t, raw, 1)
	assert.Equal(t, "for http", raw[0].body)
	assert.Equal(t, "true", raw[0].header.Get("x-amz-sns-rawdelivery"))

	attributes, err := client.GetSubscriptionAttributes(ctx, &api.GetSubscriptionAttributesInput{SubscriptionArn: confirmed.SubscriptionArn})
	require.NoError(t, err)
	assert.Equal(t, []string{"true", "false", h.URL + "/hook"}, []string{attributes.Attributes["RawMessageDelivery"], attributes.Attributes["PendingConfirmation"], attributes.Attributes["Endpoint"]})
	list, err := client.ListSubscriptionsByTopic(ctx, &api.ListSubscriptionsByTopicInput{TopicArn: made.TopicArn})
	require.NoError(t, err)
	require.Len(t, list.Subscriptions, 1)
	assert.Equal(t, *confirmed.SubscriptionArn, *list.Subscriptions[0].SubscriptionArn)

	var fields struct{ UnsubscribeURL string }
	require.NoError(t, json.Unmarshal([]byte(got[0].body), &fields))
	status, body = visit(t, fields.UnsubscribeURL)
	assert.Equal(t, 200, status, body)
	_, err = client.Publish(ctx, &api.PublishInput{TopicArn: made.TopicArn, Message: aws.String("too late")})
	require.NoError(t, err)
	assert.Empty(t, h.taken(t, s))
	all, err := client.ListSubscriptions(ctx, &api.ListSubscriptionsInput{})
	require.NoError(t, err)
	assert.Empty(t, all.Subscriptions)
}

func TestSNSConfirmationsExpire(t *testing.T) {
	ctx := context.Background()
	s, client := serveSNS(t, cloudwatch.SNSOptions{})
	made, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	h := newHook(t)
	pending, err := client.Subscribe(ctx, &api.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: aws.String(h.URL), ReturnSubscriptionArn: true})
	require.NoError(t, err)
	assert.Contains(t, *pending.SubscriptionArn, *made.TopicArn+":")
	list, err := client.ListSubscriptions(ctx, &api.ListSubscriptionsInput{})
	require.NoError(t, err)
	require.Len(t, list.Subscriptions, 1)
	assert.Equal(t, "PendingConfirmation", *list.Subscriptions[0].SubscriptionArn)
	ask := h.taken(t, s)
	require.Len(t, ask, 1)
	s.set(epoch.Add(49 * time.Hour))
	_, err = client.ConfirmSubscription(ctx, &api.ConfirmSubscriptionInput{TopicArn: made.TopicArn, Token: aws.String(ask[0].fields["Token"].(string))})
	assert.Equal(t, "InvalidParameter", code(err))
}

// A rehearsal never leaves the machine.
func TestSNSStaysOnThisMachine(t *testing.T) {
	ctx := context.Background()
	_, client := serveSNS(t, cloudwatch.SNSOptions{})
	made, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	for _, c := range []struct{ protocol, endpoint, want string }{
		{"http", "http://example.com/hook", "is not on this machine"},
		{"http", "http://10.0.0.1/", "is not on this machine"},
		{"http", "http://169.254.169.254/latest", "is not on this machine"},
		{"http", "http://127.0.0.1.example.com/", "is not on this machine"},
		{"http", "http://127.0.0.1@example.com/", "is not on this machine"},
		{"http", "http://[::ffff:10.0.0.1]/", "is not on this machine"},
		{"http", "http://0.0.0.0/", "is not on this machine"},
		{"https", "http://127.0.0.1/", "begins with https://"},
		{"http", "127.0.0.1:80", "begins with http://"},
		{"http", "", "begins with http://"},
		{"email", "a@example.com", "use http or https"},
		{"sqs", "arn:aws:sqs:us-east-1:000000000000:q", "use http or https"},
	} {
		_, err := client.Subscribe(ctx, &api.SubscribeInput{TopicArn: made.TopicArn, Protocol: &c.protocol, Endpoint: &c.endpoint})
		assert.Equal(t, "InvalidParameter", code(err), c.endpoint)
		assert.ErrorContains(t, err, c.want, c.endpoint)
	}
	for _, host := range []string{"http://127.0.0.1:9/", "http://localhost:9/", "http://[::1]:9/"} {
		_, err := client.Subscribe(ctx, &api.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: &host})
		assert.NoError(t, err)
	}
	for address, want := range map[string]bool{"127.0.0.1:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true, "10.0.0.1:80": false, "[fe80::1%lo]:80": false, "nonsense": false} {
		assert.Equal(t, want, cloudwatch.LocalAddress(address), address)
	}

	// What a name resolves to counts, and no redirect is followed.
	reported := make(chan error, 1)
	s, client := serveSNS(t, cloudwatch.SNSOptions{Undelivered: func(_ string, _ cloudwatch.Message, err error) { reported <- err }})
	made, err = client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	h := newHook(t)
	away := httptest.NewServer(http.RedirectHandler(h.URL, http.StatusTemporaryRedirect))
	defer away.Close()
	_, err = client.Subscribe(ctx, &api.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: &away.URL})
	require.NoError(t, err)
	assert.ErrorContains(t, <-reported, "answered 307")
	assert.Empty(t, h.taken(t, s))
}

func TestSNSRetries(t *testing.T) {
	ctx := context.Background()
	var mu sync.Mutex
	var waits []time.Duration
	var lost []string
	s, client := serveSNS(t, cloudwatch.SNSOptions{
		Wait: func(_ context.Context, d time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, d)
			return nil
		},
		Undelivered: func(endpoint string, m cloudwatch.Message, err error) {
			mu.Lock()
			defer mu.Unlock()
			lost = append(lost, fmt.Sprint(m.Message, ": ", err))
		}})
	made, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	h := newHook(t)
	_, err = client.Subscribe(ctx, &api.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: &h.URL})
	require.NoError(t, err)
	ask := h.taken(t, s)
	require.Len(t, ask, 1)
	_, err = client.ConfirmSubscription(ctx, &api.ConfirmSubscriptionInput{TopicArn: made.TopicArn, Token: aws.String(ask[0].fields["Token"].(string))})
	require.NoError(t, err)
	for _, c := range []struct {
		text   string
		status []int
		posts  int
		lost   []string
	}{
		{"in the end", []int{500, 429, 503}, 4, nil},
		{"never", []int{500, 500, 500, 500}, 4, []string{"never: given up after 4 attempts: the endpoint answered 500 Internal Server Error"}},
		{"unwanted", []int{404}, 1, []string{"unwanted: the endpoint answered 404 Not Found"}},
	} {
		waits, lost = nil, nil
		h.mu.Lock()
		h.status = c.status
		h.mu.Unlock()
		_, err = client.Publish(ctx, &api.PublishInput{TopicArn: made.TopicArn, Message: &c.text})
		require.NoError(t, err)
		got := h.taken(t, s)
		require.Len(t, got, c.posts, c.text)
		for _, p := range got {
			assert.Equal(t, got[0].body, p.body, "the same message, with the same id")
		}
		require.Len(t, waits, c.posts-1)
		for _, d := range waits {
			assert.Equal(t, 20*time.Second, d)
		}
		assert.Equal(t, c.lost, lost)
	}
}

func TestWrongMessagesAreRefused(t *testing.T) {
	ctx := context.Background()
	_, client := serveSNS(t, cloudwatch.SNSOptions{})
	made, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		in   api.PublishInput
		want string
	}{
		"no topic":      {api.PublishInput{TopicArn: aws.String("arn:aws:sns:us-east-1:000000000000:nobody"), Message: aws.String("x")}, "NotFound"},
		"no ARN":        {api.PublishInput{TopicArn: aws.String("alerts"), Message: aws.String("x")}, "InvalidParameter"},
		"SMS":           {api.PublishInput{PhoneNumber: aws.String("+15550100"), Message: aws.String("x")}, "InvalidParameter"},
		"empty":         {api.PublishInput{Message: aws.String("")}, "InvalidParameter"},
		"long":          {api.PublishInput{Message: aws.String(strings.Repeat("x", 256<<10+1))}, "InvalidParameter"},
		"long subject":  {api.PublishInput{Message: aws.String("x"), Subject: aws.String(strings.Repeat("x", 101))}, "InvalidParameter"},
		"lines":         {api.PublishInput{Message: aws.String("x"), Subject: aws.String("a\nb")}, "InvalidParameter"},
		"no JSON":       {api.PublishInput{Message: aws.String("x"), MessageStructure: aws.String("json")}, "InvalidParameter"},
		"no default":    {api.PublishInput{Message: aws.String(`{"http":"x"}`), MessageStructure: aws.String("json")}, "InvalidParameter"},
		"structure":     {api.PublishInput{Message: aws.String(`x`), MessageStructure: aws.String("xml")}, "InvalidParameter"},
		"attribute":     {api.PublishInput{Message: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a": {DataType: aws.String("Colour"), StringValue: aws.String("red")}}}, "ParameterValueInvalid"},
		"no value":      {api.PublishInput{Message: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a": {DataType: aws.String("String")}}}, "ParameterValueInvalid"},
		"as long as it": {api.PublishInput{Message: aws.String(strings.Repeat("x", 256<<10))}, "no error"},
	} {
		if c.in.TopicArn == nil && c.in.PhoneNumber == nil {
			c.in.TopicArn = made.TopicArn
		}
		_, err := client.Publish(ctx, &c.in)
		assert.Equal(t, c.want, code(err), name)
	}
}

// The alarms of production name topics of production; who listens to those gets
// what CloudWatch would publish.
func TestAlarmsNotifyTopics(t *testing.T) {
	const topic = "arn:aws:sns:eu-west-1:123456789012:alerts"
	s, _ := serveSNS(t, cloudwatch.SNSOptions{})
	var mu sync.Mutex
	var got []cloudwatch.Message
	stop, err := s.Subscribe(topic, func(m cloudwatch.Message) {
		s.State("errors") // it may call the store
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m)
	})
	require.NoError(t, err)
	taken := func() []cloudwatch.Message {
		require.NoError(t, s.Flush(context.Background()))
		mu.Lock()
		defer mu.Unlock()
		all := got
		got = nil
		return all
	}
	a := above("errors", 60, 1)
	a.AlarmArn, a.AlarmDescription = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:errors", "Too many <errors>"
	a.Dimensions = []alarm.Dimension{{Name: "Version", Value: "v2"}}
	a.OKActions, a.AlarmActions = nil, []string{topic, "arn:aws:autoscaling:eu-west-1:123456789012:policy", "arn:aws:sns:eu-west-1:123456789012:nobody-listens"}
	require.NoError(t, s.PutAlarms([]alarm.Alarm{a}))
	s.Series("shop", "Errors", a.Dimensions...).AddValue(minute(0.5), 50, 1)
	s.Series("shop", "Errors", a.Dimensions...).AddValue(minute(1.5), 1, 1)
	s.Evaluate(minute(1))
	all := taken()
	require.Len(t, all, 1)
	assert.Equal(t, `ALARM: "errors" in EU (Ireland)`, all[0].Subject)
	assert.Equal(t, topic, all[0].TopicARN)
	assert.Equal(t, minute(1), all[0].Time)
	assert.Equal(t, `{"AlarmName":"errors","AlarmDescription":"Too many <errors>","AWSAccountId":"123456789012",`+
		`"AlarmConfigurationUpdatedTimestamp":"2026-01-05T09:00:00.000+0000","NewStateValue":"ALARM",`+
		`"NewStateReason":"Threshold Crossed: 1 out of the last 1 datapoints [50.0 (05/01/26 09:00:00)] was greater than the threshold (10.0) (minimum 1 datapoint for OK -> ALARM transition).",`+
		`"StateChangeTime":"2026-01-05T09:01:00.000+0000","Region":"EU (Ireland)","AlarmArn":"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:errors",`+
		`"OldStateValue":"INSUFFICIENT_DATA","OKActions":[],"AlarmActions":["`+topic+`","arn:aws:autoscaling:eu-west-1:123456789012:policy","arn:aws:sns:eu-west-1:123456789012:nobody-listens"],"InsufficientDataActions":[],`+
		`"Trigger":{"MetricName":"Errors","Namespace":"shop","StatisticType":"Statistic","Statistic":"SUM","Unit":null,"Dimensions":[{"value":"v2","name":"Version"}],`+
		`"Period":60,"EvaluationPeriods":1,"DatapointsToAlarm":1,"ComparisonOperator":"GreaterThanThreshold","Threshold":10.0,"TreatMissingData":"missing","EvaluateLowSampleCountPercentile":""}}`,
		all[0].Message)
	s.Evaluate(minute(2))
	assert.Empty(t, taken(), "OK has no actions")

	// Of metric math, of a percentile, in a region of its own, and with a name that
	// leaves no room; and again what is disabled.
	math := alarm.Alarm{AlarmName: strings.Repeat("n", 90), ActionsEnabled: true, EvaluationPeriods: 2, Threshold: 0.0001, ComparisonOperator: "GreaterThanThreshold",
		InsufficientDataActions: []string{topic}, AlarmActions: []string{topic}, TreatMissingData: "notBreaching", Metrics: []alarm.MetricDataQuery{
			{Id: "e1", Expression: "m1 * 2", Label: "twice", ReturnData: true},
			{Id: "m1", MetricStat: &alarm.MetricStat{Metric: alarm.Metric{Namespace: "shop", MetricName: "Errors"}, Period: 60, Stat: "Sum"}}}}
	p99 := alarm.Alarm{AlarmName: "p99", ActionsEnabled: true, Namespace: "shop", MetricName: "Time", ExtendedStatistic: "p99", Unit: "Seconds", Period: 60, EvaluationPeriods: 1,
		Threshold: 2e7, ComparisonOperator: "GreaterThanThreshold", AlarmActions: []string{topic}, EvaluateLowSampleCountPercentile: "ignore"}
	off := above("off", 60, 1)
	off.ActionsEnabled, off.AlarmActions = false, []string{topic}
	require.NoError(t, s.PutAlarms([]alarm.Alarm{math, p99, off}))
	for _, name := range []string{math.AlarmName, "p99", "off"} {
		require.NoError(t, s.SetAlarmState(name, alarm.InAlarm, "because \"I\" say so"))
	}
	all = taken()
	require.Len(t, all, 2)
	assert.Equal(t, `ALARM: "`+strings.Repeat("n", 63)+`..." in US East (N. Virginia)`, all[0].Subject)
	assert.Len(t, all[0].Subject, 100)
	assert.Contains(t, all[0].Message, `"Trigger":{"Period":60,"EvaluationPeriods":2,"ComparisonOperator":"GreaterThanThreshold","Threshold":1.0E-4,"TreatMissingData":"notBreaching","EvaluateLowSampleCountPercentile":"",`+
		`"Metrics":[{"Expression":"m1 * 2","Id":"e1","Label":"twice","ReturnData":true},{"Id":"m1","MetricStat":{"Metric":{"Dimensions":[],"MetricName":"Errors","Namespace":"shop"},"Period":60,"Stat":"Sum"},"ReturnData":false}]}}`)
	assert.Contains(t, all[0].Message, `"AlarmDescription":null,"AWSAccountId":"000000000000"`)
	assert.Contains(t, all[1].Message, `"StatisticType":"ExtendedStatistic","ExtendedStatistic":"p99","Unit":"Seconds","Dimensions":[],`)
	assert.Contains(t, all[1].Message, `"Threshold":2.0E7,`)
	assert.Contains(t, all[1].Message, `"NewStateReason":"because \"I\" say so"`)

	stop()
	require.NoError(t, s.SetAlarmState("p99", alarm.OK, "x"))
	require.NoError(t, s.SetAlarmState("p99", alarm.InAlarm, "x"))
	assert.Empty(t, taken(), "nobody listens any more")
	_, err = s.Subscribe("alerts", func(cloudwatch.Message) {})
	assert.ErrorContains(t, err, "is no ARN of a topic")
}

// Whoever receives may be slow: neither evaluations nor calls wait for it, what
// waits for it is bounded, and Close gets rid of it.
func TestSlowReceiversHoldNobodyUp(t *testing.T) {
	lost := make(chan error, 1)
	s := cloudwatch.NewStore(cloudwatch.Options{SNS: cloudwatch.SNSOptions{Undelivered: func(_ string, _ cloudwatch.Message, err error) { lost <- err }}})
	topic, err := s.CreateTopic("alerts")
	require.NoError(t, err)
	release, entered := make(chan struct{}), make(chan struct{}, 2000)
	var order []string
	_, err = s.Subscribe(topic, func(m cloudwatch.Message) {
		entered <- struct{}{}
		<-release
		order = append(order, m.Message)
	})
	require.NoError(t, err)
	a := above("errors", 60, 1)
	a.AlarmActions = []string{topic}
	require.NoError(t, s.PutAlarms([]alarm.Alarm{a}))
	s.Series("shop", "Errors").AddValue(epoch, 50, 1)
	require.Len(t, s.Evaluate(minute(1)), 1)
	<-entered // it is in the middle of it
	for i := range 1100 {
		_, err := s.Publish(topic, "", fmt.Sprint(i), nil)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	assert.ErrorIs(t, s.Flush(ctx), context.Canceled)
	close(release)
	assert.ErrorContains(t, <-lost, "100 messages found 1000 waiting already, and were dropped")
	require.NoError(t, s.Flush(context.Background()))
	require.Len(t, order, 1001)
	assert.Equal(t, []string{"0", "999"}, []string{order[1], order[1000]}, "in order")
	s.Close()
	_, err = s.Publish(topic, "", "x", nil)
	require.NoError(t, err)
	assert.Len(t, order, 1001)
	s.Close()
}

// An endpoint that never answers does not keep Close waiting.
func TestCloseCutsDeliveriesOff(t *testing.T) {
	ctx := context.Background()
	entered, done := make(chan struct{}, 1), make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		entered <- struct{}{}
		<-r.Context().Done()
		close(done)
	}))
	defer hanging.Close()
	s := cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return epoch },
		SNS: cloudwatch.SNSOptions{Undelivered: func(string, cloudwatch.Message, error) { panic("it was cut off, not given up") }}})
	server, err := s.Serve()
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	client := server.SNSClient()
	made, err := client.CreateTopic(ctx, &api.CreateTopicInput{Name: aws.String("alerts")})
	require.NoError(t, err)
	_, err = client.Subscribe(ctx, &api.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: &hanging.URL})
	require.NoError(t, err)
	<-entered
	s.Close()
	<-done
}

// The same calls as boto3 makes them.
func TestSNSWithBoto3(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not here; TestSNSOverHTTP covers the same calls")
	}
	s, _ := serveSNS(t, cloudwatch.SNSOptions{})
	h := newHook(t)
	const script = `
import boto3, sys
sns = boto3.client("sns", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
arn = sns.create_topic(Name="alerts", Attributes={"DisplayName": "A & B"}, Tags=[{"Key": "k", "Value": "v"}])["TopicArn"]
assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] == "A & B"
assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
assert [t["TopicArn"] for t in sns.list_topics()["Topics"]] == [arn]
sub = sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=sys.argv[2], Attributes={"RawMessageDelivery": "true"}, ReturnSubscriptionArn=True)["SubscriptionArn"]
assert sns.get_subscription_attributes(SubscriptionArn=sub)["Attributes"]["PendingConfirmation"] == "true"
assert sns.publish(TopicArn=arn, Subject="s", Message="m", MessageAttributes={"a": {"DataType": "String", "StringValue": "v"}})["MessageId"]
try:
    sns.publish(TopicArn=arn + "x", Message="m")
    raise SystemExit("a topic that does not exist")
except sns.exceptions.NotFoundException:
    pass
try:
    sns.subscribe(TopicArn=arn, Protocol="http", Endpoint="http://example.com/")
    raise SystemExit("an endpoint that is not here")
except sns.exceptions.InvalidParameterException as e:
    assert "not on this machine" in str(e)
sns.unsubscribe(SubscriptionArn=sub)
sns.delete_topic(TopicArn=arn)
logs = boto3.client("logs", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
logs.create_log_group(logGroupName="/g", tags={"k": "v"})
logs.create_log_stream(logGroupName="/g", logStreamName="s")
logs.put_retention_policy(logGroupName="/g", retentionInDays=7)
group = logs.describe_log_groups(logGroupNamePrefix="/g")["logGroups"][0]
assert group["retentionInDays"] == 7, group
assert logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == {"k": "v"}
ms = int(sys.argv[3])
out = logs.put_log_events(logGroupName="/g", logStreamName="s", logEvents=[{"timestamp": ms - 20 * 86400000, "message": "old"}, {"timestamp": ms, "message": "1.1.1.1 GET 503"}])
assert out["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 1}, out
events = logs.get_paginator("filter_log_events").paginate(logGroupName="/g", filterPattern="[ip, ..., status=5*]").build_full_result()["events"]
assert [e["message"] for e in events] == ["1.1.1.1 GET 503"], events
matches = logs.test_metric_filter(filterPattern="[ip, ..., status=5*]", logEventMessages=["1.1.1.1 GET 503"])["matches"]
assert matches == [{"eventNumber": 1, "eventMessage": "1.1.1.1 GET 503", "extractedValues": {"$ip": "1.1.1.1", "$2": "GET", "$status": "503"}}], matches
logs.delete_log_group(logGroupName="/g")
`
	out, err := exec.Command("python3", "-c", script, s.server.URL, h.URL, fmt.Sprint(epoch.UnixMilli())).CombinedOutput()
	require.NoError(t, err, string(out))
	got := h.taken(t, s)
	require.Len(t, got, 1)
	assert.Equal(t, "SubscriptionConfirmation", got[0].fields["Type"], "raw delivery is for notifications")
}

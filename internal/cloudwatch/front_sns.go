package cloudwatch

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// snsOperation is the operation of SNS with that name; nil: not known.
func snsOperation(name string) operation {
	switch name {
	case "CreateTopic":
		return call((*Store).createTopic)
	case "DeleteTopic":
		return call((*Store).deleteTopic)
	case "ListTopics":
		return call((*Store).listTopics)
	case "GetTopicAttributes":
		return call((*Store).getTopicAttributes)
	case "SetTopicAttributes":
		return call((*Store).setTopicAttributes)
	case "Subscribe":
		return call((*Store).subscribe)
	case "ConfirmSubscription":
		return call((*Store).confirmSubscription)
	case "Unsubscribe":
		return call((*Store).unsubscribe)
	case "ListSubscriptions":
		return call((*Store).listSubscriptions)
	case "ListSubscriptionsByTopic":
		return call((*Store).listSubscriptionsByTopic)
	case "GetSubscriptionAttributes":
		return call((*Store).getSubscriptionAttributes)
	case "SetSubscriptionAttributes":
		return call((*Store).setSubscriptionAttributes)
	case "Publish":
		return call((*Store).publish)
	case "TagResource":
		return call((*Store).tagTopic)
	case "UntagResource":
		return call((*Store).untagTopic)
	case "ListTagsForResource":
		return call((*Store).listTopicTags)
	}
	return nil
}

// snsPage is how many ListTopics and its kind give at most.
const snsPage = 100

func (s *Store) topic(arn *string) (*topic, error) {
	if arn == nil || !strings.HasPrefix(*arn, "arn:") || len(strings.Split(*arn, ":")) != 6 {
		return nil, invalid("Invalid parameter: TopicArn: %q is no ARN of a topic", short(aws.ToString(arn)))
	}
	t := s.sns.topics[*arn]
	if t == nil {
		return nil, topicNotFound()
	}
	s.sns.expire(t, s.time())
	return t, nil
}

func (s *Store) subscriptionOf(arn *string) (*subscription, error) {
	if arn == nil || len(strings.Split(*arn, ":")) != 7 {
		return nil, invalid("Invalid parameter: SubscriptionArn: %q is no ARN of a subscription", short(aws.ToString(arn)))
	}
	if sub := s.sns.subs[*arn]; sub != nil {
		return sub, nil
	}
	return nil, &apiError{code: "NotFoundException", status: 404, message: "Subscription does not exist"}
}

func (s *Store) createTopic(in *api.CreateTopicInput) (*api.CreateTopicOutput, error) {
	if in.DataProtectionPolicy != nil {
		return nil, invalid("Invalid parameter: DataProtectionPolicy: is not known to this CloudWatch")
	}
	attributes := maps.Clone(in.Attributes)
	if attributes["FifoTopic"] == "false" { // which it is anyway
		delete(attributes, "FifoTopic")
	}
	t, err := s.sns.create(aws.ToString(in.Name), attributes, fromTags(in.Tags))
	if err != nil {
		return nil, err
	}
	return &api.CreateTopicOutput{TopicArn: aws.String(t.arn)}, nil
}

// deleteTopic also is well with a topic that does not exist.
func (s *Store) deleteTopic(in *api.DeleteTopicInput) (*api.DeleteTopicOutput, error) {
	if t := s.sns.topics[aws.ToString(in.TopicArn)]; t != nil {
		s.sns.remove(t)
	}
	return &api.DeleteTopicOutput{}, nil
}

// pageOf is the part of sorted names that follows token, and the token for the
// rest; it is the last name of the page.
func pageOf(names []string, token *string) (page []string, next *string) {
	i, found := slices.BinarySearch(names, aws.ToString(token))
	if found {
		i++
	}
	names = names[i:]
	if len(names) > snsPage {
		return names[:snsPage], aws.String(names[snsPage-1])
	}
	return names, nil
}

func (s *Store) listTopics(in *api.ListTopicsInput) (*api.ListTopicsOutput, error) {
	page, next := pageOf(sortedKeys(s.sns.topics), in.NextToken)
	out := &api.ListTopicsOutput{Topics: []types.Topic{}, NextToken: next}
	for _, arn := range page {
		out.Topics = append(out.Topics, types.Topic{TopicArn: aws.String(arn)})
	}
	return out, nil
}

func (s *Store) getTopicAttributes(in *api.GetTopicAttributesInput) (*api.GetTopicAttributesOutput, error) {
	t, err := s.topic(in.TopicArn)
	if err != nil {
		return nil, err
	}
	confirmed := 0
	for _, sub := range t.subs {
		if sub.confirmed {
			confirmed++
		}
	}
	owner := strings.Split(t.arn, ":")[4]
	all := map[string]string{
		"TopicArn": t.arn, "Owner": owner, "DisplayName": "",
		"Policy": `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},` +
			`"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe",` +
			`"SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":` + quoted(t.arn) + `,"Condition":{"StringEquals":{"AWS:SourceOwner":` + quoted(owner) + `}}}]}`,
		"EffectiveDeliveryPolicy": `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,` +
			`"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,` +
			`"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`,
		"SubscriptionsConfirmed": strconv.Itoa(confirmed), "SubscriptionsPending": strconv.Itoa(len(t.subs) - confirmed),
		"SubscriptionsDeleted": strconv.Itoa(t.deleted),
	}
	maps.Copy(all, t.set)
	return &api.GetTopicAttributesOutput{Attributes: all}, nil
}

func (s *Store) setTopicAttributes(in *api.SetTopicAttributesInput) (*api.SetTopicAttributesOutput, error) {
	t, err := s.topic(in.TopicArn)
	if err != nil {
		return nil, err
	}
	name, value := aws.ToString(in.AttributeName), aws.ToString(in.AttributeValue)
	if err := checkTopicAttribute(name, value); err != nil {
		return nil, err
	}
	if t.set[name] = value; value == "" {
		delete(t.set, name)
	}
	return &api.SetTopicAttributesOutput{}, nil
}

const pendingARN = "PendingConfirmation"

// subscribe asks the endpoint to confirm; until it does it gets nothing else.
func (s *Store) subscribe(in *api.SubscribeInput) (*api.SubscribeOutput, error) {
	t, err := s.topic(in.TopicArn)
	if err != nil {
		return nil, err
	}
	protocol, endpoint := aws.ToString(in.Protocol), aws.ToString(in.Endpoint)
	if err := s.sns.checkEndpoint(protocol, endpoint); err != nil {
		return nil, err
	}
	wanted := &subscription{protocol: protocol, endpoint: endpoint, host: s.sns.address(), made: s.time()}
	for name, value := range in.Attributes {
		if err := wanted.setAttribute(name, value); err != nil {
			return nil, err
		}
	}
	sub, err := s.sns.subscribe(t, wanted)
	if err != nil {
		return nil, err
	}
	if len(in.Attributes) > 0 && sub.raw != wanted.raw {
		return nil, invalid("Invalid parameter: Attributes Reason: Subscription already exists with different attributes")
	}
	shown := sub.arn
	if !sub.confirmed {
		s.sns.confirmation(sub, s.time())
		if !in.ReturnSubscriptionArn {
			shown = "pending confirmation"
		}
	}
	return &api.SubscribeOutput{SubscriptionArn: aws.String(shown)}, nil
}

// setAttribute sets an attribute of a subscription.
func (sub *subscription) setAttribute(name, value string) error {
	if name != "RawMessageDelivery" {
		return invalid("Invalid parameter: AttributeName: %q: this CloudWatch knows RawMessageDelivery alone", short(name))
	}
	if value != "true" && value != "false" {
		return invalid("Invalid parameter: Attributes Reason: RawMessageDelivery: Invalid value [%s]. Must be true or false.", short(value))
	}
	sub.raw = value == "true"
	return nil
}

func (s *Store) confirmSubscription(in *api.ConfirmSubscriptionInput) (*api.ConfirmSubscriptionOutput, error) {
	t, err := s.topic(in.TopicArn)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(t.subs, func(sub *subscription) bool { return sub.receive == nil && sub.token == aws.ToString(in.Token) })
	if i < 0 {
		return nil, invalid("Invalid parameter: Token")
	}
	t.subs[i].confirmed = true
	return &api.ConfirmSubscriptionOutput{SubscriptionArn: aws.String(t.subs[i].arn)}, nil
}

// unsubscribe also is well with a subscription that does not exist.
func (s *Store) unsubscribe(in *api.UnsubscribeInput) (*api.UnsubscribeOutput, error) {
	if sub, err := s.subscriptionOf(in.SubscriptionArn); err == nil {
		s.sns.unsubscribe(sub)
	} else if !strings.HasPrefix(aws.ToString(in.SubscriptionArn), "arn:") {
		return nil, err
	}
	return &api.UnsubscribeOutput{}, nil
}

func toSubscription(sub *subscription) types.Subscription {
	shown := sub.arn
	if !sub.confirmed {
		shown = pendingARN
	}
	return types.Subscription{SubscriptionArn: aws.String(shown), TopicArn: aws.String(sub.topic.arn), Protocol: aws.String(sub.protocol),
		Endpoint: aws.String(sub.endpoint), Owner: aws.String(account)}
}

func (s *Store) listSubscriptions(in *api.ListSubscriptionsInput) (*api.ListSubscriptionsOutput, error) {
	page, next := pageOf(sortedKeys(s.sns.subs), in.NextToken)
	out := &api.ListSubscriptionsOutput{Subscriptions: []types.Subscription{}, NextToken: next}
	for _, arn := range page {
		out.Subscriptions = append(out.Subscriptions, toSubscription(s.sns.subs[arn]))
	}
	return out, nil
}

func (s *Store) listSubscriptionsByTopic(in *api.ListSubscriptionsByTopicInput) (*api.ListSubscriptionsByTopicOutput, error) {
	t, err := s.topic(in.TopicArn)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(t.subs))
	for i, sub := range t.subs {
		names[i] = sub.arn
	}
	slices.Sort(names)
	page, next := pageOf(names, in.NextToken)
	out := &api.ListSubscriptionsByTopicOutput{Subscriptions: []types.Subscription{}, NextToken: next}
	for _, arn := range page {
		out.Subscriptions = append(out.Subscriptions, toSubscription(s.sns.subs[arn]))
	}
	return out, nil
}

func (s *Store) getSubscriptionAttributes(in *api.GetSubscriptionAttributesInput) (*api.GetSubscriptionAttributesOutput, error) {
	sub, err := s.subscriptionOf(in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	return &api.GetSubscriptionAttributesOutput{Attributes: map[string]string{"SubscriptionArn": sub.arn, "TopicArn": sub.topic.arn, "Protocol": sub.protocol,
		"Endpoint": sub.endpoint, "Owner": account, "ConfirmationWasAuthenticated": "false",
		"PendingConfirmation": strconv.FormatBool(!sub.confirmed), "RawMessageDelivery": strconv.FormatBool(sub.raw)}}, nil
}

func (s *Store) setSubscriptionAttributes(in *api.SetSubscriptionAttributesInput) (*api.SetSubscriptionAttributesOutput, error) {
	sub, err := s.subscriptionOf(in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	return &api.SetSubscriptionAttributesOutput{}, sub.setAttribute(aws.ToString(in.AttributeName), aws.ToString(in.AttributeValue))
}

func (s *Store) publish(in *api.PublishInput) (*api.PublishOutput, error) {
	if in.PhoneNumber != nil {
		return nil, invalid("Invalid parameter: PhoneNumber: this CloudWatch sends no SMS")
	}
	to := in.TopicArn
	if to == nil {
		to = in.TargetArn
	}
	t, err := s.topic(to)
	if err != nil {
		return nil, err
	}
	m := Message{Subject: aws.ToString(in.Subject), Message: aws.ToString(in.Message), Time: s.time()}
	if in.Subject != nil && *in.Subject == "" {
		return nil, invalid("Invalid parameter: Subject: is empty")
	}
	by, err := structured(aws.ToString(in.MessageStructure), &m)
	if err != nil {
		return nil, err
	}
	for name, a := range in.MessageAttributes {
		value := aws.ToString(a.StringValue)
		if strings.HasPrefix(aws.ToString(a.DataType), "Binary") {
			value = base64.StdEncoding.EncodeToString(a.BinaryValue)
		}
		if m.Attributes == nil {
			m.Attributes = map[string]MessageAttribute{}
		}
		m.Attributes[name] = MessageAttribute{aws.ToString(a.DataType), value}
	}
	id, err := s.sns.publish(t, m, by)
	if err != nil {
		return nil, err
	}
	return &api.PublishOutput{MessageId: aws.String(id)}, nil
}

// structured takes a message apart that is another one for each protocol.
func structured(structure string, m *Message) (by map[string]string, err error) {
	switch structure {
	case "":
		return nil, nil
	case "json":
	default:
		return nil, invalid("Invalid parameter: MessageStructure: %q: want json", short(structure))
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(m.Message), &all); err != nil {
		return nil, invalid("Invalid parameter: Message Structure - JSON message body failed to parse")
	}
	by = map[string]string{}
	for protocol, v := range all {
		if text, ok := v.(string); ok { // others are ignored
			by[protocol] = text
		}
	}
	if m.Message = by["default"]; m.Message == "" {
		return nil, invalid("Invalid parameter: Message Structure - No default entry in JSON message body")
	}
	return by, nil
}

func fromTags(tags []types.Tag) map[string]string {
	all := map[string]string{}
	for _, tag := range tags {
		all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return all
}

// taggedTopic is topic with the error that the calls for tags have.
func (s *Store) taggedTopic(arn *string) (*topic, error) {
	if t := s.sns.topics[aws.ToString(arn)]; t != nil {
		return t, nil
	}
	return nil, &apiError{code: "ResourceNotFoundException", status: 404, message: "Resource does not exist"}
}

func (s *Store) tagTopic(in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	t, err := s.taggedTopic(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags, err := tagged(t.tags, fromTags(in.Tags))
	if err != nil {
		return nil, invalid("Invalid parameter: Tags: %v", err)
	}
	t.tags = tags
	return &api.TagResourceOutput{}, nil
}

func (s *Store) untagTopic(in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	t, err := s.taggedTopic(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(t.tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
	return &api.UntagResourceOutput{}, nil
}

func (s *Store) listTopicTags(in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	t, err := s.taggedTopic(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &api.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, key := range sortedKeys(t.tags) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(key), Value: aws.String(t.tags[key])})
	}
	return out, nil
}

// sortedKeys are the keys of a map, in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

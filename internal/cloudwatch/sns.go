package cloudwatch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// SNS as far as alarms need it: topics, subscriptions over HTTP and in this
// process, messages. An alarm whose action is the ARN of a topic of this store
// publishes what AWS publishes (see notification); other actions are recorded
// alone.
//
// A message is queued when it is published and delivered by a goroutine of its
// subscription, in order, while neither the Store nor an evaluation waits. Flush
// waits until all is delivered, Close ends deliveries.
//
// What differs from AWS: messages are not signed, since nobody could check a
// signature that is not AWS's: Signature and SigningCertURL are there and empty.
// Message bodies go to this machine alone, unless SNSOptions allow more, and over
// https the certificate of this machine is not checked. Protocols are http and
// https; filter policies, FIFO topics, mobile pushes and SMS are refused.

// SNSOptions are the options of SNS. The zero value is the safe one.
type SNSOptions struct {
	// AnyEndpoint allows endpoints beyond this machine. Without it Subscribe
	// refuses them, and no connection is made to one, whatever a name resolves to.
	AnyEndpoint bool
	// Wait waits between two attempts at a delivery, on the stage's clock: AWS waits
	// 20 seconds and makes three more attempts. nil: they follow at once.
	Wait func(context.Context, time.Duration) error
	// Undelivered is called with a message that was given up, and why, by the
	// goroutine that delivers. nil: nothing is.
	Undelivered func(endpoint string, m Message, err error)
}

// A Message is what was published to a topic.
type Message struct {
	ID, TopicARN     string
	Subject, Message string // Subject may be empty
	Time             time.Time
	Attributes       map[string]MessageAttribute
}

// A MessageAttribute is a value that goes with a message: its type is String,
// String.Array, Number or Binary, whose value is in base64.
type MessageAttribute struct{ Type, Value string }

// Limits of AWS on what is published, and ours on what is kept: AWS has up to
// 100,000 topics, and millions of subscriptions. What would be one too many is
// refused with TopicLimitExceeded and SubscriptionLimitExceeded.
const (
	maxMessage       = 256 << 10 // bytes, with attributes
	maxSubject       = 100       // characters
	maxTopicName     = 256
	maxTopics        = 1000
	maxSubscriptions = 1000
	confirmWithin    = 48 * time.Hour // or a subscription is dropped
)

// An sns is the topics of a Store; the Store's lock guards it.
type sns struct {
	options SNSOptions
	topics  map[string]*topic        // by ARN
	subs    map[string]*subscription // by ARN
	last    int                      // number of the newest message, token or subscription
	host    atomic.Pointer[string]   // where the HTTP front was reached last
	courier *courier
}

type topic struct {
	arn     string
	set     map[string]string // attributes that were set
	tags    map[string]string
	subs    []*subscription // in the order they came
	deleted int             // subscriptions
}

type subscription struct {
	arn, protocol, endpoint string
	topic                   *topic
	host                    string // where the front is, as the subscriber can reach it
	token                   string
	made                    time.Time
	confirmed, raw          bool
	receive                 func(Message) // in this process; else nil
	queue                   mailbox
}

func newSNS(o SNSOptions) *sns {
	return &sns{options: o, topics: map[string]*topic{}, subs: map[string]*subscription{}, courier: newCourier(o)}
}

// id is a new number as SNS writes its own.
func (n *sns) id() string {
	n.last++
	return fmt.Sprintf("00000000-0000-4000-9000-%012x", n.last)
}

// topicARN is the ARN of a topic that is made here.
func topicARN(name string) string { return "arn:aws:sns:" + region + ":" + account + ":" + name }

// CreateTopic makes a topic, if there is none of that name, and gives its ARN.
func (s *Store) CreateTopic(name string) (arn string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.sns.create(name, nil, nil)
	if err != nil {
		return "", err
	}
	return t.arn, nil
}

// Subscribe has receive called with every message that is published to a topic
// from now on, in order, by a goroutine of its own; it may call the Store, except
// for Close. The topic is made when new, of whatever region and account its ARN
// names, so that the alarms of production can be listened to. The function that
// is returned ends the subscription; a message that is on its way may still come.
func (s *Store) Subscribe(topicARN string, receive func(Message)) (unsubscribe func(), err error) {
	if parts := strings.Split(topicARN, ":"); len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" || checkTopicName(parts[5]) != nil {
		return nil, invalid("Invalid parameter: TopicArn: %q is no ARN of a topic: want arn:aws:sns:REGION:ACCOUNT:NAME", short(topicARN))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.sns.add(topicARN)
	if err != nil {
		return nil, err
	}
	sub, err := s.sns.subscribe(t, &subscription{protocol: "application", endpoint: "this process", made: s.time(), confirmed: true, receive: receive})
	if err != nil {
		return nil, err
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sns.unsubscribe(sub)
	}, nil
}

// Publish sends a message to the subscribers of a topic and gives its ID.
func (s *Store) Publish(topicARN, subject, message string, attributes map[string]MessageAttribute) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.sns.topics[topicARN]
	if t == nil {
		return "", topicNotFound()
	}
	return s.sns.publish(t, Message{Subject: subject, Message: message, Attributes: attributes, Time: s.time()}, nil)
}

// Flush waits until every message that was published has been delivered or given
// up.
func (s *Store) Flush(ctx context.Context) error { return s.sns.courier.flush(ctx) }

// Close ends what the Store does by itself, the deliveries of SNS: those under way
// are cut off, those that wait are dropped. It returns when the last function that
// receives has. Later messages go nowhere.
func (s *Store) Close() { s.sns.courier.close() }

// add is the topic with that ARN, made when new.
func (n *sns) add(arn string) (*topic, error) {
	t := n.topics[arn]
	if t != nil {
		return t, nil
	}
	if len(n.topics) == maxTopics {
		return nil, &apiError{code: "TopicLimitExceededException", status: 403, message: fmt.Sprintf("there are %d topics already", maxTopics)}
	}
	t = &topic{arn: arn, set: map[string]string{}, tags: map[string]string{}}
	n.topics[arn] = t
	return t, nil
}

// create is add for a topic of this account, with its attributes and tags, which
// must be those of the topic that is there.
func (n *sns) create(name string, attributes, tags map[string]string) (*topic, error) {
	if err := checkTopicName(name); err != nil {
		return nil, err
	}
	if t := n.topics[topicARN(name)]; t != nil {
		for key, value := range attributes {
			if t.set[key] != value {
				return nil, invalid("Invalid parameter: Attributes Reason: Topic already exists with different attributes")
			}
		}
		for key, value := range tags {
			if had, ok := t.tags[key]; !ok || had != value {
				return nil, invalid("Invalid parameter: Tags Reason: Topic already exists with different tags")
			}
		}
		return t, nil
	}
	for key, value := range attributes {
		if err := checkTopicAttribute(key, value); err != nil {
			return nil, err
		}
	}
	all, err := tagged(nil, tags)
	if err != nil {
		return nil, invalid("Invalid parameter: Tags: %v", err)
	}
	t, err := n.add(topicARN(name))
	if err != nil {
		return nil, err
	}
	maps.Copy(t.set, attributes)
	maps.Copy(t.tags, all)
	return t, nil
}

func (n *sns) remove(t *topic) {
	for _, sub := range slices.Clone(t.subs) {
		n.unsubscribe(sub)
	}
	delete(n.topics, t.arn)
}

// subscribe puts a subscription on a topic. One of the same protocol and endpoint
// is the same.
func (n *sns) subscribe(t *topic, sub *subscription) (*subscription, error) {
	for _, had := range t.subs {
		if had.receive == nil && had.protocol == sub.protocol && had.endpoint == sub.endpoint {
			return had, nil
		}
	}
	if len(n.subs) == maxSubscriptions {
		return nil, &apiError{code: "SubscriptionLimitExceededException", status: 403, message: fmt.Sprintf("there are %d subscriptions already", maxSubscriptions)}
	}
	sub.topic, sub.arn = t, t.arn+":"+n.id()
	token := sha256.Sum256([]byte(sub.arn + " " + sub.endpoint))
	sub.token = hex.EncodeToString(token[:])
	t.subs = append(t.subs, sub)
	n.subs[sub.arn] = sub
	return sub, nil
}

func (n *sns) unsubscribe(sub *subscription) {
	if n.subs[sub.arn] != sub {
		return
	}
	delete(n.subs, sub.arn)
	sub.topic.subs = slices.DeleteFunc(sub.topic.subs, func(other *subscription) bool { return other == sub })
	sub.topic.deleted++
	n.courier.drop(sub)
}

// expire drops the subscriptions that nobody confirmed in time.
func (n *sns) expire(t *topic, now time.Time) {
	for _, sub := range slices.Clone(t.subs) {
		if !sub.confirmed && now.Sub(sub.made) > confirmWithin {
			n.unsubscribe(sub)
		}
	}
}

// publish queues a message for the subscribers of a topic; by has what those of a
// protocol get instead of its text.
func (n *sns) publish(t *topic, m Message, by map[string]string) (id string, err error) {
	if err := checkMessage(&m); err != nil {
		return "", err
	}
	m.ID, m.TopicARN = n.id(), t.arn
	n.expire(t, m.Time)
	for _, sub := range t.subs {
		if !sub.confirmed {
			continue
		}
		own := m
		own.Message = cmp.Or(by[sub.protocol], m.Message)
		n.courier.send(sub, delivery{kind: notify, message: own, raw: sub.raw})
	}
	return m.ID, nil
}

// confirmation queues the message that asks an endpoint to confirm.
func (n *sns) confirmation(sub *subscription, now time.Time) {
	n.courier.send(sub, delivery{kind: confirm, message: Message{ID: n.id(), TopicARN: sub.topic.arn, Time: now,
		Message: "You have chosen to subscribe to the topic " + sub.topic.arn + ".\nTo confirm the subscription, visit the SubscribeURL included in this message."}})
}

// address is where the front was reached last.
func (n *sns) address() string {
	if host := n.host.Load(); host != nil {
		return "http://" + *host
	}
	return "https://sns." + region + ".amazonaws.com"
}

func topicNotFound() error {
	return &apiError{code: "NotFoundException", status: 404, message: "Topic does not exist"}
}

func checkTopicName(name string) error {
	if name == "" || len(name) > maxTopicName || !only(name, "-_") {
		return invalid("Invalid parameter: Topic Name: %q: want 1 to %d letters, digits, - and _; FIFO topics are not known to this CloudWatch", short(name), maxTopicName)
	}
	return nil
}

// topicAttributes are those that can be set, and what they are before. None has an
// effect here, except for Policy and DisplayName, which are shown.
var topicAttributes = []string{"DeliveryPolicy", "DisplayName", "KmsMasterKeyId", "Policy", "SignatureVersion", "TracingConfig"}

func checkTopicAttribute(name, value string) error {
	switch {
	case !slices.Contains(topicAttributes, name):
		return invalid("Invalid parameter: AttributeName: %q: want one of %q", short(name), topicAttributes)
	case len(value) > 30<<10:
		return invalid("Invalid parameter: AttributeValue: %s has more than %d bytes", name, 30<<10)
	case name == "DisplayName" && utf8.RuneCountInString(value) > 100:
		return invalid("Invalid parameter: DisplayName: has more than 100 characters")
	case name == "KmsMasterKeyId" && value != "":
		return invalid("Invalid parameter: KmsMasterKeyId: nothing is encrypted by this CloudWatch")
	}
	return nil
}

// checkMessage applies AWS's limits to what is published.
func checkMessage(m *Message) error {
	size := len(m.Message)
	for name, a := range m.Attributes {
		size += len(name) + len(a.Type) + len(a.Value)
	}
	switch {
	case m.Message == "":
		return invalid("Invalid parameter: Empty message")
	case !utf8.ValidString(m.Message):
		return invalid("Invalid parameter: Message: is not UTF-8")
	case size > maxMessage:
		return invalid("Invalid parameter: Message too long: %d bytes with its attributes; at most %d are allowed", size, maxMessage)
	case utf8.RuneCountInString(m.Subject) > maxSubject || !utf8.ValidString(m.Subject) || strings.ContainsFunc(m.Subject, unicode.IsControl):
		return invalid("Invalid parameter: Subject: want at most %d characters of text, without line breaks and control characters", maxSubject)
	}
	for name, a := range m.Attributes {
		kind, _, _ := strings.Cut(a.Type, ".")
		switch {
		case name == "" || len(name) > 256 || !only(name, "-_."):
			return attributeInvalid("The message attribute name %q is wrong: want 1 to 256 letters, digits, -, _ and .", short(name))
		case kind != "String" && kind != "Number" && kind != "Binary":
			return attributeInvalid("The message attribute %q has the type %q: want String, String.Array, Number or Binary", name, short(a.Type))
		case a.Value == "":
			return attributeInvalid("The message attribute %q must contain non-empty message attribute value", name)
		}
	}
	return nil
}

func attributeInvalid(format string, args ...any) error {
	return &apiError{code: "InvalidParameterValueException", message: fmt.Sprintf(format, args...)}
}

// checkEndpoint says whether messages may go there.
func (n *sns) checkEndpoint(protocol, endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case protocol != "http" && protocol != "https":
		return invalid("Invalid parameter: Protocol: %q is not delivered by this CloudWatch: use http or https", short(protocol))
	case err != nil || u.Scheme != protocol || u.Hostname() == "" || len(endpoint) > 2048:
		return invalid("Invalid parameter: Endpoint: %q is no URL that begins with %s://", short(endpoint), protocol)
	case !n.options.AnyEndpoint && !local(u.Hostname()):
		return invalid("Invalid parameter: Endpoint: %q is not on this machine: a rehearsal sends nothing beyond it", short(u.Hostname()))
	}
	return nil
}

// local says whether a host is this machine.
func local(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// localAddress says whether an address that is to be dialled is this machine.
func localAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, perr := netip.ParseAddr(host)
	return err == nil && perr == nil && ip.Unmap().IsLoopback()
}

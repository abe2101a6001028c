package cloudwatch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Deliveries, as the default delivery policy of SNS has them: an attempt takes at
// most 15 seconds; three more follow, 20 seconds apart, unless the endpoint says
// by 4xx that it will not take the message.
const (
	deliveryTimeout  = 15 * time.Second
	deliveryAttempts = 4
	deliveryPause    = 20 * time.Second
	maxWaiting       = 1000 // messages of a subscription that were not delivered yet
)

// A delivery is one message on its way to one subscription.
type delivery struct {
	kind    deliveryKind
	message Message
	raw     bool // without what SNS puts around it
}

type deliveryKind int

const (
	notify deliveryKind = iota
	confirm
)

// String is the value of the header x-amz-sns-message-type.
func (k deliveryKind) String() string {
	switch k {
	case notify:
		return "Notification"
	case confirm:
		return "SubscriptionConfirmation"
	}
	panic(fmt.Sprintf("cloudwatch: unknown kind of delivery %d", int(k)))
}

// A courier delivers. A subscription with messages waiting has one goroutine, so
// that they arrive in order; one without has none.
type courier struct {
	options SNSOptions
	clients func() (here, beyond *http.Client) // made when first needed
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	busy   int           // goroutines
	idle   chan struct{} // closed when none is busy any more
}

// A mailbox is the messages of a subscription that wait; the courier's lock guards
// it.
type mailbox struct {
	waiting []delivery
	busy    bool // somebody empties it
	gone    bool // the subscription ended
	lost    int  // messages that found it full, not reported yet
}

func newCourier(o SNSOptions) *courier {
	c := &courier{options: o}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.clients = sync.OnceValues(clients)
	return c
}

// clients are one that reaches this machine alone, and one that reaches others.
func clients() (here, beyond *http.Client) {
	guard := &net.Dialer{Timeout: deliveryTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		if localAddress(address) {
			return nil
		}
		return fmt.Errorf("%s is not on this machine: a rehearsal sends nothing beyond it", address)
	}}
	// No proxy: it would be beyond this machine. The certificate of a server on the
	// loopback cannot be one that the world vouches for.
	here = client(&http.Transport{DialContext: guard.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}})
	beyond = client(&http.Transport{TLSHandshakeTimeout: deliveryTimeout})
	return here, beyond
}

// client follows no redirect, as SNS does not.
func client(t *http.Transport) *http.Client {
	t.IdleConnTimeout, t.MaxIdleConnsPerHost = 10*time.Second, 4
	return &http.Client{Transport: t, Timeout: deliveryTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// send puts a message into the mailbox of a subscription. It never waits.
func (c *courier) send(sub *subscription, d delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	box := &sub.queue
	switch {
	case c.closed || box.gone:
		return
	case len(box.waiting) == maxWaiting:
		box.lost++
		return
	}
	box.waiting = append(box.waiting, d)
	if box.busy {
		return
	}
	box.busy = true
	if c.busy++; c.busy == 1 {
		c.idle = make(chan struct{})
	}
	c.running.Go(func() { c.empty(sub) })
}

// empty delivers what waits in a mailbox.
func (c *courier) empty(sub *subscription) {
	for {
		d, lost, ok := c.next(sub)
		if lost > 0 {
			c.giveUp(sub, Message{TopicARN: sub.topic.arn}, fmt.Errorf("%d messages found %d waiting already, and were dropped", lost, maxWaiting))
		}
		if !ok {
			return
		}
		if sub.receive != nil {
			sub.receive(d.message)
		} else if err := c.post(sub, d); err != nil {
			c.giveUp(sub, d.message, err)
		}
	}
}

func (c *courier) giveUp(sub *subscription, m Message, err error) {
	if c.options.Undelivered != nil && c.ctx.Err() == nil {
		c.options.Undelivered(sub.endpoint, m, err)
	}
}

// next takes the first message out of a mailbox; it is not ok when there is none.
func (c *courier) next(sub *subscription) (d delivery, lost int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	box := &sub.queue
	lost, box.lost = box.lost, 0
	if len(box.waiting) == 0 || box.gone || c.closed {
		box.waiting, box.busy = nil, false
		if c.busy--; c.busy == 0 {
			close(c.idle)
		}
		return delivery{}, lost, false
	}
	d = box.waiting[0]
	box.waiting = box.waiting[1:]
	return d, lost, true
}

// drop forgets what waits for a subscription that ended.
func (c *courier) drop(sub *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sub.queue.gone = true
}

func (c *courier) flush(ctx context.Context) error {
	c.mu.Lock()
	busy, idle := c.busy, c.idle
	c.mu.Unlock()
	if busy == 0 {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("messages are still being delivered: %w", ctx.Err())
	}
}

func (c *courier) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
	here, beyond := c.clients()
	here.CloseIdleConnections()
	beyond.CloseIdleConnections()
}

// post delivers over HTTP, in several attempts if it must.
func (c *courier) post(sub *subscription, d delivery) error {
	for attempt := 1; ; attempt++ {
		again, err := c.attempt(sub, d)
		if err == nil || !again || c.ctx.Err() != nil {
			return err
		}
		if attempt == deliveryAttempts {
			return fmt.Errorf("given up after %d attempts: %w", attempt, err)
		}
		if c.options.Wait != nil {
			if werr := c.options.Wait(c.ctx, deliveryPause); werr != nil {
				return errors.Join(err, werr)
			}
		}
	}
}

// attempt says whether another one may succeed.
func (c *courier) attempt(sub *subscription, d delivery) (again bool, err error) {
	body := d.message.Message
	if !d.raw {
		body = sub.body(d)
	}
	r, err := http.NewRequestWithContext(c.ctx, http.MethodPost, sub.endpoint, strings.NewReader(body))
	if err != nil {
		return false, err
	}
	for name, value := range map[string]string{
		"x-amz-sns-message-type": d.kind.String(),
		"x-amz-sns-message-id":   d.message.ID,
		"x-amz-sns-topic-arn":    d.message.TopicARN,
		"Content-Type":           "text/plain; charset=UTF-8",
		"User-Agent":             "Amazon Simple Notification Service Agent",
	} {
		r.Header.Set(name, value)
	}
	if d.kind == notify {
		r.Header.Set("x-amz-sns-subscription-arn", sub.arn)
	}
	if d.raw {
		r.Header.Set("x-amz-sns-rawdelivery", "true")
	}
	via, beyond := c.clients()
	if c.options.AnyEndpoint && !local(r.URL.Hostname()) {
		via = beyond
	}
	answer, err := via.Do(r)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err // the endpoint is told beside it
		}
		return true, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	_ = answer.Body.Close()
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return false, nil
	default:
		return code >= 500 || code == 429, fmt.Errorf("the endpoint answered %s", answer.Status)
	}
}

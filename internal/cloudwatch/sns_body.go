package cloudwatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// snsTime is a time as SNS writes it.
func snsTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// body is what goes to an HTTP endpoint, laid out as SNS lays it out.
func (sub *subscription) body(d delivery) string {
	m := d.message
	var b strings.Builder
	member := func(name, value string) {
		if b.Len() == 0 {
			b.WriteString("{\n")
		} else {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "  %s : %s", quoted(name), quoted(value))
	}
	member("Type", d.kind.String())
	member("MessageId", m.ID)
	if d.kind == confirm {
		member("Token", sub.token)
	}
	member("TopicArn", m.TopicARN)
	if m.Subject != "" {
		member("Subject", m.Subject)
	}
	member("Message", m.Message)
	if d.kind == confirm {
		member("SubscribeURL", sub.host+"/?Action=ConfirmSubscription&TopicArn="+url.QueryEscape(m.TopicARN)+"&Token="+sub.token)
	}
	member("Timestamp", snsTime(m.Time))
	member("SignatureVersion", "1")
	member("Signature", "")
	member("SigningCertURL", "")
	if d.kind == notify {
		member("UnsubscribeURL", sub.host+"/?Action=Unsubscribe&SubscriptionArn="+url.QueryEscape(sub.arn))
	}
	if len(m.Attributes) > 0 {
		b.WriteString(",\n  \"MessageAttributes\" : {\n")
		for i, name := range sortedKeys(m.Attributes) {
			if i > 0 {
				b.WriteString(",\n")
			}
			a := m.Attributes[name]
			fmt.Fprintf(&b, "    %s : {\"Type\":%s,\"Value\":%s}", quoted(name), quoted(a.Type), quoted(a.Value))
		}
		b.WriteString("\n  }")
	}
	b.WriteString("\n}")
	return b.String()
}

// quoted is text as JSON, without the escapes that HTML needs.
func quoted(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic(fmt.Sprintf("cloudwatch: a string cannot be written as JSON: %v", err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

package stage

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// A Stub answers in the place of an HTTP API that is outside of the staging copy.
type Stub struct {
	Hosts   []string // the names by which the service calls the API: "api.payments.example.com"
	Answers []StubAnswer
	Default StubAnswer // to what no answer is for
}

// A StubAnswer is what a stub answers to the requests that it is for.
type StubAnswer struct {
	// Method and Path are those of the requests; "" is any. In Path, * stands for anything
	// but a slash (path.Match), and a last /** for whatever comes after.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Contains must be in the body of the request.
	Contains string `json:"contains,omitempty"`
	// JSON must be in the body of the request: an object has at least its members.
	JSON any `json:"json,omitempty"`

	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Delay   time.Duration     `json:"delay,omitempty"` // before it answers, wall time
}

// Validate says what is wrong with an answer.
func (a StubAnswer) Validate() error {
	var errs []error
	if a.Path != "" {
		if _, err := path.Match(strings.TrimSuffix(a.Path, "/**"), ""); err != nil || a.Path[0] != '/' {
			errs = append(errs, fmt.Errorf("the path %q: it begins with /, and * stands for a part of it", a.Path))
		}
	}
	if a.Status < 200 || a.Status > 599 {
		errs = append(errs, fmt.Errorf("the status %d: an answer has one from 200 to 599", a.Status))
	}
	for name, value := range a.Headers {
		if strings.ContainsAny(name, " :\r\n") || strings.ContainsAny(value, "\r\n") {
			errs = append(errs, fmt.Errorf("the header %q cannot be sent", name))
		}
	}
	return errors.Join(errs...)
}

// Asked is how often a stub was asked something, since the event before. A version's
// traffic while time runs ahead is counted as it was sent, not by what it stands for.
type Asked struct {
	Stub   string `json:"stub"` // the dependency
	Method string `json:"method"`
	Path   string `json:"path"` // without its query; "" for all others, where there were too many
	Status int    `json:"status"`
	Times  int64  `json:"times"`
}

// String is "payments: POST /charges, answered 201, 3 times".
func (a Asked) String() string {
	return fmt.Sprintf("%s: %s %s, answered %d, %d times", a.Stub, a.Method, a.Path, a.Status, a.Times)
}

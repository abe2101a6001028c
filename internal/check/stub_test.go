package check_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rehearsal/internal/check"
	"rehearsal/internal/stage"
)

func TestWhatAStubWasAsked(t *testing.T) {
	h := stage.NewHistory(func() time.Duration { return 0 }, nil)
	for _, a := range []stage.Asked{
		{Stub: "payments", Method: "POST", Path: "/charges", Status: 201, Times: 2},
		{Stub: "payments", Method: "POST", Path: "/charges", Status: 500, Times: 1},
		{Stub: "payments", Method: "GET", Path: "/charges/ch_1", Status: 200, Times: 4},
		{Stub: "mail", Method: "POST", Path: "/charges", Status: 200, Times: 9},
	} {
		h.Record(stage.Event{Kind: stage.StubAsked, Asked: &a})
	}
	exactly := func(n int64) check.Times { return check.Times{Least: n, Most: n} }
	for _, c := range []struct {
		stub, method, path string
		times              check.Times
		want               check.Verdict
		detail             string
	}{
		{"payments", "POST", "/charges", exactly(3), check.Passed, "it was asked 3 times"},
		{"payments", "POST", "/charges", exactly(2), check.Failed, "it was asked 3 times; else it was asked GET /charges/ch_1 4 times"},
		{"payments", "POST", "/charges", check.Times{Least: 3, Most: -1}, check.Passed, "it was asked 3 times"},
		{"payments", "POST", "/charges", check.Times{Least: 4, Most: -1}, check.Failed, "it was asked 3 times"},
		{"payments", "POST", "/charges", check.Times{}, check.Failed, "it was asked 3 times"},
		{"payments", "DELETE", "/charges", check.Times{}, check.Passed, "it was asked 0 times"},
		{"payments", "GET", "/charges/*", exactly(4), check.Passed, "it was asked 4 times"},
		{"sms", "POST", "/charges", exactly(1), check.Failed, "of anything else it was asked nothing"},
	} {
		f := check.AskedTimes(h, c.stub, c.method, c.path, c.times)
		assert.Equal(t, c.want, f.Verdict, "%s: %s", f.Check, f.Detail)
		assert.Contains(t, f.Detail, c.detail)
	}
}

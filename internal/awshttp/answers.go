// Package awshttp is how the AWS SDK's clients reach a server that is near.
package awshttp

import (
	"io"
	"net/http"
)

// WholeAnswers is t for the SDK's clients of a server so near that it answers at once. The SDK closes a request's body as soon as the answer begins, and
// a closed body of smithy-go (1.28) that net/http asks to write itself says io.EOF,
// which net/http takes for a broken request: it closes the connection, and an answer
// longer than its buffer is cut. Here bodies are only read, which they survive.
func WholeAnswers(t *http.Transport) http.RoundTripper { return wholeAnswers{t} }

// wholeAnswers is an *http.Transport in all else: idle connections can be closed.
type wholeAnswers struct{ *http.Transport }

func (w wholeAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		own := *r // a round trip must not change its request
		own.Body = struct{ io.ReadCloser }{r.Body}
		r = &own
	}
	return w.Transport.RoundTrip(r)
}

package awshttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/awshttp"
)

// closedBody is a body of smithy-go once it is closed: what it had was sent, reading
// it finds its end, and it refuses to write itself.
type closedBody struct{ io.Reader }

func (closedBody) Close() error { return nil }
func (b closedBody) WriteTo(w io.Writer) (int64, error) {
	n, _ := io.Copy(w, b.Reader)
	return n, io.EOF
}

func TestAClosedBodyDoesNotCutTheAnswer(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, long)
	}))
	defer server.Close()
	client := &http.Client{Transport: awshttp.WholeAnswers(&http.Transport{})}
	defer client.CloseIdleConnections()
	for range 20 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, closedBody{strings.NewReader("question")})
		require.NoError(t, err)
		r.ContentLength = int64(len("question"))
		answer, err := client.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		assert.Len(t, body, len(long))
		require.NoError(t, answer.Body.Close())
	}
}

package containers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOutputIsKeptUpToItsBound(t *testing.T) {
	w := &firstBytes{most: 10}
	for range 5 {
		n, err := w.Write([]byte("abcd"))
		require.NoError(t, err)
		assert.Equal(t, 4, n, "whoever writes is not stopped")
	}
	assert.Equal(t, "abcdabcdab", w.String())
}

func TestAHostHeaderIsTheRequestsHost(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", strings.NewReader(""))
	require.NoError(t, err)
	setHeaders(r, map[string]string{"host": "api.example", "Accept": "text/plain"})
	assert.Equal(t, "api.example", r.Host)
	assert.Equal(t, http.Header{"Accept": {"text/plain"}}, r.Header)
}

func TestWhoseAnswerItIs(t *testing.T) {
	for code, own := range map[int]bool{0: false, 200: true, 404: true, 500: true, 501: true, 502: false, 503: false, 504: false, 505: true} {
		assert.Equal(t, own, byVersion(code), "%d", code)
	}
}

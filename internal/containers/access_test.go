package containers

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAccessOfAnAnswerByATarget(t *testing.T) {
	a, ok := parseAccess("access users version:v2 v2-3 201 1 0 12 13 - 60 -- POST /orders")
	require.True(t, ok)
	assert.Equal(t, access{
		Version: "v2", Target: "v2-3", Status: 201, FromTarget: true, Weight: 60, Queued: time.Millisecond,
		Response: 12 * time.Millisecond, Total: 13 * time.Millisecond, Termination: "--", Method: "POST", Path: "/orders",
	}, a)
}

func TestAccessKinds(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		want func(*testing.T, access)
	}{
		"a probe stands for itself": {"access probes version:v2 v2-3 200 0 0 1 1 - - -- GET /ready", func(t *testing.T, a access) {
			assert.True(t, a.Probe)
			assert.Equal(t, 1.0, a.Weight)
		}},
		"no replica is healthy": {"access users version:v2 <NOSRV> 503 -1 -1 -1 0 - 60 SC GET /products", func(t *testing.T, a access) {
			assert.Equal(t, "v2", a.Version)
			assert.Empty(t, a.Target)
			assert.False(t, a.FromTarget)
			assert.Equal(t, 503, a.Status)
		}},
		"no version has a share": {"access users nobody <NOSRV> 503 -1 -1 -1 0 - 1 PR GET /", func(t *testing.T, a access) {
			assert.Empty(t, a.Version)
			assert.Empty(t, a.Target)
		}},
		"the replica hangs up": {"access users version:v1 v1-1 502 0 0 -1 8 - 60 SH GET /", func(t *testing.T, a access) {
			assert.Equal(t, "v1-1", a.Target)
			assert.False(t, a.FromTarget)
			assert.Less(t, a.Response, time.Duration(0))
		}},
		"the user leaves": {"access users version:v1 v1-1 400 0 0 -1 4000 - 60 CH GET /", func(t *testing.T, a access) {
			assert.Zero(t, a.Status)
			assert.False(t, a.FromTarget)
		}},
		"a delayed answer took the target longer": {"access users version:v1 v1-1 200 0 1 5 1006 1000 60 -- GET /", func(t *testing.T, a access) {
			assert.Equal(t, 1005*time.Millisecond, a.Response)
		}},
		"a path with spaces": {"access users version:v1 v1-1 200 0 1 5 6 - 2.5 -- GET /a b  c", func(t *testing.T, a access) {
			assert.Equal(t, "/a b  c", a.Path)
			assert.Equal(t, 2.5, a.Weight)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a, ok := parseAccess(c.line)
			require.True(t, ok)
			c.want(t, a)
		})
	}
}

func TestAccessOfJunk(t *testing.T) {
	good := "access users version:v2 v2-3 201 1 0 12 13 - 60 -- POST /orders"
	for cut := range strings.LastIndex(good, " ") {
		_, ok := parseAccess(good[:cut])
		assert.False(t, ok, "cut short: %q", good[:cut])
	}
	for _, line := range []string{
		"",
		"Server version:v2/v2-1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms.",
		"[NOTICE]   (1) : New worker (8) forked",
		"access users version:v2 v2-3 OK 1 0 12 13 - 60 -- POST /orders",
		"access users version:v2 v2-3 201 1 0 twelve 13 - 60 -- POST /orders",
		"access users version:v2 v2-3 201 1 0 12 13 - 60 early POST /orders",
		strings.Repeat("\x00", 4096),
	} {
		_, ok := parseAccess(line)
		assert.False(t, ok, "%q", line)
	}
}

func FuzzAccess(f *testing.F) {
	f.Add("access users version:v2 v2-3 201 1 0 12 13 - 60 -- POST /orders")
	f.Add("access users version:v2 <NOSRV> 503 -1 -1 -1 0 - Inf SC GET /")
	f.Fuzz(func(t *testing.T, line string) {
		if a, ok := parseAccess(line); ok {
			assert.Positive(t, a.Weight)
			assert.False(t, math.IsInf(a.Weight, 1))
			assert.GreaterOrEqual(t, a.Status, 0)
			assert.Falsef(t, a.FromTarget && a.Target == "", "an answer from no target: %q", line)
		}
	})
}

package pipeline

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTry(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	r, err := Run(t.Context(), Options{Code: "../../fixtures/pipeline/shop", Version: "v2", Stable: "v1", Service: "shop", Worker: []string{exe, "worker"}, Rehearse: exe, Log: os.Stdout,
		Answer: func(_ context.Context, r Request, say func(string)) Answer {
			say("hello " + r.Version)
			return Answer{0, map[string]string{"began": "2026-01-05T09:02:00Z"}}
		}})
	require.NoError(t, err)
	t.Log(r, r.Inconclusive())
	t.Logf("%+v", r)
}

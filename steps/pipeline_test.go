package steps

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
)

func TestThePipelinesOfTheShop(t *testing.T) {
	v, err := Rehearsal{
		Project: shop(t), Features: []string{"../features"}, Tags: PipelineTag, Stages: []string{Simulated}, Seed: 1, Report: t.TempDir(),
	}.Verify(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(v.Results), 7)
	for _, r := range v.Results {
		require.Equal(t, check.Passed, r.Verdict, "%s: %s: %v", r.Spec.Where(), r.Step, r.Err)
	}
}

package steps

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
)

// BenchmarkSimulatedSpecs runs every spec on the simulated stage, but for pipelines,
// which are real there too. To compare with: all of them must take less than 1 s.
func BenchmarkSimulatedSpecs(b *testing.B) {
	p := shop(b)
	for b.Loop() {
		v, err := Rehearsal{Project: p, Features: []string{"../features"}, Stages: []string{Simulated}, NoPipelines: true, Seed: 1}.Verify(context.Background())
		require.NoError(b, err)
		for _, r := range v.Results {
			require.Equal(b, check.Passed, r.Verdict, "%s: %v", r.Spec.Where(), r.Err)
		}
		b.ReportMetric(float64(len(v.Results)), "scenarios")
	}
	b.ReportMetric(1000, "limit-ms/op")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/op")
}

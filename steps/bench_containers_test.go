//go:build containers

package steps

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
	"rehearsal/internal/containers"
)

// BenchmarkContainerSpecs runs the specs that `make verify` runs in containers, with
// the images there already. To compare with: at least 15 of them in less than 120 s on
// 2 cores.
func BenchmarkContainerSpecs(b *testing.B) {
	p := shop(b)
	engine, err := containers.ConnectEngine(b.Context())
	if err != nil {
		b.Skip("no Docker engine: ", err)
	}
	r := Rehearsal{
		NoPipelines: true,
		Project:     p, Features: []string{"../features"}, ContainerTags: "~@thorough && ~@twin", Stages: []string{Containers}, Seed: 1, Pace: 60, Parallel: 3,
		Progress: func(line string) { b.Log(line) },
		Engine:   func(context.Context) (*containers.Engine, error) { return engine, nil },
	}
	specs, err := ReadSpecs(p, r.Features, "")
	require.NoError(b, err)
	_, err = r.images(b.Context(), engine, specs)
	require.NoError(b, err)
	for b.Loop() {
		v, err := r.Verify(b.Context())
		require.NoError(b, err)
		for _, res := range v.Results {
			require.Equal(b, check.Passed, res.Verdict, "%s: %v", res.Spec.Where(), res.Err)
		}
		b.ReportMetric(float64(len(v.Results)), "scenarios")
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/op")
	b.ReportMetric(120, "limit-s/op")
}

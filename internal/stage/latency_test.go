package stage_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/stage"
)

func TestALatencyStandsForThoseCloseToIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "d"))
		got := stage.LatencyOf(d)
		require.InDelta(t, float64(d), float64(got), float64(d)*0.016+1)
		require.Equal(t, got, stage.LatencyOf(got), "what stands for others stands for itself")
		require.LessOrEqual(t, got, stage.LatencyOf(d+1), "the order is kept")
	})
	assert.Zero(t, stage.LatencyOf(-time.Second))
}

func TestLatenciesAddUpAndAreReadBack(t *testing.T) {
	var all []stage.LatencyCount
	for d := range 100_000 {
		all = append(all, stage.LatencyCount{Took: time.Duration(d) * 100 * time.Microsecond, N: 2})
	}
	l := stage.LatenciesOf(all)
	assert.EqualValues(t, 200_000, l.Total())
	assert.Less(t, len(l), 700, "a histogram stays small")
	sum := l.Add(l)
	assert.EqualValues(t, 400_000, sum.Total())
	assert.Len(t, sum, len(l))
	assert.EqualValues(t, 200_000, l.Total(), "what was added stays as it was")

	data, err := json.Marshal(l)
	require.NoError(t, err)
	var back stage.Latencies
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, l, back)
	for _, damaged := range []string{`[[1]]`, `[[2,1],[1,1]]`, `[[1,0]]`, `[[-1,1]]`, `{}`, `[["a",1]]`} {
		assert.Error(t, json.Unmarshal([]byte(damaged), &back), damaged)
	}
}

package stage_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/stage"
)

func TestSharesAddUpToAHundredPercent(t *testing.T) {
	for _, good := range []stage.Shares{
		{"v1": 100},
		{"v1": 0, "v2": 100},
		{"v1": 90, "v2": 10},
		{"v1": 200.0 / 3, "v2": 100.0 / 3},
		{"a": 33.3, "b": 33.3, "c": 33.4},
	} {
		assert.NoError(t, good.Validate(), "%v", good)
	}
	for _, bad := range []struct {
		shares stage.Shares
		want   string
	}{
		{nil, "no version has a share: the shares must add up to 100 %"},
		{stage.Shares{}, "no version has a share: the shares must add up to 100 %"},
		{stage.Shares{"v1": 90, "v2": 30}, "the shares v1 90 %, v2 30 % add up to 120 %: they must add up to 100 %"},
		{stage.Shares{"v1": 33.3, "v2": 33.3, "v3": 33.3}, "the shares v1 33.3 %, v2 33.3 %, v3 33.3 % add up to 99.9 %: they must add up to 100 %"},
		{stage.Shares{"v1": 120, "v2": -20}, `the share of version "v1" is 120 %: a share is from 0 to 100 %`},
		{stage.Shares{"v1": 100, "v2": -0.5}, `the share of version "v2" is -0.5 %: a share is from 0 to 100 %`},
		{stage.Shares{"v1": math.NaN()}, `the share of version "v1" is NaN %: a share is from 0 to 100 %`},
		{stage.Shares{"v1": math.Inf(1)}, `the share of version "v1" is +Inf %: a share is from 0 to 100 %`},
	} {
		for range 20 { // the same message whatever the order of the map
			assert.EqualError(t, bad.shares.Validate(), bad.want)
		}
	}
}

// Whatever way the traffic is divided, what is left over for the last version makes
// the shares valid, and anything else does not.
func TestSharesOfAnyDivision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		left, shares := 100.0, stage.Shares{}
		for _, v := range rapid.SliceOfNDistinct(rapid.StringMatching(`v[0-9]{1,3}`), 0, 8, rapid.ID).Draw(t, "versions") {
			shares[v] = rapid.Float64Range(0, left).Draw(t, v)
			left -= shares[v]
		}
		shares["the rest"] = left
		require.NoError(t, shares.Validate())
		over := rapid.Float64Range(0.01, 50).Draw(t, "over")
		shares["one more"] = over
		require.Error(t, shares.Validate())
		shares["one more"] = -over
		require.Error(t, shares.Validate())
	})
}

func TestSharesAsPeopleReadThem(t *testing.T) {
	s := stage.Shares{"v2": 10, "v1": 90, "v0": 0}
	assert.Equal(t, "v0 0 %, v1 90 %, v2 10 %", s.String())
	assert.Equal(t, []string{"v1", "v2"}, s.Versions())
	assert.Empty(t, stage.Shares{}.String())
}

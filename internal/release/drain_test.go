package release_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rehearsal/internal/release"
)

func TestTheTightestMomentOfAPlan(t *testing.T) {
	rolling := func(batch int, healthy float64) *release.Plan {
		return &release.Plan{Strategy: release.Rolling, Batch: release.Amount{Count: batch}, MinimumHealthy: healthy}
	}
	for name, c := range map[string]struct {
		plan       *release.Plan
		old, fresh int
		want       release.Drain
	}{
		"blue/green": {&release.Plan{Strategy: release.BlueGreen}, 4, 4,
			release.Drain{From: release.Point{Share: 0, Old: 4, New: 4}, To: release.Point{Share: 100, Old: 0, New: 4}}},
		"canary": {&release.Plan{Strategy: release.Canary, Steps: []release.Step{{Share: 10}, {Share: 50}, {Share: 100}}}, 4, 2,
			release.Drain{From: release.Point{Share: 50, Old: 4, New: 2}, To: release.Point{Share: 100, Old: 0, New: 2}}},
		"linear": {&release.Plan{Strategy: release.Linear, Share: 25}, 3, 3,
			release.Drain{From: release.Point{Share: 75, Old: 3, New: 3}, To: release.Point{Share: 100, Old: 0, New: 3}}},
		"rolling with half": {rolling(1, 50), 2, 2,
			release.Drain{From: release.Point{Share: 50, Old: 1, New: 1}, To: release.Point{Share: 100, Old: 0, New: 1}}},
		"rolling with three of four": {rolling(1, 75), 4, 4,
			release.Drain{From: release.Point{Share: 75, Old: 1, New: 3}, To: release.Point{Share: 100, Old: 0, New: 3}}},
		"rolling with all": {rolling(2, 100), 4, 4,
			release.Drain{From: release.Point{Share: 50, Old: 2, New: 4}, To: release.Point{Share: 100, Old: 0, New: 4}}},
	} {
		got := c.plan.Drain(c.old, c.fresh)
		assert.InDelta(t, c.want.From.Share, got.From.Share, 1e-9, name)
		got.From.Share = c.want.From.Share
		assert.Equal(t, c.want, got, name)
	}
}

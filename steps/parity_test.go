package steps_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/parity"
	"rehearsal/internal/project"
	"rehearsal/steps"
)

// ledger compares the shop with a production that differs in the facts given.
func ledger(t *testing.T, service string, facts map[string]string, change func(*parity.Copy)) *parity.Ledger {
	t.Helper()
	p, err := project.Load(t.Context(), filepath.Join("..", "fixtures", "rehearsal.yaml"))
	require.NoError(t, err)
	specs, err := steps.ReadSpecs(p, []string{filepath.Join("..", "features")}, "")
	require.NoError(t, err)
	s := &parity.Service{Facts: map[string]parity.Fact{}}
	for field, value := range facts {
		s.Facts[field] = parity.Fact{Value: value}
		s.Tells = append(s.Tells, field)
	}
	p.Production = &parity.Copy{Source: "production", Services: map[string]*parity.Service{service: s}}
	if change != nil {
		change(p.Production)
	}
	return steps.Parity(p, specs, steps.ParityOptions{})
}

func TestADifferenceWeakensTheScenariosThatItTouches(t *testing.T) {
	of := func(service, field string) parity.Difference {
		l := ledger(t, service, map[string]string{field: "other"}, nil)
		require.Len(t, l.Differences, 1)
		return l.Differences[0]
	}
	d := of("shop", "memory")
	assert.Contains(t, d.Weakens, "The new version needs more memory than it gets")
	assert.NotContains(t, d.Weakens, "The new version is slow")
	assert.Contains(t, of("shop", "cpu").Weakens, "応答が遅い版")
	assert.Contains(t, of("shop", "health.interval").Weakens, "起動時に異常終了する版")
	assert.True(t, of("shop", "environment.NEW").Everything)
	assert.True(t, of("shop", "image").Everything)
	assert.True(t, of("database", "version").Everything, "the traffic of every scenario uses it")

	changed := ledger(t, "shop", nil, func(c *parity.Copy) {
		p, err := project.Load(t.Context(), filepath.Join("..", "fixtures", "rehearsal.yaml"))
		require.NoError(t, err)
		c.Alarms = &alarm.Set{}
		for _, a := range p.Setup.Alarms {
			if a.AlarmName == "shop-p99-latency" {
				a.Threshold++
			}
			c.Alarms.Alarms = append(c.Alarms.Alarms, a)
		}
		c.Alarms.Alarms = append(c.Alarms.Alarms, alarm.Alarm{AlarmName: "nobody-mentions-it"})
	})
	require.Len(t, changed.Differences, 2)
	assert.Empty(t, changed.Differences[0].Weakens)
	assert.False(t, changed.Differences[0].Everything)
	assert.Equal(t, "shop-p99-latency.Threshold", changed.Differences[1].Field)
	assert.Contains(t, changed.Differences[1].Weakens, "The new version is slow")
	assert.NotContains(t, changed.Differences[1].Weakens, "The new version fails half of its requests")
}

func TestLogSettingsWeakenWhatReadsLogs(t *testing.T) {
	l := ledger(t, "shop", map[string]string{"log.multiline": "^x"}, nil)
	require.Len(t, l.Differences, 1, "the staging copy sets none")
	assert.Contains(t, l.Differences[0].Weakens, "The new version is deployed with a wrong address of the payments API", "it mentions shop-error-logs")
	assert.NotContains(t, l.Differences[0].Weakens, "The new version is slow")
}

func TestTheStatusOfALedger(t *testing.T) {
	with := func(s parity.Standing) *parity.Ledger {
		return &parity.Ledger{Differences: []parity.Difference{{Standing: parity.Harmless}, {Standing: s}}}
	}
	assert.Equal(t, steps.ExitVerified, steps.ParityStatus(nil))
	assert.Equal(t, steps.ExitVerified, steps.ParityStatus(with(parity.Waived)))
	assert.Equal(t, steps.ExitBroken, steps.ParityStatus(with(parity.Open)))
	assert.Equal(t, steps.ExitInconclusive, steps.ParityStatus(with(parity.Unknown)))
	assert.Equal(t, steps.ExitBroken, steps.ParityStatus(&parity.Ledger{Expired: []parity.Waiver{{}}}))
	both := with(parity.Unknown)
	both.Differences = append(both.Differences, parity.Difference{Standing: parity.Open})
	assert.Equal(t, steps.ExitBroken, steps.ParityStatus(both), "promises before what could not be concluded")
	passed := &steps.Result{}
	assert.Equal(t, steps.ExitBroken, (&steps.Verification{Results: []*steps.Result{passed}, Parity: with(parity.Open)}).Status())
	assert.Equal(t, steps.ExitInconclusive, (&steps.Verification{Results: []*steps.Result{passed}, Parity: with(parity.Unknown)}).Status())
	assert.Equal(t, steps.ExitVerified, (&steps.Verification{Results: []*steps.Result{passed}, Parity: with(parity.Waived)}).Status())
}

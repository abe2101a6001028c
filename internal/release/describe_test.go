package release_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
	"rehearsal/internal/release"
)

func describe(t *testing.T, text string, f release.Facts) string {
	t.Helper()
	p, err := release.Parse("release.yaml", []byte(text))
	require.NoError(t, err)
	var b strings.Builder
	p.Describe(&b, lang.English, f)
	for _, line := range strings.Split(b.String(), "\n") {
		assert.LessOrEqual(t, len([]rune(line)), 80, line)
	}
	return b.String()
}

func TestDescribingACanary(t *testing.T) {
	assert.Equal(t, `shop (canary)
            a part of the users first, everyone in 2 steps.
  takes     15m, and the time that replicas take to start
  before    nothing is deployed unless these pass: connection to database,
            connection to payments
  test      smoke requests to the new version, before users reach it
  after     smoke requests to the new version, once it serves everyone

  step     users      from      bake
     1      10 %        0s        5m
     2     100 %        5m       10m

  watched   shop-5xx-rate (within 4m), shop-p99-latency (within 4m)
  at worst  a version that is bad from the start reaches 10 % of the users, for
            at most 4m until the alarm and 2m until they are back: about 7,200
            requests
            one that turns bad at the end reaches 100 % of the users, for at
            most 4m until the alarm and 2m until they are back: about 72,000
            requests
            What neither an alarm nor a check sees is not counted.
  way back  to the version that was last good, on any watched alarm, failed
            health check, failed check or by hand, within 2m
  decides   on-call release engineer
  window    Tue, Wed, Thu 10:00-16:30 Asia/Tokyo
            frozen from 2026-12-25 to 2027-01-04: year end
            frozen on 2026-07-20
            next: Tue 2026-01-06 10:00 JST
`, describe(t, good, facts()))
}

func TestDescribingWithoutFacts(t *testing.T) {
	assert.Equal(t, `r (rolling)
            2 replicas are replaced every 5m, while at least 75 % of the
            replicas serve.
  takes     5m for each 2 replicas but the last, and 10m, and the time that
            replicas take to start
  watched   errors
  way back  none
  window    always
`, describe(t, "plan: r\nstrategy: rolling\nbatch: 2\nminimum-healthy: 75%\nevery: 5m\nbake: 10m\nalarms: [errors]\n", release.Facts{}))
}

func TestDescribingManySteps(t *testing.T) {
	text := describe(t, "plan: linear\nstrategy: linear\nstep: 3%\nevery: 6m\nbake: 0\n", release.Facts{})
	assert.Contains(t, text, `linear
            3 % more of the users every 6m, in 34 steps.
  takes     3h18m, and the time that replicas take to start

  step     users      from      bake
     1       3 %        0s        6m
     2       6 %        6m        6m
     3       9 %       12m        6m
     4      12 %       18m        6m
     5      15 %       24m        6m
   ...       ...
    30      90 %     2h54m        6m
    31      93 %        3h        6m
    32      96 %      3h6m        6m
    33      99 %     3h12m        6m
    34     100 %     3h18m        0s
`)
	assert.Contains(t, text, "watched   no alarm")
}

func TestABakeShorterThanTheAlarmExposesMoreUsers(t *testing.T) {
	text := describe(t, strings.Replace(good, "bake: 5m", "bake: 1m", 1), facts())
	// 1 min at 10 %, 3 min at 100 % until the alarm, 2 min at 100 % until back.
	assert.Contains(t, strings.Join(strings.Fields(text), " "), "a version that is bad from the start reaches 100 % of the users, "+
		"for at most 4m until the alarm and 2m until they are back: about 61,200 requests")
}

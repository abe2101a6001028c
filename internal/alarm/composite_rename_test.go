package alarm

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRuleRenamed(t *testing.T) {
	for rule, want := range map[string]string{
		`ALARM(a) AND NOT (OK(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:b) OR TRUE)`: `ALARM("x-a") AND NOT (OK("x-b") OR TRUE)`,
		`AT_LEAST(50%, NOT OK, (a, "b c"))`:                                                `AT_LEAST(50%, NOT OK, ("x-a", "x-b c"))`,
		"FALSE":                                                                            "FALSE",
	} {
		r, err := ParseRule(rule)
		require.NoError(t, err)
		before := r.String()
		renamed := r.Renamed(func(name string) string { return "x-" + name })
		assert.Equal(t, want, renamed.String())
		assert.Len(t, renamed.Children(), len(r.Children()))
		for i, child := range r.Children() {
			assert.Equal(t, "x-"+child, renamed.Children()[i])
		}
		assert.Equal(t, before, r.String(), "the rule itself is as it was")
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAlarmsAreTold(t *testing.T) {
	out, status := run(t, nil, "alarms", "../../fixtures/alarms.json", "--file", "../../fixtures/rehearsal.yaml")
	require.Equal(t, 0, status, out)
	text := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"200 requests per second to 2 tasks; half of them answered within 3ms, 99% within 20ms",
		"goes off 2m 2s to 3m 1s after this begins: 50% of the requests fail",
		"fed: the staging copy publishes all of its metrics.",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, out, "NOT fed")

	out, status = run(t, nil, "alarms", "../../fixtures/alarms.json", "--file", "../../fixtures/rehearsal.yaml",
		"--fails", "0.5", "--rate", "20/s", "--latency", "100ms", "--down", "1", "--used", "50%")
	require.Equal(t, 0, status, out)
	text = strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"20 requests per second", "0.5% of the requests fail: that is too small", "1 of 2 tasks stops answering"} {
		assert.Contains(t, text, want)
	}

	out, status = run(t, nil, "alarms", "../../internal/alarm/testdata/describe-alarms-rich.json")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "staging    not known: name your rehearsal.yaml with --file.")
	out, status = run(t, nil, "alarms", "../../internal/alarm/testdata/describe-alarms-rich.json", "--file", "../../fixtures/rehearsal.yaml")
	require.Equal(t, 0, status, out)
	assert.Contains(t, strings.Join(strings.Fields(out), " "), "NOT fed: nothing in the staging copy publishes AWS/SQS ApproximateAgeOfOldestMessage.")
}

func TestAlarmsThatAreWrong(t *testing.T) {
	data, err := os.ReadFile("../../fixtures/alarms.json")
	require.NoError(t, err)
	wrong := filepath.Join(t.TempDir(), "alarms.json")
	text := strings.Replace(strings.Replace(string(data), `"Threshold": 1.0`, `"Threshold": "one"`, 1), `"Statistic": "Sum"`, `"Statistic": "Total"`, 1)
	require.NoError(t, os.WriteFile(wrong, []byte(text), 0o600))
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"mistakes":    {[]string{wrong}, []string{`alarms.json:22: alarm "shop-5xx-rate": Threshold: want a number`, `alarm "shop-error-logs": Statistic: unknown statistic "Total"`}},
		"no file":     {[]string{"nosuch.json"}, []string{"nosuch.json: cannot be read"}},
		"no argument": {nil, []string{"accepts 1 arg"}},
		"share":       {[]string{"../../fixtures/alarms.json", "--fails", "150%"}, []string{"want a percentage above 0% and up to 100%"}},
		"rate":        {[]string{"../../fixtures/alarms.json", "--rate", "many"}, []string{"want requests per second above 0"}},
		"latency":     {[]string{"../../fixtures/alarms.json", "--latency", "-1s"}, []string{"--latency"}},
		"tasks":       {[]string{"../../fixtures/alarms.json", "--tasks", "0"}, []string{"--tasks"}},
		"rehearsal":   {[]string{"../../fixtures/alarms.json", "--file", "nosuch.yaml"}, []string{"nosuch.yaml: there is no such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := run(t, nil, append([]string{"alarms"}, c.args...)...)
			assert.Equal(t, 2, status, out)
			for _, want := range c.want {
				assert.Contains(t, out, want)
			}
		})
	}
}

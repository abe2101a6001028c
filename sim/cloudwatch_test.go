package sim_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// ask is what a script with curl does.
func askCloudWatch(t *testing.T, url, version, target, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-amz-json-1."+version)
	r.Header.Set("X-Amz-Target", target)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s", text)
	return string(text)
}

func TestTheSimulatedStagesCloudWatchAnswersOnTheWire(t *testing.T) {
	setup := shop(t)
	setup.Monitoring.LogGroup, setup.Model.ErrorLogs = "/ecs/shop", 1
	s := raise(t, sim.Options{Setup: setup, Seed: 1})
	url, epoch, err := s.CloudWatch()
	require.NoError(t, err)
	assert.Equal(t, sim.Epoch(), epoch)
	again, _, err := s.CloudWatch()
	require.NoError(t, err)
	assert.Equal(t, url, again)
	ctx := t.Context()
	wait(t, s, 3*time.Minute)
	const filter = `{"logGroupName": "/ecs/shop", "filterPattern": "ERROR"}`
	assert.NotContains(t, askCloudWatch(t, url, "1", "Logs_20140328.FilterLogEvents", filter), `"message"`)
	require.NoError(t, s.Inject(ctx, stage.Failure{Kind: stage.DependencyDown, Dependency: "payments"}))
	wait(t, s, 10*time.Minute)
	assert.Contains(t, askCloudWatch(t, url, "0", "GraniteServiceVersion20100801.DescribeAlarms", `{"StateValue":"ALARM"}`), `"shop-5xx-rate"`)
	assert.Contains(t, askCloudWatch(t, url, "1", "Logs_20140328.FilterLogEvents", filter), "requests failed in this minute")
	require.NoError(t, s.Close(ctx))
	_, _, err = s.CloudWatch()
	require.ErrorContains(t, err, "closed")
	_, err = http.Get(url) //nolint:noctx // it must be refused at once
	require.Error(t, err)
}

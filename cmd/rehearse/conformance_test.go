package main

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/cloudwatch"
)

func TestConformanceOfTheEmbeddedCloudWatch(t *testing.T) {
	v, err := cloudwatch.NewStandalone(cloudwatch.StandaloneOptions{Start: time.Date(2026, 3, 2, 10, 0, 17, 0, time.UTC)})
	require.NoError(t, err)
	server := httptest.NewServer(v.Handler())
	t.Cleanup(server.Close)

	out, status := run(t, nil, "conformance", "--endpoint", server.URL, "--only", "points-*,put-*")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "in Smithy RPC v2 CBOR; the clock is its own, moved by hand")
	assert.Contains(t, out, "Behaves as AWS documents")
	assert.Contains(t, out, " 0 deviate, 0 undecided")

	out, status = run(t, nil, "conformance", "--endpoint", server.URL, "--only", "put-value-nan", "--json")
	require.Equal(t, 0, status, out)
	var report struct {
		Results []struct{ Name, Verdict, Observed string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Len(t, report.Results, 1)
	assert.Equal(t, "conforms", report.Results[0].Verdict)
	assert.Contains(t, report.Results[0].Observed, "InvalidParameterValue")

	out, status = run(t, nil, "conformance", "--list", "--only", "dashboard*")
	require.Equal(t, 0, status, out)
	assert.Contains(t, out, "dashboard-malformed")
}

func TestConformanceOfWhatDeviates(t *testing.T) {
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	out, status := run(t, nil, "conformance", "--endpoint", server.URL, "--only", "put-value-nan")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "here  PutMetricData: its answer has status 404 and is no answer of AWS's")
	out, status = run(t, nil, "conformance", "--endpoint", server.URL, "--only", "evaluates-percentile")
	assert.Equal(t, 3, status, out)
	assert.Contains(t, out, "Could not be decided")
	assert.Contains(t, out, "--patience 3m")
}

func TestConformanceRefusesWrongInput(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no endpoint":   {nil, "--endpoint is missing"},
		"remote":        {[]string{"--endpoint", "https://monitoring.us-east-1.amazonaws.com"}, "Say --allow-remote if that is meant"},
		"nobody there":  {[]string{"--endpoint", "http://127.0.0.1:1"}, "no CloudWatch answers there"},
		"unknown case":  {[]string{"--endpoint", "http://127.0.0.1:1", "--only", "nosuch"}, "no case has that name"},
		"impatience":    {[]string{"--endpoint", "http://127.0.0.1:1", "--patience", "-1m"}, "want a duration such as 3m"},
		"not an URL":    {[]string{"--endpoint", "localhost"}, "want a URL such as http://127.0.0.1:4566"},
		"more argument": {[]string{"x"}, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := run(t, nil, append([]string{"conformance"}, c.args...)...)
			assert.Equal(t, 2, status, out)
			assert.Contains(t, out, c.want)
		})
	}
}

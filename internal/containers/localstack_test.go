package containers

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

func TestWhatLocalStackCannotJudge(t *testing.T) {
	all := alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer}
	group := alarm.Dimension{Name: "TargetGroup", Value: benchGroupA}
	names := monitorNames()
	filter := names.Filters[0]
	unit := func(a alarm.Alarm, unit string) alarm.Alarm { a.Unit = unit; return a }
	for _, c := range []struct {
		name   string
		alarms []alarm.Alarm
		filter func(*stage.MetricFilter)
		want   string // of the first alarm; "" is judged
	}{
		{name: "a level", alarms: []alarm.Alarm{levelAlarm("a", elbNamespace, elbUnhealthy, "Maximum", 1, all, group)}},
		{name: "its unit", alarms: []alarm.Alarm{unit(levelAlarm("a", elbNamespace, elbResponseTime, "Average", 1, all), "Seconds")}},
		{name: "metric math", alarms: []alarm.Alarm{errorRate()}, want: "metric math"},
		{name: "a percentile", alarms: []alarm.Alarm{levelAlarm("a", elbNamespace, elbResponseTime, "p99", 1, all)}, want: "p99"},
		{name: "another unit", alarms: []alarm.Alarm{unit(levelAlarm("a", elbNamespace, elbResponseTime, "Average", 1, all), "Milliseconds")}, want: "units"},
		{name: "a filter's unit", alarms: []alarm.Alarm{unit(levelAlarm("a", "Shop", "ErrorCount", "Sum", 1), "Count")},
			filter: func(f *stage.MetricFilter) { f.Pattern, f.Unit = "", "Count" }},
		{name: "not a filter's unit", alarms: []alarm.Alarm{unit(levelAlarm("a", "Shop", "ErrorCount", "Sum", 1), "None")}, want: "units",
			filter: func(f *stage.MetricFilter) { f.Pattern, f.Unit = "", "Count" }},
		{name: "a pattern", alarms: []alarm.Alarm{levelAlarm("a", "Shop", "ErrorCount", "Sum", 1)}, want: `"shop-errors" feeds it, and in LocalStack every line`},
		{name: "every line", alarms: []alarm.Alarm{levelAlarm("a", "Shop", "ErrorCount", "Sum", 1)}, filter: func(f *stage.MetricFilter) { f.Pattern = "" }},
		{
			name: "a field of a line", alarms: []alarm.Alarm{levelAlarm("a", "Shop", "ErrorCount", "Sum", 1)}, want: "only numbers",
			filter: func(f *stage.MetricFilter) { f.Pattern, f.Value = "", "$.bytes" },
		},
		{
			name: "another log", alarms: []alarm.Alarm{levelAlarm("a", "Shop", "ErrorCount", "Sum", 1)}, want: "every log group",
			filter: func(f *stage.MetricFilter) { f.Pattern, f.LogGroup = "", "/ecs/till" },
		},
		{
			name: "two widths", want: "by more dimensions",
			alarms: []alarm.Alarm{levelAlarm("a", elbNamespace, elbRequests, "Sum", 1, all), levelAlarm("b", elbNamespace, elbRequests, "Sum", 1, group, all)},
		},
		{
			name:   "the narrower of two",
			alarms: []alarm.Alarm{levelAlarm("a", elbNamespace, elbRequests, "Sum", 1, all, group), levelAlarm("b", elbNamespace, elbRequests, "Sum", 1, all)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := filter
			if c.filter != nil {
				c.filter(&f)
			}
			names.Filters = []stage.MetricFilter{f}
			why := doubt(CloudWatchLocalStack, &stage.Setup{Monitoring: names, Alarms: c.alarms}, &c.alarms[0])
			if c.want == "" {
				assert.Empty(t, why)
				return
			}
			assert.Contains(t, why, c.want)
		})
	}
}

// cloudOptions is a stage that LocalStack could judge.
func cloudOptions(which string, pace float64, more ...alarm.Alarm) Options {
	all := alarm.Dimension{Name: "LoadBalancer", Value: benchBalancer}
	return Options{
		CloudWatch: which, Pace: pace,
		Compose: &types.Project{Services: types.Services{"shop": {Name: "shop"}}},
		Setup: stage.Setup{Service: "shop", Monitoring: monitorNames(), Health: stage.Health{Path: "/ready", Port: 8080},
			Alarms: append(more, levelAlarm("errors", elbNamespace, elb5XX, "Sum", 10, all))},
	}
}

func TestAStageWhoseCloudWatchCannotJudgeIsRefused(t *testing.T) {
	check := func(o Options) error { return (&Stage{o: o, project: o.Compose, setup: &o.Setup}).check() }
	for _, which := range []string{"", CloudWatchEmbedded} {
		assert.NoError(t, check(cloudOptions(which, 60, errorRate())))
	}
	assert.NoError(t, check(cloudOptions(CloudWatchLocalStack, 1)))
	assert.NoError(t, check(cloudOptions(CloudWatchLocalStack, 0)), "that is pace 1")
	assert.ErrorContains(t, check(cloudOptions("azure", 1)), `no CloudWatch "azure": it is embedded, localstack or aws`)

	err := check(cloudOptions(CloudWatchLocalStack, 60))
	require.ErrorContains(t, err, "use pace 1")
	assert.NotErrorIs(t, err, stage.ErrLost, "the input is wrong")

	slow := levelAlarm("slow", elbNamespace, elbResponseTime, "p99", 1)
	err = check(cloudOptions(CloudWatchLocalStack, 1, errorRate(), slow))
	require.ErrorIs(t, err, stage.ErrLost, "inconclusive, never green")
	for _, want := range []string{"2 of the 3 alarms", "shop-5xx-rate: it is made of metric queries", "slow: its statistic is p99", "use the embedded CloudWatch"} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "errors:")
}

func TestLocalStackWithoutAnImage(t *testing.T) {
	e := newFakeEngine()
	e.pull = failingPull("Error response from daemon: Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io: no such host")
	images, _ := testImages(t, e)
	s := &Stage{o: cloudOptions(CloudWatchLocalStack, 1), images: images}
	t.Setenv(LocalStackImageVariable, "")
	err := s.ensureCloudWatch(t.Context())
	missing := new(ImageError)
	require.ErrorAs(t, err, &missing)
	assert.Equal(t, LocalStackImage, missing.Ref)
	for _, want := range []string{LocalStackImage, "registry-1.docker.io cannot be reached", "docker load", LocalStackImageVariable, "use the embedded CloudWatch"} {
		assert.ErrorContains(t, err, want)
	}
	t.Setenv(LocalStackImageVariable, "ours/localstack:4")
	require.ErrorContains(t, s.ensureCloudWatch(t.Context()), "ours/localstack:4")
	e.images["ours/localstack:4"] = ""
	require.NoError(t, s.ensureCloudWatch(t.Context()))
	s.o.CloudWatch = ""
	t.Setenv(LocalStackImageVariable, "")
	require.NoError(t, s.ensureCloudWatch(t.Context()), "the embedded one needs none")
}

func TestLocalStackIsReadyWhenItsServicesAre(t *testing.T) {
	answers := make(chan string, 4)
	answers <- `{"services": {"cloudwatch": "available", "logs": "initializing"}}`
	answers <- `{"services": {"logs": "running"}}`
	answers <- `starting`
	answers <- `{"services": {"cloudwatch": "available", "logs": "running", "s3": "disabled"}}`
	url := serveLocally(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/_localstack/health", r.URL.Path)
		_, _ = w.Write([]byte(<-answers))
	})
	require.NoError(t, localStackReady(t.Context(), url))
	assert.Empty(t, answers)

	never := serveLocally(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{}`))
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := localStackReady(ctx, never)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.True(t, strings.Contains(err.Error(), "503") || strings.Contains(err.Error(), "not asked"), err)
}

//go:build containers

package containers_test

import (
	"os"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/containers"
	"rehearsal/internal/stage"
)

// localStack is options for a stage whose CloudWatch is LocalStack, or what stands in
// for it unless the caller's environment names an image, and two alarms: one that
// rings when nothing comes, and one that does not.
func (s *shop) localStack(t *testing.T) containers.Options {
	o := s.options(t)
	o.Pace, o.CloudWatch = 1, containers.CloudWatchLocalStack
	silence := alarm.Alarm{
		AlarmName: "silence", ActionsEnabled: true, Namespace: "AWS/ApplicationELB", MetricName: "RequestCount", Statistic: "Sum",
		Dimensions: []alarm.Dimension{{Name: "LoadBalancer", Value: o.Setup.Monitoring.LoadBalancer}},
		Period:     10, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: "LessThanThreshold", TreatMissingData: "breaching",
	}
	calm := silence
	calm.AlarmName, calm.MetricName, calm.TreatMissingData = "calm", "HTTPCode_ELB_5XX_Count", "notBreaching"
	o.Setup.Alarms = []alarm.Alarm{silence, calm}
	if os.Getenv(containers.LocalStackImageVariable) == "" {
		const standIn = "localstack-stand-in:test"
		t.Setenv(containers.LocalStackImageVariable, standIn)
		t.Setenv("LOCALSTACK_AUTH_TOKEN", "it wants one")
		images, err := containers.NewImages(s.engine, o.Progress, containers.GoRecipe{Package: "./testdata/localstack"}.For(standIn))
		require.NoError(t, err)
		o.Images = images
	}
	return o
}

func TestAStageThatLocalStackWatches(t *testing.T) {
	s := sample(t)
	st := s.raise(t, s.localStack(t))
	held, err := st.Wait(t.Context(), 40*time.Second, func(h *stage.History) bool {
		return h.AlarmState("silence") == alarm.InAlarm && h.AlarmState("calm") == alarm.OK
	})
	require.NoError(t, err)
	require.True(t, held, "both have been judged")
	for e := range st.History().All(stage.Changed) {
		assert.NotEmpty(t, e.Alarm.Reason)
	}

	mine := make(client.Filters).Add("label", "rehearsal.stage="+idOf(st)).Add("label", "rehearsal.part=localstack")
	list, err := s.engine.Client.ContainerList(t.Context(), client.ContainerListOptions{Filters: mine})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	_, err = s.engine.Client.ContainerKill(t.Context(), list.Items[0].ID, client.ContainerKillOptions{Signal: "SIGKILL"})
	require.NoError(t, err)
	_, err = st.Wait(t.Context(), 20*time.Second, nil)
	require.ErrorIs(t, err, stage.ErrLost)
}

func TestAStageWithoutLocalStacksImageIsRefusedAtOnce(t *testing.T) {
	s := sample(t)
	t.Setenv(containers.LocalStackImageVariable, "nobody/has-this:1")
	o := s.localStack(t)
	o.Images = s.images
	began := time.Now()
	_, err := containers.New(t.Context(), s.engine, o)
	took := time.Since(began)
	missing := new(containers.ImageError)
	require.ErrorAs(t, err, &missing)
	assert.Contains(t, missing.Remedy, containers.LocalStackImageVariable)
	assert.Less(t, took, 15*time.Second)
	t.Logf("after %v: %v", took, err)
}

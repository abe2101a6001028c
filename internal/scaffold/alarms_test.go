package scaffold

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// of is an alarm on a metric of a load balancer, of a target group of it, or of a service.
func of(name, metric string, period int, dimensions ...string) alarm.Alarm {
	a := alarm.Alarm{AlarmName: name, ActionsEnabled: true, Namespace: "AWS/ApplicationELB", MetricName: metric, Statistic: "Sum", Period: period, EvaluationPeriods: 2,
		Threshold: 1, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching"}
	for i := 0; i < len(dimensions); i += 2 {
		a.Dimensions = append(a.Dimensions, alarm.Dimension{Name: dimensions[i], Value: dimensions[i+1]})
		if dimensions[i] == "ServiceName" {
			a.Namespace = "AWS/ECS"
		}
	}
	return a
}

func TestProductionsNamesComeFromItsAlarms(t *testing.T) {
	account := []alarm.Alarm{
		of("a", "RequestCount", 60, "LoadBalancer", "app/intranet/1"),
		of("b", "RequestCount", 60, "LoadBalancer", "app/intranet/1"),
		of("c", "RequestCount", 60, "LoadBalancer", "app/web-public/2"),
		of("d", "UnHealthyHostCount", 60, "TargetGroup", "targetgroup/other/9", "LoadBalancer", "app/intranet/1"),
		of("e", "UnHealthyHostCount", 60, "TargetGroup", "targetgroup/web-b/4", "LoadBalancer", "app/web-public/2"),
		of("f", "UnHealthyHostCount", 60, "TargetGroup", "targetgroup/web-a/3", "LoadBalancer", "app/web-public/2"),
		of("g", "CPUUtilization", 60, "ClusterName", "production", "ServiceName", "mailer"),
		of("h", "CPUUtilization", 60, "ClusterName", "production", "ServiceName", "web"),
	}
	s := &sketch{Options: Options{Service: "web"}}
	s.monitoringOf(account)
	assert.Equal(t, stage.Monitoring{LoadBalancer: "app/web-public/2", TargetGroups: []string{"targetgroup/web-b/4", "targetgroup/web-a/3"}, Cluster: "production", Service: "web"}, s.Monitoring,
		"what is named after the service comes before what is frequent")

	s = &sketch{Options: Options{Service: "shop"}}
	s.monitoringOf(account)
	assert.Equal(t, "app/intranet/1", s.Monitoring.LoadBalancer, "of strangers the most frequent")

	s = &sketch{Options: Options{Service: "shop"}, Monitoring: stage.Monitoring{LoadBalancer: "app/web-public/2", Cluster: "c", Service: "s"}}
	s.monitoringOf(account)
	assert.Equal(t, "c", s.Monitoring.Cluster, "what ECS says is not overruled")
	assert.Len(t, s.Monitoring.TargetGroups, 2)
}

func TestWhichAlarmsAReleaseWatches(t *testing.T) {
	thin := of("thin", "TargetResponseTime", 60, "LoadBalancer", "app/web/1")
	thin.Statistic, thin.ExtendedStatistic, thin.EvaluateLowSampleCountPercentile = "", "p99.9", "ignore"
	starved := of("starved", "FreeStorageSpace", 60, "DBInstanceIdentifier", "web")
	starved.TreatMissingData = "breaching"
	all := []alarm.Alarm{
		of("errors", "HTTPCode_Target_5XX_Count", 60, "LoadBalancer", "app/web/1"),
		of("hourly", "HTTPCode_Target_5XX_Count", 3600, "LoadBalancer", "app/web/1"),
		of("another's", "HTTPCode_Target_5XX_Count", 60, "LoadBalancer", "app/other/2"),
		of("hosts", "UnHealthyHostCount", 60, "TargetGroup", "targetgroup/web/3", "LoadBalancer", "app/web/1"),
		thin, starved,
	}
	data, err := json.Marshal(map[string]any{"MetricAlarms": all})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "alarms.json")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	s := &sketch{Options: Options{Service: "web", Alarms: file, Rate: 10}, Replicas: 1}
	require.NoError(t, s.watchAlarms())
	assert.Equal(t, []string{"errors", "hosts"}, s.Watch.Names)
	assert.Equal(t, []string{"hosts"}, s.Watch.Hosts)
	assert.Equal(t, []string{"starved"}, s.Watch.Starved)
	require.Len(t, s.Watch.Unwatched, 3)
	assert.Contains(t, s.Watch.Unwatched[0], "hourly: it may take 2h1m to go off")
	assert.Contains(t, s.Watch.Unwatched[1], "another's: nothing publishes AWS/ApplicationELB HTTPCode_Target_5XX_Count with LoadBalancer")
	assert.Contains(t, s.Watch.Unwatched[2], "thin: never goes off: it ignores periods with fewer than 10,000 samples")
	require.Len(t, s.more, 1)
	kept, err := alarm.Parse(s.more[0].Name, s.more[0].Data)
	require.NoError(t, err)
	assert.Len(t, kept, 5)
	assert.Equal(t, "alarms.web.json", s.AlarmsFile())
}

func TestTheFirstSetIsReadAndFed(t *testing.T) {
	for _, limit := range []int64{0, 1 << 28} {
		s := &sketch{Options: Options{Service: "web", Rate: DefaultRate}, Replicas: 2, MemoryLimit: limit}
		require.NoError(t, s.watchAlarms())
		assert.Len(t, s.Watch.Names, 3+int(limit>>28))
		assert.Empty(t, s.Watch.Unwatched)
		data, err := json.Marshal(map[string]any{"MetricAlarms": s.Watch.Alarms})
		require.NoError(t, err)
		read, err := alarm.Parse("alarms.json", data)
		require.NoError(t, err)
		assert.Len(t, read, len(s.Watch.Alarms))
	}
}

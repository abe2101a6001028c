package containers

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// What an Application Load Balancer publishes, as its user guide defines it. A
// count is published only when it is above 0, as there.
const (
	elbNamespace        = "AWS/ApplicationELB"
	elbRequests         = "RequestCount" // of those for which a target was chosen
	elbTarget2XX        = "HTTPCode_Target_2XX_Count"
	elbTarget3XX        = "HTTPCode_Target_3XX_Count"
	elbTarget4XX        = "HTTPCode_Target_4XX_Count"
	elbTarget5XX        = "HTTPCode_Target_5XX_Count"
	elb5XX              = "HTTPCode_ELB_5XX_Count" // the balancer's own
	elb502              = "HTTPCode_ELB_502_Count"
	elb503              = "HTTPCode_ELB_503_Count"
	elb504              = "HTTPCode_ELB_504_Count"
	elbResponseTime     = "TargetResponseTime" // from when the request left the balancer until the target began to answer
	elbConnectionErrors = "TargetConnectionErrorCount"
	elbHealthy          = "HealthyHostCount"
	elbUnhealthy        = "UnHealthyHostCount"

	ecsNamespace = "AWS/ECS"
	ecsCPU       = "CPUUtilization"
	ecsMemory    = "MemoryUtilization"
)

const (
	metricsPerCall = 500 // datums of one PutMetricData; AWS takes 1,000
	valuesPerDatum = 150 // AWS takes no more
)

// monitorData is what was observed and not published yet: for each metric and each
// step of time its values and how many times they came.
type monitorData struct {
	names      stage.Monitoring
	resolution time.Duration          // a step of time
	storage    int32                  // the resolution to be stored: AWS knows 1 and 60 s
	watched    map[monitorSeries]bool // what to keep, at step 0; nil: everything
	values     map[monitorSeries]map[float64]float64
}

type monitorSeries struct {
	at                int64 // number of the step of release time
	namespace, metric string
	group             string // target group; "" for the whole balancer
}

// monitorResolution is the step of time that serves these alarms exactly: a minute,
// as AWS's own metrics have, or less where an alarm has a shorter period.
func monitorResolution(alarms []alarm.Alarm) time.Duration {
	step := int64(60)
	for _, a := range alarms {
		periods := []int{a.Period}
		for _, q := range a.Metrics {
			periods = append(periods, q.Period)
			if q.MetricStat != nil {
				periods = append(periods, q.MetricStat.Period)
			}
		}
		for _, p := range periods {
			if p > 0 && p < 60 {
				step = gcd(gcd(step, int64(p)), 10) // windows of such alarms slide by 10 s
			}
		}
	}
	return time.Duration(step) * time.Second
}

// monitorStorage is the resolution at which metrics must be stored for these alarms.
func monitorStorage(alarms []alarm.Alarm) int32 {
	if monitorResolution(alarms) < time.Minute {
		return 1
	}
	return 60
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// access counts one request.
func (d *monitorData) access(at time.Duration, a access, group string) {
	both := func(metric string, value float64) {
		d.add(at, elbNamespace, metric, "", value, a.Weight)
		if group != "" {
			d.add(at, elbNamespace, metric, group, value, a.Weight)
		}
	}
	if a.Target != "" {
		both(elbRequests, 1)
		if a.Connect < 0 && a.Status >= 500 {
			both(elbConnectionErrors, 1)
		}
	}
	if a.FromTarget {
		both(elbResponseTime, a.Response.Seconds())
		if metric, ok := elbTargetCodes[a.Status/100]; ok {
			both(metric, 1)
		}
		return
	}
	if a.Status >= 500 {
		d.add(at, elbNamespace, elb5XX, "", 1, a.Weight)
		if metric, ok := elbOwnCodes[a.Status]; ok {
			d.add(at, elbNamespace, metric, "", 1, a.Weight)
		}
	}
}

var (
	elbTargetCodes = map[int]string{2: elbTarget2XX, 3: elbTarget3XX, 4: elbTarget4XX, 5: elbTarget5XX}
	elbOwnCodes    = map[int]string{502: elb502, 503: elb503, 504: elb504}
)

// hosts notes how many targets of a target group are healthy and unhealthy.
func (d *monitorData) hosts(at time.Duration, group string, healthy, unhealthy int) {
	if group == "" || healthy+unhealthy == 0 {
		return
	}
	d.add(at, elbNamespace, elbHealthy, group, float64(healthy), 1)
	d.add(at, elbNamespace, elbUnhealthy, group, float64(unhealthy), 1)
}

// usage notes the service's use of CPU and memory, in percent.
func (d *monitorData) usage(at time.Duration, cpu, memory float64) {
	d.add(at, ecsNamespace, ecsCPU, "", cpu, 1)
	d.add(at, ecsNamespace, ecsMemory, "", memory, 1)
}

func (d *monitorData) add(at time.Duration, namespace, metric, group string, value, count float64) {
	if (namespace == elbNamespace && d.names.LoadBalancer == "") || (namespace == ecsNamespace && d.names.Service == "") {
		return // production's alarms have no name for it
	}
	if d.watched != nil && !d.watched[monitorSeries{0, namespace, metric, group}] {
		return
	}
	s := monitorSeries{int64(at / d.resolution), namespace, metric, group}
	values := d.values[s]
	if values == nil {
		values = map[float64]float64{}
		if d.values == nil {
			d.values = map[monitorSeries]map[float64]float64{}
		}
		d.values[s] = values
	}
	values[value] += count
}

// take takes everything out, by namespace, ready to be published.
func (d *monitorData) take(epoch time.Time) map[string][]types.MetricDatum {
	series := slices.SortedFunc(maps.Keys(d.values), func(a, b monitorSeries) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.metric, b.metric), cmp.Compare(a.group, b.group))
	})
	data := map[string][]types.MetricDatum{}
	for _, s := range series {
		at := epoch.Add(time.Duration(s.at) * d.resolution)
		for values := range slices.Chunk(slices.Sorted(maps.Keys(d.values[s])), valuesPerDatum) {
			counts := make([]float64, len(values))
			for i, v := range values {
				counts[i] = d.values[s][v]
			}
			data[s.namespace] = append(data[s.namespace], types.MetricDatum{
				MetricName: aws.String(s.metric), Dimensions: d.dimensions(s), Unit: types.StandardUnit(alarm.PublishedUnit(s.namespace, s.metric)),
				Timestamp: aws.Time(at), Values: values, Counts: counts,
				StorageResolution: aws.Int32(d.storage),
			})
		}
	}
	d.values = nil
	return data
}

func (d *monitorData) dimensions(s monitorSeries) []types.Dimension {
	dimension := func(name, value string) types.Dimension {
		return types.Dimension{Name: aws.String(name), Value: aws.String(value)}
	}
	switch {
	case s.namespace == ecsNamespace:
		return []types.Dimension{dimension("ClusterName", d.names.Cluster), dimension("ServiceName", d.names.Service)}
	case s.group != "":
		return []types.Dimension{dimension("TargetGroup", s.group), dimension("LoadBalancer", d.names.LoadBalancer)}
	}
	return []types.Dimension{dimension("LoadBalancer", d.names.LoadBalancer)}
}

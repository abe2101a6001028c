package project

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rehearsal/internal/alarm"
)

// published is the AWS metrics that the staging copy publishes, and by which
// dimensions, as the user guides of the Application Load Balancer and of ECS say.
var published = []struct {
	namespace string
	metrics   []string
	by        [][]string
}{
	{"AWS/ApplicationELB",
		[]string{"RequestCount", "HTTPCode_Target_2XX_Count", "HTTPCode_Target_3XX_Count", "HTTPCode_Target_4XX_Count", "HTTPCode_Target_5XX_Count",
			"TargetConnectionErrorCount", "TargetResponseTime"},
		[][]string{{"LoadBalancer"}, {"LoadBalancer", "TargetGroup"}}},
	{"AWS/ApplicationELB",
		[]string{"HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_502_Count", "HTTPCode_ELB_503_Count", "HTTPCode_ELB_504_Count"},
		[][]string{{"LoadBalancer"}}},
	{"AWS/ApplicationELB", []string{"HealthyHostCount", "UnHealthyHostCount"}, [][]string{{"LoadBalancer", "TargetGroup"}}},
	{"AWS/ECS", []string{"CPUUtilization", "MemoryUtilization"}, [][]string{{"ClusterName", "ServiceName"}}},
}

// Fed says which metrics of a nothing in the staging copy will publish: what the
// stages publish is the balancer's, the replicas' and the metric filters'.
func (p *Project) Fed(a alarm.Alarm) (missing []string) {
	c, err := a.Compile()
	if err != nil { // told by alarm.Parse
		return nil
	}
	for _, in := range c.Inputs {
		if why := p.unfed(in.Metric, in.Unit); why != "" {
			missing = append(missing, why)
		}
	}
	return missing
}

// unfed is the metric and why nothing publishes it with that unit (empty: any); "" when
// something does.
func (p *Project) unfed(m alarm.Metric, unit string) string {
	name := m.Namespace + " " + m.MetricName
	var by [][]string // the sets of dimensions that it is published by
	var in []string   // the units that it is published in
	for _, e := range published {
		if e.namespace == m.Namespace && slices.Contains(e.metrics, m.MetricName) {
			by = e.by
			in = append(in, alarm.PublishedUnit(m.Namespace, m.MetricName))
		}
	}
	for _, f := range p.Setup.Monitoring.Filters {
		if f.Namespace == m.Namespace && f.Metric == m.MetricName {
			by = append(by, nil)
			in = append(in, cmp.Or(f.Unit, "None"))
		}
	}
	if by == nil {
		return name
	}
	if unit != "" && !slices.Contains(in, unit) {
		return fmt.Sprintf("%s in %s (the staging copy publishes it in %s, as AWS does)", name, unit, strings.Join(in, " and "))
	}
	var has []string
	for _, d := range m.Dimensions {
		has = append(has, d.Name)
	}
	slices.Sort(has)
	if !slices.ContainsFunc(by, func(set []string) bool { return slices.Equal(set, has) }) {
		return fmt.Sprintf("%s by %s (the staging copy publishes it by %s)", name, listed(has), alternatives(by))
	}
	names := p.Setup.Monitoring
	known := map[string][]string{"LoadBalancer": {names.LoadBalancer}, "TargetGroup": names.TargetGroups, "ClusterName": {names.Cluster}, "ServiceName": {names.Service}}
	for _, d := range m.Dimensions {
		if !slices.Contains(known[d.Name], d.Value) {
			return fmt.Sprintf("%s with %s %q (the staging copy publishes %q: see monitoring in %s)", name, d.Name, d.Value, known[d.Name], p.File)
		}
	}
	return ""
}

func alternatives(sets [][]string) string {
	var all []string
	for _, s := range sets {
		all = append(all, listed(s))
	}
	return strings.Join(all, ", or by ")
}

func listed(names []string) string {
	if len(names) == 0 {
		return "no dimension"
	}
	return strings.Join(names, " and ")
}

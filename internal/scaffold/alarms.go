package scaffold

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A watch is the alarms, and which of them a release watches.
type watch struct {
	Own       bool // the first set was written
	Alarms    []alarm.Alarm
	Names     []string // watched
	Unwatched []string // with the reason
	Starved   []string // that nothing feeds and that go off for want of data
	Copy      string   // of the alarms without those; "" where none was needed
	Hosts     []string // that count healthy targets: they may see a version that crashes at start
	fastest   time.Duration
	slowest   time.Duration
}

// longestDetection is the slowest alarm that a first plan bakes for.
const longestDetection = time.Hour

// watchAlarms reads the alarms, or makes a first set, and chooses those to watch.
func (s *sketch) watchAlarms() error {
	w := &s.Watch
	if s.Alarms == "" {
		w.Own = true
		s.AlarmsAsk = or(s.AlarmsAsk, "which alarms does production have? These are a first set; put there what `aws cloudwatch describe-alarms --output json` prints")
		s.nameMonitoring()
		w.Alarms = firstAlarms(s.Service, s.Monitoring, s.MemoryLimit > 0)
	} else {
		all, err := alarm.ParseFile(s.Alarms)
		if err != nil {
			return err
		}
		w.Alarms = all
		s.monitoringOf(all)
		s.nameMonitoring()
	}
	for _, a := range w.Alarms {
		if a.TreatMissingData == "breaching" && len(s.facts().Fed(a)) > 0 {
			w.Starved = append(w.Starved, a.AlarmName)
			continue
		}
		if len(s.Plan.Alarms) > 0 && !slices.Contains(s.Plan.Alarms, a.AlarmName) {
			w.Unwatched = append(w.Unwatched, a.AlarmName+": the service's deployments do not watch it")
		} else if latest, err := s.watchable(a); err != nil {
			w.Unwatched = append(w.Unwatched, fmt.Sprintf("%s: %v", a.AlarmName, err))
		} else {
			w.Names = append(w.Names, a.AlarmName)
			w.slowest = max(w.slowest, latest)
			if w.fastest == 0 || latest < w.fastest {
				w.fastest = latest
			}
		}
		if countsHosts(a) {
			w.Hosts = append(w.Hosts, a.AlarmName)
		}
	}
	for _, name := range s.Plan.Alarms {
		if !slices.ContainsFunc(w.Alarms, func(a alarm.Alarm) bool { return a.AlarmName == name }) {
			w.Unwatched = append(w.Unwatched, fmt.Sprintf("%s: the service's deployments watch it, and %s does not have it", name, s.Alarms))
		}
	}
	if len(w.Names) == 0 {
		return fmt.Errorf("%s: a release of %s can watch none of its alarms; leave --alarms out for a first set of alarms, or export those of the service:\n  %s",
			s.Alarms, s.Service, strings.Join(append(w.Unwatched, "(that is all)"), "\n  "))
	}
	if len(w.Starved) > 0 {
		if err := s.withoutStarved(); err != nil {
			return err
		}
	}
	if w.Own {
		s.found("alarms.json: a first set: %s", strings.Join(w.Names, ", "))
	} else {
		s.found("%s: the release watches %d of %d alarms: %s", s.Alarms, len(w.Names), len(w.Alarms), strings.Join(w.Names, ", "))
	}
	return nil
}

// watchable says how long an alarm may take to go off, or why a release cannot watch it,
// as the lint of plans sees it.
func (s *sketch) watchable(a alarm.Alarm) (latest time.Duration, err error) {
	c, err := a.Compile()
	if err != nil {
		return 0, err
	}
	if latest = c.LatestDetection(); latest > longestDetection {
		return 0, fmt.Errorf("it may take %s to go off, longer than a release bakes", brief(latest))
	}
	text := fmt.Sprintf("plan: one\nstrategy: blue-green\nbake: %s\nalarms: [%q]\nchecks: {test: smoke}\nrollback: {to: last good version, when: [any watched alarm, failed health check, failed check], within: 2m, decides: nobody}\n", latest, a.AlarmName)
	p, err := release.Parse("release.yaml", []byte(text))
	if err != nil {
		return 0, errors.New("its name cannot stand in a plan")
	}
	for _, f := range p.Lint(s.facts()) {
		if f.Severity == release.Error {
			_, why, _ := strings.Cut(f.Wrong, fmt.Sprintf("the alarm %q", a.AlarmName))
			return 0, errors.New(cmp.Or(strings.TrimLeft(why, " :"), f.Wrong))
		}
	}
	return latest, nil
}

// withoutStarved writes the alarms again, word for word, but for those that would be red
// in every rehearsal: nothing in the staging copy feeds them and they take missing data
// for breaching, and no release starts while an alarm is red.
func (s *sketch) withoutStarved() error {
	data, err := os.ReadFile(s.Alarms)
	if err != nil {
		return err
	}
	var file struct{ MetricAlarms []json.RawMessage }
	if err := json.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("%s: %w", s.Alarms, err)
	}
	var names []struct{ AlarmName string }
	raw, err := json.Marshal(file.MetricAlarms)
	if err == nil {
		err = json.Unmarshal(raw, &names)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.Alarms, err)
	}
	kept := []json.RawMessage{}
	for i, raw := range file.MetricAlarms {
		if !slices.Contains(s.Watch.Starved, names[i].AlarmName) {
			kept = append(kept, raw)
		}
	}
	out, err := json.MarshalIndent(map[string]any{"MetricAlarms": kept, "CompositeAlarms": []any{}}, "", "    ")
	if err != nil {
		return fmt.Errorf("%s: %w", s.Alarms, err)
	}
	s.Watch.Copy = "alarms." + s.Service + ".json"
	s.more = append(s.more, File{s.Watch.Copy, append(out, '\n')})
	s.found("%s: the alarms of %s but for %s: nothing in the staging copy feeds them, and without data they go off", s.Watch.Copy, s.Alarms, strings.Join(s.Watch.Starved, ", "))
	return nil
}

// countsHosts says whether an alarm is about the health of targets.
func countsHosts(a alarm.Alarm) bool {
	c, err := a.Compile()
	return err == nil && slices.ContainsFunc(c.Inputs, func(in alarm.Input) bool {
		return in.Metric.MetricName == "UnHealthyHostCount" || in.Metric.MetricName == "HealthyHostCount"
	})
}

// facts is what the lint of plans needs to know.
func (s *sketch) facts() release.Facts {
	p := &project.Project{File: "rehearsal.yaml", Setup: stage.Setup{
		Replicas: s.Replicas, Traffic: stage.Load{Rate: float64(s.Rate)}, Smoke: make([]stage.SmokeRequest, 1), Alarms: s.Watch.Alarms, Monitoring: s.Monitoring,
	}}
	return p.Facts(time.Time{})
}

// monitoringOf takes from the alarms how production names what the staging copy
// publishes: of several load balancers or services the one that is named after the
// service, else the one that most alarms are about.
func (s *sketch) monitoringOf(all []alarm.Alarm) {
	balancers, groups, services := map[string]int{}, map[[2]string]int{}, map[[2]string]int{}
	var order [][2]string
	for _, a := range all {
		c, err := a.Compile()
		if err != nil { // told by alarm.Parse
			continue
		}
		for _, in := range c.Inputs {
			by := map[string]string{}
			for _, d := range in.Metric.Dimensions {
				by[d.Name] = d.Value
			}
			if lb := by["LoadBalancer"]; lb != "" {
				balancers[lb]++
				if tg := by["TargetGroup"]; tg != "" {
					if key := [2]string{lb, tg}; groups[key] == 0 {
						order = append(order, key)
					}
					groups[[2]string{lb, tg}]++
				}
			}
			if by["ClusterName"] != "" && by["ServiceName"] != "" {
				services[[2]string{by["ClusterName"], by["ServiceName"]}]++
			}
		}
	}
	m := &s.Monitoring
	if m.LoadBalancer == "" {
		m.LoadBalancer = likeliest(balancers, func(lb string) bool { return strings.Contains(lb, s.Service) })
	}
	for _, key := range order {
		if key[0] == m.LoadBalancer && !slices.Contains(m.TargetGroups, key[1]) {
			m.TargetGroups = append(m.TargetGroups, key[1])
		}
	}
	if m.Cluster == "" && m.Service == "" {
		pair := likeliest(services, func(p [2]string) bool { return strings.Contains(p[1], s.Service) })
		m.Cluster, m.Service = pair[0], pair[1]
	}
}

// likeliest is the key that fits, of several the most frequent, of equals the first.
func likeliest[K cmp.Ordered | [2]string](counts map[K]int, fits func(K) bool) (best K) {
	score := func(k K) int {
		if n := counts[k]; fits(k) {
			return n + 1<<20
		} else {
			return n
		}
	}
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(score(b)-score(a), strings.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	if len(keys) > 0 {
		best = keys[0]
	}
	return best
}

// nameMonitoring fills in names where production's are not known.
func (s *sketch) nameMonitoring() {
	m := &s.Monitoring
	m.LoadBalancer = or(m.LoadBalancer, "app/"+s.Service+"/1111111111111111")
	if len(m.TargetGroups) == 0 {
		m.TargetGroups = []string{"targetgroup/" + s.Service + "-a/2222222222222222", "targetgroup/" + s.Service + "-b/3333333333333333"}
	}
	m.Cluster = or(m.Cluster, "production")
	m.Service = or(m.Service, s.Service)
	m.LogGroup = or(m.LogGroup, "/ecs/"+s.Service)
}

// firstAlarms is a sensible first set for a service behind a load balancer. Memory has a
// metric only where it has a limit.
func firstAlarms(service string, m stage.Monitoring, memory bool) []alarm.Alarm {
	balancer := alarm.Dimension{Name: "LoadBalancer", Value: m.LoadBalancer}
	sum := func(id, metric string) alarm.MetricDataQuery {
		return alarm.MetricDataQuery{Id: id, MetricStat: &alarm.MetricStat{Period: 60, Stat: "Sum",
			Metric: alarm.Metric{Namespace: "AWS/ApplicationELB", MetricName: metric, Dimensions: []alarm.Dimension{balancer}}}}
	}
	unhealthy := alarm.Alarm{
		AlarmName: service + "-unhealthy-hosts", AlarmDescription: "A task of " + service + " fails its health check.",
		ActionsEnabled: true, EvaluationPeriods: 3, DatapointsToAlarm: 2, Threshold: 1, ComparisonOperator: "GreaterThanOrEqualToThreshold", TreatMissingData: "notBreaching",
	}
	var terms []string
	for i, group := range m.TargetGroups {
		id := fmt.Sprintf("group%d", i+1)
		terms = append(terms, "FILL("+id+",0)")
		unhealthy.Metrics = append(unhealthy.Metrics, alarm.MetricDataQuery{Id: id, MetricStat: &alarm.MetricStat{Period: 60, Stat: "Maximum",
			Metric: alarm.Metric{Namespace: "AWS/ApplicationELB", MetricName: "UnHealthyHostCount", Dimensions: []alarm.Dimension{{Name: "TargetGroup", Value: group}, balancer}}}})
	}
	unhealthy.Metrics = append([]alarm.MetricDataQuery{{Id: "unhealthy", Label: "Unhealthy tasks", Expression: strings.Join(terms, "+"), ReturnData: true}}, unhealthy.Metrics...)
	set := []alarm.Alarm{
		{
			AlarmName: service + "-5xx-rate", AlarmDescription: "More than 1 % of the answers are errors, by " + service + " or by the load balancer.",
			ActionsEnabled: true, EvaluationPeriods: 5, DatapointsToAlarm: 3, Threshold: 1, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching",
			Metrics: []alarm.MetricDataQuery{
				{Id: "rate", Label: "5xx rate (%)", ReturnData: true, Expression: "100*(FILL(target5xx,0)+FILL(elb5xx,0))/(FILL(requests,0)+FILL(elb5xx,0))"},
				sum("target5xx", "HTTPCode_Target_5XX_Count"), sum("elb5xx", "HTTPCode_ELB_5XX_Count"), sum("requests", "RequestCount"),
			},
		},
		{
			AlarmName: service + "-p99-latency", AlarmDescription: "One answer in a hundred takes longer than half a second.",
			ActionsEnabled: true, EvaluationPeriods: 5, DatapointsToAlarm: 3, Threshold: 0.5, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching",
			Namespace: "AWS/ApplicationELB", MetricName: "TargetResponseTime", Dimensions: []alarm.Dimension{balancer}, ExtendedStatistic: "p99", Period: 60,
		},
		unhealthy,
	}
	if memory {
		set = append(set, alarm.Alarm{
			AlarmName: service + "-memory", AlarmDescription: "A task of " + service + " uses more than 80 % of its memory.",
			ActionsEnabled: true, EvaluationPeriods: 3, DatapointsToAlarm: 2, Threshold: 80, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "missing",
			Namespace: "AWS/ECS", MetricName: "MemoryUtilization", Statistic: "Maximum", Period: 60,
			Dimensions: []alarm.Dimension{{Name: "ClusterName", Value: m.Cluster}, {Name: "ServiceName", Value: m.Service}},
		})
	}
	return set
}

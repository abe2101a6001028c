package project

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"rehearsal/internal/stage"
)

func orDefault[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}

// health fills what is left out with the defaults of an ALB's target group, except
// that a replica is given up on sooner.
func (r *reader) health(h yamlHealth) stage.Health {
	if h.Path.Value == "" {
		r.fail(h.Path.Line, "health: needs a path, such as /ready: without a health check nobody knows when a version may take traffic")
	}
	if h.Port.Value < 1 || h.Port.Value > 65535 {
		r.fail(h.Port.Line, "health: port %d: needs the port that the service listens on in its container, from 1 to 65535", h.Port.Value)
	}
	return stage.Health{
		Path:      h.Path.Value,
		Port:      h.Port.Value,
		Interval:  orDefault(h.Interval.Value, 30*time.Second),
		Healthy:   orDefault(h.Healthy.Value, 5),
		Unhealthy: orDefault(h.Unhealthy.Value, 2),
		Timeout:   orDefault(h.Timeout.Value, 5*time.Second),
		Deadline:  orDefault(h.Deadline.Value, time.Minute),
		Drain:     orDefault(h.Drain.Value, 30*time.Second),
	}
}

func (r *reader) traffic(t yamlTraffic) stage.Load {
	l := stage.Load{Rate: float64(t.Rate.Value), Timeout: orDefault(t.Timeout.Value, 5*time.Second), Stored: t.Stored, StoredIn: t.StoredIn.Value}
	if t.Rate.Value < 1 {
		r.fail(t.Rate.Line, "traffic: needs a rate of at least 1 request per second")
	}
	if len(t.Requests) == 0 {
		r.fail(t.Rate.Line, "traffic: needs requests: what the users ask for, with a method and a path each")
	}
	seen := map[string]bool{}
	for _, q := range t.Requests {
		r.request(q, seen)
		if q.Weight.Value < 1 {
			r.fail(orDefault(q.Weight.Line, q.Name.Line), "traffic: request %q needs a weight of at least 1", q.Name.Value)
		}
		l.Requests = append(l.Requests, q.request())
	}
	return l
}

func (r *reader) smoke(qs []yamlRequest) (out []stage.SmokeRequest) {
	seen := map[string]bool{}
	for _, q := range qs {
		r.request(q, seen)
		out = append(out, stage.SmokeRequest{Request: q.request(), Within: q.Within.d(), Contains: q.Contains})
	}
	return out
}

func (r *reader) request(q yamlRequest, seen map[string]bool) {
	if q.Name.Value == "" || seen[q.Name.Value] {
		r.fail(orDefault(q.Name.Line, q.Path.Line), "a request needs a name that no other has, not %q", q.Name.Value)
	}
	seen[q.Name.Value] = true
	if len(q.Path.Value) == 0 || q.Path.Value[0] != '/' {
		r.fail(orDefault(q.Path.Line, q.Name.Line), "request %q: the path %q must begin with /", q.Name.Value, q.Path.Value)
	}
	if e := q.Expect.Value; e != 0 && (e < 100 || e > 599) {
		r.fail(q.Expect.Line, "request %q: %d is not an HTTP status", q.Name.Value, e)
	}
}

func (r *reader) monitoring(m yamlMonitoring) stage.Monitoring {
	out := stage.Monitoring{
		LoadBalancer: m.LoadBalancer, TargetGroups: m.TargetGroups, Cluster: m.Cluster, Service: m.Service, LogGroup: m.LogGroup,
	}
	if m.Filters.Value == "" {
		return out
	}
	file := r.path(m.Filters.Value)
	filters, err := readFilters(file)
	if err != nil {
		r.add(err)
		return out
	}
	for i, f := range filters {
		if f.LogGroup != m.LogGroup {
			r.add(fmt.Errorf("%s: metric filter %d (%q) reads the log group %q, the service writes to %q: see monitoring in %s",
				file, i+1, f.Name, f.LogGroup, m.LogGroup, r.file))
		}
	}
	out.Filters = filters
	return out
}

// readFilters reads the output of `aws logs describe-metric-filters`.
func readFilters(file string) ([]stage.MetricFilter, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var f struct {
		MetricFilters []struct {
			FilterName, FilterPattern, LogGroupName string
			MetricTransformations                   []struct {
				MetricName, MetricNamespace, MetricValue string
				DefaultValue                             *float64
			}
		}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&f); err != nil {
		line := 1 + bytes.Count(data[:min(int(dec.InputOffset()), len(data))], []byte("\n"))
		return nil, fmt.Errorf("%s:%d: %v: want the output of `aws logs describe-metric-filters`", file, line, err)
	}
	var out []stage.MetricFilter
	for _, m := range f.MetricFilters {
		for _, t := range m.MetricTransformations {
			if _, err := strconv.ParseFloat(t.MetricValue, 64); err != nil && (t.MetricValue == "" || t.MetricValue[0] != '$') {
				return nil, fmt.Errorf("%s: metric filter %q: the metric value %q is neither a number nor a selector such as $.bytes", file, m.FilterName, t.MetricValue)
			}
			out = append(out, stage.MetricFilter{
				Name: m.FilterName, LogGroup: m.LogGroupName, Pattern: m.FilterPattern,
				Namespace: t.MetricNamespace, Metric: t.MetricName, Value: t.MetricValue, Default: t.DefaultValue,
			})
		}
	}
	return out, nil
}

package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

func orDefault[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}

func orList(v []string, instead string) []string {
	if len(v) == 0 {
		return []string{instead}
	}
	return v
}

// count is n, which must be at least 1 where it is there at all, else instead.
func (r *reader) count(way at, n whole, instead int) int {
	if _, there := r.find(way); there && n < 1 {
		r.fail(way, "%v: %d: must be at least 1", way[len(way)-1], n)
	}
	if n < 1 {
		return instead
	}
	return int(n)
}

// health fills what is left out with the defaults of an ALB's target group, except
// that a replica is given up on sooner.
func (r *reader) health(h yamlHealth) stage.Health {
	switch {
	case h.Path == "":
		r.fail(at{"health", "path"}, "health: needs a path, such as /ready: without a health check nobody knows when a version may take traffic")
	case h.Path[0] != '/':
		r.fail(at{"health", "path"}, "health: the path %q must begin with /", h.Path)
	}
	if h.Port < 1 || h.Port > 65535 {
		r.fail(at{"health", "port"}, "health: port %d: needs the port that the service listens on in its container, from 1 to 65535", h.Port)
	}
	return stage.Health{
		Path:      h.Path,
		Port:      int(h.Port),
		Interval:  orDefault(h.Interval.d(), 30*time.Second),
		Healthy:   r.count(at{"health", "healthy"}, h.Healthy, 5),
		Unhealthy: r.count(at{"health", "unhealthy"}, h.Unhealthy, 2),
		Timeout:   orDefault(h.Timeout.d(), 5*time.Second),
		Deadline:  orDefault(h.Deadline.d(), time.Minute),
		Drain:     orDefault(h.Drain.d(), 30*time.Second),
	}
}

func (r *reader) traffic(t yamlTraffic) stage.Load {
	l := stage.Load{Rate: float64(t.Rate), Timeout: orDefault(t.Timeout.d(), 5*time.Second), Stored: t.Stored, StoredIn: t.StoredIn}
	if t.Rate < 1 {
		r.fail(at{"traffic", "rate"}, "traffic: needs a rate of at least 1 request per second")
	}
	if len(t.Requests) == 0 {
		r.fail(at{"traffic", "requests"}, "traffic: needs requests: what the users ask for, with a name, a weight and a path each")
	}
	seen := map[string]bool{}
	for i, q := range t.Requests {
		way := at{"traffic", "requests", i}
		r.request("traffic", way, q, seen)
		if q.Weight < 1 {
			r.fail(append(way, "weight"), "traffic: the request %q needs a weight of at least 1", q.Name)
		}
		l.Requests = append(l.Requests, q.request())
	}
	return l
}

func (r *reader) model(m yamlModel) stage.Model {
	if !(m.ErrorLogs >= 0) {
		r.fail(at{"simulation", "errorLogs"}, "simulation: errorLogs %v: must be at least 0", m.ErrorLogs)
	}
	if m.Concurrency < 0 {
		r.fail(at{"simulation", "concurrency"}, "simulation: concurrency %d: how many requests a replica answers at the same time, at least 1", m.Concurrency)
	} else if err := m.model().Capacity.Check(); err != nil {
		r.fail(at{"simulation", "service"}, "simulation: %v", err)
	}
	return m.model()
}

func (r *reader) monitoring(m yamlMonitoring) stage.Monitoring {
	out := stage.Monitoring{
		LoadBalancer: m.LoadBalancer, TargetGroups: m.TargetGroups, Cluster: m.Cluster, Service: m.Service, LogGroup: m.LogGroup,
	}
	if m.Filters == "" {
		return out
	}
	if file, data, ok := r.open(at{"monitoring", "filters"}, m.Filters, wantFilters); ok {
		out.Filters = r.filters(file, data, m.LogGroup)
	}
	return out
}

const wantFilters = "the output of `aws logs describe-metric-filters`"

// jsonFilter is one of its metricFilters.
type jsonFilter struct {
	FilterName            string `json:"filterName"`
	FilterPattern         string `json:"filterPattern"`
	LogGroupName          string `json:"logGroupName"`
	MetricTransformations []struct {
		MetricName      string   `json:"metricName"`
		MetricNamespace string   `json:"metricNamespace"`
		MetricValue     string   `json:"metricValue"`
		DefaultValue    *float64 `json:"defaultValue"`
		Unit            string   `json:"unit"`
	} `json:"metricTransformations"`
}

// filters reads the output of `aws logs describe-metric-filters`.
func (r *reader) filters(file string, data []byte, group string) (out []stage.MetricFilter) {
	wrong := func(offset int, format string, args ...any) {
		line := 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
		r.add(fmt.Errorf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
	}
	var all struct{ MetricFilters []json.RawMessage }
	if err := json.Unmarshal(data, &all); err != nil {
		offset, why := explained(err)
		wrong(offset, "%s: want %s", why, wantFilters)
		return nil
	}
	if all.MetricFilters == nil {
		wrong(0, "\"metricFilters\" is missing: want %s", wantFilters)
	}
	offset := 0
	for i, raw := range all.MetricFilters {
		offset += bytes.Index(data[offset:], raw)
		var f jsonFilter
		if err := json.Unmarshal(raw, &f); err != nil {
			within, why := explained(err)
			wrong(offset+within, "metric filter %d: %s: want %s", i+1, why, wantFilters)
			offset += len(raw)
			continue
		}
		if f.LogGroupName != group {
			wrong(offset, "metric filter %d (%q) reads the log group %q, and the service writes to %q: see monitoring in %s", i+1, f.FilterName, f.LogGroupName, group, r.file)
		}
		for _, t := range f.MetricTransformations {
			if t.MetricName == "" || t.MetricNamespace == "" {
				wrong(offset, "metric filter %d (%q) needs a metricName and a metricNamespace", i+1, f.FilterName)
			}
			if _, err := strconv.ParseFloat(t.MetricValue, 64); err != nil && (t.MetricValue == "" || t.MetricValue[0] != '$') {
				wrong(offset, "metric filter %d (%q): the metricValue %q is neither a number nor a selector such as $.bytes", i+1, f.FilterName, t.MetricValue)
			}
			if t.Unit != "" && !alarm.IsUnit(t.Unit) {
				wrong(offset, "metric filter %d (%q): the unit %q is none of CloudWatch's, such as Count or Seconds", i+1, f.FilterName, t.Unit)
			}
			out = append(out, stage.MetricFilter{
				Name: f.FilterName, LogGroup: f.LogGroupName, Pattern: f.FilterPattern,
				Namespace: t.MetricNamespace, Metric: t.MetricName, Value: t.MetricValue, Default: t.DefaultValue, Unit: t.Unit,
			})
		}
		offset += len(raw)
	}
	return out
}

// explained is where JSON is wrong, and why.
func explained(err error) (offset int, why string) {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return int(syntax.Offset), "this is not JSON: " + err.Error()
	case errors.As(err, &kind):
		return int(kind.Offset), fmt.Sprintf("%s must not be a JSON %s", kind.Field, kind.Value)
	}
	return 0, err.Error()
}

package cloudwatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ParseMetricFilters reads the output of `aws logs describe-metric-filters`, in JSON;
// name is the file that errors speak of. Each is checked as PutMetricFilter does; the
// error joins everything that is wrong, with its line.
func ParseMetricFilters(name string, data []byte) ([]MetricFilter, error) {
	const want = "want the output of `aws logs describe-metric-filters`"
	var wrong []error
	fail := func(offset int64, format string, args ...any) {
		line := 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
		wrong = append(wrong, fmt.Errorf("%s:%d: %s", name, line, fmt.Sprintf(format, args...)))
	}
	explain := func(at int64, err error) {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			fail(at+syntax.Offset, "this is not JSON: %v: %s", err, want)
		case errors.As(err, &kind):
			fail(at+kind.Offset, "%s must not be a JSON %s: %s", kind.Field, kind.Value, want)
		default:
			fail(at, "%v: %s", err, want)
		}
	}
	var file struct {
		MetricFilters []json.RawMessage `json:"metricFilters"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		explain(0, err)
		return nil, errors.Join(wrong...)
	}
	if file.MetricFilters == nil {
		fail(0, `"metricFilters" is missing: %s`, want)
	}
	var all []MetricFilter
	scratch := NewStore(Options{}) // only its checks are wanted
	offset := int64(0)
	for i, raw := range file.MetricFilters {
		offset += int64(max(bytes.Index(data[offset:], raw), 0))
		var f struct {
			FilterName            string `json:"filterName"`
			FilterPattern         string `json:"filterPattern"`
			LogGroupName          string `json:"logGroupName"`
			MetricTransformations []struct {
				MetricName      string            `json:"metricName"`
				MetricNamespace string            `json:"metricNamespace"`
				MetricValue     string            `json:"metricValue"`
				DefaultValue    *float64          `json:"defaultValue"`
				Dimensions      map[string]string `json:"dimensions"`
				Unit            string            `json:"unit"`
			} `json:"metricTransformations"`
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			explain(offset, err)
			offset += int64(len(raw))
			continue
		}
		if len(f.MetricTransformations) != 1 {
			fail(offset, "metric filter %d (%q) has %d metricTransformations; AWS takes exactly one", i+1, short(f.FilterName), len(f.MetricTransformations))
		} else {
			t := f.MetricTransformations[0]
			m := MetricFilter{
				Name: f.FilterName, LogGroup: f.LogGroupName, Pattern: f.FilterPattern,
				Namespace: t.MetricNamespace, Metric: t.MetricName, Value: t.MetricValue, Default: t.DefaultValue, Dimensions: t.Dimensions, Unit: t.Unit,
			}
			if err := scratch.PutMetricFilter(m); err != nil {
				fail(offset, "metric filter %d: %v", i+1, err)
			}
			all = append(all, m)
		}
		offset += int64(len(raw))
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return all, nil
}

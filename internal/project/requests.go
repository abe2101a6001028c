package project

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"

	"rehearsal/internal/stage"
)

const wantRequests = "a list of requests with their right answers, such as - {name: browse, path: /products, expect: 200}"

// requests is requests with their right answers: those of the list at way, or of the file
// that is named there.
func (r *reader) requests(way at, q yamlRequests) []stage.SmokeRequest {
	label := fmt.Sprint(way[len(way)-1])
	if q.file == "" {
		return r.expectations(label, way, q.list)
	}
	file, data, ok := r.open(way, q.file, wantRequests)
	if !ok {
		return nil
	}
	in := &reader{ctx: r.ctx, file: file, dir: filepath.Dir(file), untyped: map[int]bool{}}
	var list []yamlRequest
	var out []stage.SmokeRequest
	if in.decode(data, &list, "want "+wantRequests) {
		out = in.expectations(label, nil, list)
	}
	r.errs = append(r.errs, in.errs...)
	return out
}

func (r *reader) expectations(label string, way at, qs []yamlRequest) (out []stage.SmokeRequest) {
	seen := map[string]bool{}
	for i, q := range qs {
		way := append(slices.Clone(way), i)
		r.request(label, way, q, seen)
		one := stage.SmokeRequest{Request: q.request(), Within: q.Within.d(), Contains: q.Contains}
		for _, path := range slices.Sorted(maps.Keys(q.JSON)) {
			node := q.JSON[path]
			one.JSON = append(one.JSON, r.jsonValues(label, append(slices.Clone(way), "json", path), path, &node)...)
		}
		if q.Schema != "" {
			if file, data, ok := r.open(append(slices.Clone(way), "schema"), q.Schema, "a JSON Schema"); ok {
				schema, err := stage.ParseSchema(file, data)
				if err != nil {
					r.add(err)
				}
				one.Schema = schema
			}
		}
		out = append(out, one)
	}
	return out
}

// jsonValues reads what a JSONPath must lead to: a value, or comparisons such as
// {above: 0, below: 100}.
func (r *reader) jsonValues(label string, way at, path string, n *yaml.Node) (out []stage.JSONValue) {
	add := func(test stage.JSONTest, n *yaml.Node) {
		want, err := jsonOf(n)
		v := stage.JSONValue{Path: path, Test: test, Want: want}
		if err == nil {
			err = v.Validate()
		}
		if err != nil {
			r.fail(way, "%s: json: %v", label, err)
			return
		}
		out = append(out, v)
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		add(stage.JSONIs, n)
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		add(stage.JSONTest(n.Content[i].Value), n.Content[i+1])
	}
	if len(n.Content) == 0 {
		r.fail(way, "%s: json: %s: want a value, or a comparison such as {above: 0}: known are %q", label, path, stage.JSONTests())
	}
	return out
}

// jsonOf is a YAML value as encoding/json would decode it.
func jsonOf(n *yaml.Node) (v any, err error) {
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("not a value that JSON knows: %w", err)
	}
	var plain any
	return plain, json.Unmarshal(data, &plain)
}

// request checks one request; label is where it belongs.
func (r *reader) request(label string, way at, q yamlRequest, seen map[string]bool) {
	within := func(key string) at { return append(slices.Clone(way), key) }
	switch {
	case q.Name == "":
		r.fail(within("name"), "%s: a request needs a name", label)
	case seen[q.Name]:
		r.fail(within("name"), "%s: there is a request %q already: each needs a name of its own", label, q.Name)
	}
	seen[q.Name] = true
	if q.Path == "" || q.Path[0] != '/' {
		r.fail(within("path"), "%s: the path %q of the request %q must begin with /", label, q.Path, q.Name)
	}
	if e := q.Expect; e != 0 && (e < 100 || e > 599) {
		r.fail(within("expect"), "%s: the request %q expects %d, which is not an HTTP status", label, q.Name, e)
	}
	if label == "traffic" && (len(q.JSON) > 0 || q.Schema != "" || q.Contains != "" || q.Within > 0) {
		r.fail(way, "traffic: the request %q: the users' answers are judged by their status alone: json, schema, contains and within are for smoke requests and contracts", q.Name)
	}
}

package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/theory/jsonpath"
)

// An Answer is what came of a question. Which fields count hangs on what was asked.
type Answer struct {
	// Assumed says that the simulated stage answers as its model has it: rightly, with
	// whatever the answer should contain. It has a time, and nothing else.
	Assumed bool
	Took    time.Duration

	Status int    // of a request
	Body   string // of a request, the first MiB

	Columns []string   // of a query
	Rows    [][]string // of a query, each value as the database prints it; NULL is "NULL"

	Exit   int    // exit status of a command
	Output string // of a command, standard output and error, the first MiB
}

// A JSONValue is what an answer's JSON must have in one place.
type JSONValue struct {
	Path string // JSONPath, as RFC 9535 has it: "$.items[*].price"
	Test JSONTest
	Want any // as encoding/json decodes it; for JSONCount a whole number
}

// JSONTest is a closed set of comparisons. Where the path leads to several values, each
// must pass, but for JSONCount; and there must be at least one.
type JSONTest string

const (
	JSONIs       JSONTest = "is"       // equal
	JSONNot      JSONTest = "not"      // not equal
	JSONAbove    JSONTest = "above"    // a number above Want
	JSONBelow    JSONTest = "below"    // a number below Want
	JSONContains JSONTest = "contains" // a text that contains Want, or a list with such an item
	JSONCount    JSONTest = "count"    // the path leads to so many values
)

// JSONTests is every comparison.
func JSONTests() []JSONTest {
	return []JSONTest{JSONIs, JSONNot, JSONAbove, JSONBelow, JSONContains, JSONCount}
}

// Validate says what is wrong with the path, the comparison or what it wants.
func (v JSONValue) Validate() error {
	if _, err := jsonpath.Parse(v.Path); err != nil {
		return fmt.Errorf("%q is not a JSONPath, such as $.items[0].price: %w", v.Path, err)
	}
	switch v.Test {
	case JSONIs, JSONNot, JSONContains:
	case JSONAbove, JSONBelow:
		if _, ok := v.Want.(float64); !ok {
			return fmt.Errorf("%s: %s needs a number, not %s", v.Path, v.Test, jsonText(v.Want))
		}
	case JSONCount:
		if n, ok := v.Want.(float64); !ok || n < 0 || n != math.Trunc(n) {
			return fmt.Errorf("%s: count needs a whole number, not %s", v.Path, jsonText(v.Want))
		}
	default:
		return fmt.Errorf("%s: unknown comparison %q: known are %q", v.Path, v.Test, JSONTests())
	}
	return nil
}

// String is "$.price above 0".
func (v JSONValue) String() string { return fmt.Sprintf("%s %s %s", v.Path, v.Test, jsonText(v.Want)) }

// jsonText is a value as JSON, shortened for people.
func jsonText(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	const most = 80
	if len(data) > most {
		return strings.ToValidUTF8(string(data[:most]), "") + "…"
	}
	return string(data)
}

// wrong says what is wrong with a document, which encoding/json decoded.
func (v JSONValue) wrong(document any) error {
	path, err := jsonpath.Parse(v.Path)
	if err != nil {
		return err
	}
	found := path.Select(document)
	if v.Test == JSONCount {
		if n := float64(len(found)); n != v.Want {
			return fmt.Errorf("%s leads to %g values, not %s", v.Path, n, jsonText(v.Want))
		}
		return nil
	}
	if len(found) == 0 {
		return fmt.Errorf("there is no %s in it", v.Path)
	}
	for _, got := range found {
		if !v.holds(got) {
			return fmt.Errorf("%s is %s, want %s %s", v.Path, jsonText(got), v.Test, jsonText(v.Want))
		}
	}
	return nil
}

func (v JSONValue) holds(got any) bool {
	number, isNumber := got.(float64)
	want, _ := v.Want.(float64)
	switch v.Test {
	case JSONIs:
		return reflect.DeepEqual(got, v.Want)
	case JSONNot:
		return !reflect.DeepEqual(got, v.Want)
	case JSONAbove:
		return isNumber && number > want
	case JSONBelow:
		return isNumber && number < want
	case JSONContains:
		if list, ok := got.([]any); ok {
			for _, item := range list {
				if reflect.DeepEqual(item, v.Want) {
					return true
				}
			}
			return false
		}
		text, isText := got.(string)
		part, partIsText := v.Want.(string)
		return isText && partIsText && strings.Contains(text, part)
	case JSONCount: // asked before
	}
	panic(fmt.Sprintf("unknown comparison %q", v.Test))
}

// Wrong says what is wrong with the answer to the request; nil: nothing. An Assumed
// answer is only held against the time.
func (q SmokeRequest) Wrong(a Answer) error {
	if q.Within > 0 && a.Took > q.Within {
		return fmt.Errorf("answered after %v, later than %v", a.Took.Round(time.Millisecond), q.Within)
	}
	if a.Assumed {
		return nil
	}
	switch {
	case q.Expect != 0 && a.Status != q.Expect:
		return fmt.Errorf("answered %d, expected %d", a.Status, q.Expect)
	case q.Expect == 0 && a.Status >= 500:
		return fmt.Errorf("answered %d", a.Status)
	case !strings.Contains(a.Body, q.Contains):
		return fmt.Errorf("the answer does not contain %q", q.Contains)
	case len(q.JSON) == 0 && q.Schema == nil:
		return nil
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(a.Body)) // numbers as they are written
	if err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	if q.Schema != nil {
		if err := q.Schema.Wrong(document); err != nil {
			return err
		}
	}
	var plain any
	if err := json.Unmarshal([]byte(a.Body), &plain); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	var wrong []error
	for _, v := range q.JSON {
		if err := v.wrong(plain); err != nil {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

// A Schema is a JSON Schema that an answer must keep.
type Schema struct {
	File     string // that it was read from
	compiled *jsonschema.Schema
}

// ParseSchema reads a JSON Schema (any draft from 4 to 2020-12). It follows no reference
// out of the file: a rehearsal fetches nothing.
func ParseSchema(file string, data []byte) (*Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: this is not JSON: %w", file, err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	const name = "file:///schema.json"
	if err := c.AddResource(name, document); err != nil {
		return nil, fmt.Errorf("%s: this is not a JSON Schema: %w", file, err)
	}
	compiled, err := c.Compile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: this is not a JSON Schema: %s", file, strings.ReplaceAll(err.Error(), name, ""))
	}
	return &Schema{file, compiled}, nil
}

// noLoader refuses references to other documents.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %s: only references within the file are followed", url)
}

// Wrong says where document does not keep the schema; nil: it does.
func (s *Schema) Wrong(document any) error {
	err := s.compiled.Validate(document)
	var all *jsonschema.ValidationError
	if !errors.As(err, &all) {
		return err
	}
	const most = 3
	var places []string
	for _, u := range all.BasicOutput().Errors {
		if u.Error != nil && !strings.HasPrefix(u.Error.String(), "validation failed") {
			places = append(places, fmt.Sprintf("at %q: %s", u.InstanceLocation, u.Error))
		}
	}
	if len(places) > most {
		places = append(places[:most], fmt.Sprintf("and %d more", len(places)-most))
	}
	return fmt.Errorf("the answer does not keep the schema %s: %s", s.File, strings.Join(places, "; "))
}

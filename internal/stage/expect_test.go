package stage_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/stage"
)

func value(path string, test stage.JSONTest, want any) stage.JSONValue {
	return stage.JSONValue{Path: path, Test: test, Want: want}
}

func TestAnAnswerIsHeldAgainstWhatIsExpected(t *testing.T) {
	schema, err := stage.ParseSchema("price.json", []byte(`{"type":"array","items":{"required":["id","price"],"properties":{"price":{"type":"integer","minimum":1}}}}`))
	require.NoError(t, err)
	const body = `[{"id":1,"price":450,"tags":["a","b"],"name":"Notebook"},{"id":2,"price":90,"name":"Eraser"}]`
	good := stage.Answer{Status: 200, Body: body, Took: 10 * time.Millisecond}
	ask := func(change func(*stage.SmokeRequest)) stage.SmokeRequest {
		q := stage.SmokeRequest{Request: stage.Request{Expect: 200}, Within: time.Second}
		change(&q)
		return q
	}
	json := func(v ...stage.JSONValue) stage.SmokeRequest {
		return ask(func(q *stage.SmokeRequest) { q.JSON = v })
	}
	for name, c := range map[string]struct {
		q     stage.SmokeRequest
		a     stage.Answer
		wrong string // "": nothing
	}{
		"right":               {json(value("$[*].price", stage.JSONAbove, 0.0)), good, ""},
		"status":              {json(), stage.Answer{Status: 201}, "answered 201, expected 200"},
		"any status":          {ask(func(q *stage.SmokeRequest) { q.Expect = 0 }), stage.Answer{Status: 404}, ""},
		"any status but 500":  {ask(func(q *stage.SmokeRequest) { q.Expect = 0 }), stage.Answer{Status: 500}, "answered 500"},
		"late":                {json(), stage.Answer{Status: 200, Took: 2 * time.Second}, "answered after 2s, later than 1s"},
		"text":                {ask(func(q *stage.SmokeRequest) { q.Contains = "Pen" }), good, `does not contain "Pen"`},
		"one price too low":   {json(value("$[*].price", stage.JSONAbove, 100.0)), good, "$[*].price is 90, want above 100"},
		"below":               {json(value("$[0].price", stage.JSONBelow, 450.0)), good, "$[0].price is 450, want below 450"},
		"is":                  {json(value("$[0].name", stage.JSONIs, "Notebook")), good, ""},
		"is not":              {json(value("$[0].name", stage.JSONIs, "Pen")), good, `$[0].name is "Notebook", want is "Pen"`},
		"not":                 {json(value("$[0].name", stage.JSONNot, "Notebook")), good, "want not"},
		"contains":            {json(value("$[0].name", stage.JSONContains, "book")), good, ""},
		"contains not":        {json(value("$[0].name", stage.JSONContains, "pen")), good, "want contains"},
		"list":                {json(value("$[0].tags", stage.JSONContains, "b")), good, ""},
		"list without":        {json(value("$[0].tags", stage.JSONContains, "c")), good, "want contains"},
		"count":               {json(value("$[*]", stage.JSONCount, 2.0)), good, ""},
		"wrong count":         {json(value("$[*]", stage.JSONCount, 3.0)), good, "$[*] leads to 2 values, not 3"},
		"none, as it should":  {json(value("$.error", stage.JSONCount, 0.0)), good, ""},
		"filter":              {json(value("$[?@.id == 2].price", stage.JSONIs, 90.0)), good, ""},
		"nothing there":       {json(value("$.price", stage.JSONAbove, 0.0)), good, "there is no $.price in it"},
		"a text is no number": {json(value("$[0].name", stage.JSONAbove, 0.0)), good, `is "Notebook", want above 0`},
		"not JSON":            {json(value("$", stage.JSONIs, 1.0)), stage.Answer{Status: 200, Body: "<html>"}, "the answer is not JSON"},
		"more than JSON":      {json(value("$", stage.JSONIs, 1.0)), stage.Answer{Status: 200, Body: "1 2"}, "the answer is not JSON"},
		"schema":              {ask(func(q *stage.SmokeRequest) { q.Schema = schema }), good, ""},
		"schema broken":       {ask(func(q *stage.SmokeRequest) { q.Schema = schema }), stage.Answer{Status: 200, Body: `[{"id":1,"price":0}]`}, `does not keep the schema price.json: at "/0/price": `},
		"assumed":             {json(value("$.price", stage.JSONAbove, 0.0)), stage.Answer{Assumed: true, Took: time.Millisecond}, ""},
		"assumed and late":    {json(), stage.Answer{Assumed: true, Took: time.Minute}, "later than"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range c.q.JSON {
				require.NoError(t, v.Validate())
			}
			err := c.q.Wrong(c.a)
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.wrong)
		})
	}
}

func TestWhatCannotBeExpected(t *testing.T) {
	for wrong, v := range map[string]stage.JSONValue{
		"is not a JSONPath":   value("price", stage.JSONIs, 1.0),
		"above needs a":       value("$.price", stage.JSONAbove, "0"),
		"count needs a whole": value("$.price", stage.JSONCount, 1.5),
		"unknown comparison":  value("$.price", "like", "x"),
	} {
		require.ErrorContains(t, v.Validate(), wrong)
	}
	for wrong, text := range map[string]string{
		"this is not JSON":            `{`,
		"this is not a JSON Schema":   `{"type": "nothing"}`,
		"only references within":      `{"$ref": "https://example.com/schema.json"}`,
		"only references within the ": `{"$ref": "file:///etc/passwd"}`,
	} {
		_, err := stage.ParseSchema("s.json", []byte(text))
		require.ErrorContains(t, err, wrong)
		assert.ErrorContains(t, err, "s.json: ")
	}
}

func TestNoAnswerMakesTheComparisonPanic(t *testing.T) {
	paths := []string{"$", "$.a", "$..*", "$[0]", "$[?@.a > 1]", "$[*].a[-1:]"}
	rapid.Check(t, func(t *rapid.T) {
		q := stage.SmokeRequest{JSON: []stage.JSONValue{{
			Path: rapid.SampledFrom(paths).Draw(t, "path"), Test: rapid.SampledFrom(stage.JSONTests()).Draw(t, "test"), Want: 1.0,
		}}}
		body := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"null", "[]", `{"a":[1,{"a":2}]}`, "1e999", `[[[[1]]]]`, `{"a":"b"}`})).Draw(t, "body")
		_ = q.Wrong(stage.Answer{Status: 200, Body: body})
	})
}

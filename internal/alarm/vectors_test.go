package alarm

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The vectors are the user guide's tables on missing data, as facts.
type vectors struct {
	Missing []vector `json:"missing_data"`
	Older   []vector `json:"from_an_older_edition_of_the_guide"`
	Whole   []vector `json:"no_missing_points"`
}

type vector struct {
	N      int             `json:"evaluation_periods"`
	M      int             `json:"datapoints_to_alarm"`
	Points string          `json:"points"`
	State  json.RawMessage `json:"state"` // one state, or one by TreatMissingData
}

var treatments = []string{"missing", "ignore", "breaching", "notBreaching"}

func TestVectorsOfTheUserGuide(t *testing.T) {
	data, err := os.ReadFile("testdata/cloudwatch-alarm-vectors.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(data, &v))
	require.Len(t, v.Missing, 10)
	require.Len(t, v.Older, 3)
	require.Len(t, v.Whole, 6)
	for _, row := range append(append(v.Missing, v.Older...), v.Whole...) {
		wants := map[string]string{}
		if json.Unmarshal(row.State, &wants) != nil {
			var one string
			require.NoError(t, json.Unmarshal(row.State, &one))
			for _, treatment := range treatments {
				wants[treatment] = one
			}
		}
		require.Len(t, wants, len(treatments))
		for treatment, want := range wants {
			c := ruled(t, row.N, row.M, treatment)
			for _, before := range []State{InsufficientData, OK, InAlarm} {
				expected := want
				if want == "RETAIN" {
					expected = before.String()
				}
				got, why := c.Evaluate(drawn(row.Points), before)
				assert.Equal(t, expected, got.String(), "%d of %d, %q, %s, from %s: %s",
					row.M, row.N, row.Points, treatment, before, why)
			}
		}
	}
}

// ruled is an alarm on values above 1.
func ruled(t testing.TB, n, m int, treatment string) *Compiled {
	t.Helper()
	return compiled(t, Alarm{EvaluationPeriods: n, DatapointsToAlarm: m, TreatMissingData: treatment})
}

// compiled completes an alarm and compiles it.
func compiled(t testing.TB, a Alarm) *Compiled {
	t.Helper()
	a.AlarmName = "shop"
	if len(a.Metrics) == 0 {
		a.Namespace, a.MetricName = "Shop", "Errors"
		if a.Statistic == "" && a.ExtendedStatistic == "" {
			a.Statistic = "Sum"
		}
		if a.Period == 0 {
			a.Period = 60
		}
	}
	if a.EvaluationPeriods == 0 {
		a.EvaluationPeriods = 1
	}
	if a.ComparisonOperator == "" {
		a.ComparisonOperator, a.Threshold = "GreaterThanThreshold", 1
	}
	c, err := a.Compile()
	require.NoError(t, err)
	return c
}

// drawn reads points drawn oldest to newest: 0 within the threshold of 1, X
// beyond it, - missing, or a number.
func drawn(text string) []Point {
	var points []Point
	for _, mark := range strings.Fields(text) {
		p := Point{Samples: 1, Present: true}
		switch mark {
		case "-":
			p = Point{}
		case "X":
			p.Value = 2
		default:
			v, err := strconv.ParseFloat(mark, 64)
			if err != nil {
				panic(err)
			}
			p.Value = v
		}
		points = append(points, p)
	}
	return points
}

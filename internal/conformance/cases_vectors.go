package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
)

// A vector is a row of the user guide's tables on missing data.
type vector struct {
	N      int32           `json:"evaluation_periods"`
	M      int32           `json:"datapoints_to_alarm"`
	Points string          `json:"points"`
	State  json.RawMessage `json:"state"` // one state, or one by TreatMissingData
}

var treatments = []string{"missing", "ignore", "breaching", "notBreaching"}

// once is how long it takes until an evaluation over whole minutes has been made:
// at worst a minute until one begins, the minute, and slack.
const once = 3 * time.Minute

// vectorCases are the rows, each with the four settings of TreatMissingData.
func vectorCases() []Case {
	var all struct {
		Missing []vector `json:"missing_data"`
		Older   []vector `json:"from_an_older_edition_of_the_guide"`
		Whole   []vector `json:"no_missing_points"`
	}
	if err := json.Unmarshal(alarm.Vectors, &all); err != nil {
		panic("conformance: the vectors of internal/alarm: " + err.Error()) // they are compiled in
	}
	const source = guide + "alarms-and-missing-data.html"
	var cases []Case
	add := func(edition string, rows []vector) {
		for _, v := range rows {
			cases = append(cases, Case{
				Name:       fmt.Sprintf("points-%d-of-%d-%s", v.M, v.N, strings.NewReplacer("-", "_", " ", "").Replace(v.Points)),
				Documented: fmt.Sprintf("%d of %d, points %s (X breaches, - is missing): %s%s", v.M, v.N, v.Points, v.wanted(), edition),
				Source:     source, Takes: once, run: v.run,
			})
		}
	}
	add("", all.Missing)
	add(" (an older edition of the guide)", all.Older)
	add("", all.Whole)
	return cases
}

// wants is the state by TreatMissingData.
func (v *vector) wants() map[string]string {
	wants := map[string]string{}
	if json.Unmarshal(v.State, &wants) == nil {
		return wants
	}
	var one string
	if err := json.Unmarshal(v.State, &one); err != nil {
		panic("conformance: a vector's state: " + err.Error())
	}
	for _, t := range treatments {
		wants[t] = one
	}
	return wants
}

func (v *vector) wanted() string {
	wants := v.wants()
	if one := wants[treatments[0]]; !slices.ContainsFunc(treatments, func(t string) bool { return wants[t] != one }) {
		return one
	}
	var all []string
	for _, t := range treatments {
		all = append(all, t+" "+strings.Replace(wants[t], "RETAIN", "as before", 1))
	}
	return strings.Join(all, ", ")
}

// run puts the points so that the newest minute is the one that ends when the alarms
// are evaluated next, has each alarm in a state that the evaluation must leave (or
// keep), and reads the states afterwards.
func (v *vector) run(ctx context.Context, b *bench) (string, error) {
	at, err := b.minute(ctx)
	if err != nil {
		return "", err
	}
	marks := strings.Fields(v.Points)
	var data []types.MetricDatum
	for i, mark := range marks {
		begun := at.Add(-time.Duration(len(marks)-1-i) * time.Minute)
		switch mark {
		case "X":
			data = append(data, datum("m", begun, 2))
		case "0":
			data = append(data, datum("m", begun, 0))
		}
	}
	if len(data) > 0 {
		if err := b.put(ctx, data...); err != nil {
			return "", err
		}
	}
	type tried struct{ name, treatment, before, want string }
	var all []tried
	wants := v.wants()
	for _, treatment := range treatments {
		befores := []string{"ALARM"}
		want := wants[treatment]
		switch want {
		case "ALARM", "INSUFFICIENT_DATA":
			befores = []string{"OK"}
		case "RETAIN":
			befores = []string{"OK", "ALARM"}
		}
		for _, before := range befores {
			name, err := b.putAlarm(ctx, v.N, func(in *cloudwatch.PutMetricAlarmInput) {
				in.DatapointsToAlarm, in.TreatMissingData = aws.Int32(v.M), aws.String(treatment)
			})
			if err != nil {
				return "", err
			}
			if err := b.set(ctx, name, types.StateValue(before)); err != nil {
				return "", err
			}
			expected := want
			if want == "RETAIN" {
				expected = before
			}
			all = append(all, tried{name, treatment, before, expected})
		}
	}
	if err := b.evaluated(ctx, at.Add(time.Minute)); err != nil {
		return "", err
	}
	var wrong []string
	for _, a := range all {
		state, err := b.state(ctx, a.name)
		if err != nil {
			return "", err
		}
		if string(state) != a.want {
			wrong = append(wrong, fmt.Sprintf("%s: from %s to %s, not %s", a.treatment, a.before, state, a.want))
		}
	}
	if wrong != nil {
		return "", deviates("%s", joined(wrong))
	}
	return "so it is", nil
}

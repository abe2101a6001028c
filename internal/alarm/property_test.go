package alarm

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// A case is an alarm on values above 1, with points and a state to judge.
type judged struct {
	c      *Compiled
	points []Point
	before State
}

func drawAlarm(t *rapid.T, treatment string) *Compiled {
	n := rapid.IntRange(1, 8).Draw(t, "N")
	c, err := (&Alarm{AlarmName: "shop", Namespace: "Shop", MetricName: "Errors", Statistic: "Sum", Period: 60,
		EvaluationPeriods: n, DatapointsToAlarm: rapid.IntRange(1, n).Draw(t, "M"), TreatMissingData: treatment,
		ComparisonOperator: "GreaterThanThreshold", Threshold: 1}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func drawPoints(t *rapid.T, n int) []Point {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Point {
		return Point{rapid.SampledFrom([]float64{0, 1, 2}).Draw(t, "value"), 1, rapid.Bool().Draw(t, "present")}
	}), n, n).Draw(t, "points")
}

func drawCase(t *rapid.T) judged {
	c := drawAlarm(t, rapid.SampledFrom(treatments).Draw(t, "treatment"))
	return judged{c, drawPoints(t, c.Range), drawState(t)}
}

func drawState(t *rapid.T) State {
	return rapid.SampledFrom([]State{OK, InAlarm, InsufficientData}).Draw(t, "before")
}

func (j judged) real() (count, breaching int) {
	for _, p := range j.points {
		if p.Present {
			count++
			if p.Value > 1 {
				breaching++
			}
		}
	}
	return count, breaching
}

func TestWhatAlwaysHolds(t *testing.T) {
	for name, holds := range map[string]func(t *rapid.T, j judged, state State){
		"the same points give the same state, and stay as they are": func(t *rapid.T, j judged, state State) {
			points := slices.Clone(j.points)
			again, _ := j.c.Evaluate(j.points, j.before)
			assert.Equal(t, state, again)
			assert.Equal(t, points, j.points)
		},
		"a point older than the range changes nothing": func(t *rapid.T, j judged, state State) {
			older := append(drawPoints(t, rapid.IntRange(1, 5).Draw(t, "older")), j.points...)
			got, _ := j.c.Evaluate(older, j.before)
			assert.Equal(t, state, got)
		},
		"points that are not given are missing": func(t *rapid.T, j judged, _ State) {
			cut := rapid.IntRange(0, len(j.points)).Draw(t, "cut")
			short, _ := j.c.Evaluate(j.points[cut:], j.before)
			clear(j.points[:cut])
			whole, _ := j.c.Evaluate(j.points, j.before)
			assert.Equal(t, whole, short)
		},
		"with N real points or more, the newest N decide alone": func(t *rapid.T, j judged, state State) {
			if count, _ := j.real(); count < j.c.n {
				return
			}
			breaching, left := 0, j.c.n
			for _, p := range slices.Backward(j.points) {
				if p.Present && left > 0 {
					left--
					if p.Value > 1 {
						breaching++
					}
				}
			}
			want := OK
			if breaching >= j.c.m {
				want = InAlarm
			}
			assert.Equal(t, want, state)
		},
		"M real breaching points among fewer than N are ALARM": func(t *rapid.T, j judged, state State) {
			if count, breaching := j.real(); count <= j.c.n && breaching >= j.c.m {
				assert.Equal(t, InAlarm, state)
			}
		},
		"the state before matters only where it is kept, and is kept then": func(t *rapid.T, j judged, state State) {
			other := drawState(t)
			got, why := j.c.Evaluate(j.points, other)
			if why.Kept() {
				assert.Equal(t, other, got)
				assert.Equal(t, j.before, state)
			} else {
				assert.Equal(t, state, got)
			}
		},
		"INSUFFICIENT_DATA only when nothing is within the threshold, and missing data is missing": func(t *rapid.T, j judged, state State) {
			count, breaching := j.real()
			if j.before != InsufficientData && state == InsufficientData {
				assert.Equal(t, treatMissing, j.c.missing)
				assert.Equal(t, count, breaching)
				assert.Less(t, count, j.c.n)
			}
		},
		"breaching alarms whenever another setting does, notBreaching only then": func(t *rapid.T, j judged, _ State) {
			states := map[treatment]State{}
			for _, text := range treatments {
				c := *j.c
				c.missing, _ = parseTreatment(text)
				states[c.missing], _ = c.Evaluate(j.points, OK)
			}
			for _, other := range states {
				assert.True(t, other != InAlarm || states[treatBreaching] == InAlarm)
				assert.True(t, states[treatNotBreaching] != InAlarm || other == InAlarm)
				assert.True(t, states[treatBreaching] != OK || other == OK)
			}
		},
		"one more breaching point never ends an alarm": func(t *rapid.T, j judged, state State) {
			i := rapid.IntRange(0, len(j.points)-1).Draw(t, "i")
			if j.points[i].Present && state == InAlarm && j.before != InAlarm {
				j.points[i].Value = 2
				worse, _ := j.c.Evaluate(j.points, j.before)
				assert.Equal(t, InAlarm, worse)
			}
		},
		"upside down, the state is the same": func(t *rapid.T, j judged, state State) {
			mirror := *j.c
			mirror.compare, mirror.threshold = lessThan, -j.c.threshold
			for i := range j.points {
				j.points[i].Value *= -1
			}
			got, _ := mirror.Evaluate(j.points, j.before)
			assert.Equal(t, state, got)
		},
		"there is a reason in words": func(t *rapid.T, j judged, _ State) {
			_, why := j.c.Evaluate(j.points, j.before)
			assert.Regexp(t, `^(Threshold Crossed|Insufficient Data|Unchanged): .*\.$`, why.String())
			assert.NotContains(t, why.String(), "[]")
		},
	} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			j := drawCase(t)
			state, _ := j.c.Evaluate(j.points, j.before)
			holds(t, j, state)
		}))
	}
}

// A formula is an expression, and what it makes of point i, worked out with no
// code of the package.
type formula struct {
	text string
	at   func(i int) (float64, bool)
}

func TestMathIsWorkedOutPointByPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inputs := [][]Point{drawPoints(t, 4), drawPoints(t, 4), drawPoints(t, 4)}
		f := drawFormula(t, inputs, 4)
		a := mathAlarm(f.text)
		a.AlarmName, a.ComparisonOperator = "shop", "GreaterThanThreshold"
		c, err := a.Compile()
		if err != nil {
			t.Fatalf("%s: %v", f.text, err)
		}
		var s Scratch
		for i, got := range c.Points(&s, inputs) {
			want, ok := f.at(i)
			if got.Present != ok || ok && got.Value != want {
				t.Fatalf("point %d of %s is %v, want %v, %v", i, f.text, got, want, ok)
			}
		}
	})
}

func drawFormula(t *rapid.T, inputs [][]Point, depth int) formula {
	if depth == 0 || rapid.IntRange(0, 5).Draw(t, "leaf") == 0 {
		i := rapid.IntRange(0, 2).Draw(t, "id")
		return formula{[]string{"a", "b", "errors_c"}[i], func(k int) (float64, bool) {
			return inputs[i][k].Value, inputs[i][k].Present
		}}
	}
	x, y := drawFormula(t, inputs, depth-1), drawFormula(t, inputs, depth-1)
	operator := rapid.SampledFrom([]string{"+", "-", "*", "/", "FILL", "IF", "MAX"}).Draw(t, "operator")
	switch operator {
	case "FILL":
		return formula{fmt.Sprintf("FILL(%s, %s)", x.text, y.text), func(k int) (float64, bool) {
			if v, ok := x.at(k); ok {
				return v, true
			}
			return y.at(k)
		}}
	case "IF":
		return formula{fmt.Sprintf("IF(%s > 1, %s, 7)", x.text, y.text), func(k int) (float64, bool) {
			v, ok := x.at(k)
			if ok && v > 1 {
				if w, ok := y.at(k); ok {
					return w, true
				}
				return 0, true
			}
			return 7, ok
		}}
	case "MAX":
		return formula{fmt.Sprintf("MAX([%s, %s])", x.text, y.text), func(k int) (float64, bool) {
			v, ok := x.at(k)
			w, also := y.at(k)
			if ok && also {
				return math.Max(v, w), true
			}
			if ok {
				return v, true
			}
			return w, also
		}}
	}
	return formula{fmt.Sprintf("(%s) %s (%s)", x.text, operator, y.text), func(k int) (float64, bool) {
		v, ok := x.at(k)
		w, also := y.at(k)
		r := map[string]float64{"+": v + w, "-": v - w, "*": v * w, "/": v / w}[operator]
		return r, ok && also && !math.IsInf(r, 0) && !math.IsNaN(r)
	}}
}

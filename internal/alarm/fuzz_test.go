package alarm

import (
	"errors"
	"math"
	"os"
	"testing"
)

func FuzzRule(f *testing.F) {
	for _, seed := range []string{
		"TRUE", "ALARM(a) AND NOT (OK(\"b c\") OR INSUFFICIENT_DATA(arn:aws:cloudwatch:eu-west-1:1:alarm:d))", `ALARM("\"\\")`,
		"AT_LEAST(50%, NOT ALARM, (a, b, \"c\"))", "((", "NOT NOT", "ALARM(警報)",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRule(text)
		if err != nil {
			var mistake *RuleError
			if !errors.As(err, &mistake) || mistake.Column < 1 || mistake.Column > max(len(text), maxRule)+1 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		state := func(name string) State { return State(len(name) % 3) }
		printed := r.String()
		if len(printed) > maxRule { // the quotes may have made it too long
			return
		}
		again, err := ParseRule(printed)
		if err != nil || again.String() != printed || again.Holds(state) != r.Holds(state) {
			t.Fatalf("%q was printed as %q, which is read as %v, %v", text, printed, again, err)
		}
	})
}

func FuzzMath(f *testing.F) {
	for _, seed := range []string{
		"a", "100 * SUM([a, b]) / FILL(errors_c, 1)", "IF(a > 1 AND NOT b, RATE(METRICS()), -2 ^ 3 ^ a % 7)", "MAX(METRICS(\"er\"))",
		"TIME_SERIES(PERIOD(a))", "FILL(DIFF(RUNNING_SUM(a)), LINEAR)", "[[[[", "1e309", "SELECT AVG(x)",
	} {
		f.Add(seed, 1.0, -2.5)
	}
	f.Fuzz(func(t *testing.T, text string, x, y float64) {
		a := mathAlarm(text)
		a.AlarmName, a.ComparisonOperator = "shop", "GreaterThanThreshold"
		c, err := a.Compile()
		if err != nil {
			return
		}
		var s Scratch
		real := func(v float64) Point { return present(v) }
		inputs := [][]Point{{real(x), {}, real(y), real(x + y)}, {{}, real(y), real(0), {}}, nil}
		points := c.Points(&s, inputs)
		if len(points) != c.Range {
			t.Fatalf("%q makes %d points of %d", text, len(points), c.Range)
		}
		for _, p := range points {
			if p.Present && !finite(p.Value) {
				t.Fatalf("%q makes %v", text, p.Value)
			}
		}
		c.Evaluate(points, OK)
	})
}

func FuzzRead(f *testing.F) {
	real, err := os.ReadFile("testdata/describe-alarms.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(real), family, file(good), file(ratio), "[]", "{", `{"CompositeAlarms": [{"AlarmRule": null}]}`,
		`{"MetricAlarms": [{"Metrics": [{"MetricStat": {"Metric": {}}}]}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Read("alarms.json", data)
		if err != nil {
			for _, err := range joined(err) {
				var m *Mistake
				if !errors.As(err, &m) || m.Line < 1 {
					t.Fatalf("a mistake without a line: %v", err)
				}
			}
			return
		}
		for i := range set.Alarms {
			if _, err := set.Alarms[i].Compile(); err != nil {
				t.Fatal(err)
			}
		}
		compiled := make([]*CompiledComposite, len(set.Composites))
		for i := range set.Composites {
			if compiled[i], err = set.Composites[i].Compile(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := SortComposites(compiled); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzStatistic(f *testing.F) {
	for _, seed := range []string{"Sum", "p99", "p99.999", "tm90", "TM(10%:90%)", "WM(:1e3)", "PR(1:2)", "IQM", "TC(-1:)", "ts0", "p100", "TS(0%:)"} {
		f.Add(seed, 1.0, 2.0, 3.0)
	}
	f.Fuzz(func(t *testing.T, text string, x, y, count float64) {
		s, err := ParseStatistic(text)
		if err != nil {
			return
		}
		if again, err := ParseStatistic(s.String()); err != nil || again != s {
			t.Fatalf("%q is read again as %v, %v", text, again, err)
		}
		var d Distribution
		d.Add(x, count)
		d.Add(y, 1)
		d.AddSet(count, math.Abs(x), min(x, y), max(x, y))
		if p := s.Point(&d); p.Present && (!finite(p.Value) || p.Samples <= 0) {
			t.Fatalf("%q of %v is %v", text, d, p)
		}
	})
}

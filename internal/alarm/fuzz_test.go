package alarm

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

// FuzzRule: whatever the text, there is a mistake within it, or a rule that is the same
// when it is printed and read again.
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

// FuzzRead: whatever the bytes, there are alarms that compile and can be sorted, or
// mistakes with a line of the file.
func FuzzRead(f *testing.F) {
	real, err := os.ReadFile("testdata/describe-alarms.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(real), family, file(good), file(ratio), file(), "[]", "{", "\n\n[", `{"MetricAlarms":[null, 1]}`, `{"CompositeAlarms": [{"AlarmRule": null}]}`,
		`{"MetricAlarms": [{"Metrics": [{"MetricStat": {"Metric": {}}}]}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Read("alarms.json", data)
		lines := 1 + strings.Count(string(data), "\n")
		for _, err := range joined(err) {
			var m *Mistake
			if !errors.As(err, &m) || m.Line < 1 || m.Line > lines {
				t.Fatalf("a mistake that is not in one of the %d lines: %v", lines, err)
			}
		}
		if err != nil {
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

// FuzzStatistic: whatever the text, it is refused, or a statistic that makes points that
// are missing or finite.
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

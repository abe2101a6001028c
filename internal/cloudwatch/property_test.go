package cloudwatch_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// A datum is count samples of one value.
type datum struct {
	second int
	value  float64
	count  float64
}

func drawData(t *rapid.T, seconds int) []datum {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) datum {
		return datum{rapid.IntRange(0, seconds-1).Draw(t, "second"), float64(rapid.IntRange(0, 40).Draw(t, "value")), float64(rapid.IntRange(1, 4).Draw(t, "count"))}
	}), 0, 40).Draw(t, "data")
}

// drawJudged is an alarm on shop/Errors; its statistic is one of those.
func drawJudged(t *rapid.T, statistics ...string) alarm.Alarm {
	n := rapid.IntRange(1, 4).Draw(t, "N")
	a := above("errors", rapid.SampledFrom([]int{10, 30, 60, 120, 300}).Draw(t, "period"), n)
	a.Statistic, a.DatapointsToAlarm = "", rapid.IntRange(1, n).Draw(t, "M")
	a.TreatMissingData = rapid.SampledFrom([]string{"missing", "ignore", "breaching", "notBreaching"}).Draw(t, "missing")
	s, err := alarm.ParseStatistic(rapid.SampledFrom(statistics).Draw(t, "statistic"))
	if err != nil {
		t.Fatal(err)
	}
	if a.Statistic = s.String(); s.Extended() {
		a.Statistic, a.ExtendedStatistic = "", s.String()
	}
	return a
}

// judge puts data in, second by second in two halves, and is what changed meanwhile.
func judge(t *rapid.T, a alarm.Alarm, data []datum, seconds int) []string {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	if err := s.PutAlarms([]alarm.Alarm{a}); err != nil {
		t.Fatal(err)
	}
	var made []cloudwatch.Transition
	for second := range seconds + 1 {
		if second%10 == 0 {
			made = append(made, s.Evaluate(epoch.Add(time.Duration(second)*time.Second))...)
		}
		for _, d := range data {
			if d.second == second {
				put(s, d)
			}
		}
	}
	return brief(made)
}

func put(s *cloudwatch.Store, d datum) {
	var set alarm.Distribution
	set.Add(d.value, d.count)
	s.Series("shop", "Errors").AddHighResolution(epoch.Add(time.Duration(d.second)*time.Second), &set)
}

func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	const seconds = 900
	rapid.Check(t, func(t *rapid.T) {
		a := drawJudged(t, "Sum", "Average", "Minimum", "Maximum", "SampleCount", "p50", "p99", "tm90", "TM(10%:90%)", "WM(5:20)", "PR(:10)", "TC(:15)", "TS(5:)", "IQM")
		data := drawData(t, seconds)
		want := judge(t, a, data, seconds)
		if got := judge(t, a, rapid.Permutation(data).Draw(t, "shuffled"), seconds); !slices.Equal(got, want) {
			t.Fatalf("%v, and in another order %v", want, got)
		}
		// The state at the end does not depend on when what is in its windows arrived.
		final := func(shuffled []datum) alarm.State {
			s := cloudwatch.NewStore(cloudwatch.Options{})
			if err := s.PutAlarms([]alarm.Alarm{a}); err != nil {
				t.Fatal(err)
			}
			for _, d := range shuffled {
				put(s, d)
			}
			s.Evaluate(epoch.Add(seconds * time.Second))
			state, _ := s.State("errors")
			return state
		}
		if first := final(data); first != final(rapid.Permutation(data).Draw(t, "again")) {
			t.Fatalf("another state than %s, in another order", first)
		}
	})
}

func TestADatumInTwoIsTheSame(t *testing.T) {
	const seconds = 900
	rapid.Check(t, func(t *rapid.T) {
		a := drawJudged(t, "Sum", "Average", "SampleCount")
		data := drawData(t, seconds)
		var halves []datum
		for _, d := range data {
			part := rapid.Float64Range(0.1, 0.9).Draw(t, "part")
			part = float64(int(part*8)+1) / 16 // without a rest
			halves = append(halves, datum{d.second, d.value, d.count * part}, datum{d.second, d.value, d.count * (1 - part)})
		}
		if want, got := judge(t, a, data, seconds), judge(t, a, halves, seconds); !slices.Equal(got, want) {
			t.Fatalf("%v, and in halves %v", want, got)
		}
	})
}

func TestADatumOlderThanTheRangeChangesNothing(t *testing.T) {
	const begin, seconds = 7200, 900
	rapid.Check(t, func(t *rapid.T) {
		a := drawJudged(t, "Sum", "Average", "p90")
		data := drawData(t, seconds)
		run := func(late bool) []string {
			s := cloudwatch.NewStore(cloudwatch.Options{})
			if err := s.PutAlarms([]alarm.Alarm{a}); err != nil {
				t.Fatal(err)
			}
			oldest := (a.EvaluationPeriods + 2) * a.Period
			var made []cloudwatch.Transition
			for second := begin; second <= begin+seconds; second += 10 {
				if late { // just out of the range of the evaluation that follows
					put(s, datum{second - oldest - 1, 1000, 5})
				}
				made = append(made, s.Evaluate(epoch.Add(time.Duration(second)*time.Second))...)
				for _, d := range data {
					if d.second/10 == (second-begin)/10 {
						put(s, datum{begin + d.second, d.value, d.count})
					}
				}
			}
			return brief(made)
		}
		if want, got := run(false), run(true); !slices.Equal(got, want) {
			t.Fatalf("%v, and with old data %v", want, got)
		}
	})
}

// A threshold further away never makes an alarm go off that did not, in any state of
// the data.
func TestAHigherThresholdIsNeverCrossedFirst(t *testing.T) {
	const seconds = 900
	rapid.Check(t, func(t *rapid.T) {
		a := drawJudged(t, "Sum", "Average", "p90", "Maximum")
		higher := a
		higher.AlarmName, higher.Threshold = "higher", a.Threshold+float64(rapid.IntRange(0, 30).Draw(t, "more"))
		s := cloudwatch.NewStore(cloudwatch.Options{})
		if err := s.PutAlarms([]alarm.Alarm{a, higher}); err != nil {
			t.Fatal(err)
		}
		data := drawData(t, seconds)
		for second := 0; second <= seconds; second += 10 {
			s.Evaluate(epoch.Add(time.Duration(second) * time.Second))
			low, _ := s.State("errors")
			high, _ := s.State("higher")
			if high == alarm.InAlarm && low != alarm.InAlarm && a.TreatMissingData != "ignore" {
				t.Fatalf("at %d s: above %v it is %s, above %v ALARM", second, a.Threshold, low, higher.Threshold)
			}
			for _, d := range data {
				if d.second/10 == second/10 {
					put(s, d)
				}
			}
		}
	})
}

// An alarm over more than a day is judged at whole hours, on what there was until then.
func TestAnAlarmOverDaysIsJudgedHourly(t *testing.T) {
	for _, period := range []int{3600, 3660} { // windows that end at whole hours, and that do not
		s := cloudwatch.NewStore(cloudwatch.Options{})
		require.NoError(t, s.PutAlarms([]alarm.Alarm{above("days", period, 30)}))
		errors := s.Series("shop", "Errors")
		var made []cloudwatch.Transition
		bad := 40 * 60 // a minute
		for m := range 90 * 60 {
			n := 0.0
			if m >= bad {
				n = 1
			}
			errors.AddValue(minute(float64(m)), n, 1)
			made = append(made, s.Evaluate(minute(float64(m)+1))...)
		}
		assert.Equal(t, []string{
			"1h0m0s days INSUFFICIENT_DATA -> OK",
			"70h0m0s days OK -> ALARM", // 30 windows, the oldest of which has failed for half of it at least
		}, brief(made), "period %d", period)
	}
}

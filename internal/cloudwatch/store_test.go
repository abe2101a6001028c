package cloudwatch_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// above is an alarm on the sum of shop/Errors: n of n periods above 10.
func above(name string, period, n int) alarm.Alarm {
	return alarm.Alarm{AlarmName: name, ActionsEnabled: true, Namespace: "shop", MetricName: "Errors", Statistic: "Sum", Period: period,
		EvaluationPeriods: n, DatapointsToAlarm: n, Threshold: 10, ComparisonOperator: "GreaterThanThreshold",
		OKActions: []string{"arn:ok"}, AlarmActions: []string{"arn:alarm"}}
}

func minute(n float64) time.Time { return epoch.Add(time.Duration(n * float64(time.Minute))) }

// brief is transitions in a form to compare.
func brief(made []cloudwatch.Transition) []string {
	var all []string
	for _, t := range made {
		all = append(all, fmt.Sprintf("%s %s %s -> %s", t.Time.Sub(epoch), t.Name, t.From, t.To))
	}
	return all
}

func TestEvaluateGoesThroughTheStates(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{above("errors", 60, 2)}))
	errors := s.Series("shop", "Errors")
	var made []cloudwatch.Transition
	for m, n := range []float64{1, 1, 50, 50, 50, 1, 1} {
		errors.AddValue(minute(float64(m)+0.5), n, 1)
		made = append(made, s.Evaluate(minute(float64(m)+1))...)
	}
	assert.Equal(t, []string{
		"1m0s errors INSUFFICIENT_DATA -> OK",
		"4m0s errors OK -> ALARM",
		"6m0s errors ALARM -> OK",
	}, brief(made))
	assert.Equal(t, []string{"arn:alarm"}, made[1].Actions)
	assert.Equal(t, []string{"arn:ok"}, made[2].Actions)
	assert.Equal(t, "Threshold Crossed: 2 out of the last 2 datapoints [50.0 (05/01/26 09:03:00), 50.0 (05/01/26 09:02:00)] were greater than the threshold (10.0) "+
		"(minimum 2 datapoints for OK -> ALARM transition).", made[1].Reason)
	assert.Equal(t, made, s.Transitions())
	status := s.Alarms()[0]
	assert.Equal(t, alarm.OK, status.State)
	assert.Equal(t, minute(6), status.Since)
	assert.Equal(t, made[2].Reason, status.Reason)
}

func TestADatapointIsCompleteAtItsEnd(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{above("errors", 60, 1)}))
	errors := s.Series("shop", "Errors")
	errors.AddValue(minute(0), 11, 1)        // the first instant of [0, 1)
	errors.AddValue(minute(1).Add(-1), 0, 1) // the last
	errors.AddValue(minute(1), 1, 1)         // of [1, 2)
	assert.Empty(t, s.Evaluate(minute(0)), "the first minute has not ended")
	assert.Equal(t, []string{"1m0s errors INSUFFICIENT_DATA -> ALARM"}, brief(s.Evaluate(minute(1))))
	assert.Equal(t, []string{"2m0s errors ALARM -> OK"}, brief(s.Evaluate(minute(2))))
}

func TestEvaluateIsDoneOnceAndCatchesUp(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{above("errors", 60, 1)}))
	errors := s.Series("shop", "Errors")
	assert.Empty(t, s.Evaluate(minute(0)))
	for m, n := range []float64{1, 50, 1, 50} {
		errors.AddValue(minute(float64(m)), n, 1)
	}
	want := []string{
		"1m0s errors INSUFFICIENT_DATA -> OK",
		"2m0s errors OK -> ALARM",
		"3m0s errors ALARM -> OK",
		"4m0s errors OK -> ALARM",
	}
	assert.Equal(t, want, brief(s.Evaluate(minute(4.9))), "the instants between the calls")
	assert.Empty(t, s.Evaluate(minute(4.9)))
	assert.Empty(t, s.Evaluate(minute(2)), "time does not go back")

	state, ok := s.State("errors")
	assert.True(t, ok)
	assert.Equal(t, alarm.InAlarm, state)
	// After a long silence only what can matter is caught up on.
	made := s.Evaluate(minute(1000 * 24 * 60))
	require.Len(t, made, 1)
	assert.Equal(t, alarm.InsufficientData, made[0].To)
}

func TestLateDataCountsFromTheNextEvaluation(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{above("errors", 60, 2)}))
	errors := s.Series("shop", "Errors")
	for m := range 4 {
		errors.AddValue(minute(float64(m)), 1, 1)
		s.Evaluate(minute(float64(m) + 1))
	}
	errors.AddValue(minute(2.5), 50, 1) // windows that were judged already
	errors.AddValue(minute(3.5), 50, 1)
	errors.AddValue(minute(4.5), 1, 1)
	assert.Empty(t, s.Evaluate(minute(4)), "judged already")
	assert.Empty(t, s.Evaluate(minute(5)), "the newest two periods are 51 and 1")
	errors.AddValue(minute(4.9), 50, 1)
	errors.AddValue(minute(5.1), 50, 1)
	assert.Equal(t, []string{"6m0s errors OK -> ALARM"}, brief(s.Evaluate(minute(6))))
}

// Windows of 5 minutes start anew every minute, and come out as if each was
// summed up from nothing.
func TestWindowsSlide(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{above("errors", 300, 1)}))
	errors := s.Series("shop", "Errors")
	random := rand.New(rand.NewPCG(1, 2))
	values := map[int]float64{}
	for m := range 120 {
		late := max(0, m-random.IntN(8))
		n := float64(random.IntN(5))
		values[late] += n
		errors.AddValue(minute(float64(late)), n, 1)
		errors.AddValue(minute(float64(m)), 0, 1) // none is missing
		s.Evaluate(minute(float64(m) + 1))
		sum := 0.0
		for back := range 5 {
			sum += values[m-back]
		}
		state, _ := s.State("errors")
		want := alarm.OK
		if sum > 10 {
			want = alarm.InAlarm
		}
		require.Equal(t, want, state, "minute %d, sum %v", m, sum)
	}
}

func TestHighResolution(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{above("fast", 10, 2), above("slow", 60, 1)}))
	assert.Equal(t, epoch.Add(10*time.Second), s.NextEvaluation(epoch))
	assert.Equal(t, epoch.Add(20*time.Second), s.NextEvaluation(epoch.Add(11*time.Second)))
	errors := s.Series("shop", "Errors")
	var made []cloudwatch.Transition
	for second := range 90 {
		n := 0.5
		if second >= 30 {
			n = 2
		}
		at := epoch.Add(time.Duration(second) * time.Second)
		made = append(made, s.Evaluate(at)...)
		var set alarm.Distribution
		set.Add(n, 1)
		errors.AddHighResolution(at, &set)
	}
	assert.Equal(t, []string{
		"10s fast INSUFFICIENT_DATA -> OK",
		"50s fast OK -> ALARM",
		"1m0s slow INSUFFICIENT_DATA -> ALARM",
	}, brief(made))
	require.NoError(t, s.DeleteAlarms("fast"))
	assert.Equal(t, epoch.Add(time.Minute), s.NextEvaluation(epoch))
}

func TestNextEvaluationIsAWholeMinute(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	assert.Equal(t, minute(1), s.NextEvaluation(epoch))
	assert.Equal(t, minute(1), s.NextEvaluation(epoch.Add(59*time.Second)))
	assert.Equal(t, minute(2), s.NextEvaluation(minute(1)))
}

func TestSetAlarmStateLastsUntilTheNextEvaluation(t *testing.T) {
	var told []cloudwatch.Transition
	s := cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return minute(1.5) }, Changed: func(t cloudwatch.Transition) { told = append(told, t) }})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{above("errors", 60, 1)}))
	errors := s.Series("shop", "Errors")
	errors.AddValue(minute(0), 1, 1)
	errors.AddValue(minute(1), 1, 1)
	s.Evaluate(minute(1))
	require.NoError(t, s.SetAlarmState("errors", alarm.InAlarm, "a drill"))
	assert.Equal(t, "a drill", s.Alarms()[0].Reason)
	s.Evaluate(minute(2))
	assert.Equal(t, []string{
		"1m0s errors INSUFFICIENT_DATA -> OK",
		"1m30s errors OK -> ALARM",
		"2m0s errors ALARM -> OK",
	}, brief(told))
	assert.ErrorContains(t, s.SetAlarmState("other", alarm.OK, ""), `there is no alarm "other": the alarms are ["errors"]`)
}

func TestFedAndMissing(t *testing.T) {
	ratio := alarm.Alarm{AlarmName: "ratio", EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: "GreaterThanThreshold", Metrics: []alarm.MetricDataQuery{
		{Id: "r", Expression: "FILL(e,0)/n", ReturnData: true},
		{Id: "e", MetricStat: &alarm.MetricStat{Metric: alarm.Metric{Namespace: "shop", MetricName: "Errors"}, Period: 60, Stat: "Sum"}},
		{Id: "n", MetricStat: &alarm.MetricStat{Metric: alarm.Metric{Namespace: "shop", MetricName: "Requests",
			Dimensions: []alarm.Dimension{{Name: "b", Value: "2"}, {Name: "a", Value: "1"}}}, Period: 60, Stat: "Sum"}},
	}}
	s := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{ratio}))
	assert.False(t, s.Fed("ratio"))
	assert.Len(t, s.Missing("ratio"), 2)
	s.Series("shop", "Requests", alarm.Dimension{Name: "a", Value: "1"}).AddValue(epoch, 1, 1)
	assert.False(t, s.Fed("ratio"), "another metric: CloudWatch does not sum over dimensions")
	s.Series("shop", "Requests", alarm.Dimension{Name: "a", Value: "1"}, alarm.Dimension{Name: "b", Value: "2"}).AddValue(epoch, 1, 1)
	assert.True(t, s.Fed("ratio"), "the order of dimensions does not matter")
	missing := s.Missing("ratio")
	require.Len(t, missing, 1)
	assert.Equal(t, "Errors", missing[0].MetricName)
	assert.False(t, s.Fed("nobody"))
	assert.Empty(t, s.Missing("nobody"))
}

func TestPutAlarmsIsAllOrNothing(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	bad, worse := above("bad", 61, 1), above("worse", 60, 0)
	err := s.PutAlarms([]alarm.Alarm{above("good", 60, 1), bad, worse})
	require.Error(t, err)
	assert.Contains(t, err.Error(), `alarm "bad": Period: is 61 seconds`)
	assert.Contains(t, err.Error(), `alarm "worse": EvaluationPeriods`)
	assert.Empty(t, s.Alarms())
}

func TestPutAgainKeepsTheState(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	require.NoError(t, s.PutAlarms([]alarm.Alarm{above("errors", 60, 1), above("other", 60, 1)}))
	s.Series("shop", "Errors").AddValue(epoch, 50, 1)
	s.Evaluate(minute(1))
	require.NoError(t, s.PutAlarms([]alarm.Alarm{above("errors", 300, 1)}))
	require.Len(t, s.Alarms(), 2)
	assert.Equal(t, alarm.InAlarm, s.Alarms()[0].State)
	assert.Equal(t, 300, s.Alarms()[0].Alarm.Period)
	assert.ErrorContains(t, s.DeleteAlarms("nobody", "errors"), `there is no alarm "nobody"`)
	require.Len(t, s.Alarms(), 1, "those that are known go all the same, says AWS")
	require.NoError(t, s.DeleteAlarms("other"))
	s.Series("shop", "Errors").AddValue(minute(1), 50, 1)
	assert.Empty(t, s.Evaluate(minute(2)))
}

// The memory of a store depends neither on the rate of the samples nor, once there
// is as much as it may have, on how long it runs.
func TestMemoryIsBounded(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{Memory: 4 << 20})
	p99 := above("p99", 60, 3)
	p99.Statistic, p99.ExtendedStatistic = "", "p99"
	require.NoError(t, s.PutAlarms([]alarm.Alarm{p99}))
	h := s.Series("shop", "Errors")
	random := rand.New(rand.NewPCG(3, 4))
	hours := func(from, to int) uint64 {
		for m := from * 60; m < to*60; m++ {
			for range 3000 { // every one a different value
				h.AddValue(minute(float64(m)), random.ExpFloat64(), 1)
			}
			s.Evaluate(minute(float64(m) + 1))
		}
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		return now.HeapAlloc
	}
	before := hours(0, 8)
	assert.Less(t, hours(8, 20), before+before/4+1<<20)
	// Percentiles stay within 1 %: of an exponential distribution, p99 is ln 100.
	state, _ := s.State("p99")
	assert.Equal(t, alarm.OK, state)
	runtime.KeepAlive(s)
}

func TestRoundedPercentilesAreNearTheTrueOnes(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	h := s.Series("shop", "Latency")
	random := rand.New(rand.NewPCG(5, 6))
	var values []float64
	for range 20_000 {
		v := random.ExpFloat64() * 0.2
		values = append(values, v)
		h.AddValue(epoch, v, 1)
	}
	slices.Sort(values)
	truth := values[len(values)*99/100]
	for _, threshold := range []float64{truth * 0.99, truth * 1.01} {
		a := above("p99", 60, 1)
		a.MetricName, a.Statistic, a.ExtendedStatistic, a.Threshold = "Latency", "", "p99", threshold
		require.NoError(t, s.PutAlarms([]alarm.Alarm{a}))
		s.Evaluate(minute(1))
		state, _ := s.State("p99")
		assert.Equal(t, threshold < truth, state == alarm.InAlarm, "threshold %v, p99 %v", threshold, truth)
		require.NoError(t, s.DeleteAlarms("p99"))
	}
}

func TestAnEvaluationThatChangesNothingDoesNotAllocate(t *testing.T) {
	h := newHour(t)
	s, _ := h.run(1000)
	at := minute(60)
	assert.Zero(t, testing.AllocsPerRun(50, func() {
		at = at.Add(time.Minute)
		if made := s.Evaluate(at); made != nil { // the metrics have fallen silent
			s.Evaluate(at.Add(10 * time.Minute))
			at = at.Add(10 * time.Minute)
		}
	}))
}

func TestTheRateDoesNotMatter(t *testing.T) {
	h := newHour(t)
	allocated := func(rate float64) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, transitions := h.run(rate)
		runtime.ReadMemStats(&after)
		assert.Positive(t, transitions)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1) // warm
	assert.InDelta(t, float64(allocated(1)), float64(allocated(1e6)), 64<<10)
}

// Two stores that are told the same say the same.
func TestTheSameCallsMakeTheSameTransitions(t *testing.T) {
	h := newHour(t)
	a, n := h.run(1000)
	b, _ := h.run(1000)
	assert.Positive(t, n)
	assert.Equal(t, a.Transitions(), b.Transitions())
}

package watch

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// shop is the sample's measures and the forecast of a good v2.
func shop(t testing.TB) (*Measures, Forecast) {
	t.Helper()
	p, err := project.Load(t.Context(), "../../fixtures/rehearsal.yaml")
	require.NoError(t, err)
	m, err := NewMeasures(&p.Setup)
	require.NoError(t, err)
	return m, Forecast{Setup: p.Setup, Plan: p.Plan, Releases: 200, Seed: 1, Stable: stage.Version{Name: "v1"}, New: stage.Version{Name: "v2"}}
}

func TestWhatTheAlarmsJudgeIsMeasuredOnce(t *testing.T) {
	m, _ := shop(t)
	assert.Equal(t, []string{"shop-5xx-rate"}, m.Find("error rate").Alarms)
	assert.Equal(t, []string{"shop-p99-latency"}, m.Find("latency p99").Alarms)
	assert.Nil(t, m.Find("shop-5xx-rate"))
	assert.Equal(t, []string{"shop-memory"}, m.Find("shop-memory").Alarms)
	assert.Len(t, m.All, 11)
	assert.Len(t, m.Questions, 13, "each metric is asked for once, since AWS bills each")
}

// A good release that is as the model says is not cried wolf at: this is how often.
func TestGoodReleasesStayInTheBand(t *testing.T) {
	m, f := shop(t)
	p, err := f.Predict(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, 200, p.Results[release.Released])
	require.Len(t, p.Steps, 3)
	again, err := f.Predict(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, p.Length, again.Length, "the same seed predicts the same")
	f.Seed, f.Releases = 4711, 300
	others, err := f.Predict(t.Context(), m)
	require.NoError(t, err)
	j := &Judge{Measures: m, Prediction: p, Margin: 0.1}
	left := 0
	for i := range others.Releases {
		out := false
		for k, one := range m.All {
			for n, v := range others.values[k][i] {
				if b := j.band(k, n-lead); !math.IsNaN(v) && !math.IsNaN(b.High) && one.out(v, b) != 0 {
					out = true
				}
			}
		}
		if out {
			left++
		}
	}
	t.Logf("%d of %d good releases leave the band", left, others.Releases)
	assert.LessOrEqual(t, left, 3)
}

// And a bad one is seen: half of the requests fail.
func TestBadReleasesLeaveTheBand(t *testing.T) {
	m, f := shop(t)
	p, err := f.Predict(t.Context(), m)
	require.NoError(t, err)
	f.Releases, f.Troubles = 50, []Trouble{{Failure: stage.Failure{Kind: stage.Errors, Version: "v2", Share: 50}, Moment: &stage.Moment{Version: "v2"}}}
	bad, err := f.Predict(t.Context(), m)
	require.NoError(t, err)
	j := &Judge{Measures: m, Prediction: p, Margin: 0.1}
	for i := range bad.Releases {
		first, above := -1, 0.0
		for n, v := range bad.values[0][i] {
			if b := j.band(0, n-lead); v > b.High {
				first, above = n-lead, v
				break
			}
		}
		require.GreaterOrEqual(t, first, 0, "release %d", i)
		assert.Less(t, time.Duration(first+1)*time.Minute, bad.off["shop-5xx-rate"][0], "%g %% in period %d is seen before any alarm", above, first)
	}
}

// numbers is answers with the same value in every period.
func numbers(m *Measures, began time.Time, minutes int, value func(q Question, n int) (float64, bool)) Answers {
	a := make(Answers, len(m.Questions))
	for i, q := range m.Questions {
		a[i] = map[int64]float64{}
		for n := -10; n < minutes; n++ {
			if v, ok := value(q, n); ok {
				a[i][began.Add(time.Duration(n)*time.Minute).Unix()] = v
			}
		}
	}
	return a
}

func TestTheJudgeNeverPanicsAndJudgesOnlyWhatIsSettled(t *testing.T) {
	m, f := shop(t)
	f.Releases = 20
	p, err := f.Predict(t.Context(), m)
	require.NoError(t, err)
	names := []string{"shop-5xx-rate", "shop-p99-latency", "nobody"}
	rapid.Check(t, func(t *rapid.T) {
		began := time.Date(2026, 11, 26, 3, 0, rapid.IntRange(0, 59).Draw(t, "second"), 0, time.UTC)
		minutes := rapid.IntRange(0, 25).Draw(t, "minutes")
		late := time.Duration(rapid.IntRange(0, 300).Draw(t, "late")) * time.Second
		now := began.Add(time.Duration(minutes)*time.Minute + time.Duration(rapid.IntRange(0, 59).Draw(t, "more"))*time.Second)
		values := rapid.SliceOfN(rapid.Float64Range(-1e12, 1e12), 1, 40).Draw(t, "values")
		a := numbers(m, periodOf(began, time.Minute), minutes+1, func(q Question, n int) (float64, bool) {
			v := values[(n+100+len(q.Metric.MetricName))%len(values)]
			return v, v > -9e11
		})
		j := &Judge{Measures: m, Prediction: p, Began: began, Late: late, Margin: 0.1, Names: names}
		s := j.Look(&Reading{Now: now, Answers: a, Alarms: map[string]AlarmSeen{"shop-5xx-rate": {State: alarm.OK}}})
		for _, one := range s.Measures {
			if one.At.IsZero() || one.Out == 1 && one.grows {
				continue
			}
			if settled := one.At.Add(one.Rule.Period + late); now.Before(settled) {
				t.Fatalf("%s is judged at %s, and is settled at %s", one.Name, now, settled)
			}
		}
		(&teller{judge: j}).table(s, "v2")
	})
}

func TestASumThatIsTooHighNeedNotSettleAShareOfItMust(t *testing.T) {
	m, f := shop(t)
	f.Releases = 50
	p, err := f.Predict(t.Context(), m)
	require.NoError(t, err)
	began := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	j := &Judge{Measures: m, Prediction: p, Began: began, Late: 2 * time.Minute, Margin: 0.1}
	look := func(failed, requests float64) *MeasureSight {
		s := j.Look(&Reading{Now: began.Add(30 * time.Second), Answers: numbers(m, began, 1, func(q Question, n int) (float64, bool) {
			switch q.Metric.MetricName {
			case "HTTPCode_Target_5XX_Count":
				return failed, n == 0
			case "RequestCount":
				return requests, n == 0
			}
			return 0, false
		})})
		return &s.Measures[0]
	}
	assert.Zero(t, look(10, 100).Out, "10 %, but of requests that have not all come in: of 13,500 it is 0.07 %")
	assert.Equal(t, 1, look(100, 100).Out, "of however many may come, 100 are too many")
}

// A real CloudWatch never says more than it knows: a name that is not asked is an error,
// and what is not there is missing.
func TestMissingAnswersAreMissing(t *testing.T) {
	m, f := shop(t)
	f.Releases = 20
	p, err := f.Predict(t.Context(), m)
	require.NoError(t, err)
	began := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	j := &Judge{Measures: m, Prediction: p, Began: began, Late: 2 * time.Minute, Margin: 0.1, Names: []string{"gone"}}
	s := j.Look(&Reading{Now: began.Add(30 * time.Minute), Answers: make(Answers, len(m.Questions))})
	assert.True(t, s.dark())
	assert.False(t, s.left(p.Releases), "nothing is known, which is not bad")
	assert.True(t, s.Measures[3].blind())
}

func BenchmarkPredict(b *testing.B) {
	m, f := shop(b)
	for b.Loop() {
		if _, err := f.Predict(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}

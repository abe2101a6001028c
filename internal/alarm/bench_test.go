package alarm

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var (
	sinkState  State
	sinkPoints []Point
	sinkText   string
)

// BenchmarkEvaluate sets an evaluation beside what could cost more: the metric
// math before it, and its reason in words.
func BenchmarkEvaluate(b *testing.B) {
	c := ruled(b, 5, 3, "missing")
	points := drawn("0 X 0 X 0 X 0")
	b.Run("3of5", func(b *testing.B) {
		for b.Loop() {
			sinkState, _ = c.Evaluate(points, OK)
		}
	})
	day := ruled(b, 1440, 1440, "missing")
	long := make([]Point, 1442)
	for i := range long {
		long[i] = Point{2, 1, true}
	}
	b.Run("1440of1440", func(b *testing.B) {
		for b.Loop() {
			sinkState, _ = day.Evaluate(long, OK)
		}
	})
	b.Run("3of5WithReason", func(b *testing.B) {
		newest := time.Unix(1e9, 0)
		for b.Loop() {
			var why Reason
			sinkState, why = c.Evaluate(points, OK)
			sinkText = why.Text(newest)
		}
	})
	rate := compiled(b, mathAlarm("100 * SUM([a, b]) / FILL(errors_c, 1)"))
	inputs := [][]Point{points[:4], points[1:5], points[2:6]}
	var s Scratch
	b.Run("RateByMetricMath", func(b *testing.B) {
		for b.Loop() {
			sinkState, _ = rate.Evaluate(rate.Points(&s, inputs), OK)
		}
	})
}

// BenchmarkStatistic sets a percentile beside the sum of the same samples.
func BenchmarkStatistic(b *testing.B) {
	for _, distinct := range []int{10, 1000} {
		for _, text := range []string{"Sum", "p99"} {
			stat, _ := ParseStatistic(text)
			b.Run(fmt.Sprintf("%sOf%d", text, distinct), func(b *testing.B) {
				var d Distribution
				for i := range distinct {
					d.Add(float64(i*7919%distinct), 60)
				}
				for b.Loop() {
					sinkPoints = append(sinkPoints[:0], stat.Point(&d))
				}
			})
		}
	}
}

func TestEvaluationDoesNotAllocate(t *testing.T) {
	c := ruled(t, 5, 3, "missing")
	points := drawn("0 X 0 X 0 X 0")
	assert.Zero(t, testing.AllocsPerRun(100, func() { sinkState, _ = c.Evaluate(points, OK) }))

	rate := compiled(t, mathAlarm(`100 * SUM(RATE(METRICS())) / FILL(a, REPEAT) + IF(a > b, e1, MAX([a, b]))`))
	inputs := [][]Point{points[:4], points[1:5], points[2:6]}
	var s Scratch
	rate.Points(&s, inputs)
	assert.Zero(t, testing.AllocsPerRun(100, func() { sinkPoints = rate.Points(&s, inputs) }), "in used memory")
}

package cloudwatch_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// naive keeps every sample that ever came, by Unix second.
type naive map[int64]*alarm.Distribution

func (n naive) add(second int64, set *alarm.Distribution) {
	if n[second] == nil {
		n[second] = &alarm.Distribution{}
	}
	n[second].Merge(set)
}

func (n naive) window(from, to int64) *alarm.Distribution {
	all := &alarm.Distribution{}
	for second := from; second < to; second += 60 { // all of it came for whole minutes
		if set := n[second]; set != nil {
			all.Merge(set)
		}
	}
	return all
}

// Whatever is packed, opened for late data, and packed again, is what came in.
func TestPackedDataIsWhatCameIn(t *testing.T) {
	statistics := map[string]alarm.Statistic{}
	for _, name := range []string{"SampleCount", "Sum", "Minimum", "Maximum", "p50", "p99"} {
		stat, err := alarm.ParseStatistic(name)
		require.NoError(t, err)
		statistics[name] = stat
	}
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 7))
		s := cloudwatch.NewStore(cloudwatch.Options{})
		h, all := s.Series("shop", "Time"), naive{}
		value := func() float64 {
			switch random.IntN(6) {
			case 0:
				return float64(random.IntN(5)) - 2
			case 1:
				return math.Round(random.ExpFloat64()*1e5) / 1e6
			case 2:
				return random.NormFloat64() * 1e12
			case 3:
				return 1e300 * random.Float64()
			case 4:
				return math.Copysign(0, -1)
			}
			return random.ExpFloat64()
		}
		for m := range 400 {
			at := minute(float64(m))
			if random.IntN(4) == 0 { // late
				at = at.Add(-time.Duration(random.IntN(300)) * time.Minute)
			}
			if random.IntN(5) == 0 {
				continue // a gap
			}
			var set alarm.Distribution
			switch random.IntN(4) {
			case 0:
				v := value()
				set.Add(v, 1)
				h.AddValue(at, v, 1)
			case 1:
				v, n := value(), float64(1+random.IntN(50))/4
				set.Add(v, n)
				h.AddValue(at, v, n)
			case 2:
				for range 1 + random.IntN(30) {
					set.Add(value(), float64(1+random.IntN(2)))
				}
				h.Add(at, &set)
			case 3: // sums without values
				set.AddSet(10, 55, 1, 10)
				h.Add(at, &set)
			}
			all.add(at.Unix(), &set)
		}
		for range 200 {
			from := minute(float64(random.IntN(420)) - 10).Unix()
			to := from + 60*int64(1+random.IntN(200))
			want := all.window(from, to)
			for name, stat := range statistics {
				got := cloudwatch.Point(h, stat, from, to)
				point := stat.Point(want)
				require.Equal(t, point.Present, got.Present, "seed %d, %s", seed, name)
				require.InDelta(t, point.Value, got.Value, 1e-12*math.Abs(point.Value)+1e290, "seed %d, %s in [%d, %d)", seed, name, from, to)
			}
		}
		for range 50 {
			from := minute(float64(random.IntN(420)) - 10).Unix()
			want, ok := int64(0), false
			for second := range all {
				if second >= from && (!ok || second < want) {
					want, ok = second, true
				}
			}
			got, found := cloudwatch.Next(h, from)
			require.Equal(t, ok, found, "seed %d", seed)
			require.Equal(t, want, got, "seed %d", seed)
		}
		used, real := cloudwatch.Used(s)
		require.Equal(t, real, used, "seed %d: what counts for the budget adds up", seed)
	}
}

// Seconds are kept for three hours; then they are added up to minutes, as in AWS.
func TestSecondsBecomeMinutes(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{})
	h := s.Series("shop", "Time")
	sum, err := alarm.ParseStatistic("Sum")
	require.NoError(t, err)
	var set alarm.Distribution
	set.Add(1, 1)
	for second := range 5 * 3600 {
		h.AddHighResolution(epoch.Add(time.Duration(second)*time.Second), &set)
	}
	point := func(from, to time.Duration) any {
		p := cloudwatch.Point(h, sum, epoch.Add(from).Unix(), epoch.Add(to).Unix())
		if !p.Present {
			return "nothing"
		}
		return p.Value
	}
	assert.Equal(t, 10.0, point(4*time.Hour, 4*time.Hour+10*time.Second))
	assert.Equal(t, 10.0, point(150*time.Minute, 150*time.Minute+10*time.Second))
	assert.Equal(t, "nothing", point(time.Hour+time.Second, time.Hour+11*time.Second), "it is all in the first second of its minute")
	for m := range 300 {
		require.Equal(t, 60.0, point(time.Duration(m)*time.Minute, time.Duration(m+1)*time.Minute), m)
	}
	assert.Equal(t, 18000.0, point(0, 5*time.Hour))
	h.AddHighResolution(epoch.Add(time.Hour+7*time.Second), &set) // late
	assert.Equal(t, 61.0, point(time.Hour, time.Hour+time.Second))
	used, real := cloudwatch.Used(s)
	assert.Equal(t, real, used)
	assert.Less(t, used, 250<<10)
}

func TestDataExpires(t *testing.T) {
	s := cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return epoch }})
	count, err := alarm.ParseStatistic("SampleCount")
	require.NoError(t, err)
	server, err := s.Serve()
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	_, err = server.MetricsClient().PutMetricData(context.Background(), &api.PutMetricDataInput{Namespace: aws.String("shop"),
		MetricData: []types.MetricDatum{{MetricName: aws.String("Once"), Value: aws.Float64(1)}}})
	require.NoError(t, err)
	h := s.Series("shop", "Always")
	const day = 24 * 60
	for m := range 17 * day {
		h.AddValue(minute(float64(m)), 1, 1)
	}
	got := cloudwatch.Point(h, count, epoch.Unix(), minute(17*day).Unix()).Value
	assert.GreaterOrEqual(t, got, 15.0*day)
	assert.LessOrEqual(t, got, 15.0*day+100)
	h.AddValue(minute(day), 1, 1) // too old
	assert.Equal(t, got, cloudwatch.Point(h, count, epoch.Unix(), minute(17*day).Unix()).Value)
	assert.Equal(t, 0, s.SeriesOf("Once"), "a metric without data goes, unless somebody keeps it")
	assert.Equal(t, 1, s.SeriesOf("Always"))
}

// When memory is short the oldest goes, then clients are throttled; what alarms
// look at is kept, and room that comes back is used.
func TestShortMemory(t *testing.T) {
	ctx := context.Background()
	s := &stand{now: epoch}
	s.Store = cloudwatch.NewStore(cloudwatch.Options{Now: s.time, Memory: 1 << 20})
	server, err := s.Serve()
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	client := server.MetricsClient()
	put := func(metric string, at time.Time) error {
		_, err := client.PutMetricData(ctx, &api.PutMetricDataInput{Namespace: aws.String("shop"),
			MetricData: []types.MetricDatum{{MetricName: &metric, Value: aws.Float64(1), Timestamp: &at}}})
		return err
	}
	var series []*cloudwatch.Series
	for i := range 75 {
		series = append(series, s.Series("shop", fmt.Sprint(i)))
	}
	for m := range 3 * 24 * 60 {
		for _, h := range series {
			h.AddValue(minute(float64(m)), float64(m)+0.123456789, 1)
		}
	}
	count, err := alarm.ParseStatistic("SampleCount")
	require.NoError(t, err)
	used, real := cloudwatch.Used(s.Store)
	assert.Equal(t, real, used)
	assert.LessOrEqual(t, used, 1<<20+1<<16)
	end := minute(3 * 24 * 60)
	for _, h := range []*cloudwatch.Series{series[0], series[74]} {
		got := cloudwatch.Point(h, count, epoch.Unix(), end.Unix()).Value
		assert.GreaterOrEqual(t, got, 180.0, "three hours at least")
		assert.Less(t, got, 3*24*60.0)
	}
	s.set(end)
	require.NoError(t, put("one-more", end))

	// Too many metrics for what there is.
	var refused error
	n := 0
	for ; refused == nil && n < 5000; n++ {
		refused = put(fmt.Sprint("new-", n), end)
	}
	assert.Equal(t, "Throttling", code(refused))
	assert.ErrorContains(t, refused, "publish fewer metrics, or give this CloudWatch more memory")
	used, _ = cloudwatch.Used(s.Store)
	assert.LessOrEqual(t, used, 5<<18)
	series[0].AddValue(end, 1, 1) // the stage's own is taken

	// A day later they have fallen silent.
	s.set(end.Add(24 * time.Hour))
	series[0].AddValue(end.Add(24*time.Hour), 1, 1)
	require.NoError(t, put("again", end.Add(24*time.Hour)))
}

// day is a day of minutes for so many metrics, with that many values a minute, as
// response times in microseconds; it gives the bytes of heap that it takes.
func day(tb testing.TB, metrics, values int) (s *cloudwatch.Store, bytes float64) {
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		return float64(now.HeapAlloc)
	}
	random := rand.New(rand.NewPCG(1, 2))
	before := heap()
	s = cloudwatch.NewStore(cloudwatch.Options{})
	handles := make([]*cloudwatch.Series, metrics)
	for i := range handles {
		handles[i] = s.Series("AWS/ApplicationELB", "TargetResponseTime", alarm.Dimension{Name: "LoadBalancer", Value: "app/shop/50dc6c495c0c9188"},
			alarm.Dimension{Name: "TargetGroup", Value: fmt.Sprintf("targetgroup/shop-%05d/1", i)})
	}
	var set alarm.Distribution
	for m := range 24 * 60 {
		for _, h := range handles {
			if values == 1 {
				h.AddValue(minute(float64(m)), math.Round(random.ExpFloat64()*50_000)/1e6, 1)
				continue
			}
			set.Reset()
			for range values {
				set.Add(math.Round(random.ExpFloat64()*50_000)/1e6, 1)
			}
			h.Add(minute(float64(m)), &set)
		}
	}
	bytes = heap() - before
	runtime.KeepAlive(handles)
	require.Equal(tb, metrics, s.SeriesOf("TargetResponseTime"))
	return s, bytes
}

// A day of one-minute datapoints for 10,000 metrics takes less than 1 GiB, and
// what counts for the budget is what it takes.
func TestADayIsSmall(t *testing.T) {
	for _, c := range []struct{ values, metrics int }{{1, 1000}, {20, 150}} {
		s, bytes := day(t, c.metrics, c.values)
		each := bytes / float64(c.metrics*24*60)
		assert.Less(t, each, float64(1<<30)/(10_000*24*60), "%d values: %.1f bytes for a datapoint", c.values, each)
		used, real := cloudwatch.Used(s)
		assert.Equal(t, real, used)
		assert.InEpsilon(t, bytes, used, 0.25)
	}
}

// BenchmarkMemoryOfADay is a day of one-minute datapoints for 1,000 metrics, and
// the heap that it takes: of one datapoint, and for 10,000 metrics.
func BenchmarkMemoryOfADay(b *testing.B) {
	for _, values := range []int{1, 20} {
		b.Run(fmt.Sprintf("values=%d", values), func(b *testing.B) {
			const metrics = 1000
			for b.Loop() {
				s, bytes := day(b, metrics, values)
				b.ReportMetric(bytes/(metrics*24*60), "B/datapoint")
				b.ReportMetric(bytes/metrics*10_000/(1<<20), "MiB/10k-metrics")
				runtime.KeepAlive(s)
			}
		})
	}
}

package compare

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
	"rehearsal/internal/project"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// shop is the sample shop.
func shop(t testing.TB) *project.Project {
	t.Helper()
	p, err := project.Load(t.Context(), "../../fixtures/rehearsal.yaml")
	require.NoError(t, err)
	return p
}

// comparison is of the shop's plans with those names, or of all.
func comparison(t testing.TB, releases int, names ...string) Comparison {
	t.Helper()
	p := shop(t)
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(p.Plans))
	}
	c := Comparison{Setup: p.Setup, Releases: releases, Seed: 1}
	for _, n := range names {
		require.Contains(t, p.Plans, n)
		c.Plans = append(c.Plans, p.Plans[n])
	}
	var left []string
	c.Mix, left = DefaultMix(&p.Setup)
	require.Empty(t, left, "the shop lacks nothing")
	return c
}

func run(t testing.TB, c Comparison) *Result {
	t.Helper()
	r, err := c.Run(t.Context())
	require.NoError(t, err)
	return r
}

// written is everything that a result writes.
func written(t *testing.T, r *Result) string {
	t.Helper()
	var b bytes.Buffer
	for _, write := range []func(io.Writer) error{func(w io.Writer) error { return r.Table(w, lang.English) }, r.JSON, r.Chart} {
		require.NoError(t, write(&b))
	}
	return b.String()
}

func bad(kind stage.FailureKind, more func(*sim.Fate)) sim.Fate {
	f := sim.Fate{Nature: sim.Bad, Weight: 1, Kind: kind}
	if more != nil {
		more(&f)
	}
	return f
}

var good = sim.Fate{Nature: sim.Good, Weight: 1}

func TestTheSameSeedGivesTheSameBytesOnAnyNumberOfProcessors(t *testing.T) {
	first := written(t, run(t, comparison(t, 60)))
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	assert.Equal(t, first, written(t, run(t, comparison(t, 60))))
	c := comparison(t, 60)
	c.Seed = 2
	assert.NotEqual(t, first, written(t, run(t, c)))
}

func TestEveryPlanMeetsTheSame(t *testing.T) {
	c := comparison(t, 200, "canary")
	twin := *c.Plans[0]
	twin.Name = "twin"
	c.Plans = append(c.Plans, &twin)
	r := run(t, c)
	assert.Equal(t, r.Costs[0].trials, r.Costs[1].trials)
	assert.Equal(t, []string{"canary", "twin"}, r.Advice.Plans)
	assert.Contains(t, r.Advice.Text, "Choose any of canary or twin: 200 releases do not tell them apart")
}

func TestMoreReleasesBeginWithTheSameOnes(t *testing.T) {
	few, many := run(t, comparison(t, 30, "canary")), run(t, comparison(t, 60, "canary"))
	assert.Equal(t, few.Costs[0].trials, many.Costs[0].trials[:30])
}

func TestWhatIsKnownOfPlansComesOut(t *testing.T) {
	half := func(f *sim.Fate) { f.Share = sim.Span[float64]{From: 50, To: 50} }
	t.Run("a canary loses less than all at once, and takes longer", func(t *testing.T) {
		c := comparison(t, 100, "all-at-once", "canary")
		c.Mix = []sim.Fate{good, bad(stage.Errors, half)}
		r := run(t, c)
		all, canary := r.Costs[0], r.Costs[1]
		assert.InDelta(t, 5*60, all.Length.Value, 30)
		assert.InDelta(t, 15*60, canary.Length.Value, 30)
		// Half of 200 requests a second of everyone, against a tenth of them, until the
		// alarm, which is as quick for both.
		assert.InDelta(t, 10, all.Lost.Value/canary.Lost.Value, 2.5)
		assert.Greater(t, all.Lost.Low, canary.Lost.High)
		assert.Zero(t, all.Missed.Value)
		assert.Zero(t, canary.Missed.Value)
		assert.True(t, all.Front && canary.Front)
		assert.Equal(t, []string{"canary"}, r.Advice.Plans)
		assert.Contains(t, r.Advice.Text, "Choose canary: it loses the fewest requests when a version is bad")
		assert.Contains(t, r.Advice.Text, "is too long, all-at-once takes 5m")
	})
	t.Run("what does not start loses nothing, and the shortest of the smallest is advised", func(t *testing.T) {
		c := comparison(t, 100, "linear", "all-at-once", "canary")
		c.Mix = []sim.Fate{good, bad(stage.CrashAtStart, nil)}
		r := run(t, c)
		for _, costs := range r.Costs {
			assert.Zero(t, costs.Lost.Value, costs.Plan.Name)
			assert.Zero(t, costs.Missed.Value, costs.Plan.Name)
		}
		assert.Equal(t, []string{"all-at-once"}, r.Advice.Plans)
		assert.Contains(t, r.Advice.Text, "of those as good it is the shortest, 5m")
		assert.Contains(t, r.Advice.Text, "linear and canary cannot be told apart from it")
	})
	t.Run("only smoke requests see a wrong answer", func(t *testing.T) {
		c := comparison(t, 60, "canary", "shop")
		c.Mix = []sim.Fate{good, bad(stage.WrongAnswers, func(f *sim.Fate) { f.Request = "browse" })}
		r := run(t, c)
		assert.Equal(t, 100.0, r.Costs[0].Missed.Value)
		assert.Zero(t, r.Costs[1].Missed.Value)
		assert.Equal(t, []string{"shop"}, r.Advice.Plans)
		assert.Contains(t, r.Advice.Text, "it misses the fewest bad versions, 0 %")
	})
	t.Run("a disturbance takes good versions back for nothing, more of them the longer the plan", func(t *testing.T) {
		c := comparison(t, 150, "blue-green", "linear")
		c.Mix = []sim.Fate{{Nature: sim.Fluke, Weight: 1, Kind: stage.Errors, Share: sim.Span[float64]{From: 50, To: 50},
			Moment: sim.Span[time.Duration]{To: 40 * time.Minute}, Lasts: sim.Span[time.Duration]{From: 5 * time.Minute, To: 5 * time.Minute}}, good}
		r := run(t, c)
		assert.Greater(t, r.Costs[0].ForNothing.Value, 0.0)
		assert.Greater(t, r.Costs[1].ForNothing.Value, 1.5*r.Costs[0].ForNothing.Value)
		assert.Zero(t, r.Costs[0].Lost.N, "no version was bad")
		assert.Equal(t, []string{"blue-green"}, r.Advice.Plans)
		assert.Contains(t, r.Advice.Text, "nothing is known about what goes wrong")
	})
	t.Run("a missed version loses until people find it", func(t *testing.T) {
		c := comparison(t, 40, "canary")
		c.Mix = []sim.Fate{bad(stage.Errors, func(f *sim.Fate) { f.Share = sim.Span[float64]{From: 0.2, To: 0.2} })}
		c.Unnoticed = 10 * time.Minute
		short := run(t, c).Costs[0]
		c.Unnoticed = 70 * time.Minute
		long := run(t, c).Costs[0]
		require.Equal(t, 100.0, short.Missed.Value)
		assert.InDelta(t, 200*0.002*3600, long.Lost.Value-short.Lost.Value, 100, "an hour more of 0.2 % of 200 requests a second")
	})
	t.Run("replicas that run at once", func(t *testing.T) {
		c := comparison(t, 20, "blue-green", "rolling")
		c.Setup.Replicas = 4
		mix := c.Mix
		c.Mix = []sim.Fate{good}
		r := run(t, c)
		assert.Equal(t, 8, r.Costs[0].Replicas)
		assert.Equal(t, 5, r.Costs[1].Replicas, "one at a time, and never fewer than all")
		c.Mix = mix
		assert.Greater(t, run(t, c).Costs[1].Replicas, 5, "the way back starts the old ones beside the new")
	})
}

func TestPairsTellPlansApartThatBoundsAlongDoNot(t *testing.T) {
	r := run(t, comparison(t, 400, "blue-green", "all-at-once"))
	paired := r.differ(lost, r.Costs[1], r.Costs[0], Confidence)
	unpaired := (r.Costs[0].Lost.High - r.Costs[0].Lost.Low) + (r.Costs[1].Lost.High - r.Costs[1].Lost.Low)
	assert.Less(t, paired.High-paired.Low, 0.6*unpaired)
	assert.InDelta(t, r.Costs[1].Lost.Value-r.Costs[0].Lost.Value, paired.Value, 1e-6)
}

func TestTooFewReleasesHaveNoBoundsAndNoWinner(t *testing.T) {
	c := comparison(t, 12, "all-at-once", "canary")
	r := run(t, c)
	require.Less(t, r.Costs[0].Lost.N, fewest)
	require.Positive(t, r.Costs[0].Lost.N)
	assert.False(t, r.Costs[0].Lost.Known)
	assert.Contains(t, r.Advice.Text, "too few to tell plans apart by what they lose")
	assert.NotContains(t, r.Advice.Text, "loses the fewest")
	assert.Contains(t, written(t, r), "too few")
}

func TestATableIsEightyColumnsWideAndSaysWhatItMeans(t *testing.T) {
	c := comparison(t, 60)
	long := *c.Plans[0]
	long.Name = "a name that is much longer than any column of the table has room for, and than the table"
	c.Plans = append(c.Plans, &long)
	r := run(t, c)
	var b bytes.Buffer
	require.NoError(t, r.Table(&b, lang.English))
	for line := range strings.Lines(b.String()) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), width, line)
		assert.Equal(t, strings.TrimRight(line, " \n")+"\n", line)
	}
	for _, want := range []string{"seed 1", "requests lost", "users touched", "missed", "taken back", "replicas", "95 % confidence", "Clopper and Pearson", "a visit is 10 requests"} {
		assert.Contains(t, strings.Join(strings.Fields(b.String()), " "), want)
	}
}

func TestTheChartIsWellFormedAndNamesEveryPlan(t *testing.T) {
	c := comparison(t, 60)
	odd := *c.Plans[0]
	odd.Name = `<script>"&`
	c.Plans = append(c.Plans, &odd)
	r := run(t, c)
	var b bytes.Buffer
	require.NoError(t, r.Chart(&b))
	var text []string
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if s, ok := token.(xml.CharData); ok {
			text = append(text, string(s))
		}
		if e, ok := token.(xml.StartElement); ok {
			require.NotEqual(t, "script", e.Name.Local)
		}
	}
	for _, costs := range r.Costs {
		assert.Contains(t, text, costs.Plan.Name)
	}
	c.Mix = []sim.Fate{good}
	assert.ErrorContains(t, run(t, c).Chart(io.Discard), "no plan has both a length and a loss")
}

func TestWhatCannotBeComparedIsRefused(t *testing.T) {
	for wrong, spoil := range map[string]func(*Comparison){
		"0 releases: want from 1":       func(c *Comparison) { c.Releases = 0 },
		"2000000 releases: want from 1": func(c *Comparison) { c.Releases = 2_000_000 },
		"there is no plan":              func(c *Comparison) { c.Plans = nil },
		`are both named "canary"`:       func(c *Comparison) { c.Plans = append(c.Plans, c.Plans[0]) },
		`watches "mail-errors": there is no such alarm`: func(c *Comparison) {
			p := *c.Plans[0]
			p.Alarms = []string{"mail-errors"}
			c.Plans = []*release.Plan{&p}
		},
		"the mix is empty":       func(c *Comparison) { c.Mix = nil },
		"0.5 requests of a user": func(c *Comparison) { c.PerUser = 0.5 },
		"unnoticed for -1s":      func(c *Comparison) { c.Unnoticed = -time.Second },
	} {
		t.Run(wrong, func(t *testing.T) {
			c := comparison(t, 10, "canary")
			spoil(&c)
			_, err := c.Run(t.Context())
			var input *InputError
			require.ErrorAs(t, err, &input)
			assert.ErrorContains(t, err, wrong)
		})
	}
}

func TestAnAlarmThatNothingFeedsEndsTheComparisonWithItsName(t *testing.T) {
	c := comparison(t, 10, "canary")
	c.Setup.Monitoring.LoadBalancer = ""
	c.Setup.Alarms = slices.Clone(c.Setup.Alarms)
	at := slices.Index(c.Setup.AlarmNames(), "shop-p99-latency")
	c.Setup.Alarms[at].TreatMissingData = "missing"
	_, err := c.Run(t.Context())
	require.ErrorContains(t, err, "the alarms are not OK 30m0s after")
	assert.ErrorContains(t, err, `"shop-p99-latency" is INSUFFICIENT_DATA`)
}

func TestAnInterruptEndsIt(t *testing.T) {
	c := comparison(t, 100_000, "canary")
	ctx, cancel := context.WithCancel(t.Context())
	c.Progress = func(_ *release.Plan, done, of int) {
		assert.Equal(t, 100_000, of)
		if done == 10 {
			cancel()
		}
	}
	_, err := c.Run(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestUsersAreCountedOnce(t *testing.T) {
	var now time.Duration
	h := stage.NewHistory(func() time.Duration { return now }, nil)
	serve := func(from, to time.Duration, version string, requests, failed int64) {
		now = to
		h.Record(stage.Event{Kind: stage.Served, Version: version, Traffic: &stage.Traffic{From: from, To: to, Requests: requests, Failed: failed}})
	}
	serve(0, time.Minute, "v1", 1000, 1000) // before the release
	serve(time.Minute, 2*time.Minute, "v1", 900, 0)
	serve(time.Minute, 2*time.Minute, "v2", 100, 100)
	serve(2*time.Minute, 3*time.Minute, "v1", 1000, 0)
	serve(3*time.Minute, 3*time.Minute+30*time.Second, "v2", 500, 500)
	serve(3*time.Minute+30*time.Second, 4*time.Minute, "v2", 500, 500)
	w := &world{perUser: 10}
	requests, users := w.lost(h, time.Minute)
	assert.Equal(t, int64(1100), requests)
	// A tenth of a minute's requests fail: of 100 visits of ten, 1-0.9^10 = 65.13 % meet
	// one; where all fail, each of 100 visits does.
	assert.InDelta(t, 65.13+100, users, 0.01)
	w.perUser = 1
	_, users = w.lost(h, time.Minute)
	assert.InDelta(t, 1100, users, 1e-9, "a user of one request is the request")
}

func TestCandidatesAreEveryPlanAndEveryStrategy(t *testing.T) {
	p := shop(t)
	plans, made := Candidates(p.Plan, p.Plans)
	assert.Empty(t, made)
	var names []string
	for _, q := range plans {
		names = append(names, q.Name)
	}
	assert.Equal(t, []string{"shop", "all-at-once", "blue-green", "rolling", "linear", "canary"}, names)

	plans, made = Candidates(p.Plan, map[string]*release.Plan{"shop": p.Plan})
	assert.Equal(t, []string{"all-at-once", "blue-green", "rolling", "linear"}, made)
	c := Comparison{Setup: p.Setup, Plans: plans, Releases: 20, Seed: 1, Mix: []sim.Fate{good}}
	for _, costs := range run(t, c).Costs {
		assert.Equal(t, 20, costs.Length.N, "%s brings a good version to everyone", costs.Plan.Name)
		assert.Equal(t, p.Plan.Alarms, costs.Plan.Alarms)
	}
}

// BenchmarkCompare is what the command is asked for: 1,000 releases by each of the five
// strategies, against the default mix. The limit is 5 s on 2 processors.
func BenchmarkCompare(b *testing.B) {
	c := comparison(b, 1000, "all-at-once", "rolling", "blue-green", "canary", "linear")
	b.ReportAllocs()
	for b.Loop() {
		run(b, c)
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/comparison")
	b.ReportMetric(float64(runtime.GOMAXPROCS(0)), "processors")
}

func ExampleDefaultMixFile() {
	fmt.Println(strings.SplitN(DefaultMixFile(), "\n", 2)[0])
	// Output: # What befalls releases, where nobody has said otherwise: a judgement, since nobody
}

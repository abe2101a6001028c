package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
	"rehearsal/internal/release"
)

const layout = "2006-01-02 15:04 -0700"

func at(t testing.TB, s string) time.Time {
	t.Helper()
	m, err := time.Parse(layout, s)
	require.NoError(t, err)
	return m
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

func window(t testing.TB, days, hours, zone string) *release.Window {
	t.Helper()
	var list []string
	if days != "" {
		list = strings.Split(days, ",")
	}
	w, err := release.ParseWindow(list, hours, zone)
	require.NoError(t, err)
	return w
}

// half is a plan of half an hour with a way back of ten minutes.
func half(w *release.Window) *release.Plan {
	return &release.Plan{Name: "half an hour", Strategy: release.Canary, Window: w,
		Steps:    []release.Step{{Share: 10, Bake: 10 * time.Minute}, {Share: 100, Bake: 20 * time.Minute}},
		Rollback: release.Rollback{Within: 10 * time.Minute}}
}

// even is a profile of the same rate at all times, except in some hours of each day.
func even(t testing.TB, zone *time.Location, rate float64, but map[int]float64) *Profile {
	t.Helper()
	var b strings.Builder
	begin := time.Date(2026, 1, 5, 0, 0, 0, 0, zone)
	for i := range hoursOfWeek + 2 {
		h := begin.Add(time.Duration(i) * time.Hour)
		r := rate
		if other, ok := but[h.Hour()]; ok {
			r = other
		}
		fmt.Fprintf(&b, "%s,%g\n", h.Format(time.RFC3339), r*3600)
	}
	p, err := ParseProfile("even.csv", []byte(b.String()), ProfileOptions{Zone: zone, Gaps: RefuseGaps})
	require.NoError(t, err)
	return p
}

func TestMayTheReleaseStartNowAndIfNotWhenNext(t *testing.T) {
	office := window(t, "Mon,Tue,Wed,Thu,Fri", "09:00-17:00", "Europe/Berlin")
	r := &Rules{Plan: half(window(t, "Tue,Wed,Thu", "10:00-16:50", "Europe/Berlin")), People: office, Service: Service{Replicas: 2, PerUser: 10},
		Freezes: []Freeze{{From: at(t, "2026-01-07 12:00 +0100"), To: at(t, "2026-01-07 14:00 +0100"), Why: "sale"}}}
	for _, c := range []struct {
		when, why, next string
		reason          Reason
	}{
		{"2026-01-06 10:00 +0100", "", "2026-01-06 10:00 +0100", Open},
		{"2026-01-06 09:59 +0100", "closed at 09:59", "2026-01-06 10:00 +0100", Outside},
		{"2026-01-05 11:00 +0100", "closed on Mon", "2026-01-06 10:00 +0100", Outside},
		{"2026-01-06 16:20 +0100", "", "2026-01-06 16:20 +0100", Open},
		{"2026-01-06 16:21 +0100", "people leave at Tue 2026-01-06 17:00 CET, and a release that starts then is over, way back included, at Tue 2026-01-06 17:01 CET", "2026-01-07 10:00 +0100", Asleep},
		{"2026-01-07 11:20 +0100", "", "2026-01-07 11:20 +0100", Open},
		{"2026-01-07 11:21 +0100", "frozen from Wed 2026-01-07 12:00", "2026-01-07 14:00 +0100", Frozen},
		{"2026-01-07 14:00 +0100", "", "2026-01-07 14:00 +0100", Open},
		{"2026-01-08 16:30 +0100", "people leave", "2026-01-13 10:00 +0100", Asleep},
	} {
		reason, why := r.Closed(at(t, c.when))
		assert.Equal(t, c.reason, reason, c.when)
		assert.Contains(t, why, c.why, c.when)
		next, ok := r.Next(at(t, c.when))
		require.True(t, ok, c.when)
		assert.True(t, next.Equal(at(t, c.next)), "%s: next is %s, want %s", c.when, next, c.next)
	}
}

func TestThePlansOwnFreezeHoldsForTheWholeRelease(t *testing.T) {
	w := window(t, "", "00:00-24:00", "Asia/Tokyo")
	w.Freeze = []release.Freeze{{From: time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 11, 0, 0, 0, 0, time.UTC), Why: "fair"}}
	r := &Rules{Plan: half(w), People: window(t, "", "00:00-24:00", "Asia/Tokyo")}
	for when, want := range map[string]Reason{
		"2026-01-09 23:20 +0900": Open, "2026-01-09 23:21 +0900": Frozen, "2026-01-10 00:00 +0900": Frozen, "2026-01-11 23:59 +0900": Frozen, "2026-01-12 00:00 +0900": Open,
	} {
		reason, why := r.Closed(at(t, when))
		assert.Equal(t, want, reason, "%s: %s", when, why)
	}
	next, ok := r.Next(at(t, "2026-01-09 23:30 +0900"))
	require.True(t, ok)
	assert.True(t, next.Equal(at(t, "2026-01-12 00:00 +0900")), next)
}

func TestPeopleAroundTheClockCoverMidnight(t *testing.T) {
	r := &Rules{Plan: half(nil), People: window(t, "Sat,Sun", "00:00-24:00", "Asia/Tokyo")}
	for when, want := range map[string]Reason{
		"2026-01-10 23:50 +0900": Open, "2026-01-11 23:20 +0900": Open, "2026-01-11 23:21 +0900": Asleep, "2026-01-09 23:50 +0900": Asleep,
	} {
		reason, _ := r.Closed(at(t, when))
		assert.Equal(t, want, reason, when)
	}
}

func TestAnHourThatTheClocksSkipIsNotThere(t *testing.T) {
	// On 2026-03-08 in New York 02:00 EST is 03:00 EDT.
	r := &Rules{Plan: half(nil), People: window(t, "", "01:00-04:00", "America/New_York")}
	for when, want := range map[string]Reason{
		"2026-03-08 01:00 -0500": Open,
		"2026-03-08 01:50 -0500": Open, // over at 03:30 EDT
		"2026-03-08 03:20 -0400": Open, // over at 04:00 EDT
		"2026-03-08 03:21 -0400": Asleep,
		"2026-03-08 00:59 -0500": Asleep,
	} {
		reason, why := r.Closed(at(t, when))
		assert.Equal(t, want, reason, "%s: %s", when, why)
	}
	r.Profile = even(t, r.Zone(), 10, nil)
	r.Service = Service{Replicas: 2, PerUser: 10}
	s := r.Start(at(t, "2026-03-08 01:50 -0500"))
	assert.True(t, s.Changes)
	assert.True(t, s.Over.Equal(at(t, "2026-03-08 03:30 -0400")), s.Over)
	assert.Equal(t, 30*time.Minute, s.Spare)

	// A window within the hour that is skipped never opens on that day.
	r.People = window(t, "Sun", "02:00-03:00", "America/New_York")
	r.Profile = nil
	next, ok := r.Next(at(t, "2026-03-08 00:00 -0500"))
	require.True(t, ok)
	assert.True(t, next.Equal(at(t, "2026-03-15 02:00 -0400")), next)
}

func TestAnHourThatComesTwiceIsThereTwice(t *testing.T) {
	// On 2026-11-01 in New York 02:00 EDT is 01:00 EST.
	r := &Rules{Plan: half(nil), People: window(t, "", "01:00-02:00", "America/New_York")}
	for when, want := range map[string]Reason{
		"2026-11-01 01:00 -0400": Open,
		"2026-11-01 01:30 -0400": Open, // over at 01:10 EST
		"2026-11-01 01:10 -0500": Open,
		"2026-11-01 01:20 -0500": Open,
		"2026-11-01 01:21 -0500": Asleep,
	} {
		reason, why := r.Closed(at(t, when))
		assert.Equal(t, want, reason, "%s: %s", when, why)
	}
	r.Profile = even(t, r.Zone(), 10, nil)
	r.Service = Service{Replicas: 2, PerUser: 10}
	p := r.Propose(at(t, "2026-11-01 00:00 -0400"), 1)
	require.Len(t, p.Openings, 1)
	assert.True(t, p.Openings[0].First.Equal(at(t, "2026-11-01 01:00 -0400")), p.Openings[0].First)
	assert.True(t, p.Openings[0].Last.Equal(at(t, "2026-11-01 01:20 -0500")), p.Openings[0].Last)
	var b strings.Builder
	require.NoError(t, p.Write(&b, lang.English, 5))
	assert.Contains(t, b.String(), "Sun 2026-11-01 01:00 EDT")
	assert.Contains(t, b.String(), "01:20 EST")
	p.Openings[0].Best = r.Start(at(t, "2026-11-01 01:30 -0400"))
	assert.True(t, p.Openings[0].Best.Over.Equal(at(t, "2026-11-01 01:10 -0500")))
	assert.Contains(t, p.Why(&p.Openings[0]), "the clocks change meanwhile")
}

func TestNextIsTheFirstOpenMinute(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	profile := even(t, berlin, 5, map[int]float64{13: 0.5, 3: 0.1})
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, 12*60).Draw(t, "people from")
		to := rapid.IntRange(from+1, 24*60).Draw(t, "people to")
		people, err := release.ParseWindow(nil, fmt.Sprintf("%02d:%02d-%02d:%02d", from/60, from%60, to/60, to%60), "Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		// Around both changes of the clocks of 2026 in Berlin.
		base := rapid.SampledFrom([]time.Time{time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC), time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC)}).Draw(t, "day")
		start := base.Add(time.Duration(rapid.IntRange(0, 24*60).Draw(t, "minute")) * time.Minute)
		frozen := base.Add(time.Duration(rapid.IntRange(0, 48*60).Draw(t, "freeze")) * time.Minute)
		r := &Rules{Plan: half(nil), People: people, Service: Service{Replicas: 2, PerUser: 10}, Profile: profile, Least: 1, LeastFor: "a",
			Freezes: []Freeze{{From: frozen, To: frozen.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "frozen for")) * time.Minute)}}}
		next, ok := r.Next(start)
		for m := start; m.Before(start.Add(48 * time.Hour)); m = m.Add(time.Minute) {
			if reason, _ := r.Closed(m); reason == Open {
				if !ok || !next.Equal(m) {
					t.Fatalf("the first open minute is %s, Next says %s, %v", m, next, ok)
				}
				return
			}
		}
		if ok && next.Before(start.Add(48*time.Hour)) {
			t.Fatalf("Next says %s, which is closed", next)
		}
	})
}

func TestTheOpeningWithTheFewestUsersIsFirst(t *testing.T) {
	tokyo := zone(t, "Asia/Tokyo")
	r := &Rules{Plan: half(nil), People: window(t, "Mon", "09:00-18:00", "Asia/Tokyo"), Service: Service{Replicas: 2, PerUser: 10},
		Profile: even(t, tokyo, 100, map[int]float64{12: 20, 15: 1}), Least: 5, LeastFor: `the alarm "shop-5xx-rate"`}
	p := r.Propose(at(t, "2026-01-05 00:00 +0900"), 7)
	require.NotEmpty(t, p.Openings)
	best := p.Openings[0].Best
	assert.True(t, best.At.Equal(at(t, "2026-01-05 12:00 +0900")) || best.At.Equal(at(t, "2026-01-05 12:05 +0900")), best.At)
	assert.Equal(t, 20.0, best.Least)
	// A tenth of ten minutes, all of twenty and of the ten of the way back.
	assert.InDelta(t, 20*60*(0.1*10+20+10), best.Requests, 1)
	visits := 20 * 60 / 10.0
	assert.InDelta(t, visits*((1-0.3486784401)*10+20+10), best.Users, 1)
	// 15:00 to 16:00 is too thin: nothing whose bakes touch it is open.
	assert.Positive(t, p.Closed[Thin])
	for _, o := range p.Openings {
		for m := o.First; !m.After(o.Last); m = m.Add(step) {
			_, rate := r.Profile.Least(m, m.Add(r.Bakes()))
			assert.GreaterOrEqual(t, rate, 5.0, m)
		}
	}
	assert.Contains(t, p.Why(&p.Openings[0]), "fewest users of all openings; 20 requests a second, the alarms need 5.0; people stay ")
	assert.Equal(t, p.Starts, p.Closed[Outside]+p.Closed[Frozen]+p.Closed[Asleep]+p.Closed[Thin]+openStarts(p))
}

func openStarts(p *Proposal) (n int) {
	for _, o := range p.Openings {
		n += int(o.Last.Sub(o.First)/step) + 1
	}
	return n
}

func TestNoOpeningSaysWhyAndWhatWouldMakeOne(t *testing.T) {
	r := &Rules{Plan: half(window(t, "Tue", "10:00-12:00", "Asia/Tokyo")), People: window(t, "", "09:00-18:00", "Asia/Tokyo"), Service: Service{Replicas: 2, PerUser: 10},
		Profile: even(t, zone(t, "Asia/Tokyo"), 1, nil)}
	from := at(t, "2026-01-05 00:00 +0900")
	for remedy, change := range map[string]func(*Rules){
		"look further ahead with --days, or shorten the freeze": func(r *Rules) {
			r.Freezes = []Freeze{{From: from, To: from.AddDate(0, 1, 0), Why: "year end"}}
		},
		"shorten the plan, or have people there for longer": func(r *Rules) { r.People = window(t, "", "10:00-10:30", "Asia/Tokyo") },
		"release in busier hours":                           func(r *Rules) { r.Least, r.LeastFor = 5, "the alarm" },
	} {
		rules := *r
		change(&rules)
		p := rules.Propose(from, 14)
		assert.Empty(t, p.Openings)
		text := p.None()
		assert.Contains(t, text, "there is no opening from Mon 2026-01-05 00:00 JST to Mon 2026-01-19 00:00 JST: of 4,032 starts, one every 5m,")
		assert.Contains(t, text, remedy)
		assert.Contains(t, text, "outside of the plan's window (Mon 2026-01-05 00:00 JST: the plan's window is closed on Mon")
	}
	never := *r
	never.People = window(t, "Wed", "09:00-18:00", "Asia/Tokyo")
	_, ok := never.Next(from)
	assert.False(t, ok, "the plan's days and the people's never meet")
}

func TestEverythingFitsIntoEightyColumns(t *testing.T) {
	for _, name := range []string{"Asia/Tokyo", "America/Argentina/ComodRivadavia", "Australia/Lord_Howe", "Asia/Kathmandu"} {
		z := zone(t, name)
		r := &Rules{Plan: half(nil), People: window(t, "", "00:00-24:00", name), Service: Service{Replicas: 2, PerUser: 10},
			Profile: even(t, z, 123456, map[int]float64{3: 2}), Least: 5, LeastFor: `the alarm "a name that is as long as names of alarms in accounts with conventions are"`}
		p := r.Propose(time.Date(2026, 4, 3, 7, 3, 0, 0, z), 7)
		var b strings.Builder
		require.NoError(t, p.Write(&b, lang.English, 3))
		for line := range strings.Lines(b.String()) {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), width, line)
		}
		assert.Contains(t, b.String(), "<", "the best hour is marked")
		assert.NotContains(t, b.String(), "\x1b")
	}
}

func TestTheHeatMapShowsWhatIsOpenAndWhy(t *testing.T) {
	w := window(t, "Mon,Tue", "01:00-05:00", "America/New_York")
	r := &Rules{Plan: half(nil), People: w, Service: Service{Replicas: 2, PerUser: 10}, Profile: even(t, w.Zone, 100, map[int]float64{3: 40, 4: 1}), Least: 5, LeastFor: "an alarm",
		Freezes: []Freeze{{From: at(t, "2026-03-10 00:00 -0400"), To: at(t, "2026-03-11 00:00 -0400"), Why: "sale"}}}
	p := r.Propose(at(t, "2026-03-08 01:00 -0500"), 7)
	var b strings.Builder
	require.NoError(t, p.Write(&b, lang.English, 3))
	rows := map[string]string{}
	for line := range strings.Lines(b.String()) {
		if len(line) > 7 && line[3] == ' ' && strings.Contains(line, " 9") {
			rows[line[:3]] = strings.TrimRight(line, "\n")
		}
	}
	cell := func(day string, h int) string { return (rows[day] + strings.Repeat(" ", width))[6+3*h : 9+3*h] }
	assert.Equal(t, " 9 ", cell("Sun", 0), "it is past")
	assert.Equal(t, " 9z", cell("Sun", 1))
	assert.Equal(t, " --", cell("Sun", 2), "the clocks skip it")
	assert.Equal(t, " 9z", cell("Mon", 0))
	assert.Equal(t, "[9]", cell("Mon", 1))
	assert.Equal(t, "<4>", cell("Mon", 3), b.String())
	assert.Equal(t, " 0t", cell("Mon", 4))
	assert.Equal(t, " 9x", cell("Tue", 1))
}

func TestTheRateThatAlarmsNeed(t *testing.T) {
	alarms, err := alarm.ParseFile("../../fixtures/alarms.json")
	require.NoError(t, err)
	scene := alarm.DefaultScene()
	named := map[string]*alarm.Compiled{}
	for i := range alarms {
		c, err := alarms[i].Compile()
		require.NoError(t, err)
		named[alarms[i].AlarmName] = c
	}
	// Errors by rate go off at any traffic: ten requests in its minute at a share of 10 %
	// are what it takes.
	rate, why := LeastRate(scene, []*alarm.Compiled{named["shop-5xx-rate"]}, 10)
	assert.InDelta(t, 10/(0.1*60), rate, 1e-9)
	assert.Contains(t, why, "told from bad luck")
	assert.Contains(t, why, "shop-5xx-rate")
	rate, _ = LeastRate(scene, []*alarm.Compiled{named["shop-5xx-rate"]}, 100)
	assert.InDelta(t, 10.0/60, rate, 1e-9)

	// An alarm on a number of errors needs that many: more than 30 in each minute.
	count := alarm.Alarm{AlarmName: "many", Namespace: "AWS/ApplicationELB", MetricName: "HTTPCode_Target_5XX_Count", Statistic: "Sum",
		Dimensions: []alarm.Dimension{{Name: "LoadBalancer", Value: "app/shop/1"}}, Period: 60, EvaluationPeriods: 3, DatapointsToAlarm: 3,
		Threshold: 30, ComparisonOperator: "GreaterThanThreshold", TreatMissingData: "notBreaching"}
	c, err := count.Compile()
	require.NoError(t, err)
	rate, why = LeastRate(scene, []*alarm.Compiled{c}, 10)
	assert.InEpsilon(t, 31/60.0/0.1, rate, 0.02)
	assert.Equal(t, `the alarm "many"`, why)

	// Both together need what the hungrier needs; none need nothing.
	both, why := LeastRate(scene, []*alarm.Compiled{named["shop-5xx-rate"], c}, 10)
	assert.Equal(t, rate, both)
	assert.Equal(t, `the alarm "many"`, why)
	rate, _ = LeastRate(scene, nil, 10)
	assert.Zero(t, rate)
}

func BenchmarkPropose(b *testing.B) {
	r := &Rules{Plan: half(window(b, "Mon,Tue,Wed,Thu,Fri", "09:00-17:00", "Europe/Berlin")), People: window(b, "", "08:00-18:00", "Europe/Berlin"),
		Service: Service{Replicas: 2, PerUser: 10}, Profile: even(b, zone(b, "Europe/Berlin"), 100, nil), Least: 5, LeastFor: "an alarm"}
	from := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		r.Propose(from, 14)
	}
}

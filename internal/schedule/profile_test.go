package schedule

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// csvOf is hours from a moment on, with the requests that f says, and their lines.
func csvOf(from time.Time, hours int, f func(i int) float64) string {
	var b strings.Builder
	for i := range hours {
		fmt.Fprintf(&b, "%s,%g\n", from.Add(time.Duration(i)*time.Hour).Format(time.RFC3339), f(i))
	}
	return b.String()
}

func monday(z *time.Location) time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, z) }

func tokyo(t testing.TB) ProfileOptions {
	return ProfileOptions{Zone: zone(t, "Asia/Tokyo"), Gaps: FillGaps}
}

func TestAProfileIsTheMeanOfEachHourOfTheWeek(t *testing.T) {
	o := tokyo(t)
	text := "time,requests\n" + csvOf(monday(o.Zone), 2*hoursOfWeek, func(i int) float64 { return 3600 * float64(i) })
	p, err := ParseProfile("p.csv", []byte("\ufeff"+text), o)
	require.NoError(t, err)
	assert.Empty(t, p.Filled)
	assert.Equal(t, 84.0, p.Rate(monday(o.Zone).AddDate(1, 0, -1)), "the mean of 0 and 168; 2027-01-04 is a Monday")
	assert.Equal(t, 9+84.0, p.Rate(time.Date(2026, 3, 2, 9, 59, 59, 0, o.Zone)))
	assert.Equal(t, 9+84.0, p.Rate(time.Date(2026, 3, 2, 0, 59, 59, 0, time.UTC)), "the hours are Tokyo's")
	assert.Equal(t, 167+84.0, p.Busiest())
	at, rate := p.Least(time.Date(2026, 3, 2, 9, 30, 0, 0, o.Zone), time.Date(2026, 3, 2, 11, 30, 0, 0, o.Zone))
	assert.Equal(t, 9+84.0, rate)
	assert.True(t, at.Equal(time.Date(2026, 3, 2, 9, 30, 0, 0, o.Zone)))
	at, rate = p.Least(time.Date(2026, 3, 8, 23, 30, 0, 0, o.Zone), time.Date(2026, 3, 9, 1, 30, 0, 0, o.Zone))
	assert.Equal(t, 84.0, rate)
	assert.True(t, at.Equal(time.Date(2026, 3, 9, 0, 0, 0, 0, o.Zone)))
}

// metricJSON is what the AWS CLI prints: the newest first, unless it is asked otherwise.
func metricJSON(t testing.TB, from time.Time, hours int, newestFirst bool, change func(map[string]any)) []byte {
	t.Helper()
	var times []string
	var values []float64
	for i := range hours {
		k := i
		if newestFirst {
			k = hours - 1 - i
		}
		times = append(times, from.Add(time.Duration(k)*time.Hour).UTC().Format("2006-01-02T15:04:05-07:00"))
		values = append(values, 3600*float64(k%hoursOfWeek))
	}
	series := map[string]any{"Id": "requests", "Label": "RequestCount", "Timestamps": times, "Values": values, "StatusCode": "Complete"}
	d := map[string]any{"MetricDataResults": []any{series}, "Messages": []any{}}
	if change != nil {
		change(d)
	}
	data, err := json.MarshalIndent(d, "", "    ")
	require.NoError(t, err)
	return data
}

func series(d map[string]any) map[string]any {
	return d["MetricDataResults"].([]any)[0].(map[string]any)
}

func TestWhatTheAWSCLIPrintsIsRead(t *testing.T) {
	o := tokyo(t)
	for _, newestFirst := range []bool{true, false} {
		p, err := ParseProfile("m.json", metricJSON(t, monday(o.Zone), 2*hoursOfWeek, newestFirst, nil), o)
		require.NoError(t, err)
		assert.Equal(t, 9.0, p.Rate(monday(o.Zone).Add(9*time.Hour)))
	}
	two := func(d map[string]any) {
		other := map[string]any{"Id": "errors", "Label": "HTTPCode_Target_5XX_Count", "Timestamps": []string{}, "Values": []float64{}, "StatusCode": "Complete"}
		d["MetricDataResults"] = append([]any{other}, d["MetricDataResults"].([]any)...)
	}
	data := metricJSON(t, monday(o.Zone), hoursOfWeek, true, two)
	_, err := ParseProfile("m.json", data, o)
	assert.ErrorContains(t, err, "There are errors (HTTPCode_Target_5XX_Count), requests (RequestCount): name one with --metric")
	o.Metric = "RequestCount"
	p, err := ParseProfile("m.json", data, o)
	require.NoError(t, err)
	assert.Equal(t, 167.0, p.Busiest())
}

func TestABadProfileTellsFileLineAndRemedy(t *testing.T) {
	o := tokyo(t)
	week := func(i int) float64 { return 3600 }
	lines := strings.SplitAfter(csvOf(monday(o.Zone), hoursOfWeek, week), "\n")
	swap := func(i, j int) string {
		l := append([]string{}, lines...)
		l[i], l[j] = l[j], l[i]
		return strings.Join(l, "")
	}
	stamp := func(change func(times []string)) []byte {
		return metricJSON(t, monday(o.Zone), hoursOfWeek, true, func(d map[string]any) { change(series(d)["Timestamps"].([]string)) })
	}
	for _, c := range []struct {
		name, text, wrong string
		gaps              Gaps
	}{
		{"empty", "", "p:1: there are no hours in it", FillGaps},
		{"heading alone", "time,requests\n", "p:1: there are no hours in it", FillGaps},
		{"unordered", swap(10, 20), "p:12: 2026-01-05 11:00 +09:00 is out of order, beside 2026-01-05 20:00 +09:00 in line 11: sort the hours by their time", FillGaps},
		{"twice", strings.Join(lines[:5], "") + lines[4] + strings.Join(lines[5:], ""), "p:6: 2026-01-05 04:00 +09:00 was said already, in line 5: take one of them out", FillGaps},
		{"no offset", "2026-01-05 09:00,1\n", `p:1: "2026-01-05 09:00" does not say its time zone: write the offset`, FillGaps},
		{"no time", lines[0] + "noon,1\n", `p:2: "noon" is not a time`, FillGaps},
		{"no number", lines[0] + "2026-01-05T01:00:00+09:00,many\n", `p:2: "many" is not a number of requests`, FillGaps},
		{"below 0", lines[0] + "2026-01-05T01:00:00+09:00,-3\n", `p:2: -3 requests: want 0 or more`, FillGaps},
		{"not finite", lines[0] + "2026-01-05T01:00:00+09:00,NaN\n", `p:2: NaN requests`, FillGaps},
		{"columns", lines[0] + "2026-01-05T01:00:00+09:00,3,4\n", `p:2: 3 columns: want a time and a number of requests`, FillGaps},
		{"quotes", lines[0] + "\"2026\n", `p:2: this is not CSV`, FillGaps},
		{"five minutes", lines[0] + "2026-01-05T00:05:00+09:00,3\n", "p:2: 2026-01-05 00:05 +09:00 is 5m0s from its neighbour, 2026-01-05 00:00 +09:00 in line 1: want one number for each hour (--period 3600)", FillGaps},
		{"a wrong year", lines[0] + "2126-01-05T01:00:00+09:00,3\n", "p:2: the hours are 36524 days apart", FillGaps},
		{"a day", strings.Join(lines[:24], ""), "p: nothing is known of 144 hours of the week (Tue 00:00, Tue 01:00, Tue 02:00, Tue 03:00 and 140 more, by the clocks of Asia/Tokyo): want a week", FillGaps},
		{"gap", strings.Join(lines[:9], "") + strings.Join(lines[12:], ""), "nothing is known of 3 hours of the week (Mon 09:00, Mon 10:00, Mon 11:00", FillGaps},
		{"gap refused", strings.Join(lines[:9], "") + strings.Join(lines[12:], ""), "p: 3 hours are missing: Mon 2026-01-05 09:00 to Mon 2026-01-05 12:00: add them, or say what they were", RefuseGaps},
		{"not JSON", "{\n\n\"MetricDataResults\": [}", "p:3: this is not what aws cloudwatch get-metric-data", FillGaps},
		{"other JSON", "{\"MetricAlarms\": []}", `p:1: there is no "MetricDataResults" in it`, FillGaps},
		{"wrong type", "{\n\"MetricDataResults\": [{\"Timestamps\": 7}]}", "p:2: this is not what", FillGaps},
		{"partial", string(metricJSON(t, monday(o.Zone), hoursOfWeek, true, func(d map[string]any) { series(d)["StatusCode"] = "PartialData" })), "is PartialData, not Complete: ask AWS again", FillGaps},
		{"a page", string(metricJSON(t, monday(o.Zone), hoursOfWeek, true, func(d map[string]any) { d["NextToken"] = "x" })), "only the first page", FillGaps},
		{"a message", string(metricJSON(t, monday(o.Zone), hoursOfWeek, true, func(d map[string]any) {
			d["Messages"] = []any{map[string]any{"Code": "MaxMetricsExceeded", "Value": "too many"}}
		})), "MaxMetricsExceeded: too many", FillGaps},
		{"fewer values", string(metricJSON(t, monday(o.Zone), hoursOfWeek, true, func(d map[string]any) { series(d)["Values"] = []float64{1} })), "has 168 times and 1 values", FillGaps},
		{"a wrong stamp", string(stamp(func(times []string) { times[2] = "yesterday" })), `"yesterday" is not a time`, FillGaps},
		{"a stamp twice", string(stamp(func(times []string) { times[3] = times[2] })), "was said already, in line ", FillGaps},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := o
			o.Gaps = c.gaps
			_, err := ParseProfile("p", []byte(c.text), o)
			require.ErrorContains(t, err, c.wrong)
		})
	}
	back := strings.Join(lines[:3], "") + "2026-01-05T01:00:00+09:00,3\n"
	_, err := ParseProfile("p", []byte(back), o)
	assert.ErrorContains(t, err, "p:4: 2026-01-05 01:00 +09:00 is out of order, beside 2026-01-05 02:00 +09:00 in line 3: sort the hours by their time")
}

func TestLinesOfTimestampsAreThoseOfTheFile(t *testing.T) {
	o := tokyo(t)
	data := metricJSON(t, monday(o.Zone), hoursOfWeek, true, func(d map[string]any) { series(d)["Timestamps"].([]string)[5] = "yesterday" })
	want := 0
	for i, l := range strings.Split(string(data), "\n") {
		if strings.Contains(l, "yesterday") {
			want = i + 1
		}
	}
	_, err := ParseProfile("m.json", data, o)
	assert.ErrorContains(t, err, fmt.Sprintf("m.json:%d: ", want))
}

func TestGapsAreFilledOrZeroAsAsked(t *testing.T) {
	o := tokyo(t)
	lines := strings.SplitAfter(csvOf(monday(o.Zone), 2*hoursOfWeek, func(i int) float64 { return 3600 * 10 }), "\n")
	text := []byte(strings.Join(lines[:9], "") + strings.Join(lines[12:], ""))
	at := monday(o.Zone).Add(9 * time.Hour)
	filled, err := ParseProfile("p", text, o)
	require.NoError(t, err)
	assert.Equal(t, 10.0, filled.Rate(at))
	assert.Len(t, filled.Filled, 3)
	assert.Equal(t, "Mon 2026-01-05 09:00 to Mon 2026-01-05 12:00", filled.Missing())
	o.Gaps = ZeroGaps
	zero, err := ParseProfile("p", text, o)
	require.NoError(t, err)
	assert.Equal(t, 5.0, zero.Rate(at), "nobody in one of two weeks")
}

func TestAWeekInWhichTheClocksChangeIsAWeek(t *testing.T) {
	o := ProfileOptions{Zone: zone(t, "America/New_York"), Gaps: RefuseGaps}
	same := func(int) float64 { return 3600 }
	// The hour that is skipped is not known from that week alone.
	_, err := ParseProfile("p", []byte(csvOf(time.Date(2026, 3, 2, 0, 0, 0, 0, o.Zone), hoursOfWeek-1, same)), o)
	assert.ErrorContains(t, err, "nothing is known of 1 hours of the week (Sun 02:00")
	_, err = ParseProfile("p", []byte(csvOf(time.Date(2026, 3, 2, 0, 0, 0, 0, o.Zone), 2*hoursOfWeek-1, same)), o)
	assert.NoError(t, err)
	// The one that comes twice is the mean of both.
	p, err := ParseProfile("p", []byte(csvOf(time.Date(2026, 10, 26, 0, 0, 0, 0, o.Zone), hoursOfWeek+1, func(i int) float64 { return 3600 * float64(i) })), o)
	require.NoError(t, err)
	assert.Equal(t, (145+146)/2.0, p.Rate(time.Date(2026, 11, 8, 1, 30, 0, 0, o.Zone)))
}

func TestFilesThatAreNoProfile(t *testing.T) {
	_, err := ReadProfile(filepath.Join(t.TempDir(), "none.csv"), tokyo(t))
	assert.ErrorIs(t, err, os.ErrNotExist)
	big := filepath.Join(t.TempDir(), "big.csv")
	require.NoError(t, os.WriteFile(big, []byte(strings.Repeat("#", mostProfile+1)), 0o600))
	_, err = ReadProfile(big, tokyo(t))
	assert.ErrorContains(t, err, "that is not a profile of traffic")
}

func FuzzParseProfile(f *testing.F) {
	f.Add([]byte("time,requests\n2026-01-05T09:00:00+09:00,7200\n"))
	f.Add([]byte(csvOf(monday(time.UTC), hoursOfWeek, func(i int) float64 { return float64(i) })))
	f.Add(metricJSON(f, monday(time.UTC), hoursOfWeek, true, nil))
	f.Add([]byte(`{"MetricDataResults":[{"Id":"a","Timestamps":["2026-01-05T00:00:00Z","0001-01-01T00:00:00Z"],"Values":[1,2]}]}`))
	o := tokyo(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProfile("p", data, o)
		if err == nil {
			require.GreaterOrEqual(t, p.Busiest(), 0.0)
		}
	})
}

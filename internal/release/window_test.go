package release_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/release"
)

// window is the window of a plan file with these keys.
func window(t require.TestingT, keys string) *release.Window {
	p, err := release.Parse("w.yaml", []byte("plan: w\nstrategy: blue-green\nbake: 1m\nwindow: {"+keys+"}\n"))
	require.NoError(t, err)
	return p.Window
}

func at(t require.TestingT, text string) time.Time {
	v, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return v
}

func TestWindow(t *testing.T) {
	const (
		office = `days: [Tue, Wed, Thu], hours: "10:00-16:00", zone: Asia/Tokyo, freeze: [{from: 2026-12-25, to: 2027-01-04, why: year end}]`
		berlin = `hours: "02:30-03:30", zone: Europe/Berlin`    // 2026: forward on 29 March at 02:00, back on 25 October at 03:00
		york   = `hours: "01:00-01:30", zone: America/New_York` // 2026: forward on 8 March at 02:00, back on 1 November at 02:00
		gap    = `hours: "02:00-03:00", zone: America/New_York` // an hour that 8 March does not have
		twice  = `hours: "02:15-02:45", zone: Europe/Berlin`    // half an hour that 25 October has twice
		sunday = `days: [Sun], hours: "02:00-03:00", zone: Europe/Berlin`
	)
	for _, c := range []struct{ window, at, closed, next string }{
		{office, "2026-06-02T10:00:00+09:00", "", "2026-06-02T10:00:00+09:00"},
		{office, "2026-06-02T06:59:59Z", "", "2026-06-02T06:59:59Z"},
		{office, "2026-06-02T16:00:00+09:00", "closed at 16:00: open Tue, Wed, Thu 10:00-16:00 Asia/Tokyo", "2026-06-03T10:00:00+09:00"},
		{office, "2026-06-02T00:59:00Z", "closed at 09:59: open Tue, Wed, Thu 10:00-16:00 Asia/Tokyo", "2026-06-02T01:00:00Z"},
		// A Thursday evening in Berlin is a Friday morning in Japan.
		{office, "2026-06-04T22:00:00+02:00", "closed on Fri: open Tue, Wed, Thu 10:00-16:00 Asia/Tokyo", "2026-06-09T10:00:00+09:00"},
		// Japan has no summer time.
		{office, "2026-03-29T12:00:00+09:00", "closed on Sun: open Tue, Wed, Thu 10:00-16:00 Asia/Tokyo", "2026-03-31T10:00:00+09:00"},
		{office, "2026-12-24T15:59:00+09:00", "", "2026-12-24T15:59:00+09:00"},
		{office, "2026-12-24T16:00:00+09:00", "closed at 16:00: open Tue, Wed, Thu 10:00-16:00 Asia/Tokyo", "2027-01-05T10:00:00+09:00"},
		{office, "2026-12-29T12:00:00+09:00", "frozen from 2026-12-25 to 2027-01-04: year end", "2027-01-05T10:00:00+09:00"},

		{berlin, "2026-03-28T02:29:00+01:00", "closed at 02:29: open every day 02:30-03:30 Europe/Berlin", "2026-03-28T02:30:00+01:00"},
		{berlin, "2026-03-29T01:59:59+01:00", "closed at 01:59: open every day 02:30-03:30 Europe/Berlin", "2026-03-29T03:00:00+02:00"},
		{berlin, "2026-03-29T03:29:00+02:00", "", "2026-03-29T03:29:00+02:00"},
		{berlin, "2026-10-25T02:00:00+02:00", "closed at 02:00: open every day 02:30-03:30 Europe/Berlin", "2026-10-25T02:30:00+02:00"},
		{berlin, "2026-10-25T02:10:00+01:00", "closed at 02:10: open every day 02:30-03:30 Europe/Berlin", "2026-10-25T02:30:00+01:00"},
		{`hours: "02:30-04:00", zone: Europe/Berlin`, "2026-03-29T01:00:00+01:00", "closed at 01:00: open every day 02:30-04:00 Europe/Berlin", "2026-03-29T03:00:00+02:00"},
		{twice, "2026-10-25T02:20:00+02:00", "", "2026-10-25T02:20:00+02:00"},
		{twice, "2026-10-25T02:50:00+02:00", "closed at 02:50: open every day 02:15-02:45 Europe/Berlin", "2026-10-25T02:15:00+01:00"},
		{twice, "2026-10-25T02:50:00+01:00", "closed at 02:50: open every day 02:15-02:45 Europe/Berlin", "2026-10-26T02:15:00+01:00"},
		{sunday, "2026-03-28T12:00:00+01:00", "closed on Sat: open Sun 02:00-03:00 Europe/Berlin", "2026-04-05T02:00:00+02:00"},

		{gap, "2026-03-08T01:59:00-05:00", "closed at 01:59: open every day 02:00-03:00 America/New_York", "2026-03-09T02:00:00-04:00"},
		{york, "2026-11-01T01:15:00-04:00", "", "2026-11-01T01:15:00-04:00"},
		{york, "2026-11-01T01:45:00-04:00", "closed at 01:45: open every day 01:00-01:30 America/New_York", "2026-11-01T01:00:00-05:00"},
		{york, "2026-11-01T01:45:00-05:00", "closed at 01:45: open every day 01:00-01:30 America/New_York", "2026-11-02T01:00:00-05:00"},

		{`hours: "00:00-24:00", zone: Europe/Berlin`, "2026-03-29T03:00:00+02:00", "", "2026-03-29T03:00:00+02:00"},
		{`freeze: [{from: 2026-05-01, to: 2026-05-06}]`, "2026-05-06T23:59:00Z", "frozen from 2026-05-01 to 2026-05-06", "2026-05-07T00:00:00Z"},
		{`days: [Mon]`, "2026-06-02T12:00:00Z", "closed on Tue: open Mon 00:00-24:00 UTC", "2026-06-08T00:00:00Z"},
	} {
		t.Run(c.at, func(t *testing.T) {
			w := window(t, c.window)
			assert.Equal(t, c.closed, w.Closed(at(t, c.at)))
			assert.Equal(t, c.closed == "", w.Open(at(t, c.at)))
			next, ok := w.Next(at(t, c.at))
			assert.True(t, ok)
			assert.True(t, next.Equal(at(t, c.next)), "%s, not %s", next, c.next)
		})
	}
}

func TestAWindowThatNeverOpens(t *testing.T) {
	now := at(t, "2026-06-02T12:00:00Z")
	for _, keys := range []string{`days: []`, `hours: "16:00-10:00", zone: UTC`, `freeze: [{from: 2026-01-01, to: 2028-12-31}]`} {
		_, ok := window(t, keys).Next(now)
		assert.False(t, ok, keys)
	}
	var always *release.Window
	next, ok := always.Next(now)
	assert.True(t, ok)
	assert.Equal(t, now, next)
	assert.Equal(t, "always", always.String())
}

// Next is the first open moment: nothing between is open, minute by minute.
func TestNextMissesNoOpening(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe", "America/Havana"}).Draw(t, "zone")
		from := rapid.IntRange(0, 23*60).Draw(t, "from")
		to := rapid.IntRange(from+1, 24*60).Draw(t, "to")
		w := window(t, fmt.Sprintf(`hours: "%02d:%02d-%02d:%02d", zone: %s`, from/60, from%60, to/60, to%60, zone))
		// The nights in which the clocks of these places change.
		night := rapid.SampledFrom([]string{"2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"}).Draw(t, "night")
		start := at(t, night+"T00:00:00Z").Add(time.Duration(rapid.IntRange(-24*60, 24*60).Draw(t, "minutes")) * time.Minute)
		next, ok := w.Next(start)
		require.True(t, ok)
		require.True(t, w.Open(next))
		for m := start; m.Before(next); m = m.Add(time.Minute) {
			require.False(t, w.Open(m), "%s is open before %s", m.In(w.Zone), next)
		}
	})
}

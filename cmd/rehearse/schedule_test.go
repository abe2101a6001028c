package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/clock"
)

// hourly is three weeks of hours, in Tokyo: many requests at noon, few at night.
func hourly(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("time,requests\n")
	tokyo := time.FixedZone("", 9*3600)
	for i := range 3 * 7 * 24 {
		at := time.Date(2026, 1, 5, i, 0, 0, 0, tokyo)
		perSecond := 20 * (12 - max(at.Hour()-12, 12-at.Hour()))
		fmt.Fprintf(&b, "%s,%d\n", at.Format(time.RFC3339), 3600*perSecond)
	}
	file := filepath.Join(t.TempDir(), "requests.csv")
	require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o600))
	return file
}

func sale(t *testing.T, end string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "freezes.ics")
	require.NoError(t, os.WriteFile(file, []byte("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:1\nDTSTAMP:20260101T000000Z\n"+
		"DTSTART;VALUE=DATE:20260204\nDTEND;VALUE=DATE:"+end+"\nSUMMARY:sale\nEND:VEVENT\nEND:VCALENDAR\n"), 0o600))
	return file
}

const fixture = "../../fixtures/rehearsal.yaml"

func TestOpeningsAreProposed(t *testing.T) {
	args := []string{"schedule", "--file", fixture, "--profile", hourly(t), "--freeze", sale(t, "20260205"), "--from", "2026-02-02T09:00:00+09:00"}
	out, status := run(t, nil, args...)
	require.Equal(t, 0, status, out)
	text := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"shop takes 15m11s, and 17m11s with its way back.",
		"times are of Asia/Tokyo",
		"fewest users of all openings; 180 requests a second", // 15:00, the window's last hour
		"people leave", "Mon 02", "Sun 08",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "Wed 2026-02-04", "frozen")
	assert.Contains(t, out, "x", "and drawn as such")
	for line := range strings.Lines(out) {
		assert.LessOrEqual(t, len([]rune(strings.TrimSuffix(line, "\n"))), 80, line)
	}
	again, _ := run(t, nil, args...)
	assert.Equal(t, out, again)
}

func TestAPipelineAsksWhetherItMayReleaseNow(t *testing.T) {
	ask := func(now string, more ...string) (string, int) {
		return run(t, nil, append([]string{"schedule", "--file", fixture, "--now", "--from", now}, more...)...)
	}
	out, status := ask("2026-02-03T11:00:00+09:00")
	assert.Equal(t, 0, status, out)
	assert.Contains(t, out, `open: a release by "shop" that starts now (Tue 2026-02-03 11:00 JST) is over, way back included, at Tue 2026-02-03 11:17 JST`)

	out, status = ask("2026-02-05T15:50:00+09:00")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "closed now (Thu 2026-02-05 15:50 JST): people leave at Thu 2026-02-05 16:00 JST")
	assert.Contains(t, out, "next opening: Tue 2026-02-10 10:00 JST")

	out, status = ask("2026-02-04T11:00:00+09:00", "--freeze", sale(t, "20260205"))
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "frozen from Wed 2026-02-04 until Thu 2026-02-05: sale")
	assert.Contains(t, out, "next opening: Thu 2026-02-05 10:00 JST")

	out, status = ask("2026-02-03T11:00:00+09:00", "--people-days", "Mon")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "there is no opening in the next two years")
}

func TestPlanTellsThatAReleaseWouldLastIntoAFreeze(t *testing.T) {
	file := shop(t)
	dir := filepath.Dir(file)
	// The window is open all day, but for the freeze: its last minutes before are too late.
	tokyo := time.FixedZone("JST", 9*3600)
	now := clock.Wall().In(tokyo)
	begins := now.AddDate(0, 0, 1)
	spoil(t, filepath.Join(dir, "release.yaml"), "  days: [Tue, Wed, Thu]\n", "")
	spoil(t, filepath.Join(dir, "release.yaml"), `"10:00-16:00"`, `"23:55-24:00"`)
	out, status := run(t, nil, "plan", "--file", file)
	require.Equal(t, 0, status, out)
	assert.NotContains(t, out, "is no opening", "the window says all")
	spoil(t, filepath.Join(dir, "release.yaml"), "{from: 2026-12-25, to: 2027-01-04, why: year end}",
		"{from: "+begins.Format(time.DateOnly)+", to: "+begins.AddDate(0, 0, 2).Format(time.DateOnly)+", why: sale}")
	out, status = run(t, nil, "plan", "--file", file)
	require.Equal(t, 0, status, out)
	next := begins.AddDate(0, 0, 3).Format(time.DateOnly)
	assert.Contains(t, out, " 23:55 JST is no opening: a release that starts then is over, way back included, at ", out)
	assert.Contains(t, out, "sale. The next opening is ")
	assert.Contains(t, out, next+" 23:55 JST.")
	out, _ = run(t, nil, "plan", "--file", file, "--lang", "ja")
	assert.Contains(t, out, "には始められません")
	assert.Contains(t, out, next)
}

func TestNoOpeningIsSaidWithItsReasonAndStatus1(t *testing.T) {
	out, status := run(t, nil, "schedule", "--file", fixture, "--profile", hourly(t), "--freeze", sale(t, "20260401"), "--from", "2026-02-03T17:00:00+09:00")
	assert.Equal(t, 1, status, out)
	assert.Contains(t, out, "there is no opening from Tue 2026-02-03 17:00 JST to Tue 2026-02-17 17:00 JST")
	assert.Contains(t, out, "are frozen (Wed 2026-02-04 10:00 JST")
	assert.Contains(t, out, "look further ahead with --days, or shorten the freeze")
}

func TestBadInputOfASchedule(t *testing.T) {
	gap := filepath.Join(t.TempDir(), "gap.csv")
	require.NoError(t, os.WriteFile(gap, []byte("time,requests\n2026-01-05T00:00:00+09:00,1\n2026-01-05T02:00:00+09:00,1\n"), 0o600))
	open := shop(t)
	plan := filepath.Join(filepath.Dir(open), "release.yaml")
	data, err := os.ReadFile(plan)
	require.NoError(t, err)
	before, _, _ := strings.Cut(string(data), "window:")
	require.NoError(t, os.WriteFile(plan, []byte(before), 0o600))
	for wrong, args := range map[string][]string{
		"--profile: needs the hourly requests of a week":   {},
		"gap.csv: 1 hours are missing: Mon 2026-01-05 01:": {"--profile", gap, "--gaps", "refuse"},
		"gap.csv: nothing is known of 166 hours":           {"--profile", gap},
		`--gaps "guess": it is fill, zero or refuse`:       {"--gaps", "guess"},
		`--from "tomorrow": want a moment`:                 {"--from", "tomorrow"},
		"--days 0: want from 1 to 366":                     {"--days", "0"},
		"--show 0: want 1 or more":                         {"--show", "0"},
		"--requests-per-user 0: want":                      {"--requests-per-user", "0"},
		`unknown time zone "Mars"`:                         {"--zone", "Mars"},
		`"9 to 5" are not hours`:                           {"--people-hours", "9 to 5"},
		`"18:00-09:00" end as they begin, or before`:       {"--people-hours", "18:00-09:00"},
		`unknown day "Caturday"`:                           {"--people-days", "Mon,Caturday"},
		"not after it begins at 2026-02-04 00:00":          {"--freeze", sale(t, "20260201")},
		"a calendar cannot be read":                        {"--freeze", "none.ics"},
		"a profile of traffic cannot be read":              {"--profile", "none.csv"},
		"has no window, so it is not known when":           {"--file", open},
	} {
		out, status := run(t, nil, append([]string{"schedule", "--file", fixture}, args...)...)
		assert.Equal(t, 2, status, "%s\n%s", args, out)
		assert.Contains(t, out, wrong)
	}
	out, status := run(t, nil, "schedule", "--file", open, "--people-hours", "09:00-17:00", "--zone", "Asia/Tokyo", "--profile", hourly(t), "--from", "2026-02-02T09:00:00+09:00")
	assert.Equal(t, 0, status, out)
}

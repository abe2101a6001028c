package schedule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// calendar is an iCalendar file with these lines in its events.
func calendar(events ...string) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//calendar//EN\r\n")
	for _, e := range events {
		b.WriteString("BEGIN:VEVENT\r\nUID:1@example.com\r\nDTSTAMP:20250101T000000Z\r\n" + strings.ReplaceAll(e, "\n", "\r\n") + "\r\nEND:VEVENT\r\n")
	}
	b.WriteString("END:VCALENDAR\r\n")
	return b.String()
}

func freezes(t *testing.T, text string) []Freeze {
	t.Helper()
	f, err := ParseFreezes("f.ics", []byte(text), zone(t, "Europe/Berlin"), at(t, "2026-01-01 00:00 +0100"), at(t, "2028-01-01 00:00 +0100"))
	require.NoError(t, err)
	return f
}

func TestEventsAreFreezes(t *testing.T) {
	for name, c := range map[string]struct {
		event string
		want  []string // from, to
	}{
		"days":                     {"DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20270104", []string{"2026-12-24 00:00 +0100", "2027-01-04 00:00 +0100"}},
		"one day":                  {"DTSTART;VALUE=DATE:20261224", []string{"2026-12-24 00:00 +0100", "2026-12-25 00:00 +0100"}},
		"a day of 23 hours":        {"DTSTART;VALUE=DATE:20260329", []string{"2026-03-29 00:00 +0100", "2026-03-30 00:00 +0200"}},
		"UTC":                      {"DTSTART:20260601T100000Z\nDTEND:20260601T120000Z", []string{"2026-06-01 12:00 +0200", "2026-06-01 14:00 +0200"}},
		"another zone":             {"DTSTART;TZID=Asia/Tokyo:20260601T100000\nDURATION:PT2H", []string{"2026-06-01 10:00 +0900", "2026-06-01 12:00 +0900"}},
		"the zone of the people":   {"DTSTART:20260601T100000\nDTEND:20260601T120000", []string{"2026-06-01 10:00 +0200", "2026-06-01 12:00 +0200"}},
		"began before, ends later": {"DTSTART;VALUE=DATE:20251224\nDTEND;VALUE=DATE:20260104", []string{"2025-12-24 00:00 +0100", "2026-01-04 00:00 +0100"}},
		"over":                     {"DTSTART;VALUE=DATE:20251201\nDTEND;VALUE=DATE:20251224", nil},
		"cancelled":                {"DTSTART;VALUE=DATE:20261224\nSTATUS:CANCELLED", nil},
		"every year":               {"DTSTART;VALUE=DATE:20201224\nDTEND;VALUE=DATE:20201226\nRRULE:FREQ=YEARLY", []string{"2026-12-24 00:00 +0100", "2026-12-26 00:00 +0100", "2027-12-24 00:00 +0100", "2027-12-26 00:00 +0100"}},
		"every week, but one":      {"DTSTART;TZID=Europe/Berlin:20260306T160000\nDTEND;TZID=Europe/Berlin:20260306T180000\nRRULE:FREQ=WEEKLY;COUNT=5\nEXDATE;TZID=Europe/Berlin:20260313T160000,20260320T160000", []string{"2026-03-06 16:00 +0100", "2026-03-06 18:00 +0100", "2026-03-27 16:00 +0100", "2026-03-27 18:00 +0100", "2026-04-03 16:00 +0200", "2026-04-03 18:00 +0200"}},
		"more dates":               {"DTSTART;VALUE=DATE:20260501\nRDATE;VALUE=DATE:20260601,20260701", []string{"2026-05-01 00:00 +0200", "2026-05-02 00:00 +0200", "2026-06-01 00:00 +0200", "2026-06-02 00:00 +0200", "2026-07-01 00:00 +0200", "2026-07-02 00:00 +0200"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := freezes(t, calendar(c.event+"\nSUMMARY:year end"))
			require.Len(t, got, len(c.want)/2)
			for i, f := range got {
				assert.True(t, f.From.Equal(at(t, c.want[2*i])), "%s, want %s", f.From, c.want[2*i])
				assert.True(t, f.To.Equal(at(t, c.want[2*i+1])), "%s, want %s", f.To, c.want[2*i+1])
				assert.Equal(t, "year end", f.Why)
			}
		})
	}
	got := freezes(t, calendar("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20270104\nSUMMARY:year\x1b[31m end"))
	assert.Equal(t, "frozen from Thu 2026-12-24 until Mon 2027-01-04: year [31m end", got[0].String(), "nothing of a calendar controls a terminal")
}

func TestABadCalendarTellsFileLineAndRemedy(t *testing.T) {
	fine := "DTSTART;VALUE=DATE:20261224"
	for name, c := range map[string]struct{ text, wrong string }{
		"end before start": {calendar(fine, "DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261220\nSUMMARY:year end"), `f.ics:9: "year end": ends at 2026-12-20 00:00, not after it begins at 2026-12-24 00:00: swap them`},
		"end at start":     {calendar("DTSTART:20261224T100000Z\nDTEND:20261224T100000Z"), "f.ics:4: ends at 2026-12-24 10:00, not after"},
		"no end":           {calendar("DTSTART:20261224T100000Z"), "f.ics:4: has no DTEND"},
		"no start":         {calendar("SUMMARY:year end"), `f.ics:4: "year end": has no DTSTART`},
		"wrong zone":       {calendar("DTSTART;TZID=Mars/Olympus:20261224T100000\nDURATION:PT1H"), `f.ics:4: DTSTART: unknown time zone "Mars/Olympus": want a name of the IANA database`},
		"Outlook's zone":   {calendar("DTSTART;TZID=Tokyo Standard Time:20261224T100000\nDURATION:PT1H"), `unknown time zone "Tokyo Standard Time"`},
		"wrong day":        {calendar("DTSTART;VALUE=DATE:20261324"), `f.ics:4: DTSTART: "20261324" is not a day such as 20261224`},
		"wrong duration":   {calendar("DTSTART:20261224T100000Z\nDURATION:long"), `f.ics:4: DURATION: "long" is not one`},
		"wrong rule":       {calendar(fine + "\nRRULE:FREQ=SOMETIMES"), `f.ics:4: RRULE: "FREQ=SOMETIMES" is not a rule such as FREQ=YEARLY`},
		"every second":     {calendar(fine + "\nRRULE:FREQ=SECONDLY"), `f.ics:4: RRULE: "FREQ=SECONDLY" comes back more often than once a day`},
		"wrong exception":  {calendar(fine + "\nRRULE:FREQ=YEARLY\nEXDATE:soon"), `f.ics:4: EXDATE: "soon" is not a day`},
		"no event":         {calendar(), "f.ics:1: there is no event in it: want a VEVENT for each freeze"},
		"empty":            {"", "f.ics:1: there is no event in it"},
		"not a calendar":   {"days:\n  - christmas\n", "f.ics:"},
		"cut short":        {strings.TrimSuffix(calendar(fine), "END:VEVENT\r\nEND:VCALENDAR\r\n"), "f.ics:4: this is not an iCalendar file"},
		"a line of prose":  {strings.Replace(calendar(fine), "UID", "Merry Christmas\r\nUID", 1), "f.ics:5: this is not an iCalendar file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseFreezes("f.ics", []byte(c.text), zone(t, "Europe/Berlin"), at(t, "2026-01-01 00:00 +0100"), at(t, "2028-01-01 00:00 +0100"))
			require.ErrorContains(t, err, c.wrong)
		})
	}
	_, err := ReadFreezes(filepath.Join(t.TempDir(), "none.ics"), time.UTC, time.Time{}, time.Time{})
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzParseFreezes(f *testing.F) {
	for _, e := range []string{"DTSTART;VALUE=DATE:20261224", "DTSTART:20261224T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "DTSTART;TZID=Asia/Tokyo:20261224T100000\nDTEND:20261225T000000Z\nEXDATE:20261224"} {
		f.Add([]byte(calendar(e)))
	}
	f.Add([]byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;X=\"a\"b:1\nEND:VEVENT\nEND:VCALENDAR\n"))
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := ParseFreezes("f.ics", data, time.UTC, from, to)
		if err != nil {
			require.Contains(t, err.Error(), "f.ics:")
			return
		}
		for _, one := range all {
			require.True(t, one.From.Before(one.To))
		}
	})
}

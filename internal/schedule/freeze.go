package schedule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-ical"
	"github.com/teambition/rrule-go"
)

// A Freeze is a span in which nothing is released: From is in it, To is not.
type Freeze struct {
	From, To time.Time
	Why      string
}

// String is "frozen from Thu 2026-12-24 to Mon 2027-01-04: year end".
func (f Freeze) String() string {
	const day, moment = "Mon 2006-01-02", "Mon 2006-01-02 15:04 MST"
	layout := moment
	if midnight(f.From) && midnight(f.To) {
		layout = day
	}
	s := fmt.Sprintf("frozen from %s until %s", f.From.Format(layout), f.To.Format(layout))
	if f.Why != "" {
		s += ": " + f.Why
	}
	return s
}

func midnight(t time.Time) bool { return t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0 }

const (
	// mostCalendar is more than any calendar of freezes, in bytes.
	mostCalendar = 4 << 20
	// mostFreezes is how many times one event may come back.
	mostFreezes = 10_000
)

// ReadFreezes reads the events of an iCalendar file (RFC 5545) that touch the span from
// one moment to another: each is a freeze. Days and times without a zone are of zone.
func ReadFreezes(path string, zone *time.Location, from, to time.Time) ([]Freeze, error) {
	data, err := readFile(path, mostCalendar, "a calendar")
	if err != nil {
		return nil, err
	}
	return ParseFreezes(path, data, zone, from, to)
}

// ParseFreezes is ReadFreezes of data; name is the file that errors speak of.
func ParseFreezes(name string, data []byte, zone *time.Location, from, to time.Time) (freezes []Freeze, err error) {
	lines := eventLines(data)
	line := 1
	defer func() {
		// The libraries panic at some input that is not what the standard allows.
		if broken := recover(); broken != nil {
			freezes, err = nil, fmt.Errorf("%s:%d: this is not what iCalendar (RFC 5545) allows: %v", name, line, broken)
		}
	}()
	dec := ical.NewDecoder(bytes.NewReader(data))
	var wrong []error
	found := 0
	for {
		cal, err := dec.Decode()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: this is not an iCalendar file (%s): want what calendars export as .ics",
				name, lineOfError(data, lines, found), strings.TrimPrefix(err.Error(), "ical: "))
		}
		for _, e := range cal.Events() {
			if found < len(lines) {
				line = lines[found]
			}
			found++
			all, err := occurrences(e, zone, from, to)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s:%d: %s%w", name, line, title(e), err))
			}
			freezes = append(freezes, all...)
		}
	}
	if found < len(lines) { // the library takes a file that is cut short for one that ends
		return nil, fmt.Errorf("%s:%d: this is not an iCalendar file (it ends before this event's END:VEVENT and END:VCALENDAR): was it cut short?", name, lines[found])
	}
	if found == 0 {
		return nil, fmt.Errorf("%s:1: there is no event in it: want a VEVENT for each freeze, or leave the file out", name)
	}
	slices.SortStableFunc(freezes, func(a, b Freeze) int { return a.From.Compare(b.From) })
	return freezes, errors.Join(wrong...)
}

// eventLines is where each event begins, since the library does not say.
func eventLines(data []byte) (lines []int) {
	n := 0
	for l := range bytes.Lines(data) {
		n++
		if strings.EqualFold(strings.TrimSpace(string(l)), "BEGIN:VEVENT") {
			lines = append(lines, n)
		}
	}
	return lines
}

// lineOfError is the first line that is not a property, where that is what is wrong, or
// the event that was being read.
func lineOfError(data []byte, events []int, found int) int {
	n := 0
	for l := range bytes.Lines(data) {
		n++
		text := strings.TrimRight(string(l), "\r\n")
		if text != "" && text[0] != ' ' && text[0] != '\t' && !strings.Contains(text, ":") {
			return n
		}
	}
	if found < len(events) {
		return events[found]
	}
	return 1
}

func title(e ical.Event) string {
	if s := summary(e); s != "" {
		return fmt.Sprintf("%q: ", s)
	}
	return ""
}

func summary(e ical.Event) string {
	s, err := e.Props.Text(ical.PropSummary)
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// occurrences is each time that an event comes, as far as it touches the span.
func occurrences(e ical.Event, zone *time.Location, from, to time.Time) ([]Freeze, error) {
	if status := e.Props.Get(ical.PropStatus); status != nil && strings.EqualFold(status.Value, string(ical.EventCancelled)) {
		return nil, nil
	}
	prop := e.Props.Get(ical.PropDateTimeStart)
	if prop == nil {
		return nil, errors.New("has no DTSTART: want the day or moment at which the freeze begins")
	}
	start, err := moment(prop, zone)
	if err != nil {
		return nil, err
	}
	end, err := ending(e, prop, start, zone)
	if err != nil {
		return nil, err
	}
	if !end.After(start) {
		const layout = "2006-01-02 15:04"
		return nil, fmt.Errorf("ends at %s, not after it begins at %s: swap them (the end of days is the day after the last)", end.Format(layout), start.Format(layout))
	}
	starts, err := recurrences(e, start, zone, from.Add(start.Sub(end)-25*time.Hour), to)
	if err != nil {
		return nil, err
	}
	days := allDay(prop)
	var all []Freeze
	for _, s := range starts {
		f := Freeze{From: s, To: s.Add(end.Sub(start)), Why: summary(e)}
		if days { // a day on which the clocks change is shorter or longer
			f.To = s.AddDate(0, 0, int(end.Sub(start).Round(24*time.Hour)/(24*time.Hour)))
		}
		if f.From.Before(to) && f.To.After(from) {
			all = append(all, f)
		}
	}
	return all, nil
}

func allDay(p *ical.Prop) bool {
	return p.ValueType() == ical.ValueDate || len(p.Value) == len("20060102")
}

// moment reads a property's day or moment.
func moment(p *ical.Prop, zone *time.Location) (time.Time, error) {
	if id := p.Params.Get(ical.PropTimezoneID); id != "" {
		if _, err := time.LoadLocation(id); err != nil || id == "Local" {
			return time.Time{}, fmt.Errorf("%s: unknown time zone %q: want a name of the IANA database, such as Asia/Tokyo or Europe/Berlin", p.Name, id)
		}
	}
	t, err := p.DateTime(zone)
	if err != nil {
		return t, fmt.Errorf("%s: %q is not a day such as 20261224 or a moment such as 20261224T180000Z", p.Name, p.Value)
	}
	return t, nil
}

func ending(e ical.Event, start *ical.Prop, from time.Time, zone *time.Location) (time.Time, error) {
	if p := e.Props.Get(ical.PropDateTimeEnd); p != nil {
		return moment(p, zone)
	}
	if p := e.Props.Get(ical.PropDuration); p != nil {
		d, err := p.Duration()
		if err != nil {
			return from, fmt.Errorf("DURATION: %q is not one such as PT12H or P3D", p.Value)
		}
		return from.Add(d), nil
	}
	if allDay(start) {
		return from.AddDate(0, 0, 1), nil
	}
	return from, errors.New("has no DTEND: want the moment at which the freeze ends")
}

// recurrences is when an event begins, each time, in a span.
func recurrences(e ical.Event, start time.Time, zone *time.Location, from, to time.Time) ([]time.Time, error) {
	p := e.Props.Get(ical.PropRecurrenceRule)
	also, err := moments(e, ical.PropRecurrenceDates, zone)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return append([]time.Time{start}, also...), nil
	}
	o, err := rrule.StrToROption(p.Value)
	if err != nil {
		return nil, fmt.Errorf("RRULE: %q is not a rule such as FREQ=YEARLY (%w)", p.Value, err)
	}
	if o.Freq > rrule.DAILY {
		return nil, fmt.Errorf("RRULE: %q comes back more often than once a day: a freeze is of days or hours, FREQ=DAILY at most", p.Value)
	}
	o.Dtstart = start
	rule, err := rrule.NewRRule(*o)
	if err != nil {
		return nil, fmt.Errorf("RRULE: %q cannot be followed (%w)", p.Value, err)
	}
	not, err := moments(e, ical.PropExceptionDates, zone)
	if err != nil {
		return nil, err
	}
	var all []time.Time
	next := rule.Iterator()
	for t, more := next(); more && t.Before(to); t, more = next() {
		if t.Before(from) || slices.ContainsFunc(not, t.Equal) {
			continue
		}
		if all = append(all, t); len(all) > mostFreezes {
			return nil, fmt.Errorf("RRULE: %q comes back more than %d times: want a rule for fewer", p.Value, mostFreezes)
		}
	}
	return append(all, also...), nil
}

// moments reads every day or moment of the properties with that name.
func moments(e ical.Event, name string, zone *time.Location) (all []time.Time, err error) {
	for _, p := range e.Props[name] {
		for _, value := range strings.Split(p.Value, ",") {
			one := p
			one.Value = value
			t, err := moment(&one, zone)
			if err != nil {
				return nil, err
			}
			all = append(all, t)
		}
	}
	return all, nil
}

// readFile reads a file that is no longer than most bytes.
func readFile(path string, most int64, what string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", what, err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", what, err)
	case int64(len(data)) > most:
		return nil, fmt.Errorf("%s: longer than %d bytes: that is not %s", path, most, what)
	}
	return data, nil
}

package schedule

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Profile is how many requests users send, by the hour of the week: what is known of
// past weeks is taken for the weeks to come. Hours are those of a zone's clocks, since
// people live by them.
type Profile struct {
	zone   *time.Location
	week   [hoursOfWeek]float64 // requests per second
	Filled []time.Time          // hours that were missing, and taken from other weeks or as 0
	From   time.Time            // of the first hour that is known
	To     time.Time            // the end of the last
}

const (
	hoursOfWeek = 7 * 24
	// mostProfile and mostHours are more than any profile: two years and a half of hours.
	mostProfile = 8 << 20
	mostHours   = 22_000
)

// A Gaps is what to do about hours that are missing. It is a closed set.
type Gaps string

const (
	FillGaps   Gaps = "fill"   // take the mean of the same hour of other weeks
	ZeroGaps   Gaps = "zero"   // nobody came: CloudWatch has no data where it counted nothing
	RefuseGaps Gaps = "refuse" // refuse the profile
)

// ProfileOptions say how a profile is read.
type ProfileOptions struct {
	Zone   *time.Location
	Gaps   Gaps
	Metric string // the Id or Label of the series, where the file has several
}

// An hour is one row.
type hour struct {
	at       time.Time
	requests float64
	line     int
}

// ReadProfile reads hourly numbers of requests: what `aws cloudwatch get-metric-data`
// prints of a RequestCount (Period 3600, Stat Sum), or CSV with a time and a number in
// each line. The hours must follow each other, in either direction, as AWS prints the
// newest first. An error tells file and line.
func ReadProfile(path string, o ProfileOptions) (*Profile, error) {
	data, err := readFile(path, mostProfile, "a profile of traffic")
	if err != nil {
		return nil, err
	}
	return ParseProfile(path, data, o)
}

// ParseProfile is ReadProfile of data; name is the file that errors speak of.
func ParseProfile(name string, data []byte, o ProfileOptions) (*Profile, error) {
	var hours []hour
	var err error
	if text := bytes.TrimLeft(data, " \t\r\n\ufeff"); len(text) > 0 && text[0] == '{' {
		hours, err = parseMetricData(name, data, o.Metric)
	} else {
		hours, err = parseCSV(name, data)
	}
	if err != nil {
		return nil, err
	}
	if hours, err = ordered(name, hours); err != nil {
		return nil, err
	}
	return newProfile(name, hours, o)
}

// ordered is the hours, the oldest first.
func ordered(name string, hours []hour) ([]hour, error) {
	switch {
	case len(hours) == 0:
		return nil, fmt.Errorf("%s:1: there are no hours in it: want a week of hours at least, each with its number of requests", name)
	case len(hours) > mostHours:
		return nil, fmt.Errorf("%s: %d hours: at most %d are read, ask for the last weeks only", name, len(hours), mostHours)
	}
	if len(hours) > 1 && hours[1].at.Before(hours[0].at) {
		slices.Reverse(hours) // as AWS prints them
	}
	for i, h := range hours[1:] {
		switch before, d := hours[i], h.at.Sub(hours[i].at); {
		case d == 0:
			return nil, fmt.Errorf("%s:%d: %s was said already, in line %d: take one of them out", name, max(h.line, before.line), told(h.at), min(h.line, before.line))
		case d < 0:
			return nil, fmt.Errorf("%s:%d: %s is out of order, beside %s in line %d: sort the hours by their time", name, h.line, told(h.at), told(before.at), before.line)
		case d%time.Hour != 0:
			return nil, fmt.Errorf("%s:%d: %s is %v from its neighbour, %s in line %d: want one number for each hour (--period 3600)",
				name, h.line, told(h.at), d, told(before.at), before.line)
		}
	}
	return hours, nil
}

func told(t time.Time) string { return t.Format("2006-01-02 15:04 -07:00") }

// newProfile makes a week of hours that are in order.
func newProfile(name string, hours []hour, o ProfileOptions) (*Profile, error) {
	p := &Profile{zone: o.Zone, From: hours[0].at, To: hours[len(hours)-1].at.Add(time.Hour)}
	for _, h := range hours {
		if !(h.requests >= 0) || math.IsInf(h.requests, 0) {
			return nil, fmt.Errorf("%s:%d: %g requests: want 0 or more", name, h.line, h.requests)
		}
	}
	var missing []time.Time
	known := map[int64]bool{}
	for _, h := range hours {
		known[h.at.Unix()] = true
	}
	// Without bound a single wrong year would be millions of hours.
	if p.To.Sub(p.From) > mostHours*time.Hour {
		return nil, fmt.Errorf("%s:%d: the hours are %d days apart, from %s to %s: is one of the years wrong?", name, hours[len(hours)-1].line, int(p.To.Sub(p.From).Hours()/24), told(p.From), told(p.To))
	}
	for t := p.From; t.Before(p.To); t = t.Add(time.Hour) {
		if !known[t.Unix()] {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 && o.Gaps == RefuseGaps {
		return nil, fmt.Errorf("%s: %d hours are missing: %s: add them, or say what they were: fill them from other weeks, or zero", name, len(missing), p.spans(missing))
	}
	var sum [hoursOfWeek]float64
	var n [hoursOfWeek]int
	for _, h := range hours {
		k := p.hourOf(h.at)
		sum[k] += h.requests / time.Hour.Seconds()
		n[k]++
	}
	if o.Gaps == ZeroGaps {
		for _, t := range missing {
			n[p.hourOf(t)]++
		}
	}
	p.Filled = missing
	var never []string
	for k := range sum {
		if n[k] == 0 {
			never = append(never, fmt.Sprintf("%s %02d:00", dayOf(k).String()[:3], k%24))
			continue
		}
		p.week[k] = sum[k] / float64(n[k])
	}
	if len(never) > 0 {
		return nil, fmt.Errorf("%s: nothing is known of %d hours of the week (%s, by the clocks of %s): want a week of hours at least, and where an hour is missing the same one of another week; or, where nobody came, take them as zero",
			name, len(never), few(never), o.Zone)
	}
	return p, nil
}

// spans is the hours as spans, the first few.
func (p *Profile) spans(hours []time.Time) string {
	var all []string
	for i := 0; i < len(hours); {
		j := i
		for j+1 < len(hours) && hours[j+1].Sub(hours[j]) == time.Hour {
			j++
		}
		s := hours[i].In(p.zone).Format("Mon 2006-01-02 15:04")
		if j > i {
			s += hours[j].Add(time.Hour).In(p.zone).Format(" to Mon 2006-01-02 15:04")
		}
		all = append(all, s)
		i = j + 1
	}
	return few(all)
}

// Missing says which hours were missing, and "" where none was.
func (p *Profile) Missing() string {
	if len(p.Filled) == 0 {
		return ""
	}
	return p.spans(p.Filled)
}

// few is the first of many.
func few(all []string) string {
	const most = 4
	if len(all) > most {
		return strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", len(all)-most)
	}
	return strings.Join(all, ", ")
}

// hourOf is the hour of the week, from Monday's first.
func (p *Profile) hourOf(t time.Time) int {
	local := t.In(p.zone)
	return (int(local.Weekday())+6)%7*24 + local.Hour()
}

func dayOf(hourOfWeek int) time.Weekday { return time.Weekday((hourOfWeek/24 + 1) % 7) }

// Rate is how many requests per second are expected at a moment.
func (p *Profile) Rate(t time.Time) float64 { return p.week[p.hourOf(t)] }

// Busiest is the rate of the busiest hour.
func (p *Profile) Busiest() float64 { return slices.Max(p.week[:]) }

// Least is the smallest rate in a span, and from when on it is that small.
func (p *Profile) Least(from, to time.Time) (at time.Time, rate float64) {
	at, rate = from, p.Rate(from)
	for t := p.nextHour(from); t.Before(to); t = p.nextHour(t) {
		if r := p.Rate(t); r < rate {
			at, rate = t, r
		}
	}
	return at, rate
}

// nextHour is when the next hour of the zone's clocks begins.
func (p *Profile) nextHour(t time.Time) time.Time {
	local := t.In(p.zone)
	past := time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
	return t.Add(time.Hour - past)
}

// parseCSV reads lines of a time and a number; a first line of words is a heading.
func parseCSV(name string, data []byte) (hours []hour, err error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.Comment, r.ReuseRecord = -1, true, '#', true
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return hours, nil
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			return nil, fmt.Errorf("%s:%d: this is not CSV: %w", name, wrong.Line, wrong.Err)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		if len(row) != 2 {
			return nil, fmt.Errorf("%s:%d: %d columns: want a time and a number of requests, such as 2026-01-05T09:00:00+09:00,7200", name, line, len(row))
		}
		at, timeErr := parseTime(row[0])
		n, numberErr := strconv.ParseFloat(strings.TrimSpace(row[1]), 64)
		switch {
		case timeErr != nil && numberErr != nil && len(hours) == 0 && line == 1:
			continue // a heading
		case timeErr != nil:
			return nil, fmt.Errorf("%s:%d: %w", name, line, timeErr)
		case numberErr != nil:
			return nil, fmt.Errorf("%s:%d: %q is not a number of requests", name, line, row[1])
		}
		if hours = append(hours, hour{at, n, line}); len(hours) > mostHours {
			return hours, nil
		}
	}
}

// parseTime reads a moment, which must say its offset: without, nobody knows which of
// the two hours is meant when the clocks are put back.
func parseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02 15"} {
		if _, err := time.Parse(layout, s); err == nil {
			return time.Time{}, fmt.Errorf("%q does not say its time zone: write the offset, such as 2026-01-05T09:00:00+09:00, or Z for UTC", s)
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: want one such as 2026-01-05T09:00:00+09:00", s)
}

// metricData is what `aws cloudwatch get-metric-data --output json` prints.
type metricData struct {
	MetricDataResults []struct {
		Id, Label, StatusCode string
		Timestamps            []string
		Values                []float64
	}
	NextToken string
	Messages  []struct{ Code, Value string }
}

func parseMetricData(name string, data []byte, metric string) ([]hour, error) {
	var d metricData
	if err := json.Unmarshal(data, &d); err != nil {
		line := 1
		var syntax *json.SyntaxError
		var typed *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			line = lineAt(data, syntax.Offset)
		case errors.As(err, &typed):
			line = lineAt(data, typed.Offset)
		}
		return nil, fmt.Errorf("%s:%d: this is not what aws cloudwatch get-metric-data --output json prints: %w", name, line, err)
	}
	for _, m := range d.Messages {
		return nil, fmt.Errorf("%s: AWS says that it is not complete: %s: %s", name, m.Code, m.Value)
	}
	if d.NextToken != "" {
		return nil, fmt.Errorf("%s: it is only the first page (it has a NextToken): ask without --max-items", name)
	}
	var ids []string
	chosen := -1
	for i, r := range d.MetricDataResults {
		ids = append(ids, fmt.Sprintf("%s (%s)", r.Id, r.Label))
		if metric == r.Id || metric == r.Label || metric == "" && len(d.MetricDataResults) == 1 {
			chosen = i
		}
	}
	if chosen < 0 {
		if len(ids) == 0 {
			return nil, fmt.Errorf(`%s:1: there is no "MetricDataResults" in it: want what aws cloudwatch get-metric-data --output json prints`, name)
		}
		return nil, fmt.Errorf("%s: which series is the requests of the service? There are %s: name one with --metric", name, strings.Join(ids, ", "))
	}
	r := d.MetricDataResults[chosen]
	if r.StatusCode != "" && r.StatusCode != "Complete" {
		return nil, fmt.Errorf("%s: the series %s is %s, not Complete: ask AWS again", name, ids[chosen], r.StatusCode)
	}
	if len(r.Timestamps) != len(r.Values) {
		return nil, fmt.Errorf("%s: the series %s has %d times and %d values: was it edited?", name, ids[chosen], len(r.Timestamps), len(r.Values))
	}
	lines := timestampLines(data, chosen)
	var hours []hour
	for i, text := range r.Timestamps {
		line := 1
		if i < len(lines) {
			line = lines[i]
		}
		at, err := parseTime(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		hours = append(hours, hour{at, r.Values[i], line})
	}
	return hours, nil
}

func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
}

// timestampLines is where each timestamp of a series stands. encoding/json does not
// tell, so this follows the tokens: the strings of the list under the series' key
// "Timestamps".
func timestampLines(data []byte, series int) (lines []int) {
	d := json.NewDecoder(bytes.NewReader(data))
	depth, results, key, list := 0, -1, "", false
	for {
		token, err := d.Token()
		if err != nil {
			return lines
		}
		switch token {
		case json.Delim('{'):
			if depth++; depth == 3 {
				results++
			}
		case json.Delim('['):
			depth++
			list = depth == 4 && strings.EqualFold(key, "Timestamps") && results == series
		case json.Delim('}'), json.Delim(']'):
			depth--
			list = false
		default:
			if s, ok := token.(string); ok {
				if list {
					lines = append(lines, lineAt(data, d.InputOffset()))
				} else if depth == 3 {
					key = s
				}
			}
		}
	}
}

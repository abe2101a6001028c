package parity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Waiver says that a difference is wanted.
type Waiver struct {
	What    string `json:"what"` // "shop cpu": as the ledger names it
	Reason  string `json:"reason"`
	Owner   string `json:"owner"`
	Expires Date   `json:"expires"`
	// Staging and Production are the values that it holds for; nil holds for any.
	Staging    *string `json:"-"`
	Production *string `json:"-"`
	File       string  `json:"file"`
	Line       int     `json:"line"`
}

// Where is file:line.
func (w Waiver) Where() string { return fmt.Sprintf("%s:%d", w.File, w.Line) }

// A Date is a day of the calendar, without a time or a zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf is the day of t, where t is.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// MarshalText is String.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Before says that d is an earlier day.
func (d Date) Before(other Date) bool { return d.String() < other.String() }

// expired says that the waiver holds no more: it does on its last day.
func (w Waiver) expired(today time.Time) bool { return w.Expires.Before(DateOf(today)) }

// holds says that the waiver is for d.
func (w Waiver) holds(d Difference) bool {
	return w.What == d.What() && (w.Staging == nil || *w.Staging == d.Staging) && (w.Production == nil || *w.Production == d.Production)
}

// waive gives each difference its waiver, and finds those that expired or are for
// nothing. A harmless difference needs none.
func (c *comparison) waive() {
	for i := range c.Waivers {
		w := c.Waivers[i]
		matches := false
		for j := range c.ledger.Differences {
			d := &c.ledger.Differences[j]
			if d.Standing == Harmless || !w.holds(*d) {
				continue
			}
			matches = true
			d.Waiver = &w
			if w.expired(c.Today) {
				d.Why = fmt.Sprintf("its waiver expired on %s (%s)", w.Expires, w.Where())
				d.Standing = Open
				continue
			}
			d.Standing, d.Why = Waived, w.Reason
		}
		switch {
		case w.expired(c.Today):
			c.ledger.Expired = append(c.ledger.Expired, w)
		case !matches:
			c.ledger.Stale = append(c.ledger.Stale, w)
		}
	}
}

const wantWaivers = "a list of waivers, each with what, reason, owner and expires"

// ParseWaivers reads a file of waivers. Its error joins all that is wrong, with file
// and line.
func ParseWaivers(file string, data []byte) ([]Waiver, error) {
	var errs []error
	wrong := func(line int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s:%d: %s", file, max(line, 1), fmt.Sprintf(format, args...)))
	}
	var root yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&root); errors.Is(err, io.EOF) {
		return nil, nil // only comments: nothing is waived any more
	} else if err != nil {
		line, text := yamlError(err)
		wrong(line, "this is not YAML: %s", text)
		return nil, errors.Join(errs...)
	}
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		wrong(more.Line, "a second document begins: want %s", wantWaivers)
	}
	list := root.Content[0]
	if list.Kind == yaml.ScalarNode && list.Tag == "!!null" {
		return nil, errors.Join(errs...)
	}
	if list.Kind != yaml.SequenceNode {
		wrong(list.Line, "want %s", wantWaivers)
		return nil, errors.Join(errs...)
	}
	var all []Waiver
	lines := map[string]int{}
	for _, item := range list.Content {
		if item.Kind != yaml.MappingNode {
			wrong(item.Line, "want a waiver, with what, reason, owner and expires")
			continue
		}
		w := readWaiver(file, item, wrong)
		id := w.What
		if w.Staging != nil {
			id += "\x00" + *w.Staging
		}
		if w.Production != nil {
			id += "\x00\x00" + *w.Production
		}
		if first, twice := lines[id]; twice && w.What != "" {
			wrong(item.Line, "%q is waived already in line %d: one waiver, one owner", w.What, first)
		}
		lines[id] = item.Line
		all = append(all, w)
	}
	return all, errors.Join(errs...)
}

func readWaiver(file string, item *yaml.Node, wrong func(int, string, ...any)) Waiver {
	w := Waiver{File: file, Line: item.Line}
	seen := map[string]bool{}
	for i := 0; i+1 < len(item.Content); i += 2 {
		key, node := item.Content[i], item.Content[i+1]
		text := strings.TrimSpace(node.Value)
		if seen[key.Value] {
			wrong(key.Line, "%s is given twice", key.Value)
		}
		seen[key.Value] = true
		if node.Kind != yaml.ScalarNode {
			wrong(node.Line, "%s: want text", key.Value)
			continue
		}
		switch key.Value {
		case "what":
			w.What = strings.Join(strings.Fields(text), " ")
		case "reason":
			w.Reason = strings.Join(strings.Fields(text), " ")
		case "owner":
			w.Owner = text
		case "staging":
			w.Staging = &text
		case "production":
			w.Production = &text
		case "expires":
			day, err := time.Parse(time.DateOnly, text)
			if err != nil {
				wrong(node.Line, "expires: %q is not a day: write it as 2027-12-31", text)
				continue
			}
			w.Expires = DateOf(day)
		default:
			wrong(key.Line, "unknown key %q: here may be what, reason, owner, expires, staging, production", key.Value)
		}
	}
	for _, need := range []struct{ key, value, why string }{
		{"what", w.What, "the difference as `rehearse parity` names it, such as \"shop memory\""},
		{"reason", w.Reason, "why it is wanted"},
		{"owner", w.Owner, "who decided it, and is asked when it expires"},
	} {
		if need.value == "" {
			wrong(item.Line, "a waiver needs %q: %s", need.key, need.why)
		}
	}
	if !seen["expires"] {
		wrong(item.Line, "a waiver needs \"expires\": the last day on which it holds, such as 2027-12-31: nothing is waived for ever")
	}
	return w
}

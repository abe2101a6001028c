package watch

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"rehearsal/internal/lang"
	"rehearsal/internal/stage"
)

// logs follows the lines that the metric filters match, by their shape: lines that differ
// in numbers only are alike.
type logs struct {
	eye     *Eye
	filters []stage.MetricFilter
	redact  func(string) string
	shapes  map[string]bool // that are known
	seen    map[string]bool // by id
	until   time.Time
}

// A LogLine is the first of its shape since the release.
type LogLine struct {
	Line
	Group string
	Alike int // lines of its shape in this look, itself included
}

const (
	logBefore  = 15 * time.Minute // before the release, in which shapes are known as old
	logOverlap = 3 * time.Minute  // lines come late, too
	mostShown  = 5                // lines in a look
	longest    = 200              // columns of a line
	mostSeen   = 10_000
)

var varies = regexp.MustCompile(`[0-9a-fA-F]*[0-9][0-9a-fA-F]*`)

func shape(text string) string { return varies.ReplaceAllString(text, "#") }

// before learns what was logged before the release.
func (l *logs) before(ctx context.Context, began time.Time) error {
	l.shapes, l.seen, l.until = map[string]bool{}, map[string]bool{}, began
	for _, f := range l.filters {
		lines, _, err := l.eye.Lines(ctx, f.LogGroup, f.Pattern, began.Add(-logBefore), began.Add(-time.Millisecond))
		if err != nil {
			return err
		}
		for _, line := range lines {
			l.shapes[shape(line.Text)] = true
		}
	}
	return nil
}

// look is lines of shapes that are new, a few at most, and how many other new shapes
// there are.
func (l *logs) look(ctx context.Context, began, now time.Time) (fresh []LogLine, left int, err error) {
	from := l.until.Add(-logOverlap)
	if from.Before(began) {
		from = began
	}
	if len(l.seen) > mostSeen {
		clear(l.seen)
	}
	for _, f := range l.filters {
		lines, _, err := l.eye.Lines(ctx, f.LogGroup, f.Pattern, from, now)
		if err != nil {
			return nil, 0, err
		}
		for _, line := range lines {
			if l.seen[line.ID] {
				continue
			}
			l.seen[line.ID] = true
			s := shape(line.Text)
			if i := slices.IndexFunc(fresh, func(o LogLine) bool { return shape(o.Text) == s }); i >= 0 {
				fresh[i].Alike++
				continue
			}
			if !l.shapes[s] {
				l.shapes[s] = true
				fresh = append(fresh, LogLine{line, f.LogGroup, 1})
			}
		}
	}
	l.until = now
	left = max(0, len(fresh)-mostShown)
	fresh = fresh[:len(fresh)-left]
	for i := range fresh { // what is shown controls no terminal and holds no secret
		text := harmless(l.redact(fresh[i].Text))
		fresh[i].Text = lang.Pad(text, min(longest, lang.Columns(text)))
	}
	return fresh, left, nil
}

// harmless has no control characters, and none that turn the direction of writing.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, lang.Clean(oneLine(text)))
}

var breaks = regexp.MustCompile(`\s+`)

func oneLine(text string) string { return breaks.ReplaceAllString(text, " ") }

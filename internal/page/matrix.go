package page

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A matrix lays failures beside what noticed them.
type matrix struct {
	Columns []string // alarms that saw any; the last, "", is the release itself: its checks and health
	Silent  []string // alarms that saw none
	Rows    []*matrixRow
}

// A matrixRow is one failure, in all scenarios that have it.
type matrixRow struct {
	Failure    string // by which rows are told apart
	What       Note   // the same for people
	Scenarios  []*scenarioView
	Cells      []matrixCell // one for each column
	Undetected []seenOn     // users met it, and nothing noticed
	Unmet      bool         // no user ever met it, and nothing noticed
}

// A matrixCell is how soon one alarm saw one failure.
type matrixCell struct {
	Column string
	Seen   []seenOn // by stage
	First  bool     // nothing noticed it sooner, on one of the stages
}

// seenOn is how soon after exposure, on one stage: over several scenarios from the
// soonest to the latest.
type seenOn struct {
	Stage        string
	Least, Most  time.Duration
	BeforeAnyone bool // no user had met it
	Failed       int64
}

// matrixOf collects who noticed what; nil where nothing was ever broken.
func matrixOf(all []*scenarioView) *matrix {
	type place struct{ failure, column, stage string }
	var (
		m     = &matrix{}
		rows  = map[string]*matrixRow{}
		names = map[string]bool{} // of alarms: whether it saw any
		seen  = map[place]*seenOn{}
		first = map[[2]string]bool{} // failure, column
		own   = false
	)
	for _, s := range all {
		for _, st := range s.Stages {
			story := st.story
			at, by, detected := story.detected()
			found := story.failures
			if len(found) == 0 && story.version != "" && (detected || st.Undetected) {
				found = []exposure{{At: story.exposed, Met: story.met}} // it is in the version itself
			}
			for _, f := range found {
				label, what := f.String(), Note{"%s", []any{broken(f.Failure)}}
				if f.Kind == "" {
					label, what = story.version, Note{"%s", []any{story.version}}
				}
				row := rows[label]
				if row == nil {
					row = &matrixRow{Failure: label, What: what}
					rows[label] = row
					m.Rows = append(m.Rows, row)
				}
				if !slices.Contains(row.Scenarios, s) {
					row.Scenarios = append(row.Scenarios, s)
				}
				note := func(column string, when time.Duration) {
					p := place{label, column, st.Stage}
					took := max(0, when-f.At)
					x := seen[p]
					if x == nil {
						x = &seenOn{Stage: st.Stage, Least: took, Most: took}
						seen[p] = x
					}
					x.Least, x.Most = min(x.Least, took), max(x.Most, took)
					x.BeforeAnyone = x.BeforeAnyone || !f.Met || when < f.At
					if by == column {
						first[[2]string{label, column}] = true
					}
				}
				for name, when := range story.saw {
					names[name] = true
					note(name, when)
				}
				if detected && by == "" {
					own = true
					note("", at)
				}
				switch {
				case st.Verdict == notEnded: // nobody knows who would have
				case !detected && f.Met && f.Bad > 0:
					row.Undetected = append(row.Undetected, seenOn{Stage: st.Stage, Failed: f.Bad})
				case !detected && !f.Met:
					row.Unmet = true
				}
			}
			for name := range story.known {
				if !names[name] {
					names[name] = false // it was there, at least
				}
			}
		}
	}
	if len(m.Rows) == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] {
			m.Columns = append(m.Columns, name)
		} else {
			m.Silent = append(m.Silent, name)
		}
	}
	if own {
		m.Columns = append(m.Columns, "")
	}
	for _, row := range m.Rows {
		for _, column := range m.Columns {
			c := matrixCell{Column: column, First: first[[2]string{row.Failure, column}]}
			for _, stage := range []string{simulated, containers} {
				if x := seen[place{row.Failure, column, stage}]; x != nil {
					c.Seen = append(c.Seen, *x)
				}
			}
			row.Cells = append(row.Cells, c)
		}
		if slices.ContainsFunc(row.Cells, func(c matrixCell) bool { return len(c.Seen) > 0 }) {
			row.Unmet = false
		}
	}
	// What nothing noticed stands first.
	slices.SortStableFunc(m.Rows, func(a, b *matrixRow) int {
		return cmp.Compare(min(1, len(b.Undetected)), min(1, len(a.Undetected)))
	})
	return m
}

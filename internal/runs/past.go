package runs

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Past is what came of one scenario on one stage in a run that is over or goes on.
type Past struct {
	At       time.Time     `json:"at"` // when the run began
	Commit   string        `json:"commit,omitempty"`
	Dirty    bool          `json:"dirty"`
	Version  string        `json:"version"` // of rehearse
	Seed     uint64        `json:"seed"`
	Pace     float64       `json:"pace"`
	Released string        `json:"released,omitempty"` // the version
	Verdict  string        `json:"verdict"`
	Detect   time.Duration `json:"detect"`  // of release time, in nanoseconds; -1: it did not come
	Restore  time.Duration `json:"restore"` // likewise
	Requests int64         `json:"requests"`
	Failed   int64         `json:"failed"`
	Step     string        `json:"step,omitempty"` // the first that did not pass
	Why      string        `json:"why,omitempty"`
	Wall     time.Duration `json:"wall"` // nanoseconds
}

// Past is what came of a scenario in the last n runs that had it, newest first. A
// scenario is known by its stage, its feature's name and its own: a renamed one has
// another past.
func (s *Store) Past(stage, feature, scenario string, n int) ([]Past, error) {
	return s.PastBefore(time.UnixMilli(math.MaxInt64), stage, feature, scenario, n)
}

// PastBefore is the Past of the runs that began before a time.
func (s *Store) PastBefore(before time.Time, stage, feature, scenario string, n int) ([]Past, error) {
	rows, err := s.db.Query(pastSQL, stage, feature, scenario, before.UnixMilli(), n)
	if err != nil {
		return nil, refuse(s.file, err)
	}
	return collect(s, rows, func() (p Past, err error) {
		var began int64
		var seed string
		err = rows.Scan(&began, &p.Commit, &p.Dirty, &p.Version, &seed, &p.Pace, &p.Released, &p.Verdict, &p.Detect, &p.Restore, &p.Requests, &p.Failed, &p.Step, &p.Why, &p.Wall)
		if err == nil {
			p.Seed, err = strconv.ParseUint(seed, 10, 64)
		}
		p.At = time.UnixMilli(began).UTC()
		return p, err
	})
}

// A Line is one scenario on one stage, whose past is kept.
type Line struct {
	Stage    string `json:"stage"`
	Feature  string `json:"feature"`
	Scenario string `json:"scenario"`
	Place    string `json:"place"` // in the newest run that had it
	// Gone says that the newest run of everything on that stage that has ended had no
	// scenario of that name: it was renamed or deleted, or its file was.
	Gone bool `json:"gone"`
}

// Lines is every scenario of which something is kept, in the order of their files in the
// newest runs.
func (s *Store) Lines() ([]Line, error) {
	rows, err := s.db.Query(linesSQL)
	if err != nil {
		return nil, refuse(s.file, err)
	}
	return collect(s, rows, func() (l Line, err error) {
		return l, rows.Scan(&l.Stage, &l.Feature, &l.Scenario, &l.Place, &l.Gone)
	})
}

// A Summary is one run and how much of it passed.
type Summary struct {
	ID           int64      `json:"id"`
	Began        time.Time  `json:"began"`
	Ended        *time.Time `json:"ended"`  // nil: it goes on, or was killed
	Status       *int       `json:"status"` // nil likewise
	Service      string     `json:"service"`
	Version      string     `json:"version"` // of rehearse
	Stages       []string   `json:"stages"`
	Part         bool       `json:"part"` // not all scenarios were asked for
	Seed         uint64     `json:"seed"`
	Pace         float64    `json:"pace"`
	Commit       string     `json:"commit,omitempty"`
	Committed    *time.Time `json:"committed,omitempty"`
	Dirty        bool       `json:"dirty"`
	Passed       int        `json:"passed"`
	Failed       int        `json:"failed"`
	Inconclusive int        `json:"inconclusive"`
	// Detect and Restore are of every scenario in which they came, by stage, in
	// nanoseconds of release time.
	Detect  map[string][]time.Duration `json:"detect,omitempty"`
	Restore map[string][]time.Duration `json:"restore,omitempty"`
}

// Clean says that the run was of a commit and of nothing else.
func (s Summary) Clean() bool { return s.Commit != "" && !s.Dirty }

// Runs is the last n runs, newest first; n 0 is all.
func (s *Store) Runs(ctx context.Context, n int) ([]Summary, error) {
	if n <= 0 {
		n = -1
	}
	rows, err := s.db.QueryContext(ctx, runsSQL, n)
	if err != nil {
		return nil, refuse(s.file, err)
	}
	return collect(s, rows, func() (r Summary, err error) {
		var began int64
		var ended, committed sql.Null[int64]
		var status sql.Null[int]
		var stages, seed, measured string
		err = rows.Scan(&r.ID, &began, &ended, &status, &r.Service, &stages, &r.Part, &seed, &r.Pace, &r.Version, &r.Commit, &committed, &r.Dirty, &r.Passed, &r.Failed, &r.Inconclusive, &measured)
		if err != nil {
			return r, err
		}
		r.Began, r.Ended, r.Committed, r.Stages = time.UnixMilli(began).UTC(), instant(ended), instant(committed), strings.Fields(stages)
		if status.Valid {
			r.Status = &status.V
		}
		r.Detect, r.Restore = map[string][]time.Duration{}, map[string][]time.Duration{}
		for line := range strings.Lines(measured) {
			var stage string
			var detect, restore time.Duration
			if _, err := fmt.Sscan(line, &stage, (*int64)(&detect), (*int64)(&restore)); err != nil {
				return r, err
			}
			if detect >= 0 {
				r.Detect[stage] = append(r.Detect[stage], detect)
			}
			if restore >= 0 {
				r.Restore[stage] = append(r.Restore[stage], restore)
			}
		}
		r.Seed, err = strconv.ParseUint(seed, 10, 64)
		return r, err
	})
}

func instant(ms sql.Null[int64]) *time.Time {
	if !ms.Valid {
		return nil
	}
	t := time.UnixMilli(ms.V).UTC()
	return &t
}

// collect reads every row.
func collect[T any](s *Store, rows *sql.Rows, scan func() (T, error)) (all []T, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		one, err := scan()
		if err != nil {
			return nil, refuse(s.file, err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, refuse(s.file, err)
	}
	return all, nil
}

// A Flaky is a scenario that came out differently though nothing that is known was
// different: the same commit and nothing else, the same version of rehearse, the same
// seed and pace.
type Flaky struct {
	Stage        string   `json:"stage"`
	Feature      string   `json:"feature"`
	Scenario     string   `json:"scenario"`
	Commit       string   `json:"commit"`
	Version      string   `json:"version"`
	Seed         uint64   `json:"seed"`
	Pace         float64  `json:"pace"`
	Runs         int      `json:"runs"`
	Failed       int      `json:"failed"`
	Inconclusive int      `json:"inconclusive"`
	Verdicts     []string `json:"verdicts"` // of each run, oldest first: none is ever replaced by a later one
}

// GreenAfterRed says that the last run passed and one before it had not: a retry hid
// nothing.
func (f Flaky) GreenAfterRed() bool { return f.Verdicts[len(f.Verdicts)-1] == "passed" }

// Flaky is every scenario that came out differently at the same commit, the one that
// did so last first.
func (s *Store) Flaky(ctx context.Context) ([]Flaky, error) {
	rows, err := s.db.QueryContext(ctx, flakySQL)
	if err != nil {
		return nil, refuse(s.file, err)
	}
	return collect(s, rows, func() (f Flaky, err error) {
		var seed, verdicts string
		if err := rows.Scan(&f.Stage, &f.Feature, &f.Scenario, &f.Commit, &f.Version, &seed, &f.Pace, &f.Runs, &f.Failed, &f.Inconclusive, &verdicts); err != nil {
			return f, err
		}
		f.Verdicts = strings.Fields(verdicts)
		f.Seed, err = strconv.ParseUint(seed, 10, 64)
		return f, err
	})
}

// Package page writes what came of a rehearsal as one HTML file that people open, print
// and hand on: nothing in it comes from elsewhere.
//
// Read takes a report folder as verify left it, whole or half (read.go; features.go has
// the promises as prose, history.go reads a history however damaged). What one history
// tells is a story (story.go): who saw the failure, how everyone came back, what was
// printed. Report lays all of it out (view.go, sections.go, matrix.go, words.go) by the
// templates in page/, with the timelines of internal/chart, and packs what is large and
// went well (pack.go).
//
// A folder of which pieces are missing or damaged is a report all the same: each such
// thing is a Note, which the page shows.
package page

import (
	"slices"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/lang"
)

// A Run is what a report folder holds.
type Run struct {
	Facts    *Facts // nil where run.json is not there, or cannot be read
	Results  []*Result
	Features []*Feature
	Compared []Comparison
	Ledger   *Ledger // nil where nothing was compared with production
	Missing  []Note  // what of the folder is missing or damaged
	// Past gives the last runs of a scenario on a stage, the newest first; nil where none
	// are kept.
	Past func(stage, feature, scenario string) []Past

	dir string
}

// Facts are those of run.json that the page shows.
type Facts struct {
	Service       string            `json:"service"`
	Began         time.Time         `json:"began"`
	Ended         time.Time         `json:"ended"` // zero: the run did not end
	Status        int               `json:"status"`
	Seed          uint64            `json:"seed"`
	Pace          float64           `json:"pace"`
	Stages        []string          `json:"stages"`
	Tags          string            `json:"tags"`
	ContainerTags string            `json:"container_tags"`
	Part          bool              `json:"part"`     // some of the project's scenarios only, as asked
	Skipped       int               `json:"skipped"`  // scenarios left to the simulated stage, as asked
	LeftOut       int               `json:"left_out"` // scenarios that push to a pipeline, left out as asked
	Unverified    []string          `json:"unverified"`
	NotCompared   string            `json:"not_compared"`
	Outside       []string          `json:"outside"`
	Commit        string            `json:"commit"`
	Dirty         bool              `json:"dirty"`
	Plan          string            `json:"plan"`
	PlanFile      string            `json:"plan_file"`
	Images        map[string]string `json:"images"`
	Version       string            `json:"version"` // of rehearse
}

// A Result is a scenario on one stage, as a line of results.ndjson has it.
type Result struct {
	Stage      string         `json:"stage"`
	Where      string         `json:"where"`
	Feature    string         `json:"feature"`
	Rule       string         `json:"rule"`
	Scenario   string         `json:"scenario"`
	Verdict    string         `json:"verdict"` // that of a newer rehearse may be one that is not known here
	Input      bool           `json:"input"`
	Step       string         `json:"step"`
	Version    string         `json:"version"`
	Outcome    string         `json:"outcome"`
	Undetected bool           `json:"undetected"`
	Error      string         `json:"error"`
	Findings   []Finding      `json:"findings"`
	Measures   check.Measures `json:"measures"`
	Release    time.Duration  `json:"release"`
	Wall       time.Duration  `json:"wall"`
	History    string         `json:"history"` // where it was written
}

// A Finding is the answer to one check.
type Finding struct {
	Check   string `json:"check"`
	Verdict string `json:"verdict"`
	Detail  string `json:"detail"`
}

// A Comparison is what was predicted of a scenario and what the containers did that lies
// further apart than the tolerance.
type Comparison struct {
	Where string    `json:"where"`
	Apart []Finding `json:"apart"`
}

// A Ledger is what differs from production, as parity.json has it.
type Ledger struct {
	Staging     string       `json:"staging"`
	Production  string       `json:"production"`
	Same        int          `json:"same"`
	Differences []Difference `json:"differences"`
	Expired     []Waiver     `json:"expired"`
	Stale       []Waiver     `json:"stale"`
	Warnings    []string     `json:"warnings"`
	Notes       []string     `json:"notes"`
}

// A Difference is one field of one service.
type Difference struct {
	Service    string   `json:"service"`
	Field      string   `json:"field"`
	Staging    string   `json:"staging"`
	Production string   `json:"production"`
	Standing   string   `json:"standing"`
	Why        string   `json:"why"`
	Waiver     *Waiver  `json:"waiver"`
	Weakens    []string `json:"weakens"`
	Everything bool     `json:"everything"`
}

// A Waiver says that a difference is wanted.
type Waiver struct {
	What    string `json:"what"`
	Reason  string `json:"reason"`
	Owner   string `json:"owner"`
	Expires string `json:"expires"`
	File    string `json:"file"`
	Line    int    `json:"line"`
}

// Past is how a scenario went on a stage before.
type Past struct {
	At              time.Time
	Commit, Verdict string
	Detect, Restore time.Duration // -1: it did not happen
}

// A Note is something to tell the reader, in whichever language.
type Note struct {
	format string
	args   []any
}

func note(format string, args ...any) Note { return Note{format, args} }

// Say is the note in the language.
func (n Note) Say(l lang.Lang) string {
	args := slices.Clone(n.args)
	for i, a := range args {
		if s, ok := a.(interface{ Say(lang.Lang) string }); ok {
			args[i] = s.Say(l)
		}
	}
	return l.Sprintf(n.format, args...)
}

// The verdicts of a Result; notEnded is of one that has a history and no line.
const (
	passed       = "passed"
	failed       = "failed"
	inconclusive = "inconclusive"
	notEnded     = "not ended"
)

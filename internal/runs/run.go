// Package runs remembers rehearsals: what is known of one run (run.go, git.go), kept
// as run.json in its report folder, and what came of past ones (store.go), kept in one
// SQLite file per project. It answers what a team asks of its past: the last runs of a
// scenario, which scenarios are flaky (flaky.go), and DORA's measures (dora.go).
//
// Nothing here decides anything: a verdict is never changed by what came before it, and
// a store that cannot be used costs a rehearsal nothing but its memory.
package runs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// File is the name of a run's facts in its report folder.
const File = "run.json"

// Format is the version of run.json. A reader ignores fields that it does not know; the
// number changes only when a field that is there gets another meaning.
const Format = 1

// A Run is what is known of one run of `rehearse verify`.
type Run struct {
	Format        int        `json:"format"`
	Service       string     `json:"service"`
	Began         time.Time  `json:"began"`
	Ended         *time.Time `json:"ended,omitempty"`  // nil: it goes on, or was killed
	Status        *int       `json:"status,omitempty"` // the exit status; nil like Ended
	Seed          uint64     `json:"seed"`
	Pace          float64    `json:"pace"`
	Stages        []string   `json:"stages"`
	File          string     `json:"file"`     // rehearsal.yaml, as it was named
	Features      []string   `json:"features"` // files and folders, as they were named
	Tags          string     `json:"tags"`
	ContainerTags string     `json:"container_tags"`
	// Part says that the run was asked for some of the project's scenarios only, by
	// name or by tag.
	Part        bool     `json:"part,omitempty"`
	Skipped     int      `json:"skipped"`  // scenarios left to the simulated stage, as asked
	LeftOut     int      `json:"left_out"` // scenarios that push to a pipeline, left out as asked
	Unverified  []string `json:"unverified,omitempty"`
	NotCompared string   `json:"not_compared,omitempty"` // why nothing was compared with production
	Outside     []string `json:"outside,omitempty"`      // calls to outside of the staging copy, which were refused
	Commit      string   `json:"commit,omitempty"`       // "": the project is in no git repository
	// Committed is when the commit was made.
	Committed *time.Time `json:"committed,omitempty"`
	Dirty     bool       `json:"dirty"` // the project's folder had changes that no commit has
	Plan      string     `json:"plan"`  // the text of PlanFile
	PlanFile  string     `json:"plan_file"`
	// Images are the digests by which the engine knows what ran, by version or, for
	// what is not released, by the image's name. They are there once containers ran.
	Images  map[string]string `json:"images,omitempty"`
	Version string            `json:"version"` // of rehearse
}

// Write writes the run's facts into its report folder. Who reads them meanwhile sees
// the ones before or these, whole.
func (r *Run) Write(folder string) error {
	r.Format = Format
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return Replace(filepath.Join(folder, File), append(data, '\n'), 0o644)
}

// Read reads the facts of the run whose report is in the folder.
func Read(folder string) (*Run, error) {
	name := filepath.Join(folder, File)
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := &Run{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", name, err)
	}
	if r.Format > Format {
		return nil, fmt.Errorf("%s has format %d, and this rehearse knows formats up to %d: use the version that wrote it (%s) or a newer one", name, r.Format, Format, r.Version)
	}
	return r, nil
}

// Replace writes a file in one piece: under another name, and then renamed.
func Replace(name string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone where all went well
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return err
}

// Begin makes a report folder ready for a run: it removes what an earlier run left
// there, so that what stands in it is of one run. Only files that a run writes are
// touched.
func Begin(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, pattern := range []string{
		File, "results.ndjson", "summary.txt", "report.html", "evidence.json", "parity.json",
		"junit-*.xml", "cucumber-*.json", filepath.Join("histories", "*.simulated.ndjson"), filepath.Join("histories", "*.containers.ndjson"),
	} {
		old, err := filepath.Glob(filepath.Join(globless(folder), pattern))
		if err != nil {
			return err
		}
		for _, name := range old {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// globless is a path whose letters mean themselves to filepath.Glob.
func globless(path string) string {
	var b []rune
	for _, r := range path {
		if r == '*' || r == '?' || r == '[' || r == '\\' && filepath.Separator != '\\' {
			b = append(b, '\\')
		}
		b = append(b, r)
	}
	return string(b)
}

// VerdictOf is an exit status in a word.
func VerdictOf(status int) string {
	words := []string{"verified", "broken", "wrong input", "inconclusive"}
	if status < 0 || status >= len(words) {
		return words[3]
	}
	return words[status]
}

package page

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rehearsal/internal/check"
)

// The names of files in a report folder.
const (
	factsFile   = "run.json"
	resultsFile = "results.ndjson"
	ledgerFile  = "parity.json"
	// ComparedFile has the Comparisons that are apart.
	ComparedFile  = "compared.json"
	histories     = "histories"
	historySuffix = ".ndjson"
)

// Read reads the report folder dir, whatever of it is there. An error means that there
// is no report in it, or that it cannot be read at all.
func Read(dir string) (*Run, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file: name the folder that `rehearse verify --report` wrote", dir)
	}
	r := &Run{dir: dir}
	facts := &Facts{}
	if r.json(factsFile, facts) {
		r.Facts = facts
	}
	if err := r.results(); err != nil {
		return nil, err
	}
	r.features()
	if len(r.Results) == 0 && r.Facts == nil && len(r.Features) == 0 {
		return nil, fmt.Errorf("there is no report in %s: neither %s, %s nor %s; name the folder that `rehearse verify --report` wrote", dir, resultsFile, factsFile, featuresFolder)
	}
	ledger := &Ledger{}
	if r.exists(ledgerFile) && r.json(ledgerFile, ledger) {
		r.Ledger = ledger
	}
	if r.exists(ComparedFile) {
		r.json(ComparedFile, &r.Compared)
	}
	r.unended()
	return r, nil
}

func (r *Run) miss(format string, args ...any) { r.Missing = append(r.Missing, note(format, args...)) }

func (r *Run) exists(name string) bool {
	_, err := os.Stat(filepath.Join(r.dir, name))
	return err == nil
}

// json reads a file of the folder into what; false where it cannot, which is noted.
func (r *Run) json(name string, what any) bool {
	data, err := os.ReadFile(filepath.Join(r.dir, name))
	if err == nil {
		err = json.Unmarshal(data, what)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.miss("%s is not there: what it would say is not shown", name)
	case err != nil:
		r.miss("%s is damaged: %v", name, err)
	}
	return err == nil
}

// results reads results.ndjson, line by line.
func (r *Run) results() error {
	f, err := os.Open(filepath.Join(r.dir, resultsFile))
	if errors.Is(err, fs.ErrNotExist) {
		r.miss("%s is not there: which scenarios ended, and how, is not known", resultsFile)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	seen := map[string]bool{}
	return lines(f, func(n int, line []byte, whole bool) {
		res := &Result{}
		if err := json.Unmarshal(line, res); err != nil {
			if whole {
				r.miss("%s, line %d: damaged, so one result is missing: %v", resultsFile, n, err)
			} else {
				r.miss("%s ends in the middle of line %d: the run was killed as it wrote it", resultsFile, n)
			}
			return
		}
		if key := res.Where + " " + res.Stage; res.Where == "" || res.Stage == "" || seen[key] {
			r.miss("%s, line %d: it does not say what it is of, or says it a second time", resultsFile, n)
		} else {
			seen[key] = true
			r.Results = append(r.Results, res)
		}
	})
}

// longest is how long a line may be. A longer one is damage: a history's are some
// hundred bytes, and the largest a few kilobytes of latencies.
const longest = 8 << 20

// lines calls f with each line that is not empty and not too long, and its number; whole
// says that a newline ends it. One that is too long comes as nil.
func lines(in io.Reader, f func(n int, line []byte, whole bool)) error {
	b := bufio.NewReaderSize(in, 1<<16)
	var line []byte
	long := false
	for n := 1; ; {
		part, err := b.ReadSlice('\n')
		if long = long || len(line)+len(part) > longest; !long {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		over := errors.Is(err, io.EOF)
		if err != nil && !over {
			return err
		}
		switch text := strings.TrimSpace(string(line[:min(len(line), 1)])); {
		case long:
			f(n, nil, !over)
		case text != "" || len(line) > 1:
			f(n, line, !over)
		}
		if over {
			return nil
		}
		line, long = line[:0], false
		n++
	}
}

// unended adds the scenarios that have a history and no result: the run was killed while
// they ran.
func (r *Run) unended() {
	known := map[string]bool{}
	for _, res := range r.Results {
		known[filepath.Base(res.History)] = true
	}
	files, err := os.ReadDir(filepath.Join(r.dir, histories))
	if err != nil {
		if slices.ContainsFunc(r.Results, func(res *Result) bool { return res.History != "" }) {
			r.miss("the folder %s is not there: timelines and logs are not shown", histories)
		}
		return
	}
	byName := map[string]*Scenario{}
	for s := range r.scenarios() {
		byName[s.history()] = s
	}
	for _, f := range files {
		name, isHistory := strings.CutSuffix(f.Name(), historySuffix)
		if !isHistory || known[f.Name()] {
			continue
		}
		base, stage, ok := cutLast(name, ".")
		if !ok {
			continue
		}
		res := &Result{Stage: stage, Verdict: notEnded, Where: base, Scenario: base, History: filepath.Join(histories, f.Name()),
			Measures: check.Measures{Detect: check.Never, Restore: check.Never}}
		if s := byName[base]; s != nil {
			res.Where, res.Scenario, res.Feature, res.Rule = s.Where, s.Name, s.Feature.Name, s.Rule
		}
		r.Results = append(r.Results, res)
	}
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

package evidence

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// A Changed is an input that is not what it was.
type Changed struct{ Name, How string }

// InputsChanged lays the inputs of a run beside what they are now.
func InputsChanged(then, now []Subject) (all []Changed) {
	hashes := map[string]string{}
	for _, s := range now {
		hashes[s.Name] = s.Digest["sha256"]
	}
	for _, s := range then {
		hash, there := hashes[s.Name]
		delete(hashes, s.Name)
		switch {
		case !there:
			all = append(all, Changed{s.Name, "is not read any more"})
		case hash != s.Digest["sha256"]:
			all = append(all, Changed{s.Name, "has changed"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(hashes)) {
		all = append(all, Changed{name, "is new"})
	}
	return all
}

// A Difference is where a replayed scenario leaves the recorded one.
type Difference struct {
	Scenario string
	File     string // of the recorded report
	Line     int    // the first that differs, from 1; 0: the whole is missing on one side
	Recorded string // that line; "" where it has ended
	Replayed string
}

// simulated is the stage that can be replayed.
const simulated = "simulated"

// result is a line of results.ndjson: which scenario it is of, and what of it does not
// depend on the wall clock or the folder.
type result struct {
	number  int
	history string
	text    []byte
}

// CompareSimulated lays the simulated part of a replayed run beside the recorded one:
// every history byte by byte, and every line of results.ndjson without "wall", which is
// the wall clock's, and "history", which names a folder. of is how many scenarios were
// compared. A scenario that one side left out is no difference when skip says so.
func CompareSimulated(recorded, replayed string, skip func(scenario string) bool) (of int, all []Difference, err error) {
	then, err := results(recorded)
	if err != nil {
		return 0, nil, err
	}
	now, err := results(replayed)
	if err != nil {
		return 0, nil, err
	}
	for _, key := range slices.SortedFunc(maps.Keys(then), func(a, b [2]string) int { return then[a].number - then[b].number }) {
		a, name := then[key], key[1]
		b, there := now[key]
		delete(now, key)
		if !there {
			if !skip(name) {
				all = append(all, Difference{Scenario: name, File: "results.ndjson", Line: a.number, Recorded: string(a.text)})
			}
			continue
		}
		of++
		if a.history != "" || b.history != "" {
			d, err := firstDifference(history(recorded, a.history), history(replayed, b.history))
			if err != nil {
				return of, nil, err
			}
			if d != nil {
				d.Scenario, d.File = name, "histories/"+filepath.Base(a.history)
				all = append(all, *d)
				continue
			}
		}
		if !bytes.Equal(a.text, b.text) {
			all = append(all, Difference{name, "results.ndjson", a.number, string(a.text), string(b.text)})
		}
	}
	for key, b := range now {
		if !skip(key[1]) {
			all = append(all, Difference{Scenario: key[1], File: "results.ndjson", Replayed: string(b.text)})
		}
	}
	return of, all, nil
}

// history is where the history is that a result names: the folder may have moved since.
func history(folder, name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join(folder, "histories", filepath.Base(name))
}

// results is every simulated result of a report, by feature and scenario.
func results(folder string) (map[[2]string]result, error) {
	name := filepath.Join(folder, "results.ndjson")
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	all := map[[2]string]result{}
	in := bufio.NewReader(f)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			fields := map[string]json.RawMessage{}
			if err := json.Unmarshal(line, &fields); err != nil {
				return nil, fmt.Errorf("%s:%d: is damaged: %w", name, number, err)
			}
			text := func(field string) (s string) {
				_ = json.Unmarshal(fields[field], &s)
				return s
			}
			if text("stage") == simulated {
				r := result{number: number, history: text("history")}
				key := [2]string{text("feature"), text("scenario")}
				delete(fields, "wall")
				delete(fields, "history")
				delete(fields, "where") // a line further up moves it
				if r.text, err = json.Marshal(fields); err != nil {
					return nil, err
				}
				all[key] = r
			}
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// firstDifference is the first line in which two files differ; nil for none.
func firstDifference(recorded, replayed string) (*Difference, error) {
	a, closeA, err := lines(recorded)
	if err != nil {
		return nil, err
	}
	defer closeA()
	b, closeB, err := lines(replayed)
	if err != nil {
		return nil, err
	}
	defer closeB()
	for number := 1; ; number++ {
		x, errX := a.ReadBytes('\n')
		y, errY := b.ReadBytes('\n')
		if !bytes.Equal(x, y) {
			return &Difference{Line: number, Recorded: string(bytes.TrimSpace(x)), Replayed: string(bytes.TrimSpace(y))}, nil
		}
		for _, err := range []error{errX, errY} {
			if errors.Is(err, io.EOF) {
				return nil, nil //nolint:nilnil // no difference is no error
			}
			if err != nil {
				return nil, err
			}
		}
	}
}

// lines opens a file to read it line by line; one that is not there has none.
func lines(name string) (*bufio.Reader, func(), error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) || name == "" {
		return bufio.NewReader(bytes.NewReader(nil)), func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return bufio.NewReader(f), func() { _ = f.Close() }, nil
}

package runs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "embed"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Keep is how many runs a store keeps unless it is told otherwise: the oldest go first.
const Keep = 1000

// schema is the version of the tables in sql/schema.sql; a store says in its user_version
// which it has.
const schema = 1

// application marks an SQLite file as ours (application_id): "RhPR".
const application = 0x52685052

// What is asked of SQLite, each in a file of its own.
var (
	//go:embed sql/schema.sql
	schemaSQL string
	//go:embed sql/add_run.sql
	addRunSQL string
	//go:embed sql/add_result.sql
	addResultSQL string
	//go:embed sql/past.sql
	pastSQL string
	//go:embed sql/lines.sql
	linesSQL string
	//go:embed sql/runs.sql
	runsSQL string
	//go:embed sql/flaky.sql
	flakySQL string
)

// A Store is the past runs of one project, in one SQLite file. Several processes may
// write to it at the same time. It is safe for concurrent use.
type Store struct {
	db   *sql.DB
	file string
}

// DefaultFile is where the past runs of a project are kept that says nothing else: in
// the user's folder for state (XDG Base Directory Specification: $XDG_STATE_HOME, else
// ~/.local/state), by the path of its rehearsal.yaml. So nothing of it can get into git
// or into an image by accident, and a project's folder may be read-only.
func DefaultFile(rehearsal string) (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // as the specification says of a relative one
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("there is no folder for state (%w): name a file with --runs, or none with --runs none", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	path, err := filepath.Abs(rehearsal)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	hash := sha256.Sum256([]byte(path))
	return filepath.Join(state, "rehearsal", filepath.Base(filepath.Dir(path))+"-"+hex.EncodeToString(hash[:4])+".db"), nil
}

// ErrNone is that nothing was ever kept in a file.
var ErrNone = errors.New("no runs are kept there")

// Open opens a store to write to it, and makes the file where there is none. A file
// that is not a store, that a newer rehearse wrote or that is damaged is left as it is,
// and the error says what to do.
func Open(ctx context.Context, file string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, refuse(file, err)
	}
	return open(ctx, file, url.Values{"_busy_timeout": {"10000"}, "_synchronous": {"NORMAL"}, "_txlock": {"immediate"}})
}

// OpenToRead opens a store to read it. It is ErrNone where there is none.
func OpenToRead(ctx context.Context, file string) (*Store, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", file, ErrNone)
	}
	return open(ctx, file, url.Values{"_busy_timeout": {"10000"}, "_query_only": {"1"}})
}

func open(ctx context.Context, file string, how url.Values) (_ *Store, err error) {
	if err := look(file); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: how.Encode()}).String())
	if err != nil {
		return nil, refuse(file, err)
	}
	defer func() {
		if err != nil {
			_ = db.Close()
		}
	}()
	db.SetMaxOpenConns(1)
	s := &Store{db, file}
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return nil, refuse(file, err)
	}
	if version > schema {
		return nil, newer(file, version)
	}
	var sound string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&sound); err != nil {
		return nil, refuse(file, err)
	}
	if sound != "ok" {
		return nil, damaged(file, errors.New(strings.ReplaceAll(sound, "\n", " ")))
	}
	if how.Get("_query_only") != "" {
		if version < schema {
			return nil, fmt.Errorf("%s: %w", file, ErrNone)
		}
		return s, nil
	}
	return s, s.prepare(ctx)
}

// look reads the first bytes of a file and says why it is not to be opened: opening a
// file can change it. https://www.sqlite.org/fileformat.html, "The Database Header".
func look(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return refuse(file, err)
	}
	defer func() { _ = f.Close() }()
	header := make([]byte, 100)
	switch n, err := io.ReadFull(f, header); {
	case n == 0 && errors.Is(err, io.EOF): // another process has just made it
		return nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(file, err)
	case err != nil || !bytes.HasPrefix(header, []byte("SQLite format 3\x00")):
		return damaged(file, errors.New("file is not a database"))
	}
	version, app := binary.BigEndian.Uint32(header[60:]), binary.BigEndian.Uint32(header[68:])
	switch {
	case app != application && (app != 0 || version != 0):
		return foreign(file)
	case version > schema:
		return newer(file, int(version))
	}
	return nil
}

func foreign(file string) error {
	return fmt.Errorf("%s is a database of something else, and was left as it is: name another file with --runs", file)
}

func newer(file string, version int) error {
	return fmt.Errorf("%s was written by a newer rehearse: it has version %d, and this one knows up to %d. It was left as it is: use the newer rehearse, or name another file with --runs", file, version, schema)
}

func damaged(file string, why error) error {
	return fmt.Errorf("%s is damaged (%w), and was left as it is: move it away, and the next run begins a new one, or name another file with --runs (`sqlite3 %s .recover` may save what is in it)", file, why, file)
}

// refuse says of an error of the engine what to do about it.
func refuse(file string, err error) error {
	for _, said := range []string{"malformed", "not a database", "disk I/O error"} {
		if strings.Contains(err.Error(), said) {
			return damaged(file, err)
		}
	}
	if strings.Contains(err.Error(), "locked") || strings.Contains(err.Error(), "busy") {
		return fmt.Errorf("%s is in use by another process for longer than 10 seconds (%w): find it with `fuser %s`", file, err, file)
	}
	return fmt.Errorf("%s cannot be used (%w): name another file with --runs, or none with --runs none", file, err)
}

// prepare makes the tables, unless another process has done so in the meantime. Only a
// file that is empty or ours is changed; in WAL mode those who read and those who write
// do not wait for each other (https://www.sqlite.org/wal.html).
func (s *Store) prepare(ctx context.Context) error {
	var version, tables int
	const state = "SELECT user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version"
	if err := s.db.QueryRowContext(ctx, state).Scan(&version, &tables); err != nil {
		return refuse(s.file, err)
	}
	if version == 0 && tables > 0 {
		return foreign(s.file)
	}
	if _, err := s.db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return refuse(s.file, err)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRow(state).Scan(&version, &tables); err != nil {
			return err
		}
		if version == schema {
			return nil
		}
		_, err := tx.Exec(schemaSQL)
		return err
	})
}

// change carries out f in one transaction.
func (s *Store) change(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return refuse(s.file, err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback()
		return refuse(s.file, err)
	}
	if err := tx.Commit(); err != nil {
		return refuse(s.file, err)
	}
	return nil
}

// File is where the store is.
func (s *Store) File() string { return s.file }

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

// A Result is what came of one scenario on one stage in one run.
type Result struct {
	Stage            string        `json:"stage"`
	Feature          string        `json:"feature"`
	Scenario         string        `json:"scenario"`
	Place            string        `json:"place"` // file:line
	Verdict          string        `json:"verdict"`
	Released         string        `json:"released,omitempty"` // the version
	Detect           time.Duration `json:"detect"`             // of release time, in nanoseconds; -1: it did not come
	Restore          time.Duration `json:"restore"`            // likewise
	Requests, Failed int64         `json:"-"`
	Step             string        `json:"step,omitempty"` // the first that did not pass
	Why              string        `json:"why,omitempty"`
	Wall             time.Duration `json:"wall"` // nanoseconds
}

// A Recording is a run that goes on: what is known of it is kept as it becomes known,
// so that a run that is killed stays as one that has not ended. The first error ends the
// recording and nothing else; Err has it. It is safe for concurrent use.
type Recording struct {
	store *Store
	id    int64
	mu    sync.Mutex
	err   error
}

// Record begins to keep a run, and forgets the oldest runs beyond keep.
func (s *Store) Record(ctx context.Context, r *Run, keep int) (*Recording, error) {
	rec := &Recording{store: s}
	var committed any
	if r.Committed != nil {
		committed = r.Committed.UnixMilli()
	}
	return rec, s.change(ctx, func(tx *sql.Tx) error {
		added, err := tx.Exec(addRunSQL,
			r.Began.UnixMilli(), r.Service, strings.Join(r.Stages, " "), r.Part, fmt.Sprint(r.Seed), r.Pace, r.Version, r.Commit, committed, r.Dirty)
		if err != nil {
			return err
		}
		if rec.id, err = added.LastInsertId(); err != nil {
			return err
		}
		const old = `(SELECT id FROM runs ORDER BY id DESC LIMIT -1 OFFSET ?)`
		for _, table := range []string{"results WHERE run IN ", "runs WHERE id IN "} {
			if _, err := tx.Exec("DELETE FROM "+table+old, max(1, keep)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Add keeps a result.
func (r *Recording) Add(ctx context.Context, res Result) {
	r.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(addResultSQL,
			r.id, res.Stage, res.Feature, res.Scenario, res.Place, res.Verdict, res.Released, res.Detect, res.Restore, res.Requests, res.Failed, res.Step, res.Why, res.Wall)
		return err
	})
}

// End keeps how the run ended.
func (r *Recording) End(ctx context.Context, run *Run) {
	r.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE runs SET ended = ?, status = ? WHERE id = ?`, run.Ended.UnixMilli(), *run.Status, r.id)
		return err
	})
}

func (r *Recording) write(ctx context.Context, f func(*sql.Tx) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = r.store.change(ctx, f)
	}
}

// Err is why the run is not kept, or not whole; nil when it is.
func (r *Recording) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

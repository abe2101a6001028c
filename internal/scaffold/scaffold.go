// Package scaffold writes the first files of a rehearsal: FromCompose from a team's
// compose file, FromECS from its ECS task definition and service. What they find out
// about the released service (its health check, port, databases, alarms, plan) goes into
// a Draft of rehearsal.yaml, release.yaml, alarms.json and a first feature, which pass as
// they are. What they could not find out stands in those files as a comment that begins
// with QUESTION and says what to put there; Draft.Questions lists them.
//
// copy.go looks at the staging copy, health.go and image.go at one service of it,
// alarms.go and plan.go at how it is watched and released; templates/ is what is written.
package scaffold

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rehearsal/internal/project"
	"rehearsal/internal/release"
)

// Options are what a person says beforehand. Everything but Folder may be left out.
type Options struct {
	Folder      string // where the files go, and where the compose file is
	Compose     string // the compose file, in Folder; "" is the one that is there
	Service     string // the compose service, or container, that is released
	Image       string // of the new version; "" is that of the stable one
	StableImage string // that production runs; "" is what the compose file names
	Alarms      string // a file with the output of `aws cloudwatch describe-alarms`; "" writes a first set
	Rate        int    // requests per second; 0 is DefaultRate
	Japanese    bool   // the feature is in Japanese
	Guess       bool   // take the likeliest service where several could be meant
	// Ask asks a person; nil where there is nobody. suggestion is what an empty answer
	// means; where options are there, the answer is one of them.
	Ask func(question string, options []string, suggestion string) (string, error)
}

// DefaultRate is requests per second: at the first step of a canary, 10 %, enough for an
// alarm of one minute to tell a bad version from bad luck, also at pace 60.
const DefaultRate = 100

// A File is one that is to be written, by its name in the folder.
type File struct {
	Name string
	Data []byte
}

// A Draft is the files of a first rehearsal, not written yet.
type Draft struct {
	Folder string
	Files  []File
	Found  []string // what was found out, for people to read
	// Pace is how many times faster than the wall a rehearsal in containers may run: at
	// most 60, and less where few requests would each stand for too many.
	Pace int
}

// A Question is what nobody but the team knows.
type Question struct {
	File string
	Line int // from 1
	Text string
}

const mark = "# QUESTION: "

// Questions are those in the files, in their order.
func (d *Draft) Questions() (all []Question) {
	for _, f := range d.Files {
		lines := bufio.NewScanner(bytes.NewReader(f.Data))
		for n := 1; lines.Scan(); n++ {
			if _, text, ok := strings.Cut(lines.Text(), mark); ok {
				all = append(all, Question{f.Name, n, text})
			}
		}
	}
	return all
}

// Taken says which of the files are there already.
func (d *Draft) Taken() error {
	var there []string
	for _, f := range d.Files {
		if _, err := os.Lstat(filepath.Join(d.Folder, f.Name)); err == nil {
			there = append(there, filepath.Join(d.Folder, f.Name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("nothing was written: %w", err)
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("nothing was written: %s: there already, and nothing is overwritten: move that away, or print the new files with --dry-run", strings.Join(there, ", "))
	}
	return nil
}

// Write writes all of the files or none, and reads them back as a rehearsal does.
func (d *Draft) Write(ctx context.Context) (err error) {
	if err := d.Taken(); err != nil {
		return err
	}
	var made []string // files and folders, to take away again
	defer func() {
		if err != nil {
			for i := len(made) - 1; i >= 0; i-- {
				_ = os.Remove(made[i])
			}
			err = fmt.Errorf("nothing was written: %w", err)
		}
	}()
	for _, f := range d.Files {
		name := filepath.Join(d.Folder, f.Name)
		if dir := filepath.Dir(name); dir != filepath.Clean(d.Folder) {
			switch err := os.Mkdir(dir, 0o777); {
			case err == nil:
				made = append(made, dir)
			case !errors.Is(err, fs.ErrExist):
				return err
			}
		}
		// O_EXCL: what came into being since Taken looked is not overwritten either.
		out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode())
		if err != nil {
			return err
		}
		made = append(made, name)
		_, err = out.Write(f.Data)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return d.readBack(ctx)
}

// mode keeps what will hold passwords from other people of the machine.
func (f File) mode() fs.FileMode {
	if strings.HasPrefix(f.Name, "secrets.") {
		return 0o600
	}
	return 0o666
}

// readBack holds what was written against what a rehearsal asks of its files: a name
// that no plan or feature can carry, say, must not be found out later.
func (d *Draft) readBack(ctx context.Context) error {
	p, err := project.Load(ctx, filepath.Join(d.Folder, "rehearsal.yaml"))
	if err != nil {
		return fmt.Errorf("what was found does not make a rehearsal: %w", err)
	}
	var errs []error
	for _, f := range p.Plan.Lint(p.Facts(time.Time{})) {
		if f.Severity == release.Error {
			errs = append(errs, errors.New(f.String()))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("what was found does not make a release plan: %w", err)
	}
	return nil
}

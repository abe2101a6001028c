package scaffold

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rehearsal/internal/parity"
	"rehearsal/internal/project"
)

// likeProduction has the rehearsal compare its staging copy with the description that it
// was drafted from. What is otherwise from the start only a team can decide about, and an
// undecided difference fails a rehearsal: then the comparison is written as a question.
func (d *Draft) likeProduction(ctx context.Context, files []string) error {
	ledger, err := d.beside(ctx, files)
	if err != nil {
		return err
	}
	var block struct {
		Files  []string // as rehearsal.yaml finds them
		Differ []string
	}
	for _, f := range files {
		block.Files = append(block.Files, relative(d.Folder, f))
	}
	for _, x := range slices.Concat(ledger.Of(parity.Open), ledger.Of(parity.Unknown)) {
		block.Differ = append(block.Differ, x.What())
	}
	if len(block.Differ) == 0 {
		d.Found = append(d.Found, "the staging copy is like the description of production, and every rehearsal will compare them")
	}
	var b bytes.Buffer
	if err := written.ExecuteTemplate(&b, "production.yaml.tmpl", block); err != nil {
		return fmt.Errorf("rehearsal.yaml: %w", err)
	}
	at := slices.IndexFunc(d.Files, func(f File) bool { return f.Name == "rehearsal.yaml" })
	d.Files[at].Data = append(d.Files[at].Data, b.Bytes()...)
	return nil
}

// beside lays the draft beside production's description.
func (d *Draft) beside(ctx context.Context, files []string) (*parity.Ledger, error) {
	dir, err := os.MkdirTemp("", "rehearse-init")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	trial := &Draft{Folder: dir, Files: d.Files}
	if err := trial.Write(ctx); err != nil {
		return nil, err
	}
	p, err := project.Load(ctx, filepath.Join(dir, "rehearsal.yaml"))
	if err != nil {
		return nil, err
	}
	var s parity.Sources
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		s.Description = append(s.Description, parity.File{Name: f, Data: data})
	}
	production, err := parity.Read(ctx, s, p.Setup.Service)
	if err != nil {
		return nil, err
	}
	return parity.Compare(parity.Staging(p.Compose, &p.Setup), production, parity.Options{Setup: &p.Setup, Today: time.Time{}}), nil
}

// relative is a file's name as a file in the folder says it.
func relative(folder, file string) string {
	from, err := filepath.Abs(folder)
	if err != nil {
		return file
	}
	to, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	name, err := filepath.Rel(from, to)
	if err != nil { // on another drive
		return file
	}
	return filepath.ToSlash(name)
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rehearsal/internal/clock"
	"rehearsal/internal/containers"
	"rehearsal/internal/parity"
	"rehearsal/internal/project"
	"rehearsal/internal/report"
	"rehearsal/steps"
)

func parityCommand() *cobra.Command {
	var file string
	var asJSON bool
	var day string
	c := &cobra.Command{
		Use:   "parity",
		Short: "Compare the staging copy with production's description, and list what differs",
		Long: `Parity lays the staging copy beside production's description, as rehearsal.yaml
names it, and lists what differs: open, waived, harmless, or unknown.

Exit status: 0 like production but for what is waived or harmless, 1 a difference is
open or a waiver expired, 2 the input is wrong, 3 something cannot be compared.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			today, err := dayOf(day)
			if err != nil {
				return err
			}
			p, err := project.Load(c.Context(), file)
			if err != nil {
				return err
			}
			if p.Production == nil {
				return fmt.Errorf("%s: needs \"production\" with a \"description\" to compare with: %s", file, parity.Want)
			}
			var specs []*steps.Spec
			if p.Features != "" {
				if specs, err = steps.ReadSpecs(p, []string{p.Features}, ""); err != nil {
					return err
				}
			}
			digests, done := localDigests(c.Context())
			defer done()
			l := steps.Parity(p, specs, steps.ParityOptions{Today: today, Key: fingerprintKey(), Digests: digests})
			var b bytes.Buffer
			if asJSON {
				err = writeJSON(&b, l)
			} else {
				report.Parity(&b, readersLang(c), l)
			}
			if err != nil {
				return err
			}
			if _, err := c.OutOrStdout().Write(b.Bytes()); err != nil {
				return err
			}
			if s := steps.ParityStatus(l); s != steps.ExitVerified {
				return exitStatus(s)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "rehearsal.yaml", "the rehearsal whose staging copy is compared")
	c.Flags().BoolVar(&asJSON, "json", false, "print the ledger as JSON")
	addToday(c, &day)
	return c
}

func addToday(c *cobra.Command, day *string) {
	c.Flags().StringVar(day, "today", "", "the day by which waivers expire, such as 2027-12-31, instead of today: what will have expired by then?")
}

// dayOf is the day that --today names, or today.
func dayOf(flag string) (time.Time, error) {
	if flag == "" {
		return clock.Wall(), nil
	}
	day, err := time.Parse(time.DateOnly, flag)
	if err != nil {
		return time.Time{}, fmt.Errorf("--today %q: write it as 2027-12-31", flag)
	}
	return day, nil
}

func writeJSON(w io.Writer, l *parity.Ledger) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(l)
}

// fingerprintKey is of this run alone, and is kept nowhere: see parity.Options.
func fingerprintKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails: the process ends if it does
	return key
}

// localDigests asks the engine that is there, when it is first asked, for the digests
// that an image has in registries. None is installed for it.
func localDigests(ctx context.Context) (digests func(image string) []string, done func()) {
	var engine *containers.Engine
	asked := false
	digests = func(image string) []string {
		if !asked {
			asked = true
			engine, _ = containers.ConnectEngine(ctx)
		}
		if engine == nil {
			return nil
		}
		answer, err := engine.Client.ImageInspect(ctx, image)
		if err != nil {
			return nil
		}
		var out []string
		for _, named := range answer.RepoDigests {
			if _, digest, ok := strings.Cut(named, "@"); ok {
				out = append(out, digest)
			}
		}
		return out
	}
	return digests, func() {
		if engine != nil {
			_ = engine.Close()
		}
	}
}

// keepParity writes what the machines read into the report's folder.
func keepParity(folder string, l *parity.Ledger) error {
	if l == nil {
		return nil
	}
	var text, junit bytes.Buffer
	if err := writeJSON(&text, l); err != nil {
		return err
	}
	if err := report.ParityJUnit(&junit, l); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "parity.json"), text.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "junit-parity.xml"), junit.Bytes(), 0o644)
}

// notCompared says in one line that nothing was compared with production.
func notCompared(p *project.Project) string {
	return fmt.Sprintf("parity with production was not checked: %s names no production", p.File)
}

// Package evidence says in one signed file what a run showed, so that others can check
// it later without trusting the folder that it lies in.
//
// evidence.json is a DSSE envelope (https://github.com/secure-systems-lab/dsse, version
// 1.0) around an in-toto Statement v1 (https://in-toto.io/Statement/v1): its subjects
// are the files of the report folder with their SHA-256, its predicate is what is known
// of the run. The signature is ed25519 (RFC 8032) over the exact bytes of the
// statement, so that no rule is needed for how JSON is written.
//
// keys.go reads keys, check.go holds a folder against its evidence, replay.go lays a
// second simulation beside the recorded one.
package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"rehearsal/internal/runs"
)

// File is the name of a run's evidence in its report folder.
const File = "evidence.json"

// What the envelope and the statement in it say they are.
const (
	PayloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
	PredicateType = "urn:rehearsal:evidence:v1"
)

// A Statement is what the evidence says.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

// A Subject is a file with its hash.
type Subject struct {
	Name   string            `json:"name"` // from the folder, with slashes
	Digest map[string]string `json:"digest"`
}

// A Predicate is what is known of a run. Nothing in it is a secret, and nothing may
// become one: environments, credentials and what containers print are not in it.
type Predicate struct {
	Verdict string `json:"verdict"` // verified, broken, wrong input, inconclusive
	// Run is the content of run.json: seed, pace, plan, commit, digests of the images.
	Run      runs.Run `json:"run"`
	Passed   int      `json:"passed"`
	Failed   int      `json:"failed"`
	Unknown  int      `json:"inconclusive"`
	Alarms   any      `json:"alarms"`           // the rules of the alarms that were judged, without their actions
	Parity   any      `json:"parity,omitempty"` // how many differences from production there are of each standing
	Versions Versions `json:"versions"`
	// Inputs are the files that decide the simulated part, as they were named, when the
	// run began.
	Inputs []Subject `json:"inputs"`
}

// Versions are of the programs that took part.
type Versions struct {
	Rehearse string `json:"rehearse"`
	Go       string `json:"go"`
	Engine   string `json:"engine,omitempty"` // of containers; "" where none ran
}

// Write writes the evidence of the run whose report is in the folder, signed with the
// key, or not signed where it is nil.
func Write(ctx context.Context, folder string, p Predicate, key *PrivateKey) error {
	if p.Run.Ended == nil {
		return errors.New("there is no evidence of a run that has not ended")
	}
	files, _, err := filesOf(folder)
	if err != nil {
		return err
	}
	s := Statement{Type: statementType, PredicateType: PredicateType, Predicate: p, Subject: []Subject{}}
	for _, name := range files {
		hash, err := HashFile(filepath.Join(folder, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		s.Subject = append(s.Subject, NewSubject(name, hash))
	}
	payload, err := json.Marshal(s)
	if err != nil {
		return err
	}
	envelope := &dsse.Envelope{PayloadType: PayloadType, Payload: base64.StdEncoding.EncodeToString(payload), Signatures: []dsse.Signature{}}
	if key != nil {
		signer, err := dsse.NewEnvelopeSigner(key)
		if err != nil {
			return err
		}
		if envelope, err = signer.SignPayload(ctx, PayloadType, payload); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(envelope, "", "  ")
	if err != nil {
		return err
	}
	return runs.Replace(filepath.Join(folder, File), append(data, '\n'), 0o644)
}

// NewSubject is a file with its SHA-256.
func NewSubject(name, hash string) Subject {
	return Subject{name, map[string]string{"sha256": hash}}
}

// HashFile is the SHA-256 of a file in hexadecimal digits.
func HashFile(name string) (string, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() { // a link shows what is elsewhere, and a pipe never ends
		return "", fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// filesOf is every file of a report folder that the evidence covers, by its path with
// slashes, in order. Not covered are the evidence itself, report*.html, which is made
// from the rest and can be made again, and the folders of other runs, which have their
// own: these are others.
func filesOf(folder string) (files, others []string, err error) {
	err = fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != ".":
			if _, err := os.Stat(filepath.Join(folder, filepath.FromSlash(name), runs.File)); err == nil {
				others = append(others, name)
				return fs.SkipDir
			}
			return nil
		case d.IsDir(), name == File, path.Dir(name) == "." && strings.HasPrefix(name, "report") && strings.HasSuffix(name, ".html"):
			return nil
		}
		files = append(files, name)
		return nil
	})
	return files, others, err
}

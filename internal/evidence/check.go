package evidence

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"rehearsal/internal/runs"
)

// An Evidence is an evidence file that was read and held against its folder.
type Evidence struct {
	Statement
	SignedBy []string // the ids of the keys that it says it is signed with; none: it is not signed
	Signed   bool     // the signature was checked, and is right
	// Others are the folders of other runs in this one, which it does not cover.
	Others []string
	// Wrong is what does not hold, each in a line.
	Wrong []string
}

// maxSize is more than the evidence of a hundred thousand files takes.
const maxSize = 64 << 20

// Check reads the evidence of a report folder and holds the folder against it. The
// signature is checked where there is a key. An error means that there is nothing to
// check: what does not hold is in Wrong.
func Check(ctx context.Context, folder string, key *PublicKey) (*Evidence, error) {
	envelope, err := read(folder)
	if err != nil {
		return nil, err
	}
	e := &Evidence{}
	for _, s := range envelope.Signatures {
		e.SignedBy = append(e.SignedBy, s.KeyID)
	}
	payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: its payload is not base64: %w", filepath.Join(folder, File), err)
	}
	if key != nil {
		e.signature(ctx, envelope, key)
	}
	if envelope.PayloadType != PayloadType {
		return nil, fmt.Errorf("%s holds %q: want %q", filepath.Join(folder, File), envelope.PayloadType, PayloadType)
	}
	if err := json.Unmarshal(payload, &e.Statement); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(folder, File), err)
	}
	if e.Type != statementType || e.PredicateType != PredicateType {
		return nil, fmt.Errorf("%s states %q, %q: this rehearse knows %q, %q", filepath.Join(folder, File), e.Type, e.PredicateType, statementType, PredicateType)
	}
	if e.Predicate.Run.Ended == nil {
		e.wrong("it is of a run that has not ended")
	}
	return e, e.files(folder)
}

func (e *Evidence) wrong(format string, args ...any) {
	e.Wrong = append(e.Wrong, fmt.Sprintf(format, args...))
}

// read reads the envelope, and says why there is none.
func read(folder string) (*dsse.Envelope, error) {
	name := filepath.Join(folder, File)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		r, rerr := runs.Read(folder)
		switch {
		case errors.Is(rerr, fs.ErrNotExist):
			return nil, fmt.Errorf("%s holds no report of a run: name the folder that `rehearse verify --report` wrote", folder)
		case rerr != nil:
			return nil, rerr
		case r.Ended == nil:
			return nil, fmt.Errorf("%s holds a run that has not ended, or was killed: there is no evidence of it", folder)
		}
		return nil, fmt.Errorf("%s has no %s: it was removed, or an older rehearse wrote the report", folder, File)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("%s is larger than any evidence", name)
	}
	envelope := &dsse.Envelope{}
	if err := json.Unmarshal(data, envelope); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", name, err)
	}
	return envelope, nil
}

// signature checks that the key signed exactly this.
func (e *Evidence) signature(ctx context.Context, envelope *dsse.Envelope, key *PublicKey) {
	id, err := key.KeyID()
	if err != nil {
		e.wrong("the key has no name: %v", err)
		return
	}
	verifier, err := dsse.NewEnvelopeVerifier(key)
	if err == nil {
		_, err = verifier.Verify(ctx, envelope)
	}
	switch {
	case err == nil:
		e.Signed = true
	case len(e.SignedBy) == 0:
		e.wrong("it is not signed: anyone can have written it")
	case !slices.Contains(e.SignedBy, id):
		e.wrong("it is signed with another key, %q: the one given is %q", e.SignedBy, id)
	default:
		e.wrong("the signature is not right: what it says was changed after it was signed")
	}
}

// files holds each file of the folder against its hash.
func (e *Evidence) files(folder string) error {
	there, others, err := filesOf(folder)
	if err != nil {
		return err
	}
	e.Others = others
	listed := map[string]bool{}
	for _, s := range e.Subject {
		if !filepath.IsLocal(filepath.FromSlash(s.Name)) || listed[s.Name] {
			e.wrong("%q: is no name of a file in the folder, or is there twice", s.Name)
			continue
		}
		listed[s.Name] = true
		hash, err := HashFile(filepath.Join(folder, filepath.FromSlash(s.Name)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			e.wrong("%s: is missing", s.Name)
		case err != nil:
			e.wrong("%s: cannot be read: %v", s.Name, err)
		case hash != s.Digest["sha256"]:
			e.wrong("%s: was changed: its SHA-256 is %s, and was %s", s.Name, hash, s.Digest["sha256"])
		}
	}
	for _, name := range there {
		if !listed[name] {
			e.wrong("%s: was added", name)
		}
	}
	return nil
}

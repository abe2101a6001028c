package runs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A Commit is where a project's folder stands in git. Its zero value is of a folder
// that is in no repository, or in one without commits.
type Commit struct {
	ID    string
	At    time.Time // when it was made, by its committer's clock
	Dirty bool      // something in the repository is in no commit, of which git is not told to ignore it
}

// CommitOf asks git about a folder. What is in the folder except is no change: a run
// writes it. An error means that there is a repository and git does not tell of it.
func CommitOf(ctx context.Context, folder, except string) (Commit, error) {
	out, err := git(ctx, folder, "log", "-1", "--no-show-signature", "--format=%H %ct")
	switch {
	case errors.Is(err, exec.ErrNotFound), isNot(err, "not a git repository"), isNot(err, "does not have any commits"):
		return Commit{}, nil
	case err != nil:
		return Commit{}, err
	}
	id, at, _ := strings.Cut(strings.TrimSpace(out), " ")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return Commit{}, fmt.Errorf("git log says %q: %w", out, err)
	}
	top, err := git(ctx, folder, "rev-parse", "--show-toplevel")
	if err != nil {
		return Commit{}, err
	}
	top = strings.TrimSuffix(top, "\n")
	args := []string{"status", "--porcelain", "--", "."}
	if inside := below(top, except); inside != "" {
		args = append(args, ":(exclude,literal)"+inside)
	}
	changes, err := git(ctx, top, args...)
	return Commit{ID: id, At: time.Unix(seconds, 0).UTC(), Dirty: strings.TrimSpace(changes) != ""}, err
}

// below is the path of a folder from one that it is in; "" where it is not.
func below(folder, path string) string {
	if path == "" {
		return ""
	}
	from, err := filepath.Abs(folder)
	if err != nil {
		return ""
	}
	to, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(to)); err == nil { // as git has it
		to = filepath.Join(real, filepath.Base(to))
	}
	rel, err := filepath.Rel(from, to)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// A gitError is what git said when it failed.
type gitError struct{ what, said string }

func (e *gitError) Error() string { return fmt.Sprintf("git %s: %s", e.what, e.said) }

func isNot(err error, said string) bool {
	var g *gitError
	return errors.As(err, &g) && strings.Contains(g.said, said)
}

func git(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = &gitError{args[0], strings.Join(strings.Fields(said.String()), " ")}
	}
	return out.String(), err
}

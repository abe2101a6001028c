package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A repository is a real git repository that stands in for the team's on GitHub, and
// a clone of it to push from. Both lie in a temporary folder; the team's own code is
// only read.
type repository struct {
	origin string // bare
	local  string // git directory of the clone
	home   string // without anything of the person's
	pushed string // the file in which the repository's hook notes what arrived
}

// zeros is git's name for no commit.
const zeros = "0000000000000000000000000000000000000000"

// newRepository makes the two, with the code at root as the first commit on branch,
// already pushed: what production was released from.
func newRepository(ctx context.Context, dir, root, branch, stable string) (*repository, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, errors.New("git is not installed: a push is rehearsed with a real one; install it (apt-get install git, brew install git)")
	}
	r := &repository{
		origin: filepath.Join(dir, "origin.git"), local: filepath.Join(dir, "local.git"),
		home: filepath.Join(dir, "git-home"), pushed: filepath.Join(dir, "pushed"),
	}
	if err := os.MkdirAll(r.home, 0o700); err != nil {
		return nil, err
	}
	for _, d := range []string{r.origin, r.local} {
		if _, err := r.git(ctx, "", "init", "--quiet", "--bare", "--initial-branch="+branch, d); err != nil {
			return nil, err
		}
	}
	if _, err := r.in(ctx, "", "remote", "add", "origin", r.origin); err != nil {
		return nil, err
	}
	if err := r.commit(ctx, root, nil, "what production runs: "+stable); err != nil {
		return nil, err
	}
	if _, err := r.in(ctx, "", "push", "--quiet", "origin", "HEAD:refs/heads/"+branch); err != nil {
		return nil, err
	}
	hook := "#!/bin/sh\ncat >> '" + strings.ReplaceAll(r.pushed, "'", `'\''`) + "'\n"
	file := filepath.Join(r.origin, "hooks", "post-receive")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	return r, os.WriteFile(file, []byte(hook), 0o755)
}

// commit records the files at root, with the overlays laid over them.
func (r *repository) commit(ctx context.Context, root string, overlays []string, message string) error {
	if _, err := r.in(ctx, root, "add", "--all", "."); err != nil {
		return fmt.Errorf("recording the code in %s: %w", root, err)
	}
	for _, o := range overlays {
		if _, err := r.in(ctx, o, "add", "--ignore-removal", "."); err != nil {
			return fmt.Errorf("laying %s over the code: %w", o, err)
		}
	}
	_, err := r.in(ctx, root, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", message)
	return err
}

// push pushes what was committed and returns what the repository's hook saw arrive.
func (r *repository) push(ctx context.Context, ref string) (Push, error) {
	if _, err := r.in(ctx, "", "push", "--porcelain", "origin", "HEAD:"+ref); err != nil {
		return Push{}, rejected(ref, err)
	}
	data, err := os.ReadFile(r.pushed)
	if err != nil {
		return Push{}, fmt.Errorf("%s was pushed and the repository's hook saw nothing of it: %w", ref, err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	f := strings.Fields(lines[len(lines)-1])
	if len(f) != 3 {
		return Push{}, fmt.Errorf("the repository's hook noted %q", data)
	}
	p := Push{Before: f[0], After: f[1], Ref: f[2]}
	since := p.Before
	if since == zeros {
		since = p.After + "^"
	}
	files, err := r.in(ctx, "", "diff", "--name-only", "-z", since, p.After)
	if err != nil {
		return Push{}, err
	}
	for name := range strings.SplitSeq(files, "\x00") {
		if name != "" {
			p.Files = append(p.Files, name)
		}
	}
	return p, nil
}

// A RejectedError is a push that the repository did not take.
type RejectedError struct{ Ref, Why, Remedy string }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the push of %s was rejected: %s: %s", e.Ref, e.Why, e.Remedy)
}

// remoteLine is what the repository's hooks print, as git shows it.
var remoteLine = regexp.MustCompile(`remote: (.*)`)

// rejected says what git's message means, where it means that.
func rejected(ref string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "hook declined"):
		why := "the repository's pre-receive hook declined it"
		var said []string
		for _, m := range remoteLine.FindAllStringSubmatch(text, -1) {
			said = append(said, strings.TrimSpace(m[1]))
		}
		if len(said) > 0 {
			why += " (" + strings.Join(said, " ") + ")"
		}
		return &RejectedError{ref, why, "mend what the hook asks for, and push again"}
	case strings.Contains(text, "already exists"):
		return &RejectedError{ref, "it is in the repository already", "give the version another name: a tag is not moved"}
	case strings.Contains(text, "[rejected]"):
		return &RejectedError{ref, "the repository has commits that the pushed code has not", "fetch and merge them first"}
	}
	return err
}

// clone checks the commit out into dir.
func (r *repository) clone(ctx context.Context, commit, dir string) error {
	if _, err := r.git(ctx, "", "clone", "--quiet", "--no-checkout", r.origin, dir); err != nil {
		return err
	}
	_, err := r.git(ctx, dir, "checkout", "--quiet", "--detach", commit)
	return err
}

// in runs git on the clone, with the files at tree where that is not "".
func (r *repository) in(ctx context.Context, tree string, args ...string) (string, error) {
	pre := []string{"--git-dir=" + r.local}
	if tree != "" {
		abs, err := filepath.Abs(tree)
		if err != nil {
			return "", err
		}
		pre, tree = append(pre, "--work-tree="+abs), abs
	}
	return r.git(ctx, tree, append(pre, args...)...)
}

// git runs git without anything of the person's: no settings, no hooks, no keys.
func (r *repository) git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.home, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Rehearsal", "GIT_AUTHOR_EMAIL=rehearsal@localhost", "GIT_COMMITTER_NAME=Rehearsal", "GIT_COMMITTER_EMAIL=rehearsal@localhost",
	}
	var out, both bytes.Buffer
	cmd.Stdout = &out
	cmd.Stderr = &both
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		verb := args[0]
		for _, a := range args {
			if !strings.HasPrefix(a, "-") {
				verb = a
				break
			}
		}
		return "", fmt.Errorf("git %s: %w: %s", verb, err, strings.TrimSpace(both.String()+out.String()))
	}
	return out.String(), nil
}

// hook gives the repository a hook of the team's.
func (r *repository) hook(name, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return mistake("the %s hook cannot be read: %v", name, err)
	}
	return os.WriteFile(filepath.Join(r.origin, "hooks", name), data, 0o755)
}

// Package pipeline rehearses the way from a push to a release: a team's own GitHub
// Actions workflow, before the real thing.
//
// The workflow is checked first (workflow.go: actionlint, and what cannot run here).
// Then the code is pushed to a real git repository in a temporary folder
// (repository.go), and what its hook saw arrive starts the workflows that it triggers.
// They run through nektos/act, on this machine and in a process of their own
// (worker.go), with a clean environment (environment.go). A job that releases asks the
// stage of the rehearsal through a socket (door.go).
//
// Run says what became of it as a Result; it knows no stage and no plan.
package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options are a push and what it is pushed to.
type Options struct {
	Code     string   // folder: the root of the repository, with .github/workflows
	Overlays []string // folders of files laid over the code, in this order: what the version changes
	Version  string   // "v2": the tag, or the message of the commit
	Stable   string   // what production runs
	Service  string
	// Push is the branch that is pushed; "" pushes a tag with the version's name.
	Push       string
	PreReceive string // file: the repository's own pre-receive hook; may be ""
	Vars       map[string]string
	Actions    map[string]string // "actions/setup-go@v5", "actions/cache/save@v4": the folder that stands in for it
	Runners    map[string]string // "ubuntu-latest": the image that jobs of that label run in; others run on this machine
	// Image has an image in the Docker engine of this machine, for what jobs say of
	// containers; nil: there is no such engine.
	Image func(ctx context.Context, ref string) error
	Keep  []string // names of variables of this process's environment that the jobs get

	Endpoint string // of the stage's CloudWatch; "" is none
	// Answer carries out what a job asks of the stage, and says what happens as it happens.
	Answer func(ctx context.Context, r Request, say func(string)) Answer

	Worker    []string      // the command that is Worker
	Rehearse  string        // the executable that the jobs call as `rehearse`
	LimitEach time.Duration // of a job without timeout-minutes; 0 is 30 minutes
	Log       io.Writer     // gets every line of every step, up to 64 MiB; may be nil
	Notify    func(Notice)  // may be nil; called by one goroutine
}

// A Notice is one thing that happens while a pipeline runs.
type Notice struct {
	Job, Step string
	Line      string // that the step printed
	Result    string // of the step, or of the job where Step is ""
	Began     bool   // the job begins
}

// A Result is what became of a push.
type Result struct {
	Push      Push
	Workflows []string // that it started
	Jobs      []Job    // in the order in which they ran
	Obstacles []Obstacle
	Advice    []string
	Summaries []string // Markdown that steps wrote to $GITHUB_STEP_SUMMARY
	// Broken says why nothing may be concluded, where act or the harness failed.
	Broken []string
}

// A Job is what became of one job.
type Job struct {
	Workflow, ID string
	Result       JobResult
	Why          string
	Step         string   // the first that failed
	Last         []string // lines of it
}

// JobResult is a closed set.
type JobResult string

const (
	JobSucceeded JobResult = "success"
	JobFailed    JobResult = "failure"
	JobSkipped   JobResult = "skipped" // what it needs failed, or its "if" says so
	JobTimedOut  JobResult = "timed out"
	JobCancelled JobResult = "cancelled"
	JobUnknown   JobResult = "unknown" // it could not be run here
)

// Stopped is the first job that failed, so that nothing after it went on.
func (r *Result) Stopped() (Job, bool) {
	for _, j := range r.Jobs {
		if j.Result == JobFailed || j.Result == JobTimedOut {
			return j, true
		}
	}
	return Job{}, false
}

// Find is the job with that name.
func (r *Result) Find(id string) (Job, bool) {
	i := slices.IndexFunc(r.Jobs, func(j Job) bool { return j.ID == id })
	if i < 0 {
		return Job{}, false
	}
	return r.Jobs[i], true
}

// Inconclusive says why nothing may be concluded from the run: "" when something may.
func (r *Result) Inconclusive() string {
	var why []string
	for _, o := range r.Obstacles {
		why = append(why, o.String())
	}
	why = append(why, r.Broken...)
	for _, j := range r.Jobs {
		switch j.Result {
		case JobUnknown, JobCancelled:
			why = append(why, fmt.Sprintf("job %q: %s", j.ID, j.Why))
		case JobSucceeded, JobFailed, JobSkipped, JobTimedOut:
		default:
			panic(fmt.Sprintf("unknown result %q", j.Result))
		}
	}
	return strings.Join(why, "\n")
}

// String is "build success, test failure (go test), deploy skipped".
func (r *Result) String() string {
	var all []string
	for _, j := range r.Jobs {
		s := fmt.Sprintf("%s %s", j.ID, j.Result)
		if j.Step != "" {
			s += fmt.Sprintf(" (%s)", j.Step)
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// Detail is why a job failed, for people.
func (j Job) Detail() string {
	s := fmt.Sprintf("job %q: %s", j.ID, j.Result)
	if j.Step != "" {
		s += fmt.Sprintf(" at %q", j.Step)
	}
	if j.Why != "" {
		s += ": " + j.Why
	}
	for _, l := range j.Last {
		s += "\n  | " + l
	}
	return s
}

const defaultLimit = 30 * time.Minute

// Run pushes and runs what that starts. An error is a MistakeError, a RejectedError,
// or says that nothing could be run; what a job does is in the Result.
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	all, advice, err := readWorkflows(o.Code)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rehearse")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, removeAll(dir)) }()
	branch, ref := o.Push, "refs/heads/"+o.Push
	if branch == "" {
		branch, ref = "main", "refs/tags/"+o.Version
	}
	repo, err := newRepository(ctx, dir, o.Code, branch, o.Stable)
	if err != nil {
		return nil, err
	}
	if o.PreReceive != "" {
		if err := repo.hook("pre-receive", o.PreReceive); err != nil {
			return nil, err
		}
	}
	if err := repo.commit(ctx, o.Code, o.Overlays, o.Version); err != nil {
		return nil, err
	}
	r := &Result{Advice: advice}
	if r.Push, err = repo.push(ctx, ref); err != nil {
		return nil, err
	}
	var started []*workflow
	var not []string
	for _, w := range all {
		yes, why := w.triggers(r.Push)
		if !yes {
			not = append(not, fmt.Sprintf("%s:1: %s", w.file, why))
			continue
		}
		started = append(started, w)
		r.Workflows = append(r.Workflows, w.path)
		r.Obstacles = append(r.Obstacles, w.obstacles(ctx, o)...)
	}
	if len(started) == 0 {
		return nil, mistake("the push of %s starts no workflow:\n%s\npush what your workflow is for (rehearsal.yaml: pipeline: push: BRANCH, or tag)", ref, strings.Join(not, "\n"))
	}
	for _, w := range started {
		if err := o.workflow(ctx, dir, repo, w, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// removeAll removes what a step may have made unwritable too, as `go mod` does.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// workflow runs one workflow.
func (o Options) workflow(ctx context.Context, dir string, repo *repository, w *workflow, r *Result) error {
	run, err := os.MkdirTemp(dir, "run")
	if err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(run, name) }
	if err := repo.clone(ctx, r.Push.After, at("checkout")); err != nil {
		return err
	}
	for _, d := range []string{"home", "tmp", "bin", "cache"} {
		if err := os.Mkdir(at(d), 0o700); err != nil {
			return err
		}
	}
	if err := os.Symlink(o.Rehearse, filepath.Join(at("bin"), "rehearse")); err != nil {
		return err
	}
	event, err := json.Marshal(o.event(r.Push))
	if err != nil {
		return err
	}
	if err := os.WriteFile(at("event.json"), event, 0o600); err != nil {
		return err
	}
	door, err := openDoor(ctx, run, o.Answer)
	if err != nil {
		return err
	}
	defer door.close()
	env, err := o.environment(ctx, run, door.path)
	if err != nil {
		return err
	}
	actions, err := repositories(o.Actions, at("actions"))
	if err != nil {
		return err
	}
	inside := ""
	if o.Image != nil {
		if inside, err = containerOptions(o.Rehearse, door.path); err != nil {
			return err
		}
	}
	ord := order{
		Runners: o.Runners, ContainerOptions: inside, ContainerEnv: intoContainers(env),
		Scratch: dir,
		Workdir: at("checkout"), Workflow: w.path, Event: at("event.json"), Cache: at("cache"), GitHub: o.github(r.Push),
		Env: map[string]string{"REHEARSAL_VERSION": o.Version}, Vars: o.Vars, Labels: w.labels(), Actions: actions, LimitEach: o.LimitEach,
	}
	if ord.LimitEach == 0 {
		ord.LimitEach = defaultLimit
	}
	return o.work(ctx, ord, env, w, r)
}

// patience is how long a worker may take to end what it started, wall time.
const patience = 10 * time.Second

// work has a worker carry out the order, and notes what it says.
func (o Options) work(ctx context.Context, ord order, env []string, w *workflow, r *Result) error {
	cmd := exec.Command(o.Worker[0], o.Worker[1:]...) // it is ended below, with all that it started
	cmd.Env = append(env, actRaces...)
	cmd.Dir = ord.Workdir
	group(cmd)
	var complaint tail
	cmd.Stderr = &complaint
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the process that runs the workflow cannot be started: %w", err)
	}
	said, settled := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(settled)
		_ = in.Close() // asks it to end everything
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		select {
		case <-said:
		case <-within.Done():
			endChildren(cmd.Process.Pid)
			endGroup(cmd)
		}
	})
	if o.Log != nil {
		o.Log = &capped{w: o.Log, left: mostLogged}
	}
	l := &listener{options: o, workflow: w, result: r}
	_ = json.NewEncoder(in).Encode(ord) // where it is gone already, there is no end to be heard of
	err = l.listen(out)
	close(said)
	if !stop() {
		<-settled
	}
	_ = in.Close()
	_ = out.Close() // one that nobody understands must not wait to be heard
	ended := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		endChildren(cmd.Process.Pid)
		r.Broken = append(r.Broken, fmt.Sprintf("what runs the workflow cannot be understood: %v", err))
	case ended != nil || !l.complete:
		r.Broken = append(r.Broken, strings.TrimSpace(fmt.Sprintf("what runs the workflow ended too soon (%v): %s", ended, complaint.String())))
	}
	return nil
}

// A listener makes a Result of what a worker says.
type listener struct {
	options  Options
	workflow *workflow
	result   *Result
	job      *Job
	last     map[string]*tail // what each step of the job printed last
	complete bool
}

// listen hears the worker out.
func (l *listener) listen(out io.Reader) error {
	dec := json.NewDecoder(out)
	for {
		var m message
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.hear(m); err != nil {
			return err
		}
	}
}

func (l *listener) hear(m message) error {
	switch m.Kind {
	case saidBegin:
		l.result.Jobs = append(l.result.Jobs, Job{Workflow: l.workflow.path, ID: m.Job, Result: JobUnknown, Why: "it did not come to its end"})
		l.job = &l.result.Jobs[len(l.result.Jobs)-1]
		l.last = map[string]*tail{}
		l.tell(Notice{Job: m.Job, Began: true})
	case saidLine:
		if l.options.Log != nil {
			fmt.Fprintf(l.options.Log, "[%s] %s\n", m.Job, m.Text)
		}
		if l.last != nil {
			if l.last[m.Step] == nil {
				l.last[m.Step] = &tail{}
			}
			fmt.Fprintln(l.last[m.Step], m.Text)
		}
		l.tell(Notice{Job: m.Job, Step: m.Step, Line: m.Text})
	case saidSummary:
		l.result.Summaries = append(l.result.Summaries, m.Text)
	case saidStep:
		if m.Result == "failure" && l.job != nil && l.job.Step == "" {
			l.job.Step = m.Step
		}
		l.tell(Notice{Job: m.Job, Step: m.Step, Result: m.Result})
	case saidJob:
		if l.job == nil {
			return fmt.Errorf("the job %q ended and had not begun", m.Job)
		}
		l.job.Result, l.job.Why = JobResult(m.Result), m.Text
		switch l.job.Result {
		case JobSucceeded, JobSkipped:
			l.job.Step, l.job.Why = "", "" // a step whose failure the workflow allows
		case JobFailed, JobTimedOut, JobCancelled, JobUnknown:
			if t := l.last[l.job.Step]; t != nil {
				l.job.Last = t.Lines()
			}
			if l.job.Result == JobFailed && l.job.Step != "" {
				l.job.Why = ""
			}
		default:
			return fmt.Errorf("the job %q ended as %q", m.Job, m.Result)
		}
		l.tell(Notice{Job: m.Job, Result: m.Result})
		l.job, l.last = nil, nil
	case saidBroken:
		l.result.Broken = append(l.result.Broken, m.Text)
	case saidEnd:
		l.complete = true
	default:
		return fmt.Errorf("a message of the kind %q", m.Kind)
	}
	return nil
}

func (l *listener) tell(n Notice) {
	if l.options.Notify != nil {
		l.options.Notify(n)
	}
}

// mostLogged is how much of a workflow's output is written down, in bytes.
const mostLogged = 64 << 20

// A capped writer leaves out what comes after so many bytes, and says so.
type capped struct {
	w    io.Writer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	if c.left <= 0 {
		return len(p), nil
	}
	if c.left -= len(p); c.left <= 0 {
		p = []byte("... what the jobs printed after this is left out\n")
	}
	return c.w.Write(p)
}

// A tail keeps the last lines that were written to it.
type tail struct{ text []byte }

const (
	tailLines = 15
	tailBytes = 16 << 10
)

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append([]byte(nil), t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) Lines() []string {
	lines := strings.Split(strings.TrimRight(string(t.text), "\n"), "\n")
	return slices.Clone(lines[max(0, len(lines)-tailLines):])
}

func (t *tail) String() string { return strings.Join(t.Lines(), "\n") }

package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nektos/act/pkg/model"
	"github.com/nektos/act/pkg/runner"
	"github.com/sirupsen/logrus"

	"rehearsal/internal/clock"
)

// An order is what a worker is told to run: one workflow, for one push.
type order struct {
	Scratch  string            `json:"scratch"`  // the folder of all of this; the worker removes it when its parent is gone
	Workdir  string            `json:"workdir"`  // the pushed commit, checked out
	Workflow string            `json:"workflow"` // its file in Workdir
	Event    string            `json:"event"`    // the file of the event's payload
	Cache    string            `json:"cache"`    // act's own
	GitHub   map[string]string `json:"github"`   // GITHUB_REPOSITORY and the like
	Env      map[string]string `json:"env"`      // of every step
	Vars     map[string]string `json:"vars"`
	Runners  map[string]string `json:"runners"` // label: the image in which its jobs run
	// ContainerOptions and ContainerEnv are of the containers of jobs.
	ContainerOptions string            `json:"containerOptions"`
	ContainerEnv     map[string]string `json:"containerEnv"`
	Labels           []string          `json:"labels"`  // of runners that this machine stands in for
	Actions          map[string]string `json:"actions"` // "actions/setup-go@v5": a folder; see repositories
	LimitEach        time.Duration     `json:"limitEach"`
}

// A message is what a worker says, as one line of JSON.
type message struct {
	Kind messageKind `json:"kind"`
	Job  string      `json:"job,omitempty"`
	Step string      `json:"step,omitempty"`
	Text string      `json:"text,omitempty"`
	// Result is a JobResult, or of a step "success" or "failure".
	Result string `json:"result,omitempty"`
}

// messageKind is a closed set.
type messageKind string

const (
	saidLine    messageKind = "line"    // Text is a line that the step printed
	saidSummary messageKind = "summary" // Text is Markdown for the step summary
	saidStep    messageKind = "step"    // the step ended with Result
	saidBegin   messageKind = "begin"   // the job begins
	saidJob     messageKind = "job"     // the job ended with Result; Text says why
	saidBroken  messageKind = "broken"  // act itself failed: nothing may be concluded
	saidEnd     messageKind = "end"     // everything was run
)

// Worker runs the workflow that the order on in describes, and says on out what
// happens. It is a process of its own, since act hands all of its own environment to
// the steps: it is started with a clean one. It ends what the steps started when a
// job ends, as GitHub's runner does, and everything when in is closed, which is how it
// notices that its parent is gone.
func Worker(ctx context.Context, in io.Reader, out io.Writer) error {
	var o order
	dec := json.NewDecoder(in)
	if err := dec.Decode(&o); err != nil {
		return fmt.Errorf("this is for rehearse itself: it reads what to run from its standard input: %w", err)
	}
	_ = os.Unsetenv("GORACE") // was for this process; see actRaces
	// A parent that is gone breaks the pipe, which must not end this process before it
	// has cleaned up. Ignoring the signal would have the steps ignore it too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	adopt()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var alone atomic.Bool // the parent is gone, or wants no more
	go func() {
		_, _ = io.Copy(io.Discard, io.MultiReader(dec.Buffered(), in)) // until it is closed
		alone.Store(true)
		cancel()
		endChildren(os.Getpid())
	}()
	s := &speaker{enc: json.NewEncoder(out)}
	go clock.Every(ctx, 100*time.Millisecond, func() {
		if tooMuch() {
			s.say(message{Kind: saidBroken, Text: fmt.Sprintf("the steps print more than can be followed: a line of theirs is longer than %d MiB", memoryLimit>>20)})
			endChildren(os.Getpid())
			os.Exit(1)
		}
	})
	if err := o.run(ctx, s); err != nil {
		s.say(message{Kind: saidBroken, Text: err.Error()})
	}
	endChildren(os.Getpid())
	s.say(message{Kind: saidEnd})
	if alone.Load() {
		return removeAll(o.Scratch)
	}
	return nil
}

// memoryLimit is how much memory a worker may use, in bytes: act keeps a line until it
// ends, and a step may never end one.
const memoryLimit = 512 << 20

func tooMuch() bool {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc > memoryLimit
}

// A speaker writes messages, from several goroutines.
type speaker struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (s *speaker) say(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.enc.Encode(m) // where nobody listens any more, in is closed as well
}

func (o order) run(ctx context.Context, s *speaker) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("act panicked: %v", p)
		}
	}()
	logrus.SetOutput(io.Discard)
	planner, err := model.NewWorkflowPlanner(filepath.Join(o.Workdir, filepath.FromSlash(o.Workflow)), true, false)
	if err != nil {
		return fmt.Errorf("act cannot read the workflow: %w", err)
	}
	plan, err := planner.PlanEvent("push")
	if err != nil {
		return fmt.Errorf("act cannot plan the workflow: %w", err)
	}
	ctx = runner.WithJobLoggerFactory(ctx, loggers{s})
	// One job after the other, though GitHub may run some at the same time on runners of
	// their own: what one of them leaves behind can then be ended before the next.
	tidied := false
	for _, st := range plan.Stages {
		for _, run := range st.Runs {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			inside := o.inContainer(run.Job())
			if inside && !tidied {
				tidied = true
				defer leaveNoToolCache(ctx)()
			}
			r, err := runner.New(o.config(inside))
			if err != nil {
				return err
			}
			o.job(ctx, s, r, run)
		}
	}
	return nil
}

// config is act's, for a job that runs in a container or on this machine.
func (o order) config(inside bool) *runner.Config {
	c := &runner.Config{
		Actor: "rehearsal", Workdir: o.Workdir, EventName: "push", EventPath: o.Event, DefaultBranch: o.GitHub["DEFAULT_BRANCH"],
		ActionCacheDir: o.Cache, ActionOfflineMode: true, LogOutput: true, Env: map[string]string{}, Vars: o.Vars, Secrets: map[string]string{}, AutoRemove: true,
		Platforms: map[string]string{}, GitHubInstance: "github.com", NoSkipCheckout: false, UseGitIgnore: true, ConcurrentJobs: 1,
		ActionCache: &runner.LocalRepositoryCache{Parent: unreachable{}, LocalRepositories: o.Actions, CacheDirCache: map[string]string{}},
	}
	for _, l := range o.Labels {
		c.Platforms[l] = "-self-hosted"
	}
	if inside {
		maps.Copy(c.Platforms, o.Runners)
		maps.Copy(c.Env, o.ContainerEnv)
		c.ContainerOptions, c.ContainerDaemonSocket = o.ContainerOptions, "-" // no way to the engine
	}
	for k, v := range o.Env {
		c.Env[k] = v
	}
	for k, v := range o.GitHub {
		c.Env[k] = v
	}
	return c
}

// unreachable is where actions would be fetched from.
type unreachable struct{}

func (unreachable) Fetch(_ context.Context, _, url, ref, _ string) (string, error) {
	return "", fmt.Errorf("%s@%s is somewhere else, and nothing is fetched in a rehearsal", url, ref)
}

func (unreachable) GetTarArchive(context.Context, string, string, string) (io.ReadCloser, error) {
	return nil, errors.New("nothing is fetched in a rehearsal")
}

// job runs one job within its time.
func (o order) job(ctx context.Context, s *speaker, r runner.Runner, run *model.Run) {
	id, job := run.JobID, run.Job()
	limit, declared := o.LimitEach, false
	if m, err := strconv.ParseFloat(strings.TrimSpace(job.TimeoutMinutes), 64); err == nil && m > 0 {
		// act does not look at a job's timeout-minutes.
		if d := time.Duration(m * float64(time.Minute)); d < limit || limit == 0 {
			limit, declared = d, true
		}
	}
	s.say(message{Kind: saidBegin, Job: id})
	if volume := mounts(job); volume != "" {
		job.Result = "failure"
		s.say(message{Kind: saidJob, Job: id, Result: string(JobUnknown), Text: fmt.Sprintf("it was not run: its container would get %s of this machine", volume)})
		return
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := r.NewPlanExecutor(&model.Plan{Stages: []*model.Stage{{Runs: []*model.Run{run}}}})(within)
	late := within.Err() != nil && ctx.Err() == nil
	endChildren(os.Getpid())
	end := message{Kind: saidJob, Job: id, Result: job.Result}
	switch {
	case ctx.Err() != nil:
		end.Result, end.Text = string(JobCancelled), "the rehearsal was interrupted"
	case late && declared:
		job.Result = "failure"
		end.Result, end.Text = string(JobTimedOut), fmt.Sprintf("it did not end within its timeout-minutes (%s)", job.TimeoutMinutes)
	case late:
		job.Result = "failure"
		end.Result, end.Text = string(JobUnknown), fmt.Sprintf("it did not end within %v, which is as long as a rehearsal waits for a job; GitHub waits for 6 hours: give it timeout-minutes", limit)
	case job.Result == "" && err != nil:
		job.Result = "failure"
		end.Result, end.Text = string(JobUnknown), err.Error()
	case job.Result == "" && len(job.Steps) > 0:
		end.Result, end.Text = string(JobUnknown), fmt.Sprintf("act did not run it: no runner here has the labels %q", job.RunsOn())
	case job.Result == "":
		end.Result, end.Text = string(JobUnknown), "act did not say what became of it"
	case err != nil && job.Result == "failure":
		end.Text = strings.TrimSpace(err.Error())
	}
	s.say(end)
}

// tells is the workflow commands that are for people.
var tells = map[string]bool{"error": true, "warning": true, "notice": true}

// loggers has act's log written as messages.
type loggers struct{ s *speaker }

func (l loggers) WithJobLogger() *logrus.Logger {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetFormatter(l)
	return logger
}

var _ runner.JobLoggerFactory = loggers{}

// Format says what people want to know of an entry. act has masked it already.
func (l loggers) Format(e *logrus.Entry) ([]byte, error) {
	text := func(key string) string { s, _ := e.Data[key].(string); return s }
	m := message{Job: text("jobID"), Step: text("step"), Text: strings.TrimRight(e.Message, "\r\n")}
	switch {
	case text("command") == "summary":
		m.Kind, m.Text = saidSummary, text("content")
	case e.Data["raw_output"] == true, tells[text("command")], e.Level <= logrus.WarnLevel:
		m.Kind = saidLine
	case e.Data["stepResult"] != nil && text("stage") == "Main":
		m.Kind, m.Text, m.Result = saidStep, "", fmt.Sprint(e.Data["stepResult"])
	default:
		return nil, nil
	}
	l.s.say(m)
	return nil, nil
}

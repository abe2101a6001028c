package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// code is a repository whose one workflow is the text.
func code(t *testing.T, workflow string, more map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{".github/workflows/ci.yml": workflow, "README.md": "a repository\n"}
	maps.Copy(files, more)
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o755))
	}
	return root
}

// onPush is a workflow for any push, with these jobs.
func onPush(jobs string) string { return "name: ci\non: push\njobs:\n" + jobs }

// options are a push of the repository at root, to jobs that may ask anything.
func options(t *testing.T, root string) Options {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	return Options{
		Code: root, Version: "v2", Stable: "v1", Service: "shop", Push: "main", Worker: []string{exe, "worker"}, Rehearse: exe,
		Answer: func(context.Context, Request, func(string)) Answer { return Answer{} },
	}
}

func runs(t *testing.T, o Options) *Result {
	t.Helper()
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	return r
}

const shopCode = "../../fixtures/pipeline/shop"

// shopOptions are a push of the shop's code by a tag.
func shopOptions(t *testing.T) Options {
	t.Helper()
	o := options(t, shopCode)
	o.Push, o.Actions = "", map[string]string{"actions/setup-go@v5": "../../fixtures/pipeline/actions/setup-go"}
	return o
}

func TestTheShopsPipelineAsksTheStage(t *testing.T) {
	o := shopOptions(t)
	var asked []Request
	o.Answer = func(_ context.Context, r Request, say func(string)) Answer {
		asked = append(asked, r)
		say("released " + r.Version)
		return Answer{Outputs: map[string]string{"began": "2026-01-05T09:02:00Z", "ended": "2026-01-05T09:17:00Z"}}
	}
	var log bytes.Buffer
	var notices []Notice
	o.Log, o.Notify = &log, func(n Notice) { notices = append(notices, n) }
	r := runs(t, o)
	assert.Equal(t, "refs/tags/v2", r.Push.Ref)
	assert.Equal(t, []string{".github/workflows/release.yml"}, r.Workflows)
	assert.Equal(t, []Request{{Verb: AskRelease, Version: "v2"}}, asked)
	assert.Contains(t, log.String(), "[deploy] released v2")
	assert.Equal(t, []string{"The order of three cups costs 750 yen.\n"}, r.Summaries)
	stopped, ok := r.Stopped()
	require.True(t, ok, "there is no CloudWatch to monitor")
	assert.Equal(t, "monitor", stopped.ID)
	assert.Equal(t, "alarms, metrics and logs", stopped.Step)
	assert.Contains(t, stopped.Detail(), "AWS_REGION: unbound variable")
	assert.Contains(t, notices, Notice{Job: "test", Result: "success"})
	assert.Empty(t, r.Inconclusive())
}

func TestWhatFailsStopsThePipelineBeforeItDeploys(t *testing.T) {
	for folder, want := range map[string]struct{ job, step, line, jobs string }{
		"failing-test":   {"test", "go test", "10 at 100 yen: 1000, not 900", "build success, test failure (go test), deploy skipped, monitor skipped, verify skipped"},
		"does-not-build": {"build", "go build", "undefined: price.Grand", "build failure (go build), test skipped, deploy skipped, monitor skipped, verify skipped"},
	} {
		t.Run(folder, func(t *testing.T) {
			o := shopOptions(t)
			o.Overlays = []string{"../../fixtures/pipeline/" + folder}
			o.Answer = func(context.Context, Request, func(string)) Answer {
				t.Error("it was released")
				return Answer{}
			}
			r := runs(t, o)
			j, stopped := r.Stopped()
			require.True(t, stopped)
			assert.Equal(t, want.job, j.ID)
			assert.Equal(t, want.step, j.Step)
			assert.Contains(t, strings.Join(j.Last, "\n"), want.line)
			assert.Equal(t, want.jobs, r.String())
			assert.Empty(t, r.Inconclusive())
		})
	}
}

func TestAReleaseThatIsTakenBackStopsThePipeline(t *testing.T) {
	o := shopOptions(t)
	o.Answer = func(_ context.Context, _ Request, say func(string)) Answer {
		say("rolled back: the alarm went off")
		return Answer{Status: 1}
	}
	r := runs(t, o)
	assert.Equal(t, "build success, test success, deploy failure (release), monitor skipped, verify skipped", r.String())
	j, _ := r.Stopped()
	assert.Contains(t, j.Detail(), "rolled back: the alarm went off")
}

func TestTheStepsGetNothingOfThePersons(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of-a-person")
	t.Setenv("GITHUB_TOKEN", "of-a-person")
	t.Setenv("SSH_AUTH_SOCK", "of-a-person")
	t.Setenv("COLOUR", "green")
	t.Setenv("SHAPE", "round")
	o := options(t, code(t, onPush(`
  look:
    runs-on: ubuntu-latest
    steps:
      - run: env | sort; echo "home $HOME"; test -w "$HOME" && test -w "$TMPDIR"
      - run: git config --global --list && exit 1 || true
      - run: command -v rehearse
`), nil))
	o.Keep, o.Endpoint = []string{"COLOUR"}, "http://127.0.0.1:1"
	var log bytes.Buffer
	o.Log = &log
	r := runs(t, o)
	require.Equal(t, "look success", r.String(), log.String())
	text := log.String()
	assert.NotContains(t, text, "of-a-person")
	assert.NotContains(t, text, "SHAPE=")
	assert.Contains(t, text, "COLOUR=green")
	assert.Contains(t, text, "AWS_ENDPOINT_URL=http://127.0.0.1:1")
	assert.Contains(t, text, "AWS_SECRET_ACCESS_KEY=rehearsal")
	assert.Contains(t, text, "REHEARSAL_VERSION=v2")
	assert.Contains(t, text, "GITHUB_REF=refs/heads/main")
	assert.Contains(t, text, "GITHUB_REPOSITORY=rehearsal/shop")
	assert.Contains(t, text, "GITHUB_SHA="+r.Push.After)
	home, err := os.UserHomeDir()
	require.NoError(t, err)
	assert.NotContains(t, text, "home "+home+"\n")

	o.Keep = []string{"DATABASE_PASSWORD"}
	_, err = Run(t.Context(), o)
	require.ErrorContains(t, err, "DATABASE_PASSWORD reads like a credential")
}

func TestNothingIsFetched(t *testing.T) {
	o := options(t, code(t, onPush(`
  fetch:
    runs-on: ubuntu-latest
    steps:
      - run: curl -sS --max-time 20 http://example.com/
`), nil))
	j, stopped := runs(t, o).Stopped()
	require.True(t, stopped)
	assert.Contains(t, j.Detail(), "127.0.0.1")
}

func TestCredentialsAreKnownByTheirNames(t *testing.T) {
	for _, name := range []string{"AWS_PROFILE", "MY_TOKEN", "token", "NPM_AUTH", "SECRET", "API_KEY", "PGPASSWORD_KEY", "SSH_AGENT_PID", "GH_HOST", "GOOGLE_CREDENTIALS"} {
		assert.True(t, CredentialName(name), name)
	}
	for _, name := range []string{"GOFLAGS", "JAVA_HOME", "KEYBOARD", "TZ", "NODE_OPTIONS", "MONKEY"} {
		assert.False(t, CredentialName(name), name)
	}
}

func TestAWorkflowThatIsWrongIsToldWithPlaceAndRemedy(t *testing.T) {
	const steps = "    runs-on: ubuntu-latest\n    steps: [{run: echo}]\n"
	for name, c := range map[string]struct{ workflow, want string }{
		"YAML":             {"on: push\njobs:\n  a: [", ".github/workflows/ci.yml:3: could not parse as YAML"},
		"a tab":            {"on: push\njobs:\n\ta: 1\n", "indent with spaces"},
		"a cycle":          {onPush("  a:\n    needs: b\n" + steps + "  b:\n    needs: a\n" + steps), `take one of the "needs" out`},
		"a needless need":  {onPush("  a:\n    needs: nobody\n" + steps), `name a job of this file`},
		"unknown runner":   {onPush("  a:\n    runs-on: ubuntu-1404\n    steps: [{run: echo}]\n"), `ci.yml:5: label "ubuntu-1404" is unknown`},
		"own runner":       {onPush("  a:\n    runs-on: ubuntu-1404\n    steps: [{run: echo}]\n"), ".github/actionlint.yaml"},
		"unknown key":      {onPush("  a:\n    rnus-on: ubuntu-latest\n    steps: [{run: echo}]\n"), `ci.yml:5: unexpected key "rnus-on"`},
		"no runner":        {onPush("  a:\n    steps: [{run: echo}]\n"), `ci.yml:4: "runs-on" section is missing`},
		"wrong expression": {onPush("  a:\n    runs-on: ubuntu-latest\n    steps: [{run: \"echo ${{ gihub.sha }}\"}]\n"), `ci.yml:6: undefined variable "gihub"`},
		"no jobs":          {"on: push\n", `"jobs" section is missing`},
		"empty":            {"", "ci.yml:1: "},
		"another event":    {"on: workflow_dispatch\njobs:\n  a:\n" + steps, `the push of refs/heads/main starts no workflow:`},
		"another branch":   {"on: {push: {branches: [release]}}\njobs:\n  a:\n" + steps, `its branches leave "main" out`},
		"only tags":        {"on: {push: {tags: ['v*']}}\njobs:\n  a:\n" + steps, `its pushes name no branches`},
		"other files":      {"on: {push: {paths: ['docs/**']}}\njobs:\n  a:\n" + steps, `its paths hold none of what was pushed`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), options(t, code(t, c.workflow, nil)))
			require.ErrorContains(t, err, c.want)
			var m *MistakeError
			require.ErrorAs(t, err, &m)
		})
	}
	_, err := Run(t.Context(), options(t, t.TempDir()))
	require.ErrorContains(t, err, "there is no workflow")
}

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	root := code(t, "on: push\njobs:\n  a: [", map[string]string{".github/workflows/other.yaml": onPush("  b:\n    steps: [{run: echo}]\n")})
	_, err := Run(t.Context(), options(t, root))
	require.ErrorContains(t, err, "ci.yml:3:")
	require.ErrorContains(t, err, "other.yaml:4:")
}

func TestAnOldActionIsAdviceAndNoMistake(t *testing.T) {
	r := runs(t, options(t, code(t, onPush(`
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v2
      - run: test -f README.md
`), nil)))
	require.Len(t, r.Advice, 1)
	assert.Contains(t, r.Advice[0], "ci.yml:8: ")
	assert.Equal(t, "a success", r.String())
}

func TestWhatCannotRunHereIsSaidAndIsNeverGreen(t *testing.T) {
	workflow := onPush(`
  database:
    runs-on: ubuntu-latest
    services:
      postgres: {image: "postgres:17"}
    steps: [{run: echo well}]
  boxed:
    runs-on: ubuntu-latest
    container: node:22
    steps: [{run: echo well}]
  fetches:
    runs-on: ubuntu-latest
    steps:
      - {uses: actions/checkout@v4}
      - {uses: actions/setup-go@v5}
  elsewhere:
    uses: shop/workflows/.github/workflows/deploy.yml@main
  windows:
    runs-on: windows-latest
    steps: [{run: echo well}]
  own:
    runs-on: ubuntu-latest
    steps:
      - {uses: actions/checkout@v4}
      - {uses: ./action}
`)
	root := code(t, workflow, map[string]string{"action/action.yml": "name: a\ndescription: d\nruns: {using: docker, image: Dockerfile}\n", "action/Dockerfile": "FROM scratch\n"})
	all, _, err := readWorkflows(root)
	require.NoError(t, err)
	require.Len(t, all, 1)
	got := all[0].obstacles(t.Context(), Options{})
	want := []struct {
		job  string
		line int
		text string
	}{
		{"database", 8, "there is no Docker engine here"}, {"boxed", 12, "there is no Docker engine here"},
		{"fetches", 18, "the action actions/setup-go@v5 is somewhere else"}, {"elsewhere", 20, "the workflow shop/workflows/.github/workflows/deploy.yml@main is somewhere else"},
		{"windows", 22, "it runs on windows-latest (Windows)"}, {"own", 28, "the action ./action is a container"},
	}
	require.Len(t, got, len(want))
	for i, w := range want {
		assert.Equal(t, w.job, got[i].Job)
		assert.Contains(t, got[i].What, w.text)
		assert.NotEmpty(t, got[i].Remedy)
		assert.Regexp(t, fmt.Sprintf(`ci\.yml:%d$`, w.line), got[i].Place, w.text)
	}
	had := func(_ context.Context, ref string) error {
		if ref == "node:22" {
			return errors.New("image node:22 cannot be had")
		}
		return nil
	}
	got = all[0].obstacles(t.Context(), Options{Image: had})
	require.Len(t, got, len(want))
	assert.Contains(t, got[0].What, "services (postgres) are containers, and a job that runs on this machine itself does not reach them")
	assert.Contains(t, got[0].Remedy, "pipeline: runners: {ubuntu-latest: ")
	assert.Contains(t, got[1].What, "image node:22 cannot be had")
	got = all[0].obstacles(t.Context(), Options{Image: had, Runners: map[string]string{"ubuntu-latest": "debian:12"}})
	assert.Len(t, got, len(want)-1, "the services of a job in a container are reached")
	assert.Len(t, all[0].obstacles(t.Context(), Options{Actions: map[string]string{"actions/setup-go@v5": "here"}}), len(want)-1)
}

func TestAJobWhoseServicesAreNotStartedIsNotBelieved(t *testing.T) {
	r := runs(t, options(t, code(t, onPush(`
  database:
    runs-on: ubuntu-latest
    services:
      postgres: {image: "postgres:17"}
    steps: [{run: echo well}]
`), nil)))
	assert.Equal(t, "database success", r.String(), "act says nothing of the services")
	assert.Contains(t, r.Inconclusive(), `job "database": it runs in containers or beside some, and there is no Docker engine here`)
}

func TestAnActionFromElsewhereFailsAtOnce(t *testing.T) {
	r := runs(t, options(t, code(t, onPush(`
  fetches:
    runs-on: ubuntu-latest
    steps:
      - {uses: actions/setup-go@v5}
`), nil)))
	assert.Contains(t, r.Inconclusive(), "name a folder with a copy of it")
	j, stopped := r.Stopped()
	require.True(t, stopped)
	assert.Contains(t, j.Detail(), "nothing is fetched in a rehearsal")
}

func TestAFolderStandsInForAnAction(t *testing.T) {
	root := code(t, onPush(`
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/setup-go@v5
        id: go
        with: {go-version: "1.26"}
      - run: test "${{ steps.go.outputs.go-version }}" = "stood in for 1.26"
`), nil)
	stand := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(stand, "action.yml"), []byte(`name: setup-go
description: stands in
inputs: {go-version: {required: false, description: which}}
outputs: {go-version: {description: which, value: "${{ steps.say.outputs.version }}"}}
runs:
  using: composite
  steps:
    - {id: say, shell: bash, run: 'echo "version=stood in for ${{ inputs.go-version }}" >> "$GITHUB_OUTPUT"'}
`), 0o600))
	o := options(t, root)
	o.Actions = map[string]string{"actions/setup-go@v5": stand}
	r := runs(t, o)
	assert.Equal(t, "a success", r.String())
	assert.Empty(t, r.Inconclusive())
}

func TestFoldersStandInForSeveralActionsOfOneRepository(t *testing.T) {
	says := func(folder, text string) string {
		require.NoError(t, os.MkdirAll(folder, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "action.yml"), []byte("name: a\ndescription: a\nruns:\n  using: composite\n  steps: [{shell: bash, run: echo "+text+"}]\n"), 0o600))
		return folder
	}
	root := code(t, onPush(`
  a:
    runs-on: ubuntu-latest
    steps:
      - {uses: actions/cache@v4, with: {path: p, key: k}}
      - {uses: actions/cache/restore@v4, with: {path: p, key: k}}
      - {uses: actions/cache/save@v4, with: {path: p, key: k}}
`), nil)
	whole := says(t.TempDir(), "the-cache")
	says(filepath.Join(whole, "save"), "its-own-save")
	says(filepath.Join(whole, "restore"), "its-own-restore")
	for _, c := range []struct {
		name    string
		actions map[string]string
		says    []string
	}{
		{"the repository with its folders", map[string]string{"actions/cache@v4": whole}, []string{"the-cache", "its-own-restore", "its-own-save"}},
		{"a folder for one of them", map[string]string{"actions/cache@v4": whole, "actions/cache/restore@v4": says(t.TempDir(), "another-restore")}, []string{"the-cache", "another-restore", "its-own-save"}},
		{"each a folder of its own", map[string]string{"actions/cache/save@v4": says(t.TempDir(), "a-save"), "actions/cache/restore@v4": says(t.TempDir(), "a-restore"), "actions/cache@v4": says(t.TempDir(), "a-cache")},
			[]string{"a-cache", "a-restore", "a-save"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, root)
			var log bytes.Buffer
			o.Actions, o.Log = c.actions, &log
			r := runs(t, o)
			assert.Equal(t, "a success", r.String(), log.String())
			assert.Empty(t, r.Inconclusive())
			for _, said := range c.says {
				assert.Contains(t, log.String(), said)
			}
		})
	}

	o := options(t, root)
	o.Actions = map[string]string{"actions/cache@v4": says(t.TempDir(), "a-cache")}
	assert.Contains(t, runs(t, o).Inconclusive(), "the action actions/cache/restore@v4 is somewhere else", "it has no such folder")
}

func TestAJobThatHangsEndsByItsOwnTimeout(t *testing.T) {
	o := options(t, code(t, onPush(`
  hangs:
    runs-on: ubuntu-latest
    timeout-minutes: 0.01
    steps:
      - {name: wait, run: "echo waiting; sleep 600"}
  after:
    needs: hangs
    runs-on: ubuntu-latest
    steps: [{run: echo}]
`), nil))
	r := runs(t, o)
	assert.Equal(t, "hangs timed out (wait), after skipped", r.String())
	j, stopped := r.Stopped()
	require.True(t, stopped)
	assert.Contains(t, j.Detail(), "it did not end within its timeout-minutes (0.01)")
	assert.Empty(t, r.Inconclusive(), "it is the workflow's own time-out")
}

func TestAJobWithoutATimeoutIsNotWaitedForForEver(t *testing.T) {
	o := options(t, code(t, onPush("  hangs:\n    runs-on: ubuntu-latest\n    steps: [{run: sleep 600}]\n"), nil))
	o.LimitEach = 300 * time.Millisecond
	assert.Contains(t, runs(t, o).Inconclusive(), "give it timeout-minutes")
}

func TestAReleaseIsCalledOffWhenItsJobTimesOut(t *testing.T) {
	o := options(t, code(t, onPush("  deploy:\n    runs-on: ubuntu-latest\n    timeout-minutes: 0.02\n    steps: [{run: rehearse release v2}]\n"), nil))
	ended := make(chan struct{})
	o.Answer = func(ctx context.Context, _ Request, _ func(string)) Answer {
		<-ctx.Done()
		close(ended)
		return Answer{Status: 3}
	}
	r := runs(t, o)
	<-ended
	assert.Equal(t, JobTimedOut, r.Jobs[0].Result)
}

func TestWhatAStepLeavesRunningIsEnded(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "pid")
	o := options(t, code(t, onPush(`
  leaves:
    runs-on: ubuntu-latest
    steps:
      - run: |
          setsid nohup sleep 600 >/dev/null 2>&1 &
          echo $! > '`+mark+`'
`), nil))
	assert.Equal(t, "leaves success", runs(t, o).String())
	pid, err := os.ReadFile(mark)
	require.NoError(t, err)
	status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
	if err == nil { // it may be waited for by nobody yet
		assert.Contains(t, string(status), ") Z ")
	}
}

func TestAnInterruptedPipelineEndsAtOnceAndLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	mark := filepath.Join(t.TempDir(), "pid")
	o := options(t, code(t, onPush("  hangs:\n    runs-on: ubuntu-latest\n    steps: [{run: \"echo $$ > '"+mark+"'; echo now; sleep 600\"}]\n"), nil))
	ctx, cancel := context.WithCancel(t.Context())
	o.Notify = func(n Notice) {
		if n.Line == "now" {
			cancel()
		}
	}
	_, err := Run(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	pid, err := os.ReadFile(mark)
	require.NoError(t, err)
	_, err = os.Stat("/proc/" + strings.TrimSpace(string(pid)))
	require.ErrorIs(t, err, os.ErrNotExist)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAWorkerThatDiesIsNoSuccess(t *testing.T) {
	o := options(t, code(t, onPush("  a:\n    runs-on: ubuntu-latest\n    steps: [{run: echo}]\n"), nil))
	o.Worker = []string{"sh", "-c", "echo it broke >&2; exit 7"}
	assert.Contains(t, runs(t, o).Inconclusive(), "it broke")
	o.Worker = []string{"sh", "-c", `echo '{"kind":"begin","job":"a"}'; read order`}
	assert.Contains(t, runs(t, o).Inconclusive(), "it did not come to its end")
	o.Worker = []string{"sh", "-c", "echo nonsense"}
	assert.Contains(t, runs(t, o).Inconclusive(), "cannot be understood")
	o.Worker = []string{"sh", "-c", `echo '{"kind":"job","job":"a","result":"fine"}'`}
	assert.NotEmpty(t, runs(t, o).Inconclusive())
	o.Worker = []string{filepath.Join(t.TempDir(), "none")}
	_, err := Run(t.Context(), o)
	require.ErrorContains(t, err, "cannot be started")
}

func TestAPushThatIsRejected(t *testing.T) {
	root := code(t, onPush("  a:\n    runs-on: ubuntu-latest\n    steps: [{run: echo}]\n"), map[string]string{"hook": "#!/bin/sh\necho 'the message needs a ticket' >&2\nexit 1\n"})
	o := options(t, root)
	o.PreReceive = filepath.Join(root, "hook")
	_, err := Run(t.Context(), o)
	var rejected *RejectedError
	require.ErrorAs(t, err, &rejected)
	require.EqualError(t, err, "the push of refs/heads/main was rejected: the repository's pre-receive hook declined it (the message needs a ticket): mend what the hook asks for, and push again")
}

func TestAPushThatIsBehind(t *testing.T) {
	ctx := t.Context()
	root := code(t, onPush("  a:\n    runs-on: ubuntu-latest\n    steps: [{run: echo}]\n"), nil)
	r, err := newRepository(ctx, t.TempDir(), root, "main", "v1")
	require.NoError(t, err)
	// A colleague was first.
	require.NoError(t, r.commit(ctx, root, nil, "theirs"))
	_, err = r.push(ctx, "refs/heads/main")
	require.NoError(t, err)
	_, err = r.push(ctx, "refs/tags/v2")
	require.NoError(t, err)
	_, err = r.in(ctx, "", "reset", "--soft", "HEAD^")
	require.NoError(t, err)
	require.NoError(t, r.commit(ctx, root, nil, "ours"))
	_, err = r.push(ctx, "refs/heads/main")
	var rejected *RejectedError
	require.ErrorAs(t, err, &rejected)
	require.ErrorContains(t, err, "the repository has commits that the pushed code has not: fetch and merge them first")
	_, err = r.push(ctx, "refs/tags/v2")
	require.ErrorContains(t, err, "give the version another name")
}

func TestAPushKnowsWhatItChanges(t *testing.T) {
	ctx := t.Context()
	root := code(t, "", map[string]string{"a/b.txt": "1", "c d.txt": "1"})
	over := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(over, "c d.txt"), []byte("2"), 0o600))
	r, err := newRepository(ctx, t.TempDir(), root, "trunk", "v1")
	require.NoError(t, err)
	require.NoError(t, r.commit(ctx, root, []string{over}, "v2"))
	p, err := r.push(ctx, "refs/heads/trunk")
	require.NoError(t, err)
	assert.Equal(t, []string{"c d.txt"}, p.Files)
	assert.NotEqual(t, zeros, p.Before)
	data, err := os.ReadFile(filepath.Join(root, "c d.txt"))
	require.NoError(t, err)
	assert.Equal(t, "1", string(data), "the team's code is only read")
	_, err = os.Stat(filepath.Join(root, ".git"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTheDoorAnswersOneAfterTheOther(t *testing.T) {
	var mu sync.Mutex
	busy := 0
	d, err := openDoor(t.Context(), t.TempDir(), func(_ context.Context, r Request, say func(string)) Answer {
		mu.Lock()
		busy++
		assert.Equal(t, 1, busy)
		mu.Unlock()
		say("for " + r.Version)
		mu.Lock()
		busy--
		mu.Unlock()
		return Answer{Status: 1}
	})
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			var out bytes.Buffer
			a, err := Ask(t.Context(), d.path, Request{Verb: AskRelease, Version: fmt.Sprint(i)}, &out)
			assert.NoError(t, err)
			assert.Equal(t, 1, a.Status)
			assert.Equal(t, fmt.Sprintf("for %d\n", i), out.String())
		})
	}
	all.Wait()
	d.close()
	_, err = Ask(t.Context(), d.path, Request{}, &bytes.Buffer{})
	require.ErrorContains(t, err, "does not answer")
}

func TestTheDoorClosesOnThoseInside(t *testing.T) {
	inside := make(chan struct{})
	d, err := openDoor(t.Context(), filepath.Join(t.TempDir(), strings.Repeat("long", 30)), func(ctx context.Context, _ Request, _ func(string)) Answer {
		close(inside)
		<-ctx.Done()
		return Answer{}
	})
	require.NoError(t, err)
	asked := make(chan error)
	go func() {
		_, err := Ask(t.Context(), d.path, Request{}, &bytes.Buffer{})
		asked <- err
	}()
	<-inside
	d.close()
	require.Error(t, <-asked)
	assert.LessOrEqual(t, len(d.path), longest)
	_, err = os.Stat(filepath.Dir(d.path))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAStepThatPrintsOneEndlessLineIsEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("it prints half a gigabyte")
	}
	r := runs(t, options(t, code(t, onPush("  talks:\n    runs-on: ubuntu-latest\n    steps: [{run: \"yes | tr -d '\\\\n'\"}]\n"), nil)))
	assert.Contains(t, r.Inconclusive(), "a line of theirs is longer than 512 MiB")
}

func TestAWorkflowThatIsTooLong(t *testing.T) {
	_, err := Run(t.Context(), options(t, code(t, strings.Repeat("# long\n", 200_000), nil)))
	require.ErrorContains(t, err, "GitHub takes at most 1048576")
}

func TestOnlySoMuchIsWrittenDown(t *testing.T) {
	var b bytes.Buffer
	c := &capped{w: &b, left: 10}
	for range 5 {
		n, err := c.Write([]byte("12345\n"))
		require.NoError(t, err)
		require.Positive(t, n)
	}
	assert.Equal(t, "12345\n... what the jobs printed after this is left out\n", b.String())
}

func FuzzWorkflows(f *testing.F) {
	f.Add([]byte(onPush("  a:\n    runs-on: ubuntu-latest\n    steps: [{run: echo}]\n")))
	f.Add([]byte("on: {push: {branches: ['!a', '**'], tags-ignore: [v*], paths: ['[a-]']}}\njobs: {a: {uses: ./x, needs: [a]}}"))
	f.Add([]byte("on: [push, &a {b: *a}]\njobs:\n  a: {strategy: {matrix: {x: [1]}}, services: ${{ x }}, container: {image: i}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		root := t.TempDir()
		dir := filepath.Join(root, ".github", "workflows")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "ci.yml"), data, 0o600))
		all, _, err := readWorkflows(root)
		if err != nil {
			return
		}
		for _, w := range all { // what is right can be asked
			_, _ = w.triggers(Push{Ref: "refs/heads/main", Files: []string{"a/b", "c"}})
			_, _ = w.triggers(Push{Ref: "refs/tags/v2"})
			_, _ = w.obstacles(context.Background(), Options{}), w.labels()
		}
	})
}

// A container that would get at this machine is not started.
func TestAContainerOfAJobThatReachesIntoThisMachineIsRefused(t *testing.T) {
	all, _, err := readWorkflows(code(t, onPush(`
  mounts:
    runs-on: ubuntu-latest
    container: {image: "debian:12", volumes: ["/etc:/host"]}
    steps: [{run: echo well}]
  privileged:
    runs-on: ubuntu-latest
    container: {image: "debian:12", options: "--cpus 1 --privileged"}
    steps: [{run: echo well}]
  plain:
    runs-on: ubuntu-latest
    container: {image: "debian:12", options: "--cpus 1", volumes: ["cache:/cache"]}
    steps: [{run: echo well}]
  chosen:
    runs-on: ubuntu-latest
    container: "${{ vars.IMAGE }}"
    steps: [{run: echo well}]
`), nil))
	require.NoError(t, err)
	got := all[0].obstacles(t.Context(), Options{Image: func(context.Context, string) error { return nil }})
	var said []string
	for _, o := range got {
		said = append(said, o.Job+": "+o.What)
	}
	assert.Equal(t, []string{
		"mounts: it mounts /etc:/host of this machine, which is not GitHub's runner",
		`privileged: its options "--cpus 1 --privileged" reach into this machine, which is not GitHub's runner`,
		"chosen: the image ${{ vars.IMAGE }} is an expression, which nobody can look at before",
	}, said)
}

package runs_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/runs"
)

// TestMain lets this binary be a process that records a run and is killed.
func TestMain(m *testing.M) {
	if file := os.Getenv("RECORD_AND_HANG"); file != "" {
		s, err := runs.Open(context.Background(), file)
		if err == nil {
			var rec *runs.Recording
			if rec, err = s.Record(context.Background(), a(run{commit: "c1"}), runs.Keep); err == nil {
				rec.Add(context.Background(), scenario("A", "passed"))
				err = rec.Err()
			}
		}
		fmt.Println("recorded", err)
		select {}
	}
	os.Exit(m.Run())
}

var day = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// run is what differs between the runs of these tests.
type run struct {
	commit  string
	dirty   bool
	version string
	seed    uint64
	part    bool
	began   time.Time
	status  int
}

func a(r run) *runs.Run {
	if r.began.IsZero() {
		r.began = day
	}
	committed := r.began.Add(-time.Hour)
	return &runs.Run{Service: "shop", Began: r.began, Stages: []string{"simulated"}, Seed: r.seed, Pace: 60, Version: "v1" + r.version, Commit: r.commit, Committed: &committed, Dirty: r.dirty, Part: r.part}
}

func scenario(name, verdict string) runs.Result {
	return runs.Result{Stage: "simulated", Feature: "F", Scenario: name, Place: "f.feature:3", Verdict: verdict, Detect: 2 * time.Minute, Restore: -1, Requests: 100, Failed: 3}
}

func store(t *testing.T, file string) *runs.Store {
	t.Helper()
	s, err := runs.Open(t.Context(), file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// record keeps a run that has ended.
func record(t *testing.T, s *runs.Store, r run, results ...runs.Result) {
	t.Helper()
	facts := a(r)
	rec, err := s.Record(t.Context(), facts, runs.Keep)
	require.NoError(t, err)
	for _, res := range results {
		rec.Add(t.Context(), res)
	}
	ended := facts.Began.Add(time.Minute)
	facts.Ended, facts.Status = &ended, &r.status
	rec.End(t.Context(), facts)
	require.NoError(t, rec.Err())
}

func TestThePastOfAScenarioIsKeptNewestFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "with space?#%", "runs.db")
	s := store(t, file)
	record(t, s, run{commit: "c1", seed: 1 << 63}, scenario("A", "passed"), scenario("B", "passed"))
	record(t, s, run{commit: "c2", began: day.Add(time.Hour), status: 1}, runs.Result{
		Stage: "simulated", Feature: "F", Scenario: "A", Place: "f.feature:4", Verdict: "failed", Released: "v2", Detect: -1, Restore: 3 * time.Minute,
		Requests: 9, Failed: 8, Step: "Then it works", Why: "it does not", Wall: time.Second,
	})
	require.NoError(t, s.Close())

	s, err := runs.OpenToRead(t.Context(), file)
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	past, err := s.Past("simulated", "F", "A", 9)
	require.NoError(t, err)
	require.Len(t, past, 2)
	assert.Equal(t, runs.Past{At: day.Add(time.Hour), Commit: "c2", Version: "v1", Pace: 60, Released: "v2", Verdict: "failed", Detect: -1, Restore: 3 * time.Minute, Requests: 9, Failed: 8, Step: "Then it works", Why: "it does not", Wall: time.Second}, past[0])
	assert.Equal(t, uint64(1<<63), past[1].Seed)
	newest, err := s.Past("simulated", "F", "A", 1)
	require.NoError(t, err)
	assert.Equal(t, past[:1], newest)

	lines, err := s.Lines()
	require.NoError(t, err)
	assert.Equal(t, []runs.Line{
		{Stage: "simulated", Feature: "F", Scenario: "B", Place: "f.feature:3", Gone: true},
		{Stage: "simulated", Feature: "F", Scenario: "A", Place: "f.feature:4"},
	}, lines)

	all, err := s.Runs(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, 1, all[0].Failed)
	assert.Equal(t, 1, *all[0].Status)
	assert.Equal(t, map[string][]time.Duration{"simulated": {2 * time.Minute, 2 * time.Minute}}, all[1].Detect)
}

func TestAKilledRunStaysAsNotEnded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RECORD_AND_HANG="+file)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var said string
	_, err = fmt.Fscanln(out, new(string), &said)
	require.NoError(t, err)
	require.Equal(t, "<nil>", said)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait(), "it was killed")

	all, err := store(t, file).Runs(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Nil(t, all[0].Ended)
	assert.Nil(t, all[0].Status)
	assert.Equal(t, 1, all[0].Passed, "what was known stays")
	assert.Equal(t, 1, runs.MeasureDORA(all).Unfinished)
}

func TestRunsAtTheSameTimeAreAllKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs.db")
	var all sync.WaitGroup
	failures := make(chan error, 8)
	for range cap(failures) {
		all.Go(func() {
			s, err := runs.Open(context.Background(), file) // none is there at first
			if err != nil {
				failures <- err
				return
			}
			rec, err := s.Record(context.Background(), a(run{commit: "c1"}), runs.Keep)
			if err == nil {
				for i := range 20 {
					rec.Add(context.Background(), scenario(fmt.Sprint(i), "passed"))
				}
				err = rec.Err()
			}
			failures <- errors.Join(err, s.Close())
		})
	}
	all.Wait()
	for range cap(failures) {
		require.NoError(t, <-failures)
	}
	kept, err := store(t, file).Runs(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, kept, 8)
	for _, r := range kept {
		assert.Equal(t, 20, r.Passed)
	}
}

func TestTheOldestRunsAreForgotten(t *testing.T) {
	s := store(t, filepath.Join(t.TempDir(), "runs.db"))
	for i := range 5 {
		rec, err := s.Record(t.Context(), a(run{commit: fmt.Sprint(i)}), 3)
		require.NoError(t, err)
		rec.Add(t.Context(), scenario("A", "passed"))
		require.NoError(t, rec.Err())
	}
	past, err := s.Past("simulated", "F", "A", 99)
	require.NoError(t, err)
	require.Len(t, past, 3)
	assert.Equal(t, []string{"4", "3", "2"}, []string{past[0].Commit, past[1].Commit, past[2].Commit})
	all, err := s.Runs(t.Context(), 0)
	require.NoError(t, err)
	assert.Len(t, all, 3)
}

func TestAFileThatIsNoStoreIsLeftAsItIs(t *testing.T) {
	made := func(sqls ...string) func(t *testing.T, file string) {
		return func(t *testing.T, file string) {
			db, err := sql.Open("sqlite", file)
			require.NoError(t, err)
			for _, s := range sqls {
				_, err := db.Exec(s)
				require.NoError(t, err)
			}
			require.NoError(t, db.Close())
		}
	}
	kept := func(t *testing.T, file string) {
		s := store(t, file)
		for range 40 {
			record(t, s, run{commit: strings.Repeat("c", 40)}, scenario(strings.Repeat("A", 200), "passed"))
		}
		require.NoError(t, s.Close())
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, file string)
		want []string
	}{
		"of a newer rehearse": {func(t *testing.T, file string) {
			kept(t, file)
			made("PRAGMA user_version = 7")(t, file)
		}, []string{"written by a newer rehearse: it has version 7, and this one knows up to 1", "left as it is"}},
		"of another program":                   {made("CREATE TABLE mine (a)", "PRAGMA user_version = 1"), []string{"a database of something else", "name another file with --runs"}},
		"of another program without a version": {made("CREATE TABLE mine (a)"), []string{"a database of something else", "--runs"}},
		"text":                                 {func(t *testing.T, file string) { require.NoError(t, os.WriteFile(file, []byte("runs of old"), 0o600)) }, []string{"is damaged (file is not a database)", "move it away"}},
		"cut off": {func(t *testing.T, file string) {
			kept(t, file)
			require.NoError(t, os.Truncate(file, 8192))
		}, []string{"is damaged", "move it away", ".recover"}},
		"overwritten in the middle": {func(t *testing.T, file string) {
			kept(t, file)
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			require.NoError(t, err)
			info, err := f.Stat()
			require.NoError(t, err)
			_, err = f.WriteAt([]byte(strings.Repeat("x", int(info.Size())-8192)), 8192)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}, []string{"is damaged", "move it away", ".recover"}},
		"a folder": {func(t *testing.T, file string) { require.NoError(t, os.Mkdir(file, 0o755)) }, []string{"cannot be used", "--runs"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "runs.db")
			c.make(t, file)
			before, _ := os.ReadFile(file)
			_, err := runs.Open(t.Context(), file)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.ErrorContains(t, err, file)
			after, _ := os.ReadFile(file)
			assert.True(t, bytes.Equal(before, after), "it was touched")
		})
	}
}

func TestAFolderThatCannotBeWrittenToIsSaid(t *testing.T) {
	_, err := runs.Open(t.Context(), "/proc/runs.db")
	require.ErrorContains(t, err, "/proc/runs.db cannot be used")
	require.ErrorContains(t, err, "--runs none")
	_, err = runs.OpenToRead(t.Context(), filepath.Join(t.TempDir(), "runs.db"))
	require.ErrorIs(t, err, runs.ErrNone)
}

func TestTheDefaultFileIsOfTheProjectAndInNoRepository(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	one, err := runs.DefaultFile("/src/shop/rehearsal.yaml")
	require.NoError(t, err)
	assert.Regexp(t, `^/state/rehearsal/shop-[0-9a-f]{8}\.db$`, one)
	other, err := runs.DefaultFile("/src/other/shop/rehearsal.yaml")
	require.NoError(t, err)
	assert.NotEqual(t, one, other)
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", "/home/me")
	home, err := runs.DefaultFile("/src/shop/rehearsal.yaml")
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(one, "/state", "/home/me/.local/state", 1), home)
	t.Setenv("HOME", "")
	_, err = runs.DefaultFile("/src/shop/rehearsal.yaml")
	require.ErrorContains(t, err, "--runs none")
}

func TestFlakyIsWhatDiffersThoughNothingElseDoes(t *testing.T) {
	for name, c := range map[string]struct {
		runs     []run
		verdicts []string
		want     []string // the verdicts of the one that is flaky
	}{
		"the same verdict":     {[]run{{commit: "c1"}, {commit: "c1"}}, []string{"failed", "failed"}, nil},
		"red and green":        {[]run{{commit: "c1"}, {commit: "c1"}, {commit: "c1"}}, []string{"failed", "passed", "passed"}, []string{"failed", "passed", "passed"}},
		"inconclusive":         {[]run{{commit: "c1"}, {commit: "c1"}}, []string{"passed", "inconclusive"}, []string{"passed", "inconclusive"}},
		"another commit":       {[]run{{commit: "c1"}, {commit: "c2"}}, []string{"failed", "passed"}, nil},
		"another seed":         {[]run{{commit: "c1"}, {commit: "c1", seed: 2}}, []string{"failed", "passed"}, nil},
		"another rehearse":     {[]run{{commit: "c1"}, {commit: "c1", version: ".1"}}, []string{"failed", "passed"}, nil},
		"uncommitted changes":  {[]run{{commit: "c1"}, {commit: "c1", dirty: true}}, []string{"failed", "passed"}, nil},
		"in no repository":     {[]run{{}, {}}, []string{"failed", "passed"}, nil},
		"the input was wrong":  {[]run{{commit: "c1"}, {commit: "c1", status: 2}}, []string{"passed", "inconclusive"}, nil},
		"another commit later": {[]run{{commit: "c1"}, {commit: "c1"}, {commit: "c2"}}, []string{"passed", "failed", "passed"}, []string{"passed", "failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := store(t, filepath.Join(t.TempDir(), "runs.db"))
			for i, r := range c.runs {
				record(t, s, r, scenario("A", c.verdicts[i]), scenario("B", "passed"))
			}
			flaky, err := s.Flaky(t.Context())
			require.NoError(t, err)
			if c.want == nil {
				assert.Empty(t, flaky)
				return
			}
			require.Len(t, flaky, 1)
			f := flaky[0]
			assert.Equal(t, "A", f.Scenario)
			assert.Equal(t, c.want, f.Verdicts)
			assert.Equal(t, len(c.want), f.Runs)
			assert.Equal(t, c.want[len(c.want)-1] == "passed", f.GreenAfterRed())
			past, err := s.Past("simulated", "F", "A", 99)
			require.NoError(t, err)
			assert.Len(t, past, len(c.runs), "no verdict was replaced")
		})
	}
}

func TestDORAMeasuresSayFromHowMany(t *testing.T) {
	s := store(t, filepath.Join(t.TempDir(), "runs.db"))
	restored := scenario("A", "passed")
	restored.Restore = 90 * time.Second
	// Ten commits, one a day, each first rehearsed an hour after it was made; those of the
	// third and seventh day are broken, and mended four hours later by a commit of its own.
	for i := range 10 {
		began := day.Add(time.Duration(i) * 24 * time.Hour)
		if i == 2 || i == 6 {
			record(t, s, run{commit: fmt.Sprint("c", i), began: began, status: 1}, scenario("A", "failed"))
			record(t, s, run{commit: fmt.Sprint("c", i), began: began.Add(time.Hour), status: 1}, scenario("A", "failed"))
			began = began.Add(4 * time.Hour)
			record(t, s, run{commit: fmt.Sprint("mended", i), began: began}, restored)
			record(t, s, run{commit: fmt.Sprint("c", i), began: began}, restored) // a retry changes nothing
			continue
		}
		record(t, s, run{commit: fmt.Sprint("c", i), began: began}, restored)
	}
	record(t, s, run{commit: "c9", part: true, status: 1, began: day.Add(9 * 24 * time.Hour)}, scenario("A", "failed"))
	record(t, s, run{commit: "new", status: 3, began: day.Add(9*24*time.Hour + time.Hour)}, scenario("A", "inconclusive"))
	all, err := s.Runs(t.Context(), 0)
	require.NoError(t, err)
	d := runs.MeasureDORA(all)

	assert.Equal(t, 12, d.Frequency.Of)
	assert.Equal(t, 12, d.Frequency.Commits)
	require.NotNil(t, d.Frequency.PerWeek)
	assert.InDelta(t, 12/(9+61.0/60/24)*7, *d.Frequency.PerWeek, 0.01)
	require.NotNil(t, d.Lead.Median)
	assert.Equal(t, time.Hour+time.Minute, *d.Lead.Median)
	assert.Equal(t, 2, d.Failure.Count)
	assert.Equal(t, 12, d.Failure.Of, "an inconclusive rehearsal says nothing of its commit")
	assert.InDelta(t, 100*2/12.0, *d.Failure.Percent, 0.01)
	require.NotNil(t, d.Restore["simulated"].P90)
	assert.Equal(t, 90*time.Second, *d.Restore["simulated"].P90)
	assert.Equal(t, 2, d.Recovery.Of)
	assert.Nil(t, d.Recovery.Median, "two are not enough")
	assert.Equal(t, 1, d.Parts)

	few := runs.MeasureDORA(all[:3])
	assert.Nil(t, few.Frequency.PerWeek)
	assert.Nil(t, few.Lead.Median)
	assert.Nil(t, few.Failure.Percent)
	assert.Zero(t, runs.MeasureDORA(nil).Frequency.Of)
}

package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
)

// A session is the command on a pseudo terminal.
type session struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File
	mu   sync.Mutex
	more *sync.Cond
	said bytes.Buffer
	done bool
}

// onTerminal starts the command on a terminal of that size; 0 is one that nobody set.
func onTerminal(t *testing.T, cols, rows uint16, env []string, args ...string) *session {
	t.Helper()
	s := &session{t: t, cmd: exec.Command(rehearse, dated(args)...)}
	s.more = sync.NewCond(&s.mu)
	s.cmd.Env = append(append(os.Environ(), "CI=", "NO_COLOR=", "LC_ALL=C.UTF-8", "TERM=xterm-256color"), env...)
	var err error
	s.tty, err = pty.StartWithSize(s.cmd, &pty.Winsize{Cols: cols, Rows: rows})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.tty.Close() })
	go func() {
		part := make([]byte, 32<<10)
		for {
			n, err := s.tty.Read(part)
			s.mu.Lock()
			s.said.Write(part[:n])
			s.done = err != nil // the kernel says EIO when the last one has closed it
			s.more.Broadcast()
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// until waits until all that was written has a match, or the command has ended.
func (s *session) until(pattern string) []string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if m := re.FindStringSubmatch(s.said.String()); m != nil {
			return m
		}
		require.False(s.t, s.done, "it ended and never wrote %q: %s", pattern, s.said.String())
		s.more.Wait()
	}
}

// end waits for the end, and returns all that was written and the exit status.
func (s *session) end() (all string, status int) {
	s.t.Helper()
	s.mu.Lock()
	for !s.done {
		s.more.Wait()
	}
	s.mu.Unlock()
	_ = s.cmd.Wait()
	return s.said.String(), s.cmd.ProcessState.ExitCode()
}

// screen is what a terminal of that size shows of it, with what has scrolled away.
func screen(t *testing.T, cols int, written string) string {
	t.Helper()
	e := vt.NewEmulator(cols, 400)
	_, err := e.Write([]byte(written))
	require.NoError(t, err)
	assert.False(t, e.CursorHidden())
	assert.Zero(t, e.CursorPosition().X, "the cursor is at the beginning of a row")
	var rows []string
	for r := range strings.SplitSeq(e.String(), "\n") {
		r = strings.TrimRight(r, " ")
		assert.LessOrEqual(t, lang.Columns(r), cols)
		rows = append(rows, r)
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n") + "\n"
}

var colour = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestOnATerminalARunIsDrawnAndLeavesNothingBehind(t *testing.T) {
	file := shop(t)
	args := []string{"verify", "--file", file, "--stage", "sim", "--pipelines=false"}
	for _, c := range []struct {
		cols, rows uint16
		width      int
		env        []string
	}{
		{80, 24, 80, nil},
		{0, 0, 80, nil},
		{40, 10, 40, []string{"NO_COLOR=1"}},
		{120, 5, 120, []string{"LC_ALL=ja_JP.UTF-8"}},
	} {
		all, status := onTerminal(t, c.cols, c.rows, c.env, args...).end()
		assert.Zero(t, status)
		assert.Contains(t, all, "\x1b[?2026h", "it was drawn")
		assert.Equal(t, strings.Count(all, "\x1b[?2026h"), strings.Count(all, "\x1b[?2026l"))
		assert.NotContains(t, all, "\x1b[?25", "the cursor is left alone")
		assert.Equal(t, len(c.env) == 0 || c.env[0] != "NO_COLOR=1", colour.MatchString(all))
		shown := screen(t, c.width, all)
		assert.NotRegexp(t, `\d+ of \d+ scenarios|シナリオ \d+ / \d+ 終了`, shown[:regexp.MustCompile(`(?m)^(simulated|模擬) `).FindStringIndex(shown)[0]], "what was drawn is gone")
		assert.Regexp(t, "VERIFIED: every promise was kept|検証済み: すべての約束が守られました", shown)
	}
	for _, env := range []string{"CI=true", "TERM=dumb"} {
		all, status := onTerminal(t, 80, 24, []string{env}, args...).end()
		assert.Zero(t, status)
		assert.NotContains(t, all, "\x1b", "plain lines with %s", env)
	}
}

func TestServedOnATerminalTheVerdictStaysUntilCtrlC(t *testing.T) {
	s := onTerminal(t, 80, 24, nil, "verify", "--file", shop(t), "--stage", "sim", "--pipelines=false", "--serve")
	url := s.until(`live at (http://127\.0\.0\.1:\d+/) \(for this machine alone\)`)[1]
	s.until("shows it until Ctrl-C")
	resp, err := http.Get(url) //nolint:noctx // a test
	require.NoError(t, err)
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Contains(t, string(page), "VERIFIED: every promise was kept")
	assert.Contains(t, string(page), "The new version fails one request in five hundred")
	_, err = s.tty.WriteString("\x03")
	require.NoError(t, err)
	all, status := s.end()
	assert.Zero(t, status, "the verdict's, not the interruption's: %s", all)
	_, err = http.Get(url) //nolint:noctx,bodyclose // it must fail
	assert.Error(t, err)
}

// What is wrong with the input is said at once.
func TestServedWrongInputIsSaidAtOnce(t *testing.T) {
	all, status := onTerminal(t, 80, 24, nil, "verify", "--file", shop(t), "--stage", "sim", "--serve", "nowhere.feature").end()
	assert.Equal(t, 2, status)
	assert.Contains(t, all, "nowhere.feature")
	assert.NotContains(t, all, "Ctrl-C")
}

// A script waits for the exit status, so the server ends with the run.
func TestServedElsewhereTheServerEndsWithTheRun(t *testing.T) {
	out, status := run(t, nil, "verify", "--file", shop(t), "--stage", "sim", "--pipelines=false", "--serve=0")
	assert.Zero(t, status)
	assert.Contains(t, out, "live at http://127.0.0.1:")
	assert.NotContains(t, out, "Ctrl-C")
	out, status = run(t, nil, "verify", "--file", shop(t), "--stage", "sim", "--serve=99999")
	assert.Equal(t, 2, status)
	assert.Contains(t, out, `--serve "99999": `)
}

func TestCtrlCLeavesTheScreenClean(t *testing.T) {
	if testing.Short() {
		t.Skip("pipelines take seconds")
	}
	s := onTerminal(t, 80, 24, nil, "verify", "--file", shop(t), "--stage", "sim", "--tags", "@pipeline")
	s.until(`0 of \d+ scenarios`)
	s.until("pipeline of")
	_, err := s.tty.WriteString("\x03")
	require.NoError(t, err)
	s.until("interrupted: taking the stages down")
	all, status := s.end()
	assert.Equal(t, 3, status)
	shown := screen(t, 80, all)
	assert.Contains(t, shown, "interrupted: the stages were taken down; nothing may be concluded")
	assert.NotContains(t, shown, "^C")
	assert.NotContains(t, shown, "taking the stages down")
	assert.NotContains(t, shown, "⣿")
}

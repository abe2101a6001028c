//go:build containers

package containers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"

	"rehearsal/internal/clock"
)

// lineChild, set, makes this test binary the process that TestTheReaperIsHeld drives.
const lineChild = "REHEARSAL_TEST_LINE_CHILD"

// Between two stages of a process it has no container; its reaper must not take that
// for its end, and so take the second stage.
func TestTheReaperIsHeld(t *testing.T) {
	if os.Getenv(lineChild) != "" {
		startsAndStops(t)
		return
	}
	e, _ := realEngine(t, nil, "haproxy:2.6")
	session := fmt.Sprintf("rehearsal-test-%d-%d", os.Getpid(), clock.Wall().UnixNano())
	child := exec.Command(os.Args[0], "-test.run=^TestTheReaperIsHeld$")
	child.Env = append(os.Environ(), lineChild+"=1", "TESTCONTAINERS_SESSION_ID="+session)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	in, err := child.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	lines := bufio.NewScanner(out)
	says := func(what string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == what {
				return
			}
			t.Log(lines.Text())
		}
		require.Failf(t, "the process ended", "before it said %q", what)
	}
	next := func() {
		_, err := io.WriteString(in, "go on\n")
		require.NoError(t, err)
	}
	reaper := "/reaper_" + session
	stays := func(how int) { // for longer than the reaper waits and then takes to remove things
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		err := clock.Poll(ctx, 50*time.Millisecond, func() (bool, error) {
			if here := thingsOf(t, e, session); len(here) != how {
				return false, fmt.Errorf("there are %d things, not %d: %v", len(here), how, here)
			}
			return false, nil
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Contains(t, thingsOf(t, e, session), reaper)
	}
	says("the first has come and gone")
	stays(1)
	next()
	says("the second is here")
	stays(2)
	next()
	says("closed")
	closed := clock.Wall()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, clock.Poll(ctx, 50*time.Millisecond, func() (bool, error) { return len(thingsOf(t, e, session)) == 0, nil }))
	t.Logf("nothing is left %s after Close", imageSeconds(clock.Since(closed)))
}

// startsAndStops is two short lives of a container, with an engine that is closed at
// the end, in a process that lives on.
func startsAndStops(t *testing.T) {
	told := bufio.NewScanner(os.Stdin)
	e, err := ConnectEngine(t.Context())
	require.NoError(t, err)
	run := func() testcontainers.Container {
		c, err := testcontainers.Run(t.Context(), "haproxy:2.6", testcontainers.WithCmd("sleep", "600"))
		require.NoError(t, err)
		return c
	}
	c := run()
	require.NoError(t, c.Terminate(t.Context(), testcontainers.StopTimeout(0)))
	fmt.Println("the first has come and gone")
	told.Scan()
	c = run()
	fmt.Println("the second is here")
	told.Scan()
	require.NoError(t, c.Terminate(t.Context(), testcontainers.StopTimeout(0)))
	require.NoError(t, e.Close())
	fmt.Println("closed")
	told.Scan() // until it is killed
}

// The line is the same whether the reaper is reached straight or as published.
func TestAddressesOfTheReaper(t *testing.T) {
	e, _ := realEngine(t, nil, "haproxy:2.6")
	c, err := testcontainers.Run(t.Context(), "haproxy:2.6", testcontainers.WithCmd("sleep", "600"))
	testcontainers.CleanupContainer(t, c, testcontainers.StopTimeout(0))
	require.NoError(t, err)
	list, err := e.Client.ContainerList(t.Context(), client.ContainerListOptions{Filters: reaperFilters()})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	elsewhere := &Engine{Client: e.Client, PublishedHost: e.PublishedHost}
	require.NotEmpty(t, elsewhere.addressesOf(list.Items[0]))
	assert.Subset(t, e.addressesOf(list.Items[0]), elsewhere.addressesOf(list.Items[0]))
	if e.Local {
		assert.Len(t, e.addressesOf(list.Items[0]), 2, "straight, and as published")
	}
	for _, address := range e.addressesOf(list.Items[0]) {
		conn, err := dialReaper(t.Context(), address, testcontainers.GenericLabels())
		require.NoError(t, err, address)
		require.NoError(t, conn.Close())
	}
}

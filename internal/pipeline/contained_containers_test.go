//go:build containers

package pipeline

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/containers"
)

// engineImages has images in the engine, as a rehearsal does.
func engineImages(t *testing.T) func(context.Context, string) error {
	t.Helper()
	e, err := containers.ConnectEngine(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	images, err := containers.NewImages(e, func(line string) { t.Log(line) })
	require.NoError(t, err)
	return func(ctx context.Context, ref string) error {
		_, err := images.Ensure(ctx, ref)
		return err
	}
}

// A job in a container, beside a service, checks out what was pushed, reaches the service
// by its name and the stage by `rehearse`, and leaves nothing.
func TestAJobRunsInItsContainerBesideItsServices(t *testing.T) {
	left := func() string {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "docker ps --all --quiet --filter name=act-; docker network ls --quiet --filter name=act-; docker volume ls --quiet --filter name=act-").CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("the docker command counts what is left")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	o := options(t, code(t, onPush(`
  build:
    runs-on: ubuntu-latest
    container: postgres:17
    services:
      db:
        image: postgres:17
        env: {POSTGRES_USER: shop, POSTGRES_PASSWORD: shop}
        options: --health-cmd "pg_isready --host=127.0.0.1" --health-interval 1s --health-retries 30
    steps:
      - uses: actions/checkout@v4
      - name: read what was pushed
        run: grep repository README.md
      - name: ask the service
        run: test "$(PGPASSWORD=shop psql --host=db --username=shop --tuples-only --no-align --command='SELECT 6*7')" = 42
      - name: this machine is out of sight
        run: test ! -e "`+exe+`" && test ! -e /var/run/docker.sock
  deploy:
    needs: build
    runs-on: ubuntu-24.04
    steps:
      - name: release
        shell: sh # the image has no bash
        run: rehearse release v2
  fails:
    runs-on: ubuntu-latest
    container: {image: "postgres:17"}
    steps:
      - name: test
        run: exit 3
`), nil))
	var asked []Request
	o.Answer = func(_ context.Context, r Request, say func(string)) Answer {
		asked = append(asked, r)
		say("released")
		return Answer{}
	}
	var log strings.Builder
	o.Image, o.Runners, o.Log = engineImages(t), map[string]string{"ubuntu-24.04": "postgres:17"}, &log
	r := runs(t, o)
	assert.Empty(t, r.Inconclusive(), log.String())
	for job, want := range map[string]JobResult{"build": JobSucceeded, "deploy": JobSucceeded, "fails": JobFailed} {
		j, ok := r.Find(job)
		require.True(t, ok)
		assert.Equal(t, want, j.Result, "%s\n%s", j.Detail(), log.String())
	}
	require.Len(t, asked, 1)
	assert.Equal(t, AskRelease, asked[0].Verb)
	assert.Empty(t, left())

	o.Image = func(context.Context, string) error { return os.ErrNotExist }
	assert.Contains(t, runs(t, o).Inconclusive(), `job "build"`)
}

package containers

import (
	"context"
	"fmt"
	"strings"
)

// redisRecipe makes the official image redis, of the release that Debian bookworm has,
// from Debian's packages: the server, redis-cli and a shell. As in the official image the
// server lets everybody in who knows the password, or everybody where there is none, and
// arguments, or a configuration file, follow as the command.
type redisRecipe struct{}

var _ ImageRecipe = redisRecipe{}

const redisVersion = "7.0"

func (redisRecipe) Matches(ref string) bool {
	return imageTagMatches(ref, "redis", redisVersion) || imageMajor(ref, "redis", "7")
}
func (redisRecipe) Source() string { return "Debian packages" }
func (redisRecipe) Own() bool      { return false }

// redisFiles are what is kept of the packages. The server is the checker under another
// name.
var redisFiles = []string{"usr/bin/redis-server", "usr/bin/redis-check-rdb", "usr/bin/redis-cli", "usr/bin/redis-benchmark", busyboxPath}

// redisEntrypoint is the official image's, for a container that runs as the user redis
// from the start. The official server is built with protected mode off; this one gets
// that before what the user says.
const redisEntrypoint = `#!/bin/sh
set -e
if [ $# -eq 0 ] || [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- redis-server "$@"
fi
if [ "$1" = redis-server ]; then
	shift
	own=/tmp/redis-entrypoint.conf
	echo "protected-mode no" >"$own"
	if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
		echo "include $1" >>"$own"
		shift
	fi
	set -- redis-server "$own" "$@"
fi
exec "$@"
`

func (redisRecipe) Hash(_ context.Context, w *ImageWorkshop) (string, error) {
	return imageHash("redis 1", redisVersion, w.Arch, busyboxCommands, redisEntrypoint, strings.Join(redisFiles, " ")), nil
}

func (redisRecipe) Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error) {
	source := debianSource{Suite: "bookworm", Packages: []string{"redis-server", "redis-tools", "busybox-static", "libc-bin"}}
	files, err := source.fetch(ctx, w.Dir, w.Arch, imageMatchAny(redisFiles))
	if err != nil {
		return nil, err
	}
	tree := newImageTree()
	if err := tree.take(files, redisFiles...); err != nil {
		return nil, fmt.Errorf("redis %s: %w", redisVersion, err)
	}
	tree.busybox()
	tree.file("usr/local/bin/docker-entrypoint.sh", 0o755, []byte(redisEntrypoint))
	tree.user("redis", 999, "/data")
	tree.dir("data", 0o1777, 999)
	content := &ImageContent{tree: tree, config: imageConfig{
		User:       "999:999",
		Env:        []string{imageSearchPath()},
		Entrypoint: []string{"docker-entrypoint.sh"},
		Cmd:        []string{"redis-server"},
		Volumes:    map[string]struct{}{"/data": {}},
		WorkingDir: "/data",
	}}
	content.expose(6379)
	return content, nil
}

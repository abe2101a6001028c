package containers

import (
	"context"
	"fmt"
)

// haproxyRecipe makes haproxy:2.6 from Debian 12's package, with Lua, and laid
// out as the official image is: the configuration is read from
// /usr/local/etc/haproxy/haproxy.cfg, the user is haproxy (99), and arguments
// that begin with a dash, or none, run `haproxy -W -db`.
type haproxyRecipe struct{}

var _ ImageRecipe = haproxyRecipe{}

const haproxyEntrypoint = `#!/bin/sh
set -e
[ "${1#-}" = "$1" ] || set -- haproxy "$@"
if [ "$1" = haproxy ]; then
	shift
	set -- haproxy -W -db "$@"
fi
exec "$@"
`

func (haproxyRecipe) Matches(ref string) bool { return imageTagMatches(ref, "haproxy", "2.6") }
func (haproxyRecipe) Source() string          { return "Debian packages" }
func (haproxyRecipe) Own() bool               { return false }

func (haproxyRecipe) Hash(context.Context, *ImageWorkshop) (string, error) {
	return imageHash("haproxy 1", haproxyEntrypoint, busyboxCommands), nil
}

func (haproxyRecipe) Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error) {
	source := debianSource{Suite: "bookworm", Packages: []string{"haproxy", "busybox-static"}}
	files, err := source.fetch(ctx, w.Dir, w.Arch, func(name string) bool {
		return name == "usr/sbin/haproxy" || name == busyboxPath
	})
	if err != nil {
		return nil, err
	}
	tree := newImageTree()
	if err := tree.take(files, "usr/sbin/haproxy", busyboxPath); err != nil {
		return nil, fmt.Errorf("haproxy: %w", err)
	}
	tree.busybox()
	tree.user("haproxy", 99, "/var/lib/haproxy")
	tree.dir("var/lib/haproxy", 0o755, 99)
	tree.dir("usr/local/etc/haproxy", 0o755, 0)
	tree.link("usr/local/sbin/haproxy", "/usr/sbin/haproxy")
	tree.file("usr/local/bin/docker-entrypoint.sh", 0o755, []byte(haproxyEntrypoint))
	return &ImageContent{tree: tree, config: imageConfig{
		User:       "haproxy",
		Env:        []string{imageSearchPath(), "HAPROXY_VERSION=2.6"},
		Entrypoint: []string{"docker-entrypoint.sh"},
		Cmd:        []string{"haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"},
		WorkingDir: "/var/lib/haproxy",
		StopSignal: "SIGUSR1",
	}}, nil
}

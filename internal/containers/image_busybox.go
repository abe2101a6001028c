package containers

import (
	"archive/tar"
	"strings"
)

// busyboxPath is where Debian's busybox-static keeps its program.
const busyboxPath = "usr/bin/busybox"

// busyboxCommands are the commands that an image with a shell has from busybox,
// for entrypoints, health checks and people who look into a container.
const busyboxCommands = "[ ash awk basename cat chmod chown cmp cp cut date dd df dirname du echo egrep env expr false find " +
	"grep gunzip gzip head hostname id kill ln ls mkdir mktemp mv nc od printf ps pwd readlink rm rmdir sed seq sh " +
	"sleep sort stat sync tail tar tee test timeout touch tr true uname uniq vi wc wget which whoami xargs zcat"

// busybox links every command that the tree does not have to its busybox.
func (t imageTree) busybox() {
	for _, name := range strings.Fields(busyboxCommands) {
		if _, have := t["usr/bin/"+name]; !have {
			t["usr/bin/"+name] = imageFile{Kind: tar.TypeSymlink, Mode: 0o777, Link: "busybox"}
		}
	}
}

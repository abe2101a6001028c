package containers

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/distribution/reference"
)

//go:embed entrypoint/mariadb/main.go
var mariadbEntrypoint []byte

// mariadbRecipe makes the official image mariadb, of the release that Debian bookworm
// has, from Debian's packages: the server, the client programs, a shell, and the
// entrypoint in entrypoint/mariadb/.
type mariadbRecipe struct{}

var _ ImageRecipe = mariadbRecipe{}

const mariadbVersion = "10.11"

func (mariadbRecipe) Matches(ref string) bool {
	return imageTagMatches(ref, "mariadb", mariadbVersion) || imageMajor(ref, "mariadb", "10")
}
func (mariadbRecipe) Source() string { return "Debian packages" }
func (mariadbRecipe) Own() bool      { return false }

func (r mariadbRecipe) Hash(_ context.Context, w *ImageWorkshop) (string, error) {
	return imageHash("mariadb 1", mariadbVersion, mariadbConfig, w.Arch, busyboxCommands, string(mariadbEntrypoint), strings.Join(r.files(), " ")), nil
}

// files are what is kept of the packages.
func (mariadbRecipe) files() []string {
	return []string{
		"usr/sbin/mariadbd", "usr/sbin/mysqld", "usr/share/mysql/*.sql", "-usr/share/mysql/mysql_test*",
		"usr/share/mysql/english/...", "usr/share/mysql/charsets/...",
		"usr/bin/mariadb", "usr/bin/mysql", "usr/bin/mariadb-admin", "usr/bin/mysqladmin", "usr/bin/mariadb-dump", "usr/bin/mysqldump",
		"usr/bin/my_print_defaults", busyboxPath,
	}
}

// mariadbConfig is what the official image sets.
const mariadbConfig = "[client-server]\nsocket = /run/mysqld/mysqld.sock\n\n" +
	"[mariadbd]\nskip-name-resolve\nhost-cache-size = 0\npid-file = /run/mysqld/mysqld.pid\n" +
	"character-set-server = utf8mb4\ncollation-server = utf8mb4_general_ci\n\n" +
	"!includedir /etc/mysql/mariadb.conf.d/\n!includedir /etc/mysql/conf.d/\n"

func (r mariadbRecipe) Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error) {
	source := debianSource{
		Suite:    "bookworm",
		Packages: []string{"mariadb-server-core", "mariadb-client-core", "mariadb-client", "busybox-static", "libc-bin"},
		Without:  []string{"mariadb-common", "mysql-common", "debianutils"},
	}
	kept := r.files()
	files, err := source.fetch(ctx, w.Dir, w.Arch, imageMatchAny(kept))
	if err != nil {
		return nil, err
	}
	tree := newImageTree()
	if err := tree.take(files, kept...); err != nil {
		return nil, fmt.Errorf("mariadb %s: %w", mariadbVersion, err)
	}
	tree.busybox()
	entrypoint, err := w.goBuildSource(ctx, "entrypoint-mariadb", mariadbEntrypoint)
	if err != nil {
		return nil, err
	}
	tree.file("usr/local/bin/docker-entrypoint.sh", 0o755, entrypoint)
	tree.link("usr/local/bin/healthcheck.sh", "docker-entrypoint.sh")
	tree.file("etc/mysql/my.cnf", 0o644, []byte(mariadbConfig))
	tree.dir("etc/mysql/conf.d", 0o755, 0)
	tree.dir("etc/mysql/mariadb.conf.d", 0o755, 0)
	tree.user("mysql", 999, "/var/lib/mysql")
	tree.dir("var/lib/mysql", 0o1777, 999)
	tree.dir("run/mysqld", 0o1777, 999)
	tree.dir("docker-entrypoint-initdb.d", 0o755, 0)
	content := &ImageContent{tree: tree, finish: []string{"bake"}, config: imageConfig{
		Env:        []string{imageSearchPath(), "LANG=C.UTF-8"},
		Entrypoint: []string{"docker-entrypoint.sh"},
		Cmd:        []string{"mariadbd"},
		Volumes:    map[string]struct{}{"/var/lib/mysql": {}},
	}}
	content.expose(3306)
	return content, nil
}

// imageMajor says whether ref is the repository with a tag that names a major version
// alone, or a variant of it: 7 or 7-alpine.
func imageMajor(ref, repository, major string) bool {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil || named.Name() != imageRepository(repository) {
		return false
	}
	tagged, ok := named.(reference.Tagged)
	if !ok {
		return false
	}
	rest, ok := strings.CutPrefix(tagged.Tag(), major)
	return ok && (rest == "" || rest[0] == '-')
}

// imageHint is what helps where an image can neither be pulled nor made here; "" where
// nothing is known.
func imageHint(ref string) string {
	for _, name := range []string{"mysql", "mysql/mysql-server", "percona", "percona/percona-server"} {
		if imageRepository(ref) == imageRepository(name) {
			return "Debian has no MySQL to build it from: where MariaDB will do, name mariadb:" + mariadbVersion + ", which can be built here"
		}
	}
	for name, can := range map[string]string{"mariadb": "mariadb:" + mariadbVersion, "redis": "redis:" + redisVersion, "postgres": "postgres:15 and postgres:17"} {
		if imageRepository(ref) == imageRepository(name) {
			return "of " + name + ", only " + can + " can be built here"
		}
	}
	return ""
}

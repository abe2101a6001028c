package containers

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed entrypoint/main.go
var entrypointSource []byte

// postgresRecipe makes one major version of the official image postgres from
// Debian's packages: the server without its JIT compiler, its extensions, psql and
// the other client programs, a shell, and the entrypoint in entrypoint/.
type postgresRecipe struct {
	Major string // "17"
	Suite string // the Debian release that has it: "trixie"
}

var _ ImageRecipe = postgresRecipe{}

func (r postgresRecipe) Matches(ref string) bool { return imageTagMatches(ref, "postgres", r.Major) }
func (r postgresRecipe) Source() string          { return "Debian packages" }
func (r postgresRecipe) Own() bool               { return false }

func (r postgresRecipe) Hash(_ context.Context, w *ImageWorkshop) (string, error) {
	return imageHash("postgres 1", r.Major, r.Suite, w.Arch, busyboxCommands, string(entrypointSource), strings.Join(r.files(), " ")), nil
}

// files are what is kept of the packages.
func (r postgresRecipe) files() []string {
	lib, share := "usr/lib/postgresql/"+r.Major, "usr/share/postgresql/"+r.Major
	return []string{
		lib + "/bin/*", "-" + lib + "/bin/pg_test*", "-" + lib + "/bin/pgbench", "-" + lib + "/bin/oid2name", "-" + lib + "/bin/vacuumlo",
		lib + "/lib/...", "-" + lib + "/lib/bitcode/...", "-" + lib + "/lib/llvmjit*", "-" + lib + "/lib/pgxs/...",
		share + "/...", "-" + share + "/man/...",
		"usr/share/zoneinfo/...", "-usr/share/zoneinfo/right/...", "-usr/share/zoneinfo/posix/...",
		"usr/bin/localedef", "usr/lib/locale/C.utf8/...", "usr/share/i18n/charmaps/UTF-8.gz",
		"usr/share/i18n/locales/en_*", "usr/share/i18n/locales/i18n*", "usr/share/i18n/locales/iso14651_*",
		"usr/share/i18n/locales/translit_*", "usr/share/i18n/locales/cns11643_*", busyboxPath,
	}
}

func (r postgresRecipe) Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error) {
	source := debianSource{
		Suite:    r.Suite,
		Packages: []string{"postgresql-" + r.Major, "postgresql-client-" + r.Major, "busybox-static", "libc-bin", "tzdata", "locales"},
		Without:  []string{"libllvm*", "libz3-*", "postgresql-*common*", "libclang*"},
	}
	kept := r.files()
	files, err := source.fetch(ctx, w.Dir, w.Arch, imageMatchAny(kept))
	if err != nil {
		return nil, err
	}
	tree := newImageTree()
	if err := tree.take(files, kept...); err != nil {
		return nil, fmt.Errorf("postgres %s: %w", r.Major, err)
	}
	tree.busybox()
	entrypoint, err := w.goBuildSource(ctx, "entrypoint", entrypointSource)
	if err != nil {
		return nil, err
	}
	tree.file("usr/local/bin/docker-entrypoint.sh", 0o755, entrypoint)
	return r.content(tree)
}

// content lays the image out as the official one is.
func (r postgresRecipe) content(tree imageTree) (*ImageContent, error) {
	tree.user("postgres", 999, "/var/lib/postgresql")
	tree.dir("var/lib/postgresql", 0o1777, 999)
	tree.dir("var/lib/postgresql/data", 0o1777, 999)
	tree.dir("run/postgresql", 0o3777, 999)
	tree.dir("docker-entrypoint-initdb.d", 0o755, 0)
	sample := "usr/share/postgresql/" + r.Major + "/postgresql.conf.sample"
	conf := tree[sample]
	conf.Data = []byte(strings.Replace(string(conf.Data), "#listen_addresses = 'localhost'", "listen_addresses = '*'", 1))
	if !strings.Contains(string(conf.Data), "\nlisten_addresses = '*'") {
		return nil, fmt.Errorf("postgres %s: no listen_addresses in /%s", r.Major, sample)
	}
	tree[sample] = conf
	bin := "/usr/lib/postgresql/" + r.Major + "/bin"
	content := &ImageContent{tree: tree, finish: []string{"bake"}, config: imageConfig{
		Env: []string{
			imageSearchPath(bin), "PG_MAJOR=" + r.Major, "LANG=en_US.utf8", "PGDATA=/var/lib/postgresql/data",
		},
		Entrypoint: []string{"docker-entrypoint.sh"},
		Cmd:        []string{"postgres"},
		Volumes:    map[string]struct{}{"/var/lib/postgresql/data": {}},
		StopSignal: "SIGINT",
	}}
	content.expose(5432)
	return content, nil
}

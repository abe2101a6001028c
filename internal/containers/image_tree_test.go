package containers

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testTree is what packages hold, by path.
func testTree() imageTree {
	t := imageTree{}
	t.file("usr/bin/app", 0o755, []byte("app"))
	t.file("usr/bin/apptest", 0o755, []byte("test"))
	t.dir("usr/share/app", 0o755, 0)
	t.file("usr/share/app/a", 0o644, []byte("a"))
	t.file("usr/share/app/deep/b", 0o644, []byte("b"))
	t.link("usr/lib/libapp.so", "libapp.so.1")
	t.link("usr/lib/libapp.so.1", "/lib/libapp.so.1.2")
	t.file("usr/lib/libapp.so.1.2", 0o644, []byte("lib"))
	return t
}

func TestTakeTakesWhatIsNamed(t *testing.T) {
	tree := imageTree{}
	require.NoError(t, tree.take(testTree(), "usr/bin/*", "-usr/bin/*test", "usr/share/app/..."))
	assert.Contains(t, tree, "usr/bin/app")
	assert.NotContains(t, tree, "usr/bin/apptest")
	assert.Contains(t, tree, "usr/share/app/a")
	assert.Contains(t, tree, "usr/share/app/deep/b")
	assert.NotContains(t, tree, "usr/lib/libapp.so")
}

func TestTakeFollowsLinks(t *testing.T) {
	tree := imageTree{}
	require.NoError(t, tree.take(testTree(), "usr/lib/libapp.so"))
	assert.Len(t, tree, 3)
	at, ok := tree.resolve("usr/lib/libapp.so")
	assert.True(t, ok)
	assert.Equal(t, "usr/lib/libapp.so.1.2", at)
}

func TestTakeNamesWhatIsMissing(t *testing.T) {
	assert.EqualError(t, imageTree{}.take(testTree(), "usr/sbin/app"), `no file named "usr/sbin/app" in the packages`)
}

func TestTakeRefusesABrokenProgram(t *testing.T) {
	from := testTree()
	from.file("usr/bin/broken", 0o755, []byte("\x7fELF, but not for long"))
	assert.ErrorContains(t, imageTree{}.take(from, "usr/bin/broken"), "usr/bin/broken: ")
}

func TestImagePath(t *testing.T) {
	for name, want := range map[string]string{
		"./bin/sh": "usr/bin/sh", "./usr/bin/env": "usr/bin/env", "/lib64/ld.so": "usr/lib64/ld.so", "./": "", "./etc/passwd": "etc/passwd",
		"./library/x": "library/x", "../../etc/shadow": "etc/shadow",
	} {
		assert.Equal(t, want, imagePath(name), name)
	}
}

func TestWriteTarHasParentsFirstAndIsTheSameEachTime(t *testing.T) {
	write := func() []byte {
		var out bytes.Buffer
		require.NoError(t, testTree().writeTar(&out))
		return out.Bytes()
	}
	first := write()
	for range 5 {
		require.Equal(t, first, write())
	}
	seen := map[string]bool{}
	for in := tar.NewReader(bytes.NewReader(first)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if h.Name == "usr/share/app/deep/b" {
			assert.True(t, seen["usr/"] && seen["usr/share/"] && seen["usr/share/app/"] && seen["usr/share/app/deep/"])
		}
		assert.Equal(t, imageEpoch.Unix(), h.ModTime.Unix())
		seen[h.Name] = true
	}
	assert.True(t, seen["usr/share/app/deep/b"])
}

func TestUsersAreInBothFiles(t *testing.T) {
	tree := newImageTree()
	tree.user("postgres", 999, "/var/lib/postgresql")
	assert.Contains(t, string(tree["etc/passwd"].Data), "postgres:x:999:999:postgres:/var/lib/postgresql:/bin/sh\n")
	assert.Contains(t, string(tree["etc/group"].Data), "postgres:x:999:\n")
	assert.NotContains(t, string(newImageTree()["etc/passwd"].Data), "postgres")
}

package containers

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// imageTree is the root file system of an image, in memory. Paths have no
// leading slash. /bin, /lib, /lib64 and /sbin are the links into /usr that
// Debian has since 12, so a file is found by one path only.
type imageTree map[string]imageFile

// imageFile is one entry of a tree: a directory, a link or a file.
type imageFile struct {
	Kind byte   // tar.TypeReg, tar.TypeDir or tar.TypeSymlink
	Mode int64  // permission bits, with setuid, setgid and sticky
	UID  int    // owner and group
	Data []byte // of a file
	Link string // of a link: where it points
}

// newImageTree is a tree with what every program expects: the links into /usr,
// /tmp, the users root and nobody, and how names are looked up.
func newImageTree() imageTree {
	t := imageTree{}
	for _, dir := range []string{"bin", "lib", "lib64", "sbin"} {
		t[dir] = imageFile{Kind: tar.TypeSymlink, Mode: 0o777, Link: "usr/" + dir}
		t.dir("usr/"+dir, 0o755, 0)
	}
	t.dir("tmp", 0o1777, 0)
	t.dir("run", 0o755, 0)
	t["var/run"] = imageFile{Kind: tar.TypeSymlink, Mode: 0o777, Link: "/run"}
	t.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"))
	t.file("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	t.file("etc/nsswitch.conf", 0o644, []byte("passwd: files\ngroup: files\nhosts: files dns\n"))
	return t
}

func (t imageTree) dir(name string, mode int64, uid int) {
	t[name] = imageFile{Kind: tar.TypeDir, Mode: mode, UID: uid}
}

func (t imageTree) file(name string, mode int64, data []byte) {
	t[name] = imageFile{Kind: tar.TypeReg, Mode: mode, Data: data}
}

func (t imageTree) link(name, to string) {
	t[name] = imageFile{Kind: tar.TypeSymlink, Mode: 0o777, Link: to}
}

// user adds a user with a group of the same name and number.
func (t imageTree) user(name string, id int, home string) {
	passwd, group := t["etc/passwd"], t["etc/group"]
	passwd.Data = fmt.Appendf(slices.Clone(passwd.Data), "%s:x:%d:%d:%s:%s:/bin/sh\n", name, id, id, name, home)
	group.Data = fmt.Appendf(slices.Clone(group.Data), "%s:x:%d:\n", name, id)
	t["etc/passwd"], t["etc/group"] = passwd, group
}

// resolve follows links from name to a file that is there.
func (t imageTree) resolve(name string) (string, bool) {
	for range 16 {
		f, ok := t[name]
		if !ok || f.Kind != tar.TypeSymlink {
			return name, ok
		}
		name = f.target(name)
	}
	return name, false
}

// target is the path that a link named name points to.
func (f imageFile) target(name string) string {
	if path.IsAbs(f.Link) {
		return imagePath(f.Link)
	}
	return imagePath(path.Join(path.Dir("/"+name), f.Link))
}

// imagePath is where a tree keeps a path of a Debian package.
func imagePath(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if top, _, _ := strings.Cut(name, "/"); slices.Contains([]string{"bin", "lib", "lib64", "sbin"}, top) {
		return "usr/" + name
	}
	return name
}

// take copies what the patterns name (as path.Match does; a trailing "/..." takes
// all below) from another tree, and every shared library that the programs among
// it need. A pattern that names nothing is an error, unless it begins with "-",
// which takes away what patterns before it named.
func (t imageTree) take(from imageTree, patterns ...string) error {
	taken := imageTree{}
	for _, pattern := range patterns {
		pattern, away := strings.CutPrefix(pattern, "-")
		found := false
		for name := range from {
			if imageMatch(pattern, name) {
				found = true
				if away {
					delete(taken, name)
				} else {
					taken[name] = from[name]
				}
			}
		}
		if !found && !away {
			return fmt.Errorf("no file named %q in the packages", pattern)
		}
	}
	maps.Copy(t, taken)
	return t.takeLibraries(from, slices.Sorted(maps.Keys(taken)))
}

// imageMatchAny says of a name whether one of the patterns matches it.
func imageMatchAny(patterns []string) func(name string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool { return imageMatch(pattern, name) })
	}
}

func imageMatch(pattern, name string) bool {
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(name, below+"/")
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// takeLibraries adds the closure of the shared libraries and the interpreter that
// the ELF files among names ask for, as the dynamic linker would find them.
func (t imageTree) takeLibraries(from imageTree, names []string) error {
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		f := t[name]
		if f.Kind == tar.TypeSymlink {
			to := f.target(name)
			_, have := t[to]
			if there, ok := from[to]; ok && !have {
				t[to] = there
				names = append(names, to)
			}
			continue
		}
		needed, err := imageNeeds(f.Data)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, lib := range needed {
			at, ok := from.findLibrary(lib, path.Dir(name))
			if !ok {
				return fmt.Errorf("%s needs %s, which none of the packages has", name, lib)
			}
			if _, have := t[at]; !have {
				t[at] = from[at]
				names = append(names, at)
			}
		}
	}
	return nil
}

func (t imageTree) findLibrary(lib, beside string) (string, bool) {
	if path.IsAbs(lib) { // the interpreter
		at := imagePath(lib)
		_, ok := t.resolve(at)
		return at, ok
	}
	dirs := []string{beside}
	for name, f := range t {
		if f.Kind == tar.TypeDir && strings.HasPrefix(name, "usr/lib/") && strings.HasSuffix(name, "-linux-gnu") && path.Dir(name) == "usr/lib" {
			dirs = append(dirs, name)
		}
	}
	for _, dir := range dirs {
		at := path.Join(dir, lib)
		if _, ok := t.resolve(at); ok {
			return at, true
		}
	}
	return "", false
}

// imageNeeds lists what an ELF file asks the dynamic linker for, its interpreter
// included; nothing for any other file.
func imageNeeds(data []byte) ([]string, error) {
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, nil
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	needed, err := f.ImportedLibraries()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, err := io.ReadAll(p.Open())
			if err != nil {
				return nil, err
			}
			needed = append(needed, string(bytes.TrimRight(b, "\x00")))
		}
	}
	return needed, nil
}

// imageEpoch is the modification time of every file in a built image: the same
// tree is always the same image.
var imageEpoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// writeTar writes the tree, its parent directories included, in a fixed order.
func (t imageTree) writeTar(w io.Writer) error {
	all := maps.Clone(t)
	for name := range t {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, have := all[dir]; !have {
				all[dir] = imageFile{Kind: tar.TypeDir, Mode: 0o755}
			}
		}
	}
	out := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		h := &tar.Header{
			Typeflag: f.Kind, Name: name, Linkname: f.Link, Size: int64(len(f.Data)),
			Mode: f.Mode, Uid: f.UID, Gid: f.UID, ModTime: imageEpoch, Format: tar.FormatPAX,
		}
		if f.Kind == tar.TypeDir {
			h.Name += "/"
		}
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, err := out.Write(f.Data); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return out.Close()
}

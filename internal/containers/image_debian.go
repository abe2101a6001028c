package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// debianSource is where the files of an image come from: packages of one Debian
// release with what they depend on. They are fetched and checked by apt, with its
// own lists and cache, beside the system's and without being root, and unpacked
// in memory: nothing is installed.
type debianSource struct {
	Suite    string   // "bookworm"
	Packages []string // what is asked for; dependencies come by themselves
	Without  []string // dependencies (path.Match) whose files the image has no use for
}

const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// debianMirrors are where this machine's own apt gets Debian's packages and security
// updates from: a company's mirror, where it has one.
func debianMirrors(ctx context.Context) (main, security string, err error) {
	out, err := imageRun(exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"))
	if err != nil {
		return "", "", err
	}
	return chooseDebianMirrors(string(out))
}

func chooseDebianMirrors(listed string) (main, security string, err error) {
	for uri := range strings.FieldsSeq(listed) {
		switch uri = strings.TrimSuffix(uri, "/"); {
		case strings.HasSuffix(uri, "debian-security") && security == "":
			security = uri
		case strings.HasSuffix(uri, "/debian") && main == "":
			main = uri
		}
	}
	if main == "" {
		return "", "", errors.New("apt has no Debian mirror: name one in /etc/apt/sources.list.d, as on any Debian")
	}
	if security == "" {
		security = main + "-security"
	}
	return main, security, nil
}

// debianUnused are dependencies that bring nothing a pruned image keeps: package
// tools, maintainer scripts and their interpreters.
var debianUnused = []string{
	"perl*", "libperl*", "lib*-perl", "dpkg", "tar", "usrmerge", "init-system-helpers", "sysvinit-utils",
	"debconf", "passwd", "adduser", "libpam-*", "libsemanage*", "libsepol*", "gcc-*-base", "lsb-base", "ucf",
	"sensible-utils", "openssl", "ssl-cert", "libdb5*", "libgdbm*", "libaudit-common", "libc-l10n",
	"readline-common", "cdebconf", "libdebian-installer*", "mawk", "base-*",
}

// fetch downloads the packages for a GOARCH and returns the files that keep wants,
// with every shared library. Its cache is a folder of dir.
func (s debianSource) fetch(ctx context.Context, dir, goarch string, keep func(name string) bool) (imageTree, error) {
	apt, err := newDebianApt(ctx, filepath.Join(dir, "debian-"+s.Suite+"-"+goarch), s.Suite, debianArch(goarch))
	if err != nil {
		return nil, err
	}
	packages, err := apt.closure(ctx, s.Packages, append(slices.Clone(debianUnused), s.Without...))
	if err != nil {
		return nil, err
	}
	files, err := apt.download(ctx, packages)
	if err != nil {
		return nil, err
	}
	trees := make([]imageTree, len(files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for i, file := range files {
		group.Go(func() (err error) {
			trees[i], err = debianUnpack(ctx, file, keep)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := imageTree{}
	for _, tree := range trees {
		for name, f := range tree {
			all[name] = f
		}
	}
	return all, nil
}

// debianArch is Debian's name for a GOARCH.
func debianArch(goarch string) string {
	switch goarch {
	case "386":
		return "i386"
	case "arm":
		return "armhf"
	default:
		return goarch
	}
}

// debianApt runs apt-get in a root of its own.
type debianApt struct {
	dir    string
	config string
}

// newDebianApt prepares the root and fetches the package lists.
func newDebianApt(ctx context.Context, dir, suite, arch string) (*debianApt, error) {
	if err := debianTools(); err != nil {
		return nil, err
	}
	for _, sub := range []string{"etc", "lists/partial", "archives/partial", "debs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	mirror, security, err := debianMirrors(ctx)
	if err != nil {
		return nil, err
	}
	a := &debianApt{dir: dir, config: filepath.Join(dir, "apt.conf")}
	sources := fmt.Sprintf("deb [signed-by=%s] %s %s main\ndeb [signed-by=%s] %s %s-security main\n",
		debianKeyring, mirror, suite, debianKeyring, security, suite)
	config := fmt.Sprintf(`Dir::Etc %[1]q;
Dir::Etc::sourcelist %[2]q;
Dir::Etc::sourceparts "/dev/null";
Dir::State %[3]q;
Dir::State::lists %[4]q;
Dir::State::status %[5]q;
Dir::Cache %[3]q;
Dir::Cache::archives %[6]q;
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Architecture %[7]q;
APT::Architectures %[7]q;
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "10";
`, filepath.Join(dir, "etc"), filepath.Join(dir, "etc", "sources.list"), dir, filepath.Join(dir, "lists"),
		filepath.Join(dir, "status"), filepath.Join(dir, "archives"), arch) + debianProxy(ctx)
	for name, text := range map[string]string{"etc/sources.list": sources, "apt.conf": config, "status": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	if _, err := a.run(ctx, "update", "-o", "APT::Update::Error-Mode=any"); err != nil {
		return nil, fmt.Errorf("fetch the package lists of Debian %s from %s: %w", suite, mirror, err)
	}
	return a, nil
}

// debianTools says what is missing to fetch Debian packages here.
func debianTools() error {
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is not installed; building this image needs a Debian or Ubuntu machine, or a registry to pull it from", tool)
		}
	}
	if _, err := os.Stat(debianKeyring); err != nil {
		return errors.New("the keys of Debian's packages are missing; install them: apt-get install debian-archive-keyring")
	}
	return nil
}

// debianProxy is the part of the system's apt configuration that says how to
// reach the network.
func debianProxy(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "apt-config", "dump", "Acquire").Output()
	if err != nil {
		return ""
	}
	var proxy strings.Builder
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "::Proxy") {
			proxy.WriteString(line)
		}
	}
	return proxy.String()
}

// debianPackage is a package as apt-get --print-uris names it.
type debianPackage struct {
	Name string // "libssl3"
	File string // "libssl3_3.0.22-1~deb12u2_amd64.deb"
}

// closure lists the packages asked for and all they depend on, except the unwanted.
func (a *debianApt) closure(ctx context.Context, packages, without []string) ([]debianPackage, error) {
	out, err := a.run(ctx, append([]string{"install", "-y", "--print-uris"}, packages...)...)
	if err != nil {
		return nil, fmt.Errorf("find the packages %s: %w", strings.Join(packages, " "), err)
	}
	var found []debianPackage
	for _, m := range debianURI.FindAllStringSubmatch(string(out), -1) {
		p := debianPackage{Name: m[2], File: m[1]}
		unwanted := slices.ContainsFunc(without, func(pattern string) bool {
			ok, err := filepath.Match(pattern, p.Name)
			return ok && err == nil
		})
		if !unwanted || slices.Contains(packages, p.Name) {
			found = append(found, p)
		}
	}
	return found, nil
}

// debianURI is a line of apt-get --print-uris: 'uri' name_version_arch.deb size hash.
var debianURI = regexp.MustCompile(`(?m)^'[^']*' (([^_ ]+)_[^ ]*\.deb) `)

// download fetches packages, checked against the signed lists, and returns their
// files. What an earlier download left is not fetched again.
func (a *debianApt) download(ctx context.Context, packages []debianPackage) ([]string, error) {
	var names, files []string
	for _, p := range packages {
		file := filepath.Join(a.dir, "debs", p.File)
		if _, err := os.Stat(file); err != nil {
			names = append(names, p.Name)
		}
		files = append(files, file)
	}
	if len(names) == 0 {
		return files, nil
	}
	part, err := os.MkdirTemp(a.dir, "part-") // a download cut short leaves nothing in debs
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(part) }()
	if _, err := a.runIn(ctx, part, append([]string{"download"}, names...)...); err != nil {
		return nil, fmt.Errorf("download Debian packages: %w", err)
	}
	done, err := filepath.Glob(filepath.Join(part, "*.deb"))
	if err != nil {
		return nil, err
	}
	for _, file := range done {
		if err := os.Rename(file, filepath.Join(a.dir, "debs", filepath.Base(file))); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (a *debianApt) run(ctx context.Context, args ...string) ([]byte, error) {
	return a.runIn(ctx, a.dir, args...)
}

func (a *debianApt) runIn(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.config, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return imageRun(cmd)
}

// imageRun runs a command; its error carries the last lines it wrote.
func imageRun(cmd *exec.Cmd) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.Join(lines[max(0, len(lines)-6):], "; "))
	}
	return out.Bytes(), nil
}

// debianUnpack reads the files that keep wants, and the shared libraries, from a
// package.
func debianUnpack(ctx context.Context, file string, keep func(string) bool) (imageTree, error) {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	tree, err := debianRead(out, keep)
	if _, drain := io.Copy(io.Discard, out); err == nil {
		err = drain
	}
	if wait := cmd.Wait(); err == nil {
		err = wait
	}
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w %s", filepath.Base(file), err, strings.TrimSpace(errs.String()))
	}
	return tree, nil
}

func debianRead(r io.Reader, keep func(string) bool) (imageTree, error) {
	tree := imageTree{}
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return tree, nil
		}
		if err != nil {
			return nil, err
		}
		name := imagePath(h.Name)
		isDir := h.Typeflag == tar.TypeDir
		if name == "" || !isDir && !debianLibrary.MatchString(name) && !keep(name) {
			continue
		}
		f := imageFile{Kind: h.Typeflag, Mode: h.Mode, Link: h.Linkname}
		switch h.Typeflag {
		case tar.TypeReg:
			if f.Data, err = io.ReadAll(in); err != nil {
				return nil, err
			}
		case tar.TypeLink:
			f = tree[imagePath(h.Linkname)]
		case tar.TypeDir, tar.TypeSymlink:
		default:
			continue
		}
		tree[name] = f
	}
}

// debianLibrary is a shared library where the dynamic linker looks for it.
var debianLibrary = regexp.MustCompile(`^usr/lib(64)?/([a-z0-9_]+-linux-gnu[a-z]*/)?[^/]+\.so(\.[0-9.]+)?$`)

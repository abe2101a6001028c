package containers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// A GoRecipe makes an image from a Go program: a static binary on an otherwise
// empty file system with CA certificates, the users root and nobody, and /tmp.
// The image runs as nobody, starts with the binary, and has no shell.
type GoRecipe struct {
	// Dir is a folder in the Go module that the program belongs to; empty is the
	// folder that Rehearsal runs in.
	Dir string
	// Package is the program's package as `go build` takes it in Dir, for example
	// "./fixtures/shop"; empty is the package in Dir.
	Package string
	// Ldflags are given to the linker after "-s -w", for example "-X main.build=v2".
	Ldflags string
	// Tags are build tags, separated by commas.
	Tags string
	// Binary is the name of the program in the image, "/shop" for "shop"; empty is
	// the name of the package's folder.
	Binary string
	// Ports are the TCP ports that the image says it listens on.
	Ports []int
	// User is who it runs as; empty is nobody (65534:65534).
	User string
	// Args are given to the program before those of the container's command.
	Args []string `json:",omitempty"`
	// Health are the arguments with which the program says, by its exit status, whether
	// the one that runs in the container is well; none: nobody asks.
	Health []string `json:",omitempty"`
}

// For is the recipe under the name of an image. Such an image is never pulled.
func (r GoRecipe) For(ref string) ImageRecipe { return goRecipe{ref: ref, GoRecipe: r} }

type goRecipe struct {
	GoRecipe
	ref string
}

var _ ImageRecipe = goRecipe{}

func (r goRecipe) Matches(ref string) bool { return imageName(ref) == imageName(r.ref) }
func (r goRecipe) Source() string          { return "Go source" }
func (r goRecipe) Own() bool               { return true }

// Hash covers the files of the module's own packages that the program is made of,
// go.mod and go.sum, and the Go release, so it needs no build.
func (r goRecipe) Hash(ctx context.Context, w *ImageWorkshop) (string, error) {
	files, err := w.goSources(ctx, r.dir(), r.pkg(), r.Tags)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", r.ref, err)
	}
	same := r.GoRecipe
	same.Dir = "" // wherever the files are
	settings, err := json.Marshal(same)
	if err != nil {
		return "", err
	}
	return imageHash("go 1", files, string(settings), w.Arch), nil
}

func (r goRecipe) Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error) {
	name := r.Binary
	if name == "" {
		abs, err := filepath.Abs(filepath.Join(r.dir(), r.pkg()))
		if err != nil {
			return nil, err
		}
		name = filepath.Base(abs)
	}
	binary, err := w.goBuild(ctx, imageGoBuild{Dir: r.dir(), Package: r.pkg(), Ldflags: r.Ldflags, Tags: r.Tags})
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", r.ref, err)
	}
	content := goContent(name, binary)
	content.config.User = r.User
	if r.User == "" {
		content.config.User = "65534:65534"
	}
	for _, port := range r.Ports {
		content.expose(port)
	}
	content.config.Entrypoint = append(content.config.Entrypoint, r.Args...)
	if len(r.Health) > 0 {
		content.config.Healthcheck = &dockerspec.HealthcheckConfig{
			Test: append([]string{"CMD", "/" + name}, r.Health...), Interval: 5 * time.Second, Timeout: 6 * time.Second, StartPeriod: 5 * time.Second, StartInterval: time.Second, Retries: 3,
		}
	}
	return content, nil
}

func (r goRecipe) dir() string {
	if r.Dir == "" {
		return "."
	}
	return r.Dir
}

func (r goRecipe) pkg() string {
	if r.Package == "" {
		return "."
	}
	return r.Package
}

// goContent is an image of one static binary, run as root.
func goContent(name string, binary []byte) *ImageContent {
	tree := newImageTree()
	tree.file(name, 0o755, binary)
	if pem := imageCertificates(); pem != nil {
		tree.file("etc/ssl/certs/ca-certificates.crt", 0o644, pem)
	}
	return &ImageContent{tree: tree, config: imageConfig{
		Env:        []string{imageSearchPath()},
		Entrypoint: []string{"/" + name},
		WorkingDir: "/",
	}}
}

// imageCertificates is this machine's bundle of CA certificates, nil if it has none.
func imageCertificates() []byte {
	for _, file := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"} {
		if pem, err := os.ReadFile(file); err == nil {
			return pem
		}
	}
	return nil
}

// imageGoBuild is one call of go build.
type imageGoBuild struct {
	Dir, Package, Ldflags, Tags string
	Mod                         string // of -mod; empty leaves it to Go
}

// goBuild builds a static program for the engine and returns the binary.
func (w *ImageWorkshop) goBuild(ctx context.Context, b imageGoBuild) ([]byte, error) {
	if err := imageGoTool(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(b.Dir)
	if err != nil {
		return nil, err
	}
	out := filepath.Join(w.Dir, "bin", imageHash(dir, b.Package, b.Ldflags, b.Tags, w.Arch))
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return nil, err
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-tags", b.Tags, "-ldflags", strings.TrimSpace("-s -w " + b.Ldflags), "-o", out}
	if b.Mod != "" {
		args = append(args, "-mod="+b.Mod)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, b.Package)...)
	cmd.Dir = dir
	cmd.Env = w.goEnv()
	if b.Mod != "" {
		cmd.Env = append(cmd.Env, "GOWORK=off") // it is in no workspace that may be around
	}
	if _, err := imageRun(cmd); err != nil {
		return nil, fmt.Errorf("build %s in %s: %w", b.Package, dir, err)
	}
	return os.ReadFile(out)
}

// goEnv is the environment in which Go builds static programs for the engine.
func (w *ImageWorkshop) goEnv() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+w.Arch)
}

// goBuildSource builds a program from its one source file, which needs nothing
// but the standard library, so that it can be built wherever Go is.
func (w *ImageWorkshop) goBuildSource(ctx context.Context, name string, source []byte) ([]byte, error) {
	return w.goBuildModule(ctx, name, map[string][]byte{
		"main.go": source,
		"go.mod":  []byte("module " + name + "\n\ngo 1.24\n"),
	}, ".", "")
}

// goBuildModule writes a module's files and builds a package in it.
func (w *ImageWorkshop) goBuildModule(ctx context.Context, name string, files map[string][]byte, pkg, ldflags string) ([]byte, error) {
	dir := filepath.Join(w.Dir, "src", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for file, data := range files {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			return nil, err
		}
	}
	return w.goBuild(ctx, imageGoBuild{Dir: dir, Package: pkg, Ldflags: ldflags, Mod: "mod"})
}

func imageGoTool() error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("the go command is not installed or not on PATH; install Go from https://go.dev/dl")
	}
	return nil
}

// goSources hashes what a program is made of. It asks once for each program.
func (w *ImageWorkshop) goSources(ctx context.Context, dir, pkg, tags string) (string, error) {
	type program struct{ dir, pkg, tags string }
	if known, ok := w.sources.Load(program{dir, pkg, tags}); ok {
		return known.(string), nil
	}
	if err := imageGoTool(); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-tags", tags, "-json=Dir,Standard,Module,GoFiles,SFiles,HFiles,EmbedFiles", pkg)
	cmd.Dir = dir
	cmd.Env = w.goEnv()
	out, err := imageRun(cmd)
	if err != nil {
		return "", fmt.Errorf("list the source of %s in %s: %w", pkg, dir, err)
	}
	version, err := imageRun(exec.CommandContext(ctx, "go", "env", "GOVERSION"))
	if err != nil {
		return "", err
	}
	files, err := goSourceFiles(out)
	if err != nil {
		return "", fmt.Errorf("read go list's answer about %s: %w", pkg, err)
	}
	sum := sha256.New()
	sum.Write(version)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.Base(file), len(data))
		sum.Write(data)
	}
	hash := fmt.Sprintf("%x", sum.Sum(nil))
	w.sources.Store(program{dir, pkg, tags}, hash)
	return hash, nil
}

// goSourceFiles names, from the output of go list, the files that can change while
// go.sum does not: those of the main module and of modules that a local folder
// replaces, their go.mod and go.sum.
func goSourceFiles(list []byte) ([]string, error) {
	var files []string
	for in := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Main    bool
				GoMod   string
				Replace *struct{ Version string }
			}
			GoFiles, SFiles, HFiles, EmbedFiles []string
		}
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			slices.Sort(files)
			return slices.Compact(files), nil
		} else if err != nil {
			return nil, err
		}
		if m := p.Module; m == nil || !m.Main && (m.Replace == nil || m.Replace.Version != "") {
			continue // of the standard library, or fixed by go.sum
		}
		for _, name := range slices.Concat(p.GoFiles, p.SFiles, p.HFiles, p.EmbedFiles) {
			files = append(files, filepath.Join(p.Dir, name))
		}
		files = append(files, p.Module.GoMod)
		if sum := strings.TrimSuffix(p.Module.GoMod, ".mod") + ".sum"; fileExists(sum) {
			files = append(files, sum)
		}
	}
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"rehearsal/internal/stage"
)

// An imageBuilder is a recipe whose image the engine makes itself.
type imageBuilder interface {
	ImageRecipe
	// Bases are the images that it begins with and copies from.
	Bases() ([]string, error)
	// Build makes the image under the name, with the labels beside its own.
	Build(ctx context.Context, engine imageEngine, ref string, labels map[string]string) error
}

// A buildRecipe makes an image from a Dockerfile and the folder that it copies from, by
// the engine's own builder, which every engine has: what needs BuildKit says so.
type buildRecipe struct {
	ref        string
	folder     string // absolute: what the Dockerfile copies from
	dockerfile string // relative to the folder, or absolute; unused with inline
	inline     string // the Dockerfile itself
	args       map[string]string
	target     string
	labels     map[string]string
	network    string
	hosts      []string
	cacheFrom  []string
	noCache    bool
	shm        int64 // bytes
	ulimits    []*container.Ulimit
	platform   string
	pulls      bool    // a registry may have the image: it is asked before anything is built
	wrong      []error // why it cannot be built at all
}

var _ imageBuilder = buildRecipe{}

func (r buildRecipe) Matches(ref string) bool { return imageName(ref) == imageName(r.ref) }
func (r buildRecipe) Own() bool               { return !r.pulls }

func (r buildRecipe) Source() string {
	if r.inline != "" {
		return "the Dockerfile in the compose file"
	}
	return r.file()
}

// Make is not asked of what the engine builds.
func (r buildRecipe) Make(context.Context, *ImageWorkshop) (*ImageContent, error) {
	return nil, errors.ErrUnsupported
}

// Hash covers the Dockerfile, every file that it can copy, and all that the build is
// told. The files are read once in a process.
func (r buildRecipe) Hash(_ context.Context, w *ImageWorkshop) (string, error) {
	if err := errors.Join(r.wrong...); err != nil {
		return "", err
	}
	settings, err := json.Marshal([]any{"build 1", r.inline, r.args, r.target, r.labels, r.network, r.hosts, r.noCache, r.shm, r.ulimits, r.platform, w.Arch})
	if err != nil {
		return "", err
	}
	type files struct{ folder, dockerfile, inline string }
	key := files{r.folder, r.dockerfile, r.inline}
	known, ok := w.sources.Load(key)
	if !ok {
		sum := sha256.New()
		if err := r.writeContext(sum); err != nil {
			return "", err
		}
		known = fmt.Sprintf("%x", sum.Sum(nil))
		w.sources.Store(key, known)
	}
	return imageHash(string(settings), known.(string)), nil
}

// file is the path of the Dockerfile.
func (r buildRecipe) file() string {
	name := r.dockerfile
	if name == "" {
		name = "Dockerfile"
	}
	return beside(r.folder, name)
}

// text is the Dockerfile.
func (r buildRecipe) text() ([]byte, error) {
	if r.inline != "" {
		return []byte(r.inline), nil
	}
	if info, err := os.Stat(r.folder); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no folder %s to build from", r.folder)
	}
	data, err := os.ReadFile(r.file())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s", r.file())
	}
	return data, err
}

// inside is the Dockerfile's name in the folder; "" where it is not in there.
func (r buildRecipe) inside() string {
	if r.inline != "" {
		return ""
	}
	name, err := filepath.Rel(r.folder, r.file())
	if err != nil || !filepath.IsLocal(name) {
		return ""
	}
	return filepath.ToSlash(name)
}

// guestDockerfile is the name of a Dockerfile from elsewhere among the folder's files.
const guestDockerfile = ".rehearsal.Dockerfile"

// ignored is the patterns of what is left out: of the file beside the Dockerfile with its
// name and .dockerignore, else of the folder's .dockerignore.
func (r buildRecipe) ignored() ([]string, error) {
	names := []string{filepath.Join(r.folder, ".dockerignore")}
	if r.inline == "" {
		names = append([]string{r.file() + ".dockerignore"}, names...)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return ignorefile.ReadAll(bytes.NewReader(data))
	}
	return nil, nil
}

// writeContext writes the files that the Dockerfile can copy, and itself, always the
// same for the same files.
func (r buildRecipe) writeContext(w io.Writer) error {
	dockerfile, err := r.text()
	if err != nil {
		return err
	}
	patterns, err := r.ignored()
	if err != nil {
		return err
	}
	leave, err := patternmatcher.New(patterns)
	if err != nil {
		return fmt.Errorf("%s: .dockerignore: %w", r.folder, err)
	}
	out := tar.NewWriter(w)
	name := r.inside()
	if name == "" {
		name = guestDockerfile
		// The engine leaves out what this names once it has read the Dockerfile.
		patterns = append(slices.Clone(patterns), guestDockerfile, ".dockerignore")
		if err := writeText(out, ".dockerignore", []byte(strings.Join(patterns, "\n")+"\n")); err != nil {
			return err
		}
	}
	if err := writeText(out, name, dockerfile); err != nil {
		return err
	}
	folder, err := filepath.EvalSymlinks(r.folder) // else a link would be all there is
	if err != nil {
		return err
	}
	err = filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, file)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		left := rel == name || name == guestDockerfile && rel == ".dockerignore" // they are there already
		if !left && rel != ".dockerignore" {
			if left, err = leave.MatchesOrParentMatches(rel); err != nil {
				return err
			}
		}
		switch {
		case left && entry.IsDir() && !leave.Exclusions():
			return fs.SkipDir
		case left:
			return nil
		}
		return writeContextEntry(out, file, rel, entry)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func writeText(out *tar.Writer, name string, data []byte) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: imageEpoch}); err != nil {
		return err
	}
	_, err := out.Write(data)
	return err
}

// writeContextEntry writes one file, folder or link without its times and owner, which
// differ from one checkout to the next. What is none of these is left out.
func writeContextEntry(out *tar.Writer, file, name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.ModTime = name, imageEpoch
	h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	if err := out.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	_, err = io.Copy(out, in)
	return err
}

var (
	dockerfileArg  = regexp.MustCompile(`(?i)^ARG\s+([A-Za-z_]\w*)(?:=(.*))?$`)
	dockerfileFrom = regexp.MustCompile(`(?i)^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?$`)
	dockerfileCopy = regexp.MustCompile(`(?i)^(?:COPY|ADD)\s+(?:--\S+\s+)*--from=(\S+)`)
)

// Bases reads the Dockerfile up to its target.
func (r buildRecipe) Bases() ([]string, error) {
	if err := errors.Join(r.wrong...); err != nil {
		return nil, err
	}
	text, err := r.text()
	if err != nil {
		return nil, err
	}
	args, stages, begun := maps.Clone(r.args), map[string]bool{"scratch": true}, false
	if args == nil {
		args = map[string]string{}
	}
	value := func(name string) (string, bool) { v, ok := args[name]; return v, ok }
	var bases []string
	add := func(name string) {
		name, err := template.SubstituteWithOptions(name, value, template.WithoutLogging)
		if err == nil && name != "" && !stages[strings.ToLower(name)] && !isNumber(name) {
			bases = append(bases, name)
		}
	}
	for _, line := range dockerfileLines(string(text)) {
		if m := dockerfileArg.FindStringSubmatch(line); m != nil && !begun {
			if _, told := r.args[m[1]]; !told {
				args[m[1]], _ = template.SubstituteWithOptions(strings.Trim(m[2], `"'`), value, template.WithoutLogging)
			}
		}
		if m := dockerfileCopy.FindStringSubmatch(line); m != nil {
			add(m[1])
		}
		if m := dockerfileFrom.FindStringSubmatch(line); m != nil {
			if begun && r.target != "" && stages[strings.ToLower(r.target)] {
				break
			}
			begun = true
			add(m[1])
			if m[2] != "" {
				stages[strings.ToLower(m[2])] = true
			}
		}
	}
	slices.Sort(bases)
	return slices.Compact(bases), nil
}

func isNumber(text string) bool { return strings.Trim(text, "0123456789") == "" }

// dockerfileLines is the instructions of a Dockerfile, each in one line.
func dockerfileLines(text string) (all []string) {
	more := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if rest, goesOn := strings.CutSuffix(line, `\`); goesOn {
			more += rest + " "
			continue
		}
		if line = more + line; line != "" {
			all = append(all, line)
		}
		more = ""
	}
	return all
}

// buildTail is how many of the build's last lines an error shows.
const buildTail = 12

// Build sends the files to the engine. Its error has the last lines that the build said,
// without secrets.
func (r buildRecipe) Build(ctx context.Context, engine imageEngine, ref string, labels map[string]string) error {
	all := maps.Clone(r.labels)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, labels)
	args := map[string]*string{}
	for name, v := range r.args {
		args[name] = &v
	}
	dockerfile := r.inside()
	if dockerfile == "" {
		dockerfile = guestDockerfile
	}
	files, w := io.Pipe()
	defer func() { _ = files.Close() }() // ends the writer, should the engine give up first
	go func() { _ = w.CloseWithError(r.writeContext(w)) }()
	answer, err := engine.ImageBuild(ctx, files, client.ImageBuildOptions{
		Tags: []string{ref}, Dockerfile: dockerfile, BuildArgs: args, Target: r.target, Labels: all, NoCache: r.noCache,
		NetworkMode: r.network, ExtraHosts: r.hosts, CacheFrom: r.cacheFrom, ShmSize: r.shm, Ulimits: r.ulimits,
		Remove: true, ForceRemove: true,
	})
	if err != nil {
		return r.explain(err.Error(), nil)
	}
	defer func() { _ = answer.Body.Close() }()
	return r.follow(answer.Body)
}

// follow reads what the engine says of a build, to its end.
func (r buildRecipe) follow(said io.Reader) error {
	var tail []string
	for in := json.NewDecoder(said); ; {
		var message jsonstream.Message
		if err := in.Decode(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if message.Error != nil {
			return r.explain(message.Error.Message, tail)
		}
		for line := range strings.Lines(message.Stream) {
			if line = strings.TrimRight(line, "\r\n "); line != "" && !strings.HasPrefix(line, " --->") && !strings.HasPrefix(line, "Removing intermediate") {
				tail = append(tail, line)
			}
		}
		if len(tail) > buildTail {
			tail = slices.Delete(tail, 0, len(tail)-buildTail)
		}
	}
}

// needsBuildKit is what the engine's own builder says of what only BuildKit can do.
var needsBuildKit = regexp.MustCompile(`(?i)requires BuildKit|unknown flag: (?:mount|chmod|link|parents|exclude|checksum|keep-git-dir|network|security)|unknown instruction: |failed to parse platform|dockerfile parse error`)

func (r buildRecipe) explain(why string, tail []string) error {
	secrets := newRedactor(nil, &stage.Setup{Versions: map[string]stage.Version{"": {Environment: r.args}}})
	text := strings.TrimPrefix(why, "Error response from daemon: ")
	if needsBuildKit.MatchString(text) {
		text += " (this Dockerfile may need BuildKit: then build it before with `docker compose build`, and what that made is used)"
	}
	for i := range tail {
		tail[i] = secrets.redact(tail[i])
	}
	return errors.New(secrets.redact(text) + quoteLines(tail))
}

// buildRefs is the images that a recipe is built on; none for one that is not built by
// the engine.
func buildRefs(recipe ImageRecipe) ([]string, error) {
	b, ok := recipe.(imageBuilder)
	if !ok {
		return nil, nil
	}
	return b.Bases()
}

// hash is the recipe's, and those of the recipes of the images that it is built on.
func (m *Images) hash(ctx context.Context, recipe ImageRecipe, above ...string) (string, error) {
	own, err := recipe.Hash(ctx, m.shop)
	if err != nil {
		return "", err
	}
	bases, err := buildRefs(recipe)
	if err != nil {
		return "", err
	}
	parts := []string{own}
	for _, base := range bases {
		name := imageName(base)
		if slices.Contains(above, name) || recipe.Matches(base) {
			return "", fmt.Errorf("it is built on %s, which is built on it", base)
		}
		if of := m.recipe(base); of != nil {
			h, err := m.hash(ctx, of, append(slices.Clone(above), name)...)
			if err != nil {
				return "", fmt.Errorf("%s, which it is built on: %w", base, err)
			}
			parts = append(parts, h)
		}
	}
	if len(parts) == 1 {
		return own, nil
	}
	return imageHash(parts...), nil
}

// ensureBases gets what an image is built on. It is asked for before the lock of a build
// is taken, since it may be built itself.
func (m *Images) ensureBases(ctx context.Context, recipe ImageRecipe) error {
	bases, err := buildRefs(recipe)
	if err != nil || len(bases) == 0 {
		return err
	}
	if _, err := m.hash(ctx, recipe); err != nil { // ends where images are built on each other in a circle
		return err
	}
	var errs []error
	for _, base := range bases {
		if _, err := m.Ensure(ctx, base); err != nil {
			errs = append(errs, fmt.Errorf("it is built on %s: %w", base, err))
		}
	}
	return errors.Join(errs...)
}

// imageByEngine is a label of the images that an engine built.
const imageByEngine = "rehearsal.by-engine"

// buildByEngine has the engine make an image in place of the one with the ID before, if
// any, which goes where it has no other name. It returns the new one's ID.
func (m *Images) buildByEngine(ctx context.Context, ref, before string, b imageBuilder, labels map[string]string) (string, error) {
	if err := b.Build(ctx, m.engine, ref, labels); err != nil {
		return "", err
	}
	image, err := m.engine.ImageInspect(ctx, ref)
	if err != nil {
		return "", err
	}
	if before != "" && before != image.ID {
		if old, err := m.engine.ImageInspect(ctx, before); err == nil && len(old.RepoTags) == 0 {
			_, _ = m.engine.ImageRemove(ctx, before, client.ImageRemoveOptions{PruneChildren: true}) // one in use stays
		}
	}
	return image.ID, nil
}

// projectImage is the name of the image of a service that has none: as docker compose
// names it, so that what that built is used.
func projectImage(project, service string) string {
	return strings.ToLower(project + "-" + service)
}

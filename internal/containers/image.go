package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/singleflight"

	"rehearsal/internal/clock"
)

// ImageBuiltLabel is on every image that Rehearsal made itself. Its value is the
// hash of the recipe, so that an image is made again when its recipe changed and
// never otherwise.
const ImageBuiltLabel = "rehearsal.built"

// Images gets images into an engine: one that is there is used; else it is
// pulled; else, if there is a recipe for it, it is made on the spot under the
// original's name. What was found out about registries is remembered for as long
// as the Images live. It is safe for concurrent use.
type Images struct {
	engine   imageEngine
	recipes  []ImageRecipe
	shop     *ImageWorkshop
	registry *imageRegistries
	progress func(line string)

	calls singleflight.Group
	build sync.Mutex // two builds side by side gain nothing on two cores

	templates sync.Map // those of databases that this process has begun to make
}

// imageEngine is what Images need of the engine's API.
type imageEngine interface {
	ImageInspect(ctx context.Context, ref string, opts ...client.ImageInspectOption) (client.ImageInspectResult, error)
	ImagePull(ctx context.Context, ref string, o client.ImagePullOptions) (client.ImagePullResponse, error)
	ImageLoad(ctx context.Context, archive io.Reader, opts ...client.ImageLoadOption) (client.ImageLoadResult, error)
	ImageList(ctx context.Context, o client.ImageListOptions) (client.ImageListResult, error)
	ImageRemove(ctx context.Context, ref string, o client.ImageRemoveOptions) (client.ImageRemoveResult, error)
	ImageBuild(ctx context.Context, files io.Reader, o client.ImageBuildOptions) (client.ImageBuildResult, error)
	ContainerCreate(ctx context.Context, o client.ContainerCreateOptions) (client.ContainerCreateResult, error)
	ContainerStart(ctx context.Context, id string, o client.ContainerStartOptions) (client.ContainerStartResult, error)
	ContainerWait(ctx context.Context, id string, o client.ContainerWaitOptions) client.ContainerWaitResult
	ContainerLogs(ctx context.Context, id string, o client.ContainerLogsOptions) (client.ContainerLogsResult, error)
	ContainerCommit(ctx context.Context, id string, o client.ContainerCommitOptions) (client.ContainerCommitResult, error)
	ContainerRemove(ctx context.Context, id string, o client.ContainerRemoveOptions) (client.ContainerRemoveResult, error)
}

// NewImages are the images of an engine. The recipes are asked in order, before
// the DefaultImageRecipes. Progress gets lines for people: what is pulled or built,
// and why; nil drops them.
func NewImages(e *Engine, progress func(line string), recipes ...ImageRecipe) (*Images, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("rehearsal-%d", os.Getuid()))
	if cache, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(cache, "rehearsal")
	}
	shop := &ImageWorkshop{Arch: e.Arch, Dir: dir}
	if err := os.MkdirAll(shop.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder to build images in: %w; set XDG_CACHE_HOME to a folder that can be written", err)
	}
	return newImages(e.Client, shop, newImageRegistries(e.proxied), progress, recipes...), nil
}

func newImages(e imageEngine, shop *ImageWorkshop, r *imageRegistries, progress func(string), recipes ...ImageRecipe) *Images {
	if progress == nil {
		progress = func(string) {}
	}
	return &Images{engine: e, recipes: append(recipes, DefaultImageRecipes()...), shop: shop, registry: r, progress: progress}
}

// firstStart says, once in this process for each template, that it is to be made.
func (m *Images) firstStart(dir string) bool {
	_, begun := m.templates.LoadOrStore(dir, true)
	return !begun
}

// Ensure makes an image present in the engine and returns its ID. Concurrent calls
// for one image, in this process and in others on this machine, do the work once.
// An ImageError says why an image cannot be had and what to do.
func (m *Images) Ensure(ctx context.Context, ref string) (id string, err error) {
	v, err, _ := m.calls.Do(imageName(ref), func() (any, error) { return m.ensure(ctx, ref) })
	id, _ = v.(string)
	return id, err
}

// EnsureAll makes images present, several at a time, and returns every error.
func (m *Images) EnsureAll(ctx context.Context, refs ...string) error {
	failures := make([]error, len(refs))
	var done sync.WaitGroup
	for i, ref := range refs {
		done.Go(func() { _, failures[i] = m.Ensure(ctx, ref) })
	}
	done.Wait()
	return errors.Join(failures...)
}

// An ImageError is an image that cannot be had.
type ImageError struct {
	Ref    string
	Tried  []string // what was tried, with its outcome
	Remedy string
}

func (e *ImageError) Error() string {
	return fmt.Sprintf("image %s cannot be had: %s; %s", e.Ref, strings.Join(e.Tried, "; "), e.Remedy)
}

func (m *Images) ensure(ctx context.Context, ref string) (string, error) {
	recipe := m.recipe(ref)
	id, present, err := m.present(ctx, ref, recipe)
	if err != nil || present {
		return id, err
	}
	failure := &ImageError{Ref: ref, Tried: []string{"it is not in the engine"}}
	why := ""
	if id != "" {
		failure.Tried[0] = "the one in the engine was built here from what has changed since"
		why = "its recipe or source has changed; "
	}
	if recipe == nil || !recipe.Own() && id == "" {
		id, err := m.pull(ctx, ref)
		if err == nil || ctx.Err() != nil {
			return id, err
		}
		failure.Tried = append(failure.Tried, err.Error())
		failure.Remedy = "check its name, log in with `docker login` if its registry asks for it, or bring it in with `docker load` or `docker tag`"
		if known := new(unreachableError); errors.As(err, &known) { // there was a line about it already
			failure.Remedy = "let the engine reach the registry (a network, a proxy, a mirror), or bring it in with `docker load` or `docker tag`"
		} else {
			why = err.Error() + "; "
		}
	}
	if recipe == nil {
		failure.Tried = append(failure.Tried, "there is no recipe to build it here")
		if hint := imageHint(ref); hint != "" {
			failure.Remedy += "; " + hint
		}
		return "", failure
	}
	if err = m.ensureBases(ctx, recipe); err == nil {
		id, err = m.make(ctx, ref, recipe, why)
	}
	if err != nil && ctx.Err() == nil {
		failure.Tried = append(failure.Tried, fmt.Sprintf("building it from %s failed: %v", recipe.Source(), err))
		failure.Remedy = "remove the cause, or bring it in with `docker load` or `docker tag`"
		return "", failure
	}
	return id, err
}

func (m *Images) recipe(ref string) ImageRecipe {
	for _, r := range m.recipes {
		if r.Matches(ref) {
			return r
		}
	}
	return nil
}

// present says whether the engine has the image as it should be. An image with an
// ID that is not present is one that was built here by a recipe that has changed.
func (m *Images) present(ctx context.Context, ref string, recipe ImageRecipe) (id string, present bool, err error) {
	image, err := m.engine.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("ask the engine for image %s: %w", ref, err)
	}
	built := ""
	if image.Config != nil {
		built = image.Config.Labels[ImageBuiltLabel]
	}
	if built == "" || recipe == nil {
		return image.ID, true, nil
	}
	hash, err := m.hash(ctx, recipe)
	return image.ID, hash == built, err
}

// make builds an image, unless another process has done so in the meantime.
func (m *Images) make(ctx context.Context, ref string, recipe ImageRecipe, why string) (string, error) {
	m.build.Lock()
	defer m.build.Unlock()
	unlock, err := imageLock(ctx, filepath.Join(m.shop.Dir, "lock-"+imageHash(imageName(ref))))
	if err != nil {
		return "", err
	}
	defer unlock()
	id, present, err := m.present(ctx, ref, recipe)
	if err != nil || present {
		return id, err
	}
	m.progress(fmt.Sprintf("%s: %sbuilding it from %s", ref, why, recipe.Source()))
	began := clock.Wall()
	hash, err := m.hash(ctx, recipe)
	if err != nil {
		return "", err
	}
	labels := map[string]string{ImageBuiltLabel: hash, "rehearsal.source": recipe.Source()}
	if b, ok := recipe.(imageBuilder); ok {
		labels[imageByEngine] = "yes"
		id, err = m.buildByEngine(ctx, ref, id, b, labels)
	} else {
		id, err = m.makeHere(ctx, ref, recipe, labels)
	}
	if err != nil {
		return "", err
	}
	m.sweep(ctx)
	m.progress(fmt.Sprintf("%s: built from %s in %s", ref, recipe.Source(), imageSeconds(clock.Since(began))))
	return id, nil
}

// makeHere makes an image and brings it into the engine.
func (m *Images) makeHere(ctx context.Context, ref string, recipe ImageRecipe, labels map[string]string) (string, error) {
	content, err := recipe.Make(ctx, m.shop)
	if err != nil {
		return "", err
	}
	content.config.Labels = labels
	return m.put(ctx, ref, content)
}

// sweep removes images built here that lost their name to a newer one, except those
// that a container still uses: their turn comes at a later build. What an engine builds
// has no name for a moment, in which another process may look.
func (m *Images) sweep(ctx context.Context) {
	nameless := make(client.Filters).Add("dangling", "true").Add("label", ImageBuiltLabel)
	found, err := m.engine.ImageList(ctx, client.ImageListOptions{Filters: nameless})
	if err != nil {
		return
	}
	for _, image := range found.Items {
		if image.Labels[imageByEngine] != "" {
			continue
		}
		_, _ = m.engine.ImageRemove(ctx, image.ID, client.ImageRemoveOptions{PruneChildren: true})
	}
}

func imageSeconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// put brings what a recipe made into the engine, under a name, and returns its ID.
func (m *Images) put(ctx context.Context, ref string, content *ImageContent) (string, error) {
	name := ref
	if content.finish != nil {
		name = "rehearsal/unfinished:" + imageHash(ref, content.config.Labels[ImageBuiltLabel])
	}
	if err := m.load(ctx, name, content); err != nil {
		return "", err
	}
	if content.finish != nil {
		err := m.finish(ctx, name, ref, content)
		_, remove := m.engine.ImageRemove(context.WithoutCancel(ctx), name, client.ImageRemoveOptions{})
		if err := errors.Join(err, remove); err != nil {
			return "", err
		}
	}
	image, err := m.engine.ImageInspect(ctx, ref)
	return image.ID, err
}

func (m *Images) load(ctx context.Context, name string, content *ImageContent) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(content.writeArchive(w, m.shop.Arch, name)) }()
	defer func() { _ = r.Close() }()
	answer, err := m.engine.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("load it into the engine: %w", err)
	}
	defer func() { _ = answer.Close() }()
	if err := imageStream(answer, nil); err != nil {
		return fmt.Errorf("load it into the engine: %w", err)
	}
	return nil
}

// finish runs the content's last command in the unfinished image and gives what
// comes of it the name.
func (m *Images) finish(ctx context.Context, unfinished, ref string, content *ImageContent) error {
	c, err := m.engine.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config:     &container.Config{Image: unfinished, Cmd: content.finish, NetworkDisabled: true},
		HostConfig: &container.HostConfig{NetworkMode: "none", Tmpfs: map[string]string{"/build": "exec"}},
	})
	if err != nil {
		return fmt.Errorf("finish it: %w", err)
	}
	defer func() {
		_, _ = m.engine.ContainerRemove(context.WithoutCancel(ctx), c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}()
	waited := m.engine.ContainerWait(ctx, c.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := m.engine.ContainerStart(ctx, c.ID, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("finish it: %w", err)
	}
	select {
	case end := <-waited.Result:
		if end.StatusCode != 0 {
			return fmt.Errorf("finish it: %q ended with %d: %s", content.finish, end.StatusCode, m.lastLines(ctx, c.ID))
		}
	case err := <-waited.Error:
		return fmt.Errorf("finish it: %w", err)
	}
	_, err = m.engine.ContainerCommit(ctx, c.ID, client.ContainerCommitOptions{Reference: ref, Config: content.config.docker()})
	if err != nil {
		return fmt.Errorf("finish it: %w", err)
	}
	return nil
}

func (m *Images) lastLines(ctx context.Context, id string) string {
	logs, err := m.engine.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "10"})
	if err != nil {
		return err.Error()
	}
	defer func() { _ = logs.Close() }()
	var text strings.Builder
	for {
		header := make([]byte, 8) // of a frame: its last four bytes are its length
		if _, err := io.ReadFull(logs, header); err != nil {
			return strings.TrimSpace(text.String())
		}
		n := int64(header[4])<<24 | int64(header[5])<<16 | int64(header[6])<<8 | int64(header[7])
		if _, err := io.CopyN(&text, logs, n); err != nil {
			return strings.TrimSpace(text.String())
		}
	}
}

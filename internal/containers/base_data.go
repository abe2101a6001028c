package containers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rehearsal/internal/clock"
)

// baseData, a template, is what the data folders of a database hold after its first start, when its
// image has made them and has run what the compose file mounts for that. It is kept in
// the cache of this machine, by a hash of all that decides on it, so that the next copy of
// the database starts with its data instead of making it again.
type baseData struct {
	dir     string   // in the cache; it is there when the template is
	folders []string // in the container: volumes, which nothing else writes to
}

const (
	// templateFormat changes when what is kept, or how, does.
	templateFormat = 1
	// templatesKept and templatesBytes bound what the cache holds: what was used last stays.
	templatesKept  = 16
	templatesBytes = 8 << 30
)

// baseDataOf is the template of a database of the compose file; nil where there can be
// none: its data is in memory, shared with another service, or in no volume.
func (s *Stage) baseDataOf(ctx context.Context, spec containerSpec) (*baseData, error) {
	d, ok := s.setup.Dependency(spec.service.Name)
	if !ok || !d.Database() || ComposeReplicas(spec.service) != 1 {
		return nil, nil
	}
	image, err := s.docker.ImageInspect(ctx, spec.service.Image)
	if err != nil {
		return nil, fmt.Errorf("ask the engine for image %s: %w", spec.service.Image, err)
	}
	var t baseData
	if image.Config != nil {
		t.folders = slices.Collect(maps.Keys(image.Config.Volumes))
	}
	for _, v := range spec.service.Volumes {
		if v.Type == types.VolumeTypeVolume {
			if s.sharesVolume(spec.service.Name, v.Source) || v.ReadOnly || v.Volume != nil && v.Volume.Subpath != "" {
				return nil, nil
			}
			t.folders = append(t.folders, v.Target)
		}
	}
	inMemory := tmpfs(spec.service)
	for i, f := range t.folders {
		t.folders[i] = path.Clean(f)
		if _, is := inMemory[f]; is {
			return nil, nil
		}
		if slices.ContainsFunc(spec.files, func(c copiedFile) bool { return within(path.Clean(c.target), t.folders[i]) }) {
			return nil, nil
		}
	}
	slices.Sort(t.folders)
	if t.folders = slices.Compact(t.folders); len(t.folders) == 0 {
		return nil, nil
	}
	key := sha256.New()
	// JSON sorts the keys of maps.
	c := spec.service
	err = json.NewEncoder(key).Encode(struct {
		Format                       int
		Entrypoint, Command, Folders []string
		Environment                  map[string]string
		Memory                       int64
		Others                       []string
	}{
		templateFormat, c.Entrypoint, c.Command, t.folders, spec.environment, spec.memory,
		[]string{image.ID, c.User, c.WorkingDir, c.Hostname, c.DomainName, c.StopSignal},
	})
	if err == nil {
		err = writeTar(key, spec.files)
	}
	if err != nil {
		return nil, fmt.Errorf("service %s: what its data begins with: %w", spec.service.Name, err)
	}
	t.dir = filepath.Join(s.images.shop.Dir, "databases", hex.EncodeToString(key.Sum(nil))[:32])
	return &t, nil
}

func within(file, folder string) bool {
	return file == folder || strings.HasPrefix(file, strings.TrimSuffix(folder, "/")+"/")
}

// sharesVolume says whether another service mounts the volume too.
func (s *Stage) sharesVolume(service, volume string) bool {
	for name, other := range s.project.Services {
		for _, v := range other.Volumes {
			if name != service && volume != "" && v.Type == types.VolumeTypeVolume && v.Source == volume {
				return true
			}
		}
	}
	return false
}

// part is the archive of the nth folder.
func (t *baseData) part(n int) string { return filepath.Join(t.dir, fmt.Sprintf("%d.tar", n)) }

func (t *baseData) sums() string { return filepath.Join(t.dir, "sums.json") }

// there says whether the template is kept, whole.
func (t *baseData) there() bool {
	data, err := os.ReadFile(t.sums())
	var want []uint32
	if err != nil || json.Unmarshal(data, &want) != nil || len(want) != len(t.folders) {
		return false
	}
	for n := range t.folders {
		if sum, err := sumOf(t.part(n)); err != nil || sum != want[n] {
			return false
		}
	}
	return true
}

func newSum() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

func sumOf(file string) (uint32, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	sum := newSum()
	_, err = io.Copy(sum, f)
	return sum.Sum32(), err
}

// fill gives a container that has not started the data of the template.
func (t *baseData) fill(ctx context.Context, docker client.APIClient, id string) error {
	for n, folder := range t.folders {
		f, err := os.Open(t.part(n))
		if err != nil {
			return err
		}
		_, err = docker.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: path.Dir(folder), Content: io.NopCloser(f), CopyUIDGID: true})
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("copy its data into %s: %w", folder, err)
		}
	}
	now := clock.Wall()
	_ = os.Chtimes(t.dir, now, now) // only for which are pruned first
	return nil
}

// keep copies the data of a container that has ended into the cache: beside, and then
// renamed, so that half a template never is one.
func (t *baseData) keep(ctx context.Context, docker client.APIClient, id string) (err error) {
	if err := os.MkdirAll(filepath.Dir(t.dir), 0o700); err != nil { // the data may be a team's own
		return err
	}
	beside, err := os.MkdirTemp(filepath.Dir(t.dir), "half-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(beside) }()
	half := &baseData{dir: beside, folders: t.folders}
	var sums []uint32
	for n, folder := range t.folders {
		from, err := docker.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: folder})
		if err != nil {
			return err
		}
		sum := newSum()
		to, err := os.OpenFile(half.part(n), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_, err = io.Copy(io.MultiWriter(to, sum), from.Content)
			err = errors.Join(err, to.Close())
		}
		if err := errors.Join(err, from.Content.Close()); err != nil {
			return err
		}
		sums = append(sums, sum.Sum32())
	}
	data, err := json.Marshal(sums)
	if err != nil {
		return err
	}
	if err := os.WriteFile(half.sums(), data, 0o600); err != nil {
		return err
	}
	if !t.there() { // a damaged one
		if err := os.RemoveAll(t.dir); err != nil {
			return err
		}
	}
	if err := os.Rename(beside, t.dir); err != nil && !t.there() { // another run was first
		return err
	}
	return prune(filepath.Dir(t.dir))
}

// prune removes the templates that were not used for longest, and what runs that were
// killed left.
func prune(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	type kept struct {
		name string
		used time.Time
		size int64
	}
	var all []kept
	var errs []error
	for _, e := range entries {
		k := kept{name: filepath.Join(dir, e.Name())}
		info, err := e.Info()
		if err != nil {
			continue // another run has removed it
		}
		k.used = info.ModTime()
		if strings.HasPrefix(e.Name(), "half-") {
			if clock.Since(k.used) > time.Hour {
				errs = append(errs, os.RemoveAll(k.name))
			}
			continue
		}
		parts, _ := filepath.Glob(filepath.Join(k.name, "*"))
		for _, p := range parts {
			if info, err := os.Stat(p); err == nil {
				k.size += info.Size()
			}
		}
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.name, b.name)) })
	total := int64(0)
	for n, k := range all {
		if total += k.size; n >= templatesKept || n > 0 && total > templatesBytes {
			errs = append(errs, os.RemoveAll(k.name))
		}
	}
	return errors.Join(errs...)
}

// keepFirstStart stops a database that has just become healthy for the first time, keeps
// its data as the template, and starts it again. What cannot be kept is said, and no
// harm: the next copy makes its data itself.
func (s *Stage) keepFirstStart(ctx context.Context, one *service, t *baseData) error {
	began := clock.Wall()
	id := one.container.ID
	one.resting.Store(true)
	patience := int(max(stopGrace(one.ServiceConfig), 30*time.Second).Seconds())
	_, err := s.docker.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &patience})
	if err != nil {
		return fmt.Errorf("stop it to keep its data: %w", err)
	}
	err = s.endedWell(ctx, id)
	if err == nil {
		err = t.keep(ctx, s.docker, id)
	}
	if err != nil {
		s.o.Progress(fmt.Sprintf("%s: what its first start made is not kept for the next copy: %v", one.Name, err))
	}
	if _, err := s.docker.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start it again: %w", err)
	}
	if err := s.untilHealthy(ctx, one); err != nil {
		return err
	}
	if size, e := sizeOf(t.dir); e == nil && err == nil {
		s.o.Progress(fmt.Sprintf("%s: what its first start made is kept for the next copies (%s, in %.1f s)", one.Name, units.BytesSize(float64(size)), clock.Since(began).Seconds()))
	}
	return nil
}

func sizeOf(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// endedWell says why a container that was stopped did not end by itself, if so: then its
// data may be anything.
func (s *Stage) endedWell(ctx context.Context, id string) error {
	info, err := s.docker.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	if state := info.Container.State; state == nil || state.Status != container.StateExited || state.ExitCode != 0 {
		return errors.New("it did not end with status 0 when it was stopped")
	}
	return nil
}

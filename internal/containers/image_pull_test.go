package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeEngine keeps images in memory. Its pull is what a test says.
type fakeEngine struct {
	imageEngine // nil: anything else is a nil dereference

	pull  func(ctx context.Context, ref string) (string, error) // the stream of progress messages
	pulls atomic.Int32

	mu       sync.Mutex
	images   map[string]string // tag -> value of the built label, "" for an original
	nameless []image.Summary
	removed  []string
}

func newFakeEngine() *fakeEngine { return &fakeEngine{images: map[string]string{}} }

func (f *fakeEngine) ImageInspect(_ context.Context, ref string, _ ...client.ImageInspectOption) (client.ImageInspectResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	built, ok := f.images[ref]
	if !ok {
		return client.ImageInspectResult{}, errdefs.ErrNotFound.WithMessage("no such image: " + ref)
	}
	config := &dockerspec.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{Labels: map[string]string{ImageBuiltLabel: built}}}
	return client.ImageInspectResult{InspectResponse: image.InspectResponse{ID: "sha256:" + ref + built, Config: config}}, nil
}

func (f *fakeEngine) ImagePull(ctx context.Context, ref string, _ client.ImagePullOptions) (client.ImagePullResponse, error) {
	f.pulls.Add(1)
	stream, err := f.pull(ctx, ref)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[strings.TrimPrefix(ref, "docker.io/library/")] = ""
	return fakePull{io.NopCloser(strings.NewReader(stream))}, nil
}

// fakePull is read as a stream only.
type fakePull struct{ io.ReadCloser }

func (fakePull) JSONMessages(context.Context) iter.Seq2[jsonstream.Message, error] { panic("unused") }
func (fakePull) Wait(context.Context) error                                        { panic("unused") }

func (f *fakeEngine) ImageLoad(_ context.Context, archive io.Reader, _ ...client.ImageLoadOption) (client.ImageLoadResult, error) {
	tag, built := readArchive(archive)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[tag] = built
	return io.NopCloser(strings.NewReader(`{"stream":"Loaded image: ` + tag + `"}`)), nil
}

func (f *fakeEngine) ImageList(context.Context, client.ImageListOptions) (client.ImageListResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return client.ImageListResult{Items: f.nameless}, nil
}

func (f *fakeEngine) ImageRemove(_ context.Context, ref string, _ client.ImageRemoveOptions) (client.ImageRemoveResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removed = append(f.removed, ref)
	return client.ImageRemoveResult{}, nil
}

// testImages are images of a fake engine, with the lines of progress they wrote.
func testImages(t *testing.T, e *fakeEngine, recipes ...ImageRecipe) (*Images, func() []string) {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // no logins of whoever runs the test
	var mu sync.Mutex
	var lines []string
	r := newImageRegistries(false)
	r.probe = func(context.Context, string) error { return errors.New("no such host") }
	m := newImages(e, &ImageWorkshop{Arch: "amd64", Dir: t.TempDir()}, r, func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}, recipes...)
	return m, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return lines
	}
}

func failingPull(message string) func(context.Context, string) (string, error) {
	return func(context.Context, string) (string, error) { return "", errors.New(message) }
}

func TestUnreachableRegistryIsAskedOnce(t *testing.T) {
	e := newFakeEngine()
	e.pull = failingPull(`Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 192.0.2.53:53: no such host`)
	m, lines := testImages(t, e)
	for _, ref := range []string{"memcached:1", "rabbitmq:3", "memcached:1"} {
		_, err := m.Ensure(t.Context(), ref)
		failure := new(ImageError)
		require.ErrorAs(t, err, &failure)
		assert.Equal(t, ref, failure.Ref)
		assert.ErrorContains(t, err, "registry registry-1.docker.io cannot be reached (lookup registry-1.docker.io on 192.0.2.53:53: no such host)")
		assert.ErrorContains(t, err, "there is no recipe to build it here")
		assert.ErrorContains(t, err, "`docker load`")
	}
	assert.EqualValues(t, 1, e.pulls.Load())
	assert.Len(t, lines(), 1)

	_, err := m.Ensure(t.Context(), "ghcr.io/someone/else:1")
	require.ErrorContains(t, err, "registry ghcr.io cannot be reached")
	assert.EqualValues(t, 2, e.pulls.Load(), "another registry is asked for itself")
}

func TestConcurrentPullsFromUnreachableRegistryAskOnce(t *testing.T) {
	e := newFakeEngine()
	e.pull = failingPull("dial tcp 192.0.2.1:443: connect: no route to host")
	m, _ := testImages(t, e)
	refs := make([]string, 8)
	for i := range refs {
		refs[i] = fmt.Sprintf("app:%d", i)
	}
	err := m.EnsureAll(t.Context(), refs...)
	for _, ref := range refs {
		assert.ErrorContains(t, err, ref)
	}
	assert.EqualValues(t, 1, e.pulls.Load())
}

func TestRefusedImageDoesNotCondemnItsRegistry(t *testing.T) {
	e := newFakeEngine()
	e.pull = failingPull("Error response from daemon: pull access denied for secret, repository does not exist or may require 'docker login'")
	m, _ := testImages(t, e)
	_, err := m.Ensure(t.Context(), "secret:1")
	require.ErrorContains(t, err, "registry registry-1.docker.io does not give it (pull access denied")
	e.pull = func(context.Context, string) (string, error) { return `{"status":"Pulling"}{"status":"Done"}`, nil }
	id, err := m.Ensure(t.Context(), "memcached:1")
	require.NoError(t, err)
	assert.Equal(t, "sha256:memcached:1", id)
}

func TestErrorInTheStreamOfAPull(t *testing.T) {
	e := newFakeEngine()
	e.pull = func(context.Context, string) (string, error) {
		return `{"status":"Pulling"}{"errorDetail":{"message":"no matching manifest for linux/amd64"}}`, nil
	}
	m, _ := testImages(t, e)
	_, err := m.Ensure(t.Context(), "memcached:1")
	assert.ErrorContains(t, err, "no matching manifest for linux/amd64")
}

// A registry that swallows packets: the engine would wait for a minute or more.
func TestSilentRegistryIsGivenUpAfterPatience(t *testing.T) {
	e := newFakeEngine()
	e.pull = func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	m, _ := testImages(t, e)
	m.registry.patience = 30 * time.Millisecond
	_, err := m.Ensure(t.Context(), "memcached:1")
	require.ErrorContains(t, err, "cannot be reached (no answer within 0.0 s)")
	_, err = m.Ensure(t.Context(), "memcached:2")
	require.ErrorContains(t, err, "cannot be reached")
	assert.EqualValues(t, 1, e.pulls.Load())
}

func TestReachableRegistryIsGivenLonger(t *testing.T) {
	e := newFakeEngine()
	probed := make(chan struct{})
	e.pull = func(ctx context.Context, _ string) (string, error) {
		<-probed
		select { // longer than patience, shorter than what a reachable registry gets
		case <-time.After(150 * time.Millisecond):
			return `{"status":"Done"}`, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	m, _ := testImages(t, e)
	m.registry.patience, m.registry.reachable = 50*time.Millisecond, time.Minute
	m.registry.probe = func(context.Context, string) error { close(probed); return nil }
	_, err := m.Ensure(t.Context(), "memcached:1")
	require.NoError(t, err)
}

func TestCancelledPullCondemnsNothing(t *testing.T) {
	e := newFakeEngine()
	ctx, cancel := context.WithCancel(t.Context())
	e.pull = func(ctx context.Context, _ string) (string, error) {
		cancel()
		<-ctx.Done()
		return "", ctx.Err()
	}
	m, _ := testImages(t, e)
	_, err := m.Ensure(ctx, "memcached:1")
	require.ErrorIs(t, err, context.Canceled)
	assert.NoError(t, m.registry.unreachable("registry-1.docker.io"))
}

func TestProbeRegistry(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	host := listener.Addr().String()
	require.NoError(t, probeRegistry(t.Context(), host))
	require.NoError(t, listener.Close())
	assert.Error(t, probeRegistry(t.Context(), host))
}

func TestImageRegistry(t *testing.T) {
	for ref, want := range map[string]string{
		"redis": "registry-1.docker.io", "shopify/toxiproxy:2": "registry-1.docker.io", "ghcr.io/a/b:1": "ghcr.io",
		"localhost:5000/a": "localhost:5000", "docker.io/library/memcached@sha256:" + strings.Repeat("a", 64): "registry-1.docker.io",
	} {
		assert.Equal(t, want, imageRegistry(ref), ref)
	}
}

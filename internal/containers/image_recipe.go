package containers

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// An ImageRecipe says how images of one kind are made on the spot, where they
// cannot be pulled. Recipes are values: what differs between two images is in
// their fields.
type ImageRecipe interface {
	// Matches says whether the recipe makes the image that ref names.
	Matches(ref string) bool
	// Hash is the same for as long as the recipe would make the same image. It is
	// cheap where that can be known without making it.
	Hash(ctx context.Context, w *ImageWorkshop) (string, error)
	// Make makes the image.
	Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error)
	// Source says from what, for people: "Debian packages".
	Source() string
	// Own says that the image exists nowhere else, so that it is never pulled.
	Own() bool
}

// ImageWorkshop is where recipes work.
type ImageWorkshop struct {
	Arch string // of the engine, as GOARCH
	Dir  string // a folder that stays from run to run

	sources sync.Map // of imageGoPackage to its hash: every version of a service is built from the same files
}

// ImageContent is what a recipe makes: a root file system, how its program is
// started, and what is still to be run in it once.
type ImageContent struct {
	tree   imageTree
	config imageConfig
	finish []string // if any: run once as root in the image, with a tmpfs /build; the other files it leaves are the image's
}

// imageConfig is the part of an image's configuration that recipes set, in the
// image specification's JSON.
type imageConfig struct {
	User         string              `json:",omitempty"`
	ExposedPorts map[string]struct{} `json:",omitempty"`
	Env          []string            `json:",omitempty"`
	Entrypoint   []string            `json:",omitempty"`
	Cmd          []string            `json:",omitempty"`
	Volumes      map[string]struct{} `json:",omitempty"`
	WorkingDir   string              `json:",omitempty"`
	Labels       map[string]string   `json:",omitempty"`
	StopSignal   string              `json:",omitempty"`

	Healthcheck *dockerspec.HealthcheckConfig `json:",omitempty"`
}

// docker is the same configuration in the engine's words.
func (c imageConfig) docker() *container.Config {
	config := &container.Config{
		User: c.User, Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd, Volumes: c.Volumes,
		WorkingDir: c.WorkingDir, Labels: c.Labels, StopSignal: c.StopSignal, Healthcheck: c.Healthcheck,
	}
	for port := range c.ExposedPorts {
		if config.ExposedPorts == nil {
			config.ExposedPorts = network.PortSet{}
		}
		config.ExposedPorts[network.MustParsePort(port)] = struct{}{}
	}
	return config
}

// DefaultImageRecipes are the recipes of the parts that a stage brings itself.
func DefaultImageRecipes() []ImageRecipe {
	return []ImageRecipe{
		haproxyRecipe{},
		postgresRecipe{Major: "15", Suite: "bookworm"},
		postgresRecipe{Major: "17", Suite: "trixie"},
		mariadbRecipe{},
		redisRecipe{},
		toxiproxyRecipe{},
		reaperRecipe{},
		borderRecipe{},
		stubRecipe{},
	}
}

// imageSearchPath is PATH in every image that has programs of Debian, after first.
func imageSearchPath(first ...string) string {
	return "PATH=" + strings.Join(append(first, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"), ":")
}

// imageTagMatches says whether ref is the repository, on Docker Hub if it names
// no registry, with the version as its tag, or a finer version of it or a variant:
// 2.6, 2.6.12, 2.6-alpine for version 2.6.
func imageTagMatches(ref, repository, version string) bool {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil || named.Name() != imageRepository(repository) {
		return false
	}
	tagged, ok := named.(reference.Tagged)
	if !ok {
		return false
	}
	rest, ok := strings.CutPrefix(tagged.Tag(), version)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '-')
}

// imageRepository is the full name of an image without its tag.
func imageRepository(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return named.Name()
}

// imageName is the full name of an image: registry, repository and tag.
func imageName(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.TagNameOnly(named).String()
}

// imageHash is the hash of all parts, each with its length.
func imageHash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// writeArchive writes an image of one layer, as docker save would.
func (c *ImageContent) writeArchive(w io.Writer, arch string, tags ...string) error {
	var layer bytes.Buffer
	if err := c.tree.writeTar(&layer); err != nil {
		return err
	}
	digest := fmt.Sprintf("%x", sha256.Sum256(layer.Bytes()))
	type object = map[string]any
	config, err := json.Marshal(object{
		"architecture": arch,
		"os":           "linux",
		"created":      imageEpoch,
		"config":       c.config,
		"rootfs":       object{"type": "layers", "diff_ids": []string{"sha256:" + digest}},
		"history":      []object{{"created": imageEpoch, "created_by": "rehearsal"}},
	})
	if err != nil {
		return err
	}
	configName, layerName := fmt.Sprintf("%x.json", sha256.Sum256(config)), digest+"/layer.tar"
	manifest, err := json.Marshal([]object{{"Config": configName, "RepoTags": tags, "Layers": []string{layerName}}})
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, entry := range []struct {
		name string
		data []byte
	}{{configName, config}, {layerName, layer.Bytes()}, {"manifest.json", manifest}} {
		h := &tar.Header{Name: entry.name, Mode: 0o644, Size: int64(len(entry.data)), ModTime: imageEpoch}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(entry.data); err != nil {
			return err
		}
	}
	return out.Close()
}

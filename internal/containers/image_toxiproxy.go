package containers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// toxiproxyRecipe makes ghcr.io/shopify/toxiproxy:2.12.0 from its Go module. As in
// the official image, the API listens on port 8474 of every address, and LOG_LEVEL
// sets what it logs. The image has no shell and no toxiproxy-cli.
type toxiproxyRecipe struct{}

var _ ImageRecipe = toxiproxyRecipe{}

const (
	toxiproxyVersion = "2.12.0"
	toxiproxyModule  = "github.com/Shopify/toxiproxy/v2"
	toxiproxyServer  = toxiproxyModule + "/cmd/server"
)

func (toxiproxyRecipe) Matches(ref string) bool {
	return imageTagMatches(ref, "ghcr.io/shopify/toxiproxy", toxiproxyVersion) ||
		imageTagMatches(ref, "shopify/toxiproxy", toxiproxyVersion)
}
func (toxiproxyRecipe) Source() string { return "its Go module" }
func (toxiproxyRecipe) Own() bool      { return false }

func (toxiproxyRecipe) Hash(_ context.Context, w *ImageWorkshop) (string, error) {
	return imageHash("toxiproxy 1", toxiproxyVersion, w.Arch), nil
}

// Make builds it as a dependency of Rehearsal's own module, with the versions that
// go.mod pins, where that module's source is at hand, else in a module by itself.
func (toxiproxyRecipe) Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error) {
	ldflags := "-X " + toxiproxyModule + ".Version=" + toxiproxyVersion
	var binary []byte
	root, err := imageModuleRoot()
	if err == nil {
		binary, err = w.goBuild(ctx, imageGoBuild{Dir: root, Package: toxiproxyServer, Ldflags: ldflags})
	} else {
		binary, err = w.goBuildModule(ctx, "toxiproxy", map[string][]byte{
			"go.mod":   []byte("module rehearsal-toxiproxy\n\ngo 1.24\n\nrequire " + toxiproxyModule + " v" + toxiproxyVersion + "\n"),
			"tools.go": []byte("//go:build tools\n\npackage tools\n\nimport _ \"" + toxiproxyServer + "\"\n"),
		}, toxiproxyServer, ldflags)
	}
	if err != nil {
		return nil, err
	}
	content := goContent("toxiproxy", binary)
	content.config.Env = append(content.config.Env, "LOG_LEVEL=info")
	content.config.Cmd = []string{"-host=0.0.0.0"}
	content.expose(8474)
	return content, nil
}

// expose says that the image listens on a TCP port.
func (c *ImageContent) expose(port int) {
	if c.config.ExposedPorts == nil {
		c.config.ExposedPorts = map[string]struct{}{}
	}
	c.config.ExposedPorts[strconv.Itoa(port)+"/tcp"] = struct{}{}
}

// imageModuleRoot finds Rehearsal's own source: the folder above this one whose
// go.mod is the module rehearsal.
func imageModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(data, []byte("module rehearsal\n")) {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", fmt.Errorf("no go.mod of the module rehearsal in this folder or above")
		}
		dir = filepath.Dir(dir)
	}
}

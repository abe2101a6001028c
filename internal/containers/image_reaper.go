package containers

import (
	"context"
	_ "embed"
)

// EngineReaperImage is the image that testcontainers-go v0.45.0 starts to remove
// what a run leaves behind.
const EngineReaperImage = "testcontainers/ryuk:0.14.0"

//go:embed reaper/main.go
var reaperSource []byte

// reaperRecipe makes testcontainers' reaper from the command in reaper/, which
// speaks the same protocol.
type reaperRecipe struct{}

var _ ImageRecipe = reaperRecipe{}

func (reaperRecipe) Matches(ref string) bool { return imageName(ref) == imageName(EngineReaperImage) }
func (reaperRecipe) Source() string          { return "Go source" }
func (reaperRecipe) Own() bool               { return false }

func (reaperRecipe) Hash(_ context.Context, w *ImageWorkshop) (string, error) {
	return imageHash("reaper 1", string(reaperSource), w.Arch), nil
}

func (reaperRecipe) Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error) {
	binary, err := w.goBuildSource(ctx, "reaper", reaperSource)
	if err != nil {
		return nil, err
	}
	content := goContent("ryuk", binary)
	content.expose(8080)
	return content, nil
}

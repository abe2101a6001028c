package containers

import (
	"context"
	_ "embed"
)

// borderImage is the image of what refuses and names calls to the outside. It is
// always made here.
const borderImage = "rehearsal/border:1"

var (
	//go:embed border/main.go
	borderSource []byte
	//go:embed border/wire.go
	borderWire []byte
)

// borderRecipe makes it from the command in border/.
type borderRecipe struct{}

var _ ImageRecipe = borderRecipe{}

func (borderRecipe) Matches(ref string) bool { return imageName(ref) == imageName(borderImage) }
func (borderRecipe) Source() string          { return "Go source" }
func (borderRecipe) Own() bool               { return true }

func (borderRecipe) Hash(_ context.Context, w *ImageWorkshop) (string, error) {
	return imageHash("border 1", string(borderSource), string(borderWire), w.Arch), nil
}

func (borderRecipe) Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error) {
	binary, err := w.goBuildModule(ctx, "border", map[string][]byte{
		"main.go": borderSource,
		"wire.go": borderWire,
		"go.mod":  []byte("module border\n\ngo 1.24\n"),
	}, ".", "")
	if err != nil {
		return nil, err
	}
	return goContent("border", binary), nil
}

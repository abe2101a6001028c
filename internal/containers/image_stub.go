package containers

import (
	"context"
	_ "embed"
)

// stubImage is the image of what answers in the place of APIs outside. It is always made
// here.
const stubImage = "rehearsal/stub:1"

//go:embed stub/main.go
var stubSource []byte

// stubRecipe makes it from the command in stub/.
type stubRecipe struct{}

var _ ImageRecipe = stubRecipe{}

func (stubRecipe) Matches(ref string) bool { return imageName(ref) == imageName(stubImage) }
func (stubRecipe) Source() string          { return "Go source" }
func (stubRecipe) Own() bool               { return true }

func (stubRecipe) Hash(_ context.Context, w *ImageWorkshop) (string, error) {
	return imageHash("stub 1", string(stubSource), w.Arch), nil
}

func (stubRecipe) Make(ctx context.Context, w *ImageWorkshop) (*ImageContent, error) {
	binary, err := w.goBuildSource(ctx, "stub", stubSource)
	if err != nil {
		return nil, err
	}
	return goContent("stub", binary), nil
}

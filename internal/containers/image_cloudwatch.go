package containers

// CloudWatchImage is the name of the image that CloudWatchImageRecipe makes.
const CloudWatchImage = "rehearsal/cloudwatch:latest"

// CloudWatchImageRecipe makes the local CloudWatch, `rehearse cloudwatch`, from this
// module's source. It listens on every address of its container, which is reached
// only where somebody publishes its port. The Dockerfile beside go.mod makes the same
// where there is a registry.
func CloudWatchImageRecipe() GoRecipe {
	return GoRecipe{
		Package: "./cmd/rehearse", Ports: []int{4566},
		Args:   []string{"cloudwatch", "--listen", "0.0.0.0:4566"},
		Health: []string{"cloudwatch", "--healthcheck"},
	}
}

package containers

// HarnessImages are the images that every stage needs beside those of the compose
// file and of the versions.
func HarnessImages() []string { return []string{balancerImage, toxiproxyImage, EngineReaperImage} }

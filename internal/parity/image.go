package parity

import (
	"fmt"
	"slices"

	"github.com/distribution/reference"
)

// same is no standing of a difference: there is none.
const same Standing = -1

// image compares two references: digests with digests, tags with tags. A tag and a
// digest can only be compared where an engine knows the digest of what it has.
func (c *comparison) image(staging, production string) (Standing, string) {
	s, errS := reference.ParseDockerRef(staging)
	p, errP := reference.ParseDockerRef(production)
	if errS != nil || errP != nil {
		return Open, "one of them is not the name of an image"
	}
	if last(s) != last(p) {
		return Open, ""
	}
	sd, sHas := s.(reference.Digested)
	pd, pHas := p.(reference.Digested)
	switch {
	case sHas && pHas:
		if sd.Digest() == pd.Digest() {
			return same, ""
		}
		return Open, "other bytes: the digests differ"
	case pHas:
		return c.local(staging, pd.Digest().String())
	case sHas:
		return Unknown, "production names a tag, which cannot be compared with a digest: describe production by its digest"
	}
	if tag(s) != tag(p) {
		return Open, ""
	}
	if s.String() == p.String() {
		return same, ""
	}
	return Harmless, "the same name and tag from another registry; only digests would show whether it is the same image"
}

// local asks the engine for the digests of the staging copy's image.
func (c *comparison) local(image, digest string) (Standing, string) {
	const named = "production names a digest and the staging copy a tag, which cannot be compared: "
	if c.Digests == nil {
		return Unknown, named + "there is no engine to ask"
	}
	has := c.Digests(image)
	switch {
	case slices.Contains(has, digest):
		return same, ""
	case len(has) == 0:
		return Unknown, named + "the engine knows no digest of " + image + " (it was built here, or is not there): name the digest in the Compose file"
	}
	return Open, fmt.Sprintf("other bytes: the engine has %s as %s", image, has[0])
}

// last is the name without its registry and folders.
func last(r reference.Named) string {
	path := reference.Path(r)
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

func tag(r reference.Named) string {
	if t, ok := r.(reference.Tagged); ok {
		return t.Tag()
	}
	return "latest"
}

package stage_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rehearsal/internal/stage"
)

func TestFindingByName(t *testing.T) {
	l := stage.Load{Requests: []stage.Request{{Name: "browse", Path: "/products"}, {Name: "order", Path: "/orders"}}}
	r, ok := l.Find("order")
	assert.True(t, ok)
	assert.Equal(t, "/orders", r.Path)
	_, ok = l.Find("search")
	assert.False(t, ok)

	s := &stage.Setup{Dependencies: []stage.Dependency{{Name: "database", Port: 5432}}}
	d, ok := s.Dependency("database")
	assert.True(t, ok)
	assert.Equal(t, 5432, d.Port)
	_, ok = s.Dependency("")
	assert.False(t, ok)
}

func TestHowManyReplicasRun(t *testing.T) {
	assert.Equal(t, 1, (&stage.Setup{}).ReplicasOf(stage.Version{}), "nobody says")
	assert.Equal(t, 4, (&stage.Setup{Replicas: 4}).ReplicasOf(stage.Version{}), "the compose file does")
	assert.Equal(t, 2, (&stage.Setup{Replicas: 4}).ReplicasOf(stage.Version{Replicas: 2}), "the version does")
}

func TestAProbeAsProse(t *testing.T) {
	assert.Equal(t, "smoke requests to v2", stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"}.String())
	assert.Equal(t, "connection to database", stage.Probe{Kind: stage.ProbeDependency, Version: "v2", Dependency: "database"}.String())
}

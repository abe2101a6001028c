//go:build containers

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/evidence"
	"rehearsal/internal/runs"
)

func TestARunInContainersSaysWhatImagesRan(t *testing.T) {
	dir := t.TempDir()
	out, status := run(t, nil, "verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "containers", "--report", dir, "--runs", "none", "../../features/undetected.feature")
	require.Equal(t, 0, status, out)
	r, err := runs.Read(dir)
	require.NoError(t, err)
	assert.Regexp(t, `^sha256:[0-9a-f]{64}$`, r.Images["v1"])
	e, err := evidence.Check(t.Context(), dir, nil)
	require.NoError(t, err)
	assert.Empty(t, e.Wrong)
	assert.NotEmpty(t, e.Predicate.Versions.Engine)
	assert.Equal(t, r.Images, e.Predicate.Run.Images)
}

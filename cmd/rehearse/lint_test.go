package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPhrasesAreListedForProgramsAndForEditors(t *testing.T) {
	out, status := run(t, nil, "steps", "--file", "../../fixtures/rehearsal.yaml", "--json")
	require.Equal(t, 0, status, out)
	var c struct {
		Service string
		Phrases []struct{ Expression string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &c))
	assert.Equal(t, "shop", c.Service)
	assert.Greater(t, len(c.Phrases), 100)

	file := filepath.Join(t.TempDir(), "rehearsal.js")
	out, status = run(t, nil, "steps", "--glue", file)
	require.Equal(t, 0, status, out)
	assert.Empty(t, out)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(data), "\nThen('the release succeeds', () => {})\n")

	out, status = run(t, nil, "steps", "--glue", filepath.Join(t.TempDir(), "glue.go"))
	assert.Equal(t, 2, status)
	assert.Contains(t, out, "glue.js")
}

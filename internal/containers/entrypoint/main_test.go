package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPackAndUnpackKeepEveryByte(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	files := map[string][]byte{
		"PG_VERSION":     []byte("17\n"),
		"empty":          {},
		"zeros":          make([]byte, 8192),
		"pg_wal/segment": append([]byte("head\x00\x00middle"), make([]byte, 100_000)...),
	}
	require.NoError(t, os.Mkdir(filepath.Join(from, "pg_wal"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(from, "pg_notify"), 0o700))
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(from, name), text, 0o600))
	}
	packed := filepath.Join(t.TempDir(), "cluster.tar")
	require.NoError(t, pack(from, packed))
	require.NoError(t, unpack(packed, to))
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(to, name))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got), name)
		info, err := os.Stat(filepath.Join(to, name))
		require.NoError(t, err)
		assert.EqualValues(t, 0o600, info.Mode().Perm())
	}
	assert.DirExists(t, filepath.Join(to, "pg_notify"))
	info, err := os.Stat(packed)
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(20_000), "zeros at the end take no room")
}

func TestSQLIsQuotedOnOneLine(t *testing.T) {
	assert.Equal(t, `E'it\'s a \\ and a\nline'`, literal("it's a \\ and a\nline"))
	assert.Equal(t, `"my ""db"""`, name(`my "db"`))
}

func clearVariables(t *testing.T) {
	t.Helper()
	for _, n := range []string{"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "POSTGRES_INITDB_ARGS", "POSTGRES_HOST_AUTH_METHOD", "POSTGRES_INITDB_WALDIR"} {
		t.Setenv(n, "")
		t.Setenv(n+"_FILE", "")
	}
}

func TestReadCluster(t *testing.T) {
	clearVariables(t)
	_, err := readCluster("/data")
	require.ErrorContains(t, err, "set POSTGRES_PASSWORD")

	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("from a file\n"), 0o600))
	t.Setenv("POSTGRES_USER", "shop")
	t.Setenv("POSTGRES_PASSWORD_FILE", secret)
	c, err := readCluster("/data")
	require.NoError(t, err)
	assert.Equal(t, cluster{data: "/data", user: "shop", db: "shop", password: "from a file"}, *c)

	t.Setenv("POSTGRES_PASSWORD", "too")
	_, err = readCluster("/data")
	require.ErrorContains(t, err, "exclusive")

	clearVariables(t)
	t.Setenv("POSTGRES_HOST_AUTH_METHOD", "trust")
	c, err = readCluster("/data")
	require.NoError(t, err)
	assert.Equal(t, "postgres", c.user)
	assert.Equal(t, "postgres", c.db)
}

func TestMakeRefusesADirectoryWithOtherFiles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600))
	assert.ErrorContains(t, (&cluster{data: dir}).make(), "is not empty, and holds no database")
}

func TestHelpStartsNothing(t *testing.T) {
	assert.True(t, wantsHelp([]string{"postgres", "--version"}))
	assert.False(t, wantsHelp([]string{"postgres", "-c", "max_connections=5"}))
}

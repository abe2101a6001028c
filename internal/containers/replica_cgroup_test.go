package containers

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCgroupsOfBothVersions(t *testing.T) {
	for name, c := range map[string]struct {
		proc  string
		files map[string]string
	}{
		"v1": {"11:cpuacct,cpu:/docker/x\n5:memory:/docker/x\n0::/docker/x\n", map[string]string{
			"cpuacct/docker/x/cpuacct.usage": "2000000000\n", "memory/docker/x/memory.usage_in_bytes": "30000\n",
			"memory/docker/x/memory.limit_in_bytes": "100000\n", "memory/docker/x/memory.stat": "cache 7\ntotal_inactive_file 10000\n",
		}},
		"v2": {"0::/system.slice/docker-x.scope\n", map[string]string{
			"system.slice/docker-x.scope/cpu.stat": "usage_usec 2000000\nuser_usec 1\n", "system.slice/docker-x.scope/memory.current": "30000\n",
			"system.slice/docker-x.scope/memory.max": "100000\n", "system.slice/docker-x.scope/memory.stat": "anon 5\ninactive_file 10000\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for f, text := range c.files {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, f)), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(root, f), []byte(text), 0o600))
			}
			g, err := parseCgroup(root, []byte(c.proc))
			require.NoError(t, err)
			cpu, memory, limit, err := g.usage()
			require.NoError(t, err)
			assert.Equal(t, 2*time.Second, cpu)
			assert.InDelta(t, 20000, memory, 0)
			assert.InDelta(t, 100000, limit, 0)
		})
	}
	_, err := parseCgroup("/", []byte("nonsense\n"))
	require.Error(t, err)
}

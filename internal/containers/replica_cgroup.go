package containers

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A cgroup is where the kernel of this machine counts what one container uses. On a
// local engine it is read instead of asking the engine, which looks only once a
// second, and on newer kernels with cgroup v1 sees nothing at all.
type cgroup struct {
	cpu    string // file of the CPU time used
	scale  time.Duration
	memory string // file of the bytes in use
	limit  string // file of the memory limit
	stat   string // file that has inactive_file
}

// cgroupOf finds the counts of the process with that ID, whose container it is.
func cgroupOf(pid int) (*cgroup, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	return parseCgroup("/sys/fs/cgroup", data)
}

// parseCgroup reads a /proc/PID/cgroup: lines of "id:controllers:path", of which
// cgroup v2 has the one without controllers.
func parseCgroup(root string, data []byte) (*cgroup, error) {
	paths := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, c := range strings.Split(parts[1], ",") {
			paths[c] = parts[2]
		}
	}
	if memory, ok := paths["memory"]; ok {
		dir := filepath.Join(root, "memory", memory)
		return &cgroup{
			cpu: filepath.Join(root, "cpuacct", paths["cpuacct"], "cpuacct.usage"), scale: time.Nanosecond,
			memory: filepath.Join(dir, "memory.usage_in_bytes"), limit: filepath.Join(dir, "memory.limit_in_bytes"), stat: filepath.Join(dir, "memory.stat"),
		}, nil
	}
	if all, ok := paths[""]; ok {
		dir := filepath.Join(root, all)
		return &cgroup{
			cpu: filepath.Join(dir, "cpu.stat"), scale: time.Microsecond,
			memory: filepath.Join(dir, "memory.current"), limit: filepath.Join(dir, "memory.max"), stat: filepath.Join(dir, "memory.stat"),
		}, nil
	}
	return nil, fmt.Errorf("no cgroup in %q", data)
}

// usage is the CPU time used since the container began, the bytes in use without
// the page cache that could be reclaimed, and the limit (0: none).
func (c *cgroup) usage() (cpu time.Duration, memory, limit float64, err error) {
	used, err := cgroupNumber(c.cpu, "usage_usec")
	if err != nil {
		return 0, 0, 0, err
	}
	inUse, err := cgroupNumber(c.memory, "")
	if err != nil {
		return 0, 0, 0, err
	}
	if cache, err := cgroupNumber(c.stat, "total_inactive_file"); err == nil {
		inUse -= cache
	} else if cache, err := cgroupNumber(c.stat, "inactive_file"); err == nil {
		inUse -= cache
	}
	if limit, err = cgroupNumber(c.limit, ""); err != nil || limit > 1<<60 {
		limit = 0 // "max", or v1's way to say so
	}
	return time.Duration(used) * c.scale, max(inUse, 0), limit, nil
}

// cgroupNumber reads the only number of a file, or that of the line that begins
// with key.
func cgroupNumber(file, key string) (float64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 1 || len(fields) == 2 && fields[0] == key {
			return strconv.ParseFloat(fields[len(fields)-1], 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, key)
}

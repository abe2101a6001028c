package pipeline

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// adopt makes this process the parent of every process below it whose own parent
// ends, so that none of them gets away: a step runs in a session of its own.
func adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// endChildren kills every process below the one with this id, until there is none.
func endChildren(pid int) {
	for range 100 { // each time kills all there are; what forks faster than this is not a step of a workflow
		all := below(pid)
		if len(all) == 0 {
			return
		}
		for _, p := range all {
			_ = unix.Kill(p, unix.SIGKILL)
		}
	}
}

// below is every process below pid that still runs.
func below(pid int) (all []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	dead := map[int]bool{}
	for _, e := range entries {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		data, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:]) // the name before it may hold anything
		if len(f) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(string(f[1]))
		children[parent] = append(children[parent], p)
		dead[p] = f[0][0] == 'Z' || f[0][0] == 'X'
	}
	todo := children[pid]
	for len(todo) > 0 {
		p := todo[0]
		todo = append(todo[1:], children[p]...)
		if !dead[p] {
			all = append(all, p)
		}
	}
	return all
}

// Command ballast uses up the memory of the container that it runs in, until the
// kernel has to kill. It holds the memory in a file without a name, which counts
// for the container but not for any process: so the kernel kills the container's
// own program, as the largest. It needs nothing of the container, and ends with it.
package main

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// memfdCreate is the number of the system call, which package syscall lacks.
var memfdCreate = map[string]uintptr{"amd64": 319, "arm64": 279}

const step = 1 << 20 // bytes

func main() {
	// Where it may, it asks not to be chosen itself.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	name := []byte("ballast\x00")
	fd, _, failed := syscall.Syscall(memfdCreate[runtime.GOARCH], uintptr(unsafe.Pointer(&name[0])), 0, 0)
	if failed != 0 {
		os.Stderr.WriteString("ballast: memfd_create: " + failed.Error() + "\n")
		os.Exit(1)
	}
	for size := int64(0); ; {
		switch err := syscall.Fallocate(int(fd), 0, size, step); err {
		case nil:
			size += step
		case syscall.EINTR:
		default: // there is no more: the kernel is choosing
			time.Sleep(time.Millisecond)
		}
	}
}

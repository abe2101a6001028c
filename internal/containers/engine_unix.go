//go:build unix

package containers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// imageLock waits until no other process on this machine holds the lock file, or
// ctx ends. The kernel lets go of it when a process dies.
func imageLock(ctx context.Context, name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() { locked <- syscall.Flock(int(file.Fd()), syscall.LOCK_EX) }()
	select {
	case err := <-locked:
		if err != nil {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		return func() { _ = file.Close() }, nil
	case <-ctx.Done():
		go func() { _ = errors.Join(<-locked, file.Close()) }() // whoever has it lets go some time
		return nil, ctx.Err()
	}
}

// detached makes a process outlive the one that starts it, and its terminal.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// freeSpace is how many bytes can still be written below a folder.
func freeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil //nolint:unconvert // its type differs between systems
}

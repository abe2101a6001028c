//go:build unix

package pipeline

import (
	"os/exec"
	"syscall"
)

// group has the process lead a group of its own, so that a Ctrl-C on the terminal does
// not reach it before this process can end it in order.
func group(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func endGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

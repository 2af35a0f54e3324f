//go:build unix

package localrun

import (
	"os"
	"os/exec"
	"syscall"
)

// apart keeps the terminal's Ctrl-C from a command: this process tells it to end, once, and a second signal would end
// it before it has saved its work.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func end(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

package memory

import "golang.org/x/sys/unix"

// available takes half of the machine's memory to be free: macOS compresses and reclaims what idle programs hold, and
// tells no single number.
func available() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n / 2)
}

package kernel

import "golang.org/x/sys/unix"

// adviseHugePages asks for large pages; without them everything works, slower.
func adviseHugePages(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }

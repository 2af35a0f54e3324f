//go:build !noasm

package cpulevel

import (
	"sync"

	"golang.org/x/sys/unix"
)

// tilesPermitted asks Linux, once, for the permission to use AMX's tiles, which a process needs because they make the
// state of its threads 8 KiB larger. A system that does not know the request, or a sandbox, refuses it.
var tilesPermitted = sync.OnceValue(func() bool {
	const requestPermission, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
	_, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return errno == 0
})

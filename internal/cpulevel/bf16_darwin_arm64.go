//go:build !noasm

package cpulevel

import "golang.org/x/sys/unix"

// featBF16 reports whether the processor has FEAT_BF16, as Apple's M2 and later do.
var featBF16 = func() bool {
	has, err := unix.SysctlUint32("hw.optional.arm.FEAT_BF16")
	return err == nil && has != 0
}()

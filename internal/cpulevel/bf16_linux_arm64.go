//go:build !noasm

package cpulevel

import "golang.org/x/sys/unix"

// featBF16 reports whether the processor has FEAT_BF16: HWCAP2_BF16 in the auxiliary vector.
var featBF16 = func() bool {
	const hwcap2, hwcap2BF16 = 26, 1 << 14
	vector, err := unix.Auxv()
	if err != nil {
		return false
	}
	for _, entry := range vector {
		if entry[0] == hwcap2 {
			return entry[1]&hwcap2BF16 != 0
		}
	}
	return false
}()

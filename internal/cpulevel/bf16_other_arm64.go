//go:build !linux && !darwin && !noasm

package cpulevel

// featBF16 is for systems of which nothing is known about bfloat16.
const featBF16 = false

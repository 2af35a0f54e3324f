//go:build (amd64 || arm64) && !noasm

package voxels

import "github.com/universal-classifier/uc/internal/cpulevel"

// widen converts as many of the values as it can do at once, and returns how many.
func widen(dst []float32, src []byte) int {
	n := min(len(dst), len(src)/2) / 16 * 16
	if n == 0 || cpulevel.Default() == cpulevel.Generic {
		return 0
	}
	widenBlocks(&dst[0], &src[0], n)
	return n
}

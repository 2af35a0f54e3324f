//go:build amd64 && !noasm

package cpu

import "golang.org/x/sys/cpu"

// halfAVX512 returns the kernels of AVX512_BF16, nil if the processor lacks it.
func halfAVX512(portable *halfKernels) *halfKernels {
	if !cpu.X86.HasAVX512BF16 {
		return nil
	}
	h := *portable
	h.rows, h.cols, h.gemm, h.product = 14, 2, gemmBF16, productBF16
	h.outer = [4]outerFunc{1: outerBF16x1, 2: outerBF16x2, 3: outerBF16x3}
	h.interleave, h.packPairs, h.narrow, h.widen = interleaveBF16, packPairsBF16, narrowBF16, widenBF16
	return &h
}

//go:build amd64 && !noasm

package kernel

import "golang.org/x/sys/cpu"

// bf16AVX512 returns the kernels of AVX512_BF16, nil if the processor lacks it.
func bf16AVX512() *bf16Kernels {
	if !cpu.X86.HasAVX512BF16 {
		return nil
	}
	return &bf16Kernels{
		rows: 14, cols: 2, gemm: gemmBF16, product: productBF16,
		outer:      [4]outerFunc{1: outerBF16x1, 2: outerBF16x2, 3: outerBF16x3},
		Interleave: interleaveBF16, PackPairs: packPairsBF16, Narrow: narrowBF16, Widen: widenBF16,
		transforms: transformsBF16, TransformsV: transformsVBF16,
		normalize: normalizeBF16, sums: sumsBF16, gradientSums: gradientSumsBF16, normalizeBack: normalizeBackBF16,
		axisMax: axisMaxBF16, windowArgMax: windowArgMaxBF16, winnersSum: winnersSumBF16, combineMax: combineMaxBF16, splitSum: splitSumBF16, max3: max3BF16,
	}
}

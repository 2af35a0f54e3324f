//go:build amd64 && !noasm

package cpu

func addKernelSets(sets *[AVX512 + 1]*kernels) {
	sets[AVX2] = &kernels{
		rows: 6, cols: 1,
		gemm: [15][3]gemmFunc{
			1: {1: gemmAVX2x1},
			2: {1: gemmAVX2x2},
			3: {1: gemmAVX2x3},
			4: {1: gemmAVX2x4},
			5: {1: gemmAVX2x5},
			6: {1: gemmAVX2x6},
		},
		outerCols:  1,
		outer:      [4]outerFunc{1: outerAVX2x1},
		transforms: transformsAVX2,

		normalize: normalizeAVX2, sums: sumsAVX2, gradientSums: gradientSumsAVX2, normalizeBack: normalizeBackAVX2, sgd: sgdAVX2, adamw: adamwAVX2,
		axisMax: axisMaxAVX2, windowArgMax: windowArgMaxAVX2, winnersSum: winnersSumAVX2, combineMax: combineMaxAVX2, splitSum: splitSumAVX2, max3: max3AVX2,
		transpose: transposeGeneric, ceiling: ceilingAVX2, ceilingFlops: 12 * 2 * 8,
	}
	sets[AVX512] = &kernels{
		rows: 14, cols: 2,
		gemm: [15][3]gemmFunc{
			1:  {1: gemmAVX512x1x1, 2: gemmAVX512x1x2},
			2:  {1: gemmAVX512x2x1, 2: gemmAVX512x2x2},
			3:  {1: gemmAVX512x3x1, 2: gemmAVX512x3x2},
			4:  {1: gemmAVX512x4x1, 2: gemmAVX512x4x2},
			5:  {1: gemmAVX512x5x1, 2: gemmAVX512x5x2},
			6:  {1: gemmAVX512x6x1, 2: gemmAVX512x6x2},
			7:  {1: gemmAVX512x7x1, 2: gemmAVX512x7x2},
			8:  {1: gemmAVX512x8x1, 2: gemmAVX512x8x2},
			9:  {1: gemmAVX512x9x1, 2: gemmAVX512x9x2},
			10: {1: gemmAVX512x10x1, 2: gemmAVX512x10x2},
			11: {1: gemmAVX512x11x1, 2: gemmAVX512x11x2},
			12: {1: gemmAVX512x12x1, 2: gemmAVX512x12x2},
			13: {1: gemmAVX512x13x1, 2: gemmAVX512x13x2},
			14: {1: gemmAVX512x14x1, 2: gemmAVX512x14x2},
		},
		outerCols:  3,
		outer:      [4]outerFunc{1: outerAVX512x1, 2: outerAVX512x2, 3: outerAVX512x3},
		transforms: transformsAVX512,

		normalize: normalizeAVX512, sums: sumsAVX512, gradientSums: gradientSumsAVX512, normalizeBack: normalizeBackAVX512, sgd: sgdAVX512, adamw: adamwAVX512,
		axisMax: axisMaxAVX512, windowArgMax: windowArgMaxAVX512, winnersSum: winnersSumAVX512, combineMax: combineMaxAVX512, splitSum: splitSumAVX512, max3: max3AVX512,
		transpose: transposeAVX512, ceiling: ceilingAVX512, ceilingFlops: 12 * 2 * 16,

		half: halfAVX512(),
	}
}

//go:build amd64 && !noasm

package kernel

import "github.com/universal-classifier/uc/internal/cpulevel"

func addKernelSets(sets *[cpulevel.Count]*Set) {
	sets[cpulevel.AVX2] = &Set{
		Rows: 6, Cols: 1,
		gemm: [15][3]gemmFunc{
			1: {1: gemmAVX2x1},
			2: {1: gemmAVX2x2},
			3: {1: gemmAVX2x3},
			4: {1: gemmAVX2x4},
			5: {1: gemmAVX2x5},
			6: {1: gemmAVX2x6},
		},
		OuterCols:  1,
		outer:      [4]outerFunc{1: outerAVX2x1},
		Transforms: transformsAVX2,

		Normalize: normalizeAVX2, Sums: sumsAVX2, GradientSums: gradientSumsAVX2, NormalizeBack: normalizeBackAVX2, Sgd: sgdAVX2, Adamw: adamwAVX2,
		AxisMax: axisMaxAVX2, WindowArgMax: windowArgMaxAVX2, WinnersSum: winnersSumAVX2, CombineMax: combineMaxAVX2, SplitSum: splitSumAVX2, Max3: max3AVX2,
		Transpose: transposeGeneric, Ceiling: ceilingAVX2, CeilingFlops: 12 * 2 * 8,
	}
	sets[cpulevel.AVX512] = &Set{
		Rows: 14, Cols: 2,
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
		OuterCols:  3,
		outer:      [4]outerFunc{1: outerAVX512x1, 2: outerAVX512x2, 3: outerAVX512x3},
		Transforms: transformsAVX512,

		Normalize: normalizeAVX512, Sums: sumsAVX512, GradientSums: gradientSumsAVX512, NormalizeBack: normalizeBackAVX512, Sgd: sgdAVX512, Adamw: adamwAVX512,
		AxisMax: axisMaxAVX512, WindowArgMax: windowArgMaxAVX512, WinnersSum: winnersSumAVX512, CombineMax: combineMaxAVX512, SplitSum: splitSumAVX512, Max3: max3AVX512,
		Transpose: transposeAVX512, Ceiling: ceilingAVX512, CeilingFlops: 12 * 2 * 16,

		BF16: bf16AVX512(),
	}
	sets[cpulevel.AMX] = sets[cpulevel.AVX512].withTiles()
}

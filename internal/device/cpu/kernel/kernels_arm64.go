//go:build arm64 && !noasm

package kernel

import "github.com/universal-classifier/uc/internal/cpulevel"

// addKernelSets adds the set of NEON: the portable one, with what there is in machine code in its place.
func addKernelSets(sets *[cpulevel.Count]*Set) {
	k := *sets[cpulevel.Generic]
	k.BF16 = nil
	addProductsNEON(&k)
	addLayersNEON(&k)
	if cpulevel.BF16At(cpulevel.NEON) {
		h := *sets[cpulevel.Generic].BF16
		addProductsBF16NEON(&h)
		addLayersBF16NEON(&h)
		k.BF16 = &h
	}
	sets[cpulevel.NEON] = &k
}

// addProductsNEON enters the products, the transformations of Winograd's schemes, transpose and ceiling.
func addProductsNEON(k *Set) {
	k.Rows, k.Cols = 6, 1
	k.gemm = [15][3]gemmFunc{
		1: {1: gemmNEONx1},
		2: {1: gemmNEONx2},
		3: {1: gemmNEONx3},
		4: {1: gemmNEONx4},
		5: {1: gemmNEONx5},
		6: {1: gemmNEONx6},
	}
	k.OuterCols, k.outer = 1, [4]outerFunc{1: outerNEON}
	k.Transforms = transformsNEON
	k.Transpose, k.Ceiling, k.CeilingFlops = transposeNEON, ceilingNEON, 24*2*4
}

// addProductsBF16NEON enters those on bfloat16.
func addProductsBF16NEON(h *bf16Kernels) {
	h.rows, h.cols = 6, 1
	h.gemm = [15][3]gemmFunc{
		1: {1: gemmBF16NEONx1},
		2: {1: gemmBF16NEONx2},
		3: {1: gemmBF16NEONx3},
		4: {1: gemmBF16NEONx4},
		5: {1: gemmBF16NEONx5},
		6: {1: gemmBF16NEONx6},
	}
	h.product = [15][3]productFunc{
		1: {1: productBF16NEONx1},
		2: {1: productBF16NEONx2},
		3: {1: productBF16NEONx3},
		4: {1: productBF16NEONx4},
		5: {1: productBF16NEONx5},
		6: {1: productBF16NEONx6},
	}
	h.outer = [4]outerFunc{1: outerBF16NEON}
	h.Interleave, h.PackPairs, h.Narrow, h.Widen = interleaveBF16NEON, packPairsBF16NEON, narrowBF16NEON, widenBF16NEON
	h.transforms, h.TransformsV = transformsBF16NEON, transformsVBF16NEON
}

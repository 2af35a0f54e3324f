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
	k.Transpose, k.Ceiling, k.CeilingFlops = transposeNEON, ceilingNEON, 24*2*4
}

// addProductsBF16NEON enters those on bfloat16.
func addProductsBF16NEON(*bf16Kernels) {}

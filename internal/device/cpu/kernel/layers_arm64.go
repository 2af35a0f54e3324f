//go:build arm64 && !noasm

package kernel

// addLayersNEON enters the kernels of batch norm, pooling and the optimisers.
func addLayersNEON(k *Set) {
	k.Normalize, k.Sums, k.GradientSums, k.NormalizeBack, k.Sgd, k.Adamw = normalizeNEON, sumsNEON, gradientSumsNEON, normalizeBackNEON, sgdNEON, adamwNEON
	k.AxisMax, k.WindowArgMax, k.WinnersSum, k.CombineMax, k.SplitSum, k.Max3 = axisMaxNEON, windowArgMaxNEON, winnersSumNEON, combineMaxNEON, splitSumNEON, max3NEON
}

// addLayersBF16NEON enters those on bfloat16.
func addLayersBF16NEON(h *bf16Kernels) {
	h.normalize, h.sums, h.gradientSums, h.normalizeBack = normalizeBF16NEON, sumsBF16NEON, gradientSumsBF16NEON, normalizeBackBF16NEON
	h.axisMax, h.windowArgMax, h.winnersSum, h.combineMax, h.splitSum, h.max3 = axisMaxBF16NEON, windowArgMaxBF16NEON, winnersSumBF16NEON, combineMaxBF16NEON, splitSumBF16NEON, max3BF16NEON
}

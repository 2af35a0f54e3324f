//go:build arm64 && !noasm

package kernel

// addLayersNEON enters the kernels of batch norm, pooling and the optimisers.
func addLayersNEON(*Set) {}

// addLayersBF16NEON enters those on bfloat16.
func addLayersBF16NEON(*bf16Kernels) {}

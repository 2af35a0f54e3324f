// Command asm writes the assembly of package kernel; `go generate ./internal/device/cpu/kernel` runs it.
package main

import (
	"os"

	"github.com/mmcloughlin/avo/build"

	"github.com/universal-classifier/uc/internal/device/cpu/winograd/generate"
)

func main() {
	build.ConstraintExpr("amd64,!noasm")
	switch kind := os.Args[1]; kind {
	case "gemm":
		for mr := 1; mr <= 14; mr++ {
			for nr := 1; nr <= 2; nr++ {
				gemmAVX512(mr, nr)
			}
		}
		for mr := 1; mr <= 6; mr++ {
			gemmAVX2(mr)
		}
		for nr := 1; nr <= 3; nr++ {
			outerAVX512(nr)
		}
		outerAVX2()
		transposeAVX512()
	case "winograd":
		winogradKernels()
		generate.Table{Path: "../winograd_table_amd64.go", Command: "go run . winograd", Arch: "amd64"}.Write("AVX2", "AVX512")
	case "winograd_bf16":
		winogradHalfKernels()
		generate.Table{Path: "../winograd_bf16_table_amd64.go", Command: "go run . winograd_bf16", Arch: "amd64"}.WriteHalf("BF16")
	case "elementwise":
		elementwiseKernels()
	case "elementwise_bf16":
		elementwiseHalfKernels()
	case "gemm_bf16":
		for mr := 1; mr <= 14; mr++ {
			for nr := 1; nr <= 2; nr++ {
				gemmBF16(mr, nr, false)
				gemmBF16(mr, nr, true)
			}
		}
		for nr := 1; nr <= 3; nr++ {
			outerBF16(nr)
		}
		rearrangements()
		writeHalfProducts("../gemm_bf16_table_amd64.go")
	case "tiles":
		tileKernels()
	case "pooling":
		poolingKernels()
	case "pooling_bf16":
		poolingHalfKernels()
	default:
		panic("no kernels named " + kind)
	}
	// avo's own flags follow the kind
	os.Args = append(os.Args[:1], os.Args[2:]...)
	build.Generate()
}

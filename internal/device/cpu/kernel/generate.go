package kernel

//go:generate go run ./_asm_arm64 gemm
//go:generate go run ./_asm_arm64 gemm_bf16
//go:generate go run ./_asm_arm64 winograd
//go:generate go run ./_asm_arm64 winograd_bf16

//go:generate go -C _asm run . gemm -out ../gemm_amd64.s -stubs ../gemm_amd64.go -pkg kernel
//go:generate go -C _asm run . gemm_bf16 -out ../gemm_bf16_amd64.s -stubs ../gemm_bf16_amd64.go -pkg kernel
//go:generate go -C _asm run . winograd -out ../winograd_amd64.s -stubs ../winograd_amd64.go -pkg kernel
//go:generate go -C _asm run . winograd_bf16 -out ../winograd_bf16_amd64.s -stubs ../winograd_bf16_amd64.go -pkg kernel
//go:generate go -C _asm run . elementwise -out ../elementwise_amd64.s -stubs ../elementwise_amd64.go -pkg kernel
//go:generate go -C _asm run . elementwise_bf16 -out ../elementwise_bf16_amd64.s -stubs ../elementwise_bf16_amd64.go -pkg kernel
//go:generate go -C _asm run . tiles -out ../tiles_amd64.s -stubs ../tiles_amd64.go -pkg kernel
//go:generate go -C _asm run . pooling -out ../pooling_amd64.s -stubs ../pooling_amd64.go -pkg kernel
//go:generate go -C _asm run . pooling_bf16 -out ../pooling_bf16_amd64.s -stubs ../pooling_bf16_amd64.go -pkg kernel
//go:generate go run ./_asm_arm64 elementwise
//go:generate go run ./_asm_arm64 elementwise_bf16
//go:generate go run ./_asm_arm64 pooling
//go:generate go run ./_asm_arm64 pooling_bf16

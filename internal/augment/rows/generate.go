package rows

//go:generate go -C _asm run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg rows
//go:generate go run ./_asm_arm64
